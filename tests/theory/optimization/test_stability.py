import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.optimization import (
    critical_learning_rate,
    gaussian_critical_learning_rate,
    gaussian_second_moment_operator,
    gradient_descent_threshold,
    second_moment_operator,
    trace_bound,
)

seeds = st.integers(0, 10**6)


def spectral_radius(matrix):
    return np.abs(np.linalg.eigvals(matrix)).max()


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_operator_is_the_mean_over_all_batches(batch_size):
    x = np.random.default_rng(0).normal(size=(3, 2))
    eta = 0.3
    mean = np.zeros((4, 4))
    for batch in itertools.product(range(3), repeat=batch_size):
        step = np.eye(2) - eta * x[list(batch)].T @ x[list(batch)] / batch_size
        mean += np.kron(step, step) / 3**batch_size
    np.testing.assert_allclose(second_moment_operator(x, learning_rate=eta, batch_size=batch_size), mean, atol=1e-14)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, n=st.integers(1, 6), d=st.integers(1, 4), batch_size=st.integers(1, 5))
def test_spectral_radius_passes_one_at_the_critical_rate(seed, n, d, batch_size):
    x = np.random.default_rng(seed).normal(size=(n, d))
    critical = critical_learning_rate(x, batch_size=batch_size)

    def top(eta):
        values = np.linalg.eigvalsh(second_moment_operator(x, learning_rate=eta, batch_size=batch_size))
        # a direction without curvature has the eigenvalue 1 at every rate
        return np.sort(values)[: d * d - max(d - n, 0) ** 2][-1], np.abs(values).max()

    assert top(critical)[0] == pytest.approx(1, abs=1e-9)
    assert top(critical * (1 + 1e-4))[1] > 1 + 1e-6
    assert top(critical * (1 - 1e-4))[1] <= 1 + 1e-12


@settings(max_examples=40, deadline=None)
@given(seed=seeds, n=st.integers(1, 10), d=st.integers(1, 6), batch_size=st.integers(1, 20))
def test_trace_bounds_are_never_violated(seed, n, d, batch_size):
    x = np.random.default_rng(seed).normal(size=(n, d))
    critical, bound = critical_learning_rate(x, batch_size=batch_size), trace_bound(x, batch_size=batch_size)
    trace, sharpness = np.sum(x**2) / n, np.linalg.norm(x, 2) ** 2 / n
    assert critical <= bound * (1 + 1e-10)
    assert bound <= 2 * batch_size / trace * (1 + 1e-10)
    assert critical <= 2 / sharpness * (1 + 1e-10)


def test_orthogonal_features_attain_the_trace_bound():
    x = 1.7 * np.eye(5)
    assert critical_learning_rate(x) == pytest.approx(2 / 1.7**2, rel=1e-13)
    assert trace_bound(x) == pytest.approx(2 / 1.7**2, rel=1e-13)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, scale=st.floats(1e-4, 1e4), batch_size=st.integers(1, 4))
def test_critical_rate_scales_inversely_and_does_not_turn(seed, scale, batch_size):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(5, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    critical = critical_learning_rate(x, batch_size=batch_size)
    assert critical_learning_rate(scale * x @ turn, batch_size=batch_size) == pytest.approx(
        critical / scale**2, rel=1e-9
    )
    padded = np.hstack([x, np.zeros((5, 4))])
    assert critical_learning_rate(padded, batch_size=batch_size) == pytest.approx(critical, rel=1e-10)
    assert critical_learning_rate(np.repeat(x, 2, axis=0), batch_size=batch_size) == pytest.approx(critical, rel=1e-9)


def test_large_batches_approach_gradient_descent():
    x = np.random.default_rng(4).normal(size=(6, 3))
    sharpness = np.linalg.norm(x, 2) ** 2 / 6
    assert critical_learning_rate(x, batch_size=10**8) == pytest.approx(gradient_descent_threshold(sharpness), rel=1e-6)


def gaussian_operator(lam, eta, batch_size):
    """Second-moment operator on diagonal matrices, by the fourth moments of a Gaussian."""
    L = np.diag(lam)
    noise = (L**2 + np.outer(lam, lam)) / batch_size
    return np.diag((1 - eta * lam) ** 2) + eta**2 * noise


@settings(max_examples=40, deadline=None)
@given(
    lam=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6),
    batch_size=st.sampled_from([1, 2, 7, 1000]),
)
def test_gaussian_rate_has_spectral_radius_one(lam, batch_size):
    lam = np.array(lam)
    eta = gaussian_critical_learning_rate(lam, batch_size=batch_size)
    assert spectral_radius(gaussian_operator(lam, eta, batch_size)) == pytest.approx(1, abs=1e-9)
    assert spectral_radius(gaussian_operator(lam, 1.001 * eta, batch_size)) > 1


@pytest.mark.parametrize("batch_size", [1, 3])
def test_gaussian_operator_is_the_limit_of_many_gaussian_features(batch_size):
    lam, eta = np.array([1.0, 0.5]), 0.4
    x = np.random.default_rng(0).normal(size=(10**6, 2)) * np.sqrt(lam)
    # squares of the coordinates, by row and column of vec(A)
    found = second_moment_operator(x, learning_rate=eta, batch_size=batch_size)[np.ix_([0, 3], [0, 3])]
    operator = gaussian_second_moment_operator(lam, learning_rate=eta, batch_size=batch_size)
    np.testing.assert_allclose(operator, found, atol=5e-3)
    np.testing.assert_allclose(operator, gaussian_operator(lam, eta, batch_size), rtol=1e-14)


def test_gaussian_rate_of_one_eigenvalue_and_of_many():
    assert gaussian_critical_learning_rate([4.0]) == pytest.approx(1 / 6, rel=1e-14)
    # many small eigenvalues: sum of eta lambda / 2 tends to 1
    assert gaussian_critical_learning_rate(np.full(10**5, 1e-5)) == pytest.approx(2, rel=1e-4)
    with_zeros = gaussian_critical_learning_rate([1.0, 0.5, 0.0])
    assert with_zeros == pytest.approx(gaussian_critical_learning_rate([1.0, 0.5]), rel=1e-14)


def test_many_gaussian_features_have_the_gaussian_rate():
    lam = np.array([1.0, 0.5, 0.2])
    x = np.random.default_rng(0).normal(size=(10**6, 3)) * np.sqrt(lam)
    assert critical_learning_rate(x) == pytest.approx(gaussian_critical_learning_rate(lam), rel=1e-2)


@settings(max_examples=40, deadline=None)
@given(sharpness=st.floats(1e-3, 1e3), momentum=st.floats(0, 0.99), norm=st.floats(1e-2, 1e2))
def test_heavy_ball_roots_reach_the_circle_at_the_threshold(sharpness, momentum, norm):
    eta = gradient_descent_threshold(sharpness, momentum=momentum, weight_norm=norm)

    def radius(rate):
        h = sharpness / norm**2
        return spectral_radius(np.array([[1 + momentum - rate * h, -momentum], [1.0, 0.0]]))

    assert radius(0.999 * eta) < 1
    assert radius(1.001 * eta) > 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: second_moment_operator([[1.0]], learning_rate=0.0), "learning_rate must be positive"),
        (lambda: second_moment_operator([1.0], learning_rate=1.0), r"features must have 2 dimension\(s\)"),
        (lambda: critical_learning_rate([[0.0, 0.0]]), "features must not all be zero"),
        (lambda: critical_learning_rate([[1.0]], batch_size=0), "batch_size must be at least 1"),
        (lambda: trace_bound(np.zeros((0, 3))), r"features must have shape \(n, d\)"),
        (lambda: gaussian_critical_learning_rate([0.0]), "eigenvalues must not all be zero"),
        (lambda: gaussian_critical_learning_rate([-1.0, 1.0]), "eigenvalues must be nonnegative"),
        (lambda: gaussian_second_moment_operator([-1.0], learning_rate=1.0), "eigenvalues must be nonnegative"),
        (lambda: gaussian_second_moment_operator([1.0], learning_rate=0.0), "learning_rate must be positive"),
        (lambda: gradient_descent_threshold(0.0), "sharpness must be positive"),
        (lambda: gradient_descent_threshold(1.0, momentum=1.0), r"momentum must be in \[0, 1\)"),
        (lambda: gradient_descent_threshold(1.0, weight_norm=0.0), "weight_norm must be positive"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
