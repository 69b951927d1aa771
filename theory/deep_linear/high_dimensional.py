r"""Learning in high dimension: errors of gradient flow on random inputs, at every time, and of ridge regression.

Inputs X (N, P) have independent entries of variance 1/N, and P/N = alpha. A teacher of variance :math:`\sigma_w^2` a
weight labels them, with noise of variance :math:`\sigma_\epsilon^2`; a student starts at weights of variance
:math:`\sigma_0^2` and follows :math:`\tau\dot w = X (y - X^T w)`, without a factor 1/P. ``snr`` and ``inr`` are
:math:`\sigma_w^2 / \sigma_\epsilon^2` and :math:`\sigma_0^2 / \sigma_\epsilon^2`, ``noise_var`` is
:math:`\sigma_\epsilon^2`, times are in units of tau. Test errors count the noise of test labels. Arguments broadcast.

Source: Advani, Saxe and Sompolinsky, "High-dimensional dynamics of generalization error in neural networks",
arXiv:1710.03667.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.deep_linear._checks import broadcast
from theory.deep_linear.early_stopping import (
    CRITICAL_STOPPING,
    mode_stopping_time,
    optimal_stopping_time,
    stopping_time_slope,
)
from theory.deep_linear.random_inputs import (
    MarchenkoPasturQuadrature,
    mp_density,
    mp_finite_size,
    mp_quadrature,
    mp_resolvent,
    nonnegative_pair,
    ridged_zero_share,
)
from theory.validation import integer, nonnegative, positive

Array = NDArray[np.float64]

CRITICAL_GROWTH = 2 * (2 - np.sqrt(2)) / np.sqrt(np.pi)
r"""At alpha = 1 the test error grows as this times :math:`\sigma_\epsilon^2 \sqrt t`."""

__all__ = [
    "CRITICAL_GROWTH",
    "CRITICAL_STOPPING",
    "MarchenkoPasturQuadrature",
    "conditional_test_error",
    "late_test_error",
    "late_test_error_finite",
    "mode_stopping_time",
    "mp_density",
    "mp_finite_size",
    "mp_quadrature",
    "mp_resolvent",
    "optimal_size",
    "optimal_stopping_time",
    "ridge_test_error",
    "stopping_time_slope",
    "test_error",
    "train_error",
]


def test_error(
    t: ArrayLike,
    *,
    alpha: ArrayLike,
    snr: ArrayLike,
    inr: ArrayLike = 0.0,  # noqa: PT028
    noise_var: ArrayLike = 1.0,  # noqa: PT028
    n_nodes: int = 400,  # noqa: PT028
) -> Array:
    r"""Mean squared error on new inputs after training for a time t.

    .. math:: \frac{E_g}{\sigma_\epsilon^2} = 1 + \int \rho(\lambda) \left[(S + I) e^{-2\lambda t} +
        \frac{(1 - e^{-\lambda t})^2}{\lambda}\right] d\lambda + (1 - \alpha)_+ (S + I) .

    Costs O(n_nodes) a value. Corrections at finite N are of order 1/N, see :func:`mp_finite_size`.

    Parameters
    ----------
    t : array_like
        Times >= 0, in units of tau.
    alpha : array_like
        Samples per feature, > 0.
    snr, inr : array_like
        Powers of teacher and initial weights over that of the noise, >= 0.
    noise_var : array_like
        Power of the noise, > 0.
    n_nodes : int
        Nodes of the quadrature; they cluster as late times need it.

    Returns
    -------
    ndarray
        Errors, of the arguments' common shape.

    Raises
    ------
    ValueError
        If an argument is out of range or shapes do not broadcast.

    Examples
    --------
    >>> test_error([0.0, 1.0, 100.0], alpha=2.0, snr=5.0).round(4)
    array([6.    , 1.9734, 2.    ])
    """
    times, a, scale, power = _arguments(t, alpha, snr, inr, noise_var)

    def bulk(nodes: Array, time: Array, power: Array) -> Array:
        decay = np.exp(-2 * nodes * time)
        return power * decay + np.expm1(-nodes * time) ** 2 / nodes

    return scale * (1 + _bulk_mean(bulk, times, a, power, n_nodes) + np.maximum(1 - a, 0) * power)


def train_error(
    t: ArrayLike,
    *,
    alpha: ArrayLike,
    snr: ArrayLike,
    inr: ArrayLike = 0.0,
    noise_var: ArrayLike = 1.0,
    n_nodes: int = 400,
) -> Array:
    r"""Mean squared error on the training samples, with their noise, after training for a time t.

    .. math:: \frac{E_t}{\sigma_\epsilon^2} = \frac1\alpha \int_{\lambda > 0} \rho(\lambda) [\lambda (S + I) + 1]
        e^{-2\lambda t} d\lambda + (1 - 1/\alpha)_+ .

    Parameters, errors and cost as for :func:`test_error`.

    Examples
    --------
    >>> train_error([0.0, 1.0, 100.0], alpha=2.0, snr=5.0).round(4)
    array([6.    , 0.7607, 0.5   ])
    """
    times, a, scale, power = _arguments(t, alpha, snr, inr, noise_var)

    def bulk(nodes: Array, time: Array, power: Array) -> Array:
        return (nodes * power + 1) * np.exp(-2 * nodes * time)

    return scale * (_bulk_mean(bulk, times, a, power, n_nodes) / a + np.maximum(1 - 1 / a, 0))


def conditional_test_error(
    t: ArrayLike, eigenvalues: ArrayLike, *, snr: float, inr: float = 0.0, noise_var: float = 1.0
) -> Array:
    r"""Mean test error on given inputs, over teacher, noise and initial weights; exact at any size.

    .. math:: \frac{E_g}{\sigma_\epsilon^2} = 1 + \frac1N \sum_i \left[(S + I) e^{-2\lambda_i t} +
        \frac{(1 - e^{-\lambda_i t})^2}{\lambda_i}\right]

    Parameters
    ----------
    t : array_like
        Times >= 0, in units of tau.
    eigenvalues : array_like, shape (N,)
        All N eigenvalues of :math:`X X^T`, zeros included, where the second term vanishes.
    snr, inr, noise_var : float
        As in :func:`test_error`.

    Returns
    -------
    ndarray
        Errors, of the shape of ``t``. Costs O(N) each.

    Raises
    ------
    ValueError
        If an argument is out of range, or there are no eigenvalues.

    Examples
    --------
    >>> conditional_test_error([0.0, 1.0], [0.0, 2.0], snr=3.0).round(4)
    array([4.    , 2.7144])
    """
    times = nonnegative("t", t)[..., None]
    values = nonnegative("eigenvalues", eigenvalues, ndim=1)
    if values.size == 0:
        raise ValueError("eigenvalues must hold at least one number; got none")
    power, scale = nonnegative_pair(snr, inr), positive("noise_var", noise_var)
    learnt = np.expm1(-values * times) ** 2 / np.where(values > 0, values, 1.0)
    return scale * (1 + np.mean(power * np.exp(-2 * values * times) + learnt, axis=-1))


def late_test_error(*, alpha: ArrayLike, snr: ArrayLike, inr: ArrayLike = 0.0, noise_var: ArrayLike = 1.0) -> Array:
    r"""Limit of the test error at late times, infinite at alpha = 1.

    :math:`\alpha / (\alpha - 1)` above 1, :math:`(1 - \alpha)(S + I) + 1 / (1 - \alpha)` below, times noise_var.

    Raises
    ------
    ValueError
        If an argument is out of range or shapes do not broadcast.

    Examples
    --------
    >>> late_test_error(alpha=[0.5, 1.0, 2.0], snr=5.0)
    array([4.5, inf, 2. ])
    """
    _, a, scale, power = _arguments(0.0, alpha, snr, inr, noise_var)
    with np.errstate(divide="ignore"):
        amplified = np.maximum(a, 1) / np.abs(a - 1)
    return scale * (amplified + np.maximum(1 - a, 0) * power)


def late_test_error_finite(
    *, n_features: int, n_samples: int, snr: float, inr: float = 0.0, noise_var: float = 1.0
) -> float:
    r"""Mean test error at late times with N Gaussian features and P samples, exact; infinite where |N - P| <= 1.

    :math:`1 + N / (P - N - 1)` with more samples, :math:`(1 - P/N)(S + I) + 1 + P / (N - P - 1)` with fewer.

    Raises
    ------
    ValueError
        If a size is below 1 or another argument out of range.

    Examples
    --------
    >>> round(late_test_error_finite(n_features=10, n_samples=30, snr=5.0), 6)
    1.526316
    """
    n = integer("n_features", n_features, minimum=1)
    p = integer("n_samples", n_samples, minimum=1)
    power, scale = float(nonnegative_pair(snr, inr)), float(positive("noise_var", noise_var, ndim=0))
    if abs(n - p) <= 1:
        return np.inf
    return scale * (1 + min(n, p) / (abs(n - p) - 1) + max(1 - p / n, 0.0) * power)


def ridge_test_error(ridge: ArrayLike, *, alpha: ArrayLike, snr: ArrayLike, noise_var: ArrayLike = 1.0) -> Array:
    r"""Test error of ridge regression, :math:`w = (X X^T + g)^{-1} X y`.

    .. math:: \frac{E_g}{\sigma_\epsilon^2} = 1 + m + g (S g - 1) \frac{m^2 + m}{2 g m + g + \alpha - 1}

    with m the resolvent at g, in a form all of whose terms are positive. Least at g = 1/S, with 1 + m(1/S). No ridge
    gives the fit of least norm.

    Raises
    ------
    ValueError
        If an argument is out of range, shapes do not broadcast, or there is no ridge at alpha = 1.

    Examples
    --------
    >>> ridge_test_error([0.0, 0.2, 1.0], alpha=2.0, snr=5.0).round(4)
    array([2.    , 1.7417, 2.2426])
    """
    g, a = nonnegative("ridge", ridge), positive("alpha", alpha)
    S, scale = nonnegative("snr", snr), positive("noise_var", noise_var)
    broadcast(ridge=g, alpha=a, snr=S, noise_var=scale)
    if np.any((g == 0) & (a == 1)):
        raise ValueError("ridge must be positive at alpha = 1, where the error without one is infinite; got 0")
    M = ridged_zero_share(g, a)
    root = np.sqrt((g + a - 1) ** 2 + 4 * g)
    fewer = g + 1 - a > 0
    few = 2 * a * M / (root + np.where(fewer, g + 1 - a, 1.0))
    many = (root + a - 1 - g) / (root + np.where(fewer, 1.0, g + a - 1))
    return scale * (1 + (np.where(fewer, few, many) + S * M * (M + g)) / root)


def optimal_size(*, snr: ArrayLike, noise_var: ArrayLike = 1.0) -> tuple[Array, Array]:
    r"""Best number of samples per feature below 1 for training without end from zero weights, and its test error.

    :math:`\alpha = 1 - 1/\sqrt S` with :math:`2 \sqrt S \sigma_\epsilon^2` for S > 1; else no samples at all.

    Raises
    ------
    ValueError
        If ``snr`` is negative or ``noise_var`` not positive.

    Examples
    --------
    >>> [float(value) for value in optimal_size(snr=4.0)]
    [0.5, 4.0]
    """
    S, scale = nonnegative("snr", snr), positive("noise_var", noise_var)
    root = np.sqrt(np.maximum(S, 1.0))
    return 1 - 1 / root, scale * np.where(S > 1, 2 * root, 1 + S)


def _arguments(
    t: ArrayLike, alpha: ArrayLike, snr: ArrayLike, inr: ArrayLike, noise_var: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    times, a = nonnegative("t", t), positive("alpha", alpha)
    scale = positive("noise_var", noise_var)
    S, I = nonnegative("snr", snr), nonnegative("inr", inr)  # noqa: E741
    shape = broadcast(t=times, alpha=a, snr=S, inr=I, noise_var=scale)
    return (
        np.broadcast_to(times, shape),
        np.broadcast_to(a, shape),
        np.broadcast_to(scale, shape),
        np.broadcast_to(S + I, shape),
    )


def _bulk_mean(
    function: Callable[[Array, Array, Array], Array], times: Array, alpha: Array, power: Array, n_nodes: int
) -> Array:
    """Integrate over the bulk, one quadrature for all entries that share alpha."""
    means = np.empty(times.shape)
    for value in np.unique(alpha):
        here = alpha == value
        quadrature = mp_quadrature(value, n_nodes, finest=1 / max(1.0, float(times[here].max())))
        means[here] = function(quadrature.nodes, times[here][:, None], power[here][:, None]) @ quadrature.weights
    return means
