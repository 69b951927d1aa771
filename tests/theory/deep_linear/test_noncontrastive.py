"""Modes of non-contrastive learning against quadrature, full matrices, and what they conserve."""

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from theory.deep_linear import noncontrastive as nc

decays = st.floats(0.0, 0.5)
variances = st.floats(0.0, 2.0)
multipliers = st.floats(0.2, 5.0)


def quadrature(p, p0, *, product=0.0, eta=0.0, kappa=1.0, tau=1.0):
    """Integrate dp / p' in 30 digits."""
    with mpmath.workdps(30):
        product, eta, kappa, tau = (mpmath.mpf(x) for x in (product, eta, kappa, tau))

        def slowness(x):
            return 1 / ((x**2 + product) * (tau - kappa * x) - eta * x)

        return float(mpmath.quad(slowness, mpmath.linspace(mpmath.mpf(p0), mpmath.mpf(p), 20)))


@settings(max_examples=25, deadline=None)
@given(
    p0=st.floats(-1.0, 2.0),
    s0=st.floats(0.0, 2.0),
    alpha_p=multipliers,
    eta=decays,
    aug_var=variances,
    moving=st.booleans(),
)
def test_invariant_decays_at_twice_the_weight_decay(p0, s0, alpha_p, eta, aug_var, moving):
    t = np.array([0.0, 0.5, 2.0, 6.0])
    p, s, tau = nc.mode_flow(
        t, p0=p0, s0=s0, tau0=0.5, alpha_p=alpha_p, weight_decay=eta, aug_var=aug_var, ema_rate=0.7 if moving else None
    )
    expected = (s0 - p0**2 / alpha_p) * np.exp(-2 * eta * t)
    np.testing.assert_allclose((s - p**2 / alpha_p)[:, 0], expected, atol=1e-9 * (1 + s0 + p0**2 / alpha_p))
    assert (s >= 0).all()
    assert moving or (tau == 0.5).all()


def test_modes_follow_the_full_matrices_of_a_moving_target():
    rng = np.random.default_rng(3)
    u, v = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (3, 4))
    p0, s0, tau0 = np.array([0.3, -0.2, 0.9]), np.array([0.5, 0.8, 0.1]), np.array([0.2, 0.6, 1.1])
    alpha_p, eta, aug_var, beta = 1.7, 0.06, 0.3, 0.4

    def velocity(_, state):
        w, w_a, w_p = state[:12].reshape(3, 4), state[12:24].reshape(3, 4), state[24:].reshape(3, 3)
        residual = -(1 + aug_var) * w_p @ w + w_a
        moves = w_p.T @ residual - eta * w, beta * (w - w_a), alpha_p * residual @ w.T - eta * w_p
        return np.concatenate([m.ravel() for m in moves])

    w = u * np.sqrt(s0) @ v[:, :3].T
    start = np.concatenate([w.ravel(), (u * (tau0 * np.sqrt(s0)) @ v[:, :3].T).ravel(), (u * p0 @ u.T).ravel()])
    t = np.array([1.0, 4.0, 9.0])
    states = solve_ivp(velocity, (0, 9), start, "DOP853", t, rtol=1e-11, atol=1e-13).y.T
    p, s, tau = nc.mode_flow(
        t, p0=p0, s0=s0, tau0=tau0, alpha_p=alpha_p, weight_decay=eta, aug_var=aug_var, ema_rate=beta
    )
    for k, state in enumerate(states):
        w, w_a, w_p = state[:12].reshape(3, 4), state[12:24].reshape(3, 4), state[24:].reshape(3, 3)
        np.testing.assert_allclose(u.T @ w_p @ u, np.diag(p[k]), atol=1e-8)
        np.testing.assert_allclose(u.T @ w @ w.T @ u, np.diag(s[k]), atol=1e-8)
        np.testing.assert_allclose(u.T @ w_a @ w.T @ u, np.diag(tau[k] * s[k]), atol=1e-8)


def test_an_online_network_that_changes_its_sign():
    p, s, tau = nc.mode_flow([1.0, 5.0, 9.0], p0=-1.0, s0=0.5, tau0=1.0, ema_rate=0.1)
    np.testing.assert_allclose(s - p**2, -0.5, atol=1e-10)
    assert (tau < 0).any()


def test_times_come_back_in_the_order_asked():
    forward = nc.mode_flow([0.0, 1.0, 3.0], p0=[0.2, 0.4], s0=[0.3, 0.0])
    back = nc.mode_flow([3.0, 0.0, 1.0], p0=[0.2, 0.4], s0=[0.3, 0.0])
    np.testing.assert_allclose(back.p, forward.p[[2, 0, 1]], rtol=1e-12)
    assert forward.p.shape == (3, 2)
    assert (forward.s[:, 1] == 0.0).all()
    np.testing.assert_array_equal(nc.mode_flow(0.0, p0=0.2, s0=0.3).p, [[0.2]])


@pytest.mark.parametrize("eta", [1e-9, 0.01, 0.15, 0.2, 0.25, 0.9])
@pytest.mark.parametrize(("p0", "p"), [(0.45, 0.41), (0.9, 1.3), (-2.0, -0.1), (1e-4, 1e-6), (0.62, 0.52)])
def test_time_with_decay_is_its_integral(eta, p0, p):
    roots = nc.fixed_points(weight_decay=eta, aug_var=0.25)
    if any((p - root) * (p0 - root) <= 0 for root in (*roots, 0.0)):
        with pytest.raises(ValueError, match="same side of the fixed point"):
            nc.mode_time(p, p0=p0, weight_decay=eta, aug_var=0.25)
    else:
        expected = quadrature(p, p0, eta=eta, kappa=1.25)
        assert nc.mode_time(p, p0=p0, weight_decay=eta, aug_var=0.25) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("invariant", [0.0, 1e-12, 0.4, -1e-12, -0.04, -0.16])
@pytest.mark.parametrize(("p0", "p"), [(0.6, 0.7), (1.5, 0.9), (-0.9, -0.7)])
def test_time_without_decay_is_its_integral(invariant, p0, p):
    found = nc.mode_time(p, p0=p0, invariant=invariant, alpha_p=2.0, aug_var=0.25)
    assert found == pytest.approx(quadrature(p, p0, product=2 * invariant, kappa=1.25), rel=1e-11)


def test_time_where_two_fixed_points_meet():
    found = nc.mode_time(0.6, p0=1.5, invariant=-0.25, aug_var=1.0)
    assert found == pytest.approx(quadrature(0.6, 1.5, product=-0.25, kappa=2.0), rel=1e-13)
    assert nc.mode_time(0.5, p0=-0.5, invariant=1.0) == pytest.approx(quadrature(0.5, -0.5, product=1.0), rel=1e-13)


@settings(max_examples=25, deadline=None)
@given(p0=st.floats(0.05, 0.9), eta=decays, aug_var=variances)
def test_time_inverts_the_flow(p0, eta, aug_var):
    roots = nc.fixed_points(weight_decay=eta, aug_var=aug_var)
    assume(all(not abs(p0 - root) < 0.02 for root in roots))
    (_, p), _, _ = nc.mode_flow([0.0, 1.5], p0=p0, s0=p0**2, weight_decay=eta, aug_var=aug_var)
    assume(all(not abs(p[0] - root) < 1e-3 for root in roots))
    assert nc.mode_time(p[0], p0=p0, weight_decay=eta, aug_var=aug_var) == pytest.approx(1.5, rel=1e-5)


@settings(max_examples=50)
@given(share=st.floats(0.0, 1.0), aug_var=variances, tau=st.floats(0.1, 2.0))
def test_fixed_points_stand_still_up_to_the_critical_decay(share, aug_var, tau):
    critical = nc.critical_weight_decay(aug_var=aug_var, tau=tau)
    eta = share * critical * (1 - 1e-12)
    for p in nc.fixed_points(weight_decay=eta, aug_var=aug_var, tau=tau):
        assert abs(p * (tau - (1 + aug_var) * p) - eta) < 1e-12 * tau**2
    assert np.isnan(nc.fixed_points(weight_decay=1.01 * critical, aug_var=aug_var, tau=tau)).all()


@settings(max_examples=10, deadline=None)
@given(p0=st.floats(-1.5, 2.0), s0=st.floats(0.01, 2.0), alpha_p=multipliers)
def test_collapse_is_where_the_flow_goes(p0, s0, alpha_p):
    product = alpha_p * s0 - p0**2
    assume(abs(product) > 0.02 and abs(np.sqrt(abs(product)) - 0.8) > 0.1)
    _, s, _ = nc.mode_flow(150.0, p0=p0, s0=s0, alpha_p=alpha_p, aug_var=0.25)
    assert nc.collapses(p0, s0, alpha_p=alpha_p, aug_var=0.25) == (s[0, 0] < 1e-6)


def test_collapse_on_the_invariant_curve_and_at_zero():
    np.testing.assert_array_equal(nc.collapses([-0.5, 0.5, 0.0, 0.5], [0.25, 0.25, 0.0, 0.0]), [1, 0, 1, 1])


def test_commutator_decays_by_its_rate_matrix():
    rng = np.random.default_rng(5)
    w_p, f = (a @ a.T for a in rng.standard_normal((2, 4, 4)))
    alpha_p, eta, aug_var, tau = 0.6, 0.2, 0.4, 0.9
    anti = w_p @ f + f @ w_p
    w_p_dot = -0.5 * alpha_p * (1 + aug_var) * anti + alpha_p * tau * f - eta * w_p
    f_dot = -(1 + aug_var) * (w_p @ w_p @ f + f @ w_p @ w_p) + tau * anti - 2 * eta * f
    commutator = f @ w_p - w_p @ f
    moved = f_dot @ w_p - w_p @ f_dot + f @ w_p_dot - w_p_dot @ f
    k = nc.alignment_rate_matrix(w_p, f, alpha_p=alpha_p, weight_decay=eta, aug_var=aug_var, tau=tau)
    np.testing.assert_allclose(moved, -(k @ commutator + commutator @ k), atol=1e-11 * np.abs(moved).max())


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), eta=decays)
def test_without_stop_gradient_the_loss_has_this_hessian(seed, eta):
    rng = np.random.default_rng(seed)
    w, w_p, root, noise = (rng.standard_normal(shape) for shape in ((2, 3), (2, 2), (3, 3), (3, 3)))
    x_cov, aug_cov = root @ root.T, noise @ noise.T
    h = nc.no_stop_gradient_hessian(w_p, x_cov, aug_cov, weight_decay=eta)
    vec = w.flatten("F")
    residual = w_p @ w - w
    # both views carry noise of their own; what they share enters through the difference of the branches
    loss = (
        np.trace(residual @ x_cov @ residual.T)
        + np.trace(w_p @ w @ aug_cov @ (w_p @ w).T)
        + np.trace(w @ aug_cov @ w.T)
    )
    assert vec @ h @ vec == pytest.approx(loss + eta * np.sum(w**2), rel=1e-11)
    assert np.linalg.eigvalsh(h)[0] > -1e-12 * np.linalg.eigvalsh(h)[-1]


def test_direct_predictor_keeps_the_eigenvectors():
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    f = basis * [4.0, 1.0, 0.0] @ basis.T
    np.testing.assert_allclose(nc.direct_pred(f, eps=0.1), basis * [2.4, 1.4, 0.4] @ basis.T, atol=1e-7)
    np.testing.assert_allclose(
        nc.direct_pred(f + np.eye(3), eps=0.0) @ nc.direct_pred(f + np.eye(3), eps=0.0), f + np.eye(3)
    )


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: nc.mode_flow([-1.0], p0=0.1, s0=0.1), "t must"),
        (lambda: nc.mode_flow([1.0], p0=0.1, s0=-0.1), "s0 must"),
        (lambda: nc.mode_flow([1.0], p0=[[0.1]], s0=0.1), "0 or 1 axes"),
        (lambda: nc.mode_flow([1.0], p0=0.1, s0=0.1, ema_rate=0.0), "ema_rate must"),
        (lambda: nc.mode_time(0.5, p0=0.4, invariant=0.1, weight_decay=0.1), "weight_decay must be 0"),
        (lambda: nc.mode_time(0.1, p0=0.2, invariant=-0.25), "must be at least"),
        (lambda: nc.mode_time(1.5, p0=0.5), "same side"),
        (lambda: nc.fixed_points(weight_decay=-1.0), "weight_decay must"),
        (lambda: nc.critical_weight_decay(tau=0.0), "tau must"),
        (lambda: nc.collapses(0.1, -1.0), "s0 must"),
        (lambda: nc.alignment_rate_matrix([[0.0, 1.0], [0.0, 0.0]], np.eye(2)), "w_p must be symmetric"),
        (lambda: nc.alignment_rate_matrix(np.eye(2), np.eye(3)), "f must have the shape"),
        (lambda: nc.no_stop_gradient_hessian(np.eye(2), np.eye(3), np.eye(2)), "aug_cov must have"),
        (lambda: nc.no_stop_gradient_hessian(np.ones((2, 3)), np.eye(3), np.eye(3)), "w_p must be square"),
        (lambda: nc.direct_pred(-np.eye(2)), "positive semidefinite"),
        (lambda: nc.direct_pred(np.eye(2), eps=-0.1), "eps must"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
