"""The ridge of least test risk, searched along the learning curves of the eigenframework.

After Simon et al. (2023, arXiv:2311.14646).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.kernel_regression._effective_ridge import Root, broadcast_sizes, learnable_modes, solve_root
from theory.kernel_regression._sums import Sums, spectral_sums
from theory.kernel_regression.eigenframework import EigenframeworkResult, _result

Array = NDArray[np.float64]

_GRID = 8  # ridges in e-folds at which a minimum is looked for, a piece of the table each quarter


class OptimalRidge(NamedTuple):
    """The ridge of least test risk, inf where predicting zero is best, and the risks there."""

    ridge: Array
    test: Array
    train: Array


def optimal_ridge(
    eigenvalues: ArrayLike,
    coefficients_sq: ArrayLike,
    *,
    n: ArrayLike,
    k: ArrayLike = np.inf,
    noise_var: ArrayLike = 0.0,
    multiplicities: ArrayLike | None = None,
) -> OptimalRidge:
    r"""Ridge :math:`\delta \ge 0` of least test risk at every (n, k, noise).

    Ridge and risk are explicit functions of :math:`\gamma`, which is searched from its ridgeless value to the point
    where nothing is learnt: by a grid, as the risk may have several minima, and golden sections around its best point.
    The least risk is known to rounding, or to 1e-8 where n or k is just the number of modes, the ridge as well as a
    minimum allows, to about 1e-8 relative.

    Costs as a call of `rf_risk` with some 500 ridges for every point.

    Parameters
    ----------
    eigenvalues, coefficients_sq, n, k, noise_var, multiplicities
        As for `rf_risk`.

    Returns
    -------
    OptimalRidge
        Fields of the shape that n, k and noise_var broadcast to. The ridge is 0 where interpolation is optimal.

    Raises
    ------
    ValueError, RuntimeError
        As `rf_risk` does.

    References
    ----------
    Simon et al. (2023, arXiv:2311.14646).

    Examples
    --------
    >>> best = optimal_ridge([1.0], [1.0], multiplicities=[50], n=100, noise_var=2.0)
    >>> bool(np.isclose(best.ridge, 2.0, rtol=1e-6))  # isotropic: sigma^2 / v^2 in units of the eigenvalue
    True
    """
    spectrum, unlearnable = learnable_modes(eigenvalues, coefficients_sq, multiplicities)
    samples, features, noise = broadcast_sizes(n=n, k=k, noise_var=noise_var)
    sums = spectral_sums(spectrum, 100)
    ridgeless = solve_root(sums, spectrum, samples, features, np.zeros_like(samples))
    least = np.minimum(samples, features)
    nothing = np.log(spectrum.trace / least) + 36.0  # z is 1e-16 of min(n, k) and less
    # with hardly more of n and k than modes, n - z and k - z are known by subtraction down to a point only
    tight = least < (1 + 1e-6) * spectrum.modes
    learnt = np.where(
        tight,
        np.log(1e-8 * spectrum.modes / np.sum(spectrum.multiplicities / spectrum.eigenvalues)),
        np.log(spectrum.eigenvalues.min() / spectrum.modes) - 36.0,
    )
    start = np.where(np.isfinite(ridgeless.t), ridgeless.t, learnt)

    def at(t: Array) -> EigenframeworkResult:
        gaps = Root(t, *_gaps_by_subtraction(sums, t, samples, features))
        return _result(sums, gaps, samples, features, noise, unlearnable)

    points = max(2, int(np.ceil(_GRID * np.max(nothing - start))))
    grid = start + (nothing - start) * np.linspace(0, 1, points).reshape(-1, *[1] * samples.ndim)
    values = np.stack([at(t).test for t in grid[1:]])
    best = np.argmin(values, axis=0) + 1
    low, high = (np.take_along_axis(grid, np.clip(best + d, 0, points - 1)[None], 0)[0] for d in (-1, 1))
    t = _golden(lambda t: at(t).test, low, high)
    found, edge = at(t), _result(sums, ridgeless, samples, features, noise, unlearnable)
    never = spectrum.signal + unlearnable + noise
    ridge = _ridge_at(Root(t, *_gaps_by_subtraction(sums, t, samples, features)))
    choice = np.argmin([edge.test, never, found.test], axis=0)
    return OptimalRidge(
        np.choose(choice, [np.zeros_like(ridge), np.full_like(ridge, np.inf), ridge])[()],
        np.choose(choice, [edge.test, never, found.test])[()],
        np.choose(choice, [edge.train, never, found.train])[()],
    )


def _gaps_by_subtraction(sums: Sums, t: Array, n: Array, k: Array) -> tuple[Array, Array]:
    z = sums(t, 1)[0]
    return np.maximum(n - z, 0.0), np.maximum(1 - z / k, 0.0)


def _ridge_at(root: Root) -> Array:
    return np.exp(root.t) * root.samples * root.features


def _golden(function, low: Array, high: Array) -> Array:
    """Narrow brackets of minima down to 1e-9, all at once."""
    ratio = (np.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(int(np.ceil(np.log(1e-9 / max(np.max(high - low), 1e-9)) / np.log(ratio)))):
        first = at_left < at_right
        low, high = np.where(first, low, left), np.where(first, right, high)
        kept, at_kept = np.where(first, left, right), np.where(first, at_left, at_right)
        new = np.where(first, high - ratio * (high - low), low + ratio * (high - low))
        at_new = function(new)
        left, right = np.where(first, new, kept), np.where(first, kept, new)
        at_left, at_right = np.where(first, at_new, at_kept), np.where(first, at_kept, at_new)
    return np.where(at_left < at_right, left, right)
