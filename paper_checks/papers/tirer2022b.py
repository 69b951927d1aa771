"""Tirer and Bruna 2022: two layers over free features, with and without a ReLU between them."""

from typing import NamedTuple

import numpy as np

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, components
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

PAPER = Paper(
    key="tirer2022b",
    title="Extended Unconstrained Features Model for Exploring Deep Neural Collapse",
    authors="Tom Tirer, Joan Bruna",
    year=2022,
    arxiv="2202.08087",
    wing="neural_collapse",
)

STATIONARY = 1e-8  # gradients of 1e-15 over curvatures of 1e-4 of the largest, times 1e3
SCALES = (0.3, 1.0)  # of the starts; smaller ones fall into zero, a local minimum for two layers


class _Problem(NamedTuple):
    """Sizes, and rows of decays (lam_H, lam_1, lam_2)."""

    num_classes: int
    samples_per_class: int
    widths: tuple[int, int]
    decays: Array

    def model(self, *, relu: bool) -> sim.FeatureModel:
        return sim.feature_model(
            [self.samples_per_class] * self.num_classes,
            dims=self.widths,
            weight_decays=self.decays[0, 1:],
            feature_decay=self.decays[0, 0],
            relu=relu,
        )

    def minimum(self, decays: Array, *, bias: bool = False) -> nc.UFMMinimizer:
        return nc.ufm_mse_minimizer(
            [self.samples_per_class] * self.num_classes,
            weight_decays=decays[1:],
            feature_decay=decays[0],
            dims=self.widths,
            bias=bias,
        )


def _problem(run: Run) -> _Problem:
    """Draw unequal decays between a tenth and six tenths of what would make zero the best choice.

    In units of b = 2 N sqrt(N lam_H lam_1 lam_2) / n zero wins from 1/2 on; b is drawn from 0.05 to 0.3.
    """
    k, n, d = run.size("classes, samples, dimension", quick=(3, 3, 4), standard=(4, 5, 6), full=(10, 50, 16))
    rng = run.rng()
    count, samples = run.size("decays", quick=4, standard=6, full=6), k * n
    b = rng.uniform(0.05, 0.3, count)
    product = (b * n / (2 * samples)) ** 2 / samples
    shares = np.exp(rng.uniform(-0.7, 0.7, (count, 3)))
    decays = shares * (product / shares.prod(axis=1))[:, None] ** (1 / 3)
    return _Problem(k, n, (d, d + 1), decays)


def _starts(run: Run) -> int:
    return run.size("starts at each scale", quick=16, standard=24, full=24)


def _minima(run: Run, problem: _Problem, *, relu: bool) -> sim.Minima:
    return sim.minimise(problem.model(relu=relu), run.key(), scales=SCALES, starts=_starts(run), decays=problem.decays)


@PAPER.claim(
    "extended",
    statement=r"""Two linear layers over free features, balanced classes, no bias: at the minimum all singular values of
    $W_2 W_1 H$ are $t \sqrt n$, $t$ the largest root of $t^{1/3} (1 - t) = N \Lambda n^{-2/3}$ with $\Lambda^3 =
    \lambda_H \lambda_1 \lambda_2$, and squared singular values of a factor are in inverse proportion to its decay.""",
    source="theorem on two linear layers; derived with the scalar problem of each mode",
    agreement=Identity(rtol=STATIONARY),
    controls=("one layer of their product", "decay of features times n", "first layer's decay for all", "bias free"),
)
def extended(run: Run) -> Trial:
    """Minimise from random starts, and compare loss, singular values of the product and of each factor."""
    problem = _problem(run)

    def measure() -> Array:
        best = _minima(run, problem, relu=False).best()
        model = problem.model(relu=False)
        product = sim.product_singular_values(best.factors, model)
        return components(best.losses, product, sim.layer_singular_values(best.factors, model))

    def gather(decays: Array, *, bias: bool = False) -> Array:
        found = [problem.minimum(row, bias=bias) for row in decays]
        return components(
            *(
                np.array([getattr(minimum, name) for minimum in found])
                for name in ("loss", "product_singular_values", "layer_singular_values")
            )
        )

    def shallow() -> Array:
        k, samples = problem.num_classes, problem.num_classes * problem.samples_per_class
        rows = []
        for lam_h, first, second in problem.decays:
            sigma = nc.mode_singular_value(
                np.sqrt(problem.samples_per_class), num_samples=samples, decays=[lam_h, first * second]
            )
            rows.append(np.full(k, sigma))
        correct = gather(problem.decays)
        correct[len(rows) : len(rows) * (k + 1)] = np.concatenate(rows)
        return correct

    return Trial(
        predict=lambda: gather(problem.decays),
        measure=measure,
        controls={
            "one layer of their product": shallow,
            "decay of features times n": lambda: gather(problem.decays * [problem.samples_per_class, 1, 1]),
            "first layer's decay for all": lambda: gather(np.repeat(problem.decays[:, 1:2], 3, axis=1)),
            "bias free": lambda: gather(problem.decays, bias=True),
        },
        scale="largest",
    )


@PAPER.claim(
    "relu-bound",
    statement=r"""A ReLU between the two layers never lowers the minimum: no stationary point found lies below the value
    of the linear model, and some attain it.""",
    source="theorem on the nonlinear extension; here empirical",
    agreement=Bound(side="lower", tight=1e-9, rounding=1e-11),
    controls=("decay of features times n", "decays a hundredth lower", "loss not halved"),
)
def relu_bound(run: Run) -> Trial:
    """Minimise the ReLU model from random starts, and keep all end points, whatever they are.

    Whether a ReLU can ever lower the nuclear-norm cost of a product was not derived: "never" is what was seen.
    """
    problem = _problem(run)
    linear = np.array([problem.minimum(row).loss for row in problem.decays])

    def measure() -> Array:
        return np.asarray(_minima(run, problem, relu=True).losses)

    def predict(change: Array | float = 1.0, factor: float = 1.0) -> Array:
        values = factor * np.array([problem.minimum(row).loss for row in problem.decays * change])
        return np.repeat(values[:, None], len(SCALES) * _starts(run), axis=1)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "decay of features times n": lambda: predict(np.array([problem.samples_per_class, 1.0, 1.0])),
            "decays a hundredth lower": lambda: predict(0.99),
            "loss not halved": lambda: predict(factor=2.0),
        },
        scale=np.repeat(linear[:, None], len(SCALES) * _starts(run), axis=1),
    )


@PAPER.claim(
    "relu-attained",
    statement=r"""With a ReLU between the layers the minimum is that of the linear model, and so are the singular values
    of the output: a nonnegative orthogonal frame passes the ReLU unchanged.""",
    source="theorem on the nonlinear extension; attainment",
    agreement=Identity(rtol=STATIONARY),
    controls=("half of the hidden energy lost", "decay of features times n", "first layer's decay for all"),
)
def relu_attained(run: Run) -> Trial:
    """Take the best end point for each row of decays; two starts of three get there, and there are 32 of them."""
    problem = _problem(run)

    def measure() -> Array:
        model = problem.model(relu=True)
        best = _minima(run, problem, relu=True).best()
        return components(best.losses, sim.product_singular_values(best.factors, model))

    def gather(decays: Array) -> Array:
        found = [problem.minimum(row) for row in decays]
        return components(
            np.array([minimum.loss for minimum in found]),
            np.array([minimum.product_singular_values for minimum in found]),
        )

    return Trial(
        predict=lambda: gather(problem.decays),
        measure=measure,
        controls={
            # a ReLU that halves the squared norm of what passes it doubles the cost of features and first layer
            "half of the hidden energy lost": lambda: gather(problem.decays * [2.0, 1.0, 1.0]),
            "decay of features times n": lambda: gather(problem.decays * [problem.samples_per_class, 1.0, 1.0]),
            "first layer's decay for all": lambda: gather(np.repeat(problem.decays[:, 1:2], 3, axis=1)),
        },
        scale="largest",
    )
