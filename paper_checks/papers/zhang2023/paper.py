"""The paper, and what its claims share: covariances, suitable starts, and trained layers."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from paper_checks.claim import Paper, Run
from simulations.in_context import layer_training
from simulations.in_context.layer_training import Path, Population
from simulations.in_context.linear_layer import AVERAGED, LinearLayer, two_block_layer
from simulations.in_context.populations import Moments, gaussian_moments

Array = NDArray[np.float64]

PAPER = Paper(
    key="zhang2023",
    title="Trained Transformers Learn Linear Models In-Context",
    authors="Ruiqi Zhang, Spencer Frei, Peter L. Bartlett",
    year=2024,
    arxiv="2306.09927",
    wing="in_context",
)

D = 3  # dimension of most problems, so that they share compiled programs
SIGMA = 0.4  # initial scale, suitable for the covariances below: sigma^2 sqrt(d) ||Gamma|| < 2
PATH = (0.4, 1.5, 5.0, 500.0)  # times of a flow; at the last the slowest direction has died out by 1e-20


def covariance(rng: np.random.Generator, dim: int = D) -> Array:
    """Random covariance with eigenvalues between 0.4 and 1.6."""
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return (basis * rng.uniform(0.4, 1.6, dim)) @ basis.T


def direction(rng: np.random.Generator, dim: int = D) -> Array:
    """Random square Theta with ||Theta Theta^T||_F = 1."""
    theta = rng.standard_normal((dim, dim))
    return theta / np.sqrt(np.linalg.norm(theta @ theta.T))


def task(rng: np.random.Generator, dim: int = D) -> Array:
    """Random task of length 1.5: signal and noise are then of comparable size for every seed."""
    w = rng.standard_normal(dim)
    return 1.5 * w / np.linalg.norm(w)


def population(cov: ArrayLike, n: float) -> Moments:
    """Noiseless prompts of standard normal tasks, as in training."""
    return gaussian_moments(n=n, cov_x=cov, cov_w=np.eye(len(np.asarray(cov))), attention=AVERAGED)


def suitable_start(theta: Array, scale: float = SIGMA) -> LinearLayer:
    """Layer at the start of the flow, all of whose parameters will be free."""
    return two_block_layer(jnp.asarray(scale * theta @ theta.T), scale)


def train(prompts: Population, theta: Array, *, times: Sequence[float] = PATH, scale: float = SIGMA) -> Path:
    """Gradient flow in all parameters from a suitable start."""
    return layer_training.gradient_flow(suitable_start(theta, scale), prompts, times=times)


def trained_layer(run: Run, cov: Array, n: float) -> LinearLayer:
    """Layer at the end of the flow, from a start of its own for every prompt length."""
    theta = direction(run.rng(f"start {n}"), len(cov))
    path = train(population(cov, n), theta)
    return LinearLayer(path.layer.value[-1], path.layer.key_query[-1])
