"""The figure of tran2022 at quick scale: complete, and with markers on its lines."""

import numpy as np
import pytest

import figures

PAPERS = ("tran2022",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_differences_of_distribution_functions_approach_their_limit(numbers):
    data = numbers("tran2022.distance")
    errors = [np.abs(data[f"gap_{n}"] - data["limit"]).max() for n in (24, 96, 384)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert errors[2] < 0.005


def test_distances_lie_on_their_lines(numbers):
    data = numbers("tran2022.distance")
    for kind in ("relu", "linear"):
        np.testing.assert_allclose(data[f"exact_{kind}"], data[f"lines_{kind}"], rtol=3e-3)
        assert (np.abs(data[f"drawn_{kind}"] - data[f"exact_{kind}"]) < 5 * data[f"error_{kind}"]).all()
