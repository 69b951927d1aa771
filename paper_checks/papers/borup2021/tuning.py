"""The best weight of labels and teacher."""

from typing import NamedTuple

import jax
import numpy as np

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array
from paper_checks.papers.borup2021.networks import RIDGE, draw_networks
from paper_checks.papers.borup2021.paper import PAPER
from simulations import kernel_regression as sim
from theory import kernel_regression as theory


class Tunings(NamedTuple):
    """Cases along the first axis: networks, their ridges, and labels to learn and to be tested by."""

    features: Array
    labels: Array
    ridges: Array
    asked: Array
    wanted: Array


def _tunings(run: Run) -> Tunings:
    """Pose signals under weak, middling and strong ridges, and labels that are nothing but noise, for both networks."""
    networks, rng = draw_networks(run), run.rng("noise")
    noise = rng.normal(size=(2, *networks.labels.shape))
    signals = 3
    return Tunings(
        np.concatenate([networks.features] * (signals + 1)),
        np.concatenate([networks.labels] * signals + [noise[0]]),
        np.repeat(RIDGE * np.array([0.1, 1.0, 10.0, 1.0]), 2),
        np.concatenate([networks.asked] * (signals + 1)),
        np.concatenate([networks.truth] * signals + [0.1 * noise[1]]),
    )


@PAPER.claim(
    "optimal-weight",
    statement=r"""Predictions are affine in the last weight, $\alpha P_1 + (1 - \alpha) P_2$, so that validation error
    is least at $\frac{\langle P_1 - P_2, v - P_2 \rangle}{|P_1 - P_2|^2}$, often above 1 where ridges are strong and
    below 0 where labels are noise; and, for weights in [0, 1], at that number clipped.""",
    source="optimal weight of labels and teacher",
    agreement=Identity(rtol=1e-8),  # students and teachers differ by a hundredth of their predictions and more
    controls=(
        "|P_1|^2 for |P_1 - P_2|^2",
        "v - P_1",
        "weight of the teacher",
        "clipped for unconstrained",
        "one teacher more",
    ),
)
def optimal_weight(run: Run) -> Trial:
    """Tune the last weight by Newton's method, which differentiates through training, with and without limits."""
    before = np.full(2, 0.4)

    def measure(weights: Array = before) -> Array:
        each = jax.vmap(sim.tune_last_weight, in_axes=(0, 0, 0, None, 0, 0, None, None))
        both = jax.vmap(each, in_axes=(None,) * 6 + (0, 0))
        cases = _tunings(run)
        problem = (cases.features, cases.labels, cases.ridges, weights, cases.asked, cases.wanted)
        return np.asarray(both(*problem, np.array([-np.inf, 0.0]), np.array([np.inf, 1.0])).weight)

    def predict(change: str = "") -> Array:
        found = []
        for phi, y, ridge, asked, wanted in zip(*_tunings(run), strict=True):
            first, second = (
                theory.self_distillation_predict(
                    asked @ phi.T, phi @ phi.T, y, ridge=ridge, alpha=np.append(before, last), steps=3
                )
                for last in (1.0, 0.0)
            )
            best = theory.optimal_distillation_weight(wanted, first, second)
            apart = first - second
            best = {
                "P_1": best * (apart @ apart) / (first @ first),
                "v - P_1": apart @ (wanted - first) / (apart @ apart),
                "teacher": 1 - best,
                "clip": np.clip(best, 0, 1),
            }.get(change, best)
            found.append([best, np.clip(best, 0, 1)])
        return np.transpose(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "|P_1|^2 for |P_1 - P_2|^2": lambda: predict("P_1"),
            "v - P_1": lambda: predict("v - P_1"),
            "weight of the teacher": lambda: predict("teacher"),
            "clipped for unconstrained": lambda: predict("clip"),
        },
        counterexamples={"one teacher more": lambda: measure(np.full(3, 0.4))},
        scale="largest",
    )
