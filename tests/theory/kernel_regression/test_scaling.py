"""Scaling laws: symmetry, limits, exact small cases and bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import kernel_regression as kr

SPECTRUM = np.arange(1, 401.0) ** -1.7


@given(n=st.integers(1, 300), k=st.integers(1, 300), scale=st.floats(1e-3, 1e3))
def test_data_and_features_may_be_exchanged(n, k, scale):
    if n == k:
        assert np.isinf(kr.teacher_student_loss(SPECTRUM, n=n, k=k))
        return
    loss = float(kr.teacher_student_loss(SPECTRUM, n=n, k=k))
    assert float(kr.teacher_student_loss(SPECTRUM, n=k, k=n)) == pytest.approx(loss, rel=1e-12)
    assert float(kr.teacher_student_loss(scale * SPECTRUM, n=n, k=k)) == pytest.approx(scale * loss, rel=1e-10)
    eigenframework = kr.rf_risk(SPECTRUM, SPECTRUM, n=n, k=k).test
    assert loss == pytest.approx(float(eigenframework), rel=1e-8)


def test_more_than_the_modes_is_all():
    assert float(kr.teacher_student_loss(SPECTRUM, n=400)) == 0
    assert float(kr.teacher_student_loss(SPECTRUM, n=399)) > 0


def test_the_asymptote_is_approached_as_one_over_n():
    n = np.array([50, 100, 200])
    i = np.arange(1, 2_000_001.0)
    exact = kr.teacher_student_loss(i**-2.2, n=n)
    off = exact / kr.resolution_limited_loss(n, excess=1.2) - 1
    np.testing.assert_allclose(off[:-1] / off[1:], 2, rtol=0.02)


@given(dim=st.integers(1, 6), n=st.floats(1, 1e12))
def test_more_points_are_nearer_with_the_exponent_of_the_dimension(dim, n):
    near, far = kr.nearest_neighbor_mean_sq_distance([2 * n, n], dim)
    assert near < far
    assert np.log(far / near) / np.log(2) == pytest.approx(2 / dim, abs=3 / n)


@given(n=st.integers(0, 10_000), c=st.floats(-10, 10))
def test_lines_between_points(n, c):
    mse = float(kr.linear_interpolation_mse_1d(n, second_derivative=c))
    assert mse == pytest.approx(c**2 / ((n + 2) * (n + 3) * (n + 4) * (n + 5)), rel=1e-12)


@given(m=st.floats(1, 1e3), dim=st.integers(2, 5), own=st.floats(0, 10), mixed=st.floats(0, 10))
def test_grids_err_by_the_fourth_power(m, dim, own, mixed):
    coarse, fine = kr.multilinear_interpolation_mse([m, 2 * m], dim, diag=own, offdiag=mixed)
    assert coarse == pytest.approx(16 * fine, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: kr.teacher_student_loss(SPECTRUM, n=0), "n"),
        (lambda: kr.resolution_limited_loss(-1, excess=0.5), "size"),
        (lambda: kr.resolution_limited_loss(10, excess=0.0), "excess"),
        (lambda: kr.nearest_neighbor_mean_sq_distance(5, 1.5), "dim"),
        (lambda: kr.linear_interpolation_mse_1d(-1), "n_points"),
        (lambda: kr.multilinear_interpolation_mse(4, 1, diag=1.0, offdiag=1.0), "offdiag"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
