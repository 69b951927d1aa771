"""Gradient descent in abc parametrisations, with what the steps have added kept as outer products.

A step changes a matrix by one outer product an example. Kept so, T steps on N examples cost 2 T products of the matrix
at the start with N vectors, and the same draws serve many parametrisations at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from simulations import validation
from simulations.ntk.networks import Function


class AbcPath(NamedTuple):
    """Before the first step and after every step, at the inputs.

    Outputs (T + 1, N), what enters the activations of every hidden layer (T + 1, N, n), and the tangent kernel times
    the learning rate (T + 1, N, N).
    """

    f: Array
    preactivations: tuple[Array, ...]
    kernel: Array


class _Layer(NamedTuple):
    """A matrix at the start, what scales it, and the factors of the outer products added to it."""

    draw: Array  # (n_out, n_in), standard normal
    scale: Array  # of the draw
    rate: Array  # of the outer products
    deltas: Array  # (T + 1, N, n_out)
    entering: Array  # (T + 1, N, n_in)

    def apply(self, vectors: Array) -> Array:
        """Multiply vectors (N, n_in) by the matrix."""
        added = jnp.einsum("tio,tin,jn->jo", self.deltas, self.entering, vectors, optimize=[(1, 2), (0, 1)])
        return self.scale * (vectors @ self.draw.T) - self.rate * added

    def transpose(self, vectors: Array) -> Array:
        """Multiply vectors (N, n_out) by the transposed matrix."""
        added = jnp.einsum("tin,tio,jo->jn", self.entering, self.deltas, vectors, optimize=[(1, 2), (0, 1)])
        return self.scale * (vectors @ self.draw) - self.rate * added


def draw_matrices(key: Array, widths: Sequence[int]) -> tuple[Array, ...]:
    """Draw standard normal matrices between layers of the given ``widths``, the last of which is the output's."""
    sizes = validation.widths("widths", widths)
    keys = jax.random.split(key, len(sizes) - 1)
    return tuple(jax.random.normal(k, (sizes[i + 1], sizes[i])) for i, k in enumerate(keys))


def abc_descent(
    draws: Sequence[Array],
    x: Array,
    y: Array,
    *,
    a: ArrayLike,
    b: ArrayLike,
    c: ArrayLike,
    learning_rate: ArrayLike,
    n_steps: int,
    activation: Function,
    centred: bool = False,
) -> AbcPath:
    r"""Train on half the mean squared error, from weights n^-b times ``draws`` behind multipliers n^-a.

    The width n is that of the last hidden layer, the learning rate ``learning_rate`` n^-c. A ``centred`` network learns
    ``y`` with its output minus that at the start, so that it starts from zero.

    Parameters
    ----------
    draws : sequence of arrays (n_out, n_in)
        Of all layers; the last has one row.
    x, y : arrays (N, d), (N,)
        Training data.
    a, b : array_like (L + 1,)
        Exponents of multipliers and standard deviations.
    c, learning_rate : float
    n_steps : int
    activation : callable
    centred : bool
    """
    n = float(draws[-1].shape[1])
    a, b = jnp.asarray(a, dtype=float), jnp.asarray(b, dtype=float)
    examples = x.shape[0]
    layers = tuple(
        _Layer(
            draw,
            jnp.asarray(n ** (-a[i] - b[i])),
            jnp.asarray(learning_rate * n ** (-2 * a[i] - jnp.asarray(c, dtype=float))),
            jnp.zeros((n_steps + 1, examples, draw.shape[0])),
            jnp.zeros((n_steps + 1, examples, draw.shape[1])),
        )
        for i, draw in enumerate(draws)
    )
    f_start = _forward(layers, x, activation)[0]
    target = y + f_start if centred else y

    def step(state: tuple[_Layer, ...], t: Array) -> tuple[tuple[_Layer, ...], AbcPath]:
        f, entering, hidden, slopes = _forward(state, x, activation)
        gradients = _backward(state, slopes)
        kernel = jnp.zeros((examples, examples))
        moved = []
        for layer, g, e in zip(state, gradients, entering, strict=True):
            kernel += layer.rate * (g @ g.T) * (e @ e.T)
            deltas = layer.deltas.at[t].set(((f - target) / examples)[:, None] * g)
            moved.append(layer._replace(deltas=deltas, entering=layer.entering.at[t].set(e)))
        return tuple(moved), AbcPath(f, hidden, kernel)

    return jax.lax.scan(step, layers, jnp.arange(n_steps + 1))[1]


def _forward(
    layers: Sequence[_Layer], x: Array, activation: Function
) -> tuple[Array, list[Array], tuple[Array, ...], list[Array]]:
    """Return outputs, what enters each layer, preactivations, and slopes of the activation."""
    entering, hidden, slopes = [x], [], []
    for layer in layers[:-1]:
        h = layer.apply(entering[-1])
        activity, slope = jax.jvp(activation, (h,), (jnp.ones_like(h),))
        hidden.append(h)
        slopes.append(slope)
        entering.append(activity)
    return layers[-1].apply(entering[-1])[:, 0], entering, tuple(hidden), slopes


def _backward(layers: Sequence[_Layer], slopes: Sequence[Array]) -> list[Array]:
    """Return gradients of the output with respect to what leaves every layer, (N, n_out) each."""
    gradients = [jnp.ones((slopes[0].shape[0], 1))]
    for layer, slope in zip(layers[:0:-1], slopes[::-1], strict=True):
        gradients.append(layer.transpose(gradients[-1]) * slope)
    return gradients[::-1]


def mean_square(values: Array) -> Array:
    """Mean square over all axes but the first."""
    return jnp.mean(values**2, axis=tuple(range(1, values.ndim)))


def mean_square_changes(path: AbcPath, activation: Function) -> Array:
    """Mean squares of what has changed since the start, (T, 2 L + 1): h and x of every hidden layer in turn, then f."""
    changes = []
    for h in path.preactivations:
        changes += [mean_square(h[1:] - h[0]), mean_square(activation(h[1:]) - activation(h[0]))]
    return jnp.stack([*changes, mean_square(path.f[1:] - path.f[0])], axis=1)
