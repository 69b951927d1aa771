"""Speed of the large-step and stability solvers and simulators against what one would run instead.

Every rival must give the same numbers, or the benchmark fails.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cvxpy as cp
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, eigsh

from benchmarks.timing import CAVEAT, duration, interleave
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]


def separation_by_numpy(rows: Array, step_size: float, max_steps: int) -> Array:
    """Count the steps of all data sets at a time; what is separated drops out."""
    counts, left = np.full(len(rows), -1), np.arange(len(rows))
    theta = np.zeros((len(rows), rows.shape[2]))
    for t in range(max_steps + 1):
        margins = np.einsum("snd,sd->sn", rows[left], theta[left])
        done = (margins > 0).all(axis=1)
        counts[left[done]] = t
        left, margins = left[~done], margins[~done]
        if not left.size:
            break
        if np.isinf(step_size):
            weights, rate = np.where(margins < 0, 1.0, np.where(margins == 0, 0.5, 0.0)), 1.0
        else:
            weights, rate = 1 / (1 + np.exp(np.minimum(margins, 700.0))), step_size
        theta[left] += rate * np.einsum("sn,snd->sd", weights, rows[left]) / rows.shape[1]
    return counts


def margin_by_cone_solver(rows: Array) -> float:
    """Solve the hard-margin problem as a convex program."""
    w = cp.Variable(rows.shape[1])
    cp.Problem(cp.Minimize(cp.sum_squares(w)), [rows @ w >= 1]).solve(solver=cp.CLARABEL)
    return float(1 / np.linalg.norm(w.value))


def threshold_by_bisection(features: Array, batch_size: int) -> float:
    """Find where the spectral radius of the full second-moment matrix passes 1."""

    def excess(rate: float) -> float:
        matrix = optimization.second_moment_operator(features, learning_rate=rate, batch_size=batch_size)
        return float(np.linalg.eigvalsh(matrix)[-1]) - 1

    top = float(np.linalg.norm(features, ord=2)) ** 2 / len(features)
    return float(brentq(excess, 1e-3 / top, 4 / top, xtol=1e-14, rtol=1e-12))


def threshold_by_lanczos(features: Array, batch_size: int) -> float:
    """Do the same without forming the matrix: its products by Lanczos iteration."""
    n, d = features.shape
    hessian = features.T @ features / n

    def excess(rate: float) -> float:
        contraction = np.eye(d) - rate * hessian

        def step(flat: Array) -> Array:
            a = flat.reshape(d, d)
            quadratic = np.einsum("ni,ij,nj->n", features, a, features)
            noise = (features.T * quadratic) @ features / n - hessian @ a @ hessian
            return (contraction @ a @ contraction + rate**2 / batch_size * noise).ravel()

        operator = LinearOperator((d * d, d * d), matvec=step, dtype=float)
        start = np.eye(d).ravel()
        return float(eigsh(operator, k=1, which="LA", v0=start, tol=1e-12)[0][0]) - 1

    top = float(np.linalg.norm(features, ord=2)) ** 2 / n
    return float(brentq(excess, 1e-3 / top, 4 / top, xtol=1e-14, rtol=1e-12))


def compare(
    table: Table, name: str, ours: Callable[[], Any], rivals: dict[str, Callable[[], Any]], rtol: float
) -> None:
    """Check that all give the same numbers, time them in turn, and add their rows."""
    for label, rival in rivals.items():
        if not np.allclose(ours(), rival(), rtol=rtol, atol=0):
            raise ArithmeticError(f"{name}: {label} gives other numbers")
    timings = interleave({"ours": ours} | rivals, rounds=3, sample=0)
    for label in rivals:
        table.add_row(
            name,
            label,
            duration(timings["ours"].median),
            duration(timings[label].median),
            str(timings[label].over(timings["ours"])),
        )


def main() -> None:
    """Print one table: our time, the rival's, and their ratio."""
    start = time.perf_counter()
    console = Console(width=None if Console().is_terminal else 150)
    rng = np.random.default_rng(20)
    table = Table(title="Large steps and stability", title_justify="left")
    for column in ("problem", "rival"):
        table.add_column(column, no_wrap=True)
    for column in ("ours", "rival's", "rival over ours"):
        table.add_column(column, justify="right", no_wrap=True)

    rows = sim.random_separable(rng, n_sets=5000, n_samples=30, dimension=4, least_margin=0.05)
    for gamma in (np.inf, 3.0):
        compare(
            table,
            f"steps to separate 5000 data sets, gamma = {gamma:g}",
            partial(sim.steps_to_separate, rows, step_size=gamma),
            {"vectorised NumPy": partial(separation_by_numpy, rows, gamma, 100_000)},
            rtol=0,
        )
    some = rows[:20]
    compare(
        table,
        "hard margins of 20 data sets",
        lambda: [optimization.hard_margin(b)[0] for b in some],
        {"cvxpy, Clarabel": lambda: [margin_by_cone_solver(b) for b in some]},
        rtol=1e-5,
    )
    for d, rivals in ((6, (threshold_by_bisection, threshold_by_lanczos)), (20, (threshold_by_lanczos,))):
        features = rng.normal(size=(4 * d, d))
        compare(
            table,
            f"mean-square threshold, {d} parameters",
            partial(optimization.critical_learning_rate, features, batch_size=2),
            {
                {threshold_by_bisection: "bisection, dense matrix", threshold_by_lanczos: "bisection, Lanczos"}[
                    rival
                ]: partial(rival, features, 2)
                for rival in rivals
            },
            rtol=1e-8,
        )
    console.print(table)
    console.print(f"{CAVEAT} In brackets the smallest and the largest.")
    console.print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
