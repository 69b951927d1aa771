r"""Linear regression from aggregate responses: labels are known as means over bags of samples only.

Samples :math:`x_i \sim N(0, I_p)`, :math:`y_i = x_i^\top \theta + \varepsilon_i`, in m = n/k random bags of size k with
means :math:`\bar x_a, \bar y_a`. The bag loss asks bag means to be predicted, the instance loss gives its bag's mean
label to every sample, and a weight :math:`\rho` goes from the one to the other:

.. math:: L_\rho = \frac{1 - \rho}{m} \sum_a (\bar y_a - \bar x_a^\top \theta)^2 + \frac\rho n \sum_i (\bar y_{a(i)} -
          x_i^\top \theta)^2 .

The instance loss is the bag loss and the spread of predictions within bags, so that :math:`\rho` is the size of a ridge
that data set: with :math:`Z = \sqrt k \bar x`, :math:`\tilde y = \sqrt k \bar y`, and W the scatter within bags,

.. math:: \hat\theta = (Z^\top Z + \rho W)^{-1} Z^\top \tilde y,

where Z has m independent normal rows, W is Wishart with n - m degrees of freedom, and the two are independent.
Risks are :math:`E |\hat\theta - \theta|^2`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import hyp2f1

from theory.kernel_regression.ridge import RidgeRisk
from theory.validation import finite, integer, interval, nonnegative, positive, scalar

Array = NDArray[np.float64]


class OptimalInstanceWeight(NamedTuple):
    """The weight of the instance loss with the least risk, and the risk there."""

    rho: Array
    risk: Array


def aggregate_loss(parameters: ArrayLike, features: ArrayLike, bag_labels: ArrayLike, *, rho: float) -> float:
    r"""Evaluate the loss as the bag loss and a ridge.

    .. math:: L_\rho = \frac1m \sum_a (\bar y_a - \bar x_a^\top \theta)^2 + \frac\rho n \theta^\top W \theta

    Parameters
    ----------
    parameters : array_like, shape (p,)
        theta.
    features : array_like, shape (n, p)
        Samples, those of a bag in consecutive rows.
    bag_labels : array_like, shape (m,)
        Mean labels of the bags; m divides n.
    rho : float
        Weight of the instance loss, in [0, 1].

    Returns
    -------
    float
        Costs O(n p).

    Raises
    ------
    ValueError
        If an argument is out of range or shapes disagree.

    References
    ----------
    Javanmard, Chen, Mirrokni, Badanidiyuru, Fu (2024, arXiv:2401.11081).

    Examples
    --------
    >>> aggregate_loss([1.0], [[1.0], [3.0]], [2.5], rho=1.0)
    1.25
    """
    means, spread, labels = _bags(features, bag_labels)
    theta = finite("parameters", parameters, ndim=1)
    if theta.size != means.shape[1]:
        raise ValueError(f"parameters must be as many as features, {means.shape[1]}; got {theta.size}")
    weight = float(interval("rho", scalar("rho", rho), 0, 1))
    return float(np.mean((labels - means @ theta) ** 2) + weight * np.mean((spread @ theta) ** 2))


def aggregate_fit(features: ArrayLike, bag_labels: ArrayLike, *, rho: float) -> Array:
    r"""Least loss in closed form, :math:`\hat\theta = (Z^\top Z + \rho W)^{-1} Z^\top \tilde y`.

    Parameters
    ----------
    features, bag_labels, rho
        As for `aggregate_loss`.

    Returns
    -------
    array, shape (p,)
        Where several parameters are as good, those of least norm. Costs O(n p^2).

    Raises
    ------
    ValueError
        If an argument is out of range or shapes disagree.

    References
    ----------
    Javanmard, Chen, Mirrokni, Badanidiyuru, Fu (2024, arXiv:2401.11081).

    Examples
    --------
    >>> aggregate_fit([[1.0], [3.0]], [2.5], rho=1.0)
    array([1.])
    """
    means, spread, labels = _bags(features, bag_labels)
    weight = float(interval("rho", scalar("rho", rho), 0, 1))
    size = len(spread) // len(means)
    rows = np.concatenate([np.sqrt(size) * means, np.sqrt(weight) * spread])
    return np.linalg.lstsq(rows, np.concatenate([np.sqrt(size) * labels, np.zeros(len(spread))]))[0]


def aggregate_risk(
    *,
    n: ArrayLike,
    p: ArrayLike,
    bag_size: ArrayLike,
    rho: ArrayLike,
    signal: ArrayLike = 1.0,
    noise_var: ArrayLike = 1.0,
) -> RidgeRisk:
    r"""Limit of the risk as n and p grow in proportion.

    With s > 0 the root of :math:`p = m a + (n - m) b`, :math:`a = \frac{s}{1 + s}` and :math:`b = \frac{\rho s}{1 +
    \rho s}`, and c = m a / p the factor of :math:`E \hat\theta = c\,\theta`,

    .. math:: \text{bias} = (1 - c)^2 r^2, \qquad
              \text{variance} = \frac{m a^2 [(1 - c)^2 r^2 + \sigma^2] + (n - m) b^2 c^2 r^2}
              {m a (1 - a) + (n - m) b (1 - b)} .

    At rho = 1: :math:`(1 - \frac1k)^2 r^2 + \frac{p}{n - p} [\frac{\sigma^2}{k} + \frac{k - 1}{k^2} r^2]`. At rho = 0
    with fewer features than bags: :math:`\sigma^2 \frac{p}{m - p}`; with more, where many parameters fit all bags, the
    limit of little rho. Corrections are of order 1/n; see `aggregate_risk_finite` for sizes where none are needed.

    Parameters
    ----------
    n : array_like
        Samples, > p. Need not be whole, nor a multiple of ``bag_size``: only proportions matter.
    p : array_like
        Features, > 0.
    bag_size : array_like
        k >= 1.
    rho : array_like
        Weight of the instance loss, in [0, 1].
    signal : array_like
        r^2, squared length of theta, >= 0.
    noise_var : array_like
        sigma^2 >= 0 of a label; noise on bag means of variance v is as good as k v.

    Returns
    -------
    RidgeRisk
        Of the broadcast shape; the variance is infinite at rho = 0 with as many features as bags. Costs O(1).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Setting of Javanmard, Chen, Mirrokni, Badanidiyuru, Fu (2024, arXiv:2401.11081); derived here.

    Examples
    --------
    >>> found = aggregate_risk(n=400, p=100, bag_size=4, rho=[0.3, 1.0], noise_var=0.5)
    >>> found.total.round(4)
    array([0.5677, 0.6667])
    """
    samples, features = positive("n", n), positive("p", p)
    k, weight = positive("bag_size", bag_size), interval("rho", rho, 0, 1)
    power, noise = nonnegative("signal", signal), nonnegative("noise_var", noise_var)
    samples, features, k, weight, power, noise = np.broadcast_arrays(samples, features, k, weight, power, noise)
    if np.any(k < 1):
        raise ValueError(f"bag_size must be at least 1; got {bag_size!r}")
    if np.any(features >= samples):
        raise ValueError(f"p must be below n; got p = {p!r} and n = {n!r}")
    m = samples / k
    inverse, scaled = _roots(samples, m, features, weight)
    a, b = 1 / (1 + inverse), scaled / (1 + scaled)
    c, missed = m * a / features, (samples - m) * b / features  # which add up to 1
    bias = missed**2 * power
    spread = m * a**2 * (bias + noise) + (samples - m) * b**2 * c**2 * power
    left = m * inverse * a**2 + (samples - m) * scaled / (1 + scaled) ** 2
    infinite = np.where(spread > 0, np.inf, 0.0)
    variance = np.where(left > 0, spread / np.where(left > 0, left, 1.0), infinite)
    return RidgeRisk(bias[()], variance[()], (bias + variance)[()])


def aggregate_risk_finite(
    *, n: int, p: int, bag_size: int, rho: float, signal: ArrayLike = 1.0, noise_var: ArrayLike = 1.0
) -> RidgeRisk:
    r"""Risk at finite n and p, where it has a closed form: for either loss alone, and for one feature.

    - rho = 0, the bag loss: :math:`\sigma^2 \frac{p}{m - p - 1}`.
    - rho = 1, the instance loss: :math:`E \hat\theta = \theta / k`, and the risk is

      .. math:: \frac{1}{n - p - 1} \Big[\frac{\sigma^2 p}{k} + \frac{r^2}{p} \big((n - 1) E\,\mathrm{tr}\,C^2 - E
                (\mathrm{tr}\,C)^2\big)\Big], \quad C = S^{-1/2} W S^{-1/2},\; S = Z^\top Z + W .

      C is a matrix beta variable and independent of S. With q = n - m, its moments are :math:`E\,\mathrm{tr}\,C^2 = p q
      \frac{n (p + q + 1) - p q - 2}{n (n - 1)(n + 2)}` and :math:`E (\mathrm{tr}\,C)^2 = p q \frac{(n + 1)(p q + 2) - 2
      (p + q + 1)}{n (n - 1)(n + 2)}`.
    - p = 1, any rho: :math:`\hat\theta = c\,\theta + \text{noise}` with :math:`c = \frac{B}{B + \rho (1 - B)}`, B beta
      distributed with parameters m/2 and (n - m)/2, and noise of variance :math:`\frac{\sigma^2}{n - 2} E \frac{B}{(B +
      \rho (1 - B))^2}`; the means are hypergeometric functions of :math:`1 - \rho`.

    Parameters
    ----------
    n, p, bag_size : int
        Samples, a multiple of the bag size; features; and samples in a bag.
    rho : float
        0, 1, or with one feature anything between.
    signal, noise_var : array_like
        As for `aggregate_risk`.

    Returns
    -------
    RidgeRisk
        Split at :math:`E \hat\theta`. Costs O(1).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, no closed form is known, or the mean does not exist: it takes p + 2 bags at
        rho = 0, and p + 2 samples otherwise.

    References
    ----------
    Derived here, by moments of Wishart and matrix beta variables.

    Examples
    --------
    >>> float(aggregate_risk_finite(n=24, p=3, bag_size=4, rho=0.0, noise_var=0.5).total)
    0.75
    >>> round(float(aggregate_risk_finite(n=16, p=4, bag_size=2, rho=1.0).total), 4)
    0.5283
    """
    samples, features = integer("n", n, minimum=1), integer("p", p, minimum=1)
    k, weight = integer("bag_size", bag_size, minimum=1), float(interval("rho", scalar("rho", rho), 0, 1))
    if samples % k:
        raise ValueError(f"n must be a multiple of bag_size, {k}; got {samples}")
    rows = samples if weight > 0 else samples // k
    if rows < features + 2:
        raise ValueError(
            f"the risk is finite from p + 2 = {features + 2} {'samples' if weight else 'bags'}; got {rows}"
        )
    power, noise = np.broadcast_arrays(nonnegative("signal", signal), nonnegative("noise_var", noise_var))
    m = samples // k
    if weight == 0 or k == 1:
        c, of_signal, of_noise = 1.0, 0.0, features / ((m if weight == 0 else samples) - features - 1)
    elif weight == 1:
        c, of_signal, of_noise = _instance_moments(samples, features, m)
    elif features == 1:
        c, of_signal, of_noise = _single_feature_moments(samples, m, weight)
    else:
        raise ValueError(f"rho must be 0 or 1 with more than one feature; got {weight:g}")
    bias = (1 - c) ** 2 * power
    total = of_signal * power + of_noise * noise
    return RidgeRisk(bias[()], (total - bias)[()], total[()])


def optimal_instance_weight(
    *, n: ArrayLike, p: ArrayLike, bag_size: ArrayLike, signal: ArrayLike = 1.0, noise_var: ArrayLike = 1.0
) -> OptimalInstanceWeight:
    """Weight rho of the instance loss that makes `aggregate_risk` least.

    Parameters and errors as for `aggregate_risk`. A search on a grid from 1e-8 to 1, refined by Brent's method: rho is
    good to 1e-7, relative, and the risk to rounding. Costs about 300 risks each.

    Returns
    -------
    OptimalInstanceWeight
        Of the broadcast shape. Where every weight is as good, as in bags of one, rho is 1.

    References
    ----------
    Derived here, for the setting of Javanmard et al. (2024, arXiv:2401.11081).

    Examples
    --------
    >>> best = optimal_instance_weight(n=400, p=100, bag_size=[1, 2, 4], noise_var=0.5)
    >>> best.rho.round(3), best.risk.round(3)
    (array([1.   , 0.221, 0.218]), array([0.167, 0.318, 0.562]))
    """
    cases = np.broadcast_arrays(*(np.asarray(each, dtype=float) for each in (n, p, bag_size, signal, noise_var)))
    shape = cases[0].shape
    found = np.array([_best_weight(*case) for case in zip(*(each.ravel() for each in cases), strict=True)])
    return OptimalInstanceWeight(found[:, 0].reshape(shape)[()], found[:, 1].reshape(shape)[()])


def private_noise_var(
    *, bag_size: ArrayLike, epsilon: ArrayLike, label_range: ArrayLike = 1.0, noise_var: ArrayLike = 1.0
) -> Array:
    r"""Variance of label noise that is as bad as the labels' own and Laplace noise on bag means together.

    A label of range R moves the mean of k by R/k at most, so that Laplace noise of scale :math:`\frac{R}{k \epsilon}`
    on every mean keeps labels :math:`\epsilon`-private, and counts as :math:`\sigma^2 + \frac{2 R^2}{k \epsilon^2}`.

    Parameters
    ----------
    bag_size : array_like
        k >= 1.
    epsilon : array_like
        Privacy budget, > 0; inf for no privacy.
    label_range : array_like
        R >= 0, largest less smallest label.
    noise_var : array_like
        sigma^2 >= 0.

    Returns
    -------
    array
        To be passed on as ``noise_var``. Of the broadcast shape.

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Laplace mechanism of Dwork et al. (2006), for the setting of Javanmard et al. (2024, arXiv:2401.11081).

    Examples
    --------
    >>> private_noise_var(bag_size=[1, 4], epsilon=0.5, noise_var=0.25)
    array([8.25, 2.25])
    """
    k, own = positive("bag_size", bag_size), nonnegative("noise_var", noise_var)
    if np.any(k < 1):
        raise ValueError(f"bag_size must be at least 1; got {bag_size!r}")
    budget = np.asarray(epsilon, dtype=float)
    if not np.all(budget > 0):
        raise ValueError(f"epsilon must be positive; got {epsilon!r}")
    return (own + 2 * nonnegative("label_range", label_range) ** 2 / (k * budget**2))[()]


def _bags(features: ArrayLike, bag_labels: ArrayLike) -> tuple[Array, Array, Array]:
    """Return means of bags, what samples are off them, and labels."""
    x, labels = finite("features", features, ndim=2), finite("bag_labels", bag_labels, ndim=1)
    if not labels.size or len(x) % labels.size or not len(x):
        raise ValueError(f"bag_labels must be as many as divide the samples, {len(x)}; got {labels.size}")
    bags = x.reshape(labels.size, -1, x.shape[1])
    means = bags.mean(axis=1)
    return means, (bags - means[:, None]).reshape(x.shape), labels


def _roots(n: Array, m: Array, p: Array, rho: Array) -> tuple[Array, Array]:
    """Return 1/s and rho s, s > 0 the root of rho (n - p) s^2 + (m + (n - m) rho - p (1 + rho)) s = p."""
    half = 0.5 * (m + (n - m) * rho - p * (1 + rho))
    product = rho * (n - p) * p
    larger = np.abs(half) + np.sqrt(half**2 + product)  # p/s, or what times p/s is the product
    safe = np.where(larger > 0, larger, 1.0)
    inverse = np.where(half > 0, larger, product / safe) / p
    return inverse, np.where(half > 0, rho * p / safe, larger / (n - p))


def _instance_moments(n: int, p: int, m: int) -> tuple[float, float, float]:
    """Return the factor of the mean, and what signal and noise are multiplied by in the risk, at rho = 1."""
    q = n - m
    share = p * q / (n * (n - 1) * (n + 2))
    trace_of_square = share * (n * (p + q + 1) - p * q - 2)
    square_of_trace = share * ((n + 1) * (p * q + 2) - 2 * (p + q + 1))
    of_signal = ((n - 1) * trace_of_square - square_of_trace) / (p * (n - p - 1))
    return m / n, of_signal, m * p / (n * (n - p - 1))


def _single_feature_moments(n: int, m: int, rho: float) -> tuple[float, float, float]:
    """Return the same for one feature, whose scatter between bags is a beta distributed share of all."""
    a, b = m / 2, (n - m) / 2
    c = a / (a + b) * hyp2f1(1, b, a + b + 1, 1 - rho)
    missed = b * (b + 1) / ((a + b) * (a + b + 1)) * hyp2f1(2, b + 2, a + b + 2, 1 - rho)
    kept = a / (a + b) * hyp2f1(2, b, a + b + 1, 1 - rho)
    return float(c), float(rho**2 * missed), float(kept) / (n - 2)


def _best_weight(n: float, p: float, k: float, signal: float, noise: float) -> tuple[float, float]:
    def risk(log_rho: ArrayLike) -> Array:
        rho = np.exp(np.minimum(log_rho, 0.0))
        return aggregate_risk(n=n, p=p, bag_size=k, rho=rho, signal=signal, noise_var=noise).total

    none = float(risk(-np.inf))
    if k == 1:
        return 1.0, none
    grid = np.log(10.0) * np.linspace(-8, 0, 161)
    values = risk(grid)
    best = int(np.argmin(values))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(lambda t: float(risk(t)), bounds=ends, method="bounded", options={"xatol": 1e-9})
    options = [(float(values[best]), float(grid[best])), (float(found.fun), float(found.x)), (none, -np.inf)]
    least, at = min(options)
    return float(np.exp(at)), least
