"""Kernels of deep networks with polynomial activations, by quadrature that is exact for them, and classifiers by them.

The activation is a sum of orthonormal Hermite polynomials of unit norm. Means over pairs of Gaussians come from a
product of Gauss-Hermite rules, of differences of the activation where the pair is close and of what the correlation
adds where it is far, so that both 1 - S and S keep their digits through hundreds of layers.
"""

from fractions import Fraction
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import sympy
from jax import Array
from jax.typing import ArrayLike

from simulations import validation

CENTRED = 1e-13  # means of the activation that are rounding


def hermite_activation(z: Array, coeffs: Array) -> Array:
    """Sum of ``coeffs[k]`` times the k-th orthonormal Hermite polynomial, by their recurrence."""
    return _with_difference(z, z, coeffs)[0]


def _with_difference(u: Array, v: Array, coeffs: Array) -> tuple[Array, Array]:
    """Return phi(v) and the divided difference [phi(u) - phi(v)] / (u - v), which tends to phi'(v) as u does to v."""
    before, value = jnp.zeros_like(v), jnp.ones_like(v)
    slope_before, slope = jnp.zeros_like(v), jnp.zeros_like(v)
    phi, difference = coeffs[0] * value, coeffs[0] * slope
    for k in range(coeffs.size - 1):
        after = (v * value - np.sqrt(k) * before) / np.sqrt(k + 1)
        slope_after = (u * slope + value - np.sqrt(k) * slope_before) / np.sqrt(k + 1)
        before, value, slope_before, slope = value, after, slope, slope_after
        phi, difference = phi + coeffs[k + 1] * value, difference + coeffs[k + 1] * slope
    return phi, difference


class DeepKernels(NamedTuple):
    """Logarithms of both kernels after 0, 1, ..., depth hidden layers, each of shape (depth + 1, ...)."""

    nngp: Array
    ntk: Array


@partial(jax.jit, static_argnames="depth")
def polynomial_kernels(one_minus_rho: ArrayLike, coeffs: ArrayLike, *, depth: int) -> DeepKernels:
    r"""Pass pairs of unit vectors through the layers of an infinitely wide network without biases.

    With u, v of correlation S: :math:`1 - S' = \frac12 E[\phi(u) - \phi(v)]^2` where S > 1/2; elsewhere, with v = S u
    + w, :math:`S' = E \phi\, E \phi(w) + E[\phi(u) (\phi(v) - \phi(w))]`; the tangent kernel :math:`T' = S' + T
    E[\phi'(u) \phi'(v)]`. Costs O(depth N p^3) for N pairs and degree p.
    """
    c = validation.finite("coeffs", coeffs, ndim=1)
    delta = validation.nonnegative("one_minus_rho", one_minus_rho)
    nodes, weights = np.polynomial.hermite_e.hermegauss(c.size + 1)
    weights = weights / weights.sum()
    x, y = jnp.asarray(nodes)[:, None], jnp.asarray(nodes)
    both = jnp.asarray(weights[:, None] * weights)

    def mean(values: Array) -> Array:
        return jnp.sum(both * values, axis=(-2, -1))

    def close(delta: Array) -> Array:
        d = delta[..., None, None]
        a, b = jnp.sqrt(1 - d / 2) * x, jnp.sqrt(d / 2) * y
        return delta * mean((y * _with_difference(a + b, a - b, c)[1]) ** 2)

    phi = hermite_activation(x, c)
    average = mean(phi * jnp.ones_like(y))
    average = jnp.where(jnp.abs(average) < CENTRED, 0.0, average)

    def far(log_s: Array) -> Array:
        s = jnp.exp(log_s)[..., None, None]
        w = jnp.sqrt((1 - s) * (1 + s)) * y
        alone, difference = _with_difference(s * x + w, w, c)
        gain = mean(phi * x * difference)
        constant = average * mean(jnp.broadcast_to(alone, difference.shape))
        centred = log_s + jnp.log(jnp.abs(gain))
        return jnp.where(average == 0, centred, jnp.log(jnp.abs(constant + jnp.exp(log_s) * gain)))

    def slope(delta: Array, log_s: Array) -> Array:
        d = delta[..., None, None]
        half = jnp.sqrt(jnp.clip(0.5 * (1 + jnp.exp(log_s)), 0.5, 1.0))[..., None, None]
        a, b = half * x, jnp.sqrt(d / 2) * y
        one, two = (_with_difference(z, z, c)[1] for z in (a + b, a - b))
        return jnp.log(jnp.abs(mean(one * two)))

    def layer(state: tuple[Array, Array, Array], _: None) -> tuple[tuple[Array, Array, Array], tuple[Array, Array]]:
        delta, log_s, log_t = state
        near = log_s > -jnp.log(2.0)
        lost = close(delta)
        keeps = near & (lost < 0.5)
        log_next = jnp.where(keeps, jnp.log1p(-jnp.where(keeps, lost, 0.0)), far(log_s))
        log_t = jnp.logaddexp(log_next, log_t + slope(delta, log_s))
        delta = jnp.where(keeps, lost, -jnp.expm1(log_next))
        return (delta, log_next, log_t), (log_next, log_t)

    start = jnp.log1p(-delta)
    _, (nngp, ntk) = jax.lax.scan(layer, (delta, start, start), None, length=depth)
    return DeepKernels(jnp.concatenate([start[None], nngp]), jnp.concatenate([start[None], ntk]))


def monomial_kernels(rho: Fraction, power: int, depth: int) -> list[Fraction]:
    """Tangent kernels of networks with 0, ..., depth hidden layers and one Hermite polynomial, in exact arithmetic.

    Means over the two Gaussians are taken term by term, from the moments 1, 0, 1, 0, 3, ... of each.
    """
    x, y, r, w = sympy.symbols("x y r w")
    bare = sum(
        (-1) ** m
        * sympy.factorial(power)
        / (sympy.factorial(m) * sympy.factorial(power - 2 * m) * 2**m)
        * x ** (power - 2 * m)
        for m in range(power // 2 + 1)
    )
    norm = sympy.factorial(power)

    def mean(factor: sympy.Expr) -> sympy.Poly:
        expanded = sympy.Poly(sympy.expand(factor * factor.subs(x, r * x + w * y)), x, y, w)
        terms = [
            coefficient * sympy.factorial2(a - 1) * sympy.factorial2(b - 1) * (1 - r**2) ** (e // 2)
            for (a, b, e), coefficient in expanded.terms()
            if a % 2 == 0 and b % 2 == 0
        ]
        return sympy.Poly(sympy.expand(sum(terms) / norm), r)

    value, slope = mean(bare), mean(sympy.diff(bare, x))
    s = t = sympy.Rational(rho.numerator, rho.denominator)
    found = [rho]
    for _ in range(depth):
        s, t = value.eval(s), value.eval(s) + t * slope.eval(s)
        found.append(Fraction(int(t.p), int(t.q)))
    return found


class Arc(NamedTuple):
    """Points at angles in [0, pi / 2] of the circle, draws of their noisy labels, and test points with better ones."""

    angles: Array  # (n,)
    labels: Array  # (draws, n)
    test_angles: Array  # (n_test,)
    better: Array  # (n_test,)


def labelled_arc(key: Array, *, n: int, n_test: int, draws: int, waves: float, noise: float) -> Arc:
    """Draw n points uniformly; labels are the sign of sin(waves theta), each flipped with probability ``noise``."""
    for_angle, for_flip = jax.random.split(key)
    angles = jax.random.uniform(for_angle, (n,), maxval=jnp.pi / 2)
    flips = jax.random.bernoulli(for_flip, noise, (draws, n))
    test = (jnp.arange(n_test) + 0.5) * jnp.pi / (2 * n_test)
    labels = jnp.sign(jnp.sin(waves * angles)) * jnp.where(flips, -1.0, 1.0)
    return Arc(angles, labels, test, jnp.sign(jnp.sin(waves * test)))


def separation(one: Array, two: Array) -> Array:
    """Return 1 - cos of the angles between all points of two sets, (M, N)."""
    return 2 * jnp.sin((one[:, None] - two) / 2) ** 2


def nearest_label(one_minus_rho: Array, labels: Array) -> Array:
    """Return the labels (..., M) of the points nearest to M others, from labels (..., N) and distances (M, N)."""
    return labels[..., jnp.argmin(one_minus_rho, axis=1)]


def weighted_vote(log_weights: Array, labels: Array) -> Array:
    """Return sums (..., M) of labels (..., N) with weights (M, N), over each row's largest weight."""
    return labels @ jnp.exp(log_weights - jnp.max(log_weights, axis=1, keepdims=True)).T


def regression_vote(test: Array, train: Array, labels: Array) -> Array:
    """Kernel regression from logarithms of both kernel matrices, (M, N) and (N, N) with a constant diagonal."""
    top = train[0, 0]
    return jnp.exp(test - top) @ jnp.linalg.solve(jnp.exp(train - top), labels)
