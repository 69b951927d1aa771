"""Bounds on how many steps it takes, on random data and on data made hard."""

from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import numpy as np

from paper_checks.agreement import Bound
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array
from paper_checks.papers.tyurin2024._instances import Instance, draw_instances, tied_instances
from paper_checks.papers.tyurin2024.paper import PAPER
from simulations import optimization as sim
from theory import optimization

STEP_SIZES = (1.0, 20.0, 2000.0)


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
        problems = partial(tied_instances, run, sets)
    else:
        search = run.size("searches and proposals", quick=(4, 1000), standard=(8, 5000), full=(256, 200_000))
        problems = partial(draw_instances, run, sets, search, step_sizes, normalized)

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
