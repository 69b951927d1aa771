"""The prosecutor of bounds: a random search for the instances on which an objective is largest."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from simulations import validation

_GROW, _SHRINK = 1.5, 0.9  # balance at about one success in five


class Hardest(NamedTuple):
    """What every chain ended on: its ``value``, (B,), and the ``instances``, (B, d), on which it is taken."""

    value: Array
    instances: Array


def hardest_instances(
    key: Array, objective: Callable[..., Array], starts: Array, *shared: Any, n_steps: int, step: float = 0.5
) -> Hardest:
    """Climb an objective from many starts by a (1 + 1) evolution strategy with a step size for each chain.

    Needs no gradient and no continuity. Values that are not numbers lose. Costs ``n_steps`` evaluations a chain.

    Parameters
    ----------
    key : jax.Array
    objective : callable
        Maps one instance (d,) and the shared arguments to a number; compiled once for each function object.
    starts : array, shape (B, d)
    *shared : arrays
        Arguments that all chains see.
    n_steps : int
        At least 1.
    step : float
        First step size, positive.

    Returns
    -------
    Hardest

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    points = validation.finite("starts", starts, ndim=2)
    steps = validation.integer("n_steps", n_steps, minimum=1)
    size = validation.positive("step", step, ndim=0)
    return _climb(jax.random.split(key, points.shape[0]), points, shared, size, objective=objective, n_steps=steps)


@partial(jax.jit, static_argnames=("objective", "n_steps"))
def _climb(
    keys: Array,
    starts: Array,
    shared: tuple[Any, ...],
    step: Array,
    *,
    objective: Callable[..., Array],
    n_steps: int,
) -> Hardest:
    def value(point: Array) -> Array:
        found = objective(point, *shared)
        return jnp.where(jnp.isnan(found), -jnp.inf, found)

    def chain(key: Array, start: Array) -> tuple[Array, Array]:
        def move(state: tuple[Array, Array, Array], key: Array) -> tuple[tuple[Array, Array, Array], None]:
            point, best, size = state
            moves, sparse = jax.random.split(key)
            # now and then along one coordinate alone, which finds its way along edges
            direction = jax.random.normal(moves, point.shape)
            one = jnp.arange(point.size) == jax.random.randint(sparse, (), 0, 2 * point.size)
            trial = point + size * jnp.where(one.any(), one * direction, direction)
            found = value(trial)
            better = found > best
            return (
                jnp.where(better, trial, point),
                jnp.where(better, found, best),
                size * jnp.where(better, _GROW, _SHRINK),
            ), None

        (point, best, _), _ = jax.lax.scan(move, (start, value(start), step), jax.random.split(key, n_steps))
        return best, point

    return Hardest(*jax.vmap(chain)(keys, starts))
