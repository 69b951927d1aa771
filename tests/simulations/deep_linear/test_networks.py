import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear.initial_conditions import gaussian
from simulations.deep_linear.networks import Task, check_weights, loss, product, stack_layers, unstack_layers

RNG = np.random.default_rng(3)
CROSS = RNG.normal(size=(3, 5))
SAMPLES = RNG.normal(size=(5, 9))
COVARIANCE = SAMPLES @ SAMPLES.T / 9
WEIGHTS = gaussian(jax.random.key(0), [5, 4, 3], std=0.7)


def moments_loss(w, cross, covariance, outputs):
    return 0.5 * np.trace(outputs - 2 * w @ cross.T + w @ covariance @ w.T)


def test_loss_of_moments_is_the_quadratic_form():
    outputs = 40 * np.eye(3)
    w = np.asarray(product(WEIGHTS))
    whitened = Task.from_moments(CROSS, sigma_yy=outputs)
    np.testing.assert_allclose(loss(WEIGHTS, whitened), moments_loss(w, CROSS, np.eye(5), outputs), rtol=1e-13)
    coloured = Task.from_moments(CROSS, COVARIANCE, outputs)
    np.testing.assert_allclose(loss(WEIGHTS, coloured), moments_loss(w, CROSS, COVARIANCE, outputs), rtol=1e-13)
    best = CROSS @ np.linalg.inv(COVARIANCE)
    assert float(loss((jnp.asarray(best),), Task.from_moments(CROSS, COVARIANCE))) < 1e-24


def test_loss_of_samples_is_the_mean_or_summed_square():
    targets = RNG.normal(size=(3, 9))
    residual = targets - np.asarray(product(WEIGHTS)) @ SAMPLES
    summed = 0.5 * (residual**2).sum()
    task = Task.from_samples(SAMPLES, targets, average=False)
    np.testing.assert_allclose(loss(WEIGHTS, task), summed, rtol=1e-13)
    mean = Task.from_samples(SAMPLES, targets)
    np.testing.assert_allclose(loss(WEIGHTS, mean), summed / 9, rtol=1e-13)
    same = Task.from_moments(targets @ SAMPLES.T / 9, COVARIANCE, targets @ targets.T / 9)
    np.testing.assert_allclose(loss(WEIGHTS, same), summed / 9, rtol=1e-12)


@pytest.mark.parametrize("task", [Task.from_moments(CROSS), Task.from_moments(CROSS, COVARIANCE)])
def test_gradient_is_the_two_layer_matrix_formula(task):
    first, second = WEIGHTS
    covariance = np.eye(5) if task.inputs is None else COVARIANCE
    error = CROSS - second @ first @ covariance
    gradient = jax.grad(loss)(WEIGHTS, task)
    np.testing.assert_allclose(gradient[0], -second.T @ error, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(gradient[1], -error @ first.T, rtol=1e-11, atol=1e-12)


def test_degenerate_inputs_leave_unseen_directions_alone():
    covariance = np.diag([2.0, 1.0, 0.0])
    task = Task.from_moments([[1.0, -1.0, 0.0]], covariance)
    gradient = jax.grad(loss)((jnp.ones((1, 3)),), task)[0]
    np.testing.assert_allclose(gradient, [[1.0, 2.0, 0.0]], atol=1e-14)


@pytest.mark.parametrize("depth", [1, 2, 3, 7, 8, 33])
def test_stacked_layers_are_the_same_network(depth):
    matrices = [m / 2 for m in RNG.normal(size=(depth, 4, 4))]
    weights = (*map(jnp.asarray, matrices), jnp.ones((2, 4)))
    expected = np.ones((2, 4))
    for matrix in reversed(matrices):
        expected = expected @ matrix
    stacked = stack_layers(weights)
    assert len(stacked) == 2
    np.testing.assert_allclose(product(stacked), expected, rtol=1e-11)
    np.testing.assert_allclose(product(weights), expected, rtol=1e-11)
    assert all(bool((a == b).all()) for a, b in zip(unstack_layers(stacked), weights, strict=True))
    task = Task.from_moments(np.ones((2, 4)))
    flat = jax.grad(loss)(weights, task)
    deep = unstack_layers(jax.grad(loss)(stacked, task))
    for a, b in zip(flat, deep, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_product_order_for_wide_and_narrow_ends():
    for widths in ([2, 5, 7], [7, 5, 2]):
        first, second = gaussian(jax.random.key(1), widths, std=1.0)
        np.testing.assert_allclose(product((first, second)), second @ first, rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Task.from_moments([1.0]), "sigma_yx"),
        (lambda: Task.from_moments([[np.inf]]), "sigma_yx"),
        (lambda: Task.from_moments(CROSS, np.eye(4)), "sigma_xx"),
        (lambda: Task.from_moments([[1.0, 1.0]], [[1.0, 0.5], [0.0, 1.0]]), "sigma_xx"),
        (lambda: Task.from_moments([[1.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]), "sigma_xx"),
        (lambda: Task.from_moments([[1.0, 1.0]], np.diag([1.0, 0.0])), "sigma_yx"),
        (lambda: Task.from_moments([[2.0]], sigma_yy=[[1.0]]), "sigma_yy"),
        (lambda: Task.from_moments([[2.0]], sigma_yy=np.eye(2)), "sigma_yy"),
        (lambda: Task.from_samples(np.ones((2, 3)), np.ones((1, 4))), "targets"),
        (lambda: check_weights(()), "weights"),
        (lambda: check_weights((np.ones(3),)), "weights"),
        (lambda: check_weights((np.ones((2, 3, 4)),)), "weights"),
        (lambda: check_weights((np.ones((2, 3)), np.ones((2, 3)))), "weights"),
        (lambda: check_weights((np.full((2, 3), np.nan),)), "weights"),
        (lambda: check_weights((np.ones((2, 5)),), Task.from_moments(CROSS)), "weights"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()


def test_weights_must_be_a_sequence():
    with pytest.raises(TypeError, match="weights"):
        check_weights(jnp.ones((2, 2)))
