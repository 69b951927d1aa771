"""The figures of bbp, granziol2020 and sagun2017 at quick scale: complete, and with markers on their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("bbp", "granziol2020", "sagun2017")


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_drawn_tops_lie_near_their_limits_away_from_the_transition(numbers):
    data = numbers("bbp.outlier")
    for name in ("wigner", "covariance"):
        lines = np.array([np.interp(data["marked"], data["fine"], line) for line in data[f"{name}_lines"]])
        marks = data[f"{name}_marks"][..., 0].T
        far = (data["marked"] > 1.6) | (data["marked"] < 0.3)
        np.testing.assert_allclose(marks[:, far], lines[:, far], rtol=0.06, atol=0.06)


def test_one_eigenvalue_leaves_the_semicircle_above_the_transition(numbers):
    data = numbers("bbp.spectrum")
    assert data["eigenvalues_0.7"].max() < 2.2
    assert (data["eigenvalues_2.0"] > 2.2).sum() == 1


def test_batches_lift_what_the_whole_has(numbers):
    data = numbers("granziol2020.batch_size")
    at = np.searchsorted(data["fine"], data["marked"])
    np.testing.assert_allclose(data["marks"][:, :2], data["lines"][at], rtol=0.1)
    np.testing.assert_allclose(data["marks"][-1, :2], [3.0, 1.5], rtol=1e-9)
    assert (np.diff(data["lines"], axis=0) < 0).all()


def test_the_gauss_newton_part_ends_at_its_rank(numbers):
    data = numbers("sagun2017.split")
    kept = data["gauss_newton"] > 1e-11
    assert kept.sum() == data["rank"] == 12
    assert (data["whole"] < -1e-3).sum() > 5


def test_outliers_are_counted(numbers):
    data = numbers("sagun2017.clusters")
    for C in (2, 3):
        number, location, edge = data[f"outliers_{C}"]
        assert (data[f"spectrum_{C}"] > (location + edge) / 2).sum() == number == 3 * (C - 1)
