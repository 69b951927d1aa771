r"""When to stop training on random inputs: the time of least test error, its growth with the signal.

Conventions are those of :mod:`theory.deep_linear.high_dimensional`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from theory.deep_linear._checks import broadcast
from theory.deep_linear.random_inputs import mp_quadrature, nonnegative_pair
from theory.validation import nonnegative, positive

Array = NDArray[np.float64]

CRITICAL_STOPPING = (1 + np.sqrt(2)) / 4
"""At alpha = 1 the best stopping time grows as this times S + I."""


def mode_stopping_time(eigenvalue: ArrayLike, *, snr: ArrayLike, inr: ArrayLike = 0.0) -> Array:
    r"""Best time to stop learning a single mode, :math:`\ln(1 + (S + I) \lambda) / \lambda`, S + I at zero.

    Raises
    ------
    ValueError
        If an argument is negative or shapes do not broadcast.
    """
    value = nonnegative("eigenvalue", eigenvalue)
    power = nonnegative_pair(snr, inr)
    broadcast(eigenvalue=value, snr=power)
    safe = np.where(value > 0, value, 1.0)
    return np.where(value > 0, np.log1p(power * safe) / safe, power)


def optimal_stopping_time(*, alpha: ArrayLike, snr: ArrayLike, inr: ArrayLike = 0.0, n_nodes: int = 400) -> Array:
    r"""Time at which the test error is least, in units of tau.

    .. math:: \int_{\lambda > 0} \rho(\lambda) e^{-\lambda t} [1 - e^{-\lambda t} (1 + (S + I) \lambda)]\, d\lambda = 0

    The bracket is that of the best times of single modes at the edges of the spectrum, between which the bracket [ ]
    has both signs; the slowest decay :math:`e^{-\lambda_- t}` is divided out, so that nothing underflows. Costs about
    ten quadratures. For large S it grows as :math:`\ln S / \lambda_-`, see :func:`stopping_time_slope`, and at
    alpha = 1 as `CRITICAL_STOPPING` times S.

    Parameters
    ----------
    alpha : array_like
        Samples per feature, > 0.
    snr, inr : array_like
        Powers of teacher and initial weights over that of the noise, >= 0; 0 where both vanish.
    n_nodes : int
        Nodes of the quadrature.

    Returns
    -------
    ndarray
        Times, of the arguments' common shape, to a relative accuracy of 1e-12.

    Raises
    ------
    ValueError
        If an argument is out of range or shapes do not broadcast.

    Examples
    --------
    >>> optimal_stopping_time(alpha=[0.5, 1.0, 2.0], snr=100.0).round(4)
    array([19.941 , 60.3998, 13.2529])
    """
    a, power = positive("alpha", alpha), nonnegative_pair(snr, inr)
    shape = broadcast(alpha=a, snr=power)
    pairs = zip(np.broadcast_to(a, shape).flat, np.broadcast_to(power, shape).flat, strict=True)
    return np.array([_root(float(x), float(k), n_nodes) for x, k in pairs]).reshape(shape)


def _root(alpha: float, power: float, n_nodes: int) -> float:
    if power == 0:
        return 0.0
    edges = np.array([(np.sqrt(alpha) + 1) ** 2, (np.sqrt(alpha) - 1) ** 2])
    first, last = mode_stopping_time(edges, snr=power)
    nodes, weights, _ = mp_quadrature(alpha, n_nodes, finest=1 / max(1.0, last))

    def slope(t: float) -> float:
        gain = -np.expm1(np.log1p(power * nodes) - nodes * t)
        return float(weights @ (np.exp(-(nodes - edges[1]) * t) * gain))

    return float(brentq(slope, first * (1 - 1e-12), last * (1 + 1e-12), xtol=1e-300, rtol=1e-13))


def stopping_time_slope(*, alpha: ArrayLike) -> Array:
    r"""Growth of the best stopping time with ln S at large S: :math:`1/\lambda_- = (1 - \sqrt\alpha)^{-2}`.

    Infinite at alpha = 1, where growth is linear in S.

    Raises
    ------
    ValueError
        If ``alpha`` is not positive.

    Examples
    --------
    >>> stopping_time_slope(alpha=[0.25, 4.0])
    array([4., 1.])
    """
    with np.errstate(divide="ignore"):
        return (1 - np.sqrt(positive("alpha", alpha))) ** -2.0
