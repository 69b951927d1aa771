r"""A rare, large feature that appears with both signs while the target does not flip: loss and curvature.

Inputs are x = (z, o) with z standard normal in d dimensions and an outlier feature o that is +A or -A with probability
p/2 each and 0 otherwise; its power is alpha = p A^2. The target is y = beta . z + gamma |o|. The network is
f(x) = v . (W x), its input weights are w = W^T v = (w_z, w_o), and the loss is half the mean of (f - y)^2. The target's
part gamma |o| is uncorrelated with every input, so that the two signs of the outlier pull w_o in opposite directions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.deep_linear._outlier_checks import power_of, target_weights
from theory.validation import finite, positive_scalar, scalar

Array = NDArray[np.float64]


class GroupLosses(NamedTuple):
    """Losses on the examples whose outlier is +A, -A and 0."""

    positive: float
    negative: float
    absent: float


def population_loss(v: ArrayLike, w: ArrayLike, *, beta: ArrayLike, outlier_power: float, gamma: float = 0.0) -> float:
    r"""Mean loss over all examples.

    .. math:: L = \tfrac12 |w_z - \beta|^2 + \tfrac12 \alpha\, w_o^2 + \tfrac12 \alpha \gamma^2 , \qquad
            (w_z, w_o) = W^T v .

    Its gradient does not depend on gamma: what the signs of the outlier say of w_o cancels. Costs O(h d).

    Parameters
    ----------
    v : array_like, shape (h,)
        Output weights.
    w : array_like, shape (h, d + 1)
        First layer W, the outlier the last input.
    beta : array_like, shape (d,)
        Target's weights on z.
    outlier_power : float
        alpha = p A^2, the mean square of the outlier feature, nonnegative.
    gamma : float
        Target's weight on \|o\|.

    Returns
    -------
    float
        L.

    Raises
    ------
    ValueError
        If the shapes do not fit, an entry is not finite, or ``outlier_power`` is negative.

    References
    ----------
    Derived here for the two-layer model of Rosenfeld and Risteski, arXiv:2311.04163.

    Examples
    --------
    >>> population_loss([1.0], [[2.0, 0.5]], beta=[1.0], outlier_power=4.0)
    1.0
    """
    error, outlier = _errors(v, w, beta)
    power, gamma = power_of(outlier_power), scalar("gamma", gamma)
    return float(0.5 * (error @ error + power * (outlier**2 + gamma**2)))


def group_losses(v: ArrayLike, w: ArrayLike, *, beta: ArrayLike, magnitude: float, gamma: float = 0.0) -> GroupLosses:
    r"""Mean losses over the examples with one sign of the outlier, and without it.

    .. math:: L_\pm = \tfrac12 |w_z - \beta|^2 + \tfrac12 A^2 (w_o \mp \gamma)^2 , \qquad
            L_0 = \tfrac12 |w_z - \beta|^2 .

    The loss is :math:`\tfrac p2 (L_+ + L_-) + (1 - p) L_0`. Costs O(h d).

    Parameters
    ----------
    v, w, beta, gamma
        As in :func:`population_loss`.
    magnitude : float
        A, the size of the outlier feature where it is present, positive.

    Returns
    -------
    GroupLosses
        ``positive``, ``negative`` and ``absent``.

    Raises
    ------
    ValueError
        As in :func:`population_loss`, or if ``magnitude`` is not positive.

    References
    ----------
    Derived here for the two-layer model of Rosenfeld and Risteski, arXiv:2311.04163.

    Examples
    --------
    >>> group_losses([1.0], [[1.0, 0.5]], beta=[1.0], magnitude=2.0, gamma=1.0)
    GroupLosses(positive=0.5, negative=4.5, absent=0.0)
    """
    error, outlier = _errors(v, w, beta)
    size, gamma = positive_scalar("magnitude", magnitude), scalar("gamma", gamma)
    shared = 0.5 * error @ error
    return GroupLosses(
        positive=float(shared + 0.5 * size**2 * (outlier - gamma) ** 2),
        negative=float(shared + 0.5 * size**2 * (outlier + gamma) ** 2),
        absent=float(shared),
    )


def group_outlier_gradients(
    v: ArrayLike, w: ArrayLike, *, beta: ArrayLike, magnitude: float, gamma: float = 0.0
) -> tuple[Array, Array]:
    r"""Gradients of the losses of both signs in the outlier's column of the first layer.

    .. math:: \partial L_\pm / \partial W_{:,o} = A^2 (w_o \mp \gamma)\, v ,

    opposite to each other as long as \|w_o\| < \|gamma\|. Costs O(h d).

    Parameters
    ----------
    v, w, beta, magnitude, gamma
        As in :func:`group_losses`.

    Returns
    -------
    tuple of two ndarrays, shape (h,)
        Where the outlier is +A, and where it is -A.

    Raises
    ------
    ValueError
        As in :func:`group_losses`.

    References
    ----------
    Derived here for the two-layer model of Rosenfeld and Risteski, arXiv:2311.04163.

    Examples
    --------
    >>> group_outlier_gradients([2.0], [[1.0, 0.0]], beta=[1.0], magnitude=1.0, gamma=1.0)
    (array([-2.]), array([2.]))
    """
    _, outlier = _errors(v, w, beta)
    size, gamma, output = positive_scalar("magnitude", magnitude), scalar("gamma", gamma), finite("v", v, ndim=1)
    return size**2 * (outlier - gamma) * output, size**2 * (outlier + gamma) * output


def minimum_sharpness(v: ArrayLike, w: ArrayLike, *, outlier_power: float) -> float:
    r"""Largest eigenvalue of the loss's Hessian at a global minimum.

    .. math:: \lambda_{\max}\bigl( S^{1/2} (|v|^2 I + W^T W) S^{1/2} \bigr) , \qquad
            S = \mathrm{diag}(1, \dots, 1, \alpha) ,

    wherever the gradient in w vanishes. That this is so is for the caller to see to; elsewhere the formula is the
    curvature of the Gauss-Newton approximation. Costs O(d^3).

    Parameters
    ----------
    v : array_like, shape (h,)
        Output weights.
    w : array_like, shape (h, d + 1)
        First layer W, the outlier the last input.
    outlier_power : float
        alpha, nonnegative.

    Returns
    -------
    float
        Sharpness, in units of loss per squared weight.

    Raises
    ------
    ValueError
        If the shapes do not fit, an entry is not finite, or ``outlier_power`` is negative.

    References
    ----------
    Derived here for the two-layer model of Rosenfeld and Risteski, arXiv:2311.04163.

    Examples
    --------
    >>> print(round(minimum_sharpness([1.0], [[1.0, 0.0]], outlier_power=10.0), 12))
    10.0
    """
    output, layer = _layers(v, w)
    root = np.ones(layer.shape[1])
    root[-1] = np.sqrt(power_of(outlier_power))
    inner = output @ output * np.eye(root.size) + layer.T @ layer
    return float(np.linalg.eigvalsh(root[:, None] * inner * root)[-1])


def outlier_sharpness(v: ArrayLike, *, outlier_power: float) -> float:
    r"""Curvature in the outlier's column of the first layer, :math:`\alpha |v|^2`.

    An eigenvalue of the whole Hessian, with eigenvector v in that column, wherever the column vanishes: at a minimum or
    not. Gradient descent of step eta multiplies the column along v by 1 - eta alpha \|v\|^2, and it grows when this is
    above 2 / eta.

    Parameters
    ----------
    v : array_like, shape (h,)
        Output weights.
    outlier_power : float
        alpha, nonnegative.

    Raises
    ------
    ValueError
        If an entry is not finite or ``outlier_power`` is negative.

    References
    ----------
    Derived here for the two-layer model of Rosenfeld and Risteski, arXiv:2311.04163.

    Examples
    --------
    >>> outlier_sharpness([3.0, 4.0], outlier_power=2.0)
    50.0
    """
    output = finite("v", v, ndim=1)
    return float(power_of(outlier_power) * (output @ output))


def converged_sharpness(beta: ArrayLike, *, outlier_power: float) -> float:
    r"""Sharpness at which gradient flow from balanced weights of rank one ends, :math:`\max(\alpha, 2)\, |\beta|`.

    Parameters
    ----------
    beta : array_like, shape (d,)
        Target's weights on z, not all zero.
    outlier_power : float
        alpha, nonnegative.

    Raises
    ------
    ValueError
        If ``beta`` vanishes, an entry is not finite, or ``outlier_power`` is negative.

    References
    ----------
    Derived here for the two-layer model of Rosenfeld and Risteski, arXiv:2311.04163.

    Examples
    --------
    >>> converged_sharpness([3.0, 4.0], outlier_power=20.0)
    100.0
    """
    return float(max(power_of(outlier_power), 2.0) * np.linalg.norm(target_weights(beta)))


def critical_outlier_rate(beta: ArrayLike, *, outlier_power: float) -> float:
    r"""Step of gradient descent beyond which the outlier's weight grows at the balanced minimum.

    .. math:: \eta_c = \frac{2}{\alpha |\beta|} .

    The first instability when alpha > 2; for smaller alpha that of w_z comes before, at 1 / \|beta\|.

    Parameters
    ----------
    beta : array_like, shape (d,)
        Target's weights on z, not all zero.
    outlier_power : float
        alpha, positive.

    Raises
    ------
    ValueError
        If ``beta`` vanishes, an entry is not finite, or ``outlier_power`` is not positive.

    References
    ----------
    Derived here for the two-layer model of Rosenfeld and Risteski, arXiv:2311.04163.

    Examples
    --------
    >>> critical_outlier_rate([1.0], outlier_power=20.0)
    0.1
    """
    return float(2 / (positive_scalar("outlier_power", outlier_power) * np.linalg.norm(target_weights(beta))))


def _layers(v: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    output, layer = finite("v", v, ndim=1), finite("w", w, ndim=2)
    if layer.shape[0] != output.size or layer.shape[1] < 2:
        raise ValueError(
            f"w must have one row for each of the {output.size} entries of v, and two columns or more; "
            f"got shape {layer.shape}"
        )
    return output, layer


def _errors(v: ArrayLike, w: ArrayLike, beta: ArrayLike) -> tuple[Array, float]:
    """Return w_z - beta and w_o."""
    output, layer = _layers(v, w)
    target = finite("beta", beta, ndim=1)
    if target.size != layer.shape[1] - 1:
        raise ValueError(f"beta must have {layer.shape[1] - 1} entries, one less than w has columns; got {target.size}")
    weights = layer.T @ output
    return weights[:-1] - target, float(weights[-1])
