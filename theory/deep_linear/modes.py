"""Singular modes of a deep linear network: how strong each is at a time, and when it gets there."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.deep_linear._checks import broadcast, require_below, require_same_side
from theory.deep_linear._clock import elapsed, reading, strength_at
from theory.deep_linear.curvature import HessianEigenvalues, critical_learning_rate, hessian_eigenvalues
from theory.deep_linear.unbalanced import UnbalancedModes, hyperbolic_time, unbalanced_modes
from theory.validation import finite, integer, nonnegative, positive

__all__ = [
    "HessianEigenvalues",
    "UnbalancedModes",
    "critical_learning_rate",
    "hessian_eigenvalues",
    "hyperbolic_time",
    "mode_strength",
    "mode_time",
    "mode_time_infinite_depth",
    "pretraining_strength",
    "unbalanced_modes",
]

Array = NDArray[np.float64]


def mode_strength(
    t: ArrayLike,
    *,
    s: ArrayLike,
    u0: ArrayLike,
    depth: int = 2,
    tau: ArrayLike = 1.0,
    input_eigenvalue: ArrayLike = 1.0,
) -> Array:
    r"""Strength of one balanced mode under gradient flow, for any depth.

    With equal layers, u = a^D, gradient flow on the squared loss moves a mode by

    .. math:: \tau \dot u = D\, u^{2-2/D} (s - \lambda u) , \qquad u(\infty) = s / \lambda .

    Depth 1 relaxes exponentially, depth 2 follows the logistic curve
    :math:`u = s u_0 / (\lambda u_0 + (s - \lambda u_0) e^{-2st/\tau})`, deeper ones invert :func:`mode_time`. Accurate
    to a few units of rounding, however small u0 or large t. Costs O(1) an entry, without a loop over entries.

    Parameters
    ----------
    t : array_like
        Times, in the units of ``tau``, any shape. Negative times run the flow backwards; with ``u0`` above the fixed
        point (depth 2) it comes from infinity in finite time, and earlier times are refused.
    s : array_like
        Singular value of the input-output correlations, positive.
    u0 : array_like
        Strength at t = 0. Depth 1: nonnegative. Depth 2: positive. Deeper: strictly between 0 and s / lambda.
    depth : int
        Number D of weight matrices, at least 1.
    tau : array_like
        Time constant, positive; 1 / learning rate when t counts gradient steps.
    input_eigenvalue : array_like
        Variance lambda of the input along the mode, positive; 1 for white inputs.

    Returns
    -------
    ndarray
        Strengths, of the shape of ``t`` (of the joint shape when other arguments are arrays too).

    Raises
    ------
    ValueError
        If an argument is outside its range or not finite, or the shapes do not broadcast.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, the two-layer and the deep mode equations.

    Examples
    --------
    >>> mode_strength([0.0, 50.0], s=2.0, u0=0.01)
    array([0.01, 2.  ])
    """
    t, s = finite("t", t), positive("s", s)
    D = integer("depth", depth, minimum=1)
    u0 = nonnegative("u0", u0) if D == 1 else positive("u0", u0)
    tau, eigenvalue = positive("tau", tau), positive("input_eigenvalue", input_eigenvalue)
    shape = broadcast(t=t, s=s, u0=u0, tau=tau, input_eigenvalue=eigenvalue)

    start = eigenvalue * u0 / s
    with np.errstate(over="ignore", invalid="ignore"):
        if D == 1:
            u = _exponential(eigenvalue * t / tau, u0, s / eigenvalue)
        elif D == 2:
            u = _logistic(2 * s * t / tau, u0, start)
        else:
            require_below("u0", u0, s / eigenvalue)
            clock = D * (s / eigenvalue) ** (1 - 2 / D) * s * t / tau
            u = s / eigenvalue * strength_at(np.asarray(reading(start, (s - eigenvalue * u0) / s, D) + clock), D)
    return np.broadcast_to(u, shape).copy()


def mode_time(u: ArrayLike, *, s: ArrayLike, u0: ArrayLike, depth: int = 2, tau: ArrayLike = 1.0) -> Array:
    r"""Time that a balanced mode takes from strength u0 to u, inputs white.

    .. math:: t = \frac{\tau}{D} \int_{u_0}^{u} \frac{dv}{v^{2-2/D} (s - v)} ,

    which is :math:`\tau \ln\frac{s-u_0}{s-u}` for depth 1, :math:`\frac{\tau}{2s} \ln\frac{u(s-u_0)}{u_0(s-u)}` for
    depth 2 and a difference of hypergeometric functions beyond. Full relative accuracy, also for u close to u0 or to
    s. For correlated inputs with variance lambda pass lambda u, lambda u0 and tau lambda^(1-2/D). Costs O(1) an entry.

    Parameters
    ----------
    u : array_like
        Strengths to reach, any shape; on the same side of ``s`` as ``u0``. A strength passed before t = 0 gets a
        negative time.
    s : array_like
        Singular value of the input-output correlations, positive.
    u0 : array_like
        Strength at t = 0. Depth 1: nonnegative. Depth 2: positive. Deeper: strictly between 0 and s. Same for ``u``.
    depth : int
        Number D of weight matrices, at least 1.
    tau : array_like
        Time constant, positive.

    Returns
    -------
    ndarray
        Times in the units of ``tau``, of the shape of ``u`` (of the joint shape when other arguments are arrays too).

    Raises
    ------
    ValueError
        If an argument is outside its range or not finite, if ``u`` is not on the side of ``s`` where ``u0`` is, or
        the shapes do not broadcast.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, the time of a two-layer mode and its extension to any depth.

    Examples
    --------
    >>> mode_time([0.1, 0.5], s=1.0, u0=0.1).round(6)
    array([0.      , 1.098612])
    """
    D = integer("depth", depth, minimum=1)
    check = nonnegative if D == 1 else positive
    u, u0 = check("u", u), check("u0", u0)
    s, tau = positive("s", s), positive("tau", tau)
    shape = broadcast(u=u, s=s, u0=u0, tau=tau)
    low, high = np.minimum(u, u0), np.maximum(u, u0)
    if D > 2:
        require_below("u0", u0, s)
        require_below("u", u, s)
    else:
        require_same_side(u, u0, s)

    if D == 1:
        clock = np.where(high < s, np.log1p((high - low) / (s - high)), -np.log1p((high - low) / np.abs(low - s)))
    elif D == 2 and np.all(high < s):
        clock = elapsed(low, high, s, 2)
    elif D == 2:
        low, high, s = np.broadcast_arrays(low, high, s)
        clock = np.empty(low.shape)
        under = high < s
        clock[under] = elapsed(low[under], high[under], s[under], 2)
        a, b, top = low[~under], high[~under], s[~under]
        clock[~under] = -np.log1p(top * (b - a) / (b * (a - top)))
    else:
        clock = elapsed(low, high, s, D)
    return np.broadcast_to(np.sign(u - u0) * clock * tau / (D * s ** (2 - 2 / D)), shape).copy()


def mode_time_infinite_depth(u: ArrayLike, *, s: ArrayLike, u0: ArrayLike, tau: ArrayLike = 1.0) -> Array:
    r"""Limit of depth times :func:`mode_time` as the depth grows, the initial strength of the product held fixed.

    .. math:: \lim_{D\to\infty} D\,t = \tau \Bigl[ \frac{1}{s^2} \ln\frac{u (s-u_0)}{u_0 (s-u)} + \frac{1}{s u_0}
            - \frac{1}{s u} \Bigr] .

    Approached as 1/D once D is well above ln(1/u0). Costs O(1) an entry.

    Parameters
    ----------
    u : array_like
        Strengths to reach, strictly between 0 and ``s``.
    s : array_like
        Singular value of the input-output correlations, positive.
    u0 : array_like
        Strength at t = 0, strictly between 0 and ``s``.
    tau : array_like
        Time constant, positive.

    Returns
    -------
    ndarray
        The limit, in the units of ``tau``, of the joint shape of the arguments; negative where ``u`` < ``u0``.

    Raises
    ------
    ValueError
        If an argument is outside its range or not finite, or the shapes do not broadcast.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, the limit of infinite depth.

    Examples
    --------
    >>> round(float(mode_time_infinite_depth(1.6, s=1.7, u0=0.02)), 4)
    31.5366
    """
    u, u0 = positive("u", u), positive("u0", u0)
    s, tau = positive("s", s), positive("tau", tau)
    shape = broadcast(u=u, s=s, u0=u0, tau=tau)
    require_below("u0", u0, s)
    require_below("u", u, s)
    low, high = np.minimum(u, u0), np.maximum(u, u0)
    clock = elapsed(low, high, s, np.inf)
    return np.broadcast_to(np.sign(u - u0) * clock * tau / s**2, shape).copy()


def pretraining_strength(t: ArrayLike, *, input_eigenvalue: ArrayLike, u0: ArrayLike, tau: ArrayLike = 1.0) -> Array:
    r"""Strength of a mode while a layer is pretrained as a linear autoencoder.

    The target of an autoencoder is its input, so that s = lambda and the two-layer mode obeys

    .. math:: \tau \dot u = 2 \lambda u (1 - u) ,

    which ends at u = 1 for every lambda > 0: greedy pretraining leaves an isometry on the input modes, and fine-tuning
    starts from layers of strength 1 at any depth. Costs O(1) an entry.

    Parameters
    ----------
    t : array_like
        Times in the units of ``tau``, any shape.
    input_eigenvalue : array_like
        Variance lambda of the input along the mode, positive.
    u0 : array_like
        Strength of encoder times decoder at t = 0, positive.
    tau : array_like
        Time constant, positive.

    Returns
    -------
    ndarray
        Strengths, in the joint shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is outside its range or not finite, or the shapes do not broadcast.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, the section on greedy unsupervised pretraining.

    Examples
    --------
    >>> pretraining_strength(100.0, input_eigenvalue=[0.5, 3.0], u0=0.01)
    array([1., 1.])
    """
    eigenvalue = positive("input_eigenvalue", input_eigenvalue)
    return mode_strength(t, s=eigenvalue, u0=u0, depth=2, tau=tau, input_eigenvalue=eigenvalue)


def _exponential(x: Array, u0: Array, end: Array) -> Array:
    u = np.where(x < 0, end + (u0 - end) * np.exp(-x), u0 * np.exp(-np.abs(x)) - end * np.expm1(-np.abs(x)))
    if not np.isfinite(u).all():
        raise ValueError("t must not be so far back that the strength of the mode overflows")
    return u


def _logistic(x: Array, u0: Array, start: Array) -> Array:
    decay = np.exp(-np.abs(x))
    forward = np.where(start < 1, start + (1 - start) * decay, 1 - (start - 1) * np.expm1(-np.abs(x)))
    backward = start * decay + (1 - start)
    if np.any((x < 0) & (backward <= 0)):
        raise ValueError("t must be later than the time at which a mode above its fixed point comes from infinity")
    return np.where(x < 0, u0 * decay, u0) / np.where(x < 0, backward, forward)
