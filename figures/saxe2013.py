"""Saxe, McClelland and Ganguli 2013: learning curves of modes, and what depth costs."""

from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from figures.studio import Drawing, figure
from figures.style import canvas, colour, depth_axis, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from paper_checks.problems import linear_task
from simulations import deep_linear as sim
from simulations.replicates import over_replicates
from theory import deep_linear

Array = NDArray[np.float64]

STRENGTHS = (2.0, 1.6, 1.3)
GOAL = 1e-3


@figure(
    "saxe2013.mode_strength",
    caption=r"""Strength u of each singular mode while a two-layer linear network learns, over its final strength s.
    Left: from decoupled weights; lines are the closed form, markers gradient descent on the weight matrices (no
    randomness enters, so no error bars). Right: from small Gaussian weights; markers and bars are mean and standard
    deviation over networks, lines the matrix solution averaged over the same initial weights. The decoupled modes start
    at the mean strength of the growing part of the Gaussian ones: strong modes are learned first, and nearly at the
    same times.""",
)
def mode_strength(run: Run) -> Drawing:
    """Train full matrices, from decoupled and from random weights."""
    inputs, hidden, outputs = run.size("layers", quick=(12, 32, 8), standard=(64, 64, 16), full=(784, 200, 10))
    draws = run.size("draws", quick=12, standard=32, full=128)
    rate = run.size("learning rate", quick=5e-3, standard=2e-3, full=2e-3)
    std = 0.01
    task = linear_task(run.rng(), [4.0, 2.0, 1.2, 0.8], n_inputs=inputs, n_outputs=outputs)
    problem = sim.Task.from_moments(task.sigma_yx)
    u0 = hidden * std**2 / 2
    t, times = np.linspace(0, 8, 161), np.arange(0.25, 8.1, 0.5)
    descend = partial(
        sim.gradient_descent,
        task=problem,
        learning_rate=rate,
        steps=sim.steps_at(times, rate),
        observe=partial(sim.mode_strengths, u=task.u, v=task.v),
    )

    def train(key: jax.Array) -> tuple[sim.Weights, jax.Array]:
        start = sim.gaussian(key, (inputs, hidden, outputs), std=std)
        return start, descend(start)

    aligned = np.full((2, task.s.size), np.sqrt(u0))
    decoupled = np.asarray(descend(sim.decoupled(run.key("aligned"), aligned, u=task.u, v=task.v, hidden=(hidden,))))
    (w1, w2), found = over_replicates(train, run.keys(draws))
    sigmoid = deep_linear.mode_strength(t[:, None], s=task.s, u0=u0)
    flows = [deep_linear.two_layer_flow(a, b, task.sigma_yx, t, imbalance=None) for a, b in zip(w1, w2, strict=True)]
    matrix = np.mean([np.einsum("ok,toi,ik->tk", task.u, flow.product, task.v) for flow in flows], axis=0)
    mean, spread = found.mean(axis=0), found.std(axis=0, ddof=1)

    image, ((left, right),) = canvas(1, 2, width=4.0, share_y=True)
    entries: list[tuple[Any, str]] = []
    for k, s in enumerate(task.s):
        line = theory(left, t, sigmoid[:, k] / s, k)
        entries.append(((line, simulation(left, times, decoupled[:, k] / s, k)), f"$s = {s:g}$"))
        theory(right, t, matrix[:, k] / s, k)
        simulation(right, times, mean[:, k] / s, k, error=spread[:, k] / s)
    left.set(xlabel=r"time $t/\tau$", ylabel=r"mode strength $u/s$")
    right.set(xlabel=r"time $t/\tau$")
    legend(left, entries, loc="lower right", title="decoupled weights")
    note(right, "small Gaussian weights", 7.9, 0.02, ha="right")
    numbers: dict[str, Any] = {"s": task.s, "t": t, "sigmoid": sigmoid, "matrix_solution": matrix}
    return Drawing(image, numbers | {"times": times, "decoupled": decoupled, "random_mean": mean, "random_std": spread})


@figure(
    "saxe2013.phase_portrait",
    caption=r"""Strengths a and b of the two layers of one mode, s = 1. Each starts at a filled dot and keeps to its
    hyperbola a^2 - b^2 = const; lines are the exact trajectories, markers gradient descent from the same starts, seen
    at equal time intervals of 0.3 tau (no randomness enters). All end on the thick grey curve ab = s, on the side given
    by the sign of a + b; the grey diagonal a + b = 0 runs into the saddle at the origin.""",
)
def phase_portrait(run: Run) -> Drawing:
    """Follow one-neuron layers through the plane of their strengths."""
    rate = run.size("learning rate", quick=5e-3, standard=1e-3, full=1e-4)
    starts = np.array(
        [[0.1, 0.1], [1.0, -0.7], [1.8, -1.2], [-0.5, 0.9], [-1.2, 1.8], [2.0, 0.1], [0.3, 1.9], [2.2, 1.7]]
    )
    starts = np.concatenate([starts, -starts[[0, 1, 3, 5, 6, 7]]])
    t, times = np.linspace(0, 9, 901), np.arange(1, 31) * 0.3
    steps = sim.steps_at(times, rate)

    def train(start: jax.Array) -> jax.Array:
        layers = (start[:1, None], start[1:, None])
        task = sim.Task.from_moments([[1.0]])
        return sim.gradient_descent(
            layers, task, learning_rate=rate, steps=steps, observe=lambda w: jnp.ravel(jnp.stack(w))
        )

    found = over_replicates(train, starts)
    a, b = deep_linear.unbalanced_modes(t, s=1.0, a0=starts[:, :1], b0=starts[:, 1:])

    image, ((axes,),) = canvas(width=4.4, height=4.2)
    ends = np.geomspace(0.3, 3, 200)
    for sign in (1, -1):
        reference(axes, sign * ends, sign / ends, linestyle="-", linewidth=4, alpha=0.5)
    reference(axes, [-2.4, 2.4], [2.4, -2.4])
    for k in range(len(starts)):
        series = 1 if starts[k].sum() > 0 else 2
        theory(axes, a[k], b[k], series, linestyle="-", linewidth=1.2)
        simulation(axes, found[k, :, 0], found[k, :, 1], series, markersize=3.5)
        axes.plot(*starts[k], "o", color=colour(series), markersize=5, zorder=4)
    note(axes, "$ab = s$", 0.6, 2.15)
    note(axes, "$a + b = 0$", -2.3, 1.3)
    axes.set(xlim=(-2.4, 2.4), ylim=(-2.4, 2.4), aspect="equal", xlabel="first layer $a$", ylabel="second layer $b$")
    return Drawing(image, {"t": t, "a": a, "b": b, "starts": starts, "times": times, "descent": found})


@figure(
    "saxe2013.learning_time",
    caption=r"""Gradient steps that one mode (s = 1.5) takes to 95 % of s when the learning rate falls with depth as c /
    (D s^(2 - 2/D)), c = 0.02. From a product of fixed initial strength u0 their number levels off at the limit of
    infinite depth (grey); from layers of a fixed strength a0 below one it explodes, because the product starts ever
    weaker. Lines: theory for small c; markers: gradient descent on a chain of one-neuron layers (no randomness
    enters).""",
)
def learning_time(run: Run) -> Drawing:
    """Count the steps of chains of one-neuron layers."""
    s, u, c = 1.5, 0.95 * 1.5, 0.02
    depths = np.array(
        run.size(
            "depths",
            quick=(2, 4, 8, 16, 32, 64),
            standard=(2, 4, 8, 16, 32, 64, 128),
            full=(2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128),
        )
    )
    curve = np.unique(np.geomspace(2, depths[-1], 60).astype(int))
    starts = {r"$u_0 = 1$": (1.0, 0), r"$u_0 = 0.1$": (0.1, 0), r"$a_0 = 0.85,\ u_0 = a_0^D$": (0.85, 1)}

    def strength(base: float, per_layer: int, depth: ArrayLike) -> Array:
        return base ** np.asarray(depth, dtype=float) ** per_layer

    def count(depth: int, u0: float) -> float:
        chain = (jnp.full((depth, 1, 1), u0 ** (1 / depth)),)
        counted = sim.steps_to_fraction(
            chain,
            sim.Task.from_moments([[s]]),
            learning_rate=c / (depth * s ** (2 - 2 / depth)),
            fraction=((s - u) / (s - u0)) ** 2,
            max_steps=10**7,
        )
        return float(counted.crossing)

    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"depth": curve, "simulated_depth": depths}
    for k, (label, start) in enumerate(starts.items()):
        u0 = strength(*start, curve)
        line = [
            deep_linear.training_steps(u, s=s, u0=w, depth=int(d), rate_constant=c)
            for d, w in zip(curve, u0, strict=True)
        ]
        kept = depths[strength(*start, depths) > 1e-3]
        found = [count(int(d), float(strength(*start, d))) for d in kept]
        entries.append(((theory(axes, curve, line, k), simulation(axes, kept, found, k)), label))
        numbers |= {f"theory_{k}": line, f"simulation_{k}": found}
        if not start[1]:
            limit = deep_linear.training_steps(u, s=s, u0=start[0], depth=np.inf, rate_constant=c)
            reference(axes, [2, depths[-1]], [limit, limit])
            numbers[f"limit_{k}"] = limit
    axes.set(yscale="log", ylim=(70, 1e6), ylabel="gradient steps")
    depth_axis(axes, depths[np.log2(depths) % 1 == 0])
    legend(axes, entries, loc="upper left")
    return Drawing(image, numbers)


@figure(
    "saxe2013.learning_rate",
    caption=r"""Learning rates of deep linear networks against depth; strongest mode s = 2. Line and circles: the
    largest rate at which gradient descent is stable at the minimum, 2 / (D s^(2 - 2/D)), and the same found by
    bisection on perturbed minima; it falls as 1/D (grey) in deep networks. Other markers: the rate that cuts the loss a
    thousandfold in the fewest steps, from orthogonal and from Gaussian weights of variance 1/n (geometric mean and
    standard deviation over draws). For orthogonal weights it stays just below the limit, for Gaussian ones it falls
    faster.""",
)
def learning_rate(run: Run) -> Drawing:
    """Bisect for the stability limit, scan for the fastest rate."""
    races = _races(run.scale, run.seed)
    n_steps = run.size("steps of a probe", quick=2000, standard=4000, full=20_000)
    curve = np.arange(2, races.depths[-1] + 1)
    critical = [deep_linear.critical_learning_rate(s=STRENGTHS[0], depth=int(d)) for d in curve]
    task = sim.Task.from_moments(np.diag(STRENGTHS))

    def measure(depth: int) -> float:
        minimum = (np.tile(np.diag(np.array(STRENGTHS) ** (1 / depth)), (depth, 1, 1)),)
        low, high = 1e-3, 4.0
        while high > 1.002 * low:
            rate = float(np.sqrt(low * high))
            probe = sim.probe_stability(
                minimum, task, learning_rate=rate, n_steps=n_steps, perturbation=1e-7, key=run.key()
            )
            low, high = (rate, high) if float(probe.distance) < 1e-6 else (low, rate)
        return low

    found = [measure(int(depth)) for depth in races.depths]
    image, ((axes,),) = canvas()
    line, marks = theory(axes, curve, critical, 0), simulation(axes, races.depths, found, 0)
    entries: list[tuple[Any, str]] = [((line, marks), "stability limit")]
    numbers: dict[str, Any] = {"depth": curve, "critical": critical, "measured_depth": races.depths, "measured": found}
    for k, name in enumerate(("orthogonal", "Gaussian"), 1):
        logs = np.log(races.rates[name])
        mean = np.exp(logs.mean(axis=1))
        bars = mean * np.abs(np.expm1(np.outer([-1, 1], logs.std(axis=1, ddof=1))))
        entries.append((simulation(axes, races.depths * 1.03 ** (2 * k - 3), mean, k, error=bars), f"fastest, {name}"))
        numbers |= {f"fastest_{name}": mean, f"fastest_{name}_bars": bars}
    guide = reference(axes, curve, 1.5 / curve)
    axes.set(yscale="log", ylim=(0.006, 1.1), ylabel=r"learning rate $\eta$")
    ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    axes.set_yticks(ticks, [f"{rate:g}" for rate in ticks])
    depth_axis(axes, races.depths)
    legend(axes, [*entries, (guide, r"$\propto 1/D$")], loc="lower left")
    return Drawing(image, numbers)


@figure(
    "saxe2013.training_steps",
    caption=r"""Gradient steps until the loss has fallen a thousandfold, against depth. Markers with bars: networks at
    their best learning rates (mean and standard deviation over draws), from Gaussian weights of variance 1/n, from the
    same weights after greedy pretraining of all layers but the last as autoencoders, and from orthogonal weights. Line
    and diamonds: theory and gradient descent (no randomness enters) at the small rate 0.1 / (D s^(2 - 2/D)), s the
    strongest mode, from decoupled isometries: what pretraining reaches when inputs and task share their singular
    vectors. Gaussian weights pay far more for depth than the others.""",
)
def training_steps(run: Run) -> Drawing:
    """Race learning rates against one another for three kinds of initial weights."""
    races = _races(run.scale, run.seed)
    curve = np.unique(np.geomspace(2, races.depths[-1], 24).astype(int))
    s, c = np.array(STRENGTHS), 0.1

    def rate(depth: int) -> float:
        return c / (depth * s[0] ** (2 - 2 / depth))

    def predict(depth: int) -> float:
        def excess(t: float) -> float:
            gap = s - deep_linear.mode_strength(t, s=s, u0=1.0, depth=depth)
            return float(gap @ gap - GOAL * (s - 1) @ (s - 1))

        return brentq(excess, 0, 6) / rate(depth)

    def count(depth: int) -> float:
        start, task = (np.tile(np.eye(3), (depth, 1, 1)),), sim.Task.from_moments(np.diag(s))
        counted = sim.steps_to_fraction(start, task, learning_rate=rate(depth), fraction=GOAL, max_steps=10_000)
        return float(counted.crossing)

    line, counted = [predict(int(d)) for d in curve], [count(int(d)) for d in races.depths]
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"depth": curve, "theory": line, "simulated_depth": races.depths, "isometries": counted}
    for k, name in ((2, "Gaussian"), (1, "orthogonal"), (4, "pretrained")):
        mean, spread = races.steps[name].mean(axis=1), races.steps[name].std(axis=1, ddof=1)
        beside = races.depths * {"Gaussian": 1.0, "orthogonal": 0.97, "pretrained": 1.03}[name]
        entries.append((simulation(axes, beside, mean, k, error=spread), f"{name}, best rate"))
        numbers |= {f"{name}_mean": mean, f"{name}_std": spread}
    marks = simulation(axes, races.depths, counted, 3)
    entries.append(((theory(axes, curve, line, 3, linestyle="-"), marks), "decoupled isometries, small rate"))
    axes.set(yscale="log", ylabel="gradient steps")
    depth_axis(axes, races.depths)
    legend(axes, entries, loc="upper left")
    return Drawing(image, numbers)


class Races(NamedTuple):
    """Best learning rates and the steps they took, (depth, draw) for each kind of initial weights."""

    depths: Array
    rates: dict[str, Array]
    steps: dict[str, Array]


@lru_cache(maxsize=1)
def _races(scale: str, seed: int) -> Races:
    run = Run("figure:saxe2013.races", scale, seed)
    depths = run.size("depths", quick=(2, 4, 8, 16), standard=(2, 4, 8, 16, 32), full=(2, 4, 8, 16, 32, 64))
    # from Gaussian weights the steps grow with depth over width, and without bound
    width = run.size("width", quick=8, standard=16, full=64)
    draws = run.size("draws", quick=16, standard=32, full=128)
    candidates = np.geomspace(0.05, 1.5, run.size("rates", quick=20, standard=30, full=60))
    task = linear_task(run.rng(), STRENGTHS, n_inputs=width, n_outputs=3)
    gaussian = run.rng("layers").standard_normal((draws, depths[-1], width, width)) / np.sqrt(width)
    layers = {
        "Gaussian": gaussian,
        "orthogonal": over_replicates(_orthogonal_layers, run.keys(draws), width, depths[-1]),
    }
    pretrained = over_replicates(_pretrain, gaussian[:, :-1])
    layers["pretrained"] = np.concatenate([pretrained, gaussian[:, -1:]], axis=1)
    problem = sim.Task.from_moments(task.sigma_yx)
    rates: dict[str, Array] = {}
    steps: dict[str, Array] = {}
    for name, stack in layers.items():
        rows = []
        for depth in depths:
            start = (stack[:, : depth - 1], stack[:, -1, :3])
            rows.append(over_replicates(_race, start, problem, jnp.asarray(candidates / depth), chunk_size=8))
            if not rows[-1].reached.all():
                raise RuntimeError(f"some {name} networks of depth {depth} did not train at any learning rate")
        rates[name] = np.stack([row.learning_rate for row in rows])
        steps[name] = np.stack([row.steps for row in rows])
    return Races(np.array(depths), rates, steps)


def _orthogonal_layers(key: jax.Array, width: int, depth: int) -> jax.Array:
    return jax.vmap(partial(sim.haar, n=width))(jax.random.split(key, depth))


def _pretrain(stack: jax.Array) -> jax.Array:
    return jnp.stack(sim.pretrain_layers((stack,), learning_rate=0.1, n_steps=400, sigma_xx=np.eye(stack.shape[1])))


def _race(start: sim.Weights, task: sim.Task, rates: jax.Array) -> sim.FewestSteps:
    return sim.fewest_steps(start, task, learning_rates=rates, fraction=GOAL, max_steps=100_000)
