"""Exponents and regimes against powers of the width followed through training, in exact arithmetic."""

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.yang2020.paper import PAPER
from simulations import ntk as sim
from theory import ntk

Array = np.ndarray

REGIMES = ("unstable", "trivial", "feature", "kernel", "both", "neither")
MAX_DEPTH = 3


class _Grid(NamedTuple):
    """Parametrisations of one depth, in units of 1 / UNIT: a and b (P, L + 1), c (P,)."""

    a: Array
    b: Array
    c: Array

    def fractions(self) -> list[tuple[list[Fraction], list[Fraction], Fraction]]:
        """Return the same as fractions."""
        whole = zip(*(part.tolist() for part in self), strict=True)
        return [([_fraction(v) for v in a], [_fraction(v) for v in b], _fraction(c)) for a, b, c in whole]


def _fraction(units: int) -> Fraction:
    return Fraction(units, sim.UNIT)


def _grids(run: Run) -> list[_Grid]:
    """Draw exponents with denominators up to 12, and push them onto the borders between regimes.

    Every network starts with activities of order one, but for one in eight; half of them have a readout whose own
    training just moves the output, and of the rest half have features, as far as a c can do that, that just move.
    """
    count = run.size("parametrisations a depth", quick=1500, standard=6000, full=30_000)
    return [_grid(run.rng(f"depth {depth}"), depth, count) for depth in range(1, MAX_DEPTH + 1)]


def _grid(rng: np.random.Generator, depth: int, count: int) -> _Grid:
    unit = sim.UNIT
    denominator = rng.choice([1, 2, 3, 4, 6, 12], size=(count, 1))

    def draw(low: float, high: float, columns: int) -> Array:
        return np.rint(rng.uniform(low, high, (count, columns)) * denominator).astype(int) * (unit // denominator)

    a = draw(-1, 1.5, depth + 1)
    total = np.full((count, depth + 1), unit // 2)
    total[:, 0] = 0
    spoilt = rng.random(count) < 1 / 8
    total[spoilt, rng.integers(0, depth, spoilt.sum())] += rng.choice([-unit // 4, unit // 4], spoilt.sum())
    total[:, -1] = draw(0.3, 1.6, 1)[:, 0]
    c = draw(-1.5, 2, 1)[:, 0]
    fastest = np.min(2 * a[:, :-1] + unit * (np.arange(depth) == 0), axis=1)
    kind = rng.integers(0, 4, count)
    c = np.where(kind < 2, unit - 2 * a[:, -1], c)
    c = np.where(kind == 2, unit - fastest - total[:, -1], c)
    return _Grid(a, total - a, c)


def _formula(
    grid: _Grid, *, first: float = 1.0, lowest=np.min, lower=np.minimum, shift: float = 0.0
) -> tuple[Array, Array]:
    """Return r and the exponent of the output, (P,) each, by the formula with something changed."""
    a, b, c = (part / sim.UNIT for part in grid)
    moves = lowest(2 * a[:, :-1] + first * (np.arange(a.shape[1] - 1) == 0), axis=1)
    start, readout = a[:, -1] + b[:, -1], 2 * a[:, -1] + c
    r = lower(start, readout) + c - 1 + moves + shift
    return r, 1 - np.minimum(start + r, readout)


@PAPER.claim(
    "r_exponent",
    statement=r"""In a stable parametrisation the features of the last hidden layer move as $n^{-r}$, $r =
    \min(a_{L+1} + b_{L+1}, 2 a_{L+1} + c) + c - 1 + \min_{l \le L} (2 a_l + 1_{l=1})$, those of layer k as with the
    minimum over $l \le k$, and the output as $n^{1 - \min(a_{L+1} + b_{L+1} + r, 2 a_{L+1} + c)}$.""",
    source="section 3, the exponent r",
    agreement=Identity(rtol=1e-13),
    controls=("an input layer like the others", "the slowest layer", "the smaller gradient", "r + 1/2"),
)
def r_exponent(run: Run) -> Trial:
    """Powers of n in three steps of gradient descent, for random fractions as exponents and up to three hidden layers.

    What is compared are the powers of networks that stay stable, and 1 for those that do not.
    """
    grids = _grids(run)

    def measure() -> Array:
        parts = []
        for grid in grids:
            powers = sim.follow_powers(*grid)
            changes = np.concatenate([powers.changes, powers.output_change[:, None]], axis=1) / sim.UNIT
            parts.append(np.where(_stable(powers)[:, None], changes, 1.0))
        return components(*parts)

    def predict() -> Array:
        found: list[float] = []
        for grid in grids:
            for exponents in grid.fractions():
                of = ntk.abc_exponents(*exponents)
                changes = [*(-r for r in of.layer_r[:-1]), of.feature_exponent, of.output_exponent]
                found += [float(power) if of.stable else 1.0 for power in changes]
        return np.array(found)

    def wrong(**changes) -> Array:
        predicted, start = predict(), 0
        for grid in grids:
            count, depth = grid.a.shape[0], grid.a.shape[1] - 1
            block = predicted[start : start + count * (depth + 1)].reshape(count, depth + 1)
            stable = np.any(block != 1.0, axis=1)
            r, output = _formula(grid, **changes)
            block[stable, depth - 1], block[stable, depth] = -r[stable], output[stable]
            start += block.size
        return predicted

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "an input layer like the others": lambda: wrong(first=0.0),
            "the slowest layer": lambda: wrong(lowest=np.max),
            "the smaller gradient": lambda: wrong(lower=np.maximum),
            "r + 1/2": lambda: wrong(shift=0.5),
        },
        scale=1.0,
    )


def _stable(powers: sim.WidthPowers) -> Array:
    """Whether activities start at order one and nothing grows, (P,)."""
    starts = np.all(powers.start == 0, axis=1) & (powers.output <= 0)
    return starts & np.all(powers.changes <= 0, axis=1) & (powers.output_change <= 0)


def _regimes(powers: sim.WidthPowers) -> Array:
    """Places in `REGIMES`, by what powers do: features move, or the tangent kernel stays, or both, or neither."""
    moves, stays = powers.changes[:, -1] == 0, powers.kernel_change < 0
    learned = np.select([moves & ~stays, ~moves & stays, moves], [2, 3, 4], 5)
    return np.select([~_stable(powers), powers.output_change < 0], [0, 1], learned)


@PAPER.claim(
    "dichotomy_of_powers",
    statement=r"""A stable parametrisation in which the output moves at order one either learns features, for $r = 0$,
    or has a tangent kernel that stays as it is, for $r > 0$; never both, never neither. It is stable exactly when $a_1
    + b_1 = 0$, $a_l + b_l = 1/2$, $a_{L+1} + b_{L+1} \ge 1/2$, $r \ge 0$, $2 a_{L+1} + c \ge 1$ and $a_{L+1} +
    b_{L+1} + r \ge 1$.""",
    source="section 3, dynamical dichotomy",
    agreement=Identity(rtol=1e-13),
    controls=("kernels where the readout learns", "features for r < 1/2", "stable for any readout", "all nontrivial"),
)
def dichotomy_of_powers(run: Run) -> Trial:
    """Search random fractions, on borders above all, for a parametrisation that is neither or both."""
    grids = _grids(run)

    def predict(rule=lambda of, exponents: of.regime) -> Array:
        found = [
            REGIMES.index(rule(ntk.abc_exponents(*exponents), exponents))
            for grid in grids
            for exponents in grid.fractions()
        ]
        return np.array(found, dtype=float)

    def by_readout(of: ntk.ABC, exponents) -> str:
        if of.regime not in ("feature", "kernel"):
            return of.regime
        return "kernel" if 2 * exponents[0][-1] + exponents[2] == 1 else "feature"

    def generous(of: ntk.ABC, exponents) -> str:
        return "feature" if of.regime == "kernel" and of.r < Fraction(1, 2) else of.regime

    def any_readout(of: ntk.ABC, exponents) -> str:
        a, b, _ = exponents
        spread = a[0] + b[0] == 0 and all(p + q == Fraction(1, 2) for p, q in zip(a[1:-1], b[1:-1], strict=True))
        bounded = a[-1] + b[-1] >= Fraction(1, 2) and of.r >= 0
        return "trivial" if of.regime == "unstable" and spread and bounded else of.regime

    return Trial(
        predict=predict,
        measure=lambda: np.concatenate([_regimes(sim.follow_powers(*grid)) for grid in grids]).astype(float),
        controls={
            "kernels where the readout learns": lambda: predict(by_readout),
            "features for r < 1/2": lambda: predict(generous),
            "stable for any readout": lambda: predict(any_readout),
            "all nontrivial": lambda: predict(
                lambda of, _: ("feature" if of.r == 0 else "kernel") if of.stable else of.regime
            ),
        },
        scale=1.0,
    )
