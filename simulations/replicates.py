"""Replicates of a simulation: vectorised, in chunks that fit into memory, over all devices there are."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from simulations import validation

DEFAULT_MEMORY = 2**30


def over_replicates(
    function: Callable[..., Any],
    replicates: Any,
    *shared: Any,
    chunk_size: int | None = None,
    memory_bytes: int = DEFAULT_MEMORY,
    devices: Sequence[jax.Device] | None = None,
) -> Any:
    """Evaluate ``function(replicate, *shared)`` for every replicate and stack the results.

    Replicates are vectorised with `jax.vmap` within a chunk, chunks follow one another, and every chunk is divided
    evenly over the devices. A replicate's random numbers depend on nothing but its own entry, so that chunks and
    devices change results by rounding at most.

    Parameters
    ----------
    function : callable
        Maps one replicate (a key, or any pytree of arrays) and the shared arguments to arrays. Compiled once for
        each function object, chunk size and shape: pass the same object again rather than a new lambda, and
        parameters that vary through ``shared``.
    replicates : pytree of arrays
        Keys, or whatever tells replicates apart, along the first axis of every leaf.
    *shared : pytrees
        Arguments that all replicates see; arrays among them are traced, the rest is static.
    chunk_size : int, optional
        Replicates evaluated at a time, over all devices together (rounded up to a multiple of their number). Left
        out, as many as fit into ``memory_bytes`` on each device by :func:`replicate_bytes`.
    memory_bytes : int
        Working memory to use on each device.
    devices : sequence of jax.Device, optional
        Devices to use, `jax.devices()` when left out.

    Returns
    -------
    pytree of numpy.ndarray
        Results, with replicates on the first axis, in main memory.

    Raises
    ------
    ValueError
        If there are no replicates, leaves disagree on their number, or a size is below 1.
    """
    leaves = jax.tree.leaves(replicates)
    counts = {np.shape(leaf)[0] if np.ndim(leaf) else 0 for leaf in leaves}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(f"replicates must have the same number, at least one, on every first axis; got {counts}")
    count = counts.pop()
    workers = list(jax.devices() if devices is None else devices)
    if not workers:
        raise ValueError("devices must hold at least one device; got none")
    memory_bytes = validation.integer("memory_bytes", memory_bytes, minimum=1)
    if chunk_size is None:
        one = jax.tree.map(lambda leaf: leaf[0], replicates)
        chunk_size = len(workers) * max(1, memory_bytes // max(1, replicate_bytes(function, one, *shared)))
    else:
        chunk_size = validation.integer("chunk_size", chunk_size, minimum=1)
    # Equal chunks, the last filled up with repetitions, share one compilation and waste little.
    chunks = math.ceil(count / chunk_size)
    share = math.ceil(math.ceil(count / chunks) / len(workers))
    size = share * len(workers)
    mesh = Mesh(np.asarray(workers), ("replicates",))
    sharding = NamedSharding(mesh, PartitionSpec("replicates"))
    results = []
    for first in range(0, count, size):
        rows = np.minimum(np.arange(first, first + size), count - 1)
        chunk = jax.device_put(jax.tree.map(lambda leaf, rows=rows: jnp.asarray(leaf)[rows], replicates), sharding)
        results.append(jax.tree.map(np.asarray, _evaluate(function, chunk, shared, mesh)))
    return jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *results)


def replicate_bytes(function: Callable[..., Any], replicate: Any, *shared: Any) -> int:
    """Bound on the bytes that one replicate's intermediate values take, as if none were ever freed.

    Read off the traced computation, loops counted once with everything they carry and stack up.
    """
    dynamic, static = eqx.partition((replicate, shared), eqx.is_array)

    def traced(arrays: Any) -> Any:
        entry, arguments = eqx.combine(arrays, static)
        return function(entry, *arguments)

    return _jaxpr_bytes(jax.make_jaxpr(traced)(dynamic).jaxpr)


@eqx.filter_jit
def _evaluate(function: Callable[..., Any], chunk: Any, shared: tuple[Any, ...], mesh: Mesh) -> Any:
    arrays, static = eqx.partition(shared, eqx.is_array)

    def local(part: Any, arrays: Any) -> Any:
        arguments = eqx.combine(arrays, static)
        return jax.vmap(lambda replicate: function(replicate, *arguments))(part)

    along = PartitionSpec("replicates")
    return jax.shard_map(local, mesh=mesh, in_specs=(along, PartitionSpec()), out_specs=along, check_vma=False)(
        chunk, arrays
    )


def _jaxpr_bytes(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        parameters = jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr)
        total += sum(_jaxpr_bytes(inner) for inner in parameters if _is_jaxpr(inner))
        total += sum(_variable_bytes(variable) for variable in equation.outvars)
    return total


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns")


def _variable_bytes(variable: Any) -> int:
    aval = variable.aval
    size = math.prod(getattr(aval, "shape", ()))
    return size * getattr(getattr(aval, "dtype", None), "itemsize", 8)
