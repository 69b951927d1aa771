"""The figures of marchenko1967, silverstein1995, hastie2019 and nakkiran2020 at quick scale."""

import numpy as np
import pytest

import figures

PAPERS = ("marchenko1967", "silverstein1995", "hastie2019", "nakkiran2020")


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_drawn_eigenvalues_lie_within_the_ends_and_under_the_density(numbers):
    data = numbers("marchenko1967.spectrum")
    for ratio in (0.25, 1.5):
        eigenvalues, (low, high) = data[f"eigenvalues_{ratio}"], data[f"ends_{ratio}"]
        assert low - 0.1 < eigenvalues.min()
        assert eigenvalues.max() < high + 0.1
        x, density = data[f"x_{ratio}"], data[f"density_{ratio}"]
        below = np.sum(np.diff(x) * (density[1:] + density[:-1]) / 2 * (x[1:] < 1.0)) * max(ratio, 1)
        assert np.mean(eigenvalues < 1.0) == pytest.approx(below, abs=0.02)


def test_the_transform_of_drawn_data_is_on_its_line(numbers):
    data = numbers("marchenko1967.transform")
    for part in (0, 1):
        line = np.interp(data["marked"], data["fine"], data["right"][part])
        np.testing.assert_allclose(data["mean"][:, part], line, atol=0.05)


def test_bands_split_and_hold_their_share(numbers):
    data = numbers("silverstein1995.bands")
    assert [len(data[f"edges_{ratio}"]) for ratio in (0.05, 0.8)] == [4, 2]
    gap = data["edges_0.05"][1:3].mean()
    assert np.mean(data["eigenvalues_0.05"] < gap) == pytest.approx(0.3)
    phases = numbers("silverstein1995.phases")
    assert (np.diff(phases["inner"], axis=1) > 0).all()
    first = phases["outer"][np.searchsorted(phases["ratios"], phases["marked"][:6])]
    np.testing.assert_allclose(phases["found"][:6, [0, -1]], first, rtol=0.15)


def test_the_peak_is_gone_at_the_best_ridge(numbers):
    data = numbers("hastie2019.double_descent")
    assert data["none"].max() > 10
    assert (np.diff(data["best"]) > 0).all()
    best = np.interp(data["marked"], data["fine"], data["best"])
    np.testing.assert_allclose(data["marks_best"][:, 0], best, rtol=0.08)
    assert data["marks_variance"][3, 0] > data["marks_variance"][0, 0]


def test_more_data_help_at_the_best_ridge_only(numbers):
    data = numbers("nakkiran2020.more_data")
    assert (np.diff(data["best"]) < 0).all()
    assert data["fixed"][3] > data["fixed"][1]
    np.testing.assert_allclose(data["ridge"], 0.3 / data["marked"], rtol=1e-6)
