import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations import ntk as sim

X = jnp.array([[1.0, 0.3, -0.5], [0.2, -1.1, 0.7], [0.4, 0.9, 0.1]])
WIDTHS = (3, 6, 5, 1)


def jacobian(network, scales, activation):
    found = jax.jacobian(lambda p: sim.outputs(p, X, scales, activation)[:, 0])(network)
    return jnp.concatenate([leaf.reshape(len(X), -1) for leaf in jax.tree.leaves(found)], axis=1)


@pytest.mark.parametrize("name", ["relu", "tanh"])
@pytest.mark.parametrize(
    "scales",
    [
        sim.ntk_scales(WIDTHS, bias_std=0.3),
        sim.standard_scales(WIDTHS),
        sim.abc_scales(6, [0.0, 0.5, 1.0], [0.5, 0.0, 0.5]),
    ],
)
def test_layerwise_kernel_is_that_of_the_jacobian(name, scales):
    network = sim.initialise(jax.random.key(0), WIDTHS, scales)
    j = jacobian(network, scales, sim.ACTIVATIONS[name])
    np.testing.assert_allclose(
        sim.tangent_kernel(network, X, scales, sim.ACTIVATIONS[name]), j @ j.T, rtol=1e-12, atol=1e-14
    )


def test_parametrisations_compute_the_same_function():
    for_ntk, standard = (
        sim.ntk_scales(WIDTHS, weight_std=1.4, bias_std=0.3),
        sim.standard_scales(WIDTHS, weight_std=1.4, bias_std=0.3),
    )
    found = [sim.outputs(sim.initialise(jax.random.key(1), WIDTHS, s), X, s, jnp.tanh) for s in (for_ntk, standard)]
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_a_narrowed_network_trains_as_a_narrow_one():
    wide, narrow = (3, 8, 8, 1), (3, 5, 5, 1)
    scales = sim.ntk_scales(wide, bias_std=0.3)
    big, grown = sim.narrow(sim.initialise(jax.random.key(2), wide, scales), scales, 5)
    small = tuple(
        sim.Layer(layer.weight[:b, :a], layer.bias[:b]) for layer, a, b in zip(big, narrow, narrow[1:], strict=False)
    )
    small_scales = sim.ntk_scales(narrow, bias_std=0.3)
    options = {"activation": jnp.tanh, "learning_rate": 0.3, "n_records": 2, "stride": 3}
    y = jnp.array([1.0, -1.0, 0.5])
    paths = [
        sim.gradient_descent(
            net, X, y, scales=s, observe=lambda p, s=s: sim.tangent_kernel(p, X, s, jnp.tanh), **options
        )
        for net, s in ((big, grown), (small, small_scales))
    ]
    np.testing.assert_allclose(*paths, rtol=1e-12)


def test_linear_model_training_is_exact():
    widths = (3, 1)
    scales = sim.ntk_scales(widths, bias_std=0.0)
    network = sim.initialise(jax.random.key(3), widths, scales)
    y = jnp.array([1.0, -1.0, 0.5])
    w = np.asarray(network[0].weight)[0]
    for _ in range(4):
        f = np.asarray(X) @ w / np.sqrt(3)
        w = w - 0.5 / 3 * np.asarray(X).T @ (f - np.asarray(y)) / np.sqrt(3)
    options = {"scales": scales, "activation": lambda z: z, "learning_rate": 0.5}
    path = sim.gradient_descent(
        network, X, y, n_records=2, stride=2, observe=lambda p: sim.outputs(p, X, scales, lambda z: z)[:, 0], **options
    )
    assert path.shape == (3, 3)
    np.testing.assert_allclose(path[-1], np.asarray(X) @ w / np.sqrt(3), rtol=1e-12)
    expanded = sim.linearised_descent(network, X[:3], y, X[:1], stride=2, n_records=2, **options)
    np.testing.assert_allclose(expanded[-1][:3], path[-1], rtol=1e-12)


def test_pair_means_have_known_values():
    np.testing.assert_allclose(sim.pair_mean(lambda u, v: u * v, 1.3, 0.7, 0.9), 0.7, rtol=1e-13)
    np.testing.assert_allclose(
        sim.pair_mean(lambda u, v: (u * v) ** 2, 1.3, 0.7, 0.9), 1.3 * 0.9 + 2 * 0.49, rtol=1e-13
    )
    orthant = sim.pair_mean(lambda u, v: (u > 0) * (v > 0), 1.0, 0.5, 1.0)
    np.testing.assert_allclose(orthant, 1 / 3, rtol=1e-13)


def test_linear_layers_keep_the_kernel():
    found = sim.deep_kernels(lambda z: z, [1.0, 0.4, 1.0], n_hidden=3, weight_std=1.0, bias_std=0.0)
    np.testing.assert_allclose(found[:, 0], np.tile([1.0, 0.4, 1.0], (4, 1)), rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], np.outer([1, 2, 3, 4], [1.0, 0.4, 1.0]), rtol=1e-12)


def test_bad_widths():
    with pytest.raises(ValueError, match="at least two sizes"):
        sim.ntk_scales((3,))
