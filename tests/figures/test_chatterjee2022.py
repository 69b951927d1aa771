"""The figure of chatterjee2022 at quick scale: complete, and with markers on their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("chatterjee2022",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


@pytest.mark.parametrize("series", range(4))
def test_markers_lie_on_their_line(numbers, series):
    data = numbers("chatterjee2022.samples")
    on_line = data[f"line_{series}"][data["marked"] - 1]
    assert (np.abs(data[f"marks_{series}"] - on_line) <= 7 * data[f"error_{series}"]).all()
    assert (np.diff(data[f"line_{series}"]) < 0).all()
