import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.deep_linear import (
    balanced_outlier_flow,
    balanced_sharpness,
    converged_sharpness,
    critical_outlier_rate,
    group_losses,
    group_outlier_gradients,
    minimum_sharpness,
    outlier_sharpness,
    population_loss,
    scalar_descent,
)

seeds = st.integers(0, 2**32 - 1)
powers = st.floats(0.0, 50.0)


def network(seed, hidden=3, dim=2):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(hidden), rng.standard_normal((hidden, dim + 1)), rng.standard_normal(dim)


def expected_loss(v, w, beta, magnitude, probability, gamma):
    """Average over the outlier by its definition, over z by Gauss-Hermite nodes in each direction."""
    nodes, shares = np.polynomial.hermite_e.hermegauss(3)
    shares = shares / shares.sum()
    total = 0.0
    for o, chance in ((magnitude, probability / 2), (-magnitude, probability / 2), (0.0, 1 - probability)):
        for i, first in enumerate(nodes):
            for k, second in enumerate(nodes):
                x = np.array([first, second, o])
                error = v @ (w @ x) - beta @ x[:-1] - gamma * abs(o)
                total += 0.5 * chance * shares[i] * shares[k] * error**2
    return total


def hessian(v, w, beta, power):
    """Differentiate the loss twice by central differences, exact up to rounding for a polynomial of degree four."""
    hidden, inputs = w.shape

    def loss(flat):
        return population_loss(flat[-hidden:], flat[:-hidden].reshape(hidden, inputs), beta=beta, outlier_power=power)

    flat, h = np.append(w, v), 1e-3
    steps = h * np.eye(flat.size)
    return np.array(
        [
            [
                (loss(flat + a + b) - loss(flat + a - b) - loss(flat - a + b) + loss(flat - a - b)) / (4 * h * h)
                for a in steps
            ]
            for b in steps
        ]
    )


@given(seed=seeds, magnitude=st.floats(0.1, 10), probability=st.floats(0.01, 1), gamma=st.floats(-2, 2))
def test_losses_are_averages_over_the_examples(seed, magnitude, probability, gamma):
    v, w, beta = network(seed)
    power = probability * magnitude**2
    loss = population_loss(v, w, beta=beta, outlier_power=power, gamma=gamma)
    assert loss == pytest.approx(expected_loss(v, w, beta, magnitude, probability, gamma), rel=1e-11)
    groups = group_losses(v, w, beta=beta, magnitude=magnitude, gamma=gamma)
    mixed = probability / 2 * (groups.positive + groups.negative) + (1 - probability) * groups.absent
    assert mixed == pytest.approx(loss, rel=1e-11)


@given(seed=seeds, magnitude=st.floats(0.1, 10), gamma=st.floats(0.1, 2))
def test_turning_the_outlier_round_exchanges_the_groups(seed, magnitude, gamma):
    v, w, beta = network(seed)
    turned = w * [1.0, 1.0, -1.0]
    there, back = (group_losses(v, x, beta=beta, magnitude=magnitude, gamma=gamma) for x in (w, turned))
    assert there == pytest.approx((back.negative, back.positive, back.absent), rel=1e-12)


@given(seed=seeds, magnitude=st.floats(0.1, 10), gamma=st.floats(0.1, 2))
def test_gradients_of_the_groups_are_slopes_and_oppose_each_other(seed, magnitude, gamma):
    v, w, beta = network(seed)
    model = {"beta": beta, "magnitude": magnitude, "gamma": gamma}
    found = group_outlier_gradients(v, w, **model)
    for unit in range(3):
        step = np.zeros_like(w)
        step[unit, -1] = 1e-3
        up, down = group_losses(v, w + step, **model), group_losses(v, w - step, **model)
        for k in range(2):
            assert (up[k] - down[k]) / 2e-3 == pytest.approx(found[k][unit], rel=1e-6, abs=1e-8)
    assert bool(found[0] @ found[1] < 0) == bool(abs(w[:, -1] @ v) < gamma)


@given(seed=seeds, power=powers)
def test_sharpness_at_a_minimum_is_that_of_the_hessian(seed, power):
    v, w, beta = network(seed)
    w = w + np.outer(v, np.append(beta, 0.0) - w.T @ v) / (v @ v)
    top = np.linalg.eigvalsh(hessian(v, w, beta, power))[-1]
    assert minimum_sharpness(v, w, outlier_power=power) == pytest.approx(top, rel=1e-5, abs=1e-6)
    assert minimum_sharpness(v, w, outlier_power=power) >= outlier_sharpness(v, outlier_power=power) * (1 - 1e-12)


@given(seed=seeds, power=powers)
def test_without_an_outlier_weight_its_curvature_is_an_eigenvalue(seed, power):
    v, w, beta = network(seed)
    w[:, -1] = 0.0
    block = np.zeros_like(w)
    block[:, -1] = v
    direction = np.append(block, np.zeros_like(v))
    image = hessian(v, w, beta, power) @ direction
    np.testing.assert_allclose(image, outlier_sharpness(v, outlier_power=power) * direction, atol=1e-5 * (1 + power))


@given(seed=seeds, power=powers, strength=st.floats(0.05, 2))
def test_sharpness_of_balanced_weights_is_that_of_the_hessian(seed, power, strength):
    v, w, beta = network(seed)
    direction = w[0] / np.linalg.norm(w[0])
    v = v * np.sqrt(strength) / np.linalg.norm(v)
    layer = np.outer(v, direction)
    top = np.linalg.eigvalsh(hessian(v, layer, beta, power))[-1]
    found = balanced_sharpness(layer.T @ v, beta=beta, outlier_power=power)
    assert float(found) == pytest.approx(top, rel=1e-5, abs=1e-5)


@given(power=powers, length=st.floats(0.1, 3), angle=st.floats(0, 6.28))
def test_the_end_of_the_flow_has_the_sharpness_of_its_minimum(power, length, angle):
    beta = length * np.array([np.cos(angle), np.sin(angle)])
    end = converged_sharpness(beta, outlier_power=power)
    assert float(balanced_sharpness(np.append(beta, 0), beta=beta, outlier_power=power)) == pytest.approx(end)
    v = np.array([np.sqrt(length)])
    assert minimum_sharpness(v, [np.append(beta, 0) / v[0]], outlier_power=power) == pytest.approx(end)
    if power > 2:
        assert critical_outlier_rate(beta, outlier_power=power) == pytest.approx(2 / end)


def test_flow_against_high_precision():
    beta, power, start = [0.8, -0.5], 6.0, [0.1, 0.05, 0.15]

    def velocity(_, w):
        goal = [*beta, 0]
        slope = [s * (x - g) for s, x, g in zip((1, 1, power), w, goal, strict=True)]
        length = mpmath.sqrt(sum(x**2 for x in w))
        along = sum(x * s for x, s in zip(w, slope, strict=True)) / length
        return [-(length * s + along * x) for s, x in zip(slope, w, strict=True)]

    times = [0.3, 1.1]
    found = balanced_outlier_flow([0.0, *times], w0=start, beta=beta, outlier_power=power)
    np.testing.assert_array_equal(found[0], start)
    with mpmath.workdps(20):
        exact = mpmath.odefun(velocity, 0, start, tol=mpmath.mpf(10) ** -14)
        for row, t in zip(found[1:], times, strict=True):
            np.testing.assert_allclose(row, [float(x) for x in exact(t)], rtol=1e-10)


@given(seed=seeds, power=st.floats(0, 10))
def test_the_flow_descends_the_loss_and_waits_additively(seed, power):
    _, _, beta = network(seed)
    start = 0.3 * np.random.default_rng(seed).standard_normal(3)
    t = np.array([0.2, 0.5, 0.9])
    path = balanced_outlier_flow(t, w0=start, beta=beta, outlier_power=power)
    losses = np.sum((path[:, :-1] - beta) ** 2, axis=1) + power * path[:, -1] ** 2
    assert np.all(np.diff(losses) <= 1e-12)
    later = balanced_outlier_flow([0.4], w0=path[1], beta=beta, outlier_power=power)[0]
    np.testing.assert_allclose(later, path[2], rtol=1e-8, atol=1e-10)
    opposite = balanced_outlier_flow(t, w0=start * [1, 1, -1], beta=beta, outlier_power=power)
    np.testing.assert_allclose(opposite, path * [1, 1, -1], rtol=1e-8, atol=1e-10)


def test_scalar_descent_follows_the_gradient_of_the_loss():
    v, a, b, beta, power, rate, h = 0.9, 0.8, 0.2, 1.1, 7.0, 0.05, 1e-5
    path = scalar_descent(v0=v, a0=a, b0=b, beta=beta, outlier_power=power, learning_rate=rate, n_steps=1)

    def loss(v, a, b):
        return population_loss([v], [[a, b]], beta=[beta], outlier_power=power)

    point = np.array([v, a, b])
    slopes = [(loss(*(point + h * e)) - loss(*(point - h * e))) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose([path.v[1], path.a[1], path.b[1]], point - rate * np.array(slopes), rtol=1e-9)


@given(power=st.floats(3, 40), beta=st.floats(0.5, 1.5), ratio=st.floats(0.1, 0.95), b0=st.floats(1e-6, 1e-3))
def test_below_the_critical_step_the_outlier_weight_never_grows(power, beta, ratio, b0):
    rate = ratio * critical_outlier_rate([beta], outlier_power=power)
    path = scalar_descent(v0=0.1, a0=0.1, b0=b0, beta=beta, outlier_power=power, learning_rate=rate, n_steps=100)
    assert np.all(np.abs(path.b) <= b0 * (1 + 1e-12))


def test_beyond_the_critical_step_the_run_stabilises_itself():
    path = scalar_descent(v0=0.1, a0=0.1, b0=1e-3, beta=1.0, outlier_power=20.0, learning_rate=0.11, n_steps=4000)
    assert 20 * path.v.max() ** 2 > 19.9
    assert np.abs(path.b).max() > 0.05
    assert 20 * path.v[-1] ** 2 == pytest.approx(17.46, abs=0.01)
    assert abs(path.b[-1]) < 1e-30


def test_divergence_is_said():
    with pytest.raises(OverflowError, match="diverged within 200 steps of size 5"), np.errstate(all="ignore"):
        scalar_descent(v0=1.0, a0=1.0, b0=1.0, beta=1.0, outlier_power=20.0, learning_rate=5.0, n_steps=200)


EYE = {"v": [1.0, 1.0], "w": np.ones((2, 3))}


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: population_loss([1.0], np.ones((2, 3)), beta=[1.0, 1.0], outlier_power=1.0), "w must have one row"),
        (lambda: population_loss(**EYE, beta=[1.0], outlier_power=1.0), "beta must have 2 entries"),
        (lambda: population_loss(**EYE, beta=[1.0, 1.0], outlier_power=-1.0), "outlier_power must be nonnegative"),
        (lambda: population_loss(**EYE, beta=[1.0, 1.0], outlier_power=1.0, gamma=np.inf), "gamma must be finite"),
        (lambda: group_losses(**EYE, beta=[1.0, 1.0], magnitude=0.0), "magnitude must be positive"),
        (lambda: minimum_sharpness([1.0], [[1.0]], outlier_power=1.0), "two columns or more"),
        (lambda: outlier_sharpness([[1.0]], outlier_power=1.0), "v must have 1 dimension"),
        (lambda: converged_sharpness([0.0], outlier_power=1.0), "beta must have a nonzero entry"),
        (lambda: critical_outlier_rate([1.0], outlier_power=0.0), "outlier_power must be positive"),
        (lambda: balanced_sharpness([1.0, 0.0], beta=[1.0, 1.0], outlier_power=1.0), "w must have 3 entries"),
        (lambda: balanced_sharpness([0.0, 0.0], beta=[1.0], outlier_power=1.0), "w must not vanish"),
        (
            lambda: balanced_outlier_flow([0.0, 0.0], w0=[1.0, 1.0], beta=[1.0], outlier_power=1.0),
            "t must hold at least one time, and increase",
        ),
        (lambda: balanced_outlier_flow([1.0], w0=[0.0, 0.0], beta=[1.0], outlier_power=1.0), "w0 must be a nonzero"),
        (
            lambda: scalar_descent(v0=1.0, a0=1.0, b0=1.0, beta=1.0, outlier_power=1.0, learning_rate=0.0, n_steps=3),
            "learning_rate must be positive",
        ),
        (
            lambda: scalar_descent(v0=1.0, a0=1.0, b0=1.0, beta=1.0, outlier_power=1.0, learning_rate=0.1, n_steps=-1),
            "n_steps must be at least 0",
        ),
    ],
)
def test_bad_input_is_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
