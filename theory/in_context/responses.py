r"""One gradient step on labels that are no linear function of the inputs.

The label is :math:`y = f(x) + \epsilon` with :math:`x \sim N(0, I)`, noise of variance s2, and a random function f
whose law is invariant under rotations of its argument and under :math:`f \to -f`. The best layer of linear attention
still takes one step of linear regression, :math:`\hat y = \eta \, x_q \cdot X^T y`, and the law of f enters through
three numbers only.
"""

from typing import NamedTuple

import numpy as np

from theory.in_context._arguments import noise
from theory.in_context.one_step import OneStepOptimum
from theory.validation import integer, nonnegative, positive_scalar

KINDS = ("linear", "relu_network", "unit_relu_network", "cubic", "sign", "erf")


class ResponseMoments(NamedTuple):
    """What a random function f shows to one gradient step.

    Attributes
    ----------
    linear_power
        U2 = E ||u_f||^2, u_f = E[x f(x) | f] the best linear coefficients.
    label_norm_moment
        Y2X2 = E[y^2 ||x||^2].
    label_second_moment
        Y2 = E[y^2].
    """

    linear_power: float
    label_norm_moment: float
    label_second_moment: float


def response_moments(kind: str, *, dim: int, noise_var: float = 0.0, width: int | None = None) -> ResponseMoments:
    r"""Three moments of a random response, in closed form.

    ================= ============================================== ========== =============== =======
    kind              f(x)                                           U2         Y2X2 - s2 d     Y2 - s2
    ================= ============================================== ========== =============== =======
    linear            w.x, w standard normal                         d          d (d + 2)       d
    relu_network      sum of a_j relu(w_j.x), j <= k, a and w normal k d / 4    k d (d + 2) / 2 k d / 2
    unit_relu_network the same, a_j = +-1, w_j on the unit sphere    k / 4      k (d + 2) / 2   k / 2
    cubic             (w.x)^3, w uniform on the unit sphere          9          15 (d + 6)      15
    sign              sign(w.x)                                      2 / pi     d               1
    erf               erf(w.x), w uniform on the unit sphere         4 / (3 pi) c + (d - 1) e   e
    ================= ============================================== ========== =============== =======

    with :math:`e = \frac{2}{\pi} \arcsin \frac23` and :math:`c = e + \frac{8}{3 \sqrt5 \pi}`. Costs O(1).

    Parameters
    ----------
    kind : str
        One of the above.
    dim : int
        Dimension d >= 1 of inputs.
    noise_var : float
        Variance s2 >= 0 of the label noise.
    width : int, optional
        Number k >= 1 of hidden units, for the two networks only.

    Returns
    -------
    ResponseMoments

    Raises
    ------
    ValueError
        If ``kind`` is unknown, a number is out of range, or ``width`` is missing or not wanted.

    References
    ----------
    Derived here; the setting is section 5 of Mahankali, Hashimoto, Ma (2023), arXiv:2307.03576.

    Examples
    --------
    >>> response_moments("cubic", dim=4)
    ResponseMoments(linear_power=9.0, label_norm_moment=150.0, label_second_moment=15.0)
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    d, s2 = integer("dim", dim, minimum=1), noise(noise_var)
    network = kind.endswith("relu_network")
    if network != (width is not None):
        raise ValueError(f"width must be {'given' if network else 'left out'} for {kind!r}; got {width!r}")
    k = integer("width", width, minimum=1) if width is not None else 0
    erf_power = 2 / np.pi * np.arcsin(2 / 3)
    clean = {
        "linear": (d, d * (d + 2), d),
        "relu_network": (k * d / 4, k * d * (d + 2) / 2, k * d / 2),
        "unit_relu_network": (k / 4, k * (d + 2) / 2, k / 2),
        "cubic": (9, 15 * (d + 6), 15),
        "sign": (2 / np.pi, d, 1),
        "erf": (4 / (3 * np.pi), d * erf_power + 8 / (3 * np.sqrt(5) * np.pi), erf_power),
    }
    linear, label_norm, label = clean[kind]
    return ResponseMoments(float(linear), float(label_norm + s2 * d), float(label + s2))


def nonlinear_optimal_step(
    *, n_context: int, linear_power: float, label_norm_moment: float, label_second_moment: float
) -> OneStepOptimum:
    r"""Step size that minimises the risk of one gradient step on a random, possibly nonlinear response.

    .. math:: \eta = \frac{U_2}{Y_2X_2 + (n - 1) U_2}, \qquad R = Y_2 - n \eta \, U_2 .

    Derivation: :math:`E[u_f \cdot X^T y] = n U_2`, and in :math:`E \|X^T y\|^2` an example meets itself n times
    (Y2X2) and another one n (n - 1) times (U2). Costs O(1).

    Parameters
    ----------
    n_context : int
        Number n >= 1 of examples.
    linear_power, label_norm_moment, label_second_moment : float
        U2 >= 0, Y2X2 > 0 and Y2 > 0 of the response, see :func:`response_moments`.

    Returns
    -------
    OneStepOptimum
        ``step_size`` in the sum convention, ``normalized_step_size``, and ``risk`` with the noise of the query's
        label, without factor 1/2.

    Raises
    ------
    ValueError
        If a number is out of range, or ``linear_power`` exceeds ``label_second_moment`` or ``label_norm_moment``
        (Bessel's and Cauchy-Schwarz's inequalities forbid it).

    References
    ----------
    Mahankali, Hashimoto, Ma (2023), arXiv:2307.03576, section 5; the usable form is derived here.

    Examples
    --------
    >>> moments = response_moments("linear", dim=4, noise_var=1.0)
    >>> nonlinear_optimal_step(n_context=10, **moments._asdict())
    OneStepOptimum(step_size=0.0625, normalized_step_size=0.625, risk=2.5)
    """
    n = integer("n_context", n_context, minimum=1)
    u2 = float(nonnegative("linear_power", linear_power, ndim=0))
    y2x2 = positive_scalar("label_norm_moment", label_norm_moment)
    y2 = positive_scalar("label_second_moment", label_second_moment)
    if u2 > min(y2, y2x2) * (1 + 1e-12):
        raise ValueError(f"linear_power must not exceed the label moments {y2:g} and {y2x2:g}; got {u2:g}")
    step = u2 / (y2x2 + (n - 1) * u2)
    return OneStepOptimum(step_size=step, normalized_step_size=n * step, risk=y2 - n * step * u2)
