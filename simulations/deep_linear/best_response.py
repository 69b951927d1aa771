"""Two-layer linear networks under a penalty on their Jacobian, and a hypernetwork that gates their hidden units.

All are trained on sums over examples of what automatic differentiation says, by damped Gauss-Newton steps from random
weights, until no step helps.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation

PENALTIES = ("jacobian", "weights")

_LEAST_DAMPING, _MOST_DAMPING = 1e-14, 1e6  # relative to the mean of the normal matrix's diagonal
_ROUNDING = 1e-13  # of a sum of squares, relative


class Network(NamedTuple):
    """Weights of f(x) = s . (Q x): ``q`` of shape (hidden, inputs), ``s`` of shape (hidden,)."""

    q: Array
    s: Array


class GatedNetwork(NamedTuple):
    """A :class:`Network` for every penalty: row k of ``q`` is multiplied by sigmoid(slope_k lambda + offset_k)."""

    q: Array
    s: Array
    slope: Array
    offset: Array


class Trained(NamedTuple):
    """A trained network, its ``objective``, and the norm of the ``gradient`` that is left."""

    network: Any
    objective: Float[Array, "..."]
    gradient: Float[Array, "..."]


def output(network: Network, x: Array) -> Array:
    """Output of the network for one example."""
    return network.s @ (network.q @ x)


def input_weights(network: Network) -> Float[Array, " inputs"]:
    """Jacobian of the network with respect to its input, which no example changes."""
    return jax.jacobian(output, argnums=1)(network, jnp.zeros(network.q.shape[1]))


def respond(network: GatedNetwork, log_penalty: ArrayLike) -> Network:
    """Network that the gated one stands for at one penalty."""
    gates = jax.nn.sigmoid(network.slope * log_penalty + network.offset)
    return Network(gates[:, None] * network.q, network.s)


def residuals(
    network: Network, x: Array, targets: Array, log_penalty: ArrayLike, *, penalty: str = "jacobian"
) -> Float[Array, " residuals"]:
    """Numbers whose squares sum to the objective: errors, and the Jacobian at every example (or the weights)."""
    errors = jax.vmap(output, (None, 0))(network, x) - targets
    if penalty == "jacobian":
        jacobians = jax.vmap(jax.jacobian(output, argnums=1), (None, 0))(network, x)
        penalised = jnp.sqrt(jnp.exp(log_penalty) / x.shape[0]) * jnp.ravel(jacobians)
    else:
        penalised = jnp.exp(log_penalty / 2) * ravel_pytree(network)[0]
    return jnp.concatenate([errors, penalised])


def objective(
    network: Network, x: Array, targets: Array, log_penalty: ArrayLike, *, penalty: str = "jacobian"
) -> Float[Array, ""]:
    """Sum over examples of squared errors, plus the penalty: e^lambda times the mean squared norm of the Jacobian."""
    return jnp.sum(residuals(network, x, targets, log_penalty, penalty=penalty) ** 2)


def random_network(key: PRNGKeyArray, *, inputs: int, hidden: int) -> Network:
    """Draw Gaussian weights of a size that keeps outputs of order one."""
    validation.integer("inputs", inputs, minimum=1)
    validation.integer("hidden", hidden, minimum=1)
    first, second = jax.random.split(key)
    return Network(
        jax.random.normal(first, (hidden, inputs)) / jnp.sqrt(inputs),
        jax.random.normal(second, (hidden,)) / jnp.sqrt(hidden),
    )


def random_gated_network(key: PRNGKeyArray, *, inputs: int, hidden: int, log_penalties: ArrayLike) -> GatedNetwork:
    """Draw a gated network whose gates close somewhere among the penalties, with slopes between -2 and -1/2."""
    weights, slopes, places = jax.random.split(key, 3)
    network = random_network(weights, inputs=inputs, hidden=hidden)
    among = jnp.asarray(log_penalties)
    slope = -jnp.exp(jax.random.uniform(slopes, (hidden,), minval=-jnp.log(2.0), maxval=jnp.log(2.0)))
    place = jax.random.uniform(places, (hidden,), minval=among.min(), maxval=among.max())
    return GatedNetwork(*network, slope, -slope * place)


def train(
    start: Network,
    x: ArrayLike,
    targets: ArrayLike,
    log_penalty: ArrayLike,
    *,
    penalty: str = "jacobian",
    max_steps: int = 400,
) -> Trained:
    """Minimise the objective at one penalty. Costs O(n D p^2) a step for p weights.

    Parameters
    ----------
    start : Network
        Where to start.
    x : array_like, shape (n, D)
        Inputs, one row an example.
    targets : array_like, shape (n,)
        Targets.
    log_penalty : float
        Logarithm of the penalty's strength.
    penalty : 'jacobian' or 'weights'
        Whether the Jacobian of the function is penalised, or the squares of its weights.
    max_steps : int
        Steps tried at most; about twenty do.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is not finite, or ``penalty`` is neither of the two.
    """
    inputs, t = _data(x, targets)
    at = validation.finite("log_penalty", log_penalty, ndim=0)
    validation.choice("penalty", penalty, PENALTIES)
    _fits(start, inputs)
    return _train(start, inputs, t, at, penalty, validation.integer("max_steps", max_steps, minimum=1))


def train_gated(
    start: GatedNetwork,
    x: ArrayLike,
    targets: ArrayLike,
    log_penalties: ArrayLike,
    *,
    penalty: str = "jacobian",
    max_steps: int = 300,
) -> Trained:
    """Minimise the sum of the objectives at several penalties over gates and weights.

    Parameters
    ----------
    start, x, targets, penalty, max_steps
        As in :func:`train`.
    log_penalties : array_like, shape (L,)
        Logarithms of the penalties, more than two.

    Raises
    ------
    ValueError
        As in :func:`train`, or if there are fewer than three penalties: they leave the gates undetermined.
    """
    inputs, t = _data(x, targets)
    among = validation.finite("log_penalties", log_penalties, ndim=1)
    if among.shape[0] < 3:
        raise ValueError(f"log_penalties must hold at least 3 penalties; got {among.shape[0]}")
    validation.choice("penalty", penalty, PENALTIES)
    _fits(start, inputs)
    return _train_gated(start, inputs, t, among, penalty, validation.integer("max_steps", max_steps, minimum=1))


def ridge(
    x: ArrayLike, targets: ArrayLike, log_penalty: ArrayLike, *, centred: bool = False
) -> Float[Array, " inputs"]:
    """Solve (X^T X + e^lambda I) w = X^T t, after subtracting means over examples where ``centred``. Costs O(n D^2)."""
    inputs, t = _data(x, targets)
    if centred:
        inputs, t = inputs - jnp.mean(inputs, axis=0), t - jnp.mean(t)
    strength = jnp.exp(validation.finite("log_penalty", log_penalty, ndim=0))
    return jnp.linalg.solve(inputs.T @ inputs + strength * jnp.eye(inputs.shape[1]), inputs.T @ t)


def response_derivative(
    network: Network, x: ArrayLike, targets: ArrayLike, log_penalty: ArrayLike, *, penalty: str = "jacobian"
) -> Float[Array, " inputs"]:
    """Differentiate the input weights of a trained network in lambda, through the condition that its gradient is zero.

    Weights that are equivalent leave the Hessian singular; its pseudo-inverse moves along none of them. The network
    must be at a minimum, else the answer is that of no minimum. Costs O(p^3).
    """
    inputs, t = _data(x, targets)
    at = validation.finite("log_penalty", log_penalty, ndim=0)
    return _derivative(network, inputs, t, at, validation.choice("penalty", penalty, PENALTIES))


@partial(jax.jit, static_argnums=(4, 5))
def _train(start: Network, x: Array, targets: Array, log_penalty: Array, penalty: str, max_steps: int) -> Trained:
    return _gauss_newton(lambda network: residuals(network, x, targets, log_penalty, penalty=penalty), start, max_steps)


@partial(jax.jit, static_argnums=(4, 5))
def _train_gated(
    start: GatedNetwork, x: Array, targets: Array, log_penalties: Array, penalty: str, max_steps: int
) -> Trained:
    def everywhere(network: GatedNetwork) -> Array:
        def at(log_penalty: Array) -> Array:
            return residuals(respond(network, log_penalty), x, targets, log_penalty, penalty=penalty)

        return jnp.ravel(jax.vmap(at)(log_penalties))

    return _gauss_newton(everywhere, start, max_steps)


@partial(jax.jit, static_argnums=4)
def _derivative(network: Network, x: Array, targets: Array, log_penalty: Array, penalty: str) -> Array:
    flat, unravel = ravel_pytree(network)

    def slope(weights: Array, at: Array) -> Array:
        return jax.grad(lambda w: objective(unravel(w), x, targets, at, penalty=penalty))(weights)

    hessian = jax.jacfwd(slope)(flat, log_penalty)
    push = jax.jacfwd(slope, argnums=1)(flat, log_penalty)
    moved = -jnp.linalg.pinv(hessian, rtol=1e-9, hermitian=True) @ push
    return jax.jvp(lambda w: input_weights(unravel(w)), (flat,), (moved,))[1]


class _State(NamedTuple):
    """Where the descent is, with the residuals and their Jacobian there."""

    weights: Array
    values: Array
    jacobian: Array
    damping: Array
    tried: Array

    @property
    def cost(self) -> Array:
        return jnp.sum(self.values**2)

    @property
    def slope(self) -> Array:
        return 2 * self.jacobian.T @ self.values


def _gauss_newton(function: Callable[[Any], Array], start: Any, max_steps: int) -> Trained:
    """Levenberg-Marquardt: accept a step that lowers the sum of squares, or, at equal rounding, its gradient.

    The damping falls where the linear model foretold the gain, and rises where it did not; the descent ends when no
    damping helps.
    """
    flat, unravel = ravel_pytree(start)

    def at(weights: Array, damping: Array, tried: Array) -> _State:
        def twice(w: Array) -> tuple[Array, Array]:
            values = function(unravel(w))
            return values, values

        jacobian, values = jax.jacfwd(twice, has_aux=True)(weights)
        return _State(weights, values, jacobian, damping, tried)

    def going(state: _State) -> Array:
        return (state.tried < max_steps) & (state.damping < _MOST_DAMPING)

    def advance(state: _State) -> _State:
        normal = state.jacobian.T @ state.jacobian
        damped = normal + state.damping * jnp.trace(normal) / flat.size * jnp.eye(flat.size)
        step = jnp.linalg.solve(damped, state.slope / 2)
        trial = at(state.weights - step, state.damping, state.tried + 1)
        foretold = state.cost - jnp.sum((state.values - state.jacobian @ step) ** 2)
        settled = jnp.abs(trial.cost - state.cost) <= _ROUNDING * state.cost
        flatter = settled & (jnp.linalg.norm(trial.slope) < jnp.linalg.norm(state.slope))
        good = flatter | (~settled & (state.cost - trial.cost > foretold / 2))
        poor = ~flatter & (settled | (state.cost - trial.cost < foretold / 4))
        factor = jnp.where(good, 0.2, jnp.where(poor, 4.0, 1.0))
        kept = state._replace(tried=state.tried + 1)
        accepted = flatter | (~settled & (trial.cost < state.cost))
        found = jax.tree.map(lambda yes, no: jnp.where(accepted, yes, no), trial, kept)
        return found._replace(damping=jnp.maximum(factor * state.damping, _LEAST_DAMPING))

    last = jax.lax.while_loop(going, advance, at(flat, jnp.asarray(1e-2), jnp.asarray(0)))
    return Trained(unravel(last.weights), last.cost, jnp.linalg.norm(last.slope))


def _data(x: ArrayLike, targets: ArrayLike) -> tuple[Array, Array]:
    inputs, t = validation.finite("x", x, ndim=2), validation.finite("targets", targets, ndim=1)
    if 0 in inputs.shape or t.shape[0] != inputs.shape[0]:
        raise ValueError(f"targets must hold one number for each of {inputs.shape[0]} rows of x; got {t.shape[0]}")
    return inputs, t


def _fits(network: Network | GatedNetwork, x: Array) -> None:
    if network.q.shape[-1] != x.shape[1]:
        raise ValueError(f"start must take {x.shape[1]} inputs, the columns of x; got {network.q.shape[-1]}")
