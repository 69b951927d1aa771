import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.in_context.attention import (
    attention,
    context_mask,
    forward,
    forward_prompts,
    make_layer,
    random_layer,
    repeat,
    stack,
)


def by_hand(layer, tokens, mask, softmax=False):
    """One token at a time, one key at a time."""
    added = np.zeros(tokens.shape, dtype=np.result_type(tokens, float))
    key, query, value, projection = (np.asarray(m) for m in (layer.key, layer.query, layer.value, layer.projection))
    for j in range(len(tokens)):
        weights = np.broadcast_to(mask, (len(tokens),) * 2)[j]
        scores = np.array([np.vdot(key @ e, query @ tokens[j]) for e in tokens])
        if softmax:
            scores = np.where(weights > 0, np.exp(scores), 0) / np.exp(scores)[weights > 0].sum()
        else:
            scores = scores * weights
        for score, e in zip(scores, tokens, strict=True):
            added[j] += projection @ (value @ e) * score
    return added


@pytest.mark.parametrize("softmax", [False, True])
def test_one_layer_is_what_the_formula_says(softmax):
    rng = np.random.default_rng(0)
    layer = make_layer(*(rng.standard_normal(shape) for shape in ((2, 4), (2, 4), (3, 4), (4, 3))))
    tokens = rng.standard_normal((5, 4))
    for mask in (np.array([1.0, 1, 1, 0, 0]), np.tril(np.ones((5, 5)))):
        found = attention(layer, jnp.asarray(tokens), jnp.asarray(mask), softmax=softmax)
        np.testing.assert_allclose(found, by_hand(layer, tokens, mask, softmax), atol=1e-12)


def test_complex_keys_are_conjugated():
    rng = np.random.default_rng(1)
    layer = random_layer(jax.random.key(0), width=3)
    tokens = rng.standard_normal((4, 3)) + 1j * rng.standard_normal((4, 3))
    mask = np.array([1.0, 0.5, 0, 1])
    found = attention(layer, jnp.asarray(tokens), jnp.asarray(mask))
    np.testing.assert_allclose(found, by_hand(layer, tokens, mask), atol=1e-12)


def test_layers_follow_one_another_and_prompts_do_not_mix():
    layers = random_layer(jax.random.key(1), width=3, std=0.5, n_layers=4)
    prompts = jax.random.normal(jax.random.key(2), (6, 5, 3))
    mask = context_mask(5, 4)
    paths = [forward(layers, tokens, mask) for tokens in prompts]
    for path, tokens in zip(paths, prompts, strict=True):
        np.testing.assert_array_equal(path[0], tokens)
        for k in range(4):
            layer = jax.tree.map(lambda matrix, k=k: matrix[k], layers)
            np.testing.assert_allclose(path[k + 1], path[k] + attention(layer, path[k], mask), atol=1e-12)
    found = forward_prompts(layers, prompts, mask)
    np.testing.assert_allclose(found, jnp.stack([path[-1] for path in paths]), atol=1e-12)


def test_hidden_tokens_have_no_influence_and_order_does_not_matter():
    layers = random_layer(jax.random.key(3), width=3, n_layers=2)
    tokens = jax.random.normal(jax.random.key(4), (6, 3))
    mask = context_mask(6, 4)
    found = forward(layers, tokens, mask)[-1]
    changed = forward(layers, tokens.at[5].set(7.0), mask)[-1]
    np.testing.assert_allclose(changed[:5], found[:5], atol=1e-12)
    order = jnp.array([2, 0, 3, 1, 4, 5])
    np.testing.assert_allclose(forward(layers, tokens[order], mask)[-1], found[order], atol=1e-10)


def test_stacking_and_repeating():
    one, two = (random_layer(jax.random.key(k), width=2) for k in (0, 1))
    np.testing.assert_array_equal(stack(one, two).key, jnp.stack([one.key, two.key]))
    np.testing.assert_array_equal(repeat(one, 3).value[2], one.value)
    np.testing.assert_array_equal(context_mask(3, 2), [1, 1, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_layer(np.eye(2), np.eye(3), np.eye(2), np.eye(2)), r"query must have the shape of key, \(2, 2\)"),
        (lambda: make_layer(np.eye(2), np.eye(2), np.eye(3), np.eye(2)), "value must have 2 columns"),
        (lambda: make_layer(np.eye(2), np.eye(2), np.eye(2), np.ones((2, 3))), r"projection must have shape \(2, 2\)"),
        (lambda: make_layer(np.ones(2), np.eye(2), np.eye(2), np.eye(2)), "key must be a matrix"),
        (lambda: make_layer(np.eye(2) * np.nan, np.eye(2), np.eye(2), np.eye(2)), "key must be finite"),
        (lambda: context_mask(2, 3), "n_tokens must be at least 3; got 2"),
        (lambda: random_layer(jax.random.key(0), width=0), "width must be at least 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
