"""Information-theoretic bounds on generalisation: finite networks, Gaussian problems, and noisy layers."""

from theory.generalization._contraction import (
    dropconnect_contraction,
    dropout_contraction,
    gaussian_noise_contraction,
)
from theory.generalization._gaussian_learning import (
    ClassMeanErrors,
    LocationInformation,
    class_mean_errors,
    gaussian_layer_kl,
    gaussian_layer_wasserstein,
    gaussian_location_bound,
    gaussian_location_gap,
    gaussian_location_information,
    wasserstein_layer_bounds,
)
from theory.generalization._information_measures import (
    GibbsResult,
    gibbs_generalization,
    individual_sample_bound,
    layerwise_kl,
    mutual_information_bound,
)

__all__ = [
    "ClassMeanErrors",
    "GibbsResult",
    "LocationInformation",
    "class_mean_errors",
    "dropconnect_contraction",
    "dropout_contraction",
    "gaussian_layer_kl",
    "gaussian_layer_wasserstein",
    "gaussian_location_bound",
    "gaussian_location_gap",
    "gaussian_location_information",
    "gaussian_noise_contraction",
    "gibbs_generalization",
    "individual_sample_bound",
    "layerwise_kl",
    "mutual_information_bound",
    "wasserstein_layer_bounds",
]
