r"""Self-distillation of kernel ridge regression: students fitted to labels and to their teachers at once.

The first model is fitted to labels, each further one to a mixture of labels and its predecessor's fit. In convention
(A), without n in front of the ridge, step t minimises

.. math:: \frac{\alpha_t}{2} |f(X) - y|^2 + \frac{1 - \alpha_t}{2} |f(X) - y^{(t-1)}|^2 + \frac\lambda2 |f|^2,
          \qquad y^{(0)} = y,

whose fit is :math:`y^{(t)} = A (\alpha_t y + (1 - \alpha_t) y^{(t-1)})` with the smoother :math:`A = K (K +
\lambda)^{-1}`. So :math:`y^{(t)}` is y smoothed a random number of times: once and again until labels are drawn.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, integer, interval, nonnegative, positive, same_shape, scalar

Array = NDArray[np.float64]

_SLACK = 1e-10  # asymmetry, or a negative eigenvalue, that rounding may leave in a Gram matrix, over its largest


def self_distillation_weights(*, alpha: ArrayLike, steps: int) -> Array:
    r"""Weights w_1, ..., w_t of the smoother's powers in the fit after t steps; nonnegative, of sum 1.

    .. math:: y^{(t)} = \sum_{j=1}^t w_j A^j y, \qquad w_j = \alpha_{t-j+1} \prod_{i=t-j+2}^{t} (1 - \alpha_i)
              \quad (j < t), \qquad w_t = \prod_{i=2}^t (1 - \alpha_i)

    Parameters
    ----------
    alpha : array_like
        Weight of the labels, in [0, 1]: one for all steps, or one a step, shape (t,), the first of which plays no part.
    steps : int
        t >= 1; the teacher is step 1.

    Returns
    -------
    array, shape (t,)
        Costs O(t).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or ``alpha`` has neither one entry nor t.

    References
    ----------
    Borup and Andersen (2021, arXiv:2102.13088).

    Examples
    --------
    >>> self_distillation_weights(alpha=0.5, steps=4)
    array([0.5  , 0.25 , 0.125, 0.125])
    """
    t = integer("steps", steps, minimum=1)
    newest_first = _label_weights(alpha, t)[:0:-1]
    unread = np.concatenate([[1.0], np.cumprod(1 - newest_first)])
    return np.concatenate([newest_first * unread[:-1], unread[-1:]])


def self_distillation_shrinkage(
    gram_eigenvalues: ArrayLike, *, ridge: float, alpha: ArrayLike, steps: float
) -> NDArray[np.float64]:
    r"""Share b_t of the labels that the fit after t steps keeps along an eigenvector of the Gram matrix.

    At one weight for all steps and :math:`u = (1 - \alpha) \frac{d}{d + \lambda}`,

    .. math:: b_t = \frac{\alpha d + \lambda u^t}{\alpha d + \lambda},

    in which nothing cancels; :math:`b_\infty` is ridge regression with :math:`\lambda / \alpha`. Other weights sum
    powers of :math:`d / (d + \lambda)`, see `self_distillation_weights`.

    Parameters
    ----------
    gram_eigenvalues : array_like
        d >= 0 of K, any shape.
    ridge : float
        lambda >= 0, in the units of d and **not** multiplied by n; none is the limit of little.
    alpha : array_like
        Weight of the labels, in [0, 1]: one for all steps, or one a step, shape (t,), the first of which plays no part.
    steps : int or inf
        t >= 0; inf with one weight only.

    Returns
    -------
    array
        Of the shape of ``gram_eigenvalues``, in [0, 1]. Costs O(1) each, O(t) where weights differ.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or ``alpha`` has neither one entry nor t.

    References
    ----------
    Borup and Andersen (2021, arXiv:2102.13088); for alpha = 0, Mobahi, Farajtabar, Bartlett (2020, arXiv:2002.05715).

    Examples
    --------
    >>> self_distillation_shrinkage([4.0, 1.0], ridge=1.0, alpha=0.5, steps=2)
    array([0.72 , 0.375])
    >>> self_distillation_shrinkage([4.0, 1.0], ridge=1.0, alpha=0.5, steps=np.inf).round(4)
    array([0.6667, 0.3333])
    """
    d = nonnegative("gram_eigenvalues", gram_eigenvalues)
    lam = float(nonnegative("ridge", ridge, ndim=0))
    t = _steps(steps)
    weight = _label_weights(alpha, t)
    if t == 0:
        return np.ones_like(d)
    if np.ndim(alpha) > 0:
        smoothed = np.zeros_like(d)
        once = np.where(d > 0, d / np.where(d > 0, d + lam, 1.0), 0.0)
        for share in self_distillation_weights(alpha=weight, steps=int(t))[::-1]:
            smoothed = once * (smoothed + share)
        return smoothed
    a = float(weight[0])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log_u = np.log1p(-a) - np.log1p(lam / d)
        faded = np.where(log_u < 0, np.exp(t * log_u), 1.0)  # 1 where neither ridge nor labels draw away from y
        kept = (a * d + lam * faded) / (a * d + lam)
    return np.where(a * d + lam > 0, kept, np.where(d > 0, 1.0, 0.0))


def self_distillation_fit(gram: ArrayLike, y: ArrayLike, *, ridge: float, alpha: ArrayLike, steps: float) -> Array:
    r"""Fit at the training points after t steps, :math:`y^{(t)}`.

    Parameters
    ----------
    gram : array_like, shape (n, n)
        K, symmetric and positive semidefinite.
    y : array_like, shape (n,) or (n, outputs)
        Labels.
    ridge, alpha, steps
        As for `self_distillation_shrinkage`.

    Returns
    -------
    array
        Of the shape of ``y``. Costs one eigendecomposition, O(n^3), whatever t.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, shapes disagree, or ``gram`` is not symmetric or has a negative eigenvalue.

    References
    ----------
    Borup and Andersen (2021, arXiv:2102.13088).

    Examples
    --------
    >>> self_distillation_fit([[4.0, 0.0], [0.0, 1.0]], [1.0, 2.0], ridge=1.0, alpha=0.5, steps=2)
    array([0.72, 0.75])
    """
    d, vectors = _decompose(gram)
    labels = _labels(y, d)
    kept = self_distillation_shrinkage(d, ridge=ridge, alpha=alpha, steps=steps)
    return _along(vectors, kept, labels)


def self_distillation_predict(
    cross_gram: ArrayLike, gram: ArrayLike, y: ArrayLike, *, ridge: float, alpha: ArrayLike, steps: float
) -> Array:
    r"""Predictions after t steps, :math:`K(x, X) (K + \lambda)^{-1} (\alpha_t y + (1 - \alpha_t) y^{(t-1)})`.

    Parameters
    ----------
    cross_gram : array_like, shape (m, n)
        Kernel between the points asked and the training points.
    gram, y, ridge, alpha
        As for `self_distillation_fit`.
    steps : int or inf
        t >= 1.

    Returns
    -------
    array, shape (m,) or (m, outputs)
        Costs O(n^3 + m n).

    Raises
    ------
    TypeError, ValueError
        As `self_distillation_fit` does.

    References
    ----------
    Borup and Andersen (2021, arXiv:2102.13088).

    Examples
    --------
    >>> self_distillation_predict([[2.0]], [[4.0]], [1.0], ridge=1.0, alpha=0.5, steps=2)
    array([0.36])
    """
    d, vectors = _decompose(gram)
    labels = _labels(y, d)
    asked = finite("cross_gram", cross_gram, ndim=2)
    if asked.shape[1] != d.size:
        raise ValueError(f"cross_gram must have as many columns as gram, {d.size}; got shape {asked.shape}")
    t = _steps(steps)
    if t < 1:
        raise ValueError(f"steps must be at least 1; got {steps}")
    weight = _label_weights(alpha, t)
    last = float(weight[-1])
    before = self_distillation_shrinkage(
        d, ridge=ridge, alpha=alpha if np.ndim(alpha) == 0 else weight[:-1], steps=t - 1
    )
    whole = d + float(ridge)
    dual = np.where(whole > 0, (last + (1 - last) * before) / np.where(whole > 0, whole, 1.0), 0.0)
    return asked @ _along(vectors, dual, labels)


def self_distillation_rate(top_eigenvalue: ArrayLike, *, ridge: ArrayLike, alpha: ArrayLike) -> Array:
    r"""Factor by which the distance to the last fit falls in a step, :math:`(1 - \alpha) \frac{d_1}{d_1 + \lambda}`.

    Parameters
    ----------
    top_eigenvalue : array_like
        d_1 > 0, the largest of the Gram matrix along which labels do not vanish.
    ridge : array_like
        lambda >= 0.
    alpha : array_like
        Weight of the labels, in [0, 1].

    Returns
    -------
    array
        Of the broadcast shape, in [0, 1].

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Borup and Andersen (2021, arXiv:2102.13088).

    Examples
    --------
    >>> float(self_distillation_rate(4.0, ridge=1.0, alpha=0.25))
    0.6
    """
    d, lam = positive("top_eigenvalue", top_eigenvalue), nonnegative("ridge", ridge)
    return ((1 - interval("alpha", alpha, 0, 1)) * d / (d + lam))[()]


def self_distillation_crossing(strong: ArrayLike, weak: ArrayLike, *, ridge: ArrayLike) -> Array:
    r"""Step after which a strong direction outweighs a weak one by more than it will in the end.

    With eigenvalues :math:`d_1 > d_2` and any weight :math:`0 < \alpha < 1`, the ratio of their shares b_t is below its
    limit before

    .. math:: t^* = \frac{\log(d_1 / d_2)}{\log\frac{d_1}{d_1 + \lambda} - \log\frac{d_2}{d_2 + \lambda}}

    and above it ever after: relative distances of the shares from their limits are :math:`\frac{\lambda}{\alpha d} u^t`
    with u as for `self_distillation_shrinkage`, larger for d_2 at first, and :math:`\alpha` drops out where they are
    equal. So no ratio approaches its limit from below.

    Parameters
    ----------
    strong, weak : array_like
        d_1 > d_2 > 0.
    ridge : array_like
        lambda > 0.

    Returns
    -------
    array
        Of the broadcast shape, > 1, not rounded to a whole step. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Derived here, for the model of Borup and Andersen (2021, arXiv:2102.13088).

    Examples
    --------
    >>> round(float(self_distillation_crossing(4.0, 1.0, ridge=1.0)), 4)
    2.9495
    """
    d1, d2 = positive("strong", strong), positive("weak", weak)
    lam = positive("ridge", ridge)
    if np.any(d1 <= d2):
        raise ValueError(f"strong must be above weak; got {strong!r} and {weak!r}")
    gap = (d1 - d2) / d2
    return (np.log1p(gap) / np.log1p(lam * gap / (d1 + lam)))[()]


def optimal_distillation_weight(target: ArrayLike, prediction_truth: ArrayLike, prediction_teacher: ArrayLike) -> float:
    r"""Weight of the labels that is best for the last step, by squared error on validation targets.

    Predictions are affine in the last weight, :math:`\alpha P_1 + (1 - \alpha) P_2`, so that

    .. math:: \alpha^* = \frac{\langle P_1 - P_2, v - P_2 \rangle}{|P_1 - P_2|^2} .

    Often outside [0, 1]; clipped, it is the best weight inside.

    Parameters
    ----------
    target : array_like
        v, any shape.
    prediction_truth : array_like
        P_1, predictions of a model fitted to the labels alone.
    prediction_teacher : array_like
        P_2, predictions of one fitted to its teacher's fit alone.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes disagree, or the predictions are equal, so that every weight is as good.

    References
    ----------
    Borup and Andersen (2021, arXiv:2102.13088).

    Examples
    --------
    >>> optimal_distillation_weight([3.0], [2.0], [1.0])
    2.0
    """
    wanted = finite("target", target)
    first = same_shape("prediction_truth", finite("prediction_truth", prediction_truth), "target", wanted)
    second = same_shape("prediction_teacher", finite("prediction_teacher", prediction_teacher), "target", wanted)
    apart = (first - second).ravel()
    size = float(apart @ apart)
    if size == 0:
        raise ValueError("prediction_truth must differ from prediction_teacher; got equal ones")
    return float(apart @ (wanted - second).ravel()) / size


class _Decomposition(NamedTuple):
    eigenvalues: Array
    vectors: Array


def _decompose(gram: ArrayLike) -> _Decomposition:
    K = finite("gram", gram, ndim=2)
    if K.shape[0] != K.shape[1] or K.shape[0] == 0:
        raise ValueError(f"gram must be square; got shape {K.shape}")
    size = float(np.max(np.abs(K)))
    if np.max(np.abs(K - K.T)) > _SLACK * size:
        raise ValueError(f"gram must be symmetric; got entries that differ by {np.max(np.abs(K - K.T)):g}")
    values, vectors = np.linalg.eigh(0.5 * (K + K.T))
    if values[0] < -_SLACK * max(values[-1], size):
        raise ValueError(f"gram must have no negative eigenvalue; got {values[0]:g}")
    rounding = len(K) * np.finfo(float).eps * max(values[-1], 0.0)
    return _Decomposition(np.where(values > rounding, values, 0.0), vectors)


def _labels(y: ArrayLike, d: Array) -> Array:
    labels = finite("y", y)
    if labels.ndim not in (1, 2) or len(labels) != d.size:
        raise ValueError(f"y must have one row a row of gram, {d.size}; got shape {labels.shape}")
    return labels


def _along(vectors: Array, factors: Array, labels: Array) -> Array:
    return (vectors * factors) @ (vectors.T @ labels)


def _steps(steps: float) -> float:
    """Return t as an int, or inf."""
    if isinstance(steps, float | np.floating) and math.isinf(steps) and steps > 0:
        return math.inf
    try:
        return integer("steps", steps, minimum=0)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"steps must be an integer or inf; got {steps!r}") from None


def _label_weights(alpha: ArrayLike, t: float) -> Array:
    """Return one weight a step, or for infinitely many the one."""
    weights = interval("alpha", alpha, 0, 1)
    if weights.ndim == 0:
        return np.full(1 if math.isinf(t) else int(t), scalar("alpha", alpha))
    if weights.shape != (t,):
        raise ValueError(f"alpha must be one number, or one for each of {t:g} steps; got shape {weights.shape}")
    return weights
