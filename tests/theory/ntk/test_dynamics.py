import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from theory.ntk import ConditioningWarning, kernel_pca_rates, nngp_ntk, ntk_gp

N, M = 5, 3


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(3)
    kernels = nngp_ntk(rng.standard_normal((N + M, 4)), n_hidden=2, activation="erf", bias_std=0.3)
    return kernels.ntk, kernels.nngp, rng.standard_normal(N)


@pytest.mark.parametrize("mean_loss", [True, False])
def test_flow_matches_the_matrix_exponential(problem, mean_loss):
    ntk, nngp, y = problem
    t, rate = 1.7, 1 / N if mean_loss else 1.0
    train, cross = ntk[:N, :N], ntk[N:, :N]
    b = cross @ np.linalg.solve(train, np.eye(N) - expm(-rate * t * train))
    a = np.hstack([-b, np.eye(M)])
    found = ntk_gp(ntk, nngp, y, t=t, mean_loss=mean_loss)
    np.testing.assert_allclose(found.mean, b @ y, rtol=1e-11)
    np.testing.assert_allclose(found.cov, a @ nngp @ a.T, rtol=1e-10, atol=1e-13)


def test_descent_matches_steps_taken_one_by_one(problem):
    ntk, nngp, y = problem
    eta, f, spread = 0.4, np.zeros(N + M), np.eye(N + M)
    for _ in range(7):
        f = f - eta / N * ntk[:, :N] @ (f[:N] - y)
        spread = spread - eta / N * ntk[:, :N] @ spread[:N]
    found = ntk_gp(ntk, nngp, y, t=7, learning_rate=eta)
    np.testing.assert_allclose(found.mean, f[N:], rtol=1e-11)
    np.testing.assert_allclose(found.cov, (spread @ nngp @ spread.T)[N:, N:], rtol=1e-10, atol=1e-13)


def test_descent_tends_to_flow(problem):
    ntk, nngp, y = problem
    flow = ntk_gp(ntk, nngp, y, t=2.0).mean
    errors = [
        np.max(np.abs(ntk_gp(ntk, nngp, y, t=round(2 / eta), learning_rate=eta).mean - flow)) for eta in (0.02, 0.01)
    ]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.02)


def test_last_layer_only_is_the_posterior(problem):
    _, nngp, y = problem
    gain = np.linalg.solve(nngp[:N, :N], nngp[:N, N:]).T
    found = ntk_gp(nngp, nngp, y, t=np.inf)
    np.testing.assert_allclose(found.mean, gain @ y, rtol=1e-8)
    np.testing.assert_allclose(found.cov, nngp[N:, N:] - gain @ nngp[:N, N:], atol=1e-9)


def test_times_broadcast_and_start_at_the_prior(problem):
    ntk, nngp, y = problem
    found = ntk_gp(ntk, nngp, y, t=[[0.0, 1.0, np.inf]])
    assert found.mean.shape == (1, 3, M)
    assert found.cov.shape == (1, 3, M, M)
    np.testing.assert_array_equal(found.cov[0, 0], nngp[N:, N:])
    np.testing.assert_array_equal(found.mean[0, 0], 0)


def test_repeated_inputs_are_no_problem_but_reported(problem):
    ntk, nngp, y = problem
    twice = np.r_[0, 0 : N + M]
    kernels = [k[np.ix_(twice, twice)] for k in (ntk, nngp)]
    with pytest.warns(ConditioningWarning, match="condition number"):
        found = ntk_gp(*kernels, np.r_[y[0], y], t=np.inf)
    np.testing.assert_allclose(found.mean, ntk_gp(ntk, nngp, y, t=np.inf).mean, rtol=1e-8)


@settings(max_examples=20)
@given(t=st.floats(0.01, 50.0), seed=st.integers(0, 100))
def test_covariance_is_positive_semidefinite(t, seed):
    rng = np.random.default_rng(seed)
    kernels = nngp_ntk(rng.standard_normal((N + M, 4)), n_hidden=1, activation="relu", bias_std=0.3)
    cov = ntk_gp(kernels.ntk, kernels.nngp, rng.standard_normal(N), t=t).cov
    assert np.linalg.eigvalsh(cov)[0] > -1e-12


def test_rates_and_modes(problem):
    ntk = problem[0][:N, :N]
    rates, modes = kernel_pca_rates(ntk)
    assert np.all(np.diff(rates) <= 0)
    np.testing.assert_allclose(ntk @ modes, N * rates * modes, atol=1e-12)
    np.testing.assert_allclose(kernel_pca_rates(ntk, mean_loss=False).rates, N * rates)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t": -1.0}, "t must be nonnegative"),
        ({"t": 1.5, "learning_rate": 0.1}, "whole number of steps"),
        ({"t": 1, "learning_rate": 1e3}, "learning_rate must be below"),
        ({"ntk": np.ones((2, 3))}, "ntk must be square"),
        ({"ntk": np.arange(64.0).reshape(8, 8)}, "ntk must be symmetric"),
        ({"y": np.ones(9)}, "ntk and nngp must have one shape"),
        ({"nngp": np.eye(7)}, "ntk and nngp must have one shape"),
    ],
)
def test_bad_input(problem, change, message):
    arguments = {"ntk": problem[0], "nngp": problem[1], "y": problem[2], "t": 1.0} | change
    with pytest.raises(ValueError, match=message):
        ntk_gp(**arguments)


def test_no_rates_of_nothing():
    with pytest.raises(ValueError, match="at least one row"):
        kernel_pca_rates(np.empty((0, 0)))
