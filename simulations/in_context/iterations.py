"""Newton's iteration and gradient descent on the least-squares problem of a prompt, run step by step."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from simulations import validation

_STARTS = ("gram", "identity")


def invert_by_newton(
    gram: ArrayLike, alpha: ArrayLike, *, steps: int, start: Literal["gram", "identity"] = "gram"
) -> Float[Array, "iterates ... dim dim"]:
    """Iterate M <- 2 M - M S M from M = alpha S or alpha I, the start among them.

    Parameters
    ----------
    gram : array_like, shape (..., d, d)
        Matrices S.
    alpha : array_like, shape (...)
        Constant of each start.
    steps : int
        Iterations.
    start : {"gram", "identity"}
        What alpha multiplies.

    Raises
    ------
    ValueError
        If ``steps`` is negative or ``start`` unknown.
    """
    steps = validation.integer("steps", steps, minimum=0)
    validation.choice("start", start, _STARTS)
    return _invert(jnp.asarray(gram), jnp.asarray(alpha), steps, start)


@partial(jax.jit, static_argnums=(2, 3))
def _invert(gram: Array, alpha: Array, steps: int, start: str) -> Array:
    base = gram if start == "gram" else jnp.broadcast_to(jnp.eye(gram.shape[-1]), gram.shape)
    first = alpha[..., None, None] * base

    def step(inverse: Array, _: None) -> tuple[Array, Array]:
        inverse = 2 * inverse - inverse @ gram @ inverse
        return inverse, inverse

    return jnp.concatenate([first[None], jax.lax.scan(step, first, length=steps)[1]])


def newton_weights(
    x: ArrayLike, y: ArrayLike, alpha: ArrayLike, *, steps: int, start: Literal["gram", "identity"] = "gram"
) -> Float[Array, "iterates ... dim"]:
    """Weights M X^T y after 0, 1, ..., ``steps`` of Newton's iterations, for x (..., n, d) and y (..., n)."""
    x, y = jnp.asarray(x), jnp.asarray(y)
    inverses = invert_by_newton(jnp.swapaxes(x, -1, -2) @ x, alpha, steps=steps, start=start)
    return jnp.einsum("k...de,...ne,...n->k...d", inverses, x, y)


@jax.jit
def descend(x: Array, y: Array, rates: Float[Array, "steps ..."]) -> Float[Array, "steps ... dim"]:
    """Weights of gradient descent on ||y - X w||^2 / 2 from zero, after a step with each of ``rates``."""

    def step(weights: Array, rate: Array) -> tuple[Array, Array]:
        weights = _descent_step(x, y, weights, rate)
        return weights, weights

    return jax.lax.scan(step, jnp.zeros((*x.shape[:-2], x.shape[-1])), rates)[1]


def gradient_weights(
    x: ArrayLike, y: ArrayLike, rate: ArrayLike, *, steps: Sequence[int]
) -> Float[Array, "times ... dim"]:
    """Weights of gradient descent from zero with one rate, after each of the increasing numbers of ``steps``.

    For x (..., n, d), y (..., n) and a rate that may differ between problems, (...).
    """
    counts = [validation.integer("steps", count, minimum=0) for count in steps]
    if any(later < earlier for earlier, later in pairwise(counts)):
        raise ValueError(f"steps must not fall; got {counts}")
    x, y = jnp.asarray(x), jnp.asarray(y)
    rate = jnp.broadcast_to(jnp.asarray(rate), x.shape[:-2])
    return _descend_to(x, y, rate, jnp.diff(jnp.asarray([0, *counts])))


@jax.jit
def _descend_to(x: Array, y: Array, rate: Array, gaps: Array) -> Array:
    def segment(weights: Array, gap: Array) -> tuple[Array, Array]:
        weights = jax.lax.fori_loop(0, gap, lambda _, w: _descent_step(x, y, w, rate), weights)
        return weights, weights

    return jax.lax.scan(segment, jnp.zeros((*x.shape[:-2], x.shape[-1])), gaps)[1]


def _descent_step(x: Array, y: Array, weights: Array, rate: Array) -> Array:
    misses = jnp.einsum("...nd,...d->...n", x, weights) - y
    return weights - rate[..., None] * jnp.einsum("...nd,...n->...d", x, misses)


@partial(jax.jit, static_argnames=("method",))
def count_until(
    eigenvalues: Array, scale: Array, tolerance: Array, *, method: Literal["gram", "identity", "descent"]
) -> Int[Array, ""]:
    """Count steps until no entry of 1 - s m exceeds the tolerance, for the scalar iteration m of each eigenvalue s.

    ``scale`` is alpha, or the step size of the descent, which needs one step at least.
    """

    def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
        m, count = state
        if method == "descent":
            return m + scale * (1 - eigenvalues * m), count + 1
        return 2 * m - m * eigenvalues * m, count + 1

    def unfinished(state: tuple[Array, Array]) -> Array:
        return jnp.max(jnp.abs(1 - eigenvalues * state[0])) > tolerance

    start = {"gram": scale * eigenvalues, "identity": scale * jnp.ones_like(eigenvalues)}.get(method)
    first = jnp.zeros_like(eigenvalues) if start is None else start
    return jax.lax.while_loop(unfinished, step, (first, jnp.asarray(0)))[1]


@partial(jax.jit, static_argnames=("start",))
def best_start(gram: Array, *, start: Literal["gram", "identity"] = "gram") -> tuple[Array, Array]:
    """Constant alpha that makes the spectral norm of I - S M_0 smallest, by golden-section search, and that norm."""
    base = gram if start == "gram" else jnp.eye(gram.shape[-1])
    product = gram @ base
    top = jnp.linalg.norm(product, ord=2)

    def norm(alpha: Array) -> Array:
        return jnp.max(jnp.abs(jnp.linalg.eigvalsh(jnp.eye(gram.shape[-1]) - alpha * product)))

    golden = (jnp.sqrt(5.0) - 1) / 2

    def narrow(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        left, right = high - golden * (high - low), low + golden * (high - low)
        keep_left = norm(left) < norm(right)
        return jnp.where(keep_left, low, left), jnp.where(keep_left, right, high)

    low, high = jax.lax.fori_loop(0, 80, narrow, (jnp.zeros(()), 2 / top))
    middle = (low + high) / 2
    return middle, norm(middle)
