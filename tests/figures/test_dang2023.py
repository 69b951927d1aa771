"""The figures of dang2023 at quick scale: complete, legible, repeatable, and with markers where the lines are."""

from dataclasses import replace

import numpy as np
import pytest

import figures
from theory import neural_collapse as nc

FIGURES = figures.select("dang2023")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Draw every figure once, keeping what the studio threw away: the canvas."""
    folder, kept = tmp_path_factory.mktemp("figures"), {}
    for figure in FIGURES:

        def paint(run, figure=figure):
            kept[figure.id] = figure.paint(run)
            return kept[figure.id]

        figures.draw(replace(figure, paint=paint), out=folder)
    return folder, kept


@pytest.fixture
def numbers(drawn):
    """Give the stored numbers of a figure by its name."""

    def load(name):
        with np.load(drawn[0] / f"dang2023.{name}.npz") as stored:
            return dict(stored)

    return load


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.id)
def test_figure_is_drawn_with_labelled_axes_a_caption_and_no_title(drawn, figure):
    folder, kept = drawn
    assert (folder / f"{figure.id}.png").stat().st_size > 10_000
    assert (folder / f"{figure.id}.txt").read_text().strip() == figure.caption
    assert len(figure.caption) > 100
    canvas = kept[figure.id].canvas
    assert canvas.get_suptitle() == ""
    for axes in canvas.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.get_title() == ""


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.id)
def test_nothing_is_cut_off_at_the_edges(drawn, figure):
    canvas = drawn[1][figure.id].canvas
    box = canvas.get_tightbbox(canvas.canvas.get_renderer())
    width, height = canvas.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_drawing_again_gives_the_same_numbers_and_the_same_image(drawn, tmp_path):
    folder, _ = drawn
    (cheapest,) = figures.select("dang2023.phase_transition")
    for path in figures.draw(cheapest, out=tmp_path):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_modes_jump_where_the_lines_do(numbers):
    data = numbers("phase_transition")
    for depth in data["depths"]:
        near = np.abs(data["simulated_b"] - nc.fold_threshold(int(depth))) < 0.01
        for found, line in (("lowest", "strength"), ("followed", "branch")):
            exact = np.interp(data["simulated_b"], data["b"], data[f"{line}_{depth}"])
            np.testing.assert_allclose(data[f"{found}_{depth}"][~near], exact[~near], atol=3e-3)
    assert (data["followed_2"] > data["lowest_2"] + 0.1).any()
    assert not (data["followed_1"] > data["lowest_1"] + 1e-3).any()


def test_descent_collapses(numbers):
    data = numbers("collapse")
    for depth in data["depths"]:
        for bias in ("plain", "bias"):
            loss, nc1, nc2, nc3 = data[f"metrics_{depth}_{bias}"]
            assert (loss > -1e-12).all()
            assert loss[-1] < 1e-2
            for metric in (nc1, nc2, nc3):
                assert metric[-1] < 0.05 * metric[0]


def test_lengths_lie_on_the_lines(numbers):
    data = numbers("imbalanced_lengths")
    for depth in data["depths"]:
        for line, found in zip(data[f"lines_{depth}"], data[f"lengths_{depth}"], strict=True):
            np.testing.assert_allclose(found, np.interp(data["class_sizes"], data["n"], line), atol=2e-3)
            assert found[-1] < 1e-6
        assert data[f"distance_{depth}_means"][-1] < 0.1
        assert data[f"distance_{depth}_head"][-1] < 0.1
    assert (np.diff(data["lengths_2"][1][:-1]) > 0).all()
