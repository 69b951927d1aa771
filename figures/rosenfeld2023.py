"""Rosenfeld and Risteski 2023: a rare feature of either sign sharpens the loss, and holds the sharpness at 2 / eta."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations import deep_linear as networks
from simulations.deep_linear import opposing_signals as sim
from theory import deep_linear

Array = NDArray[np.float64]

MAGNITUDE, PROBABILITY, GAMMA = 10.0, 0.2, 0.4
POWER = PROBABILITY * MAGNITUDE**2


def _outliers(beta: Array) -> sim.Outliers:
    return sim.Outliers.make(beta, magnitude=MAGNITUDE, probability=PROBABILITY, gamma=GAMMA)


@figure(
    "rosenfeld2023.sharpening",
    caption=r"""Gradient flow of a two-layer linear network of 3 hidden units from small balanced weights, with a rare
    feature of power alpha = 20 that appears with both signs. Left: sharpness, the top eigenvalue of the Hessian. Solid
    line: closed form along the solved flow; dashed: alpha |v|^2, which it tracks once the outlier is unlearned; grey:
    its end, alpha |beta|. Right: the weights of the function on the outlier and along beta. Markers: all weights
    integrated, Hessians by automatic differentiation (no randomness but the start; no error bars). The sharpness falls
    while the network unlearns the outlier, and rises while it learns the rest.""",
)
def sharpening(run: Run) -> Drawing:
    """Follow the flow of all weights, and that of the function."""
    hidden, dim = run.size("hidden units and inputs", quick=(3, 3), standard=(8, 6), full=(32, 16))
    rng = run.rng()
    beta = rng.standard_normal(dim)
    beta *= 1.5 / np.linalg.norm(beta)
    direction = np.append(beta / 1.5 + 0.2 * rng.standard_normal(dim), 1.0)
    unit = rng.standard_normal(hidden)
    v = unit * np.sqrt(0.12) / np.linalg.norm(unit)
    w = np.outer(v, direction / np.linalg.norm(direction))
    curve, marks = np.linspace(0, 3, 301), np.concatenate([[0.0, 0.05, 0.1, 0.2, 0.3], np.arange(0.4, 3.1, 0.2)])

    path = deep_linear.balanced_outlier_flow(curve, w0=w.T @ v, beta=beta, outlier_power=POWER)
    line = deep_linear.balanced_sharpness(path, beta=beta, outlier_power=POWER)
    tracked = POWER * np.linalg.norm(path, axis=1)
    end = deep_linear.converged_sharpness(beta, outlier_power=POWER)
    task = sim.population(_outliers(beta))
    flow = networks.gradient_flow((w, v[None]), task, times=marks)
    found = np.asarray(jax.vmap(sim.sharpness, (0, None))(flow, task))
    function = np.einsum("tki,tok->ti", *(np.asarray(layer) for layer in flow))

    image, ((left, right),) = canvas(1, 2, width=4.0)
    reference(left, curve[[0, -1]], [end, end])
    lines = theory(left, curve, line, 0), simulation(left, marks, found, 0)
    left_entries: list[tuple[Any, str]] = [(lines, "sharpness"), (theory(left, curve, tracked, 1), r"$\alpha |v|^2$")]
    left.set(xlabel="time", ylabel="largest eigenvalue", ylim=(0, 1.08 * end))
    legend(left, left_entries, loc="lower right")
    note(left, r"$\alpha |\beta|$", 0.05, 1.01 * end, va="bottom")
    along = beta / np.linalg.norm(beta)
    right_entries: list[tuple[Any, str]] = []
    for k, (exact, seen, label) in enumerate(
        (
            (path[:, -1], function[:, -1], r"on the outlier, $w_o$"),
            (path[:, :-1] @ along, function[:, :-1] @ along, r"along $\beta$"),
        )
    ):
        right_entries.append(((theory(right, curve, exact, k + 2), simulation(right, marks, seen, k + 2)), label))
    right.set(xlabel="time", ylabel="weight of the function")
    legend(right, right_entries, loc="center right")
    numbers = {"time": curve, "sharpness": line, "tracked": tracked, "marks": marks, "found": found, "end": end}
    return Drawing(image, numbers | {"path": path, "function": function})


@figure(
    "rosenfeld2023.self_stabilisation",
    caption=r"""Gradient descent of a network of one hidden unit, alpha = 20, |beta| = 1, with a step of 1.3 times
    2 / (alpha |beta|). Lines: the recursion in v, a and b; markers: descent of the mean loss by automatic gradients,
    every third step (no randomness). Top: alpha v^2, the outlier's curvature, overshoots 2 / eta (grey), and settles
    below it. Middle: the outlier's weight outgrows its start by orders of magnitude while alpha v^2 is above. Bottom:
    loss of the examples on which the outlier is +A (triangles) and -A (diamonds): during the spike one rises while the
    other falls, in turn from step to step.""",
)
def self_stabilisation(run: Run) -> Drawing:
    """Descend beyond the critical step, and record everything."""
    n_steps = run.size("steps", quick=120, standard=120, full=120)
    rate = 1.3 * deep_linear.critical_outlier_rate([1.0], outlier_power=POWER)
    path = deep_linear.scalar_descent(
        v0=0.25, a0=0.25, b0=2e-3, beta=1.0, outlier_power=POWER, learning_rate=rate, n_steps=n_steps
    )
    lines = np.array(
        [
            deep_linear.group_losses([v], [[a, b]], beta=[1.0], magnitude=MAGNITUDE, gamma=GAMMA)
            for v, a, b in zip(path.v, path.a, path.b, strict=True)
        ]
    )[:, :2]
    data = _outliers(np.ones(1))
    start = (jnp.array([[0.25, 2e-3]]), jnp.array([[0.25]]))
    first, second = networks.gradient_descent(
        start, sim.population(data), learning_rate=rate, steps=np.arange(n_steps + 1)
    )
    groups = np.stack(
        [jax.vmap(networks.loss, (0, None))((first, second), sim.group(data, sign)) for sign in (1, -1)], axis=1
    )
    v, b = np.asarray(second)[:, 0, 0], np.asarray(first)[:, 0, 1]

    steps = np.arange(n_steps + 1)
    shown = slice(None, None, 3)
    image, panels = canvas(3, 1, width=5.4, height=2.2)
    top, middle, bottom = panels[:, 0]
    reference(top, steps[[0, -1]], 2 * [2 / rate])
    reference(top, steps[[0, -1]], 2 * [1 / rate], linestyle=":")
    theory(top, steps, POWER * path.v**2, 0)
    simulation(top, steps[shown], POWER * v[shown] ** 2, 0)
    note(top, r"$2/\eta$", 1, 2 / rate, va="bottom")
    note(top, r"$1/\eta$", 1, 1 / rate, va="bottom")
    top.set(xlabel="step", ylabel=r"$\alpha v^2$")
    theory(middle, steps, np.abs(path.b), 1)
    simulation(middle, steps[shown], np.abs(b[shown]), 1)
    reference(middle, steps[[0, -1]], 2 * [2e-3])
    middle.set(xlabel="step", ylabel="$|b|$", yscale="log", ylim=(1e-8, 1))
    entries: list[tuple[Any, str]] = []
    for k, label in enumerate(("$+A$", "$-A$")):
        handles = theory(bottom, steps, lines[:, k], k + 2), simulation(bottom, steps[shown], groups[shown, k], k + 2)
        entries.append((handles, label))
    bottom.set(xlabel="step", ylabel="loss where $o$ is")
    legend(bottom, entries, loc="upper left")
    numbers = {"steps": steps, "v": path.v, "b": path.b, "losses": lines, "measured_v": v, "measured_b": b}
    return Drawing(image, numbers | {"measured_losses": groups, "rate": rate, "power": POWER})


@figure(
    "rosenfeld2023.edge_of_stability",
    caption=r"""Where gradient descent of one hidden unit ends, against its step over eta_c = 2 / (alpha |beta|). Left:
    alpha v^2 at the end over alpha |beta|; right: the largest outlier's weight over its start. Markers: mean and range
    over random alpha, |beta| and small balanced starts. Lines: the closed form below eta_c, alpha |beta| and 1; grey:
    2 / eta, which no run ends above, and dotted 1 / eta. Steps within 4 % of eta_c are left out: there the growth is
    too slow to be seen.""",
)
def edge_of_stability(run: Run) -> Drawing:
    """Descend from random starts with steps below and beyond the critical one."""
    draws, n_steps = run.size("draws and steps", quick=(20, 4000), standard=(200, 8000), full=(2000, 8000))
    ratios = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.96, 1.04, 1.1, 1.2, 1.3, 1.4, 1.5])
    rng = run.rng()
    power, length = rng.uniform(8, 20, draws), rng.uniform(0.7, 1.5, draws)
    v0, b0 = np.sqrt(length) * rng.uniform(0.2, 0.4, draws), 1e-3 * rng.uniform(0.5, 1.0, draws)

    def one(power: jax.Array, length: jax.Array, v0: jax.Array, b0: jax.Array, ratio: jax.Array) -> jax.Array:
        data = sim.Outliers.make(length[None], magnitude=jnp.sqrt(power / 0.1), probability=0.1, gamma=GAMMA)
        start = (jnp.stack([v0, b0])[None], v0[None, None])
        rate = 2 * ratio / (power * length)
        seen = sim.watch_descent(start, sim.population(data), learning_rate=rate, n_steps=n_steps)
        return jnp.stack([seen.weights[1][0, 0] ** 2 / length, seen.outlier / b0])

    over_draws = jax.vmap(one, in_axes=(0, 0, 0, 0, None))
    found = np.asarray(jax.jit(jax.vmap(over_draws, in_axes=(None,) * 4 + (0,)))(power, length, v0, b0, ratios))

    image, ((left, right),) = canvas(1, 2, width=4.0)
    below, beyond = np.array([0.5, 1.0]), np.linspace(1.0, 1.5, 101)
    curve = np.linspace(0.5, 1.5, 201)
    reference(left, curve, 1 / curve)
    reference(left, curve, 0.5 / curve, linestyle=":")
    for axes, k in ((left, 0), (right, 1)):
        theory(axes, below, np.ones(2), k)
        centre = found[..., k].mean(axis=1)
        spread = np.abs(np.stack([found[..., k].min(axis=1), found[..., k].max(axis=1)]) - centre)
        simulation(axes, ratios, centre, k, error=spread)
        axes.set(xlabel=r"step $\eta / \eta_c$")
    note(left, r"$2/\eta$", 1.25, 1 / 1.25 + 0.06)
    note(left, r"$1/\eta$", 1.25, 0.5 / 1.25 + 0.02)
    left.set(ylabel=r"$\alpha v^2$ at the end, over $\alpha |\beta|$", ylim=(0, 1.15))
    right.set(ylabel="largest outlier's weight, over its start", yscale="log")
    return Drawing(image, {"ratios": ratios, "found": found, "border": 1 / beyond})
