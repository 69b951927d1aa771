"""The figures of vonoswald2022 at quick scale: complete, and with markers where the lines are."""

import numpy as np
import pytest

import figures

FIGURES = figures.select("vonoswald2022")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("figures")
    for figure in FIGURES:
        figures.draw(figure, out=out)
    return out


@pytest.fixture
def numbers(folder):
    def load(name):
        with np.load(folder / f"vonoswald2022.{name}.npz") as stored:
            return dict(stored)

    return load


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.id)
def test_image_and_caption_are_written(folder, figure):
    assert (folder / f"{figure.id}.png").stat().st_size > 10_000
    assert (folder / f"{figure.id}.txt").read_text().strip() == figure.caption
    assert len(figure.caption) > 100


def test_training_ends_at_gradient_descent(numbers):
    data = numbers("training")
    assert data["risk"][0] > 2 * data["gd_risk"]
    assert data["risk"][-1] == pytest.approx(data["gd_risk"], rel=0.1)
    cosine, distance, difference = data["agreement"][-1]
    assert cosine > 0.99
    assert max(distance, difference) < 0.1


def test_the_trained_layer_fares_elsewhere_as_the_theory_says(numbers):
    data = numbers("test_scale")
    line = np.exp(np.interp(np.log(data["measured_alpha"]), np.log(data["alpha"]), np.log(data["fixed"])))
    np.testing.assert_allclose(data["mean"], line, rtol=0.15)
    assert np.all(data["tuned"] <= data["fixed"] * (1 + 1e-12))


def test_scalars_trained_through_layers_reach_the_spectral_minimum(numbers):
    data = numbers("layers")
    for name in ("gd", "gd++"):
        np.testing.assert_allclose(data[f"{name}_trained"], data[f"{name}_theory"], rtol=1e-6)
        assert np.all(np.diff(data[f"{name}_theory"]) < 0)
    assert np.all(data["gd++_theory"][1:] < data["gd_theory"][1:])
    assert data["full"][0] == pytest.approx(data["gd_theory"][0], rel=0.1)
    assert np.all(data["full"][1:] < data["gd_theory"][1:])


def test_spectra_follow_the_map_and_become_better_conditioned(numbers):
    data = numbers("spectrum")
    lam = data["before"]
    mapped = np.sort(lam * (1 - data["gamma"] * lam) ** 2, axis=1)
    np.testing.assert_allclose(data["after"], mapped, atol=1e-10 * lam.max())
    for k in range(3):
        np.testing.assert_allclose(data[f"marks_{k}"], data[f"line_{k}"][9::20], rtol=1e-8)
    assert np.all(data["marks_2"] < data["marks_1"])
    assert np.all(data["marks_1"] < data["marks_0"])
