import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from theory.in_context import (
    TokenMoments,
    block_gradient,
    covariance_moments,
    initial_token_moments,
    mesa_flow,
    mesa_loss,
    mesa_prediction,
    mesa_product,
    mesa_risk,
)

KINDS = ("gaussian", "rademacher", "one_hot", "uniform")
kinds = st.sampled_from(KINDS)
horizons = st.integers(3, 200)
starts = st.floats(0.01, 2.0)


@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_those_of_samples(kind):
    rng = np.random.default_rng(0)
    size, d, scale = 400_000, 3, 0.7
    x = {
        "gaussian": lambda: scale * rng.standard_normal((size, d)),
        "rademacher": lambda: scale * rng.choice([-1.0, 1.0], (size, d)),
        "one_hot": lambda: scale * np.eye(d)[rng.integers(d, size=size)] * rng.choice([-1.0, 1.0], (size, 1)),
        "uniform": lambda: rng.uniform(-scale, scale, (size, d)),
    }[kind]()
    mixed = x[:, 0] ** 4 * (x[:, 1:] ** 2).sum(axis=1)
    found = initial_token_moments(kind, dim=d, scale=scale)
    samples = (x[:, 0] ** 2, x[:, 0] ** 4, x[:, 0] ** 6, mixed)
    for value, sample in zip((found.kappa0, found.kappa1, found.kappa2, found.kappa3), samples, strict=True):
        assert abs(sample.mean() - value) <= 6 * sample.std() / np.sqrt(size) + 1e-12


@given(kinds, horizons, st.floats(0.3, 2.0))
def test_the_product_minimises_the_loss(kind, horizon, scale):
    moments = initial_token_moments(kind, dim=2, scale=scale)
    c = mesa_product(moments, horizon=horizon)
    losses = mesa_loss(c * np.array([0.9, 1.0, 1.1]), moments, dim=2, horizon=horizon)
    assert losses.argmin() == 1
    positions = np.arange(2, horizon)
    total = mesa_risk(c, moments, dim=2, position=positions).sum() / 2
    assert losses[1] == pytest.approx(total, abs=1e-10 * (1 + losses[0]))


def test_the_product_tends_to_its_limit_like_a_logarithm_over_the_length():
    moments = initial_token_moments("uniform", dim=3)
    limit = mesa_product(moments, horizon=np.inf)
    assert limit == pytest.approx(moments.kappa1 / moments.kappa2)
    gaps = [(limit - mesa_product(moments, horizon=t)) * t / np.log(t) for t in (10**4, 10**8, 10**12)]
    slope = moments.kappa1 * moments.kappa3 / moments.kappa2**2
    assert abs(gaps[2] / slope - 1) < abs(gaps[1] / slope - 1) < abs(gaps[0] / slope - 1) < 0.1


def test_harmonic_numbers_are_exact_to_rounding():
    with mpmath.workdps(40):
        for horizon in (3, 4, 10, 1000, 10**6):
            n = horizon - 2
            exact = 1 / (1 + mpmath.harmonic(n) / n)
            assert mesa_product((1.0, 1.0, 1.0, 1.0), horizon=horizon) == pytest.approx(float(exact), rel=1e-14)


@given(kinds, st.integers(3, 30), starts, starts)
def test_the_flow_solves_its_equation(kind, horizon, a0, b0):
    moments = initial_token_moments(kind, dim=2)
    k, n = moments.kappa1 / mesa_product(moments, horizon=horizon), horizon - 2
    times = np.linspace(0, 2.0, 5) / (n * (moments.kappa1 + k * a0 * b0))

    def rate(_, y):
        push = n * (moments.kappa1 - y[0] * y[1] * k)
        return [y[1] * push, y[0] * push]

    path = solve_ivp(rate, (0, times[-1]), [a0, b0], t_eval=times, method="DOP853", rtol=1e-11, atol=1e-13).y
    found = mesa_flow(times, moments, horizon=horizon, a0=a0, b0=b0)
    np.testing.assert_allclose(found, path[0] * path[1], rtol=1e-8)


@given(starts, starts)
def test_the_flow_is_symmetric_in_the_blocks_monotone_and_ends_at_the_product(a0, b0):
    moments = initial_token_moments("rademacher", dim=2)
    times = np.linspace(0, 3, 20)
    found = mesa_flow(times, moments, horizon=6, a0=a0, b0=b0)
    np.testing.assert_allclose(found, mesa_flow(times, moments, horizon=6, a0=b0, b0=a0), rtol=1e-12)
    end = mesa_product(moments, horizon=6)
    assert np.all(np.diff(found) * np.sign(end - a0 * b0) >= -1e-12)
    assert mesa_flow(1e4, moments, horizon=6, a0=a0, b0=b0) == pytest.approx(end, rel=1e-10)


def test_a_tiny_product_keeps_its_digits():
    moments = initial_token_moments("rademacher", dim=2)
    found = mesa_flow(1e-3, moments, horizon=3, a0=1.0, b0=1e-13)
    with mpmath.workdps(40):
        # far below the fixed point the equations are linear: ab = a0 b0 cosh(2t) + (a0^2 + b0^2)/2 sinh(2t)
        t, b0 = mpmath.mpf("1e-3"), mpmath.mpf("1e-13")
        linear = b0 * mpmath.cosh(2 * t) + (1 + b0**2) / 2 * mpmath.sinh(2 * t)
    assert found == pytest.approx(float(linear), rel=5e-3)
    assert mesa_flow(0.0, moments, horizon=3, a0=1.0, b0=1e-13) == 1e-13


def test_equal_blocks_follow_a_logistic_curve():
    moments, t = initial_token_moments("gaussian", dim=2), np.linspace(0, 0.5, 7)
    c = mesa_product(moments, horizon=5)
    exact = c / (1 + (c / 0.09 - 1) * np.exp(-2 * 3 * moments.kappa1 * t))
    np.testing.assert_allclose(mesa_flow(t, moments, horizon=5, a0=0.3, b0=0.3), exact, rtol=1e-12)


def test_relative_errors_at_infinity():
    def relative(kind):
        m = initial_token_moments(kind, dim=2)
        return mesa_risk(mesa_product(m, horizon=np.inf), m, dim=2, position=np.inf) / (2 * m.kappa0)

    assert relative("rademacher") == pytest.approx(0.0, abs=1e-15)
    assert relative("one_hot") == pytest.approx(0.0, abs=1e-15)
    assert relative("gaussian") == pytest.approx(0.4)
    assert relative("uniform") == pytest.approx(0.16)


def test_covariance_moments_by_quadrature_over_one_relative_phase():
    x, t = np.array([0.8, -1.3]), 4

    def second(phase):
        z = np.exp(1j * phase * np.arange(t))
        tokens = np.stack([x[0] * np.ones(t), x[1] * z], axis=1)
        s = tokens[: t - 1].T @ tokens[: t - 1].conj() / (t - 1)
        return np.linalg.norm(s @ tokens[t - 1]) ** 2

    exact = quad(second, 0, 2 * np.pi, epsabs=1e-12)[0] / (2 * np.pi)
    mixed = x[0] ** 4 * x[1] ** 2 + x[1] ** 4 * x[0] ** 2
    found = covariance_moments((1.0, (x**4).mean(), (x**6).mean(), mixed / 2), dim=2, position=t)
    assert found.second == pytest.approx(exact)


def test_the_gradient_vanishes_at_the_product_where_signs_are_symmetric():
    patterns = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    c = mesa_product(initial_token_moments("rademacher", dim=2), horizon=6)
    for block in block_gradient(patterns, horizon=6, a=2.0, b=c / 2):
        np.testing.assert_allclose(block, 0, atol=1e-14)
    assert np.abs(block_gradient(patterns[:1], horizon=6, a=2.0, b=c / 2).key_query).max() > 0.1


def test_the_prediction_is_exact_on_geometric_sequences_of_one_coordinate():
    x = 0.5 * np.exp(1j * np.arange(6))[:, None]
    found = mesa_prediction(x, product=1 / 0.25)
    np.testing.assert_allclose(found[:-1], x[2:], atol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: initial_token_moments("cauchy", dim=2), "kind must be one of 'gaussian'.*got 'cauchy'"),
        (lambda: initial_token_moments("uniform", dim=0), "dim must be at least 1"),
        (lambda: mesa_product((1.0, 1.0, 1.0), horizon=5), "moments must hold kappa_0.*got 3 numbers"),
        (lambda: mesa_product(TokenMoments(1.0, 0.0, 1.0, 1.0), horizon=5), "kappa1 must be positive"),
        (lambda: mesa_product((1.0, 1.0, 1.0, -1.0), horizon=5), "kappa3 must be nonnegative"),
        (lambda: mesa_product((1.0, 1.0, 1.0, 1.0), horizon=2), "horizon must be at least 3; got 2"),
        (lambda: mesa_flow(-1.0, (1.0, 1.0, 1.0, 1.0), horizon=5, a0=1.0, b0=1.0), "times must be nonnegative"),
        (lambda: mesa_flow(1.0, (1.0, 1.0, 1.0, 1.0), horizon=5, a0=-1.0, b0=1.0), "a0 must be positive"),
        (lambda: mesa_risk(1.0, (1.0, 1.0, 1.0, 1.0), dim=2, position=1), "position must hold integers of at least 2"),
        (lambda: mesa_risk(1.0, (1.0, 1.0, 1.0, 1.0), dim=2, position=2.5), "got 2.5"),
        (lambda: mesa_prediction([[1.0]], product=1.0), "sequence must be a matrix of two or more tokens"),
        (lambda: mesa_prediction([[1.0], [np.nan]], product=1.0), "sequence must be finite"),
        (lambda: block_gradient([1.0], horizon=5, a=1.0, b=1.0), "first_tokens must have 2 dimension"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
