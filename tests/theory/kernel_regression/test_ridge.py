"""Risks of ridge regression: closed forms in many digits, printed forms, limits, best ridges, and bad input."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from theory import deep_linear
from theory import kernel_regression as kr

powers_of_ten = st.floats(-3, 3).map(lambda power: 10.0**power)
ridges = st.floats(-8, 4).map(lambda power: 10.0**power)


@given(powers_of_ten, ridges)
def test_both_parts_are_the_derivatives_of_the_transform_in_many_digits(g, ridge):
    found = kr.ridge_risk_isotropic(ratio=g, ridge=ridge, signal=2.0, noise_var=3.0)
    with mp.workdps(60):
        ratio, lam = mp.mpf(g), mp.mpf(ridge)
        z = -lam
        root = mp.sqrt((1 - ratio + lam) ** 2 + 4 * ratio * lam)
        m = (1 - ratio + lam - root) / (2 * ratio * z)
        slope = -(ratio * m**2 + m) / (2 * ratio * z * m + z - (1 - ratio))
        assert float(found.bias) == pytest.approx(float(2 * lam**2 * slope), rel=1e-13)
        assert float(found.variance) == pytest.approx(float(3 * ratio * (m - lam * slope)), rel=1e-13)
    assert found.total == found.bias + found.variance


@given(powers_of_ten, ridges, powers_of_ten, powers_of_ten)
def test_deep_linear_networks_have_the_same_ridge_regression(g, ridge, signal, noise):
    # there: inputs of variance 1/p, ridge over samples per feature, and the noise of test labels counted
    other = deep_linear.ridge_test_error(ridge / g, alpha=1 / g, snr=signal / noise, noise_var=noise)
    found = kr.ridge_risk_isotropic(ratio=g, ridge=ridge, signal=signal, noise_var=noise)
    assert found.total + noise == pytest.approx(float(other), rel=1e-11)


@given(powers_of_ten, ridges)
def test_many_modes_of_one_eigenvalue_are_isotropic(g, ridge):
    modes = 40
    found = kr.ridge_risk(np.full(modes, 1.0), np.full(modes, 0.3), n=modes / g, ridge=ridge, noise_var=0.7)
    one = kr.ridge_risk_isotropic(ratio=g, ridge=ridge, signal=modes * 0.09, noise_var=0.7)
    np.testing.assert_allclose(found, one, rtol=1e-9)


@pytest.mark.parametrize("p", [180, 400])
def test_the_printed_form_of_interpolation(p):
    rng = np.random.default_rng(p)
    s, beta, n = 10 ** rng.uniform(-1, 1, p), rng.normal(size=p), 100
    g = p / n
    c = brentq(lambda c: np.mean(1 / (1 + c * g * s)) - (1 - 1 / g), 1e-12, 1e6, xtol=1e-300, rtol=1e-15)
    first, second = (np.mean(s**power / (1 + c * g * s) ** 2) for power in (2, 1))
    variance = g * c * first / second
    bias = (1 + variance) * np.sum(beta**2 * s / (1 + c * g * s) ** 2)
    found = kr.ridge_risk(s, beta, n=n, ridge=0.0, noise_var=2.0)
    np.testing.assert_allclose(found, [bias, 2 * variance, bias + 2 * variance], rtol=1e-11)


@given(powers_of_ten.filter(lambda g: abs(g - 1) > 1e-3), powers_of_ten, powers_of_ten)
def test_no_ridge_is_the_limit_of_little_ridge(g, signal, noise):
    none = kr.ridgeless_risk_isotropic(ratio=g, signal=signal, noise_var=noise)
    variance = noise * g / (1 - g) if g < 1 else noise / (g - 1)
    bias = 0.0 if g < 1 else signal * (1 - 1 / g)
    np.testing.assert_allclose(none, [bias, variance, bias + variance], rtol=1e-10)
    little = kr.ridge_risk_isotropic(ratio=g, ridge=1e-12, signal=signal, noise_var=noise)
    np.testing.assert_allclose(little.total, none.total, rtol=1e-4)


@given(powers_of_ten, powers_of_ten, powers_of_ten)
def test_no_ridge_beats_the_best_and_its_risk_is_the_transform(g, signal, noise):
    best = kr.optimal_ridge_isotropic(ratio=g, signal=signal, noise_var=noise)
    at = kr.ridge_risk_isotropic(ratio=g, ridge=best.ridge, signal=signal, noise_var=noise)
    assert best.risk == pytest.approx(float(at.total), rel=1e-12)
    assert best.risk == pytest.approx(float(noise * g * kr.mp_stieltjes(-best.ridge, ratio=g).real), rel=1e-11)
    around = kr.ridge_risk_isotropic(
        ratio=g, ridge=best.ridge * np.geomspace(1e-3, 1e3, 60), signal=signal, noise_var=noise
    )
    assert np.all(around.total >= best.risk * (1 - 1e-13))


def test_neighbours_of_the_best_ridge_are_worse_and_those_of_a_wrong_one_are_not():
    def rises_both_ways(ridge):
        risk = kr.ridge_risk_isotropic(ratio=0.4, ridge=ridge * np.array([0.99, 1.0, 1.01]), signal=2.0, noise_var=0.5)
        return bool(risk.total[1] < min(risk.total[0], risk.total[2]))

    assert rises_both_ways(kr.optimal_ridge_isotropic(ratio=0.4, signal=2.0, noise_var=0.5).ridge)
    assert not rises_both_ways(0.5 / 2.0)


@given(powers_of_ten, powers_of_ten)
def test_the_best_risk_rises_with_features_per_sample_without_a_peak(signal, noise):
    g = np.geomspace(0.03, 32, 200)
    best = kr.optimal_ridge_isotropic(ratio=g, signal=signal, noise_var=noise)
    assert np.all(np.diff(best.risk) > -1e-13 * best.risk[1:])
    assert np.all(best.risk < signal)
    assert kr.ridgeless_risk_isotropic(ratio=1.0, signal=signal, noise_var=noise).total == np.inf


@given(st.integers(1, 60), st.integers(1, 60))
def test_finite_designs(n, p):
    found = kr.ridgeless_risk_finite(n=n, p=p, signal=[2.0, 0.0], noise_var=[0.0, 3.0])
    assert found.bias[0] == pytest.approx(2 * max(1 - n / p, 0))
    assert found.variance[0] == 0
    if abs(n - p) <= 1:
        assert found.variance[1] == np.inf
    else:
        assert found.variance[1] == pytest.approx(3 * min(n, p) / (abs(n - p) - 1))
        limit = kr.ridgeless_risk_isotropic(ratio=p / n, noise_var=3.0).variance
        assert found.variance[1] > limit


def test_large_finite_designs_are_the_limit_at_rate_one_over_n():
    for p in (0.5, 2.0):
        gaps = [
            float(kr.ridgeless_risk_finite(n=n, p=int(p * n)).total / kr.ridgeless_risk_isotropic(ratio=p).total - 1)
            for n in (1000, 2000)
        ]
        assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.01)


def test_corners():
    none = kr.ridge_risk([1.0, 0.5], [1.0, 2.0], n=[2, 10], ridge=0.0, noise_var=1.0)
    assert none.bias.tolist() == [0, 0]
    assert none.variance[0] == np.inf
    assert none.variance[1] == pytest.approx(2 / 8)
    assert kr.ridge_risk([1.0, 0.0], [1.0, 2.0], n=5, ridge=0.1, noise_var=0.0).variance == 0
    assert kr.optimal_ridge_isotropic(ratio=1.0, signal=0.0, noise_var=1.0) == (np.inf, 0)
    assert kr.optimal_ridge_isotropic(ratio=2.0, signal=1.0, noise_var=0.0) == (0, 0.5)
    assert kr.ridge_risk_isotropic(ratio=1.0, ridge=0.0, noise_var=0.0) == (0, 0, 0)
    assert kr.ridge_risk_isotropic(ratio=np.ones((2, 1)), ridge=[0.1, 1, 10]).total.shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kr.ridge_risk_isotropic(ratio=0.0, ridge=1.0), "ratio must be positive"),
        (lambda: kr.ridge_risk_isotropic(ratio=1.0, ridge=-1.0), "ridge must be nonnegative"),
        (lambda: kr.ridgeless_risk_isotropic(ratio=1.0, signal=-1.0), "signal must be nonnegative"),
        (lambda: kr.ridgeless_risk_finite(n=0, p=1), "n must be at least 1"),
        (lambda: kr.optimal_ridge_isotropic(ratio=1.0, noise_var=-1.0), "noise_var must be nonnegative"),
        (lambda: kr.ridge_risk([1.0], [1.0, 2.0], n=1, ridge=0.0), "coefficients must have the shape of eigenvalues"),
        (lambda: kr.ridge_risk([1.0], [1.0], n=1, ridge=[0.1, -2.0]), "ridge must be nonnegative; got -2 at index"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
