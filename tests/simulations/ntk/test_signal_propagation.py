"""Signals of sampled and of infinitely wide networks, and entropies of scale mixtures, on cases with known answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations import ntk as sim
from simulations.ntk.signal_propagation import gaussian_mean

RELU = sim.ACTIVATIONS["relu"]


def test_means_over_a_gaussian():
    assert gaussian_mean(lambda z: z**4, 2.0) == pytest.approx(12, rel=1e-13)
    assert gaussian_mean(jnp.abs, 3.0) == pytest.approx(np.sqrt(6 / np.pi), rel=1e-13)


def test_a_linear_layer_and_a_rectified_one():
    assert sim.kernel_map(1.5, 0.8, 0.1, lambda z: z) == pytest.approx(0.1 + 0.8 * 1.5)
    np.testing.assert_allclose(sim.growth(1.5, 0.8, 0.1, lambda z: z), 0.8, rtol=1e-10)
    assert sim.kernel_map(1.5, 2.0, 0.0, RELU) == pytest.approx(1.5)


def test_paths_follow_the_map_and_its_slope():
    path = sim.kernel_path(0.7, 1.2, 0.1, activation=jnp.tanh, depth=4)
    k = 0.7
    for layer in range(4):
        assert path[layer, 0] == pytest.approx(k, rel=1e-12)
        k = float(sim.kernel_map(k, 1.2, 0.1, jnp.tanh))
    shifted = sim.kernel_path(0.7 + 1e-6, 1.2, 0.1, activation=jnp.tanh, depth=4)
    np.testing.assert_allclose(path[:, 1], (shifted[:, 0] - path[:, 0]) / 1e-6, rtol=1e-5)


def test_differences_grow_as_a_linear_layer_lets_them():
    grown = sim.difference_path(1.0, 1e-3, 1.21, 0.0, activation=lambda z: z, depth=4)
    np.testing.assert_allclose(grown, 1.1 ** np.arange(4), rtol=1e-9)


def test_critical_tuning_is_a_fixed_point_of_both():
    k, c_w, c_b = sim.critical_tuning(jnp.array([3.5, 2.0, 0.2]), sim.ACTIVATIONS["gelu"])
    np.testing.assert_allclose(sim.growth(k, c_w, c_b, sim.ACTIVATIONS["gelu"]), 1, rtol=1e-9)
    assert sim.kernel_map(k, c_w, c_b, sim.ACTIVATIONS["gelu"]) == pytest.approx(float(k), rel=1e-10)


def test_noise_of_linear_layers_adds_up():
    # every layer adds a relative variance of 2 / n
    found = sim.response_variance(1.3, 1.0, 0.0, activation=lambda z: z, layers=(2, 3, 6))
    np.testing.assert_allclose(found, [2, 4, 10], rtol=1e-9)


def test_sampled_networks_have_the_shapes_and_variances_they_should():
    x = jnp.ones((3, 2))
    layers = sim.sample_network(jax.random.key(0), x, (5, 7), 1.5, 0.2, jnp.tanh)
    assert [layer.shape for layer in layers] == [(5, 2), (7, 2)]
    np.testing.assert_array_equal(layers[0][:, 0], layers[0][:, 1])
    wide = sim.sample_network(jax.random.key(1), x, (20_000,), 1.5, 0.2, jnp.tanh)[0]
    assert jnp.var(wide[:, 0]) == pytest.approx(1.7, rel=0.05)
    variances = sim.sample_variances(jax.random.key(2), 0.6, (50_000, 50_000), 2.0, 0.0, RELU)
    np.testing.assert_allclose(variances, 0.6, rtol=0.1)


def test_connected_correlations_vanish_for_independent_neurons_and_not_for_a_shared_scale():
    z = jax.random.normal(jax.random.key(3), (400, 50))
    independent = sim.connected_correlations(z)
    np.testing.assert_allclose(independent, [1, 0, 0], atol=0.1)
    scale = jnp.where(jnp.arange(400) % 2 == 0, 0.5, 1.5)[:, None]
    mixed = sim.connected_correlations(jnp.sqrt(scale) * z)
    np.testing.assert_allclose(mixed, [1, 0.25, 0.75], atol=0.15)


@pytest.mark.parametrize("mixing", [sim.log_normal, sim.gamma, sim.two_point])
def test_scales_have_mean_one_and_the_variance_asked_for(mixing):
    values, weights = mixing(0.04)
    assert weights.sum() == pytest.approx(1, rel=1e-10)
    assert values @ weights == pytest.approx(1, rel=1e-8)
    assert (values - 1) ** 2 @ weights == pytest.approx(0.04, rel=1e-6)


def test_mixtures_lack_entropy_and_neurons_share_information():
    negentropy = [float(sim.negentropy(2, v, sim.log_normal)) for v in (1e-4, 0.01, 0.1)]
    assert negentropy == sorted(negentropy)
    assert negentropy[0] > 0
    assert float(sim.mutual_information(1, 1, 0.05, sim.gamma)) > 0
    assert float(sim.negentropy(3, 1e-3, sim.log_normal)) == pytest.approx(15 / 16 * 1e-6, rel=0.02)
