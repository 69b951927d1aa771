"""The support vector machines themselves: what they minimise, when they have a solution, how often on random tokens."""

from collections.abc import Callable
from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binom

from paper_checks.agreement import Identity, MonteCarlo, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, components
from paper_checks.papers.tarzanagh2023.instances import (
    SMALLEST_MULTIPLIER,
    SMALLEST_SLACK,
    Inputs,
    draw,
    lead_features,
    stack,
    start_with_margins,
)
from paper_checks.papers.tarzanagh2023.paper import PAPER
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]

FACTOR_STARTS = 4
_TRIES = 400  # draws an instance; about 20 are needed


@PAPER.claim(
    "w-svm",
    statement=r"""The matrix of least Frobenius norm with $(x_o - x_t)^T W z \ge 1$ for every token $t$ but the optimal
    one is $W_{mm} = \sum \lambda_{it} F_{it}$, with multipliers $\lambda \ge 0$ that vanish off the support, and
    $\|W_{mm}\|_F^2 = \sum \lambda_{it}$.""",
    source="problem (Att-SVM) and its optimality conditions",
    agreement=Identity(rtol=1e-8),
    controls=(
        "queries and keys exchanged",
        "nuclear norm",
        "multipliers of the norm, not of half its square",
        "tokens that support nothing left in",
    ),
)
def w_svm(run: Run) -> Trial:
    """Minimise the norm by an augmented Lagrangian; of random inputs half have tokens that support nothing."""
    shape, count = _sizes(run)

    def measure() -> Array:
        inputs = _inputs(run, shape, count)
        starts = jnp.asarray(run.rng("starts").standard_normal((count, shape[2], shape[2])))
        found = sim.least_norm_attention(starts, inputs.tokens, inputs.queries, inputs.optimal)
        margins = sim.token_margins(found.weights, sim.SelectionTask(*inputs[:3]), inputs.optimal)
        return components(found.weights, found.weights, 2 * found.value, margins)

    def predict(*, norm: str = "fro", dual_power: float = 0.0) -> Array:
        machines = _solve(_inputs(run, shape, count), norm)
        weights = np.stack([svm.W for svm in machines])
        sums = [
            np.tensordot(svm.duals * svm.value**dual_power, features, 1)
            for svm, features in zip(machines, _features(_inputs(run, shape, count)), strict=True)
        ]
        squares = [svm.duals.sum() * svm.value**dual_power for svm in machines]
        return components(weights, sums, squares, [svm.margins for svm in machines])

    def exchanged() -> Array:
        weights = predict()
        half = count * shape[2] ** 2
        weights[:half] = weights[:half].reshape(count, shape[2], shape[2]).swapaxes(1, 2).ravel()
        return weights

    def all_margins_one() -> Array:
        x, z, _, o = _inputs(run, shape, count)
        weights = [optimization.feasible_attention_weights(*one) for one in zip(x, z, o, strict=True)]
        squares = [np.sum(w**2) for w in weights]
        return components(weights, weights, squares, np.ones((count, shape[0] * (shape[1] - 1))))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "queries and keys exchanged": exchanged,
            "nuclear norm": lambda: predict(norm="nuc"),
            "multipliers of the norm, not of half its square": lambda: predict(dual_power=-1.0),
            "tokens that support nothing left in": all_margins_one,
        },
        scale=1.0,
    )


@PAPER.claim(
    "kq-svm",
    statement=r"""Among factors $W = K Q^T$ with $d$ columns that clear all margins, those of least $\|K\|_F^2 +
    \|Q\|_F^2$ have the product $W_{nuc}$, the matrix of least nuclear norm that clears them.""",
    source="problem (Att-SVM*)",
    agreement=Identity(rtol=1e-5, resolution=2e-5),
    controls=("Frobenius norm", "queries and keys exchanged"),
)
def kq_svm(run: Run) -> Trial:
    """Minimise over factors from several starts, a problem that is not convex, and keep the best that is feasible."""
    shape, count = _sizes(run)
    return Trial(
        predict=lambda: np.stack([svm.W for svm in _solve(nuclear_inputs(run, shape, count), "nuc")]),
        measure=lambda: _least_factors(run, shape, count)[1],
        controls={
            "Frobenius norm": lambda: np.stack([svm.W for svm in _solve(nuclear_inputs(run, shape, count), "fro")]),
            "queries and keys exchanged": lambda: np.stack(
                [svm.W.T for svm in _solve(nuclear_inputs(run, shape, count), "nuc")]
            ),
        },
        scale="largest",
    )


@PAPER.claim(
    "kq-norm",
    statement=r"""The least $(\|K\|_F^2 + \|Q\|_F^2) / 2$ at which $K Q^T$ clears all margins is the least nuclear norm
    of a matrix that does, and the sum of its multipliers.""",
    source="problem (Att-SVM*), variational form of the nuclear norm",
    agreement=Identity(rtol=1e-8),
    controls=("Frobenius norm", "both squares, not half of them", "largest singular value"),
)
def kq_norm(run: Run) -> Trial:
    """Compare the least value over factors with the convex problem's value and its dual's."""
    shape, count = _sizes(run)

    def predict() -> Array:
        machines = _solve(nuclear_inputs(run, shape, count), "nuc")
        return np.array([[svm.value, svm.duals.sum()] for svm in machines])

    def of_matrix(norm: str) -> Array:
        machines = _solve(nuclear_inputs(run, shape, count), norm)
        sizes = np.array([np.linalg.svd(svm.W, compute_uv=False) for svm in machines])
        return np.repeat(np.sqrt(np.sum(sizes**2, axis=1)) if norm == "fro" else sizes[:, 0], 2).reshape(-1, 2)

    return Trial(
        predict=predict,
        measure=lambda: np.repeat(_least_factors(run, shape, count)[0][:, None], 2, axis=1),
        controls={
            "Frobenius norm": lambda: of_matrix("fro"),
            "both squares, not half of them": lambda: 2 * predict(),
            "largest singular value": lambda: of_matrix("nuc"),
        },
    )


def _sizes(run: Run) -> tuple[tuple[int, int, int], int]:
    shape = run.size("inputs, tokens, dimension", quick=(3, 3, 4), standard=(4, 3, 5), full=(4, 3, 8))
    return shape, run.size("instances", quick=6, standard=8, full=64)


@lru_cache(maxsize=4)
def _inputs(run: Run, shape: tuple[int, int, int], count: int) -> Inputs:
    rng = run.rng()
    return stack([draw(rng, shape, hidden=k % 2 == 1) for k in range(count)])


@lru_cache(maxsize=8)
def nuclear_inputs(run: Run, shape: tuple[int, int, int], count: int, rank_one: bool = False) -> Inputs:
    """Draw inputs whose nuclear-norm problem is well conditioned as well.

    Its multipliers and slacks meet the criteria of the Frobenius problem; its minimiser's singular values are either
    zero or a quarter of the largest at least, and its subgradient's either one or below 0.7, so that neither can pass
    for the other; its direction differs visibly from the Frobenius one; and every other minimiser has rank two or more.
    With ``rank_one`` all have rank one, and small factors select the optimal tokens from the beginning.
    """
    rng = run.rng("nuclear")
    accepted: list[Inputs] = []
    for _ in range(_TRIES * count):
        if len(accepted) == count:
            return stack(accepted)
        screen = _small_factors_select if rank_one else None
        inputs = draw(rng, shape, screen=screen, hidden=len(accepted) % 2 == 1)
        x, z, _, o = inputs
        frobenius, nuclear = (optimization.solve_attention_svm(x, z, o, norm=norm) for norm in ("fro", "nuc"))
        features, _ = optimization.attention_svm_features(x, z, o)
        sizes = np.linalg.svd(nuclear.W, compute_uv=False)
        slopes = np.linalg.svd(np.tensordot(nuclear.duals, features, 1), compute_uv=False)
        rank = int(np.sum(sizes > 1e-4 * sizes[0]))
        if (
            nuclear.duals[nuclear.support].min() >= SMALLEST_MULTIPLIER * nuclear.duals.max()
            and nuclear.margins[~nuclear.support].min(initial=np.inf) >= 1 + SMALLEST_SLACK
            and sizes[rank - 1] >= 0.25 * sizes[0]
            and slopes[rank:].max(initial=0.0) <= 0.7
            and optimization.direction_cosine(frobenius.W, nuclear.W) <= 0.97
            and (rank == 1 if rank_one else rank >= 2 or len(accepted) % 2 == 1)
        ):
            accepted.append(inputs)
    raise RuntimeError(f"{len(accepted)} of {count} inputs of shape {shape} accepted in {_TRIES * count} draws")


def _small_factors_select(inputs: Inputs) -> bool:
    """Whether the leading singular pair of the gradient at zero, where small factors grow first, leads these tokens."""
    x, z, scores, _ = inputs
    centred = scores - scores.mean(axis=1, keepdims=True)
    descent = np.einsum("n,nt,ntd,ne->de", expit(-scores.mean(axis=1)), centred, x, z)
    u, _, vt = np.linalg.svd(descent)
    features = lead_features(inputs)
    leads = features @ np.outer(u[:, 0], vt[0]).ravel()
    return bool((leads >= 0.05 * np.linalg.norm(features, axis=1)).all())


def _solve(inputs: Inputs, norm: str) -> list[optimization.AttentionSVM]:
    x, z, _, o = inputs
    return [optimization.solve_attention_svm(*one, norm=norm) for one in zip(x, z, o, strict=True)]


def _features(inputs: Inputs) -> list[Array]:
    x, z, _, o = inputs
    return [optimization.attention_svm_features(*one)[0] for one in zip(x, z, o, strict=True)]


def _least_factors(run: Run, shape: tuple[int, int, int], count: int) -> tuple[Array, Array]:
    """Least value over several starts, and its product K Q^T, for every instance.

    A start of norm so large that the origin looks better falls onto it, and is left out for clearing no margin.
    """
    inputs, rng = nuclear_inputs(run, shape, count), run.rng("starts")
    margins = rng.uniform(0.2, 0.8, (FACTOR_STARTS, count, shape[0] * (shape[1] - 1)))
    keys = [
        [start_with_margins(rng, Inputs(*one), m) for one, m in zip(zip(*inputs, strict=True), row, strict=True)]
        for row in margins
    ]
    queries = np.eye(shape[2]) + 0.3 * rng.standard_normal((FACTOR_STARTS, count, shape[2], shape[2]))
    repeated = [np.broadcast_to(part, (FACTOR_STARTS, *part.shape)) for part in inputs]
    start = sim.Factors(jnp.asarray(0.5 * np.asarray(keys)), jnp.asarray(0.5 * queries))
    found = sim.least_norm_attention(start, repeated[0], repeated[1], repeated[3])
    values = np.where(np.asarray(found.margin) > 1 - 1e-6, found.value, np.inf)
    best = np.argmin(values, axis=0)
    products = np.asarray(sim.attention_matrix(found.weights))
    return values.min(axis=0), products[best, np.arange(count)]


@PAPER.claim(
    "feasible",
    statement=r"""For $d \ge \max(T - 1, n)$ almost all tokens and queries allow $W = A Z^+$, $A = [D_1^+ 1, \dots,
    D_n^+ 1]$, whose margins are all exactly 1; $D_i$ holds the differences from the optimal token, $Z$ the queries.""",
    source="feasibility of (Att-SVM)",
    agreement=Identity(rtol=1e-11),
    controls=("transposes for pseudo-inverses", "one pseudo-inverse for each query", "differences the other way round"),
)
def feasible(run: Run) -> Trial:
    """Read the margins of the construction off the simulated attention, at the smallest dimension and above it.

    Queries and differences are drawn until their condition numbers are below 100; 1e-11 grants their squares 1e-15.
    """
    shapes = ((3, 4, 3), (5, 3, 5), (4, 5, 7))
    count = run.size("instances of a shape", quick=20, standard=200, full=2000)

    def read(build: Callable[[Array, Array, NDArray[np.int_]], Array]) -> Array:
        found = []
        for shape in shapes:
            inputs = _conditioned(run, shape, count)
            x, z, _, o = inputs
            weights = np.stack([build(*one) for one in zip(x, z, o, strict=True)])
            found.append(sim.token_margins(jnp.asarray(weights), sim.SelectionTask(*inputs[:3]), o))
        return components(*found)

    return Trial(
        predict=lambda: np.ones(sum(n * (T - 1) for n, T, _ in shapes) * count),
        measure=lambda: read(optimization.feasible_attention_weights),
        counterexamples={
            "transposes for pseudo-inverses": lambda: read(lambda x, z, o: _leads(x, o).sum(axis=1).T @ z),
            "one pseudo-inverse for each query": lambda: read(
                lambda x, z, o: _targets(x, o).T @ (z / np.sum(z**2, axis=1, keepdims=True))
            ),
            "differences the other way round": lambda: read(lambda x, z, o: -_targets(x, o).T @ np.linalg.pinv(z.T)),
        },
    )


def _leads(x: Array, o: NDArray[np.int_]) -> Array:
    return np.stack([np.delete(x[i, o[i]] - x[i], o[i], axis=0) for i in range(len(x))])


def _targets(x: Array, o: NDArray[np.int_]) -> Array:
    return np.linalg.pinv(_leads(x, o)).sum(axis=2)


@lru_cache(maxsize=8)
def _conditioned(run: Run, shape: tuple[int, int, int], count: int) -> Inputs:
    rng = run.rng(str(shape))
    found: list[Inputs] = []
    n, T, d = shape
    while len(found) < count:
        x, z, o = rng.standard_normal((n, T, d)), rng.standard_normal((n, d)), rng.integers(0, T, n)
        if max(np.linalg.cond(z), np.linalg.cond(_leads(x, o)).max()) < 100:
            found.append(Inputs(x, z, np.zeros((n, T)), o))
    return stack(found)


@PAPER.claim(
    "feasible-beyond",
    statement=r"""The condition $d \ge \max(T - 1, n)$ is sufficient, not necessary: with $d = 3$ and $T = 4$ Gaussian
    tokens margins can be had in more than half of the cases, but not in all, for $n = 6$, and in a good part of them
    for $n = 9$.""",
    source="feasibility of (Att-SVM), remarks on over-parametrisation",
    agreement=Ordering("above"),
    controls=("necessary too", "certain beyond n = d", "independent of n"),
)
def feasible_beyond(run: Run) -> Trial:
    """Decide separability exactly for many random instances."""
    count = run.size("replicates", quick=10_000, standard=40_000, full=1_000_000)

    def measure() -> Samples:
        rng = run.rng()
        six, nine = (_separable(rng, count, n, 4, 3) for n in (6, 9))
        return Samples(np.stack([six, 1 - six, six - nine, nine], axis=1))

    def above(**changed: float) -> Array:
        thresholds = {"six": 0.5, "six_fail": 0.0, "difference": 0.2, "nine": 0.2}
        return np.array(list((thresholds | changed).values()))

    return Trial(
        predict=above,
        measure=measure,
        controls={
            "necessary too": lambda: above(six_fail=0.999),
            "certain beyond n = d": lambda: above(six=0.999),
            "independent of n": lambda: above(nine=0.8),
        },
        scale=1.0,
    )


@PAPER.claim(
    "separability",
    statement=r"""With $T = 2$ Gaussian tokens and independent Gaussian queries, margins can be had with probability
    $2^{1 - n} \sum_{j < d^2} \binom{n - 1}{j}$: Cover's count in $d^2$ dimensions, one half at $n = 2 d^2$.""",
    source="derived here, with Cover (1965), theorem 1",
    agreement=MonteCarlo(resolution=0.05),
    controls=(
        "d dimensions",
        "d (d + 1) / 2 dimensions",
        "n for n - 1 in the count",
        "self-attention queries in two dimensions",
    ),
)
def separability(run: Run) -> Trial:
    """Decide separability exactly around the threshold, in two dimensions and in three."""
    count = run.size("replicates", quick=40_000, standard=100_000, full=4_000_000)
    cases = [(6, 2), (8, 2), (10, 2), (16, 3), (18, 3), (20, 3)]

    def measure(own_queries: bool = False) -> Samples:
        rng = run.rng()
        return Samples(np.stack([_separable(rng, count, n, 2, d, own_queries and d == 2) for n, d in cases], axis=1))

    def cover(flips: int, dimensions: Callable[[int], int]) -> Array:
        return np.array([binom.cdf(dimensions(d) - 1, n - flips, 0.5) for n, d in cases])

    return Trial(
        predict=lambda: np.array([optimization.separability_probability(n, d) for n, d in cases]),
        measure=measure,
        controls={
            "d dimensions": lambda: cover(1, lambda d: d),
            "d (d + 1) / 2 dimensions": lambda: cover(1, lambda d: d * (d + 1) // 2),
            "n for n - 1 in the count": lambda: cover(0, lambda d: d * d),
        },
        counterexamples={"self-attention queries in two dimensions": lambda: measure(own_queries=True)},
    )


def _separable(rng: np.random.Generator, count: int, n: int, T: int, d: int, own_queries: bool = False) -> Array:
    tokens = rng.standard_normal((count, n, T, d))
    queries = tokens[:, :, 0] if own_queries else rng.standard_normal((count, n, d))
    # which token is optimal makes no difference, except for self-attention, where it is the querying one
    return sim.attention_separable(tokens, queries, np.zeros((count, n), dtype=int)).astype(float)
