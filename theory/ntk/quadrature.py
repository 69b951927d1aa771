"""Means under a Gaussian, and Hermite coefficients, by the trapezoidal rule.

For functions that are analytic in a strip around the real line the trapezoidal rule converges exponentially, and it
spends its nodes where the Gaussian is, while those of Gauss-Hermite spread out as the square root of their number: a
tanh of variance 1 costs 160 Gauss-Hermite nodes for ten digits and about 80 equidistant ones for sixteen.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.validation import integer, nonnegative

Array = NDArray[np.float64]

REACH = 16.0  # standard deviations: half the Gaussian's exponent leaves exp(-64) there
LOST = 1e-14  # share that a series may lack before it is lengthened
CHUNK = 2**18  # variances times nodes evaluated at a time
MAX_TERMS = 2560


class Rule(NamedTuple):
    """Nodes of N(0, 1) and weights, so that ``weights @ f(nodes)`` is the mean of f."""

    nodes: Array
    weights: Array


@lru_cache(maxsize=32)
def gaussian_rule(n_nodes: int = 641) -> Rule:
    """Return the trapezoidal rule for N(0, 1) with ``n_nodes`` equidistant nodes within 16 standard deviations."""
    nodes, step = np.linspace(-REACH, REACH, integer("n_nodes", n_nodes, minimum=3), retstep=True)
    weights = np.exp(-0.5 * nodes * nodes) * step / np.sqrt(2 * np.pi)
    for array in (nodes, weights):
        array.setflags(write=False)
    return Rule(nodes, weights)


def gaussian_mean(function: Callable[[Array], Array], variance: ArrayLike, *, n_nodes: int = 641) -> Array:
    r"""Mean of a function under :math:`N(0, K)`, for every variance K.

    Exponentially accurate for functions analytic in a strip of half-width s about the real line: with the spacing h =
    32 / (n_nodes - 1) of the nodes, the error is about :math:`\exp(-2 \pi s / (h \sqrt K))`. With a kink it is
    O(h^2). Costs O(n_nodes) evaluations a variance.

    Parameters
    ----------
    function : callable
        Elementwise on arrays, of shape (..., n_nodes) in and out; sees z itself, not z / sqrt(K).
    variance : array_like, shape (...)
        K >= 0.
    n_nodes : int
        Number of nodes.

    Returns
    -------
    array, shape (...)

    Examples
    --------
    >>> print(gaussian_mean(lambda z: z**4, 2.0).round(12))
    12.0
    """
    k = nonnegative("variance", variance)
    rule = gaussian_rule(n_nodes)
    return function(np.sqrt(k)[..., None] * rule.nodes) @ rule.weights


def _nodes(n_terms: int) -> int:
    return 4 * max(n_terms, 160) + 1


@lru_cache(maxsize=8)
def _projector(n_terms: int) -> tuple[Array, Array]:
    """Nodes (Q,), and the matrix (Q, n_terms) that turns values there into orthonormal Hermite coefficients."""
    nodes, weights = gaussian_rule(_nodes(n_terms))
    root = np.sqrt(weights)
    functions = np.empty((n_terms, nodes.size))
    functions[0] = root
    if n_terms > 1:
        functions[1] = nodes * root
    for j in range(1, n_terms - 1):
        functions[j + 1] = (nodes * functions[j] - np.sqrt(j) * functions[j - 1]) / np.sqrt(j + 1)
    projector = np.ascontiguousarray((functions * root).T)
    projector.setflags(write=False)
    return nodes, projector


def hermite_coefficients(function: Callable[[Array], Array], variance: ArrayLike, *, n_terms: int = 160) -> Array:
    r"""Coefficients :math:`a_j(K) = E[\phi(\sqrt K z) h_j(z)]` on orthonormal Hermite polynomials, z ~ N(0, 1).

    :math:`\phi(\sqrt K z) = \sum_j a_j h_j(z)` in mean square, :math:`h_j = He_j / \sqrt{j!}`. By the trapezoidal
    rule with 4 ``n_terms`` + 1 nodes, at least 641. Costs O(N n_terms^2) for N variances, as one matrix product.

    Parameters
    ----------
    function : callable
        phi, elementwise.
    variance : array_like, shape (...)
        K >= 0.
    n_terms : int
        Number of coefficients, from j = 0.

    Returns
    -------
    array, shape (..., n_terms)

    Examples
    --------
    >>> print(abs(hermite_coefficients(lambda z: z**2, 1.0, n_terms=4)).round(6))  # 1 + sqrt(2) h_2
    [1.       0.       1.414214 0.      ]
    """
    k = nonnegative("variance", variance)
    nodes, projector = _projector(integer("n_terms", n_terms, minimum=1))
    flat = np.sqrt(k).reshape(-1, 1)
    found = np.empty((flat.shape[0], n_terms))
    rows = max(1, CHUNK // nodes.size)
    for first in range(0, flat.shape[0], rows):
        found[first : first + rows] = function(flat[first : first + rows] * nodes) @ projector
    return found.reshape(*k.shape, n_terms)


class Series(NamedTuple):
    """Hermite coefficients (..., J), and the largest share that they lack of the mean square of phi or its slope."""

    coefficients: Array
    lost: float


def hermite_series(function: Callable[[Array], Array], variance: ArrayLike, *, n_terms: int = 160) -> Series:
    r"""Hermite coefficients, as many as Parseval's identity asks for.

    ``n_terms`` of them, doubled until at every variance :math:`\sum_j a_j^2 = E[\phi^2]` to 1e-14 and the last quarter
    of the terms adds no more than that to :math:`\sum_j j a_j^2 = K E[\phi'^2]`, or until 2560 are reached; terms at
    the end that change nothing are dropped. Functions with a kink never get there.

    Parameters
    ----------
    function, variance, n_terms
        As for `hermite_coefficients`.

    Returns
    -------
    Series
    """
    k = nonnegative("variance", variance)
    while True:
        found = hermite_coefficients(function, k, n_terms=n_terms)
        square = gaussian_mean(lambda z: function(z) ** 2, k, n_nodes=_nodes(n_terms)) if k.size else np.zeros(k.shape)
        if not np.all(np.isfinite(square)):
            raise ValueError("activation must have a finite mean square under the Gaussian; got an infinite or NaN one")
        lack = np.abs(square - np.sum(found * found, axis=-1)) / np.where(square > 0, square, 1.0)
        slope = np.arange(n_terms) * found * found
        whole = slope.sum(axis=-1)
        last = slope[..., -(n_terms // 4) :].sum(axis=-1) / np.where(whole > 0, whole, 1.0)
        lost = float(np.max(np.maximum(lack, last), initial=0.0))
        if lost <= LOST or 2 * n_terms > MAX_TERMS:
            break
        n_terms *= 2
    return Series(found[..., : _effective_length(found)], lost)


def _effective_length(coefficients: Array) -> int:
    """Terms up to which the slope's mean square, sum of j a_j^2, is complete to rounding."""
    weighted = np.arange(coefficients.shape[-1]) * coefficients * coefficients
    tail = np.cumsum(weighted[..., ::-1], axis=-1)[..., ::-1]
    needed = np.any(tail > 1e-17 * tail[..., :1], axis=tuple(range(tail.ndim - 1)))
    return max(2, int(np.flatnonzero(needed)[-1]) + 1) if needed.any() else min(2, coefficients.shape[-1])
