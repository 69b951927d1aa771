"""Finite classes of coins: the regret of their mixture, and what it owes to the number of models."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, components
from paper_checks.papers.feder2025.paper import PAPER
from simulations import generalization as sim
from theory import generalization


class Classes(NamedTuple):
    """Problems of one size: true coins (B,), coins of the class and their weights, both (B, M)."""

    truths: Array
    coins: Array
    weights: Array


def draw_classes(rng: np.random.Generator, number: int, size: int) -> Classes:
    """Draw classes with uneven weights, half of them with the truth in it."""
    coins = rng.uniform(0.01, 0.99, (number, size))
    truths = np.where(np.arange(number) % 2 == 0, coins[:, 0], rng.uniform(0.02, 0.98, number))
    return Classes(truths, coins, rng.dirichlet(np.full(size, 0.5), number))


def divergences(problems: Classes) -> Array:
    """Divergence of every model from the truth, in nats, (B, M)."""
    return np.asarray(generalization.bernoulli_kl(problems.truths[:, None], problems.coins))


def over_classes(problems: Classes, bound: Callable[[Array, Array], float]) -> Array:
    """Evaluate ``bound`` at the divergences and the weights of every class, (B,)."""
    rows = zip(divergences(problems), problems.weights, strict=True)
    return np.array([bound(distance, weight) for distance, weight in rows])


def tilted_weight(problems: Classes, divergence: Array) -> Array:
    """Minus the logarithm of the sum of weights times exp(-divergence), (B,)."""
    return -np.log(np.sum(problems.weights * np.exp(-divergence), axis=1))


@PAPER.claim(
    "finite-class",
    statement=r"""Tossing a coin $\theta_0$, a mixture of coins $\theta_j$ loses $n R_n = -\sum_k \binom nk \theta_0^k
    (1-\theta_0)^{n-k} \ln \sum_j w_j (\theta_j/\theta_0)^k ((1-\theta_j)/(1-\theta_0))^{n-k}$ nats more than the truth
    in $n$ tosses, and $r_n = n R_n - (n-1) R_{n-1}$ in the last of them.""",
    source="derived; regret of a mixture",
    # sums of 2^n terms of n factors
    agreement=Identity(rtol=1e-11),
    controls=("every model equally likely", "one toss more", "mean divergence of the models", "mean for last toss"),
)
def finite_class(run: Run) -> Trial:
    """Run Bayesian predictors on all sequences of tosses; on long ones, with equal posteriors merged."""
    few = run.size("tosses, listed", quick=9, standard=12, full=16)
    many = run.size("tosses, merged", quick=60, standard=200, full=1000)
    number = run.size("classes", quick=12, standard=20, full=40)
    rng = run.rng()
    listed, merged = draw_classes(rng, number, 6), draw_classes(rng, number, 40)

    def predict(steps: Callable[[float, Array, Array, int], Array]) -> Array:
        sets = ((listed, few), (merged, many))
        return components(*(steps(*problem, n) for problems, n in sets for problem in zip(*problems, strict=True)))

    def regrets(truth: float, coins: Array, weights: Array, n: int, more: int = 0) -> Array:
        sizes = np.arange(1, n + 1)
        return np.array(
            [m * generalization.mixture_regret_bernoulli(truth, coins, weights, int(m + more)) for m in sizes]
        )

    def steps(truth: float, coins: Array, weights: Array, n: int, more: int = 0) -> Array:
        return generalization.batch_regret(regrets(truth, coins, weights, n, more))

    def divergence(truth: float, coins: Array, weights: Array, n: int) -> Array:
        return np.full(n, weights @ generalization.bernoulli_kl(truth, coins))

    return Trial(
        predict=lambda: predict(steps),
        measure=lambda: components(
            sim.predict_every_sequence(*listed, few).regret, sim.predict_merged_sequences(*merged, many)
        ),
        controls={
            "every model equally likely": lambda: predict(
                lambda t, c, w, n: steps(t, c, np.full(w.size, 1 / w.size), n)
            ),
            "one toss more": lambda: predict(lambda t, c, w, n: steps(t, c, w, n, more=1)),
            "mean divergence of the models": lambda: predict(divergence),
            "mean for last toss": lambda: predict(lambda t, c, w, n: regrets(t, c, w, n) / np.arange(1, n + 1)),
        },
        scale=1.0,
    )


@PAPER.claim(
    "class-size",
    statement=r"""With the weight of the truth fixed, $n R_n \le -\ln w(\theta_0)$ however many models share the rest,
    and its mean over classes does not grow with their number $M$: the slope in $\ln M$ is below 1/4 in size.""",
    source="the price is that of the weight, not of the number of models",
    agreement=Ordering(side="above"),
    controls=("half of that", "slope of at least 1/4", "equal weights on far coins"),
)
def class_size(run: Run) -> Trial:
    """Draw classes of 2 to 1000 coins and more that share 9/10 of the weight; then equal weights on coins far away."""
    sizes = run.size(
        "M", quick=[1, 10, 100, 1000], standard=[1, 10, 100, 1000, 3000], full=[1, 10, 10**2, 10**3, 10**4]
    )
    draws = run.size("draws", quick=100, standard=100, full=400)
    n, truth, weight = 50, 0.3, 0.1

    def measure(far: bool = False) -> Array:
        rng = run.rng()
        regrets = []
        for size in sizes:
            coins = rng.uniform(0.9 if far else 0.001, 0.999, (draws, size))
            mine = 1 / (size + 1) if far else weight
            weights = np.concatenate([[mine], np.full(size, (1 - mine) / size)])
            found = sim.predict_merged_sequences(
                np.full(draws, truth),
                np.column_stack([np.full(draws, truth), coins]),
                np.tile(weights, (draws, 1)),
                n,
            )
            regrets.append(found.sum(axis=1))
        # the dearest of all draws, and the slope of their mean
        slope = np.polyfit(np.log(sizes), np.mean(regrets, axis=1), 1)[0]
        return np.array([-np.max(regrets), slope, -slope])

    def predict(share: float = 1.0, slope: float = -0.25) -> Array:
        price = n * generalization.kl_ball_bound([0.0, np.inf], [weight, 1 - weight], n).value
        # coins far from the truth pay the whole price but for rounding
        return np.array([-share * price - 1e-11, slope, -0.25])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "half of that": lambda: predict(share=0.5),
            "slope of at least 1/4": lambda: predict(slope=0.25),
        },
        counterexamples={"equal weights on far coins": lambda: measure(far=True)},
        scale=1.0,
    )
