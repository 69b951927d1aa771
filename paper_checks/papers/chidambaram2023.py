"""Chidambaram and Ge 2023: what temperature scaling cannot mend where classes overlap, in a model solved exactly."""

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import FiniteSize, Identity, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Samples, Sizes
from simulations import generalization as sim
from theory import generalization

PAPER = Paper(
    key="chidambaram2023",
    title="On the limitations of temperature scaling for distributions with overlaps",
    authors="Muthu Chidambaram, Rong Ge",
    year=2023,
    arxiv="2306.00740",
    wing="generalization",
)

Array = NDArray[np.float64]

PROBLEMS = ((0.25, 4), (0.5, 4), (1.0, 4))  # overlap, classes: whole cells of the grid
OVERLAPS, CLASSES = (np.array(part) for part in zip(*PROBLEMS, strict=True))
CELLS = 128


def _fit(run: Run, n: int, replicates: int, overlap: float, k: int) -> sim.CalibratedFit:
    return sim.tune_nearest_neighbour(
        run.keys(replicates, f"{n} {overlap} {k}"), n=n, overlap=overlap, num_classes=k, cells=CELLS
    )


def _grow(run: Run, *fields: str) -> Sizes:
    """Fit at sizes that double: (sizes, replicates, fields, problems)."""
    sizes = run.size("points", quick=(64, 128, 256, 512), standard=(64, 128, 256, 512), full=(256, 512, 1024, 2048))
    replicates = run.size("training sets", quick=800, standard=4000, full=50_000)
    found = []
    for n in sizes:
        fits = [_fit(run, n, replicates, *problem) for problem in PROBLEMS]
        found.append(np.stack([[getattr(fit, field) for field in fields] for fit in fits], axis=-1).transpose(1, 0, 2))
    return Sizes(np.array(sizes), np.array(found))


def _least(overlap: Array = OVERLAPS, k: Array = CLASSES) -> Array:
    return np.asarray(generalization.temperature_scaled_kl(overlap, k))


@PAPER.claim(
    "temperature-limit",
    statement=r"""Where a share $a$ of the points has either of two labels, a classifier that interpolates $n$ of them
    keeps, at the best temperature, a divergence of $-(1 - \frac a2) \ln(1 - \frac a2) - \frac a2 \ln\frac{a/2}{k - 1} -
    a \ln 2$ from the truth as $n \to \infty$, reached at the confidence $1 - a/2$.""",
    source="failure of temperature scaling; model and formula derived here",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("without k - 1", "confidence 1 - a", "a for a / 2", "no entropy of the coin"),
)
def temperature_limit(run: Run) -> Trial:
    """Fit nearest neighbours on drawn points, and search for the best temperature, at sizes that double."""

    def predict(kl: Array | None = None, confidence: Array | None = None) -> Array:
        return np.array([_least() if kl is None else kl, 1 - OVERLAPS / 2 if confidence is None else confidence])

    def at(confidence: Array) -> Array:
        return np.asarray(generalization.temperature_scaled_kl(OVERLAPS, CLASSES, confidence))

    return Trial(
        predict=predict,
        measure=lambda: _grow(run, "divergence", "confidence"),
        controls={
            "without k - 1": lambda: predict(_least() - OVERLAPS / 2 * np.log(CLASSES - 1)),
            "confidence 1 - a": lambda: predict(at(np.clip(1 - OVERLAPS, 1e-3, 1 - 1e-3)), 1 - OVERLAPS),
            "a for a / 2": lambda: predict(_least(np.minimum(2 * OVERLAPS, 1))),
            "no entropy of the coin": lambda: predict(_least() + OVERLAPS * np.log(2)),
        },
        scale=1.0,
    )


@PAPER.claim(
    "fixed-confidence",
    statement=r"""At any confidence $c$ the divergence tends to $-(1 - \frac a2) \ln c - \frac a2 \ln\frac{1-c}{k-1} - a
    \ln 2$, and the accuracy to $1 - a/2$.""",
    source="model and formula derived here",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("1 - a for 1 - a / 2", "k for k - 1", "best confidence", "accuracy 1 - a"),
)
def fixed_confidence(run: Run) -> Trial:
    """Fit nearest neighbours on drawn points, at a confidence of 0.9, at sizes that double."""

    def predict(kl: Array | None = None, accuracy: Array | None = None) -> Array:
        right = np.asarray(generalization.temperature_scaled_kl(OVERLAPS, CLASSES, 0.9))
        return np.array([right if kl is None else kl, 1 - OVERLAPS / 2 if accuracy is None else accuracy])

    def altered(right: Array, classes: Array) -> Array:
        return -right * np.log(0.9) - OVERLAPS / 2 * np.log(0.1 / classes) - OVERLAPS * np.log(2)

    return Trial(
        predict=predict,
        measure=lambda: _grow(run, "at_nine_tenths", "accuracy"),
        controls={
            "1 - a for 1 - a / 2": lambda: predict(altered(1 - OVERLAPS, CLASSES - 1)),
            "k for k - 1": lambda: predict(altered(1 - OVERLAPS / 2, CLASSES)),
            "best confidence": lambda: predict(_least()),
            "accuracy 1 - a": lambda: predict(accuracy=1 - OVERLAPS),
        },
        scale=1.0,
    )


@PAPER.claim(
    "uniform",
    statement=r"""A prediction that says nothing has the divergence $\ln k - a \ln 2$.""",
    source="model and formula derived here",
    agreement=Identity(rtol=1e-12),
    controls=("ln k", "ln k - a", "ln(k - 1) - a ln 2"),
)
def uniform(run: Run) -> Trial:
    """Average the divergence of the uniform prediction over midpoints, of which a known share is in the overlap."""
    classes = run.size("classes", quick=(2, 4, 10), standard=(2, 4, 10, 40), full=(2, 4, 10, 40, 200))
    overlaps = (0.0, 0.25, 1.0)

    def measure() -> Array:
        return np.array(
            [[sim.uniform_divergence(overlap=a, num_classes=k, cells=CELLS) for a in overlaps] for k in classes]
        )

    a, k = np.array(overlaps), np.array(classes)[:, None]
    return Trial(
        predict=lambda: np.asarray(generalization.uniform_prediction_kl(a, k)),
        measure=measure,
        controls={
            "ln k": lambda: np.log(k) + 0 * a,
            "ln k - a": lambda: np.log(k) - a,
            "ln(k - 1) - a ln 2": lambda: np.log(np.maximum(k - 1, 1)) - a * np.log(2),
        },
        scale=1.0,
    )


@PAPER.claim(
    "calibrated-and-wrong",
    statement=r"""At its best temperature the top label is calibrated, right as often as its confidence says, and yet
    the divergence stays: at more than a tenth, a tenth higher with twice as many classes.""",
    source="failure that calibration of the top label does not show",
    agreement=Ordering(side="above"),
    controls=("little overlap", "divergence above 1", "trebles"),
)
def calibrated_and_wrong(run: Run) -> Trial:
    """Compare confidence with accuracy, and divergences of 4 and of 8 classes on as many points a class."""
    replicates = run.size("training sets", quick=1600, standard=4000, full=20_000)
    n = run.size("points a class", quick=64, standard=64, full=512)

    def measure(overlap: float = 0.5) -> Samples:
        few, many = (_fit(run, n * k, replicates, overlap, k) for k in (4, 8))
        # the search ends where confidence and accuracy agree to its rounding
        off = np.round(np.abs(few.confidence - few.accuracy), 6)
        return Samples(
            np.column_stack([1e-3 - off, np.log(few.divergence), np.log(many.divergence) - np.log(few.divergence)])
        )

    def threshold(kl: float = 0.1, growth: float = 1.1) -> Array:
        return np.array([0.0, np.log(kl), np.log(growth)])

    return Trial(
        predict=threshold,
        measure=measure,
        controls={
            "divergence above 1": lambda: threshold(kl=1.0),
            "trebles": lambda: threshold(growth=3.0),
        },
        counterexamples={"little overlap": lambda: measure(overlap=1 / 32)},
        scale=1.0,
    )


@PAPER.claim(
    "averaging",
    statement=r"""What one temperature cannot do, averaging over more and more neighbours does: their frequencies of
    labels fall below the best interpolating classifier, and further with more points.""",
    source="training-time remedy, in a model",
    agreement=Ordering(side="above"),
    controls=("a hundredth of it", "ten times lower"),
)
def averaging(run: Run) -> Trial:
    """Average 11 of 250 neighbours, then 41 of 2500; compare logarithms of divergences."""
    replicates = run.size("training sets", quick=800, standard=2000, full=4000)
    overlap, k = 0.25, 4

    def average(n: int, neighbours: int) -> Array:
        keys = run.keys(replicates, f"{n} {neighbours}")
        return np.log(
            sim.average_neighbours(keys, n=n, overlap=overlap, num_classes=k, cells=64, neighbours=neighbours)
        )

    def measure() -> Samples:
        coarse, fine = average(250, 11), average(2500, 41)
        return Samples(np.column_stack([-fine, coarse - fine]))

    def threshold(share: float = 0.5, gain: float = 1.0) -> Array:
        return np.array([-np.log(share * generalization.temperature_scaled_kl(overlap, k)), np.log(gain)])

    return Trial(
        predict=threshold,
        measure=measure,
        controls={"a hundredth of it": lambda: threshold(0.01), "ten times lower": lambda: threshold(gain=10.0)},
        scale=1.0,
    )
