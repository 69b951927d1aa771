"""Self-distillation: printed forms in many digits, the recursion, limits, crossings, best weights, and bad input."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from theory import kernel_regression as kr

powers_of_ten = st.floats(-6, 6).map(lambda power: 10.0**power)
shares = st.floats(0, 1)
counts = st.integers(1, 12)


@given(powers_of_ten, powers_of_ten, shares, st.integers(1, 60))
def test_shares_are_the_printed_sum_in_many_digits(d, ridge, alpha, steps):
    with mp.workdps(60):
        s = mp.mpf(d) / (mp.mpf(d) + mp.mpf(ridge))
        a = mp.mpf(alpha)
        printed = mp.fsum(a * (1 - a) ** i * s ** (i + 1) for i in range(steps)) + (1 - a) ** steps * s**steps
        found = kr.self_distillation_shrinkage(d, ridge=ridge, alpha=alpha, steps=steps)
        assert float(found) == pytest.approx(float(printed), rel=1e-11)


@given(st.lists(shares, min_size=1, max_size=10), st.floats(0.01, 0.99))
def test_weights_of_steps_are_those_of_the_recursion(alphas, s):
    kept = 1.0
    for alpha in alphas:
        kept = s * (alpha + (1 - alpha) * kept)
    weights = kr.self_distillation_weights(alpha=alphas, steps=len(alphas))
    assert kept == pytest.approx(float(np.sum(weights * s ** np.arange(1, len(alphas) + 1))), rel=1e-12)
    found = kr.self_distillation_shrinkage(s, ridge=1 - s, alpha=alphas, steps=len(alphas))
    assert kept == pytest.approx(float(found), rel=1e-12)
    assert weights.sum() == pytest.approx(1)
    assert np.all(weights >= 0)


@given(shares, counts, powers_of_ten)
def test_one_weight_is_the_same_weight_at_every_step(alpha, steps, ridge):
    d = np.array([0.0, 1e-3, 1.0, 50.0])
    one = kr.self_distillation_shrinkage(d, ridge=ridge, alpha=alpha, steps=steps)
    many = kr.self_distillation_shrinkage(d, ridge=ridge, alpha=[alpha] * steps, steps=steps)
    np.testing.assert_allclose(one, many, rtol=1e-12)


@given(shares, shares, powers_of_ten)
def test_the_teacher_does_not_depend_on_the_weight(first, second, ridge):
    d = np.array([0.1, 2.0])
    for alpha in (first, [second]):
        found = kr.self_distillation_shrinkage(d, ridge=ridge, alpha=alpha, steps=1)
        np.testing.assert_allclose(found, d / (d + ridge), rtol=1e-13)


@given(shares, powers_of_ten)
def test_shares_fall_with_steps_to_ridge_regression_with_more_ridge(alpha, ridge):
    d = np.geomspace(1e-3, 1e3, 9)
    found = [kr.self_distillation_shrinkage(d, ridge=ridge, alpha=alpha, steps=t) for t in (0, 1, 2, 5, 50, np.inf)]
    assert np.all(np.diff(found, axis=0) <= 1e-15)
    assert np.all(found[0] == 1)
    np.testing.assert_allclose(found[-1], alpha * d / (alpha * d + ridge), rtol=1e-13, atol=1e-300)


def test_corners_of_shares():
    def share(d, **rest):
        return kr.self_distillation_shrinkage(d, **rest).tolist()

    assert share([0.0, 1.0], ridge=0.0, alpha=0.3, steps=3) == [0, 1]
    assert share([0.0, 1.0], ridge=0.0, alpha=0.0, steps=np.inf) == [0, 1]
    assert share([0.0, 1.0], ridge=1.0, alpha=1.0, steps=4) == [0, 0.5]
    assert share([0.0, 1.0], ridge=1.0, alpha=0.0, steps=np.inf) == [0, 0]
    assert share(1.0, ridge=1.0, alpha=[], steps=0) == 1.0
    assert share([0.0, 1.0], ridge=0.0, alpha=[0.3, 0.2], steps=2) == [0, 1]


@given(st.integers(0, 2**31 - 1), shares, counts)
def test_fits_and_predictions_are_those_of_the_recursion(seed, alpha, steps):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(9, 5))
    gram, y = features @ features.T, rng.normal(size=(9, 2))
    smoother = gram @ np.linalg.inv(gram + 0.4 * np.eye(9))
    fit = y
    for _ in range(steps):
        before, fit = fit, smoother @ (alpha * y + (1 - alpha) * fit)
    rest = {"ridge": 0.4, "alpha": alpha, "steps": steps}
    np.testing.assert_allclose(kr.self_distillation_fit(gram, y, **rest), fit, atol=1e-12)
    asked = rng.normal(size=(4, 5)) @ features.T
    direct = asked @ np.linalg.solve(gram + 0.4 * np.eye(9), alpha * y + (1 - alpha) * before)
    np.testing.assert_allclose(kr.self_distillation_predict(asked, gram, y, **rest), direct, atol=1e-12)
    # asked where it was trained, a student says what it fits
    np.testing.assert_allclose(kr.self_distillation_predict(gram, gram, y, **rest), fit, atol=1e-12)


def test_infinitely_many_steps_predict_ridge_regression_with_more_ridge():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(6, 9))
    gram, y, asked = features @ features.T, rng.normal(size=6), rng.normal(size=(3, 9)) @ features.T
    found = kr.self_distillation_predict(asked, gram, y, ridge=0.4, alpha=0.25, steps=np.inf)
    np.testing.assert_allclose(found, asked @ np.linalg.solve(gram + 1.6 * np.eye(6), y), rtol=1e-11)


def test_no_ridge_on_a_singular_kernel_is_the_fit_of_least_norm():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(8, 3))
    y = rng.normal(size=8)
    found = kr.self_distillation_fit(features @ features.T, y, ridge=0.0, alpha=0.5, steps=4)
    np.testing.assert_allclose(found, features @ np.linalg.lstsq(features, y)[0], atol=1e-12)
    asked = rng.normal(size=(2, 3))
    found = kr.self_distillation_predict(asked @ features.T, features @ features.T, y, ridge=0.0, alpha=0.5, steps=1)
    np.testing.assert_allclose(found, asked @ np.linalg.lstsq(features, y)[0], atol=1e-11)


@given(powers_of_ten, st.floats(1.01, 100), powers_of_ten, st.floats(0.01, 0.99))
def test_ratios_cross_their_limit_where_the_crossing_says(weak, factor, ridge, alpha):
    at = kr.self_distillation_crossing(weak * factor, weak, ridge=ridge)
    assert at > 1
    with mp.workdps(60):
        d1, d2, lam, a = (mp.mpf(v) for v in (weak * factor, weak, ridge, alpha))

        def excess(t):
            one, two = (lam / (a * d) * ((1 - a) * d / (d + lam)) ** t for d in (d1, d2))
            return (one - two) / (one + two)

        t = mp.mpf(float(at))
        assert excess(t * (1 - mp.mpf(10) ** -9)) < 0 < excess(t * (1 + mp.mpf(10) ** -9))


@given(shares, st.floats(0.1, 10))
def test_the_rate_is_that_of_the_largest_eigenvalue(alpha, ridge):
    assume(alpha < 0.9)
    shares = [kr.self_distillation_shrinkage(3.0, ridge=ridge, alpha=alpha, steps=t) for t in (1, 2, 3)]
    changes = np.diff(shares)
    rate = kr.self_distillation_rate(3.0, ridge=ridge, alpha=alpha)
    assert changes[1] / changes[0] == pytest.approx(float(rate), rel=1e-8)


@given(st.integers(0, 2**31 - 1))
def test_the_best_weight_is_that_of_a_search(seed):
    wanted, first, second = np.random.default_rng(seed).normal(size=(3, 6))
    found = kr.optimal_distillation_weight(wanted, first, second)

    def loss(weight):
        return np.sum((weight * first + (1 - weight) * second - wanted) ** 2)

    assert found == pytest.approx(minimize_scalar(loss, (found - 3, found + 5)).x, abs=1e-6)
    swapped = kr.optimal_distillation_weight(wanted, second, first)
    assert swapped == pytest.approx(1 - found, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kr.self_distillation_weights(alpha=0.5, steps=0), ValueError, "steps must be at least 1"),
        (lambda: kr.self_distillation_weights(alpha=1.5, steps=2), ValueError, "alpha must be in"),
        (
            lambda: kr.self_distillation_shrinkage([-1.0], ridge=1, alpha=0.5, steps=1),
            ValueError,
            "gram_eigenvalues must be nonnegative",
        ),
        (lambda: kr.self_distillation_shrinkage([1.0], ridge=-1, alpha=0.5, steps=1), ValueError, "ridge must be"),
        (lambda: kr.self_distillation_shrinkage([1.0], ridge=1, alpha=0.5, steps=1.5), TypeError, "integer or inf"),
        (lambda: kr.self_distillation_shrinkage([1.0], ridge=1, alpha=0.5, steps=-1), ValueError, "steps must be"),
        (
            lambda: kr.self_distillation_shrinkage([1.0], ridge=1, alpha=[0.5], steps=np.inf),
            ValueError,
            "alpha must be one number",
        ),
        (
            lambda: kr.self_distillation_shrinkage([1.0], ridge=1, alpha=[0.5, 0.1], steps=3),
            ValueError,
            "each of 3 steps; got shape",
        ),
        (
            lambda: kr.self_distillation_fit([[1.0, 0.5]], [1.0], ridge=1, alpha=0.5, steps=1),
            ValueError,
            "gram must be square",
        ),
        (
            lambda: kr.self_distillation_fit([[1, 0.5], [0, 1]], [1.0, 1], ridge=1, alpha=0.5, steps=1),
            ValueError,
            "gram must be symmetric",
        ),
        (
            lambda: kr.self_distillation_fit([[1, 2], [2, 1]], [1.0, 1], ridge=1, alpha=0.5, steps=1),
            ValueError,
            "negative eigenvalue; got -1",
        ),
        (
            lambda: kr.self_distillation_fit(np.eye(2), [1.0], ridge=1, alpha=0.5, steps=1),
            ValueError,
            "y must have one row a row of gram, 2",
        ),
        (
            lambda: kr.self_distillation_predict(np.eye(3), np.eye(2), [1.0, 2], ridge=1, alpha=0.5, steps=1),
            ValueError,
            "cross_gram must have as many columns as gram, 2",
        ),
        (
            lambda: kr.self_distillation_predict(np.eye(2), np.eye(2), [1.0, 2], ridge=1, alpha=0.5, steps=0),
            ValueError,
            "steps must be at least 1",
        ),
        (lambda: kr.self_distillation_crossing(1.0, 2.0, ridge=1.0), ValueError, "strong must be above weak"),
        (lambda: kr.self_distillation_rate(0.0, ridge=1.0, alpha=0.5), ValueError, "top_eigenvalue must be positive"),
        (lambda: kr.optimal_distillation_weight([1.0], [2.0], [2.0]), ValueError, "must differ"),
        (lambda: kr.optimal_distillation_weight([1.0], [2.0, 1], [2.0]), ValueError, "prediction_truth must have"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
