"""Powers of the width, followed through gradient descent on a network with hidden layers of equal width.

Every vector and matrix of a training run is replaced by the power of n of its coordinates. Sums take the larger power.
A sum of n products adds 1/2 where the factors are independent and centred, and 1 where one was made from the other.
Powers are integers in units of 1 / UNIT, so that nothing is rounded, and arrays of them stand for many networks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Powers = NDArray[np.int64]

UNIT = 24
ONE, HALF = UNIT, UNIT // 2
ABSENT = -(10**6) * UNIT  # the power of what is zero


class WidthPowers(NamedTuple):
    """Powers of n, in units of 1 / UNIT.

    ``start`` and ``changes`` are those of the preactivations of hidden layers, (..., L), at the start and of what they
    change by while training; ``output`` and ``output_change`` (...) those of the output; ``kernel_change`` (...) that
    of the change of the tangent kernel.
    """

    start: Powers
    output: Powers
    changes: Powers
    output_change: Powers
    kernel_change: Powers


def follow_powers(a: ArrayLike, b: ArrayLike, c: ArrayLike, *, n_steps: int = 3) -> WidthPowers:
    """Follow powers through ``n_steps`` of gradient descent towards targets of order one.

    Parameters
    ----------
    a, b : array_like of int (..., L + 1)
        Exponents of multipliers and of standard deviations, in units of 1 / UNIT.
    c : array_like of int (...)
        Exponent of the learning rate.
    n_steps : int
        From the second step on, the trained readout takes part in the gradient.
    """
    run = _Run(np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64), np.asarray(c, dtype=np.int64))
    for _ in range(n_steps):
        run.step()
    return run.found()


class _Run:
    """Layers 0, ..., L - 1 are hidden, L is the readout.

    What descends from the readout as it was drawn, ``aligned`` with it, is kept apart from the rest, since only the
    former adds up coherently when the readout is applied to it again.
    """

    def __init__(self, a: Powers, b: Powers, c: Powers):
        self.depth = a.shape[-1] - 1
        self.drawn = np.moveaxis(-a - b, -1, 0)
        self.gain = np.moveaxis(-2 * a - c[..., None], -1, 0)  # of an outer product that a step adds
        nothing = np.full(c.shape, ABSENT)
        self.entering = [np.zeros_like(nothing)]  # the input, then activities at the start
        for layer in range(self.depth):
            spread = HALF if layer else 0
            self.entering.append(self.drawn[layer] + self.entering[-1] + spread)
        self.output = self.drawn[-1] + self.entering[-1] + HALF
        self.aligned, self.other = [nothing] * (self.depth + 1), [nothing] * (self.depth + 1)  # changes of the same
        self.deltas = [(nothing, nothing)] * (self.depth + 1)  # left factors of the outer products: aligned, other
        self.output_change = self.kernel_change = nothing

    def activity(self, layer: int) -> Powers:
        """Return the power of what enters a layer now."""
        return np.maximum(self.entering[layer], self.change(layer))

    def change(self, layer: int) -> Powers:
        """Return the power of its change since the start."""
        return np.maximum(self.aligned[layer], self.other[layer])

    def added(self, layer: int) -> Powers:
        """Return what multiplies the left factors of outer products when these meet what enters the layer."""
        coherent = ONE if layer else 0
        return self.gain[layer] + 2 * self.activity(layer) + coherent

    def backward(self) -> tuple[list[tuple[Powers, Powers]], list[Powers]]:
        """Gradients of the output behind every layer, as they are, aligned and other, and their changes."""
        nothing = np.full_like(self.output, ABSENT)
        gradients = [(np.zeros_like(nothing), nothing)]  # of the output itself
        changes = [nothing]
        for layer in range(self.depth, 0, -1):
            aligned, other = gradients[-1]
            last = layer == self.depth
            spread, coherent = (0, 0) if last else (HALF, ONE)
            through = np.maximum(*self.deltas[layer]) + np.maximum(aligned, other) + coherent
            learned = self.gain[layer] + self.activity(layer) + through
            now = (self.drawn[layer] + aligned + spread, np.maximum(self.drawn[layer] + other + spread, learned))
            moved = np.maximum(self.drawn[layer] + changes[-1] + spread, learned)
            # the slope of the activation moves with its argument
            gradients.append(now)
            changes.append(np.maximum(moved, np.maximum(*now) + np.minimum(self.change(layer), 0)))
        return gradients[::-1], changes[::-1]

    def step(self) -> None:
        """Add outer products to every layer, and push the changes forward."""
        gradients, _ = self.backward()
        residual = np.maximum(np.maximum(self.output, self.output_change), 0)
        for layer, (aligned, other) in enumerate(gradients):
            before = self.deltas[layer]
            self.deltas[layer] = (
                np.maximum(before[0], aligned + residual),
                np.maximum(before[1], other + residual),
            )
        for layer in range(self.depth):
            spread = self.drawn[layer] + (HALF if layer else 0)
            learned = self.added(layer)
            self.aligned[layer + 1] = np.maximum(self.aligned[layer] + spread, self.deltas[layer][0] + learned)
            self.other[layer + 1] = np.maximum(self.other[layer] + spread, self.deltas[layer][1] + learned)
        by_features = np.maximum(self.aligned[-1] + ONE, self.other[-1] + HALF) + self.drawn[-1]
        self.output_change = np.maximum(by_features, self.deltas[-1][0] + self.added(self.depth))
        self._move_kernel()

    def _move_kernel(self) -> None:
        gradients, changes = self.backward()
        for layer in range(self.depth + 1):
            size, moved = np.maximum(*gradients[layer]), changes[layer]
            coherent = (ONE if layer < self.depth else 0) + (ONE if layer else 0)
            in_gradients = size + moved + 2 * self.activity(layer)
            in_activities = 2 * size + self.activity(layer) + self.change(layer)
            power = self.gain[layer] + coherent + np.maximum(in_gradients, in_activities)
            self.kernel_change = np.maximum(self.kernel_change, power)

    def found(self) -> WidthPowers:
        """Collect the powers."""
        changes = np.stack([self.change(layer) for layer in range(1, self.depth + 1)], axis=-1)
        start = np.stack(self.entering[1:], axis=-1)
        return WidthPowers(start, self.output, changes, self.output_change, self.kernel_change)
