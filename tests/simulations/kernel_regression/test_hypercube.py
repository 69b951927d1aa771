"""Regression on corners of the cube, Hermite features, and losses of scores, on cases with a known answer."""

from itertools import combinations

import jax
import numpy as np
import pytest
from scipy import stats

from simulations import kernel_regression as sim
from simulations.kernel_regression.hypercube import _corners, parity_sums


def parities(x, degree):
    """Return all products of ``degree`` coordinates, one a column."""
    chosen = combinations(range(x.shape[1]), degree)
    return np.stack([np.prod(x[:, list(c)], axis=1) for c in chosen], axis=1)


def test_sums_of_parities_by_listing_them():
    for m in range(6):
        corner = np.ones((1, 5))
        corner[0, :m] = -1
        expected = [parities(corner, degree).sum() for degree in range(5)]
        np.testing.assert_array_equal(parity_sums(5, 5)[:, m], expected)


def test_corners_differ_and_have_signs():
    x = np.asarray(_corners(jax.random.key(0), 16, 4))
    assert {tuple(row) for row in x} == {tuple(row) for row in np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T}
    many = np.asarray(_corners(jax.random.key(0), 2000, 13))
    assert len({tuple(row) for row in many}) == 2000
    assert np.abs(many.mean(axis=0)).max() < 0.15
    large = np.asarray(_corners(jax.random.key(0), 50, 40))
    assert set(np.unique(large)) == {-1.0, 1.0}


def test_shares_are_those_of_fits_tried_on_all_corners():
    weights, dim, n, ridge = [0.1, 0.5, 0.4], 6, 11, 0.05
    keys = jax.random.split(jax.random.key(1), 2)
    found = sim.learned_degrees(keys, weights, dim=dim, sizes=(7, n), ridge=ridge)
    assert found.shape == (2, 2, 3)
    everywhere = np.array(np.meshgrid(*[[-1.0, 1.0]] * dim)).reshape(dim, -1).T
    modes = [parities(everywhere, degree) for degree in range(3)]
    kernel = sum(c * p @ p.T / p.shape[1] for c, p in zip(weights, modes, strict=True))
    drawn = np.asarray(_corners(keys[1], n, dim))
    chosen = [int(np.flatnonzero((everywhere == row).all(axis=1))[0]) for row in drawn]
    inverse = np.linalg.inv(kernel[np.ix_(chosen, chosen)] + ridge * np.eye(n))
    for degree, p in enumerate(modes):
        fits = kernel[:, chosen] @ inverse @ p[chosen]
        assert found[1, 1, degree] == pytest.approx(np.mean(fits * p), rel=1e-6)


def test_as_many_samples_as_modes_learn_them():
    found = sim.learned_degrees(jax.random.split(jax.random.key(2), 2), [1.0, 1.0], dim=5, sizes=(28,))
    np.testing.assert_allclose(found, 1, rtol=1e-4)


def test_hermite_features_are_orthonormal_and_powers_of_inner_products():
    gram = np.asarray(sim.hermite_gram([[1.0, 0.0], [0.6, 0.8]], degree=5))
    np.testing.assert_allclose(gram[0, 0], np.eye(6), atol=1e-12)
    np.testing.assert_allclose(gram[0, 1], np.diag(0.6 ** np.arange(6)), atol=1e-12)
    plain = np.asarray(sim.hermite_gram([[1.0]], degree=4, orthonormal=False))
    np.testing.assert_allclose(np.diag(plain[0, 0]), [1, 1, 2, 6, 24], rtol=1e-12)


def test_score_of_gaussian_data_is_a_line():
    data = sim.noisy_data(*sim.gaussian_points(2.0), signal=0.7, noise=0.6)
    near = np.abs(data.x) < 3
    np.testing.assert_allclose(data.score[near], -data.x[near] / (0.49 * 2 + 0.36), rtol=1e-6, atol=1e-9)
    assert data.share.sum() == pytest.approx(1, abs=1e-12)
    assert np.sum(data.share * data.x**2) == pytest.approx(0.49 * 2 + 0.36)


def test_score_of_two_points_by_hand():
    data = sim.noisy_data(np.array([-1.0, 1.0]), np.array([0.3, 0.7]), signal=0.8, noise=0.6)
    density = 0.3 * stats.norm.pdf(data.x, -0.8, 0.6) + 0.7 * stats.norm.pdf(data.x, 0.8, 0.6)
    pull = 0.3 * stats.norm.pdf(data.x, -0.8, 0.6) * (-0.8 - data.x) + 0.7 * stats.norm.pdf(data.x, 0.8, 0.6) * (
        0.8 - data.x
    )
    np.testing.assert_allclose(data.score, pull / density / 0.36, rtol=1e-9, atol=1e-9)


def test_losses_of_the_targets_themselves():
    data = sim.noisy_data(*sim.gaussian_points(1.0), signal=0.6, noise=0.8)
    assert sim.score_losses(lambda x: data.score, data).score == 0
    assert sim.score_losses(lambda x: data.target, data).denoising == 0
    assert sim.score_losses(np.zeros_like, data).denoising == pytest.approx(1 / 0.64)
    line = sim.fit_polynomial(data, 1)
    np.testing.assert_allclose(line(np.array([0.0, 1.0])), [0, -1], atol=1e-8)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sim.learned_degrees(jax.random.split(jax.random.key(0), 2), [-1.0], dim=3, sizes=(2,)), "weights"),
        (lambda: sim.learned_degrees(jax.random.split(jax.random.key(0), 2), [1.0] * 5, dim=3, sizes=(2,)), "dim"),
        (lambda: sim.noisy_data(np.ones(1), np.ones(1), signal=1.0, noise=0.0), "noise"),
        (lambda: sim.gaussian_points(-1.0), "variance"),
        (lambda: sim.hermite_gram([1.0], degree=2), "directions"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
