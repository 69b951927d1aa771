import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize

from theory.in_context import (
    lsa_population_loss,
    nonlinear_optimal_step,
    ols_risk,
    optimal_step,
    preconditioned_optimum,
    rank_one_trap,
    response_moments,
    scalar_bayes_risk,
)
from theory.in_context.responses import KINDS

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 6)
noises = st.floats(0, 50)


def covariance(rng, d):
    basis = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return (basis * rng.uniform(0.3, 2.0, d)) @ basis.T


def step_layer(d, step):
    """Value row and key-query matrix of one gradient step."""
    return np.eye(d + 1)[d], np.vstack([step * np.eye(d), np.zeros(d)])


@given(n=sizes, d=sizes, s2=noises)
def test_the_layer_of_the_optimal_step_has_the_optimal_risk(n, d, s2):
    best = optimal_step(n_context=n, dim=d, noise_var=s2)
    loss = lsa_population_loss(*step_layer(d, best.step_size), n_context=n, noise_var=s2)
    assert loss == pytest.approx(best.risk, rel=1e-12)


@given(seed=seeds, n=sizes, d=sizes, s2=noises)
def test_no_random_layer_beats_the_optimal_risk(seed, n, d, s2):
    rng = np.random.default_rng(seed)
    value, key_query = rng.normal(size=d + 1), rng.normal(size=(d + 1, d)) / n
    best = optimal_step(n_context=n, dim=d, noise_var=s2).risk
    assert lsa_population_loss(value, key_query, n_context=n, noise_var=s2) >= best * (1 - 1e-12)


@given(seed=seeds, n=sizes, d=sizes, s2=noises)
def test_loss_is_invariant_under_scale_and_rotation(seed, n, d, s2):
    rng = np.random.default_rng(seed)
    value, key_query = rng.normal(size=d + 1), rng.normal(size=(d + 1, d + 1))
    turn = np.eye(d + 1)
    turn[:d, :d] = np.linalg.qr(rng.normal(size=(d, d)))[0]
    loss = lsa_population_loss(value, key_query, n_context=n, noise_var=s2)
    other = lsa_population_loss(3 * turn @ value, turn @ key_query @ turn.T / 3, n_context=n, noise_var=s2)
    assert other == pytest.approx(loss, rel=1e-10)
    assert lsa_population_loss(value, key_query[:, :d], n_context=n, noise_var=s2) == loss


def test_losses_of_layers_around_the_optimum_rise_by_the_exact_quadratic():
    n, d, s2 = 7, 3, 0.4
    best = optimal_step(n_context=n, dim=d, noise_var=s2)
    off = np.random.default_rng(0).normal(size=(d, d)) / 10
    value, key_query = step_layer(d, best.step_size)
    key_query[:d] += off
    gap = lsa_population_loss(value, key_query, n_context=n, noise_var=s2) - best.risk
    assert gap == pytest.approx(n * (n + d + 1 + s2) * np.sum(off**2), rel=1e-12)


@given(n=sizes, d=st.integers(2, 5), s2=st.floats(0, 20))
def test_the_rank_one_point_is_stationary_and_as_far_above_as_stated(n, d, s2):
    length = (n + d + 1 + s2) ** -0.5
    value, key_query = length * np.eye(d + 1)[0], np.zeros((d + 1, d))
    key_query[d, 0] = length
    trap = rank_one_trap(n_context=n, dim=d, noise_var=s2)
    best = optimal_step(n_context=n, dim=d, noise_var=s2).risk

    def loss(flat):
        return lsa_population_loss(flat[: d + 1], flat[d + 1 :].reshape(d + 1, d), n_context=n, noise_var=s2)

    point = np.concatenate([value, key_query.ravel()])
    assert loss(point) - best == pytest.approx(trap.gap, rel=1e-9)
    slopes = [(loss(point + h) - loss(point - h)) / 2e-4 for h in 1e-4 * np.eye(point.size)]
    assert np.abs(slopes).max() < 1e-4 * n**2 * (10 + s2) ** 2


def test_the_trap_in_one_dimension_is_a_global_minimum():
    trap = rank_one_trap(n_context=4, dim=1, noise_var=2.0)
    assert trap.gap == 0
    assert trap.is_local_minimum


@given(seed=seeds, n=sizes, d=sizes, s2=noises)
def test_preconditioner_solves_its_normal_equations(seed, n, d, s2):
    rng = np.random.default_rng(seed)
    lam, v = covariance(rng, d), covariance(rng, d)
    optimum = preconditioned_optimum(lam, v, n_context=n, noise_var=s2)
    power = n * (n + 1) * lam @ v @ lam + n * (np.trace(v @ lam) + s2) * lam
    np.testing.assert_allclose(optimum.matrix @ power, n * v @ lam, rtol=1e-9, atol=1e-9 * n)
    np.testing.assert_allclose(optimum.matrix, optimum.matrix.T, rtol=1e-12, atol=1e-14)
    plain = s2 + np.trace(lam @ v) - n * np.trace(lam @ optimum.matrix @ lam @ v)
    assert optimum.risk == pytest.approx(plain, rel=1e-9)


@given(seed=seeds, n=sizes, d=sizes, s2=noises)
def test_tasks_from_the_inverse_covariance_give_the_isotropic_step(seed, n, d, s2):
    cov = covariance(np.random.default_rng(seed), d)
    optimum = preconditioned_optimum(cov, np.linalg.inv(cov), n_context=n, noise_var=s2)
    best = optimal_step(n_context=n, dim=d, noise_var=s2)
    np.testing.assert_allclose(optimum.matrix, best.step_size * np.linalg.inv(cov), rtol=1e-9, atol=1e-12)
    assert optimum.risk == pytest.approx(best.risk, rel=1e-9)


def test_tasks_in_a_subspace_are_allowed():
    optimum = preconditioned_optimum(np.eye(2), np.diag([1.0, 0.0]), n_context=3)
    np.testing.assert_allclose(optimum.matrix, np.diag([0.2, 0.0]), atol=1e-15)
    assert optimum.risk == pytest.approx(0.4)


def test_optimum_without_noise_improves_with_the_context():
    risks = [preconditioned_optimum(np.eye(2), np.eye(2), n_context=n).risk for n in (1, 10, 100, 10**6)]
    assert np.all(np.diff(risks) < 0)
    assert risks[-1] == pytest.approx(6e-6, rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 2])
def test_response_moments_are_integrals(kind, d):
    """One unit along the first axis; everything else follows by independence of the coordinates."""
    width = 1 if kind.endswith("network") else None
    moments = response_moments(kind, dim=d, noise_var=0.3, width=width)
    unit = {
        "linear": lambda z: z,
        "relu_network": lambda z: max(z, 0.0),
        "unit_relu_network": lambda z: max(z, 0.0),
        "cubic": lambda z: z**3,
        "sign": np.sign,
        "erf": lambda z: float(mpmath.erf(z)),
    }[kind]
    power = d if kind in ("linear", "relu_network") else 1.0  # E ||w||^2

    def mean(function):
        return sum(quad(lambda z: function(z) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), *side)[0] for side in SIDES)

    label = power * mean(lambda z: unit(z) ** 2)
    along = power * mean(lambda z: unit(z) ** 2 * z**2)
    assert moments.linear_power == pytest.approx(power * mean(lambda z: unit(z) * z) ** 2, rel=1e-9)
    assert moments.label_second_moment == pytest.approx(label + 0.3, rel=1e-9)
    assert moments.label_norm_moment == pytest.approx(along + (d - 1) * label + 0.3 * d, rel=1e-9)


SIDES = ((-12, 0), (0, 12))


@given(n=sizes, d=sizes, s2=noises)
def test_linear_labels_reduce_to_the_linear_step(n, d, s2):
    step = nonlinear_optimal_step(n_context=n, **response_moments("linear", dim=d, noise_var=s2)._asdict())
    best = optimal_step(n_context=n, dim=d, noise_var=s2)
    assert step.step_size == pytest.approx(best.step_size, rel=1e-12)
    assert step.risk == pytest.approx(best.risk, rel=1e-9)


@pytest.mark.parametrize("kind", ["cubic", "sign", "erf"])
def test_nonlinear_step_minimises_its_parabola(kind):
    moments = response_moments(kind, dim=3, noise_var=0.2)
    best = nonlinear_optimal_step(n_context=5, **moments._asdict())
    power = moments.label_norm_moment + 4 * moments.linear_power

    def risk(eta):
        return moments.label_second_moment - 10 * eta[0] * moments.linear_power + 5 * eta[0] ** 2 * power

    found = minimize(risk, [0.0], method="BFGS")
    assert best.step_size == pytest.approx(found.x[0], rel=1e-5)
    assert best.risk == pytest.approx(found.fun, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 40])
@pytest.mark.parametrize("s2", [1e-3, 0.3, 5.0, 200.0])
def test_scalar_bayes_risk_is_an_exponential_integral(n, s2):
    with mpmath.workdps(30):
        exact = s2 + mpmath.mpf(s2) / 2 * mpmath.exp(mpmath.mpf(s2) / 2) * mpmath.expint(mpmath.mpf(n) / 2, s2 / 2)
    assert scalar_bayes_risk(n_context=n, noise_var=s2) == pytest.approx(float(exact), rel=1e-11)


@given(n=st.integers(3, 30), s2=st.floats(0.01, 50))
def test_bayes_is_best(n, s2):
    bayes = scalar_bayes_risk(n_context=n, noise_var=s2)
    assert s2 < bayes <= ols_risk(n_context=n, dim=1, noise_var=s2)
    assert bayes <= optimal_step(n_context=n, dim=1, noise_var=s2).risk
    assert scalar_bayes_risk(n_context=n, noise_var=0) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lsa_population_loss([1.0], [[1.0]], n_context=1), "value must have at least 2"),
        (lambda: lsa_population_loss([1, 2, 3], np.eye(2), n_context=1), "key_query must have shape"),
        (lambda: lsa_population_loss([1, np.nan], [[1], [1]], n_context=1), "value must be finite"),
        (lambda: lsa_population_loss([1, 2], [[1], [1]], n_context=0), "n_context must be at least 1"),
        (lambda: lsa_population_loss([1, 2], [[1], [1]], n_context=1, noise_var=-1), "noise_var must be nonnegative"),
        (lambda: preconditioned_optimum([[1, 2], [0, 1]], np.eye(2), n_context=1), "cov_x must be symmetric"),
        (lambda: preconditioned_optimum(-np.eye(2), np.eye(2), n_context=1), "cov_x must be positive definite"),
        (lambda: preconditioned_optimum(np.eye(2), np.zeros((2, 2)), n_context=1), "cov_w must be positive semidef"),
        (lambda: preconditioned_optimum(np.eye(2), np.eye(3), n_context=1), "cov_w must have the shape of cov_x"),
        (lambda: preconditioned_optimum(np.ones(2), np.eye(2), n_context=1), "cov_x must have 2 dimension"),
        (lambda: preconditioned_optimum(np.ones((2, 3)), np.eye(2), n_context=1), "cov_x must be a square matrix"),
        (lambda: rank_one_trap(n_context=1, dim=0), "dim must be at least 1"),
        (lambda: response_moments("tanh", dim=1), "kind must be one of"),
        (lambda: response_moments("sign", dim=1, width=3), "width must be left out"),
        (lambda: response_moments("relu_network", dim=1), "width must be given"),
        (
            lambda: nonlinear_optimal_step(
                n_context=1, linear_power=2.0, label_norm_moment=3.0, label_second_moment=1.0
            ),
            "linear_power must not exceed",
        ),
        (lambda: ols_risk(n_context=4, dim=3, noise_var=1.0), "n_context must exceed dim"),
        (lambda: scalar_bayes_risk(n_context=0, noise_var=1.0), "n_context must be at least 1"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_whole_numbers_must_be_integers():
    with pytest.raises(TypeError, match="n_context must be an integer"):
        preconditioned_optimum(np.eye(2), np.eye(2), n_context=2.0)
