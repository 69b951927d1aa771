"""Gradients of examples, of which some are drawn; and gradient descent from every training set there is.

Means over samples are taken as they come: by listing all samples, with whole numbers where gradients are whole, or by
drawing. Training takes the loss |w - z|^2 / 2, times a curvature.
"""

from fractions import Fraction
from itertools import permutations, product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array as JaxArray
from jax.typing import ArrayLike
from numpy.typing import NDArray

from simulations import validation
from simulations.generalization.adversary import hardest_instances
from simulations.replicates import over_replicates

Array = NDArray[np.float64]


def pairwise_coherence(gradients: ArrayLike, *, distinct: bool = False) -> float:
    """Average the products of all ordered pairs of gradients, each with itself included, over their mean square.

    Parameters
    ----------
    gradients : array_like, shape (m, p)
        Not all zero.
    distinct : bool
        Leave out the products of gradients with themselves; takes two gradients.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the gradients have another shape, or all vanish.
    """
    g = np.asarray(validation.finite("gradients", gradients, ndim=2))
    products = [[float(np.dot(a, b)) for b in g] for a in g]
    squares = float(np.mean(np.diagonal(products)))
    if squares == 0:
        raise ValueError("gradients must not all vanish; got zeros")
    if distinct:
        products = [[product for j, product in enumerate(row) if j != i] for i, row in enumerate(products)]
    return float(np.mean(products)) / squares


class CountedMeans(NamedTuple):
    """Exact means over all samples, divided by the mean square of one gradient.

    ``of_mean`` is that of the mean gradient's square, ``of_pairs`` that of the mean product of two different draws.
    """

    of_mean: Fraction
    of_pairs: Fraction


def count_samples(population: NDArray[np.int64], m: int) -> CountedMeans:
    """List all samples of ``m`` gradients with replacement from a population of whole gradients.

    Parameters
    ----------
    population : integer array, shape (k, p)
        Not all zero.
    m : int
        At least 2. There are k^m samples.

    Returns
    -------
    CountedMeans

    Raises
    ------
    ValueError
        If the population is not of whole numbers, or vanishes, or ``m`` is below 2.
    """
    g = np.asarray(population)
    if g.ndim != 2 or g.dtype.kind not in "iu" or not g.any():
        raise ValueError(f"population must be a matrix of integers, not all zero; got {population!r}")
    size = validation.integer("m", m, minimum=2)
    k = g.shape[0]
    squares = of_mean = of_pairs = 0
    for draw in product(range(k), repeat=size):
        rows = g[list(draw)]
        of_mean += int((rows.sum(axis=0) ** 2).sum())
        of_pairs += sum(int(rows[i] @ rows[j]) for i in range(size) for j in range(size) if i != j)
        squares += int((rows**2).sum())
    # sums over samples: each has m squares, m^2 products in the mean's square, m (m - 1) of different draws
    return CountedMeans(Fraction(of_mean, size * squares), Fraction(of_pairs, (size - 1) * squares))


class SquaredMeans(NamedTuple):
    """One entry a sample: square of the mean gradient, mean product of two different draws, mean square."""

    of_mean: Array
    of_pairs: Array
    square: Array


def gaussian_samples(
    keys: JaxArray, mean: ArrayLike, variance: ArrayLike, m: int, *, shared: ArrayLike = 0.0
) -> SquaredMeans:
    """Draw samples of ``m`` Gaussian gradients; a part ``shared`` of their noise is the same within a sample.

    Parameters
    ----------
    keys : array of keys, shape (R,)
    mean : array_like, shape (d,)
    variance : float
        Of each entry, nonnegative.
    m : int
        At least 2.
    shared : float
        In [0, 1].

    Returns
    -------
    SquaredMeans

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    mu, noise = validation.finite("mean", mean, ndim=1), validation.nonnegative("variance", variance, ndim=0)
    part = validation.nonnegative("shared", shared, ndim=0)
    if float(part) > 1:
        raise ValueError(f"shared must be at most 1; got {float(part):g}")
    size = validation.integer("m", m, minimum=2)
    return SquaredMeans(*over_replicates(_gaussian_sample, keys, mu, noise, part, size))


def _gaussian_sample(
    key: JaxArray, mean: JaxArray, variance: JaxArray, shared: JaxArray, m: int
) -> tuple[JaxArray, ...]:
    own, common = jax.random.split(key)
    noise = jnp.sqrt(1 - shared) * jax.random.normal(own, (m, mean.size))
    noise += jnp.sqrt(shared) * jax.random.normal(common, (mean.size,))
    return _squares(mean + jnp.sqrt(variance) * noise)


def _squares(g: JaxArray) -> tuple[JaxArray, ...]:
    m = g.shape[0]
    total, own = jnp.sum(jnp.sum(g, axis=0) ** 2), jnp.sum(g**2)
    return total / m**2, (total - own) / (m * (m - 1)), own / m


def network_gradients(key: JaxArray, inputs: ArrayLike, labels: ArrayLike, *, width: int, n_steps: int) -> Array:
    """Train a tanh network of one hidden layer on cross-entropy, and return the gradient of every example's loss.

    Parameters
    ----------
    key : jax.Array
    inputs : array_like, shape (N, d)
    labels : array_like of int, shape (N,)
    width : int
        At least 1.
    n_steps : int
        Full-batch steps of size 1/10 before the gradients are taken, at least 0.

    Returns
    -------
    ndarray, shape (N, p)

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes do not fit.
    """
    x, y = validation.finite("inputs", inputs, ndim=2), np.asarray(labels)
    if y.shape != x.shape[:1] or y.dtype.kind not in "iu" or y.min() < 0:
        raise ValueError(f"labels must be {x.shape[0]} integers >= 0; got {labels!r}")
    hidden = validation.integer("width", width, minimum=1)
    steps = validation.integer("n_steps", n_steps, minimum=0)
    first, second = jax.random.split(key)
    weights = (
        jax.random.normal(first, (x.shape[1], hidden)) / np.sqrt(x.shape[1]),
        jax.random.normal(second, (hidden, int(y.max()) + 1)) / np.sqrt(hidden),
    )
    return np.asarray(_train_network(weights, x, jnp.asarray(y), steps))


def _network_loss(weights: tuple[JaxArray, JaxArray], x: JaxArray, y: JaxArray) -> JaxArray:
    scores = jnp.tanh(x @ weights[0]) @ weights[1]
    return jnp.log(jnp.sum(jnp.exp(scores))) - scores[y]


@jax.jit
def _train_network(weights: tuple[JaxArray, JaxArray], x: JaxArray, y: JaxArray, n_steps: int) -> JaxArray:
    each = jax.vmap(jax.grad(_network_loss), in_axes=(None, 0, 0))

    def step(_: int, now: tuple[JaxArray, JaxArray]) -> tuple[JaxArray, JaxArray]:
        return jax.tree.map(lambda w, g: w - 0.1 * g.mean(axis=0), now, each(now, x, y))

    trained = jax.lax.fori_loop(0, n_steps, step, weights)
    return jnp.concatenate([g.reshape(x.shape[0], -1) for g in each(trained, x, y)], axis=1)


def resampled_means(keys: JaxArray, gradients: ArrayLike, m: int, *, replace: bool = True) -> SquaredMeans:
    """Draw samples of ``m`` rows of a table of gradients, with replacement unless told otherwise.

    Products of all pairs of rows are taken once, so that a sample costs O(N^2), however many parameters there are.

    Parameters
    ----------
    keys : array of keys, shape (R,)
    gradients : array_like, shape (N, p)
    m : int
        At least 2, and at most N without replacement.
    replace : bool

    Returns
    -------
    SquaredMeans

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    g = validation.finite("gradients", gradients, ndim=2)
    size = validation.integer("m", m, minimum=2)
    if not replace and size > g.shape[0]:
        raise ValueError(f"m must be at most {g.shape[0]} without replacement; got {size}")
    return SquaredMeans(*over_replicates(_resample, keys, g @ g.T, size, bool(replace)))


def _resample(key: JaxArray, products: JaxArray, m: int, replace: bool) -> tuple[JaxArray, ...]:
    drawn = jax.random.choice(key, products.shape[0], (m,), replace=replace)
    times = jnp.zeros(products.shape[0]).at[drawn].add(1.0)
    total, own = times @ products @ times, times @ jnp.diagonal(products)
    return total / m**2, (total - own) / (m * (m - 1)), own / m


def every_set(k: int, m: int, *, replace: bool = True) -> NDArray[np.int64]:
    """List all sequences of ``m`` of ``k`` atoms, shape (k^m, m); without replacement, those with different atoms."""
    atoms = range(validation.integer("k", k, minimum=1))
    size = validation.integer("m", m, minimum=1)
    if not replace and size > k:
        raise ValueError(f"m must be at most k = {k} without replacement; got {size}")
    return np.array(list(product(atoms, repeat=size) if replace else permutations(atoms, size)), dtype=np.int64)


def descent_gap(
    atoms: ArrayLike, sets: NDArray[np.int64], step_sizes: ArrayLike, start: ArrayLike, *, curvature: float = 1.0
) -> JaxArray:
    """Run gradient descent from each of equally likely training sets; return the mean of population less training loss.

    The loss of an example is curvature / 2 |w - z|^2, and the population is uniform over the atoms.

    Parameters
    ----------
    atoms : array_like, shape (k, d)
    sets : integer array, shape (S, m)
        Training sets, as :func:`every_set` lists them.
    step_sizes : array_like, shape (T,)
    start : array_like, shape (d,)
    curvature : float
        Positive.

    Returns
    -------
    jax.Array
        One number.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    z, eta = validation.finite("atoms", atoms, ndim=2), validation.nonnegative("step_sizes", step_sizes, ndim=1)
    w, h = validation.finite("start", start, ndim=1), validation.positive("curvature", curvature, ndim=0)
    return _descend(z, jnp.asarray(sets), eta, w, h)


@jax.jit
def _descend(atoms: JaxArray, sets: JaxArray, step_sizes: JaxArray, start: JaxArray, curvature: JaxArray) -> JaxArray:
    def loss(w: JaxArray, examples: JaxArray) -> JaxArray:
        return curvature / 2 * jnp.mean(jnp.sum((w - examples) ** 2, axis=-1))

    def gap(chosen: JaxArray) -> JaxArray:
        examples = atoms[chosen]

        def step(w: JaxArray, eta: JaxArray) -> tuple[JaxArray, None]:
            return w - eta * jax.grad(loss)(w, examples), None

        trained = jax.lax.scan(step, start, step_sizes)[0]
        return loss(trained, atoms) - loss(trained, examples)

    return jnp.mean(jax.vmap(gap)(sets))


def hardest_atoms(
    key: JaxArray, sets: NDArray[np.int64], step_sizes: ArrayLike, *, chains: int, n_steps: int
) -> tuple[Array, Array]:
    """Search for atoms on the unit circle from which gradient descent, started at zero, overfits most.

    Parameters
    ----------
    key : jax.Array
    sets : integer array, shape (S, m)
        Training sets, as :func:`every_set` lists them.
    step_sizes : array_like, shape (T,)
    chains, n_steps : int
        Of the random search, at least 1.

    Returns
    -------
    gaps : ndarray, shape (chains,)
    atoms : ndarray, shape (chains, k, 2)

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    eta = validation.nonnegative("step_sizes", step_sizes, ndim=1)
    number = validation.integer("chains", chains, minimum=1)
    starts = jax.random.uniform(key, (number, int(np.max(sets)) + 1), maxval=2 * np.pi)
    found = hardest_instances(key, _gap_on_circle, starts, jnp.asarray(sets), eta, n_steps=n_steps)
    return np.asarray(found.value), np.asarray(_on_circle(found.instances))


def _on_circle(angles: JaxArray) -> JaxArray:
    return jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=-1)


def _gap_on_circle(angles: JaxArray, sets: JaxArray, step_sizes: JaxArray) -> JaxArray:
    return _descend(_on_circle(angles), sets, step_sizes, jnp.zeros(2), jnp.asarray(1.0))
