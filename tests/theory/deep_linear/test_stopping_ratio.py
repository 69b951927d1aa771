"""How much worse early stopping is than the best ridge: against quadrature, at worst, and where both are alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize_scalar

from theory.deep_linear import critical_stopping_ratio, early_stopping_ratio, worst_stopping_ratio


@settings(max_examples=25)
@given(alpha=st.floats(0.1, 10), snr=st.floats(0.01, 1e5))
def test_between_none_and_the_worst(alpha, snr):
    ratio = float(early_stopping_ratio(alpha=alpha, snr=snr))
    assert 1 - 1e-12 <= ratio <= worst_stopping_ratio().ratio


@pytest.mark.parametrize("u", [-1.0, -0.1, 0.0, 0.56, 3.0])
def test_many_samples_and_strong_teachers_tend_to_the_critical_ratio(u):
    limit = float(critical_stopping_ratio(u))
    distances = [abs(early_stopping_ratio(alpha=(1 + u / np.sqrt(S)) ** 2, snr=S) - limit) for S in (1e4, 1e6)]
    assert distances[1] < 1e-4
    assert distances[1] == pytest.approx(distances[0] / 10, rel=0.1)


@pytest.mark.parametrize("u", [-0.7, 0.0, 0.3, 2.0])
def test_critical_ratio_by_quadrature(u):
    def mean(function):
        # x = u^2 + z^2, with its density in z
        return quad(lambda z: 2 * z**2 / np.pi / (u**2 + z**2) * function(u**2 + z**2), 0, np.inf, limit=400)[0]

    def stopped(tau):
        return mean(lambda x: np.exp(-2 * x * tau) + np.expm1(-x * tau) ** 2 / x) + 2 * max(-u, 0.0)

    best = minimize_scalar(stopped, bounds=(0.05, 1), method="bounded", options={"xatol": 1e-6}).fun
    ridge = mean(lambda x: 1 / (1 + x)) + 2 * max(-u, 0.0)
    assert critical_stopping_ratio(u) == pytest.approx(best / ridge, rel=1e-7)


def test_far_from_as_many_samples_as_features_both_are_alike():
    assert critical_stopping_ratio([-1e6, -1e3, 1e3, 1e6]) == pytest.approx(np.ones(4), abs=1e-4)
    assert early_stopping_ratio(alpha=[0.5, 1.0, 2.0], snr=1e-4) == pytest.approx(np.ones(3), abs=1e-8)


def test_the_worst_ratio_is_approached_but_not_reached():
    worst = worst_stopping_ratio()
    powers = np.array([30, 100, 300, 1e3, 1e4])
    ratios = early_stopping_ratio(alpha=(1 + worst.place / np.sqrt(powers)) ** 2, snr=powers)
    assert np.all(np.diff(ratios) > 0)
    assert ratios[-1] < worst.ratio < ratios[-1] + 4e-4
    assert np.all(critical_stopping_ratio(worst.place + np.array([-0.1, 0.1])) < worst.ratio)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: early_stopping_ratio(alpha=0.0, snr=1.0), "alpha"),
        (lambda: early_stopping_ratio(alpha=1.0, snr=0.0), "snr"),
        (lambda: early_stopping_ratio(alpha=[1.0, 2.0], snr=[1.0, 2.0, 3.0]), "broadcast"),
        (lambda: critical_stopping_ratio(np.nan), "u must"),
        (lambda: critical_stopping_ratio(2e6), "u must"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
