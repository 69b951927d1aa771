"""Borup and Andersen 2021: what becomes of a ridge regression that is taught by itself, and by labels, again and again.

Students are readouts of networks whose hidden layers stay as drawn; each minimises its own loss. Theory sees their Gram
matrices alone. Where directions are told apart, features have prescribed singular vectors, and fits are read off along
them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array
from paper_checks.problems import frame
from simulations import kernel_regression as sim
from theory import kernel_regression as theory

PAPER = Paper(
    key="borup2021",
    title="Even your teacher needs guidance: ground-truth targets dampen regularization imposed by self-distillation",
    authors="Kenneth Borup, Lars N. Andersen",
    year=2021,
    arxiv="2102.13088",
    wing="kernel_regression",
)

ALPHAS = np.array([0.0, 0.2, 0.6, 1.0])
MIXED = ALPHAS[1:3]
RIDGE = 0.05  # kernels have no eigenvalue above 1


class Networks(NamedTuple):
    """Two networks: features of training points and of points asked, noisy labels, and labels asked for."""

    features: Array
    labels: Array
    asked: Array
    truth: Array

    @property
    def grams(self) -> Array:
        """Kernels between training points, (networks, n, n)."""
        return self.features @ self.features.transpose(0, 2, 1)

    @property
    def cross_grams(self) -> Array:
        """Kernels between points asked and training points."""
        return self.asked @ self.features.transpose(0, 2, 1)


def _networks(run: Run) -> Networks:
    """Draw a hidden layer with fewer units than points, filled up with idle ones, and one with more."""
    n = run.size("points", quick=24, standard=60, full=200)
    rng = run.rng()
    most = n + n // 4
    x = rng.uniform(-1.5, 1.5, (2, 2 * n, 2))
    hidden = np.tanh(x @ rng.normal(size=(2, 2, most)) + rng.normal(size=(2, 1, most)))
    hidden[0, :, n // 3 :] = 0.0
    hidden /= np.sqrt(n * np.array([n // 3, most]))[:, None, None]
    truth = np.sin(2 * x[..., 0]) + x[..., 1]
    labels = truth[:, :n] + 0.3 * rng.normal(size=(2, n))
    return Networks(hidden[:, :n], labels, hidden[:, n:], truth[:, n:])


def _distil(run: Run, weights: Array, *, penalise_change: bool = False) -> sim.Generations:
    """Distil both networks, for every row of weights."""
    rows = jax.vmap(sim.distil, in_axes=(None, None, None, 0, None))
    networks = _networks(run)
    return jax.vmap(rows, in_axes=(0, 0, None, None, None))(
        networks.features, networks.labels, RIDGE, weights, penalise_change
    )


def _fits(run: Run, weights: Array, *, penalise_change: bool = False) -> Array:
    return np.asarray(_distil(run, weights, penalise_change=penalise_change).fits)


def _predicted_fits(run: Run, weights: Array, steps: int, ridge: float) -> Array:
    """Solve for all steps, and for each weight, or row of weights of their own for each step."""
    networks = _networks(run)
    return np.array(
        [
            [
                [
                    theory.self_distillation_fit(
                        gram, y, ridge=ridge, alpha=row[:step] if np.ndim(row) else row, steps=step
                    )
                    for step in range(1, steps + 1)
                ]
                for row in weights
            ]
            for gram, y in zip(networks.grams, networks.labels, strict=True)
        ]
    )


def _spectrally(run: Run, share: Callable[[Array], Array]) -> Array:
    """Apply to the labels a function of the smoother's eigenvalues, whose leading axes are cases and steps."""
    networks = _networks(run)
    found = []
    for gram, y in zip(networks.grams, networks.labels, strict=True):
        d, vectors = np.linalg.eigh(gram)
        d = np.maximum(d, 0.0)
        found.append((share(d / (d + RIDGE)) * (vectors.T @ y)) @ vectors.T)
    return np.array(found)


@PAPER.claim(
    "closed-form",
    statement=r"""With one weight $\alpha$ the fit after $t$ steps is $[\alpha \sum_{i<t} (1-\alpha)^i A^{i+1} +
    (1-\alpha)^t A^t] y$, $A = K (K + \lambda)^{-1}$: along an eigenvector of $K$ it keeps $\frac{\alpha d + \lambda
    u^t}{\alpha d + \lambda}$, $u = (1 - \alpha) \frac{d}{d + \lambda}$.""",
    source="closed form of the distilled solution",
    agreement=Identity(rtol=1e-12),  # curvatures have a condition number of 21 at most
    controls=(
        "powers of A off by one",
        "last power left out",
        "labels and teacher exchanged",
        "n times the ridge",
        "ridge on the change of the readout",
    ),
)
def closed_form(run: Run) -> Trial:
    """Distil networks step by step, and compare all generations at the training points."""
    steps = run.size("steps", quick=8, standard=20, full=50)
    weights = np.repeat(ALPHAS[:, None], steps, axis=1)
    t = np.arange(1, steps + 1)[:, None]
    a = ALPHAS[:, None, None]

    def predict(alphas: Array = ALPHAS, factor: float = 1.0) -> Array:
        return _predicted_fits(run, alphas, steps, factor * RIDGE)

    def wrong(first: int, last: float) -> Array:
        def share(s: Array) -> Array:
            u = (1 - a) * s
            return a * s**first * np.cumsum(u ** (t - 1), axis=1) + last * u**t

        return _spectrally(run, share)

    return Trial(
        predict=predict,
        measure=lambda: _fits(run, weights),
        controls={
            "powers of A off by one": lambda: wrong(0, 1.0),
            "last power left out": lambda: wrong(1, 0.0),
            "labels and teacher exchanged": lambda: predict(alphas=1 - ALPHAS),
            "n times the ridge": lambda: predict(factor=_networks(run).labels.shape[1]),
        },
        counterexamples={"ridge on the change of the readout": lambda: _fits(run, weights, penalise_change=True)},
        scale="largest",
    )


@PAPER.claim(
    "step-weights",
    statement=r"""With weights $\alpha_2, \ldots, \alpha_t$ of their own the fit is $[\sum_{i=2}^t \alpha_i
    \prod_{j>i} (1 - \alpha_j) A^{t-i+1} + \prod_{j=2}^t (1 - \alpha_j) A^t] y$, whatever $\alpha_1$.""",
    source="solution with weights that differ by step",
    agreement=Identity(rtol=1e-12),  # curvatures have a condition number of 21 at most
    controls=("weights in reverse", "first weight counted", "mean weight", "ridge on the change of the readout"),
)
def step_weights(run: Run) -> Trial:
    """Distil networks by random weights, some of them 0 and 1, and compare all generations."""
    steps = run.size("steps", quick=8, standard=20, full=50)
    rows = run.size("sequences", quick=4, standard=20, full=100)
    weights = run.rng("weights").uniform(-0.2, 1.2, (rows, steps)).clip(0, 1)

    def predict(weights: Array = weights) -> Array:
        return _predicted_fits(run, weights, steps, RIDGE)

    def from_nothing(s: Array) -> Array:
        """Let the first student learn from labels with its weight, and from a teacher that says nothing."""
        kept = np.zeros((rows, s.size))
        found = []
        for step in range(steps):
            kept = s * (weights[:, step, None] + (1 - weights[:, step, None]) * kept)
            found.append(kept)
        return np.stack(found, axis=1)

    return Trial(
        predict=predict,
        measure=lambda: _fits(run, weights),
        controls={
            "weights in reverse": lambda: predict(weights[:, ::-1]),
            "first weight counted": lambda: _spectrally(run, from_nothing),
            "mean weight": lambda: predict(np.broadcast_to(weights.mean(axis=1, keepdims=True), weights.shape)),
        },
        counterexamples={"ridge on the change of the readout": lambda: _fits(run, weights, penalise_change=True)},
        scale="largest",
    )


@PAPER.claim(
    "test-points",
    statement=r"""Elsewhere the student of step $t$ predicts $K(x, X) (K + \lambda)^{-1} (\alpha y + (1 - \alpha)
    y^{(t-1)})$.""",
    source="closed form of the distilled solution, at any point",
    agreement=Identity(rtol=1e-12),  # curvatures have a condition number of 21 at most
    controls=("from its own fit", "from its teacher alone", "from labels alone", "ridge on the change of the readout"),
)
def test_points(run: Run) -> Trial:
    """Ask all generations of distilled networks at points that they have not seen."""
    steps = run.size("steps", quick=6, standard=20, full=50)
    weights = np.repeat(MIXED[:, None], steps, axis=1)

    def measure(penalise_change: bool = False) -> Array:
        readouts = _distil(run, weights, penalise_change=penalise_change).readouts
        return np.einsum("nasp,nmp->nasm", readouts, _networks(run).asked)

    def predict() -> Array:
        networks = _networks(run)
        return np.array(
            [
                [
                    [
                        theory.self_distillation_predict(cross, gram, y, ridge=RIDGE, alpha=alpha, steps=step)
                        for step in range(1, steps + 1)
                    ]
                    for alpha in MIXED
                ]
                for cross, gram, y in zip(networks.cross_grams, networks.grams, networks.labels, strict=True)
            ]
        )

    def wrong(on_labels: float, behind: int) -> Array:
        """Smooth labels with this weight, and the rest of the fit so many steps before."""
        networks = _networks(run)
        labels = networks.labels[:, None, None]
        fits = _predicted_fits(run, MIXED, steps, RIDGE)
        if behind:
            first = np.broadcast_to(labels, fits[:, :, :1].shape)
            fits = np.concatenate([first, fits[:, :, :-1]], axis=2)
        smoother = networks.cross_grams @ np.linalg.inv(networks.grams + RIDGE * np.eye(labels.shape[-1]))
        return np.einsum("nasi,nmi->nasm", on_labels * labels + (1 - on_labels) * fits, smoother)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "from its own fit": lambda: wrong(0.0, 0),
            "from its teacher alone": lambda: wrong(0.0, 1),
            "from labels alone": lambda: wrong(1.0, 1),
        },
        counterexamples={"ridge on the change of the readout": lambda: measure(penalise_change=True)},
        scale="largest",
    )


@PAPER.claim(
    "infinite-steps",
    statement=r"""For $\alpha > 0$ the fits converge to ridge regression with the larger ridge $\lambda / \alpha$, for
    $\alpha = 0$ to nothing.""",
    source="limit of infinitely many steps",
    agreement=Identity(rtol=1e-12),  # u^1000 is below 1e-20
    controls=(
        "ridge over 1 - alpha",
        "ridge times alpha",
        "ridge unchanged",
        "ridge on the change of the readout",
    ),
)
def infinite_steps(run: Run) -> Trial:
    """Distil networks for very many steps, and ask the last students at the training points and elsewhere."""
    steps = run.size("steps", quick=1000, standard=1000, full=1000)
    alphas = ALPHAS[:3]
    weights = np.repeat(alphas[:, None], steps, axis=1)

    def measure(penalise_change: bool = False) -> Array:
        readouts = _distil(run, weights, penalise_change=penalise_change).readouts[:, :, -1]
        networks = _networks(run)
        everywhere = np.concatenate([networks.features, networks.asked], axis=1)
        return np.einsum("nap,nmp->nam", readouts, everywhere)

    def predict() -> Array:
        networks = _networks(run)
        found = []
        for cross, gram, y in zip(networks.cross_grams, networks.grams, networks.labels, strict=True):
            for alpha in alphas:
                last = {"ridge": RIDGE, "alpha": alpha, "steps": np.inf}
                fit = theory.self_distillation_fit(gram, y, **last)
                found.append(np.hstack([fit, theory.self_distillation_predict(cross, gram, y, **last)]))
        return np.reshape(found, (2, len(alphas), -1))

    def regression(ridges: Array) -> Array:
        networks = _networks(run)
        both = np.concatenate([networks.grams, networks.cross_grams], axis=1)[:, None]
        shifted = networks.grams[:, None] + ridges[:, None, None] * np.eye(both.shape[-1])
        return (both @ np.linalg.solve(shifted, networks.labels[:, None, :, None]))[..., 0]

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "ridge over 1 - alpha": lambda: regression(RIDGE / (1 - alphas)),
            "ridge times alpha": lambda: regression(RIDGE * np.maximum(alphas, 1e-3)),
            "ridge unchanged": lambda: regression(RIDGE + 0 * alphas),
        },
        counterexamples={"ridge on the change of the readout": lambda: measure(penalise_change=True)},
        scale="largest",
    )


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


class Tunings(NamedTuple):
    """Cases along the first axis: networks, their ridges, and labels to learn and to be tested by."""

    features: Array
    labels: Array
    ridges: Array
    asked: Array
    wanted: Array


def _tunings(run: Run) -> Tunings:
    """Pose signals under weak, middling and strong ridges, and labels that are nothing but noise, for both networks."""
    networks, rng = _networks(run), run.rng("noise")
    noise = rng.normal(size=(2, *networks.labels.shape))
    signals = 3
    return Tunings(
        np.concatenate([networks.features] * (signals + 1)),
        np.concatenate([networks.labels] * signals + [noise[0]]),
        np.repeat(RIDGE * np.array([0.1, 1.0, 10.0, 1.0]), 2),
        np.concatenate([networks.asked] * (signals + 1)),
        np.concatenate([networks.truth] * signals + [0.1 * noise[1]]),
    )


@PAPER.claim(
    "optimal-weight",
    statement=r"""Predictions are affine in the last weight, $\alpha P_1 + (1 - \alpha) P_2$, so that validation error
    is least at $\frac{\langle P_1 - P_2, v - P_2 \rangle}{|P_1 - P_2|^2}$, often above 1 where ridges are strong and
    below 0 where labels are noise; and, for weights in [0, 1], at that number clipped.""",
    source="optimal weight of labels and teacher",
    agreement=Identity(rtol=1e-8),  # students and teachers differ by a hundredth of their predictions and more
    controls=(
        "|P_1|^2 for |P_1 - P_2|^2",
        "v - P_1",
        "weight of the teacher",
        "clipped for unconstrained",
        "one teacher more",
    ),
)
def optimal_weight(run: Run) -> Trial:
    """Tune the last weight by Newton's method, which differentiates through training, with and without limits."""
    before = np.full(2, 0.4)

    def measure(weights: Array = before) -> Array:
        each = jax.vmap(sim.tune_last_weight, in_axes=(0, 0, 0, None, 0, 0, None, None))
        both = jax.vmap(each, in_axes=(None,) * 6 + (0, 0))
        cases = _tunings(run)
        problem = (cases.features, cases.labels, cases.ridges, weights, cases.asked, cases.wanted)
        return np.asarray(both(*problem, np.array([-np.inf, 0.0]), np.array([np.inf, 1.0])).weight)

    def predict(change: str = "") -> Array:
        found = []
        for phi, y, ridge, asked, wanted in zip(*_tunings(run), strict=True):
            first, second = (
                theory.self_distillation_predict(
                    asked @ phi.T, phi @ phi.T, y, ridge=ridge, alpha=np.append(before, last), steps=3
                )
                for last in (1.0, 0.0)
            )
            best = theory.optimal_distillation_weight(wanted, first, second)
            apart = first - second
            best = {
                "P_1": best * (apart @ apart) / (first @ first),
                "v - P_1": apart @ (wanted - first) / (apart @ apart),
                "teacher": 1 - best,
                "clip": np.clip(best, 0, 1),
            }.get(change, best)
            found.append([best, np.clip(best, 0, 1)])
        return np.transpose(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "|P_1|^2 for |P_1 - P_2|^2": lambda: predict("P_1"),
            "v - P_1": lambda: predict("v - P_1"),
            "weight of the teacher": lambda: predict("teacher"),
            "clipped for unconstrained": lambda: predict("clip"),
        },
        counterexamples={"one teacher more": lambda: measure(np.full(3, 0.4))},
        scale="largest",
    )
