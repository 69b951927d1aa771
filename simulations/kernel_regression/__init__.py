"""Ridge, random-feature and kernel regression as done: data drawn, systems solved, risks counted."""

from simulations.kernel_regression.aggregates import BagFits, BagLosses, bag_losses, fit_bags, learn_from_bags
from simulations.kernel_regression.covariances import (
    SpectralMeans,
    covariance_spectrum,
    endless_extremes,
    endless_resolvent,
    gram_moments,
    spectral_means,
)
from simulations.kernel_regression.denoising import (
    NoisyData,
    ScoreLosses,
    fit_polynomial,
    gaussian_points,
    noisy_data,
    score_losses,
)
from simulations.kernel_regression.designs import (
    PopulationFit,
    RidgeFit,
    cube_modes,
    gaussian_ridge,
    learn_every_mode,
    population_ridge,
    teacher_loss,
)
from simulations.kernel_regression.hermite import hermite_gram
from simulations.kernel_regression.hypercube import learned_degrees
from simulations.kernel_regression.interpolation import (
    Neighbour,
    multilinear_error,
    nearest_neighbour,
    piecewise_linear_error,
)
from simulations.kernel_regression.power_law import TunedRisk, interpolation_loss, tuned_power_law
from simulations.kernel_regression.ridge import (
    Labels,
    RidgeParts,
    TunedRidge,
    least_norm_parts,
    ridge_parts,
    tuned_ridge,
)
from simulations.kernel_regression.self_distillation import Generations, TunedWeight, distil, tune_last_weight
from simulations.kernel_regression.spikes import (
    HessianParts,
    TopPair,
    batch_hessian_tops,
    cluster_hessian_spectrum,
    dense_spiked_covariance,
    dense_spiked_wigner,
    differentiate_network,
    spiked_covariance_band,
    spiked_wigner_band,
)

__all__ = [
    "BagFits",
    "BagLosses",
    "Generations",
    "HessianParts",
    "Labels",
    "Neighbour",
    "NoisyData",
    "PopulationFit",
    "RidgeFit",
    "RidgeParts",
    "ScoreLosses",
    "SpectralMeans",
    "TopPair",
    "TunedRidge",
    "TunedRisk",
    "TunedWeight",
    "bag_losses",
    "batch_hessian_tops",
    "cluster_hessian_spectrum",
    "covariance_spectrum",
    "cube_modes",
    "dense_spiked_covariance",
    "dense_spiked_wigner",
    "differentiate_network",
    "distil",
    "endless_extremes",
    "endless_resolvent",
    "fit_bags",
    "fit_polynomial",
    "gaussian_points",
    "gaussian_ridge",
    "gram_moments",
    "hermite_gram",
    "interpolation_loss",
    "learn_every_mode",
    "learn_from_bags",
    "learned_degrees",
    "least_norm_parts",
    "multilinear_error",
    "nearest_neighbour",
    "noisy_data",
    "piecewise_linear_error",
    "population_ridge",
    "ridge_parts",
    "score_losses",
    "spectral_means",
    "spiked_covariance_band",
    "spiked_wigner_band",
    "teacher_loss",
    "tune_last_weight",
    "tuned_power_law",
    "tuned_ridge",
]
