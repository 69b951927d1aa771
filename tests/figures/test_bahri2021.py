"""The figures of bahri2021 at quick scale: complete, and with markers near their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("bahri2021",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_losses_lie_on_their_curves_away_from_the_peak(numbers):
    data = numbers("bahri2021.four_regimes")
    for j in range(3):
        line = np.interp(data[f"seen_{j}"], data["fine"], data[f"line_{j}"])
        apart = np.abs(data[f"mean_{j}"] / line - 1)
        assert (apart < 0.3 + 6 * data[f"error_{j}"] / line).all()


def test_exponents_of_fits_between_points(numbers):
    data = numbers("bahri2021.fits_between_points")
    for dim in (1, 2, 3):
        slope = np.diff(np.log(data[f"grid_{dim}"])) / (dim * np.log(2))
        assert slope[-1] == pytest.approx(-4 / dim, rel=0.02)
        assert data[f"grid_{dim}"][-1] == pytest.approx(data[f"grid_line_{dim}"][-1], rel=0.05)
    for dim in (1, 2):
        apart = np.abs(data[f"copy_{dim}"] - data[f"copy_line_{dim}"])[-1]
        assert apart < 6 * data[f"copy_error_{dim}"][-1] + 0.05 * data[f"copy_line_{dim}"][-1]
