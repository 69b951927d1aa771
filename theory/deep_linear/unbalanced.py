"""Two-layer modes whose layers start unequal: they travel along hyperbolas a^2 - b^2 = const."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.deep_linear._checks import broadcast, require_same_side
from theory.validation import finite, nonnegative, positive

Array = NDArray[np.float64]


class UnbalancedModes(NamedTuple):
    """Strengths of the two layers; their product is the strength of the mode."""

    a: Array
    b: Array


def unbalanced_modes(
    t: ArrayLike, *, s: ArrayLike, a0: ArrayLike, b0: ArrayLike, tau: ArrayLike = 1.0
) -> UnbalancedModes:
    r"""Both layers of a two-layer mode under gradient flow, from any initial values.

    For :math:`\tau\dot a = b(s-ab)`, :math:`\tau\dot b = a(s-ab)` the difference :math:`c_0 = a^2-b^2` is conserved,
    and each of :math:`(a \pm b)^2` obeys a Riccati equation of its own with the roots
    :math:`\pm 2s + k` and :math:`\pm 2s - k`, :math:`k = \sqrt{c_0^2 + 4 s^2}`. With :math:`E = e^{-kt/\tau}`,
    :math:`p = a+b`, :math:`q = a-b` and the positive numbers :math:`z_+ = 2s+k`, :math:`m = c_0^2/z_+`,

    .. math:: \frac{p(t)}{p_0} = \frac{q_0}{q(t)} =
        \sqrt{\frac{z_+ + mE + q_0^2 (1-E)}{p_0^2 (1-E) + m + z_+ E}} ,

    every term of which is nonnegative. Costs O(1) an entry.

    Parameters
    ----------
    t : array_like
        Times, nonnegative, in the units of ``tau``, any shape.
    s : array_like
        Singular value of the input-output correlations, positive.
    a0, b0 : array_like
        Initial strengths of the first and second layer, any real numbers. From a0 = -b0 the mode dies at 0, a saddle.
    tau : array_like
        Time constant, positive.

    Returns
    -------
    UnbalancedModes
        ``a`` and ``b``, each in the joint shape of the arguments.

    Raises
    ------
    ValueError
        If an argument is outside its range or not finite, or the shapes do not broadcast.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, the appendix on hyperbolic trajectories.

    Examples
    --------
    >>> a, b = unbalanced_modes(100.0, s=2.0, a0=2.0, b0=0.5)
    >>> (a * b).round(12), (a**2 - b**2).round(12)
    (np.float64(2.0), np.float64(3.75))
    """
    t, s = nonnegative("t", t), positive("s", s)
    a0, b0 = finite("a0", a0), finite("b0", b0)
    tau = positive("tau", tau)
    shape = broadcast(t=t, s=s, a0=a0, b0=b0, tau=tau)

    p0, q0 = a0 + b0, a0 - b0
    invariant = p0 * q0
    k = np.hypot(invariant, 2 * s)
    root = 2 * s + k
    with np.errstate(over="ignore"):
        half = np.exp(-0.5 * k * t / tau)
        grown = -np.expm1(-k * t / tau)
    above = np.sqrt(root + invariant**2 / root * half**2 + q0**2 * grown)
    below = np.hypot(p0 * np.sqrt(grown + q0**2 / root), np.sqrt(root) * half)
    # on the stable manifold, p0 = 0, both vanish at late times; p then stays 0 whatever the ratio
    p = p0 * above / np.where(p0 == 0, 1.0, below)
    q = q0 * below / above
    return UnbalancedModes(
        a=np.broadcast_to((p + q) / 2, shape).copy(),
        b=np.broadcast_to((p - q) / 2, shape).copy(),
    )


def hyperbolic_time(u: ArrayLike, *, s: ArrayLike, u0: ArrayLike, invariant: ArrayLike, tau: ArrayLike = 1.0) -> Array:
    r"""Time that an unbalanced two-layer mode takes from strength u0 = a0 b0 to u, along its hyperbola.

    .. math:: t = \tau \int_{u_0}^{u} \frac{dv}{(s-v)\sqrt{c_0^2 + 4v^2}}
            = \frac{\tau}{k} \Bigl[ \ln\frac{c_0^2 + 4sv + k\sqrt{c_0^2+4v^2}}{s - v} \Bigr]_{u_0}^{u} ,
            \qquad k = \sqrt{c_0^2 + 4s^2} .

    In the angle of the hyperbola, u = (c_0/2) sinh(theta), this is the paper's
    :math:`\frac{\tau}{k} [\ln\frac{k + c_0 + 2s\tanh(\theta/2)}{k - c_0 - 2s\tanh(\theta/2)}]`. Holds on the branch
    where a and b grow together (:math:`a + b > 0`, or its mirror image). Costs O(1) an entry.

    Parameters
    ----------
    u : array_like
        Strengths to reach, on the same side of ``s`` as ``u0``; negative ones too unless ``invariant`` is 0.
    s : array_like
        Singular value of the input-output correlations, positive.
    u0 : array_like
        Strength at t = 0.
    invariant : array_like
        The conserved c_0 = a^2 - b^2, of either sign; where it is 0 both strengths must be positive.
    tau : array_like
        Time constant, positive.

    Returns
    -------
    ndarray
        Times in the units of ``tau``, in the joint shape of the arguments; negative for strengths passed before.

    Raises
    ------
    ValueError
        If an argument is outside its range or not finite, if u and u0 are on different sides of s, or the shapes do
        not broadcast.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, the appendix on hyperbolic trajectories.

    Examples
    --------
    >>> hyperbolic_time([0.1, 0.5], s=1.0, u0=0.1, invariant=0.0).round(6)
    array([0.      , 1.098612])
    """
    u, u0 = finite("u", u), finite("u0", u0)
    s, tau = positive("s", s), positive("tau", tau)
    c = np.abs(finite("invariant", invariant))
    shape = broadcast(u=u, s=s, u0=u0, invariant=c, tau=tau)
    require_same_side(u, u0, s)
    for name, value in (("u", u), ("u0", u0)):
        if np.any((c == 0) & (value <= 0)):
            raise ValueError(f"{name} must be positive where invariant is 0; got {value}")

    low, high = np.minimum(u, u0), np.maximum(u, u0)
    k = np.hypot(c, 2 * s)
    radius_low, radius_high = np.hypot(c, 2 * low), np.hypot(c, 2 * high)
    # Both factors of (c^2 + 4sv)^2 - k^2 (c^2 + 4v^2) = -4c^2 (s-v)^2 serve: one is free of cancellation where the
    # path is mostly positive, the other, which enters inverted and changes the sign of the last logarithm, elsewhere.
    side = np.where(low + high >= 0, 1.0, -1.0)
    end, radius = np.where(side > 0, low, high), np.where(side > 0, radius_low, radius_high)
    inner = side * (c**2 + 4 * s * end)
    conjugate = 4 * c**2 * (s - end) ** 2 / (k * radius + np.abs(inner))
    base = np.where(inner > 0, k * radius + inner, conjugate)
    growth = 4 * (high - low) * (s + k * np.abs(low + high) / (radius_low + radius_high))
    gap = np.where(high < s, s - high, low - s)
    approach = np.where(high < s, 1.0, -1.0) * np.log1p((high - low) / gap)
    clock = np.log1p(growth / base) + side * approach
    return np.broadcast_to(np.sign(u - u0) * clock * tau / k, shape).copy()
