"""Sampled batch Hessians with one outlier, and what the theory says of it."""

from typing import Any

import numpy as np

from paper_checks.claim import Run
from paper_checks.evidence import Array
from simulations import optimization as sim
from theory import optimization

BATCH: dict[str, Any] = {"batch_size": 2, "n_samples": 3}
EFFECTIVE = 6.0  # effective size of these batches, 1 / (1/2 - 1/3)
NOISE = 1.3  # s, the noise variance being 6 s^2 / P


def problem(P: int) -> dict[str, Any]:
    return {"n_parameters": P, "noise_variance": NOISE**2 * EFFECTIVE / P} | BATCH


def sample(run: Run, spike: float, P: int, hessians: int) -> sim.BatchHessians:
    """Sample batch Hessians with an outlier in units of s."""
    return sim.sample_batch_hessians(
        run.key(f"{spike} {P}"),
        eigenvalue=spike * NOISE,
        n_replicates=hessians,
        lanczos_steps=lanczos(P, spike),
        **problem(P),
    )


def outlier(spike: float, **other: float) -> optimization.BatchHessianOutlier:
    return optimization.batch_hessian_outlier(spike * NOISE, **(problem(100) | other))


def without_noise(found: sim.BatchHessians) -> Array:
    """Return outliers in units of s and overlaps, (2, replicates), less what control variates explain of their noise.

    These have means of zero, so that any factors before them leave means as they are; least squares finds the best.
    """
    values = np.stack([np.asarray(found.eigenvalue) / NOISE, np.asarray(found.overlap)])
    controls = np.asarray(found.controls) / np.std(found.controls, axis=0)
    design = np.column_stack([controls, np.ones(len(controls))])
    factors = np.linalg.lstsq(design, values.T, rcond=None)[0]
    return values - (controls @ factors[:-1]).T


def lanczos(P: int, spike: float = 0.0) -> int:
    """Return how many steps find the top: below a spike is a gap, elsewhere a spacing of P^(-2/3) of the width."""
    if spike >= 3:
        return min(P, 24)  # an error of exp(-2 steps arcosh(1 + gap / (2 s))), below 1e-16
    return min(P, 40) if P <= 80 else 80


def sizes(run: Run) -> tuple[tuple[int, ...], int]:
    parameters = run.size("parameters", quick=(10, 20, 40, 80), standard=(24, 48, 96, 192), full=(64, 128, 256, 512))
    return parameters, run.size("Hessians", quick=1000, standard=3000, full=20_000)
