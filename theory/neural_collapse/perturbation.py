r"""Features tied to a given matrix: the collapsed minimiser, and its linear response to what it is tied to.

Units of Tirer, Huang and Niles-Weed, balanced classes, no bias:

.. math:: f(W, H; H_0) = \frac{1}{2Kn} \lVert W H - Y \rVert_F^2 + \frac{\lambda_W}{2K} \lVert W \rVert_F^2
          + \frac{\lambda_H}{2Kn} \lVert H \rVert_F^2 + \frac{\beta}{2Kn} \lVert H - H_0 \rVert_F^2 .

The rest of the package writes lam_1 = lambda_W / K and lam_H = lambda_H / (K n) for the same decays.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.neural_collapse import _checks

Array = NDArray[np.float64]


class NearCollapse(NamedTuple):
    """Head ``weights`` (K, d) and ``features`` (d, K n), samples ordered by class."""

    weights: Array
    features: Array


class Response(NamedTuple):
    """First-order change of ``features`` (d, K n) and head ``weights`` (K, d)."""

    features: Array
    weights: Array


class BlockSpectrum(NamedTuple):
    """Spectrum of the linear response; see :func:`response_block_singular_values`.

    Attributes
    ----------
    intra : ndarray, shape (d n,)
        Singular values of a class's response to itself, descending.
    inter : float
        The only nonzero singular value of a class's response to another one.
    full : ndarray, shape (d n K,)
        Eigenvalues of the whole response, a symmetric matrix, ascending.
    """

    intra: Array
    inter: float
    full: Array


class _Factors(NamedTuple):
    """Damping inside the frame, outside of it, and of symmetric changes of the means."""

    inside: float
    outside: float
    symmetric: float


def near_collapse_minimizer(
    num_classes: int,
    samples_per_class: int,
    dim: int,
    *,
    weight_decay: float,
    feature_decay: float,
    frame: ArrayLike | None = None,
) -> NearCollapse:
    r"""Collapsed minimiser: orthogonal class means, every sample at its mean, the head aligned with them.

    .. math:: H^* = \sqrt\rho\, R \otimes 1_n^T , \quad W^* = \sqrt{\lambda_H/\lambda_W}\, \sqrt\rho\, R^T , \quad
              \rho = (1 - c) \sqrt{\lambda_W/\lambda_H} , \quad c = \sqrt{\lambda_W \lambda_H} < 1 ,

    R any K orthonormal columns. Its value is c (2 - c)/2. It minimises f without the tie (beta = 0) and, tied to
    itself, for every beta. Costs O(d K n).

    Parameters
    ----------
    num_classes, samples_per_class, dim : int
        K >= 2, n >= 1 and d >= K.
    weight_decay, feature_decay : float
        lambda_W and lambda_H, positive, with product below 1; in the units of this paper (lam_1 = lambda_W / K and
        lam_H = lambda_H / (K n) in those of :func:`ufm_mse_minimizer`).
    frame : array_like, shape (d, K), optional
        R; the first K coordinate directions when left out.

    Returns
    -------
    NearCollapse

    Raises
    ------
    ValueError
        If an argument is out of range, ``frame`` is not orthonormal or has another shape, or the product of the decays
        is 1 or more, where the minimiser is zero.

    References
    ----------
    Tirer, Huang and Niles-Weed (2023), arXiv:2210.16658, theorem 2.1 and corollary 2.2.

    Examples
    --------
    >>> near_collapse_minimizer(2, 1, 2, weight_decay=0.5, feature_decay=0.5).features.round(6).tolist()
    [[0.707107, 0.0], [0.0, 0.707107]]
    """
    k, n, d = _sizes(num_classes, samples_per_class, dim)
    lam_w, lam_h, c = _decays(weight_decay, feature_decay)
    if frame is None:
        r = np.eye(d, k)
    else:
        r = _checks.orthonormal_frame("frame", frame)
        if r.shape != (d, k):
            raise ValueError(f"frame must have shape {(d, k)}; got {r.shape}")
    length = np.sqrt((1 - c) * np.sqrt(lam_w / lam_h))
    return NearCollapse(weights=np.sqrt(lam_h / lam_w) * length * r.T, features=np.repeat(length * r, n, axis=1))


def near_collapse_response(
    delta_h0: ArrayLike,
    frame: ArrayLike,
    *,
    samples_per_class: int,
    weight_decay: float,
    feature_decay: float,
    beta: float,
) -> Response:
    r"""First-order change of the minimiser when the tie moves off the collapsed features, exact in beta.

    Tied to :math:`H^* + \delta H_0`, the minimiser is :math:`(W^*, H^*) + (\delta W, \delta H) + O(\delta H_0^2)`.
    Within-class deviations shrink by :math:`\beta/(\beta + \tau)` inside the span of R and by
    :math:`\beta/(\beta + \lambda_H)` outside, :math:`\tau = \sqrt{\lambda_H/\lambda_W}`. Class means follow in full
    outside the span and where :math:`A_0 = R^T \delta \bar H_0` is antisymmetric (both are rotations of the frame),
    and by :math:`g = \beta/(\beta + 4\lambda_H(1-c))` where it is symmetric:

    .. math:: \delta\bar H = R_\perp R_\perp^T \delta\bar H_0 + R\,A , \qquad
              A = \tfrac{1+g}{2} A_0 - \tfrac{1-g}{2} A_0^T , \qquad
              \delta W = \tau \bigl(c A^T - (1-c) A\bigr) R^T
                         + \tfrac{c}{\lambda_W} (R_\perp R_\perp^T \delta\bar H)^T .

    Costs O(d K^2 n).

    Parameters
    ----------
    delta_h0 : array_like, shape (d, K n)
        Change of the tie, samples ordered by class.
    frame : array_like, shape (d, K)
        R, orthonormal columns, d >= K.
    samples_per_class : int
        n >= 1.
    weight_decay, feature_decay : float
        lambda_W and lambda_H, positive, with product below 1, in the units of this paper.
    beta : float
        Strength of the tie, positive.

    Returns
    -------
    Response

    Raises
    ------
    ValueError
        If an argument is out of range, shapes do not match, or ``frame`` is not orthonormal.

    References
    ----------
    Tirer, Huang and Niles-Weed (2023), arXiv:2210.16658, theorems 4.1 and 4.2, there to first order in 1/beta.

    Examples
    --------
    >>> import numpy as np
    >>> change = near_collapse_response(0.1 * np.eye(2), np.eye(2), samples_per_class=1, weight_decay=1.0,
    ...                                 feature_decay=0.25, beta=0.5)
    >>> change.features.round(12).tolist()
    [[0.05, 0.0], [0.0, 0.05]]
    """
    r = _checks.orthonormal_frame("frame", frame)
    d, k = r.shape
    n = validation.integer("samples_per_class", samples_per_class, minimum=1)
    change = validation.finite("delta_h0", delta_h0, ndim=2)
    if change.shape != (d, k * n):
        raise ValueError(f"delta_h0 must have shape {(d, k * n)}, features by samples; got {change.shape}")
    lam_w, lam_h, c = _decays(weight_decay, feature_decay)
    factors = _damping(lam_w, lam_h, c, validation.positive_scalar("beta", beta))

    means = change.reshape(d, k, n).mean(axis=2)
    within = change - np.repeat(means, n, axis=1)
    within = factors.outside * within + (factors.inside - factors.outside) * r @ (r.T @ within)
    coefficients = r.T @ means
    outside = means - r @ coefficients
    g = factors.symmetric
    a = (1 + g) / 2 * coefficients - (1 - g) / 2 * coefficients.T
    weights = np.sqrt(lam_h / lam_w) * (c * a.T - (1 - c) * a) @ r.T + c / lam_w * outside.T
    return Response(features=within + np.repeat(outside + r @ a, n, axis=1), weights=weights)


def response_block_singular_values(
    num_classes: int,
    samples_per_class: int,
    dim: int,
    *,
    weight_decay: float,
    feature_decay: float,
    beta: float,
) -> BlockSpectrum:
    r"""Spectrum of the response of :func:`near_collapse_response`, whole and by pairs of classes, exact in beta.

    A class responds to itself with the singular values

    .. math:: \tfrac{\beta}{\beta+\tau} \times (n-1)K , \quad \tfrac{\beta}{\beta+\lambda_H} \times (n-1)(d-K) , \quad
              1 \times (d-K) , \quad \tfrac{1+g}{2} \times (K-1) , \quad g \times 1 ,

    and to another one with (1-g)/2 once, zero otherwise; tau and g as in :func:`near_collapse_response`. To first
    order in 1/beta the least intra-class value is 1 - tau/beta and the inter-class one 2 lambda_H (1-c)/beta, the form
    in which the paper states them. Costs O(d K n log(d n)).

    Parameters
    ----------
    num_classes, samples_per_class, dim : int
        K >= 2, n >= 1 and d >= K.
    weight_decay, feature_decay : float
        lambda_W and lambda_H, positive, with product below 1, in the units of this paper.
    beta : float
        Strength of the tie, positive.

    Returns
    -------
    BlockSpectrum

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Tirer, Huang and Niles-Weed (2023), arXiv:2210.16658, theorem 4.2.

    Examples
    --------
    >>> response_block_singular_values(2, 1, 2, weight_decay=1.0, feature_decay=0.25, beta=0.5).intra.tolist()
    [0.75, 0.5]
    """
    k, n, d = _sizes(num_classes, samples_per_class, dim)
    f = _damping(*_decays(weight_decay, feature_decay), validation.positive_scalar("beta", beta))
    within = np.repeat([f.inside, f.outside], [(n - 1) * k, (n - 1) * (d - k)])
    means = np.repeat([1.0, (1 + f.symmetric) / 2, f.symmetric], [d - k, k - 1, 1])
    rotations = k * (d - k) + k * (k - 1) // 2
    full = [np.tile(within, k), np.ones(rotations), np.full(k * (k + 1) // 2, f.symmetric)]
    return BlockSpectrum(
        intra=np.sort(np.concatenate([within, means]))[::-1],
        inter=(1 - f.symmetric) / 2,
        full=np.sort(np.concatenate(full)),
    )


def within_class_response(deviations: ArrayLike, weights: ArrayLike, *, feature_decay: float, beta: float) -> Array:
    r"""Within-class deviations at any stationary point of f, from those of the features it is tied to.

    .. math:: D = \beta \bigl((\lambda_H + \beta) I + W^T W\bigr)^{-1} D_0 ,

    W the head at the stationary point; exact for every beta and every H_0, near collapse or not. As a consequence
    :math:`\mathrm{Tr}\,\Sigma_W \le (\beta/(\beta+\lambda_H))^2\, \mathrm{Tr}\,\Sigma_W(H_0)`. Costs O(d^3 + d^2 N).

    Parameters
    ----------
    deviations : array_like, shape (d, N)
        D_0: H_0 minus its class means, or any other change of H_0 that leaves class means alone.
    weights : array_like, shape (K, d)
        W.
    feature_decay : float
        lambda_H >= 0, in the units of this paper.
    beta : float
        Strength of the tie, positive.

    Returns
    -------
    ndarray, shape (d, N)
        D.

    Raises
    ------
    ValueError
        If an argument is out of range or shapes do not match.

    References
    ----------
    Own derivation, from the stationarity of the objective of Tirer, Huang and Niles-Weed (2023), arXiv:2210.16658.

    Examples
    --------
    >>> within_class_response([[1.0, -1.0]], [[2.0]], feature_decay=0.5, beta=0.5).tolist()
    [[0.1, -0.1]]
    """
    d0 = validation.finite("deviations", deviations, ndim=2)
    w = validation.finite("weights", weights, ndim=2)
    if w.shape[1] != d0.shape[0]:
        raise ValueError(f"weights must have {d0.shape[0]} columns, one for each feature; got shape {w.shape}")
    lam_h = float(validation.nonnegative("feature_decay", feature_decay, ndim=0))
    tie = validation.positive_scalar("beta", beta)
    stiffness = (lam_h + tie) * np.eye(d0.shape[0]) + w.T @ w
    return np.asarray(np.linalg.solve(stiffness, tie * d0), dtype=float)


def _sizes(num_classes: int, samples_per_class: int, dim: int) -> tuple[int, int, int]:
    k = validation.integer("num_classes", num_classes, minimum=2)
    n = validation.integer("samples_per_class", samples_per_class, minimum=1)
    return k, n, validation.integer("dim", dim, minimum=k)


def _decays(weight_decay: float, feature_decay: float) -> tuple[float, float, float]:
    lam_w = validation.positive_scalar("weight_decay", weight_decay)
    lam_h = validation.positive_scalar("feature_decay", feature_decay)
    c = float(np.sqrt(lam_w) * np.sqrt(lam_h))
    if c >= 1:
        raise ValueError(
            f"weight_decay must be below 1 / feature_decay = {1 / lam_h:g}, since the minimiser is zero from there on; "
            f"got {lam_w:g}"
        )
    return lam_w, lam_h, c


def _damping(lam_w: float, lam_h: float, c: float, beta: float) -> _Factors:
    return _Factors(
        inside=beta / (beta + np.sqrt(lam_h / lam_w)),
        outside=beta / (beta + lam_h),
        symmetric=beta / (beta + 4 * lam_h * (1 - c)),
    )
