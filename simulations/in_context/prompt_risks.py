"""Squared errors of attention layers and of ridge regression on sampled prompts, one batch of prompts a replicate."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from simulations.in_context.linear_layer import Attention, LinearLayer, answer


def layer_risk(
    key: PRNGKeyArray,
    layer: LinearLayer,
    roots: tuple[Array, Array],
    task: Float[Array, " d"] | None,
    noise_var: Float[Array, ""],
    n: int,
    prompts: int,
    queries: int,
    attention: Attention,
    response: str = "linear",
) -> Float[Array, ""]:
    """Mean squared error of a layer on fresh prompts, each asked several queries.

    Parameters
    ----------
    key : PRNG key
        Of this batch.
    layer : LinearLayer
        The layer.
    roots : pair of arrays, shape (d, d)
        Inputs of the prompt and of the query are root @ z with standard normal z.
    task : array, shape (d,), or None
        The one task of all prompts, or a standard normal one for each.
    noise_var : float
        Variance of all labels' noise.
    n, prompts, queries : int
        Examples in a prompt, prompts in the batch, queries a prompt.
    attention : Attention
        Convention of the layer.
    response : str
        "linear" labels w.x, or "relu" for max(w.x, 0).
    """

    def one(key: PRNGKeyArray) -> Array:
        inputs, questions, noises, tasks = jax.random.split(key, 4)
        d = roots[0].shape[0]
        w = jax.random.normal(tasks, (d,)) if task is None else task
        x = jax.random.normal(inputs, (n, d)) @ roots[0].T
        query = jax.random.normal(questions, (queries, d)) @ roots[1].T
        noise = jnp.sqrt(noise_var) * jax.random.normal(noises, (n + queries,))
        y, target = (_label(inputs @ w, response) for inputs in (x, query))
        answers = jax.vmap(lambda q: answer(layer, x, y + noise[:n], q, attention))(query)
        return jnp.mean((answers - target - noise[n:]) ** 2)

    return jnp.mean(jax.vmap(one)(jax.random.split(key, prompts)))


def ridge_risk(
    key: PRNGKeyArray, noise_var: Float[Array, ""], penalty: Float[Array, ""], n: int, dim: int, prompts: int
) -> Float[Array, ""]:
    """Mean squared error of ridge regression in context on standard normal tasks and inputs; least squares at 0."""

    def one(key: PRNGKeyArray) -> Array:
        inputs, tasks, noises = jax.random.split(key, 3)
        x, w = jax.random.normal(inputs, (n + 1, dim)), jax.random.normal(tasks, (dim,))
        y = x @ w + jnp.sqrt(noise_var) * jax.random.normal(noises, (n + 1,))
        estimate = jnp.linalg.solve(x[:n].T @ x[:n] + penalty * jnp.eye(dim), x[:n].T @ y[:n])
        return (x[n] @ estimate - y[n]) ** 2

    return jnp.mean(jax.vmap(one)(jax.random.split(key, prompts)))


def _label(signal: Array, response: str) -> Array:
    return {"linear": lambda z: z, "relu": lambda z: jnp.maximum(z, 0.0)}[response](signal)
