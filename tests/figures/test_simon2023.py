"""The figures of simon2023 at quick scale: complete, with markers on their lines and the shapes that captions name."""

import numpy as np
import pytest

import figures

PAPERS = ("simon2023",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


@pytest.mark.parametrize("over", ["k", "n"])
def test_a_small_ridge_peaks_and_a_large_one_does_not(numbers, over):
    data = numbers("simon2023.double_descent")
    peaks = data[f"line_{over}"].max(axis=0) / data[f"line_{over}"][0]
    assert peaks[0] > 4
    assert peaks[2] < 1.2
    # sizes are of a few dozens, where corrections of order 1/n show most at the peak of the smallest ridge
    line = np.array([np.interp(data["marked"], data["fine"], column) for column in data[f"line_{over}"].T]).T
    apart = np.abs(data[f"mean_{over}"] - line)[:, 1:]
    assert (apart <= 6 * data[f"error_{over}"][:, 1:] + 0.1 * line[:, 1:]).all()


def test_more_is_better_at_the_best_ridge(numbers):
    risk = numbers("simon2023.more_is_better")["risk"]
    assert (np.diff(risk, axis=0) < 0).all()
    assert (np.diff(risk, axis=1) < 0).all()


def test_interpolation_is_best_up_to_the_critical_noise(numbers):
    data = numbers("simon2023.optimal_fitting")
    for case in range(3):
        below = data["noises"] < data[f"critical_{case}"]
        assert (data[f"line_{case}"][below] == 0).all()
        assert (data[f"line_{case}"][~below] > 0).all()
        line = np.interp(data["marked"], data["noises"], data[f"line_{case}"])
        np.testing.assert_allclose(data[f"marks_{case}"], line, atol=0.02)
        assert data[f"least_{case}"] <= data[f"risk_{case}"].min() * (1 + 1e-9)


def test_learnabilities_rise_in_order_and_add_up_to_less_than_the_samples(numbers):
    data = numbers("simon2023.learnabilities")
    assert (np.diff(data["lines"], axis=0) > 0).all()
    assert (np.diff(data["lines"], axis=1) < 0).all()
    assert (data["lines"] @ data["multiplicities"] < data["fine"]).all()
    line = np.array([np.interp(data["marked"], data["fine"], column) for column in data["lines"].T]).T
    assert (np.abs(data["mean"] - line) <= 6 * data["error"] + 0.05).all()
