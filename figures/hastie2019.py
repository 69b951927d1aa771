"""Hastie, Montanari, Rosset and Tibshirani: risks of ridge regression and of interpolation."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as kr

SIGNAL, NOISE = 1.0, 0.25


@figure(
    "hastie2019.double_descent",
    caption=r"""Risk of linear regression against features per sample, signal to noise 4. Left: without a ridge, with
    two ridges, and at the best ridge, which has no peak. Right: squared bias and variance without a ridge. Lines:
    limits of many samples and features; dotted: predicting zero. Markers: mean over drawn data sets of 48 samples, with
    standard errors.""",
)
def double_descent(run: Run) -> Drawing:
    """Fit data with few and with many features."""
    n, draws = run.size("samples, designs", quick=(48, 60), standard=(96, 200), full=(200, 1000))
    fine = np.concatenate([np.geomspace(0.1, 0.985, 100), np.geomspace(1.015, 10, 100)])
    marked = np.array([1 / 6, 1 / 3, 1 / 2, 2 / 3, 3 / 2, 2.0, 3.0])
    most, beta = round(marked[-1] * n), np.array([np.sqrt(SIGNAL)])
    ridges = np.array([0.02, 2.0])
    found: dict[str, list[Any]] = {"ridge": [], "best": [], "bias": [], "variance": []}
    for ratio in marked:
        p, keys = round(ratio * n), run.keys(draws, f"{ratio:.3f}")
        features = 1.0 * (np.arange(most) < p)
        every = np.append(ridges, NOISE * p / (n * SIGNAL))
        fit = over_replicates(sim.ridge_parts, keys, features, beta, every, np.array(n), n)
        risks = fit.bias + NOISE * fit.variance
        plain = over_replicates(
            sim.least_norm_parts, keys, features[: n if p < n else None], beta, np.array(n), n, p > n
        )
        found["ridge"].append(_summary(risks[:, :2]))
        found["best"].append(_summary(risks[:, 2]))
        found["bias"].append(_summary(plain.bias))
        found["variance"].append(_summary(NOISE * plain.variance))
    marks = {name: np.array(values) for name, values in found.items()}
    none = kr.ridgeless_risk_isotropic(ratio=fine, signal=SIGNAL, noise_var=NOISE)
    ridged = kr.ridge_risk_isotropic(ratio=fine[:, None], ridge=ridges, signal=SIGNAL, noise_var=NOISE).total
    best = kr.optimal_ridge_isotropic(ratio=fine, signal=SIGNAL, noise_var=NOISE).risk
    image, ((left, right),) = canvas(1, 2)
    total = marks["bias"][:, 0] + marks["variance"][:, 0]
    series = [("no ridge", none.total, total, marks["variance"][:, 1])]
    series += [
        (rf"$\lambda = {ridge:g}$", ridged[:, j], marks["ridge"][:, 0, j], marks["ridge"][:, 1, j])
        for j, ridge in enumerate(ridges)
    ]
    series.append((r"best $\lambda$", best, marks["best"][:, 0], marks["best"][:, 1]))
    entries = [
        ((theory(left, fine, line, j), simulation(left, marked, mean, j, error=error)), name)
        for j, (name, line, mean, error) in enumerate(series)
    ]
    legend(left, entries, loc="upper left")
    parts = [
        (
            (
                theory(right, fine, line, j),
                simulation(right, marked, marks[name][:, 0], j, error=marks[name][:, 1]),
            ),
            name,
        )
        for j, (name, line) in enumerate((("bias", none.bias), ("variance", none.variance)))
    ]
    legend(right, parts, loc="upper left")
    for axes, label in ((left, "risk"), (right, "part of the risk")):
        reference(axes, [fine[0], fine[-1]], [SIGNAL, SIGNAL], linestyle=":")
        axes.set(xscale="log", ylim=(-0.03, 2.5), xlabel="features per sample $p/n$", ylabel=label)
    return Drawing(
        image,
        {"fine": fine, "none": none.total, "ridged": ridged, "best": best, "marked": marked}
        | {f"marks_{name}": values for name, values in marks.items()},
    )


def _summary(values: np.ndarray) -> list[np.ndarray]:
    """Mean over designs, and its standard error."""
    return [values.mean(axis=0), values.std(axis=0) / np.sqrt(len(values))]
