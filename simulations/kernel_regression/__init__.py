"""Ridge, random-feature and kernel regression as done: data drawn, systems solved, risks counted."""

from simulations.kernel_regression.designs import (
    PopulationFit,
    RidgeFit,
    cube_modes,
    gaussian_ridge,
    learn_every_mode,
    population_ridge,
)
from simulations.kernel_regression.power_law import TunedRisk, tuned_power_law

__all__ = [
    "PopulationFit",
    "RidgeFit",
    "TunedRisk",
    "cube_modes",
    "gaussian_ridge",
    "learn_every_mode",
    "population_ridge",
    "tuned_power_law",
]
