"""Squared error with a decayed bias: from the simplex frame to the orthogonal one as the bias is held back."""

from typing import NamedTuple

import numpy as np

from theory import validation
from theory.neural_collapse.modes import mode_singular_value


class BiasDecayMinimizer(NamedTuple):
    """Global minimum with decayed bias; see :func:`ufm_mse_bias_decay_minimizer`.

    ``singular_value`` belongs to the K - 1 modes that tell classes apart, ``constant_singular_value`` to the one that
    all classes share, and ``bias`` is its value in every entry.
    """

    loss: float
    singular_value: float
    constant_singular_value: float
    bias: float


def ufm_mse_bias_decay_minimizer(
    num_classes: int, samples_per_class: int, *, weight_decay: float, feature_decay: float, bias_decay: float
) -> BiasDecayMinimizer:
    r"""Global minimum of squared error with one linear layer and a decayed bias over free features, balanced classes.

    .. math:: \frac{1}{2N} \lVert W H + b 1^T - Y \rVert_F^2 + \frac{\lambda_W}{2} \lVert W \rVert_F^2
              + \frac{\lambda_H}{2} \lVert H \rVert_F^2 + \frac{\lambda_b}{2} |b|^2

    Eliminating the bias leaves the constant mode a squared error of weight :math:`\kappa = \lambda_b/(1+\lambda_b)`:

    .. math:: \sigma = \bigl(\sqrt n - N c\bigr)_+ , \quad \sigma_0 = \bigl(\sqrt n - N c / \kappa\bigr)_+ , \quad
              b = \frac{\sqrt n - \sigma_0}{(1 + \lambda_b) \sqrt{K N}} , \quad c = \sqrt{\lambda_W \lambda_H} .

    The geometry is a simplex ETF (sigma_0 = 0) while kappa <= K sqrt(n) c, and tends to an orthogonal frame as the
    decay of the bias grows. Features need at least K dimensions. Costs O(1).

    Parameters
    ----------
    num_classes : int
        K >= 2.
    samples_per_class : int
        n >= 1.
    weight_decay, feature_decay : float
        lam_W and lam_H, positive.
    bias_decay : float
        lam_b >= 0; 0 leaves the bias free.

    Returns
    -------
    BiasDecayMinimizer

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Zhou et al. (2022), arXiv:2203.01238; the threshold is an own derivation.

    Examples
    --------
    >>> ufm_mse_bias_decay_minimizer(4, 4, weight_decay=0.01, feature_decay=0.01, bias_decay=0.0).bias
    0.25
    """
    k = validation.integer("num_classes", num_classes, minimum=2)
    n = validation.integer("samples_per_class", samples_per_class, minimum=1)
    decays = [validation.positive_scalar("weight_decay", weight_decay)]
    decays.append(validation.positive_scalar("feature_decay", feature_decay))
    lam_b = float(validation.nonnegative("bias_decay", bias_decay, ndim=0))

    samples = k * n
    s = np.sqrt(n)
    kappa = lam_b / (1 + lam_b)
    sigma = mode_singular_value(s, num_samples=samples, decays=decays)
    constant = mode_singular_value(s, num_samples=samples, decays=decays, loss_weight=kappa) if kappa > 0 else 0.0
    c = np.sqrt(decays[0] * decays[1])
    loss = (k - 1) * ((sigma - s) ** 2 / (2 * samples) + c * sigma)
    loss += kappa * (constant - s) ** 2 / (2 * samples) + c * constant
    return BiasDecayMinimizer(
        loss=float(loss),
        singular_value=float(sigma),
        constant_singular_value=float(constant),
        bias=float((s - constant) / ((1 + lam_b) * np.sqrt(k * samples))),
    )


def critical_bias_decay(
    num_classes: int, samples_per_class: int, *, weight_decay: float, feature_decay: float
) -> float:
    r"""Decay of the bias up to which the minimiser of :func:`ufm_mse_bias_decay_minimizer` is a simplex ETF.

    .. math:: \frac{\lambda_b}{1 + \lambda_b} = K \sqrt{n \lambda_W \lambda_H}

    Beyond it the mode that all classes share grows continuously, sigma_0 / sqrt(n) = 1 - kappa_c / kappa. Costs O(1).

    Parameters
    ----------
    num_classes : int
        K >= 2.
    samples_per_class : int
        n >= 1.
    weight_decay, feature_decay : float
        lam_W and lam_H, positive, with K sqrt(n lam_W lam_H) below 1: from there on nothing but the bias is learned.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Own derivation, for the model of Zhou et al. (2022), arXiv:2203.01238.

    Examples
    --------
    >>> critical_bias_decay(2, 1, weight_decay=0.25, feature_decay=0.25)
    1.0
    """
    k = validation.integer("num_classes", num_classes, minimum=2)
    n = validation.integer("samples_per_class", samples_per_class, minimum=1)
    lam_w = validation.positive_scalar("weight_decay", weight_decay)
    lam_h = validation.positive_scalar("feature_decay", feature_decay)
    kappa = k * float(np.sqrt(n * lam_w * lam_h))
    if kappa >= 1:
        raise ValueError(
            f"weight_decay must be below {1 / (k**2 * n * lam_h):g}, as nothing but the bias is learned from there on; "
            f"got {lam_w:g}"
        )
    return kappa / (1 - kappa)
