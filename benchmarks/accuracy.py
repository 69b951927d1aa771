"""Accuracy of the solvers of theory.deep_linear against references in many digits, with rivals beside them.

For every solver: random inputs over many decades, the relative error against `mpmath`, its median, its maximum, and the
input that makes it largest. An ill-conditioned input makes any solver look bad, so the largest error is also given in
units of what rounding the inputs and the result already does to the result there.
"""

import time
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks._deep_linear_cases import deep_linear_cases
from benchmarks._errors import Case, Point, try_case

SEED = 20


def report(cases: Sequence[Case], console: Console) -> None:
    """Try the cases and print the table of errors, then the worst input of every row."""
    table = Table(title="Relative error against references in 40 to 60 digits", title_justify="left")
    table.add_column("solver", no_wrap=True)
    for column in ("points", "median", "largest", "in roundings", "no result"):
        table.add_column(column, justify="right", no_wrap=True)
    worst = Table(title="Worst inputs", title_justify="left", show_lines=False)
    worst.add_column("solver", no_wrap=True)
    worst.add_column("error", justify="right", no_wrap=True)
    worst.add_column("input", overflow="fold")
    for case in cases:
        for errors in try_case(case):
            name = Text(errors.name, "bold") if errors.name == case.name else Text(f"  {errors.name}")
            finite = errors.relative[np.isfinite(errors.relative)]
            roundings = errors.roundings[np.isfinite(errors.roundings)]
            table.add_row(
                name,
                str(errors.relative.size),
                _size(np.median(finite) if finite.size else np.nan),
                _size(finite.max() if finite.size else np.nan),
                f"{roundings.max():.2g}" if roundings.size and np.isfinite(errors.roundings).any() else "–",
                str(errors.lost or "–"),
            )
            size = _size(errors.relative[errors.worst])
            worst.add_row(name, size, _written(case.points[errors.worst]))
    console.print(table)
    console.print(
        "Indented: rivals on the same points. In roundings: the largest error over 2^-53 (1 + condition number), which "
        "is what rounding the inputs and the result alone may do; – where the inputs are matrices or integers."
    )
    console.print(worst)


def main() -> None:
    """Print the accuracy of every numeric solver of theory.deep_linear."""
    start = time.perf_counter()
    console = Console(width=None if Console().is_terminal else 150)
    report(deep_linear_cases(np.random.default_rng(SEED)), console)
    console.print(f"{time.perf_counter() - start:.0f} s")


def _size(value: float) -> str:
    return f"{value:.1e}" if np.isfinite(value) else "–"


def _written(point: Point) -> str:
    return ", ".join(f"{name}={float(v)!r}" if isinstance(v, float) else f"{name}={v}" for name, v in point.items())


if __name__ == "__main__":
    main()
