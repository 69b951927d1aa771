r"""What training selects when it has a choice: locally optimal tokens, matrices of low rank, mixtures of tokens."""

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import ConvergenceOrder, Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Steps
from paper_checks.papers.tarzanagh2023.instances import (
    Inputs,
    decay_rates,
    is_well_conditioned,
    lead_features,
    max_margin,
    start_with_margins,
)
from paper_checks.papers.tarzanagh2023.machines import nuclear_inputs
from paper_checks.papers.tarzanagh2023.paper import PAPER
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]
Tokens = NDArray[np.int_]

STEP = 0.05
STEPS = (2500, 5000)
CLOSER = 2.0  # decades by which a run must be closer to its own direction than to any other


class _Landscape(NamedTuple):
    """One instance with several attractors, and starts of which some lie near each of them."""

    inputs: Inputs
    starts: Array


@lru_cache(maxsize=4)
def _landscapes(run: Run, count: int, n_starts: int) -> list[_Landscape]:
    """Draw instances with at least two locally optimal selections, all of them well conditioned.

    Half of the starts are Gaussian; the others lie in the cones of the selections, in turn. Scores of an input are
    at least 0.3 apart. Least norms are between 0.4 and 3, with which no gradient underflows along a path of length 250.
    """
    rng = run.rng()
    n, T, d = 2, 3, 4
    drawn: list[_Landscape] = []
    while len(drawn) < count:
        scores = rng.standard_normal((n, T))
        inputs = Inputs(rng.standard_normal((n, T, d)), rng.standard_normal((n, d)), scores, scores.argmax(axis=1))
        attractors = _attractors(inputs) if np.diff(np.sort(scores, axis=1), axis=1).min() >= 0.3 else []
        if len(attractors) < 2:
            continue
        led = [start_with_margins(rng, *attractors[k % len(attractors)]) for k in range(n_starts // 2)]
        free = 0.1 * rng.standard_normal((n_starts - len(led), d, d))
        drawn.append(_Landscape(inputs, np.concatenate([np.stack(led), free])))
    return drawn


def _attractors(inputs: Inputs) -> list[tuple[Inputs, Array]]:
    """List the locally optimal selections, with fifteen times the margins of their machines.

    The list is empty where one of them is badly conditioned.
    """
    found = []
    for selected in product(range(inputs.scores.shape[1]), repeat=len(inputs.scores)):
        candidate = inputs._replace(optimal=np.array(selected))
        features = lead_features(candidate)
        machine = max_margin(features)
        if machine is None or (_score_leads(candidate)[machine.margins <= 1 + 1e-7] <= 0).any():
            continue
        if not is_well_conditioned(features, machine) or not 0.4 <= np.linalg.norm(machine.w) <= 3:
            return []
        found.append((candidate, 15 * machine.margins))
    return found


def _score_leads(inputs: Inputs) -> Array:
    _, _, scores, o = inputs
    kept = np.arange(scores.shape[1]) != o[:, None]
    return (scores[np.arange(len(o)), o][:, None] - scores)[kept]


@PAPER.claim(
    "local",
    statement=r"""With general scores, $W$ converges in direction to the support vector machine of the tokens that it
    ends up selecting, which are locally optimal: each scores more than every support token of its input. They need not
    be the best tokens.""",
    source="local convergence of gradient descent, locally optimal tokens",
    agreement=Ordering("above"),
    controls=("always the best tokens", "more than every token of the input", "a hundred decades closer"),
)
def local(run: Run) -> Trial:
    r"""Descend from many starts; judge each run by its *increment* between k = 2500 and 5000.

    The increment of W loses the constant part of W and so approaches the direction exponentially in k. Two statistics
    a run: by how many decades 1 - cos is smaller for its own direction than for that of any other selection with
    margins, and the smallest score lead over a support token. Statistics of a landscape are taken over its runs.
    """
    count = run.size("landscapes", quick=2, standard=6, full=200)
    n_starts = run.size("starts", quick=48, standard=64, full=256)

    def measure(*, global_only: bool = False, every_token: bool = False) -> Array:
        return np.array([_judge_runs(one, global_only, every_token) for one in _landscapes(run, count, n_starts)])

    return Trial(
        predict=lambda: np.tile([CLOSER, 0.0], (count, 1)),
        measure=measure,
        controls={"a hundred decades closer": lambda: np.tile([100.0, 0.0], (count, 1))},
        counterexamples={
            "always the best tokens": lambda: measure(global_only=True),
            "more than every token of the input": lambda: measure(every_token=True),
        },
        scale=1.0,
    )


def _judge_runs(landscape: _Landscape, global_only: bool, every_token: bool) -> tuple[float, float]:
    """Return the worst of both statistics over the runs of a landscape."""
    inputs = landscape.inputs
    x, z, scores, best = inputs
    increments, selected = _runs(landscape)
    machines: dict[tuple[int, ...], optimization.AttentionSVM] = {}
    for candidate in product(range(scores.shape[1]), repeat=len(scores)):
        try:
            machines[candidate] = optimization.solve_attention_svm(x, z, np.array(candidate))
        except optimization.InfeasibleError:
            continue
    closer, lead = [], []
    for increment, tokens in zip(increments, selected, strict=True):
        own = tuple(int(t) for t in (best if global_only else tokens))
        gaps = {key: max(_one_minus_cosine(increment, svm.W), 1e-16) for key, svm in machines.items()}
        closer.append(np.log10(min(gap for key, gap in gaps.items() if key != own) / gaps[own]))
        leads = _score_leads(inputs._replace(optimal=tokens))
        lead.append(leads[machines[own].support | every_token].min())
    return min(closer), min(lead)


def _runs(landscape: _Landscape) -> tuple[Array, Tokens]:
    """Descend from every start; return the late increments of W, and the tokens selected in the end."""
    (x, z, scores, _), starts = landscape
    task = sim.repeated_task(sim.SelectionTask(x, z, scores), len(starts))
    weights = sim.attention_descent(jnp.asarray(starts), task, learning_rate=STEP, steps=STEPS)
    return np.asarray(weights)[1] - np.asarray(weights)[0], np.asarray(sim.selected_tokens(weights, task))[1]


@PAPER.claim(
    "local-selections",
    statement=r"""The selections in which runs end are the locally optimal ones, all of them and no others.""",
    source="local convergence of gradient descent, locally optimal tokens",
    agreement=Identity(rtol=1e-12),
    controls=("all that have margins", "best tokens only", "scores of support tokens reversed"),
)
def local_selections(run: Run) -> Trial:
    """Mark the selections that runs end in, of all T^n; some starts are near each locally optimal one."""
    count = run.size("landscapes", quick=2, standard=6, full=200)
    n_starts = run.size("starts", quick=48, standard=64, full=256)

    def mark(found: list[list[Tokens]]) -> Array:
        marks = np.zeros((count, 3, 3))
        for k, selections in enumerate(found):
            for selected in selections:
                marks[(k, *selected)] = 1.0
        return marks

    def predict(*, sign: float = 1.0) -> Array:
        found = []
        for (x, z, scores, _), _ in _landscapes(run, count, n_starts):
            found.append([tokens for tokens, _ in optimization.locally_optimal_selections(x, z, sign * scores)])
        return mark(found)

    def feasible() -> Array:
        found = []
        for inputs, _ in _landscapes(run, count, n_starts):
            candidates = [np.array(tokens) for tokens in product(range(3), repeat=2)]
            found.append([o for o in candidates if max_margin(lead_features(inputs._replace(optimal=o))) is not None])
        return mark(found)

    return Trial(
        predict=predict,
        measure=lambda: mark([list(_runs(one)[1]) for one in _landscapes(run, count, n_starts)]),
        controls={
            "all that have margins": feasible,
            "best tokens only": lambda: mark([[one.inputs.optimal] for one in _landscapes(run, count, n_starts)]),
            "scores of support tokens reversed": lambda: predict(sign=-1.0),
        },
        scale=1.0,
    )


def _one_minus_cosine(a: Array, b: Array) -> float:
    return float(np.sum((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2) / 2)


@PAPER.claim(
    "kq-gd-bias",
    statement=r"""Where $W_{nuc}$ has rank one and small factors select the optimal tokens from the beginning, gradient
    descent on $K$ and $Q$ from small weights ends much nearer to $W_{nuc}$ than to $W_{mm}$, with more of the largest
    margin per nuclear norm than per Frobenius norm, and of lower effective rank than $W_{mm}$.""",
    source="implicit bias of gradient descent on (K, Q)",
    agreement=Ordering("above"),
    controls=("training W itself", "training W itself from small weights", "as near to one as to the other, tenfold"),
)
def kq_gd_bias(run: Run) -> Trial:
    r"""Descend on the factors along a path of length 30, after which ||K Q^T|| is some hundreds.

    Three statistics an instance: the decades by which 1 - cos is smaller for the nuclear than for the Frobenius
    direction; the margin per nuclear norm over its largest possible value, less the same for the Frobenius norm; and
    the ratio of Frobenius to nuclear norm, less that of W_mm. That the limit *is* W_nuc is not claimed: singular values
    that should vanish fade slowly. Nor is the order of the cosines general: where W_nuc has rank two, descent from
    small factors was found to select other tokens, or the optimal ones along a path that stays far from both.
    """
    shape = run.size("inputs, tokens, dimension", quick=(3, 3, 5), standard=(3, 3, 5), full=(3, 3, 8))
    count = run.size("instances", quick=3, standard=8, full=64)
    small = 0.02

    def measure(factored: bool = True, size: float = small) -> Array:
        inputs, rng = nuclear_inputs(run, shape, count, rank_one=True), run.rng("starts")
        task = sim.SelectionTask(inputs.tokens, inputs.queries, inputs.scores)
        key, query = size * rng.standard_normal((2, count, shape[2], shape[2]))
        start = sim.Factors(jnp.asarray(key), jnp.asarray(query)) if factored else jnp.asarray(key)
        end = sim.attention_descent(start, task, learning_rate=0.01, steps=[3000])
        weights = np.asarray(sim.attention_matrix(end))[0]
        margins = np.asarray(sim.token_margins(weights, task, inputs.optimal)).min(axis=(1, 2))
        return np.array([_bias(*one) for one in zip(weights, margins, *inputs, strict=True)])

    return Trial(
        predict=lambda: np.tile([1.0, 0.0, 0.0], (count, 1)),
        measure=measure,
        controls={"as near to one as to the other, tenfold": lambda: np.tile([10.0, 0.0, 0.0], (count, 1))},
        counterexamples={
            "training W itself": lambda: measure(factored=False, size=1.0),
            "training W itself from small weights": lambda: measure(factored=False),
        },
        scale=1.0,
    )


def _bias(weights: Array, margin: float, x: Array, z: Array, _: Array, o: Tokens) -> tuple[float, float, float]:
    frobenius, nuclear = (optimization.solve_attention_svm(x, z, o, norm=norm) for norm in ("fro", "nuc"))
    f, n = np.linalg.norm(weights), np.linalg.svd(weights, compute_uv=False).sum()
    spread = np.linalg.svd(frobenius.W, compute_uv=False).sum()
    nearer = np.log10(_one_minus_cosine(weights, frobenius.W) / _one_minus_cosine(weights, nuclear.W))
    return (
        float(nearer),
        float(margin * (nuclear.value / n - frobenius.value / f)),
        float(f / n - frobenius.value / spread),
    )


class _Mixtures(NamedTuple):
    """Inputs of which the first two tokens must be mixed in given shares."""

    tokens: Array
    queries: Array
    shares: Array


@lru_cache(maxsize=4)
def _mixtures(run: Run, count: int) -> _Mixtures:
    """Draw inputs until both irrelevant tokens support the margin and offsets settle fast enough not to be seen.

    Deviations of the margins decay with the rates of the features that are left once those of the ties are projected
    out; rates of 0.8 or more hide behind the t^(-1/2) that the claims are about. Norms are between 0.3 and 3.
    """
    rng = run.rng("mixtures")
    n, T, d = 2, 3, 4
    drawn: list[tuple[Array, Array, Array]] = []
    while len(drawn) < count:
        x, z, shares = rng.standard_normal((n, T, d)), rng.standard_normal((n, d)), rng.uniform(0.3, 0.7, n)
        features = lead_features(Inputs(x, z, np.zeros((n, T)), np.zeros(n, dtype=int)))
        ties, others = features[0::2], features[1::2]
        basis = np.linalg.qr(ties.T)[0]
        projected = others - (others @ basis) @ basis.T
        found = max_margin(projected)
        if found is None or not found.support.all() or decay_rates(projected, found)[0] < 0.8:
            continue
        if found.multipliers.min() >= 0.1 * found.multipliers.max() and 0.3 <= np.linalg.norm(found.w) <= 3:
            drawn.append((x, z, shares))
    return _Mixtures(*(np.stack(parts) for parts in zip(*drawn, strict=True)))


MIXTURE_TIMES = 4.0 ** np.arange(9, 15)


def _mixture_flow(run: Run, count: int) -> tuple[Array, sim.RegressionTask]:
    """Integrate the flow of the squared loss up to t = 4^14.

    Ties relax at rates of order t, by which rounding of the weights looks like an error of 1e-15 t a step, up to 1e-6:
    steps are controlled to 1e-5. What they add relaxes as fast, so that results are good to about 1e-7.
    """
    x, z, p = _mixtures(run, count)
    targets = p[..., None] * x[:, :, 0] + (1 - p[..., None]) * x[:, :, 1]
    task = sim.RegressionTask(x, z, x, targets)
    starts = jnp.asarray(0.3 * run.rng("starts").standard_normal((count, x.shape[3], x.shape[3])))
    return np.asarray(sim.attention_flow(starts, task, times=MIXTURE_TIMES, rtol=1e-5)), task


@PAPER.claim(
    "generalized-svm",
    statement=r"""When the best output mixes tokens, $W(t) = C(t) W_{gsvm} + O(1)$ with the matrix of least norm at
    which the mixed tokens tie and beat the others by margin 1; for the squared loss $C(t) = \tfrac12 \log t$, and
    $\mathrm{d} W / \mathrm{d} \log t \to \tfrac12 W_{gsvm}$ as $t^{-1/2}$.""",
    source="problem (Gen-SVM); C(t) and the order are derived here",
    agreement=ConvergenceOrder(order=0.5, resolution=1e-2, accuracy=1e-7),
    controls=("first token alone selected", "second token alone selected", "C(t) = log t", "no ties", "ties alone"),
)
def generalized_svm(run: Run) -> Trial:
    r"""Train to outputs that mix the first two of three tokens; take increments of W from t to 4 t.

    With margins m, residuals are of size e^-m once the tied logits follow, the loss is of size e^-2m, and the flow
    gives dm/dt ~ e^-2m, whence m = (1/2) log t. Corrections are of relative order e^-m.
    """
    count = run.size("instances", quick=3, standard=8, full=64)

    def measure() -> Steps:
        weights, _ = _mixture_flow(run, count)
        return Steps(1 / MIXTURE_TIMES[:-1], np.diff(weights, axis=0) / np.log(4.0))

    def predict(factor: float = 0.5) -> Array:
        x, z, _ = _mixtures(run, count)
        relevant = [[0, 1]] * z.shape[1]
        machines = [optimization.solve_generalized_attention_svm(*one, relevant) for one in zip(x, z, strict=True)]
        return factor * np.stack([svm.W for svm in machines])

    def alone(token: int) -> Array:
        x, z, _ = _mixtures(run, count)
        chosen = np.full(z.shape[1], token)
        return np.stack([optimization.solve_attention_svm(*one, chosen).W for one in zip(x, z, strict=True)]) / 2

    def without_ties() -> Array:
        x, z, _ = _mixtures(run, count)
        kept = np.zeros(z.shape[1], dtype=int)
        return (
            np.stack([optimization.solve_attention_svm(a[:, [0, 2]], b, kept).W for a, b in zip(x, z, strict=True)]) / 2
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "first token alone selected": lambda: alone(0),
            "second token alone selected": lambda: alone(1),
            "C(t) = log t": lambda: predict(factor=1.0),
            "no ties": without_ties,
            "ties alone": lambda: predict(factor=0.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "generalized-svm-ratio",
    statement=r"""The logits of mixed tokens differ by the logarithm of the ratio of their shares in the best output,
    $(x_t - x_s)^T W(t) z \to \log(p_t / p_s)$, with an error of order $t^{-1/2}$ for the squared loss.""",
    source="finite part of (Gen-SVM); the order is derived here",
    agreement=ConvergenceOrder(order=0.5, resolution=1e-2, accuracy=1e-7),
    controls=("equal shares", "log(p_s / p_t)", "ratio without logarithm"),
)
def generalized_ratio(run: Run) -> Trial:
    """Read the logits of the two mixed tokens along the flow of `generalized_svm`."""
    count = run.size("instances", quick=3, standard=8, full=64)

    def measure() -> Steps:
        weights, task = _mixture_flow(run, count)
        logits = np.asarray(sim.attention_logits(jnp.asarray(weights), task))
        return Steps(1 / MIXTURE_TIMES, logits[..., 0] - logits[..., 1])

    def ratio() -> Array:
        p = _mixtures(run, count).shares
        return p / (1 - p)

    return Trial(
        predict=lambda: np.log(ratio()),
        measure=measure,
        controls={
            "equal shares": lambda: np.zeros_like(ratio()),
            "log(p_s / p_t)": lambda: -np.log(ratio()),
            "ratio without logarithm": ratio,
        },
        scale=1.0,
    )
