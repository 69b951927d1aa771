"""The binary divergence that bounds are made of: Maurer's constant, its inverse, and what relaxes it."""

from collections.abc import Callable
from functools import partial

import numpy as np

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array
from paper_checks.papers.classic.paper import PAPER
from simulations import generalization as sim
from theory import generalization as gen


@PAPER.claim(
    "maurer-constant",
    statement=r"""$E\,e^{n\,\mathrm{kl}(\hat p \| p)} = \xi(n) = \sum_k \binom nk (k/n)^k (1 - k/n)^{n - k}$, whatever
    $p \in (0, 1)$.""",
    source="Maurer 2004",
    agreement=Identity(rtol=1e-11),  # exponents up to 700 lose a thousand roundings
    controls=("n + 1", "2 sqrt(n)", "sqrt(pi n / 2)", "without the first term"),
)
def maurer_constant(run: Run) -> Trial:
    """Average over all 2^n sequences of tosses, and over the law of the sum of more coins, at several biases."""
    largest = run.size("coins tossed in all ways", quick=12, standard=17, full=24)
    more = run.size("coins in sums", quick=(50, 200), standard=(50, 200, 500), full=(50, 200, 500))
    drawn = run.rng().uniform(0.05, 0.95, 2)
    tossed = [(n, p) for n in range(1, largest) for p in (0.5, *drawn)]
    summed = [(n, p) for n in more for p in (0.263, *(0.3 + 0.4 * drawn))]
    n = np.array([n for n, _ in tossed + summed])

    def measure() -> Array:
        few = [sim.enumerate_exponential_divergence(n, p) for n, p in tossed]
        return np.append(few, sim.mean_exponential_divergence(*np.array(summed).T))

    return Trial(
        predict=lambda: gen.maurer_constant(n),
        measure=measure,
        controls={
            "n + 1": lambda: n + 1.0,
            "2 sqrt(n)": lambda: 2 * np.sqrt(n),
            "sqrt(pi n / 2)": lambda: np.sqrt(np.pi * n / 2),
            "without the first term": lambda: gen.maurer_constant(n) - 1,
        },
    )


@PAPER.claim(
    "maurer-bounds",
    statement=r"""$\sqrt n \le \xi(n) \le 2 \sqrt n$, the upper bound attained at $n = 1$.""",
    source="Maurer 2004, theorem 1",
    agreement=Bound(tight=1e-12),
    controls=("1.9 sqrt(n) above", "1.4 sqrt(n) below", "log of n"),
)
def maurer_bounds(run: Run) -> Trial:
    """Average over the law of the sum, for all n up to the largest; signs are turned for the lower bound."""
    largest = run.size("largest n", quick=200, standard=500, full=700)
    n = np.arange(1, largest + 1)

    def measure() -> Array:
        found = sim.mean_exponential_divergence(n, 0.5)
        return np.array([found, -found])

    def bounds(high: float = 2.0, low: float = 1.0) -> Array:
        return np.array([high * np.sqrt(n), -low * np.sqrt(n)])

    return Trial(
        predict=bounds,
        measure=measure,
        controls={
            "1.9 sqrt(n) above": lambda: bounds(high=1.9),
            "1.4 sqrt(n) below": lambda: bounds(low=1.4),
            "log of n": lambda: np.array([2 + np.log(n), -np.sqrt(n)]),
        },
    )


def _budgets(run: Run) -> tuple[Array, Array]:
    """Empirical risks with divergences, random and at the ends; far enough apart to be bisected."""
    number = run.size("instances", quick=1000, standard=10_000, full=1_000_000)
    rng = run.rng()
    q = np.concatenate([[0.0, 0.0, 0.0], rng.uniform(0, 0.95, number), 10 ** rng.uniform(-8, -1, number)])
    c = np.concatenate([[1e-3, 0.1, 3.0], 10 ** rng.uniform(-2, 0.5, 2 * number)])
    return q, c


@PAPER.claim(
    "kl-inverse",
    statement=r"""$\mathrm{kl}^{-1}_+(q, c) = \sup\{p : \mathrm{kl}(q \| p) \le c\}$, which is $1 - e^{-c}$ at $q =
    0$.""",
    source="definition",
    agreement=Identity(rtol=1e-12),
    controls=("Pinsker", "divergence of p from q", "twice the budget", "quadratic expansion"),
)
def kl_inverse(run: Run) -> Trial:
    """Bisect the definition."""
    q, c = _budgets(run)
    return Trial(
        predict=lambda: gen.kl_inverse(q, c),
        measure=lambda: sim.largest_bias(q, c),
        controls={
            "Pinsker": lambda: q + np.sqrt(c / 2),
            "divergence of p from q": lambda: _reversed_inverse(np.maximum(q, 1e-12), c),
            "twice the budget": lambda: gen.kl_inverse(q, 2 * c),
            "quadratic expansion": lambda: q + np.sqrt(2 * q * (1 - q) * c),
        },
    )


def _reversed_inverse(q: Array, c: Array) -> Array:
    low, high = q.copy(), np.ones_like(q)
    for _ in range(60):
        middle = (low + high) / 2
        inside = gen.bernoulli_kl(middle, q) <= c
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return low


@PAPER.claim(
    "catoni-duality",
    statement=r"""$\inf_{C > 0} \frac{1 - e^{-C q - c}}{1 - e^{-C}} = \mathrm{kl}^{-1}_+(q, c)$.""",
    source="Catoni 2007; Germain et al. 2009",
    agreement=Identity(rtol=1e-11),
    controls=("C = 1", "half the budget", "Pinsker", "C = c / q"),
)
def catoni_duality(run: Run) -> Trial:
    """Minimise Catoni's function over C by golden section; a minimum is found to about the square of C's error."""
    q, c = _budgets(run)
    fixed: Callable[[Array | float], Array] = lambda C: np.expm1(-C * q - c) / np.expm1(-np.asarray(C))  # noqa: E731
    return Trial(
        predict=lambda: gen.kl_inverse(q, c),
        measure=lambda: sim.smallest_catoni(q, c),
        controls={
            "C = 1": partial(fixed, 1.0),
            "half the budget": lambda: gen.kl_inverse(q, c / 2),
            "Pinsker": lambda: q + np.sqrt(c / 2),
            "C = c / q": lambda: fixed(c / np.maximum(q, 1e-9)),
        },
    )


@PAPER.claim(
    "pinsker",
    statement=r"""$\mathrm{kl}^{-1}_+(q, c) \le q + \sqrt{c / 2}$, so that Seeger's bound is never above McAllester's;
    equality in the limit of small $c$ at $q = 1/2$.""",
    source="Pinsker's inequality; McAllester 1999 against Seeger 2002",
    agreement=Bound(tight=1e-3),
    controls=("sqrt(c) / 2", "KL counted half", "sqrt(c / 3)"),
)
def pinsker(run: Run) -> Trial:
    """Bisect the definition at the budget that a PAC-Bayes bound gives, and compare with McAllester's form."""
    number = run.size("instances", quick=1000, standard=10_000, full=1_000_000)
    rng = run.rng()
    r = np.append(rng.uniform(0, 1, number), [0.5, 0.5, 0.0])
    kl = np.append(10 ** rng.uniform(-2, 2, number), [0.0, 1.0, 1.0])
    n = np.append(rng.integers(1, 10_000, number), [10_000_000, 10_000, 1])
    delta = np.append(10 ** rng.uniform(-6, -0.1, number), [0.05, 0.05, 0.05])
    budget = (kl + np.log(2 * np.sqrt(n) / delta)) / n

    def predict(share: float = 1.0, of_kl: float = 1.0) -> Array:
        bound = gen.pac_bayes_mcallester(r, of_kl * kl, n, delta=delta)
        return r + share * (bound - r)

    return Trial(
        predict=predict,
        measure=lambda: sim.largest_bias(r, budget),
        controls={
            "sqrt(c) / 2": lambda: predict(share=2**-0.5),
            "KL counted half": lambda: predict(of_kl=0.5),
            "sqrt(c / 3)": lambda: predict(share=(2 / 3) ** 0.5),
        },
        scale=1.0,
    )
