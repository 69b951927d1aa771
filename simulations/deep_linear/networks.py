"""Weights of a deep linear network, the task it is trained on, and the loss that training descends."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation

Weights = tuple[Float[Array, "..."], ...]
"""Layers W_1, ..., W_D, input side first: each entry a matrix (N_l, N_{l-1}) or a stack (k, n, n) of k square layers.

A stack stands for k consecutive layers, its first entry nearest the input. The two forms describe the same network;
the stacked one compiles to log2(k) operations, whatever the depth.
"""

WeightsLike = Sequence[Float[ArrayLike, "..."]]
"""Anything that :func:`check_weights` turns into weights: a tuple or list of arrays of either form."""

_Rows = Sequence[Sequence[ArrayLike]]
_RANK_CUTOFF = 1e-13


class Task(eqx.Module):
    r"""A least-squares task: the loss :math:`\tfrac12 \lVert Y - W X \rVert_F^2 + c` of the network's product W.

    Made by :meth:`from_moments` or :meth:`from_samples`. Keeping a residual instead of the expanded quadratic
    form leaves the loss accurate down to rounding squared near its minimum.

    Attributes
    ----------
    targets : array, shape (N_out, P)
        Y.
    inputs : array, shape (N_in, P), or None
        X; None stands for the identity, P = N_in (whitened inputs).
    floor : array, shape ()
        c, the part of the loss that no weights can change.
    """

    targets: Float[Array, "outputs samples"]
    inputs: Float[Array, "inputs samples"] | None
    floor: Float[Array, ""]

    @classmethod
    def from_moments(
        cls,
        sigma_yx: Float[ArrayLike, "outputs inputs"] | _Rows,
        sigma_xx: Float[ArrayLike, "inputs inputs"] | _Rows | None = None,
        sigma_yy: Float[ArrayLike, "outputs outputs"] | _Rows | None = None,
    ) -> "Task":
        r"""Task with loss :math:`\tfrac12 \mathrm{tr}[\Sigma_{yy} - 2 W \Sigma_{xy} + W \Sigma_{xx} W^T]`.

        Completing the square with :math:`\Sigma_{xx} = C C^T` gives :math:`X = C` and
        :math:`Y = \Sigma_{yx} C^{+T}`. Costs O(N_in^3) when ``sigma_xx`` is given.

        Parameters
        ----------
        sigma_yx : array_like, shape (N_out, N_in)
            Input-output correlation.
        sigma_xx : array_like, shape (N_in, N_in), optional
            Input correlation, symmetric positive semi-definite; the identity when left out.
        sigma_yy : array_like, shape (N_out, N_out), optional
            Output correlation. Left out, it is the least one possible, so that the best linear map has loss 0.

        Raises
        ------
        ValueError
            If shapes do not fit, entries are not finite, ``sigma_xx`` is not symmetric positive semi-definite,
            ``sigma_yx`` has a component along an input direction of zero variance, or ``sigma_yy`` is too small
            to belong to any data.
        """
        cross = validation.finite("sigma_yx", sigma_yx, ndim=2)
        if sigma_xx is None:
            inputs, targets = None, cross
        else:
            covariance = validation.finite("sigma_xx", sigma_xx, ndim=2)
            if covariance.shape != (cross.shape[1],) * 2:
                raise ValueError(f"sigma_xx must have shape {(cross.shape[1],) * 2}; got {covariance.shape}")
            inputs, targets = _complete_the_square(cross, covariance)
        floor = jnp.zeros(())
        if sigma_yy is not None:
            outputs = validation.finite("sigma_yy", sigma_yy, ndim=2)
            if outputs.shape != (cross.shape[0],) * 2:
                raise ValueError(f"sigma_yy must have shape {(cross.shape[0],) * 2}; got {outputs.shape}")
            total = jnp.trace(outputs)
            floor = 0.5 * (total - jnp.sum(targets**2))
            if validation.is_concrete(floor) and floor < -1e-12 * total:
                raise ValueError(f"sigma_yy must have trace at least {jnp.sum(targets**2):g}; got {total:g}")
            floor = jnp.maximum(floor, 0.0)
        return cls(targets=targets, inputs=inputs, floor=floor)

    @classmethod
    def from_samples(
        cls,
        inputs: Float[ArrayLike, "inputs samples"] | _Rows,
        targets: Float[ArrayLike, "outputs samples"] | _Rows,
        *,
        average: bool = True,
    ) -> "Task":
        r"""Task with loss :math:`\tfrac{1}{2P} \sum_\mu |y_\mu - W x_\mu|^2`, without the 1/P unless ``average``.

        Parameters
        ----------
        inputs : array_like, shape (N_in, P)
            One column an example.
        targets : array_like, shape (N_out, P)
            One column an example.
        average : bool
            Whether the loss is the mean over examples or their sum.

        Raises
        ------
        ValueError
            If the numbers of columns differ or entries are not finite.
        """
        x = validation.finite("inputs", inputs, ndim=2)
        y = validation.finite("targets", targets, ndim=2)
        if x.shape[1] != y.shape[1]:
            raise ValueError(f"targets must have as many columns as inputs, {x.shape[1]}; got {y.shape[1]}")
        scale = 1 / np.sqrt(x.shape[1]) if average else 1.0
        return cls(targets=scale * y, inputs=scale * x, floor=jnp.zeros(()))

    @property
    def n_inputs(self) -> int:
        """Number of input units, N_in."""
        return self.targets.shape[1] if self.inputs is None else self.inputs.shape[0]

    @property
    def n_outputs(self) -> int:
        """Number of output units, N_out."""
        return self.targets.shape[0]


def loss(weights: Weights, task: Task) -> Float[Array, ""]:
    r"""Squared error :math:`\tfrac12 \lVert Y - W_D \cdots W_1 X \rVert_F^2 + c` of the network on the task.

    Differentiable; the gradients of every trainer here are its automatic derivative.
    """
    chain = _factors(weights) if task.inputs is None else [task.inputs, *_factors(weights)]
    return 0.5 * jnp.sum((task.targets - _fold(chain)) ** 2) + task.floor


def product(weights: Weights) -> Float[Array, "outputs inputs"]:
    """End-to-end matrix W_D ... W_1. Costs O(D n^3), less where the network is narrow at one end.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> product((2 * jnp.eye(2), jnp.array([[1.0, 3.0]])))
    Array([[2., 6.]], dtype=float64)
    """
    return _fold(_factors(weights))


def stack_layers(weights: Weights) -> Weights:
    """Return the same network with every run of equal square layers gathered into one stack.

    Worth it beyond about eight layers: compilation then takes no longer than for a shallow network.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> [w.shape for w in stack_layers((jnp.ones((3, 2)), jnp.eye(3), jnp.eye(3), jnp.ones((1, 3))))]
    [(3, 2), (2, 3, 3), (1, 3)]
    """
    runs: list[list[Array]] = []
    for layer in unstack_layers(weights):
        square = layer.shape[0] == layer.shape[1]
        if runs and square and runs[-1][0].shape == layer.shape:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return tuple(jnp.stack(run) if len(run) > 1 else run[0] for run in runs)


def unstack_layers(weights: Weights) -> Weights:
    """Return the same network as a tuple of D matrices, one a layer."""
    return tuple(layer for entry in weights for layer in (entry if entry.ndim == 3 else (entry,)))


def check_weights(weights: WeightsLike, task: Task | None = None) -> Weights:
    """Return ``weights`` as a tuple of float64 arrays that compose (and fit ``task``), or raise ValueError."""
    if not isinstance(weights, Sequence):
        raise TypeError(f"weights must be a tuple or list of matrices; got {type(weights).__name__}")
    layers = tuple(validation.finite(f"weights[{i}]", w) for i, w in enumerate(weights))
    if not layers:
        raise ValueError("weights must hold at least one layer; got none")
    for i, layer in enumerate(layers):
        if layer.ndim not in (2, 3):
            raise ValueError(f"weights[{i}] must be a matrix or a stack of square matrices; got shape {layer.shape}")
        if 0 in layer.shape or (layer.ndim == 3 and layer.shape[1] != layer.shape[2]):
            raise ValueError(f"weights[{i}] must be non-empty, and square when stacked; got shape {layer.shape}")
        if i and layer.shape[-1] != layers[i - 1].shape[-2]:
            raise ValueError(
                f"weights[{i}] must have {layers[i - 1].shape[-2]} columns, the rows of the layer below; "
                f"got shape {layer.shape}"
            )
    if task is not None and (layers[0].shape[-1], layers[-1].shape[-2]) != (task.n_inputs, task.n_outputs):
        raise ValueError(
            f"weights must map {task.n_inputs} inputs to {task.n_outputs} outputs, as task does; "
            f"got {layers[0].shape[-1]} to {layers[-1].shape[-2]}"
        )
    return layers


def _factors(weights: Weights) -> list[Array]:
    return [_stack_product(w) if w.ndim == 3 else w for w in weights]


def _stack_product(stack: Array) -> Array:
    # Neighbours are multiplied pairwise, so that a graph of log2(depth) operations serves any depth.
    while stack.shape[0] > 1:
        pairs = stack.shape[0] // 2
        stack = jnp.concatenate([stack[1 : 2 * pairs : 2] @ stack[0 : 2 * pairs : 2], stack[2 * pairs :]])
    return stack[0]


def _fold(chain: list[Array]) -> Array:
    if chain[-1].shape[0] <= chain[0].shape[1]:
        result = chain[-1]
        for factor in reversed(chain[:-1]):
            result = result @ factor
        return result
    result = chain[0]
    for factor in chain[1:]:
        result = factor @ result
    return result


def _complete_the_square(cross: Array, covariance: Array) -> tuple[Array, Array]:
    inputs, targets, values = _root_and_targets(cross, covariance)
    if validation.is_concrete(covariance):
        matrix = np.asarray(covariance)
        if np.abs(matrix - matrix.T).max() > 1e-12 * np.abs(matrix).max():
            raise ValueError("sigma_xx must be symmetric; got a matrix that differs from its transpose")
        least, top = np.asarray(values)[[0, -1]]
        if least < -_RANK_CUTOFF * len(matrix) * max(top, -least):
            raise ValueError(f"sigma_xx must be positive semi-definite; got the eigenvalue {least:g}")
        if validation.is_concrete(cross):
            lost = np.abs(np.asarray(targets) @ np.asarray(inputs).T - np.asarray(cross)).max()
            if lost > 1e-8 * np.abs(np.asarray(cross)).max():
                raise ValueError("sigma_yx must vanish along input directions of zero variance in sigma_xx")
    return inputs, targets


@jax.jit
def _root_and_targets(cross: Array, covariance: Array) -> tuple[Array, Array, Array]:
    values, vectors = jnp.linalg.eigh((covariance + covariance.T) / 2)
    kept = values > _RANK_CUTOFF * covariance.shape[0] * jnp.max(jnp.abs(values))
    root = jnp.sqrt(jnp.where(kept, values, 0.0))
    targets = (cross @ vectors) / jnp.where(kept, root, jnp.inf)
    return vectors * root, targets, values
