"""The figures of mackay2019 at quick scale: complete, markers on their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("mackay2019",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(complete, figure):
    complete(figure)


def test_trained_gates_lie_on_their_sigmoids(numbers):
    data = numbers("mackay2019.gates")
    for k in range(3):
        line = np.interp(data["trained_penalty"], data["penalty"], data["gates"][:, k])
        np.testing.assert_allclose(data["trained"][:, k], line, atol=1e-4)


def test_errors_of_trained_networks_lie_on_the_lines_and_the_descent_ends_at_the_best_penalty(numbers):
    data = numbers("mackay2019.validation")
    for k in range(2):
        line = np.interp(data["trained_penalty"], data["penalty"], data["errors"][k])
        np.testing.assert_allclose(data["trained"][k], line, rtol=1e-3)
    assert np.all(np.diff(data["errors"][0]) > 0)
    assert float(data["bottom"]) == pytest.approx(data["errors"][1].min(), rel=1e-3)
    assert float(data["found"]) == pytest.approx(float(data["best"]), abs=0.05)
