"""The resolution is the smallest error that a rule refutes, in both directions, whatever the rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paper_checks import ConvergenceOrder, Equivalence, FiniteSize, Identity, Limit, MonteCarlo, Samples, Sizes, Steps
from paper_checks.agreement import Judgement, natural_scale
from paper_checks.evidence import normalise
from paper_checks.resolution import COARSEST, FINEST, measured_resolution, scaled


def refuting(condition):
    return lambda prediction: Judgement("refuted" if condition(prediction) else "confirmed", 0.0, 0.0)


ONE = np.array(1.0)


@given(st.floats(-14, -0.1), st.floats(-14, -0.1))
def test_the_larger_of_both_directions_is_found_to_two_percent(up, down):
    found = measured_resolution(refuting(lambda p: p - 1 > 10**up or 1 - p > 10**down), ONE, ONE)
    assert 10 ** max(up, down) * (1 - 1e-2) <= found <= 10 ** max(up, down) * 1.021 + 4 * FINEST


def test_what_is_never_refuted_has_no_resolution():
    assert measured_resolution(refuting(lambda p: False), ONE, ONE) is None
    assert measured_resolution(refuting(lambda p: p > 1), ONE, ONE) is None


def test_what_is_only_inconclusive_is_not_caught():
    judge = lambda p: Judgement("refuted" if abs(p - 1) > 0.3 else "inconclusive", 0.0, 0.0)  # noqa: E731
    assert measured_resolution(judge, ONE, ONE) == pytest.approx(0.3, rel=0.03)


def test_an_error_of_the_theory_s_own_size_is_tried():
    assert measured_resolution(refuting(lambda p: p >= 2 or p <= 0), ONE, ONE) == COARSEST


def test_the_error_that_is_reported_is_one_that_is_refuted():
    calls = []

    def judge(p):
        calls.append(float(p) - 1)
        return Judgement("refuted" if abs(p - 1) > 1e-3 else "confirmed", 0.0, 0.0)

    found = measured_resolution(judge, ONE, ONE)
    assert judge(1 + found).status == judge(1 - found).status == "refuted"
    assert judge(1 + found / 1.03).status == "confirmed"
    assert len(calls) < 120


def test_scaling_keeps_kinds_and_zeros():
    ones = np.ones(2)
    assert scaled(np.array([2.0, 0.0]), 0.5, ones).tolist() == [3.0, 0.0]
    assert scaled(np.zeros(2), 0.5, 4 * ones).tolist() == [2.0, 2.0]
    limit = scaled(Limit(2 * ones, 3 * ones), 0.5, ones)
    assert (limit.value.tolist(), limit.coefficient.tolist()) == ([3.0, 3.0], [3.0, 3.0])
    steps = scaled(Steps(ones, np.array([[2.0], [4.0]])), 0.5, ones)
    assert steps.values.tolist() == [[3.0], [6.0]]
    assert steps.steps is ones


def resolution(rule, measurement, prediction, scale=None):
    measurement, prediction = normalise(measurement, "measurement"), normalise(prediction, "prediction")
    size = natural_scale(prediction, scale)
    judge = rule.weigh(measurement, size)
    judgement = judge(prediction)
    assert judgement.status == "confirmed", judgement
    return judgement, measured_resolution(judge, prediction, size)


RNG = np.random.default_rng(11)
NOISY = Samples(RNG.normal(2.0, 0.1, (400, 2)))
H = 2.0 ** -np.arange(3, 9)
N = 8.0 * 2 ** np.arange(5)


@pytest.mark.parametrize(
    ("rule", "measurement", "prediction", "scale"),
    [
        (Identity(1e-12), [1.0, 3.0], [1.0, 3.0], None),
        (MonteCarlo(), NOISY, [2.0, 2.0], None),
        (Equivalence(0.05), NOISY, [2.0, 2.0], None),
        (ConvergenceOrder(1), Steps(H, np.exp(3 * H)), 1.0, None),
        (ConvergenceOrder(1), Steps(H, np.exp(3 * H)), Steps(H, np.exp(3 * H) - H), None),
        (
            FiniteSize(1),
            Sizes(N, 2 + 1 / N[:, None] + RNG.normal(0, 0.02, (5, 400)) / N[:, None]),
            2.0,
            None,
        ),
        (
            FiniteSize(0.5, of="fluctuation"),
            Sizes(N, 2 + RNG.normal(0, 1, (5, 6000)) / np.sqrt(N[:, None])),
            2.0,
            None,
        ),
        (MonteCarlo(), Samples(RNG.normal(0.0, 0.1, (400, 2))), [0.0, 0.0], 1.0),
    ],
)
def test_every_error_above_the_resolution_is_refuted(rule, measurement, prediction, scale):
    _, found = resolution(rule, measurement, prediction, scale)
    assert found is not None
    measurement, prediction = normalise(measurement, "measurement"), normalise(prediction, "prediction")
    size = natural_scale(prediction, scale)
    judge = rule.weigh(measurement, size)
    for delta in np.geomspace(found, 1.0, 30):
        for sign in (1, -1):
            assert judge(scaled(prediction, sign * delta, size)).status == "refuted", (delta, sign)


def test_the_resolution_of_a_mean_is_its_interval_plus_its_deviation():
    values = RNG.normal(1.0, 0.1, 500)
    judgement, found = resolution(MonteCarlo(), Samples(values), 1.0)
    assert found == pytest.approx(judgement.threshold + judgement.statistic, rel=0.025)


def test_the_resolution_of_an_equivalence_is_its_margin_plus_its_noise():
    _, found = resolution(Equivalence(0.2), 1.05, 1.0)
    assert found == pytest.approx(0.25, rel=0.025)
