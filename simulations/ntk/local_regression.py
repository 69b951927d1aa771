"""Ridgeless regression of Gaussian random functions of angles, with the test error averaged over functions exactly."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from simulations import validation
from simulations.ntk.local_networks import sharp_arc, smooth_arc
from simulations.replicates import over_replicates

KERNELS = ("rfk", "ntk", "exponential", "matern3", "matern5", "gaussian")
JITTER = 1e-13  # of the diagonal, against rounding
CACHED = 2**17  # entries of a kernel that stay in fast memory


def covariance(kernel: Array, differences: Array, used: Array) -> Array:
    """Kernel by its number in `KERNELS`, from differences of angles (..., p), of which ``used`` (p,) are looked at.

    ``rfk`` and ``ntk`` are means over patches; the others, of smoothness 1/2, 3/2, 5/2 and infinity, are functions of
    the chord on the torus and so not local. Numbers are traced, so that kernels share a program.
    """

    def layer(tangent: bool) -> Array:
        angle = jnp.abs(jnp.mod(differences + jnp.pi, 2 * jnp.pi) - jnp.pi)
        value = smooth_arc(angle)
        if tangent:
            value = value + sharp_arc(angle) * jnp.cos(angle)
        return value @ used / jnp.sum(used)

    def chord() -> Array:
        return jnp.sqrt(4 * jnp.sin(differences / 2) ** 2 @ used)

    branches = (
        lambda: layer(False),
        lambda: layer(True),
        lambda: jnp.exp(-chord()),
        lambda: (1 + chord()) * jnp.exp(-chord()),
        lambda: (1 + chord() + chord() ** 2 / 3) * jnp.exp(-chord()),
        lambda: jnp.exp(-(chord() ** 2) / 2),
    )
    return jax.lax.switch(kernel, branches)


def random_design_errors(
    keys: Array, *, sizes: tuple[int, ...], kernel: str, patches: int, padded: int, n_test: int
) -> np.ndarray:
    """Errors (replicates, sizes) of regression with the target's own kernel on uniform angles, in nested sets.

    Sets of a key share their test points. Programs depend on the largest size, ``padded`` (patches that are drawn, and
    ignored beyond ``patches``) and ``n_test`` alone. Costs O(P^3 + P^2 n_test) for each key and size, P the largest.
    """
    number = jnp.asarray(KERNELS.index(validation.choice("kernel", kernel, KERNELS)))
    used = jnp.asarray(np.arange(padded) < validation.integer("patches", patches, minimum=1), dtype=float)
    counts = jnp.asarray(sizes)
    chunk = max(1, CACHED // max(sizes) ** 2)
    return over_replicates(_errors, keys, number, counts, used, max(sizes), n_test, chunk_size=chunk)


def _errors(key: Array, kernel: Array, sizes: Array, used: Array, largest: int, n_test: int) -> Array:
    for_train, for_test = jax.random.split(key)
    train = jax.random.uniform(for_train, (largest, len(used)), maxval=2 * jnp.pi)
    test = jax.random.uniform(for_test, (n_test, len(used)), maxval=2 * jnp.pi)
    own, across = train[:, None] - train, train[:, None] - test
    gram, seen = covariance(kernel, own, used), covariance(kernel, across, used)
    alone = covariance(kernel, jnp.zeros((1, len(used))), used)

    def error(size: Array) -> Array:
        """Regress on the first points; the others' rows become those of the identity, and their weights zero."""
        kept = jnp.arange(largest) < size
        inner = jnp.where(kept[:, None] & kept, gram, 0.0) + jnp.diag(jnp.where(kept, JITTER * gram[0, 0], 1.0))
        weights = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(inner), jnp.where(kept[:, None], seen, 0.0))
        return jnp.mean(alone - 2 * jnp.sum(weights * seen, 0) + jnp.sum(weights * (gram @ weights), 0))

    return jax.lax.map(error, sizes)


def lattice_error(*, teacher: str, student: str, side: int, dim: int, n_test: int = 4) -> float:
    """Error on the torus with ``side`` equally spaced training points along each of ``dim`` axes, by FFT.

    Averaged over a cell by Gauss-Legendre with ``n_test`` nodes along each axis, and over targets exactly.
    """
    numbers = [jnp.asarray(KERNELS.index(validation.choice("kernel", name, KERNELS))) for name in (teacher, student)]
    side, dim = validation.integer("side", side, minimum=2), validation.integer("dim", dim, minimum=1)
    return float(_lattice_error(*numbers, side, dim, validation.integer("n_test", n_test, minimum=1)))


@partial(jax.jit, static_argnums=(2, 3, 4))
def _lattice_error(teacher: Array, student: Array, side: int, dim: int, n_test: int) -> Array:
    nodes, weights = np.polynomial.legendre.leggauss(n_test)
    axis = 2 * np.pi * np.arange(side) / side
    grid = jnp.asarray(np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), axis=-1))
    cell = np.stack(np.meshgrid(*[(nodes + 1) * np.pi / side] * dim, indexing="ij"), axis=-1).reshape(-1, dim)
    weight = np.prod(np.stack(np.meshgrid(*[weights / 2] * dim, indexing="ij")), axis=0).ravel()
    used = jnp.ones(dim)
    at_nodes = [jnp.fft.fftn(covariance(kernel, grid, used)).real for kernel in (teacher, student)]

    def at(x: Array) -> Array:
        """Error at one point: the weights that interpolation gives to the training points, in frequencies."""
        from_teacher, from_student = (jnp.fft.fftn(covariance(k, grid - x, used)) for k in (teacher, student))
        solved = from_student / at_nodes[1]
        return jnp.sum((jnp.conj(solved) * (at_nodes[0] * solved - 2 * from_teacher)).real) / side**dim

    alone = covariance(teacher, jnp.zeros((1, dim)), used)[0]
    return alone + jnp.asarray(weight) @ jax.lax.map(at, jnp.asarray(cell))
