"""Floating-point predictions of rational quantities, turned back into the rationals that they round."""

from fractions import Fraction

import numpy as np
import sympy
from numpy.typing import ArrayLike

from paper_checks.evidence import Exact

LARGEST_DENOMINATOR = 10**6


def recovered(*values: ArrayLike) -> Exact:
    """Return the simplest fractions next to float64 values, in order.

    Fractions with denominators up to q lie at least 1e-6 / q from any other candidate, so that values of size v are
    recovered uniquely where their rounding, about 1e-16 v, is far below that. A formula that is wrong by more than its
    rounding gives other fractions.
    """
    flat = np.concatenate([np.ravel(np.asarray(value, dtype=float)) for value in values])
    fractions = (Fraction(float(v)).limit_denominator(LARGEST_DENOMINATOR) for v in flat)
    return Exact(tuple(sympy.Rational(f.numerator, f.denominator) for f in fractions))
