"""Bayesian prediction of coin tosses, one after another, on every sequence that can happen; and Gaussian mixtures.

A predictor holds a list of coins with weights. It bets on each toss by its posterior, and what counts is the expected
excess of its log-loss over that of the true coin.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad
from scipy.special import roots_jacobi

from simulations import validation

Array = NDArray[np.float64]

MAX_TOSSES = 24


class Predictions(NamedTuple):
    """Excess loss at every toss, ``regret`` (B, n), and that of each coin over all tosses, ``divergence`` (B, M)."""

    regret: Array
    divergence: Array


def predict_every_sequence(truths: ArrayLike, coins: ArrayLike, weights: ArrayLike, n: int) -> Predictions:
    """Run Bayesian predictors on all 2^n sequences of tosses.

    Costs O(2^n n M) for each of the B predictors.

    Parameters
    ----------
    truths : array_like, shape (B,)
        Probabilities of heads in truth, strictly between 0 and 1.
    coins : array_like, shape (B, M)
        Probabilities of heads that each predictor considers, strictly between 0 and 1.
    weights : array_like, shape (B, M)
        Prior weights, of sum 1.
    n : int
        Tosses, 1 to 24.

    Returns
    -------
    Predictions

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes do not fit.
    """
    truth, heads, prior = _predictors(truths, coins, weights)
    if validation.integer("n", n, minimum=1) > MAX_TOSSES:
        raise ValueError(f"n must be at most {MAX_TOSSES}, for 2^n sequences are listed; got {n}")
    return Predictions(*_every_sequence(truth, heads, prior, n))


def predict_merged_sequences(truths: ArrayLike, coins: ArrayLike, weights: ArrayLike, n: int) -> Array:
    """Run Bayesian predictors on all sequences, those with the same posterior merged after every toss.

    The tosses so far enter a posterior only by their number of heads, so that n + 1 states do for n tosses. Their
    probabilities follow from toss to toss. Costs O(n^2 M) for each predictor.

    Parameters
    ----------
    truths, coins, weights
        As for :func:`predict_every_sequence`.
    n : int
        Tosses, at least 1.

    Returns
    -------
    ndarray, shape (B, n)
        Expected excess loss at every toss.

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes do not fit.
    """
    return _merged(*_predictors(truths, coins, weights), validation.integer("n", n, minimum=1))


def beta_coins(a: float, b: float, n: int) -> tuple[Array, Array]:
    """Return coins and weights whose mixture is that of a Beta(a, b) prior on every sequence of n tosses.

    Likelihoods are polynomials of degree n in the probability of heads, for which Gauss-Jacobi quadrature is exact.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    a, b = float(validation.positive("a", a, ndim=0)), float(validation.positive("b", b, ndim=0))
    points, weights = roots_jacobi(validation.integer("n", n, minimum=1) // 2 + 1, b - 1, a - 1)
    return (1 + points) / 2, weights / weights.sum()


def gaussian_mixture_divergence(mean: float, prior_var: float, n: int) -> float:
    """Divergence between n independent N(mean, 1) and their mixture over N(0, prior_var), by dense linear algebra.

    Both are Gaussian vectors; the mixture's has covariance I plus ``prior_var`` everywhere. O(n^3).

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    size = validation.integer("n", n, minimum=1)
    shift, variance = validation.finite("mean", mean, ndim=0), validation.positive("prior_var", prior_var, ndim=0)
    factor = np.linalg.cholesky(np.eye(size) + float(variance))
    whitened = np.linalg.solve(factor, np.column_stack([np.eye(size), np.full(size, float(shift))]))
    return float(np.log(np.diag(factor)).sum() + 0.5 * (np.sum(whitened**2) - size))


def gaussian_tilted_weight(mean: float, prior_var: float, n: int) -> float:
    """Minus the logarithm of the prior mean of exp(-n (theta - mean)^2 / 2), by adaptive quadrature.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    size = validation.integer("n", n, minimum=1)
    centre = float(validation.finite("mean", mean, ndim=0))
    spread = float(np.sqrt(validation.positive("prior_var", prior_var, ndim=0)))

    def tilted(theta: float) -> float:
        return float(np.exp(-0.5 * size * (theta - centre) ** 2 - 0.5 * (theta / spread) ** 2))

    # both factors are peaks, at 0 and at the centre; their product is no wider than the narrower of them
    reach = 12 * min(spread, 1 / np.sqrt(size))
    total, _ = quad(tilted, min(0.0, centre) - reach, max(0.0, centre) + reach, epsabs=0, epsrel=1e-13, limit=400)
    return float(np.log(spread * np.sqrt(2 * np.pi)) - np.log(total))


def _predictors(truths: Any, coins: Any, weights: Any) -> tuple[Array, Array, Array]:
    def inside(array: Array) -> NDArray[np.bool_]:
        return (array > 0) & (array < 1)

    truth = np.asarray(validation.require("truths", validation.finite("truths", truths, ndim=1), inside, "in (0, 1)"))
    heads = np.asarray(validation.require("coins", validation.finite("coins", coins, ndim=2), inside, "in (0, 1)"))
    prior = np.asarray(validation.nonnegative("weights", weights, ndim=2))
    if heads.shape != prior.shape or len(heads) != len(truth):
        raise ValueError(
            f"weights must have the shape of coins, one row for each of {len(truth)} truths; "
            f"got {prior.shape} and {heads.shape}"
        )
    if not np.allclose(prior.sum(axis=1), 1, rtol=0, atol=1e-9):
        raise ValueError(f"weights must sum to 1 in every row; got {prior.sum(axis=1)}")
    return truth, heads, prior


@njit(cache=True)
def _every_sequence(truths, coins, weights, n):
    predictors, number = coins.shape
    regret, divergence = np.zeros((predictors, n)), np.zeros((predictors, number))
    posterior, excess, losses = np.empty(number), np.empty(number), np.empty(n)
    for b in range(predictors):
        truth = truths[b]
        head, tail = np.log(truth / coins[b]), np.log((1 - truth) / (1 - coins[b]))
        for sequence in range(2**n):
            chance = 1.0
            posterior[:] = weights[b]
            excess[:] = 0.0
            for t in range(n):
                # heads and tails apart, for bets near certainty
                bet, other = 0.0, 0.0
                for j in range(number):
                    bet += posterior[j] * coins[b, j]
                    other += posterior[j] * (1 - coins[b, j])
                total = bet + other
                if sequence >> t & 1:
                    chance *= truth
                    losses[t] = np.log(truth * total / bet)
                    for j in range(number):
                        posterior[j] *= coins[b, j]
                        excess[j] += head[j]
                else:
                    chance *= 1 - truth
                    losses[t] = np.log((1 - truth) * total / other)
                    for j in range(number):
                        posterior[j] *= 1 - coins[b, j]
                        excess[j] += tail[j]
            for t in range(n):
                regret[b, t] += chance * losses[t]
            for j in range(number):
                divergence[b, j] += chance * excess[j]
    return regret, divergence


@njit(cache=True)
def _merged(truths, coins, weights, n):
    predictors, number = coins.shape
    regret = np.zeros((predictors, n))
    for b in range(predictors):
        truth = truths[b]
        odds, tail = np.log(coins[b] / (1 - coins[b])), np.log(1 - coins[b])
        prior = np.log(np.maximum(weights[b], 1e-300))
        law = np.zeros(n + 1)
        law[0] = 1.0
        belief = np.empty(number)
        for t in range(n):
            for heads in range(t + 1):
                if law[heads] == 0.0:
                    continue
                top = -np.inf
                for j in range(number):
                    belief[j] = prior[j] + heads * odds[j] + t * tail[j]
                    top = max(top, belief[j])
                total, bet, other = 0.0, 0.0, 0.0
                for j in range(number):
                    # what is rarer than a rounding of a rounding changes nothing
                    if belief[j] - top > -80.0:
                        mass = np.exp(belief[j] - top)
                        total += mass
                        bet += mass * coins[b, j]
                        other += mass * (1 - coins[b, j])
                loss = truth * np.log(truth * total / bet) + (1 - truth) * np.log((1 - truth) * total / other)
                regret[b, t] += law[heads] * loss
            for heads in range(t + 1, 0, -1):
                law[heads] = law[heads] * (1 - truth) + law[heads - 1] * truth
            law[0] *= 1 - truth
    return regret
