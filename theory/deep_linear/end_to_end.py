"""The product of the layers of a balanced deep linear network as a dynamical system of its own, any depth."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from theory.validation import finite, integer, nonnegative, positive_scalar

Array = NDArray[np.float64]


def end_to_end_velocity(w: ArrayLike, g: ArrayLike, *, depth: float) -> Array:
    r"""Velocity of the product of D balanced layers when minus the gradient with respect to that product is G.

    .. math:: \tau \dot W = \sum_{j=1}^{D} (WW^T)^{(D-j)/D}\, G\, (W^TW)^{(j-1)/D} .

    Between the singular vectors of W with values a and b the sum multiplies G by a geometric series,
    :math:`(a^2 - b^2) / (a^{2/D} - b^{2/D})`, which is evaluated as one quotient of expm1. For infinite depth the
    velocity is divided by D: :math:`\int_0^1 (WW^T)^{1-x} G (W^TW)^x dx`, with the factor
    :math:`(a^2-b^2)/(\ln a^2 - \ln b^2)`. Costs one singular value decomposition, at any depth.

    Parameters
    ----------
    w : array_like, shape (N_o, N_i)
        Product of the layers. A rank lost to rounding is a matter of conditioning: singular values enter with the
        power 2/D, so that at large depth a value of 1e-17 that stands for 0 is felt.
    g : array_like, shape (N_o, N_i)
        Minus the gradient of the loss with respect to the product, Sigma_yx - W Sigma_xx for the squared loss.
    depth : int or inf
        Number D of weight matrices, at least 1, or ``np.inf`` for the limit of the velocity divided by D.

    Returns
    -------
    ndarray, shape (N_o, N_i)
        The velocity tau dW/dt.

    Raises
    ------
    ValueError
        If ``w`` is not a finite matrix, ``g`` not one of the same shape, or ``depth`` < 1.

    References
    ----------
    Arora, Cohen and Hazan, "On the Optimization of Deep Networks", arXiv:1802.06509, theorem 1. The infinite depth
    is derived here.

    Examples
    --------
    >>> end_to_end_velocity([[4.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]], depth=2)
    array([[8., 5.],
           [5., 2.]])
    """
    product = finite("w", w, ndim=2)
    gradient = finite("g", g, ndim=2)
    _require_shape("g", gradient, product)
    return _velocity(product, gradient, _depth(depth))


def end_to_end_flow(w0: ArrayLike, sigma_yx: ArrayLike, t: ArrayLike, *, depth: float, tau: float = 1.0) -> Array:
    r"""Gradient flow of the product of D balanced layers on white inputs.

    Solves :math:`\tau \dot W = \sum_{j=1}^{D} (WW^T)^{(D-j)/D} (\Sigma_{yx} - W) (W^TW)^{(j-1)/D}` on the product
    itself by an adaptive eighth-order Runge-Kutta method with relative tolerance 1e-11. Valid for initial layers with
    :math:`W_{l+1}^T W_{l+1} = W_l W_l^T`, all orthogonal ones among them. Costs a singular value decomposition an
    evaluation, and evaluations in proportion to t times the largest rate, D s_1^{2-2/D} / tau.

    Parameters
    ----------
    w0 : array_like, shape (N_o, N_i)
        Product of the layers at t = 0. For depth >= 2 its rank is conserved.
    sigma_yx : array_like, shape (N_o, N_i)
        Input-output correlations.
    t : array_like, shape (T,)
        Times in the units of ``tau``, nonnegative, in any order.
    depth : int or inf
        Number D of weight matrices, at least 1, or ``np.inf`` for the limit in which ``tau`` is tau / D held fixed.
    tau : float
        Time constant, positive.

    Returns
    -------
    ndarray, shape (T, N_o, N_i)
        Product of the layers at each time; a scalar ``t`` gives one matrix.

    Raises
    ------
    ValueError
        If an argument is not finite or of the wrong shape, a time is negative, ``tau`` is not positive or ``depth``
        < 1.
    RuntimeError
        If the integrator fails.

    References
    ----------
    Arora, Cohen and Hazan, "On the Optimization of Deep Networks", arXiv:1802.06509, theorem 1.

    Examples
    --------
    >>> end_to_end_flow([[0.5]], [[2.0]], [0.0, 40.0], depth=3).round(9).ravel()
    array([0.5, 2. ])
    """
    start = finite("w0", w0, ndim=2)
    target = finite("sigma_yx", sigma_yx, ndim=2)
    _require_shape("sigma_yx", target, start, "w0")
    times = nonnegative("t", t)
    tau = positive_scalar("tau", tau)
    D = _depth(depth)

    moments, where = np.unique(times / tau, return_inverse=True)
    if moments.size == 0 or moments[-1] == 0:
        return np.broadcast_to(start, times.shape + start.shape).copy()

    def rate(_: float, flat: Array) -> Array:
        w = flat.reshape(start.shape)
        return _velocity(w, target - w, D).ravel()

    scale = max(np.abs(start).max(), np.abs(target).max())
    solution = solve_ivp(
        rate, (0.0, moments[-1]), start.ravel(), method="DOP853", t_eval=moments, rtol=1e-11, atol=1e-14 * scale
    )
    if not solution.success:
        raise RuntimeError(f"the flow could not be integrated: {solution.message}")
    return solution.y.T[where.ravel()].reshape(times.shape + start.shape)


def _velocity(w: Array, g: Array, depth: float) -> Array:
    u, s, vt = np.linalg.svd(w)
    left, right = np.zeros(u.shape[0]), np.zeros(vt.shape[0])
    left[: s.size] = right[: s.size] = s
    large = np.maximum(left[:, None], right)
    small = np.minimum(left[:, None], right)
    return u @ (_factors(large, small, depth) * (u.T @ g @ vt.T)) @ vt


def _factors(large: Array, small: Array, depth: float) -> Array:
    """Sum of large^(2(D-j)/D) small^(2(j-1)/D) over j = 1..D, divided by D for infinite depth."""
    if depth == 1:
        return np.ones(large.shape)
    nonzero = np.where(large > 0, large, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # at most 0, -inf where the smaller one vanishes
        log_ratio = np.where(
            2 * small < large, np.log(small / nonzero), np.log1p(np.maximum((small - large) / nonzero, -0.5))
        )
        if depth == np.inf:
            quotient = np.expm1(2 * log_ratio) / (2 * log_ratio)
        else:
            quotient = np.expm1(2 * log_ratio) / np.expm1(2 * log_ratio / depth)
    quotient = np.where(log_ratio == 0, 1.0 if depth == np.inf else depth, quotient)
    return large ** (2 if depth == np.inf else 2 - 2 / depth) * quotient


def _depth(depth: float) -> float:
    return depth if depth == np.inf else integer("depth", depth, minimum=1)  # type: ignore[arg-type]


def _require_shape(name: str, value: Array, reference: Array, reference_name: str = "w") -> None:
    if reference.size == 0:
        raise ValueError(f"{reference_name} must have at least one entry; got shape {reference.shape}")
    if value.shape != reference.shape:
        raise ValueError(f"{name} must have the shape of {reference_name}, {reference.shape}; got {value.shape}")
