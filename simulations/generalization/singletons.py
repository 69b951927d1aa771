"""Items that a sample holds once: how likely they are, and the lists of frequencies on which they are hardest to bound.

For Feldman (2020), arXiv:1906.05271.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from simulations import validation
from simulations.generalization.adversary import hardest_instances

_SEARCH_BITS = 10  # searches are over samples of fewer than 2^10 draws


def occurrence_law(frequencies: ArrayLike, *, n: int, most: int) -> Array:
    """Probabilities, (most + 1, ...), that items of the given frequencies occur 0, ..., most times in n draws.

    A sample is halved until single draws are left, and the counts of the halves are added: O(most^2 log n) operations
    an item. Relative errors are about n roundings.
    """
    size, last = validation.integer("n", n, minimum=1), validation.integer("most", most, minimum=1)
    return _law(validation.nonnegative("frequencies", frequencies), size, bits=size.bit_length(), most=last)


def hardest_long_tails(key: Array, *, n: int, num_items: int, chains: int, n_steps: int) -> Array:
    """Search for lists of frequencies, (chains, N), whose singletons are rare for their weight in [1/(3n), 2/n].

    Minimised is the mean frequency of a singleton over that weight; lists without weight there lose. A chain and step
    costs O(N log n).
    """
    size, items = _search_size(n), validation.integer("num_items", num_items, minimum=1)
    many = validation.integer("chains", chains, minimum=1)
    start, climb, spread = jax.random.split(key, 3)
    spreads = jax.random.uniform(spread, (many, 1), minval=0.0, maxval=3.0)
    starts = spreads * jax.random.normal(start, (many, items))
    found = hardest_instances(climb, _rare_singletons, starts, jnp.asarray(size), n_steps=n_steps)
    return jax.nn.softmax(found.instances, axis=1)


def hardest_short_tails(
    key: Array, *, n: int, theta: float, t: float, beta: float, tail: int, head: int, chains: int, n_steps: int
) -> Array:
    """Search for lists, (chains, tail + head), with the largest mean frequency of a singleton.

    Each holds ``tail`` frequencies up to ``theta`` that sum to ``beta``, and ``head`` ones from ``t / n`` on.
    """
    size, many = _search_size(n), validation.integer("chains", chains, minimum=1)
    if not (beta <= tail * theta and head * t / size <= 1 - beta):
        raise ValueError(f"theta and t must leave room for tail and head; got {theta:g} and {t:g}")
    start, climb = jax.random.split(key)
    starts = 0.01 * jax.random.normal(start, (many, tail + head))
    limits = (theta, t / size, beta, size, jnp.arange(tail + head) < tail)
    found = hardest_instances(climb, _common_singletons, starts, *map(jnp.asarray, limits), n_steps=n_steps, step=0.1)
    if not np.isfinite(found.value).all():
        raise ValueError(f"theta and t must leave some room to start a search; got {theta:g} and {t:g}")
    return jax.vmap(_two_parts, (0, None, None))(found.instances, jnp.asarray(beta), limits[-1])


def singleton_frequency(frequencies: ArrayLike, *, n: int) -> Array:
    """Mean total frequency of singletons over their mean number, (...), for lists of frequencies (..., N)."""
    alpha = validation.nonnegative("frequencies", frequencies)
    return _singletons(alpha, occurrence_law(alpha, n=n, most=1)[1])


def _search_size(n: int) -> int:
    size = validation.integer("n", n, minimum=2)
    if size >= 2**_SEARCH_BITS:
        raise ValueError(f"n must be below {2**_SEARCH_BITS} in a search; got {size}")
    return size


def _singletons(alpha: Array, once: Array) -> Array:
    return jnp.sum(alpha * once, axis=-1) / jnp.sum(once, axis=-1)


def _rare_singletons(point: Array, n: Array) -> Array:
    alpha = jax.nn.softmax(point)
    weight = jnp.sum(alpha * ((alpha >= 1 / (3 * n)) & (alpha <= 2 / n)))
    found = _singletons(alpha, _law(alpha, n, bits=_SEARCH_BITS, most=1)[1])
    return jnp.where(weight > 0, -found / weight, -jnp.inf)


def _common_singletons(point: Array, theta: Array, least: Array, beta: Array, n: Array, tail: Array) -> Array:
    alpha = _two_parts(point, beta, tail)
    fits = jnp.all(jnp.where(tail, alpha <= theta, alpha >= least))
    return jnp.where(fits, _singletons(alpha, _law(alpha, n, bits=_SEARCH_BITS, most=1)[1]), -jnp.inf)


def _two_parts(point: Array, beta: Array, tail: Array) -> Array:
    light, heavy = (jax.nn.softmax(jnp.where(part, point, -jnp.inf)) for part in (tail, ~tail))
    return beta * light + (1 - beta) * heavy


@partial(jax.jit, static_argnames=("bits", "most"))
def _law(frequencies: Array, n: Array | int, *, bits: int, most: int) -> Array:
    def add(a: Array, b: Array) -> Array:
        return jnp.stack([sum(a[i] * b[c - i] for i in range(c + 1)) for c in range(most + 1)])

    none = jnp.zeros((most + 1, *frequencies.shape)).at[0].set(1.0)
    single = none.at[0].set(1 - frequencies).at[1].set(frequencies)

    def double(law: Array, bit: Array) -> tuple[Array, None]:
        law = add(law, law)
        return jnp.where((n >> bit) & 1, add(law, single), law), None

    return jax.lax.scan(double, none, jnp.arange(bits)[::-1])[0]
