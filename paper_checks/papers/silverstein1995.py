"""Silverstein 1995: the spectrum of sample covariances of correlated features, by an equation for its transform."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad_vec

from paper_checks.agreement import FiniteSize, Identity
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, Sizes
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as theory

PAPER = Paper(
    key="silverstein1995",
    title="Strong convergence of the empirical distribution of eigenvalues of large dimensional random matrices",
    authors="Jack W. Silverstein",
    year=1995,
    wing="kernel_regression",
)

Population = tuple[tuple[float, ...], tuple[float, ...]]  # eigenvalues and their weights

POPULATIONS: tuple[Population, ...] = (((1.0, 4.0), (0.25, 0.75)), ((0.5, 2.0, 6.0), (0.5, 0.25, 0.25)))
SPLIT: Population = ((1.0, 6.0), (0.3, 0.7))  # leaves a gap at a tenth as many features as samples


def _variances(population: Population, p: int, most: int) -> Array:
    """Return the variances of p features, and zeros up to the largest number that is drawn."""
    values, weights = population
    return np.append(np.repeat(values, np.round(p * np.array(weights)).astype(int)), np.zeros(most - p))


def _integrate(function: Callable[[float], Array], low: float, high: float) -> Array:
    """Integrate over a band, at whose ends a density has square roots; a cosine takes them away.

    Nodes crowd where they must: a gap that has nearly opened, or closed, makes a density steep inside of a band.
    """

    def integrand(angle: float) -> Array:
        return function(low + (high - low) * np.sin(angle / 2) ** 2) * np.sin(angle) * (high - low) / 2

    return quad_vec(integrand, 0, np.pi, epsabs=0, epsrel=1e-11, limit=2000, norm="max")[0]


def _weighed_density(x: float, *, s: Array, w: Array, ratio: float, powers: NDArray[Any]) -> Array:
    return theory.spectral_density(x, s, w, ratio=ratio) * x**powers


def _iterate(z: NDArray[Any], denominator: Callable[[complex], complex]) -> NDArray[Any]:
    """Iterate v = 1 / (denominator(v) - z), for wrong equations; above the axis it is a contraction."""
    found = []
    for point in z:
        v = -1 / point
        for _ in range(3000):
            v = 0.5 * (v + 1 / (denominator(v) - point))
        found.append(v)
    return np.array(found)


def _without_factor(v: complex, *, s: Array, w: Array, ratio: float) -> complex:
    """Return the sum of Silverstein's equation with s left out of its numerators."""
    return complex(ratio * np.sum(w / (1 + s * v)))


@PAPER.claim(
    "equation",
    statement=r"""The Stieltjes transform v of the Gram matrix of n samples of p = g n features, whose population
    covariance has eigenvalues $s_j$ in proportions $w_j$, tends to the root of $z = -\frac1v + g \sum_j \frac{w_j
    s_j}{1 + s_j v}$ in the upper half plane, with corrections of order 1/n.""",
    source="theorem 1.1, equation (1.4)",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.03),
    controls=(
        "n / p for p / n",
        "transform of the covariance",
        "mean variance for all",
        "s left out of the numerator",
        "weights exchanged",
    ),
)
def equation(run: Run) -> Trial:
    """Diagonalise Gram matrices of drawn data at sizes that double, off the axis and below the spectrum."""
    sizes = run.size("samples", quick=(8, 16, 32, 64), standard=(8, 16, 32, 64), full=(32, 64, 128, 256))
    draws = run.size("designs", quick=400, standard=1500, full=10_000)
    z = np.array([-0.5, 0.5 + 0.5j, 3.0 + 1.0j, 8.0 + 2.0j])
    cases = [(POPULATIONS[0], 0.5), (POPULATIONS[0], 2.0), (POPULATIONS[1], 2.0)]
    most = max(sizes)

    def measure() -> Sizes:
        found = []
        for n in sizes:
            traces = []
            for case, (population, ratio) in enumerate(cases):
                keys, variances = run.keys(draws, f"{n} {case}"), _variances(population, int(ratio * n), 2 * most)
                means = over_replicates(sim.spectral_means, keys, variances, z, np.array(n), most, True)
                traces.append(means.transform)
            found.append(np.stack(traces, axis=1))
        return Sizes(sizes, np.stack(found))

    def predict(change: str = "") -> Array:
        found = []
        v: NDArray[Any]
        for (values, weights), ratio in cases:
            s, w = np.array(values), np.array(weights)
            if change == "weights":
                w = w[::-1]
            elif change == "mean":
                s, w = np.array([w @ s]), np.ones(1)
            if change == "numerator":
                v = _iterate(z, partial(_without_factor, s=s, w=w, ratio=ratio))
            else:
                v = theory.companion_stieltjes(z, s, w, ratio=1 / ratio if change == "ratio" else ratio)
            if change == "covariance":
                v = (v + (1 - ratio) / z) / ratio
            found.append(np.stack([v.real, v.imag], axis=-1))
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "n / p for p / n": lambda: predict("ratio"),
            "transform of the covariance": lambda: predict("covariance"),
            "mean variance for all": lambda: predict("mean"),
            "s left out of the numerator": lambda: predict("numerator"),
            "weights exchanged": lambda: predict("weights"),
        },
        scale=1.0,
    )


def _problems(run: Run) -> list[tuple[Array, Array, float]]:
    """Draw populations of up to four eigenvalues, and ratios from a fifth to five."""
    rng = run.rng()
    number = run.size("populations", quick=8, standard=40, full=200)
    found = []
    for _ in range(number):
        levels = int(rng.integers(1, 5))
        found.append(
            (np.exp(rng.uniform(-1, 1, levels)), rng.dirichlet(np.ones(levels)), np.exp(rng.uniform(-1.6, 1.6)))
        )
    return found


def _counted(run: Run, order: int) -> Array:
    return np.array([sim.gram_moments(order, g, s, w) for s, w, g in _problems(run)])


@PAPER.claim(
    "moments",
    statement=r"""Around the spectrum, v is the transform of the law whose moments are the limits of $\frac1n E\,
    \mathrm{tr} (X X^\top / n)^k$.""",
    source="theorem 1.1, by moments",
    # integrals over a circle cancel down from the radius to the k-th power, by a factor 1e3 for k = 6
    agreement=Identity(rtol=1e-10),
    controls=("n / p for p / n", "mean variance for all", "transform of the covariance", "features drawn anew"),
)
def moments(run: Run) -> Trial:
    """Count pairings of the factors of traces; theory by integrals of v over circles around spectra."""
    order = run.size("highest power", quick=5, standard=6, full=7)

    def predict(change: str = "") -> Array:
        found = []
        for s, w, g in _problems(run):
            ratio = 1 / g if change == "ratio" else g
            values, weights = (np.array([w @ s]), np.ones(1)) if change == "mean" else (s, w)
            # a circle around zero and all of the spectrum, above which no eigenvalue lies
            radius = 0.75 * s.max() * (1 + np.sqrt(max(ratio, g))) ** 2
            turn = np.exp(2j * np.pi * (np.arange(256) + 0.5) / 256)
            z = radius * (2 / 3 + turn)
            v = theory.companion_stieltjes(z, values, weights, ratio=ratio)
            if change == "covariance":
                v = (v + (1 - g) / z) / g
            found.append([-np.mean(z**k * v * radius * turn).real for k in range(1, order + 1)])
        return np.array(found)

    def redrawn() -> Array:
        """Multiply instead of compounding: moments of uncorrelated features times those of the population."""
        return np.array(
            [
                [w @ s**k * sim.gram_moments(order, g, [1.0], [1.0])[k - 1] for k in range(1, order + 1)]
                for s, w, g in _problems(run)
            ]
        )

    return Trial(
        predict=predict,
        measure=lambda: _counted(run, order),
        controls={
            "n / p for p / n": lambda: predict("ratio"),
            "mean variance for all": lambda: predict("mean"),
            "transform of the covariance": lambda: predict("covariance"),
            "features drawn anew": redrawn,
        },
    )


@PAPER.claim(
    "density",
    statement=r"""The density of the covariance is $\frac{1}{\pi g} \mathrm{Im}\, v(x + i0)$, between edges $z(v)$ at
    the real points where $\frac1{v^2} = g \sum_j \frac{w_j s_j^2}{(1 + s_j v)^2}$.""",
    source="Silverstein and Choi 1995, theorems 1.1 and 4.1",
    agreement=Identity(rtol=1e-9),  # quadrature to 1e-11
    controls=("Gram matrix for covariance", "edges of the mean variance", "n / p for p / n", "every eigenvalue alone"),
)
def density(run: Run) -> Trial:
    """Count pairings of the factors of traces; theory by integrals of the density over its bands."""
    order = 4
    problems = [*_problems(run), (np.array([1.0, 6.0]), np.array([0.3, 0.7]), 0.1)]

    def measure() -> Array:
        return np.array([sim.gram_moments(order, g, s, w) / g for s, w, g in problems])

    def predict(change: str = "") -> Array:
        found = []
        for s, w, g in problems:
            ratio = 1 / g if change == "ratio" else g
            edges = theory.spectral_edges(s, w, ratio=ratio)
            if change == "edges":
                edges = np.array(theory.mp_support(ratio=g, variance=w @ s))
            elif change == "alone":
                edges = np.stack(theory.mp_support(ratio=g * w, variance=s), axis=1)
            total, powers = np.zeros(order), np.arange(1, order + 1)
            for low, high in edges.reshape(-1, 2):
                total += _integrate(partial(_weighed_density, s=s, w=w, ratio=ratio, powers=powers), low, high)
            found.append(total * (g if change == "gram" else 1.0))
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "Gram matrix for covariance": lambda: predict("gram"),
            "edges of the mean variance": lambda: predict("edges"),
            "n / p for p / n": lambda: predict("ratio"),
            "every eigenvalue alone": lambda: predict("alone"),
        },
    )


@PAPER.claim(
    "exact-separation",
    statement=r"""Where the spectrum has a gap, the part below holds just the weight of the population eigenvalues
    below, and so many eigenvalues of drawn data.""",
    source="Bai and Silverstein 1999, theorem 1.1",
    # quadrature to 1e-11
    agreement=Identity(rtol=1e-9),
    controls=("half", "share of the trace", "Marchenko-Pastur of the mean variance", "other side of the gap"),
)
def exact_separation(run: Run) -> Trial:
    """Count the eigenvalues of drawn covariances below a point in the gap."""
    n, draws = run.size("samples, designs", quick=(600, 20), standard=(1000, 40), full=(4000, 100))
    cut, ratio = 2.2, 0.1
    variances = _variances(SPLIT, n // 10, n // 10)

    def measure() -> Array:
        x = over_replicates(sim.covariance_spectrum, run.keys(draws), variances, np.array(n), n)
        return np.mean(np.asarray(x) < cut, axis=1)

    def predict() -> Array:
        edges = theory.spectral_edges(*SPLIT, ratio=ratio)
        return np.full(draws, _integrate(lambda x: theory.spectral_density(x, *SPLIT, ratio=ratio), *edges[:2]))

    def of_the_mean() -> Array:
        law = {"ratio": ratio, "variance": float(np.dot(*SPLIT))}
        low = float(theory.mp_support(**law).low)
        return np.full(draws, _integrate(lambda x: theory.mp_density(x, **law), low, max(cut, low)))

    (low, high), (few, many) = SPLIT
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "half": lambda: np.full(draws, 0.5),
            "share of the trace": lambda: np.full(draws, low * few / (low * few + high * many)),
            "Marchenko-Pastur of the mean variance": of_the_mean,
            "other side of the gap": lambda: 1 - predict(),
        },
        scale=1.0,
    )


@PAPER.claim(
    "edges",
    statement=r"""The extreme eigenvalues of either band of drawn data tend to the edges of the density, on either side
    of a gap too.""",
    source="Bai and Silverstein 1998; corrections of power 2/3 after El Karoui 2007",
    agreement=FiniteSize(exponent=2 / 3, second=1, of="limit", resolution=0.1),
    controls=("every eigenvalue alone", "population eigenvalues", "n / p for p / n", "mean variance for all"),
)
def edges(run: Run) -> Trial:
    """Diagonalise covariances with a tenth as many features as samples, at sizes that double."""
    sizes = run.size("features", quick=(10, 20, 40, 80), standard=(10, 20, 40, 80), full=(40, 80, 160, 320))
    draws = run.size("designs", quick=300, standard=1200, full=10_000)
    ratio, first = 0.1, SPLIT[1][0]

    def measure() -> Sizes:
        found = []
        for p in sizes:
            keys = run.keys(draws, f"{p}")
            variances = _variances(SPLIT, p, max(sizes))
            x = over_replicates(sim.covariance_spectrum, keys, variances, np.array(10 * p), 10 * max(sizes))[:, -p:]
            last = round(first * p)
            found.append(x[:, [0, last - 1, last, p - 1]])
        return Sizes(sizes, np.stack(found))

    def alone() -> Array:
        s, w = (np.array(part) for part in SPLIT)
        return np.stack(theory.mp_support(ratio=ratio * w, variance=s), axis=1).ravel()

    def of_the_mean() -> Array:
        low, high = theory.mp_support(ratio=ratio, variance=float(np.dot(*SPLIT)))
        return np.array([low, low, high, high])

    return Trial(
        predict=lambda: theory.spectral_edges(*SPLIT, ratio=ratio),
        measure=measure,
        controls={
            "every eigenvalue alone": alone,
            "population eigenvalues": lambda: np.repeat(SPLIT[0], 2),
            "n / p for p / n": lambda: np.array(theory.spectral_edges(*SPLIT, ratio=1 / ratio))[[0, 0, 1, 1]],
            "mean variance for all": of_the_mean,
        },
    )
