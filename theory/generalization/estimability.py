r"""What no bound on the population error can do, in two models that are small enough to be solved.

*All functions.* A learner fits n labelled points, drawn uniformly from a domain of d, and whatever it answers elsewhere
is the adversary's choice, as is the function that labels. An estimator sees the sample and the hypothesis, and fails
when it misses the error of the hypothesis by :math:`\epsilon` or more.

*Linear functions.* The hypotheses are the linear functions on :math:`F_q^d`, and the learner, which is known, prefers
those in a subspace V of dimension k. What it learns well, an estimator cannot certify when k is about n.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory import validation

Array = NDArray[np.float64]

# 2 eps d within this of an integer is that integer
_WHOLE = 1e-9


class LinearBias(NamedTuple):
    """A learner biased to a subspace: least ``failure`` of an estimator of its error, its own ``accuracy`` there."""

    failure: float
    accuracy: float


def occupancy_distribution(domain_size: int, n: int) -> Array:
    r"""Law of the number of distinct points among n uniform draws from d.

    .. math:: P(j) = \binom{d}{j} \frac{j!}{d^n} \left\{ {n \atop j} \right\}

    with Stirling's number of the second kind. Points are added one at a time, :math:`P_{m+1}(j) = \frac{j}{d} P_m(j) +
    \frac{d-j+1}{d} P_m(j-1)`, so that nothing cancels; O(d n).

    Parameters
    ----------
    domain_size : int
        d >= 1.
    n : int
        Draws, at least 0.

    Returns
    -------
    ndarray, shape (d + 1,)
        Probabilities of j = 0, ..., d.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> occupancy_distribution(2, 3)
    array([0.  , 0.25, 0.75])
    """
    size, draws = validation.integer("domain_size", domain_size, minimum=1), validation.integer("n", n, minimum=0)
    seen = np.arange(size + 1) / size
    law = np.zeros(size + 1)
    law[0] = 1.0
    for _ in range(draws):
        fresh = law[:-1] * (1 - seen[:-1])
        law *= seen
        law[1:] += fresh
    return law


def minimax_estimation_failure(domain_size: int, n: int, eps: float) -> float:
    r"""Least probability of failure that an estimator of the error can promise, for functions on a finite domain.

    .. math:: \delta^*(\epsilon) = 1 - \sum_j \frac{P(j)}{K(d - j)}, \qquad
              K(u) = \left\lfloor \frac{u}{\lceil 2 \epsilon d \rceil} \right\rfloor + 1,

    where P is the law of the number of distinct points in the sample. To the estimator the answers of a hypothesis on
    the u points that it has not seen look random, whatever number of them is wrong. An estimate serves
    :math:`\lceil 2 \epsilon d \rceil` adjacent numbers; K windows cover 0, ..., u, and K numbers lie so far apart that
    no window serves two. Neither side can do better than to pick one of the K at random.

    Parameters
    ----------
    domain_size : int
        d >= 1, points under a uniform distribution.
    n : int
        Labelled points that the learner sees, drawn with replacement; at least 0.
    eps : float
        Success is an estimate within less than eps > 0 of the population error.

    Returns
    -------
    float
        Value, in [0, 1), of the game against all labelling functions and all learners that fit their sample. A product
        2 eps d within 1e-9 of an integer counts as that integer.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Exact finite form, derived here, of the impossibility in Gastpar, Nachum, Shafer & Weinberger (2024),
    arXiv:2309.13658.

    Examples
    --------
    >>> minimax_estimation_failure(4, 2, 0.125)
    0.6875
    """
    law = occupancy_distribution(domain_size, n)
    accuracy = validation.positive_scalar("eps", eps)
    unseen = domain_size - np.arange(domain_size + 1)
    # a window wider than the domain serves everything
    window = min(np.ceil(2 * accuracy * domain_size - _WHOLE), domain_size + 1)
    windows = unseen // max(window, 1) + 1
    return float(law @ (1 - 1 / windows))


def rank_distribution(rows: int, cols: int, q: int = 2) -> Array:
    r"""Law of the rank of a matrix with independent uniform entries from the field of q elements.

    .. math:: P(r) = q^{-nk} \prod_{i<r} \frac{(q^n - q^i)(q^k - q^i)}{q^r - q^i}
              = q^{-(n-r)(k-r)} \prod_{i=0}^{r-1} \frac{(1 - q^{i-n})(1 - q^{i-k})}{1 - q^{i-r}}

    Evaluated in the second form, which does not overflow; O(min(n, k)^2).

    Parameters
    ----------
    rows, cols : int
        n and k, at least 0.
    q : int
        Size of the field, a power of a prime.

    Returns
    -------
    ndarray, shape (min(n, k) + 1,)
        Probabilities of ranks 0, ..., min(n, k).

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> rank_distribution(2, 2)
    array([0.0625, 0.5625, 0.375 ])
    """
    n, k = validation.integer("rows", rows, minimum=0), validation.integer("cols", cols, minimum=0)
    field = float(_field_size(q))
    law = np.empty(min(n, k) + 1)
    for r in range(law.size):
        i = np.arange(r)
        factors = _below_one(field, n - i) * _below_one(field, k - i) / _below_one(field, r - i)
        law[r] = field ** float(-(n - r) * (k - r)) * factors.prod()
    return law


def linear_bias_tradeoff(d: int, k: int, n: int, *, q: int = 2) -> LinearBias:
    r"""How well a learner biased to a subspace learns there, and how badly its error is estimated.

    Points are uniform on :math:`F_q^d`, labels are :math:`\langle w, x \rangle`, and V is a subspace of dimension k.
    The learner answers with a uniform choice among the consistent functions in V, or among all of them when V has none.
    Its error is 0 when it hits w, and 1 - 1/q otherwise; w is uniform in V with probability 1/2, else uniform outside.
    The estimator knows all that, sees the sample and the hypothesis, and fails if it misses the error by
    :math:`\epsilon \le (1 - 1/q)/2` or more; how fine :math:`\epsilon` is beyond that does not matter.

    With r the rank of the sample in V and t that of what is left of it modulo V, its least probability of failure is

    .. math:: F = \sum_r P_{n,k}(r) \sum_t P_{n-r,d-k}(t) \left[ \min(m_0, m_1) + \tfrac{1 - p}{2} \min(b, 1-b) \right],

    where :math:`m_0 = a/2` and :math:`m_1 = (1 - a + p)/2` are the probabilities that the hypothesis is in V, and right
    or wrong, with :math:`a = q^{r-k}`, the chance :math:`p = (q^{-t} - q^{k-d})/(1 - q^{k-d})` that a function outside
    V looks like one inside, and :math:`b = q^{r+t-d}`. The accuracy, the probability that a function in V is learned,
    is :math:`\sum_r P_{n,k}(r) q^{r-k}`. Costs O(min(n, k)) laws of ranks.

    Parameters
    ----------
    d : int
        Dimension of the space, at least 1.
    k : int
        Dimension of V, 0 to d - 1.
    n : int
        Labelled points, at least 0.
    q : int
        Size of the field, a power of a prime; 2 for parities.

    Returns
    -------
    LinearBias

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Exact form, derived here, of the example of linear functions in Gastpar, Nachum, Shafer & Weinberger (2024),
    arXiv:2309.13658.

    Examples
    --------
    >>> linear_bias_tradeoff(3, 2, 1)
    LinearBias(failure=0.234375, accuracy=0.4375)
    """
    size, inside = validation.integer("d", d, minimum=1), validation.integer("k", k, minimum=0)
    draws, field = validation.integer("n", n, minimum=0), float(_field_size(q))
    if inside >= size:
        raise ValueError(f"k must be below d = {size}, so that functions outside the subspace exist; got {inside}")
    failure = accuracy = 0.0
    for r, chance in enumerate(rank_distribution(draws, inside, q)):
        hit = field ** (r - inside)
        law = rank_distribution(draws - r, size - inside, q)
        t = np.arange(law.size)
        disguised = (field**-t - field ** (inside - size)) / _below_one(field, size - inside)
        caught = field ** (r + t - size)
        inside_failure = np.minimum(hit, 1 - hit + disguised) / 2
        outside_failure = (1 - disguised) / 2 * np.minimum(caught, 1 - caught)
        failure += chance * float(law @ (inside_failure + outside_failure))
        accuracy += chance * hit
    return LinearBias(float(failure), float(accuracy))


def _below_one(field: float, power: NDArray[np.int_] | int) -> Array:
    """Return 1 - q^-power."""
    return np.asarray(-np.expm1(-np.log(field) * np.asarray(power)), dtype=float)


def _field_size(q: int) -> int:
    size = validation.integer("q", q, minimum=2)
    factor = next((p for p in range(2, int(size**0.5) + 1) if size % p == 0), size)
    rest = size
    while rest % factor == 0:
        rest //= factor
    if rest != 1:
        raise ValueError(f"q must be a power of a prime; got {size}")
    return size
