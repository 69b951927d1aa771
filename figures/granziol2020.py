"""Granziol, Zohren and Roberts: the top of a batch's Hessian, and the largest stable step."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from theory import kernel_regression as kr


@figure(
    "granziol2020.batch_size",
    caption=r"""Hessians of batches of 1 to 24 of 24 samples: full-data eigenvalues 3 and 1.5, and noise of each sample
    with the edge 8. Left: the two largest eigenvalues of a batch against its size; below the transition both are the
    edge of the noise. Right: the largest stable step, 2 over the first, with 2/3 for all samples in grey. Lines:
    limits of many parameters; markers: batches drawn in 100 dimensions, mean and standard deviation.""",
)
def batch_size(run: Run) -> Drawing:
    """Draw batches of growing size."""
    P, draws = run.size("parameters, draws", quick=(100, 30), standard=(300, 100), full=(2000, 100))
    N, signal, s = 24, np.array([3.0, 1.5]), 4 / np.sqrt(P)
    fine, marked = np.arange(1, N + 1), np.array([1, 2, 3, 4, 6, 8, 12, 16, 20, 24])
    lines = np.array(
        [kr.batch_hessian_outlier(signal, n_params=P, batch_size=int(B), n_samples=N, noise_std=s) for B in fine]
    )
    found = []
    for B in marked:
        tops = sim.batch_hessian_tops(
            run.key(f"{B}"),
            eigenvalues=signal,
            n_params=P,
            noise_std=s,
            batch_size=int(B),
            n_samples=N,
            n_replicates=draws,
        )[:, :2]
        step = 2 / tops[:, 0]
        found.append([*tops.mean(axis=0), *tops.std(axis=0), step.mean(), step.std()])
    marks = np.array(found)
    image, ((left, right),) = canvas(1, 2)
    entries: list[tuple[Any, str]] = []
    for k, name in enumerate(("first", "second")):
        line = theory(left, fine, lines[:, k], k)
        entries.append(((line, simulation(left, marked, marks[:, k], k, error=marks[:, 2 + k])), name))
    line = theory(right, fine, 2 / lines[:, 0])
    drawn = simulation(right, marked, marks[:, 4], error=marks[:, 5])
    end = reference(right, [1, N], [2 / 3, 2 / 3])
    for axes in (left, right):
        axes.set(xscale="log", xlabel="batch size $B$")
        axes.set_xticks([1, 2, 4, 8, 16, 24], ["1", "2", "4", "8", "16", "24"])
        axes.minorticks_off()
    left.set_ylabel("largest eigenvalues")
    right.set_ylabel("largest stable step")
    legend(left, entries, loc="upper right")
    legend(right, [((line, drawn), r"$2 / \lambda_1$"), (end, "all samples")], loc="lower right")
    return Drawing(image, {"fine": fine, "marked": marked, "lines": lines, "marks": marks})
