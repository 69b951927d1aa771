"""The figures of zhang2023 at quick scale: complete, legible, repeatable, and with markers where the lines are."""

from dataclasses import replace

import numpy as np
import pytest

import figures

FIGURES = figures.select("zhang2023")


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
        with np.load(drawn[0] / f"zhang2023.{name}.npz") as stored:
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
    (cheapest,) = figures.select("zhang2023.training_curve")
    for path in figures.draw(cheapest, out=tmp_path):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_descent_follows_the_logistic_curve(numbers):
    data = numbers("training_curve")
    for tag in ("2_plus", "10_plus", "50_plus", "10_minus"):
        for name in ("loss", "coefficient"):
            line = np.interp(data["times"], data["t"], data[f"{name}_theory_{tag}"])
            assert np.abs(data[f"{name}_{tag}"] - line).max() < 0.05
    assert np.abs(data["coefficient_10_minus"][-1]) < 1e-3


def test_risks_fall_to_their_plateaus(numbers):
    data = numbers("test_length")
    for n in (5, 20, 100):
        line = np.exp(np.interp(np.log(data["measured_M"]), np.log(data["M"]), np.log(data[f"theory_{n}"])))
        assert (np.abs(data[f"mean_{n}"] - line) < 6 * data[f"error_{n}"] + 0.02 * line).all()
        assert data[f"theory_{n}"][-1] > data[f"plateau_{n}"]
        assert (data["bayes_mean"] < data[f"mean_{n}"] + 3 * data["bayes_error"]).all()


def test_only_unscaled_inputs_are_answered_well(numbers):
    data = numbers("covariate_shift")
    for k in (0, 2):
        line = np.interp(data["scales"], data["c"], data[f"theory_{k}"])
        np.testing.assert_allclose(data[f"marks_{k}"], line, atol=0.01)
    line = np.interp(data["scales"], data["c"], data["theory_1"])
    assert (np.abs(data["finite_mean"] - line) < 6 * data["finite_error"] + 0.01).all()


def test_random_covariances_leave_a_plateau(numbers):
    data = numbers("random_covariance")
    for k in range(3):
        line = np.interp(data["trained_N"], data["N"], data[f"theory_{k}"])
        np.testing.assert_allclose(data[f"trained_{k}"], line, rtol=5e-3)
    assert data["plateau_0"] == 0
    assert data["plateau_1"] > data["plateau_2"] > 0
