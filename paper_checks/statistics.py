"""Intervals and tests that the statistical rules share; no threshold is decided here."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

_NOISELESS = 64 * float(np.finfo(float).eps)  # spread, relative to the values, that is rounding and no noise


class Interval(NamedTuple):
    """Means and half-widths per component, and how far skewness bends the tail of the interval.

    ``skew_effect`` is the largest abs(g) z^3 / (6 sqrt(R)): the first Edgeworth correction of the tail probability,
    relative to that probability, at the quantile z that the interval uses. Above 1 the interval is not to be trusted.
    """

    mean: Array
    half_width: Array
    skew_effect: float


def two_sided_quantiles(level: float, tests: int, degrees_of_freedom: int) -> tuple[float, float]:
    """Student-t and normal quantiles that ``tests`` two-sided tests at the joint ``level`` use (Bonferroni)."""
    tail = level / (2 * tests)
    return float(stats.t.isf(tail, degrees_of_freedom)), float(stats.norm.isf(tail))


def mean_interval(samples: Array, level: float) -> Interval:
    """Simultaneous t-intervals for the mean of ``samples`` (R, m) at the family-wise ``level``."""
    replicates, m = samples.shape
    t, z = two_sided_quantiles(level, m, replicates - 1)
    mean = samples.mean(axis=0)
    centred = samples - mean
    variance = np.mean(centred**2, axis=0)
    skewness = _skewness(np.mean(centred**3, axis=0), variance, np.max(np.abs(samples), axis=0))
    half_width = t * np.sqrt(variance / (replicates - 1))
    return Interval(mean, half_width, float(np.max(np.abs(skewness)) * z**3 / (6 * np.sqrt(replicates))))


def _skewness(third: Array, variance: Array, size: Array) -> Array:
    """Third moment over variance**1.5, and zero where the spread is but rounding of values of that ``size``."""
    noisy = variance > (_NOISELESS * size) ** 2
    return np.where(noisy, third, 0.0) / np.where(noisy, variance, 1.0) ** 1.5


def batch_means(samples: Array, batches: int) -> Array:
    """Average consecutive replicates into ``batches`` groups of equal length, dropping a remainder at the front."""
    length = samples.shape[0] // batches
    return samples[samples.shape[0] - length * batches :].reshape(batches, length, -1).mean(axis=1)


def holm_rejections(p_values: Array, level: float) -> NDArray[np.bool_]:
    """Which hypotheses Holm's step-down procedure rejects at the family-wise ``level``."""
    order = np.argsort(p_values)
    m = p_values.size
    passes = p_values[order] <= level / (m - np.arange(m))
    rejected = np.zeros(m, dtype=bool)
    rejected[order[: m if passes.all() else int(np.argmin(passes))]] = True
    return rejected


class Contrasts:
    """Linear contrasts over sizes of replicated measurements (K, R, m), judged by t-intervals over the replicates.

    A contrast of the K size means is the mean over replicates of the same contrast, so its standard error holds
    whether or not the sizes share random numbers.
    """

    def __init__(self, samples: Array):
        self.n_sizes, self.replicates, self.m = samples.shape
        self.mean = samples.mean(axis=1)  # (K, m)
        centred = samples - self.mean[:, None]
        self.covariance = np.einsum("irm,jrm->mij", centred, centred) / (self.replicates - 1)
        self.coskewness = np.empty((self.m, *(self.n_sizes,) * 3))
        for i in range(self.n_sizes):  # a pair at a time: all at once would hold K times the samples
            for j in range(i + 1):
                third = np.einsum("rm,krm->mk", centred[i] * centred[j], centred) / self.replicates
                self.coskewness[:, i, j] = self.coskewness[:, j, i] = third

    def variance(self) -> Array:
        """Variance of each size's mean, shape (K, m)."""
        return np.einsum("mii->im", self.covariance) / self.replicates

    def interval(self, weights: Array, *, t: float, z: float) -> Interval:
        """Intervals of the contrasts ``weights`` (m, c, K): mean and half-width have shape (c, m)."""
        mean = np.einsum("mck,km->cm", weights, self.mean)
        variance = np.einsum("mci,mij,mcj->cm", weights, self.covariance, weights)
        third = np.einsum("mci,mcj,mck,mijk->cm", weights, weights, weights, self.coskewness, optimize=True)
        skewness = _skewness(third, variance, np.einsum("mck,km->cm", np.abs(weights), np.abs(self.mean)))
        half_width = t * np.sqrt(np.maximum(variance, 0.0) / self.replicates)
        return Interval(mean, half_width, float(np.max(np.abs(skewness)) * z**3 / (6 * np.sqrt(self.replicates))))


def regression_weights(design: Array, variance: Array) -> tuple[Array, Array]:
    """Weighted least squares as contrasts: coefficients (m, p, K) and residuals (m, K, K).

    ``design`` is (K, p), ``variance`` (K, m); each component is fitted with weights 1 / variance.
    """
    root = 1 / np.sqrt(variance.T)  # (m, K)
    coefficients = np.linalg.pinv(root[:, :, None] * design) * root[:, None, :]
    return coefficients, np.eye(design.shape[0]) - design @ coefficients
