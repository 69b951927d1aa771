import itertools
from fractions import Fraction

import jax
import numpy as np
import pytest

from simulations import generalization as sim


@pytest.mark.parametrize("q", [2, 3, 4, 5])
def test_fields_are_fields(q):
    plus, times = sim.finite_field(q)
    for a, b, c in itertools.product(range(q), repeat=3):
        assert times[a, plus[b, c]] == plus[times[a, b], times[a, c]]
        assert times[a, times[b, c]] == times[times[a, b], c]
        assert plus[a, plus[b, c]] == plus[plus[a, b], c]
    assert (np.sort(plus) == np.arange(q)).all()
    assert (np.sort(times[1:, 1:]) == np.arange(1, q)).all()


def test_two_draws_from_two_points():
    np.testing.assert_allclose(sim.count_distinct(2, 2), [0, 0.5, 0.5])


def test_ranks_of_two_by_two_bits():
    np.testing.assert_allclose(sim.count_ranks(2, 2, q=2), [1 / 16, 9 / 16, 6 / 16])


def test_one_secret_answer_is_a_coin():
    # one point of two is unseen: the error is 0 or 1/2, and an estimate within less than 1/4 serves one of them
    assert sim.solve_estimation_game(2, 1, Fraction(1, 4)) == pytest.approx(0.5)
    assert sim.solve_estimation_game(2, 1, Fraction(26, 100)) == pytest.approx(0, abs=1e-9)


def test_mixtures_of_the_error_game_are_optimal():
    game = sim.solve_error_game(6, 4, Fraction(1, 12))
    miss = np.array([[abs(i - 2 * j) >= 1 for j in range(7)] for i in range(13)])
    # each of five errors needs an estimate of its own
    assert (miss @ game.errors).min() == pytest.approx(0.8)
    assert (game.estimates @ miss)[:5].max() == pytest.approx(0.8)
    assert game.errors[5:].sum() == 0


def test_played_games_have_the_value_of_the_whole_game():
    eps = Fraction(1, 8)
    played = sim.play_estimation_game(jax.random.split(jax.random.key(0), 20_000), domain_size=4, n=2, eps=eps)
    assert abs(played.mean() - sim.solve_estimation_game(4, 2, eps)) < 5 * played.std() / np.sqrt(played.size)


def test_every_sample_is_listed_once():
    found = sim.every_sample(2, 2, q=3)
    assert found.shape == (81, 2)
    assert len(np.unique(found, axis=0)) == 81


def test_learning_from_nothing_is_guessing():
    # all data zero: the learner draws from V, right with chance 1/2 |V| when the function is there
    found = sim.learning_game(np.zeros((1, 3), int), np.array([1, 2]), n=1, q=2)
    np.testing.assert_allclose(found.accuracy, [[0.5, 0.25]])
    np.testing.assert_allclose(found.failure, [[0.25, 0.125]])


def test_data_that_tell_all_leave_no_doubt():
    columns = np.array([[1, 2, 4]])
    for biased in (True, False):
        found = sim.learning_game(columns, np.array([0, 1, 2]), n=3, q=2, biased=biased)
        np.testing.assert_allclose(found.accuracy, 1)
        np.testing.assert_allclose(found.failure, 0, atol=1e-15)


def test_least_failure_by_listing_pairs_of_truth_and_hypothesis():
    columns, inside, q, n = np.array([1, 2, 3]), 4, 2, 2
    labels = [np.bitwise_xor.reduce(columns[[w >> i & 1 == 1 for i in range(3)]], initial=0) for w in range(8)]
    cells: dict = {}
    for w in range(8):
        fits = [h for h in range(8) if labels[h] == labels[w]]
        answers = [h for h in fits if h < inside] or fits
        for h in answers:
            cell = cells.setdefault((labels[w], h), [0.0, 0.0])
            cell[h == w] += 1 / 8 / len(answers)
    found = sim.learning_game(columns[None], np.array([2]), n=n, q=q)
    assert found.failure[0, 0] == pytest.approx(sum(min(cell) for cell in cells.values()))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sim.finite_field(6), "q must"),
        (lambda: sim.count_distinct(50, 9), "n must"),
        (lambda: sim.count_ranks(0, 2, q=2), "rows"),
        (lambda: sim.count_ranks(5, 5, q=3), "n must"),
        (lambda: sim.solve_estimation_game(3, 1, Fraction(0)), "eps"),
        (lambda: sim.solve_estimation_game(6, 4, Fraction(1, 4)), "n must"),
        (lambda: sim.solve_error_game(3, -1, Fraction(1, 4)), "unseen"),
        (lambda: sim.every_sample(6, 6, q=3), "n must"),
        (lambda: sim.learning_game(np.array([[4, 0]]), np.array([1]), n=2, q=2), "columns"),
        (lambda: sim.learning_game(np.array([[3, 0]]), np.array([2]), n=2, q=2), "dimensions"),
        (lambda: sim.learning_game(np.zeros((1, 30), int), np.array([2]), n=2, q=2), "n must"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
