import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.generalization import class_mean_errors, discriminative_error, generative_error

signals = st.floats(0, 20)


@settings(max_examples=100, deadline=None)
@given(delta=signals, gamma=st.floats(0, 0.999))
def test_best_classifier_below_class_mean_below_least_squares_below_a_coin(delta, gamma):
    best, mean, fitted = (
        generative_error(delta, 0.0),
        generative_error(delta, gamma),
        discriminative_error(delta, gamma),
    )
    assert best * (1 - 1e-12) <= mean <= fitted * (1 + 1e-12)
    assert fitted <= 0.5
    assert generative_error(delta * 1.1, gamma) <= mean


@pytest.mark.parametrize(("delta", "gamma"), [(0.01, 0.5), (1.0, 0.4), (3.0, 0.99), (30.0, 0.2)])
def test_errors_in_high_precision(delta, gamma):
    with mpmath.workdps(40):
        D, g = mpmath.mpf(delta), mpmath.mpf(gamma)
        margin = D / mpmath.sqrt(1 + g / D**2)
        exact = mpmath.ncdf(-margin), mpmath.ncdf(-margin * mpmath.sqrt(1 - g))
    assert generative_error(delta, gamma) == pytest.approx(float(exact[0]), rel=1e-12)
    assert discriminative_error(delta, gamma) == pytest.approx(float(exact[1]), rel=1e-12)


@pytest.mark.parametrize("d", [20, 40, 80, 160])
def test_finite_size_of_the_class_mean_is_of_first_order(d):
    exact = class_mean_errors(5 * d // 2, d, mean_norm=1.0, sigma=1.0).population
    assert d * (exact - generative_error(1.0, 0.4)) == pytest.approx(-0.0131, abs=1e-4)


def test_golden_values_and_limits():
    assert generative_error(1.0, 0.4) == pytest.approx(0.199012, abs=1e-6)
    assert discriminative_error(1.0, 0.4) == pytest.approx(0.256345, abs=1e-6)
    assert discriminative_error(1.5, 0.4) == pytest.approx(0.14217, abs=1e-5)
    assert discriminative_error(1.0, 0.2) == pytest.approx(0.207108, abs=1e-6)
    assert generative_error(0.0, 0.0) == 0.5
    assert generative_error([[0.5], [1.0]], [0.1, 0.2, 3.0]).shape == (2, 3)
    assert discriminative_error(2.0, np.nextafter(1, 0)) == pytest.approx(0.5, abs=1e-7)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: generative_error(-1.0, 0.4), "delta"),
        (lambda: generative_error(1.0, -0.4), "gamma"),
        (lambda: discriminative_error(np.nan, 0.4), "delta"),
        (lambda: discriminative_error(1.0, 1.0), "gamma"),
        (lambda: discriminative_error(1.0, [0.1, 1.5]), "gamma"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
