"""The figures of feder2025 at quick scale: complete, and with markers on their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("feder2025",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_no_class_pays_more_than_the_weight_of_the_truth(numbers):
    data = numbers("feder2025.class_size")
    np.testing.assert_allclose(data["first"], data["line"], rtol=1e-10)
    assert data["all"].max() <= np.log(10) + 1e-9
    assert data["mean"][-1] < np.log(data["sizes"][-1] + 1) / 2


def test_predictors_of_all_coins_pay_what_is_summed(numbers):
    data = numbers("feder2025.one_parameter")
    for series in range(3):
        np.testing.assert_allclose(data[f"found_{series}"], data[f"on_marks_{series}"], rtol=1e-10)
        assert (np.diff(data[f"line_{series}"]) > 0).all()


@pytest.mark.parametrize("n", [10, 100])
def test_best_ball_lies_inside_and_above_the_regret(numbers, n):
    data = numbers("feder2025.ball")
    values = data[f"values_{n}"]
    assert data[f"least_{n}"][0] == pytest.approx(values.min(), rel=1e-12)
    assert 0 < np.argmin(values) < values.size - 1
    assert data[f"regret_{n}"] < values.min()
