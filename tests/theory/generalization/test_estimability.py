from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.generalization import (
    linear_bias_tradeoff,
    minimax_estimation_failure,
    occupancy_distribution,
    rank_distribution,
)

fields = st.sampled_from([2, 3, 4, 5, 8, 9, 49])


@settings(max_examples=60, deadline=None)
@given(d=st.integers(1, 60), n=st.integers(0, 200))
def test_occupancy_is_a_law_with_the_mean_of_coupons(d, n):
    law = occupancy_distribution(d, n)
    assert law.sum() == pytest.approx(1, rel=1e-12)
    assert law @ np.arange(d + 1) == pytest.approx(d * (1 - (1 - 1 / d) ** n), rel=1e-11, abs=1e-12)
    assert not law[min(d, n) + 1 :].any()


@pytest.mark.parametrize(("d", "n"), [(5, 3), (12, 30), (200, 20)])
def test_occupancy_by_stirling_numbers(d, n):
    law = occupancy_distribution(d, n)
    for j in range(1, min(d, n) + 1):
        exact = mpmath.stirling2(n, j, exact=True) * mpmath.ff(d, j) / mpmath.mpf(d) ** n
        assert law[j] == pytest.approx(float(exact), rel=1e-11, abs=1e-300)


@settings(max_examples=80, deadline=None)
@given(d=st.integers(1, 40), n=st.integers(0, 40), eps=st.floats(0.001, 0.6))
def test_failure_falls_with_a_coarser_aim_and_with_more_points(d, n, eps):
    failure = minimax_estimation_failure(d, n, eps)
    assert 0 <= failure < 1
    assert minimax_estimation_failure(d, n, eps * 1.3) <= failure + 1e-12
    assert minimax_estimation_failure(d, n + 1, eps) <= failure + 1e-12


@settings(max_examples=60, deadline=None)
@given(d=st.integers(1, 60), data=st.data())
def test_every_estimator_fails_half_the_time_on_half_the_domain(d, data):
    n = data.draw(st.integers(0, d // 2))
    assert minimax_estimation_failure(d, n, 0.25) >= 0.5 - 1e-12
    if n > 0 and d % 2 == 0:
        assert minimax_estimation_failure(d, n, 0.25) == pytest.approx(0.5)


def test_an_estimate_in_the_middle_serves_everything():
    assert minimax_estimation_failure(7, 2, 0.51) == 0
    assert minimax_estimation_failure(7, 2, 1e9) == 0


def test_finest_aim_leaves_a_guess_at_the_number():
    assert minimax_estimation_failure(5, 0, 1e-300) == pytest.approx(5 / 6)


@pytest.mark.parametrize(("d", "eps"), [(20, Fraction(3, 20)), (30, Fraction(1, 10)), (21, Fraction(1, 6))])
def test_whole_windows_survive_rounding(d, eps):
    window = -(-2 * eps * d // 1)
    law = occupancy_distribution(d, 4)
    exact = 1 - sum(p / ((d - j) // window + 1) for j, p in enumerate(law) if p)
    for value in (float(eps), np.nextafter(float(eps), 1), np.nextafter(float(eps), 0)):
        assert minimax_estimation_failure(d, 4, value) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize(
    ("d", "n", "eps", "value"),
    [(2, 1, 1 / 4, 1 / 2), (3, 1, 1 / 6, 2 / 3), (3, 2, 1 / 6, 5 / 9), (3, 2, 0.3, 1 / 6), (4, 2, 1 / 8, 0.6875)],
)
def test_golden_failures(d, n, eps, value):
    assert minimax_estimation_failure(d, n, eps) == pytest.approx(value, rel=1e-14)


@settings(max_examples=80, deadline=None)
@given(n=st.integers(0, 40), k=st.integers(0, 40), q=fields)
def test_ranks_are_a_law_and_those_of_the_transpose(n, k, q):
    law = rank_distribution(n, k, q)
    assert law.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(law, rank_distribution(k, n, q), rtol=1e-12)
    # every nonzero vector of weights is in the kernel with probability q^-n, or the kernel has q^(k - r) elements
    kernel = law @ float(q) ** (k - np.arange(law.size))
    assert kernel == pytest.approx(1 + (float(q) ** k - 1) * float(q) ** -n, rel=1e-11)


@pytest.mark.parametrize(("n", "k", "q"), [(3, 5, 2), (60, 62, 3), (9, 4, 7)])
def test_ranks_by_counting_in_integers(n, k, q):
    for r, found in enumerate(rank_distribution(n, k, q)):
        count = Fraction(1)
        for i in range(r):
            count *= Fraction((q**n - q**i) * (q**k - q**i), q**r - q**i)
        assert found == pytest.approx(float(count / q ** (n * k)), rel=1e-12, abs=1e-300)


@settings(max_examples=80, deadline=None)
@given(d=st.integers(1, 40), n=st.integers(0, 20), q=fields, data=st.data())
def test_failure_is_at_most_a_coin_and_accuracy_at_least_a_guess(d, n, q, data):
    k = data.draw(st.integers(0, d - 1))
    found = linear_bias_tradeoff(d, k, n, q=q)
    assert 0 <= found.failure <= 0.5 + 1e-12
    assert float(q) ** -k * (1 - 1e-12) <= found.accuracy <= 1 + 1e-12
    # an estimator that always says that the learner missed fails when it hit
    missed = found.accuracy / 2 + 0.5 * float(q) ** min(n - d, 0)
    assert found.failure <= min(missed, 1) + 1e-12


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 12), more=st.integers(1, 30), q=fields)
def test_least_estimable_where_the_subspace_is_as_large_as_the_sample(n, more, q):
    floor = np.prod(1 - float(q) ** -np.arange(1, n + 1)) / 2
    assert linear_bias_tradeoff(n + more, n, n, q=q).failure >= floor - 1e-12


@pytest.mark.parametrize(
    ("d", "k", "n", "q", "value"),
    [
        (3, 1, 1, 2, 0.40625),
        (3, 1, 2, 2, 0.37890625),
        (4, 2, 2, 2, 0.37548828125),
        (4, 3, 2, 2, 0.227294921875),
        (2, 1, 1, 3, 23 / 54),
    ],
)
def test_golden_biases(d, k, n, q, value):
    assert linear_bias_tradeoff(d, k, n, q=q).failure == pytest.approx(value, rel=1e-13)


def test_large_dimensions_neither_overflow_nor_warn():
    found = linear_bias_tradeoff(3000, 300, 300)
    assert found.failure == pytest.approx(linear_bias_tradeoff(40, 30, 30).failure, abs=1e-3)
    assert linear_bias_tradeoff(3000, 200, 300).accuracy == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: occupancy_distribution(0, 1), "domain_size"),
        (lambda: occupancy_distribution(3, -1), "n must"),
        (lambda: minimax_estimation_failure(0, 1, 0.1), "domain_size"),
        (lambda: minimax_estimation_failure(3, -1, 0.1), "n must"),
        (lambda: minimax_estimation_failure(3, 1, 0.0), "eps"),
        (lambda: rank_distribution(-1, 2), "rows"),
        (lambda: rank_distribution(1, -2), "cols"),
        (lambda: rank_distribution(1, 2, 6), "q must"),
        (lambda: linear_bias_tradeoff(3, 3, 1), "k must"),
        (lambda: linear_bias_tradeoff(0, 0, 1), "d must"),
        (lambda: linear_bias_tradeoff(3, 1, -1), "n must"),
        (lambda: linear_bias_tradeoff(3, 1, 1, q=12), "q must"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
