"""Speed of the attention simulator, and of exact training on linear sequences, against what one would write instead.

The jitted forward pass over many prompts faces the same layers in NumPy, prompt by prompt and all prompts at once, and
must end at the same tokens; its arithmetic is put in relation to the machine's own matrix product. The quadratic form
faces the loss it stands for, every sequence passed through the layer.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.timing import CAVEAT, interleave, once
from simulations.in_context import attention, autoregressive

Array = NDArray[np.float64]

CASES = ((4096, 9, 4, 1), (4096, 21, 11, 6), (512, 65, 65, 4), (64, 257, 129, 4))  # prompts, tokens, width, layers
SAME_TOKENS = 1e-10
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
PEAK_SIZE = 1024


def forward_passes(console: Console) -> None:
    """Print prompts per second of the jitted pass, times of its rivals, and its share of the matrix product's speed."""
    peak = _peak()
    table = Table(title="Linear attention over many prompts", title_justify="left")
    table.add_column("prompts x tokens x width, layers", no_wrap=True)
    for column in ("prompts/s", "NumPy loop over jitted", "NumPy einsum over jitted", "of peak", "compilation"):
        table.add_column(column, justify="right", no_wrap=True)
    for count, tokens, width, depth in CASES:
        layers, prompts, mask = _problem(count, tokens, width, depth)
        arrays = tuple(np.asarray(m) for m in (layers.key, layers.query, layers.value, layers.projection))
        jitted = partial(_jitted, layers, jnp.asarray(prompts), mask)
        first = once(jitted)
        calls: dict[str, Callable[[], Any]] = {
            "jitted": jitted,
            "loop": partial(_loop, arrays, prompts, np.asarray(mask)),
            "einsum": partial(_einsum, arrays, prompts, np.asarray(mask)),
        }
        reference = np.asarray(jitted())
        for name in ("loop", "einsum"):
            off = np.abs(calls[name]() - reference).max() / np.abs(reference).max()
            if off > SAME_TOKENS:
                raise RuntimeError(f"the {name} in NumPy ends at other tokens, off by {off:.1e}")
        timings = interleave(calls, rounds=5, sample=0)
        work = count * depth * (8 * tokens * width**2 + 4 * tokens**2 * width)
        table.add_row(
            f"{count} x {tokens} x {width}, {depth}",
            f"{count / timings['jitted'].median:,.0f}",
            str(timings["loop"].over(timings["jitted"])),
            str(timings["einsum"].over(timings["jitted"])),
            f"{work / timings['jitted'].median / peak:.0%}",
            f"{max(first - timings['jitted'].median, 0.0):.2f} s",
        )
    console.print(table)
    console.print(
        f"Peak: a {PEAK_SIZE} x {PEAK_SIZE} product in JAX, {peak / 1e9:.1f} Gflop/s in float64. Work: four products "
        "of tokens with matrices, two of tokens with tokens.\n"
    )


def exact_losses(console: Console) -> None:
    """Print the time of one gradient of the population loss: as a quadratic form, and through the layer."""
    table = Table(title="One gradient of the exact loss on linear sequences, d = 2", title_justify="left")
    table.add_column("horizon, sequences", no_wrap=True)
    for column in ("layer over form", "to build the form, over one gradient of the layer"):
        table.add_column(column, justify="right", no_wrap=True)
    for horizon in (6, 10):
        sequences = autoregressive.enumerate_sequences(
            *autoregressive.first_tokens("rademacher", dim=2), order=3 * horizon
        )
        blocks = autoregressive.scaled_identities(0.3, 0.5, 2)
        form = autoregressive.quadratic_form(sequences, horizon)
        by_form = jax.jit(jax.grad(autoregressive.form_loss))
        through = jax.jit(jax.grad(autoregressive.population_loss), static_argnums=2)
        timings = interleave(
            {
                "form": lambda form=form, blocks=blocks, f=by_form: jax.block_until_ready(f(blocks, form)),
                "layer": lambda s=sequences, b=blocks, h=horizon, f=through: jax.block_until_ready(f(b, s, h)),
                "build": lambda s=sequences, h=horizon: jax.block_until_ready(autoregressive.quadratic_form(s, h)),
            },
            rounds=5,
        )
        table.add_row(
            f"{horizon}, {sequences.weight.size}",
            str(timings["layer"].over(timings["form"])),
            str(timings["build"].over(timings["layer"])),
        )
    console.print(table)
    console.print("Training takes hundreds of gradients; the form is built once.\n")


def main() -> None:
    """Print both tables, in a process whose linear algebra in NumPy has one thread."""
    if any(os.environ.get(variable) != "1" for variable in ONE_THREAD):
        environment = os.environ | dict.fromkeys(ONE_THREAD, "1")
        subprocess.run([sys.executable, "-m", "benchmarks.in_context"], env=environment, check=True)
        return
    start = time.perf_counter()
    console = Console(width=None if Console().is_terminal else 150)
    forward_passes(console)
    exact_losses(console)
    console.print(f"{CAVEAT} In brackets the smallest and the largest.")
    console.print(f"JAX on {jax.devices()[0].device_kind} with its own threads, NumPy's linear algebra on one.")
    console.print(f"{time.perf_counter() - start:.0f} s")


def _problem(count: int, tokens: int, width: int, depth: int) -> tuple[attention.Layer, Array, jax.Array]:
    """Draw layers weak enough that tokens stay of order one."""
    layers = attention.random_layer(jax.random.key(0), width=width, std=0.5, n_layers=depth)
    layers = jax.tree.map(lambda matrix: matrix / np.sqrt(tokens) ** 0.5, layers)
    prompts = np.random.default_rng(1).standard_normal((count, tokens, width)) / np.sqrt(width)
    return layers, prompts, attention.context_mask(tokens, tokens - 1)


def _jitted(layers: attention.Layer, prompts: jax.Array, mask: jax.Array) -> jax.Array:
    return jax.block_until_ready(attention.forward_prompts(layers, prompts, mask))


def _loop(arrays: tuple[Array, ...], prompts: Array, mask: Array) -> Array:
    """Pass one prompt after another through the layers."""
    found = []
    for tokens in prompts:
        for key, query, value, projection in zip(*arrays, strict=True):
            scores = (tokens @ query.T) @ (tokens @ key.T).T * mask
            tokens = tokens + scores @ (tokens @ value.T) @ projection.T
        found.append(tokens)
    return np.stack(found)


def _einsum(arrays: tuple[Array, ...], prompts: Array, mask: Array) -> Array:
    """Pass all prompts through the layers at once, indices written out."""
    for key, query, value, projection in zip(*arrays, strict=True):
        asked, shown = np.einsum("pta,ba->ptb", prompts, query), np.einsum("pta,ba->ptb", prompts, key)
        scores = np.einsum("psa,pta->pst", asked, shown) * mask
        read = np.einsum("pst,pta->psa", scores, np.einsum("pta,ba->ptb", prompts, value))
        prompts = prompts + np.einsum("psa,ba->psb", read, projection)
    return prompts


def _peak() -> float:
    """Return the floating-point operations per second of one large matrix product, the best of several."""
    matrix = jnp.ones((PEAK_SIZE, PEAK_SIZE))
    product = jax.jit(jnp.matmul)
    product(matrix, matrix).block_until_ready()
    best = min(once(lambda: product(matrix, matrix).block_until_ready()) for _ in range(5))
    return 2 * PEAK_SIZE**3 / best


if __name__ == "__main__":
    main()
