"""Networks whose readouts are distilled, and the labels that they learn."""

from typing import NamedTuple

import jax
import numpy as np

from paper_checks.claim import Run
from paper_checks.evidence import Array
from simulations import kernel_regression as sim

ALPHAS = np.array([0.0, 0.2, 0.6, 1.0])
MIXED = ALPHAS[1:3]
RIDGE = 0.05  # kernels have no eigenvalue above 1


class Networks(NamedTuple):
    """Two networks: features of training points and of points asked, noisy labels, and labels asked for."""

    features: Array
    labels: Array
    asked: Array
    truth: Array

    @property
    def grams(self) -> Array:
        """Kernels between training points, (networks, n, n)."""
        return self.features @ self.features.transpose(0, 2, 1)

    @property
    def cross_grams(self) -> Array:
        """Kernels between points asked and training points."""
        return self.asked @ self.features.transpose(0, 2, 1)


def draw_networks(run: Run) -> Networks:
    """Draw a hidden layer with fewer units than points, filled up with idle ones, and one with more."""
    n = run.size("points", quick=24, standard=60, full=200)
    rng = run.rng()
    most = n + n // 4
    x = rng.uniform(-1.5, 1.5, (2, 2 * n, 2))
    hidden = np.tanh(x @ rng.normal(size=(2, 2, most)) + rng.normal(size=(2, 1, most)))
    hidden[0, :, n // 3 :] = 0.0
    hidden /= np.sqrt(n * np.array([n // 3, most]))[:, None, None]
    truth = np.sin(2 * x[..., 0]) + x[..., 1]
    labels = truth[:, :n] + 0.3 * rng.normal(size=(2, n))
    return Networks(hidden[:, :n], labels, hidden[:, n:], truth[:, n:])


def distil_networks(run: Run, weights: Array, *, penalise_change: bool = False) -> sim.Generations:
    """Distil both networks, for every row of weights."""
    rows = jax.vmap(sim.distil, in_axes=(None, None, None, 0, None))
    networks = draw_networks(run)
    return jax.vmap(rows, in_axes=(0, 0, None, None, None))(
        networks.features, networks.labels, RIDGE, weights, penalise_change
    )
