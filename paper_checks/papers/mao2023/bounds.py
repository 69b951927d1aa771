"""Least surrogate regret at a given regret of errors: never undercut, and where it is attained."""

from functools import cache, partial

import numpy as np

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, components
from paper_checks.papers.mao2023.instances import TAUS, TIGHT_TAUS, Instances, Transform, draw_instances
from paper_checks.papers.mao2023.paper import PAPER
from simulations import generalization as sim
from theory import generalization


def _transform(beta: Array, tau: Array, c: Array) -> Array:
    return np.asarray(generalization.h_consistency_transform(beta, tau=tau, num_classes=c))


def _two_for_c(beta: Array, tau: Array, c: Array) -> Array:
    return _transform(beta, tau, np.full_like(c, 2))


def _squared(beta: Array, tau: Array, c: Array) -> Array:
    """Take M^2, right at tau = 0, for M^(2 - tau) below tau = 1."""
    below = tau < 1
    power, order = np.where(below, 1 - tau, 1.0), np.where(below, 1 / np.where(below, 2 - tau, 1.0), 1.0)
    mean = ((1 + beta) ** order + (1 - beta) ** order) / 2
    return np.where(below, 2**power / power * (1 - mean**2), _transform(beta, tau, c))


def _linear(beta: Array, tau: Array, c: Array) -> Array:
    return beta / np.where(tau > 1, c, 2.0) ** np.abs(tau - 1)


WRONG_TRANSFORMS: dict[str, Transform] = {
    "twice as much": lambda beta, tau, c: 2 * _transform(beta, tau, c),
    "2 for c": _two_for_c,
    "M squared": _squared,
    "linear below tau = 2": _linear,
}


@PAPER.claim(
    "h-consistency",
    statement=r"""Where errors are more frequent than they need be by $\beta$, the surrogate risk is above its least by
    $T_\tau(\beta)$ at least, over any inputs: with $a = 1 / (2 - \tau)$ and $M = ((1+\beta)^a + (1-\beta)^a)/2$, that
    is $\frac{2^{1-\tau}}{1-\tau} (1 - M^{2-\tau})$ for $\tau < 1$, $\frac{1+\beta}{2} \ln(1+\beta) + \frac{1-\beta}{2}
    \ln(1-\beta)$ at 1, $\frac{M^{2-\tau} - 1}{(\tau-1) c^{\tau-1}}$ below 2, $\frac{\beta}{(\tau-1) c^{\tau-1}}$
    beyond.""",
    source="H-consistency bounds of comp-sum losses, for complete hypothesis sets",
    agreement=Bound(side="lower", rounding=1e-10),
    controls=(*WRONG_TRANSFORMS, "bounded scores"),
)
def h_consistency(run: Run) -> Trial:
    """Draw one or two inputs with zeros and ties, and search for the hardest at given regrets of errors."""
    classes = range(2, 11)
    count = run.size("instances for each tau", quick=4, standard=40, full=600)
    chains, steps = run.size("search", quick=(3, 120), standard=(6, 600), full=(24, 3000))
    searches = [(beta, tau, c) for beta in (0.1, 0.6) for tau in (0.0, 0.5, 1.0, 1.5, 2.0, 2.5) for c in (2, 3)]
    searches += run.size(
        "searches of 5 classes",
        quick=[(0.2, 1.5, 5)],
        standard=[(beta, tau, 5) for beta in (0.2, 0.6) for tau in TAUS],
        full=[(beta, tau, 5) for beta in (0.1, 0.2, 0.6, 0.9) for tau in TAUS],
    )

    @cache
    def instances() -> list[Instances]:
        return [draw_instances(run.rng(f"instances {c}"), c, count) for c in classes]

    def predict(transform: Transform = _transform) -> Array:
        sampled = [
            transform(drawn.mean(lambda p, s, tau: sim.error_regret(p, s)), drawn.tau, np.full(drawn.tau.size, c))
            for c, drawn in zip(classes, instances(), strict=True)
        ]
        beta, tau, c = (np.array(part) for part in zip(*searches, strict=True))
        return components(*sampled, transform(beta, tau, c))

    def measure(bounded: bool = False) -> Array:
        def regret(p: Array, s: Array, tau: Array) -> Array:
            floor = bounded / (2 * p.shape[1])
            softmax = floor + (1 - floor * p.shape[1]) * s
            return sim.surrogate_risk(p, softmax, tau) - sim.least_risk(p, tau, floor=floor)

        found = [
            sim.least_regret(
                run.rng(f"search {beta} {tau} {c}"), beta, tau, num_classes=c, chains=chains, n_steps=steps
            )
            for beta, tau, c in searches
        ]
        return components(*(drawn.mean(regret) for drawn in instances()), found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={name: partial(predict, wrong) for name, wrong in WRONG_TRANSFORMS.items()},
        counterexamples={"bounded scores": lambda: measure(bounded=True)},
        scale=1.0,
    )


def _quadratic(beta: Array, tau: Array, c: Array) -> Array:
    """Keep the first term in beta alone."""
    return beta**2 / (2**tau * (2 - tau))


WRONG_TIGHT: dict[str, Transform] = {
    "no power of 2": lambda beta, tau, c: _transform(beta, tau, c) * 2 ** (tau - 1),
    "c for 2": lambda beta, tau, c: _transform(beta, tau, c) * (c / 2) ** (1 - tau),
    "first term in beta": _quadratic,
    "logistic loss": lambda beta, tau, c: _transform(beta, np.ones_like(tau), c),
    "M squared": _squared,
}


def _tied_regrets(problems: list[tuple[float, float, int]], ties: str, lead: float = 0.0) -> Array:
    """Surrogate regrets of tied instances; with ``lead``, of scores that prefer the second class by so much."""
    found = []
    for beta, tau, c in problems:
        p, s = sim.tied_instance(beta, num_classes=c, ties=ties)
        s[-1 if ties == "all" else 1] += lead * s[0]
        s[0] -= lead * s[0]
        found.append(sim.surrogate_regret(p[None], s[None], np.array([tau]))[0])
    return np.array(found)


def _exact(problems: list[tuple[float, float, int]], transform: Transform = _transform) -> Array:
    beta, tau, c = (np.array(part) for part in zip(*problems, strict=True))
    return transform(beta, tau, c)


@PAPER.claim(
    "tightness",
    statement=r"""For $\tau \le 1$ the bound is attained, with any number of classes: by two that happen with
    probabilities $(1 \pm \beta)/2$, equal scores for them, and ever lower ones for the rest. With two classes it is
    attained for $\tau < 2$, too.""",
    source="tightness of the bounds; beyond tau = 1 derived for two classes alone",
    agreement=Identity(rtol=1e-9),
    controls=(*WRONG_TIGHT, "second class ahead by a tenth"),
)
def tightness(run: Run) -> Trial:
    """Minimise the risk at the tied instances; then give the wrong class a lead."""
    betas = run.rng("regrets").uniform(0.1, 0.95, run.size("regrets", quick=5, standard=20, full=100))
    problems = [(float(beta), tau, c) for beta in betas for tau in TIGHT_TAUS for c in (2, 3, 5, 10)]
    problems += [(float(beta), tau, 2) for beta in betas for tau in (1 + 1e-6, 1.2, 1.5, 1.9)]
    return Trial(
        predict=lambda: _exact(problems),
        measure=lambda: _tied_regrets(problems, "two"),
        controls={name: partial(_exact, problems, wrong) for name, wrong in WRONG_TIGHT.items()},
        counterexamples={"second class ahead by a tenth": lambda: _tied_regrets(problems, "two", lead=0.1)},
    )


@PAPER.claim(
    "tightness-mae",
    statement=r"""At $\tau = 2$, the mean absolute error, $T = \beta / c$ is attained for $\beta \le 1/(c - 1)$: by
    equal scores, and classes all equally likely but one, rarer by $\beta$.""",
    source="derived",
    agreement=Identity(rtol=1e-9),
    controls=("2 for c", "c - 1 for c", "quadratic", "two classes alone", "rarest ahead by a tenth"),
)
def tightness_mae(run: Run) -> Trial:
    """Minimise the risk at instances with all scores tied."""
    shares = run.rng("regrets").uniform(0.1, 1.0, run.size("regrets", quick=5, standard=20, full=100))
    problems = [(float(share) / (c - 1), 2.0, c) for share in shares for c in (3, 4, 5, 10)]
    return Trial(
        predict=lambda: _exact(problems),
        measure=lambda: _tied_regrets(problems, "all"),
        controls={
            "2 for c": lambda: _exact(problems, _two_for_c),
            "c - 1 for c": lambda: _exact(problems, lambda beta, tau, c: _transform(beta, tau, c - 1)),
            "quadratic": lambda: _exact(problems, lambda beta, tau, c: _transform(beta**2, tau, c)),
        },
        counterexamples={
            "two classes alone": lambda: _tied_regrets(problems, "two"),
            "rarest ahead by a tenth": lambda: _tied_regrets(problems, "all", lead=0.1),
        },
    )
