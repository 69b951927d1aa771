"""Noisy layers as channels: what is left of a divergence behind dropout, DropConnect and Gaussian noise."""

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from simulations.generalization._finite_learners import kl_divergence

Floats = NDArray[np.float64]

MIN_DIVERGENCE, MAX_DIVERGENCE = 1e-2, 1e2  # nats: below, rounding would show; above, probabilities underflow


def dropout_channel(inputs: Floats, rate: float) -> Floats:
    """Transition matrix from inputs (k, d) to outcomes of zeroing units independently; all 2^d masks are tried."""
    d = inputs.shape[1]
    masks = (np.arange(2**d)[:, None] >> np.arange(d)) & 1
    weights = rate ** (d - masks.sum(axis=1)) * (1 - rate) ** masks.sum(axis=1)
    return _tabulate(inputs[:, None, :] * masks[None], weights)


def dropconnect_channel(inputs: Floats, W: Floats, rate: float) -> Floats:
    """Transition matrix from inputs (k, d_in) to outcomes of dropping weights of W (d_out, d_in) independently."""
    number = W.size
    masks = ((np.arange(2**number)[:, None] >> np.arange(number)) & 1).reshape(-1, *W.shape)
    kept = masks.sum(axis=(1, 2))
    weights = rate ** (number - kept) * (1 - rate) ** kept
    return _tabulate(np.einsum("moi,ki->kmo", masks * W, inputs), weights)


def _tabulate(outcomes: Floats, weights: Floats) -> Floats:
    """Give every distinct outcome (to 1e-9) a column, and add up the weights (masks,) of the outcomes (k, masks, d)."""
    k, masks, d = outcomes.shape
    _, column = np.unique(np.round(outcomes.reshape(-1, d), 9) + 0.0, axis=0, return_inverse=True)
    column = column.reshape(k, masks)
    channel = np.zeros((k, column.max() + 1))
    for row in range(k):
        np.add.at(channel[row], column[row], weights)
    return channel


def softmax_pair(point: Array) -> tuple[Array, Array]:
    """Read two laws off an unconstrained vector, whose halves are logits."""
    logits = point.reshape(2, -1)
    weights = jnp.exp(logits - jnp.max(logits, axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights[0], weights[1]


def contraction_of_pair(point: Array, channel: Array) -> Array:
    """Share of the divergence between two laws, given as logits, that a channel lets through.

    Not a number outside of 0.01 to 100 nats.
    """
    p, q = softmax_pair(point)
    return _share(kl_divergence(p @ channel, q @ channel), kl_divergence(p, q))


def _share(behind: Array, before: Array) -> Array:
    return jnp.where((before > MIN_DIVERGENCE) & (before < MAX_DIVERGENCE), behind / before, jnp.nan)


def contraction_of_noise(point: Array, diameter: Array, noise_std: Array) -> Array:
    """Share that Gaussian noise lets through, for two laws on k places of an interval; 3k unconstrained numbers.

    Densities are summed on a grid of a fifteenth of the noise, where the trapezoidal rule is exact to rounding.
    """
    places, logits = point.reshape(3, -1)[0], point.reshape(3, -1)[1:].reshape(-1)
    p, q = softmax_pair(logits)
    x = diameter * (jnp.sin(places) + 1) / 2
    width = 6.0  # grid in units: places are within diameter <= 6 noise_std
    grid = noise_std * jnp.linspace(-9.0, width + 9.0, 361)
    kernel = jnp.exp(-((grid - x[:, None]) ** 2) / (2 * noise_std**2))
    kernel /= jnp.sqrt(2 * jnp.pi) * noise_std
    step = grid[1] - grid[0]
    return _share(step * kl_divergence(p @ kernel, q @ kernel), kl_divergence(p, q))
