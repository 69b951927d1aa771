"""Fully connected networks of any width, depth and activation, with the scale of every layer free."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import erf
from jax.typing import ArrayLike

from simulations import validation

Function = Callable[[Array], Array]

ACTIVATIONS: dict[str, Function] = {
    "linear": lambda z: z,
    "relu": lambda z: jnp.maximum(z, 0.0),
    "erf": erf,
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "gelu": lambda z: z * jax.scipy.stats.norm.cdf(z),
    "swish": lambda z: z * jax.nn.sigmoid(z),
}


class Layer(NamedTuple):
    """Parameters of a layer, as gradient descent sees them."""

    weight: Array  # (n_out, n_in)
    bias: Array  # (n_out,)


Network = tuple[Layer, ...]


class Scales(NamedTuple):
    r"""What multiplies the parameters of each layer, and their standard deviations at the start; each of shape (L,).

    Layer l computes ``weight[l]`` W a + ``bias[l]`` b, with W and b drawn at ``weight_std[l]`` and ``bias_std[l]``.
    """

    weight: Array
    bias: Array
    weight_std: Array
    bias_std: Array


def ntk_scales(widths: Sequence[int], *, weight_std: float = 1.0, bias_std: float = 0.1) -> Scales:
    """Scales of the NTK parametrisation: standard normal parameters, weight_std / sqrt(n_in) and bias_std in front."""
    fan_in = jnp.asarray(validation.widths("widths", widths)[:-1], dtype=float)
    ones = jnp.ones_like(fan_in)
    return Scales(weight_std / jnp.sqrt(fan_in), bias_std * ones, ones, ones)


def standard_scales(widths: Sequence[int], *, weight_std: float = 1.0, bias_std: float = 0.1) -> Scales:
    """Scales of the standard parametrisation: nothing in front, everything in the initial standard deviations."""
    s = ntk_scales(widths, weight_std=weight_std, bias_std=bias_std)
    return Scales(s.weight_std, s.bias_std * (bias_std > 0), s.weight, s.bias)


def abc_scales(width: ArrayLike, a: ArrayLike, b: ArrayLike) -> Scales:
    """Scales of an abc parametrisation without biases: n^-a in front of weights of standard deviation n^-b."""
    n, a, b = jnp.asarray(width, dtype=float), jnp.asarray(a, dtype=float), jnp.asarray(b, dtype=float)
    return Scales(n**-a, jnp.zeros_like(a), n**-b, jnp.zeros_like(b))


def initialise(key: Array, widths: Sequence[int], scales: Scales) -> Network:
    """Draw Gaussian parameters for layers between ``widths`` n_0, ..., n_L."""
    sizes = validation.widths("widths", widths)
    layers = []
    for i, layer_key in enumerate(jax.random.split(key, len(sizes) - 1)):
        for_weight, for_bias = jax.random.split(layer_key)
        weight = scales.weight_std[i] * jax.random.normal(for_weight, (sizes[i + 1], sizes[i]))
        layers.append(Layer(weight, scales.bias_std[i] * jax.random.normal(for_bias, (sizes[i + 1],))))
    return tuple(layers)


def narrow(network: Network, scales: Scales, n: ArrayLike) -> tuple[Network, Scales]:
    """Keep the first n units of every hidden layer, as a network of the same shapes, with scales as 1 / sqrt(n).

    The other units are cut off on both sides, so that with an activation that vanishes at 0 they stay dead in training:
    what is computed is the network of width n, at the cost of the wide one, but n may be traced. One compilation then
    serves all widths.
    """
    kept = [layer.weight.shape[0] for layer in network[:-1]]
    masks = [jnp.arange(size) < n for size in kept]
    layers = list(network)
    for i, mask in enumerate(masks):
        layers[i] = Layer(layers[i].weight * mask[:, None], layers[i].bias * mask)
        layers[i + 1] = layers[i + 1]._replace(weight=layers[i + 1].weight * mask)
    growth = jnp.stack([jnp.ones(()), *(jnp.sqrt(size / jnp.asarray(n, dtype=float)) for size in kept)])
    return tuple(layers), scales._replace(weight=scales.weight * growth)


def outputs(network: Network, x: Array, scales: Scales, activation: Function) -> Array:
    """Return the outputs (N, n_out) for inputs x (N, d)."""
    return forward(network, x, scales, activation)[0]


def forward(network: Network, x: Array, scales: Scales, activation: Function) -> tuple[Array, list[Array], list[Array]]:
    """Return outputs, the activity that enters each layer, and the slopes of the activation behind all but the last."""
    activity = x
    entering: list[Array] = []
    slopes: list[Array] = []
    for i, layer in enumerate(network):
        entering.append(activity)
        z = scales.weight[i] * activity @ layer.weight.T + scales.bias[i] * layer.bias
        if i == len(network) - 1:
            return z, entering, slopes
        activity, slope = jax.jvp(activation, (z,), (jnp.ones_like(z),))
        slopes.append(slope)
    raise ValueError("network must have at least one layer")


def tangent_kernel(network: Network, x: Array, scales: Scales, activation: Function) -> Array:
    r"""Return the empirical tangent kernel (N, N) of a network with one output, layer by layer.

    The sum over layers of :math:`s_l^2 (\delta \delta^T) \circ (a a^T) + t_l^2\, \delta \delta^T`, with a what enters a
    layer, :math:`\delta` the gradient of the output with respect to what leaves it, and :math:`s_l, t_l` what stands in
    front of its weights and biases. No Jacobian is formed: O(N^2 n) operations and O(N n) numbers a layer.
    """
    _, entering, slopes = forward(network, x, scales, activation)
    delta = jnp.ones((x.shape[0], 1))
    kernel = jnp.zeros((x.shape[0], x.shape[0]))
    for i in range(len(network) - 1, -1, -1):
        gram = scales.weight[i] ** 2 * entering[i] @ entering[i].T + scales.bias[i] ** 2
        kernel += (delta @ delta.T) * gram
        if i > 0:
            delta = (scales.weight[i] * delta @ network[i].weight) * slopes[i - 1]
    return kernel
