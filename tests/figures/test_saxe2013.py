"""The figures of saxe2013 at quick scale: complete, legible, repeatable, and with markers where the lines are."""

from dataclasses import replace

import numpy as np
import pytest

import figures

FIGURES = figures.select("saxe2013")


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
        with np.load(drawn[0] / f"saxe2013.{name}.npz") as stored:
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
    (cheapest,) = figures.select("saxe2013.phase_portrait")
    for path in figures.draw(cheapest, out=tmp_path):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_modes_follow_their_curves(numbers):
    data = numbers("mode_strength")
    for curve, found in (("sigmoid", "decoupled"), ("matrix_solution", "random_mean")):
        line = [np.interp(data["times"], data["t"], data[curve][:, k]) for k in range(data["s"].size)]
        assert np.abs(np.transpose(line) - data[found]).max() < 0.02 * data["s"].max()
    assert (data["random_std"] > 0).all()


def test_trajectories_keep_to_their_hyperbolae(numbers):
    data = numbers("phase_portrait")
    at = np.searchsorted(data["t"], data["times"] - 1e-9)
    exact = np.stack([data["a"][:, at], data["b"][:, at]], axis=-1)
    np.testing.assert_allclose(data["descent"], exact, atol=0.02)


def test_step_counts_follow_the_theory_to_their_limits(numbers):
    data = numbers("learning_time")
    for k in range(3):
        found = data[f"simulation_{k}"]
        line = np.interp(data["simulated_depth"][: found.size], data["depth"], data[f"theory_{k}"].ravel())
        np.testing.assert_allclose(found, line, rtol=0.05)
    assert abs(data["theory_0"].ravel()[-1] / data["limit_0"] - 1) < 0.02


def test_measured_stability_limits_are_the_critical_rates(numbers):
    data = numbers("learning_rate")
    at = np.searchsorted(data["depth"], data["measured_depth"])
    np.testing.assert_allclose(data["measured"], data["critical"][at], rtol=5e-3)
    assert (data["fastest_orthogonal"] <= data["measured"]).all()
    assert data["fastest_Gaussian"][-1] < data["fastest_orthogonal"][-1]


def test_only_gaussian_weights_pay_for_depth(numbers):
    data = numbers("training_steps")
    at = np.searchsorted(data["depth"], data["simulated_depth"])
    np.testing.assert_allclose(data["isometries"], data["theory"][at], rtol=0.05)
    growth = {
        name: data[f"{name}_mean"][-1] / data[f"{name}_mean"][0] for name in ("Gaussian", "orthogonal", "pretrained")
    }
    assert growth["Gaussian"] > 3 * max(growth["orthogonal"], growth["pretrained"])


def test_products_spread_as_the_exponents_say(numbers):
    data = numbers("random_products")
    line = [np.mean(data["exponents"] * 100 > np.log(level)) for level in data["levels"]]
    np.testing.assert_allclose(data["above_100_mean"], line, atol=0.06)
    np.testing.assert_allclose(data["orthogonal"], 1.0, rtol=1e-11)
    at = np.searchsorted(data["depth"], data["measured_depth"])
    assert (np.abs(data["mean"] - data["exact"][at]) < 6 * data["error"]).all()


def test_jacobians_grow_and_shrink_as_the_theory_says(numbers):
    data = numbers("tanh_jacobian")
    for gain in data["gains"]:
        predicted = data[f"predicted_{gain:g}"][data["measured_depth"]]
        np.testing.assert_allclose(data[f"mean_{gain:g}"], predicted, rtol=0.25)
