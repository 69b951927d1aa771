"""Learners on finite data, all of whose training sets are enumerated: gaps, informations, and laws inside networks."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import xlogy


class FiniteProblem(NamedTuple):
    """A finite population and a Gibbs learner.

    Attributes
    ----------
    p_z : Array, shape (|Z|,)
    loss : Array, shape (|W|, |Z|)
    prior : Array, shape (|W|,)
    inverse_temperature : Array, shape ()
        Of the mean training loss.
    """

    p_z: Array
    loss: Array
    prior: Array
    inverse_temperature: Array


class LearnerLaws(NamedTuple):
    """What is known once every training set has been tried: gap, informations (nats), and law of (W, Z_1)."""

    gap: Array
    mutual_information: Array
    lautum_information: Array
    individual_information: Array
    joint: Array


def all_data_sets(kinds: int, n: int) -> np.ndarray:
    """All kinds^n sequences of n indices, shape (kinds^n, n)."""
    return np.stack(np.unravel_index(np.arange(kinds**n), (kinds,) * n), axis=1)


def kl_divergence(p: Array, q: Array) -> Array:
    """Sum of p log(p / q), with 0 log 0 = 0."""
    return jnp.sum(xlogy(p, jnp.where(p > 0, p, 1.0)) - xlogy(p, jnp.where(p > 0, q, 1.0)))


def train_on_everything(problem: FiniteProblem, n: int) -> tuple[Array, Array, Array]:
    """Probabilities (S,) of all training sequences, training losses (S, |W|), and posteriors (S, |W|)."""
    sets = all_data_sets(problem.p_z.shape[-1], n)
    probabilities = jnp.prod(problem.p_z[sets], axis=1)
    training = jnp.mean(problem.loss[:, sets], axis=2).T
    logits = jnp.log(problem.prior) - problem.inverse_temperature * training
    return probabilities, training, jax.nn.softmax(logits, axis=1)


def learner_laws(problem: FiniteProblem, n: int) -> LearnerLaws:
    """Enumerate all training sets of a Gibbs learner."""
    sets = all_data_sets(problem.p_z.shape[-1], n)
    probabilities, training, posterior = train_on_everything(problem, n)
    population = problem.loss @ problem.p_z
    released = probabilities @ posterior
    gap = jnp.sum(probabilities[:, None] * posterior * (population - training))
    both = probabilities[:, None] * posterior
    apart = probabilities[:, None] * released
    first = jax.nn.one_hot(sets[:, 0], problem.p_z.shape[-1])
    joint = both.T @ first
    return LearnerLaws(
        gap,
        kl_divergence(both, apart),
        kl_divergence(apart, both),
        kl_divergence(joint, released[:, None] * problem.p_z),
        joint,
    )


def conditional_information(problem: FiniteProblem, n: int) -> Array:
    """I(W; U | supersample): n pairs of points, a fair coin U_i for each says which of the two is trained on."""
    pairs = all_data_sets(problem.p_z.shape[-1], 2 * n).reshape(-1, n, 2)
    choices = all_data_sets(2, n)
    weights = jnp.prod(problem.p_z[pairs], axis=(1, 2))
    chosen = np.stack([np.take_along_axis(pairs, u[None, :, None], axis=2)[..., 0] for u in choices], axis=1)
    training = jnp.mean(problem.loss[:, chosen], axis=3)  # (|W|, supersamples, choices)
    logits = jnp.log(problem.prior)[:, None, None] - problem.inverse_temperature * training
    posterior = jax.nn.softmax(logits, axis=0)
    mixed = jnp.mean(posterior, axis=2, keepdims=True)
    ratio = jnp.where(posterior > 0, posterior / mixed, 1.0)
    information = jnp.sum(xlogy(posterior, ratio), axis=0).mean(axis=1)
    return weights @ information


class FiniteNetwork(NamedTuple):
    """A network of look-up tables under a Gibbs learner, and the population it sees.

    Attributes
    ----------
    p_xy : Array, shape (n_x, n_y)
    maps : tuple of Array
        Map l, of integers, shape (m_l, size of alphabet l - 1).
    inverse_temperature : Array, shape ()
    """

    p_xy: Array
    maps: tuple[Array, ...]
    inverse_temperature: Array


class NetworkLaws(NamedTuple):
    """Gap under 0-1 loss, divergences of training from fresh points at every layer, and joint law of weights and point.

    Shapes (), (L + 1,), (m_1, ..., m_L, n_x, n_y) twice: for a training point, and for a fresh one.
    """

    gap: Array
    divergences: Array
    joint: Array
    product: Array


def run_network(maps: tuple[Array, ...], weights: tuple[Array, ...], x: Array) -> list[Array]:
    """Return the activations [T_0, ..., T_L] that weights (indices) give an input."""
    found = [x]
    for layer, weight in zip(maps, weights, strict=True):
        found.append(layer[weight, found[-1]])
    return found


def network_laws(network: FiniteNetwork, n: int, *, alphabets: tuple[int, ...]) -> NetworkLaws:
    """Enumerate all weights, and all training sets, of a finite network; ``alphabets`` are sizes of T_0, ..., T_L."""
    n_x, n_y = network.p_xy.shape
    sizes = tuple(layer.shape[0] for layer in network.maps)
    grid = np.unravel_index(np.arange(int(np.prod(sizes))), sizes)
    points = np.unravel_index(np.arange(n_x * n_y), (n_x, n_y))

    def run(*weights: Array) -> Array:
        return jnp.stack(run_network(network.maps, weights, jnp.asarray(points[0])))

    activations = jax.vmap(run)(*[jnp.asarray(g) for g in grid])  # (W, L + 1, Z)
    loss = (activations[:, -1] != points[1]).astype(float)
    prior = jnp.full(loss.shape[0], 1 / loss.shape[0])
    problem = FiniteProblem(network.p_xy.reshape(-1), loss, prior, network.inverse_temperature)
    laws = learner_laws(problem, n)
    product = jnp.sum(laws.joint, axis=1)[:, None] * problem.p_z

    divergences = []
    for layer in range(len(sizes) + 1):
        # the law of activation, label and later weights: all (weights, point) with the same of them are added up
        later = sizes[layer:]
        rest = int(np.prod(later)) if later else 1
        cell = np.ravel_multi_index(list(grid[layer:]), later) if later else np.zeros(loss.shape[0], int)
        index = (activations[:, layer] * n_y + points[1]) * rest + cell[:, None]
        size = alphabets[layer] * n_y * rest
        train, fresh = (jnp.zeros(size).at[index].add(law) for law in (laws.joint, product))
        divergences.append(kl_divergence(train, fresh))
    shape = (*sizes, n_x, n_y)
    return NetworkLaws(laws.gap, jnp.stack(divergences), laws.joint.reshape(shape), product.reshape(shape))
