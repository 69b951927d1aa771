"""Enumerated networks, Gaussian laws behind linear maps, and noisy layers, on cases whose answers are known."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations import generalization as sim


def test_a_network_that_names_its_training_label():
    # one weight a label, no input; at zero temperature the learner repeats the one label that it saw
    network = sim.FiniteNetwork(jnp.array([[0.5, 0.5]]), (jnp.array([[0], [1]]),), jnp.asarray(80.0))
    laws = sim.network_laws(network, 1, alphabets=(1, 2))
    assert laws.gap == pytest.approx(0.5)
    np.testing.assert_allclose(laws.divergences, [math.log(2), math.log(2)], rtol=1e-12)
    np.testing.assert_allclose(laws.joint[:, 0], np.eye(2) / 2, atol=1e-12)
    np.testing.assert_allclose(laws.product, 0.25)


def test_a_layer_that_forgets_ends_all_divergence():
    constant = jnp.zeros((2, 2), int)
    network = sim.FiniteNetwork(
        jnp.array([[0.3, 0.1], [0.2, 0.4]]), (jnp.array([[0, 1], [1, 0], [0, 0]]), constant), jnp.asarray(3.0)
    )
    laws = sim.network_laws(network, 2, alphabets=(2, 2, 2))
    # nothing that the learner chooses changes what the network says: it is the prior, and has no gap
    np.testing.assert_allclose([laws.gap, *laws.divergences], 0, atol=1e-12)
    assert laws.joint.sum() == pytest.approx(1)


def test_activations_follow_the_tables():
    maps = (jnp.array([[1, 0, 2]]), jnp.array([[0, 1, 1], [1, 0, 0]]))
    found = sim.run_network(maps, (jnp.asarray(0), jnp.asarray(1)), jnp.array([0, 1, 2]))
    assert [layer.tolist() for layer in found] == [[0, 1, 2], [1, 0, 2], [0, 1, 0]]


@pytest.mark.parametrize("mask", [0.0, 0.25, 1.0])
def test_dropout_of_one_unit_is_an_erasure(mask):
    channel = sim.dropout_channel(np.array([[1.0], [2.0]]), mask)
    expected = [[mask, 1 - mask, 0.0], [mask, 0.0, 1 - mask]]
    np.testing.assert_allclose(channel, expected, atol=1e-15)


def test_dropconnect_of_one_weight_is_dropout():
    inputs = np.array([[1.0], [2.0], [3.0]])
    one = sim.dropconnect_channel(inputs, np.array([[1.0]]), 0.3)
    np.testing.assert_allclose(one, sim.dropout_channel(inputs, 0.3), atol=1e-15)
    two = sim.dropconnect_channel(np.array([[1.0, 1.0]]), np.array([[0.5, 0.5]]), 0.3)
    np.testing.assert_allclose(two, [[0.09, 0.42, 0.49]], atol=1e-15)  # the two weights cannot be told apart


def test_share_of_a_divergence():
    point = jnp.log(jnp.array([0.8, 0.2, 0.3, 0.7]))
    np.testing.assert_allclose(sim.contraction_of_pair(point, jnp.eye(2)), 1.0)
    erasure = jnp.asarray(sim.dropout_channel(np.array([[1.0], [2.0]]), 0.4))
    np.testing.assert_allclose(sim.contraction_of_pair(point, erasure), 0.6, rtol=1e-14)
    equal, apart = jnp.zeros(4), jnp.array([900.0, 0.0, 0.0, 900.0])
    assert np.isnan(sim.contraction_of_pair(equal, erasure))  # nothing to let through
    assert np.isnan(sim.contraction_of_pair(apart, erasure))  # more than float64 can hold


def test_noise_lets_everything_through_when_weak_and_nothing_when_strong():
    point = jnp.array([-np.pi / 2, np.pi / 2, 0.0, 1.0, 1.0, 0.0])
    weak = sim.contraction_of_noise(point, jnp.asarray(3.0), jnp.asarray(0.5))
    strong = sim.contraction_of_noise(point, jnp.asarray(0.05), jnp.asarray(1.0))
    assert 0.98 < weak < 1
    assert 0 < strong < 1e-3


def test_laws_behind_maps_given_the_sample_mean():
    n, sigma, mean = 5, 0.7, jnp.array([0.3, -1.0])
    maps = (jnp.eye(2), jnp.array([[1.0, 2.0]]), jnp.zeros((1, 2)) + jnp.array([[0.0, 1e-9]]))
    draw = jax.jit(jax.vmap(lambda key: sim.layer_laws(key, n, mean, jnp.asarray(sigma), maps)))
    laws = draw(jax.random.split(jax.random.key(0), 20_000))
    kl, distance = np.asarray(laws.kl), np.asarray(laws.wasserstein)
    # a chi-square of two degrees over 2n, and what a variance of 1 - 1/n costs
    least = (-1 / n - math.log(1 - 1 / n)) / 2
    assert kl[:, 0].min() == pytest.approx(2 * least, abs=1e-3)
    assert kl[:, 1].min() == pytest.approx(least, abs=1e-6)
    assert abs(kl[:, 0].mean() - 2 * least - 1 / n) < 6 * kl[:, 0].std() / math.sqrt(20_000)
    shrunk = sigma**2 * (1 - math.sqrt(1 - 1 / n)) ** 2 * 5
    assert distance[:, 1].min() == pytest.approx(shrunk, rel=1e-2)
    assert distance[:, 2].max() < 1e-15


def test_class_means_fit_their_own_points_better():
    draw = jax.jit(jax.vmap(lambda key: sim.class_mean_losses(key, 4, 3, jnp.asarray(0.0), jnp.asarray(1.0), 20)))
    train, fresh, train_linear, fresh_linear = np.asarray(draw(jax.random.split(jax.random.key(1), 20_000))).T
    assert abs(fresh.mean() - 0.5) < 6 * fresh.std() / math.sqrt(20_000)  # no classes at all
    assert train.mean() < 0.3
    assert abs(fresh_linear.mean() - train_linear.mean() - 3 / 4) < 0.05


def test_gap_of_a_fitted_last_layer():
    features = jnp.array([[1.0, 0.0, 2.0]])
    losses = (lambda score: -score, lambda score: jnp.zeros_like(score))
    draw = jax.jit(jax.vmap(lambda key: sim.network_gap(key, 6, jnp.zeros(3), jnp.asarray(1.5), features, losses, 20)))
    gap = np.asarray(draw(jax.random.split(jax.random.key(2), 20_000)))
    assert abs(gap[:, 0].mean() - 2.25 * 5 / 6) < 6 * gap[:, 0].std() / math.sqrt(20_000)
    assert (gap[:, 1] == 0).all()
