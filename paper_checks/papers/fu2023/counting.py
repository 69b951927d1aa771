"""How many iterations: to a tolerance, against gradient descent, and from the best start."""

from collections.abc import Callable
from itertools import product

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Steps
from paper_checks.papers.fu2023.paper import PAPER, POWER, STARTS, Start, prompt
from simulations.in_context import iterations as sim
from theory import in_context

CONDITIONS = (2.0, 10.0, 100.0, 1000.0)
TOLERANCES = (1e-3, 1e-8)


@PAPER.claim(
    "iterations",
    statement=r"""With $c = \alpha s_1^p$ and $\rho = \max(|1 - c|, |1 - c / \kappa^p|)$ the residuals are below a
    tolerance after exactly $\lceil \log_2(\ln \mathrm{tol} / \ln \rho) \rceil$ iterations of Newton's method;
    gradient descent needs $\lceil \ln \mathrm{tol} / \ln \rho_1 \rceil$ steps.""",
    source="convergence rates of both methods, made exact",
    agreement=Identity(rtol=1e-12),
    controls=(
        "p dropped",
        "natural logarithm outside",
        "large eigenvalue forgotten",
        "condition number squared for GD",
    ),
)
def iterations(run: Run) -> Trial:
    """Iterate scalar recursions of five eigenvalues and count, at four condition numbers, two tolerances, two c.

    In the cases that follow, eigenvalues close together and c near 2, the largest is the slowest.
    """
    rng = run.rng()
    cases = [
        (kappa, tol, float(c)) for kappa, tol in product(CONDITIONS, TOLERANCES) for c in (1.0, rng.uniform(1.2, 1.9))
    ]
    cases += [(1.5, tol, float(rng.uniform(1.85, 1.95))) for tol in TOLERANCES]
    top = float(rng.uniform(0.5, 3.0))

    def measure() -> np.ndarray:
        found = []
        for kappa, tol, c in cases:
            s = jnp.asarray(np.geomspace(top / kappa, top, 5))
            for method, p in (*POWER.items(), ("descent", 1)):
                count = sim.count_until(s, jnp.asarray(c / top**p), jnp.asarray(tol), method=method)
                found.append(int(count))
        return np.array(found)

    def predict(
        power: int | None = None, log: Callable = np.log2, top_too: bool = True, descent: int = 1
    ) -> np.ndarray:
        """Count as the theory does, or, where an argument says so, in a wrong way."""
        right = power is None and log is np.log2 and top_too
        found = []
        for kappa, tol, c in cases:
            for start in STARTS:
                if right:
                    count = in_context.newton_steps_to_tolerance(kappa, tol=tol, alpha_scale=c, init=start)
                else:
                    rates = [abs(1 - c / kappa ** (power or POWER[start])), abs(1 - c) if top_too else 0.0]
                    count = max(0, int(np.ceil(log(np.log(tol) / np.log(max(rates))))))
                found.append(count)
            found.append(in_context.gd_steps_to_tolerance(kappa**descent, tol=tol, rate_scale=c))
        return np.array(found, dtype=float)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "p dropped": lambda: predict(power=1),
            "natural logarithm outside": lambda: predict(log=np.log),
            "large eigenvalue forgotten": lambda: predict(top_too=False),
            "condition number squared for GD": lambda: predict(descent=2),
        },
        scale=1.0,
    )


@PAPER.claim(
    "iterations-asymptotics",
    statement=r"""At $c = 1$ the number of iterations grows as $p \log_2 \kappa + \log_2 \ln(1 / \mathrm{tol})$, with a
    correction $-\kappa^{-p} / (2 \ln 2)$, while gradient descent needs $\kappa \ln(1 / \mathrm{tol})$ steps, less half
    of $\ln(1 / \mathrm{tol})$: a logarithm against a multiple of the condition number.""",
    source="comparison of convergence rates; corrections derived",
    agreement=ConvergenceOrder(order=1, resolution=1e-5, accuracy=1e-12),
    controls=("base e for base 2", "p dropped", "no correction", "log ln(1/tol) dropped"),
)
def iterations_asymptotics(run: Run) -> Trial:
    """Residuals of the smallest eigenvalue at falling h = kappa^-p; the fractional count is read off their logs."""
    finest = run.size("largest kappa^p", quick=2048, standard=8192, full=65536)
    h = 1 / np.array([finest / 8, finest / 4, finest / 2, finest])
    tol = float(10 ** run.rng().uniform(-9, -3))
    decades = np.log(1 / tol)

    def measure() -> Steps:
        found = []
        for size in h:
            steps = round(np.log2(1 / size))
            counts = []
            for start, p in POWER.items():
                gram = np.diag([1.0, size ** (1 / p)])
                inverse = sim.invert_by_newton(gram, 1.0, steps=int(np.log2(finest)), start=start)[steps]
                left = float(1 - gram[1, 1] * inverse[1, 1])
                counts.append(steps + np.log2(np.log(tol) / np.log(left)) - np.log2(1 / size))
            scalar = np.array([[np.sqrt(size)]])
            time = round(1 / size)
            left = 1 - float(sim.gradient_weights(scalar, scalar[0], 1.0, steps=[time])[0, 0])
            found.append([*counts, time * np.log(tol) / np.log(left) * size])
        return Steps(h, np.array(found))

    def predict(base: float = np.log(2.0), extra: float = 0.0, correction: float = 1.0, offset: bool = True) -> Limit:
        newton = np.log(decades) / base * offset + extra
        slope = -correction / 2
        return Limit(np.array([newton, newton, decades]), np.array([slope / base, slope / base, slope * decades]))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "base e for base 2": lambda: predict(base=1.0),
            "p dropped": lambda: predict(extra=-np.log2(finest) / 2),
            "no correction": lambda: predict(correction=0.0),
            "log ln(1/tol) dropped": lambda: predict(offset=False),
        },
        scale="largest",
    )


@PAPER.claim(
    "optimal-alpha",
    statement=r"""The constant that makes the worst residual smallest is $\alpha_* = 2 / (s_1^p + s_d^p)$, and leaves
    $(\kappa^p - 1) / (\kappa^p + 1)$ of the error.""",
    source="derived; Chebyshev's choice",
    agreement=Identity(rtol=1e-9),
    controls=("1 / s_1^p", "power of the sum", "p dropped in the rate"),
)
def optimal_alpha(run: Run) -> Trial:
    """Golden-section search on the spectral norm of I - S M_0 for random Gram matrices."""
    rng = run.rng()
    s = np.concatenate([[2.5, 0.6], rng.uniform(0.7, 2.4, 4)])
    problem = prompt(rng, s, examples=8)
    top, low = 2.5, 0.6

    def measure() -> np.ndarray:
        return np.array([sim.best_start(jnp.asarray(problem.gram), start=start) for start in STARTS])

    def predict() -> np.ndarray:
        return np.array([in_context.optimal_newton_start(top, low, init=start) for start in STARTS])

    def instead(alpha: Callable[[int], float], rate: Callable[[int], float] | None = None) -> np.ndarray:
        found = predict()
        for i, start in enumerate(STARTS):
            found[i, 0] = alpha(POWER[start])
            found[i, 1] = found[i, 1] if rate is None else rate(POWER[start])
        return found

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 / s_1^p": lambda: instead(lambda p: 1 / top**p),
            "power of the sum": lambda: instead(lambda p: 2 / (top + low) ** p),
            "p dropped in the rate": lambda: instead(
                lambda p: 2 / (top**p + low**p), lambda p: (top - low) / (top + low)
            ),
        },
    )


@PAPER.claim(
    "step-map",
    statement=r"""Gradient descent leaves the slowest direction where k iterations of Newton's method leave it after
    $t(k) = 2^k \ln(1 - \alpha s_d^p) / \ln(1 - \eta s_d)$ steps: each iteration is worth twice as many steps as the one
    before.""",
    source="derived from the residual polynomials",
    agreement=Identity(rtol=1e-9),
    controls=("linear in k", "logarithms exchanged", "p dropped"),
)
def step_map(run: Run) -> Trial:
    """Run both on one prompt and find where descent crosses the error of each iterate, between two steps."""
    rng = run.rng()
    s = np.concatenate([[1.0, 0.3], rng.uniform(0.35, 0.95, 4)])
    problem = prompt(rng, s, examples=9)
    slow, rate, last = problem.basis[:, 1], 0.2, 5
    scales: dict[Start, float] = {"gram": 1.1, "identity": 0.8}

    def measure() -> np.ndarray:
        x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)
        path = np.log(np.abs(_missed(sim.descend(x, y, jnp.full(512, rate)), problem.task, slow)))
        found = []
        for start in STARTS:
            weights = sim.newton_weights(problem.x, problem.y, scales[start], steps=last, start=start)
            found.append(np.interp(-np.log(np.abs(_missed(weights, problem.task, slow))), -path, np.arange(1, 513)))
        return np.stack(found)

    def predict(
        grow: Callable[[int], float] = lambda k: 2.0**k, exchanged: bool = False, p: int | None = None
    ) -> np.ndarray:
        found = []
        for start in STARTS:
            one = in_context.gd_steps_matching_newton(0.3, step=0, alpha=scales[start], learning_rate=rate, init=start)
            if p is not None:
                one = np.log1p(-scales[start] * 0.3**p) / np.log1p(-rate * 0.3)
            found.append([grow(k) * (1 / one if exchanged else one) for k in range(last + 1)])
        return np.array(found)

    def right() -> np.ndarray:
        return np.array(
            [
                [
                    in_context.gd_steps_matching_newton(
                        0.3, step=k, alpha=scales[start], learning_rate=rate, init=start
                    )
                    for k in range(last + 1)
                ]
                for start in STARTS
            ]
        )

    return Trial(
        predict=right,
        measure=measure,
        controls={
            "linear in k": lambda: predict(grow=lambda k: k + 1.0),
            "logarithms exchanged": lambda: predict(exchanged=True),
            "p dropped": lambda: predict(p=1),
        },
    )


def _missed(weights: ArrayLike, task: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Share of the task's component along a direction that the weights still miss."""
    return 1 - (np.asarray(weights) @ direction) / (task @ direction)
