"""Spectra of drawn and of endless data, and counted moments, on cases with known answers."""

import math
from itertools import product

import jax
import numpy as np
import pytest

from simulations import kernel_regression as sim
from simulations.kernel_regression.covariances import endless_covariance, pairings
from simulations.replicates import over_replicates


def test_a_spectrum_is_that_of_the_drawn_data_with_zeros_in_front():
    key, variances = jax.random.key(0), np.array([1.0, 3.0, 0.5, 0.0, 0.0])
    drawn = np.asarray(jax.random.normal(key, (6, 5)))[:4] * np.sqrt(variances)
    for gram, matrix in ((False, drawn.T @ drawn), (True, drawn @ drawn.T)):
        found = np.asarray(sim.covariance_spectrum(key, variances, 4, 6, gram))
        expected = np.linalg.eigvalsh(matrix / 4)
        np.testing.assert_allclose(found[-3:], expected[-3:], rtol=1e-12)
        np.testing.assert_allclose(found[:-3], 0, atol=1e-14)


@pytest.mark.parametrize("gram", [False, True])
def test_what_fills_up_the_shape_does_not_count(gram):
    key, z = jax.random.key(3), np.array([-0.5, 1 + 0.3j])
    variances = np.array([2.0, 1.0, 0.0, 0.0])
    drawn = (np.asarray(jax.random.normal(key, (7, 4)))[:5] * np.sqrt(variances))[:, :2]
    x = np.linalg.eigvalsh((drawn @ drawn.T if gram else drawn.T @ drawn) / 5)
    found = sim.spectral_means(key, variances, z, 5, 7, gram)
    expected = np.mean(1 / (x - z[:, None]), axis=1)
    np.testing.assert_allclose(found.transform, np.stack([expected.real, expected.imag], axis=1), rtol=1e-9, atol=1e-12)
    assert float(found.square) == pytest.approx(np.mean(x**2))
    assert float(found.zeros) == pytest.approx(3 / 5 if gram else 0)
    assert float(found.logarithm) == pytest.approx(np.sum(np.log(x[x > 1e-10])) / len(x))


def test_pairings_are_all_there_and_give_exact_moments():
    for k in range(1, 6):
        assert sum(pairings(k).values()) == math.prod(range(1, 2 * k, 2))
    # E tr (X X^T)^2 = n p (n + p + 1), and its cube, for n = 3 and p = 2
    for k, exact in ((1, 6), (2, 36), (3, 6 * (9 + 4 + 3 * 6 + 3 * 3 + 3 * 2 + 4))):
        found = sum(number * 3**samples * 2 ** len(features) for (samples, features), number in pairings(k).items())
        assert found == exact


def test_moments_of_correlated_features_are_those_of_drawn_data():
    variances = np.array([1.0, 4.0])
    counted = sum(
        number * 5**samples * np.prod([np.sum(variances**power) for power in features])
        for (samples, features), number in pairings(3).items()
    )
    x = over_replicates(sim.covariance_spectrum, jax.random.split(jax.random.key(1), 20_000), variances, np.array(5), 5)
    drawn = np.sum((5 * np.asarray(x)) ** 3, axis=1)
    assert abs(drawn.mean() - counted) < 6 * drawn.std() / np.sqrt(len(drawn))


def test_counted_limits():
    np.testing.assert_allclose(sim.gram_moments(5, 1.0, [1.0], [1.0]), [1, 2, 5, 14, 42])  # Catalan numbers
    s, w, g = np.array([1.0, 3.0]), np.array([0.25, 0.75]), 0.4
    first, second = w @ s, w @ s**2
    np.testing.assert_allclose(sim.gram_moments(2, g, s, w), [g * first, g * second + (g * first) ** 2], rtol=1e-14)


def test_endless_data_have_the_moments_of_large_drawn_ones():
    for g in (0.3, 2.0):
        C = endless_covariance(g, 8)
        matrix = np.diag(C.diagonal) + np.diag(C.beside, 1) + np.diag(C.beside, -1)
        powers = [np.linalg.matrix_power(matrix, k)[0, 0] for k in range(1, 6)]
        np.testing.assert_allclose(powers, sim.gram_moments(5, g, [1.0], [1.0]) / g, rtol=1e-13)


def test_an_endless_resolvent_is_the_inverse_of_its_matrix():
    C = endless_covariance(0.7, 60)
    matrix = 2.0 * (np.diag(C.diagonal) + np.diag(C.beside, 1) + np.diag(C.beside, -1))
    for z in (-0.5, 1 + 1j):
        expected = np.linalg.inv(matrix - z * np.eye(60))[0, 0]
        assert complex(sim.endless_resolvent(z, 0.7, 60, 2.0)) == pytest.approx(expected, rel=1e-12)
    # enough rows
    z = np.array([1 + 0.1j, 4 + 0.2j])
    np.testing.assert_allclose(sim.endless_resolvent(z, 0.7, 1000), sim.endless_resolvent(z, 0.7, 2000), rtol=1e-13)


def test_extremes_spread_with_rows():
    few, many = sim.endless_extremes(0.5, 10), sim.endless_extremes(0.5, 100)
    assert many[0] < few[0] < few[1] < many[1]


def test_bad_input_is_named():
    for ratio, rows in product((0.0, 1.0), (1, 5)):
        if ratio == 0 or rows == 1:
            with pytest.raises(ValueError, match="ratio must be positive" if ratio == 0 else "rows must be at least 2"):
                sim.endless_resolvent(1j, ratio, rows)
    with pytest.raises(ValueError, match="order must be at least 1"):
        sim.gram_moments(0, 1.0, [1.0], [1.0])
