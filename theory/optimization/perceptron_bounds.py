r"""Updates that suffice to separate data, for the batch perceptron and for large steps, and data that need many."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import lambertw

from theory import validation

Array = NDArray[np.float64]

_LARGEST_SIGMOID_MOMENT = float(lambertw(np.exp(-1)).real)  # max over x of x / (1 + e^x)
_STEPS_OF_A_TIE = 1e-9


def perceptron_iteration_bound(
    n_samples: int, *, radius: float, margin: float, step_size: float = np.inf, normalized: bool = False
) -> float:
    r"""Count the updates that suffice to classify every row strictly.

    For the perceptron (infinite step size) n R^2 / mu^2, and R^2 / mu^2 when normalised. For a finite step size gamma,
    with :math:`w_0 = \max_x x / (1 + e^x) = 0.278\ldots`,

    .. math:: T_{\text{plain}} \le \frac{2 n \rho}{\mu^2}, \qquad T_{\text{normalised}} \le \frac{\rho}{\mu^2}, \qquad
              \rho = R^2 + \frac{4 w_0 (n - 1)}{\gamma} .

    The plain finite bound keeps the factor 2 of a row that is barely misclassified, whose weight is half a step. Ties
    of the perceptron do not cost it, see :func:`sharper_perceptron_bound`.

    Parameters
    ----------
    n_samples : int
        n >= 1.
    radius : float
        R > 0, the largest row norm.
    margin : float
        mu in (0, R].
    step_size : float
        gamma > 0, possibly infinite.
    normalized : bool

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range, or ``margin`` exceeds ``radius``.

    References
    ----------
    Tyurin (2024), arXiv:2412.08424; the finite-gamma forms are derived here.

    Examples
    --------
    >>> perceptron_iteration_bound(10, radius=1.0, margin=0.5)
    40.0
    """
    n, R, mu = _problem(n_samples, radius, margin)
    if np.isposinf(step_size):
        return (1 if normalized else n) * R**2 / mu**2
    gamma = validation.positive_scalar("step_size", step_size)
    rho = R**2 + 4 * _LARGEST_SIGMOID_MOMENT * (n - 1) / gamma
    return (1 if normalized else 2 * n) * rho / mu**2


def sharper_perceptron_bound(
    n_samples: int, *, radius: float, margin: float, step_size: float = np.inf, ties: bool = False
) -> float:
    r"""Count the updates that suffice without normalisation, about four times fewer than the proof by largest updates.

    With p_t the mean weight of the rows in update t, :math:`\mu \sum_t p_t \le \|u_T\|` and
    :math:`\|u_T\|^2 \le R^2 \sum_t p_t^2`. Bounding :math:`p_t^2 \le p_t` gives n R^2 / mu^2. Instead, all p_t lie in
    [m, M], so that :math:`T \sum p_t^2 \le \frac{(m + M)^2}{4 m M} (\sum p_t)^2` (Polya and Szego), and

    .. math:: T \le \frac{(m + M)^2}{4 m M}\, \frac{R^2}{\mu^2} = \frac{n^2}{4 (n - 1)}\, \frac{R^2}{\mu^2}

    for the perceptron, where m = 1/n and M = 1 - 1/n: an iterate in the cone of the rows cannot be wrong about all of
    them. A row that is exactly tied counts half, m = 1/(2n), and the factor is :math:`(2n-1)^2 / (8(n-1)) \le n`. For a
    finite step size gamma, m = 1/(2n), M = 1, and with w_0 = 0.278...

    .. math:: T \le \frac{1}{\mu^2} \Bigl(\frac{(2n + 1)^2}{8 n} R^2 + \frac{8 w_0\, n (n - 1)}{\gamma}\Bigr) .

    Parameters
    ----------
    n_samples : int
        n >= 1. One row is separated by the first update.
    radius : float
        R > 0, the largest row norm.
    margin : float
        mu in (0, R].
    step_size : float
        gamma > 0, possibly infinite.
    ties : bool
        Whether rows may be exactly tied after the first update, where the step size is infinite; for continuous data
        they are not.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If an argument is out of range, or ``margin`` exceeds ``radius``.

    References
    ----------
    Derived here, from the setting of Tyurin (2024), arXiv:2412.08424.

    Examples
    --------
    >>> round(sharper_perceptron_bound(10, radius=1.0, margin=0.5), 6)  # perceptron_iteration_bound: 40
    11.111111
    """
    n, R, mu = _problem(n_samples, radius, margin)
    if np.isposinf(step_size):
        numerator = (2 * n - 1) ** 2 / 8 if ties else n**2 / 4
        return (numerator / (n - 1) if n > 1 else 1.0) * R**2 / mu**2
    gamma = validation.positive_scalar("step_size", step_size)
    return ((2 * n + 1) ** 2 / (8 * n) * R**2 + 8 * _LARGEST_SIGMOID_MOMENT * n * (n - 1) / gamma) / mu**2


def hard_instance(n_samples: int, angle: float) -> Array:
    r"""Rows that make the batch perceptron pay for n: one of them disagrees with all the others.

    n - 1 copies of :math:`(\cos\varphi, \sin\varphi)` and one :math:`(-\cos\varphi, \sin\varphi)`; R = 1 and
    :math:`\mu = \sin\varphi` whatever n.

    Parameters
    ----------
    n_samples : int
        n >= 2.
    angle : float
        phi in (0, pi / 2), radians.

    Returns
    -------
    ndarray, shape (n, 2)

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    n = validation.integer("n_samples", n_samples, minimum=2)
    phi = float(validation.interval("angle", validation.scalar("angle", angle), 0, np.pi / 2, closed=False))
    rows = np.tile([np.cos(phi), np.sin(phi)], (n, 1))
    rows[-1, 0] *= -1
    return rows


def hard_instance_iterations(n_samples: int, angle: float) -> int:
    r"""Count the updates that the batch perceptron needs on :func:`hard_instance`, exactly.

    .. math:: T = 2 + \Bigl\lfloor \tfrac12 \bigl((n-2)\cos^2\varphi - n \sin^2\varphi\bigr) \Bigr\rfloor
              \approx \tfrac{n}{2} \cos 2\varphi

    when the bracket is not negative, and 1 otherwise. The first update leaves the odd row misclassified by the bracket
    over n; each later one adds 1/n to its margin and takes cos(2 phi)/n from the others', which must survive:
    :math:`(n - 1)\sin^2 2\varphi > 2\delta\cos 2\varphi`, delta in (0, 1] the part of the last update in excess.

    Parameters
    ----------
    n_samples : int
        n >= 2.
    angle : float
        phi in (0, pi / 2), radians.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If an argument is out of range, or the angle is so small that the majority is overturned too.

    References
    ----------
    Derived here.

    Examples
    --------
    >>> hard_instance_iterations(320, 3.141592653589793 / 6)
    81
    """
    n = validation.integer("n_samples", n_samples, minimum=2)
    phi = float(validation.interval("angle", validation.scalar("angle", angle), 0, np.pi / 2, closed=False))
    bracket = ((n - 2) * np.cos(phi) ** 2 - n * np.sin(phi) ** 2) / 2
    if bracket < -_STEPS_OF_A_TIE:
        return 1
    whole = int(np.floor(bracket + _STEPS_OF_A_TIE))
    # a tie is broken by half an update
    excess = 0.5 if abs(bracket - whole) <= _STEPS_OF_A_TIE else 1 - (bracket - whole)
    if (n - 1) * np.sin(2 * phi) ** 2 <= 2 * excess * np.cos(2 * phi):
        raise ValueError(f"angle must keep the majority classified at n = {n}; {phi:g} is too small for the formula")
    return 2 + whole


def _problem(n_samples: int, radius: float, margin: float) -> tuple[int, float, float]:
    n = validation.integer("n_samples", n_samples, minimum=1)
    R = validation.positive_scalar("radius", radius)
    mu = validation.positive_scalar("margin", margin)
    if mu > R * (1 + 1e-12):
        raise ValueError(f"margin must be at most radius, {R:g}; got {mu:g}")
    return n, R, mu
