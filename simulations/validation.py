"""Argument checks of the simulations: values where they are known, shapes always (a traced value has no value yet)."""

from collections.abc import Sequence
from operator import index

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike


def is_concrete(value: object) -> bool:
    """Whether ``value`` holds numbers, rather than standing for them inside a transformation."""
    return not isinstance(value, jax.core.Tracer)


def finite(name: str, value: ArrayLike | Sequence, *, ndim: int | None = None) -> Array:
    """Return ``value`` as a float64 JAX array.

    Raises
    ------
    TypeError
        If ``value`` cannot be read as real numbers.
    ValueError
        If an entry is NaN or infinite, or the number of dimensions is not ``ndim``.
    """
    try:
        if jnp.iscomplexobj(value):
            raise TypeError
        array = jnp.asarray(value, dtype=jnp.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number or an array of them; got {value!r}") from None
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s); got shape {array.shape}")
    return require(name, array, np.isfinite, "finite")


def positive(name: str, value: ArrayLike | Sequence, *, ndim: int | None = None) -> Array:
    """Return ``value`` as a finite float64 array with entries > 0, or raise ValueError."""
    return require(name, finite(name, value, ndim=ndim), lambda array: array > 0, "positive")


def nonnegative(name: str, value: ArrayLike | Sequence, *, ndim: int | None = None) -> Array:
    """Return ``value`` as a finite float64 array with entries >= 0, or raise ValueError."""
    return require(name, finite(name, value, ndim=ndim), lambda array: array >= 0, "nonnegative")


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


def count(name: str, value: ArrayLike, *, minimum: int = 1, maximum: int | None = None) -> ArrayLike:
    """Return ``value``, whole numbers of any type that may be traced, or raise ValueError if one is out of range."""
    top = np.inf if maximum is None else maximum
    text = f"a whole number from {minimum} to {maximum}" if maximum is not None else f"a whole number >= {minimum}"

    def holds(array: np.ndarray) -> np.ndarray:
        return (array >= minimum) & (array <= top) & (array == np.floor(array))

    require(name, finite(name, value), holds, text)
    return value


def widths(name: str, value: Sequence[int]) -> tuple[int, ...]:
    """Return layer widths (N_0, ..., N_D) as ints >= 1, at least two of them, or raise ValueError."""
    sizes = tuple(integer(name, size, minimum=1) for size in value)
    if len(sizes) < 2:
        raise ValueError(f"{name} must list at least two sizes, input and output; got {sizes}")
    return sizes


def choice(name: str, value: str, options: Sequence[str]) -> str:
    """Return ``value`` when it is one of ``options``, or raise ValueError."""
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}; got {value!r}")
    return value


def require(name: str, array: Array, holds, adjective: str) -> Array:
    """Return ``array`` when ``holds`` is true of every entry, or raise ValueError; traced arrays pass."""
    if not is_concrete(array):
        return array
    numbers = np.asarray(array)
    bad = ~holds(numbers)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        at = f" at index {where}" if numbers.ndim else ""
        raise ValueError(f"{name} must be {adjective}; got {numbers[where]:g}{at}")
    return array
