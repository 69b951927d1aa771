"""Tokens, queries and scores as arguments: what is allowed, and the features that they make."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation

Array = NDArray[np.float64]


def features_of(x: Array, z: Array, o: NDArray[np.int_]) -> tuple[Array, NDArray[np.int_]]:
    """Return (x_o - x_t) z^T for every input and every token t other than o, with the pairs (i, t)."""
    pairs = np.argwhere(np.arange(x.shape[1]) != o[:, None])
    i, t = pairs.T
    return (x[i, o[i]] - x[i, t])[:, :, None] * z[i][:, None, :], pairs


def check_inputs(tokens: ArrayLike, queries: ArrayLike) -> tuple[Array, Array]:
    x = validation.finite("tokens", tokens, ndim=3)
    z = validation.finite("queries", queries, ndim=2)
    n, T, d = x.shape
    if n < 1 or T < 2 or d < 1:
        raise ValueError(f"tokens must have shape (n, T, d) with n, d >= 1 and T >= 2; got {x.shape}")
    if z.shape != (n, d):
        raise ValueError(f"queries must have shape (n, d) = {(n, d)} to fit the tokens; got {z.shape}")
    return x, z


def check_scores(scores: ArrayLike, x: Array) -> Array:
    gamma = validation.finite("scores", scores, ndim=2)
    if gamma.shape != x.shape[:2]:
        raise ValueError(f"scores must have shape (n, T) = {x.shape[:2]}; got {gamma.shape}")
    return gamma


def check_indices(name: str, value: ArrayLike, x: Array) -> NDArray[np.int_]:
    indices = np.asarray(value)
    if not np.issubdtype(indices.dtype, np.integer):
        raise TypeError(f"{name} must be integers; got {value!r}")
    n, T, _ = x.shape
    if indices.shape != (n,):
        raise ValueError(f"{name} must have shape (n,) = {(n,)}; got {indices.shape}")
    if (indices < 0).any() or (indices >= T).any():
        raise ValueError(f"{name} must be in [0, {T}); got {indices.tolist()}")
    return indices.astype(int)


def check_groups(relevant: list[list[int]], x: Array) -> list[list[int]]:
    n, T, _ = x.shape
    if len(relevant) != n:
        raise ValueError(f"relevant must list tokens for each of the {n} inputs; got {len(relevant)} lists")
    groups = [[validation.integer("relevant", t, minimum=0) for t in group] for group in relevant]
    for group in groups:
        if not group or len(set(group)) < len(group) or max(group) >= T:
            raise ValueError(f"relevant must list distinct tokens in [0, {T}), at least one an input; got {group}")
    return groups
