"""The figure of mao2023 at quick scale: complete, with markers on their lines and dots below."""

import numpy as np
import pytest

import figures

PAPERS = ("mao2023",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


@pytest.mark.parametrize("series", range(5))
def test_dots_lie_below_their_line(numbers, series):
    data = numbers("mao2023.bounds")
    assert (data[f"errors_{series}"] <= data[f"allowed_{series}"] + 1e-9).all()
    assert data[f"errors_{series}"].size > 50
    assert (np.diff(data[f"line_{series}"]) >= 0).all()


@pytest.mark.parametrize("series", [0, 1, 2, 4])
def test_markers_lie_on_their_line(numbers, series):
    data = numbers("mao2023.bounds")
    on_line = np.interp(np.log(data[f"aims_{series}"]), np.log(data["fine"]), np.log(data[f"line_{series}"]))
    np.testing.assert_allclose(np.log(data[f"reached_{series}"]), on_line, atol=1e-3)
