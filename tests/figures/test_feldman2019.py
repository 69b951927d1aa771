"""The figures of feldman2019 at quick scale: complete, and with markers on their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("feldman2019",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_drawn_frequencies_lie_on_the_ratios_of_moments(numbers):
    data = numbers("feldman2019.posterior_frequency")
    for prior in range(3):
        known = np.isfinite(data[f"marks_{prior}"])
        apart = np.abs(data[f"marks_{prior}"] - data[f"line_{prior}"])[known]
        assert known.all()
        assert (apart <= 6 * data[f"error_{prior}"][known] + 0.02).all()


def test_costs_are_linear_and_markers_on_them(numbers):
    data = numbers("feldman2019.excess_error")
    for line, marks in (("line_misfit", "marks_misfit"), ("line_cap", "marks_cap")):
        np.testing.assert_allclose(np.diff(data[line], 2), 0, atol=1e-12)
        mean, error = data[marks].T
        assert (np.abs(mean - data[line]) <= 6 * error + 1e-12).all()


def test_the_cost_of_a_zipf_law_falls_slowly(numbers):
    data = numbers("feldman2019.zipf_cost")
    assert (np.diff(data["limit"]) < 0).all()
    assert (data["limit"] < data["guide"]).all()
    mean, error = data["marks"][-1]
    assert abs(mean - np.interp(data["marked"][-1], data["fine"], data["limit"])) < 6 * error + 1e-3
