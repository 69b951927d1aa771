"""Products of random matrices, factor by factor: lengths of vectors, singular values, Lyapunov exponents.

Every function simulates one product from one key, drawing each factor when its turn comes, so that memory does not
grow with depth; `simulations.replicates` runs many.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.deep_linear.initial_conditions import haar

ENSEMBLES = ("gaussian", "orthogonal")


def random_factor(
    key: PRNGKeyArray, *, n: int, ensemble: str = "gaussian", gain: ArrayLike = 1.0
) -> Float[Array, "n n"]:
    """Return ``gain`` times one n x n matrix: independent N(0, 1/n) entries, or Haar orthogonal."""
    n, gain = _checked(n, ensemble, gain)
    return _factor(key, n, ensemble, gain)


def random_product(
    key: PRNGKeyArray, *, n: int, depth: int, ensemble: str = "gaussian", gain: ArrayLike = 1.0
) -> Float[Array, "n n"]:
    """Product W_D ... W_1 of ``depth`` independent factors. Costs O(depth n^3).

    Raises
    ------
    ValueError
        If ``n`` or ``depth`` < 1, ``gain`` is negative, or ``ensemble`` is not 'gaussian' or 'orthogonal'.
    """
    n, gain = _checked(n, ensemble, gain)
    return _product(key, n, _depth(depth), ensemble, gain)


def vector_log_growth(
    key: PRNGKeyArray, *, n: int, depth: int, ensemble: str = "gaussian", gain: ArrayLike = 1.0
) -> Float[Array, ""]:
    r"""Logarithm of :math:`|W_D \cdots W_1 v|^2` for a random unit vector v. Costs O(depth n^2) for Gaussian factors.

    The vector is renormalised after every factor, so that no depth under- or overflows.

    Raises
    ------
    ValueError
        As in :func:`random_product`.
    """
    n, gain = _checked(n, ensemble, gain)
    return _log_growth(key, n, _depth(depth), ensemble, gain)


def lyapunov_exponents(factors: Float[ArrayLike, "depth n n"] | Sequence[ArrayLike]) -> Float[Array, " n"]:
    r"""Exponents :math:`\frac1D \sum_l \ln |R^{(l)}_{ii}|` of a product of given factors, factors[0] applied first.

    From repeated QR factorisations along the product, started at the identity; never over- or underflows. Costs
    O(depth n^3).

    Raises
    ------
    ValueError
        If ``factors`` is not a stack of square matrices, holds none, is not finite, or an exponent is minus infinity
        because a factor is singular (to the last bit).

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> lyapunov_exponents(jnp.broadcast_to(jnp.diag(jnp.array([2.0, 0.5])), (1000, 2, 2))) / jnp.log(2)
    Array([ 1., -1.], dtype=float64)
    """
    stack = validation.finite("factors", factors, ndim=3)
    if 0 in stack.shape or stack.shape[1] != stack.shape[2]:
        raise ValueError(f"factors must be a non-empty stack of square matrices; got shape {stack.shape}")
    exponents = _exponents_of(stack)
    if validation.is_concrete(exponents) and not np.isfinite(exponents).all():
        raise ValueError("factors must be invertible; got a singular one, whose exponent is minus infinity")
    return exponents


def random_lyapunov_exponents(
    key: PRNGKeyArray, *, n: int, depth: int, ensemble: str = "gaussian", gain: ArrayLike = 1.0
) -> Float[Array, " n"]:
    """Lyapunov exponents, as :func:`lyapunov_exponents`, of a product of ``depth`` random factors drawn in passing.

    Raises
    ------
    ValueError
        As in :func:`random_product`.
    """
    n, gain = _checked(n, ensemble, gain)
    return _random_exponents(key, n, _depth(depth), ensemble, gain)


def squared_singular_values(
    matrix: Float[ArrayLike, "rows columns"] | Sequence[Sequence[ArrayLike]],
) -> Float[Array, " modes"]:
    """Squares of the singular values, largest first. Costs O(n^3)."""
    return jnp.linalg.svd(validation.finite("matrix", matrix, ndim=2), compute_uv=False) ** 2


def spectral_moments(
    matrix: Float[ArrayLike, "rows columns"] | Sequence[Sequence[ArrayLike]], *, order: int
) -> Float[Array, " order"]:
    r"""Moments :math:`\frac1n \mathrm{tr}\,(P^T P)^k` of the squared singular values of P, k = 1..``order``.

    n counts the columns of P. By matrix powers, without factorisation; costs O(order n^3).

    Raises
    ------
    ValueError
        If ``matrix`` is not two-dimensional or not finite, or ``order`` < 1.
    """
    p = validation.finite("matrix", matrix, ndim=2)
    gram = p.T @ p
    powers = [jnp.eye(gram.shape[0])]
    for _ in range(validation.integer("order", order, minimum=1)):
        powers.append(powers[-1] @ gram)
    return jnp.stack([jnp.trace(power) / gram.shape[0] for power in powers[1:]])


def _factor(key: Array, n: int, ensemble: str, gain: Array) -> Array:
    if ensemble == "orthogonal":
        return gain * haar(key, n)
    return gain / jnp.sqrt(n) * jax.random.normal(key, (n, n))


@partial(jax.jit, static_argnums=(1, 2, 3))
def _product(key: Array, n: int, depth: int, ensemble: str, gain: Array) -> Array:
    def multiply(product: Array, layer_key: Array) -> tuple[Array, None]:
        return _factor(layer_key, n, ensemble, gain) @ product, None

    return jax.lax.scan(multiply, jnp.eye(n), jax.random.split(key, depth))[0]


@partial(jax.jit, static_argnums=(1, 2, 3))
def _log_growth(key: Array, n: int, depth: int, ensemble: str, gain: Array) -> Array:
    start_key, layers_key = jax.random.split(key)

    def apply(vector: Array, layer_key: Array) -> tuple[Array, Array]:
        image = _factor(layer_key, n, ensemble, gain) @ vector
        squared = image @ image
        return image / jnp.sqrt(squared), jnp.log(squared)

    vector = jax.random.normal(start_key, (n,))
    start = vector / jnp.linalg.norm(vector)
    return jnp.sum(jax.lax.scan(apply, start, jax.random.split(layers_key, depth))[1])


@jax.jit
def _exponents_of(stack: Array) -> Array:
    _, logs = jax.lax.scan(_qr_step, jnp.eye(stack.shape[1]), stack)
    return jnp.mean(logs, axis=0)


@partial(jax.jit, static_argnums=(1, 2, 3))
def _random_exponents(key: Array, n: int, depth: int, ensemble: str, gain: Array) -> Array:
    def step(state: tuple[Array, Array], layer_key: Array) -> tuple[tuple[Array, Array], None]:
        basis, total = state
        basis, logs = _qr_step(basis, _factor(layer_key, n, ensemble, gain))
        return (basis, total + logs), None

    (_, total), _ = jax.lax.scan(step, (jnp.eye(n), jnp.zeros(n)), jax.random.split(key, depth))
    return total / depth


def _qr_step(basis: Array, factor: Array) -> tuple[Array, Array]:
    q, r = jnp.linalg.qr(factor @ basis)
    return q, jnp.log(jnp.abs(jnp.diagonal(r)))


def _checked(n: int, ensemble: str, gain: ArrayLike) -> tuple[int, Array]:
    validation.choice("ensemble", ensemble, ENSEMBLES)
    return validation.integer("n", n, minimum=1), validation.nonnegative("gain", gain, ndim=0)


def _depth(depth: int) -> int:
    return validation.integer("depth", depth, minimum=1)
