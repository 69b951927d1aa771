"""Curvature of the deep linear loss, and the learning rates and step counts that follow from it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.deep_linear._checks import broadcast, require_below
from theory.deep_linear._clock import elapsed
from theory.validation import finite, integer, positive, positive_scalar

Array = NDArray[np.float64]


class HessianEigenvalues(NamedTuple):
    """Eigenvalues across the symmetric line a_1 = ... = a_D (D - 1 of them, all equal) and along it (one)."""

    transverse: Array
    symmetric: Array


def hessian_eigenvalues(a: ArrayLike, *, s: ArrayLike, depth: int) -> HessianEigenvalues:
    r"""Hessian of one mode of a deep linear network where all layers have the same strength.

    At :math:`a_1 = \dots = a_D = a` the Hessian of :math:`E = \tfrac12 (s - \prod_l a_l)^2` has one value g on its
    diagonal and one value h off it, hence the eigenvalues

    .. math:: g - h = a^{D-2} (s - a^D), \qquad g + (D-1) h = (2D-1) a^{2D-2} - (D-1) s a^{D-2},

    the first D - 1 times. At the minimum they are 0 and :math:`D s^{2-2/D}`. Costs O(1) an entry.

    Parameters
    ----------
    a : array_like
        Strength of every layer, any real number.
    s : array_like
        Strength of the mode in the data, positive; broadcasts against ``a``.
    depth : int
        Number D of weight matrices, at least 2: with a single layer there is nothing transverse.

    Returns
    -------
    HessianEigenvalues
        ``transverse`` and ``symmetric``, in the joint shape of ``a`` and ``s``.

    Raises
    ------
    ValueError
        If ``s`` is not positive, an entry is not finite, ``depth`` < 2, or the shapes do not broadcast.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, supplement on the optimal learning rate.

    Examples
    --------
    >>> hessian_eigenvalues(1.0, s=1.0, depth=3)
    HessianEigenvalues(transverse=array(0.), symmetric=array(3.))
    """
    layer = finite("a", a)
    s = positive("s", s)
    D = integer("depth", depth, minimum=2)
    broadcast(a=layer, s=s)
    lever = layer ** (D - 2)
    power = layer**D
    return HessianEigenvalues(
        transverse=np.asarray(lever * (s - power)),
        symmetric=np.asarray(lever * (D * power - (D - 1) * (s - power))),
    )


def critical_learning_rate(*, s: float, depth: int) -> float:
    r"""Largest learning rate at which gradient descent is stable at the minimum.

    .. math:: \eta_c = 2 / (D s^{2-2/D}),

    two over the largest Hessian eigenvalue, so it falls as 1/D: for every network whose largest mode has strength s.

    Parameters
    ----------
    s : float
        Strength of the strongest mode, positive.
    depth : int
        Number D of weight matrices, at least 1.

    Returns
    -------
    float
        Learning rate eta_c; the descent converges locally for eta < eta_c and leaves the minimum for eta > eta_c.

    Raises
    ------
    ValueError
        If ``s`` is not positive and finite or ``depth`` < 1.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, supplement on the optimal learning rate.

    Examples
    --------
    >>> critical_learning_rate(s=4.0, depth=2)
    0.25
    """
    s = positive_scalar("s", s)
    D = integer("depth", depth, minimum=1)
    return 2 / (D * s ** (2 - 2 / D))


def top_hessian_eigenvalue(sigma_yx: ArrayLike, *, depth: int) -> float:
    r"""Sharpness of the whole network at a decoupled balanced minimum, inputs white.

    There the nonzero Hessian eigenvalues are :math:`\sum_{l=1}^D s_i^{2(D-l)/D} s_j^{2(l-1)/D}`, one for each pair of
    an output and an input mode; the largest is :math:`D s_1^{2-2/D}`, with s_1 the spectral norm of Sigma_yx. Costs
    one singular value decomposition.

    Parameters
    ----------
    sigma_yx : array_like, shape (N_o, N_i)
        Input-output correlations, not all zero.
    depth : int
        Number D of weight matrices, at least 1.

    Returns
    -------
    float
        Largest eigenvalue of the Hessian with respect to all weights.

    Raises
    ------
    ValueError
        If ``sigma_yx`` is not a finite matrix with a nonzero entry, or ``depth`` < 1.

    References
    ----------
    Derived here from the network of Saxe, McClelland and Ganguli, arXiv:1312.6120.

    Examples
    --------
    >>> top_hessian_eigenvalue([[4.0, 0.0], [0.0, 1.0]], depth=2)
    8.0
    """
    target = finite("sigma_yx", sigma_yx, ndim=2)
    D = integer("depth", depth, minimum=1)
    if not target.any():
        raise ValueError("sigma_yx must have a nonzero entry; got only zeros")
    return float(D * np.linalg.norm(target, 2) ** (2 - 2 / D))


def training_steps(u: ArrayLike, *, s: ArrayLike, u0: ArrayLike, depth: float, rate_constant: ArrayLike) -> Array:
    r"""Gradient steps from mode strength u0 to u when the learning rate shrinks with depth as stability demands.

    With :math:`\eta = c / (D s^{2-2/D})` the count is, in the small-c limit of gradient descent,

    .. math:: n = \frac{1}{c} \int_{u_0/s}^{u/s} \frac{dx}{x^{2-2/D} (1-x)}
            \;\xrightarrow{D\to\infty}\; \frac{1}{c} \Bigl[ \ln\frac{u(s-u_0)}{u_0(s-u)} + \frac{s}{u_0} - \frac{s}{u}
            \Bigr] ,

    finite for a fixed u0; for layers of a fixed strength below 1, u0 = sigma^D, it diverges with D. A finite c adds a
    correction of relative size c. Costs O(1) an entry.

    Parameters
    ----------
    u : array_like
        Strength to reach, between 0 and ``s``; below ``u0`` the count is negative.
    s : array_like
        Strength of the mode in the data, positive.
    u0 : array_like
        Initial strength, between 0 and ``s``.
    depth : int or inf
        Number D of weight matrices, at least 2; ``np.inf`` gives the limit.
    rate_constant : array_like
        The c in the learning rate, positive; c = 2 is the edge of stability.

    Returns
    -------
    ndarray
        Numbers of steps, not rounded, in the joint shape of the array arguments.

    Raises
    ------
    ValueError
        If an argument is outside its range or not finite, or the shapes do not broadcast.

    References
    ----------
    Saxe, McClelland and Ganguli, arXiv:1312.6120, section on the learning speed of deep networks.

    Examples
    --------
    >>> round(float(training_steps(0.5, s=1.0, u0=0.25, depth=2, rate_constant=0.1)), 3)
    10.986
    """
    u, s, u0 = positive("u", u), positive("s", s), positive("u0", u0)
    c = positive("rate_constant", rate_constant)
    shape = broadcast(u=u, s=s, u0=u0, rate_constant=c)
    require_below("u0", u0, s)
    require_below("u", u, s)
    D = depth if depth == np.inf else integer("depth", depth, minimum=2)  # type: ignore[arg-type]
    time = elapsed(np.minimum(u, u0), np.maximum(u, u0), s, D)
    return np.broadcast_to(np.sign(u - u0) * time / c, shape).copy()
