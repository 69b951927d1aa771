"""Data to count steps on: drawn at random, made hard by a search, tied at the boundary, and one hard instance."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paper_checks.claim import Run
from paper_checks.evidence import Array
from simulations import optimization as sim


class Instance(NamedTuple):
    """Data sets of one shape, and the step size that they are to be tried at."""

    rows: Array
    step_size: float


@lru_cache(maxsize=4)
def draw_instances(
    run: Run, sets: int, search: tuple[int, int], step_sizes: tuple[float, ...], normalized: bool
) -> list[Instance]:
    """Gather data to try a bound on: random sets, sets that a search for many steps ends on, and the hard instance.

    The search climbs the number of steps over R^2 / mu^2 from random data; ranges of margins keep it from data that are
    all alike, which take one update at mu = R and come last.
    """
    rng, (chains, proposals) = run.rng(), search
    found: list[Instance] = []
    for gamma in step_sizes:
        least_margin = 0.02 if np.isinf(gamma) else 0.1  # small steps take many more
        drawn = [
            sim.random_separable(rng, n_sets=sets, n_samples=n, dimension=d, least_margin=least)
            for n, d, least in ((6, 2, least_margin / 2), (20, 3, least_margin), (40, 5, 2 * least_margin))
        ]
        searched = [
            sim.search_worst_cases(
                rng,
                n_chains=chains,
                n_samples=n,
                dimension=d,
                n_proposals=proposals,
                step_size=gamma,
                normalized=normalized,
                margins=margins,
            ).signed_features
            for n, d, margins in (
                (2, 2, (0.05, 0.9)),
                (8, 3, (least_margin, 0.5)),
                (16, 3, (least_margin, 5 * least_margin)),
                (8, 6, (0.1, 0.5)),
            )
        ]
        hard = [opposed(n, phi)[None] for n in (10, 80, 320) for phi in (np.pi / 6, *rng.uniform(0.2, 0.7, 2))]
        alike = np.tile(rng.normal(size=(2, 3)), (2, 1, 1)).swapaxes(0, 1)
        found += [Instance(rows, gamma) for rows in (*drawn, *searched, *hard, alike)]
    return found


@lru_cache(maxsize=4)
def tied_instances(run: Run, sets: int) -> list[Instance]:
    """Gather integer rows of which one is exactly on the boundary at some iterate after the first.

    Iterates are integers over 2n, exact where n is a power of two. Random rows are kept where they tie. In the last
    instances all rows but one agree, and that one ties since (3n - 8) / 10, its number of updates less two, is whole.
    """
    rng, found = run.rng(), []
    for n, d, largest in ((2, 2, 2), (4, 2, 2), (4, 3, 2), (8, 3, 1), (16, 3, 2)):
        rows = rng.integers(-largest, largest + 1, (20 * sets, n, d)).astype(float)
        side = np.einsum("snd,sd->sn", rows, rng.integers(-3, 4, (20 * sets, d)))
        rows = (rows * np.where(side < 0, -1.0, 1.0)[:, :, None])[(side != 0).all(axis=1)]
        found.append(Instance(rows[_ties(rows)], np.inf))
    agreeing = [np.tile([2.0, 1.0], (n, 1)) for n in (16, 256, 4096)]
    for rows in agreeing:
        rows[-1, 0] *= -1
        found.append(Instance(rows[None][_ties(rows[None])], np.inf))
    return found


def _ties(rows: Array) -> NDArray[np.bool_]:
    """Tell which data sets have a row on the boundary after the first update and before they are separated."""
    path = sim.perceptron_path(rows, n_steps=40 if rows.shape[1] <= 16 else rows.shape[1])
    margins = np.einsum("std,snd->stn", path[:, 1:], rows)
    unfinished = (margins <= 0).any(axis=2)
    return (unfinished & (margins == 0).any(axis=2)).any(axis=1)


def opposed(n: int, angle: float) -> Array:
    """Return n - 1 rows at an angle above the axis, and one that mirrors them on the other side."""
    rows = np.tile([np.cos(angle), np.sin(angle)], (n, 1))
    rows[-1, 0] *= -1
    return rows
