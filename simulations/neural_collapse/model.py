"""Unconstrained feature models: free features under a (deep) linear head, and the objective that both minimise."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from simulations import validation


class Factors(NamedTuple):
    """Everything that is free: features (d_1, N), weights (W_1, ..., W_M), and the bias (K,) of the head if any."""

    features: Float[Array, "... dim samples"]
    weights: tuple[Float[Array, "..."], ...]
    bias: Float[Array, "... classes"] | None


class FeatureModel(eqx.Module):
    """An objective over features and head; see :func:`feature_model`.

    Attributes
    ----------
    labels : array of int, shape (N,)
        Class of every sample, in order.
    decays : array, shape (M + 1,)
        Weight decays, features first, then the layers from the feature side to the output side.
    bias_decay : array, shape ()
        Decay of the bias.
    dims : tuple of int
        Input widths (d_1, ..., d_M) of the layers.
    num_classes : int
        K.
    loss : str
        "squared" or "cross_entropy".
    bias : bool
        Whether the head has a bias.
    relu : bool
        Whether a ReLU follows every layer of the head but the last.
    """

    labels: Int[Array, " samples"]
    decays: Float[Array, " factors"]
    bias_decay: Float[Array, ""]
    dims: tuple[int, ...] = eqx.field(static=True)
    num_classes: int = eqx.field(static=True)
    loss: str = eqx.field(static=True)
    bias: bool = eqx.field(static=True)
    relu: bool = eqx.field(static=True)

    @property
    def targets(self) -> Float[Array, "classes samples"]:
        """One-hot labels, a sample a column."""
        return jax.nn.one_hot(self.labels, self.num_classes, dtype=self.decays.dtype, axis=0)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Shapes of features and weights."""
        widths = (*self.dims, self.num_classes)
        layers = tuple((widths[m + 1], widths[m]) for m in range(len(self.dims)))
        return ((self.dims[0], self.labels.shape[0]), *layers)

    @property
    def num_parameters(self) -> int:
        """Number of entries of all factors and the bias."""
        return sum(rows * columns for rows, columns in self.shapes) + self.bias * self.num_classes


def feature_model(
    class_sizes: Sequence[int],
    *,
    dims: Sequence[int],
    weight_decays: ArrayLike | Sequence[float],
    feature_decay: ArrayLike,
    loss: str = "squared",
    bias: bool = False,
    bias_decay: ArrayLike = 0.0,
    relu: bool = False,
) -> FeatureModel:
    r"""Objective of M layers over free features, with weight decay on every factor.

    .. math:: \frac1N \sum_i \ell(W_M \cdots W_1 h_i + b,\, y_i) + \sum_m \frac{\lambda_m}{2} \lVert W_m \rVert_F^2
              + \frac{\lambda_H}{2} \lVert H \rVert_F^2 + \frac{\lambda_b}{2} |b|^2

    with l half the squared distance from the one-hot label, or the cross-entropy (natural logarithm).

    Parameters
    ----------
    class_sizes : sequence of int
        Samples of each of K >= 2 classes; columns of the features are ordered by class.
    dims : sequence of int
        Input widths (d_1, ..., d_M), d_1 the dimension of the features.
    weight_decays : array_like, shape (M,)
        Nonnegative, from the feature side to the output side.
    feature_decay : float
        Nonnegative.
    loss : {"squared", "cross_entropy"}
        What is averaged over the samples.
    bias : bool
        Whether the head has a bias.
    bias_decay : float
        Nonnegative decay of the bias.
    relu : bool
        Whether a ReLU follows every layer of the head but the last.

    Raises
    ------
    ValueError
        If a size or decay is out of range, or ``dims`` and ``weight_decays`` differ in length.
    """
    sizes = [validation.integer("class_sizes", size, minimum=1) for size in class_sizes]
    if len(sizes) < 2:
        raise ValueError(f"class_sizes must list at least two classes; got {sizes}")
    widths = tuple(validation.integer("dims", width, minimum=1) for width in dims)
    head = validation.nonnegative("weight_decays", jnp.asarray(weight_decays, dtype=jnp.float64), ndim=1)
    if not widths or head.shape[0] != len(widths):
        raise ValueError(f"weight_decays must hold one decay for each of the {len(widths)} layer(s); got {head.shape}")
    own = validation.nonnegative("feature_decay", feature_decay, ndim=0)
    return FeatureModel(
        labels=jnp.asarray(np.repeat(np.arange(len(sizes)), sizes)),
        decays=jnp.concatenate([own[None], head]),
        bias_decay=validation.nonnegative("bias_decay", bias_decay, ndim=0),
        dims=widths,
        num_classes=len(sizes),
        loss=validation.choice("loss", loss, ("squared", "cross_entropy")),
        bias=bool(bias),
        relu=bool(relu),
    )


def random_factors(key: Array, model: FeatureModel, *, scale: ArrayLike = 1.0) -> Factors:
    """Independent normal entries of standard deviation ``scale`` in all factors and the bias."""
    normals = jax.random.normal(key, (model.num_parameters,))
    return unflatten(jnp.asarray(scale) * normals, model)


def unflatten(vector: Float[Array, "... parameters"], model: FeatureModel) -> Factors:
    """Cut a vector of all parameters, features first and the bias last, into factors; leading axes are kept."""
    sizes = [rows * columns for rows, columns in model.shapes]
    *parts, rest = jnp.split(vector, np.cumsum(sizes), axis=-1)
    features, *weights = (
        part.reshape(*vector.shape[:-1], *shape) for part, shape in zip(parts, model.shapes, strict=True)
    )
    return Factors(features, tuple(weights), rest if model.bias else None)


def logits(factors: Factors, model: FeatureModel) -> Float[Array, "... classes samples"]:
    """Evaluate the head on all features, bias included."""
    out = factors.features
    for m, weight in enumerate(factors.weights):
        out = weight @ out
        if model.relu and m + 1 < len(factors.weights):
            out = jax.nn.relu(out)
    return out if factors.bias is None else out + factors.bias[..., :, None]


def data_loss(outputs: Float[Array, "classes samples"], model: FeatureModel) -> Float[Array, ""]:
    """Average loss over the samples, without decay."""
    if model.loss == "squared":
        return 0.5 * jnp.sum((outputs - model.targets) ** 2) / outputs.shape[1]
    top = jax.nn.logsumexp(outputs, axis=0)
    return jnp.mean(top - jnp.sum(outputs * model.targets, axis=0))


def objective(factors: Factors, model: FeatureModel) -> Float[Array, ""]:
    """Loss with all decays, of one set of factors. Differentiable; every algorithm here descends this function."""
    penalty = sum(
        lam * jnp.sum(factor**2) for lam, factor in zip(model.decays, (factors.features, *factors.weights), strict=True)
    )
    if factors.bias is not None:
        penalty = penalty + model.bias_decay * jnp.sum(factors.bias**2)
    return data_loss(logits(factors, model), model) + 0.5 * penalty


def check_factors(name: str, factors: Factors, model: FeatureModel) -> None:
    """Raise ValueError, naming the argument, when shapes do not fit the model."""
    shapes = tuple(jnp.shape(factor) for factor in (factors.features, *factors.weights))
    bias = None if factors.bias is None else jnp.shape(factors.bias)
    expected = (model.num_classes,) if model.bias else None
    if shapes != model.shapes or bias != expected:
        raise ValueError(f"{name} must have factors {model.shapes} and bias {expected}; got {shapes} and {bias}")
