"""Decays, ties and perturbed collapsed points at which responses are taken."""

from typing import NamedTuple

import numpy as np

from paper_checks.claim import Run
from paper_checks.evidence import Array
from paper_checks.problems import frame
from simulations import neural_collapse as sim

STATIONARY = 1e-10  # gradients below 1e-15 and curvatures above 1e-3 of the largest, times 1e2 for the linear solve


class Setting(NamedTuple):
    """Sizes K, n, d, decays and strength of the tie."""

    num_classes: int
    samples_per_class: int
    dim: int
    weight_decay: float
    feature_decay: float
    beta: float

    @property
    def sizes(self) -> tuple[int, int, int]:
        """K, n and d, the positional arguments of the solvers."""
        return self[:3]

    @property
    def numbers(self) -> dict[str, float]:
        """Decays and strength of the tie, the keyword arguments of the solvers."""
        return {name: getattr(self, name) for name in ("weight_decay", "feature_decay", "beta")}

    @property
    def decays(self) -> dict[str, float]:
        """Decays alone."""
        return {name: getattr(self, name) for name in ("weight_decay", "feature_decay")}

    @property
    def c(self) -> float:
        """Geometric mean of the decays."""
        return float(np.sqrt(self.weight_decay * self.feature_decay))


def draw_settings(run: Run) -> list[Setting]:
    """Draw decays with c from 0.1 to 0.8, ratios from 1/3 to 3 and ties from 0.3 to 30, after one setting with c = 1/2.

    There the two damped factors of the frame's own space coincide, tau = 4 lambda_H (1 - c).
    """
    k, n, d = sizes(run)
    settings = [Setting(k, n, d, 1.0, 0.25, 0.3)]
    rng = run.rng("settings")
    for _ in range(run.size("settings", quick=3, standard=5, full=3)):
        c, ratio = rng.uniform(0.1, 0.8), np.exp(rng.uniform(-np.log(3), np.log(3)))
        settings.append(Setting(k, n, d, c * ratio, c / ratio, float(np.exp(rng.uniform(np.log(0.3), np.log(30))))))
    return settings


def sizes(run: Run) -> tuple[int, int, int]:
    return run.size("classes, samples, dimension", quick=(3, 4, 5), standard=(4, 6, 9), full=(8, 16, 24))


class Perturbed(NamedTuple):
    """A collapsed point with frame, and a perturbation of what its features are tied to."""

    frame: Array
    point: sim.TiedPoint
    problem: sim.TiedProblem
    change: Array


def draw(run: Run, index: int, setting: Setting) -> tuple[Array, Array]:
    """Draw a frame (d, K) and a change (d, K n) for a setting."""
    rng = run.rng(f"setting {index}")
    k, n, d = setting.sizes
    return frame(rng, d, k), rng.standard_normal((d, k * n))


def perturbed(run: Run, index: int, setting: Setting) -> Perturbed:
    k, n, d = setting.sizes
    problem = sim.tied_problem(k, **setting.numbers)
    directions, change = draw(run, index, setting)
    point = sim.collapsed_point(run.key(f"setting {index}"), n, d, problem, frame=directions)
    return Perturbed(directions, point, problem, change)


def split(change: Array, directions: Array) -> tuple[Array, Array, Array]:
    """Split a change (d, K n) into within-class part, and class means inside (K, K) and outside (d, K) of the frame."""
    d, k = directions.shape
    means = change.reshape(d, k, -1).mean(axis=2)
    within = change - np.repeat(means, change.shape[1] // k, axis=1)
    inside = directions.T @ means
    return within, inside, means - directions @ inside
