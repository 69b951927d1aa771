"""Tanh networks at initialisation: the length of activations, the gain of gradients, and the edge of chaos."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import factorial

from theory.validation import finite, integer, nonnegative, positive, positive_scalar, scalar

Array = NDArray[np.float64]

# Trapezoid rules on the half line, in z for q <= 1 and in sqrt(q) z beyond: so the poles of sech^4, of order 4, stay
# pi/2 or more from the real axis, and a spacing h errs by about 2 (2 pi/h)^3 / 3! e^(-pi^2/h) = 4e-18.
_SPACING = 0.2
_NODES = _SPACING * np.arange(101)
_HALVES = np.where(_NODES == 0, 0.5, 1.0) * _SPACING * np.sqrt(2 / np.pi)
_SERIES_ORDERS = np.arange(1, 12)


class EdgeOfChaos(NamedTuple):
    """Leading behaviour just above gain 1: the stationary squared length and the gain of gradients there."""

    fixed_point: Array
    gradient_gain: Array


def tanh_length_map(q: ArrayLike, *, gain: ArrayLike) -> Array:
    r"""Squared length of the preactivations of the next layer of a wide tanh network.

    .. math:: q_{l+1} = g^2\, E_{z\sim N(0,1)} \tanh^2(\sqrt{q_l}\, z) ,

    for :math:`h_{l+1} = g W \tanh(h_l)` with W orthogonal, or Gaussian of variance 1/n. Full relative accuracy at
    every q, small and large, from a trapezoid rule of about a hundred nodes an entry.

    Parameters
    ----------
    q : array_like
        Mean square of the preactivations, nonnegative.
    gain : array_like
        The gain g, positive; broadcasts against ``q``.

    Returns
    -------
    ndarray
        Mean square one layer on, in the joint shape of ``q`` and ``gain``.

    Raises
    ------
    ValueError
        If ``q`` is negative, ``gain`` not positive, an entry not finite, or the shapes do not broadcast.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, the section on nonlinear networks at the edge of chaos.

    Examples
    --------
    >>> tanh_length_map([0.0, 1.0], gain=1.0).round(6)
    array([0.      , 0.394294])
    """
    q, gain = _checked(q, gain)
    small = _average_in_z(lambda y: np.tanh(y) ** 2, np.minimum(q, 1.0))
    large = 1 - _average_in_y(np.cosh(_NODES) ** -2.0, np.maximum(q, 1.0))
    return np.asarray(gain**2 * np.where(q <= 1, small, large))


def gradient_gain(q: ArrayLike, *, gain: ArrayLike) -> Array:
    r"""Mean squared singular value of the Jacobian of one layer of a wide tanh network.

    .. math:: \chi(q) = g^2\, E_{z\sim N(0,1)} \operatorname{sech}^4(\sqrt{q}\, z) ,

    the factor by which a layer stretches the squared norm of a gradient. Full relative accuracy at every q.

    Parameters
    ----------
    q : array_like
        Mean square of the preactivations, nonnegative.
    gain : array_like
        The gain g, positive; broadcasts against ``q``.

    Returns
    -------
    ndarray
        chi, in the joint shape of ``q`` and ``gain``.

    Raises
    ------
    ValueError
        If ``q`` is negative, ``gain`` not positive, an entry not finite, or the shapes do not broadcast.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, the section on nonlinear networks at the edge of chaos.

    Examples
    --------
    >>> gradient_gain([0.0, 1.0], gain=1.0).round(6)
    array([1.      , 0.464403])
    """
    q, gain = _checked(q, gain)
    small = _average_in_z(lambda y: np.cosh(y) ** -4.0, np.minimum(q, 1.0))
    large = _average_in_y(np.cosh(_NODES) ** -4.0, np.maximum(q, 1.0))
    return np.asarray(gain**2 * np.where(q <= 1, small, large))


def tanh_fixed_point(*, gain: float) -> float:
    r"""Stationary squared length of the preactivations of a wide, deep tanh network.

    The stable solution of :math:`q = g^2 E \tanh^2(\sqrt q z)`: 0 up to gain 1, about g - 1 just above, g^2 for large
    g. Solved from :math:`E[z^2 - \tanh^2(\sqrt q z)/q] = 1 - g^{-2}`, which keeps its digits as g -> 1, by Brent's
    method to a relative 1e-15.

    Parameters
    ----------
    gain : float
        The gain g, positive.

    Returns
    -------
    float
        The fixed point q*.

    Raises
    ------
    ValueError
        If ``gain`` is not positive and finite.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, the section on nonlinear networks at the edge of chaos.

    Examples
    --------
    >>> tanh_fixed_point(gain=0.9)
    0.0
    >>> round(tanh_fixed_point(gain=1.2), 6)
    0.249513
    """
    g = positive_scalar("gain", gain)
    if g <= 1:
        return 0.0
    wanted = (g - 1) / g * ((g + 1) / g)

    def excess(log_q: float) -> float:
        q = np.exp(log_q)
        return _deficit(q) - wanted if g < 2 else q / float(tanh_length_map(q, gain=g)) - 1

    # the deficit is at most 2q, and the fixed point at most g^2
    low, high = np.log(wanted / 2) - 1e-9, 2 * np.log(g) + 1e-9
    return float(np.exp(brentq(excess, low, high, xtol=1e-16, rtol=1e-15)))


def jacobian_mean_square(*, gain: float, depth: int, q0: float | None = None) -> float:
    r"""Mean squared singular value of the end-to-end Jacobian of a wide tanh network, :math:`\prod_{l<D} \chi(q_l)`.

    The lengths follow :func:`tanh_length_map` from q_0. Valid for widths well above the depth; the correction is of
    order 1 / width. Costs O(D) quadratures, or one when started at the fixed point.

    Parameters
    ----------
    gain : float
        The gain g, positive.
    depth : int
        Number D of layers, at least 0.
    q0 : float, optional
        Mean square of the first preactivations, nonnegative; the fixed point when not given.

    Returns
    -------
    float
        Mean of the squared singular values of dh_D/dh_0.

    Raises
    ------
    ValueError
        If ``gain`` is not positive, ``q0`` negative, either not finite, or ``depth`` < 0.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, the section on nonlinear networks at the edge of chaos.

    Examples
    --------
    >>> round(jacobian_mean_square(gain=0.9, depth=2), 12)
    0.6561
    """
    g = positive_scalar("gain", gain)
    D = integer("depth", depth, minimum=0)
    if q0 is None:
        return float(gradient_gain(tanh_fixed_point(gain=g), gain=g)) ** D
    q = scalar("q0", nonnegative("q0", q0))
    total = 1.0
    for _ in range(D):
        total *= float(gradient_gain(q, gain=g))
        q = float(tanh_length_map(q, gain=g))
    return total


def edge_of_chaos(*, gain: ArrayLike) -> EdgeOfChaos:
    r"""Second-order expansion of the fixed point and of the gain of gradients just above gain 1.

    .. math:: q^* = \epsilon + \tfrac43 \epsilon^2 + O(\epsilon^3), \qquad
            \chi(q^*) = 1 + \tfrac43 \epsilon^2 + O(\epsilon^3), \qquad \epsilon = g - 1 \ge 0 ,

    so that gradients neither grow nor decay to first order. At g = 1 itself the length decays as 1/(2l).

    Parameters
    ----------
    gain : array_like
        The gain g, at least 1.

    Returns
    -------
    EdgeOfChaos
        ``fixed_point`` and ``gradient_gain``, in the shape of ``gain``.

    Raises
    ------
    ValueError
        If ``gain`` is below 1 or not finite; there the fixed point is 0 and chi = g^2 exactly.

    References
    ----------
    Derived here for the network of Saxe, McClelland and Ganguli, arXiv:1312.6120.

    Examples
    --------
    >>> edge_of_chaos(gain=1.03).gradient_gain.round(4)
    np.float64(1.0012)
    """
    g = finite("gain", gain)
    if np.any(g < 1):
        raise ValueError(f"gain must be at least 1, where the expansion starts; got {g.min():g}")
    excess = g - 1
    square = 4 / 3 * excess**2
    return EdgeOfChaos(fixed_point=np.asarray(excess + square), gradient_gain=np.asarray(1 + square))


def _checked(q: ArrayLike, gain: ArrayLike) -> tuple[Array, Array]:
    length, g = nonnegative("q", q), positive("gain", gain)
    try:
        return np.broadcast_arrays(length, g)  # type: ignore[return-value]
    except ValueError:
        raise ValueError(f"q and gain must have shapes that broadcast; got {length.shape} and {g.shape}") from None


def _average_in_z(f: Callable[[Array], Array], q: Array) -> Array:
    weights = _HALVES * np.exp(-0.5 * _NODES**2)
    return f(np.sqrt(q)[..., None] * _NODES) @ weights


def _average_in_y(values: Array, q: Array) -> Array:
    return np.exp(-0.5 * _NODES**2 / q[..., None]) @ (_HALVES * values) / np.sqrt(q)


def _deficit(q: float) -> float:
    """1 - E tanh^2(sqrt(q) z) / q, which is 2q for small q, with its relative accuracy."""
    if q > 1:
        return 1 - float(tanh_length_map(q, gain=1.0)) / q

    def shortfall(y: Array) -> Array:
        # y - tanh y = (y cosh y - sinh y) / cosh y, whose series has positive terms only
        powers = 2 * _SERIES_ORDERS
        near = np.minimum(y, 1.0)
        series = near * (near[..., None] ** powers @ (powers / factorial(powers + 1))) / np.cosh(near)
        return np.where(y < 1, series, y - np.tanh(y)) * (y + np.tanh(y))

    return float(_average_in_z(shortfall, np.asarray(q))) / q
