import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.in_context import layer_training
from simulations.in_context.linear_layer import (
    AVERAGED,
    SUMMED,
    LinearLayer,
    answer,
    random_linear_layer,
    random_starts,
    two_block_layer,
)
from simulations.in_context.populations import gaussian_moments
from simulations.in_context.prompt_risks import layer_risk, ridge_risk
from simulations.replicates import over_replicates


@pytest.fixture(scope="module")
def prompts():
    return gaussian_moments(n=4, cov_x=np.array([[1.2, 0.3], [0.3, 0.8]]), cov_w=np.eye(2), attention=AVERAGED)


def test_a_layer_answers_as_the_formula_of_the_paper_says():
    rng = np.random.default_rng(0)
    x, y, query = rng.normal(size=(4, 2)), rng.normal(size=4), rng.normal(size=2)
    value, key_query = rng.normal(size=(2, 3, 3))
    e = np.vstack([np.column_stack([x.T, query]), np.append(y, 0.0)])
    f = e + value @ e @ (e.T @ key_query @ e) / 4
    found = answer(LinearLayer(jnp.asarray(value), jnp.asarray(key_query)), *map(jnp.asarray, (x, y, query)), AVERAGED)
    assert float(found) == pytest.approx(f[2, 4], rel=1e-12)
    examples = e[:, :4]
    plain = value[2] @ examples @ examples.T @ key_query @ e[:, 4]
    layer = LinearLayer(jnp.asarray(value[2:]), jnp.asarray(key_query))
    assert float(answer(layer, *map(jnp.asarray, (x, y, query)), SUMMED)) == pytest.approx(plain, rel=1e-12)


def test_flow_descends_to_a_stationary_point(prompts):
    start = two_block_layer(0.3 * jnp.eye(2), 0.4)
    path = layer_training.gradient_flow(start, prompts, times=[0.0, 0.1, 1.0, 300.0])
    assert np.all(np.diff(path.loss) < 0)
    assert float(path.slope[-1]) < 1e-18
    np.testing.assert_allclose(path.layer.key_query[0], start.key_query)
    end = LinearLayer(path.layer.value[-1], path.layer.key_query[-1])
    assert float(layer_training.half_error(end, prompts)) == pytest.approx(float(path.loss[-1]))
    assert float(layer_training.slope(end, prompts)) < 1e-9


def test_small_steps_of_descent_follow_the_flow(prompts):
    start = two_block_layer(0.3 * jnp.eye(2), 0.4)
    times = np.array([0.2, 0.8])
    flow = layer_training.gradient_flow(start, prompts, times=[0.2, 0.8, 1.0, 2.0]).layer.value[:2]
    steps = layer_training.gradient_descent(start, prompts, rates=[2e-3, 1e-3], times=times).value
    coarse, fine = np.abs(steps - flow[None]).max(axis=(1, 2, 3))
    assert fine < 1e-3
    assert coarse / fine == pytest.approx(2, rel=0.05)


def test_searches_agree_with_the_flow_and_respect_a_mask(prompts):
    starts = random_starts(jax.random.key(0), 12, 2, rows=3, scale=0.01)
    ends = layer_training.minimise(starts, prompts)
    best = layer_training.best(ends)
    path = layer_training.gradient_flow(two_block_layer(0.3 * jnp.eye(2), 0.4), prompts, times=[0.0, 0.1, 1.0, 300.0])
    assert float(best.error) / 2 == pytest.approx(float(path.loss[-1]), rel=1e-12)
    assert float(best.error) == pytest.approx(float(ends.error.min()))
    mask = LinearLayer(jnp.zeros((3, 3)).at[2, :2].set(1.0), jnp.zeros((3, 3)).at[2, :2].set(1.0))
    held = layer_training.best(layer_training.minimise(starts, prompts, mask=mask)).layer
    assert np.all(np.asarray(held.value)[np.asarray(mask.value) == 0] == 0)
    assert np.all(np.asarray(held.key_query)[np.asarray(mask.key_query) == 0] == 0)
    assert float(prompts.squared_error(held)) > float(best.error)


def test_derivatives_are_those_of_the_error(prompts):
    layer = random_linear_layer(jax.random.key(1), 2, rows=3)
    move = random_linear_layer(jax.random.key(2), 2, rows=3)
    h = 1e-4

    def at(step):
        return float(layer_training.half_error(jax.tree.map(lambda w, v: w + step * v, layer, move), prompts))

    second = float(layer_training.curvature_along(layer, move, prompts))
    assert second == pytest.approx((at(h) - 2 * at(0.0) + at(-h)) / h**2, rel=1e-4)
    hessian = layer_training.hessian(layer, prompts)
    flat = jnp.concatenate([move.value.ravel(), move.key_query.ravel()])
    assert float(flat @ hessian @ flat) / 2 == pytest.approx(second, rel=1e-9)


def test_balancing_changes_no_answer(prompts):
    layer = random_linear_layer(jax.random.key(3), 2, rows=3)
    even = layer_training.balanced(LinearLayer(5 * layer.value, layer.key_query))
    assert float(jnp.linalg.norm(even.value)) == pytest.approx(float(jnp.linalg.norm(even.key_query)))
    assert float(prompts.squared_error(even)) == pytest.approx(
        float(prompts.squared_error(LinearLayer(5 * layer.value, layer.key_query))), rel=1e-12
    )


def test_sampled_risk_is_the_exact_one():
    cov, w = np.array([[1.2, 0.3], [0.3, 0.8]]), np.array([1.0, -0.5])
    layer = two_block_layer(0.5 * jnp.eye(2), 0.8)
    exact = gaussian_moments(n=5, cov_x=cov, task=w, noise_var=0.3, cov_query=np.eye(2), attention=AVERAGED)
    roots = (jnp.asarray(np.linalg.cholesky(cov)), jnp.eye(2))
    keys = jax.random.split(jax.random.key(4), 64)
    found = over_replicates(layer_risk, keys, layer, roots, jnp.asarray(w), jnp.array(0.3), 5, 512, 2, AVERAGED)
    assert abs(found.mean() - float(exact.squared_error(layer))) < 6 * found.std(ddof=1) / 8


def test_rectified_labels_have_half_the_power():
    layer = two_block_layer(jnp.zeros((2, 2)), 0.0)
    roots, w = (jnp.eye(2), jnp.eye(2)), jnp.array([2.0, 0.0])
    keys = jax.random.split(jax.random.key(5), 64)
    setting = (layer, roots, w, jnp.array(0.0), 2, 512, 2, AVERAGED)
    relu = over_replicates(layer_risk, keys, *setting, "relu").mean()
    assert relu == pytest.approx(2, rel=0.05)


def test_ridge_without_a_prompt_knows_nothing_and_least_squares_without_noise_knows_all():
    key = jax.random.key(6)
    assert float(ridge_risk(key, jnp.array(0.0), jnp.array(1e12), 3, 2, 4000)) == pytest.approx(2, rel=0.2)
    assert float(ridge_risk(key, jnp.array(0.0), jnp.array(0.0), 6, 2, 500)) < 1e-20


def test_times_must_increase(prompts):
    with pytest.raises(ValueError, match="times must be increasing"):
        layer_training.gradient_flow(two_block_layer(jnp.eye(2), 1.0), prompts, times=[1.0, 0.5])
