"""Weights from inputs to one output, learnt by a deep linear network: the flow of the product as a vector."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from theory.validation import finite, integer, nonnegative, positive_scalar

Array = NDArray[np.float64]


def deep_vector_flow(
    t: ArrayLike, w0: ArrayLike, x: ArrayLike, y: ArrayLike, *, depth: int = 2, tau: float = 1.0
) -> Array:
    r"""Gradient flow of a balanced deep linear network with one output, on given samples.

    .. math:: \tau \dot w = |w|^{2 - 2/D} \left(I + (D - 1) \frac{w w^T}{|w|^2}\right) g, \qquad g = X (y - X^T w) .

    Fixed points where :math:`w \ne 0` are those of a shallow student, but weights outside of the span of the samples
    are no longer frozen: they keep their direction, while their length grows as
    :math:`d \ln|w_\perp| / dt = (D - 1) |w|^{-2/D} (w \cdot g) / \tau`. Integrated with DOP853 at a relative tolerance
    of 1e-11; costs O(N P) an evaluation.

    Parameters
    ----------
    t : array_like, shape (T,)
        Times >= 0, nondecreasing, in the units of tau.
    w0 : array_like, shape (N,)
        Initial product of the layers, not zero; all layers have singular value :math:`|w_0|^{1/D}` and rank one.
    x : array_like, shape (N, P)
        Inputs, one sample a column.
    y : array_like, shape (P,)
        Labels.
    depth : int
        Number D of weight matrices, at least 1.
    tau : float
        Time constant, > 0.

    Returns
    -------
    ndarray, shape (T, N)
        Products of the layers.

    Raises
    ------
    ValueError
        If shapes disagree, times fall, ``w0`` vanishes, or a number is out of range.
    RuntimeError
        If the integrator gives up.

    Examples
    --------
    >>> deep_vector_flow([0.0, 50.0], [0.1, 0.2], [[1.0], [0.0]], [1.0], depth=2).round(4)
    array([[0.1   , 0.2   ],
           [1.    , 0.4423]])
    """
    times = nonnegative("t", t, ndim=1)
    start, inputs, labels = finite("w0", w0, ndim=1), finite("x", x, ndim=2), finite("y", y, ndim=1)
    D, unit = integer("depth", depth, minimum=1), positive_scalar("tau", tau)
    if inputs.shape != (start.size, labels.size):
        raise ValueError(f"x must have shape (len(w0), len(y)) = {(start.size, labels.size)}; got {inputs.shape}")
    if times.size == 0 or np.any(np.diff(times) < 0):
        raise ValueError(f"t must be at least one time, in nondecreasing order; got {times}")
    if not np.any(start):
        raise ValueError("w0 must not vanish, since no layer could learn then; got zeros")

    def velocity(_: float, w: Array) -> Array:
        pull = inputs @ (labels - w @ inputs)
        length = np.sqrt(w @ w)
        return length ** (2 - 2 / D) * (pull + (D - 1) * w * (w @ pull) / length**2) / unit

    span = (0.0, float(times[-1]) or 1.0)
    found = solve_ivp(velocity, span, start, t_eval=times, method="DOP853", rtol=1e-11, atol=1e-13)
    if not found.success:
        raise RuntimeError(f"the flow could not be integrated: {found.message}")
    return found.y.T
