"""Squared errors of attention layers and of ridge regression on sampled prompts, one batch of prompts a replicate."""

import jax
import jax.numpy as jnp
import numpy as np
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
    d = roots[0].shape[0]
    sizes = (n * d, queries * d, n, queries, d)

    def one(normals: Array) -> Array:
        inputs, questions, noise, last, own = jnp.split(normals, np.cumsum(sizes)[:-1])
        w, spread = own if task is None else task, jnp.sqrt(noise_var)
        x, query = inputs.reshape(n, d) @ roots[0].T, questions.reshape(queries, d) @ roots[1].T
        y, target = _label(x @ w, response) + spread * noise, _label(query @ w, response) + spread * last
        return jnp.mean((jax.vmap(lambda q: answer(layer, x, y, q, attention))(query) - target) ** 2)

    # drawn in one piece: sampling is what takes long to compile
    return jnp.mean(jax.vmap(one)(jax.random.normal(key, (prompts, sum(sizes)))))


def ridge_risk(
    key: PRNGKeyArray, noise_var: Float[Array, ""], penalty: Float[Array, ""], n: int, dim: int, prompts: int
) -> Float[Array, ""]:
    """Mean squared error of ridge regression in context on standard normal tasks and inputs; least squares at 0."""

    def one(normals: Array) -> Array:
        inputs, w, noise = jnp.split(normals, [(n + 1) * dim, (n + 2) * dim])
        x = inputs.reshape(n + 1, dim)
        y = x @ w + jnp.sqrt(noise_var) * noise
        estimate = jnp.linalg.solve(x[:n].T @ x[:n] + penalty * jnp.eye(dim), x[:n].T @ y[:n])
        return (x[n] @ estimate - y[n]) ** 2

    return jnp.mean(jax.vmap(one)(jax.random.normal(key, (prompts, (n + 2) * dim + n + 1))))


def _label(signal: Array, response: str) -> Array:
    return {"linear": lambda z: z, "relu": lambda z: jnp.maximum(z, 0.0)}[response](signal)
