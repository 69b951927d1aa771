"""Real networks under a deep linear head: a perceptron and a small convolutional network for 8 x 8 images."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from simulations import validation
from simulations.neural_collapse.readouts import head_product

SIDE = 8  # pixels
WINDOW = 3


class Perceptron(eqx.Module):
    """ReLU layers, leaky or not, and a linear one on top; maps images (N, pixels) to features (d, N)."""

    weights: tuple[Float[Array, "outputs inputs"], ...]
    biases: tuple[Float[Array, " outputs"] | None, ...]
    negative_slope: float = eqx.field(static=True, default=0.0)

    def __call__(self, images: Float[Array, "samples pixels"]) -> Float[Array, "dim samples"]:
        """Features of the images."""
        return _dense(images.T, self.weights, self.biases, self.negative_slope)


class Convolutional(eqx.Module):
    """Two 3 x 3 convolutions with ReLU, leaky or not, averaging over 2 x 2 pixels between them, dense layers on top.

    Kernels have shape (channels out, 9 channels in).
    """

    kernels: tuple[Float[Array, "channels patch"], Float[Array, "channels patch"]]
    kernel_biases: tuple[Float[Array, " channels"], Float[Array, " channels"]]
    weights: tuple[Float[Array, "outputs inputs"], ...]
    biases: tuple[Float[Array, " outputs"] | None, ...]
    negative_slope: float = eqx.field(static=True, default=0.0)

    def __call__(self, images: Float[Array, "samples pixels"]) -> Float[Array, "dim samples"]:
        """Features of the images."""
        x = _convolve(images.reshape(-1, 1, SIDE, SIDE), self.kernels[0], self.kernel_biases[0], self.negative_slope)
        x = x.reshape(*x.shape[:2], SIDE // 2, 2, SIDE // 2, 2).mean(axis=(3, 5))
        x = _convolve(x, self.kernels[1], self.kernel_biases[1], self.negative_slope)
        return _dense(x.reshape(x.shape[0], -1).T, self.weights, self.biases, self.negative_slope)


class Network(eqx.Module):
    """A backbone, the layers (W_1, ..., W_M) of a linear head from the feature side, and its bias if any."""

    backbone: Perceptron | Convolutional
    head: tuple[Float[Array, "outputs inputs"], ...]
    bias: Float[Array, " classes"] | None


class NetworkDecays(NamedTuple):
    """Weight decays: one a head layer (M,), of the features (summed over samples), and of the backbone's matrices."""

    head: Float[Array, " layers"]
    features: Float[Array, ""]
    backbone: Float[Array, ""]


def perceptron(
    widths: Sequence[int], *, rng: np.random.Generator, feature_bias: bool = True, negative_slope: float = 0.0
) -> Perceptron:
    """Perceptron of the given widths, pixels first and feature dimension last, with He initialisation and zero biases.

    The last layer is linear, and has a bias only with ``feature_bias``. Units have slope 1 above zero and
    ``negative_slope`` >= 0 below; with none, they may die on some images, which then stay where they are.
    """
    sizes = validation.widths("widths", widths)
    slope = float(validation.nonnegative("negative_slope", negative_slope, ndim=0))
    return Perceptron(*_dense_layers(sizes, rng, feature_bias), slope)


def convolutional(
    channels: Sequence[int],
    widths: Sequence[int],
    *,
    rng: np.random.Generator,
    feature_bias: bool = True,
    negative_slope: float = 0.0,
) -> Convolutional:
    """Two convolutions with the given numbers of channels, then dense layers of the given widths, features last.

    The last layer is linear, and has a bias only with ``feature_bias``. He initialisation, zero biases. Units as in
    `perceptron`.
    """
    slope = float(validation.nonnegative("negative_slope", negative_slope, ndim=0))
    first, second = (validation.integer("channels", count, minimum=1) for count in channels)
    tops = [validation.integer("widths", width, minimum=1) for width in widths]
    if not tops:
        raise ValueError("widths must hold at least the dimension of the features; got none")
    patch = WINDOW**2
    kernels = (_he(rng, first, patch), _he(rng, second, patch * first))
    flat = second * (SIDE // 2) ** 2
    weights, biases = _dense_layers([flat, *tops], rng, feature_bias)
    return Convolutional(kernels, (jnp.zeros(first), jnp.zeros(second)), weights, biases, slope)


def with_head(
    backbone: Perceptron | Convolutional,
    dims: Sequence[int],
    num_classes: int,
    *,
    rng: np.random.Generator,
    bias: bool = False,
) -> Network:
    """Put a linear head of input widths ``dims`` = (d_1, ..., d_M) on a backbone, entries of variance 1 / fan-in."""
    sizes = [validation.integer("dims", width, minimum=1) for width in dims]
    k = validation.integer("num_classes", num_classes, minimum=2)
    if not sizes or sizes[0] != backbone.weights[-1].shape[0]:
        raise ValueError(
            f"dims must start with the dimension of the features, {backbone.weights[-1].shape[0]}; got {sizes}"
        )
    chain = [*sizes, k]
    head = tuple(
        jnp.asarray(rng.standard_normal((chain[m + 1], chain[m])) / np.sqrt(chain[m])) for m in range(len(sizes))
    )
    return Network(backbone, head, jnp.zeros(k) if bias else None)


def network_decays(
    *, head: ArrayLike | Sequence[float], features: ArrayLike = 0.0, backbone: ArrayLike = 0.0
) -> NetworkDecays:
    """Decays of a network, each nonnegative; see :func:`network_objective`."""
    return NetworkDecays(
        validation.nonnegative("head", jnp.asarray(head, dtype=jnp.float64), ndim=1),
        validation.nonnegative("features", features, ndim=0),
        validation.nonnegative("backbone", backbone, ndim=0),
    )


def network_objective(
    network: Network, images: Float[Array, "samples pixels"], labels: Int[Array, " samples"], decays: NetworkDecays
) -> Float[Array, ""]:
    r"""Squared loss of a network with decay on its head, its features, and the matrices of its backbone.

    .. math:: \frac{1}{2N} \sum_i |W_M \cdots W_1 h_\theta(x_i) + b - y_i|^2
              + \sum_m \frac{\lambda_m}{2} \lVert W_m \rVert_F^2 + \frac{\lambda_H}{2} \sum_i |h_\theta(x_i)|^2
              + \frac{\mu}{2} \sum_l \lVert \theta_l \rVert_F^2
    """
    features = network.backbone(images)
    outputs = head_product(network.head) @ features
    if network.bias is not None:
        outputs = outputs + network.bias[:, None]
    targets = jax.nn.one_hot(labels, outputs.shape[0], axis=0, dtype=outputs.dtype)
    value = jnp.mean(jnp.sum((outputs - targets) ** 2, axis=0)) + decays.features * jnp.sum(features**2)
    value = value + sum(lam * jnp.sum(weight**2) for lam, weight in zip(decays.head, network.head, strict=True))
    matrices = [leaf for leaf in jax.tree.leaves(network.backbone) if leaf.ndim == 2]
    return 0.5 * (value + decays.backbone * sum(jnp.sum(matrix**2) for matrix in matrices))


def _dense(x: Array, weights: tuple[Array, ...], biases: tuple[Array | None, ...], slope: float) -> Array:
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        x = weight @ x
        if bias is not None:
            x = x + bias[:, None]
        if index + 1 < len(weights):
            x = jax.nn.leaky_relu(x, slope)
    return x


def _dense_layers(
    sizes: Sequence[int], rng: np.random.Generator, feature_bias: bool
) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
    weights = tuple(_he(rng, outputs, inputs) for inputs, outputs in pairwise(sizes))
    biases: list[Array | None] = [jnp.zeros(size) for size in sizes[1:]]
    if not feature_bias:
        biases[-1] = None
    return weights, tuple(biases)


def _he(rng: np.random.Generator, outputs: int, inputs: int) -> Array:
    return jnp.asarray(rng.standard_normal((outputs, inputs)) * np.sqrt(2 / inputs))


def _convolve(x: Array, kernel: Array, bias: Array, slope: float) -> Array:
    """Convolve (N, c, s, s) with 3 x 3 windows, zeros beyond the border, and apply a leaky ReLU."""
    s = x.shape[-1]
    padded = jnp.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    # Shifted copies and one product of matrices: XLA's own convolution is slow on CPUs in float64.
    windows = [padded[:, :, i : i + s, j : j + s] for i in range(WINDOW) for j in range(WINDOW)]
    sums = jnp.einsum("cp,npij->ncij", kernel, jnp.concatenate(windows, axis=1)) + bias[:, None, None]
    return jax.nn.leaky_relu(sums, slope)
