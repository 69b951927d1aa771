import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.kernel_regression import (
    cube_spectrum,
    kernel_spectrum,
    krr_risk,
    linear_interpolation_mse_1d,
    multilinear_interpolation_mse,
    nearest_neighbor_mean_sq_distance,
    rf_risk,
    teacher_student_loss,
)


def test_a_kernel_is_the_sum_of_its_modes_and_labels_keep_their_power():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((30, 12))
    labels = rng.standard_normal((30, 2))
    found = kernel_spectrum(features @ features.T, labels)
    assert found.eigenvalues.sum() == pytest.approx(np.sum(features**2) / 30)
    assert found.coefficients_sq.sum() == pytest.approx(np.sum(labels**2) / 30)
    assert np.sum(found.eigenvalues > 0) == 12
    assert np.all(np.diff(found.eigenvalues) <= 0)


def test_the_cube_has_its_levels():
    found = cube_spectrum([0.1, 0.4, 0.3], [0.0, 1.0, 2.0], dim=20)
    np.testing.assert_allclose(found.multiplicities, [1, 20, 190])
    np.testing.assert_allclose(found.multiplicities * found.eigenvalues, [0.1, 0.4, 0.3])
    np.testing.assert_allclose(found.multiplicities * found.coefficients_sq, [0, 1, 2])
    # a population of all corners has the spectrum of the formula
    corners = np.array([[1 if s >> j & 1 else -1 for j in range(5)] for s in range(32)])
    overlap = corners @ corners.T / 5
    pairs = (25 * overlap**2 - 5) / 2
    measured = kernel_spectrum(0.4 * overlap + 0.3 * pairs / 10, corners[:, 0]).eigenvalues
    exact = cube_spectrum([0.0, 0.4, 0.3], [0.0, 1.0, 0.0], dim=5)
    np.testing.assert_allclose(measured[:15], np.repeat(exact.eigenvalues[1:], [5, 10]), rtol=1e-12)
    assert np.isfinite(krr_risk(*exact[:2], multiplicities=exact.multiplicities, n=8).test)


@given(st.integers(3, 60), st.integers(3, 60))
def test_data_and_parameters_are_dual(n, k):
    lam = np.arange(1, 301.0) ** -1.7
    loss = teacher_student_loss(lam, n=n, k=k)
    assert loss == teacher_student_loss(lam, n=k, k=n)
    if n == k:
        assert loss == np.inf
    else:
        assert loss == pytest.approx(float(rf_risk(lam, lam, n=n, k=k).test), rel=1e-12)
    assert teacher_student_loss(lam, n=n) == pytest.approx(float(krr_risk(lam, lam, n=n).test), rel=1e-12)
    assert teacher_student_loss(lam, n=n) == teacher_student_loss(lam, k=n)


def test_losses_fall_as_powers_and_vanish_when_all_is_learnt():
    lam = np.arange(1, 200_001.0) ** -1.7
    n = np.array([20.0, 40.0, 80.0])
    power = (np.pi / 1.7 / math.sin(np.pi / 1.7)) ** 1.7 * n * (n + 0.5) ** -1.7
    np.testing.assert_allclose(teacher_student_loss(lam, n=n), power, rtol=0.005)
    np.testing.assert_array_equal(teacher_student_loss([1.0, 0.5, 0.0], n=[2, 3, np.inf]), 0.0)


def test_neighbours_on_a_circle_and_in_large_numbers():
    # one dimension: the gap to either side, half of it at most
    n = 9
    assert nearest_neighbor_mean_sq_distance(n, 1) == pytest.approx(0.5 / ((n + 1) * (n + 2)))
    for n, d in ((3, 2), (18, 3), (19, 3), (20, 3), (500, 7), (1e6, 3), (1e9, 4)):
        with mp.workdps(40):
            x, b = mp.mpf(n) + 1, mp.mpf(2) / d
            ball = mp.pi ** (mp.mpf(d) / 2) / mp.gamma(mp.mpf(d) / 2 + 1)
            exact = ball**-b * mp.gamma(1 + b) * mp.exp(mp.loggamma(x) - mp.loggamma(x + b))
        assert nearest_neighbor_mean_sq_distance(n, d) == pytest.approx(float(exact), rel=1e-13)


def test_linear_interpolation_of_one_point_by_quadrature():
    u = (np.arange(10_000) + 0.5) / 10_000
    assert linear_interpolation_mse_1d(1, second_derivative=3.0) == pytest.approx(
        9 * np.mean(u**5 + (1 - u) ** 5) / 120, rel=1e-6
    )


@pytest.mark.parametrize("dim", [1, 2])
def test_a_quadratic_on_a_grid_is_exact(dim):
    # f = sum x_j^2 has f_jj = 2: the error of a cell is sum h^2 u (1 - u)
    m = 7
    u = (np.arange(2000) + 0.5) / 2000
    own, mean = np.mean((u * (1 - u)) ** 2), np.mean(u * (1 - u))
    exact = m**-4 * (dim * own + dim * (dim - 1) * mean**2)
    found = multilinear_interpolation_mse(m, dim, diag=4.0 * dim, offdiag=4.0 * dim * (dim - 1))
    assert found == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernel_spectrum([[1.0, 2.0]], [1.0]), "kernel must be a square matrix"),
        (lambda: kernel_spectrum([[1.0, 2.0], [0.0, 1.0]], [1.0, 1.0]), "kernel must be symmetric"),
        (lambda: kernel_spectrum([[1.0, 2.0], [2.0, 1.0]], [1.0, 1.0]), "kernel must be positive semi-definite"),
        (lambda: kernel_spectrum(np.eye(2), [1.0]), "labels must have one row"),
        (lambda: cube_spectrum([1.0, 1.0], [1.0], dim=3), "one entry for each"),
        (lambda: cube_spectrum([1.0] * 3, [1.0] * 3, dim=1), "at most 2 levels"),
        (lambda: teacher_student_loss([1.0], n=0), "n must be positive"),
        (lambda: teacher_student_loss([1.0], k=np.nan), "k must be finite"),
        (lambda: nearest_neighbor_mean_sq_distance(10, 1.5), "dim must be whole"),
        (lambda: nearest_neighbor_mean_sq_distance(0, 1), "n_points must be positive"),
        (lambda: linear_interpolation_mse_1d(-1), "n_points must be nonnegative"),
        (lambda: multilinear_interpolation_mse(4, 1, diag=1.0, offdiag=1.0), "offdiag must be 0"),
        (lambda: multilinear_interpolation_mse(4, 0, diag=1.0, offdiag=0.0), "dim must be at least 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
