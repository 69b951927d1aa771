"""Gradient flow and gradient descent on a feature model: how the factors get to collapse."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation
from simulations.neural_collapse.checkpoints import checkpointed, increments
from simulations.neural_collapse.integrate import check_times, integrate, require_finished
from simulations.neural_collapse.model import Factors, FeatureModel, check_factors, objective

Observe = Callable[[Factors, FeatureModel], Any]


def gradient_flow(
    model: FeatureModel,
    start: Factors,
    *,
    times: ArrayLike | Sequence[float],
    rate: ArrayLike = 1.0,
    observe: Observe | None = None,
) -> Any:
    r"""Integrate :math:`\dot\theta = -r \nabla f(\theta)` on all factors and the bias.

    Parameters
    ----------
    model : FeatureModel
        Objective f.
    start : Factors
        Values at time 0.
    times : array_like, shape (T,)
        Nonnegative and increasing.
    rate : float
        r > 0; r = N turns the average over samples into a sum.
    observe : callable, optional
        Maps factors and model to arrays, as the readouts of this package do; the factors themselves when left out.
        Pass the same function again to compile once.

    Returns
    -------
    pytree
        Observations, stacked over ``times``.

    Raises
    ------
    ValueError
        If a number is out of range, or the factors do not fit the model.
    RuntimeError
        If the integrator gives up.
    """
    check_factors("start", start, model)
    speed = validation.positive("rate", rate, ndim=0)
    return require_finished(_flow(model, start, check_times(times), speed, observe or _everything))


def gradient_descent(
    model: FeatureModel,
    start: Factors,
    *,
    learning_rate: ArrayLike,
    steps: Sequence[int],
    observe: Observe | None = None,
) -> Any:
    """Descend the objective with a fixed step size, and observe after the given numbers of steps.

    Parameters
    ----------
    model, start, observe
        As in :func:`gradient_flow`.
    learning_rate : float
        Positive.
    steps : sequence of int
        Nonnegative and increasing.

    Returns
    -------
    pytree
        Observations, stacked over ``steps``.

    Raises
    ------
    ValueError
        If a number is out of range, or the factors do not fit the model.
    """
    check_factors("start", start, model)
    eta = validation.positive("learning_rate", learning_rate, ndim=0)
    return _descend(model, start, eta, increments("steps", steps), observe or _everything)


def aligned_start(model: FeatureModel, key: Array, modes: ArrayLike) -> Factors:
    """Balanced factors whose product has the singular vectors of the target and the singular values ``modes``.

    The target is the one-hot label matrix, minus its mean over samples when the model has a bias, which starts at
    zero. The spaces between the factors are turned at random. Modes go by descending singular value of the target.

    Raises
    ------
    ValueError
        If there are more modes than the narrowest layer or the target has, or one is negative.
    """
    m = validation.nonnegative("modes", modes, ndim=1)
    targets = model.targets
    if model.bias:
        targets = targets - targets.mean(axis=1, keepdims=True)
    limit = min(*model.dims, model.num_classes - model.bias)
    if m.shape[0] > limit:
        raise ValueError(f"modes must have at most {limit} entries; got {m.shape[0]}")
    left, _, right = jnp.linalg.svd(targets, full_matrices=False)
    count = m.shape[0]
    keys = jax.random.split(key, len(model.dims))
    frames = [jax.random.orthogonal(k, d)[:, :count] for k, d in zip(keys, model.dims, strict=True)]
    frames.append(left[:, :count])
    root = m ** (1 / (len(model.dims) + 1))
    weights = tuple((outer * root) @ inner.T for outer, inner in zip(frames[1:], frames[:-1], strict=True))
    bias = jnp.zeros(model.num_classes) if model.bias else None
    return Factors((frames[0] * root) @ right[:count], weights, bias)


def growth_rates(model: FeatureModel, point: Factors, *, rate: ArrayLike = 1.0) -> Float[Array, " parameters"]:
    """Eigenvalues, ascending, of the flow of :func:`gradient_flow` linearised at ``point``, the bias held fixed."""
    check_factors("point", point, model)
    return _growth_rates(model, point, validation.positive("rate", rate, ndim=0))


@eqx.filter_jit
def _flow(model: FeatureModel, start: Factors, times: Array, rate: Array, observe: Observe) -> Any:
    slope = jax.grad(objective)

    def velocity(now: Factors) -> Factors:
        return jax.tree.map(lambda g: -rate * g, slope(now, model))

    return integrate(velocity, start, times, lambda now: observe(now, model))


@eqx.filter_jit
def _descend(model: FeatureModel, start: Factors, eta: Array, counts: Array, observe: Observe) -> Any:
    slope = jax.grad(objective)

    def step(now: Factors) -> Factors:
        return jax.tree.map(lambda x, g: x - eta * g, now, slope(now, model))

    return checkpointed(step, start, counts, lambda now: observe(now, model))


@eqx.filter_jit
def _growth_rates(model: FeatureModel, point: Factors, rate: Array) -> Array:
    x, unravel = ravel_pytree((point.features, point.weights))

    def value(y: Array) -> Array:
        features, weights = unravel(y)
        return objective(Factors(features, weights, point.bias), model)

    return jnp.linalg.eigvalsh(-rate * jax.hessian(value)(x))


def _everything(factors: Factors, model: FeatureModel) -> Factors:
    return factors
