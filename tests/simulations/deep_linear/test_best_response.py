import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear import best_response as sim

RNG = np.random.default_rng(0)
X, T = RNG.standard_normal((10, 3)), RNG.standard_normal(10)
NETWORK = sim.random_network(jax.random.key(1), inputs=3, hidden=3)


def test_objective_is_the_sum_that_a_loop_adds_up():
    q, s = map(np.asarray, NETWORK)
    weights = q.T @ s
    squares = sum((x @ weights - t) ** 2 for x, t in zip(X, T, strict=True))
    jacobian = np.exp(0.7) / len(X) * sum(weights @ weights for _ in X)
    assert float(sim.objective(NETWORK, X, T, 0.7)) == pytest.approx(squares + jacobian, rel=1e-13)
    decay = np.exp(0.7) * (np.sum(q**2) + np.sum(s**2))
    assert float(sim.objective(NETWORK, X, T, 0.7, penalty="weights")) == pytest.approx(squares + decay, rel=1e-13)


def test_input_weights_are_the_product_of_the_layers():
    np.testing.assert_allclose(sim.input_weights(NETWORK), NETWORK.q.T @ NETWORK.s, rtol=1e-14)


def test_without_penalty_training_ends_at_least_squares():
    trained = sim.train(NETWORK, X, T, -60.0)
    exact, left = np.linalg.lstsq(X, T, rcond=None)[:2]
    np.testing.assert_allclose(sim.input_weights(trained.network), exact, rtol=1e-9)
    assert float(trained.objective) == pytest.approx(float(left[0]), rel=1e-12)
    assert float(trained.gradient) < 1e-12


def test_every_start_and_every_width_ends_at_the_same_function():
    found = []
    for hidden in (1, 3, 5):
        start = sim.random_network(jax.random.key(hidden), inputs=3, hidden=hidden)
        found.append(np.asarray(sim.input_weights(sim.train(start, X, T, 0.4).network)))
    np.testing.assert_allclose(found[1:], np.broadcast_to(found[0], (2, 3)), rtol=1e-9)


def test_equivalent_weights_have_the_same_objective_and_derivative():
    trained = sim.train(NETWORK, X, T, 0.4).network
    a = RNG.standard_normal((3, 3)) + 2 * np.eye(3)
    other = sim.Network(a @ trained.q, np.linalg.solve(a.T, trained.s))
    assert float(sim.objective(other, X, T, 0.4)) == pytest.approx(float(sim.objective(trained, X, T, 0.4)), rel=1e-12)
    np.testing.assert_allclose(
        sim.response_derivative(other, X, T, 0.4), sim.response_derivative(trained, X, T, 0.4), rtol=1e-8
    )


def test_one_input_has_a_known_minimum_and_derivative():
    x, t = np.ones((2, 1)), np.array([3.0, 3.0])
    start = sim.random_network(jax.random.key(0), inputs=1, hidden=1)
    trained = sim.train(start, x, t, np.log(2.0))
    np.testing.assert_allclose(sim.input_weights(trained.network), [1.5], rtol=1e-12)
    # w = 6 / (2 + e^lambda), so w' = -6 e^lambda / (2 + e^lambda)^2
    np.testing.assert_allclose(sim.response_derivative(trained.network, x, t, np.log(2.0)), [-0.75], rtol=1e-10)


def test_derivative_is_the_difference_quotient_of_trained_networks():
    ends = [np.asarray(sim.input_weights(sim.train(NETWORK, X, T, at).network)) for at in (0.299, 0.301)]
    middle = sim.train(NETWORK, X, T, 0.3).network
    np.testing.assert_allclose(
        sim.response_derivative(middle, X, T, 0.3), (ends[1] - ends[0]) / 0.002, rtol=1e-5, atol=1e-8
    )


def test_weight_decay_keeps_layers_balanced():
    trained = sim.train(NETWORK, X, T, -1.0, penalty="weights").network
    np.testing.assert_allclose(trained.q @ trained.q.T, np.outer(trained.s, trained.s), atol=1e-6)


def test_ridge_solves_the_normal_equations():
    w = np.asarray(sim.ridge(X, T, 0.3))
    np.testing.assert_allclose(X.T @ (X @ w - T) + np.exp(0.3) * w, 0, atol=1e-12)
    shifted = sim.ridge(X + 5.0, T - 2.0, 0.3, centred=True)
    np.testing.assert_allclose(shifted, sim.ridge(X, T, 0.3, centred=True), rtol=1e-9)


def test_a_gated_network_of_one_unit_learns_its_gate():
    x, t = np.array([[1.0], [2.0]]), np.array([1.0, 3.0])
    among = np.linspace(-4, 6, 9)
    start = sim.random_gated_network(jax.random.key(2), inputs=1, hidden=1, log_penalties=among)
    trained = sim.train_gated(start, x, t, among).network
    np.testing.assert_allclose(trained.slope, [-1.0], rtol=1e-9)
    np.testing.assert_allclose(trained.offset, [np.log(5.0)], rtol=1e-9)
    closed = sim.respond(trained, np.log(5.0))
    np.testing.assert_allclose(closed.q, trained.q / 2, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: sim.train(NETWORK, X, T[:4], 0.0), "targets must hold one number for each of 10 rows of x; got 4"),
        (lambda: sim.train(NETWORK, X[:, :2], T, 0.0), "start must take 2 inputs"),
        (lambda: sim.train(NETWORK, X, T, 0.0, penalty="bias"), "penalty must be one of 'jacobian', 'weights'"),
        (lambda: sim.train(NETWORK, X, T, np.nan), "log_penalty must be finite"),
        (lambda: sim.train(NETWORK, X, T, 0.0, max_steps=0), "max_steps must be at least 1"),
        (lambda: sim.random_network(jax.random.key(0), inputs=0, hidden=2), "inputs must be at least 1"),
        (
            lambda: sim.train_gated(
                sim.random_gated_network(jax.random.key(0), inputs=3, hidden=3, log_penalties=[0.0, 1.0]),
                X,
                T,
                jnp.zeros(2),
            ),
            "log_penalties must hold at least 3 penalties; got 2",
        ),
    ],
)
def test_bad_input_is_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
