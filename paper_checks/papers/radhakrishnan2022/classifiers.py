"""What kernel classification becomes at infinite depth: nearest neighbours, majorities, or a consistent vote."""

from collections.abc import Callable
from fractions import Fraction
from functools import cache
from math import log

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Equivalence, Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples
from paper_checks.papers.radhakrishnan2022.paper import PAPER, Array, deep_kernels, printed, unit
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk


@PAPER.claim(
    "one_nn",
    statement=r"""For $\phi = h_k$, $k \ge 2$, $T^l(\rho) = \frac{k^{l+1} - 1}{k - 1} \rho^{k^l}$, so that the ratio of
    two different weights tends to zero.""",
    source="theorem on infinite depth, second case (kernel derived here)",
    agreement=Identity(rtol=1e-12),
    controls=("no sum over layers", "power k l", "one layer less", "l + 1 in front"),
)
def one_nn(run: Run) -> Trial:
    """Compare with moments of Gaussians in exact arithmetic, at rational correlations."""
    top = run.rng().integers(20, 99, 4)
    rhos = [Fraction(int(n), 100) for n in top]
    depth = run.size("depth", quick=4, standard=6, full=7)
    powers = (2, 3, 4)
    delta = 1 - top / 100

    def logarithm(value: Fraction) -> float:
        return log(value.numerator) - log(value.denominator)

    def measure() -> Array:
        return np.array([[list(map(logarithm, sim.monomial_kernels(r, k, depth))) for r in rhos] for k in powers])

    def predict(of: Callable[[int, int], Array] | None = None) -> Array:
        def solver(k: int, level: int) -> Array:
            return ntk.deep_ntk(delta, np.eye(k + 1)[k], depth=level)

        found = [[(of or solver)(k, level) for level in range(depth + 1)] for k in powers]
        return np.moveaxis(np.array(found), 1, 2)

    def formula(front: Callable[[int, int], float], power: Callable[[int, int], float]) -> Array:
        return predict(lambda k, level: np.log(front(k, level)) + power(k, level) * np.log1p(-delta))

    def total(k: int, level: int) -> float:
        return (k ** (level + 1) - 1) / (k - 1)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no sum over layers": lambda: formula(lambda k, level: k**level, lambda k, level: k**level),
            "power k l": lambda: formula(total, lambda k, level: max(k * level, 1)),
            "one layer less": lambda: formula(lambda k, n: total(k, max(n - 1, 0)), lambda k, n: k ** max(n - 1, 0)),
            "l + 1 in front": lambda: formula(lambda k, level: level + 1, lambda k, level: k**level),
        },
        scale=1 - np.array(powers)[:, None, None] ** np.arange(depth + 1) * np.log1p(-delta)[:, None],
    )


def _votes(angles: Array, labels: Array, test_angles: Array, coeffs: Array, depth: int) -> Array:
    """Kernel regression at a depth, with kernels by quadrature."""
    apart, own = (sim.separation(jnp.asarray(a), jnp.asarray(angles)) for a in (test_angles, angles))
    test, train = (sim.polynomial_kernels(a, coeffs, depth=depth).ntk[depth] for a in (apart, own))
    return np.asarray(sim.regression_vote(test, train, jnp.asarray(labels)))


@PAPER.claim(
    "one_nn_classifier",
    statement=r"""If $E \phi = E \phi' = 0$, kernel regression at great depth is the label of the nearest input, times
    $T^l(\rho) / T^l(1)$ of that input alone. With $E \phi' \ne 0$ or $E \phi \ne 0$ it is not.""",
    source="theorem on infinite depth, second case",
    agreement=Identity(rtol=1e-8),
    controls=("next input on the other side", "one layer less", "slope with a mean", "activation with a mean"),
)
def one_nn_classifier(run: Run) -> Trial:
    r"""Regression on an arc at depths 15 and 13, near inputs that are 0.09 apart or more.

    A test point is within 0.02 of an input and 0.07 from all others, so that those weigh less by :math:`\exp(-(0.07^2 -
    0.02^2) B'^l / 2) < 10^{-30}`; in double precision kernels of that kind are lost below :math:`10^{-12}`, beside a
    weight of about :math:`10^{-3}` at least.
    """
    rng = run.rng()
    number = run.size("inputs", quick=12, standard=12, full=12)
    spacing = np.pi / 2 / number
    angles = (np.arange(number) + rng.uniform(0.35, 0.65, number)) * spacing
    labels = rng.choice([-1.0, 1.0], number)
    apart = rng.uniform(0.04, 0.15, number) * spacing * rng.choice([-1.0, 1.0], number)
    cases = ((np.array([0.0, 0.0, 1.0]), 15), (np.sqrt([0.0, 0.0, 0.7, 0.3]), 13))

    def votes(*cases: tuple[Array, int]) -> Array:
        return np.stack([_votes(angles, labels, angles + apart, c, depth) for c, depth in cases])

    def predict(labels: Array = labels, less: int = 0) -> Array:
        delta = 2 * np.sin(apart / 2) ** 2
        found = []
        for c, depth in cases:
            weights = ntk.deep_ntk(delta, c, depth=depth - less) - ntk.deep_ntk(0.0, c, depth=depth - less)
            found.append(labels * np.exp(weights))
        return np.stack(found)

    with_slope, with_mean = (
        tuple((np.sqrt(w), 14) for w in ws) for ws in (([0, 0.1, 0.9], [0, 0.5, 0.5]), ([0.2, 0, 0.8], [0.4, 0, 0.6]))
    )
    return Trial(
        predict=predict,
        measure=lambda: votes(*cases),
        controls={
            "next input on the other side": lambda: predict(np.where(np.arange(number) % 2, labels, -labels)),
            "one layer less": lambda: predict(less=1),
        },
        counterexamples={
            "slope with a mean": lambda: votes(*with_slope),
            "activation with a mean": lambda: votes(*with_mean),
        },
    )


@PAPER.claim(
    "majority",
    statement=r"""If $E \phi \ne 0$ and $B' > 1$ all correlations fall into $\rho_* = s(\rho_*)$, entries off the
    diagonal tend to $\rho_* / (1 - s'(\rho_*))$ while the diagonal is $(B'^{l+1} - 1) / (B' - 1)$, and kernel
    regression is their ratio times $\sum_i y_i$. With $B' < 1$ it is not.""",
    source="theorem on infinite depth, third case (limit derived here)",
    agreement=Identity(rtol=1e-9),
    controls=("fixed point alone", "slope of the diagonal", "mean of the labels", "slope below one"),
)
def majority(run: Run) -> Trial:
    """Kernel regression on an arc at a depth of 200, with three random activations, in units of the diagonal."""
    n, n_test, depth = 7, run.size("test points", quick=10, standard=40, full=200), 200
    rng = run.rng()
    angles, test_angles = rng.uniform(0, np.pi / 2, n), rng.uniform(0, np.pi / 2, n_test)
    labels = rng.choice([-1.0, 1.0], n)
    total = labels.sum()  # of an odd number, not zero
    low, high = np.array([0.15, 0.2, 0.0, 0.3]), np.array([0.3, 0.4, 0.0, 0.5])
    cases = [unit(rng.uniform(low, high)) for _ in range(3)]
    slopes = [float(np.arange(4) @ c**2) for c in cases]

    def votes(cases: list[Array], depth: int) -> Array:
        found = [_votes(angles, labels, test_angles, c, depth) for c in cases]
        diagonal = [np.exp(deep_kernels(np.zeros(1), c, depth).ntk[depth]) for c in cases]
        return np.stack(found) * np.stack(diagonal)

    def predict(of: Callable[[ntk.MajorityLimit, float], float] = lambda limit, _: limit.off_diagonal) -> Array:
        each = [of(ntk.majority_limit(c), b) for c, b in zip(cases, slopes, strict=True)]
        return total * np.outer(each, np.ones(n_test))

    return Trial(
        predict=predict,
        measure=lambda: votes(cases, depth),
        controls={
            "fixed point alone": lambda: predict(lambda limit, _: limit.fixed_point),
            "slope of the diagonal": lambda: predict(lambda limit, b: limit.fixed_point / (b - 1)),
            "mean of the labels": lambda: predict() / n,
        },
        counterexamples={"slope below one": lambda: votes([np.sqrt([a, 0.9 - a, 0.1]) for a in (0.5, 0.45, 0.4)], 20)},
    )


@PAPER.claim(
    "off_diagonal",
    statement=r"""If $E \phi \ne 0$, entries off the diagonal are at great depth a share of the diagonal ones that tends
    to 0 for $B' > 1$, to 1/3 for $B' = 1$, with an error of order $\ln l / l$, and to 1 for $B' < 1$: then no vote of
    the majority follows.""",
    source="theorem on infinite depth, third case, its edge and its limits (derived here)",
    agreement=Equivalence(margin=0.02, resolution=0.03),
    controls=("1/4 at the edge, as for relu", "1/2 at the edge", "majority for every slope", "0 at the edge"),
)
def off_diagonal(run: Run) -> Trial:
    """Ratios at two depths by quadrature, less the leading correction that they reveal."""
    rng = run.rng()
    edges = []
    for a, b in zip(rng.uniform(0.1, 0.3, 3), rng.uniform(0.01, 0.05, 3), strict=True):
        edges.append(np.sqrt([a + 2 * b, 1 - 2 * a - 3 * b, a, b]))  # a slope of one
    cases = [unit(edges[0] ** 2 + [0, 0, 0, 0.2]), *edges, unit(edges[0] ** 2 + [0.2, 0, 0, 0])]
    delta = np.array([0.0, *rng.uniform(0.3, 0.9, 3)])
    depth = run.size("depth", quick=10_000, standard=20_000, full=100_000)

    def measure() -> Array:
        found = []
        for c in cases:
            logs = deep_kernels(delta, c, depth).ntk
            ratio = np.exp(logs[:, 1:] - logs[:, :1])
            # limit + c ln l / l + O(1 / l)
            a, b = log(depth) / depth, log(depth // 2) / (depth // 2)
            found.append((b * ratio[depth] - a * ratio[depth // 2]) / (b - a))
        return np.stack(found)

    def predict(edge: float | None = None, below: float | None = None) -> Array:
        ratios = [ntk.off_diagonal_ratio(c) for c in cases]
        ratios[1:4] = ratios[1:4] if edge is None else [edge] * 3
        ratios[4] = ratios[4] if below is None else below
        return np.outer(ratios, np.ones(3))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1/4 at the edge, as for relu": lambda: predict(edge=1 / 4),
            "1/2 at the edge": lambda: predict(edge=1 / 2),
            "majority for every slope": lambda: predict(below=0.0),
            "0 at the edge": lambda: predict(edge=0.0),
        },
        scale=1 / 3,
    )


def _correct(key: jax.Array, log_delta: jax.Array, tables: jax.Array, sizes: tuple[int, ...]) -> jax.Array:
    """Shares of the arc with the better label, by tabulated kernels and by the nearest point, (kernels + 1, sizes)."""
    arc = sim.labelled_arc(key, n=max(sizes), n_test=40, draws=32, waves=8.0, noise=0.2)
    apart = sim.separation(arc.test_angles, arc.angles)
    place = (jnp.log(apart) - log_delta[0]) / (log_delta[1] - log_delta[0])
    low = jnp.clip(place.astype(int), 0, log_delta.size - 2)

    def share(decision: jax.Array) -> jax.Array:
        return jnp.mean((jnp.sign(decision) == arc.better).astype(float))

    found = []
    for table in tables:
        weights = table[low] + (place - low) * (table[low + 1] - table[low])
        found.append([share(sim.weighted_vote(weights[:, :n], arc.labels[:, :n])) for n in sizes])
    found.append([share(sim.nearest_label(apart[:, :n], arc.labels[:, :n])) for n in sizes])
    return jnp.array(found)


@PAPER.claim(
    "consistency",
    statement=r"""With $\alpha = d$ the classifier of infinite depth comes ever closer to Bayes' as the sample grows: on
    an arc with labels that are right with probability 0.8, its agreement with the better label grows by more than 0.065
    from 50 points to 400, to more than 0.88. With $\alpha = 2 d$, and for the nearest neighbour, it does not.""",
    source="theorem on consistency, d = 1",
    agreement=Ordering(side="above"),
    controls=("alpha = 2", "nearest neighbour"),
)
def consistency(run: Run) -> Trial:
    """Classify with kernels of infinite depth by quadrature, read off tables in the distance.

    The thresholds are midway between what the classifier reaches and where those that are not consistent stay: the
    nearest neighbour at 0.8, the one with alpha = 2 at about 0.845, after a growth of 0.03.
    """
    sizes = run.size("points", quick=(50, 400), standard=(50, 1600), full=(50, 25_600))
    sets = run.size("data sets", quick=600, standard=1500, full=3000)

    @cache
    def shares() -> Array:
        log_delta = np.linspace(np.log(1e-14), 0.0, 300)
        delta = np.minimum(np.exp(log_delta), 1 - 1e-12)
        tables = np.stack([deep_kernels(delta, printed(d), 100).nngp[100] for d in (1, 2)])
        return over_replicates(_correct, run.keys(sets), jnp.asarray(log_delta), jnp.asarray(tables), sizes)

    def of(which: int) -> Samples:
        found = shares()[:, which]
        return Samples(np.stack([found[:, 1], found[:, 1] - found[:, 0]], axis=1))

    return Trial(
        predict=lambda: np.array([0.88, 0.065]),
        measure=lambda: of(0),
        counterexamples={
            "alpha = 2": lambda: of(1),
            "nearest neighbour": lambda: of(2),
        },
    )
