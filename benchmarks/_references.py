"""Reference values in many digits, by formulas and methods other than the solvers'.

Every function reads a float as the exact number that it is and computes at the precision that the caller has set in
`mpmath`; 60 digits leave at least 30 correct ones over the inputs of the benchmarks.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np

Number = Any
Matrix = Any


def mode_strength(
    t: Number, *, s: Number, u0: Number, depth: float, tau: Number = 1, input_eigenvalue: Number = 1
) -> Number:
    """Strength of a balanced mode: written out for depths 1 and 2, by Newton's method in the logit beyond."""
    t, s, u0, tau, eigenvalue = map(mp.mpf, (t, s, u0, tau, input_eigenvalue))
    end = s / eigenvalue
    if depth == 1:
        return end + (u0 - end) * mp.exp(-eigenvalue * t / tau)
    if depth == 2:
        return s * u0 / (eigenvalue * u0 + (s - eigenvalue * u0) * mp.exp(-2 * s * t / tau))
    layers, power = (1, mp.mpf(1)) if depth == mp.inf else (depth, 1 - mp.mpf(2) / depth)
    clock = layers * end**power * s * t / tau
    return end * _fraction_at(_clock(u0 / end, 1 - u0 / end, depth) + clock, depth)


def mode_time(u: Number, *, s: Number, u0: Number, depth: float, tau: Number = 1) -> Number:
    """Time from u0 to u on white inputs; for infinite depth the limit of depth times that."""
    u, s, u0, tau = map(mp.mpf, (u, s, u0, tau))
    if depth == 1:
        return tau * mp.log((s - u0) / (s - u))
    dimensionless = _clock(u / s, 1 - u / s, depth) - _clock(u0 / s, 1 - u0 / s, depth)
    power = mp.mpf(2) if depth == mp.inf else 2 - mp.mpf(2) / depth
    return tau * dimensionless / (s**power * (1 if depth == mp.inf else depth))


def unbalanced_modes(t: Number, *, s: Number, a0: Number, b0: Number, tau: Number = 1) -> list[Number]:
    """Both layers of a two-layer mode, from the Riccati solution for (a + b)^2 in its textbook form."""
    t, s, a0, b0, tau = map(mp.mpf, (t, s, a0, b0, tau))
    invariant = a0**2 - b0**2
    k = mp.sqrt(invariant**2 + 4 * s**2)
    start = (a0 + b0) ** 2
    fraction = (start - 2 * s - k) / (start - 2 * s + k) * mp.exp(-k * t / tau)
    p = mp.sign(a0 + b0) * mp.sqrt((2 * s + k - (2 * s - k) * fraction) / (1 - fraction))
    return [(p + invariant / p) / 2, (p - invariant / p) / 2]


def hyperbolic_time(u: Number, *, s: Number, u0: Number, invariant: Number, tau: Number = 1) -> Number:
    """Time from u0 to u along a hyperbola, as the difference of two logarithms."""
    u, s, u0, c, tau = map(mp.mpf, (u, s, u0, invariant, tau))
    k = mp.sqrt(c**2 + 4 * s**2)

    def antiderivative(v: Number) -> Number:
        return mp.log((c**2 + 4 * s * v + k * mp.sqrt(c**2 + 4 * v**2)) / abs(s - v))

    return tau / k * (antiderivative(u) - antiderivative(u0))


def predictor_time(
    p: Number, *, p0: Number, product: Number = 0, weight_decay: Number = 0, aug_var: Number = 0, tau: Number = 1
) -> Number:
    """Time of a predictor's eigenvalue from p0 to p, by partial fractions over the simple roots of its velocity."""
    p, p0, product, eta, kappa, tau = map(mp.mpf, (p, p0, product, weight_decay, aug_var, tau))
    kappa += 1
    cubic = [-kappa, tau, -(kappa * product + eta), tau * product]
    terms = [
        (mp.log(p - root) - mp.log(p0 - root)) / mp.polyval([3 * cubic[0], 2 * cubic[1], cubic[2]], root)
        for root in mp.polyroots(cubic, maxsteps=500, extraprec=400)
    ]
    return mp.re(mp.fsum(terms))


def riccati(w1: Any, w2: Any, sigma: Any, times: Sequence[float], *, imbalance: float = 0.0) -> list[Matrix]:
    """Gram matrices of the two-layer flow by the printed formula, in enough digits to survive it."""
    n_in, n_out = w1.shape[1], w2.shape[0]
    spread = max(times) * float(np.linalg.norm(sigma, 2) + abs(imbalance))
    with mp.workdps(int(mp.mp.dps + 2.5 * spread)):
        generator = np.block([[-imbalance / 2 * np.eye(n_in), sigma.T], [sigma, imbalance / 2 * np.eye(n_out)]])
        rates, vectors = mp.eigsy(mp.matrix(generator.tolist()))
        start = vectors.T * mp.matrix(np.concatenate([w1.T, w2]).tolist())
        found = []
        for t in map(mp.mpf, times):
            idle = mp.mpf(10) ** (-mp.mp.dps // 2)
            integral = mp.diag([t if abs(w) < idle else mp.expm1(2 * w * t) / (2 * w) for w in rates])
            grown = vectors * mp.diag([mp.exp(w * t) for w in rates]) * start
            found.append(grown * (mp.eye(start.cols) + start.T * integral * start) ** -1 * grown.T)
        return found


def end_to_end_velocity(w: Any, g: Any, *, depth: float) -> Matrix:
    """Sum over the layers of fractional powers of W W^T and W^T W, as printed; the integral for infinite depth."""
    product, gradient = mp.matrix(w.tolist()), mp.matrix(g.tolist())
    left, right = _powers(product * product.T), _powers(product.T * product)
    if depth == mp.inf:
        nodes = _legendre(80, mp.mp.dps)
        terms = (weight * left(1 - x) * gradient * right(x) for x, weight in nodes)
    else:
        below = ((mp.mpf(depth - 1 - j) / depth, mp.mpf(j) / depth) for j in range(int(depth)))
        terms = (left(upper) * gradient * right(lower) for upper, lower in below)
    return sum(terms, mp.zeros(product.rows, product.cols))


def tanh_average(q: Number, *, derivative: bool) -> Number:
    """E tanh^2 or E sech^4 of sqrt(q) z over a standard normal z, by piecewise Gauss-Legendre quadrature."""
    root = mp.sqrt(mp.mpf(q))
    function = (lambda y: mp.sech(y) ** 4) if derivative else (lambda y: mp.tanh(y) ** 2)
    width = mp.sqrt(2 * mp.mp.dps * mp.log(10))
    knots = sorted({*mp.linspace(0, width, 9), *(x for k in range(12) if (x := 2**k / root / 4) < width)})
    return mp.sqrt(2 / mp.pi) * mp.quad(
        lambda z: mp.exp(-(z**2) / 2) * function(root * z), knots, method="gauss-legendre"
    )


def tanh_fixed_point(gain: Number) -> Number:
    """Stationary squared length above gain 1, by the secant method on the ratio of its two sides."""
    g = mp.mpf(gain)
    guess = (g - 1) if g < 1.3 else g * g - 1

    def excess(log_q: Number) -> Number:
        q = mp.exp(log_q)
        return g**2 * tanh_average(q, derivative=False) / q - 1

    logarithm = mp.log(guess)
    return mp.exp(mp.findroot(excess, (logarithm, logarithm + mp.mpf("0.01")), tol=mp.mpf(10) ** (-2 * mp.mp.dps + 24)))


def gaussian_second_moment(n: int, depth: int) -> Number:
    """Second moment of a product of Gaussian matrices, by the two-term recursion factor by factor."""
    x = y = mp.mpf(1)
    for _ in range(depth):
        x, y = x + 2 * y / n**2, x + (1 + mp.mpf(1) / n) * y
    return y


def lyapunov_exponents(n: int) -> list[Number]:
    """Exponents of a product of Gaussian matrices, from the digamma function."""
    return [(mp.log(mp.mpf(2) / n) + mp.digamma(mp.mpf(n - i) / 2)) / 2 for i in range(n)]


def _clock(x: Number, rest: Number, depth: float) -> Number:
    """Antiderivative of x^(2/D - 2) / (1 - x), elementary in the layer strength y = x^(1/D); ``rest`` is 1 - x.

    In y the integrand is D y^(1-D) / (1 - y^D): in partial fractions a power, and a simple pole at each root of unity.
    """
    if depth == 2:
        return mp.log(x / rest)
    if depth == mp.inf:
        return mp.log(x / rest) - 1 / x
    y = mp.root(x, depth)
    # the poles come in conjugate pairs, but for -1, and for 1, next to which 1 - y is had from 1 - x
    total = -mp.log(rest / mp.fsum(y**k for k in range(int(depth))))
    for root, square in _roots_of_unity(int(depth), mp.mp.dps):
        total -= (2 if root.imag else 1) * (square * mp.log(1 - y / root)).real
    return total - mp.mpf(depth) / (depth - 2) * y ** (2 - depth)


@cache
def _roots_of_unity(depth: int, digits: int) -> list[tuple[Number, Number]]:
    """Roots of unity above the real axis, and -1 where it is one, with their squares; kept for each precision."""
    roots = [mp.expjpi(mp.mpf(2 * k) / depth) for k in range(1, depth // 2 + 1)]
    roots = [mp.mpc(-1) if 2 * k == depth else root for k, root in enumerate(roots, start=1)]
    return [(root, root**2) for root in roots]


def _fraction_at(target: Number, depth: float) -> Number:
    """Invert `_clock`; increasing and concave in the logit, it lets Newton's method converge from anywhere."""
    p = mp.mpf(1) if depth == mp.inf else 1 - mp.mpf(2) / depth
    logit = mp.mpf(0)
    if target < -2:
        x = min(mp.mpf("0.5"), (-p * target) ** (-1 / p))
        logit = mp.log(x / (1 - x))
    for _ in range(200):
        x = 1 / (1 + mp.exp(-logit))
        step = (target - _clock(x, 1 / (1 + mp.exp(logit)), depth)) * x**p
        logit += step
        if abs(step) < mp.mpf(10) ** (-mp.mp.dps // 2 - 2):
            return 1 / (1 + mp.exp(-logit))
    raise ArithmeticError(f"no strength found at which the clock shows {mp.nstr(target)}")


def _powers(matrix: Matrix) -> Callable[[Number], Matrix]:
    """Fractional powers of a positive semi-definite matrix; eigenvalues at the level of rounding count as zero."""
    values, vectors = mp.eigsy(matrix)
    floor = max(values) * mp.mpf(10) ** (-mp.mp.dps + 10)

    def power(exponent: Number) -> Matrix:
        if exponent == 0:
            return mp.eye(matrix.rows)
        return vectors * mp.diag([x**exponent if x > floor else 0 for x in values]) * vectors.T

    return power


@cache
def _legendre(nodes: int, digits: int) -> list[tuple[Number, Number]]:
    """Gauss-Legendre nodes and weights on (0, 1), from the Legendre polynomial and its derivative."""
    found = []
    for k in range(1, nodes + 1):
        x = mp.cos(mp.pi * (k - mp.mpf("0.25")) / (nodes + mp.mpf("0.5")))
        for _ in range(7):
            previous, value = mp.mpf(1), x
            for n in range(2, nodes + 1):
                previous, value = value, ((2 * n - 1) * x * value - (n - 1) * previous) / n
            slope = nodes * (previous - x * value) / (1 - x * x)
            x -= value / slope
        found.append(((1 + x) / 2, 1 / ((1 - x * x) * slope**2)))
    return found
