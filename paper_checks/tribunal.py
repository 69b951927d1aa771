"""Put one claim on trial: measure, predict, judge, find the resolution, try the controls."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from paper_checks.agreement import Bound, Judge, Judgement, natural_scale
from paper_checks.claim import Claim, Run, Trial
from paper_checks.evidence import normalise
from paper_checks.resolution import measured_resolution
from paper_checks.verdict import ControlResult, Verdict

MEASUREMENT = "measurement"
MAX_NUMBERS = 48  # components kept side by side in a verdict


def measure(claim: Claim, run: Run) -> dict[str, Any]:
    """Run the simulations of a claim: its measurement and its counterexamples, by name."""
    trial = _trial(claim, run)
    measured = {MEASUREMENT: normalise(trial.measure(), "the measurement")}
    for name, thunk in trial.counterexamples.items():
        measured[name] = normalise(thunk(), f"the counterexample {name!r}")
    return measured


def judge(claim: Claim, run: Run, measured: Mapping[str, Any], **context: Any) -> Verdict:
    """Judge measurements against the theory and every control; ``context`` fills the verdict's other fields."""
    start = time.perf_counter()
    trial = _trial(claim, run)
    rule = claim.agreement
    prediction = normalise(trial.predict(), "the prediction")
    scale = natural_scale(prediction, trial.scale() if callable(trial.scale) else trial.scale)
    judge_prediction = rule.weigh(measured[MEASUREMENT], scale)
    found = judge_prediction(prediction)
    status, message, resolution = found.status, found.message, None
    if status == "confirmed":
        resolution = _resolution(rule, judge_prediction, prediction, scale, found)
        if rule.resolution is not None and (resolution is None or resolution > rule.resolution):
            status = "inconclusive"
            reached = "no error up to its own size" if resolution is None else f"errors above {resolution:.2g}"
            message = f"would catch {reached}, the claim accepts {rule.resolution:.2g}"

    controls = [
        _control(name, lambda t=thunk: judge_prediction(normalise(t(), "the control")))
        for name, thunk in trial.controls.items()
    ]
    controls += [
        _control(name, lambda n=name: rule.weigh(measured[n], scale)(prediction)) for name in trial.counterexamples
    ]
    return Verdict(
        **_identity(claim, run, context),
        status=status,
        statistic=found.statistic,
        threshold=found.threshold,
        resolution=resolution,
        controls=tuple(controls),
        message=message,
        seconds=context.get("measure_seconds", 0.0) + time.perf_counter() - start,
        numbers=_side_by_side(found),
    )


def failed(claim: Claim, run: Run, reason: str, seconds: float, **context: Any) -> Verdict:
    """Return the verdict of a claim that could not be judged."""
    return Verdict(
        **_identity(claim, run, context),
        status="error",
        statistic=None,
        threshold=None,
        resolution=None,
        controls=tuple(ControlResult(name, False, "not judged") for name in claim.controls),
        message=reason,
        seconds=seconds,
    )


def one_line(error: BaseException) -> str:
    """Describe an exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _trial(claim: Claim, run: Run) -> Trial:
    trial = claim.build(run)
    held = [*trial.controls, *trial.counterexamples]
    if sorted(held) != sorted(claim.controls):
        raise ValueError(f"the trial's controls {sorted(held)} are not the registered {sorted(claim.controls)}")
    if MEASUREMENT in held:
        raise ValueError(f"a control must not be called {MEASUREMENT!r}")
    return trial


def _control(name: str, thunk: Any) -> ControlResult:
    try:
        found: Judgement = thunk()
    except Exception as error:
        return ControlResult(name, False, "error", one_line(error))
    return ControlResult(name, found.status == "refuted", found.status, found.message)


def _resolution(rule: Any, judge: Judge, prediction: Any, scale: Any, found: Judgement) -> float | None:
    if rule.measures_resolution:
        return measured_resolution(judge, prediction, scale)
    return found.statistic if isinstance(rule, Bound) else None


def _side_by_side(found: Judgement) -> dict[str, list[float]]:
    columns = {"predicted": found.predicted, "measured": found.measured, "uncertainty": found.uncertainty}
    kept = {k: np.asarray(v, dtype=float).reshape(-1) for k, v in columns.items() if v is not None}
    stride = max((-(-v.size // MAX_NUMBERS) for v in kept.values()), default=1)
    return {k: v[::stride].tolist() for k, v in kept.items()}


def _identity(claim: Claim, run: Run, context: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": claim.id,
        "paper": claim.paper,
        "wing": context["wing"],
        "rule": claim.agreement.name,
        "source": claim.source,
        "expected": claim.expected,
        "scale": run.scale,
        "seed": run.seed,
        "sizes": dict(run.sizes),
        "device": context.get("device", "unknown"),
        "versions": context.get("versions", {}),
        "reused": context.get("reused", False),
    }
