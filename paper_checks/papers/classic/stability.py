"""What one example changes: optimism of least squares, leave-one-out residuals, stability of regularised learning."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples
from paper_checks.papers.classic.paper import PAPER
from simulations import generalization as sim
from simulations.replicates import over_replicates
from theory import generalization as gen


@PAPER.claim(
    "ols-optimism",
    statement=r"""Least squares on Gaussian inputs has training error $s^2 (1 - d/n)$ and test error $s^2 (1 + d / (n -
    d - 1))$ in the mean.""",
    source="inverse Wishart mean",
    agreement=MonteCarlo(resolution=0.02),
    controls=("d / (n - d)", "1 + d / n", "training error s^2", "n - d - 1 for n - d in training"),
)
def ols_optimism(run: Run) -> Trial:
    """Fit random data, with new weights every time, and test on fresh points."""
    replicates = run.size("replicates", quick=20_000, standard=200_000, full=5_000_000)
    n, d, s, tests = 20, 8, 0.8, 20

    def errors(train: float, test: float) -> Array:
        return s**2 * np.array([train, test])

    right = (1 - d / n, 1 + d / (n - d - 1))
    return Trial(
        predict=lambda: np.array(gen.ols_errors(n, d, noise_std=s)),
        measure=lambda: Samples(
            over_replicates(sim.least_squares_errors, run.keys(replicates), n, d, jnp.asarray(s), tests)
        ),
        controls={
            "d / (n - d)": lambda: errors(right[0], 1 + d / (n - d)),
            "1 + d / n": lambda: errors(right[0], 1 + d / n),
            "training error s^2": lambda: errors(1.0, right[1]),
            "n - d - 1 for n - d in training": lambda: errors((n - d - 1) / n, right[1]),
        },
    )


@PAPER.claim(
    "ridge-loo",
    statement=r"""Ridge regression trained without example $i$, at the same $\lambda$, misses it by $(y_i - \hat y_i) /
    (1 - H_{ii})$.""",
    source="Sherman and Morrison",
    agreement=Identity(rtol=1e-11),  # condition numbers up to 1e3 times the rounding
    controls=("training residual", "mean of H for H_ii", "lambda rescaled by (n - 1) / n", "square of 1 - H_ii"),
)
def ridge_loo(run: Run) -> Trial:
    """Refit without each example in turn, for more and fewer examples than inputs."""
    shapes = run.size("shapes", quick=((9, 3), (6, 10)), standard=((60, 10), (30, 50)), full=((500, 100), (100, 300)))
    rng = run.rng()
    problems = [
        (rng.standard_normal(shape), rng.standard_normal(shape[0]), lam) for shape in shapes for lam in (0.1, 0.7, 5.0)
    ]

    def gather(answer) -> Array:
        return np.concatenate([answer(X, y, lam) for X, y, lam in problems])

    def residuals(X: Array, y: Array, lam: float) -> tuple[Array, Array]:
        H = X @ np.linalg.solve(X.T @ X + lam * np.eye(X.shape[1]), X.T)
        return y - H @ y, 1 - np.diag(H)

    return Trial(
        predict=lambda: gather(lambda X, y, lam: gen.ridge_loo_residuals(X, y, ridge=lam)),
        measure=lambda: gather(lambda X, y, lam: np.asarray(sim.refit_without_each(X, y, lam))),
        controls={
            "training residual": lambda: gather(lambda *q: residuals(*q)[0]),
            "mean of H for H_ii": lambda: gather(lambda *q: residuals(*q)[0] / residuals(*q)[1].mean()),
            "lambda rescaled by (n - 1) / n": lambda: gather(
                lambda X, y, lam: gen.ridge_loo_residuals(X, y, ridge=lam * (len(y) - 1) / len(y))
            ),
            "square of 1 - H_ii": lambda: gather(lambda *q: residuals(*q)[0] / residuals(*q)[1] ** 2),
        },
        scale="largest",
    )


N, D = 6, 2


def _replacement(point: jax.Array, strong_convexity: jax.Array, loss: str) -> sim.Replacement:
    """Read N + 1 examples inside the unit ball off an unconstrained vector, and replace the first by the last."""
    z = point.reshape(N + 1, D)
    z = z / jnp.maximum(1.0, jnp.linalg.norm(z, axis=1, keepdims=True))
    return sim.replace_one(z[:N], z[N], strong_convexity, loss, n_steps=100)


@lru_cache
def _change(loss: str):
    return lambda point, lam: _replacement(point, lam, loss).loss_change


@lru_cache
def _evaluate(loss: str):
    return jax.jit(jax.vmap(lambda point, lam: _replacement(point, lam, loss), in_axes=(0, None)))


@PAPER.claim(
    "strong-convexity-stability",
    statement=r"""For convex $\rho$-Lipschitz losses with $\frac\lambda2 \|w\|^2$ added, replacing one of $n$ examples
    moves the minimiser by at most $2 \rho / (\lambda n)$ and changes no loss by more than $2 \rho^2 / (\lambda n)$;
    linear losses attain both.""",
    source="Bousquet and Elisseeff 2002",
    agreement=Bound(tight=1e-9, rounding=1e-9),
    controls=("rho^2 / (lambda n)", "2 rho^2 / (lambda n^2)", "2 rho^2 / n"),
)
def strong_convexity_stability(run: Run) -> Trial:
    """Train before and after a replacement, on random examples and on those where a search makes the change largest."""
    draws = run.size("random examples", quick=100, standard=1000, full=50_000)
    steps = run.size("steps of the search", quick=150, standard=1000, full=5000)
    cases = [(loss, lam) for loss in sim.LOSSES for lam in (0.3, 2.0)]

    @lru_cache
    def measure() -> tuple[Array, Array]:
        found, strength = [], []
        for loss, lam in cases:
            start = jax.random.normal(run.key(f"{loss} {lam}"), (draws, (N + 1) * D))
            reached = sim.hardest_instances(
                run.key(f"climb {loss} {lam}"), _change(loss), start[:8], jnp.asarray(lam), n_steps=steps
            ).instances
            z = np.array([np.cos(0.3), np.sin(0.3)])
            opposed = np.tile(np.concatenate([z, np.zeros((N - 1) * D), -z]), (1, 1))
            points = jnp.concatenate([start, reached, jnp.asarray(opposed)])
            changes = _evaluate(loss)(points, jnp.asarray(lam))
            found.append(np.array([changes.movement, changes.loss_change]))
            strength.append(np.full(len(points), lam))
        return np.concatenate(found, axis=1), np.concatenate(strength)

    strength = np.repeat([lam for _, lam in cases], draws + 9)

    def bounds(factor: Array | float = 1.0) -> Array:
        bound = gen.stability_bound_strongly_convex(N, lipschitz=1.0, strong_convexity=strength)
        return factor * np.array([bound, bound])

    return Trial(
        predict=bounds,
        measure=lambda: measure()[0],
        controls={
            "rho^2 / (lambda n)": lambda: bounds(0.5),
            "2 rho^2 / (lambda n^2)": lambda: bounds(1 / N),
            "2 rho^2 / n": lambda: bounds(strength / 2.01),
        },
    )
