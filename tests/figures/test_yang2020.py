"""The figures of yang2020 at quick scale: complete, and with markers where the lines are."""

import numpy as np
import pytest

import figures

PAPERS = ("yang2020",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_movements_follow_the_powers(numbers):
    data = numbers("yang2020.movements")
    apart = np.abs(np.log(data["size"] / data["lines"]))
    decades = np.log(data["widths"][-1] / data["widths"])[:, None, None]
    assert (apart < 0.15 * decades + 6 * (data["error"] + data["error"][-1])).all()
    assert data["exponents"][0, 0] == 0


def test_parametrisations_lie_in_their_regimes(numbers):
    start, r, kind = numbers("yang2020.regimes")["place"].T
    assert (r >= np.maximum(1 - start, 0) - 1e-12).all()
    assert (r[kind == 0] == 0).all()
    assert (r[kind == 1] > 0).all()
    assert {0, 1, 2} <= set(kind)


def test_wide_networks_follow_the_limit_and_not_the_kernel(numbers):
    data = numbers("yang2020.losses")
    error = 6 * data["spread"][-1] / np.sqrt(60) + 0.01
    assert (np.abs(data["mean"][-1] - data["limit"]) < error).all()
    assert np.abs(data["frozen"] - data["limit"]).max() > 0.02
    assert (data["spread"][2] <= data["spread"][0]).all()
