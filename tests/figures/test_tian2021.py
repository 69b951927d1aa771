"""The figures of tian2021 at quick scale: complete, with markers on their lines and the states that captions name."""

import numpy as np
import pytest

import figures

PAPERS = ("tian2021",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


@pytest.mark.parametrize("name", ["free", "decay"])
def test_matrices_stay_on_the_paths(numbers, name):
    data = numbers("tian2021.phase_portrait")
    for j in range(data[f"{name}_p"].shape[1]):
        for row, course in enumerate((data[f"{name}_p"], data[f"{name}_s"])):
            line = np.interp(data["marked"], data["fine"], course[:, j])
            np.testing.assert_allclose(data[f"{name}_found"][:, row, j], line, atol=5e-3)


def test_paths_conserve_what_they_should(numbers):
    data = numbers("tian2021.phase_portrait")
    constant = data["free_s"] - data["free_p"] ** 2
    np.testing.assert_allclose(constant, constant[:1] * np.ones_like(constant), atol=1e-9)
    np.testing.assert_allclose(data["decay_s"][-1], data["decay_p"][-1] ** 2, atol=1e-4)


def test_velocities_are_those_of_gradients_and_touch_zero_at_the_critical_decay(numbers):
    data = numbers("tian2021.saddle_node")
    for j in range(3):
        line = np.interp(data["marked"], data["fine"], data[f"line_{j}"])
        np.testing.assert_allclose(data[f"found_{j}"], line, atol=2e-4)
    positive = data["fine"] > 0.2
    assert data["line_0"][positive].max() > 0.01
    assert abs(data["line_1"][positive].max()) < 1e-4
    assert data["line_2"][positive].max() < -0.01


def test_commutators_shrink_below_their_bound(numbers):
    data = numbers("tian2021.alignment")
    for j in range(2):
        line = np.interp(data["marked"], data["fine"], np.log(data[f"line_{j}"]))
        np.testing.assert_allclose(np.log(data[f"found_{j}"]), line, atol=5e-3)
        assert (data[f"line_{j}"] <= data[f"bound_{j}"] * (1 + 1e-9)).all()


def test_only_both_ingredients_keep_a_representation(numbers):
    data = numbers("tian2021.ingredients")
    ends = np.array([data[f"found_{j}"][-1] for j in range(4)])
    assert ends[0] > 0.3
    assert (ends[1:] < 1e-4).all()
    for j in (0, 1, 3):
        line = np.interp(data["marked"], data["fine"], np.log(data[f"line_{j}"]))
        np.testing.assert_allclose(np.log(data[f"found_{j}"]), line, atol=5e-3)
    assert (np.log(data["found_2"]) <= np.interp(data["marked"], data["fine"], np.log(data["line_2"]))).all()


def test_survivors_are_counted_to_one_mode(numbers):
    data = numbers("tian2021.survival")
    for j in range(3):
        line = np.interp(data["marked"], data["fine"], data[f"line_{j}"])
        near = np.abs(data["marked"] - 0.25 / (1 + (0.0, 0.25, 1.0)[j])) < 0.01
        assert (np.abs(data["alive"][:, j] - line) <= 1 / 24 + 1e-9)[~near].all()


def test_small_modes_are_saved_by_the_critical_lift(numbers):
    data = numbers("tian2021.direct_pred")
    np.testing.assert_allclose(data["found"], data["line"][::5], atol=5e-3)
    small = data["line"][:, 2] > 0.1
    assert data["fine"][small].min() == pytest.approx(float(data["critical"]), abs=0.03)
    assert not small[data["fine"] < 0.5 * data["critical"]].any()
