"""Gaussian problems whose gaps and informations are known: location, and classification by the mean of a class."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import ncx2

from theory import validation
from theory.generalization._counts import counts
from theory.generalization._deviance import deviance

Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)
_REACH = 13.0  # standard deviations beyond which a chi variable has no mass that float64 sees
MAX_NONCENTRALITY = 1e8


def gaussian_layer_kl(n: ArrayLike, rank: ArrayLike) -> Array:
    r"""Divergence between a training and a fresh point, seen through a linear map of that rank.

    .. math:: E_M \mathrm{KL}\bigl(P_{T(X_i), Y_i | M} \| P_{T(X), Y}\bigr) = \frac r2 \ln\frac{n}{n - 1}

    for Y = +-1, X given Y Gaussian N(Y mu, sigma^2 I), the statistic M = mean of Y_i X_i and T a fixed linear map of
    rank r, whatever mu, sigma and T. Not for maps that depend on M.

    Parameters
    ----------
    n : array_like of int
        Number of training points >= 2.
    rank : array_like of int
        r >= 0.

    Returns
    -------
    ndarray or float
        Nats.

    Raises
    ------
    ValueError
        If a number is too small.

    References
    ----------
    He and Goldfeld (2024), arXiv:2404.03176; derived here.

    Examples
    --------
    >>> round(float(gaussian_layer_kl(6, 3)), 12)
    0.273482335191
    """
    n, rank = counts("n", n, minimum=2), counts("rank", rank, minimum=0)
    return (-rank / 2 * np.log1p(-1 / n))[()]


def gaussian_layer_wasserstein(n: int, matrix: ArrayLike, *, sigma: float) -> float:
    r"""Root mean square of a Wasserstein distance between a training and a fresh point behind a linear map.

    .. math:: E_M W_2^2 = 2 \sigma^2 \|A\|_F^2 \bigl(1 - \sqrt{1 - 1/n}\bigr)

    of the laws of A X_i given Y_i and M, and of A X given Y, each label coupled with itself; it bounds the joint
    W_1 from above. Problem as for :func:`gaussian_layer_kl`.

    Parameters
    ----------
    n : int
        Number of training points >= 1.
    matrix : array_like, shape (k, d)
        A.
    sigma : float
        Noise > 0.

    Returns
    -------
    float
        In units of A X.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(gaussian_layer_wasserstein(8, np.eye(2), sigma=1.0), 12)
    0.508274151641
    """
    A = validation.finite("matrix", matrix, ndim=2)
    return validation.positive_scalar("sigma", sigma) * float(np.linalg.norm(A)) * _contraction_root(n)


def _contraction_root(n: int) -> float:
    """Return sqrt(2 (1 - sqrt(1 - 1/n)))."""
    inverse = 1 / validation.integer("n", n, minimum=1)
    return float(np.sqrt(2 * inverse / (1 + np.sqrt(1 - inverse))))


def wasserstein_layer_bounds(
    weights: Sequence[ArrayLike], n: int, *, sigma: float, lipschitz: float = 1.0, clip: bool = False
) -> Array:
    r"""Bound on the expected gap by the Wasserstein distance at each layer of a linear network with fixed weights.

    .. math:: \rho \prod_{j > l} \|W_j\|_{\mathrm{op}}\; \sigma \|W_l \cdots W_1\|_F \sqrt{2 (1 - \sqrt{1 - 1/n})},
              \qquad l = 0, \dots, L

    Never rising in l. Problem as for :func:`gaussian_layer_kl`.

    Parameters
    ----------
    weights : sequence of array_like
        W_1, ..., W_L; W_l has shape (d_l, d_{l-1}).
    n : int
        Number of training points >= 1.
    sigma : float
        Noise > 0.
    lipschitz : float
        rho > 0, of the loss in the network's output.
    clip : bool
        Whether the loss is Lipschitz in output and label together, so that the product is at least 1.

    Returns
    -------
    ndarray, shape (L + 1,)

    Raises
    ------
    ValueError
        If shapes do not fit together, or an argument is out of range.

    References
    ----------
    After He and Goldfeld (2024), arXiv:2404.03176, with W_2 for their W_1.

    Examples
    --------
    >>> wasserstein_layer_bounds([np.diag([1.0, 0.5]), [[1.0, 0.0]]], 8, sigma=1.0).round(4).tolist()
    [0.5083, 0.4018, 0.3594]
    """
    layers = [validation.finite(f"weights[{k}]", W, ndim=2) for k, W in enumerate(weights)]
    if not layers:
        raise ValueError("weights must hold at least one matrix; got none")
    rho, root = validation.positive_scalar("lipschitz", lipschitz), _contraction_root(n)
    scale = validation.positive_scalar("sigma", sigma) * root
    product = np.eye(layers[0].shape[1])
    frobenius = [float(np.linalg.norm(product))]
    for k, W in enumerate(layers):
        if W.shape[1] != product.shape[0]:
            raise ValueError(f"weights[{k}] must have {product.shape[0]} columns; got shape {W.shape}")
        product = W @ product
        frobenius.append(float(np.linalg.norm(product)))
    norms = np.array([np.linalg.norm(W, 2) for W in layers])
    above = np.concatenate([np.cumprod(norms[::-1])[::-1], [1.0]])
    return rho * (np.maximum(above, 1.0) if clip else above) * np.array(frobenius) * scale


class ClassMeanErrors(NamedTuple):
    """Error probabilities of the class-mean classifier on fresh points and on its training points, and their gap."""

    population: float
    training: float
    gap: float


def class_mean_errors(n: int, d: int, *, mean_norm: float, sigma: float) -> ClassMeanErrors:
    r"""Return the expected errors of the classifier sign(M.x), M the mean of Y_i X_i, on two Gaussian classes.

    With :math:`\Delta = |\mu| / \sigma`, and :math:`\chi^2_d(\lambda)` independent noncentral chi-square variables,

    .. math:: P\bigl(\chi_d^2(\tfrac{(\sqrt n + 1)^2 \Delta^2}{2})
              < \chi_d^2(\tfrac{(\sqrt n - 1)^2 \Delta^2}{2})\bigr),
              \qquad P\bigl((1 + r) \chi_d^2(\tfrac{(\sqrt n + 1)^2 \Delta^2}{2 (1 + r)})
              < (1 - r) \chi_d^2(\tfrac{(\sqrt n - 1)^2 \Delta^2}{2 (1 - r)})\bigr), \quad r = \frac1{\sqrt n}

    are the errors on fresh and on training points: 4 M.v is a difference of two independent squared norms. One
    quadrature each, to about 1e-12.

    Parameters
    ----------
    n : int
        Number of training points >= 2.
    d : int
        Dimension >= 1.
    mean_norm : float
        \|mu\| >= 0.
    sigma : float
        Noise > 0.

    Returns
    -------
    ClassMeanErrors

    Raises
    ------
    ValueError
        If an argument is out of range, or n Delta^2 is above 5e7.

    References
    ----------
    Example after He and Goldfeld (2024), arXiv:2404.03176; formulas derived here.

    Examples
    --------
    >>> [round(error, 6) for error in class_mean_errors(20, 10, mean_norm=1.5, sigma=1.2)]
    [0.137122, 0.077093, 0.060029]
    """
    n, d = validation.integer("n", n, minimum=2), validation.integer("d", d, minimum=1)
    delta = float(validation.nonnegative("mean_norm", validation.scalar("mean_norm", mean_norm)))
    delta /= validation.positive_scalar("sigma", sigma)
    root, r = np.sqrt(n), 1 / np.sqrt(n)
    plus, minus = (root + 1) ** 2 * delta**2 / 2, (root - 1) ** 2 * delta**2 / 2
    if plus > MAX_NONCENTRALITY:
        raise ValueError(f"n (mean_norm / sigma)^2 must be at most {MAX_NONCENTRALITY / 2:g}; got {n * delta**2:g}")
    population = _smaller(d, plus, minus, 1.0)
    training = _smaller(d, plus / (1 + r), minus / (1 - r), (1 - r) / (1 + r))
    return ClassMeanErrors(population, training, population - training)


def _smaller(d: int, first: float, second: float, ratio: float) -> float:
    """P(chi2_d(first) < ratio chi2_d(second)), as an integral over the root z of the latter."""
    centre = np.sqrt(d + second)
    low, high = max(centre - _REACH, 0.0), centre + _REACH
    z = low + (high - low) * (_NODES + 1) / 2
    density = 2 * z * ncx2.pdf(z**2, d, second)
    return float(np.sum(_WEIGHTS * density * ncx2.cdf(ratio * z**2, d, first)) * (high - low) / 2)


def gaussian_location_gap(n: ArrayLike, d: ArrayLike, *, sigma: ArrayLike) -> Array:
    r"""Gap of the sample mean under squared loss: :math:`2 \sigma^2 d / n`.

    Loss :math:`\|w - z\|^2`, Z_i independent N(mu, sigma^2 I_d), W their mean, with or without independent noise.

    Parameters
    ----------
    n, d : array_like of int
        Numbers of points and dimensions >= 1.
    sigma : array_like
        Standard deviation > 0.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(gaussian_location_gap(5, 2, sigma=1.3)), 12)
    1.352
    """
    n, d = counts("n", n, minimum=1), counts("d", d, minimum=1)
    return (2 * validation.positive("sigma", sigma) ** 2 * d / n)[()]


class LocationInformation(NamedTuple):
    """Information of the released mean on the whole sample and on one point, nats."""

    full: Array
    individual: Array


def gaussian_location_information(
    n: ArrayLike, d: ArrayLike, *, sigma: ArrayLike, noise_std: ArrayLike = 0.0
) -> LocationInformation:
    r"""Information that the mean of a Gaussian sample, plus noise of standard deviation nu, has on the sample.

    .. math:: I(W; S) = \frac d2 \ln\Bigl(1 + \frac{\sigma^2}{n \nu^2}\Bigr), \qquad
              I(W; Z_i) = \frac d2 \ln\frac{\sigma^2 / n + \nu^2}{(n - 1) \sigma^2 / n^2 + \nu^2}

    Parameters
    ----------
    n : array_like of int
        Number of points >= 1; both are infinite at n = 1 without noise.
    d : array_like of int
        Dimension >= 1.
    sigma, noise_std : array_like
        Standard deviations, sigma > 0, nu >= 0.

    Returns
    -------
    LocationInformation
        ``full`` is infinite without noise.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Bu, Zou and Veeravalli (2020).

    Examples
    --------
    >>> found = gaussian_location_information(6, 4, sigma=0.9, noise_std=0.4)
    >>> round(float(found.full), 9), round(float(found.individual), 9)
    (1.223603082, 0.158673484)
    """
    n, d = counts("n", n, minimum=1), counts("d", d, minimum=1)
    s2 = validation.positive("sigma", sigma) ** 2
    v2 = validation.nonnegative("noise_std", noise_std) ** 2
    with np.errstate(divide="ignore"):
        full = d / 2 * np.log1p(s2 / (n * v2))
        individual = -d / 2 * np.log1p(-s2 / n**2 / (s2 / n + v2))
    return LocationInformation(full[()], individual[()])


def gaussian_location_bound(
    n: ArrayLike,
    d: ArrayLike,
    *,
    sigma: ArrayLike,
    noise_std: ArrayLike = 0.0,
    form: Literal["quadratic", "cgf"] = "quadratic",
) -> Array:
    r"""Bound on the gap of :func:`gaussian_location_gap` by the information on one point.

    With :math:`s^2 = \sigma^2 (1 + 1/n) + \nu^2` the variance of W - Z for a fresh Z, and I = I(W; Z_i),

    .. math:: 2 s^2 \sqrt{d I} \quad \text{(quadratic)}, \qquad
              \inf_{u > 0} \frac{s^2 \bigl(I + d (u - \tfrac12 \ln(1 + 2 u))\bigr)}{u} = s^2 d\, v \quad \text{(cgf)}

    where v in (0, 1) solves :math:`-\ln(1 - v) - v = 2 I / d`: stationarity in u = v / (2 - 2 v). Both fall as
    n^(-1/2), the gap as 1/n; the second is the lower, as the exact cumulant is below its quadratic bound.

    Parameters
    ----------
    n, d, sigma, noise_std
        As for :func:`gaussian_location_information`.
    form : {"quadratic", "cgf"}

    Returns
    -------
    ndarray or float
        The quadratic form is infinite where I is; the other tends to s^2 d.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Bu, Zou and Veeravalli (2020), theorem 2 and example; constants derived here.

    Examples
    --------
    >>> [round(float(gaussian_location_bound(5, 2, sigma=1.3, form=form)), 4) for form in ("quadratic", "cgf")]
    [2.7096, 2.1429]
    """
    information = gaussian_location_information(n, d, sigma=sigma, noise_std=noise_std).individual
    n, d = np.asarray(n), np.asarray(d)
    s2 = np.asarray(sigma, dtype=float) ** 2 * (1 + 1 / n) + np.asarray(noise_std, dtype=float) ** 2
    if form == "quadratic":
        return (2 * s2 * np.sqrt(d * information))[()]
    if form == "cgf":
        return (s2 * d * _excess_log_inverse(2 * information / d))[()]
    raise ValueError(f"form must be 'quadratic' or 'cgf'; got {form!r}")


def _excess_log_inverse(c: Array) -> Array:
    """Solve -ln(1 - v) - v = c for v in [0, 1) by Newton from above; the left side is convex."""
    c = np.asarray(c, dtype=float)
    finite = np.where(np.isfinite(c), c, 1.0)
    v = np.minimum(np.sqrt(2 * finite), -np.expm1(-(finite + 1)))
    for _ in range(60):
        safe = np.where(v > 0, v, 0.5)
        step = np.where(v > 0, (deviance(np.ones_like(safe), 1 - safe, safe) - finite) * (1 - safe) / safe, 0.0)
        v = np.clip(v - step, 0.0, v)
        if np.all(step <= 2 * np.spacing(v)):
            break
    return np.where(np.isfinite(c), v, 1.0)
