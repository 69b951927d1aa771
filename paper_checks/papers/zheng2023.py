"""Zheng et al. 2023: generative against discriminative classifiers, in a Gaussian model that is solved exactly.

Two classes differ by their means. One classifier uses the class mean and knows that noise is isotropic, the other finds
its weights by least squares. The test error of trained weights is exact, so that only training sets are random.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import FiniteSize, MonteCarlo, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Samples, Sizes
from simulations import generalization as sim
from theory import generalization

PAPER = Paper(
    key="zheng2023",
    title="Revisiting discriminative vs. generative classifiers: theory and implications",
    authors="Chenyu Zheng, Guoqiang Wu, Fan Bao, Yue Cao, Chongxuan Li, Jun Zhu",
    year=2023,
    arxiv="2302.02334",
    wing="generalization",
)

Array = NDArray[np.float64]

DELTAS = np.array([1.0, 1.5])
GAMMA = 0.4


def _train(run: Run, d: int, n: int, replicates: int, delta: float) -> sim.ClassifierErrors:
    """Train in d dimensions, the signal spread evenly over them."""
    keys = run.keys(replicates, f"{d} {delta}")
    return sim.train_linear_classifiers(keys, n, np.full(d, delta / np.sqrt(d)), np.ones(d))


def _grow(run: Run, which: str) -> Sizes:
    """Train at sizes in exact proportion, 5 points for 2 dimensions."""
    dimensions = run.size("d", quick=[6, 12, 24, 48], standard=[10, 20, 40, 80], full=[20, 40, 80, 160, 320])
    replicates = run.size("replicates", quick=7000, standard=12_000, full=200_000)
    samples = [
        np.column_stack([getattr(_train(run, d, 5 * d // 2, replicates, delta), which) for delta in DELTAS])
        for d in dimensions
    ]
    return Sizes(dimensions, np.array(samples))


def _normal_tail(margin: Array) -> Array:
    # without dimensions the error is that of the best classifier
    return np.asarray(generalization.generative_error(margin, 0.0))


@PAPER.claim(
    "class-mean",
    statement=r"""At any $n$ and $d$ the classifier along the mean of $Y_i X_i$ errs as often as one noncentral
    chi-square variable of $d$ degrees of freedom is below another, with centres $(\sqrt n \pm 1)^2 \Delta^2 / 2$.""",
    source="derived; exact error of the generative classifier",
    agreement=MonteCarlo(resolution=0.01),
    controls=("training error", "best classifier", "one class of points", "twice the dimension"),
)
def class_mean(run: Run) -> Trial:
    """Train on many sets of one size, with exact test errors."""
    d, n = 12, 30
    replicates = run.size("replicates", quick=8000, standard=60_000, full=10**6)

    def predict(d: int = d, n: int = n) -> Array:
        return np.array(
            [generalization.class_mean_errors(n, d, mean_norm=delta, sigma=1.0).population for delta in DELTAS]
        )

    def training() -> Array:
        return np.array(
            [generalization.class_mean_errors(n, d, mean_norm=delta, sigma=1.0).training for delta in DELTAS]
        )

    return Trial(
        predict=predict,
        measure=lambda: Samples(np.column_stack([_train(run, d, n, replicates, delta).class_mean for delta in DELTAS])),
        controls={
            "training error": training,
            "best classifier": lambda: _normal_tail(DELTAS),
            "one class of points": lambda: predict(n=n // 2),
            "twice the dimension": lambda: predict(d=2 * d),
        },
    )


WRONG_GENERATIVE: dict[str, Callable[[], Array]] = {
    "best classifier": lambda: _normal_tail(DELTAS),
    "gamma / Delta": lambda: _normal_tail(DELTAS / np.sqrt(1 + 0.4 / DELTAS)),
    "no root": lambda: _normal_tail(DELTAS / (1 + 0.4 / DELTAS**2)),
    "least squares": lambda: np.asarray(generalization.discriminative_error(DELTAS, 0.4)),
}


@PAPER.claim(
    "generative-error",
    statement=r"""As $n$ and $d = \gamma n$ grow, the error of the class mean tends to
    $\Phi(-\Delta / \sqrt{1 + \gamma / \Delta^2})$, at $1/d$.""",
    source="derived; only the limit is tested, as the correction is a thousandth",
    agreement=FiniteSize(exponent=1, resolution=0.03, of="limit"),
    controls=tuple(WRONG_GENERATIVE),
)
def generative_error(run: Run) -> Trial:
    """Train at four sizes in exact proportion, and extrapolate."""
    return Trial(
        predict=lambda: np.asarray(generalization.generative_error(DELTAS, GAMMA)),
        measure=lambda: _grow(run, "class_mean"),
        controls=WRONG_GENERATIVE,
    )


WRONG_DISCRIMINATIVE: dict[str, Callable[[], Array]] = {
    "1 - gamma for its root": lambda: _normal_tail(DELTAS * 0.6 / np.sqrt(1 + 0.4 / DELTAS**2)),
    "factor in the other root": lambda: _normal_tail(DELTAS / np.sqrt(1 + 0.4 / DELTAS**2 / 0.6)),
    "noise left out": lambda: _normal_tail(DELTAS * np.sqrt(0.6)),
    "class mean": lambda: np.asarray(generalization.generative_error(DELTAS, 0.4)),
}


@PAPER.claim(
    "discriminative-error",
    statement=r"""The error of least squares tends to $\Phi(-\Delta \sqrt{1 - \gamma} / \sqrt{1 + \gamma / \Delta^2})$,
    for $\gamma < 1$, at $1/n$.""",
    source="derived; only the limit is tested",
    agreement=FiniteSize(exponent=1, resolution=0.03, of="limit"),
    controls=tuple(WRONG_DISCRIMINATIVE),
)
def discriminative_error(run: Run) -> Trial:
    """Fit weights at four sizes in exact proportion, and extrapolate."""
    return Trial(
        predict=lambda: np.asarray(generalization.discriminative_error(DELTAS, GAMMA)),
        measure=lambda: _grow(run, "least_squares"),
        controls=WRONG_DISCRIMINATIVE,
    )


@PAPER.claim(
    "generative-ahead",
    statement=r"""At every $\gamma$ in $(0, 1)$ the class mean errs less often than least squares, as long as the noise
    is isotropic, which only the former takes for granted.""",
    source="consequence of the two limits",
    agreement=Ordering(side="above"),
    controls=("ahead by a third", "noise in a few features"),
)
def generative_ahead(run: Run) -> Trial:
    """Train both on the same points; then on points whose noise is strong in the first features."""
    replicates = run.size("replicates", quick=4000, standard=16_000, full=100_000)
    n, dimensions = 50, (5, 20, 40)

    def measure(uneven: bool = False) -> Samples:
        ahead = []
        for d in dimensions:
            scales = np.where(uneven & (np.arange(d) < d // 5), 10.0, 1.0)
            keys = run.keys(replicates, f"{d}")
            found = sim.train_linear_classifiers(keys, n, np.full(d, 1.5 / np.sqrt(d)), scales)
            ahead.append(found.least_squares - found.class_mean)
        return Samples(np.column_stack(ahead))

    def threshold(gap: float) -> Array:
        return np.full(len(dimensions), gap)

    return Trial(
        predict=lambda: threshold(0.0),
        measure=measure,
        controls={"ahead by a third": lambda: threshold(1 / 3)},
        counterexamples={"noise in a few features": partial(measure, uneven=True)},
        scale=1.0,
    )
