"""The small models behind classical bounds, on cases whose answers are known."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations import generalization as sim


def test_coins_one_by_one_and_all_sequences_agree():
    for n, p, k in ((1, 0.3, 1), (5, 0.7, 2), (9, 0.05, 3)):
        exact = sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))
        assert sim.coin_sum_tail([n], [p], [k])[0] == pytest.approx(exact, rel=1e-13)
        assert sim.enumerate_coin_tail(n, p, k) == pytest.approx(exact, rel=1e-12)
        assert sim.mean_exponential_divergence([n], [p])[0] == pytest.approx(
            sim.enumerate_exponential_divergence(n, p), rel=1e-11
        )


def test_searches_for_biases_and_tilts():
    assert sim.largest_bias(0.0, 0.2) == pytest.approx(1 - math.exp(-0.2))
    assert sim.smallest_catoni(0.0, 0.2) == pytest.approx(1 - math.exp(-0.2), rel=1e-9)
    p, t = np.array([0.5]), np.array([0.25])
    assert sim.smallest_cumulant(p, t)[0] == pytest.approx(-(0.75 * math.log(1.5) + 0.25 * math.log(0.5)))


def test_suprema_over_balls_and_over_rows():
    vectors = jnp.array([[3.0, 4.0], [0.0, 0.0], [-1e-8, 0.0]])
    np.testing.assert_allclose(sim.largest_over_ball(vectors, 2.0), [10.0, 0.0, 2e-8], rtol=1e-12, atol=1e-300)
    assert sim.linear_complexity(jnp.eye(3), 1.0) == pytest.approx(math.sqrt(3) / 3)
    assert sim.finite_complexity(jnp.array([[1.0, 1.0], [-1.0, -1.0]])) == pytest.approx(0.5)


def test_labellings_are_counted():
    rng = np.random.default_rng(0)
    assert sim.count_dichotomies(rng.standard_normal((7, 3))) == 44
    assert sim.count_dichotomies(rng.standard_normal((4, 1))) == 2
    assert sim.count_dichotomies(rng.standard_normal((5, 2))) == 10
    assert len(sim.interval_labellings(5, 1)) == 16
    assert sim.shattered_dimension(sim.interval_labellings(5, 1)) == 2
    assert sim.shattered_dimension(np.array([[True, False]])) == 0


def coin_problem(p=0.3):
    """One hypothesis that errs on the second of two points."""
    return sim.FiniteProblem(jnp.array([1 - p, p]), jnp.array([[0.0, 1.0]]), jnp.array([1.0]), jnp.asarray(0.0))


def test_every_training_set_of_a_coin():
    sets = sim.every_training_set(coin_problem(), 4)
    assert sets.probability.sum() == pytest.approx(1)
    assert sets.probability @ sets.training_risk[:, 0] == pytest.approx(0.3)
    assert sets.risk[0] == pytest.approx(0.3)
    np.testing.assert_allclose(sets.complexity, 0, atol=1e-12)


def test_the_worst_level_of_a_single_coin():
    found = sim.worst_posterior(coin_problem(0.5), 1, criterion="two-sided")
    # kl is log 2 on both training sets, so that the excess is log 2 + log 1, which is log xi(1)
    assert found.excess == pytest.approx(math.log(2))
    assert found.delta == pytest.approx(1)
    low = sim.worst_posterior(coin_problem(0.3), 3, criterion="seeger", max_level=0.4)
    assert low.excess == pytest.approx(0, abs=1e-12)  # no error at all: 3 log(1/0.7) + log 0.7^3
    assert low.delta == pytest.approx(0.7**3)


def test_risks_next_to_one_keep_their_complement():
    tiny = 1e-20
    problem = sim.FiniteProblem(jnp.array([tiny, 1.0]), jnp.array([[0.0, 1.0]]), jnp.array([1.0]), jnp.asarray(0.0))
    found = sim.worst_posterior(problem, 2, criterion="two-sided")
    assert found.excess <= math.log(2.5) + 1e-9


def test_minimising_catoni_gives_the_gibbs_posterior():
    risks, prior = jnp.array([[0.1, 0.5, 0.9]]), jnp.array([[0.2, 0.5, 0.3]])
    found = sim.minimise_catoni(risks, prior, jnp.array([2.0]), jnp.array([5.0]))[0]
    weights = np.asarray(prior[0]) * np.exp(-10 * np.asarray(risks[0]))
    np.testing.assert_allclose(found, weights / weights.sum(), rtol=1e-9)


def test_informations_of_a_learner_that_copies_its_point():
    # at zero temperature the learner of two hypotheses names the point that it saw
    problem = sim.FiniteProblem(
        jnp.array([0.5, 0.5]), jnp.array([[0.0, 1.0], [1.0, 0.0]]), jnp.array([0.5, 0.5]), jnp.asarray(60.0)
    )
    laws = sim.learner_laws(problem, 1)
    assert laws.gap == pytest.approx(0.5)
    assert laws.mutual_information == pytest.approx(math.log(2))
    assert laws.individual_information == pytest.approx(math.log(2))
    # the choice between two points is seen when they differ, half of the time
    assert sim.conditional_information(problem, 1) == pytest.approx(math.log(2) / 2)


def test_released_means_and_their_informations():
    losses = jax.vmap(lambda key: sim.location_losses(key, 5, 2, 1.3, 0.0))(jax.random.split(jax.random.key(0), 20_000))
    gap = np.asarray(losses[:, 1] - losses[:, 0])
    assert abs(gap.mean() - 1.352) < 6 * gap.std() / math.sqrt(gap.size)
    found = sim.location_information(6, 0.9, 0.4)
    assert found.full == pytest.approx(0.5 * math.log(1 + 0.81 / (6 * 0.16)))
    assert found.spread == pytest.approx(0.81 * (1 + 1 / 6) + 0.16)


def test_least_squares_errors_average_to_what_wishart_says():
    draw = jax.vmap(lambda key: sim.least_squares_errors(key, 20, 8, jnp.asarray(1.0), 40))
    errors = np.asarray(draw(jax.random.split(jax.random.key(1), 8000)))
    mean, error = errors.mean(axis=0), errors.std(axis=0) / math.sqrt(8000)
    assert np.all(np.abs(mean - [1 - 8 / 20, 1 + 8 / 11]) < 6 * error)


def test_refitting_without_an_example_changes_little_when_it_is_on_the_plane():
    X, y = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(sim.refit_without_each(X, y, 1e-9), 0, atol=1e-6)
