"""Trials that go wrong in every way a trial can: each gets a verdict, and none is taken for a confirmation."""

import numpy as np
import pytest

from paper_checks import Bound, Equivalence, Exact, ExactRational, Identity, MonteCarlo, Ordering, Samples, verify
from paper_checks.tribunal import MAX_NUMBERS, one_line

RNG = np.random.default_rng(7)


@pytest.fixture
def put_on_trial(make, register):
    """Return a function that tries one claim and returns its verdict."""

    def put(build, **options):
        register(make.paper(one=(build, options)))
        return verify()["toy.one"]

    return put


def raises(error):
    def thunk():
        raise error

    return thunk


def test_a_right_claim_is_confirmed_with_all_that_a_verdict_carries(put_on_trial, make):
    def build(run):
        run.size("width", quick=3, standard=30, full=300)
        return make.trial()

    verdict = put_on_trial(build)
    assert verdict.ok
    assert (verdict.status, verdict.statistic, verdict.threshold) == ("confirmed", 0.0, 1e-12)
    assert verdict.resolution == pytest.approx(1e-12, rel=0.03)
    assert [(c.name, c.rejected, c.status) for c in verdict.controls] == [("twice", True, "refuted")]
    assert (verdict.scale, verdict.seed, verdict.sizes) == ("quick", 0, {"width": 3})
    assert verdict.numbers == {"predicted": [1.0] * 3, "measured": [1.0] * 3}
    assert verdict.seconds > 0
    assert verdict.device != "unknown"
    assert "jax" in verdict.versions


def test_a_wrong_claim_is_refuted(put_on_trial, make):
    verdict = put_on_trial(make.wrong)
    assert (verdict.status, verdict.ok, verdict.resolution) == ("refuted", False, None)
    assert verdict.message == "off by 0.333 at component (0,)"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"measure": raises(RuntimeError("it broke\nin two lines"))}, "RuntimeError: it broke in two lines"),
        ({"predict": raises(KeyError())}, "KeyError"),
        ({"predict": raises(SystemExit("enough"))}, "SystemExit: enough"),
        ({"measure": lambda: [1, np.nan, 1]}, "ValueError: the measurement must be finite; got nan at index (1,)"),
        ({"measure": lambda: [1, 1, np.inf]}, "ValueError: the measurement must be finite; got inf at index (2,)"),
        ({"predict": lambda: [1, 1, np.nan]}, "ValueError: the prediction must be finite; got nan at index (2,)"),
        ({"predict": lambda: np.ones(4)}, "ValueError: the prediction has shape (4,), the measurement (3,)"),
        ({"predict": lambda: 1.0}, "ValueError: the prediction has shape (), the measurement (3,)"),
        ({"predict": lambda: np.ones((3, 1))}, "ValueError: the prediction has shape (3, 1), the measurement (3,)"),
        ({"measure": lambda: Samples(np.ones((40, 3)))}, "ValueError: Identity needs a plain array; got Samples"),
        ({"measure": lambda: []}, "ValueError: the measurement must hold at least one number"),
        ({"measure": lambda: None}, "ValueError: the measurement must be an array of real numbers"),
        ({"predict": lambda: [1, 0, 1]}, "ValueError: scale must be positive where the prediction vanishes"),
        ({"scale": np.inf}, "ValueError: scale must be finite; got inf"),
        ({"scale": "biggest"}, "ValueError: scale must be None, 'largest' or positive numbers; got 'biggest'"),
        ({"controls": {}}, "ValueError: the trial's controls [] are not the registered ['twice']"),
        ({"counterexamples": {"twice": lambda: 1}}, "ValueError: the trial's controls ['twice', 'twice'] are not the"),
    ],
)
def test_what_cannot_be_judged_is_an_error_in_one_line(put_on_trial, make, changes, reason):
    verdict = put_on_trial(lambda run: make.trial(**changes))
    assert verdict.status == "error"
    assert not verdict.ok
    assert verdict.message.startswith(reason)
    assert "\n" not in verdict.message
    assert [(c.name, c.rejected) for c in verdict.controls] == [("twice", False)]


def test_a_set_up_that_raises_is_an_error_and_the_others_go_on(make, register):
    def broken(run):
        raise ZeroDivisionError

    register(make.paper(broken=broken, fine=make.right))
    report = verify()
    assert [v.status for v in report] == ["error", "confirmed"]
    assert not report.ok


def test_an_error_is_never_what_an_erratum_expects(put_on_trial, make):
    assert not put_on_trial(lambda run: make.trial(measure=raises(ValueError("no"))), expected="refuted").ok


def test_an_erratum_is_as_expected_when_refuted(put_on_trial, make):
    verdict = put_on_trial(make.wrong, expected="refuted")
    assert (verdict.status, verdict.ok) == ("refuted", True)
    assert not put_on_trial(make.right, expected="refuted").ok


@pytest.mark.parametrize(
    ("control", "status"),
    [
        (lambda: np.ones(3), "confirmed"),
        (lambda: np.ones(3) + 1e-15, "confirmed"),
        (raises(ValueError("no such formula")), "error"),
        (lambda: np.full(3, np.nan), "error"),
        (lambda: np.ones(2), "error"),
    ],
)
def test_a_control_that_slips_fails_the_claim(put_on_trial, make, control, status):
    verdict = put_on_trial(lambda run: make.trial(controls={"twice": control}))
    assert (verdict.status, verdict.ok) == ("confirmed", False)
    assert [(c.status, c.rejected) for c in verdict.controls] == [(status, False)]
    assert f"control 'twice' not rejected ({status})" in verdict.reason


def test_an_inconclusive_control_has_slipped(put_on_trial, make):
    values = RNG.normal(1, 0.1, (500, 1))
    verdict = put_on_trial(
        lambda run: make.trial(
            predict=lambda: np.array([0.5]), measure=lambda: Samples(values), controls={"twice": lambda: [1.0]}
        ),
        agreement=Ordering(),
    )
    assert (verdict.status, verdict.ok, verdict.controls[0].status) == ("confirmed", False, "inconclusive")


def test_every_control_is_tried_even_when_the_claim_is_refuted(put_on_trial, make):
    controls = {"a": lambda: np.zeros(3), "b": lambda: np.ones(3), "c": raises(ValueError())}
    verdict = put_on_trial(
        lambda run: make.trial(predict=lambda: 3 * np.ones(3), controls=controls), controls=("a", "b", "c")
    )
    assert [c.status for c in verdict.controls] == ["refuted", "confirmed", "error"]


def test_a_counterexample_must_refute_the_prediction(put_on_trial, make):
    def build(other):
        return lambda run: make.trial(controls={}, counterexamples={"twice": lambda: other})

    assert put_on_trial(build(np.ones(3) * 2)).ok
    assert not put_on_trial(build(np.ones(3))).ok
    verdict = put_on_trial(build(np.array([1.0, np.nan, 1.0])))
    assert verdict.message.startswith("ValueError: the counterexample 'twice' must be finite")


def test_a_counterexample_cannot_take_the_place_of_the_measurement(put_on_trial, make):
    verdict = put_on_trial(
        lambda run: make.trial(controls={}, counterexamples={"measurement": lambda: np.ones(3)}),
        controls=("measurement",),
    )
    assert verdict.message == "ValueError: a control must not be called 'measurement'"


def test_a_resolution_that_is_too_coarse_is_inconclusive(put_on_trial, make):
    verdict = put_on_trial(make.right, agreement=Identity(rtol=1e-3))
    assert (verdict.status, verdict.ok) == ("inconclusive", False)
    assert verdict.message == "would catch errors above 0.001, the claim accepts 1e-06"
    assert put_on_trial(make.right, agreement=Identity(rtol=1e-3, resolution=1e-2)).ok


def test_a_claim_that_would_catch_nothing_is_inconclusive(put_on_trial, make):
    verdict = put_on_trial(make.right, agreement=Equivalence(margin=5.0, resolution=0.5))
    assert verdict.status == "inconclusive"
    assert verdict.message == "would catch no error up to its own size, the claim accepts 0.5"


def test_ordinal_claims_have_no_resolution_and_bounds_have_their_slack(put_on_trial, make):
    below = {"predict": lambda: np.ones(3) * 0.5, "controls": {"twice": lambda: np.ones(3) * 2}}
    assert put_on_trial(lambda run: make.trial(**below), agreement=Ordering()).resolution is None
    above = {"predict": lambda: np.array([2.0, 1.25, 4.0]), "controls": {"twice": lambda: np.ones(3) * 0.5}}
    assert put_on_trial(lambda run: make.trial(**above), agreement=Bound()).resolution == pytest.approx(0.2)


def test_exact_expressions_go_through(put_on_trial, make):
    verdict = put_on_trial(
        lambda run: make.trial(
            predict=lambda: Exact(("(x + 1)**2",)),
            measure=lambda: Exact(("x**2 + 2*x + 1",)),
            controls={"twice": lambda: Exact(("2*(x + 1)**2",))},
        ),
        agreement=ExactRational(),
    )
    assert verdict.ok
    assert (verdict.statistic, verdict.resolution, verdict.numbers) == (0.0, None, {})


def test_a_prediction_of_zero_is_tried_at_the_scale_that_the_claim_names(put_on_trial, make):
    values = RNG.normal(0, 1, (400, 2))
    verdict = put_on_trial(
        lambda run: make.trial(
            predict=lambda: np.zeros(2), measure=lambda: Samples(values), controls={"twice": lambda: [1, 0]}, scale=10
        ),
        agreement=MonteCarlo(resolution=0.1),
    )
    assert verdict.ok
    assert verdict.threshold / 2 < verdict.resolution < 2 * verdict.threshold


def test_long_arrays_are_thinned_side_by_side(put_on_trial, make):
    n = 10 * MAX_NUMBERS + 3
    verdict = put_on_trial(
        lambda run: make.trial(
            predict=lambda: np.arange(1, n + 1),
            measure=lambda: np.arange(1, n + 1),
            controls={"twice": lambda: 2 * np.arange(1, n + 1)},
        )
    )
    assert len(verdict.numbers["measured"]) <= MAX_NUMBERS
    assert verdict.numbers["measured"] == verdict.numbers["predicted"]


def test_one_line():
    assert one_line(ValueError("a\n  b")) == "ValueError: a b"
    assert one_line(KeyError()) == "KeyError"
    assert len(one_line(ValueError("x" * 1000))) < 400
