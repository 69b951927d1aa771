"""The figures of tyurin2024, wu2023, heo2021 and granziol2022 at quick scale: complete, markers on their lines."""

from dataclasses import replace

import numpy as np
import pytest

import figures

FIGURES = figures.select("tyurin2024", "wu2023", "heo2021", "granziol2022")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder, kept = tmp_path_factory.mktemp("figures"), {}
    for figure in FIGURES:

        def paint(run, figure=figure):
            kept[figure.id] = figure.paint(run)
            return kept[figure.id]

        figures.draw(replace(figure, paint=paint), out=folder)
    return folder, kept


@pytest.fixture
def numbers(drawn):
    def load(name):
        with np.load(drawn[0] / f"{name}.npz") as stored:
            return dict(stored)

    return load


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.id)
def test_figure_is_drawn_with_labelled_axes_a_caption_and_nothing_cut_off(drawn, figure):
    folder, kept = drawn
    assert (folder / f"{figure.id}.png").stat().st_size > 10_000
    assert len((folder / f"{figure.id}.txt").read_text()) > 100
    canvas = kept[figure.id].canvas
    for axes in canvas.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.get_title() == ""
    box = canvas.get_tightbbox(canvas.canvas.get_renderer())
    width, height = canvas.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_larger_steps_separate_sooner_at_a_higher_loss(numbers):
    data = numbers("tyurin2024.loss_and_accuracy")
    steps = [int(data[f"steps_{k}"]) for k in range(5)]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > 20 * steps[-1]
    assert data["loss_4"].max() > 50 * data["loss_3"].max() > data["loss_0"].max()
    largest = data["gammas"][-1] * data["perceptron_loss"]
    shown = data["shown"][data["shown"] < data["separated"]]
    np.testing.assert_allclose(data["loss_4"][: len(shown)], largest[shown - 1], rtol=1e-2)


def test_paths_close_in_on_the_perceptron(numbers):
    data = numbers("tyurin2024.perceptron_path")
    for name in ("plain", "normalized"):
        exact = data[f"{name}_perceptron"]
        distances = [np.abs(data[f"{name}_{k}"] - exact).max() for k in range(1, 5)]
        assert distances[-1] < 1e-6
        assert distances[-1] < distances[1] < distances[0]
        assert (data["rows"] @ exact[-1] > 0).all()


def test_counts_lie_on_the_closed_form_and_below_the_bounds(numbers):
    data = numbers("tyurin2024.number_of_samples")
    at = np.searchsorted(data["curve"], data["n"])
    known = data["curve"][at] == data["n"]
    assert known.sum() >= 2
    np.testing.assert_array_equal(data["plain"][known], data["exact"][at][known])
    assert (data["normalized"] == 2).all()
    assert (data["exact"] <= data["sharper"]).all()
    assert (data["sharper"] <= data["bound"]).all()


def test_thresholds_of_sgd_lie_on_the_closed_form_below_both_bounds(numbers):
    data = numbers("wu2023.stable_step_sizes")
    for k, B in enumerate(data["simulated_batch"]):
        if B in data["batch"]:
            np.testing.assert_allclose(data["measured"][k], data["exact"][list(data["batch"]).index(B)], rtol=1e-9)
    assert (data["exact"] <= data["bound"] * (1 + 1e-9)).all()
    assert (data["bound"] <= data["plain"] * (1 + 1e-9)).all()
    np.testing.assert_allclose(data["exact"][-1], 1, atol=0.05)


def test_outliers_follow_their_limit_away_from_the_transition(numbers):
    data = numbers("granziol2022.outlier")
    P = data["sizes"][-1]
    for column, name in enumerate(("eigenvalue", "overlap")):
        line = np.interp(data["spikes"], data["curve"], data["limit"][:, column])
        far = np.abs(data["spikes"] - 1) > 0.6
        np.testing.assert_allclose(data[f"{name}_{P}"].mean(axis=1)[far], line[far], atol=0.06)


def test_norms_grow_as_their_updates_say(numbers):
    data = numbers("heo2021.norm_growth")
    for k in range(3):
        np.testing.assert_allclose(data[f"measured_{k}"], data[f"predicted_{k}"], rtol=1e-10)
    assert data["measured_1"][-1] > 3 * data["measured_2"][-1] > 3 * data["measured_0"][-1]
