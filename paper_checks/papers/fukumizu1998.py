"""Fukumizu 1998: the matrix Riccati solution of balanced two-layer linear networks."""

import numpy as np

from paper_checks.agreement import ConvergenceOrder
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Steps
from paper_checks.problems import riccati_variant
from simulations import deep_linear as sim
from theory import deep_linear

PAPER = Paper(
    key="fukumizu1998",
    title="Effect of batch learning in multilayer neural networks",
    authors="Kenji Fukumizu",
    year=1998,
    wing="deep_linear",
)


@PAPER.claim(
    "riccati",
    statement=r"""From balanced weights, $W_2^T W_2 = W_1 W_1^T$, in any alignment with the task, the flow of $Q =
    [W_1^T; W_2]$ on white inputs obeys a matrix Riccati equation, whose solution gives $W_2 W_1$, $W_1^T W_1$ and
    $W_2 W_2^T$ in closed form.""",
    source="exact solution of the two-layer flow (reviewed by Braun et al. 2022)",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("exp(F r) for exp(2 F r) in the integral", "decoupled modes", "twice the task"),
)
def riccati(run: Run) -> Trial:
    """Gradient descent on two weight matrices from balanced random weights."""
    inputs, hidden, outputs = run.size("layers", quick=(4, 3, 3), standard=(20, 10, 8), full=(784, 100, 10))
    finest = run.size("finest learning rate", quick=1e-3, standard=5e-4, full=5e-4)
    rates, times = [8 * finest, 4 * finest, 2 * finest, finest], np.array([0.24, 0.72, 1.44])
    rng = run.rng()
    sigma_yx = rng.standard_normal((outputs, inputs)) / np.sqrt(inputs)
    strengths = rng.uniform(0.3, 0.9, min(inputs, hidden, outputs))

    def start() -> tuple[np.ndarray, np.ndarray]:
        w1, w2 = sim.balanced(run.key(), (inputs, hidden, outputs), strengths=strengths)
        return np.asarray(w1), np.asarray(w2)

    def measure() -> Steps:
        task = sim.Task.from_moments(sigma_yx)
        grams = sim.descend_at_times(start(), task, learning_rates=rates, times=times, observe=sim.gram)
        return Steps(rates, grams)

    def predict(scale: float = 1.0) -> np.ndarray:
        w1, w2 = start()
        return deep_linear.two_layer_flow(w1, w2, scale * sigma_yx, times).gram

    def decoupled() -> np.ndarray:
        """Let every mode follow its own sigmoid, as if the weights were aligned with the task."""
        gram = predict()
        u, s, vt = np.linalg.svd(sigma_yx, full_matrices=False)
        first, second = start()
        strength = np.abs(np.diag(u.T @ second @ first @ vt.T))
        modes = deep_linear.mode_strength(times[:, None], s=s, u0=strength)
        gram[:, inputs:, :inputs] = (u * modes[:, None, :]) @ vt
        gram[:, :inputs, inputs:] = gram[:, inputs:, :inputs].transpose(0, 2, 1)
        return gram

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "exp(F r) for exp(2 F r) in the integral": lambda: riccati_variant(start(), sigma_yx, times, rate=1.0),
            "decoupled modes": decoupled,
            "twice the task": lambda: predict(scale=2.0),
        },
        scale="largest",
    )
