"""Kernel and ridge regression in high dimension: learning curves, scaling laws, spectra of random matrices."""

from theory.kernel_regression.aggregates import (
    OptimalInstanceWeight,
    aggregate_fit,
    aggregate_loss,
    aggregate_risk,
    aggregate_risk_finite,
    optimal_instance_weight,
    private_noise_var,
)
from theory.kernel_regression.best_ridge import OptimalRidge, optimal_ridge
from theory.kernel_regression.curvature import (
    ClusterOutliers,
    HessianSplit,
    cluster_hessian_outliers,
    gauss_newton_rank_bound,
    hessian_split,
)
from theory.kernel_regression.denoising import denoising_gap, denoising_gap_discrete
from theory.kernel_regression.eigenframework import (
    EigenframeworkResult,
    krr_risk,
    learnability,
    rf_risk,
    solve_kappa_gamma,
)
from theory.kernel_regression.marchenko_pastur import Support, mp_density, mp_stieltjes, mp_support
from theory.kernel_regression.power_law import (
    powerlaw_critical_noise,
    powerlaw_fitting_ratio,
    powerlaw_krr_risk,
    powerlaw_relative_risk,
)
from theory.kernel_regression.ridge import (
    OptimalRidgeRisk,
    RidgeRisk,
    optimal_ridge_isotropic,
    ridge_risk,
    ridge_risk_isotropic,
    ridgeless_risk_finite,
    ridgeless_risk_isotropic,
)
from theory.kernel_regression.scaling import (
    linear_interpolation_mse_1d,
    multilinear_interpolation_mse,
    nearest_neighbor_mean_sq_distance,
    resolution_limited_loss,
    teacher_student_loss,
)
from theory.kernel_regression.self_distillation import (
    optimal_distillation_weight,
    self_distillation_crossing,
    self_distillation_fit,
    self_distillation_predict,
    self_distillation_rate,
    self_distillation_shrinkage,
    self_distillation_weights,
)
from theory.kernel_regression.silverstein import companion_stieltjes, spectral_density, spectral_edges
from theory.kernel_regression.spectra import KernelSpectrum, cube_spectrum, kernel_spectrum
from theory.kernel_regression.spikes import (
    Outlier,
    batch_hessian_outlier,
    effective_batch_size,
    spiked_covariance_outlier,
    wigner_outlier,
)

__all__ = [
    "ClusterOutliers",
    "EigenframeworkResult",
    "HessianSplit",
    "KernelSpectrum",
    "OptimalInstanceWeight",
    "OptimalRidge",
    "OptimalRidgeRisk",
    "Outlier",
    "RidgeRisk",
    "Support",
    "aggregate_fit",
    "aggregate_loss",
    "aggregate_risk",
    "aggregate_risk_finite",
    "batch_hessian_outlier",
    "cluster_hessian_outliers",
    "companion_stieltjes",
    "cube_spectrum",
    "denoising_gap",
    "denoising_gap_discrete",
    "effective_batch_size",
    "gauss_newton_rank_bound",
    "hessian_split",
    "kernel_spectrum",
    "krr_risk",
    "learnability",
    "linear_interpolation_mse_1d",
    "mp_density",
    "mp_stieltjes",
    "mp_support",
    "multilinear_interpolation_mse",
    "nearest_neighbor_mean_sq_distance",
    "optimal_distillation_weight",
    "optimal_instance_weight",
    "optimal_ridge",
    "optimal_ridge_isotropic",
    "powerlaw_critical_noise",
    "powerlaw_fitting_ratio",
    "powerlaw_krr_risk",
    "powerlaw_relative_risk",
    "private_noise_var",
    "resolution_limited_loss",
    "rf_risk",
    "ridge_risk",
    "ridge_risk_isotropic",
    "ridgeless_risk_finite",
    "ridgeless_risk_isotropic",
    "self_distillation_crossing",
    "self_distillation_fit",
    "self_distillation_predict",
    "self_distillation_rate",
    "self_distillation_shrinkage",
    "self_distillation_weights",
    "solve_kappa_gamma",
    "spectral_density",
    "spectral_edges",
    "spiked_covariance_outlier",
    "teacher_student_loss",
    "wigner_outlier",
]
