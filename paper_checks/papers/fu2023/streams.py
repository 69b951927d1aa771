"""Learners that see one example at a time, and what they remember of it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, components
from paper_checks.papers.fu2023.paper import PAPER, prompt
from simulations.in_context import iterations, online
from simulations.replicates import over_replicates
from theory import in_context


@PAPER.claim(
    "rls",
    statement=r"""Recursive least squares, $P \leftarrow P - P x x^T P / (1 + x^T P x)$ from $P_0 = I / \lambda$, holds
    the ridge solution $(X_t^T X_t + \lambda I)^{-1} X_t^T y_t$ of every prefix.""",
    source="online counterpart of least squares; Sherman and Morrison",
    agreement=Identity(rtol=1e-11),
    controls=("ridge scaled by t", "ridge inverted", "one example late"),
)
def rls(run: Run) -> Trial:
    """Noisy answers, several ridges; the recursion against every prefix solved afresh."""
    n, d = run.size("examples and dimension", quick=(20, 5), standard=(60, 12), full=(200, 40))
    rng = run.rng()
    x, y, ridges = rng.standard_normal((n, d)), rng.standard_normal(n), (0.1, 1.0, 7.0)

    def predict(change: Callable[[float], float] = lambda ridge: ridge) -> np.ndarray:
        return np.stack([in_context.recursive_least_squares(x, y, ridge=change(ridge)) for ridge in ridges])

    def per_example() -> np.ndarray:
        scaled = []
        for ridge in ridges:
            rows = [np.zeros(d)]
            rows += [in_context.recursive_least_squares(x[:t], y[:t], ridge=t * ridge)[-1] for t in range(1, n + 1)]
            scaled.append(np.stack(rows))
        return np.stack(scaled)

    return Trial(
        predict=predict,
        measure=lambda: np.stack([online.recursive_least_squares(x, y, ridge=ridge) for ridge in ridges]),
        controls={
            "ridge scaled by t": per_example,
            "ridge inverted": lambda: predict(lambda ridge: 2 / (1 + ridge)),
            "one example late": lambda: np.roll(predict(), 1, axis=1),
        },
        scale="largest",
    )


def _gradient_stream(key: jax.Array, rates: jax.Array, dimension: int, steps: int) -> jax.Array:
    slow, fast = (
        online.stream_errors(key, rate, dimension=dimension, steps=steps, update="gradient") for rate in rates
    )
    exact = online.stream_errors(key, rates[0], dimension=dimension, steps=steps, update="kaczmarz")
    return jnp.concatenate([slow[1:], fast[1:], exact[1:]])


@PAPER.claim(
    "ogd-error",
    statement=r"""Online gradient descent on noise-free Gaussian examples has the mean squared error $(1 - 2 \eta + (d +
    2) \eta^2)^t \|e_0\|^2$: stable below $\eta = 2 / (d + 2)$, fastest at half of that. With the step $1 / \|x\|^2$
    it is $(1 - 1/d)^t \|e_0\|^2$.""",
    source="online gradient descent as a baseline; derived",
    agreement=MonteCarlo(resolution=2e-2),
    controls=("d + 1 for d + 2", "eta^2 without dimension", "one step more", "Kaczmarz as its square root"),
)
def ogd_error(run: Run) -> Trial:
    """Streams at a stable rate, beyond the limit of stability, and with the exact step."""
    d, steps = 16, 3
    draws = run.size("draws", quick=150_000, standard=600_000, full=20_000_000)
    rates = (0.05, 0.14)  # the limit is 1 / 9

    def predict(factor: Callable[[float], float] | None = None, late: int = 0, root: float = 1.0) -> np.ndarray:
        t = np.arange(1, steps + 1) + late
        curves = [
            [in_context.ogd_mean_square_error(d, step=int(k), learning_rate=rate) for k in t]
            if factor is None
            else factor(rate) ** t
            for rate in rates
        ]
        return components(*curves, (1 - 1 / d) ** (root * t))

    return Trial(
        predict=predict,
        measure=lambda: Samples(over_replicates(_gradient_stream, run.keys(draws), jnp.array(rates), d, steps)),
        controls={
            "d + 1 for d + 2": lambda: predict(lambda eta: 1 - 2 * eta + (d + 1) * eta**2),
            "eta^2 without dimension": lambda: predict(lambda eta: (1 - eta) ** 2),
            "one step more": lambda: predict(late=1),
            "Kaczmarz as its square root": lambda: predict(root=0.5),
        },
    )


def _recall_stream(key: jax.Array, dimension: int, steps: int, seen: int) -> jax.Array:
    return online.stream_recall(key, dimension=dimension, steps=steps, seen=seen)


@PAPER.claim(
    "recall",
    statement=r"""With the exact step $1 / \|x\|^2$, the squared error on the direction of an example seen m steps ago,
    the s-th of the stream, is $\|e_0\|^2 (1 - 1/d)^s (r^m - \rho^m) / d$ in the mean, with $r = 1 - 1/d$ and $\rho = 1
    - 2 (d + 1) / (d (d + 2))$: zero when just seen, then forgotten.""",
    source="recall of earlier examples; derived",
    agreement=MonteCarlo(resolution=5e-2),
    controls=("rho dropped", "s not counted", "rho with d for d + 2", "age off by one"),
)
def recall(run: Run) -> Trial:
    """Streams of the Kaczmarz update; the direction of the fourth example, from when it is seen on."""
    d, seen, ages = 5, 4, 6
    draws = run.size("draws", quick=100_000, standard=1_000_000, full=20_000_000)
    r, rho = 1 - 1 / d, 1 - 2 * (d + 1) / (d * (d + 2))
    m = np.arange(ages + 1)

    def predict(prior: int = seen, late: int = 0) -> np.ndarray:
        return np.array([in_context.kaczmarz_recall_error(d, age=int(k) + late, prior_steps=prior) for k in m])

    return Trial(
        predict=predict,
        measure=lambda: Samples(over_replicates(_recall_stream, run.keys(draws), d, seen + ages, seen)),
        controls={
            "rho dropped": lambda: r**seen * r**m / d,
            "s not counted": lambda: predict(prior=seen) / r**seen,
            "rho with d for d + 2": lambda: r**seen * (r**m - (1 - 2 * (d + 1) / d**2) ** m) / d,
            "age off by one": lambda: predict(late=1),
        },
        scale=float(r**seen * (r - rho) / d),
    )


@PAPER.claim(
    "recall-full-observation",
    statement=r"""A learner that keeps all examples forgets none: k iterations of Newton's method err on example i by
    $x_i^T r_k(S) w_*$, whatever its age, and not at all in the limit.""",
    source="recall of earlier examples, full-observation learners; derived",
    agreement=Identity(rtol=1e-9),
    controls=("errors of a fresh query", "one iteration fewer", "forgets like Kaczmarz"),
)
def recall_full_observation(run: Run) -> Trial:
    """Errors of Newton's iterates on their own context, and of one that has converged."""
    rng = run.rng()
    s = np.concatenate([[3.0, 0.8], rng.uniform(0.9, 2.8, 4)])
    problem = prompt(rng, s, examples=8)
    fresh, alpha, last = rng.standard_normal((8, 6)), 1 / 9.0, 12
    shown = [*range(5), last]

    def measure() -> np.ndarray:
        weights = np.asarray(iterations.newton_weights(problem.x, problem.y, alpha, steps=last))[shown]
        return problem.y - weights @ problem.x.T

    def predict(inputs: np.ndarray = problem.x, late: int = 0) -> np.ndarray:
        coordinates = problem.basis.T @ problem.task
        left = [in_context.newton_residual(s, step=max(k - late, 0), alpha=alpha) * coordinates for k in shown]
        return np.array(left) @ problem.basis.T @ inputs.T

    def forgetful() -> np.ndarray:
        ages = np.arange(7, -1, -1)
        sizes = [in_context.kaczmarz_recall_error(6, age=int(age), prior_steps=1) for age in ages]
        return predict() + np.sqrt(sizes)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "errors of a fresh query": lambda: predict(inputs=fresh),
            "one iteration fewer": lambda: predict(late=1),
            "forgets like Kaczmarz": forgetful,
        },
        scale=float(np.abs(problem.y).max()),
    )
