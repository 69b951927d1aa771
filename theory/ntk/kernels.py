"""NNGP and tangent kernels of fully connected networks of infinite width."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.ntk._layers import Directions, propagate
from theory.ntk._recursion import TILE, Sizes, fill
from theory.ntk.activations import ActivationLike, resolve
from theory.validation import finite, integer, positive, positive_scalar

Array = NDArray[np.float64]

PARAMETRIZATIONS = ("ntk", "standard")


class Kernels(NamedTuple):
    """Covariance of the outputs at initialisation, and the tangent kernel; both (N, M)."""

    nngp: Array
    ntk: Array


def nngp_ntk(
    x1: ArrayLike,
    x2: ArrayLike | None = None,
    *,
    n_hidden: int,
    activation: ActivationLike = "relu",
    weight_std: float = 1.0,
    bias_std: float = 0.1,
    parametrization: str = "ntk",
    widths: Sequence[float] | None = None,
    n_threads: int | None = None,
) -> Kernels:
    r"""NNGP kernel and neural tangent kernel of a fully connected network in the limit of infinite width.

    A layer is :math:`z^{l+1} = (\sigma_w / \sqrt{n_l}) W \phi(z^l) + \sigma_b b` with standard normal parameters, the
    first of them acting on x itself, with :math:`n_0 = d`. From :math:`\Sigma_1 = \sigma_w^2 x \cdot x' / d +
    \sigma_b^2 = \Theta_1`,

    .. math::
        \Sigma_{l+1} &= \sigma_w^2 E[\phi(u) \phi(v)] + \sigma_b^2, \\
        \Theta_{l+1} &= \Sigma_{l+1} + \sigma_w^2 E[\phi'(u) \phi'(v)] \Theta_l, \qquad (u, v) \sim N(0, \Sigma_l),

    up to :math:`\Sigma_L, \Theta_L` with L = ``n_hidden`` + 1.

    What is carried from layer to layer is not :math:`\Sigma_l` but 1 minus (or plus) its correlation, which never
    involves a difference of nearly equal numbers, so that entries of nearly equal or opposite inputs are as good as all
    others: about 1e-15 relative to :math:`\sqrt{\Theta(x, x) \Theta(x', x')}` for relu at any depth up to about 100.
    Saturating activations multiply what is rounded off by about :math:`2 \sigma_w^2` a layer. Exchanging ``x1`` and
    ``x2`` transposes the result to the last bit.

    Costs O(N M (d + n_hidden)) with closed forms (relu, leaky_relu, linear, erf), O(N M (d + J n_hidden)) with a
    Hermite series of J terms otherwise (J is 20 to 200 at variances of order one); half of that for ``x2=None``. Memory
    is the result's own 16 N M bytes, and 8 (N + M) (d + 8 n_hidden) bytes besides, or 8 (N + M) (d + J n_hidden).

    Parameters
    ----------
    x1 : array_like, shape (N, d)
        Inputs, one a row. Note the 1/d in the first layer: inputs of norm sqrt(d) make a variance of
        :math:`\sigma_w^2 + \sigma_b^2`.
    x2 : array_like, shape (M, d), optional
        More inputs; ``x1`` again when left out.
    n_hidden : int
        Number of hidden layers, at least 0.
    activation
        See `theory.ntk.activations.resolve`: a name, a pair, any function of arrays, or an `Activation`.
    weight_std, bias_std : float
        :math:`\sigma_w > 0` and :math:`\sigma_b \ge 0`.
    parametrization : {"ntk", "standard"}
        Which parameters gradient descent moves. "standard": those with the factors absorbed, weights of variance
        :math:`\sigma_w^2 / n_l` and biases of variance :math:`\sigma_b^2`. Then :math:`\Theta_{l+1} = n_l E[\phi \phi]
        + 1 + \sigma_w^2 E[\phi' \phi'] \Theta_l`, which needs the ``widths``. The 1 is there for any bias_std > 0, and
        is left out for bias_std = 0, which stands for a network without biases.
    widths : sequence of float, optional
        Widths n_1, ..., n_{n_hidden} of the hidden layers, for the standard parametrisation only.
    n_threads : int, optional
        Threads to use; as many as there are processors when left out.

    Returns
    -------
    Kernels
        ``nngp`` and ``ntk``, each of shape (N, M).

    Raises
    ------
    ValueError
        If a shape, a range or the parametrisation is wrong.

    Warns
    -----
    QuadratureWarning
        If the Hermite series of an activation is not complete to ten digits.

    References
    ----------
    Jacot, Gabriel and Hongler 2018, proposition 1 and theorem 1; Lee et al. 2018 (NNGP); Sohl-Dickstein et al. 2020
    (standard parametrisation).

    Examples
    --------
    >>> kernels = nngp_ntk([[1.0, 0.0], [0.0, 1.0]], n_hidden=1, weight_std=2**0.5, bias_std=0.0)
    >>> print(kernels.ntk.round(6))
    [[2.      0.31831]
     [0.31831 2.     ]]
    """
    first = finite("x1", x1, ndim=2)
    symmetric = x2 is None
    second = first if x2 is None else finite("x2", x2, ndim=2)
    if second.shape[1] != first.shape[1] or first.shape[1] == 0:
        raise ValueError(f"x2 must have as many columns as x1, {first.shape}, at least one; got {second.shape}")
    hidden = integer("n_hidden", n_hidden, minimum=0)
    w = positive_scalar("weight_std", weight_std)
    b = float(finite("bias_std", bias_std, ndim=0))
    if b < 0:
        raise ValueError(f"bias_std must be nonnegative; got {b:g}")
    sizes = _layer_sizes(first.shape[1], hidden, w, b, parametrization, widths)
    threads = integer("n_threads", n_threads, minimum=1) if n_threads is not None else _processors()

    left = Directions(first)
    right = left if symmetric else Directions(second)
    square, index = np.unique(np.concatenate([left.square, right.square]), return_inverse=True)
    law = propagate(square, resolve(activation), n_hidden=hidden, weight_std=w, bias_std=b)
    one, two = law.rows(index[: len(first)]), law.columns(index[len(first) :])
    tiles = right.tiles()
    found = Kernels(np.empty((len(first), len(second))), np.empty((len(first), len(second))))

    def fill_rows(start: int) -> None:
        stop = min(start + TILE, len(first))
        pairs = (left.rows, tiles, one.layers, two.layers, sizes)
        extras = (law.bend, one.erf, two.erf, one.series, two.series)
        fill(start, stop, symmetric, law.kind, *pairs, *extras, *found)

    starts = range(0, len(first), TILE)
    if threads == 1 or len(starts) == 1:
        for start in starts:
            fill_rows(start)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill_rows, starts))
    return found


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _layer_sizes(d: int, hidden: int, w: float, b: float, parametrization: str, widths: Any) -> Sizes:
    if parametrization not in PARAMETRIZATIONS:
        raise ValueError(f"parametrization must be one of {', '.join(PARAMETRIZATIONS)}; got {parametrization!r}")
    if parametrization == "ntk":
        if widths is not None:
            raise ValueError("widths must be left out in the ntk parametrisation, which does not depend on them")
        return Sizes(b * b, np.ones(hidden + 1), b * b)
    if widths is None:
        raise ValueError("widths must be given in the standard parametrisation")
    n = positive("widths", widths, ndim=1)
    if n.size != hidden:
        raise ValueError(f"widths must list n_hidden = {hidden} numbers; got {n.size}")
    return Sizes(b * b, np.concatenate([[d], n]) / w**2, 1.0 if b > 0 else 0.0)
