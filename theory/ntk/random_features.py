"""Random features that take inputs and weights apart: how much their estimates of an activation scatter."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, positive_scalar

Array = NDArray[np.float64]


class UnitEstimate(NamedTuple):
    """Mean and variance of one random feature's estimate of a unit's activity."""

    mean: Array
    variance: Array


def snnk_feature_variance(x: ArrayLike, w: ArrayLike, *, kind: Literal["exp", "phase", "cosine"]) -> Array:
    r"""Variance of one random feature's estimate of :math:`e^{x \cdot w}`, :math:`e^{i x \cdot w}` or its real part.

    The estimate is :math:`Z = e^{g \cdot z - z \cdot z / 2}\, e^{g \cdot w - |w|^2 / 2}` with :math:`g \sim N(0, I)`: a
    function of z times a function of w, of mean :math:`e^{z \cdot w}`. For z = x its variance is :math:`e^{2 x \cdot w}
    (e^{|x + w|^2} - 1)`; for z = ix its mean square is :math:`e^{|x|^2 + |w|^2}`, and the variance of the complex
    number that less 1. As :math:`E Z^2 = e^{|w|^2 - |x|^2 + 4 i x \cdot w}`, the real part alone has the variance
    :math:`\tfrac12 e^{|w|^2} (e^{|x|^2} + e^{-|x|^2} \cos 4 x \cdot w) - \cos^2 x \cdot w`. With m features all fall as
    1 / m. Costs O(d) an entry.

    Parameters
    ----------
    x, w : array_like, shape (..., d), broadcastable
        Input and weights.
    kind : {"exp", "phase", "cosine"}
        z = x; z = ix; the real part of the second.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If the last axes disagree, or the kind is unknown.

    References
    ----------
    Sehanobish, Choromanski et al. 2024; variances derived here.

    Examples
    --------
    >>> print(snnk_feature_variance([0.3, -0.2], [0.5, 0.1], kind="exp").round(6))
    1.187392
    """
    a, b = _pair(x, w)
    xx, ww, xw = (np.sum(product, axis=-1) for product in (a * a, b * b, a * b))
    if kind == "exp":
        return np.exp(2 * xw) * np.expm1(np.sum((a + b) ** 2, axis=-1))
    if kind == "phase":
        return np.expm1(xx + ww)
    if kind == "cosine":
        # cos 4u - cos 2u as a product, so that nothing cancels for small x and w
        turned = np.cos(4 * xw) * np.expm1(ww - xx) - 2 * np.sin(3 * xw) * np.sin(xw)
        return 0.5 * (np.expm1(xx + ww) + turned)
    raise ValueError(f"kind must be 'exp', 'phase' or 'cosine'; got {kind!r}")


def snnk_gaussian_unit(x: ArrayLike, w: ArrayLike, *, bias: ArrayLike = 0.0, width: float = 1.0) -> UnitEstimate:
    r"""Estimate of the unit :math:`e^{-(w \cdot x + b)^2 / 2 s^2}` by one feature of random frequency.

    The activation is the mean of :math:`e^{i \omega u}` over :math:`\omega \sim N(0, s^{-2})`, its Fourier transform,
    so that the real part of :math:`e^{i \omega b} Z`, with the Z of `snnk_feature_variance` at :math:`z = i \omega x`,
    has the activation for its mean and the variance

    .. math:: \frac{e^{|w|^2}}{2} \Big[ \Big(1 - \frac{2 |x|^2}{s^2}\Big)^{-1/2} + \Big(1 + \frac{2
        |x|^2}{s^2}\Big)^{-1/2} \exp \Big(- \frac{2 (2 x \cdot w + b)^2}{s^2 + 2 |x|^2} \Big) \Big] - \phi^2 .

    It is infinite from :math:`|x| = s / \sqrt 2` on, however many features there are. Costs O(d) an entry.

    Parameters
    ----------
    x, w : array_like, shape (..., d), broadcastable
        Input and weights.
    bias : array_like, broadcastable with (...)
        b.
    width : float
        s > 0, in units of the argument.

    Returns
    -------
    UnitEstimate
        The activation and the variance, of shape (...); the variance may be inf.

    Raises
    ------
    ValueError
        If the last axes disagree, or the width is not positive.

    References
    ----------
    Sehanobish, Choromanski et al. 2024, on activations by their Fourier transforms; variance derived here.

    Examples
    --------
    >>> estimate = snnk_gaussian_unit([[0.3, -0.2], [0.9, 0.4]], [0.5, 0.1])
    >>> print(estimate.mean.round(6), estimate.variance.round(6))
    [0.991586 0.886876] [0.289504      inf]
    """
    a, b = _pair(x, w)
    xx, ww, xw = (np.sum(product, axis=-1) for product in (a * a, b * b, a * b))
    shift, s = finite("bias", bias), positive_scalar("width", width)
    mean = np.exp(-0.5 * ((xw + shift) / s) ** 2)
    spread = 2 * xx / s**2
    with np.errstate(divide="ignore"):
        modulus = np.where(spread < 1, 1 / np.sqrt(np.maximum(1 - spread, 0.0)), np.inf)
    square = np.exp(-2 * ((2 * xw + shift) / s) ** 2 / (1 + spread)) / np.sqrt(1 + spread)
    return UnitEstimate(mean, 0.5 * np.exp(ww) * (modulus + square) - mean**2)


def _pair(x: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    a, b = finite("x", x), finite("w", w)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"w must have the last axis of x, {a.shape}; got {b.shape}")
    return a, b
