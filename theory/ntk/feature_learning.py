r"""Infinite width with feature learning: networks with one hidden layer in the maximal update parametrisation.

Neurons become independent copies of one random neuron :math:`(U, V)`, of input weights U and output weight V times n,
and training moves its distribution. Gradient descent with learning rate :math:`\eta` on
:math:`\frac{1}{2N} \sum_i (f(x_i) - y_i)^2` moves every neuron by

.. math:: U' = U - \eta V \sum_i \chi_i \phi'(U \cdot x_i)\, x_i, \qquad
    V' = V - \eta \sum_i \chi_i \phi(U \cdot x_i), \qquad
    \chi_i = (f(x_i) - y_i) / N, \quad f(\xi) = E[V \phi(U \cdot \xi)],

from :math:`(U, V) \sim N(0, I_{d+1})`. Mean-field networks, 1/n in front of the sum and learning rate n, do the same.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.ntk.activations import Activation, ActivationLike, resolve
from theory.validation import finite, integer, positive_scalar

Array = NDArray[np.float64]

FARTHEST = 8.5  # standard deviations, where the Gaussian is 2e-16 of its height
REACH = 1.5  # standard deviations over the cubic root of the nodes: tails then cost what the spacing does
NEGLIGIBLE = 1e-18  # weight of a node, relative to the largest, below which it is left out
MAX_PARTICLES = 20_000_000


class MuPPath(NamedTuple):
    """Outputs (n_steps + 1, M), and second moments of (U, V), (n_steps + 1, d + 1, d + 1); initial values first."""

    f: Array
    moments: Array


def mup_linear_limit(
    x: ArrayLike, y: ArrayLike, *, lr: float, n_steps: int, x_test: ArrayLike | None = None
) -> MuPPath:
    r"""Infinitely wide linear network with one hidden layer in the maximal update parametrisation, trained.

    A neuron is a linear function of what it was at the start, so that it stays Gaussian, and its second moments M
    evolve by themselves:

    .. math:: f_t(\xi) = \sum_j M_{t,jV} \xi_j, \quad s_t = \frac1N \sum_i (f_t(x_i) - y_i)\, x_i, \quad
        M_{t+1} = Q_t M_t Q_t^T, \quad Q_t = I - \eta \begin{pmatrix} 0 & s_t \\ s_t^T & 0 \end{pmatrix},

    from M = I. The imbalance tr M_UU - M_VV changes by :math:`\eta^2 (|s_t|^2 M_{VV} - s_t^T M_{UU} s_t)` in a step,
    and is conserved by gradient flow. At width n outputs differ from the limit by O(n^-1/2) in one network, and by
    O(1/n) on average. Costs O(n_steps d (N + d)).

    Parameters
    ----------
    x : array_like, shape (N, d)
        Training inputs. First-layer weights have variance one, not 1/d.
    y : array_like, shape (N,)
        Targets.
    lr : float
        Learning rate :math:`\eta > 0` of all weights.
    n_steps : int
        Steps of full-batch gradient descent.
    x_test : array_like, shape (M, d), optional
        Where to evaluate; the training inputs when left out.

    Returns
    -------
    MuPPath

    Raises
    ------
    ValueError
        If shapes do not match, an entry is not finite, ``lr`` is not positive, ``n_steps`` negative, or training
        diverges.

    References
    ----------
    Yang and Hu (2021), the maximal update limit of linear one-hidden-layer networks.

    Examples
    --------
    >>> path = mup_linear_limit([[1.0], [-2.0]], [1.0, -2.0], lr=0.1, n_steps=100)
    >>> print(path.f[[0, -1]].round(6))
    [[ 0.  0.]
     [ 1. -2.]]
    """
    x, y, x_test, steps = _problem(x, y, x_test, n_steps)
    eta = positive_scalar("lr", lr)
    d = x.shape[1]
    moments = np.empty((steps + 1, d + 1, d + 1))
    moments[0] = np.eye(d + 1)
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps):
            pull = x.T @ (x @ moments[t, :d, d] - y) / y.size
            step = np.eye(d + 1)
            step[:d, d] = step[d, :d] = -eta * pull
            moments[t + 1] = step @ moments[t] @ step.T
    _check_convergence(moments, eta)
    return MuPPath(moments[:, :d, d] @ x_test.T, moments)


def mup_two_layer_limit(
    x: ArrayLike,
    y: ArrayLike,
    *,
    lr: float,
    n_steps: int,
    activation: ActivationLike = "tanh",
    n_nodes: int = 30,
    x_test: ArrayLike | None = None,
) -> Array:
    r"""Infinitely wide network with one hidden layer in the maximal update parametrisation, trained; its outputs.

    The mean over neurons is a trapezoidal rule over their initial values, whose nodes are carried along as particles of
    fixed weight. Spacing and reach shrink and grow together, so that for analytic activations the error falls as the
    exponential of a power of ``n_nodes``: with tanh, two-dimensional inputs of length one and ten steps at rate 0.8 it
    was 3e-6 with 30 nodes and 1e-7 with 60, where Gauss-Hermite nodes gave 5e-5 and 8e-6. Larger inputs and longer
    training cost more; compare two numbers of nodes. Only the span of all inputs matters, and its dimension m sets the
    costs, O(n_steps n_nodes^(m+1) (N + M)) in time and memory without the n_steps; m up to 3 is practical.

    Parameters
    ----------
    x : array_like, shape (N, d)
        Training inputs.
    y : array_like, shape (N,)
        Targets.
    lr : float
        Learning rate :math:`\eta > 0` of all weights.
    n_steps : int
        Steps of full-batch gradient descent.
    activation : str, tuple or Activation
        As in `nngp_ntk`; a custom one must hold its derivative. Those with a kink converge as n_nodes^-2 at best.
    n_nodes : int
        Nodes an axis.
    x_test : array_like, shape (M, d), optional
        Where to evaluate; the training inputs when left out.

    Returns
    -------
    array, shape (n_steps + 1, M)
        Outputs, before the first step (zero) and after every step.

    Raises
    ------
    ValueError
        As `mup_linear_limit`; if the activation has no derivative; or if there would be more than 2e7 particles.

    References
    ----------
    Yang and Hu (2021), the maximal update limit of one-hidden-layer networks; in the language of particles, Mei,
    Montanari and Nguyen (2018).

    Examples
    --------
    >>> print(mup_two_layer_limit([[1.0]], [1.0], lr=1.0, n_steps=3)[1:].round(5).T)
    [[0.70819 0.89959 0.96886]]
    """
    x, y, x_test, steps = _problem(x, y, x_test, n_steps)
    eta = positive_scalar("lr", lr)
    phi = resolve(activation)
    if phi.derivative is None:
        raise ValueError(f"activation must hold its derivative; {phi.name!r} has none")
    nodes = integer("n_nodes", n_nodes, minimum=3)
    span = _span(np.concatenate([x, x_test]))
    x, x_test = x @ span, x_test @ span
    particles, weights = _particles(x.shape[1] + 1, nodes)
    u, v = particles[:, :-1], particles[:, -1]
    f = np.empty((steps + 1, len(x_test)))
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(steps + 1):
            f[t] = (weights * v) @ phi.value(u @ x_test.T)
            if t == steps:
                break
            u, v = _moved(u, v, weights, x, y, eta, phi)
    _check_convergence(f, eta)
    return f


def _moved(u: Array, v: Array, weights: Array, x: Array, y: Array, eta: float, phi: Activation) -> tuple[Array, Array]:
    """Particles after one step of gradient descent."""
    assert phi.derivative is not None
    z = u @ x.T
    activity = phi.value(z)
    residual = ((weights * v) @ activity - y) / y.size
    return u - eta * v[:, None] * ((phi.derivative(z) * residual) @ x), v - eta * (activity @ residual)


def _particles(dimension: int, n_nodes: int) -> tuple[Array, Array]:
    """Nodes (P, dimension) and weights (P,) of a rule for the standard normal, without those of negligible weight."""
    reach = min(REACH * n_nodes ** (1 / 3), FARTHEST)
    axis = np.linspace(-reach, reach, n_nodes)
    exponents = np.zeros(())
    for _ in range(dimension):
        if exponents.size * n_nodes > MAX_PARTICLES:
            count = f"{n_nodes}^{dimension}"
            raise ValueError(f"n_nodes must leave at most {MAX_PARTICLES:.0e} particles; got {count} of them")
        exponents = exponents[..., None] - 0.5 * axis**2
    kept = np.nonzero(exponents > np.log(NEGLIGIBLE) + exponents.max())
    weights = np.exp(exponents[kept])
    return np.stack([axis[index] for index in kept], axis=1), weights / weights.sum()


def _span(inputs: Array) -> Array:
    """Orthonormal columns (d, m) whose span holds all inputs, at least one column."""
    _, sizes, rows = np.linalg.svd(inputs, full_matrices=False)
    rank = int(np.sum(sizes > 1e-13 * max(sizes[0], 1e-300)))
    return rows[: max(rank, 1)].T


def _problem(x: ArrayLike, y: ArrayLike, x_test: ArrayLike | None, n_steps: int) -> tuple[Array, Array, Array, int]:
    x, y = finite("x", x, ndim=2), finite("y", y, ndim=1)
    if 0 in x.shape or y.shape != x.shape[:1]:
        raise ValueError(f"x must have shape (N, d) and y (N,), none of them empty; got {x.shape} and {y.shape}")
    test = x if x_test is None else finite("x_test", x_test, ndim=2)
    if test.shape[1] != x.shape[1]:
        raise ValueError(f"x_test must have {x.shape[1]} columns as x; got shape {test.shape}")
    return x, y, test, integer("n_steps", n_steps, minimum=0)


def _check_convergence(values: Any, eta: float) -> None:
    if not np.all(np.isfinite(values)):
        raise ValueError(f"lr must be small enough for gradient descent not to diverge; got {eta:g}")
