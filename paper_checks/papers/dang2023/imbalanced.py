"""Squared error with classes of unequal size: lengths of features and head, bias, and the end of small classes."""

from collections.abc import Callable

import jax
import numpy as np

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.dang2023.paper import PAPER
from paper_checks.papers.dang2023.problems import (
    MINIMISED,
    Array,
    Problem,
    best_geometry,
    draw,
    sizes,
    solution,
    unit_decay,
    with_keys,
)
from simulations import neural_collapse as sim


@PAPER.claim(
    "imbalanced-gof",
    statement=r"""Imbalanced classes without bias end at an orthogonal frame of unequal lengths: the Gram matrices
    of class means and of the head are $\mathrm{diag}(q_k / \lambda_H n_k)$ and $\mathrm{diag}(q_k^M / \prod_m
    \lambda_m)$, the head maps mean $k$ to $\sigma_k / \sqrt{n_k}$ in entry $k$, and a bottleneck keeps the largest
    classes.""",
    source="general orthogonal frame of imbalanced classes",
    agreement=Identity(rtol=MINIMISED),
    controls=("equal lengths", "smallest classes kept", "n lost from the features", "logits of a perfect fit"),
)
def imbalanced_gof(run: Run) -> Trial:
    """Read all three matrices at the lowest of many minima; distinct classes leave no freedom in them."""
    of, rng = sizes(run), run.rng()
    half = of.num_classes // 2
    dims = (of.dims(1), of.dims(2), of.dims(2, bottleneck=half))
    problems = [draw(rng, of.imbalanced, widths, bias=False) for widths in dims]
    n = np.array(of.imbalanced, dtype=float)

    def read(problem: Problem, key: jax.Array) -> list[Array]:
        shape = best_geometry(problem, key, of.starts)[1]
        return [np.asarray(part) for part in (shape.feature_gram, shape.classifier_gram, shape.alignment, shape.spread)]

    def matrices(problem: Problem) -> list[Array]:
        best = solution(problem)
        return [best.feature_gram, best.classifier_gram, best.logits, np.zeros(1)]

    def predict(change: Callable[[list[Array]], list[Array]] = lambda found: found) -> Array:
        return components(*(part for problem in problems for part in change(matrices(problem))))

    def equal(found: list[Array]) -> list[Array]:
        return [*(np.eye(n.size) * np.trace(part) / n.size for part in found[:3]), found[3]]

    return Trial(
        predict=predict,
        measure=lambda: components(*(part for problem, key in with_keys(run, problems) for part in read(problem, key))),
        controls={
            "equal lengths": lambda: predict(equal),
            "smallest classes kept": lambda: predict(
                lambda found: [*(part[::-1, ::-1] for part in found[:3]), found[3]]
            ),
            "n lost from the features": lambda: predict(lambda found: [found[0] * n, *found[1:]]),
            "logits of a perfect fit": lambda: predict(lambda found: [*found[:2], np.sign(found[2]), found[3]]),
        },
        scale="largest",
    )


@PAPER.claim(
    "imbalanced-lengths",
    statement=r"""Head vectors are longer for larger classes. Feature means are not: with one layer they are longest
    where $\sqrt{n_k} = 2 N \sqrt{\lambda_H \lambda_1}$, with two and little decay those of the smallest class are.""",
    source="lengths in the general orthogonal frame",
    agreement=Ordering("above"),
    controls=("features of one layer ordered by class size", "features of two layers ordered by class size"),
)
def imbalanced_lengths(run: Run) -> Trial:
    """Compare lengths of neighbouring classes; one layer at a decay that makes a class in the middle the longest."""
    of, rng = sizes(run), run.rng()
    n, total = np.array(of.imbalanced, dtype=float), float(np.sum(of.imbalanced))
    middle = of.num_classes // 2
    ratio = float(np.exp(rng.uniform(-1, 1)))
    product = np.sqrt(n[middle]) / (2 * total)  # sqrt(lambda_H lambda_1)
    single = Problem(of.imbalanced, of.dims(1), product * ratio, (product / ratio,))
    double = draw(rng, of.imbalanced, of.dims(2), bias=False)
    double = double._replace(
        feature_decay=double.feature_decay / 4, weight_decays=tuple(lam / 4 for lam in double.weight_decays)
    )

    def lengths() -> list[tuple[Array, Array]]:
        found = []
        for problem, key in with_keys(run, [single, double]):
            shape = best_geometry(problem, key, of.starts)[1]
            found.append((np.sqrt(np.diagonal(shape.classifier_gram)), np.sqrt(np.diagonal(shape.feature_gram))))
        return found

    def measure(first: float = 1.0, second: float = 1.0) -> Array:
        (w1, h1), (w2, h2) = lengths()
        peak = np.array([h1[middle] - h1[0], h1[middle] - h1[-1]])
        one = peak if first > 0 else -np.diff(h1)[:2]
        return components(-np.diff(w1), -np.diff(w2), one, second * np.diff(h2))

    zeros = np.zeros(3 * (of.num_classes - 1) + 2)
    return Trial(
        predict=lambda: zeros,
        measure=measure,
        counterexamples={
            "features of one layer ordered by class size": lambda: measure(first=-1.0),
            "features of two layers ordered by class size": lambda: measure(second=-1.0),
        },
        scale=1.0,
    )


@PAPER.claim(
    "imbalanced-bias",
    statement=r"""With a free bias and imbalanced classes the modes are the eigenvectors of $\mathrm{diag}(n) - n
    n^T / N$, each with the same scalar problem as ever, and the bias is $n / N$.""",
    source="own extension of the bias-free theorem; compare arXiv:2411.17278",
    agreement=Identity(rtol=MINIMISED),
    controls=("bias 1/K", "simplex of equal lengths", "no bias"),
)
def imbalanced_bias(run: Run) -> Trial:
    """Read Gram matrices, outputs and bias at the lowest of many minima, with one layer and with two."""
    of, rng = sizes(run), run.rng()
    problems = [draw(rng, of.imbalanced, of.dims(depth), bias=True) for depth in (1, 2)]
    k = of.num_classes
    flat = np.eye(k) - 1 / k

    def read(problem: Problem, key: jax.Array) -> list[Array]:
        best, shape = best_geometry(problem, key, of.starts)
        outputs = sim.class_logits(best.factors, problem.model)
        return [np.asarray(part) for part in (shape.feature_gram, shape.classifier_gram, outputs, best.factors.bias)]

    def predict(bias: bool = True) -> list[list[Array]]:
        found = [solution(problem, bias=bias) for problem in problems]
        return [[best.feature_gram, best.classifier_gram, best.logits, best.bias] for best in found]

    def joined(parts: list[list[Array]]) -> Array:
        return components(*(array for part in parts for array in part))

    def simplex(part: list[Array]) -> list[Array]:
        return [*(np.trace(gram) / (k - 1) * flat for gram in part[:2]), *part[2:]]

    return Trial(
        predict=lambda: joined(predict()),
        measure=lambda: joined([read(problem, key) for problem, key in with_keys(run, problems)]),
        controls={
            "bias 1/K": lambda: joined([[*part[:3], np.full(k, 1 / k)] for part in predict()]),
            "simplex of equal lengths": lambda: joined([simplex(part) for part in predict()]),
            "no bias": lambda: joined(predict(bias=False)),
        },
        scale="largest",
    )


@PAPER.claim(
    "minority-collapse",
    statement=r"""Classes of $n_k \le n_c$ have neither features nor head weights, and every other class is as if
    they did not exist, but for their share in $N$.""",
    source="minority collapse",
    agreement=Identity(rtol=1e-8),
    controls=("nothing collapses", "half of the classes collapse", "collapsed samples not counted"),
)
def minority_collapse(run: Run) -> Trial:
    """Read lengths class by class, at decays that are too much for the smallest classes.

    The tolerance covers collapsed classes of one layer, whose lengths fade with a small curvature.
    """
    of, rng = sizes(run), run.rng()
    unit = {depth: unit_decay(of.imbalanced, depth) for depth in (1, 2)}
    strength = {1: 0.8, 2: 0.45}
    tilts = {depth: np.exp(rng.uniform(-0.5, 0.5, depth + 1)) for depth in unit}
    problems = []
    for depth, tilt in tilts.items():
        decays = unit[depth] * strength[depth] * tilt / np.exp(np.mean(np.log(tilt)))
        problems.append(Problem(of.imbalanced, of.dims(depth), float(decays[0]), tuple(map(float, decays[1:]))))

    def read(problem: Problem, key: jax.Array) -> list[Array]:
        shape = best_geometry(problem, key, of.starts)[1]
        return [np.sqrt(np.diagonal(shape.classifier_gram)), np.sqrt(np.diagonal(shape.feature_gram))]

    def lengths(problem: Problem) -> list[Array]:
        best = solution(problem)
        return [np.sqrt(np.diagonal(best.classifier_gram)), np.sqrt(np.diagonal(best.feature_gram))]

    def kept(count: int) -> Array:
        mask = np.arange(of.num_classes) < count
        return components(*(np.where(mask, np.maximum(part, 0.1), 0.0) for p in problems for part in lengths(p)))

    def uncounted() -> Array:
        found = []
        for problem in problems:
            alive = int(np.count_nonzero(lengths(problem)[0]))
            rest = lengths(problem._replace(class_sizes=problem.class_sizes[:alive]))
            found += [np.append(part, np.zeros(of.num_classes - alive)) for part in rest]
        return components(*found)

    return Trial(
        predict=lambda: components(*(part for problem in problems for part in lengths(problem))),
        measure=lambda: components(*(part for problem, key in with_keys(run, problems) for part in read(problem, key))),
        controls={
            "nothing collapses": lambda: kept(of.num_classes),
            "half of the classes collapse": lambda: kept(of.num_classes // 2),
            "collapsed samples not counted": uncounted,
        },
        scale="largest",
    )
