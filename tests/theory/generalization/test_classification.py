import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.generalization import (
    class_mean_errors,
    discriminative_error,
    generative_error,
    temperature_scaled_kl,
    uniform_prediction_kl,
)

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


overlaps, pairs = st.floats(0, 1), st.integers(1, 500)


@settings(max_examples=100, deadline=None)
@given(overlap=overlaps, pair=pairs, confidence=st.floats(1e-6, 1 - 1e-6))
def test_the_accuracy_is_the_best_confidence(overlap, pair, confidence):
    best = temperature_scaled_kl(overlap, 2 * pair)
    assert best <= temperature_scaled_kl(overlap, 2 * pair, confidence) + 1e-12
    assert -1e-12 <= best <= uniform_prediction_kl(overlap, 2 * pair) + 1e-12
    assert best <= temperature_scaled_kl(overlap, 2 * pair + 2) + 1e-12


@pytest.mark.parametrize(("overlap", "k", "golden"), [(0.3, 4, 0.379557), (0.6, 10, 0.854143)])
def test_golden_divergences(overlap, k, golden):
    assert temperature_scaled_kl(overlap, k) == pytest.approx(golden, abs=1e-6)
    with mpmath.workdps(40):
        a = mpmath.mpf(overlap)
        exact = -(1 - a / 2) * mpmath.log(1 - a / 2) - a / 2 * mpmath.log(a / 2 / (k - 1)) - a * mpmath.log(2)
    assert temperature_scaled_kl(overlap, k) == pytest.approx(float(exact), rel=1e-13)


def test_divergences_at_the_ends():
    assert temperature_scaled_kl(0.0, 10) == 0
    assert temperature_scaled_kl(1.0, 10) == pytest.approx(np.log(9) / 2, rel=1e-13)
    assert temperature_scaled_kl(1.0, 2) == pytest.approx(0, abs=1e-15)
    assert temperature_scaled_kl([0.1, 0.2], [[2], [4]]).shape == (2, 2)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: temperature_scaled_kl(1.1, 4), "overlap"),
        (lambda: temperature_scaled_kl(0.5, 3), "num_classes"),
        (lambda: temperature_scaled_kl(0.5, 4, 1.0), "confidence"),
        (lambda: uniform_prediction_kl(0.5, 0), "num_classes"),
    ],
)
def test_bad_overlaps_are_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
