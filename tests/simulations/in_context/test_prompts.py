import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.in_context.prompts import (
    channel_errors,
    channel_tokens,
    enumerate_prompts,
    prompt_tokens,
    sample_prompts,
)


@pytest.mark.parametrize("law", ["gaussian", "uniform", "rademacher"])
def test_samples_and_grid_have_the_same_moments(law):
    grid = enumerate_prompts(n_context=2, dim=1, law=law, scale=0.8, noise_std=0.5)
    drawn = sample_prompts(jax.random.key(0), n_prompts=400_000, n_context=2, dim=1, law=law, scale=0.8, noise_std=0.5)
    for function in (
        lambda p: p.x[:, 0, 0] ** 2,
        lambda p: p.x[:, 0, 0] ** 4,
        lambda p: p.y[:, 0] ** 2,
        lambda p: p.x_query[:, 0] * p.y_query * p.x[:, 1, 0] * p.y[:, 1],
    ):
        exact, samples = jnp.sum(grid.weight * function(grid)), function(drawn)
        assert abs(samples.mean() - exact) < 6 * samples.std() / np.sqrt(len(samples)) + 1e-12
    assert float(grid.weight.sum()) == pytest.approx(1.0)
    assert float(drawn.weight.sum()) == pytest.approx(1.0)


def test_labels_are_linear_without_noise():
    for p in (
        sample_prompts(jax.random.key(1), n_prompts=20, n_context=3, dim=2),
        enumerate_prompts(n_context=2, dim=2, law="rademacher", task_nodes=2),
    ):
        for x, y, query, label in zip(p.x[:20], p.y[:20], p.x_query[:20], p.y_query[:20], strict=True):
            if np.linalg.matrix_rank(x) == 2:
                w = np.linalg.lstsq(np.asarray(x), np.asarray(y), rcond=None)[0]
                np.testing.assert_allclose([x @ w - y, np.array([query @ w - label] * len(y))], 0, atol=1e-9)


def test_tokens_hide_the_label_of_the_query():
    p = sample_prompts(jax.random.key(2), n_prompts=4, n_context=3, dim=2)
    tokens = prompt_tokens(p)
    assert tokens.shape == (4, 4, 3)
    np.testing.assert_array_equal(tokens[:, :3, 2], p.y)
    np.testing.assert_array_equal(tokens[:, 3, :2], p.x_query)
    np.testing.assert_array_equal(tokens[:, 3, 2], 0)


def test_channels_average_over_tasks_and_noises():
    x, sigma = jax.random.normal(jax.random.key(3), (5, 2)), 0.7
    operator = jax.random.normal(jax.random.key(4), (2, 5))  # any linear learner: w_hat = operator @ y
    tokens = channel_tokens(x, noise_std=sigma)
    predictions = operator @ tokens[:5, 2:]
    found = channel_errors(tokens.at[5:, 2:].set(-predictions), 2)
    w = jax.random.normal(jax.random.key(5), (200_000, 2))
    noise = sigma * jax.random.normal(jax.random.key(6), (200_000, 5))
    errors = jnp.sum((w - (w @ x.T + noise) @ operator.T) ** 2, axis=1)
    assert abs(errors.mean() - found) < 6 * errors.std() / np.sqrt(len(errors))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: enumerate_prompts(n_context=5, dim=3), "n_context . dim must be smaller: the grid would have"),
        (lambda: enumerate_prompts(n_context=1, dim=1, law="cauchy"), "law must be one of 'gaussian'"),
        (lambda: sample_prompts(jax.random.key(0), n_prompts=1, n_context=1, dim=1, law="x"), "law must be one of"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
