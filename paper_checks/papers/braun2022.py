"""Braun, Domine, Fitzgerald and Saxe 2022: exact learning dynamics from prior knowledge and small weights."""

import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Steps
from paper_checks.problems import LinearTask, linear_task, riccati_variant
from simulations import deep_linear as sim
from theory import deep_linear

PAPER = Paper(
    key="braun2022",
    title="Exact learning dynamics of deep linear networks with prior knowledge",
    authors="Lukas Braun, Clementine Domine, James Fitzgerald, Andrew Saxe",
    year=2022,
    wing="deep_linear",
)


@PAPER.claim(
    "riccati",
    statement=r"""With $W_2^T W_2 - W_1 W_1^T = \lambda I$ the two-layer flow on white inputs has the Riccati solution
    with $F = [[-\lambda/2, \Sigma^T], [\Sigma, \lambda/2]]$, for either sign of $\lambda$ and to late times.""",
    source="exact solution with unequal layers",
    agreement=Identity(rtol=1e-8),
    controls=("imbalance dropped", "imbalance of the other sign", "exp(F r) for exp(2 F r) in the integral"),
)
def riccati(run: Run) -> Trial:
    """Integrate the flow of the weight matrices from imbalanced weights of both signs."""
    inputs, hidden, outputs = run.size("layers", quick=(4, 3, 4), standard=(16, 8, 12), full=(784, 10, 10))
    imbalance, times = 0.8, np.array([0.3, 1.0, 3.0, 8.0])
    rng = run.rng()
    sigma_yx = 2.0 * rng.standard_normal((outputs, inputs)) / np.sqrt(inputs)
    strengths = rng.uniform(0.2, 0.9, hidden)

    def start(sign: int) -> list[np.ndarray]:
        weights = sim.imbalanced(
            run.key(f"sign {sign}"), (inputs, hidden, outputs), imbalance=sign * imbalance, strengths=strengths
        )
        return [np.asarray(w) for w in weights]

    def measure() -> np.ndarray:
        task = sim.Task.from_moments(sigma_yx)
        return np.stack([sim.gradient_flow(start(sign), task, times=times, observe=sim.gram) for sign in (1, -1)])

    def literal(*, rate: float = 2.0, factor: float = 1.0) -> np.ndarray:
        return np.stack(
            [
                riccati_variant(start(sign), sigma_yx, times, rate=rate, imbalance=factor * sign * imbalance)
                for sign in (1, -1)
            ]
        )

    def predict() -> np.ndarray:
        found = []
        for sign in (1, -1):
            w1, w2 = start(sign)
            found.append(deep_linear.two_layer_flow(w1, w2, sigma_yx, times, imbalance=sign * imbalance).gram)
        return np.stack(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "imbalance dropped": lambda: literal(factor=0.0),
            "imbalance of the other sign": lambda: literal(factor=-1.0),
            "exp(F r) for exp(2 F r) in the integral": lambda: literal(rate=1.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "small_init",
    statement=r"""Fed with small unbalanced Gaussian weights of size $\sigma$, the balanced Riccati solution is off by
    $O(\sigma^2)$ at all times.""",
    source="small random initial weights; the rate is derived",
    agreement=ConvergenceOrder(order=2, resolution=1e-2, accuracy=1e-11),
    controls=("first layer doubled", "weights of half the size", "task 5 % stronger"),
)
def small_init(run: Run) -> Trial:
    """Integrate the flow from the same Gaussian directions at scales that halve, while each mode rises.

    Strengths of ratio 2 make the error a series in whole powers of sigma, and directions are drawn until both modes
    have room to grow: sigma^2 over the overlap that grows is what has to be small.
    """
    inputs, hidden, outputs = run.size("layers", quick=(4, 8, 3), standard=(12, 8, 6), full=(100, 30, 10))
    coarsest = run.size("largest sigma", quick=2e-3, standard=2e-3, full=1e-3)
    sigmas = coarsest * np.array([1.0, 0.5, 0.25, 0.125])
    rng = run.rng()
    target = linear_task(rng, [2.0, 1.0], n_inputs=inputs, n_outputs=outputs)
    first, second = _growing_directions(rng, target, hidden)
    # a mode rises around ln(1 / sigma) / s; the error is uniform in time only if the times move along
    offsets = np.array([-1.0, 0.0, 1.0])
    times = [np.sort(np.ravel((offsets - np.log(sigma * np.sqrt(hidden / 2))) / target.s[:, None])) for sigma in sigmas]

    def measure() -> Steps:
        task = sim.Task.from_moments(target.sigma_yx)
        found = [
            sim.gradient_flow([sigma * first, sigma * second], task, times=t, observe=sim.product)
            for sigma, t in zip(sigmas, times, strict=True)
        ]
        return Steps(sigmas, np.stack(found))

    def predict(lower: float = 1.0, upper: float = 1.0, task: float = 1.0) -> Steps:
        w1, w2, sigma_yx = lower * first, upper * second, task * target.sigma_yx
        found = [
            deep_linear.two_layer_flow(sigma * w1, sigma * w2, sigma_yx, t, imbalance=None).product
            for sigma, t in zip(sigmas, times, strict=True)
        ]
        return Steps(sigmas, np.stack(found))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "first layer doubled": lambda: predict(lower=2.0),
            "weights of half the size": lambda: predict(lower=0.5, upper=0.5),
            "task 5 % stronger": lambda: predict(task=1.05),
        },
        scale="largest",
    )


def _growing_directions(rng: np.random.Generator, target: LinearTask, hidden: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw Gaussian layers until no combination of the modes starts below half its typical growing overlap."""
    while True:
        first = rng.standard_normal((hidden, target.v.shape[0]))
        second = rng.standard_normal((target.u.shape[0], hidden))
        growing = (first @ target.v + second.T @ target.u) / np.sqrt(2 * hidden)
        if np.linalg.norm(growing, -2) > 0.5:
            return first, second
