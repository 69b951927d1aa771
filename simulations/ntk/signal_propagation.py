"""Signals in deep networks: sampled networks layer by layer, and the infinitely wide limit by quadrature.

Weights have variance ``c_w`` / n_in, biases ``c_b``. Means over a Gaussian neuron are taken on Gauss-Legendre panels
that break at zero, so that a kink there does no harm; all derivatives are automatic.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from simulations import validation
from simulations.ntk.networks import Function

REACH, PANELS, N_LEGENDRE = 9, 9, 24  # standard deviations, panels on each side, nodes in each
_LEGENDRE, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(N_LEGENDRE)
_EDGES = np.linspace(0, REACH, PANELS + 1)
_HALF = (_EDGES[:-1, None] + REACH / (2 * PANELS) * (1 + _LEGENDRE)).ravel()
_DENSITY = np.exp(-0.5 * _HALF**2) * np.tile(_LEGENDRE_WEIGHTS, PANELS) * REACH / (2 * PANELS) / np.sqrt(2 * np.pi)
NODES, WEIGHTS = np.concatenate([-_HALF[::-1], _HALF]), np.concatenate([_DENSITY[::-1], _DENSITY])
_THREE = np.sqrt(3) * np.array([-1.0, 0.0, 1.0])  # Gauss-Hermite
_THREE_WEIGHTS = np.array([1 / 6, 2 / 3, 1 / 6])
NEWTON_STEPS = 60


def gaussian_mean(function: Function, variance: ArrayLike) -> Array:
    """Mean of a function of one zero-mean Gaussian; converged for analytic functions up to variances of about 20."""
    return jnp.dot(function(jnp.sqrt(variance) * NODES), jnp.asarray(WEIGHTS))


def kernel_map(k: ArrayLike, c_w: ArrayLike, c_b: ArrayLike, activation: Function) -> Array:
    """Variance of a neuron in an infinitely wide layer behind one of variance k."""
    return jnp.asarray(c_b) + jnp.asarray(c_w) * gaussian_mean(lambda z: activation(z) ** 2, k)


def difference_map(k: ArrayLike, half: ArrayLike, c_w: ArrayLike, activation: Function) -> Array:
    """Variance of half the difference of two inputs of variance k, behind a layer where it is ``half`` squared."""
    mean, apart = jnp.sqrt(k - half**2) * NODES[:, None], half * _THREE
    squares = (activation(mean + apart) - activation(mean - apart)) ** 2
    return jnp.einsum("i,ij,j->", WEIGHTS, squares, _THREE_WEIGHTS) * c_w / 4


def growth(k: ArrayLike, c_w: ArrayLike, c_b: ArrayLike, activation: Function) -> Array:
    """Growth in one layer of small differences between two inputs: of their norms, and of their directions; (2,)."""
    parallel = jax.grad(kernel_map)(jnp.asarray(k, dtype=float), c_w, c_b, activation)
    second = jax.grad(jax.grad(lambda half: difference_map(k, half, c_w, activation)))
    return jnp.stack([parallel, second(0.0) / 2])


def critical_tuning(guess: ArrayLike, activation: Function) -> Array:
    """Find (k, c_w, c_b) where k is a fixed point and neither kind of difference grows or decays, by Newton steps."""

    def residual(point: Array) -> Array:
        k, c_w, c_b = point
        return jnp.append(growth(k, c_w, c_b, activation) - 1, kernel_map(k, c_w, c_b, activation) - k)

    def step(point: Array, _: None) -> tuple[Array, None]:
        return point - jnp.linalg.solve(jax.jacfwd(residual)(point), residual(point)), None

    return jax.lax.scan(step, validation.positive("guess", guess, ndim=1), None, length=NEWTON_STEPS)[0]


@partial(jax.jit, static_argnames=("activation", "depth"))
def kernel_path(k1: ArrayLike, c_w: ArrayLike, c_b: ArrayLike, *, activation: Function, depth: int) -> Array:
    """Variances of layers 1 to ``depth`` at infinite width, and their derivatives in that of the first; (depth, 2)."""

    def step(state: Array, _: None) -> tuple[Array, Array]:
        k, slope = state
        following = jax.jvp(lambda k: kernel_map(k, c_w, c_b, activation), (k,), (slope,))
        return jnp.stack(following), state

    return jax.lax.scan(step, jnp.stack([jnp.asarray(k1, dtype=float), jnp.ones(())]), None, length=depth)[1]


@partial(jax.jit, static_argnames=("activation", "depth"))
def difference_path(
    k1: ArrayLike, half: ArrayLike, c_w: ArrayLike, c_b: ArrayLike, *, activation: Function, depth: int
) -> Array:
    """Carry two close inputs of equal norm through wide layers: by how much their difference has grown, (depth,).

    Half the difference has the standard deviation ``half``; it is scaled back to that after every layer, so that it
    stays small against a norm that falls more slowly.
    """

    def step(state: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], Array]:
        k, apart, total = state
        grown = jnp.sqrt(difference_map(k, apart, c_w, activation)) / apart
        return (kernel_map(k, c_w, c_b, activation), apart, total * grown), total

    start = jnp.asarray(k1, dtype=float), jnp.asarray(half, dtype=float), jnp.ones(())
    return jax.lax.scan(step, start, None, length=depth)[1]


@partial(jax.jit, static_argnames=("activation", "layers"))
def response_variance(
    k1: ArrayLike, c_w: ArrayLike, c_b: ArrayLike, *, activation: Function, layers: tuple[int, ...]
) -> Array:
    """Relative variance that the sampling noise of all layers puts on that of some, to first order, times the width.

    Every layer's mean of phi squared is disturbed; reverse differentiation gives what each disturbance does to the
    variance in the later ``layers``, and the disturbances of sampled neurons are independent. Shape (len(layers),).
    """

    def path(disturbances: Array) -> Array:
        def step(k: Array, disturbance: Array) -> tuple[Array, Array]:
            return kernel_map(k, c_w, c_b, activation) + disturbance, k

        last, earlier = jax.lax.scan(step, jnp.asarray(k1, dtype=float), disturbances)
        return jnp.append(earlier, last)

    def noise(k: Array) -> Array:
        square = activation(jnp.sqrt(k) * NODES) ** 2
        return jnp.asarray(c_w**2 * WEIGHTS @ (square - WEIGHTS @ square) ** 2)

    at = np.asarray(layers) - 1
    still = jnp.zeros(max(layers) - 1)
    variances = path(still)
    effect = jax.jacrev(lambda disturbances: path(disturbances)[at])(still)
    return jnp.asarray(effect**2 @ jax.lax.map(noise, variances[:-1]) / variances[at] ** 2)


def sample_network(
    key: Array, x: Array, widths: Sequence[int], c_w: ArrayLike, c_b: ArrayLike, activation: Function
) -> list[Array]:
    """Preactivations of every layer of one network for inputs (d, N); a list of arrays (n_l, N)."""
    signal, found = x, []
    for layer_key, n in zip(jax.random.split(key, len(widths)), widths, strict=True):
        for_weight, for_bias = jax.random.split(layer_key)
        weight = jax.random.normal(for_weight, (n, signal.shape[0])) * jnp.sqrt(c_w / signal.shape[0])
        z = weight @ signal + jax.random.normal(for_bias, (n, 1)) * jnp.sqrt(c_b)
        found.append(z)
        signal = activation(z)
    return found


def sample_variances(
    key: Array, k1: ArrayLike, widths: Sequence[int], c_w: ArrayLike, c_b: ArrayLike, activation: Function
) -> Array:
    """Conditional variances of layers 2 to len(widths) + 1 of one network, shape (len(widths),).

    Given the layer before, the neurons of a layer are independent Gaussians of one variance for a single input; drawing
    them takes no weight matrix, and costs as many numbers as there are neurons.
    """
    k, found = jnp.asarray(k1, dtype=float), []
    for layer_key, n in zip(jax.random.split(key, len(widths)), widths, strict=True):
        z = jnp.sqrt(k) * jax.random.normal(layer_key, (n,))
        k = jnp.asarray(c_b) + jnp.asarray(c_w) * jnp.mean(activation(z) ** 2)
        found.append(k)
    return jnp.stack(found)


def connected_correlations(z: Array) -> Array:
    """Unbiased estimates from the layers (networks, n) of several networks, of mean square and connected correlations.

    Of E z_i^2, of E z_i^2 z_j^2 - (E z_i^2)^2 over pairs of different neurons, and of E z_i^4 - 3 (E z_i^2)^2; the
    squared mean is taken over pairs of different networks.
    """
    square = z * z
    within, fourth = _over_pairs(square), jnp.mean(square**2)
    means = jnp.mean(square, axis=1)
    apart = _over_pairs(means)
    return jnp.stack([jnp.mean(means), jnp.mean(within) - apart, fourth - 3 * apart])


def _over_pairs(values: Array) -> Array:
    """Mean product of two different entries along the last axis."""
    n = values.shape[-1]
    return (jnp.sum(values, axis=-1) ** 2 - jnp.sum(values**2, axis=-1)) / (n * (n - 1))
