"""Rules for values known up to noise: means over replicates, margins, bounds and orderings."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from scipy import stats

from paper_checks.agreement.base import (
    Agreement,
    Array,
    Judge,
    Judgement,
    Status,
    flat_scale,
    matching,
    means_and_noise,
    place,
    replicates,
    require_positive,
    skewed,
)
from paper_checks.agreement.policy import LEVEL, MAX_SKEW_EFFECT, ROUNDING
from paper_checks.evidence import Measurement
from paper_checks.statistics import holm_rejections, mean_interval, two_sided_quantiles


@dataclass(frozen=True)
class MonteCarlo(Agreement):
    """A mean over replicates equals the prediction, exactly at the simulated size.

    Student-t intervals, Holm over components. ``batches`` averages consecutive replicates that are correlated into
    that many batch means first. A component that is the same in every replicate may be a rare event that never
    happened: such a component confirms, but it refutes nothing.
    """

    resolution: float | None = None
    batches: int | None = None

    def __post_init__(self) -> None:
        require_positive(self, "resolution", "batches")

    def weigh(self, measurement: Measurement, scale: Array, *, level: float = LEVEL) -> Judge:
        """Return the judge of predicted means."""
        samples, shape = replicates(measurement, self, batches=self.batches)
        interval = mean_interval(samples, level)
        t_unit = two_sided_quantiles(level, samples.shape[1], samples.shape[0] - 1)[0]
        size = flat_scale(scale, shape)
        allowed = interval.half_width + ROUNDING * size
        relative_width = interval.half_width / size
        constant = np.all(samples == samples[0], axis=0)

        def judge(prediction: Any) -> Judgement:
            predicted = matching(prediction, shape, self).reshape(-1)
            deviation = np.abs(interval.mean - predicted)
            p_values = np.asarray(2 * stats.t.sf(t_unit * deviation / allowed, samples.shape[0] - 1))
            rejected = int((holm_rejections(p_values, level) & ~constant).sum())
            unjudged = np.flatnonzero(constant & (deviation > allowed))
            worst = int(np.argmax(deviation / allowed))
            status: Status = "confirmed"
            message = ""
            if interval.skew_effect > MAX_SKEW_EFFECT:
                status, message = "inconclusive", skewed(interval)
            elif rejected:
                status = "refuted"
                message = f"{rejected} of {deviation.size} components deviate, worst at {place(worst, shape)}"
            elif unjudged.size:
                status = "inconclusive"
                message = f"no replicate differs at {place(int(unjudged[0]), shape)}, so its noise is unknown"
            elif self.resolution is not None and np.max(relative_width) > self.resolution:
                status = "inconclusive"
                message = f"interval {np.max(relative_width):.2g} wider than the accepted {self.resolution:.2g}"
            return Judgement(
                status,
                float(deviation[worst] / size[worst]),
                float(allowed[worst] / size[worst]),
                message,
                predicted.reshape(shape),
                interval.mean.reshape(shape),
                interval.half_width.reshape(shape),
            )

        return judge


@dataclass(frozen=True)
class Equivalence(Agreement):
    """An approximation holds within a known ``margin``, relative to scale: two one-sided tests."""

    margin: float
    resolution: float | None = None

    def __post_init__(self) -> None:
        require_positive(self, "margin", "resolution")

    def weigh(self, measurement: Measurement, scale: Array, *, level: float = LEVEL) -> Judge:
        """Return the judge of predicted values; a plain array is taken as free of noise."""
        mean, half_width, interval, shape = means_and_noise(measurement, self, level)
        size = flat_scale(scale, shape)
        noise = half_width / size

        def judge(prediction: Any) -> Judgement:
            predicted = matching(prediction, shape, self).reshape(-1)
            deviation = np.abs(mean - predicted) / size
            worst = int(np.argmax(deviation + noise))
            status: Status = "inconclusive"
            message = f"interval crosses the margin at {place(worst, shape)}"
            if interval is not None and interval.skew_effect > MAX_SKEW_EFFECT:
                message = skewed(interval)
            elif np.all(deviation + noise <= self.margin):
                status, message = "confirmed", ""
            elif np.any(deviation - noise > self.margin):
                worst = int(np.argmax(deviation - noise))
                status, message = "refuted", f"outside the margin at {place(worst, shape)}"
            return Judgement(
                status, float(deviation[worst] + noise[worst]), self.margin, message, predicted, mean, half_width
            )

        return judge


@dataclass(frozen=True)
class Bound(Agreement):
    """No instance violates the predicted bound beyond its interval and ``rounding``; ``tight`` asks for attainment.

    The measurement holds one value an instance, as a plain array or as `Samples`; the resolution is the smallest
    measured slack.
    """

    side: Literal["upper", "lower"] = "upper"
    tight: float | None = None
    rounding: float = 1e-12
    measures_resolution: ClassVar[bool] = False

    def __post_init__(self) -> None:
        require_positive(self, "tight", "rounding")

    def weigh(self, measurement: Measurement, scale: Array, *, level: float = LEVEL) -> Judge:
        """Return the judge of predicted bounds."""
        mean, half_width, interval, shape = means_and_noise(measurement, self, level)
        size = flat_scale(scale, shape)
        noise = half_width / size
        sign = 1.0 if self.side == "upper" else -1.0

        def judge(prediction: Any) -> Judgement:
            bound = matching(prediction, shape, self).reshape(-1)
            slack = sign * (bound - mean) / size
            worst, excess = int(np.argmin(slack + noise)), float(-np.min(slack + noise))
            status: Status = "confirmed"
            message = f"slack at least {np.min(slack):.3g}, median {np.median(slack):.3g}, worst {place(worst, shape)}"
            if interval is not None and interval.skew_effect > MAX_SKEW_EFFECT:
                status, message = "inconclusive", skewed(interval)
            elif excess > self.rounding:
                status, message = "refuted", f"violated by {excess:.3g} at {place(worst, shape)}"
            elif self.tight is not None and np.min(slack - noise) > self.tight:
                status, message = "refuted", f"nowhere within {self.tight:g} of the bound; {message}"
            elif self.tight is not None and np.min(slack + noise) > self.tight:
                status, message = "inconclusive", f"attainment within {self.tight:g} not resolved; {message}"
            return Judgement(status, float(np.min(slack)), -self.rounding, message, bound, mean, half_width)

        return judge


@dataclass(frozen=True)
class Ordering(Agreement):
    """Statistics lie on the claimed ``side`` of the predicted thresholds, beyond their intervals."""

    side: Literal["above", "below"] = "above"
    measures_resolution: ClassVar[bool] = False

    def weigh(self, measurement: Measurement, scale: Array, *, level: float = LEVEL) -> Judge:
        """Return the judge of thresholds; a plain array is taken as free of noise."""
        mean, half_width, interval, shape = means_and_noise(measurement, self, level)
        sign = 1.0 if self.side == "above" else -1.0

        def judge(prediction: Any) -> Judgement:
            border = matching(prediction, shape, self).reshape(-1)
            margin = sign * (mean - border)
            worst = int(np.argmin(margin - half_width))
            status: Status = "inconclusive"
            message = f"margin {margin[worst]:.3g} within its uncertainty at {place(worst, shape)}"
            if interval is not None and interval.skew_effect > MAX_SKEW_EFFECT:
                message = skewed(interval)
            elif np.all(margin > half_width):
                status, message = "confirmed", ""
            elif np.any(margin < -half_width):
                worst = int(np.argmin(margin + half_width))
                status, message = "refuted", f"on the wrong side at {place(worst, shape)}"
            return Judgement(status, float(margin[worst]), float(half_width[worst]), message, border, mean, half_width)

        return judge
