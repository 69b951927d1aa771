r"""Batch Hessians sampled: a spike shared by all samples, a random matrix for each, and the top of their mean."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.replicates import over_replicates


class BatchHessians(NamedTuple):
    """Of every replicate: top ``eigenvalue``, squared ``overlap`` of its vector with the spike, and its noise.

    ``noise_variance`` is the mean square of the off-diagonal entries of the noise W, batch minus full-data Hessian.
    ``controls`` are control variates of mean zero: v.Wv, v.W^2 v, v.W^3 v, v.W^4 v, (v.Wv)^2 and (v.Wv)(v.W^2 v), each
    less its mean over directions v of the spike, and the traces of W, W^2 and W^3, less theirs over samples.
    ``residual`` is that of the eigenpair, relative to the eigenvalue.
    """

    eigenvalue: Float[Array, " replicates"]
    overlap: Float[Array, " replicates"]
    noise_variance: Float[Array, " replicates"]
    controls: Float[Array, "replicates 9"]
    residual: Float[Array, " replicates"]


def sample_batch_hessians(
    key: PRNGKeyArray,
    *,
    eigenvalue: ArrayLike,
    n_parameters: int,
    noise_variance: ArrayLike,
    batch_size: int,
    n_samples: int,
    n_replicates: int,
    noise: str = "gaussian",
    lanczos_steps: int = 80,
) -> BatchHessians:
    r"""Draw batch Hessians whose full-data Hessian is a spike, and find the top eigenpair of each.

    Sample i has the Hessian :math:`\lambda v v^\top + E_i - \bar E`, with E_i symmetric and independent and
    :math:`\bar E` the mean of all N of them, so that the full-data Hessian is exactly :math:`\lambda v v^\top`; the
    batch Hessian is the mean over B of the N samples. Its top eigenpair is found by Lanczos iteration with full
    reorthogonalisation. Costs O(N P^2) draws and O(``lanczos_steps`` P^2 + P^3) a replicate.

    Parameters
    ----------
    key : PRNG key
    eigenvalue : float
        lambda > 0.
    n_parameters : int
        P >= 2.
    noise_variance : float
        sigma^2 > 0 of an off-diagonal entry of E_i.
    batch_size, n_samples : int
        1 <= B < N.
    n_replicates : int
    noise : {"gaussian", "rademacher"}
        Law of the entries of a square matrix G; E = sigma (G + G^T) / sqrt(2).
    lanczos_steps : int
        At least 2; ``residual`` tells whether they sufficed.

    Returns
    -------
    BatchHessians

    Raises
    ------
    ValueError
        If a number is out of its range.
    """
    spike = validation.positive("eigenvalue", eigenvalue, ndim=0)
    sigma = jnp.sqrt(validation.positive("noise_variance", noise_variance, ndim=0))
    P = validation.integer("n_parameters", n_parameters, minimum=2)
    B = validation.integer("batch_size", batch_size, minimum=1)
    N = validation.integer("n_samples", n_samples, minimum=B + 1)
    runs = validation.integer("n_replicates", n_replicates, minimum=1)
    law = validation.choice("noise", noise, ("gaussian", "rademacher"))
    steps = min(validation.integer("lanczos_steps", lanczos_steps, minimum=2), P)
    # batch mean minus mean of all, as a weight for every sample
    weights = jnp.where(jnp.arange(N) < B, 1 / B, 0.0) - 1 / N
    return over_replicates(_sample, jax.random.split(key, runs), spike, sigma, weights, P, law, steps)


def _sample(key: Array, spike: Array, sigma: Array, weights: Array, P: int, law: str, steps: int) -> BatchHessians:
    draw_samples, draw_vector, draw_start = jax.random.split(key, 3)

    def add(total: Array, sample: tuple[Array, Array]) -> tuple[Array, None]:
        key, weight = sample
        if law == "gaussian":
            return total + weight * jax.random.normal(key, (P, P)), None
        return total + weight * jax.random.rademacher(key, (P, P), dtype=float), None

    samples = (jax.random.split(draw_samples, len(weights)), weights)
    deviation, _ = jax.lax.scan(add, jnp.zeros((P, P)), samples)
    deviation = sigma * (deviation + deviation.T) / jnp.sqrt(2.0)
    v = jax.random.normal(draw_vector, (P,))
    v = v / jnp.linalg.norm(v)
    off_diagonal = (jnp.sum(deviation**2) - jnp.sum(jnp.diag(deviation) ** 2)) / (P * (P - 1))
    hessian = deviation + spike * jnp.outer(v, v)
    value, vector = top_eigenpair(draw_start, hessian, steps)
    residual = jnp.linalg.norm(hessian @ vector - value * vector) / jnp.abs(value)
    controls = _control_variates(deviation, v, sigma**2 * jnp.sum(weights**2))
    return BatchHessians(value, (v @ vector) ** 2, off_diagonal, controls, residual)


def _control_variates(noise: Array, v: Array, variance: Array) -> Array:
    """Return what is known to vanish on average: v is uniform on the sphere, and the noise is symmetric about zero."""
    P = len(v)
    square, image = noise @ noise, noise @ v
    one, two = jnp.trace(noise), jnp.sum(noise**2)
    three, four = jnp.sum(square * noise), jnp.sum(square**2)
    along, spread, twice = v @ image, image @ image, noise @ image
    pairs = P * (P + 2)
    of_direction = (
        along - one / P,
        spread - two / P,
        image @ twice - three / P,
        twice @ twice - four / P,
        along**2 - (one**2 + 2 * two) / pairs,
        along * spread - (one * two + 2 * three) / pairs,
    )
    return jnp.stack([*of_direction, one, two - P * (P + 1) * variance, three])


def top_eigenpair(key: PRNGKeyArray, matrix: Float[Array, "P P"], steps: int) -> tuple[Array, Array]:
    """Return the largest eigenvalue of a symmetric matrix and its vector, by Lanczos iteration from a random vector.

    Vectors are reorthogonalised twice against all earlier ones. ``steps`` must not exceed the matrix's size.
    """
    size = matrix.shape[0]
    start = jax.random.normal(key, (size,))

    def extend(state: tuple[Array, Array], k: Array):
        basis, q = state
        basis = basis.at[k].set(q)
        image = matrix @ q
        rest = image - basis.T @ (basis @ image)
        rest = rest - basis.T @ (basis @ rest)
        length = jnp.linalg.norm(rest)
        return (basis, rest / jnp.where(length > 0, length, 1.0)), None

    initial = (jnp.zeros((steps, size)), start / jnp.linalg.norm(start))
    (basis, _), _ = jax.lax.scan(extend, initial, jnp.arange(steps))
    values, vectors = jnp.linalg.eigh(basis @ matrix @ basis.T)
    return values[-1], basis.T @ vectors[:, -1]
