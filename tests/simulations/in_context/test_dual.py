import jax
import jax.numpy as jnp
import numpy as np

from simulations.in_context import dual
from simulations.in_context.attention import random_layer


def test_training_moves_by_the_recorded_errors():
    keys = jax.random.split(jax.random.key(0), 3)
    w0, x, y = (jax.random.normal(k, shape) for k, shape in zip(keys, ((2, 3), (4, 5, 3), (4, 5, 2)), strict=True))
    found = dual.train_linear_layer(w0, x, y, 0.1)
    np.testing.assert_allclose(found.weights, w0 + found.errors.T @ x.reshape(-1, 3), atol=1e-12)
    first = -0.1 * np.tanh(np.asarray(x[0] @ w0.T - y[0]))
    np.testing.assert_allclose(found.errors[:5], first, atol=1e-12)


def test_training_to_the_end_fits_the_targets():
    x = jnp.eye(3)[None].repeat(2000, axis=0)
    targets = jnp.arange(6.0).reshape(3, 2)
    found = dual.train_linear_layer(jnp.zeros((2, 3)), x, targets[None].repeat(2000, axis=0), 0.3)
    np.testing.assert_allclose(found.weights, targets.T, atol=1e-8)


def test_without_errors_attention_adds_nothing():
    w = jnp.array([[1.0, 2.0]])
    found = dual.attend_to_errors(w, jnp.ones((3, 2)), jnp.zeros((3, 1)), jnp.array([1.0, 1.0]))
    np.testing.assert_array_equal(found, [3.0])


def test_momentum_one_on_a_constant_slope_accelerates_steadily():
    """With m = 1 and gradient 1, step t subtracts t - 1 gradients: the path is -gamma t (t - 1) / 2."""
    path = dual.momentum_descent(jnp.sum, jnp.zeros(1), step_size=0.1, momentum=1.0, n_steps=6)
    t = np.arange(7)
    np.testing.assert_allclose(path.ravel(), -0.1 * t * (t - 1) / 2, atol=1e-12)


def test_momentum_in_attention_adds_the_decaying_sum_and_a_channel_does_the_same():
    layer = random_layer(jax.random.key(1), width=3)
    tokens = jax.random.normal(jax.random.key(2), (7, 3))
    found = dual.momentum_attention(layer, tokens, 0.8)
    np.testing.assert_allclose(dual.channel_attention(layer, tokens, 0.8), found, atol=1e-12)
    np.testing.assert_array_equal(found[0], 0.0)
    scores = (tokens @ layer.query.T) @ (tokens @ layer.key.T).T
    values = tokens @ layer.value.T @ layer.projection.T
    second = (scores[1, 0] + 0.8) * values[0]
    np.testing.assert_allclose(found[1], second, atol=1e-12)
