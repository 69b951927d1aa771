"""Argument checks that the solvers of neural collapse share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


def class_sizes(name: str, value: ArrayLike) -> Integers:
    """Return the numbers of samples of at least two classes as integers >= 1."""
    sizes = _integers(name, value, ndim=1)
    if sizes.size < 2:
        raise ValueError(f"{name} must list at least two classes; got {sizes.size}")
    if (sizes < 1).any():
        raise ValueError(f"{name} must be at least 1 for every class; got {int(sizes.min())}")
    return sizes


def depths(name: str, value: ArrayLike) -> Integers:
    """Return numbers of head layers as integers >= 1, any shape."""
    array = _integers(name, value)
    if array.size and array.min() < 1:
        raise ValueError(f"{name} must be at least 1; got {int(array.min())}")
    return array


def weight_decays(name: str, value: ArrayLike) -> Array:
    """Return the decays of at least one head layer, each positive."""
    decays = validation.positive(name, value, ndim=1)
    if decays.size == 0:
        raise ValueError(f"{name} must list one decay for each layer, at least one; got none")
    return decays


def widths(name: str, value: Sequence[int], *, layers: int) -> tuple[int, ...]:
    """Return the input widths (d_1, ..., d_M) of the ``layers`` head layers as ints >= 1."""
    sizes = tuple(validation.integer(name, size, minimum=1) for size in value)
    if len(sizes) != layers:
        raise ValueError(f"{name} must give the input width of each of the {layers} layer(s); got {len(sizes)}")
    return sizes


def flag(name: str, value: bool) -> bool:
    """Return ``value`` as a bool, or raise TypeError."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def labelled(features: ArrayLike, labels: ArrayLike) -> tuple[Array, Integers, Integers]:
    """Return features (d, N), labels (N,) and class sizes (K,); every class 0..K-1 must occur."""
    h = validation.finite("features", features, ndim=2)
    y = _integers("labels", labels, ndim=1)
    if y.size != h.shape[1]:
        raise ValueError(f"labels must give one class for each of the {h.shape[1]} columns of features; got {y.size}")
    if h.shape[0] == 0 or y.size == 0:
        raise ValueError(f"features must not be empty; got shape {h.shape}")
    if y.min() < 0:
        raise ValueError(f"labels must be nonnegative; got {int(y.min())}")
    counts = np.bincount(y)
    if counts.size < 2 or (counts == 0).any():
        absent = [int(k) for k in np.flatnonzero(counts == 0)] or [1]
        raise ValueError(f"labels must use every class 0..K-1 with K >= 2; class {absent[0]} has no sample")
    return h, y, counts


def balanced_columns(name: str, value: ArrayLike, num_classes: int) -> tuple[Array, int, int]:
    """Return features (d, K n) with columns ordered by class, K and n."""
    h = validation.finite(name, value, ndim=2)
    k = validation.integer("num_classes", num_classes, minimum=2)
    if h.shape[0] == 0 or h.shape[1] == 0 or h.shape[1] % k:
        raise ValueError(
            f"{name} must have a multiple of num_classes = {k} columns, and at least one row; got shape {h.shape}"
        )
    return h, k, h.shape[1] // k


def orthonormal_frame(name: str, value: ArrayLike) -> Array:
    """Return a matrix (d, K), d >= K >= 2, with orthonormal columns."""
    frame = validation.finite(name, value, ndim=2)
    d, k = frame.shape
    if k < 2 or d < k:
        raise ValueError(
            f"{name} must have at least two columns and no fewer rows than columns; got shape {frame.shape}"
        )
    error = np.abs(frame.T @ frame - np.eye(k)).max()
    if error > 1e-10:
        raise ValueError(f"{name} must have orthonormal columns; their Gram matrix is off by {error:.2g}")
    return frame


def times(name: str, value: ArrayLike) -> Array:
    """Return nonnegative times of shape (T,), in nondecreasing order."""
    t = validation.nonnegative(name, value, ndim=1)
    if t.size == 0:
        raise ValueError(f"{name} must hold at least one time; got none")
    if (np.diff(t) < 0).any():
        raise ValueError(f"{name} must not decrease; got {t.tolist()}")
    return t


def as_given(value: Array) -> float | Array:
    """Return an array without dimensions as a float, any other as it is."""
    return float(value) if np.ndim(value) == 0 else value


def _integers(name: str, value: ArrayLike, *, ndim: int | None = None) -> Integers:
    array = np.asarray(value)
    if array.size and (array.dtype == bool or not np.issubdtype(array.dtype, np.integer)):
        raise TypeError(f"{name} must hold integers; got dtype {array.dtype}")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s); got shape {array.shape}")
    return array.astype(np.int64)
