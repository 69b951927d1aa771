"""Largest regret of errors at a given surrogate regret: reached, in closed form, and where regrets are small."""

from functools import cache, partial

import numpy as np

from paper_checks.agreement import Bound, ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Limit, Steps, components
from paper_checks.papers.mao2023.instances import TIGHT_TAUS, Instances, Transform, draw_instances
from paper_checks.papers.mao2023.paper import PAPER
from simulations import generalization as sim
from theory import generalization

Goal = tuple[float, float, int, str]  # surrogate regret, tau, classes, and which scores are tied


def _goals() -> list[Goal]:
    """List surrogate regrets from 1e-6 on at which the bound is attained."""
    sizes = (1e-6, 1e-3, 0.05, 0.2, 2.0)
    goals: list[Goal] = [(t, tau, c, "two") for t in sizes for tau in TIGHT_TAUS for c in (2, 5)]
    goals += [(t, tau, 2, "two") for t in sizes for tau in (1.2, 1.5, 1.9)]
    return goals + [(share / (c * (c - 1)), 2.0, c, "all") for share in (1e-4, 0.3, 0.9) for c in (2, 3, 5, 10)]


def _reached(goals: list[Goal]) -> Array:
    return np.array([sim.largest_error_regret(t, tau, num_classes=c, ties=ties) for t, tau, c, ties in goals])


def _bounded(goals: list[Goal], bound: Transform) -> Array:
    t, tau, c, _ = zip(*goals, strict=True)
    return np.asarray(bound(np.array(t), np.array(tau), np.array(c)))


def _gamma(t: Array, tau: Array, c: Array) -> Array:
    return np.asarray(generalization.h_consistency_bound(t, tau=tau, num_classes=c))


def _upper(t: Array, tau: Array, c: Array) -> Array:
    return np.asarray(generalization.h_consistency_upper(t, tau=tau, num_classes=c))


@PAPER.claim(
    "gamma",
    statement=r"""So a surrogate regret of $t$ allows a regret of errors of $\Gamma_\tau(t) = T_\tau^{-1}(t)$, or 1, and
    for $\tau \le 1$, or two classes, or at $\tau = 2$ up to $1/(c-1)$, some scores make that many.""",
    source="H-consistency bounds of comp-sum losses, inverted",
    # a regret of 1e-6 is known to 1e-10 of itself
    agreement=Identity(rtol=1e-8),
    controls=("closed form above it", "logistic loss", "t for 2 t", "c for 2 below tau = 1"),
)
def gamma(run: Run) -> Trial:
    """Raise the regret of errors of tied instances until their surrogate regret is t."""
    goals = _goals()
    return Trial(
        predict=lambda: _bounded(goals, _gamma),
        measure=lambda: _reached(goals),
        controls={
            "closed form above it": lambda: _bounded(goals, lambda t, tau, c: np.minimum(_upper(t, tau, c), 1)),
            "logistic loss": lambda: _bounded(goals, lambda t, tau, c: _gamma(t, np.ones_like(tau), c)),
            "t for 2 t": lambda: _bounded(goals, lambda t, tau, c: _gamma(t / 2, tau, c)),
            "c for 2 below tau = 1": lambda: _bounded(
                goals, lambda t, tau, c: _gamma(t * np.where(tau < 1, c / 2, 1) ** (tau - 1), tau, c)
            ),
        },
    )


WRONG_UPPERS: dict[str, Transform] = {
    "t for 2 t": lambda t, tau, c: _upper(np.where(tau < 2, t / 2, t), tau, c),
    "no power of 2": lambda t, tau, c: _upper(np.where(tau < 1, t / 2**tau, t), tau, c),
    "no c^(tau - 1)": lambda t, tau, c: _upper(t, tau, np.full_like(c, 2)) / np.where(tau >= 2, 2 ** (tau - 1), 1.0),
    "linear below tau = 2": lambda t, tau, c: np.where(tau < 2, 2 * t, _upper(t, tau, c)),
}


@PAPER.claim(
    "gamma-closed-form",
    statement=r"""$\Gamma_\tau(t)$ is at most $\sqrt{2^\tau (2 - \tau) t}$ for $\tau < 1$, $\sqrt{2 c^{\tau-1} t}$ below
    2, and $(\tau - 1) c^{\tau-1} t$ beyond; no regret of errors is above that of the mean surrogate regret.""",
    source="closed forms of the bounds",
    agreement=Bound(side="upper", rounding=1e-10),
    controls=tuple(WRONG_UPPERS),
)
def gamma_closed_form(run: Run) -> Trial:
    """Take tied instances to given surrogate regrets, and draw others."""
    count = run.size("instances for each tau", quick=20, standard=200, full=2000)
    goals = _goals() + [(t, tau, 5, "two") for t in (1e-4, 0.1) for tau in (1.2, 1.5, 1.9, 2.0)]

    @cache
    def instances() -> list[tuple[int, Instances]]:
        return [(c, draw_instances(run.rng(f"instances {c}"), c, count)) for c in (2, 3, 5, 10)]

    def regret(p: Array, s: Array, tau: Array) -> Array:
        return generalization.conditional_risk(p, s, tau=tau) - generalization.minimal_risk(p, tau=tau)

    def predict(upper: Transform = _upper) -> Array:
        sampled = [
            upper(np.maximum(drawn.mean(regret), 0), drawn.tau, np.full(drawn.tau.size, c)) for c, drawn in instances()
        ]
        return components(_bounded(goals, upper), *sampled)

    def measure() -> Array:
        sampled = [drawn.mean(lambda p, s, tau: sim.error_regret(p, s)) for _, drawn in instances()]
        return components(_reached(goals), *sampled)

    return Trial(
        predict=predict,
        measure=measure,
        controls={name: partial(predict, wrong) for name, wrong in WRONG_UPPERS.items()},
        scale=1.0,
    )


@PAPER.claim(
    "square-root-law",
    statement=r"""For $\tau \le 1$ the closed form is sharp where regrets are small: the largest regret of errors,
    squared and divided by $t$, tends to $2^\tau (2 - \tau)$, at first order in $t$.""",
    source="growth of the bounds near zero",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-10),
    controls=("t for 2 t", "no power of 2", "2^(1 - tau)", "2 for 2 - tau"),
)
def square_root_law(run: Run) -> Trial:
    """Halve the surrogate regret, and raise the regret of errors of tied instances to it."""
    halvings = run.size("halvings", quick=5, standard=6, full=7)
    taus = np.array([0.0, 0.3, 0.5, 0.9, 1.0])
    sizes = 0.02 / 2.0 ** np.arange(halvings)

    def measure() -> Steps:
        reached = [[sim.largest_error_regret(t, tau, num_classes=3, ties="two") for tau in taus] for t in sizes]
        return Steps(sizes, np.array(reached) ** 2 / sizes[:, None])

    def predict(factor: Array | float = 1.0) -> Limit:
        return Limit(_upper(np.ones_like(taus), taus, np.full(taus.size, 3)) ** 2 * factor)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "t for 2 t": lambda: predict(0.5),
            "no power of 2": lambda: predict(2**-taus),
            "2^(1 - tau)": lambda: predict(2 ** (1 - 2 * taus)),
            "2 for 2 - tau": lambda: predict(2 / (2 - taus)),
        },
    )
