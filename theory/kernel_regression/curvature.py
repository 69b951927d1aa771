"""Where the outliers of a loss's Hessian come from: the Gauss-Newton part, its rank, and clusters in the data."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.kernel_regression.spikes import spiked_covariance_outlier
from theory.validation import finite, integer, nonnegative, positive

Array = NDArray[np.float64]


class HessianSplit(NamedTuple):
    """The two parts of a Hessian, each (P, P): of the loss's curvature, and of that of the network's outputs."""

    gauss_newton: Array
    residual: Array


def hessian_split(
    jacobian: ArrayLike, loss_hessian: ArrayLike, loss_gradient: ArrayLike, output_hessian: ArrayLike
) -> HessianSplit:
    r"""Split the Hessian of a mean loss over N samples into its Gauss-Newton part and the rest.

    .. math:: H = \frac1N \sum_i J_i^\top \ell''_i J_i + \frac1N \sum_{i, c} \frac{\partial \ell_i}{\partial f_c}
              \nabla^2 f_{ic}

    Parameters
    ----------
    jacobian : array_like, shape (N, C, P)
        Of C outputs by P parameters.
    loss_hessian : array_like, shape (N, C, C)
    loss_gradient : array_like, shape (N, C)
        Derivatives of each sample's loss by its outputs.
    output_hessian : array_like, shape (N, C, P, P)

    Returns
    -------
    HessianSplit
        Costs O(N C P^2 + N C^2 P).

    Raises
    ------
    ValueError
        If shapes disagree or a number is not finite.

    References
    ----------
    Sagun, Evci, Guney, Dauphin, Bottou (2017, arXiv:1706.04454).

    Examples
    --------
    >>> hessian_split([[[2.0]]], [[[3.0]]], [[0.5]], [[[[4.0]]]])
    HessianSplit(gauss_newton=array([[12.]]), residual=array([[2.]]))
    """
    J = finite("jacobian", jacobian, ndim=3)
    N, C, P = J.shape
    parts = {}
    for name, value, shape in (
        ("loss_hessian", loss_hessian, (N, C, C)),
        ("loss_gradient", loss_gradient, (N, C)),
        ("output_hessian", output_hessian, (N, C, P, P)),
    ):
        parts[name] = finite(name, value)
        if parts[name].shape != shape:
            raise ValueError(f"{name} must have shape {shape}, as jacobian has it; got {parts[name].shape}")
    curved = np.einsum("icd,idp->icp", parts["loss_hessian"], J).reshape(N * C, P)
    rest = np.tensordot(parts["loss_gradient"], parts["output_hessian"], axes=([0, 1], [0, 1]))
    return HessianSplit(J.reshape(N * C, P).T @ curved / N, rest / N)


def gauss_newton_rank_bound(
    *, n_samples: int, n_outputs: int, n_params: int, loss: Literal["mse", "cross_entropy"] = "mse"
) -> int:
    r"""Largest rank of the Gauss-Newton part: :math:`\min(P, N C)`, or :math:`\min(P, N (C - 1))` behind a softmax.

    Softmax probabilities do not change when all scores rise by the same, so that one direction an example is flat.
    Attained by generic networks and data, but for parameters that never matter: behind a softmax a last layer of h
    units with biases has h + 1 directions that raise all scores alike, and P is to be counted without them. Of inputs
    that repeat, count one.

    Parameters
    ----------
    n_samples, n_outputs, n_params : int
        N, C and P, at least 1.
    loss : {"mse", "cross_entropy"}

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Sagun, Evci, Guney, Dauphin, Bottou (2017, arXiv:1706.04454).

    Examples
    --------
    >>> gauss_newton_rank_bound(n_samples=6, n_outputs=3, n_params=66, loss="cross_entropy")
    12
    """
    N, C = integer("n_samples", n_samples, minimum=1), integer("n_outputs", n_outputs, minimum=1)
    P = integer("n_params", n_params, minimum=1)
    if loss not in ("mse", "cross_entropy"):
        raise ValueError(f"loss must be 'mse' or 'cross_entropy'; got {loss!r}")
    return min(P, N * (C if loss == "mse" else C - 1))


class ClusterOutliers(NamedTuple):
    """How many eigenvalues leave the bulk, where they are, and where the bulk ends."""

    number: int
    location: float
    edge: float


def cluster_hessian_outliers(*, n_clusters: int, snr: float, ratio: float, n_classes: int = 2) -> ClusterOutliers:
    r"""Outliers of the Hessian of logistic or softmax regression at zero weights, on clustered data.

    Inputs in d dimensions lie about k equally frequent, orthogonal centres of squared norm k snr, with unit noise; N =
    d / ratio of them. Each centre is a direction of population variance 1 + snr. With c = 1/4 for logistic regression
    (one score for two classes) and c = 1/C for softmax,

    .. math:: \text{location} = c\, (1 + \text{snr}) \Bigl(1 + \frac{\gamma}{\text{snr}}\Bigr), \qquad
              \text{edge} = c\, (1 + \sqrt\gamma)^2 ,

    and there are k outliers, k (C - 1) for softmax, if snr is above :math:`\sqrt\gamma`; else none, and the location is
    the edge. **Neither is the number of classes.** Asymptotic in d and N.

    Parameters
    ----------
    n_clusters : int
        k >= 1.
    snr : float
        At least 0.
    ratio : float
        gamma = d/N > 0.
    n_classes : int
        C >= 2; 2 stands for logistic regression on one score.

    Returns
    -------
    ClusterOutliers

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Derived here, for what Sagun et al. (2017, arXiv:1706.04454) and others count in trained networks.

    Examples
    --------
    >>> cluster_hessian_outliers(n_clusters=3, snr=4.0, ratio=0.2, n_classes=3).number
    6
    """
    k, C = integer("n_clusters", n_clusters, minimum=1), integer("n_classes", n_classes, minimum=2)
    signal, gamma = float(nonnegative("snr", snr)), float(positive("ratio", ratio))
    curvature = 0.25 if C == 2 else 1 / C
    location = curvature * float(spiked_covariance_outlier(1 + signal, ratio=gamma).location)
    edge = curvature * (1 + gamma**0.5) ** 2
    return ClusterOutliers(k * (C - 1) if signal > gamma**0.5 else 0, location, edge)
