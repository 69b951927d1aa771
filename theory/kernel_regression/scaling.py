r"""Scaling laws: losses that fall as powers of data or parameters, limited by variance or by resolution."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from theory.kernel_regression._effective_ridge import learnable_modes, solve_root
from theory.kernel_regression._sums import spectral_sums
from theory.validation import finite, integer, nonnegative, positive

Array = NDArray[np.float64]


def teacher_student_loss(eigenvalues: ArrayLike, *, n: ArrayLike = np.inf, k: ArrayLike = np.inf) -> Array:
    r"""Mean loss of ridgeless regression on k random features of a random linear teacher, after n samples.

    The teacher's squared coefficients are the eigenvalues, there is no noise, and with :math:`\gamma(m)` the root of
    :math:`\sum_i \lambda_i / (\lambda_i + \gamma) = m`,

    .. math:: L(n, k) = \gamma(m)\, \frac{n k}{|n - k|}, \qquad m = \min(n, k) ,

    symmetric in data and features, :math:`m \gamma(m)` where the other is infinite, and infinite at n = k. Without the
    factor 1/2. Asymptotic as `rf_risk` is; accurate to 1e-12. Costs as `solve_kappa_gamma`.

    Parameters
    ----------
    eigenvalues : array_like, shape (M,)
        Nonnegative; of the covariance of the features that the teacher uses.
    n, k : array_like
        Numbers of samples and of student features, > 0; inf for as many as one likes.

    Returns
    -------
    ndarray
        Of the broadcast shape; 0 where min(n, k) is at least the number of positive eigenvalues.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Bahri, Dyer, Kaplan, Lee, Sharma, Explaining neural scaling laws (2021, arXiv:2102.06701).

    Examples
    --------
    >>> i = np.arange(1, 401.0)
    >>> teacher_student_loss(i**-1.7, n=[30, 90], k=[90, 30]).round(4)
    array([0.3537, 0.3537])
    """
    spectrum, _ = learnable_modes(eigenvalues, np.zeros(np.shape(eigenvalues)), None)
    sizes = []
    for name, size in (("n", n), ("k", k)):
        array = np.asarray(size, dtype=float)
        positive(name, np.where(np.isposinf(array), 1.0, array))
        sizes.append(array)
    few, many = np.minimum(*sizes), np.maximum(*sizes)
    learnt = few >= spectrum.modes
    m = np.where(learnt, spectrum.modes / 2, few)
    root = solve_root(spectral_sums(spectrum, m.size), spectrum, m, np.full_like(m, np.inf), np.zeros_like(m))
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.where(np.isinf(many), 1.0, many / (many - few))
        return np.where(learnt, 0.0, np.exp(root.t) * m * spread)[()]


def resolution_limited_loss(size: ArrayLike, *, excess: ArrayLike) -> Array:
    r"""Loss of ridgeless regression on eigenvalues :math:`i^{-(1 + \alpha)}` for much data or many features.

    .. math:: L(n) \simeq \Big[ \frac{\pi / a}{\sin(\pi / a)} \Big]^a n^{-\alpha} , \qquad a = 1 + \alpha ,

    is what `teacher_student_loss` tends to, with the other size infinite and infinitely many modes. Relative
    corrections are of order 1/n.

    Parameters
    ----------
    size : array_like
        Samples n or features k, > 0.
    excess : array_like
        :math:`\alpha > 0`, how much faster than 1/i eigenvalues fall.

    Returns
    -------
    ndarray
        Of the broadcast shape. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is not positive.

    References
    ----------
    Bahri, Dyer, Kaplan, Lee, Sharma, Explaining neural scaling laws (2021, arXiv:2102.06701).

    Examples
    --------
    >>> resolution_limited_loss([20, 400], excess=0.7).round(5)
    array([0.37274, 0.04578])
    """
    n, alpha = positive("size", size), positive("excess", excess)
    a = 1 + alpha
    return ((1 / np.sinc(1 / a)) ** a * n**-alpha)[()]


def nearest_neighbor_mean_sq_distance(n_points: ArrayLike, dim: ArrayLike) -> Array:
    r"""Mean squared distance to the nearest of n independent uniform points on the unit torus.

    .. math:: E r^2 = V_d^{-2/d}\, \Gamma(1 + 2/d) \frac{\Gamma(n + 1)}{\Gamma(n + 1 + 2/d)}

    with :math:`V_d` the volume of the unit ball: of order :math:`n^{-2/d}`. Errors, from balls that meet themselves
    around the torus, are exponentially small in n.

    Parameters
    ----------
    n_points : array_like
        n > 0.
    dim : array_like
        d > 0, whole.

    Returns
    -------
    ndarray
        Of the broadcast shape, accurate to 1e-13 for n up to 1e300. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is not positive, or the dimension not whole.

    References
    ----------
    Derived here; the exponent is that of Bahri et al. (2021, arXiv:2102.06701), theorem 2.

    Examples
    --------
    >>> bool(np.isclose(nearest_neighbor_mean_sq_distance(7, 2), 1 / (8 * np.pi)))
    True
    """
    n, d = positive("n_points", n_points), positive("dim", dim)
    if (d != np.round(d)).any():
        raise ValueError(f"dim must be whole; got {dim!r}")
    log_ball = d / 2 * np.log(np.pi) - gammaln(d / 2 + 1)
    return np.exp(-2 / d * log_ball + gammaln(1 + 2 / d) - _log_gamma_rise(n + 1, 2 / d))[()]


def linear_interpolation_mse_1d(n_points: ArrayLike, *, second_derivative: ArrayLike = 1.0) -> Array:
    r"""Mean squared error of linear interpolation between n uniform points and both ends of the unit interval.

    For a function whose second derivative is c everywhere,

    .. math:: E\, \mathrm{MSE} = \frac{c^2}{(n + 2)(n + 3)(n + 4)(n + 5)} ,

    since a gap h adds :math:`c^2 h^5 / 120`. Exact at every n.

    Parameters
    ----------
    n_points : array_like
        n >= 0 points inside the interval.
    second_derivative : array_like
        c.

    Returns
    -------
    ndarray
        Of the broadcast shape. Costs O(1).

    Raises
    ------
    ValueError
        If ``n_points`` is negative.

    References
    ----------
    Derived here; the exponent 4/d is that of Bahri et al. (2021, arXiv:2102.06701).

    Examples
    --------
    >>> round(1 / float(linear_interpolation_mse_1d(0)))  # one gap
    120
    """
    n, c = nonnegative("n_points", n_points), finite("second_derivative", second_derivative)
    return (c**2 / ((n + 2) * (n + 3) * (n + 4) * (n + 5)))[()]


def multilinear_interpolation_mse(cells: ArrayLike, dim: int, *, diag: ArrayLike, offdiag: ArrayLike) -> Array:
    r"""Mean squared error of multilinear interpolation on a grid of cells^dim cells of the unit cube, to leading order.

    .. math:: \mathrm{MSE} = \frac{m^{-4}}{4} \Big[ \frac{1}{30} \sum_j \langle f_{jj}^2 \rangle +
              \frac{1}{36} \sum_{j \ne l} \langle f_{jj} f_{ll} \rangle \Big] \big(1 + O(m^{-2})\big)

    for m cells a side; in terms of the number :math:`D = m^d` of points the exponent is 4/d.

    Parameters
    ----------
    cells : array_like
        m > 0.
    dim : int
        d >= 1; with one dimension ``offdiag`` must be zero.
    diag, offdiag : array_like
        The two sums, of means over the cube of products of second derivatives.

    Returns
    -------
    ndarray
        Of the broadcast shape. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Derived here; the exponent is that of Bahri et al. (2021, arXiv:2102.06701).

    Examples
    --------
    >>> bool(np.isclose(multilinear_interpolation_mse(10, 1, diag=1.0, offdiag=0.0), 1e-4 / 120))
    True
    """
    m, own, others = positive("cells", cells), nonnegative("diag", diag), finite("offdiag", offdiag)
    if integer("dim", dim, minimum=1) == 1 and np.any(others != 0):
        raise ValueError(f"offdiag must be 0 in one dimension; got {offdiag!r}")
    return (m**-4 / 4 * (own / 30 + others / 36))[()]


def _log_gamma_rise(x: Array, b: Array) -> Array:
    """Return log Gamma(x + b) - log Gamma(x); by Stirling's series where the two would cancel."""

    def rest(x: Array) -> Array:
        return (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * x**2)) / x**2) / x**2) / x

    series = (x - 0.5) * np.log1p(b / x) + b * np.log(x + b) - b + rest(x + b) - rest(x)
    return np.where(x >= 20, series, gammaln(x + b) - gammaln(x))
