"""The figure of snnk2023 at quick scale: complete, and with markers on its lines."""

import numpy as np
import pytest

import figures

PAPERS = ("snnk2023",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_standard_deviations_lie_on_their_lines(numbers):
    data = numbers("snnk2023.error")
    for length in (0.25, 0.5, 0.75):
        np.testing.assert_allclose(data[f"count_marks_{length}"], data[f"count_lines_{length}"], rtol=0.05, atol=1e-7)
    for label in ("parallel", "orthogonal", "opposite"):
        np.testing.assert_allclose(data[f"angle_marks_{label}"], data[f"angle_lines_{label}"], rtol=0.05, atol=1e-7)
