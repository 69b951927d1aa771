"""Complexities of classes of functions: Rademacher averages, Massart's lemma, counts of dichotomies."""

from functools import lru_cache
from math import comb

import numpy as np
import numpy.typing as npt

from paper_checks.agreement import Bound, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples
from paper_checks.papers.classic.paper import PAPER
from simulations import generalization as sim
from simulations.replicates import over_replicates
from theory import generalization as gen


def _data_sets(run: Run) -> list[Array]:
    """Rows of several shapes: Gaussian, of very different lengths, orthogonal, repeated."""
    number = run.size("data sets", quick=3, standard=10, full=30)
    n = run.size("rows", quick=9, standard=12, full=16)
    rng = run.rng()
    sets = [np.eye(n), np.ones((2, 1)), np.ones((n, 1))]
    for _ in range(number):
        X = rng.standard_normal((n, 3))
        sets += [X, X * np.exp(2 * rng.standard_normal((n, 1)))]
    return sets


@PAPER.claim(
    "rademacher-linear",
    statement=r"""For $\{x \mapsto w \cdot x : \|w\| \le B\}$, $\hat R = \frac Bn E_\sigma \|\sum_i \sigma_i x_i\|$.""",
    source="dual norm",
    agreement=Identity(rtol=1e-9),  # the supremum is climbed to within 1e-10
    controls=("root mean square", "2 / n", "norms added up", "mean of absolute coordinates"),
)
def rademacher_linear(run: Run) -> Trial:
    """Maximise over the ball by projected ascent, for all 2^n sign vectors."""
    sets, radius = _data_sets(run), 1.7

    def gather(answer) -> Array:
        return np.array([answer(X) for X in sets])

    return Trial(
        predict=lambda: gather(lambda X: gen.rademacher_linear(X, radius)),
        measure=lambda: gather(lambda X: float(sim.linear_complexity(X, radius))),
        controls={
            "root mean square": lambda: gather(lambda X: radius * np.linalg.norm(X) / len(X)),
            "2 / n": lambda: gather(lambda X: 2 * gen.rademacher_linear(X, radius)),
            "norms added up": lambda: gather(lambda X: radius * np.linalg.norm(X, axis=1).mean()),
            "mean of absolute coordinates": lambda: gather(
                lambda X: radius * np.abs(sim.all_signs(len(X)) @ X).sum(axis=1).mean() / len(X)
            ),
        },
    )


@PAPER.claim(
    "khintchine",
    statement=r"""$\frac{B \|X\|_F}{\sqrt 2\, n} \le \hat R \le \frac{B \|X\|_F}{n}$; orthogonal rows attain the upper,
    two equal rows the lower bound.""",
    source="Jensen; Khintchine with Szarek's constant",
    agreement=Bound(tight=1e-9, rounding=1e-9),
    controls=("constant 1.4 below", "0.99 above", "largest row alone"),
)
def khintchine(run: Run) -> Trial:
    """Compare with the enumeration; lower bounds are checked with both signs turned."""
    sets = _data_sets(run)
    size = np.array([np.linalg.norm(X) / len(X) for X in sets])

    def measure() -> Array:
        found = np.array([float(sim.linear_complexity(X, 1.0)) for X in sets])
        return np.array([found, -found])

    def bounds(high: float = 1.0, low: float = 2**-0.5) -> Array:
        return np.array([high * size, -low * size])

    return Trial(
        predict=bounds,
        measure=measure,
        controls={
            "constant 1.4 below": lambda: bounds(low=1 / 1.4),
            "0.99 above": lambda: bounds(high=0.99),
            "largest row alone": lambda: np.array(
                [[np.linalg.norm(X, axis=1).max() / len(X) for X in sets], -(2**-0.5) * size]
            ),
        },
    )


@PAPER.claim(
    "rademacher-gaussian",
    statement=r"""On standard Gaussian rows $E \hat R = \frac{B}{\sqrt n} \frac{\sqrt 2\, \Gamma((d + 1) / 2)}{\Gamma(d
    / 2)}$.""",
    source="mean of a chi variable",
    agreement=MonteCarlo(resolution=0.03),
    controls=("sqrt(d / n)", "Gamma of d / 2 and (d - 1) / 2", "1 / n"),
)
def rademacher_gaussian(run: Run) -> Trial:
    """Draw rows and signs, and maximise over the ball."""
    replicates = run.size("replicates", quick=40_000, standard=400_000, full=10_000_000)
    shapes = ((10, 3), (4, 1), (6, 8))

    def measure() -> Samples:
        keys = [run.keys(replicates, f"{n} {d}") for n, d in shapes]
        return Samples(
            np.stack(
                [
                    over_replicates(sim.sampled_linear_complexity, k, n, d, 1.3)
                    for k, (n, d) in zip(keys, shapes, strict=True)
                ],
                axis=1,
            )
        )

    n, d = np.array(shapes).T
    return Trial(
        predict=lambda: gen.rademacher_linear_gaussian(n, d, 1.3),
        measure=measure,
        controls={
            "sqrt(d / n)": lambda: 1.3 * np.sqrt(d / n),
            "Gamma of d / 2 and (d - 1) / 2": lambda: 1.3 * np.sqrt((d - 1) / n) + 0.1,
            "1 / n": lambda: gen.rademacher_linear_gaussian(n, d, 1.3) / np.sqrt(n),
        },
    )


def _classes(run: Run) -> list[Array]:
    """Sign vectors: thresholds, intervals, all of them, random ones, and the same one twice."""
    n = run.size("points", quick=10, standard=13, full=18)
    number = run.size("random classes", quick=5, standard=20, full=50)
    rng = run.rng()
    thresholds = np.array([[1.0] * k + [-1.0] * (n - k) for k in range(n + 1)])
    intervals = 2.0 * sim.interval_labellings(n, 1) - 1
    found = [thresholds, intervals, sim.all_signs(8), np.ones((2, n)), np.array([[1.0], [-1.0]])]
    return found + [rng.choice([-1.0, 1.0], size=(int(m), n)) for m in rng.integers(2, 200, number)]


@PAPER.claim(
    "rademacher-finite",
    statement=r"""$\hat R(A) = \frac1n E_\sigma \max_{a \in A} \sigma \cdot a$ over all sign vectors.""",
    source="definition",
    agreement=Identity(rtol=1e-13),
    controls=("absolute values", "Massart's bound", "mean over A"),
)
def rademacher_finite(run: Run) -> Trial:
    """Multiply all 2^n sign vectors with all rows; the solver walks along a Gray code instead."""
    classes = _classes(run)
    return Trial(
        predict=lambda: np.array([gen.rademacher_finite(A) for A in classes]),
        measure=lambda: np.array([float(sim.finite_complexity(A)) for A in classes]),
        controls={
            "absolute values": lambda: np.array([gen.rademacher_finite(np.vstack([A, -A])) for A in classes]),
            "Massart's bound": lambda: np.array([gen.massart_bound(len(A), A.shape[1]) for A in classes]),
            "mean over A": lambda: np.array([np.abs(A.mean()) for A in classes]),
        },
        scale=1.0,
    )


@PAPER.claim(
    "massart",
    statement=r"""$\hat R(A) \le \sqrt{2 \ln |A| / n}$ for sign vectors of length $n$.""",
    source="Massart 2000, lemma 5.2",
    agreement=Bound(),
    controls=("without the 2", "log of base ten", "ln |A| / n"),
)
def massart(run: Run) -> Trial:
    """Enumerate sign vectors for all the classes, all 2^m vectors of length m among them."""
    classes = [A for A in _classes(run) if len(A) > 1]
    classes += [sim.all_signs(m) for m in (1, 2, 3, 5)]
    sizes, n = np.array([len(A) for A in classes]), np.array([A.shape[1] for A in classes])
    return Trial(
        predict=lambda: gen.massart_bound(sizes, n),
        measure=lambda: np.array([float(sim.finite_complexity(A)) for A in classes]),
        controls={
            "without the 2": lambda: np.sqrt(np.log(sizes) / n),
            "log of base ten": lambda: np.sqrt(2 * np.log10(sizes) / n),
            "ln |A| / n": lambda: np.log(sizes) / n,
        },
    )


@PAPER.claim(
    "cover-count",
    statement=r"""Hyperplanes through the origin realise $2 \sum_{k < d} \binom{N - 1}{k}$ labellings of $N$ points in
    general position in $\mathbb R^d$.""",
    source="Cover 1965, theorem 1",
    agreement=Identity(rtol=1e-15),
    controls=("affine hyperplanes", "binomials of N", "without the 2", "powers of N"),
)
def cover_count(run: Run) -> Trial:
    """Collect the labellings next to every hyperplane that d - 1 of the points span."""
    largest = run.size("largest N", quick=11, standard=16, full=22)
    rng = run.rng()
    shapes = [(N, d) for d in (1, 2, 3, 4) for N in (1, 2, d, 2 * d, 7, largest)]

    def gather(count) -> Array:
        return np.array([float(count(N, d)) for N, d in shapes])

    return Trial(
        predict=lambda: gather(gen.cover_count),
        measure=lambda: gather(lambda N, d: sim.count_dichotomies(rng.standard_normal((N, d)))),
        controls={
            "affine hyperplanes": lambda: gather(lambda N, d: gen.cover_count(N, d + 1)),
            "binomials of N": lambda: gather(lambda N, d: 2 * sum(comb(N, k) for k in range(d))),
            "without the 2": lambda: gather(lambda N, d: gen.cover_count(N, d) // 2),
            "powers of N": lambda: gather(lambda N, d: 2 * N ** (d - 1)),
        },
    )


@PAPER.claim(
    "sauer",
    statement=r"""A class of VC dimension $v$ labels $m$ points in at most $\sum_{i \le v} \binom mi$ ways; unions of
    intervals attain it.""",
    source="Sauer 1972; Vapnik and Chervonenkis 1971",
    agreement=Bound(tight=1e-12),
    controls=("sum to v - 1", "binomial of v alone", "(m / v)^v"),
)
def sauer(run: Run) -> Trial:
    """Find VC dimensions of random sets of labellings, of their unions and of intervals, by brute force."""
    m = run.size("points", quick=7, standard=9, full=11)
    number = run.size("random classes", quick=30, standard=100, full=500)

    @lru_cache
    def classes() -> list[npt.NDArray[np.bool_]]:
        rng = run.rng()
        everything = sim.all_signs(m) > 0
        found = [everything[rng.permutation(2**m)[: rng.integers(2, 2 ** (m - 1))]] for _ in range(number)]
        # unions of random faces of the cube, which have few labellings beyond what their dimension needs
        for _ in range(number):
            free = rng.uniform(size=(3, m)) < 0.3
            base = rng.uniform(size=(3, m)) < 0.5
            parts = [everything[np.all((everything == b) | f, axis=1)] for b, f in zip(base, free, strict=True)]
            found.append(np.unique(np.concatenate(parts), axis=0))
        return found + [sim.interval_labellings(m, k) for k in (1, 2, 3)]

    @lru_cache
    def dimensions() -> list[int]:
        return [sim.shattered_dimension(A) for A in classes()]

    def gather(count) -> Array:
        return np.array([float(count(m, v)) for v in dimensions()])

    return Trial(
        predict=lambda: gather(gen.sauer_bound),
        measure=lambda: np.array([float(len(A)) for A in classes()]),
        controls={
            "sum to v - 1": lambda: gather(lambda m, v: gen.sauer_bound(m, max(v - 1, 0))),
            "binomial of v alone": lambda: gather(lambda m, v: comb(m, v)),
            "(m / v)^v": lambda: gather(lambda m, v: (m / v) ** v if v else 1.0),
        },
    )
