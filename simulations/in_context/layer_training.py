"""Training all parameters of a linear attention layer, on exact populations of prompts or on sampled ones.

A population is anything with a method ``squared_error(layer)``. Nothing here knows where training ought to end.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation
from simulations.in_context.linear_layer import LinearLayer
from simulations.neural_collapse.minimise import minimise_from

RTOL, ATOL = 1e-11, 1e-13
MAX_STEPS = 100_000


class Population(Protocol):
    """What a layer is trained on."""

    def squared_error(self, layer: LinearLayer) -> Float[Array, ""]:
        """Mean squared error of the layer."""


class Trained(NamedTuple):
    """End points of a minimisation, their mean squared errors, and the largest entry of the gradient there.

    The gradient is that at the `balanced` end point: a start that runs away along the scale symmetry, one matrix
    growing while the other shrinks, has a small gradient without having arrived.
    """

    layer: LinearLayer
    error: Float[Array, "..."]
    gradient: Float[Array, "..."]


class Path(NamedTuple):
    """A layer along the flow, with half its mean squared error and the squared norm of the gradient of that."""

    layer: LinearLayer
    loss: Float[Array, " T"]
    slope: Float[Array, " T"]


def half_error(layer: LinearLayer, population: Population) -> Float[Array, ""]:
    """Half the mean squared error, the loss of the flow."""
    return population.squared_error(layer) / 2


def gradient_flow(layer: LinearLayer, population: Population, *, times: ArrayLike | Sequence[float]) -> Path:
    """Follow the gradient flow of half the mean squared error in all parameters (Dormand-Prince 8, tolerance 1e-11).

    Parameters
    ----------
    layer : LinearLayer
        Where to start, at time 0.
    population : Population
        What to train on.
    times : array_like, shape (T,)
        Increasing nonnegative times.

    Returns
    -------
    Path
        With times on the first axis.

    Raises
    ------
    ValueError
        If the times are not increasing or negative.
    """
    moments = validation.nonnegative("times", times, ndim=1)
    if validation.is_concrete(moments) and not bool(jnp.all(jnp.diff(moments) > 0)):
        raise ValueError(f"times must be increasing; got {moments}")
    return _flow(layer, population, moments)


@eqx.filter_jit
def _flow(layer: LinearLayer, population: Any, times: Array) -> Path:
    def rate(_: Any, now: LinearLayer, args: Any) -> LinearLayer:
        return jax.tree.map(jnp.negative, jax.grad(half_error)(now, args))

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(rate),
        diffrax.Dopri8(),
        t0=0.0,
        t1=times[-1],
        dt0=None,
        y0=layer,
        args=population,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=diffrax.ClipStepSizeController(diffrax.PIDController(rtol=RTOL, atol=ATOL), step_ts=times),
        max_steps=MAX_STEPS,
    )

    def observe(state: LinearLayer) -> tuple[Array, Array]:
        loss, slope = jax.value_and_grad(half_error)(state, population)
        return loss, jnp.sum(ravel_pytree(slope)[0] ** 2)

    assert solution.ys is not None
    return Path(solution.ys, *jax.lax.map(observe, solution.ys))


def gradient_descent(
    layer: LinearLayer, population: Population, *, rates: ArrayLike | Sequence[float], times: ArrayLike
) -> LinearLayer:
    """Run gradient descent on half the mean squared error, in all parameters, at several learning rates.

    Parameters
    ----------
    layer : LinearLayer
        Where to start.
    population : Population
        What to train on.
    rates : array_like, shape (K,)
        Learning rates.
    times : array_like, shape (T,)
        Increasing multiples of every rate, at which to look; after round(t / rate) steps.

    Returns
    -------
    LinearLayer
        With axes (rates, times) in front.
    """
    return _descend(layer, population, validation.positive("rates", rates, ndim=1), jnp.asarray(times, dtype=float))


@eqx.filter_jit
def _descend(layer: LinearLayer, population: Any, rates: Array, times: Array) -> LinearLayer:
    def at_rate(rate: Array) -> LinearLayer:
        def step(_: Any, now: LinearLayer) -> LinearLayer:
            return jax.tree.map(lambda w, g: w - rate * g, now, jax.grad(half_error)(now, population))

        def proceed(now: LinearLayer, count: Array) -> tuple[LinearLayer, LinearLayer]:
            now = jax.lax.fori_loop(0, count, step, now)
            return now, now

        counts = jnp.diff(jnp.round(times / rate), prepend=0.0).astype(int)
        return jax.lax.scan(proceed, layer, counts)[1]

    return jax.lax.map(at_rate, rates)


def minimise(starts: LinearLayer, population: Population, *, mask: LinearLayer | None = None) -> Trained:
    """Minimise the squared error over all parameters, from several starts (leading axis): L-BFGS, then Newton steps.

    The end points are what they are: global minima, local ones, or saddles that a start was attracted to.

    Parameters
    ----------
    starts : LinearLayer
        Stacked along the first axis.
    population : Population
        What to train on.
    mask : LinearLayer, optional
        Ones and zeros; entries at a zero are held at zero, which finds stationary points inside a subspace.

    Returns
    -------
    Trained
        Gradients in it are those of the unmasked entries.
    """
    one = jax.tree.map(lambda leaf: leaf[0], starts)
    return _minimise(starts, population, jax.tree.map(jnp.ones_like, one) if mask is None else mask)


@eqx.filter_jit
def _minimise(starts: LinearLayer, population: Any, mask: LinearLayer) -> Trained:
    def inside(layer: LinearLayer) -> LinearLayer:
        return jax.tree.map(jnp.multiply, layer, mask)

    def one(start: LinearLayer) -> Trained:
        def error(layer: LinearLayer, args: Any) -> Array:
            return args.squared_error(inside(layer))

        end = minimise_from(error, inside(start), population)[0]
        gradient = ravel_pytree(jax.grad(error)(balanced(end), population))[0]
        return Trained(end, population.squared_error(end), jnp.max(jnp.abs(gradient)))

    return jax.vmap(one)(starts)


def best(trained: Trained) -> Trained:
    """Return the end point with the least error."""
    winner = jnp.argmin(trained.error)
    return jax.tree.map(lambda leaf: leaf[winner], trained)


@eqx.filter_jit
def curvature_along(layer: LinearLayer, direction: LinearLayer, population: Population) -> Float[Array, ""]:
    """Second derivative of half the mean squared error along a direction in parameter space."""

    def along(step: Array) -> Array:
        return half_error(jax.tree.map(lambda w, v: w + step * v, layer, direction), population)

    return jax.grad(jax.grad(along))(0.0)


@eqx.filter_jit
def slope(layer: LinearLayer, population: Population) -> Float[Array, ""]:
    """Largest entry of the gradient of the mean squared error, over all parameters."""
    return jnp.max(jnp.abs(ravel_pytree(jax.grad(population.squared_error)(layer))[0]))


@eqx.filter_jit
def hessian(layer: LinearLayer, population: Population) -> Float[Array, "p p"]:
    """Hessian of the mean squared error in all parameters: those of ``value``, then of ``key_query``, row by row."""
    flat, unravel = ravel_pytree(layer)
    return jax.hessian(lambda v: population.squared_error(unravel(v)))(flat)


def balanced(layer: LinearLayer) -> LinearLayer:
    """Return the layer of the same answers whose two matrices have the same norm."""
    first, second = jnp.linalg.norm(layer.value), jnp.linalg.norm(layer.key_query)
    ratio = jnp.where((first > 0) & (second > 0), jnp.sqrt(first / jnp.where(second > 0, second, 1.0)), 1.0)
    return LinearLayer(layer.value / ratio, layer.key_query * ratio)
