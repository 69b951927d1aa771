"""When modes vanish: the threshold and its jump, minima that outlive it, and where they end.

Minima are followed through rising decay, each minimisation starting where the last one ended, on a grid that knows
nothing of the thresholds; crossings of measured losses are then found on a finer one, by interpolation.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import krogh_interpolate

from paper_checks.agreement import Equivalence, Identity
from paper_checks.claim import Run, Trial
from paper_checks.papers.dang2023.paper import PAPER
from paper_checks.papers.dang2023.problems import MINIMISED, Array, Problem, minima, sizes, solution, unit_decay
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

CROSSED = 1e-9  # what 8 points, 2 % of the crossing apart or closer, leave of an interpolation error


class Branch(NamedTuple):
    """A minimum followed through decays: decays (B,), losses (B,), singular values (B, K) and end points."""

    decays: Array
    losses: Array
    values: Array
    factors: sim.Factors

    @property
    def ranks(self) -> Array:
        """Number of modes that are not zero, at each decay."""
        return np.sum(self.values > 1e-3, axis=1)

    def at(self, index: int) -> sim.Factors:
        """Return one of the end points."""
        return jax.tree.map(lambda leaf: leaf[index], self.factors)


def _equal(class_sizes: tuple[int, ...], dims: tuple[int, ...], decay: float) -> Problem:
    return Problem(class_sizes, dims, decay, (decay,) * len(dims))


def _follow(problem: Problem, start: sim.Factors, decays: Array) -> Branch:
    table = np.repeat(np.asarray(decays)[:, None], len(problem.dims) + 1, axis=1)
    found = sim.follow_minimum(problem.model, start, decays=table)
    values = np.asarray(sim.product_singular_values(found.factors, problem.model))
    return Branch(np.asarray(decays), np.asarray(found.losses), values, found.factors)


def _highest_branch(run: Run, class_sizes: tuple[int, ...], dims: tuple[int, ...], decays: Array) -> Branch:
    """Follow the best minimum upwards, found at a fifth of the lowest decay, where few starts miss it."""
    problem = _equal(class_sizes, dims, float(decays[0]) / 5)
    start = minima(problem, run.key(f"depth {len(dims)}"), sizes(run).starts).best()
    return _follow(problem, start.factors, decays)


def _zero_loss(problem: Problem, like: sim.Factors) -> float:
    return float(sim.objective(jax.tree.map(np.zeros_like, like), problem.model))


def _crossing(gap: Array, *quantities: ArrayLike) -> list[float]:
    """Interpolate quantities to where ``gap``, increasing, is zero, from the eight points around it."""
    first = int(np.clip(np.searchsorted(gap, 0.0) - 4, 0, gap.size - 8))
    near = slice(first, first + 8)
    return [float(krogh_interpolate(gap[near], np.asarray(q)[near], 0.0)) for q in quantities]


def _grid(run: Run, class_sizes: tuple[int, ...], depth: int) -> Array:
    points = run.size("decays", quick=16, standard=16, full=32)
    return unit_decay(class_sizes, depth) * np.geomspace(0.3, 1.25, points)


def _depths(run: Run) -> tuple[int, ...]:
    return run.size("depths", quick=(1, 2, 3), standard=(1, 2, 3, 4), full=(1, 2, 3, 4, 6))


@PAPER.claim(
    "phase-threshold",
    statement=r"""A mode of the global minimum is nonzero exactly below the relative decay $b_c(M) = (M-1)^{(M-1)/M}
    / M$. There $\sigma / s$ falls to $(M-1)/M$: it vanishes continuously with one layer, and jumps to zero with
    more.""",
    source="phase transition of a mode under squared error",
    agreement=Identity(rtol=CROSSED),
    controls=("continuous at every depth", "fold for threshold", "strength of the fold", "root of the power left out"),
)
def phase_threshold(run: Run) -> Trial:
    """Find where the followed minimum stops being lower than zero, and how strong its modes are there.

    With one layer it never is higher than zero: there the decay is extrapolated to strength zero.
    """
    of, depths = sizes(run), _depths(run)
    s = np.sqrt(of.balanced[0])

    def locate(depth: int) -> list[float]:
        decays, dims = _grid(run, of.balanced, depth), of.dims(depth)
        coarse = _highest_branch(run, of.balanced, dims, decays)
        problem = _equal(of.balanced, dims, float(decays[0]))
        gap = coarse.losses - _zero_loss(problem, coarse.at(0))
        if depth == 1:
            alive = np.flatnonzero(coarse.values[:, -1] > 0.1 * s)[-4:]
            critical = krogh_interpolate(coarse.values[alive, 0], decays[alive], 0.0)
            return [float(critical) / unit_decay(of.balanced, 1), 0.0]
        last = int(np.flatnonzero((gap[:-1] < 0) & (gap[1:] > 0))[0])
        fine = _follow(problem, coarse.at(last), np.linspace(decays[last], decays[last + 1], decays.size))
        gap = fine.losses - _zero_loss(problem, coarse.at(0))
        critical, strength = _crossing(gap, fine.decays, fine.values[:, 0] / s)
        return [critical / unit_decay(of.balanced, depth), strength]

    def measure() -> Array:
        found = [locate(depth) for depth in depths]
        return np.array([[ratio ** ((m + 1) / m), t] for m, (ratio, t) in zip(depths, found, strict=True)])

    m = np.array(depths)

    def predict(threshold: ArrayLike | None = None, strength: ArrayLike | None = None) -> Array:
        critical = nc.collapse_threshold(m) if threshold is None else threshold
        jump = (m - 1) / m if strength is None else strength
        return np.stack(np.broadcast_arrays(critical, jump), axis=1)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "continuous at every depth": lambda: predict(1.0, np.zeros(m.size)),
            "fold for threshold": lambda: predict(nc.fold_threshold(m)),
            "strength of the fold": lambda: predict(strength=(m - 1) / (2 * m)),
            "root of the power left out": lambda: predict((m - 1.0) ** (m - 1) / m),
        },
        scale=1.0,
    )


@PAPER.claim(
    "surviving-minima",
    statement=r"""Between $b_c$ and the fold the nonzero modes of a deep head live on as local minima, their
    strength the largest root of $t^{(M-1)/(M+1)} (1 - t) = (b / M)^{M/(M+1)}$, down to $(M-1)/2M$.""",
    source="stationary points of a mode; own derivation",
    agreement=Identity(rtol=1e-8),
    controls=("global minimum followed", "soft threshold of one layer", "one layer less"),
)
def surviving_minima(run: Run) -> Trial:
    """Follow a minimum with all modes on until nothing is left of it, and read its strength on the way."""
    of, depths = sizes(run), _depths(run)

    def measure() -> Array:
        branches = [_highest_branch(run, of.balanced, of.dims(m), _grid(run, of.balanced, m)) for m in depths]
        return np.stack([branch.values / np.sqrt(of.balanced[0]) for branch in branches])

    def diagrams() -> list[nc.PhaseDiagram]:
        return [nc.phase_diagram(_grid(run, of.balanced, m), m, class_sizes=of.balanced) for m in depths]

    def shallow() -> Array:
        rows = [np.maximum(1 - _grid(run, of.balanced, m) / unit_decay(of.balanced, m), 0) for m in depths]
        return np.repeat(np.stack(rows)[..., None], of.num_classes, axis=-1)

    def one_layer_less() -> Array:
        rows = []
        for m in depths:
            less = max(m - 1, 1)
            decays = _grid(run, of.balanced, m) * unit_decay(of.balanced, less) / unit_decay(of.balanced, m)
            rows.append(nc.phase_diagram(decays, less, class_sizes=of.balanced).stationary_strength)
        return np.stack(rows)

    return Trial(
        predict=lambda: np.stack([diagram.stationary_strength for diagram in diagrams()]),
        measure=measure,
        controls={
            "global minimum followed": lambda: np.stack([diagram.strength for diagram in diagrams()]),
            "soft threshold of one layer": shallow,
            "one layer less": one_layer_less,
        },
        scale=1.0,
    )


@PAPER.claim(
    "fold",
    statement=r"""A nonzero mode stops being even a local minimum at $b_f(M) = \frac{(M+1)^2}{4M}
    (\frac{M-1}{M+1})^{(M-1)/M}$.""",
    source="fold of the nonzero stationary points; own derivation",
    agreement=Equivalence(margin=2e-3, resolution=1e-2),
    controls=("threshold for fold", "(M+1)^2 for (M+1)^2 / 4", "power M/(M+1)"),
)
def fold(run: Run) -> Trial:
    """Narrow down, by a factor of 15 in each of three passes, between which decays the followed minimum is lost."""
    of, depths = sizes(run), _depths(run)[1:]
    m = np.array(depths)

    def locate(depth: int) -> float:
        decays = _grid(run, of.balanced, depth)
        branch = _highest_branch(run, of.balanced, of.dims(depth), decays)
        problem = _equal(of.balanced, of.dims(depth), float(decays[0]))
        for _ in range(2):
            last = int(np.flatnonzero(branch.ranks > 0)[-1])
            finer = np.linspace(branch.decays[last], branch.decays[last + 1], decays.size)
            branch = _follow(problem, branch.at(last), finer)
        last = int(np.flatnonzero(branch.ranks > 0)[-1])
        end = np.mean(branch.decays[last : last + 2]) / unit_decay(of.balanced, depth)
        return float(end ** ((depth + 1) / depth))

    return Trial(
        predict=lambda: nc.fold_threshold(m),
        measure=lambda: np.array([locate(depth) for depth in depths]),
        controls={
            "threshold for fold": lambda: nc.collapse_threshold(m),
            "(M+1)^2 for (M+1)^2 / 4": lambda: 4 * np.asarray(nc.fold_threshold(m)),
            "power M/(M+1)": lambda: (m + 1) ** 2 / (4 * m) * ((m - 1) / (m + 1)) ** (m / (m + 1)),
        },
    )


@PAPER.claim(
    "first-order",
    statement=r"""On either side of $b_c$ the global minimum is what the lower of the two minima of a mode says:
    nonzero below, zero above, although above it the equation for $\sigma$ still has nonzero roots.""",
    source="choice between the stationary points of a mode",
    agreement=Identity(rtol=1e-9),
    controls=("largest root wherever there is one", "no mode ever collapses", "continuous transition"),
)
def first_order(run: Run) -> Trial:
    """Minimise from many starts at decays within ten per cent of where zero takes over, about 0.63 of the unit.

    A bottleneck leaves two modes: so close to the threshold few starts would end with all of more of them on.
    """
    of = sizes(run)
    depths = run.size("depths", quick=(2,), standard=(2, 3), full=(2, 3))
    around = np.array([0.9, 0.95, 0.98, 0.995, 1.005, 1.02, 1.05, 1.1])
    unit = {2: 0.6299605, 3: 0.6203689}  # where b is 0.5 and 0.529134
    decays = {m: around * unit[m] * unit_decay(of.balanced, m) for m in depths}
    dims = {m: of.dims(m, bottleneck=2) for m in depths}

    def best(depth: int) -> Array:
        problem = _equal(of.balanced, dims[depth], float(decays[depth][0]))
        table = np.repeat(decays[depth][:, None], depth + 1, axis=1)
        each = of.starts // (3 * table.shape[0])
        rounds = [
            sim.minimise(problem.model, key, starts=each, decays=table).best()
            for key in run.keys(2 * table.shape[0], f"depth {depth}")
        ]
        losses = np.stack([found.losses for found in rounds])
        values = np.stack([np.asarray(sim.product_singular_values(r.factors, problem.model)) for r in rounds])
        winner = losses.argmin(axis=0)
        lowest = values[winner, np.arange(winner.size)]
        alive = np.sum(lowest > 1e-3, axis=1)
        return np.concatenate([losses.min(axis=0)[:, None], alive[:, None], lowest], axis=1)

    def predict() -> Array:
        minima = [[solution(_equal(of.balanced, dims[m], float(lam))) for lam in decays[m]] for m in depths]
        alive = [[min(2, int(np.sum(best.relative_decays < best.threshold))) for best in row] for row in minima]
        rest = np.array([[[best.loss, *best.product_singular_values] for best in row] for row in minima])
        return np.insert(rest, 1, alive, axis=-1)

    def wrong(strength: Callable[[nc.PhaseDiagram], Array]) -> Array:
        found = []
        for m in depths:
            diagram = nc.phase_diagram(decays[m], m, class_sizes=of.balanced)
            s = diagram.target_singular_values
            t = strength(diagram) * (np.arange(s.size) < 2)
            costs = s**2 / (2 * np.sum(of.balanced)) * (1 - t) * (1 + m * t)
            alive = np.sum(t > 0, axis=1, keepdims=True)
            found.append(np.concatenate([costs.sum(axis=1, keepdims=True), alive, t * s], axis=1))
        return np.stack(found)

    return Trial(
        predict=predict,
        measure=lambda: np.stack([best(depth) for depth in depths]),
        controls={
            "largest root wherever there is one": lambda: wrong(lambda diagram: diagram.stationary_strength),
            "no mode ever collapses": lambda: wrong(lambda diagram: np.maximum(diagram.strength, 0.1)),
            "continuous transition": lambda: wrong(
                lambda diagram: np.maximum(1 - diagram.relative_decay / nc.collapse_threshold(3), 0)
            ),
        },
        scale="largest",
    )


@PAPER.claim(
    "local-minima",
    statement=r"""A deep head ($M \ge 2$) has one minimal value for each number of modes that are on, the largest
    targets first, and so $K + 1$ of them; those of balanced classes are equally spaced.""",
    source="local minima under squared error; own derivation",
    agreement=Identity(rtol=MINIMISED),
    controls=("spacing half as wide again", "smallest targets first", "zero no minimum"),
)
def local_minima(run: Run) -> Trial:
    """Minimise from starts at many scales, sort end points by their rank, and take the extremes of each rank.

    At each rank the lowest and the highest end point must be the same number.
    """
    of = sizes(run)
    repeats = run.size("repeats", quick=4, standard=8, full=8)
    problems = [  # decays at which the smallest class is at b = 0.16 and at 0.25, below the threshold
        _equal(class_sizes, of.dims(2), float(share * min(class_sizes) / np.mean(class_sizes)) ** (2 / 3) * unit)
        for class_sizes, share, unit in (
            (of.balanced, 0.16, unit_decay(of.balanced, 2)),
            (of.imbalanced, 0.25, unit_decay(of.imbalanced, 2)),
        )
    ]
    scales = tuple(np.geomspace(0.03, 1.0, of.starts // 3))

    def extremes(problem: Problem, name: str) -> Array:
        found = [sim.minimise(problem.model, key, scales=scales, starts=3) for key in run.keys(repeats, name)]
        losses = np.concatenate([f.losses for f in found])
        values = np.concatenate([np.asarray(sim.product_singular_values(f.factors, problem.model)) for f in found])
        ranks = np.sum(values > 1e-3, axis=1)
        ends = [losses[ranks == rank] for rank in range(of.num_classes + 1)]
        return np.array([[end.min(initial=np.inf), end.max(initial=-np.inf)] for end in ends])

    def values(problem: Problem) -> Array:
        return nc.ufm_mse_local_minima(
            problem.class_sizes, weight_decays=problem.weight_decays, feature_decay=problem.feature_decay
        ).losses

    def predict(change: Callable[[Array], Array] = lambda losses: losses) -> Array:
        return np.stack([np.repeat(change(values(problem))[:, None], 2, axis=1) for problem in problems])

    return Trial(
        predict=predict,
        measure=lambda: np.stack([extremes(problem, name) for problem, name in zip(problems, "ab", strict=True)]),
        controls={
            "spacing half as wide again": lambda: predict(lambda f: f[0] + (f - f[0]) * 1.5),
            "smallest targets first": lambda: predict(lambda f: f[0] + np.append(0, np.cumsum(np.diff(f)[::-1]))),
            "zero no minimum": lambda: predict(lambda f: np.append(f[1], f[1:])),
        },
    )


@PAPER.claim(
    "critical-class-size",
    statement=r"""A class collapses exactly when it has no more than $n_c = M^2 N (N \lambda_H \prod_m
    \lambda_m)^{1/M} (M-1)^{-(M-1)/M}$ samples.""",
    source="minority collapse, critical class size",
    agreement=Identity(rtol=CROSSED),
    controls=("M for M^2", "threshold of one layer", "N left out of the root"),
)
def critical_class_size(run: Run) -> Trial:
    """For every class, find the decay at which the minimum with its mode and the one without are equally low.

    Going up in decay the modes are lost one after another, each after it has ceased to pay; from there the minimum
    without it is followed back down to where the two cross.
    """
    of, depth = sizes(run), 2
    points = run.size("decays", quick=16, standard=24, full=64)
    n = np.array(of.imbalanced, dtype=float)
    smallest, largest = (np.array([n.min(), n.max()]) / n.mean()) ** (depth / (depth + 1))
    grid = unit_decay(of.imbalanced, depth) * np.geomspace(0.4 * smallest, 1.1 * largest, points)
    problem = _equal(of.imbalanced, of.dims(depth), float(grid[0]))

    def measure() -> Array:
        top = _highest_branch(run, of.imbalanced, of.dims(depth), grid)
        branches = [_with_descent(problem, top, rank) for rank in range(of.num_classes)] + [top]
        return np.array([_meet(problem, higher, lower) for lower, higher in pairwise(branches)])

    def predict(share: float = 1.0) -> Array:
        at_unit_decay = nc.critical_class_size(num_samples=n.sum(), weight_decays=[1.0] * depth, feature_decay=1.0)
        return (n / (share * at_unit_decay)) ** (depth / (depth + 1))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "M for M^2": lambda: predict(1 / depth),
            "threshold of one layer": lambda: predict(nc.collapse_threshold(depth)),
            "N left out of the root": lambda: predict(n.sum() ** (-1 / depth)),
        },
    )


def _with_descent(problem: Problem, top: Branch, rank: int) -> Branch:
    """Complete a stretch of constant rank by following its first point back down to the lowest decay."""
    first = int(np.flatnonzero(top.ranks == rank)[0])
    down = _follow(problem, top.at(first), np.minimum(top.decays, top.decays[first])[::-1])
    return jax.tree.map(lambda up, back: np.concatenate([back[::-1][:first], up[first:]]), top, down)


def _meet(problem: Problem, higher: Branch, lower: Branch) -> float:
    """Find the decay at which two branches of neighbouring ranks have the same loss."""
    gap = np.where(higher.ranks == lower.ranks + 1, higher.losses - lower.losses, np.nan)
    last = int(np.flatnonzero((gap[:-1] < 0) & (gap[1:] > 0))[0])
    finer = np.linspace(higher.decays[last], higher.decays[last + 1], higher.decays.size)
    one, other = (_follow(problem, branch.at(last), finer) for branch in (higher, lower))
    return _crossing(one.losses - other.losses, finer)[0]
