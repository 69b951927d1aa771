from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.in_context import autoregressive as sim


def random_blocks(seed, dim, size=0.3):
    first, second = jax.random.split(jax.random.key(seed))
    shape = (3 * dim, 3 * dim)
    return sim.Blocks(size * jax.random.normal(first, shape), size * jax.random.normal(second, shape))


def random_sequence(seed, dim, length):
    first, phases = jax.random.split(jax.random.key(seed))
    return sim.sequence(jax.random.normal(first, (dim,)), sim.sample_eigenvalues(phases, (dim,)), length)


def test_sequences_obey_their_recursion_and_keep_their_size():
    x = np.asarray(random_sequence(0, 3, 50))
    ratio = x[1] / x[0]
    np.testing.assert_allclose(x[1:], x[:-1] * ratio, atol=1e-12)
    np.testing.assert_allclose(np.abs(x), np.abs(x[:1]) * np.ones((50, 1)), atol=1e-12)


def test_predictions_are_those_of_the_formula_token_by_token():
    dim, length = 2, 6
    blocks, x = random_blocks(1, dim), np.asarray(random_sequence(2, dim, length))
    tokens = np.concatenate([0 * x, x, np.concatenate([np.zeros((1, dim)), x[:-1]])], axis=1)
    found = sim.predict(blocks, jnp.asarray(x))
    for t in range(2, length + 1):
        seen, now = tokens[:t].T, tokens[t - 1]
        full = now + np.asarray(blocks.value) @ (seen @ seen.conj().T) @ np.asarray(blocks.key_query) @ now / (t - 1)
        np.testing.assert_allclose(found[t - 2], full[:dim], atol=1e-12)


@pytest.mark.parametrize("law", sim.LAWS)
def test_the_quadratic_form_is_the_loss_of_the_layer(law):
    atoms, weights = sim.first_tokens(law, dim=2, scale=0.9)
    assert weights.sum() == pytest.approx(1.0)
    sequences = sim.enumerate_sequences(atoms, weights, order=12)
    form, blocks = sim.quadratic_form(sequences, 4), random_blocks(3, 2)
    value, slope = jax.value_and_grad(sim.form_loss)(blocks, form)
    exact, gradient = jax.value_and_grad(sim.population_loss)(blocks, sequences, 4)
    assert float(value) == pytest.approx(float(exact), rel=1e-12)
    for a, b in zip(slope, gradient, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_two_blocks_agree_with_all_and_need_relative_phases_only():
    atoms, weights = sim.first_tokens("uniform", dim=2)
    start = sim.scaled_identities(0.4, 0.7, 2)
    everything = sim.quadratic_form(sim.enumerate_sequences(atoms, weights, order=15), 5)
    relative = sim.enumerate_sequences(atoms, weights, order=6, relative=True)
    restricted = sim.quadratic_form(relative, 5, two_blocks=True)
    assert float(sim.form_loss(start, restricted)) == pytest.approx(float(sim.form_loss(start, everything)), rel=1e-12)
    nested = sim.quadratic_forms(relative, 5, two_blocks=True)
    shorter = sim.quadratic_form(relative, 4, two_blocks=True)
    np.testing.assert_allclose(nested.gram[1], shorter.gram, atol=1e-12)


def test_one_coordinate_learns_to_invert_its_square():
    """With d = 1 and |x_1| = s every token is x_1 times a phase, and ab = 1/s^2 predicts without error."""
    sequences = sim.enumerate_sequences([[1.5], [-1.5]], [0.5, 0.5], order=15)
    form = sim.quadratic_form(sequences, 5)
    trained = sim.train(sim.scaled_identities(0.3, 0.5, 1), form)
    assert float(trained.value[0, 1] * trained.key_query[2, 1]) == pytest.approx(1 / 2.25, rel=1e-8)
    assert float(sim.population_loss(trained, sequences, 5)) == pytest.approx(0.0, abs=1e-14)


def test_the_flow_descends_and_starts_where_it_is_told():
    form = sim.quadratic_form(sim.enumerate_sequences(*sim.first_tokens("rademacher", dim=2), order=12), 4)
    start = sim.scaled_identities(0.2, 0.4, 2)
    path = sim.flow(start, form, jnp.array([0.0, 0.1, 0.5, 2.0]))
    np.testing.assert_allclose(path.value[0], start.value)
    losses = jax.vmap(sim.form_loss, in_axes=(0, None))(path, form)
    assert np.all(np.diff(losses) < 0)


def test_covariance_averages_of_one_coordinate_are_its_moments():
    sequences = sim.enumerate_sequences([[0.7], [-0.7]], [0.5, 0.5], order=8)
    found = sim.covariance_averages(sequences, 5)
    np.testing.assert_allclose(found, [[0.7**4] * 4, [0.7**6] * 4], rtol=1e-12)


def test_position_moments_are_those_of_one_sequence_when_there_is_one():
    eigenvalues = np.exp(1j * np.array([0.3, 1.7]))
    one = sim.Sequences(jnp.array([[0.5, -1.0]]), jnp.asarray(eigenvalues)[None], jnp.ones(1))
    blocks = random_blocks(5, 2)
    x = sim.sequence(one.first[0], one.eigenvalues[0], 6)
    predicted = sim.predict(blocks, x[:-1])
    found = sim.position_moments(blocks, one, 5)
    np.testing.assert_allclose(found.prediction, jnp.sum(jnp.abs(predicted) ** 2, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.overlap, jnp.sum(jnp.real(predicted.conj() * x[2:]), axis=1), atol=1e-12)
    np.testing.assert_allclose(found.target, 1.25, rtol=1e-12)


def test_the_descent_matrix_is_the_sum_of_outer_products():
    x = random_sequence(7, 3, 6)
    found = sim.descent_matrix(x, 0.3)
    expected = sum(jnp.outer(after, before.conj()) for before, after in pairwise(x))
    np.testing.assert_allclose(found, 0.3 * expected, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sim.first_tokens("cauchy", dim=2), "law must be one of"),
        (lambda: sim.enumerate_sequences([1.0], [1.0], order=3), "first must have 2 dimension"),
        (lambda: sim.enumerate_sequences([[1.0]], [-1.0], order=3), "weight must be nonnegative"),
        (lambda: sim.enumerate_sequences([[1.0]], [1.0], order=0), "order must be at least 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
