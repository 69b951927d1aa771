"""The papers' figures: theory as lines, simulation as markers with error bars, the plotted numbers beside them."""

from figures.studio import FORMATS, Drawing, Figure, check_format, draw, figure, select

__all__ = ["FORMATS", "Drawing", "Figure", "check_format", "draw", "figure", "select"]
