"""When more is better and fitting the noise is right, and the theory on a kernel of real data."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

from paper_checks.agreement import ConvergenceOrder, Equivalence, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples, Steps
from paper_checks.papers.simon2023.designs import NOISE, SHAPE, levels
from paper_checks.papers.simon2023.paper import PAPER
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as theory
from theory import ntk


@PAPER.claim(
    "more-is-better",
    statement=r"""At the best ridge the test risk falls with samples and with features; at a fixed small ridge it does
    not: it peaks where there are as many features as samples.""",
    source="theorem 1",
    agreement=Ordering(side="above"),
    controls=("fixed ridge of 0.01", "half as large"),
)
def more_is_better(run: Run) -> Trial:
    """Choose ridges by risks on some designs, compare logarithms of risks on others, with half as much or more data."""
    designs = run.size("designs", quick=300, standard=2000, full=20_000)
    c = run.size("size", quick=8, standard=16, full=32)
    modes = SHAPE[2] * c
    lam, v2 = levels(modes)
    grid = np.geomspace(0.01, 30, 12)
    sizes = tuple(round(c * factor) for factor in (2, 3, 4))
    keep = (sizes[0], sizes[2], None)

    @cache
    def risks(n: int, k: int | None, name: str) -> Array:
        keys = run.keys(designs, f"{name} {n} {k}")
        return np.asarray(over_replicates(sim.gaussian_ridge, keys, lam, v2, grid, NOISE, n, k).test)

    def log_risk(n: int, k: int | None, tuned: bool) -> Array:
        best = int(np.argmin(risks(n, k, "pilot").mean(axis=0))) if tuned else 0
        return np.log(risks(n, k, "main")[:, best])

    def measure(tuned: bool = True) -> Samples:
        found = []
        for k in keep:
            found += [log_risk(a, k, tuned) - log_risk(b, k, tuned) for a, b in pairwise(sizes)]
        for n in sizes:
            found += [log_risk(n, a, tuned) - log_risk(n, b, tuned) for a, b in pairwise(keep)]
        return Samples(np.stack(found, axis=1))

    many = len(keep) * (len(sizes) - 1) + len(sizes) * (len(keep) - 1)
    return Trial(
        predict=lambda: np.zeros(many),
        measure=measure,
        controls={"half as large": lambda: np.full(many, np.log(2))},
        counterexamples={"fixed ridge of 0.01": lambda: measure(tuned=False)},
        scale=np.ones(many),
    )


@PAPER.claim(
    "powerlaw-fitting-ratio",
    statement=r"""For $\lambda_i = i^{-\alpha}$ and $v_i^2 = i^{-\beta}$ the ratio of train to test risk at the best
    ridge tends to $r^2$ with $\alpha - \beta - (\alpha - 1) \beta r + \alpha (\alpha - 1) \nu (1 - r)^\beta = 0$, with
    corrections of order $1/n$; interpolation is best up to the noise $\nu = \frac{\beta - \alpha}{\alpha (\alpha -
    1)}$.""",
    source="theorem 2 and its corollary",
    agreement=ConvergenceOrder(order=1, resolution=1e-3, accuracy=1e-6),
    controls=("power beta - 1", "ratio for its square", "alpha for alpha - 1", "never interpolate"),
)
def powerlaw_fitting_ratio(run: Run) -> Trial:
    """Tune ridges by brute force at numbers of samples that double."""
    first = run.size("fewest samples", quick=50, standard=100, full=400)
    n = first * 2.0 ** np.arange(5)
    cases = ((1.6, 1.3, 0.0), (1.6, 1.3, 1.5), (1.5, 2.0, 1.5), (2.5, 2.0, 0.3))

    def measure() -> Steps:
        return Steps(
            1 / n,
            np.array([[sim.tuned_power_law(a, b, noise, size).fitting_ratio for a, b, noise in cases] for size in n]),
        )

    def predict(power: int = 2) -> Array:
        squared = [float(theory.powerlaw_fitting_ratio(alpha=a, beta=b, noise_rel=noise)) for a, b, noise in cases]
        return np.array(squared) ** (power / 2)

    def wrong(shift: float = 0.0, front: float = 0.0) -> Array:
        """Find the root on a grid, with another power, or another factor of the linear term."""
        r = np.linspace(0, 1, 400_000, endpoint=False)
        roots = []
        for a, b, noise in cases:
            rising = b - a + (a - 1 + front) * b * r - a * (a - 1) * noise * (1 - r) ** (b + shift)
            roots.append(np.interp(0.0, rising, r))
        return np.array(roots) ** 2

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "power beta - 1": lambda: wrong(shift=-1.0),
            "ratio for its square": lambda: predict(power=1),
            "alpha for alpha - 1": lambda: wrong(front=1.0),
            "never interpolate": lambda: np.maximum(predict(), 0.5),
        },
    )


@PAPER.claim(
    "obligatory-overfitting",
    statement=r"""Below the critical noise the best ridge at finite n is none or nearly so: train over test risk is
    below 1e-3; a fifth above it, it is not.""",
    source="corollary of theorem 2",
    agreement=Ordering(side="below"),
    controls=("a fifth above the critical noise", "threshold without alpha"),
)
def obligatory_overfitting(run: Run) -> Trial:
    """Tune ridges by brute force at four fifths of the critical noise."""
    n = run.size("samples", quick=800, standard=3200, full=12_800)
    cases = ((1.5, 2.5), (2.0, 3.5), (1.3, 2.0))

    def measure(factor: float = 0.8, critical: Callable[..., Any] = theory.powerlaw_critical_noise) -> Array:
        return np.array(
            [sim.tuned_power_law(a, b, factor * float(critical(alpha=a, beta=b)), n).fitting_ratio for a, b in cases]
        )

    def without_alpha(*, alpha: float, beta: float) -> float:
        return (beta - alpha) / (alpha - 1)

    return Trial(
        predict=lambda: np.full(len(cases), 1e-3),
        measure=measure,
        counterexamples={
            "a fifth above the critical noise": lambda: measure(1.2),
            "threshold without alpha": lambda: measure(0.8, without_alpha),
        },
        scale=np.ones(len(cases)),
    )


@PAPER.claim(
    "real-kernel",
    statement=r"""Learning curves of a deep network's tangent kernel on images of digits follow from the spectrum of
    the kernel and the power of the labels in its modes, within a twentieth.""",
    source="experiments",
    agreement=Equivalence(margin=0.05, resolution=0.1),
    controls=("labels of equal power", "one eigenvalue for all", "risk not amplified"),
)
def real_kernel(run: Run) -> Trial:
    """Fit kernel regression to digits that are drawn, and try it on all of them."""
    fits = run.size("samples drawn", quick=1000, standard=1000, full=4000)
    sizes = (60, 100, 160)
    points = run.size("digits", quick=900, standard=1797, full=1797)
    images, digits = load_digits(return_X_y=True)
    order = run.rng().permutation(len(images))[:points]
    x = images[order] / 16 - 0.3
    labels = np.eye(10)[digits[order]] - 0.1
    kernel = ntk.nngp_ntk(x, n_hidden=2, activation="relu", weight_std=2**0.5, bias_std=0.1).ntk
    kernel /= np.mean(np.diag(kernel))
    ridges, noise = np.array([0.02, 1.0]), 0.05
    spectrum = theory.kernel_spectrum(kernel, labels)

    def measure() -> Samples:
        found = []
        for n in sizes:
            fit = over_replicates(
                sim.population_ridge, run.keys(fits, f"{n}"), jnp.asarray(kernel), jnp.asarray(labels), ridges, noise, n
            )
            found.append(fit.test)
        return Samples(np.stack(found, axis=1))

    def predict(
        lam: Array = spectrum.eigenvalues, v2: Array = spectrum.coefficients_sq, amplified: bool = True
    ) -> Array:
        n = np.array(sizes)[:, None]
        result = theory.krr_risk(lam, v2, n=n, ridge=ridges, noise_var=10 * noise)
        return result.test / (1 if amplified else result.noise_amplification)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "labels of equal power": lambda: predict(v2=np.full(points, spectrum.coefficients_sq.mean())),
            "one eigenvalue for all": lambda: predict(lam=np.full(points, spectrum.eigenvalues.mean())),
            "risk not amplified": lambda: predict(amplified=False),
        },
    )
