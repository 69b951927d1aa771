"""Real networks on handwritten digits: what free features predict for features that a backbone has to produce.

Whatever the backbone, the features that it produces are some features, so the minimum over free ones bounds its loss,
and a backbone that can move its training images at will attains it. Nothing is fitted: decays and class sizes say it
all. With weight decay on the backbone instead of the features the objective is another one; what remains are the
identities that stationarity of the head alone implies, and collapse as such.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from paper_checks.agreement import Bound, Equivalence, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.dang2023.paper import PAPER
from paper_checks.papers.dang2023.problems import Array, Problem, solution
from simulations import neural_collapse as sim


class Case(NamedTuple):
    """A backbone, "perceptron" or "convolutional", and the feature model that its head poses."""

    backbone: str
    problem: Problem


class Setup(NamedTuple):
    """Class sizes of equal sum, hidden widths of the perceptron, channels, feature dimension, iterations to look at."""

    balanced: tuple[int, ...]
    imbalanced: tuple[int, ...]
    hidden: tuple[int, ...]
    channels: tuple[int, int]
    features: int
    looks: tuple[int, ...]


LEAK = 0.1
"""Slope of units below zero. With none, in 7 of 13 runs at the standard scale all units ended dead on the images of a
class whose mode is just above its threshold: the backbone could not move these images, and the class stayed dead."""


def _setup(run: Run) -> Setup:
    return Setup(
        *run.size(
            "class sizes, widths, channels, features and iterations",
            quick=((12,) * 5, (24, 16, 10, 6, 4), (64,), (8, 8), 12, (0, 30, 100, 300)),
            standard=((20,) * 10, (60, 44, 30, 20, 14, 10, 7, 6, 5, 4), (128, 128), (16, 16), 24, (0, 30, 300, 800)),
            full=(
                (60,) * 10,
                (170, 120, 90, 70, 50, 40, 20, 16, 14, 10),
                (1024, 512),
                (64, 64),
                128,
                (0, 30, 1000, 3000),
            ),
        )
    )


def _cases(of: Setup) -> list[Case]:
    """Pose every combination that differs in kind; decays in units that make classes of average size comfortable."""
    n = float(np.mean(of.balanced))
    single, double = (of.features,), (of.features,) * 2

    def problem(class_sizes: tuple[int, ...], dims: tuple[int, ...], share: float, *, bias: bool = False) -> Problem:
        # share is the relative decay of a class of average size, and n lam_H the decay of every head layer
        depth = len(dims)
        level = (share * n / depth) ** (depth / (depth + 1)) / np.sum(class_sizes)
        head = float(level * n ** (1 / (depth + 1)))
        return Problem(class_sizes, dims, head / n, (head,) * depth, bias)

    return [
        Case("perceptron", problem(of.balanced, single, 0.02)),
        Case("perceptron", problem(of.imbalanced, single, 0.02)),
        Case("perceptron", problem(of.imbalanced, single, 0.42)),
        Case("perceptron", problem(of.balanced, double, 0.04)),
        Case("perceptron", problem(of.imbalanced, double, 0.02)),
        Case("perceptron", problem(of.balanced, single, 0.02, bias=True)),
        Case("convolutional", problem(of.balanced, single, 0.02)),
        Case("convolutional", problem(of.imbalanced, single, 0.02)),
    ]


def _network(case: Case, of: Setup, rng: np.random.Generator) -> sim.Network:
    dims = case.problem.dims
    backbone = (
        sim.perceptron((64, *of.hidden, dims[0]), rng=rng, negative_slope=LEAK)
        if case.backbone == "perceptron"
        else sim.convolutional(of.channels, (dims[0],), rng=rng, negative_slope=LEAK)
    )
    return sim.with_head(backbone, dims, len(case.problem.class_sizes), rng=rng, bias=case.problem.bias)


def _train(run: Run, of: Setup, case: Case, index: int) -> sim.Snapshot:
    """Minimise the objective with decay on head and features by L-BFGS, from a random network on random digits."""
    rng = run.rng(f"network {index}")
    data = sim.digits(case.problem.class_sizes, rng=rng)
    decays = sim.network_decays(head=case.problem.weight_decays, features=case.problem.feature_decay)
    return sim.train_lbfgs(_network(case, of, rng), data.images, data.labels, decays, steps=of.looks).snapshots


@PAPER.claim(
    "network-ufm-bound",
    statement=r"""With decay on the head and on the features, and none on the backbone, the training loss of any
    network is at least the minimum $f^*$ of the unconstrained feature model, at all times, and training attains it.""",
    source="unconstrained features as a bound for real networks",
    agreement=Bound(side="lower", tight=1e-3, rounding=1e-12),
    controls=("feature decay over n", "features without decay", "ten per cent higher"),
)
def network_ufm_bound(run: Run) -> Trial:
    """Train perceptrons and convolutional networks on digits, balanced and not, under one layer and two."""
    of = _setup(run)
    cases = _cases(of)
    n = float(np.mean(of.balanced))

    def predict(feature_decay: float = 1.0, factor: float = 1.0) -> Array:
        rows = [solution(p, feature_decay=p.feature_decay * feature_decay).loss for _, p in cases]
        return factor * np.repeat(np.array(rows)[:, None], len(of.looks), axis=1)

    return Trial(
        predict=predict,
        measure=lambda: np.stack([_train(run, of, case, i).loss for i, case in enumerate(cases)]),
        controls={
            "feature decay over n": lambda: predict(feature_decay=1 / n),
            "features without decay": lambda: predict(feature_decay=1e-12),
            "ten per cent higher": lambda: predict(factor=1.1),
        },
    )


@PAPER.claim(
    "network-ufm-geometry",
    statement=r"""A trained network whose units do not die has, with no free parameter, the loss, the singular values,
    and up to scale the Gram matrices of class means and head that its class sizes and decays prescribe, dead minority
    classes included.""",
    source="collapse of real networks to the minimiser of the feature model",
    agreement=Equivalence(margin=0.01, resolution=0.05),
    controls=(
        "feature decay over n",
        "simplex for frame and frame for simplex",
        "equal lengths",
        "no minority collapse",
    ),
)
def network_ufm_geometry(run: Run) -> Trial:
    """Compare the last look at every network of `network_ufm_bound`, of leaky units, with the minimiser.

    The margin is what some hundred iterations of L-BFGS leave: distances of Gram matrices fall below 2e-3 with them.
    """
    of = _setup(run)
    cases = _cases(of)
    k = len(of.balanced)

    def read(run: Run, case: Case, index: int) -> Array:
        last = _train(run, of, case, index)
        shape = last.geometry
        grams = [_unit(np.asarray(g[-1])) for g in (shape.feature_gram, shape.classifier_gram, shape.alignment)]
        scale = np.sqrt(max(case.problem.class_sizes))
        return components(last.loss[-1], np.asarray(last.singular_values[-1]) / scale, *grams)

    def expected(problem: Problem) -> list[Array]:
        best = solution(problem)
        product = best.logits - best.bias[:, None]
        grams = [_unit(gram) for gram in (best.feature_gram, best.classifier_gram, product)]
        values = best.product_singular_values / np.sqrt(max(problem.class_sizes))
        return [np.array([best.loss]), values, *grams]

    def predict(change: Callable[[Problem], list[Array]] = expected) -> Array:
        return np.concatenate([components(*change(case.problem)) for case in cases])

    def other_frame(problem: Problem) -> list[Array]:
        if problem.class_sizes != of.balanced:
            return expected(problem)
        frame = _unit(np.eye(k) - (not problem.bias) / k)
        return [*expected(problem)[:2], frame, frame, frame]

    def equal_lengths(problem: Problem) -> list[Array]:
        best = expected(problem)
        return [*best[:2], *(best[2:] if problem.bias else [np.eye(k) / np.sqrt(k)] * 3)]

    def all_alive(problem: Problem) -> list[Array]:
        loss, values, *grams = expected(problem)
        rank = k - problem.bias
        floor = np.where(np.arange(k) < rank, values[values > 0].min(), 0.0)
        return [loss, np.maximum(values, floor), *grams]

    return Trial(
        predict=predict,
        measure=lambda: np.concatenate([read(run, case, i) for i, case in enumerate(cases)]),
        controls={
            "feature decay over n": lambda: predict(
                lambda p: expected(p._replace(feature_decay=p.feature_decay / float(np.mean(of.balanced))))
            ),
            "simplex for frame and frame for simplex": lambda: predict(other_frame),
            "equal lengths": lambda: predict(equal_lengths),
            "no minority collapse": lambda: predict(all_alive),
        },
        scale=1.0,
    )


@PAPER.claim(
    "network-collapse",
    statement=r"""While such a network trains, the spread of features within classes, relative to that of class
    means, and the distance of the Gram matrix of class means from the predicted one both fall, by more than a
    factor of ten between an early look and the last.""",
    source="collapse of real networks on the way",
    agreement=Ordering("below"),
    controls=("the first look for the last",),
)
def network_collapse(run: Run) -> Trial:
    """Compare two looks at every network of balanced classes, on a decimal logarithm."""
    of = _setup(run)
    cases = [case for case in _cases(of) if case.problem.class_sizes == of.balanced]

    @cache
    def looks(index: int) -> tuple[Array, Array]:
        shots = _train(run, of, cases[index], index)
        biased = cases[index].problem.bias
        frame = shots.metrics.nc2_etf if biased else shots.metrics.nc2_orthogonal
        return np.asarray(shots.metrics.nc1_trace), np.asarray(frame)

    def measure(last: int = -1) -> Array:
        return np.log10([[look[last] / look[1] for look in looks(i)] for i in range(len(cases))])

    return Trial(
        predict=lambda: np.full((len(cases), 2), -1.0),
        measure=measure,
        counterexamples={"the first look for the last": lambda: measure(last=0)},
        scale=1.0,
    )


@PAPER.claim(
    "network-weight-decay-only",
    statement=r"""With decay on all weight matrices and none on the features, networks collapse all the same: the
    spread within classes vanishes, head and nearest class mean agree, the head maps class means to an orthogonal
    frame, and the two identities of stationary heads hold. The geometry of the feature model is not implied.""",
    source="plain weight decay; statements of stationarity and empirical collapse",
    agreement=Ordering("below"),
    controls=("without weight decay", "before training"),
)
def network_weight_decay_only(run: Run) -> Trial:
    """Train with Adam on the full batch, without bias in the head, under one layer and under two.

    Without decay the images are fitted as well, and classes agree, but the spread stays.
    """
    of = _setup(run)
    steps = run.size("steps of Adam", quick=6000, standard=6000, full=20_000)
    decay = 3e-3
    limits = (0.05, 0.01, 0.01, 0.05, 0.1, 0.1)

    def train(depth: int, decay: float) -> sim.Snapshot:
        rng = run.rng(f"depth {depth}")
        case = Case("perceptron", Problem(of.balanced, (of.features,) * depth, 0.0, (decay,) * depth))
        data = sim.digits(of.balanced, rng=rng)
        decays = sim.network_decays(head=case.problem.weight_decays, backbone=decay)
        network = _network(case, of, rng)
        return sim.train_adam(network, data.images, data.labels, decays, steps=(0, steps), learning_rate=3e-3).snapshots

    def measure(decay: float = decay, look: int = -1) -> Array:
        rows = []
        for depth in (1, 2):
            shots = train(depth, decay)
            alignment = np.asarray(shots.geometry.alignment[look])
            frame = np.linalg.norm(_unit(alignment) - _unit(np.eye(len(of.balanced))))
            metrics, balance = shots.metrics, np.asarray(shots.balance[look])
            # relative to nothing at zero decay, where neither identity says anything
            identities = [balance[0] if depth > 1 else 0.0, shots.last_layer[look]] if decay else [0.0, 0.0]
            rows.append([metrics.nc1_trace[look], 1 - shots.accuracy[look], metrics.nc4[look], frame, *identities])
        return np.array(rows, dtype=float)

    return Trial(
        predict=lambda: np.tile(limits, (2, 1)),
        measure=measure,
        counterexamples={
            "without weight decay": lambda: measure(decay=0.0),
            "before training": lambda: measure(look=0),
        },
        scale=1.0,
    )


def _unit(matrix: Array) -> Array:
    return matrix / np.linalg.norm(matrix)
