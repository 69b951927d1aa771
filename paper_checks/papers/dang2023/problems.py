"""Feature models that the claims pose, how they are minimised, and plausible wrong solutions.

Models of one depth share shapes, whatever their class sizes and decays, and so one compilation. Every model is
minimised from starts at three scales; across the decays drawn here a third of the starts, at least, end in the global
minimum (measured on hundreds of draws), so that all of 96 miss it once in 1e16 claims.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq, minimize_scalar

from paper_checks.claim import Run
from simulations import neural_collapse as sim
from simulations.neural_collapse.minimise import SCALES
from theory import neural_collapse as nc

Array = NDArray[np.float64]

MINIMISED = 1e-10  # gradients of 1e-14 over curvatures of 1e-3 leave 1e-11
DECAYS = {1: (0.1, 0.5), 2: (0.03, 0.2), 3: (0.02, 0.12)}  # in units of `unit_decay`; as for 3 where deeper


class Sizes(NamedTuple):
    """Class sizes of equal sum, balanced and not, and the number of starts of a minimisation, over all scales."""

    balanced: tuple[int, ...]
    imbalanced: tuple[int, ...]
    starts: int

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.balanced)

    def dims(self, depth: int, *, bottleneck: int | None = None) -> tuple[int, ...]:
        """Widths that limit no rank, or whose last one does."""
        free = (self.num_classes + 1,) * depth
        return free if bottleneck is None else (*free[:-1], bottleneck)


class Problem(NamedTuple):
    """A feature model under squared error."""

    class_sizes: tuple[int, ...]
    dims: tuple[int, ...]
    feature_decay: float
    weight_decays: tuple[float, ...]
    bias: bool = False

    @property
    def model(self) -> sim.FeatureModel:
        """The objective to minimise."""
        return sim.feature_model(
            self.class_sizes,
            dims=self.dims,
            weight_decays=self.weight_decays,
            feature_decay=self.feature_decay,
            bias=self.bias,
        )


def sizes(run: Run) -> Sizes:
    """Pick the class sizes of all feature models by scale."""
    return Sizes(
        *run.size(
            "class sizes and starts",
            quick=((5,) * 4, (8, 6, 4, 2), 96),
            standard=((8,) * 6, (17, 12, 8, 6, 3, 2), 192),
            full=((100,) * 10, (300, 200, 150, 120, 90, 55, 40, 25, 15, 5), 1536),
        )
    )


def unit_decay(class_sizes: Sequence[int], depth: int) -> float:
    """Decay, the same for all factors, that puts a class of average size at the relative decay b = 1."""
    mean = np.mean(class_sizes)
    return float((mean / depth) ** (depth / (depth + 1)) / np.sum(class_sizes))


def draw(rng: np.random.Generator, class_sizes: tuple[int, ...], dims: tuple[int, ...], *, bias: bool) -> Problem:
    """Draw a problem with decays of its own for every factor, below those at which the smallest class collapses."""
    depth = len(dims)
    low, high = np.log(DECAYS[min(depth, 3)])
    decays = unit_decay(class_sizes, depth) * np.exp(rng.uniform(low, high, depth + 1))
    return Problem(class_sizes, dims, float(decays[0]), tuple(map(float, decays[1:])), bias)


def minima(problem: Problem, key: jax.Array, starts: int) -> sim.Minima:
    """Minimise from ``starts`` starts, a third at each scale."""
    return sim.minimise(problem.model, key, starts=starts // len(SCALES))


def with_keys(run: Run, problems: Sequence[Problem]) -> list[tuple[Problem, jax.Array]]:
    """Give every problem a key of its own."""
    return list(zip(problems, run.keys(len(problems)), strict=True))


def best_geometry(problem: Problem, key: jax.Array, starts: int) -> tuple[sim.Minima, sim.Geometry]:
    """Return the lowest of many minima, and the geometry of its features under the product of its layers."""
    best = minima(problem, key, starts).best()
    head = sim.head_product(best.factors.weights)
    return best, sim.geometry(best.factors.features, problem.model.labels, head)


def solution(problem: Problem, **changes: Any) -> nc.UFMMinimizer:
    """Return the closed-form minimum, of the problem with ``changes``."""
    p = problem._replace(**changes)
    return nc.ufm_mse_minimizer(
        p.class_sizes, weight_decays=p.weight_decays, feature_decay=p.feature_decay, dims=p.dims, bias=p.bias
    )


class Modes(NamedTuple):
    """Singular values of the product and of each factor (M + 1, K), and the least value."""

    loss: float
    product: Array
    layers: Array


def modes(problem: Problem) -> Modes:
    """Return the modes of the closed-form minimum."""
    best = solution(problem)
    return Modes(best.loss, best.product_singular_values, best.layer_singular_values)


def wrong_modes(
    problem: Problem,
    *,
    factor: Callable[[int], float] = lambda depth: (depth + 1) / 2,
    power: Callable[[int], float] = lambda depth: 2 / (depth + 1),
    samples: float | None = None,
    targets: ArrayLike | None = None,
    smallest_root: bool = False,
) -> Modes:
    """Solve the scalar problems (z - s)^2 / (2N) + factor Lambda z^power by direct search; right as they stand.

    A source of wrong predictions only, without regard to centred targets or limited rank unless ``targets`` has both.
    """
    depth, n = len(problem.dims), float(np.sum(problem.class_sizes))
    decays = np.array([problem.feature_decay, *problem.weight_decays])
    price, exponent = factor(depth) * np.exp(np.mean(np.log(decays))), power(depth)
    s = np.sqrt(np.sort(problem.class_sizes)[::-1]) if targets is None else np.asarray(targets, dtype=float)
    scale = n if samples is None else samples

    def cost(z: ArrayLike, target: float) -> Array:
        return (np.asarray(z) - target) ** 2 / (2 * scale) + price * np.asarray(z) ** exponent

    def slope(z: float, target: float) -> float:
        return (z - target) / scale + price * exponent * z ** (exponent - 1)

    found = []
    for target in s:
        grid = np.linspace(0, target, 401)
        interior = grid[1 + np.argmin(cost(grid[1:], target))] if target else 0.0
        around = (interior - target / 400, min(target, interior + target / 400))
        z = float(minimize_scalar(cost, bounds=around, args=(target,), options={"xatol": 1e-12}).x) if target else 0.0
        if smallest_root and depth > 1 and target:
            z = float(brentq(slope, 1e-30, target * (depth - 1) / (2 * depth), args=(target,)))
        found.append(z if smallest_root or cost(z, target) < cost(0.0, target) else 0.0)
    sigma = np.array(found)
    q = (sigma**2 * np.prod(decays)) ** (1 / (depth + 1))
    loss = sum(float(cost(z, target)) for z, target in zip(sigma, s, strict=True))
    return Modes(loss, sigma, np.sqrt(q / decays[:, None]))
