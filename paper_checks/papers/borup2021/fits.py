"""Fits and predictions in closed form, after any number of steps."""

from collections.abc import Callable

import numpy as np

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array
from paper_checks.papers.borup2021.networks import ALPHAS, MIXED, RIDGE, distil_networks, draw_networks
from paper_checks.papers.borup2021.paper import PAPER
from theory import kernel_regression as theory


def _fits(run: Run, weights: Array, *, penalise_change: bool = False) -> Array:
    return np.asarray(distil_networks(run, weights, penalise_change=penalise_change).fits)


def _predicted_fits(run: Run, weights: Array, steps: int, ridge: float) -> Array:
    """Solve for all steps, and for each weight, or row of weights of their own for each step."""
    networks = draw_networks(run)
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
    networks = draw_networks(run)
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
            "n times the ridge": lambda: predict(factor=draw_networks(run).labels.shape[1]),
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
        readouts = distil_networks(run, weights, penalise_change=penalise_change).readouts
        return np.einsum("nasp,nmp->nasm", readouts, draw_networks(run).asked)

    def predict() -> Array:
        networks = draw_networks(run)
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
        networks = draw_networks(run)
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
        readouts = distil_networks(run, weights, penalise_change=penalise_change).readouts[:, :, -1]
        networks = draw_networks(run)
        everywhere = np.concatenate([networks.features, networks.asked], axis=1)
        return np.einsum("nap,nmp->nam", readouts, everywhere)

    def predict() -> Array:
        networks = draw_networks(run)
        found = []
        for cross, gram, y in zip(networks.cross_grams, networks.grams, networks.labels, strict=True):
            for alpha in alphas:
                last = {"ridge": RIDGE, "alpha": alpha, "steps": np.inf}
                fit = theory.self_distillation_fit(gram, y, **last)
                found.append(np.hstack([fit, theory.self_distillation_predict(cross, gram, y, **last)]))
        return np.reshape(found, (2, len(alphas), -1))

    def regression(ridges: Array) -> Array:
        networks = draw_networks(run)
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
