from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.in_context import training
from simulations.in_context.attention import random_layer, repeat, stack
from simulations.in_context.prompts import enumerate_prompts, sample_prompts


def test_the_descent_layer_predicts_step_times_cross_product():
    prompts = sample_prompts(jax.random.key(0), n_prompts=30, n_context=4, dim=2)
    cross = np.einsum("pnd,pn->pd", prompts.x, prompts.y)
    found = training.predict(stack(training.descent_layer(2, 1, step=0.3)), prompts)
    np.testing.assert_allclose(found, 0.3 * np.sum(cross * prompts.x_query, axis=1), atol=1e-12)
    matrix = jnp.array([[0.1, 0.4], [-0.2, 0.3]])
    found = training.predict(stack(training.matrix_layer(matrix)), prompts)
    np.testing.assert_allclose(found, np.einsum("pa,ab,pb->p", prompts.x_query, matrix, cross), atol=1e-12)
    sensitivity = training.query_sensitivity(stack(training.matrix_layer(matrix)), prompts)
    np.testing.assert_allclose(sensitivity, cross @ matrix.T, atol=1e-12)


def test_the_line_search_finds_the_lowest_point_of_a_parabola():
    prompts = enumerate_prompts(n_context=2, dim=1, noise_std=0.5)
    found = training.line_search(prompts)
    step = float(found.parameters[0])
    around = [
        float(training.risk(repeat(training.descent_layer(1, 1, step=s), 1), prompts))
        for s in (step - 0.01, step, step + 0.01)
    ]
    assert around[1] == pytest.approx(float(found.value[0]))
    assert around[0] == pytest.approx(around[2], rel=1e-10)
    assert around[0] > around[1]


def test_no_search_ends_above_its_start_or_below_the_line_search():
    """Signs in one dimension, one example: the best linear attention layer recovers the task exactly."""
    prompts = enumerate_prompts(n_context=1, dim=1, law="rademacher")
    keys = jax.random.split(jax.random.key(1), 8)
    found = training.minimise_risk(keys, prompts)
    starts = [training.risk(random_layer(key, width=2, n_layers=1), prompts) for key in keys]
    assert np.all(np.asarray(found.value) <= np.asarray(starts))
    assert float(found.value.min()) == pytest.approx(0.0, abs=1e-12)
    assert float(found.value.min()) >= -1e-15


def test_channel_risk_is_the_mean_error_over_tasks_queries_and_noises():
    x, sigma = jax.random.uniform(jax.random.key(2), (1, 5, 3), minval=-1.0), 0.4
    for scheme, parameters in (("gd", [0.2]), ("gd++", [0.25, 0.03]), ("free gd", [0.1, 0.3])):
        found = training.channel_risk(jnp.array(parameters), x, sigma, scheme=scheme, n_layers=2)[0]
        gram = np.asarray(x[0].T @ x[0])
        eta = parameters if scheme == "free gd" else [parameters[0]] * 2
        decay = parameters[1] if scheme == "gd++" else 0.0
        rows, labels = np.asarray(x[0]), np.concatenate([np.asarray(x[0]), sigma * np.eye(5)], axis=1)
        query, prediction = np.eye(3), np.zeros((3, 8))
        for step in eta:
            delta, gram = step * labels.T @ rows, rows.T @ rows
            prediction += query @ delta.T
            labels, query, rows = labels - rows @ delta.T, query - decay * query @ gram, rows - decay * rows @ gram
        exact = ((prediction - np.eye(3, 8)) ** 2).sum()
        assert float(found) == pytest.approx(exact, rel=1e-12)


def test_a_minimum_over_more_scalars_is_no_worse():
    x = jax.random.uniform(jax.random.key(3), (50, 6, 3), minval=-1.0)
    plain, contracting = (
        float(training.minimise_channel_risk(jnp.array(start), x, scheme=scheme, n_layers=2).value[0])
        for scheme, start in (("gd", [0.2]), ("gd++", [0.3, 0.05]))
    )
    assert contracting < plain
    with pytest.raises(ValueError, match="scheme must be one of"):
        training.minimise_channel_risk(jnp.array([0.2]), x, scheme="newton", n_layers=2)


def test_fits_of_a_stream_are_least_squares():
    sizes = (50, 200)
    key = jax.random.key(4)
    found = training.fit_prompts(key, sizes, n_context=3, dim=2)
    batches = [sample_prompts(k, n_prompts=50, n_context=3, dim=2, law="uniform") for k in jax.random.split(key, 4)]
    for k, count in enumerate((1, 4)):
        x, y, query, label = (np.concatenate([np.asarray(b[i]) for b in batches[:count]]) for i in range(4))
        cross = np.einsum("pnd,pn->pd", x, y)
        features = (query[:, :, None] * cross[:, None, :]).reshape(len(x), -1)
        matrix = np.linalg.lstsq(features, label, rcond=None)[0].reshape(2, 2)
        np.testing.assert_allclose(found.matrix[k], matrix, rtol=1e-9)
        unit = np.sum(query * cross, axis=1)
        assert float(found.step[k]) == pytest.approx(unit @ label / (unit @ unit))


def test_both_estimates_of_a_scaled_risk_have_one_mean():
    options = {"n_context": 4, "dim": 2, "law": "uniform", "scale": 1.0, "noise_std": 0.3}
    simulate = jax.jit(jax.vmap(lambda key: training.scaled_errors(key, 0.4, jnp.array([0.7, 1.2]), **options)))
    found = np.asarray(simulate(jax.random.split(jax.random.key(5), 4000)))
    gap = found[:, 0] - found[:, 1]
    assert np.all(np.abs(gap.mean(axis=0)) < 6 * gap.std(axis=0) / np.sqrt(len(gap)))


def test_training_approaches_the_line_search():
    draw = partial(sample_prompts, n_context=4, dim=2, law="uniform")
    found = training.train_attention(
        jax.random.key(6), draw, width=3, records=4, steps_per_record=150, batch=128, learning_rate=1e-2
    )
    least = float(training.line_search(draw(jax.random.key(7), n_prompts=50_000)).value[0])
    assert found.loss.shape == (5,)
    assert found.layers.key.shape == (5, 1, 3, 3)
    assert float(found.loss[0]) > 1.5 * least
    assert float(found.loss[-1]) == pytest.approx(least, rel=0.1)
