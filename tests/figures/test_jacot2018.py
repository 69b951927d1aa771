"""The figures of jacot2018 at quick scale: complete, legible, and with markers where the lines are."""

from dataclasses import replace

import numpy as np
import pytest

import figures

FIGURES = figures.select("jacot2018")


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
        with np.load(drawn[0] / f"jacot2018.{name}.npz") as stored:
            return dict(stored)

    return load


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.id)
def test_figure_is_drawn_with_labelled_axes_and_a_caption(drawn, figure):
    folder, kept = drawn
    assert (folder / f"{figure.id}.png").stat().st_size > 10_000
    assert (folder / f"{figure.id}.txt").read_text().strip() == figure.caption
    canvas = kept[figure.id].canvas
    assert all(axes.get_xlabel() and axes.get_title() == "" for axes in canvas.axes)
    box, (width, height) = canvas.get_tightbbox(canvas.canvas.get_renderer()), canvas.get_size_inches()
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_kernels_scatter_around_the_limit_and_less_when_wider(numbers):
    data = numbers("kernel_on_circle")
    line = np.interp(data["angles"], data["fine"], data["limit"])
    assert np.all(np.abs(data["mean"] - line) < 2 * data["std"] + 0.1)  # six standard errors of ten networks
    assert data["std"][1].mean() < data["std"][0].mean()


def test_medians_lie_inside_the_band(numbers):
    data = numbers("trained_functions")
    mean, band = (np.interp(data["angles"], data["fine"], data[name]) for name in ("mean", "band"))
    assert np.all(np.abs(data["middle"][-1] - mean) < band + 0.1)


def test_the_widest_networks_follow_the_mode(numbers):
    data = numbers("kernel_pca")
    line = np.interp(data["times"], data["t"], data["curve"])
    assert np.all(np.abs(data["mean"][-1] - line) < 0.05)
