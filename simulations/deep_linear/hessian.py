"""Curvature of the loss at given weights, by automatic differentiation, and how gradient descent fares near there."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, PRNGKeyArray

from simulations import validation
from simulations.deep_linear.gradient_descent import gradient_step
from simulations.deep_linear.networks import Task, Weights, WeightsLike, check_weights, loss
from simulations.deep_linear.readouts import distance

_LARGEST_DENSE = 5000


class StabilityProbe(NamedTuple):
    """State after a perturbed run: final ``loss``, ``distance`` from the unperturbed weights, ``diverged`` or not."""

    loss: Float[Array, ""]
    distance: Float[Array, ""]
    diverged: Bool[Array, ""]


def loss_hessian(weights: WeightsLike, task: Task) -> Float[Array, "parameters parameters"]:
    """Hessian of the loss in all p weights, flattened layer by layer (row-major), input side first.

    Costs p Hessian-vector products and p^2 memory; for p in the thousands take :func:`top_hessian_eigenvalue`.

    Raises
    ------
    ValueError
        If the network does not fit the task, or p > 5000.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> task = Task.from_moments(jnp.array([[3.0]]))
    >>> loss_hessian((jnp.array([[1.0]]), jnp.array([[2.0]])), task)
    Array([[4., 1.],
           [1., 1.]], dtype=float64)
    """
    point = check_weights(weights, task)
    size = sum(w.size for w in point)
    if size > _LARGEST_DENSE:
        raise ValueError(f"weights must have at most {_LARGEST_DENSE} entries for a dense Hessian; got {size}")
    return _dense(point, task)


def hessian_eigenvalues(weights: WeightsLike, task: Task) -> Float[Array, " parameters"]:
    """All eigenvalues of :func:`loss_hessian`, ascending. Costs O(p^3)."""
    return jnp.linalg.eigvalsh(loss_hessian(weights, task))


def top_hessian_eigenvalue(
    weights: WeightsLike, task: Task, *, key: PRNGKeyArray, n_iterations: int = 64
) -> Float[Array, ""]:
    """Largest eigenvalue of the loss's Hessian, by Lanczos iteration on Hessian-vector products.

    Reorthogonalised twice, so that Ritz values are not repeated; a lower bound that grows with ``n_iterations`` and
    is exact (to rounding) once these exceed the number of distinct eigenvalues. Costs ``n_iterations`` products and
    as many vectors of memory.

    Parameters
    ----------
    weights, task
        Where to take the Hessian.
    key : PRNG key
        Draws the starting vector.
    n_iterations : int
        Dimension of the Krylov space; no more than the number of weights is used.

    Raises
    ------
    ValueError
        If the network does not fit the task, or ``n_iterations`` < 1.
    """
    point = check_weights(weights, task)
    n_iterations = validation.integer("n_iterations", n_iterations, minimum=1)
    return _lanczos(point, task, key, min(n_iterations, sum(w.size for w in point)))


def probe_stability(
    weights: WeightsLike,
    task: Task,
    *,
    learning_rate: ArrayLike,
    n_steps: int,
    perturbation: ArrayLike,
    key: PRNGKeyArray,
) -> StabilityProbe:
    """Run gradient descent from weights displaced in a random direction and see where it ends.

    Parameters
    ----------
    weights, task
        Where to start, a minimum of the loss for a test of its stability.
    learning_rate : float
        Step size > 0.
    n_steps : int
        Number of steps; a run whose loss leaves the finite numbers stops earlier.
    perturbation : float
        Euclidean length of the displacement, >= 0.
    key : PRNG key
        Draws its direction, uniform over the sphere.

    Returns
    -------
    StabilityProbe
        ``loss`` and ``distance`` are infinite where ``diverged``.

    Raises
    ------
    ValueError
        If the network does not fit the task or a number is out of its range.
    """
    point = check_weights(weights, task)
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    length = validation.nonnegative("perturbation", perturbation, ndim=0)
    count = jnp.asarray(validation.integer("n_steps", n_steps, minimum=0), dtype=jnp.int64)
    return _probe(point, task, rate, count, length, key)


@eqx.filter_jit
def _dense(point: Weights, task: Task) -> Array:
    flat, unravel = ravel_pytree(point)
    return jax.hessian(lambda x: loss(unravel(x), task))(flat)


@eqx.filter_jit
def _lanczos(point: Weights, task: Task, key: Array, n_iterations: int) -> Array:
    flat, unravel = ravel_pytree(point)
    gradient = jax.grad(lambda x: loss(unravel(x), task))

    def apply(vector: Array) -> Array:
        return jax.jvp(gradient, (flat,), (vector,))[1]

    return jnp.max(jnp.linalg.eigvalsh(_tridiagonal(apply, jax.random.normal(key, flat.shape), n_iterations)))


def _tridiagonal(apply: Callable[[Array], Array], start: Array, n_iterations: int) -> Array:
    def advance(basis: Array, i: Array) -> tuple[Array, tuple[Array, Array]]:
        image = apply(basis[i])
        diagonal = image @ basis[i]
        residual = image - basis.T @ (basis @ image)
        residual = residual - basis.T @ (basis @ residual)
        length = jnp.linalg.norm(residual)
        # An exhausted Krylov space leaves a residual of rounding: stop there by continuing with a null vector.
        open_ended = length > 1e-12 * jnp.linalg.norm(image)
        following = jnp.where(open_ended, residual / jnp.where(open_ended, length, 1.0), 0.0)
        return basis.at[i + 1].set(following), (diagonal, jnp.where(open_ended, length, 0.0))

    basis = jnp.zeros((n_iterations + 1, start.size)).at[0].set(start / jnp.linalg.norm(start))
    basis, (diagonal, off) = jax.lax.scan(advance, basis, jnp.arange(n_iterations))
    # Null vectors would add the eigenvalue 0; the first Rayleigh quotient, below the top one, is harmless.
    diagonal = jnp.where(jnp.any(basis[:-1] != 0, axis=1), diagonal, diagonal[0])
    return jnp.diag(diagonal) + jnp.diag(off[:-1], 1) + jnp.diag(off[:-1], -1)


@eqx.filter_jit
def _probe(point: Weights, task: Task, rate: Array, count: Array, length: Array, key: Array) -> StabilityProbe:
    flat, unravel = ravel_pytree(point)
    direction = jax.random.normal(key, flat.shape)
    start = unravel(flat + length * direction / jnp.linalg.norm(direction))

    def going(state: tuple[Weights, Array]) -> Array:
        return (state[1] < count) & jnp.isfinite(loss(state[0], task))

    def advance(state: tuple[Weights, Array]) -> tuple[Weights, Array]:
        return gradient_step(state[0], task, rate), state[1] + 1

    weights, _ = jax.lax.while_loop(going, advance, (start, jnp.zeros_like(count)))
    final, moved = loss(weights, task), distance(weights, point)
    diverged = ~(jnp.isfinite(final) & jnp.isfinite(moved))
    return StabilityProbe(
        loss=jnp.where(diverged, jnp.inf, final), distance=jnp.where(diverged, jnp.inf, moved), diverged=diverged
    )
