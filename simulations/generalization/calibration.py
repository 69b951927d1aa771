"""Nearest-neighbour classifiers of overlapping classes, with their temperature tuned, or neighbours averaged."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from simulations import validation
from simulations.replicates import over_replicates

_GOLDEN = (5**0.5 - 1) / 2


class CalibratedFit(NamedTuple):
    """Of every training set: least divergence over temperatures, confidence there, accuracy, and divergence at 0.9."""

    divergence: NDArray[np.float64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    at_nine_tenths: NDArray[np.float64]


def tune_nearest_neighbour(keys: Array, *, n: int, overlap: float, num_classes: int, cells: int) -> CalibratedFit:
    """Draw training sets, predict by the nearest neighbour, and search for the temperature of least divergence.

    Pair j of classes lives on [j, j + 1): the first label on the lower (1 - overlap) / 2, the second on as much at the
    top, a fair coin between. Divergences are averaged over a grid of ``cells`` midpoints a pair. The one logit that the
    temperature scales is found by golden-section search. Costs O(n cells num_classes) a replicate.

    Raises
    ------
    ValueError
        If a number is out of range, or the number of classes is odd.
    """
    shape = _checked(n, overlap, num_classes, cells)
    return CalibratedFit(*over_replicates(_tune, keys, jnp.asarray(float(overlap)), *shape))


def uniform_divergence(*, overlap: float, num_classes: int, cells: int) -> float:
    """Return the divergence of the uniform prediction, averaged over the midpoints of `tune_nearest_neighbour`.

    Raises
    ------
    ValueError
        If a number is out of range, or the number of classes is odd.
    """
    _, k, cells = _checked(1, overlap, num_classes, cells)
    return float(_divergence(_law((jnp.arange(k // 2 * cells) + 0.5) / cells, jnp.asarray(float(overlap)), k), 1 / k))


def average_neighbours(
    keys: Array, *, n: int, overlap: float, num_classes: int, cells: int, neighbours: int
) -> NDArray[np.float64]:
    """Predict the frequencies of labels among the nearest neighbours, half a count spread over all classes.

    Problem as for `tune_nearest_neighbour`; returns the divergence of every training set. Costs O(n) a midpoint.

    Raises
    ------
    ValueError
        If a number is out of range, or the number of classes is odd.
    """
    size, k, cells = _checked(n, overlap, num_classes, cells)
    m = validation.integer("neighbours", neighbours, minimum=1)
    if m > size:
        raise ValueError(f"neighbours must be at most n = {size}; got {m}")
    found = over_replicates(_average, keys, jnp.asarray(float(overlap)), size, k, cells, m)
    return np.asarray(found)


def _checked(n: int, overlap: float, num_classes: int, cells: int) -> tuple[int, int, int]:
    size, k = validation.integer("n", n, minimum=1), validation.integer("num_classes", num_classes, minimum=2)
    if k % 2:
        raise ValueError(f"num_classes must be even; got {k}")
    if not 0 <= overlap <= 1:
        raise ValueError(f"overlap must be in [0, 1]; got {overlap}")
    return size, k, validation.integer("cells", cells, minimum=1)


def _problem(key: Array, overlap: Array, n: int, k: int, cells: int) -> tuple[Array, Array, Array, Array]:
    """Return a training set, its labels, the midpoints, and the probabilities of labels there (midpoints, k)."""
    place, coin, offset = jax.random.split(key, 3)
    x = jax.random.uniform(place, (n,)) * (k // 2)
    upper = jax.random.bernoulli(coin, shape=(n,))
    labels = 2 * jnp.floor(x).astype(int) + _upper_half(x % 1, overlap, upper)
    # one offset for all, so that where labels change is never always as far from a midpoint
    grid = (jnp.arange(k // 2 * cells) + jax.random.uniform(offset)) / cells
    return x, labels, grid, _law(grid, overlap, k)


def _law(x: Array, overlap: Array, k: int) -> Array:
    """Return the probabilities of all labels at places, shape (places, k)."""
    pair = jnp.floor(x).astype(int)
    chance = 0.5 * (_upper_half(x % 1, overlap, False) + _upper_half(x % 1, overlap, True))
    return jax.nn.one_hot(2 * pair, k) * (1 - chance)[:, None] + jax.nn.one_hot(2 * pair + 1, k) * chance[:, None]


def _upper_half(u: Array, overlap: Array, coin: Array | bool) -> Array:
    """Return whether the second of two labels is given, by a coin in the middle."""
    return jnp.where(u < (1 - overlap) / 2, 0, jnp.where(u > (1 + overlap) / 2, 1, jnp.asarray(coin).astype(int)))


def _divergence(law: Array, prediction: Array | float) -> Array:
    """Mean of sum p ln(p / q) over midpoints."""
    return jnp.mean(jnp.sum(jnp.where(law > 0, law * jnp.log(jnp.where(law > 0, law, 1.0) / prediction), 0.0), axis=1))


def _tune(key: Array, overlap: Array, n: int, k: int, cells: int) -> tuple[Array, Array, Array, Array]:
    x, labels, grid, law = _problem(key, overlap, n, k, cells)
    predicted = jax.nn.one_hot(labels[jnp.argmin(jnp.abs(grid[:, None] - x), axis=1)], k)

    def at(logit: Array) -> Array:
        return _divergence(law, jax.nn.softmax(logit * predicted, axis=1))

    def shrink(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        keep_left = at(left) < at(right)
        return jnp.where(keep_left, low, left), jnp.where(keep_left, right, high)

    low, high = jax.lax.fori_loop(0, 60, shrink, (jnp.asarray(-3.0), jnp.asarray(15.0)))
    best = (low + high) / 2
    confidence = jnp.exp(best) / (jnp.exp(best) + k - 1)
    accuracy = jnp.mean(jnp.sum(law * predicted, axis=1))
    nine = _divergence(law, 0.9 * predicted + 0.1 / (k - 1) * (1 - predicted))
    return at(best), confidence, accuracy, nine


def _average(key: Array, overlap: Array, n: int, k: int, cells: int, neighbours: int) -> Array:
    x, labels, grid, law = _problem(key, overlap, n, k, cells)
    order = jnp.argsort(x)
    x, before = x[order], jnp.cumsum(jax.nn.one_hot(labels[order], k), axis=0)
    before = jnp.concatenate([jnp.zeros((1, k)), before])
    # on a line the nearest are next to each other: the window whose far end is closest
    far = jnp.maximum(jnp.abs(grid[:, None] - x[: n - neighbours + 1]), jnp.abs(x[neighbours - 1 :] - grid[:, None]))
    first = jnp.argmin(far, axis=1)
    found = before[first + neighbours] - before[first]
    return _divergence(law, (found + 0.5 / k) / (neighbours + 0.5))
