"""The figures of rosenfeld2023 at quick scale: complete, markers on their lines, borders kept."""

import numpy as np
import pytest

import figures

PAPERS = ("rosenfeld2023",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(complete, figure):
    complete(figure)


def test_sharpness_falls_then_rises_along_its_line(numbers):
    data = numbers("rosenfeld2023.sharpening")
    line = np.interp(data["marks"], data["time"], data["sharpness"])
    np.testing.assert_allclose(data["found"], line, rtol=1e-2)
    lowest = data["sharpness"].argmin()
    assert 0 < lowest < len(data["time"]) - 1
    assert data["sharpness"][0] > 1.2 * data["sharpness"][lowest]
    assert data["sharpness"][-1] == pytest.approx(float(data["end"]), rel=1e-2)
    np.testing.assert_allclose(data["sharpness"][150:], data["tracked"][150:], rtol=1e-2)


def test_descent_overshoots_and_settles_below_the_border(numbers):
    data = numbers("rosenfeld2023.self_stabilisation")
    np.testing.assert_allclose(data["measured_v"], data["v"], rtol=1e-5)
    np.testing.assert_allclose(data["measured_losses"], data["losses"], rtol=1e-3)
    sharpness = data["power"] * data["measured_v"] ** 2
    assert sharpness.max() > 2 / data["rate"] > sharpness[-1] > 1 / data["rate"]
    assert np.abs(data["measured_b"]).max() > 10 * abs(data["measured_b"][0])


def test_runs_end_at_the_minimum_below_the_critical_step_and_under_the_border_beyond(numbers):
    data = numbers("rosenfeld2023.edge_of_stability")
    ended, largest = data["found"][..., 0], data["found"][..., 1]
    below = data["ratios"] < 1
    np.testing.assert_allclose(ended[below], 1, atol=1e-4)
    np.testing.assert_allclose(largest[below], 1, rtol=1e-12)
    assert np.all(ended[~below] < 1 / data["ratios"][~below, None])
    assert np.all(largest[~below] > 1)
