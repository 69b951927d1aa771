"""What training owes to its first weights: pretrained layers, orthogonal and Gaussian ones, and small ones."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Equivalence, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, Steps, components
from paper_checks.papers.saxe2013.paper import PAPER
from paper_checks.problems import linear_task, readout
from simulations import deep_linear as sim
from simulations.replicates import over_replicates
from theory import deep_linear

RATES = tuple(float(c) for c in np.geomspace(0.1, 1.5, 8))


@PAPER.claim(
    "greedy_pretraining",
    statement=r"""Greedy pretraining of a layer as a linear autoencoder moves every mode by $\tau \dot u = 2 \lambda u
    (1 - u)$ to $u = 1$, for any positive input eigenvalue; a pretrained network of any depth starts at mode
    strength 1.""",
    source="unsupervised pretraining of deep linear networks",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("rate lambda for 2 lambda", "fixed point lambda", "eigenvalues taken as one"),
)
def greedy_pretraining(run: Run) -> Trial:
    """Train one autoencoder by gradient descent at falling rates; pretrain a stack of layers to the end."""
    size, depth = run.size("inputs and depth", quick=(4, 3), standard=(12, 4), full=(100, 8))
    finest = run.size("finest learning rate", quick=1e-3, standard=5e-4, full=5e-4)
    rates = [8 * finest, 4 * finest, 2 * finest, finest]
    times, u0 = np.array([0.24, 0.48, 0.96]), 0.15
    eigenvalues = run.rng("eigenvalues").uniform(0.6, 2.0, size)
    task = linear_task(run.rng(), eigenvalues, n_inputs=size, n_outputs=size)
    sigma_xx = (task.v * eigenvalues) @ task.v.T

    def measure() -> Steps:
        encoder = sim.decoupled(run.key(), np.full((1, size), np.sqrt(u0)), u=task.u, v=task.v)[0]
        courses = sim.descend_at_times(
            (encoder, encoder.T),
            sim.Task.from_moments(sigma_xx, sigma_xx),
            learning_rates=rates,
            times=times,
            observe=readout(sim.mode_strengths, u=task.v, v=task.v),
        )
        layers = sim.orthogonal(run.key("stack"), (size,) * (depth + 1), gain=0.5)
        ends = [
            sim.singular_values(
                sim.pretrain_layers(layers, learning_rate=20 * rate, n_steps=int(30 / (20 * rate)), sigma_xx=sigma_xx)
            )
            for rate in rates
        ]
        return Steps(rates, components(courses, np.stack(ends), leading=1))

    def predict(eigenvalues: np.ndarray = eigenvalues, tau: float = 1.0, end: float | np.ndarray = 1.0) -> np.ndarray:
        course = deep_linear.pretraining_strength(times[:, None], input_eigenvalue=eigenvalues, u0=u0 / end, tau=tau)
        return components(course * end, np.ones(size))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "rate lambda for 2 lambda": lambda: predict(tau=2.0),
            "fixed point lambda": lambda: predict(end=eigenvalues),
            "eigenvalues taken as one": lambda: predict(eigenvalues=np.ones(size)),
        },
    )


@PAPER.claim(
    "depth_independent_orthogonal",
    statement=r"""At the best learning rate the number of steps to train grows far more slowly than the square root of
    depth from orthogonal initial weights; from Gaussian ones of variance $1/n$ it does not.""",
    source="training time from orthogonal and from Gaussian initial weights",
    agreement=Ordering(side="below"),
    controls=("Gaussian initial weights", "required to be negative"),
)
def depth_independent_orthogonal(run: Run) -> Trial:
    """Compare the training steps of shallow and deep networks, each at its best learning rate.

    Trained means 5 % of the loss of a network that answers zero: the initial loss would be no common goal, since deep
    Gaussian products have heavy tails and a single step forgets most of a huge one.
    """
    shallow, deep = run.size("depths", quick=(4, 12), standard=(4, 16), full=(4, 128))
    width = run.size("width", quick=8, standard=12, full=12)
    replicates = run.size("replicates", quick=384, standard=384, full=2048)
    sigma_yx = linear_task(run.rng(), [1.5, 1.0, 0.7], n_inputs=width, n_outputs=3).sigma_yx
    constants = run.size("learning rates times depth", quick=(0.2, 0.35, 0.6, 0.9, 1.2), standard=RATES, full=RATES)

    def log_steps(key: jax.Array, sigma_yx: jax.Array, initialise: Callable[..., sim.Weights], depth: int) -> jax.Array:
        start = sim.stack_layers(initialise(key, (width,) * depth + (3,)))
        task = sim.Task.from_moments(sigma_yx)
        rates = np.array(constants) / depth
        goal = 0.05 * jnp.sum(sigma_yx**2) / 2
        fraction = jnp.minimum(goal / sim.loss(start, task), 0.99)
        fewest = sim.fewest_steps(start, task, learning_rates=rates, fraction=fraction, max_steps=10_000)
        return jnp.log(fewest.steps)

    def growth(initialise: Callable[..., sim.Weights]) -> Samples:
        fast, slow = (
            over_replicates(
                log_steps,
                run.keys(replicates, f"depth {depth}"),
                jnp.asarray(sigma_yx),
                initialise,
                depth,
                chunk_size=16,
            )
            for depth in (shallow, deep)
        )
        return Samples(((slow - fast) / np.log(deep / shallow))[:, None])

    return Trial(
        predict=lambda: np.array([0.5]),
        measure=lambda: growth(sim.orthogonal),
        controls={"required to be negative": lambda: np.array([0.0])},
        counterexamples={"Gaussian initial weights": lambda: growth(sim.fan_in_gaussian)},
        scale=1.0,
    )


@PAPER.claim(
    "sequential_modes",
    statement=r"""From small random weights of size $\sigma$ the half-rise time of mode $k$ grows by $\tau / s_k$ for
    every factor $e$ by which $\sigma$ shrinks, so that strong modes are learned first.""",
    source="small random initial weights, order of learning",
    agreement=Equivalence(margin=5e-3, resolution=2e-2),
    controls=("tau / (2 s)", "tau / s^2", "the same for all modes"),
)
def sequential_modes(run: Run) -> Trial:
    """Half-rise times of the integrated flow from the same Gaussian directions at two scales, for every draw."""
    draws = run.size("draws", quick=12, standard=64, full=1024)
    sigmas = run.size("sigmas", quick=(1e-4, 1e-5), standard=(1e-5, 1e-6), full=(1e-6, 1e-7))
    task = linear_task(run.rng(), [3.0, 1.5, 0.75], n_inputs=4, n_outputs=4)

    def half_rise(key: jax.Array, sigma: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
        crossings = sim.crossing_times(
            sim.gaussian(key, (4, 8, 4), std=sigma),
            sim.Task.from_moments((u * task.s) @ v.T),
            observe=readout(sim.mode_strengths, u=u, v=v),
            levels=task.s / 2,
            max_time=100.0,
            rtol=1e-8,
            atol=1e-12,
        )
        return crossings.times

    def measure() -> np.ndarray:
        u, v = jnp.asarray(task.u), jnp.asarray(task.v)
        wide, narrow = (over_replicates(half_rise, run.keys(draws), jnp.asarray(sigma), u, v) for sigma in sigmas)
        return (narrow - wide) / np.log(sigmas[0] / sigmas[1])

    def every_draw(slope: np.ndarray) -> np.ndarray:
        return np.tile(slope, (draws, 1))

    return Trial(
        predict=lambda: every_draw(1 / task.s),
        measure=measure,
        controls={
            "tau / (2 s)": lambda: every_draw(1 / (2 * task.s)),
            "tau / s^2": lambda: every_draw(1 / task.s**2),
            "the same for all modes": lambda: every_draw(np.full(3, 1 / task.s[0])),
        },
    )
