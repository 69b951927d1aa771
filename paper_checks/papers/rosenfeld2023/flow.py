"""Gradient flow: what it conserves, and a sharpness that falls first and then rises to a known end."""

import jax
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Steps
from paper_checks.papers.rosenfeld2023.paper import PAPER, Array, Law, Layers, draw_law, draw_layers, rank_one
from simulations import deep_linear as networks
from simulations.deep_linear import opposing_signals as sim
from theory import deep_linear


@PAPER.claim(
    "conservation",
    statement=r"""The flow conserves $v v^T - W W^T$, the outlier's column included; gradient descent lets it drift by
    $O(\eta)$.""",
    source="conserved quantities of the two-layer linear model (derived)",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("sum for difference", "opposite sign", "without the outlier's column", "outlier's column times alpha"),
)
def conservation(run: Run) -> Trial:
    """Descend from Gaussian weights with ever smaller steps: what was there at the start must be there at the end."""
    hidden, dim = run.size("hidden units and inputs", quick=(3, 3), standard=(8, 6), full=(32, 16))
    rng = run.rng()
    law, layers = draw_law(rng, dim, power=4.0), draw_layers(rng, hidden, dim)
    rates = run.size("largest rate", quick=4e-3, standard=2e-3, full=1e-3) * 0.5 ** np.arange(5)

    def measure() -> Steps:
        found = networks.descend_at_times(
            layers.stacked,
            sim.population(law.data()),
            learning_rates=rates,
            times=[0.4, 1.2],
            observe=networks.conserved_vector,
        )
        return Steps(rates, found)

    def initial(sign: float = -1.0, outlier: float = 1.0) -> Array:
        metric = np.append(np.ones(dim), outlier)
        start = np.outer(layers.v, layers.v) + sign * (layers.w * metric) @ layers.w.T
        return np.stack(2 * [start.ravel()])

    return Trial(
        predict=initial,
        measure=measure,
        controls={
            "sum for difference": lambda: initial(sign=1.0),
            "opposite sign": lambda: -initial(),
            "without the outlier's column": lambda: initial(outlier=0.0),
            "outlier's column times alpha": lambda: initial(outlier=law.power),
        },
        scale="largest",
    )


def _starts(run: Run, *powers: float, outlier: float = 0.8, size: float | None = None) -> list[tuple[Law, Layers]]:
    """Draw balanced weights of rank one, half along beta, with a share of the outlier.

    The squared length of v is around a tenth, or ``size`` times the length of beta over alpha, to 20 %.
    """
    hidden, dim = run.size("hidden units and inputs", quick=(3, 3), standard=(6, 5), full=(16, 12))
    rng = run.rng()
    found = []
    for power in powers:
        law = draw_law(rng, dim, power=power)
        across = rng.standard_normal(dim)
        towards = law.beta / np.linalg.norm(law.beta) + 0.6 * across / np.linalg.norm(across)
        strength = float(rng.uniform(0.08, 0.12))
        if size is not None:
            strength *= 10 * size * float(np.linalg.norm(law.beta)) / power
        found.append((law, rank_one(rng, hidden, np.append(towards, outlier), strength)))
    return found


def _path(starts: list[tuple[Law, Layers]], times: Array, *, signal: str = "opposing", stretch: float = 1.0) -> Array:
    """Follow the flow of all weights, times in units of 1/|beta|, and take the top of the Hessian on the way."""
    found = []
    for law, layers in starts:
        task = sim.population(law.data(signal))
        w, v = layers.stacked
        path = networks.gradient_flow((w, stretch * v), task, times=times / np.linalg.norm(law.beta))
        found.append(jax.vmap(sim.sharpness, (0, None))(path, task))
    return np.stack(found)


TIMES = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.8, 2.5, 4.0, 40.0])


@PAPER.claim(
    "progressive_sharpening",
    statement=r"""From balanced weights of rank one the input weights obey $\dot w = -|w| (I + \hat w \hat w^T) S (w -
    w^*)$; the sharpness on the way is the top eigenvalue of a matrix of $d + 2$ rows, and at the end $\max(\alpha, 2)
    |\beta|$.""",
    source="progressive sharpening of the two-layer linear model (derived)",
    agreement=Identity(rtol=1e-8),
    controls=(
        "alpha |v|",
        "alpha |v|^2 from the start",
        "end at alpha |beta| whatever alpha",
        "end at 2 alpha |beta|",
        "start not balanced",
        "target gamma o",
    ),
)
def progressive_sharpening(run: Run) -> Trial:
    """Integrate the flow of all weights, and take Hessians by automatic differentiation, with outliers of any power."""
    starts = _starts(run, 0.5, 5.0, 20.0)

    def gather(on_the_way, end=lambda law: deep_linear.converged_sharpness(law.beta, outlier_power=law.power)) -> Array:
        found = []
        for law, (v, w) in starts:
            times = TIMES / np.linalg.norm(law.beta)
            path = deep_linear.balanced_outlier_flow(times, w0=w.T @ v, beta=law.beta, outlier_power=law.power)
            found.append(np.append(on_the_way(path[:-1], law), end(law)))
        return np.stack(found)

    def exact(path: Array, law: Law) -> Array:
        return deep_linear.balanced_sharpness(path, beta=law.beta, outlier_power=law.power)

    return Trial(
        predict=lambda: gather(exact),
        measure=lambda: _path(starts, TIMES),
        controls={
            "alpha |v|": lambda: gather(lambda path, law: law.power * np.linalg.norm(path, axis=1) ** 0.5),
            "alpha |v|^2 from the start": lambda: gather(lambda path, law: law.power * np.linalg.norm(path, axis=1)),
            "end at alpha |beta| whatever alpha": lambda: gather(
                exact, lambda law: law.power * np.linalg.norm(law.beta)
            ),
            "end at 2 alpha |beta|": lambda: gather(exact, lambda law: 2 * law.power * np.linalg.norm(law.beta)),
        },
        counterexamples={
            "start not balanced": lambda: _path(starts, TIMES, stretch=1.5),
            "target gamma o": lambda: _path(starts, TIMES, signal="consistent"),
        },
    )


@PAPER.claim(
    "sharpening_order",
    statement=r"""From small weights of which the outlier has a share the sharpness first drops, while that share is
    unlearned, provided that this is fast, $\alpha |v|^2 \gg |\beta|$; it then rises beyond where it began, to $\alpha
    |\beta|$ for $\alpha > 2$.""",
    source="progressive sharpening of the two-layer linear model",
    agreement=Ordering(side="above"),
    controls=(
        "ends beyond 2 alpha |beta|",
        "drops to a tenth",
        "no outlier weight at the start",
        "alpha large but alpha |v|^2 small",
    ),
)
def sharpening_order(run: Run) -> Trial:
    """Compare start, lowest point and end along the flow of all weights, from alpha |v|^2 around 5 |beta|."""
    powers = run.size("outlier powers", quick=(15.0, 30.0), standard=(15.0, 30.0, 60.0), full=(15.0, 30.0, 60.0, 200.0))
    strong = _starts(run, *powers, size=5.0)

    def measure(starts: list[tuple[Law, Layers]]) -> Array:
        path = _path(starts, TIMES)
        return np.stack([path[:, 0] / path.min(axis=1), path[:, -1]])

    def predict(drop: float = 1.1, end: float = 0.99) -> Array:
        ends = [deep_linear.converged_sharpness(law.beta, outlier_power=law.power) for law, _ in strong]
        return np.stack([np.full(len(strong), drop), end * np.array(ends)])

    return Trial(
        predict=predict,
        measure=lambda: measure(strong),
        controls={
            "ends beyond 2 alpha |beta|": lambda: predict(end=2.0),
            "drops to a tenth": lambda: predict(drop=10.0),
        },
        counterexamples={
            "no outlier weight at the start": lambda: measure(_starts(run, *powers, outlier=0.0, size=5.0)),
            "alpha large but alpha |v|^2 small": lambda: measure(_starts(run, *powers, size=0.3)),
        },
    )
