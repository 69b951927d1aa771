r"""What classification by the tangent kernel becomes at infinite depth, and the kernel where it is a vote.

An activation enters by its coefficients on orthonormal Hermite polynomials alone, with unit norm. Its mean :math:`c_0`
and B', the mean square of its derivative, tell the cases apart; where the mean vanishes, the kernel may tend to the one
with a pole of `theory.ntk.infinite_depth`. After Radhakrishnan, Belkin and Uhler (2023).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from theory.ntk._dual_series import UNIT, slope_at_one, unit_weights
from theory.ntk.infinite_depth import hermite_dual


def limit_classifier(coeffs: ArrayLike) -> str:
    r"""Name what kernel classification by the tangent kernel becomes at infinite depth.

    On unit vectors at nonnegative correlations, with :math:`c_0 = E[\phi]`, :math:`c_1 = E[\phi']`, :math:`B' =
    E[\phi'^2]`; coefficients below 1e-14 count as zero.

    ========================= =====================================================================================
    ``"singular_kernel"``     :math:`c_0 = 0 \ne c_1`: the sign of :math:`\sum_i y_i \kappa(x \cdot x_i)`
    ``"one_nn"``              :math:`c_0 = c_1 = 0`: the label of the nearest input
    ``"majority"``            :math:`c_0 \ne 0`, :math:`B' \ge 1`: the sign of :math:`\sum_i y_i`; geometrically fast in
                              depth for B' > 1, and for B' = 1 only with the off-diagonal a third of the diagonal
    ``"constant_kernel"``     :math:`c_0 \ne 0`, :math:`B' < 1`: all entries, those on the diagonal too, tend to
                              1 / (1 - B'); what the classifier becomes depends on how they do
    ``"linear"``              :math:`c_1^2 = 1`: the kernel is a multiple of :math:`\rho` at every depth
    ========================= =====================================================================================

    Parameters
    ----------
    coeffs : array_like, shape (J,)
        Hermite coefficients of unit norm.

    Returns
    -------
    str

    Examples
    --------
    >>> limit_classifier([0.6, 0.0, 0.8]), limit_classifier([0.0, 0.6, 0.8]), limit_classifier([0.0, 0.0, 1.0])
    ('majority', 'singular_kernel', 'one_nn')
    """
    weights = unit_weights(coeffs)
    if weights[0] > 0:
        return "majority" if slope_at_one(weights) >= 1 - UNIT else "constant_kernel"
    if weights[2:].sum() == 0:
        return "linear"
    return "singular_kernel" if weights[1] > 0 else "one_nn"


class MajorityLimit(NamedTuple):
    """Where correlations go with depth, s' there, and the limit of the kernel between different inputs."""

    fixed_point: float
    slope: float
    off_diagonal: float


def majority_limit(coeffs: ArrayLike) -> MajorityLimit:
    r"""Kernel of infinite depth of an activation with :math:`c_0 \ne 0` and B' > 1.

    Correlations below 1 fall into the fixed point :math:`\rho_* = s(\rho_*)`, :math:`s'(\rho_*) < 1`, and
    :math:`T^l \to \rho_* / (1 - s'(\rho_*))`, while the diagonal is :math:`(B'^{l+1} - 1) / (B' - 1)`. The error falls
    as :math:`l\, s'(\rho_*)^l`. The fixed point solves :math:`\sum_k c_k^2 (1 + \rho + \dots + \rho^{k-1}) = 1`, whose
    left side increases from :math:`1 - c_0^2` to B'.

    Parameters
    ----------
    coeffs : array_like, shape (J,)
        Hermite coefficients of unit norm.

    Returns
    -------
    MajorityLimit

    Raises
    ------
    ValueError
        If :math:`c_0 = 0` or B' <= 1, where there is no such fixed point.

    Examples
    --------
    >>> print([round(x, 6) for x in majority_limit(np.sqrt([0.2, 0.4, 0.0, 0.4]))])
    [0.366025, 0.56077, 0.833333]
    """
    weights = unit_weights(coeffs)
    steep = slope_at_one(weights)
    if weights[0] == 0 or steep <= 1 + UNIT:
        raise ValueError(f"coeffs must have c_0 != 0 and B' > 1; got c_0^2 = {weights[0]:g}, B' = {steep:g}")
    sums = np.cumsum(weights[::-1])[::-1][1:]  # of 1 + rho + ..., by powers of rho
    fixed = float(brentq(lambda r: np.polynomial.polynomial.polyval(r, sums) - 1, 0.0, 1.0, xtol=1e-16, rtol=1e-15))
    slope = float(hermite_dual(fixed, np.sqrt(weights), derivative=True))
    return MajorityLimit(fixed, slope, fixed / (1 - slope))


def off_diagonal_ratio(coeffs: ArrayLike) -> float:
    r"""Limit of :math:`T^l(\rho) / T^l(1)` at infinite depth for :math:`\rho < 1` and :math:`c_0 \ne 0`.

    0 for B' > 1, where the diagonal alone grows; 1 for B' < 1, where all correlations tend to 1. For B' = 1 they do
    so as :math:`1 - S^l \approx 2 / (s''(1) l)`, and :math:`T^{l+1} \approx 1 + (1 - 2 / l) T^l` gives l / 3 beside l
    + 1: the ratio is 1/3, whatever the activation.

    Parameters
    ----------
    coeffs : array_like, shape (J,)
        Hermite coefficients of unit norm, finitely many.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If :math:`c_0 = 0`.

    Examples
    --------
    >>> round(off_diagonal_ratio([0.5, 0.5**0.5, 0.5]), 6)
    0.333333
    """
    weights = unit_weights(coeffs)
    if weights[0] == 0:
        raise ValueError("coeffs must have c_0 != 0; got c_0 = 0")
    steep = slope_at_one(weights)
    if abs(steep - 1) <= UNIT:
        return 1 / 3
    return 0.0 if steep > 1 else 1.0
