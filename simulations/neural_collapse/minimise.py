"""Direct minimisation: L-BFGS from many random starts at several scales, then Newton steps to a stationary point."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optimistix as optx
from jax import Array
from jax.flatten_util import ravel_pytree
from jax.typing import ArrayLike
from jaxtyping import Float, Int
from numpy.typing import NDArray

from simulations import validation
from simulations.neural_collapse.model import Factors, FeatureModel, check_factors, objective, unflatten
from simulations.replicates import DEFAULT_MEMORY, over_replicates

SCALES = (0.05, 0.3, 1.0)
LBFGS_TOLERANCE = 1e-9
HISTORY = 10
VECTORS = 2 * HISTORY + 40  # that one start keeps in memory, each as long as its parameters
LINEAR_TOLERANCE = 1e-3
LINEAR_STEPS = 500
LEAST_DAMPING = 1e-12
ROUNDING = 1e-15


class Minima(NamedTuple):
    """Where the minimiser ended from each start; the leading axes are decays, where several were given, and starts.

    Attributes
    ----------
    factors : Factors
        End points.
    losses : array
        Objective there.
    gradients : array
        Largest entry of the gradient there, in absolute value.
    steps : array of int
        Evaluations that L-BFGS took.
    """

    factors: Factors
    losses: Float[Array, "..."]
    gradients: Float[Array, "..."]
    steps: Int[Array, "..."]

    def best(self) -> "Minima":
        """Return the lowest end point of all starts, without the axis of starts."""
        winner = np.argmin(self.losses, axis=-1)
        lead = self.losses.ndim - 1

        def pick(values: Any) -> Any:
            values = np.asarray(values)
            index = winner.reshape(*winner.shape, *[1] * (values.ndim - lead))
            return np.take_along_axis(values, index, axis=lead).squeeze(lead)

        return jax.tree.map(pick, self)


def minimise(
    model: FeatureModel,
    key: Array,
    *,
    scales: Sequence[float] = SCALES,
    starts: int = 6,
    decays: ArrayLike | None = None,
    max_steps: int = 3000,
    newton_steps: int = 10,
    memory_bytes: int = DEFAULT_MEMORY,
) -> Minima:
    r"""Minimise the objective of a feature model from random starts at several scales.

    L-BFGS (optimistix) brings each start to a stationary point up to rounding of the objective, about its square root
    in the factors; Newton steps, with exact products with the Hessian and damped by the gradient so that the flat
    directions of the rotational symmetry do no harm, then bring the gradient down to rounding. The end points are what
    they are: minima, global or local, and nothing here knows which. A single scale is not enough with M >= 2: small
    starts fall into zero, large ones into whatever local minimum has all modes on. Costs a few hundred gradients a
    start.

    Parameters
    ----------
    model : FeatureModel
        Objective.
    key : array
        JAX key for the starts.
    scales : sequence of float
        Standard deviations of the entries at the start, each positive.
    starts : int
        Number of starts at each scale, at least 1.
    decays : array_like, shape (B, M + 1), optional
        Decays to use in place of the model's, the same starts for all.
    max_steps : int
        Evaluations after which L-BFGS stops.
    newton_steps : int
        Most Newton steps; 0 leaves them out.
    memory_bytes : int
        Working memory for starts that run at the same time, on each device.

    Returns
    -------
    Minima
        With axes (starts,) or (B, starts); starts go scale by scale.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    spreads = validation.positive("scales", jnp.asarray(scales, dtype=jnp.float64), ndim=1)
    count = validation.integer("starts", starts, minimum=1)
    limit = validation.integer("max_steps", max_steps, minimum=1)
    newton = validation.integer("newton_steps", newton_steps, minimum=0)
    total = count * spreads.shape[0]
    if total == 0:
        raise ValueError("scales must hold at least one scale; got none")
    table = model.decays[None] if decays is None else _decay_table(decays, model)

    # Drawn in one piece, outside of the jitted minimisation: sampling would take as long to compile as the rest.
    normals = jax.random.normal(key, (total, model.num_parameters)) * jnp.repeat(spreads, count)[:, None]
    replicates = (jnp.tile(normals, (table.shape[0], 1)), jnp.repeat(table, total, axis=0))
    chunk = jax.device_count() * max(1, memory_bytes // (8 * VECTORS * model.num_parameters))
    runs = total * table.shape[0]
    flat = over_replicates(_from_start, replicates, model, (limit, newton), chunk_size=min(chunk, runs))
    if decays is None:
        return flat
    return jax.tree.map(lambda leaf: leaf.reshape(table.shape[0], total, *leaf.shape[1:]), flat)


def follow_minimum(
    model: FeatureModel,
    start: Factors,
    *,
    decays: ArrayLike,
    max_steps: int = 3000,
    newton_steps: int = 10,
) -> Minima:
    """Follow a minimum as decays change little by little, each minimisation starting where the last one ended.

    A minimum is kept for as long as it exists, global or not, so that going up in decay shows where modes disappear,
    and comparing losses with those of other minima shows where they stop being the global one. Costs about 50
    gradients a step, more where the minimum disappears.

    Parameters
    ----------
    model : FeatureModel
        Objective.
    start : Factors
        Where to begin; the minimum at the first decays is found from there.
    decays : array_like, shape (B, M + 1)
        Decays to use in place of the model's, in order.
    max_steps, newton_steps : int
        As in :func:`minimise`, for each step.

    Returns
    -------
    Minima
        With axis (B,).

    Raises
    ------
    ValueError
        If an argument is out of range, or shapes do not match.
    """
    check_factors("start", start, model)
    table = _decay_table(decays, model)
    limit = validation.integer("max_steps", max_steps, minimum=1)
    newton = validation.integer("newton_steps", newton_steps, minimum=0)
    return jax.tree.map(np.asarray, _follow(start, table, model, (limit, newton)))


def minimise_from(
    function: Callable[[Any, Any], Array],
    start: Any,
    args: Any = None,
    *,
    max_steps: int = 3000,
    newton_steps: int = 10,
) -> tuple[Any, Float[Array, ""], Int[Array, ""]]:
    """Minimise ``function(x, args)`` from ``start``, any pytree: L-BFGS, then Newton; for use inside jit and vmap.

    Returns the end point, the largest entry of the gradient there, and the evaluations that L-BFGS took.
    """
    x0, unravel = ravel_pytree(start)

    def flat(x: Array, args: Any) -> Array:
        return function(unravel(x), args)

    solver: Any = optx.LBFGS(rtol=LBFGS_TOLERANCE, atol=LBFGS_TOLERANCE, norm=optx.max_norm, history_length=HISTORY)
    solution: Any = optx.minimise(flat, solver, x0, args, max_steps=max_steps, throw=False)
    x = solution.value
    if newton_steps:
        x = _newton(lambda y: flat(y, args), x, newton_steps)
    gradient = jax.grad(flat)(x, args)
    return unravel(x), jnp.max(jnp.abs(gradient)), jnp.asarray(solution.stats["num_steps"])


def lowest_curvatures(factors: Factors, model: FeatureModel, *, count: int = 1) -> Float[Array, "starts eigenvalues"]:
    """Lowest ``count`` eigenvalues of the Hessian at each of a batch of factors (leading axis), ascending.

    At a minimum none is negative, beyond rounding; rotations between the factors make many of them zero.
    """
    number = validation.integer("count", count, minimum=1)
    return _lowest_curvatures(factors, model)[:, :number]


def distinct_values(losses: ArrayLike, *, rtol: float = 1e-9) -> NDArray[np.float64]:
    """Distinct values, ascending, values within ``rtol`` of the largest of each other counting as one."""
    ordered = np.sort(np.asarray(losses, dtype=float).ravel())
    gaps = np.diff(ordered) > rtol * np.abs(ordered).max(initial=0.0)
    return ordered[np.concatenate([[True], gaps])] if ordered.size else ordered


def _decay_table(decays: ArrayLike, model: FeatureModel) -> Array:
    table = validation.nonnegative("decays", decays, ndim=2)
    if table.shape[0] == 0 or table.shape[1] != model.decays.shape[0]:
        raise ValueError(
            f"decays must have at least one row and {model.decays.shape[0]} columns, one a factor; got {table.shape}"
        )
    return table


def _from_start(replicate: tuple[Array, Array], model: FeatureModel, limits: tuple[int, int]) -> Minima:
    vector, decays = replicate
    return _minimum(unflatten(vector, model), decays, model, limits)


@eqx.filter_jit
def _follow(start: Factors, table: Array, model: FeatureModel, limits: tuple[int, int]) -> Minima:
    def step(now: Factors, decays: Array) -> tuple[Factors, Minima]:
        end = _minimum(now, decays, model, limits)
        return end.factors, end

    return jax.lax.scan(step, start, table)[1]


def _minimum(start: Factors, decays: Array, model: FeatureModel, limits: tuple[int, int]) -> Minima:
    own = eqx.tree_at(lambda m: m.decays, model, decays)
    factors, gradient, steps = minimise_from(objective, start, own, max_steps=limits[0], newton_steps=limits[1])
    return Minima(factors, objective(factors, own), gradient, steps)


@eqx.filter_jit
def _lowest_curvatures(factors: Factors, model: FeatureModel) -> Array:
    def one(single: Factors) -> Array:
        x, unravel = ravel_pytree(single)
        return jnp.linalg.eigvalsh(jax.hessian(lambda y: objective(unravel(y), model))(x))

    return jax.vmap(one)(factors)


def _newton(function: Callable[[Array], Array], x0: Array, steps: int) -> Array:
    slope = jax.grad(function)

    def proceed(state: tuple[Array, Array, Array, Array]) -> Array:
        _, gradient, count, improved = state
        return improved & (count < steps) & (jnp.max(jnp.abs(gradient)) > ROUNDING)

    def step(state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        x, gradient, count, _ = state
        size = jnp.linalg.norm(gradient)
        # Rotations leave directions without curvature or gradient, which the damping keeps from being divided by zero.
        damping = jnp.maximum(size, LEAST_DAMPING)

        _, curvature = jax.linearize(slope, x)

        def damped(v: Array) -> Array:
            return curvature(v) + damping * v

        move, _ = jax.scipy.sparse.linalg.cg(damped, gradient, tol=LINEAR_TOLERANCE, maxiter=LINEAR_STEPS)
        candidate = x - move
        fresh = slope(candidate)
        better = jnp.linalg.norm(fresh) < size
        return jnp.where(better, candidate, x), jnp.where(better, fresh, gradient), count + 1, better

    state = (x0, slope(x0), jnp.asarray(0), jnp.asarray(True))
    return jax.lax.while_loop(proceed, step, state)[0]
