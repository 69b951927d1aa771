"""Timings of rivals taken in turn, peak memory, tolerances that buy one accuracy, and how to print such numbers.

On a machine with other work to do, an absolute time says little. Rivals are therefore timed round by round, each round
in the reverse order of the one before, and compared within a round.
"""

import gc
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Call = Callable[[], Any]

CAVEAT = "Medians of one run on a machine with other work; ratios are medians over the rounds of that run."


class Ratio(NamedTuple):
    """How many times longer one call took than another: the median over rounds, and the extremes."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.2g} to {self.high:.2g})"


class Timing(NamedTuple):
    """Seconds that one call took, round by round."""

    seconds: Array

    @property
    def median(self) -> float:
        """The median over rounds, in seconds."""
        return float(np.median(self.seconds))

    def over(self, other: "Timing") -> Ratio:
        """Compare with another call timed in the same rounds."""
        ratios = self.seconds / other.seconds
        return Ratio(float(np.median(ratios)), float(ratios.min()), float(ratios.max()))


def once(call: Call) -> float:
    """Return the seconds of one call, the first of a jitted function with its compilation."""
    return _seconds(call, 1)


def interleave(calls: Mapping[str, Call], *, rounds: int = 7, sample: float = 0.01) -> dict[str, Timing]:
    """Time every call once a round, after one call to warm it up; short calls are repeated to fill ``sample`` seconds.

    A call must return only when its work is done: a function of JAX has to block until its result is ready.
    """
    repeats = {}
    for name, call in calls.items():
        call()
        repeats[name] = max(1, int(sample / max(once(call), 1e-9))) if sample else 1
    found: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for _ in range(rounds):
        for name in order:
            found[name].append(_seconds(calls[name], repeats[name]))
        order.reverse()
    return {name: Timing(np.array(seconds)) for name, seconds in found.items()}


def peak_memory(call: Call) -> int:
    """Return the most bytes that a call held at once beyond what was there before, as far as tracemalloc sees.

    NumPy's arrays are seen; what compiled code allocates by itself, JAX's for one, is not. The call runs slower.
    """
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def loosest_tolerance(error: Callable[[float], float], *, target: float, loosest: float = 1e-5) -> float:
    """Find the largest tolerance, to a tenth of a decade, at which a solver's measured ``error`` meets ``target``.

    Steps down in decades from ``loosest``, then bisects the last one, so that a rival is asked for no more digits than
    it is compared at.

    Raises
    ------
    RuntimeError
        If the target is not met at a tolerance of 1e-15 either.
    """
    exponent = np.log10(loosest)
    while error(10.0**exponent) > target:
        exponent -= 1
        if exponent < -15:
            raise RuntimeError(f"the error stays above {target:g} at every tolerance down to 1e-15")
    met, missed = exponent, exponent + 1
    while missed - met > 0.1:
        middle = (met + missed) / 2
        met, missed = (middle, missed) if error(10.0**middle) <= target else (met, middle)
    return float(10.0**met)


def duration(seconds: float) -> str:
    """Write a time with three digits and a unit.

    >>> duration(0.00123), duration(4.2e-8), duration(75.0)
    ('1.23 ms', '42 ns', '75 s')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def _seconds(call: Call, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
