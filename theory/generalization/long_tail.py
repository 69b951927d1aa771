r"""The long tail: what it costs not to fit items that a sample holds only once.

N items carry random labels that say nothing about one another. Their frequencies D(x) are random and exchangeable;
:math:`\alpha` stands for the frequency of one item, :math:`S_\ell` for the items that a sample of n draws holds
exactly :math:`\ell` times, and :math:`\tau_\ell` for the mean frequency of such an item, see
`theory.generalization.singletons`. Under the fixed-multiset prior the listed frequencies, which sum to 1, are assigned
to the items by a random permutation. After Feldman (2020), arXiv:1906.05271.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import exp1

from theory import validation
from theory.generalization._occurrences import chance_seen, checked_counts, checked_frequencies

Array = NDArray[np.float64]


class ZipfSingletons(NamedTuple):
    """Limits for singletons under Zipf's law: the ``cost`` of fitting none, and their share of the sample."""

    cost: float
    singleton_fraction: float


def zipf_frequencies(num_items: int, exponent: float = 1.0) -> Array:
    r"""Frequencies :math:`\alpha_j \propto j^{-s}`, in falling order.

    Parameters
    ----------
    num_items : int
        N >= 1.
    exponent : float
        s >= 0; 1 is Zipf's law, 0 the uniform distribution.

    Returns
    -------
    ndarray, shape (N,)
        Sums to 1.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> zipf_frequencies(2)
    array([0.66666667, 0.33333333])
    """
    count = validation.integer("num_items", num_items, minimum=1)
    power = validation.nonnegative("exponent", exponent, ndim=0)
    shares = np.arange(1.0, count + 1) ** -power
    return np.asarray(shares / shares.sum(), dtype=float)


def optimal_error(frequencies: ArrayLike, n: int, *, num_labels: int) -> float:
    r"""Error of a learner that fits its whole sample: :math:`(1 - 1/k) \sum_j \alpha_j (1-\alpha_j)^n`.

    With labels uniform on k classes every guess at an unseen item is as good as any other, so this is the least mean
    error of all learners.

    Parameters
    ----------
    frequencies : array_like, shape (N,)
        Nonnegative, summing to 1.
    n : int
        Size of the sample, at least 1.
    num_labels : int
        k >= 2.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    alpha, chance = checked_frequencies(frequencies), _chance(num_labels)
    size, _ = checked_counts(n, 0)
    return float((1 - chance) * (alpha * chance_seen(alpha, size, 0)).sum())


def excess_error(frequencies: ArrayLike, n: int, misfit: ArrayLike) -> float:
    r"""Error above the optimum, of a learner that mislabels an item seen :math:`\ell` times with probability q_l.

    .. math:: \mathrm{err} - \mathrm{opt} = \sum_\ell q_\ell \tau_\ell E|S_\ell|
              = \sum_\ell q_\ell \binom{n}{\ell} \sum_j \alpha_j^{\ell+1} (1-\alpha_j)^{n-\ell}

    Exact, on average over frequencies, labels and samples, for every exchangeable prior and every number of classes.

    Parameters
    ----------
    frequencies : array_like, shape (N,)
        Nonnegative, summing to 1.
    n : int
        Size of the sample, at least 1.
    misfit : array_like, shape (L,)
        q_1, ..., q_L in [0, 1], with L <= n; items seen more often are fitted.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Feldman (2020), arXiv:1906.05271, main theorem; an inequality there, an equality for uniform labels.
    """
    alpha = checked_frequencies(frequencies)
    q = validation.interval("misfit", validation.finite("misfit", misfit, ndim=1), 0, 1)
    size, _ = checked_counts(n, q.size)
    return float(sum(q_l * (alpha * chance_seen(alpha, size, ell)).sum() for ell, q_l in enumerate(q, 1)))


def memorization_limited_excess(frequencies: ArrayLike, n: int, *, num_labels: int, max_memorization: float) -> float:
    r"""Least error above the optimum when no singleton is memorised by more than m: :math:`(1-1/k-m)\,\tau_1 E|S_1|`.

    Memorisation of an example is how much likelier its label is predicted with it in the sample than without. Attained
    by fitting every singleton with probability 1/k + m and all other items always.

    Parameters
    ----------
    frequencies : array_like, shape (N,)
        Nonnegative, summing to 1.
    n : int
        Size of the sample, at least 1.
    num_labels : int
        k >= 2.
    max_memorization : float
        m in [0, 1 - 1/k].

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Feldman (2020), arXiv:1906.05271, memorisation and the number of errors on singletons.
    """
    chance = _chance(num_labels)
    cap = float(validation.interval("max_memorization", validation.scalar("max_memorization", max_memorization), 0, 1))
    if cap > 1 - chance + 1e-12:
        raise ValueError(f"max_memorization must be at most 1 - 1/num_labels = {1 - chance:g}; got {cap:g}")
    return excess_error(frequencies, n, [max(0.0, 1 - chance - cap)])


def private_memorization_cap(epsilon: float, *, num_labels: int) -> float:
    r"""Largest mean memorisation of a label uniform on k classes by a learner that is :math:`\varepsilon`-private.

    .. math:: m \le \min\{(e^\varepsilon - 1)/k,\; (1 - e^{-\varepsilon})(1 - 1/k)\}

    Without the example its label is fitted with probability 1/k on average; adding it multiplies the probability of a
    fit, and divides that of a misfit, by at most :math:`e^\varepsilon`. Both are attained.

    Parameters
    ----------
    epsilon : float
        Pure differential privacy under adding or removing one example, nonnegative.
    num_labels : int
        k >= 2.

    Returns
    -------
    float
        In [0, 1 - 1/k).

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(private_memorization_cap(np.log(2.0), num_labels=4), 12)
    0.25
    """
    loss = float(validation.nonnegative("epsilon", epsilon, ndim=0))
    chance = _chance(num_labels)
    misfit = -np.expm1(-loss) * (1 - chance)
    # past the crossing, at exp(epsilon) = k - 1, the first term may overflow
    return float(misfit if loss > np.log(num_labels) else min(np.expm1(loss) * chance, misfit))


def zipf_singleton_limit(num_items: int, n: int) -> ZipfSingletons:
    r"""Cost of fitting no singleton, and their share of the sample, for many items under Zipf's law.

    With :math:`\alpha_j = 1/(j H_N)`, and :math:`E_1` the exponential integral,

    .. math:: \tau_1 E|S_1| &\to \bigl[e^{-n/(N H_N)} - e^{-n/H_N}\bigr] / H_N , \\
              E|S_1| / n &\to \bigl[E_1(n/(N H_N)) - E_1(n/H_N)\bigr] / H_N .

    With r = n / (N H_N), what is left out is :math:`e^{-r} r (1/N - r/n) / (2 H_N)` in the cost and
    :math:`e^{-r} (1/N + (1 - r)/n) / (2 H_N)` in the share, up to :math:`O(N^{-2})` and logarithms, for n proportional
    to N. The cost itself falls like 1/H_N only: a long tail stays expensive.

    Parameters
    ----------
    num_items, n : int
        N and n, at least 1.

    Returns
    -------
    ZipfSingletons

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    count = validation.integer("num_items", num_items, minimum=1)
    size, _ = checked_counts(n, 0)
    harmonic = float(np.sum(1 / np.arange(count, 0.0, -1.0)))
    rare, common = size / (count * harmonic), size / harmonic
    return ZipfSingletons(
        cost=float(-np.exp(-rare) * np.expm1(rare - common) / harmonic),
        singleton_fraction=float((exp1(rare) - exp1(common)) / harmonic),
    )


def _chance(num_labels: int) -> float:
    return 1 / validation.integer("num_labels", num_labels, minimum=2)
