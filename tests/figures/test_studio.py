"""The studio: what is registered, selected, refused and written; with figures of its own, made in no time."""

import numpy as np
import pytest

import figures
from figures import studio, style

PAPER_FIGURES = figures.select("saxe2013")


def line(run):
    image, ((axes,),) = style.canvas()
    values = run.rng().standard_normal(3)
    style.theory(axes, [0, 1, 2], values)
    axes.set(xlabel=r"time $t/\tau$", ylabel="strength")
    return figures.Drawing(image, {"values": values, "count": 3})


TOY = figures.Figure("saxe2013.toy", "A caption.", line)


def showing(**numbers):
    def paint(run):
        return figures.Drawing(style.canvas()[0], numbers)

    return figures.Figure("saxe2013.toy", "A caption.", paint)


def test_every_pattern_kind_selects():
    assert [f.id for f in figures.select("saxe2013.phase_portrait")] == ["saxe2013.phase_portrait"]
    assert {f.paper for f in figures.select("saxe2013")} == {"saxe2013"}
    assert set(PAPER_FIGURES) <= set(figures.select("deep_linear"))
    assert "saxe2013.phase_portrait" in {f.id for f in figures.select("*.phase_*")}
    assert set(PAPER_FIGURES) <= set(figures.select())


def test_selection_keeps_registration_order_and_has_no_duplicates():
    chosen = figures.select("saxe2013.phase_portrait", "saxe2013", "saxe2013.mode_strength")
    assert chosen == PAPER_FIGURES


def test_a_pattern_that_selects_nothing_names_its_neighbours():
    with pytest.raises(ValueError, match=r"no figure matches 'saxe2031'; nearest: .*saxe2013"):
        figures.select("saxe2013", "saxe2031")
    with pytest.raises(ValueError, match=r"no figure matches 'zzzz'; nearest: \w+"):
        figures.select("zzzz")


def test_a_figure_is_registered_once_with_its_caption_on_one_line(monkeypatch):
    monkeypatch.setattr(studio, "_FIGURES", {})
    register = studio.figure("saxe2013.toy", caption="Two\n    lines.")
    assert register(line) is line
    assert studio._FIGURES["saxe2013.toy"].caption == "Two lines."
    with pytest.raises(ValueError, match=r"saxe2013\.toy is registered twice"):
        register(line)


@pytest.mark.parametrize(
    ("image_format", "opening"),
    [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")],
    ids=lambda value: str(value),
)
def test_image_numbers_and_caption_are_written(tmp_path, image_format, opening):
    image, numbers, caption = figures.draw(TOY, out=tmp_path, image_format=image_format)
    assert [path.name for path in (image, numbers, caption)] == [
        f"saxe2013.toy.{s}" for s in (image_format, "npz", "txt")
    ]
    assert image.read_bytes().startswith(opening)
    assert caption.read_text() == "A caption.\n"
    with np.load(numbers) as stored:
        assert set(stored) == {"values", "count"}
        assert stored["values"].shape == (3,)


@pytest.mark.parametrize("image_format", figures.FORMATS)
def test_the_same_run_writes_the_same_bytes_and_another_seed_does_not(tmp_path, image_format):
    written = []
    for name, seed in (("first", 5), ("second", 5), ("other", 6)):
        (tmp_path / name).mkdir()
        image, numbers, _ = figures.draw(TOY, out=tmp_path / name, image_format=image_format, seed=seed)
        written.append((image.read_bytes(), numbers.read_bytes()))
    first, second, other = written
    assert first == second
    assert first[0] != other[0]
    assert first[1] != other[1]


@pytest.mark.parametrize("image_format", ["jpg", "PNG", "", "tiff"])
def test_other_formats_are_refused_before_anything_is_drawn(tmp_path, image_format):
    with pytest.raises(ValueError, match=r"--format must be one of png, svg, pdf; got "):
        figures.check_format(image_format)
    with pytest.raises(ValueError, match="--format"):
        figures.draw(TOY, out=tmp_path, image_format=image_format)
    assert not list(tmp_path.iterdir())


def test_an_unknown_scale_is_refused(tmp_path):
    with pytest.raises(ValueError, match="scale must be one of quick, standard, full; got 'huge'"):
        figures.draw(TOY, out=tmp_path, scale="huge")


@pytest.mark.parametrize("bad", [np.nan, np.inf, [0.0, -np.inf]])
def test_numbers_that_are_not_finite_are_refused_and_nothing_is_written(tmp_path, bad):
    with pytest.raises(ValueError, match=r"saxe2013\.toy would plot numbers that are not finite: bad"):
        figures.draw(showing(good=1.0, bad=bad), out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="missing"):
        figures.draw(TOY, out=tmp_path / "missing")
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(OSError, match="file"):
        figures.draw(TOY, out=blocked)


def test_series_differ_in_colour_and_shape():
    _, ((axes,),) = style.canvas()
    shapes = set()
    for series in range(len(style.COLOURS)):
        drawn = style.theory(axes, [0, 1], [0, 1], series)
        marks = style.simulation(axes, [0, 1], [0, 1], series, error=[0.1, 0.1])
        assert drawn.get_color() == style.colour(series) == marks[0].get_color()
        shapes.add((drawn.get_color(), str(style.DASHES[series]), marks[0].get_marker()))
        assert drawn.get_zorder() < marks[0].get_zorder()
    assert len(shapes) == len(style.COLOURS)
    assert len({colour for colour, _, _ in shapes}) == len({marker for _, _, marker in shapes}) == len(shapes)


def test_neighbouring_colours_differ_in_grey():
    def lightness(series):
        red, green, blue = (int(style.colour(series)[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    assert all(abs(lightness(k) - lightness(k + 1)) > 0.1 for k in range(len(style.COLOURS) - 1))


def test_a_legend_explains_line_and_markers_together():
    _, ((axes,),) = style.canvas()
    pair = style.theory(axes, [0, 1], [0, 1]), style.simulation(axes, [0, 1], [0, 1])
    made = style.legend(axes, [(pair, "both"), (style.reference(axes, [0, 1], [1, 1]), "limit")])
    assert [text.get_text() for text in made.get_texts()] == ["both", "limit"]


def test_depth_axis_ticks_are_the_depths():
    _, ((axes,),) = style.canvas()
    style.depth_axis(axes, [2, 8, 30])
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "8", "30"]
