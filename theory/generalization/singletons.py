r"""How frequent an item is that a sample holds once, or any number of times: posterior means, and bounds on them.

N items have random, exchangeable frequencies; :math:`\alpha` stands for the frequency of one item, and :math:`S_\ell`
for the items that a sample of n draws holds exactly :math:`\ell` times. Under the fixed-multiset prior the listed
frequencies, which sum to 1, are assigned to the items by a random permutation. What a singleton's frequency
:math:`\tau_1` costs a learner is in `theory.generalization.long_tail`. After Feldman (2020), arXiv:1906.05271.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, xlog1py, xlogy

from theory import validation
from theory.generalization._occurrences import chance_seen, checked_counts, checked_frequencies


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
    alpha = checked_frequencies(frequencies, normalised=False)
    size, count = checked_counts(n, ell)
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
    size, count = checked_counts(n, ell)
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
    >>> round(expected_count([0.5, 0.5], 2, 1), 12)
    1.0
    """
    size, count = checked_counts(n, ell)
    return float(chance_seen(checked_frequencies(frequencies), size, count).sum())


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
    alpha = checked_frequencies(frequencies)
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
    alpha = checked_frequencies(frequencies)
    size, _ = checked_counts(n, 0)
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
