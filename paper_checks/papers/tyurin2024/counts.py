"""What the number of steps depends on: how many samples there are, on an instance in closed form, and the step size."""

from collections.abc import Callable

import numpy as np

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples, components
from paper_checks.papers.tyurin2024._instances import opposed
from paper_checks.papers.tyurin2024.paper import PAPER
from simulations import optimization as sim
from theory import optimization


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
        rows = [opposed(n, phi)[None] for n, phi in instances]
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
