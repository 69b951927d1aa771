"""How often bounds with failure probability delta do fail: on all training sets of small problems, and on samples."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import betaincinv

from paper_checks.agreement import Bound
from paper_checks.agreement.policy import LEVEL
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array
from paper_checks.papers.classic.paper import PAPER
from simulations import generalization as sim
from theory import generalization as gen

Bounds = Callable[["Instance"], Mapping[str, Array]]

OF_A_CLASS = ("hoeffding", "chernoff", "clopper-pearson", "empirical bernstein", "vc", "rademacher")


class Instance(NamedTuple):
    """A class of 0-1 losses on a finite population, all training sets of size n, and a failure probability."""

    n: int
    delta: float
    vc_dim: int
    sets: sim.EveryTrainingSet

    @property
    def hypotheses(self) -> int:
        """Number of hypotheses."""
        return len(self.sets.risk)


def clopper_pearson(events: Any, trials: int, level: float) -> tuple[Array, Array]:
    """Exact confidence limits of a frequency, each of which fails with probability ``level`` at most."""
    k = np.asarray(events, dtype=float)
    low = np.where(k > 0, betaincinv(np.maximum(k, 1), trials - k + 1, level), 0.0)
    high = np.where(k < trials, betaincinv(k + 1, np.maximum(trials - k, 1), 1 - level), 1.0)
    return low, high


@lru_cache(maxsize=4)
def _instances(run: Run) -> list[Instance]:
    """Random classes and populations; independent coins, one hypothesis each; one and two at their hardest delta.

    A hypothesis of risk p has no error with probability (1 - p)^n; at delta just above, what it says then is tested.
    """
    n = run.size("training points", quick=5, standard=6, full=8)
    draws = run.size("random classes", quick=12, standard=60, full=500)
    rng = run.rng()
    problems: list[tuple[Array, Array, float]] = []
    for _ in range(draws):
        loss = (rng.uniform(size=(4, 4)) < rng.uniform(0.2, 0.8)).astype(float)
        problems.append((rng.dirichlet(np.ones(4)), loss, float(rng.choice([0.02, 0.1, 0.3]))))
    for p in rng.uniform(0.1, 0.6, 3):
        two = np.array([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
        q = np.array([1 - p, p])
        # at the second delta each coin alone fails nearly that often, and the two together nearly twice
        problems += [(np.outer(q, q).ravel(), two, float(d)) for d in (rng.uniform(0.02, 0.3), q[0] ** n * (1 + 1e-9))]
    for p in (*rng.uniform(0.2, 0.6, 4), 0.3):
        for errors in (0, 1):
            below = np.sum([_binomial(n, k) * p**k * (1 - p) ** (n - k) for k in range(errors + 1)])
            coin, wrong = np.array([1 - p, p, 0, 0]), np.array([[0.0, 1.0, 0.0, 0.0]])
            problems += [(coin, wrong, float(below * shift)) for shift in (1 + 1e-9, 1 - 1e-9)]
    found = []
    for p_z, loss, delta in problems:
        if not 0 < delta < 1:
            continue
        many = len(loss)
        problem = sim.FiniteProblem(jnp.asarray(p_z), jnp.asarray(loss), jnp.full(many, 1 / many), jnp.asarray(0.0))
        sets = jax.tree.map(np.asarray, sim.every_training_set(problem, n))
        # the class on every training set is that on the support, whose labellings are the rows
        found.append(Instance(n, delta, sim.shattered_dimension(loss[:, p_z > 0] > 0.5), sets))
    return found


def _binomial(n: int, k: int) -> float:
    return float(np.prod([(n - i) / (i + 1) for i in range(k)]))


def _all_bounds(instance: Instance, *, delta: float | None = None, hypotheses: int | None = None) -> dict[str, Array]:
    return gen.risk_bounds(
        instance.n,
        instance.sets.training_risk,
        delta=instance.delta if delta is None else delta,
        num_hypotheses=instance.hypotheses if hypotheses is None else hypotheses,
        vc_dim=instance.vc_dim,
        rademacher=np.asarray(instance.sets.complexity)[:, None],
        zero_one=True,
    )


@PAPER.claim(
    "violation-frequency",
    statement=r"""Bounds on the risk for all hypotheses of a class fail on training sets of total probability at most
    $\delta$: Hoeffding's, Chernoff's, Clopper and Pearson's, the empirical Bernstein bound, and those by VC dimension
    and Rademacher complexity. Clopper and Pearson's fails with probability $\delta$ where it can.""",
    source="Clopper and Pearson 1934; Langford 2005; Maurer and Pontil 2009; Bartlett and Mendelson 2002",
    agreement=Bound(side="lower", tight=1e-6, rounding=1e-9),
    controls=(
        "no union over hypotheses",
        "4 n for 2 n",
        "half the divergence",
        "Clopper and Pearson at 2 delta",
        "Bernstein without its second term",
        "training risk plus complexity alone",
    ),
)
def violation_frequency(run: Run) -> Trial:
    """Add up the probabilities of all training sets on which some hypothesis violates a bound.

    The frequency is what the theory's bounds are found to do on enumerated training sets, and may be delta at most: the
    roles of prediction and measurement are exchanged, with delta the number that is given.
    """

    def frequencies(bounds: Bounds = _all_bounds) -> Array:
        found = []
        for instance in _instances(run):
            values = bounds(instance)
            violated = [np.any(instance.sets.risk > values[name] + 1e-12, axis=1) for name in OF_A_CLASS]
            found.append([np.sum(instance.sets.probability[v]) for v in violated])
        return np.array(found)

    def narrow(share: float, *names: str) -> Bounds:
        def bounds(instance: Instance) -> dict[str, Array]:
            r = np.asarray(instance.sets.training_risk)
            return {
                name: r + (share if name in names else 1.0) * (value - r)
                for name, value in _all_bounds(instance).items()
            }

        return bounds

    def halved(instance: Instance) -> dict[str, Array]:
        budget = np.log(instance.hypotheses / instance.delta) / instance.n
        return _all_bounds(instance) | {"chernoff": gen.kl_inverse(instance.sets.training_risk, budget / 2)}

    def only_variance(instance: Instance) -> dict[str, Array]:
        r, n = instance.sets.training_risk, instance.n
        spread = n / (n - 1) * r * (1 - r)
        term = np.sqrt(2 * spread * np.log(2 * instance.hypotheses / instance.delta) / n)
        return _all_bounds(instance) | {"empirical bernstein": r + term}

    def twice(instance: Instance) -> dict[str, Array]:
        return _all_bounds(instance, delta=min(2 * instance.delta, 1 - 1e-9))

    def delta() -> Array:
        return np.array([[instance.delta] * len(OF_A_CLASS) for instance in _instances(run)])

    return Trial(
        predict=frequencies,
        measure=delta,
        controls={
            "no union over hypotheses": lambda: frequencies(lambda instance: _all_bounds(instance, hypotheses=1)),
            "4 n for 2 n": lambda: frequencies(narrow(0.5**0.5, "hoeffding")),
            "half the divergence": lambda: frequencies(halved),
            "Clopper and Pearson at 2 delta": lambda: frequencies(twice),
            "Bernstein without its second term": lambda: frequencies(only_variance),
            "training risk plus complexity alone": lambda: frequencies(narrow(0.1, "vc", "rademacher")),
        },
        scale=delta,
    )


@PAPER.claim(
    "sampled-violations",
    statement=r"""With $n$ in the hundreds, bounds for a finite class and for a uniformly stable learner fail less often
    than $\delta$ says.""",
    source="Hoeffding 1963; Langford 2005; Bousquet and Elisseeff 2002",
    agreement=Bound(side="lower"),
    controls=("no union over hypotheses", "training risk plus stability alone", "half the deviation"),
)
def sampled_violations(run: Run) -> Trial:
    """Sample training sets; the lower Clopper-Pearson limit of the frequency must not exceed delta.

    Limits fail with the suite's level over their number. The many independent hypotheses are coins of one bias; the
    learner is a shrunken mean.
    """
    replicates = run.size("replicates", quick=4000, standard=40_000, full=1_000_000)
    n, many, delta = 400, 50, 0.05
    values, p_z = np.array([0.0, 0.3, 1.0]), np.array([0.3, 0.3, 0.4])

    @lru_cache
    def sample() -> tuple[float, Array, sim.StableLearner]:
        rng = run.rng()
        p = rng.uniform(0.02, 0.3)
        errors = rng.binomial(n, p, (replicates, many)) / n
        return (
            p,
            errors,
            sim.sample_shrunken_means(rng, replicates=replicates, n=n, values=values, p_z=p_z, shrinkage=3.0),
        )

    def frequencies(union: int = many, share: float = 1.0, only: bool = False) -> Array:
        p, errors, learner = sample()
        of_class = gen.risk_bounds(n, errors, delta=delta, num_hypotheses=union, zero_one=True)
        stable = gen.risk_bounds(n, learner.training_risk, delta=delta, stability=learner.stability)
        names = ("hoeffding", "chernoff", "clopper-pearson", "empirical bernstein")
        violated = [np.any(p > errors + share * (of_class[name] - errors), axis=1) for name in names]
        alone = learner.training_risk + learner.stability
        violated.append(learner.risk > (alone if only else stable["uniform stability"]))
        events = np.array([v.sum() for v in violated])
        return clopper_pearson(events, replicates, LEVEL / len(violated))[0]

    return Trial(
        predict=frequencies,
        measure=lambda: np.full(5, delta),
        controls={
            "no union over hypotheses": lambda: frequencies(union=1),
            "training risk plus stability alone": lambda: frequencies(only=True),
            "half the deviation": lambda: frequencies(share=0.5),
        },
        scale=delta,
    )
