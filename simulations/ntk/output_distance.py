r"""How far the output of a network drawn at random is from a Gaussian: by its exact law, and by drawn networks.

The output of one hidden layer, :math:`\sum_j a_j \phi(z_j) / \sqrt n`, is a sum of independent terms, so that its
characteristic function is a power of theirs.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.stats import norm
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.ntk.networks import Function
from simulations.replicates import over_replicates

WEIGHTS = ("normal", "uniform", "signs")
REACH, STEP = 12.0, 0.02  # of the output
FREQUENCIES = 0.1 * np.arange(1, 901)  # to the trapezoidal rule the law is periodic with 2 pi / 0.1
CHUNK = 4000  # networks at a time
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


class OutputLaw(NamedTuple):
    """Distance of an output of unit variance from N(0, 1), and the difference of distribution functions on a grid."""

    distance: Array
    at: Array
    difference: Array


def output_law(activation: Function, *, width: int, variance: float = 1.0, weights: str = "normal") -> OutputLaw:
    r"""Find the law of one hidden layer of a given width by its characteristic function.

    The area between distribution functions is the variation of :math:`G(x) = E (f - x)_+ - E (Z - x)_+ = -
    \frac{1}{\pi} \int_0^\infty \cos(t x) (\psi_f - \psi_Z)(t) t^{-2} dt`; parabolas refine its turning points.
    Hidden units are drawn from N(0, ``variance``), output weights normal, uniform, or of random sign. Where units are
    off with probability 1/2, the output is exactly zero with probability 2^-width: widths of 24 and more keep eight
    digits. Costs some 10^6 exponentials and sines.
    """
    n = validation.integer("width", width, minimum=2)
    k = validation.positive("variance", variance, ndim=0)
    number = jnp.asarray(WEIGHTS.index(validation.choice("weights", weights, WEIGHTS)))
    return _output_law(activation, jnp.asarray(float(n)), k, number)


@partial(jax.jit, static_argnums=0)
def _output_law(activation: Function, n: Array, variance: Array, weights: Array) -> OutputLaw:
    half = 5.0 * (1 + _NODES)  # both sides of a kink at zero apart
    z = jnp.concatenate([-half, half])
    density = jnp.tile(jnp.asarray(5.0 * _WEIGHTS), 2) * norm.pdf(z)
    phi = activation(jnp.sqrt(variance) * z)
    phi = phi / jnp.sqrt(density @ phi**2)
    t = jnp.asarray(FREQUENCIES)
    psi = (1 + _deficit(t[:, None] * phi / jnp.sqrt(n), weights) @ density) ** n
    gap = (psi - jnp.exp(-0.5 * t**2)) / t**2 * (t[1] - t[0]) / jnp.pi
    x = jnp.arange(0.0, REACH, STEP)
    potential = -jnp.cos(x[:, None] * t) @ gap
    difference = jnp.sin(x[:, None] * t) @ (gap * t)
    before, there, after = potential[:-2], potential[1:-1], potential[2:]
    bend = 2 * there - before - after
    turning = ((there - before) * (after - there) < 0) & (bend != 0)
    beyond = jnp.sum(jnp.where(turning, (after - before) ** 2 / (8 * jnp.abs(jnp.where(turning, bend, 1.0))), 0.0))
    inside = jnp.sum(jnp.abs(jnp.diff(potential)))
    return OutputLaw(2 * (inside + 2 * beyond), x, difference)


def _deficit(s: Array, weights: Array) -> Array:
    """Return E cos(s a) - 1 for a weight a of unit variance, without cancellation at small s."""
    normal = jnp.expm1(-0.5 * s**2)
    root = jnp.sqrt(3.0) * s
    small = jnp.abs(root) < 0.05
    uniform = jnp.where(small, -(root**2) / 6 + root**4 / 120 - root**6 / 5040, jnp.sinc(root / jnp.pi) - 1)
    signs = -2 * jnp.sin(s / 2) ** 2
    return jax.lax.select_n(weights, normal, uniform, signs)


def sampled_distance(
    keys: PRNGKeyArray, pilot: PRNGKeyArray, activation: Function, *, widths: tuple[int, ...], depth: int
) -> Float[np.ndarray, "widths R"]:
    """Estimate distances of drawn networks from N(0, 1), one estimate a key and width, and a mean over keys to take.

    Layers are drawn one after the other, given the mean square of the layer below, ``depth`` of them; replicates share
    units among widths. The distance is the largest difference of means of a function of slope 1 at most. It is
    -|x| up to a point and rises beyond, a point that networks of their own, of the ``pilot`` keys, choose. Given the
    last hidden layer the output is Gaussian, and the variance of that, whose mean is 1, is taken off as a control
    variate. Networks must keep their mean square at one from layer to layer. Costs O(max(widths) depth) a key.
    """
    sizes = np.array([validation.integer("widths", width, minimum=1) for width in widths])
    layers = validation.integer("depth", depth, minimum=1)
    first, found = (
        over_replicates(_output_variance, group, activation, sizes, int(sizes.max()), layers, chunk_size=CHUNK)
        for group in (pilot, keys)
    )
    return np.asarray(_gain(jnp.asarray(found), _best_turns(first))).T


def _output_variance(key: PRNGKeyArray, activation: Function, widths: Array, largest: int, depth: int) -> Array:
    """Variance of the output given the last hidden layer, for each width."""
    normal = jax.random.normal(key, (depth, largest))
    used = jnp.arange(largest) < jnp.asarray(widths)[:, None]
    variance = jnp.ones(len(widths))
    for z in normal:
        values = activation(jnp.sqrt(variance)[:, None] * z) ** 2
        variance = jnp.sum(jnp.where(used, values, 0.0), axis=1) / jnp.asarray(widths)
    return variance


@jax.jit
def _best_turns(variance: Array) -> Array:
    """Return for each width the turning point, on a grid, of the largest mean gain."""
    turns = jnp.linspace(1.0, 3.0, 101)
    gains = jax.lax.map(lambda turn: jnp.mean(_gain(variance, turn), axis=0), turns)
    return turns[jnp.argmax(gains, axis=0)]


@jax.jit
def _gain(variance: Array, turn: Array) -> Array:
    """Mean of 2 (|x| - turn)_+ - |x| under N(0, variance) less that under N(0, 1), and less its linear part."""
    sigma = jnp.sqrt(variance)

    def mean(sigma: Array) -> Array:
        tail = sigma * norm.pdf(turn / sigma) - turn * norm.sf(turn / sigma)
        return 4 * tail - sigma * jnp.sqrt(2 / jnp.pi)

    slope = 0.5 * (4 * norm.pdf(turn) - jnp.sqrt(2 / jnp.pi))
    return mean(sigma) - mean(jnp.ones(())) - slope * (sigma**2 - 1)
