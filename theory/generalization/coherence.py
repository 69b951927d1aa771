r"""Coherence of per-example gradients: how much the examples agree on where to go, and what that does to the gap.

For gradients :math:`g_z` of examples z at the same weights,

.. math:: \alpha = \frac{E_{z, z'}\, g_z \cdot g_{z'}}{E_z |g_z|^2} = \frac{|E g|^2}{E |g|^2} \in [0, 1] .

Orthogonal gradients of m examples of one size have 1/m, so that m alpha counts how many examples one example helps.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.generalization._counts import counts

Array = NDArray[np.float64]


def coherence(gradients: ArrayLike) -> Array:
    r"""Return the coherence of m gradients, :math:`|\bar g|^2 / \overline{|g|^2}`.

    Parameters
    ----------
    gradients : array_like, shape (..., m, p)
        One gradient a row, of p parameters.

    Returns
    -------
    ndarray or float
        In [0, 1]; 1/m if they are orthogonal and of one size, 1 if all are the same. NaN where all gradients vanish, as
        when every example is fitted, for then it is 0/0. Gradients may have any scale. Costs O(m p).

    Raises
    ------
    ValueError
        If there are no gradients, or an entry is not finite.

    References
    ----------
    Chatterjee and Zielinski (2022), arXiv:2203.10036.

    Examples
    --------
    >>> float(coherence([[1.0, 0.0], [0.0, 1.0]]))
    0.5
    """
    g, vanish = _scaled("gradients", gradients)
    mean, square = (g.mean(axis=-2) ** 2).sum(axis=-1), (g**2).sum(axis=-1).mean(axis=-1)
    return np.where(vanish, np.nan, np.minimum(mean / np.where(vanish, 1.0, square), 1.0))[()]


def unbiased_coherence(gradients: ArrayLike) -> Array:
    r"""Return the coherence of pairs of different examples among m.

    .. math:: \frac{|\sum_i g_i|^2 - \sum_i |g_i|^2}{(m - 1) \sum_i |g_i|^2}

    The mean of the numerator over samples, by the mean of the denominator, is the population's coherence exactly. The
    mean of their ratio is not, and differs at order 1/m.

    Parameters
    ----------
    gradients : array_like, shape (..., m, p)
        At least two, independent draws.

    Returns
    -------
    ndarray or float
        At least -1 / (m - 1), and 1 at most; NaN where all gradients vanish. Costs O(m p).

    Raises
    ------
    ValueError
        If there are fewer than two gradients, or an entry is not finite.

    Examples
    --------
    >>> float(unbiased_coherence([[1.0, 0.0], [0.0, 1.0]]))
    0.0
    """
    m = np.shape(gradients)[-2] if np.ndim(gradients) >= 2 else 0
    if m < 2:
        raise ValueError(f"gradients must have at least 2 rows, one a gradient; got shape {np.shape(gradients)}")
    return (m * coherence(gradients) - 1) / (m - 1)


def coherence_of_groups(fractions: ArrayLike) -> Array:
    r"""Coherence of groups of examples with one gradient each, orthogonal and of one size: :math:`\sum_j f_j^2`.

    Parameters
    ----------
    fractions : array_like, shape (..., k)
        Shares of the groups, nonnegative, of sum 1.

    Returns
    -------
    ndarray or float
        1/k for k equal groups. Costs O(k).

    Raises
    ------
    ValueError
        If the shares are negative, or do not sum to 1.

    Examples
    --------
    >>> round(float(coherence_of_groups([0.5, 0.3, 0.2])), 12)
    0.38
    """
    f = validation.nonnegative("fractions", fractions)
    if f.ndim == 0 or np.any(np.abs(f.sum(axis=-1) - 1) > 1e-9):
        raise ValueError(f"fractions must sum to 1 over the last axis; got {f.sum(axis=-1) if f.ndim else f}")
    return (f**2).sum(axis=-1)[()]


def coherence_gaussian(mean: ArrayLike, *, variance: ArrayLike) -> Array:
    r"""Coherence of Gaussian gradients, :math:`\alpha = |\mu|^2 / (|\mu|^2 + d \sigma^2)`.

    Parameters
    ----------
    mean : array_like, shape (..., d)
        Mean gradient.
    variance : array_like
        Variance of each entry, >= 0.

    Returns
    -------
    ndarray or float
        NaN without mean and variance.

    Raises
    ------
    ValueError
        If the variance is negative, or an entry is not finite.

    Examples
    --------
    >>> float(coherence_gaussian([1.0, 1.0], variance=3.0))
    0.25
    """
    mu, noise = validation.finite("mean", mean), validation.nonnegative("variance", variance)
    if mu.ndim == 0 or mu.shape[-1] == 0:
        raise ValueError(f"mean must have at least 1 entry on its last axis; got shape {mu.shape}")
    signal = (mu**2).sum(axis=-1)
    total = signal + mu.shape[-1] * noise
    return np.where(total > 0, signal / np.where(total > 0, total, 1.0), np.nan)[()]


def expected_sample_coherence(alpha: ArrayLike, m: ArrayLike) -> Array:
    r"""Return what m independent gradients show of a coherence alpha, :math:`\frac1m + (1 - \frac1m) \alpha`.

    It is the ratio of the means of :math:`|\bar g|^2` and :math:`|g|^2`, too large by (1 - alpha) / m.

    Parameters
    ----------
    alpha : array_like
        Coherence of the population, in [0, 1].
    m : array_like of int
        Examples, at least 1.

    Returns
    -------
    ndarray or float
        In [1/m, 1].

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(expected_sample_coherence(0.05, 20)), 6)
    0.0975
    """
    a, size = validation.interval("alpha", alpha, 0, 1), counts("m", m, minimum=1)
    return (a + (1 - a) / size)[()]


def coherence_stability_bound(
    alphas: ArrayLike, step_sizes: ArrayLike, *, lipschitz: float, smoothness: float, num_examples: int
) -> Array:
    r"""Bound the generalisation gap of gradient descent by the coherence along its way.

    .. math:: \frac{L^2}{m} \sum_{t=1}^T \Bigl[\prod_{k=t+1}^T (1 + \eta_k \beta)\Bigr] \eta_t
              \sqrt{2 (1 - \alpha_{t-1})}

    Replace one of m examples: the gradient moves by :math:`|g_z - g_{z'}| / m`, in the mean at most
    :math:`L \sqrt{2 (1 - \alpha)} / m`, and later steps stretch what there is. The step in the mean takes weights that
    do not depend on z and z'. They do, in general; for :math:`|w - z|^2 / 2`, where :math:`g_z - g_{z'} = z' - z`,
    that makes no difference, and the bound is a theorem.

    Parameters
    ----------
    alphas : array_like, shape (..., T)
        Coherences of the population at the weights before each step, in [0, 1].
    step_sizes : array_like, shape (T,)
        eta, >= 0.
    lipschitz : float
        L: largest gradient of one example where training goes.
    smoothness : float
        beta: largest curvature of one example there.
    num_examples : int
        m, at least 1.

    Returns
    -------
    ndarray or float
        Bound of population less training loss. Average it over training sets where alphas vary with them.

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes do not fit.

    References
    ----------
    After Chatterjee and Zielinski (2022), arXiv:2203.10036; derived here.

    Examples
    --------
    >>> bound = coherence_stability_bound([0.5] * 2, [0.1] * 2, lipschitz=1.0, smoothness=1.0, num_examples=10)
    >>> round(float(bound), 6)
    0.021
    """
    a, eta = validation.interval("alphas", alphas, 0, 1), validation.nonnegative("step_sizes", step_sizes, ndim=1)
    if a.ndim == 0 or a.shape[-1] != eta.size:
        raise ValueError(f"alphas must have one entry a step on the last axis, {eta.size}; got shape {a.shape}")
    L = float(validation.nonnegative("lipschitz", lipschitz, ndim=0))
    beta = float(validation.nonnegative("smoothness", smoothness, ndim=0))
    m = validation.integer("num_examples", num_examples, minimum=1)
    growth = np.append(np.cumprod((1 + eta * beta)[::-1])[::-1][1:], 1.0)
    return (L**2 / m * (growth * eta * np.sqrt(2 * (1 - a))).sum(axis=-1))[()]


def quadratic_gd_gap(
    cov_trace: ArrayLike, num_examples: ArrayLike, num_steps: ArrayLike, step_size: ArrayLike
) -> Array:
    r"""Generalisation gap of gradient descent on :math:`|w - z|^2 / 2`.

    .. math:: \bigl(1 - (1 - \eta)^T\bigr)\, \frac{\operatorname{tr} \operatorname{Cov}(z)}{m}

    Weights move from any start that part of the way to the mean of the examples.

    Parameters
    ----------
    cov_trace : array_like
        Trace of the covariance of an example, >= 0.
    num_examples : array_like of int
        m, at least 1.
    num_steps : array_like of int
        T, at least 0.
    step_size : array_like
        eta, in [0, 2].

    Returns
    -------
    ndarray or float
        Mean of population less training loss.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> round(float(quadratic_gd_gap(3.0, 10, 15, 0.1)), 6)
    0.238233
    """
    trace, eta = validation.nonnegative("cov_trace", cov_trace), validation.interval("step_size", step_size, 0, 2)
    m, steps = counts("num_examples", num_examples, minimum=1), counts("num_steps", num_steps, minimum=0)
    small = eta < 0.5
    decayed = np.where(small, -np.expm1(steps * np.log1p(-np.where(small, eta, 0.0))), 1 - (1.0 - eta) ** steps)
    return (decayed * trace / m)[()]


def _scaled(name: str, gradients: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    """Return gradients over their largest entry, whose squares neither overflow nor vanish, and where all are zero."""
    g = validation.finite(name, gradients)
    if g.ndim < 2 or 0 in g.shape[-2:]:
        raise ValueError(f"{name} must have at least one row, one a gradient, of at least one entry; got {g.shape}")
    largest = np.abs(g).max(axis=(-2, -1), keepdims=True)
    return g / np.where(largest > 0, largest, 1.0), largest[..., 0, 0] == 0
