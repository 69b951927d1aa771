"""Two Gaussian classes told apart by the mean of one: errors in training and on fresh points, and their gap."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr

from paper_checks.agreement import Bound, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples
from paper_checks.papers.he2024.paper import PAPER
from simulations import generalization as sim
from simulations.replicates import over_replicates
from theory import generalization as gen

TEST_POINTS = 20


class Classes(NamedTuple):
    """Sample size, dimension, norm of the mean, and noise."""

    n: int
    d: int
    mean_norm: float
    sigma: float


CLASSES = (Classes(5, 4, 1.0, 1.0), Classes(20, 10, 1.5, 1.2), Classes(4, 1, 0.7, 1.0))


def _gaps_at(key: jax.Array, deltas: jax.Array, n: int, d: int) -> jax.Array:
    """Gap under 0-1 loss of one fit at every distance between the classes."""
    losses = jax.vmap(lambda delta: sim.class_mean_losses(key, n, d, delta, jnp.asarray(1.0), TEST_POINTS))(deltas)
    return losses[:, 1] - losses[:, 0]


def class_losses(run: Run, replicates: int) -> Array:
    """Errors and linear losses in training and on fresh points, (replicates, problems, 4)."""
    found = []
    for case in CLASSES:
        keys = run.keys(replicates, str(case))
        mean, sigma = jnp.asarray(case.mean_norm), jnp.asarray(case.sigma)
        found.append(over_replicates(sim.class_mean_losses, keys, case.n, case.d, mean, sigma, TEST_POINTS))
    return np.stack(found, axis=1)


def _errors(change: Callable[[Classes, float, float], tuple[float, float]] | None = None) -> Array:
    found = []
    for case in CLASSES:
        right = gen.class_mean_errors(case.n, case.d, mean_norm=case.mean_norm, sigma=case.sigma)
        pair = (right.training, right.population)
        found.append(pair if change is None else change(case, *pair))
    return np.array(found)


def _training_with_full_noise(case: Classes, training: float, population: float) -> tuple[float, float]:
    """Average Phi(-|M| / sigma), as if a training point were scattered about M as a fresh one is about its mean."""
    M = np.random.default_rng(0).standard_normal((200_000, case.d)) * case.sigma / np.sqrt(case.n)
    M[:, 0] += case.mean_norm
    return float(np.mean(ndtr(-np.linalg.norm(M, axis=1) / case.sigma))), population


@PAPER.claim(
    "gaussian-gap",
    statement=r"""The classifier $\operatorname{sign}(M \cdot x)$ errs with probability $P((1 + r)
    \chi_d^2(\tfrac{(\sqrt n + 1)^2 \Delta^2}{2 (1 + r)}) < (1 - r)
    \chi_d^2(\tfrac{(\sqrt n - 1)^2 \Delta^2}{2 (1 - r)}))$ on training points,
    where $r = 1 / \sqrt n$ and $\Delta = |\mu| / \sigma$, and with that for $r = 0$ on fresh ones.""",
    source="example of binary Gaussian classification; formulas derived here",
    agreement=MonteCarlo(resolution=0.05),
    controls=(
        "training points scattered as fresh ones",
        "Bayes error for the population",
        "training error for the population",
        "one sample more",
    ),
)
def gaussian_gap(run: Run) -> Trial:
    """Draw samples, fit the class mean, and count errors in training and on fresh points."""
    replicates = run.size("replicates", quick=30_000, standard=300_000, full=10_000_000)

    def bayes(case: Classes, training: float, population: float) -> tuple[float, float]:
        return training, float(ndtr(-case.mean_norm / case.sigma))

    def more(case: Classes, training: float, population: float) -> tuple[float, float]:
        found = gen.class_mean_errors(case.n + 1, case.d, mean_norm=case.mean_norm, sigma=case.sigma)
        return found.training, found.population

    return Trial(
        predict=_errors,
        measure=lambda: Samples(class_losses(run, replicates)[..., :2]),
        controls={
            "training points scattered as fresh ones": lambda: _errors(_training_with_full_noise),
            "Bayes error for the population": lambda: _errors(bayes),
            "training error for the population": lambda: _errors(lambda case, training, population: (training,) * 2),
            "one sample more": lambda: _errors(more),
        },
    )


@PAPER.claim(
    "gaussian-bound",
    statement=r"""The gap of the class-mean classifier is at most $\sqrt{\frac d4 \ln\frac{n}{n-1}}$ under 0-1 loss, for
    every number of points, dimension, mean and noise.""",
    source="example of binary Gaussian classification; constants derived here",
    agreement=Bound(),
    controls=("divergence for its root", "a fifth of the bound", "bound at n^2 points"),
)
def gaussian_bound(run: Run) -> Trial:
    """Count errors on drawn samples, from two points in one dimension to many in several; no instance comes close."""
    replicates = run.size("replicates", quick=20_000, standard=100_000, full=1_000_000)
    cases = [(2, 1), (2, 4), (16, 4)]
    deltas = np.array([0.0, 0.5, 1.0, 2.0])
    sizes = np.array(cases).T[:, :, None] * np.ones(deltas.size, int)

    def measure() -> Samples:
        found = []
        for n, d in cases:
            keys = run.keys(replicates, f"{n}, {d}")
            losses = over_replicates(_gaps_at, keys, jnp.asarray(deltas), n, d)
            found.append(losses)
        return Samples(np.stack(found, axis=1))

    def predict() -> Array:
        return np.asarray(gen.mutual_information_bound(gen.gaussian_layer_kl(*sizes), 1))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "divergence for its root": lambda: np.asarray(gen.gaussian_layer_kl(*sizes)) / 4,
            "a fifth of the bound": lambda: predict() / 5,
            "bound at n^2 points": lambda: predict() / np.sqrt(sizes[0]),
        },
    )
