r"""Ridge regression on drawn designs: independent normal features, or points of a finite population.

Labels are linear in the features. Since fits are linear in labels, means over the signs of teacher coefficients and
over label noise are taken exactly; what remains random is the design.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation

_RANK = 1e-11  # eigenvalues of a Gram matrix below this share of the largest are none


class RidgeFit(NamedTuple):
    """Of one design, for every ridge: what a ridge fit does, averaged over signs of coefficients and over noise.

    ``test`` counts the noise of test labels. ``kappa`` is 1 / trace of the inverse of the ridged Gram matrix,
    ``learned`` the share of every mode that its own predicted coefficient is, ``second`` the mean square of that
    coefficient.
    """

    test: Float[Array, " ridges"]
    train: Float[Array, " ridges"]
    kappa: Float[Array, " ridges"]
    learned: Float[Array, "ridges modes"]
    second: Float[Array, "ridges modes"]


def gaussian_ridge(
    key: PRNGKeyArray,
    eigenvalues: Float[ArrayLike, " modes"],
    coefficients_sq: Float[ArrayLike, " modes"],
    ridges: Float[ArrayLike, " ridges"],
    noise_var: ArrayLike,
    n: int,
    k: int | None,
) -> RidgeFit:
    r"""Fit n samples of independent normal modes by ridge regression, on k random features or on the kernel (None).

    Modes are X of shape (n, M), features :math:`X \Lambda^{1/2} W^\top / \sqrt k` with W of shape (k, M), both of
    independent standard normals. No ridge gives the least-norm fit. Costs O(n^3 + n M^2) a ridge.

    Raises
    ------
    ValueError
        If an eigenvalue, squared coefficient, ridge or the noise is negative, numbers of modes differ, or n or k < 1.
    """
    lam = validation.nonnegative("eigenvalues", eigenvalues, ndim=1)
    v2 = validation.nonnegative("coefficients_sq", coefficients_sq, ndim=1)
    if v2.shape != lam.shape:
        raise ValueError(f"coefficients_sq must have shape {lam.shape}, as eigenvalues; got {v2.shape}")
    deltas = validation.nonnegative("ridges", ridges, ndim=1)
    noise = validation.nonnegative("noise_var", noise_var, ndim=0)
    validation.integer("n", n, minimum=1)
    for_modes, for_features = jax.random.split(key)
    X = jax.random.normal(for_modes, (n, lam.size))
    mixing = jnp.diag(jnp.sqrt(lam))
    if k is not None:
        validation.integer("k", k, minimum=1)
        mixing = jnp.sqrt(lam)[:, None] * jax.random.normal(for_features, (lam.size, k)) / jnp.sqrt(k)
    return _fit(X, mixing, v2, deltas, noise)


def _fit(X: Array, mixing: Array, v2: Array, ridges: Array, noise_var: Array) -> RidgeFit:
    features = X @ mixing
    values, vectors = jnp.linalg.eigh(features @ features.T)
    present = values > _RANK * values[-1]

    def fit(ridge: Array) -> RidgeFit:
        shrunk = jnp.where(present | (ridge > 0), 1 / jnp.where(present | (ridge > 0), values + ridge, 1.0), 0.0)
        inverse = (vectors * shrunk) @ vectors.T
        weights = mixing @ (features.T @ inverse)  # predicted coefficients (M,) are linear in labels (n,)
        answer = weights @ X  # and these in the teacher's coefficients
        kept = 1 - values * shrunk
        residual = (vectors * kept) @ vectors.T
        noise = jnp.sum(weights**2)
        wrong = answer - jnp.eye(len(v2))
        test = jnp.sum(wrong**2 @ v2) + noise_var * (noise + 1)
        train = (jnp.sum((residual @ X) ** 2 @ v2) + noise_var * jnp.sum(residual**2)) / len(X)
        second = answer**2 @ v2 + noise_var * jnp.sum(weights**2, axis=1)
        return RidgeFit(test, train, 1 / jnp.trace(inverse), jnp.diagonal(answer), second)

    return jax.vmap(fit)(ridges)


def teacher_loss(
    key: PRNGKeyArray, eigenvalues: Float[ArrayLike, " modes"], n: int | None, k: int | None
) -> Float[Array, ""]:
    """Loss of a ridgeless fit of k random features to n samples of a random linear teacher; None for all of either.

    The teacher is isotropic, so that its mean squared coefficients are the eigenvalues; its average is taken exactly.
    With the same key all calls share data and features. Costs O(M^2 (n + k) + min(n, k)^3).

    Raises
    ------
    ValueError
        If an eigenvalue is negative, or n or k < 1.
    """
    for name, number in {"n": n, "k": k}.items():
        if number is not None:
            validation.integer(name, number, minimum=1)
    for_data, for_features = jax.random.split(key)
    root = jnp.sqrt(validation.nonnegative("eigenvalues", eigenvalues, ndim=1))
    data = None if n is None else jax.random.normal(for_data, (n, root.size)) * root
    features = None if k is None else jax.random.normal(for_features, (k, root.size)) * root
    if data is None or features is None:
        seen = data if features is None else features
        return jnp.zeros(()) if seen is None else _outside(seen, root)
    cross = (data / root) @ features.T
    if len(data) < len(features):
        weights = cross.T @ jnp.linalg.solve(cross @ cross.T, data)
    else:
        weights = jnp.linalg.solve(cross.T @ cross, cross.T @ data)
    return jnp.sum((jnp.diag(root) - features.T @ weights) ** 2)


def _outside(rows: Array, root: Array) -> Array:
    """Mean square of a teacher's part outside of the span of rows."""
    if len(rows) >= root.size:
        return jnp.zeros(())
    basis, _ = jnp.linalg.qr(rows.T)
    return jnp.sum((jnp.diag(root) - basis @ (basis.T * root)) ** 2)


class PopulationFit(NamedTuple):
    """Risks of kernel regression on a sample of a population, for every ridge, and its traces."""

    test: Float[Array, " ridges"]
    train: Float[Array, " ridges"]
    kappa: Float[Array, " ridges"]


def population_ridge(
    key: PRNGKeyArray,
    kernel: Float[ArrayLike, "N N"],
    labels: Float[ArrayLike, "N outputs"],
    ridges: Float[ArrayLike, " ridges"],
    noise_var: ArrayLike,
    n: int,
) -> PopulationFit:
    """Draw n different points of a population, fit kernel regression to their noisy labels, and try it on all points.

    Risks are summed over outputs, noise counted for each. The test risk is the mean over the whole population, the
    sample included, as it is where points are drawn from the law that all of them make. Costs O(n^3 + n N).

    Raises
    ------
    ValueError
        If the kernel is not square, labels have another number of rows, a ridge is not positive, the noise is negative,
        or n is not from 1 to N.
    """
    K, y = _population(kernel, "labels", labels)
    validation.count("n", n, maximum=len(K))
    validation.nonnegative("noise_var", noise_var, ndim=0)
    for_points, for_noise = jax.random.split(key)
    chosen = jax.random.choice(for_points, len(K), (n,), replace=False)
    noisy = y[chosen] + jnp.sqrt(jnp.asarray(noise_var)) * jax.random.normal(for_noise, (n, y.shape[1]))
    values, vectors = jnp.linalg.eigh(K[jnp.ix_(chosen, chosen)])

    def fit(ridge: Array) -> PopulationFit:
        shrunk = 1 / (jnp.maximum(values, 0.0) + ridge)
        dual = vectors @ (shrunk[:, None] * (vectors.T @ noisy))
        test = jnp.sum((K[:, chosen] @ dual - y) ** 2) / len(y) + noise_var * y.shape[1]
        train = jnp.sum((ridge * dual) ** 2) / n
        return PopulationFit(test, train, 1 / jnp.sum(shrunk))

    return jax.vmap(fit)(validation.positive("ridges", ridges, ndim=1))


def _population(kernel: ArrayLike, name: str, values: ArrayLike) -> tuple[Array, Array]:
    K, rows = validation.finite("kernel", kernel, ndim=2), validation.finite(name, values, ndim=2)
    if K.shape[0] != K.shape[1]:
        raise ValueError(f"kernel must be square; got shape {K.shape}")
    if len(rows) != len(K):
        raise ValueError(f"{name} must have {len(K)} rows, as the kernel; got shape {rows.shape}")
    return K, rows


def learn_every_mode(
    kernel: Float[ArrayLike, "N N"], modes: Float[ArrayLike, "N modes"], chosen: ArrayLike, ridge: ArrayLike
) -> Float[Array, " modes"]:
    """Fit every mode in turn from its values on the chosen points; inner products of the fits with their own modes.

    Inner products are means over the population of N points. Without a ridge the chosen Gram matrix must have full
    rank.

    Raises
    ------
    ValueError
        If the kernel is not square, or modes have another number of rows.
    """
    (K, phi), points = _population(kernel, "modes", modes), jnp.asarray(chosen)
    gram = K[jnp.ix_(points, points)] + ridge * jnp.eye(len(points))
    fits = K[:, points] @ jnp.linalg.solve(gram, phi[points])
    return jnp.mean(fits * phi, axis=0)


def cube_modes(dim: int) -> tuple[Array, Array]:
    """All 2^d corners' values of the products of coordinates, (2^d, 2^d), and the number of factors of each."""
    bits = jnp.arange(2 ** validation.integer("dim", dim, minimum=1))
    shared = jnp.bitwise_count(bits[:, None] & bits)
    return 1.0 - 2.0 * (shared % 2), jnp.bitwise_count(bits)
