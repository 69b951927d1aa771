"""Rules for what is free of noise: identities in floating point, and exact expressions."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import sympy

from paper_checks.agreement.base import (
    Agreement,
    Array,
    Judge,
    Judgement,
    Status,
    at_worst,
    matching,
    plain_values,
    require_positive,
)
from paper_checks.agreement.policy import LEVEL
from paper_checks.evidence import Exact, Measurement


@dataclass(frozen=True)
class Identity(Agreement):
    """Two computations of the same number agree to rounding: no component deviates by more than ``rtol``."""

    rtol: float = 1e-12
    resolution: float | None = 1e-6

    def __post_init__(self) -> None:
        require_positive(self, "rtol", "resolution")

    def weigh(self, measurement: Measurement, scale: Array, *, level: float = LEVEL) -> Judge:
        """Return the judge; a deterministic rule, so ``level`` plays no part."""
        values = plain_values(measurement, self)

        def judge(prediction: Any) -> Judgement:
            predicted = matching(prediction, values.shape, self)
            deviation = np.abs(values - predicted) / scale
            worst = float(np.max(deviation))
            status: Status = "confirmed" if worst <= self.rtol else "refuted"
            return Judgement(status, worst, self.rtol, at_worst(deviation, status), predicted, values)

        return judge


@dataclass(frozen=True)
class ExactRational(Agreement):
    """Exact expressions agree: every difference simplifies to zero. Any error at all is seen."""

    measures_resolution: ClassVar[bool] = False

    def weigh(self, measurement: Measurement, scale: Array, *, level: float = LEVEL) -> Judge:
        """Return the judge; nothing is rounded, so ``scale`` and ``level`` play no part."""
        if not isinstance(measurement, Exact):
            raise ValueError(f"ExactRational needs an Exact measurement; got {type(measurement).__name__}")

        def judge(prediction: Any) -> Judgement:
            if not isinstance(prediction, Exact) or len(prediction.expressions) != len(measurement.expressions):
                raise ValueError(f"ExactRational needs an Exact prediction of {len(measurement.expressions)} terms")
            pairs = zip(measurement.expressions, prediction.expressions, strict=True)
            wrong = [i for i, (m, p) in enumerate(pairs) if sympy.simplify(sympy.sympify(m) - sympy.sympify(p)) != 0]
            if not wrong:
                return Judgement("confirmed", 0.0, 0.0)
            i = wrong[0]
            message = f"term {i}: measured {measurement.expressions[i]}, predicted {prediction.expressions[i]}"
            return Judgement("refuted", float(len(wrong)), 0.0, message)

        return judge
