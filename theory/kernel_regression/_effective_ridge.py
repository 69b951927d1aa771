"""The effective ridge of n samples and k random features: its equation, solved at many points at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.kernel_regression._sums import Modes, Spectrum, Sums
from theory.validation import nonnegative, positive, same_shape

Array = NDArray[np.float64]

_RESIDUAL = 1e-12
_MAX_STEPS = 200


class Root(NamedTuple):
    """log gamma, and the gaps n - z and (k - z) / k, neither by subtraction."""

    t: Array
    samples: Array
    features: Array


def learnable_modes(
    eigenvalues: ArrayLike, coefficients_sq: ArrayLike, multiplicities: ArrayLike | None
) -> tuple[Spectrum, float]:
    """Return the modes that can be learnt, and the signal in those that cannot."""
    values = nonnegative("eigenvalues", eigenvalues, ndim=1)
    signal = same_shape(
        "coefficients_sq", nonnegative("coefficients_sq", coefficients_sq, ndim=1), "eigenvalues", values
    )
    often = np.ones_like(values)
    if multiplicities is not None:
        often = positive("multiplicities", multiplicities, ndim=1)
        same_shape("multiplicities", often, "eigenvalues", values)
    kept = values > 0
    if not kept.any():
        raise ValueError("eigenvalues must include a positive one")
    return Spectrum(values[kept], often[kept], signal[kept]), float(often[~kept] @ signal[~kept])


def broadcast_sizes(**sizes: ArrayLike) -> list[Array]:
    """Check sizes and ridges by their names, and broadcast them against each other."""
    checked = []
    for name, value in sizes.items():
        if name == "k":
            array = np.asarray(value, dtype=float)
            positive(name, np.where(np.isposinf(array), 1.0, array))
        elif name == "n":
            array = positive(name, value)
        else:
            array = nonnegative(name, value)
        checked.append(array)
    return [np.array(part) for part in np.broadcast_arrays(*checked)]


def solve_root(sums: Sums, spectrum: Modes, n: Array, k: Array, ridge: Array) -> Root:
    """Solve for log gamma by safeguarded Newton steps on log(z + g), which falls with slope between -1 and 0."""
    m, large = np.minimum(n, k), np.maximum(n, k)
    lost = (ridge == 0) & (spectrum.modes <= m)  # all modes fit exactly
    with np.errstate(divide="ignore"):
        # at ridge / n the gap alone is min(n, k)
        low = np.where(lost, 0.0, np.log(np.maximum(ridge / n, spectrum.ridge_below(m))))
    finite_k = np.where(np.isinf(k), 1.0, k)
    root = (np.sqrt(ridge * finite_k) + np.sqrt(ridge * finite_k + 4 * m * spectrum.trace)) / (2 * m)
    high = np.where(lost, 0.0, np.log(np.where(np.isinf(k), (spectrum.trace + ridge) / m, root**2)))
    low, high = low - 1e-9, high + 1e-9  # rounding
    t = (0.5 * (low + high)).ravel()
    low, high = low.ravel(), high.ravel()
    m_, n_, k_, ridge_ = (np.ravel(part) for part in (m, n, k, ridge))
    active = np.flatnonzero(~lost.ravel())
    for _ in range(_MAX_STEPS):
        if not active.size:
            break
        now = t[active]
        z, s = sums(now, 2)
        gap, slope = _gap(np.exp(now), m_[active], n_[active], k_[active], ridge_[active])
        error = np.log((z + gap) / m_[active])
        step = error * (z + gap) / (s + slope)
        low[active] = np.where(error >= 0, now, low[active])
        high[active] = np.where(error <= 0, now, high[active])
        new = now + step
        inside = (new > low[active]) & (new < high[active])
        new = np.where(inside, new, 0.5 * (low[active] + high[active]))
        t[active] = new
        tiny = 4 * np.finfo(float).eps * np.maximum(np.abs(new), 1)
        active = active[(np.abs(new - now) > tiny) & (high[active] - low[active] > tiny)]
    root_t = np.reshape(t, n.shape)
    z = sums(root_t, 1)[0]
    gap, _ = _gap(np.exp(root_t), m, n, k, ridge)
    residual = np.where(lost, 0.0, np.abs(z + gap - m) / m)
    if not (residual <= _RESIDUAL).all():
        raise RuntimeError(f"the effective ridge was found to {np.max(residual):.1e} only, not to {_RESIDUAL:.0e}")
    root_t = np.where(lost, -np.inf, root_t)
    gap = np.where(lost, m - spectrum.modes, gap)
    other = gap + np.where(np.isinf(large), 0.0, large - m)
    samples = np.where(n <= k, gap, other)
    with np.errstate(invalid="ignore"):
        features = np.where(np.isinf(k), 1.0, np.where(n <= k, other, gap) / k)
    return Root(root_t, samples, features)


def _gap(gamma: Array, m: Array, n: Array, k: Array, ridge: Array) -> tuple[Array, Array]:
    r"""Return g = min(n, k) - z, the root of g (g + |n - k|) = k delta / gamma, and -dg / dt."""
    with np.errstate(invalid="ignore"):
        apart = np.where(np.isinf(k), 1.0, np.abs(n - k) / k)
    e = ridge / gamma
    root = np.sqrt(apart**2 + 4 * e / k)
    with np.errstate(invalid="ignore"):
        gap = np.where(e > 0, 2 * e / (apart + root), 0.0)
        slope = np.where(e > 0, e / root, 0.0)
    return gap, slope
