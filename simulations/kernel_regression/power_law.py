"""Kernel regression on power laws at finite n, by brute force: sums term by term, bisection, a search over ridges."""

from typing import NamedTuple

import numpy as np
from numba import njit

from simulations import validation

_HEAD = 20_000


class TunedRisk(NamedTuple):
    """Train over test risk at the best ridge, and the noiseless ridgeless risk, in units of which noise is given."""

    fitting_ratio: float
    ridgeless: float


def tuned_power_law(alpha: float, beta: float, noise_rel: float, n: float) -> TunedRisk:
    r"""Tune the ridge of kernel regression with eigenvalues i^-alpha and squared coefficients i^-beta for all i.

    Every mode is shrunk by :math:`\lambda / (\lambda + \kappa)`; with :math:`\kappa` as the variable the ridge
    :math:`\kappa (n - \sum_i \lambda_i / (\lambda_i + \kappa))` is explicit. Sums are taken over 20000 modes and by
    Simpson's rule in the logarithm of the index beyond. Least risks are found by golden sections.
    """
    for name, value in (("alpha", alpha), ("beta", beta), ("n", n)):
        validation.positive(name, value, ndim=0)
    return TunedRisk(*_tuned(float(alpha), float(beta), float(noise_rel), float(n)))


def interpolation_loss(alpha: float, n: float) -> float:
    r"""Bisect for the :math:`\kappa` at which eigenvalues i^-alpha have learnabilities of sum n; returns n kappa."""
    for name, value in (("alpha", alpha), ("n", n)):
        validation.positive(name, value, ndim=0)
    return float(n * np.exp(_ridgeless(float(alpha), float(alpha), float(n))))


@njit(cache=True)
def _sums(log_kappa, alpha, beta):
    """Sum learnabilities, their squares, and the signal that is left."""
    kappa = np.exp(log_kappa)
    z = q = bias = 0.0
    for i in range(_HEAD, 0, -1):
        kept = 1.0 / (1.0 + kappa * float(i) ** alpha)
        z += kept
        q += kept * kept
        bias += (1.0 - kept) ** 2 * float(i) ** -beta
    # Euler and Maclaurin from the middle of the next gap: the integral over i > head + 1/2, and a first correction
    start, steps = np.log(_HEAD + 0.5), 4000
    reach = max(60.0 / min(alpha - 1.0, beta - 1.0), 40.0)
    width = reach / steps
    for j in range(steps + 1):
        u = start + j * width
        weight = width / 3.0 * (1.0 if j in (0, steps) else (4.0 if j % 2 else 2.0))
        kept = 1.0 / (1.0 + np.exp(log_kappa + alpha * u))
        z += weight * kept * np.exp(u)
        q += weight * kept * kept * np.exp(u)
        bias += weight * (1.0 - kept) ** 2 * np.exp((1.0 - beta) * u)
    return z, q, bias


@njit(cache=True)
def _risks(log_kappa, alpha, beta, noise, n):
    z, q, bias = _sums(log_kappa, alpha, beta)
    return n / (n - q) * (bias + noise), 1.0 - z / n


@njit(cache=True)
def _ridgeless(alpha, beta, n):
    low, high = -alpha * np.log(4 * n + 4.0), 0.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        if _sums(middle, alpha, beta)[0] > n:
            low = middle
        else:
            high = middle
    return high


@njit(cache=True)
def _tuned(alpha, beta, noise_rel, n):
    high = _ridgeless(alpha, beta, n)
    ridgeless = _risks(high, alpha, beta, 0.0, n)[0]
    noise = noise_rel * ridgeless
    golden = 0.5 * (np.sqrt(5.0) - 1.0)
    left, right = high, high + 12.0
    a, b = right - golden * (right - left), left + golden * (right - left)
    at_a, at_b = _risks(a, alpha, beta, noise, n)[0], _risks(b, alpha, beta, noise, n)[0]
    for _ in range(60):
        if at_a < at_b:
            right, b, at_b = b, a, at_a
            a = right - golden * (right - left)
            at_a = _risks(a, alpha, beta, noise, n)[0]
        else:
            left, a, at_a = a, b, at_b
            b = left + golden * (right - left)
            at_b = _risks(b, alpha, beta, noise, n)[0]
    ratio = max(_risks(0.5 * (left + right), alpha, beta, noise, n)[1], 0.0)
    return ratio**2, ridgeless
