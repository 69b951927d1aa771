"""Cross-entropy with a deep linear head over free features: the simplex branch and the cheaper cross-polytope."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from theory import validation
from theory.neural_collapse import _checks

ROOT_TOLERANCE = 4 * float(np.finfo(float).eps)


class CESolution(NamedTuple):
    """Best point of a branch of collapsed solutions; see :func:`ufm_ce_etf` and :func:`ufm_ce_cross_polytope`.

    ``margin`` sets the logits, ``singular_value`` is that of all ``rank`` nonzero modes of the logits of all samples;
    all three are zero when zero logits are better than anything else on the branch.
    """

    margin: float
    loss: float
    singular_value: float
    rank: int


def ufm_ce_etf(
    num_classes: int, samples_per_class: int, *, weight_decays: ArrayLike, feature_decay: float
) -> CESolution:
    r"""Best simplex-ETF solution of cross-entropy with M linear layers above free features, balanced classes.

    Logits a (I - J), J = 11^T/K, on every sample of a class cost, with L = M + 1 and Lambda the geometric mean of the
    decays,

    .. math:: \psi(a) = \log\bigl(1 + (K-1) e^{-a}\bigr) + \frac L2 \Lambda (K-1) (a^2 n)^{1/L} ,

    least at the largest root of :math:`1/(e^a + K - 1) = \Lambda n^{1/L} a^{2/L-1}`, or at zero. For M = 1 the root is
    :math:`a = \log(1/\sqrt{n \lambda_H \lambda_1} - K + 1)`, and the value is the global minimum, with or without a
    bias. For M >= 2 it is a stationary value and no more: :func:`ufm_ce_cross_polytope` is often lower, and neither is
    the global minimum in general. Features and layers need at least K - 1 dimensions. Costs O(1).

    Parameters
    ----------
    num_classes : int
        K >= 2.
    samples_per_class : int
        n >= 1.
    weight_decays : array_like, shape (M,)
        (lam_1, ..., lam_M), each positive.
    feature_decay : float
        lam_H > 0.

    Returns
    -------
    CESolution
        ``margin`` a, the logit of the true class above each other one.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Dang et al. (2023), arXiv:2301.00437; for M >= 2 see Garrod and Keating (2024), arXiv:2410.23169.

    Examples
    --------
    >>> solution = ufm_ce_etf(4, 3, weight_decays=[0.01], feature_decay=0.01)
    >>> round(solution.margin, 8), round(solution.loss, 8)
    (4.00250385, 0.26133639)
    """
    k, n, depth, log_decay = _problem(num_classes, samples_per_class, weight_decays, feature_decay)
    power = 2 / (depth + 1)
    log_price = log_decay + np.log(n) / (depth + 1)  # of one unit of a^(2/L) per class pair, up to (K-1) L/2

    if depth == 1:
        room = -np.expm1(log_price + np.log(k))
        a = float(np.log1p(room / np.exp(log_price))) if room > 0 else 0.0
    else:
        rise = 1 - power
        peak = brentq(lambda x: x - rise * (1 + (k - 1) * np.exp(-x)), rise, rise * k, rtol=ROOT_TOLERANCE)
        a = _largest_root(lambda x: rise * np.log(x) - x - np.log1p((k - 1) * np.exp(-x)) - log_price, peak)
    loss = np.log1p((k - 1) * np.exp(-a)) + (k - 1) / power * np.exp(log_price) * a**power
    return _better_than_zero(a, float(loss), scale=float(np.sqrt(n)), rank=k - 1, num_classes=k)


def ufm_ce_cross_polytope(
    num_classes: int, samples_per_class: int, *, weight_decays: ArrayLike, feature_decay: float
) -> CESolution:
    r"""Best cross-polytope solution of cross-entropy with M linear layers above free features, balanced classes.

    Classes come in K/2 antipodal pairs with logits t and -t inside a pair and 0 elsewhere, of rank K/2 only:

    .. math:: \psi_\times(t) = \log\bigl(1 + (K-2) e^{-t} + e^{-2t}\bigr)
              + \frac L2 \Lambda \frac K2 (4 t^2 n)^{1/L} ,

    with L and Lambda as in :func:`ufm_ce_etf`. For M >= 2 this is often below the best simplex, hence a counter-example
    to simplices being the global minimisers of deep heads: at vanishing decay whenever (K/2) 4^(1/L) < K - 1. It is
    an upper bound on the global minimum, not that minimum. For M = 1 it never wins. Layers need at least K/2
    dimensions. Costs O(1).

    Parameters
    ----------
    num_classes : int
        K >= 2, even.
    samples_per_class : int
        n >= 1.
    weight_decays : array_like, shape (M,)
        (lam_1, ..., lam_M), each positive.
    feature_decay : float
        lam_H > 0.

    Returns
    -------
    CESolution
        ``margin`` t, the logit of the true class.

    Raises
    ------
    ValueError
        If an argument is out of range, or K is odd.

    References
    ----------
    Own derivation; in accord with Garrod and Keating (2024), arXiv:2410.23169.

    Examples
    --------
    >>> problem = dict(weight_decays=[5e-4, 5e-4], feature_decay=5e-4)
    >>> round(ufm_ce_cross_polytope(6, 2, **problem).loss, 8), round(ufm_ce_etf(6, 2, **problem).loss, 8)
    (0.01933147, 0.02057157)
    """
    k, n, depth, log_decay = _problem(num_classes, samples_per_class, weight_decays, feature_decay)
    if k % 2:
        raise ValueError(f"num_classes must be even, for classes to come in pairs; got {k}")
    power = 2 / (depth + 1)
    log_price = log_decay + np.log(4 * n) / (depth + 1) + np.log(k / 2)
    rise = 1 - power
    log_others = np.log(k - 2) if k > 2 else -np.inf

    def excess(t: float) -> float:
        # log of (minus the slope of the cross-entropy) over the slope of the decay
        x = np.exp(-t)
        slope = np.logaddexp(log_others - t, np.log(2) - 2 * t) - np.log1p((k - 2) * x + x**2)
        return float(slope + (rise * np.log(t) if rise else 0.0) - log_price)

    def excess_slope(t: float) -> float:
        x = np.exp(-t)
        inner = 2 * x / (k - 2 + 2 * x)
        return float(rise / t - 1 - inner + ((k - 2) * x + 2 * x**2) / (1 + (k - 2) * x + x**2))

    if rise:
        peak = brentq(excess_slope, rise / 4, rise * k, rtol=ROOT_TOLERANCE)
        t = _largest_root(excess, peak)
    else:
        t = _largest_root(excess, 0.0)
    x = np.exp(-t)
    loss = np.log1p((k - 2) * x + x**2) + np.exp(log_price) / power * t**power
    return _better_than_zero(t, float(loss), scale=2 * float(np.sqrt(n)), rank=k // 2, num_classes=k)


def _problem(
    num_classes: int, samples_per_class: int, weight_decays: ArrayLike, feature_decay: float
) -> tuple[int, int, int, float]:
    k = validation.integer("num_classes", num_classes, minimum=2)
    n = validation.integer("samples_per_class", samples_per_class, minimum=1)
    lam = _checks.weight_decays("weight_decays", weight_decays)
    lam_h = validation.positive_scalar("feature_decay", feature_decay)
    return k, n, lam.size, float(np.log(np.append(lam_h, lam)).mean())


def _largest_root(excess: Callable[[float], float], peak: float) -> float:
    """Root, above its maximum at ``peak``, of a concave function that ends up negative; 0 when it never is positive."""
    if excess(peak) <= 0:
        return 0.0
    high = 2 * peak + 1
    while excess(high) > 0:
        high *= 2
    return float(brentq(excess, peak, high, xtol=1e-15, rtol=ROOT_TOLERANCE))


def _better_than_zero(margin: float, loss: float, *, scale: float, rank: int, num_classes: int) -> CESolution:
    flat = float(np.log(num_classes))
    if margin == 0 or loss >= flat:
        return CESolution(margin=0.0, loss=flat, singular_value=0.0, rank=0)
    return CESolution(margin=margin, loss=loss, singular_value=margin * scale, rank=rank)
