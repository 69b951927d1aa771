r"""One layer of softmax attention over given tokens, the losses it is trained on, and what its weights select.

Input i has tokens x_it and a query z_i; attention weights W give token t the logit :math:`x_{it}^\top W z_i`.
Everything is computed relative to the token that currently wins its input's softmax, so that gradients keep full
relative accuracy when the others' probabilities are far below rounding.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from simulations import validation


class Factors(NamedTuple):
    """Attention weights as a product W = ``key`` ``query``^T, both of shape (d, m)."""

    key: Float[Array, "*batch d m"]
    query: Float[Array, "*batch d m"]


Weights = Float[Array, "*batch d d"] | Factors
"""Trained attention weights: the matrix W itself, or its factors."""


class SelectionTask(eqx.Module):
    r"""Logistic loss of the expected score, :math:`f_i = \sum_t \gamma_{it} s_{it}` over softmax probabilities s_i.

    :math:`\frac1n \sum_i \log(1 + e^{-f_i})`, less its infimum, that of f_i = max_t gamma_it. Leading axes hold
    independent instances.

    Attributes
    ----------
    tokens : array, shape (..., n, T, d)
    queries : array, shape (..., n, d)
    scores : array, shape (..., n, T)
        gamma, labels included.
    """

    tokens: Float[Array, "*batch n T d"]
    queries: Float[Array, "*batch n d"]
    scores: Float[Array, "*batch n T"]

    def __init__(self, tokens: ArrayLike, queries: ArrayLike, scores: ArrayLike) -> None:
        self.tokens, self.queries = _check_inputs(tokens, queries)
        self.scores = validation.finite("scores", scores)
        if self.scores.shape != self.tokens.shape[:-1]:
            raise ValueError(f"scores must have shape {self.tokens.shape[:-1]}; got {self.scores.shape}")


class RegressionTask(eqx.Module):
    r"""Squared loss :math:`\frac{1}{2n} \sum_i \|\sum_t s_{it} v_{it} - y_i\|^2` of the attention's output.

    Attributes
    ----------
    tokens : array, shape (..., n, T, d)
    queries : array, shape (..., n, d)
    values : array, shape (..., n, T, k)
    targets : array, shape (..., n, k)
    """

    tokens: Float[Array, "*batch n T d"]
    queries: Float[Array, "*batch n d"]
    values: Float[Array, "*batch n T k"]
    targets: Float[Array, "*batch n k"]

    def __init__(self, tokens: ArrayLike, queries: ArrayLike, values: ArrayLike, targets: ArrayLike) -> None:
        self.tokens, self.queries = _check_inputs(tokens, queries)
        self.values = validation.finite("values", values)
        self.targets = validation.finite("targets", targets)
        if self.values.ndim != self.tokens.ndim or self.values.shape[:-1] != self.tokens.shape[:-1]:
            raise ValueError(f"values must have shape {self.tokens.shape[:-1]} + (k,); got {self.values.shape}")
        expected = (*self.values.shape[:-2], self.values.shape[-1])
        if self.targets.shape != expected:
            raise ValueError(f"targets must have shape {expected}; got {self.targets.shape}")


Task = SelectionTask | RegressionTask


def attention_matrix(weights: Weights) -> Float[Array, "*batch d d"]:
    """Return W, multiplied out when ``weights`` are factors."""
    if isinstance(weights, Factors):
        return weights.key @ jnp.swapaxes(weights.query, -1, -2)
    return weights


def attention_loss(weights: Weights, task: Task) -> Float[Array, ""]:
    """Loss of one instance (no leading axes); a selection task's is relative to its infimum and never rounds to it."""
    probabilities, winner = _relative_softmax(weights, task)
    if isinstance(task, SelectionTask):
        best = task.scores.max(axis=1)
        reference = jnp.take_along_axis(task.scores, winner[:, None], axis=1)
        shortfall = (best - reference[:, 0]) - jnp.sum(probabilities * (task.scores - reference), axis=1)
        return jnp.mean(jnp.log1p(jax.nn.sigmoid(-best) * jnp.expm1(shortfall)))
    reference = jnp.take_along_axis(task.values, winner[:, None, None], axis=1)
    outputs = reference[:, 0] + jnp.einsum("nt,ntk->nk", probabilities, task.values - reference)
    return 0.5 * jnp.mean(jnp.sum((outputs - task.targets) ** 2, axis=1))


def attention_logits(weights: Weights, task: Task) -> Float[Array, "*batch n T"]:
    r"""Logits :math:`x_{it}^\top W z_i`; leading axes of the weights broadcast against the task's.

    Weights of a trajectory, shape (times, ..., d, d), need no copy of the task.
    """
    return jnp.einsum("...ntd,...de,...ne->...nt", task.tokens, attention_matrix(weights), task.queries)


def selected_tokens(weights: Weights, task: Task) -> Int[Array, "*batch n"]:
    """Return the token of highest logit in every input."""
    return jnp.argmax(attention_logits(weights, task), axis=-1)


def token_margins(weights: Weights, task: Task, optimal: ArrayLike) -> Float[Array, "*batch n others"]:
    r"""Logit leads :math:`(x_{i,o_i} - x_{it})^\top W z_i` of given tokens over the others of their input, in order.

    Differences of tokens are formed first, so that leads small against the logits stay accurate.

    Parameters
    ----------
    weights : Weights
        Leading axes broadcast against the task's.
    task : Task
    optimal : array_like of int, shape (..., n)
        One token for each input.

    Returns
    -------
    array, shape (..., n, T - 1)

    Raises
    ------
    ValueError
        If ``optimal`` does not hold one token in [0, T) for each input.
    """
    o = check_optimal(optimal, task.tokens)
    return margins_of(attention_matrix(weights), task.tokens, task.queries, o)


def margins_of(W: Array, tokens: Array, queries: Array, optimal: Array) -> Array:
    """Return the logit leads of ``optimal`` over the other tokens, shape (..., n, T - 1)."""
    n_tokens = tokens.shape[-2]
    ranks = jnp.arange(n_tokens - 1)
    others = ranks + (ranks >= optimal[..., None])
    leads = jnp.take_along_axis(tokens, optimal[..., None, None], axis=-2) - jnp.take_along_axis(
        tokens, others[..., None], axis=-2
    )
    return jnp.einsum("...ntd,...de,...ne->...nt", leads, W, queries)


def check_optimal(optimal: ArrayLike, tokens: Array) -> Array:
    """Return ``optimal`` as integers, one token in [0, T) for each input, or raise."""
    o = jnp.asarray(optimal)
    if not jnp.issubdtype(o.dtype, jnp.integer):
        raise TypeError(f"optimal must be integers; got {o.dtype}")
    if o.shape != tokens.shape[:-2]:
        raise ValueError(f"optimal must have shape {tokens.shape[:-2]}; got {o.shape}")
    n_tokens = tokens.shape[-2]
    return validation.require("optimal", o, lambda t: (t >= 0) & (t < n_tokens), f"in [0, {n_tokens})")


def check_weights(weights: Weights, task: Task) -> Weights:
    """Return float64 weights that fit the task, leading axes included, or raise ValueError."""
    *batch, _, _, d = task.tokens.shape
    if isinstance(weights, Factors):
        key, query = validation.finite("weights.key", weights.key), validation.finite("weights.query", weights.query)
        if key.shape != query.shape or key.shape[:-1] != (*batch, d):
            raise ValueError(
                f"weights must be two factors of shape {(*batch, d)} + (m,); got {key.shape}, {query.shape}"
            )
        return Factors(key, query)
    W = validation.finite("weights", weights)
    if W.shape != (*batch, d, d):
        raise ValueError(f"weights must have shape {(*batch, d, d)} to fit the task; got {W.shape}")
    return W


def repeated_task(task: Task, count: int) -> Task:
    """Return ``count`` copies of the task on a new first axis, for as many starts of its training."""
    copies = validation.integer("count", count, minimum=1)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (copies, *leaf.shape)), task)


def over_instances(function: Callable, task: Task, *, sequential: bool = False) -> Callable:
    """Map ``function`` of one instance over the task's leading axes, side by side or one after another."""
    for _ in range(task.tokens.ndim - 3):
        function = _one_by_one(function) if sequential else jax.vmap(function)
    return function


def _one_by_one(function: Callable) -> Callable:
    return lambda *arguments: jax.lax.map(lambda instance: function(*instance), arguments)


def _relative_softmax(weights: Weights, task: Task) -> tuple[Array, Array]:
    W = attention_matrix(weights)
    directions = task.queries @ W.T
    winner = jnp.argmax(jnp.einsum("ntd,nd->nt", task.tokens, directions), axis=1)
    leader = jnp.take_along_axis(task.tokens, winner[:, None, None], axis=1)
    odds = jnp.exp(jnp.einsum("ntd,nd->nt", task.tokens - leader, directions))
    return odds / odds.sum(axis=1, keepdims=True), winner


def _check_inputs(tokens: ArrayLike, queries: ArrayLike) -> tuple[Array, Array]:
    x, z = validation.finite("tokens", tokens), validation.finite("queries", queries)
    if x.ndim < 3 or x.shape[-2] < 2 or 0 in x.shape:
        raise ValueError(f"tokens must have shape (..., n, T, d) with T >= 2; got {x.shape}")
    if z.shape != (*x.shape[:-2], x.shape[-1]):
        raise ValueError(f"queries must have shape {(*x.shape[:-2], x.shape[-1])}; got {z.shape}")
    return x, z
