"""All functions on a small domain against any learner: how often an estimate of its error must fail."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Bound, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, components
from paper_checks.papers.gastpar2023.paper import PAPER
from simulations import generalization as sim
from theory import generalization

Array = NDArray[np.float64]
Game = tuple[int, int, Fraction]
Failure = Callable[[int, int, float], float]


def _failures(games: list[Game], failure: Failure = generalization.minimax_estimation_failure) -> Array:
    return np.array([failure(d, n, float(eps)) for d, n, eps in games])


def _without_repeats(d: int, n: int, eps: float) -> float:
    return generalization.minimax_estimation_failure(max(d - n, 1), 0, eps * d / max(d - n, 1))


def _guess_the_number(d: int, n: int, eps: float) -> float:
    return generalization.minimax_estimation_failure(d, n, 1e-6)


WRONG_FAILURES: dict[str, Failure] = {
    "eps for 2 eps": lambda d, n, eps: generalization.minimax_estimation_failure(d, n, eps / 2),
    "an estimate off by eps succeeds": lambda d, n, eps: generalization.minimax_estimation_failure(d, n, eps + 1e-6),
    "no point drawn twice": _without_repeats,
    "every number of errors on its own": _guess_the_number,
}


@PAPER.claim(
    "occupancy",
    statement=r"""Among $n$ uniform draws from $d$ points, $j$ are distinct with probability
    $\binom{d}{j} \frac{j!}{d^n} \left\{ n \atop j \right\}$.""",
    source="classical; what a sample leaves unseen",
    agreement=Identity(rtol=1e-12),
    controls=("one draw more", "one point more", "every subset equally likely"),
)
def occupancy(run: Run) -> Trial:
    """List all sequences of points."""
    most = run.size("largest number of sequences", quick=10**5, standard=10**6, full=2**22)
    problems = [(d, n) for d in range(2, 8) for n in range(1, 12) if d**n <= most]

    def predict(more: int = 0, wider: int = 0) -> Array:
        laws = [generalization.occupancy_distribution(d + wider, n + more)[: d + 1] for d, n in problems]
        return components(*laws)

    def subsets() -> Array:
        counts = [np.array([_choose(d, j) * (1 <= j <= n) for j in range(d + 1)], float) for d, n in problems]
        return components(*(count / count.sum() for count in counts))

    return Trial(
        predict=predict,
        measure=lambda: components(*(sim.count_distinct(d, n) for d, n in problems)),
        controls={
            "one draw more": lambda: predict(more=1),
            "one point more": lambda: predict(wider=1),
            "every subset equally likely": subsets,
        },
        scale="largest",
    )


def _choose(d: int, j: int) -> float:
    return float(np.prod([(d - i) / (i + 1) for i in range(j)]))


@PAPER.claim(
    "minimax-failure",
    statement=r"""On a uniform domain of $d$ points, an estimator of the error of any learner that fits its sample fails
    to come within less than $\epsilon$ with probability $\delta^* = 1 - \sum_j P(j) / K(d - j)$ at least, for some
    learner and function, with $K(u) = \lfloor u / \lceil 2 \epsilon d \rceil \rfloor + 1$ and $P$ the law of the number
    of distinct points; and some randomised estimator never fails more often.""",
    source="derived; exact form of the result for all algorithms and distributions",
    # vertices of linear programmes of a few thousand variables
    agreement=Identity(rtol=1e-9),
    controls=tuple(WRONG_FAILURES),
)
def minimax_failure(run: Run) -> Trial:
    """Solve the whole game, all functions, samples and hypotheses on either side, as one linear programme."""
    games = [
        *((2, 1, Fraction(1, 4)), (2, 2, Fraction(1, 4)), (3, 1, Fraction(1, 3)), (3, 1, Fraction(1, 6))),
        *((3, 2, Fraction(1, 6)), (3, 2, Fraction(3, 10)), (3, 3, Fraction(1, 6)), (4, 1, Fraction(1, 4))),
        *((4, 1, Fraction(1, 8)), (4, 2, Fraction(1, 4)), (4, 2, Fraction(1, 8))),
    ]
    rng = run.rng("games")
    drawn = run.size("games drawn", quick=6, standard=20, full=60)
    games += [
        (int(rng.integers(2, 5)), int(rng.integers(1, 3)), Fraction(int(rng.integers(1, 25)), 60)) for _ in range(drawn)
    ]
    games += run.size(
        "larger games",
        quick=[],
        standard=[(4, 3, Fraction(1, 8)), (5, 2, Fraction(1, 5))],
        full=[(4, 3, Fraction(1, 8)), (5, 2, Fraction(1, 5)), (5, 2, Fraction(1, 10)), (5, 3, Fraction(1, 5))],
    )
    return Trial(
        predict=lambda: _failures(games),
        measure=lambda: np.array([sim.solve_estimation_game(*game) for game in games]),
        controls={name: partial(_failures, games, wrong) for name, wrong in WRONG_FAILURES.items()},
        scale=1.0,
    )


@PAPER.claim(
    "minimax-play",
    statement=r"""The same on larger domains, where functions and samples are drawn, the learner errs on as many unseen
    points as an optimal mixture says, and the estimator draws from its own.""",
    source="derived; exact form of the result for all algorithms and distributions",
    agreement=MonteCarlo(resolution=0.03),
    controls=tuple(WRONG_FAILURES),
)
def minimax_play(run: Run) -> Trial:
    """Draw functions and samples, and play mixtures that linear programmes find for the number of errors."""
    replicates = run.size("replicates", quick=40_000, standard=200_000, full=1_000_000)
    games: list[Game] = [(20, 2, Fraction(1, 4)), (20, 5, Fraction(1, 20)), (20, 10, Fraction(1, 10))]
    games += run.size(
        "larger games",
        quick=[],
        standard=[(200, 20, Fraction(1, 4))],
        full=[(200, 20, Fraction(1, 4)), (200, 150, Fraction(1, 40))],
    )

    def measure() -> Samples:
        played = [
            sim.play_estimation_game(run.keys(replicates, f"{game}"), domain_size=game[0], n=game[1], eps=game[2])
            for game in games
        ]
        return Samples(np.stack(played, axis=1))

    return Trial(
        predict=lambda: _failures(games),
        measure=measure,
        controls={name: partial(_failures, games, wrong) for name, wrong in WRONG_FAILURES.items()},
    )


@PAPER.claim(
    "coin-flip",
    statement=r"""As long as a sample holds at most half of the domain, no estimator comes within less than 1/4 of the
    error, or less than any smaller $\epsilon$, with a probability of failure below 1/2; at 1/4 that is tight.""",
    source="the main impossibility, in its exact finite form",
    agreement=Bound(side="lower", tight=1e-9, rounding=1e-9),
    controls=("2/3", "3/5", "more than half of the domain seen", "within 2/5"),
)
def coin_flip(run: Run) -> Trial:
    """Solve the whole game at accuracies up to 1/4; then with more points, and at a coarser accuracy."""
    sizes = run.size(
        "domain, sample",
        quick=[(2, 1), (3, 1), (4, 1), (4, 2)],
        standard=[(2, 1), (3, 1), (4, 1), (4, 2), (5, 1), (5, 2)],
        full=[(2, 1), (3, 1), (4, 1), (4, 2), (5, 1), (5, 2), (6, 1)],
    )
    accuracies = [Fraction(1, 4), Fraction(2, 9), Fraction(1, 6), Fraction(1, 8), Fraction(1, 20)]
    more = [(min(d, 4), 3) for d, _ in sizes]

    def measure(shapes: list[tuple[int, int]], aims: list[Fraction]) -> Array:
        return np.array([[sim.solve_estimation_game(d, n, eps) for eps in aims] for d, n in shapes])

    def bound(value: float) -> Array:
        return np.full((len(sizes), len(accuracies)), value)

    return Trial(
        predict=lambda: bound(0.5),
        measure=lambda: measure(sizes, accuracies),
        controls={"2/3": lambda: bound(2 / 3), "3/5": lambda: bound(0.6)},
        counterexamples={
            "more than half of the domain seen": lambda: measure(more, accuracies),
            "within 2/5": lambda: measure(sizes, [Fraction(2, 5)] * len(accuracies)),
        },
    )
