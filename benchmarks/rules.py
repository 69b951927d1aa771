"""Error rates of the statistical rules: false alarms where the theory is right, and power where it is not.

Nothing is simulated but noise: evidence of known truth goes through the rules themselves, ten thousand times for each
row. Levels are those that can be measured in this way; the suite's own, 1e-6, is tried in ``benchmarks.tails``.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import signal, stats

from paper_checks import Bound, Equivalence, FiniteSize, MonteCarlo, Ordering, Samples, Sizes
from paper_checks.agreement import Agreement
from paper_checks.resolution import measured_resolution, scaled

Array = NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]

SEED = 20
EXPERIMENTS = 10_000
POWER_EXPERIMENTS = 400
LEVELS = (1e-2, 1e-3)
CONFIDENCE = 0.99
N = 8.0 * 2 ** np.arange(5)


def gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.standard_normal(shape)


def student(degrees: int) -> Noise:
    return lambda rng, shape: rng.standard_t(degrees, shape) / np.sqrt(degrees / (degrees - 2))


def skewed(skewness: float) -> Noise:
    """Gamma noise, standardised."""
    a = 4 / skewness**2
    return lambda rng, shape: (rng.gamma(a, size=shape) - a) / np.sqrt(a)


def correlated(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Gaussian noise of which components share 96 % of their variance."""
    return np.sqrt(0.96) * rng.standard_normal((*shape[:-1], 1)) + 0.2 * rng.standard_normal(shape)


def rare_event(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Whether something happened that does in one replicate of two hundred, less its probability."""
    return (rng.random(shape) < 0.005) - 0.005


@dataclass(frozen=True)
class Row:
    """A rule, with evidence for which the theory is as right as the rule allows.

    ``make`` draws a measurement and the prediction; ``alarm`` is the status that the rule must give at most at its
    level, and ``detection`` the status it must give at twice the resolution.
    """

    rule: Agreement
    evidence: str
    make: Callable[[np.random.Generator], tuple[Any, Array]]
    alarm: Literal["refuted", "confirmed"] = "refuted"
    detection: Literal["refuted", "confirmed"] = "refuted"
    name: str = ""


@dataclass(frozen=True)
class Rate:
    """How often something happened in how many experiments."""

    count: int
    total: int

    def __str__(self) -> str:
        if not self.total:
            return "–"
        low, high = stats.binomtest(self.count, self.total).proportion_ci(CONFIDENCE)
        return f"{self.count / self.total:.2g} ({low:.2g} to {high:.2g})"


def samples(noise: Noise, replicates: int, components: int, offset: float = 0.0) -> Callable[..., tuple[Any, Array]]:
    shape = (replicates, components)
    return lambda rng: (Samples(1 + offset + 0.1 * noise(rng, shape)), np.ones(components))


def chain(rng: np.random.Generator) -> tuple[Any, Array]:
    """Two stationary autoregressive chains with correlation 0.8 between neighbours."""
    innovations = rng.standard_normal((64 * 128, 2))
    innovations[0] /= np.sqrt(1 - 0.8**2)
    return Samples(1 + 0.1 * signal.lfilter([1], [1, -0.8], innovations, axis=0)), np.ones(2)


def sizes(noise: Noise, replicates: int, components: int, *, bias: float = 5.0) -> Callable[..., tuple[Any, Array]]:
    """Return evidence with the limit 1, a bias / n, and noise that falls as 1 / sqrt(n)."""

    def make(rng: np.random.Generator) -> tuple[Any, Array]:
        n = N[:, None, None]
        return Sizes(N, 1 + bias / n + 0.1 * noise(rng, (5, replicates, components)) / np.sqrt(n)), np.ones(components)

    return make


def shared(rng: np.random.Generator) -> tuple[Any, Array]:
    """Sizes whose replicates share most of their randomness."""
    n = N[:, None, None]
    common, own = rng.standard_normal((1, 100, 2)), rng.standard_normal((5, 100, 2))
    return Sizes(N, 1 + 5 / n + 0.1 * (0.95 * common + 0.3 * own) / np.sqrt(n)), np.ones(2)


def rows() -> Iterator[Row]:
    """Yield every rule on every kind of evidence."""
    noises: dict[str, Noise] = {
        "Gaussian": gaussian,
        "Student t, 3 degrees": student(3),
        "Student t, 5 degrees": student(5),
        "gamma, skewness 1/2": skewed(0.5),
        "gamma, skewness 1": skewed(1.0),
        "correlated components": correlated,
    }
    yield Row(MonteCarlo(), "30 Gaussian", samples(gaussian, 30, 1))
    for name, noise in noises.items():
        yield Row(MonteCarlo(), f"256 x 10 {name}", samples(noise, 256, 10))
    yield Row(MonteCarlo(), "256 rare events, 1/200", samples(rare_event, 256, 1))
    yield Row(MonteCarlo(batches=64), "64 batches of a chain", chain, name="MonteCarlo, batches")
    fewer = {name: noises[name] for name in ("Gaussian", "Student t, 5 degrees", "gamma, skewness 1")}
    for name, noise in fewer.items():
        yield Row(Equivalence(0.05), f"256 x 4 {name}, at the margin", samples(noise, 256, 4, 0.05))
    outside = samples(gaussian, 256, 1, 0.05)
    yield Row(
        Equivalence(0.05), "256 Gaussian, at the margin", outside, alarm="confirmed", name="Equivalence, confirmed"
    )
    for name, noise in fewer.items():
        yield Row(Bound(), f"256 x 4 {name}, at the bound", samples(noise, 256, 4))
    for name, noise in fewer.items():
        yield Row(Ordering(), f"256 {name}, at the border", samples(noise, 256, 1), "confirmed", "confirmed")
    for of in ("bias", "limit"):
        rule, title = FiniteSize(1, of=of), f"FiniteSize, {of}"
        yield Row(rule, "30 Gaussian", sizes(gaussian, 30, 1), name=title)
        yield Row(rule, "100 x 2 Gaussian", sizes(gaussian, 100, 2), name=title)
        yield Row(rule, "100 x 2 Student t, 5 degrees", sizes(student(5), 100, 2), name=title)
        yield Row(rule, "256 x 2 gamma, skewness 1/2", sizes(skewed(0.5), 256, 2), name=title)
        yield Row(rule, "100 x 5 correlated components", sizes(correlated, 100, 5), name=title)
        yield Row(rule, "100 x 2 shared random numbers", shared, name=title)
    fluctuation = FiniteSize(0.5, of="fluctuation")
    for name, noise in fewer.items():
        evidence = sizes(noise, 1000, 1, bias=0.0)
        yield Row(fluctuation, f"1000 {name}", evidence, name="FiniteSize, fluctuation")


ROWS = tuple(rows())


def false_alarms(which: int, experiments: int, seed: int) -> list[tuple[int, int]]:
    """Count alarms and inconclusive verdicts of one row, at each level, over the same evidence."""
    row, rng = ROWS[which], np.random.default_rng([SEED, which, seed])
    counts = [[0, 0] for _ in LEVELS]
    for _ in range(experiments):
        measurement, prediction = row.make(rng)
        for count, level in zip(counts, LEVELS, strict=True):
            status = row.rule.weigh(measurement, prediction, level=level)(prediction).status
            count[0] += status == row.alarm
            count[1] += status == "inconclusive"
    return [(alarms, inconclusive) for alarms, inconclusive in counts]


def detections(which: int, experiments: int, seed: int) -> tuple[int, int]:
    """Count detections, in fresh evidence, of an error of twice the resolution that was reported, and the trials.

    Trials count where a resolution was reported and the fresh evidence passed the guard against skewness. For the rules
    without a resolution the error is twice the half-width of the interval.
    """
    row, rng = ROWS[which], np.random.default_rng([SEED, which, seed, 1])
    found = trials = 0
    for trial in range(experiments):
        measurement, prediction = row.make(rng)
        judge = row.rule.weigh(measurement, prediction, level=LEVELS[-1])
        if row.rule.measures_resolution:
            error, sign = measured_resolution(judge, prediction, prediction), (-1) ** trial
        else:
            error, sign = float(np.max(judge(prediction).uncertainty)), -1
        if error is None:
            continue
        wrong = scaled(prediction, 2 * sign * error, prediction)
        found_now = row.rule.weigh(row.make(rng)[0], prediction, level=LEVELS[-1])(wrong)
        trials += "too skewed" not in found_now.message
        found += found_now.status == row.detection
    return found, trials


def main(experiments: int = EXPERIMENTS) -> None:
    """Print the table of all rates."""
    console = Console(width=None if Console().is_terminal else 150)
    workers = os.cpu_count() or 1
    shares = 2 * workers
    table = Table(
        title=f"False alarms in {experiments} experiments a row, with {CONFIDENCE:.0%} intervals (Clopper-Pearson)"
    )
    for column in (
        "rule",
        "evidence",
        "level",
        "false alarms",
        "over level",
        "inconclusive",
        "power at 2 x resolution",
    ):
        table.add_column(column, justify="left" if column in ("rule", "evidence") else "right", no_wrap=True)
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
        alarms = [
            [pool.submit(false_alarms, which, experiments // shares, share) for share in range(shares)]
            for which in range(len(ROWS))
        ]
        powers = [
            [pool.submit(detections, which, _power_experiments(which) // shares, share) for share in range(shares)]
            for which in range(len(ROWS))
        ]
        for which, row in enumerate(ROWS):
            counts = np.sum([future.result() for future in alarms[which]], axis=0)
            total = experiments // shares * shares
            detected = Rate(*np.sum([future.result() for future in powers[which]], axis=0))
            for level, (count, inconclusive) in zip(LEVELS, counts, strict=True):
                power = str(detected) if level == LEVELS[-1] and row.alarm == row.detection else ""
                table.add_row(
                    row.name or row.rule.name,
                    row.evidence,
                    f"{level:g}",
                    str(Rate(int(count), total)),
                    f"{count / total / level:.2f}",
                    f"{inconclusive / total:.1%}",
                    power,
                )
    console.print(table)


def _end_with_parent() -> None:
    """Let a worker end when the process that wants its results does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _power_experiments(which: int) -> int:
    slow = isinstance(ROWS[which].rule, FiniteSize) and ROWS[which].rule.of == "fluctuation"
    return POWER_EXPERIMENTS // 4 if slow else POWER_EXPERIMENTS
