"""Ridge, random-feature and kernel regression as done: data drawn, systems solved, risks counted."""

from simulations.kernel_regression.designs import (
    PopulationFit,
    RidgeFit,
    cube_modes,
    gaussian_ridge,
    learn_every_mode,
    population_ridge,
    teacher_loss,
)
from simulations.kernel_regression.interpolation import (
    Neighbour,
    multilinear_error,
    nearest_neighbour,
    piecewise_linear_error,
)
from simulations.kernel_regression.power_law import TunedRisk, interpolation_loss, tuned_power_law

__all__ = [
    "Neighbour",
    "PopulationFit",
    "RidgeFit",
    "TunedRisk",
    "cube_modes",
    "gaussian_ridge",
    "interpolation_loss",
    "learn_every_mode",
    "multilinear_error",
    "nearest_neighbour",
    "piecewise_linear_error",
    "population_ridge",
    "teacher_loss",
    "tuned_power_law",
]
