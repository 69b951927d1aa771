"""Argument checks shared by the solvers for opposing signals."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, nonnegative

Array = NDArray[np.float64]


def power_of(outlier_power: float) -> float:
    """Return the outlier's mean square, one nonnegative number."""
    return float(nonnegative("outlier_power", outlier_power, ndim=0))


def target_weights(beta: ArrayLike) -> Array:
    """Return the target's weights, a vector with a nonzero entry."""
    target = finite("beta", beta, ndim=1)
    if not target.any():
        raise ValueError("beta must have a nonzero entry; got only zeros")
    return target
