"""The figures of fu2023 at quick scale: complete, legible, and with markers where the lines are."""

from dataclasses import replace

import numpy as np
import pytest

import figures

FIGURES = figures.select("fu2023")


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
        with np.load(drawn[0] / f"fu2023.{name}.npz") as stored:
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
        shares = any(axes.get_shared_y_axes().joined(axes, other) for other in canvas.axes if other is not axes)
        assert axes.get_xlabel()
        assert axes.get_ylabel() or shares
        assert axes.get_title() == ""
    box = canvas.get_tightbbox(canvas.canvas.get_renderer())
    width, height = canvas.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_trained_layers_outrun_those_of_the_descent_stack(numbers):
    data = numbers("layers")
    trained, stack = (np.diff(data[f"{name}_newton"]) for name in ("trained_layers", "one_step_a_layer"))
    assert trained.min() > stack.max()
    for curve in (data["newton"], data["descent"]):
        assert (np.diff(curve[curve > 1e-12]) < 0).all()  # below, answers in single precision are exhausted


def test_best_matches_move_right_with_depth(numbers):
    data = numbers("similarity")
    assert data["newton"].max() <= 1
    assert (np.diff(data["newton"][:2].argmax(axis=1)) > 0).all()
    assert (np.abs(data["newton"].max(axis=1) - data["descent"].max(axis=1)) < 0.15).all()


def test_counts_are_the_predicted_ones(numbers):
    data = numbers("iterations")
    for method in ("gram", "identity", "descent"):
        np.testing.assert_array_equal(data[f"{method}_predicted"], data[f"{method}_counted"])


def test_recall_follows_its_formula_and_least_squares_forgets_nothing(numbers):
    data = numbers("recall")
    assert (np.abs(data["mean"] - data["theory"]) <= 6 * data["error"] + 1e-15).all()
    assert data["least_squares"].max() < 1e-8


def test_conditioning_costs_newton_iterations_and_descent_a_factor(numbers):
    data = numbers("conditioning")
    k = [np.argmax(data[f"{name}_newton"] < 1e-2) for name in ("isotropic", "ill-conditioned")]
    t = [np.log2(data["times"][np.argmax(data[f"{name}_descent"] < 1e-2)]) for name in ("isotropic", "ill-conditioned")]
    assert 3 < k[1] - k[0] < 14
    assert t[1] - t[0] > 3
