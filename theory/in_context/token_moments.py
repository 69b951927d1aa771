r"""Moments of the first token of a linear sequence, :math:`x_{t+1} = W x_t`, and of the covariance of its tokens.

W is diagonal and complex with independent uniform phases, the first token :math:`x_1 \in \mathbb{R}^d` is random. Four
moments of a coordinate of :math:`x_1` are all that the layer of `theory.in_context.mesa` sees. After Zheng et al.
(2024, arXiv:2405.16845).
"""

from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import integer, nonnegative, positive_scalar

Array = NDArray[np.float64]

KINDS = ("gaussian", "rademacher", "one_hot", "uniform")


@dataclass(frozen=True)
class TokenMoments:
    """Moments of the first token: E x_j^2, E x_j^4, E x_j^6 and the sum over r != j of E[x_j^4 x_r^2]."""

    kappa0: float
    kappa1: float
    kappa2: float
    kappa3: float


MomentsLike = TokenMoments | tuple[float, float, float, float]


class CovarianceMoments(NamedTuple):
    """E[x_t^* S x_t] and E[x_t^* S^2 x_t] for the covariance S of the tokens before t."""

    first: float | Array
    second: float | Array


def initial_token_moments(kind: str, *, dim: int, scale: float = 1.0) -> TokenMoments:
    r"""Moments of the first token for four laws.

    Parameters
    ----------
    kind : {"gaussian", "rademacher", "one_hot", "uniform"}
        Independent coordinates N(0, scale^2), +-scale, or uniform on (-scale, scale); or a single coordinate, chosen
        uniformly, equal to +-scale and all others 0.
    dim : int
        Dimension d >= 1.
    scale : float
        Standard deviation, magnitude or half-width, > 0.

    Returns
    -------
    TokenMoments

    Raises
    ------
    ValueError
        If ``kind`` is unknown, ``dim`` below 1, or ``scale`` not positive.

    Examples
    --------
    >>> initial_token_moments("gaussian", dim=3)
    TokenMoments(kappa0=1.0, kappa1=3.0, kappa2=15.0, kappa3=6.0)
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}; got {kind!r}")
    d, a = integer("dim", dim, minimum=1), positive_scalar("scale", scale)
    if kind == "one_hot":
        return TokenMoments(a**2 / d, a**4 / d, a**6 / d, 0.0)
    second, fourth, sixth = {
        "gaussian": (1.0, 3.0, 15.0),
        "rademacher": (1.0, 1.0, 1.0),
        "uniform": (1 / 3, 1 / 5, 1 / 7),
    }[kind]
    return TokenMoments(second * a**2, fourth * a**4, sixth * a**6, (d - 1) * fourth * second * a**6)


def covariance_moments(moments: MomentsLike, *, dim: int, position: ArrayLike) -> CovarianceMoments:
    r"""Moments of the covariance of the tokens before position t, averaged over phases and first token.

    .. math:: E[x_t^* S x_t] = d \kappa_1, \qquad
              E[x_t^* S^2 x_t] = d \left(\kappa_2 + \frac{\kappa_3}{t - 1}\right), \qquad
              S = \frac{1}{t - 1} \sum_{i=1}^{t-1} x_i x_i^* .

    Parameters
    ----------
    moments
        As in :func:`mesa_product`.
    dim : int
        Dimension d >= 1.
    position : array_like of int
        Positions t >= 2; infinite for the limit.

    Returns
    -------
    CovarianceMoments
        ``first`` and ``second``, in the shape of ``position``.

    Raises
    ------
    ValueError
        As in :func:`mesa_product`, or if a position is below 2.

    Examples
    --------
    >>> covariance_moments((1.0, 3.0, 15.0, 3.0), dim=2, position=2)
    CovarianceMoments(first=6.0, second=36.0)
    """
    kappa, d, t = _moments(moments), integer("dim", dim, minimum=1), _positions(position)
    first, second = np.full(t.shape, d * kappa.kappa1), d * (kappa.kappa2 + kappa.kappa3 / (t - 1))
    return CovarianceMoments(float(first), float(second)) if t.ndim == 0 else CovarianceMoments(first, second)


def _moments(moments: MomentsLike) -> TokenMoments:
    values = astuple(moments) if isinstance(moments, TokenMoments) else tuple(moments)
    if len(values) != 4:
        raise ValueError(f"moments must hold kappa_0, ..., kappa_3; got {len(values)} numbers")
    second, fourth, sixth = (positive_scalar(f"kappa{k}", value) for k, value in enumerate(values[:3]))
    return TokenMoments(second, fourth, sixth, float(nonnegative("kappa3", values[3], ndim=0)))


def _positions(position: ArrayLike) -> Array:
    t = np.asarray(position, dtype=float)
    outside = ~(t >= 2) | ((t != np.round(t)) & np.isfinite(t))
    if outside.any():
        raise ValueError(f"position must hold integers of at least 2, or inf; got {t[outside].flat[0]:g}")
    return t
