r"""Newton's iteration on isotropic Gaussian data in the limit of many dimensions: Marchenko-Pastur averages.

With :math:`x = 1 + \gamma + 2 \sqrt\gamma \cos\theta` the law's density is
:math:`\frac{2}{\pi} \frac{\sin^2\theta}{x}\,d\theta`, smooth and periodic, so that the trapezoidal rule converges
exponentially.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from theory.in_context._newton_residual import power_of, repeated
from theory.validation import integer, interval

Array = NDArray[np.float64]

_TOLERANCE = 1e-14
_MAX_NODES = 2**22


def newton_mse_limit(
    aspect_ratio: float, *, step: int, alpha_scale: float, init: Literal["gram", "identity"] = "gram"
) -> float:
    r"""Mean squared error of the weights after k iterations, in the limit of many dimensions.

    For :math:`x_i \sim N(0, I_d)`, isotropic :math:`w_*`, :math:`\gamma = d/n < 1`, :math:`b = (1 + \sqrt\gamma)^2` and
    :math:`\alpha = c\,(n b)^{-p}`,

    .. math:: \frac{E\|w_k - w_*\|^2}{E\|w_*\|^2} \to \int \bigl(1 - c\,(x/b)^p\bigr)^{2^{k+1}} d\mu_\gamma(x) .

    At finite n the mean is over prompts on which the iteration converges: a largest eigenvalue beyond
    :math:`(2/c)^{1/p}\, n b` is exponentially rare, but the power makes up for its rarity.

    Parameters
    ----------
    aspect_ratio : float
        gamma = d / n, between 0 and 1, both excluded.
    step : int
        Iterations k, at least 0.
    alpha_scale : float
        c, between 0 and 2, both excluded.
    init : {"gram", "identity"}
        Start, p = 2 or p = 1.

    Returns
    -------
    float
        The limit, relative to the squared norm of the task vector.

    Raises
    ------
    ValueError
        If an argument is out of range, or gamma is so close to 1 that the integral does not converge.

    References
    ----------
    Derived, for the data of Fu, Chen, Jia and Sharan, arXiv:2310.17086.

    Examples
    --------
    >>> round(newton_mse_limit(0.4, step=2, alpha_scale=0.8), 6)
    0.478964
    """
    gamma, f = _problem(aspect_ratio, step, alpha_scale, init)
    return _average(lambda theta, x: 2 * np.sin(theta) ** 2 / x * f(x), gamma)


def newton_mse_correction(
    aspect_ratio: float, *, step: int, alpha_scale: float, init: Literal["gram", "identity"] = "gram"
) -> float:
    r"""Coefficient of 1/d in the approach to `newton_mse_limit`, for real Gaussian data.

    .. math:: d\,(\mathrm{mean} - \mathrm{limit}) \to \frac{f(a) + f(b)}{4} -
            \frac{1}{2\pi} \int_0^\pi f(1 + \gamma + 2\sqrt\gamma \cos\theta)\,d\theta , \qquad
            f(x) = \bigl(1 - c\,(x/b)^p\bigr)^{2^{k+1}} ,

    with the edges a and b of the Marchenko-Pastur law. Parameters, errors and cost as for `newton_mse_limit`.

    Parameters
    ----------
    aspect_ratio : float
        gamma = d / n, between 0 and 1, both excluded.
    step : int
        Iterations k, at least 0.
    alpha_scale : float
        c, between 0 and 2, both excluded.
    init : {"gram", "identity"}
        Start.

    Returns
    -------
    float
        The coefficient.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Derived from the mean of linear statistics of Bai and Silverstein, Ann. Probab. 32 (2004).

    Examples
    --------
    >>> round(newton_mse_correction(0.4, step=2, alpha_scale=0.8), 4)
    0.0683
    """
    gamma, f = _problem(aspect_ratio, step, alpha_scale, init)
    edges = (1 + np.sqrt(gamma) * np.array([-1.0, 1.0])) ** 2
    return float(np.sum(f(edges)) / 4 - _average(lambda theta, x: f(x), gamma) / 2)


def _problem(aspect_ratio: float, step: int, alpha_scale: float, init: str) -> tuple[float, Callable[[Array], Array]]:
    gamma = float(interval("aspect_ratio", aspect_ratio, 0, 1, closed=False))
    c = float(interval("alpha_scale", alpha_scale, 0, 2, closed=False))
    k, p = integer("step", step, minimum=0), power_of(init)
    edge = (1 + np.sqrt(gamma)) ** 2
    return gamma, lambda x: repeated(c * (x / edge) ** p, 2 ** (k + 1))


def _average(integrand: Callable[[Array, Array], Array], gamma: float) -> float:
    """Return (1/pi) times the integral over theta in [0, pi], by trapezoids until doubling them changes nothing."""
    nodes, previous = 32, np.inf
    while nodes <= _MAX_NODES:
        theta = (np.arange(nodes) + 0.5) * np.pi / nodes
        value = float(np.mean(integrand(theta, 1 + gamma + 2 * np.sqrt(gamma) * np.cos(theta))))
        if abs(value - previous) <= _TOLERANCE * abs(value):
            return value
        nodes, previous = 2 * nodes, value
    raise ValueError(f"aspect_ratio must not be so close to 1 that the integral does not converge; got {gamma}")
