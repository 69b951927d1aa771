"""Aggregate responses: printed forms, exact moments, limits, one feature in many digits, and bad input."""

from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import kernel_regression as kr

ratios = st.floats(0.01, 0.95)
weights = st.floats(0.01, 1)
powers = st.floats(0.1, 10)
bag_sizes = st.floats(1, 20)


@given(st.integers(0, 2**31 - 1), weights, st.sampled_from([1, 2, 3, 6]))
def test_the_closed_form_has_the_least_loss(seed, rho, k):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(12, 2)), rng.normal(size=12 // k)
    best = kr.aggregate_fit(x, y, rho=rho)
    least = kr.aggregate_loss(best, x, y, rho=rho)
    instance = np.mean((np.repeat(y, k) - x @ best) ** 2)
    assert kr.aggregate_loss(best, x, y, rho=1.0) == pytest.approx(instance, rel=1e-12)
    for _ in range(5):
        assert kr.aggregate_loss(best + 1e-2 * rng.normal(size=2), x, y, rho=rho) > least


@given(ratios, bag_sizes, weights, powers, powers)
def test_the_limit_is_the_printed_form_at_its_root(g, k, rho, signal, noise):
    found = kr.aggregate_risk(n=1, p=g, bag_size=k, rho=rho, signal=signal, noise_var=noise)
    with mp.workdps(50):
        m, p, r = 1 / mp.mpf(k), mp.mpf(g), mp.mpf(rho)
        half = (m + (1 - m) * r - p * (1 + r)) / 2
        s = (-half + mp.sqrt(half**2 + r * (1 - p) * p)) / (r * (1 - p))
        assert abs(m * s / (1 + s) + (1 - m) * r * s / (1 + r * s) - p) < mp.mpf(10) ** -40
        a, b = m / (1 + s), r * (1 - m) / (1 + r * s)
        c, h = a / (a + b), s**2 / p
        a1, a2 = m / (1 + s) ** 2, r**2 * (1 - m) / (1 + r * s) ** 2
        bias = (1 - c) ** 2 * signal
        variance = h * (a1 * (bias + noise) + a2 * c**2 * signal) / (1 - h * (a1 + a2))
        assert float(found.bias) == pytest.approx(float(bias), rel=1e-11, abs=1e-25)
        assert float(found.variance) == pytest.approx(float(variance), rel=1e-11)
    assert found.total == found.bias + found.variance


@given(ratios, bag_sizes, powers, powers)
def test_the_instance_loss(g, k, signal, noise):
    found = kr.aggregate_risk(n=1, p=g, bag_size=k, rho=1, signal=signal, noise_var=noise)
    expected = (1 - 1 / k) ** 2 * signal + g / (1 - g) * (noise / k + (k - 1) / k**2 * signal)
    assert float(found.total) == pytest.approx(expected, rel=1e-11)


@given(ratios, weights, powers, powers)
def test_bags_of_one_are_least_squares_at_every_weight(g, rho, signal, noise):
    found = kr.aggregate_risk(n=1, p=g, bag_size=1, rho=[0, rho], signal=signal, noise_var=noise)
    np.testing.assert_allclose(found.total, noise * g / (1 - g), rtol=1e-11)
    np.testing.assert_allclose(found.bias, 0, atol=1e-25)


def test_the_bag_loss_and_the_limit_of_little_weight():
    few = kr.aggregate_risk(n=100, p=20, bag_size=2, rho=[0, 1e-13], noise_var=3.0)
    np.testing.assert_allclose(few.total, 3 * 20 / 30, rtol=1e-9)
    many = kr.aggregate_risk(n=100, p=20, bag_size=10, rho=[0, 1e-13], noise_var=3.0)
    assert many.total[0] == pytest.approx(float(many.total[1]), rel=1e-9)
    assert many.bias[0] == pytest.approx(0.25)
    assert kr.aggregate_risk(n=100, p=20, bag_size=5, rho=0).variance == np.inf
    assert kr.aggregate_risk(n=100, p=20, bag_size=2, rho=0, noise_var=0).total == 0


@given(st.integers(1, 6), st.integers(2, 5), st.integers(1, 12), powers, powers)
def test_finite_sizes_tend_to_the_limit_at_rate_one_over_n(p, k, more, signal, noise):
    shape = {"bag_size": k, "rho": 1.0, "signal": signal, "noise_var": noise}
    gaps = [
        float(
            kr.aggregate_risk_finite(n=(p + more) * k * scale, p=p * scale, **shape).total
            - kr.aggregate_risk(n=(p + more) * k, p=p, **shape).total
        )
        for scale in (1000, 2000)
    ]
    assert gaps[0] > 0
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize(("n", "k"), [(8, 2), (9, 3), (12, 4)])
def test_one_feature_by_the_matrix_formula_and_by_the_beta_law(n, k):
    m = n // k
    beta = Fraction(n - m, 2), Fraction(m, 2)
    square = beta[0] * (beta[0] + 1) / (sum(beta) * (sum(beta) + 1))
    found = kr.aggregate_risk_finite(n=n, p=1, bag_size=k, rho=1.0, signal=[1, 0], noise_var=[0, 1])
    np.testing.assert_allclose(found.total, [float(square), m / (n * (n - 2))], rtol=1e-13)
    near = kr.aggregate_risk_finite(n=n, p=1, bag_size=k, rho=1 - 1e-12, signal=[1, 0], noise_var=[0, 1])
    np.testing.assert_allclose(near.total, found.total, rtol=1e-9)


@settings(max_examples=25)
@given(st.integers(2, 8), st.integers(2, 4), st.floats(0.02, 0.98))
def test_one_feature_against_quadrature_in_many_digits(m, k, rho):
    n = m * k
    found = kr.aggregate_risk_finite(n=n, p=1, bag_size=k, rho=rho, signal=[1, 0], noise_var=[0, 1])
    with mp.workdps(30):
        a, b = mp.mpf(m) / 2, mp.mpf(n - m) / 2

        def mean(function):
            # a share t^2 has no singular end
            return mp.quad(
                lambda t: 2 * t ** (2 * a - 1) * (1 - t**2) ** (b - 1) * function(t**2), [0, 0.1, 0.5, 0.9, 1]
            ) / mp.beta(a, b)

        c = mean(lambda u: u / (u + rho * (1 - u)))
        missed = mean(lambda u: (rho * (1 - u) / (u + rho * (1 - u))) ** 2)
        noise = mean(lambda u: u / (u + rho * (1 - u)) ** 2) / (n - 2)
    assert found.bias[0] == pytest.approx(float((1 - c) ** 2), rel=1e-8)
    assert found.total[0] == pytest.approx(float(missed), rel=1e-8)
    assert found.total[1] == pytest.approx(float(noise), rel=1e-8)


@pytest.mark.parametrize(("n", "p", "k"), [(12, 3, 3), (10, 4, 2), (16, 2, 8)])
def test_matrix_beta_moments_against_draws(n, p, k):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(4000, n, p))
    means = x.reshape(4000, n // k, k, p).mean(axis=2)
    fit = np.linalg.solve(np.swapaxes(x, 1, 2) @ x, k * np.swapaxes(means, 1, 2) @ means) - np.eye(p)
    draws = np.sum(fit**2, axis=(1, 2)) / p
    found = kr.aggregate_risk_finite(n=n, p=p, bag_size=k, rho=1.0, noise_var=0.0)
    assert abs(draws.mean() - float(found.total)) < 7 * draws.std() / np.sqrt(len(draws))


@settings(max_examples=25)
@given(st.floats(0.02, 0.4), st.floats(1, 10), powers)
def test_no_weight_beats_the_best(g, k, noise):
    best = kr.optimal_instance_weight(n=1, p=g, bag_size=k, noise_var=noise)
    around = kr.aggregate_risk(n=1, p=g, bag_size=k, rho=np.append(np.geomspace(1e-6, 1, 200), 0), noise_var=noise)
    assert best.risk <= around.total.min() * (1 + 1e-12)
    at = kr.aggregate_risk(n=1, p=g, bag_size=k, rho=best.rho, noise_var=noise).total
    assert float(at) == pytest.approx(float(best.risk), rel=1e-10)


def test_the_best_weights_in_corners():
    assert kr.optimal_instance_weight(n=10, p=1, bag_size=1).rho == 1
    assert kr.optimal_instance_weight(n=10, p=1, bag_size=2, noise_var=0) == (0, 0)
    found = kr.optimal_instance_weight(n=40, p=[[2], [4]], bag_size=[1, 2, 4])
    assert found.rho.shape == (2, 3)
    assert np.all(np.diff(found.risk, axis=1) > 0)


def test_no_privacy_adds_no_noise():
    assert kr.private_noise_var(bag_size=3, epsilon=np.inf, noise_var=0.7) == 0.7
    np.testing.assert_allclose(kr.private_noise_var(bag_size=[1, 8], epsilon=2, label_range=4, noise_var=0), [8, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kr.aggregate_risk(n=10, p=10, bag_size=2, rho=0.5), "p must be below n"),
        (lambda: kr.aggregate_risk(n=10, p=2, bag_size=0.5, rho=0.5), "bag_size must be at least 1"),
        (lambda: kr.aggregate_risk(n=10, p=2, bag_size=2, rho=1.5), "rho must be in"),
        (lambda: kr.aggregate_risk(n=10, p=2, bag_size=2, rho=1, signal=-1), "signal must be nonnegative"),
        (lambda: kr.aggregate_risk_finite(n=10, p=2, bag_size=3, rho=1), "n must be a multiple of bag_size, 3; got 10"),
        (lambda: kr.aggregate_risk_finite(n=10, p=2, bag_size=2, rho=0.5), "rho must be 0 or 1"),
        (lambda: kr.aggregate_risk_finite(n=8, p=3, bag_size=2, rho=0), "from p \\+ 2 = 5 bags; got 4"),
        (lambda: kr.aggregate_risk_finite(n=4, p=3, bag_size=2, rho=1), "from p \\+ 2 = 5 samples; got 4"),
        (lambda: kr.private_noise_var(bag_size=2, epsilon=0), "epsilon must be positive"),
        (lambda: kr.private_noise_var(bag_size=0.5, epsilon=1), "bag_size must be at least 1"),
        (lambda: kr.aggregate_fit(np.ones((4, 2)), np.ones(3), rho=1), "bag_labels must be as many as divide"),
        (lambda: kr.aggregate_loss([1.0], np.ones((4, 2)), np.ones(2), rho=1), "as many as features, 2; got 1"),
        (lambda: kr.aggregate_loss([1.0, 2], np.ones((4, 2)), np.ones(2), rho=-1), "rho must be in"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
