"""What fitting no singleton costs under Zipf's law, and with two levels of frequencies."""

from collections.abc import Callable

import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Steps
from paper_checks.papers.feldman2019.paper import PAPER
from simulations import generalization as sim
from theory import generalization


@PAPER.claim(
    "zipf-cost",
    statement=r"""Under Zipf's law, with $r = n / (N H_N)$, fitting no singleton costs $[e^{-r} - e^{-n/H_N}] / H_N$ and
    singletons are $[E_1(r) - E_1(n/H_N)] / H_N$ of the sample, up to $O(1/N)$: for $N = n = 50\,000$ the cost is still
    8 %.""",
    source="derived; the paper's example of Zipf's law",
    # 2^17 draws: as many roundings
    agreement=ConvergenceOrder(order=1, resolution=1e-5, accuracy=1e-11),
    controls=(
        "common items counted as if rare",
        "log N for the harmonic number",
        "rare items counted as if unseen",
        "rate one for H_N / n",
    ),
)
def zipf_cost(run: Run) -> Trial:
    r"""Convolve the law of the counts, for N that double, and one ratio n / N at a time.

    Deviations are compared after multiplication by :math:`H_N^2` and :math:`H_N`, which leaves powers of N without
    logarithms to leading order.
    """
    finest = run.size("log2 of the items", quick=13, standard=15, full=17)
    sizes, ratios = 2 ** np.arange(finest - 4, finest + 1), (0.5, 1.0, 3.0)
    harmonic = np.array([np.sum(1 / np.arange(1, N + 1)) for N in sizes])[:, None]

    def normalised(cost: Array, share: Array) -> Steps:
        return Steps(1 / sizes, np.concatenate([harmonic**2 * cost, harmonic * share], axis=1))

    def measure() -> Steps:
        cost, share = np.empty((2, len(sizes), len(ratios)))
        for i, N in enumerate(sizes):
            alpha = 1 / np.arange(1, N + 1) / harmonic[i, 0]
            for j, ratio in enumerate(ratios):
                once = np.asarray(sim.occurrence_law(alpha, n=int(ratio * N), most=1)[1])
                cost[i, j], share[i, j] = alpha @ once, once.sum() / int(ratio * N)
        return normalised(cost, share)

    def predict(limit: Callable[[int, int], tuple[float, float]] = generalization.zipf_singleton_limit) -> Steps:
        found = np.array([[limit(int(N), int(ratio * N)) for ratio in ratios] for N in sizes])
        return normalised(found[..., 0], found[..., 1])

    def variant(*, rare: bool = True, logarithm: bool = False, start: float = 0.0):
        def limit(N: int, n: int) -> tuple[float, float]:
            H = np.log(N) if logarithm else np.sum(1 / np.arange(1, N + 1))
            r = n / (N * H) if rare else 0.0
            share = generalization.zipf_singleton_limit(N, n).singleton_fraction
            return float((np.exp(-r) - start) / H), share

        return limit

    def unseen(N: int, n: int) -> tuple[float, float]:
        found = generalization.zipf_singleton_limit(N, n)
        return found.cost, found.singleton_fraction * n / N

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "rare items counted as if unseen": lambda: predict(variant(rare=False)),
            "log N for the harmonic number": lambda: predict(variant(logarithm=True)),
            "common items counted as if rare": lambda: predict(variant(start=-1e-3)),
            "rate one for H_N / n": lambda: predict(unseen),
        },
        scale="largest",
    )


@PAPER.claim(
    "two-level",
    statement=r"""With ten frequent items and a share $w$ of items of frequency $1/n$, $\tau_1 = 1/n$ and fitting no
    singleton costs $w (1-1/n)^{n-1}$, which tends to $w/e$, up to what the frequent items add.""",
    source="derived; the simplest long tail",
    # as many roundings as draws
    agreement=Identity(rtol=1e-11, resolution=1e-10),
    controls=("limit of the cost", "exponent n", "tau of the whole sample", "frequent items left out"),
)
def two_level(run: Run) -> Trial:
    """Convolve the law of the counts for samples that double, down to some in which the head leaves singletons."""
    finest = run.size("log2 of the largest sample", quick=12, standard=14, full=17)
    shares = np.array([0.1, 0.3, 0.7])
    problems = []
    for n in 2 ** np.arange(6, finest + 1, 2):
        for share in shares:
            tail = int(np.rint(share * n))
            head = np.full(10, (1 - tail / n) / 10)
            problems.append((int(n), tail / n, np.concatenate([head, np.full(tail, 1 / n)])))

    def measure() -> Array:
        found = []
        for n, _, alpha in problems:
            once = np.asarray(sim.occurrence_law(alpha, n=n, most=1)[1])
            found.append([alpha @ once, n * (alpha @ once) / once.sum()])
        return np.array(found)

    def predict(cost: Callable[[float, int], float] | None = None, tau: Callable[[int], float] | None = None) -> Array:
        return np.array(
            [
                [
                    generalization.excess_error(alpha, n, [1.0]) if cost is None else cost(w, n),
                    n * (generalization.posterior_frequency(alpha, n) if tau is None else tau(n)),
                ]
                for n, w, alpha in problems
            ]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "limit of the cost": lambda: predict(cost=lambda w, n: w / np.e),
            "exponent n": lambda: predict(cost=lambda w, n: w * (1 - 1 / n) ** n),
            "tau of the whole sample": lambda: predict(tau=lambda n: 1 / (n - 1)),
            "frequent items left out": lambda: predict(cost=lambda w, n: w * (1 - 1 / n) ** (n - 1)),
        },
    )
