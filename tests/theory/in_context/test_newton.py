import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.in_context import newton

starts = st.sampled_from(["gram", "identity"])
POWER = {"gram": 2, "identity": 1}


def spd(seed, s):
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(s), len(s))))[0]
    return (basis * s) @ basis.T


@given(z=st.floats(0, 2), step=st.integers(0, 20), init=starts)
def test_residual_is_the_power_to_high_precision(z, step, init):
    found = float(newton.newton_residual(1.0, step=step, alpha=max(z, 1e-12), init=init))
    with mpmath.workdps(50):
        exact = (1 - mpmath.mpf(max(z, 1e-12))) ** (2**step)
    # a residual near one in size is as ill-conditioned as its power
    assert found == pytest.approx(float(exact), rel=1e-15 * 2 ** (step + 2), abs=1e-300)


@given(z=st.floats(1e-14, 0.4), step=st.integers(0, 30), init=starts)
def test_inverse_keeps_its_relative_accuracy_for_small_eigenvalues(z, step, init):
    s = z ** (1 / POWER[init])
    with mpmath.workdps(60):
        exact = (1 - (1 - mpmath.mpf(s) ** POWER[init]) ** (2**step)) / mpmath.mpf(s)
    assert float(newton.newton_inverse(s, step=step, alpha=1.0, init=init)) == pytest.approx(float(exact), rel=1e-13)


@given(seed=st.integers(0, 2**32), init=starts, step=st.integers(0, 8))
def test_iterates_have_the_predicted_eigenvalues(seed, init, step):
    s = np.array([2.0, 1.1, 0.4, 0.0])
    gram = spd(seed, s)
    iterates = newton.newton_schulz_iterates(gram, n_steps=step, alpha=0.2, init=init)
    w, v = np.linalg.eigh(gram)
    expected = (v * newton.newton_inverse(np.maximum(w, 0), step=step, alpha=0.2, init=init)) @ v.T
    np.testing.assert_allclose(iterates[step], expected, atol=1e-11 * 2**step)


@given(kappa=st.floats(1, 1e4), tol=st.floats(1e-12, 0.5), c=st.floats(0.05, 1.95), init=starts)
def test_counts_are_the_first_that_do(kappa, tol, c, init):
    s = np.array([1.0, 1 / kappa])
    k = newton.newton_steps_to_tolerance(kappa, tol=tol, alpha_scale=c, init=init)
    worst = [np.abs(newton.newton_residual(s, step=j, alpha=c, init=init)).max() for j in (k, max(k - 1, 0))]
    assert worst[0] <= tol * (1 + 1e-9)
    assert k == 0 or worst[1] > tol * (1 - 1e-9)
    t = newton.gd_steps_to_tolerance(kappa, tol=tol, rate_scale=c)
    assert np.abs(newton.gd_residual(s, step=t, learning_rate=c)).max() <= tol * (1 + 1e-9)
    assert t == 1 or np.abs(newton.gd_residual(s, step=t - 1, learning_rate=c)).max() > tol * (1 - 1e-9)


@given(kappa=st.floats(1.01, 50), init=starts, off=st.floats(0.5, 1.5))
def test_no_constant_beats_the_best(kappa, init, off):
    best = newton.optimal_newton_start(1.0, 1 / kappa, init=init)
    s = np.array([1.0, 1 / kappa])
    assert np.abs(newton.newton_residual(s, step=0, alpha=best.alpha, init=init)).max() == pytest.approx(best.rate)
    assert np.abs(newton.newton_residual(s, step=0, alpha=off * best.alpha, init=init)).max() >= best.rate - 1e-12


def test_a_perfect_start_needs_no_iteration():
    assert newton.newton_steps_to_tolerance(1.0, tol=1e-9) == 0
    assert newton.gd_steps_to_tolerance(1.0, tol=1e-9) == 1


@given(seed=st.integers(0, 2**32), init=starts)
def test_predictions_come_from_the_iterates(seed, init):
    rng = np.random.default_rng(seed)
    x, query = rng.standard_normal((7, 3)), rng.standard_normal(3)
    y = rng.standard_normal(7)
    alpha = 1 / np.linalg.norm(x, 2) ** (2 * POWER[init])
    inverse = newton.newton_schulz_iterates(x.T @ x, n_steps=4, alpha=alpha, init=init)[-1]
    found = newton.newton_attention_predict(x, y, query, n_steps=4, alpha=alpha, init=init)
    assert found == pytest.approx(query @ inverse @ x.T @ y, abs=1e-12 * (1 + np.abs(y).sum() * np.abs(query).sum()))


@given(d=st.integers(1, 6), k=st.integers(0, 6), init=starts, key_slot=st.booleans())
def test_layers_have_the_stated_size(d, k, init, key_slot):
    layers = newton.newton_attention_layers(d, n_steps=k, alpha=0.1, init=init, key_slot=key_slot)
    width = (3 if key_slot else 2) * d + 1
    assert len(layers) == k + POWER[init]
    for ((V, K, Q),) in layers:
        assert V.shape == (width, width)
        assert K.shape == Q.shape == (d, width)
    doubled = newton.relu_attention_layers(layers)
    for (V, K, Q), (other_V, other_K, other_Q) in doubled:
        assert np.array_equal(V, -other_V)
        assert np.array_equal(K, -other_K)
        assert np.array_equal(Q, other_Q)


def marchenko_pastur(f, gamma):
    a, b = (1 - mpmath.sqrt(gamma)) ** 2, (1 + mpmath.sqrt(gamma)) ** 2
    density = lambda x: mpmath.sqrt((b - x) * (x - a)) / (2 * mpmath.pi * gamma * x)  # noqa: E731
    middle = (a + b) / 2
    return mpmath.quad(lambda x: f(x / b) * density(x), [a, middle, b])


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("init", ["gram", "identity"])
@pytest.mark.parametrize("step", [0, 3, 8])
def test_limit_is_the_integral_over_the_law(gamma, init, step):
    with mpmath.workdps(25):
        exact = marchenko_pastur(lambda x: (1 - 0.9 * x ** POWER[init]) ** (2 ** (step + 1)), mpmath.mpf(gamma))
    found = newton.newton_mse_limit(gamma, step=step, alpha_scale=0.9, init=init)
    assert found == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("init", ["gram", "identity"])
def test_correction_agrees_with_the_exact_means_of_wishart_traces(init):
    gamma, c, n = 0.5, 0.3, 10**6
    d, b = gamma * n, (1 + np.sqrt(gamma)) ** 2
    if init == "identity":
        moments = [d, d, d * (n + d + 1) / n]
        f = np.polynomial.Polynomial([1, -c / b]) ** 2
        mean = f.coef @ moments / d
        found = d * (mean - newton.newton_mse_limit(gamma, step=0, alpha_scale=c, init=init))
        assert newton.newton_mse_correction(gamma, step=0, alpha_scale=c, init=init) == pytest.approx(found, abs=1e-7)
    else:
        # f = 1 - 2 z + z^2 with z = c x^2 / b^2: the linear part is exact, the quartic moment is the limit's
        found = newton.newton_mse_correction(gamma, step=0, alpha_scale=1e-8, init=init)
        assert found == pytest.approx(-2e-8 / b**2 * gamma, rel=1e-6)


def test_cosines():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, 6))
    assert newton.error_cosine(a, 5 * a) == pytest.approx(1)
    assert newton.error_cosine(a, b) == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    errors = rng.standard_normal((4, 9, 6))
    assert newton.similarity_of_errors(1e-200 * errors[0], errors[0]) == pytest.approx(1)
    assert newton.similarity_of_errors(np.zeros((9, 6)), errors[0]) == 0
    assert newton.best_matching_step(3 * errors[2], errors) == (2, pytest.approx(1))


@given(seed=st.integers(0, 2**32))
def test_prefixes_solve_their_normal_equations_and_forget_nothing(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((9, 4)), rng.standard_normal(9)
    weights = newton.recursive_least_squares(x, y, ridge=0.5)
    for t in range(10):
        left = (x[:t].T @ x[:t] + 0.5 * np.eye(4)) @ weights[t] - x[:t].T @ y[:t]
        assert np.abs(left).max() < 1e-11
    again = newton.recursive_least_squares(x[::-1], y[::-1], ridge=0.5)[-1]
    np.testing.assert_allclose(again, weights[-1], rtol=1e-9, atol=1e-12)


@given(d=st.integers(1, 50), age=st.integers(0, 200), prior=st.integers(1, 20))
def test_recall_error_lies_below_that_of_an_unseen_direction(d, age, prior):
    seen = newton.kaczmarz_recall_error(d, age=age, prior_steps=prior)
    assert 0 <= seen <= (1 - 1 / d) ** (prior + age) / d + 1e-15


@given(d=st.integers(1, 100))
def test_online_descent_is_fastest_at_half_its_limit(d):
    def factor(eta):
        return newton.ogd_mean_square_error(d, step=1, learning_rate=eta)

    best = 1 / (d + 2)
    assert factor(best) == pytest.approx(1 - best)
    assert min(factor(0.9 * best), factor(1.1 * best)) > factor(best)
    assert factor(2 * best) == pytest.approx(1)


GRAM = np.eye(2)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: newton.newton_schulz_iterates(np.ones((2, 3)), n_steps=1, alpha=1.0), "gram must be square"),
        (lambda: newton.newton_schulz_iterates([[1.0, 2.0], [0.0, 1.0]], n_steps=1, alpha=1.0), "gram must be"),
        (lambda: newton.newton_schulz_iterates(GRAM, n_steps=-1, alpha=1.0), "n_steps must be at least 0"),
        (lambda: newton.newton_schulz_iterates(GRAM, n_steps=20, alpha=9.0), "alpha must be below 2"),
        (lambda: newton.newton_schulz_iterates(GRAM, n_steps=1, alpha=1.0, init="zero"), "init must be"),
        (lambda: newton.newton_residual([-1.0], step=1, alpha=1.0), "eigenvalues must be nonnegative"),
        (lambda: newton.newton_residual([10.0], step=12, alpha=1.0), "overflows"),
        (lambda: newton.newton_steps_to_tolerance(0.5, tol=0.1), "condition_number must be at least 1"),
        (lambda: newton.newton_steps_to_tolerance(2.0, tol=0.1, alpha_scale=2.0), r"alpha_scale must be in \(0, 2\)"),
        (lambda: newton.newton_steps_to_tolerance(2.0, tol=1.0), r"tol must be in \(0, 1\)"),
        (lambda: newton.gd_steps_to_tolerance(2.0, tol=0.1, rate_scale=0.0), r"rate_scale must be in \(0, 2\)"),
        (
            lambda: newton.gd_steps_matching_newton(1.0, step=1, alpha=2.0, learning_rate=0.1),
            r"alpha \* s_min\*\*p must be",
        ),
        (lambda: newton.optimal_newton_start(1.0, 2.0), "smallest must not exceed"),
        (lambda: newton.newton_attention_layers(0, n_steps=1, alpha=1.0), "dimension must be at least 1"),
        (lambda: newton.newton_attention_predict(GRAM, [1.0], [1.0, 1.0], n_steps=1, alpha=1.0), "y must hold"),
        (lambda: newton.newton_attention_predict(GRAM, [1.0, 1.0], [1.0], n_steps=1, alpha=1.0), "x_query must have"),
        (lambda: newton.newton_mse_limit(1.0, step=1, alpha_scale=1.0), r"aspect_ratio must be in \(0, 1\)"),
        (lambda: newton.newton_mse_limit(0.5, step=1, alpha_scale=2.5), r"alpha_scale must be in \(0, 2\)"),
        (lambda: newton.error_cosine([0.0, 0.0], [1.0, 0.0]), "residual_a must not vanish"),
        (lambda: newton.error_cosine([1.0], [1.0, 0.0]), "residual_b must have the shape"),
        (lambda: newton.similarity_of_errors(np.zeros((0, 2)), np.zeros((0, 2))), "at least one prompt"),
        (lambda: newton.best_matching_step(np.ones((1, 2)), np.ones((0, 1, 2))), "at least one candidate"),
        (lambda: newton.recursive_least_squares(GRAM, [1.0], ridge=1.0), "y must hold one answer"),
        (lambda: newton.recursive_least_squares(GRAM, [1.0, 1.0], ridge=0.0), "ridge must be positive"),
        (lambda: newton.ogd_mean_square_error(3, step=1, learning_rate=0.0), "learning_rate must be positive"),
        (lambda: newton.kaczmarz_recall_error(3, age=-1, prior_steps=1), "age must be at least 0"),
        (lambda: newton.kaczmarz_recall_error(3, age=1, prior_steps=0), "prior_steps must be at least 1"),
    ],
)
def test_bad_input_names_the_argument(call, match):
    with pytest.raises(ValueError, match=match):
        call()
