r"""One mode of a linear head over free features: how much of its singular value weight decay leaves standing.

Weight decay on L = M + 1 factors costs a product Z of them at least :math:`\tfrac L2 \Lambda \sum_i \sigma_i^{2/L}`,
:math:`\Lambda` the geometric mean of the decays (a Schatten quasi-norm), so that the squared error falls into scalar
problems, one for every singular value of the target.
"""

from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from theory import validation
from theory.neural_collapse import _checks

Array = NDArray[np.float64]

NEWTON_STEPS = 200


@overload
def collapse_threshold(depth: int) -> float: ...
@overload
def collapse_threshold(depth: ArrayLike) -> float | Array: ...
def collapse_threshold(depth: ArrayLike) -> float | Array:
    r"""Relative decay at and above which a mode is zero in the global minimum.

    .. math:: b_c(M) = (M-1)^{(M-1)/M} / M , \qquad
              b = \frac{M N (N \lambda_H \lambda_1 \cdots \lambda_M)^{1/M}}{s^2}

    (:math:`0^0 = 1`), s the mode's singular value in the target. As b rises to b_c, sigma/s falls to (M-1)/M: it
    vanishes continuously for M = 1 and jumps to zero for M >= 2. Costs O(1) an entry.

    Parameters
    ----------
    depth : int or array_like of int
        Number M >= 1 of linear layers above the features.

    Returns
    -------
    float or ndarray
        b_c, dimensionless, of the shape of ``depth``.

    Raises
    ------
    TypeError
        If ``depth`` is not made of integers.
    ValueError
        If ``depth`` < 1.

    References
    ----------
    Dang et al. (2023), arXiv:2301.00437.

    Examples
    --------
    >>> collapse_threshold(1), collapse_threshold(2)
    (1.0, 0.5)
    """
    m = _checks.depths("depth", depth).astype(float)
    return _checks.as_given(np.exp(xlogy((m - 1) / m, m - 1)) / m)


@overload
def fold_threshold(depth: int) -> float: ...
@overload
def fold_threshold(depth: ArrayLike) -> float | Array: ...
def fold_threshold(depth: ArrayLike) -> float | Array:
    r"""Relative decay at and above which a nonzero mode is not even a local minimum.

    .. math:: b_f(M) = \frac{(M+1)^2}{4M} \Bigl(\frac{M-1}{M+1}\Bigr)^{(M-1)/M}

    Between :func:`collapse_threshold` and the fold the mode survives as a local minimum with sigma/s between
    (M-1)/(2M) and (M-1)/M, while zero is the global one. For M = 1 the two thresholds coincide. Costs O(1) an entry.

    Parameters
    ----------
    depth : int or array_like of int
        Number M >= 1 of linear layers above the features.

    Returns
    -------
    float or ndarray
        b_f, dimensionless, of the shape of ``depth``.

    Raises
    ------
    TypeError
        If ``depth`` is not made of integers.
    ValueError
        If ``depth`` < 1.

    References
    ----------
    Follows from the scalar problem of Dang et al. (2023), arXiv:2301.00437, as the maximum of b over sigma.

    Examples
    --------
    >>> round(fold_threshold(2), 6)
    0.649519
    """
    m = _checks.depths("depth", depth).astype(float)
    return _checks.as_given(np.exp(xlogy((m - 1) / m, (m - 1) / (m + 1))) * (m + 1) ** 2 / (4 * m))


def critical_class_size(*, num_samples: float, weight_decays: ArrayLike, feature_decay: float) -> float:
    r"""Class size at and below which a class collapses to zero features and zero head weights.

    .. math:: n_c = M N (N \lambda_H \lambda_1 \cdots \lambda_M)^{1/M} / b_c(M)

    for a head without bias; b_c is :func:`collapse_threshold`. Costs O(M).

    Parameters
    ----------
    num_samples : float
        N > 0, samples of all classes together.
    weight_decays : array_like, shape (M,)
        Decays (lam_1, ..., lam_M) of the head, each positive.
    feature_decay : float
        Decay lam_H > 0 of the features.

    Returns
    -------
    float
        n_c, in samples; need not be whole.

    Raises
    ------
    ValueError
        If an argument is not positive and finite.

    References
    ----------
    Dang et al. (2023), arXiv:2301.00437.

    Examples
    --------
    >>> round(critical_class_size(num_samples=149, weight_decays=[0.05], feature_decay=0.0045), 6)
    4.995225
    """
    n = validation.positive_scalar("num_samples", num_samples)
    lam = _checks.weight_decays("weight_decays", weight_decays)
    lam_h = validation.positive_scalar("feature_decay", feature_decay)
    m = lam.size
    root = np.exp((np.log(n) + np.log(lam_h) + np.log(lam).sum()) / m)
    return float(m * n * root / collapse_threshold(m))


@overload
def mode_singular_value(target: float, *, num_samples: float, decays: ArrayLike, loss_weight: float = 1.0) -> float: ...
@overload
def mode_singular_value(
    target: ArrayLike, *, num_samples: float, decays: ArrayLike, loss_weight: float = 1.0
) -> float | Array: ...
def mode_singular_value(
    target: ArrayLike, *, num_samples: float, decays: ArrayLike, loss_weight: float = 1.0
) -> float | Array:
    r"""Singular value of a mode in the global minimum of squared error with weight decay on every factor.

    .. math:: \sigma = \arg\min_{z \ge 0}\; \frac{\kappa (z - s)^2}{2N} + \frac L2 \Lambda z^{2/L} , \qquad
              \Lambda = (\lambda_1 \cdots \lambda_L)^{1/L} .

    With t = sigma/s a nonzero solution is the largest root of :math:`t^{(L-2)/L}(1-t) = N \Lambda s^{2/L-2} / \kappa`,
    found by a Newton iteration that is monotone in log(1 - t), and wins over zero when t > (L-2)/(L-1); at equality
    zero is returned. Full relative accuracy, but for the square root of rounding next to the fold. Costs O(1) an entry.

    Parameters
    ----------
    target : float or array_like
        Singular values s >= 0 of the target.
    num_samples : float
        N > 0.
    decays : array_like, shape (L,)
        Decays of all factors, features included, L >= 2, each positive.
    loss_weight : float
        Weight kappa > 0 of the squared error of this mode.

    Returns
    -------
    float or ndarray
        sigma, in the units of ``target``, of its shape.

    Raises
    ------
    ValueError
        If an argument is out of range or not finite.

    References
    ----------
    Dang et al. (2023), arXiv:2301.00437.

    Examples
    --------
    >>> round(mode_singular_value(5**0.5, num_samples=20, decays=[0.005, 0.01, 0.02]), 5)
    2.07937
    """
    s = validation.nonnegative("target", target)
    n = validation.positive_scalar("num_samples", num_samples)
    lam = validation.positive("decays", decays, ndim=1)
    if lam.size < 2:
        raise ValueError(f"decays must list every factor, features included, at least two; got {lam.size}")
    kappa = validation.positive_scalar("loss_weight", loss_weight)
    m = lam.size - 1
    strength, _ = surviving_strength(log_tilt(s, np.log(n / kappa), np.log(lam).mean(), m), m)
    return _checks.as_given(s * strength)


def log_tilt(s: Array, log_samples: float, log_decay: ArrayLike, depth: ArrayLike) -> Array:
    """Log of the N Lam s^(2/L - 2) that t^((L-2)/L) (1 - t) has to match; infinite for s = 0."""
    m = np.asarray(depth, dtype=float)
    with np.errstate(divide="ignore"):
        return log_samples + np.asarray(log_decay, dtype=float) - 2 * m / (m + 1) * np.log(s)


def relative_decay(tilt: Array, depth: ArrayLike) -> Array:
    """Relative decay b of modes with the given :func:`log_tilt`."""
    m = np.asarray(depth, dtype=float)
    return m * np.exp(tilt * (m + 1) / m)


def stationary_strength(tilt: Array, depth: ArrayLike) -> tuple[Array, Array]:
    """Largest stationary t = sigma/s and 1 - t, entry by entry; (0, 1) at the fold and beyond."""
    tilt, m = np.broadcast_arrays(tilt, np.asarray(depth, dtype=float))
    p = (m - 1) / (m + 1)
    fold = np.log((m + 1) / (2 * m))  # log(1 - t) at the fold
    exists = tilt < xlogy(p, (m - 1) / (2 * m)) + fold
    safe = np.where(exists, tilt, fold - 1)
    # Up to the fold y + p log(1 - e^y) - tilt rises, is concave in y = log(1 - t), and is not positive at y = tilt.
    y = safe
    for _ in range(NEWTON_STEPS):
        t, gap = -np.expm1(y), np.exp(y)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = (safe - y - xlogy(p, t)) / (1 - p * gap / t)
        new = np.where((step > 0) & (p > 0), np.minimum(y + step, fold), y)
        if np.all(new <= y):
            break
        y = new
    return np.where(exists, -np.expm1(y), 0.0), np.where(exists, np.exp(y), 1.0)


def surviving_strength(tilt: Array, depth: ArrayLike) -> tuple[Array, Array]:
    """Globally optimal t = sigma/s and 1 - t, entry by entry; (0, 1) at the threshold and beyond."""
    t, gap = stationary_strength(tilt, depth)
    m = np.asarray(depth, dtype=float)
    survives = tilt < xlogy((m - 1) / (m + 1), (m - 1) / m) - np.log(m)
    return np.where(survives, t, 0.0), np.where(survives, gap, 1.0)


def mode_loss(s: Array, strength: Array, gap: Array, *, num_samples: float, depth: ArrayLike) -> Array:
    r"""Value :math:`\tfrac{s^2}{2N}(1 - t)(1 + M t)` that a mode contributes at a stationary t, or at zero."""
    return s**2 / (2 * num_samples) * gap * (1 + np.asarray(depth, dtype=float) * strength)
