r"""Comp-sum losses: what a small surrogate risk, such as cross-entropy, guarantees about errors.

A score :math:`h_y` for each of c classes has the softmax probabilities :math:`s_y`. A loss of the family is

.. math:: \ell_\tau = \Phi_\tau\Bigl(\sum_{y' \ne y} e^{h_{y'} - h_y}\Bigr) = \frac{s_y^{\tau - 1} - 1}{1 - \tau} ,
          \qquad \Phi_\tau(u) = \frac{(1 + u)^{1 - \tau} - 1}{1 - \tau} ,

the sum of exponentials at tau = 0, logistic loss (cross-entropy) at 1, generalised cross-entropy between 1 and 2, and
the mean absolute error at 2. With the logarithm :math:`L = -\ln s_y` all of them read
:math:`\lambda_\tau(L) = (e^{(1 - \tau) L} - 1) / (1 - \tau)`.

Regret is risk at an input above the least there: of the loss, and of errors, :math:`\beta = \max p - p_{\arg\max s}`.
Scores are free at every input, so that the two regrets are related pointwise, and their means by convexity.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize.elementwise import find_root
from scipy.special import exprel, logsumexp

from theory import validation
from theory.generalization._counts import counts
from theory.generalization._renyi import coin_divergence, log1p_ratio, renyi_entropy

Array = NDArray[np.float64]

_SUM_TOLERANCE = 1e-9


def comp_sum_loss(scores: ArrayLike, label: ArrayLike, *, tau: ArrayLike) -> Array:
    r"""Loss of scores for a label.

    .. math:: \ell_\tau(h, y) = \lambda_\tau\Bigl(\ln \sum_{y'} e^{h_{y'} - h_y}\Bigr)

    Parameters
    ----------
    scores : array_like, shape (..., c)
        Scores h of c >= 2 classes.
    label : array_like of int, shape (...)
        y in 0, ..., c - 1.
    tau : array_like
        Member of the family, >= 0; broadcasts against the labels.

    Returns
    -------
    ndarray or float
        Nonnegative; infinite where it overflows, which takes tau < 1 and scores hundreds apart. Relative accuracy is
        full up to the rounding of differences of scores. Costs O(c).

    Raises
    ------
    ValueError
        If an argument is out of range or not finite.

    References
    ----------
    Mao, Mohri and Zhong (2023), arXiv:2304.07288.

    Examples
    --------
    >>> round(float(comp_sum_loss([0.0, 0.0], 1, tau=1.0)), 6)
    0.693147
    """
    h, t = validation.finite("scores", scores), validation.nonnegative("tau", tau)
    if h.ndim == 0 or h.shape[-1] < 2:
        raise ValueError(f"scores must have at least 2 classes on the last axis; got shape {h.shape}")
    y = counts("label", label, minimum=0)
    if y.size and y.max() >= h.shape[-1]:
        raise ValueError(f"label must be below the number of classes, {h.shape[-1]}; got {y.max()}")
    y, _ = np.broadcast_arrays(y, h[..., 0])
    h = np.broadcast_to(h, (*y.shape, h.shape[-1]))
    own = np.take_along_axis(h, y[..., None], axis=-1)
    others = np.where(np.arange(h.shape[-1]) == y[..., None], -np.inf, h - own)
    return _of_logarithm(np.logaddexp(0.0, logsumexp(others, axis=-1)), t)[()]


def conditional_risk(p: ArrayLike, s: ArrayLike, *, tau: ArrayLike) -> Array:
    r"""Average the loss over the classes at an input, :math:`C(p, s) = \sum_y p_y \lambda_\tau(-\ln s_y)`.

    Parameters
    ----------
    p : array_like, shape (..., c)
        Probabilities of the classes given the input.
    s : array_like, shape (..., c)
        Probabilities that the softmax of the scores gives. A zero is the limit of ever lower scores.
    tau : array_like
        Member of the family, >= 0; broadcasts against the inputs.

    Returns
    -------
    ndarray or float
        Infinite where tau <= 1 and a class that happens has s_y = 0. Costs O(c).

    Raises
    ------
    ValueError
        If an argument is out of range, or probabilities do not sum to 1.

    Examples
    --------
    >>> round(float(conditional_risk([0.7, 0.3], [0.5, 0.5], tau=2.0)), 6)
    0.5
    """
    p, s, t = _distributions("p", p), _distributions("s", s), validation.nonnegative("tau", tau)
    if p.shape[-1] != s.shape[-1]:
        raise ValueError(f"s must have the classes of p, {p.shape[-1]}; got {s.shape[-1]}")
    with np.errstate(divide="ignore"):
        losses = _of_logarithm(-np.log(s), t[..., None])
    happens = p > 0
    return np.where(happens, p * np.where(happens, losses, 0.0), 0.0).sum(axis=-1)[()]


def minimal_risk(p: ArrayLike, *, tau: ArrayLike) -> Array:
    r"""Least expected loss at an input, over all scores.

    .. math:: C^*(p) = \lambda_\tau\bigl(H_a(p)\bigr), \qquad a = \frac{1}{2 - \tau} \quad (\tau < 2),
              \qquad C^*(p) = \frac{1 - \max p}{\tau - 1} \quad (\tau \ge 2)

    with the Rényi entropy :math:`H_a`. It is reached at :math:`s_y \propto p_y^a`, and from tau = 2 on by all weight
    on a likeliest class.

    Parameters
    ----------
    p : array_like, shape (..., c)
        Probabilities of the classes given the input; zeros are welcome.
    tau : array_like
        Member of the family, >= 0; broadcasts against the inputs.

    Returns
    -------
    ndarray or float
        Accurate next to tau = 1, where it is Shannon's entropy, and next to tau = 2. Costs O(c log c).

    Raises
    ------
    ValueError
        If an argument is out of range, or probabilities do not sum to 1.

    References
    ----------
    Mao, Mohri and Zhong (2023); written as an entropy here.

    Examples
    --------
    >>> round(float(minimal_risk([0.5, 0.25, 0.25], tau=1.0) / np.log(2)), 6)
    1.5
    """
    p, t = _distributions("p", p), validation.nonnegative("tau", tau)
    entropy = renyi_entropy(p, _order(t))
    return _of_logarithm(entropy, np.minimum(t, 2.0)) / np.maximum(t - 1, 1.0)


def h_consistency_transform(beta: ArrayLike, *, tau: ArrayLike, num_classes: ArrayLike) -> Array:
    r"""Least surrogate regret that the bound grants to a regret of errors, :math:`T_\tau(\beta)`.

    With the Rényi divergence :math:`D_a` of a coin of probabilities :math:`(1 \pm \beta) / 2` from a fair one, at order
    :math:`a = 1 / (2 - \tau)`,

    .. math:: T_\tau(\beta) = k^{1 - \tau}\, \frac{e^{(\tau - 1) D_a(\beta)} - 1}{\tau - 1} \quad (\tau < 2), \qquad
              \frac{\beta}{(\tau - 1)\, c^{\tau - 1}} \quad (\tau \ge 2),

    where k = 2 for tau <= 1 and k = c, the number of classes, beyond. No surrogate regret is below. For tau <= 1, for
    two classes and tau <= 2, and at tau = 2 for beta <= 1 / (c - 1) some probabilities and scores attain it.

    Parameters
    ----------
    beta : array_like
        Regret of errors, in [0, 1].
    tau : array_like
        Member of the family, >= 0.
    num_classes : array_like of int
        c >= 2.

    Returns
    -------
    ndarray or float
        Increasing and convex in beta, accurate to a few roundings (times the order, for large ones). Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Mao, Mohri and Zhong (2023), arXiv:2304.07288; written as a divergence here.

    Examples
    --------
    >>> round(float(h_consistency_transform(0.6, tau=0.0, num_classes=10)), 12)
    0.2
    """
    b, t = validation.interval("beta", beta, 0, 1), validation.nonnegative("tau", tau)
    k = _effective_classes(t, num_classes)
    divergence = coin_divergence(b, _order(t))
    power = np.minimum(t, 2.0) - 1
    return (k ** (1 - t) * divergence * exprel(power * divergence) / np.maximum(t - 1, 1.0))[()]


def h_consistency_bound(t: ArrayLike, *, tau: ArrayLike, num_classes: ArrayLike) -> Array:
    r"""Largest regret of errors that a surrogate regret allows, :math:`\Gamma_\tau = T_\tau^{-1}`, at most 1.

    Means over inputs obey the same bound, as Gamma is concave.

    Parameters
    ----------
    t : array_like
        Surrogate regret, >= 0.
    tau : array_like
        Member of the family, >= 0.
    num_classes : array_like of int
        c >= 2.

    Returns
    -------
    ndarray or float
        In [0, 1]; the inverse is found by bracketing to full relative accuracy. Costs about 20 evaluations of
        :func:`h_consistency_transform`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(h_consistency_bound(0.2, tau=0.0, num_classes=10)), 12)
    0.6
    """
    regret, member = validation.nonnegative("t", t), validation.nonnegative("tau", tau)
    k = _effective_classes(member, num_classes)
    # e^{(tau - 1) D} = 1 + (tau - 1) k^{tau - 1} t, with tau - 1 at most 1
    scaled = regret * k ** (member - 1) * np.maximum(member - 1, 1.0)
    power = np.minimum(member, 2.0) - 1
    inside = power * scaled > -1
    divergence = np.where(inside, scaled * log1p_ratio(np.where(inside, power * scaled, 0.0)), np.inf)
    divergence, order = np.broadcast_arrays(divergence, _order(member))
    certain = divergence >= np.log(2)
    target = np.where(certain, 0.0, divergence)
    found = find_root(lambda b, d, a: coin_divergence(b, a) - d, (0.0, 1.0), args=(target, order), maxiter=2000).x
    return np.where(certain, 1.0, np.where(np.isinf(order), np.expm1(target), found))[()]


def h_consistency_upper(t: ArrayLike, *, tau: ArrayLike, num_classes: ArrayLike) -> Array:
    r"""Bound :func:`h_consistency_bound` from above in closed form.

    .. math:: \sqrt{2^\tau (2 - \tau)\, t} \quad (\tau < 1), \qquad \sqrt{2 c^{\tau - 1} t} \quad (1 \le \tau < 2),
              \qquad (\tau - 1)\, c^{\tau - 1} t \quad (\tau \ge 2)

    A square root below tau = 2, where a tenth of the regret of errors takes a hundredth of the surrogate's, and a line
    from there on.

    Parameters
    ----------
    t, tau, num_classes
        As for :func:`h_consistency_bound`.

    Returns
    -------
    ndarray or float
        Not clipped: above 1 it says nothing. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(h_consistency_upper(0.02, tau=1.0, num_classes=10)), 12)
    0.2
    """
    regret, member = validation.nonnegative("t", t), validation.nonnegative("tau", tau)
    k = _effective_classes(member, num_classes)
    factor = np.where(member < 1, 2 * np.maximum(2 - member, 0.0), 2.0) * k ** (member - 1)
    return np.where(member < 2, np.sqrt(factor * regret), (member - 1) * k ** (member - 1) * regret)[()]


def _of_logarithm(logarithm: Array, tau: Array) -> Array:
    """Loss at L = -ln s_y: (e^((1 - tau) L) - 1) / (1 - tau)."""
    logarithm, tau = np.broadcast_arrays(logarithm, tau)
    finite = np.where(np.isfinite(logarithm), logarithm, 0.0)
    at_infinity = np.where(tau > 1, 1 / np.where(tau > 1, tau - 1, 1.0), np.inf)
    exponent = (1 - tau) * finite
    # far out a quotient, as a product of two roundings would not grow with L to the last digit
    far = np.abs(exponent) > 1
    value = np.where(far, np.expm1(exponent) / np.where(far, 1 - tau, 1.0), finite * exprel(exponent))
    return np.where(np.isfinite(logarithm), value, at_infinity)


def _order(tau: Array) -> Array:
    return np.where(tau < 2, 1 / np.where(tau < 2, 2 - tau, 1.0), np.inf)


def _effective_classes(tau: Array, num_classes: ArrayLike) -> Array:
    c = counts("num_classes", num_classes, minimum=2).astype(float)
    return np.where(tau <= 1, 2.0, c)


def _distributions(name: str, value: ArrayLike) -> Array:
    """Return probabilities over the last axis, or raise ValueError."""
    array = validation.nonnegative(name, value)
    if array.ndim == 0 or array.shape[-1] < 2:
        raise ValueError(f"{name} must have at least 2 classes on the last axis; got shape {array.shape}")
    off = np.abs(array.sum(axis=-1) - 1)
    if np.any(off > _SUM_TOLERANCE):
        raise ValueError(f"{name} must sum to 1 over the last axis; off by {off.max():.3g}")
    return array
