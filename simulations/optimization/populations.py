r"""How the mean square of a displacement under SGD grows, measured on populations that are resampled.

Near its threshold that mean square is carried by rare runs: products of random matrices have heavy tails, and the
average over independent runs misses most of it. Here every step multiplies the mean square of a population by a
factor, and the population is then resampled in proportion to each member's share, members rescaled to one size.

- The *product* of the factors has exactly the expectation of the mean square, for any number of particles
  (:func:`resampled_mean_squares`): every step's factor is unbiased given the population before it.
- The *logarithm* of a factor, and with it a growth rate or a threshold found by bisection, has a bias of O(1 / N) for
  N particles, downwards: the logarithm is concave, and a finite population lacks the rarest runs.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.optimization.minima import ZeroLossModel
from simulations.optimization.stability import batch_gradient, bisect, bracket_ends, run_counts, start_displacement
from simulations.replicates import over_replicates

POPULATION_SCALE = 1e-7


def resampled_mean_squares(
    key: PRNGKeyArray,
    model: ZeroLossModel,
    start: ArrayLike,
    *,
    learning_rate: ArrayLike,
    batch_size: int,
    n_particles: int,
    n_steps: int,
    n_replicates: int,
) -> Float[Array, "replicates steps"]:
    r"""Unbiased estimates of the mean-square residual after each step of SGD, over that at the start.

    Costs O(n p) a step and particle.

    Parameters
    ----------
    key : PRNG key
    model : ZeroLossModel
    start : array_like, shape (p,)
        Direction of the displacement that all particles start from, rescaled to a root-mean-square residual of 1e-7.
    learning_rate : float
        eta > 0.
    batch_size, n_particles, n_steps, n_replicates : int
        At least 1. More particles make the estimates less noisy, not less biased.

    Returns
    -------
    array, shape (n_replicates, n_steps)

    Raises
    ------
    ValueError
        If shapes disagree or a number is out of its range.
    """
    displacement = start_displacement(start, model.point.shape[0])
    rate = validation.positive("learning_rate", learning_rate, ndim=0)
    B, steps, particles = run_counts(batch_size, n_steps, n_particles, "n_particles")
    runs = validation.integer("n_replicates", n_replicates, minimum=1)
    keys = jax.random.split(key, runs)
    return over_replicates(_mean_squares, keys, model, displacement, rate, B, particles, steps)


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
    B, steps, particles = run_counts(batch_size, n_steps, n_particles, "n_particles")
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
    low, high = bracket_ends(bracket)
    B, steps, particles = run_counts(batch_size, n_steps, n_particles, "n_particles")
    skipped = validation.integer("burn_in", burn_in, minimum=0)
    runs = validation.integer("n_replicates", n_replicates, minimum=1)
    halvings = validation.integer("n_bisections", n_bisections, minimum=1)
    keys = jax.random.split(key, runs)
    return over_replicates(_threshold, keys, model, B, particles, skipped, skipped + steps, low, high, halvings)


def _mean_squares(
    key: Array, model: ZeroLossModel, start: Array, rate: Array, batch_size: int, particles: int, n_steps: int
) -> Array:
    displacements = jnp.broadcast_to(start, (particles, *start.shape))
    return jnp.exp(jnp.cumsum(_log_factors(key, model, displacements, rate, batch_size, n_steps)))


@eqx.filter_jit
def _growth(key: Array, model: ZeroLossModel, rate: Array, batch_size: int, particles: int, n_steps: int) -> Array:
    draw_start, draw_steps = jax.random.split(key)
    # displacements in the span of the gradients: no step leaves it, and it holds no neutral direction
    _, pullback = jax.vjp(model.deviation, model.point)
    displacements = jax.vmap(lambda c: pullback(c)[0])(jax.random.normal(draw_start, (particles, model.n_samples)))
    return _log_factors(draw_steps, model, displacements, rate, batch_size, n_steps)


def _log_factors(
    key: Array, model: ZeroLossModel, displacements: Array, rate: Array, batch_size: int, n_steps: int
) -> Array:
    particles = displacements.shape[0]

    def mean_squares(displacements: Array) -> Array:
        return jax.vmap(lambda d: jnp.mean(model.deviation(model.point + d) ** 2))(displacements)

    def rescaled(displacements: Array) -> Array:
        return displacements * (POPULATION_SCALE / jnp.sqrt(mean_squares(displacements)))[:, None]

    largest = jnp.abs(displacements).max(axis=1, keepdims=True)
    displacements = rescaled(displacements * (POPULATION_SCALE / largest))

    def step(displacements: Array, key: Array) -> tuple[Array, Array]:
        draw_batches, draw_parents = jax.random.split(key)
        batches = jax.random.randint(draw_batches, (particles, batch_size), 0, model.n_samples)
        gradients = jax.vmap(lambda d, batch: batch_gradient(model, model.point + d, batch))(displacements, batches)
        moved = displacements - rate * gradients
        squares = mean_squares(moved)
        grown = squares.mean()
        # systematic resampling: one uniform number, evenly spaced positions
        positions = (jnp.arange(particles) + jax.random.uniform(draw_parents)) / particles
        shares = jnp.cumsum(squares) / squares.sum()
        parents = jnp.minimum(jnp.searchsorted(shares, positions), particles - 1)
        return rescaled(moved[parents]), jnp.log(grown / POPULATION_SCALE**2)

    return jax.lax.scan(step, displacements, jax.random.split(key, n_steps))[1]


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

    return bisect(grows, low, high, halvings)
