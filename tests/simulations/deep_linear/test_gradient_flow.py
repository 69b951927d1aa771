import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear.gradient_descent import descend_at_times
from simulations.deep_linear.gradient_flow import crossing_times, gradient_flow
from simulations.deep_linear.initial_conditions import gaussian, orthogonal
from simulations.deep_linear.networks import Task, product, stack_layers
from simulations.deep_linear.readouts import conserved_vector

KEY = jax.random.key(11)
CROSS = np.random.default_rng(1).normal(size=(3, 5))
TASK = Task.from_moments(CROSS)
WEIGHTS = gaussian(KEY, [5, 4, 3], std=0.4)


def only_entry(weights):
    return product(weights)[0]


def first_row(weights):
    return product(weights)[0, :2]


def test_depth_one_relaxes_exponentially():
    rates = np.array([0.2, 1.0, 3.0, 40.0, 1e-3])
    task = Task.from_moments(CROSS, np.diag(rates))
    start = gaussian(KEY, [5, 3], std=1.0)
    times = np.array([0.0, 0.1, 1.0, 7.0])
    got = gradient_flow(start, task, times=times, tau=2.0)[0]
    best = CROSS / rates
    expected = best + (np.asarray(start[0]) - best) * np.exp(-rates * times[:, None, None] / 2)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_flow_is_the_limit_of_descent():
    times = [0.5, 1.5]
    runs = np.asarray(descend_at_times(WEIGHTS, TASK, learning_rates=[2e-3, 1e-3], times=times, observe=product))
    flow = np.asarray(gradient_flow(WEIGHTS, TASK, times=times, observe=product))
    np.testing.assert_allclose(2 * runs[1] - runs[0], flow, atol=1e-5)
    assert np.abs(runs[1] - flow).max() > 1e-4


@pytest.mark.parametrize("covariance", [None, np.diag([2.0, 0.3, 1.0, 0.7, 0.1])])
def test_flow_conserves_the_imbalance_of_neighbouring_layers(covariance):
    start = gaussian(KEY, [5, 4, 6, 3], std=0.6)
    task = Task.from_moments(CROSS, covariance)
    trace = gradient_flow(start, task, times=[0.7, 4.0], observe=conserved_vector)
    initial = conserved_vector(start)
    assert initial.shape == (16 + 36,)
    np.testing.assert_allclose(trace, np.broadcast_to(initial, trace.shape), atol=1e-10)


def test_deep_stacks_flow_like_their_layers():
    layers = orthogonal(KEY, [3] * 6)
    task = Task.from_moments(CROSS[:, :3] / 3)
    times = [0.05, 0.2]
    flat = gradient_flow(layers, task, times=times, observe=product)
    deep = gradient_flow(stack_layers(layers), task, times=times, observe=product)
    np.testing.assert_allclose(flat, deep, atol=1e-10)


def test_crossing_times_of_exponential_relaxation():
    task = Task.from_moments([[1.0, -2.0]], np.diag([1.0, 4.0]))
    start = (jnp.array([[3.0, 0.0]]),)
    best, rates = np.array([1.0, -0.5]), np.array([1.0, 4.0])
    levels = np.array([1.5, -0.4])
    expected = np.log((np.array([3.0, 0.0]) - best) / (levels - best)) / rates
    for tau in (1.0, 5.0):
        got = crossing_times(start, task, observe=first_row, levels=levels, max_time=100.0, tau=tau)
        assert got.reached.tolist() == [True, True]
        np.testing.assert_allclose(got.times, tau * expected, rtol=1e-11)


def test_crossings_that_never_happen_or_have_happened():
    task = Task.from_moments([[1.0, 1.0]])
    start = (jnp.array([[0.0, 0.25]]),)
    got = crossing_times(start, task, observe=first_row, levels=[1.5, 0.25], max_time=3.0)
    assert got.times.tolist() == [np.inf, 0.0]
    assert got.reached.tolist() == [False, True]


def test_crossing_time_of_a_deep_scalar_chain():
    # d u/dt = D u^{2-2/D} (s-u) for equal layers: the time is an integral, taken here by Gauss-Legendre.
    depth, s, u0, u1 = 200, 1.7, 1.0, 1.6
    start = (jnp.ones((depth, 1, 1)),)
    got = crossing_times(start, Task.from_moments([[s]]), observe=only_entry, levels=[u1], max_time=1.0)
    nodes, quadrature = np.polynomial.legendre.leggauss(60)
    u = u0 + (u1 - u0) * (nodes + 1) / 2
    expected = (quadrature / (u ** (2 - 2 / depth) * (s - u))).sum() * (u1 - u0) / 2 / depth
    np.testing.assert_allclose(got.times[0], expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"times": []}, "times"),
        ({"times": [1.0, 1.0]}, "times"),
        ({"times": [-1.0]}, "times"),
        ({"times": [1.0], "tau": 0.0}, "tau"),
        ({"times": [1.0], "rtol": -1e-3}, "rtol"),
        ({"times": [1.0], "atol": np.nan}, "atol"),
        ({"times": [1.0], "max_steps": 0}, "max_steps"),
    ],
)
def test_bad_input_names_the_argument(change, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        gradient_flow(WEIGHTS, TASK, **change)


def test_bad_crossings():
    with pytest.raises(ValueError, match=r"^observe\b"):
        crossing_times(WEIGHTS, TASK, observe=first_row, levels=[1.0], max_time=1.0)
    with pytest.raises(ValueError, match=r"^max_time\b"):
        crossing_times(WEIGHTS, TASK, observe=first_row, levels=[1.0, 2.0], max_time=0.0)
    with pytest.raises(ValueError, match=r"^weights\b"):
        gradient_flow(WEIGHTS[1:], TASK, times=[1.0])


def test_too_few_steps_is_an_error():
    with pytest.raises(RuntimeError, match="max_steps"):
        gradient_flow(WEIGHTS, TASK, times=[5.0], max_steps=3)
