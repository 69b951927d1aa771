r"""Minima to test stability at: a linear model, a trained network, the minimum of a Rayleigh quotient.

Each is a module with a ``point`` (flat parameters), a ``gradient`` of its loss, and a ``deviation``: a vector, linear
in a small displacement, that vanishes exactly on the set of minima.
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike
from jaxtyping import Float, PRNGKeyArray

from simulations import validation


class ZeroLossModel(eqx.Module):
    r"""A model whose loss :math:`\frac{1}{2n}\sum_i r_i^2` is zero at ``point``; what differs is the residuals."""

    point: eqx.AbstractVar[Float[Array, " p"]]

    @abstractmethod
    def deviation(self, parameters: Float[Array, " p"]) -> Float[Array, " n"]:
        """Residuals r_i of all samples."""

    def weighted_gradient(self, parameters: Float[Array, " p"], weights: Float[Array, " n"]) -> Float[Array, " p"]:
        r"""Gradient of :math:`\frac12 \sum_i` weights_i r_i^2."""
        residuals, pullback = jax.vjp(self.deviation, parameters)
        return pullback(weights * residuals)[0]

    def gradient(self, parameters: Float[Array, " p"]) -> Float[Array, " p"]:
        """Gradient of the loss."""
        return self.weighted_gradient(parameters, jnp.full(self.n_samples, 1 / self.n_samples))

    @property
    def n_samples(self) -> int:
        """Number of samples, n."""
        return jax.eval_shape(self.deviation, self.point).shape[0]


class LinearModel(ZeroLossModel):
    """Residuals x_i . delta of displacements delta; the minimum is at 0."""

    features: Float[Array, "n d"]
    point: Float[Array, " d"]

    def __init__(self, features: ArrayLike) -> None:
        self.features = validation.finite("features", features, ndim=2)
        self.point = jnp.zeros(self.features.shape[1])

    def deviation(self, parameters: Float[Array, " d"]) -> Float[Array, " n"]:
        """Residuals of all samples."""
        return self.features @ parameters


class TanhNetwork(ZeroLossModel):
    r"""Residuals of :math:`f(x) = \sum_j a_j \tanh(w_j\cdot x + b_j)` against targets that it meets at ``point``."""

    inputs: Float[Array, "n k"]
    targets: Float[Array, " n"]
    point: Float[Array, " p"]

    def deviation(self, parameters: Float[Array, " p"]) -> Float[Array, " n"]:
        """Residuals of all samples."""
        return _tanh_outputs(parameters, self.inputs) - self.targets


class RayleighMinimum(eqx.Module):
    r"""The minimum of the scale-invariant :math:`w^\top A w / w^\top w`, at a chosen norm."""

    matrix: Float[Array, "d d"]
    point: Float[Array, " d"]

    def __init__(self, matrix: ArrayLike, *, norm: float) -> None:
        symmetric = validation.finite("matrix", matrix, ndim=2)
        length = validation.positive("norm", norm, ndim=0)
        if symmetric.shape[0] != symmetric.shape[1] or not jnp.allclose(symmetric, symmetric.T, rtol=1e-12, atol=0):
            raise ValueError(f"matrix must be square and symmetric; got shape {symmetric.shape}")
        self.matrix = symmetric
        self.point = length * jnp.linalg.eigh(symmetric)[1][:, 0]

    def gradient(self, parameters: Float[Array, " d"]) -> Float[Array, " d"]:
        """Gradient of the quotient."""
        return jax.grad(rayleigh_quotient)(parameters, self.matrix)

    def deviation(self, parameters: Float[Array, " d"]) -> Float[Array, " d"]:
        """Part of the parameters that is orthogonal to the minimising direction."""
        unit = self.point / jnp.linalg.norm(self.point)
        return parameters - unit * (unit @ parameters)


def rayleigh_quotient(weights: Float[Array, " d"], matrix: Float[Array, "d d"]) -> Float[Array, ""]:
    """Return w.A w / w.w."""
    return weights @ matrix @ weights / (weights @ weights)


def train_network(
    key: PRNGKeyArray, *, n_samples: int, dimension: int, width: int, n_iterations: int = 60
) -> TanhNetwork:
    r"""Fit a random task (Gaussian inputs, targets +-1) with a tanh network until its residuals are rounding.

    Levenberg-Marquardt steps of least norm, damped by the squared residual. Costs O(n^2 p) an iteration.

    Parameters
    ----------
    key : PRNG key
    n_samples, dimension, width : int
        n, k, and hidden units m; p = m (k + 2) must exceed n.
    n_iterations : int

    Returns
    -------
    TanhNetwork

    Raises
    ------
    ValueError
        If a number is out of its range, or the network has too few parameters.
    RuntimeError
        If the fit stalled above 1e-12; another key will do.
    """
    n = validation.integer("n_samples", n_samples, minimum=1)
    k = validation.integer("dimension", dimension, minimum=1)
    m = validation.integer("width", width, minimum=1)
    if m * (k + 2) <= n:
        raise ValueError(f"width must give more parameters than the {n} samples; {m} gives {m * (k + 2)}")
    iterations = validation.integer("n_iterations", n_iterations, minimum=1)
    draw_inputs, draw_targets, draw_start = jax.random.split(key, 3)
    inputs = jax.random.normal(draw_inputs, (n, k))
    targets = jax.random.rademacher(draw_targets, (n,), dtype=inputs.dtype)
    scales = jnp.concatenate([jnp.full(m, m**-0.5), jnp.full(m * k, k**-0.5), jnp.ones(m)])
    point = _levenberg_marquardt(inputs, targets, scales * jax.random.normal(draw_start, scales.shape), iterations)
    network = TanhNetwork(inputs=inputs, targets=targets, point=point)
    worst = float(jnp.abs(network.deviation(point)).max())
    if not worst < 1e-12:
        raise RuntimeError(f"the network did not fit its targets: largest residual {worst:.1e}")
    return network


def sample_gradients(model: ZeroLossModel) -> Float[Array, "n p"]:
    """Gradients of the model's outputs at its minimum, one row a sample."""
    return jax.jacrev(model.deviation)(model.point)


@eqx.filter_jit
def _levenberg_marquardt(inputs: Array, targets: Array, start: Array, n_iterations: int) -> Array:
    def residuals(parameters: Array) -> Array:
        return _tanh_outputs(parameters, inputs) - targets

    def improve(parameters: Array, _: None) -> tuple[Array, None]:
        r, J = residuals(parameters), jax.jacrev(residuals)(parameters)
        gram = J @ J.T
        step = J.T @ jnp.linalg.solve(gram + (r @ r) * jnp.eye(len(r)), r)
        trial = parameters - step
        return jnp.where(jnp.sum(residuals(trial) ** 2) <= r @ r, trial, parameters - 0.1 * step), None

    return jax.lax.scan(improve, start, length=n_iterations)[0]


def _tanh_outputs(parameters: Array, inputs: Array) -> Array:
    k = inputs.shape[1]
    width = parameters.shape[0] // (k + 2)
    output, hidden, bias = jnp.split(parameters, [width, width * (k + 1)])
    return jnp.tanh(inputs @ hidden.reshape(k, width) + bias) @ output
