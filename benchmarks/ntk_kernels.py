"""Speed of theory.ntk.nngp_ntk against plain NumPy, neural-tangents, and what the machine itself can do.

neural-tangents needs an old JAX; set CLOSEDFORM_NEURAL_TANGENTS to the Python of an environment that has it (Python
3.11, jax and jaxlib 0.4.23, numpy below 1.27, scipy below 1.12, neural-tangents 0.6.5), and its column is filled in.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.timing import CAVEAT, duration, interleave, peak_memory
from theory.ntk import nngp_ntk
from theory.ntk._recursion import _angle, _arcsin, _bent

Array = NDArray[np.float64]

RIVAL = "CLOSEDFORM_NEURAL_TANGENTS"
DIMENSION = 64
SIZES = (1000, 2000, 4000)
DEPTHS = (3, 10)  # hidden layers
STDS = {"relu": 2**0.5, "erf": 1.3}
BIAS_STD = 0.1
ROUNDS = 5

SERVER = """
import sys
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
from neural_tangents import stax
for line in sys.stdin:
    name, depth, n, w, b = line.split()
    x = np.random.default_rng(0).standard_normal((int(n), 64))
    phi = {"relu": stax.Relu, "erf": stax.Erf}[name]
    dense = stax.Dense(1, W_std=float(w), b_std=float(b))
    kernel_fn = jax.jit(stax.serial(*[dense, phi()] * int(depth), dense)[2], static_argnames=("get",))
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "next":
            break
        found = kernel_fn(x, None, get=("nngp", "ntk"))
        found.ntk.block_until_ready()
        print(repr(float(np.abs(found.ntk).sum())), flush=True)
"""


class Rival:
    """neural-tangents in its own process, asked for one kernel at a time through pipes."""

    def __init__(self, python: str):
        options: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.process = subprocess.Popen([python, "-c", SERVER], **options)

    def __enter__(self) -> "Rival":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()

    def ask(self, line: str) -> str:
        """Send a line and wait for the answer."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the Python in {RIVAL} stopped; has it jax 0.4.23 and neural-tangents?")
        return answer

    def next(self) -> None:
        """Leave the present problem."""
        self.process.stdin.write("next\n")
        self.process.stdin.flush()


def plain(x: Array, name: str, depth: int, w: float, b: float) -> tuple[Array, Array]:
    """Write the recursion down on whole matrices, as one does."""
    s = w * w * (x @ x.T) / x.shape[1] + b * b
    t = s.copy()
    for _ in range(depth):
        k = np.diag(s)
        if name == "relu":
            norms = np.sqrt(np.outer(k, k))
            cosine = np.clip(s / norms, -1, 1)
            theta = np.arccos(cosine)
            value = norms * (np.sqrt(1 - cosine**2) + (np.pi - theta) * cosine) / (2 * np.pi)
            slope = (np.pi - theta) / (2 * np.pi)
        else:
            d = np.outer(1 + 2 * k, 1 + 2 * k)
            value, slope = 2 / np.pi * np.arcsin(2 * s / np.sqrt(d)), 4 / np.pi / np.sqrt(d - 4 * s * s)
        s = w * w * value + b * b
        t = s + w * w * slope * t
    return s, t


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _functions(buffer: Array, passes: int, relu: bool) -> None:
    """Evaluate in cache what an entry and layer needs: an angle with its sine, or an arcsine with its slope."""
    for _ in range(passes):
        for i in range(buffer.size):
            v = buffer[i]
            if relu:
                buffer[i] = np.sqrt(v) * (_angle(v) + v * _bent(v))
            else:
                buffer[i] = 0.5 * _arcsin(v, 1.0 - v * v) / np.sqrt(1.0 - v * v)


def floor(x: Array, name: str, depth: int) -> Callable[[], None]:
    """Return what no kernel code can do without: half a product x x^T, the functions, and writing both results."""
    n = x.shape[0]
    buffer = np.full(4096, 0.1)
    passes = n * (n + 1) // 2 * depth // buffer.size

    def call() -> None:
        x[: n // 2] @ x.T
        _functions(buffer, passes, name == "relu")
        np.full((2, n, n), 1.0)

    return call


def run(console: Console, sizes: tuple[int, ...] = SIZES) -> None:
    """Print one row for every activation, depth and number of inputs."""
    table = Table(title=f"NNGP and tangent kernel of n inputs in {DIMENSION} dimensions, one thread each")
    table.title_justify = "left"
    for column in ("activation", "hidden layers", "n"):
        table.add_column(column, no_wrap=True)
    for column in ("theory.ntk", "times the floor", "NumPy / ours", "neural-tangents / ours", "peak / results"):
        table.add_column(column, justify="right", no_wrap=True)
    with ExitStack() as stack:
        python = os.environ.get(RIVAL)
        rival = stack.enter_context(Rival(python)) if python else None
        for name, w in STDS.items():
            for depth in DEPTHS:
                for n in sizes:
                    table.add_row(name, str(depth), str(n), *_row(name, w, depth, n, rival))
    console.print(table)
    missing = "" if rival else f" neural-tangents: set {RIVAL} to the Python of its environment."
    console.print(
        "Floor: half of the product x x^T, the angle and sine (relu) or arcsine and its slope (erf) of an entry of the "
        f"triangle and layer, both results written once. {CAVEAT}{missing}"
    )


def _row(name: str, w: float, depth: int, n: int, rival: Rival | None) -> list[str]:
    x = np.random.default_rng(0).standard_normal((n, DIMENSION))

    def ours() -> Any:
        return nngp_ntk(x, n_hidden=depth, activation=name, weight_std=w, bias_std=BIAS_STD, n_threads=1)

    calls: dict[str, Callable[[], Any]] = {"ours": ours, "floor": floor(x, name, depth)}
    calls["numpy"] = lambda: plain(x, name, depth, w, BIAS_STD)
    total = float(np.abs(ours().ntk).sum())
    if rival:
        rival.ask(f"{name} {depth} {n} {w!r} {BIAS_STD!r}")
        if abs(float(rival.ask("now")) / total - 1) > 1e-6:
            raise RuntimeError(f"neural-tangents computes another kernel for {name}, {depth} layers, n = {n}")
        calls["rival"] = lambda: rival.ask("now")
    timings = interleave(calls, rounds=ROUNDS, sample=0)
    if rival:
        rival.next()
    return [
        duration(timings["ours"].median),
        str(timings["ours"].over(timings["floor"])),
        str(timings["numpy"].over(timings["ours"])),
        str(timings["rival"].over(timings["ours"])) if rival else "",
        f"{peak_memory(ours) / (16 * n * n):.2f}",
    ]


def main() -> None:
    """Run again with one thread for every library, so that the columns compare work and not threads."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        flags = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"}
        subprocess.run([sys.executable, "-m", "benchmarks", "ntk_kernels"], env=os.environ | one | flags, check=True)
        return
    run(Console(width=150))


if __name__ == "__main__":
    main()
