r"""Ridge regression on corners of the cube :math:`\{-1, 1\}^d` by kernels of inner products, and what it learns.

A product of l different coordinates is called a parity of degree l. The kernels are sums over degrees of weights times
the mean, over all parities of that degree, of the parity at one corner times that at the other.
"""

from math import comb

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.replicates import over_replicates

SMALL, LARGE = 12, 30  # dimensions in which corners are few, and from which on none is ever drawn twice
JITTER = 1e-10  # of the diagonal, against rounding


def parity_sums(dim: int, degrees: int) -> Float[np.ndarray, "degrees dim+1"]:
    """Sum all parities of degree 0, 1, ... at a corner with 0, 1, ..., dim coordinates of -1, exactly."""
    d = validation.integer("dim", dim, minimum=1)
    many = validation.integer("degrees", degrees, minimum=1)
    return np.array(
        [
            [
                float(sum((-1) ** j * comb(m, j) * comb(d - m, degree - j) for j in range(degree + 1)))
                for m in range(d + 1)
            ]
            for degree in range(many)
        ]
    )


def learned_degrees(
    keys: PRNGKeyArray,
    weights: Float[ArrayLike, " degrees"],
    *,
    dim: int,
    sizes: tuple[int, ...],
    ridge: float = 0.0,
) -> Float[np.ndarray, "R sizes degrees"]:
    r"""Regress on parities at random corners; how much of a parity its own regression finds, averaged over its degree.

    Of a parity :math:`\chi` fitted as :math:`\hat f` that is the mean of :math:`\hat f \chi` over all corners; for a
    kernel that is diagonal in parities the mean can be taken exactly, and so can the average over all parities of a
    degree. Each key draws max(sizes) different corners, of which the first n are used. Costs
    O(n^3) for every key and size.
    """
    c = validation.nonnegative("weights", weights, ndim=1)
    delta = validation.nonnegative("ridge", ridge, ndim=0)
    d = validation.integer("dim", dim, minimum=c.size - 1)
    counts = tuple(validation.integer("sizes", size, minimum=1) for size in sizes)
    sums = parity_sums(d, c.size)
    eigenvalues = c / sums[:, 0]
    largest = max(counts)
    chunk = max(1, 2**25 // largest**2)
    return over_replicates(
        _learned, keys, eigenvalues, jnp.asarray(sums), delta, jnp.asarray(counts), d, largest, chunk_size=chunk
    )


def _corners(key: PRNGKeyArray, number: int, dim: int) -> Array:
    """Draw different corners of the cube; of a large one twice as many as needed, to leave out repetitions."""
    if dim > LARGE:
        return jax.random.rademacher(key, (number, dim), dtype=float)
    if dim <= SMALL:
        codes = jax.random.choice(key, 2**dim, (number,), replace=False)
    else:
        drawn = jax.random.randint(key, (2 * number,), 0, 2**dim)
        order = jnp.argsort(drawn, stable=True)
        repeated = jnp.zeros(2 * number, bool).at[order[1:]].set(drawn[order[1:]] == drawn[order[:-1]])
        codes = drawn[jnp.argsort(repeated, stable=True)[:number]]
    return 1.0 - 2.0 * ((codes[:, None] >> jnp.arange(dim)) & 1)


def _learned(
    key: PRNGKeyArray, eigenvalues: Array, sums: Array, ridge: Array, sizes: Array, dim: int, largest: int
) -> Array:
    x = _corners(key, largest, dim)
    apart = jnp.round((dim - x @ x.T) / 2).astype(int)
    gram = (eigenvalues @ sums)[apart]

    def at(n: Array) -> Array:
        """Regress on the first points; the others' rows become those of the identity, and count for nothing."""
        kept = jnp.arange(largest) < n
        both = kept[:, None] & kept
        inner = jnp.where(both, gram, 0.0) + jnp.diag(jnp.where(kept, ridge + JITTER * gram[0, 0], 1.0))
        factor = jax.scipy.linalg.cho_factor(inner)
        inverse = jnp.where(both, jax.scipy.linalg.cho_solve(factor, jnp.eye(largest)), 0.0)
        traces = jax.lax.map(lambda table: jnp.sum(inverse * table[apart]), sums)
        return eigenvalues * traces / sums[:, 0]

    return jax.lax.map(at, sizes)
