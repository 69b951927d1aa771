"""The figures of he2024 at quick scale: complete, and with markers on their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("he2024",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_bounds_fall_from_layer_to_layer_and_stay_above_the_gap(numbers):
    data = numbers("he2024.layers")
    for k, name in enumerate(("kl", "wasserstein")):
        line, marks, error = (data[f"{part}_{name}"] for part in ("line", "marks", "error"))
        assert (np.diff(line) < 0).all()
        assert (np.abs(marks - line) < 6 * error + 1e-9).all()
        assert (data["gap"][k] - 6 * data["gap_error"][k] < line).all()


def test_counted_gaps_lie_on_the_quadrature_and_under_the_bound(numbers):
    data = numbers("he2024.samples")
    for d in (2, 20):
        assert (np.abs(data[f"marks_{d}"] - data[f"gap_{d}"]) < 6 * data[f"error_{d}"]).all()
        assert (data[f"gap_{d}"] < data[f"bound_{d}"]).all()


def test_dropout_loses_least_of_what_every_unit_tells(numbers):
    data = numbers("he2024.contraction")
    on_lines = np.array([np.interp(data["marked"], data["fine"], line) for line in data["lines"]]).T
    np.testing.assert_allclose(data["marks"], on_lines, atol=1e-12)
    dots = data["dots"]
    assert (dots[np.isfinite(dots)] <= np.broadcast_to(on_lines[:, :1], dots.shape)[np.isfinite(dots)] + 1e-12).all()
