r"""Where gradient flow takes a linear attention layer that is trained on prompts, in closed form.

Prompts hold N examples :math:`x_i \sim N(0, \Lambda)`, :math:`y_i = w \cdot x_i` without noise, :math:`w \sim N(0, I)`,
and a query from the same law. The layer is

.. math:: f = E + W_{PV} E \, \frac{E^T W_{KQ} E}{N}, \qquad
          E = \begin{pmatrix} x_1 & \cdots & x_N & x_q \\ y_1 & \cdots & y_N & 0 \end{pmatrix}, \qquad
          \hat y = f_{d+1, N+1} ,

the loss :math:`L = \frac12 E (\hat y - w \cdot x_q)^2` (with the factor 1/2), and everything depends on

.. math:: \Gamma = (1 + 1/N) \Lambda + \frac{\mathrm{tr} \Lambda}{N} I .
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.in_context._arguments import covariance, length, square
from theory.validation import finite, integer, positive_scalar, scalar

Array = NDArray[np.float64]

_MOMENT_SLACK = 1e-12


@dataclass(frozen=True)
class FlowLimit:
    """Limit of the trained layer: what it computes, its two blocks that do not vanish, and its loss."""

    preconditioner: Array
    kq_block: Array
    pv_scalar: float
    loss: float


@dataclass(frozen=True)
class RankOnePoint:
    """Loss of the stationary point of rank one, its distance from the global minimum, and whether it holds training."""

    loss: float
    gap: float
    second_variation: Array
    is_local_minimum: bool


@dataclass(frozen=True)
class RandomCovarianceLimit:
    """Coefficient alpha of the learner alpha x_q.X^T y / M that random covariances leave, and its loss."""

    coefficient: float
    loss: float


def gamma_matrix(cov: ArrayLike, *, n_train: float) -> Array:
    r"""Return the matrix :math:`\Gamma = (1 + 1/N) \Lambda + N^{-1} \mathrm{tr}(\Lambda) I`; O(d^2).

    It is defined by :math:`E[S^2] = \Gamma \Lambda` for the empirical covariance S of N inputs.

    Parameters
    ----------
    cov : array_like, shape (d, d)
        Covariance Lambda of the inputs, positive definite.
    n_train : int or inf
        Number N >= 1 of examples in a training prompt.

    Raises
    ------
    ValueError
        If ``cov`` is no covariance or ``n_train`` is below 1.

    Examples
    --------
    >>> gamma_matrix([[1.0, 0.0], [0.0, 3.0]], n_train=4)
    array([[2.25, 0.  ],
           [0.  , 4.75]])
    """
    lam, n = covariance("cov", cov), length("n_train", n_train)
    return (1 + 1 / n) * lam + np.trace(lam) / n * np.eye(len(lam))


def gram_sandwich(matrix: ArrayLike, *, cov: ArrayLike, n_samples: float) -> Array:
    r"""Mean of :math:`S B S` for the empirical covariance S of n Gaussian inputs and any square matrix B; O(d^3).

    .. math:: E[S B S] = \Lambda B \Lambda + \tfrac1n [\Lambda B^T \Lambda + \mathrm{tr}(B \Lambda) \Lambda]

    Parameters
    ----------
    matrix : array_like, shape (d, d)
        B, symmetric or not.
    cov : array_like, shape (d, d)
        Covariance Lambda of the inputs, positive definite.
    n_samples : int or inf
        n >= 1.

    Raises
    ------
    ValueError
        If shapes do not match, ``cov`` is no covariance, or ``n_samples`` is below 1.

    Examples
    --------
    >>> gram_sandwich([[1.0]], cov=[[2.0]], n_samples=4)
    array([[6.]])
    """
    lam, n = covariance("cov", cov), length("n_samples", n_samples)
    b = square("matrix", matrix, len(lam))
    return lam @ b @ lam + (lam @ b.T @ lam + np.trace(b @ lam) * lam) / n


def gradient_flow_limit(cov: ArrayLike, *, n_train: float) -> FlowLimit:
    r"""Limit of gradient flow from a suitable start, a global minimum over all parameters of the layer.

    .. math:: W_{KQ} \to \mathrm{tr}(\Gamma^{-2})^{-1/4} \, \mathrm{diag}(\Gamma^{-1}, 0), \qquad
              W_{PV} \to \mathrm{tr}(\Gamma^{-2})^{1/4} \, \mathrm{diag}(0_d, 1),

    so that on a prompt of M examples :math:`\hat y = x_q^T \Gamma^{-1} X^T y / M`, and

    .. math:: L^* = \tfrac12 \mathrm{tr} \Lambda - \tfrac12 \mathrm{tr}(\Lambda^2 \Gamma^{-1})
                  = \tfrac{1}{2N} \mathrm{tr}[(\Lambda + \mathrm{tr}(\Lambda) I) \Gamma^{-1} \Lambda] .

    Costs O(d^3).

    Parameters
    ----------
    cov : array_like, shape (d, d)
        Covariance Lambda of the inputs, positive definite.
    n_train : int or inf
        Number N >= 1 of examples in a training prompt.

    Returns
    -------
    FlowLimit
        ``preconditioner`` Gamma^-1, ``kq_block`` (upper left block of W_KQ), ``pv_scalar`` (last entry of W_PV), and
        ``loss`` L* with the factor 1/2.

    Raises
    ------
    ValueError
        If ``cov`` is no covariance or ``n_train`` is below 1.

    References
    ----------
    Zhang, Frei, Bartlett (2024), JMLR 25(49), theorem 4.1.

    Examples
    --------
    >>> limit = gradient_flow_limit([[1.0, 0.0], [0.0, 1.0]], n_train=3)
    >>> limit.preconditioner.round(12).tolist(), round(limit.loss, 12)
    ([[0.5, 0.0], [0.0, 0.5]], 0.5)
    """
    lam, n = covariance("cov", cov), length("n_train", n_train)
    gamma, basis = np.linalg.eigh(gamma_matrix(lam, n_train=n_train))
    inverse = (basis / gamma) @ basis.T
    scale = float(np.sum(gamma**-2.0)) ** 0.25
    eigenvalues = np.linalg.eigvalsh(lam)  # in the order of those of Gamma
    excess = (eigenvalues + eigenvalues.sum()) / gamma * eigenvalues / n
    return FlowLimit(preconditioner=inverse, kq_block=inverse / scale, pv_scalar=scale, loss=float(excess.sum() / 2))


def rank_one_point(cov: ArrayLike, *, n_train: float) -> RankOnePoint:
    r"""Stationary point in which a layer can be caught when all its entries start at random.

    With last row :math:`(p^T, 0)` of the value matrix and last row :math:`(q^T, 0)` of the key-query matrix and
    nothing else, the layer computes :math:`\hat y = (x_q \cdot q)(p \cdot X^T y) / M`. The best such layer is a
    stationary point of the full loss, above the global minimum by

    .. math:: \tfrac12 \sum_{i \geq 2} \lambda_i^2 / \gamma_i ,

    the eigenvalues of Lambda and Gamma in falling order: all but the strongest direction is lost. It is a local minimum
    when the second variation in u and the diagonal of U (in the eigenbasis) is positive definite, as it is for short
    prompts; for long ones it is a saddle, and training from random entries may end in lower local minima nearby, which
    have no closed form here. Costs O(d^3).

    Parameters
    ----------
    cov : array_like, shape (d, d)
        Covariance Lambda of the inputs, positive definite; its largest eigenvalue should be simple.
    n_train : int or inf
        Number N >= 1 of examples in a training prompt.

    Returns
    -------
    RankOnePoint
        ``loss`` with the factor 1/2, ``gap``, and ``is_local_minimum``. ``second_variation`` is the Hessian
        (d + 1, d + 1) of the loss in :math:`\|q\| u` and :math:`\|p\| \lambda_i U_{ii}`, in the eigenbasis,
        strongest direction first.

    Raises
    ------
    ValueError
        If ``cov`` is no covariance or ``n_train`` is below 1.

    References
    ----------
    Derived here, for the model of Zhang, Frei, Bartlett (2024), JMLR 25(49).

    Examples
    --------
    >>> point = rank_one_point([[1.3, 0.4], [0.4, 0.7]], n_train=2)
    >>> round(point.gap, 12), point.is_local_minimum
    (0.071428571429, True)
    """
    limit = gradient_flow_limit(cov, n_train=n_train)
    lam: Array = np.linalg.eigvalsh(covariance("cov", cov))[::-1].astype(np.float64)
    gamma = np.linalg.eigvalsh(gamma_matrix(cov, n_train=n_train))[::-1]
    gap = float(np.sum(lam[1:] ** 2 / gamma[1:]) / 2)
    form = _second_variation(lam, gamma[0], length("n_train", n_train))
    stable = bool(np.linalg.eigvalsh(form)[0] > 0)
    return RankOnePoint(loss=limit.loss + gap, gap=gap, second_variation=form, is_local_minimum=stable)


def _second_variation(lam: Array, strongest: float, n: float) -> Array:
    r"""Second variation of the loss at the point of rank one, in :math:`\|q\| u` and :math:`\|p\| \lambda_i U_{ii}`.

    The answer changes by :math:`x_q^T U^T X^T X p + u (q \cdot x_q) y^T y + (p \cdot x_q)(x_q^T U x_q)`, all over N,
    whose mean square costs; the product of u and U wins back what is lost of the signal.
    """
    trace, square, first = lam.sum(), np.sum(lam**2), lam[0]
    size = len(lam)
    e = np.eye(size)[0]
    ones, biased = np.ones(size), np.ones(size) + 2 * e  # size-biased means: the query meets p once more
    form = np.zeros((size + 1, size + 1))
    pairs = (1 + 1 / n) * np.outer(e, e) + np.eye(size) / n  # two context inputs
    own = (np.outer(biased, biased) + 2 * np.eye(size) + 4 * np.outer(e, e)) / n**2  # the query with itself
    mixed = (np.outer(e, ones) + np.outer(ones, e) + 4 * np.outer(e, e)) / n
    form[1:, 1:] = first * (pairs + own + mixed)
    form[0, 0] = first * (trace**2 * (1 + 2 / n) + square * (2 + 4 / n))
    form[0, 1:] = first * ((trace + 2 * first / n) * e + trace / n * biased) - strongest * lam * (ones - e)
    form[1:, 0] = form[0, 1:]
    return form


def random_covariance_limit(m1: float, m2: float, m3: float, *, dim: int, n_train: float) -> RandomCovarianceLimit:
    r"""Limit of training when every prompt has a covariance of its own, diagonal with independent entries.

    With moments :math:`m_k = E \lambda^k` of an entry the layer learns :math:`\hat y = \alpha \, x_q \cdot X^T y / M`,

    .. math:: \alpha = \frac{m_2}{(1 + 2/N) m_3 + (d - 1) m_1 m_2 / N}, \qquad
              L^* = \tfrac{d}{2} (m_1 - m_2 \alpha) .

    As N grows, :math:`L^* \to \frac d2 (m_1 - m_2^2 / m_3)`, which is positive unless the entry is constant: one
    matrix cannot invert them all. Costs O(1).

    Parameters
    ----------
    m1, m2, m3 : float
        Moments of a positive random variable.
    dim : int
        Dimension d >= 1.
    n_train : int or inf
        Number N >= 1 of examples in a training prompt.

    Returns
    -------
    RandomCovarianceLimit
        ``coefficient`` alpha and ``loss`` with the factor 1/2.

    Raises
    ------
    ValueError
        If a number is out of range, or the moments are those of no positive random variable.

    References
    ----------
    Zhang, Frei, Bartlett (2024), JMLR 25(49), theorem 4.5; the special case is derived here.

    Examples
    --------
    >>> random_covariance_limit(1, 2, 6, dim=3, n_train=6)
    RandomCovarianceLimit(coefficient=0.23076923076923078, loss=0.8076923076923077)
    """
    first, second, third = (positive_scalar(k, m) for k, m in (("m1", m1), ("m2", m2), ("m3", m3)))
    d, n = integer("dim", dim, minimum=1), length("n_train", n_train)
    if second < first**2 * (1 - _MOMENT_SLACK) or third * first < second**2 * (1 - _MOMENT_SLACK):
        raise ValueError(
            f"m1, m2, m3 must be moments of a positive variable, m2 >= m1^2 and m1 m3 >= m2^2; got {m1}, {m2}, {m3}"
        )
    power = (1 + 2 / n) * third + (d - 1) * first * second / n
    return RandomCovarianceLimit(coefficient=second / power, loss=d / 2 * (first - second**2 / power))


def flow_loss(u_matrix: ArrayLike, u_scalar: float, *, cov: ArrayLike, n_train: float) -> float:
    r"""Evaluate the population loss of the two blocks U and u that a suitable start leaves moving; O(d^3).

    .. math:: L(U, u) = \tfrac12 \left[ u^2 \, \mathrm{tr}(\Gamma \Lambda U \Lambda U^T)
                        - 2 u \, \mathrm{tr}(\Lambda^2 U^T) + \mathrm{tr} \Lambda \right],

    evaluated as :math:`L^* + \frac12 \mathrm{tr}(\Gamma \Lambda D \Lambda D^T)` with
    :math:`D = u U - \Gamma^{-1}`, which keeps its digits near the minimum.

    Parameters
    ----------
    u_matrix : array_like, shape (d, d)
        Upper left block U of W_KQ.
    u_scalar : float
        Last entry u of W_PV.
    cov : array_like, shape (d, d)
        Covariance Lambda of the inputs, positive definite.
    n_train : int or inf
        Number N >= 1 of examples in a training prompt.

    Raises
    ------
    ValueError
        If shapes do not match, ``cov`` is no covariance, or ``n_train`` is below 1.

    References
    ----------
    Zhang, Frei, Bartlett (2024), JMLR 25(49), lemma on the reduced loss.

    Examples
    --------
    >>> round(flow_loss([[0.5]], 1.0, cov=[[1.0]], n_train=2), 12)
    0.25
    """
    lam = covariance("cov", cov)
    u = square("u_matrix", finite("u_matrix", u_matrix), len(lam))
    limit = gradient_flow_limit(lam, n_train=n_train)
    off = scalar("u_scalar", u_scalar) * u - limit.preconditioner
    return limit.loss + float(np.sum((gamma_matrix(lam, n_train=n_train) @ lam @ off @ lam) * off)) / 2
