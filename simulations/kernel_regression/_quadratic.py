"""Minimise a loss that is quadratic in its parameters, by its derivatives alone."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array


def minimise_quadratic(loss: Callable[[Array], Array], size: int) -> Array:
    """Return the minimum of a strictly convex quadratic ``loss`` of ``size`` parameters.

    Newton's method from the origin; its second step takes back what the first one rounded. Costs a Hessian, as many
    Jacobian products as there are parameters, and O(size^3).
    """
    curvature = jax.hessian(loss)(jnp.zeros(size))

    def step(at: Array) -> Array:
        return at - jnp.linalg.solve(curvature, jax.grad(loss)(at))

    return step(step(jnp.zeros(size)))
