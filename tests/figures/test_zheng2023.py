"""The figure of zheng2023 at quick scale: complete, and with markers near their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("zheng2023",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


@pytest.mark.parametrize("series", [0, 1])
def test_markers_lie_near_their_lines(numbers, series):
    data = numbers("zheng2023.error")
    apart = np.abs(data["marks"][series] - data[f"on_marks_{series}"])
    # sixty points are not many
    assert (apart <= 6 * data["error"][series] + 0.02).all()
    assert (np.diff(data[f"line_{series}"]) > 0).all()
    assert (data["line_0"][1:] < data["line_1"][1:]).all()
