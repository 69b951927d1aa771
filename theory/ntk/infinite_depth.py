r"""Tangent kernels of deep networks, and the kernel with a pole that they tend to where the activation has no mean.

An activation enters by its coefficients on orthonormal Hermite polynomials alone, with unit norm: inputs on the sphere
then stay there in mean square. Everything is carried by :math:`\log \rho`, whose relative accuracy survives at both
ends: near 1, a repelling fixed point in which rounded correlations would overflow within fifty layers, and near 0,
where they underflow. After Radhakrishnan, Belkin and Uhler (2023).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.ntk._dual_series import DualSeries, coefficients, multiples, slope_at_one, unit_weights
from theory.validation import integer, interval

Array = NDArray[np.float64]

SETTLED = 1e-18


def hermite_dual(rho: ArrayLike, coeffs: ArrayLike, *, derivative: bool = False) -> Array:
    r"""Dual of an activation as a power series, :math:`s(\rho) = E[\phi(u) \phi(v)] = \sum_k c_k^2 \rho^k`.

    For standard normal u and v of correlation :math:`\rho` and :math:`\phi = \sum_k c_k h_k`, :math:`h_k = He_k /
    \sqrt{k!}`. With ``derivative``, :math:`s'(\rho) = E[\phi'(u) \phi'(v)]`. Costs O(J) for J coefficients.

    Parameters
    ----------
    rho : array_like
        Correlations in [-1, 1].
    coeffs : array_like, shape (J,)
        :math:`c_0, c_1, \dots`; any norm.
    derivative : bool
        Whether to return s'.

    Returns
    -------
    array, of the shape of ``rho``

    Raises
    ------
    ValueError
        If a correlation is outside of [-1, 1], or there are no coefficients.

    Examples
    --------
    >>> print(hermite_dual(0.5, [0.6, 0.8]).round(12), hermite_dual(0.5, [0.6, 0.8], derivative=True).round(12))
    0.68 0.64
    """
    r = interval("rho", rho, -1, 1)
    weights = coefficients(coeffs) ** 2
    if derivative:
        weights = weights[1:] * np.arange(1, weights.size)
    return np.asarray(np.polynomial.polynomial.polyval(r, weights) if weights.size else np.zeros_like(r), dtype=float)


def deep_ntk(one_minus_rho: ArrayLike, coeffs: ArrayLike, *, depth: int) -> Array:
    r"""Logarithm of the tangent kernel of a network with ``depth`` hidden layers, without biases.

    :math:`S^0 = T^0 = \rho`, :math:`S^{l+1} = s(S^l)`, :math:`T^{l+1} = S^{l+1} + T^l s'(S^l)`. In the ratio
    :math:`A^l = T^l / S^l` this is :math:`A^{l+1} = 1 + A^l r(S^l)` with :math:`r = \rho s' / s`, which neither cancels
    nor depends on the size of S. Costs O(depth N J) for N correlations and J coefficients; accurate to about ``depth``
    roundings of the logarithm.

    Parameters
    ----------
    one_minus_rho : array_like
        :math:`1 - \rho = |x - x'|^2 / 2` in [0, 1], for unit vectors; 0 on the diagonal.
    coeffs : array_like, shape (J,)
        Hermite coefficients with :math:`\sum_k c_k^2 = 1`.
    depth : int
        Hidden layers, at least 0.

    Returns
    -------
    array
        :math:`\log T`, of the shape of ``one_minus_rho``; -inf where T vanishes, or is below exp(-1e308).

    Raises
    ------
    ValueError
        If an argument is out of range, or the coefficients do not have unit norm.

    References
    ----------
    Radhakrishnan, Belkin and Uhler 2023, on the limit of infinite depth.

    Examples
    --------
    >>> print(np.exp(deep_ntk([0.0, 0.5], [0.0, 0.0, 1.0], depth=2)).round(12))  # 7 rho^4
    [7.     0.4375]
    """
    series = DualSeries(unit_weights(coeffs))
    log_rho = _log_correlation(one_minus_rho)
    log_ratio = np.zeros_like(log_rho)
    for _ in range(integer("depth", depth, minimum=0)):
        after, r = series.step(log_rho)
        with np.errstate(divide="ignore"):
            log_ratio = np.logaddexp(0.0, log_ratio + np.log(r))
        log_rho = after
    return np.asarray(log_rho + log_ratio)


class SingularLimit(NamedTuple):
    """Limit of infinite depth: the kernel's logarithm, and the depths that it lags behind or runs ahead."""

    log_kernel: Array
    correction: Array


def singular_limit(one_minus_rho: ArrayLike, coeffs: ArrayLike) -> SingularLimit:
    r"""Kernel of infinite depth of an activation with :math:`c_0 = 0 < c_1^2 = q < 1`, and the correction to it.

    :math:`T^l(\rho) = q^l \kappa(\rho) [l + 1 + D(\rho)] + o(q^l)` where :math:`\kappa = \lim_l s^{(l)}(\rho) / q^l` is
    the Koenigs function of s at 0, the solution of :math:`\kappa(s(\rho)) = q \kappa(\rho)` with :math:`\kappa'(0) =
    1`, and :math:`D = \sum_j [g(s^{(j)}(\rho)) - 1]`, :math:`g = \rho \kappa' / \kappa`. What is left is smaller by
    another factor of about l q^l. D grows as :math:`1 / (1 - \rho)`: closer than that, any finite depth is more
    singular than the limit, by two powers of the distance.

    Costs O(N J) a layer, about :math:`\log(1 / (1 - \rho)) / \log B' + 42 / \log(1 / q)` layers, B' = s'(1).

    Parameters
    ----------
    one_minus_rho, coeffs
        As for `deep_ntk`.

    Returns
    -------
    SingularLimit
        ``log_kernel``, :math:`\log \kappa`, and ``correction``, D; both inf on the diagonal, -inf and 0 at
        :math:`\rho = 0`.

    Raises
    ------
    ValueError
        As for `deep_ntk`, and if :math:`c_0 \ne 0`, or q is 0 or 1.

    Examples
    --------
    >>> limit = singular_limit(0.5, singular_activation(2))
    >>> l = 100
    >>> whole = deep_ntk(0.5, singular_activation(2), depth=l) + l * np.log(2)  # q = 1/2
    >>> print(abs(whole - limit.log_kernel - np.log(l + 1 + limit.correction)) < 1e-12)
    True
    """
    weights = _singular(coeffs)
    series, q = DualSeries(weights), weights[1]
    log_rho = _log_correlation(one_minus_rho)
    diagonal = log_rho == 0
    log_rho = np.where(diagonal, -np.inf, log_rho)
    log_kernel, correction = log_rho.copy(), np.zeros_like(log_rho)
    above = np.arange(1, weights.size - 1)  # k - 1
    layers, unsettled = 0, 1.0
    while unsettled > SETTLED:
        layers += 1
        shares = weights[2:] / q * np.exp(multiples(log_rho, above))
        growth = shares.sum(axis=-1)
        slope = shares @ above / (1 + growth)
        log_kernel += np.log1p(growth)
        correction += slope * (correction + layers)
        log_rho = series.step(log_rho)[0]
        unsettled = layers * float(np.max(slope, initial=0.0))
    return SingularLimit(np.where(diagonal, np.inf, log_kernel), np.where(diagonal, np.inf, correction))


def koenigs_kernel(one_minus_rho: ArrayLike, coeffs: ArrayLike) -> Array:
    r"""Kernel of infinite depth :math:`\kappa(\rho)`, up to the scale :math:`(l + 1) q^l`; see `singular_limit`.

    Behaves as :math:`\rho` near 0 and as :math:`R / |x - x'|^\alpha` near 1, with the `singular_exponent` alpha and R
    between two positive bounds, periodic in :math:`\log |x - x'|` in the limit.

    Parameters
    ----------
    one_minus_rho, coeffs
        As for `deep_ntk`.

    Returns
    -------
    array, of the shape of ``one_minus_rho``
        inf on the diagonal, and wherever :math:`\kappa` exceeds 1e308.

    Raises
    ------
    ValueError
        As for `singular_limit`.

    Examples
    --------
    >>> print(koenigs_kernel([1.0, 0.5, 5e-9], singular_activation(2)) * [1, 1, 1e-8])  # at a distance of 1e-4
    [0.         0.71359913 1.21033473]
    """
    with np.errstate(over="ignore"):
        return np.exp(singular_limit(one_minus_rho, coeffs).log_kernel)


def singular_exponent(coeffs: ArrayLike) -> float:
    r"""Exponent :math:`\alpha = -2 \log q / \log B'` of the pole of `koenigs_kernel`.

    With :math:`q = s'(0) = c_1^2 = E[\phi']^2` and :math:`B' = s'(1) = \sum_k k c_k^2 = E[\phi'^2]`: a layer multiplies
    a small :math:`1 - \rho` by B' and the kernel by q.

    Parameters
    ----------
    coeffs : array_like, shape (J,)
        Hermite coefficients of unit norm, :math:`c_0 = 0`, :math:`0 < c_1^2 < 1`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the coefficients are not such.

    Examples
    --------
    >>> print([round(singular_exponent(singular_activation(d)), 12) for d in (1, 2, 3)])
    [1.0, 2.0, 3.0]
    """
    weights = _singular(coeffs)
    return float(-2 * np.log(weights[1]) / np.log(slope_at_one(weights)))


def singular_activation(d: int) -> Array:
    r"""Hermite coefficients of an activation with the pole that is best for data on a sphere of dimension d.

    Its `singular_exponent` is d, so that the classifier of infinite depth is a Hilbert kernel estimate and its risk
    tends to Bayes' with the sample. For d >= 2, :math:`2^{-d/4} h_1 + \sqrt{1 - 2^{1 - d/2}}\, h_2 + 2^{-d/4} h_3`,
    with B' = 2; for d = 1, :math:`(h_1 + h_7) / \sqrt 2`, with B' = 4.

    Parameters
    ----------
    d : int
        Dimension of the sphere :math:`S^d \subset R^{d+1}`, at least 1.

    Returns
    -------
    array, shape (4,), or (8,) for d = 1

    Examples
    --------
    >>> print(singular_activation(4).round(6))
    [0.       0.5      0.707107 0.5     ]
    """
    d = integer("d", d, minimum=1)
    if d == 1:
        found = np.zeros(8)
        found[[1, 7]] = np.sqrt(0.5)
        return found
    outer = 2.0 ** (-d / 4)
    return np.array([0.0, outer, np.sqrt(1 - 2.0 ** (1 - d / 2)), outer])


def _log_correlation(one_minus_rho: ArrayLike) -> Array:
    delta = interval("one_minus_rho", one_minus_rho, 0, 1)
    with np.errstate(divide="ignore"):
        return np.log1p(-delta)


def _singular(coeffs: ArrayLike) -> Array:
    weights = unit_weights(coeffs)
    if weights[0] > 0 or weights.size < 2 or weights[1] == 0 or weights[2:].sum() == 0:
        raise ValueError(f"coeffs must have c_0 = 0 and 0 < c_1^2 < 1; got squares {weights[:3]}")
    return weights
