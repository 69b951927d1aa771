"""How signals and differences fade at criticality when K* = 0."""

import numpy as np

from paper_checks.agreement import ConvergenceOrder
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Steps
from paper_checks.papers.roberts2021.paper import FADING, PAPER, SIMULATED, SOLVED, unit_gain
from simulations import ntk as sim
from theory import ntk

Array = np.ndarray

HALF = 1e-5  # half the difference of two inputs, in standard deviations


def _layers(run: Run) -> Array:
    """Return layers that double, up to half the depth."""
    return 2 ** np.arange(6, run.size("log2 of the last layer", quick=12, standard=14, full=16))


def _starts(run: Run) -> Array:
    return run.rng().uniform(0.5, 2.0, len(FADING))


def _paths(starts: Array, depth: int) -> Array:
    """Variances and their derivatives in the first layer's, for every fading activation, (activations, depth, 2)."""
    found = [
        sim.kernel_path(k1, unit_gain(SIMULATED[name]), 0.0, activation=SIMULATED[name], depth=depth)
        for name, k1 in zip(FADING, starts, strict=True)
    ]
    return np.stack([np.asarray(path) for path in found])


@PAPER.claim(
    "kernel_decay",
    statement=r"""At criticality with $K^* = 0$, $1 / K^l = -a_1 l + (a_2 / a_1 - a_1) \ln l + O(1)$: $K^l \sim 1 / 2l$
    for tanh, $1/l$ for sin.""",
    source="chapter 5, K* = 0 universality class (logarithm derived here)",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-10),
    controls=("1 / l for all", "without the curvature", "no logarithm", "logarithm of the other sign", "a_2 / a_1"),
)
def kernel_decay(run: Run) -> Trial:
    """Increase of 1 / K from layer l to 2 l, over l, in which the constant drops out."""
    layers, starts = _layers(run), _starts(run)

    def measure() -> Steps:
        inverse = 1 / _paths(starts, 2 * layers[-1])[..., 0]
        return Steps(1 / layers, ((inverse[:, 2 * layers - 1] - inverse[:, layers - 1]) / layers).T)

    def predict(log: float = 1.0, shift: float = 0.0, curved: bool = True) -> Limit:
        decays = [ntk.critical_decay(SOLVED[name]) for name in FADING]
        rates = np.array([d.rate for d in decays])
        logs = np.array([log * d.log + shift * d.rate for d in decays])
        # of sin and cos(z) - 1 the first has phi_3 = -1
        return Limit(np.where(curved, rates, [2.0, 1.0, 2.0, 1.0]), logs * np.log(2))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 / l for all": lambda: predict()._replace(value=np.ones(len(FADING))),
            "without the curvature": lambda: predict(curved=False),
            "no logarithm": lambda: predict(log=0.0),
            "logarithm of the other sign": lambda: predict(log=-1.0),
            "a_2 / a_1": lambda: predict(shift=-1.0),
        },
    )


@PAPER.claim(
    "perturbation_decay",
    statement=r"""There, differences of two inputs fade as powers of the variance, $\prod \chi_\parallel \sim K^2 \sim
    l^{-2}$ and $\prod \chi_\perp \sim K^{b_1 / a_1} \sim l^{-b_1 / a_1}$.""",
    source="chapter 5, K* = 0 universality class",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-8),
    controls=("parallel as 1 / l", "perpendicular as 1 / l for all", "a_1 / b_1", "exchanged"),
)
def perturbation_decay(run: Run) -> Trial:
    """Ratios of logarithms between layers l and 2 l, from two close inputs and from a derivative."""
    layers, starts = _layers(run), _starts(run)

    def measure() -> Steps:
        paths = _paths(starts, 2 * layers[-1])
        apart = [
            sim.difference_path(
                k1, HALF, unit_gain(SIMULATED[a]), 0.0, activation=SIMULATED[a], depth=int(2 * layers[-1])
            )
            for a, k1 in zip(FADING, starts, strict=True)
        ]
        squares = np.stack([np.asarray(a) for a in apart]) ** 2
        logs = np.log(np.stack([paths[..., 0], paths[..., 1], squares]))
        changes = logs[..., 2 * layers - 1] - logs[..., layers - 1]
        return Steps(1 / layers, np.moveaxis(changes[1:] / changes[0], -1, 0))

    def predict() -> Array:
        decays = [ntk.critical_decay(SOLVED[name]) for name in FADING]
        return np.array([[d.parallel for d in decays], [d.perpendicular for d in decays]])

    def inverted() -> Array:
        return np.stack([predict()[0], 1 / predict()[1]])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "parallel as 1 / l": lambda: predict() * [[0.5], [1.0]],
            "perpendicular as 1 / l for all": lambda: np.stack([predict()[0], np.ones(len(FADING))]),
            "a_1 / b_1": inverted,
            "exchanged": lambda: predict()[::-1],
        },
    )
