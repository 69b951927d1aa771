"""Every rule on evidence of known truth: what it confirms, refutes, leaves open, and cannot judge."""

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from paper_checks import (
    Bound,
    ConvergenceOrder,
    Equivalence,
    Exact,
    ExactRational,
    FiniteSize,
    Identity,
    Limit,
    MonteCarlo,
    Ordering,
    Samples,
    Sizes,
    Steps,
)
from paper_checks.agreement import natural_scale
from paper_checks.agreement.policy import LEVEL, MIN_REPLICATES
from paper_checks.evidence import normalise


def judge(rule, measurement, *predictions, scale=None):
    """Judge predictions at the scale of the first; return its judgement, or the statuses of all of several."""
    measurement = normalise(measurement, "the measurement")
    predictions = [normalise(p, "the prediction") for p in predictions]
    judge_one = rule.weigh(measurement, natural_scale(predictions[0], scale))
    found = [judge_one(p) for p in predictions]
    return found[0] if len(found) == 1 else [f.status for f in found]


def noisy(*mean, spread=0.1, replicates=500, seed=0):
    return Samples(mean + spread * np.random.default_rng(seed).standard_normal((replicates, len(mean))))


class TestIdentity:
    def test_rounding_is_granted_and_no_more(self):
        values = np.array([[1.0, 3.0], [-2.0, 1e9]])
        found = judge(Identity(1e-12), values * (1 + 1e-13), values, values * (1 + 2e-12), -values, scale=None)
        assert found == ["confirmed", "refuted", "refuted"]

    def test_the_worst_component_decides_and_is_named(self):
        found = judge(Identity(1e-12), [1.0, 2.0, 3.0], [1.0, 2.0, 3.3])
        assert (found.status, found.message) == ("refuted", "off by 0.0909 at component (2,)")
        assert judge(Identity(), 2.0, 3.0).message == "off by 0.333 at the only component"

    def test_small_components_count_by_the_scale_that_the_claim_names(self):
        measured, predicted = [1.0, 1e-13], [1.0, 2e-13]
        assert judge(Identity(1e-12), measured, predicted).status == "refuted"
        assert judge(Identity(1e-12), measured, predicted, scale="largest").status == "confirmed"
        assert judge(Identity(1e-12), measured, predicted, scale=[1.0, 0.5]).status == "confirmed"

    def test_integers_and_scalars_are_numbers(self):
        assert judge(Identity(), np.arange(1, 5), np.arange(1, 5)).status == "confirmed"
        assert judge(Identity(), 7, 7.0).status == "confirmed"


class TestExactRational:
    def test_what_simplifies_to_nothing_is_confirmed(self):
        measured = Exact(("x**2 - 1", sympy.sqrt(8), "1/3"))
        right = Exact(("(x - 1)*(x + 1)", 2 * sympy.sqrt(2), sympy.Rational(2, 6)))
        assert judge(ExactRational(), measured, right).status == "confirmed"

    def test_any_error_at_all_is_refuted_and_shown(self):
        found = judge(ExactRational(), Exact(("1/3", "x")), Exact(("1/3", "x + 1/10**30")))
        assert found.status == "refuted"
        assert found.message == f"term 1: measured x, predicted x + 1/1{'0' * 30}"
        assert found.statistic == 1

    @pytest.mark.parametrize("other", [Exact(("1", "2")), np.ones(1)])
    def test_other_kinds_and_numbers_of_terms_cannot_be_judged(self, other):
        with pytest.raises(ValueError, match="an Exact prediction of 1 terms"):
            judge(ExactRational(), Exact(("1",)), other)
        with pytest.raises(ValueError, match="needs an Exact measurement"):
            judge(ExactRational(), np.ones(1), Exact(("1",)))


class TestMonteCarlo:
    def test_a_mean_within_its_interval_is_confirmed_and_one_outside_refuted(self):
        found = judge(MonteCarlo(0.1), noisy(1.0, 2.0), [1.0, 2.0], [1.0, 2.1], [1.05, 2.0], [0.9, 1.9])
        assert found == ["confirmed", "refuted", "refuted", "refuted"]

    def test_noise_above_the_accepted_resolution_is_inconclusive(self):
        found = judge(MonteCarlo(1e-3), noisy(1.0), [1.0])
        assert found.status == "inconclusive"
        assert "wider than the accepted 0.001" in found.message
        assert judge(MonteCarlo(1e-3), noisy(1.0), [1.1]).status == "refuted"

    def test_the_interval_is_student_s_at_the_level_of_the_suite(self):
        samples = noisy(1.0)
        found = judge(MonteCarlo(), samples, [1.0])
        values = samples.values[:, 0]
        assert found.measured == pytest.approx(values.mean())
        assert found.uncertainty == pytest.approx(5.0 * values.std(ddof=1) / np.sqrt(500), rel=0.03)
        assert LEVEL == 1e-6

    def test_shapes_are_kept(self):
        values = np.random.default_rng(0).normal(1, 0.1, (500, 2, 3))
        found = judge(MonteCarlo(), Samples(values), np.ones((2, 3)))
        assert found.predicted.shape == found.measured.shape == found.uncertainty.shape == (2, 3)
        assert judge(MonteCarlo(), Samples(values[:, 0, 0]), 1.0).measured.shape == ()

    def test_log_normal_replicates_are_too_skewed(self):
        for seed in range(20):
            values = np.random.default_rng(seed).lognormal(size=256)
            found = judge(MonteCarlo(), Samples(values), np.exp(0.5))
            assert found.status == "inconclusive"
            assert found.message.startswith("too skewed for its replicates (tail effect ")
            assert judge(MonteCarlo(), Samples(np.log(values)), 0.0, scale=1.0).status == "confirmed"

    def test_too_skewed_is_never_refuted_however_wrong(self):
        values = np.random.default_rng(0).lognormal(size=256)
        assert judge(MonteCarlo(), Samples(values), 1e6).status == "inconclusive"

    def test_what_does_not_vary_confirms_and_leaves_open_but_refutes_nothing(self):
        never = np.zeros((300, 1))
        found = judge(MonteCarlo(), Samples(never), [0.0], [1e-3], scale=1.0)
        assert found == ["confirmed", "inconclusive"]
        with_noise = np.concatenate([never + 0.7, noisy(1.0, replicates=300).values], axis=1)
        found = judge(MonteCarlo(), Samples(with_noise), [0.7, 1.0], [0.6, 1.0], [0.7, 1.5], [0.6, 1.5])
        assert found == ["confirmed", "inconclusive", "refuted", "refuted"]

    @given(st.floats(0.01, 1e3), st.integers(100, 400))
    def test_a_constant_next_to_noise_is_no_skewness(self, value, replicates):
        values = np.column_stack([np.full(replicates, value), noisy(1.0, replicates=replicates).values])
        assert "skewed" not in judge(MonteCarlo(), Samples(values), [value, 1.0]).message

    def test_batches_widen_the_interval_of_correlated_replicates(self):
        rng = np.random.default_rng(1)
        walk = np.repeat(rng.standard_normal(500), 20)  # each value twenty times over: 500 independent ones
        naive = judge(MonteCarlo(), Samples(10 + walk), 10.0)
        batched = judge(MonteCarlo(batches=500), Samples(10 + walk), 10.0)
        assert batched.threshold == pytest.approx(naive.threshold * np.sqrt(20), rel=0.03)

    def test_few_replicates_cannot_be_judged(self):
        with pytest.raises(ValueError, match="MonteCarlo needs at least 30 replicates; got 29"):
            judge(MonteCarlo(), noisy(1.0, replicates=MIN_REPLICATES - 1), [1.0])
        with pytest.raises(ValueError, match="got 20"):
            judge(MonteCarlo(batches=20), noisy(1.0), [1.0])

    @pytest.mark.parametrize("prediction", [1.0, np.ones((2, 1)), np.ones(3), Limit(np.ones(2))])
    def test_other_shapes_cannot_be_judged(self, prediction):
        with pytest.raises(ValueError, match=r"the prediction has shape .*, the measurement \(2,\)|plain prediction"):
            judge(MonteCarlo(), noisy(1.0, 1.0), prediction)

    def test_it_needs_samples(self):
        with pytest.raises(ValueError, match="MonteCarlo needs Samples; got ndarray"):
            judge(MonteCarlo(), [1.0], [1.0])


class TestEquivalence:
    def test_inside_outside_and_across_the_margin(self):
        found = [judge(Equivalence(0.05), noisy(mean), [1.0]).status for mean in (1.0, 1.02, 0.9, 1.1, 1.05)]
        assert found == ["confirmed", "confirmed", "refuted", "refuted", "inconclusive"]

    def test_noise_wider_than_the_margin_confirms_nothing(self):
        assert judge(Equivalence(0.05), noisy(1.0, spread=1.0), [1.0]).status == "inconclusive"

    def test_one_component_outside_refutes(self):
        assert judge(Equivalence(0.05), noisy(1.0, 1.2), [1.0, 1.0]).status == "refuted"

    def test_plain_arrays_have_no_noise(self):
        assert judge(Equivalence(0.05), [1.0, 2.09], [1.0, 2.0], [1.0, 1.9]) == ["confirmed", "refuted"]

    def test_skewed_replicates_are_inconclusive(self):
        values = np.random.default_rng(0).lognormal(size=(256, 1))
        assert judge(Equivalence(0.5), Samples(values), [100.0]).status == "inconclusive"

    def test_the_numbers_side_by_side_are_in_the_units_of_the_measurement(self):
        found = judge(Equivalence(0.05), noisy(100.0, spread=1.0), [100.0])
        assert found.uncertainty == pytest.approx(judge(MonteCarlo(), noisy(100.0, spread=1.0), [100.0]).uncertainty)


class TestBound:
    def test_either_side(self):
        assert judge(Bound(), [1.0, 2.0], [1.0, 3.0], [1.0, 1.9]) == ["confirmed", "refuted"]
        assert judge(Bound(side="lower"), [1.0, 2.0], [1.0, 1.5], [1.1, 1.0]) == ["confirmed", "refuted"]

    def test_rounding_is_granted(self):
        assert judge(Bound(), [1.0 + 1e-13], [1.0], [1.0 - 1e-11]) == ["confirmed", "refuted"]

    def test_an_instance_must_exceed_its_own_interval(self):
        samples = noisy(1.0, 0.5)
        assert judge(Bound(), samples, [1.0, 1.0], [0.99, 1.0], [0.95, 1.0]) == ["confirmed", "confirmed", "refuted"]
        assert judge(Bound(side="lower"), samples, [1.0, 0.3], [1.0, 0.55]) == ["confirmed", "refuted"]

    def test_the_slack_is_reported(self):
        found = judge(Bound(), [1.0, 2.0, 3.0], [2.0, 2.5, 12.0])
        assert found.statistic == pytest.approx(0.2)
        assert found.message == "slack at least 0.2, median 0.5, worst component (1,)"

    def test_tight_asks_for_attainment(self):
        assert judge(Bound(tight=0.1), [1.0, 1.9], [2.0, 2.0]).status == "confirmed"
        found = judge(Bound(tight=0.1), [1.0, 1.5], [2.0, 2.0])
        assert found.status == "refuted"
        assert found.message.startswith("nowhere within 0.1 of the bound; slack at least 0.25")

    def test_attainment_within_the_noise_is_inconclusive(self):
        assert judge(Bound(tight=0.1), noisy(1.0), [1.0 / 0.905]).status == "inconclusive"
        assert judge(Bound(tight=0.1), noisy(1.0), [1.02]).status == "confirmed"
        assert judge(Bound(tight=0.1), noisy(1.0), [1.3]).status == "refuted"

    def test_skewed_replicates_are_inconclusive(self):
        assert judge(Bound(), Samples(np.random.default_rng(0).lognormal(size=256)), 1e-3).status == "inconclusive"


class TestOrdering:
    def test_either_side_and_between(self):
        samples = noisy(1.0)
        assert judge(Ordering(), samples, [0.9], [1.1], [1.0]) == ["confirmed", "refuted", "inconclusive"]
        assert judge(Ordering(side="below"), samples, [1.1], [0.9], [1.0]) == ["confirmed", "refuted", "inconclusive"]

    def test_every_component_must_be_on_its_side(self):
        samples = noisy(1.0, 2.0)
        found = judge(Ordering(), samples, [0.5, 1.5], [0.5, 2.0], [0.5, 2.5], [1.5, 1.5])
        assert found == ["confirmed", "inconclusive", "refuted", "refuted"]

    def test_plain_arrays_have_no_noise_and_ties_stay_open(self):
        found = judge(Ordering(), [1.0, 2.0], [0.9, 1.9], [1.0, 1.9], [1.1, 1.9])
        assert found == ["confirmed", "inconclusive", "refuted"]

    def test_thresholds_may_be_zero_where_a_scale_is_named(self):
        assert judge(Ordering(), noisy(1.0), [0.0], scale=1.0).status == "confirmed"

    def test_skewed_replicates_are_inconclusive(self):
        values = np.random.default_rng(0).lognormal(size=256)
        assert judge(Ordering(), Samples(values), 1e-3, 1e3) == ["inconclusive", "inconclusive"]


H = 2.0 ** -np.arange(3, 9)


class TestConvergenceOrder:
    @given(
        st.sampled_from([1, 1.5, 2, 4]),
        st.floats(-3, 3).filter(lambda c: abs(c) > 0.5),
        st.floats(-1, 1),
        st.floats(2, 3),
    )
    def test_series_of_the_claimed_order_are_confirmed_with_their_coefficient(self, order, c, second, ratio):
        h = 0.1 * ratio ** -np.arange(5.0)
        values = 2.0 + c * h**order + second * h ** (order + 1)
        found = judge(ConvergenceOrder(order), Steps(h, values), Limit(2.0, c))
        assert found.status == "confirmed", found.message

    @pytest.mark.parametrize(("true", "claimed"), [(2, 1), (1, 2), (1, 1.5), (1.2, 1), (3, 2), (0.5, 1)])
    def test_another_order_is_refuted(self, true, claimed):
        assert judge(ConvergenceOrder(claimed), Steps(H, 1 + H**true), 1.0).status == "refuted"

    def test_another_limit_is_refuted_at_the_extrapolated_accuracy(self):
        found = judge(ConvergenceOrder(1), Steps(H, np.exp(H)), 1.0, 1.0 + 1e-9, 1.0 - 1e-9)
        assert found == ["confirmed", "refuted", "refuted"]

    def test_the_order_of_the_steps_does_not_matter(self):
        shuffled = np.random.default_rng(0).permutation(H)
        one, other = (judge(ConvergenceOrder(1), Steps(h, np.exp(h)), 1.0) for h in (H, shuffled))
        assert (one.status, one.statistic, one.message) == (other.status, other.statistic, other.message)

    def test_another_coefficient_is_refuted_also_where_one_of_them_vanishes(self):
        rounding = 1e-16 * np.array([1, -1, 2, 0, -2, 1])
        values = np.stack([1 + 2 * H, 0.7 + rounding], axis=1)
        found = judge(
            ConvergenceOrder(1),
            Steps(H, values),
            Limit([1.0, 0.7], [2.0, 0.0]),
            Limit([1.0, 0.7], [2.1, 0.0]),
            Limit([1.0, 0.7], [2.0, 0.1]),
            Limit([1.0, 0.7], [0.0, 0.0]),
        )
        assert found == ["confirmed", "refuted", "refuted", "refuted"]

    def test_a_coefficient_that_is_not_known_is_inconclusive(self):
        noise = 1e-4 * np.array([1.0, -1.0, 1.0, -1.0])
        found = judge(ConvergenceOrder(1), Steps(H[:4], 1 + H[:4] + noise), Limit(1.0, 1.0), Limit(1.0, 1.5))
        assert found == ["inconclusive", "refuted"]

    def test_values_that_agree_to_rounding_have_no_order(self):
        found = judge(ConvergenceOrder(1), Steps(H, np.ones(6)), 1.0, 1.0 + 1e-9)
        assert found == ["inconclusive", "refuted"]
        tiny = judge(ConvergenceOrder(1), Steps(H, 1 + 1e-13 * H), 1.0)
        assert (tiny.status, tiny.message) == ("inconclusive", "the errors have reached the rounding floor")

    def test_a_stated_accuracy_widens_the_floor(self):
        values = 1 + H + 1e-9 * np.sin(1e5 * H)
        assert judge(ConvergenceOrder(1, accuracy=1e-9), Steps(H, values), 1.0).status == "confirmed"
        assert judge(ConvergenceOrder(1, accuracy=1e-3), Steps(H, values), 1.0).status == "inconclusive"

    def test_a_limit_known_too_coarsely_is_inconclusive(self):
        values = 1 + H[:4] + 20 * H[:4] ** 4
        found = judge(ConvergenceOrder(1, resolution=1e-9), Steps(H[:4], values), 1.0)
        assert found.status == "inconclusive"
        assert "accepted is 1e-09" in found.message

    def test_errors_of_alternating_sign_confirm_nothing(self):
        values = 1 + H * (-1.0) ** np.arange(6)
        assert judge(ConvergenceOrder(1, resolution=1e-3), Steps(H, values), 1.0).status == "inconclusive"

    def test_slower_corrections_stay_within_the_uncertainty(self):
        for power in (1.1, 1.25, 1.5, 1.75, 2.5):
            values = 1 + 0.3 * H + 0.3 * H**power
            found = judge(ConvergenceOrder(1), Steps(H, values), 1.0)
            assert found.statistic <= found.threshold, power

    def test_a_prediction_at_every_step_must_be_approached(self):
        measured = Steps(H, np.exp(H))
        right, shifted = Steps(H, np.exp(H) + 3 * H), Steps(H, np.exp(H) + 3 * H + 1e-6)
        too_good = Steps(H, np.exp(H) + H**2)
        assert judge(ConvergenceOrder(1), measured, right, shifted, too_good) == ["confirmed", "refuted", "refuted"]
        with pytest.raises(ValueError, match="the prediction is at steps"):
            judge(ConvergenceOrder(1), measured, Steps(2 * H, np.exp(H)))

    @pytest.mark.parametrize(
        ("steps", "reason"),
        [
            ([0.1, 0.05, 0.025], "4 or more steps; got 3"),
            ([0.4, 0.3, 0.2, 0.1], "must form a geometric progression"),
            ([0.1, 0.1, 0.1, 0.1], "must form a geometric progression"),
            ([0.4, 0.2, 0.1, 0.0], "steps must be positive"),
            ([-0.8, -0.4, -0.2, -0.1], "steps must be positive"),
            ([[0.8, 0.4], [0.2, 0.1]], "one value a step"),
        ],
    )
    def test_steps_must_be_a_geometric_progression(self, steps, reason):
        with pytest.raises(ValueError, match=reason):
            judge(ConvergenceOrder(1), Steps(steps, np.ones(np.shape(steps)[0])), 1.0)

    def test_shapes_must_match(self):
        with pytest.raises(ValueError, match=r"the prediction has shape \(3,\), the measurement \(2,\)"):
            judge(ConvergenceOrder(1), Steps(H, np.ones((6, 2))), np.ones(3))
        with pytest.raises(ValueError, match="predicted coefficient has shape"):
            judge(ConvergenceOrder(1), Steps(H, 1 + H), Limit(1.0, [1.0, 2.0]))
        with pytest.raises(ValueError, match="ConvergenceOrder needs Steps; got Samples"):
            judge(ConvergenceOrder(1), Samples(np.ones(6)), 1.0)


N = 8.0 * 2 ** np.arange(5)


def sizes(limit=1.0, bias=0.0, power=1.0, spread=0.1, fall=0.5, replicates=400, second=0.0, seed=0):
    n = N[:, None, None]
    noise = spread * np.random.default_rng(seed).standard_normal((5, replicates, 2)) * n**-fall
    return Sizes(N, limit + bias * n**-power + second * n ** (-2 * power) + noise)


class TestFiniteSize:
    def test_limit_and_exponent_are_confirmed(self):
        found = judge(FiniteSize(1, resolution=0.01), sizes(bias=5), [1.0, 1.0])
        assert found.status == "confirmed"
        assert found.message.startswith("fitted exponent [")
        assert judge(FiniteSize(0.5, resolution=0.05), sizes(bias=2, power=0.5), [1.0, 1.0]).status == "confirmed"

    def test_another_limit_is_refuted(self):
        found = judge(FiniteSize(1), sizes(bias=5), [1.0, 1.0], [1.0, 1.01], [0.99, 1.0])
        assert found == ["confirmed", "refuted", "refuted"]

    @pytest.mark.parametrize("power", [0.5, 0.85, 1.15, 2.0])
    @pytest.mark.parametrize("of", ["bias", "limit"])
    def test_another_exponent_is_refuted(self, power, of):
        assert judge(FiniteSize(1, of=of), sizes(bias=5, power=power, spread=0.01), [1.0, 1.0]).status == "refuted"

    def test_an_exponent_within_noise_is_inconclusive_unless_only_the_limit_is_claimed(self):
        evidence = sizes(bias=0.5)
        bias = judge(FiniteSize(1), evidence, [1.0, 1.0])
        assert bias.status == "inconclusive"
        assert bias.message.startswith("exponent known to")
        assert judge(FiniteSize(1, of="limit"), evidence, [1.0, 1.0]).status == "confirmed"

    def test_without_any_correction_there_is_no_exponent(self):
        assert judge(FiniteSize(1), sizes(), [1.0, 1.0]).status == "inconclusive"
        assert judge(FiniteSize(1, of="limit"), sizes(), [1.0, 1.0]).status == "confirmed"

    def test_a_limit_known_too_coarsely_is_inconclusive(self):
        found = judge(FiniteSize(1, resolution=1e-4), sizes(bias=5), [1.0, 1.0])
        assert found.status == "inconclusive"
        assert "accepted is 0.0001" in found.message

    def test_corrections_that_do_not_fit_refute_and_a_second_power_may_cure_it(self):
        evidence = sizes(bias=5, second=40, spread=0.01)
        assert judge(FiniteSize(1, of="limit"), evidence, [1.0, 1.0]).status == "refuted"
        assert judge(FiniteSize(1, second=2, of="limit"), evidence, [1.0, 1.0]).status == "confirmed"

    def test_the_coefficient_is_judged_where_it_is_given(self):
        evidence = sizes(bias=5)
        found = judge(
            FiniteSize(1), evidence, Limit([1.0, 1.0], [5.0, 5.0]), Limit([1.0, 1.0], [5.0, 6.0]), Limit([1.0, 1.0])
        )
        assert found == ["confirmed", "refuted", "confirmed"]

    def test_the_order_of_the_sizes_does_not_matter(self):
        evidence = sizes(bias=5)
        backwards = Sizes(evidence.sizes[::-1], evidence.samples[::-1])
        one, other = (judge(FiniteSize(1), e, Limit([1.0, 1.0], [5.0, 5.0])) for e in (evidence, backwards))
        assert one.status == other.status == "confirmed"
        assert one.statistic == pytest.approx(other.statistic)

    def test_a_size_without_noise_does_no_harm(self):
        evidence = sizes(bias=5)
        evidence.samples[2] = 1 + 5 / N[2]
        assert judge(FiniteSize(1), evidence, [1.0, 1.0], [1.02, 1.0]) == ["confirmed", "refuted"]

    def test_fluctuations_fall_as_claimed(self):
        evidence = sizes(replicates=8000)
        assert judge(FiniteSize(0.5, of="fluctuation"), evidence, [1.0, 1.0]).status == "confirmed"
        for wrong in (0.4, 0.6, 1.0):
            assert judge(FiniteSize(wrong, of="fluctuation"), evidence, [1.0, 1.0]).status == "refuted"
        assert judge(FiniteSize(0.5, of="fluctuation"), evidence, [1.1, 1.0]).status == "refuted"

    def test_the_size_of_fluctuations_is_judged_where_it_is_given(self):
        rule, evidence = FiniteSize(0.5, of="fluctuation"), sizes(replicates=8000)
        found = judge(rule, evidence, Limit([1.0, 1.0], [0.1, 0.1]), Limit([1.0, 1.0], [0.1, 0.12]))
        assert found == ["confirmed", "refuted"]

    def test_fluctuations_of_few_replicates_are_inconclusive(self):
        assert judge(FiniteSize(0.5, of="fluctuation"), sizes(replicates=300), [1.0, 1.0]).status == "inconclusive"

    def test_fluctuations_that_follow_no_power_are_refuted(self):
        evidence = sizes(replicates=8000, fall=0.0)
        evidence.samples[:] = 1 + (evidence.samples - 1) * np.array([1, 0.9, 0.5, 0.2, 0.19])[:, None, None]
        assert judge(FiniteSize(0.7, of="fluctuation"), evidence, [1.0, 1.0]).status == "refuted"

    @pytest.mark.parametrize("of", ["bias", "limit", "fluctuation"])
    def test_skewed_replicates_are_inconclusive(self, of):
        values = np.random.default_rng(0).lognormal(size=(5, 256)) / N[:, None]
        assert judge(FiniteSize(1, of=of), Sizes(N, 1 + values), 1.0).status == "inconclusive"

    @pytest.mark.parametrize(
        ("evidence", "reason"),
        [
            (Sizes(N[:3], np.ones((3, 50))), "samples at 4 or more sizes"),
            (Sizes(N, np.ones((4, 50))), "samples at 4 or more sizes"),
            (Sizes([1, 2, 3, 4], np.ones((4, 50))), "must form a geometric progression"),
            (Sizes([0, 1, 2, 4], np.ones((4, 50))), "sizes must be positive"),
            (Sizes(N, np.ones((5, 29))), "at least 30 replicates; got 29"),
            (Sizes(N, np.ones((5, 50, 2))), r"the prediction has shape \(\), the measurement \(2,\)"),
            (Samples(np.ones(50)), "FiniteSize needs Sizes; got Samples"),
        ],
    )
    def test_what_cannot_be_judged(self, evidence, reason):
        with pytest.raises(ValueError, match=reason):
            judge(FiniteSize(1), evidence, 1.0)


@pytest.mark.parametrize(
    ("rule", "evidence", "prediction"),
    [
        (Identity(), [1.0, 2.0], [1.0, 2.0]),
        (ExactRational(), Exact(("1/3",)), Exact(("1/3",))),
        (MonteCarlo(), noisy(1.0), [1.0]),
        (Equivalence(0.05), noisy(1.0), [1.0]),
        (Bound(), noisy(1.0), [1.1]),
        (Ordering(), noisy(1.0), [0.9]),
        (ConvergenceOrder(1), Steps(H, np.exp(H)), 1.0),
        (FiniteSize(1), sizes(bias=5), [1.0, 1.0]),
    ],
    ids=lambda x: x.name if hasattr(x, "name") else "",
)
def test_a_judgement_depends_on_nothing_but_its_arguments(rule, evidence, prediction):
    first, again = judge(rule, evidence, prediction), judge(rule, evidence, prediction)
    assert (first.status, first.statistic, first.threshold) == (again.status, again.statistic, again.threshold)
    assert first.status == "confirmed"
