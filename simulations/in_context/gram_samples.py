"""Gram matrices of random prompts, and how far Newton's iteration and gradient descent get on them."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Key

from simulations.in_context.iterations import invert_by_newton


def sample_gram(key: Key[Array, ""], scales: Array, examples: int) -> Float[Array, "dim dim"]:
    """Gram matrix X^T X of ``examples`` rows x ~ N(0, diag(scales^2))."""
    x = scales * jax.random.normal(key, (examples, scales.shape[0]))
    return x.T @ x


def newton_error(
    gram: Float[Array, "dim dim"], alpha: Array, *, steps: int, start: Literal["gram", "identity"] = "gram"
) -> Float[Array, " iterates"]:
    """Squared error of the weights, averaged over all task vectors of one norm, after 0, 1, ..., ``steps`` iterations.

    Relative to that norm, and at most 1: where the iteration diverges the zero vector is the better answer, and is
    taken instead.
    """
    residuals = jnp.eye(gram.shape[0]) - gram @ invert_by_newton(gram, alpha, steps=steps, start=start)
    errors = jnp.sum(residuals**2, axis=(1, 2)) / gram.shape[0]
    return jnp.minimum(jnp.nan_to_num(errors, nan=1.0, posinf=1.0), 1.0)


def traces(gram: Float[Array, "dim dim"]) -> Float[Array, "3"]:
    """Traces of the first three powers."""
    square = gram @ gram
    return jnp.stack([jnp.trace(gram), jnp.sum(gram**2), jnp.sum(square * gram)])


def with_known_moments(values: np.ndarray, powers: np.ndarray, *, examples: int, dimension: int) -> np.ndarray:
    """Take from ``values`` (draws, m) what the `traces` of white Gaussian draws, whose means are known, explain of it.

    A control variate: the mean stays what it is, the spread falls. Coefficients for either half of the draws are
    fitted on the other half, so that no bias enters.
    """
    n, d = examples, dimension
    means = n * d * np.array([1, n + d + 1, n**2 + d**2 + 3 * n * d + 3 * (n + d) + 4])
    excess = powers / means - 1
    halves = np.arange(len(values)) % 2 == 0
    found = np.array(values, dtype=float)
    for half in (halves, ~halves):
        others = excess[~half] - excess[~half].mean(axis=0)
        slopes = np.linalg.lstsq(others, values[~half] - values[~half].mean(axis=0), rcond=None)[0]
        found[half] -= excess[half] @ slopes
    return found


@partial(jax.jit, static_argnames=("steps",))
def newton_residuals(eigenvalues: Array, alpha: Array, *, steps: int) -> Float[Array, "iterates dim"]:
    """Residuals 1 - s m of the iteration m <- 2 m - m s m from alpha s, after 0, 1, ..., ``steps`` iterations.

    On each eigenvalue of a Gram matrix by itself, which is what the matrix iteration does in the eigenbasis.
    """

    def step(m: Array, _: None) -> tuple[Array, Array]:
        m = 2 * m - m * eigenvalues * m
        return m, m

    first = alpha * eigenvalues
    return 1 - eigenvalues * jnp.concatenate([first[None], jax.lax.scan(step, first, length=steps)[1]])


@jax.jit
def descent_residuals(eigenvalues: Array, rate: Array, times: Array) -> Float[Array, "times dim"]:
    """Residuals r of gradient descent on each eigenvalue, r <- r - rate s r from 1, after each of rising ``times``."""

    def segment(left: Array, gap: Array) -> tuple[Array, Array]:
        left = jax.lax.fori_loop(0, gap, lambda _, r: r - rate * eigenvalues * r, left)
        return left, left

    gaps = jnp.diff(times, prepend=0)
    return jax.lax.scan(segment, jnp.ones_like(eigenvalues), gaps)[1]


@jax.jit
def squared_sines(first: Float[Array, "k dim"], second: Float[Array, "t dim"]) -> Float[Array, "k t"]:
    """Squared sine of the angle between each vector of one family and each of another, small angles to full accuracy.

    By Lagrange's identity, since one minus a squared cosine would lose them.
    """
    scaled = (v / jnp.max(jnp.abs(v), axis=1, keepdims=True) for v in (first, second))  # squares must not underflow
    a, b = (v / jnp.linalg.norm(v, axis=1, keepdims=True) for v in scaled)

    def against(one: Array) -> Array:
        crossed = one[:, None] * b[:, None, :] - one[None, :] * b[:, :, None]
        return jnp.sum(crossed**2, axis=(1, 2)) / 2

    return jax.lax.map(against, a)


def descent_times(doublings: int, parts: int) -> Array:
    """Return the step numbers round(2^(i / parts)), i = 0, ..., doublings * parts."""
    return jnp.round(2.0 ** (jnp.arange(doublings * parts + 1) / parts)).astype(int)
