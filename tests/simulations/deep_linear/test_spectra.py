import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simulations.deep_linear.spectra import (
    lyapunov_exponents,
    random_factor,
    random_lyapunov_exponents,
    random_product,
    spectral_moments,
    squared_singular_values,
    vector_log_growth,
)

KEY = jax.random.key(9)
KEYS = jax.random.split(KEY, 4000)


def close_in_mean(samples, expected, sigmas=5.0):
    samples = np.asarray(samples)
    return abs(samples.mean() - expected) < sigmas * samples.std() / np.sqrt(len(samples))


def test_orthogonal_products_stay_isometries_up_to_gain():
    product = random_product(KEY, n=7, depth=30, ensemble="orthogonal", gain=1.1)
    np.testing.assert_allclose(squared_singular_values(product), 1.1**60, rtol=1e-12)
    growth = vector_log_growth(KEY, n=7, depth=30, ensemble="orthogonal", gain=1.1)
    np.testing.assert_allclose(growth, 60 * np.log(1.1), rtol=1e-12)
    exponents = random_lyapunov_exponents(KEY, n=7, depth=30, ensemble="orthogonal", gain=1.1)
    np.testing.assert_allclose(exponents, np.log(1.1), rtol=1e-12)


def test_gaussian_factors_have_unit_row_norms_on_average():
    factors = jax.vmap(lambda key: random_factor(key, n=5, gain=2.0))(KEYS[:2000])
    assert close_in_mean((factors**2).sum(axis=(1, 2)), 20.0)
    assert close_in_mean(factors[:, 1, 2], 0.0)


def test_gaussian_products_keep_lengths_in_the_mean():
    # E |W v|^2 = 1 and E |W v|^4 = 1 + 2/n for a unit v, independently at every layer.
    n, depth = 6, 3
    squared = jnp.exp(jax.vmap(lambda key: vector_log_growth(key, n=n, depth=depth))(KEYS))
    assert close_in_mean(squared, 1.0)
    assert close_in_mean(squared**2, (1 + 2 / n) ** depth)
    moments = jax.vmap(lambda key: spectral_moments(random_product(key, n=n, depth=depth), order=1)[0])(KEYS)
    assert close_in_mean(moments, 1.0)


def test_moments_are_those_of_the_singular_values():
    matrix = random_factor(KEY, n=6)
    values = np.asarray(squared_singular_values(matrix))
    expected = [np.mean(values**k) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(spectral_moments(matrix, order=4), expected, rtol=1e-12)


def test_exponents_of_diagonal_and_rotating_factors():
    diagonal = np.array([3.0, 1.0, 0.2])
    rng = np.random.default_rng(0)
    factors = np.diag(diagonal) * rng.uniform(0.9, 1.1, size=(5000, 1, 1))
    scale = np.log(factors[:, 1, 1]).mean()
    np.testing.assert_allclose(lyapunov_exponents(factors), np.log(diagonal) + scale, rtol=1e-12)
    turns = rng.uniform(0, 2 * np.pi, size=400)
    rotations = np.stack([[np.cos(turns), -np.sin(turns)], [np.sin(turns), np.cos(turns)]]).transpose(2, 0, 1)
    np.testing.assert_allclose(lyapunov_exponents(rotations), 0.0, atol=1e-14)


def test_exponents_of_a_constant_factor_are_its_log_moduli():
    factor = np.array([[2.0, 1.0, 0.0], [0.5, -1.0, 0.3], [0.0, 0.2, 0.5]])
    moduli = np.sort(np.abs(np.linalg.eigvals(factor)))[::-1]
    got = lyapunov_exponents(np.broadcast_to(factor, (4000, 3, 3)))
    np.testing.assert_allclose(got, np.log(moduli), atol=2e-3)
    np.testing.assert_allclose(got.sum(), np.log(abs(np.linalg.det(factor))), rtol=1e-10)


def test_exponents_of_gaussian_products_are_finite_at_any_depth_and_ordered():
    exponents = random_lyapunov_exponents(KEY, n=4, depth=5000, gain=1e-3)
    assert bool(jnp.isfinite(exponents).all())
    assert bool((jnp.diff(exponents) < 0).all())


def test_the_key_decides_everything():
    assert bool((random_product(KEY, n=3, depth=2) == random_product(KEY, n=3, depth=2)).all())
    assert bool((random_product(KEY, n=3, depth=2) != random_product(KEYS[1], n=3, depth=2)).any())


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: random_factor(KEY, n=0), "n"),
        (lambda: random_product(KEY, n=2, depth=0), "depth"),
        (lambda: random_product(KEY, n=2, depth=1, gain=-1.0), "gain"),
        (lambda: vector_log_growth(KEY, n=2, depth=1, ensemble="cauchy"), "ensemble"),
        (lambda: random_lyapunov_exponents(KEY, n=2, depth=0), "depth"),
        (lambda: lyapunov_exponents(np.ones((2, 3))), "factors"),
        (lambda: lyapunov_exponents(np.ones((4, 2, 3))), "factors"),
        (lambda: lyapunov_exponents(np.zeros((4, 2, 2))), "factors"),
        (lambda: spectral_moments(np.ones(3), order=1), "matrix"),
        (lambda: spectral_moments(np.ones((2, 2)), order=0), "order"),
        (lambda: squared_singular_values([[np.nan]]), "matrix"),
    ],
)
def test_bad_input_names_the_argument(call, name):
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        call()
