"""Linear attention layers that compute Newton's iteration: the weights, written down."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from theory.in_context._newton_residual import power_of
from theory.validation import integer, positive_scalar

Array = NDArray[np.float64]
Head = tuple[Array, Array, Array]
Layer = list[Head]


def newton_attention_layers(
    dimension: int,
    *,
    n_steps: int,
    alpha: float,
    init: Literal["gram", "identity"] = "gram",
    key_slot: bool = False,
) -> list[Layer]:
    r"""Weights of linear attention whose forward pass is Newton's iteration, one layer and one head an iteration.

    Tokens are columns of H, with the rows [x (d), u (d), y (1)]: examples start as [x, 0, y], the query as [x, 0, 0],
    and with the identity start u = alpha x for all. A layer adds

    .. math:: \sum_{\text{heads}} V H\, \mathrm{diag}(m)\, (K H)^T (Q H) ,

    with m = 1 for examples and 0 for the query. Then :math:`u = 2^{-j} M_j x` for *every* token after j Newton layers:
    the layer writes :math:`-2^{j-1} \sum_i u_i\, x_i^T u = -2^{-(j+1)} M_j S M_j x`, and the residual connection
    supplies the rest, so that :math:`u \to 2^{-(j+1)} M_{j+1} x`. A first layer writes :math:`u = \alpha S x` (Gram
    start only), a last one multiplies by :math:`2^k` and reads :math:`x_q^T M_k X^T y` into the y row of the query.
    Layers: k + 2 (gram) or k + 1 (identity); width 2d + 1.

    Parameters
    ----------
    dimension : int
        Input dimension d, at least 1.
    n_steps : int
        Iterations k, at least 0.
    alpha : float
        Constant of the start, positive.
    init : {"gram", "identity"}
        Start. The identity start enters through the embedding, so that ``alpha`` does not appear in the weights.
    key_slot : bool
        Read keys from d more rows, put after x: a copy of x in examples and zero in the query. No mask is needed
        then; the width is 3d + 1.

    Returns
    -------
    list of list of (V, K, Q)
        Layers, each a list of heads; V has shape (D, D), K and Q have shape (d, D).

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    The theorem is in Fu, Chen, Jia and Sharan, arXiv:2310.17086; this construction is derived here.

    Examples
    --------
    >>> layers = newton_attention_layers(3, n_steps=4, alpha=0.1)
    >>> len(layers), layers[0][0][0].shape
    (6, (7, 7))
    """
    d = integer("dimension", dimension, minimum=1)
    k = integer("n_steps", n_steps, minimum=0)
    constant, power = positive_scalar("alpha", alpha), power_of(init)
    width = 2 * d + 1 + (d if key_slot else 0)
    identity, y = np.eye(d), width - 1
    u = slice(width - 1 - d, width - 1)
    x, keys = slice(0, d), slice(d, 2 * d) if key_slot else slice(0, d)

    def reads(rows: slice) -> Array:
        weights = np.zeros((d, width))
        weights[:, rows] = identity
        return weights

    def writes(scale: float, rows: slice) -> Array:
        weights = np.zeros((width, width))
        weights[u, rows] = scale * identity
        return weights

    layers = [[(writes(constant, x), reads(keys), reads(x))]] if power == 2 else []
    layers += [[(writes(-(2.0 ** (j - 1)), u), reads(keys), reads(u))] for j in range(k)]
    answer = np.zeros((width, width))
    answer[y, y] = 2.0**k
    return [*layers, [(answer, reads(keys), reads(u))]]


def relu_attention_layers(layers: Sequence[Layer]) -> list[Layer]:
    """Turn linear attention into ReLU attention: since z = relu(z) - relu(-z), each head becomes two.

    Parameters
    ----------
    layers : sequence of list of (V, K, Q)
        Layers of linear attention.

    Returns
    -------
    list of list of (V, K, Q)
        Layers with the heads (V, K, Q) and (-V, -K, Q) for each head; with relu((K H)^T (Q H)) for the scores they
        compute the same.

    References
    ----------
    Derived; Fu, Chen, Jia and Sharan, arXiv:2310.17086, state their theorem for both kinds.

    Examples
    --------
    >>> len(relu_attention_layers(newton_attention_layers(2, n_steps=1, alpha=0.1))[0])
    2
    """
    return [[head for V, K, Q in layer for head in ((V, K, Q), (-V, -K, Q))] for layer in layers]
