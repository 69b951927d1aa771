"""What one would write instead of a solver of theory.deep_linear: the formula as printed, or a library's function."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import fractional_matrix_power
from scipy.optimize import brentq
from scipy.special import hyp2f1

Array = NDArray[np.float64]


def printed_sigmoid(t: Array, s: Array, u0: Array, tau: Array, input_eigenvalue: Array) -> Array:
    """Strength of a two-layer mode with a growing exponential."""
    growth = np.exp(2 * s * t / tau)
    return s / input_eigenvalue * growth / (growth - 1 + s / (input_eigenvalue * u0))


def inverted_hypergeometric(t: float, s: float, u0: float, tau: float, input_eigenvalue: float, depth: int) -> float:
    """Strength of a deep mode by bracketing the time, up to where SciPy's function holds."""
    end = s / input_eigenvalue
    scaled = tau * input_eigenvalue ** (1 - 2 / depth)

    def late(u: float) -> float:
        return float(hypergeometric(input_eigenvalue * u, s, input_eigenvalue * u0, scaled, depth=depth)) - t

    return brentq(late, u0, end * (1 - 1e-11), xtol=1e-300, rtol=1e-15)


def printed_relaxation(u: Array, s: Array, u0: Array, tau: Array) -> Array:
    """Time of a mode of one layer."""
    return tau * np.log((s - u0) / (s - u))


def printed_logarithm(u: Array, s: Array, u0: Array, tau: Array) -> Array:
    """Time of a two-layer mode."""
    return tau / (2 * s) * np.log(u * (s - u0) / (u0 * (s - u)))


def hypergeometric(u: Any, s: Any, u0: Any, tau: Any, depth: int) -> Any:
    """Time of a deep mode as the difference of two hypergeometric functions."""
    q = 2 - 2 / depth

    def antiderivative(v: Any) -> Any:
        return v ** (1 - q) / ((1 - q) * s) * hyp2f1(1, 1 - q, 2 - q, v / s)

    return tau / depth * (antiderivative(u) - antiderivative(u0))


def printed_infinite_depth(u: Array, s: Array, u0: Array, tau: Array) -> Array:
    """Time of a mode of infinite depth."""
    return tau * (np.log(u * (s - u0) / (u0 * (s - u))) / s**2 + 1 / (s * u0) - 1 / (s * u))


def printed_hyperbola(t: Array, s: Array, a0: Array, b0: Array, tau: Array) -> tuple[Array, Array]:
    """Both layers of an unbalanced mode, through the square of their sum."""
    c = a0**2 - b0**2
    k = np.sqrt(c**2 + 4 * s**2)
    z = (a0 + b0) ** 2
    fraction = (z - 2 * s - k) / (z - 2 * s + k) * np.exp(-k * t / tau)
    p = np.sign(a0 + b0) * np.sqrt((2 * s + k - (2 * s - k) * fraction) / (1 - fraction))
    return (p + c / p) / 2, (p - c / p) / 2


def printed_angles(u: Array, s: Array, u0: Array, tau: Array, invariant: Array) -> Array:
    """Time of an unbalanced mode in the angle of its hyperbola."""
    c = np.abs(invariant)
    k = np.sqrt(c**2 + 4 * s**2)

    def antiderivative(v: Array) -> Array:
        lever = c + 2 * s * np.tanh(np.arcsinh(2 * v / c) / 2)
        return np.log((k + lever) / (k - lever))

    return tau / k * (antiderivative(u) - antiderivative(u0))


def printed_predictor_time(p: float, p0: float, weight_decay: float, aug_var: float, tau: float) -> float:
    """Sum of three logarithms over the roots, below the critical decay."""
    kappa = 1 + aug_var
    root = np.sqrt(tau**2 - 4 * weight_decay * kappa)
    lower, upper = (tau - root) / (2 * kappa), (tau + root) / (2 * kappa)

    def antiderivative(q: float) -> float:
        outer = np.log(abs(q - lower)) / (lower * (lower - upper)) + np.log(abs(q - upper)) / (upper * (upper - lower))
        return np.log(abs(q)) / (lower * upper) + outer

    return -(antiderivative(p) - antiderivative(p0)) / kappa


def printed_curvature(a: Array, s: Array, depth: int) -> tuple[Array, Array]:
    """Hessian eigenvalues from the diagonal entry g and the other entry h."""
    g, h = a ** (2 * depth - 2), 2 * a ** (2 * depth - 2) - s * a ** (depth - 2)
    return g - h, g + (depth - 1) * h


def printed_riccati(w1: Array, w2: Array, sigma: Array, t: float, imbalance: float) -> Array:
    """Gram matrix of the two-layer flow with the inverse of F, which exists for as many inputs as outputs."""
    n_out, n_in = sigma.shape
    f = np.block([[-imbalance / 2 * np.eye(n_in), sigma.T], [sigma, imbalance / 2 * np.eye(n_out)]])
    rates, vectors = np.linalg.eigh(f)
    q = np.concatenate([w1.T, w2])
    grown = (vectors * np.exp(rates * t)) @ vectors.T
    inner = np.eye(q.shape[1]) + 0.5 * q.T @ (np.linalg.inv(f) @ (grown @ grown - np.eye(f.shape[0]))) @ q
    return grown @ q @ np.linalg.solve(inner, q.T @ grown)


def printed_velocity(w: Array, g: Array, depth: float) -> Array:
    """Velocity of the product of the layers by fractional matrix powers; a depth that is not finite has no sum."""
    if depth == np.inf:
        raise ValueError("the sum over infinitely many layers must be taken otherwise")
    left: Callable[[float], Array] = partial(fractional_matrix_power, w @ w.T)
    right: Callable[[float], Array] = partial(fractional_matrix_power, w.T @ w)
    return sum(
        (left((depth - j) / depth) @ g @ right((j - 1) / depth) for j in range(1, int(depth) + 1)), np.zeros(g.shape)
    ).real


def hermite(q: Any, gain: Any, derivative: bool) -> Any:
    """E tanh^2 or E sech^4 times the squared gain, by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    y = np.sqrt(np.asarray(q))[..., None] * nodes
    values = np.cosh(y) ** -4.0 if derivative else np.tanh(y) ** 2
    return gain**2 * (values @ weights) / np.sqrt(2 * np.pi)


def hermite_fixed_point(gain: float) -> float:
    """Stationary squared length by bracketing it as it is stated."""
    return brentq(lambda q: q - float(hermite(q, gain, derivative=False)), 1e-13, gain**2 + 1, xtol=1e-300, rtol=1e-15)
