"""High-dimensional errors against quadrature in many digits, exact limits, and each other."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from theory.deep_linear import deep_vector_flow
from theory.deep_linear import high_dimensional as hd

alphas = st.floats(0.05, 20.0)
powers = st.floats(0.0, 100.0)
times = st.floats(0.0, 1e4)


def bulk_mean(function, alpha):
    """Integrate over the law in 30 digits, in the variable that removes its singularities."""
    with mpmath.workdps(30):
        root = mpmath.sqrt(mpmath.mpf(alpha))
        low = (root - 1) ** 2

        def integrand(psi):
            x = low + 4 * root * mpmath.sin(psi / 2) ** 2
            return (2 * root * mpmath.sin(psi)) ** 2 / (2 * mpmath.pi * x) * function(x)

        ends = [0, *(mpmath.mpf(10) ** k for k in range(-8, 1)), mpmath.pi]
        return mpmath.quad(integrand, ends)


@pytest.mark.parametrize("alpha", [0.3, 0.99, 1.0, 1.0001, 8.0])
@pytest.mark.parametrize("t", [0.0, 1.0, 1e6])
def test_errors_in_many_digits(alpha, t):
    test = bulk_mean(lambda x: 5 * mpmath.exp(-2 * x * t) + mpmath.expm1(-x * t) ** 2 / x, alpha)
    train = bulk_mean(lambda x: (5 * x + 1) * mpmath.exp(-2 * x * t), alpha)
    setting = {"alpha": alpha, "snr": 3.0, "inr": 2.0, "noise_var": 0.7}
    assert hd.test_error(t, **setting) == pytest.approx(0.7 * float(1 + test + 5 * max(1 - alpha, 0)), rel=1e-12)
    expected = 0.7 * float(train / alpha + max(1 - 1 / alpha, 0))
    assert hd.train_error(t, **setting) == pytest.approx(expected, rel=1e-11, abs=1e-14)


@settings(max_examples=25)
@given(alpha=alphas)
def test_moments_of_the_law(alpha):
    nodes, weights, atom = hd.mp_quadrature(alpha)
    assert weights.sum() + atom == pytest.approx(max(alpha, 1.0) - max(alpha - 1, 0), rel=1e-11)
    assert weights @ nodes == pytest.approx(alpha, rel=1e-11)
    assert weights @ nodes**2 == pytest.approx(alpha**2 + alpha, rel=1e-11)
    density = hd.mp_density(nodes, alpha=alpha)
    assert (density[1:-1] > 0).all()


@settings(max_examples=25)
@given(alpha=alphas, ridge=st.floats(1e-6, 1e3), snr=powers)
def test_ridge_error_is_its_integral(alpha, ridge, snr):
    nodes, weights, atom = hd.mp_quadrature(alpha, finest=min(1.0, ridge))
    error = 1 + weights @ ((snr * ridge**2 + nodes) / (nodes + ridge) ** 2) + atom * snr
    assert hd.ridge_test_error(ridge, alpha=alpha, snr=snr) == pytest.approx(error, rel=1e-9)
    resolvent = weights @ (1 / (nodes + ridge)) + atom / ridge
    assert hd.mp_resolvent(ridge, alpha=alpha) == pytest.approx(resolvent, rel=1e-9)


@settings(max_examples=25)
@given(alpha=alphas, snr=st.floats(0.01, 1e3))
def test_the_best_ridge_and_the_best_time(alpha, snr):
    best = hd.ridge_test_error(1 / snr, alpha=alpha, snr=snr)
    assert best == pytest.approx(1 + hd.mp_resolvent(1 / snr, alpha=alpha), rel=1e-10)
    for factor in (0.9, 1.1):
        assert hd.ridge_test_error(factor / snr, alpha=alpha, snr=snr) >= best * (1 - 1e-14)
    time = float(hd.optimal_stopping_time(alpha=alpha, snr=snr))
    stopped = hd.test_error(time, alpha=alpha, snr=snr)
    assert best * (1 - 1e-12) <= stopped <= 1.0352 * best
    around = hd.test_error(time * np.geomspace(0.2, 5, 41), alpha=alpha, snr=snr)
    assert (around >= stopped * (1 - 1e-13)).all()


@settings(max_examples=25)
@given(alpha=alphas.filter(lambda a: abs(a - 1) > 0.05), snr=powers, inr=powers)
def test_late_times(alpha, snr, inr):
    late = hd.late_test_error(alpha=alpha, snr=snr, inr=inr)
    assert hd.test_error(1e6, alpha=alpha, snr=snr, inr=inr) == pytest.approx(late, rel=1e-10)
    n = 10**6
    finite = hd.late_test_error_finite(n_features=n, n_samples=round(alpha * n), snr=snr, inr=inr)
    assert finite == pytest.approx(float(late), rel=1e-3)


@settings(max_examples=25)
@given(alpha=alphas, snr=powers, inr=powers, t=times)
def test_initial_weights_never_help(alpha, snr, inr, t):
    assert hd.test_error(t, alpha=alpha, snr=snr, inr=inr) >= hd.test_error(t, alpha=alpha, snr=snr) - 1e-12


def test_growth_at_as_many_samples_as_features():
    t = np.array([1e8, 4e8])
    error = hd.test_error(t, alpha=1.0, snr=1.0)
    assert (error[1] - error[0]) / (np.sqrt(t[1]) - np.sqrt(t[0])) == pytest.approx(hd.CRITICAL_GROWTH, rel=1e-6)
    snr = 1e7
    assert hd.optimal_stopping_time(alpha=1.0, snr=snr) / snr == pytest.approx(hd.CRITICAL_STOPPING, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.25, 0.5, 2.0, 4.0])
def test_stopping_time_grows_as_the_logarithm_of_the_signal(alpha):
    low, high = hd.optimal_stopping_time(alpha=alpha, snr=[1e250, 1e300])
    slope = (high - low) / np.log(1e50)
    assert slope == pytest.approx(float(hd.stopping_time_slope(alpha=alpha)), rel=1e-3)


def test_one_mode_stops_where_its_error_is_least():
    def error(t):
        return float(hd.conditional_test_error(t, [0.7], snr=4.0, inr=1.0))

    found = minimize_scalar(error, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-10}).x
    assert hd.mode_stopping_time(0.7, snr=4.0, inr=1.0) == pytest.approx(found, rel=1e-6)
    assert hd.mode_stopping_time(0.0, snr=4.0, inr=1.0) == 5.0


@settings(max_examples=25)
@given(snr=st.floats(1.01, 100))
def test_best_size(snr):
    alpha, error = hd.optimal_size(snr=snr)
    grid = hd.late_test_error(alpha=np.linspace(0.001, 0.999, 999), snr=snr)
    assert error <= grid.min() + 1e-12
    assert hd.late_test_error(alpha=max(float(alpha), 1e-9), snr=snr) == pytest.approx(float(error), rel=1e-6)


def test_finite_size_corrections_of_known_moments():
    for alpha in (0.5, 1.0, 3.0):
        assert hd.mp_finite_size(lambda x: x, alpha=alpha) == pytest.approx(0.0, abs=1e-13)
        third = float(hd.mp_finite_size(lambda x: x**3, alpha=alpha))
        assert third == pytest.approx(3 * alpha * (1 + alpha), rel=1e-12)  # (P/N^3) [.. + 3 (N + P + 1) + 1]


def test_deep_flow_keeps_directions_outside_of_the_samples():
    rng = np.random.default_rng(3)
    x, y, w0 = rng.normal(size=(5, 2)), rng.normal(size=2), rng.normal(size=5)
    outside = np.linalg.svd(x)[0][:, 2:]
    shallow = deep_vector_flow([0.0, 1.0], w0, x, y, depth=1) @ outside
    np.testing.assert_allclose(shallow[1], shallow[0], atol=1e-10)
    deep = deep_vector_flow([0.0, 1.0], w0, x, y, depth=3) @ outside
    lengths = np.linalg.norm(deep, axis=1)
    assert abs(lengths[1] / lengths[0] - 1) > 1e-2
    assert deep[0] @ deep[1] / np.prod(lengths) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hd.test_error(-1.0, alpha=1.0, snr=1.0), "t must be nonnegative"),
        (lambda: hd.train_error(1.0, alpha=0.0, snr=1.0), "alpha must be positive"),
        (lambda: hd.test_error([1.0, 2.0], alpha=[1.0, 2.0, 3.0], snr=1.0), "broadcast"),
        (lambda: hd.test_error(1.0, alpha=1.0, snr=1.0, noise_var=0.0), "noise_var must be positive"),
        (lambda: hd.mp_quadrature(1.0, 0), "n_nodes must be at least 1"),
        (lambda: hd.ridge_test_error(0.0, alpha=1.0, snr=1.0), "ridge must be positive at alpha = 1"),
        (lambda: hd.conditional_test_error(1.0, [], snr=1.0), "eigenvalues must hold at least one"),
        (lambda: hd.late_test_error_finite(n_features=0, n_samples=3, snr=1.0), "n_features must be at least 1"),
        (lambda: hd.optimal_stopping_time(alpha=1.0, snr=-1.0), "snr must be nonnegative"),
        (lambda: deep_vector_flow([1.0], [0.0], [[1.0]], [1.0]), "w0 must not vanish"),
        (lambda: deep_vector_flow([1.0, 0.5], [1.0], [[1.0]], [1.0]), "nondecreasing"),
        (lambda: deep_vector_flow([1.0], [1.0], [[1.0, 2.0]], [1.0]), "x must have shape"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
