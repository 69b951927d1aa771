r"""Risk of the trained attention layer on new prompts: other lengths, other tasks, other inputs, noise.

The layer has been trained on prompts of N examples with inputs from :math:`N(0, \Lambda)` and computes
:math:`\hat y = x_q^T \Gamma^{-1} X^T y / M` on a prompt of M, with the Gamma of training. Risks are
:math:`E (\hat y - y_q)^2` (no factor 1/2) and include the noise of the query's label.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.in_context._arguments import covariance, length, like, noise, semidefinite
from theory.in_context.flow_limit import gamma_matrix
from theory.validation import finite, nonnegative, same_shape

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RiskDecomposition:
    """Risk, the sum of what no learner avoids, a bias that no prompt cures, and a variance of order 1/M."""

    total: float
    irreducible: float
    bias: float
    variance: float


def in_context_risk(
    w: ArrayLike,
    *,
    cov: ArrayLike,
    n_train: float,
    n_test: float,
    noise_var: float = 0.0,
    cov_context: ArrayLike | None = None,
    cov_query: ArrayLike | None = None,
) -> RiskDecomposition:
    r"""Risk on one linear task, with any Gaussian inputs in the prompt and in the query.

    For context covariance C, query covariance Q and :math:`B = \Gamma^{-1} Q \Gamma^{-1}`,

    .. math:: R = s_2 + w^T (I - C \Gamma^{-1}) Q (I - \Gamma^{-1} C) w
              + \tfrac1M \left[ w^T C B C w + \mathrm{tr}(B C) (w^T C w + s_2) \right] :

    noise, bias and variance. With C = Q = Lambda the bias is of order 1/N^2,
    :math:`N^2 \, \mathrm{bias} \to w^T (\Lambda + \mathrm{tr} \Lambda)^2 \Lambda^{-1} w`; with shifted context inputs,
    :math:`C = c^2 \Lambda`, it stays finite however long the prompts, :math:`(c^2 - 1)^2 w^T Q w`. Costs O(d^3).

    Parameters
    ----------
    w : array_like, shape (d,)
        Task.
    cov : array_like, shape (d, d)
        Covariance Lambda of the inputs in training, positive definite.
    n_train, n_test : int or inf
        Numbers N and M >= 1 of examples in a training prompt and in the prompt at test time.
    noise_var : float
        Variance s2 >= 0 of the label noise at test time.
    cov_context, cov_query : array_like, shape (d, d), optional
        Covariances at test time, Lambda where left out.

    Returns
    -------
    RiskDecomposition

    Raises
    ------
    ValueError
        If a matrix is not a covariance, shapes do not match, or a number is out of range.

    References
    ----------
    Zhang, Frei, Bartlett (2024), JMLR 25(49), theorem 4.2 for C = Q = Lambda; the general form is derived here.

    Examples
    --------
    >>> in_context_risk([1.0], cov=[[1.0]], n_train=2, n_test=4, noise_var=1.0)
    RiskDecomposition(total=1.4375, irreducible=1.0, bias=0.25, variance=0.1875)
    """
    lam = covariance("cov", cov)
    task = same_shape("w", finite("w", w, ndim=1), "a column of cov", lam[:, 0])
    n, m, s2 = length("n_train", n_train), length("n_test", n_test), noise(noise_var)
    context, query = like("cov_context", cov_context, lam), like("cov_query", cov_query, lam)
    gamma = gamma_matrix(lam, n_train=n_train)
    # Gamma - C, with the part that vanishes for unshifted inputs taken apart so that nothing cancels
    lack = (lam - context) + (lam + np.trace(lam) * np.eye(len(lam))) / n
    missed = np.linalg.solve(gamma, lack @ task)
    kept = np.linalg.solve(gamma, context @ task)
    spread = np.trace(np.linalg.solve(gamma, query) @ np.linalg.solve(gamma, context))
    return _decomposition(
        s2, missed @ query @ missed, (kept @ query @ kept + spread * (task @ context @ task + s2)) / m
    )


def misspecified_risk(
    coefficients: ArrayLike,
    label_cov: ArrayLike,
    *,
    irreducible: float,
    cov: ArrayLike,
    n_train: float,
    n_test: float,
) -> RiskDecomposition:
    r"""Risk on labels of any joint law with Gaussian inputs: the task need not be linear.

    .. math:: R = \min_w E (w \cdot x - y)^2 + \tfrac1M \mathrm{tr}(\Sigma \Gamma^{-2} \Lambda)
        + \tfrac{1}{N^2} \left[ a^T \Gamma^{-2} \Lambda^3 a + 2 \, \mathrm{tr}(\Lambda) \, a^T \Gamma^{-2} \Lambda^2 a
        + \mathrm{tr}(\Lambda)^2 a^T \Gamma^{-2} \Lambda a \right]

    with :math:`a = \Lambda^{-1} E[x y]` and :math:`\Sigma = \mathrm{Cov}(x y)`. An equality, not a bound. For
    :math:`y = w \cdot x + \epsilon` it is `in_context_risk`, with
    :math:`\Sigma = (w^T \Lambda w + s_2) \Lambda + \Lambda w w^T \Lambda`. Costs O(d^3).

    Parameters
    ----------
    coefficients : array_like, shape (d,)
        Best linear coefficients a.
    label_cov : array_like, shape (d, d)
        Covariance matrix Sigma of x y, positive semidefinite.
    irreducible : float
        Mean squared error >= 0 of the best linear predictor, label noise included.
    cov : array_like, shape (d, d)
        Covariance Lambda of the inputs, in training and at test time, positive definite.
    n_train, n_test : int or inf
        Numbers N and M >= 1 of examples in a training prompt and in the prompt at test time.

    Returns
    -------
    RiskDecomposition

    Raises
    ------
    ValueError
        If a matrix is not a covariance, shapes do not match, or a number is out of range.

    References
    ----------
    Zhang, Frei, Bartlett (2024), JMLR 25(49), theorem 4.2.

    Examples
    --------
    >>> misspecified_risk([1.0], [[3.0]], irreducible=1.0, cov=[[1.0]], n_train=2, n_test=4)
    RiskDecomposition(total=1.4375, irreducible=1.0, bias=0.25, variance=0.1875)
    """
    lam = covariance("cov", cov)
    a = same_shape("coefficients", finite("coefficients", coefficients, ndim=1), "a column of cov", lam[:, 0])
    sigma = same_shape("label_cov", semidefinite("label_cov", label_cov), "cov", lam)
    floor = float(nonnegative("irreducible", irreducible, ndim=0))
    n, m = length("n_train", n_train), length("n_test", n_test)
    gamma = gamma_matrix(lam, n_train=n_train)
    missed = np.linalg.solve(gamma, (lam @ a + np.trace(lam) * a) / n)
    variance = np.trace(np.linalg.solve(gamma, sigma) @ np.linalg.solve(gamma, lam)) / m
    return _decomposition(floor, missed @ lam @ missed, variance)


def _decomposition(irreducible: float, bias: Array, variance: Array) -> RiskDecomposition:
    return RiskDecomposition(float(irreducible + bias + variance), float(irreducible), float(bias), float(variance))
