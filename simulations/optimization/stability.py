r"""Stability at a minimum, found by running: displacements under SGD, their growth, and thresholds by bisection.

Near its threshold the mean square of a displacement under SGD is carried by rare runs, so that averaging independent
runs fails. Its growth is measured on a population instead: every step multiplies the mean square, and the population
is then resampled in proportion to each member's share of it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.optimization.minima import RayleighMinimum, ZeroLossModel
from simulations.replicates import over_replicates

POPULATION_SCALE = 1e-7
PERTURBATION = 1e-9
ESCAPE = 1e3
RETURN = 1e-3


def sgd_displacements(
    key: PRNGKeyArray,
    model: ZeroLossModel,
    start: ArrayLike,
    *,
    learning_rate: ArrayLike,
    batch_size: int,
    n_steps: int,
    n_replicates: int,
) -> Float[Array, "replicates p"]:
    r"""Displacements from the minimum after SGD steps on batches drawn with replacement, in independent runs.

    Costs O(n p) a step and run.

    Parameters
    ----------
    key : PRNG key
    model : ZeroLossModel
    start : array_like, shape (p,)
        Displacement before the first step.
    learning_rate : float
        eta > 0.
    batch_size, n_steps, n_replicates : int
        At least 1.

    Returns
    -------
    array, shape (n_replicates, p)

    Raises
    ------
    ValueError
        If shapes disagree or a number is out of its range.
    """
    displacement = _start(start, model.point.shape[0])
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    B, steps, runs = _counts(batch_size, n_steps, n_replicates)
    return over_replicates(_sgd, jax.random.split(key, runs), model, displacement, rate, B, steps)


def gaussian_displacements(
    key: PRNGKeyArray,
    eigenvalues: ArrayLike,
    start: ArrayLike,
    *,
    learning_rate: ArrayLike,
    batch_size: int,
    n_steps: int,
    n_replicates: int,
) -> Float[Array, "replicates d"]:
    r"""Return displacements of a linear model under SGD on fresh inputs x ~ N(0, diag(eigenvalues)) in every step.

    Parameters
    ----------
    key : PRNG key
    eigenvalues : array_like, shape (d,)
        Nonnegative.
    start, learning_rate, batch_size, n_steps, n_replicates
        As in :func:`sgd_displacements`.

    Returns
    -------
    array, shape (n_replicates, d)

    Raises
    ------
    ValueError
        If shapes disagree or a number is out of its range.
    """
    scales = jnp.sqrt(validation.nonnegative("eigenvalues", eigenvalues, ndim=1))
    displacement = _start(start, scales.shape[0])
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    B, steps, runs = _counts(batch_size, n_steps, n_replicates)
    return over_replicates(_gaussian_sgd, jax.random.split(key, runs), scales, displacement, rate, B, steps)


def mean_square_growth(
    key: PRNGKeyArray,
    model: ZeroLossModel,
    *,
    learning_rate: ArrayLike,
    batch_size: int,
    n_particles: int,
    n_steps: int,
    burn_in: int,
) -> Float[Array, " steps"]:
    r"""Logarithm of the factor by which each SGD step multiplies the mean-square residual of small displacements.

    Their average over steps tends to the log of the largest multiplier of the second moment; steps are correlated. The
    population's members are scaled to a root-mean-square residual of 1e-7 each, where networks are linear. Its finite
    size biases the average by O(1 / n_particles). Costs O(n p) a step and particle.

    Parameters
    ----------
    key : PRNG key
    model : ZeroLossModel
    learning_rate : float
        eta > 0.
    batch_size, n_particles, n_steps : int
        At least 1; ``n_steps`` are recorded.
    burn_in : int
        Steps before recording, nonnegative.

    Returns
    -------
    array, shape (n_steps,)

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    B, steps, particles = _counts(batch_size, n_steps, n_particles, "n_particles")
    skipped = validation.integer("burn_in", burn_in, minimum=0)
    return _growth(key, model, rate, B, particles, skipped + steps)[skipped:]


def mean_square_threshold(
    key: PRNGKeyArray,
    model: ZeroLossModel,
    *,
    batch_size: int,
    bracket: tuple[float, float],
    n_particles: int,
    n_steps: int,
    burn_in: int,
    n_replicates: int,
    n_bisections: int = 12,
) -> Float[Array, " replicates"]:
    r"""Step sizes at which the mean square stops shrinking under SGD, by bisection, one for each population.

    Each population uses the same random numbers at all step sizes, so that its growth is a fixed function of them.

    Parameters
    ----------
    key : PRNG key
    model : ZeroLossModel
    bracket : (float, float)
        Step sizes to search between; a result at either end means that the threshold is outside.
    batch_size, n_particles, n_steps, burn_in
        As in :func:`mean_square_growth`.
    n_replicates, n_bisections : int
        At least 1.

    Returns
    -------
    array, shape (n_replicates,)

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    low, high = _bracket(bracket)
    B, steps, particles = _counts(batch_size, n_steps, n_particles, "n_particles")
    skipped = validation.integer("burn_in", burn_in, minimum=0)
    runs = validation.integer("n_replicates", n_replicates, minimum=1)
    halvings = validation.integer("n_bisections", n_bisections, minimum=1)
    keys = jax.random.split(key, runs)
    return over_replicates(_threshold, keys, model, B, particles, skipped, skipped + steps, low, high, halvings)


def descent_threshold(
    key: PRNGKeyArray,
    model: ZeroLossModel | RayleighMinimum,
    *,
    bracket: tuple[float, float],
    momentum: ArrayLike = 0.0,
    n_steps: int = 2000,
    n_bisections: int = 40,
) -> Float[Array, ""]:
    r"""Step size at which (heavy-ball) gradient descent stops returning to a minimum, by bisection.

    A run starts at a distance of 1e-9 (times the length of the parameters) in a random direction. It counts as leaving
    when its deviation has ever grown by a factor of 1000 (it may then find other minima, or grow so long that it is
    stable), or is larger after ``n_steps`` steps than half way and not yet a thousandth of the first (later ones are
    rounding). Momentum alone can amplify a deviation by about 1 / (1 - beta). Costs ``n_bisections`` runs.

    Parameters
    ----------
    key : PRNG key
        For the direction of the perturbation.
    model : ZeroLossModel or RayleighMinimum
    bracket : (float, float)
        Step sizes to search between; a result at either end means that the threshold is outside.
    momentum : float
        beta in [0, 0.99], :math:`p_t = \beta p_{t-1} + \nabla L`, :math:`w_{t+1} = w_t - \eta p_t`.
    n_steps, n_bisections : int

    Returns
    -------
    array, shape ()

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    low, high = _bracket(bracket)
    beta = validation.require(
        "momentum", validation.nonnegative("momentum", momentum, ndim=0), lambda b: b <= 0.99, "at most 0.99"
    )
    steps = validation.integer("n_steps", n_steps, minimum=2)
    halvings = validation.integer("n_bisections", n_bisections, minimum=1)
    return _descent_threshold(key, model, beta, steps, low, high, halvings)


def _sgd(key: Array, model: ZeroLossModel, start: Array, rate: Array, batch_size: int, n_steps: int) -> Array:
    batches = jax.random.randint(key, (n_steps, batch_size), 0, model.n_samples)

    def step(parameters: Array, batch: Array) -> tuple[Array, None]:
        return parameters - rate * _batch_gradient(model, parameters, batch), None

    return jax.lax.scan(step, model.point + start, batches)[0] - model.point


def _gaussian_sgd(key: Array, scales: Array, start: Array, rate: Array, batch_size: int, n_steps: int) -> Array:
    def step(displacement: Array, key: Array) -> tuple[Array, None]:
        x = scales * jax.random.normal(key, (batch_size, scales.shape[0]))
        return displacement - rate * (x @ displacement) @ x / batch_size, None

    return jax.lax.scan(step, start, jax.random.split(key, n_steps))[0]


def _batch_gradient(model: ZeroLossModel, parameters: Array, batch: Array) -> Array:
    weights = jnp.sum(batch[:, None] == jnp.arange(model.n_samples), axis=0) / batch.shape[0]
    return model.weighted_gradient(parameters, weights)


@eqx.filter_jit
def _growth(key: Array, model: ZeroLossModel, rate: Array, batch_size: int, particles: int, n_steps: int) -> Array:
    draw_start, draw_steps = jax.random.split(key)

    def mean_squares(displacements: Array) -> Array:
        return jax.vmap(lambda d: jnp.mean(model.deviation(model.point + d) ** 2))(displacements)

    # displacements in the span of the gradients: no step leaves it, and it holds no neutral direction
    _, pullback = jax.vjp(model.deviation, model.point)
    displacements = jax.vmap(lambda c: pullback(c)[0])(jax.random.normal(draw_start, (particles, model.n_samples)))

    def rescaled(displacements: Array) -> Array:
        return displacements * (POPULATION_SCALE / jnp.sqrt(mean_squares(displacements)))[:, None]

    largest = jnp.abs(displacements).max(axis=1, keepdims=True)
    displacements = rescaled(displacements * (POPULATION_SCALE / largest))

    def step(displacements: Array, key: Array) -> tuple[Array, Array]:
        draw_batches, draw_parents = jax.random.split(key)
        batches = jax.random.randint(draw_batches, (particles, batch_size), 0, model.n_samples)
        gradients = jax.vmap(lambda d, batch: _batch_gradient(model, model.point + d, batch))(displacements, batches)
        moved = displacements - rate * gradients
        squares = mean_squares(moved)
        grown = squares.mean()
        # systematic resampling: one uniform number, evenly spaced positions
        positions = (jnp.arange(particles) + jax.random.uniform(draw_parents)) / particles
        shares = jnp.cumsum(squares) / squares.sum()
        parents = jnp.minimum(jnp.searchsorted(shares, positions), particles - 1)
        return rescaled(moved[parents]), jnp.log(grown / POPULATION_SCALE**2)

    return jax.lax.scan(step, displacements, jax.random.split(draw_steps, n_steps))[1]


def _threshold(
    key: Array,
    model: ZeroLossModel,
    batch_size: int,
    particles: int,
    skipped: int,
    n_steps: int,
    low: Array,
    high: Array,
    halvings: int,
) -> Array:
    def grows(rate: Array) -> Array:
        return _growth(key, model, rate, batch_size, particles, n_steps)[skipped:].mean() > 0

    return _bisect(grows, low, high, halvings)


@eqx.filter_jit
def _descent_threshold(
    key: Array,
    model: ZeroLossModel | RayleighMinimum,
    momentum: Array,
    n_steps: int,
    low: Array,
    high: Array,
    halvings: int,
) -> Array:
    direction = jax.random.normal(key, model.point.shape)
    size = jnp.linalg.norm(model.point)
    size = PERTURBATION * jnp.where(size > 0, size, 1.0)
    start = model.point + size * direction / jnp.linalg.norm(direction)

    def leaves(rate: Array) -> Array:
        def step(_: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            parameters, velocity, peak = state
            velocity = momentum * velocity + model.gradient(parameters)
            parameters = parameters - rate * velocity
            return parameters, velocity, jnp.maximum(peak, jnp.linalg.norm(model.deviation(parameters)))

        first = jnp.linalg.norm(model.deviation(start))
        half = jax.lax.fori_loop(0, n_steps // 2, step, (start, jnp.zeros_like(start), first))
        end = jax.lax.fori_loop(n_steps // 2, n_steps, step, half)
        last = jnp.linalg.norm(model.deviation(end[0]))
        returning = (last <= jnp.linalg.norm(model.deviation(half[0]))) | (last <= RETURN * first)
        return ~(returning & (end[2] <= ESCAPE * first))

    return _bisect(leaves, low, high, halvings)


def _bisect(above, low: Array, high: Array, halvings: int) -> Array:
    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = 0.5 * (ends[0] + ends[1])
        beyond = above(middle)
        return jnp.where(beyond, ends[0], middle), jnp.where(beyond, middle, ends[1])

    low, high = jax.lax.fori_loop(0, halvings, halve, (low, high))
    return 0.5 * (low + high)


def _start(start: ArrayLike, size: int) -> Array:
    displacement = validation.finite("start", start, ndim=1)
    if displacement.shape[0] != size:
        raise ValueError(f"start must have {size} entries; got {displacement.shape[0]}")
    return displacement


def _counts(batch_size: int, n_steps: int, runs: int, name: str = "n_replicates") -> tuple[int, int, int]:
    return (
        validation.integer("batch_size", batch_size, minimum=1),
        validation.integer("n_steps", n_steps, minimum=1),
        validation.integer(name, runs, minimum=1),
    )


def _bracket(bracket: tuple[float, float]) -> tuple[Array, Array]:
    low, high = (validation.positive("bracket", end, ndim=0) for end in bracket)
    if validation.is_concrete(low) and not low < high:
        raise ValueError(f"bracket must be (low, high) with low < high; got {bracket}")
    return low, high
