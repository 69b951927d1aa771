"""Instances on which losses are tried: laws of classes, softmaxes, and members of the family."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from paper_checks.evidence import Array
from simulations import generalization as sim

Transform = Callable[[Array, Array, Array], Array]  # of a regret, tau and the number of classes

TAUS = (0.0, 0.3, 0.5, 0.9, 1 - 1e-6, 1.0, 1 + 1e-6, 1.2, 1.5, 1.8, 1.99, 2.0, 2.5, 3.0)
TIGHT_TAUS = (0.0, 0.3, 0.5, 0.9, 1 - 1e-6, 1.0)


class Instances(NamedTuple):
    """Pairs of inputs: p and s (B, 2, c), the probabilities of the inputs (B, 2), and tau (B,)."""

    p: Array
    s: Array
    weights: Array
    tau: Array

    def mean(self, of_input: Callable[[Array, Array, Array], Array]) -> Array:
        """Average a function of p, s and tau over the inputs that happen, shape (B,)."""
        happens = self.weights > 0
        found = np.zeros(happens.shape)
        found[happens] = of_input(self.p[happens], self.s[happens], np.repeat(self.tau, happens.sum(axis=1)))
        return (self.weights * found).sum(axis=1)


def class_probabilities(rng: np.random.Generator, count: int, c: int) -> Array:
    """Draw laws of classes: spread and concentrated, a third with zeros, a third with ties."""
    p = rng.dirichlet(np.ones(c), count) ** rng.choice([0.3, 1.0, 4.0], (count, 1))
    third = np.arange(count) % 3
    p = np.where((third[:, None] == 1) & (p < np.median(p, axis=1, keepdims=True)), 0.0, p)
    p = np.where((third[:, None] == 2) & (p > np.quantile(p, 0.6, axis=1, keepdims=True)), p[:, :1], p)
    return p / p.sum(axis=1, keepdims=True)


def _softmaxes(rng: np.random.Generator, p: Array) -> Array:
    """Draw softmax probabilities: anything, next to p, and with the largest two made equal."""
    count, c = p.shape
    third = np.arange(count) % 3
    s = np.where(third[:, None] == 0, rng.dirichlet(np.ones(c), count), p + 0.3 * rng.dirichlet(np.ones(c), count))
    ranked = np.sort(s, axis=1)
    s = np.where((third[:, None] == 2) & (s == ranked[:, -2:-1]), ranked[:, -1:], s)
    return s / s.sum(axis=1, keepdims=True)


def draw_instances(rng: np.random.Generator, c: int, count: int, taus: tuple[float, ...] = TAUS) -> Instances:
    """Draw ``count`` instances for each tau, with one input or two, and add those with tied scores."""
    shape = (len(taus) * count, 2, c)
    p = class_probabilities(rng, 2 * len(taus) * count, c).reshape(shape)
    s = _softmaxes(rng, p.reshape(-1, c)).reshape(shape)
    first = np.where(rng.random(shape[0]) < 0.5, 1.0, rng.random(shape[0]))
    tied = [
        sim.tied_instance(beta / (c - 1 if ties == "all" else 1), num_classes=c, ties=ties)
        for beta in (0.1, 1.0)
        for ties in sim.TIES
    ]
    p = np.concatenate([p, *(np.tile(law, (len(taus), 2, 1)) for law, _ in tied)])
    s = np.concatenate([s, *(np.tile(softmax, (len(taus), 2, 1)) for _, softmax in tied)])
    first = np.concatenate([first, np.ones(len(taus) * len(tied))])
    return Instances(
        p, s, np.column_stack([first, 1 - first]), np.concatenate([np.repeat(taus, count), np.tile(taus, len(tied))])
    )
