"""Estimators of the population error against adversaries: games solved as linear programmes, played, and enumerated."""

import itertools
from fractions import Fraction
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array

from simulations import validation
from simulations.replicates import over_replicates

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_ENTRIES = 2**22
_FOUR = ((0, 0, 0, 0), (0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2))


class Field(NamedTuple):
    """A finite field with elements 0, ..., q - 1, by its tables of addition and multiplication, both (q, q)."""

    plus: Integers
    times: Integers


class EstimationGame(NamedTuple):
    """Optimal mixtures over ``errors`` j/d, (d + 1,), and over ``estimates`` i/(2d), (2d + 1,)."""

    errors: Floats
    estimates: Floats


class LearningGame(NamedTuple):
    """On samples, (R, K): least ``failure`` of an estimator, and ``accuracy`` of the learner in the subspace."""

    failure: Floats
    accuracy: Floats


def finite_field(q: int) -> Field:
    """Return the field of q elements, for q prime or 4 (addition modulo 2, bit by bit)."""
    size = validation.integer("q", q, minimum=2)
    numbers = np.arange(size)
    if size == 4:
        return Field(numbers[:, None] ^ numbers, np.array(_FOUR))
    if any(size % p == 0 for p in range(2, size)):
        raise ValueError(f"q must be prime or 4; got {size}")
    return Field((numbers[:, None] + numbers) % size, numbers[:, None] * numbers % size)


def count_distinct(domain_size: int, n: int) -> Floats:
    """Frequency of each number of distinct points, (d + 1,), among all d^n sequences of n points."""
    size, draws = _room(validation.integer("domain_size", domain_size, minimum=1), n)
    sequences = np.indices((size,) * draws).reshape(draws, -1)
    hit = np.zeros((size, sequences.shape[1]), bool)
    for row in sequences:
        hit[row, np.arange(row.size)] = True
    return np.bincount(hit.sum(axis=0), minlength=size + 1) / sequences.shape[1]


def count_ranks(rows: int, cols: int, *, q: int) -> Floats:
    """Frequency of each rank among all q^(rows cols) matrices over the field of q elements, by elimination."""
    n, k = validation.integer("rows", rows, minimum=1), validation.integer("cols", cols, minimum=1)
    field = finite_field(q)
    _room(q, n * k)
    return _count_ranks(n, k, field.plus, field.times) / q ** (n * k)


def solve_estimation_game(domain_size: int, n: int, eps: Fraction) -> float:
    """Value of the whole game on a domain of d points: the failure that no estimator can avoid.

    The adversary mixes over all 2^d labelling functions and, for each and each of the d^n samples, over all consistent
    hypotheses; the estimator mixes over estimates for each labelled sample and hypothesis. Estimates at multiples of
    1/(2d) suffice, since any set of errors that an estimate serves is served from the middle of its extremes. Solved as
    a linear programme with about 4^d d^n variables: d = 4 and n = 2 takes a fraction of a second.

    Parameters
    ----------
    domain_size, n : int
        d and n, at least 1.
    eps : Fraction
        Success is an estimate within less than ``eps`` > 0 of the error.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``eps`` is not positive, or the programme has more than 2^22 coefficients.
    RuntimeError
        If the programme cannot be solved.
    """
    size, draws = _room(validation.integer("domain_size", domain_size, minimum=1), n)
    failing = _failures(size, eps)
    seen = np.array([sum(1 << x for x in set(sample)) for sample in itertools.product(range(size), repeat=draws)])
    functions = 2**size
    # one variable a pair of a function and a hypothesis that agrees with it on the sample
    coefficients = functions * int(np.sum(functions >> np.bitwise_count(seen))) * (2 * size + 1)
    if coefficients > _ENTRIES:
        raise ValueError(f"n must leave at most 2^22 coefficients; got {coefficients} for n = {draws}")
    grid = np.arange(functions)
    sample, f, h = np.nonzero(((grid[:, None] ^ grid) & seen[:, None, None]) == 0)
    # the estimator sees the sample, its labels, and the hypothesis, which agrees with them
    cells = sample * functions + h
    errors = np.bitwise_count(f ^ h)
    return _solve_whole(cells, errors, sample * functions + f, f, failing, len(seen))


def solve_error_game(domain_size: int, unseen: int, eps: Fraction) -> EstimationGame:
    """Optimal play when all that is secret is how many of the ``unseen`` answers are wrong."""
    size = validation.integer("domain_size", domain_size, minimum=1)
    free = validation.integer("unseen", unseen, minimum=0)
    failing = _failures(size, eps)[:, : free + 1].astype(float)
    errors = np.zeros(size + 1)
    errors[: free + 1] = _mixture(failing)
    return EstimationGame(errors, _mixture(1 - failing.T))


def play_estimation_game(keys: Array, *, domain_size: int, n: int, eps: Fraction) -> Floats:
    """Play optimally on drawn samples, (R,): 1 where the estimate misses the error by ``eps`` or more, else 0.

    A function and a sample are drawn, the adversary flips as many unseen answers as its mixture says, and the estimator
    draws from its own, knowing how many points are unseen.
    """
    size, draws = validation.integer("domain_size", domain_size, minimum=1), validation.integer("n", n, minimum=1)
    games = {u: solve_error_game(size, u, eps) for u in range(max(size - draws, 0), size)}
    errors, estimates = np.zeros((size + 1, size + 1)), np.zeros((size + 1, 2 * size + 1))
    for u, game in games.items():
        errors[u], estimates[u] = np.cumsum(game.errors), np.cumsum(game.estimates)
    tables = (jnp.asarray(errors), jnp.asarray(estimates), jnp.asarray(_failures(size, eps)))
    return over_replicates(_play, keys, *tables, draws).astype(float)


def every_sample(d: int, n: int, *, q: int) -> Integers:
    """All data matrices, (q^(n d), d): column i as the integer with digits x_(1,i), ..., x_(n,i)."""
    _room(q, n * d)
    return np.indices((q**n,) * d).reshape(d, -1).T.astype(np.int64)


def learning_game(columns: Integers, dimensions: Integers, *, n: int, q: int, biased: bool = True) -> LearningGame:
    """Try an estimator of the error of a known learner of linear functions, by listing all functions for each sample.

    The learner chooses uniformly among the consistent functions in V, spanned by the first k coordinates, if there are
    any, and among all consistent functions else, or always when not ``biased``. Nature draws from V and from outside
    with probability 1/2 each. The estimator guesses, for each sample, labels and hypothesis, whether the hypothesis is
    the truth. Costs O(R K q^d).

    Parameters
    ----------
    columns : integer array, shape (R, d)
        Data matrices, as from `every_sample`.
    dimensions : integer array, shape (K,)
        Dimensions k of V, 0 to d - 1.
    n, q : int
        Points in a sample, and size of the field (prime or 4).
    biased : bool
        Whether the learner prefers V.

    Returns
    -------
    LearningGame

    Raises
    ------
    ValueError
        If a column is not below q^n, a dimension is out of range, or q^d exceeds 2^22.
    """
    field = finite_field(q)
    draws = validation.integer("n", n, minimum=1)
    codes, spans = np.asarray(columns, dtype=np.int64), np.asarray(dimensions, dtype=np.int64)
    if codes.ndim != 2 or np.any((codes < 0) | (codes >= q**draws)):
        raise ValueError(f"columns must be a matrix of integers below {q}^{draws}; got shape {codes.shape}")
    if spans.ndim != 1 or np.any((spans < 0) | (spans >= codes.shape[1])):
        raise ValueError(f"dimensions must lie between 0 and {codes.shape[1] - 1}; got {spans.tolist()}")
    _room(q, codes.shape[1])
    _room(q, 2 * draws)
    plus, multiple = _vectors(field, draws)
    return LearningGame(*_learn(codes, spans, plus, multiple, biased))


def _room(base: int, power: int) -> tuple[int, int]:
    exponent = validation.integer("n", power, minimum=1)
    if base**exponent > _ENTRIES:
        raise ValueError(f"n must leave {base}^{exponent} below 2^22")
    return base, exponent


def _failures(size: int, eps: Fraction) -> NDArray[np.bool_]:
    """Table, (2d + 1, d + 1), of the estimates i/(2d) that miss the errors j/d."""
    accuracy = Fraction(eps)
    if accuracy <= 0:
        raise ValueError(f"eps must be positive; got {eps}")
    return np.array([[abs(i - 2 * j) >= 2 * size * accuracy for j in range(size + 1)] for i in range(2 * size + 1)])


def _mixture(payoff: Floats) -> Floats:
    """Mixture of columns with the largest least payoff over rows."""
    rows, columns = payoff.shape
    found = linprog(
        np.append(np.zeros(columns), -1.0),
        A_ub=np.column_stack([-payoff, np.ones(rows)]),
        b_ub=np.zeros(rows),
        A_eq=np.append(np.ones(columns), 0.0)[None],
        b_eq=[1.0],
    )
    if not found.success:
        raise RuntimeError(f"the linear programme failed: {found.message}")
    chances = np.clip(found.x[:-1], 0, None)
    return chances / chances.sum()


def _solve_whole(
    cells: Integers, errors: Integers, groups: Integers, functions: Integers, failing: NDArray[np.bool_], samples: int
) -> float:
    estimates, (count, domain) = len(failing), (cells.size, failing.shape[1] - 1)
    number, mixed = int(cells.max()) + 1, 2**domain
    # columns: plays, then what each cell is worth, then the mixture of functions
    estimate, play = np.nonzero(failing[:, errors])
    worth = np.repeat(count + np.arange(number), estimates)
    rows = np.concatenate([cells[play] * estimates + estimate, np.arange(number * estimates)])
    columns = np.concatenate([play, worth])
    values = np.concatenate([-np.ones(play.size), np.ones(worth.size)])
    width = count + number + mixed
    limits = coo_array((values, (rows, columns)), shape=(number * estimates, width))
    # for each sample and function the plays add up to the function's share
    pairs = np.arange(samples * mixed)
    own = count + number + pairs % mixed
    equal = coo_array(
        (
            np.concatenate([np.ones(count), np.full(pairs.size, -1 / samples), np.ones(mixed)]),
            (
                np.concatenate([groups, pairs, np.full(mixed, pairs.size)]),
                np.concatenate([np.arange(count), own, count + number + np.arange(mixed)]),
            ),
        ),
        shape=(pairs.size + 1, width),
    )
    gain = np.zeros(width)
    gain[count : count + number] = -1.0
    target = np.append(np.zeros(pairs.size), 1.0)
    found = linprog(gain, A_ub=limits.tocsr(), b_ub=np.zeros(number * estimates), A_eq=equal.tocsr(), b_eq=target)
    if not found.success:
        raise RuntimeError(f"the linear programme failed: {found.message}")
    return float(-found.fun)


def _play(key: Array, errors: Array, estimates: Array, failing: Array, n: int) -> Array:
    size = errors.shape[0] - 1
    label, sample, number, place, guess = jax.random.split(key, 5)
    truth = jax.random.bernoulli(label, 0.5, (size,))
    seen = jnp.zeros(size, bool).at[jax.random.randint(sample, (n,), 0, size)].set(True)
    unseen = size - seen.sum()
    wrong = jnp.searchsorted(errors[unseen], jax.random.uniform(number) * errors[unseen, -1], side="right")
    order = jnp.argsort(jnp.where(seen, 2.0, jax.random.uniform(place, (size,))))
    hypothesis = truth ^ jnp.zeros(size, bool).at[order].set(jnp.arange(size) < wrong)
    told = jnp.searchsorted(estimates[unseen], jax.random.uniform(guess) * estimates[unseen, -1], side="right")
    return failing[told, jnp.sum(hypothesis != truth)]


def _vectors(field: Field, n: int) -> tuple[Integers, Integers]:
    """Tabulate sums, (q^n, q^n), and multiples, (q, q^n), of vectors of n elements, each an integer with n digits."""
    q = len(field.plus)
    digits = np.arange(q**n)[:, None] // q ** np.arange(n) % q
    weights = q ** np.arange(n)
    sums = field.plus[digits[:, None], digits] @ weights
    return sums, field.times[np.arange(q)[:, None, None], digits] @ weights


@njit(cache=True)
def _rank(matrix, plus, times):
    q = plus.shape[0]
    negative, inverse = np.zeros(q, np.int64), np.zeros(q, np.int64)
    for a in range(q):
        for b in range(q):
            if plus[a, b] == 0:
                negative[a] = b
            if times[a, b] == 1:
                inverse[a] = b
    rows, cols = matrix.shape
    rank = 0
    for column in range(cols):
        pivot = -1
        for i in range(rank, rows):
            if matrix[i, column] != 0:
                pivot = i
                break
        if pivot < 0:
            continue
        for j in range(cols):
            matrix[rank, j], matrix[pivot, j] = matrix[pivot, j], matrix[rank, j]
        for i in range(rank + 1, rows):
            factor = negative[times[matrix[i, column], inverse[matrix[rank, column]]]]
            for j in range(cols):
                matrix[i, j] = plus[matrix[i, j], times[factor, matrix[rank, j]]]
        rank += 1
    return rank


@njit(cache=True)
def _count_ranks(rows, cols, plus, times):
    q = plus.shape[0]
    counts = np.zeros(min(rows, cols) + 1, np.int64)
    matrix = np.empty((rows, cols), np.int64)
    for code in range(q ** (rows * cols)):
        rest = code
        for i in range(rows):
            for j in range(cols):
                matrix[i, j] = rest % q
                rest //= q
        counts[_rank(matrix, plus, times)] += 1
    return counts


@njit(cache=True)
def _learn(columns, dimensions, plus, multiple, biased):
    samples, d = columns.shape
    q, vectors = multiple.shape
    functions = q**d
    failure = np.zeros((samples, dimensions.size))
    accuracy = np.zeros((samples, dimensions.size))
    labels = np.zeros(functions, np.int64)
    for s in range(samples):
        known = 1
        for i in range(d):
            for c in range(1, q):
                step = multiple[c, columns[s, i]]
                for w in range(known):
                    labels[c * known + w] = plus[labels[w], step]
            known *= q
        everywhere = np.zeros(vectors)
        for w in range(functions):
            everywhere[labels[w]] += 1
        for number in range(dimensions.size):
            inside = q ** dimensions[number]
            prior, other = 0.5 / inside, 0.5 / (functions - inside)
            within = np.zeros(vectors)
            for w in range(inside):
                within[labels[w]] += 1
            for h in range(functions):
                y = labels[h]
                prefers = biased and within[y] > 0
                chance = 1.0 / (within[y] if prefers else everywhere[y])
                if prefers and h >= inside:
                    chance = 0.0
                right = prior if h < inside else other
                total = within[y] * prior + (everywhere[y] - within[y]) * other
                failure[s, number] += chance * min(right, total - right)
                if h < inside:
                    accuracy[s, number] += chance * 2 * prior
    return failure, accuracy
