"""Han, Razaviyayn and Xu 2024: estimating the score of noisy data by regression on the noise.

What is tried is the identity on which such training rests, not the paper's rates of optimisation.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Paper, Run, Trial
from simulations import kernel_regression as sim
from theory import kernel_regression as theory

Array = NDArray[np.float64]
Guess = Callable[[Array], Array]

PAPER = Paper(
    key="han2024",
    title="Neural network-based score estimation in diffusion models: optimization and generalization",
    authors="Yinbin Han, Meisam Razaviyayn, Renyuan Xu",
    year=2024,
    arxiv="2401.15604",
    wing="kernel_regression",
)

TIMES = ((0.9, 0.436), (0.6, 0.8), (0.3, 0.954))  # factors of data and of noise
VARIANCES = (0.5, 1.0, 2.0)
DISCRETE = (
    (np.array([-1.0, 1.0]), np.array([0.5, 0.5])),
    (np.array([-1.2, 0.1, 0.9]), np.array([0.2, 0.5, 0.3])),
)


def _data() -> list[list[sim.NoisyData]]:
    """List noisy data of all laws, the Gaussian ones first, at all times."""
    laws = [*(sim.gaussian_points(v) for v in VARIANCES), *DISCRETE]
    return [[sim.noisy_data(*law, signal=a, noise=s) for a, s in TIMES] for law in laws]


def _gaps() -> Array:
    """Return what the theory says of every law and time, (laws, times)."""
    gaussian = [[float(theory.denoising_gap([v], signal=a, noise=s)) for a, s in TIMES] for v in VARIANCES]
    discrete = [[theory.denoising_gap_discrete(*law, signal=a, noise=s) for a, s in TIMES] for law in DISCRETE]
    return np.array(gaussian + discrete)


def _moments() -> tuple[Array, Array]:
    """Return variances of the laws and squared factors, (laws, 1) and (2, times)."""
    means = [(p @ x, p @ x**2) for x, p in DISCRETE]
    variances = np.array([*VARIANCES, *(square - mean**2 for mean, square in means)])
    return variances[:, None], np.array(TIMES).T ** 2


def _network(x: Array, *, w: Array, b: Array, readout: Array) -> Array:
    return np.tanh(x[..., None] * w + b) @ readout


def _guesses(run: Run) -> list[Guess]:
    """Draw lines, cubics, and networks of eight hidden units."""
    rng = run.rng("guesses")
    found: list[Guess] = [np.zeros_like]
    for _ in range(run.size("guesses of each kind", quick=2, standard=4, full=16)):
        line, cubic = rng.normal(size=2), 0.3 * rng.normal(size=4)
        w, b, readout = rng.normal(size=(3, 8))
        found += [
            Polynomial(line),
            Polynomial(cubic),
            partial(_network, w=w, b=b, readout=readout),
        ]
    return found


@PAPER.claim(
    "dsm-constant",
    statement=r"""With $x_t = a x_0 + s z$, $E |f(x_t) + z / s|^2 - E |f(x_t) - \nabla \log p_t(x_t)|^2$ is the same for
    every f: $1 / s^2 - 1 / (a^2 v + s^2)$ for data of variance v that are Gaussian, and $a^2 s^{-4} E\,
    \mathrm{Var}(x_0 | x_t)$ for all.""",
    source="denoising score matching (constant derived)",
    agreement=Identity(rtol=1e-9),
    controls=(
        "1 / s^2 alone",
        "only second moments of the data",
        "added noise in units of s",
        "sign of the noise",
        "a for a^2",
    ),
)
def dsm_constant(run: Run) -> Trial:
    """Average both losses of lines, cubics and networks by quadrature, with scores by automatic differentiation."""
    guesses = _guesses(run)

    def measure() -> Array:
        data = _data()
        losses = [[[sim.score_losses(guess, part) for part in row] for row in data] for guess in guesses]
        return np.array([[[loss.denoising - loss.score for loss in row] for row in rows] for rows in losses])

    def everywhere(gaps: Array) -> Array:
        return np.broadcast_to(gaps, (len(guesses), *gaps.shape)).copy()

    variances, (a2, s2) = _moments()
    return Trial(
        predict=lambda: everywhere(_gaps()),
        measure=measure,
        controls={
            "1 / s^2 alone": lambda: everywhere(np.broadcast_to(1 / s2, _gaps().shape)),
            "only second moments of the data": lambda: everywhere(1 / s2 - 1 / (a2 * variances + s2)),
            "added noise in units of s": lambda: everywhere(_gaps() * s2),
            "sign of the noise": lambda: everywhere(1 / s2 + 1 / (a2 * variances + s2)),
            "a for a^2": lambda: everywhere(_gaps() / np.sqrt(a2)),
        },
        scale="largest",
    )


@PAPER.claim(
    "least-loss",
    statement=r"""No guess at the score has a denoising loss below that constant, which is not zero, and the score of
    Gaussian data, $-x_t / (a^2 v + s^2)$, attains it.""",
    source="denoising score matching (constant derived)",
    agreement=Bound(side="lower", tight=1e-9),
    controls=("zero", "1 / s^2 alone", "a tenth less"),
)
def least_loss(run: Run) -> Trial:
    """Try random guesses, and lines and cubics that are fitted to the noise by least squares."""
    guesses = _guesses(run)

    def measure() -> Array:
        found = []
        for part in (part for row in _data() for part in row):
            tried = [*guesses, *(sim.fit_polynomial(part, degree) for degree in (1, 3))]
            found.append([sim.score_losses(guess, part).denoising for guess in tried])
        return np.array(found)

    def predict(gaps: Array) -> Array:
        return np.repeat(gaps.reshape(-1, 1), len(guesses) + 2, axis=1)

    _, (_, s2) = _moments()
    return Trial(
        predict=lambda: predict(_gaps()),
        measure=measure,
        controls={
            "zero": lambda: predict(0 * _gaps()),
            "1 / s^2 alone": lambda: predict(np.broadcast_to(1 / s2, _gaps().shape)),
            "a tenth less": lambda: predict(0.9 * _gaps()),
        },
        scale=np.ones((_gaps().size, len(guesses) + 2)),
    )
