"""Heo et al. 2021: momentum makes scale-invariant weights grow, and so slows them down."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import ConvergenceOrder, FiniteSize, Identity
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Limit, Sizes, Steps, components
from simulations import optimization as sim
from theory import optimization

PAPER = Paper(
    key="heo2021",
    title="AdamP: slowing down the slowdown for momentum optimizers on scale-invariant weights",
    authors="Byeongho Heo, Sanghyuk Chun, Seong Joon Oh, Dongyoon Han, Sangdoo Yun, Gyuwan Kim, Youngjung Uh, "
    "Jung-Woo Ha",
    year=2021,
    arxiv="2006.08217",
    wing="optimization",
)

Array = NDArray[np.float64]

RATE = 0.3


class Descent(NamedTuple):
    """A run on one scale-invariant loss: weights (T + 1, d), updates (T, d), and the momentum that they accumulate."""

    weights: Array
    updates: Array
    momentum: float

    @property
    def radial(self) -> Array:
        """Coefficients of the weights in the updates, w.p / w.w."""
        start = self.weights[:-1]
        return np.sum(start * self.updates, axis=1) / np.sum(start**2, axis=1)

    @property
    def tangential(self) -> Array:
        """Squared norms of the parts of the updates that are orthogonal to the weights."""
        return np.sum((self.updates - self.radial[:, None] * self.weights[:-1]) ** 2, axis=1)


@lru_cache(maxsize=4)
def _descents(run: Run, steps: int, dimension: int, project: bool = False) -> list[Descent]:
    """Descend a Rayleigh quotient and a normalised logistic loss with three momenta."""
    rng = run.rng()
    root = rng.normal(size=(dimension, dimension)) / np.sqrt(dimension)
    problems = (
        (sim.rayleigh_quotient, root + root.T),
        (sim.normalized_logistic, rng.normal(size=(2 * dimension, dimension))),
    )
    found = []
    for loss, data in problems:
        start = rng.normal(size=dimension) / np.sqrt(dimension)
        for momentum in (0.0, 0.5, 0.9):
            out = sim.momentum_descent(
                loss, data, start, learning_rate=RATE, momentum=momentum, n_steps=steps, project=project
            )
            found.append(Descent(np.asarray(out.weights), np.asarray(out.updates), momentum))
    return found


def _growth(weights: Array) -> Array:
    norms = np.sum(weights**2, axis=1)
    return norms - norms[0]


def _sizes(run: Run) -> tuple[int, int]:
    return run.size("steps and dimension", quick=(100, 8), standard=(1000, 50), full=(10_000, 1000))


@PAPER.claim(
    "norm-growth",
    statement=r"""For scale-invariant losses and any momentum, $\|w_{t+1}\|^2 = \|w_t\|^2 + \eta^2 \|p_t\|^2 + 2 \eta^2
    \sum_{k<t} \beta^{t-k} \|p_k\|^2$.""",
    source="norm growth under momentum",
    # sums of T squares: some T roundings of the largest
    agreement=Identity(rtol=1e-11),
    controls=("1 for 2 in the cross sum", "cross sum from k = t", "gradient descent", "one power of beta more"),
)
def norm_growth(run: Run) -> Trial:
    """Descend two scale-invariant losses with three momenta, and compare norms of weights and of updates."""
    size = _sizes(run)

    def predict(rule: Callable[[Array, float], Array] | None = None) -> Array:
        found = []
        for _, updates, momentum in _descents(run, *size):
            squares = np.sum(updates**2, axis=1)
            if rule is None:
                found.append(optimization.momentum_norm_growth(squares, learning_rate=RATE, momentum=momentum))
            else:
                steps = squares + rule(squares, momentum)
                found.append(RATE**2 * np.concatenate([[0.0], np.cumsum(steps)]))
        return np.array(found)

    def cross(squares: Array, momentum: float) -> Array:
        """Sum over k < t of beta^(t - k) |p_k|^2, by its recursion."""
        sums = np.zeros_like(squares)
        for t in range(1, len(squares)):
            sums[t] = momentum * (sums[t - 1] + squares[t - 1])
        return sums

    return Trial(
        predict=predict,
        measure=lambda: np.array([_growth(weights) for weights, *_ in _descents(run, *size)]),
        controls={
            "1 for 2 in the cross sum": lambda: predict(cross),
            "cross sum from k = t": lambda: predict(lambda p, beta: 2 * cross(p, beta) + 2 * p),
            "gradient descent": lambda: predict(lambda p, beta: 0 * p),
            "one power of beta more": lambda: predict(lambda p, beta: 2 * beta * cross(p, beta)),
        },
        scale="largest",
    )


@PAPER.claim(
    "growth-ratio",
    statement=r"""With updates of one constant norm, momentum makes the squared norm grow $1 + \frac{2\beta}{1-\beta}$
    times as fast as gradient descent does, up to $-2\beta / ((1-\beta)^2 t)$.""",
    source="asymptotic ratio of norm growths",
    # t additions, and a difference from norm 1
    agreement=ConvergenceOrder(order=1, resolution=1e-6, accuracy=1e-11),
    controls=("1 / (1 - beta)", "gradients of one norm", "factor 1", "without momentum"),
)
def growth_ratio(run: Run) -> Trial:
    """Walk along random tangent directions whose accumulated updates are kept at unit length."""
    longest = run.size("steps", quick=4000, standard=16_000, full=100_000)
    times = longest // np.array([8, 4, 2, 1])
    momenta = np.array([0.5, 0.9])

    def measure() -> Steps:
        def growths(momentum: float) -> Array:
            walk = sim.tangent_walk(
                run.key(),
                dimension=5,
                learning_rate=0.3,
                momentum=momentum,
                n_steps=longest,
                n_replicates=1,
                equal="updates",
            )
            return np.asarray(walk.weights)[0, times] - 1

        plain = growths(0.0)
        return Steps(1 / times, np.stack([growths(float(beta)) / plain for beta in momenta], axis=1))

    def predict(ratio: Callable[[float], float] = optimization.momentum_growth_ratio) -> Limit:
        return Limit(np.array([ratio(float(b)) for b in momenta]), -2 * momenta / (1 - momenta) ** 2)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 / (1 - beta)": lambda: predict(lambda b: 1 / (1 - b)),
            "gradients of one norm": lambda: predict(
                lambda b: optimization.momentum_growth_ratio(b, equal="gradients")
            ),
            "factor 1": lambda: predict(lambda b: 1 + b / (1 - b)),
            "without momentum": lambda: predict(lambda b: 1.0),
        },
    )


@PAPER.claim(
    "growth-ratio-gradients",
    statement=r"""With independent gradients of one norm the mean ratio of the growths tends to $1 / (1 - \beta)^2$, up
    to $O(1/t)$: the updates themselves are longer. (Derived.)""",
    source="derived from the norm growth",
    agreement=FiniteSize(exponent=1, of="limit", resolution=0.05),
    controls=(
        "updates of one norm",
        "1 / (1 - beta^2)",
        "1 / (1 - beta)",
        "correction without the start of the updates",
    ),
)
def growth_ratio_gradients(run: Run) -> Trial:
    """Walk along random unit gradients, orthogonal to the weights; read the growth at times that double."""
    walks = run.size("walks", quick=3000, standard=30_000, full=1_000_000)
    # the rest of the correction falls as beta^t
    times, momenta = np.array([30, 60, 120, 240]), np.array([0.3, 0.6])

    def measure() -> Sizes:
        found = [
            np.asarray(
                sim.tangent_walk(
                    run.key(f"{beta}"),
                    dimension=6,
                    learning_rate=0.2,
                    momentum=float(beta),
                    n_steps=int(times[-1]),
                    n_replicates=walks,
                ).weights
            )[:, times]
            for beta in momenta
        ]
        # without momentum the growth is eta^2 t, exactly
        return Sizes(times, ((np.stack(found, axis=-1) - 1) / (0.2**2 * times[:, None])).swapaxes(0, 1))

    def coefficient(start: float = 1.0) -> Array:
        """Sum what the first updates, of mean square (1 - beta^(2t + 2)) / (1 - beta^2), and the cross sum lack."""
        b, c = momenta, 1 - momenta**2
        return -start * momenta**2 / c**2 - 2 / c * (b / (1 - b) ** 2 + start * b**3 / ((1 - b) * c))

    def predict(equal: str = "gradients") -> Limit:
        limit = [optimization.momentum_growth_ratio(float(b), equal=equal) for b in momenta]
        return Limit(np.array(limit), coefficient())

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "updates of one norm": lambda: predict("updates"),
            "1 / (1 - beta^2)": lambda: Limit(1 / (1 - momenta**2)),
            "1 / (1 - beta)": lambda: Limit(1 / (1 - momenta)),
            "correction without the start of the updates": lambda: predict()._replace(coefficient=coefficient(0.0)),
        },
    )


@PAPER.claim(
    "projection",
    statement=r"""Removing the radial part of $p_t$ leaves the direction of $w_{t+1}$ as it is, but for the step size
    $\eta' = \eta / (1 - \eta\, w_t \cdot p_t / \|w_t\|^2)$; and then $\|w_{t+1}\|^2 = \|w_t\|^2 + \eta^2 \|\Pi
    p_t\|^2$.""",
    source="projection of the updates; the exact step size is derived",
    agreement=Identity(rtol=1e-11),
    controls=("eta for eta'", "sign of the radial part", "growth as without projection"),
)
def projection(run: Run) -> Trial:
    """Compare directions along runs with momentum, and norms along runs whose updates are projected."""
    size = _sizes(run)

    def measure() -> Array:
        directions = []
        for weights, *_ in _descents(run, *size):
            after = weights[1:]
            directions.append(after / np.linalg.norm(after, axis=1, keepdims=True))
        growths = [_growth(weights) for weights, *_ in _descents(run, *size, project=True)]
        return components(np.array(directions), np.array(growths))

    def directions(rate: Callable[[Array, float], Array] | None = None) -> Array:
        found = []
        for descent in _descents(run, *size):
            start = descent.weights[:-1]
            if rate is None:
                steps = [
                    optimization.effective_step(w, p, learning_rate=RATE).direction
                    for w, p in zip(start, descent.updates, strict=True)
                ]
                found.append(np.array(steps))
            else:
                tangential = descent.updates - descent.radial[:, None] * start
                moved = start - rate(descent.radial, RATE)[:, None] * tangential
                found.append(moved / np.linalg.norm(moved, axis=1, keepdims=True))
        return np.array(found)

    def growths(projected: bool = True) -> Array:
        found = []
        for descent in _descents(run, *size, project=True):
            squares = descent.tangential if projected else np.sum(descent.updates**2, axis=1)
            momentum = 0.0 if projected else descent.momentum
            found.append(optimization.momentum_norm_growth(squares, learning_rate=RATE, momentum=momentum))
        return np.array(found)

    return Trial(
        predict=lambda: components(directions(), growths()),
        measure=measure,
        controls={
            "eta for eta'": lambda: components(directions(lambda r, eta: np.full_like(r, eta)), growths()),
            "sign of the radial part": lambda: components(directions(lambda r, eta: eta / (1 + eta * r)), growths()),
            "growth as without projection": lambda: components(directions(), growths(projected=False)),
        },
        scale="largest",
    )


@PAPER.claim(
    "effective-step",
    statement=r"""What a step size does to scale-invariant weights depends on $\eta / \|w\|^2$: descent is stable at a
    minimum up to $2 (1 + \beta) \|w\|^2 / h$, with the curvature $h$ at $w / \|w\|$.""",
    source="effective step size of scale-invariant weights",
    agreement=Identity(rtol=1e-6, resolution=1e-5),
    controls=("norm for its square", "no norm", "momentum forgotten", "curvature in the radial direction too"),
)
def effective_step(run: Run) -> Trial:
    """Bisect for the stable step sizes at the minimum of a Rayleigh quotient, at several norms and momenta."""
    size = run.size("dimension", quick=6, standard=20, full=200)
    # apart from the others, the smallest leaves no direction in which the descent would be slow
    eigenvalues = np.concatenate([[0.3], run.rng("spectrum").uniform(1, 3, size - 1)])
    basis = np.linalg.qr(run.rng("basis").normal(size=(size, size)))[0]
    matrix = (basis * eigenvalues) @ basis.T
    norms, momenta = np.array([0.4, 1.0, 5.0]), (0.0, 0.5)

    def measure() -> Array:
        found = [
            [
                float(
                    sim.descent_threshold(
                        run.key(),
                        sim.RayleighMinimum((matrix + matrix.T) / 2, norm=norm),
                        bracket=(0.05 * norm**2, 5 * norm**2),
                        momentum=beta,
                    )
                )
                for beta in momenta
            ]
            for norm in norms
        ]
        return np.array(found)

    def predict(
        norm_of: Callable[[float], float] = lambda norm: norm,
        momenta: tuple[float, ...] = momenta,
        curvature: float = 2 * float(eigenvalues.max() - eigenvalues.min()),
    ) -> Array:
        threshold = optimization.gradient_descent_threshold
        return np.array(
            [[threshold(curvature, momentum=b, weight_norm=norm_of(norm)) for b in momenta] for norm in norms]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "norm for its square": lambda: predict(np.sqrt),
            "no norm": lambda: predict(lambda norm: 1.0),
            "momentum forgotten": lambda: predict(momenta=(0.0, 0.0)),
            "curvature in the radial direction too": lambda: predict(curvature=2 * float(eigenvalues.max())),
        },
    )
