r"""The best single step of gradient descent on an in-context least-squares problem, and the risk of any step.

A prompt holds n examples :math:`(x_i, y_i)`, :math:`y_i = w \cdot x_i + \epsilon_i`, and a query :math:`x_q`. The
coordinates of all inputs are independent and symmetric with second moment m2 and fourth moment m4, the task vector is
:math:`w \sim N(0, I)`, the noise has variance s2. One step of gradient descent from zero on the *sum* of squares
predicts

.. math:: \hat y = \eta \, x_q \cdot X^T y, \qquad X \in \mathbb{R}^{n \times d} \text{ with examples as rows.}

Steps are in this sum convention throughout; the step of the mean over examples is n times as large.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import finite, integer, nonnegative, positive_scalar

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OneStepOptimum:
    """The step that minimises the risk, and the risk it attains."""

    step_size: float
    normalized_step_size: float
    risk: float


class GramMoments(NamedTuple):
    """Mean of tr H and of tr H^2 for the Gram matrix H = X^T X."""

    trace: float
    trace_square: float


def optimal_step(
    *,
    n_context: int,
    dim: int,
    noise_var: float = 0.0,
    second_moment: float = 1.0,
    fourth_moment: float = 3.0,
) -> OneStepOptimum:
    r"""Step size that minimises the risk of one step of gradient descent, over prompts and tasks.

    .. math:: \eta^* = \frac{1}{m_4 / m_2 + (n + d - 2) m_2 + s_2}, \qquad
              R^* = s_2 + m_2 d \, (1 - n m_2 \eta^*) .

    Gaussian inputs (m2 = 1, m4 = 3) give :math:`\eta^* = 1 / (n + d + 1 + s_2)`; inputs uniform on (-A, A), with
    m2 = A^2 / 3 and m4 = A^4 / 5 and no noise, give :math:`n \eta^* = 15 n / [A^2 (5 n + 5 d - 1)]`. Costs O(1).

    Parameters
    ----------
    n_context : int
        Number n >= 1 of examples in the prompt.
    dim : int
        Dimension d >= 1 of inputs.
    noise_var : float
        Variance s2 >= 0 of the label noise, in the examples and in the query's label.
    second_moment, fourth_moment : float
        m2 > 0 and m4 >= m2^2 of one input coordinate.

    Returns
    -------
    OneStepOptimum
        ``step_size`` eta*, ``normalized_step_size`` n eta*, and ``risk``, the mean squared error against the noisy
        label of the query (no factor 1/2).

    Raises
    ------
    ValueError
        If a size is below 1, a variance or moment is out of range, or ``fourth_moment`` is below the square of
        ``second_moment``, which no distribution attains.

    References
    ----------
    Derived here. von Oswald et al. 2022 (arXiv:2212.07677) find the step by a line search; Mahankali et al. 2023
    (arXiv:2307.03576) prove that it is what one layer of linear attention learns.

    Examples
    --------
    >>> optimal_step(n_context=10, dim=4, noise_var=1.0)
    OneStepOptimum(step_size=0.0625, normalized_step_size=0.625, risk=2.5)
    """
    n, d = integer("n_context", n_context, minimum=1), integer("dim", dim, minimum=1)
    s2, m2, m4 = _noise_and_moments(noise_var, second_moment, fourth_moment)
    left = m4 / m2 + (d - 2) * m2 + s2  # what remains of the denominator without the signal n m2
    step = 1 / (left + n * m2)
    return OneStepOptimum(step_size=step, normalized_step_size=n * step, risk=s2 + m2 * d * left * step)


def one_step_risk(
    step_size: ArrayLike,
    *,
    n_context: int,
    dim: int,
    noise_var: float = 0.0,
    second_moment: float = 1.0,
    fourth_moment: float = 3.0,
    test_scale: ArrayLike = 1.0,
) -> float | Array:
    r"""Risk of one step of gradient descent of any size, on inputs scaled by :math:`\alpha` at test time.

    .. math:: R(\eta, \alpha) = s_2 + \alpha^2 m_2 \left[ d - 2 \eta \alpha^2 E_1
              + \eta^2 \alpha^4 E_2 + \eta^2 \alpha^2 s_2 E_1 \right],

    with :math:`E_1 = E\,\mathrm{tr} H = n d m_2` and
    :math:`E_2 = E\,\mathrm{tr} H^2 = n d [m_4 + (n + d - 2) m_2^2]` of the unscaled inputs. Both the examples and the
    query are scaled, the labels follow, the noise does not. Without noise, tasks scaled by beta multiply the risk by
    beta^2. Costs O(1) an entry.

    Parameters
    ----------
    step_size : array_like
        Steps eta in the sum convention, any real numbers.
    n_context, dim, noise_var, second_moment, fourth_moment
        As in :func:`optimal_step`; the moments are those of the unscaled inputs.
    test_scale : array_like
        Factor alpha on all inputs, any real number; broadcasts against ``step_size``.

    Returns
    -------
    float or ndarray
        Mean squared error against the noisy label of the query (no factor 1/2), in the broadcast shape.

    Raises
    ------
    ValueError
        As in :func:`optimal_step`, or if an entry of ``step_size`` or ``test_scale`` is not finite.

    Examples
    --------
    >>> one_step_risk([0.0, 0.0625], n_context=10, dim=4, noise_var=1.0)
    array([5. , 2.5])
    """
    n, d = integer("n_context", n_context, minimum=1), integer("dim", dim, minimum=1)
    s2, m2, m4 = _noise_and_moments(noise_var, second_moment, fourth_moment)
    moments = gram_moments(n_context=n, dim=d, second_moment=m2, fourth_moment=m4)
    eta, scale = finite("step_size", step_size), finite("test_scale", test_scale) ** 2
    error = d - 2 * eta * scale * moments.trace + (eta * scale) ** 2 * moments.trace_square
    risk = s2 + scale * m2 * (error + eta**2 * scale * s2 * moments.trace)
    return float(risk) if np.ndim(risk) == 0 else risk


def gram_moments(*, n_context: int, dim: int, second_moment: float = 1.0, fourth_moment: float = 3.0) -> GramMoments:
    r"""Moments of the Gram matrix :math:`H = \sum_i x_i x_i^T` of n inputs with independent symmetric coordinates.

    .. math:: E\,\mathrm{tr} H = n d m_2, \qquad E\,\mathrm{tr} H^2 = n d \, [m_4 + (n + d - 2) m_2^2] .

    The square pairs a row with itself (m4 on the diagonal, d - 1 other coordinates) or with n - 1 other rows.
    Parameters and errors are those of :func:`optimal_step`.

    Examples
    --------
    >>> gram_moments(n_context=2, dim=3)
    GramMoments(trace=6.0, trace_square=36.0)
    """
    n, d = integer("n_context", n_context, minimum=1), integer("dim", dim, minimum=1)
    _, m2, m4 = _noise_and_moments(0.0, second_moment, fourth_moment)
    return GramMoments(trace=n * d * m2, trace_square=n * d * (m4 + (n + d - 2) * m2**2))


def _noise_and_moments(noise_var: float, second_moment: float, fourth_moment: float) -> tuple[float, float, float]:
    s2 = float(nonnegative("noise_var", noise_var, ndim=0))
    m2, m4 = positive_scalar("second_moment", second_moment), positive_scalar("fourth_moment", fourth_moment)
    if m4 < m2**2 * (1 - 1e-12):
        raise ValueError(f"fourth_moment must be at least second_moment squared, {m2**2:g}; got {m4:g}")
    return s2, m2, m4
