"""Random features, on cases with a known answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations import ntk as sim
from simulations.ntk.random_features import directions, exponential_features

X = np.array([[0.3, -0.2], [0.0, 0.0], [0.1, 0.5]])
W = np.array([[0.4, 0.1], [-0.3, 0.2]])


def test_a_feature_by_hand():
    along = np.array([[1.0, 2.0], [0.5, -1.0]])
    found = exponential_features(jnp.asarray(X), jnp.asarray(along))
    expected = [[np.exp(g @ x - x @ x / 2) for g in along] for x in X]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    turned = exponential_features(1j * jnp.asarray(X), jnp.asarray(along))
    np.testing.assert_allclose(turned, [[np.exp(1j * g @ x + x @ x / 2) for g in along] for x in X], rtol=1e-14)


def test_laws_of_directions():
    key = jax.random.key(0)
    normal, signs, apart, twice = (directions(key, 6, 3, jnp.asarray(law)) for law in range(4))
    np.testing.assert_array_equal(normal[0], normal[1])
    assert set(np.unique(signs[0])) == {-1.0, 1.0}
    np.testing.assert_array_equal(apart[0], normal[0])
    assert np.abs(apart[0] - apart[1]).min() > 0
    np.testing.assert_array_equal(twice[0][::2], twice[1][1::2])
    np.testing.assert_array_equal(twice[0][::2], normal[0][:3])


def test_moments_are_those_of_the_features():
    keys = jax.random.split(jax.random.key(1), 2)
    found = sim.feature_moments(keys, X, W, features=5)
    along, _ = directions(keys[1], 5, 2, jnp.asarray(0))
    real = np.einsum("ng,mg->nmg", exponential_features(X, along), exponential_features(W, along))
    phase = np.einsum("ng,mg->nmg", exponential_features(1j * X, along), exponential_features(W, along))
    expected = (real, real**2, phase.real, phase.real**2, phase.imag, np.abs(phase) ** 2)
    for field, values in zip(found, expected, strict=True):
        np.testing.assert_allclose(field[1], values.mean(axis=2), rtol=1e-12)


def test_an_input_of_zero_is_the_weights_own_feature():
    found = sim.feature_moments(jax.random.split(jax.random.key(2), 2), np.zeros((1, 2)), W, features=7)
    np.testing.assert_allclose(found.exponential, found.real, rtol=1e-12)
    np.testing.assert_array_equal(found.imaginary, 0)


def test_layers_are_products_of_two_matrices():
    keys = jax.random.split(jax.random.key(3), 2)
    found = sim.decoupled_layers(keys, X, W, features=9, layers=3)
    assert found.shape == (2, 3, 2, 3, 2)
    along, _ = directions(jax.random.split(keys[0], 3)[2], 9, 2, jnp.asarray(0))
    of_inputs, of_units = exponential_features(X, along), exponential_features(W, along)
    np.testing.assert_allclose(found[0, 2, 0], of_inputs @ of_units.T / 9, rtol=1e-12)


def test_gaussian_units_by_hand_and_for_wide_activations():
    keys, bias = jax.random.split(jax.random.key(4), 3), np.array([0.2, -0.4])
    wide = sim.gaussian_unit_moments(keys, X, W, bias, width=1e9, features=11)
    units = sim.feature_moments(keys, np.zeros((3, 2)), W, features=11)
    assert np.abs(wide.mean).max() < 10
    assert wide.mean.shape == units.exponential.shape
    # without a frequency all inputs look alike, and only the weights' normalisation is left
    np.testing.assert_allclose(wide.mean, np.broadcast_to(wide.mean[:, :1], wide.mean.shape), rtol=1e-6)
    many = sim.gaussian_unit_moments(jax.random.split(jax.random.key(5), 64), X, W, bias, width=1.5, features=512)
    error = many.mean.std(axis=0) / 8
    assert (np.abs(many.mean.mean(axis=0) - np.exp(-0.5 * ((X @ W.T + bias) / 1.5) ** 2)) < 6 * error).all()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda keys: sim.feature_moments(keys, X, W, features=4, law="cauchy"), "law"),
        (lambda keys: sim.gaussian_unit_moments(keys, X, W, np.zeros(2), width=0.0, features=4), "width"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call(jax.random.split(jax.random.key(0), 2))
