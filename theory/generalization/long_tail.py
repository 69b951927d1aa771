r"""The long tail: what it costs not to fit items that a sample holds only once.

N items carry random labels that say nothing about one another. Their frequencies D(x) are random and exchangeable;
:math:`\alpha` stands for the frequency of one item, and :math:`S_\ell` for the items that a sample of n draws holds
exactly :math:`\ell` times. Under the fixed-multiset prior the listed frequencies, which sum to 1, are assigned to the
items by a random permutation.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import exp1, logsumexp, xlog1py, xlogy

from theory import validation

Array = NDArray[np.float64]

_SUM_TOLERANCE = 1e-9


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


def posterior_frequency(frequencies: ArrayLike, n: int, ell: int = 1, *, weights: ArrayLike | None = None) -> float:
    r"""Mean frequency of an item that n draws have shown :math:`\ell` times.

    .. math:: \tau_\ell = \frac{E[\alpha^{\ell+1} (1-\alpha)^{n-\ell}]}{E[\alpha^\ell (1-\alpha)^{n-\ell}]}

    The mean is over samples with :math:`c_x = \ell`, whatever the other counts are. Given the other counts too, it is
    the same number only for Dirichlet frequencies. Of order 1/n for long tails. Evaluated in logs, O(N).

    Parameters
    ----------
    frequencies : array_like, shape (M,)
        Values of :math:`\alpha` in [0, 1].
    n : int
        Size of the sample, at least 1.
    ell : int
        Occurrences, 0 to n.
    weights : array_like, shape (M,), optional
        Probabilities of the listed values, up to a common factor; equal when left out.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If an argument is out of range, or no listed frequency can occur ``ell`` times.

    References
    ----------
    Feldman (2020), arXiv:1906.05271, coefficients of the main theorem.

    Examples
    --------
    >>> round(posterior_frequency([0.6, 0.3, 0.1], 3), 6)
    0.338889
    """
    alpha = _frequencies(frequencies, normalised=False)
    size, count = _sample(n, ell)
    log_weight = np.zeros(alpha.size)
    if weights is not None:
        given = validation.nonnegative("weights", weights, ndim=1)
        log_weight = xlogy(1.0, validation.same_shape("weights", given, "frequencies", alpha))
    likelihood = log_weight + xlogy(count, alpha) + xlog1py(size - count, -alpha)
    if np.all(np.isneginf(likelihood)):
        raise ValueError(f"frequencies must let an item occur {count} times in {size} draws; none does")
    return float(np.exp(logsumexp(likelihood + xlogy(1.0, alpha)) - logsumexp(likelihood)))


def posterior_frequency_beta(n: int, ell: int, *, a: float, b: float) -> float:
    r"""Mean frequency after :math:`\ell` of n draws, :math:`(\ell + a)/(n + a + b)`, when :math:`\alpha` is Beta(a, b).

    Symmetric Dirichlet frequencies of N items, with concentration a, have b = (N - 1) a. For them, and for them alone,
    it is the posterior mean given the whole sample.

    Parameters
    ----------
    n, ell : int
        Size of the sample, at least 1, and occurrences, 0 to n.
    a, b : float
        Parameters > 0.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> posterior_frequency_beta(8, 1, a=1.0, b=1.0)
    0.2
    """
    size, count = _sample(n, ell)
    first, second = validation.positive_scalar("a", a), validation.positive_scalar("b", b)
    return (count + first) / (size + first + second)


def expected_count(frequencies: ArrayLike, n: int, ell: int) -> float:
    r"""Mean number of items that n draws show exactly :math:`\ell` times.

    .. math:: E|S_\ell| = \binom{n}{\ell} \sum_j \alpha_j^\ell (1-\alpha_j)^{n-\ell}

    Parameters
    ----------
    frequencies : array_like, shape (N,)
        Nonnegative, summing to 1.
    n, ell : int
        Size of the sample, at least 1, and occurrences, 0 to n.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> expected_count([0.5, 0.5], 2, 1)
    1.0
    """
    size, count = _sample(n, ell)
    return float(_binomial(_frequencies(frequencies), size, count).sum())


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
    alpha, chance = _frequencies(frequencies), _chance(num_labels)
    size, _ = _sample(n, 0)
    return float((1 - chance) * (alpha * _binomial(alpha, size, 0)).sum())


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
    alpha = _frequencies(frequencies)
    q = validation.interval("misfit", validation.finite("misfit", misfit, ndim=1), 0, 1)
    size, _ = _sample(n, q.size)
    return float(sum(q_l * (alpha * _binomial(alpha, size, ell)).sum() for ell, q_l in enumerate(q, 1)))


def tail_weight(frequencies: ArrayLike, low: float, high: float) -> float:
    r"""Total frequency of the items with frequency in [low, high].

    Parameters
    ----------
    frequencies : array_like, shape (N,)
        Nonnegative, summing to 1.
    low, high : float
        Closed interval, low <= high.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    alpha = _frequencies(frequencies)
    first, last = validation.scalar("low", low), validation.scalar("high", high)
    if first > last:
        raise ValueError(f"low must be at most high; got {first:g} and {last:g}")
    return float(alpha[(alpha >= first) & (alpha <= last)].sum())


def tau_lower_bound(frequencies: ArrayLike, n: int) -> float:
    r"""Lower bound :math:`\tau_1 \ge w / (5n)`, with w the total frequency of items in [1/(3n), 2/n].

    There :math:`n \alpha (1-\alpha)^{n-1} \ge 2/9`, while the denominator of :math:`\tau_1` is at most
    :math:`E[\alpha]`. False for n = 2, where a single item has :math:`\tau_1 = 0`.

    Parameters
    ----------
    frequencies : array_like, shape (N,)
        Nonnegative, summing to 1.
    n : int
        Size of the sample, at least 3.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Feldman (2020), arXiv:1906.05271, where the frequencies that matter are of order 1/n; constants derived here.
    """
    size = validation.integer("n", n, minimum=3)
    # ends may be given to rounding
    low, high = 1 / (3 * size) * (1 - 1e-12), 2 / size * (1 + 1e-12)
    return tail_weight(frequencies, low, high) / (5 * size)


def tau_short_tail_bound(frequencies: ArrayLike, n: int, *, theta: float, t: float) -> float:
    r"""Upper bound on :math:`\tau_1` when no item has a frequency in (theta, t / n).

    With :math:`\beta` the total frequency of items up to :math:`\theta`,

    .. math:: \tau_1 \le \theta + \frac{1-\beta}{\beta} \, \frac{(t/n) (1-t/n)^{n-1}}{(1-\theta)^{n-1}} .

    A singleton then comes from the head so rarely that its frequency is that of the tail: nothing is gained by fitting
    it. Approached as :math:`(1-\beta)(1-t/n)^{n-1}` falls.

    Parameters
    ----------
    frequencies : array_like, shape (N,)
        Nonnegative, summing to 1, with some up to theta and none in (theta, t / n).
    n : int
        Size of the sample, at least 1.
    theta : float
        Largest frequency of the tail, in (0, 1 / (2n)].
    t : float
        Least frequency of the head, times n, in [1, n].

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range, an item lies in the gap, or none in the tail.
    """
    alpha = _frequencies(frequencies)
    size, _ = _sample(n, 0)
    most = 0.5 / size * (1 + 1e-12)  # a frequency computed as beta / items may exceed half of 1 / n by rounding
    edge = float(validation.interval("theta", validation.positive("theta", theta, ndim=0), 0, most))
    head = float(validation.interval("t", validation.finite("t", t, ndim=0), 1, size)) / size
    if np.any((alpha > edge) & (alpha < head * (1 - 1e-12))):
        raise ValueError(f"frequencies must leave ({edge:g}, {head:g}) empty")
    beta = float(alpha[alpha <= edge].sum())
    if beta == 0:
        raise ValueError(f"frequencies must hold an item of at most theta = {edge:g}; none does")
    odds = float(alpha[alpha > edge].sum()) / beta
    return float(edge + odds * head * np.exp(xlog1py(size - 1, -head) - xlog1py(size - 1, -edge)))


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
    size, _ = _sample(n, 0)
    harmonic = float(np.sum(1 / np.arange(count, 0.0, -1.0)))
    rare, common = size / (count * harmonic), size / harmonic
    return ZipfSingletons(
        cost=float(-np.exp(-rare) * np.expm1(rare - common) / harmonic),
        singleton_fraction=float((exp1(rare) - exp1(common)) / harmonic),
    )


def _binomial(alpha: Array, n: int, ell: int) -> Array:
    # a logarithm of the coefficient would lose digits as n grows
    return np.asarray(stats.binom.pmf(ell, n, alpha), dtype=float)


def _frequencies(frequencies: ArrayLike, *, normalised: bool = True) -> Array:
    alpha = validation.interval("frequencies", validation.finite("frequencies", frequencies, ndim=1), 0, 1)
    if alpha.size == 0:
        raise ValueError("frequencies must list at least one item; got none")
    if normalised and abs(alpha.sum() - 1) > _SUM_TOLERANCE:
        raise ValueError(f"frequencies must sum to 1; got {alpha.sum():.12g}")
    return alpha


def _sample(n: int, ell: int) -> tuple[int, int]:
    size, count = validation.integer("n", n, minimum=1), validation.integer("ell", ell, minimum=0)
    if count > size:
        raise ValueError(f"ell, how often an item is seen, must be at most n = {size}; got {count}")
    return size, count


def _chance(num_labels: int) -> float:
    return 1 / validation.integer("num_labels", num_labels, minimum=2)
