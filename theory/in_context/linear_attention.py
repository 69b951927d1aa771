r"""What one layer of linear self-attention can make of a prompt: its exact loss, its optimum, and a trap on the way.

A prompt holds n examples :math:`v_i = (x_i, y_i)` with :math:`x_i \sim N(0, \Lambda)`,
:math:`y_i = w \cdot x_i + \epsilon_i`, task :math:`w \sim N(0, V)` and noise variance s2, and a query
:math:`v_q = (x_q, 0)`. The layer attends to the examples only and divides by nothing,

.. math:: \hat y = \mathrm{val}^T \Big( \sum_{i=1}^n v_i v_i^T \Big) KQ \, v_q, \qquad
          \mathrm{val} = (a, c), \qquad KQ_{:, :d} = \begin{pmatrix} P \\ q^T \end{pmatrix},

and its loss is :math:`E (\hat y - y_q)^2`, the noise of the query's label included, without a factor 1/2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular

from theory.in_context._arguments import covariance, noise, semidefinite
from theory.validation import finite, integer, same_shape

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PreconditionedOptimum:
    """The matrix M of the best learner x_q^T M X^T y, shape (d, d), and its risk."""

    matrix: Array
    risk: float


@dataclass(frozen=True)
class RankOneTrap:
    """The loss above the optimum at a stationary point of rank one, and whether it is a local minimum."""

    gap: float
    discriminant: float
    is_local_minimum: bool


def preconditioned_optimum(
    cov_x: ArrayLike, cov_w: ArrayLike, *, n_context: int, noise_var: float = 0.0
) -> PreconditionedOptimum:
    r"""Best preconditioner of one gradient step in context, which is also what the best attention layer computes.

    Among all learners :math:`\hat y = x_q^T M X^T y`,

    .. math:: M^* = E[w v^T] \, E[v v^T]^{-1} = V \Lambda \, [(n + 1) V \Lambda + (\mathrm{tr} V \Lambda + s_2) I]^{-1}
              \Lambda^{-1}, \qquad v = X^T y,

    and the risk at a query from :math:`N(0, \Lambda)` is
    :math:`s_2 + \mathrm{tr} \Lambda V - n \, \mathrm{tr} \Lambda M^* \Lambda V`. The matrix does not depend on the
    covariance of the query. :math:`V = \Lambda^{-1}` gives :math:`M^* = \Lambda^{-1} / (n + d + 1 + s_2)`, and
    :math:`V = I` gives :math:`[(n + 1) \Lambda + (\mathrm{tr} \Lambda + s_2) I]^{-1}`. Evaluated in the eigenbasis of
    :math:`L^T V L`, :math:`\Lambda = L L^T`, where nothing cancels. Costs O(d^3).

    Parameters
    ----------
    cov_x : array_like, shape (d, d)
        Covariance Lambda of the inputs, positive definite.
    cov_w : array_like, shape (d, d)
        Covariance V of the tasks, positive semidefinite and not zero.
    n_context : int
        Number n >= 1 of examples.
    noise_var : float
        Variance s2 >= 0 of the label noise.

    Returns
    -------
    PreconditionedOptimum
        ``matrix`` M* (symmetric), in the sum convention, and ``risk``, with the noise of the query's label.

    Raises
    ------
    ValueError
        If a matrix is not a covariance or their shapes differ, ``n_context`` is below 1, or ``noise_var`` negative.

    References
    ----------
    Mahankali, Hashimoto, Ma (2023), arXiv:2307.03576, for V = I and V = Lambda^-1; the general form is derived here.

    Examples
    --------
    >>> optimum = preconditioned_optimum([[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 0.5]], n_context=7)
    >>> optimum.matrix.round(12).tolist(), round(optimum.risk, 12)
    ([[0.1, 0.0], [0.0, 0.05]], 0.6)
    """
    lam = covariance("cov_x", cov_x)
    v = same_shape("cov_w", semidefinite("cov_w", cov_w), "cov_x", lam)
    n, s2 = integer("n_context", n_context, minimum=1), noise(noise_var)
    root = np.linalg.cholesky(lam)
    signal, basis = np.linalg.eigh(root.T @ v @ root)
    signal = np.maximum(signal, 0.0)
    rest = signal.sum() + s2
    shrunk = signal / ((n + 1) * signal + rest)
    half = solve_triangular(root, basis, lower=True, trans="T")
    return PreconditionedOptimum(
        matrix=(half * shrunk) @ half.T,
        risk=float(s2 + np.sum(signal * (signal + rest) / ((n + 1) * signal + rest))),
    )


def lsa_population_loss(value: ArrayLike, key_query: ArrayLike, *, n_context: int, noise_var: float = 0.0) -> float:
    r"""Exact population loss of a linear attention layer, as a polynomial in all of its parameters.

    For :math:`\Lambda = V = I`, with :math:`\kappa = n + d + 1 + s_2`, :math:`\mu = d + s_2` and
    :math:`Q = d (d + 2) + 2 d s_2 + s_2^2`,

    .. math:: L = s_2 + d - 2 n (c \, \mathrm{tr} P + a \cdot q) + n (n + 1) \|P^T a\|^2
              + n (\|a\|^2 + c^2 \kappa) \|P\|_F^2 + n \|q\|^2 (\kappa \|a\|^2 + c^2 (n + 2) Q)
              + 2 n c (\kappa + n \mu + 2) \, a^T P q .

    Derivation: :math:`\hat y = x_q \cdot b` with :math:`b = P^T (H a + c X^T y) + q (y^T X a + c \, y^T y)`, so that
    :math:`L = s_2 + E \|b - w\|^2`, and Wick's theorem does the rest. Costs O(d^2).

    Parameters
    ----------
    value : array_like, shape (d + 1,)
        (a, c).
    key_query : array_like, shape (d + 1, d) or (d + 1, d + 1)
        KQ; a last column meets the empty label slot of the query and is ignored.
    n_context : int
        Number n >= 1 of examples.
    noise_var : float
        Variance s2 >= 0 of the label noise.

    Returns
    -------
    float
        Mean squared error (no factor 1/2), the noise of the query's label included.

    Raises
    ------
    ValueError
        If shapes do not match, an entry is not finite, ``n_context`` is below 1, or ``noise_var`` is negative.

    References
    ----------
    The model is that of Mahankali, Hashimoto, Ma (2023), arXiv:2307.03576; the polynomial is derived here.

    Examples
    --------
    The layer that takes the best gradient step, 1 / (n + d + 1):

    >>> lsa_population_loss([0, 0, 1], [[0.125, 0], [0, 0.125], [0, 0]], n_context=5)
    0.75
    """
    val, kq = finite("value", value, ndim=1), finite("key_query", key_query, ndim=2)
    d = val.size - 1
    if d < 1:
        raise ValueError(f"value must have at least 2 entries, d + 1; got {val.size}")
    if kq.shape not in ((d + 1, d), (d + 1, d + 1)):
        raise ValueError(f"key_query must have shape {(d + 1, d)} or {(d + 1, d + 1)}; got {kq.shape}")
    n, s2 = integer("n_context", n_context, minimum=1), noise(noise_var)
    a, c, p, q = val[:d], val[d], kq[:d, :d], kq[d, :d]
    kappa, mu, label = n + d + 1 + s2, d + s2, d * (d + 2) + 2 * d * s2 + s2**2
    signal = c * np.trace(p) + a @ q
    power = (
        (n + 1) * np.sum((a @ p) ** 2)
        + (a @ a + c**2 * kappa) * np.sum(p**2)
        + (q @ q) * (kappa * (a @ a) + c**2 * (n + 2) * label)
        + 2 * c * (kappa + n * mu + 2) * (a @ p @ q)
    )
    return float(s2 + d - 2 * n * signal + n * power)


def rank_one_trap(*, n_context: int, dim: int, noise_var: float = 0.0) -> RankOneTrap:
    r"""Stationary point at which a layer uses one direction only, and whether training can end there.

    The layer :math:`c = 0, P = 0, a = q = t e` with :math:`\|e\| = 1`, :math:`t^2 = 1/\kappa`,
    :math:`\kappa = n + d + 1 + s_2`, computes :math:`\hat y = \kappa^{-1} (x_q \cdot e)(e \cdot X^T y)`. Its loss
    exceeds the optimum by :math:`n (d - 1) / \kappa`; at d = 1 it is a second branch of global minimisers. Up to the
    symmetries (scale, rotation of e) it is a strict local minimum exactly when

    .. math:: D = -(d - 1) \kappa^2 + (n + 2) (\mu^2 + 2 d) - \frac{(n \mu + 2)^2}{n + 2} > 0, \qquad \mu = d + s_2,

    and otherwise a saddle, with one direction of descent: c together with P in the direction of the identity. At
    d = 1, D > 0 throughout. Costs O(1).

    Parameters
    ----------
    n_context : int
        Number n >= 1 of examples.
    dim : int
        Dimension d >= 1 of inputs, of covariance I, as that of the tasks.
    noise_var : float
        Variance s2 >= 0 of the label noise.

    Returns
    -------
    RankOneTrap
        ``gap`` of the loss without factor 1/2, ``discriminant`` D, and ``is_local_minimum``, D > 0.

    Raises
    ------
    ValueError
        If a size is below 1 or ``noise_var`` is negative.

    References
    ----------
    Derived here, for the model of Mahankali, Hashimoto, Ma (2023), arXiv:2307.03576.

    Examples
    --------
    >>> rank_one_trap(n_context=5, dim=2, noise_var=20.0).is_local_minimum
    True
    >>> rank_one_trap(n_context=1, dim=3)
    RankOneTrap(gap=0.4, discriminant=-13.333333333333334, is_local_minimum=False)
    """
    n, d = integer("n_context", n_context, minimum=1), integer("dim", dim, minimum=1)
    s2 = noise(noise_var)
    kappa, mu = n + d + 1 + s2, d + s2
    discriminant = -(d - 1) * kappa**2 + (n + 2) * (mu**2 + 2 * d) - (n * mu + 2) ** 2 / (n + 2)
    return RankOneTrap(gap=n * (d - 1) / kappa, discriminant=discriminant, is_local_minimum=discriminant > 0)
