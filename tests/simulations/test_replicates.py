import ast
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.replicates import over_replicates, replicate_bytes

KEYS = jax.random.split(jax.random.key(0), 11)

FOUR_DEVICES = """
import jax, numpy as np
import simulations
from simulations.replicates import over_replicates

def draw(key, scale):
    matrix = jax.random.normal(key, (6, 6)) * scale
    return {"entry": matrix[0, 0], "values": jax.numpy.linalg.svd(matrix, compute_uv=False)}

assert len(jax.devices()) == 4
keys = jax.random.split(jax.random.key(0), 11)
one = over_replicates(draw, keys, np.float64(2.0), devices=jax.devices()[:1])
for chunk_size in (None, 1, 5):
    four = over_replicates(draw, keys, np.float64(2.0), chunk_size=chunk_size)
    assert four["values"].shape == (11, 6)
    np.testing.assert_allclose(four["entry"], one["entry"], rtol=1e-14)
    np.testing.assert_allclose(four["values"], one["values"], rtol=1e-13)
print(repr(one["entry"].tolist()))
"""


def draw(key, scale):
    matrix = jax.random.normal(key, (6, 6)) * scale
    return {"entry": matrix[0, 0], "total": matrix.sum()}


def test_results_are_those_of_single_evaluations():
    got = over_replicates(draw, KEYS, jnp.asarray(3.0))
    alone = [draw(key, 3.0) for key in KEYS]
    assert isinstance(got["total"], np.ndarray)
    np.testing.assert_allclose(got["entry"], [float(a["entry"]) for a in alone], rtol=1e-14)
    np.testing.assert_allclose(got["total"], [float(a["total"]) for a in alone], rtol=1e-13)


@pytest.mark.parametrize("chunk_size", [1, 2, 4, 11, 100])
def test_chunks_change_nothing(chunk_size):
    whole = over_replicates(draw, KEYS, 2.0)
    chunked = over_replicates(draw, KEYS, 2.0, chunk_size=chunk_size)
    np.testing.assert_allclose(chunked["entry"], whole["entry"], rtol=1e-14)
    np.testing.assert_allclose(chunked["total"], whole["total"], rtol=1e-13)


def test_memory_bounds_the_chunk():
    sizes = []

    def record(key):
        jax.debug.callback(lambda: sizes.append(1))
        return jnp.sum(jnp.ones((1000, 100)) * jax.random.normal(key))

    need = replicate_bytes(record, KEYS[0])
    assert 1000 * 100 * 8 <= need < 10 * 1000 * 100 * 8
    got = over_replicates(record, KEYS, memory_bytes=2 * need)
    np.testing.assert_allclose(got, [1e5 * float(jax.random.normal(key)) for key in KEYS], rtol=1e-12)


def test_memory_counts_what_loops_stack_up():
    def stacked(key):
        return jax.lax.scan(lambda x, _: (x, x), jax.random.normal(key, (50,)), length=200)[1]

    assert replicate_bytes(stacked, KEYS[0]) >= 50 * 200 * 8


def test_replicates_may_be_any_pytree():
    replicates = {"a": np.arange(5.0), "b": jnp.ones((5, 2))}
    got = over_replicates(lambda r: r["a"] + r["b"].sum(), replicates, chunk_size=2)
    np.testing.assert_allclose(got, np.arange(5.0) + 2)


def test_several_devices_agree_with_one():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", FOUR_DEVICES], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    here = over_replicates(draw, KEYS, 2.0)["entry"]
    np.testing.assert_allclose(ast.literal_eval(done.stdout), here, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: over_replicates(draw, KEYS[:0], 1.0), "replicates"),
        (lambda: over_replicates(draw, {}, 1.0), "replicates"),
        (lambda: over_replicates(draw, (np.ones(2), np.ones(3)), 1.0), "replicates"),
        (lambda: over_replicates(draw, np.float64(1.0), 1.0), "replicates"),
        (lambda: over_replicates(draw, KEYS, 1.0, chunk_size=0), "chunk_size"),
        (lambda: over_replicates(draw, KEYS, 1.0, memory_bytes=0), "memory_bytes"),
        (lambda: over_replicates(draw, KEYS, 1.0, devices=[]), "devices"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()
