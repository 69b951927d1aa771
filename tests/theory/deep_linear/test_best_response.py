import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from theory.deep_linear import (
    best_response_curvature,
    best_response_derivative,
    best_response_gates,
    best_response_objective,
    jacobian_best_response,
    local_best_response,
)

penalties = st.floats(-8, 8)
seeds = st.integers(0, 2**32 - 1)


def data(seed, n=9, dim=3):
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.standard_normal((n, dim)))[0]
    v = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return (u * np.exp(rng.uniform(-1.5, 1.5, dim))) @ v.T, rng.standard_normal(n)


def ridge(x, targets, log_penalty):
    return np.linalg.solve(x.T @ x + np.exp(log_penalty) * np.eye(x.shape[1]), x.T @ targets)


def objective(flat, x, targets, log_penalty):
    dim = x.shape[1]
    weights = flat[: dim * dim].reshape(dim, dim).T @ flat[dim * dim :]
    return np.sum((x @ weights - targets) ** 2) + np.exp(log_penalty) * np.sum(weights**2)


@pytest.mark.parametrize("d", [1e-150, 1e-8, 0.3, 1.0, 7.0, 1e150])
@pytest.mark.parametrize("log_penalty", [-300.0, -20.0, 0.0, 0.7, 40.0, 300.0])
def test_gates_against_high_precision(d, log_penalty):
    with mpmath.workdps(50):
        square = mpmath.mpf(d) ** 2
        exact = float(square / (square + mpmath.exp(mpmath.mpf(log_penalty))))
    # the exponent 2 ln d - lambda is rounded, and up to a thousand
    assert float(best_response_gates(d, log_penalty)) == pytest.approx(exact, rel=1e-12)


def test_gates_broadcast_and_shut_on_a_mode_without_inputs():
    found = best_response_gates([[0.0], [1.0], [2.0]], [-1.0, 0.0])
    assert found.shape == (3, 2)
    assert np.all(found[0] == 0)
    assert found[1, 1] == 0.5


@given(seed=seeds, log_penalty=penalties)
def test_the_function_is_ridge_regression(seed, log_penalty):
    x, targets = data(seed)
    q, s = jacobian_best_response(x, targets, log_penalty)
    np.testing.assert_allclose(q.T @ s, ridge(x, targets, log_penalty), rtol=1e-9, atol=1e-12)


@given(seed=seeds, log_penalty=penalties)
def test_no_other_weights_do_better(seed, log_penalty):
    x, targets = data(seed)
    q, s = jacobian_best_response(x, targets, log_penalty)
    best = best_response_objective(x, targets, log_penalty)
    at = np.concatenate([q.ravel(), s])
    assert objective(at, x, targets, log_penalty) == pytest.approx(float(best), rel=1e-11)
    rng = np.random.default_rng(seed)
    for size in (1e-3, 0.1, 1.0):
        moved = at + size * rng.standard_normal(at.size)
        assert objective(moved, x, targets, log_penalty) >= best * (1 - 1e-12)


@pytest.mark.parametrize("log_penalty", [-2.0, 0.5, 3.0])
def test_a_quasi_newton_method_finds_the_same_minimum(log_penalty):
    x, targets = data(5)
    start = np.random.default_rng(1).standard_normal(12)
    found = minimize(objective, start, (x, targets, log_penalty), options={"gtol": 1e-9})
    assert found.fun == pytest.approx(float(best_response_objective(x, targets, log_penalty)), rel=1e-9)
    q, s = jacobian_best_response(x, targets, log_penalty)
    np.testing.assert_allclose(found.x[:9].reshape(3, 3).T @ found.x[9:], q.T @ s, atol=1e-5)


@given(seed=seeds, log_penalty=penalties)
def test_only_the_rows_of_the_first_layer_follow_the_penalty(seed, log_penalty):
    x, targets = data(seed)
    (q0, s0), (q1, s1) = (jacobian_best_response(x, targets, at) for at in (0.0, log_penalty))
    np.testing.assert_array_equal(s0, s1)
    d = np.linalg.svd(x, compute_uv=False)
    ratio = best_response_gates(d, log_penalty) / best_response_gates(d, 0.0)
    np.testing.assert_allclose(q1, ratio[:, None] * q0, rtol=1e-11, atol=1e-14)


@given(seed=seeds, log_penalty=penalties)
def test_derivatives_are_those_of_ridge_regression(seed, log_penalty):
    x, targets = data(seed)
    w, penalty = ridge(x, targets, log_penalty), np.exp(log_penalty)
    inverse = penalty * np.linalg.inv(x.T @ x + penalty * np.eye(3))
    first = -inverse @ w
    np.testing.assert_allclose(best_response_derivative(x, targets, log_penalty), first, rtol=1e-8, atol=1e-11)
    second = first - 2 * inverse @ first
    np.testing.assert_allclose(best_response_curvature(x, targets, log_penalty), second, rtol=1e-8, atol=1e-11)


def test_the_objective_grows_with_the_penalty_by_the_squared_weights():
    x, targets = data(3)
    h, at = 1e-4, np.linspace(-3, 3, 7)
    slope = (best_response_objective(x, targets, at + h) - best_response_objective(x, targets, at - h)) / (2 * h)
    weights = np.array([ridge(x, targets, one) for one in at])
    np.testing.assert_allclose(slope, np.exp(at) * np.sum(weights**2, axis=1), rtol=1e-6)


def test_the_objective_of_a_perfect_fit_keeps_its_digits():
    x, _ = data(8)
    truth = np.array([1.0, -2.0, 0.5])
    penalty = np.exp(-30.0)
    found = float(best_response_objective(x, x @ truth, -30.0))
    assert found == pytest.approx(penalty * truth @ truth, rel=1e-9)


@given(seed=seeds, contact=penalties, step=st.floats(-1, 1))
def test_the_tangent_touches_and_errs_by_less_than_its_curvature_allows(seed, contact, step):
    x, targets = data(seed)
    v, d, s = (np.linalg.svd(x, full_matrices=False)[k] for k in (2, 1, 0))
    q, outputs = jacobian_best_response(x, targets, contact + step)
    local = local_best_response(x, targets, contact + step, around=contact)
    # |g''| <= 1 / (6 sqrt(3)) for a sigmoid
    off = np.abs(v @ (local - q.T @ outputs))
    assert np.all(off <= step**2 / (12 * np.sqrt(3)) * np.abs(s.T @ targets / d) * (1 + 1e-9) + 1e-12)
    np.testing.assert_allclose(
        local_best_response(x, targets, contact, around=contact),
        np.einsum("ki,k->i", *jacobian_best_response(x, targets, contact)),
        rtol=1e-10,
        atol=1e-12,
    )


def test_many_penalties_at_once():
    x, targets = data(2)
    at = np.linspace(-2, 2, 6).reshape(2, 3)
    q, s = jacobian_best_response(x.tolist(), targets.tolist(), at.tolist())
    assert q.shape == (2, 3, 3, 3)
    assert s.shape == (3,)
    for solve in (best_response_derivative, best_response_curvature):
        assert solve(x, targets, at).shape == (2, 3, 3)
        np.testing.assert_allclose(solve(x, targets, at)[1, 2], solve(x, targets, at[1, 2]), rtol=1e-13)
    assert best_response_objective(x, targets, at).shape == (2, 3)
    assert local_best_response(x, targets, at, around=0.0).shape == (2, 3, 3)


@given(seed=seeds, log_penalty=penalties, scale=st.floats(0.1, 10))
def test_units_of_inputs_and_targets(seed, log_penalty, scale):
    x, targets = data(seed)
    plain = best_response_objective(x, targets, log_penalty)
    shifted = log_penalty + 2 * np.log(scale)
    np.testing.assert_allclose(best_response_objective(scale * x, targets, shifted), plain, rtol=1e-10)
    np.testing.assert_allclose(best_response_objective(x, scale * targets, log_penalty), scale**2 * plain, rtol=1e-10)


SOLVERS = (jacobian_best_response, best_response_derivative, best_response_curvature, best_response_objective)


@pytest.mark.parametrize("solve", SOLVERS)
@pytest.mark.parametrize(
    ("x", "targets", "log_penalty", "match"),
    [
        (np.ones((4, 2)), np.ones(4), 0.0, "x must have full column rank, 2; got rank 1"),
        (np.ones((1, 2)), np.ones(1), 0.0, "x must have at least as many rows as columns"),
        (np.ones((4, 0)), np.ones(4), 0.0, "at least one"),
        (np.eye(3), np.ones(2), 0.0, "targets must hold one number for each row of x, 3; got 2"),
        (np.eye(3), np.ones((3, 1)), 0.0, "targets must have 1 dimension"),
        (np.ones(3), np.ones(3), 0.0, "x must have 2 dimension"),
        (np.eye(3), np.ones(3), np.inf, "log_penalty must be finite"),
        (np.eye(3), [1.0, np.nan, 0.0], 0.0, "targets must be finite"),
    ],
)
def test_bad_input_is_named(solve, x, targets, log_penalty, match):
    with pytest.raises(ValueError, match=match):
        solve(x, targets, log_penalty)


def test_bad_gates_and_contacts_are_named():
    with pytest.raises(ValueError, match="singular_values must be nonnegative; got -1 at index"):
        best_response_gates([1.0, -1.0], 0.0)
    with pytest.raises(ValueError, match="broadcast"):
        best_response_gates([1.0, 2.0], [0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="around must be finite"):
        local_best_response(np.eye(2), [1.0, 1.0], 0.0, around=np.nan)
