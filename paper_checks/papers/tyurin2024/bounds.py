"""How many steps it takes: bounds on random data and on data made hard, an instance in closed form, the use of loss."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Bound, Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, components
from paper_checks.papers.tyurin2024.paper import PAPER
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]

STEP_SIZES = (1.0, 20.0, 2000.0)


class Instance(NamedTuple):
    """Data sets of one shape, and the step size that they are to be tried at."""

    rows: Array
    step_size: float


@lru_cache(maxsize=4)
def _instances(
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
        hard = [_opposed(n, phi)[None] for n in (10, 80, 320) for phi in (np.pi / 6, *rng.uniform(0.2, 0.7, 2))]
        alike = np.tile(rng.normal(size=(2, 3)), (2, 1, 1)).swapaxes(0, 1)
        found += [Instance(rows, gamma) for rows in (*drawn, *searched, *hard, alike)]
    return found


@lru_cache(maxsize=4)
def _tied(run: Run, sets: int) -> list[Instance]:
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


def _opposed(n: int, angle: float) -> Array:
    """Return n - 1 rows at an angle above the axis, and one that mirrors them on the other side."""
    rows = np.tile([np.cos(angle), np.sin(angle)], (n, 1))
    rows[-1, 0] *= -1
    return rows


def _bound_trial(
    run: Run,
    bound: Callable[..., float],
    wrong: Mapping[str, Callable[..., float]],
    *,
    step_sizes: tuple[float, ...] = (np.inf,),
    normalized: bool = False,
    counterexample: str = "",
    tied: bool = False,
) -> Trial:
    """Count the steps that separate all instances, against ``bound(n, radius=R, margin=mu, step_size=gamma)``."""
    sets = run.size("random data sets", quick=400, standard=2000, full=200_000)
    problems: Callable[[], list[Instance]]
    if tied:
        problems = partial(_tied, run, sets)
    else:
        search = run.size("searches and proposals", quick=(4, 1000), standard=(8, 5000), full=(256, 200_000))
        problems = partial(_instances, run, sets, search, step_sizes, normalized)

    def measure(normalized: bool = normalized) -> Array:
        counts = [
            sim.steps_to_separate(rows, step_size=gamma, normalized=normalized, max_steps=10_000_000)
            for rows, gamma in problems()
        ]
        steps = np.concatenate(counts)
        if (steps == sim.UNFINISHED).any():
            raise RuntimeError("a data set was not separated")
        return steps.astype(float)

    def predict(bound: Callable[..., float] = bound) -> Array:
        return np.array(
            [
                bound(rows.shape[1], radius=radius, margin=margin, step_size=gamma)
                for (rows, gamma), sizes in zip(problems(), _radii_and_margins(problems), strict=True)
                for radius, margin in sizes
            ]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={name: partial(predict, formula) for name, formula in wrong.items()},
        counterexamples={counterexample: lambda: measure(not normalized)} if counterexample else {},
    )


@lru_cache(maxsize=4)
def _radii_and_margins(problems: Callable[[], list[Instance]]) -> list[list[tuple[float, float]]]:
    return [
        [(float(np.linalg.norm(b, axis=1).max()), optimization.hard_margin(b)[0]) for b in rows]
        for rows, _ in problems()
    ]


@PAPER.claim(
    "batch-bound",
    statement=r"""The batch perceptron separates data of margin $\mu$ and radius $R$ within $T \le n R^2 / \mu^2$
    updates.""",
    source="iteration bound of the batch perceptron",
    agreement=Bound(rounding=1e-9),
    controls=("no factor n", "d for n", "n alone", "root of n for n"),
)
def batch_bound(run: Run) -> Trial:
    """Count updates on random data, on the hard instance, and on data that a search made hard.

    The slack says how far from the bound the worst of them stays: two equal rows attain half of it, the hard instance
    comes within a factor 16 for many samples, and the search finds nothing worse.
    """
    iteration_bound = optimization.perceptron_iteration_bound
    return _bound_trial(
        run,
        iteration_bound,
        {
            "no factor n": lambda n, **q: iteration_bound(n, **q) / n,
            "d for n": lambda n, **q: iteration_bound(n, **q) / n * 2,
            "n alone": lambda n, **q: float(n),
            "root of n for n": lambda n, **q: iteration_bound(n, **q) / np.sqrt(n),
        },
    )


@PAPER.claim(
    "sharper-bound",
    statement=r"""The batch perceptron needs no more than $T \le \frac{n^2}{4 (n - 1)} R^2 / \mu^2$ updates when no row
    is tied on its path, a quarter of the bound above for many samples. (Derived.)""",
    source="derived from the proof of the iteration bound",
    # attained to rounding by n = 2 equal rows
    agreement=Bound(rounding=1e-9, tight=1e-9),
    controls=("half of it", "n / 8 for n / 4", "no factor n", "factor n: nowhere attained"),
)
def sharper_bound(run: Run) -> Trial:
    """Count updates as for the bound above; two equal rows are among the instances."""
    sharper = optimization.sharper_perceptron_bound
    return _bound_trial(
        run,
        sharper,
        {
            "half of it": lambda n, **q: sharper(n, **q) / 2,
            "n / 8 for n / 4": lambda n, **q: n / 8 * (q["radius"] / q["margin"]) ** 2,
            "no factor n": lambda n, **q: (q["radius"] / q["margin"]) ** 2,
            "factor n: nowhere attained": lambda n, **q: n * (q["radius"] / q["margin"]) ** 2,
        },
    )


@PAPER.claim(
    "sharper-bound-ties",
    statement=r"""Where a row may be tied on the path and count half, $T \le \frac{(2n - 1)^2}{8 (n - 1)} R^2 / \mu^2$,
    half of the bound for all data when samples are many. (Derived.)""",
    source="derived from the proof of the iteration bound",
    agreement=Bound(rounding=1e-9),
    controls=("no factor n", "root of n for n", "a twelfth of it"),
)
def sharper_bound_ties(run: Run) -> Trial:
    """Count updates on integer data that tie; none of them comes near the bound."""
    sharper = partial(optimization.sharper_perceptron_bound, ties=True)
    return _bound_trial(
        run,
        sharper,
        {
            "no factor n": lambda n, **q: (q["radius"] / q["margin"]) ** 2,
            "root of n for n": lambda n, **q: np.sqrt(n) * (q["radius"] / q["margin"]) ** 2,
            "a twelfth of it": lambda n, **q: sharper(n, **q) / 12,
        },
        tied=True,
    )


@PAPER.claim(
    "normalized-bound",
    statement=r"""Normalised, the perceptron separates the data within $T \le R^2 / \mu^2$ updates, whatever their
    number.""",
    source="iteration bound of the normalised method",
    agreement=Bound(rounding=1e-9),
    controls=("half of it", "R / mu", "without normalisation"),
)
def normalized_bound(run: Run) -> Trial:
    """Count updates of the normalised method; the plain one needs more on the hard instance."""
    bound = partial(optimization.perceptron_iteration_bound, normalized=True)
    return _bound_trial(
        run,
        bound,
        {"half of it": lambda n, **q: bound(n, **q) / 2, "R / mu": lambda n, **q: q["radius"] / q["margin"]},
        normalized=True,
        counterexample="without normalisation",
    )


@PAPER.claim(
    "finite-gamma-bounds",
    statement=r"""At a step size $\gamma$, gradient descent separates within $2 n (R^2 + 4 w_0 (n - 1) / \gamma) /
    \mu^2$ steps, $w_0 = \max_x x / (1 + e^x)$. (Derived.)""",
    source="derived from the proof of the iteration bound",
    agreement=Bound(rounding=1e-9),
    controls=("bound of the perceptron", "no factor n"),
)
def finite_gamma_bounds(run: Run) -> Trial:
    """Count steps at three step sizes, on data that the search made hard for each."""
    bound = optimization.perceptron_iteration_bound
    return _bound_trial(
        run,
        bound,
        {
            "bound of the perceptron": lambda n, step_size, **q: bound(n, **q),
            "no factor n": lambda n, **q: bound(n, **q) / (2 * n),
        },
        step_sizes=STEP_SIZES,
    )


@PAPER.claim(
    "sharper-finite-gamma-bound",
    statement=r"""At a step size $\gamma$, $\bigl(\frac{(2n+1)^2}{8n} R^2 + 8 w_0 n (n-1) / \gamma\bigr) / \mu^2$ steps
    suffice. (Derived.)""",
    source="derived from the proof of the iteration bound",
    agreement=Bound(rounding=1e-9),
    controls=("bound of the perceptron", "8 for 8 n (n - 1)", "no factor n"),
)
def sharper_finite_gamma_bound(run: Run) -> Trial:
    """Count steps at three step sizes, on data that the search made hard for each."""
    bound = optimization.sharper_perceptron_bound
    return _bound_trial(
        run,
        bound,
        {
            "bound of the perceptron": lambda n, step_size, **q: bound(n, **q),
            "8 for 8 n (n - 1)": lambda n, step_size, **q: bound(n, step_size=step_size * n * (n - 1), **q),
            "no factor n": lambda n, **q: bound(n, **q) / n,
        },
        step_sizes=STEP_SIZES,
    )


@PAPER.claim(
    "normalized-finite-gamma-bound",
    statement=r"""At a step size $\gamma$, normalised gradient descent separates within $(R^2 + 4 w_0 (n - 1) /
    \gamma) / \mu^2$ steps. (Derived.)""",
    source="derived from the proof of the iteration bound",
    agreement=Bound(rounding=1e-9),
    controls=("bound of the perceptron", "no n - 1", "without normalisation"),
)
def normalized_finite_gamma_bound(run: Run) -> Trial:
    """Count steps at three step sizes, on data that the search made hard for each."""
    bound = partial(optimization.perceptron_iteration_bound, normalized=True)
    return _bound_trial(
        run,
        bound,
        {
            "bound of the perceptron": lambda n, step_size, **q: bound(n, **q),
            "no n - 1": lambda n, step_size, **q: bound(n, step_size=step_size * (n - 1), **q),
        },
        step_sizes=STEP_SIZES,
        normalized=True,
        counterexample="without normalisation",
    )


@PAPER.claim(
    "n-dependence",
    statement=r"""The factor $n$ is real: on $n - 1$ rows $(\cos\varphi, \sin\varphi)$ and one $(-\cos\varphi,
    \sin\varphi)$ the batch perceptron takes $2 + \lfloor \frac12 ((n - 2) \cos^2\varphi - n \sin^2\varphi) \rfloor$
    updates, while $R^2 / \mu^2 = 1 / \sin^2\varphi$ and the normalised one takes 2.""",
    source="dependence on the number of samples",
    agreement=Identity(rtol=1e-12),
    controls=("n cos(2 phi) / 2", "n for n - 2", "one update less", "normalised bound"),
)
def n_dependence(run: Run) -> Trial:
    """Count updates at many sizes and angles, away from those at which a row ends on the boundary."""
    count = run.size("instances", quick=300, standard=3000, full=30_000)
    largest = run.size("largest n", quick=400, standard=2000, full=10_000)
    rng = run.rng()
    sizes = np.concatenate([10 * 2 ** np.arange(6), 10 * 2 ** np.arange(6), rng.integers(10, largest, count)])
    angles = np.concatenate([np.full(6, np.pi / 6), np.full(6, np.pi / 8), rng.uniform(0.35, 0.75, count)])
    bracket = ((sizes - 2) * np.cos(angles) ** 2 - sizes * np.sin(angles) ** 2) / 2
    clear = (np.abs(bracket - np.rint(bracket)) > 1e-6) & (bracket > 0)
    sizes, angles = sizes[clear], angles[clear]
    instances = list(zip(sizes.tolist(), angles.tolist(), strict=True))

    def measure() -> Array:
        rows = [_opposed(n, phi)[None] for n, phi in instances]
        counts = [[sim.steps_to_separate(b, normalized=norm)[0] for b in rows] for norm in (False, True)]
        return np.array(counts, dtype=float)

    def predict(plain: Callable[[int, float], float] = optimization.hard_instance_iterations) -> Array:
        return np.array([[plain(n, phi) for n, phi in instances], np.full(len(instances), 2.0)])

    def normalized_count(n: int, phi: float) -> float:
        margin, _ = optimization.hard_margin(optimization.hard_instance(n, phi))
        return np.floor(optimization.perceptron_iteration_bound(n, radius=1.0, margin=margin, normalized=True))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "n cos(2 phi) / 2": lambda: predict(lambda n, phi: n * np.cos(2 * phi) / 2),
            "n for n - 2": lambda: predict(lambda n, phi: 2 + np.floor(n * np.cos(2 * phi) / 2)),
            "one update less": lambda: predict() - [[1.0], [0.0]],
            "normalised bound": lambda: predict(normalized_count),
        },
    )


@PAPER.claim(
    "high-loss-fast",
    statement=r"""Larger steps bring a higher loss on the way and separate the data sooner: from $\gamma = 0.1$ to 100
    the number of steps falls by more than half in the mean of each of the first two decades and does not rise over all
    three, and the peak loss grows by more than $\sqrt{e}$ a decade from 1000 on. Not so on every data set.""",
    source="large steps with a high loss",
    agreement=Ordering(side="above"),
    controls=("small steps", "steps inversely proportional to gamma throughout"),
)
def high_loss_fast(run: Run) -> Trial:
    """Count steps and record peak losses on random data, at step sizes a decade apart.

    The logarithms of the ratios are averaged over data sets. Small steps never raise the loss above where it starts.
    """
    sets = run.size("data sets", quick=2000, standard=20_000, full=1_000_000)
    horizon = 60

    def measure(steps: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0), peaks: tuple[float, ...] = (1e3, 1e4, 1e5)):
        rows = sim.random_separable(run.rng(), n_sets=sets, n_samples=20, dimension=3, least_margin=0.05)
        counts = np.stack([sim.steps_to_separate(rows, step_size=g) for g in steps], axis=1)
        losses = [
            sim.logistic_losses(rows, sim.descent_path(rows, step_size=g, n_steps=horizon)).max(axis=1) for g in peaks
        ]
        faster = np.log(counts)
        return Samples(
            components(
                faster[:, :2] - faster[:, 1:3],
                faster[:, :1] - faster[:, 3:],
                np.diff(np.log(np.stack(losses, axis=1))),
                leading=1,
            )
        )

    thresholds = np.array([np.log(2), np.log(2), 2 * np.log(2), 0.5, 0.5])
    decades = np.log(10) * np.array([1.0, 1.0, 3.0])
    return Trial(
        predict=lambda: thresholds,
        measure=measure,
        controls={
            "steps inversely proportional to gamma throughout": lambda: np.concatenate([0.9 * decades, [0.5, 0.5]])
        },
        counterexamples={"small steps": lambda: measure(peaks=(0.01, 0.1, 1.0))},
        scale=1.0,
    )
