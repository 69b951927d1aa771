"""The paper to which the modules beside this one attach their claims, and the networks that they share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paper_checks.claim import Paper, Run
from paper_checks.problems import frame

PAPER = Paper(
    key="tian2021",
    title="Understanding self-supervised learning dynamics without contrastive pairs",
    authors="Yuandong Tian, Xinlei Chen, Surya Ganguli",
    year=2021,
    arxiv="2102.06810",
    wing="deep_linear",
)

Array = NDArray[np.float64]

INTEGRATED = 1e-8  # 1e3 times the integrators' relative tolerance of 1e-11: what 1e2 to 1e3 steps may add up to


class Start(NamedTuple):
    """Unaligned initial networks, and covariances of the mean view and of views around it."""

    online: Array
    target: Array
    predictor: Array
    x_cov: Array
    aug_cov: Array


class Bases(NamedTuple):
    """Orthonormal directions of the outputs, all of them, and as many of the inputs."""

    outputs: Array
    inputs: Array


def sizes(run: Run) -> tuple[int, int]:
    """Numbers of inputs and outputs."""
    return run.size("inputs, outputs", quick=(6, 4), standard=(12, 8), full=(64, 32))


def draw_start(rng: np.random.Generator, n_inputs: int, n_outputs: int) -> Start:
    """Draw networks and anisotropic covariances, all of order one and well conditioned."""
    online, target = rng.standard_normal((2, n_outputs, n_inputs)) / np.sqrt(n_inputs)
    predictor = 0.6 * np.eye(n_outputs) + 0.4 * rng.standard_normal((n_outputs, n_outputs)) / np.sqrt(n_outputs)
    return Start(online, target, predictor, covariance(rng, n_inputs, 0.5, 1.5), covariance(rng, n_inputs, 0.1, 0.6))


def covariance(rng: np.random.Generator, n: int, least: float, most: float) -> Array:
    """Draw a covariance in a random basis, whose smallest and largest eigenvalues are given."""
    eigenvalues = np.concatenate([[least, most], rng.uniform(least, most, n - 2)])
    basis = frame(rng, n, n)
    return (basis * eigenvalues) @ basis.T


def draw_bases(rng: np.random.Generator, n_inputs: int, n_outputs: int) -> Bases:
    """Draw eigenvectors that aligned networks may share."""
    return Bases(frame(rng, n_outputs, n_outputs), frame(rng, n_inputs, n_outputs))
