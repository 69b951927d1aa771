"""The figures of roberts2021 at quick scale: complete, and with markers on their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("roberts2021",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_spreads_collapse_on_the_vertex(numbers):
    data = numbers("roberts2021.vertex")
    for name, slope in (("relu", 5.0), ("linear", 2.0)):
        np.testing.assert_allclose(data[f"{name}_line"][1:] / data[f"{name}_shape"][1:], slope)
        for n in (64, 128):
            exact = (1 + slope / n) ** (data[f"{name}_{n}_at"] * n) - 1
            assert (np.abs(data[f"{name}_{n}"] - exact) < 7 * data[f"{name}_{n}_error"]).all()


def test_sampled_signals_follow_the_recursion(numbers):
    data = numbers("roberts2021.kernel_decay")
    for name in ("relu", "tanh", "sin"):
        line = data[name][data["shown"] - 1]
        # a width of 400 shifts the mean by up to a per cent and more in deep layers
        assert (np.abs(data[f"{name}_mean"] - line) < 6 * data[f"{name}_error"] + 0.05 * line).all()
    assert data["tanh"][-1] * 2 * 300 == pytest.approx(1, abs=0.05)
    assert data["tanh_0.9"][-1] < 1e-10
    assert data["tanh_1.1"][-1] == pytest.approx(data["tanh_1.1"][-50], rel=1e-6)


def test_critical_points_lie_where_the_lines_meet(numbers):
    data = numbers("roberts2021.critical_lines")
    for name in ("gelu", "swish"):
        for direction in ("parallel", "perpendicular"):
            c_b, c_w = data[f"{name}_{direction}_c_b"], data[f"{name}_{direction}_c_w"]
            apart = np.hypot(c_b - data[f"{name}_found"][0], c_w - data[f"{name}_found"][1])
            assert apart.min() < 0.03
