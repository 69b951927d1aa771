"""What training finds: the global minimisers, in every covariance, and the point of rank one that is none."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.mahankali2023.paper import PAPER, START_SCALE, STARTS, Array, search
from simulations.in_context import layer_training
from simulations.in_context.layer_training import Trained
from simulations.in_context.linear_layer import SUMMED, LinearLayer, random_starts
from simulations.in_context.populations import Moments, Prompts, gaussian_moments, sampled_prompts
from theory import in_context

D = 3  # dimension of the searches, the same everywhere so that one compiled minimiser serves them all
FOUND = 1e-7  # gradients of a minimisation end near 1e-9 of the curvature; matrices are known to that
LONG = ((5, 0.5), (8, 0.0), (20, 1.0))  # context and noise at which the rank-one point is a saddle
NOISY = ((5, 50.0), (3, 40.0))  # and at which it is a local minimum

Learner = Callable[[int, float, Array, Array], tuple[Array, float]]


def _isotropic(n: int, noise_var: float, dim: int = D) -> Moments:
    return gaussian_moments(n=n, cov_x=np.eye(dim), cov_w=np.eye(dim), noise_var=noise_var, attention=SUMMED)


def _covariance(rng: np.random.Generator, dim: int = D) -> Array:
    """Random covariance of condition number below 20."""
    basis = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    return (basis * rng.uniform(0.3, 2.0, dim)) @ basis.T


def _step_answers(matrix: Array, prompts: Prompts) -> Array:
    """Answers x_q.M X^T y on given prompts."""
    return np.einsum("Bi,ij,Bnj,Bn->B", prompts.query, matrix, prompts.x, prompts.y)


@PAPER.claim(
    "global-minimiser",
    statement=r"""Every global minimiser of the population loss, over all parameters of the layer, computes the one
    function $\hat y = x_q \cdot X^T y / (n + d + 1 + s_2)$.""",
    source="main theorem",
    agreement=Identity(rtol=FOUND),
    controls=("1 / (n + d + s2)", "1 / n", "noise times d"),
)
def global_minimiser(run: Run) -> Trial:
    """Search all parameters from random starts; the best ends' answers on prompts, with their loss."""
    cases = run.size("n, s2", quick=LONG, standard=(*LONG, (3, 0.0), (40, 2.0)), full=(*LONG, (3, 0.0), (400, 2.0)))
    prompts = [_fresh(run, n, s2) for n, s2 in cases]

    def measure() -> Array:
        found = []
        for (n, s2), asked in zip(cases, prompts, strict=True):
            ends = search(run, _isotropic(n, s2), D, f"{n} {s2}")
            found.append(components(_answers_of_minimisers(ends, asked), np.array([ends.error.min()])))
        return np.concatenate(found)

    def predict(step: float | None = None, extra: float = 0.0, noise: float = 1.0) -> Array:
        found = []
        for (n, s2), asked in zip(cases, prompts, strict=True):
            best = in_context.optimal_step(n_context=n, dim=D, noise_var=s2)
            eta = best.step_size if step is None else 1 / (step * n + extra + noise * s2)
            risk = in_context.one_step_risk(eta, n_context=n, dim=D, noise_var=s2)
            found.append(components(_step_answers(eta * np.eye(D), asked), risk))
        return np.concatenate(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 / (n + d + s2)": lambda: predict(step=1.0, extra=D),
            "1 / n": lambda: predict(step=1.0, noise=0.0),
            "noise times d": lambda: predict(step=1.0, extra=D + 1, noise=D),
        },
        scale="largest",
    )


def _fresh(run: Run, n: int, noise_var: float, cov_x: Array | None = None, cov_w: Array | None = None) -> Prompts:
    identity = np.eye(D)
    return sampled_prompts(
        run.key(f"prompts {n} {noise_var}"),
        8,
        n=n,
        cov_x=identity if cov_x is None else cov_x,
        cov_w=identity if cov_w is None else cov_w,
        noise_var=noise_var,
        attention=SUMMED,
    )


def _answers_of_minimisers(ends: Trained, prompts: Prompts) -> Array:
    """Answer of the best end that is farthest from their mean, so that one minimiser that differs is seen."""
    best = np.flatnonzero(np.asarray(ends.error) < float(ends.error.min()) * (1 + 1e-11))
    found = np.stack([_answers(ends, int(i), prompts) for i in best[:8]])
    distance = np.linalg.norm(found - found.mean(axis=0), axis=1)
    return found[int(np.argmax(distance))]


def _answers(ends: Trained, index: int, prompts: Prompts) -> Array:
    layer = LinearLayer(ends.layer.value[index], ends.layer.key_query[index])
    return np.asarray(prompts.answers(layer))


@PAPER.claim(
    "lower-bound",
    statement=r"""No parameters of the layer have a population loss below $s_2 + d (d + 1 + s_2) / (n + d + 1 + s_2)$,
    and training attains it.""",
    source="main theorem, optimality",
    agreement=Bound(side="lower", tight=1e-10, rounding=1e-11),
    controls=("optimum of a shorter context", "d + 2 for d + 1", "attained twice as deep"),
)
def lower_bound(run: Run) -> Trial:
    """Losses at the ends of all searches, good and bad; rounding of a loss over its terms is below 1e-11."""
    cases = run.size(
        "n, s2", quick=(*LONG, *NOISY), standard=(*LONG, *NOISY, (3, 0.0)), full=(*LONG, *NOISY, (200, 0.0))
    )

    def measure() -> Array:
        return np.stack([np.asarray(search(run, _isotropic(n, s2), D, f"{n} {s2}").error) for n, s2 in cases])

    def predict(fewer: int = 0, factor: float = 1.0) -> Array:
        risks = [in_context.optimal_step(n_context=n - fewer, dim=D, noise_var=s2).risk for n, s2 in cases]
        return np.repeat(factor * np.array(risks)[:, None], STARTS, axis=1)

    def more_dimensions() -> Array:
        risks = [s2 + D * (D + 2 + s2) / (n + D + 2 + s2) for n, s2 in cases]
        return np.repeat(np.array(risks)[:, None], STARTS, axis=1)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "optimum of a shorter context": lambda: predict(fewer=1),
            "d + 2 for d + 1": more_dimensions,
            "attained twice as deep": lambda: predict(factor=0.5),
        },
    )


class Point(NamedTuple):
    """A stationary point of rank one: its loss, and slope and curvatures there relative to the largest curvature."""

    loss: float
    slope: float
    lowest: float  # curvature in all parameters
    escape: float  # the lowest in the parameters that vanish there, c and P


def rank_one_point(run: Run, n: int, noise_var: float) -> Point:
    """Search within c = 0, P = 0 for the best layer, then look at it in all parameters."""
    population = _isotropic(n, noise_var)
    mask = LinearLayer(jnp.ones((1, D + 1)).at[0, D].set(0), jnp.zeros((D + 1, D + 1)).at[D, :D].set(1))
    starts = random_starts(run.key("trap"), STARTS, D, scale=START_SCALE)
    end = layer_training.best(layer_training.minimise(starts, population, mask=mask))
    layer = layer_training.balanced(end.layer)
    hessian = np.asarray(layer_training.hessian(layer, population))
    eigenvalues = np.linalg.eigvalsh(hessian)
    vanishing = np.flatnonzero(np.append([0, 0, 0, 1], np.pad(np.ones((D, D)), (0, 1))))
    return Point(
        loss=float(end.error),
        slope=float(layer_training.slope(layer, population)) / eigenvalues[-1],
        lowest=eigenvalues[0] / eigenvalues[-1],
        escape=float(np.linalg.eigvalsh(hessian[np.ix_(vanishing, vanishing)])[0]) / eigenvalues[-1],
    )


def _discriminant(n: int, s2: float, *, pairing: float = 1.0, shift: float = 2.0, square: float = 2.0) -> float:
    """Give the discriminant D with its terms changed; right as it stands."""
    kappa, mu = n + D + pairing + s2, D + s2
    return -(D - 1) * kappa**2 + (n + shift) * (mu**2 + square * D) - (n * mu + 2) ** 2 / (n + shift)


@PAPER.claim(
    "rank-one-trap",
    statement=r"""With $c = 0$, $P = 0$, $a = q$ of squared length $1 / (n + d + 1 + s_2)$ the layer is stationary, at a
    loss $n (d - 1) / (n + d + 1 + s_2)$ above the optimum: a local minimum where $D > 0$, a saddle where $D < 0$.
    (Derived.)""",
    source="derived for the paper's layer",
    agreement=Identity(rtol=1e-7),
    controls=("d for d - 1 in the gap", "n + d + s2 in the gap", "sign of D", "always a saddle"),
)
def rank_one_trap(run: Run) -> Trial:
    """Gap, slope in all parameters, and whether the Hessian has a curvature below -1e-7 of the largest."""
    quick = ((5, 0.5), (3, 11.0), (3, 14.0), (5, 15.0), (5, 20.0), (1, 9.0), (1, 12.0))
    cases = run.size("n, s2", quick=quick, standard=(*quick, (16, 40.0), (16, 48.0)), full=(*quick, (100, 5.0)))

    def measure() -> Array:
        found = []
        for n, s2 in cases:
            point, ends = rank_one_point(run, n, s2), search(run, _isotropic(n, s2), D, f"{n} {s2}")
            found.append([point.loss - float(ends.error.min()), point.slope, float(point.lowest < -1e-7)])
        return np.array(found)

    def predict(dims: float = 1.0, less: float = 0.0, stable: Callable[[bool], bool] = bool) -> Array:
        found = []
        for n, s2 in cases:
            trap = in_context.rank_one_trap(n_context=n, dim=D, noise_var=s2)
            kappa = n + D + 1 + s2
            gap = trap.gap * (D - 1 + dims - 1) / (D - 1) * kappa / (kappa - less)
            found.append([gap, 0.0, float(not stable(trap.is_local_minimum))])
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "d for d - 1 in the gap": lambda: predict(dims=2.0),
            "n + d + s2 in the gap": lambda: predict(less=1.0),
            "sign of D": lambda: predict(stable=lambda holds: not holds),
            "always a saddle": lambda: predict(stable=lambda holds: False),
        },
        scale=1.0,
    )


@PAPER.claim(
    "trap-threshold",
    statement=r"""As the noise grows the point of rank one turns from a saddle into a local minimum where $D(n, d, s_2)
    = 0$. (Derived.)""",
    source="derived for the paper's layer",
    agreement=Identity(rtol=1e-7),
    controls=("without the pairing in kappa", "n + 3 for n + 2", "without 2 d"),
)
def trap_threshold(run: Run) -> Trial:
    """Find the noise at which the lowest curvature in c and P, which crosses zero linearly, vanishes."""
    lengths = run.size("n", quick=(2, 5), standard=(2, 3, 5, 8), full=(2, 3, 5, 8, 16))

    def roots(function: Callable[[int, float], float], low: float, high: float) -> Array:
        return np.array([brentq(lambda s2, n=n: function(n, s2), low, high, rtol=1e-12) for n in lengths])

    return Trial(
        predict=lambda: roots(
            lambda n, s2: in_context.rank_one_trap(n_context=n, dim=D, noise_var=s2).discriminant, 3.0, 60.0
        ),
        measure=lambda: roots(lambda n, s2: rank_one_point(run, n, s2).escape, 3.0, 60.0),
        controls={
            "without the pairing in kappa": lambda: roots(partial(_discriminant, pairing=0.0), 1.0, 1e4),
            "n + 3 for n + 2": lambda: roots(partial(_discriminant, shift=3.0), 1.0, 1e4),
            "without 2 d": lambda: roots(partial(_discriminant, square=0.0), 1.0, 1e4),
        },
    )


@PAPER.claim(
    "trapped-training",
    statement=r"""Training all parameters from random values can end in the point of rank one: where it is a local
    minimum, some starts stay $n (d - 1) / (n + d + 1 + s_2)$ above the optimum, and none are caught at a loss in
    between. (Derived.)""",
    source="derived for the paper's layer",
    agreement=Identity(rtol=1e-7),
    controls=("no trap", "half the gap"),
)
def trapped_training(run: Run) -> Trial:
    """Losses above the best one of all starts that converged, the lowest of them and the highest."""
    cases = run.size("n, s2", quick=NOISY, standard=NOISY, full=(*NOISY, (16, 200.0)))

    def measure() -> Array:
        found = []
        for n, s2 in cases:
            ends = search(run, _isotropic(n, s2), D, f"{n} {s2}")
            above = np.asarray(ends.error - ends.error.min())[np.asarray(ends.gradient) < 1e-7]
            stuck = above[above > 1e-9]
            found.append([stuck.min(), stuck.max()])
        return np.array(found)

    def predict(factor: float = 1.0) -> Array:
        gaps = [in_context.rank_one_trap(n_context=n, dim=D, noise_var=s2).gap for n, s2 in cases]
        return factor * np.repeat(np.array(gaps)[:, None], 2, axis=1)

    return Trial(
        predict=predict,
        measure=measure,
        controls={"no trap": lambda: predict(0.0), "half the gap": lambda: predict(0.5)},
    )


def _preconditioned(run: Run, cases: Sequence[tuple[int, float, Array, Array]]) -> Array:
    """Answers of trained layers, with their losses, for several covariances of inputs and of tasks."""
    found = []
    for i, (n, s2, cov_x, cov_w) in enumerate(cases):
        population = gaussian_moments(n=n, cov_x=cov_x, cov_w=cov_w, noise_var=s2, attention=SUMMED)
        ends = search(run, population, D, f"{i}")
        found.append(components(_answers_of_minimisers(ends, _fresh(run, n, s2, cov_x, cov_w)), ends.error.min()))
    return np.concatenate(found)


def _predicted(run: Run, cases: Sequence[tuple[int, float, Array, Array]], learner: Learner) -> Array:
    found = []
    for n, s2, cov_x, cov_w in cases:
        matrix, risk = learner(n, s2, cov_x, cov_w)
        found.append(components(_step_answers(matrix, _fresh(run, n, s2, cov_x, cov_w)), risk))
    return np.concatenate(found)


def _risk(matrix: Array, n: int, s2: float, cov_x: Array, cov_w: Array) -> float:
    """Risk of any learner x_q.M X^T y, for wrong M, from the second moment of X^T y."""
    power = n * (n + 1) * cov_x @ cov_w @ cov_x + n * (np.trace(cov_w @ cov_x) + s2) * cov_x
    signal = n * cov_w @ cov_x
    error = cov_w - 2 * matrix @ signal.T + matrix @ power @ matrix.T
    return float(s2 + np.trace(cov_x @ error))


@PAPER.claim(
    "anisotropic",
    statement=r"""With inputs from $N(0, \Sigma)$ and tasks from $N(0, \Sigma^{-1})$ the trained layer takes a
    preconditioned step, $\hat y = \eta \, x_q^T \Sigma^{-1} X^T y$, with the step and the risk of the isotropic
    case.""",
    source="theorem on anisotropic inputs",
    agreement=Identity(rtol=FOUND),
    controls=("plain gradient descent", "inverse root of the covariance", "tasks taken as isotropic"),
)
def anisotropic(run: Run) -> Trial:
    """Search all parameters at random covariances; answers on prompts, and losses."""
    lengths = run.size(
        "n, s2", quick=((8, 0.5), (10, 0.0)), standard=((8, 0.5), (10, 0.0), (20, 1.0)), full=((99, 1.0),)
    )
    rng = run.rng()
    covs = [_covariance(rng) for _ in lengths]
    cases = [
        (n, s2, cov, np.asarray(np.linalg.inv(cov), dtype=float)) for (n, s2), cov in zip(lengths, covs, strict=True)
    ]

    def step(n: int, s2: float, cov_x: Array, cov_w: Array) -> tuple[Array, float]:
        best = in_context.preconditioned_optimum(cov_x, cov_w, n_context=n, noise_var=s2)
        return best.matrix, best.risk

    def power(exponent: float) -> Learner:
        def learner(n: int, s2: float, cov_x: Array, cov_w: Array) -> tuple[Array, float]:
            values, basis = np.linalg.eigh(cov_x)
            matrix = (basis * values**exponent) @ basis.T / (n + D + 1 + s2)
            return matrix, _risk(matrix, n, s2, cov_x, cov_w)

        return learner

    def isotropic_tasks(n: int, s2: float, cov_x: Array, _: Array) -> tuple[Array, float]:
        return step(n, s2, cov_x, np.eye(D))

    return Trial(
        predict=lambda: _predicted(run, cases, step),
        measure=lambda: _preconditioned(run, cases),
        controls={
            "plain gradient descent": lambda: _predicted(run, cases, power(0.0)),
            "inverse root of the covariance": lambda: _predicted(run, cases, power(-0.5)),
            "tasks taken as isotropic": lambda: _predicted(run, cases, isotropic_tasks),
        },
        scale="largest",
    )


@PAPER.claim(
    "general-preconditioner",
    statement=r"""For inputs from $N(0, \Lambda)$ and tasks from $N(0, V)$ the trained layer computes $x_q^T M X^T y$
    with $M = V \Lambda [(n + 1) V \Lambda + (\mathrm{tr} V \Lambda + s_2) I]^{-1} \Lambda^{-1}$, and has the risk
    $s_2 + \mathrm{tr} \Lambda V - n \, \mathrm{tr} \Lambda M \Lambda V$. (Derived.)""",
    source="derived, generalises the theorem on anisotropic inputs",
    agreement=Identity(rtol=FOUND),
    controls=("n for n + 1", "without the trace", "noise times d", "tasks taken as isotropic"),
)
def general_preconditioner(run: Run) -> Trial:
    """Search all parameters at random pairs of covariances; answers on prompts, and losses."""
    lengths = run.size(
        "n, s2", quick=((6, 0.3), (10, 0.0)), standard=((6, 0.3), (10, 0.0), (25, 2.0)), full=((99, 1.0),)
    )
    rng = run.rng()
    cases = [(n, s2, _covariance(rng), _covariance(rng)) for n, s2 in lengths]

    def right(n: int, s2: float, cov_x: Array, cov_w: Array) -> tuple[Array, float]:
        best = in_context.preconditioned_optimum(cov_x, cov_w, n_context=n, noise_var=s2)
        return best.matrix, best.risk

    def wrong(pairs: float = 1.0, trace: float = 1.0, noise: float = 1.0) -> Learner:
        def learner(n: int, s2: float, cov_x: Array, cov_w: Array) -> tuple[Array, float]:
            signal = cov_w @ cov_x
            inner = (n + pairs) * signal + (trace * np.trace(signal) + noise * s2) * np.eye(D)
            matrix = signal @ np.linalg.solve(cov_x @ inner, np.eye(D))
            return matrix, _risk(matrix, n, s2, cov_x, cov_w)

        return learner

    def isotropic_tasks(n: int, s2: float, cov_x: Array, _: Array) -> tuple[Array, float]:
        return right(n, s2, cov_x, np.eye(D))

    return Trial(
        predict=lambda: _predicted(run, cases, right),
        measure=lambda: _preconditioned(run, cases),
        controls={
            "n for n + 1": lambda: _predicted(run, cases, wrong(pairs=0.0)),
            "without the trace": lambda: _predicted(run, cases, wrong(trace=0.0)),
            "noise times d": lambda: _predicted(run, cases, wrong(noise=D)),
            "tasks taken as isotropic": lambda: _predicted(run, cases, isotropic_tasks),
        },
        scale="largest",
    )
