"""Students of drawn samples against steps taken one by one, least squares, and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear import high_dimensional as sim

GROUP = sim.Students(2.0, 0.5, 0.7)
SHAPE = (6, 9)


@pytest.fixture(scope="module")
def sample():
    return sim.Sample(jax.random.key(3), 5.0, 4.0)


@pytest.fixture(scope="module")
def inputs(sample):
    """The sample without the zeros that pad it."""
    padded = np.asarray(sim.draw_inputs(sample, SHAPE))
    assert not padded[5:].any()
    assert not padded[:, 4:].any()
    return padded[:5, :4]


def test_doubling_takes_the_steps_of_gradient_descent(inputs):
    X, rng = jnp.asarray(inputs), np.random.default_rng(0)
    w0, y = rng.normal(size=5), rng.normal(size=4)
    one_by_one = sim.descend(jnp.asarray(w0), X, jnp.asarray(y), 0.03, 64)
    S = sim.double(0.03 * jnp.eye(5), X @ X.T, 6)
    np.testing.assert_allclose(w0 + S @ (X @ (y - X.T @ w0)), one_by_one, rtol=1e-12)


def test_averages_are_those_of_draws(sample, inputs):
    rate, doublings, draws = 2.0**-5, 6, 8000
    errors = sim.descent_errors(sample, GROUP, rate, doublings, SHAPE, 2)
    drawn = jax.vmap(lambda key: sim.descend_with_draws(key, jnp.asarray(inputs), GROUP, rate, doublings, 2))(
        jax.random.split(jax.random.key(0), draws)
    )
    spread = drawn.std(axis=0) / np.sqrt(draws)
    assert (np.abs(drawn.mean(axis=0) - errors.test) < 5 * spread).all()


def test_training_error_starts_at_the_power_of_labels_and_ends_at_none(sample, inputs):
    errors = sim.descent_errors(sample, GROUP, 2.0**-30, 8, SHAPE, 1)
    power = 2.5 * np.sum(inputs**2) / 4 + 0.7
    assert float(errors.train[0]) == pytest.approx(power, rel=1e-6)
    assert float(errors.test[0]) == pytest.approx(2.5 + 0.7, rel=1e-6)
    late = sim.descent_errors(sample, GROUP, 0.1, 24, SHAPE, 1)
    assert float(late.train[0]) < 1e-12
    assert float(late.test[0]) == pytest.approx(float(sim.least_norm_errors(sample, GROUP, SHAPE).test), rel=1e-8)


def test_stopping_finds_the_least_error(sample):
    stopped = sim.stop_early(sample, GROUP, 2.0**-8, SHAPE, 12)
    errors = [
        float(sim.descent_errors(sample, GROUP, float(stopped.time) * factor * 2.0**-10, 10, SHAPE, 1).test[0])
        for factor in (0.9, 1.0, 1.1)
    ]
    assert errors[1] < min(errors[0], errors[2])
    assert float(stopped.test) == pytest.approx(errors[1], rel=1e-3)
    assert float(stopped.late) > float(stopped.test)


def test_ridges(sample, inputs):
    student = sim.Students(2.0, 0.0, 0.7)
    best = float(sim.best_ridge(sample, student, (1e-3, 1e3), SHAPE))
    around = np.asarray(sim.ridge_errors(sample, jnp.array([0.8, 1.0, 1.25]) * best, student, SHAPE))
    assert around[1] < min(around[0], around[2])
    learnt = np.linalg.solve(inputs @ inputs.T + 0.3 * np.eye(5), inputs)
    error = 2 * np.sum((learnt @ inputs.T - np.eye(5)) ** 2) / 5 + 0.7 * np.sum(learnt**2) / 5 + 0.7
    assert float(sim.ridge_errors(sample, jnp.array([0.3]), student, SHAPE)[0]) == pytest.approx(error, rel=1e-12)


def test_spectral_means_skip_the_padding(sample, inputs):
    x = np.linalg.eigvalsh(inputs @ inputs.T)
    found = np.asarray(sim.spectral_means(sample, SHAPE))
    np.testing.assert_allclose(found[1:], [np.exp(-x).mean(), (1 / (1 + x)).mean()], rtol=1e-12)
    shift = 2 * (1 + 0.8) * (x.mean() - 0.8)
    assert found[0] == pytest.approx((x**2).mean() - shift, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda key: sim.draw_inputs(sim.Sample(key, 7, 4), SHAPE),
            "n_features must be a whole number from 1 to 6; got 7",
        ),
        (lambda key: sim.draw_inputs(sim.Sample(key, 5, 4.5), SHAPE), "n_samples must be a whole number from 1 to 9"),
        (
            lambda key: sim.ridge_errors(sim.Sample(key, 5, 4), [-1.0], GROUP, SHAPE),
            "ridges must be nonnegative; got -1 at index",
        ),
        (
            lambda key: sim.least_norm_errors(sim.Sample(key, 5, 4), sim.Students(1.0, -1.0, 0.0), SHAPE),
            "initial must be nonnegative; got -1",
        ),
        (
            lambda key: sim.descent_errors(sim.Sample(key, 5, 4), GROUP, 0.0, 3, SHAPE, 2),
            "learning_rate must be positive; got 0",
        ),
        (
            lambda key: sim.descent_errors(sim.Sample(key, 5, 4), GROUP, 0.1, 3, SHAPE, 5),
            "doublings must be a whole number >= 4; got 3",
        ),
        (
            lambda key: sim.stop_early(sim.Sample(key, 5, 4), GROUP, 0.1, SHAPE, 0),
            "doublings must be at least 1; got 0",
        ),
        (
            lambda key: sim.best_ridge(sim.Sample(key, 5, 4), GROUP, (1.0, 0.5), SHAPE),
            "bracket must be two numbers that rise",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(jax.random.key(0))
