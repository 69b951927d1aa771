import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from theory.in_context import (
    flow_loss,
    gamma_matrix,
    gradient_flow,
    gradient_flow_limit,
    gram_sandwich,
    in_context_risk,
    isotropic_gradient_flow,
    misspecified_risk,
    pl_constant,
    random_covariance_limit,
    rank_one_point,
    scalar_lower_bound,
)

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 5)
lengths = st.integers(1, 40)


def covariance(rng, d):
    basis = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return (basis * rng.uniform(0.3, 2.0, d)) @ basis.T


def start(rng, d):
    theta = rng.normal(size=(d, d))
    return theta / np.sqrt(np.linalg.norm(theta @ theta.T))


@given(seed=seeds, d=sizes, n=lengths)
def test_gamma_times_covariance_is_the_mean_square_of_the_empirical_covariance(seed, d, n):
    cov = covariance(np.random.default_rng(seed), d)
    expected = gram_sandwich(np.eye(d), cov=cov, n_samples=n)
    np.testing.assert_allclose(gamma_matrix(cov, n_train=n) @ cov, expected, rtol=1e-12)
    np.testing.assert_allclose(gamma_matrix(cov, n_train=np.inf), cov)


def test_sandwich_agrees_with_samples():
    rng = np.random.default_rng(1)
    cov, b, n = covariance(rng, 2), rng.normal(size=(2, 2)), 3
    x = rng.normal(size=(400_000, n, 2)) @ np.linalg.cholesky(cov).T
    s = np.einsum("rni,rnj->rij", x, x) / n
    sampled = s @ b @ s
    error = sampled.std(axis=0) / np.sqrt(len(x))
    assert (np.abs(sampled.mean(axis=0) - gram_sandwich(b, cov=cov, n_samples=n)) < 5 * error).all()


@given(seed=seeds, d=sizes, n=lengths)
def test_limit_is_balanced_and_minimises_the_reduced_loss(seed, d, n):
    rng = np.random.default_rng(seed)
    cov = covariance(rng, d)
    limit = gradient_flow_limit(cov, n_train=n)
    np.testing.assert_allclose(limit.pv_scalar * limit.kq_block, limit.preconditioner, rtol=1e-12, atol=1e-14)
    assert np.linalg.norm(limit.kq_block) == pytest.approx(limit.pv_scalar, rel=1e-12)
    assert flow_loss(limit.kq_block, limit.pv_scalar, cov=cov, n_train=n) == pytest.approx(limit.loss, rel=1e-12)
    inverse = limit.preconditioner
    assert limit.loss == pytest.approx(np.trace(cov - cov @ cov @ inverse) / 2, rel=1e-9, abs=1e-12)
    other = flow_loss(limit.kq_block + 0.1 * rng.normal(size=(d, d)), limit.pv_scalar, cov=cov, n_train=n)
    assert other > limit.loss


@given(seed=seeds, d=sizes, n=lengths)
def test_reduced_loss_is_the_stated_polynomial(seed, d, n):
    rng = np.random.default_rng(seed)
    cov, u, s = covariance(rng, d), rng.normal(size=(d, d)), rng.normal()
    gamma = gamma_matrix(cov, n_train=n)
    power = s**2 * np.trace(gamma @ cov @ u @ cov @ u.T) - 2 * s * np.trace(cov @ cov @ u.T) + np.trace(cov)
    assert flow_loss(u, s, cov=cov, n_train=n) == pytest.approx(power / 2, rel=1e-9)


def test_infinite_prompts_teach_least_squares():
    cov = covariance(np.random.default_rng(2), 3)
    limit = gradient_flow_limit(cov, n_train=np.inf)
    np.testing.assert_allclose(limit.preconditioner @ cov, np.eye(3), atol=1e-12)
    assert limit.loss == 0


@settings(max_examples=15)
@given(seed=seeds, d=st.integers(1, 3), n=st.integers(1, 10))
def test_flow_conserves_its_invariant_descends_and_arrives(seed, d, n):
    rng = np.random.default_rng(seed)
    cov = covariance(rng, d)
    path = gradient_flow([0.0, 0.5, 2.0, 400.0], cov=cov, n_train=n, init_scale=0.3, theta=start(rng, d))
    balance = path.u_scalar**2 - np.sum(path.u_matrix**2, axis=(1, 2))
    np.testing.assert_allclose(balance, 0, atol=1e-10)
    assert np.all(np.diff(path.loss) <= 1e-12)
    limit = gradient_flow_limit(cov, n_train=n)
    np.testing.assert_allclose(path.u_matrix[-1], limit.kq_block, atol=1e-6)


def test_times_may_come_in_any_order():
    rng = np.random.default_rng(3)
    cov, theta = covariance(rng, 2), start(rng, 2)
    setting = {"cov": cov, "n_train": 3, "init_scale": 0.4, "theta": theta}
    forwards, backwards = (gradient_flow(t, **setting).u_scalar for t in ([0.2, 1.0, 1.0], [1.0, 1.0, 0.2]))
    np.testing.assert_array_equal(forwards, backwards[::-1])


@pytest.mark.parametrize("n", [2, 30, np.inf])
@pytest.mark.parametrize("d", [1, 3])
def test_isotropic_closed_form_solves_the_flow(d, n):
    times = np.array([0.0, 0.3, 1.0, 3.0])
    path = gradient_flow(times, cov=1.2 * np.eye(d), n_train=n, init_scale=0.5, theta=np.eye(d) / d**0.25)
    flow = isotropic_gradient_flow(times, dim=d, variance=1.2, n_train=n, init_scale=0.5)
    np.testing.assert_allclose(path.u_scalar * path.u_matrix[:, 0, 0], flow.coefficient, rtol=1e-9)
    np.testing.assert_allclose(path.loss, flow.loss, rtol=1e-9, atol=1e-12)


def test_large_starts_come_down_and_late_times_do_not_overflow():
    flow = isotropic_gradient_flow([0.0, 1e4], dim=2, variance=1.0, n_train=4, init_scale=3.0)
    assert flow.coefficient[0] > flow.coefficient[1]
    assert flow.loss[1] == pytest.approx(gradient_flow_limit(np.eye(2), n_train=4).loss, rel=1e-12)
    wrong = isotropic_gradient_flow([0.0, 1e4], dim=2, variance=1.0, n_train=4, init_scale=3.0, sign=-1)
    assert wrong.coefficient[0] < 0
    assert wrong.coefficient[1] == 0
    assert wrong.loss[1] == pytest.approx(1.0)


@given(seed=seeds, d=st.integers(1, 4), n=lengths)
def test_pl_constant_bounds_the_gradient_at_the_start(seed, d, n):
    rng = np.random.default_rng(seed)
    cov, theta, scale = covariance(rng, d), start(rng, d), 0.2
    gamma = gamma_matrix(cov, n_train=n)
    u, s = scale * theta @ theta.T, scale
    pull = gamma @ cov @ u @ cov
    slope = np.sum((s * cov @ cov - s**2 * pull) ** 2) + (np.sum(cov @ cov * u) - s * np.sum(pull * u)) ** 2
    excess = flow_loss(u, s, cov=cov, n_train=n) - gradient_flow_limit(cov, n_train=n).loss
    setting = {"n_train": n, "init_scale": scale, "theta": theta}
    assert slope >= pl_constant(cov, **setting) * excess
    assert scalar_lower_bound(cov, **setting) <= scale


@given(seed=seeds, d=st.integers(2, 4), n=lengths)
def test_rank_one_point_lies_between_the_minimum_and_no_prediction(seed, d, n):
    cov = covariance(np.random.default_rng(seed), d)
    point = rank_one_point(cov, n_train=n)
    assert gradient_flow_limit(cov, n_train=n).loss < point.loss < np.trace(cov) / 2
    np.testing.assert_allclose(point.second_variation, point.second_variation.T)
    assert point.is_local_minimum == (np.linalg.eigvalsh(point.second_variation)[0] > 0)


def test_rank_one_points_hold_training_with_short_prompts_only():
    cov = np.diag([1.2, 1.0, 0.8])
    assert rank_one_point(cov, n_train=1).is_local_minimum
    assert not rank_one_point(cov, n_train=50).is_local_minimum
    assert not rank_one_point(cov, n_train=np.inf).is_local_minimum
    assert rank_one_point([[2.0]], n_train=3).gap == 0


@given(seed=seeds, d=sizes, n=lengths)
def test_constant_covariances_are_no_random_ones(seed, d, n):
    v = np.random.default_rng(seed).uniform(0.2, 3)
    limit = random_covariance_limit(v, v**2, v**3, dim=d, n_train=n)
    fixed = gradient_flow_limit(v * np.eye(d), n_train=n)
    assert limit.coefficient == pytest.approx(fixed.preconditioner[0, 0], rel=1e-12)
    assert limit.loss == pytest.approx(fixed.loss, rel=1e-9)


def test_random_covariances_are_never_learned_completely():
    limit = random_covariance_limit(1, 2, 6, dim=3, n_train=np.inf)
    assert limit.coefficient == pytest.approx(1 / 3)
    assert limit.loss == pytest.approx(0.5)


@given(seed=seeds, d=sizes, n=lengths, m=lengths, s2=st.floats(0, 3))
def test_the_two_risks_agree_on_linear_tasks(seed, d, n, m, s2):
    rng = np.random.default_rng(seed)
    cov, w = covariance(rng, d), rng.normal(size=d)
    linear = in_context_risk(w, cov=cov, n_train=n, n_test=m, noise_var=s2)
    label_cov = (w @ cov @ w + s2) * cov + cov @ np.outer(w, w) @ cov
    general = misspecified_risk(w, label_cov, irreducible=s2, cov=cov, n_train=n, n_test=m)
    for name in ("total", "irreducible", "bias", "variance"):
        assert getattr(general, name) == pytest.approx(getattr(linear, name), rel=1e-9, abs=1e-13)
    assert linear.total == pytest.approx(linear.irreducible + linear.bias + linear.variance)


@given(seed=seeds, d=sizes, n=lengths)
def test_averaging_the_risk_over_tasks_at_the_training_length_gives_twice_the_loss(seed, d, n):
    cov = covariance(np.random.default_rng(seed), d)
    total = sum(in_context_risk(w, cov=cov, n_train=n, n_test=n).total for w in np.eye(d))
    assert total == pytest.approx(2 * gradient_flow_limit(cov, n_train=n).loss, rel=1e-9)


def test_shifts_of_context_and_query():
    rng = np.random.default_rng(4)
    cov, other, w = covariance(rng, 3), covariance(rng, 3), rng.normal(size=3)
    long = {"cov": cov, "n_train": np.inf, "n_test": np.inf}
    assert in_context_risk(w, **long, noise_var=0.7, cov_query=other).total == pytest.approx(0.7)
    scaled = in_context_risk(w, **long, cov_context=4 * cov, cov_query=4 * cov)
    assert scaled.bias == pytest.approx(9 * 4 * w @ cov @ w)
    assert scaled.variance == 0
    vague = in_context_risk(w, cov=cov, n_train=10**6, n_test=np.inf)
    values, basis = np.linalg.eigh(cov)
    expected = np.sum((values + values.sum()) ** 2 / values * (basis.T @ w) ** 2)
    assert 1e12 * vague.bias == pytest.approx(expected, rel=1e-4)


def test_numerical_minimum_over_preconditioners_is_the_limit():
    cov, n = covariance(np.random.default_rng(5), 2), 4
    found = minimize(lambda a: flow_loss(a.reshape(2, 2), 1.0, cov=cov, n_train=n), np.zeros(4), tol=1e-12)
    limit = gradient_flow_limit(cov, n_train=n)
    np.testing.assert_allclose(found.x.reshape(2, 2), limit.preconditioner, atol=1e-5)
    assert found.fun == pytest.approx(limit.loss, rel=1e-9)


FLOW = {"cov": np.eye(2), "n_train": 3, "init_scale": 0.4, "theta": np.eye(2) / 2**0.25}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gamma_matrix(np.eye(2), n_train=0), "n_train must be at least 1"),
        (lambda: gamma_matrix([[1.0, 0.5], [0.0, 1.0]], n_train=2), "cov must be symmetric"),
        (lambda: gram_sandwich(np.eye(3), cov=np.eye(2), n_samples=2), "matrix must have shape"),
        (lambda: gradient_flow_limit(np.zeros((2, 2)), n_train=2), "cov must be positive definite"),
        (lambda: flow_loss(np.eye(3), 1.0, cov=np.eye(2), n_train=2), "u_matrix must have shape"),
        (lambda: gradient_flow([-1.0], **FLOW), "times must be nonnegative"),
        (lambda: gradient_flow([1.0], **(FLOW | {"theta": np.eye(2)})), "theta must satisfy"),
        (lambda: gradient_flow([1.0], **(FLOW | {"theta": np.eye(3)})), "theta must have 2 rows"),
        (lambda: gradient_flow([1.0], **(FLOW | {"init_scale": 0.0})), "init_scale must be positive"),
        (
            lambda: isotropic_gradient_flow([1.0], dim=2, variance=1.0, n_train=2, init_scale=1.0, sign=0),
            "sign must be 1 or -1",
        ),
        (lambda: pl_constant(np.eye(2), n_train=3, init_scale=2.0, theta=FLOW["theta"]), "init_scale must be below"),
        (lambda: random_covariance_limit(1, 0.5, 1, dim=2, n_train=3), "must be moments of a positive variable"),
        (lambda: in_context_risk([1.0], cov=np.eye(2), n_train=2, n_test=2), "w must have the shape"),
        (
            lambda: in_context_risk([1.0], cov=[[1.0]], n_train=2, n_test=2, cov_query=np.eye(2)),
            "cov_query must have the shape",
        ),
        (
            lambda: misspecified_risk([1.0], [[-1.0]], irreducible=0, cov=[[1.0]], n_train=2, n_test=2),
            "label_cov must be positive semidefinite",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("length", [2.5, -np.inf, np.nan])
def test_lengths_are_integers_or_infinite(length):
    with pytest.raises((TypeError, ValueError), match="n_train must be"):
        gamma_matrix(np.eye(2), n_train=length)
