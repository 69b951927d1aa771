"""The statistics behind the rules, against direct computation, brute force and SciPy."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from paper_checks.statistics import (
    Contrasts,
    batch_means,
    holm_rejections,
    mean_interval,
    regression_weights,
    two_sided_quantiles,
)

P_VALUES = hnp.arrays(float, st.integers(1, 6), elements=st.floats(0, 1))


def closed_test_rejections(p_values, level):
    """Reject a hypothesis when Bonferroni rejects every intersection that it takes part in."""
    m = len(p_values)
    subsets = [s for size in range(1, m + 1) for s in combinations(range(m), size)]
    kept = [s for s in subsets if min(p_values[list(s)]) > level / len(s)]
    return np.array([not any(i in s for s in kept) for i in range(m)])


@given(P_VALUES, st.sampled_from([0.01, 0.05, 0.3, 0.9]))
def test_holm_is_the_closure_of_bonferroni(p_values, level):
    assert np.array_equal(holm_rejections(p_values, level), closed_test_rejections(p_values, level))


@given(P_VALUES, st.sampled_from([0.05, 0.3]))
def test_holm_rejects_something_exactly_when_bonferroni_does(p_values, level):
    assert holm_rejections(p_values, level).any() == (p_values.min() <= level / p_values.size)


@given(P_VALUES, st.randoms())
def test_holm_does_not_depend_on_the_order(p_values, random):
    order = list(range(p_values.size))
    random.shuffle(order)
    assert np.array_equal(holm_rejections(p_values[order], 0.3), holm_rejections(p_values, 0.3)[order])


@pytest.mark.parametrize("level", [1e-2, 1e-6])
@pytest.mark.parametrize("tests", [1, 100])
def test_quantiles_invert_the_tails(level, tests):
    t, z = two_sided_quantiles(level, tests, 40)
    assert 2 * tests * stats.t.sf(t, 40) == pytest.approx(level)
    assert 2 * tests * stats.norm.sf(z) == pytest.approx(level)
    assert t > z


def test_intervals_of_means_are_those_of_scipy():
    samples = np.random.default_rng(1).gamma(2, size=(50, 3))
    found = mean_interval(samples, 0.03)
    low, high = stats.t.interval(1 - 0.01, 49, loc=samples.mean(axis=0), scale=stats.sem(samples))
    assert found.mean - found.half_width == pytest.approx(low)
    assert found.mean + found.half_width == pytest.approx(high)
    z = stats.norm.isf(0.005)
    assert found.skew_effect == pytest.approx(np.max(np.abs(stats.skew(samples))) * z**3 / (6 * np.sqrt(50)))


@given(st.floats(-1e6, 1e6), st.integers(30, 300))
def test_what_does_not_vary_is_not_skewed(value, replicates):
    found = mean_interval(np.full((replicates, 2), value), 1e-6)
    assert found.skew_effect == 0
    assert np.all(found.half_width <= 1e-13 * max(abs(value), 1e-300))


def test_rounding_is_not_skewness():
    samples = 0.1 + 1e-17 * np.random.default_rng(2).exponential(size=(300, 1))
    assert mean_interval(samples, 1e-6).skew_effect == 0
    assert Contrasts(samples[None].repeat(4, axis=0)).interval(np.ones((1, 1, 4)), t=5.0, z=5.0).skew_effect == 0


@given(st.integers(1, 7), st.integers(0, 5), st.integers(1, 4))
def test_batch_means_average_neighbours_and_drop_the_front(length, dropped, batches):
    samples = np.random.default_rng(3).normal(size=(batches * length + min(dropped, batches - 1), 2))
    kept = samples[-batches * length :]
    expected = [kept[i * length : (i + 1) * length].mean(axis=0) for i in range(batches)]
    assert batch_means(samples, batches) == pytest.approx(np.array(expected))


def test_batch_means_cure_correlation():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(64 * 100, 40))
    chain = np.empty_like(noise)
    chain[0] = noise[0]
    for i in range(1, len(chain)):
        chain[i] = 0.9 * chain[i - 1] + noise[i]
    true_error = 10 / np.sqrt(len(chain))  # of the mean, for unit innovations
    assert np.median(chain.std(axis=0) / np.sqrt(len(chain))) < 0.3 * true_error
    batched = batch_means(chain, 64)
    assert np.median(batched.std(axis=0, ddof=1) / 8) == pytest.approx(true_error, rel=0.15)


def test_contrasts_are_those_of_each_replicate():
    rng = np.random.default_rng(5)
    samples = rng.gamma(1.5, size=(5, 200, 3)) * np.arange(1, 6)[:, None, None]
    weights = rng.normal(size=(3, 4, 5))
    found = Contrasts(samples).interval(weights, t=3.0, z=4.0)
    direct = np.einsum("mck,krm->rcm", weights, samples)
    assert found.mean == pytest.approx(direct.mean(axis=0))
    assert found.half_width == pytest.approx(3.0 * stats.sem(direct, axis=0))
    skew = np.max(np.abs(stats.skew(direct, axis=0))) * (199 / 200) ** 1.5
    assert found.skew_effect == pytest.approx(skew * 4.0**3 / (6 * np.sqrt(200)))


def test_contrasts_hold_for_sizes_that_share_random_numbers():
    shared = np.random.default_rng(6).normal(size=(1, 500, 1))
    found = Contrasts(np.concatenate([shared, shared + 1e-3])).interval(np.array([[[1.0, -1.0]]]), t=5.0, z=5.0)
    assert found.mean == pytest.approx(-1e-3)
    assert found.half_width == pytest.approx(0, abs=1e-12)


def test_the_variance_of_means():
    samples = np.random.default_rng(7).normal(size=(4, 60, 2))
    assert Contrasts(samples).variance() == pytest.approx(stats.sem(samples, axis=1) ** 2)


def test_regression_weights_are_weighted_least_squares():
    rng = np.random.default_rng(8)
    design, variance, values = rng.normal(size=(6, 2)), rng.uniform(0.5, 2, (6, 3)), rng.normal(size=(6, 3))
    coefficients, residuals = regression_weights(design, variance)
    for m in range(3):
        root = 1 / np.sqrt(variance[:, m])
        direct = np.linalg.lstsq(root[:, None] * design, root * values[:, m], rcond=None)[0]
        assert coefficients[m] @ values[:, m] == pytest.approx(direct)
        assert residuals[m] @ values[:, m] == pytest.approx(values[:, m] - design @ direct)
        assert residuals[m] @ design == pytest.approx(np.zeros((6, 2)), abs=1e-12)
