r"""How weights move when a large feature has opposing signals: the balanced flow, its sharpness, scalar descent.

The model is that of `theory.deep_linear.opposing_signals`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from theory.deep_linear._outlier_checks import power_of, target_weights
from theory.validation import finite, integer, nonnegative, positive_scalar, scalar

Array = NDArray[np.float64]


class ScalarDescent(NamedTuple):
    """Output weight ``v``, input weight ``a`` and outlier weight ``b`` after 0, 1, ... steps."""

    v: Array
    a: Array
    b: Array


def balanced_outlier_flow(t: ArrayLike, *, w0: ArrayLike, beta: ArrayLike, outlier_power: float) -> Array:
    r"""Input weights under gradient flow from balanced weights of rank one.

    With :math:`v v^T = W W^T` at the start, and so for ever, the input weights move by themselves,

    .. math:: \dot w = -|w|\, (I + \hat w \hat w^T)\, S\, (w - w^*) , \qquad |v|^2 = |w| , \quad w^* = (\beta, 0) ,

    integrated here to a relative accuracy of 1e-11. The time is that of a flow with unit rate in v and W. The cost
    grows with alpha, by an explicit method of order 8.

    Parameters
    ----------
    t : array_like, shape (T,)
        Times, nonnegative and increasing.
    w0 : array_like, shape (d + 1,)
        W^T v at time 0, not zero, the outlier last.
    beta : array_like, shape (d,)
        Target's weights on z, not all zero.
    outlier_power : float
        alpha, nonnegative.

    Returns
    -------
    ndarray, shape (T, d + 1)
        W^T v.

    Raises
    ------
    ValueError
        If an argument is outside its range, shapes do not fit, or the integration failed.

    References
    ----------
    Derived here for the two-layer model of Rosenfeld and Risteski, arXiv:2311.04163.

    Examples
    --------
    >>> balanced_outlier_flow([0.0, 40.0], w0=[0.1, 0.1], beta=[1.0], outlier_power=4.0).round(6) + 0.0
    array([[0.1, 0.1],
           [1. , 0. ]])
    """
    times, start = nonnegative("t", t, ndim=1), finite("w0", w0, ndim=1)
    if times.size == 0 or np.any(np.diff(times) <= 0):
        raise ValueError("t must hold at least one time, and increase")
    goal = np.append(target_weights(beta), 0.0)
    if start.shape != goal.shape or not start.any():
        raise ValueError(f"w0 must be a nonzero vector of {goal.size} entries, one more than beta; got {start}")
    power = np.append(np.ones(goal.size - 1), power_of(outlier_power))

    def velocity(_: float, w: Array) -> Array:
        slope = power * (w - goal)
        length = np.linalg.norm(w)
        return -(length * slope + (w @ slope) / length * w)

    if times[-1] == 0:
        return start[None].copy()
    found = solve_ivp(velocity, (0.0, times[-1]), start, t_eval=times, method="DOP853", rtol=1e-12, atol=1e-14)
    if not found.success:
        raise ValueError(f"w0 must be a start from which the flow can be integrated; got {start}: {found.message}")
    return np.asarray(found.y.T)


def balanced_sharpness(w: ArrayLike, *, beta: ArrayLike, outlier_power: float) -> Array:
    r"""Largest eigenvalue of the loss's Hessian at balanced weights of rank one, at a minimum or not.

    In the directions that such weights single out the Hessian is

    .. math:: |w| \begin{pmatrix} \hat w^T S \hat w & (S \hat w)^T \\ S \hat w & S \end{pmatrix} +
            \begin{pmatrix} 0 & G^T \\ G & 0 \end{pmatrix} , \qquad G = S (w - w^*) ,

    and its largest eigenvalue exceeds those in all other directions, which are +-\|G\| and 0. Costs O(T d^3).

    Parameters
    ----------
    w : array_like, shape (..., d + 1)
        Input weights W^T v, nonzero, the outlier last.
    beta : array_like, shape (d,)
        Target's weights on z, not all zero.
    outlier_power : float
        alpha, nonnegative.

    Returns
    -------
    ndarray, shape (...)
        Sharpness.

    Raises
    ------
    ValueError
        If an argument is outside its range or shapes do not fit.

    References
    ----------
    Derived here for the two-layer model of Rosenfeld and Risteski, arXiv:2311.04163.

    Examples
    --------
    >>> balanced_sharpness([[1.0, 0.0]], beta=[1.0], outlier_power=20.0)
    array([20.])
    """
    weights, goal = finite("w", w), np.append(target_weights(beta), 0.0)
    if weights.ndim == 0 or weights.shape[-1] != goal.size:
        raise ValueError(f"w must have {goal.size} entries on its last axis, one more than beta; got {weights.shape}")
    length = np.linalg.norm(weights, axis=-1)
    if not np.all(length > 0):
        raise ValueError("w must not vanish: balanced weights of length zero have no direction")
    power = np.append(np.ones(goal.size - 1), power_of(outlier_power))
    unit, slope = weights / length[..., None], power * (weights - goal)
    hessian = np.zeros((*length.shape, goal.size + 1, goal.size + 1))
    hessian[..., 0, 0] = length * np.sum(power * unit**2, axis=-1)
    hessian[..., 0, 1:] = hessian[..., 1:, 0] = length[..., None] * power * unit + slope
    hessian[..., 1:, 1:] = length[..., None, None] * np.diag(power)
    return np.asarray(np.linalg.eigvalsh(hessian)[..., -1])


def scalar_descent(
    *, v0: float, a0: float, b0: float, beta: float, outlier_power: float, learning_rate: float, n_steps: int
) -> ScalarDescent:
    r"""Gradient descent of a network with one hidden unit and scalar z.

    .. math:: b \leftarrow b\, (1 - \eta \alpha v^2) , \quad a \leftarrow a - \eta v (v a - \beta) , \quad
            v \leftarrow v - \eta \bigl[ a (v a - \beta) + \alpha b^2 v \bigr] ,

    all with the values before the step. The outlier weight grows exactly while :math:`\alpha v^2 > 2/\eta`, and pushes
    v down while it is large. Costs O(n_steps).

    Parameters
    ----------
    v0, a0, b0 : float
        Output weight, input weight and outlier weight at the start.
    beta : float
        Target's weight on z.
    outlier_power : float
        alpha, nonnegative.
    learning_rate : float
        Step eta, positive.
    n_steps : int
        Number of steps, at least 0.

    Returns
    -------
    ScalarDescent
        ``v``, ``a`` and ``b``, each of shape (n_steps + 1,).

    Raises
    ------
    ValueError
        If an argument is outside its range.
    OverflowError
        If the descent diverges.

    References
    ----------
    Derived here for the two-layer model of Rosenfeld and Risteski, arXiv:2311.04163.

    Examples
    --------
    >>> scalar_descent(v0=1.0, a0=1.0, b0=0.1, beta=1.0, outlier_power=4.0, learning_rate=0.25, n_steps=2).b
    array([0.1, 0. , 0. ])
    """
    v, a, b = scalar("v0", v0), scalar("a0", a0), scalar("b0", b0)
    target, power = scalar("beta", beta), power_of(outlier_power)
    eta = positive_scalar("learning_rate", learning_rate)
    path = np.empty((integer("n_steps", n_steps, minimum=0) + 1, 3))
    for k in range(len(path)):
        path[k] = v, a, b
        error = v * a - target
        v, a, b = v - eta * (a * error + power * b * b * v), a - eta * v * error, b * (1 - eta * power * v * v)
    if not np.isfinite(path).all():
        raise OverflowError(f"gradient descent diverged within {n_steps} steps of size {eta:g}")
    return ScalarDescent(*path.T)
