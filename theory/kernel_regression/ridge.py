r"""Risks of ridge regression and of least-norm interpolation on random designs, split into bias and variance.

Rows of X (n, p) are independent with covariance :math:`\Sigma`, :math:`y = X \beta + \varepsilon`, and

.. math:: \hat\beta = \Big(\frac{X^\top X}{n} + \lambda\Big)^{-1} \frac{X^\top y}{n},

**with the samples averaged**: the ridge of `krr_risk` is :math:`n \lambda`. Risks are
:math:`E |\hat\beta - \beta|_\Sigma^2`, **without the noise of test labels**. With no ridge the fit is least squares, or
where p > n the interpolation of least norm.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.kernel_regression.eigenframework import krr_risk
from theory.validation import finite, integer, nonnegative, positive, same_shape

Array = NDArray[np.float64]


class RidgeRisk(NamedTuple):
    """Squared bias, variance, and their sum, in the units of squared labels."""

    bias: Array
    variance: Array
    total: Array


class OptimalRidgeRisk(NamedTuple):
    """The ridge of least risk, inf where there is no signal, and the risk there."""

    ridge: Array
    risk: Array


def ridge_risk_isotropic(
    *, ratio: ArrayLike, ridge: ArrayLike, signal: ArrayLike = 1.0, noise_var: ArrayLike = 1.0
) -> RidgeRisk:
    r"""Limit of the risk on uncorrelated features of variance 1, as n and p grow at p/n = g.

    .. math:: \text{bias} = r^2 \lambda^2 m'(-\lambda), \qquad
              \text{variance} = \sigma^2 g\, [m(-\lambda) - \lambda m'(-\lambda)]

    with m the transform `mp_stieltjes`. In terms of the positive root :math:`\kappa` of :math:`1 = \frac{g}{1 +
    \kappa} + \frac\lambda\kappa` and of :math:`\mu = \lambda/\kappa` they are :math:`r^2 \kappa^2` and :math:`\sigma^2
    g` over :math:`(1 + \kappa)(\kappa + \mu)`, which is evaluated, as nothing cancels. Corrections are of order 1/n.

    Parameters
    ----------
    ratio : array_like
        g = p/n > 0, features over samples.
    ridge : array_like
        lambda >= 0, in units of a feature's variance.
    signal : array_like
        r^2, squared length of beta, >= 0.
    noise_var : array_like
        sigma^2 >= 0.

    Returns
    -------
    RidgeRisk
        Of the broadcast shape; the variance is infinite without a ridge at g = 1. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Hastie, Montanari, Rosset, Tibshirani (2019, arXiv:1903.08560); Dobriban and Wager (2018).

    Examples
    --------
    >>> [round(float(part), 4) for part in ridge_risk_isotropic(ratio=0.5, ridge=0.3, noise_var=0.25)]
    [0.1286, 0.0771, 0.2057]
    """
    g, lam = positive("ratio", ratio), nonnegative("ridge", ridge)
    power, noise = nonnegative("signal", signal), nonnegative("noise_var", noise_var)
    g, lam, power, noise = np.broadcast_arrays(g, lam, power, noise)
    kappa, mu = _effective_ridge(g, lam)
    over = (1 + kappa) * (kappa + mu)
    usual = over > 0  # it vanishes at g = 1 without a ridge, where bias does so faster
    safe = np.where(usual, over, 1.0)
    infinite = np.where(noise > 0, np.inf, 0.0)
    return _sum(np.where(usual, power * kappa**2 / safe, 0.0), np.where(usual, noise * g / safe, infinite))


def ridgeless_risk_isotropic(*, ratio: ArrayLike, signal: ArrayLike = 1.0, noise_var: ArrayLike = 1.0) -> RidgeRisk:
    r"""Limit of the risk without a ridge on uncorrelated features, as n and p grow at p/n = g.

    .. math:: \frac{\sigma^2 g}{1 - g} \quad (g < 1), \qquad r^2 \Big(1 - \frac1g\Big) + \frac{\sigma^2}{g - 1} \quad
              (g > 1)

    Parameters and results as for `ridge_risk_isotropic`. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Hastie, Montanari, Rosset, Tibshirani (2019, arXiv:1903.08560).

    Examples
    --------
    >>> ridgeless_risk_isotropic(ratio=[0.5, 1.0, 2.0]).total
    array([1. , inf, 1.5])
    """
    return ridge_risk_isotropic(ratio=ratio, ridge=0.0, signal=signal, noise_var=noise_var)


def ridgeless_risk_finite(*, n: int, p: int, signal: ArrayLike = 1.0, noise_var: ArrayLike = 1.0) -> RidgeRisk:
    r"""Mean risk without a ridge on n samples of p independent normal features, exact at any size.

    .. math:: \frac{\sigma^2 p}{n - p - 1} \quad (p < n - 1), \qquad
              r^2 \Big(1 - \frac np\Big) + \frac{\sigma^2 n}{p - n - 1} \quad (p > n + 1)

    The variance is infinite where n and p differ by one at most; near that its fluctuations have heavy tails.

    Parameters
    ----------
    n, p : int
        Samples and features, >= 1.
    signal, noise_var : array_like
        As for `ridge_risk_isotropic`.

    Returns
    -------
    RidgeRisk
        Of the broadcast shape of signal and noise. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Breiman and Freedman (1983); Hastie et al. (2019, arXiv:1903.08560). From the mean of an inverse Wishart matrix.

    Examples
    --------
    >>> [round(float(part), 4) for part in ridgeless_risk_finite(n=30, p=50)]
    [0.4, 1.5789, 1.9789]
    """
    samples, features = integer("n", n, minimum=1), integer("p", p, minimum=1)
    power, noise = np.broadcast_arrays(nonnegative("signal", signal), nonnegative("noise_var", noise_var))
    spread = noise * min(samples, features)
    apart = abs(samples - features) - 1
    variance = spread / apart if apart > 0 else np.where(noise > 0, np.inf, 0.0)
    return _sum(power * max(1 - samples / features, 0.0), variance)


def optimal_ridge_isotropic(
    *, ratio: ArrayLike, signal: ArrayLike = 1.0, noise_var: ArrayLike = 1.0
) -> OptimalRidgeRisk:
    r"""Ridge of least risk on uncorrelated features, and the risk there.

    .. math:: \lambda^* = \frac{\sigma^2 g}{r^2}, \qquad \text{risk} = \sigma^2 g\, m(-\lambda^*)
              = r^2 \frac{\kappa}{1 + \kappa},

    which rises with g throughout: at the best ridge more data never hurt, and there is no peak at g = 1. The same
    ridge, :math:`\sigma^2 p / (n r^2)`, is the best one on any design if the direction of beta is random.

    Parameters and errors as for `ridge_risk_isotropic`. Costs O(1).

    Returns
    -------
    OptimalRidgeRisk
        Of the broadcast shape.

    References
    ----------
    Dobriban and Wager (2018); Hastie et al. (2019, arXiv:1903.08560); Nakkiran et al. (2020, arXiv:2003.01897).

    Examples
    --------
    >>> best = optimal_ridge_isotropic(ratio=2.0, signal=1.0, noise_var=0.5)
    >>> float(best.ridge), round(float(best.risk), 6)
    (1.0, 0.707107)
    """
    g = positive("ratio", ratio)
    power, noise = nonnegative("signal", signal), nonnegative("noise_var", noise_var)
    g, power, noise = np.broadcast_arrays(g, power, noise)
    with np.errstate(divide="ignore", invalid="ignore"):
        ridge = np.where(power > 0, noise * g / power, np.inf)
    kappa, _ = _effective_ridge(g, np.where(power > 0, ridge, 0.0))
    return OptimalRidgeRisk(ridge[()], (power * kappa / (1 + kappa))[()])


def ridge_risk(
    eigenvalues: ArrayLike, coefficients: ArrayLike, *, n: ArrayLike, ridge: ArrayLike, noise_var: ArrayLike = 1.0
) -> RidgeRisk:
    r"""Risk on n samples of correlated features, to leading order in n and p, at any ridge.

    With :math:`\kappa` the effective ridge, :math:`n = \sum_i \frac{s_i}{s_i + \kappa} + \frac{n \lambda}{\kappa}`, and
    :math:`E_0 = n / (n - q)`, :math:`q = \sum_i \frac{s_i^2}{(s_i + \kappa)^2}`,

    .. math:: \text{bias} = E_0 \sum_i \frac{\kappa^2 s_i \beta_i^2}{(s_i + \kappa)^2}, \qquad
              \text{variance} = \sigma^2 (E_0 - 1) .

    :math:`1/\kappa` is the companion transform of the spectrum at :math:`-\lambda`, `companion_stieltjes`.

    Parameters
    ----------
    eigenvalues : array_like, shape (p,)
        s_i >= 0 of the population covariance.
    coefficients : array_like, shape (p,)
        beta_i, along its eigenvectors.
    n : array_like
        Samples, > 0.
    ridge : array_like
        lambda >= 0; none for the fit of least norm.
    noise_var : array_like
        sigma^2 >= 0.

    Returns
    -------
    RidgeRisk
        Of the shape that n, ridge and noise_var broadcast to. Costs as much as `krr_risk`, which solves for kappa.

    Raises
    ------
    ValueError, RuntimeError
        As `krr_risk` does.

    References
    ----------
    Hastie, Montanari, Rosset, Tibshirani (2019, arXiv:1903.08560); Dobriban and Wager (2018).

    Examples
    --------
    >>> found = ridge_risk([1.0] * 50, [0.2] * 50, n=100, ridge=0.3, noise_var=0.25)
    >>> [round(float(part), 4) for part in found]
    [0.2572, 0.0771, 0.3343]
    """
    s = nonnegative("eigenvalues", eigenvalues, ndim=1)
    beta = same_shape("coefficients", finite("coefficients", coefficients, ndim=1), "eigenvalues", s)
    samples, lam = np.broadcast_arrays(positive("n", n), nonnegative("ridge", ridge))
    noise = nonnegative("noise_var", noise_var)
    found = krr_risk(s, s * beta**2, n=samples, ridge=samples * lam)
    # with as many samples as features and more, no ridge leaves no bias, whatever multiplies it
    bias = np.where(found.kappa > 0, found.test, 0.0)
    variance = noise * (found.q / samples * found.noise_amplification)
    return _sum(*np.broadcast_arrays(bias, variance))


def _effective_ridge(g: Array, lam: Array) -> tuple[Array, Array]:
    """Return kappa and lambda / kappa, the roots of two quadratics whose product is lambda."""
    b = g - 1 + lam
    root = np.sqrt(b**2 + 4 * lam)
    larger = 0.5 * (np.abs(b) + root)
    smaller = lam / np.where(larger > 0, larger, 1.0)
    return np.where(b > 0, larger, smaller), np.where(b > 0, smaller, larger)


def _sum(bias: Array, variance: Array) -> RidgeRisk:
    return RidgeRisk(bias[()], variance[()], (bias + variance)[()])
