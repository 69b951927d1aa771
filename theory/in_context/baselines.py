r"""What statistics achieves on the same prompts: ordinary least squares, and the Bayes risk of ridge regression.

Prompts hold n examples with :math:`x \sim N(0, I_d)`, labels :math:`y = w \cdot x + \epsilon`, tasks
:math:`w \sim N(0, I)` and noise of variance s2; risks include the noise of the query's label and no factor 1/2.
"""

import numpy as np
from scipy.integrate import quad

from theory.in_context._arguments import noise
from theory.validation import integer


def ols_risk(*, n_context: int, dim: int, noise_var: float) -> float:
    r"""Risk of ordinary least squares in context, :math:`s_2 (1 + d / (n - d - 1))`; O(1).

    The mean of the inverse Wishart matrix :math:`(X^T X)^{-1}`, which exists for n > d + 1 only.

    Parameters
    ----------
    n_context, dim : int
        n > d + 1 and d >= 1.
    noise_var : float
        s2 >= 0.

    Raises
    ------
    ValueError
        If a number is out of range, n <= d + 1 included, where the risk is infinite.

    Examples
    --------
    >>> ols_risk(n_context=10, dim=4, noise_var=0.5)
    0.9
    """
    n, d = integer("n_context", n_context, minimum=1), integer("dim", dim, minimum=1)
    if n <= d + 1:
        raise ValueError(f"n_context must exceed dim + 1 = {d + 1}, or the risk is infinite; got {n}")
    return noise(noise_var) * (1 + d / (n - d - 1))


def scalar_bayes_risk(*, n_context: int, noise_var: float) -> float:
    r"""Bayes risk in one dimension, attained by ridge regression with the noise variance as its penalty.

    .. math:: R = s_2 + E \frac{s_2}{S + s_2} = s_2 + \frac{s_2}{2} e^{s_2 / 2} E_{n/2}(s_2 / 2),
              \qquad S \sim \chi^2_n ,

    with the generalised exponential integral, evaluated by quadrature to about 1e-12.

    Parameters
    ----------
    n_context : int
        n >= 1.
    noise_var : float
        s2 >= 0; without noise one example tells all.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> round(scalar_bayes_risk(n_context=7, noise_var=0.3), 6)
    0.354962
    """
    n, s2 = integer("n_context", n_context, minimum=1), noise(noise_var)
    if s2 == 0:
        return 0.0
    # e^z E_a(z) is the integral of e^(-z t) (1 + t)^-a over t > 0, here with u = (1 + t)^(-1/2)
    scaled, _ = quad(lambda u: 2 * u ** (n - 3) * np.exp(-s2 / 2 * (1 / u**2 - 1)), 0, 1, epsabs=0, epsrel=1e-12)
    return s2 + s2 / 2 * scaled
