"""Losses of guesses at the score of noisy data: against the noise that was added, and against the score itself."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from simulations import validation

REACH, STEP = 9.0, 0.05  # of the noise, to the trapezoidal rule
NODES = 80  # of data that are Gaussian

Guess = Callable[[np.ndarray], np.ndarray]


class NoisyData(NamedTuple):
    """Noisy data x = signal x0 + noise z for every value x0 and node z: all of shape (values, nodes).

    ``target`` is -z / noise, ``score`` the derivative of the logarithm of the density of x, ``share`` the probability.
    """

    x: np.ndarray
    target: np.ndarray
    score: np.ndarray
    share: np.ndarray


class ScoreLosses(NamedTuple):
    """Mean squared errors of a guess against -z / noise, and against the score of noisy data."""

    denoising: float
    score: float


def gaussian_points(variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points and probabilities that stand for N(0, variance): a Gauss-Hermite rule."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return np.sqrt(float(validation.nonnegative("variance", variance, ndim=0))) * nodes, weights / weights.sum()


def noisy_data(
    points: Float[np.ndarray, " N"], probabilities: Float[np.ndarray, " N"], *, signal: float, noise: float
) -> NoisyData:
    """Add noise to data that take ``points`` as values, on a grid of the noise. Costs O(N^2) for each of 361 nodes."""
    x0, p = np.asarray(points, dtype=float), np.asarray(probabilities, dtype=float)
    a = float(validation.finite("signal", signal, ndim=0))
    s = float(validation.positive("noise", noise, ndim=0))
    z = np.arange(-REACH, REACH + STEP / 2, STEP)
    x = a * x0[:, None] + s * z
    share = p[:, None] * np.exp(-0.5 * z**2) * STEP / np.sqrt(2 * np.pi)
    return NoisyData(x, np.broadcast_to(-z / s, x.shape), np.asarray(_score(jnp.asarray(x), x0, p, a, s)), share)


@jax.jit
def _score(x: Array, points: Array, probabilities: Array, signal: Array, noise: Array) -> Array:
    def log_density(x: Array) -> Array:
        exponents = -0.5 * ((x - signal * points) / noise) ** 2 + jnp.log(probabilities)
        top = jax.lax.stop_gradient(jnp.max(exponents))
        return top + jnp.log(jnp.sum(jnp.exp(exponents - top)))

    return jax.vmap(jax.grad(log_density))(x.ravel()).reshape(x.shape)


def score_losses(guess: Guess, data: NoisyData) -> ScoreLosses:
    """Average both squared errors of ``guess`` over data and noise."""
    guessed = guess(data.x)
    return ScoreLosses(
        float(np.sum(data.share * (guessed - data.target) ** 2)),
        float(np.sum(data.share * (guessed - data.score) ** 2)),
    )


def fit_polynomial(data: NoisyData, degree: int) -> Guess:
    """Return the polynomial of least denoising loss."""
    power = np.arange(validation.integer("degree", degree, minimum=0) + 1)
    root = np.sqrt(data.share).ravel()
    design = data.x.ravel()[:, None] ** power
    coefficients = np.linalg.lstsq(root[:, None] * design, root * data.target.ravel(), rcond=None)[0]
    return lambda x: (x[..., None] ** power) @ coefficients
