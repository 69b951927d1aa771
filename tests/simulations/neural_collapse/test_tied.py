import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.neural_collapse import (
    collapsed_point,
    minimise_tied,
    response_matrix,
    tied_objective,
    tied_problem,
)

KEY = jax.random.key(2)
PROBLEM = tied_problem(2, weight_decay=0.5, feature_decay=0.3, beta=0.8)
FRAME = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 2)))[0]
POINT = collapsed_point(KEY, 2, 3, PROBLEM, frame=FRAME)


def test_objective_by_hand():
    rng = np.random.default_rng(1)
    w, h, h0 = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    labels = np.repeat(np.eye(2), 2, axis=1)
    expected = np.sum((w @ h - labels) ** 2) / 8 + 0.5 / 4 * np.sum(w**2) + 0.3 / 8 * np.sum(h**2)
    expected += 0.8 / 8 * np.sum((h - h0) ** 2)
    np.testing.assert_allclose(tied_objective(w, h, h0, PROBLEM), expected, rtol=1e-13)


def test_collapsed_point_is_stationary_tied_to_itself_and_turned():
    assert POINT.gradient < 1e-14
    slope = jax.grad(tied_objective, argnums=(0, 1))(POINT.weights, POINT.features, POINT.features, PROBLEM)
    assert max(np.abs(g).max() for g in slope) < 1e-14
    means = POINT.features.reshape(3, 2, 2).mean(axis=2)
    np.testing.assert_allclose(POINT.features, np.repeat(means, 2, axis=1), atol=1e-13)
    length = np.linalg.norm(means[:, 0])
    np.testing.assert_allclose(means, length * FRAME, atol=1e-12)
    free = collapsed_point(KEY, 2, 3, PROBLEM)
    np.testing.assert_allclose(free.features.T @ free.features, POINT.features.T @ POINT.features, atol=1e-12)


def test_response_is_the_derivative_of_the_minimiser():
    response = response_matrix(POINT, PROBLEM)
    change = np.random.default_rng(3).normal(size=(3, 4))
    step = 1e-4
    ties = np.stack([POINT.features + step * change, POINT.features - step * change])
    moved = minimise_tied(ties, POINT.weights, POINT.features, PROBLEM)
    assert moved.gradient.max() < 1e-14
    slope = (moved.features[0] - moved.features[1]) / (2 * step)
    np.testing.assert_allclose((response.features @ change.T.ravel()).reshape(4, 3).T, slope, atol=1e-6)
    slope = (moved.weights[0] - moved.weights[1]) / (2 * step)
    np.testing.assert_allclose((response.weights @ change.T.ravel()).reshape(3, 2).T, slope, atol=1e-6)


def test_a_strong_tie_holds():
    h0 = np.random.default_rng(4).normal(size=(3, 4))
    strong = tied_problem(2, weight_decay=0.5, feature_decay=0.3, beta=1e4)
    held = minimise_tied(h0, jnp.zeros((2, 3)), h0, strong)
    np.testing.assert_allclose(held.features, h0, atol=1e-3)
    loose = minimise_tied(h0, jnp.zeros((2, 3)), h0, PROBLEM)
    value = tied_objective(loose.weights, loose.features, h0, PROBLEM)
    assert value < tied_objective(held.weights, held.features, h0, PROBLEM)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: tied_problem(1, weight_decay=1, feature_decay=0, beta=1), "num_classes"),
        (lambda: tied_problem(2, weight_decay=0, feature_decay=0, beta=1), "weight_decay"),
        (lambda: tied_problem(2, weight_decay=1, feature_decay=0, beta=-1), "beta"),
        (lambda: collapsed_point(KEY, 2, 1, PROBLEM), "dim"),
        (lambda: collapsed_point(KEY, 2, 3, PROBLEM, frame=np.eye(3)), "frame"),
        (lambda: minimise_tied(np.ones((3, 5)), np.ones((2, 3)), np.ones((3, 5)), PROBLEM), "tie"),
        (lambda: minimise_tied(np.ones((3, 4)), np.ones((2, 2)), np.ones((3, 4)), PROBLEM), "weights"),
        (lambda: minimise_tied(np.ones((3, 4)), np.ones((2, 3)), np.ones((3, 2)), PROBLEM), "features"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()
