import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.optimization import momentum_descent, normalized_logistic, rayleigh_quotient, tangent_walk

KEY = jax.random.key(0)


def run(loss=rayleigh_quotient, data=None, momentum=0.8, project=False):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(6, 4)) if data is None else data
    start = rng.normal(size=4)
    return momentum_descent(loss, data, start, learning_rate=0.1, momentum=momentum, n_steps=30, project=project)


def test_losses_ignore_the_norm_of_the_weights():
    rng = np.random.default_rng(1)
    rows, A, w = rng.normal(size=(6, 4)), np.diag([1.0, 2.0, 3.0, 4.0]), rng.normal(size=4)
    for loss, data in ((normalized_logistic, rows), (rayleigh_quotient, A)):
        assert loss(5 * w, data) == pytest.approx(float(loss(w, data)), rel=1e-13)
        assert abs(jax.grad(loss)(jnp.asarray(w), data) @ w) < 1e-13


def test_updates_accumulate_gradients_and_move_the_weights():
    A = np.diag([1.0, 2.0, 3.0, 4.0])
    out = run(data=A, momentum=0.8)
    assert out.weights.shape == (31, 4)
    np.testing.assert_allclose(np.diff(out.weights, axis=0), -0.1 * out.updates, rtol=1e-12, atol=1e-15)
    gradients = jax.vmap(lambda w: jax.grad(rayleigh_quotient)(w, A))(out.weights[:-1])
    previous = np.concatenate([np.zeros((1, 4)), out.updates[:-1]])
    np.testing.assert_allclose(out.updates, 0.8 * previous + gradients, rtol=1e-12, atol=1e-14)


def test_weights_grow_and_their_loss_falls():
    out = run(loss=normalized_logistic, momentum=0.5)
    norms = np.linalg.norm(out.weights, axis=1)
    assert (np.diff(norms) > 0).all()
    rows = np.random.default_rng(0).normal(size=(6, 4))
    assert normalized_logistic(out.weights[-1], rows) < normalized_logistic(out.weights[0], rows)


def test_projected_steps_are_orthogonal_to_the_weights():
    out = run(loss=normalized_logistic, project=True)
    steps = np.diff(out.weights, axis=0)
    np.testing.assert_allclose(np.sum(steps * out.weights[:-1], axis=1), 0, atol=1e-14)
    without = run(loss=normalized_logistic)
    assert np.linalg.norm(out.weights[-1]) < np.linalg.norm(without.weights[-1])


def test_walk_of_unit_gradients_without_momentum_grows_by_the_squared_step():
    walk = tangent_walk(KEY, dimension=5, learning_rate=0.3, momentum=0.0, n_steps=30, n_replicates=4000)
    np.testing.assert_allclose(walk.updates, 1, rtol=1e-12)
    np.testing.assert_allclose(walk.weights, np.broadcast_to(1 + 0.09 * np.arange(31), (4000, 31)), rtol=1e-12)


def test_walk_of_unit_updates_keeps_them():
    walk = tangent_walk(KEY, dimension=5, learning_rate=0.3, momentum=0.9, n_steps=200, n_replicates=3, equal="updates")
    np.testing.assert_allclose(walk.updates, 1, rtol=1e-10)


def test_walk_of_unit_gradients_has_updates_of_the_accumulated_mean_square():
    walk = tangent_walk(KEY, dimension=5, learning_rate=0.05, momentum=0.5, n_steps=30, n_replicates=4000)
    error = walk.updates.std(axis=0)[-1] / np.sqrt(4000)
    assert abs(walk.updates[:, -1].mean() - 1 / (1 - 0.25)) < 5 * error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dimension": 1}, "dimension must be at least 2"),
        ({"momentum": 1.0}, "momentum must be below 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"equal": "weights"}, "equal must be one of 'gradients', 'updates'"),
        ({"n_replicates": 0}, "n_replicates must be at least 1"),
    ],
)
def test_bad_input_is_named(changes, message):
    arguments = {"dimension": 3, "learning_rate": 0.1, "momentum": 0.5, "n_steps": 2, "n_replicates": 1, **changes}
    with pytest.raises(ValueError, match=message):
        tangent_walk(KEY, **arguments)
