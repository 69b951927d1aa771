"""Random matrices with a signal in them, and the top of their spectra."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import PRNGKeyArray

from simulations import validation
from simulations.replicates import over_replicates


class TopPair(NamedTuple):
    """Largest eigenvalue, and the squared overlap of its vector with the signal; one entry a replicate."""

    eigenvalue: np.ndarray
    overlap: np.ndarray


def spiked_wigner_band(
    key: PRNGKeyArray, *, spike: ArrayLike, sigma: ArrayLike = 1.0, n: int, n_replicates: int, rows: int | None = None
) -> TopPair:
    """Draw symmetric Gaussian matrices with a rank-one signal, in the tridiagonal form that reflections give them.

    Reflections that leave the signal's direction where it is turn a Gaussian matrix with off-diagonal variance
    sigma^2 / n into a band of independent normals and chi variables of the very same spectrum (Trotter 1984). Top
    vectors fall off along the band, exponentially above the transition and beyond some n^(1/3) rows below it, and the
    first ``rows`` suffice. Costs O(rows^3) a replicate.

    Parameters
    ----------
    key : PRNG key
    spike : float
        theta >= 0.
    sigma : float
    n : int
        At least 2.
    n_replicates : int
    rows : int, optional
        All n when left out.

    Returns
    -------
    TopPair

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    theta = validation.nonnegative("spike", spike, ndim=0)
    scale = validation.positive("sigma", sigma, ndim=0)
    size = validation.integer("n", n, minimum=2)
    kept = size if rows is None else min(validation.integer("rows", rows, minimum=2), size)
    runs = validation.integer("n_replicates", n_replicates, minimum=1)
    keys = jax.random.split(key, runs)
    return TopPair(*over_replicates(_wigner, keys, theta, scale, jnp.asarray(float(size)), kept))


def _wigner(key: Array, theta: Array, sigma: Array, n: Array, rows: int) -> tuple[Array, Array]:
    normals, chis = jax.random.split(key)
    diagonal = jnp.sqrt(2.0) * jax.random.normal(normals, (rows,))
    below = _chi(chis, n - 1 - jnp.arange(rows - 1))
    band = sigma / jnp.sqrt(n) * (jnp.diag(diagonal) + jnp.diag(below, 1) + jnp.diag(below, -1))
    return _top(band.at[0, 0].add(theta))


def spiked_covariance_band(
    key: PRNGKeyArray, *, spike: ArrayLike, n: int, p: int, n_replicates: int, rows: int | None = None
) -> TopPair:
    """Draw sample covariances of Gaussian data of which one direction has the variance ``spike`` and all others 1.

    Data X, n by p, are drawn in the bidiagonal form that reflections of rows and columns give them, the spike's column
    in front: independent chi variables, X^T X / n with the very same spectrum (Golub, Kahan 1965). Costs O(rows^3).

    Parameters
    ----------
    key : PRNG key
    spike : float
        l > 0.
    n, p : int
        At least 2.
    n_replicates : int
    rows : int, optional
        min(n, p) when left out; above the transition far fewer suffice.

    Returns
    -------
    TopPair

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    variance = validation.positive("spike", spike, ndim=0)
    samples, features = validation.integer("n", n, minimum=2), validation.integer("p", p, minimum=2)
    most = min(samples, features)
    kept = most if rows is None else min(validation.integer("rows", rows, minimum=2), most)
    runs = validation.integer("n_replicates", n_replicates, minimum=1)
    sizes = jnp.asarray([float(samples), float(features)])
    return TopPair(*over_replicates(_covariance, jax.random.split(key, runs), variance, sizes, kept))


def _covariance(key: Array, variance: Array, sizes: Array, rows: int) -> tuple[Array, Array]:
    n, p = sizes
    own, next_ = jax.random.split(key)
    diagonal = _chi(own, n - jnp.arange(rows)).at[0].multiply(jnp.sqrt(variance))
    above = _chi(next_, jnp.maximum(p - 1 - jnp.arange(rows), 1e-12))
    # one more column than rows, unless there are no more features
    X = jnp.zeros((rows, rows + 1)).at[jnp.arange(rows), jnp.arange(rows)].set(diagonal)
    X = X.at[jnp.arange(rows), jnp.arange(1, rows + 1)].set(above)
    return _top(X.T @ X / n)


def _chi(key: Array, degrees: Array) -> Array:
    return jnp.sqrt(2 * jax.random.gamma(key, degrees / 2))


def _top(matrix: Array) -> tuple[Array, Array]:
    values, vectors = jnp.linalg.eigh(matrix)
    return values[-1], vectors[0, -1] ** 2


def dense_spiked_wigner(key: PRNGKeyArray, *, spike: ArrayLike, n: int, n_replicates: int) -> TopPair:
    """Draw whole symmetric Gaussian matrices, off-diagonal variance 1/n, with a signal along a random direction.

    Costs O(n^3) a replicate; the check of `spiked_wigner_band`.
    """
    theta = validation.nonnegative("spike", spike, ndim=0)
    size = validation.integer("n", n, minimum=2)
    return TopPair(*over_replicates(_dense_wigner, jax.random.split(key, n_replicates), theta, size))


def _dense_wigner(key: Array, theta: Array, n: int) -> tuple[Array, Array]:
    matrix_key, direction_key = jax.random.split(key)
    square = jax.random.normal(matrix_key, (n, n))
    v = jax.random.normal(direction_key, (n,))
    v /= jnp.linalg.norm(v)
    values, vectors = jnp.linalg.eigh((square + square.T) / jnp.sqrt(2.0 * n) + theta * jnp.outer(v, v))
    return values[-1], (v @ vectors[:, -1]) ** 2


def dense_spiked_covariance(key: PRNGKeyArray, *, spike: ArrayLike, n: int, p: int, n_replicates: int) -> TopPair:
    """Draw whole data sets whose population covariance has the spike along a random direction.

    Costs O(n p^2) a replicate; the check of `spiked_covariance_band`.
    """
    variance = validation.positive("spike", spike, ndim=0)
    samples, features = validation.integer("n", n, minimum=2), validation.integer("p", p, minimum=2)
    keys = jax.random.split(key, n_replicates)
    return TopPair(*over_replicates(_dense_covariance, keys, variance, samples, features))


def _dense_covariance(key: Array, variance: Array, n: int, p: int) -> tuple[Array, Array]:
    data_key, direction_key = jax.random.split(key)
    v = jax.random.normal(direction_key, (p,))
    v /= jnp.linalg.norm(v)
    white = jax.random.normal(data_key, (n, p))
    X = white + (jnp.sqrt(variance) - 1) * jnp.outer(white @ v, v)
    values, vectors = jnp.linalg.eigh(X.T @ X / n)
    return values[-1], (v @ vectors[:, -1]) ** 2


def batch_hessian_tops(
    key: PRNGKeyArray,
    *,
    eigenvalues: ArrayLike,
    n_params: int,
    noise_std: float,
    batch_size: int,
    n_samples: int,
    n_replicates: int,
) -> np.ndarray:
    """Draw a Hessian for every sample, average those of a batch, and return its largest eigenvalues.

    Sample i has H + s G_i, G_i symmetric Gaussian with off-diagonal variance 1, all shifted so that the mean over the N
    samples is H, which has the given ``eigenvalues`` along random directions and no others. Costs O(N P^2 + P^3).

    Returns
    -------
    ndarray, shape (n_replicates, k + 1)
        The largest, falling, one more than there are eigenvalues.

    Raises
    ------
    ValueError
        If a number is out of range.
    """
    signal = validation.finite("eigenvalues", eigenvalues, ndim=1)
    P = validation.integer("n_params", n_params, minimum=len(signal) + 1)
    s = validation.positive("noise_std", noise_std, ndim=0)
    B = validation.integer("batch_size", batch_size, minimum=1)
    N = validation.integer("n_samples", n_samples, minimum=B)
    weights = jnp.where(jnp.arange(N) < B, 1 / B, 0.0) - 1 / N
    keys = jax.random.split(key, validation.integer("n_replicates", n_replicates, minimum=1))
    return np.asarray(over_replicates(_batch_tops, keys, signal, s, weights, P))


def _batch_tops(key: Array, signal: Array, s: Array, weights: Array, P: int) -> Array:
    samples_key, direction_key = jax.random.split(key)

    def add(total: Array, sample: tuple[Array, Array]) -> tuple[Array, None]:
        key, weight = sample
        return total + weight * jax.random.normal(key, (P, P)), None

    total, _ = jax.lax.scan(add, jnp.zeros((P, P)), (jax.random.split(samples_key, len(weights)), weights))
    # directions by Gram-Schmidt, which is no LAPACK call of its own
    directions: list[Array] = []
    for column in jax.random.normal(direction_key, (len(signal), P)):
        rest = column
        for _ in range(2):
            for known in directions:
                rest = rest - (known @ rest) * known
        directions.append(rest / jnp.linalg.norm(rest))
    v = jnp.stack(directions)
    values = jnp.linalg.eigvalsh(s * (total + total.T) / jnp.sqrt(2.0) + (v.T * signal) @ v)
    return values[::-1][: len(signal) + 1]


class HessianParts(NamedTuple):
    """Derivatives of a network and its loss: whole Hessian, and what it is made of, sample by sample and output."""

    hessian: np.ndarray
    linearised: np.ndarray
    jacobian: np.ndarray
    loss_hessian: np.ndarray
    loss_gradient: np.ndarray
    output_hessian: np.ndarray


def differentiate_network(
    key: PRNGKeyArray, *, n_samples: int, n_inputs: int, n_hidden: int, n_outputs: int, loss: str, distinct: int | None
) -> HessianParts:
    """Draw a tanh network with biases, and data, and differentiate its mean loss by its parameters, twice.

    ``linearised`` is the Hessian of the loss of the network's tangent at the same parameters. With ``distinct`` given,
    inputs repeat after that many. Cost O(N C P^2).

    Raises
    ------
    ValueError
        If a number is out of range or the loss unknown.
    """
    N = validation.integer("n_samples", n_samples, minimum=1)
    law = validation.choice("loss", loss, ("mse", "cross_entropy"))
    widths = tuple(
        validation.integer(name, v, minimum=1)
        for name, v in (("n_inputs", n_inputs), ("n_hidden", n_hidden), ("n_outputs", n_outputs))
    )
    repeats = N if distinct is None else validation.integer("distinct", distinct, minimum=1)
    return HessianParts(*(np.asarray(part) for part in _differentiate(key, jnp.asarray(repeats), N, widths, law)))


@partial(jax.jit, static_argnums=(2, 3, 4))
def _differentiate(key: Array, distinct: Array, N: int, widths: tuple[int, int, int], law: str) -> tuple[Array, ...]:
    d, h, C = widths
    shapes = ((h, d), (h,), (C, h), (C,))
    sizes = [int(np.prod(shape)) for shape in shapes]
    x_key, y_key, w_key = jax.random.split(key, 3)
    x = jax.random.normal(x_key, (N, d))[jnp.arange(N) % distinct]
    labels = jax.random.randint(y_key, (N,), 0, C)
    targets = jax.nn.one_hot(labels, C)

    def network(w: Array, x: Array) -> Array:
        parts = jnp.split(w, np.cumsum(sizes)[:-1])
        W1, b1, W2, b2 = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
        return W2 @ jnp.tanh(W1 @ x + b1) + b2

    def loss(f: Array, target: Array) -> Array:
        if law == "mse":
            return jnp.sum((f - target) ** 2) / 2
        # the compiled second derivative of log_softmax is at times all nan; scores here are far from overflowing
        return jnp.log(jnp.sum(jnp.exp(f))) - f @ target

    w0 = jax.random.normal(w_key, (sum(sizes),))

    def mean_loss(w: Array) -> Array:
        return jnp.mean(jax.vmap(lambda x, y: loss(network(w, x), y))(x, targets))

    def mean_loss_of_tangent(w: Array) -> Array:
        def tangent(x: Array) -> Array:
            value, change = jax.jvp(lambda w: network(w, x), (w0,), (w - w0,))
            return value + change

        return jnp.mean(jax.vmap(lambda x, y: loss(tangent(x), y))(x, targets))

    outputs = jax.vmap(lambda x: network(w0, x))(x)
    return (
        jax.hessian(mean_loss)(w0),
        jax.hessian(mean_loss_of_tangent)(w0),
        jax.vmap(lambda x: jax.jacobian(network)(w0, x))(x),
        jax.vmap(jax.hessian(loss))(outputs, targets),
        jax.vmap(jax.grad(loss))(outputs, targets),
        jax.vmap(lambda x: jax.hessian(network)(w0, x))(x),
    )


def cluster_hessian_spectrum(
    key: PRNGKeyArray, *, n_clusters: int, snr: float, d: int, n_samples: int, n_classes: int, n_replicates: int
) -> np.ndarray:
    """Draw clustered data, and differentiate logistic (two classes) or softmax regression on it twice at zero weights.

    Centres are orthogonal, of squared norm k snr, with N/k samples each; labels are drawn, and do not matter at zero.

    Returns
    -------
    ndarray, shape (n_replicates, d or C d)
        Eigenvalues, falling.

    Raises
    ------
    ValueError
        If a number is out of range, or clusters do not share the samples evenly.
    """
    k, C = (
        validation.integer("n_clusters", n_clusters, minimum=1),
        validation.integer("n_classes", n_classes, minimum=2),
    )
    size, N = validation.integer("d", d, minimum=k), validation.integer("n_samples", n_samples, minimum=1)
    if N % k:
        raise ValueError(f"n_samples must be a multiple of n_clusters = {k}; got {N}")
    length = jnp.sqrt(k * validation.nonnegative("snr", snr, ndim=0))
    keys = jax.random.split(key, validation.integer("n_replicates", n_replicates, minimum=1))
    return np.linalg.eigvalsh(over_replicates(_cluster_hessian, keys, length, k, size, N, C))[:, ::-1]


def _cluster_hessian(key: Array, length: Array, k: int, d: int, N: int, C: int) -> Array:
    x_key, y_key = jax.random.split(key)
    x = jax.random.normal(x_key, (N, d)) + length * jax.nn.one_hot(jnp.arange(N) % k, d)
    labels = jax.random.randint(y_key, (N,), 0, C)

    def logistic(w: Array) -> Array:
        return jnp.mean(jax.nn.softplus(-(2 * labels - 1) * (x @ w)))

    def softmax(w: Array) -> Array:
        scores = x @ w.reshape(C, d).T
        # not log_softmax, for the same reason; at zero weights nothing overflows
        own = jnp.sum(scores * jax.nn.one_hot(labels, C), axis=1)
        return jnp.mean(jnp.log(jnp.sum(jnp.exp(scores), axis=1)) - own)

    return jax.hessian(logistic)(jnp.zeros(d)) if C == 2 else jax.hessian(softmax)(jnp.zeros(C * d))
