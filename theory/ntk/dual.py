"""The dual of an activation: its second moments under a pair of correlated Gaussians.

Everything at infinite width is made of it. Activations with a closed form use that; every other one is expanded in
Hermite polynomials, whose duals are powers of the correlation.
"""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import ArrayLike, NDArray

from theory.ntk.activations import Activation, ActivationLike, resolve
from theory.ntk.quadrature import hermite_coefficients, hermite_series
from theory.validation import finite, integer, nonnegative

Array = NDArray[np.float64]

ROUNDED = 1e-9  # relative excess of k12^2 over k11 k22 that is taken for rounding
WORTH_A_WARNING = 1e-10
CHUNK = 2**21  # numbers held at a time


class QuadratureWarning(UserWarning):
    """A quadrature did not reach rounding accuracy, as for an activation with a kink that has no closed form."""


class Dual(NamedTuple):
    """Second moments E[phi(u) phi(v)] and E[phi'(u) phi'(v)]."""

    value: Array
    derivative: Array


def dual_activation(
    k11: ArrayLike, k12: ArrayLike, k22: ArrayLike, *, activation: ActivationLike, n_nodes: int = 160
) -> Dual:
    r"""Second moments of an activation and of its derivative under correlated Gaussians.

    For :math:`(u, v) \sim N(0, [[k_{11}, k_{12}], [k_{12}, k_{22}]])` and
    :math:`s = (1 + 2 k_{11})(1 + 2 k_{22})`, :math:`\cos\theta = k_{12} / \sqrt{k_{11} k_{22}}`:

    - relu: :math:`\frac{\sqrt{k_{11} k_{22}}}{2 \pi} [\sin\theta + (\pi - \theta) \cos\theta]` and
      :math:`\frac{\pi - \theta}{2 \pi}`; leaky relu and linear likewise;
    - erf: :math:`\frac2\pi \arcsin\frac{2 k_{12}}{\sqrt s}` and
      :math:`\frac4\pi / \sqrt{s - 4 k_{12}^2}`;
    - sin: :math:`e^{-(k_{11} + k_{22})/2} \sinh k_{12}` and the same with cosh;
    - gelu: in closed form with an arcsine, see `gelu_dual`;
    - anything else: :math:`\sum_j a_j(k_{11}) a_j(k_{22}) \cos^j\theta` with Hermite coefficients, see
      `theory.ntk.quadrature.hermite_series`; exact to rounding for smooth functions.

    Costs O(1) an entry in closed form, O(J^2) for a series of J terms. As functions of the correlation these are
    smooth except for a kink's derivative, :math:`\theta \sim \sqrt{2 (1 - \cos\theta)}`: there an entry near the
    diagonal cannot be better than its rounded k12. `nngp_ntk` avoids that.

    Parameters
    ----------
    k11, k12, k22 : array_like, broadcastable
        Variances, nonnegative, and covariance, at most :math:`\sqrt{k_{11} k_{22}}` in size.
    activation
        See `theory.ntk.activations.resolve`.
    n_nodes : int
        Terms with which the series of an activation without closed form starts.

    Returns
    -------
    Dual
        ``value`` and ``derivative``, of the broadcast shape.

    Raises
    ------
    ValueError
        If a variance is negative, the matrix is not positive semi-definite, or a function of unknown derivative meets
        a vanishing variance.

    Warns
    -----
    QuadratureWarning
        If the series is not complete to ten digits, as for a kink: its derivative then converges as 1 / sqrt(J).

    References
    ----------
    Cho and Saul 2009 (relu), Williams 1996 (erf), Daniely et al. 2016 (series).

    Examples
    --------
    >>> value, derivative = dual_activation(1.0, 0.5, 1.0, activation="relu")
    >>> print(value.round(6), derivative.round(6))
    0.304499 0.333333
    """
    phi = resolve(activation)
    a, c, b = covariance(k11, k12, k22)
    n_terms = integer("n_nodes", n_nodes, minimum=1)
    if phi.slopes is not None:
        return rectifier_dual(a, c, b, slopes=phi.slopes)
    closed = CLOSED_FORMS.get(phi.name)
    return closed(a, c, b) if closed else _series_dual(a, c, b, phi, n_terms)


def covariance(k11: ArrayLike, k12: ArrayLike, k22: ArrayLike) -> tuple[Array, Array, Array]:
    """Return the three entries, broadcast, with a covariance that is too large by rounding cut back."""
    a, b = nonnegative("k11", k11), nonnegative("k22", k22)
    c = finite("k12", k12)
    a, c, b = np.broadcast_arrays(a, c, b)
    limit = np.sqrt(a) * np.sqrt(b)
    if np.any(np.abs(c) > limit * (1 + ROUNDED)):
        worst = np.unravel_index(int(np.argmax(np.abs(c) - limit)), c.shape)
        raise ValueError(f"k12 must be at most sqrt(k11 k22) = {limit[worst]:g} in size; got {c[worst]:g}")
    return a, np.clip(c, -limit, limit), b


def rectifier_dual(a: Array, c: Array, b: Array, *, slopes: tuple[float, float]) -> Dual:
    r"""Dual of a piecewise linear function with slopes :math:`\alpha_\mp` on either side of zero.

    The even part of the slopes acts linearly, the odd part through the arc-cosine kernels:
    :math:`\alpha_- \alpha_+ k_{12} + \tfrac12 (\alpha_+ - \alpha_-)^2 \sqrt{k_{11} k_{22}} [\ldots] / \pi`, plus what
    is left of :math:`k_{12}`.
    """
    low, high = slopes
    product = np.sqrt(a) * np.sqrt(b)
    sine = np.sqrt(np.maximum((product - c) * (product + c), 0.0))
    theta = np.arctan2(sine, c)
    theta = np.where(product > 0, theta, np.pi / 2)
    opposite = (sine - theta * c) / (2 * np.pi)  # E[relu(u) relu(-v)]
    squares, bend = 0.5 * (low**2 + high**2), (high - low) ** 2
    return Dual(squares * c + bend * opposite, squares - bend * theta / (2 * np.pi))


def erf_dual(a: Array, c: Array, b: Array) -> Dual:
    """Dual of erf(z); the difference under the root is taken apart so that nothing cancels."""
    difference = 1 + 2 * (a + b) + 4 * (np.sqrt(a * b) - c) * (np.sqrt(a * b) + c)
    root = np.sqrt(np.maximum(difference, 1.0))
    return Dual(2 / np.pi * np.arctan2(2 * c, root), 4 / np.pi / root)


def sin_dual(a: Array, c: Array, b: Array) -> Dual:
    """Dual of sin(z), with the exponents added before they are taken."""
    top = 0.5 * np.exp(np.abs(c) - 0.5 * (a + b))
    return Dual(np.sign(c) * top * -np.expm1(-2 * np.abs(c)), top * (1 + np.exp(-2 * np.abs(c))))


def gelu_dual(a: Array, c: Array, b: Array) -> Dual:
    r"""Dual of :math:`z \Phi(z)`.

    Integrating by parts twice, with :math:`s = (1 + k_{11})(1 + k_{22})`, :math:`r^2 = s - k_{12}^2`,
    :math:`q = (1 - k_{11} k_{22}) / s`, :math:`m = \frac14 + \frac{1}{2\pi} \arctan\frac{k_{12}}{r}` and
    :math:`N = k_{11} k_{22} + q k_{12}^2`: the value is :math:`m k_{12} + N / (2 \pi r)`, the derivative
    :math:`m + \frac{k_{12}}{2 \pi r} (1 + 2 q + N / r^2)`.
    """
    s = (1 + a) * (1 + b)
    square = 1 + a + b + (np.sqrt(a * b) - c) * (np.sqrt(a * b) + c)
    r = np.sqrt(square)
    q = (1 - a * b) / s
    m = 0.25 + np.arctan2(c, r) / (2 * np.pi)
    n = a * b + q * c * c
    return Dual(m * c + n / (2 * np.pi * r), m + c / (2 * np.pi * r) * (1 + 2 * q + n / square))


CLOSED_FORMS = {"erf": erf_dual, "sin": sin_dual, "gelu": gelu_dual}


def gauss_hermite_dual(
    k11: ArrayLike, k12: ArrayLike, k22: ArrayLike, *, activation: ActivationLike, n_nodes: int = 160
) -> Dual:
    r"""Compute the same moments by a product of two Gauss-Hermite rules, for any activation.

    A method to compare with: exact for polynomials of degree below ``n_nodes``, exponentially accurate for functions
    analytic in the plane, slower in :math:`\exp(-c \sqrt{n})` where there are poles, and good to 1e-3 only where there
    is a kink. Costs O(n_nodes^2) an entry.

    Parameters
    ----------
    k11, k12, k22, activation
        As for `dual_activation`; a function needs its derivative here.
    n_nodes : int
        Nodes along each of the two axes.

    Returns
    -------
    Dual
    """
    phi = resolve(activation)
    if phi.derivative is None:
        raise ValueError("activation must be an Activation with a derivative here; got a function alone")
    a, c, b = covariance(k11, k12, k22)
    n = integer("n_nodes", n_nodes, minimum=1)
    nodes, weights = hermegauss(n)
    weights = weights / weights.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        rho = np.where(a * b > 0, c / np.sqrt(a * b), 0.0)
    flat = [np.ravel(x) for x in (np.sqrt(a), np.sqrt(b), rho)]
    found = np.empty((2, flat[0].size))
    rows = max(1, CHUNK // n**2)
    for first in range(0, flat[0].size, rows):
        sa, sb, r = (x[first : first + rows, None] for x in flat)
        u, v = (
            sa * nodes,
            sb[..., None] * (r[..., None] * nodes[:, None] + np.sqrt((1 - r) * (1 + r))[..., None] * nodes),
        )
        for k, f in enumerate((phi.value, phi.derivative)):
            found[k, first : first + rows] = np.einsum("ri,i,rij,j->r", f(u), weights, f(v), weights, optimize=True)
    return Dual(*found.reshape(2, *a.shape))


def warn_if_incomplete(lost: float, activation: Activation, *, stacklevel: int = 3) -> None:
    """Warn when a Hermite series lacks more than ten digits allow."""
    if lost > WORTH_A_WARNING:
        warnings.warn(
            f"the Hermite series of {activation.name} lacks {lost:.1g} of its mean square: kernels are no better",
            QuadratureWarning,
            stacklevel=stacklevel + 1,
        )


def _series_dual(a: Array, c: Array, b: Array, phi: Activation, n_terms: int) -> Dual:
    if phi.derivative is None and not np.all((a > 0) & (b > 0)):
        raise ValueError("activation must be an Activation with a derivative where a variance vanishes; got a function")
    value, slope = np.empty(a.size), np.empty(a.size)
    rows = max(1, CHUNK // (8 * n_terms))
    shape = a.shape
    a, c, b = a.ravel(), c.ravel(), b.ravel()
    for first in range(0, a.size, rows):
        part = slice(first, first + rows)
        variances, sides = np.unique(np.stack([a[part], b[part]]), return_inverse=True)  # kernel matrices repeat theirs
        series = hermite_series(phi.value, variances, n_terms=n_terms)
        warn_if_incomplete(series.lost, phi)
        (left, right), j = series.coefficients[sides], np.arange(series.coefficients.shape[-1])
        root = np.sqrt(a[part] * b[part])
        rho = np.divide(c[part], root, out=np.zeros_like(root), where=root > 0)
        powers = rho[:, None] ** j
        value[part] = np.einsum("rj,rj,rj->r", left, right, powers)
        if phi.derivative is None:
            slope[part] = np.einsum("rj,rj,rj->r", left[:, 1:] * j[1:], right[:, 1:], powers[:, :-1]) / root
        else:
            left, right = hermite_coefficients(phi.derivative, variances, n_terms=max(n_terms, j.size))[sides]
            slope[part] = np.einsum("rj,rj,rj->r", left, right, rho[:, None] ** np.arange(left.shape[-1]))
    return Dual(value.reshape(shape), slope.reshape(shape))
