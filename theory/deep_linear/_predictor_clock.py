r"""Closed integrals of :math:`\dot p = (p^2 + M)(\tau - \kappa p) - \eta p`, with M = 0 or with eta = 0."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def time_with_decay(p: Array, p0: Array, *, weight_decay: float, kappa: float, tau: float) -> Array:
    r"""Integrate :math:`-dp / (\kappa p (p - p_-)(p - p_+))` from p0 to p.

    The integral is the divided difference of :math:`h(x) = \ln|1 - x/p| / x` between the roots, over kappa: free of the
    cancellation that logarithms of p and p - p_- suffer when decay is weak. Complex roots need no case of their own.
    """
    middle, gap = 0.5 * tau / kappa, tau**2 - 4.0 * weight_decay * kappa
    half = 0.5 * np.sqrt(abs(gap)) / kappa
    upper = middle + half
    lower = weight_decay / (kappa * upper)
    _require_joined(p, p0, [0.0, lower, upper] if gap > 0.0 else [0.0, middle] if gap == 0.0 else [0.0])

    def antiderivative(q: Array) -> Array:
        if gap > 0.0:
            return (_log_ratio(upper, q) / upper - _log_ratio(lower, q) / lower) / (2.0 * half)
        if gap == 0.0:
            return -(_log_ratio(middle, q) / middle + 1.0 / (q - middle)) / middle
        root = complex(middle, half)
        return np.imag(np.log1p(-root / q) / root) / half

    return np.asarray((antiderivative(p0) - antiderivative(p)) / kappa)


def time_without_decay(p: Array, p0: Array, *, product: float, kappa: float, tau: float) -> Array:
    r"""Integrate :math:`dp / ((p^2 + M)(\tau - \kappa p))` from p0 to p, for ``product`` M of either sign."""
    target, m = tau / kappa, float(np.sqrt(abs(product)))
    _require_joined(p, p0, [target] if product > 0.0 else [-m, m, target])
    if product < 0.0 and ((np.abs(p) < m) | (np.abs(p0) < m)).any():
        raise ValueError(f"p and p0 must be at least sqrt(-alpha_p invariant) = {m:g} in size, or s would be negative")
    if product < 0.0 and m == target:
        x, x0 = p - m, p0 - m
        logs = np.log(x / x0) - np.log((p + m) / (p0 + m))
        return np.asarray(((1.0 / x - 1.0 / x0) + logs / (2.0 * m)) / (2.0 * m * kappa))
    logs = 0.5 * np.log((p**2 + product) / (p0**2 + product)) - np.log((tau - kappa * p) / (tau - kappa * p0))
    return np.asarray(
        (kappa * logs + tau * _inverse_square_integral(p, p0, product, m)) / (tau**2 + kappa**2 * product)
    )


def _inverse_square_integral(p: Array, p0: Array, product: float, m: float) -> Array:
    """Integrate 1 / (p^2 + M) by addition theorems, so that nothing cancels as M vanishes."""
    if product > 0.0:
        return np.arctan2(m * (p - p0), product + p * p0) / m
    if product == 0.0:
        return (p - p0) / (p * p0)
    small = m * (p - p0) / (p * p0 + product)
    # near an end of its range artanh has lost what the two logarithms still hold
    by_logs = 0.5 * np.log((p - m) / (p0 - m) * ((p0 + m) / (p + m)))
    return np.where(np.abs(small) < 0.5, np.arctanh(np.clip(small, -0.5, 0.5)), by_logs) / m


def _log_ratio(root: float, q: Array) -> Array:
    """Return ln|1 - root / q| without losing a small ratio."""
    ratio = root / q
    return np.where(ratio < 0.5, np.log1p(-np.minimum(ratio, 0.5)), np.log(np.abs(q - root) / np.abs(q)))


def _require_joined(p: Array, p0: Array, fixed: list[float]) -> None:
    for point in fixed:
        apart = ~(np.sign(p - point) * np.sign(p0 - point) > 0.0)
        if apart.any():
            raise ValueError(
                f"p must be on the same side of the fixed point {point:g} as p0 = {p0[apart].flat[0]:g}, "
                f"and neither on it; got {p[apart].flat[0]:g}"
            )
