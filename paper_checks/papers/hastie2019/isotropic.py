"""Features that are not correlated: ridge regression, its best ridge, and interpolation, exactly and in the limit."""

from collections.abc import Callable

import numpy as np

from paper_checks.agreement import FiniteSize, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples, Sizes
from paper_checks.papers.hastie2019.designs import (
    NOISE,
    RATIOS,
    RIDGES,
    SIGNAL,
    isotropic,
    least_norm_fits,
    ridge_fits,
)
from paper_checks.papers.hastie2019.paper import PAPER
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as theory


def _parts(risk: theory.RidgeRisk) -> Array:
    """Stack bias and variance for every ratio, (ratios, 2, ridges)."""
    return np.stack([risk.bias, risk.variance], axis=1)


@PAPER.claim(
    "ridge-isotropic",
    statement=r"""For uncorrelated features, as n and p = g n grow, ridge regression $(X^\top X / n + \lambda)^{-1}
    X^\top y / n$ has the squared bias $r^2 \lambda^2 m'(-\lambda)$ and the variance $\sigma^2 g [m(-\lambda) - \lambda
    m'(-\lambda)]$, with corrections of order 1/n.""",
    source="theorem on ridge regression, isotropic features",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.06),
    controls=("m^2 for its derivative", "n lambda for lambda", "2 lambda for lambda", "n / p for p / n", "noise alone"),
)
def ridge_isotropic(run: Run) -> Trial:
    """Solve for the weights at two ridges, with half, as many, and twice as many features as samples."""
    g = np.array(RATIOS)[:, None]

    def predict(ridges: Array = RIDGES, g: Array = g, signal: float = SIGNAL) -> Array:
        return _parts(theory.ridge_risk_isotropic(ratio=g, ridge=ridges, signal=signal, noise_var=NOISE))

    def squared() -> Array:
        m = theory.mp_stieltjes(-RIDGES, ratio=g).real
        return np.stack([SIGNAL * (RIDGES * m) ** 2, NOISE * g * (m - RIDGES * m**2)], axis=1)

    return Trial(
        predict=predict,
        measure=lambda: ridge_fits(run, isotropic),
        controls={
            "m^2 for its derivative": squared,
            "n lambda for lambda": lambda: predict(8 * RIDGES),
            "2 lambda for lambda": lambda: predict(2 * RIDGES),
            "n / p for p / n": lambda: predict(g=1 / g),
            "noise alone": lambda: predict(signal=NOISE),
        },
        scale="largest",
    )


@PAPER.claim(
    "optimal-ridge",
    statement=r"""On any design the risk, averaged over directions of beta, is least at $\lambda = \sigma^2 p / (n
    r^2)$.""",
    source="corollary on the best ridge",
    # bisection of a derivative: the root is known to rounding over curvature, some 1e-13
    agreement=Identity(rtol=1e-9),
    controls=("sigma^2 / r^2", "sigma^2 p / r^2", "sigma p / (n r)", "n / p for p / n"),
)
def optimal_ridge(run: Run) -> Trial:
    """Bisect on the sign of the derivative, on a few designs of half to four times as many samples as features."""
    p, designs = run.size("features, designs", quick=(16, 10), standard=(32, 40), full=(128, 100))
    shares = np.array([0.5, 1.0, 1.5, 4.0])  # samples over features

    def measure() -> Array:
        labels, shape = sim.Labels(SIGNAL, NOISE, np.ones(1)), (round(p * shares[-1]), p)
        return over_replicates(sim.tuned_ridge, run.keys(designs), shares, np.array(p), labels, shape).ridge

    def predict(change: Callable[[Array, Array], Array] = lambda ridge, g: ridge) -> Array:
        g = 1 / shares
        ridge = theory.optimal_ridge_isotropic(ratio=g, signal=SIGNAL, noise_var=NOISE).ridge
        return np.broadcast_to(change(ridge, g), (designs, len(shares)))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "sigma^2 / r^2": lambda: predict(lambda ridge, g: ridge / g),
            "sigma^2 p / r^2": lambda: predict(lambda ridge, g: ridge * p / g),
            "sigma p / (n r)": lambda: predict(lambda ridge, g: g * np.sqrt(ridge / g)),
            "n / p for p / n": lambda: predict(lambda ridge, g: ridge / g**2),
        },
    )


@PAPER.claim(
    "ridgeless-isotropic",
    statement=r"""With n samples of p uncorrelated normal features, and no ridge, the mean risk is $\frac{\sigma^2 p}{n
    - p - 1}$ for $p < n - 1$, and the sum of $r^2 (1 - \frac np)$ and $\frac{\sigma^2 n}{p - n - 1}$ for $p > n + 1$,
    at any size.""",
    source="theorem 1, at finite size by the mean of an inverse Wishart matrix",
    agreement=MonteCarlo(resolution=0.03),
    controls=("limit of large n", "bias r^2 (1 - n/p)^2", "n and p exchanged", "- 2 for - 1", "no bias"),
)
def ridgeless_isotropic(run: Run) -> Trial:
    """Solve for the weights without a ridge at four small sizes."""
    designs = run.size("designs", quick=8000, standard=32_000, full=1_000_000)
    shapes = [(30, 10), (40, 20), (20, 40), (12, 48)]  # samples, features

    def predict(signal: float = SIGNAL) -> Array:
        found = [theory.ridgeless_risk_finite(n=n, p=p, signal=signal, noise_var=NOISE) for n, p in shapes]
        return np.array([risk.total for risk in found], dtype=float)

    def limit() -> Array:
        g = np.array([p / n for n, p in shapes])
        return theory.ridgeless_risk_isotropic(ratio=g, signal=SIGNAL, noise_var=NOISE).total

    def squared() -> Array:
        return predict() - SIGNAL * np.array([max(1 - n / p, 0) * min(n / p, 1) for n, p in shapes])

    def exchanged() -> Array:
        found = [theory.ridgeless_risk_finite(n=p, p=n, signal=SIGNAL, noise_var=NOISE) for n, p in shapes]
        return np.array([risk.total for risk in found], dtype=float)

    def shifted() -> Array:
        return predict() + NOISE * np.array(
            [min(n, p) * (1 / (abs(n - p) - 2) - 1 / (abs(n - p) - 1)) for n, p in shapes]
        )

    return Trial(
        predict=predict,
        measure=lambda: Samples(least_norm_fits(run, shapes, designs, isotropic).sum(axis=2)),
        controls={
            "limit of large n": limit,
            "bias r^2 (1 - n/p)^2": squared,
            "n and p exchanged": exchanged,
            "- 2 for - 1": shifted,
            "no bias": lambda: predict(signal=0.0),
        },
    )


@PAPER.claim(
    "ridgeless-limit",
    statement=r"""As n and p = g n grow the risk without a ridge tends to $\frac{\sigma^2 g}{1 - g}$ for $g < 1$, and
    to $r^2 (1 - \frac1g) + \frac{\sigma^2}{g - 1}$ for $g > 1$, with corrections of order 1/n.""",
    source="theorem 1",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.1),
    controls=("bias left out", "r^2 (1 - 1/g)^2", "n / p for p / n", "sigma^2 / (1 - g)"),
)
def ridgeless_limit(run: Run) -> Trial:
    """Solve for the weights without a ridge at sizes that double."""
    sizes = run.size("size", quick=(1, 2, 4, 8), standard=(1, 2, 4, 8), full=(2, 4, 8, 16))
    designs = run.size("designs", quick=600, standard=2400, full=100_000)
    shapes = [(16, 4), (16, 8), (8, 24)]  # samples and features, in units of the size
    samples, features = np.array(shapes).T
    ratios = features / samples

    def measure() -> Sizes:
        every = [(c * n, c * p) for c in sizes for n, p in shapes]
        risks = least_norm_fits(run, every, designs, isotropic).sum(axis=2)
        return Sizes(sizes, risks.reshape(designs, len(sizes), len(shapes)).transpose(1, 0, 2))

    def predict(g: Array = ratios, signal: float = SIGNAL) -> Array:
        return theory.ridgeless_risk_isotropic(ratio=g, signal=signal, noise_var=NOISE).total

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "bias left out": lambda: predict(signal=0.0),
            "r^2 (1 - 1/g)^2": lambda: predict() - SIGNAL * np.maximum(1 - 1 / ratios, 0) / ratios,
            "n / p for p / n": lambda: predict(1 / ratios),
            "sigma^2 / (1 - g)": lambda: predict() + NOISE * (ratios < 1),
        },
    )
