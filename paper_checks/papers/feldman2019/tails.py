"""How much an item seen once is worth, by the weight of the tail: bounds from below and above."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from paper_checks.agreement import Bound
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array
from paper_checks.papers.feldman2019.paper import PAPER
from simulations import generalization as sim
from theory import generalization

Tails = list[tuple[int, Array]]


def _singleton_frequencies(problems: Tails) -> Array:
    """Measure tau_1 on lists of different lengths, of which those of a kind are padded with items that never occur."""
    kinds: dict[tuple[int, int], list[int]] = {}
    for i, (n, alpha) in enumerate(problems):
        kinds.setdefault((n, 16 ** int(np.ceil(np.log(alpha.size) / np.log(16)))), []).append(i)
    found = np.empty(len(problems))
    for (n, size), indices in kinds.items():
        padded = np.array([np.pad(problems[i][1], (0, size - problems[i][1].size)) for i in indices])
        found[indices] = sim.singleton_frequency(padded, n=n)
    return found


@lru_cache(maxsize=2)
def _long_tails(run: Run) -> Tails:
    """Collect lists of frequencies: random ones, corners, and what the prosecutor finds."""
    lists, steps, chains = run.size(
        "random lists, steps, chains", quick=(200, 300, 16), standard=(2000, 3000, 32), full=(50_000, 20_000, 256)
    )
    rng, items = run.rng("lists"), 120
    found: Tails = []
    for n in (3, 5, 10, 30, 100, 1000):
        spread = rng.uniform(0, 4, (lists, 1))
        random = np.exp(spread * rng.standard_normal((lists, items)))
        powers = np.arange(1, items + 1) ** -rng.uniform(0, 3, (20, 1))
        random = np.vstack([random, powers])
        found += [(n, alpha) for alpha in random / random.sum(axis=1, keepdims=True)]
        if n <= 30:
            searched = sim.hardest_long_tails(run.key(f"{n}"), n=n, num_items=items, chains=chains, n_steps=steps)
            found += [(n, alpha) for alpha in np.asarray(searched)]
        # equal items at both ends of the interval; then a single one there, and the others common, or rare
        found += [(n, np.full(3 * n, 1 / (3 * n)))] + [(n, np.full(n // 2, 2 / n))] * (n % 2 == 0)
    for n, common in ((3, 0.0), (10, 0.0), (20, 0.0), (20, 0.9)):
        rare, first = 1000 * n**2, 1 / (3 * n)
        found.append((n, np.concatenate([[common, first], np.full(rare, (1 - first - common) / rare)])))
    return [(n, alpha) for n, alpha in found if np.any((3 * n * alpha >= 1 - 1e-12) & (n * alpha <= 2 + 1e-12))]


@PAPER.claim(
    "tau-lower-bound",
    statement=r"""$\tau_1 \ge w / (5n)$ for $n \ge 3$, where $w$ is the total frequency of the items with
    $\alpha \in [1/(3n), 2/n]$: where items of frequency about $1/n$ matter, not fitting a singleton costs of order
    $1/n$.""",
    source="long tails; constants derived",
    agreement=Bound(side="lower"),
    controls=("1/2 for 1/5", "1/4 for 1/5", "rarer items counted", "more frequent items counted", "weight of 1"),
)
def tau_lower_bound(run: Run) -> Trial:
    """Try random lists, corners, and lists found by climbing; the law of the counts is convolved draw by draw."""

    def measure() -> Array:
        return _singleton_frequencies(_long_tails(run))

    def predict(bound: Callable[[Array, int], float] = generalization.tau_lower_bound) -> Array:
        return np.array([bound(alpha, n) for n, alpha in _long_tails(run)])

    def weighed(low: float, high: float) -> Callable[[Array, int], float]:
        return lambda alpha, n: generalization.tail_weight(alpha, low / n, high / n) / (5 * n)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1/2 for 1/5": lambda: 5 / 2 * predict(),
            "1/4 for 1/5": lambda: 5 / 4 * predict(),
            "rarer items counted": lambda: predict(weighed(0, 2)),
            "more frequent items counted": lambda: predict(weighed(1 / 3, 1000)),
            "weight of 1": lambda: predict(lambda alpha, n: 1 / (5 * n)),
        },
    )


@lru_cache(maxsize=2)
def _short_tails(run: Run) -> list[tuple[int, float, float, Array]]:
    """Collect problems n, theta, t, with lists that have nothing in between: two-level ones, and searched ones."""
    lists, steps, chains = run.size(
        "two-level lists, steps, chains", quick=(200, 300, 8), standard=(2000, 3000, 32), full=(20_000, 20_000, 128)
    )
    rng = run.rng("lists")
    found: list[tuple[int, float, float, Array]] = []
    while len(found) < lists:
        n = int(rng.choice([5, 20, 100]))
        beta = rng.uniform(0.02, 1 - 1 / n)
        heads = max(1, int((1 - beta) * n / rng.uniform(1, 8)))
        tail = int(np.ceil(beta * 2 * n * min(np.exp(rng.exponential()), 10)))
        alpha = np.concatenate([np.full(tail, beta / tail), np.full(heads, (1 - beta) / heads)])
        found.append((n, beta / tail, (1 - beta) / heads * n * (1 - 1e-12), alpha))
    # the head all but never leaves a singleton, and yet it dominates their mean frequency
    found.append((60, 0.9e-5, 6.0, np.concatenate([np.full(100_000, 0.9e-5), [0.1]])))
    for n, beta, room, t in ((8, 0.5, 1.05, 1.1), (20, 0.4, 1.3, 2.0), (20, 0.7, 1.1, 1.2)):
        theta = room * beta / 64
        searched = sim.hardest_short_tails(
            run.key(f"{n} {t}"), n=n, theta=theta, t=t, beta=beta, tail=64, head=3, chains=chains, n_steps=steps
        )
        found += [(n, theta, t, alpha) for alpha in np.asarray(searched)]
    return found


@PAPER.claim(
    "short-tail",
    statement=r"""If no item has a frequency in $(\theta, t/n)$, and those up to $\theta$ have the total frequency
    $\beta$, then $\tau_1 \le \theta + \frac{1-\beta}{\beta} \frac{(t/n)(1-t/n)^{n-1}}{(1-\theta)^{n-1}}$: without a
    tail around $1/n$ there is nothing to gain from singletons. The bound is approached.""",
    source="derived; the paper has a lemma of this kind",
    agreement=Bound(side="upper", tight=1e-3, rounding=1e-9),
    controls=(
        "weight for odds",
        "exponent n",
        "tail's own factor left out",
        "theta left out",
        "twice the head's part",
    ),
)
def short_tail(run: Run) -> Trial:
    """Try two-level lists, the corner where the bound is approached, and lists found by climbing.

    Slack is relative to the head's part of the bound, for the tail's is attained wherever that part is negligible.
    """

    def measure() -> Array:
        return _singleton_frequencies([(n, alpha) for n, _, _, alpha in _short_tails(run)])

    def predict(bound: Callable[..., float] = generalization.tau_short_tail_bound) -> Array:
        return np.array([bound(alpha, n, theta=theta, t=t) for n, theta, t, alpha in _short_tails(run)])

    def variant(*, odds: bool = True, more: int = 0, own: bool = True, edge: float = 1, part: float = 1):
        def bound(alpha: Array, n: int, *, theta: float, t: float) -> float:
            beta = alpha[alpha <= theta].sum()
            head = t / n * (1 - t / n) ** (n - 1 + more) * (1 - beta)
            return float(edge * theta + part * head / (beta if odds else 1) / ((1 - theta) ** (n - 1) if own else 1))

        return bound

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "weight for odds": lambda: predict(variant(odds=False)),
            "exponent n": lambda: predict(variant(more=1)),
            "tail's own factor left out": lambda: predict(variant(own=False)),
            "theta left out": lambda: predict(variant(edge=0)),
            "twice the head's part": lambda: predict(variant(part=2)),
        },
        scale=lambda: predict(variant(edge=0)),
    )
