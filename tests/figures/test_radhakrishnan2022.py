"""The figures of radhakrishnan2022 at quick scale: complete, and with markers where theory says."""

import numpy as np
import pytest

import figures

PAPERS = ("radhakrishnan2022",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_deep_kernels_lie_on_their_limits(numbers):
    data = numbers("radhakrishnan2022.singular_kernel")
    for d in (1, 2, 3):
        line = np.exp(np.interp(np.log(data["marked"]), np.log(data["distance"]), np.log(data[f"limit_{d}"])))
        np.testing.assert_allclose(data[f"deep_{d}"], line, rtol=0.02)
        slope = np.diff(np.log(data[f"limit_{d}"][:20])) / np.diff(np.log(data["distance"][:20]))
        assert slope.mean() == pytest.approx(-d, abs=0.02)


def test_only_the_right_pole_keeps_learning(numbers):
    mean = numbers("radhakrishnan2022.classifiers")["mean"]
    assert mean[-1, 0] > 0.9
    assert mean[-1, 0] > mean[0, 0]
    assert mean[-1, 0] > mean[-1, 1] > 0.8
    assert mean[-1, 2] == pytest.approx(0.8, abs=0.03)


def test_the_deepest_networks_decide_as_their_limits(numbers):
    data = numbers("radhakrishnan2022.decisions")
    for name in ("nearest input", "singular kernel", "majority"):
        agree = np.mean(np.sign(data[f"{name} votes"][-1]) == np.sign(data[f"{name} limit"]))
        assert agree > 0.85, name
