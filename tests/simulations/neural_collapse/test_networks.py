import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate

from simulations.neural_collapse import (
    convolutional,
    digits,
    network_decays,
    network_objective,
    perceptron,
    snapshot,
    train_adam,
    train_lbfgs,
    with_head,
)

DATA = digits([6, 5, 4], rng=np.random.default_rng(0))


def network(*, bias=False, dims=(5, 4)):
    rng = np.random.default_rng(1)
    return with_head(perceptron((64, 12, dims[0]), rng=rng), dims, 3, rng=rng, bias=bias)


def test_digits_are_centred_distinct_and_labelled():
    assert DATA.images.shape == (15, 64)
    assert DATA.labels.tolist() == [0] * 6 + [1] * 5 + [2] * 4
    np.testing.assert_allclose(DATA.images.mean(axis=0), 0, atol=1e-14)
    assert len(np.unique(DATA.images, axis=0)) == 15
    again = digits([6, 5, 4], rng=np.random.default_rng(0))
    np.testing.assert_array_equal(again.images, DATA.images)
    ones = digits([1, 60], rng=np.random.default_rng(3))
    zeros = digits([60, 1], rng=np.random.default_rng(3))
    # Zeros are open in the middle, ones are not.
    middle = 3 * 8 + 3
    assert ones.images[1:, middle].mean() > zeros.images[:60, middle].mean()


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_convolution_is_a_correlation(slope):
    rng = np.random.default_rng(2)
    net = convolutional((2, 3), (4,), rng=rng, negative_slope=slope)
    images = rng.normal(size=(2, 8, 8))

    def layer(stack, kernel, bias):
        k = np.asarray(kernel).reshape(kernel.shape[0], 9, -1)
        out = []
        for c in range(kernel.shape[0]):
            total = sum(correlate(channel, k[c, :, i].reshape(3, 3), mode="same") for i, channel in enumerate(stack))
            total = total + float(bias[c])
            out.append(np.where(total > 0, total, slope * total))
        return np.array(out)

    for image, feature in zip(images, np.asarray(net(jnp.asarray(images.reshape(2, 64)))).T, strict=True):
        hidden = layer(image[None], net.kernels[0], net.kernel_biases[0])
        pooled = hidden.reshape(2, 4, 2, 4, 2).mean(axis=(2, 4))
        top = layer(pooled, net.kernels[1], net.kernel_biases[1])
        np.testing.assert_allclose(net.weights[0] @ top.ravel() + net.biases[0], feature, atol=1e-12)


def test_objective_by_hand():
    net = network(bias=True)
    decays = network_decays(head=[0.1, 0.2], features=0.3, backbone=0.4)
    (w1, w2), (b1, b2) = net.backbone.weights, net.backbone.biases
    h = w2 @ np.maximum(w1 @ DATA.images.T + b1[:, None], 0) + b2[:, None]
    out = net.head[1] @ net.head[0] @ h + net.bias[:, None]
    value = np.sum((out - np.eye(3)[:, DATA.labels]) ** 2) / 15
    value += 0.3 * np.sum(h**2) + 0.1 * np.sum(net.head[0] ** 2) + 0.2 * np.sum(net.head[1] ** 2)
    value += 0.4 * (np.sum(w1**2) + np.sum(w2**2))
    got = network_objective(net, jnp.asarray(DATA.images), jnp.asarray(DATA.labels), decays)
    np.testing.assert_allclose(got, value / 2, rtol=1e-12)


def test_snapshot_measures_the_identities_of_stationary_heads():
    # Features at the corners of an orthogonal frame, one layer: the best ridge head makes the last-layer identity hold.
    net = network(dims=(5,))
    decays = network_decays(head=[0.1])
    h = np.asarray(net.backbone(jnp.asarray(DATA.images)))
    labels = np.eye(3)[:, DATA.labels]
    ridge = labels @ h.T @ np.linalg.inv(h @ h.T + 15 * 0.1 * np.eye(5))
    best = type(net)(net.backbone, (jnp.asarray(ridge),), None)
    arguments = jnp.asarray(DATA.images), jnp.asarray(DATA.labels), decays
    measure = jax.jit(snapshot)
    assert measure(best, *arguments).last_layer < 1e-12
    assert measure(net, *arguments).last_layer > 0.1
    assert measure(best, *arguments).balance.shape == (0,)


def test_lbfgs_collapses_a_perceptron():
    decays = network_decays(head=[0.02, 0.02], features=0.01)
    trained = train_lbfgs(network(), DATA.images, DATA.labels, decays, steps=[0, 20, 150])
    shots = trained.snapshots
    assert np.all(np.diff(shots.loss) < 0)
    assert shots.metrics.nc1_trace[-1] < 0.05 * shots.metrics.nc1_trace[0]
    assert shots.accuracy[-1] == 1
    assert shots.balance.shape == (3, 1)
    assert shots.balance[-1, 0] < 0.05
    assert shots.last_layer[-1] < 0.05
    last = jax.jit(snapshot)(trained.network, jnp.asarray(DATA.images), jnp.asarray(DATA.labels), decays)
    for a, b in zip(jax.tree.leaves(last), jax.tree.leaves(shots), strict=True):
        np.testing.assert_allclose(a, b[-1], rtol=1e-8, atol=1e-12)


def test_adam_descends_along_a_cosine():
    decays = network_decays(head=[0.01, 0.01], backbone=0.01)
    arguments = network(bias=True), DATA.images, DATA.labels, decays
    shots = train_adam(*arguments, steps=[0, 10, 400], learning_rate=1e-2).snapshots
    assert np.all(np.diff(shots.loss) < 0)
    assert shots.metrics.nc1_trace[-1] < 0.2 * shots.metrics.nc1_trace[0]
    # The first step of Adam is the learning rate in every entry with a gradient.
    one = train_adam(*arguments, steps=[1], learning_rate=1e-3).network
    np.testing.assert_allclose(np.abs(one.bias), 1e-3, rtol=1e-4)


def test_convolutional_networks_train_too():
    rng = np.random.default_rng(5)
    net = with_head(convolutional((4, 4), (6,), rng=rng, feature_bias=False), (6,), 3, rng=rng)
    assert net.backbone.biases == (None,)
    decays = network_decays(head=[0.02], features=0.01)
    shots = train_lbfgs(net, DATA.images, DATA.labels, decays, steps=[0, 40]).snapshots
    assert shots.loss[1] < 0.5 * shots.loss[0]


@pytest.mark.parametrize(
    ("call", "name", "error"),
    [
        (lambda: digits([3], rng=np.random.default_rng(0)), "class_sizes", ValueError),
        (lambda: digits([3, 500], rng=np.random.default_rng(0)), "class_sizes", ValueError),
        (lambda: perceptron((64,), rng=np.random.default_rng(0)), "widths", ValueError),
        (lambda: perceptron((64, 2), rng=np.random.default_rng(0), negative_slope=-0.1), "negative_slope", ValueError),
        (lambda: convolutional((2, 2), (), rng=np.random.default_rng(0)), "widths", ValueError),
        (lambda: network_decays(head=[-0.1]), "head", ValueError),
        (lambda: with_head(network().backbone, (4,), 3, rng=np.random.default_rng(0)), "dims", ValueError),
        (
            lambda: train_lbfgs(network(), DATA.images, DATA.labels, network_decays(head=[0.1]), steps=[1]),
            "decays",
            ValueError,
        ),
        (
            lambda: train_lbfgs(network(), DATA.images, DATA.labels[1:], network_decays(head=[0.1] * 2), steps=[1]),
            "labels",
            ValueError,
        ),
        (
            lambda: train_lbfgs(network(), DATA.images, DATA.images[:, 0], network_decays(head=[0.1] * 2), steps=[1]),
            "labels",
            TypeError,
        ),
    ],
)
def test_bad_input_names_the_argument(call, name, error):
    with pytest.raises(error, match=rf"^{name}\b"):
        call()
