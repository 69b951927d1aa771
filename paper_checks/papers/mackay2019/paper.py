"""The paper, and the problem that its claims pose."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from paper_checks.claim import Paper, Run
from paper_checks.problems import frame
from simulations.deep_linear import best_response as sim
from theory import deep_linear

Array = NDArray[np.float64]

PAPER = Paper(
    key="mackay2019",
    title="Self-tuning networks: bilevel optimization of hyperparameters using structured best-response functions",
    authors="Matthew MacKay, Paul Vicol, Jon Lorraine, David Duvenaud, Roger Grosse",
    year=2019,
    arxiv="1903.03088",
    wing="deep_linear",
)

TRAINED = 1e-10  # gradients left by rounding, 1e-14, over curvatures of down to 1e-2, times a hundred


class Problem(NamedTuple):
    """Inputs, targets, and the singular values from which the inputs were made."""

    x: Array
    targets: Array
    d: Array


def draw_problem(run: Run) -> Problem:
    """Draw inputs with singular values well apart, around 1, and targets that reach into every mode and beyond all."""
    n, dim = run.size("examples and inputs", quick=(12, 3), standard=(40, 4), full=(400, 6))
    rng = run.rng()
    d = np.exp(np.linspace(0.6, -0.6, dim) * (dim - 1) + rng.uniform(-0.15, 0.15, dim))
    u, v = frame(rng, n, dim), frame(rng, dim, dim)
    along = rng.choice([-1.0, 1.0], dim) * rng.uniform(0.7, 1.4, dim)
    return Problem((u * d) @ v.T, u @ along + 0.3 * rng.standard_normal(n), d)


def train_networks(run: Run, problem: Problem, log_penalties: ArrayLike, *, penalty: str = "jacobian") -> sim.Trained:
    """Train one network a penalty, each from random weights of its own."""
    at = jnp.asarray(log_penalties)
    dim = problem.x.shape[1]

    def one(key: jax.Array, log_penalty: jax.Array) -> sim.Trained:
        start = sim.random_network(key, inputs=dim, hidden=dim)
        return sim.train(start, problem.x, problem.targets, log_penalty, penalty=penalty)

    return jax.vmap(one)(run.keys(at.size, "weights"), at)


def weights_of(trained: sim.Trained) -> Array:
    """Input weights of each trained network."""
    return np.asarray(jax.vmap(sim.input_weights)(trained.network))


def modes_of(problem: Problem) -> tuple[Array, Array, Array]:
    """Right singular vectors, singular values and output weights, for wrong formulas to be made of."""
    u, d, vt = np.linalg.svd(problem.x, full_matrices=False)
    return vt.T, d, u.T @ problem.targets / d


def lengths(weights: Array) -> Array:
    """Repeat the length of each row over its entries."""
    return np.broadcast_to(np.linalg.norm(weights, axis=-1, keepdims=True), weights.shape)


def predicted_weights(problem: Problem, log_penalties: ArrayLike) -> Array:
    """Input weights of the best response at each penalty, as the theory has them."""
    q, s = deep_linear.jacobian_best_response(problem.x, problem.targets, log_penalties)
    return np.einsum("...ki,k->...i", q, s)
