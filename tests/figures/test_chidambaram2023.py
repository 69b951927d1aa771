"""The figure of chidambaram2023 at quick scale: complete, and with markers near their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("chidambaram2023",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_markers_lie_near_their_lines_and_below_saying_nothing(numbers):
    data = numbers("chidambaram2023.classes")
    for series in range(3):
        line = np.interp(data["marked"], data["fine"], data[f"line_{series}"])
        assert (np.abs(data[f"marks_{series}"] - line) < 2 * data[f"spread_{series}"] + 0.03).all()
        assert (np.diff(data[f"line_{series}"]) > 0).all()
    assert (data["line_2"] < data["nothing"] + 1e-12).all()
