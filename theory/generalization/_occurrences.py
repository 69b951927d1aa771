"""How often the items of a list of frequencies occur in a sample, with checks of both."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from theory import validation

Array = NDArray[np.float64]

_SUM_TOLERANCE = 1e-9


def chance_seen(alpha: Array, n: int, ell: int) -> Array:
    """Return the chance that n draws show an item of frequency alpha exactly ell times."""
    # a logarithm of the coefficient would lose digits as n grows
    return np.asarray(stats.binom.pmf(ell, n, alpha), dtype=float)


def checked_frequencies(frequencies: ArrayLike, *, normalised: bool = True) -> Array:
    """Return frequencies in [0, 1], which sum to 1 unless told otherwise, or raise ValueError."""
    alpha = validation.interval("frequencies", validation.finite("frequencies", frequencies, ndim=1), 0, 1)
    if alpha.size == 0:
        raise ValueError("frequencies must list at least one item; got none")
    if normalised and abs(alpha.sum() - 1) > _SUM_TOLERANCE:
        raise ValueError(f"frequencies must sum to 1; got {alpha.sum():.12g}")
    return alpha


def checked_counts(n: int, ell: int) -> tuple[int, int]:
    """Return n >= 1 and ell in 0, ..., n as integers, or raise ValueError."""
    size, count = validation.integer("n", n, minimum=1), validation.integer("ell", ell, minimum=0)
    if count > size:
        raise ValueError(f"ell, how often an item is seen, must be at most n = {size}; got {count}")
    return size, count
