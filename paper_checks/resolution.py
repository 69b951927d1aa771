"""How fine a comparison was: the smallest relative error of the theory that the rule would have caught."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Judge
from paper_checks.evidence import Limit, Steps

COARSEST = 1.0  # an error of the theory's own size
FINEST = 1e-16
PRECISION = 1.02  # the resolution is found to 2 %


def measured_resolution(judge: Judge, prediction: Any, scale: NDArray[np.float64]) -> float | None:
    """Return the smallest delta for which the prediction times (1 + delta), or (1 - delta), is refuted.

    The larger of the two directions counts; None when an error of the theory's own size is not refuted in one of
    them. A prediction that vanishes altogether is shifted by delta times the problem's scale instead. Costs about 100
    calls of the judge.
    """
    found = [_smallest_refuted(judge, prediction, scale, sign) for sign in (1.0, -1.0)]
    return None if None in found else max(delta for delta in found if delta is not None)


def scaled(prediction: Any, delta: float, scale: NDArray[np.float64]) -> Any:
    """Return the prediction with the relative error ``delta``."""
    if isinstance(prediction, Limit):
        return prediction._replace(value=scaled(prediction.value, delta, scale))
    if isinstance(prediction, Steps):
        return prediction._replace(values=scaled(prediction.values, delta, scale))
    value = np.asarray(prediction, dtype=float)
    return value * (1 + delta) if np.any(value) else value + delta * scale


def _smallest_refuted(judge: Judge, prediction: Any, scale: NDArray[np.float64], sign: float) -> float | None:
    def refuted(delta: float) -> bool:
        return judge(scaled(prediction, sign * delta, scale)).status == "refuted"

    low, high = FINEST, FINEST
    while not refuted(high):
        if high >= COARSEST:
            return None
        low, high = high, min(4 * high, COARSEST)
    while high > PRECISION * low:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if refuted(middle) else (middle, high)
    return high
