import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.in_context import dual_form, momentum_gd, value_ema

seeds = st.integers(0, 10**6)
momenta = st.floats(0.0, 1.0)


@given(seeds)
def test_the_dual_form_is_the_updated_matrix(seed):
    rng = np.random.default_rng(seed)
    w, x, e, query = (rng.standard_normal(shape) for shape in ((2, 3), (5, 3), (5, 2), (3,)))
    np.testing.assert_allclose(dual_form(w, x, e, query), (w + e.T @ x) @ query, atol=1e-12)
    order = rng.permutation(5)
    np.testing.assert_allclose(dual_form(w, x[order], e[order], query), dual_form(w, x, e, query), atol=1e-12)


def test_without_examples_the_layer_is_what_it_was():
    found = dual_form([[1.0, 2.0]], np.zeros((0, 2)), np.zeros((0, 1)), [1.0, 1.0])
    np.testing.assert_array_equal(found, [3.0])


@given(seeds, momenta)
def test_the_heavy_ball_is_the_written_out_sum(seed, momentum):
    rng = np.random.default_rng(seed)
    matrix, start, steps, gamma = rng.standard_normal((3, 3)), rng.standard_normal(3), 8, 0.05
    matrix = matrix @ matrix.T / 3

    def gradient(theta):
        return matrix @ np.tanh(theta)

    path = [start]
    for t in range(1, steps + 1):
        total = sum((momentum ** (t - i) * gradient(path[i]) for i in range(1, t)), start=np.zeros(3))
        path.append(path[-1] - gamma * total)
    found = momentum_gd(gradient, start, step_size=gamma, momentum=momentum, n_steps=steps)
    np.testing.assert_allclose(found, path, atol=1e-12)


def test_a_gradient_may_write_into_its_argument():
    def gradient(theta):
        theta *= 2
        return theta / 2

    found = momentum_gd(gradient, [1.0], step_size=1.0, momentum=0.5, n_steps=3)
    np.testing.assert_array_equal(found.ravel(), [1.0, 1.0, 0.5, 0.0])


@given(seeds, momenta)
def test_the_moving_sum_is_the_written_out_sum(seed, momentum):
    v = np.random.default_rng(seed).standard_normal((6, 2))
    weights = np.array([[momentum ** (t - i) if i < t else 0.0 for i in range(6)] for t in range(6)])
    np.testing.assert_allclose(value_ema(v, momentum=momentum), weights @ v, atol=1e-12)


def test_zero_steps_and_zero_momentum():
    assert momentum_gd(lambda theta: theta, [1.0, 2.0], step_size=1.0, momentum=0.5, n_steps=0).shape == (1, 2)
    still = momentum_gd(lambda theta: theta, [1.0], step_size=1.0, momentum=0.0, n_steps=5)
    np.testing.assert_array_equal(still, 1.0)
    np.testing.assert_array_equal(value_ema(np.ones((4, 1)), momentum=0.0), 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dual_form([[1.0]], [[1.0, 2.0]], [[1.0]], [1.0]), r"inputs must have shape \(1, 1\); got \(1, 2\)"),
        (lambda: dual_form([[1.0]], [[1.0]], [[1.0], [2.0]], [1.0]), r"error_signals must have shape \(1, 1\)"),
        (lambda: dual_form([[1.0]], [[1.0]], [[1.0]], [1.0, 2.0]), r"x must have shape \(1,\)"),
        (lambda: value_ema([1.0], momentum=0.5), "values must have 2 dimension"),
        (lambda: value_ema([[1.0]], momentum=1.5), r"momentum must be in \[0, 1\]; got 1.5"),
        (
            lambda: momentum_gd(lambda theta: [1.0, 2.0], [1.0], step_size=1.0, momentum=0.5, n_steps=2),
            r"gradient must return the shape of theta0, \(1,\); got \(2,\)",
        ),
        (
            lambda: momentum_gd(lambda theta: [np.inf], [1.0], step_size=1.0, momentum=0.5, n_steps=2),
            "gradient at step 1 must be finite",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
