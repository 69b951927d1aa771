"""Verdicts: what a run found of a claim, as plain data."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

SCHEMA = 1


@dataclass(frozen=True)
class ControlResult:
    """Whether a negative control was rejected, and what its judgement was."""

    name: str
    rejected: bool
    status: str
    message: str = ""


@dataclass(frozen=True)
class Verdict:
    """The outcome of one claim in one run.

    ``statistic`` and ``threshold`` are the discrepancy and what the rule allows, as the rule's `Judgement` gives them;
    ``resolution`` is the smallest relative error of the theory that would have been caught (None for ordinal claims);
    ``numbers`` holds predicted, measured and uncertainty of up to 48 evenly spaced components, side by side.
    """

    id: str
    paper: str
    wing: str
    rule: str
    source: str
    status: str
    expected: str
    statistic: float | None
    threshold: float | None
    resolution: float | None
    controls: tuple[ControlResult, ...]
    seconds: float
    message: str
    scale: str
    seed: int
    device: str
    sizes: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, list[float]] = field(default_factory=dict)
    reused: bool = False

    @property
    def ok(self) -> bool:
        """Whether the status is the expected one and every control was rejected."""
        return self.status == self.expected and bool(self.controls) and all(c.rejected for c in self.controls)

    @property
    def rejected(self) -> str:
        """Controls rejected, out of how many."""
        return f"{sum(c.rejected for c in self.controls)}/{len(self.controls)}"

    @property
    def reason(self) -> str:
        """One line on why the verdict is what it is; names the controls that slipped through."""
        slipped = [f"control {c.name!r} not rejected ({c.status})" for c in self.controls if not c.rejected]
        return "; ".join(part for part in (self.message, *slipped) if part)

    def row(self) -> dict[str, Any]:
        """Return the record of schema 1 that other programs read."""
        record = {
            key: _plain(getattr(self, key))
            for key in ("id", "paper", "wing", "rule", "source", "status", "expected", "ok", "statistic", "threshold")
        }
        return record | {
            "resolution": _plain(self.resolution),
            "controls": [{"name": c.name, "rejected": c.rejected} for c in self.controls],
            "seconds": round(self.seconds, 3),
            "message": self.reason,
        }

    def record(self) -> dict[str, Any]:
        """Return everything, as JSON-ready data; `from_record` reads it back."""
        return _plain(asdict(replace(self, sizes={k: str(v) for k, v in self.sizes.items()})))

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> "Verdict":
        """Read back what `record` wrote; raises TypeError or KeyError on anything else."""
        controls = tuple(ControlResult(**c) for c in record["controls"])
        return cls(**{**record, "controls": controls})


def _plain(value: Any) -> Any:
    """Make a value fit strict JSON: no NumPy types, no NaN or infinities."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
