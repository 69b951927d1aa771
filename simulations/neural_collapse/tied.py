"""Features tied to a given matrix by a quadratic penalty: minimisers, and their response by implicit differentiation.

Units of Tirer, Huang and Niles-Weed, as in :mod:`simulations.neural_collapse.central_path`, plus the penalty
beta / (2 K n) times the squared distance of the features from H_0.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float

from simulations import validation
from simulations.neural_collapse.minimise import minimise_from


class TiedPoint(NamedTuple):
    """Head and features at a stationary point, and the largest entry of the gradient there."""

    weights: Float[Array, "... classes dim"]
    features: Float[Array, "... dim samples"]
    gradient: Float[Array, "..."]


class ResponseMatrix(NamedTuple):
    """Derivative of the minimiser with respect to H_0, matrices stacked column by column (classes are blocks).

    ``features`` has shape (d K n, d K n) and ``weights`` (K d, d K n).
    """

    features: Float[Array, "outputs inputs"]
    weights: Float[Array, "weights inputs"]


class TiedProblem(eqx.Module):
    """Numbers of the objective; see :func:`tied_objective`."""

    num_classes: int = eqx.field(static=True)
    weight_decay: Float[Array, ""]
    feature_decay: Float[Array, ""]
    beta: Float[Array, ""]


def tied_problem(
    num_classes: int, *, weight_decay: ArrayLike, feature_decay: ArrayLike, beta: ArrayLike
) -> TiedProblem:
    """Problem with K classes, decays lambda_W > 0 and lambda_H >= 0, and a tie of strength beta >= 0.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    return TiedProblem(
        num_classes=validation.integer("num_classes", num_classes, minimum=2),
        weight_decay=validation.positive("weight_decay", weight_decay, ndim=0),
        feature_decay=validation.nonnegative("feature_decay", feature_decay, ndim=0),
        beta=validation.nonnegative("beta", beta, ndim=0),
    )


def tied_objective(
    weights: Float[Array, "classes dim"],
    features: Float[Array, "dim samples"],
    tie: Float[Array, "dim samples"],
    problem: TiedProblem,
) -> Float[Array, ""]:
    r"""Squared loss and decays, plus :math:`\frac{\beta}{2Kn} \lVert H - H_0 \rVert_F^2` with H_0 the ``tie``."""
    samples = features.shape[1]
    n = samples // problem.num_classes
    labels = jnp.repeat(jnp.eye(problem.num_classes), n, axis=1)
    value = jnp.sum((weights @ features - labels) ** 2) + n * problem.weight_decay * jnp.sum(weights**2)
    value = value + problem.feature_decay * jnp.sum(features**2) + problem.beta * jnp.sum((features - tie) ** 2)
    return value / (2 * samples)


def minimise_tied(tie: ArrayLike, weights: ArrayLike, features: ArrayLike, problem: TiedProblem) -> TiedPoint:
    """Minimise over head and features from the given start, by L-BFGS and Newton steps.

    Parameters
    ----------
    tie : array_like, shape (d, K n) or (R, d, K n)
        H_0, or several of them; columns ordered by class.
    weights : array_like, shape (K, d)
        Start of the head.
    features : array_like, of the shape of ``tie`` or (d, K n)
        Start of the features.
    problem : TiedProblem
        Decays and strength of the tie.

    Returns
    -------
    TiedPoint
        With a leading axis when ``tie`` has one.

    Raises
    ------
    ValueError
        If shapes do not match.
    """
    h0 = validation.finite("tie", tie)
    w = validation.finite("weights", weights, ndim=2)
    h = validation.finite("features", features)
    if h0.ndim not in (2, 3) or h0.shape[-1] % problem.num_classes:
        raise ValueError(f"tie must have shape (d, K n) or (R, d, K n), K = {problem.num_classes}; got {h0.shape}")
    if h.shape not in (h0.shape, h0.shape[-2:]):
        raise ValueError(f"features must have the shape of tie, {h0.shape}; got {h.shape}")
    if w.shape != (problem.num_classes, h0.shape[-2]):
        raise ValueError(f"weights must have shape {(problem.num_classes, h0.shape[-2])}; got {w.shape}")
    batch = h0.reshape(-1, *h0.shape[-2:])
    points = _minimise_tied(batch, w, jnp.broadcast_to(h, batch.shape), problem)
    return points if h0.ndim == 3 else jax.tree.map(lambda leaf: leaf[0], points)


def collapsed_point(
    key: Array, samples_per_class: int, dim: int, problem: TiedProblem, *, frame: ArrayLike | None = None
) -> TiedPoint:
    """Minimise without the tie from a random start; then turn feature space so that the means point along ``frame``.

    The turn is a symmetry of the objective: it takes the orthogonal factor of the class means found to the one given.

    Parameters
    ----------
    key : array
        JAX key of the start.
    samples_per_class, dim : int
        n >= 1, and d >= K.
    problem : TiedProblem
        Decays; its beta plays no part.
    frame : array_like, shape (d, K), optional
        Orthonormal columns; the means stay as found when left out.

    Raises
    ------
    ValueError
        If a size is out of range or ``frame`` has another shape.
    """
    n = validation.integer("samples_per_class", samples_per_class, minimum=1)
    d = validation.integer("dim", dim, minimum=problem.num_classes)
    k = problem.num_classes
    free = eqx.tree_at(lambda p: p.beta, problem, jnp.zeros(()))
    normals = jax.random.normal(key, (d, k * n + k))
    zero = jnp.zeros((d, k * n))
    point = minimise_tied(zero, normals[:, k * n :].T, normals[:, : k * n], free)
    if frame is None:
        return point
    goal = validation.finite("frame", frame, ndim=2)
    if goal.shape != (d, k):
        raise ValueError(f"frame must have shape {(d, k)}; got {goal.shape}")
    return _turned(point, goal, k)


def response_matrix(point: TiedPoint, problem: TiedProblem) -> ResponseMatrix:
    """Differentiate the minimiser with respect to what the features are tied to, by the implicit function theorem.

    ``point`` must be stationary when tied to its own features. Costs O(P^3), P the number of parameters.
    """
    return _response(point.weights, point.features, problem)


@eqx.filter_jit
def _minimise_tied(ties: Array, weights: Array, features: Array, problem: TiedProblem) -> TiedPoint:
    def value(x: Any, args: Any) -> Array:
        return tied_objective(*x, *args)

    def one(tie: Array, start: Array) -> TiedPoint:
        (w, h), gradient, _ = minimise_from(value, (weights, start), (tie, problem))
        return TiedPoint(w, h, gradient)

    return jax.vmap(one)(ties, features)


@eqx.filter_jit
def _turned(point: TiedPoint, goal: Array, k: int) -> TiedPoint:
    d = point.features.shape[0]
    means = point.features.reshape(d, k, -1).mean(axis=2)
    left, _, right = jnp.linalg.svd(means)
    # Complete both frames to bases of the whole space; any completion will do.
    whole, _, turned = jnp.linalg.svd(goal)
    found = left.at[:, :k].set(left[:, :k] @ right)
    wanted = whole.at[:, :k].set(whole[:, :k] @ turned)
    rotation = wanted @ found.T
    return TiedPoint(point.weights @ rotation.T, rotation @ point.features, point.gradient)


@eqx.filter_jit
def _response(weights: Array, features: Array, problem: TiedProblem) -> ResponseMatrix:
    w, h = weights.T.ravel(), features.T.ravel()  # column by column

    def value(x: Array, tie: Array) -> Array:
        head = x[: w.size].reshape(weights.shape[::-1]).T
        return tied_objective(
            head, x[w.size :].reshape(features.shape[::-1]).T, tie.reshape(features.shape[::-1]).T, problem
        )

    x = jnp.concatenate([w, h])
    slope = jax.grad(value)
    curvature = jax.jacfwd(slope)(x, h)
    push = jax.jacfwd(slope, argnums=1)(x, h)
    derivative = -jnp.linalg.solve(curvature, push)
    return ResponseMatrix(features=derivative[w.size :], weights=derivative[: w.size])
