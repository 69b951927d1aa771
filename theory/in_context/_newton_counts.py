"""How many iterations: to a tolerance, to match one another, and from the best start."""

import math
from typing import Literal, NamedTuple

import numpy as np

from theory.in_context._newton_residual import log_contraction, power_of
from theory.validation import integer, interval, positive_scalar


class OptimalStart(NamedTuple):
    """The constant of the initial inverse that contracts best, and the largest initial residual that it leaves."""

    alpha: float
    rate: float


def newton_steps_to_tolerance(
    condition_number: float, *, tol: float, alpha_scale: float = 1.0, init: Literal["gram", "identity"] = "gram"
) -> int:
    r"""Fewest iterations of Newton's method after which no eigen-direction has a residual above ``tol``.

    With :math:`c = \alpha s_1^p` and :math:`\rho = \max(|1 - c|, |1 - c/\kappa^p|)`,

    .. math:: k = \Bigl\lceil \log_2 \frac{\ln \mathrm{tol}}{\ln \rho} \Bigr\rceil \approx
            p \log_2 \kappa + \log_2 \ln\frac{1}{\mathrm{tol}} \quad (c = 1) .

    Parameters
    ----------
    condition_number : float
        kappa, ratio of the largest eigenvalue of S to the smallest nonzero one, at least 1.
    tol : float
        Largest residual left, between 0 and 1, both excluded.
    alpha_scale : float
        c, between 0 and 2, both excluded: at the ends the iteration does not converge.
    init : {"gram", "identity"}
        Start.

    Returns
    -------
    int
        Iterations, 0 when the start is good enough.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Fu, Chen, Jia and Sharan, arXiv:2310.17086, convergence of the iteration.

    Examples
    --------
    >>> newton_steps_to_tolerance(100.0, tol=1e-8)
    18
    """
    rate = _worst_log_rate(condition_number, power_of(init), "alpha_scale", alpha_scale)
    squarings = _log_tolerance(tol) / rate
    return 0 if squarings <= 1 else math.ceil(math.log2(squarings))


def gd_steps_to_tolerance(condition_number: float, *, tol: float, rate_scale: float = 1.0) -> int:
    r"""Fewest steps of gradient descent after which no eigen-direction has a residual above ``tol``.

    .. math:: t = \Bigl\lceil \frac{\ln \mathrm{tol}}{\ln \max(|1 - c|, |1 - c/\kappa|)} \Bigr\rceil \approx
            \kappa \ln \frac{1}{\mathrm{tol}} \quad (c = \eta s_1 = 1) .

    Parameters
    ----------
    condition_number : float
        kappa, at least 1.
    tol : float
        Largest residual left, between 0 and 1, both excluded.
    rate_scale : float
        c, step size times the largest eigenvalue of S, between 0 and 2, both excluded.

    Returns
    -------
    int
        Steps, at least 1 since nothing is known before the first.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Textbook; Fu, Chen, Jia and Sharan, arXiv:2310.17086, compare with it.

    Examples
    --------
    >>> gd_steps_to_tolerance(100.0, tol=1e-8)
    1833
    """
    return max(1, math.ceil(_log_tolerance(tol) / _worst_log_rate(condition_number, 1, "rate_scale", rate_scale)))


def gd_steps_matching_newton(
    s_min: float, *, step: int, alpha: float, learning_rate: float, init: Literal["gram", "identity"] = "gram"
) -> float:
    r"""Count the steps of gradient descent that leave the slowest direction where k of Newton's leave it.

    .. math:: t(k) = 2^k\, \frac{\ln(1 - \alpha s_d^p)}{\ln(1 - \eta s_d)} ,

    so that log2 t is affine in k with slope 1: each iteration is worth twice as many steps as the one before.

    Parameters
    ----------
    s_min : float
        Smallest nonzero eigenvalue of S, positive.
    step : int
        Number k of iterations, at least 0.
    alpha : float
        Constant of the start, with 0 < alpha s_min^p < 1.
    learning_rate : float
        Step size eta, with 0 < eta s_min < 1.
    init : {"gram", "identity"}
        Start.

    Returns
    -------
    float
        Steps t(k), a real number.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Derived from the residuals of Fu, Chen, Jia and Sharan, arXiv:2310.17086.

    Examples
    --------
    >>> round(gd_steps_matching_newton(0.1, step=4, alpha=0.5, learning_rate=0.5, init="identity"), 12)
    16.0
    """
    s = positive_scalar("s_min", s_min)
    k = integer("step", step, minimum=0)
    newton = float(interval("alpha * s_min**p", alpha * s ** power_of(init), 0, 1, closed=False))
    descent = float(interval("learning_rate * s_min", learning_rate * s, 0, 1, closed=False))
    return 2.0**k * math.log1p(-newton) / math.log1p(-descent)


def optimal_newton_start(
    largest: float, smallest: float, *, init: Literal["gram", "identity"] = "gram"
) -> OptimalStart:
    r"""Constant of the start for which the worst residual is smallest, at every iteration.

    .. math:: \alpha_* = \frac{2}{s_1^p + s_d^p} , \qquad \rho_* = \frac{\kappa^p - 1}{\kappa^p + 1} .

    Parameters
    ----------
    largest, smallest : float
        Extreme nonzero eigenvalues s_1 >= s_d > 0 of S.
    init : {"gram", "identity"}
        Start.

    Returns
    -------
    OptimalStart
        ``alpha``, and the ``rate`` rho; after k iterations the worst residual is rho^(2^k).

    Raises
    ------
    ValueError
        If an eigenvalue is not positive, or ``smallest`` is above ``largest``.

    References
    ----------
    Derived; the Chebyshev choice for one linear factor.

    Examples
    --------
    >>> optimal_newton_start(3.0, 1.0, init="identity")
    OptimalStart(alpha=0.5, rate=0.5)
    """
    top, low = positive_scalar("largest", largest), positive_scalar("smallest", smallest)
    if low > top:
        raise ValueError(f"smallest must not exceed largest, {top:g}; got {low:g}")
    p = power_of(init)
    return OptimalStart(2 / (top**p + low**p), (top**p - low**p) / (top**p + low**p))


def _log_tolerance(tol: float) -> float:
    return math.log(float(interval("tol", tol, 0, 1, closed=False)))


def _worst_log_rate(condition_number: float, power: int, name: str, scale: float) -> float:
    """Return ln rho < 0 of the slowest direction, minus infinity when one step solves the problem."""
    kappa = positive_scalar("condition_number", condition_number)
    if kappa < 1:
        raise ValueError(f"condition_number must be at least 1; got {kappa:g}")
    c = float(interval(name, scale, 0, 2, closed=False))
    return float(max(log_contraction(np.array([c, c / kappa**power]))))
