"""The paper to which the modules beside this one attach their claims, and how they draw samples."""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from paper_checks.claim import Paper, Run
from simulations.deep_linear import high_dimensional as sim
from simulations.replicates import over_replicates

PAPER = Paper(
    key="advani2017",
    title="High-dimensional dynamics of generalization error in neural networks",
    authors="Madhu S. Advani, Andrew M. Saxe, Haim Sompolinsky",
    year=2017,
    arxiv="1710.03667",
    wing="deep_linear",
)

Array = NDArray[np.float64]

ALPHAS = (0.5, 1.0, 2.0)
CHUNK = 600


def students(snr: ArrayLike, inr: ArrayLike = 0.0, noise_var: float = 1.0) -> sim.Students:
    """Powers as traced numbers, so that programs are shared between them."""
    return sim.Students(*(noise_var * jnp.asarray(power, dtype=float) for power in (snr, inr, 1.0)))


def draw(
    run: Run,
    function: Callable[..., Any],
    sizes: Sequence[int],
    alphas: Sequence[float],
    replicates: int,
    *shared: Any,
    name: str = "",
) -> Any:
    """Evaluate a simulator on samples of all sizes and proportions, (sizes, replicates, alphas, ...), in one program.

    ``shared`` are its arguments; among them ``...`` stands for the shape that inputs of all sizes are padded to.
    """
    pairs = np.array([(N, round(alpha * N)) for N in sizes for alpha in alphas], dtype=float)
    each = jnp.asarray(np.repeat(pairs, replicates, axis=0))
    room = (max(sizes), ceil(max(sizes) * max(alphas)))
    arguments = (room if value is ... else value for value in shared)
    keys = run.keys(len(each), name or "simulation")
    # chunks of one size, whatever the number of replicates, share a program
    found = over_replicates(function, sim.Sample(keys, each[:, 0], each[:, 1]), *arguments, chunk_size=CHUNK)

    def arrange(x: Array) -> Array:
        return np.moveaxis(x.reshape(len(sizes), len(alphas), replicates, *x.shape[1:]), 1, 2)

    return jax.tree.map(arrange, found)
