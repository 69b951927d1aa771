"""What the error of a solver is: cases with references in many digits, and the errors of solvers and rivals on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Point = dict[str, Any]
Solve = Callable[[Sequence[Point]], Sequence[Any]]

DIGITS = 60  # of the references; 30 of them survive every subtraction over these inputs
UNIT_ROUNDOFF = 2.0**-53


@dataclass(frozen=True)
class Case:
    """A solver, the inputs to try it on, its reference, and its rivals.

    ``solve`` and the rivals take all points and return a result for each; the reference takes the arguments of one.
    ``conditioned`` says whether the inputs are plain numbers, so that a condition number can be taken. Where the result
    has several entries, errors are relative to the largest one, unless ``entrywise``.
    """

    name: str
    points: Sequence[Point]
    solve: Solve
    reference: Callable[..., Any]
    rivals: Mapping[str, Solve] = field(default_factory=dict)
    conditioned: bool = True
    entrywise: bool = False
    digits: int = DIGITS


class Errors(NamedTuple):
    """Relative errors of one solver over the points of a case; not finite where it gave no finite result."""

    name: str
    relative: Array
    roundings: Array

    @property
    def lost(self) -> int:
        """Number of points without a finite result."""
        return int((~np.isfinite(self.relative)).sum())

    @property
    def worst(self) -> int:
        """Index of the point with the largest error; of one without a result where there is any."""
        return int(np.argmax(np.where(np.isfinite(self.relative), self.relative, np.inf)))


def together(function: Callable[..., Any]) -> Solve:
    """Evaluate a function that broadcasts on all points in one call, so that each argument is an array of them."""

    def solve(points: Sequence[Point]) -> Sequence[Any]:
        with np.errstate(all="ignore"):
            found = function(**{name: np.array([point[name] for point in points]) for name in points[0]})
        return list(np.stack(found, axis=-1)) if isinstance(found, tuple) else list(found)

    return solve


def apart(function: Callable[..., Any]) -> Solve:
    """Evaluate a function on one point at a time; where it cannot, its result is not a number."""

    def one(point: Point) -> Any:
        try:
            with np.errstate(all="ignore"):
                return function(**point)
        except (ArithmeticError, ValueError, RuntimeError, np.linalg.LinAlgError):
            return np.nan

    return lambda points: [one(point) for point in points]


def try_case(case: Case) -> list[Errors]:
    """Return the errors of the solver and of each rival, the solver's first; its reference is evaluated once."""
    with mp.workdps(case.digits):
        exact = [_flat(case.reference(**point)) for point in case.points]
        noise = [_noise(case, point, value) for point, value in zip(case.points, exact, strict=True)]
        found = []
        for name, solve in {case.name: case.solve, **case.rivals}.items():
            results = solve(case.points)
            errors = [_distance(_flat(r), e, case.entrywise) for r, e in zip(results, exact, strict=True)]
            relative = np.array([float(e) for e in errors])
            found.append(Errors(name, relative, relative / noise))
    return found


def _noise(case: Case, point: Point, exact: list[Any]) -> float:
    """Relative error that rounding the float arguments and the result may cause, from the change of the reference."""
    if not case.conditioned:
        return float("nan")
    step = mp.mpf(10) ** (-case.digits // 3)
    total = mp.mpf(1)
    for name, value in point.items():
        if isinstance(value, float) and value != 0:
            moved = _flat(case.reference(**{**point, name: mp.mpf(value) * (1 + step)}))
            total += _distance(moved, exact, case.entrywise) / step
    return float(total) * UNIT_ROUNDOFF


def _distance(found: list[Any], exact: list[Any], entrywise: bool) -> Any:
    if len(found) != len(exact) or not all(mp.isfinite(x) for x in found):
        return mp.inf
    differences = [abs(x - y) for x, y in zip(found, exact, strict=True)]
    if entrywise:
        return max(d / abs(y) for d, y in zip(differences, exact, strict=True))
    return max(differences) / max(abs(y) for y in exact)


def _flat(value: Any) -> list[Any]:
    """Return a number, array, list of numbers or mpmath matrix as a list of mpmath numbers, row by row."""
    if isinstance(value, mp.matrix):
        return [value[i, j] for i in range(value.rows) for j in range(value.cols)]
    if isinstance(value, list | tuple):
        return [entry for part in value for entry in _flat(part)]
    if isinstance(value, np.ndarray):
        return [mp.mpf(float(x)) for x in value.ravel()]
    return [mp.mpf(value)]
