"""Register figures, select them by pattern, and write image, caption and numbers."""

import difflib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas

from figures.style import RC
from paper_checks.claim import SCALES, Run
from paper_checks.registry import registry
from paper_checks.runner import configure_jax
from paper_checks.store import write_atomically

FORMATS = ("png", "svg", "pdf")
# no dates, so that the same numbers make the same file
_METADATA: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


class Drawing(NamedTuple):
    """A drawn figure and the numbers in it, by name."""

    canvas: Canvas
    numbers: Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """A figure of a paper; ``paint`` computes and draws it at the scale and seed of a run."""

    id: str
    caption: str
    paint: Callable[[Run], Drawing]

    @property
    def paper(self) -> str:
        """Key of the paper, the part of the id before the dot."""
        return self.id.partition(".")[0]


_FIGURES: dict[str, Figure] = {}


def figure(id: str, *, caption: str) -> Callable[[Callable[[Run], Drawing]], Callable[[Run], Drawing]]:
    """Decorate the function that draws the figure ``id``, "paper.name"; the caption explains it without the text."""

    def register(paint: Callable[[Run], Drawing]) -> Callable[[Run], Drawing]:
        if id in _FIGURES:
            raise ValueError(f"figure {id} is registered twice")
        _FIGURES[id] = Figure(id, " ".join(caption.split()), paint)
        return paint

    return register


def select(*patterns: str) -> list[Figure]:
    """Return the figures that any pattern selects: figure ids, paper keys, wings, or globs; all without a pattern.

    Raises
    ------
    ValueError
        If a pattern selects nothing; the message names the nearest known names.
    """
    known = _all()
    chosen: dict[str, Figure] = {}
    for pattern in patterns or ("*",):
        matched = {f.id: f for f in known if any(fnmatchcase(name, pattern) for name in _names(f))}
        if not matched:
            names = sorted({name for f in known for name in _names(f)})
            near = difflib.get_close_matches(pattern, names, n=4, cutoff=0.4)
            raise ValueError(f"no figure matches {pattern!r}; nearest: {', '.join(near or names[:4])}")
        chosen |= matched
    return [f for f in known if f.id in chosen]


def check_format(image_format: str) -> str:
    """Return the format, or raise ValueError when it is none of `FORMATS`."""
    if image_format not in FORMATS:
        raise ValueError(f"--format must be one of {', '.join(FORMATS)}; got {image_format!r}")
    return image_format


def draw(
    figure: Figure, *, out: Path, image_format: str = "png", scale: str = "quick", seed: int = 0
) -> tuple[Path, Path, Path]:
    """Write one figure's image, numbers (.npz) and caption (.txt) into the folder ``out``, and return their paths.

    Raises
    ------
    ValueError
        If the format or the scale is unknown, or a number to be plotted is not finite.
    OSError
        If the folder cannot be written.
    """
    check_format(image_format)
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}; got {scale!r}")
    configure_jax()
    image, numbers, caption = (out / f"{figure.id}.{suffix}" for suffix in (image_format, "npz", "txt"))
    with mpl.rc_context(RC):
        drawing = figure.paint(Run(f"figure:{figure.id}", scale, seed))
        arrays = {name: np.asarray(value) for name, value in drawing.numbers.items()}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise ValueError(f"figure {figure.id} would plot numbers that are not finite: {name}")
        write_atomically(numbers, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]
        write_atomically(
            image, lambda file: drawing.canvas.savefig(file, format=image_format, metadata=_METADATA[image_format])
        )
    write_atomically(caption, lambda file: file.write((figure.caption + "\n").encode()))
    return image, numbers, caption


@cache
def _all() -> tuple[Figure, ...]:
    package = import_module("figures")
    for module in pkgutil.iter_modules(package.__path__, "figures."):
        import_module(module.name)
    return tuple(_FIGURES.values())


def _names(figure: Figure) -> tuple[str, ...]:
    return figure.id, figure.paper, registry().papers[figure.paper].wing
