"""Granziol, Zohren and Roberts 2022: outliers of batch Hessians on both sides of the transition."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import optimization as sim
from theory import optimization

BATCH: dict[str, Any] = {"batch_size": 2, "n_samples": 3}
EFFECTIVE = 6.0


@figure(
    "granziol2022.outlier",
    caption=r"""Top eigenvalue of a batch Hessian (left) and squared overlap of its vector with the outlying one of the
    full-data Hessian (right), against the outlier lambda in units of the noise s. Markers and bars: mean and standard
    deviation over sampled P x P Hessians; lines: the limit of infinite P, lambda + s^2 / lambda and 1 - s^2 / lambda^2
    above the transition at lambda = s, the edge 2 s and no overlap below. Grey: lambda itself. Around the transition
    the limit is slow to come.""",
)
def outlier(run: Run) -> Drawing:
    """Sample batch Hessians across the transition, at two sizes."""
    sizes = run.size("parameters", quick=(40, 160), standard=(80, 320), full=(256, 1024))
    draws = run.size("Hessians", quick=40, standard=100, full=200)
    spikes, curve = np.array([0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0]), np.linspace(0.05, 3, 300)
    problem: dict[str, Any] = {"n_parameters": 1, "noise_variance": EFFECTIVE} | BATCH
    limits = np.array([optimization.batch_hessian_outlier(float(lam), **problem) for lam in curve])

    image, ((left, right),) = canvas(1, 2, width=4.0)
    lines = [theory(axes, curve, limits[:, k], 0) for k, axes in enumerate((left, right))]
    entries: list[tuple[Any, str]] = [(lines[0], r"$P \to \infty$")]
    numbers: dict[str, Any] = {"curve": curve, "limit": limits, "spikes": spikes, "sizes": sizes}
    for series, P in enumerate(sizes, 1):
        samples = [
            sim.sample_batch_hessians(
                run.key(f"{P} {lam}"),
                eigenvalue=lam,
                n_parameters=P,
                noise_variance=EFFECTIVE / P,
                n_replicates=draws,
                lanczos_steps=60,
                **BATCH,
            )
            for lam in spikes
        ]
        top, overlap = (np.array([getattr(s, name) for s in samples]) for name in ("eigenvalue", "overlap"))
        marks = [
            simulation(axes, spikes, found.mean(axis=1), series, error=found.std(axis=1, ddof=1))
            for axes, found in ((left, top), (right, overlap))
        ]
        entries.append((marks[0], f"$P = {P}$"))
        numbers |= {f"eigenvalue_{P}": top, f"overlap_{P}": overlap}
    entries.append((reference(left, [0, 3], [0, 3]), "full-data Hessian"))
    left.set(xlabel=r"outlier $\lambda / s$", ylabel=r"top eigenvalue $/ s$", ylim=(0, 3.6))
    right.set(xlabel=r"outlier $\lambda / s$", ylabel="squared overlap", ylim=(-0.05, 1.05))
    legend(left, entries, loc="lower right")
    return Drawing(image, numbers)
