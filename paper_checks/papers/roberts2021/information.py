"""Entropy and information of neurons that share a random variance, and the aspect ratio that maximises them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Steps
from paper_checks.papers.roberts2021.paper import PAPER
from simulations import ntk as sim
from theory import ntk

Array = np.ndarray

ACCURACY = 1e-13  # of an integral of order eps^2 with terms of order eps


def _variances(run: Run) -> Array:
    return 0.01 * 2.0 ** -np.arange(run.size("variances", quick=7, standard=8, full=8))


def _over(function: Callable[..., Any], variances: Array, mixing: Any, power: int = 2) -> Array:
    return np.asarray(jax.vmap(partial(function, mixing=mixing))(variance=jnp.asarray(variances))) / variances**power


@PAPER.claim(
    "entropy",
    statement=r"""A scale mixture $\sqrt\kappa g$ in $m$ dimensions, $E \kappa = 1$, $\mathrm{Var}\, \kappa = \epsilon$,
    has an entropy below the Gaussian's by $\frac{m (m + 2)}{16} \epsilon^2 - \frac{m (m + 2)(m + 8)}{48} \epsilon^3$,
    whatever its third cumulant of order $\epsilon^2$.""",
    source="appendix A, entropy of nearly Gaussian layers (derived here)",
    agreement=ConvergenceOrder(order=1, resolution=1e-5, accuracy=ACCURACY),
    controls=("m^2 / 16", "1 / 8 for 1 / 16", "m + 6 for m + 8", "third cumulant of order 3/2"),
)
def entropy(run: Run) -> Trial:
    """Quadrature with a log-normal and with a gamma-distributed scale."""
    dimensions, variances = np.array([1, 2, 3, 7]), _variances(run)

    def measure(mixings: tuple[Any, ...] = (sim.log_normal, sim.gamma)) -> Steps:
        found = [[_over(partial(sim.negentropy, int(m)), variances, mix) for m in dimensions] for mix in mixings]
        return Steps(variances, np.moveaxis(np.array(found), -1, 0))

    def predict(quadratic: Array | float = 1.0, cubic: Array | float = 1.0) -> Limit:
        expansion = ntk.entropy_expansion(dimensions)
        return Limit(np.stack([expansion.quadratic * quadratic] * 2), np.stack([expansion.cubic * cubic] * 2))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "m^2 / 16": lambda: predict(quadratic=dimensions / (dimensions + 2)),
            "1 / 8 for 1 / 16": lambda: predict(quadratic=2.0),
            "m + 6 for m + 8": lambda: predict(cubic=(dimensions + 6) / (dimensions + 8)),
        },
        counterexamples={"third cumulant of order 3/2": lambda: measure((sim.log_normal, sim.two_point))},
    )


GROUPS = ((1, 1), (2, 2), (1, 4), (3, 5))


def _informations(variances: Array, mixing: Any) -> Array:
    """Information over the square of the variance, for every pair of groups, (variances, pairs)."""
    return np.stack([_over(partial(sim.mutual_information, *pair), variances, mixing) for pair in GROUPS], axis=1)


@PAPER.claim(
    "mutual_information",
    statement=r"""Groups of $m_1$ and $m_2$ neurons that share a random variance hold $I = \frac{m_1 m_2}{8}
    \epsilon^2 - \frac{m_1 m_2 (3 m_1 + 3 m_2 + 20)}{48} \epsilon^3$ nats about each other.""",
    source="appendix A, mutual information within a layer",
    agreement=ConvergenceOrder(order=1, resolution=1e-5, accuracy=ACCURACY),
    controls=("16 for 20", "1 / 16 for 1 / 8", "m_1 + m_2 once", "third cumulant of order 3/2"),
)
def mutual_information(run: Run) -> Trial:
    """Quadrature with a log-normal and with a gamma-distributed scale, for equal and unequal groups."""
    variances, (m1, m2) = _variances(run), np.array(GROUPS).T

    def measure(mixings: tuple[Any, ...] = (sim.log_normal, sim.gamma)) -> Steps:
        return Steps(variances, np.stack([_informations(variances, mixing) for mixing in mixings], axis=1))

    def predict(quadratic: float = 1.0, cubic: Array | float = 0.0) -> Limit:
        expansion = ntk.information_expansion(m1, m2)
        return Limit(np.stack([expansion.quadratic * quadratic] * 2), np.stack([expansion.cubic + cubic] * 2))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "16 for 20": lambda: predict(cubic=m1 * m2 * 4 / 48),
            "1 / 16 for 1 / 8": lambda: predict(quadratic=0.5),
            "m_1 + m_2 once": lambda: predict(cubic=m1 * m2 * 2 * (m1 + m2) / 48),
        },
        counterexamples={"third cumulant of order 3/2": lambda: measure((sim.log_normal, sim.two_point))},
    )


@PAPER.claim(
    "aspect_ratio",
    statement=r"""Cut after its cube, the information between parts of the last layer is largest at $\epsilon = \nu r$
    with $r^* = \frac{4}{20 + 3 n_L} \frac1\nu$, however the layer is divided.""",
    source="appendix A, optimal aspect ratio",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-10),
    controls=("16 for 20", "n_L for 3 n_L", "without nu", "2 for 4", "half of the neurons"),
)
def aspect_ratio(run: Run) -> Trial:
    """Maximise the cubic through three values of the information, at 0, eps and eps / 2, for eps that halve."""
    variances, nu = _variances(run), np.array([5.0, 2.0, 3.08, 2 / 3])
    n_out = np.sum(GROUPS, axis=1)

    def measure() -> Steps:
        halves = np.append(variances, variances[-1] / 2)
        values = _informations(halves, sim.log_normal)
        slopes = (values[1:] - values[:-1]) / (variances[:, None] / 2)  # of I / eps^2, downwards
        maxima = 2 * (2 * values[1:] - values[:-1]) / (3 * slopes)
        return Steps(variances, maxima / nu)

    def predict() -> Array:
        return np.stack([ntk.optimal_aspect_ratio(n, nu=v) for n, v in zip(n_out, nu, strict=True)])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "16 for 20": lambda: 4 / (16 + 3 * n_out) / nu,
            "n_L for 3 n_L": lambda: 4 / (20 + n_out) / nu,
            "without nu": lambda: predict() * nu,
            "2 for 4": lambda: predict() / 2,
            "half of the neurons": lambda: 4 / (20 + 1.5 * n_out) / nu,
        },
    )
