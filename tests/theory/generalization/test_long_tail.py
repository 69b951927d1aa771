import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.generalization import (
    excess_error,
    expected_count,
    memorization_limited_excess,
    optimal_error,
    posterior_frequency,
    posterior_frequency_beta,
    private_memorization_cap,
    tail_weight,
    tau_lower_bound,
    tau_short_tail_bound,
    zipf_frequencies,
    zipf_singleton_limit,
)

lists = st.builds(
    lambda seed, size, spread: (lambda w: w / w.sum())(
        np.exp(spread * np.random.default_rng(seed).standard_normal(size))
    ),
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.floats(0, 4),
)


@settings(max_examples=40, deadline=None)
@given(alpha=lists, n=st.integers(1, 500))
def test_counts_and_masses_add_up(alpha, n):
    counts = np.array([expected_count(alpha, n, ell) for ell in range(min(n, 500) + 1)])
    assert counts.sum() == pytest.approx(alpha.size, rel=1e-11)
    assert counts @ np.arange(n + 1) == pytest.approx(n, rel=1e-11)


@settings(max_examples=40, deadline=None)
@given(alpha=lists, n=st.integers(2, 200), data=st.data())
def test_posterior_frequency_lies_between_the_frequencies_and_grows_with_the_count(alpha, n, data):
    ell = data.draw(st.integers(0, n - 1))
    if alpha.size == 1:
        return
    low, high = (posterior_frequency(alpha, n, e) for e in (ell, ell + 1))
    assert alpha.min() * (1 - 1e-12) <= low <= high * (1 + 1e-12)
    assert high <= alpha.max() * (1 + 1e-12)


@settings(max_examples=40, deadline=None)
@given(alpha=lists, n=st.integers(2, 200), q=st.floats(0, 1), p=st.floats(0, 1))
def test_cost_is_misfit_times_tau_times_count(alpha, n, q, p):
    if alpha.size == 1:
        return
    parts = [c * posterior_frequency(alpha, n, e) * expected_count(alpha, n, e) for e, c in ((1, q), (2, p))]
    assert excess_error(alpha, n, [q, p]) == pytest.approx(sum(parts), rel=1e-10, abs=1e-300)


def test_without_repeats_a_sample_of_one_is_all_singletons():
    alpha = np.array([0.5, 0.3, 0.2])
    assert expected_count(alpha, 1, 1) == pytest.approx(1)
    assert excess_error(alpha, 1, [1.0]) == pytest.approx(alpha @ alpha)
    assert optimal_error(alpha, 1, num_labels=2) == pytest.approx(0.5 * (1 - alpha @ alpha))


@pytest.mark.parametrize(("a", "b", "n", "ell"), [(1.3, 2.1, 5, 0), (1.5, 4.0, 30, 3), (0.1, 1.9, 12, 12)])
def test_beta_posterior_by_quadrature(a, b, n, ell):
    def moment(power):
        return mpmath.quad(lambda x: x ** (a - 1 + power) * (1 - x) ** (b - 1 + n - ell), [0, 0.01, 0.5, 1])

    exact = float(moment(ell + 1) / moment(ell))
    assert posterior_frequency_beta(n, ell, a=a, b=b) == pytest.approx(exact, rel=1e-9)


def test_weights_stand_for_repetitions():
    repeated = posterior_frequency([0.1, 0.1, 0.1, 0.4], 9, 2)
    assert posterior_frequency([0.1, 0.4], 9, 2, weights=[3, 1]) == pytest.approx(repeated, rel=1e-13)


def test_binomials_of_large_samples_against_mpmath():
    n, alpha = 10**6, np.array([1e-6, 3e-6, 1 - 4e-6])
    exact = sum(mpmath.binomial(n, 2) * mpmath.mpf(a) ** 2 * (1 - mpmath.mpf(a)) ** (n - 2) for a in alpha)
    assert expected_count(alpha, n, 2) == pytest.approx(float(exact), rel=1e-12)


def test_golden_numbers_of_zipf():
    alpha = zipf_frequencies(50_000)
    assert 50_000 * posterior_frequency(alpha, 50_000) == pytest.approx(0.471676, abs=1e-6)
    assert expected_count(alpha, 50_000, 1) / 50_000 == pytest.approx(0.170396, abs=1e-6)
    assert excess_error(alpha, 50_000, [1.0]) == pytest.approx(0.0803718, abs=1e-7)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_zipf_limits_miss_the_corrections_that_they_name(ratio):
    count = 4096
    n = int(ratio * count)
    alpha, found = zipf_frequencies(count), zipf_singleton_limit(count, n)
    harmonic = np.sum(1 / np.arange(1, count + 1))
    r = n / (count * harmonic)
    cost = np.exp(-r) * r * (1 / count - r / n) / (2 * harmonic)
    share = np.exp(-r) * (1 / count + (1 - r) / n) / (2 * harmonic)
    assert excess_error(alpha, n, [1.0]) - found.cost == pytest.approx(cost, abs=0.1 / count**2)
    assert expected_count(alpha, n, 1) / n - found.singleton_fraction == pytest.approx(share, abs=0.1 / count**2)


@settings(max_examples=60, deadline=None)
@given(alpha=lists, n=st.integers(3, 1000))
def test_tau_keeps_above_its_lower_bound(alpha, n):
    if alpha.size > 1:
        assert posterior_frequency(alpha, n) >= tau_lower_bound(alpha, n)


@settings(max_examples=60, deadline=None)
@given(beta=st.floats(0.05, 0.9), n=st.integers(3, 200), heads=st.integers(1, 3), more=st.floats(1, 20))
def test_tau_keeps_below_its_bound_for_short_tails(beta, n, heads, more):
    head = (1 - beta) / heads
    if head * n < 1:
        return
    tail = int(np.ceil(2 * n * beta * more))
    alpha = np.concatenate([np.full(tail, beta / tail), np.full(heads, head)])
    bound = tau_short_tail_bound(alpha, n, theta=beta / tail, t=max(1.0, head * n * (1 - 1e-12)))
    assert posterior_frequency(alpha, n) <= bound * (1 + 1e-12)


def test_tail_weight_counts_closed_intervals():
    assert tail_weight([0.5, 0.25, 0.25], 0.25, 0.4) == 0.5
    assert tail_weight([0.5, 0.25, 0.25], 0.3, 0.4) == 0.0


@settings(max_examples=40, deadline=None)
@given(epsilon=st.floats(0, 800), k=st.integers(2, 1000))
def test_private_cap_grows_from_nothing_to_a_perfect_fit(epsilon, k):
    cap = private_memorization_cap(epsilon, num_labels=k)
    assert 0 <= cap <= 1 - 1 / k
    assert cap <= private_memorization_cap(epsilon + 0.1, num_labels=k)
    assert private_memorization_cap(0.0, num_labels=k) == 0


def test_memorising_all_there_is_costs_nothing():
    alpha = zipf_frequencies(20)
    full = memorization_limited_excess(alpha, 30, num_labels=4, max_memorization=0.75)
    none = memorization_limited_excess(alpha, 30, num_labels=4, max_memorization=0.0)
    assert full == 0
    assert none == pytest.approx(excess_error(alpha, 30, [0.75]))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: zipf_frequencies(0), "num_items"),
        (lambda: zipf_frequencies(3, -1.0), "exponent"),
        (lambda: posterior_frequency([0.5, 1.5], 3), "frequencies"),
        (lambda: posterior_frequency([0.5, 0.5], 3, 4), "ell"),
        (lambda: posterior_frequency([0.0, 1.0], 3, 1), "frequencies"),
        (lambda: posterior_frequency([0.5, 0.5], 3, weights=[1.0]), "weights"),
        (lambda: posterior_frequency_beta(3, 1, a=0.0, b=1.0), "a must"),
        (lambda: expected_count([0.5, 0.4], 3, 1), "sum to 1"),
        (lambda: optimal_error([0.5, 0.5], 3, num_labels=1), "num_labels"),
        (lambda: excess_error([0.5, 0.5], 3, [1.1]), "misfit"),
        (lambda: excess_error([0.5, 0.5], 1, [0.1, 0.1]), "ell"),
        (lambda: tail_weight([0.5, 0.5], 1.0, 0.5), "low"),
        (lambda: tau_lower_bound([0.5, 0.5], 2), "n must"),
        (lambda: tau_short_tail_bound([0.5, 0.5], 4, theta=0.1, t=3.0), "empty"),
        (lambda: tau_short_tail_bound([0.5, 0.5], 4, theta=0.1, t=2.0), "theta"),
        (lambda: tau_short_tail_bound([0.5, 0.5], 4, theta=0.2, t=2.0), "theta"),
        (lambda: memorization_limited_excess([1.0], 3, num_labels=2, max_memorization=0.6), "max_memorization"),
        (lambda: private_memorization_cap(-1.0, num_labels=2), "epsilon"),
        (lambda: zipf_singleton_limit(5, 0), "n must"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
