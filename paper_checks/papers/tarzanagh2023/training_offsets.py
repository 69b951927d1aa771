"""What the flow leaves besides its direction: offsets of the margins, the matrix that they fix, the rate they allow."""

from functools import lru_cache
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import ConvergenceOrder, Equivalence, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Limit, Steps
from paper_checks.papers.tarzanagh2023._runs import LOG_TIMES, sizes, task_of
from paper_checks.papers.tarzanagh2023.instances import (
    Inputs,
    MaxMargin,
    decay_rates,
    draw,
    is_well_conditioned,
    lead_features,
    max_margins,
    stack,
    start_with_margins,
)
from paper_checks.papers.tarzanagh2023.paper import PAPER
from simulations import optimization as sim
from theory import optimization

SEPARATION = 0.4  # between the slowest rate of decay and the next


@lru_cache(maxsize=4)
def _launches(run: Run, shape: tuple[int, int, int], count: int, hidden: bool) -> tuple[Inputs, Array]:
    """Draw four kinds' worth of instances with starts that select the optimal tokens; half have hidden tokens."""
    rng, inputs, starts = run.rng(), [], []
    n, T, _ = shape
    for k in range(4 * count):
        inputs.append(draw(rng, shape, hidden=hidden and k % 2 == 1))
        starts.append(start_with_margins(rng, inputs[-1], rng.uniform(3.0, 6.0, n * (T - 1))))
    return stack(inputs), np.stack(starts)


@PAPER.claim(
    "margin-offset",
    statement=r"""Along the gradient flow of the logistic loss the margins of the support tokens are $\log t +
    \log(c_s / \lambda_s) + o(1)$, with the multipliers $\lambda_s$ of the support vector machine and $c_s =
    |\ell'(\gamma_o)| (\gamma_o - \gamma_s) / n$.""",
    source="derived here",
    agreement=Identity(rtol=1e-9),
    controls=(
        "log(lambda / c)",
        "no offset",
        "multipliers of the norm, not of half its square",
        "sum of the losses for their mean",
        "slope of the loss at the support token",
    ),
)
def margin_offset(run: Run) -> Trial:
    """Read the margins at t = e^160 and later; deviations of order t^-1/2 or less are below rounding by then.

    All tokens of the first and third instances support, some of the others do not.
    """
    shape, count = sizes(run)
    late = LOG_TIMES[2:]

    def supported() -> list[NDArray[np.bool_]]:
        inputs, _ = _launches(run, shape, count, True)
        return [found.support for found in max_margins(inputs)]

    def measure() -> Array:
        inputs, starts = _launches(run, shape, count, True)
        task = task_of(inputs)
        weights = sim.attention_flow(jnp.asarray(starts), task, times=np.exp(LOG_TIMES))
        margins = np.asarray(sim.token_margins(weights, task, inputs.optimal))[2:].reshape(late.size, len(starts), -1)
        return np.concatenate([margins[:, k, s] - late[:, None] for k, s in enumerate(supported())], axis=1)

    def predict(*, dual_power: float = 1.0, slope_at: str = "optimal") -> Array:
        inputs, _ = _launches(run, shape, count, True)
        offsets = []
        for x, z, gamma, o in zip(*inputs, strict=True):
            svm = optimization.solve_attention_svm(x, z, o)
            i, t = svm.pairs[svm.support].T
            duals = svm.duals[svm.support] * svm.value ** (dual_power - 1)
            found = optimization.margin_offsets(gamma, o, duals, svm.pairs[svm.support])
            if slope_at == "support":
                found = found + np.logaddexp(0, gamma[i, o[i]]) - np.logaddexp(0, gamma[i, t])
            offsets.append(found)
        return np.tile(np.concatenate(offsets), (late.size, 1))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "log(lambda / c)": lambda: -predict(),
            "no offset": lambda: np.zeros_like(predict()),
            "multipliers of the norm, not of half its square": lambda: predict(dual_power=0.0),
            "sum of the losses for their mean": lambda: predict() + np.log(shape[0]),
            "slope of the loss at the support token": lambda: predict(slope_at="support"),
        },
        scale=1.0,
    )


def _slowest_apart(features: Array, found: MaxMargin) -> bool:
    """Accept inputs whose slowest decay is slow enough to be seen late, and alone by then."""
    slack = found.margins[~found.support] - 1
    rates = np.sort(np.concatenate([decay_rates(features, found), slack]))
    slowest_is_right = slack.size == 0 or slack.min() == rates[0]
    return (
        is_well_conditioned(features, found)
        and bool(rates[0] <= 0.6 and rates[1] >= rates[0] + SEPARATION)
        and slowest_is_right
    )


@PAPER.claim(
    "margin-offset-rate",
    statement=r"""The margins approach $\log t + \log(c_s / \lambda_s)$ as $t^{-\alpha}$, $\alpha$ being the smallest
    eigenvalue of $\mathrm{diag}(\lambda) G$, $G_{ab} = \langle F_a, F_b \rangle$ on the support, or the smallest
    margin elsewhere less 1, whichever is smaller.""",
    source="derived here",
    agreement=Equivalence(margin=0.02, resolution=0.05),
    controls=("alpha = 1", "eigenvalues of G", "slack of the others ignored", "twice the exponent"),
)
def margin_offset_rate(run: Run) -> Trial:
    r"""Measure the power between t = e^26 and t = e^32, against the margins' own late values.

    Alternately an eigenvalue and a slack decide; in either case the next rate is larger by 0.4 at least, and has lost
    e^(-0.4 * 26) = 3e-5 against the first one by then. Starts favour the slowest, lest its share be small: they deviate
    along its eigenvector, or give the tokens outside the support low margins.
    """
    shape, count = (3, 3, 5), run.size("instances of a kind", quick=1, standard=4, full=64)
    log_times = np.array([26.0, 28.0, 30.0, 32.0, 80.0])

    def measure() -> Array:
        inputs, starts = _slow_launches(run, shape, count)
        task = task_of(inputs)
        weights = sim.attention_flow(jnp.asarray(starts), task, times=np.exp(log_times), rtol=1e-12)
        margins = np.asarray(sim.token_margins(weights, task, inputs.optimal)).reshape(log_times.size, len(starts), -1)
        late = margins - log_times[:, None, None]
        # margins outside the support grow faster and have no limit here
        held = np.stack([found.support for found in max_margins(inputs)])
        size = np.linalg.norm(np.where(held, late - late[-1], 0.0), axis=2)
        return -np.log(size[3] / size[0]) / (log_times[3] - log_times[0])

    def predict(*, scaled: bool = True, slack: bool = True) -> Array:
        exponents = []
        for x, z, _, o in zip(*_slow_launches(run, shape, count)[0], strict=True):
            svm = optimization.solve_attention_svm(x, z, o)
            features, _ = optimization.attention_svm_features(x, z, o)
            duals = svm.duals if scaled else svm.support.astype(float)
            margins = svm.margins if slack else np.where(svm.support, svm.margins, 10.0)
            exponents.append(optimization.offset_decay_exponent(features, duals, margins))
        return np.array(exponents)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "alpha = 1": lambda: np.ones(4 * count),
            "eigenvalues of G": lambda: predict(scaled=False),
            "slack of the others ignored": lambda: predict(slack=False),
            "twice the exponent": lambda: 2 * predict(),
        },
    )


@lru_cache(maxsize=4)
def _slow_launches(run: Run, shape: tuple[int, int, int], count: int) -> tuple[Inputs, Array]:
    rng, inputs, starts = run.rng(), [], []
    for k in range(4 * count):
        inputs.append(draw(rng, shape, hidden=k % 2 == 1, accept=_slowest_apart))
        (found,) = max_margins(stack(inputs[-1:]))
        if found.support.all():
            features = lead_features(inputs[-1])
            rates, vectors = np.linalg.eig(features @ features.T * found.multipliers)
            slowest = np.real(vectors[:, np.argmin(np.real(rates))])
            margins = 6 + 5 * slowest / np.abs(slowest).max()
        else:
            margins = np.where(found.support, 3.0, 0.5)
        starts.append(start_with_margins(rng, inputs[-1], margins))
    return stack(inputs), np.stack(starts)


@PAPER.claim(
    "finite-part",
    statement=r"""When every token supports, $W(t) - \log t\, W_{mm} \to P$, the matrix of least norm whose margins are
    the offsets, plus what the start holds orthogonally to all features.""",
    source="derived here",
    agreement=Identity(rtol=1e-9),
    controls=("start forgotten", "whole start kept", "offsets with the opposite sign", "multipliers ignored"),
)
def finite_part(run: Run) -> Trial:
    """Take 2 W(t) - W(t^2) at t = e^160 and e^320, which is P where W is log t W_mm + P at both times."""
    shape, count = sizes(run)

    def measure() -> Array:
        weights = _supported_flow(run, shape, count)
        return 2 * weights[2:4] - weights[3:5]

    def predict(**options: float) -> Array:
        return np.tile([problem.finite_part(**options) for problem in _problems(run, shape, count)], (2, 1, 1, 1))

    def whole_start() -> Array:
        return predict(kept=0.0) + _launches(run, shape, count, False)[1]

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "start forgotten": lambda: predict(kept=0.0),
            "whole start kept": whole_start,
            "offsets with the opposite sign": lambda: predict(offset=-1.0),
            "multipliers ignored": lambda: predict(dual_power=0.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "log-rate",
    statement=r"""When every token supports, the angle between $W(t)$ and its limit closes such that $(1 - \cos)
    \|W(t)\|^2 \to C$, with $C$ given by the offsets of the margins and the start; as $\|W(t)\| \sim \|W_{mm}\| \log t$,
    $1 - \cos$ falls as $1 / \log^2 t$ and no faster.""",
    source="derived here",
    agreement=ConvergenceOrder(order=2, resolution=1e-5, accuracy=1e-11),
    controls=(
        "2 C: sine squared for 1 - cos",
        "offsets all equal",
        "start forgotten",
        "multipliers ignored",
        "1 - cos of order 1 / log t",
        "1 - cos of order 1 / log^3 t",
    ),
)
def log_rate(run: Run) -> Trial:
    r"""Follow the flow up to t = e^640; its limit direction is that of W(e^640) - W(e^320).

    The product :math:`\sin^2 \|W\|^2` is constant up to powers of t, hence :math:`(1 - \cos) \|W\|^2 = C + C^2 / (2
    \|W\|^2)`, of second order in 1 / log t; its coefficient is judged too.
    """
    shape, count = sizes(run)

    def measure(power: float = 2.0) -> Steps:
        weights = _supported_flow(run, shape, count)
        lengths = np.linalg.norm(weights, axis=(2, 3))
        limit = weights[-1] - weights[-2]
        limit /= np.linalg.norm(limit, axis=(1, 2), keepdims=True)
        gap = weights / lengths[..., None, None] - limit
        return Steps(1 / LOG_TIMES, np.sum(gap**2, axis=(2, 3)) / 2 * lengths**power)

    def predict(factor: float = 1.0, **options: float) -> Limit:
        problems = _problems(run, shape, count)
        constants = np.array([problem.direction_constant(**options) for problem in problems])
        norms = np.array([problem.svm.value for problem in problems])
        return Limit(factor * constants, constants**2 / (2 * norms**2))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "2 C: sine squared for 1 - cos": lambda: predict(factor=2.0),
            "offsets all equal": lambda: predict(offset=0.0),
            "start forgotten": lambda: predict(kept=0.0),
            "multipliers ignored": lambda: predict(dual_power=0.0),
        },
        counterexamples={
            "1 - cos of order 1 / log t": lambda: measure(power=1.0),
            "1 - cos of order 1 / log^3 t": lambda: measure(power=3.0),
        },
    )


def _supported_flow(run: Run, shape: tuple[int, int, int], count: int) -> Array:
    inputs, starts = _launches(run, shape, count, False)
    return np.asarray(sim.attention_flow(jnp.asarray(starts), task_of(inputs), times=np.exp(LOG_TIMES)))


class _Problem(NamedTuple):
    """What the theory says of one instance whose tokens all support, and wrong variants of it."""

    svm: optimization.AttentionSVM
    features: Array
    scores: Array
    optimal: NDArray[np.int_]
    start: Array

    def finite_part(self, **options: float) -> Array:
        return optimization.finite_part(self.features, **self._arguments(**options))

    def direction_constant(self, **options: float) -> float:
        return optimization.direction_constant(self.features, **self._arguments(**options))

    def _arguments(self, *, offset: float = 1.0, kept: float = 1.0, dual_power: float = 1.0) -> dict[str, Array]:
        duals = self.svm.duals**dual_power
        offsets = optimization.margin_offsets(self.scores, self.optimal, duals, self.svm.pairs)
        return {"offsets": offset * offsets, "initial_weights": kept * self.start}


def _problems(run: Run, shape: tuple[int, int, int], count: int) -> list[_Problem]:
    inputs, starts = _launches(run, shape, count, False)
    return [
        _Problem(
            optimization.solve_attention_svm(x, z, o), optimization.attention_svm_features(x, z, o)[0], gamma, o, start
        )
        for x, z, gamma, o, start in zip(*inputs, starts, strict=True)
    ]
