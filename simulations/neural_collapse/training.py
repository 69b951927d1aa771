"""Training real networks to collapse, and the statistics that are taken on the way."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Float, Int

from simulations import validation
from simulations.neural_collapse.checkpoints import checkpointed, increments
from simulations.neural_collapse.metrics import CollapseMetrics, collapse_metrics
from simulations.neural_collapse.networks import Network, NetworkDecays, network_objective
from simulations.neural_collapse.readouts import Geometry, geometry, head_product

MEMORY = 30
LINE_SEARCH_STEPS = 15


class Snapshot(NamedTuple):
    """Statistics of a network on its training data; leading axes are checkpoints.

    Attributes
    ----------
    loss : array
        Objective with all decays.
    gradient : array
        Largest entry of its gradient.
    geometry : Geometry
        Class means, Gram matrices of features and head, and their product.
    metrics : CollapseMetrics
        Collapse, nc3 against centred means when the head has a bias and against the means otherwise.
    singular_values : array, shape (..., K)
        Of the head's outputs on all samples, before the bias, descending.
    accuracy : array
        Share of training samples classified correctly.
    balance : array, shape (..., M - 1)
        Distance of lam_{m+1} W_{m+1}^T W_{m+1} from lam_m W_m W_m^T, relative to the latter.
    last_layer : array
        Distance of (Y - Z - b 1^T) Z^T / N from lam_M W_M W_M^T, Z before the bias, relative to the latter.
    """

    loss: Float[Array, "..."]
    gradient: Float[Array, "..."]
    geometry: Geometry
    metrics: CollapseMetrics
    singular_values: Float[Array, "... classes"]
    accuracy: Float[Array, "..."]
    balance: Float[Array, "... spaces"]
    last_layer: Float[Array, "..."]


class Trained(NamedTuple):
    """The trained network, and snapshots stacked over the checkpoints."""

    network: Network
    snapshots: Snapshot


def train_lbfgs(
    network: Network, images: ArrayLike, labels: ArrayLike, decays: NetworkDecays, *, steps: Sequence[int]
) -> Trained:
    """Train on the full batch by L-BFGS with a zoom line search (optax), and take snapshots.

    Parameters
    ----------
    network : Network
        Start.
    images : array_like, shape (N, pixels)
        Inputs.
    labels : array_like of int, shape (N,)
        Classes.
    decays : NetworkDecays
        Of the objective; head decays must be positive for ``balance`` and ``last_layer`` to mean anything.
    steps : sequence of int
        Iterations after which to look, nonnegative and increasing.

    Raises
    ------
    ValueError
        If an argument is out of range or shapes do not match.
    """
    x, y = _check(network, images, labels, decays)
    return _train_lbfgs(network, x, y, decays, increments("steps", steps))


def train_adam(
    network: Network,
    images: ArrayLike,
    labels: ArrayLike,
    decays: NetworkDecays,
    *,
    steps: Sequence[int],
    learning_rate: ArrayLike,
) -> Trained:
    """Train on the full batch by Adam, its step size falling to zero along a cosine, and take snapshots.

    Weight decay is part of the loss. Parameters as in :func:`train_lbfgs`; ``learning_rate`` is the positive step size
    at the start, and the last entry of ``steps`` where the cosine ends.
    """
    x, y = _check(network, images, labels, decays)
    eta = validation.positive("learning_rate", learning_rate, ndim=0)
    gaps = increments("steps", steps)
    return _train_adam(network, x, y, decays, gaps, eta, jnp.sum(gaps))


def snapshot(network: Network, images: Array, labels: Array, decays: NetworkDecays) -> Snapshot:
    """Take the statistics of a network on its training data."""
    loss, slope = jax.value_and_grad(network_objective)(network, images, labels, decays)
    features = network.backbone(images)
    head = head_product(network.head)
    before_bias = head @ features
    outputs = before_bias if network.bias is None else before_bias + network.bias[:, None]
    targets = jax.nn.one_hot(labels, outputs.shape[0], axis=0, dtype=outputs.dtype)
    grams = [lam * weight @ weight.T for lam, weight in zip(decays.head, network.head, strict=True)]
    pulls = [lam * weight.T @ weight for lam, weight in zip(decays.head, network.head, strict=True)]
    balance = [_relative(pull, gram) for pull, gram in zip(pulls[1:], grams[:-1], strict=True)]
    return Snapshot(
        loss=loss,
        gradient=jnp.max(jnp.abs(ravel_pytree(slope)[0])),
        geometry=geometry(features, labels, head),
        metrics=collapse_metrics(features, labels, head, network.bias, centred=network.bias is not None),
        singular_values=jnp.linalg.svd(before_bias, compute_uv=False),
        accuracy=jnp.mean(jnp.argmax(outputs, axis=0) == labels, dtype=outputs.dtype),
        balance=jnp.stack(balance) if balance else jnp.zeros(0),
        last_layer=_relative((targets - outputs) @ before_bias.T / labels.shape[0], grams[-1]),
    )


@eqx.filter_jit
def _train_lbfgs(network: Network, images: Array, labels: Array, decays: NetworkDecays, counts: Array) -> Trained:
    x0, unravel = ravel_pytree(network)

    def value(x: Array) -> Array:
        return network_objective(unravel(x), images, labels, decays)

    search = optax.scale_by_zoom_linesearch(LINE_SEARCH_STEPS, initial_guess_strategy="one")
    optimiser = optax.lbfgs(memory_size=MEMORY, linesearch=search)
    value_and_slope = optax.value_and_grad_from_state(value)

    def step(carry: tuple[Array, Any]) -> tuple[Array, Any]:
        x, state = carry
        now, slope = value_and_slope(x, state=state)
        move, state = optimiser.update(slope, state, x, value=now, grad=slope, value_fn=value)
        return optax.apply_updates(x, move), state

    return _run(step, (x0, optimiser.init(x0)), counts, unravel, images, labels, decays)


@eqx.filter_jit
def _train_adam(
    network: Network, images: Array, labels: Array, decays: NetworkDecays, counts: Array, eta: Array, total: Array
) -> Trained:
    x0, unravel = ravel_pytree(network)
    slope = jax.grad(lambda x: network_objective(unravel(x), images, labels, decays))
    optimiser = optax.scale_by_adam()

    def step(carry: tuple[Array, Any, Array]) -> tuple[Array, Any, Array]:
        x, state, count = carry
        move, state = optimiser.update(slope(x), state)
        rate = eta * 0.5 * (1 + jnp.cos(jnp.pi * count / total))
        return x - rate * move, state, count + 1

    return _run(step, (x0, optimiser.init(x0), jnp.zeros(())), counts, unravel, images, labels, decays)


def _run(step: Any, state: Any, counts: Array, unravel: Any, images: Array, labels: Array, decays: Any) -> Trained:
    def observe(carry: Any) -> tuple[Array, Snapshot]:
        return carry[0], snapshot(unravel(carry[0]), images, labels, decays)

    vectors, snapshots = checkpointed(step, state, counts, observe)
    return Trained(unravel(vectors[-1]), snapshots)


def _relative(first: Array, second: Array) -> Array:
    return jnp.linalg.norm(first - second) / jnp.linalg.norm(second)


def _check(network: Network, images: ArrayLike, labels: ArrayLike, decays: NetworkDecays) -> tuple[Array, Array]:
    x = validation.finite("images", images, ndim=2)
    y: Int[Array, " samples"] = jnp.asarray(labels)
    if not jnp.issubdtype(y.dtype, jnp.integer):
        raise TypeError(f"labels must be integers; got dtype {y.dtype}")
    if y.shape != x.shape[:1]:
        raise ValueError(f"labels must give one class for each of the {x.shape[0]} images; got shape {y.shape}")
    if decays.head.shape != (len(network.head),):
        raise ValueError(
            f"decays must hold one decay for each of the {len(network.head)} head layers; got {decays.head.shape}"
        )
    return x, y
