"""Gram matrices of random prompts, and how far Newton's iteration and gradient descent get on them."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Key

from simulations.in_context.iterations import invert_by_newton


def sample_gram(key: Key[Array, ""], scales: Array, examples: int) -> Float[Array, "dim dim"]:
    """Gram matrix X^T X of ``examples`` rows x ~ N(0, diag(scales^2))."""
    x = scales * jax.random.normal(key, (examples, scales.shape[0]))
    return x.T @ x


@partial(jax.jit, static_argnames=("examples", "steps", "start"))
def newton_error(
    key: Key[Array, ""],
    alpha: Array,
    scales: Array,
    *,
    examples: int,
    steps: int,
    start: Literal["gram", "identity"] = "gram",
) -> Float[Array, " iterates"]:
    """Squared error of the weights, averaged over all task vectors of one norm, after 0, 1, ..., ``steps`` iterations.

    Relative to that norm, and at most 1: where the iteration diverges the zero vector is the better answer, and is
    taken instead.
    """
    gram = sample_gram(key, scales, examples)
    residuals = jnp.eye(gram.shape[0]) - gram @ invert_by_newton(gram, alpha, steps=steps, start=start)
    errors = jnp.sum(residuals**2, axis=(1, 2)) / gram.shape[0]
    return jnp.minimum(jnp.nan_to_num(errors, nan=1.0, posinf=1.0), 1.0)


@partial(jax.jit, static_argnames=("steps",))
def newton_residuals(gram: Array, alpha: Array, *, steps: int) -> Float[Array, "iterates dim"]:
    """Diagonal of I - S M in the eigenbasis of S, rising eigenvalues, after 0, 1, ..., ``steps`` iterations."""
    basis = jnp.linalg.eigh(gram)[1]
    products = gram @ invert_by_newton(gram, alpha, steps=steps)
    return 1 - jnp.einsum("di,kde,ei->ki", basis, products, basis)


@partial(jax.jit, static_argnames=("doublings", "parts"))
def descent_residuals(gram: Array, rate: Array, *, doublings: int, parts: int) -> Float[Array, "times dim"]:
    """Return the same for gradient descent, after t = round(2^(i / parts)) steps, i = 0, ..., doublings * parts.

    The step matrix is applied by repeated squaring, so that late times cost no more than early ones.
    """
    basis = jnp.linalg.eigh(gram)[1]
    powers = [jnp.eye(gram.shape[0]) - rate * gram]
    for _ in range(doublings):
        powers.append(powers[-1] @ powers[-1])
    stacked = jnp.stack(powers)

    def at(time: Array) -> Array:
        def multiply(product: Array, item: tuple[Array, Array]) -> tuple[Array, None]:
            bit, power = item
            return jnp.where(bit, product @ power, product), None

        bits = (time >> jnp.arange(doublings + 1)) & 1
        product = jax.lax.scan(multiply, jnp.eye(gram.shape[0]), (bits, stacked))[0]
        return jnp.einsum("di,de,ei->i", basis, product, basis)

    return jax.lax.map(at, descent_times(doublings, parts))


def descent_times(doublings: int, parts: int) -> Array:
    """Return the step numbers round(2^(i / parts)), i = 0, ..., doublings * parts."""
    return jnp.round(2.0 ** (jnp.arange(doublings * parts + 1) / parts)).astype(int)
