r"""Learning curves of kernel ridge regression and of random-feature ridge regression, from spectra.

Everything follows from one number, the effective ridge. With n samples, k random features and ridge :math:`\delta`,

.. math:: \gamma\, (n - z)\, (1 - z/k) = \delta, \qquad z(\gamma) = \sum_i \frac{\lambda_i}{\lambda_i + \gamma},

whose left side increases with :math:`\gamma` wherever z < min(n, k). In terms of the gap g = min(n, k) - z, a root of a
quadratic, this reads z + g = min(n, k) without cancellation, which Newton's method solves in :math:`\log \gamma`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.kernel_regression._sums import Modes, Spectrum, Sums, spectral_sums
from theory.validation import nonnegative, positive, same_shape

Array = NDArray[np.float64]

_RESIDUAL = 1e-12
_MAX_STEPS = 200
_END = -600.0  # log gamma at which all modes are learnt
_GRID = 8  # ridges in e-folds at which a minimum is looked for, a piece of the table each quarter


class EigenframeworkResult(NamedTuple):
    """Effective ridges, degrees of freedom and risks, every field of the broadcast shape of n, k, ridge and noise.

    ``kappa`` is the effective ridge of the samples, ``gamma`` that of the modes (equal for k = inf), ``z`` the degrees
    of freedom, sum of lambda / (lambda + gamma), and ``q`` the sum of its squares. ``noise_amplification`` is 1/(1-x),
    by which the risk exceeds that of infinitely many samples at the same ridges; ``test`` counts the noise of test
    labels, ``train`` is the mean squared residual on noisy labels.
    """

    kappa: Array
    gamma: Array
    z: Array
    q: Array
    noise_amplification: Array
    test: Array
    train: Array

    @property
    def effective_ridge(self) -> Array:
        """Another name of kappa."""
        return self.kappa

    @property
    def degrees_of_freedom(self) -> Array:
        """Another name of z."""
        return self.z

    @property
    def fitting_ratio(self) -> Array:
        """Train over test risk, which is (1 - z/n)^2."""
        return self.train / self.test


class OptimalRidge(NamedTuple):
    """The ridge of least test risk, inf where predicting zero is best, and the risks there."""

    ridge: Array
    test: Array
    train: Array


class _Root(NamedTuple):
    """log gamma, and the gaps n - z and (k - z) / k, neither by subtraction."""

    t: Array
    samples: Array
    features: Array


def rf_risk(
    eigenvalues: ArrayLike,
    coefficients_sq: ArrayLike,
    *,
    n: ArrayLike,
    k: ArrayLike = np.inf,
    ridge: ArrayLike = 0.0,
    noise_var: ArrayLike = 0.0,
    multiplicities: ArrayLike | None = None,
) -> EigenframeworkResult:
    r"""Mean risks of ridge regression on k random features and n samples.

    Features :math:`\sqrt{\lambda_i}\, \psi_i(w) \phi_i(x)` summed over i, and divided by :math:`\sqrt k`, are fitted to
    :math:`y = \sum_i v_i \phi_i(x) + \varepsilon` by :math:`\hat K (\hat K + \delta)^{-1} y`, without n before
    :math:`\delta`. Let :math:`q = \sum_i \lambda_i^2 / (\lambda_i + \gamma)^2` and :math:`s = z - q`. Then

    .. math::
        \text{test} = \frac{n (k - q)}{(n - z)(k - z) + s\, (n + k - 2 z)} \Big[ \sum_i v_i^2
        \frac{\gamma^2 + \lambda_i \gamma\, s / (k - q)}{(\lambda_i + \gamma)^2} + \sigma^2 \Big], \qquad
        \text{train} = (1 - z / n)^2\, \text{test} ,

    and :math:`\kappa = \gamma (1 - z/k)`. Asymptotic in n, k and the number of modes, with corrections of order 1/n,
    under Gaussian universality: eigenfunctions act like independent standard normals. ``ridge=0`` is the
    limit of small ridges, the least-norm fit. Its test risk is infinite where n = k is below the number M of modes and,
    if there is noise, at n = M; without noise it vanishes from n = M on if k > M, and is :math:`\frac{M}{3} \sum_i
    (v_i^2 / \lambda_i) / \sum_i (1 / \lambda_i)` at n = k = M.

    Accuracy: the equation for gamma holds to 1e-12 relative to min(n, k), checked at every point. Risks are as
    accurate, but for their condition where n/k and the ridge leave next to nothing of n - z and k - z: there a relative
    change of an eigenvalue counts n / (n - z) times.

    Costs O(M) for a handful of points; for a grid, O(20 M) for every two e-folds of gamma it touches and O(1) a point.

    Parameters
    ----------
    eigenvalues : array_like, shape (M,)
        lambda >= 0 of the kernel, in any order. Modes with eigenvalue zero are never learnt.
    coefficients_sq : array_like, shape (M,)
        v_i^2 of every single mode.
    n : array_like
        Numbers of samples, > 0; they may be real.
    k : array_like
        Numbers of random features, > 0; inf is kernel regression.
    ridge : array_like
        delta >= 0, in units of eigenvalues.
    noise_var : array_like
        sigma^2 >= 0 of labels, at training and at test.
    multiplicities : array_like, shape (M,), optional
        How many modes share an eigenvalue and a squared coefficient each, > 0; one when not given.

    Returns
    -------
    EigenframeworkResult
        Fields of the shape that n, k, ridge and noise_var broadcast to.

    Raises
    ------
    ValueError
        If a number is out of range, or shapes do not match.
    RuntimeError
        If the equation of the effective ridge is not solved to 1e-12.

    References
    ----------
    Simon, Karkada, Ghosh, Belkin, More is better in modern machine learning (2023, arXiv:2311.14646); for k = inf
    Simon, Dickens, Karkada, DeWeese, The eigenlearning framework (2021, arXiv:2110.03922).

    Examples
    --------
    >>> i = np.arange(1, 1001.0)
    >>> rf_risk(i**-1.3, i**-1.6, n=100, k=[60, 250], ridge=0.0, noise_var=0.1).test.round(4)
    array([1.0601, 0.5421])
    """
    spectrum, unlearnable = _spectrum(eigenvalues, coefficients_sq, multiplicities)
    samples, features, delta, noise = _broadcast(n=n, k=k, ridge=ridge, noise_var=noise_var)
    sums = spectral_sums(spectrum, samples.size)
    root = _solve(sums, spectrum, samples, features, delta)
    return _result(sums, root, samples, features, noise, unlearnable)


def krr_risk(
    eigenvalues: ArrayLike,
    coefficients_sq: ArrayLike,
    *,
    n: ArrayLike,
    ridge: ArrayLike = 0.0,
    noise_var: ArrayLike = 0.0,
    multiplicities: ArrayLike | None = None,
) -> EigenframeworkResult:
    r"""Mean risks of kernel ridge regression: `rf_risk` with infinitely many features.

    With learnabilities :math:`L_i = \lambda_i / (\lambda_i + \kappa)`, whose sum is :math:`n - \delta / \kappa`,

    .. math:: \text{test} = \frac{n}{n - \sum_i L_i^2} \Big[ \sum_i (1 - L_i)^2 v_i^2 + \sigma^2 \Big] .

    Parameters, results, errors, accuracy and cost are those of `rf_risk`.

    References
    ----------
    Simon et al. (2021, arXiv:2110.03922); Bordelon, Canatar, Pehlevan (2020, arXiv:2002.02561).

    Examples
    --------
    >>> result = krr_risk([1.0, 0.1], [1.0, 1.0], multiplicities=[10, 1000], n=100, ridge=1.0)
    >>> bool(np.isclose(result.z + 1.0 / result.kappa, 100))
    True
    """
    return rf_risk(eigenvalues, coefficients_sq, n=n, ridge=ridge, noise_var=noise_var, multiplicities=multiplicities)


def solve_kappa_gamma(
    eigenvalues: ArrayLike,
    *,
    n: ArrayLike,
    k: ArrayLike = np.inf,
    ridge: ArrayLike = 0.0,
    multiplicities: ArrayLike | None = None,
) -> tuple[Array, Array]:
    r"""Effective ridges: the unique :math:`\kappa, \gamma \ge 0` of n samples and k features.

    .. math:: n = z(\gamma) + \delta / \kappa, \qquad k = z(\gamma) + k \kappa / \gamma .

    Both are zero where :math:`\delta = 0` and there are no more modes than min(n, k). Parameters, errors, accuracy and
    cost as for `rf_risk`.

    Returns
    -------
    kappa, gamma : ndarray
        Of the shape that n, k and ridge broadcast to.

    References
    ----------
    Simon et al. (2023, arXiv:2311.14646).

    Examples
    --------
    >>> kappa, gamma = solve_kappa_gamma([1.0], multiplicities=[30], n=10, ridge=5.0)
    >>> bool(np.isclose(30 / (1 + gamma) + 5 / kappa, 10))
    True
    """
    spectrum, _ = _spectrum(eigenvalues, np.zeros(np.shape(eigenvalues)), multiplicities)
    samples, features, delta = _broadcast(n=n, k=k, ridge=ridge)
    root = _solve(spectral_sums(spectrum, samples.size), spectrum, samples, features, delta)
    gamma = np.exp(root.t)
    return (gamma * root.features)[()], gamma[()]


def learnability(
    eigenvalues: ArrayLike, *, n: ArrayLike, ridge: ArrayLike = 0.0, multiplicities: ArrayLike | None = None
) -> Array:
    r"""Share of every mode that kernel regression learns on average, :math:`L_i = \lambda_i / (\lambda_i + \kappa)`.

    The mean of the predicted coefficient is :math:`L_i v_i`. Parameters, errors and accuracy as for `rf_risk`.

    Returns
    -------
    ndarray, shape (..., M)
        For the shape that n and ridge broadcast to.

    References
    ----------
    Simon et al. (2021, arXiv:2110.03922).

    Examples
    --------
    >>> bool(np.isclose(learnability([1.0, 0.5, 0.25], n=2).sum(), 2))
    True
    """
    kappa, _ = solve_kappa_gamma(eigenvalues, n=n, ridge=ridge, multiplicities=multiplicities)
    values = nonnegative("eigenvalues", eigenvalues, ndim=1)
    with np.errstate(invalid="ignore"):
        found = values / (values + np.asarray(kappa)[..., None])
    return np.where(values > 0, found, 0.0)


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
    spectrum, unlearnable = _spectrum(eigenvalues, coefficients_sq, multiplicities)
    samples, features, noise = _broadcast(n=n, k=k, noise_var=noise_var)
    sums = spectral_sums(spectrum, 100)
    ridgeless = _solve(sums, spectrum, samples, features, np.zeros_like(samples))
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
        gaps = _Root(t, *_gaps_by_subtraction(sums, t, samples, features))
        return _result(sums, gaps, samples, features, noise, unlearnable)

    points = max(2, int(np.ceil(_GRID * np.max(nothing - start))))
    grid = start + (nothing - start) * np.linspace(0, 1, points).reshape(-1, *[1] * samples.ndim)
    values = np.stack([at(t).test for t in grid[1:]])
    best = np.argmin(values, axis=0) + 1
    low, high = (np.take_along_axis(grid, np.clip(best + d, 0, points - 1)[None], 0)[0] for d in (-1, 1))
    t = _golden(lambda t: at(t).test, low, high)
    found, edge = at(t), _result(sums, ridgeless, samples, features, noise, unlearnable)
    never = spectrum.signal + unlearnable + noise
    ridge = _ridge_at(_Root(t, *_gaps_by_subtraction(sums, t, samples, features)))
    choice = np.argmin([edge.test, never, found.test], axis=0)
    return OptimalRidge(
        np.choose(choice, [np.zeros_like(ridge), np.full_like(ridge, np.inf), ridge])[()],
        np.choose(choice, [edge.test, never, found.test])[()],
        np.choose(choice, [edge.train, never, found.train])[()],
    )


def _spectrum(
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


def _broadcast(**sizes: ArrayLike) -> list[Array]:
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


def _solve(sums: Sums, spectrum: Modes, n: Array, k: Array, ridge: Array) -> _Root:
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
    return _Root(root_t, samples, features)


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


def _gaps_by_subtraction(sums: Sums, t: Array, n: Array, k: Array) -> tuple[Array, Array]:
    z = sums(t, 1)[0]
    return np.maximum(n - z, 0.0), np.maximum(1 - z / k, 0.0)


def _ridge_at(root: _Root) -> Array:
    return np.exp(root.t) * root.samples * root.features


def _result(sums: Sums, root: _Root, n: Array, k: Array, noise: Array, unlearnable: float) -> EigenframeworkResult:
    """Evaluate risks from gaps a = n - z and b = 1 - z/k; all terms are positive, so nothing cancels."""
    ended = np.isneginf(root.t)
    z, s, q, bias, cross = sums(np.where(ended, _END, root.t))
    balanced = n * cross / (3 * s)  # without noise, at n and k both as large as the number of modes
    modes = n - root.samples  # where all modes are learnt exactly
    z, q = np.where(ended, modes, z), np.where(ended, modes, q)
    s, bias, cross = (np.where(ended, 0.0, part) for part in (s, bias, cross))
    a, b, per = root.samples, root.features, s / k  # per = s / k, zero for k = inf
    with np.errstate(divide="ignore", invalid="ignore"):
        signal = bias + unlearnable + np.where(per > 0, cross * per / (b + per), 0.0)
        # n (k - q) / ((n - z)(k - z) + s (n - z + k - z)), divided by k throughout
        whole = a * b + a * per + s * b
        amplification = np.where(s == 0, n / a, n * (b + per) / whole)
        test = np.where(
            ended & (a == 0) & (unlearnable + noise == 0),
            np.where(b == 0, balanced, 0.0),
            amplification * (signal + noise),
        )
        train = np.where(a > 0, (a / n) ** 2 * test, 0.0)
    gamma = np.exp(root.t)
    fields = (gamma * b, gamma, z, q, amplification, test, train)
    return EigenframeworkResult(*(np.asarray(field, dtype=float)[()] for field in fields))


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
