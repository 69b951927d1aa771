r"""Signal propagation through deep networks at infinite width, and where it is critical.

Layers compute :math:`z^{l+1} = b + W \phi(z^l)` with :math:`\mathrm{Var}\, b = C_b` and :math:`\mathrm{Var}\, W = C_W /
n_l`. The variance of a preactivation obeys :math:`K^{l+1} = C_b + C_W \langle \phi^2 \rangle_{K^l}`, where
:math:`\langle \cdot \rangle_K` is the mean over :math:`z \sim N(0, K)`.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from theory.ntk.activations import Activation, ActivationLike, resolve
from theory.ntk.quadrature import gaussian_mean
from theory.validation import nonnegative, positive

Array = NDArray[np.float64]

N_TAYLOR = 6  # derivatives at zero, from the 0th
FIT_RADIUS, FIT_DEGREE, FIT_TAIL = 0.75, 32, 1e-12  # of the polynomial that stands for an activation near zero
SEARCH = np.geomspace(1e-3, 1e3, 241)  # variances among which a critical point is sought
NODES, DENSE, FINEST = 640, 16.0, 64  # intervals of the quadrature, up to which variance, and most times as many

_ROOT_PI, _ROOT_2PI = np.sqrt(np.pi), np.sqrt(2 * np.pi)
TAYLOR = {
    "erf": np.array([0.0, 2.0, 0.0, -4.0, 0.0, 24.0]) / _ROOT_PI,
    "tanh": np.array([0.0, 1.0, 0.0, -2.0, 0.0, 16.0]),
    "sin": np.array([0.0, 1.0, 0.0, -1.0, 0.0, 1.0]),
    "gelu": np.array([0.0, 0.5, 2.0 / _ROOT_2PI, 0.0, -4.0 / _ROOT_2PI, 0.0]),
    "swish": np.array([0.0, 0.5, 0.5, 0.0, -0.5, 0.0]),
}
"""Derivatives at zero of the smooth activations that have a name."""


class Chi(NamedTuple):
    """Factors by which a layer multiplies small differences between two inputs, in norm and in angle."""

    parallel: Array
    perpendicular: Array


class Critical(NamedTuple):
    """Variances of weights (times width) and of biases at criticality, and the variance of preactivations there.

    ``k_star`` is nan where every variance is a fixed point.
    """

    c_w: float
    c_b: float
    k_star: float


class Tuning(NamedTuple):
    """Variances of weights (times width) and of biases."""

    c_w: Array
    c_b: Array


class SmallVariance(NamedTuple):
    r"""Coefficients of :math:`\langle \phi^2 \rangle = (K + a_1 K^2 + a_2 K^3) / C_W` and so on, at C_W = ``c_w``.

    For this C_W, :math:`\chi_\parallel = 1 + 2 a_1 K + 3 a_2 K^2` and :math:`\chi_\perp = 1 + b_1 K + b_2 K^2`, up to
    the next power of K.
    """

    c_w: float
    a1: float
    a2: float
    b1: float
    b2: float


class Moments(NamedTuple):
    r"""Means under :math:`N(0, K)`: of :math:`\phi^2`, its derivative in K, and of :math:`\phi^4`."""

    square: Array
    slope: Array
    fourth: Array


def susceptibilities(k: ArrayLike, *, activation: ActivationLike, c_w: ArrayLike) -> Chi:
    r"""Factors by which one layer multiplies small differences of two inputs.

    .. math:: \chi_\parallel = \frac{C_W}{2 K^2} \langle \phi^2 (z^2 - K) \rangle_K = \frac{dK^{l+1}}{dK^l} , \qquad
        \chi_\perp = C_W \langle \phi'^2 \rangle_K ,

    for the difference of two variances, and for the variance of the difference of two inputs of equal norm. In closed
    form for piecewise linear activations, by the trapezoidal rule for others, which should be analytic near the real
    line: to about 1e-15 at every K up to 6e4. Costs O(640) evaluations of the activation a variance, more above 16.

    Parameters
    ----------
    k : array_like, shape (...)
        K > 0.
    activation
        See `theory.ntk.activations.resolve`; a function needs its derivative here.
    c_w : array_like, broadcastable with ``k``
        C_W >= 0.

    Returns
    -------
    Chi
        Two arrays (...), dimensionless.

    Raises
    ------
    ValueError
        If ``k`` is not positive, ``c_w`` negative, or the activation lacks a derivative.

    Notes
    -----
    Roberts, Yaida and Hanin, chapter 3.

    Examples
    --------
    >>> print(np.round(susceptibilities([0.5, 2.0], activation="tanh", c_w=1.0), 4))
    [[0.3246 0.0885]
     [0.5924 0.3495]]
    """
    phi = resolve(activation)
    variance, weights = np.broadcast_arrays(positive("k", k), nonnegative("c_w", c_w))
    return Chi(weights * moments(phi, variance).slope, weights * mean_square_slope(phi, variance))


def small_variance_series(activation: ActivationLike) -> SmallVariance:
    r"""Expansion of the kernel map and of both susceptibilities in a small variance, at :math:`C_W = 1 / \phi'(0)^2`.

    With :math:`\phi_p` the derivatives at zero, :math:`a_1 = \phi_3 / \phi_1 + \frac34 (\phi_2 / \phi_1)^2` and
    :math:`b_1 = \phi_3 / \phi_1 + (\phi_2 / \phi_1)^2`. Exact for names; for functions the derivatives come from a
    polynomial of degree 32 near zero, to about 1e-9.

    Parameters
    ----------
    activation
        A smooth activation with :math:`\phi(0) = 0` and :math:`\phi'(0) \ne 0`.

    Returns
    -------
    SmallVariance

    Raises
    ------
    ValueError
        If :math:`\phi(0) \ne 0`, :math:`\phi'(0) = 0`, or the activation is not smooth at zero.

    Examples
    --------
    >>> small_variance_series("tanh")[:2]
    (1.0, -2.0)
    """
    f = taylor(resolve(activation))
    size = np.max(np.abs(f))
    if abs(f[0]) > 1e-9 * size or abs(f[1]) <= 1e-9 * size:
        raise ValueError(f"activation must vanish at 0 with a slope there; got phi(0) = {f[0]:g}, phi'(0) = {f[1]:g}")
    r = f / f[1]
    return SmallVariance(
        c_w=float(1 / f[1] ** 2),
        a1=float(r[3] + 0.75 * r[2] ** 2),
        a2=float(15 * (r[5] / 60 + r[2] * r[4] / 24 + r[3] ** 2 / 36)),
        b1=float(r[3] + r[2] ** 2),
        b2=float(3 * (r[3] ** 2 / 4 + r[5] / 12 + r[2] * r[4] / 3)),
    )


def critical_point(activation: ActivationLike) -> Critical:
    r"""Variances of weights and biases at which neither norms nor angles of deep signals grow or shrink exponentially.

    There is a K* with :math:`K^* = C_b + C_W \langle \phi^2 \rangle_{K^*}` and :math:`\chi_\parallel = \chi_\perp = 1`.

    * Piecewise linear, of slopes :math:`a_\pm`: :math:`C_W = 2 / (a_+^2 + a_-^2)` without biases, and every K is a
      fixed point (``k_star`` is nan).
    * Smooth with :math:`\phi(0) = 0` and :math:`a_1 < 0` (see `small_variance_series`): :math:`K^* = 0`, :math:`C_W =
      1 / \phi'(0)^2`, no biases.
    * Otherwise the smallest K* between 1e-3 and 1e3 at which :math:`\chi_\parallel = \chi_\perp`, with C_W and C_b >=
      0 from it: half-stable for gelu, where :math:`K^* = (3 + \sqrt{17}) / 2`, and for swish. By bracketed root
      finding, to about 1e-11 relative.

    Costs O(1e5) evaluations of the activation in the last case, next to none in the others.

    Parameters
    ----------
    activation
        See `theory.ntk.activations.resolve`; a function needs its derivative unless K* = 0.

    Returns
    -------
    Critical

    Raises
    ------
    ValueError
        If no critical point is found.

    Notes
    -----
    Roberts, Yaida and Hanin, chapter 5.

    Examples
    --------
    >>> critical_point("tanh")
    Critical(c_w=1.0, c_b=0.0, k_star=0.0)
    >>> print(np.round(critical_point("gelu"), 9))
    [1.98305826 0.17292239 3.56155281]
    """
    phi = resolve(activation)
    if phi.slopes is not None:
        square = _even_moment(phi.slopes, 2)
        if square == 0:
            raise ValueError("activation must not vanish everywhere; got slopes of zero")
        return Critical(1 / square, 0.0, np.nan)
    try:
        series = small_variance_series(phi)
    except ValueError:
        series = None
    if series is not None and series.a1 < 0:
        return Critical(series.c_w, 0.0, 0.0)
    excess = moments(phi, SEARCH).slope - mean_square_slope(phi, SEARCH)
    for i in np.flatnonzero(excess[:-1] * excess[1:] < 0):
        k_star = float(brentq(lambda k: _excess(phi, k), SEARCH[i], SEARCH[i + 1], xtol=1e-300, rtol=1e-15))
        c_w, c_b = (float(part) for part in critical_line(k_star, activation=phi, direction="perpendicular"))
        if c_b >= 0:
            return Critical(c_w, c_b, k_star)
    raise ValueError(f"activation must have a critical point with K* = 0 or from 1e-3 to 1e3; got {phi.name!r}")


def critical_curvature(activation: ActivationLike) -> float:
    r"""Second derivative of the kernel map at the critical point.

    .. math:: F''(K^*) = \frac{C_W}{4 K^{*4}} \langle \phi^2 (z^4 - 6 K^* z^2 + 3 K^{*2}) \rangle_{K^*} ,

    and :math:`2 a_1` at K* = 0: a distance :math:`\delta = K^* - K^l` from the fixed point
    fades as :math:`2 / (F'' l)` on the side where :math:`\delta F'' > 0`, and grows on the other.

    Parameters
    ----------
    activation
        As for `critical_point`.

    Returns
    -------
    float
        In units of 1 / K; 0 for piecewise linear activations.

    Examples
    --------
    >>> critical_curvature("tanh"), critical_curvature("relu")
    (-4.0, 0.0)
    """
    phi = resolve(activation)
    point = critical_point(phi)
    if np.isnan(point.k_star):
        return 0.0
    if point.k_star == 0:
        return 2 * small_variance_series(phi).a1
    root = np.sqrt(point.k_star)

    def integrand(z: Array) -> Array:
        x = z / root
        return phi.value(z) ** 2 * (x**4 - 6 * x * x + 3)

    tilted = gaussian_mean(integrand, point.k_star, n_nodes=_nodes(np.asarray(point.k_star)))
    return float(point.c_w * tilted / (4 * point.k_star**2))


def critical_line(
    k: ArrayLike, *, activation: ActivationLike, direction: Literal["parallel", "perpendicular"]
) -> Tuning:
    r"""Where in the plane of (C_b, C_W) one susceptibility is 1 at the fixed point, with the fixed point as parameter.

    With :math:`\bar\chi` the chosen susceptibility at C_W = 1, :math:`C_W = 1 / \bar\chi(K)` and :math:`C_b = K - C_W
    \langle \phi^2 \rangle_K`. A critical point is where the two lines meet. Costs as `susceptibilities`.

    Parameters
    ----------
    k : array_like, shape (...)
        Variance K > 0 at the fixed point.
    activation
        See `theory.ntk.activations.resolve`; a function needs its derivative for ``"perpendicular"``.
    direction : {"parallel", "perpendicular"}
        Which susceptibility is 1.

    Returns
    -------
    Tuning
        ``c_w`` and ``c_b`` of shape (...). A negative ``c_b`` says that no network has its fixed point at K there.

    Raises
    ------
    ValueError
        If the susceptibility is not positive at some K, or the direction unknown.

    Examples
    --------
    >>> print(np.round(critical_line(0.5, activation="tanh", direction="perpendicular"), 4))
    [1.688 0.038]
    """
    phi, variance = resolve(activation), positive("k", k)
    if direction not in ("parallel", "perpendicular"):
        raise ValueError(f"direction must be 'parallel' or 'perpendicular'; got {direction!r}")
    found = moments(phi, variance)
    unit = found.slope if direction == "parallel" else mean_square_slope(phi, variance)
    if np.any(unit <= 0):
        raise ValueError(f"k must be such that the {direction} susceptibility is positive; got {np.min(unit):g}")
    return Tuning(1 / unit, variance - found.square / unit)


def moments(phi: Activation, variance: ArrayLike) -> Moments:
    r"""Means of :math:`\phi^2` and :math:`\phi^4`, and :math:`\langle \phi^2 (z^2 - K) \rangle / 2 K^2`, for every K.

    At K = 0, which a signal can reach by underflow, the slope is given as 0.
    """
    k = np.asarray(variance, dtype=float)
    if phi.slopes is not None:
        second, fourth = (_even_moment(phi.slopes, p) for p in (2, 4))
        return Moments(second * k, np.full(k.shape, second), 3 * fourth * k * k)

    def powers(z: Array) -> Array:
        square = phi.value(z) ** 2
        x = z / np.where(k > 0, np.sqrt(k), 1.0)[..., None]
        return np.stack([square, square * (x * x - 1), square * square])

    square, tilted, fourth = gaussian_mean(powers, k, n_nodes=_nodes(k))
    return Moments(square, 0.5 * tilted / np.where(k > 0, k, np.inf), fourth)


def mean_square_slope(phi: Activation, variance: ArrayLike) -> Array:
    r"""Mean of :math:`\phi'^2` under :math:`N(0, K)`, for every K."""
    k = np.asarray(variance, dtype=float)
    if phi.slopes is not None:
        return np.full(k.shape, _even_moment(phi.slopes, 2))
    if phi.derivative is None:
        raise ValueError("activation must be an Activation with a derivative here; got a function alone")
    derivative = phi.derivative
    return gaussian_mean(lambda z: derivative(z) ** 2, k, n_nodes=_nodes(k))


def taylor(phi: Activation) -> Array:
    """Return the derivatives of an activation at zero, of order 0 to 5; ValueError if it is not smooth there."""
    if phi.name in TAYLOR:
        return TAYLOR[phi.name]
    fit = np.polynomial.chebyshev.Chebyshev.interpolate(phi.value, FIT_DEGREE, [-FIT_RADIUS, FIT_RADIUS])
    size = np.abs(fit.coef)
    if not np.all(np.isfinite(size)) or size[-3:].max() > FIT_TAIL * size.max():
        raise ValueError(f"activation must be smooth at 0; got {phi.name!r}, which no short series fits there")
    return np.array([float(fit.deriv(p)(0.0)) if p else float(fit(0.0)) for p in range(N_TAYLOR)])


def _excess(phi: Activation, k: float) -> float:
    return float(moments(phi, k).slope - mean_square_slope(phi, k))


def _even_moment(slopes: tuple[float, float], power: int) -> float:
    return (slopes[0] ** power + slopes[1] ** power) / 2


def _nodes(k: Array) -> int:
    """Nodes that keep the spacing in z below 0.2, the finest spacing the nearest poles (of tanh) ask for."""
    largest = float(np.max(k, initial=DENSE))
    refinement = 2 ** int(np.ceil(np.log2(np.sqrt(largest / DENSE))))
    return NODES * min(refinement, FINEST) + 1
