"""Linear classifiers trained on two Gaussian classes, with the test error that their weights have."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import cho_factor, cho_solve
from jax.scipy.stats import norm
from jax.typing import ArrayLike
from numpy.typing import NDArray

from simulations import validation
from simulations.replicates import over_replicates


class ClassifierErrors(NamedTuple):
    """Test errors of the class mean and of least squares, trained on the same points; replicates first."""

    class_mean: NDArray[np.float64]
    least_squares: NDArray[np.float64]


def train_linear_classifiers(keys: Array, n: int, means: ArrayLike, scales: ArrayLike) -> ClassifierErrors:
    """Draw training sets and train both classifiers on each.

    Points are Y means + scales * noise, with fair labels Y = +-1 and standard normal noise. One classifier is the mean
    of Y X, the other the least-squares fit of Y without an intercept, by the normal equations. The test error of a
    classifier is the normal probability of a negative margin under its weights. Costs O(n d^2 + d^3) a replicate.

    Parameters
    ----------
    keys : array of keys, shape (R,)
    n : int
        Training points, at least d.
    means : array_like, shape (d,)
    scales : array_like, shape (d,)
        Standard deviations of the features within a class, positive.

    Returns
    -------
    ClassifierErrors
        Arrays of shape (R,).

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes differ.
    """
    mu, spread = validation.finite("means", means, ndim=1), validation.positive("scales", scales, ndim=1)
    if mu.shape != spread.shape:
        raise ValueError(f"scales must have the shape of means, {mu.shape}; got {spread.shape}")
    size = validation.integer("n", n, minimum=max(mu.size, 1))
    return ClassifierErrors(*over_replicates(_train, keys, size, mu, spread))


def _train(key: Array, n: int, means: Array, scales: Array) -> tuple[Array, Array]:
    of_labels, of_noise = jax.random.split(key)
    labels = jax.random.rademacher(of_labels, (n,), dtype=means.dtype)
    points = labels[:, None] * means + scales * jax.random.normal(of_noise, (n, means.size))
    moment = labels @ points / n
    fitted = cho_solve(cho_factor(points.T @ points / n), moment)

    def error(weights: Array) -> Array:
        return norm.cdf(-(weights @ means) / jnp.linalg.norm(scales * weights))

    return error(moment), error(fitted)
