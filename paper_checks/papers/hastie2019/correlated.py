"""Correlated features: interpolation, ridge regression, and the effective ridge that both share with kernels."""

from functools import partial

import numpy as np
from scipy.optimize import brentq

from paper_checks.agreement import FiniteSize
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Sizes
from paper_checks.papers.hastie2019.designs import (
    LEVELS,
    NOISE,
    RATIOS,
    RIDGES,
    SHARES,
    least_norm_fits,
    levels,
    ridge_fits,
    sizes_and_designs,
)
from paper_checks.papers.hastie2019.paper import PAPER
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as theory


def _printed(p: int, ratio: float, *, by_energy: bool = True) -> Array:
    """Bias and variance of interpolation as printed, by c_0, over spectra weighed by number and by energy."""
    s, beta = levels(p, p)
    energy = beta**2 if by_energy else np.full(p, np.mean(beta**2))

    def missing(c: float) -> float:
        return float(np.mean(1 / (1 + c * ratio * s))) - (1 - 1 / ratio)

    c = brentq(missing, 1e-9, 1e9, xtol=1e-300, rtol=1e-14)
    shrunk = 1 / (1 + c * ratio * s) ** 2
    amplified = ratio * c * np.mean(s**2 * shrunk) / np.mean(s * shrunk)
    return np.array([(1 + amplified) * np.sum(energy * s * shrunk), NOISE * amplified])


@PAPER.claim(
    "ridgeless-anisotropic",
    statement=r"""With correlated features, g > 1, and $c_0$ the root of $1 - \frac1g = \int \frac{dH(s)}{1 + c_0 g s}$,
    interpolation has the variance $\sigma^2 g c_0 A / B$ and the squared bias $r^2 (1 + g c_0 A / B) \int \frac{s\,
    dG(s)}{(1 + c_0 g s)^2}$, with $A = \int \frac{s^2 dH}{(1 + c_0 g s)^2}$ and $B = \int \frac{s\, dH}{(1 + c_0 g
    s)^2}$. That is the kernel framework at $\kappa = 1 / (c_0 g)$.""",
    source="theorem on correlated features",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.08),
    controls=("mean variance for all", "energy spread evenly", "bias not amplified", "ratios exchanged"),
)
def ridgeless_anisotropic(run: Run) -> Trial:
    """Interpolate data whose variances are on three levels; the signal is mostly in the middle one."""
    ratios = (2.5, 3.5)  # closer to 1 the smallest designs have heavy tails
    sizes, designs = sizes_and_designs(run)

    def measure() -> Sizes:
        every = [(n, round(g * n)) for n in sizes for g in ratios]
        parts = least_norm_fits(run, every, designs, levels).reshape(designs, len(sizes), len(ratios), 2)
        # for the framework and for the printed form
        return Sizes(sizes, np.stack([parts, parts], axis=2).transpose(1, 0, 2, 3, 4))

    def framework(g: float, change: str = "") -> Array:
        s, beta = levels(round(64 * g), round(64 * g))
        if change == "mean":
            s = np.full(s.size, s.mean())
        risk = theory.ridge_risk(s, beta, n=64, ridge=0.0, noise_var=NOISE)
        return np.array([risk.bias / (1 + risk.variance / NOISE if change == "bias" else 1), risk.variance])

    def predict(change: str = "") -> Array:
        return np.array([[framework(g, change) for g in ratios], [_printed(round(64 * g), g) for g in ratios]])

    def printed(**changes: bool) -> Array:
        return np.array([predict()[0], [_printed(round(64 * g), g, **changes) for g in ratios]])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "mean variance for all": lambda: predict("mean"),
            "energy spread evenly": lambda: printed(by_energy=False),
            "bias not amplified": lambda: predict("bias"),
            "ratios exchanged": lambda: predict()[:, ::-1],
        },
        scale="largest",
    )


@PAPER.claim(
    "ridge-anisotropic",
    statement=r"""With correlated features the squared bias of ridge regression tends to $E_0 \sum_i \frac{\kappa^2 s_i
    \beta_i^2}{(s_i + \kappa)^2}$ and the variance to $\sigma^2 (E_0 - 1)$, where $\kappa$ is the effective ridge of n
    samples at the ridge $n \lambda$, on both sides of n = p.""",
    source="theorem on ridge regression, correlated features; Dobriban and Wager 2018",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.06),
    controls=("lambda for n lambda", "mean variance for all", "bias not amplified", "energy spread evenly"),
)
def ridge_anisotropic(run: Run) -> Trial:
    """Solve for the weights at two ridges, with half, as many, and twice as many features as samples."""
    n = 64

    def risk(g: float, change: str = "") -> theory.RidgeRisk:
        s, beta = levels(round(n * g), round(n * g))
        if change == "mean":
            s = np.full(s.size, s.mean())
        if change == "energy":
            beta = np.full(s.size, np.sqrt(np.mean(beta**2)))
        found = theory.ridge_risk(s, beta, n=n, ridge=RIDGES / (n if change == "ridge" else 1), noise_var=NOISE)
        return found._replace(bias=found.bias / (1 + found.variance / NOISE)) if change == "bias" else found

    def predict(change: str = "") -> Array:
        risks = [risk(g, change) for g in RATIOS]
        return np.array([[found.bias, found.variance] for found in risks])

    return Trial(
        predict=predict,
        measure=lambda: ridge_fits(run, levels),
        controls={
            "lambda for n lambda": partial(predict, "ridge"),
            "mean variance for all": partial(predict, "mean"),
            "bias not amplified": partial(predict, "bias"),
            "energy spread evenly": partial(predict, "energy"),
        },
        scale="largest",
    )


@PAPER.claim(
    "effective-ridge",
    statement=r"""$\frac1n \mathrm{tr} (X X^\top / n + \lambda)^{-1}$ tends to $v(-\lambda)$, the companion transform of
    the spectrum, which is $1/\kappa$ for the effective ridge $\kappa$ of n samples at the ridge $n \lambda$.""",
    source="the resolvents of random matrices and the kernel framework are one; derived",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.02),
    controls=("m for v", "lambda for n lambda", "mean variance for all", "1 / lambda"),
)
def effective_ridge(run: Run) -> Trial:
    """Trace the inverses of ridged Gram matrices of correlated features, at sizes that double."""
    sizes, designs = sizes_and_designs(run)
    g = np.array(RATIOS)

    def measure() -> Sizes:
        most = max(sizes)
        found = []
        for n in sizes:
            parts = []
            for ratio in RATIOS:
                s, keys = levels(round(ratio * n), round(ratio * most))[0], run.keys(designs, f"{n} {ratio}")
                means = over_replicates(sim.spectral_means, keys, s, -RIDGES, np.array(n), most, True)
                parts.append(means.transform[..., 0])
            traces = np.stack(parts, axis=1)
            found.append(np.stack([traces, traces], axis=1))  # for either theory
        return Sizes(sizes, np.stack(found))

    def transform(change: str = "") -> Array:
        s, w = (np.array(part) for part in (LEVELS, SHARES))
        if change == "mean":
            s, w = np.array([w @ s]), np.ones(1)
        v = np.array([theory.companion_stieltjes(-RIDGES, s, w, ratio=ratio).real for ratio in RATIOS])
        return (v - (1 - g[:, None]) / RIDGES) / g[:, None] if change == "covariance" else v

    def kernel(n: int = 64, ridge: float = 64.0) -> Array:
        spectra = [levels(round(ratio * n), round(ratio * n))[0] for ratio in RATIOS]
        return np.array([1 / theory.solve_kappa_gamma(s, n=n, ridge=ridge * RIDGES)[0] for s in spectra])

    return Trial(
        predict=lambda: np.array([transform(), kernel()]),
        measure=measure,
        controls={
            "m for v": lambda: np.array([transform("covariance"), kernel()]),
            "lambda for n lambda": lambda: np.array([transform(), kernel(ridge=1.0)]),
            "mean variance for all": lambda: np.array([transform("mean"), kernel()]),
            "1 / lambda": lambda: np.broadcast_to(1 / RIDGES, (2, 3, 2)),
        },
    )
