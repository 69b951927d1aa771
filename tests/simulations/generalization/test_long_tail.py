import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations import generalization as sim


def test_all_samples_carry_all_probability():
    found = sim.enumerate_samples(sim.permuted([3, 2, 1]), n=4)
    whole = found.assignments * found.denominator**4
    assert found.likelihood.sum() == whole
    assert found.weighted.sum() == whole * found.denominator
    assert np.all(found.counts.sum(axis=1) == 4)


def test_occurrences_of_a_fair_coin():
    number, mass = sim.occurrence_means(sim.enumerate_samples(np.array([[1, 1]]), n=2))
    np.testing.assert_allclose(number, [0.5, 1.0, 0.5])
    np.testing.assert_allclose(mass, [0.25, 0.5, 0.25])


def test_normalised_draws_are_exact_and_complete():
    rows = sim.normalised_draws([1, 5], 3)
    assert rows.shape == (8, 3)
    assert np.ptp(rows.sum(axis=1)) == 0
    expected = {tuple(np.array(p) / sum(p)) for p in itertools.product((1, 5), repeat=3)}
    assert {tuple(r) for r in rows / rows.sum(axis=1, keepdims=True)} == expected


def test_known_counterexample_of_the_fixed_multiset():
    counts, posterior = sim.posterior_means(sim.enumerate_samples(sim.permuted([6, 3, 1]), n=3))
    table = {tuple(c): p for c, p in zip(counts, posterior, strict=True)}
    assert table[0, 1, 2][1] == pytest.approx(0.341667, abs=1e-6)
    np.testing.assert_allclose(table[1, 1, 1], 1 / 3)


def test_dirichlet_posterior_of_two_items_is_beta():
    found = sim.dirichlet_posterior_means(np.array([[2, 1], [3, 0]]), 1.0)
    np.testing.assert_allclose(found[:, 0], [3 / 5, 4 / 5])


def test_law_of_counts_by_enumeration():
    alpha = jnp.array([0.5, 0.2, 0.3])
    law = np.asarray(sim.occurrence_law(alpha, n=5, most=2))
    expected = np.zeros((3, 3))
    for draws in itertools.product(range(3), repeat=5):
        for x in range(3):
            if (c := draws.count(x)) <= 2:
                expected[c, x] += np.prod(np.asarray(alpha)[list(draws)])
    np.testing.assert_allclose(law, expected, rtol=1e-13)


def test_learner_that_fits_all_errs_on_unseen_items_only():
    found = sim.draw_errors(jax.random.split(jax.random.key(0), 64), np.ones(10), n=8, num_labels=3, misfit=[0.0, 0.0])
    np.testing.assert_array_equal(found.learner, found.all)
    never = sim.draw_errors(jax.random.split(jax.random.key(0), 64), np.ones(10), n=8, num_labels=3, misfit=[1.0])
    # a misfit of one mislabels every singleton
    np.testing.assert_allclose(never.learner - never.all, never.mass, atol=1e-12)


def test_enumerated_learner_agrees_with_a_drawn_one():
    exact = sim.enumerate_errors([4, 3, 2, 1], n=3, num_labels=3, fit=[0.4, 0.9]).error
    drawn = sim.draw_errors(
        jax.random.split(jax.random.key(3), 20_000), np.array([4, 3, 2, 1]), n=3, num_labels=3, misfit=[0.6, 0.1]
    ).learner
    assert abs(drawn.mean() - exact) < 5 * drawn.std() / np.sqrt(drawn.size)


def test_privacy_without_loss_memorises_nothing():
    assert sim.most_memorizing_private_learner(0.0, num_labels=3) == pytest.approx(0, abs=1e-9)
    assert sim.most_memorizing_private_learner(8.0, num_labels=3) == pytest.approx(2 / 3, abs=1e-3)


def test_climbing_finds_the_top_of_a_hill():
    starts = np.random.default_rng(0).standard_normal((4, 3))
    found = sim.hardest_instances(jax.random.key(0), _hill, starts, jnp.ones(3), n_steps=800)
    np.testing.assert_allclose(found.instances, 1, atol=1e-3)
    assert np.all(np.asarray(found.value) <= 0)


def _hill(point, top):
    return -jnp.sum((point - top) ** 2)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sim.enumerate_samples(np.array([[1, 2], [2, 2]]), n=2), "assignments"),
        (lambda: sim.enumerate_samples(np.array([[0, 3]]), n=2), "assignments"),
        (lambda: sim.enumerate_samples(np.array([[1, 10**9]]), n=3), "n must"),
        (lambda: sim.enumerate_samples(np.ones((1, 4), int), n=30), "n must"),
        (lambda: sim.enumerate_errors([1] * 12, n=12, num_labels=4, fit=[1.0]), "n must"),
        (
            lambda: sim.draw_errors(jax.random.split(jax.random.key(0), 2), [1.0], n=3, num_labels=2, misfit=[2.0]),
            "mis",
        ),
        (lambda: sim.most_memorizing_private_learner(20.0, num_labels=3), "epsilon"),
        (lambda: sim.hardest_long_tails(jax.random.key(0), n=5000, num_items=3, chains=1, n_steps=1), "n must"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
