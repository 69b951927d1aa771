"""The small models behind classical bounds, enumerated or sampled: coins, classes on few points, trained models."""

from simulations.generalization._coins import (
    coin_sum_tail,
    enumerate_coin_tail,
    enumerate_exponential_divergence,
    largest_bias,
    mean_exponential_divergence,
    smallest_catoni,
    smallest_cumulant,
)
from simulations.generalization._complexities import (
    all_signs,
    count_dichotomies,
    finite_complexity,
    interval_labellings,
    largest_over_ball,
    linear_complexity,
    sampled_linear_complexity,
    shattered_dimension,
)
from simulations.generalization._posteriors import CRITERIA, WorstPosterior, minimise_catoni, worst_posterior
from simulations.generalization._training import (
    LOSSES,
    Replacement,
    least_squares_errors,
    minimise_regularised,
    refit_without_each,
    replace_one,
)
from simulations.generalization._violations import (
    EveryTrainingSet,
    StableLearner,
    every_training_set,
    sample_shrunken_means,
)

__all__ = [
    "CRITERIA",
    "LOSSES",
    "EveryTrainingSet",
    "Replacement",
    "StableLearner",
    "WorstPosterior",
    "all_signs",
    "coin_sum_tail",
    "count_dichotomies",
    "enumerate_coin_tail",
    "enumerate_exponential_divergence",
    "every_training_set",
    "finite_complexity",
    "interval_labellings",
    "largest_bias",
    "largest_over_ball",
    "least_squares_errors",
    "linear_complexity",
    "mean_exponential_divergence",
    "minimise_catoni",
    "minimise_regularised",
    "refit_without_each",
    "replace_one",
    "sample_shrunken_means",
    "sampled_linear_complexity",
    "shattered_dimension",
    "smallest_catoni",
    "smallest_cumulant",
    "worst_posterior",
]
