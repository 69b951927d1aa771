"""What fits keep along single directions: how fast it settles, and how ratios grow or do not."""

from typing import NamedTuple

import jax
import numpy as np

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array
from paper_checks.papers.borup2021.paper import PAPER
from paper_checks.problems import frame
from simulations import kernel_regression as sim
from theory import kernel_regression as theory


class Modes(NamedTuple):
    """Features with prescribed singular vectors: those on the side of points, and labels."""

    features: Array
    directions: Array
    labels: Array


def _modes(run: Run, eigenvalues: Array) -> Modes:
    """Draw bases, and labels that no direction is missing from."""
    n = run.size("points", quick=20, standard=40, full=100)
    rng = run.rng()
    k = eigenvalues.size
    directions = frame(rng, n, k)
    labels = frame(rng, n, n) @ rng.normal(size=n)
    labels += directions @ (rng.choice([-1, 1], k) * rng.uniform(1, 2, k) - directions.T @ labels)
    return Modes(directions * np.sqrt(eigenvalues) @ frame(rng, k + 3, k).T, directions, labels)


def _along_rows(modes: Modes, ridge: float, alphas: Array, steps: int) -> Array:
    """Distil with each of the weights, (alphas, steps, n)."""
    weights = np.repeat(alphas[:, None], steps, axis=1)
    return np.asarray(
        jax.vmap(sim.distil, in_axes=(None, None, None, 0))(modes.features, modes.labels, ridge, weights).fits
    )


def _shares(run: Run, eigenvalues: Array, ridge: float, alphas: Array, steps: int) -> Array:
    """Read off what fits keep of the labels along each direction, (alphas, steps, directions)."""
    modes = _modes(run, eigenvalues)
    fits = _along_rows(modes, ridge, alphas, steps)
    return np.asarray(fits) @ modes.directions / (modes.labels @ modes.directions)


def _predicted_shares(eigenvalues: Array, ridge: float, alphas: Array, steps: range | list[float]) -> Array:
    return np.array(
        [
            [theory.self_distillation_shrinkage(eigenvalues, ridge=ridge, alpha=a, steps=step) for step in steps]
            for a in alphas
        ]
    )


@PAPER.claim(
    "geometric-rate",
    statement=r"""Steps shrink by the factor $(1 - \alpha) \frac{d_1}{d_1 + \lambda}$ in the end, $d_1$ the largest
    eigenvalue of $K$.""",
    source="convergence in the number of steps",
    # changes of 1e-4 of the labels are known to rounding; the next directions have died out to 1e-18
    agreement=Identity(rtol=1e-9),
    controls=("1 - alpha alone", "without 1 - alpha", "second eigenvalue", "ridge over alpha"),
)
def geometric_rate(run: Run) -> Trial:
    """Distil networks with one large eigenvalue, and compare changes of fits twenty steps on."""
    alphas, ridge, steps = np.array([0.0, 0.1, 0.3]), 2.0, 22
    d = np.array([40.0, 1.0, 0.7, 0.1])

    def measure() -> Array:
        fits = _along_rows(_modes(run, d), ridge, alphas, steps)
        size = np.linalg.norm(np.diff(fits, axis=1), axis=2)
        return size[:, -1] / size[:, -2]

    def predict(top: float = d[0], weights: Array = alphas, ridge: Array | float = ridge) -> Array:
        return np.asarray(theory.self_distillation_rate(top, ridge=ridge, alpha=weights))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 - alpha alone": lambda: predict(ridge=0.0),
            "without 1 - alpha": lambda: predict(weights=0 * alphas),
            "second eigenvalue": lambda: predict(top=d[1]),
            "ridge over alpha": lambda: predict(ridge=ridge / np.maximum(alphas, 0.05)),
        },
    )


@PAPER.claim(
    "sparsification",
    statement=r"""Without labels, $\alpha = 0$, the ratio of what is kept along two eigenvectors is the ratio of
    $\frac{d}{d + \lambda}$ to the power $t$: it grows without bound.""",
    source="amplified sparsification",
    agreement=Identity(rtol=1e-9),  # the weakest direction keeps 1e-6 after ten steps, known to rounding
    controls=("ratio of one step", "ratio of eigenvalues", "ratio that grows linearly", "labels with weight 0.2"),
)
def sparsification(run: Run) -> Trial:
    """Distil without labels, and read ratios off along prescribed directions, as logarithms."""
    d, ridge, steps = np.array([5.0, 2.0, 1.0, 0.5]), 1.0, 10
    t = np.arange(1, steps + 1)[:, None]

    def measure(alpha: float = 0.0) -> Array:
        log_share = np.log(_shares(run, d, ridge, np.array([alpha]), steps)[0])
        return log_share[:, :-1] - log_share[:, 1:]

    def predict() -> Array:
        log_share = np.log(_predicted_shares(d, ridge, np.zeros(1), range(1, steps + 1))[0])
        return log_share[:, :-1] - log_share[:, 1:]

    s = d / (d + ridge)
    once = s[:-1] / s[1:]
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "ratio of one step": lambda: np.log(once) * np.ones_like(t),
            "ratio of eigenvalues": lambda: np.log(d[:-1] / d[1:]) * t,
            "ratio that grows linearly": lambda: np.log1p((once - 1) * t),
        },
        counterexamples={"labels with weight 0.2": lambda: measure(0.2)},
    )


@PAPER.claim(
    "sparsification-limit",
    statement=r"""With labels, $\alpha > 0$, that ratio converges to
    $\frac{d_1}{d_1 + \lambda / \alpha} / \frac{d_2}{d_2 + \lambda / \alpha}$.""",
    source="sparsification with labels",
    agreement=Identity(rtol=1e-12),
    controls=("grows without bound", "ratio of one step", "ridge times alpha", "no labels"),
)
def sparsification_limit(run: Run) -> Trial:
    """Distil with labels for very many steps, and read ratios off along prescribed directions, as logarithms."""
    d, ridge, alphas = np.array([5.0, 2.0, 1.0, 0.5]), 1.0, np.array([0.1, 0.3, 0.7])
    steps = run.size("steps", quick=300, standard=300, full=300)

    def measure() -> Array:
        log_share = np.log(_shares(run, d, ridge, alphas, steps)[:, -1])
        return log_share[:, :-1] - log_share[:, 1:]

    def without_labels() -> Array:
        """Stop after thirty steps, while there is something left to see."""
        log_share = np.log(np.abs(_shares(run, d, ridge, np.zeros(1), 30)[:, -1]))
        return np.repeat(log_share[:, :-1] - log_share[:, 1:], len(alphas), axis=0)

    def predict(step: float = np.inf, ridges: Array | None = None) -> Array:
        each = np.full(len(alphas), ridge) if ridges is None else ridges
        log_share = np.log(
            [_predicted_shares(d, r, np.array([a]), [step])[0, 0] for r, a in zip(each, alphas, strict=True)]
        )
        return log_share[:, :-1] - log_share[:, 1:]

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "grows without bound": lambda: steps * predict(step=1),
            "ratio of one step": lambda: predict(step=1),
            "ridge times alpha": lambda: predict(ridges=ridge * alphas**2),
        },
        counterexamples={"no labels": without_labels},
    )


def _pairs(run: Run) -> list[tuple[Array, float]]:
    """Draw pairs of eigenvalues, and ridges."""
    number = run.size("pairs", quick=12, standard=60, full=500)
    rng = run.rng("pairs")
    weak, factor, ridge = rng.uniform(0.3, 1.0, number), rng.uniform(2, 6, number), rng.uniform(0.5, 2.0, number)
    return [(np.array([w * f, w]), r) for w, f, r in zip(weak, factor, ridge, strict=True)]


WEIGHTS = np.array([0.1, 0.3, 0.6])


def _log_ratios(run: Run, alphas: Array, steps: int) -> Array:
    """Logarithms of the ratios along pairs of directions, (pairs, alphas, steps)."""
    log_share = np.log([_shares(run, d, ridge, alphas, steps) for d, ridge in _pairs(run)])
    return log_share[..., 0] - log_share[..., 1]


@PAPER.claim(
    "overshoot",
    statement=r"""For $0 < \alpha < 1$ the ratio does not rise to its limit but overshoots, at every pair of
    eigenvalues: it is above from the first step after $t^* = \log\frac{d_1}{d_2} / \log\frac{d_1 (d_2 + \lambda)}{d_2
    (d_1 + \lambda)}$, which does not depend on $\alpha$, and peaks at its largest $b_t(d_1) / b_t(d_2)$.""",
    source="derived here; the ratio is not monotone",
    agreement=Identity(rtol=1e-7),  # peaks of 1e-5 in the logarithm are known to rounding
    controls=(
        "no overshoot",
        "crossing with the ridge over alpha",
        "above from the second step",
        "peak at the crossing",
    ),
)
def overshoot(run: Run) -> Trial:
    """Distil along random pairs of directions, find the first step above the last value, and the largest."""
    steps = run.size("steps", quick=300, standard=300, full=300)

    def measure() -> Array:
        ratio = _log_ratios(run, WEIGHTS, steps)
        excess = ratio - ratio[..., -1:]
        first = np.argmax(excess > 1e-9, axis=-1) + 1
        return np.stack([first, excess.max(axis=-1)], axis=-1)

    def predict(change: str = "") -> Array:
        found = []
        for d, ridge in _pairs(run):
            shares = np.log(_predicted_shares(d, ridge, WEIGHTS, [*range(1, 60), np.inf]))
            ratio = shares[..., 0] - shares[..., 1]
            excess = ratio[:, :-1] - ratio[:, -1:]
            at = np.array(
                [theory.self_distillation_crossing(*d, ridge=ridge / (a if change == "ridge" else 1)) for a in WEIGHTS]
            )
            first = np.full(3, 2.0) if change == "second" else np.floor(at) + 1
            peak = excess[np.arange(3), first.astype(int) - 1] if change == "peak" else excess.max(axis=1)
            found.append(np.stack([first, 0 * peak if change == "none" else peak], axis=-1))
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no overshoot": lambda: predict("none"),
            "crossing with the ridge over alpha": lambda: predict("ridge"),
            "above from the second step": lambda: predict("second"),
            "peak at the crossing": lambda: predict("peak"),
        },
    )


@PAPER.claim(
    "from-above",
    statement=r"""With labels the ratio falls to its limit in the end; without, it rises forever.""",
    source="derived here; the ratio is not monotone",
    agreement=Ordering(side="below"),
    controls=("no labels", "falls by a tenth and more"),
)
def from_above(run: Run) -> Trial:
    """Compare the logarithm of the ratio at one step and at the next, once it has crossed its limit."""

    def measure(alphas: Array = WEIGHTS) -> Array:
        # the latest crossing is before step 8, the latest peak not much after it
        ratio = _log_ratios(run, alphas, 12)
        return ratio[..., -1] - ratio[..., -2]

    shape = (len(_pairs(run)), len(WEIGHTS))
    return Trial(
        predict=lambda: np.zeros(shape),
        measure=measure,
        controls={"falls by a tenth and more": lambda: np.full(shape, -0.1)},
        counterexamples={"no labels": lambda: measure(0 * WEIGHTS)},
        scale=np.ones(shape),
    )
