"""Samples with a long tail: drawn, or all of them enumerated; learners that fit them or do not."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import roots_jacobi

from simulations import validation
from simulations.generalization.adversary import hardest_instances
from simulations.replicates import over_replicates

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_LARGEST = 2**62
_SEQUENCES = 2**22
_SEARCH_BITS = 10  # searches are over samples of fewer than 2^10 draws


class AllSamples(NamedTuple):
    """All sequences of n items, weighed by every prior assignment of frequencies, in exact integers.

    With A assignments and the common denominator q, a sequence has probability ``likelihood / (A q^n)``, and the mean
    of D(x) on it, times that probability, is ``weighted / (A q^(n+1))``.
    """

    counts: Integers
    likelihood: Integers
    weighted: Integers
    assignments: int
    denominator: int


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


def permuted(parts: Sequence[int]) -> Integers:
    """All assignments, (N!, N), of N integer frequencies to N items: the fixed-multiset prior."""
    return np.array(list(itertools.permutations(parts)), dtype=np.int64)


def normalised_draws(values: Sequence[int], num_items: int) -> Integers:
    """All assignments, (V^N, N), of independent integer values divided by their sum, over a common denominator."""
    found = [tuple(p) for p in itertools.product(values, repeat=num_items)]
    common = math.lcm(*{sum(p) for p in found})
    return np.array([[v * (common // sum(p)) for v in p] for p in found], dtype=np.int64)


def enumerate_samples(assignments: Integers, *, n: int) -> AllSamples:
    """Enumerate all N^n samples under a prior that draws each of the ``assignments`` equally often.

    Costs O(A N^n n) integer operations and O(N^(n+1)) memory: N = 4, n = 5 (24 assignments) takes a millisecond,
    N = 5, n = 7 (120) a few tenths of a second.

    Parameters
    ----------
    assignments : integer array, shape (A, N)
        Numerators of the frequencies, every row with the same sum q.
    n : int
        Size of the samples, at least 1.

    Returns
    -------
    AllSamples

    Raises
    ------
    ValueError
        If rows have different sums, a numerator is not positive, or the integers or the memory would overflow.
    """
    rows = np.asarray(assignments)
    size = validation.integer("n", n, minimum=1)
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.integer) or np.any(rows < 1):
        raise ValueError(f"assignments must be a matrix of positive integers; got {rows.dtype} of shape {rows.shape}")
    sums = rows.sum(axis=1)
    if np.any(sums != sums[0]):
        raise ValueError(f"assignments must have rows of one sum; got {np.unique(sums)}")
    denominator, (count, items) = int(sums[0]), rows.shape
    if count * denominator ** (size + 1) > _LARGEST or items**size > _SEQUENCES:
        raise ValueError(
            f"n must leave {count} * {denominator}^(n+1) below 2^62 and {items}^n below 2^22 sequences; got {size}"
        )
    counts, likelihood, weighted = _enumerate(rows.astype(np.int64), size)
    return AllSamples(counts, likelihood, weighted, count, denominator)


def occurrence_means(samples: AllSamples) -> tuple[Floats, Floats]:
    """Mean number, and mean total frequency, of the items that occur exactly 0, ..., n times; both (n + 1,)."""
    n = int(samples.counts[0].sum())
    whole = samples.assignments * samples.denominator**n
    number, mass = [], []
    for ell in range(n + 1):
        hit = samples.counts == ell
        number.append(Fraction(int((hit * samples.likelihood[:, None]).sum()), whole))
        mass.append(Fraction(int(samples.weighted[hit].sum()), whole * samples.denominator))
    return np.array(number, dtype=float), np.array(mass, dtype=float)


def posterior_means(samples: AllSamples) -> tuple[Integers, Floats]:
    """Occurrences (C, N) of every sample up to order, and the mean frequencies (C, N) of the items given the sample."""
    _, first = np.unique(samples.counts, axis=0, return_index=True)
    posterior = samples.weighted[first] / (samples.likelihood[first, None] * float(samples.denominator))
    return samples.counts[first], posterior


def dirichlet_posterior_means(counts: Integers, concentration: float) -> Floats:
    """Mean frequencies, (C, N), given occurrences (C, N), under a symmetric Dirichlet prior, by Gauss-Jacobi rules.

    Broken sticks D_1 = u_1, D_2 = (1 - u_1) u_2, ... make the prior a product of beta distributions, and the rules are
    exact for the polynomials that appear. Costs O(C N g^(N-1)), with g half the size of the sample.
    """
    occurred = np.asarray(counts)
    a, items = float(validation.positive("concentration", concentration, ndim=0)), occurred.shape[1]
    nodes = int(occurred.sum(axis=1).max()) // 2 + 2
    frequencies: list[Floats] = []
    weight, left = np.ones(()), np.ones(())
    for stick in range(items - 1):
        x, w = roots_jacobi(nodes, (items - 1 - stick) * a - 1, a - 1)
        u = (1 + x) / 2
        frequencies = [f[..., None] * np.ones_like(u) for f in frequencies] + [left[..., None] * u]
        weight, left = weight[..., None] * w, left[..., None] * (1 - u)
    grid = np.stack([*frequencies, left]).reshape(items, -1)
    likelihood = weight.reshape(-1) * np.prod(grid[None] ** occurred[:, :, None], axis=1)
    return np.asarray(likelihood @ grid.T / likelihood.sum(axis=1, keepdims=True), dtype=float)


def occurrence_law(frequencies: ArrayLike, *, n: int, most: int) -> Array:
    """Probabilities, (most + 1, ...), that items of the given frequencies occur 0, ..., most times in n draws.

    A sample is halved until single draws are left, and the counts of the halves are added: O(most^2 log n) operations
    an item. Relative errors are about n roundings.
    """
    size, last = validation.integer("n", n, minimum=1), validation.integer("most", most, minimum=1)
    return _law(validation.nonnegative("frequencies", frequencies), size, bits=size.bit_length(), most=last)


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


def hardest_long_tails(key: Array, *, n: int, num_items: int, chains: int, n_steps: int) -> Array:
    """Search for lists of frequencies, (chains, N), whose singletons are rare for their weight in [1/(3n), 2/n].

    Minimised is the mean frequency of a singleton over that weight; lists without weight there lose. A chain and step
    costs O(N log n).
    """
    size, items = _search_size(n), validation.integer("num_items", num_items, minimum=1)
    many = validation.integer("chains", chains, minimum=1)
    start, climb, spread = jax.random.split(key, 3)
    spreads = jax.random.uniform(spread, (many, 1), minval=0.0, maxval=3.0)
    starts = spreads * jax.random.normal(start, (many, items))
    found = hardest_instances(climb, _rare_singletons, starts, jnp.asarray(size), n_steps=n_steps)
    return jax.nn.softmax(found.instances, axis=1)


def hardest_short_tails(
    key: Array, *, n: int, theta: float, t: float, beta: float, tail: int, head: int, chains: int, n_steps: int
) -> Array:
    """Search for lists, (chains, tail + head), with the largest mean frequency of a singleton.

    Each holds ``tail`` frequencies up to ``theta`` that sum to ``beta``, and ``head`` ones from ``t / n`` on.
    """
    size, many = _search_size(n), validation.integer("chains", chains, minimum=1)
    if not (beta <= tail * theta and head * t / size <= 1 - beta):
        raise ValueError(f"theta and t must leave room for tail and head; got {theta:g} and {t:g}")
    start, climb = jax.random.split(key)
    starts = 0.01 * jax.random.normal(start, (many, tail + head))
    limits = (theta, t / size, beta, size, jnp.arange(tail + head) < tail)
    found = hardest_instances(climb, _common_singletons, starts, *map(jnp.asarray, limits), n_steps=n_steps, step=0.1)
    if not np.isfinite(found.value).all():
        raise ValueError(f"theta and t must leave some room to start a search; got {theta:g} and {t:g}")
    return jax.vmap(_two_parts, (0, None, None))(found.instances, jnp.asarray(beta), limits[-1])


def singleton_frequency(frequencies: ArrayLike, *, n: int) -> Array:
    """Mean total frequency of singletons over their mean number, (...), for lists of frequencies (..., N)."""
    alpha = validation.nonnegative("frequencies", frequencies)
    return _singletons(alpha, occurrence_law(alpha, n=n, most=1)[1])


def _search_size(n: int) -> int:
    size = validation.integer("n", n, minimum=2)
    if size >= 2**_SEARCH_BITS:
        raise ValueError(f"n must be below {2**_SEARCH_BITS} in a search; got {size}")
    return size


def _singletons(alpha: Array, once: Array) -> Array:
    return jnp.sum(alpha * once, axis=-1) / jnp.sum(once, axis=-1)


def _rare_singletons(point: Array, n: Array) -> Array:
    alpha = jax.nn.softmax(point)
    weight = jnp.sum(alpha * ((alpha >= 1 / (3 * n)) & (alpha <= 2 / n)))
    found = _singletons(alpha, _law(alpha, n, bits=_SEARCH_BITS, most=1)[1])
    return jnp.where(weight > 0, -found / weight, -jnp.inf)


def _common_singletons(point: Array, theta: Array, least: Array, beta: Array, n: Array, tail: Array) -> Array:
    alpha = _two_parts(point, beta, tail)
    fits = jnp.all(jnp.where(tail, alpha <= theta, alpha >= least))
    return jnp.where(fits, _singletons(alpha, _law(alpha, n, bits=_SEARCH_BITS, most=1)[1]), -jnp.inf)


def _two_parts(point: Array, beta: Array, tail: Array) -> Array:
    light, heavy = (jax.nn.softmax(jnp.where(part, point, -jnp.inf)) for part in (tail, ~tail))
    return beta * light + (1 - beta) * heavy


@njit(cache=True)
def _enumerate(rows, n):
    assignments, items = rows.shape
    total = items**n
    counts = np.zeros((total, items), np.int64)
    likelihood = np.zeros(total, np.int64)
    weighted = np.zeros((total, items), np.int64)
    for s in range(total):
        rest = s
        for _ in range(n):
            counts[s, rest % items] += 1
            rest //= items
        for a in range(assignments):
            product = 1
            rest = s
            for _ in range(n):
                product *= rows[a, rest % items]
                rest //= items
            likelihood[s] += product
            for x in range(items):
                weighted[s, x] += product * rows[a, x]
    return counts, likelihood, weighted


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


@partial(jax.jit, static_argnames=("bits", "most"))
def _law(frequencies: Array, n: Array | int, *, bits: int, most: int) -> Array:
    def add(a: Array, b: Array) -> Array:
        return jnp.stack([sum(a[i] * b[c - i] for i in range(c + 1)) for c in range(most + 1)])

    none = jnp.zeros((most + 1, *frequencies.shape)).at[0].set(1.0)
    single = none.at[0].set(1 - frequencies).at[1].set(frequencies)

    def double(law: Array, bit: Array) -> tuple[Array, None]:
        law = add(law, law)
        return jnp.where((n >> bit) & 1, add(law, single), law), None

    return jax.lax.scan(double, none, jnp.arange(bits)[::-1])[0]


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
