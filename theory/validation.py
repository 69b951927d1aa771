"""Argument checks shared by the solvers: one clear sentence for every kind of bad input."""

from operator import index

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def finite(name: str, value: ArrayLike, *, ndim: int | None = None) -> Array:
    """Return ``value`` as a float64 array with only finite entries.

    Raises
    ------
    TypeError
        If ``value`` cannot be read as real numbers.
    ValueError
        If an entry is NaN or infinite, or the number of dimensions is not ``ndim``.
    """
    try:
        array = np.asarray(value)
        if np.iscomplexobj(array):
            raise TypeError
        array = array.astype(float)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number or an array of them; got {value!r}") from None
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s); got shape {array.shape}")
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValueError(f"{name} must be finite; got {_first(array, bad)}")
    return array


def positive(name: str, value: ArrayLike, *, ndim: int | None = None) -> Array:
    """Return ``value`` as a finite float64 array with entries > 0, or raise ValueError."""
    array = finite(name, value, ndim=ndim)
    return _require(name, array, array > 0, "positive")


def nonnegative(name: str, value: ArrayLike, *, ndim: int | None = None) -> Array:
    """Return ``value`` as a finite float64 array with entries >= 0, or raise ValueError."""
    array = finite(name, value, ndim=ndim)
    return _require(name, array, array >= 0, "nonnegative")


def interval(name: str, value: ArrayLike, low: float, high: float, *, closed: bool = True) -> Array:
    """Return ``value`` as a float64 array inside [low, high], or (low, high) when not ``closed``."""
    array = finite(name, value)
    inside = (array >= low) & (array <= high) if closed else (array > low) & (array < high)
    brackets = "[]" if closed else "()"
    return _require(name, array, inside, f"in {brackets[0]}{low:g}, {high:g}{brackets[1]}")


def integer(name: str, value: int, *, minimum: int) -> int:
    """Return ``value`` as an int of at least ``minimum``; a float is refused, whole or not."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be an integer; got {value!r}")
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r}") from None
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}; got {number}")
    return number


def same_shape(name: str, value: Array, other_name: str, other: Array) -> Array:
    """Return ``value`` when its shape is that of ``other``, or raise ValueError."""
    if value.shape != other.shape:
        raise ValueError(f"{name} must have the shape of {other_name}, {other.shape}; got {value.shape}")
    return value


def scalar(name: str, value: ArrayLike) -> float:
    """Return ``value`` as one finite float."""
    return float(finite(name, value, ndim=0))


def positive_scalar(name: str, value: ArrayLike) -> float:
    """Return ``value`` as one finite float > 0."""
    return float(positive(name, value, ndim=0))


def _require(name: str, array: Array, holds: NDArray[np.bool_], adjective: str) -> Array:
    if not holds.all():
        raise ValueError(f"{name} must be {adjective}; got {_first(array, ~holds)}")
    return array


def _first(array: Array, bad: NDArray[np.bool_]) -> str:
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{array[where]:g}" + (f" at index {where}" if array.ndim else "")
