r"""Exact populations of prompts: the squared error of a linear attention layer without sampling noise.

Two ways. `enumerated_prompts` is a tensor Gauss rule over every variable of a small prompt, on which the complete layer
is run node by node. `gaussian_moments` serves any number of examples: the layer's answer is linear in
:math:`\phi = G \otimes x_q`, G the sum of outer products of the attended tokens, and given the task the examples are
independent, so that moments of one example (again by a Gauss rule) give those of n. All integrands are polynomials,
and the rules have enough nodes to be exact.
"""

from collections.abc import Sequence
from itertools import product

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, PRNGKeyArray
from numpy.typing import ArrayLike, NDArray

from simulations import validation
from simulations.in_context.linear_layer import AVERAGED, Attention, LinearLayer, answer

Numbers = NDArray[np.float64]

NODES = 3  # exact to degree 5: no variable of an example, and no task coordinate, has a higher power than 4
QUERY_NODES = 4  # exact to degree 7: a query that attends to itself enters with its sixth power


class Prompts(eqx.Module):
    """Prompts with their weights in the average: x (B, n, d), y (B, n), query (B, d), target (B,), weight (B,)."""

    x: Float[Array, "B n d"]
    y: Float[Array, "B n"]
    query: Float[Array, "B d"]
    target: Float[Array, " B"]
    weight: Float[Array, " B"]
    attention: Attention = eqx.field(static=True)

    def squared_error(self, layer: LinearLayer) -> Float[Array, ""]:
        """Mean squared error of the layer, run on every prompt."""
        return self.weight @ (self.answers(layer) - self.target) ** 2

    def answers(self, layer: LinearLayer) -> Float[Array, " B"]:
        """Answers of the layer to all prompts."""
        return jax.vmap(lambda x, y, query: answer(layer, x, y, query, self.attention))(self.x, self.y, self.query)


class Moments(eqx.Module):
    """Second moments of features phi and target: ``power`` (D, D), ``signal`` (D,), ``label``; D = (d + 1)^2 d."""

    power: Float[Array, "D D"]
    signal: Float[Array, " D"]
    label: Float[Array, ""]

    def squared_error(self, layer: LinearLayer) -> Float[Array, ""]:
        """Mean squared error of the layer; its answer is phi . (last value row x first d key-query columns)."""
        weights = jnp.einsum("a,bk->abk", layer.value[-1], layer.key_query[:, :-1]).ravel()
        return self.label - 2 * self.signal @ weights + weights @ self.power @ weights


def enumerated_prompts(
    *, n: int, cov_x: ArrayLike, cov_w: ArrayLike, noise_var: float = 0.0, attention: Attention = AVERAGED
) -> Prompts:
    """All nodes of a tensor Gauss rule over examples, task, noise and query: exact, and (n d <= 6) affordable.

    Parameters
    ----------
    n : int
        Number of examples.
    cov_x, cov_w : array_like, shape (d, d)
        Covariances of inputs and tasks.
    noise_var : float
        Variance of the label noise.
    attention : Attention
        Convention of the layer that will be run.

    Returns
    -------
    Prompts
        3^(n d + d) 4^d nodes without noise, 3^n 2 times as many with it.
    """
    x_root, w_root = _roots(cov_x, cov_w)
    d, noisy = len(x_root), noise_var > 0
    count = validation.integer("n", n, minimum=1)
    z, z_weight = gauss_rule(count * d, NODES)
    task, task_weight = gauss_rule(d, NODES)
    query, query_weight = gauss_rule(d, QUERY_NODES)
    noise, noise_weight = gauss_rule(count, NODES if noisy else 1)
    last, last_weight = gauss_rule(1, 2 if noisy else 1)
    sizes = [len(part) for part in (z, task, query, noise, last)]
    i, j, k, m, q = (index.ravel() for index in np.indices(sizes))
    x, w, queries = z.reshape(-1, count, d)[i] @ x_root.T, task[j] @ w_root.T, query[k] @ x_root.T
    spread = np.sqrt(noise_var)
    weight = z_weight[i] * task_weight[j] * query_weight[k] * noise_weight[m] * last_weight[q]
    return Prompts(
        x=jnp.asarray(x),
        y=jnp.asarray(np.einsum("Bnd,Bd->Bn", x, w) + spread * noise[m]),
        query=jnp.asarray(queries),
        target=jnp.asarray(np.sum(queries * w, axis=1) + spread * last[q, 0]),
        weight=jnp.asarray(weight),
        attention=attention,
    )


def sampled_prompts(
    key: PRNGKeyArray,
    count: int,
    *,
    n: int,
    cov_x: ArrayLike,
    cov_w: ArrayLike,
    noise_var: float = 0.0,
    attention: Attention = AVERAGED,
) -> Prompts:
    """Draw prompts from the population that `enumerated_prompts` enumerates, with equal weights."""
    x_root, w_root = _roots(cov_x, cov_w)
    inputs, tasks, noises = jax.random.split(key, 3)
    x = jax.random.normal(inputs, (count, n + 1, len(x_root))) @ x_root.T
    w = jax.random.normal(tasks, (count, len(x_root))) @ w_root.T
    y = jnp.einsum("Bnd,Bd->Bn", x, w) + jnp.sqrt(noise_var) * jax.random.normal(noises, (count, n + 1))
    return Prompts(x[:, :n], y[:, :n], x[:, n], y[:, n], jnp.full(count, 1 / count), attention)


def gaussian_moments(
    *,
    n: float,
    cov_x: ArrayLike,
    cov_w: ArrayLike | None = None,
    task: ArrayLike | None = None,
    noise_var: float = 0.0,
    cov_query: ArrayLike | None = None,
    attention: Attention,
) -> Moments:
    """Exact moments of the features of prompts with n independent examples, for any n.

    Parameters
    ----------
    n : int or inf
        Number of examples; infinite for averaged attention only.
    cov_x : array_like, shape (d, d)
        Covariance of the inputs in the prompt.
    cov_w : array_like, shape (d, d), optional
        Covariance of the tasks; or else
    task : array_like, shape (d,), optional
        the one task of all prompts.
    noise_var : float
        Variance of the label noise, the query's label included.
    cov_query : array_like, shape (d, d), optional
        Covariance of the query, as in the prompt when left out.
    attention : Attention
        Convention of the layer.

    Returns
    -------
    Moments

    Raises
    ------
    ValueError
        If not exactly one of ``cov_w`` and ``task`` is given, or infinitely many examples are to be summed.
    """
    if (cov_w is None) == (task is None):
        raise ValueError("exactly one of cov_w and task must be given")
    if np.isinf(n) and not attention.averaged:
        raise ValueError("n must be finite where attention is not averaged")
    root = np.linalg.cholesky(np.asarray(cov_x, dtype=float))
    d = len(root)
    if task is None:
        nodes, task_weight = gauss_rule(d, NODES)
        tasks = nodes @ np.linalg.cholesky(np.asarray(cov_w, dtype=float)).T
    else:
        tasks, task_weight = np.asarray(task, dtype=float)[None], np.ones(1)
    z, weight = gauss_rule(d + 1, NODES)
    x, noise = z[:, :d] @ root.T, np.sqrt(noise_var) * z[:, d]
    query_root = root if cov_query is None else np.linalg.cholesky(np.asarray(cov_query, dtype=float))
    query, query_weight = gauss_rule(d, QUERY_NODES)
    query = query @ query_root.T
    parts = []
    for w in tasks:
        tokens, target = np.concatenate([x, (x @ w + noise)[:, None]], axis=1), query @ w
        label = query_weight @ target**2 + noise_var
        parts.append(feature_moments(tokens, weight, n, query, query_weight, target, label, attention))
    return mixture(parts, task_weight)


def feature_moments(
    tokens: Numbers,
    weight: Numbers,
    n: float,
    query: Numbers,
    query_weight: Numbers,
    target: Numbers,
    label: float,
    attention: Attention,
) -> Moments:
    """Moments of the features for one task: n independent examples, each one of ``tokens``, and an independent query.

    Parameters
    ----------
    tokens, weight : array, shapes (K, d + 1) and (K,)
        Values of an example and their probabilities.
    n : int or inf
        Number of examples.
    query, query_weight, target : array, shapes (Q, d), (Q,) and (Q,)
        Values of the query, their probabilities, and the mean label at each.
    label : float
        Second moment of the query's label.
    attention : Attention
        Convention of the layer.
    """
    # how often an example meets itself and another one in the scaled double sum, and the scale of the single sum
    same, different, one = (1 / n, 1 - 1 / n, 1.0) if attention.averaged else (n, n * (n - 1.0), float(n))
    outer = _outer(tokens)
    mean = weight @ outer
    square = same * (outer.T * weight) @ outer + different * np.outer(mean, mean)
    weighted = query * query_weight[:, None]
    power = np.einsum("AB,kK->AkBK", square, weighted.T @ query)
    signal = np.outer(one * mean, target @ weighted)
    if attention.query_attends and not np.isinf(n):
        own = _outer(np.concatenate([query, np.zeros((len(query), 1))], axis=1)) * (1 / n if attention.averaged else 1)
        features = (own[:, :, None] * query[:, None, :]).reshape(len(query), -1)
        cross = np.einsum("A,BkK->AkBK", one * mean, np.einsum("qBk,qK->BKk", _unravel(features, query), weighted))
        power += cross + cross.transpose(2, 3, 0, 1)
        power += ((features.T * query_weight) @ features).reshape(power.shape)
        signal += ((target * query_weight) @ features).reshape(signal.shape)
    size = signal.size
    return Moments(power.reshape(size, size), signal.ravel(), np.asarray(label))  # type: ignore[arg-type]


def random_covariance_moments(
    *, n: float, dim: int, nodes: ArrayLike, weights: ArrayLike, attention: Attention = AVERAGED
) -> Moments:
    """Moments when every prompt has a diagonal covariance of its own, entries drawn from a discrete law.

    Parameters
    ----------
    n : int or inf
        Number of examples.
    dim : int
        Dimension d of inputs.
    nodes, weights : array_like, shape (K,)
        Values of an entry and their probabilities; a Gauss rule of at least 3 nodes stands for a continuous law.
    attention : Attention
        Convention of the layer.

    Returns
    -------
    Moments
        Averaged over all K^d covariances; tasks have covariance I, labels no noise.
    """
    values, shares = np.asarray(nodes, dtype=float), np.asarray(weights, dtype=float)
    identity = np.eye(validation.integer("dim", dim, minimum=1))
    parts: list[Moments] = []
    chances: list[float] = []
    for choice in product(range(values.size), repeat=dim):
        index = list(choice)
        parts.append(gaussian_moments(n=n, cov_x=np.diag(values[index]), cov_w=identity, attention=attention))
        chances.append(float(np.prod(shares[index])))
    return mixture(parts, chances)


def mixture(parts: Sequence[Moments], chances: ArrayLike) -> Moments:
    """Moments of prompts that come from several populations with the given probabilities."""
    share = np.asarray(chances, dtype=float)
    return jax.tree.map(lambda *leaves: jnp.asarray(np.tensordot(share, np.stack(leaves), axes=1)), *parts)


def gauss_rule(dimension: int, nodes: int) -> tuple[Numbers, Numbers]:
    """Tensor Gauss rule for a standard normal vector: nodes (K, dimension) and weights (K,) that sum to 1."""
    point, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = weight / weight.sum()
    index = np.indices((nodes,) * dimension).reshape(dimension, -1)
    return point[index].T, np.prod(weight[index], axis=0)


def _outer(tokens: Numbers) -> Numbers:
    """Flattened outer products of tokens with themselves."""
    return (tokens[:, :, None] * tokens[:, None, :]).reshape(len(tokens), -1)


def _unravel(features: Numbers, query: Numbers) -> Numbers:
    return features.reshape(*query.shape[:1], -1, query.shape[1])


def _roots(cov_x: ArrayLike, cov_w: ArrayLike) -> tuple[Numbers, Numbers]:
    return (np.linalg.cholesky(np.asarray(cov_x, dtype=float)), np.linalg.cholesky(np.asarray(cov_w, dtype=float)))
