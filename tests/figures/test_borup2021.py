"""The figures of borup2021 at quick scale: complete, and with markers on their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("borup2021",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


@pytest.mark.parametrize("panel", range(3))
def test_students_lie_on_their_lines(numbers, panel):
    data = numbers("borup2021.students")
    np.testing.assert_allclose(data[f"marks_{panel}"], data[f"lines_{panel}"], atol=1e-9)
    size = np.abs(data[f"marks_{panel}"]).max(axis=1)
    assert np.all(np.diff(size) < 0)
    assert (size[-1] < 1e-9) == (panel == 0)


def test_shares_and_ratios_lie_on_their_lines(numbers):
    data = numbers("borup2021.sparsification")
    for k in range(5):
        np.testing.assert_allclose(data[f"kept_{k}"], data[f"share_{k}"], rtol=1e-10)
    for k in range(4):
        np.testing.assert_allclose(data[f"found_{k}"], data[f"ratio_{k}"], rtol=1e-10)
    for k in range(1, 4):
        above = data[f"found_{k}"] > data[f"limit_{k}"]
        assert np.array_equal(above, data["steps"] > data["crossing"])
