"""Sums over a spectrum as functions of the logarithm of a ridge: directly, or from a table that costs O(1) a point.

With weights m, eigenvalues lambda, squared coefficients v^2 and gamma = exp(t), five sums are all that learning curves
need:

    z = sum m lambda / (lambda + gamma)              q = sum m lambda^2 / (lambda + gamma)^2
    s = sum m lambda gamma / (lambda + gamma)^2      (z - q without cancellation)
    b = sum m v^2 gamma^2 / (lambda + gamma)^2       c = sum m v^2 lambda gamma / (lambda + gamma)^2

All are analytic in the strip |Im t| < pi, so that Chebyshev interpolation on pieces of length two reaches rounding
with twenty nodes.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.fft import dct

Array = NDArray[np.float64]

_NODES = 20
_HALF = 1.0  # half the length of a piece
_FEW = 4  # points up to which sums over the spectrum cost less than a table
# Powers of gamma by which z, s, q, b and c are multiplied in a table, so that each varies little over a piece.
_POWERS = np.array([0.5, 0.0, 1.0, -1.0, 0.0])


class Modes(Protocol):
    """What a solver must know of a spectrum to bracket its effective ridge."""

    @property
    def modes(self) -> float:
        """How many modes there are."""
        ...

    @property
    def trace(self) -> float:
        """Sum of all eigenvalues."""
        ...

    def ridge_below(self, degrees: Array) -> Array:
        """Return a ridge at which z is at least ``degrees``, zero where only that will do."""
        ...


class Spectrum(NamedTuple):
    """Positive eigenvalues, how often each occurs, and the squared coefficient of each single mode of it."""

    eigenvalues: Array
    multiplicities: Array
    coefficients_sq: Array

    @property
    def modes(self) -> float:
        """How many modes there are; a real number where multiplicities are."""
        return float(self.multiplicities.sum())

    @property
    def trace(self) -> float:
        """Sum of all eigenvalues."""
        return float(self.multiplicities @ self.eigenvalues)

    @property
    def signal(self) -> float:
        """Sum of all squared coefficients."""
        return float(self.multiplicities @ self.coefficients_sq)

    def ridge_below(self, degrees: Array) -> Array:
        """Return a ridge at which z is at least ``degrees``, zero where only that will do."""
        return self.eigenvalues.min() * np.maximum(self.modes / degrees - 1, 0.0)


class Sums(Protocol):
    """Something that evaluates the first ``parts`` of z, s, q, b, c at logarithms t of gamma, as (parts, ...)."""

    def __call__(self, t: Array, parts: int = 5) -> Array:
        """Evaluate at t, any shape."""
        ...


def spectral_sums(spectrum: Spectrum, points: int) -> Sums:
    """Choose the cheaper way to evaluate sums at about ``points`` ridges: O(M) each, or O(M) for each piece touched."""
    return DirectSums(spectrum) if points <= _FEW else TabulatedSums(spectrum)


class DirectSums:
    """Sums over all M eigenvalues at every point. Costs O(M) a point."""

    def __init__(self, spectrum: Spectrum) -> None:
        self._inverse = 1 / spectrum.eigenvalues
        self._weights = spectrum.multiplicities
        self._signal = spectrum.multiplicities * spectrum.coefficients_sq

    def __call__(self, t: Array, parts: int = 5) -> Array:
        """Evaluate at t, any shape."""
        gamma = np.exp(t)
        found = _sum_over_modes(gamma.ravel(), self._inverse, self._weights, self._signal)
        return found[:parts].reshape(parts, *np.shape(t))


class TabulatedSums:
    """Sums from Chebyshev series on pieces of the axis of t, each summed when first needed: O(20 M) a piece."""

    def __init__(self, spectrum: Spectrum) -> None:
        self._direct = DirectSums(spectrum)
        self._series: dict[int, Array] = {}

    def __call__(self, t: Array, parts: int = 5) -> Array:
        """Evaluate at t, any shape."""
        flat = np.ravel(t)
        pieces = np.floor(flat / (2 * _HALF)).astype(np.int64)
        needed, place = np.unique(pieces, return_inverse=True)
        series = np.stack([self._of_piece(int(piece)) for piece in needed])
        x = flat / _HALF - 2 * pieces - 1  # in [-1, 1)
        return _clenshaw(series, place.reshape(-1), x, _POWERS, _HALF, parts).reshape(parts, *np.shape(t))

    def _of_piece(self, piece: int) -> Array:
        """Return the Chebyshev coefficients (5, nodes) of the scaled sums on one piece."""
        if piece not in self._series:
            x = np.cos(np.pi * (np.arange(_NODES) + 0.5) / _NODES)
            values = self._direct(_HALF * (x + 2 * piece + 1)) * np.exp(_POWERS[:, None] * _HALF * x)
            coefficients = dct(values, type=2, axis=1) / _NODES
            coefficients[:, 0] /= 2
            self._series[piece] = coefficients
        return self._series[piece]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _sum_over_modes(gamma, inverse, weights, signal):
    found = np.zeros((5, gamma.size))
    block = 4096  # partial sums keep rounding errors small
    for j in range(gamma.size):
        for start in range(0, inverse.size, block):
            z = s = q = b = c = 0.0
            for i in range(start, min(start + block, inverse.size)):
                ratio = gamma[j] * inverse[i]
                kept = 1.0 / (1.0 + ratio)
                lost = ratio * kept if ratio < 1e300 else 1.0
                m, v = weights[i], signal[i]
                z += m * kept
                s += m * (kept * lost)
                q += m * (kept * kept)
                b += v * (lost * lost)
                c += v * (kept * lost)
            found[0, j] += z
            found[1, j] += s
            found[2, j] += q
            found[3, j] += b
            found[4, j] += c
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _clenshaw(series, place, x, powers, half, parts):
    found = np.empty((parts, x.size))
    for j in range(x.size):
        for f in range(parts):
            coefficients = series[place[j], f]
            later = latest = 0.0
            for i in range(coefficients.size - 1, 0, -1):
                later, latest = 2 * x[j] * later - latest + coefficients[i], later
            found[f, j] = (x[j] * later - latest + coefficients[0]) * np.exp(-powers[f] * half * x[j])
    return found
