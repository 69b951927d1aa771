r"""What a rule of agreement is, and what all of them share.

A rule first *weighs* a measurement, which is where the statistics are done, and returns a judge that rates any
prediction against it: the theory's, the wrong ones of the negative controls, and the scaled ones that find the
resolution all face the same judge.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement.policy import LEVEL, MAX_SKEW_EFFECT, MIN_REPLICATES
from paper_checks.evidence import Exact, Limit, Measurement, Prediction, Samples, Sizes, Steps
from paper_checks.statistics import Interval, batch_means, mean_interval

Array = NDArray[np.float64]
Status = Literal["confirmed", "refuted", "inconclusive", "error"]


@dataclass(frozen=True)
class Judgement:
    """What a rule says of one prediction.

    ``statistic`` is the discrepancy at the worst component, relative to the problem's scale, and ``threshold`` what
    the rule allows there. `Equivalence` counts the half-width in; `Bound` gives the smallest slack; `Ordering` gives a
    margin in the statistic's own units, which must exceed the threshold; `ExactRational` counts the terms that differ;
    a fluctuation under `FiniteSize` is about the exponent.
    """

    status: Status
    statistic: float
    threshold: float
    message: str = ""
    predicted: Array | None = None
    measured: Array | None = None
    uncertainty: Array | None = None


Judge = Callable[[Any], Judgement]


class Agreement(ABC):
    """A rule of agreement.

    ``resolution`` is the largest relative resolution that a claim under the rule accepts (None: any), and
    ``measures_resolution`` says whether scaling the prediction makes sense for the rule.
    """

    resolution: float | None = None
    measures_resolution: ClassVar[bool] = True

    @abstractmethod
    def weigh(self, measurement: Measurement, scale: Array, *, level: float = LEVEL) -> Judge:
        """Reduce a measurement to a judge of predictions; ``scale`` is the natural size of each component."""

    @property
    def name(self) -> str:
        """The rule's name, as tables and results print it."""
        return type(self).__name__


def require_positive(rule: Agreement, *names: str) -> None:
    """Raise ValueError when one of the rule's numbers is given and not positive and finite."""
    for name in names:
        value = getattr(rule, name)
        if value is not None and not 0 < value < np.inf:
            raise ValueError(f"{rule.name} needs a positive {name}; got {value!r}")


def natural_scale(prediction: Prediction, scale: Any) -> Array:
    """Size of each component, against which relative deviations are taken.

    ``scale`` is None (each component's own size), "largest" (the largest component's), or positive numbers.

    Raises
    ------
    ValueError
        If a scale is not positive and finite; a vanishing component needs a natural scale that the claim names.
    """
    if isinstance(prediction, Exact):
        return np.ones(len(prediction.expressions))
    if isinstance(prediction, Limit):
        prediction = prediction.value
    elif isinstance(prediction, Steps):
        prediction = np.max(np.abs(prediction.values), axis=0)
    value = np.asarray(prediction, dtype=float)
    if scale is None:
        sizes = np.abs(value)
    elif isinstance(scale, str):
        if scale != "largest":
            raise ValueError(f"scale must be None, 'largest' or positive numbers; got {scale!r}")
        sizes = np.full(value.shape, np.max(np.abs(value)))
    else:
        sizes = np.broadcast_to(np.asarray(scale, dtype=float), value.shape)
    if not np.all(np.isfinite(sizes)):
        raise ValueError(f"scale must be finite; got {scale!r}")
    if not np.all(sizes > 0):
        raise ValueError("scale must be positive where the prediction vanishes: the trial must name a natural scale")
    return sizes


def enough_replicates(replicates: int, rule: Agreement) -> None:
    """Raise ValueError when there are too few replicates to judge."""
    if replicates < MIN_REPLICATES:
        raise ValueError(f"{rule.name} needs at least {MIN_REPLICATES} replicates; got {replicates}")


def plain_values(measurement: Measurement, rule: Agreement) -> Array:
    """Return a measurement without structure as an array, or raise ValueError."""
    if isinstance(measurement, Samples | Steps | Sizes | Exact):
        raise ValueError(f"{rule.name} needs a plain array; got {type(measurement).__name__}")
    return np.asarray(measurement, dtype=float)


def replicates(
    measurement: Measurement, rule: Agreement, *, batches: int | None = None
) -> tuple[Array, tuple[int, ...]]:
    """Return `Samples` as (replicates, components), batched when asked, and the shape of the components."""
    if not isinstance(measurement, Samples):
        raise ValueError(f"{rule.name} needs Samples; got {type(measurement).__name__}")
    values = np.asarray(measurement.values, dtype=float)
    flat = values.reshape(values.shape[0], -1)
    if batches is not None:
        if batches > flat.shape[0]:
            raise ValueError(
                f"{rule.name} needs at least as many replicates as batches, {batches}; got {flat.shape[0]}"
            )
        flat = batch_means(flat, batches)
    enough_replicates(flat.shape[0], rule)
    return flat, values.shape[1:]


def means_and_noise(
    measurement: Measurement, rule: Agreement, level: float
) -> tuple[Array, Array, Interval | None, tuple[int, ...]]:
    """Means and half-widths, flat; a plain array has no noise."""
    if isinstance(measurement, Samples):
        samples, shape = replicates(measurement, rule)
        interval = mean_interval(samples, level)
        return interval.mean, interval.half_width, interval, shape
    values = plain_values(measurement, rule)
    return values.reshape(-1), np.zeros(values.size), None, values.shape


def matching(prediction: Any, shape: tuple[int, ...], rule: Agreement) -> Array:
    """Return a plain prediction of the measurement's shape, or raise ValueError."""
    if isinstance(prediction, Samples | Steps | Sizes | Limit | Exact):
        raise ValueError(f"{rule.name} needs a plain prediction; got {type(prediction).__name__}")
    array = np.asarray(prediction, dtype=float)
    if array.shape != shape:
        raise ValueError(f"the prediction has shape {array.shape}, the measurement {shape}")
    return array


def flat_scale(scale: Array, shape: tuple[int, ...]) -> Array:
    """Flatten a natural scale, which has the prediction's shape, or raise ValueError when the measurement's differs."""
    if scale.shape != shape:
        raise ValueError(f"the prediction has shape {scale.shape}, the measurement {shape}")
    return scale.reshape(-1)


def place(index: int, shape: tuple[int, ...]) -> str:
    """Name a component by its index in the measurement."""
    where = tuple(int(i) for i in np.unravel_index(index, shape)) if shape else ()
    return f"component {where}" if where else "the only component"


def at_worst(deviation: Array, status: str) -> str:
    """Say where and by how much a refuted prediction is off."""
    if status == "confirmed":
        return ""
    return f"off by {np.max(deviation):.3g} at {place(int(np.argmax(deviation)), deviation.shape)}"


def skewed(interval: Interval) -> str:
    """Say that skewness forbids a verdict."""
    return f"too skewed for its replicates (tail effect {interval.skew_effect:.2g}, at most {MAX_SKEW_EFFECT:g})"
