r"""The path of gradient flow on a linear attention layer, from a suitable start to the global minimum.

The model and its loss are those of `theory.in_context.flow_limit`. From

.. math:: W_{PV}(0) = \sigma \, \mathrm{diag}(0_d, 1), \qquad
          W_{KQ}(0) = \sigma \, \mathrm{diag}(\Theta \Theta^T, 0), \qquad \|\Theta \Theta^T\|_F = 1,

all other entries stay at zero, and the two blocks :math:`U` (of W_KQ) and :math:`u` (of W_PV) obey

.. math:: \dot U = u \Lambda^2 - u^2 \Gamma \Lambda U \Lambda, \qquad
          \dot u = \mathrm{tr}(\Lambda^2 U^T) - u \, \mathrm{tr}(\Gamma \Lambda U \Lambda U^T),

which conserves :math:`u^2 - \|U\|_F^2 = 0`. Time is that of :math:`\dot\theta = -\nabla L`.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

from theory.in_context._arguments import covariance, length
from theory.in_context.flow_limit import flow_loss, gamma_matrix
from theory.validation import finite, integer, nonnegative, positive_scalar

Array = NDArray[np.float64]

_RTOL, _ATOL = 1e-12, 1e-14
_NORM_TOLERANCE = 1e-8


@dataclass(frozen=True)
class FlowPath:
    """Blocks of the layer and its loss along the flow, time on the first axis."""

    u_matrix: Array
    u_scalar: Array
    loss: Array


@dataclass(frozen=True)
class IsotropicFlow:
    """Coefficient c of the learner c x_q.X^T y / M, and the loss, along the flow."""

    coefficient: Array
    loss: Array


def gradient_flow(times: ArrayLike, *, cov: ArrayLike, n_train: float, init_scale: float, theta: ArrayLike) -> FlowPath:
    r"""Integrate the flow of the two blocks U and u (Dormand-Prince of order 8, relative tolerance 1e-12).

    Converges to `gradient_flow_limit` whenever :math:`\sigma^2 \|\Gamma\|_{op} \sqrt d < 2`, and the equations hold
    for every :math:`\sigma > 0`. Costs O(d^3) an evaluation, and a number of them that grows with the last time.

    Parameters
    ----------
    times : array_like, shape (T,)
        Nonnegative times, in any order.
    cov : array_like, shape (d, d)
        Covariance Lambda of the inputs, positive definite.
    n_train : int or inf
        Number N >= 1 of examples in a training prompt.
    init_scale : float
        sigma > 0.
    theta : array_like, shape (d, k)
        Theta with ||Theta Theta^T||_F = 1.

    Returns
    -------
    FlowPath
        ``u_matrix`` (T, d, d), ``u_scalar`` (T,) and ``loss`` (T,), with the factor 1/2.

    Raises
    ------
    ValueError
        If a number is out of range, shapes do not match, or ``theta`` is not normalised.

    References
    ----------
    Zhang, Frei, Bartlett (2024), JMLR 25(49), section 5.

    Examples
    --------
    >>> path = gradient_flow([0.0, 50.0], cov=[[1.0]], n_train=2, init_scale=0.5, theta=[[1.0]])
    >>> path.u_scalar.round(6).tolist(), path.loss.round(6).tolist()
    ([0.5, 0.707107], [0.3125, 0.25])
    """
    t = nonnegative("times", times, ndim=1)
    lam = covariance("cov", cov)
    gamma = gamma_matrix(lam, n_train=n_train)
    start, _ = _start(lam, theta)
    sigma, d = positive_scalar("init_scale", init_scale), len(lam)
    square, product = lam @ lam, gamma @ lam

    def rate(_: float, state: Array) -> Array:
        u_matrix, u = state[1:].reshape(d, d), state[0]
        pull = product @ u_matrix @ lam
        return np.append(np.sum(square * u_matrix) - u * np.sum(pull * u_matrix), (u * square - u**2 * pull).ravel())

    moments, place = np.unique(np.append(0.0, t), return_inverse=True)
    state = np.append(sigma, sigma * start.ravel())
    path = [state]
    for before, after in pairwise(moments):  # land on every time, interpolate none
        state = solve_ivp(rate, (before, after), state, method="DOP853", rtol=_RTOL, atol=_ATOL).y[:, -1]
        path.append(state)
    states = np.array(path)[place[1:]]
    u_matrix, u_scalar = states[:, 1:].reshape(-1, d, d), states[:, 0]
    loss = [flow_loss(m, u, cov=lam, n_train=n_train) for m, u in zip(u_matrix, u_scalar, strict=True)]
    return FlowPath(u_matrix=u_matrix, u_scalar=u_scalar, loss=np.array(loss))


def isotropic_gradient_flow(
    times: ArrayLike, *, dim: int, variance: float, n_train: float, init_scale: float, sign: int = 1
) -> IsotropicFlow:
    r"""Logistic training curve on isotropic inputs, :math:`\Lambda = v I` and :math:`\Theta \Theta^T = I / \sqrt d`.

    With :math:`\gamma = v (1 + (1 + d)/N)` and :math:`u U = c I`, :math:`c_0 = \sigma^2 / \sqrt d`,

    .. math:: c(t) = \frac{1 / \gamma}{1 + (1 / (\gamma c_0) - 1) e^{-2 \sqrt d v^2 t}}, \qquad
              L(t) = \tfrac d2 \left[ v - 2 c v^2 + c^2 \gamma v^2 \right] .

    No condition on :math:`\sigma`. From the wrong sign, U(0) = -sigma Theta Theta^T, the same equation with
    :math:`\dot c = 2 \sqrt d v^2 |c| (1 - \gamma c)` leads to the saddle at zero instead:

    .. math:: c(t) = - \frac{1 / \gamma}{(1 + 1 / (\gamma |c_0|)) \, e^{2 \sqrt d v^2 t} - 1} .

    Costs O(T).

    Parameters
    ----------
    times : array_like
        Nonnegative times, any shape.
    dim : int
        Dimension d >= 1.
    variance : float
        v > 0 of each input coordinate.
    n_train : int or inf
        Number N >= 1 of examples in a training prompt.
    init_scale : float
        sigma > 0.
    sign : {1, -1}
        Sign of U(0); 1 is the suitable start.

    Returns
    -------
    IsotropicFlow
        ``coefficient`` and ``loss`` (with the factor 1/2), in the shape of ``times``.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Derived here, for the model of Zhang, Frei, Bartlett (2024), JMLR 25(49).

    Examples
    --------
    >>> flow = isotropic_gradient_flow([0.0, 50.0], dim=1, variance=1.0, n_train=2, init_scale=0.5)
    >>> flow.coefficient.round(6).tolist(), flow.loss.round(6).tolist()
    ([0.25, 0.5], [0.3125, 0.25])
    """
    t, d = nonnegative("times", times), integer("dim", dim, minimum=1)
    v, sigma, n = (
        positive_scalar("variance", variance),
        positive_scalar("init_scale", init_scale),
        length("n_train", n_train),
    )
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 or -1; got {sign!r}")
    gamma = v * (1 + (1 + d) / n)
    start = gamma * sigma**2 / np.sqrt(d)
    decay = np.exp(-2 * np.sqrt(d) * v**2 * t)
    fraction = start / (start + (1 - start) * decay) if sign == 1 else -start * decay / (1 + start * (1 - decay))
    least = v * (1 + d) / n / gamma  # 1 - v / gamma
    return IsotropicFlow(coefficient=fraction / gamma, loss=d * v / 2 * (least + (1 - least) * (1 - fraction) ** 2))


def pl_constant(cov: ArrayLike, *, n_train: float, init_scale: float, theta: ArrayLike) -> float:
    r"""Constant of the Polyak-Lojasiewicz inequality that holds along the flow.

    .. math:: \|\nabla L\|^2 \geq \mu (L - L^*), \qquad
        \mu = \frac{\sigma^2 \|\Lambda \Theta\|_F^2 \, (2 - \sqrt d \, \sigma^2 \|\Gamma\|_{op})}
        {\sqrt d \, \|\Lambda\|_{op}^2 \, \mathrm{tr}(\Gamma^{-1} \Lambda^{-1}) \, \mathrm{tr}(\Lambda^{-1})}

    so that :math:`L(t) - L^* \leq (L(0) - L^*) e^{-\mu t}`. Far from tight: at d = 1 the ratio starts at
    :math:`4 \sigma^2 \gamma \lambda^2`, more than twice :math:`\mu`. Costs O(d^3).

    Parameters
    ----------
    cov : array_like, shape (d, d)
        Covariance Lambda of the inputs, positive definite.
    n_train : int or inf
        Number N >= 1 of examples in a training prompt.
    init_scale : float
        sigma > 0, with sigma^2 ||Gamma||_op sqrt(d) < 2.
    theta : array_like, shape (d, k)
        Theta with ||Theta Theta^T||_F = 1.

    Returns
    -------
    float
        mu > 0, a rate per unit time.

    Raises
    ------
    ValueError
        If a number is out of range, shapes do not match, ``theta`` is not normalised, or ``init_scale`` is too large.

    References
    ----------
    Zhang, Frei, Bartlett (2024), JMLR 25(49), appendix on the PL inequality; constants derived again here.

    Examples
    --------
    >>> round(pl_constant([[1.0]], n_train=2, init_scale=0.5, theta=[[1.0]]), 12)
    0.75
    """
    lam = covariance("cov", cov)
    least = scalar_lower_bound(lam, n_train=n_train, init_scale=init_scale, theta=theta) ** 2
    inverse = np.linalg.inv(lam)
    spread = np.sum(np.linalg.inv(gamma_matrix(lam, n_train=n_train)) * inverse) * np.trace(inverse)
    return float(2 * least / spread)


def scalar_lower_bound(cov: ArrayLike, *, n_train: float, init_scale: float, theta: ArrayLike) -> float:
    r"""Lower bound of the value entry u(t) at all times of the flow, which keeps it off the saddle.

    .. math:: u(t)^2 \geq \frac{\sigma^2 \|\Lambda \Theta\|_F^2}{2 \sqrt d \|\Lambda\|_{op}^2}
              \left( 2 - \sqrt d \, \sigma^2 \|\Gamma\|_{op} \right)

    Parameters, errors and source are those of :func:`pl_constant`. Costs O(d^3).

    Examples
    --------
    >>> round(scalar_lower_bound([[1.0]], n_train=2, init_scale=0.5, theta=[[1.0]]) ** 2, 12)
    0.1875
    """
    lam = covariance("cov", cov)
    _, frame = _start(lam, theta)
    sigma, root = positive_scalar("init_scale", init_scale), np.sqrt(len(lam))
    norm = float(np.linalg.eigvalsh(gamma_matrix(lam, n_train=n_train))[-1])
    room = 2 - root * sigma**2 * norm
    if room <= 0:
        raise ValueError(
            f"init_scale must be below {np.sqrt(2 / (root * norm)):g} for this cov and n_train; got {sigma:g}"
        )
    bound = sigma**2 * np.sum((lam @ frame) ** 2) * room / (2 * root * np.linalg.eigvalsh(lam)[-1] ** 2)
    return float(np.sqrt(bound))


def _start(lam: Array, theta: ArrayLike) -> tuple[Array, Array]:
    frame = finite("theta", theta, ndim=2)
    if frame.shape[0] != len(lam):
        raise ValueError(f"theta must have {len(lam)} rows, as cov has; got shape {frame.shape}")
    start = frame @ frame.T
    if abs(np.linalg.norm(start) - 1) > _NORM_TOLERANCE:
        raise ValueError(f"theta must satisfy ||theta theta^T||_F = 1; got {np.linalg.norm(start):g}")
    return start, frame
