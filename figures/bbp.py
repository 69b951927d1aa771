"""Baik, Ben Arous and Péché: spectra with a signal in them, and where it shows."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from theory import kernel_regression as kr


@figure(
    "bbp.outlier",
    caption=r"""Top eigenvalue (left) and squared overlap of its vector with the signal (right) against the strength of
    the signal. Wigner matrices with off-diagonal variance 1/n: signal theta, transition at 1. Sample covariances with
    half as many features as samples: signal l - 1, transition at the root of 1/2. Lines: limits; markers: matrices of
    200 rows drawn, mean and standard deviation. Near the transition finite matrices are off the limit, either way.""",
)
def outlier(run: Run) -> Drawing:
    """Draw matrices at growing signals."""
    n, draws = run.size("n, draws", quick=(200, 100), standard=(1000, 200), full=(4000, 1000))
    rows = run.size("rows", quick=64, standard=120, full=160)
    fine, marked = np.linspace(0, 3, 301), np.linspace(0.25, 2.75, 11)
    image, ((left, right),) = canvas(1, 2)
    numbers: dict[str, Any] = {"fine": fine, "marked": marked}
    entries: list[tuple[Any, str]] = []
    for series, name in enumerate(("wigner", "covariance")):
        found = []
        for signal in marked:
            key = run.key(f"{name} {signal}")
            if name == "wigner":
                tops = sim.spiked_wigner_band(key, spike=signal, n=n, n_replicates=draws, rows=rows)
            else:
                tops = sim.spiked_covariance_band(
                    key, spike=1 + signal, n=n, p=n // 2, n_replicates=draws, rows=min(rows, n // 2)
                )
            found.append([[part.mean(), part.std()] for part in tops])
        lines = kr.wigner_outlier(fine) if name == "wigner" else kr.spiked_covariance_outlier(1 + fine, ratio=0.5)
        marks = np.array(found)  # (signals, eigenvalue and overlap, mean and deviation)
        for part, axes in enumerate((left, right)):
            line = theory(axes, fine, lines[part], series)
            drawn = simulation(axes, marked, marks[:, part, 0], series, error=marks[:, part, 1])
        entries.append(((line, drawn), ("Wigner", "covariance")[series]))
        numbers |= {f"{name}_lines": np.array(lines), f"{name}_marks": marks}
    for axes in (left, right):
        axes.set_xlabel(r"signal $\theta$, $l - 1$")
    left.set_ylabel("largest eigenvalue")
    right.set(ylabel="squared overlap", ylim=(-0.03, 1.03))
    legend(left, entries, loc="upper left")
    return Drawing(image, numbers)


@figure(
    "bbp.spectrum",
    caption=r"""Eigenvalues of one Wigner matrix of 400 rows with off-diagonal variance 1/n and a signal of strength 0.7
    (left), below the transition, and 2 (right), above it. Line: semicircle. Arrow: where the largest eigenvalue should
    be, the edge 2 or theta + 1/theta.""",
)
def spectrum(run: Run) -> Drawing:
    """Draw one matrix at either signal."""
    n = run.size("n", quick=400, standard=1000, full=4000)
    x = np.linspace(-2, 2, 400)
    density = np.sqrt(4 - x**2) / (2 * np.pi)
    image, grid = canvas(1, 2, share_y=True)
    numbers: dict[str, Any] = {"x": x, "density": density}
    for axes, signal in zip(grid[0], (0.7, 2.0), strict=True):
        rng = run.rng(f"{signal}")
        square = rng.standard_normal((n, n))
        v = rng.standard_normal(n)
        v /= np.linalg.norm(v)
        eigenvalues = np.linalg.eigvalsh((square + square.T) / np.sqrt(2 * n) + signal * np.outer(v, v))
        bins = np.linspace(-2.2, 2.8, 51)
        axes.hist(eigenvalues, bins=bins, density=True, color="0.85", edgecolor="0.6", linewidth=0.5)
        theory(axes, x, density)
        place = float(kr.wigner_outlier(signal).location)
        axes.annotate(
            "", xy=(place, 0.01), xytext=(place, 0.12), arrowprops={"arrowstyle": "->", "color": "black", "lw": 1.2}
        )
        note(axes, rf"$\theta = {signal:g}$", 0.04, 0.9, transform=axes.transAxes)
        reference(axes, [-2.2, 2.8], [0, 0])
        axes.set_xlabel("eigenvalue")
        numbers |= {f"eigenvalues_{signal}": eigenvalues, f"place_{signal}": np.array(place)}
    grid[0, 0].set_ylabel("density")
    return Drawing(image, numbers)
