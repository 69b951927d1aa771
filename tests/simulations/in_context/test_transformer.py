import os
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.in_context import probes
from simulations.in_context.optimise import Recipe, prompt_loss, train_transformers
from simulations.in_context.transformer import draw_prompts, init_transformer

DRAW = partial(draw_prompts, examples=6, scales=[1.0, 1.0], sphere=True)
RECIPE = Recipe(steps=40, batch=8, examples=6, queries=2, scales=[1.0, 1.0], sphere=True, warmup=5, learning_rate=2e-2)
KEYS = jax.random.split(jax.random.key(1), 2)


def networks(attention="linear", **options):
    sizes = {"dimension": 2, "layers": 2, "width": 8, "heads": 2, "attention": attention} | options
    return eqx.filter_vmap(lambda key: init_transformer(key, **sizes))(KEYS)


def first(models):
    return jax.tree.map(lambda leaf: leaf[0] if eqx.is_array(leaf) else leaf, models)


@pytest.mark.parametrize("attention", ["linear", "softmax"])
def test_answers_depend_on_neither_the_order_of_examples_nor_other_queries(attention):
    model = first(networks(attention))
    model = eqx.filter_jit(eqx.tree_at(lambda m: m.read_out, model, jnp.ones(8, jnp.float32)))
    prompts = DRAW(jax.random.key(4), prompts=1, queries=3)
    x, y, queries = (part[0] for part in prompts[:3])
    whole = np.asarray(model(x, y, queries))
    shuffled = np.asarray(model(x[::-1], y[::-1], queries))
    alone = np.array([model(x, y, query[None])[0] for query in queries])
    np.testing.assert_allclose(shuffled, whole, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(alone, whole, rtol=2e-4, atol=2e-5)
    assert np.abs(np.asarray(model(x, 2 * y, queries)) - whole).max() > 1e-3


def test_linear_attention_is_that_of_a_plain_loop():
    model = first(networks())
    x, y, queries, _ = (np.asarray(part[0], float) for part in DRAW(jax.random.key(5), prompts=1, queries=2))
    tokens = np.concatenate([np.c_[x, y, np.zeros(6)], np.c_[queries, np.zeros(2), np.ones(2)]])
    stream = tokens @ np.asarray(model.read_in, float).T
    for layer in range(2):
        added = np.zeros_like(stream)
        for head in range(2):
            q, k, v = np.asarray(model.blocks.query_key_value[layer, :, head], float) @ stream.T
            scores = q.T @ k[:, :6] / np.sqrt(4) / 6
            added += scores @ v[:, :6].T @ np.asarray(model.blocks.project[layer, head], float).T
        stream = stream + added
    np.testing.assert_allclose(model.hidden_states(x, y, queries)[-1], stream[6:], rtol=1e-4, atol=1e-5)


def test_training_lowers_the_loss_and_repeats_itself():
    before = networks("softmax")
    trained = train_transformers(before, KEYS, RECIPE)
    again = train_transformers(before, KEYS, RECIPE, segment=7)
    prompts = DRAW(jax.random.key(9), prompts=64, queries=2)
    assert float(prompt_loss(first(trained), prompts)) < 0.98 * float(prompt_loss(first(before), prompts))
    for one, other in zip(jax.tree.leaves(trained), jax.tree.leaves(again), strict=True):
        if eqx.is_array(one):
            np.testing.assert_array_equal(one, other)


def test_an_interrupted_run_resumes_at_its_checkpoint(tmp_path):
    path = tmp_path / "run.eqx"
    options = {"checkpoint": path, "segment": 15}
    whole = train_transformers(networks(), KEYS, RECIPE, segment=15)
    cut = train_transformers(networks(), KEYS, RECIPE, stop_after=1, **options)
    assert path.exists()
    assert os.listdir(tmp_path) == ["run.eqx"]
    assert np.abs(np.asarray(cut.read_out) - np.asarray(whole.read_out)).max() > 0
    # models passed in do not matter any more: all is in the file
    resumed = train_transformers(networks(output_scale=3.0), KEYS, RECIPE, **options)
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        if eqx.is_array(one):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="belongs to another run"):
        train_transformers(networks(), KEYS[::-1], RECIPE, **options)


def test_prompts_are_linear_tasks_of_the_stated_scale():
    prompts = draw_prompts(jax.random.key(3), prompts=3000, examples=4, queries=1, scales=[2.0, 0.5])
    assert prompts.x.dtype == jnp.float32
    np.testing.assert_allclose(np.std(prompts.x, axis=(0, 1)), [2.0, 0.5], rtol=0.05)
    inputs = np.concatenate([prompts.x, prompts.queries], axis=1)
    outputs = np.concatenate([prompts.y, prompts.targets], axis=1)
    tasks = np.stack([np.linalg.lstsq(i, o, rcond=None)[0] for i, o in zip(inputs, outputs, strict=True)])
    np.testing.assert_allclose(np.einsum("pid,pd->pi", inputs, tasks), outputs, atol=1e-4)
    sphere = DRAW(jax.random.key(3), prompts=5, queries=1)
    np.testing.assert_allclose(np.linalg.norm(sphere.x, axis=-1), np.sqrt(2), rtol=1e-5)


def test_probes_find_what_is_linear_in_the_states():
    rng = np.random.default_rng(2)
    states = rng.standard_normal((2, 50, 3, 4))
    targets = states[1] @ [1.0, -2.0, 0.0, 0.5] + 3.0
    coefficients = np.asarray(probes.fit_probes(states, targets))
    np.testing.assert_allclose(coefficients[1], [1, -2, 0, 0.5, 3], atol=1e-12)
    errors = np.asarray(probes.probe_errors(coefficients, states, targets))
    assert np.abs(errors[1]).max() < 1e-11
    assert np.abs(errors[0]).max() > 1


def test_counts_are_matched_between_the_points_of_the_curve():
    curve = np.array([1.0, 1e-1, 1e-2, 1e-4])
    found = probes.matched_count(np.array([1.0, 10**-1.5, 1e-3, 1e-9, 2.0]), curve, np.arange(4))
    np.testing.assert_allclose(found, [0, 1.5, 2.5, 3, 0], atol=1e-12)


def test_similarity_is_the_mean_cosine():
    rng = np.random.default_rng(4)
    a, b = rng.standard_normal((2, 6, 5))
    cosines = [u @ v / np.linalg.norm(u) / np.linalg.norm(v) for u, v in zip(a, b, strict=True)]
    assert float(probes.similarity(a, b)) == pytest.approx(np.mean(cosines))
    assert float(probes.similarity(np.zeros((6, 5)), b)) == 0


def test_a_descent_stack_is_matched_to_its_own_steps():
    fit, test = probes.draw_test_prompts(jax.random.key(7), DRAW, fit=64, test=48, queries=3)
    solvers = probes.solver_errors(test, iterations=12, doublings=5, parts=4)
    rate = probes.common_rate(test)
    states = np.asarray(probes.descent_stack_states(test, layers=3, rate=rate))
    targets = np.asarray(test.targets, float)
    assert states.shape[:3] == (4, 48, 3)
    for layer, state in enumerate(states[1:], 1):
        alike = np.asarray(probes.similarity((-state[..., -1] - targets)[None], solvers.descent))
        assert int(solvers.times[np.argmax(alike)]) == layer
        assert alike.max() == pytest.approx(1, abs=1e-9)
    report = probes.compare_layers(probes.descent_stack_states(fit, layers=3, rate=rate), fit, states, test, solvers)
    assert float(probes.depth_statistics(report)[1]) < 1


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: networks(width=9), "width must be a multiple of the 2 heads"),
        (lambda: networks("cosine"), "attention must be one of"),
        (lambda: networks(layers=0), "layers must be at least 1"),
        (lambda: networks(output_scale=0.0), "output_scale must be positive"),
        (lambda: DRAW(jax.random.key(0), prompts=0, queries=1), "prompts must be at least 1"),
        (lambda: Recipe(steps=5, batch=1, examples=1, queries=1, scales=[1.0]), "warmup must end before"),
        (lambda: Recipe(steps=5, batch=0, examples=1, queries=1, scales=[1.0], warmup=1), "batch must be at least 1"),
        (lambda: Recipe(steps=5, batch=1, examples=1, queries=1, scales=[0.0], warmup=1), "scales must be positive"),
        (lambda: train_transformers(networks(), KEYS, RECIPE, segment=0), "segment must be at least 1"),
    ],
)
def test_bad_input_names_the_argument(call, match):
    with pytest.raises(ValueError, match=match):
        call()
