r"""Spectrum of the correlations of random inputs: P samples of N independent features, both many, at P/N = alpha.

Inputs X of shape (N, P) have independent entries of variance 1/N, so that eigenvalues of :math:`X X^T` are of order
one.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, integer, nonnegative, positive, positive_scalar

Array = NDArray[np.float64]


class MarchenkoPasturQuadrature(NamedTuple):
    """Nodes and weights of the bulk, whose mass is min(1, alpha), and the mass at zero."""

    nodes: Array
    weights: Array
    atom: float


def mp_quadrature(alpha: float, n_nodes: int = 400, *, finest: float = 1.0) -> MarchenkoPasturQuadrature:
    r"""Quadrature for the spectrum of :math:`X X^T`, eigenvalues per feature.

    With :math:`\lambda = \lambda_- + 4 \sqrt\alpha \sin^2(\psi/2)` square roots at both edges disappear, and at
    alpha = 1 the singularity at zero as well. Gauss-Legendre nodes in :math:`\mathrm{asinh}(\psi/\delta)` then sit
    densest at the lower edge, where late times and a near pole at zero make integrands steep:
    :math:`\delta^2` is the least of 1, ``finest`` and the distance to that pole. Costs O(n_nodes), after nodes
    have been found once in O(n_nodes^2).

    Parameters
    ----------
    alpha : float
        Samples per feature, > 0.
    n_nodes : int
        Number of nodes. 400 integrate functions of time up to 1e12 to 1e-11 at least.
    finest : float
        Least change of an eigenvalue over which the integrand changes: 1/t for functions of :math:`\lambda t`.

    Returns
    -------
    MarchenkoPasturQuadrature
        ``nodes`` rising, ``weights`` and ``atom``, :math:`(1 - \alpha)_+`.

    Raises
    ------
    ValueError
        If ``alpha`` or ``finest`` is not positive, or there is no node.

    Examples
    --------
    >>> nodes, weights, atom = mp_quadrature(0.5)
    >>> print(f"{weights.sum() + atom:.12f} {weights @ nodes:.12f} {weights @ nodes**2:.12f}")
    1.000000000000 0.500000000000 0.750000000000
    """
    a = positive_scalar("alpha", alpha)
    n = integer("n_nodes", n_nodes, minimum=1)
    steepness = positive_scalar("finest", finest)
    low = (np.sqrt(a) - 1) ** 2
    delta = np.sqrt(max(min(1.0, steepness, low / np.sqrt(a) if low > 0 else 1.0), 1e-24))
    x, w = _legendre(n)
    top = np.arcsinh(np.pi / delta)
    u = top * (x + 1) / 2
    psi = delta * np.sinh(u)
    nodes = low + 4 * np.sqrt(a) * np.sin(psi / 2) ** 2
    weights = (top / 2) * w * delta * np.cosh(u) * 4 * a * np.sin(psi) ** 2 / (2 * np.pi * nodes)
    return MarchenkoPasturQuadrature(nodes, weights, max(1 - a, 0.0))


def mp_density(x: ArrayLike, *, alpha: float) -> Array:
    r"""Density of eigenvalues of :math:`X X^T` per feature, without the mass :math:`(1-\alpha)_+` at zero.

    .. math:: \rho(\lambda) = \frac{\sqrt{(\lambda_+ - \lambda)(\lambda - \lambda_-)}}{2 \pi \lambda}, \quad
        \lambda_\pm = (\sqrt\alpha \pm 1)^2 ,

    and zero outside of the edges. At alpha = 1 it grows as :math:`1/(\pi \sqrt\lambda)` towards zero, where it is given
    as zero.

    Raises
    ------
    ValueError
        If ``x`` is not finite or ``alpha`` not positive.
    """
    points, a = finite("x", x), positive_scalar("alpha", alpha)
    low, high = (np.sqrt(a) - 1) ** 2, (np.sqrt(a) + 1) ** 2
    inside = (points > low) & (points < high)
    safe = np.where(inside, points, (low + high) / 2)
    return np.where(inside, np.sqrt((high - safe) * (safe - low)) / (2 * np.pi * safe), 0.0)


def mp_resolvent(ridge: ArrayLike, *, alpha: ArrayLike) -> Array:
    r"""Mean of :math:`1/(\lambda + g)` over all eigenvalues of :math:`X X^T`, zeros included.

    .. math:: m(g) = \frac{-(g + \alpha - 1) + \sqrt{(g + \alpha - 1)^2 + 4 g}}{2 g} ,

    in the form that does not cancel. Arguments broadcast.

    Raises
    ------
    ValueError
        If ``ridge`` or ``alpha`` is not positive.
    """
    g, a = positive("ridge", ridge), positive("alpha", alpha)
    return ridged_zero_share(g, a) / g


def ridged_zero_share(g: Array, alpha: Array) -> Array:
    """Mean of g / (l + g), which is the resolvent times g and stays finite without a ridge."""
    b = g + alpha - 1
    root = np.sqrt(b**2 + 4 * g)
    return np.where(b > 0, 2 * g / np.where(b > 0, b + root, 1.0), (root - b) / 2)


def mp_finite_size(function: Callable[[Array], Array], *, alpha: float, n_nodes: int = 400) -> Array:
    r"""Coefficient of 1/N in the mean, per feature, of a function over the nonzero eigenvalues of Gaussian inputs.

    .. math:: \tfrac14 [f(\lambda_-) + f(\lambda_+)] - \frac{1}{2\pi} \int_{\lambda_-}^{\lambda_+}
        \frac{f(\lambda)\, d\lambda}{\sqrt{(\lambda_+ - \lambda)(\lambda - \lambda_-)}} ,

    for a smooth function and real inputs; zero eigenvalues number N - P without correction.

    Parameters
    ----------
    function : callable
        Maps eigenvalues, shape (n,), to values, shape (..., n).
    alpha : float
        Samples per feature, > 0.
    n_nodes : int
        Number of Chebyshev nodes.

    Raises
    ------
    ValueError
        If ``alpha`` is not positive or there is no node.

    References
    ----------
    Bai and Silverstein, "CLT for linear spectral statistics of large-dimensional sample covariance matrices", Annals of
    Probability 2004, equation (1.23) for the mean.

    Examples
    --------
    The second moment of P = alpha N samples is :math:`\\alpha^2 + \\alpha + \\alpha / N`:

    >>> round(float(mp_finite_size(lambda x: x**2, alpha=3.0)), 12)
    3.0
    """
    a = positive_scalar("alpha", alpha)
    n = integer("n_nodes", n_nodes, minimum=1)
    low = (np.sqrt(a) - 1) ** 2
    psi = np.pi * (np.arange(n) + 0.5) / n
    inside = function(low + 4 * np.sqrt(a) * np.sin(psi / 2) ** 2).mean(axis=-1)
    edges = function(np.array([low, (np.sqrt(a) + 1) ** 2])).mean(axis=-1)
    return (edges - inside) / 2


def nonnegative_pair(snr: ArrayLike, inr: ArrayLike) -> Array:
    """Return S + I, the power of what is to be learnt or forgotten, over that of the noise."""
    return nonnegative("snr", snr) + nonnegative("inr", inr)


@cache
def _legendre(n: int) -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(n)
