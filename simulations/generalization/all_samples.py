"""All samples of a few items, under priors on their frequencies: what they say of the items, in exact integers.

For Feldman (2020), arXiv:1906.05271.
"""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import roots_jacobi

from simulations import validation

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_LARGEST = 2**62
_SEQUENCES = 2**22


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
