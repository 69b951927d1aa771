"""Dynamics of collapse mode by mode: growth from small features, and the renormalised central path."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.neural_collapse import _checks

Array = NDArray[np.float64]

NEWTON_STEPS = 200
LARGEST_GROWTH = 700.0  # e^709 is the largest float


class LinearizedFlow(NamedTuple):
    """Head ``weights`` (T, K, d) and ``features`` (T, d, K n) along the linearised flow."""

    weights: Array
    features: Array


def ufm_gradient_flow_modes(m0: ArrayLike, t: ArrayLike, *, target: ArrayLike, decay: float = 0.0) -> Array:
    r"""Modes of W H under the gradient flow of a linear head and free features from a balanced start.

    For :math:`\frac12 \lVert W H + b 1^T - Y \rVert_F^2 + \frac\lambda2 (\lVert W \rVert_F^2 + \lVert H \rVert_F^2)`
    (without 1/N) and W, H that start with equal singular values along the target's singular vectors,

    .. math:: \dot m = 2 m (s - \lambda - m) , \qquad
              m(t) = \frac{m_0}{e^{-x} + 2 t\, m_0 (1 - e^{-x})/x} , \quad x = 2 (s - \lambda) t .

    With balanced classes s = sqrt(n) for all modes, K - 1 of them with a bias and K without. Accurate to a few
    roundings at any x. Costs O(T k).

    Parameters
    ----------
    m0 : array_like, shape (k,)
        Modes at time 0, nonnegative.
    t : array_like, shape (T,)
        Times >= 0, in any order, for a flow of unit rate.
    target : float or array_like, shape (k,)
        Singular values s > 0 of the target.
    decay : float
        lambda >= 0.

    Returns
    -------
    ndarray, shape (T, k)

    Raises
    ------
    ValueError
        If an argument is out of range, or ``target`` does not broadcast to the shape of ``m0``.

    References
    ----------
    Mixon, Parshall and Pi (2020), arXiv:2011.11619, whose flow this solves beyond the linear regime; with decay an
    own derivation.

    Examples
    --------
    >>> ufm_gradient_flow_modes([0.1], [0.0, 100.0], target=2.0).tolist()
    [[0.1], [2.0]]
    """
    start = validation.nonnegative("m0", m0, ndim=1)
    times = validation.nonnegative("t", t, ndim=1)[:, None]
    s = validation.positive("target", target)
    if s.shape not in ((), start.shape):
        raise ValueError(f"target must be a number or have the shape of m0, {start.shape}; got {s.shape}")
    lam = float(validation.nonnegative("decay", decay, ndim=0))

    x = 2 * (s - lam) * times
    # Written with e^{-|x|}, so that neither sign of the growth rate overflows.
    small = np.exp(-np.abs(x))
    share = np.where(x == 0, 1.0, -np.expm1(-np.abs(x)) / np.where(x == 0, 1.0, np.abs(x)))
    growing = start / np.where(start > 0, small + 2 * times * start * share, 1.0)
    shrinking = start * small / (1 + 2 * times * start * share)
    return np.where(x >= 0, growing, shrinking)


def ufm_gradient_flow_bias(t: ArrayLike, *, num_classes: int, num_samples: int) -> Array:
    r"""Entries of the bias along the flow of :func:`ufm_gradient_flow_modes`, from zero and centred features.

    .. math:: b(t) = (1 - e^{-N t}) / K

    Features that sum to zero over the samples stay so, and the bias then learns alone. Costs O(T).

    Parameters
    ----------
    t : array_like
        Times >= 0, any shape, for a flow of unit rate.
    num_classes, num_samples : int
        K >= 2, and N, a multiple of K.

    Returns
    -------
    ndarray
        Of the shape of ``t``.

    Raises
    ------
    ValueError
        If an argument is out of range, or N is not a multiple of K.

    References
    ----------
    Mixon, Parshall and Pi (2020), arXiv:2011.11619.

    Examples
    --------
    >>> ufm_gradient_flow_bias([0.0, 50.0], num_classes=4, num_samples=8).tolist()
    [0.0, 0.25]
    """
    times = validation.nonnegative("t", t)
    k = validation.integer("num_classes", num_classes, minimum=2)
    n = validation.integer("num_samples", num_samples, minimum=k)
    if n % k:
        raise ValueError(f"num_samples must be a multiple of num_classes = {k}, for classes to be balanced; got {n}")
    return -np.expm1(-n * times) / k


def linearized_flow_spectrum(num_classes: int, samples_per_class: int, dim: int) -> Array:
    r"""Growth rates of small heads and features, with the bias at its balanced value 1/K.

    Around W = 0, H = 0 the flow of :func:`ufm_gradient_flow_modes` (no decay) is :math:`\dot W = Y_c H^T`,
    :math:`\dot H = W^T Y_c` with centred labels Y_c. Its rates are sqrt(n) and -sqrt(n), each d(K-1) times, and zero
    otherwise; what grows has :math:`H = W^T Y_c / \sqrt n`, that is collapsed features aligned with the head, but no
    order among their lengths yet. Costs O(d K n).

    Parameters
    ----------
    num_classes, samples_per_class, dim : int
        K >= 2, n >= 1 and d >= 1.

    Returns
    -------
    ndarray, shape (K d + d K n,)
        Eigenvalues, ascending.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Mixon, Parshall and Pi (2020), arXiv:2011.11619.

    Examples
    --------
    >>> linearized_flow_spectrum(2, 1, 1).tolist()
    [-1.0, 0.0, 0.0, 1.0]
    """
    k = validation.integer("num_classes", num_classes, minimum=2)
    n = validation.integer("samples_per_class", samples_per_class, minimum=1)
    d = validation.integer("dim", dim, minimum=1)
    moving = d * (k - 1)
    still = k * d + d * k * n - 2 * moving
    return np.repeat([-np.sqrt(n), 0.0, np.sqrt(n)], [moving, still, moving])


def linearized_flow(weights: ArrayLike, features: ArrayLike, t: ArrayLike) -> LinearizedFlow:
    r"""Small heads and features under the linear flow of :func:`linearized_flow_spectrum`, from any start.

    With U the labels divided by sqrt(n), whose rows are orthonormal, and J = 11^T/K, the parts A = (I - J) W and
    B = (I - J) U H^T feed each other at the rate sqrt(n), and all else stays where it is:

    .. math:: A(t) = A_0 \cosh x + B_0 \sinh x , \qquad B(t) = B_0 \cosh x + A_0 \sinh x , \qquad x = \sqrt n\, t ,

    .. math:: W(t) = J W_0 + A(t) , \qquad H(t) = H_0 + (B(t) - B_0)^T U .

    Soon both are A_0 + B_0, up to their lengths: every sample at its class mean, the means along the rows of the head,
    and their geometry that of the start. Costs O(T d K n).

    Parameters
    ----------
    weights : array_like, shape (K, d)
        W_0.
    features : array_like, shape (d, K n)
        H_0, samples ordered by class.
    t : array_like, shape (T,)
        Times >= 0, in any order, with sqrt(n) t at most 700.

    Returns
    -------
    LinearizedFlow

    Raises
    ------
    ValueError
        If shapes do not match, or a time is negative or so large that the flow overflows.

    References
    ----------
    Mixon, Parshall and Pi (2020), arXiv:2011.11619, where the growing directions are; solved here for any start.

    Examples
    --------
    >>> flow = linearized_flow([[1.0], [-1.0]], [[0.0, 0.0]], [0.0, 1.0])
    >>> flow.features.round(3).tolist()
    [[[0.0, 0.0]], [[1.175, -1.175]]]
    """
    w0 = validation.finite("weights", weights, ndim=2)
    h0, k, n = _checks.balanced_columns("features", features, w0.shape[0])
    if h0.shape[0] != w0.shape[1]:
        raise ValueError(f"features must have {w0.shape[1]} rows, as weights has columns; got shape {h0.shape}")
    x = np.sqrt(n) * validation.nonnegative("t", t, ndim=1)
    if x.size and x.max() > LARGEST_GROWTH:
        raise ValueError(f"t must be at most {LARGEST_GROWTH / np.sqrt(n):g}; got {x.max() / np.sqrt(n):g}")
    sums = h0.reshape(-1, k, n).sum(axis=2).T / np.sqrt(n)  # U H^T
    a0, b0 = w0 - w0.mean(axis=0), sums - sums.mean(axis=0)
    # cosh x - 1, without the cancellation at small x
    rise, cross = (2 * np.sinh(x / 2) ** 2)[:, None, None], np.sinh(x)[:, None, None]
    change = (rise * b0 + cross * a0).swapaxes(1, 2) / np.sqrt(n)
    return LinearizedFlow(weights=w0 + rise * a0 + cross * b0, features=h0 + np.repeat(change, n, axis=2))


def renormalized_central_path(omega0: ArrayLike, t: ArrayLike, *, num_classes: int) -> Array:
    r"""Singular values of the means along the central path, in units of the spread within classes.

    With an optimal head and bias, squared error (1/(2Kn), no decay) is :math:`\frac12 \sum_j 1/(K + \omega_j^2)`,
    omega_j the singular values of :math:`\Sigma_W^{-1/2} \bar H_c`. Its flow in these normalised means keeps singular
    vectors and obeys

    .. math:: \dot\omega = \frac{\omega}{(K + \omega^2)^2} , \qquad
              K^2 \log\omega + K \omega^2 + \tfrac14 \omega^4 = t + \mathrm{const} ,

    so that all grow like (4t)^(1/4) and their ratios tend to one: the frame becomes equiangular. Solved by a monotone
    Newton iteration in log omega, accurate to a few roundings. Costs O(T k).

    Parameters
    ----------
    omega0 : array_like, shape (k,)
        Singular values at time 0, positive, k <= K - 1.
    t : array_like, shape (T,)
        Times >= 0, in any order, of the flow of the K normalised means. The flow of all K n normalised features,
        projected on those of constant Sigma_W, runs n times slower.
    num_classes : int
        K >= 2.

    Returns
    -------
    ndarray, shape (T, k)

    Raises
    ------
    ValueError
        If an argument is out of range, or there are more than K - 1 singular values.

    References
    ----------
    Han, Papyan and Donoho (2022), arXiv:2106.02073.

    Examples
    --------
    >>> renormalized_central_path([0.5, 1.0], [0.0, 1e6], num_classes=3).round(3).tolist()
    [[0.5, 1.0], [44.654, 44.654]]
    """
    k = validation.integer("num_classes", num_classes, minimum=2)
    start = validation.positive("omega0", omega0, ndim=1)
    if start.size > k - 1:
        raise ValueError(f"omega0 must have at most num_classes - 1 = {k - 1} entries; got {start.size}")
    times = validation.nonnegative("t", t, ndim=1)[:, None]

    # Everything relative to the start: z = log(omega/omega0) solves K^2 z + K w0^2 (e^{2z}-1) + w0^4/4 (e^{4z}-1) = t.
    square, quartic = k * start**2, start**4 / 4
    # Each term alone bounds z from above, and from there Newton descends on a convex function.
    z = np.minimum(times / k**2, np.minimum(np.log1p(times / square) / 2, np.log1p(times / quartic) / 4))
    for _ in range(NEWTON_STEPS):
        value = k**2 * z + square * np.expm1(2 * z) + quartic * np.expm1(4 * z) - times
        slope = k**2 + 2 * square * np.exp(2 * z) + 4 * quartic * np.exp(4 * z)
        new = np.maximum(np.minimum(z - value / slope, z), 0.0)
        if np.all(new >= z):
            break
        z = new
    return start * np.exp(z)


def central_path_loss(omega: ArrayLike, *, num_classes: int) -> float | Array:
    r"""Squared error of the best affine head on features with given normalised class means.

    .. math:: \frac{1}{2Kn} \min_{W, b} \lVert W H + b 1^T - Y \rVert_F^2
              = \frac12 \sum_{j=1}^{K-1} \frac{1}{K + \omega_j^2} ,

    omega_j the singular values of :math:`\Sigma_W^{-1/2} \bar H_c`, balanced classes; those not given are zero. The
    potential of the flow of :func:`renormalized_central_path`. Costs O(1) an entry.

    Parameters
    ----------
    omega : array_like, shape (..., k)
        Singular values, nonnegative, k <= K - 1.
    num_classes : int
        K >= 2.

    Returns
    -------
    float or ndarray
        Loss, of the shape of ``omega`` without its last axis.

    Raises
    ------
    ValueError
        If an argument is out of range, or there are more than K - 1 singular values.

    References
    ----------
    Han, Papyan and Donoho (2022), arXiv:2106.02073.

    Examples
    --------
    >>> central_path_loss([0.0, 0.0], num_classes=3) == 1 / 3  # the head knows nothing but the bias
    True
    """
    k = validation.integer("num_classes", num_classes, minimum=2)
    w = validation.nonnegative("omega", omega)
    if w.ndim == 0 or w.shape[-1] > k - 1:
        raise ValueError(f"omega must have at most num_classes - 1 = {k - 1} entries on its last axis; got {w.shape}")
    absent = (k - 1 - w.shape[-1]) / k
    return _checks.as_given((np.sum(1 / (k + w**2), axis=-1) + absent) / 2)
