import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear.hessian import (
    hessian_eigenvalues,
    loss_hessian,
    probe_stability,
    top_hessian_eigenvalue,
)
from simulations.deep_linear.initial_conditions import gaussian
from simulations.deep_linear.networks import Task, loss

KEY = jax.random.key(3)
CROSS = np.random.default_rng(4).normal(size=(2, 3))
TASK = Task.from_moments(CROSS)


def test_depth_one_hessian_is_the_input_covariance():
    covariance = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.2], [0.0, 0.2, 0.7]])
    got = loss_hessian(gaussian(KEY, [3, 2], std=1.0), Task.from_moments(CROSS, covariance))
    np.testing.assert_allclose(got, np.kron(np.eye(2), covariance), atol=1e-13)


def test_hessian_is_the_second_difference_of_the_loss():
    weights = gaussian(KEY, [3, 2, 2], std=0.7)
    direction = gaussian(jax.random.key(4), [3, 2, 2], std=1.0)
    flat = np.concatenate([np.ravel(d) for d in direction])
    step = 1e-4

    def along(x):
        return float(loss(tuple(w + x * d for w, d in zip(weights, direction, strict=True)), TASK))

    expected = (along(step) - 2 * along(0.0) + along(-step)) / step**2
    np.testing.assert_allclose(flat @ np.asarray(loss_hessian(weights, TASK)) @ flat, expected, rtol=1e-5)


def test_lanczos_agrees_with_the_full_spectrum():
    weights = gaussian(KEY, [3, 4, 2], std=0.6)
    values = hessian_eigenvalues(weights, TASK)
    assert values.shape == (20,)
    assert bool((jnp.diff(values) >= 0).all())
    np.testing.assert_allclose(top_hessian_eigenvalue(weights, TASK, key=KEY), values[-1], rtol=1e-12)
    few = top_hessian_eigenvalue(weights, TASK, key=KEY, n_iterations=4)
    assert 0.5 * float(values[-1]) < float(few) <= float(values[-1])


def test_lanczos_stops_at_an_invariant_subspace():
    task = Task.from_moments(CROSS, 2.5 * np.eye(3))
    top = top_hessian_eigenvalue(gaussian(KEY, [3, 2], std=1.0), task, key=KEY)
    np.testing.assert_allclose(top, 2.5, rtol=1e-13)


def test_scalar_product_of_two_layers():
    # L = (s - ab)^2 / 2 at a b = s: Hessian (b, a)^T (b, a), top eigenvalue a^2 + b^2, GD stable below 2 / that.
    a, b = 1.6, 0.5
    task, minimum = Task.from_moments([[a * b]]), (jnp.array([[a]]), jnp.array([[b]]))
    np.testing.assert_allclose(hessian_eigenvalues(minimum, task), [0.0, a * a + b * b], atol=1e-14)
    threshold = 2 / (a * a + b * b)
    settings = {"n_steps": 3000, "perturbation": 1e-4, "key": KEY}
    below = probe_stability(minimum, task, learning_rate=0.95 * threshold, **settings)
    assert float(below.loss) < 1e-25
    assert float(below.distance) < 1e-3
    above = probe_stability(minimum, task, learning_rate=1.05 * threshold, **settings)
    assert float(above.distance) > 1e-2


def test_divergence_is_reported():
    task, minimum = Task.from_moments([[1.0]]), (jnp.ones((1, 1)), jnp.ones((1, 1)))
    probe = probe_stability(minimum, task, learning_rate=30.0, n_steps=500, perturbation=1.0, key=KEY)
    assert bool(probe.diverged)
    assert float(probe.loss) == float(probe.distance) == np.inf


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: loss_hessian((np.ones((3, 3)),), TASK), "weights"),
        (lambda: loss_hessian((np.ones((2, 3000)),), Task.from_moments(np.ones((2, 3000)))), "weights"),
        (lambda: top_hessian_eigenvalue((np.ones((2, 3)),), TASK, key=KEY, n_iterations=0), "n_iterations"),
        (
            lambda: probe_stability((CROSS,), TASK, learning_rate=-1.0, n_steps=1, perturbation=0.0, key=KEY),
            "learning_rate",
        ),
        (
            lambda: probe_stability((CROSS,), TASK, learning_rate=1.0, n_steps=-1, perturbation=0.0, key=KEY),
            "n_steps",
        ),
        (
            lambda: probe_stability((CROSS,), TASK, learning_rate=1.0, n_steps=1, perturbation=-1.0, key=KEY),
            "perturbation",
        ),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()
