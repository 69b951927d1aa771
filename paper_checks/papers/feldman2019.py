"""Feldman 2020: why items that are seen once have to be fitted when frequencies have a long tail."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Bound, ConvergenceOrder, Identity, MonteCarlo, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Samples, Steps, components
from simulations import generalization as sim
from theory import generalization

PAPER = Paper(
    key="feldman2019",
    title="Does learning require memorization? A short tale about a long tail",
    authors="Vitaly Feldman",
    year=2020,
    arxiv="1906.05271",
    wing="generalization",
)

Array = NDArray[np.float64]
Means = Callable[[Array, int, int], float]


def _mass(alpha: Array, n: int, ell: int) -> float:
    """Mean total frequency of the items seen ell times, for frequencies that sum to 1."""
    return generalization.posterior_frequency(alpha, n, ell) * generalization.expected_count(alpha, n, ell)


def _parts(run: Run, items: int, total: int) -> list[int]:
    """Split ``total`` at random into distinct positive integers."""
    rng = run.rng("parts")
    while True:
        cuts = np.sort(rng.choice(np.arange(1, total), items - 1, replace=False))
        parts = np.diff(np.concatenate([[0], cuts, [total]]))
        if np.unique(parts).size == items:
            return [int(part) for part in parts]


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
    parts = _parts(run, items, total)
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
    "excess-error",
    statement=r"""A learner that mislabels items seen $\ell$ times with probability $q_\ell$ errs by $\mathrm{opt} +
    \sum_\ell q_\ell \tau_\ell E|S_\ell|$ on average, with $\mathrm{opt} = (1 - 1/k) \sum_j \alpha_j (1-\alpha_j)^n$
    for labels uniform on $k$ classes: a singleton left unfitted costs $\tau_1$, about $1/n$.""",
    source="main theorem; an equality for uniform labels",
    agreement=MonteCarlo(resolution=0.03),
    controls=(
        "chance level left out of opt",
        "1 / n for tau",
        "tau_1 for doubletons",
        "misfits corrected by chance",
    ),
)
def excess_error(run: Run) -> Trial:
    """Draw samples from Zipf's law, run the learner on each, and test it on the population."""
    items, n = run.size("items, sample", quick=(400, 300), standard=(400, 300), full=(50_000, 50_000))
    replicates = run.size("replicates", quick=4000, standard=60_000, full=20_000)
    alpha, k = generalization.zipf_frequencies(items), 5
    misfit = np.array([0.7, 0.25])

    def measure() -> Samples:
        found = sim.draw_errors(run.keys(replicates), 1 / np.arange(1, items + 1), n=n, num_labels=k, misfit=misfit)
        return Samples(np.stack([found.learner, found.learner - found.all, found.singletons, found.mass], axis=1))

    def predict(excess: float | None = None, opt: float | None = None) -> Array:
        cost = generalization.excess_error(alpha, n, misfit) if excess is None else excess
        best = generalization.optimal_error(alpha, n, num_labels=k) if opt is None else opt
        singletons = generalization.expected_count(alpha, n, 1)
        return np.array([best + cost, cost, singletons, generalization.excess_error(alpha, n, [1.0])])

    counts = [generalization.expected_count(alpha, n, ell) for ell in (1, 2)]
    tau = generalization.posterior_frequency(alpha, n, 1)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "chance level left out of opt": lambda: predict(opt=float(alpha @ (1 - alpha) ** n)),
            "1 / n for tau": lambda: predict(excess=float(misfit @ counts) / n),
            "tau_1 for doubletons": lambda: predict(excess=float(misfit @ counts) * tau),
            "misfits corrected by chance": lambda: predict(
                excess=generalization.excess_error(alpha, n, (1 - 1 / k) * misfit)
            ),
        },
    )


@PAPER.claim(
    "excess-error-exact",
    statement=r"""The same, and the optimum itself, without noise: over all samples and all labellings, whatever label a
    learner guesses for items that it has not seen.""",
    source="main theorem; an equality for uniform labels",
    # sums of up to 10^7 terms
    agreement=Identity(rtol=1e-11),
    controls=("one class too few", "1 / n for tau", "tau_1 for doubletons", "opt from n - 1 draws"),
)
def excess_error_exact(run: Run) -> Trial:
    """Enumerate samples and labellings for a learner that guesses the plurality label of its sample."""
    items, n, total, k = run.size(
        "items, sample, denominator, classes", quick=(4, 4, 17, 3), standard=(4, 6, 17, 3), full=(5, 7, 19, 3)
    )
    parts = _parts(run, items, total)
    alpha = np.array(parts) / total
    misfits = np.vstack([np.zeros(3), run.rng("misfits").uniform(0.1, 1, (3, 3))])

    def measure() -> Array:
        return np.array([sim.enumerate_errors(parts, n=n, num_labels=k, fit=1 - q).error for q in misfits])

    def predict(size: int = n, classes: int = k, cost: Callable[[Array], float] | None = None) -> Array:
        def excess(q: Array) -> float:
            return generalization.excess_error(alpha, n, q)

        best = generalization.optimal_error(alpha, size, num_labels=classes)
        return best + np.array([(cost or excess)(q) for q in misfits])

    def counts() -> Array:
        return np.array([generalization.expected_count(alpha, n, ell) for ell in (1, 2, 3)])

    tau = generalization.posterior_frequency(alpha, n, 1)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "one class too few": lambda: predict(classes=k - 1),
            "1 / n for tau": lambda: predict(cost=lambda q: float(q @ counts()) / n),
            "tau_1 for doubletons": lambda: predict(cost=lambda q: float(q @ counts()) * tau),
            "opt from n - 1 draws": lambda: predict(size=n - 1),
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
    "memorization-identity",
    statement=r"""With $\mathrm{mem}_i$ how much likelier the label of example $i$ is predicted with it in the sample
    than without, $E\, \mathrm{errn}_1 = E \sum_{S_1} (1 - 1/k - \mathrm{mem}_i)$ for labels uniform on $k$ classes,
    whatever the learner guesses; one that memorises singletons by $m$ on average errs by $(1 - 1/k - m)\, \tau_1
    E|S_1|$ more than the best.""",
    source="memorisation and errors on singletons; the capped cost is derived",
    agreement=Identity(rtol=1e-11),
    controls=("no chance level", "chance level twice", "memorisation as probability of a fit", "cost without tau"),
)
def memorization_identity(run: Run) -> Trial:
    """Enumerate samples and labellings for learners that guess the plurality label and trust it on singletons."""
    items, n, total, k = run.size(
        "items, sample, denominator, classes", quick=(4, 4, 17, 3), standard=(4, 6, 17, 3), full=(5, 7, 19, 3)
    )
    parts = _parts(run, items, total)
    alpha = np.array(parts) / total
    # probabilities of a fit, by whether the label agrees with the plurality of the others
    fits = np.sort(run.rng("fits").uniform(1 / k, 1, (4, 2)), axis=1)[:, ::-1]
    fits[0] = fits[0, 0]
    caps = fits[:, 0] / k + (1 - 1 / k) * fits[:, 1] - 1 / k
    best = generalization.optimal_error(alpha, n, num_labels=k)
    singletons = generalization.expected_count(alpha, n, 1)

    def measure() -> Array:
        found = [sim.enumerate_errors(parts, n=n, num_labels=k, fit=[fit], fit_rare=rare) for fit, rare in fits]
        return np.array([[e.misfits + e.memorization, e.misfits, e.error] for e in found])

    def predict(chance: float = 1 / k, cost: Callable[[float], float] | None = None) -> Array:
        def excess(m: float) -> float:
            return generalization.memorization_limited_excess(alpha, n, num_labels=k, max_memorization=m)

        return np.array(
            [[(1 - chance) * singletons, (1 - chance - m) * singletons, best + (cost or excess)(m)] for m in caps]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no chance level": lambda: predict(chance=0),
            "chance level twice": lambda: predict(chance=2 / k),
            "memorisation as probability of a fit": lambda: predict(
                cost=lambda m: generalization.excess_error(alpha, n, [1 - m])
            ),
            "cost without tau": lambda: predict(cost=lambda m: (1 - 1 / k - m) * singletons / n),
        },
    )


@PAPER.claim(
    "privacy-cap",
    statement=r"""A learner that is $\varepsilon$-differentially private under adding or removing an example memorises a
    label, uniform on $k$ classes, by at most $\min\{(e^\varepsilon - 1)/k, (1 - e^{-\varepsilon})(1 - 1/k)\}$ on
    average, and some such learner does.""",
    source="derived; the paper's consequence for differential privacy",
    # the linear programmes are solved to 1e-9
    agreement=Identity(rtol=1e-8),
    controls=("first term alone", "chance level for the second term", "randomised response", "no chance level"),
)
def privacy_cap(run: Run) -> Trial:
    """Maximise memorisation over all private mechanisms, as linear programmes."""
    classes = run.size("classes", quick=(2, 3, 5), standard=(2, 3, 5, 10), full=(2, 3, 5, 10, 20))
    epsilons = np.array([0.05, 0.3, 1.0, 2.0, 4.0])

    def predict(cap: Callable[[float, int], float]) -> Array:
        return np.array([[cap(float(e), k) for e in epsilons] for k in classes])

    def measure() -> Array:
        return np.array(
            [[sim.most_memorizing_private_learner(float(e), num_labels=k) for e in epsilons] for k in classes]
        )

    return Trial(
        predict=lambda: predict(lambda e, k: generalization.private_memorization_cap(e, num_labels=k)),
        measure=measure,
        controls={
            "first term alone": lambda: predict(lambda e, k: np.expm1(e) / k),
            "chance level for the second term": lambda: predict(lambda e, k: min(np.expm1(e) / k, 1 - 1 / k)),
            "randomised response": lambda: predict(lambda e, k: np.exp(e) / (np.exp(e) + k - 1) - 1 / k),
            "no chance level": lambda: predict(lambda e, k: min(np.exp(e) / k, 1 - 1 / k)),
        },
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
