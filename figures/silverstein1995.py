"""Silverstein: spectra of correlated features, and where they end."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, theory
from paper_checks.claim import Run
from theory import kernel_regression as kr

LEVELS, WEIGHTS = np.array([1.0, 6.0]), np.array([0.3, 0.7])


@figure(
    "silverstein1995.bands",
    caption=r"""Eigenvalues of the sample covariance of features three tenths of which have variance 1 and the others
    variance 6, from one data set of 4000 samples with a twentieth as many features (left), and from one of 1000 with
    four fifths as many (right). Bars: counts. Line: density from Silverstein's equation; grey: its edges. Few samples
    close the gap between the two bands, the lower of which holds just three tenths of all eigenvalues.""",
)
def bands(run: Run) -> Drawing:
    """Diagonalise one data set of either proportion."""
    samples = run.size("samples", quick=(4000, 1000), standard=(8000, 4000), full=(40_000, 8000))
    image, grid = canvas(1, 2)
    numbers: dict[str, Any] = {}
    for axes, ratio, n in zip(grid[0], (0.05, 0.8), samples, strict=True):
        p = round(ratio * n)
        roots = np.sqrt(np.repeat(LEVELS, np.round(p * WEIGHTS).astype(int)))
        drawn = run.rng(f"{ratio}").standard_normal((n, p)) * roots
        eigenvalues = np.linalg.eigvalsh(drawn.T @ drawn / n)
        edges = kr.spectral_edges(LEVELS, WEIGHTS, ratio=ratio)
        x = np.linspace(0, 1.08 * edges[-1], 800)
        density = kr.spectral_density(x, LEVELS, WEIGHTS, ratio=ratio)
        axes.hist(
            eigenvalues,
            bins=np.linspace(0, x[-1], 71),
            density=True,
            color="0.85",
            edgecolor="0.6",
            linewidth=0.5,
        )
        theory(axes, x, density)
        for edge in edges:
            reference(axes, [edge, edge], [0, 0.6 * density.max()])
        note(axes, f"p/n = {ratio:g}", 0.6, 0.85, transform=axes.transAxes)
        axes.set(xlabel="eigenvalue", ylabel="density per feature")
        numbers |= {f"eigenvalues_{ratio}": eigenvalues, f"edges_{ratio}": edges, f"x_{ratio}": x}
        numbers[f"density_{ratio}"] = density
    return Drawing(image, numbers)


@figure(
    "silverstein1995.phases",
    caption=r"""Bands of the spectrum of the sample covariance against the number of features per sample, for the
    population with variances 1 (three tenths of the features) and 6. Shaded: where eigenvalues are; lines: edges. Dots:
    smallest and largest eigenvalue of either level in one data set with 60 features.""",
)
def phases(run: Run) -> Drawing:
    """Solve for edges along ratios, and diagonalise data at some of them."""
    p = run.size("features", quick=60, standard=200, full=1000)
    ratios = np.geomspace(0.01, 1.0, 120)
    edges = [kr.spectral_edges(LEVELS, WEIGHTS, ratio=ratio) for ratio in ratios]
    split = np.array([len(found) == 4 for found in edges])
    outer = np.array([[found[0], found[-1]] for found in edges])
    inner = np.array([found[1:3] for found in edges if len(found) == 4])
    marked = np.geomspace(0.01, 1.0, 9)
    few = round(WEIGHTS[0] * p)
    roots = np.sqrt(np.repeat(LEVELS, [few, p - few]))
    found = []
    for ratio in marked:
        n = round(p / ratio)
        drawn = run.rng(f"{ratio:.3f}").standard_normal((n, p)) * roots
        found.append(np.linalg.eigvalsh(drawn.T @ drawn / n)[[0, few - 1, few, p - 1]])
    image, ((axes,),) = canvas()
    axes.fill_between(ratios, outer[:, 0], outer[:, 1], color="0.9", linewidth=0)
    axes.fill_between(ratios[split], inner[:, 0], inner[:, 1], color="white", linewidth=0)
    line = theory(axes, ratios, outer[:, 0])
    theory(axes, ratios, outer[:, 1])
    theory(axes, ratios[split], inner[:, 0])
    theory(axes, ratios[split], inner[:, 1])
    dots = axes.plot(marked, np.array(found), "o", color="#D55E00", markersize=3.5, markerfacecolor="white")
    axes.set(xscale="log", xlabel="features per sample $p/n$", ylabel="eigenvalue")
    legend(axes, [(line, "edges"), (dots[0], "one data set")], loc="upper left")
    return Drawing(
        image, {"ratios": ratios, "outer": outer, "inner": inner, "marked": marked, "found": np.array(found)}
    )
