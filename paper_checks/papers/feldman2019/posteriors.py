"""Mean frequencies of items, by how often they were seen: over samples, and given one."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, components
from paper_checks.papers.feldman2019.multisets import random_parts
from paper_checks.papers.feldman2019.paper import PAPER
from simulations import generalization as sim
from theory import generalization

Means = Callable[[Array, int, int], float]


@PAPER.claim(
    "mass-identity",
    statement=r"""Items seen exactly $\ell$ times carry the total frequency $E \sum_{x \in S_\ell} D(x) = \tau_\ell
    E|S_\ell|$, with $\tau_\ell = E[\alpha^{\ell+1}(1-\alpha)^{n-\ell}] / E[\alpha^\ell (1-\alpha)^{n-\ell}]$ and
    $E|S_\ell| = N \binom{n}{\ell} E[\alpha^\ell (1-\alpha)^{n-\ell}]$, for exchangeable frequencies of any kind.""",
    source="derived; the coefficients of the main theorem",
    agreement=Identity(rtol=1e-12),
    controls=(
        "exponent n - ell + 1 below",
        "exponent n below",
        "frequency ell / n",
        "counts without binomial",
        "Laplace's rule",
    ),
)
def mass_identity(run: Run) -> Trial:
    """Enumerate all samples, under a fixed multiset in all orders and under independent draws that are normalised."""
    items, n, total = run.size("items, sample, denominator", quick=(4, 5, 17), standard=(4, 7, 17), full=(5, 7, 19))
    parts = random_parts(run, items, total)
    pair = run.size("two values, four items, sample", quick=(1, 5, 4), standard=(1, 5, 5), full=(1, 3, 7))
    draws = sim.normalised_draws(pair[:2], 4)
    priors = ((sim.permuted(parts), n), (draws, pair[2]))

    def measure() -> Array:
        found = []
        for assignments, size in priors:
            number, mass = sim.occurrence_means(sim.enumerate_samples(assignments, n=size))
            found += [number, mass]
        return components(*found)

    def predict(tau: Means = generalization.posterior_frequency, counted: Means | None = None) -> Array:
        found = []
        for assignments, size in priors:
            frequencies = assignments / assignments.sum(axis=1, keepdims=True)
            count = counted or generalization.expected_count
            number = np.array([np.mean([count(d, size, ell) for d in frequencies]) for ell in range(size + 1)])
            found += [number, number * [tau(frequencies.reshape(-1), size, ell) for ell in range(size + 1)]]
        return components(*found)

    def moments(a: float, power: Callable[[int, int], int]) -> Means:
        def ratio(alpha: Array, size: int, ell: int) -> float:
            return float(
                np.mean(alpha ** (ell + a) * (1 - alpha) ** (size - ell))
                / np.mean(alpha**ell * (1 - alpha) ** power(size, ell))
            )

        return ratio

    def without_binomial(alpha: Array, size: int, ell: int) -> float:
        return float(np.sum(alpha**ell * (1 - alpha) ** (size - ell)))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "exponent n - ell + 1 below": lambda: predict(moments(1, lambda size, ell: size - ell + 1)),
            "exponent n below": lambda: predict(moments(1, lambda size, ell: size)),
            "frequency ell / n": lambda: predict(lambda alpha, size, ell: ell / size),
            "counts without binomial": lambda: predict(counted=without_binomial),
            "Laplace's rule": lambda: predict(lambda alpha, size, ell: (ell + 1) / (size + 4)),
        },
    )


@PAPER.claim(
    "dirichlet-posterior",
    statement=r"""For Dirichlet frequencies the mean frequency of an item, given the whole sample, is $\tau_\ell = (\ell
    + a)/(n + N a)$ with $\ell$ its own count: the others do not matter.""",
    source="derived; conjugacy",
    agreement=Identity(rtol=1e-12),
    controls=("prior of one item", "no prior", "Laplace's rule", "one sample more"),
)
def dirichlet_posterior(run: Run) -> Trial:
    """Integrate over the simplex for every sample up to order."""
    items, n = run.size("items, sample", quick=(3, 6), standard=(4, 8), full=(5, 10))
    counts = _compositions(n, items)
    concentrations = (0.3, 0.7, 2.5)

    def predict(posterior: Callable[[int, float], float]) -> Array:
        table = np.array([[posterior(ell, a) for ell in range(n + 1)] for a in concentrations])
        return table[:, counts]

    def tau(ell: int, a: float) -> float:
        return generalization.posterior_frequency_beta(n, ell, a=a, b=(items - 1) * a)

    return Trial(
        predict=lambda: predict(tau),
        measure=lambda: np.array([sim.dirichlet_posterior_means(counts, a) for a in concentrations]),
        controls={
            "prior of one item": lambda: predict(lambda ell, a: (ell + a) / (n + 2 * a)),
            "no prior": lambda: predict(lambda ell, a: ell / n),
            "Laplace's rule": lambda: predict(lambda ell, a: (ell + 1) / (n + items)),
            "one sample more": lambda: predict(lambda ell, a: (ell + a) / (n + 1 + items * a)),
        },
    )


def _compositions(total: int, parts: int) -> NDArray[np.int64]:
    grid = np.indices((total + 1,) * parts).reshape(parts, -1).T
    return np.asarray(grid[grid.sum(axis=1) == total], dtype=np.int64)


def _spread(counts: NDArray[np.int64], posterior: Array) -> float:
    """Relative spread, over samples, of the mean frequency of items that were seen once."""
    found = posterior[counts == 1]
    return float(np.ptp(found) / found.mean())


@PAPER.claim(
    "pointwise-posterior",
    statement=r"""For other priors $\tau_\ell$ is the mean frequency of an item with $\ell$ occurrences over all
    samples, not given each: for a fixed multiset, and for normalised independent draws, the mean frequency of a
    singleton varies with the other counts by more than 1 %.""",
    source="derived; what the average over samples is needed for",
    agreement=Ordering(side="above"),
    controls=("Dirichlet frequencies",),
)
def pointwise_posterior(run: Run) -> Trial:
    """Enumerate samples under two priors, and compare singletons with different company; then a Dirichlet prior."""
    n = run.size("sample", quick=4, standard=5, full=6)
    multiset = sim.permuted([6, 3, 1])
    draws = sim.normalised_draws([1, 5], 4)

    def measure() -> Array:
        samples = (sim.enumerate_samples(multiset, n=n), sim.enumerate_samples(draws, n=n))
        return np.array([_spread(*sim.posterior_means(found)) for found in samples])

    def conjugate() -> Array:
        counts = _compositions(n, 3)
        return np.array([_spread(counts, sim.dirichlet_posterior_means(counts, a)) for a in (0.7, 2.0)])

    return Trial(
        predict=lambda: np.full(2, 0.01),
        measure=measure,
        counterexamples={"Dirichlet frequencies": conjugate},
    )
