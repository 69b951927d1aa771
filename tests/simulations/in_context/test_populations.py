from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.in_context import rational_prompts
from simulations.in_context.linear_layer import AVERAGED, SUMMED, LinearLayer, random_linear_layer
from simulations.in_context.populations import (
    enumerated_prompts,
    gauss_rule,
    gaussian_moments,
    mixture,
    random_covariance_moments,
    sampled_prompts,
)
from simulations.in_context.responses import KINDS, Units, enumerated_population, label_statistics, sampled_population

COV_X, COV_W = np.array([[1.3, 0.4], [0.4, 0.7]]), np.array([[0.8, -0.3], [-0.3, 1.1]])


@pytest.mark.parametrize("attention", [SUMMED, AVERAGED])
@pytest.mark.parametrize("noise_var", [0.0, 0.4])
@pytest.mark.parametrize("n", [1, 2])
def test_moments_reproduce_the_complete_layer_on_all_nodes(attention, noise_var, n):
    if noise_var and n == 2:
        n = 1  # 2e5 nodes add nothing
    setting = {"n": n, "cov_x": COV_X, "cov_w": COV_W, "noise_var": noise_var, "attention": attention}
    layer = random_linear_layer(jax.random.key(0), 2, rows=3)
    complete, moments = enumerated_prompts(**setting), gaussian_moments(**setting)
    assert float(complete.weight.sum()) == pytest.approx(1, rel=1e-12)
    assert float(moments.squared_error(layer)) == pytest.approx(float(complete.squared_error(layer)), rel=1e-12)


@pytest.mark.parametrize("attention", [SUMMED, AVERAGED])
def test_wick_agrees_with_quadrature(attention):
    rng = np.random.default_rng(1)
    root = [[Fraction(1), Fraction(0)], [Fraction(1, 2), Fraction(3, 4)]]
    weights = [[Fraction(int(i), 7) for i in row] for row in rng.integers(-9, 9, (4, 3))]
    prompt = rational_prompts.gaussian_prompt(n=2, dim=2, root=root, noise_var=Fraction(1, 3))
    exact = rational_prompts.squared_error(weights[0], weights[1:], prompt, attention)
    cov = np.array(root, dtype=float) @ np.array(root, dtype=float).T
    moments = gaussian_moments(n=2, cov_x=cov, cov_w=np.eye(2), noise_var=1 / 3, attention=attention)
    layer = LinearLayer(jnp.array([weights[0]], dtype=float), jnp.array(weights[1:], dtype=float))
    assert float(moments.squared_error(layer)) == pytest.approx(float(exact), rel=1e-12)


def test_wick_counts_pairings():
    prompt = rational_prompts.gaussian_prompt(n=1, dim=1, noise_var=2)
    assert rational_prompts.mean(prompt.x[0][0] ** 6, prompt.variances) == 15
    assert rational_prompts.mean(prompt.noise[0] ** 4, prompt.variances) == 12
    assert rational_prompts.mean(prompt.w[0] ** 3, prompt.variances) == 0


@pytest.mark.parametrize("attention", [SUMMED, AVERAGED])
def test_samples_come_from_the_population(attention):
    setting = {"n": 5, "cov_x": COV_X, "cov_w": COV_W, "noise_var": 0.4, "attention": attention}
    layer = random_linear_layer(jax.random.key(2), 2, scale=0.3)
    prompts = sampled_prompts(jax.random.key(3), 200_000, **setting)
    errors = np.asarray((prompts.answers(layer) - prompts.target) ** 2)
    exact = float(gaussian_moments(**setting).squared_error(layer))
    assert abs(errors.mean() - exact) < 6 * errors.std() / np.sqrt(errors.size)
    assert float(prompts.squared_error(layer)) == pytest.approx(errors.mean())


def test_long_prompts_approach_infinite_ones():
    layer = random_linear_layer(jax.random.key(4), 2)
    errors = [
        float(gaussian_moments(n=n, cov_x=COV_X, cov_w=COV_W, attention=AVERAGED).squared_error(layer))
        for n in (10**4, 10**6, np.inf)
    ]
    assert errors[0] == pytest.approx(errors[2], rel=1e-2)
    assert errors[1] == pytest.approx(errors[2], rel=1e-4)


def test_one_task_is_a_population_and_tasks_average_to_one():
    layer = random_linear_layer(jax.random.key(5), 2)
    nodes, weights = gauss_rule(2, 3)
    tasks = nodes @ np.linalg.cholesky(COV_W).T
    parts = [gaussian_moments(n=4, cov_x=COV_X, task=w, noise_var=0.2, attention=AVERAGED) for w in tasks]
    whole = gaussian_moments(n=4, cov_x=COV_X, cov_w=COV_W, noise_var=0.2, attention=AVERAGED)
    assert float(mixture(parts, weights).squared_error(layer)) == pytest.approx(float(whole.squared_error(layer)))


def test_a_constant_covariance_is_a_random_one():
    layer = random_linear_layer(jax.random.key(6), 2)
    random = random_covariance_moments(n=3, dim=2, nodes=[0.7, 0.7], weights=[0.4, 0.6])
    fixed = gaussian_moments(n=3, cov_x=0.7 * np.eye(2), cov_w=np.eye(2), attention=AVERAGED)
    assert float(random.squared_error(layer)) == pytest.approx(float(fixed.squared_error(layer)), rel=1e-12)


def test_the_zero_layer_errs_by_the_labels():
    layer = LinearLayer(jnp.zeros((1, 3)), jnp.zeros((3, 3)))
    moments = gaussian_moments(n=3, cov_x=COV_X, cov_w=COV_W, noise_var=0.5, attention=SUMMED)
    assert float(moments.squared_error(layer)) == pytest.approx(np.trace(COV_X @ COV_W) + 0.5)


def test_gauss_rule_is_exact_for_fifth_powers():
    nodes, weights = gauss_rule(2, 3)
    assert weights.sum() == pytest.approx(1)
    assert weights @ nodes[:, 0] ** 4 == pytest.approx(3)
    assert weights @ (nodes[:, 0] ** 2 * nodes[:, 1] ** 2) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["unit_relu_network", "cubic", "sign", "erf"])
def test_enumerated_functions_match_sampled_ones(kind):
    n, s2 = 3, 0.4
    layer = random_linear_layer(jax.random.key(7), 2, scale=0.2)
    exact = float(enumerated_population(kind, n=n, noise_var=s2).squared_error(layer))
    found = [
        float(sampled_population(key, kind, 2, n, 1, jnp.array(s2), 4096, 4).squared_error(layer))
        for key in jax.random.split(jax.random.key(8), 24)
    ]
    assert abs(np.mean(found) - exact) < 6 * np.std(found, ddof=1) / np.sqrt(len(found))


def test_sign_labels_have_the_error_worked_out_by_hand():
    layer = LinearLayer(jnp.eye(3)[2:], 0.1 * jnp.eye(3))
    exact = enumerated_population("sign", n=1, noise_var=0.0)
    # E (y_q - 0.1 x_q.x y)^2 = 1 - 0.2 E[x_q.x y y_q] + 0.01 E[||x||^2], E[x y].E[x_q y_q] = 2 / pi
    assert float(exact.squared_error(layer)) == pytest.approx(1 - 0.2 * 2 / np.pi + 0.01 * 2, rel=1e-12)


def test_label_statistics_of_a_linear_function():
    found = label_statistics(jax.random.key(9), KINDS, 2, 3, jnp.array(0.0), 20_000, 4)
    assert found.shape == (len(KINDS), 3)
    np.testing.assert_allclose(found[0], [2, 8, 2], rtol=0.1)


def test_units_evaluate_as_written():
    f = Units(jnp.array([1.0, -2.0]), jnp.array([[1.0, 0.0], [0.0, 1.0]]), "relu_network")
    np.testing.assert_allclose(f(jnp.array([[3.0, 1.0], [-3.0, 2.0]])), [1.0, -4.0])


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="exactly one of cov_w and task"):
        gaussian_moments(n=2, cov_x=COV_X, attention=AVERAGED)
    with pytest.raises(ValueError, match="n must be finite"):
        gaussian_moments(n=np.inf, cov_x=COV_X, cov_w=COV_W, attention=SUMMED)
    with pytest.raises(ValueError, match="kind must be one of"):
        enumerated_population("linear", n=2, noise_var=0.0)
    with pytest.raises(ValueError, match="n must be at least 1"):
        enumerated_prompts(n=0, cov_x=COV_X, cov_w=COV_W)
