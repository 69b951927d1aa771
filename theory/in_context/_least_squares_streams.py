"""Least squares one example at a time: exact recursion, online gradient descent, and what they remember."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, integer, positive_scalar

Array = NDArray[np.float64]


def recursive_least_squares(x: ArrayLike, y: ArrayLike, *, ridge: float) -> Array:
    r"""Ridge solution of every prefix of a stream, which recursive least squares tracks.

    .. math:: w_t = (X_t^T X_t + \lambda I)^{-1} X_t^T y_t ,

    with the first t examples in :math:`X_t`. Each prefix is solved afresh, by a QR factorisation of
    :math:`[X_t; \sqrt\lambda I]` that never squares the condition number. Costs O(n^2 d^2).

    Parameters
    ----------
    x : array_like, shape (n, d)
        Inputs, in the order in which they are seen.
    y : array_like, shape (n,)
        Answers.
    ridge : float
        Strength lambda of the ridge, positive; the recursion starts from P_0 = I / lambda.

    Returns
    -------
    ndarray, shape (n + 1, d)
        Row t holds the weights after t examples, row 0 is zero.

    Raises
    ------
    ValueError
        If shapes do not match or the ridge is not positive.

    References
    ----------
    Textbook; the online counterpart that Fu, Chen, Jia and Sharan, arXiv:2310.17086, set against gradient descent.

    Examples
    --------
    >>> recursive_least_squares([[1.0], [1.0]], [2.0, 4.0], ridge=1.0)[:, 0]
    array([0., 1., 2.])
    """
    inputs, answers = finite("x", x, ndim=2), finite("y", y, ndim=1)
    if answers.size != inputs.shape[0]:
        raise ValueError(f"y must hold one answer for each of the {inputs.shape[0]} rows of x; got {answers.size}")
    n, d = inputs.shape
    anchor = np.sqrt(positive_scalar("ridge", ridge)) * np.eye(d)
    weights = np.zeros((n + 1, d))
    for t in range(1, n + 1):
        q, r = np.linalg.qr(np.concatenate([inputs[:t], anchor]))
        weights[t] = np.linalg.solve(r, q[:t].T @ answers[:t])
    return weights


def ogd_mean_square_error(dimension: int, *, step: int, learning_rate: float) -> float:
    r"""Mean squared error of online gradient descent on noise-free Gaussian examples, relative to its start.

    With :math:`w \leftarrow w + \eta (y - x^T w) x`, a fresh :math:`x \sim N(0, I_d)` each step and e = w - w_*,

    .. math:: \frac{E\|e_t\|^2}{\|e_0\|^2} = \bigl(1 - 2\eta + (d + 2)\,\eta^2\bigr)^t ,

    because :math:`E[x x^T \|x\|^2] = (d + 2) I`. It falls exactly when eta < 2/(d + 2), fastest at 1/(d + 2), by
    1 - 1/(d + 2) a step.

    Parameters
    ----------
    dimension : int
        d, at least 1.
    step : int
        Number t of examples seen, at least 0.
    learning_rate : float
        Step size eta, positive.

    Returns
    -------
    float
        The ratio.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Derived; a baseline of Fu, Chen, Jia and Sharan, arXiv:2310.17086.

    Examples
    --------
    >>> ogd_mean_square_error(2, step=2, learning_rate=0.25)
    0.5625
    """
    d, t = integer("dimension", dimension, minimum=1), integer("step", step, minimum=0)
    eta = positive_scalar("learning_rate", learning_rate)
    return (1 - 2 * eta + (d + 2) * eta**2) ** t


def kaczmarz_recall_error(dimension: int, *, age: int, prior_steps: int) -> float:
    r"""Mean squared error of online learning on an example that it saw ``age`` steps ago.

    With the step size 1/||x||^2 (the randomised Kaczmarz method) each step fits its example exactly, and later steps
    undo it. For the direction v of the example seen at step s, m steps ago, and isotropic inputs,

    .. math:: \frac{E(v^T e)^2}{\|e_0\|^2} = \Bigl(1 - \frac1d\Bigr)^{s} \frac{r^m - \rho^m}{d} , \qquad
            r = 1 - \frac1d , \quad \rho = 1 - \frac{2 (d + 1)}{d (d + 2)} .

    Zero at m = 0; it rises, and merges with the error r^m / d of a direction never seen. Least squares on all examples
    recalls each of them without error.

    Parameters
    ----------
    dimension : int
        d, at least 1.
    age : int
        m, steps since the example was seen, at least 0.
    prior_steps : int
        s, steps up to and with the one that saw it, at least 1.

    Returns
    -------
    float
        The mean square, relative to the squared norm of the initial error.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Derived; compare the recall experiments of Fu, Chen, Jia and Sharan, arXiv:2310.17086.

    Examples
    --------
    >>> kaczmarz_recall_error(5, age=0, prior_steps=4)
    0.0
    >>> round(kaczmarz_recall_error(5, age=3, prior_steps=4), 6)
    0.018696
    """
    d = integer("dimension", dimension, minimum=1)
    m, s = integer("age", age, minimum=0), integer("prior_steps", prior_steps, minimum=1)
    r, rho = 1 - 1 / d, 1 - 2 * (d + 1) / (d * (d + 2))
    return float(r**s * (r**m - rho**m) / d)
