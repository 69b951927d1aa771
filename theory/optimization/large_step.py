r"""Gradient descent on logistic regression with large steps, and the perceptron that it becomes.

For rows :math:`b_i = y_i a_i` and step size gamma, the scaled iterate :math:`u_t = \theta_t / \gamma` obeys
:math:`u_{t+1} = u_t + \frac1n \sum_i b_i / (1 + e^{\gamma b_i \cdot u_t})` from :math:`u_0 = 0`; gamma to infinity
replaces the sigmoid by a step whose value at 0 is one half.
"""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.optimization._nonnegative import nonnegative_least_squares
from theory.optimization.perceptron_bounds import (
    hard_instance,
    hard_instance_iterations,
    perceptron_iteration_bound,
    sharper_perceptron_bound,
)

Array = NDArray[np.float64]

__all__ = [
    "batch_perceptron",
    "hard_instance",
    "hard_instance_iterations",
    "hard_margin",
    "logistic_gd_scaled",
    "perceptron_iteration_bound",
    "perceptron_limit_rate",
    "perceptron_loss",
    "sharper_perceptron_bound",
]

_NO_PULL = 1e-12


def hard_margin(signed_features: ArrayLike) -> tuple[float, Array]:
    r"""Largest margin of a linear separator through the origin, and the unit vector that attains it.

    .. math:: \mu = \max_{\|w\| = 1} \min_i b_i \cdot w

    Found as the point of the convex hull of the b_i nearest to the origin, by nonnegative least squares, and accepted
    only if the separator's margin and the hull point's norm (a lower and an upper bound on mu) agree to 1e-6.

    Parameters
    ----------
    signed_features : array_like, shape (n, d)
        Rows b_i = y_i a_i.

    Returns
    -------
    margin : float
        mu > 0, in units of the features.
    direction : ndarray, shape (d,)

    Raises
    ------
    ValueError
        If no hyperplane through the origin separates the data (mu below about 1e-7 of the largest row counts as none).

    References
    ----------
    Lawson, Hanson (1974), Solving Least Squares Problems, chapter 23 (least distance programming).

    Examples
    --------
    >>> margin, direction = hard_margin([[3.0, 4.0]])
    >>> round(margin, 12), direction.round(12).tolist()
    (5.0, [0.6, 0.8])
    """
    b = _rows(signed_features)
    radius = float(np.linalg.norm(b, axis=1).max())
    if radius > 0:
        unit = b / radius
        weights = nonnegative_least_squares(
            np.vstack([unit.T, np.ones(len(unit))]), np.append(np.zeros(b.shape[1]), 1.0)
        )
        nearest = weights @ unit / weights.sum()
        upper = float(np.linalg.norm(nearest))
        if upper > 0:
            direction = nearest / upper
            lower = float((unit @ direction).min())
            if lower > 0 and upper - lower <= 1e-6 * upper:
                return radius * lower, direction
    raise ValueError("signed_features must be linearly separable through the origin; no w has b_i.w > 0 for all rows")


def batch_perceptron(signed_features: ArrayLike, *, n_steps: int, normalized: bool = False) -> Array:
    r"""Run the batch perceptron from 0, the limit of :func:`logistic_gd_scaled` as the step size grows.

    .. math:: u_{t+1} = u_t + \frac1n \sum_i h(b_i \cdot u_t)\, b_i, \qquad h(x) = 1, \tfrac12, 0 \ (x <, =, > 0)

    Normalised, the mean runs over the misclassified rows only: n is replaced by :math:`\sum_i h`. Constant once all
    rows are classified strictly; normalised gradient descent, whose updates keep their size, follows it only until
    then. Costs O(n d) a step.

    Parameters
    ----------
    signed_features : array_like, shape (n, d)
        Rows b_i = y_i a_i.
    n_steps : int
        Number of updates, nonnegative.
    normalized : bool

    Returns
    -------
    ndarray, shape (n_steps + 1, d)

    Raises
    ------
    ValueError
        If the array is not two-dimensional, empty or not finite, or ``n_steps`` is negative.

    References
    ----------
    Tyurin (2024), arXiv:2412.08424.

    Examples
    --------
    >>> batch_perceptron([[2.0, 0.0]], n_steps=2).tolist()
    [[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
    """
    b = _rows(signed_features)
    return _perceptron(b, validation.integer("n_steps", n_steps, minimum=0), bool(normalized))


def logistic_gd_scaled(
    signed_features: ArrayLike, *, step_size: float, n_steps: int, normalized: bool = False
) -> Array:
    r"""Run gradient descent on the logistic loss from 0, and give its iterates over the step size.

    .. math:: u_{t+1} = u_t + \sum_i w_i b_i, \qquad w_i = \frac{1}{n}\, \sigma(-\gamma b_i \cdot u_t)

    where :math:`u_t = \theta_t / \gamma` and the loss is :math:`f = \frac1n \sum_i \log(1 + e^{-b_i\cdot\theta})`.
    Normalised, the weights are divided by their sum (computed relative to the largest, so that late iterates do not
    become 0/0). Costs O(n d) a step.

    Parameters
    ----------
    signed_features : array_like, shape (n, d)
        Rows b_i = y_i a_i.
    step_size : float
        gamma > 0, in units of 1 / squared feature.
    n_steps : int
        Number of updates, nonnegative.
    normalized : bool

    Returns
    -------
    ndarray, shape (n_steps + 1, d)

    Raises
    ------
    ValueError
        If an argument is out of range or not finite.

    References
    ----------
    Tyurin (2024), arXiv:2412.08424.

    Examples
    --------
    >>> logistic_gd_scaled([[2.0, 0.0]], step_size=1.0, n_steps=1).tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    b = _rows(signed_features)
    gamma = validation.positive_scalar("step_size", step_size)
    return _logistic(b, gamma, validation.integer("n_steps", n_steps, minimum=0), bool(normalized))


def perceptron_loss(signed_features: ArrayLike, weights: ArrayLike) -> Array:
    r"""Perceptron loss :math:`\frac1n \sum_i \max(0, -b_i \cdot u)`, the limit of the logistic loss over the step size.

    Parameters
    ----------
    signed_features : array_like, shape (n, d)
    weights : array_like, shape (..., d)
        One u, or several.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If shapes disagree or an entry is not finite.

    References
    ----------
    Tyurin (2024), arXiv:2412.08424.
    """
    b = _rows(signed_features)
    u = validation.finite("weights", weights)
    if u.ndim < 1 or u.shape[-1] != b.shape[1]:
        raise ValueError(f"weights must have shape (..., {b.shape[1]}) to fit the features; got {u.shape}")
    return np.maximum(0, -(u @ b.T)).mean(axis=-1)


def perceptron_limit_rate(signed_features: ArrayLike, *, n_steps: int, normalized: bool = False) -> float:
    r"""Rate m of the perceptron limit: after ``n_steps`` updates, the iterates differ by :math:`\Theta(e^{-\gamma m})`.

    .. math:: m = \min_{1 \le s < t}\ \min_i |b_i \cdot u_s|

    over the perceptron's own path: every sigmoid is within exp(-gamma |b_i.u_s|) of its step. Normalised, an error in
    the weight of row i moves the iterate along :math:`b_i - \bar b_s`, with the mean over the rows misclassified at
    :math:`u_s`, so that a row which equals that mean drops out: foremost one that is alone in being misclassified, and
    keeps the weight 1 however close it is to the boundary. The normalised method has this limit up to the iterate that
    first separates the data and no further. Errors of equal exponents may cancel one another; none do in general.

    Parameters
    ----------
    signed_features : array_like, shape (n, d)
    n_steps : int
        t >= 2 updates; the first does not depend on gamma.
    normalized : bool

    Returns
    -------
    float
        m >= 0; 0 when a row is tied on the path, and then there is no exponential limit. Infinite when no row's weight
        can move the normalised path (n = 1, say).

    Raises
    ------
    ValueError
        If ``n_steps`` < 2, the features are not a finite matrix, or the normalised path separates them earlier.

    References
    ----------
    Tyurin (2024), arXiv:2412.08424; the exponent is derived here.
    """
    b = _rows(signed_features)
    steps = validation.integer("n_steps", n_steps, minimum=2)
    path = batch_perceptron(b, n_steps=steps, normalized=normalized)
    margins = path[1:-1] @ b.T
    if not normalized:
        return float(np.abs(margins).min())
    separated = (margins > 0).all(axis=1)
    if separated.any():
        last = int(separated.argmax()) + 1
        raise ValueError(f"n_steps must be at most {last} when normalized, where the data are separated; got {steps}")
    if (margins == 0).any():
        return 0.0
    means = np.diff(path[1:], axis=0)  # of the rows misclassified at each step
    pull = np.linalg.norm(b - means[:, None], axis=2) > _NO_PULL * np.linalg.norm(b, axis=1).max()
    return float(np.min(np.abs(margins), where=pull, initial=np.inf))


@njit(cache=True)
def _perceptron(b, n_steps, normalized):
    n, d = b.shape
    path = np.zeros((n_steps + 1, d))
    for t in range(n_steps):
        update = np.zeros(d)
        total = 0.0
        for i in range(n):
            margin = 0.0
            for k in range(d):
                margin += b[i, k] * path[t, k]
            if margin <= 0:
                h = 0.5 if margin == 0 else 1.0
                total += h
                for k in range(d):
                    update[k] += h * b[i, k]
        if total == 0:
            path[t + 1 :] = path[t]
            break
        path[t + 1] = path[t] + update / (total if normalized else n)
    return path


@njit(cache=True)
def _logistic(b, gamma, n_steps, normalized):
    n, d = b.shape
    path = np.zeros((n_steps + 1, d))
    log_weights = np.empty(n)
    for t in range(n_steps):
        for i in range(n):
            x = 0.0
            for k in range(d):
                x += b[i, k] * path[t, k]
            x *= gamma
            log_weights[i] = -max(x, 0.0) - np.log1p(np.exp(-abs(x)))
        largest = log_weights.max() if normalized else 0.0
        weights = np.exp(log_weights - largest)
        total = weights.sum() if normalized else float(n)
        for k in range(d):
            step = 0.0
            for i in range(n):
                step += weights[i] * b[i, k]
            path[t + 1, k] = path[t, k] + step / total
    return path


def _rows(signed_features: ArrayLike) -> Array:
    b = validation.finite("signed_features", signed_features, ndim=2)
    if not b.size:
        raise ValueError(f"signed_features must have shape (n, d) with n, d >= 1; got {b.shape}")
    return np.ascontiguousarray(b)
