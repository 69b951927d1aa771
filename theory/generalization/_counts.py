"""Whole numbers, one or an array of them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.int64]


def counts(name: str, value: ArrayLike, *, minimum: int) -> Counts:
    """Return ``value`` as an array of integers of at least ``minimum``.

    Raises
    ------
    TypeError
        If an entry is not an integer; a float is refused, whole or not.
    ValueError
        If an entry is below ``minimum``.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be an integer or an array of integers; got {value!r}")
    if array.size and array.min() < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {array.min()}")
    return array.astype(np.int64)
