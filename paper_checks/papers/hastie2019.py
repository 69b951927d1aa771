"""Hastie, Montanari, Rosset and Tibshirani 2019: ridge regression and interpolation in high dimension."""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.optimize import brentq

from paper_checks.agreement import FiniteSize, Identity, MonteCarlo
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, Samples, Sizes
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as theory

PAPER = Paper(
    key="hastie2019",
    title="Surprises in high-dimensional ridgeless least squares interpolation",
    authors="Trevor Hastie, Andrea Montanari, Saharon Rosset, Ryan J. Tibshirani",
    year=2019,
    arxiv="1903.08560",
    wing="kernel_regression",
)

SIGNAL, NOISE = 1.5, 0.7
RATIOS = (0.5, 1.0, 2.0)  # features over samples
RIDGES = np.array([0.5, 2.0])

# three levels of variances, the largest of which carry little of the signal
LEVELS, SHARES, ENERGIES = (0.3, 1.0, 4.0), (0.5, 0.25, 0.25), (0.3, 1.2, 0.2)


def _isotropic(p: int, most: int) -> tuple[Array, Array]:
    """Variances of p features, zeros up to ``most``, and the coefficients of the first four; others have none."""
    return _filled(np.ones(p), most), np.sqrt(SIGNAL * np.array([0.4, 0.3, 0.2, 0.1]))


def _levels(p: int, most: int) -> tuple[Array, Array]:
    """Variances and coefficients of p features on three levels; ``ENERGIES`` are squared lengths of the levels."""
    often = np.round(p * np.array(SHARES)).astype(int)
    energy = np.repeat(np.array(ENERGIES) / often, often)
    return _filled(np.repeat(LEVELS, often), most), _filled(np.sqrt(energy), most)


def _filled(values: Array, most: int) -> Array:
    return np.append(values, np.zeros(most - values.size))


Design = Callable[[int, int], tuple[Array, Array]]


def _sizes(run: Run) -> tuple[tuple[int, ...], int]:
    sizes = run.size("samples", quick=(8, 16, 32, 64), standard=(8, 16, 32, 64), full=(32, 64, 128, 256))
    return sizes, run.size("designs", quick=400, standard=1500, full=20_000)


def _ridge_fits(run: Run, design: Design) -> Sizes:
    """Fit designs at all ridges: bias and variance, (sizes, designs, ratios, 2, ridges)."""
    sizes, designs = _sizes(run)
    most = max(sizes)
    found = []
    for n in sizes:
        parts = []
        for g in RATIOS:
            keys, problem = run.keys(designs, f"{n} {g}"), design(round(g * n), round(g * most))
            fit = over_replicates(sim.ridge_parts, keys, *problem, RIDGES, np.array(n), most)
            parts.append(np.stack([fit.bias, NOISE * fit.variance], axis=1))
        found.append(np.stack(parts, axis=1))
    return Sizes(sizes, np.stack(found))


def _least_norm_fits(run: Run, shapes: list[tuple[int, int]], designs: int, design: Design) -> Array:
    """Fit designs of the given samples and features without a ridge: bias and variance, (designs, shapes, 2)."""
    found = []
    for n, p in shapes:
        alike = [(a, b) for a, b in shapes if (a < b) == (n < p)]
        rows, features = (max(sizes) for sizes in zip(*alike, strict=True))
        keys = run.keys(designs, f"{n} {p}")
        fit = over_replicates(sim.least_norm_parts, keys, *design(p, features), np.array(n), rows, n < p)
        found.append(np.stack([fit.bias, NOISE * fit.variance], axis=1))
    return np.stack(found, axis=1)


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
        measure=lambda: _ridge_fits(run, _isotropic),
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
        measure=lambda: Samples(_least_norm_fits(run, shapes, designs, _isotropic).sum(axis=2)),
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
        risks = _least_norm_fits(run, every, designs, _isotropic).sum(axis=2)
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


def _printed(p: int, ratio: float, *, by_energy: bool = True) -> Array:
    """Bias and variance of interpolation as printed, by c_0, over spectra weighed by number and by energy."""
    s, beta = _levels(p, p)
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
    sizes, designs = _sizes(run)

    def measure() -> Sizes:
        every = [(n, round(g * n)) for n in sizes for g in ratios]
        parts = _least_norm_fits(run, every, designs, _levels).reshape(designs, len(sizes), len(ratios), 2)
        # for the framework and for the printed form
        return Sizes(sizes, np.stack([parts, parts], axis=2).transpose(1, 0, 2, 3, 4))

    def framework(g: float, change: str = "") -> Array:
        s, beta = _levels(round(64 * g), round(64 * g))
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
        s, beta = _levels(round(n * g), round(n * g))
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
        measure=lambda: _ridge_fits(run, _levels),
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
    sizes, designs = _sizes(run)
    g = np.array(RATIOS)

    def measure() -> Sizes:
        most = max(sizes)
        found = []
        for n in sizes:
            parts = []
            for ratio in RATIOS:
                s, keys = _levels(round(ratio * n), round(ratio * most))[0], run.keys(designs, f"{n} {ratio}")
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
        spectra = [_levels(round(ratio * n), round(ratio * n))[0] for ratio in RATIOS]
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
