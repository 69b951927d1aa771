"""The maximal update limits: against each other, against closed forms of one step, invariances, and bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from theory import ntk
from theory.ntk.activations import Activation

X = np.array([[1.0, 0.3], [-0.5, 0.9], [0.2, -1.0]])
Y = np.array([1.0, -0.6, 0.8])


def draw(seed, n=3, d=2):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True), rng.uniform(-1, 1, n)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.floats(0.05, 0.5))
def test_quadrature_of_a_linear_network_gives_its_moments(seed, lr):
    x, y = draw(seed)
    exact = ntk.mup_linear_limit(x, y, lr=lr, n_steps=4).f
    found = ntk.mup_two_layer_limit(x, y, lr=lr, n_steps=4, activation="linear", n_nodes=24)
    np.testing.assert_allclose(found, exact, atol=1e-3)


@given(st.integers(0, 10**6), st.floats(0.05, 0.5))
def test_moments_stay_those_of_a_distribution(seed, lr):
    x, y = draw(seed)
    moments = ntk.mup_linear_limit(x, y, lr=lr, n_steps=6).moments
    np.testing.assert_allclose(moments, np.swapaxes(moments, 1, 2))
    assert np.linalg.eigvalsh(moments).min() > 0
    np.testing.assert_array_equal(moments[0], np.eye(3))


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from(["linear", "tanh"]))
def test_outputs_change_sign_with_targets_and_turn_with_inputs(seed, activation):
    x, y = draw(seed)

    def solve(x, y):
        if activation == "linear":
            return ntk.mup_linear_limit(x, y, lr=0.4, n_steps=4).f
        return ntk.mup_two_layer_limit(x, y, lr=0.4, n_steps=4, n_nodes=24)

    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((2, 2)))[0]
    f = solve(x, y)
    assert np.all(f[0] == 0) or np.abs(f[0]).max() < 1e-15
    np.testing.assert_allclose(solve(x, -y), -f, atol=1e-13)
    np.testing.assert_allclose(solve(x @ turn, y), f, atol=1e-12 if activation == "linear" else 1e-3)


def test_balance_is_conserved_as_steps_shrink():
    changes = []
    for steps in (50, 100):
        moments = ntk.mup_linear_limit(X, Y, lr=5 / steps, n_steps=steps).moments[-1]
        changes.append(np.trace(moments) - 2 * moments[-1, -1] - 1)
    assert changes[0] / changes[1] == pytest.approx(2, rel=0.1)


def test_one_step_by_adaptive_quadrature():
    # one input x = 1: U' = U + eta V y sech(U)^2, V' = V + eta y tanh(U)
    eta, y = 0.7, 0.9

    def inner(u, v):
        moved = np.tanh(u + eta * v * y / np.cosh(u) ** 2)
        return (v + eta * y * np.tanh(u)) * moved * np.exp(-(u * u + v * v) / 2) / (2 * np.pi)

    expected = integrate.dblquad(inner, -7, 7, -7, 7, epsabs=1e-9)[0]
    found = ntk.mup_two_layer_limit([[1.0]], [y], lr=eta, n_steps=1, n_nodes=200)
    assert found[1, 0] == pytest.approx(expected, rel=1e-6)


def test_only_the_span_of_the_inputs_counts():
    wide = np.pad(X, ((0, 0), (3, 40)))
    options = {"lr": 0.5, "n_steps": 3, "n_nodes": 20}
    np.testing.assert_allclose(
        ntk.mup_two_layer_limit(wide, Y, **options), ntk.mup_two_layer_limit(X, Y, **options), atol=1e-4
    )


def test_more_nodes_converge():
    options = {"lr": 0.8, "n_steps": 5}
    fine = ntk.mup_two_layer_limit(X, Y, n_nodes=60, **options)
    errors = [np.abs(ntk.mup_two_layer_limit(X, Y, n_nodes=n, **options) - fine).max() for n in (10, 20, 40)]
    assert errors[0] > 5 * errors[1] > 25 * errors[2]
    assert errors[2] < 1e-5


def test_test_inputs_change_no_training():
    whole = ntk.mup_linear_limit(X, Y, lr=0.3, n_steps=5, x_test=[[1.0, 1.0]])
    np.testing.assert_array_equal(whole.moments, ntk.mup_linear_limit(X, Y, lr=0.3, n_steps=5).moments)
    assert whole.f.shape == (6, 1)


@pytest.mark.parametrize("solve", [ntk.mup_linear_limit, ntk.mup_two_layer_limit])
@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"y": Y[:2]}, "y"),
        ({"x": X[:0], "y": Y[:0]}, "empty"),
        ({"lr": 0.0}, "lr"),
        ({"n_steps": -1}, "n_steps"),
        ({"x_test": [[1.0]]}, "x_test"),
        ({"x": X * np.nan}, "x must be finite"),
        ({"lr": 1e6, "n_steps": 60, "x": X * 1e3}, "lr"),
    ],
)
def test_bad_input_is_named(solve, changes, word):
    options = {"x": X, "y": Y, "lr": 0.1, "n_steps": 2} | changes
    linear = {} if solve is ntk.mup_linear_limit else {"activation": "linear"}
    with pytest.raises(ValueError, match=word):
        solve(options.pop("x"), options.pop("y"), **options, **linear)


def test_activations_without_derivative_and_grids_without_end_are_refused():
    with pytest.raises(ValueError, match="derivative"):
        ntk.mup_two_layer_limit(X, Y, lr=0.1, n_steps=1, activation=np.tanh)
    with pytest.raises(ValueError, match="n_nodes"):
        ntk.mup_two_layer_limit(np.eye(9), np.ones(9), lr=0.1, n_steps=1)
    own = Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    np.testing.assert_allclose(
        ntk.mup_two_layer_limit(X, Y, lr=0.1, n_steps=1, activation=own),
        ntk.mup_two_layer_limit(X, Y, lr=0.1, n_steps=1),
    )
