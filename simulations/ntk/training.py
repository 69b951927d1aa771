"""Full-batch gradient descent on finite networks and on their linearisations."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from simulations.ntk.networks import Function, Network, Scales, outputs


def squared_error(network: Network, x: Array, y: Array, scales: Scales, activation: Function) -> Array:
    """Half the mean squared error over examples of a network with one output."""
    return 0.5 * jnp.mean((outputs(network, x, scales, activation)[:, 0] - y) ** 2)


def gradient_descent(
    network: Network,
    x: Array,
    y: Array,
    *,
    scales: Scales,
    activation: Function,
    learning_rate: ArrayLike,
    n_records: int,
    stride: int = 1,
    observe: Callable[[Network], Any],
) -> Any:
    """Train all parameters by gradient descent on `squared_error`, at one learning rate.

    Returns ``observe(network)`` before the first step and after every ``stride`` steps, ``n_records`` times, stacked on
    the first axis.
    """
    gradient = jax.grad(squared_error)

    def step(_: int, network: Network) -> Network:
        slope = gradient(network, x, y, scales, activation)
        return jax.tree.map(lambda p, g: p - learning_rate * g, network, slope)

    def record(network: Network, _: None) -> tuple[Network, Any]:
        network = jax.lax.fori_loop(0, stride, step, network)
        return network, observe(network)

    first = observe(network)
    _, later = jax.lax.scan(record, network, None, length=n_records)
    return jax.tree.map(lambda a, b: jnp.concatenate([jnp.asarray(a)[None], b]), first, later)


@partial(jax.jit, static_argnames=("activation", "n_records"))
def linearised_descent(
    network: Network,
    x: Array,
    y: Array,
    x_test: Array,
    *,
    scales: Scales,
    activation: Function,
    learning_rate: ArrayLike,
    stride: ArrayLike,
    n_records: int,
) -> Array:
    """Train the first-order expansion of a network in its parameters; predictions (n_records + 1, N + M) on the way.

    Parameters move in parameter space, by gradients of `squared_error` of the expansion; no kernel is formed.
    """
    inputs = jnp.concatenate([x, x_test])
    n = x.shape[0]

    def expansion(shift: Network) -> Array:
        value, change = jax.jvp(lambda p: outputs(p, inputs, scales, activation)[:, 0], (network,), (shift,))
        return value + change

    def loss(shift: Network) -> Array:
        return 0.5 * jnp.mean((expansion(shift)[:n] - y) ** 2)

    def step(_: int, shift: Network) -> Network:
        return jax.tree.map(lambda p, g: p - learning_rate * g, shift, jax.grad(loss)(shift))

    def record(shift: Network, _: None) -> tuple[Network, Array]:
        shift = jax.lax.fori_loop(0, stride, step, shift)
        return shift, expansion(shift)

    start = jax.tree.map(jnp.zeros_like, network)
    _, later = jax.lax.scan(record, start, None, length=n_records)
    return jnp.concatenate([expansion(start)[None], later])
