"""Powers of a contraction, without loss of accuracy where it is close to one or negative."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Init = Literal["gram", "identity"]


def power_of(init: str) -> int:
    """Return the power p of s by which the start contracts, 2 for M_0 = alpha S and 1 for M_0 = alpha I."""
    powers = {"gram": 2, "identity": 1}
    if init not in powers:
        raise ValueError(f"init must be 'gram' or 'identity'; got {init!r}")
    return powers[init]


def log_contraction(z: Array) -> Array:
    """Return ln abs(1 - z), minus infinity at z = 1."""
    with np.errstate(divide="ignore"):
        return np.where(z < 1, np.log1p(-np.minimum(z, 1.0)), np.log(np.abs(z - 1)))


def repeated(z: Array, count: int) -> Array:
    """Return (1 - z)**count for z >= 0, or raise ValueError when it overflows."""
    if count == 0:
        return np.ones_like(z)
    with np.errstate(over="ignore"):
        size = np.exp(count * log_contraction(z))
    if not np.isfinite(size).all():
        raise ValueError(f"the step must contract, |1 - z| <= 1, or its power overflows; got z up to {np.max(z):g}")
    return np.where(z > 1, -size, size) if count % 2 else size
