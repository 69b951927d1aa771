"""Many weight matrices: how depth changes the time course, the curvature, and the number of steps."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from paper_checks.agreement import ConvergenceOrder, Equivalence, Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, Steps, components
from paper_checks.papers.saxe2013.paper import PAPER
from paper_checks.problems import linear_task, readout
from simulations import deep_linear as sim
from simulations.replicates import over_replicates
from theory import deep_linear

RATES = tuple(float(c) for c in np.geomspace(0.1, 1.5, 8))
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


@PAPER.claim(
    "greedy_pretraining",
    statement=r"""Greedy pretraining of a layer as a linear autoencoder moves every mode by $\tau \dot u = 2 \lambda u
    (1 - u)$ to $u = 1$, for any positive input eigenvalue; a pretrained network of any depth starts at mode
    strength 1.""",
    source="unsupervised pretraining of deep linear networks",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("rate lambda for 2 lambda", "fixed point lambda", "eigenvalues taken as one"),
)
def greedy_pretraining(run: Run) -> Trial:
    """Train one autoencoder by gradient descent at falling rates; pretrain a stack of layers to the end."""
    size, depth = run.size("inputs and depth", quick=(4, 3), standard=(12, 4), full=(100, 8))
    finest = run.size("finest learning rate", quick=1e-3, standard=5e-4, full=5e-4)
    rates = [8 * finest, 4 * finest, 2 * finest, finest]
    times, u0 = np.array([0.24, 0.48, 0.96]), 0.15
    eigenvalues = run.rng("eigenvalues").uniform(0.6, 2.0, size)
    task = linear_task(run.rng(), eigenvalues, n_inputs=size, n_outputs=size)
    sigma_xx = (task.v * eigenvalues) @ task.v.T

    def measure() -> Steps:
        encoder = sim.decoupled(run.key(), np.full((1, size), np.sqrt(u0)), u=task.u, v=task.v)[0]
        courses = sim.descend_at_times(
            (encoder, encoder.T),
            sim.Task.from_moments(sigma_xx, sigma_xx),
            learning_rates=rates,
            times=times,
            observe=readout(sim.mode_strengths, u=task.v, v=task.v),
        )
        layers = sim.orthogonal(run.key("stack"), (size,) * (depth + 1), gain=0.5)
        ends = [
            sim.singular_values(
                sim.pretrain_layers(layers, learning_rate=20 * rate, n_steps=int(30 / (20 * rate)), sigma_xx=sigma_xx)
            )
            for rate in rates
        ]
        return Steps(rates, components(courses, np.stack(ends), leading=1))

    def predict(eigenvalues: np.ndarray = eigenvalues, tau: float = 1.0, end: float | np.ndarray = 1.0) -> np.ndarray:
        course = deep_linear.pretraining_strength(times[:, None], input_eigenvalue=eigenvalues, u0=u0 / end, tau=tau)
        return components(course * end, np.ones(size))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "rate lambda for 2 lambda": lambda: predict(tau=2.0),
            "fixed point lambda": lambda: predict(end=eigenvalues),
            "eigenvalues taken as one": lambda: predict(eigenvalues=np.ones(size)),
        },
    )


@PAPER.claim(
    "depth_independent_orthogonal",
    statement=r"""At the best learning rate the number of steps to train grows far more slowly than the square root of
    depth from orthogonal initial weights; from Gaussian ones of variance $1/n$ it does not.""",
    source="training time from orthogonal and from Gaussian initial weights",
    agreement=Ordering(side="below"),
    controls=("Gaussian initial weights", "required to be negative"),
)
def depth_independent_orthogonal(run: Run) -> Trial:
    """Compare the training steps of shallow and deep networks, each at its best learning rate.

    Trained means 5 % of the loss of a network that answers zero: the initial loss would be no common goal, since deep
    Gaussian products have heavy tails and a single step forgets most of a huge one.
    """
    shallow, deep = run.size("depths", quick=(4, 12), standard=(4, 16), full=(4, 128))
    width = run.size("width", quick=8, standard=12, full=12)
    replicates = run.size("replicates", quick=384, standard=384, full=2048)
    sigma_yx = linear_task(run.rng(), [1.5, 1.0, 0.7], n_inputs=width, n_outputs=3).sigma_yx
    constants = run.size("learning rates times depth", quick=(0.2, 0.35, 0.6, 0.9, 1.2), standard=RATES, full=RATES)

    def log_steps(key: jax.Array, sigma_yx: jax.Array, initialise: Callable[..., sim.Weights], depth: int) -> jax.Array:
        start = sim.stack_layers(initialise(key, (width,) * depth + (3,)))
        task = sim.Task.from_moments(sigma_yx)
        rates = np.array(constants) / depth
        goal = 0.05 * jnp.sum(sigma_yx**2) / 2
        fraction = jnp.minimum(goal / sim.loss(start, task), 0.99)
        fewest = sim.fewest_steps(start, task, learning_rates=rates, fraction=fraction, max_steps=10_000)
        return jnp.log(fewest.steps)

    def growth(initialise: Callable[..., sim.Weights]) -> Samples:
        fast, slow = (
            over_replicates(
                log_steps,
                run.keys(replicates, f"depth {depth}"),
                jnp.asarray(sigma_yx),
                initialise,
                depth,
                chunk_size=16,
            )
            for depth in (shallow, deep)
        )
        return Samples(((slow - fast) / np.log(deep / shallow))[:, None])

    return Trial(
        predict=lambda: np.array([0.5]),
        measure=lambda: growth(sim.orthogonal),
        controls={"required to be negative": lambda: np.array([0.0])},
        counterexamples={"Gaussian initial weights": lambda: growth(sim.fan_in_gaussian)},
        scale=1.0,
    )


@PAPER.claim(
    "sequential_modes",
    statement=r"""From small random weights of size $\sigma$ the half-rise time of mode $k$ grows by $\tau / s_k$ for
    every factor $e$ by which $\sigma$ shrinks, so that strong modes are learned first.""",
    source="small random initial weights, order of learning",
    agreement=Equivalence(margin=5e-3, resolution=2e-2),
    controls=("tau / (2 s)", "tau / s^2", "the same for all modes"),
)
def sequential_modes(run: Run) -> Trial:
    """Half-rise times of the integrated flow from the same Gaussian directions at two scales, for every draw."""
    draws = run.size("draws", quick=12, standard=64, full=1024)
    sigmas = run.size("sigmas", quick=(1e-4, 1e-5), standard=(1e-5, 1e-6), full=(1e-6, 1e-7))
    task = linear_task(run.rng(), [3.0, 1.5, 0.75], n_inputs=4, n_outputs=4)

    def half_rise(key: jax.Array, sigma: jax.Array, u: jax.Array, v: jax.Array) -> jax.Array:
        crossings = sim.crossing_times(
            sim.gaussian(key, (4, 8, 4), std=sigma),
            sim.Task.from_moments((u * task.s) @ v.T),
            observe=readout(sim.mode_strengths, u=u, v=v),
            levels=task.s / 2,
            max_time=100.0,
            rtol=1e-8,
            atol=1e-12,
        )
        return crossings.times

    def measure() -> np.ndarray:
        u, v = jnp.asarray(task.u), jnp.asarray(task.v)
        wide, narrow = (over_replicates(half_rise, run.keys(draws), jnp.asarray(sigma), u, v) for sigma in sigmas)
        return (narrow - wide) / np.log(sigmas[0] / sigmas[1])

    def every_draw(slope: np.ndarray) -> np.ndarray:
        return np.tile(slope, (draws, 1))

    return Trial(
        predict=lambda: every_draw(1 / task.s),
        measure=measure,
        controls={
            "tau / (2 s)": lambda: every_draw(1 / (2 * task.s)),
            "tau / s^2": lambda: every_draw(1 / task.s**2),
            "the same for all modes": lambda: every_draw(np.full(3, 1 / task.s[0])),
        },
    )
