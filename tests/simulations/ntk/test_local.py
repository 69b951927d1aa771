"""Local networks and local regression, on cases with a known answer."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations import ntk as sim
from simulations.ntk.local_regression import KERNELS, covariance


def test_output_of_a_network_by_hand():
    network = sim.local_network(jax.random.key(0), n=5, shape=(4, 3), groups=(2,))
    x = np.random.default_rng(0).normal(size=(4, 3))
    filters, (deeper,), readout = (jax.tree.map(np.asarray, part) for part in network)
    first = 2**0.5 * np.maximum(filters @ x.T, 0)
    second = np.stack([sum(deeper[:, :, j] @ first[:, 2 * m + j] for j in range(2)) for m in range(2)], axis=1)
    second = 2**0.5 * np.maximum(second / 10**0.5, 0)
    assert float(sim.local_output(network, jnp.asarray(x))) == pytest.approx(np.sum(readout * second) / 10**0.5)


def test_kernels_are_sums_of_products_of_gradients():
    x = jnp.asarray(np.random.default_rng(1).normal(size=(3, 2, 3)))
    last, whole = np.asarray(sim.local_kernels(jax.random.key(1), x, 6))
    network = sim.local_network(jax.random.key(1), n=6, shape=(2, 3))
    z = np.einsum("as,nps->nap", network.filters, x)
    activity = 2**0.5 * np.maximum(z, 0) / 12**0.5
    np.testing.assert_allclose(last, np.einsum("nap,map->nm", activity, activity), rtol=1e-12)
    assert (np.linalg.eigvalsh(whole - last) > -1e-12).all()


def test_power_of_units_sums_to_the_kernel_at_zero():
    k = np.arange(400)
    for kind, total in (("rfk", 1.0), ("ntk", 2.0)):
        power = np.asarray(sim.unit_power(k, kernel=kind))
        assert 2 * power.sum() - power[0] == pytest.approx(total, abs=0.01)


def test_torus_of_equal_patches_is_symmetric():
    spectrum = np.asarray(sim.torus_spectrum(n=64, kernel="ntk"))
    np.testing.assert_allclose(spectrum[:33, :33], spectrum[:33, :33].T, atol=1e-14)


def test_covariances_look_at_used_coordinates_only():
    differences = jnp.array([[0.3, 1.0], [0.0, 2.0]])
    for number in range(len(KERNELS)):
        values = covariance(jnp.asarray(number), differences, jnp.array([1.0, 0.0]))
        alone = covariance(jnp.asarray(number), differences[:, :1], jnp.ones(1))
        np.testing.assert_allclose(values, alone, rtol=1e-12)


def test_errors_are_those_of_a_dense_solve():
    key = jax.random.split(jax.random.key(5), 2)
    found = sim.random_design_errors(key, sizes=(6, 12), kernel="ntk", patches=1, padded=2, n_test=7)
    for_train, for_test = jax.random.split(key[1])
    train = np.asarray(jax.random.uniform(for_train, (12, 2), maxval=2 * np.pi))[:, :1]
    test = np.asarray(jax.random.uniform(for_test, (7, 2), maxval=2 * np.pi))[:, :1]
    ntk, used = jnp.asarray(1), jnp.ones(1)
    for column, size in enumerate((6, 12)):
        gram = np.asarray(covariance(ntk, jnp.asarray(train[:size, None] - train[:size]), used))
        across = np.asarray(covariance(ntk, jnp.asarray(train[:size, None] - test), used))
        expected = np.mean(2 - np.sum(across * np.linalg.solve(gram, across), axis=0))
        assert found[1, column] == pytest.approx(expected, rel=1e-6)


def test_lattice_error_is_that_of_a_dense_solve():
    side, nodes = 6, np.polynomial.legendre.leggauss(4)
    train = 2 * np.pi * np.arange(side)[:, None] / side
    test = ((nodes[0] + 1) * np.pi / side)[:, None]
    used = jnp.ones(1)

    def kernel(name, a, b):
        return np.asarray(covariance(jnp.asarray(KERNELS.index(name)), jnp.asarray(a[:, None] - b), used))

    teacher, student = (partial(kernel, name) for name in ("rfk", "exponential"))
    weights = np.linalg.solve(student(train, train), student(train, test))
    each = 1 - 2 * np.sum(weights * teacher(train, test), 0) + np.sum(weights * (teacher(train, train) @ weights), 0)
    found = sim.lattice_error(teacher="rfk", student="exponential", side=side, dim=1)
    assert found == pytest.approx(nodes[1] @ each / 2, rel=1e-10)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="kernel"):
        sim.unit_power([0], kernel="nngp")
    with pytest.raises(ValueError, match="kernel"):
        sim.lattice_error(teacher="cubic", student="rfk", side=4, dim=1)
    with pytest.raises(ValueError, match="side"):
        sim.lattice_error(teacher="rfk", student="rfk", side=1, dim=1)
    with pytest.raises(ValueError, match="patches"):
        sim.random_design_errors(
            jax.random.split(jax.random.key(0), 2), sizes=(4,), kernel="rfk", patches=0, padded=1, n_test=2
        )
