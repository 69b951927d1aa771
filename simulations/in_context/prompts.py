r"""Prompts of linear tasks: sampled, or enumerated so that averages over them are exact.

An example is a token (x, y), the query a token (x_q, -W_0 x_q) in the last rows. Outputs are vectors: with the
identity for a task, each output channel is a linear task of its own, and the sum of squared errors over channels is
their average over isotropic tasks.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Key

from simulations import validation

LAWS = ("gaussian", "uniform", "rademacher")


class LinearPrompts(NamedTuple):
    """Noisy linear tasks: context inputs and labels, a query input and its label; ``weight`` sums to 1 over prompts."""

    x: Float[Array, "prompts examples dim"]
    y: Float[Array, "prompts examples"]
    x_query: Float[Array, "prompts dim"]
    y_query: Float[Array, " prompts"]
    weight: Float[Array, " prompts"]


def sample_inputs(
    key: Key[Array, ""], shape: tuple[int, ...], *, law: str, scale: ArrayLike = 1.0
) -> Float[Array, "..."]:
    """Draw independent coordinates: N(0, scale^2), uniform on (-scale, scale), or +-scale."""
    validation.choice("law", law, LAWS)
    if law == "gaussian":
        return jnp.asarray(scale) * jax.random.normal(key, shape)
    if law == "uniform":
        return jnp.asarray(scale) * jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)
    return jnp.asarray(scale) * jax.random.rademacher(key, shape, dtype=float)


def sample_prompts(
    key: Key[Array, ""],
    *,
    n_prompts: int,
    n_context: int,
    dim: int,
    law: str = "gaussian",
    scale: ArrayLike = 1.0,
    noise_std: ArrayLike = 0.0,
) -> LinearPrompts:
    """Draw prompts of standard normal tasks; ``scale`` and ``law`` are those of every input, the query's too."""
    inputs, task, noise = jax.random.split(key, 3)
    x = sample_inputs(inputs, (n_prompts, n_context + 1, dim), law=law, scale=scale)
    w = jax.random.normal(task, (n_prompts, dim))
    y = jnp.sum(x * w[:, None], axis=2)
    if not isinstance(noise_std, float) or noise_std:
        y += jnp.asarray(noise_std) * jax.random.normal(noise, y.shape)
    return LinearPrompts(x[:, :-1], y[:, :-1], x[:, -1], y[:, -1], jnp.full(n_prompts, 1 / n_prompts))


def enumerate_prompts(
    *,
    n_context: int,
    dim: int,
    law: str = "gaussian",
    scale: float = 1.0,
    noise_std: float = 0.0,
    task_nodes: int = 3,
    noise_nodes: int = 3,
) -> LinearPrompts:
    """Return the tensor grid of Gauss quadrature over all variables of a prompt.

    Averages are exact for polynomials of degree five in each input coordinate of the context, three in the query, and
    2 k - 1 in each task and noise variable with k nodes: enough for the squared error of one attention layer whose
    query is no key. Costs 3^(n d) 2^d k^d k^(n + 1) prompts, so keep n d <= 6.

    Raises
    ------
    ValueError
        If the grid would have more than 2^22 prompts.
    """
    validation.choice("law", law, LAWS)
    n, d = validation.integer("n_context", n_context, minimum=1), validation.integer("dim", dim, minimum=1)
    variables = [_nodes(law, 3 if law != "rademacher" else 2, scale)] * (n * d) + [_nodes(law, 2, scale)] * d
    variables += [_nodes("gaussian", task_nodes, 1.0)] * d
    if noise_std:
        variables += [_nodes("gaussian", noise_nodes, noise_std)] * (n + 1)
    size = int(np.prod([len(points) for points, _ in variables], dtype=float))
    if size > 2**22:
        raise ValueError(f"n_context * dim must be smaller: the grid would have {size} prompts")
    grid = np.stack([g.ravel() for g in np.meshgrid(*(points for points, _ in variables), indexing="ij")], axis=1)
    weights = np.stack([g.ravel() for g in np.meshgrid(*(w for _, w in variables), indexing="ij")], axis=1)
    x, x_query, w, noise = np.split(grid, np.cumsum([n * d, d, d]), axis=1)
    x = x.reshape(-1, n, d)
    noise = noise if noise_std else np.zeros((len(grid), n + 1))
    y, y_query = np.einsum("pnd,pd->pn", x, w) + noise[:, :-1], np.sum(x_query * w, axis=1) + noise[:, -1]
    return LinearPrompts(*(jnp.asarray(part) for part in (x, y, x_query, y_query, weights.prod(axis=1))))


def prompt_tokens(prompts: LinearPrompts) -> Float[Array, "prompts tokens width"]:
    """Return tokens (x, y), the query last with an empty slot for its label."""
    examples = jnp.concatenate([prompts.x, prompts.y[..., None]], axis=-1)
    query = jnp.concatenate([prompts.x_query, jnp.zeros_like(prompts.y_query)[:, None]], axis=-1)
    return jnp.concatenate([examples, query[:, None]], axis=1)


def channel_tokens(
    x: Float[Array, "examples dim"], *, noise_std: ArrayLike = 0.0
) -> Float[Array, "examples+dim dim+dim+examples"]:
    r"""Tokens whose output channels are an orthonormal set of tasks and noises, queried at every basis vector.

    A layer that is linear in the labels predicts :math:`\hat y = A(X) y` from :math:`y = X w + \sigma \epsilon`. With
    the d unit tasks and the n unit noises as output channels and the d unit vectors as queries, one forward pass
    yields all of :math:`A(X) [X, \sigma I]`, hence the exact average over tasks, noises and isotropic queries.
    """
    n, d = x.shape
    labels = jnp.concatenate([x, jnp.asarray(noise_std) * jnp.eye(n)], axis=1)
    context = jnp.concatenate([x, labels], axis=1)
    return jnp.concatenate([context, jnp.eye(d, 2 * d + n)], axis=0)


def channel_errors(tokens: Float[Array, "tokens width"], dim: int) -> Float[Array, ""]:
    """Return the squared error of all channels and basis queries of :func:`channel_tokens`, against noiseless labels.

    The prediction is minus the query's label slot; the true label of unit task j at unit query k is 1 where j = k.
    """
    predictions = -tokens[-dim:, dim:]
    return jnp.sum((predictions - jnp.eye(dim, predictions.shape[1])) ** 2)


def _nodes(law: str, count: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss quadrature for one coordinate, exact to degree 2 count - 1."""
    if law == "rademacher":
        return scale * np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    if law == "gaussian":
        points, weights = np.polynomial.hermite_e.hermegauss(count)
    else:
        points, weights = np.polynomial.legendre.leggauss(count)
    return scale * points, weights / weights.sum()
