"""The figures of advani2017 at quick scale: complete, with markers on their lines and the shapes that captions name."""

import numpy as np
import pytest

import figures

PAPERS = ("advani2017",)


@pytest.mark.parametrize("figure", figures.select(*PAPERS), ids=lambda figure: figure.id)
def test_figure_is_complete(figure, complete):
    complete(figure)


@pytest.mark.parametrize("name", ["test", "train"])
def test_errors_lie_on_their_lines(numbers, name):
    data = numbers("advani2017.error_dynamics")
    for j in range(3):
        line = np.interp(data["marked"], data["fine"], data[f"{name}_{j}"])
        apart = np.abs(data[f"{name}_mean_{j}"] - line)
        inside = data["marked"] >= 0.5  # at alpha = 1, 32 features feel their least eigenvalue after some 100
        early = inside & (data["marked"] <= 30)
        assert (apart <= 6 * data[f"{name}_error_{j}"] + 0.05 * line + 0.02)[early].all()


def test_the_best_time_lies_in_the_valley(numbers):
    data = numbers("advani2017.heat_map")
    least = data["times"][data["error"].argmin(axis=0)]
    inside = least > 0.1
    np.testing.assert_allclose(np.log(least[inside] / data["best"][inside]), 0, atol=0.2)


def test_double_descent_is_that_of_training_without_end(numbers):
    data = numbers("advani2017.double_descent")
    late, stopped, ridge = data["lines"]
    assert late[np.abs(np.log(data["fine"])) < 0.05].min() > 10
    assert (np.diff(stopped) < 0).all()
    assert (np.diff(ridge) < 0).all()
    assert (stopped >= ridge).all()
    for j in (1, 2):
        line = np.interp(data["marked"], data["fine"], data["lines"][j])
        assert (np.abs(data["means"][j] - line) <= 6 * data["errors"][j] + 0.05 * line).all()


def test_best_times_grow_as_logarithms_except_at_one(numbers):
    data = numbers("advani2017.stopping_time")
    growth = data["lines"][:, -1] / data["lines"][:, 50]
    assert growth[1] > 5 * growth[3]
    for line, mean in zip(data["lines"], data["mean"], strict=True):
        np.testing.assert_allclose(mean, np.interp(data["marked"], data["fine"], line), rtol=0.15)


def test_initial_weights_cost_half_of_their_power(numbers):
    data = numbers("advani2017.initial_weights")
    assert (np.diff(data["lines"], axis=1) > 0).all()
    np.testing.assert_allclose(data["lines"][-1] - data["lines"][-1, 0], [0, 0.5, 1.5, 4.5], atol=1e-6)
    np.testing.assert_allclose(data["mean"][-1] - data["mean"][-1, 0], [0, 0.5, 1.5, 4.5], atol=1e-2)


def test_eigenvalues_follow_their_law(numbers):
    data = numbers("advani2017.spectrum")
    for j in range(3):
        line = np.interp(data[f"middle_{j}"], data["fine"], data[f"line_{j}"])
        np.testing.assert_allclose(data[f"density_{j}"][2:-2], line[2:-2], atol=0.04)
