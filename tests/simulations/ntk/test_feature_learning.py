"""Simulators of feature learning: two ways to train the same network, populations, controls, and powers of n."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations import ntk as sim

X = jnp.array([[1.0, 0.5], [-0.6, 1.1]])
Y = jnp.array([1.0, -0.7])
A, B, C = jnp.array([-0.3, 0.1, 0.4]), jnp.array([0.3, 0.4, 0.3]), 0.2


@pytest.mark.parametrize("centred", [False, True])
def test_outer_products_train_as_weights_do(centred):
    n, key = 12, jax.random.key(0)
    draws = sim.draw_matrices(key, (2, n, n, 1))
    options = {"a": A, "b": B, "c": C, "learning_rate": 0.4, "n_steps": 4, "activation": jnp.tanh}
    path = sim.abc_descent(draws, X, Y, centred=centred, **options)
    scales = sim.abc_scales(n, A, B)
    network = tuple(sim.Layer(scales.weight_std[i] * draw, jnp.zeros(draw.shape[0])) for i, draw in enumerate(draws))

    def observe(network):
        hidden = [sim.outputs(network[:k], X, scales, jnp.tanh) for k in (1, 2, 3)]
        return hidden, sim.tangent_kernel(network, X, scales, jnp.tanh)

    target = Y + sim.outputs(network, X, scales, jnp.tanh)[:, 0] if centred else Y
    hidden, kernel = sim.gradient_descent(
        network, X, target, scales=scales, activation=jnp.tanh, learning_rate=0.4 * n**-C, n_records=4, observe=observe
    )
    np.testing.assert_allclose(path.f, hidden[2][..., 0], rtol=1e-11, atol=1e-13)
    for mine, theirs in zip(path.preactivations, hidden[:2], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(path.kernel, 0.4 * n**-C * kernel, rtol=1e-11, atol=1e-13)
    changes = sim.mean_square_changes(path, jnp.tanh)
    assert changes.shape == (4, 5)
    np.testing.assert_allclose(changes[-1, 4], jnp.mean((path.f[-1] - path.f[0]) ** 2))


def test_populations_train_as_networks_in_the_maximal_update_parametrisation():
    neurons = jax.random.normal(jax.random.key(1), (7, 3))
    network, scales = sim.network_of(neurons)
    np.testing.assert_allclose(sim.neurons_of(network, scales), neurons, rtol=1e-14)
    path = sim.gradient_descent(
        network, X, Y, scales=scales, activation=jnp.tanh, learning_rate=0.6, n_records=4,
        observe=lambda network: sim.outputs(network, X, scales, jnp.tanh)[:, 0],
    )  # fmt: skip
    padded = jnp.concatenate([neurons, jnp.ones((5, 3))])
    masses = jnp.concatenate([jnp.full(7, 1 / 7), jnp.zeros(5)])
    found = sim.population_descent(padded, masses, X, Y, learning_rate=0.6, n_steps=4, activation=jnp.tanh, x_test=X)
    np.testing.assert_allclose(found, path, rtol=1e-12)


def test_quadrature_neurons_have_gaussian_moments():
    neurons, masses = sim.quadrature_neurons(3, 6)
    assert masses.sum() == pytest.approx(1)
    np.testing.assert_allclose(sim.moments_of(neurons, masses), np.eye(3), atol=1e-13)
    np.testing.assert_allclose(masses @ neurons**4, 3 * np.ones(3), rtol=1e-12)


def test_controls_leave_means_and_take_what_is_linear():
    rng = np.random.default_rng(0)
    controls = rng.standard_normal((20_000, 2))
    rest = 0.1 * rng.standard_normal((20_000, 1))
    left = sim.without_linear_part(3.0 + controls @ np.array([[1.0], [-2.0]]) + rest, controls)
    assert left.std() == pytest.approx(0.1, rel=0.03)
    assert left.mean() == pytest.approx(3.0, abs=0.005)


@pytest.mark.parametrize(
    ("a", "b", "c", "changes", "output", "kernel"),
    [
        # standard at a rate over width; tangent; maximal update, one hidden layer
        ((0, 0, 0), (0, 0.5, 0.5), 1, (-1.5, -0.5), 0, -0.5),
        ((0, 0.5, 0.5), (0, 0, 0), 0, (-0.5, -0.5), 0, -0.5),
        ((-0.5, 0.5), (0.5, 0.5), 0, (0,), 0, 0),
    ],
)
def test_powers_of_known_parametrisations(a, b, c, changes, output, kernel):
    units = [np.rint(np.array(part) * sim.UNIT).astype(int) for part in (a, b, c)]
    found = sim.follow_powers(*units)
    np.testing.assert_array_equal(found.changes, np.array(changes) * sim.UNIT)
    assert found.output_change == output * sim.UNIT
    assert found.kernel_change == kernel * sim.UNIT
    np.testing.assert_array_equal(found.start, 0)
