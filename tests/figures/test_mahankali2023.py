"""The figures of mahankali2023 at quick scale: complete, legible, repeatable, and with markers where the lines are."""

from dataclasses import replace

import numpy as np
import pytest

import figures

FIGURES = figures.select("mahankali2023")


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
        with np.load(drawn[0] / f"mahankali2023.{name}.npz") as stored:
            return dict(stored)

    return load


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.id)
def test_figure_is_drawn_with_labelled_axes_and_a_caption(drawn, figure):
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


def test_drawing_again_gives_the_same_numbers_and_the_same_image(drawn, tmp_path):
    folder, _ = drawn
    (cheapest,) = figures.select("mahankali2023.preconditioner")
    for path in figures.draw(cheapest, out=tmp_path):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_trained_steps_lie_on_the_closed_form(numbers):
    data = numbers("step_size")
    for noise in ("0", "1", "4"):
        line = np.interp(data["trained_n"], data["n"], data[f"theory_{noise}"])
        np.testing.assert_allclose(data[f"trained_{noise}"], line, rtol=1e-6)


def test_risks_are_ordered_and_the_layer_has_its_own(numbers):
    data = numbers("risk")
    line = 10 ** np.interp(np.log(data["measured_n"]), np.log(data["n"]), np.log10(data["layer_theory"]))
    assert (np.abs(data["layer_mean"] - line) < 6 * data["layer_error"] + 0.01 * line).all()
    assert (data["bayes_mean"] < data["layer_mean"]).all()


def test_trained_preconditioners_are_the_predicted_ones(numbers):
    data = numbers("preconditioner")
    for name in ("inverse", "isotropic"):
        np.testing.assert_allclose(data[f"{name}_trained"], data[f"{name}_theory"], rtol=1e-6, atol=1e-9)


def test_steps_on_networks_follow_the_width(numbers):
    data = numbers("relu_width")
    line = np.interp(data["trained_k"], data["k"], data["theory"])
    np.testing.assert_allclose(data["mean"], line, rtol=0.06)
    assert (data["std"] > 0).all()
    assert (data["mean"] < data["linear"]).all()
