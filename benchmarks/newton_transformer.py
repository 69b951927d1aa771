"""Speed of the Newton-iteration transformer and of its closed form against what one would run instead.

All answer one query of a prompt. The solvers are compared at the accuracy of the iterations that they stand for.
"""

from functools import partial

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.timing import CAVEAT, duration, interleave
from simulations.in_context import iterations
from simulations.in_context import newton_attention as sim
from theory import in_context

TOLERANCE = 1e-8
SIZES = ((5, 20, 10.0), (20, 80, 10.0), (20, 80, 1000.0), (64, 256, 100.0))


def compare(console: Console) -> None:
    """Print the times of forward passes, of the closed form, of gradient descent and of a direct solve."""
    table = Table(title=f"One query answered to a residual of {TOLERANCE:g}", title_justify="left")
    table.add_column("prompt", no_wrap=True)
    table.add_column("method", no_wrap=True)
    for column in ("steps", "error", "time", "times the closed form"):
        table.add_column(column, justify="right", no_wrap=True)
    rng = np.random.default_rng(5)
    for d, n, kappa in SIZES:
        _race(table, rng, d, n, kappa)
    console.print(table)
    console.print("Forward passes and gradient descent are jitted and warm; errors are relative to the answer.")


def _race(table: Table, rng: np.random.Generator, d: int, n: int, kappa: float) -> None:
    left, right = (np.linalg.qr(rng.standard_normal((size, d)))[0] for size in (n, d))
    x = (left * np.geomspace(1, kappa**-0.5, d)) @ right.T
    task, query = rng.standard_normal((2, d))
    y, answer = x @ task, float(query @ task)
    k = in_context.newton_steps_to_tolerance(kappa, tol=TOLERANCE)
    t = in_context.gd_steps_to_tolerance(kappa, tol=TOLERANCE)
    layers = in_context.newton_attention_layers(d, n_steps=k, alpha=1.0)
    tokens, mask = sim.prompt_tokens(x, y, query, scratch=d), sim.hide_last(n + 1)

    def forward(stack: list, activation: str) -> float:
        return float(sim.run_layers(tokens, stack, mask, activation=activation)[-1, -1, -1])

    calls = {
        "closed form": partial(in_context.newton_attention_predict, x, y, query, n_steps=k, alpha=1.0),
        "linear attention": partial(forward, layers, "linear"),
        "ReLU attention": partial(forward, in_context.relu_attention_layers(layers), "relu"),
        "gradient descent": lambda: float(
            jax.block_until_ready(iterations.gradient_weights(x, y, 1.0, steps=[t])[0]) @ query
        ),
        "numpy.linalg.lstsq": lambda: float(np.linalg.lstsq(x, y, rcond=None)[0] @ query),
    }
    steps = {"gradient descent": f"{t}", "numpy.linalg.lstsq": ""}
    timings = interleave(calls, rounds=5)
    for name, timing in timings.items():
        table.add_row(
            f"d = {d}, n = {n}, condition {kappa:g}" if name == "closed form" else "",
            name,
            steps.get(name, f"{k}"),
            f"{abs(calls[name]() / answer - 1):.1e}",
            duration(timing.median),
            "" if name == "closed form" else str(timing.over(timings["closed form"])),
        )
    table.add_section()


def main() -> None:
    console = Console(width=120)
    compare(console)
    console.print(CAVEAT)


if __name__ == "__main__":
    main()
