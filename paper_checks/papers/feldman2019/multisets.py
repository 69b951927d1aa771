"""Frequencies for small problems that are enumerated."""

import numpy as np

from paper_checks.claim import Run


def random_parts(run: Run, items: int, total: int) -> list[int]:
    """Split ``total`` at random into distinct positive integers."""
    rng = run.rng("parts")
    while True:
        cuts = np.sort(rng.choice(np.arange(1, total), items - 1, replace=False))
        parts = np.diff(np.concatenate([[0], cuts, [total]]))
        if np.unique(parts).size == items:
            return [int(part) for part in parts]
