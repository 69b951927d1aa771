"""Speed of the attention machines and of their simulators against what one would run instead.

Solvers face the same problem handed to cvxpy constraint by constraint, with its usual tolerances; the flow in log time
faces gradient descent that takes every unit of time; the test of separability faces a linear program an instance. All
are compared at what they are for: the error of the answer stands beside the time.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cvxpy as cp
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import linprog

from benchmarks.timing import CAVEAT, duration, interleave
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]
Instance = tuple[Array, Array, NDArray[np.int_]]

TIMES = (1e3, 1e4, 1e5)
INSTANCES = 1000


def compare_solvers(console: Console) -> None:
    """Print the time and the certified residual of the solver, and of cvxpy by itself."""
    table = Table(title="Machines of n inputs with T tokens in d dimensions", title_justify="left")
    for column in ("n, T, d", "norm", "solver", "time", "times ours", "relative duality gap"):
        table.add_column(column, justify="left" if column in ("n, T, d", "norm", "solver") else "right", no_wrap=True)
    for shape in ((4, 4, 6), (10, 6, 12), (40, 6, 24)):
        instance = _draw(np.random.default_rng(sum(shape)), shape)
        for norm in ("fro", "nuc") if shape[2] <= 12 else ("fro",):
            calls: dict[str, Callable[[], Any]] = {
                "ours, certified": partial(optimization.solve_attention_svm, *instance, norm=norm),
                "cvxpy, a constraint a token": partial(_by_cvxpy, *instance, norm=norm),
            }
            timings = interleave(calls, rounds=5, sample=0)
            for name, call in calls.items():
                table.add_row(
                    ", ".join(map(str, shape)),
                    norm,
                    name,
                    duration(timings[name].median),
                    str(timings[name].over(timings["ours, certified"])),
                    f"{_gap(call().W if name.startswith('ours') else call(), instance, norm):.1e}",
                )
        table.add_section()
    console.print(table)
    console.print(
        "The gap is between the norm of W, scaled to smallest margin 1, and the lower bound that our multipliers prove."
        "\n"
    )


def _draw(rng: np.random.Generator, shape: tuple[int, int, int]) -> Instance:
    n, T, d = shape
    return rng.standard_normal(shape), rng.standard_normal((n, d)), rng.integers(0, T, n)


def _by_cvxpy(x: Array, z: Array, o: NDArray[np.int_], *, norm: str) -> Array:
    d = x.shape[2]
    W = cp.Variable((d, d))
    margins = [(x[i, o[i]] - x[i, t]) @ W @ z[i] >= 1 for i in range(len(x)) for t in range(x.shape[1]) if t != o[i]]
    objective = cp.sum_squares(W) if norm == "fro" else cp.normNuc(W)
    cp.Problem(cp.Minimize(objective), margins).solve(solver=cp.CLARABEL)
    return np.asarray(W.value)


def _gap(W: Array, instance: Instance, norm: str) -> float:
    features, _ = optimization.attention_svm_features(*instance)
    duals = optimization.solve_attention_svm(*instance, norm=norm).duals
    combination = np.tensordot(duals, features, 1)
    sizes, slopes = (np.linalg.svd(matrix, compute_uv=False) for matrix in (W, combination))
    value = np.sqrt(np.sum(sizes**2)) if norm == "fro" else sizes.sum()
    dual_norm = np.sqrt(np.sum(slopes**2)) if norm == "fro" else slopes[0]
    upper, lower = value / np.tensordot(features, W, 2).min(), duals.sum() / dual_norm
    return max(0.0, float(1 - lower / upper))


def compare_flows(console: Console) -> None:
    """Print the time to a late point of the gradient flow, integrated in log time or by steps of length one."""
    table = Table(title="Gradient flow of attention (n, T, d = 3, 3, 5) up to time t", title_justify="left")
    for column in ("t", "in log time", "by unit steps", "times ours", "largest difference of margins"):
        table.add_column(column, justify="right", no_wrap=True)
    rng = np.random.default_rng(7)
    x, z, o = _draw(rng, (3, 3, 5))
    scores = rng.standard_normal((3, 3))
    scores[np.arange(3), o] = scores.max(axis=1) + 1
    task, start = sim.SelectionTask(x, z, scores), jnp.asarray(0.1 * rng.standard_normal((5, 5)))
    for t in TIMES:
        calls: dict[str, Callable[[], Any]] = {
            "flow": lambda t=t: jax.block_until_ready(sim.attention_flow(start, task, times=[t])),
            "steps": lambda t=t: jax.block_until_ready(_unit_steps(start, task, jnp.asarray(int(t)))),
        }
        timings = interleave(calls, rounds=3, sample=0)
        ends = [sim.token_margins(W, task, o) for W in (calls["flow"]()[0], calls["steps"]())]
        table.add_row(
            f"{t:g}",
            duration(timings["flow"].median),
            duration(timings["steps"].median),
            str(timings["steps"].over(timings["flow"])),
            f"{float(jnp.abs(ends[0] - ends[1]).max()):.1e}",
        )
    late = interleave({"flow": lambda: jax.block_until_ready(sim.attention_flow(start, task, times=[np.exp(200.0)]))})
    console.print(table)
    console.print(
        f"In log time t = e^200 takes {duration(late['flow'].median)}; compilation is in none of the times.\n"
    )


@jax.jit
def _unit_steps(start: jax.Array, task: sim.SelectionTask, steps: jax.Array) -> jax.Array:
    gradient = jax.grad(sim.attention_loss)
    return jax.lax.fori_loop(0, steps, lambda _, W: W - gradient(W, task), start)


def compare_separability(console: Console) -> None:
    """Print the time a random instance takes to be called separable or not, and how often the two tests differ."""
    table = Table(title=f"Separability of {INSTANCES} instances at the threshold n = 2 d^2", title_justify="left")
    for column in ("d", "ours, an instance", "linear program", "times ours", "answers that differ"):
        table.add_column(column, justify="right", no_wrap=True)
    for d in (2, 3, 4):
        rng = np.random.default_rng(d)
        x, z = rng.standard_normal((INSTANCES, 2 * d * d, 2, d)), rng.standard_normal((INSTANCES, 2 * d * d, d))
        o = np.zeros((INSTANCES, 2 * d * d), dtype=int)
        calls: dict[str, Callable[[], Any]] = {
            "ours": partial(sim.attention_separable, x, z, o),
            "programs": partial(_by_programs, x, z),
        }
        timings = interleave(calls, rounds=3, sample=0)
        table.add_row(
            f"{d}",
            duration(timings["ours"].median / INSTANCES),
            duration(timings["programs"].median / INSTANCES),
            str(timings["programs"].over(timings["ours"])),
            f"{int(np.sum(calls['ours']() != calls['programs']()))}",
        )
    console.print(table)


def _by_programs(x: Array, z: Array) -> NDArray[np.bool_]:
    rows = np.einsum("snd,sne->snde", x[:, :, 0] - x[:, :, 1], z).reshape(*z.shape[:2], -1)
    found = [
        linprog(np.zeros(one.shape[1]), A_ub=-one, b_ub=-np.ones(len(one)), bounds=(None, None)).status == 0
        for one in rows
    ]
    return np.array(found)


def main() -> None:
    """Print the three tables."""
    start = time.perf_counter()
    console = Console(width=None if Console().is_terminal else 150)
    compare_solvers(console)
    compare_flows(console)
    compare_separability(console)
    console.print(f"{CAVEAT} In brackets the smallest and the largest.")
    console.print(f"JAX on {jax.devices()[0].device_kind}. {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
