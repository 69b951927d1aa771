"""The figure of javanmard2024 at quick scale: complete, and with markers near their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("javanmard2024",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_risks_lie_near_their_lines(numbers, k):
    data = numbers("javanmard2024.aggregates")
    line = np.interp(np.log(data["marked"]), np.log(data["fine"]), data[f"line_{k}"])
    # a hundred samples are not many, and least of all where the bag loss is nearly alone
    assert np.all(np.abs(data[f"mean_{k}"] - line) <= 6 * data[f"error_{k}"] + 0.25 * line)
    assert np.all(data[f"line_{k}"] >= data[f"best_{k}"] * (1 - 1e-9))


def test_privacy_moves_the_best_size_inside(numbers):
    data = numbers("javanmard2024.aggregates")
    best = [int(np.argmin(data[f"private_{j}"])) for j in range(4)]
    assert best[0] == 0
    assert np.all(np.diff(best) >= 0)
    assert 0 < best[3] < len(data["sizes"]) - 1
    for j in range(4):
        line = np.interp(data["bags"], data["sizes"], data[f"private_{j}"])
        assert np.all(np.abs(data[f"found_{j}"] - line) <= 6 * data[f"found_error_{j}"] + 0.15 * line)
