"""What the layers of a network do to single inputs: variances, and all that the recursion over pairs needs of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theory.ntk._recursion import ERF, RECTIFIER, SERIES, TILE, UNROLL, ErfLayers, Layers
from theory.ntk.activations import Activation
from theory.ntk.dual import warn_if_incomplete
from theory.ntk.quadrature import hermite_series

Array = NDArray[np.float64]
Index = NDArray[np.intp]


class Directions:
    """Unit vectors of inputs, and squared norms over the dimension."""

    def __init__(self, x: Array):
        n, d = x.shape
        largest = np.max(np.abs(x), axis=1, initial=0.0)
        largest = np.where(largest > 0, largest, 1.0)
        self.rows = np.zeros((n, d + -d % UNROLL))
        self.rows[:, :d] = x / largest[:, None]
        square = np.zeros(n)
        for k in range(d):  # in a fixed order: an input has the same norm wherever it stands
            square += self.rows[:, k] ** 2
        self.rows /= np.where(square > 0, np.sqrt(square), 1.0)[:, None]
        self.square = square * (largest * largest / d)

    def tiles(self) -> Array:
        """Return the unit vectors in columns, a tile after the other, the last one filled up with zeros."""
        return _tiles(np.pad(self.rows.T, ((0, 0), (0, -len(self.rows) % TILE))))


def _tiles(columns: Array) -> Array:
    """Turn (..., k, m) into tiles (..., m / TILE, k TILE), each contiguous."""
    *leading, k, m = columns.shape
    tiled = np.moveaxis(columns.reshape(*leading, k, m // TILE, TILE), -2, -3)
    return np.ascontiguousarray(tiled).reshape(*leading, m // TILE, k * TILE)


class Side(NamedTuple):
    """A law for the inputs on one side of the kernel matrix."""

    layers: Layers
    erf: ErfLayers
    series: Array


class Law(NamedTuple):
    """What all layers do to inputs, one column for each of the variances that occur."""

    kind: int
    bend: float
    layers: Layers
    erf: ErfLayers
    series: Array  # (n_hidden, terms, variances)

    def rows(self, index: Index) -> Side:
        """Return the law for inputs in rows, by the index of their variance."""
        series = np.ascontiguousarray(self.series[:, :, index].transpose(0, 2, 1))
        return Side(_take(self.layers, index), _take(self.erf, index), series)

    def columns(self, index: Index) -> Side:
        """Return the law for inputs in columns, filled up to a whole number of tiles."""
        index = np.concatenate([index, np.zeros(-index.size % TILE, dtype=index.dtype)])
        return Side(_take(self.layers, index), _take(self.erf, index), _tiles(self.series[:, :, index]))


def _take(parts: Layers | ErfLayers, index: Index):
    return type(parts)(*(np.ascontiguousarray(part[..., index]) for part in parts))


def propagate(square: Array, activation: Activation, *, n_hidden: int, weight_std: float, bias_std: float) -> Law:
    """Follow inputs with the squared norms ``square``, over the dimension, through all layers."""
    step: Callable[[Array, Activation], tuple[Array, Any]]
    if activation.slopes is not None:
        kind, step = RECTIFIER, _rectified
    elif activation.name == "erf":
        kind, step = ERF, _through_erf
    else:
        kind, step = SERIES, _expanded
    mean_square = square
    c: list[Array] = []
    e: list[Array] = []
    extras: list[Any] = []
    for layer in range(n_hidden + 1):
        variance = weight_std**2 * mean_square + bias_std**2
        positive = variance > 0
        root = np.sqrt(variance)
        e.append(np.where(positive, 1.0, 0.0) / np.where(positive, root, 1.0))
        c.append(weight_std * np.sqrt(mean_square) * e[-1])
        if layer < n_hidden:
            mean_square, extra = step(variance, activation)
            extras.append(extra)
    nothing = np.zeros((0, square.size))
    erf, series = ErfLayers(nothing, nothing, nothing, nothing), np.zeros((0, 0, square.size))
    if kind == ERF and extras:
        erf = ErfLayers(*map(np.stack, zip(*extras, strict=True)))
    if kind == SERIES and extras:
        terms = max(len(extra) + len(extra) % 2 for extra in extras)
        series = np.zeros((n_hidden, terms, square.size))
        for layer, extra in enumerate(extras):
            series[layer, : len(extra)] = weight_std * e[layer + 1] * extra
    return Law(kind, _bend(activation), Layers(np.stack(c), np.stack(e), root), erf, series)


def _bend(activation: Activation) -> float:
    low, high = activation.slopes or (1.0, 1.0)
    squares = low**2 + high**2
    return (high - low) ** 2 / squares if squares > 0 else 0.0


def _rectified(variance: Array, activation: Activation) -> tuple[Array, None]:
    low, high = activation.slopes or (1.0, 1.0)
    return 0.5 * (low**2 + high**2) * variance, None


def _through_erf(variance: Array, activation: Activation) -> tuple[Array, ErfLayers]:
    rest = 1 / (1 + 2 * variance)
    square = 2 * variance * rest
    outer = square > 0.5  # the complement keeps the digits of arcsin near 1
    arc = np.where(outer, np.pi / 2 - 2 * np.arcsin(np.sqrt(rest / 2)), np.arcsin(np.where(outer, 0.0, square)))
    r, m = np.sqrt(square), np.sqrt(arc)
    slope = np.where(m > 0, r, 1.0) / np.where(m > 0, m, 1.0)
    return 2 / np.pi * arc, ErfLayers(r, rest, m, slope)


def _expanded(variance: Array, activation: Activation) -> tuple[Array, Array]:
    series = hermite_series(activation.value, variance)
    warn_if_incomplete(series.lost, activation, stacklevel=4)
    return np.sum(series.coefficients**2, axis=-1), series.coefficients.T
