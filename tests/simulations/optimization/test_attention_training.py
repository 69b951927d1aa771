import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from simulations.optimization import (
    Factors,
    RegressionTask,
    SelectionTask,
    attention_descent,
    attention_flow,
    attention_logits,
    attention_matrix,
    selected_tokens,
)


def instance(seed=0):
    rng = np.random.default_rng(seed)
    return SelectionTask(rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 3)), rng.normal(size=(2, 3)))


def test_flow_of_one_number_takes_the_time_that_its_velocity_says():
    # tokens 0 and -1, scores 0 and -1 or -3: dw/dt = slope * lead * s (1 - s), s the leaked probability
    leads = np.array([1.0, 3.0])
    tokens, queries = np.array([[[0.0], [-1.0]]]), np.array([[1.0]])
    scores = np.stack([np.zeros(2), -leads], axis=1)[:, None]
    times = [0.5, 30.0, 1e4, 1e8]

    def flow(order):
        task = SelectionTask(np.stack([tokens] * 2), np.stack([queries] * 2), scores[order])
        return np.asarray(attention_flow(jnp.zeros((2, 1, 1)), task, times=times))

    weights = flow([0, 1])
    assert weights.shape == (4, 2, 1, 1)
    for instance, lead in enumerate(leads):

        def seconds_per_weight(w, lead=lead):
            leak = 1 / (1 + np.exp(w))
            return (1 + np.exp(-lead * leak)) / (lead * leak * (1 - leak))

        for time, w in zip(times, weights[:, instance, 0, 0], strict=True):
            assert quad(seconds_per_weight, 0, w, epsabs=0, epsrel=1e-11, limit=200)[0] == pytest.approx(time, rel=1e-6)
    # instances know nothing of each other
    np.testing.assert_allclose(flow([1, 0])[:, ::-1], weights, rtol=1e-12)


def test_flow_of_factors_conserves_their_imbalance():
    rng = np.random.default_rng(2)
    start = Factors(0.3 * rng.normal(size=(3, 3)), 0.3 * rng.normal(size=(3, 3)))
    end = attention_flow(start, instance(3), times=[1.0, 1e3])
    before = start.key.T @ start.key - start.query.T @ start.query
    after = end.key[-1].T @ end.key[-1] - end.query[-1].T @ end.query[-1]
    np.testing.assert_allclose(after, before, atol=1e-7)
    assert np.linalg.norm(attention_matrix(end)[-1]) > 3 * np.linalg.norm(start.key @ start.query.T)


def test_regression_flow_reaches_the_mixture_that_it_is_asked_for():
    rng = np.random.default_rng(4)
    tokens, queries = rng.normal(size=(1, 2, 3)), rng.normal(size=(1, 3))
    target = 0.3 * tokens[:, 0] + 0.7 * tokens[:, 1]
    task = RegressionTask(tokens, queries, tokens, target)
    W = attention_flow(jnp.zeros((3, 3)), task, times=[1e4])
    logits = np.asarray(attention_logits(W, task))[-1, 0]
    assert logits[0] - logits[1] == pytest.approx(np.log(0.3 / 0.7), abs=1e-6)


def test_descent_takes_steps_of_one_length():
    task = SelectionTask([[[0.0], [-1.0]]], [[1.0]], [[0.0, -1.0]])
    weights = attention_descent(jnp.zeros((1, 1)), task, learning_rate=0.25, steps=[0, 1, 1, 40, 2000])
    np.testing.assert_allclose(weights[:, 0, 0], [0, 0.25, 0.25, 10, 500], rtol=1e-12)


def test_descent_of_factors_shares_one_norm():
    rng = np.random.default_rng(5)
    start = Factors(rng.normal(size=(3, 2)), rng.normal(size=(3, 2)))
    end = attention_descent(start, instance(6), learning_rate=0.1, steps=[1])
    moved = [np.sum((np.asarray(b[0]) - a) ** 2) for a, b in zip(start, end, strict=True)]
    assert np.sqrt(sum(moved)) == pytest.approx(0.1, rel=1e-12)
    assert min(moved) > 0


def test_descent_selects_the_best_token_of_an_easy_task():
    tokens = np.eye(4)[None, :3]
    task = SelectionTask(tokens, [[0.0, 0.0, 0.0, 1.0]], [[0.0, 2.0, 1.0]])
    descent = attention_descent(jnp.zeros((4, 4)), task, learning_rate=0.05, steps=[400])
    assert selected_tokens(descent, task).tolist() == [[1]]


def test_descent_stops_where_the_gradient_underflows():
    task = SelectionTask([[[0.0], [-1.0]]], [[1.0]], [[0.0, -1.0]])
    weights = attention_descent(jnp.full((1, 1), 700.0), task, learning_rate=1.0, steps=[100, 200])
    assert np.isfinite(weights).all()
    assert weights[0, 0, 0] == weights[1, 0, 0] > 700


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: attention_flow(np.zeros((2, 2)), t, times=[1.0]), r"weights must have shape \(3, 3\)"),
        (lambda t: attention_flow(Factors(np.zeros((3, 2)), np.zeros((3, 1))), t, times=[1.0]), "two factors of shape"),
        (lambda t: attention_flow(np.zeros((3, 3)), t, times=[]), "times must be increasing, at least one"),
        (lambda t: attention_flow(np.zeros((3, 3)), t, times=[2.0, 1.0]), "times must be increasing"),
        (lambda t: attention_flow(np.zeros((3, 3)), t, times=[0.0]), "times must be positive"),
        (lambda t: attention_flow(np.zeros((3, 3)), t, times=[1.0], rtol=0.0), "rtol must be positive"),
        (lambda t: attention_descent(np.zeros((3, 3)), t, learning_rate=0.0, steps=[1]), "learning_rate must be pos"),
        (lambda t: attention_descent(np.zeros((3, 3)), t, learning_rate=1.0, steps=[1.5]), "sequence of integers"),
        (lambda t: attention_descent(np.zeros((3, 3)), t, learning_rate=1.0, steps=[2, 1]), "nonnegative and nondecr"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(instance())
