"""Argument checks shared by the solvers of this wing."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def broadcast(**arguments: Array) -> tuple[int, ...]:
    """Return the common shape of the arguments, or raise ValueError that names them with their shapes."""
    try:
        return np.broadcast_shapes(*(value.shape for value in arguments.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in arguments.items())
        raise ValueError(f"the arguments must have shapes that broadcast together; got {shapes}") from None


def require_below(name: str, value: Array, limit: Array) -> None:
    """Raise ValueError unless every entry of ``value`` is below ``limit``, the fixed point of the mode."""
    value, limit = np.broadcast_arrays(value, limit)
    outside = ~(value < limit)
    if outside.any():
        raise ValueError(
            f"{name} must be below the strength {limit[outside].flat[0]:g} that the mode approaches; "
            f"got {value[outside].flat[0]:g}"
        )


def require_same_side(u: Array, u0: Array, s: Array) -> None:
    """Raise ValueError unless u and u0 are both above or both below s."""
    u, u0, s = np.broadcast_arrays(u, u0, s)
    outside = ~(((u < s) & (u0 < s)) | ((u > s) & (u0 > s)))
    if outside.any():
        raise ValueError(
            f"u must be on the same side of s = {s[outside].flat[0]:g} as u0 = {u0[outside].flat[0]:g}, "
            f"since no mode crosses its fixed point; got {u[outside].flat[0]:g}"
        )
