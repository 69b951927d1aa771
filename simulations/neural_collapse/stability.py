"""Where a minimum stops being one: the decay of the bias at which the Hessian first curves down."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation
from simulations.neural_collapse.minimise import minimise
from simulations.neural_collapse.model import Factors, FeatureModel, objective

BISECTIONS = 40  # of six decades, down to 1e-11
DOWNWARDS = -1e-11  # curvature that counts as negative: rotations of the factors leave many at zero, up to rounding


def critical_bias_decay(model: FeatureModel, key: Array, *, largest: ArrayLike = 1e3) -> Float[Array, ""]:
    """Decay of the bias at which the minimum that a free bias leads to turns into a saddle.

    Features and weights are minimised with a free bias and kept. For each decay of the bias its best value is found by
    a Newton step, exact since the loss is quadratic in it, and the lowest eigenvalue of the Hessian in all parameters
    tells minimum from saddle; the decay is found by bisection on a logarithmic scale.

    Parameters
    ----------
    model : FeatureModel
        Squared loss, with a bias; its decay of the bias plays no part.
    key : array
        JAX key of the starts.
    largest : float
        Upper end of the search, positive, a million times the lower one.

    Raises
    ------
    ValueError
        If the model has another loss or no bias.
    """
    if model.loss != "squared" or not model.bias:
        raise ValueError(f"model must have squared loss and a bias; got loss {model.loss!r}, bias {model.bias}")
    top = validation.positive("largest", largest, ndim=0)
    free = eqx.tree_at(lambda m: m.bias_decay, model, jnp.zeros(()))
    factors = jax.tree.map(jnp.asarray, minimise(free, key, starts=2).best().factors)
    return _critical(factors, model, jnp.log(top))


@eqx.filter_jit
def _critical(factors: Factors, model: FeatureModel, top: Array) -> Array:
    def lowest(log_decay: Array) -> Array:
        own = eqx.tree_at(lambda m: m.bias_decay, model, jnp.exp(log_decay))

        def of_bias(bias: Array) -> Array:
            return objective(factors._replace(bias=bias), own)

        start = factors.bias
        bias = start - jnp.linalg.solve(jax.hessian(of_bias)(start), jax.grad(of_bias)(start))
        x, unravel = ravel_pytree(factors._replace(bias=bias))
        return jnp.linalg.eigvalsh(jax.hessian(lambda y: objective(unravel(y), own))(x))[0]

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        saddle = lowest(middle) < DOWNWARDS
        return jnp.where(saddle, low, middle), jnp.where(saddle, middle, high)

    low, high = jax.lax.fori_loop(0, BISECTIONS, halve, (top - jnp.log(1e6), top))
    return jnp.exp((low + high) / 2)
