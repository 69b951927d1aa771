"""The paper, and the data and weights that its claims draw."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paper_checks.claim import Paper
from simulations.deep_linear import opposing_signals as sim

Array = NDArray[np.float64]

PAPER = Paper(
    key="rosenfeld2023",
    title="Outliers with opposing signals have an outsized effect on neural network optimization",
    authors="Elan Rosenfeld, Andrej Risteski",
    year=2023,
    arxiv="2311.04163",
    wing="deep_linear",
)


class Law(NamedTuple):
    """What the data are drawn from, in plain numbers."""

    beta: Array
    magnitude: float
    probability: float
    gamma: float

    @property
    def power(self) -> float:
        """The outlier's mean square, alpha."""
        return self.probability * self.magnitude**2

    def data(self, signal: str = "opposing") -> sim.Outliers:
        """Return the same as the simulation takes it."""
        return sim.Outliers.make(
            self.beta, magnitude=self.magnitude, probability=self.probability, gamma=self.gamma, signal=signal
        )


def draw_law(rng: np.random.Generator, dim: int, *, power: float, length: float | None = None) -> Law:
    """Draw a target and an outlier of the given mean square; ``length`` is that of beta, drawn when left out."""
    beta = rng.standard_normal(dim)
    beta *= (rng.uniform(0.7, 1.5) if length is None else length) / np.linalg.norm(beta)
    probability = rng.uniform(0.08, 0.2)
    return Law(beta, float(np.sqrt(power / probability)), float(probability), float(rng.uniform(0.5, 1.0)))


class Layers(NamedTuple):
    """Output weights v, and first layer w whose last column is the outlier's."""

    v: Array
    w: Array

    @property
    def stacked(self) -> tuple[Array, Array]:
        """Weights as the simulation takes them, input side first."""
        return self.w, self.v[None]


def draw_layers(rng: np.random.Generator, hidden: int, dim: int) -> Layers:
    """Draw Gaussian weights of order one."""
    return Layers(rng.standard_normal(hidden) / np.sqrt(hidden), rng.standard_normal((hidden, dim + 1)) / np.sqrt(dim))


def moved_to_minimum(layers: Layers, beta: Array) -> Layers:
    """Change the first layer as little as makes the network compute beta . z."""
    off = np.append(beta, 0.0) - layers.w.T @ layers.v
    return layers._replace(w=layers.w + np.outer(layers.v, off) / (layers.v @ layers.v))


def rank_one(rng: np.random.Generator, hidden: int, direction: Array, strength: float) -> Layers:
    """Return balanced weights v = m e, W = m e u^T: e a random unit, m^2 = ``strength``, u along ``direction``."""
    unit = rng.standard_normal(hidden)
    unit *= np.sqrt(strength) / np.linalg.norm(unit)
    return Layers(unit, np.outer(unit, direction / np.linalg.norm(direction)))
