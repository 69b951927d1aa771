"""Random features that take inputs and weights apart: how much their estimates of an activation scatter."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite

Array = NDArray[np.float64]


def snnk_feature_variance(x: ArrayLike, w: ArrayLike, *, kind: Literal["exp", "phase"]) -> Array:
    r"""Variance of one random feature's estimate of :math:`e^{x \cdot w}` or :math:`e^{i x \cdot w}`.

    The estimate is :math:`e^{g \cdot z - z \cdot z / 2}\, e^{g \cdot w - |w|^2 / 2}` with :math:`g \sim N(0, I)`: a
    function of z times a function of w, of mean :math:`e^{z \cdot w}`. For z = x its variance is :math:`e^{2 x \cdot w}
    (e^{|x + w|^2} - 1)`; for z = ix its mean square is :math:`e^{|x|^2 + |w|^2}`, and the variance of the complex
    number that less 1. With m features both fall as 1 / m. Costs O(d) an entry.

    Parameters
    ----------
    x, w : array_like, shape (..., d), broadcastable
        Input and weights.
    kind : {"exp", "phase"}
        z = x, or z = ix.

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
    a, b = finite("x", x), finite("w", w)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"w must have the last axis of x, {a.shape}; got {b.shape}")
    if kind == "exp":
        return np.exp(2 * np.sum(a * b, axis=-1)) * np.expm1(np.sum((a + b) ** 2, axis=-1))
    if kind == "phase":
        return np.expm1(np.sum(a**2, axis=-1) + np.sum(b**2, axis=-1))
    raise ValueError(f"kind must be 'exp' or 'phase'; got {kind!r}")
