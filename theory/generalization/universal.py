r"""Prediction with a mixture over a class of models: what it loses to the truth, and what bounds the loss.

A mixture :math:`Q(x^n) = \sum_\theta w(\theta) P_\theta(x^n)` predicts n independent observations of
:math:`P_{\theta_0}`. Its regret under log-loss, :math:`R_n = \frac1n \mathrm{KL}(P_{\theta_0}^n \| Q)`, is measured in
nats **per observation** throughout. The weight near the truth decides, and not the number of models.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaln, logsumexp, xlog1py, xlogy
from scipy.stats import binom

from theory import validation
from theory.generalization._counts import counts
from theory.generalization._deviance import deviance

Array = NDArray[np.float64]

_SUM_TOLERANCE = 1e-9


class KLBallBound(NamedTuple):
    """Smallest bound over the divergence balls: its ``value``, and the ``radius`` at which it is taken."""

    value: float
    radius: float


def mixture_regret_bernoulli(theta0: float, thetas: ArrayLike, weights: ArrayLike, n: int) -> float:
    r"""Regret of a mixture of coins, in nats a toss.

    .. math:: R_n = -\frac1n \sum_{k=0}^n \binom nk \theta_0^k (1 - \theta_0)^{n-k} \ln \sum_j w_j
              \Bigl(\frac{\theta_j}{\theta_0}\Bigr)^k \Bigl(\frac{1 - \theta_j}{1 - \theta_0}\Bigr)^{n-k}

    Costs O(n M) time and memory for M coins.

    Parameters
    ----------
    theta0 : float
        Probability of heads in truth, in (0, 1); it need not be among ``thetas``.
    thetas : array_like, shape (M,)
        Probabilities of heads in the class, in [0, 1].
    weights : array_like, shape (M,)
        Prior, nonnegative, of sum 1.
    n : int
        Tosses, at least 1.

    Returns
    -------
    float
        Infinite where every coin of positive weight rules out a sequence that can happen.

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes differ.

    References
    ----------
    Feder, Urbanke and Fogel (2025), arXiv:2506.07661; sufficient statistic and formula derived here.

    Examples
    --------
    >>> round(5 * mixture_regret_bernoulli(0.01, [0.01, 0.99], [0.1, 0.9], 5), 6)
    2.302433
    """
    truth = _coin("theta0", theta0)
    coins = np.atleast_1d(validation.interval("thetas", thetas, 0, 1))
    prior = _prior(weights, "thetas", coins)
    heads = np.arange(validation.integer("n", n, minimum=1) + 1)
    coins, prior = coins[prior > 0], prior[prior > 0]
    with np.errstate(divide="ignore"):
        exponents = xlogy(heads[:, None], coins / truth) + xlogy(n - heads[:, None], (1 - coins) / (1 - truth))
        mixed = logsumexp(exponents + np.log(prior), axis=1)
    chance = binom.pmf(heads, n, truth)
    possible = chance > 0
    return float(-(chance[possible] @ mixed[possible]) / n)


def beta_mixture_regret(theta0: float, n: int, *, a: float, b: float) -> float:
    r"""Regret of a mixture over all coins with a Beta(a, b) prior, in nats a toss.

    .. math:: n R_n = \sum_{k=0}^n \binom nk \theta_0^k (1 - \theta_0)^{n-k}
              \ln\frac{\theta_0^k (1 - \theta_0)^{n-k} B(a, b)}{B(k + a, n - k + b)}

    a = b = 1 is Laplace's rule of succession, a = b = 1/2 that of Krichevsky and Trofimov. Costs O(n); the absolute
    error of n R_n is a few roundings of n.

    Parameters
    ----------
    theta0 : float
        Probability of heads, in (0, 1).
    n : int
        Tosses, at least 1.
    a, b : float
        Parameters of the prior, positive.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Feder, Urbanke and Fogel (2025), arXiv:2506.07661; textbook in this form.

    Examples
    --------
    >>> round(beta_mixture_regret(0.3, 1, a=1, b=1), 6)
    0.082283
    """
    truth, heads = _coin("theta0", theta0), np.arange(validation.integer("n", n, minimum=1) + 1)
    a, b = validation.positive_scalar("a", a), validation.positive_scalar("b", b)
    likelihood = xlogy(heads, truth) + xlog1py(n - heads, -truth)
    return float(binom.pmf(heads, n, truth) @ (likelihood - betaln(heads + a, n - heads + b) + betaln(a, b)) / n)


def beta_mixture_regret_asymptotic(theta0: ArrayLike, n: ArrayLike, *, a: float, b: float) -> Array:
    r"""Regret of :func:`beta_mixture_regret` for many tosses, up to O(1/n^2).

    .. math:: n R_n = \tfrac12 \ln\frac{n}{2 \pi e} - \tfrac12 \ln(\theta_0 (1 - \theta_0)) - \ln w(\theta_0) + O(1/n)

    with the density w of Beta(a, b). Half a logarithm for one parameter.

    Parameters
    ----------
    theta0 : array_like
        Probability of heads, in (0, 1).
    n : array_like of int
        Tosses, at least 1; far more than 1 / (theta0 (1 - theta0)) to be of use.
    a, b : float
        Parameters of the prior, positive.

    Returns
    -------
    ndarray or float
        Nats a toss.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Clarke and Barron (1990).

    Examples
    --------
    >>> round(float(beta_mixture_regret_asymptotic(0.3, 1000, a=1, b=1)), 6)
    0.002815
    """
    truth, tosses = validation.interval("theta0", theta0, 0, 1, closed=False), counts("n", n, minimum=1)
    a, b = validation.positive_scalar("a", a), validation.positive_scalar("b", b)
    log_density = xlogy(a - 1, truth) + xlog1py(b - 1, -truth) - betaln(a, b)
    information = -np.log(truth) - np.log1p(-truth)
    return ((0.5 * (np.log(tosses / (2 * np.pi)) - 1 + information) - log_density) / tosses)[()]


def gaussian_mixture_regret(theta0: ArrayLike, n: ArrayLike, *, prior_var: ArrayLike) -> Array:
    r"""Regret of a mixture of unit Gaussians with a Gaussian prior on their mean, in nats an observation.

    .. math:: n R_n = \tfrac12 \ln(1 + n t^2) - \tfrac12 \frac{n t^2}{1 + n t^2}
              + \tfrac12 \frac{n \theta_0^2}{1 + n t^2}

    for N(theta0, 1) in truth and the prior N(0, t^2).

    Parameters
    ----------
    theta0 : array_like
        Mean in truth, in standard deviations of an observation.
    n : array_like of int
        Observations, at least 1.
    prior_var : array_like
        t^2 > 0.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Feder, Urbanke and Fogel (2025), arXiv:2506.07661; derived here.

    Examples
    --------
    >>> round(7 * float(gaussian_mixture_regret(1.2, 7, prior_var=2.5)), 6)
    1.258345
    """
    truth, n, variance = validation.finite("theta0", theta0), counts("n", n, minimum=1), prior_var
    growth = 1 + n * validation.positive("prior_var", variance)
    # ln(1 + x) - x / (1 + x), without cancellation
    spread = deviance(np.ones_like(growth), 1 / growth, (growth - 1) / growth)
    return (0.5 * (spread + n * truth**2 / growth) / n)[()]


def gaussian_exponential_weight_bound(theta0: ArrayLike, n: ArrayLike, *, prior_var: ArrayLike) -> Array:
    r"""Bound of :func:`exponential_weight_bound` for the mixture of :func:`gaussian_mixture_regret`.

    .. math:: -\frac1n \ln \int w(\theta) e^{-n (\theta - \theta_0)^2 / 2} d\theta
              = \frac1{2n} \Bigl( \ln(1 + n t^2) + \frac{n \theta_0^2}{1 + n t^2} \Bigr)

    Above the regret by less than 1 / (2 n).

    Parameters
    ----------
    theta0, n, prior_var
        As for :func:`gaussian_mixture_regret`.

    Returns
    -------
    ndarray or float
        Nats an observation.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(7 * float(gaussian_exponential_weight_bound(1.2, 7, prior_var=2.5)), 6)
    1.731318
    """
    truth, n = validation.finite("theta0", theta0), counts("n", n, minimum=1)
    spread = n * validation.positive("prior_var", prior_var)
    return (0.5 * (np.log1p(spread) + n * truth**2 / (1 + spread)) / n)[()]


def exponential_weight_bound(divergences: ArrayLike, weights: ArrayLike, n: int) -> float:
    r"""Bound on the regret of any mixture by the divergences of its models from the truth.

    .. math:: R_n \le -\frac1n \ln \sum_\theta w(\theta) e^{-n d(\theta)}, \qquad
              d(\theta) = \mathrm{KL}(P_{\theta_0} \| P_\theta)

    Jensen's inequality, with the weights tilted by the expected likelihoods.

    Parameters
    ----------
    divergences : array_like, shape (M,)
        d of each model for one observation, nats, in [0, inf].
    weights : array_like, shape (M,)
        Prior, nonnegative, of sum 1.
    n : int
        Observations, at least 1.

    Returns
    -------
    float
        Nats an observation; infinite when all models of positive weight diverge infinitely.

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes differ.

    References
    ----------
    Feder, Urbanke and Fogel (2025), arXiv:2506.07661.

    Examples
    --------
    >>> round(exponential_weight_bound([0.0, 1.0], [0.5, 0.5], 2), 6)
    0.28311
    """
    distance, prior = _class(divergences, weights)
    size = validation.integer("n", n, minimum=1)
    with np.errstate(divide="ignore"):
        return float(-logsumexp(np.log(prior) - size * distance) / size)


def kl_ball_bound(divergences: ArrayLike, weights: ArrayLike, n: int) -> KLBallBound:
    r"""Bound on the regret of any mixture by the weight of a divergence ball around the truth.

    .. math:: R_n \le \min_\epsilon \Bigl\{ \epsilon - \frac1n \ln w(B_\epsilon) \Bigr\}, \qquad
              B_\epsilon = \{\theta : d(\theta) \le \epsilon\}

    The minimum is taken over the radii that some model has; no other can be better. O(M log M).

    Parameters
    ----------
    divergences, weights, n
        As for :func:`exponential_weight_bound`, which is never above this bound.

    Returns
    -------
    KLBallBound
        Nats an observation; both infinite when all models of positive weight diverge infinitely.

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes differ.

    References
    ----------
    Feder, Urbanke and Fogel (2025), arXiv:2506.07661.

    Examples
    --------
    >>> kl_ball_bound([0.0, 0.1], [0.01, 0.99], 10).radius
    0.1
    """
    distance, prior = _class(divergences, weights)
    order = np.argsort(distance, kind="stable")
    mass = np.minimum(np.cumsum(prior[order]), 1.0)
    with np.errstate(divide="ignore"):
        values = distance[order] - np.log(mass) / validation.integer("n", n, minimum=1)
    best = int(np.argmin(values))
    return KLBallBound(float(values[best]), float(distance[order][best]))


def batch_regret(cumulative: ArrayLike) -> Array:
    r"""Regret of the last of n observations, predicted after all others.

    .. math:: r_n = n R_n - (n - 1) R_{n-1}

    Nonnegative, and R_n is the mean of r_1, ..., r_n. A single r_n obeys no bound on R_n, and need not fall with n.

    Parameters
    ----------
    cumulative : array_like, shape (N,)
        n R_n for n = 1, ..., N.

    Returns
    -------
    ndarray, shape (N,)
        r_1, ..., r_N in nats.

    Raises
    ------
    ValueError
        If an entry is not finite, or the array is not a vector.

    References
    ----------
    Feder, Urbanke and Fogel (2025), arXiv:2506.07661.

    Examples
    --------
    >>> batch_regret([0.5, 0.75, 0.875])
    array([0.5  , 0.25 , 0.125])
    """
    return np.diff(validation.finite("cumulative", cumulative, ndim=1), prepend=0.0)


def _coin(name: str, value: float) -> float:
    return float(validation.interval(name, validation.scalar(name, value), 0, 1, closed=False))


def _class(divergences: ArrayLike, weights: ArrayLike) -> tuple[Array, Array]:
    distance = np.atleast_1d(np.asarray(divergences, dtype=float))
    infinite = np.isposinf(distance)
    distance = validation.nonnegative("divergences", np.where(infinite, 0.0, distance))
    prior = _prior(weights, "divergences", distance)
    return np.where(infinite, np.inf, distance), prior


def _prior(weights: ArrayLike, name: str, models: Array) -> Array:
    if models.ndim != 1:
        raise ValueError(f"{name} must have 1 dimension(s); got shape {models.shape}")
    prior = validation.same_shape("weights", np.atleast_1d(validation.nonnegative("weights", weights)), name, models)
    if not abs(prior.sum() - 1) <= _SUM_TOLERANCE:
        raise ValueError(f"weights must sum to 1; got {prior.sum():g}")
    return prior
