"""Mao, Mohri and Zhong 2023: what a small comp-sum loss guarantees about errors, and how little it can be.

With free scores at every input everything happens in two simplices: class probabilities p, and softmax probabilities s.
Least risks are found by moving mass between classes, never by their formula. Beyond tau = 1 and two classes only the
inequality is claimed.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Bound, ConvergenceOrder, Identity
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Limit, Steps, components
from simulations import generalization as sim
from theory import generalization

PAPER = Paper(
    key="mao2023",
    title="Cross-entropy loss functions: theoretical analysis and applications",
    authors="Anqi Mao, Mehryar Mohri, Yutao Zhong",
    year=2023,
    arxiv="2304.07288",
    wing="generalization",
)

Array = NDArray[np.float64]
Transform = Callable[[Array, Array, Array], Array]  # of a regret, tau and the number of classes

TAUS = (0.0, 0.3, 0.5, 0.9, 1 - 1e-6, 1.0, 1 + 1e-6, 1.2, 1.5, 1.8, 1.99, 2.0, 2.5, 3.0)
TIGHT_TAUS = (0.0, 0.3, 0.5, 0.9, 1 - 1e-6, 1.0)


class Instances(NamedTuple):
    """Pairs of inputs: p and s (B, 2, c), the probabilities of the inputs (B, 2), and tau (B,)."""

    p: Array
    s: Array
    weights: Array
    tau: Array

    def mean(self, of_input: Callable[[Array, Array, Array], Array]) -> Array:
        """Average a function of p, s and tau over the inputs that happen, shape (B,)."""
        happens = self.weights > 0
        found = np.zeros(happens.shape)
        found[happens] = of_input(self.p[happens], self.s[happens], np.repeat(self.tau, happens.sum(axis=1)))
        return (self.weights * found).sum(axis=1)


def _class_probabilities(rng: np.random.Generator, count: int, c: int) -> Array:
    """Draw laws of classes: spread and concentrated, a third with zeros, a third with ties."""
    p = rng.dirichlet(np.ones(c), count) ** rng.choice([0.3, 1.0, 4.0], (count, 1))
    third = np.arange(count) % 3
    p = np.where((third[:, None] == 1) & (p < np.median(p, axis=1, keepdims=True)), 0.0, p)
    p = np.where((third[:, None] == 2) & (p > np.quantile(p, 0.6, axis=1, keepdims=True)), p[:, :1], p)
    return p / p.sum(axis=1, keepdims=True)


def _softmaxes(rng: np.random.Generator, p: Array) -> Array:
    """Draw softmax probabilities: anything, next to p, and with the largest two made equal."""
    count, c = p.shape
    third = np.arange(count) % 3
    s = np.where(third[:, None] == 0, rng.dirichlet(np.ones(c), count), p + 0.3 * rng.dirichlet(np.ones(c), count))
    ranked = np.sort(s, axis=1)
    s = np.where((third[:, None] == 2) & (s == ranked[:, -2:-1]), ranked[:, -1:], s)
    return s / s.sum(axis=1, keepdims=True)


def _draw(rng: np.random.Generator, c: int, count: int, taus: tuple[float, ...] = TAUS) -> Instances:
    """Draw ``count`` instances for each tau, with one input or two, and add those with tied scores."""
    shape = (len(taus) * count, 2, c)
    p = _class_probabilities(rng, 2 * len(taus) * count, c).reshape(shape)
    s = _softmaxes(rng, p.reshape(-1, c)).reshape(shape)
    first = np.where(rng.random(shape[0]) < 0.5, 1.0, rng.random(shape[0]))
    tied = [
        sim.tied_instance(beta / (c - 1 if ties == "all" else 1), num_classes=c, ties=ties)
        for beta in (0.1, 1.0)
        for ties in sim.TIES
    ]
    p = np.concatenate([p, *(np.tile(law, (len(taus), 2, 1)) for law, _ in tied)])
    s = np.concatenate([s, *(np.tile(softmax, (len(taus), 2, 1)) for _, softmax in tied)])
    first = np.concatenate([first, np.ones(len(taus) * len(tied))])
    return Instances(
        p, s, np.column_stack([first, 1 - first]), np.concatenate([np.repeat(taus, count), np.tile(taus, len(tied))])
    )


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
        return 2 * rng.standard_normal((tau.size, c)), _class_probabilities(rng, tau.size, c)

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
        return [_class_probabilities(run.rng(f"laws {c}"), tau.size, c) for c in classes]

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
        return [_draw(run.rng(f"instances {c}"), c, count) for c in classes]

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
        return [(c, _draw(run.rng(f"instances {c}"), c, count)) for c in (2, 3, 5, 10)]

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
