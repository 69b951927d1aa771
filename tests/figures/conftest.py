"""Figures of a test module's papers, drawn once each: their canvases, their files, and what all must have."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import figures


class Gallery(NamedTuple):
    """Where a module's figures were drawn, and what the studio throws away: their drawings, by id."""

    folder: Path
    drawings: dict


@pytest.fixture(scope="module")
def gallery(request, tmp_path_factory) -> Gallery:
    """Draw every figure of the papers that the module names in PAPERS, at quick scale."""
    found = Gallery(tmp_path_factory.mktemp("figures"), {})
    for figure in figures.select(*request.module.PAPERS):

        def paint(run, figure=figure):
            found.drawings[figure.id] = figure.paint(run)
            return found.drawings[figure.id]

        figures.draw(replace(figure, paint=paint), out=found.folder)
    return found


@pytest.fixture
def numbers(gallery) -> Callable[[str], dict]:
    """Give the stored numbers of a figure by its id."""

    def load(name: str) -> dict:
        with np.load(gallery.folder / f"{name}.npz") as stored:
            return dict(stored)

    return load


@pytest.fixture
def complete(gallery) -> Callable[[figures.Figure], None]:
    """Assert that a figure has labelled axes and a caption, no title, and nothing cut off."""

    def check(figure: figures.Figure) -> None:
        assert (gallery.folder / f"{figure.id}.png").stat().st_size > 10_000
        assert (gallery.folder / f"{figure.id}.txt").read_text().strip() == figure.caption
        assert len(figure.caption) > 100
        canvas = gallery.drawings[figure.id].canvas
        assert canvas.get_suptitle() == ""
        for axes in canvas.axes:
            shared = any(axes.get_shared_y_axes().joined(axes, other) for other in canvas.axes if other is not axes)
            assert axes.get_xlabel() or axes.get_label() == "<colorbar>"
            assert axes.get_ylabel() or shared
            assert axes.get_title() == ""
        box = canvas.get_tightbbox(canvas.canvas.get_renderer())
        width, height = canvas.get_size_inches()
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height

    return check
