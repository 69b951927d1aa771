r"""Linear attention trained to continue a linear sequence, :math:`x_{t+1} = W x_t`, and the descent it learns.

W is diagonal and complex with independent uniform phases, the first token :math:`x_1 \in \mathbb{R}^d` is random.
Trained on sequences of T tokens from two scaled identity blocks a and b, the layer predicts

.. math:: \hat y_t = \frac{c}{t - 1} \sum_{i=1}^{t-1} x_{i+1} x_i^* \, x_t, \qquad c = a b,

one step of gradient descent from zero on the least-squares problem of the prompt. Everything here follows from four
moments of a coordinate of :math:`x_1`. The loss is :math:`\tfrac12 \sum_{t=2}^{T-1} E |\hat y_t - x_{t+1}|^2`. After
Zheng et al. (2024, arXiv:2405.16845).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from theory.in_context.token_moments import MomentsLike, TokenMoments, _moments, covariance_moments
from theory.validation import finite, integer, nonnegative, positive_scalar, scalar

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


class BlockGradient(NamedTuple):
    """Gradients of the loss by the two blocks, each (d, d)."""

    key_query: Array
    value: Array


def mesa_product(moments: MomentsLike, *, horizon: float) -> float:
    r"""Product of the two blocks at the end of training: the step size that the layer learns.

    .. math:: a b \to \frac{\kappa_1}{\kappa_2 + \kappa_3 H_{T-2} / (T - 2)}, \qquad H_n = \sum_{k=1}^{n} \frac1k .

    Costs O(1).

    Parameters
    ----------
    moments : TokenMoments or 4-tuple
        kappa_0, ..., kappa_3 of the first token, as from :func:`initial_token_moments`.
    horizon : int or inf
        Length T >= 3 of the training sequences; infinite for the limit kappa_1 / kappa_2.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If ``horizon`` is below 3 or a moment is negative (kappa_0, kappa_1 and kappa_2 must be positive).

    References
    ----------
    Zheng et al. 2024, arXiv:2405.16845, Theorem 4.1.

    Examples
    --------
    >>> round(mesa_product((1.0, 1.0, 1.0, 1.0), horizon=6), 12)
    0.657534246575
    """
    kappa = _moments(moments)
    return kappa.kappa1 / _mean_square(kappa, horizon)


def mesa_loss(product: ArrayLike, moments: MomentsLike, *, dim: int, horizon: int) -> float | Array:
    r"""Training loss at a product c of the blocks, with its factor 1/2.

    .. math:: L(c) = \tfrac{d (T - 2)}{2} \left[ \kappa_0 - 2 c \kappa_1
              + c^2 \left(\kappa_2 + \tfrac{\kappa_3 H_{T-2}}{T - 2}\right) \right] .

    Parameters
    ----------
    product : array_like
        c, any real numbers.
    moments, horizon
        As in :func:`mesa_product`; ``horizon`` finite.
    dim : int
        Dimension d >= 1.

    Returns
    -------
    float or ndarray
        In the shape of ``product``.

    Raises
    ------
    ValueError
        As in :func:`mesa_product`, or if ``product`` is not finite.

    Examples
    --------
    >>> mesa_loss([0.0, 0.2], (1.0, 3.0, 15.0, 3.0), dim=2, horizon=3)
    array([1.  , 0.52])
    """
    kappa, c, d = _moments(moments), finite("product", product), integer("dim", dim, minimum=1)
    positions = integer("horizon", horizon, minimum=3) - 2
    loss = d * positions / 2 * (kappa.kappa0 - 2 * c * kappa.kappa1 + c**2 * _mean_square(kappa, horizon))
    return float(loss) if np.ndim(loss) == 0 else loss


def mesa_flow(times: ArrayLike, moments: MomentsLike, *, horizon: int, a0: float, b0: float) -> Array:
    r"""Product of the two blocks along the gradient flow of the training loss.

    With :math:`K = \kappa_2 + \kappa_3 H_{T-2} / (T - 2)` and c = ab, every diagonal entry follows

    .. math:: \dot a = (T - 2) \, b \, (\kappa_1 - c K), \qquad \dot b = (T - 2) \, a \, (\kappa_1 - c K) .

    The difference :math:`a^2 - b^2 = 2 \delta` is conserved, and :math:`Z = c + \sqrt{c^2 + \delta^2}` obeys a Riccati
    equation with constant coefficients, whose roots are :math:`Z_\pm = (\kappa_1 \pm S) / K`,
    :math:`S = \sqrt{\kappa_1^2 + \delta^2 K^2}`. Equal blocks follow a logistic curve of rate
    :math:`2 (T - 2) \kappa_1`. Costs O(1) a time.

    Parameters
    ----------
    times : array_like
        Times t >= 0 of the flow, of any shape.
    moments, horizon
        As in :func:`mesa_product`; ``horizon`` finite.
    a0, b0 : float
        Blocks a0 I and b0 I at the start, both positive.

    Returns
    -------
    ndarray
        a(t) b(t), in the shape of ``times``.

    Raises
    ------
    ValueError
        As in :func:`mesa_product`, or if a start is not positive or a time negative.

    References
    ----------
    Derived here for the setting of Zheng et al. 2024, arXiv:2405.16845.

    Examples
    --------
    >>> mesa_flow([0.0, 1e3], (1.0, 1.0, 1.0, 1.0), horizon=6, a0=0.3, b0=0.5)
    array([0.15      , 0.65753425])
    """
    t, kappa = nonnegative("times", times), _moments(moments)
    a, b = positive_scalar("a0", a0), positive_scalar("b0", b0)
    positions = integer("horizon", horizon, minimum=3) - 2
    mean_square = _mean_square(kappa, horizon)
    start, delta = a * b, abs(a - b) * (a + b) / 2
    speed = np.hypot(kappa.kappa1, delta * mean_square)
    z0 = (a**2 + b**2) / 2 + start
    above = (kappa.kappa1 + speed) / mean_square
    below = -(delta**2) * mean_square / (kappa.kappa1 + speed)
    # the increment of Z, so that a product far below delta keeps its digits
    decay = -2 * positions * speed * t
    grown = (above - z0) * -np.expm1(decay) * (z0 - below) / ((z0 - below) + (above - z0) * np.exp(decay))
    return start + grown / 2 * (1 + delta**2 / (z0 * (z0 + grown)))


def mesa_risk(product: ArrayLike, moments: MomentsLike, *, dim: int, position: ArrayLike) -> float | Array:
    r"""Mean squared error of the next token at position t of a prompt.

    .. math:: E |\hat y_t - x_{t+1}|^2 = d \left[ \kappa_0 - 2 c \kappa_1
              + c^2 \left(\kappa_2 + \tfrac{\kappa_3}{t - 1}\right) \right] .

    At the learned step and infinite t and T it is :math:`d (\kappa_0 - \kappa_1^2 / \kappa_2)`, zero if and only if
    :math:`|x_{1j}|` takes no value but 0 and one constant.

    Parameters
    ----------
    product : array_like
        c, any real numbers.
    moments, dim, position
        As in :func:`covariance_moments`; ``position`` broadcasts against ``product``.

    Returns
    -------
    float or ndarray
        Summed over the d coordinates, no factor 1/2.

    Raises
    ------
    ValueError
        As in :func:`covariance_moments`, or if ``product`` is not finite.

    Examples
    --------
    >>> mesa_risk(0.2, (1.0, 3.0, 15.0, 3.0), dim=2, position=[2, np.inf])
    array([1.04, 0.8 ])
    """
    kappa, c, d = _moments(moments), finite("product", product), integer("dim", dim, minimum=1)
    power = covariance_moments(kappa, dim=d, position=position)
    risk = d * kappa.kappa0 - 2 * c * power.first + c**2 * power.second
    return float(risk) if np.ndim(risk) == 0 else risk


def mesa_prediction(sequence: ArrayLike, *, product: float) -> Complex:
    r"""Next-token predictions of one step of gradient descent on each prefix of a sequence.

    .. math:: \hat y_t = \hat W_t x_t, \qquad \hat W_t = \frac{c}{t - 1} \sum_{i=1}^{t-1} x_{i+1} x_i^* :

    the step of size c / (t - 1) from zero on :math:`\tfrac12 \sum_{i<t} |x_{i+1} - W x_i|^2`. Costs O(T d^2).

    Parameters
    ----------
    sequence : array_like, shape (T, d)
        Tokens x_1, ..., x_T, real or complex, T >= 2.
    product : float
        c, any real number.

    Returns
    -------
    ndarray of complex, shape (T - 1, d)
        Row t - 2 holds the prediction of x_{t+1} from x_1, ..., x_t, for t = 2, ..., T.

    Raises
    ------
    ValueError
        If ``sequence`` is no matrix of two or more rows, or holds entries that are not finite.

    Examples
    --------
    >>> mesa_prediction([[1.0], [1j], [-1.0]], product=0.5)
    array([[-0.5+0.j ],
           [ 0. -0.5j]])
    """
    x = np.asarray(sequence, dtype=complex)
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"sequence must be a matrix of two or more tokens; got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("sequence must be finite")
    c = scalar("product", product)
    steps = np.cumsum(x[1:, :, None] * x[:-1, None, :].conj(), axis=0)  # (T - 1, d, d)
    return np.einsum("tij,tj->ti", steps, x[1:]) * (c / np.arange(1, len(x)))[:, None]


def block_gradient(first_tokens: ArrayLike, *, horizon: int, a: float, b: float) -> BlockGradient:
    r"""Gradient of the training loss at scaled identity blocks, for any law of the first token.

    Averaging the loss over phases leaves, with c = ab and sums over t = 2, ..., T - 1,

    .. math::
        G^{KQ}_{kk} &= b \sum_t \Bigl[ c \Bigl(x_k^6 + \sum_{j \ne k} \tfrac{x_k^4 x_j^2}{t-1}\Bigr) - x_k^4 \Bigr], \\
        G^{KQ}_{kl} &= b \sum_t \Bigl[ c \Bigl(\tfrac{x_k^3 x_l^3 + x_k x_l^5}{t-1}
            + \sum_{j \ne k,l} \tfrac{x_k x_j^2 x_l^3}{(t-1)^2}\Bigr) - \tfrac{x_k x_l^3}{t-1} \Bigr], \\
        G^{V}_{kk} &= a \sum_t \Bigl[ c \Bigl(x_k^6 + \sum_{j \ne k} \tfrac{x_k^2 x_j^4}{t-1}\Bigr) - x_k^4 \Bigr],
        \qquad G^{V}_{kl} = a c \sum_t \tfrac{x_k^3 x_l^3}{t-1} ,

    averaged over the first token x. Off the diagonal every term is odd in :math:`x_k` and :math:`x_l`: where signs are
    symmetric the blocks stay diagonal, elsewhere (a token of ones, say) the layer is driven away from plain gradient
    descent.

    Parameters
    ----------
    first_tokens : array_like, shape (n, d)
        First tokens, equally likely.
    horizon : int
        Length T >= 3 of the training sequences.
    a, b : float
        The key-query block is a I, the value block b I.

    Returns
    -------
    BlockGradient
        ``key_query`` and ``value``, each (d, d). The gradient by all other blocks is zero.

    Raises
    ------
    ValueError
        If ``horizon`` is below 3, ``first_tokens`` is no matrix, or a number is not finite.

    References
    ----------
    Derived here for the setting of Zheng et al. 2024, arXiv:2405.16845.

    Examples
    --------
    >>> block_gradient([[1.0, 1.0]], horizon=6, a=0.3, b=0.5).value
    array([[-0.92625,  0.09375],
           [ 0.09375, -0.92625]])
    """
    x = finite("first_tokens", first_tokens, ndim=2)
    a, b, n = scalar("a", a), scalar("b", b), integer("horizon", horizon, minimum=3) - 2
    inverse = 1 / np.arange(1, n + 1)
    c, harmonic, squares = a * b, inverse.sum(), (inverse**2).sum()

    def outer(p: int, q: int) -> Array:
        return x[:, :, None] ** p * x[:, None, :] ** q

    others = (x**2).sum(axis=1)[:, None, None] - x[:, :, None] ** 2 - x[:, None, :] ** 2
    key_query = harmonic * (c * (outer(3, 3) + outer(1, 5)) - outer(1, 3)) + squares * c * outer(1, 3) * others
    value = harmonic * c * outer(3, 3)
    diagonal = np.arange(x.shape[1])
    for gradient, power in ((key_query, 4), (value, 2)):
        mixed = x**power * ((x ** (6 - power)).sum(axis=1, keepdims=True) - x ** (6 - power))
        gradient[:, diagonal, diagonal] = n * (c * x**6 - x**4) + harmonic * c * mixed
    return BlockGradient(key_query=b * key_query.mean(axis=0), value=a * value.mean(axis=0))


def _mean_square(kappa: TokenMoments, horizon: float) -> float:
    """Return kappa_2 + kappa_3 / (t - 1), averaged over the positions t = 2, ..., T - 1."""
    if horizon == np.inf:
        return kappa.kappa2
    positions = integer("horizon", horizon, minimum=3) - 2  # type: ignore[arg-type]
    return kappa.kappa2 + kappa.kappa3 * float(digamma(positions + 1) + np.euler_gamma) / positions
