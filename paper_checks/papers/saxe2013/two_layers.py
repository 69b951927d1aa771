"""Two weight matrices: time courses of modes, conserved quantities, unequal layers."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Steps, components
from paper_checks.papers.saxe2013.paper import PAPER
from paper_checks.problems import LinearTask, frame, linear_task, readout
from simulations import deep_linear as sim
from theory import deep_linear

INTEGRATED = 1e-8  # 1e3 times the integrator's relative tolerance of 1e-11: what 1e2 to 1e3 steps may add up to


def _rates(run: Run) -> list[float]:
    finest = run.size("finest learning rate", quick=1e-3, standard=5e-4, full=5e-4)
    return [8 * finest, 4 * finest, 2 * finest, finest]


def _task(run: Run) -> tuple[LinearTask, int]:
    """Draw a task with three modes, and the number of hidden units."""
    inputs, hidden, outputs = run.size("layers", quick=(5, 4, 3), standard=(32, 16, 8), full=(784, 200, 10))
    return linear_task(run.rng(), [3.0, 1.8, 0.9], n_inputs=inputs, n_outputs=outputs), hidden


def _strengths_twice(weights: sim.Weights, u: jax.Array, v: jax.Array) -> jax.Array:
    return jnp.tile(sim.mode_strengths(weights, u, v), 2)


def _strengths_thrice(weights: sim.Weights, u: jax.Array, v: jax.Array) -> jax.Array:
    return jnp.tile(sim.mode_strengths(weights, u, v), 3)


@PAPER.claim(
    "sigmoid",
    statement=r"""In a two-layer network with whitened inputs and balanced, task-aligned initial weights, a mode of
    strength $s$ follows $u(t) = s u_0 / (u_0 + (s - u_0) e^{-2 s t / \tau})$.""",
    source="two-layer networks, time course of a mode",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("rate s for 2s", "layer strength for mode strength", "fixed point twice as high"),
)
def sigmoid(run: Run) -> Trial:
    """Gradient descent on the weight matrices, at falling learning rates, against the closed form."""
    task, hidden = _task(run)
    u0, times, rates = np.array([0.05, 0.2, 0.4]), np.array([0.24, 0.48, 0.96, 1.44]), _rates(run)

    def measure() -> Steps:
        start = sim.decoupled(run.key(), np.sqrt([u0, u0]), u=task.u, v=task.v, hidden=(hidden,))
        strengths = sim.descend_at_times(
            start,
            sim.Task.from_moments(task.sigma_yx),
            learning_rates=rates,
            times=times,
            observe=readout(sim.mode_strengths, u=task.u, v=task.v),
        )
        return Steps(rates, strengths)

    def predict(u0: np.ndarray = u0, s: np.ndarray = task.s, tau: float = 1.0) -> np.ndarray:
        return deep_linear.mode_strength(times[:, None], s=s, u0=u0, tau=tau)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "rate s for 2s": lambda: predict(tau=2.0),
            "layer strength for mode strength": lambda: predict(u0=np.sqrt(u0)),
            "fixed point twice as high": lambda: predict(s=2 * task.s, tau=2.0),
        },
    )


@PAPER.claim(
    "mode_time",
    statement=r"""A mode takes the time $\frac{\tau}{2s} \ln \frac{u (s - u_0)}{u_0 (s - u)}$ from $u_0$ to $u$; from
    $\epsilon$ to $s - \epsilon$ that is $\frac{\tau}{s} \ln \frac{s - \epsilon}{\epsilon}$.""",
    source="two-layer networks, learning time of a mode",
    agreement=Identity(rtol=INTEGRATED),
    controls=("ln(s / eps) for ln((s - eps) / eps)", "half the time", "u0 above u exchanged"),
)
def mode_time(run: Run) -> Trial:
    """Find when the integrated flow of the weight matrices crosses three levels of each mode."""
    task, hidden = _task(run)
    epsilon, tau = 0.1, 1.7
    u0 = np.full(3, epsilon)
    levels = np.concatenate([0.3 * task.s, 0.7 * task.s, task.s - epsilon])

    def measure() -> np.ndarray:
        start = sim.decoupled(run.key(), np.sqrt([u0, u0]), u=task.u, v=task.v, hidden=(hidden,))
        crossings = sim.crossing_times(
            start,
            sim.Task.from_moments(task.sigma_yx),
            observe=readout(_strengths_thrice, u=task.u, v=task.v),
            levels=levels,
            max_time=100.0,
            tau=tau,
        )
        return np.asarray(crossings.times)

    def predict() -> np.ndarray:
        passing = deep_linear.mode_time(levels[:6], s=np.tile(task.s, 2), u0=epsilon, tau=tau)
        return components(passing, tau / task.s * np.log((task.s - epsilon) / epsilon))

    def approximate() -> np.ndarray:
        return components(predict()[:6], tau / task.s * np.log(task.s / epsilon))

    def exchanged() -> np.ndarray:
        s = np.tile(task.s, 3)
        return tau / (2 * s) * np.log(levels * (s + epsilon) / (epsilon * (s + levels)))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "ln(s / eps) for ln((s - eps) / eps)": approximate,
            "half the time": lambda: predict() / 2,
            "u0 above u exchanged": exchanged,
        },
    )


@PAPER.claim(
    "correlated_inputs",
    statement=r"""When the input correlations share the task's right singular vectors, with eigenvalues $\lambda$, a
    mode of a network of $D$ matrices obeys $\tau \dot u = D u^{2 - 2/D} (s - \lambda u)$ and ends at $s / \lambda$.""",
    source="correlated inputs, modes that share the input's eigenvectors",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("inputs taken as white", "time not rescaled", "s scaled by lambda"),
)
def correlated_inputs(run: Run) -> Trial:
    """Gradient descent with two and with three weight matrices on correlated inputs."""
    task, hidden = _task(run)
    eigenvalues = np.array([0.6, 1.0, 1.6])
    u0, times, rates = np.array([0.2, 0.3, 0.25]), np.array([0.24, 0.96, 1.92]), _rates(run)
    sigma_xx = (task.v * eigenvalues) @ task.v.T
    depths = (2, 3)

    def measure() -> Steps:
        found = []
        for depth in depths:
            start = sim.decoupled(
                run.key(f"depth {depth}"),
                np.tile(u0 ** (1 / depth), (depth, 1)),
                u=task.u,
                v=task.v,
                hidden=(hidden,) * (depth - 1),
            )
            found.append(
                sim.descend_at_times(
                    start,
                    sim.Task.from_moments((task.u * task.s) @ task.v.T, sigma_xx),
                    learning_rates=rates,
                    times=times,
                    observe=readout(sim.mode_strengths, u=task.u, v=task.v),
                )
            )
        return Steps(rates, components(*found, leading=1))

    def predict(s: np.ndarray = task.s, eigenvalues: np.ndarray = eigenvalues, tau: float = 1.0) -> np.ndarray:
        return components(
            *(
                deep_linear.mode_strength(
                    times[:, None], s=s, u0=u0, depth=depth, tau=tau, input_eigenvalue=eigenvalues
                )
                for depth in depths
            )
        )

    def unscaled() -> np.ndarray:
        """Take (1 / lambda) u(t; s, lambda u0) without the factor lambda^(1 - 2/D) in the time constant."""
        return components(
            *(
                deep_linear.mode_strength(times[:, None], s=task.s, u0=eigenvalues * u0, depth=depth) / eigenvalues
                for depth in depths
            )
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "inputs taken as white": lambda: predict(eigenvalues=np.ones(3)),
            "time not rescaled": unscaled,
            "s scaled by lambda": lambda: predict(s=task.s * eigenvalues),
        },
    )


@PAPER.claim(
    "conservation",
    statement=r"""The flow conserves $W_{l+1}^T W_{l+1} - W_l W_l^T$ for any initial weights, any input correlations and
    any depth; gradient descent lets it drift by $O(\eta)$.""",
    source="conserved quantities of the two-layer flow, and their deep form",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("sum for difference", "opposite sign", "second layer doubled"),
)
def conservation(run: Run) -> Trial:
    """Gradient descent from Gaussian weights on correlated inputs: what they started with must be there at the end."""
    rng = run.rng()
    inputs, hidden, outputs = run.size("layers", quick=(5, 4, 3), standard=(32, 16, 8), full=(784, 200, 10))
    rates = _rates(run)
    shapes = {2: (inputs, hidden, outputs), 3: (inputs, hidden, hidden, outputs)}
    weights = {
        depth: [0.8 * rng.standard_normal((b, a)) / np.sqrt(a) for a, b in pairwise(w)] for depth, w in shapes.items()
    }
    basis = frame(rng, inputs, inputs)
    sigma_xx = (basis * rng.uniform(0.3, 1.5, inputs)) @ basis.T
    sigma_yx = rng.standard_normal((outputs, inputs)) @ sigma_xx / np.sqrt(inputs)

    def measure() -> Steps:
        task = sim.Task.from_moments(sigma_yx, sigma_xx)
        drifted = [
            sim.descend_at_times(start, task, learning_rates=rates, times=[1.92], observe=sim.conserved_vector)
            for start in weights.values()
        ]
        return Steps(rates, components(*drifted, leading=1))

    def initial(sign: float = -1.0, above: float = 1.0) -> np.ndarray:
        return components(
            *(
                above * upper.T @ upper + sign * lower @ lower.T
                for layers in weights.values()
                for lower, upper in pairwise(layers)
            )
        )

    return Trial(
        predict=initial,
        measure=measure,
        controls={
            "sum for difference": lambda: initial(sign=1.0),
            "opposite sign": lambda: -initial(),
            "second layer doubled": lambda: initial(above=2.0),
        },
        scale="largest",
    )


def _layer_strengths(weights: sim.Weights, u: np.ndarray, v: np.ndarray) -> list:
    """Return what each layer contributes to a mode: norms of W1's columns in V, of W2's rows in U, and the product."""
    first, second = weights
    return [((first @ v) ** 2).sum(axis=0), ((u.T @ second) ** 2).sum(axis=1), sim.mode_strengths(weights, u, v)]


def _hyperbola(t: np.ndarray, s: np.ndarray, a0: np.ndarray, b0: np.ndarray, rate: np.ndarray) -> list[np.ndarray]:
    """Follow a mode along its hyperbola, approaching the end at ``rate``; right for sqrt(c0^2 + 4 s^2)."""
    c0 = a0**2 - b0**2
    k = np.hypot(c0, 2 * s)
    plus, minus, start = 2 * s + k, 2 * s - k, (a0 + b0) ** 2
    fraction = (start - plus) / (start - minus) * np.exp(-rate * t)
    p = np.sqrt((plus - minus * fraction) / (1 - fraction))
    a, b = (p + c0 / p) / 2, (p - c0 / p) / 2
    return [a**2, b**2, a * b]


@PAPER.claim(
    "unbalanced",
    statement=r"""A two-layer mode whose layers start at $a_0 \ne b_0$ moves along the hyperbola $a^2 - b^2 = c_0$ with
    the rate $k = \sqrt{c_0^2 + 4 s^2}$ of the Riccati solution for $(a + b)^2$, whatever the sign of $c_0$.""",
    source="appendix on hyperbolic trajectories",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("k with s^2 for 4 s^2", "balanced rate 2 s", "layers exchanged", "taken as balanced"),
)
def unbalanced(run: Run) -> Trial:
    """Gradient descent on the weight matrices from layers of unequal strength."""
    task, hidden = _task(run)
    a0, b0 = np.array([1.1, 0.2, 0.5]), np.array([0.3, 0.9, 0.4])
    times, rates = np.array([0.24, 0.48, 0.96])[:, None], _rates(run)

    def measure() -> Steps:
        start = sim.decoupled(run.key(), np.stack([a0, b0]), u=task.u, v=task.v, hidden=(hidden,))
        found = sim.descend_at_times(
            start,
            sim.Task.from_moments(task.sigma_yx),
            learning_rates=rates,
            times=times[:, 0],
            observe=readout(_layer_strengths, u=task.u, v=task.v),
        )
        return Steps(rates, components(*found, leading=1))

    def predict(a0: np.ndarray = a0, b0: np.ndarray = b0) -> np.ndarray:
        a, b = deep_linear.unbalanced_modes(times, s=task.s, a0=a0, b0=b0)
        return components(a**2, b**2, a * b)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "k with s^2 for 4 s^2": lambda: components(
                *_hyperbola(times, task.s, a0, b0, np.hypot(a0**2 - b0**2, task.s))
            ),
            "balanced rate 2 s": lambda: components(*_hyperbola(times, task.s, a0, b0, 2 * task.s)),
            "layers exchanged": lambda: predict(a0=b0, b0=a0),
            "taken as balanced": lambda: predict(a0=np.sqrt(a0 * b0), b0=np.sqrt(a0 * b0)),
        },
    )


@PAPER.claim(
    "hyperbolic_time",
    statement=r"""From $u_0$ to $u$ an unbalanced mode takes $\tau \int_{u_0}^{u} \frac{dv}{(s - v) \sqrt{c_0^2 + 4
    v^2}}$, in closed form with the angle $u = \frac{c_0}{2} \sinh \theta$.""",
    source="appendix on hyperbolic trajectories",
    agreement=Identity(rtol=INTEGRATED),
    controls=("balanced time", "v^2 for 4 v^2", "c0 doubled"),
)
def hyperbolic_time(run: Run) -> Trial:
    """Find when the integrated flow from layers of unequal strength crosses two levels of each mode."""
    task, hidden = _task(run)
    a0, b0, tau = np.array([1.2, 0.3, 0.6]), np.array([0.2, 0.8, 0.5]), 0.8
    u0, invariant = a0 * b0, a0**2 - b0**2
    levels = np.stack([0.6 * task.s, 0.95 * task.s])

    def measure() -> np.ndarray:
        start = sim.decoupled(run.key(), np.stack([a0, b0]), u=task.u, v=task.v, hidden=(hidden,))
        crossings = sim.crossing_times(
            start,
            sim.Task.from_moments(task.sigma_yx),
            observe=readout(_strengths_twice, u=task.u, v=task.v),
            levels=levels.ravel(),
            max_time=100.0,
            tau=tau,
        )
        return np.asarray(crossings.times).reshape(levels.shape)

    def predict(invariant: np.ndarray = invariant) -> np.ndarray:
        return deep_linear.hyperbolic_time(levels, s=task.s, u0=u0, invariant=invariant, tau=tau)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "balanced time": lambda: deep_linear.mode_time(levels, s=task.s, u0=u0, tau=tau),
            # dv / ((s - v) sqrt(c0^2 + v^2)) is the right integrand, doubled, for twice the invariant
            "v^2 for 4 v^2": lambda: 2 * predict(invariant=2 * invariant),
            "c0 doubled": lambda: predict(invariant=2 * invariant),
        },
    )
