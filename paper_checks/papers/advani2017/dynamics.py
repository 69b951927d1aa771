"""Errors at every time of training: on given samples, in high dimension, with critical samples, and deep."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, FiniteSize, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Samples, Sizes, Steps
from paper_checks.papers.advani2017.paper import ALPHAS, PAPER, Array, draw, students
from simulations import deep_linear as networks
from simulations.deep_linear import high_dimensional as sim
from simulations.replicates import over_replicates
from theory import deep_linear
from theory.deep_linear import high_dimensional as theory

SNR, INR = 3.0, 1.0
TIMES: Array = np.array([0.5, 1.0, 2.0, 4.0, 8.0])
Correct = Callable[[Array, Array], Array]  # what is averaged over the spectrum, given eigenvalues and times


def _descend(run: Run, of: str) -> Sizes:
    """Train on drawn samples at sizes that double; errors at all times, for every alpha."""
    sizes = run.size("features", quick=(6, 12, 24, 48), standard=(8, 16, 32, 64), full=(16, 32, 64, 128))
    replicates = run.size("designs", quick=1000, standard=4000, full=100_000)
    first = run.size("log2 of the learning rate", quick=-12, standard=-17, full=-20)
    schedule = (jnp.asarray(2.0**first), jnp.asarray(3 - first))
    errors = draw(run, sim.descent_errors, sizes, ALPHAS, replicates, students(SNR, INR), *schedule, ..., len(TIMES))
    return Sizes(sizes, getattr(errors, of))


def _mean(function: Correct, alpha: float) -> Array:
    nodes, weights, _ = theory.mp_quadrature(alpha, finest=0.1)
    return function(nodes, TIMES[:, None]) @ weights


def _coefficients(function: Correct, share: Callable[[float], float] = lambda alpha: 1.0) -> Array:
    return np.stack(
        [share(alpha) * theory.mp_finite_size(lambda x: function(x, TIMES[:, None]), alpha=alpha) for alpha in ALPHAS]
    )


def _test(x: Array, t: Array, decay: float = 2.0, power: float = SNR + INR) -> Array:
    return power * np.exp(-decay * x * t) + np.expm1(-x * t) ** 2 / np.where(x > 0, x, 1.0)


def _train(x: Array, t: Array, decay: float = 2.0, power: float = SNR + INR) -> Array:
    return (x * power + 1) * np.exp(-decay * x * t)


@PAPER.claim(
    "test_error",
    statement=r"""The test error at time $t$ tends to $\sigma_\epsilon^2 \{1 + \int \rho(\lambda) [(S + I)
    e^{-2 \lambda t} + (1 - e^{-\lambda t})^2 / \lambda] d\lambda + (1 - \alpha)_+ (S + I)\}$, with corrections of order
    $1/N$ that the edges of the spectrum set.""",
    source="generalisation error as a function of time; correction derived",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.03),
    controls=(
        "decay with lambda for 2 lambda",
        "frozen weights forgotten",
        "S - I for S + I",
        "edges of the correlations over P",
    ),
)
def test_error(run: Run) -> Trial:
    """Gradient descent on drawn samples, of which there are half as many as features, as many, and twice as many."""

    def predict() -> Limit:
        value = [theory.test_error(TIMES, alpha=alpha, snr=SNR, inr=INR) for alpha in ALPHAS]
        return Limit(np.stack(value), _coefficients(_test))

    def frozen(alpha: float, power: float = SNR + INR) -> float:
        return max(1 - alpha, 0.0) * power

    def wrong(function: Correct, kept: Callable[[float], float] = frozen) -> Limit:
        return Limit(np.stack([1 + _mean(function, alpha) + kept(alpha) for alpha in ALPHAS]), _coefficients(_test))

    def stretched() -> Limit:
        value = [theory.test_error(TIMES / alpha, alpha=alpha, snr=SNR, inr=INR) for alpha in ALPHAS]
        return Limit(np.stack(value), _coefficients(_test))

    def opposed() -> Limit:
        return wrong(partial(_test, power=SNR - INR), partial(frozen, power=SNR - INR))

    return Trial(
        predict=predict,
        measure=lambda: _descend(run, "test"),
        controls={
            "decay with lambda for 2 lambda": lambda: wrong(partial(_test, decay=1.0)),
            "frozen weights forgotten": lambda: wrong(_test, lambda alpha: 0.0),
            "S - I for S + I": opposed,
            "edges of the correlations over P": stretched,
        },
    )


@PAPER.claim(
    "train_error",
    statement=r"""The training error at time $t$ tends to $\sigma_\epsilon^2 \{\frac1\alpha \int_{\lambda > 0}
    \rho(\lambda) [\lambda (S + I) + 1] e^{-2 \lambda t} d\lambda + (1 - 1/\alpha)_+\}$, with corrections of order
    $1/N$.""",
    source="training error as a function of time; correction derived",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.03),
    controls=(
        "decay with lambda for 2 lambda",
        "per feature for per sample",
        "noise learnt entirely",
        "S - I for S + I",
    ),
)
def train_error(run: Run) -> Trial:
    """Gradient descent on drawn samples, judged on the samples themselves."""
    coefficient = _coefficients(_train, lambda alpha: 1 / alpha)

    def predict() -> Limit:
        return Limit(
            np.stack([theory.train_error(TIMES, alpha=alpha, snr=SNR, inr=INR) for alpha in ALPHAS]), coefficient
        )

    def wrong(function: Correct = _train, share: float = 1.0, left: bool = True) -> Limit:
        value = [_mean(function, alpha) / alpha + left * max(1 - 1 / alpha, 0.0) for alpha in ALPHAS]
        factor = np.array(ALPHAS)[:, None] ** (1 - share)
        return Limit(factor * np.stack(value), coefficient)

    return Trial(
        predict=predict,
        measure=lambda: _descend(run, "train"),
        controls={
            "decay with lambda for 2 lambda": lambda: wrong(partial(_train, decay=1.0)),
            "per feature for per sample": lambda: wrong(share=0.0),
            "noise learnt entirely": lambda: wrong(left=False),
            "S - I for S + I": lambda: wrong(partial(_train, power=SNR - INR)),
        },
        scale=1.0,
    )


@PAPER.claim(
    "conditional",
    statement=r"""On given samples the mean test error over teacher, noise and initial weights is $\sigma_\epsilon^2
    \{1 + \frac1N \sum_i [(S + I) e^{-2 \lambda_i t} + (1 - e^{-\lambda_i t})^2 / \lambda_i]\}$, at any size.""",
    source="modes of the dynamics, before the limit",
    agreement=MonteCarlo(resolution=0.05),
    controls=("decay with lambda for 2 lambda", "noise not learnt", "S - I for S + I", "zeros left out"),
)
def conditional(run: Run) -> Trial:
    """Draw teachers, noise and initial weights for one design of fewer samples than features and one of more."""
    N = run.size("features", quick=10, standard=20, full=100)
    draws = run.size("draws", quick=10_000, standard=100_000, full=1_000_000)
    rng = run.rng()
    designs = [rng.standard_normal((N, P)) / np.sqrt(N) for P in (N // 2, 2 * N)]
    spectra = [np.maximum(np.linalg.eigvalsh(X @ X.T), 0.0) for X in designs]
    spectra[0][: N - N // 2] = 0.0
    noise = 0.7

    def measure() -> Samples:
        rate = jnp.asarray(2.0**-20)
        found = [
            over_replicates(
                sim.descend_with_draws,
                run.keys(draws, f"{j}"),
                jnp.asarray(X),
                students(SNR, INR, noise),
                rate,
                23,
                len(TIMES),
            )
            for j, X in enumerate(designs)
        ]
        return Samples(np.stack(found, axis=1))

    def predict(inr: float = INR) -> Array:
        return np.stack([theory.conditional_test_error(TIMES, x, snr=SNR, inr=inr, noise_var=noise) for x in spectra])

    def wrong(decay: float = 2.0, learnt: float = 1.0, power: float = SNR + INR, positive: bool = False) -> Array:
        found = []
        for x in spectra:
            kept = x[x > 0] if positive else x
            terms = learnt * _test(kept, TIMES[:, None], power=0.0) + power * np.exp(-decay * kept * TIMES[:, None])
            found.append(noise * (1 + terms.mean(axis=1)))
        return np.stack(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "decay with lambda for 2 lambda": lambda: wrong(decay=1.0),
            "noise not learnt": lambda: wrong(learnt=0.0),
            "S - I for S + I": lambda: wrong(power=SNR - INR),
            "zeros left out": lambda: wrong(positive=True),
        },
    )


@PAPER.claim(
    "critical_divergence",
    statement=r"""With as many samples as features the test error grows without bound, as $\frac{2 (2 -
    \sqrt2)}{\sqrt\pi} \sigma_\epsilon^2 \sqrt t$.""",
    source="derived from the spectrum at alpha = 1",
    agreement=FiniteSize(exponent=0.5, second=1, of="limit", resolution=0.06),
    controls=("1 / sqrt(pi)", "2 sqrt(2 / pi)", "sqrt(t / 2)", "bounded"),
)
def critical_divergence(run: Run) -> Trial:
    """Train N features on N samples for a time N, so that the discrete spectrum near zero is not yet felt."""
    sizes = run.size("features", quick=(6, 12, 24, 48), standard=(16, 32, 64, 128), full=(32, 64, 128, 256))
    replicates = run.size("designs", quick=1200, standard=9000, full=40_000)

    def measure() -> Sizes:
        found = []
        for N in sizes:
            schedule = (jnp.asarray(N / 2.0**11), jnp.asarray(11))
            error = draw(
                run, sim.descent_errors, (N,), (1.0,), replicates, students(1.0), *schedule, ..., 1, name=f"{N}"
            ).test
            found.append(error[0, :, 0, 0] / np.sqrt(N))
        return Sizes(sizes, np.stack(found))

    return Trial(
        predict=lambda: theory.CRITICAL_GROWTH,
        measure=measure,
        controls={
            "1 / sqrt(pi)": lambda: 1 / np.sqrt(np.pi),
            "2 sqrt(2 / pi)": lambda: 2 * np.sqrt(2 / np.pi),
            "sqrt(t / 2)": lambda: theory.CRITICAL_GROWTH / np.sqrt(2),
            "bounded": lambda: 0.0,
        },
        scale=theory.CRITICAL_GROWTH,
    )


@PAPER.claim(
    "deep_vector_flow",
    statement=r"""A balanced deep linear network with one output obeys $\tau \dot w = |w|^{2 - 2/D} (I + (D - 1) w w^T /
    |w|^2) X (y - X^T w)$: outside of the span of the samples, its weights keep their direction, but not their
    length.""",
    source="deep linear networks; derived",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-10),
    controls=("a shallow student", "D for D - 1", "power 2 - 1/D", "frozen outside of the samples"),
)
def deep_vector_flow(run: Run) -> Trial:
    """Gradient descent on all matrices of networks of three depths, with fewer samples than features."""
    N, P = run.size("features, samples", quick=(6, 3), standard=(20, 10), full=(200, 80))
    finest = run.size("finest learning rate", quick=1e-3, standard=5e-4, full=2e-4)
    depths, times = (2, 3, 5), np.array([0.8, 1.6])
    rates = [8 * finest, 4 * finest, 2 * finest, finest]
    rng = run.rng()
    X = rng.standard_normal((N, P)) / np.sqrt(N)
    y = X.T @ rng.standard_normal(N) + 0.5 * rng.standard_normal(P)

    @cache
    def starts() -> list[Any]:
        """Draw networks of rank one: all layers have singular value 0.9."""
        return [networks.balanced(run.key(f"{D}"), (N, *(3,) * (D - 1), 1), strengths=[0.9]) for D in depths]

    @cache
    def weights() -> list[Array]:
        return [np.asarray(networks.product(start))[0] for start in starts()]

    def measure() -> Steps:
        task = networks.Task.from_samples(X, y[None], average=False)
        found = [
            networks.descend_at_times(start, task, learning_rates=rates, times=times, observe=networks.product)
            for start in starts()
        ]
        return Steps(rates, np.stack([np.asarray(f)[:, :, 0] for f in found], axis=1))

    def flow(depth: int | None = None) -> Array:
        pairs = zip(weights(), depths, strict=True)
        return np.stack([deep_linear.deep_vector_flow(times, w, X, y, depth=depth or D) for w, D in pairs])

    def wrong(extra: float = 0.0, power: float = 0.0) -> Array:
        pairs = zip(weights(), depths, strict=True)
        return np.stack([_rough_flow(w, X, y, times, 2 - 2 / D + power / D, D - 1 + extra) for w, D in pairs])

    def frozen() -> Array:
        outside = np.linalg.svd(X)[0][:, P:]
        return flow() + (np.stack(weights())[:, None] - flow()) @ outside @ outside.T

    return Trial(
        predict=flow,
        measure=measure,
        controls={
            "a shallow student": lambda: flow(1),
            "D for D - 1": lambda: wrong(extra=1.0),
            "power 2 - 1/D": lambda: wrong(power=1.0),
            "frozen outside of the samples": frozen,
        },
        scale="largest",
    )


def _rough_flow(w: Array, X: Array, y: Array, times: Array, power: float, along: float) -> Array:
    """Integrate a flow of this form with other numbers, by midpoints."""
    found, steps = [], 4000
    step = times[-1] / steps

    def velocity(w: Array) -> Array:
        pull, length = X @ (y - w @ X), np.linalg.norm(w)
        return length**power * (pull + along * w * (w @ pull) / length**2)

    for k in range(1, steps + 1):
        w = w + step * velocity(w + step / 2 * velocity(w))
        if np.any(np.isclose(k * step, times)):
            found.append(w)
    return np.stack(found)
