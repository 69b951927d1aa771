"""The figures of zheng2024 at quick scale: complete, and with markers where the lines are."""

import numpy as np
import pytest

import figures

FIGURES = figures.select("zheng2024")
LAWS = ("rademacher", "gaussian", "uniform")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("figures")
    for figure in FIGURES:
        figures.draw(figure, out=out)
    return out


@pytest.fixture
def numbers(folder):
    def load(name):
        with np.load(folder / f"zheng2024.{name}.npz") as stored:
            return dict(stored)

    return load


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.id)
def test_image_and_caption_are_written(folder, figure):
    assert (folder / f"{figure.id}.png").stat().st_size > 10_000
    assert (folder / f"{figure.id}.txt").read_text().strip() == figure.caption
    assert len(figure.caption) > 100


def test_products_follow_their_curves_and_longer_sequences_teach_larger_ones(numbers):
    data = numbers("product")
    for law in LAWS:
        ends = []
        for horizon in (10, 50):
            line = np.interp(data["measured_time"], data["time"], data[f"line_{horizon}_{law}"])
            np.testing.assert_allclose(data[f"marks_{horizon}_{law}"], line, atol=1e-3)
            ends.append(data[f"line_{horizon}_{law}"][-1])
        assert ends[0] < ends[1] < 1


def test_risks_are_within_their_errors(numbers):
    data = numbers("prompt_risk")
    for law in LAWS:
        line = data[f"line_{law}"][data["measured_position"] - 2]
        # standard errors of heavy-tailed risks are themselves uncertain
        assert np.all(np.abs(data[f"mean_{law}"] - line) < 7 * data[f"error_{law}"] + 1e-12)


def test_ratios_lie_on_the_line_of_squares(numbers):
    data = numbers("recovery")
    gap = data["ratio"] - data["slope"] * data["square"]
    assert data["slope"] == pytest.approx(0.2)
    assert np.median(np.abs(gap)) < 0.01
