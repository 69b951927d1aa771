"""The losses themselves, and the least of their means at an input."""

from collections.abc import Callable
from functools import cache

import numpy as np

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, components
from paper_checks.papers.mao2023.instances import TAUS, class_probabilities
from paper_checks.papers.mao2023.paper import PAPER
from simulations import generalization as sim
from theory import generalization


@PAPER.claim(
    "loss",
    statement=r"""$\ell_\tau = \int_0^u (1 + v)^{-\tau} dv$ with $u = \sum_{y' \ne y} e^{h_{y'} - h_y}$ is
    $(s_y^{\tau - 1} - 1) / (1 - \tau)$ in the softmax probability $s_y$ of the label, $-\ln s_y$ at $\tau = 1$.""",
    source="definition of comp-sum losses",
    agreement=Identity(rtol=1e-12),
    controls=("label among the others", "power tau of the softmax", "no division by 1 - tau", "base-2 logarithm"),
)
def loss(run: Run) -> Trial:
    """Integrate the loss of random scores for every label, and average it over random classes."""
    c, count = 5, run.size("scores for each tau", quick=40, standard=200, full=2000)
    tau = np.repeat(TAUS, count)

    @cache
    def problem() -> tuple[Array, Array]:
        rng = run.rng("scores")
        return 2 * rng.standard_normal((tau.size, c)), class_probabilities(rng, tau.size, c)

    def softmax(h: Array) -> Array:
        exponentials = np.exp(h)
        return exponentials / exponentials.sum(axis=1, keepdims=True)

    def predict(shift: float = 0.0) -> Array:
        (h, p), t = problem(), tau + shift
        losses = generalization.comp_sum_loss(h[:, None, :], np.arange(c), tau=t[:, None])
        return components(losses, generalization.conditional_risk(p, softmax(h), tau=t))

    def measure() -> Array:
        h, p = problem()
        losses = sim.loss_by_quadrature(h, tau)
        return components(losses, (p * losses).sum(axis=1))

    def altered(extra: float = 0.0, divisor: Array | float = 1.0) -> Array:
        """Predict from (1 + u + extra)^(1 - tau), over another divisor; logarithms at tau = 1 keep theirs."""
        h, p = problem()
        ends, power = 1 / softmax(h) + extra, (1 - tau)[:, None]
        losses = np.where(power == 0, np.log(ends), np.expm1(power * np.log(ends)) / np.where(power == 0, 1, power))
        losses = losses * np.reshape(divisor, (-1, 1))
        return components(losses, (p * losses).sum(axis=1))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "label among the others": lambda: altered(extra=1.0),
            "power tau of the softmax": lambda: predict(shift=1.0),
            "no division by 1 - tau": lambda: altered(divisor=np.where(tau == 1, 1.0, np.abs(1 - tau))),
            "base-2 logarithm": lambda: altered(divisor=np.where(tau == 1, 1 / np.log(2), 1.0)),
        },
    )


@PAPER.claim(
    "minimal-risk",
    statement=r"""The least expected loss at an input is $(\|p\|_a - 1) / (1 - \tau)$ with $a = 1 / (2 - \tau)$ for
    $\tau < 2$ (the entropy at $\tau = 1$), and $(1 - \max p) / (\tau - 1)$ from there on.""",
    source="conditional risks of comp-sum losses",
    # rounds of pairwise searches end at gains of 1e-14
    agreement=Identity(rtol=1e-11),
    controls=(
        "softmax of p itself",
        "order 2 - tau",
        "entropy at every tau",
        "likeliest class alone",
        "bounded scores",
    ),
)
def minimal_risk(run: Run) -> Trial:
    """Minimise over the simplex for laws with zeros and ties; then over scores that are bounded."""
    count = run.size("laws for each tau", quick=6, standard=40, full=400)
    classes = run.size("classes", quick=(2, 3, 4, 6, 10), standard=(2, 3, 4, 6, 10), full=(2, 3, 4, 6, 10, 16))
    tau = np.repeat(TAUS, count)

    @cache
    def laws() -> list[Array]:
        return [class_probabilities(run.rng(f"laws {c}"), tau.size, c) for c in classes]

    def predict(risk: Callable[[Array, Array], Array] = lambda p, t: generalization.minimal_risk(p, tau=t)) -> Array:
        return components(*(risk(p, tau) for p in laws()))

    def measure(bounded: bool = False) -> Array:
        return components(*(sim.least_risk(p, tau, floor=bounded / (5 * p.shape[1])) for p in laws()))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "softmax of p itself": lambda: predict(lambda p, t: generalization.conditional_risk(p, p, tau=t)),
            "order 2 - tau": lambda: predict(
                lambda p, t: generalization.minimal_risk(p, tau=np.where(t < 2, 2 - 1 / np.maximum(2 - t, 0.5), t))
            ),
            "entropy at every tau": lambda: predict(lambda p, t: generalization.minimal_risk(p, tau=1.0) + 0 * t),
            "likeliest class alone": lambda: predict(lambda p, t: generalization.minimal_risk(p, tau=2.0) + 0 * t),
        },
        counterexamples={"bounded scores": lambda: measure(bounded=True)},
        scale=1.0,
    )
