"""Networks with one hidden layer seen as populations of neurons: U, the input weights, and V, n times the output's.

Outputs are means of V phi(U x) over neurons, and gradient descent in the maximal update parametrisation moves U and V
at rates that do not depend on the width.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from simulations import validation
from simulations.ntk.networks import Function, Layer, Network, Scales, abc_scales

A, B = np.array([-0.5, 0.5]), np.array([0.5, 0.5])  # of the maximal update parametrisation


def network_of(neurons: Array) -> tuple[Network, Scales]:
    """Return the network without biases that has the given neurons (n, d + 1), rows (U, V), and its scales."""
    n = neurons.shape[0]
    scales = abc_scales(n, A, B)
    first = neurons[:, :-1] / scales.weight[0]
    last = neurons[:, -1:].T / (n * scales.weight[1])
    return (Layer(first, jnp.zeros(n)), Layer(last, jnp.zeros(1))), scales


def neurons_of(network: Network, scales: Scales) -> Array:
    """Return the neurons (n, d + 1) of a network with one hidden layer and one output."""
    first, last = network
    n = first.weight.shape[0]
    return jnp.concatenate([scales.weight[0] * first.weight, n * scales.weight[1] * last.weight.T], axis=1)


def moments_of(neurons: Array, masses: Array) -> Array:
    """Second moments (d + 1, d + 1) of a population."""
    return (neurons.T * masses) @ neurons


def quadrature_neurons(dimension: int, n_nodes: int) -> tuple[Array, Array]:
    """Gauss-Hermite nodes (P, dimension) and masses (P,) that stand for the standard normal distribution."""
    dimension = validation.integer("dimension", dimension, minimum=1)
    nodes, masses = np.polynomial.hermite_e.hermegauss(validation.integer("n_nodes", n_nodes, minimum=1))
    grid = np.meshgrid(*[nodes] * dimension, indexing="ij")
    shares = np.meshgrid(*[masses / masses.sum()] * dimension, indexing="ij")
    return jnp.stack([axis.ravel() for axis in grid], axis=1), jnp.asarray(np.prod(shares, axis=0).ravel())


def population_descent(
    neurons: Array,
    masses: Array,
    x: Array,
    y: Array,
    *,
    learning_rate: ArrayLike,
    n_steps: int,
    activation: Function,
    x_test: Array,
) -> Array:
    """Train a population of neurons of unequal masses on half the mean squared error; test outputs (n_steps + 1, M).

    A neuron moves against the gradient of the loss divided by its mass, as each of so many equal neurons would.
    """

    def share(neuron: Array, inputs: Array) -> Array:
        return neuron[-1] * activation(inputs @ neuron[:-1])

    def outputs(neurons: Array, inputs: Array) -> Array:
        return masses @ jax.vmap(share, (0, None))(neurons, inputs)

    def step(neurons: Array, _: None) -> tuple[Array, Array]:
        residual = (outputs(neurons, x) - y) / y.size
        pull = jax.vmap(jax.grad(lambda neuron: residual @ share(neuron, x)))(neurons)
        neurons = neurons - learning_rate * pull
        return neurons, outputs(neurons, x_test)

    _, path = jax.lax.scan(step, neurons, None, length=n_steps)
    return jnp.concatenate([outputs(neurons, x_test)[None], path])


def without_linear_part(values: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Take from ``values`` (R, m) what is linear in ``controls`` (R, k), whose means are known to be zero.

    The mean stays; slopes for the even replicates are fitted on the odd ones and the other way round, so that they are
    independent of what they multiply.
    """
    left = np.array(values, dtype=float)
    for first in (0, 1):
        here, there = slice(first, None, 2), slice(1 - first, None, 2)
        design = np.column_stack([np.ones(len(controls[there])), controls[there]])
        slopes = np.linalg.lstsq(design, values[there], rcond=None)[0][1:]
        left[here] -= controls[here] @ slopes
    return left
