"""The paper, and what its claims share: searches over all parameters of a layer."""

import numpy as np
from numpy.typing import NDArray

from paper_checks.claim import Paper, Run
from simulations.in_context import layer_training
from simulations.in_context.layer_training import Population, Trained
from simulations.in_context.linear_layer import random_starts

Array = NDArray[np.float64]

PAPER = Paper(
    key="mahankali2023",
    title="One Step of Gradient Descent is Provably the Optimal In-Context Learner with One Layer of Linear"
    " Self-Attention",
    authors="Arvind Mahankali, Tatsunori B. Hashimoto, Tengyu Ma",
    year=2023,
    arxiv="2307.03576",
    wing="in_context",
)

STARTS = 64  # of every search; at worst every third one avoids the point of rank one, so that all fail in 1e-11
START_SCALE = 0.01  # small weights end in one of the minima; from large ones many a search stalls far away


def search(run: Run, population: Population, dim: int, name: str = "starts") -> Trained:
    """Train all parameters of a layer from random starts; returns all end points."""
    return layer_training.minimise(random_starts(run.key(name), STARTS, dim, scale=START_SCALE), population)
