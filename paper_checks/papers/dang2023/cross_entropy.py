"""Cross-entropy: the simplex of one layer, its branch under deep heads, and what lies below it.

The theorem on deep heads, taken without further conditions, says that simplices are their global minimisers. With two
layers and more they are not. Weight decay on L = M + 1 factors costs a product Z of them (L/2) Lambda sum_i
sigma_i^(2/L). Put classes into K/2 antipodal pairs with logits t and -t inside a pair and 0 elsewhere: on n samples a
class, Z has K/2 singular values 2 t sqrt(n), and the objective is

    log(1 + (K - 2) e^-t + e^-2t) + (L/2) Lambda (K/2) (4 t^2 n)^(1/L).

A simplex with the same logit t above the others has K - 1 singular values t sqrt(n), and costs log(1 + (K - 1) e^-t) +
(L/2) Lambda (K - 1) (t^2 n)^(1/L). The data term of the pairs is lower, if by little, and their decay is lower whenever
(K/2) 4^(1/L) < K - 1, so that then no simplex is a global minimiser: a penalty that is concave in the singular values
would rather have few large ones. One layer, where the penalty is the nuclear norm, never prefers the pairs.
"""

from collections.abc import Callable

import jax
import numpy as np

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.dang2023.paper import PAPER
from paper_checks.papers.dang2023.problems import Array
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

Case = tuple[int, int, tuple[float, ...], bool]  # classes, samples a class, decays (features first), bias
Solver = Callable[..., nc.CESolution]


def _minima(case: Case, key: jax.Array, starts: int) -> tuple[sim.FeatureModel, sim.Minima]:
    classes, samples, decays, bias = case
    model = sim.feature_model(
        (samples,) * classes,
        dims=(classes,) * (len(decays) - 1),
        weight_decays=decays[1:],
        feature_decay=decays[0],
        loss="cross_entropy",
        bias=bias,
    )
    return model, sim.minimise(model, key, starts=starts)


def _read(case: Case, key: jax.Array, starts: int) -> Array:
    """Read loss, singular values, and logits with the mean over classes taken off, at the lowest of many minima."""
    model, ends = _minima(case, key, starts)
    best = ends.best()
    outputs = np.asarray(sim.class_logits(best.factors, model))
    values = sim.product_singular_values(best.factors, model)
    return components(best.losses, values, outputs - outputs.mean(axis=0))


def _solve(case: Case, solver: Solver = nc.ufm_ce_etf) -> nc.CESolution:
    classes, samples, decays, _ = case
    return solver(classes, samples, weight_decays=decays[1:], feature_decay=decays[0])


def _simplex(case: Case, solution: nc.CESolution) -> Array:
    classes = case[0]
    values = np.where(np.arange(classes) < solution.rank, solution.singular_value, 0.0)
    return components(solution.loss, values, solution.margin * (np.eye(classes) - 1 / classes))


def _branch(case: Case, margin: float, *, factor: float | None = None) -> nc.CESolution:
    """Evaluate the simplex of any margin, with ``factor`` for L/2."""
    classes, samples, decays, _ = case
    layers = len(decays)
    price = np.exp(np.mean(np.log(decays))) * (layers / 2 if factor is None else factor)
    loss = np.log1p((classes - 1) * np.exp(-margin)) + price * (classes - 1) * (margin**2 * samples) ** (1 / layers)
    return nc.CESolution(margin, float(loss), margin * np.sqrt(samples), classes - 1)


@PAPER.claim(
    "ce-etf-m1",
    statement=r"""With cross-entropy and one layer, biased or not, the global minimum is a simplex with logits $a (I
    - J)$, $a = \log(1 / \sqrt{n \lambda_H \lambda_1} - K + 1)$ while $K \sqrt{n \lambda_H \lambda_1} < 1$, and zero
    beyond.""",
    source="cross-entropy with one linear layer",
    agreement=Identity(rtol=1e-9),
    controls=("K for K - 1", "n left out", "orthogonal frame", "cross-polytope"),
)
def ce_etf_m1(run: Run) -> Trial:
    """Minimise at decays on both sides of collapse, and read logits, loss and singular values.

    Constants in the logits are nobody's business where there is a bias, so they are compared after centring, and the
    singular values are those before the bias.
    """
    rng = run.rng()
    classes, samples = run.size("classes and samples of each", quick=(4, 5), standard=(6, 8), full=(10, 100))
    starts = run.size("starts a scale", quick=8, standard=16, full=64)
    biases = run.size("bias", quick=(False,), standard=(False, True), full=(False, True))
    edge = 1 / (classes * np.sqrt(samples))
    cases: list[Case] = []
    for bias in biases:
        for share in (rng.uniform(0.05, 0.3), rng.uniform(0.3, 0.9), 1.5):
            ratio = float(np.exp(rng.uniform(-1, 1)))
            cases.append((classes, samples, (share * edge * ratio, share * edge / ratio), bias))

    def predict(change: Callable[[Case, nc.CESolution], nc.CESolution] = lambda case, found: found) -> Array:
        return np.concatenate([_simplex(case, change(case, _solve(case))) for case in cases])

    def with_margin(margin: Callable[[float, int, int], float]) -> Array:
        def change(case: Case, found: nc.CESolution) -> nc.CESolution:
            decay = float(np.sqrt(np.prod(case[2])))
            return _branch(case, max(margin(decay, case[0], case[1]), 0.0))

        return predict(change)

    def orthogonal() -> Array:
        found = []
        for case in cases:
            best = _solve(case)
            values = np.full(classes, best.singular_value)
            found.append(components(best.loss, values, best.margin * (np.eye(classes) - 1 / classes)))
        return np.concatenate(found)

    return Trial(
        predict=predict,
        measure=lambda: np.concatenate(
            [_read(case, key, starts) for case, key in zip(cases, run.keys(len(cases)), strict=True)]
        ),
        controls={
            "K for K - 1": lambda: with_margin(lambda lam, k, n: np.log(max(1 / (lam * np.sqrt(n)) - k, 1.0))),
            "n left out": lambda: with_margin(lambda lam, k, n: np.log(max(1 / lam - k + 1, 1.0))),
            "orthogonal frame": orthogonal,
            "cross-polytope": lambda: predict(lambda case, found: _solve(case, nc.ufm_ce_cross_polytope)),
        },
        scale="largest",
    )


@PAPER.claim(
    "ce-etf-deep",
    statement=r"""With cross-entropy and $M$ layers the simplex branch has its least value $\log(1 + (K-1) e^{-a}) +
    \frac L2 \Lambda (K-1) (a^2 n)^{1/L}$ at the largest root of $1 / (e^a + K - 1) = \Lambda n^{1/L} a^{2/L - 1}$;
    for three classes under two layers that is the global minimum.""",
    source="cross-entropy with a deep linear head",
    agreement=Identity(rtol=1e-9),
    controls=("margin of one layer", "M/2 for L/2", "n left out"),
)
def ce_etf_deep(run: Run) -> Trial:
    """Minimise with equal and with unequal decays, and read logits, loss and singular values."""
    rng = run.rng()
    samples = run.size("samples of a class", quick=3, standard=6, full=50)
    starts = run.size("starts a scale", quick=16, standard=16, full=64)
    spread = np.exp(rng.uniform(-0.5, 0.5, 3))
    level = float(np.exp(rng.uniform(np.log(0.001), np.log(0.01))))
    cases: list[Case] = [
        (3, samples, (level,) * 3, False),
        (3, samples, tuple(map(float, level * spread / np.exp(np.mean(np.log(spread))))), False),
    ]

    def predict(change: Callable[[Case], nc.CESolution] = _solve) -> Array:
        return np.concatenate([_simplex(case, change(case)) for case in cases])

    def one_layer(case: Case) -> nc.CESolution:
        return _branch(case, _solve((*case[:2], case[2][:2], False)).margin)

    return Trial(
        predict=predict,
        measure=lambda: np.concatenate(
            [_read(case, key, starts) for case, key in zip(cases, run.keys(len(cases)), strict=True)]
        ),
        controls={
            "margin of one layer": lambda: predict(one_layer),
            "M/2 for L/2": lambda: predict(lambda case: _branch(case, _solve(case).margin, factor=1.0)),
            "n left out": lambda: predict(lambda case: _solve((case[0], 1, *case[2:]))),
        },
        scale="largest",
    )


def _counterexamples(run: Run) -> tuple[list[Case], int]:
    """Draw problems of two layers and six classes, whose pairs are the cheaper by far."""
    level = np.exp(run.rng().uniform(np.log(1e-4), np.log(1e-3)))
    starts = run.size("starts a scale", quick=32, standard=64, full=256)
    shapes = run.size(
        "classes, samples of each and layers",
        quick=[(6, 2, 2)],
        standard=[(6, 2, 2), (4, 2, 3)],
        full=[(6, 2, 2), (4, 2, 3), (8, 2, 2), (10, 1, 2)],
    )
    return [(k, n, (float(level),) * (depth + 1), False) for k, n, depth in shapes], starts


def _losses(run: Run) -> Array:
    cases, starts = _counterexamples(run)
    ends = [_minima(case, key, starts)[1] for case, key in zip(cases, run.keys(len(cases)), strict=True)]
    return np.array([end.losses.min() for end in ends])


@PAPER.claim(
    "ce-deep-simplex",
    statement=r"""The global minimum of cross-entropy with any number of linear layers, balanced classes and wide
    enough layers, is a simplex, of value $\min_a \psi(a)$.""",
    source="cross-entropy with a deep linear head, taken without further conditions; an erratum",
    agreement=Identity(rtol=1e-6),
    controls=("M/2 for L/2", "margin of one layer"),
    expected="refuted",
)
def ce_deep_simplex(run: Run) -> Trial:
    """Minimise directly; the counter-example is derived at the head of this module."""
    cases, _ = _counterexamples(run)

    def wrong(change: Callable[[Case], nc.CESolution]) -> Array:
        return np.array([change(case).loss for case in cases])

    return Trial(
        predict=lambda: np.array([_solve(case).loss for case in cases]),
        measure=lambda: _losses(run),
        controls={
            "M/2 for L/2": lambda: wrong(lambda case: _branch(case, _solve(case).margin, factor=1.0)),
            "margin of one layer": lambda: wrong(
                lambda case: _branch(case, _solve((*case[:2], case[2][:2], False)).margin)
            ),
        },
    )


@PAPER.claim(
    "ce-deep-counterexample",
    statement=r"""With cross-entropy and a deep head, classes in antipodal pairs can be better than a simplex, at a
    rank of $K/2$ instead of $K - 1$: $f^* \le \min_t \log(1 + (K-2) e^{-t} + e^{-2t}) + \frac L2 \Lambda \frac K2
    (4 t^2 n)^{1/L}$, attained with six classes under two layers.""",
    source="counter-example, own derivation; compare arXiv:2410.23169",
    agreement=Bound(side="upper", tight=1e-9, rounding=1e-12),
    controls=("simplex", "data term without the antipodes", "rank K - 1 at the same margin"),
)
def ce_deep_counterexample(run: Run) -> Trial:
    """Minimise directly, and compare the lowest end point with the best pairs."""
    cases, _ = _counterexamples(run)

    def pairs(price_rank: Callable[[int], float], antipode: float) -> Array:
        found = []
        for k, n, decays, bias in cases:
            best = _solve((k, n, decays, bias), nc.ufm_ce_cross_polytope)
            t, layers = best.margin, len(decays)
            fit = np.log1p((k - 2) * np.exp(-t) + antipode * np.exp(-2 * t))
            price = layers / 2 * np.exp(np.mean(np.log(decays))) * (4 * t**2 * n) ** (1 / layers)
            found.append(fit + price * price_rank(k))
        return np.array(found)

    return Trial(
        predict=lambda: np.array([_solve(case, nc.ufm_ce_cross_polytope).loss for case in cases]),
        measure=lambda: _losses(run),
        controls={
            "simplex": lambda: np.array([_solve(case).loss for case in cases]),
            "data term without the antipodes": lambda: pairs(lambda k: k / 2, antipode=0.0),
            "rank K - 1 at the same margin": lambda: pairs(lambda k: k - 1.0, antipode=1.0),
        },
    )


@PAPER.claim(
    "ce-deep-rank",
    statement=r"""With six classes under two layers the global minimiser of cross-entropy has three equal singular
    values $2 t \sqrt n$ and no more, and logits $t$, $-t$ and 0 only.""",
    source="counter-example, own derivation; compare arXiv:2410.23169",
    agreement=Identity(rtol=1e-8),
    controls=("rank K - 1", "simplex logits", "margin of a pair for t"),
)
def ce_deep_rank(run: Run) -> Trial:
    """Read singular values and sorted logits at the lowest of many minima: which classes pair up is arbitrary."""
    all_cases, starts = _counterexamples(run)
    case = all_cases[0]
    k = case[0]

    def measure() -> Array:
        model, ends = _minima(case, run.key(), starts)
        best = ends.best()
        outputs = np.sort(np.asarray(sim.class_logits(best.factors, model)), axis=0)
        return components(sim.product_singular_values(best.factors, model), outputs)

    def predict(rank: int | None = None, share: float = 1.0) -> Array:
        best = _solve(case, nc.ufm_ce_cross_polytope)
        values = np.where(np.arange(k) < (best.rank if rank is None else rank), best.singular_value, 0.0)
        column = np.concatenate([[-best.margin], np.zeros(k - 2), [best.margin]])
        return components(values * share, np.repeat(column[:, None], k, axis=1) * share)

    def simplex() -> Array:
        best = _solve(case)
        column = best.margin * (np.append(np.zeros(k - 1), 1.0) - 1 / k)
        values = np.append(np.full(k - 1, best.singular_value), 0.0)
        return components(values, np.repeat(column[:, None], k, axis=1))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "rank K - 1": lambda: predict(rank=k - 1),
            "simplex logits": simplex,
            "margin of a pair for t": lambda: predict(share=0.5),
        },
        scale="largest",
    )
