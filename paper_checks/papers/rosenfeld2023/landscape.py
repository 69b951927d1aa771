"""Losses of the groups, the gradients with which they oppose each other, and the curvature that the outlier causes."""

from collections.abc import Callable

import jax
import numpy as np

from paper_checks.agreement import Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, components
from paper_checks.papers.rosenfeld2023.paper import PAPER, Array, Law, Layers, draw_law, draw_layers, moved_to_minimum
from simulations.deep_linear import Weights
from simulations.deep_linear import opposing_signals as sim
from simulations.replicates import over_replicates
from theory import deep_linear

Case = tuple[Law, Layers]


def _sample(key: jax.Array, data: sim.Outliers, weights: Weights, n: int) -> sim.GroupMeasurements:
    return sim.sample_groups(key, data, weights, n=n)


def _measure(run: Run, case: Case, signal: str = "opposing") -> sim.GroupMeasurements:
    """Draw data sets, and take losses and gradients of all their groups."""
    replicates = run.size("replicates", quick=1000, standard=8000, full=100_000)
    law, layers = case
    return over_replicates(_sample, run.keys(replicates), law.data(signal), layers.stacked, 256)


def _random_case(run: Run) -> Case:
    rng = run.rng()
    return draw_law(rng, 3, power=float(rng.uniform(2, 4))), draw_layers(rng, 4, 3)


@PAPER.claim(
    "population_loss",
    statement=r"""The mean loss is $\tfrac12 |w_z - \beta|^2 + \tfrac12 \alpha w_o^2 + \tfrac12 \alpha \gamma^2$; it is
    $\tfrac12 |w_z - \beta|^2 + \tfrac12 A^2 (w_o \mp \gamma)^2$ where the outlier is $\pm A$, and $\tfrac12 |w_z -
    \beta|^2$ where it is absent.""",
    source="two-layer linear model of opposing signals (derived)",
    agreement=MonteCarlo(resolution=0.05),
    controls=("A for A^2", "gamma^2 dropped", "groups exchanged", "alpha = A^2", "target gamma o"),
)
def population_loss(run: Run) -> Trial:
    """Draw examples of everything and of each group, at random weights."""
    case = _random_case(run)
    law, (v, w) = case

    def predict(power: float = law.power, magnitude: float = law.magnitude, gamma: float = law.gamma) -> Array:
        return components(
            deep_linear.population_loss(v, w, beta=law.beta, outlier_power=power, gamma=gamma),
            deep_linear.group_losses(v, w, beta=law.beta, magnitude=magnitude, gamma=gamma),
        )

    return Trial(
        predict=predict,
        measure=lambda: Samples(_measure(run, case).losses),
        controls={
            "A for A^2": lambda: predict(law.probability * law.magnitude, np.sqrt(law.magnitude)),
            "gamma^2 dropped": lambda: predict(gamma=0.0),
            "groups exchanged": lambda: predict(gamma=-law.gamma),
            "alpha = A^2": lambda: predict(power=law.magnitude**2),
        },
        counterexamples={"target gamma o": lambda: Samples(_measure(run, case, "consistent").losses)},
    )


@PAPER.claim(
    "opposing_gradients",
    statement=r"""In the outlier's column of $W$ the two signs of the outlier have the gradients $A^2 (w_o \mp \gamma)
    v$: opposite while $|w_o| < |\gamma|$, large as $A^2$ however rare the outlier is.""",
    source="opposing signals in the two-layer linear model (derived)",
    agreement=MonteCarlo(resolution=0.05),
    controls=("A for A^2", "same sign in both groups", "divided by |v|", "target gamma o"),
)
def opposing_gradients(run: Run) -> Trial:
    """Take gradients on examples of either sign, at random weights."""
    case = _random_case(run)
    law, (v, w) = case

    def predict() -> Array:
        return np.stack(
            deep_linear.group_outlier_gradients(v, w, beta=law.beta, magnitude=law.magnitude, gamma=law.gamma)
        )

    def same_sign() -> Array:
        positive, _ = predict()
        return np.stack([positive, positive])

    return Trial(
        predict=predict,
        measure=lambda: Samples(_measure(run, case).gradients),
        controls={
            "A for A^2": lambda: predict() / law.magnitude,
            "same sign in both groups": same_sign,
            "divided by |v|": lambda: predict() / np.linalg.norm(v),
        },
        counterexamples={"target gamma o": lambda: Samples(_measure(run, case, "consistent").gradients)},
        scale="largest",
    )


def _cases(run: Run, *, at_minimum: bool) -> list[Case]:
    """Draw networks over a range of outliers; at a minimum, or with an outlier's column of zeros anywhere."""
    hidden, dim = run.size("hidden units and inputs", quick=(4, 3), standard=(8, 6), full=(24, 16))
    rng = run.rng()
    found = []
    for power in run.size(
        "outlier powers",
        quick=(0.3, 1.5, 6.0, 30.0),
        standard=(0.3, 1.5, 6.0, 30.0, 200.0),
        full=(0.3, 1.5, 6.0, 30.0, 200.0),
    ):
        law, layers = draw_law(rng, dim, power=power), draw_layers(rng, hidden, dim)
        if at_minimum:
            layers = moved_to_minimum(layers, law.beta)
        else:
            layers.w[:, -1] = 0.0
        found.append((law, layers))
    return found


def _at_each(cases: list[Case], read: Callable[..., jax.Array], signal: str = "opposing", move: float = 0.0) -> Array:
    """Read something off the Hessian in every case; ``move`` adds to the outlier's column."""
    found = []
    for law, (v, w) in cases:
        moved = w.copy()
        moved[:, -1] += move
        found.append(read((moved, v[None]), sim.population(law.data(signal))))
    return components(*found)


@PAPER.claim(
    "minimum_sharpness",
    statement=r"""Wherever $w = (\beta, 0)$ the largest eigenvalue of the Hessian is $\lambda_{\max}(S^{1/2} (|v|^2 I +
    W^T W) S^{1/2})$, $S = \mathrm{diag}(1, \dots, 1, \alpha)$.""",
    source="sharpness at the minima of the two-layer linear model (derived)",
    agreement=Identity(rtol=1e-11),
    controls=(
        "|v| for |v|^2",
        "first layer's part dropped",
        "alpha = A^2",
        "S on one side",
        "away from the minimum",
        "target gamma o",
    ),
)
def minimum_sharpness(run: Run) -> Trial:
    """Take the Hessian by automatic differentiation at random minima."""
    cases = _cases(run, at_minimum=True)

    def predict() -> Array:
        return np.array([deep_linear.minimum_sharpness(v, w, outlier_power=law.power) for law, (v, w) in cases])

    def wrong(
        inner: Callable[[Array, Array], Array], root: Callable[[Law], float] = lambda law: law.power**0.5
    ) -> Array:
        found = []
        for law, (v, w) in cases:
            scale = np.append(np.ones(w.shape[1] - 1), root(law))
            found.append(np.linalg.eigvalsh(scale[:, None] * inner(v, w) * scale)[-1])
        return np.array(found)

    def right(v: Array, w: Array) -> Array:
        return v @ v * np.eye(w.shape[1]) + w.T @ w

    return Trial(
        predict=predict,
        measure=lambda: _at_each(cases, sim.sharpness),
        controls={
            "|v| for |v|^2": lambda: wrong(lambda v, w: np.linalg.norm(v) * np.eye(w.shape[1]) + w.T @ w),
            "first layer's part dropped": lambda: wrong(lambda v, w: v @ v * np.eye(w.shape[1])),
            "alpha = A^2": lambda: wrong(right, lambda law: law.magnitude),
            "S on one side": lambda: wrong(right, lambda law: law.power**0.25),
        },
        counterexamples={
            "away from the minimum": lambda: _at_each(cases, sim.sharpness, move=0.3),
            "target gamma o": lambda: _at_each(cases, sim.sharpness, "consistent"),
        },
    )


@PAPER.claim(
    "outlier_block",
    statement=r"""Where $W_{:,o} = 0$, at a minimum or not, the vector $v$ in the outlier's column is an eigenvector of
    the whole Hessian, with the eigenvalue $\alpha |v|^2$.""",
    source="curvature in the direction of the outlier (derived)",
    agreement=Identity(rtol=1e-12),
    controls=("alpha |v|", "alpha = A^2", "|v|^2 alone", "outlier weights not zero", "target gamma o"),
)
def outlier_block(run: Run) -> Trial:
    """Multiply the vector by the Hessian at random weights without an outlier's column."""
    cases = _cases(run, at_minimum=False)

    def images(eigenvalue: Callable[[Law, Array], float]) -> Array:
        found = []
        for law, (v, w) in cases:
            block = np.zeros_like(w)
            block[:, -1] = eigenvalue(law, v) * v / np.linalg.norm(v)
            found.append(np.append(block, np.zeros_like(v)))
        return components(*found)

    return Trial(
        predict=lambda: images(lambda law, v: deep_linear.outlier_sharpness(v, outlier_power=law.power)),
        measure=lambda: _at_each(cases, sim.outlier_image),
        controls={
            "alpha |v|": lambda: images(lambda law, v: law.power * float(np.linalg.norm(v))),
            "alpha = A^2": lambda: images(lambda law, v: law.magnitude**2 * float(v @ v)),
            "|v|^2 alone": lambda: images(lambda law, v: float(v @ v)),
        },
        counterexamples={
            "outlier weights not zero": lambda: _at_each(cases, sim.outlier_image, move=0.3),
            "target gamma o": lambda: _at_each(cases, sim.outlier_image, "consistent"),
        },
        scale="largest",
    )
