"""The figures of wang2023 and han2024 at quick scale: complete, and with markers on their lines."""

import numpy as np
import pytest

import figures

PAPERS = ("wang2023", "han2024")


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


def test_degrees_are_learned_in_turn(numbers):
    data = numbers("wang2023.staircase")
    np.testing.assert_allclose(data["by_power"], data["by_power_lines"], atol=0.03)
    np.testing.assert_allclose(data["by_dim"], data["by_dim_lines"], atol=0.03)
    assert (np.diff(data["by_dim"], axis=0)[:, 0] > 0).all()
    assert (np.diff(data["by_dim"], axis=0)[:, 1:] < 0).all()


@pytest.mark.parametrize("law", ["Gaussian", "two values"])
def test_losses_differ_by_the_constant(numbers, law):
    data = numbers("han2024.losses")
    np.testing.assert_allclose(data[f"differences_{law}"], data[f"gap_{law}"], rtol=1e-8)
    excess = data[f"least_{law}"] / data[f"least_lines_{law}"] - 1
    assert (excess > -1e-9).all()
    assert (excess < (1e-6 if law == "Gaussian" else 1.0)).all()
    assert excess[-1] < 1e-6
