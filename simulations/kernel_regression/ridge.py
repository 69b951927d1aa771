r"""Ridge regression and least-norm fits to drawn samples, by solving for the weights.

Labels are :math:`y = X \beta + \varepsilon`; weights are :math:`(X^\top X / n + \lambda)^{-1} X^\top y / n`, linear in
the labels, so that means over noise, and over signs or directions of beta, are taken exactly. Risks are squared errors
on a new sample, without the noise of its label.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.kernel_regression.covariances import draw_samples


class RidgeParts(NamedTuple):
    """Squared bias, and variance for noise of variance 1."""

    bias: Float[Array, "..."]
    variance: Float[Array, "..."]


def ridge_parts(
    key: PRNGKeyArray,
    variances: Float[ArrayLike, " p"],
    coefficients: Float[ArrayLike, " q"],
    ridges: Float[ArrayLike, " ridges"],
    n: ArrayLike,
    rows: int,
) -> RidgeParts:
    """Fit n samples of independent normal features at every ridge > 0, averaged over signs of the coefficients.

    Coefficients are those of the first q features, others have none. Data are drawn in ``rows`` rows, n of them used,
    and features of variance zero do nothing, so that one program serves many sizes. Costs O(p^3 + rows p^2) a ridge.

    Raises
    ------
    ValueError
        If a ridge is not positive, there are more coefficients than variances, or data cannot be drawn.
    """
    s, beta = _features(variances, coefficients)
    X = draw_samples(key, s, n, rows)

    def fit(ridge: Array) -> RidgeParts:
        return _parts(jnp.linalg.solve(X.T @ X / n + ridge * jnp.eye(s.size), X.T / n), X, s, beta)

    return jax.vmap(fit)(validation.positive("ridges", ridges, ndim=1))


def least_norm_parts(
    key: PRNGKeyArray,
    variances: Float[ArrayLike, " p"],
    coefficients: Float[ArrayLike, " q"],
    n: ArrayLike,
    rows: int,
    interpolate: bool,
) -> RidgeParts:
    """Fit without a ridge: the interpolation of least norm where p > n, or least squares where p < n.

    Sizes as for `ridge_parts`; ``interpolate`` says which of the two it is.

    Raises
    ------
    ValueError
        If there are more coefficients than variances, or data cannot be drawn.
    """
    s, beta = _features(variances, coefficients)
    X = draw_samples(key, s, n, rows)
    if interpolate:
        fit = jnp.linalg.solve(X @ X.T + jnp.diag(jnp.where(jnp.arange(rows) < n, 0.0, 1.0)), X).T
    else:
        fit = jnp.linalg.solve(X.T @ X + jnp.diag(jnp.where(s > 0, 0.0, 1.0)), X.T)
    return _parts(fit, X, s, beta)


def _features(variances: ArrayLike, coefficients: ArrayLike) -> tuple[Array, Array]:
    s, beta = validation.nonnegative("variances", variances, ndim=1), validation.finite("coefficients", coefficients)
    if beta.ndim != 1 or beta.size > s.size:
        raise ValueError(f"coefficients must have shape (q,), q <= {s.size} variances; got {beta.shape}")
    return s, beta


def _parts(fit: Array, X: Array, s: Array, beta: Array) -> RidgeParts:
    """Measure the map from labels to weights: what it makes of beta, and of noise."""
    missed = fit @ X[:, : beta.size] - jnp.eye(s.size, beta.size)
    return RidgeParts(jnp.sum(s[:, None] * missed**2 * beta**2), jnp.sum(s[:, None] * fit**2))


class TunedRidge(NamedTuple):
    """The ridge that does best on one design, the risk there, and risks at fixed ridges and at none."""

    ridge: Float[Array, "..."]
    risk: Float[Array, "..."]
    fixed: Float[Array, "..."]
    ridgeless: Float[Array, "..."]


class Labels(NamedTuple):
    """Squared length of beta, variance of the noise, and the fixed ridges to compare with."""

    signal: ArrayLike
    noise_var: ArrayLike
    ridges: ArrayLike


def tuned_ridge(
    key: PRNGKeyArray, shares: Float[ArrayLike, " sizes"], p: ArrayLike, labels: Labels, shape: tuple[int, int]
) -> TunedRidge:
    """Tune the ridge on the first n rows of one drawn design of p uncorrelated features, for every n / p of ``shares``.

    Risks are means over noise and over directions of beta; on a given design these are sums over the eigenvalues of
    its covariance. The best ridge is bisected from the sign of their derivative. Data are drawn in the given shape, of
    which n rows and p columns are used.

    Raises
    ------
    ValueError
        If a share, a ridge or the signal is not positive, the noise is negative, or ``shape`` has fewer columns than p.
    """
    validation.count("p", p, maximum=shape[1])
    validation.positive("shares", shares, ndim=1)
    validation.positive("signal", labels.signal, ndim=0)
    validation.nonnegative("noise_var", labels.noise_var, ndim=0)
    validation.positive("ridges", labels.ridges, ndim=1)
    present = jnp.arange(shape[1]) < p
    signal, noise = jnp.asarray(labels.signal), jnp.asarray(labels.noise_var)
    whole = jax.random.normal(key, shape) * present

    def at(share: Array) -> TunedRidge:
        n = jnp.round(share * p)
        X = whole * (jnp.arange(shape[0]) < n)[:, None]
        x = jnp.maximum(jnp.linalg.eigvalsh(X.T @ X / n), 0.0)[::-1]  # falling, those of absent features last
        rank = jnp.arange(shape[1]) < jnp.minimum(n, p)

        def risk(log_ridge: Array) -> Array:
            ridge = jnp.exp(log_ridge)
            bias = jnp.sum(jnp.where(present, (ridge / (x + ridge)) ** 2, 0.0)) * signal / p
            return bias + noise / n * jnp.sum(x / (x + ridge) ** 2)

        slope = jax.grad(risk)

        def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bracket
            middle = (low + high) / 2
            rising = slope(middle) > 0
            return jnp.where(rising, low, middle), jnp.where(rising, middle, high)

        low, high = jax.lax.fori_loop(0, 55, halve, (jnp.log(1e-6), jnp.log(1e6)))
        best = (low + high) / 2
        inverse = jnp.sum(jnp.where(rank, 1 / jnp.where(rank, x, 1.0), 0.0))
        ridgeless = signal * jnp.maximum(1 - n / p, 0.0) + noise / n * inverse
        return TunedRidge(jnp.exp(best), risk(best), jax.vmap(risk)(jnp.log(jnp.asarray(labels.ridges))), ridgeless)

    return jax.vmap(at)(jnp.asarray(shares))
