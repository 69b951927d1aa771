r"""Learning curves of kernel ridge regression and of random-feature ridge regression, from spectra.

Everything follows from one number, the effective ridge. With n samples, k random features and ridge :math:`\delta`,

.. math:: \gamma\, (n - z)\, (1 - z/k) = \delta, \qquad z(\gamma) = \sum_i \frac{\lambda_i}{\lambda_i + \gamma},

whose left side increases with :math:`\gamma` wherever z < min(n, k). In terms of the gap g = min(n, k) - z, a root of a
quadratic, this reads z + g = min(n, k) without cancellation, which Newton's method solves in :math:`\log \gamma`. After
Simon et al. (2021, arXiv:2110.03922; 2023, arXiv:2311.14646).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.kernel_regression._effective_ridge import Root, broadcast_sizes, learnable_modes, solve_root
from theory.kernel_regression._sums import Sums, spectral_sums
from theory.validation import nonnegative

Array = NDArray[np.float64]

_END = -600.0  # log gamma at which all modes are learnt


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
    spectrum, unlearnable = learnable_modes(eigenvalues, coefficients_sq, multiplicities)
    samples, features, delta, noise = broadcast_sizes(n=n, k=k, ridge=ridge, noise_var=noise_var)
    sums = spectral_sums(spectrum, samples.size)
    root = solve_root(sums, spectrum, samples, features, delta)
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
    spectrum, _ = learnable_modes(eigenvalues, np.zeros(np.shape(eigenvalues)), multiplicities)
    samples, features, delta = broadcast_sizes(n=n, k=k, ridge=ridge)
    root = solve_root(spectral_sums(spectrum, samples.size), spectrum, samples, features, delta)
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


def _result(sums: Sums, root: Root, n: Array, k: Array, noise: Array, unlearnable: float) -> EigenframeworkResult:
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
