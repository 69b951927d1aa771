import numpy as np
import pytest

from simulations.in_context import newton_attention as sim
from simulations.in_context.iterations import (
    best_start,
    count_until,
    descend,
    gradient_weights,
    invert_by_newton,
    newton_weights,
)

RNG = np.random.default_rng(8)
X, TASK, QUERY = RNG.standard_normal((7, 3)), RNG.standard_normal(3), RNG.standard_normal(3)
Y = X @ TASK


def plain_forward(tokens, layers, mask, act):
    H = np.array(tokens)
    for layer in layers:
        H = H + sum(V @ H @ (mask * act((K @ H).T @ (Q @ H))) for V, K, Q in layer)
    return H


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_forward_pass_is_that_of_a_plain_loop(activation):
    act = {"linear": lambda z: z, "relu": lambda z: np.maximum(z, 0)}[activation]
    tokens = RNG.standard_normal((5, 4))
    layers = [[tuple(0.3 * RNG.standard_normal(s) for s in ((5, 5), (2, 5), (2, 5))) for _ in range(2)] for _ in "abc"]
    for mask in (sim.see_all(4), sim.hide_last(4), sim.see_the_past(4)):
        states = np.asarray(sim.run_layers(tokens, layers, mask, activation=activation))
        assert states.shape == (4, 5, 4)
        np.testing.assert_allclose(states[-1], plain_forward(tokens, layers, mask, act), rtol=1e-12, atol=1e-12)


def test_a_masked_query_changes_no_other_token():
    layers = [[tuple(RNG.standard_normal(s) for s in ((7, 7), (3, 7), (3, 7)))]]
    one, two = (sim.prompt_tokens(X, Y, q, scratch=3) for q in (QUERY, 2 * QUERY))
    out = [np.asarray(sim.run_layers(t, layers, sim.hide_last(8)))[-1] for t in (one, two)]
    np.testing.assert_array_equal(out[0][:, :-1], out[1][:, :-1])
    seen = [np.asarray(sim.run_layers(t, layers, sim.see_all(8)))[-1] for t in (one, two)]
    assert np.abs(seen[0][:, :-1] - seen[1][:, :-1]).max() > 0.1


def test_causal_mask_lets_nothing_back_in_time():
    layers = [[tuple(RNG.standard_normal(s) for s in ((7, 7), (3, 7), (3, 7)))]]
    later = X.copy()
    later[5] += 1
    out = [
        np.asarray(sim.run_layers(sim.prompt_tokens(x, Y, QUERY, scratch=3), layers, sim.see_the_past(8)))[-1]
        for x in (X, later)
    ]
    np.testing.assert_array_equal(out[0][:, :5], out[1][:, :5])
    assert np.abs(out[0][:, 5:] - out[1][:, 5:]).max() > 0.1


def test_descent_stack_takes_one_step_a_layer():
    states = sim.run_layers(
        sim.prompt_tokens(X, Y, QUERY, scratch=3), sim.descent_layers(3, steps=5, rate=0.02), sim.hide_last(8)
    )
    weights = np.zeros(3)
    for state in np.asarray(states):
        assert -state[-1, -1] == pytest.approx(QUERY @ weights, abs=1e-13)
        weights = weights - 0.02 * X.T @ (X @ weights - Y)


def test_prompt_tokens_and_key_rows():
    tokens = sim.prompt_tokens(X, Y, QUERY, scratch=3, embed=0.5)
    np.testing.assert_array_equal(tokens[3:6], 0.5 * tokens[:3])
    assert tokens[-1, -1] == 0
    keyed = sim.with_keys(tokens, dimension=3)
    np.testing.assert_array_equal(keyed[3:6, :-1], X.T)
    assert not keyed[3:6, -1].any()


def test_newton_inverts_and_descends_like_a_plain_loop():
    gram = X.T @ X
    inverses = np.asarray(invert_by_newton(gram, 1 / np.linalg.norm(gram @ gram), steps=30))
    np.testing.assert_allclose(inverses[-1], np.linalg.inv(gram), rtol=1e-9)
    M = inverses[3]
    np.testing.assert_allclose(inverses[4], 2 * M - M @ gram @ M, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        newton_weights(X, Y, 1 / np.linalg.norm(gram @ gram), steps=30)[-1], TASK, rtol=1e-8, atol=1e-9
    )
    weights, seen = np.zeros(3), [np.zeros(3)]
    for _ in range(9):
        weights = weights - 0.02 * X.T @ (X @ weights - Y)
        seen.append(weights)
    np.testing.assert_allclose(
        gradient_weights(X, Y, 0.02, steps=[0, 2, 2, 9]), np.array(seen)[[0, 2, 2, 9]], rtol=1e-12
    )
    np.testing.assert_allclose(descend(X, Y, np.full(9, 0.02)), seen[1:], rtol=1e-12)


def test_counts_and_best_start_on_cases_done_by_hand():
    s = np.array([1.0, 0.5])
    assert int(count_until(s, np.array(1.0), np.array(0.26), method="descent")) == 2
    assert int(count_until(s, np.array(1.0), np.array(0.26), method="identity")) == 1
    assert int(count_until(s, np.array(1.0), np.array(0.8), method="gram")) == 0
    alpha, norm = best_start(np.diag([3.0, 1.0]), start="identity")
    assert (float(alpha), float(norm)) == pytest.approx((0.5, 0.5), abs=1e-12)


HEAD = tuple(np.zeros(s) for s in ((5, 5), (2, 5), (2, 5)))
TOKENS = np.zeros((5, 4))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: sim.run_layers(TOKENS, [[HEAD]], np.ones((4, 3))), "mask must have shape"),
        (lambda: sim.run_layers(np.zeros((6, 4)), [[HEAD]], np.ones((4, 4))), "layers must act on tokens of width 6"),
        (lambda: sim.run_layers(TOKENS, [[HEAD], [HEAD, HEAD]], np.ones((4, 4))), "equally many heads"),
        (lambda: sim.run_layers(TOKENS, [[HEAD]], np.ones((4, 4)), activation="tanh"), "activation must be one of"),
        (lambda: sim.run_layers(np.full((5, 4), np.nan), [[HEAD]], np.ones((4, 4))), "tokens must be finite"),
        (lambda: sim.prompt_tokens(X, Y, QUERY, scratch=2), "scratch must be at least"),
        (lambda: sim.descent_layers(3, steps=0, rate=0.1), "steps must be at least 1"),
        (lambda: invert_by_newton(np.eye(2), 1.0, steps=-1), "steps must be at least 0"),
        (lambda: invert_by_newton(np.eye(2), 1.0, steps=1, start="zero"), "start must be one of"),
        (lambda: gradient_weights(X, Y, 0.1, steps=[3, 1]), "steps must not fall"),
    ],
)
def test_bad_input_names_the_argument(call, match):
    with pytest.raises(ValueError, match=match):
        call()
