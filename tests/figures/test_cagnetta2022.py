"""The figures of cagnetta2022 at quick scale: complete, and with markers that approach their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("cagnetta2022",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_local_kernels_learn_at_one_rate_and_others_at_lower_ones(numbers):
    data = numbers("cagnetta2022.learning_curves")
    for p in (1, 2, 4):
        assert np.log2(data[f"local_{p}"][-2] / data[f"local_{p}"][-1]) == pytest.approx(1, abs=0.35)
    for p in (1, 2, 3):
        found, points = data[f"whole_{p}"][-2:], data[f"points_{p}"][-2:]
        assert -np.diff(np.log(found))[0] / np.diff(np.log(points))[0] == pytest.approx(1 / p, abs=0.06)


@pytest.mark.parametrize("kernel", ["rfk", "ntk"])
def test_eigenvalues_lie_on_their_lines(numbers, kernel):
    data = numbers("cagnetta2022.spectrum")
    for series in (0, 1):
        np.testing.assert_allclose(data[f"{kernel}_{series}"][-2:], data[f"{kernel}_line_{series}"][-2:], rtol=0.1)
