"""Speed of theory.deep_linear and simulations.deep_linear against what one would run instead.

The closed forms face integrators of the same equations, whose tolerances are loosened until their measured error is the
target and no better; the jitted simulators face the same algorithm in NumPy, and must end at the same weights.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks._flows import CHECKED, CHECKED_MATRICES, DIGITS, Problem, by_diffrax, by_scipy, problems
from benchmarks.timing import CAVEAT, duration, interleave, loosest_tolerance, once, peak_memory
from simulations import deep_linear as sim
from simulations.replicates import over_replicates
from theory import deep_linear

Array = NDArray[np.float64]

TARGET = 1e-10  # relative error at which integrators are compared
PAIRS = 1_000_000
REPLICATES = 256
RATE = 0.02
SAME_WEIGHTS = 1e-10
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def compare_with_integrators(console: Console) -> None:
    """Print the time of every closed form, and of integrators that reach the target error on the same problem."""
    table = Table(title=f"Closed forms against integrators of the same equations at a relative error of {TARGET:g}")
    table.title_justify = "left"
    table.add_column("problem", no_wrap=True)
    table.add_column("solver", no_wrap=True)
    for column in ("rtol", "error", "time", "times the closed form", "compilation"):
        table.add_column(column, justify="right", no_wrap=True)
    for problem in problems(np.random.default_rng(20)):
        _race(table, problem)
    console.print(table)
    console.print(
        f"Errors: the largest of {CHECKED} entries relative to each, or of up to {CHECKED_MATRICES} matrices relative "
        f"to their largest entries, against {DIGITS} digits. Integrators solve for all modes at once, at the loosest "
        "tolerance that meets the target; diffrax is warm and steps onto every time.\n"
    )


def _race(table: Table, problem: Problem) -> None:
    integrators = {"diffrax Dopri8": by_diffrax(problem), "scipy DOP853": by_scipy(problem, "DOP853")}
    if problem.start.size <= 500:  # its workspace is quadratic in the size
        integrators["scipy LSODA"] = by_scipy(problem, "LSODA")
    first = once(partial(integrators["diffrax Dopri8"], TARGET))
    tolerances: dict[str, float] = {}
    calls: dict[str, Callable[[], Any]] = {"closed form": problem.closed}
    for name, solve in integrators.items():
        tolerances[name] = loosest_tolerance(partial(_error, problem, solve), target=TARGET)
        calls[name] = partial(_entries, problem, solve, tolerances[name])
    timings = interleave(calls, rounds=7, sample=5e-3)
    for name, timing in timings.items():
        table.add_row(
            problem.name if name == "closed form" else "",
            name,
            f"{tolerances[name]:.1e}" if name in tolerances else "",
            f"{problem.error(calls[name]()):.1e}",
            duration(timing.median),
            str(timing.over(timings["closed form"])) if name in tolerances else "",
            duration(max(first - timing.median, 0.0)) if name.startswith("diffrax") else "",
        )
    table.add_section()


def _entries(problem: Problem, solve: Callable[[float], Array], rtol: float) -> Array:
    return problem.read(solve(rtol))


def _error(problem: Problem, solve: Callable[[float], Array], rtol: float) -> float:
    return problem.error(_entries(problem, solve, rtol))


def time_many_pairs(console: Console) -> None:
    """Print seconds and peak memory of the mode solvers on a million pairs of modes and times."""
    table = Table(title=f"{PAIRS:,} pairs of modes and times", title_justify="left")
    table.add_column("solver", no_wrap=True)
    for column in ("seconds", "a pair", "peak memory a pair", "of which results"):
        table.add_column(column, justify="right", no_wrap=True)
    rng = np.random.default_rng(21)
    s = rng.uniform(0.5, 3.0, PAIRS)
    u0, u = np.sort(s * 10 ** rng.uniform(-4, -0.01, (2, PAIRS)), axis=0)
    calls: dict[str, Callable[[], Any]] = {}
    for depth in (2, 3, 10):
        t = deep_linear.mode_time(u, s=s, u0=u0, depth=depth)
        calls[f"mode_strength, depth {depth}"] = partial(deep_linear.mode_strength, t, s=s, u0=u0, depth=depth)
    for depth in (2, 3, 10):
        calls[f"mode_time, depth {depth}"] = partial(deep_linear.mode_time, u, s=s, u0=u0, depth=depth)
    calls["unbalanced_modes"] = partial(deep_linear.unbalanced_modes, 1 / s, s=s, a0=u0, b0=u)
    for name, timing in interleave(calls, rounds=3, sample=0).items():
        peak = peak_memory(calls[name])
        result = 2 if name == "unbalanced_modes" else 1
        table.add_row(
            name,
            f"{timing.median:.3f}",
            duration(timing.median / PAIRS),
            f"{peak / PAIRS:.0f} bytes",
            f"{8 * result} bytes",
        )
    console.print(table)
    console.print("Peak memory as tracemalloc sees it, in a run of its own; the arguments are not counted.\n")


def compare_simulators(console: Console) -> None:
    """Print the time of the jitted gradient descent, of the same loop in NumPy, and how far their weights differ."""
    table = Table(title="Gradient descent on two weight matrices, jitted and in NumPy", title_justify="left")
    table.add_column("network", no_wrap=True)
    for column in ("steps", "jitted", "a step", "NumPy", "NumPy over jitted", "compilation", "largest difference"):
        table.add_column(column, justify="right", no_wrap=True)
    for sizes, steps in (((5, 4, 3), 3000), ((32, 16, 8), 3000), ((784, 200, 10), 50)):
        weights, sigma = _training_problem(sizes)
        jitted, loop = partial(_jitted, weights, sigma, steps), partial(_loop, weights, sigma, steps)
        _compare(table, "x".join(map(str, sizes)), steps, jitted, {"": loop})
    for sizes, steps in (((5, 4, 3), 100), ((32, 16, 8), 100)):
        weights, sigma = _training_problem(sizes, REPLICATES)
        jitted = partial(_jitted_replicates, weights, sigma, steps)
        rivals: dict[str, Callable[[], Any]] = {
            ", one after another": partial(_loop_over_replicates, weights, sigma, steps),
            ", stacked matmul": partial(_loop, weights, sigma, steps),
        }
        _compare(table, f"{'x'.join(map(str, sizes))}, {REPLICATES} replicates", steps, jitted, rivals)
    console.print(table)
    console.print(
        "Both take the same steps from the same weights in float64; a difference is relative to the largest weight, "
        f"and an error above {SAME_WEIGHTS:g}. Compilation, the first call less a warm one, is not in the times.\n"
    )


def main() -> None:
    """Print the three tables, in a process whose linear algebra has one thread.

    NumPy's threads wait for one another by spinning, which on a busy machine makes NumPy many times slower than it is.
    """
    if any(os.environ.get(variable) != "1" for variable in ONE_THREAD):
        environment = os.environ | dict.fromkeys(ONE_THREAD, "1")
        subprocess.run([sys.executable, "-m", "benchmarks.deep_linear"], env=environment, check=True)
        return
    start = time.perf_counter()
    console = Console(width=None if Console().is_terminal else 150)
    compare_with_integrators(console)
    time_many_pairs(console)
    compare_simulators(console)
    device = jax.devices()[0].device_kind
    console.print(f"{CAVEAT} In brackets the smallest and the largest.")
    console.print(f"JAX on {device} with its own threads, NumPy's linear algebra on one.")
    console.print(f"{time.perf_counter() - start:.0f} s")


def _training_problem(sizes: tuple[int, int, int], *replicates: int) -> tuple[tuple[Array, Array], Array]:
    """Draw small Gaussian weights, of several networks when asked, and a task."""
    rng = np.random.default_rng(sum(sizes))
    n_in, hidden, n_out = sizes
    w1 = 0.3 * rng.standard_normal((*replicates, hidden, n_in)) / np.sqrt(n_in)
    w2 = 0.3 * rng.standard_normal((*replicates, n_out, hidden)) / np.sqrt(hidden)
    return (w1, w2), rng.standard_normal((n_out, n_in)) / np.sqrt(n_in)


def _jitted(weights: tuple[Array, Array], sigma: Array, steps: int) -> tuple[Array, ...]:
    records = sim.gradient_descent(weights, sim.Task.from_moments(sigma), learning_rate=RATE, steps=[steps])
    return tuple(np.asarray(w)[0] for w in records)


def _jitted_replicates(weights: tuple[Array, Array], sigma: Array, steps: int) -> tuple[Array, ...]:
    return tuple(w[:, 0] for w in over_replicates(_train, weights, sim.Task.from_moments(sigma), steps))


def _train(weights: sim.Weights, task: sim.Task, steps: int) -> sim.Weights:
    return sim.gradient_descent(weights, task, learning_rate=RATE, steps=[steps])


def _loop(weights: tuple[Array, Array], sigma: Array, steps: int) -> tuple[Array, Array]:
    """Descend in plain NumPy; leading axes of the weights are replicates, all trained in the same products."""
    w1, w2 = weights
    for _ in range(steps):
        error = sigma - w2 @ w1
        w1, w2 = w1 + RATE * (w2.swapaxes(-1, -2) @ error), w2 + RATE * (error @ w1.swapaxes(-1, -2))
    return w1, w2


def _loop_over_replicates(weights: tuple[Array, Array], sigma: Array, steps: int) -> tuple[Array, ...]:
    trained = [_loop(pair, sigma, steps) for pair in zip(*weights, strict=True)]
    return tuple(np.stack(layers) for layers in zip(*trained, strict=True))


def _compare(
    table: Table, name: str, steps: int, jitted: Callable[[], Any], rivals: dict[str, Callable[[], Any]]
) -> None:
    first = once(jitted)
    timings = interleave({"jitted": jitted} | rivals, rounds=3, sample=0)
    ours = jitted()
    for label, rival in rivals.items():
        difference = max(float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in zip(ours, rival(), strict=True))
        if not difference <= SAME_WEIGHTS:
            raise ArithmeticError(f"{name}: the jitted weights differ from NumPy's by {difference:g}")
        table.add_row(
            f"{name}{label}",
            f"{steps}",
            duration(timings["jitted"].median),
            duration(timings["jitted"].median / steps),
            duration(timings[label].median),
            str(timings[label].over(timings["jitted"])),
            duration(max(first - timings["jitted"].median, 0.0)),
            f"{difference:.1e}",
        )


if __name__ == "__main__":
    main()
