"""Singular modes of the label matrix, with and without a free bias."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class TargetModes(NamedTuple):
    """Singular value decomposition of the target, by descending singular value.

    ``left`` (K, K) holds the left vectors u_i as columns, and ``right`` (K, K) the entry that the right vector v_i
    (a column) takes on every sample of class k (a row), so that the columns of sqrt(n_k) ``right`` are orthonormal.
    """

    singular_values: Array
    left: Array
    right: Array


def target_modes(sizes: NDArray[np.int64], free_bias: bool) -> TargetModes:
    """Decompose one-hot labels (K, N), minus their mean over samples when a free bias takes that up."""
    n = sizes.astype(float)
    if not free_bias:
        order = np.argsort(-n, kind="stable")
        left = np.eye(n.size)[:, order]
        return TargetModes(np.sqrt(n[order]), left, left / np.sqrt(n)[:, None])
    # One column sqrt(n_k) (e_k - n/N) a class has the singular values and left vectors of the whole centred matrix.
    compact = np.diag(np.sqrt(n)) - np.outer(n / n.sum(), np.sqrt(n))
    left, s, right = np.linalg.svd(compact)
    s[-1] = 0.0  # the vector of ones is null
    return TargetModes(s, left, right.T / np.sqrt(n)[:, None])
