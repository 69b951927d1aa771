r"""Kernel regression on power laws: how much of the noise to fit, in the limit of many samples, and at any number.

Eigenvalues are :math:`i^{-\alpha}` and squared coefficients :math:`i^{-\beta}`, for all i = 1, 2, ...
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import zeta

from theory.kernel_regression._effective_ridge import broadcast_sizes, solve_root
from theory.kernel_regression._sums import DirectSums, Spectrum
from theory.kernel_regression.eigenframework import EigenframeworkResult, _result
from theory.validation import interval, nonnegative, scalar

Array = NDArray[np.float64]

_TAIL = 20.0  # gamma over eigenvalue from which on sums are expanded
_TERMS = 14  # of the expansion, 20^-14 being below rounding


def powerlaw_fitting_ratio(*, alpha: ArrayLike, beta: ArrayLike, noise_rel: ArrayLike = 0.0) -> Array:
    r"""Ratio of train to test risk at the optimal ridge, as n goes to infinity.

    The noise variance is ``noise_rel`` times the test risk of ridgeless regression without noise. The ratio is
    :math:`r^2`, where r = 0 if the left side is at most zero there, and else the root in (0, 1) of

    .. math:: \alpha - \beta - (\alpha - 1) \beta r + \alpha (\alpha - 1)\, \nu (1 - r)^\beta = 0 .

    Parameters
    ----------
    alpha : array_like
        Exponent of eigenvalues, > 1.
    beta : array_like
        Exponent of squared coefficients, in (1, 2 alpha + 1).
    noise_rel : array_like
        nu >= 0.

    Returns
    -------
    ndarray
        Of the broadcast shape, in [0, 1). Accurate to rounding. Costs O(1).

    Raises
    ------
    ValueError
        If an exponent or the noise is out of range.

    References
    ----------
    Simon et al. (2023, arXiv:2311.14646), theorem 2 and its corollary.

    Examples
    --------
    >>> round(float(powerlaw_fitting_ratio(alpha=1.6, beta=1.3)), 4)  # ((alpha - beta) / ((alpha - 1) beta))^2
    0.1479
    """
    a, b, noise = np.broadcast_arrays(*_exponents(alpha, beta), nonnegative("noise_rel", noise_rel))

    def left(r: Array) -> Array:
        return a - b - (a - 1) * b * r + a * (a - 1) * noise * (1 - r) ** b

    r = np.zeros(a.shape)
    interpolates = left(r) <= 0
    for _ in range(100):  # the left side falls and is convex: Newton's steps from zero never overshoot
        slope = (a - 1) * b * (1 + a * noise * (1 - r) ** (b - 1))
        step = np.where(interpolates, 0.0, left(r) / slope)
        r = r + step
        if (np.abs(step) <= 1e-16).all():
            break
    return (r**2)[()]


def powerlaw_critical_noise(*, alpha: ArrayLike, beta: ArrayLike) -> Array:
    r"""Relative noise up to which interpolation is optimal, :math:`(\beta - \alpha) / (\alpha (\alpha - 1))`.

    Negative where :math:`\beta < \alpha`: then some ridge is better even without noise. Parameters and errors as for
    `powerlaw_fitting_ratio`.

    References
    ----------
    Simon et al. (2023, arXiv:2311.14646), corollary of theorem 2.

    Examples
    --------
    >>> float(powerlaw_critical_noise(alpha=1.5, beta=3.0))
    2.0
    """
    a, b = _exponents(alpha, beta)
    return ((b - a) / (a * (a - 1)))[()]


def powerlaw_relative_risk(
    fitting_ratio: ArrayLike, *, alpha: ArrayLike, beta: ArrayLike, noise_rel: ArrayLike = 0.0
) -> Array:
    r"""Test risk at a ratio of train to test risk, over that of ridgeless regression without noise, for n to infinity.

    .. math:: \frac{(1 - r)^{1 - \beta} + \alpha \nu}{1 + (\alpha - 1) r}, \qquad r^2 = \text{train} / \text{test} .

    Parameters
    ----------
    fitting_ratio : array_like
        train / test, in [0, 1).
    alpha, beta, noise_rel : array_like
        As for `powerlaw_fitting_ratio`; all broadcast.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Simon et al. (2023, arXiv:2311.14646), theorem 2.

    Examples
    --------
    >>> float(powerlaw_relative_risk(0.25, alpha=2.0, beta=2.0, noise_rel=0.5))
    2.0
    """
    a, b = _exponents(alpha, beta)
    noise = nonnegative("noise_rel", noise_rel)
    ratio = interval("fitting_ratio", fitting_ratio, 0.0, 1.0)
    if (ratio == 1).any():
        raise ValueError("fitting_ratio must be below 1; got 1")
    r = np.sqrt(ratio)
    return (((1 - r) ** (1 - b) + a * noise) / (1 + (a - 1) * r))[()]


def powerlaw_krr_risk(
    *, alpha: float, beta: float, n: ArrayLike, ridge: ArrayLike = 0.0, noise_var: ArrayLike = 0.0
) -> EigenframeworkResult:
    r"""Risks of kernel ridge regression at finite n, with the whole infinite spectrum.

    Modes whose eigenvalue is a twentieth of :math:`\gamma` or less are summed by expanding in their ratio, in Hurwitz
    zeta functions. A truncated spectrum would not do: for :math:`\beta < 2` the lost signal falls as
    :math:`M^{1 - \beta}` only. Accurate to about 1e-13. Costs O(P m) for P points, with m of the order of the largest
    n (times :math:`20^{1/\alpha}`).

    Parameters
    ----------
    alpha : float
        Exponent of eigenvalues, > 1.
    beta : float
        Exponent of squared coefficients, in (1, 2 alpha + 1).
    n, ridge, noise_var : array_like
        As for `krr_risk`.

    Returns
    -------
    EigenframeworkResult

    Raises
    ------
    ValueError, RuntimeError
        As `krr_risk` does.

    References
    ----------
    Derived here from Simon et al. (2023, arXiv:2311.14646).

    Examples
    --------
    >>> result = powerlaw_krr_risk(alpha=1.7, beta=1.7, n=400)
    >>> bool(np.isclose(result.test, 400 * result.gamma))  # coefficients like eigenvalues
    True
    """
    a, b = (float(part) for part in _exponents(scalar("alpha", alpha), scalar("beta", beta)))
    samples, delta, noise = broadcast_sizes(n=n, ridge=ridge, noise_var=noise_var)
    k = np.full_like(samples, np.inf)
    sums = _PowerLaw(a, b)
    return _result(sums, solve_root(sums, sums, samples, k, delta), samples, k, noise, 0.0)


class _PowerLaw:
    """Sums over infinitely many modes: directly where eigenvalues count, by expansion beyond."""

    modes = np.inf

    def __init__(self, alpha: float, beta: float) -> None:
        self._alpha, self._beta = alpha, beta
        self.trace = float(zeta(alpha))

    def ridge_below(self, degrees: Array) -> Array:
        """Return a ridge that 2 n + 1 eigenvalues exceed, half of each counting in z."""
        return (2 * degrees + 2) ** -self._alpha

    def __call__(self, t: Array, parts: int = 5) -> Array:
        """Evaluate at t, any shape."""
        flat = np.ravel(t)
        if not flat.size:
            return np.empty((parts, *np.shape(t)))
        head = int(np.ceil((_TAIL * np.exp(-flat.min())) ** (1 / self._alpha)))
        i = np.arange(1, head + 1.0)
        found = DirectSums(Spectrum(i**-self._alpha, np.ones(head), i**-self._beta))(flat)
        return (found + self._tail(flat, head))[:parts].reshape(parts, *np.shape(t))

    def _tail(self, t: Array, head: int) -> Array:
        r"""Expand sums over i > head in powers j of lambda / gamma, with zeta functions as coefficients."""
        j = np.arange(_TERMS)[:, None]
        with np.errstate(divide="ignore"):  # where zeta underflows so do its terms
            modes = np.exp(np.log(zeta((j + 1) * self._alpha, head + 1)) - (j + 1) * t)
            signal = np.exp(np.log(zeta(self._beta + j * self._alpha, head + 1)) - j * t)
        sign = (-1.0) ** j
        z, s, q = (modes * sign * factor for factor in (1, j + 1, -j))
        b, c = signal * sign * (j + 1), -signal * sign * j
        return np.stack([part.sum(axis=0) for part in (z, s, q, b, c)])


def _exponents(alpha: ArrayLike, beta: ArrayLike) -> tuple[Array, Array]:
    a = interval("alpha", alpha, 1.0, np.inf, closed=False)
    b = interval("beta", beta, 1.0, np.inf, closed=False)
    if not (b < 2 * a + 1).all():
        raise ValueError(f"beta must be below 2 alpha + 1; got alpha {alpha!r}, beta {beta!r}")
    return a, b
