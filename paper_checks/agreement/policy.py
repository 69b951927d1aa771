"""Every threshold that all claims share.

A claim states only what belongs to its problem: the rtol or accuracy of its arithmetic, the margin of its
approximation, and the coarsest resolution that it accepts.
"""

import numpy as np

LEVEL = 1e-6  # family-wise false-alarm level of one statistical claim
MIN_REPLICATES = 30
MAX_SKEW_EFFECT = 1.0  # largest tolerated relative distortion of the tail by skewness
MAX_EXPONENT_WIDTH = 0.15  # full width of the interval of a fitted exponent
ORDER_TOLERANCE = 0.1  # observed order of convergence against the claimed one
COEFFICIENT_TOLERANCE = 0.01  # leading coefficient of a convergence study, at least this much is granted
MIN_STEPS = 4
MIN_SIZES = 4
ROUNDINGS = 100  # errors of a convergence study must exceed this many roundings
ROUNDING = 64 * float(np.finfo(float).eps)  # relative slack granted to floating point in statistical rules
GEOMETRIC_TOLERANCE = 0.1  # how far the ratios of sizes may stray from a geometric progression
