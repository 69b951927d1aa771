from fractions import Fraction

import jax
import numpy as np
import pytest

from simulations import generalization as sim


def test_pairs_of_orthogonal_and_of_equal_gradients():
    assert sim.pairwise_coherence(np.eye(4)) == 0.25
    assert sim.pairwise_coherence(np.ones((4, 2))) == 1.0
    assert sim.pairwise_coherence(np.eye(4), distinct=True) == 0.0


def test_samples_of_two_coins_are_counted():
    # gradients 1 and 0: sums of two draws are 0, 1, 1, 2
    counted = sim.count_samples(np.array([[1], [0]]), 2)
    assert counted == (Fraction(3, 4), Fraction(1, 2))
    assert sim.count_samples(np.array([[2], [2]]), 3) == (1, 1)


def test_gaussian_samples_have_the_mean_square_they_should():
    drawn = sim.gaussian_samples(jax.random.split(jax.random.key(1), 4000), [1.0, 2.0], 0.5, 5)
    assert drawn.square.shape == (4000,)
    assert drawn.square.mean() == pytest.approx(6.0, abs=6 * drawn.square.std() / np.sqrt(4000))
    # a square of the mean is a mean of products, of which a fifth are squares
    np.testing.assert_allclose(drawn.of_mean, 0.2 * drawn.square + 0.8 * drawn.of_pairs, rtol=1e-12)
    same = sim.gaussian_samples(jax.random.split(jax.random.key(1), 3), [1.0, 2.0], 0.5, 5, shared=1.0)
    np.testing.assert_allclose(same.of_mean, same.square, rtol=1e-12)


def test_all_rows_drawn_without_replacement_are_the_whole_table():
    g = np.arange(12.0).reshape(4, 3) - 5
    drawn = sim.resampled_means(jax.random.split(jax.random.key(2), 5), g, 4, replace=False)
    np.testing.assert_allclose(drawn.of_mean, (g.mean(axis=0) ** 2).sum(), rtol=1e-12)
    np.testing.assert_allclose(drawn.square, (g**2).sum(axis=1).mean(), rtol=1e-12)


def test_gradients_of_a_network_agree_with_differences_and_fall_as_it_trains():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
    y[0] = 2
    start = sim.network_gradients(jax.random.key(0), x, y, width=5, n_steps=0)
    assert start.shape == (6, 4 * 5 + 5 * 3)
    # scores are linear in the second layer: each row of its gradient sums to zero over the classes
    np.testing.assert_allclose(start[:, 20:].reshape(6, 5, 3).sum(axis=-1), 0, atol=1e-14)
    later = sim.network_gradients(jax.random.key(0), x, y, width=5, n_steps=2000)
    assert np.linalg.norm(later.mean(axis=0)) < 0.1 * np.linalg.norm(start.mean(axis=0))


def test_one_full_step_reaches_the_mean():
    atoms = np.array([[1.0], [-1.0]])
    sets = sim.every_set(2, 2)
    assert sets.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    # means 1, 0, 0, -1: population losses 1, 1/2, 1/2, 1, training losses 0, 1/2, 1/2, 0
    assert float(sim.descent_gap(atoms, sets, [1.0], [7.0])) == pytest.approx(0.5, rel=1e-14)
    assert float(sim.descent_gap(atoms, sets, [0.5], [7.0], curvature=2.0)) == pytest.approx(1.0, rel=1e-14)
    assert sim.every_set(3, 2, replace=False).shape == (6, 2)


def test_the_search_finds_atoms_that_balance():
    gaps, atoms = sim.hardest_atoms(jax.random.key(4), sim.every_set(3, 2), [1.0], chains=3, n_steps=200)
    assert atoms.shape == (3, 3, 2)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=-1), 1, rtol=1e-12)
    # trace of the covariance at most 1, by two examples
    assert gaps.max() == pytest.approx(0.5, abs=1e-3)
    assert gaps.max() <= 0.5 + 1e-12


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sim.pairwise_coherence(np.zeros((2, 2))), "gradients must not all vanish"),
        (lambda: sim.count_samples(np.array([[0.5]]), 2), "population"),
        (lambda: sim.count_samples(np.array([[1]]), 1), "m must be"),
        (lambda: sim.gaussian_samples(jax.random.split(jax.random.key(0), 2), [1.0], 1.0, 2, shared=2.0), "shared"),
        (lambda: sim.network_gradients(jax.random.key(0), [[1.0]], [-1], width=1, n_steps=0), "labels"),
        (lambda: sim.resampled_means(jax.random.split(jax.random.key(0), 2), np.eye(2), 3, replace=False), "m must"),
        (lambda: sim.every_set(2, 3, replace=False), "m must be at most k"),
        (lambda: sim.descent_gap([[1.0]], np.array([[0]]), [-0.1], [0.0]), "step_sizes"),
        (lambda: sim.descent_gap([[1.0]], np.array([[0]]), [0.1], [0.0], curvature=0.0), "curvature"),
        (lambda: sim.hardest_atoms(jax.random.key(0), sim.every_set(2, 2), [0.1], chains=0, n_steps=1), "chains"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
