"""The gap between two losses of score estimation: limits, bounds, and quadrature."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.kernel_regression import denoising_gap, denoising_gap_discrete

POSITIVE = st.floats(0.2, 3.0)


@given(POSITIVE, POSITIVE, POSITIVE)
def test_gaussian_gap_is_a_difference_of_precisions(v, a, s):
    assert denoising_gap([v], signal=a, noise=s) == pytest.approx(1 / s**2 - 1 / (a**2 * v + s**2), rel=1e-9)
    assert denoising_gap([v, v, 0.0], signal=a, noise=s) == pytest.approx(2 * denoising_gap([v], signal=a, noise=s))


def test_small_gaps_keep_their_digits_and_noise_broadcasts():
    assert denoising_gap([1.0], signal=1e-9, noise=1.0) == pytest.approx(1e-18, rel=1e-12)
    assert denoising_gap([1.0, 2.0], signal=0.5, noise=[0.5, 1.0, 2.0]).shape == (3,)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=4), st.floats(0.1, 1.5), st.floats(0.3, 2.0))
def test_discrete_gap_is_least_for_its_variance_and_the_gaussian_one_is_largest(values, a, s):
    x = np.array(values)
    p = np.full(x.size, 1 / x.size)
    gap = denoising_gap_discrete(x, p, signal=a, noise=s)
    assert -1e-12 <= gap <= denoising_gap([np.var(x)], signal=a, noise=s) * (1 + 1e-9) + 1e-12
    shifted = denoising_gap_discrete(x + 5.0, p, signal=a, noise=s)
    assert shifted == pytest.approx(gap, rel=1e-8, abs=1e-10)


def test_two_points_by_quadrature():
    a, s = mpmath.mpf("0.6"), mpmath.mpf("0.8")

    def integrand(z):
        x = a + s * z
        return (1 - mpmath.tanh(a * x / s**2) ** 2) * mpmath.npdf(z)

    expected = a**2 / s**4 * mpmath.quad(integrand, [-12, -4, 0, 4, 12])
    assert denoising_gap_discrete([-1, 1], [0.5, 0.5], signal=0.6, noise=0.8) == pytest.approx(
        float(expected), rel=1e-12
    )


def test_a_fine_grid_of_values_is_gaussian():
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    found = denoising_gap_discrete(nodes, weights / weights.sum(), signal=0.6, noise=0.8)
    assert found == pytest.approx(0.5625, rel=1e-10)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: denoising_gap([-1.0], signal=1.0, noise=1.0), "variances"),
        (lambda: denoising_gap([1.0], signal=1.0, noise=0.0), "noise"),
        (lambda: denoising_gap([1.0], signal=np.inf, noise=1.0), "signal"),
        (lambda: denoising_gap_discrete([1.0, 2.0], [1.0], signal=1.0, noise=1.0), "probabilities"),
        (lambda: denoising_gap_discrete([1.0, 2.0], [0.5, 0.6], signal=1.0, noise=1.0), "probabilities"),
        (lambda: denoising_gap_discrete([1.0], [1.0], signal=1.0, noise=-1.0), "noise"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
