"""The one style of all figures: colours that differ for every eye and in grey, theory as lines, simulation as markers.

Figures are made with `canvas`, drawn with `theory` and `simulation`, and never carry a title: the caption says it.
"""

from typing import Any

import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

# Okabe and Ito's colours, ordered so that neighbours differ in lightness too
COLOURS = ("#000000", "#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")
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
    "mathtext.fontset": "cm",
    "pdf.fonttype": 42,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "closedform",
}


def canvas(rows: int = 1, columns: int = 1, *, width: float = 4.6, height: float = 3.3) -> tuple[Figure, np.ndarray]:
    """Return a figure with a grid of axes (always a 2-d array); ``width`` and ``height`` are inches per panel."""
    figure = Figure(figsize=(columns * width, rows * height))
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


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


def colour(series: int) -> str:
    """Return the colour of a series."""
    return COLOURS[series % len(COLOURS)]
