r"""Gradient descent written as attention: the dual form of a linear layer, momentum, and its trace in attention."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, integer, interval, scalar

Array = NDArray[np.float64]


def dual_form(w_init: ArrayLike, inputs: ArrayLike, error_signals: ArrayLike, x: ArrayLike) -> Array:
    r"""Output of a linear layer after training, read off its training examples as linear attention.

    Gradient descent adds outer products to the weights, so that

    .. math:: (W_0 + \Delta W) x = W_0 x + \sum_i e_i \, (x_i \cdot x), \qquad \Delta W = \sum_i e_i x_i^T :

    attention with values :math:`e_i`, keys :math:`x_i` and query x. The error signal :math:`e_i` is minus the learning
    rate times the gradient of the loss by the output at :math:`x_i`, at the step at which :math:`x_i` was used. In
    context, values :math:`W_V x'_i` and keys :math:`W_K x'_i` of demonstrations take the place of both. Costs
    O(n (d_in + d_out)); the updated weights are never formed.

    Parameters
    ----------
    w_init : array_like, shape (d_out, d_in)
        Weights W_0 before training.
    inputs : array_like, shape (n, d_in)
        Training inputs, one row for every use; n may be 0.
    error_signals : array_like, shape (n, d_out)
        e_i, in the same order.
    x : array_like, shape (d_in,)
        Input of the trained layer.

    Returns
    -------
    ndarray, shape (d_out,)

    Raises
    ------
    ValueError
        If shapes do not fit or an entry is not finite.

    References
    ----------
    Dai et al. 2022, arXiv:2212.10559, section on the dual form; Aizerman et al. 1964 for perceptrons.

    Examples
    --------
    >>> dual_form([[1.0, 0.0]], inputs=[[0.0, 2.0]], error_signals=[[0.5]], x=[3.0, 1.0])
    array([4.])
    """
    w0, keys = finite("w_init", w_init, ndim=2), finite("inputs", inputs, ndim=2)
    values, query = finite("error_signals", error_signals, ndim=2), finite("x", x, ndim=1)
    d_out, d_in = w0.shape
    for name, array, shape in (
        ("inputs", keys, (len(keys), d_in)),
        ("error_signals", values, (len(keys), d_out)),
        ("x", query, (d_in,)),
    ):
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}; got {array.shape}")
    return w0 @ query + (keys @ query) @ values


def momentum_gd(
    gradient: Callable[[Array], ArrayLike], theta0: ArrayLike, *, step_size: float, momentum: float, n_steps: int
) -> Array:
    r"""Gradient descent with a momentum whose newest gradient is already damped once.

    .. math:: \Theta_t = \Theta_{t-1} - \gamma \sum_{i=1}^{t-1} m^{t-i} g_i, \qquad g_i = \nabla L(\Theta_i) .

    The sum is empty at t = 1, so that :math:`\Theta_1 = \Theta_0`. From there on it is a heavy ball with the effective
    step :math:`\gamma m`,

    .. math:: \Theta_{t+1} = \Theta_t - \gamma m \, g_t + m (\Theta_t - \Theta_{t-1}),

    which is how it is computed: one gradient a step, none kept.

    Parameters
    ----------
    gradient : callable
        Maps parameters to the gradient of the loss, an array of the same shape.
    theta0 : array_like
        Parameters Theta_0, of any shape.
    step_size : float
        gamma, any real number.
    momentum : float
        m in [0, 1]; at 0 nothing ever moves.
    n_steps : int
        Number of steps, at least 0, the first of them idle.

    Returns
    -------
    ndarray, shape (n_steps + 1, ...)
        Theta_t for t = 0, ..., n_steps.

    Raises
    ------
    ValueError
        If ``momentum`` is outside [0, 1], a number is not finite, or a gradient is not or has another shape.

    References
    ----------
    Dai et al. 2022, arXiv:2212.10559, section on momentum; the heavy-ball form is derived here.

    Examples
    --------
    >>> momentum_gd(lambda theta: theta, [1.0], step_size=1.0, momentum=0.5, n_steps=3).ravel()
    array([1. , 1. , 0.5, 0. ])
    """
    start = finite("theta0", theta0)
    gamma, m = scalar("step_size", step_size), float(interval("momentum", scalar("momentum", momentum), 0.0, 1.0))
    steps = integer("n_steps", n_steps, minimum=0)
    path = np.empty((steps + 1, *start.shape))
    path[: min(2, steps + 1)] = start
    for t in range(1, steps):
        g = finite(f"gradient at step {t}", gradient(path[t].copy()))
        if g.shape != start.shape:
            raise ValueError(f"gradient must return the shape of theta0, {start.shape}; got {g.shape}")
        path[t + 1] = path[t] - gamma * m * g + m * (path[t] - path[t - 1])
    return path


def value_ema(values: ArrayLike, *, momentum: float) -> Array:
    r"""Sum of earlier values with decaying weights: what momentum adds to attention.

    .. math:: \mathrm{ema}_t = \sum_{i=1}^{t-1} m^{t-i} v_i = m (\mathrm{ema}_{t-1} + v_{t-1}), \qquad
              \mathrm{ema}_1 = 0 .

    It is a sum, not an average: constant values v tend to :math:`v \, m / (1 - m)`. Costs
    O(T d_v).

    Parameters
    ----------
    values : array_like, shape (T, d_v)
        Value vectors v_1, ..., v_T.
    momentum : float
        m in [0, 1].

    Returns
    -------
    ndarray, shape (T, d_v)
        Row t - 1 holds ema_t.

    Raises
    ------
    ValueError
        If ``momentum`` is outside [0, 1] or an entry is not finite.

    References
    ----------
    Dai et al. 2022, arXiv:2212.10559, momentum-based attention.

    Examples
    --------
    >>> value_ema([[1.0], [0.0], [2.0], [0.0]], momentum=0.5).ravel()
    array([0.   , 0.5  , 0.25 , 1.125])
    """
    v = finite("values", values, ndim=2)
    m = float(interval("momentum", scalar("momentum", momentum), 0.0, 1.0))
    ema = np.zeros_like(v)
    for t in range(1, len(v)):
        ema[t] = m * (ema[t - 1] + v[t - 1])
    return ema
