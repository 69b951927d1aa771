"""Error rates of the statistical rules at levels that can be measured: seldom wrong when the theory is right.

Evidence of known truth goes through each rule a few hundred times at fixed seeds. The number of false alarms is tested
by the exact binomial distribution: were the rate at most the level, more would have come in one test of ten thousand.
``benchmarks/rules.py`` does the same with ten thousand experiments a row.
"""

import numpy as np
import pytest
from scipy import signal, stats

from paper_checks import Bound, Equivalence, FiniteSize, MonteCarlo, Ordering, Samples, Sizes
from paper_checks.resolution import measured_resolution, scaled

LEVELS = (1e-2, 1e-3)
SUSPICIOUS = 1e-4
N = 8.0 * 2 ** np.arange(5)


def gaussian(rng, shape):
    return rng.standard_normal(shape)


def student(degrees):
    return lambda rng, shape: rng.standard_t(degrees, shape)


def mildly_skewed(rng, shape):
    return (rng.gamma(16, size=shape) - 16) / 4


def correlated(rng, shape):
    return 0.98 * rng.standard_normal((*shape[:-1], 1)) + 0.2 * rng.standard_normal(shape)


def rare(rng, shape):
    return (rng.random(shape) < 0.005) - 0.005


def samples(noise, replicates, components, offset=0.0):
    return lambda rng: (Samples(1 + offset + 0.1 * noise(rng, (replicates, components))), np.ones(components))


def chain(rng):
    noise = rng.standard_normal((64 * 64, 2))
    noise[0] /= 0.6
    return Samples(1 + 0.1 * signal.lfilter([1], [1, -0.8], noise, axis=0)), np.ones(2)


def sizes(noise, replicates, components, bias=5.0):
    n = N[:, None, None]

    def make(rng):
        return Sizes(N, 1 + bias / n + 0.1 * noise(rng, (5, replicates, components)) / np.sqrt(n)), np.ones(components)

    return make


def shared(rng):
    n, common = N[:, None, None], rng.standard_normal((1, 100, 2))
    return Sizes(N, 1 + 5 / n + 0.1 * (common + 0.3 * rng.standard_normal((5, 100, 2))) / np.sqrt(n)), np.ones(2)


MEANS = {
    "30 Gaussian": (MonteCarlo(), samples(gaussian, 30, 1)),
    "Gaussian": (MonteCarlo(), samples(gaussian, 256, 10)),
    "t, 3": (MonteCarlo(), samples(student(3), 256, 5)),
    "t, 5": (MonteCarlo(), samples(student(5), 64, 5)),
    "mildly skewed": (MonteCarlo(), samples(mildly_skewed, 256, 5)),
    "correlated components": (MonteCarlo(), samples(correlated, 256, 10)),
    "correlated replicates": (MonteCarlo(batches=64), chain),
    "rare events": (MonteCarlo(), samples(rare, 256, 1)),
    "equivalence": (Equivalence(0.05), samples(gaussian, 100, 3, offset=0.05)),
    "equivalence, t": (Equivalence(0.05), samples(student(4), 100, 3, offset=0.05)),
    "bound": (Bound(), samples(gaussian, 100, 3)),
    "bound, t": (Bound(), samples(student(4), 100, 3)),
    "bound, skewed": (Bound(side="lower"), samples(mildly_skewed, 256, 3)),
}
LIMITS = {
    "bias": (FiniteSize(1), sizes(gaussian, 100, 2)),
    "bias, 30": (FiniteSize(1), sizes(gaussian, 30, 1)),
    "bias, t": (FiniteSize(1), sizes(student(4), 100, 2)),
    "bias, skewed": (FiniteSize(1), sizes(mildly_skewed, 100, 2)),
    "limit": (FiniteSize(1, of="limit"), sizes(gaussian, 64, 2)),
    "limit, two powers": (FiniteSize(1, second=2, of="limit"), sizes(gaussian, 64, 2)),
    "limit, correlated": (FiniteSize(1, of="limit"), sizes(correlated, 64, 5)),
    "limit, shared": (FiniteSize(1, of="limit"), shared),
    "fluctuation": (FiniteSize(0.5, of="fluctuation"), sizes(gaussian, 600, 1, bias=0)),
    "fluctuation, t": (FiniteSize(0.5, of="fluctuation"), sizes(student(5), 600, 1, bias=0)),
}


def count(rule, make, experiments, *, of="refuted", seed=5):
    """Count a status in so many experiments, at each level."""
    rng = np.random.default_rng(seed)
    counts = dict.fromkeys(LEVELS, 0)
    for _ in range(experiments):
        measurement, prediction = make(rng)
        for level in LEVELS:
            counts[level] += rule.weigh(measurement, prediction, level=level)(prediction).status == of
    return counts


def suspicious(counts, experiments):
    """Return the levels at which more alarms came than the level explains."""
    return [level for level, k in counts.items() if stats.binom.sf(k - 1, experiments, level) < SUSPICIOUS]


@pytest.mark.parametrize("name", MEANS)
def test_right_means_are_seldom_refuted(name):
    rule, make = MEANS[name]
    counts = count(rule, make, 600)
    assert not suspicious(counts, 600), counts


@pytest.mark.parametrize("name", LIMITS)
def test_right_limits_are_seldom_refuted(name):
    rule, make = LIMITS[name]
    counts = count(rule, make, 300)
    assert not suspicious(counts, 300), counts


@pytest.mark.parametrize("noise", [gaussian, student(4), mildly_skewed], ids=["gaussian", "t", "skewed"])
@pytest.mark.parametrize("status", ["confirmed", "refuted"])
def test_what_lies_on_the_border_is_seldom_ordered(noise, status):
    counts = count(Ordering(), samples(noise, 256, 1), 600, of=status)
    assert not suspicious(counts, 600), counts


def test_what_lies_on_the_margin_is_seldom_equivalent():
    counts = count(Equivalence(0.05), samples(gaussian, 100, 1, offset=0.05), 600, of="confirmed")
    assert not suspicious(counts, 600), counts


def test_this_study_would_see_a_rule_that_is_wrong_too_often():
    """Without the batches, correlated replicates must set off the alarm."""
    counts = count(MonteCarlo(), chain, 200)
    assert suspicious(counts, 200) == list(LEVELS)


POWERFUL = {
    "MonteCarlo": (MonteCarlo(), samples(gaussian, 256, 1)),
    "MonteCarlo, 2": (MonteCarlo(), samples(gaussian, 256, 2)),
    "MonteCarlo, 10": (MonteCarlo(), samples(gaussian, 256, 10)),
    "MonteCarlo, correlated": (MonteCarlo(), samples(correlated, 256, 10)),
    "Equivalence": (Equivalence(0.05), samples(gaussian, 256, 2)),
    "FiniteSize, bias": (FiniteSize(1), sizes(gaussian, 256, 2)),
    "FiniteSize, limit": (FiniteSize(1, of="limit"), sizes(gaussian, 256, 2)),
}


@pytest.mark.parametrize("name", POWERFUL)
def test_twice_the_reported_resolution_is_caught_in_fresh_evidence(name):
    rule, make = POWERFUL[name]
    rng = np.random.default_rng(6)
    missed, trials = 0, 200
    for trial in range(trials):
        measurement, prediction = make(rng)
        resolution = measured_resolution(rule.weigh(measurement, prediction, level=1e-3), prediction, prediction)
        wrong = scaled(prediction, 2 * resolution * (-1) ** trial, prediction)
        fresh, _ = make(rng)
        missed += rule.weigh(fresh, prediction, level=1e-3)(wrong).status != "refuted"
    assert stats.binom.sf(missed - 1, trials, 0.01) > SUSPICIOUS, f"missed {missed} of {trials}"


def test_twice_the_resolution_of_fluctuations_is_caught():
    rule, make = FiniteSize(0.5, of="fluctuation"), sizes(gaussian, 1500, 1, bias=0)
    rng = np.random.default_rng(7)
    caught = []
    for sign in (1, -1) * 10:
        measurement, prediction = make(rng)
        resolution = measured_resolution(rule.weigh(measurement, prediction, level=1e-3), prediction, prediction)
        wrong = scaled(prediction, 2 * resolution * sign, prediction)
        caught.append(rule.weigh(make(rng)[0], prediction, level=1e-3)(wrong).status == "refuted")
    assert sum(caught) >= 19


@pytest.mark.parametrize("side", [-1, 1])
def test_an_exponent_that_is_off_by_the_widest_accepted_interval_is_caught(side):
    rng = np.random.default_rng(8)
    make = sizes(gaussian, 256, 1, bias=8.0)
    right, wrong = FiniteSize(1), FiniteSize(1 + 0.15 * side)
    caught = 0
    for _ in range(100):
        measurement, prediction = make(rng)
        assert right.weigh(measurement, prediction)(prediction).status == "confirmed"
        caught += wrong.weigh(measurement, prediction)(prediction).status == "refuted"
    assert caught == 100


@pytest.mark.parametrize(("rule", "shift"), [(Bound(), -1), (Ordering(side="above"), -1), (Ordering(side="below"), 1)])
def test_twice_the_interval_decides(rule, shift):
    rng = np.random.default_rng(9)
    make = samples(gaussian, 256, 1)
    decided = []
    for _ in range(200):
        measurement, prediction = make(rng)
        half_width = rule.weigh(measurement, prediction)(prediction).uncertainty
        fresh, _ = make(rng)
        decided.append(rule.weigh(fresh, prediction)(prediction + 2 * shift * half_width).status)
    assert set(decided) == {"refuted" if isinstance(rule, Bound) else "confirmed"}


def test_noise_above_the_accepted_resolution_is_always_inconclusive():
    rng = np.random.default_rng(10)
    for rule, make in [
        (MonteCarlo(resolution=1e-2), samples(gaussian, 256, 2)),
        (Equivalence(margin=1e-2), samples(gaussian, 256, 2)),
        (FiniteSize(1, resolution=1e-3), sizes(gaussian, 512, 1)),
        (Ordering(), samples(gaussian, 256, 2)),
    ]:
        statuses = [rule.weigh(m, p)(p).status for m, p in (make(rng) for _ in range(50))]
        assert statuses == ["inconclusive"] * 50, rule


def test_gaussian_replicates_are_seldom_called_skewed_where_there_are_enough():
    """At the level of the suite; 512 is enough for ten components, 64 is not."""
    rng = np.random.default_rng(11)
    for replicates, share in ((512, 0.0), (64, 0.5)):
        make = samples(gaussian, replicates, 10)
        found = np.mean(
            [MonteCarlo().weigh(m, p)(p).status == "inconclusive" for m, p in (make(rng) for _ in range(200))]
        )
        assert found >= share if share else found == 0
