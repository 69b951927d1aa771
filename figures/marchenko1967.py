"""Marchenko and Pastur: spectra of uncorrelated features, and their transform."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as kr


@figure(
    "marchenko1967.spectrum",
    caption=r"""Eigenvalues of the sample covariance of uncorrelated features of variance 1, from one data set of 1000
    samples, with a quarter as many features (left) and with one and a half times as many (right). Bars: counts per
    feature, zeros left out. Line: the Marchenko-Pastur density; grey: its ends. With more features than samples the
    rest of the mass, a third here, lies at zero.""",
)
def spectrum(run: Run) -> Drawing:
    """Diagonalise one data set of either proportion."""
    n = run.size("samples", quick=1000, standard=2000, full=8000)
    image, grid = canvas(1, 2)
    numbers: dict[str, Any] = {}
    for axes, ratio in zip(grid[0], (0.25, 1.5), strict=True):
        p = int(ratio * n)
        drawn = run.rng(f"{ratio}").standard_normal((n, p))
        # the smaller of the two products has all eigenvalues but zeros
        eigenvalues = np.linalg.eigvalsh((drawn.T @ drawn if p <= n else drawn @ drawn.T) / n)
        low, high = kr.mp_support(ratio=ratio)
        x = low + (high - low) * np.linspace(0, 1, 600) ** 2
        density = kr.mp_density(x, ratio=ratio)
        bins = np.linspace(0, 1.05 * high, 61)
        axes.hist(
            eigenvalues,
            bins=bins,
            weights=np.full(eigenvalues.size, 1 / (p * bins[1])),
            color="0.85",
            edgecolor="0.6",
            linewidth=0.5,
        )
        theory(axes, x, density)
        for end in (low, high):
            reference(axes, [end, end], [0, density.max()])
        note(axes, f"p/n = {ratio:g}", 0.6, 0.85, transform=axes.transAxes)
        axes.set_xlabel("eigenvalue")
        numbers |= {f"eigenvalues_{ratio}": eigenvalues, f"ends_{ratio}": np.array([low, high])}
        numbers |= {f"x_{ratio}": x, f"density_{ratio}": density}
    grid[0, 0].set_ylabel("density per feature")
    grid[0, 1].set_ylabel("density per feature")
    return Drawing(image, numbers)


@figure(
    "marchenko1967.transform",
    caption=r"""Stieltjes transform of the spectrum of uncorrelated features, half as many as samples, along a line a
    tenth above the real axis: real part (left) and imaginary part (right). Lines: closed form with a product of two
    roots, and, dashed, what one root of the product of distances to both ends gives, which is wrong left of the middle
    of the spectrum. Markers: mean over drawn data sets of 64 samples, with standard errors.""",
)
def transform(run: Run) -> Drawing:
    """Average resolvents of drawn data along a line."""
    n, draws = run.size("samples, designs", quick=(64, 100), standard=(128, 400), full=(512, 1000))
    height, ratio = 0.1, 0.5
    fine, marked = np.linspace(-1, 4, 400), np.linspace(-0.9, 3.9, 17)
    z = fine + 1j * height
    right = kr.mp_stieltjes(z, ratio=ratio)
    low, high = kr.mp_support(ratio=ratio)
    wrong = (1 - ratio - z + np.sqrt((z - low) * (z - high))) / (2 * ratio * z)
    means = over_replicates(
        sim.spectral_means, run.keys(draws), np.ones(n // 2), marked + 1j * height, np.array(n), n
    ).transform
    mean, error = means.mean(axis=0), means.std(axis=0) / np.sqrt(draws)
    image, ((left, other),) = canvas(1, 2)
    for part, axes in enumerate((left, other)):
        component = (np.real, np.imag)[part]
        line = theory(axes, fine, component(right))
        dashed = theory(axes, fine, component(wrong), 1)
        drawn = simulation(axes, marked, mean[:, part], error=error[:, part])
        axes.set(xlabel="Re z", ylabel=("Re m(z)", "Im m(z)")[part], ylim=((-1.5, 3), (-0.2, 2.2))[part])
    legend(left, [((line, drawn), "two roots"), (dashed, "one root")], loc="upper right")
    return Drawing(
        image, {"fine": fine, "right": [right.real, right.imag], "marked": marked, "mean": mean, "error": error}
    )
