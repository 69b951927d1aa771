r"""Scale-invariant weights, f(c w) = f(w), under momentum: how they grow, and what a step does to their direction.

The gradient is orthogonal to the weights, so every step lengthens them and, with them, shortens later steps.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from theory import validation

Array = NDArray[np.float64]


class EffectiveStep(NamedTuple):
    """What a step does to a direction: the unit vector it leads to, and the tangential step size that does the same."""

    direction: Array
    learning_rate: float


def momentum_norm_growth(update_norms_squared: ArrayLike, *, learning_rate: float, momentum: float) -> Array:
    r"""Growth :math:`\|w_t\|^2 - \|w_0\|^2` of scale-invariant weights under momentum, from the norms of its updates.

    With :math:`w\cdot\nabla f(w) = 0`, :math:`p_t = \beta p_{t-1} + \nabla f(w_t)`, :math:`w_{t+1} = w_t - \eta p_t`
    and no momentum at the start,

    .. math:: \|w_{t+1}\|^2 = \|w_t\|^2 + \eta^2 \|p_t\|^2 + 2 \eta^2 \sum_{k < t} \beta^{t-k} \|p_k\|^2 .

    An identity for every sequence of gradients. Costs O(T).

    Parameters
    ----------
    update_norms_squared : array_like, shape (T,)
        :math:`\|p_t\|^2 \ge 0`, t = 0, ..., T - 1.
    learning_rate : float
        eta > 0.
    momentum : float
        beta in [0, 1).

    Returns
    -------
    ndarray, shape (T + 1,)
        Starts at 0.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Heo et al. (2021), arXiv:2006.08217, Lemma 2.2.

    Examples
    --------
    >>> momentum_norm_growth([1.0, 1.0], learning_rate=1.0, momentum=0.5)
    array([0., 1., 3.])
    """
    p2 = validation.nonnegative("update_norms_squared", update_norms_squared, ndim=1)
    eta = validation.positive_scalar("learning_rate", learning_rate)
    beta = check_momentum(momentum)
    past = lfilter([0.0, beta], [1.0, -beta], p2)
    return eta**2 * np.concatenate([[0.0], np.cumsum(p2 + 2 * past)])


def momentum_growth_ratio(momentum: float, *, equal: str = "updates") -> float:
    r"""Long-run ratio of norm growth, momentum over plain descent.

    Updates p_t of one constant norm in both: :math:`1 + 2\beta/(1-\beta) = (1+\beta)/(1-\beta)`. Gradients of one
    constant norm and independent signs, whose updates are then longer by :math:`1/(1-\beta^2)` in mean square:
    :math:`1/(1-\beta)^2`.

    Parameters
    ----------
    momentum : float
        beta in [0, 1).
    equal : {"updates", "gradients"}
        What has the same norm in both runs.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``momentum`` is out of range or ``equal`` unknown.

    References
    ----------
    Heo et al. (2021), arXiv:2006.08217, Corollary 2.3; the case of equal gradients is derived here.

    Examples
    --------
    >>> round(momentum_growth_ratio(0.9), 9), round(momentum_growth_ratio(0.9, equal="gradients"), 9)
    (19.0, 100.0)
    """
    beta = check_momentum(momentum)
    if equal not in ("updates", "gradients"):
        raise ValueError(f"equal must be 'updates' or 'gradients'; got {equal!r}")
    return (1 + beta) / (1 - beta) if equal == "updates" else 1 / (1 - beta) ** 2


def effective_step(weights: ArrayLike, update: ArrayLike, *, learning_rate: float) -> EffectiveStep:
    r"""Where one step :math:`w - \eta p` leads on the sphere, as a step along the tangential part of p.

    With :math:`\Pi p = p - w (w\cdot p)/\|w\|^2`, the direction of :math:`w - \eta p` is that of
    :math:`w - \eta' \Pi p`,

    .. math:: \eta' = \frac{\eta}{1 - \eta\, w\cdot p / \|w\|^2} ,

    so removing the radial part of p changes the direction only through :math:`\eta' - \eta = O(\eta^2)`, and what
    matters is :math:`\eta' / \|w\|` times :math:`\Pi p`.

    Parameters
    ----------
    weights, update : array_like, shape (d,)
        w (not zero) and p.
    learning_rate : float
        eta > 0.

    Returns
    -------
    EffectiveStep
        ``direction``, shape (d,), and ``learning_rate``, eta'.

    Raises
    ------
    ValueError
        If shapes disagree, w is zero, or the radial part of the step reaches the origin (eta' not positive).

    References
    ----------
    Heo et al. (2021), arXiv:2006.08217; the exact step is derived here.
    """
    w = validation.finite("weights", weights, ndim=1)
    p = validation.same_shape("update", validation.finite("update", update, ndim=1), "weights", w)
    eta = validation.positive_scalar("learning_rate", learning_rate)
    norm2 = w @ w
    if norm2 == 0:
        raise ValueError("weights must not be zero")
    shrink = 1 - eta * (w @ p) / norm2
    if shrink <= 0:
        raise ValueError(f"learning_rate must keep the radial part of the step short of the origin; got {eta:g}")
    rate = eta / shrink
    moved = w - rate * (p - w * (w @ p) / norm2)
    return EffectiveStep(direction=moved / np.linalg.norm(moved), learning_rate=float(rate))


def check_momentum(momentum: float) -> float:
    """Return ``momentum`` as a float in [0, 1), or raise ValueError."""
    beta = validation.scalar("momentum", momentum)
    if not 0 <= beta < 1:
        raise ValueError(f"momentum must be in [0, 1); got {beta:g}")
    return beta
