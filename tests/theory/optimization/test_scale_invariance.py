import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from theory.optimization import effective_step, momentum_growth_ratio, momentum_norm_growth

seeds = st.integers(0, 10**6)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, momentum=st.floats(0, 0.99), learning_rate=st.floats(1e-3, 1))
def test_norm_growth_is_that_of_momentum_on_a_rayleigh_quotient(seed, momentum, learning_rate):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(4, 4))
    A = A + A.T
    w, p = rng.normal(size=4), np.zeros(4)
    norms, updates = [w @ w], []
    for _ in range(50):
        p = momentum * p + 2 * (A @ w - w * (w @ A @ w) / (w @ w)) / (w @ w)
        w = w - learning_rate * p
        norms.append(w @ w)
        updates.append(p @ p)
    growth = momentum_norm_growth(updates, learning_rate=learning_rate, momentum=momentum)
    np.testing.assert_allclose(growth, np.array(norms) - norms[0], atol=1e-11 * max(norms))


def test_without_momentum_growth_is_the_sum_of_squares():
    updates = np.random.default_rng(0).random(20)
    growth = momentum_norm_growth(updates, learning_rate=0.5, momentum=0.0)
    np.testing.assert_allclose(growth, 0.25 * np.concatenate([[0], np.cumsum(updates)]), rtol=1e-14)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, n=st.integers(0, 12), momentum=st.floats(0, 0.999))
def test_norm_growth_is_the_double_sum(seed, n, momentum):
    p2 = np.random.default_rng(seed).random(n)
    growth = [0.0]
    for t in range(n):
        growth.append(growth[-1] + p2[t] + 2 * sum(momentum ** (t - k) * p2[k] for k in range(t)))
    np.testing.assert_allclose(momentum_norm_growth(p2, learning_rate=1.0, momentum=momentum), growth, rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 0.99])
def test_growth_ratios_are_the_long_run_of_the_growth(momentum):
    steps = 10**6
    growth = momentum_norm_growth(np.ones(steps), learning_rate=1.0, momentum=momentum)[-1] / steps
    assert growth == pytest.approx(momentum_growth_ratio(momentum), rel=1e-3)
    # independent gradients of unit norm: updates have mean square (1 - beta^2t) / (1 - beta^2)
    updates = (1 - momentum ** (2 * np.arange(1.0, steps + 1))) / (1 - momentum**2)
    growth = momentum_norm_growth(updates, learning_rate=1.0, momentum=momentum)[-1] / steps
    assert growth == pytest.approx(momentum_growth_ratio(momentum, equal="gradients"), rel=1e-3)


@settings(max_examples=50, deadline=None)
@given(seed=seeds, learning_rate=st.floats(1e-4, 1))
def test_effective_step_leads_where_the_step_leads(seed, learning_rate):
    rng = np.random.default_rng(seed)
    w, p = rng.normal(size=(2, 5))
    assume(1 - learning_rate * (w @ p) / (w @ w) > 1e-3)
    step = effective_step(w, p, learning_rate=learning_rate)
    direct = w - learning_rate * p
    np.testing.assert_allclose(step.direction, direct / np.linalg.norm(direct), atol=1e-9)
    tangent = p - w * (w @ p) / (w @ w)
    moved = w - step.learning_rate * tangent
    np.testing.assert_allclose(step.direction, moved / np.linalg.norm(moved), atol=1e-9)


def test_tangent_updates_keep_their_learning_rate():
    step = effective_step([2.0, 0.0], [0.0, 1.0], learning_rate=0.1)
    assert step.learning_rate == 0.1
    np.testing.assert_allclose(step.direction, np.array([2.0, -0.1]) / np.hypot(2, 0.1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: momentum_norm_growth([-1.0], learning_rate=1.0, momentum=0.0), "update_norms_squared must be nonneg"),
        (lambda: momentum_norm_growth([1.0], learning_rate=0.0, momentum=0.0), "learning_rate must be positive"),
        (lambda: momentum_norm_growth([1.0], learning_rate=1.0, momentum=1.0), r"momentum must be in \[0, 1\)"),
        (lambda: momentum_growth_ratio(-0.1), r"momentum must be in \[0, 1\)"),
        (lambda: momentum_growth_ratio(0.5, equal="norms"), "equal must be 'updates' or 'gradients'"),
        (lambda: effective_step([0.0], [1.0], learning_rate=1.0), "weights must not be zero"),
        (lambda: effective_step([1.0], [1.0, 2.0], learning_rate=1.0), "update must have the shape of weights"),
        (lambda: effective_step([1.0], [1.0], learning_rate=2.0), "short of the origin"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
