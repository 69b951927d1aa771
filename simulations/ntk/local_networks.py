"""Convolutional ReLU networks without overlaps: their empirical kernels, and the spectra of what their units compute.

An input is p patches in s dimensions. The first layer applies the same filters to every patch; a deeper one applies
filters to groups of neighbouring patches; the last is linear in all that there is.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from simulations import validation


class LocalNetwork(NamedTuple):
    """Filters of the first layer (n, s), of deeper ones (n, n, group), and the last layer (n, positions)."""

    filters: Array
    deeper: tuple[Array, ...]
    readout: Array


def local_network(key: Array, *, n: int, shape: tuple[int, int], groups: Sequence[int] = ()) -> LocalNetwork:
    """Draw standard normal parameters of a network of width n for inputs of ``shape`` (p, s)."""
    patches, size = shape
    first, last, *rest = jax.random.split(key, 2 + len(groups))
    deeper = tuple(jax.random.normal(k, (n, n, group)) for k, group in zip(rest, groups, strict=True))
    positions = patches // int(np.prod(groups, dtype=int))
    return LocalNetwork(jax.random.normal(first, (n, size)), deeper, jax.random.normal(last, (n, positions)))


def local_output(network: LocalNetwork, x: Array) -> Array:
    """Return the output for one input (p, s), each layer normalised by what it sums over."""
    n = network.filters.shape[0]
    z = network.filters @ x.T
    for layer in network.deeper:
        activity = jnp.sqrt(2.0) * jnp.maximum(z, 0.0)
        grouped = activity.reshape(n, -1, layer.shape[2])
        z = jnp.einsum("acj,cmj->am", layer, grouped) / jnp.sqrt(n * layer.shape[2])
    activity = jnp.sqrt(2.0) * jnp.maximum(z, 0.0)
    return jnp.sum(network.readout * activity) / jnp.sqrt(activity.size)


def local_kernels(key: Array, x: Array, n: int, groups: tuple[int, ...] = ()) -> Array:
    """Empirical kernels (2, N, N) of inputs (N, p, s): of the last layer alone, and of all parameters."""
    network = local_network(key, n=n, shape=(x.shape[1], x.shape[2]), groups=groups)
    gradients = jax.vmap(jax.grad(local_output), in_axes=(None, 0))(network, x)

    def gram(part: Any) -> Array:
        return sum(
            (g.reshape(g.shape[0], -1) @ g.reshape(g.shape[0], -1).T for g in jax.tree.leaves(part)), jnp.zeros(())
        )

    return jnp.stack([gram(gradients.readout), gram(gradients)])


def unit_power(frequencies: ArrayLike, *, kernel: str, n_nodes: int = 400) -> Array:
    r"""Eigenvalues of a layer of ReLU units on the circle, as the power spectrum of what units do.

    A unit of direction phi answers to the point a by relu(cos(phi - a)), and its filter's gradient is the step of that
    times the point, in the unit's own frame (cos, sin). The kernel averages products over directions, and so has the
    sum of squared Fourier coefficients of these for eigenvalues. Integrals over the half circle by Gauss-Legendre.
    """
    kernel = validation.choice("kernel", kernel, ("rfk", "ntk"))
    k = jnp.asarray(frequencies, dtype=float)
    nodes, weights = np.polynomial.legendre.leggauss(n_nodes)
    angles = jnp.asarray(nodes * np.pi / 2)
    waves = jnp.exp(-1j * k[..., None] * angles)

    def power(feature: Array) -> Array:
        coefficient = waves @ (jnp.asarray(weights) * feature) / 4  # of the mean over the whole circle
        return jnp.abs(coefficient) ** 2

    value, across = power(jnp.cos(angles)), power(jnp.sin(angles))
    return 4 * value if kernel == "rfk" else 4 * value + 2 * (value + across)


@partial(jax.jit, static_argnames=("n", "kernel"))
def torus_spectrum(*, n: int, kernel: str) -> Array:
    """Spectrum (n, n / 2 + 1) of the kernel of two hidden layers on two circles, by FFT on an n x n grid."""
    kernel = validation.choice("kernel", kernel, ("rfk", "ntk"))
    angle = jnp.abs((jnp.arange(n) + n // 2) % n - n // 2) * (2 * jnp.pi / n)
    value, gate = smooth_arc(angle), sharp_arc(angle)
    tangent = value + gate * jnp.cos(angle)
    both = jnp.arccos(jnp.clip((value[:, None] + value) / 2, -1.0, 1.0))
    whole = smooth_arc(both)
    if kernel == "ntk":
        whole = whole + sharp_arc(both) * (tangent[:, None] + tangent) / 2
    return jnp.abs(jnp.fft.rfft2(whole)) / n**2


def smooth_arc(angle: Array) -> Array:
    """Mean product of two ReLU units' answers at an angle, over that at angle zero."""
    return (jnp.sin(angle) + (jnp.pi - angle) * jnp.cos(angle)) / jnp.pi


def sharp_arc(angle: Array) -> Array:
    """Mean product of two step units' answers at an angle, over that at angle zero."""
    return (jnp.pi - angle) / jnp.pi
