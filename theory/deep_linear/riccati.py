"""Two-layer linear networks with white inputs, solved as matrices: the Riccati flow from any balanced weights."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import qr

from theory.validation import finite, nonnegative, positive_scalar, scalar

Array = NDArray[np.float64]

_CEILING = 330.0  # exponent of the largest row scale in a factorisation, whose squares must not overflow
_RANGE = 580.0  # exponent of the largest over that of the identity, whose squares must not underflow
_SEPARATED = 75.0  # a gap e^75 between row scales acts as an infinite one in double precision
_SATURATED = 37.0  # a mode e^37 beyond the identity has reached its limit, e^-74 is lost
_INDEPENDENT = 1e-10
_MOST_HALVINGS = 12
_BALANCE_TOLERANCE = 1e-10


class TwoLayerFlow(NamedTuple):
    """Solution along the times: the product W2 W1 and the Gram matrix of the stacked weights [W1^T; W2]."""

    product: Array
    gram: Array


def two_layer_flow(
    w1: ArrayLike,
    w2: ArrayLike,
    sigma_yx: ArrayLike,
    t: ArrayLike,
    *,
    tau: float = 1.0,
    imbalance: float | None = 0.0,
) -> TwoLayerFlow:
    r"""Gradient flow of a two-layer linear network from weights in any alignment with the task, in closed form.

    For :math:`\tau\dot W_1 = W_2^T(\Sigma_{yx} - W_2W_1)`, :math:`\tau\dot W_2 = (\Sigma_{yx} - W_2W_1)W_1^T` with
    :math:`W_2^TW_2 - W_1W_1^T = \lambda I`, which the flow conserves, the stack :math:`Q = [W_1^T; W_2]` obeys
    :math:`\tau\dot Q = FQ - \tfrac12 QQ^TQ`, hence

    .. math:: QQ^T(t) = e^{Ft/\tau} Q_0 \Bigl[ I + Q_0^T \tfrac1\tau\!\int_0^t\! e^{2Fr/\tau} dr\, Q_0 \Bigr]^{-1}
            Q_0^T e^{Ft/\tau}, \qquad
            F = \begin{pmatrix} -\tfrac\lambda2 I & \Sigma_{yx}^T \\ \Sigma_{yx} & \tfrac\lambda2 I \end{pmatrix} .

    The exponentials are kept as logarithms of row scales and the inverse is taken through a row-sorted, column-pivoted
    QR factorisation, so that late times lose no digits and do not overflow, whatever the rank of Sigma_yx. Costs one
    singular value decomposition of Sigma_yx and O((N_i + N_o)^2 N_h) for each time.

    Parameters
    ----------
    w1 : array_like, shape (N_h, N_i)
        First layer at t = 0.
    w2 : array_like, shape (N_o, N_h)
        Second layer at t = 0.
    sigma_yx : array_like, shape (N_o, N_i)
        Input-output correlations; singular values below rounding of the largest count as zero.
    t : array_like, shape (T,)
        Times in the units of ``tau``, nonnegative, in any order.
    tau : float
        Time constant, positive.
    imbalance : float or None
        The lambda above. A positive one needs N_h <= N_o, a negative one N_h <= N_i. None applies the balanced
        formula to weights that are not balanced: an approximation, whose error is of second order in small weights.

    Returns
    -------
    TwoLayerFlow
        ``product`` of shape (T, N_o, N_i) and ``gram`` of shape (T, N_i + N_o, N_i + N_o), in blocks
        [[W1^T W1, W1^T W2^T], [W2 W1, W2 W2^T]]. A scalar ``t`` gives matrices without the first axis.

    Raises
    ------
    ValueError
        If the shapes do not fit, an entry is not finite, a time is negative, ``tau`` is not positive, the weights do
        not have the stated imbalance to a relative 1e-10, or ``t`` is beyond about 2e6 tau / s_1 in a network with
        fewer hidden units than modes and more than seven well separated modes.

    References
    ----------
    Fukumizu, "Effect of batch learning in multilayer neural networks", ICONIP 1998; Braun, Domine, Fitzgerald and
    Saxe, "Exact learning dynamics of deep linear networks with prior knowledge", NeurIPS 2022. The imbalance term
    generalises them.

    Examples
    --------
    >>> flow = two_layer_flow([[0.1]], [[0.1]], [[2.0]], [0.0, 50.0])
    >>> flow.product[:, 0, 0].round(12)
    array([0.01, 2.  ])
    """
    w1, w2, sigma = _weights(w1, w2, sigma_yx)
    times = nonnegative("t", t)
    tau = positive_scalar("tau", tau)
    lam = 0.0 if imbalance is None else _require_imbalance(w1, w2, scalar("imbalance", imbalance))

    rates, basis = _generator(sigma, lam)
    q0 = np.vstack([w1.T, w2])
    overlaps = basis.T @ q0
    n_in = w1.shape[1]
    gram = np.empty((times.size, q0.shape[0], q0.shape[0]))
    for k, time in enumerate(times.ravel() / tau):
        q = basis @ _evolve(overlaps, rates, time) if time > 0 else q0
        gram[k] = q @ q.T
    stacked = gram.reshape(times.shape + gram.shape[1:])
    return TwoLayerFlow(product=stacked[..., n_in:, :n_in].copy(), gram=stacked)


def _generator(sigma: Array, lam: float) -> tuple[Array, Array]:
    """Eigenvalues and orthonormal eigenvectors of F, from the singular vectors so that zeros come out exact."""
    n_out, n_in = sigma.shape
    u, s, vt = np.linalg.svd(sigma)
    s = s[s > max(sigma.shape) * np.finfo(float).eps * s[0]]
    r = s.size
    # in the plane of a singular pair F is [[-lam/2, s], [s, lam/2]]: a reflection times hypot(s, lam/2)
    half_angle = 0.5 * np.arctan2(2 * s, -lam)
    c, d = np.cos(half_angle), np.sin(half_angle)
    rate = np.hypot(s, lam / 2)
    v, u1 = vt[:r].T, u[:, :r]
    paired = np.block([[v * c, -v * d], [u1 * d, u1 * c]])
    idle_in = np.vstack([vt[r:].T, np.zeros((n_out, n_in - r))])
    idle_out = np.vstack([np.zeros((n_in, n_out - r)), u[:, r:]])
    rates = np.concatenate([rate, -rate, np.full(n_in - r, -lam / 2), np.full(n_out - r, lam / 2)])
    return rates, np.hstack([paired, idle_in, idle_out])


def _evolve(overlaps: Array, rates: Array, time: float, halvings: int = 0) -> Array:
    """Weights in the eigenbasis of F after ``time`` > 0, up to a rotation of the hidden layer.

    The rows of [I; sqrt(integral) Q0] carry scales from 1 to e^(w t), which are lowered where the result cannot tell;
    where that does not bring them into range, the flow is made in two halves.
    """
    # integral of e^(2wr) = e^(2 max(w,0) t) x (1 - e^(-2|w|t)) / (2|w|)
    with np.errstate(over="ignore", divide="ignore"):
        doubled = 2 * np.abs(rates)
        idle = doubled * time < np.finfo(float).tiny
        base = 0.5 * np.log(np.where(idle, time, -np.expm1(-doubled * time) / np.where(idle, 1.0, doubled)))
        growth = np.clip(rates * time, -1e300, 1e300)
        sizes = np.abs(overlaps).max(axis=1)
        scales = np.log(sizes) + base + np.maximum(growth, 0)
    directions = overlaps / np.where(sizes > 0, sizes, 1.0)[:, None]
    narrowed = _narrow(scales, directions)
    if narrowed is None:
        if halvings == _MOST_HALVINGS:
            raise ValueError(
                "t must be earlier: more modes than the hidden layer holds have separated beyond floating point by then"
            )
        middle = _evolve(overlaps, rates, time / 2, halvings + 1)
        return _evolve(middle, rates, time / 2, halvings + 1)

    shift = max(float(narrowed.max()) - _CEILING, 0.0)
    hidden = overlaps.shape[1]
    stacked = np.vstack([np.exp(-shift) * np.eye(hidden), directions * np.exp(narrowed - shift)[:, None]])
    order = np.argsort(-np.concatenate([np.zeros(hidden), narrowed]), kind="stable")
    q, _, _ = qr(stacked[order], mode="economic", pivoting=True)
    orthonormal = np.empty_like(q)
    orthonormal[order] = q
    return orthonormal[hidden:] * np.exp(np.minimum(growth, 0) - base)[:, None]


def _narrow(scales: Array, directions: Array) -> Array | None:
    """Lower the scales above that of the identity, 0, to what one factorisation holds; None when that is impossible.

    Gaps of e^75 act as infinite ones. Beyond that, saturated rows that are linearly independent fill their part of the
    projector whatever their scales: they miss at most e^(-l_i - l_j) over the square of the least singular value.
    """
    if scales.max() <= _RANGE:
        return scales
    grown = np.flatnonzero(scales > 0)
    ascending = grown[np.argsort(scales[grown])]
    gaps = np.diff(scales[ascending], prepend=0.0)
    levels = np.cumsum(np.minimum(gaps, _SEPARATED))
    if levels[-1] <= _RANGE:
        narrowed = scales.copy()
        narrowed[ascending] = levels
        return narrowed
    saturated = directions[scales > _SATURATED]
    if saturated.shape[0] <= saturated.shape[1] and np.linalg.norm(saturated, -2) > _INDEPENDENT:
        return np.minimum(scales, _CEILING)
    return None


def _weights(w1: ArrayLike, w2: ArrayLike, sigma_yx: ArrayLike) -> tuple[Array, Array, Array]:
    first, second = finite("w1", w1, ndim=2), finite("w2", w2, ndim=2)
    sigma = finite("sigma_yx", sigma_yx, ndim=2)
    if second.shape[1] != first.shape[0]:
        raise ValueError(
            f"w2 must have as many columns as w1 has rows, the hidden units; got {second.shape} after {first.shape}"
        )
    expected = (second.shape[0], first.shape[1])
    if sigma.shape != expected:
        raise ValueError(f"sigma_yx must have the shape of w2 @ w1, {expected}; got {sigma.shape}")
    if sigma.size == 0 or first.shape[0] == 0:
        raise ValueError(f"w1 must have at least one row and sigma_yx one entry; got {first.shape} and {sigma.shape}")
    return first, second, sigma


def _require_imbalance(w1: Array, w2: Array, lam: float) -> float:
    hidden, n_in = w1.shape
    n_out = w2.shape[0]
    if (lam > 0 and hidden > n_out) or (lam < 0 and hidden > n_in):
        side, count = ("rows of w2", n_out) if lam > 0 else ("columns of w1", n_in)
        raise ValueError(
            f"imbalance must be 0 or of the other sign with {hidden} hidden units and {count} {side}, since "
            f"w2.T @ w2 - w1 @ w1.T cannot have full rank on that side; got {lam:g}"
        )
    difference = w2.T @ w2 - w1 @ w1.T
    scale = max(float(np.sum(w1**2)), float(np.sum(w2**2)), abs(lam))
    excess = np.abs(difference - lam * np.eye(hidden)).max()
    if excess > _BALANCE_TOLERANCE * scale:
        raise ValueError(
            f"imbalance must satisfy w2.T @ w2 - w1 @ w1.T = imbalance * I, or be None for the balanced approximation; "
            f"got {lam:g}, which misses by {excess:.3g}"
        )
    return lam
