"""Rules for limits: in a step size, free of noise, and in a system size, over replicates."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from paper_checks.agreement.base import (
    Agreement,
    Array,
    Judge,
    Judgement,
    Status,
    at_worst,
    enough_replicates,
    flat_scale,
    matching,
    place,
    require_positive,
    skewed,
)
from paper_checks.agreement.policy import (
    COEFFICIENT_TOLERANCE,
    GEOMETRIC_TOLERANCE,
    LEVEL,
    MAX_EXPONENT_WIDTH,
    MAX_SKEW_EFFECT,
    MIN_SIZES,
    MIN_STEPS,
    ORDER_TOLERANCE,
    ROUNDING,
    ROUNDINGS,
)
from paper_checks.evidence import Limit, Measurement, Sizes, Steps
from paper_checks.statistics import Contrasts, Interval, regression_weights, two_sided_quantiles


@dataclass(frozen=True)
class ConvergenceOrder(Agreement):
    """Values at geometric step sizes converge to the prediction with the claimed order.

    The limit is extrapolated by a Richardson tableau in the powers ``order``, ``order + 1``, ...; its uncertainty is
    the largest change over the last stage of the tableau in either direction, plus `ROUNDINGS` times ``accuracy``, the
    relative accuracy of one value. The observed order comes from the finest three values alone. Where the prediction
    is itself given at every step, as `Steps`, the differences must vanish with the claimed order.
    """

    order: float
    resolution: float | None = None
    accuracy: float = 1e-15

    def __post_init__(self) -> None:
        require_positive(self, "order", "resolution", "accuracy")

    def weigh(self, measurement: Measurement, scale: Array, *, level: float = LEVEL) -> Judge:
        """Return the judge of predicted limits (arrays, `Limit`, or `Steps`); ``level`` plays no part."""
        if not isinstance(measurement, Steps):
            raise ValueError(f"ConvergenceOrder needs Steps; got {type(measurement).__name__}")
        steps, values = _falling(measurement)
        if len(steps) < MIN_STEPS:
            raise ValueError(f"ConvergenceOrder needs values at {MIN_STEPS} or more steps; got {len(steps)}")
        ratio = _geometric("steps", steps[::-1], tolerance=1e-9)
        shape = values.shape[1:]
        flat_scale(scale, shape)
        of_values = self._extrapolate(steps, values, ratio, scale)

        def judge(prediction: Any) -> Judgement:
            if isinstance(prediction, Steps):
                predicted_steps, predicted_values = _falling(prediction)
                if not np.array_equal(predicted_steps, steps):
                    raise ValueError(f"the prediction is at steps {predicted_steps}, the measurement at {steps}")
                differences = values - matching(predicted_values, values.shape, self)
                return self._verdict(self._extrapolate(steps, differences, ratio, scale), np.zeros(shape), None, scale)
            coefficient = prediction.coefficient if isinstance(prediction, Limit) else None
            predicted = matching(prediction.value if isinstance(prediction, Limit) else prediction, shape, self)
            return self._verdict(of_values, predicted, coefficient, scale)

        return judge

    def _extrapolate(self, steps: Array, values: Array, ratio: float, scale: Array) -> "_Extrapolation":
        limit, change = _richardson(values, ratio, self.order, scale)
        changes = [np.linalg.norm((values[k] - values[k + 1]) / scale) for k in (-3, -2)]
        # the slopes towards the limit converge to the leading coefficient with order one
        slopes = (values - limit) / (steps**self.order).reshape(-1, *(1,) * limit.ndim)
        size = np.full(limit.shape, max(float(np.max(np.abs(slopes[-2]))), 1e-300))
        slope, slope_change = _richardson(slopes[:-1], ratio, 1.0, size)
        uncertainty = change + ROUNDINGS * self.accuracy
        return _Extrapolation(
            limit=limit,
            uncertainty=uncertainty,
            order=float(np.log(changes[0] / changes[1]) / np.log(ratio)) if min(changes) > 0 else np.nan,
            finest_error=float(np.max(np.abs(values[-1] - limit) / scale)),
            coefficient=slope,
            coefficient_uncertainty=max(slope_change, COEFFICIENT_TOLERANCE),
            coefficient_blur=float(np.max(uncertainty * scale / steps[-2] ** self.order / size)),
        )

    def _verdict(self, found: "_Extrapolation", predicted: Array, coefficient: Any, scale: Array) -> Judgement:
        deviation = np.abs(found.limit - predicted) / scale
        worst = float(np.max(deviation))
        status: Status = "confirmed"
        message = f"observed order {found.order:.3f}"
        if worst > found.uncertainty:
            status, message = "refuted", at_worst(deviation, "refuted")
        elif found.finest_error < ROUNDINGS * self.accuracy:
            status, message = "inconclusive", "the errors have reached the rounding floor"
        elif not abs(found.order - self.order) <= ORDER_TOLERANCE:
            status, message = "refuted", f"observed order {found.order:.3f}, claimed {self.order:g}"
        elif coefficient is not None and (off := found.coefficient_off(coefficient)) > found.coefficient_uncertainty:
            status, message = "refuted", f"leading coefficient off by {off:.2g}"
            if off <= found.coefficient_uncertainty + found.coefficient_blur:
                status, message = "inconclusive", f"{message}, but known to {found.coefficient_blur:.2g} only"
        elif coefficient is not None and found.coefficient_uncertainty > ORDER_TOLERANCE:
            status, message = "inconclusive", f"leading coefficient known to {found.coefficient_uncertainty:.2g} only"
        elif self.resolution is not None and found.uncertainty > self.resolution:
            status = "inconclusive"
            message = f"limit known to {found.uncertainty:.2g}, accepted is {self.resolution:.2g}"
        spread = found.uncertainty * scale * np.ones(found.limit.shape)
        return Judgement(status, worst, found.uncertainty, message, predicted, found.limit, spread)


class _Extrapolation(NamedTuple):
    """What values at falling steps say of their limit, their order and their leading coefficient."""

    limit: Array
    uncertainty: float
    order: float
    finest_error: float
    coefficient: Array
    coefficient_uncertainty: float
    coefficient_blur: float  # what the uncertainty of the limit does to the coefficient

    def coefficient_off(self, expected: Any) -> float:
        """Return the largest deviation of the coefficient, relative to the largest expected one."""
        expected = np.asarray(expected, dtype=float)
        if expected.shape != self.limit.shape:
            raise ValueError(f"the predicted coefficient has shape {expected.shape}, the limit {self.limit.shape}")
        size = float(np.max(np.abs(expected)))
        return float(np.max(np.abs(self.coefficient - expected))) / size if size > 0 else np.inf


@dataclass(frozen=True)
class FiniteSize(Agreement):
    r"""A limit in system size: means behave as :math:`P + c\,n^{-\alpha} + c_2\,n^{-\alpha_2}`.

    ``of="bias"`` judges limit, goodness of fit and exponent of the means; ``of="limit"`` takes the exponent from the
    theory and judges the rest; ``of="fluctuation"`` fits the exponent of the root-mean-square deviation from the
    prediction. Every test is a t-test of a linear contrast over the replicates; the exponent is tested by the
    coefficient of :math:`n^{-\alpha}\ln n`, which vanishes exactly when :math:`\alpha` is right.
    """

    exponent: float
    resolution: float | None = None
    of: Literal["bias", "fluctuation", "limit"] = "bias"
    second: float | None = None

    def __post_init__(self) -> None:
        require_positive(self, "exponent", "resolution", "second")

    def weigh(self, measurement: Measurement, scale: Array, *, level: float = LEVEL) -> Judge:
        """Return the judge of predicted limits (arrays, or `Limit` with a coefficient)."""
        if not isinstance(measurement, Sizes):
            raise ValueError(f"FiniteSize needs Sizes; got {type(measurement).__name__}")
        sizes, samples = np.asarray(measurement.sizes, dtype=float), np.asarray(measurement.samples, dtype=float)
        if sizes.ndim != 1 or len(sizes) < MIN_SIZES or samples.ndim < 2 or samples.shape[0] != len(sizes):
            raise ValueError(f"FiniteSize needs samples at {MIN_SIZES} or more sizes; got {sizes.shape} sizes")
        enough_replicates(samples.shape[1], self)
        _geometric("sizes", np.sort(sizes), tolerance=GEOMETRIC_TOLERANCE)
        shape = samples.shape[2:]
        size = flat_scale(scale, shape)
        flat = samples.reshape(*samples.shape[:2], -1)
        if self.of == "fluctuation":
            return self._judge_fluctuation(sizes, flat, shape, level)
        return self._judge_means(sizes, flat, shape, size, level)

    def _judge_means(self, sizes: Array, samples: Array, shape: tuple[int, ...], scale: Array, level: float) -> Judge:
        x = sizes / sizes[0]
        corrections = [x**-power for power in (self.exponent, self.second) if power is not None]
        contrasts = Contrasts(samples)
        variance = np.maximum(contrasts.variance(), (ROUNDING * scale) ** 2)
        fit, residual = regression_weights(np.stack([np.ones_like(x), *corrections], axis=1), variance)
        with_log = np.stack([corrections[0] * np.log(x), *corrections], axis=1)
        log_fit, _ = regression_weights(with_log, variance)
        tests = contrasts.m * (len(sizes) + 3)  # residuals, limit, coefficient, exponent
        t, z = two_sided_quantiles(level, tests, contrasts.replicates - 1)
        limits = contrasts.interval(fit[:, :2], t=t, z=z)
        residuals = contrasts.interval(residual, t=t, z=z)
        logs = contrasts.interval(log_fit[:, :2], t=t, z=z)
        log_bias = log_fit[:, :2].sum(axis=2).T  # response of the log fit to a constant
        rounding = ROUNDING * scale
        unfit = bool(np.any(np.abs(residuals.mean) > residuals.half_width + rounding))
        most_skewed = max(limits, residuals, logs, key=lambda i: i.skew_effect)

        def judge(prediction: Any) -> Judgement:
            predicted, coefficient = _limit(prediction, shape, self)
            deviation = np.abs(limits.mean[0] - predicted)
            allowed = limits.half_width[0] + rounding
            worst = int(np.argmax(deviation / allowed))
            gamma, leading = logs.mean - log_bias * predicted
            with np.errstate(divide="ignore", invalid="ignore"):
                exponent = self.exponent - gamma / leading
                width = 2 * (logs.half_width[0] + rounding) / np.abs(leading)
            status: Status = "confirmed"
            message = f"fitted exponent {np.array2string(exponent, precision=3)}" if self.of == "bias" else ""
            if most_skewed.skew_effect > MAX_SKEW_EFFECT:
                status, message = "inconclusive", skewed(most_skewed)
            elif np.any(deviation > allowed):
                status, message = "refuted", f"extrapolated limit deviates, worst at {place(worst, shape)}"
            elif unfit:
                status, message = "refuted", f"corrections of power {self.exponent:g} do not fit the sizes"
            elif self.of == "bias" and np.any(np.abs(gamma) > logs.half_width[0] + rounding):
                status, message = "refuted", f"fitted exponent {exponent} excludes {self.exponent:g}"
            elif coefficient is not None and self._off(coefficient * sizes[0] ** -self.exponent, limits, rounding):
                status, message = "refuted", "the coefficient of the leading correction deviates"
            elif self.of == "bias" and not np.all(width <= MAX_EXPONENT_WIDTH):
                status, message = "inconclusive", f"exponent known to {np.max(width):.2g} only"
            elif self.resolution is not None and np.max(allowed / scale) > self.resolution:
                status = "inconclusive"
                message = f"limit known to {np.max(allowed / scale):.2g}, accepted is {self.resolution:.2g}"
            return Judgement(
                status,
                float(deviation[worst] / scale[worst]),
                float(allowed[worst] / scale[worst]),
                message,
                predicted.reshape(shape),
                limits.mean[0].reshape(shape),
                allowed.reshape(shape),
            )

        return judge

    @staticmethod
    def _off(expected: Array, limits: Interval, rounding: Array) -> bool:
        return bool(np.any(np.abs(limits.mean[1] - expected) > limits.half_width[1] + rounding))

    def _judge_fluctuation(self, sizes: Array, samples: Array, shape: tuple[int, ...], level: float) -> Judge:
        x = np.log(sizes / sizes[0])
        design = np.stack([np.ones_like(x), -x], axis=1)
        t, z = two_sided_quantiles(level, samples.shape[2] * (len(sizes) + 2), samples.shape[1] - 1)

        def judge(prediction: Any) -> Judgement:
            predicted, coefficient = _limit(prediction, shape, self)
            squares = (samples - predicted) ** 2
            power = np.maximum(squares.mean(axis=1, keepdims=True), 1e-300)
            contrasts = Contrasts(0.5 * np.log(power) + 0.5 * (squares / power - 1))
            fit, residual = regression_weights(design, np.maximum(contrasts.variance(), ROUNDING**2))
            fitted, residuals = contrasts.interval(fit, t=t, z=z), contrasts.interval(residual, t=t, z=z)
            deviation = np.abs(fitted.mean[1] - self.exponent)
            allowed = fitted.half_width[1] + ROUNDING
            worst = int(np.argmax(deviation / allowed))
            most_skewed = max(fitted, residuals, key=lambda i: i.skew_effect)
            status: Status = "confirmed"
            message = f"fitted exponent {np.array2string(fitted.mean[1], precision=3)}"
            if most_skewed.skew_effect > MAX_SKEW_EFFECT:
                status, message = "inconclusive", skewed(most_skewed)
            elif np.any(deviation > allowed):
                status, message = "refuted", message + f" excludes {self.exponent:g}"
            elif np.any(np.abs(residuals.mean) > residuals.half_width + ROUNDING):
                status, message = "refuted", "the deviations follow no power of the size"
            elif coefficient is not None and self._off_log(coefficient * sizes[0] ** -self.exponent, fitted):
                status, message = "refuted", "the size of the fluctuations deviates"
            elif np.any(2 * allowed > MAX_EXPONENT_WIDTH):
                status, message = "inconclusive", f"exponent known to {np.max(2 * allowed):.2g} only"
            return Judgement(status, float(deviation[worst]), float(allowed[worst]), message)

        return judge

    @staticmethod
    def _off_log(expected: Array, fitted: Interval) -> bool:
        return bool(np.any(np.abs(fitted.mean[0] - np.log(np.abs(expected))) > fitted.half_width[0] + ROUNDING))


def _richardson(values: Array, ratio: float, order: float, scale: Array) -> tuple[Array, float]:
    """Extrapolate values at falling steps to step zero; the limit and its largest relative change at the last stage."""
    column = list(values)
    diagonal = [column[-1]]
    previous = column
    for stage in range(len(values) - 1):
        previous = column
        factor = ratio ** (order + stage) - 1
        column = [fine + (fine - coarse) / factor for coarse, fine in pairwise(column)]
        diagonal.append(column[-1])
    changes = [np.max(np.abs(column[0] - other) / scale, initial=0.0) for other in previous[-2:]]
    return column[0], float(max(changes))


def _falling(evidence: Steps) -> tuple[Array, Array]:
    """Return the steps in falling order, with their values."""
    steps, values = np.asarray(evidence.steps, dtype=float), np.asarray(evidence.values, dtype=float)
    if steps.ndim != 1 or values.shape[:1] != steps.shape:
        raise ValueError(f"Steps must hold one value a step; got {steps.shape} steps and {values.shape} values")
    order = np.argsort(steps)[::-1]
    return steps[order], values[order]


def _geometric(name: str, rising: Array, *, tolerance: float) -> float:
    if rising[0] <= 0:
        raise ValueError(f"{name} must be positive; got {rising}")
    ratios = rising[1:] / rising[:-1]
    middle = float(np.median(ratios))
    if middle <= 1 or np.any(np.abs(ratios / middle - 1) > tolerance):
        raise ValueError(f"{name} must form a geometric progression; got ratios {ratios}")
    return middle


def _limit(prediction: Any, shape: tuple[int, ...], rule: Agreement) -> tuple[Array, Array | None]:
    if not isinstance(prediction, Limit):
        return matching(prediction, shape, rule).reshape(-1), None
    value = matching(prediction.value, shape, rule).reshape(-1)
    if prediction.coefficient is None:
        return value, None
    return value, matching(prediction.coefficient, shape, rule).reshape(-1)
