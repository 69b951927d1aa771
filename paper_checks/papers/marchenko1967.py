"""Marchenko and Pastur 1967: the spectrum of the covariance of uncorrelated features."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import ConvergenceOrder, FiniteSize, Identity
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, Sizes, Steps, components
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as theory

PAPER = Paper(
    key="marchenko1967",
    title="Distribution of eigenvalues for some sets of random matrices",
    authors="Vladimir Marchenko, Leonid Pastur",
    year=1967,
    wing="kernel_regression",
)

RATIOS = (0.3, 1.0, 1.7)  # features over samples
VARIANCE = 1.5
Transform = Callable[..., NDArray[Any]]


class _Law(NamedTuple):
    """Nodes and weights that integrate over the density, and the mass at zero."""

    nodes: Array
    weights: Array
    atom: float

    def mean(self, function: Callable[[Array], Array], at_zero: float = 0.0) -> Array:
        return function(self.nodes) @ self.weights + self.atom * at_zero


def _law(ratio: float, variance: float = 1.0, atom: bool = True) -> _Law:
    """Integrate by a cosine, which takes away the square roots at both ends."""
    low, high = theory.mp_support(ratio=ratio, variance=variance)
    angle = np.pi * (np.arange(4000) + 0.5) / 4000
    x = low + (high - low) * np.sin(angle / 2) ** 2
    weights = theory.mp_density(x, ratio=ratio, variance=variance) * np.sin(angle) * (high - low) / 2 * np.pi / 4000
    return _Law(x, weights, atom * max(0.0, 1 - 1 / ratio))


def _parts(values: NDArray[Any]) -> Array:
    return np.stack([np.real(values), np.imag(values)], axis=-1)


def _one_root(z: NDArray[Any], *, ratio: float, variance: float) -> NDArray[Any]:
    """Take the root of the product of distances to both ends, in place of the product of their roots."""
    low, high = theory.mp_support(ratio=ratio, variance=variance)
    root = np.sqrt((z - low) * (z - high) + 0j)
    return (variance * (1 - ratio) - z + root) / (2 * ratio * variance * z)


def _from_density(z: NDArray[Any], *, ratio: float, variance: float, atom: bool = True) -> NDArray[Any]:
    law = _law(ratio, variance, atom)
    return (law.weights / (law.nodes - z[:, None])).sum(axis=1) - law.atom / z


@PAPER.claim(
    "density-stieltjes",
    statement=r"""Eigenvalues have the density $\frac{\sqrt{(b - x)(x - a)}}{2 \pi g s x}$ between $s (1 \mp \sqrt
    g)^2$, and a mass $(1 - 1/g)_+$ at zero; its Stieltjes transform is $\frac{s (1 - g) - z + \sqrt{z - a} \sqrt{z -
    b}}{2 g s z}$, a product of two principal roots.""",
    source="theorem 1, for independent entries",
    # elimination of a well-conditioned tridiagonal matrix; sums of 4000 terms
    agreement=Identity(rtol=1e-11),
    controls=(
        "root of the product",
        "without the mass at zero",
        "n / p for p / n",
        "Cauchy transform",
        "variance left out",
    ),
)
def density_stieltjes(run: Run) -> Trial:
    """Invert the bidiagonal form that the data take, at infinite size, on both sides of the middle of the spectrum."""
    number = run.size("points", quick=40, standard=200, full=1000)
    rng = run.rng()
    z = VARIANCE * (rng.uniform(-1, 6, number) + 1j * np.exp(rng.uniform(np.log(0.1), np.log(3), number)))
    z[: number // 4] = -np.exp(rng.uniform(-3, 3, number // 4))

    def measure() -> Array:
        found = [_parts(sim.endless_resolvent(z, ratio, 2000, VARIANCE)) for ratio in RATIOS]
        return np.stack([found, found])

    def predict(
        closed: Transform = theory.mp_stieltjes,
        integral: Transform = _from_density,
        invert: bool = False,
        variance: float = VARIANCE,
    ) -> Array:
        ratios = [1 / ratio if invert else ratio for ratio in RATIOS]
        return np.stack(
            [[_parts(f(z, ratio=ratio, variance=variance)) for ratio in ratios] for f in (closed, integral)]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "root of the product": lambda: predict(closed=_one_root),
            "without the mass at zero": lambda: predict(integral=partial(_from_density, atom=False)),
            "n / p for p / n": lambda: predict(invert=True),
            "Cauchy transform": lambda: -predict(),
            "variance left out": lambda: predict(variance=1.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "moments",
    statement=r"""The mean of $x^k$ over the law is the limit of $\frac1p E\, \mathrm{tr} (X^\top X / n)^k$, 1 with the
    mass at zero for k = 0.""",
    source="theorem 1, by moments",
    agreement=Identity(rtol=1e-12),  # sums of 4000 positive terms
    controls=("without the mass at zero", "x left out of the density", "n / p for p / n", "g = 1 throughout"),
)
def moments(run: Run) -> Trial:
    """Count the ways to pair the factors of a trace of normal matrices that count at infinite size."""
    order = run.size("highest power", quick=6, standard=7, full=7)
    ratios = np.array([0.2, 1.0, 3.0])

    def measure() -> Array:
        counted = [sim.gram_moments(order, ratio, [1.0], [1.0]) / ratio for ratio in ratios]
        return np.array([np.append(1.0, values) for values in counted])

    def predict(ratios: Array = ratios, atom: bool = True, flat: bool = False) -> Array:
        found = []
        for ratio in ratios:
            law = _law(ratio, atom=atom)
            weights = law.weights * law.nodes if flat else law.weights
            if flat:
                weights /= weights.sum()
            found.append([law.atom * (k == 0) + law.nodes**k @ weights for k in range(order + 1)])
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "without the mass at zero": lambda: predict(atom=False),
            "x left out of the density": lambda: predict(flat=True),
            "n / p for p / n": lambda: predict(1 / ratios),
            "g = 1 throughout": lambda: predict(np.ones(3)),
        },
    )


@PAPER.claim(
    "support",
    statement=r"""The continuous spectrum ends at $s (1 - \sqrt g)^2$ and $s (1 + \sqrt g)^2$.""",
    source="theorem 1",
    agreement=ConvergenceOrder(order=2, resolution=1e-4, accuracy=1e-14),
    controls=("(1 -+ g)^2", "1 -+ sqrt g", "1 + g -+ sqrt g", "n / p for p / n"),
)
def support(run: Run) -> Trial:
    """Find the extreme eigenvalues of ever more rows of the bidiagonal form at infinite size."""
    rows = run.size("rows", quick=(16, 32, 64, 128), standard=(32, 64, 128, 256), full=(64, 128, 256, 512))
    ratios = np.array([0.3, 0.8, 1.7])

    def measure() -> Steps:
        found = [[sim.endless_extremes(ratio, number - 1) for ratio in ratios] for number in rows]
        return Steps(1 / np.array(rows), np.array(found))

    def predict(g: Array = ratios) -> Array:
        return np.stack(theory.mp_support(ratio=g), axis=-1)

    def wrong(middle: Array, half: Array) -> Array:
        return np.stack([middle - half, middle + half], axis=-1)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "(1 -+ g)^2": lambda: predict(ratios**2),
            "1 -+ sqrt g": lambda: wrong(np.ones(3), np.sqrt(ratios)),
            "1 + g -+ sqrt g": lambda: wrong(1 + ratios, np.sqrt(ratios)),
            "n / p for p / n": lambda: predict(1 / ratios),
        },
        scale="largest",
    )


@PAPER.claim(
    "drawn-spectra",
    statement=r"""The spectra of drawn data tend to the law: their transforms, mean squares, share of zeros, and for
    $g < 1$ the mean logarithm, to $-1 - \frac{1 - g}{g} \ln (1 - g)$, with corrections of order 1/n.""",
    source="theorem 1; corrections by Bai and Silverstein 2004",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("root of the product", "without the mass at zero", "n / p for p / n", "logarithm of the mean"),
)
def drawn_spectra(run: Run) -> Trial:
    """Diagonalise covariances with fewer and with more features than samples, at sizes that double."""
    sizes = run.size("samples", quick=(8, 16, 32, 64), standard=(8, 16, 32, 64), full=(32, 64, 128, 256))
    draws = run.size("designs", quick=700, standard=2500, full=10_000)
    ratios = (0.5, 1.5)
    z = np.array([-0.4, 0.2 + 0.5j, 2.0 + 0.5j])

    most = max(sizes)

    def measure() -> Sizes:
        found = []
        for n in sizes:
            parts = []
            for ratio in ratios:
                variances = 1.0 * (np.arange(int(max(ratios) * most)) < ratio * n)
                keys = run.keys(draws, f"{n} {ratio}")
                means = over_replicates(sim.spectral_means, keys, variances, z, np.array(n), most)
                parts += [means.transform, means.square, means.logarithm if ratio < 1 else means.zeros]
            found.append(components(*parts, leading=1))
        return Sizes(sizes, np.stack(found))

    def predict(
        closed: Transform = theory.mp_stieltjes, atom: bool = True, invert: bool = False, log: float | None = None
    ) -> Array:
        parts = []
        for ratio in ratios:
            g = 1 / ratio if invert else ratio
            law = _law(g, atom=atom)
            right = law.mean(np.log) if g < 1 else law.atom
            parts += [_parts(closed(z, ratio=g, variance=1.0)), law.mean(np.square)]
            parts += [np.asarray(right if log is None or ratio > 1 else log)]
        return components(*parts)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "root of the product": lambda: predict(closed=_one_root),
            "without the mass at zero": lambda: predict(atom=False),
            "n / p for p / n": lambda: predict(invert=True),
            "logarithm of the mean": lambda: predict(log=0.0),
        },
        scale=lambda: np.maximum(np.abs(predict()), 1.0),
    )
