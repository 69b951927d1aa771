"""Times, sizes and tasks that the claims on training share."""

import numpy as np

from paper_checks.claim import Run
from paper_checks.papers.tarzanagh2023.instances import Inputs
from simulations import optimization as sim

LOG_TIMES = np.array([40.0, 80.0, 160.0, 320.0, 640.0])


def sizes(run: Run) -> tuple[tuple[int, int, int], int]:
    """Shape (n, T, d) of an instance, and how many of each kind."""
    shape = run.size("inputs, tokens, dimension", quick=(3, 3, 5), standard=(4, 3, 6), full=(6, 4, 12))
    return shape, run.size("instances of a kind", quick=1, standard=2, full=64)


def task_of(inputs: Inputs) -> sim.SelectionTask:
    """Hand inputs to the simulation."""
    return sim.SelectionTask(inputs.tokens, inputs.queries, inputs.scores)
