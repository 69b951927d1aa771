import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear.gradient_descent import (
    descend_at_times,
    fewest_steps,
    gradient_descent,
    gradient_step,
    pretrain_layers,
    steps_at,
    steps_to_fraction,
)
from simulations.deep_linear.initial_conditions import decoupled, gaussian, haar
from simulations.deep_linear.networks import Task, loss, product, stack_layers

KEY = jax.random.key(5)
CROSS = np.random.default_rng(0).normal(size=(3, 5))
TASK = Task.from_moments(CROSS)
WEIGHTS = gaussian(KEY, [5, 4, 3], std=0.4)


def test_depth_one_is_the_linear_recursion():
    covariance = np.diag([0.5, 1.0, 1.5, 0.1, 2.0])
    task = Task.from_moments(CROSS, covariance)
    start = gaussian(KEY, [5, 3], std=1.0)
    eta, steps = 0.3, [0, 1, 5, 5, 40]
    records = gradient_descent(start, task, learning_rate=eta, steps=steps)[0]
    best = CROSS / np.diag(covariance)
    for got, k in zip(records, steps, strict=True):
        expected = best + (np.asarray(start[0]) - best) * (1 - eta * np.diag(covariance)) ** k
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


def test_recorded_weights_are_those_of_a_plain_loop():
    records = gradient_descent(WEIGHTS, TASK, learning_rate=0.05, steps=[2, 7])
    weights = WEIGHTS
    for k in range(1, 8):
        weights = gradient_step(weights, TASK, 0.05)
        if k in (2, 7):
            for got, expected in zip(records, weights, strict=True):
                np.testing.assert_allclose(got[(2, 7).index(k)], expected, rtol=1e-13)


def test_step_sizes_line_up_and_converge_at_first_order():
    rates = [4e-2, 2e-2, 1e-2, 5e-3]
    runs = np.asarray(descend_at_times(WEIGHTS, TASK, learning_rates=rates, times=[0.0, 0.4, 1.2], observe=product))
    assert runs.shape == (4, 3, 3, 5)
    np.testing.assert_allclose(runs[:, 0], np.broadcast_to(product(WEIGHTS), (4, 3, 5)), rtol=1e-14)
    gaps = np.linalg.norm(np.diff(runs[:, 2], axis=0).reshape(3, -1), axis=1)
    np.testing.assert_allclose(np.log2(gaps[:-1] / gaps[1:]), 1.0, atol=0.1)


def test_steps_to_fraction_agrees_with_a_loop():
    goal = 0.05 * float(loss(WEIGHTS, TASK))
    weights, count = WEIGHTS, 0
    while float(loss(weights, TASK)) > goal:
        before = float(loss(weights, TASK))
        weights, count = gradient_step(weights, TASK, 0.02), count + 1
    got = steps_to_fraction(WEIGHTS, TASK, learning_rate=0.02, fraction=0.05, max_steps=10_000)
    assert bool(got.reached)
    assert int(got.steps) == count
    share = np.log(before / goal) / np.log(before / float(loss(weights, TASK)))
    assert abs(float(got.crossing) - (count - 1 + share)) < 1e-9


def test_steps_to_fraction_gives_up():
    late = steps_to_fraction(WEIGHTS, TASK, learning_rate=1e-4, fraction=0.05, max_steps=10)
    assert (bool(late.reached), int(late.steps), float(late.crossing)) == (False, 10, np.inf)
    wild = steps_to_fraction(WEIGHTS, TASK, learning_rate=50.0, fraction=0.05, max_steps=10_000)
    assert not bool(wild.reached)
    assert int(wild.steps) < 100


def test_steps_to_fraction_maps_over_rates():
    rates = jnp.array([0.01, 0.02, 0.05])
    count = jax.vmap(lambda r: steps_to_fraction(WEIGHTS, TASK, learning_rate=r, fraction=0.1, max_steps=5000).steps)
    alone = [int(steps_to_fraction(WEIGHTS, TASK, learning_rate=r, fraction=0.1, max_steps=5000).steps) for r in rates]
    assert count(rates).tolist() == alone


def test_one_step_onto_the_minimum_counts_as_one():
    got = steps_to_fraction((jnp.zeros((3, 5)),), TASK, learning_rate=1.0, fraction=0.5, max_steps=5)
    assert (int(got.steps), float(got.crossing)) == (1, 1.0)


def test_fewest_steps_is_the_best_of_the_single_runs():
    rates = np.geomspace(1e-3, 10.0, 9)
    deep = stack_layers((*gaussian(KEY, [4] * 5, std=0.5), jnp.ones((2, 4))))
    task = Task.from_moments(CROSS[:2, :4])
    best = fewest_steps(deep, task, learning_rates=rates, fraction=0.3, max_steps=3000)
    single = [steps_to_fraction(deep, task, learning_rate=r, fraction=0.3, max_steps=3000) for r in rates]
    counts = [int(run.steps) if run.reached else 10**9 for run in single]
    assert bool(best.reached)
    assert int(best.steps) == min(counts)
    assert counts[int(np.argmin(np.abs(rates - float(best.learning_rate))))] == min(counts)
    hopeless = fewest_steps(deep, task, learning_rates=[1e-6, 100.0], fraction=0.3, max_steps=50)
    assert (bool(hopeless.reached), int(hopeless.steps)) == (False, 50)


def test_pretraining_makes_every_layer_an_isometry_of_what_it_sees():
    v = haar(KEY, 4)
    covariance = np.asarray((v * jnp.array([2.0, 1.0, 0.5, 0.25])) @ v.T)
    layers = decoupled(KEY, np.full((2, 3), 0.3), u=haar(jax.random.key(1), 3), v=v, hidden=[5])
    first, second = pretrain_layers(layers, learning_rate=0.1, n_steps=300, sigma_xx=covariance)
    seen = np.diag([1.0, 1.0, 1.0, 0.0])
    np.testing.assert_allclose(v.T @ first.T @ first @ v, seen, atol=1e-8)
    np.testing.assert_allclose(v.T @ first.T @ second.T @ second @ first @ v, seen, atol=1e-8)


def test_divergence_is_an_error():
    with pytest.raises(FloatingPointError, match="learning_rate"):
        gradient_descent(WEIGHTS, TASK, learning_rate=10.0, steps=[200])


def test_steps_at():
    assert steps_at([0.0, 1.2, 3.0], 5e-4) == [0, 2400, 6000]
    with pytest.raises(ValueError, match="times"):
        steps_at([0.0011], 1e-3)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: gradient_descent(WEIGHTS, TASK, learning_rate=-0.1, steps=[1]), "learning_rate"),
        (lambda: gradient_descent(WEIGHTS, TASK, learning_rate=0.0, steps=[1]), "learning_rate"),
        (lambda: gradient_descent(WEIGHTS, TASK, learning_rate=0.1, steps=[]), "steps"),
        (lambda: gradient_descent(WEIGHTS, TASK, learning_rate=0.1, steps=[3, 1]), "steps"),
        (lambda: gradient_descent(WEIGHTS, TASK, learning_rate=0.1, steps=[-1]), "steps"),
        (lambda: gradient_descent(WEIGHTS[:1], TASK, learning_rate=0.1, steps=[1]), "weights"),
        (lambda: descend_at_times(WEIGHTS, TASK, learning_rates=[0.3], times=[1.0]), "times"),
        (lambda: steps_to_fraction(WEIGHTS, TASK, learning_rate=0.1, fraction=1.0, max_steps=5), "fraction"),
        (lambda: steps_to_fraction(WEIGHTS, TASK, learning_rate=0.1, fraction=0.5, max_steps=0), "max_steps"),
        (lambda: fewest_steps(WEIGHTS, TASK, learning_rates=[], fraction=0.5, max_steps=5), "learning_rates"),
        (lambda: fewest_steps(WEIGHTS, TASK, learning_rates=[-1.0], fraction=0.5, max_steps=5), "learning_rates"),
        (lambda: pretrain_layers(WEIGHTS, learning_rate=0.1, n_steps=1, sigma_xx=np.eye(4)), "sigma_xx"),
        (lambda: pretrain_layers(WEIGHTS, learning_rate=0.1, n_steps=-1, sigma_xx=np.eye(5)), "n_steps"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()
