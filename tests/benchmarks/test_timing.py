import numpy as np
import pytest

from benchmarks.timing import Timing, duration, interleave, loosest_tolerance, once, peak_memory


def test_rivals_take_turns_in_alternating_order():
    called = []
    timings = interleave({name: lambda name=name: called.append(name) for name in "abc"}, rounds=4, sample=0)
    assert called == list("abc") + list("abccbaabccba")
    assert list(timings) == list("abc")
    assert all(t.seconds.shape == (4,) and np.all(t.seconds > 0) for t in timings.values())


def test_short_calls_are_repeated_to_fill_the_sample():
    calls = []
    interleave({"short": lambda: calls.append(1)}, rounds=2, sample=1e-3)
    assert len(calls) > 20


def test_a_ratio_compares_within_rounds():
    # the machine slows down tenfold half-way; the ratio does not
    slow, quick = Timing(np.array([2.0, 2.2, 20.0, 21.0])), Timing(np.array([1.0, 1.0, 10.0, 10.0]))
    ratio = slow.over(quick)
    assert ratio == pytest.approx((2.05, 2.0, 2.2))
    assert str(ratio) == "2.05 (2 to 2.2)"


def test_the_loosest_tolerance_is_found_to_a_tenth_of_a_decade():
    asked = []

    def error(tolerance):
        asked.append(tolerance)
        return 30 * tolerance

    found = loosest_tolerance(error, target=1e-10)
    assert 10**-0.1 * 1e-10 / 30 < found <= 1e-10 / 30
    assert len(asked) < 15


def test_a_tolerance_that_is_loose_enough_is_kept():
    assert 1e-5 <= loosest_tolerance(lambda rtol: 0.0, target=1e-10) < 1e-4


def test_an_error_that_never_meets_the_target_is_reported():
    with pytest.raises(RuntimeError, match="stays above"):
        loosest_tolerance(lambda rtol: 1.0, target=1e-10)


def test_peak_memory_counts_what_is_held_at_once():
    kept = np.ones(10_000)

    def work():
        return float((kept + np.ones(1_000_000).sum()).sum())

    assert 8e6 <= peak_memory(work) < 8.5e6


def test_once_measures_one_call():
    calls = []
    assert once(lambda: calls.append(1)) > 0
    assert calls == [1]


@pytest.mark.parametrize(("seconds", "text"), [(12.0, "12 s"), (0.5, "500 ms"), (3.4e-5, "34 µs"), (7e-9, "7 ns")])
def test_durations_have_units(seconds, text):
    assert duration(seconds) == text
