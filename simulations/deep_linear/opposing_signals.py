"""Data with a rare, large feature of either sign, and gradient descent of two-layer linear networks on it.

Weights are (W, v^T), input side first, as everywhere in this package: the first layer has the outlier as its last
input. Two targets: "opposing", beta . z + gamma |o|, on which the signs of the outlier o disagree, and "consistent",
beta . z + gamma o, on which they do not.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.deep_linear.gradient_descent import gradient_step
from simulations.deep_linear.hessian import loss_hessian
from simulations.deep_linear.networks import Task, Weights, WeightsLike, check_weights, loss

SIGNALS = ("opposing", "consistent")


class Outliers(eqx.Module):
    """What the data are drawn from: ``beta`` (d,), the outlier's ``magnitude`` and ``probability``, and ``gamma``."""

    beta: Float[Array, " d"]
    magnitude: Float[Array, ""]
    probability: Float[Array, ""]
    gamma: Float[Array, ""]
    signal: str = eqx.field(static=True, default="opposing")

    @classmethod
    def make(
        cls,
        beta: Float[ArrayLike, " d"] | Sequence[ArrayLike],
        *,
        magnitude: ArrayLike,
        probability: ArrayLike,
        gamma: ArrayLike = 1.0,
        signal: str = "opposing",
    ) -> "Outliers":
        """Check the arguments.

        Raises
        ------
        ValueError
            If a number is not finite, ``magnitude`` not positive, ``probability`` not in (0, 1], or ``signal`` is not
            one of the two.
        """
        chance = validation.finite("probability", probability, ndim=0)
        return cls(
            validation.finite("beta", beta, ndim=1),
            validation.positive("magnitude", magnitude, ndim=0),
            validation.require("probability", chance, lambda p: (p > 0) & (p <= 1), "in (0, 1]"),
            validation.finite("gamma", gamma, ndim=0),
            validation.choice("signal", signal, SIGNALS),
        )

    def targets(self, z: Float[Array, "d n"], o: Float[Array, " n"]) -> Float[Array, " n"]:
        """Targets of examples, columns of z beside entries of o."""
        felt = jnp.abs(o) if self.signal == "opposing" else o
        return self.beta @ z + self.gamma * felt

    def task(self, z: Float[Array, "d n"], o: Float[Array, " n"], shares: Float[Array, " n"] | None = None) -> Task:
        """Task whose loss is the mean over the given examples, or weighted by ``shares`` that sum to one."""
        weights = jnp.full(o.shape, 1 / o.shape[0]) if shares is None else shares
        root = jnp.sqrt(weights)
        return Task.from_samples(root * jnp.concatenate([z, o[None]]), root * self.targets(z, o)[None], average=False)


class GroupMeasurements(NamedTuple):
    """Losses of all examples and of the groups o = A, -A, 0, and the first two groups' gradients in W's last column."""

    losses: Float[Array, " 4"]
    gradients: Float[Array, "2 hidden"]


class Growth(NamedTuple):
    """The largest size of the outlier's column, and of v, on the way, and the last ``weights``."""

    outlier: Float[Array, ""]
    output: Float[Array, ""]
    weights: Weights


def population(data: Outliers) -> Task:
    """Task over finitely many weighted examples whose first two moments are those of the population.

    z runs over +-sqrt(d) times the unit vectors and o over its three values: for a network that is linear in its
    inputs, whose squared loss has degree two, the mean is exact. Costs 6 d examples.
    """
    d = data.beta.shape[0]
    z = jnp.sqrt(d) * jnp.concatenate([jnp.eye(d), -jnp.eye(d)], axis=1)
    o = data.magnitude * jnp.array([1.0, -1.0, 0.0])
    chance = jnp.stack([data.probability / 2, data.probability / 2, 1 - data.probability])
    return data.task(jnp.tile(z, 3), jnp.repeat(o, 2 * d), jnp.repeat(chance, 2 * d) / (2 * d))


def group(data: Outliers, sign: int) -> Task:
    """Task over the examples of one group, o = ``sign`` times A, as :func:`population`."""
    d = data.beta.shape[0]
    z = jnp.sqrt(d) * jnp.concatenate([jnp.eye(d), -jnp.eye(d)], axis=1)
    return data.task(z, jnp.full(2 * d, sign * data.magnitude))


def sample_groups(key: PRNGKeyArray, data: Outliers, weights: Weights, *, n: int) -> GroupMeasurements:
    """Draw ``n`` examples of everything and ``n`` of each group, and take losses and gradients there."""
    keys = jax.random.split(key, 5)
    normal = [jax.random.normal(k, (data.beta.shape[0], n)) for k in keys[:4]]
    uniform = jax.random.uniform(keys[4], (n,))
    signs = jnp.where(uniform < data.probability / 2, 1.0, jnp.where(uniform < data.probability, -1.0, 0.0))
    drawn = [signs, *(jnp.full(n, sign) for sign in (1.0, -1.0, 0.0))]
    tasks = [data.task(z, data.magnitude * sign) for z, sign in zip(normal, drawn, strict=True)]
    gradients = [jax.grad(loss)(weights, task)[0][:, -1] for task in tasks[1:3]]
    return GroupMeasurements(jnp.stack([loss(weights, task) for task in tasks]), jnp.stack(gradients))


def sharpness(weights: Weights, task: Task) -> Float[Array, ""]:
    """Largest eigenvalue of the loss's Hessian in all weights, by automatic differentiation. Costs O(p^3)."""
    return jnp.linalg.eigvalsh(loss_hessian(weights, task))[-1]


def outlier_image(weights: Weights, task: Task) -> Float[Array, " parameters"]:
    """Image under the Hessian of the unit vector that lies along v in the outlier's column of W, zero elsewhere."""
    layer, output = weights
    unit = output[0] / jnp.linalg.norm(output)
    direction = jnp.concatenate([jnp.zeros_like(layer).at[:, -1].set(unit).ravel(), jnp.zeros(output.size)])
    return loss_hessian(weights, task) @ direction


def watch_descent(weights: WeightsLike, task: Task, *, learning_rate: ArrayLike, n_steps: int) -> Growth:
    """Descend, and keep how large the outlier's column and the output layer ever were, the start included.

    Raises
    ------
    ValueError
        If the network does not fit the task or a number is out of its range.
    """
    start = check_weights(weights, task)
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    return _watch(start, task, rate, validation.integer("n_steps", n_steps, minimum=1))


def outlier_growth(weights: Weights, task: Task, learning_rate: ArrayLike) -> Float[Array, ""]:
    """Factor by which one step of gradient descent changes the size of the outlier's column."""
    after = gradient_step(weights, task, learning_rate)
    return jnp.linalg.norm(after[0][:, -1]) / jnp.linalg.norm(weights[0][:, -1])


def neutral_rate(weights: WeightsLike, task: Task, *, low: ArrayLike, high: ArrayLike) -> Float[Array, ""]:
    """Bisect for the step between ``low`` and ``high`` at which the outlier's column neither grows nor shrinks.

    The column must shrink at ``low`` and grow at ``high``; otherwise an end is returned.

    Raises
    ------
    ValueError
        If the network does not fit the task or an end is not positive.
    """
    start = check_weights(weights, task)
    ends = validation.positive("low", low, ndim=0), validation.positive("high", high, ndim=0)
    return _bisect(lambda rate: outlier_growth(start, task, rate), *ends)


def critical_rate(
    weights: WeightsLike, task: Task, *, low: ArrayLike, high: ArrayLike, n_steps: int
) -> Float[Array, ""]:
    """Bisect for the step beyond which the outlier's column grows once descent has converged in everything else.

    For each step descent runs ``n_steps`` from ``weights``, whose outlier column should be far too small to matter, and
    the growth is that of the next step.

    Raises
    ------
    ValueError
        As in :func:`neutral_rate`.
    """
    start = check_weights(weights, task)
    ends = validation.positive("low", low, ndim=0), validation.positive("high", high, ndim=0)
    steps = validation.integer("n_steps", n_steps, minimum=1)

    def late(rate: Array) -> Array:
        def step(_: Array, weights: Weights) -> Weights:
            moved = gradient_step(weights, task, rate)
            # kept at its size: only its direction matters while it is small, and growth would overflow
            scale = jnp.linalg.norm(start[0][:, -1]) / jnp.linalg.norm(moved[0][:, -1])
            return moved[0].at[:, -1].multiply(scale), moved[1]

        return outlier_growth(jax.lax.fori_loop(0, steps, step, start), task, rate)

    return _bisect(late, *ends)


@partial(jax.jit, static_argnums=3)
def _watch(start: Weights, task: Task, rate: Array, n_steps: int) -> Growth:
    def sizes(weights: Weights) -> tuple[Array, Array]:
        return jnp.linalg.norm(weights[0][:, -1]), jnp.linalg.norm(weights[1])

    def step(_: Array, state: Growth) -> Growth:
        weights = gradient_step(state.weights, task, rate)
        outlier, output = sizes(weights)
        return Growth(jnp.maximum(state.outlier, outlier), jnp.maximum(state.output, output), weights)

    return jax.lax.fori_loop(0, n_steps, step, Growth(*sizes(start), start))


def _bisect(growth, low: Array, high: Array) -> Array:
    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = (ends[0] + ends[1]) / 2
        grows = growth(middle) > 1
        return jnp.where(grows, ends[0], middle), jnp.where(grows, middle, ends[1])

    return jnp.mean(jnp.stack(jax.lax.fori_loop(0, 60, halve, (low, high))))
