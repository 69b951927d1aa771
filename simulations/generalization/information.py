"""Learners whose information is known because everything is enumerated or Gaussian, and noisy layers as channels."""

from simulations.generalization._channels import (
    contraction_of_noise,
    contraction_of_pair,
    dropconnect_channel,
    dropout_channel,
    softmax_pair,
)
from simulations.generalization._finite_learners import (
    FiniteNetwork,
    FiniteProblem,
    LearnerLaws,
    NetworkLaws,
    all_data_sets,
    conditional_information,
    kl_divergence,
    learner_laws,
    network_laws,
    run_network,
    train_on_everything,
)
from simulations.generalization._gaussians import (
    LayerLaws,
    LocationNumbers,
    class_mean_losses,
    layer_laws,
    location_information,
    location_losses,
    network_gap,
)

__all__ = [
    "FiniteNetwork",
    "FiniteProblem",
    "LayerLaws",
    "LearnerLaws",
    "LocationNumbers",
    "NetworkLaws",
    "all_data_sets",
    "class_mean_losses",
    "conditional_information",
    "contraction_of_noise",
    "contraction_of_pair",
    "dropconnect_channel",
    "dropout_channel",
    "kl_divergence",
    "layer_laws",
    "learner_laws",
    "location_information",
    "location_losses",
    "network_gap",
    "network_laws",
    "run_network",
    "softmax_pair",
    "train_on_everything",
]
