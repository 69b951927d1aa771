"""What leaving out or replacing one example does to least squares, ridge regression and strongly convex learning."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.generalization._counts import counts

Array = NDArray[np.float64]


class OLSErrors(NamedTuple):
    """Expected mean squared errors of least squares on its training data and on fresh data, noise included."""

    train: Array
    test: Array


def ols_errors(n: ArrayLike, d: ArrayLike, *, noise_std: ArrayLike) -> OLSErrors:
    r"""Return the expected errors of ordinary least squares on Gaussian inputs.

    .. math:: E\,\mathrm{train} = s^2 \Bigl(1 - \frac dn\Bigr), \qquad
              E\,\mathrm{test} = s^2 \Bigl(1 + \frac{d}{n - d - 1}\Bigr)

    for y = x.w + noise, x Gaussian with any invertible covariance, no intercept.

    Parameters
    ----------
    n, d : array_like of int
        Numbers of examples and of inputs, n >= d + 2.
    noise_std : array_like
        s >= 0.

    Returns
    -------
    OLSErrors

    Raises
    ------
    ValueError
        If an argument is out of range; at n = d + 1 the test error is infinite.

    Examples
    --------
    >>> errors = ols_errors(30, 6, noise_std=0.8)
    >>> round(float(errors.train), 6), round(float(errors.test), 6)
    (0.512, 0.806957)
    """
    n, d = np.broadcast_arrays(counts("n", n, minimum=1), counts("d", d, minimum=1))
    if (n < d + 2).any():
        raise ValueError(f"n must be at least d + 2; got a difference of {(n - d).min()}")
    s2 = validation.nonnegative("noise_std", noise_std) ** 2
    return OLSErrors((s2 * ((n - d) / n))[()], (s2 * ((n - 1) / (n - d - 1)))[()])


def ridge_loo_residuals(X: ArrayLike, y: ArrayLike, *, ridge: float) -> Array:
    r"""Residuals of ridge regression at each example, by the model that was trained without it.

    .. math:: y_i - x_i \cdot w^{(-i)} = \frac{y_i - \hat y_i}{1 - H_{ii}}, \qquad
              H = X (X^\top X + \lambda I)^{-1} X^\top

    for the objective :math:`\|y - X w\|^2 + \lambda \|w\|^2` with the same lambda for n and for n - 1 examples. Where
    the loss is a mean, its lambda times n is this one, so that leaving one out means n - 1 in both places.

    Costs O(n d min(n, d)).

    Parameters
    ----------
    X : array_like, shape (n, d)
    y : array_like, shape (n,) or (n, k)
    ridge : float
        lambda > 0.

    Returns
    -------
    ndarray, of the shape of y

    Raises
    ------
    ValueError
        If shapes disagree or lambda is not positive.

    Examples
    --------
    >>> ridge_loo_residuals([[1.0], [2.0]], [1.0, 1.5], ridge=1.0).round(12).tolist()
    [0.4, 0.5]
    """
    X, y = validation.finite("X", X, ndim=2), validation.finite("y", y)
    lam = validation.positive_scalar("ridge", ridge)
    if y.ndim not in (1, 2) or y.shape[0] != X.shape[0]:
        raise ValueError(f"y must have one row for each of {X.shape[0]} rows of X; got shape {y.shape}")
    # 1 - H_ii as a sum of positive terms: what each direction keeps, and what is outside of all of them
    u, s, _ = np.linalg.svd(X, full_matrices=False)
    shrunk = lam / (s**2 + lam)
    projected = u.T @ y
    remains = u**2 @ shrunk
    residual = u @ (shrunk * projected.T).T
    if X.shape[0] > X.shape[1]:
        remains += np.maximum(1 - np.sum(u**2, axis=1), 0.0)
        residual += y - u @ projected
    return residual / (remains if y.ndim == 1 else remains[:, None])


def stability_bound_strongly_convex(n: ArrayLike, *, lipschitz: ArrayLike, strong_convexity: ArrayLike) -> Array:
    r"""Uniform stability, and bound on the expected gap, of regularised learning.

    .. math:: \frac{2 \rho^2}{\lambda n} \qquad \text{for} \qquad
              \hat w = \arg\min_w \frac1n \sum_i \ell(w, z_i) + \frac\lambda2 \|w\|^2

    with convex, rho-Lipschitz losses, when one example is replaced; the minimiser itself moves by 2 rho / (lambda n) at
    most. Attained by :math:`\ell = -z \cdot w` with :math:`z' = -z`. For :math:`\lambda \|w\|^2` without the half, use
    2 lambda.

    Parameters
    ----------
    n : array_like of int
        Number of examples >= 1.
    lipschitz : array_like
        rho > 0.
    strong_convexity : array_like
        lambda > 0.

    Returns
    -------
    ndarray or float

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Bousquet and Elisseeff (2002).

    Examples
    --------
    >>> round(float(stability_bound_strongly_convex(100, lipschitz=1.0, strong_convexity=0.1)), 12)
    0.2
    """
    rho = validation.positive("lipschitz", lipschitz)
    lam = validation.positive("strong_convexity", strong_convexity)
    return (2 * rho**2 / (lam * counts("n", n, minimum=1)))[()]
