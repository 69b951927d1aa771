"""Generalisation as it happens: samples drawn or enumerated, learners run, games solved."""

from simulations.generalization.adversary import Hardest, hardest_instances
from simulations.generalization.long_tail import (
    AllSamples,
    DrawnErrors,
    ItemErrors,
    dirichlet_posterior_means,
    draw_errors,
    enumerate_errors,
    enumerate_samples,
    hardest_long_tails,
    hardest_short_tails,
    most_memorizing_private_learner,
    normalised_draws,
    occurrence_law,
    occurrence_means,
    permuted,
    posterior_means,
    singleton_frequency,
)

__all__ = [
    "AllSamples",
    "DrawnErrors",
    "Hardest",
    "ItemErrors",
    "dirichlet_posterior_means",
    "draw_errors",
    "enumerate_errors",
    "enumerate_samples",
    "hardest_instances",
    "hardest_long_tails",
    "hardest_short_tails",
    "most_memorizing_private_learner",
    "normalised_draws",
    "occurrence_law",
    "occurrence_means",
    "permuted",
    "posterior_means",
    "singleton_frequency",
]
