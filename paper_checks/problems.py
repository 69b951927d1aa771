"""Problems that several papers pose: tasks with prescribed singular values, in random bases."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr

Array = NDArray[np.float64]


class LinearTask(NamedTuple):
    """Input-output correlations ``u @ diag(s) @ v.T`` of a linear task with whitened inputs."""

    s: Array
    u: Array
    v: Array

    @property
    def sigma_yx(self) -> Array:
        """The correlation matrix, shape (outputs, inputs)."""
        return (self.u * self.s) @ self.v.T


def linear_task(rng: np.random.Generator, s: ArrayLike, *, n_inputs: int, n_outputs: int) -> LinearTask:
    """Draw a task with singular values ``s`` between random orthonormal bases."""
    strengths = np.asarray(s, dtype=float)
    return LinearTask(strengths, frame(rng, n_outputs, strengths.size), frame(rng, n_inputs, strengths.size))


def frame(rng: np.random.Generator, dimension: int, vectors: int) -> Array:
    """Draw orthonormal columns, shape (dimension, vectors)."""
    return np.linalg.qr(rng.standard_normal((dimension, vectors)))[0]


def readout(function: Callable[..., Any], **arrays: ArrayLike) -> Callable[..., Any]:
    """Bind arrays to a readout of the weights so that a compiled simulation traces them: new arrays, same program."""
    return Partial(function, **{name: jnp.asarray(array) for name, array in arrays.items()})


def riccati_variant(
    weights: Sequence[Array], sigma_yx: Array, times: Array, *, rate: float, imbalance: float = 0.0
) -> Array:
    """Evaluate the two-layer Riccati solution with exp(rate F r) in its integral and any imbalance; right for rate = 2.

    A source of wrong predictions only. The inverse is taken by a row-sorted, pivoted QR factorisation, so that what is
    wrong with a prediction is its formula and not its rounding.
    """
    w1, w2 = weights
    outputs, inputs = sigma_yx.shape
    q = np.concatenate([w1.T, w2])
    f = np.block([[-imbalance / 2 * np.eye(inputs), sigma_yx.T], [sigma_yx, imbalance / 2 * np.eye(outputs)]])
    w, vectors = np.linalg.eigh(f)
    rotated = vectors.T @ q
    found = []
    for t in times:
        flat = np.abs(w) < 1e-12
        root = np.sqrt(np.where(flat, t, np.expm1(rate * w * t) / np.where(flat, 1.0, rate * w)))
        stacked = np.concatenate([np.eye(q.shape[1]), root[:, None] * rotated])
        order = np.argsort(-np.abs(stacked).max(axis=1), kind="stable")
        orthonormal = np.empty_like(stacked)
        orthonormal[order] = qr(stacked[order], mode="economic", pivoting=True)[0]
        grown = vectors @ ((np.exp(w * t) / root)[:, None] * orthonormal[q.shape[1] :])
        found.append(grown @ grown.T)
    return np.stack(found)
