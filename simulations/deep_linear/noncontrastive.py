r"""Self-supervised learning without contrastive pairs, with linear networks: what learns, and by which rule.

Two views :math:`x_1, x_2` of a sample share their mean, of second moment X over samples, and scatter around it with
covariance :math:`X'` on average. An online network W and a predictor :math:`W_p` descend
:math:`J = \tfrac12 E |W_p W x_1 - W_a x_2|^2`, whose target network :math:`W_a` is held still while gradients are
taken. Velocities come from differentiating J, in the population or on drawn views, and from nothing else.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation

Target = Literal["online", "moving"]
Predictor = Literal["trained", "symmetric", "direct"]
Loss = Callable[[Array, Array, Array], Array]
_Matrix = Float[ArrayLike, "rows columns"] | Sequence[Sequence[ArrayLike]]


class Networks(NamedTuple):
    """Online network and its target, both (outputs, inputs), and the predictor, (outputs, outputs)."""

    online: Float[Array, "outputs inputs"]
    target: Float[Array, "outputs inputs"]
    predictor: Float[Array, "outputs outputs"]


NetworksLike = Sequence[_Matrix]
"""Anything that :func:`check_networks` turns into networks: online network, target and predictor, in this order."""


class Views(NamedTuple):
    """Two views of each sample, one column a sample."""

    first: Float[Array, "inputs samples"]
    second: Float[Array, "inputs samples"]


class Learning(eqx.Module):
    r"""What is learned from, and by which rule; made by :meth:`of`.

    Attributes
    ----------
    x_cov, aug_cov : array, shape (inputs, inputs)
        Second moment X of the mean view, and mean covariance X' of views around it.
    alpha_p : array, shape ()
        Multiplier of the predictor's gradient, not of its decay.
    weight_decay, predictor_decay : array, shape ()
        Decay of the online network and of the predictor.
    ema_rate : array, shape ()
        Rate at which a moving target follows the online network.
    target_ratio : array, shape ()
        Ratio to the online network of a target that is tied to it.
    lift : array, shape ()
        Lift of a direct predictor's eigenvalues, relative to the largest of :math:`W X W^T`.
    target : "online" or "moving"
        Whether the target is the online network times ``target_ratio``, or a network that follows it.
    predictor : "trained", "symmetric" or "direct"
        Trained by gradients; by their symmetric parts; or set to the root of :math:`W X W^T`, lifted.
    stop_gradient : bool
        Whether the target is held still while gradients are taken.
    """

    x_cov: Float[Array, "inputs inputs"]
    aug_cov: Float[Array, "inputs inputs"]
    alpha_p: Float[Array, ""]
    weight_decay: Float[Array, ""]
    predictor_decay: Float[Array, ""]
    ema_rate: Float[Array, ""]
    target_ratio: Float[Array, ""]
    lift: Float[Array, ""]
    target: Target = eqx.field(static=True)
    predictor: Predictor = eqx.field(static=True)
    stop_gradient: bool = eqx.field(static=True)

    @classmethod
    def of(
        cls,
        x_cov: _Matrix,
        aug_cov: _Matrix,
        *,
        alpha_p: ArrayLike = 1.0,
        weight_decay: ArrayLike = 0.0,
        predictor_decay: ArrayLike | None = None,
        ema_rate: ArrayLike | None = None,
        target_ratio: ArrayLike = 1.0,
        lift: ArrayLike = 0.0,
        predictor: Predictor = "trained",
        stop_gradient: bool = True,
    ) -> "Learning":
        """Check the arguments and fill in what is left out: the predictor decays as the online network does.

        A predictor with ``alpha_p`` = 0 and no decay of its own stays as it is. With an
        ``ema_rate`` the target moves; without one it is the online network times ``target_ratio``.

        Raises
        ------
        ValueError
            If matrices are not square or differ in size, a number is out of its range, or a name is not known.
        """
        means, scatter = (validation.finite(n, m, ndim=2) for n, m in (("x_cov", x_cov), ("aug_cov", aug_cov)))
        if means.shape[0] != means.shape[1]:
            raise ValueError(f"x_cov must be square; got shape {means.shape}")
        if scatter.shape != means.shape:
            raise ValueError(f"aug_cov must have the shape of x_cov, {means.shape}; got {scatter.shape}")
        decay = validation.nonnegative("weight_decay", weight_decay, ndim=0)
        own = decay if predictor_decay is None else validation.nonnegative("predictor_decay", predictor_decay, ndim=0)
        validation.choice("predictor", predictor, get_args(Predictor))
        return cls(
            x_cov=means,
            aug_cov=scatter,
            alpha_p=validation.nonnegative("alpha_p", alpha_p, ndim=0),
            weight_decay=decay,
            predictor_decay=own,
            ema_rate=jnp.zeros(()) if ema_rate is None else validation.positive("ema_rate", ema_rate, ndim=0),
            target_ratio=validation.finite("target_ratio", target_ratio, ndim=0),
            lift=validation.nonnegative("lift", lift, ndim=0),
            target="online" if ema_rate is None else "moving",
            predictor=predictor,
            stop_gradient=stop_gradient,
        )


def isotropic(n_inputs: int, *, aug_var: ArrayLike = 0.0, **rule) -> Learning:
    """Learning from means of unit covariance and views that add ``aug_var`` in every direction; see `Learning.of`."""
    n_inputs = validation.integer("n_inputs", n_inputs, minimum=1)
    variance = validation.nonnegative("aug_var", aug_var, ndim=0)
    return Learning.of(jnp.eye(n_inputs), variance * jnp.eye(n_inputs), **rule)


def check_networks(networks: NetworksLike, learning: Learning) -> Networks:
    """Return online network, target and predictor as arrays whose shapes fit, or raise ValueError."""
    online, target, predictor = (
        validation.finite(name, matrix, ndim=2) for name, matrix in zip(Networks._fields, networks, strict=True)
    )
    if online.shape[1] != learning.x_cov.shape[-1]:
        raise ValueError(f"online must have {learning.x_cov.shape[-1]} columns, as x_cov has; got {online.shape}")
    if target.shape != online.shape:
        raise ValueError(f"target must have the shape of online, {online.shape}; got {target.shape}")
    if predictor.shape != (len(online),) * 2:
        raise ValueError(f"predictor must have shape {(len(online),) * 2}; got {predictor.shape}")
    return Networks(online, target, predictor)


def aligned_networks(
    outputs: Float[ArrayLike, "outputs modes"],
    inputs: Float[ArrayLike, "inputs modes"],
    *,
    p: Float[ArrayLike, " modes"],
    s: Float[ArrayLike, " modes"],
    target_ratio: ArrayLike = 1.0,
) -> Networks:
    r"""Make networks whose predictor and :math:`W W^T` share eigenvectors, with eigenvalues ``p`` and ``s``.

    Columns of ``outputs`` are the eigenvectors, those of ``inputs`` what they respond to; both are orthonormal.
    ``target_ratio`` is that of the target to the online network, one number or one a mode.
    """
    u, v = validation.finite("outputs", outputs, ndim=2), validation.finite("inputs", inputs, ndim=2)
    p, s = validation.finite("p", p, ndim=1), validation.nonnegative("s", s, ndim=1)
    if not p.shape == s.shape == (u.shape[1],) == (v.shape[1],):
        raise ValueError(f"p and s must have one entry a mode, {u.shape[1]} by outputs; got {p.shape} and {s.shape}")
    root = jnp.sqrt(s)
    return Networks((u * root) @ v.T, (u * (target_ratio * root)) @ v.T, (u * p) @ u.T)


def draw_views(key: PRNGKeyArray, learning: Learning, samples: int, correlation: ArrayLike = 0.0) -> Views:
    """Draw two views of each sample: a Gaussian mean, and scatter that is larger around half of the means.

    Only the average of the scatter's covariance over means is X'; neither view is Gaussian. ``correlation`` is that of
    the two views' scatter, which the theory takes to be none.
    """
    keys = jax.random.split(key, 3)
    x_root, aug_root = (jnp.linalg.cholesky(cov) for cov in (learning.x_cov, learning.aug_cov))
    mean, first, second = (jax.random.normal(k, (x_root.shape[0], samples)) for k in keys)
    size = jnp.sqrt(jnp.where(mean[0] > 0, 1.6, 0.4))
    centre = x_root @ mean
    other = correlation * first + jnp.sqrt(1 - jnp.asarray(correlation) ** 2) * second
    return Views(centre + aug_root @ (size * first), centre + aug_root @ (size * other))


def population_loss(online: Array, predictor: Array, target: Array, learning: Learning) -> Float[Array, ""]:
    r"""Mean of :math:`\tfrac12 |W_p W x_1 - W_a x_2|^2` over all views, from the two covariances."""
    predicted = predictor @ online

    def power(matrix: Array, covariance: Array) -> Array:
        return jnp.sum((matrix @ covariance) * matrix)

    shared = power(predicted - target, learning.x_cov)
    return 0.5 * (shared + power(predicted, learning.aug_cov) + power(target, learning.aug_cov))


def sampled_loss(online: Array, predictor: Array, target: Array, views: Views) -> Float[Array, ""]:
    r"""Mean of :math:`\tfrac12 |W_p W x_1 - W_a x_2|^2` over given views."""
    residual = predictor @ (online @ views.first) - target @ views.second
    return 0.5 * jnp.mean(jnp.sum(residual**2, axis=0))


def velocity(networks: Networks, learning: Learning, views: Views | None = None) -> Networks:
    """Rate of change of all three networks under a rule, by automatic differentiation of the loss.

    On given ``views``, or in the population when left out.
    """

    def objective(online: Array, predictor: Array) -> Array:
        target = learning.target_ratio * online if learning.target == "online" else networks.target
        if learning.stop_gradient:
            target = jax.lax.stop_gradient(target)
        if learning.predictor == "direct":
            predictor = root_predictor(jax.lax.stop_gradient(online), learning)
        if views is None:
            return population_loss(online, predictor, target, learning)
        return sampled_loss(online, predictor, target, views)

    by_online, by_predictor = jax.grad(objective, argnums=(0, 1))(networks.online, networks.predictor)
    if learning.predictor == "symmetric":
        by_predictor = 0.5 * (by_predictor + by_predictor.T)
    predictor = -learning.alpha_p * by_predictor - learning.predictor_decay * networks.predictor
    if learning.predictor == "direct":
        predictor = jnp.zeros_like(networks.predictor)
    return Networks(
        online=-by_online - learning.weight_decay * networks.online,
        target=learning.ema_rate * (networks.online - networks.target),
        predictor=predictor,
    )


def root_predictor(online: Float[Array, "outputs inputs"], learning: Learning) -> Float[Array, "outputs outputs"]:
    r"""Set a predictor to the root of :math:`W X W^T`, lifted by ``lift`` times its largest eigenvalue.

    From singular values of :math:`W X^{1/2}`, so that small modes keep their digits.
    """
    u, root, _ = jnp.linalg.svd(online @ jnp.linalg.cholesky(learning.x_cov), full_matrices=False)
    return (u * root) @ u.T + learning.lift * root[0] ** 2 * jnp.eye(len(u))


@jax.jit
def track_correlations(
    start: Float[ArrayLike, "outputs outputs"], batches: Float[ArrayLike, "batches outputs samples"], memory: ArrayLike
) -> Float[Array, "outputs outputs"]:
    r"""Update an average :math:`F \leftarrow \rho F + (1 - \rho) E_{batch}[f f^T]` by batches of outputs, in turn."""

    def update(f: Array, outputs: Array) -> tuple[Array, None]:
        return jnp.asarray(memory * f + (1 - memory) * outputs @ outputs.T / outputs.shape[1]), None

    return jax.lax.scan(update, jnp.asarray(start), jnp.asarray(batches))[0]


@jax.jit
def iterated_predictor(
    correlations: Float[ArrayLike, "outputs outputs"], lift: ArrayLike
) -> Float[Array, "outputs outputs"]:
    r"""Take the root of correlations, and lift it by a share of their spectral norm, both by iteration.

    Newton-Schulz and power iteration, without any eigendecomposition. Correlations must be positive
    definite, with a condition number below about 1e6.
    """
    f = jnp.asarray(correlations)
    identity = jnp.eye(len(f))
    size = jnp.linalg.norm(f)

    def newton(_: int, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        root, inverse = pair
        step = 0.5 * (3 * identity - inverse @ root)
        return root @ step, step @ inverse

    # squaring a matrix m times takes 2^m steps of the power iteration
    high = jax.lax.fori_loop(0, 30, lambda _, m: (m @ m) / jnp.linalg.norm(m @ m), f / size)
    root, _ = jax.lax.fori_loop(0, 40, newton, (f / size, identity))
    top = jnp.trace(f @ high) / jnp.trace(high)
    return jnp.sqrt(size) * root + lift * top * identity


def modes_in(networks: Networks, basis: Float[ArrayLike, "outputs modes"]) -> Float[Array, "three modes"]:
    r"""Diagonals, in a basis of outputs, of :math:`W_p`, :math:`W W^T` and :math:`W_a W^T`, one row each."""
    u = jnp.asarray(basis)
    online = u.T @ networks.online
    p = jnp.sum(u * (networks.predictor @ u), axis=0)
    return jnp.stack([p, jnp.sum(online**2, axis=1), jnp.sum(online * (u.T @ networks.target), axis=1)])


def predictor_along(networks: Networks, direction: Float[ArrayLike, " outputs"]) -> Float[Array, ""]:
    r"""Return the form :math:`u^T W_p u` of the predictor for a unit vector u."""
    u = jnp.asarray(direction)
    return u @ networks.predictor @ u


def outputs_and_predictor(networks: Networks) -> tuple[Float[Array, "n n"], Float[Array, "n n"]]:
    r"""Correlations :math:`F = W W^T` of the outputs, and the predictor."""
    return networks.online @ networks.online.T, networks.predictor


def commutator(networks: Networks) -> Float[Array, "n n"]:
    r"""Commutator :math:`[W W^T, W_p]`, which vanishes where both share eigenvectors."""
    f, w_p = outputs_and_predictor(networks)
    return f @ w_p - w_p @ f


def sampled_velocity(
    key: PRNGKeyArray, networks: Networks, learning: Learning, samples: int, correlation: ArrayLike = 0.0
) -> Networks:
    """Rate of change on freshly drawn views; see :func:`draw_views`."""
    return velocity(networks, learning, draw_views(key, learning, samples, correlation))


def rate_of(
    observe: Callable[[Networks], Array], networks: Networks, learning: Learning, views: Views | None = None
) -> Array:
    """Rate of change of anything observed of the networks, exactly, by a directional derivative."""
    return jax.jvp(observe, (networks,), (velocity(networks, learning, views),))[1]


def require_steps(steps: Sequence[int]) -> np.ndarray:
    """Return numbers of steps as integers, nonnegative and nondecreasing, or raise ValueError."""
    counts = np.array([validation.integer("steps", step, minimum=0) for step in steps], dtype=int)
    if counts.size == 0 or (np.diff(counts) < 0).any():
        raise ValueError(f"steps must be one or more nondecreasing numbers; got {counts.tolist()}")
    return counts
