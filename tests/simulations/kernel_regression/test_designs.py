"""Ridge fits against direct least squares, and populations whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations import kernel_regression as sim
from simulations.replicates import over_replicates

RIDGES = np.array([0.0, 0.1, 2.0])


def _fit_by_hand(key, lam, v, noise, ridge, n, k, draws):
    """Draw teachers and labels, fit weights on features, and average squared errors on all modes."""
    for_modes, for_features = jax.random.split(key)
    X = np.asarray(jax.random.normal(for_modes, (n, lam.size)))
    mixing = np.sqrt(lam)[:, None] * np.asarray(jax.random.normal(for_features, (lam.size, k))) / np.sqrt(k)
    features = X @ mixing
    rng = np.random.default_rng(0)
    test, train = [], []
    for _ in range(draws):
        teacher = v * rng.choice([-1, 1], lam.size)
        y = X @ teacher + np.sqrt(noise) * rng.normal(size=n)
        w = np.linalg.solve(features.T @ features + ridge * np.eye(k), features.T @ y)
        test.append(np.sum((mixing @ w - teacher) ** 2) + noise)
        train.append(np.mean((features @ w - y) ** 2))
    return np.array(test), np.array(train)


def test_averages_over_teachers_and_noise_are_exact():
    lam, v = np.array([1.0, 0.5, 0.2, 0.1]), np.array([1.0, -0.3, 0.5, 0.2])
    key = jax.random.key(4)
    fit = sim.gaussian_ridge(key, lam, v**2, np.array([0.3]), 0.4, 6, 3)
    test, train = _fit_by_hand(key, lam, v, 0.4, 0.3, 6, 3, 20_000)
    for mean, draws in ((fit.test[0], test), (fit.train[0], train)):
        assert abs(float(mean) - draws.mean()) < 6 * draws.std() / np.sqrt(len(draws))


@given(seed=st.integers(0, 2**31 - 1), n=st.integers(2, 8), k=st.sampled_from([3, 6, None]))
def test_a_fit_learns_as_much_as_it_has_samples_or_features(seed, n, k):
    lam = np.linspace(1.0, 0.1, 10)
    fit = sim.gaussian_ridge(jax.random.key(seed), lam, np.ones(10), RIDGES, 0.1, n, k)
    learned = np.asarray(fit.learned).sum(axis=1)
    assert learned[0] == pytest.approx(min(n, k or n), rel=1e-8)
    assert np.all(np.diff(learned) < 0)
    assert np.all(np.diff(fit.train) > -1e-12)
    if n <= (k or n):
        assert float(fit.train[0]) < 1e-12


def test_second_moments_add_up_to_the_test_risk():
    lam, v2 = np.linspace(1.0, 0.1, 6), np.linspace(0.2, 2.0, 6)
    fit = sim.gaussian_ridge(jax.random.key(1), lam, v2, RIDGES, 0.3, 4, None)
    # E (predicted - true)^2 = second - 2 learned v^2 + v^2, a mode at a time
    risk = np.sum(fit.second - 2 * fit.learned * v2 + v2, axis=1) + 0.3
    np.testing.assert_allclose(fit.test, risk, rtol=1e-11)


def test_chunked_replicates_are_the_replicates():
    keys = jax.random.split(jax.random.key(0), 5)
    lam, v2 = np.linspace(1.0, 0.1, 6), np.ones(6)
    many = over_replicates(sim.gaussian_ridge, keys, lam, v2, RIDGES, 0.3, 4, 5)
    one = sim.gaussian_ridge(keys[3], lam, v2, RIDGES, 0.3, 4, 5)
    np.testing.assert_allclose(many.test[3], one.test, rtol=1e-12)


def test_a_sample_of_the_whole_population_without_noise_is_interpolated():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(12, 12))
    kernel, labels = points @ points.T, rng.normal(size=(12, 2))
    fit = sim.population_ridge(jax.random.key(0), kernel, labels, np.array([1e-12, 0.5]), 0.0, 12)
    assert float(fit.test[0]) < 1e-12
    direct = 0.5 * np.linalg.solve(kernel + 0.5 * np.eye(12), labels)
    assert float(fit.train[1]) == pytest.approx(np.sum(direct**2) / 12, rel=1e-9)
    assert float(fit.test[1]) == pytest.approx(float(fit.train[1]), rel=1e-9)
    assert float(fit.kappa[1]) == pytest.approx(1 / np.trace(np.linalg.inv(kernel + 0.5 * np.eye(12))), rel=1e-9)


@pytest.mark.parametrize("dim", [1, 3, 5])
def test_modes_of_the_cube_are_products_of_coordinates(dim):
    modes, factors = sim.cube_modes(dim)
    np.testing.assert_allclose(modes.T @ modes / 2**dim, np.eye(2**dim), atol=1e-12)
    corners = 1 - 2 * ((np.arange(2**dim)[:, None] >> np.arange(dim)) & 1)
    for mode in range(2**dim):
        members = [bit for bit in range(dim) if mode >> bit & 1]
        np.testing.assert_array_equal(modes[:, mode], np.prod(corners[:, members], axis=1))
        assert int(factors[mode]) == len(members)


def test_learning_every_mode_on_all_points():
    modes, _ = sim.cube_modes(3)
    lam = np.linspace(1.0, 0.2, 8)
    kernel = np.asarray((modes * lam) @ modes.T)
    found = sim.learn_every_mode(kernel, modes, jnp.arange(8), 0.7)
    np.testing.assert_allclose(found, 8 * lam / (8 * lam + 0.7), rtol=1e-12)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"eigenvalues": [1.0, -1.0]}, "eigenvalues must be nonnegative"),
        ({"coefficients_sq": [1.0]}, r"coefficients_sq must have shape \(2,\), as eigenvalues; got \(1,\)"),
        ({"ridges": [-0.1]}, "ridges must be nonnegative"),
        ({"noise_var": -1.0}, "noise_var must be nonnegative"),
        ({"n": 0}, "n must be at least 1; got 0"),
        ({"k": 0}, "k must be at least 1; got 0"),
    ],
)
def test_bad_designs_are_refused(changed, message):
    options = {"eigenvalues": [1.0, 0.5], "coefficients_sq": [1.0, 1.0], "ridges": [0.1], "noise_var": 0.0}
    with pytest.raises(ValueError, match=message):
        sim.gaussian_ridge(jax.random.key(0), **(options | {"n": 3, "k": 2} | changed))


@pytest.mark.parametrize(
    ("kernel", "labels", "n", "message"),
    [
        (np.ones((3, 2)), np.ones((3, 1)), 2, "kernel must be square; got shape"),
        (np.eye(3), np.ones((2, 1)), 2, "labels must have 3 rows, as the kernel"),
        (np.eye(3), np.ones(3), 2, "labels must have 2 dimension"),
        (np.eye(3), np.ones((3, 1)), 4, "n must be a whole number from 1 to 3; got 4"),
    ],
)
def test_bad_populations_are_refused(kernel, labels, n, message):
    with pytest.raises(ValueError, match=message):
        sim.population_ridge(jax.random.key(0), kernel, labels, np.array([0.1]), 0.0, n)
