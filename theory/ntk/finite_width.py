"""How kernels of finite width differ from their limit: exactly, or to first order in 1/width."""

from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.ntk.activations import Activation, ActivationLike, resolve
from theory.ntk.kernels import nngp_ntk
from theory.validation import finite, integer, positive

Array = NDArray[np.float64]

REACH, N_NODES = 10.0, 201  # trapezoidal rule along each axis
N_ARC, N_RADII = 24, 8  # Gauss rules along arcs between kinks, and along the radius
NEARLY_PARALLEL = 1e-6  # smallest 1 - rho^2 at which two inputs still count as two


class PairRule(NamedTuple):
    """Nodes (u, v) and weights for a pair of correlated Gaussians."""

    u: Array
    v: Array
    weights: Array

    def mean(self, values: Array) -> Array:
        """Return the mean of values at the nodes, along the last axis."""
        return values @ self.weights


def pair_rule(k11: float, k12: float, k22: float, *, homogeneous: bool) -> PairRule:
    r"""Return a rule for :math:`N(0, [[k_{11}, k_{12}], [k_{12}, k_{22}]])`.

    For smooth functions the product of two trapezoidal rules. For functions that are homogeneous of even degree, up to
    14, and smooth but for u = 0 and v = 0, polar coordinates with Gauss rules along the radius and along the four arcs.
    """
    root = np.sqrt(k11 * k22)
    rho = float(np.clip(k12 / root, -1.0, 1.0)) if root > 0 else 0.0
    if homogeneous:
        theta = np.arccos(rho)
        edges = np.unique(np.mod([np.pi / 2, -np.pi / 2, theta + np.pi / 2, theta - np.pi / 2], 2 * np.pi))
        edges = np.append(edges, edges[0] + 2 * np.pi)
        nodes, weights = np.polynomial.legendre.leggauss(N_ARC)
        half = np.diff(edges)[:, None] / 2
        angles = (edges[:-1, None] + half * (1 + nodes)).ravel()
        along = (half * weights).ravel() / (2 * np.pi)
        halves, radial = np.polynomial.laguerre.laggauss(N_RADII)  # of r^2 / 2
        x, y = np.cos(angles), np.cos(angles - theta)
        radii = np.sqrt(2 * halves)[:, None]
        u, v, joint = radii * x, radii * y, radial[:, None] * along
    else:
        nodes, step = np.linspace(-REACH, REACH, N_NODES, retstep=True)
        weights = np.exp(-0.5 * nodes**2) * step / np.sqrt(2 * np.pi)
        u = np.repeat(nodes[:, None], N_NODES, axis=1)
        v = rho * u + np.sqrt((1 - rho) * (1 + rho)) * nodes
        joint = weights[:, None] * weights
    return PairRule(np.sqrt(k11) * u.ravel(), np.sqrt(k22) * v.ravel(), joint.ravel())


def ntk_variance_coefficient(
    x: ArrayLike, *, activation: ActivationLike, weight_std: float = 1.0, bias_std: float = 0.1
) -> Array:
    r"""Variance over initialisations of the tangent kernel of one hidden layer, times its width.

    With :math:`(u, v) \sim N(0, \Sigma_1)`, :math:`h = \phi(u) \phi(v)`, :math:`g = \phi'(u) \phi'(v)` and
    :math:`s = \Sigma_1(x, x')`, exactly at every width n,

    .. math:: n \mathrm{Var} \Theta_n(x, x') = \sigma_w^4 \{\mathrm{Var}\, h + 2 s\, \mathrm{Cov}(h, g)
        + s^2 (3 E g^2 - (E g)^2)\} ,

    since the kernel is a mean over neurons, 3 the fourth moment of their outgoing weight. By quadrature, O(N^2) rules.

    Parameters
    ----------
    x : array_like, shape (N, d)
        Inputs.
    activation
        See `theory.ntk.activations.resolve`; a function needs its derivative here.
    weight_std, bias_std : float
        As for `nngp_ntk`.

    Returns
    -------
    array, shape (N, N)

    Examples
    --------
    >>> print(ntk_variance_coefficient([[1.0]], activation="relu", bias_std=0.0).round(6))
    [[3.]]
    """
    phi = resolve(activation)
    if phi.derivative is None:
        raise ValueError("activation must be an Activation with a derivative here; got a function alone")
    derivative = phi.derivative
    w = float(positive("weight_std", weight_std, ndim=0))

    def coefficient(k11: float, k12: float, k22: float) -> float:
        rule = pair_rule(k11, k12, k22, homogeneous=phi.homogeneous)
        h = phi.value(rule.u) * phi.value(rule.v)
        g = derivative(rule.u) * derivative(rule.v)
        mean_h, mean_g = rule.mean(h), rule.mean(g)
        spread = rule.mean((h - mean_h) ** 2) + 2 * k12 * rule.mean((h - mean_h) * g)
        return float(w**4 * (spread + k12**2 * (3 * rule.mean(g * g) - mean_g**2)))

    return _over_pairs(_first_layer(x, w, bias_std), lambda pair, same: coefficient(*pair))


def nngp_bias_coefficient(
    x: ArrayLike, *, activation: ActivationLike, weight_std: float = 1.0, bias_std: float = 0.1
) -> Array:
    r"""Coefficient c of the NNGP kernel's finite-width bias: :math:`E K_n = K_\infty + c / n + O(n^{-2})`.

    For two hidden layers of n neurons each. The output's covariance given the first layer is :math:`F(q)`, with q the
    means over its neurons of :math:`(\phi(u)^2, \phi(u) \phi(v), \phi(v)^2)` and :math:`F(q) = \sigma_w^2 E[\phi \phi]
    + \sigma_b^2` under :math:`N(0, \sigma_w^2 q + \sigma_b^2)`. Those means have covariance C / n, so that

    .. math:: c = \tfrac12 \sum_{ij} \partial_i \partial_j F \; C_{ij} .

    The derivatives are means with polynomial weights, so that a kink does no harm. Zero on the diagonal for piecewise
    linear activations, whose F is affine there. By quadrature, O(N^2) rules.

    Parameters
    ----------
    x : array_like, shape (N, d)
        Inputs, of which no two may be so nearly parallel that :math:`1 - \rho^2 < 10^{-6}` in the first layer, unless
        they are equal.
    activation, weight_std, bias_std
        As for `nngp_ntk`.

    Returns
    -------
    array, shape (N, N)

    Raises
    ------
    ValueError
        If two inputs are nearly parallel.

    Examples
    --------
    >>> print(nngp_bias_coefficient([[1.0]], activation=lambda z: z**2, bias_std=0.0).round(6))  # 3 (q^2), Var 96
    [[288.]]
    """
    phi = resolve(activation)
    w = float(positive("weight_std", weight_std, ndim=0))
    b = float(finite("bias_std", bias_std, ndim=0))

    def coefficient(pair: tuple[float, float, float], same: bool) -> float:
        rule = pair_rule(*pair, homogeneous=phi.homogeneous)
        left, right = phi.value(rule.u), phi.value(rule.v)
        squares = np.stack([left * left, left * right, right * right])
        q = rule.mean(squares)
        centred = squares - q[:, None]
        spread = rule.mean(centred[:, None] * centred)
        variances = w**2 * q + b**2
        if same:
            return float(0.5 * w**6 * _second_derivative(variances[0], phi) * spread[0, 0])
        if variances[0] * variances[2] - variances[1] ** 2 < NEARLY_PARALLEL * variances[0] * variances[2]:
            raise ValueError(
                "x must hold inputs that are equal or not nearly parallel; got a pair with 1 - rho^2 < 1e-6"
            )
        return float(0.5 * w**6 * np.sum(_hessian(variances, phi) * spread))

    return _over_pairs(_first_layer(x, w, b), coefficient)


def output_kurtosis_coefficient(k: ArrayLike, *, activation: ActivationLike) -> Array:
    r"""Excess kurtosis of the output of one hidden layer without biases, times its width.

    Given the layer the output is Gaussian, so that exactly, at every width n, :math:`n (E f^4 / (E f^2)^2 - 3) = 3
    (E \phi^4 / (E \phi^2)^2 - 1)` under N(0, k): 15 for relu and 6 for a linear layer.

    Parameters
    ----------
    k : array_like, shape (...)
        Variance :math:`\sigma_w^2 |x|^2 / d > 0` in the hidden layer.
    activation
        See `theory.ntk.activations.resolve`.

    Returns
    -------
    array, shape (...)

    Examples
    --------
    >>> print(output_kurtosis_coefficient(0.7, activation="relu").round(6))
    15.0
    """
    phi = resolve(activation)

    def coefficient(variance: float) -> float:
        rule = pair_rule(variance, variance, variance, homogeneous=phi.homogeneous)
        square = phi.value(rule.u) ** 2
        return float(3 * (rule.mean(square * square) / rule.mean(square) ** 2 - 1))

    return np.vectorize(coefficient, otypes=[float])(positive("k", k))


def polynomial_rank_bound(input_dim: int, degree: int, n_hidden: int) -> int:
    r"""Largest rank that kernels of a polynomial activation can have on the unit sphere.

    A network of h hidden layers with an activation of degree p computes polynomials of degree at most :math:`D = p^h`,
    and so its kernels live on a space of dimension :math:`\binom{d + D - 1}{D} + \binom{d + D - 2}{D - 1}` on the
    sphere in d dimensions, whatever the number of inputs.

    Parameters
    ----------
    input_dim : int
        d >= 2.
    degree, n_hidden : int
        p and h, at least 1.

    Returns
    -------
    int

    Examples
    --------
    >>> polynomial_rank_bound(2, 3, 1), polynomial_rank_bound(3, 2, 2)
    (7, 25)
    """
    d = integer("input_dim", input_dim, minimum=2)
    power = integer("degree", degree, minimum=1) ** integer("n_hidden", n_hidden, minimum=1)
    return comb(d + power - 1, power) + comb(d + power - 2, power - 1)


def _first_layer(x: ArrayLike, w: float, b: float) -> Array:
    return nngp_ntk(x, n_hidden=0, weight_std=w, bias_std=b).nngp


def _over_pairs(s: Array, coefficient: Callable[[tuple[float, float, float], bool], float]) -> Array:
    found = np.empty_like(s)
    for i, j in zip(*np.triu_indices(len(s)), strict=True):
        same = i == j or s[i, i] == s[i, j] == s[j, j]
        found[i, j] = found[j, i] = coefficient((s[i, i], s[i, j], s[j, j]), same)
    return found


def _second_derivative(variance: float, phi: Activation) -> float:
    """Second derivative of E[phi^2] in the variance: a quarter of E[(phi^2)''''], as a mean with He_4."""
    rule = pair_rule(variance, variance, variance, homogeneous=phi.homogeneous)
    z = rule.u / np.sqrt(variance)
    return float(rule.mean(phi.value(rule.u) ** 2 * (z**4 - 6 * z**2 + 3)) / (4 * variance**2))


def _hessian(variances: Array, phi: Activation) -> Array:
    """Second derivatives of E[phi phi] in (k11, k12, k22), from those of the Gaussian density."""
    k11, k12, k22 = variances
    rule = pair_rule(k11, k12, k22, homogeneous=phi.homogeneous)
    precision = np.linalg.inv([[k11, k12], [k12, k22]])
    y = precision @ np.stack([rule.u, rule.v])
    entries = ((0, 0), (0, 1), (1, 1))
    product = phi.value(rule.u) * phi.value(rule.v)

    def derivative(first: tuple[int, int], second: tuple[int, int]) -> float:
        # fourth derivative of the density over the density, each entry of the covariance worth half a derivative
        a, b, c, d = *first, *second
        p = precision
        quartic = y[a] * y[b] * y[c] * y[d]
        pairs = ((a, b, c, d), (a, c, b, d), (a, d, b, c), (b, c, a, d), (b, d, a, c), (c, d, a, b))
        quadratic = sum(p[i, j] * y[k] * y[m] for i, j, k, m in pairs)
        constant = p[a, b] * p[c, d] + p[a, c] * p[b, d] + p[a, d] * p[b, c]
        weight = (1.0 if a != b else 0.5) * (1.0 if c != d else 0.5)
        return float(weight * rule.mean(product * (quartic - quadratic + constant)))

    return np.array([[derivative(first, second) for second in entries] for first in entries])
