"""Models trained with and without an example: least squares, ridge regression, regularised convex losses."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


def least_squares_errors(key: Array, n: int, d: int, noise_std: Array, n_test: int) -> Array:
    """Train least squares on Gaussian data once; return the mean squared errors on training and on fresh data."""
    w_key, x_key, y_key = jax.random.split(key, 3)
    w = jax.random.normal(w_key, (d,))
    X = jax.random.normal(x_key, (n + n_test, d))
    y = X @ w + noise_std * jax.random.normal(y_key, (n + n_test,))
    fitted = jnp.linalg.lstsq(X[:n], y[:n])[0]
    squares = (y - X @ fitted) ** 2
    return jnp.stack([squares[:n].mean(), squares[n:].mean()])


@jax.jit
def refit_without_each(X: Array, y: Array, ridge: Array) -> Array:
    """Residual at each example of ridge regression trained on all others, refitted every time."""

    def without(i):
        keep = (jnp.arange(X.shape[0]) != i).astype(float)
        gram = (X * keep[:, None]).T @ X + ridge * jnp.eye(X.shape[1])
        return y[i] - X[i] @ jnp.linalg.solve(gram, (X * keep[:, None]).T @ y)

    return jax.vmap(without)(jnp.arange(X.shape[0]))


class Replacement(NamedTuple):
    """What replacing the first example does: how far the minimiser moves, and the largest change of a loss."""

    movement: Array
    loss_change: Array


def logistic_loss(u: Array) -> Array:
    """ln(1 + exp(-u)), 1-Lipschitz."""
    return jax.nn.softplus(-u)


def linear_loss(u: Array) -> Array:
    """-u, 1-Lipschitz."""
    return -u


def rounded_hinge(u: Array) -> Array:
    """(sqrt(1/4 + (1 - u)^2) + 1 - u) / 2, 1-Lipschitz, of curvature at most 1."""
    return (jnp.sqrt(0.25 + (1 - u) ** 2) + 1 - u) / 2


LOSSES = {"logistic": logistic_loss, "linear": linear_loss, "rounded hinge": rounded_hinge}


def minimise_regularised(z: Array, strong_convexity: Array, loss: str, *, n_steps: int) -> Array:
    """Minimise mean loss(z_i.w) + strong_convexity / 2 |w|^2 by gradient descent; |z_i| <= 1 is assumed."""

    def objective(w):
        return jnp.mean(LOSSES[loss](z @ w)) + strong_convexity / 2 * w @ w

    gradient = jax.grad(objective)
    rate = 2 / (2 * strong_convexity + 1.0)  # curvatures lie between lambda and lambda + 1

    def advance(w, _):
        return w - rate * gradient(w), None

    return jax.lax.scan(advance, jnp.zeros(z.shape[1]), length=n_steps)[0]


def replace_one(z: Array, other: Array, strong_convexity: Array, loss: str, *, n_steps: int = 400) -> Replacement:
    """Train with z and with its first row replaced, and compare; test losses are tried in all directions of size 1.

    For losses of z.w with |z| <= 1 the largest change of the loss is sought among the examples of both sets and the
    direction of the movement.
    """
    first = minimise_regularised(z, strong_convexity, loss, n_steps=n_steps)
    second = minimise_regularised(z.at[0].set(other), strong_convexity, loss, n_steps=n_steps)
    moved = first - second
    norm = jnp.linalg.norm(moved)
    along = moved / jnp.maximum(norm, 1e-300)
    tests = jnp.concatenate([z, other[None], along[None], -along[None]])
    change = LOSSES[loss](tests @ first) - LOSSES[loss](tests @ second)
    return Replacement(norm, jnp.max(jnp.abs(change)))
