"""Initial weights: task-aligned, Gaussian, orthogonal, balanced, and two-layer with a given imbalance.

Every function makes one network; `jax.vmap` over keys, or `simulations.replicates`, makes many.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation
from simulations.deep_linear.networks import Weights


def haar(key: PRNGKeyArray, n: int, columns: int | None = None) -> Float[Array, "n columns"]:
    """Matrix with orthonormal columns, uniform over all such (Haar); ``columns`` = n gives an orthogonal matrix.

    The QR factors of a Gaussian matrix with the signs of R's diagonal moved into Q. Costs O(n columns^2).

    Raises
    ------
    ValueError
        If ``n`` < 1 or ``columns`` is not in 1..n.
    """
    n = validation.integer("n", n, minimum=1)
    columns = n if columns is None else validation.integer("columns", columns, minimum=1)
    if columns > n:
        raise ValueError(f"columns must be at most n = {n}; got {columns}")
    return _frames(key, (n,), (columns,))[0]


def gaussian(key: PRNGKeyArray, widths: Sequence[int], *, std: ArrayLike) -> Weights:
    """Layers with independent N(0, std^2) entries, for widths (N_0, ..., N_D).

    The draw scales with ``std``: the same key at two scales gives proportional weights.
    """
    std = validation.nonnegative("std", std, ndim=0)
    return tuple(std * draw for draw in _normal_layers(key, validation.widths("widths", widths)))


def fan_in_gaussian(key: PRNGKeyArray, widths: Sequence[int], *, gain: ArrayLike = 1.0) -> Weights:
    """Layers with independent N(0, gain^2 / N_{l-1}) entries, for widths (N_0, ..., N_D)."""
    gain = validation.nonnegative("gain", gain, ndim=0)
    layers = _normal_layers(key, validation.widths("widths", widths))
    return tuple(gain * draw / jnp.sqrt(draw.shape[1]) for draw in layers)


def orthogonal(key: PRNGKeyArray, widths: Sequence[int], *, gain: ArrayLike = 1.0) -> Weights:
    r"""Layers ``gain`` times Haar orthogonal; a non-square layer has orthonormal rows or columns, whichever fit.

    Square layers of one gain are balanced; a layer that narrows is not, its rows span only part of the space.
    """
    gain = validation.nonnegative("gain", gain, ndim=0)
    return _orthogonal_layers(key, gain, validation.widths("widths", widths))


def decoupled(
    key: PRNGKeyArray,
    strengths: Float[ArrayLike, "depth modes"] | Sequence[Sequence[ArrayLike]],
    *,
    u: Float[ArrayLike, "outputs _"] | Sequence[Sequence[ArrayLike]],
    v: Float[ArrayLike, "inputs _"] | Sequence[Sequence[ArrayLike]],
    hidden: Sequence[int] | None = None,
) -> Weights:
    r"""Task-aligned layers :math:`W_l = R_{l+1} D_l R_l^T` with :math:`R_1 = V`, :math:`R_{D+1} = U`.

    Parameters
    ----------
    key : PRNG key
        Draws the hidden rotations R_2..R_D, Haar.
    strengths : array_like, shape (D, r)
        Diagonals of D_1..D_D, of any sign; mode k starts at strength ``prod(strengths[:, k])``.
    u, v : array_like, shapes (N_out, >= r) and (N_in, >= r)
        Singular vectors of the task in their columns; the first r are used.
    hidden : sequence of D - 1 ints, optional
        Hidden widths, each at least r; r when left out.

    Raises
    ------
    ValueError
        If widths, modes and singular vectors do not fit, or an array is not finite.
    """
    diagonals = validation.finite("strengths", strengths, ndim=2)
    depth, modes = diagonals.shape
    if depth < 1 or modes < 1:
        raise ValueError(f"strengths must have at least one layer and one mode; got shape {diagonals.shape}")
    left = _leading_columns("u", u, modes)
    right = _leading_columns("v", v, modes)
    hidden = (modes,) * (depth - 1) if hidden is None else tuple(hidden)
    if len(hidden) != depth - 1:
        raise ValueError(f"hidden must list {depth - 1} widths, one less than strengths has rows; got {len(hidden)}")
    sizes = tuple(validation.integer("hidden", n, minimum=modes) for n in hidden)
    frames = _frames(key, sizes, (modes,) * len(sizes)) if sizes else []
    bases = [right, *frames, left]
    return tuple((bases[i + 1] * diagonals[i]) @ bases[i].T for i in range(depth))


def balanced(
    key: PRNGKeyArray, widths: Sequence[int], *, strengths: Float[ArrayLike, " modes"] | Sequence[ArrayLike]
) -> Weights:
    r"""Balanced layers, :math:`W_{l+1}^T W_{l+1} = W_l W_l^T`, in general position with respect to any task.

    Every layer is :math:`R_{l+1} \mathrm{diag}(a) R_l^T` with the same a = ``strengths`` (r nonnegative numbers,
    r <= the least width) and independent Haar frames R_l; the product has singular values a^D.

    Raises
    ------
    ValueError
        If there are more strengths than the least width, or one is negative or not finite.
    """
    sizes = validation.widths("widths", widths)
    a = validation.nonnegative("strengths", strengths, ndim=1)
    if not 1 <= a.shape[0] <= min(sizes):
        raise ValueError(f"strengths must have 1 to {min(sizes)} entries, the least width; got {a.shape[0]}")
    frames = _frames(key, sizes, a.shape * len(sizes))
    return tuple((frames[i + 1] * a) @ frames[i].T for i in range(len(sizes) - 1))


def imbalanced(
    key: PRNGKeyArray,
    widths: tuple[int, int, int],
    *,
    imbalance: ArrayLike,
    strengths: Float[ArrayLike, " modes"] | Sequence[ArrayLike],
) -> Weights:
    r"""Two layers with :math:`W_2^T W_2 - W_1 W_1^T = \lambda I`, in general position with respect to any task.

    Parameters
    ----------
    key : PRNG key
        Draws the three Haar frames.
    widths : (N_in, N_hidden, N_out)
        N_hidden <= N_out when the imbalance is positive, N_hidden <= N_in when negative: the stronger layer has
        full rank on the hidden side.
    imbalance : float
        lambda, any sign; 0 gives balanced layers.
    strengths : array_like, shape (r,)
        Nonnegative singular values of the weaker layer (W_1 for lambda >= 0, else W_2), r <= the least width;
        the rest of its singular values are 0.

    Raises
    ------
    ValueError
        If the widths cannot carry the imbalance, or ``strengths`` are too many, negative or not finite.
    """
    sizes = validation.widths("widths", widths)
    if len(sizes) != 3:
        raise ValueError(f"widths must be (inputs, hidden, outputs); got {sizes}")
    lam = float(validation.finite("imbalance", imbalance, ndim=0))
    inputs, hidden, outputs = sizes
    if (lam > 0 and hidden > outputs) or (lam < 0 and hidden > inputs):
        side, name = (outputs, "outputs") if lam > 0 else (inputs, "inputs")
        raise ValueError(f"widths must have at most as many hidden units as {name}, {side}; got {hidden}")
    weaker = validation.nonnegative("strengths", strengths, ndim=1)
    if not 1 <= weaker.shape[0] <= min(sizes):
        raise ValueError(f"strengths must have 1 to {min(sizes)} entries, the least width; got {weaker.shape[0]}")
    weaker = jnp.pad(weaker, (0, hidden - weaker.shape[0]))
    stronger = jnp.sqrt(weaker**2 + abs(lam))
    first, second = (weaker, stronger) if lam >= 0 else (stronger, weaker)
    # The stronger layer's frame has a column for every hidden unit; the weaker one's may have fewer, and is padded
    # with zeros against singular values that vanish.
    right, rotation, left = _frames(key, sizes, (min(inputs, hidden), hidden, min(outputs, hidden)))
    return (
        (rotation * first) @ jnp.pad(right, ((0, 0), (0, hidden - right.shape[1]))).T,
        jnp.pad(left, ((0, 0), (0, hidden - left.shape[1]))) @ (rotation * second).T,
    )


@partial(jax.jit, static_argnums=1)
def _normal_layers(key: Array, sizes: tuple[int, ...]) -> list[Array]:
    keys = jax.random.split(key, len(sizes) - 1)
    return [jax.random.normal(keys[i], (sizes[i + 1], sizes[i])) for i in range(len(sizes) - 1)]


@partial(jax.jit, static_argnums=2)
def _orthogonal_layers(key: Array, gain: Array, sizes: tuple[int, ...]) -> Weights:
    layers = _normal_layers(key, sizes)
    # Equal shapes share one batched factorisation, so that a deep network compiles like a shallow one.
    drawn: dict[tuple[int, ...], list[Array]] = {}
    for layer in layers:
        drawn.setdefault(layer.shape, []).append(layer)
    made = {shape: iter(gain * jax.vmap(_semi_orthogonal)(jnp.stack(group))) for shape, group in drawn.items()}
    return tuple(next(made[layer.shape]) for layer in layers)


@partial(jax.jit, static_argnums=(1, 2))
def _frames(key: Array, sizes: tuple[int, ...], columns: tuple[int, ...]) -> list[Array]:
    keys = jax.random.split(key, len(sizes))
    shapes = zip(sizes, columns, strict=True)
    return [_orthonormalise(jax.random.normal(keys[i], shape)) for i, shape in enumerate(shapes)]


def _orthonormalise(matrix: Array) -> Array:
    q, r = jnp.linalg.qr(matrix)
    signs = jnp.where(jnp.diagonal(r) < 0, -1.0, 1.0)
    return q * signs


def _semi_orthogonal(matrix: Array) -> Array:
    rows, columns = matrix.shape
    return _orthonormalise(matrix) if rows >= columns else _orthonormalise(matrix.T).T


def _leading_columns(name: str, value: ArrayLike | Sequence, modes: int) -> Array:
    matrix = validation.finite(name, value, ndim=2)
    if matrix.shape[1] < modes:
        raise ValueError(f"{name} must have at least {modes} columns, one a mode; got shape {matrix.shape}")
    return matrix[:, :modes]
