"""Figures of the perturbation analysis and of the base results of collapse, at quick scale."""

from dataclasses import replace

import numpy as np
import pytest

import figures

FIGURES = figures.select("tirer2022", "han2021", "mixon2020")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Draw every figure once, keeping the canvas that the studio throws away."""
    folder, kept = tmp_path_factory.mktemp("figures"), {}
    for figure in FIGURES:

        def paint(run, figure=figure):
            kept[figure.id] = figure.paint(run)
            return kept[figure.id]

        figures.draw(replace(figure, paint=paint), out=folder)
    return folder, kept


@pytest.fixture
def numbers(drawn):
    """Give the stored numbers of a figure by its id."""

    def load(name):
        with np.load(drawn[0] / f"{name}.npz") as stored:
            return dict(stored)

    return load


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.id)
def test_figure_is_complete_and_nothing_is_cut_off(drawn, figure):
    folder, kept = drawn
    assert (folder / f"{figure.id}.png").stat().st_size > 10_000
    assert (folder / f"{figure.id}.txt").read_text().strip() == figure.caption
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
    (cheapest,) = figures.select("han2021.central_path")
    for path in figures.draw(cheapest, out=tmp_path):
        assert path.read_bytes() == (drawn[0] / path.name).read_bytes()


def test_spectra_lie_on_their_steps(numbers):
    data = numbers("tirer2022.response_spectrum")
    for series in range(data["decays"].size):
        line = data[f"theory_{series}"][data[f"shown_{series}"] - 1]
        np.testing.assert_allclose(data[f"simulation_{series}"], line, atol=1e-10)


def test_layers_follow_the_path_the_closer_the_stronger_the_tie(numbers):
    data = numbers("tirer2022.layers")
    gaps = []
    for series in range(3):
        line = np.interp(
            np.arange(data[f"tie_{series}_mean"].size), data[f"tie_{series}_layer"], data[f"tie_{series}_theory"]
        )
        gaps.append(np.abs(line - data[f"tie_{series}_mean"]).max())
        assert np.all(np.diff(data[f"tie_{series}_mean"]) < 0)
    assert gaps[2] < gaps[1] < gaps[0] < 0.3
    ends = [data[f"decay_{series}_mean"][-1] for series in range(3)]
    assert ends[2] < ends[1] < ends[0]


def test_decay_of_the_backbone_matters_more_than_that_of_the_last_layer(numbers):
    data = numbers("tirer2022.network_decay")
    base, last_doubled, last_zero, doubled, zero = (data[f"nc1_{series}"][-1] for series in range(5))
    assert zero > last_zero > base > doubled
    assert last_doubled > doubled


def test_central_path_markers_lie_on_the_lines(numbers):
    data = numbers("han2021.central_path")
    for j in range(3):
        line = np.exp(np.interp(np.log(data["times"]), np.log(data["t"]), np.log(data["theory"][:, j])))
        np.testing.assert_allclose(data["simulation"][:, j], line, rtol=5e-3)


def test_the_simplex_comes_last(numbers):
    data = numbers("mixon2020.metrics")
    early = data["times"] < 7
    for name, tolerance in (("NC1", 0.05), ("NC2", 0.05), ("NC3", 0.05)):
        line = np.exp(np.interp(data["times"], data["x"], np.log(data[f"linear_{name}"])))
        np.testing.assert_allclose(data[name][early], line[early], rtol=tolerance)
    assert data["NC2"][early][-1] > 0.1
    assert data["NC2"][-1] < 1e-5
    np.testing.assert_allclose(data["modes"][-1], np.sqrt(data["n"]), rtol=1e-6)
