"""Learners on samples with a long tail, which fit the items seen once or do not: run on drawn samples, or on all.

For Feldman (2020), arXiv:1906.05271.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numba import njit
from scipy.optimize import linprog

from simulations import validation
from simulations.replicates import over_replicates


class ItemErrors(NamedTuple):
    """Errors of a learner: ``error`` (population), ``misfits`` (mislabelled singletons), ``memorization`` (summed)."""

    error: float
    misfits: float
    memorization: float


class DrawnErrors(NamedTuple):
    """On samples, (R,): errors of the ``learner`` and of one that fits ``all``, ``singletons``, and their ``mass``."""

    learner: Array
    all: Array
    singletons: Array
    mass: Array


def draw_errors(
    keys: Array,
    frequencies: ArrayLike,
    *,
    n: int,
    num_labels: int,
    misfit: ArrayLike | Sequence,
    chunk_size: int | None = None,
) -> DrawnErrors:
    """Draw samples and labels, and run a learner on each that misfits by number of occurrences.

    An item seen l times gets a wrong label with probability ``misfit[l - 1]``, uniform among the wrong ones; items seen
    more often their own; unseen ones a label drawn uniformly, the same for the learner that fits all. Costs
    O(N + n log N) a replicate.

    Parameters
    ----------
    keys : jax.Array, shape (R,)
    frequencies : array_like, shape (N,)
        Positive; normalised here.
    n : int
        Size of the samples.
    num_labels : int
        k >= 2, uniform labels.
    misfit : array_like, shape (L,)
        Probabilities.
    chunk_size : int, optional
        Replicates at a time.

    Returns
    -------
    DrawnErrors

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    shares = validation.positive("frequencies", frequencies, ndim=1)
    q = validation.require("misfit", validation.nonnegative("misfit", misfit, ndim=1), lambda p: p <= 1, "at most 1")
    size = validation.integer("n", n, minimum=1)
    labels = validation.integer("num_labels", num_labels, minimum=2)
    return over_replicates(_draw, keys, shares / shares.sum(), q, size, labels, chunk_size=chunk_size)


def enumerate_errors(
    parts: Sequence[int], *, n: int, num_labels: int, fit: Sequence[float], fit_rare: float | None = None
) -> ItemErrors:
    """Enumerate all samples and all labellings, and average a learner's errors and memorisation.

    An item seen l times is fitted with probability ``fit[l - 1]`` (seen more often: always), but a singleton with
    ``fit_rare``, where that is given, if its label is not the plurality of the other draws' labels. Unseen items get
    the plurality label of the sample (ties: the smallest). Memorisation of a draw compares with the same learner on
    the other n - 1 draws. Costs O(N^n k^N n (n + N)): N = 4, n = 4, k = 3 takes milliseconds, N = 5, n = 7, k = 3
    seconds.
    """
    numerators = np.asarray(parts, dtype=float)
    items, size = numerators.size, validation.integer("n", n, minimum=1)
    classes = validation.integer("num_labels", num_labels, minimum=2)
    if items**size * classes**items > 2**31:
        raise ValueError(f"n must leave at most 2^31 pairs of sample and labelling; got {items**size * classes**items}")
    chances = np.concatenate([np.asarray(fit, dtype=float), np.ones(size)])[:size]
    rare = chances[0] if fit_rare is None else float(fit_rare)
    return ItemErrors(*_enumerate_learner(numerators / numerators.sum(), size, classes, chances, rare))


def most_memorizing_private_learner(epsilon: float, *, num_labels: int) -> float:
    """Largest mean memorisation of one uniform label under pure privacy, as a linear programme over all mechanisms.

    Variables are the probabilities of each prediction, for each label in the sample and for its absence; adding the
    example changes none of them by more than a factor exp(epsilon) either way. Beyond epsilon = 8 the tolerances of the
    solver would count as privacy, and ValueError is raised.
    """
    loss = validation.require("epsilon", validation.nonnegative("epsilon", epsilon, ndim=0), lambda e: e <= 8, "<= 8")
    factor = math.exp(float(loss))
    k = validation.integer("num_labels", num_labels, minimum=2)
    with_it = np.eye(k * k)
    without = np.tile(np.eye(k), (k, 1))
    limits = np.block([[with_it, -factor * without], [-factor * with_it, without]])
    gain = np.concatenate([np.eye(k).reshape(-1), -np.ones(k)]) / k
    sums = np.kron(np.eye(k + 1), np.ones(k))
    found = linprog(-gain, A_ub=limits, b_ub=np.zeros(2 * k * k), A_eq=sums, b_eq=np.ones(k + 1))
    if not found.success:
        raise RuntimeError(f"the linear programme failed: {found.message}")
    return float(-found.fun)


@njit(cache=True)
def _plurality(draws, labels, left_out, classes):
    votes = np.zeros(classes, np.int64)
    for i in range(draws.size):
        if i != left_out:
            votes[labels[draws[i]]] += 1
    return np.argmax(votes)


@njit(cache=True)
def _enumerate_learner(frequencies, n, classes, fit, fit_rare):
    items = frequencies.size
    error, misfits, memorization = 0.0, 0.0, 0.0
    draws, labels = np.zeros(n, np.int64), np.zeros(items, np.int64)
    for s in range(items**n):
        rest = s
        probability = 1.0
        counts = np.zeros(items, np.int64)
        for i in range(n):
            draws[i] = rest % items
            rest //= items
            counts[draws[i]] += 1
            probability *= frequencies[draws[i]]
        for y in range(classes**items):
            rest = y
            for x in range(items):
                labels[x] = rest % classes
                rest //= classes
            weight = probability / classes**items
            guess = _plurality(draws, labels, -1, classes)
            for x in range(items):
                if counts[x] == 0 and labels[x] != guess:
                    error += weight * frequencies[x]
            for i in range(n):
                x = draws[i]
                if counts[x] == 1:
                    without = _plurality(draws, labels, i, classes)
                    right = fit[0] if labels[x] == without else fit_rare
                    misfits += weight * (1 - right)
                    memorization += weight * (right - (1.0 if labels[x] == without else 0.0))
                    error += weight * frequencies[x] * (1 - right)
                else:
                    # once for every draw of the item
                    error += weight * frequencies[x] * (1 - fit[counts[x] - 1]) / counts[x]
    return error, misfits, memorization


def _draw(key: Array, frequencies: Array, misfit: Array, n: int, num_labels: int) -> DrawnErrors:
    items = frequencies.size
    sample, labels, guesses, slips, shifts = jax.random.split(key, 5)
    edges = jnp.cumsum(frequencies)
    drawn = jnp.searchsorted(edges, jax.random.uniform(sample, (n,)) * edges[-1])
    counts = jnp.zeros(items, int).at[drawn].add(1)
    truth = jax.random.randint(labels, (items,), 0, num_labels)
    guess = jax.random.randint(guesses, (items,), 0, num_labels)
    chance = jnp.concatenate([jnp.zeros(1), misfit, jnp.zeros(1)])[jnp.minimum(counts, misfit.size + 1)]
    wrong = (truth + jax.random.randint(shifts, (items,), 1, num_labels)) % num_labels
    learned = jnp.where(jax.random.uniform(slips, (items,)) < chance, wrong, truth)

    def error(seen: Array) -> Array:
        return jnp.sum(frequencies * (jnp.where(counts == 0, guess, seen) != truth))

    once = counts == 1
    return DrawnErrors(error(learned), error(truth), once.sum().astype(float), jnp.sum(frequencies * once))
