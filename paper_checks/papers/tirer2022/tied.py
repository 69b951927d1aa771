"""Features tied to given ones: what any stationary point does to deviations, and the step that a strong tie takes."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from paper_checks.agreement import Bound, ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Steps
from paper_checks.papers.tirer2022.paper import PAPER
from paper_checks.problems import frame
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

STATIONARY = 1e-9  # gradients of 1e-15 over curvatures of beta / (K n) >= 1e-3 and more, with room for conditioning
DECAYS = {"weight_decay": 0.1, "feature_decay": 0.05}


class Stationary(NamedTuple):
    """Stationary points at each strength: features tied to and found (beta, R, d, K n), heads (beta, R, K, d)."""

    tied_to: Array
    features: Array
    heads: Array


def _problem(run: Run) -> tuple[int, Array]:
    """Draw features (R, d, K n) to tie others to, and return K with them.

    Class means are orthogonal, with lengths from 0.8 to 1.6, and deviations normal. Were the means normal too, they
    would nearly coincide in some draws, where NC1 is large and changes on a time scale of its own, shorter than the
    steps taken here.
    """
    k, n, d = run.size("classes, samples, dimension", quick=(3, 4, 5), standard=(4, 8, 10), full=(10, 50, 64))
    rng = run.rng()
    count = run.size("instances", quick=6, standard=16, full=32)
    means = np.stack([frame(rng, d, k) * rng.uniform(0.8, 1.6, k) for _ in range(count)])
    return k, np.repeat(means, n, axis=2) + _deviations(rng.standard_normal((count, d, k * n)), k)


@lru_cache(maxsize=4)
def _stationary(run: Run, betas: tuple[float, ...], weight_decay: float) -> Stationary:
    k, ties = _problem(run)
    start = run.rng("head").standard_normal((k, ties.shape[1]))
    found = []
    for beta in betas:
        problem = sim.tied_problem(k, weight_decay=weight_decay, feature_decay=DECAYS["feature_decay"], beta=beta)
        found.append(sim.minimise_tied(ties, start, ties, problem))
    return Stationary(
        np.broadcast_to(ties, (len(betas), *ties.shape)),
        np.stack([point.features for point in found]),
        np.stack([point.weights for point in found]),
    )


def _deviations(features: Array, k: int) -> Array:
    """Return features (..., d, K n) minus their class means."""
    grouped = features.reshape(*features.shape[:-1], k, -1)
    return (grouped - grouped.mean(axis=-1, keepdims=True)).reshape(features.shape)


@PAPER.claim(
    "within-identity",
    statement=r"""At any stationary point, for any $\beta > 0$ and any $H_0$, deviations from the class means are
    $D = \beta ((\lambda_H + \beta) I + W^T W)^{-1} D_0$.""",
    source="derived here, from stationarity in H",
    agreement=Identity(rtol=STATIONARY),
    controls=("decay of features missing", "beta missing in front", "head taken as zero", "W^T W doubled"),
)
def within_identity(run: Run) -> Trial:
    """Minimise from a random head, and compare deviations found with those that the head found implies."""
    betas = (0.05, 0.5, 2.0, 20.0)

    def measure() -> Array:
        k, _ = _problem(run)
        return _deviations(_stationary(run, betas, DECAYS["weight_decay"]).features, k)

    def predict(decay: float = DECAYS["feature_decay"], front: bool = True, head: float = 1.0) -> Array:
        k, _ = _problem(run)
        points = _stationary(run, betas, DECAYS["weight_decay"])
        found = np.empty_like(points.features)
        for index in np.ndindex(*found.shape[:2]):
            beta = betas[index[0]]
            found[index] = nc.within_class_response(
                _deviations(points.tied_to[index], k), head * points.heads[index], feature_decay=decay, beta=beta
            ) / (1.0 if front else beta)
        return found

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "decay of features missing": lambda: predict(decay=0.0),
            "beta missing in front": lambda: predict(front=False),
            "head taken as zero": lambda: predict(head=0.0),
            "W^T W doubled": lambda: predict(head=np.sqrt(2)),
        },
        scale="largest",
    )


@PAPER.claim(
    "within-bound",
    statement=r"""Hence $\mathrm{Tr}\,\Sigma_W \le (\beta / (\beta + \lambda_H))^2\, \mathrm{Tr}\,\Sigma_W(H_0)$ for
    every $\beta$, an equality in the limit of no head.""",
    source="derived here, a consequence of the identity for deviations",
    agreement=Bound(side="upper", tight=1e-4),
    controls=("decay of features doubled", "power 4 for 2", "power 1 for 2, nowhere attained"),
)
def within_bound(run: Run) -> Trial:
    """Minimise with heads of moderate decay, and with so much of it that nothing is left of them."""
    betas, weight_decays = (0.05, 0.5, 2.0, 20.0), (0.1, 1e4)

    def measure() -> Array:
        k, ties = _problem(run)
        start = np.sum(_deviations(ties, k) ** 2, axis=(-2, -1))
        ratios = [
            np.sum(_deviations(_stationary(run, betas, decay).features, k) ** 2, axis=(-2, -1)) / start
            for decay in weight_decays
        ]
        return np.stack(ratios)

    def predict(decay: float = DECAYS["feature_decay"], power: float = 2.0) -> Array:
        instances = _problem(run)[1].shape[0]
        # a tie with one feature, one direction and no head: the bound's own extremal case, by the solver
        factors = [
            float(nc.within_class_response([[1.0]], [[0.0]], feature_decay=decay, beta=beta)[0, 0]) for beta in betas
        ]
        bound = np.array(factors) ** power
        return np.broadcast_to(bound[:, None], (len(weight_decays), len(betas), instances))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "decay of features doubled": lambda: predict(decay=2 * DECAYS["feature_decay"]),
            "power 4 for 2": lambda: predict(power=4.0),
            "power 1 for 2, nowhere attained": lambda: predict(power=1.0),
        },
    )


@PAPER.claim(
    "implicit-step",
    statement=r"""Minimising with a strong tie to $H_0$ is an implicit step of length $1/\beta$ along the central path,
    so that $\beta\,(\mathrm{NC}_1(H_{1/\beta}) - \mathrm{NC}_1(H_0))$ tends to the (negative) rate of
    $\mathrm{NC}_1 = \mathrm{Tr}\,\Sigma_W / \mathrm{Tr}\,\Sigma_B$ along the path, with an error of $O(1/\beta)$.""",
    source="corollary 3.2",
    agreement=ConvergenceOrder(order=1, resolution=1e-3, accuracy=1e-9),
    controls=("rate of the logarithm", "half the step", "between-class variability taken as constant"),
)
def implicit_step(run: Run) -> Trial:
    """Minimise over head and features at falling step sizes, starting from the features that they are tied to.

    The change of the ratio is 1/beta times its rate, so that rounding of the ratio counts beta times: 1e-15 x 1280,
    and rates are 1e-2 of the ratio and more: 1e-9 with room to spare.
    """
    k, ties = _problem(run)
    betas = 20.0 * 2.0 ** np.arange(run.size("step sizes", quick=6, standard=7, full=7))

    def measure() -> Steps:
        points = _stationary(run, tuple(betas), DECAYS["weight_decay"])
        change = _nc1(points.features, k) - _nc1(ties, k)
        return Steps(1 / betas, betas[:, None] * change)

    def predict(moving: bool = True, logarithm: bool = False) -> Array:
        found = []
        for h in ties:
            rates = nc.nc1_rates(h, num_classes=k, **DECAYS)
            within, between = _traces(h, k)
            rate = rates.d_trace_w / between - moving * within * rates.d_trace_b / between**2
            found.append(rate / (within / between if logarithm else 1.0))
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "rate of the logarithm": lambda: predict(logarithm=True),
            "half the step": lambda: predict() / 2,
            "between-class variability taken as constant": lambda: predict(moving=False),
        },
        scale="largest",
    )


def _traces(features: Array, k: int) -> tuple[Array, Array]:
    """Tr Sigma_W and Tr Sigma_B of features (..., d, K n)."""
    deviations = _deviations(features, k)
    means = (features - deviations)[..., :: features.shape[-1] // k]
    between = np.sum((means - means.mean(axis=-1, keepdims=True)) ** 2, axis=(-2, -1)) / k
    return np.sum(deviations**2, axis=(-2, -1)) / features.shape[-1], between


def _nc1(features: Array, k: int) -> Array:
    within, between = _traces(features, k)
    return within / between
