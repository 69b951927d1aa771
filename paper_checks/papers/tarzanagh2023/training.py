r"""Gradient flow and descent on the attention matrix: the direction that both approach, and how slowly.

Along the flow W(t) = log t W_mm + P + o(1) with a constant matrix P, so that W / log t and the direction converge with
order one in 1 / log t, that is *logarithmically in time*: no fixed cosine means convergence. Times are therefore taken
up to e^640, in geometric progression of log t, where Richardson's extrapolation in 1 / log t leaves no doubt which
matrix is the limit. A step of normalised descent advances log t by a constant, so that steps take the place of log t.
"""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Steps
from paper_checks.papers.tarzanagh2023._runs import LOG_TIMES, sizes, task_of
from paper_checks.papers.tarzanagh2023.instances import Inputs, draw, stack, start_with_margins
from paper_checks.papers.tarzanagh2023.paper import PAPER
from simulations import optimization as sim
from theory import optimization

LENGTHS = 0.75 * LOG_TIMES  # of descent's path: with norms of 0.7 at least, no gradient underflows
STEP = 0.05


@lru_cache(maxsize=4)
def _races(run: Run, shape: tuple[int, int, int], count: int, stuck: bool) -> tuple[Inputs, Array]:
    """Draw instances of four kinds with their starts.

    Equal scores and aligned features from anywhere; any scores and features, with and without hidden tokens, and
    opposed inputs, from where the optimal tokens lead. ``stuck`` starts the opposed ones where the second does not.
    """
    rng, inputs, starts = run.rng(), [], []
    n, T, d = shape
    for _ in range(count):
        inputs += [
            draw(rng, shape, aligned=True, equal_scores=True, hidden=True),
            draw(rng, shape),
            draw(rng, shape, hidden=True),
            draw(rng, shape, opposed=True, equal_scores=True),
        ]
        starts.append(rng.standard_normal((d, d)))
        for kind in (-3, -2, -1):
            margins = rng.uniform(3.0, 6.0, (n, T - 1))
            if stuck and kind == -1:
                margins[1] = -12.0
            starts.append(start_with_margins(rng, inputs[kind], margins.ravel()))
    return stack(inputs), np.stack(starts)


@PAPER.claim(
    "gd-direction",
    statement=r"""Trained from a start from which it selects the optimal tokens, $W(t) / \log t \to W_{mm}$ along the
    gradient flow, and $W_k / \|W_k\| \to W_{mm} / \|W_{mm}\|$ by normalised gradient descent; both deviate by
    $O(1 / \log t)$. When all non-optimal tokens of an input score the same and no two features have a negative product,
    any start will do.""",
    source="global and local convergence of gradient descent; the condition on features is derived here",
    agreement=ConvergenceOrder(order=1, resolution=1e-5, accuracy=1e-10),
    controls=(
        "nuclear norm",
        "queries and keys exchanged",
        "all margins equal",
        "second-best tokens",
        "log t / 2",
        "inputs that unlearn each other",
    ),
)
def gd_direction(run: Run) -> Trial:
    r"""Train on instances of four kinds.

    With equal scores -grad L is a combination of features with positive coefficients. If no two features have a
    negative product, all margins grow, no probability of an optimal token ever falls below its first value, and
    each margin grows at least as log t: nothing can go wrong. Without that condition equal scores do not suffice: where
    two inputs unlearn each other, a start that leaves the second far behind never catches up, which is the last
    control.
    """
    shape, count = sizes(run)
    steps = np.round(LENGTHS / STEP).astype(int)

    def train(stuck: bool) -> Steps:
        inputs, starts = _races(run, shape, count, stuck)
        task = task_of(inputs)
        flow = sim.attention_flow(jnp.asarray(starts), task, times=np.exp(LOG_TIMES))
        descent = sim.attention_descent(jnp.asarray(starts), task, learning_rate=STEP, steps=steps)
        scaled = [w / length[:, None, None, None] for w, length in ((flow, LOG_TIMES), (descent, LENGTHS))]
        return Steps(1 / LOG_TIMES, np.stack(scaled, axis=1))

    def predict(norm: str = "fro", rank: int = -1) -> Array:
        inputs = _races(run, shape, count, False)[0]
        chosen = np.argsort(inputs.scores, axis=-1)[..., rank]
        return _with_directions(
            [
                optimization.solve_attention_svm(x, z, o, norm=norm).W
                for x, z, o in zip(inputs.tokens, inputs.queries, chosen, strict=True)
            ]
        )

    def equal_margins() -> Array:
        x, z, _, o = _races(run, shape, count, False)[0]
        return _with_directions(
            [optimization.feasible_attention_weights(*one) for one in zip(x, z, o, strict=True)],
        )

    return Trial(
        predict=predict,
        measure=lambda: train(stuck=False),
        controls={
            "nuclear norm": lambda: predict(norm="nuc"),
            "queries and keys exchanged": lambda: predict().swapaxes(-1, -2),
            "all margins equal": equal_margins,
            "second-best tokens": lambda: predict(rank=-2),
            "log t / 2": lambda: predict() * np.array([0.5, 1.0])[:, None, None, None],
        },
        counterexamples={"inputs that unlearn each other": lambda: train(stuck=True)},
        scale="largest",
    )


def _with_directions(weights: list[Array]) -> Array:
    limits = np.stack(weights)
    return np.stack([limits, limits / np.linalg.norm(limits, axis=(1, 2), keepdims=True)])
