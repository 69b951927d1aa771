"""The figures of gastpar2023 at quick scale: complete, and with markers on their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("gastpar2023",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


@pytest.mark.parametrize("n", [2, 5, 10])
def test_staircases_descend_and_are_played_as_predicted(numbers, n):
    data = numbers("gastpar2023.staircase")
    assert (np.diff(data[f"line_{n}"]) <= 1e-12).all()
    # failures too rare to have been seen have no error bar
    assert (np.abs(data[f"marks_{n}"] - data[f"on_marks_{n}"]) <= 6 * data[f"error_{n}"] + 0.005).all()


def test_failure_peaks_where_the_subspace_is_as_large_as_the_sample(numbers):
    data = numbers("gastpar2023.trade_off")
    for d, n in ((12, 4), (40, 10)):
        assert data[f"dimensions_{d}"][np.argmax(data[f"lines_{d}"][:, 0])] == n
        assert (np.diff(data[f"lines_{d}"][:, 1]) < 0).all()
    apart = np.abs(data["marks_12"] - data["lines_12"])
    assert (apart <= 7 * data["error_12"] + 0.01).all()
