import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.optimization import (
    Factors,
    SelectionTask,
    attention_loss,
    attention_matrix,
    least_norm_attention,
    lowest_start,
    regularization_path,
    repeated_task,
)


def one_pair():
    # F = (x_0 - x_1) z^T = [[0, 6], [0, 0]]
    return SelectionTask([[[2.0, 1.0], [0.0, 1.0]]], [[0.0, 3.0]], [[0.5, -0.5]])


def random_start(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_path_of_one_pair_runs_along_its_feature():
    path = regularization_path(random_start(0, 2, 2), one_pair(), radii=[0.5, 4.0, 20.0])
    np.testing.assert_allclose(path.weights[:, 0, 1], [0.5, 4, 20], rtol=1e-9)
    np.testing.assert_allclose(path.weights[:, 1], 0, atol=1e-6)
    assert path.stationarity.max() < 1e-8


def test_path_of_factors_of_one_pair_runs_along_its_feature():
    start = Factors(random_start(0, 2, 2), random_start(1, 2, 2))
    path = regularization_path(start, one_pair(), radii=[4.0, 20.0])
    np.testing.assert_allclose(attention_matrix(path.weights)[:, 0, 1], [4, 20], rtol=1e-8)
    norms = np.sum(path.weights.key**2, axis=(1, 2)) + np.sum(path.weights.query**2, axis=(1, 2))
    np.testing.assert_allclose(norms, [8, 40], rtol=1e-12)


def test_minimisers_beat_their_neighbours_on_the_ball():
    rng = np.random.default_rng(2)
    task = SelectionTask(rng.normal(size=(3, 3, 4)), rng.normal(size=(3, 4)), rng.normal(size=(3, 3)))
    radii = [3.0, 6.0, 10.0]
    path = regularization_path(random_start(3, 4, 4), task, radii=radii)
    assert path.stationarity.max() < 1e-8
    assert (np.diff(path.log_loss) < 0).all()
    log_loss = jax.jit(jax.vmap(lambda W: jnp.log(attention_loss(W, task))))
    np.testing.assert_allclose(log_loss(path.weights), path.log_loss, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(path.weights, axis=(1, 2)), radii, rtol=1e-12)
    near = np.asarray(path.weights) + 1e-3 * rng.normal(size=(10, 3, 4, 4))
    near = near * np.minimum(1, np.array(radii) / np.linalg.norm(near, axis=(2, 3)))[..., None, None]
    assert all((log_loss(weights) >= path.log_loss - 1e-9).all() for weights in near)


def test_lowest_of_several_starts_is_kept():
    rng = np.random.default_rng(5)
    task = SelectionTask(rng.normal(size=(2, 3, 3, 3)), rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 3, 3)))
    path = regularization_path(random_start(6, 4, 2, 3, 3), repeated_task(task, 4), radii=[5.0, 10.0])
    best = lowest_start(path)
    assert best.weights.shape == (2, 2, 3, 3)
    np.testing.assert_array_equal(best.log_loss, path.log_loss.min(axis=1))
    start = int(path.log_loss[1, :, 0].argmin())
    np.testing.assert_array_equal(best.weights[1, 0], path.weights[1, start, 0])


def test_least_norms_of_one_pair():
    task = one_pair()
    plain = least_norm_attention(random_start(0, 2, 2), task.tokens, task.queries, [0])
    np.testing.assert_allclose(plain.weights, [[0, 1 / 6], [0, 0]], atol=1e-12)
    assert plain.value == pytest.approx(1 / 72, rel=1e-12)
    start = Factors(random_start(1, 2, 2), random_start(2, 2, 2))
    factored = least_norm_attention(start, task.tokens, task.queries, [0])
    assert factored.value == pytest.approx(1 / 6, rel=1e-10)
    assert factored.margin == pytest.approx(1, abs=1e-12)


def test_least_norms_of_two_orthogonal_features_add_as_their_norms_do():
    # margins ask for W_00 >= 1/2 and W_11 >= 1
    tokens = [[[2.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [0.0, 0.0]]]
    queries = [[1.0, 0.0], [0.0, 1.0]]
    plain = least_norm_attention(random_start(0, 2, 2), tokens, queries, [0, 0])
    factored = least_norm_attention(Factors(random_start(1, 2, 2), random_start(2, 2, 2)), tokens, queries, [0, 0])
    assert plain.value == pytest.approx((1 / 4 + 1) / 2, rel=1e-12)
    assert factored.value == pytest.approx(1 / 2 + 1, rel=1e-10)


def test_instances_are_solved_side_by_side():
    rng = np.random.default_rng(7)
    tokens, queries, optimal = rng.normal(size=(3, 2, 3, 4)), rng.normal(size=(3, 2, 4)), rng.integers(0, 3, (3, 2))
    start = random_start(8, 3, 4, 4)
    together = least_norm_attention(start, tokens, queries, optimal)
    alone = least_norm_attention(start[2], tokens[2], queries[2], optimal[2])
    np.testing.assert_allclose(together.weights[2], alone.weights, atol=1e-12)
    np.testing.assert_allclose(together.margin, 1, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: regularization_path(np.eye(2), t, radii=[2.0, 1.0]), "radii must be increasing"),
        (lambda t: regularization_path(np.eye(2), t, radii=[0.0, 1.0]), "radii must be positive"),
        (lambda t: regularization_path(np.eye(3), t, radii=[1.0]), r"weights must have shape \(2, 2\)"),
        (lambda t: regularization_path(np.eye(2), t, radii=[1.0], max_iterations=0), "max_iterations must be at least"),
        (lambda t: regularization_path(np.zeros((2, 2)), t, radii=[1.0]), "weights must be nonzero"),
        (lambda t: least_norm_attention(np.eye(2), t.tokens, t.queries, [2]), r"optimal must be in \[0, 2\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(one_pair())
