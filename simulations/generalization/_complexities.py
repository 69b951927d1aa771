"""Hypothesis classes on few points: suprema over all sign vectors, and labellings counted one by one."""

from itertools import combinations
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def all_signs(n: int) -> np.ndarray:
    """All 2^n sign vectors, shape (2^n, n)."""
    return 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)


def largest_over_ball(vectors: Array, radius: float, *, n_steps: int = 60) -> Array:
    """Maximise w.v over the ball of that radius, for each row v: projected ascent with large steps from one start."""
    size = jnp.maximum(jnp.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300)
    start = jnp.full(vectors.shape, radius / np.sqrt(vectors.shape[-1]) / 2)

    def advance(w, _):
        w = w + 1e3 * radius / size * vectors
        norm = jnp.linalg.norm(w, axis=-1, keepdims=True)
        return w * jnp.minimum(1.0, radius / norm), None

    w, _ = jax.lax.scan(advance, start, length=n_steps)
    return jnp.sum(w * vectors, axis=-1)


@jax.jit
def linear_complexity(X: Array, radius: float) -> Array:
    """Mean over all sign vectors of the largest correlation that a linear function of bounded norm has with them."""
    return jnp.mean(largest_over_ball(jnp.asarray(all_signs(X.shape[0])) @ X, radius)) / X.shape[0]


@jax.jit
def finite_complexity(A: Array) -> Array:
    """Mean over all sign vectors of the largest correlation with a row of A."""
    return jnp.mean(jnp.max(all_signs(A.shape[1]) @ A.T, axis=1)) / A.shape[1]


def sampled_linear_complexity(key: Array, n: int, d: int, radius: float) -> Array:
    """Draw Gaussian rows and signs once, and return the largest correlation; its mean is the complexity."""
    x_key, sign_key = jax.random.split(key)
    X = jax.random.normal(x_key, (n, d))
    signs = jax.random.rademacher(sign_key, (n,), dtype=float)
    return largest_over_ball((signs @ X)[None], radius)[0] / n


def count_dichotomies(points: Floats) -> int:
    """Count the labellings of points that hyperplanes through the origin realise, for points in general position.

    Each d - 1 points span a hyperplane. Turned a little, it labels them in any way and the others as it did; every
    labelling is met so, as the cone of its hyperplanes has an edge. For at most d points all labellings are.
    """
    n, d = points.shape
    if n <= d:
        return 2**n
    seen = np.zeros(2**n, dtype=bool)
    subsets = np.array(list(combinations(range(n), d - 1)), dtype=np.int64).reshape(comb(n, d - 1), d - 1)
    normals = np.empty((len(subsets), d))
    for row, subset in enumerate(subsets):
        normals[row] = np.linalg.svd(points[subset], full_matrices=True)[2][-1] if d > 1 else 1.0
    _mark(np.ascontiguousarray(points, dtype=float), subsets, normals, seen)
    return int(seen.sum())


@njit(cache=True)
def _mark(points, subsets, normals, seen):
    n = points.shape[0]
    for row in range(subsets.shape[0]):
        pattern, fixed = 0, 0
        for j in range(subsets.shape[1]):
            fixed |= 1 << subsets[row, j]
        for i in range(n):
            if not (fixed >> i) & 1 and points[i] @ normals[row] > 0:
                pattern |= 1 << i
        opposite = ((1 << n) - 1) & ~(pattern | fixed)
        for free in range(1 << subsets.shape[1]):
            bits = 0
            for j in range(subsets.shape[1]):
                if (free >> j) & 1:
                    bits |= 1 << subsets[row, j]
            seen[pattern | bits] = True
            seen[opposite | bits] = True


def interval_labellings(points: int, intervals: int) -> NDArray[np.bool_]:
    """All labellings of points on a line by unions of at most that many intervals, by trying all sets of end points."""
    found = set()
    for ends in range(2 * intervals + 1):
        for cuts in combinations(range(points + 1), ends):
            labels, inside = [], False
            for i in range(points):
                inside ^= i in cuts
                labels.append(inside)
            # a last interval may be open to the right, so that an odd number of end points is one too
            if (ends + 1) // 2 <= intervals:
                found.add(tuple(labels))
    return np.array(sorted(found))


def shattered_dimension(labellings: NDArray[np.bool_]) -> int:
    """VC dimension of a set of labellings, rows, by brute force over all subsets of the points."""
    m = labellings.shape[1]
    for size in range(m, 0, -1):
        for chosen in combinations(range(m), size):
            codes = labellings[:, list(chosen)].astype(np.int64) @ (1 << np.arange(size))
            if len(np.unique(codes)) == 2**size:
                return size
    return 0
