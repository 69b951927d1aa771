"""Classical bounds: digits against mpmath over the whole domain, order, duality, counts, and bad input."""

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import generalization as gen

unit = st.floats(-12, 0).map(lambda power: 10**power)
biases = st.one_of(unit.map(lambda p: p / 2), unit.map(lambda p: 1 - p / 2))


def divergence(q, p):
    q, p = mp.mpf(float(q)), mp.mpf(float(p))
    first = q * mp.log(q / p) if q else mp.mpf(0)
    return first + ((1 - q) * mp.log((1 - q) / (1 - p)) if q != 1 else 0)


class TestDivergence:
    @given(biases, biases)
    def test_twelve_digits_everywhere(self, q, p):
        with mp.workdps(60):
            exact = divergence(q, p)
        assert gen.bernoulli_kl(q, p) == pytest.approx(float(exact), rel=1e-12, abs=1e-300)

    @pytest.mark.parametrize("p", [1e-9, 0.3, 0.7, 1 - 1e-9])
    @pytest.mark.parametrize("gap", [1e-15, 1e-12, 1e-6])
    def test_twelve_digits_where_arguments_meet(self, p, gap):
        q = min(p * (1 + gap), 1.0)
        if q == p:
            assert gen.bernoulli_kl(q, p) == 0
            return
        with mp.workdps(60):
            exact = divergence(q, p)
        assert gen.bernoulli_kl(q, p) == pytest.approx(float(exact), rel=1e-12)

    def test_corners(self):
        assert gen.bernoulli_kl(0, 0) == gen.bernoulli_kl(1, 1) == 0
        assert gen.bernoulli_kl(0.5, 0) == gen.bernoulli_kl(0, 1) == np.inf
        assert gen.bernoulli_kl(1, 0.25) == pytest.approx(math.log(4))

    @given(biases, st.floats(-14, 2).map(lambda power: 10**power))
    def test_the_inverse_is_one_and_lies_above(self, q, c):
        p = gen.kl_inverse(q, c)
        assert q <= p <= 1
        if p < 1 - 1e-12:
            # a change of the last digit of p is what the divergence may be off by
            slope = (p - q) / (p * (1 - p)) * np.spacing(p) * 4
            assert gen.bernoulli_kl(q, p) == pytest.approx(c, rel=1e-11, abs=slope)

    @given(st.floats(1e-9, 0.999), st.floats(1e-6, 5))
    def test_pinsker_and_catoni_duality(self, q, c):
        p = gen.kl_inverse(q, c)
        assert p <= q + math.sqrt(c / 2) + 1e-15
        C = np.geomspace(1e-3, 60, 4000)
        others = np.expm1(-C * q - c) / np.expm1(-C)
        assert others.min() >= p * (1 - 1e-12)

    def test_no_errors_seen(self):
        np.testing.assert_allclose(gen.kl_inverse(0, [0.0, 0.2, 30.0]), -np.expm1([0.0, -0.2, -30.0]), rtol=1e-14)


class TestTails:
    @pytest.mark.parametrize(
        ("n", "p", "k"),
        [(1, 0.3, 1), (50, 0.3, 25), (1000, 0.001, 5), (10**6, 0.5, 503_000), (10**9, 1e-6, 1500), (40, 1e-9, 3)],
    )
    def test_exact_tail_to_twelve_digits(self, n, p, k):
        with mp.workdps(40):
            exact = _tail(n, p, k)
        assert gen.binomial_tail(n, p, k / n - p) == pytest.approx(float(exact), rel=1e-11)

    @given(st.integers(1, 400), biases, st.floats(1e-6, 1))
    def test_order_of_the_bounds(self, n, p, share):
        t = share * (1 - p)
        v = p * (1 - p)
        chernoff = gen.chernoff_tail(n, p, t)
        slack = 1 + 1e-9
        assert gen.binomial_tail(n, p, t) <= chernoff * slack + 1e-300
        for b in (1 - p, 1.0):
            bennett = gen.bennett_tail(n, t, variance=v, bound=b)
            assert chernoff <= bennett * slack
            assert bennett <= gen.bernstein_tail(n, t, variance=v, bound=b) * slack
        assert chernoff <= gen.hoeffding_tail(n, t) * slack

    def test_large_deviations(self):
        n = np.array([50, 200, 800, 3200])
        ratio = gen.bahadur_rao_tail(n, 0.3, 0.2) / gen.binomial_tail(n, 0.3, 0.2)
        coefficient = (1 / ratio - 1) * n
        assert np.all(np.diff(np.abs(np.diff(coefficient))) < 0)
        assert coefficient[-1] == pytest.approx(-3.98, abs=0.01)

    def test_corners(self):
        assert gen.binomial_tail(5, 0.3, 0.0) <= 1
        assert gen.binomial_tail(5, 0.0, 0.0) == 1
        assert gen.binomial_tail(5, 0.2, 0.9) == 0
        assert gen.bennett_tail(5, 0.1, variance=0.0) == 0
        assert gen.bernstein_tail(5, 0.0, variance=0.0) == 1


def _tail(n, p, k):
    """Sum a far tail term by term."""
    p = mp.mpf(p)
    term = mp.exp(
        mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1) + k * mp.log(p) + (n - k) * mp.log1p(-p)
    )
    total, j = mp.mpf(0), k
    while term > total * mp.mpf(10) ** -30:
        total += term
        term *= p / (1 - p) * (n - j) / (j + 1)
        j += 1
    return total


class TestPacBayes:
    @pytest.mark.parametrize("n", [1, 2, 5, 8, 50, 400])
    def test_maurers_constant_by_its_sum(self, n):
        with mp.workdps(50):
            exact = mp.fsum(
                mp.binomial(n, k) * (mp.mpf(k) / n) ** k * (1 - mp.mpf(k) / n) ** (n - k) for k in range(n + 1)
            )
        assert gen.maurer_constant(n) == pytest.approx(float(exact), rel=1e-13)

    def test_maurers_constant_lies_between_its_bounds(self):
        n = np.arange(1, 2000)
        constant = gen.maurer_constant(n)
        assert np.all(np.sqrt(n) <= constant)
        assert np.all(constant <= 2 * np.sqrt(n) * (1 + 1e-14))
        huge = 10**12
        assert gen.maurer_constant(huge) == pytest.approx(math.sqrt(math.pi * huge / 2) + 2 / 3, rel=1e-13)

    @given(st.floats(0, 1), st.floats(0, 50), st.integers(1, 10**6), st.floats(1e-6, 0.5))
    def test_seeger_lies_below_mcallester(self, risk, kl, n, delta):
        seeger = gen.pac_bayes_seeger(risk, kl, n, delta=delta)
        assert risk <= seeger <= min(1.0, gen.pac_bayes_mcallester(risk, kl, n, delta=delta)) + 1e-14

    @given(st.integers(2, 6), st.floats(0.2, 3), st.integers(1, 40), st.integers(0, 10**6))
    def test_no_posterior_beats_gibbs(self, many, c, n, seed):
        rng = np.random.default_rng(seed)
        risks, prior = rng.uniform(size=many), rng.dirichlet(np.ones(many))

        def bound(posterior):
            kl = np.sum(posterior * np.log(posterior / prior))
            return gen.pac_bayes_catoni(posterior @ risks, max(kl, 0.0), n, delta=0.05, c=c)

        best = bound(gen.gibbs_posterior(risks, inverse_temperature=c * n, prior=prior))
        assert all(best <= bound(other) + 1e-12 for other in rng.dirichlet(np.ones(many), 50))


class TestComplexity:
    def test_linear_classes_between_khintchines_bounds(self):
        rng = np.random.default_rng(0)
        for n, d in ((2, 1), (5, 3), (9, 12)):
            X = rng.standard_normal((n, d))
            size = np.linalg.norm(X) / n
            assert size / math.sqrt(2) <= gen.rademacher_linear(X) <= size
        assert gen.rademacher_linear(np.eye(6)) == pytest.approx(math.sqrt(6) / 6)
        assert gen.rademacher_linear([[1.0], [1.0]]) == pytest.approx(0.5)

    def test_thresholds_on_ten_points(self):
        A = np.where(np.arange(10) < np.arange(11)[:, None], 1.0, -1.0)
        assert gen.rademacher_finite(A) == pytest.approx(0.416796875, rel=1e-14)
        assert gen.massart_bound(11, 10) == pytest.approx(math.sqrt(2 * math.log(11) / 10))

    @given(st.integers(1, 60), st.integers(1, 60))
    def test_covers_recursion(self, N, d):
        if N > 1 and d > 1:
            assert gen.cover_count(N, d) == gen.cover_count(N - 1, d) + gen.cover_count(N - 1, d - 1)
        assert gen.cover_count(2 * d, d) == 2 ** (2 * d - 1)
        assert gen.cover_count(min(N, d), d) == 2 ** min(N, d)

    @given(st.integers(0, 40), st.integers(0, 12))
    def test_sauers_count(self, m, v):
        assert gen.sauer_bound(m, v) == sum(math.comb(m, i) for i in range(v + 1))
        if m >= v > 0:
            assert gen.sauer_bound(m, v) <= (math.e * m / v) ** v * (1 + 1e-12)

    def test_gaussian_rows(self):
        assert gen.rademacher_linear_gaussian(10, 3) == pytest.approx(0.504627, abs=1e-6)
        assert gen.rademacher_linear_gaussian(1, 10**8) == pytest.approx(1e4, rel=1e-8)


class TestTraining:
    def test_ols_errors_meet_where_the_sample_is_large(self):
        train, test = gen.ols_errors([30, 10**7], 6, noise_std=0.8)
        np.testing.assert_allclose(train[0], 0.512)
        np.testing.assert_allclose(test[0], 0.64 * (1 + 6 / 23))
        assert test[1] / train[1] == pytest.approx(1, abs=2e-6)

    @given(st.integers(0, 10**6), st.floats(0.01, 10))
    def test_leaving_one_out_by_refitting(self, seed, ridge):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((7, 4)), rng.standard_normal(7)
        found = gen.ridge_loo_residuals(X, y, ridge=ridge)
        for i, keep in enumerate(itertools.combinations(range(7), 6)):
            left = 6 - i
            rows = list(keep)
            w = np.linalg.solve(X[rows].T @ X[rows] + ridge * np.eye(4), X[rows].T @ y[rows])
            assert found[left] == pytest.approx(y[left] - X[left] @ w, rel=1e-9, abs=1e-11)

    def test_stability(self):
        assert gen.stability_bound_strongly_convex(100, lipschitz=2.0, strong_convexity=0.5) == pytest.approx(0.16)


class TestTable:
    def test_every_term_brings_its_bounds(self):
        table = gen.compare_bounds(
            1000, 0.05, num_hypotheses=100, vc_dim=5, rademacher=0.02, kl=10.0, catoni_c=1.0, stability=1e-3,
            information=3.0, zero_one=True,
        )  # fmt: skip
        bounds = gen.risk_bounds(
            1000, 0.05, num_hypotheses=100, vc_dim=5, rademacher=0.02, kl=10.0, catoni_c=1.0, stability=1e-3,
            information=3.0, zero_one=True,
        )  # fmt: skip
        assert len(bounds) == 12
        assert {row.name for row in table} == set(bounds)
        values = [row.value for row in table]
        assert values == sorted(values)
        assert all(name in repr(table) for name in bounds)
        assert "<table" in table._repr_html_()

    def test_a_test_set_needs_no_complexity(self):
        bounds = gen.risk_bounds(10_000, 0.1, zero_one=True)
        assert bounds["clopper-pearson"] <= bounds["chernoff"] <= bounds["hoeffding"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gen.bernoulli_kl(-0.1, 0.5), "q must be in"),
        (lambda: gen.bernoulli_kl(0.1, 1.5), "p must be in"),
        (lambda: gen.kl_inverse(0.1, -1), "c must be nonnegative"),
        (lambda: gen.binomial_tail(0, 0.5, 0.1), "n must be at least 1"),
        (lambda: gen.binomial_tail(5, 0.5, -0.1), "t must be nonnegative"),
        (lambda: gen.hoeffding_tail(5, np.nan), "t must be finite"),
        (lambda: gen.bernstein_tail(5, 0.1, variance=-1), "variance must be nonnegative"),
        (lambda: gen.bennett_tail(5, 0.1, variance=1, bound=0), "bound must be positive"),
        (lambda: gen.bahadur_rao_tail(5, 0.5, 0.5), r"p \+ t must be in"),
        (lambda: gen.maurer_constant(0), "n must be at least 1"),
        (lambda: gen.pac_bayes_seeger(1.1, 1, 10, delta=0.1), "empirical_risk must be in"),
        (lambda: gen.pac_bayes_mcallester(0.1, -1, 10, delta=0.1), "kl must be nonnegative"),
        (lambda: gen.pac_bayes_catoni(0.1, 1, 10, delta=1.0, c=1), "delta must be in"),
        (lambda: gen.pac_bayes_catoni(0.1, 1, 10, delta=0.1, c=0), "c must be positive"),
        (lambda: gen.gibbs_posterior([0.1], inverse_temperature=1, prior=[0.5]), "prior"),
        (lambda: gen.cover_count(0, 1), "num_points must be at least 1"),
        (lambda: gen.sauer_bound(3, -1), "vc_dim must be at least 0"),
        (lambda: gen.massart_bound(0, 1), "num_vectors must be at least 1"),
        (lambda: gen.ols_errors(5, 4, noise_std=1), "n must"),
        (lambda: gen.ridge_loo_residuals([[1.0]], [1.0, 2.0], ridge=1.0), "y must"),
        (lambda: gen.stability_bound_strongly_convex(5, lipschitz=-1, strong_convexity=1), "lipschitz must be"),
        (lambda: gen.risk_bounds(10, 0.1, catoni_c=1.0), "catoni_c must come with kl"),
        (lambda: gen.risk_bounds(10, 0.15, zero_one=True), "whole"),
        (lambda: gen.risk_bounds(10, 0.1, delta=0.0), "delta must be in"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
