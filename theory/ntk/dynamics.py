"""Training at infinite width: predictions under gradient flow and gradient descent, averaged over initialisations."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, positive_scalar

Array = NDArray[np.float64]

ASYMMETRY = 1e-10  # relative to the largest entry
ILL_CONDITIONED = 1e12


class ConditioningWarning(UserWarning):
    """A kernel matrix is so ill-conditioned that predictions at late times lose most of their digits."""


class GP(NamedTuple):
    """Mean (..., M) and covariance (..., M, M) of predictions over the ensemble of initialisations."""

    mean: Array
    cov: Array


class Rates(NamedTuple):
    """Decay rates, descending, and the modes in the columns of an orthogonal matrix."""

    rates: Array
    modes: Array


def ntk_gp(
    ntk: ArrayLike,
    nngp: ArrayLike,
    y: ArrayLike,
    *,
    t: ArrayLike,
    mean_loss: bool = True,
    learning_rate: float | None = None,
) -> GP:
    r"""Predictions of infinitely wide networks after training for a time t: mean and covariance over initialisations.

    Under gradient flow of the squared error, all parameters moving, :math:`\dot f(x) = -r\, \Theta(x, X) (f(X) - y)`
    with r = 1/N for the mean over examples, :math:`\frac{1}{2N} \sum_i (f(x_i) - y_i)^2`, and r = 1 for the sum. With
    :math:`B = \Theta_{*X} \Theta_{XX}^{-1} (1 - e^{-r t \Theta_{XX}})`,

    .. math:: E f_t = B y, \qquad
        \mathrm{Cov} f_t = K_{**} + B K_{XX} B^T - B K_{X*} - K_{*X} B^T .

    With a ``learning_rate`` :math:`\eta` it is gradient descent and t counts steps:
    :math:`(1 - \eta r \Theta_{XX})^t` in place of the exponential. Training only the last layer is ``ntk=nngp`` (less
    the biases' share), and then t to infinity is the NNGP's posterior; otherwise the covariance is no posterior. Costs
    O(N^3) once and O(N^2 M + N M^2) a time; never inverts, so that directions of vanishing eigenvalue just do not move.

    Parameters
    ----------
    ntk, nngp : array_like, shape (N + M, N + M)
        Kernels between all inputs, the N training inputs first.
    y : array_like, shape (N,)
        Targets of the training inputs.
    t : array_like, shape (...)
        Times, nonnegative, `numpy.inf` for the end of training; whole numbers of steps with a ``learning_rate``.
    mean_loss : bool
        Whether the loss is the mean over examples, or else the sum.
    learning_rate : float, optional
        Step size of gradient descent; gradient flow when left out.

    Returns
    -------
    GP
        ``mean`` of shape (..., M), ``cov`` of shape (..., M, M).

    Raises
    ------
    ValueError
        If shapes do not match, a kernel is not symmetric, a time is negative or not whole, or the learning rate is at
        or above :math:`2 / (r \lambda_{max})`, where descent diverges.

    Warns
    -----
    ConditioningWarning
        If t asks for more than the eigenvalues of the training kernel can tell: at t = inf, a condition number over
        1e12.

    References
    ----------
    Jacot, Gabriel and Hongler 2018, section 5; Lee et al. 2019, equations (13) to (16).

    Examples
    --------
    >>> kernel = [[1.0, 0.5], [0.5, 1.0]]
    >>> print(ntk_gp(kernel, kernel, [1.0], t=[0.0, 1.0, np.inf]).mean.ravel().round(6))
    [0.      0.31606 0.5    ]
    """
    theta, k = _symmetric("ntk", ntk), _symmetric("nngp", nngp)
    targets = finite("y", y, ndim=1)
    n = targets.size
    if k.shape != theta.shape or not 0 < n <= len(theta):
        raise ValueError(
            f"ntk and nngp must have one shape (N + M, N + M) with N = {n} >= 1; got {theta.shape} and {k.shape}"
        )
    times = _times(t, whole=learning_rate is not None)
    rate = 1 / n if mean_loss else 1.0
    w, modes = np.linalg.eigh(theta[:n, :n])
    if learning_rate is not None:
        step = rate * positive_scalar("learning_rate", learning_rate)
        if step * w[-1] >= 2:
            raise ValueError(
                f"learning_rate must be below 2 / (rate lambda_max) = {2 / (rate * w[-1]):g}; got {learning_rate:g}"
            )
    _warn_if_ill_conditioned(w, times, rate if learning_rate is None else step)
    w = np.where(w > np.finfo(float).eps * n * max(w[-1], 0.0), w, 0.0)  # what is left of zero may have any sign
    found = []
    for time in times.ravel():
        learned = _learned_by_flow(w, rate * time) if learning_rate is None else _learned_by_descent(w, step, time)
        b = ((theta[n:, :n] @ modes) * learned) @ modes.T
        cross = b @ k[:n, n:]
        found.append((b @ targets, k[n:, n:] + b @ k[:n, :n] @ b.T - cross - cross.T))
    m = len(theta) - n
    mean = np.array([mean for mean, _ in found]).reshape(*times.shape, m)
    return GP(mean, np.array([cov for _, cov in found]).reshape(*times.shape, m, m))


def kernel_pca_rates(ntk_train: ArrayLike, *, mean_loss: bool = True) -> Rates:
    r"""Rates at which gradient flow learns the principal components of the tangent kernel.

    The component of :math:`f_t - y` on the training inputs along an eigenvector of :math:`\Theta_{XX}` with eigenvalue
    :math:`\lambda` decays as :math:`e^{-\lambda t / N}`, or :math:`e^{-\lambda t}` for the summed loss. Costs O(N^3).

    Parameters
    ----------
    ntk_train : array_like, shape (N, N)
        Tangent kernel of the training inputs, symmetric.
    mean_loss : bool
        Whether the loss is the mean over examples, or else the sum.

    Returns
    -------
    Rates
        ``rates`` (N,), descending, in units of 1 / time, and ``modes`` (N, N), one a column.

    References
    ----------
    Jacot, Gabriel and Hongler 2018, section 5.

    Examples
    --------
    >>> print(kernel_pca_rates([[2.0, 0.0], [0.0, 6.0]]).rates)
    [3. 1.]
    """
    theta = _symmetric("ntk_train", ntk_train)
    if theta.size == 0:
        raise ValueError("ntk_train must have at least one row; got none")
    w, modes = np.linalg.eigh(theta)
    return Rates(w[::-1] / (len(theta) if mean_loss else 1), modes[:, ::-1])


def _learned_by_flow(w: Array, t: float) -> Array:
    """Return (1 - exp(-w t)) / w, which is t where w vanishes; at t = inf, 0 there, for no time is long enough."""
    moves = w > 0
    safe = np.where(moves, w, 1.0)
    return np.where(moves, -np.expm1(-safe * t) / safe, 0.0 if np.isinf(t) else t)


def _learned_by_descent(w: Array, step: float, t: float) -> Array:
    """Return (1 - (1 - step w)^t) / w, with a logarithm where step w < 1."""
    moves = w > 0
    safe = np.where(moves, w, 1.0)
    if np.isinf(t):
        return np.where(moves, 1 / safe, 0.0)
    shrink = step * safe
    slow = shrink < 0.5
    left = np.where(slow, -np.expm1(t * np.log1p(-np.where(slow, shrink, 0.0))), 1 - (1 - shrink) ** t)
    return np.where(moves, left / safe, step * t)


def _symmetric(name: str, value: ArrayLike) -> Array:
    array = finite(name, value, ndim=2)
    if array.shape[0] != array.shape[1]:
        raise ValueError(f"{name} must be square; got shape {array.shape}")
    off = np.max(np.abs(array - array.T), initial=0.0)
    if off > ASYMMETRY * np.max(np.abs(array), initial=0.0):
        raise ValueError(f"{name} must be symmetric; got entries that differ by {off:g} across the diagonal")
    return array


def _times(t: ArrayLike, *, whole: bool) -> Array:
    times = np.asarray(t, dtype=float)
    if np.isnan(times).any() or (times < 0).any():
        raise ValueError(f"t must be nonnegative; got {times.min():g}")
    ends = np.isinf(times)
    if whole and np.any(times[~ends] != np.round(times[~ends])):
        raise ValueError("t must be a whole number of steps with a learning_rate; got a fraction")
    return times


def _warn_if_ill_conditioned(w: Array, times: Array, rate: float) -> None:
    smallest, largest = max(w[0], 0.0), w[-1]
    if not times.size or largest <= 0:
        return
    reached = max(smallest, 0.0 if np.isinf(times).any() else 1 / (rate * max(times.max(), 1e-300)))
    if reached * ILL_CONDITIONED < largest:
        warnings.warn(
            f"training kernel of condition number {largest / max(smallest, 1e-300):.1g}: "
            "predictions at the latest time lose most of their digits",
            ConditioningWarning,
            stacklevel=3,
        )
