"""Many weight matrices: how depth changes the time course of a mode, and the number of steps."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Steps, components
from paper_checks.papers.saxe2013.paper import PAPER
from paper_checks.problems import linear_task, readout
from simulations import deep_linear as sim
from theory import deep_linear

INTEGRATED = 1e-8  # 1e3 times the integrator's relative tolerance of 1e-11: what 1e2 to 1e3 steps may add up to


def _strengths_twice(weights: sim.Weights, u: jax.Array, v: jax.Array) -> jax.Array:
    return jnp.tile(sim.mode_strengths(weights, u, v), 2)


def _product_twice(weights: sim.Weights) -> jax.Array:
    return jnp.tile(sim.product(weights)[0, 0], 2)


@PAPER.claim(
    "deep_ode",
    statement=r"""In a network of $D$ weight matrices, balanced and aligned with a task on white inputs, a mode obeys
    $\tau \dot u = D u^{2 - 2/D} (s - u)$.""",
    source="deep networks, dynamics of a mode",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("layers of neurons for matrices", "factor D dropped", "exponent 2 - 1/D"),
)
def deep_ode(run: Run) -> Trial:
    """Gradient descent on the weight matrices of networks of three depths."""
    inputs, hidden, outputs = run.size("layers", quick=(4, 4, 3), standard=(24, 16, 8), full=(784, 200, 10))
    depths = run.size("depths", quick=(3, 4, 6), standard=(3, 4, 6, 10), full=(3, 5, 10, 20))
    finest = run.size("finest learning rate", quick=1e-3, standard=5e-4, full=5e-4)
    rates = [8 * finest, 4 * finest, 2 * finest, finest]
    task = linear_task(run.rng(), [2.0, 1.4, 0.8], n_inputs=inputs, n_outputs=outputs)
    u0, times = np.array([0.15, 0.2, 0.3]), np.array([0.24, 0.48, 0.96])

    def measure() -> Steps:
        found = []
        for depth in depths:
            layers = np.tile(u0 ** (1 / depth), (depth, 1))
            hidden_widths = (hidden,) * (depth - 1)
            start = sim.decoupled(run.key(f"depth {depth}"), layers, u=task.u, v=task.v, hidden=hidden_widths)
            found.append(
                sim.descend_at_times(
                    start,
                    sim.Task.from_moments(task.sigma_yx),
                    learning_rates=rates,
                    times=times,
                    observe=readout(sim.mode_strengths, u=task.u, v=task.v),
                )
            )
        return Steps(rates, components(*found, leading=1))

    def predict(extra: int = 0) -> np.ndarray:
        t = times[:, None]
        return components(*(deep_linear.mode_strength(t, s=task.s, u0=u0, depth=d + extra) for d in depths))

    def integrate(factor: float | None, exponent: float) -> np.ndarray:
        """Integrate u' = factor u^(2 - exponent / D) (s - u), with D for a factor of None."""
        found = []
        for depth in depths:
            rate = depth if factor is None else factor
            solution = solve_ivp(
                lambda _, u, rate=rate, depth=depth: rate * np.abs(u) ** (2 - exponent / depth) * (task.s - u),
                (0, times[-1]),
                u0,
                t_eval=times,
                rtol=1e-9,
                atol=1e-12,
            )
            found.append(solution.y.T)
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "layers of neurons for matrices": lambda: predict(extra=1),
            "factor D dropped": lambda: integrate(1.0, 2.0),
            "exponent 2 - 1/D": lambda: integrate(None, 1.0),
        },
    )


@PAPER.claim(
    "deep_time",
    statement=r"""The time from $u_0$ to $u$ at depth $D$ is $\frac{\tau}{D} \int_{u_0}^{u} v^{-(2 - 2/D)} (s - v)^{-1}
    dv$, in closed form by a hypergeometric function.""",
    source="deep networks, learning time of a mode",
    agreement=Identity(rtol=INTEGRATED),
    controls=("exponent 2", "depth off by one", "factor 1/D dropped"),
)
def deep_time(run: Run) -> Trial:
    """Find when the integrated flow of the weight matrices crosses two levels of each mode."""
    depths = run.size("depths", quick=(1, 4), standard=(1, 3, 5, 10), full=(1, 3, 5, 10, 30))
    task = linear_task(run.rng(), [1.7, 0.9], n_inputs=3, n_outputs=2)
    u0, tau = np.array([0.1, 0.2]), 1.3
    levels = np.stack([0.5 * task.s, 0.97 * task.s])

    def measure() -> np.ndarray:
        found = []
        for depth in depths:
            layers = np.tile(u0 ** (1 / depth), (depth, 1))
            start = sim.decoupled(run.key(f"depth {depth}"), layers, u=task.u, v=task.v)
            crossings = sim.crossing_times(
                start,
                sim.Task.from_moments(task.sigma_yx),
                observe=readout(_strengths_twice, u=task.u, v=task.v),
                levels=levels.ravel(),
                max_time=500.0,
                tau=tau,
            )
            found.append(np.asarray(crossings.times).reshape(levels.shape))
        return np.stack(found)

    def predict(extra: int = 0) -> np.ndarray:
        return np.stack([deep_linear.mode_time(levels, s=task.s, u0=u0, depth=d + extra, tau=tau) for d in depths])

    def exponent_two() -> np.ndarray:
        """Integrate 1 / (v^2 (s - v)), the integrand of infinite depth, at every depth."""
        whole = deep_linear.mode_time_infinite_depth(levels, s=task.s, u0=u0, tau=tau)
        return np.stack([whole / depth for depth in depths])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "exponent 2": exponent_two,
            "depth off by one": lambda: predict(extra=1),
            "factor 1/D dropped": lambda: predict() * np.array(depths)[:, None, None],
        },
    )


@PAPER.claim(
    "infinite_depth",
    statement=r"""At a fixed initial mode strength, depth times learning time has the limit $\tau \{ \frac{1}{s^2} \ln
    \frac{u (s - u_0)}{u_0 (s - u)} + \frac{1}{s u_0} - \frac{1}{s u} \}$, approached as $1/D$.""",
    source="deep networks, limit of infinite depth",
    agreement=ConvergenceOrder(order=1, resolution=1e-3, accuracy=1e-10),
    controls=("without 1/(s u0) - 1/(s u)", "logarithm divided by s", "u0 and u exchanged in the last terms"),
)
def infinite_depth(run: Run) -> Trial:
    """Crossing times of the integrated flow of one-neuron layers, at depths that double."""
    deepest = run.size("deepest", quick=128, standard=512, full=2048)
    depths = np.array([deepest // 8, deepest // 4, deepest // 2, deepest])
    s, u0 = 1.5, float(run.rng().uniform(0.6, 0.9))
    levels = np.array([1.1, 1.4])

    def measure() -> Steps:
        return Steps(1 / depths, np.stack([depth * _crossings(depth, s, u0, levels) for depth in depths]))

    def predict(log_power: int = 2, sign: float = 1.0) -> np.ndarray:
        logarithm = np.log(levels * (s - u0) / (u0 * (s - levels)))
        return logarithm / s**log_power + sign * (1 / (s * u0) - 1 / (s * levels))

    return Trial(
        predict=lambda: deep_linear.mode_time_infinite_depth(levels, s=s, u0=u0),
        measure=measure,
        controls={
            "without 1/(s u0) - 1/(s u)": lambda: predict(sign=0.0),
            "logarithm divided by s": lambda: predict(log_power=1),
            "u0 and u exchanged in the last terms": lambda: predict(sign=-1.0),
        },
    )


def _crossings(depth: int, s: float, u0: float, levels: np.ndarray) -> np.ndarray:
    """Find when the product of ``depth`` equal scalar layers, trained towards s, crosses the levels."""
    start = (jnp.full((int(depth), 1, 1), u0 ** (1 / depth)),)
    crossings = sim.crossing_times(
        start,
        sim.Task.from_moments([[s]]),
        observe=_product_twice,
        levels=levels,
        max_time=100.0,
    )
    return np.asarray(crossings.times)


@PAPER.claim(
    "depth_independent_steps",
    statement=r"""With the learning rate $\eta = c / (D s^{2 - 2/D})$ the number of steps from $u_0$ to $u$ times $c$
    tends to a finite limit as $D \to \infty$ and $c \to 0$: depth costs no steps. It does when each layer, not the
    product, starts at a fixed strength below one.""",
    source="deep networks, learning speed at the best learning rate",
    agreement=ConvergenceOrder(order=1, resolution=2e-2, accuracy=1e-5),
    controls=("without 1/u0 - 1/u", "s^2 not cancelled", "layers of fixed strength"),
)
def depth_independent_steps(run: Run) -> Trial:
    """Count gradient steps of one-neuron layers while the depth doubles and c halves."""
    deepest = run.size("deepest", quick=128, standard=512, full=2048)
    depths = np.array([deepest // 8, deepest // 4, deepest // 2, deepest])
    s, u = 1.5, 1.425
    u0 = float(run.rng().uniform(0.7, 0.9))

    def steps(initial: np.ndarray) -> Steps:
        found = []
        for depth, first in zip(depths, initial, strict=True):
            c = 0.16 / depth
            counted = sim.steps_to_fraction(
                (jnp.full((int(depth), 1, 1), first ** (1 / depth)),),
                sim.Task.from_moments([[s]]),
                learning_rate=c / (depth * s ** (2 - 2 / depth)),
                fraction=((s - u) / (s - first)) ** 2,
                max_steps=10_000_000,
            )
            found.append([c * float(counted.crossing)])
        return Steps(1 / depths, found)

    def predict() -> np.ndarray:
        return deep_linear.training_steps([u], s=s, u0=u0, depth=np.inf, rate_constant=1.0)

    return Trial(
        predict=predict,
        measure=lambda: steps(np.full(4, u0)),
        controls={
            "without 1/u0 - 1/u": lambda: predict() - s / u0 + s / u,
            "s^2 not cancelled": lambda: predict() * s**2,
        },
        counterexamples={"layers of fixed strength": lambda: steps(0.02 ** (depths / deepest))},
    )
