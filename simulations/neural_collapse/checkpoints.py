"""Iterations that are looked at now and then."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from simulations import validation


def checkpointed(step: Callable[[Any], Any], state: Any, counts: Array, observe: Callable[[Any], Any]) -> Any:
    """Apply ``step`` ``counts[0]`` times and observe, ``counts[1]`` times more and observe, and so on."""

    def segment(now: Any, count: Array) -> tuple[Any, Any]:
        now = jax.lax.fori_loop(0, count, lambda _, x: step(x), now)
        return now, observe(now)

    return jax.lax.scan(segment, state, counts)[1]


def increments(name: str, steps: Sequence[int]) -> Array:
    """Return the gaps between nonnegative, increasing step numbers, the first from zero, or raise ValueError."""
    numbers = [validation.integer(name, step, minimum=0) for step in steps]
    if not numbers:
        raise ValueError(f"{name} must hold at least one number of steps; got none")
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise ValueError(f"{name} must increase; got {numbers}")
    return jnp.diff(jnp.asarray([0, *numbers]))
