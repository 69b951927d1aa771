import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.in_context import gram_samples, online
from simulations.replicates import over_replicates

RNG = np.random.default_rng(6)


def test_recursion_solves_the_ridge_problem_in_the_end():
    x, y = RNG.standard_normal((15, 4)), RNG.standard_normal(15)
    found = np.asarray(online.recursive_least_squares(x, y, ridge=0.3))
    assert not found[0].any()
    np.testing.assert_allclose(found[-1], np.linalg.solve(x.T @ x + 0.3 * np.eye(4), x.T @ y), rtol=1e-10)
    with pytest.raises(ValueError, match="y must hold one answer"):
        online.recursive_least_squares(x, y[1:], ridge=0.3)
    with pytest.raises(ValueError, match="ridge must be positive"):
        online.recursive_least_squares(x, y, ridge=0.0)


def test_streams_start_at_the_task_and_kaczmarz_never_moves_away():
    errors = np.asarray(
        online.stream_errors(jax.random.key(2), jnp.zeros(()), dimension=4, steps=30, update="kaczmarz")
    )
    assert errors[0] == pytest.approx(1)
    assert (np.diff(errors) <= 1e-15).all()
    still = online.stream_errors(jax.random.key(2), jnp.zeros(()), dimension=4, steps=3, update="gradient")
    np.testing.assert_allclose(still, 1)


def test_an_example_just_seen_is_recalled_without_error():
    errors = np.asarray(online.stream_recall(jax.random.key(5), dimension=5, steps=9, seen=4))
    assert errors.shape == (6,)
    assert errors[0] < 1e-28
    assert errors[1] > 1e-8


def test_moments_of_gram_traces_are_those_of_wishart_matrices():
    d, n = 3, 7

    def draw(key, scales, examples):
        gram = gram_samples.sample_gram(key, scales, examples)
        return gram_samples.traces(gram)

    powers = over_replicates(draw, jax.random.split(jax.random.key(0), 40_000), jnp.ones(d), n)
    adjusted = gram_samples.with_known_moments(powers, powers, examples=n, dimension=d)
    means = n * d * np.array([1, n + d + 1, n**2 + d**2 + 3 * n * d + 3 * (n + d) + 4])
    np.testing.assert_allclose(powers.mean(axis=0), means, rtol=0.02)
    np.testing.assert_allclose(adjusted, np.broadcast_to(means, adjusted.shape), rtol=1e-9)


def test_scalar_recursions_are_the_matrix_iterations_in_the_eigenbasis():
    s = jnp.array([0.5, 1.0, 2.0])
    newton = np.asarray(gram_samples.newton_residuals(s, jnp.asarray(0.2), steps=4))
    error = np.asarray(gram_samples.newton_error(jnp.diag(s), jnp.asarray(0.2), steps=4))
    np.testing.assert_allclose(np.mean(newton**2, axis=1), error, rtol=1e-12)
    assert float(gram_samples.newton_error(jnp.diag(s), jnp.asarray(3.0), steps=12)[-1]) == 1
    times = gram_samples.descent_times(3, 2)
    np.testing.assert_array_equal(times, [1, 1, 2, 3, 4, 6, 8])
    left, step = [], np.eye(3)
    for t in range(1, 9):
        step = step @ (np.eye(3) - 0.3 * np.diag(s))
        left += [np.diag(step)] * int(np.sum(np.asarray(times) == t))
    np.testing.assert_allclose(gram_samples.descent_residuals(s, jnp.asarray(0.3), times), left, rtol=1e-12)


def test_small_angles_keep_their_accuracy():
    a = np.array([[1.0, 0.0, 0.0], [0.0, 1e-200, 0.0]])
    b = np.array([[1.0, 1e-12, 0.0], [0.0, 0.0, 3.0]])
    np.testing.assert_allclose(gram_samples.squared_sines(a, b), [[1e-24, 1.0], [1.0, 1.0]], rtol=1e-9)
