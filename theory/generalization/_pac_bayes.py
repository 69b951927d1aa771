"""PAC-Bayes bounds on the risk of randomised classifiers, and Maurer's constant in them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincc, logsumexp

from theory import validation
from theory.generalization._bernoulli import kl_inverse
from theory.generalization._counts import counts
from theory.generalization._tails import stirling_error

Array = NDArray[np.float64]


def maurer_constant(n: ArrayLike) -> Array:
    r"""Mean of exp(n kl(mean || p)) over n coins of any bias p in (0, 1).

    .. math:: \xi(n) = \sum_{k=0}^n \binom nk \Bigl(\frac kn\Bigr)^k \Bigl(1 - \frac kn\Bigr)^{n-k}
              = 1 + n!\,\Bigl(\frac en\Bigr)^n \frac{\Gamma(n, n)}{\Gamma(n)}
              = \sqrt{\frac{\pi n}{2}} + \frac23 + O(n^{-1/2})

    and :math:`\sqrt n \le \xi(n) \le 2 \sqrt n`. The second form, which costs O(1), is computed.

    Parameters
    ----------
    n : array_like of int
        Numbers of coins >= 1.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If a number is below 1.

    References
    ----------
    Maurer (2004), "A note on the PAC-Bayesian theorem".

    Examples
    --------
    >>> round(float(maurer_constant(1000)), 9)
    40.303212926
    """
    size = counts("n", n, minimum=1).astype(float)
    return (1 + np.sqrt(2 * np.pi * size) * np.exp(stirling_error(size)) * gammaincc(size, size))[()]


def pac_bayes_seeger(empirical_risk: ArrayLike, kl: ArrayLike, n: ArrayLike, *, delta: ArrayLike) -> Array:
    r"""Upper bound on the risk of a randomised classifier, by the inverse of the binary divergence.

    .. math:: \mathrm{kl}(\hat L_Q \| L_Q) \le \frac{\mathrm{KL}(Q \| P) + \ln(2 \sqrt n / \delta)}{n}

    for all posteriors Q at once, with probability 1 - delta over n independent examples; P is fixed before they are
    seen, and losses are in [0, 1].

    Parameters
    ----------
    empirical_risk : array_like
        Mean training loss of Q, in [0, 1].
    kl : array_like
        KL(Q || P) >= 0, nats.
    n : array_like of int
        Number of examples >= 1.
    delta : array_like
        Failure probability in (0, 1).

    Returns
    -------
    ndarray or float
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Seeger (2002); Maurer (2004).

    Examples
    --------
    >>> round(float(pac_bayes_seeger(0.05, 10.0, 1000, delta=0.05)), 9)
    0.100781878
    """
    risk, kl, n, delta = _arguments(empirical_risk, kl, n, delta)
    return kl_inverse(risk, _complexity(kl, n, delta))


def pac_bayes_mcallester(empirical_risk: ArrayLike, kl: ArrayLike, n: ArrayLike, *, delta: ArrayLike) -> Array:
    r"""Upper bound on the risk of a randomised classifier, by Pinsker's inequality from :func:`pac_bayes_seeger`.

    .. math:: L_Q \le \hat L_Q + \sqrt{\frac{\mathrm{KL}(Q \| P) + \ln(2 \sqrt n / \delta)}{2 n}}

    Never below Seeger's; above 1 it says nothing.

    Parameters
    ----------
    empirical_risk, kl, n, delta
        As for :func:`pac_bayes_seeger`.

    Returns
    -------
    ndarray or float
        Not clipped at 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    McAllester (1999); with Maurer's constant.

    Examples
    --------
    >>> round(float(pac_bayes_mcallester(0.05, 10.0, 1000, delta=0.05)), 9)
    0.14258174
    """
    risk, kl, n, delta = _arguments(empirical_risk, kl, n, delta)
    return (risk + np.sqrt(_complexity(kl, n, delta) / 2))[()]


def pac_bayes_catoni(
    empirical_risk: ArrayLike, kl: ArrayLike, n: ArrayLike, *, delta: ArrayLike, c: ArrayLike
) -> Array:
    r"""Catoni's upper bound on the risk of a randomised classifier, for a C chosen before the examples are seen.

    .. math:: L_Q \le \frac{1 - \exp\bigl(-C \hat L_Q - (\mathrm{KL}(Q \| P) + \ln(1 / \delta)) / n\bigr)}{1 - e^{-C}}

    for all Q at once, with probability 1 - delta. Gibbs posteriors of inverse temperature C n minimise it. Its minimum
    over C is the inverse of the binary divergence, but C may not be chosen so: that needs a union bound.

    Parameters
    ----------
    empirical_risk, kl, n, delta
        As for :func:`pac_bayes_seeger`.
    c : array_like
        C > 0.

    Returns
    -------
    ndarray or float
        Not clipped at 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Catoni (2007), theorem 1.2.1.

    Examples
    --------
    >>> round(float(pac_bayes_catoni(0.05, 10.0, 1000, delta=0.05, c=1.0)), 9)
    0.096583663
    """
    risk, kl, n, delta = _arguments(empirical_risk, kl, n, delta)
    c = validation.positive("c", c)
    return (np.expm1(-c * risk - (kl - np.log(delta)) / n) / np.expm1(-c))[()]


def gibbs_posterior(
    empirical_risks: ArrayLike, *, inverse_temperature: ArrayLike, prior: ArrayLike | None = None
) -> Array:
    r"""Gibbs posterior :math:`Q(h) \propto P(h) e^{-\gamma \hat L(h)}` over finitely many hypotheses.

    Parameters
    ----------
    empirical_risks : array_like, shape (..., M)
        Mean training losses.
    inverse_temperature : array_like
        gamma, finite, of the *mean* loss: one number, or an array that broadcasts against the leading axes.
    prior : array_like, shape (M,), optional
        Weights >= 0 that sum to 1; uniform when left out.

    Returns
    -------
    ndarray, shape (..., M)
        Sums to 1 along the last axis.

    Raises
    ------
    ValueError
        If an argument is not finite, or the prior is no probability vector.

    Examples
    --------
    >>> gibbs_posterior([0.1, 0.3], inverse_temperature=10.0).round(6).tolist()
    [0.880797, 0.119203]
    """
    risks = np.atleast_1d(validation.finite("empirical_risks", empirical_risks))
    gamma = validation.finite("inverse_temperature", inverse_temperature)
    logs = -gamma[..., None] * risks + log_prior(prior, risks.shape[-1])
    return np.exp(logs - logsumexp(logs, axis=-1, keepdims=True))


def log_prior(prior: ArrayLike | None, number: int) -> Array:
    """Return the logarithms of a prior over ``number`` hypotheses, uniform for None."""
    if prior is None:
        return np.full(number, -np.log(number))
    weights = probabilities("prior", prior)
    if weights.shape != (number,):
        raise ValueError(f"prior must have one weight for each of {number} hypotheses; got shape {weights.shape}")
    with np.errstate(divide="ignore"):
        return np.log(weights)


def probabilities(name: str, value: ArrayLike) -> Array:
    """Return a probability vector, normalised to rounding, or raise ValueError."""
    weights = validation.nonnegative(name, value, ndim=1)
    if not np.isclose(weights.sum(), 1, rtol=0, atol=1e-9):
        raise ValueError(f"{name} must sum to 1; got {weights.sum():.12g}")
    return weights / weights.sum()


def _complexity(kl: Array, n: Array, delta: Array) -> Array:
    return (kl + np.log(2 * np.sqrt(n)) - np.log(delta)) / n


def _arguments(risk: ArrayLike, kl: ArrayLike, n: ArrayLike, delta: ArrayLike) -> tuple[Array, Array, Array, Array]:
    return (
        validation.interval("empirical_risk", risk, 0, 1),
        validation.nonnegative("kl", kl),
        counts("n", n, minimum=1).astype(float),
        validation.interval("delta", delta, 0, 1, closed=False),
    )
