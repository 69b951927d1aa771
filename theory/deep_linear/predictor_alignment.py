r"""How predictor and representation come to share eigenvectors, followed as matrices.

For inputs of unit covariance and a predictor whose gradient is made symmetric, :math:`W_p` and :math:`F = W W^T` obey
two equations of their own, and their commutator shrinks at rates that are eigenvalues of one matrix K.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.deep_linear._integration import integrate, moments
from theory.deep_linear.predictor_matrices import alignment_rate_matrix
from theory.validation import positive_scalar

Array = NDArray[np.float64]


class PredictorFlow(NamedTuple):
    r"""Predictor and representation over time, (times, n, n), and two integrals of K up to then, (times,).

    ``least_rate`` is :math:`\int \lambda_{\min}(K)`, ``total_rate`` is :math:`\int \mathrm{tr} K`.
    """

    w_p: Array
    f: Array
    least_rate: Array
    total_rate: Array


def predictor_flow(
    t: ArrayLike,
    *,
    w_p0: ArrayLike,
    f0: ArrayLike,
    alpha_p: float = 1.0,
    weight_decay: float = 0.0,
    aug_var: float = 0.0,
    tau: float = 1.0,
) -> PredictorFlow:
    r"""Follow predictor and representation as matrices, whether or not they share eigenvectors.

    .. math:: \dot W_p = -\tfrac12 \alpha_p \kappa \{W_p, F\} + \alpha_p \tau F - \eta W_p, \quad
        \dot F = -\kappa \{W_p^2, F\} + \tau \{W_p, F\} - 2 \eta F

    with the anticommutator :math:`\{A, B\} = A B + B A` and :math:`\kappa = 1 +` ``aug_var``. The commutator
    :math:`L = [F, W_p]` then obeys :math:`|L(t)|_F \le |L(0)|_F e^{-2 \int \lambda_{\min}(K)}`, with equality in place
    of the bound for 2 x 2 matrices: :math:`|L(t)|_F = |L(0)|_F e^{-\int \mathrm{tr} K}`; K is
    :func:`alignment_rate_matrix`. Adaptive Runge-Kutta of order 8 at relative tolerance 1e-12, O(n^3) a step.

    Parameters
    ----------
    t : array_like
        Times, nonnegative, in units of the inverse learning rate, in any order, 1-D.
    w_p0, f0 : array_like
        Initial predictor and initial F, symmetric, (n, n).
    alpha_p : float
        Learning-rate multiplier of the predictor, positive; weight decay is not multiplied.
    weight_decay, aug_var : float
        Decay eta and variance of augmentation, nonnegative.
    tau : float
        Ratio of target to online network, positive and fixed.

    Returns
    -------
    PredictorFlow
        ``w_p`` and ``f``, (times, n, n), ``least_rate`` and ``total_rate``, (times,).

    Raises
    ------
    ValueError
        If a matrix is not symmetric, shapes differ, or a number is outside its range.
    RuntimeError
        If the integrator cannot reach the last time.

    References
    ----------
    Tian, Chen and Ganguli, arXiv:2102.06810, the isotropic dynamics and the theorem on eigenspace alignment. The form
    for 2 x 2 matrices is derived: every commutator there is a multiple of one matrix.

    Examples
    --------
    >>> flow = predictor_flow([0.0, 2.0], w_p0=[[0.5, 0.2], [0.2, 0.3]], f0=[[1.0, 0.0], [0.0, 0.5]])
    >>> moved = flow.f @ flow.w_p - flow.w_p @ flow.f
    >>> bool(abs(moved[1, 0, 1] / moved[0, 0, 1] - np.exp(-flow.total_rate[1])) < 1e-9)
    True
    """
    times = moments(t)
    rule = {"alpha_p": alpha_p, "weight_decay": weight_decay, "aug_var": aug_var, "tau": tau}
    alignment_rate_matrix(w_p0, f0, **rule)  # checks all that is passed on
    alpha_p, tau, eta, kappa = positive_scalar("alpha_p", alpha_p), float(tau), float(weight_decay), 1.0 + aug_var
    w_p0, f0 = np.asarray(w_p0, dtype=float), np.asarray(f0, dtype=float)
    n = len(w_p0)

    def velocity(state: Array) -> Array:
        w_p, f = _symmetrise(state[:-2].reshape(2, n, n))
        both = w_p @ f + f @ w_p
        square = w_p @ w_p
        w_p_dot = -0.5 * alpha_p * kappa * both + alpha_p * tau * f - eta * w_p
        f_dot = -kappa * (square @ f + f @ square) + tau * both - 2.0 * eta * f
        rates = np.linalg.eigvalsh(alignment_rate_matrix(w_p, f, **rule))
        return np.concatenate([w_p_dot.ravel(), f_dot.ravel(), [rates[0], rates.sum()]])

    states = integrate(velocity, np.concatenate([w_p0.ravel(), f0.ravel(), [0.0, 0.0]]), times)
    w_p, f = np.moveaxis(states[:, :-2].reshape(-1, 2, n, n), 1, 0)
    return PredictorFlow(w_p, f, states[:, -2], states[:, -1])


def _symmetrise(matrices: Array) -> Array:
    """Take off the asymmetry that rounding leaves."""
    return 0.5 * (matrices + matrices.swapaxes(-1, -2))
