r"""How attention weights approach their SVM: limits of margins, powers of time, and the constant of the angle.

Along the gradient flow of the logistic loss the support margins are :math:`\log t + \log(c_s / \lambda_s) + o(1)`, so W
follows the SVM's direction with a bounded deviation from it, and the angle closes like 1 / ||W||, that is 1 / log t.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from theory import validation

Array = NDArray[np.float64]


def margin_offsets(scores: ArrayLike, optimal: ArrayLike, duals: ArrayLike, pairs: ArrayLike) -> Array:
    r"""Limits of <F_s, W(t)> - log t along the gradient flow of the logistic loss, for support margins s.

    .. math:: o_s = \log \frac{c_s}{\lambda_s}, \qquad
              c_s = \frac{1}{n} \frac{\gamma_{i o_i} - \gamma_{it}}{1 + e^{\gamma_{i o_i}}}, \qquad s = (i, t)

    c_s is minus the derivative of the loss (1/n) sum_i log(1 + exp(-f_i)) with respect to the probability that leaks
    from the optimal token to t. Time is the flow's own, dW/dt = -grad L. Holds when every multiplier of the active set
    is positive: pass the support's ``duals`` and ``pairs`` only.

    Parameters
    ----------
    scores : array_like, shape (n, T)
        gamma_it.
    optimal : array_like of int, shape (n,)
        o_i.
    duals : array_like, shape (m,)
        Multipliers lambda_s > 0 of the Frobenius SVM.
    pairs : array_like of int, shape (m, 2)
        The (i, t) of each, t != o_i.

    Returns
    -------
    ndarray, shape (m,)

    Raises
    ------
    ValueError
        If a dual is not positive, a pair is out of range, or its token does not score below the optimal one.

    References
    ----------
    Derived here, for the setting of arXiv:2308.16898.

    Examples
    --------
    >>> margin_offsets([[0.0, -2.0]], [0], [1.0], [[0, 1]])
    array([0.])
    """
    gamma = validation.finite("scores", scores, ndim=2)
    lam = validation.positive("duals", duals, ndim=1)
    o, s = np.asarray(optimal), np.asarray(pairs)
    for name, array in (("optimal", o), ("pairs", s)):
        if not np.issubdtype(array.dtype, np.integer):
            raise TypeError(f"{name} must be integers; got {array.tolist()}")
    n, T = gamma.shape
    if o.shape != (n,) or (o < 0).any() or (o >= T).any():
        raise ValueError(f"optimal must hold {n} tokens in [0, {T}); got {o.tolist()}")
    if s.shape != (len(lam), 2):
        raise ValueError(f"pairs must have shape (m, 2) = {(len(lam), 2)} to fit the duals; got {s.shape}")
    i, t = s.T
    if (s < 0).any() or (i >= n).any() or (t >= T).any():
        raise ValueError(f"pairs must be (input, token) below {(n, T)}; got {s.tolist()}")
    best = gamma[i, o[i]]
    lead = best - gamma[i, t]
    if (lead <= 0).any():
        worst = s[np.argmin(lead)].tolist()
        raise ValueError(f"scores must be highest at the optimal token of every pair; they are not at pair {worst}")
    return np.log(expit(-best) * lead / n / lam)


def offset_decay_exponent(features: ArrayLike, duals: ArrayLike, margins: ArrayLike) -> float:
    r"""Power of 1/t with which margins reach :math:`\log t + o_s` along the gradient flow.

    Linearised in log t, deviations of the support margins decay by the matrix :math:`G\,\mathrm{diag}(\lambda)`,
    :math:`G_{ab} = \langle F_a, F_b\rangle`, one of whose eigenvalues is always 1; a margin m > 1 outside the support
    contributes t^(1 - m). Hence

    .. math:: \alpha = \min\Bigl(\lambda_{\min}\bigl(G\,\mathrm{diag}(\lambda)\bigr),
              \ \min_{s \notin S} m_s - 1\Bigr) \le 1 .

    Parameters
    ----------
    features : array_like, shape (m, ...)
        F_s, all of them.
    duals : array_like, shape (m,)
        Multipliers of the Frobenius SVM; the support is where they are positive (relative to 1e-6 of the largest).
    margins : array_like, shape (m,)
        <F_s, W>.

    Returns
    -------
    float
        In [0, 1]; 0 when an active margin has no multiplier, and the offsets then have no limit of this kind.

    Raises
    ------
    ValueError
        If shapes disagree, a dual is negative, or all are zero.

    References
    ----------
    Derived here.
    """
    F = _flat("features", features)
    lam = validation.nonnegative("duals", duals, ndim=1)
    m = validation.finite("margins", margins, ndim=1)
    validation.same_shape("margins", m, "duals", lam)
    if len(F) != len(lam):
        raise ValueError(f"features must have one entry for each of the {len(lam)} duals; got {len(F)}")
    if not lam.any():
        raise ValueError("duals must not all be zero")
    support = lam > 1e-6 * lam.max()
    root = np.sqrt(lam[support])
    rates = np.linalg.eigvalsh(root[:, None] * (F[support] @ F[support].T) * root)
    slack = (m[~support] - 1).min(initial=np.inf)
    return float(max(0.0, min(rates.min(), slack, 1.0)))


def finite_part(features: ArrayLike, offsets: ArrayLike, *, initial_weights: ArrayLike | None = None) -> Array:
    r"""Limit of :math:`W(t) - \log t\, W_{mm}` when the support margins are :math:`\log t + o_s`.

    W moves in the span of the F_s only, so that what it keeps of W(0) is the part orthogonal to them:

    .. math:: P = \sum_s (G^{-1} o)_s F_s + W_\perp(0), \qquad G_{ab} = \langle F_a, F_b\rangle .

    Holds along the gradient flow when every token is a support token. Along the regularisation path
    min {loss : ||W||_F <= R}, which forgets its start, the part of P orthogonal to W_mm is the limit of
    :math:`W_R - R\, W_{mm} / \|W_{mm}\|_F` for every instance without zero multipliers. Costs O(m^2 d^2).

    Parameters
    ----------
    features : array_like, shape (m, ...)
        F_s of the support, linearly independent.
    offsets : array_like, shape (m,)
        o_s, see :func:`margin_offsets`.
    initial_weights : array_like, shape of one feature, optional
        W(0) of the flow; zero when left out.

    Returns
    -------
    ndarray, shape of one feature

    Raises
    ------
    ValueError
        If shapes disagree or the features are linearly dependent.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> finite_part([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]], [1.0, 3.0], initial_weights=[5.0, 6.0, 7.0])
    array([1. , 1.5, 7. ])
    """
    part, _ = _parts(features, offsets, initial_weights)
    return part.reshape(np.shape(features)[1:])


def direction_constant(features: ArrayLike, offsets: ArrayLike, *, initial_weights: ArrayLike | None = None) -> float:
    r"""Limit of :math:`(1 - \cos(W, W_{mm}))\,\|W\|_F^2` when the support margins are a common growth plus offsets.

    Half the squared length of the part of :func:`finite_part` that is orthogonal to W_mm,

    .. math:: C = \tfrac12 \Bigl( o^\top G^{-1} o - \frac{(1^\top G^{-1} o)^2}{1^\top G^{-1} 1}
              + \|W_\perp(0)\|_F^2 \Bigr), \qquad G_{ab} = \langle F_a, F_b\rangle ,

    for the flow and for the regularisation path alike, under the same conditions. :math:`\sin^2` of the angle times
    ||W||^2 tends to 2 C with the margins' own power of t; 1 - cos adds a relative C / (2 ||W||^2). Costs O(m^2 d^2).

    Parameters
    ----------
    features : array_like, shape (m, ...)
        F_s of the support, linearly independent.
    offsets : array_like, shape (m,)
        o_s, see :func:`margin_offsets`.
    initial_weights : array_like, shape of one feature, optional
        W(0) of the flow; zero when left out.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If shapes disagree or the features are linearly dependent.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> round(direction_constant([[1.0, 0.0], [0.0, 1.0]], [1.0, 3.0]), 12)
    1.0
    """
    part, direction = _parts(features, offsets, initial_weights)
    return float(np.sum((part - (part @ direction) * direction) ** 2) / 2)


def _parts(features: ArrayLike, offsets: ArrayLike, initial_weights: ArrayLike | None) -> tuple[Array, Array]:
    """Flattened finite part, and unit vector along W_mm."""
    F = _flat("features", features)
    o = validation.finite("offsets", offsets, ndim=1)
    if len(F) != len(o):
        raise ValueError(f"features must have one entry for each of the {len(o)} offsets; got {len(F)}")
    # F.T = Q R, so that G^-1 = R^-1 R^-T without squaring the condition number
    q, r = np.linalg.qr(F.T)
    if F.shape[0] > F.shape[1] or np.abs(np.diag(r)).min() <= 1e-12 * np.abs(np.diag(r)).max():
        raise ValueError("features must be linearly independent")
    part = q @ np.linalg.solve(r.T, o)
    direction = q @ np.linalg.solve(r.T, np.ones_like(o))
    if initial_weights is not None:
        start = validation.finite("initial_weights", initial_weights).ravel()
        if start.size != F.shape[1]:
            raise ValueError(f"initial_weights must have the {F.shape[1]} entries of a feature; got {start.size}")
        part = part + start - q @ (q.T @ start)
    return part, direction / np.linalg.norm(direction)


def _flat(name: str, value: ArrayLike) -> Array:
    array = validation.finite(name, value)
    if array.ndim < 2 or not array.size:
        raise ValueError(f"{name} must have shape (m, ...) with m >= 1; got {array.shape}")
    return array.reshape(len(array), -1)
