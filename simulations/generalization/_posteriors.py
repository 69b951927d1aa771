"""Posteriors tried against PAC-Bayes bounds on every training set, as an adversary who knows the risks picks them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.special import xlogy

from simulations.generalization._finite_learners import FiniteProblem, train_on_everything


class WorstPosterior(NamedTuple):
    """The training set and posterior at which a statement "with probability 1 - delta, for all Q" is hardest.

    ``excess`` is the largest v + log P(V >= v), V the largest of n f(training risk, risk) - KL over posteriors;
    P(V >= v) is ``delta`` there, and the rest describes the posterior. It is minus infinity where P(V >= v) is above
    the greatest level admitted for all v.
    """

    excess: Array
    delta: Array
    training_risk: Array
    risk: Array
    kl: Array


class Shares(NamedTuple):
    """A risk and its complement, each to full relative precision: a search finds where 1 - risk would be rounding."""

    wrong: Array
    right: Array


def binary_divergence(training: Shares, risk: Shares) -> Array:
    """kl(training risk || risk), on both sides."""
    both = zip(training, risk, strict=True)
    return jnp.sum(jnp.stack([xlogy(q, q) - xlogy(q, p) for q, p in both]), axis=0)


def upper_binary_divergence(training: Shares, risk: Shares) -> Array:
    """kl(training risk || risk) where the risk is the larger, else 0."""
    return jnp.where(risk.wrong > training.wrong, binary_divergence(training, risk), 0.0)


def squared_excess(training: Shares, risk: Shares) -> Array:
    """Twice the squared excess of the risk, 0 where it is the smaller."""
    return 2 * jnp.maximum(risk.wrong - training.wrong, 0.0) ** 2


def catoni_excess(training: Shares, risk: Shares, c: float) -> Array:
    """-log(1 - (1 - exp(-C)) risk) - C training."""
    return -jnp.log1p(jnp.expm1(-c) * risk.wrong) - c * training.wrong


def catoni_half(training: Shares, risk: Shares) -> Array:
    """Catoni's function at C = 1/2."""
    return catoni_excess(training, risk, 0.5)


def catoni_two(training: Shares, risk: Shares) -> Array:
    """Catoni's function at C = 2."""
    return catoni_excess(training, risk, 2.0)


CRITERIA = {
    "two-sided": binary_divergence,
    "seeger": upper_binary_divergence,
    "mcallester": squared_excess,
    "catoni 0.5": catoni_half,
    "catoni 2": catoni_two,
}


TILTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, -0.5, -1.0, -2.0, -5.0)


def worst_posterior(
    problem: FiniteProblem,
    n: int,
    *,
    criterion: str,
    max_level: float = 1.0,
    tilts: tuple[float, ...] = TILTS,
) -> WorstPosterior:
    """Try point masses and tilted priors on all training sets, and find the level where they come closest to failing.

    A tilted prior is Q ~ P exp(b n (risk - training risk)), b of either sign: it moves to where the sample deceives
    most. Without ``tilts`` there are point masses alone.
    """
    probabilities, training, _ = train_on_everything(problem, n)
    correct, _ = train_on_everything(problem._replace(loss=1 - problem.loss), n)[1:]
    population = problem.loss @ problem.p_z
    log_prior = jnp.log(problem.prior)
    slopes = n * jnp.array(tilts).reshape(-1, 1, 1)
    tilted = jax.nn.softmax(log_prior + slopes * (population - training), axis=-1)  # (tilts, S, W)
    points = jnp.eye(population.size)[:, None, :] * jnp.ones((1, training.shape[0], 1))
    Q = jnp.concatenate([points, tilted])
    on_sample = Shares(jnp.sum(Q * training, axis=-1), jnp.sum(Q * correct, axis=-1))
    on_population = Shares(Q @ population, Q @ ((1 - problem.loss) @ problem.p_z))
    q_training, q_risk = (jnp.clip(shares.wrong, 0.0, 1.0) for shares in (on_sample, on_population))
    kl = jnp.maximum(jnp.sum(xlogy(Q, Q) - Q * log_prior, axis=-1), 0.0)
    value = n * CRITERIA[criterion](on_sample, on_population) - kl
    value = jnp.where(jnp.isfinite(value), value, -jnp.inf)
    best = jnp.argmax(value, axis=0)
    V = jnp.max(value, axis=0)
    # equal values up to rounding belong to one level
    order = jnp.argsort(-V)
    tail = jnp.cumsum(probabilities[order])
    falls = jnp.append(V[order][:-1] - V[order][1:] > 1e-12, True)
    margins = jnp.where(falls & (tail <= max_level), V[order] + jnp.log(tail), -jnp.inf)
    worst = jnp.argmax(margins)
    at = order[worst]
    chosen = [table[best[at], at] for table in (q_training, q_risk, kl)]
    return WorstPosterior(margins[worst], tail[worst], *chosen)


@jax.jit
def minimise_catoni(risks: Array, prior: Array, c: Array, n: Array) -> Array:
    """Minimise C n Q.risks + KL(Q || prior) over laws Q, for every row, by mirror descent from the uniform law.

    Steps of one half of the gradient in the entropy's geometry; 60 of them leave 1e-18 of the distance.
    """

    def descend(risk: Array, weights: Array, scale: Array) -> Array:
        def objective(Q: Array) -> Array:
            return scale * Q @ risk + jnp.sum(xlogy(Q, Q) - xlogy(Q, weights))

        def advance(logits, _):
            gradient = jax.grad(objective)(jax.nn.softmax(logits))
            return jax.nn.log_softmax(logits - 0.5 * gradient), None

        return jax.nn.softmax(jax.lax.scan(advance, jnp.zeros(risk.shape[0]), length=60)[0])

    return jax.vmap(descend)(risks, prior, c * n)
