import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.optimization import (
    Factors,
    RegressionTask,
    SelectionTask,
    attention_logits,
    attention_loss,
    attention_matrix,
    repeated_task,
    selected_tokens,
    token_margins,
)


def instance(seed=0, *batch, n=3, T=4, d=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(*batch, n, T, d)), rng.normal(size=(*batch, n, d)), rng.normal(size=(*batch, n, T))


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("scale", [0.0, 0.3, 3.0])
def test_selection_loss_is_the_logistic_loss_above_its_infimum(scale):
    tokens, queries, scores = instance()
    W = scale * np.random.default_rng(1).normal(size=(5, 5))
    outputs = np.sum(scores * softmax(np.einsum("ntd,de,ne->nt", tokens, W, queries)), axis=1)
    expected = np.mean(np.logaddexp(0, -outputs) - np.logaddexp(0, -scores.max(axis=1)))
    np.testing.assert_allclose(attention_loss(W, SelectionTask(tokens, queries, scores)), expected, rtol=1e-12)


def test_regression_loss_is_the_squared_distance_from_the_targets():
    tokens, queries, _ = instance()
    rng = np.random.default_rng(1)
    values, targets, W = rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 2)), rng.normal(size=(5, 5))
    probabilities = softmax(np.einsum("ntd,de,ne->nt", tokens, W, queries))
    expected = np.mean(np.sum((np.einsum("nt,ntk->nk", probabilities, values) - targets) ** 2, axis=1)) / 2
    np.testing.assert_allclose(
        attention_loss(W, RegressionTask(tokens, queries, values, targets)), expected, rtol=1e-12
    )


@pytest.mark.parametrize("margin", [1.0, 40.0, 300.0])
def test_loss_and_gradient_keep_their_accuracy_far_below_rounding(margin):
    # one pair, scores 0 and -1, W a number: loss log1p(expm1(s) / 2) of the leaked probability s
    task = SelectionTask([[[0.0], [-1.0]]], [[1.0]], [[0.0, -1.0]])
    value, gradient = jax.value_and_grad(attention_loss)(jnp.array([[margin]]), task)
    leak = np.exp(-margin) / (1 + np.exp(-margin))
    np.testing.assert_allclose(value, np.log1p(np.expm1(leak) / 2), rtol=1e-14)
    slope = np.exp(leak) / (1 + np.exp(leak))
    np.testing.assert_allclose(gradient, [[-slope * leak / (1 + np.exp(-margin))]], rtol=1e-13)


def test_gradient_is_as_accurate_when_a_worse_token_wins():
    task = SelectionTask([[[0.0], [-1.0]]], [[1.0]], [[0.0, -1.0]])
    gradient = jax.grad(attention_loss)(jnp.array([[-100.0]]), task)
    np.testing.assert_allclose(gradient, [[-np.exp(-100.0) * np.e / (1 + np.e)]], rtol=1e-13)


def test_gradient_agrees_with_differences():
    task = SelectionTask(*instance(2))
    W = np.random.default_rng(3).normal(size=(5, 5))
    step = np.random.default_rng(4).normal(size=(5, 5))
    slope = (attention_loss(W + 1e-6 * step, task) - attention_loss(W - 1e-6 * step, task)) / 2e-6
    np.testing.assert_allclose(np.sum(jax.grad(attention_loss)(W, task) * step), slope, rtol=1e-7)


def test_factors_stand_for_their_product():
    task = SelectionTask(*instance(2))
    K, Q = np.random.default_rng(3).normal(size=(2, 5, 3))
    np.testing.assert_allclose(attention_matrix(Factors(K, Q)), K @ Q.T, rtol=1e-14)
    np.testing.assert_allclose(attention_loss(Factors(K, Q), task), attention_loss(K @ Q.T, task), rtol=1e-13)


def test_readouts_of_a_trajectory_of_instances():
    tokens, queries, scores = instance(5, 2)
    task = SelectionTask(tokens, queries, scores)
    W = np.random.default_rng(6).normal(size=(7, 2, 5, 5))
    optimal = scores.argmax(axis=-1)
    logits = np.einsum("sntd,asde,sne->asnt", tokens, W, queries)
    np.testing.assert_allclose(attention_logits(W, task), logits, rtol=1e-10, atol=1e-12)
    assert (selected_tokens(W, task) == logits.argmax(axis=-1)).all()
    margins = token_margins(W, task, optimal)
    assert margins.shape == (7, 2, 3, 3)
    lead = logits[3, 1, 2, optimal[1, 2]] - np.delete(logits[3, 1, 2], optimal[1, 2])
    np.testing.assert_allclose(margins[3, 1, 2], lead, rtol=1e-10)


def test_repeated_tasks_are_copies():
    task = repeated_task(SelectionTask(*instance(0, 2)), 3)
    assert task.tokens.shape == (3, 2, 3, 4, 5)
    assert (task.scores[0] == task.scores[2]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, z, g: SelectionTask(x[0], z, g), "tokens must have shape"),
        (lambda x, z, g: SelectionTask(x, z[:2], g), r"queries must have shape \(3, 5\)"),
        (lambda x, z, g: SelectionTask(x, z, g[:, :3]), r"scores must have shape \(3, 4\)"),
        (lambda x, z, g: SelectionTask(x * np.nan, z, g), "tokens must be finite"),
        (lambda x, z, g: RegressionTask(x, z, g, g), "values must have shape"),
        (lambda x, z, g: RegressionTask(x, z, x, z[:2]), r"targets must have shape \(3, 5\)"),
        (lambda x, z, g: token_margins(np.eye(5), SelectionTask(x, z, g), [0, 1]), r"optimal must have shape \(3,\)"),
        (lambda x, z, g: token_margins(np.eye(5), SelectionTask(x, z, g), [0, 1, 4]), r"optimal must be in \[0, 4\)"),
        (lambda x, z, g: repeated_task(SelectionTask(x, z, g), 0), "count must be at least 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*instance())
