"""The one style of all figures: colours that differ for every eye and in grey, theory as lines, simulation as markers.

Figures are made with `canvas`, drawn with `theory` and `simulation` (and `reference` for limits and guides), explained
by `legend`, and never carry a title: the caption says it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike

# Okabe and Ito's colours, ordered so that neighbours differ in lightness too
COLOURS = ("#000000", "#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

RC: Any = {
    "axes.grid": True,
    "axes.labelsize": 10,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "mathtext.fontset": "dejavusans",
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "closedform",
}


def canvas(
    rows: int = 1, columns: int = 1, *, width: float = 4.6, height: float = 3.3, share_y: bool = False
) -> tuple[Figure, np.ndarray]:
    """Return a figure with a grid of axes (always a 2-d array); ``width`` and ``height`` are inches per panel."""
    figure = Figure(figsize=(columns * width, rows * height))
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, sharey=share_y)


def theory(axes: Axes, x: ArrayLike, y: ArrayLike, series: int = 0, **options: Any) -> Line2D:
    """Draw a theoretical curve; ``series`` picks colour and dash."""
    options = {"color": colour(series), "linestyle": DASHES[series % len(DASHES)], "zorder": 2} | options
    return axes.plot(x, y, **options)[0]


def simulation(
    axes: Axes, x: ArrayLike, y: ArrayLike, series: int = 0, *, error: ArrayLike | None = None, **options: Any
) -> ErrorbarContainer:
    """Draw simulated values as open markers, with error bars where ``error`` is given."""
    drawn: dict[str, Any] = {
        "color": colour(series),
        "marker": MARKERS[series % len(MARKERS)],
        "markerfacecolor": "white",
        "markersize": 4.5,
        "linestyle": "none",
        "elinewidth": 1.0,
        "capsize": 2.0,
        "zorder": 3,
    } | options
    return axes.errorbar(x, y, yerr=error, **drawn)


def reference(axes: Axes, x: ArrayLike, y: ArrayLike, **options: Any) -> Line2D:
    """Draw a limit or a guide to the eye: a thin grey line behind everything else."""
    drawn: dict[str, Any] = {"color": "0.6", "linestyle": "-", "linewidth": 1.0, "zorder": 1} | options
    return axes.plot(x, y, **drawn)[0]


def legend(axes: Axes, entries: Sequence[tuple[Any, str]], **options: Any) -> Legend:
    """Explain ``entries``, pairs of a handle and a label; a tuple of handles, line and marker, shares one label."""
    handles, labels = zip(*entries, strict=True)
    options = {"handlelength": 2.6, "numpoints": 1} | options
    return axes.legend(handles, labels, **options)


def depth_axis(axes: Axes, depths: ArrayLike) -> None:
    """Make x a logarithmic axis of network depth with a tick at each of ``depths``."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(depths, [f"{depth:g}" for depth in np.asarray(depths)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("depth $D$ (weight matrices)")


def note(axes: Axes, text: str, x: float, y: float, **options: Any) -> None:
    """Write a short label into the axes, at data coordinates unless ``transform`` says otherwise."""
    drawn: dict[str, Any] = {"fontsize": 9, "color": "0.25", "zorder": 4} | options
    axes.text(x, y, text, **drawn)


def colour(series: int) -> str:
    """Return the colour of a series."""
    return COLOURS[series % len(COLOURS)]
