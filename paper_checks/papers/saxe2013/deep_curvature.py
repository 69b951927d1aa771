"""Many weight matrices: how depth changes the curvature, and with it the largest stable learning rate."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Equivalence, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.saxe2013.paper import PAPER
from paper_checks.problems import linear_task
from simulations import deep_linear as sim
from theory import deep_linear


@PAPER.claim(
    "hessian",
    statement=r"""Where $D$ scalar layers are all equal to $a$, the Hessian of $\frac12 (s - \prod_l a_l)^2$ has the
    eigenvalues $g - h$ ($D - 1$ times) and $g + (D - 1) h$, with $g = a^{2D - 2}$ and $h = 2 a^{2D - 2} - s a^{D -
    2}$.""",
    source="deep networks, curvature along a balanced mode",
    agreement=Identity(rtol=1e-11),
    controls=("h without the factor 2", "D for D - 1", "sign of s"),
)
def hessian(run: Run) -> Trial:
    """Eigenvalues of the Hessian by automatic differentiation, at several depths and random strengths."""
    depths = run.size("depths", quick=(2, 3, 5, 8), standard=(2, 3, 5, 8, 16), full=(2, 3, 5, 8, 16, 64))
    strengths, s = run.rng().uniform(0.5, 1.3, len(depths)), 1.6

    def measure() -> np.ndarray:
        task = sim.Task.from_moments([[s]])
        return components(
            *(
                sim.hessian_eigenvalues((jnp.full((1, 1), a),) * depth, task)
                for depth, a in zip(depths, strengths, strict=True)
            )
        )

    def spectrum(g_and_h: Sequence[tuple[float, float]], symmetric: int = -1) -> np.ndarray:
        return components(
            *(
                np.sort([g - h] * (depth - 1) + [g + (depth + symmetric) * h])
                for depth, (g, h) in zip(depths, g_and_h, strict=True)
            )
        )

    def predict() -> np.ndarray:
        found = [deep_linear.hessian_eigenvalues(a, s=s, depth=d) for d, a in zip(depths, strengths, strict=True)]
        return components(
            *(
                np.sort([float(e.transverse)] * (depth - 1) + [float(e.symmetric)])
                for depth, e in zip(depths, found, strict=True)
            )
        )

    def entries(factor: float = 2.0, sign: float = -1.0) -> list[tuple[float, float]]:
        pairs = zip(depths, strengths, strict=True)
        return [(a ** (2 * d - 2), factor * a ** (2 * d - 2) + sign * s * a ** (d - 2)) for d, a in pairs]

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "h without the factor 2": lambda: spectrum(entries(factor=1.0)),
            "D for D - 1": lambda: spectrum(entries(), symmetric=0),
            "sign of s": lambda: spectrum(entries(sign=1.0)),
        },
        scale="largest",
    )


@PAPER.claim(
    "matrix_hessian",
    statement=r"""At a decoupled, balanced minimum of the whole network (white inputs) the largest Hessian eigenvalue is
    $D s_1^{2 - 2/D}$. (Derived.)""",
    source="derived from the paper's network",
    agreement=Identity(rtol=1e-10),
    controls=("layers of neurons for matrices", "exponent 2 - 1/D", "second mode for the first"),
)
def matrix_hessian(run: Run) -> Trial:
    """Lanczos iteration on Hessian-vector products at minima of networks of several depths."""
    inputs, hidden, outputs = run.size("layers", quick=(4, 4, 3), standard=(16, 12, 8), full=(784, 200, 10))
    depths = run.size("depths", quick=(2, 3, 5), standard=(2, 3, 5, 8), full=(2, 3, 5, 8))
    task = linear_task(run.rng(), [2.3, 1.1, 0.6], n_inputs=inputs, n_outputs=outputs)

    def measure() -> np.ndarray:
        found = []
        for depth in depths:
            layers = np.tile(task.s ** (1 / depth), (depth, 1))
            minimum = sim.decoupled(
                run.key(f"depth {depth}"), layers, u=task.u, v=task.v, hidden=(hidden,) * (depth - 1)
            )
            problem = sim.Task.from_moments(task.sigma_yx)
            found.append(float(sim.top_hessian_eigenvalue(minimum, problem, key=run.key("lanczos"))))
        return np.array(found)

    def predict(extra: int = 0) -> np.ndarray:
        return np.array([deep_linear.top_hessian_eigenvalue(task.sigma_yx, depth=d + extra) for d in depths])

    D = np.array(depths)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "layers of neurons for matrices": lambda: predict(extra=1),
            "exponent 2 - 1/D": lambda: D * task.s[0] ** (2 - 1 / D),
            "second mode for the first": lambda: D * task.s[1] ** (2 - 2 / D),
        },
    )


@PAPER.claim(
    "critical_lr",
    statement=r"""Gradient descent is linearly stable at the minimum exactly when $\eta < 2 / (D s^{2 - 2/D})$: the
    largest useful learning rate falls as $1/D$.""",
    source="deep networks, optimal learning rate",
    agreement=Equivalence(margin=5e-3, resolution=2e-2),
    controls=("without D", "D - 1 for D", "1 / lambda for 2 / lambda"),
)
def critical_lr(run: Run) -> Trial:
    """Bisect for the learning rate at which a small displacement from a minimum begins to grow."""
    depths = run.size("depths", quick=(2, 3, 5), standard=(2, 3, 5, 10), full=(2, 3, 5, 10, 30))
    n_steps = run.size("steps", quick=4000, standard=20_000, full=20_000)
    task = linear_task(run.rng(), [1.8, 0.9], n_inputs=3, n_outputs=2)
    displacement = 1e-7

    def threshold(depth: int) -> float:
        layers = np.tile(task.s ** (1 / depth), (depth, 1))
        minimum = sim.decoupled(run.key(f"depth {depth}"), layers, u=task.u, v=task.v)
        problem = sim.Task.from_moments(task.sigma_yx)
        stable, unstable = 1e-3, 4.0
        while unstable > 1.001 * stable:
            rate = float(np.sqrt(stable * unstable))
            probe = sim.probe_stability(
                minimum, problem, learning_rate=rate, n_steps=n_steps, perturbation=displacement, key=run.key("probe")
            )
            # zero modes leave the part of the displacement along the valley where it is
            stays = float(probe.distance) <= 1.5 * displacement
            stable, unstable = (rate, unstable) if stays else (stable, rate)
        return stable

    D = np.array(depths)
    top = task.s[0]

    def predict() -> np.ndarray:
        return np.array([deep_linear.critical_learning_rate(s=top, depth=d) for d in depths])

    return Trial(
        predict=predict,
        measure=lambda: np.array([threshold(depth) for depth in depths]),
        controls={
            "without D": lambda: 2 / top ** (2 - 2 / D),
            "D - 1 for D": lambda: 2 / ((D - 1) * top ** (2 - 2 / D)),
            "1 / lambda for 2 / lambda": lambda: predict() / 2,
        },
    )
