import numpy as np
import pytest

from simulations import generalization as sim


def test_a_fair_coin_and_a_sure_bet():
    # after heads the posterior of the second coin is 3/4 times as large as its share of 1/2 makes it
    found = sim.predict_every_sequence([0.5], [[0.5, 0.75]], [[0.5, 0.5]], 2)
    first = -0.5 * np.log(0.625 * 0.375 * 4)
    heads, tails = (0.25 + 0.75**2 / 1) / (0.5 + 0.75), (0.25 + 0.25 * 0.75) / (0.5 + 0.25)
    second = -0.25 * np.log(heads * (1 - heads) * tails * (1 - tails) * 16)
    np.testing.assert_allclose(found.regret, [[first, second]], rtol=1e-13)
    np.testing.assert_allclose(found.divergence, [[0, -np.log(0.75)]], rtol=1e-13)


def test_knowing_the_truth_costs_nothing():
    found = sim.predict_every_sequence([0.2, 0.9], [[0.2], [0.9]], [[1.0], [1.0]], 6)
    np.testing.assert_allclose(found.regret, 0, atol=1e-15)
    np.testing.assert_allclose(found.divergence, 0, atol=1e-15)


def test_merging_equal_posteriors_changes_nothing():
    rng = np.random.default_rng(3)
    problem = rng.uniform(0.01, 0.99, 4), rng.uniform(0.001, 0.999, (4, 9)), rng.dirichlet(np.full(9, 0.3), 4)
    listed = sim.predict_every_sequence(*problem, 9).regret
    np.testing.assert_allclose(sim.predict_merged_sequences(*problem, 9), listed, atol=1e-13)


def test_quadrature_points_of_a_flat_prior_obey_the_rule_of_succession():
    coins, weights = sim.beta_coins(1.0, 1.0, 7)
    posterior = weights * coins**4 * (1 - coins) ** 2
    assert posterior @ coins / posterior.sum() == pytest.approx(5 / 8, rel=1e-13)


def test_one_gaussian_observation():
    # N(1, 1) against N(0, 1 + 3)
    assert sim.gaussian_mixture_divergence(1.0, 3.0, 1) == pytest.approx(0.5 * (np.log(4) + 2 / 4 - 1))


def test_a_prior_far_from_the_truth_is_integrated():
    expected = 0.5 * (np.log1p(0.01) + 25 / 1.01)
    assert sim.gaussian_tilted_weight(5.0, 0.01, 1) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sim.predict_every_sequence([0.0], [[0.5]], [[1.0]], 3), "truths"),
        (lambda: sim.predict_every_sequence([0.5], [[1.0]], [[1.0]], 3), "coins"),
        (lambda: sim.predict_every_sequence([0.5], [[0.5]], [[0.9]], 3), "weights must sum"),
        (lambda: sim.predict_every_sequence([0.5], [[0.5]], [[1.0]], 40), "n must"),
        (lambda: sim.predict_merged_sequences([0.5, 0.5], [[0.5]], [[1.0]], 3), "weights must have"),
        (lambda: sim.predict_merged_sequences([0.5], [[0.5]], [[1.0]], 0), "n must"),
        (lambda: sim.beta_coins(0.0, 1.0, 3), "a must"),
        (lambda: sim.gaussian_mixture_divergence(0.0, -1.0, 3), "prior_var"),
        (lambda: sim.gaussian_tilted_weight(np.nan, 1.0, 3), "mean"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
