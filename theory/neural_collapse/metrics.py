"""Measures of collapse: how close the features and the head of any classifier are to the predicted geometry."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.neural_collapse import _checks

Array = NDArray[np.float64]

PINV_RCOND = 1e-6


@dataclass(frozen=True, eq=False)
class ClassStatistics:
    """Class means (d, K) and covariances of labelled features; see :func:`class_statistics`.

    Attributes
    ----------
    means : ndarray, shape (d, K)
        Class means, one a column.
    global_mean : ndarray, shape (d,)
        Mean of the class means: every class counts the same, however many samples it has.
    sigma_w : ndarray, shape (d, d)
        Within-class covariance: every sample counts the same.
    sigma_b : ndarray, shape (d, d)
        Covariance of the class means around ``global_mean``.
    """

    means: Array
    global_mean: Array
    sigma_w: Array
    sigma_b: Array


@dataclass(frozen=True)
class NCMetrics:
    """Distances from collapse, all zero at a balanced simplex ETF; see :func:`nc_metrics`.

    Attributes
    ----------
    nc1 : float
        Tr(Sigma_W Sigma_B^+) / K.
    nc1_trace : float
        Tr Sigma_W / Tr Sigma_B.
    nc2_etf : float
        Distance of the centred means' Gram matrix from the simplex ETF's, both normalised.
    nc2_orthogonal : float
        Distance of the means' Gram matrix, not centred, from an orthogonal frame's.
    nc2_classifier_etf : float
        Distance of the classifier's Gram matrix from the simplex ETF's.
    nc3 : float
        Distance between classifier and transposed means, both normalised.
    nc4 : float
        Share of samples on which classifier and nearest class mean disagree.
    """

    nc1: float
    nc1_trace: float
    nc2_etf: float
    nc2_orthogonal: float
    nc2_classifier_etf: float
    nc3: float
    nc4: float


def class_statistics(features: ArrayLike, labels: ArrayLike) -> ClassStatistics:
    r"""Class means and the within- and between-class covariances of labelled features.

    .. math:: \Sigma_W = \frac1N \sum_k \sum_{i \in k} (h_i - \bar h_k)(h_i - \bar h_k)^T , \qquad
              \Sigma_B = \frac1K \sum_k (\bar h_k - \bar h_G)(\bar h_k - \bar h_G)^T , \qquad
              \bar h_G = \frac1K \sum_k \bar h_k

    With balanced classes h_G is the mean of the samples too. With imbalanced ones the two differ, and Sigma_W +
    Sigma_B is not the total covariance. Costs O(d^2 N).

    Parameters
    ----------
    features : array_like, shape (d, N)
        One sample a column; a NumPy or a JAX array.
    labels : array_like of int, shape (N,)
        Classes 0..K-1, each of which must occur, in any order.

    Returns
    -------
    ClassStatistics

    Raises
    ------
    TypeError
        If labels are not integers.
    ValueError
        If shapes do not match, a class has no sample, or an entry is not finite.

    References
    ----------
    Papyan, Han and Donoho (2020), arXiv:2008.08186.

    Examples
    --------
    >>> class_statistics([[0.0, 2.0, 5.0]], [0, 0, 1]).global_mean.tolist()
    [3.0]
    """
    h, y, counts = _checks.labelled(features, labels)
    means = np.zeros((h.shape[0], counts.size))
    np.add.at(means.T, y, h.T)
    means /= counts
    within = h - means[:, y]
    global_mean = means.mean(axis=1)
    between = means - global_mean[:, None]
    return ClassStatistics(means, global_mean, within @ within.T / y.size, between @ between.T / counts.size)


def nc_metrics(
    features: ArrayLike,
    labels: ArrayLike,
    classifier: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    centred: bool = True,
) -> NCMetrics:
    r"""Neural-collapse metrics of the features and the linear head of any network.

    With the statistics of :func:`class_statistics`, :math:`C = \bar H - \bar h_G 1^T`, :math:`J = 11^T/K` and
    :math:`N(A) = A / \lVert A \rVert_F`,

    .. math::
        \mathrm{nc1} &= \tfrac1K \mathrm{Tr}(\Sigma_W \Sigma_B^+) , \qquad
        \mathrm{nc1\_trace} = \mathrm{Tr}\,\Sigma_W / \mathrm{Tr}\,\Sigma_B , \\
        \mathrm{nc2\_etf} &= \lVert N(C^T C) - N(I - J) \rVert_F , \qquad
        \mathrm{nc2\_orthogonal} = \lVert N(\bar H^T \bar H) - N(I) \rVert_F , \\
        \mathrm{nc2\_classifier\_etf} &= \lVert N(W W^T) - N(I - J) \rVert_F , \qquad
        \mathrm{nc3} = \lVert N(W) - N(C^T) \rVert_F ,

    and nc4 the share of samples whose class under argmax(W h + b) differs from that of the nearest class mean. All
    are invariant under rotations of feature space and, but for nc4 with a bias, under scaling of the features.

    Which are to vanish depends on the head. With a free bias and balanced classes all do but nc2_orthogonal; without
    a bias the limit is an orthogonal frame: nc2_orthogonal vanishes, nc2_classifier_etf stays, and nc3 is to be taken
    with ``centred=False``. With imbalanced classes no nc2 or nc3 vanishes, as lengths depend on class size: compare
    with the Gram matrices of :func:`~theory.neural_collapse.ufm_mse_minimizer` instead. Costs O(d^2 N + d^3).

    Parameters
    ----------
    features : array_like, shape (d, N)
        Penultimate-layer features, one sample a column; a NumPy or a JAX array.
    labels : array_like of int, shape (N,)
        Classes 0..K-1, each of which must occur.
    classifier : array_like, shape (K, d)
        Weights W of the head; the product of all its layers for a deep linear head.
    bias : array_like, shape (K,), optional
        Bias of the head; none when left out.
    centred : bool
        Whether nc3 compares W with the centred means C (True) or with the means themselves.

    Returns
    -------
    NCMetrics

    Raises
    ------
    TypeError
        If labels are not integers.
    ValueError
        If shapes do not match, a class has no sample or an entry is not finite; and if the class means all coincide
        or the classifier is zero, which leaves a metric undefined.

    References
    ----------
    Papyan, Han and Donoho (2020), arXiv:2008.08186. The pseudo-inverse drops eigenvalues of Sigma_B below 1e-6 times
    the largest: its rank is K - 1 at most.

    Examples
    --------
    >>> from theory.neural_collapse import simplex_etf
    >>> E = simplex_etf(4)
    >>> round(nc_metrics(E, [0, 1, 2, 3], E.T).nc3, 12)
    0.0
    """
    h, y, counts = _checks.labelled(features, labels)
    k = counts.size
    w = validation.finite("classifier", classifier, ndim=2)
    if w.shape != (k, h.shape[0]):
        raise ValueError(f"classifier must have shape {(k, h.shape[0])}, classes by features; got {w.shape}")
    b = np.zeros(k) if bias is None else validation.finite("bias", bias, ndim=1)
    if b.shape != (k,):
        raise ValueError(f"bias must have shape {(k,)}; got {b.shape}")
    _checks.flag("centred", centred)
    if not w.any():
        raise ValueError("classifier must not be zero: its direction is not defined")

    stats = class_statistics(h, y)
    means, centred_means = stats.means, stats.means - stats.global_mean[:, None]
    between = np.trace(stats.sigma_b)
    if between <= (1e-14 * np.abs(means).max()) ** 2:
        raise ValueError("features must have class means that differ; they all coincide")

    etf = (np.eye(k) - 1 / k) / np.sqrt(k - 1)
    compared = centred_means if centred else means
    predicted = np.argmax(w @ h + b[:, None], axis=0)
    # |h - m|^2 up to |h|^2, which does not move the minimum over classes.
    offsets = h - stats.global_mean[:, None]
    nearest = np.argmin(np.sum(centred_means**2, axis=0)[:, None] - 2 * centred_means.T @ offsets, axis=0)
    return NCMetrics(
        nc1=float(np.sum(stats.sigma_w * np.linalg.pinv(stats.sigma_b, rcond=PINV_RCOND, hermitian=True)) / k),
        nc1_trace=float(np.trace(stats.sigma_w) / between),
        nc2_etf=_distance(centred_means.T @ centred_means, etf),
        nc2_orthogonal=_distance(means.T @ means, np.eye(k) / np.sqrt(k)),
        nc2_classifier_etf=_distance(w @ w.T, etf),
        nc3=_distance(w, compared.T / np.linalg.norm(compared)),
        nc4=float(np.mean(predicted != nearest)),
    )


def _distance(matrix: Array, unit: Array) -> float:
    return float(np.linalg.norm(matrix / np.linalg.norm(matrix) - unit))
