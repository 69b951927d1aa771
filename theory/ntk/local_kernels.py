r"""Kernels of wide convolutional ReLU networks without overlaps, their spectra, and what these say of learning curves.

An input is p patches, unit vectors in s dimensions. The network looks at patches one at a time, and deeper layers at
groups of them; its kernel is a sum of functions of parts of the input, and a target that depends on small parts is
learned at a rate that knows nothing of the whole dimension.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, integer, positive_scalar

Array = NDArray[np.float64]
Kind = Literal["rfk", "ntk"]

UNIT = 1e-9


def local_kernel(x1: ArrayLike, x2: ArrayLike | None = None, *, kernel: Kind, groups: Sequence[int] = ()) -> Array:
    r"""Kernel of a convolutional ReLU network of infinite width, normalised to 1 (rfk) on the diagonal.

    With the arc-cosine functions :math:`k_1(\cos t) = [\sin t + (\pi - t) \cos t] / \pi`, :math:`k_0(\cos t) = (\pi -
    t) / \pi`: the first layer gives each patch :math:`K = k_1(u)` and :math:`\Theta = k_1(u) + k_0(u) u`, u the
    correlation of the two patches. Each later layer averages both over groups of neighbours, to :math:`m` and
    :math:`\mu`, and gives :math:`k_1(m)` and :math:`k_1(m) + k_0(m) \mu`. What is left at the end is averaged. Costs
    O(N M p s).

    Parameters
    ----------
    x1, x2 : array_like, shape (N, p, s) and (M, p, s)
        Patches, unit vectors. ``x2`` left out stands for ``x1``.
    kernel : {"rfk", "ntk"}
        Random features, where the last layer alone is trained, or tangent kernel.
    groups : sequence of int
        How many neighbours each layer after the first joins; their product must divide p.

    Returns
    -------
    array, shape (N, M)

    Raises
    ------
    ValueError
        If shapes disagree, a patch is no unit vector, or groups do not divide the patches.

    References
    ----------
    Cagnetta, Favero and Wyart 2023, hierarchical kernels; Favero, Cagnetta and Wyart 2021 for one hidden layer.

    Examples
    --------
    >>> x = np.array([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    >>> print(local_kernel(x, kernel="rfk").round(6))
    [[1.       0.659155]
     [0.659155 1.      ]]
    """
    _kind(kernel)
    a = _patches("x1", x1)
    b = a if x2 is None else _patches("x2", x2)
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"x2 must have patches like x1, {a.shape[1:]}; got {b.shape[1:]}")
    sizes = [integer("groups", size, minimum=1) for size in groups]
    if a.shape[1] % int(np.prod(sizes, dtype=int)):
        raise ValueError(f"groups must have a product that divides the {a.shape[1]} patches; got {tuple(sizes)}")
    apart = _distances(a, b)
    angle = 2 * np.arctan2(apart, _distances(a, -b))
    correlation = np.cos(angle)
    k = _k1(angle)
    theta = k + _k0(angle) * correlation
    for size in sizes:
        lost, theta = (_grouped(values, size) for values in (_lost(angle), theta))
        angle = 2 * np.arcsin(np.sqrt(np.clip(lost / 2, 0.0, 1.0)))
        k = _k1(angle)
        theta = k + _k0(angle) * theta
    return np.mean(k if kernel == "rfk" else theta, axis=-1)


def circle_eigenvalues(k: ArrayLike, *, kernel: Kind) -> Array:
    r"""Eigenvalues of the kernel of one patch in two dimensions, the circle, under its uniform measure.

    :math:`\lambda_k = \frac1{2\pi} \int \kappa(\cos t) \cos(k t)\, dt`. For even k, :math:`4 / [\pi^2 (k^2 - 1)^2]`
    (rfk) and :math:`(2 k^2 + 6) / [\pi^2 (k^2 - 1)^2]` (ntk); for k = 1, 1/4 and 1/2; zero for odd :math:`k \ge 3`.

    Parameters
    ----------
    k : array_like of int
        Frequencies, at least 0.
    kernel : {"rfk", "ntk"}
        :math:`k_1`, or :math:`k_1 + u k_0`.

    Returns
    -------
    array, of the shape of ``k``

    Raises
    ------
    ValueError
        If a frequency is negative or no whole number, or the kernel is unknown.

    Examples
    --------
    >>> print((circle_eigenvalues([0, 1, 2, 3], kernel="ntk") * np.pi**2).round(6))
    [6.       4.934802 1.555556 0.      ]
    """
    _kind(kernel)
    frequency = finite("k", k)
    if np.any(frequency < 0) or np.any(frequency != np.floor(frequency)):
        raise ValueError(f"k must hold whole numbers of at least 0; got {k!r}")
    even = frequency % 2 == 0
    square = np.where(even, frequency, 0.0) ** 2
    top = 4.0 if kernel == "rfk" else 2 * square + 6
    value = top / (np.pi * (square - 1)) ** 2
    return np.where(even, value, np.where(frequency == 1, 0.25 if kernel == "rfk" else 0.5, 0.0))


def hierarchical_decay_exponents(level_dims: Sequence[int], *, nu: float) -> Array:
    r"""Exponents with which eigenvalues of a hierarchical kernel decay, one for each level.

    A mode that lives on one meta-patch of level l, and varies in all of its patches, has an eigenvalue of order
    :math:`|k|^{-2 \nu - d(l)}`, :math:`d(l) = (s_1 - 1) \prod_{j=2}^l s_j` the dimension of the meta-patch.

    Parameters
    ----------
    level_dims : sequence of int
        :math:`s_1 \ge 2`, the dimension of the space that holds a patch, then how many patches each further level
        joins, :math:`s_2, s_3, \dots`.
    nu : float
        Smoothness: 1/2 for tangent kernels of ReLU networks, 3/2 for random features.

    Returns
    -------
    array, shape (number of levels,)
        The positive numbers :math:`2 \nu + d(l)`.

    Raises
    ------
    ValueError
        If there is no level, or a number is out of range.

    Examples
    --------
    >>> print(hierarchical_decay_exponents([2, 2, 3], nu=1.5))
    [4. 5. 9.]
    """
    smoothness = positive_scalar("nu", nu)
    sizes = [integer("level_dims", size, minimum=1 if level else 2) for level, size in enumerate(level_dims)]
    if not sizes:
        raise ValueError("level_dims must hold at least one number; got none")
    return 2 * smoothness + np.cumprod([sizes[0] - 1, *sizes[1:]], dtype=float)


def learning_curve_exponent(*, dim: float, nu_teacher: float, nu_student: float) -> float:
    r"""Exponent beta of the test error :math:`P^{-\beta}` of ridgeless regression on P examples.

    :math:`\beta = \min\{2 \nu_T, 2 (2 \nu_S + d)\} / d` in dimension d for a Gaussian random function of smoothness
    :math:`\nu_T` (its increments over a distance r are of order :math:`r^{\nu_T}`) and a kernel of smoothness
    :math:`\nu_S`: what limits the error is the roughness of the target, or else what the kernel can interpolate. For
    a local target and kernel, d is that of a patch, s - 1, however many patches there are; for a kernel that is not
    local it is the whole dimension.

    Parameters
    ----------
    dim : float
        d > 0.
    nu_teacher, nu_student : float
        Smoothness, positive; ``nu_teacher`` may be inf, for an analytic target.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is not positive.

    References
    ----------
    Spigler, Geiger and Wyart 2020; Favero, Cagnetta and Wyart 2021 for local kernels.

    Examples
    --------
    >>> learning_curve_exponent(dim=1, nu_teacher=0.5, nu_student=0.5)
    1.0
    >>> learning_curve_exponent(dim=1, nu_teacher=np.inf, nu_student=0.5)
    4.0
    """
    d, student = positive_scalar("dim", dim), positive_scalar("nu_student", nu_student)
    teacher = float(nu_teacher) if nu_teacher == np.inf else positive_scalar("nu_teacher", nu_teacher)
    return min(2 * teacher, 2 * (2 * student + d)) / d


def cusp_error_coefficient(*, cusp: float, period: float) -> float:
    r"""Limit of P times the test error in one dimension, for a kernel with a cusp and P random examples.

    A target with covariance :math:`\kappa_0 - a |t|` at small distances looks like Brownian motion of variance 2a per
    length, and ridgeless regression with any kernel with a cusp like a straight line between neighbours. The error is
    a Brownian bridge's, :math:`2 a g / 6` on average over a gap g; a point falls into a gap of size 2 / density on
    average: :math:`P \varepsilon \to \frac23 a \Lambda` for P independent examples on a period :math:`\Lambda`.

    The tangent kernel of one patch on the circle has :math:`a = 1 / \pi` and, since its rough part is the same at
    opposite points, :math:`\Lambda = \pi`: the limit is 2/3.

    Parameters
    ----------
    cusp : float
        a > 0.
    period : float
        :math:`\Lambda > 0`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is not positive.

    Examples
    --------
    >>> round(cusp_error_coefficient(cusp=1 / np.pi, period=np.pi), 12)
    0.666666666667
    """
    return 2 * positive_scalar("cusp", cusp) * positive_scalar("period", period) / 3


def _k0(angle: Array) -> Array:
    return (np.pi - angle) / np.pi


def _k1(angle: Array) -> Array:
    return (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi


def _lost(angle: Array) -> Array:
    """Return 1 - k_1 from positive terms."""
    return (2 * (np.pi - angle) * np.sin(angle / 2) ** 2 + (angle - np.sin(angle))) / np.pi


def _grouped(values: Array, size: int) -> Array:
    return values.reshape(*values.shape[:-1], -1, size).mean(axis=-1)


def _distances(a: Array, b: Array) -> Array:
    """Distances (N, M, p) of patches, accumulated over components to hold no more than that."""
    total = np.zeros((a.shape[0], b.shape[0], a.shape[1]))
    for i in range(a.shape[2]):
        total += (a[:, None, :, i] - b[None, :, :, i]) ** 2
    return np.sqrt(total)


def _patches(name: str, value: ArrayLike) -> Array:
    x = finite(name, value, ndim=3)
    lengths = np.linalg.norm(x, axis=-1)
    if np.any(np.abs(lengths - 1) > UNIT):
        worst = lengths.flat[int(np.argmax(np.abs(lengths - 1)))]
        raise ValueError(f"{name} must hold unit vectors; got one of length {worst:g}")
    return x


def _kind(kernel: str) -> None:
    if kernel not in ("rfk", "ntk"):
        raise ValueError(f"kernel must be 'rfk' or 'ntk'; got {kernel!r}")
