"""Bags of samples, budgets of privacy, and what either does to noise and risk."""

import numpy as np

from paper_checks.claim import Run
from paper_checks.evidence import Array
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as theory

SIGNAL, NOISE = 1.0, 0.5
LABELINGS = 8
NO_PRIVACY = np.zeros(1)

BAGS = (1, 2, 4, 8)
BUDGETS = np.array([np.inf, 0.7, 0.4])


def learn(
    run: Run,
    replicates: int,
    shape: tuple[int, int, int],
    weights: Array,
    scales: Array = NO_PRIVACY,
    *,
    noise: float = NOISE,
    shared_noise: bool = False,
    alike: bool = False,
) -> sim.BagFits:
    """Fit replicates of shape (n, p, bag size), for all weights of the instance loss and scales of Laplace noise."""
    n, p, k = shape
    keys = run.keys(replicates, f"{n} {p} {k}")
    # as arrays, so that no change of them compiles another program
    rest = np.array([SIGNAL, noise, shared_noise, alike])
    return over_replicates(sim.learn_from_bags, keys, weights, scales, *rest, n, p, k, LABELINGS)


def label_noise(budgets: Array) -> Array:
    """Effective noise, (bag sizes, budgets)."""
    k = np.array(BAGS)[:, None]
    return np.asarray(theory.private_noise_var(bag_size=k, epsilon=budgets, noise_var=NOISE))


def unshrunk_noise(budgets: Array) -> Array:
    """Effective noise, were every mean disturbed like a single label."""
    return NOISE + 2 * np.array(BAGS)[:, None] / budgets**2


def instance_risks(n: int, p: int, noise: Array) -> Array:
    """Solve for exact risks of the instance loss, (bag sizes, budgets)."""
    return np.array(
        [
            theory.aggregate_risk_finite(n=n, p=p, bag_size=k, rho=1.0, noise_var=each).total
            for k, each in zip(BAGS, noise, strict=True)
        ]
    )
