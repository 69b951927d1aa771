"""Which weights and which bag sizes are better, with and without privacy."""

import numpy as np

from paper_checks.agreement import Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples
from paper_checks.papers.javanmard2024.bags import (
    BAGS,
    BUDGETS,
    NOISE,
    instance_risks,
    label_noise,
    learn,
    unshrunk_noise,
)
from paper_checks.papers.javanmard2024.paper import PAPER
from simulations import kernel_regression as sim
from theory import kernel_regression as theory

WEIGHTS = np.array([0.02, 0.1, 0.3, 1.0])


def _size(run: Run) -> tuple[int, int, int]:
    n, p = run.size("n, p", quick=(64, 8), standard=(64, 8), full=(512, 64))
    return n, p, run.size("designs", quick=4000, standard=10_000, full=100_000)


def _private(run: Run, budgets: Array, *, shrinking: bool = True) -> list[sim.BagFits]:
    """Fit bags of all sizes, mean labels of range 1 disturbed as each budget asks, and all weights."""
    n, p, designs = _size(run)
    return [learn(run, designs, (n, p, k), WEIGHTS, 1 / (budgets * (k if shrinking else 1))) for k in BAGS]


LARGEST = 1e6  # no difference of risks comes near


def _sides(differences: Array) -> Array:
    """Border both ways: a difference predicted to be positive must be above 0, and its negative may be anything."""
    flat = differences.ravel()
    return np.concatenate([np.where(flat > 0, 0.0, -LARGEST), np.where(flat > 0, -LARGEST, 0.0)])


def _both_ways(differences: Array) -> Samples:
    flat = differences.reshape(len(differences), -1)
    return Samples(np.concatenate([flat, -flat], axis=1))


@PAPER.claim(
    "interior-weight",
    statement=r"""Neither loss alone is best with noisy labels: along $\rho$ = 0.02, 0.1, 0.3 and 1 risks fall and rise
    as the theory says, for bags of two, four and eight.""",
    source="mixtures of the losses; ordering derived here",
    agreement=Ordering(side="above"),
    controls=("instance loss best", "bag loss best", "labels without noise"),
)
def interior_weight(run: Run) -> Trial:
    """Compare mean risks at neighbouring weights on the same designs; their order, not their size, is predicted."""
    n, p, designs = _size(run)
    bags = BAGS[1:]

    def measure(noise: float = NOISE) -> Samples:
        fits = [learn(run, designs, (n, p, k), WEIGHTS, np.zeros(3), noise=noise) for k in bags]
        return _both_ways(np.stack([np.diff(fit.risk[:, :, 0], axis=1) for fit in fits], axis=1))

    def predict() -> Array:
        k = np.array(bags)[:, None]
        return _sides(np.diff(theory.aggregate_risk(n=n, p=p, bag_size=k, rho=WEIGHTS, noise_var=NOISE).total, axis=1))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "instance loss best": lambda: _sides(np.full((len(bags), 3), -1.0)),
            "bag loss best": lambda: _sides(np.full((len(bags), 3), 1.0)),
        },
        counterexamples={"labels without noise": lambda: measure(0.0)},
        scale=np.ones(2 * 3 * len(bags)),
    )


@PAPER.claim(
    "optimal-bag-size",
    statement=r"""Without privacy risks of the instance loss rise with the bag size; under a budget they first fall, as
    noise on means shrinks, and an interior size is best: the exact risks say which.""",
    source="private aggregates; mechanism and ordering derived here",
    agreement=Ordering(side="above"),
    controls=("no privacy", "noise k times as large", "same noise for all sizes"),
)
def optimal_bag_size(run: Run) -> Trial:
    """Compare mean risks at neighbouring bag sizes, with Laplace noise on mean labels; their order is predicted."""

    def measure(shrinking: bool = True) -> Samples:
        risks = np.stack([fit.risk[:, -1] for fit in _private(run, BUDGETS, shrinking=shrinking)], axis=1)
        return _both_ways(np.diff(risks, axis=1))

    def predict(noise: Array | None = None) -> Array:
        risks = instance_risks(*_size(run)[:2], label_noise(BUDGETS) if noise is None else noise)
        return _sides(np.diff(risks, axis=0))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no privacy": lambda: predict(label_noise(np.full(len(BUDGETS), np.inf))),
            "noise k times as large": lambda: predict(unshrunk_noise(BUDGETS)),
        },
        counterexamples={"same noise for all sizes": lambda: measure(shrinking=False)},
        scale=np.ones(2 * len(BUDGETS) * (len(BAGS) - 1)),
    )


@PAPER.claim(
    "tuned-bag-size",
    statement=r"""The same at the best weight of the instance loss for each bag size and budget.""",
    source="private aggregates; mechanism and ordering derived here",
    agreement=Ordering(side="above"),
    controls=("no privacy", "noise k times as large", "same noise for all sizes"),
)
def tuned_bag_size(run: Run) -> Trial:
    """Choose weights on some designs, and compare mean risks at neighbouring bag sizes on others."""
    n, p, designs = _size(run)
    budgets = np.array([np.inf, 0.7, 0.2])

    def measure(shrinking: bool = True) -> Samples:
        risks = []
        for fit in _private(run, budgets, shrinking=shrinking):
            pilot, main = np.split(fit.risk, [designs // 3])
            best = np.argmin(pilot.mean(axis=0), axis=0)
            risks.append(main[:, best, np.arange(len(budgets))])
        return _both_ways(np.diff(np.stack(risks, axis=1), axis=1))

    def predict(noise: Array | None = None) -> Array:
        k = np.array(BAGS)[:, None]
        found = theory.optimal_instance_weight(
            n=n, p=p, bag_size=k, noise_var=label_noise(budgets) if noise is None else noise
        )
        return _sides(np.diff(found.risk, axis=0))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no privacy": lambda: predict(label_noise(np.full(len(budgets), np.inf))),
            "noise k times as large": lambda: predict(unshrunk_noise(budgets)),
        },
        counterexamples={"same noise for all sizes": lambda: measure(shrinking=False)},
        scale=np.ones(2 * len(budgets) * (len(BAGS) - 1)),
    )
