"""Interpolation errors on cases with a known answer, and teachers' losses by hand."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations import kernel_regression as sim


@given(seed=st.integers(0, 2**31 - 1), dim=st.integers(1, 4))
def test_one_point_is_nearest_to_all(seed, dim):
    found = sim.nearest_neighbour(jax.random.key(seed), 1, dim, 5)
    assert 0 < float(found.distance_sq) <= dim / 4
    # a sine changes by 2 pi times the distance at most along every axis
    assert float(found.error_sq) <= dim * (2 * np.pi) ** 2 * float(found.distance_sq) + 1e-12


def test_the_mean_distance_on_a_circle():
    keys = jax.random.split(jax.random.key(0), 4000)
    found = np.asarray(jax.vmap(lambda key: sim.nearest_neighbour(key, 1, 1, 4).distance_sq)(keys))
    assert abs(found.mean() - 1 / 12) < 6 * found.std() / np.sqrt(4000)


@given(seed=st.integers(0, 2**31 - 1), n=st.integers(0, 10), c=st.floats(-5, 5))
def test_a_gap_adds_its_fifth_power(seed, n, c):
    key = jax.random.key(seed)
    x = np.sort(np.concatenate([[0, 1], np.asarray(jax.random.uniform(key, (n,)))]))
    expected = c**2 * np.sum(np.diff(x) ** 5) / 120
    assert float(sim.piecewise_linear_error(key, n, c)) == pytest.approx(expected, rel=1e-6, abs=1e-14)


def test_a_product_of_sines_interpolated_by_nothing():
    assert sim.multilinear_error(1, 1, nodes=12) == pytest.approx(0.5, rel=1e-12)
    assert sim.multilinear_error(2, 2, nodes=12) == pytest.approx(0.25, rel=1e-12)
    lines = 0.5 - 0.5 * (8 / np.pi**2) * 2 + 1 / 3  # four cells: a triangle wave against a sine
    assert sim.multilinear_error(4, 1, nodes=12) == pytest.approx(lines, rel=1e-10)


@pytest.mark.parametrize(("cells", "dim", "name"), [(0, 1, "cells"), (2, 0, "dim")])
def test_bad_sizes(cells, dim, name):
    with pytest.raises(ValueError, match=name):
        sim.multilinear_error(cells, dim)


@pytest.mark.parametrize(("n", "k"), [(4, 9), (9, 4)])
def test_losses_of_teachers_are_those_of_least_squares(n, k):
    key, lam = jax.random.key(5), np.linspace(1.0, 0.1, 12)
    for_data, for_features = jax.random.split(key)
    X = np.asarray(jax.random.normal(for_data, (n, 12)))
    W = np.asarray(jax.random.normal(for_features, (k, 12)))
    F = X * np.sqrt(lam) @ W.T
    loss = 0.0
    for teacher in np.eye(12):
        a = np.linalg.lstsq(F, X * np.sqrt(lam) @ teacher, rcond=None)[0]
        loss += np.sum(lam * (teacher - W.T @ a) ** 2)
    assert float(sim.teacher_loss(key, lam, n, k)) == pytest.approx(loss, rel=1e-9)


def test_losses_of_teachers_with_all_data_or_features():
    key, lam = jax.random.key(5), np.linspace(1.0, 0.1, 12)
    assert float(sim.teacher_loss(key, lam, None, None)) == 0
    assert float(sim.teacher_loss(key, lam, 12, None)) == 0
    all_features = sim.gaussian_ridge(key, lam, lam, np.zeros(1), 0.0, 5, None).test[0]
    assert float(sim.teacher_loss(key, lam, 5, None)) == pytest.approx(float(all_features), rel=1e-9)
    assert float(sim.teacher_loss(key, lam, None, 5)) < float(sim.teacher_loss(key, lam, 400, 5)) * 1.001
