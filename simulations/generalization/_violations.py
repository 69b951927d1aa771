"""Every training set that a small problem has, with what a bound on the risk sees of it; and sampled ones."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from simulations.generalization._complexities import all_signs
from simulations.generalization._finite_learners import FiniteProblem, all_data_sets, train_on_everything

Floats = NDArray[np.float64]


class EveryTrainingSet(NamedTuple):
    """Probabilities (S,), training risks (S, M), empirical Rademacher averages of the losses (S,), and risks (M,)."""

    probability: Array
    training_risk: Array
    complexity: Array
    risk: Array


@partial(jax.jit, static_argnums=1)
def every_training_set(problem: FiniteProblem, n: int) -> EveryTrainingSet:
    """Enumerate |Z|^n training sets, and 2^n sign vectors on each."""
    probability, training, _ = train_on_everything(problem, n)
    sets = all_data_sets(problem.p_z.shape[-1], n)
    losses = jnp.moveaxis(problem.loss[:, sets], 0, -1)  # (S, n, M)
    complexity = jnp.einsum("kn,snm->skm", jnp.asarray(all_signs(n)), losses).max(axis=2).mean(axis=1) / n
    return EveryTrainingSet(probability, training, complexity, problem.loss @ problem.p_z)


class StableLearner(NamedTuple):
    """Training and population risks over replicates, and the largest change of any loss that one example makes."""

    training_risk: Floats
    risk: Floats
    stability: float


def sample_shrunken_means(
    rng: np.random.Generator, *, replicates: int, n: int, values: Floats, p_z: Floats, shrinkage: float
) -> StableLearner:
    """Learn w = sum of z_i / (n + shrinkage) under squared loss, from replicated samples of values in [0, 1].

    The change that one example makes is found by trying all replacements, tests and sums: w is linear in each.
    """
    times = rng.multinomial(n, p_z, size=replicates)
    w = times @ values / (n + shrinkage)
    losses = (w[:, None] - values) ** 2
    others = np.linspace((n - 1) * values.min(), (n - 1) * values.max(), 201)
    trained = (others[:, None] + values) / (n + shrinkage)
    changes = (trained[:, :, None] - values) ** 2
    return StableLearner(
        np.sum(times * losses, axis=1) / n, losses @ p_z, float(np.max(changes.max(axis=1) - changes.min(axis=1)))
    )
