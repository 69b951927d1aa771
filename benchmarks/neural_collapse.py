"""Speed of theory.neural_collapse and simulations.neural_collapse against what one would run instead.

The closed-form minimum faces direct minimisation, which finds the same number; the jitted minimiser faces SciPy's
L-BFGS-B with analytic gradients, start after start, on the same objective and from the same starts.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize

from benchmarks.timing import CAVEAT, duration, interleave, once
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

Array = NDArray[np.float64]

STARTS = 12  # a third at each scale
CELLS = 100_000


class Problem(NamedTuple):
    """A feature model, as all rivals are told of it."""

    name: str
    class_sizes: tuple[int, ...]
    dims: tuple[int, ...]
    decay: float

    @property
    def decays(self) -> dict[str, Any]:
        """Equal decays of all factors, as arguments."""
        return {"weight_decays": [self.decay] * len(self.dims), "feature_decay": self.decay}

    @property
    def model(self) -> sim.FeatureModel:
        """The objective of the jitted minimiser."""
        return sim.feature_model(self.class_sizes, dims=self.dims, **self.decays)


PROBLEMS = (
    Problem("4 classes, N = 20, M = 1", (5,) * 4, (5,), 0.02),
    Problem("4 classes, N = 20, M = 3", (8, 6, 4, 2), (5,) * 3, 0.003),
    Problem("6 classes, N = 60, M = 2", (10,) * 6, (8,) * 2, 0.003),
)


def compare_minimisers(console: Console) -> None:
    """Print the time of the closed form, of the jitted minimiser and of SciPy, and how far each is from the minimum."""
    table = Table(title=f"Global minimum: closed form, and direct minimisation from {STARTS} starts")
    table.title_justify = "left"
    table.add_column("problem", no_wrap=True)
    table.add_column("solver", no_wrap=True)
    for column in ("value over closed form − 1", "time", "times the closed form", "times the jitted", "compilation"):
        table.add_column(column, justify="right")
    for problem in PROBLEMS:
        _race(table, problem)
    console.print(table)
    console.print(
        "Both minimisers stop at gradients of rounding size or where they get no further; compilation, the first call "
        "less a warm one, is not in the times.\n"
    )


def _race(table: Table, problem: Problem) -> None:
    exact = _closed(problem)
    calls: dict[str, Callable[[], float]] = {
        "closed form": partial(_closed, problem),
        "jitted, all starts at once": partial(_jitted, problem),
        "SciPy L-BFGS-B": partial(_scipy, problem),
    }
    first = once(calls["jitted, all starts at once"])
    timings = interleave(calls, rounds=3, sample=5e-3)
    for name, timing in timings.items():
        jitted = name.startswith("jitted")
        table.add_row(
            problem.name if name == "closed form" else "",
            name,
            f"{calls[name]() / exact - 1:.1e}",
            duration(timing.median),
            "" if name == "closed form" else str(timing.over(timings["closed form"])),
            str(timing.over(timings["jitted, all starts at once"])) if name.startswith("SciPy") else "",
            duration(max(first - timing.median, 0.0)) if jitted else "",
        )
    table.add_section()


def _closed(problem: Problem) -> float:
    return nc.ufm_mse_minimizer(problem.class_sizes, dims=problem.dims, **problem.decays).loss


def _jitted(problem: Problem) -> float:
    return float(sim.minimise(problem.model, jax.random.key(0), starts=STARTS // 3).losses.min())


def _scipy(problem: Problem) -> float:
    shapes = problem.model.shapes
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    rng = np.random.default_rng(0)
    labels = np.repeat(np.eye(len(problem.class_sizes)), problem.class_sizes, axis=1)
    options = {"maxiter": 3000, "maxfun": 10_000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 10}
    evaluate = partial(_value_and_slope, shapes=shapes, ends=ends, labels=labels, decay=problem.decay)
    values = []
    for scale in (0.05, 0.3, 1.0):
        for _ in range(STARTS // 3):
            start = scale * rng.standard_normal(int(ends[-1]))
            values.append(minimize(evaluate, start, jac=True, method="L-BFGS-B", options=options).fun)
    return float(min(values))


def _value_and_slope(
    x: Array, *, shapes: Sequence[tuple[int, int]], ends: Array, labels: Array, decay: float
) -> tuple[float, Array]:
    factors = [part.reshape(shape) for part, shape in zip(np.split(x, ends[:-1]), shapes, strict=True)]
    outputs = [factors[0]]
    for weight in factors[1:]:
        outputs.append(weight @ outputs[-1])
    residual = (outputs[-1] - labels) / labels.shape[1]
    value = 0.5 * labels.shape[1] * np.sum(residual**2) + 0.5 * decay * (x @ x)
    slopes: list[Array] = []
    for weight, below in zip(factors[:0:-1], outputs[-2::-1], strict=True):
        slopes.append((residual @ below.T).ravel())
        residual = weight.T @ residual
    slopes.append(residual.ravel())
    return float(value), np.concatenate(slopes[::-1]) + decay * x


def time_phase_diagrams(console: Console) -> None:
    """Print the time of a phase diagram over many decays, and of the same modes one by one."""
    decays = np.geomspace(1e-4, 0.2, CELLS)
    few = decays[:: CELLS // 100]
    table = Table(title=f"Phase diagram of {CELLS:,} decays, four classes", title_justify="left")
    for column in ("layers", "phase_diagram", "a mode", "mode_singular_value, a mode", "ratio"):
        table.add_column(column, justify="right")
    for depth in (1, 2, 4):
        calls: dict[str, Callable[[], Any]] = {
            "grid": partial(nc.phase_diagram, decays, depth, class_sizes=[8, 6, 4, 2]),
            "single": partial(_one_by_one, few, depth),
        }
        timings = interleave(calls, rounds=3, sample=0)
        grid, single = timings["grid"].median / (4 * CELLS), timings["single"].median / (4 * few.size)
        ratio = timings["single"].over(timings["grid"]).median * CELLS / few.size
        table.add_row(str(depth), duration(timings["grid"].median), duration(grid), duration(single), f"{ratio:.3g}")
    console.print(table)


def _one_by_one(decays: Array, depth: int) -> list[float]:
    return [
        nc.mode_singular_value(float(np.sqrt(n)), num_samples=20, decays=[lam] * (depth + 1))
        for lam in decays
        for n in (8, 6, 4, 2)
    ]


def main() -> None:
    """Run all comparisons."""
    console = Console(width=140)
    console.print(CAVEAT + "\n")
    compare_minimisers(console)
    time_phase_diagrams(console)


if __name__ == "__main__":
    main()
