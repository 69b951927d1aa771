"""The figures of tarzanagh2023 at quick scale: complete, legible, repeatable, and with markers where the lines are."""

from dataclasses import replace

import numpy as np
import pytest

import figures

FIGURES = figures.select("tarzanagh2023")


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
        with np.load(drawn[0] / f"tarzanagh2023.{name}.npz") as stored:
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
    (cheapest,) = figures.select("tarzanagh2023.tokens")
    for path in figures.draw(cheapest, out=tmp_path):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_each_parametrisation_finds_its_own_machine(numbers):
    data = numbers("directions")
    for name, own in (("W", 0), ("KQ", 1)):
        assert data[f"{name}_{own}"][-1] < data["apart"] / 300
        np.testing.assert_allclose(data[f"{name}_{1 - own}"][-1], data["apart"], rtol=0.1)
    late = np.isin(data["W_steps"], data["late"])
    np.testing.assert_allclose(data["W_0"][late][-5:], data["predicted"][-5:], rtol=0.02)


def test_runs_look_where_the_machines_of_their_tokens_do(numbers):
    data = numbers("tokens")
    cosines = np.sum(data["looks"][-1] * data["directions"], axis=1)
    assert (cosines > 0.999).all()
    assert data["directions"][0] @ data["directions"][1] < 0.9
    assert data["scores"][data["selected"][0]] == data["scores"].max()
    assert data["scores"][data["selected"][1]] < data["scores"].max()


def test_shares_of_separable_inputs_follow_cover(numbers):
    data = numbers("feasibility")
    for d in (2, 3, 4):
        assert (np.abs(data[f"found_{d}"] - data[f"cover_{d}"]) < 6 * data[f"error_{d}"] + 1e-3).all()
        assert data[f"cover_{d}"][data[f"n_{d}"] == 2 * d * d] == pytest.approx(0.5)
    assert (data["self_attention"][-5:] > data["cover_2"][-5:] + 0.3).all()


def test_distances_fall_as_the_constants_say(numbers):
    data = numbers("log_rate")
    for curve in ("flow_{}_0", "flow_{}_1", "flow_{}_2", "flow_{}_3", "path_{}_0", "path_{}_2"):
        product = data[curve.format("gap")] * data[curve.format("norm")] ** 2
        assert product[-1] == pytest.approx(data[curve.format("constant")], rel=0.03)
        assert abs(product[-1] / product[-2] - 1) < 0.03
