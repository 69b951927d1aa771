"""Matrices of non-contrastive learning: alignment, missing ingredients, and predictors that are set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import brentq

from theory import deep_linear as dl

rates = st.floats(0.0, 0.4)
seeds = st.integers(0, 2**32 - 1)


def symmetric(rng, n, least, most):
    u = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return (u * rng.uniform(least, most, n)) @ u.T


@settings(max_examples=15, deadline=None)
@given(seed=seeds, n=st.integers(1, 4), eta=rates, aug_var=st.floats(0.0, 1.0), tau=st.floats(0.3, 1.2))
def test_commutator_obeys_its_bound_and_is_exact_for_two_outputs(seed, n, eta, aug_var, tau):
    rng = np.random.default_rng(seed)
    w_p, f = symmetric(rng, n, -0.5, 1.0), symmetric(rng, n, 0.0, 1.2)
    flow = dl.predictor_flow([0.0, 0.7, 2.0], w_p0=w_p, f0=f, weight_decay=eta, aug_var=aug_var, tau=tau)
    moved = np.linalg.norm(flow.f @ flow.w_p - flow.w_p @ flow.f, axis=(1, 2))
    assert (moved <= moved[0] * np.exp(-2 * flow.least_rate) * (1 + 1e-9) + 1e-13).all()
    if n == 2:
        np.testing.assert_allclose(moved, moved[0] * np.exp(-flow.total_rate), rtol=1e-8, atol=1e-13)
    assert (np.linalg.eigvalsh(flow.f) > -1e-12).all()


def test_aligned_matrices_follow_the_equations_for_modes():
    rng, rule = np.random.default_rng(2), {"alpha_p": 1.3, "weight_decay": 0.1, "aug_var": 0.4, "tau": 0.9}
    u = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    p0, s0, t = np.array([0.2, -0.3, 0.8]), np.array([0.5, 0.1, 0.9]), [3.0, 0.5]
    flow = dl.predictor_flow(t, w_p0=(u * p0) @ u.T, f0=(u * s0) @ u.T, **rule)
    p, s, _ = dl.mode_flow(
        t, p0=p0, s0=s0, tau0=rule["tau"], **{name: rule[name] for name in ("alpha_p", "weight_decay", "aug_var")}
    )
    np.testing.assert_allclose(u.T @ flow.w_p @ u, p[:, None] * np.eye(3), atol=1e-11)
    np.testing.assert_allclose(u.T @ flow.f @ u, s[:, None] * np.eye(3), atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, eta=rates, alpha_p=st.floats(0.2, 4.0))
def test_velocities_keep_the_balance(seed, eta, alpha_p):
    rng = np.random.default_rng(seed)
    w, w_a, root, noise = (rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), *rng.standard_normal((2, 4, 4)))
    w_p = rng.standard_normal((3, 3))
    v = dl.network_velocity(
        w, w_a, w_p, x_cov=root @ root.T, aug_cov=noise @ noise.T, alpha_p=alpha_p, weight_decay=eta
    )
    balance = w @ w.T - w_p.T @ w_p / alpha_p
    moved = v.online @ w.T + w @ v.online.T - (v.predictor.T @ w_p + w_p.T @ v.predictor) / alpha_p
    np.testing.assert_allclose(moved, -2 * eta * balance, atol=1e-11 * (1 + np.abs(v.online).max() * 10))
    assert (v.target == 0).all()


@settings(max_examples=50)
@given(seed=seeds, aug_var=st.floats(1e-6, 3.0), eta=rates, share=st.floats(-2.0, 2.0))
def test_no_predictor_makes_collapse_slower_than_its_rate(seed, aug_var, eta, share):
    rng = np.random.default_rng(seed)
    rate = float(dl.no_stop_gradient_rate(aug_var=aug_var, weight_decay=eta))
    for w_p in (rng.standard_normal((3, 3)), share * np.eye(3) / (1 + aug_var)):
        h = dl.no_stop_gradient_hessian(w_p, np.eye(2), aug_var * np.eye(2), weight_decay=eta)
        assert np.linalg.eigvalsh(h)[0] >= rate - 1e-12
    h = dl.no_stop_gradient_hessian(np.eye(3) / (1 + aug_var), np.eye(2), aug_var * np.eye(2), weight_decay=eta)
    assert np.linalg.eigvalsh(h)[0] == pytest.approx(rate, abs=1e-13)


def test_rate_keeps_its_digits_for_weak_augmentation():
    assert float(dl.no_stop_gradient_rate(aug_var=1e-12)) == pytest.approx(2e-12 - 1e-24, rel=1e-15)


def test_weights_without_predictor_are_a_matrix_exponential():
    rng = np.random.default_rng(1)
    w, noise = rng.standard_normal((2, 3)), rng.standard_normal((3, 3))
    scatter = noise @ noise.T
    found = dl.weights_without_predictor([0.0, 0.4, 2.0], w0=w, aug_cov=scatter, weight_decay=0.3)
    for t, weights in zip((0.0, 0.4, 2.0), found, strict=True):
        np.testing.assert_allclose(weights, w @ expm(-(scatter + 0.3 * np.eye(3)) * t), atol=1e-13)


def test_direct_predictor_without_lift_is_a_trained_one():
    s0, t = np.array([0.6, 0.2, 1e-3]), [0.5, 3.0, 12.0]
    direct = dl.direct_pred_flow(t, s0=s0, eps=0.0, weight_decay=0.07, aug_var=0.3, tau=0.9)
    trained = dl.mode_flow(t, p0=np.sqrt(s0), s0=s0, tau0=0.9, weight_decay=0.07, aug_var=0.3)
    np.testing.assert_allclose(direct, trained.s, rtol=1e-9)


def test_direct_predictor_follows_its_matrices():
    rng, lift, eta = np.random.default_rng(4), 0.2, 0.05
    u, v = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (2, 3))
    s0 = np.array([0.7, 0.02])

    def velocity(_, state):
        w = state.reshape(2, 3)
        w_p = dl.direct_pred(w @ w.T, eps=lift)
        return (w_p @ (w - 1.25 * w_p @ w) - eta * w).ravel()

    start = (u * np.sqrt(s0)) @ v[:, :2].T
    end = solve_ivp(velocity, (0, 4), start.ravel(), "DOP853", rtol=1e-10, atol=1e-12).y[:, -1].reshape(2, 3)
    found = dl.direct_pred_flow(4.0, s0=s0, eps=lift, weight_decay=eta, aug_var=0.25)[0]
    np.testing.assert_allclose(np.diag(u.T @ end @ end.T @ u), found, rtol=1e-7)


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.05, 0.95), aug_var=st.floats(0.0, 2.0), tau=st.floats(0.5, 1.5))
def test_critical_lift_is_where_small_modes_stand_still(share, aug_var, tau):
    eta = share * float(dl.critical_weight_decay(aug_var=aug_var, tau=tau))
    eps = float(dl.critical_direct_pred_eps(weight_decay=eta, aug_var=aug_var, tau=tau))
    upper = float(dl.fixed_points(weight_decay=eta, aug_var=aug_var, tau=tau).p_plus)
    root = brentq(lambda x: x + eps * x**2 - upper, 0.0, upper, xtol=1e-15)
    q = eps * root**2
    assert q * (tau - (1 + aug_var) * q) == pytest.approx(eta, rel=1e-8)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: dl.predictor_flow([-1.0], w_p0=np.eye(2), f0=np.eye(2)), "t must"),
        (lambda: dl.predictor_flow([1.0], w_p0=[[0.0, 1.0], [0.0, 0.0]], f0=np.eye(2)), "w_p must be symmetric"),
        (lambda: dl.predictor_flow([1.0], w_p0=np.eye(2), f0=np.eye(2), tau=0.0), "tau must"),
        (
            lambda: dl.network_velocity([[1.0]], [[1.0]], np.eye(3), x_cov=np.eye(3), aug_cov=np.eye(3)),
            "w and w_a must",
        ),
        (lambda: dl.no_stop_gradient_rate(aug_var=-0.1), "aug_var must"),
        (lambda: dl.weights_without_predictor([1.0], w0=np.ones((2, 3)), aug_cov=np.eye(2)), "w0 must have 2 columns"),
        (lambda: dl.direct_pred_flow([1.0], s0=[0.0]), "s0 must be positive"),
        (lambda: dl.direct_pred_flow([1.0], s0=[]), "at least one eigenvalue"),
        (lambda: dl.critical_direct_pred_eps(weight_decay=0.3), "weight_decay must be at most critical"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
