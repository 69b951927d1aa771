import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.generalization import (
    batch_regret,
    bernoulli_kl,
    beta_mixture_regret,
    beta_mixture_regret_asymptotic,
    exponential_weight_bound,
    gaussian_exponential_weight_bound,
    gaussian_mixture_regret,
    kl_ball_bound,
    mixture_regret_bernoulli,
)

coins = st.floats(0.01, 0.99)


def _class(data, size):
    thetas = np.array(data.draw(st.lists(coins, min_size=size, max_size=size)))
    raw = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=size, max_size=size)))
    return thetas, raw / raw.sum()


@settings(max_examples=80, deadline=None)
@given(theta0=coins, n=st.integers(1, 60), size=st.integers(1, 6), data=st.data())
def test_regret_is_nonnegative_and_below_both_bounds(theta0, n, size, data):
    thetas, weights = _class(data, size)
    regret = mixture_regret_bernoulli(theta0, thetas, weights, n)
    distance = bernoulli_kl(theta0, thetas)
    tilted, ball = exponential_weight_bound(distance, weights, n), kl_ball_bound(distance, weights, n)
    assert -1e-12 <= regret <= tilted + 1e-12
    assert tilted <= ball.value + 1e-12
    assert ball.radius in distance


@settings(max_examples=40, deadline=None)
@given(theta0=coins, size=st.integers(1, 5), data=st.data())
def test_total_regret_grows_with_every_toss_and_split_weights_change_nothing(theta0, size, data):
    thetas, weights = _class(data, size)
    totals = [n * mixture_regret_bernoulli(theta0, thetas, weights, n) for n in range(1, 15)]
    steps = batch_regret(totals)
    assert steps.sum() == pytest.approx(totals[-1], abs=1e-12)
    assert (steps >= -1e-12).all()
    twice = mixture_regret_bernoulli(theta0, np.tile(thetas, 2), np.tile(weights / 2, 2), 9)
    assert twice == pytest.approx(mixture_regret_bernoulli(theta0, thetas, weights, 9), abs=1e-13)


@settings(max_examples=40, deadline=None)
@given(theta0=coins, n=st.integers(1, 300), a=st.floats(0.2, 5), b=st.floats(0.2, 5))
def test_exchange_of_heads_and_tails(theta0, n, a, b):
    regret = beta_mixture_regret(theta0, n, a=a, b=b)
    assert regret >= -1e-13
    assert n * beta_mixture_regret(1 - theta0, n, a=b, b=a) == pytest.approx(n * regret, abs=1e-10)


def test_one_coin_alone_loses_its_divergence():
    assert mixture_regret_bernoulli(0.3, [0.6], [1.0], 25) == pytest.approx(bernoulli_kl(0.3, 0.6), rel=1e-13)
    assert mixture_regret_bernoulli(0.3, [0.3, 0.9], [1.0, 0.0], 25) == 0


def test_a_coin_that_rules_tails_out():
    assert mixture_regret_bernoulli(0.5, [1.0], [1.0], 3) == np.inf
    # one toss in two is heads: half of the weight is lost at once on tails, and none is on heads
    expected = -0.5 * np.log(0.5 + 0.5 * 2) - 0.5 * np.log(0.5)
    assert mixture_regret_bernoulli(0.5, [0.5, 1.0], [0.5, 0.5], 1) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "value"), [(5, 2.302433), (20, 2.3025850930)])
def test_weight_of_the_truth_is_the_price_of_far_models(n, value):
    digits = 6 if n == 5 else 10
    assert n * mixture_regret_bernoulli(0.01, [0.01, 0.99], [0.1, 0.9], n) == pytest.approx(value, abs=10**-digits)


@pytest.mark.parametrize(("theta0", "n", "a", "b"), [(0.3, 40, 1, 1), (0.02, 15, 0.5, 2.5), (0.7, 1, 3, 0.3)])
def test_beta_mixture_in_high_precision(theta0, n, a, b):
    with mpmath.workdps(40):
        p, exact = mpmath.mpf(theta0), mpmath.mpf(0)
        for k in range(n + 1):
            likelihood = p**k * (1 - p) ** (n - k)
            ratio = likelihood * mpmath.beta(a, b) / mpmath.beta(k + a, n - k + b)
            exact += mpmath.binomial(n, k) * likelihood * mpmath.log(ratio)
    assert n * beta_mixture_regret(theta0, n, a=a, b=b) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize(("a", "b", "limit"), [(1, 1, 1.0635), (0.5, 0.5, -0.0318)])
def test_golden_deviation_from_half_a_logarithm(a, b, limit):
    n = 6400
    gap = beta_mixture_regret(0.3, n, a=a, b=b) - beta_mixture_regret_asymptotic(0.3, n, a=a, b=b)
    assert n * n * gap == pytest.approx(limit, abs=1e-4)


def test_gaussian_golden_values_and_small_priors():
    assert 7 * gaussian_mixture_regret(1.2, 7, prior_var=2.5) == pytest.approx(1.258345, abs=1e-6)
    assert 7 * gaussian_exponential_weight_bound(1.2, 7, prior_var=2.5) == pytest.approx(1.731318, abs=1e-6)
    # ln(1 + x) - x / (1 + x) = x^2 / 2 - 2 x^3 / 3 + ...
    tiny = gaussian_mixture_regret(0.0, 1, prior_var=1e-9)
    assert tiny == pytest.approx(0.25e-18, rel=1e-8)


@settings(max_examples=60, deadline=None)
@given(theta0=st.floats(-5, 5), n=st.integers(1, 1000), variance=st.floats(1e-3, 1e3))
def test_gaussian_bound_is_half_a_nat_above_at_most(theta0, n, variance):
    slack = gaussian_exponential_weight_bound(theta0, n, prior_var=variance)
    slack -= gaussian_mixture_regret(theta0, n, prior_var=variance)
    assert 0 < n * slack <= 0.5 + 1e-9


def test_gaussian_solvers_broadcast():
    found = gaussian_mixture_regret([[0.0], [1.0]], [1, 2, 3], prior_var=1.0)
    assert found.shape == (2, 3)
    assert found[1, 2] == gaussian_mixture_regret(1.0, 3, prior_var=1.0)


def test_bounds_accept_models_that_are_ruled_out():
    assert exponential_weight_bound([0.0, np.inf], [0.25, 0.75], 4) == pytest.approx(np.log(4) / 4)
    assert kl_ball_bound([np.inf, 0.0], [0.75, 0.25], 4) == (pytest.approx(np.log(4) / 4), 0.0)
    assert exponential_weight_bound([np.inf], [1.0], 4) == np.inf
    assert kl_ball_bound([np.inf], [1.0], 4).value == np.inf


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: mixture_regret_bernoulli(0.0, [0.5], [1.0], 3), "theta0"),
        (lambda: mixture_regret_bernoulli(0.5, [1.5], [1.0], 3), "thetas"),
        (lambda: mixture_regret_bernoulli(0.5, [[0.5]], [[1.0]], 3), "thetas"),
        (lambda: mixture_regret_bernoulli(0.5, [0.5], [0.9], 3), "weights must sum"),
        (lambda: mixture_regret_bernoulli(0.5, [0.5], [0.5, 0.5], 3), "weights must have"),
        (lambda: mixture_regret_bernoulli(0.5, [0.5], [1.0], 0), "n must"),
        (lambda: beta_mixture_regret(1.0, 3, a=1, b=1), "theta0"),
        (lambda: beta_mixture_regret(0.5, 3, a=0, b=1), "a must"),
        (lambda: beta_mixture_regret(0.5, 3, a=1, b=-1), "b must"),
        (lambda: beta_mixture_regret_asymptotic(0.5, 0, a=1, b=1), "n must"),
        (lambda: beta_mixture_regret_asymptotic([0.5, 1.0], 5, a=1, b=1), "theta0"),
        (lambda: gaussian_mixture_regret(0.0, 3, prior_var=0.0), "prior_var"),
        (lambda: gaussian_exponential_weight_bound(np.inf, 3, prior_var=1.0), "theta0"),
        (lambda: exponential_weight_bound([-0.1], [1.0], 3), "divergences"),
        (lambda: kl_ball_bound([np.nan], [1.0], 3), "divergences"),
        (lambda: kl_ball_bound([0.1], [-1.0], 3), "weights"),
        (lambda: batch_regret(0.5), "cumulative"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
