r"""Logistic regression by gradient descent with large steps, and the batch perceptron, over many data sets at a time.

Sequential, branching loops, compiled by numba; data sets run in parallel. Rows :math:`b_i = y_i a_i` carry their
labels; weights start at 0, the loss is :math:`f(\theta) = \frac1n \sum_i \log(1 + e^{-b_i \cdot \theta})`.
"""

# ruff: noqa: NPY002 - compiled code draws from numba's own generator, seeded anew for every chain

from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

from simulations import validation
from simulations.optimization.separation import margin_of_rows

Array = NDArray[np.float64]

UNFINISHED = -1
"""Number of steps reported for a data set that was not separated within the limit."""


class WorstCases(NamedTuple):
    """What a search ended on: each chain's ``difficulty``, ``steps`` to separate, and data, ``signed_features``."""

    difficulty: Array
    steps: NDArray[np.int64]
    signed_features: Array


def random_separable(
    rng: np.random.Generator, *, n_sets: int, n_samples: int, dimension: int, least_margin: float = 0.0
) -> Array:
    r"""Draw data sets of standard Gaussian inputs labelled by a random teacher through the origin.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_sets, n_samples, dimension : int
        S, n, d >= 1.
    least_margin : float
        Added along the teacher to every row, so that the margin is at least this.

    Returns
    -------
    ndarray, shape (S, n, d)
        Signed rows b_i.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    shape = tuple(
        validation.integer(name, value, minimum=1)
        for name, value in (("n_sets", n_sets), ("n_samples", n_samples), ("dimension", dimension))
    )
    extra = float(validation.nonnegative("least_margin", least_margin, ndim=0))
    teacher = rng.normal(size=(shape[0], 1, shape[2]))
    teacher /= np.linalg.norm(teacher, axis=-1, keepdims=True)
    rows = rng.normal(size=shape)
    along = np.sum(rows * teacher, axis=-1, keepdims=True)
    return rows * np.where(along < 0, -1.0, 1.0) + extra * teacher


def descent_path(signed_features: ArrayLike, *, step_size: ArrayLike, n_steps: int, normalized: bool = False) -> Array:
    r"""Weights along gradient descent, :math:`\theta_{t+1} = \theta_t - \gamma_t \nabla f(\theta_t)` from 0.

    Normalised, :math:`\gamma_t = \gamma` over the mean of :math:`1/(1 + e^{b_i\cdot\theta_t})`. Costs O(S n d) a step.

    Parameters
    ----------
    signed_features : array_like, shape (S, n, d)
        Rows of every data set.
    step_size : float or array_like, shape (S,)
        gamma > 0, finite, one for all data sets or one for each.
    n_steps : int
        Number of steps, nonnegative.
    normalized : bool

    Returns
    -------
    ndarray, shape (S, n_steps + 1, d)

    Raises
    ------
    ValueError
        If a number is out of its range or the array is not three-dimensional and finite.
    """
    b = _rows(signed_features)
    gamma = np.asarray(validation.positive("step_size", np.asarray(step_size, dtype=float)))
    if gamma.shape not in ((), b.shape[:1]):
        raise ValueError(f"step_size must be one number or {b.shape[0]} of them; got shape {gamma.shape}")
    steps = validation.integer("n_steps", n_steps, minimum=0)
    return _paths(b, np.array(np.broadcast_to(gamma, b.shape[:1])), steps, bool(normalized))


def perceptron_path(signed_features: ArrayLike, *, n_steps: int, normalized: bool = False) -> Array:
    r"""Weights along the batch perceptron from 0: the mean of the rows that are not classified, added at every step.

    A row on the boundary counts half. Normalised, the mean is over those rows alone. Constant once nothing is left to
    correct.

    Parameters
    ----------
    signed_features : array_like, shape (S, n, d)
    n_steps : int
    normalized : bool

    Returns
    -------
    ndarray, shape (S, n_steps + 1, d)

    Raises
    ------
    ValueError
        If a number is out of its range or the array is not three-dimensional and finite.
    """
    b = _rows(signed_features)
    steps = validation.integer("n_steps", n_steps, minimum=0)
    return _paths(b, np.full(len(b), np.inf), steps, bool(normalized))


def steps_to_separate(
    signed_features: ArrayLike, *, step_size: float = np.inf, normalized: bool = False, max_steps: int = 1_000_000
) -> NDArray[np.int64]:
    r"""Count the steps until every row is classified strictly, b_i.theta > 0.

    Parameters
    ----------
    signed_features : array_like, shape (S, n, d)
    step_size : float
        gamma > 0; infinite for the batch perceptron.
    normalized : bool
    max_steps : int
        Where to give up.

    Returns
    -------
    ndarray of int, shape (S,)
        ``UNFINISHED`` (-1) where ``max_steps`` did not suffice.

    Raises
    ------
    ValueError
        If a number is out of its range or the array is not three-dimensional and finite.
    """
    b = _rows(signed_features)
    limit = validation.integer("max_steps", max_steps, minimum=1)
    return _counts(b, _step_size(step_size), bool(normalized), limit)


def logistic_losses(signed_features: ArrayLike, weights: ArrayLike) -> Array:
    r"""Logistic loss :math:`\frac1n \sum_i \log(1 + e^{-b_i\cdot\theta})` along paths.

    Parameters
    ----------
    signed_features : array_like, shape (S, n, d)
    weights : array_like, shape (S, T, d)

    Returns
    -------
    ndarray, shape (S, T)

    Raises
    ------
    ValueError
        If shapes disagree or an entry is not finite.
    """
    b, theta = _rows(signed_features), _rows(weights)
    if theta.shape[::2] != b.shape[::2]:
        raise ValueError(f"weights must have shape (S, T, d) to fit data of shape {b.shape}; got {theta.shape}")
    return np.logaddexp(0.0, -np.einsum("sti,sni->stn", theta, b)).mean(axis=-1)


def search_worst_cases(
    rng: np.random.Generator,
    *,
    n_chains: int,
    n_samples: int,
    dimension: int,
    n_proposals: int,
    step_size: float = np.inf,
    normalized: bool = False,
    margins: tuple[float, float] = (0.05, 0.3),
    max_steps: int = 100_000,
) -> WorstCases:
    r"""Search for data that take many steps for their margin: climb :math:`T \mu^2 / R^2` by random changes.

    T is the number of steps to separate, mu the hard margin, R the largest row. Every chain starts from random
    separable data and perturbs one row at a time (Gaussian, of a length drawn over three decades) or copies one row
    onto another, keeping what is no easier. Rows are rescaled to R = 1. Without an upper limit on mu / R the search
    would end on data that are all alike, which take one step at mu = R. A chain that starts outside the range of
    margins first climbs into it.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_chains : int
        Independent chains, run in parallel.
    n_samples, dimension : int
        n, d >= 1.
    n_proposals : int
        Changes tried in each chain.
    step_size : float
        gamma > 0; infinite for the batch perceptron.
    normalized : bool
    margins : (float, float)
        Range of mu / R to stay in, within (0, 1].
    max_steps : int
        Where a trial gives up, and is not accepted.

    Returns
    -------
    WorstCases
        ``difficulty`` T mu^2 / R^2 (minus the distance from the range of margins, for a chain that stayed outside) and
        ``steps``, shape (C,); ``signed_features``, shape (C, n, d).

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    chains = validation.integer("n_chains", n_chains, minimum=1)
    proposals = validation.integer("n_proposals", n_proposals, minimum=0)
    limit = validation.integer("max_steps", max_steps, minimum=1)
    low, high = (float(m) for m in margins)
    if not 0 < low < high <= 1:
        raise ValueError(f"margins must be 0 < low < high <= 1; got {margins}")
    gamma = _step_size(step_size)
    start = random_separable(rng, n_sets=chains, n_samples=n_samples, dimension=dimension, least_margin=low)
    start /= np.linalg.norm(start, axis=-1).max(axis=-1)[:, None, None]
    seeds = rng.integers(2**32, size=chains, dtype=np.uint32)
    return WorstCases(*_climb(start, seeds, proposals, gamma, bool(normalized), low, high, limit))


@njit(cache=True)
def _advance(b, theta, gamma, normalized, update):
    """Write one step from theta into ``update``; tell whether theta classified every row strictly."""
    n, d = b.shape
    separated = True
    total, peak = 0.0, -np.inf
    update[:] = 0.0
    for i in range(n):
        margin = 0.0
        for k in range(d):
            margin += b[i, k] * theta[k]
        if margin <= 0.0:
            separated = False
        if gamma == np.inf:
            weight = 1.0 if margin < 0.0 else (0.5 if margin == 0.0 else 0.0)
        elif normalized:
            # sums of e^(log weight - peak), rescaled whenever a larger weight turns up
            log_weight = -max(margin, 0.0) - np.log1p(np.exp(-abs(margin)))
            if log_weight > peak:
                shrink = np.exp(peak - log_weight)
                total *= shrink
                for k in range(d):
                    update[k] *= shrink
                peak = log_weight
            weight = np.exp(log_weight - peak)
        else:
            weight = 1.0 / (1.0 + np.exp(min(margin, 700.0)))
        total += weight
        for k in range(d):
            update[k] += weight * b[i, k]
    rate = 1.0 if gamma == np.inf else gamma
    divisor = total if normalized else float(n)
    for k in range(d):
        update[k] *= rate / divisor if divisor > 0.0 else 0.0
    return separated


@njit(cache=True, parallel=True)
def _paths(b, gamma, n_steps, normalized):
    S, _, d = b.shape
    paths = np.zeros((S, n_steps + 1, d))
    for s in prange(S):
        update = np.empty(d)
        for t in range(n_steps):
            _advance(b[s], paths[s, t], gamma[s], normalized, update)
            for k in range(d):
                paths[s, t + 1, k] = paths[s, t, k] + update[k]
    return paths


@njit(cache=True)
def _count(b, gamma, normalized, max_steps):
    theta, update = np.zeros(b.shape[1]), np.empty(b.shape[1])
    for t in range(max_steps + 1):
        if _advance(b, theta, gamma, normalized, update):
            return t
        theta += update
    return UNFINISHED


@njit(cache=True, parallel=True)
def _counts(b, gamma, normalized, max_steps):
    counts = np.empty(b.shape[0], np.int64)
    for s in prange(b.shape[0]):
        counts[s] = _count(b[s], gamma, normalized, max_steps)
    return counts


@njit(cache=True)
def _difficulty(b, gamma, normalized, low, high, max_steps):
    margin = margin_of_rows(b)
    if margin < low or margin > high:
        return min(margin - low, high - margin), UNFINISHED
    steps = _count(b, gamma, normalized, max_steps)
    return (steps * margin**2 if steps != UNFINISHED else -np.inf), steps


@njit(cache=True)
def _climb_once(b, seed, n_proposals, gamma, normalized, low, high, max_steps):
    np.random.seed(seed)
    n, d = b.shape
    difficulty, steps = _difficulty(b, gamma, normalized, low, high, max_steps)
    for _ in range(n_proposals):
        trial = b.copy()
        i = np.random.randint(n)
        if np.random.random() < 0.2:
            trial[i] = trial[np.random.randint(n)]
        else:
            size = 10.0 ** (-3.0 * np.random.random())
            for k in range(d):
                trial[i, k] += size * np.random.normal()
        radius = 0.0
        for j in range(n):
            length = 0.0
            for k in range(d):
                length += trial[j, k] ** 2
            radius = max(radius, np.sqrt(length))
        trial /= radius
        trial_difficulty, trial_steps = _difficulty(trial, gamma, normalized, low, high, max_steps)
        if trial_difficulty >= difficulty:
            b, steps, difficulty = trial, trial_steps, trial_difficulty
    return difficulty, steps, b


@njit(cache=True, parallel=True)
def _climb(start, seeds, n_proposals, gamma, normalized, low, high, max_steps):
    C = start.shape[0]
    difficulty, steps, found = np.empty(C), np.empty(C, np.int64), np.empty_like(start)
    for c in prange(C):
        difficulty[c], steps[c], found[c] = _climb_once(
            start[c], seeds[c], n_proposals, gamma, normalized, low, high, max_steps
        )
    return difficulty, steps, found


def _step_size(value: float) -> float:
    return float("inf") if value == np.inf else float(validation.positive("step_size", value, ndim=0))


def _rows(value: ArrayLike) -> Array:
    array = np.ascontiguousarray(value, dtype=np.float64)
    if array.ndim != 3 or not array.size:
        raise ValueError(f"data and weights must have shape (S, rows, d), no axis empty; got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("data and weights must be finite")
    return array
