r"""Prompts labelled by random nonlinear functions: sampled in any dimension, enumerated in two.

A function is a sum of units, :math:`f(x) = \sum_j a_j \phi(w_j \cdot x)`, and the ``kind`` says what phi and the laws
of a and w are.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.in_context.linear_layer import SUMMED
from simulations.in_context.populations import Moments, feature_moments, gauss_rule, mixture

KINDS = ("linear", "relu_network", "unit_relu_network", "cubic", "sign", "erf")
RADIUS, PIECE = 12.0, 60  # Gauss-Legendre nodes on each side of a kink, where the normal density has died out
ANGLES = 16  # exact for trigonometric polynomials up to degree 15


class Units(eqx.Module):
    """A random function: output weights ``a`` (k,), input weights ``w`` (k, d), and the kind of its units."""

    a: Float[Array, " k"]
    w: Float[Array, "k d"]
    kind: str = eqx.field(static=True)

    def __call__(self, x: Float[Array, "... d"]) -> Float[Array, "..."]:
        """Labels of inputs, without noise."""
        return activation(self.kind, x @ self.w.T) @ self.a


def activation(kind: str, z: Array) -> Array:
    """Evaluate the units of a kind."""
    validation.choice("kind", kind, KINDS)
    if kind.endswith("relu_network"):
        return jnp.maximum(z, 0.0)
    return {"linear": z, "cubic": z**3, "sign": jnp.sign(z), "erf": jax.scipy.special.erf(z)}[kind]


def units_from(normals: Float[Array, "k d+1"], kind: str) -> Units:
    """Turn standard normal numbers, a row a unit, into a random function; networks use all rows, others one."""
    network = kind.endswith("relu_network")
    rows = normals if network else normals[:1]
    a, w = rows[:, 0], rows[:, 1:]
    if kind not in ("linear", "relu_network"):
        w = w / jnp.linalg.norm(w, axis=1, keepdims=True)
    if kind == "unit_relu_network":
        a = jnp.sign(a)
    return Units(a if network else jnp.ones(1), w, kind)


def label_statistics(
    key: PRNGKeyArray, kinds: tuple[str, ...], dim: int, width: int, noise_var: Array, functions: int, inputs: int
) -> Float[Array, "kinds 3"]:
    """Unbiased estimates of E ||E[x f(x) | f]||^2, E[y^2 ||x||^2] and E[y^2] from random functions and inputs.

    All kinds are seen on the same random numbers, drawn in one piece: sampling is what takes long to compile.
    """
    sizes = (width * (dim + 1), inputs * dim, inputs * dim, inputs)

    def one(normals: Array) -> Array:
        units, first, second, noise = jnp.split(normals, np.cumsum(sizes)[:-1])
        x, other = first.reshape(inputs, dim), second.reshape(inputs, dim)
        squares = jnp.sum(x**2, axis=1)

        def of_kind(kind: str) -> Array:
            f = units_from(units.reshape(width, dim + 1), kind)
            y = f(x) + jnp.sqrt(noise_var) * noise
            # two independent samples of the same function: the product of their means has no bias
            linear = (f(x) @ x) @ (f(other) @ other) / inputs**2
            return jnp.stack([linear, jnp.mean(y**2 * squares), jnp.mean(y**2)])

        return jnp.stack([of_kind(kind) for kind in kinds])

    return jnp.mean(jax.vmap(one)(jax.random.normal(key, (functions, sum(sizes)))), axis=0)


def sampled_population(
    key: PRNGKeyArray,
    kind: str,
    dim: int,
    n: int,
    width: int,
    noise_var: Array,
    prompts: int,
    queries: int,
) -> Moments:
    """Feature moments of a training set: random functions, a prompt each, and several queries a prompt."""
    sizes = (width * (dim + 1), n * dim, queries * dim, n, queries)

    def one(normals: Array) -> tuple[Array, Array, Array]:
        units, inputs, questions, noise, last = jnp.split(normals, np.cumsum(sizes)[:-1])
        f = units_from(units.reshape(width, dim + 1), kind)
        x, query, spread = inputs.reshape(n, dim), questions.reshape(queries, dim), jnp.sqrt(noise_var)
        tokens = jnp.concatenate([x, (f(x) + spread * noise)[:, None]], axis=1)
        return (tokens.T @ tokens).ravel(), query, f(query) + spread * last

    gram, query, target = jax.vmap(one)(jax.random.normal(key, (prompts, sum(sizes))))
    square = jnp.einsum("pqk,pqK->pkK", query, query) / queries
    aligned = jnp.einsum("pq,pqk->pk", target, query) / queries
    power = jnp.einsum("pA,pB,pkK->AkBK", gram, gram, square, optimize=True) / prompts
    size = gram.shape[1] * dim
    return Moments(power.reshape(size, size), (gram.T @ aligned).ravel() / prompts, jnp.mean(target**2))


def enumerated_population(kind: str, *, n: int, noise_var: float) -> Moments:
    """Exact feature moments in two dimensions for one unit in a random direction, of random sign, and any n.

    Directions lie on a regular polygon; along each, inputs are piecewise Gauss-Legendre nodes that meet at the kink,
    across it Gauss-Hermite ones. ReLU networks have one unit here, with unit weights.
    """
    validation.choice("kind", kind, ("unit_relu_network", "cubic", "sign", "erf"))
    count = validation.integer("n", n, minimum=1)
    point, weight = np.polynomial.legendre.leggauss(PIECE)
    half = RADIUS * (point + 1) / 2
    along = np.concatenate([-half, half])
    density = np.tile(weight * RADIUS / 2 * np.exp(-(half**2) / 2) / np.sqrt(2 * np.pi), 2)
    side, side_weight = gauss_rule(2, 3)  # across the direction, and the noise
    i, j = (index.ravel() for index in np.indices((along.size, len(side))))
    chance = density[i] * side_weight[j]
    clean = np.asarray(activation(kind, jnp.asarray(along)))[i]
    parts = []
    for angle in 2 * np.pi * np.arange(ANGLES) / ANGLES:
        e, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        x = np.outer(along[i], e) + np.outer(side[j, 0], across)
        for sign in (1.0, -1.0):
            label = sign * clean + np.sqrt(noise_var) * side[j, 1]
            tokens = np.concatenate([x, label[:, None]], axis=1)
            # the query has the law of an example: the same nodes serve, the label's square includes its noise
            parts.append(feature_moments(tokens, chance, count, x, chance, sign * clean, chance @ label**2, SUMMED))
    return mixture(parts, np.full(len(parts), 1 / len(parts)))
