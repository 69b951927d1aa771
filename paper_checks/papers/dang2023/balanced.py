"""Squared error: the global minimum, what makes it one, and the collapse of balanced classes."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.dang2023.paper import PAPER
from paper_checks.papers.dang2023.problems import (
    MINIMISED,
    Array,
    Modes,
    Problem,
    Sizes,
    best_geometry,
    draw,
    minima,
    modes,
    sizes,
    solution,
    with_keys,
    wrong_modes,
)
from simulations import neural_collapse as sim


def _gallery(run: Run, of: Sizes) -> list[Problem]:
    """Draw problems of several depths: balanced and not, with and without bias, with and without a bottleneck."""
    rng, half = run.rng(), of.num_classes // 2
    cases = [
        (of.imbalanced, of.dims(1), False),
        (of.balanced, of.dims(2), False),
        (of.imbalanced, of.dims(2), False),
        (of.imbalanced, of.dims(2), True),
        (of.balanced, of.dims(2, bottleneck=half), False),
        (of.imbalanced, of.dims(3), False),
    ]
    cases += run.size(
        "further cases",
        quick=[],
        standard=[(of.balanced, of.dims(4), False), (of.balanced, of.dims(2, bottleneck=half), True)],
        full=[(of.balanced, of.dims(6), False), (of.balanced, of.dims(9), False)],
    )
    return [draw(rng, class_sizes, dims, bias=bias) for class_sizes, dims, bias in cases]


def _uncentred(problem: Problem) -> Array:
    """Targets under a bottleneck, but with the mean of the labels left in."""
    return np.sqrt(np.sort(problem.class_sizes)[::-1]) * (np.arange(len(problem.class_sizes)) < min(problem.dims))


def _targets(problem: Problem) -> Array:
    """Targets as they are: eigenvalues of diag(n) or diag(n) - n n^T / N, cut off by a bottleneck."""
    if not problem.bias:
        return _uncentred(problem)
    n = np.array(problem.class_sizes, dtype=float)
    eigenvalues = np.linalg.eigvalsh(np.diag(n) - np.outer(n, n) / n.sum())[::-1]
    return np.sqrt(np.maximum(eigenvalues, 0)) * (np.arange(n.size) < min(*problem.dims, n.size - 1))


@PAPER.claim(
    "schatten-reduction",
    statement=r"""Weight decay on $L = M + 1$ factors of $Z$ amounts to $\frac L2 \Lambda \sum_i \sigma_i(Z)^{2/L}$,
    $\Lambda$ the geometric mean of the decays. The least value of the objective, the singular values $\sigma_i$ of
    $Z$ and those of every factor, $(\sigma_i^2 \lambda_H \prod_m \lambda_m)^{1/2L} \lambda^{-1/2}$, follow from one
    scalar problem for each of the largest singular values of the target, as many as the narrowest layer lets pass.""",
    source="global minimisers under squared error; own derivation",
    agreement=Identity(rtol=MINIMISED),
    controls=(
        "M/2 for L/2",
        "1/2 for L/2",
        "2/M for 2/L",
        "samples of a class for all",
        "n for sqrt(n)",
        "smallest root",
        "labels not centred",
    ),
)
def schatten_reduction(run: Run) -> Trial:
    """Minimise the objective directly, from many starts at three scales, and keep the lowest end point."""
    of = sizes(run)
    problems = _gallery(run, of)

    def read(problem: Problem, key: jax.Array) -> Array:
        best = minima(problem, key, of.starts).best()
        values = (sim.product_singular_values(best.factors, problem.model), _layers(best, problem))
        return components(best.losses, *values)

    def predict(solve: Callable[[Problem], Modes] = modes) -> Array:
        return np.concatenate([components(*solve(problem)) for problem in problems])

    def wrong(**changes: Any) -> Array:
        return predict(lambda problem: wrong_modes(problem, **({"targets": _targets(problem)} | changes)))

    return Trial(
        predict=predict,
        measure=lambda: np.concatenate([read(problem, key) for problem, key in with_keys(run, problems)]),
        controls={
            "M/2 for L/2": lambda: wrong(factor=lambda depth: depth / 2),
            "1/2 for L/2": lambda: wrong(factor=lambda depth: 0.5),
            "2/M for 2/L": lambda: wrong(power=lambda depth: 2 / depth),
            "samples of a class for all": lambda: wrong(samples=np.mean(of.balanced)),
            "n for sqrt(n)": lambda: predict(lambda problem: wrong_modes(problem, targets=_targets(problem) ** 2)),
            "smallest root": lambda: wrong(smallest_root=True),
            "labels not centred": lambda: predict(lambda problem: wrong_modes(problem, targets=_uncentred(problem))),
        },
        scale="largest",
    )


def _layers(best: sim.Minima, problem: Problem) -> Array:
    return np.asarray(sim.layer_singular_values(best.factors, problem.model))


@PAPER.claim(
    "global-minimum",
    statement=r"""From no start does minimisation end below $f^* = \sum_i \varphi_i(\sigma_i)$, and from some it
    ends there: the closed form is the global minimum, not one of the local ones.""",
    source="global minimisers under squared error",
    agreement=Bound(side="lower", tight=MINIMISED, rounding=1e-12),
    controls=("M/2 for L/2", "smallest root", "labels not centred"),
)
def global_minimum(run: Run) -> Trial:
    """Compare the end points of all starts, for every problem, with the one number."""
    of = sizes(run)
    problems = _gallery(run, of)

    def predict(solve: Callable[[Problem], Modes] = modes) -> Array:
        return np.repeat([solve(problem).loss for problem in problems], of.starts)

    def wrong(**changes: Any) -> Array:
        return predict(lambda problem: wrong_modes(problem, **({"targets": _targets(problem)} | changes)))

    return Trial(
        predict=predict,
        measure=lambda: np.concatenate(
            [minima(problem, key, of.starts).losses for problem, key in with_keys(run, problems)]
        ),
        controls={
            "M/2 for L/2": lambda: wrong(factor=lambda depth: depth / 2),
            "smallest root": lambda: wrong(smallest_root=True),
            "labels not centred": lambda: predict(lambda problem: wrong_modes(problem, targets=_uncentred(problem))),
        },
    )


@PAPER.claim(
    "m1-closed-form",
    statement=r"""With one layer and no bias, $c' = \sqrt{\lambda_H \lambda_1}$: $\sigma_k = \max(\sqrt{n_k} - N c',
    0)$, $|w_k|^2 = \sigma_k \sqrt{\lambda_H / \lambda_1}$, $|\bar h_k|^2 = \sigma_k \sqrt{\lambda_1 / \lambda_H} /
    n_k$. Balanced, with $c = K \sqrt{n \lambda_1 \lambda_H} \le 1$, the least value is $c (2 - c) / 2$.""",
    source="one linear layer under squared error",
    agreement=Identity(rtol=MINIMISED),
    controls=("N lost from the threshold", "decays exchanged", "n for sqrt(n)", "n lost from c"),
)
def m1_closed_form(run: Run) -> Trial:
    """Minimise a balanced and an imbalanced problem, and read lengths class by class."""
    of, rng = sizes(run), run.rng()
    problems = [draw(rng, class_sizes, of.dims(1), bias=False) for class_sizes in (of.imbalanced, of.balanced)]
    flat = problems[1]

    def read(problem: Problem, key: jax.Array) -> Array:
        best, shape = best_geometry(problem, key, of.starts)
        lengths = [np.diagonal(gram) for gram in (shape.classifier_gram, shape.feature_gram)]
        return components(sim.product_singular_values(best.factors, problem.model), *lengths, best.losses)

    def solve(problem: Problem) -> list[Array | float]:
        best = solution(problem)
        grams = np.diagonal(best.classifier_gram), np.diagonal(best.feature_gram)
        return [best.product_singular_values, *grams, best.loss]

    def by_hand(problem: Problem, samples: float, n: Array) -> Array:
        h, w = problem.feature_decay, problem.weight_decays[0]
        sigma = np.maximum(np.sqrt(n) - samples * np.sqrt(h * w), 0)
        loss = np.sum(np.sqrt(h * w) * sigma + (sigma - np.sqrt(n)) ** 2 / (2 * np.sum(problem.class_sizes)))
        return components(sigma, sigma * np.sqrt(h / w), sigma * np.sqrt(w / h) / n, loss)

    def predict(swap: bool = False) -> Array:
        n = np.mean(flat.class_sizes)
        c = of.num_classes * np.sqrt(n * flat.weight_decays[0] * flat.feature_decay)
        first, second = (
            p._replace(feature_decay=p.weight_decays[0], weight_decays=(p.feature_decay,)) if swap else p
            for p in problems
        )
        return components(*solve(first), *solve(second)[:-1], c * (2 - c) / 2)

    def without_n() -> Array:
        c = of.num_classes * np.sqrt(flat.weight_decays[0] * flat.feature_decay)
        return np.append(predict()[:-1], c * (2 - c) / 2)

    def wrong(samples: float, squared: bool = False) -> Array:
        parts = [np.array(p.class_sizes, dtype=float) ** (2 if squared else 1) for p in problems]
        return components(*(by_hand(p, samples, n) for p, n in zip(problems, parts, strict=True)))

    return Trial(
        predict=predict,
        measure=lambda: np.concatenate([read(problem, key) for problem, key in with_keys(run, problems)]),
        controls={
            "N lost from the threshold": lambda: wrong(1.0),
            "decays exchanged": lambda: predict(swap=True),
            "n for sqrt(n)": lambda: wrong(float(np.sum(flat.class_sizes)), squared=True),
            "n lost from c": without_n,
        },
        scale="largest",
    )


@PAPER.claim(
    "balanced-nc",
    statement=r"""Balanced classes collapse: every sample sits at its class mean, and at every depth both the Gram
    matrix of the class means and that of the layers above are multiples of $I$ without bias, of $I - J$ with a free
    one (a simplex), and of a projector when a layer is narrower than that.""",
    source="neural collapse of balanced classes under squared error",
    agreement=Identity(rtol=MINIMISED),
    controls=("simplex without bias", "orthogonal frame with bias", "one mode too many", "sum over samples for mean"),
)
def balanced_nc(run: Run) -> Trial:
    """Read all Gram matrices between the layers at the lowest of many minima; under a bottleneck, their spectra.

    Which subspace a bottleneck keeps is left open by the objective, hence spectra there: a matrix is a multiple of a
    projector exactly when its nonzero eigenvalues are equal.
    """
    of, rng = sizes(run), run.rng()
    half = of.num_classes // 2
    cases = [(of.dims(2), False), (of.dims(2), True), (of.dims(3), False), (of.dims(2, bottleneck=half), False)]
    problems = [draw(rng, of.balanced, dims, bias=bias) for dims, bias in cases]
    n, k = of.balanced[0], of.num_classes

    def read(problem: Problem, key: jax.Array) -> Array:
        best = minima(problem, key, of.starts).best()
        features, weights = best.factors.features, best.factors.weights
        found: list[Array] = []
        for m in range(len(weights)):
            shape = sim.geometry(features, problem.model.labels, sim.head_product(weights[m:]))
            grams = [np.asarray(shape.feature_gram), np.asarray(shape.classifier_gram)]
            if min(problem.dims) < k:
                grams = [np.linalg.eigvalsh(gram) for gram in grams]
            found += [*grams, np.asarray(shape.spread)]
            features = weights[m] @ features
        return components(*found)

    def frame(bias: bool) -> Array:
        return np.eye(k) - bias / k

    def predict(frame: Callable[[bool], Array] = frame, passing: int = half, per_class: float = float(n)) -> Array:
        found: list[Array] = []
        for problem in problems:
            strengths = solution(problem).layer_singular_values[:, 0] ** 2
            narrow = min(problem.dims) < k
            shape = (np.arange(k) >= k - passing).astype(float) if narrow else frame(problem.bias)
            for m in range(1, strengths.size):
                found += [np.prod(strengths[:m]) / per_class * shape, np.prod(strengths[m:]) * shape, np.zeros(1)]
        return components(*found)

    return Trial(
        predict=predict,
        measure=lambda: np.concatenate([read(problem, key) for problem, key in with_keys(run, problems)]),
        controls={
            "simplex without bias": lambda: predict(frame=lambda bias: frame(True)),
            "orthogonal frame with bias": lambda: predict(frame=lambda bias: frame(False)),
            "one mode too many": lambda: predict(passing=half + 1),
            "sum over samples for mean": lambda: predict(per_class=1.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "balancedness",
    statement=r"""At every stationary point, global minimum or not, $\lambda_{m+1} W_{m+1}^T W_{m+1} = \lambda_m W_m
    W_m^T$, with $\lambda_H H H^T$ in the first place, and $N \lambda_M W_M W_M^T = (Y - Z - b 1^T) Z^T$, $Z$ the
    outputs before the bias.""",
    source="stationarity of a deep linear head",
    agreement=Identity(rtol=1e-9),
    controls=("decays left out", "decays exchanged", "N left out", "not stationary"),
)
def balancedness(run: Run) -> Trial:
    """Compare quadratic forms of both sides in random directions, at minima of all kinds that are not zero."""
    of, rng = sizes(run), run.rng()
    problems = [draw(rng, of.imbalanced, of.dims(depth), bias=bias) for depth, bias in ((2, False), (2, True))]
    probes, kept = rng.standard_normal((of.num_classes + 1, 8)), 2 * of.starts // 3

    def forms(matrix: Any) -> Array:
        v = probes[: matrix.shape[-1]]
        return np.einsum("ip,...ij,jp->...p", v, np.asarray(matrix), v)

    def ratios(factors: sim.Factors, model: sim.FeatureModel) -> Array:
        decays = np.asarray(model.decays)
        spaces = [forms(a) / forms(b) for a, b in sim.neighbouring_products(factors, model)]
        undecayed = [r * lower / upper for r, lower, upper in zip(spaces, decays[:-1], decays[1:], strict=True)]
        last, residual = sim.last_layer_products(factors, model)
        samples = model.labels.shape[0]
        return np.stack([*undecayed, samples * decays[-1] * forms(residual) / forms(last)], axis=-1)

    def measure(stationary: bool = True) -> Array:
        found = []
        for problem, key in with_keys(run, problems):
            if stationary:
                ends = minima(problem, key, of.starts)
                lowest = np.argsort(ends.losses)[:kept]
                factors = jax.tree.map(lambda leaf, rows=lowest: leaf[rows], ends.factors)
            else:
                start = sim.random_factors(key, problem.model)
                factors = jax.tree.map(lambda leaf: np.tile(leaf, (kept, *[1] * leaf.ndim)), start)
            found.append(ratios(factors, problem.model))
        return np.stack(found)

    def predict(power: float = 1.0, with_n: bool = True) -> Array:
        rows = []
        for problem in problems:
            decays = np.array([problem.feature_decay, *problem.weight_decays])
            samples = np.sum(problem.class_sizes) if with_n else 1
            rows.append(np.append((decays[:-1] / decays[1:]) ** power, samples * decays[-1]))
        return np.broadcast_to(np.array(rows)[:, None, None], (len(problems), kept, 8, len(rows[0])))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "decays left out": lambda: predict(power=0.0),
            "decays exchanged": lambda: predict(power=-1.0),
            "N left out": lambda: predict(with_n=False),
        },
        counterexamples={"not stationary": lambda: measure(stationary=False)},
    )
