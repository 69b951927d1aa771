r"""Signals and gradients in a random tanh network :math:`h_{l+1} = g W_l \tanh(h_l)` of square layers.

Two simulations of one network: with explicit weight matrices (width up to thousands), and, for Gaussian weights, of
the pair (activations, one tangent vector) alone, drawn from the exact law that fresh Gaussian weights give it at any
width (up to millions).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.deep_linear.spectra import ENSEMBLES, _factor


class TanhPass(NamedTuple):
    r"""A forward pass: ``lengths`` :math:`|h_l|^2 / n` for l = 0..D and the ``jacobian`` :math:`dh_D / dh_0`."""

    lengths: Float[Array, " layers"]
    jacobian: Float[Array, "n n"]


class TanhTangent(NamedTuple):
    r"""A forward pass with one tangent: ``lengths`` and ``growth`` :math:`|J_l v|^2` of a random unit v, l = 0..D."""

    lengths: Float[Array, " layers"]
    growth: Float[Array, " layers"]


def tanh_pass(
    key: PRNGKeyArray, *, n: int, depth: int, gain: ArrayLike, q0: ArrayLike, ensemble: str = "gaussian"
) -> TanhPass:
    r"""Propagate a random :math:`h_0` with :math:`|h_0|^2 = n q_0` through ``depth`` layers, with its Jacobian.

    The Jacobian is the automatic derivative of the pass. Its mean squared singular value is
    ``spectral_moments(jacobian, order=1)[0]``. Costs O(depth n^3) and memory n^2, whatever the depth.

    Parameters
    ----------
    key : PRNG key
        Draws the direction of h_0 (uniform) and the weights.
    n, depth : int
        Width and number of weight matrices.
    gain : float
        g >= 0.
    q0 : float
        Initial mean square of the activations, >= 0.
    ensemble : 'gaussian' or 'orthogonal'
        Weights with independent N(0, 1/n) entries, or Haar orthogonal.

    Raises
    ------
    ValueError
        If ``n`` or ``depth`` < 1, ``gain`` or ``q0`` is negative, or ``ensemble`` is neither of the two.
    """
    size, layers, g, q = _checked(n, depth, gain, q0)
    return _pass(key, size, layers, validation.choice("ensemble", ensemble, ENSEMBLES), g, q)


def tanh_lengths(
    key: PRNGKeyArray, *, n: int, depth: int, gain: ArrayLike, q0: ArrayLike, ensemble: str = "gaussian"
) -> Float[Array, " layers"]:
    """Return the ``lengths`` of :func:`tanh_pass` alone: same draws and errors, at O(depth n^2) if Gaussian."""
    size, layers, g, q = _checked(n, depth, gain, q0)
    return _lengths(key, size, layers, validation.choice("ensemble", ensemble, ENSEMBLES), g, q)


def tanh_tangent(key: PRNGKeyArray, *, n: int, depth: int, gain: ArrayLike, q0: ArrayLike) -> TanhTangent:
    r"""Propagate :math:`h_0` and a random unit tangent through Gaussian layers without forming the weights.

    Given :math:`a = \tanh(h)` and :math:`b = \mathrm{sech}^2(h) \odot v`, the rows of :math:`g W (a, b)` are
    independent Gaussian pairs with covariance :math:`(g^2/n)\,(a, b)^T (a, b)`: they are drawn as such. Averaged over
    the weights and v, ``growth`` is the mean squared singular value of the Jacobian. Costs O(depth n).

    Parameters
    ----------
    key, n, depth, gain, q0
        As in :func:`tanh_pass`.

    Raises
    ------
    ValueError
        As in :func:`tanh_pass`.
    """
    size, layers, g, q = _checked(n, depth, gain, q0)
    return _tangent(key, size, layers, g, q)


def _start(key: Array, n: int, q0: Array) -> Array:
    direction = jax.random.normal(key, (n,))
    return jnp.sqrt(n * q0) * direction / jnp.linalg.norm(direction)


def _forward(h: Array, key: Array, depth: int, ensemble: str, gain: Array) -> tuple[Array, Array]:
    def layer(h: Array, layer_key: Array) -> tuple[Array, Array]:
        h = _factor(layer_key, h.shape[0], ensemble, gain) @ jnp.tanh(h)
        return h, jnp.mean(h**2)

    final, lengths = jax.lax.scan(layer, h, jax.random.split(key, depth))
    return final, jnp.concatenate([jnp.mean(h**2)[None], lengths])


@partial(jax.jit, static_argnums=(1, 2, 3))
def _pass(key: Array, n: int, depth: int, ensemble: str, gain: Array, q0: Array) -> TanhPass:
    start_key, layers_key = jax.random.split(key)
    forward = partial(_forward, key=layers_key, depth=depth, ensemble=ensemble, gain=gain)
    jacobian, lengths = jax.jacfwd(forward, has_aux=True)(_start(start_key, n, q0))
    return TanhPass(lengths=lengths, jacobian=jacobian)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _lengths(key: Array, n: int, depth: int, ensemble: str, gain: Array, q0: Array) -> Array:
    start_key, layers_key = jax.random.split(key)
    return _forward(_start(start_key, n, q0), layers_key, depth, ensemble, gain)[1]


@partial(jax.jit, static_argnums=(1, 2))
def _tangent(key: Array, n: int, depth: int, gain: Array, q0: Array) -> TanhTangent:
    start_key, tangent_key, layers_key = jax.random.split(key, 3)

    def layer(state: tuple[Array, Array], layer_key: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        a, b = jax.jvp(jnp.tanh, (state[0],), (state[1],))
        x, y = jax.random.normal(layer_key, (2, n))
        # Cholesky factor of the pair's Gram matrix; activations that vanish leave the tangent on its own.
        a_norm = jnp.linalg.norm(a)
        shared = jnp.where(a_norm > 0, a @ b / jnp.where(a_norm > 0, a_norm, 1.0), 0.0)
        own = jnp.sqrt(jnp.maximum(b @ b - shared**2, 0.0))
        scale = gain / jnp.sqrt(n)
        h, v = scale * a_norm * x, scale * (shared * x + own * y)
        return (h, v), (jnp.mean(h**2), v @ v)

    state = (_start(start_key, n, q0), _start(tangent_key, n, jnp.asarray(1 / n)))
    _, (lengths, growth) = jax.lax.scan(layer, state, jax.random.split(layers_key, depth))
    return TanhTangent(lengths=jnp.concatenate([q0[None], lengths]), growth=jnp.concatenate([jnp.ones(1), growth]))


def _checked(n: int, depth: int, gain: ArrayLike, q0: ArrayLike) -> tuple[int, int, Array, Array]:
    return (
        validation.integer("n", n, minimum=1),
        validation.integer("depth", depth, minimum=1),
        validation.nonnegative("gain", gain, ndim=0),
        validation.nonnegative("q0", q0, ndim=0),
    )
