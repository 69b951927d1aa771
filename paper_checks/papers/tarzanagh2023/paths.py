r"""Regularisation paths: the minimisers of the loss over growing balls, of W and of its factors.

Both converge in direction with order one in 1 / R, so that 1 - cos falls as :math:`R^{-2}`. They are followed over four
doublings and extrapolated; radii are such that losses down to 1e-290 occur, which log losses stand.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import ConvergenceOrder
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Steps
from paper_checks.papers.tarzanagh2023.instances import Inputs, draw, stack, start_with_margins
from paper_checks.papers.tarzanagh2023.machines import nuclear_inputs
from paper_checks.papers.tarzanagh2023.paper import PAPER
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]

RADII = np.array([28.0, 56.0, 112.0, 224.0, 448.0])
STARTS = 2


def _sizes(run: Run) -> tuple[tuple[int, int, int], int]:
    shape = run.size("inputs, tokens, dimension", quick=(3, 3, 5), standard=(4, 3, 6), full=(6, 4, 12))
    return shape, run.size("instances", quick=4, standard=6, full=64)


@lru_cache(maxsize=4)
def _inputs(run: Run, shape: tuple[int, int, int], count: int) -> Inputs:
    rng = run.rng()
    return stack([draw(rng, shape, hidden=k % 2 == 1) for k in range(count)])


def _starts(run: Run, inputs: Inputs) -> Array:
    """Draw starts from which the optimal tokens lead, (STARTS, instances, d, d).

    The problem is not convex, and from elsewhere the path of a worse selection is followed.
    """
    rng = run.rng("starts")
    n, T, _ = inputs.tokens.shape[1:]
    return np.stack(
        [
            [
                start_with_margins(rng, Inputs(*one), rng.uniform(4.0, 8.0, n * (T - 1)))
                for one in zip(*inputs, strict=True)
            ]
            for _ in range(STARTS)
        ]
    )


def _directions(weights: jax.Array | sim.Factors, inputs: Inputs, radii: Array) -> Steps:
    """Follow the path from every start, keep the lowest loss at every radius, and divide by the radius."""
    task = sim.SelectionTask(inputs.tokens, inputs.queries, inputs.scores)
    path = sim.lowest_start(sim.regularization_path(weights, sim.repeated_task(task, STARTS), radii=radii))
    return Steps(1 / radii, np.asarray(sim.attention_matrix(path.weights)) / radii[:, None, None, None])


@PAPER.claim(
    "reg-path",
    statement=r"""The minimiser $W_R$ of the loss over $\|W\|_F \le R$ obeys $W_R / R = W_{mm} / \|W_{mm}\| + P / R +
    O(R^{-2})$, where $P$ is the part orthogonal to $W_{mm}$ of the matrix of least norm whose support margins are
    $\log(c_s / \lambda_s)$; hence $1 - \cos \sim \|P\|^2 / 2 R^2$.""",
    source="regularisation path of (W-ERM); order and coefficient derived here",
    agreement=ConvergenceOrder(order=1, resolution=1e-5, accuracy=1e-9),
    controls=(
        "nuclear norm",
        "second-best tokens",
        "multipliers ignored",
        "offsets with the opposite sign",
        "second order, no coefficient",
    ),
)
def reg_path(run: Run) -> Trial:
    """Follow the path of W from several starts; of the instances half have tokens that support nothing."""
    shape, count = _sizes(run)

    def predict(*, norm: str = "fro", rank: int = -1, dual_power: float = 1.0, factor: float = 1.0) -> Limit:
        inputs = _inputs(run, shape, count)
        limits, coefficients = [], []
        for x, z, gamma, o in zip(*inputs, strict=True):
            limit = optimization.solve_attention_svm(x, z, np.argsort(gamma, axis=1)[:, rank], norm=norm).W
            limits.append(limit / np.linalg.norm(limit))
            svm = optimization.solve_attention_svm(x, z, o)
            features, _ = optimization.attention_svm_features(x, z, o)
            duals, pairs = svm.duals[svm.support] ** dual_power, svm.pairs[svm.support]
            offsets = optimization.margin_offsets(gamma, o, duals, pairs)
            part = optimization.finite_part(features[svm.support], factor * offsets)
            coefficients.append(part - np.vdot(part, svm.W) / svm.value**2 * svm.W)
        return Limit(np.stack(limits), np.stack(coefficients))

    def measure() -> Steps:
        inputs = _inputs(run, shape, count)
        return _directions(jnp.asarray(_starts(run, inputs)), inputs, RADII)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "nuclear norm": lambda: predict(norm="nuc"),
            "second-best tokens": lambda: predict(rank=-2),
            "multipliers ignored": lambda: predict(dual_power=0.0),
            "offsets with the opposite sign": lambda: predict(factor=-1.0),
            "second order, no coefficient": lambda: predict(factor=0.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "reg-path-kq",
    statement=r"""The minimiser over factors with $\|K\|_F^2 + \|Q\|_F^2 \le 2 R$ obeys $K_R Q_R^T / R \to W_{nuc} /
    \|W_{nuc}\|_*$ with an error of order $1 / R$, and not the direction of the Frobenius norm.""",
    source="regularisation path of (KQ-ERM); the order is derived here",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-7),
    controls=("Frobenius norm", "queries and keys exchanged", "second-best tokens", "divided by the Frobenius norm"),
)
def reg_path_kq(run: Run) -> Trial:
    """Follow the path of full-rank factors from several starts.

    The accuracy of 1e-7 is the theory's: its interior-point solution is exact in value, but in position to some 1e-7.
    """
    shape, count = _sizes(run)

    def predict(*, norm: str = "nuc", rank: int = -1) -> Array:
        x, z, gamma, _ = nuclear_inputs(run, shape, count)
        chosen = np.argsort(gamma, axis=-1)[..., rank]
        machines = [optimization.solve_attention_svm(*one, norm=norm) for one in zip(x, z, chosen, strict=True)]
        return np.stack([svm.W / np.linalg.svd(svm.W, compute_uv=False).sum() for svm in machines])

    def over_frobenius() -> Array:
        limits = predict()
        return limits / np.linalg.norm(limits, axis=(1, 2), keepdims=True)

    def measure() -> Steps:
        inputs = nuclear_inputs(run, shape, count)
        u, sizes, vt = np.linalg.svd(_starts(run, inputs))
        root = np.sqrt(sizes)[..., None, :]
        factors = sim.Factors(jnp.asarray(u * root), jnp.asarray(vt.swapaxes(-1, -2) * root))
        return _directions(factors, inputs, RADII)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "Frobenius norm": lambda: predict(norm="fro"),
            "queries and keys exchanged": lambda: predict().swapaxes(1, 2),
            "second-best tokens": lambda: predict(rank=-2),
            "divided by the Frobenius norm": over_frobenius,
        },
        scale="largest",
    )
