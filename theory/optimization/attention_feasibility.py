"""When attention weights can select prescribed tokens at all: a construction, and a count."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from theory import validation
from theory.optimization._tokens import check_indices, check_inputs

Array = NDArray[np.float64]


def feasible_attention_weights(tokens: ArrayLike, queries: ArrayLike, optimal: ArrayLike) -> Array:
    r"""One W whose margins are all exactly 1, written down without optimisation.

    With D_i the (T - 1, d) matrix of rows :math:`x_{i,o_i} - x_{it}` and Z the (d, n) matrix of queries,

    .. math:: W = A Z^+, \qquad A = [D_1^+ 1, \dots, D_n^+ 1].

    Exists when every D_i has independent rows and the queries are independent, hence for almost all data once
    d >= max(T - 1, n). Sufficient only: margins of at least 1 can exist for larger n. Costs O(n T^2 d + n^2 d).

    Parameters
    ----------
    tokens : array_like, shape (n, T, d)
    queries : array_like, shape (n, d)
    optimal : array_like of int, shape (n,)

    Returns
    -------
    ndarray, shape (d, d)

    Raises
    ------
    ValueError
        If d < max(T - 1, n), or token differences or queries are linearly dependent.

    References
    ----------
    Tarzanagh, Li, Thrampoulidis, Oymak (2023), arXiv:2308.16898, feasibility of (Att-SVM).
    """
    x, z = check_inputs(tokens, queries)
    o = check_indices("optimal", optimal, x)
    n, T, d = x.shape
    if d < max(T - 1, n):
        raise ValueError(f"tokens must have dimension d >= max(T - 1, n) = {max(T - 1, n)}; got d = {d}")
    others = np.array([np.delete(np.arange(T), t) for t in o])
    differences = x[np.arange(n), o][:, None] - np.take_along_axis(x, others[:, :, None], axis=1)
    if np.linalg.matrix_rank(z) < n:
        raise ValueError("queries must be linearly independent")
    if (np.linalg.matrix_rank(differences) < T - 1).any():
        raise ValueError("tokens must have linearly independent differences from the optimal token of their input")
    targets = np.linalg.pinv(differences).sum(axis=2)
    return targets.T @ np.linalg.pinv(z.T)


def separability_probability(n_samples: int, dimension: int) -> float:
    r"""Probability that some W selects prescribed tokens, for T = 2 symmetric tokens and independent queries.

    .. math:: P = 2^{1-n} \sum_{j < d^2} \binom{n-1}{j}

    Cover's count of linearly separable dichotomies: the n features are in general position in d^2 dimensions, and
    changing the sign of any one (swapping its two tokens) does not change their law. The threshold P = 1/2 is at
    n = 2 d^2. Queries taken from the tokens themselves (self-attention) break the symmetry.

    Parameters
    ----------
    n_samples : int
        n >= 1 inputs.
    dimension : int
        d >= 1 of tokens and queries.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer, or is below 1.

    References
    ----------
    Derived here for the setting of arXiv:2308.16898; the count is Cover (1965), Theorem 1.

    Examples
    --------
    >>> separability_probability(8, 2), separability_probability(4, 2)
    (0.5, 1.0)
    """
    n = validation.integer("n_samples", n_samples, minimum=1)
    d = validation.integer("dimension", dimension, minimum=1)
    return float(binom.cdf(d * d - 1, n - 1, 0.5))
