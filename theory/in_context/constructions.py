r"""Linear attention layers whose forward pass is gradient descent, and what that descent computes.

A token holds an input and a target, :math:`e_j = (x_j, y_j)`, the query's target slot holds minus its prediction. One
layer, with keys and values from the N context tokens only, adds

.. math:: \Delta e_j = P W_V \sum_{i=1}^{N} e_i \, (W_K e_i) \cdot (W_Q e_j) .

The descended loss is :math:`\tfrac{1}{2N} \sum_i |W x_i - y_i|^2`; its step is ``normalized_step_size``.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, integer, nonnegative, scalar

Array = NDArray[np.float64]


@dataclass(frozen=True)
class AttentionWeights:
    """Matrices of one linear attention layer on tokens of width d_in + d_out, each square of that size."""

    w_k: Array
    w_q: Array
    w_v: Array
    p: Array


@dataclass(frozen=True)
class GdppSpectrum:
    """Residual factors and Gram eigenvalues after 0, ..., L layers, each of shape (L + 1, d)."""

    residual: Array
    eigenvalues: Array


class GdppPath(NamedTuple):
    """Inputs (L + 1, N, d_in), residual targets (L + 1, N, d_out) and the query's input and prediction, layer by layer.

    ``x_query`` has shape (L + 1, d_in), ``prediction`` (L + 1, d_out).
    """

    x: Array
    residual: Array
    x_query: Array
    prediction: Array


def gd_attention_weights(
    w_init: ArrayLike, *, normalized_step_size: float, n_context: int, input_decay: float = 0.0
) -> AttentionWeights:
    r"""Weights of a linear attention layer that performs one step of gradient descent on its context.

    .. math:: W_K = W_Q = \begin{pmatrix} I & 0 \\ 0 & 0 \end{pmatrix}, \quad
              W_V = \begin{pmatrix} -I & 0 \\ W_0 & -I \end{pmatrix}, \quad
              P = \begin{pmatrix} \gamma I & 0 \\ 0 & (\eta_N / N) I \end{pmatrix} .

    With :math:`\Delta W` the step of gradient descent from :math:`W_0`, a layer turns :math:`y_j` into
    :math:`y_j - \Delta W x_j` and the query's slot :math:`-W_0 x_q` into :math:`-(W_0 + \Delta W) x_q`. The same layer
    applied again continues the descent. With a nonzero ``input_decay`` :math:`\gamma` (GD++) it also turns
    :math:`x_j` into :math:`(I - \gamma X^T X) x_j`; repeated layers then need :math:`W_0 = 0`.

    Parameters
    ----------
    w_init : array_like, shape (d_out, d_in)
        Weights W_0 from which the descent starts.
    normalized_step_size : float
        Step eta_N on the mean over the context, any real number.
    n_context : int
        Number N >= 1 of context tokens.
    input_decay : float
        gamma, any real number; 0 leaves inputs alone.

    Returns
    -------
    AttentionWeights
        ``w_k``, ``w_q``, ``w_v``, ``p``, each (d_in + d_out, d_in + d_out).

    Raises
    ------
    ValueError
        If ``w_init`` is no matrix, has an empty side, or an argument is not finite or below 1.

    References
    ----------
    von Oswald et al. 2022, arXiv:2212.07677, Proposition 1 and the section on GD++.

    Examples
    --------
    >>> gd_attention_weights([[0.5]], normalized_step_size=1.0, n_context=4).p
    array([[0.  , 0.  ],
           [0.  , 0.25]])
    """
    w0 = _matrix("w_init", w_init)
    eta, gamma = scalar("normalized_step_size", normalized_step_size), scalar("input_decay", input_decay)
    n = integer("n_context", n_context, minimum=1)
    d_out, d_in = w0.shape
    reads_input = np.diag(np.repeat([1.0, 0.0], [d_in, d_out]))
    return AttentionWeights(
        w_k=reads_input,
        w_q=reads_input.copy(),
        w_v=np.block([[-np.eye(d_in), np.zeros((d_in, d_out))], [w0, -np.eye(d_out)]]),
        p=np.diag(np.repeat([gamma, eta / n], [d_in, d_out])),
    )


def gd_weights(
    x: ArrayLike, y: ArrayLike, *, normalized_step_size: float, n_steps: int, w_init: ArrayLike | None = None
) -> Array:
    r"""Path of gradient descent on the in-context least-squares loss.

    .. math:: W_{k+1} = W_k - \frac{\eta_N}{N} \sum_{i=1}^{N} (W_k x_i - y_i) \, x_i^T .

    Costs O(n_steps d_in^2 d_out + N d_in (d_in + d_out)).

    Parameters
    ----------
    x : array_like, shape (N, d_in)
        Inputs, one row an example.
    y : array_like, shape (N, d_out)
        Targets.
    normalized_step_size : float
        Step eta_N on the mean over examples, any real number.
    n_steps : int
        Number of steps, at least 0.
    w_init : array_like, shape (d_out, d_in), optional
        Start, zero when left out.

    Returns
    -------
    ndarray, shape (n_steps + 1, d_out, d_in)
        Weights before the first and after every step.

    Raises
    ------
    ValueError
        If shapes do not fit, an array is empty, or a number is not finite.

    Examples
    --------
    >>> gd_weights([[1.0], [2.0]], [[2.0], [4.0]], normalized_step_size=0.2, n_steps=1)[-1]
    array([[1.]])
    """
    inputs, targets = _examples(x, y)
    steps = integer("n_steps", n_steps, minimum=0)
    step = scalar("normalized_step_size", normalized_step_size) / len(inputs)
    shape = (targets.shape[1], inputs.shape[1])
    path = np.zeros((steps + 1, *shape))
    if w_init is not None:
        path[0] = _of_shape("w_init", w_init, shape)
    gram, cross = inputs.T @ inputs, targets.T @ inputs
    for k in range(steps):
        path[k + 1] = path[k] - step * (path[k] @ gram - cross)
    return path


def gdpp_path(
    x: ArrayLike,
    y: ArrayLike,
    x_query: ArrayLike,
    *,
    normalized_step_size: float,
    input_decay: float,
    n_layers: int,
) -> GdppPath:
    r"""GD++: gradient descent interleaved with a preconditioning of the data.

    Every layer takes one step of gradient descent from zero on the present data, subtracts what it fits from the
    targets, and contracts the inputs, all with the inputs that the layer received:

    .. math:: \Delta W = \tfrac{\eta_N}{N} Y^T X, \quad Y \leftarrow Y - X \Delta W^T, \quad
              X \leftarrow X (I - \gamma X^T X) .

    With :math:`\gamma = 0` the prediction is that of plain gradient descent from zero.
    Costs O(L N d_in (d_in + d_out)).

    Parameters
    ----------
    x, y
        As in :func:`gd_weights`.
    x_query : array_like, shape (d_in,)
        Input whose target is predicted; contracted along with the others.
    normalized_step_size, input_decay : float
        eta_N and gamma, any real numbers.
    n_layers : int
        Number L >= 0 of layers.

    Returns
    -------
    GdppPath
        The data and the prediction before the first and after every layer.

    Raises
    ------
    ValueError
        As in :func:`gd_weights`.

    References
    ----------
    von Oswald et al. 2022, arXiv:2212.07677, the section on GD++.

    Examples
    --------
    >>> path = gdpp_path([[1.0]], [[2.0]], [3.0], normalized_step_size=0.5, input_decay=0.1, n_layers=2)
    >>> path.prediction.ravel().round(6)
    array([0.   , 3.   , 4.215])
    """
    inputs, targets = _examples(x, y)
    query = _of_shape("x_query", x_query, inputs.shape[1:])
    step = scalar("normalized_step_size", normalized_step_size) / len(inputs)
    gamma = scalar("input_decay", input_decay)
    layers = [(inputs, targets, query, np.zeros(targets.shape[1]))]
    for _ in range(integer("n_layers", n_layers, minimum=0)):
        xs, residual, xq, prediction = layers[-1]
        delta, gram = step * residual.T @ xs, xs.T @ xs
        layers.append(
            (xs - gamma * xs @ gram, residual - xs @ delta.T, xq - gamma * gram @ xq, prediction + delta @ xq)
        )
    return GdppPath(*(np.stack(parts) for parts in zip(*layers, strict=True)))


def gdpp_spectrum(
    eigenvalues: ArrayLike, *, normalized_step_size: float, n_context: int, input_decay: float, n_layers: int
) -> GdppSpectrum:
    r"""GD++ in the eigenbasis of the Gram matrix, on noiseless data y = W x.

    Every eigenvalue of :math:`H = X^T X = U \mathrm{diag}(\lambda) U^T` evolves by itself, from
    :math:`\lambda_0 = \lambda`, :math:`r_0 = 1`:

    .. math:: \lambda_{l+1} = \lambda_l (1 - \gamma \lambda_l)^2, \qquad
              r_{l+1} = r_l \left(1 - \tfrac{\eta_N}{N} \lambda_l\right) .

    After l layers the prediction is :math:`W U \mathrm{diag}(1 - r_l) U^T x_q`, so that over isotropic tasks and
    queries of variance m2 per coordinate the squared error is :math:`m_2 \sum_j r_{l,j}^2`. Costs O(L d).

    Parameters
    ----------
    eigenvalues : array_like, shape (d,)
        Eigenvalues lambda >= 0 of the Gram matrix (a sum over examples, not a mean), in any order.
    normalized_step_size : float
        eta_N, any real number.
    n_context : int
        Number N >= 1 of examples.
    input_decay : float
        gamma, any real number; 0 is plain gradient descent.
    n_layers : int
        Number L >= 0 of layers.

    Returns
    -------
    GdppSpectrum
        ``residual`` r and ``eigenvalues`` lambda, each (L + 1, d), in the order given.

    Raises
    ------
    ValueError
        If an eigenvalue is negative, or a number is not finite or below its minimum.

    References
    ----------
    Derived here; the map of one layer is in the appendix of von Oswald et al. 2022, arXiv:2212.07677.

    Examples
    --------
    >>> path = gdpp_spectrum([1.0], normalized_step_size=0.5, n_context=1, input_decay=0.1, n_layers=2)
    >>> path.residual.ravel(), path.eigenvalues.ravel()
    (array([1.    , 0.5   , 0.2975]), array([1.        , 0.81      , 0.68409441]))
    """
    start = nonnegative("eigenvalues", eigenvalues, ndim=1)
    step = scalar("normalized_step_size", normalized_step_size) / integer("n_context", n_context, minimum=1)
    gamma = scalar("input_decay", input_decay)
    layers = integer("n_layers", n_layers, minimum=0)
    residual, lam = np.ones((layers + 1, start.size)), np.empty((layers + 1, start.size))
    lam[0] = start
    for k in range(layers):
        residual[k + 1] = residual[k] * (1 - step * lam[k])
        lam[k + 1] = lam[k] * (1 - gamma * lam[k]) ** 2
    return GdppSpectrum(residual=residual, eigenvalues=lam)


def _matrix(name: str, value: ArrayLike) -> Array:
    array = finite(name, value, ndim=2)
    if 0 in array.shape:
        raise ValueError(f"{name} must have at least one row and one column; got shape {array.shape}")
    return array


def _of_shape(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Array:
    array = finite(name, value)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}; got {array.shape}")
    return array


def _examples(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    inputs, targets = _matrix("x", x), _matrix("y", y)
    if len(inputs) != len(targets):
        raise ValueError(f"y must have one row for each of the {len(inputs)} rows of x; got {len(targets)}")
    return inputs, targets
