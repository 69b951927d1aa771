"""Phases of the modes over weight decay and depth: collapsed, metastable, bistable, or standing alone."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory import validation
from theory.neural_collapse import _checks, modes
from theory.neural_collapse.targets import target_modes

Array = NDArray[np.float64]


class Phase(IntEnum):
    """What becomes of a mode: which of zero and a nonzero value are minima, and which is the global one."""

    COLLAPSED = 0
    """Zero is the only minimum."""
    METASTABLE = 1
    """Zero is the global minimum, a nonzero value a local one (M >= 2 only)."""
    BISTABLE = 2
    """A nonzero value is the global minimum, zero a local one (M >= 2 only)."""
    ALONE = 3
    """A nonzero value is the only minimum (M = 1 only)."""


@dataclass(frozen=True, eq=False)
class PhaseDiagram:
    """Modes over decay and depth; see :func:`phase_diagram`. The last axis is the mode, by descending target.

    Attributes
    ----------
    target_singular_values : ndarray, shape (K,)
        s of each mode.
    relative_decay : ndarray, shape (..., K)
        b of each mode, infinite for a mode without target.
    strength : ndarray, shape (..., K)
        sigma / s in the global minimum.
    stationary_strength : ndarray, shape (..., K)
        sigma / s on the nonzero branch, minimum or local minimum, and 0 beyond the fold.
    phase : ndarray of int, shape (..., K)
        Values of :class:`Phase`.
    loss : ndarray, shape (...)
        Global minimum of the objective.
    """

    target_singular_values: Array
    relative_decay: Array
    strength: Array
    stationary_strength: Array
    phase: NDArray[np.int64]
    loss: Array

    @property
    def surviving(self) -> NDArray[np.int64]:
        """Number of modes that are not zero in the global minimum, shape (...)."""
        return np.count_nonzero(self.phase >= Phase.BISTABLE, axis=-1)

    def __repr__(self) -> str:
        counts = ", ".join(f"{phase.name.lower()} {int(np.sum(self.phase == phase))}" for phase in Phase)
        return f"PhaseDiagram({self.phase.shape[-1]} modes on a grid {self.loss.shape}: {counts})"


def phase_diagram(decay: ArrayLike, depth: ArrayLike, *, class_sizes: ArrayLike, bias: bool = False) -> PhaseDiagram:
    r"""Which modes survive weight decay, and how strongly, over decays and depths.

    Squared error with M linear layers over free features, no layer narrower than the number of classes. Of the decays
    only the geometric mean :math:`\Lambda` of all M + 1 (features included) matters:

    .. math:: b_k = M \bigl(N \Lambda\bigr)^{(M+1)/M} s_k^{-2} ,

    a mode survives when b_k < :func:`collapse_threshold`, and stays a local minimum up to :func:`fold_threshold`.
    Vectorised over the grid. Costs O(K) an entry of the grid, and O(K^3) once.

    Parameters
    ----------
    decay : array_like
        Lambda > 0, or the common decay of all factors.
    depth : array_like of int
        M >= 1; broadcasts with ``decay`` (pass ``decay[:, None]`` for a grid).
    class_sizes : array_like of int, shape (K,)
        Samples n_k of each class, K >= 2.
    bias : bool
        Whether the head has a free bias without decay.

    Returns
    -------
    PhaseDiagram
        With arrays of the joint shape of ``decay`` and ``depth``, then modes.

    Raises
    ------
    TypeError
        If depths or class sizes are not integers.
    ValueError
        If an argument is out of range, or ``decay`` and ``depth`` do not broadcast.

    References
    ----------
    Dang et al. (2023), arXiv:2301.00437; the fold and the local minima follow from the same scalar problem.

    Examples
    --------
    >>> phase_diagram([0.05, 0.09], 2, class_sizes=[4, 4, 4])
    PhaseDiagram(3 modes on a grid (2,): collapsed 0, metastable 3, bistable 3, alone 0)
    """
    lam = validation.positive("decay", decay)
    m = _checks.depths("depth", depth)
    sizes = _checks.class_sizes("class_sizes", class_sizes)
    free_bias = _checks.flag("bias", bias)
    try:
        lam, m = np.broadcast_arrays(lam, m)
    except ValueError:
        raise ValueError(f"decay and depth must broadcast; got shapes {lam.shape} and {m.shape}") from None

    s = target_modes(sizes, free_bias).singular_values
    n = float(sizes.sum())
    layers = m[..., None]
    tilt = modes.log_tilt(s, np.log(n), np.log(lam)[..., None], layers)
    stationary, _ = modes.stationary_strength(tilt, layers)
    strength, gap = modes.surviving_strength(tilt, layers)
    phase = np.where(
        strength > 0,
        np.where(layers == 1, Phase.ALONE, Phase.BISTABLE),
        np.where((stationary > 0) & (layers > 1), Phase.METASTABLE, Phase.COLLAPSED),
    )
    return PhaseDiagram(
        target_singular_values=s,
        relative_decay=modes.relative_decay(tilt, layers),
        strength=strength,
        stationary_strength=stationary,
        phase=phase,
        loss=modes.mode_loss(s, strength, gap, num_samples=n, depth=layers).sum(axis=-1),
    )
