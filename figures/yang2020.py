"""Yang and Hu 2021: movements against width, the plane of parametrisations, and losses on the way to the limit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk

TANH = sim.ACTIVATIONS["tanh"]
X, Y = np.array([[1.0, 0.5], [-0.6, 1.1]]), np.array([1.0, -0.7])
NAMES = {
    "maximal update": ntk.abc_preset("mup", n_hidden=2),
    "$r = 1/4$": ntk.Parametrisation((-0.5, 0.0, 0.25), (0.5, 0.5, 0.5), 0.5),
    "tangent": ntk.abc_preset("ntp", n_hidden=2),
    "standard, rate $1/n$": ntk.abc_preset("sp_lr_over_width", n_hidden=2),
    "standard, rate $n^{-3/2}$": ntk.Parametrisation((0.0, 0.0, 0.0), (0.0, 0.5, 0.5), 1.5),
}


def _movements(key: jax.Array, x: jax.Array, y: jax.Array, a: Any, b: Any, c: Any, n: int) -> jax.Array:
    """Logarithms of the movements of features and output, for every parametrisation (P, 2)."""
    draws = sim.draw_matrices(key, (2, n, n, 1))

    def of(a: jax.Array, b: jax.Array, c: jax.Array) -> jax.Array:
        options: dict[str, Any] = {"learning_rate": 0.5, "n_steps": 3, "activation": TANH, "centred": True}
        path = sim.abc_descent(draws, x, y, a=a, b=b, c=c, **options)
        return 0.5 * jnp.log(sim.mean_square_changes(path, TANH)[-1, 3:])

    return jax.vmap(of)(a, b, c)


@figure(
    "yang2020.movements",
    caption=r"""How far three steps of gradient descent move coordinates of the last hidden layer (left) and the output
    (right) of tanh networks with two hidden layers, against their width. Markers: typical movements of simulated
    networks, with standard errors. Lines: the predicted powers of the width, n^-r on the left, through the widest
    networks. In the maximal update parametrisation features move by as much in wide networks as in narrow ones; in the
    last parametrisation nothing is learned at all.""",
)
def movements(run: Run) -> Drawing:
    """Train networks of several widths in five parametrisations, from the same draws."""
    widths = np.array(run.size("widths", quick=(16, 32, 64, 128), standard=(32, 128, 512), full=(64, 512, 4096)))
    networks = run.size("networks", quick=100, standard=100, full=100)
    a, b, c = (jnp.asarray(part) for part in zip(*NAMES.values(), strict=True))
    data = jnp.asarray(X), jnp.asarray(Y), a, b, c
    found = np.stack([over_replicates(_movements, run.keys(networks, f"{n}"), *data, int(n)) for n in widths])
    size, error = np.exp(found.mean(axis=1)), found.std(axis=1) / np.sqrt(networks)
    exponents = np.array([ntk.abc_exponents(*p)[4:6] for p in NAMES.values()], dtype=float)
    lines = size[-1] * (widths[:, None, None] / widths[-1]) ** exponents
    image, (panels,) = canvas(1, 2, width=4.4, height=3.4)
    for panel, axes in enumerate(panels):
        entries: list[tuple[Any, str]] = []
        for k, name in enumerate(NAMES):
            line = theory(axes, widths, lines[:, k, panel], k)
            bars = size[:, k, panel] * error[:, k, panel]
            entries.append(((line, simulation(axes, widths, size[:, k, panel], k, error=bars)), name))
        axes.set(xscale="log", yscale="log", xlabel="width $n$")
        axes.set_xticks(widths, [str(n) for n in widths])
        axes.minorticks_off()
    panels[0].set_ylabel(r"movement of features, $|x^2_3 - x^2_0|$")
    panels[1].set_ylabel(r"movement of the output, $|f_3 - f_0|$")
    legend(panels[1], entries, loc="upper left", bbox_to_anchor=(1, 1))
    return Drawing(image, {"widths": widths, "size": size, "error": error, "lines": lines, "exponents": exponents})


@figure(
    "yang2020.regimes",
    caption=r"""Stable parametrisations in the plane of the size of the readout at the start, n^-(a + b), and of r.
    Full line: where the output moves at order one because features do; broken line: r = 0, where features move. Grey:
    stable, if the readout learns slowly enough; inside the output moves only if the readout learns, 2 a + c = 1, and
    everything there is a kernel. Markers: random parametrisations of up to three hidden layers, classified by following
    powers of the width through training: features and output move (triangles), the output moves and the tangent kernel
    stays (circles), or the output does not move (crosses).""",
)
def regimes(run: Run) -> Drawing:
    """Follow powers of n through training for random parametrisations, and mark them by what they do."""
    count = run.size("parametrisations", quick=400, standard=1500, full=1500)
    rng = run.rng()
    unit = sim.UNIT
    places = []
    for depth in (1, 2, 3):
        a = rng.integers(-unit, unit, (count, depth + 1))
        total = np.full((count, depth + 1), unit // 2)
        total[:, 0], total[:, -1] = 0, rng.integers(unit // 2, 3 * unit // 2 + 1, count)
        fastest = np.min(2 * a[:, :-1] + unit * (np.arange(depth) == 0), axis=1)
        border = np.where(rng.random(count) < 0.5, unit - 2 * a[:, -1], unit - fastest - total[:, -1])
        c = np.where(rng.random(count) < 0.7, border, rng.integers(-unit, 2 * unit, count))
        slack = np.minimum(total[:, -1], 2 * a[:, -1] + c) + c - unit + fastest
        a[:, :-1] -= np.where(rng.random(count) < 0.4, slack // 2, 0)[:, None]  # faster hidden layers
        found = sim.follow_powers(a, total - a, c)
        stable = np.all(found.changes <= 0, axis=1) & (found.output_change <= 0) & (found.output <= 0)
        kinds = np.where(found.output_change < 0, 2, np.where(found.changes[:, -1] == 0, 0, 1))
        places.append(np.stack([total[:, -1] / unit, -found.changes[:, -1] / unit, kinds], axis=1)[stable])
    place = np.concatenate(places)
    place = place[place[:, 1] <= 1.05]
    image, ((axes,),) = canvas(width=5.4, height=3.8)
    start = np.linspace(0.5, 1.5, 101)
    lowest = np.maximum(1 - start, 0)
    axes.fill_between(start, lowest, 1.05, color="0.93", zorder=0)
    diagonal = theory(axes, start[start <= 1], lowest[start <= 1], 0)
    features = theory(axes, start[start >= 1], 0 * start[start >= 1], 1)
    reference(axes, [0.5, 0.5], [0.5, 1.05])
    marks = []
    for kind, (series, marker, size) in enumerate(((1, "^", 5.5), (2, "o", 3.5), (0, "x", 3.0))):
        inside = place[place[:, 2] == kind]
        options: dict[str, Any] = {"marker": marker, "markersize": size, "zorder": 5 - kind}
        marks.append(simulation(axes, inside[:, 0], inside[:, 1], series, **options))
    note(axes, "unstable", 0.6, 0.15)
    axes.set(xlabel=r"$a_{L+1} + b_{L+1}$", ylabel="$r$", xlim=(0.47, 1.53), ylim=(-0.06, 1.08))
    labels = ("$r = 1 - a - b$", "$r = 0$", "features move", "kernel stays", "output stays")
    legend(axes, list(zip((diagonal, features, *marks), labels, strict=True)), loc="upper left", bbox_to_anchor=(1, 1))
    return Drawing(image, {"place": place, "start": start, "lowest": lowest})


def _losses(replicate: Any, x: jax.Array, y: jax.Array, size: int, rate: float, steps: int) -> jax.Array:
    key, n = replicate
    neurons = jax.random.normal(key, (size, x.shape[1] + 1))
    masses = (jnp.arange(size) < n) / n
    options: dict[str, Any] = {"learning_rate": rate, "n_steps": steps, "activation": TANH, "x_test": x}
    path = sim.population_descent(neurons, masses, x, y, **options)
    return 0.5 * jnp.mean((path - y) ** 2, axis=1)


@figure(
    "yang2020.losses",
    caption=r"""Training loss of tanh networks with one hidden layer in the maximal update parametrisation, against
    steps. Line: infinite width, by particles; broken line: the limit of the same network with its tangent kernel of the
    start, which does not learn features. Markers: mean and standard deviation of simulated networks of three widths,
    shifted sideways a little. Wider networks scatter less about the limit, and it is not the kernel's.""",
)
def losses(run: Run) -> Drawing:
    """Train networks of three widths, and the two limits."""
    widths = run.size("widths", quick=(16, 64, 256), standard=(16, 128, 1024), full=(16, 256, 4096))
    networks = run.size("networks", quick=60, standard=100, full=100)
    x, y = np.array([[1.0, 0.3], [-0.5, 0.9], [0.2, -1.0]]), np.array([3.0, -1.8, 2.4])
    rate, steps = 0.25, 14
    f = ntk.mup_two_layer_limit(x, y, lr=rate, n_steps=steps, n_nodes=40)
    limit = 0.5 * np.mean((f - y) ** 2, axis=1)
    square = np.sum(x**2, axis=1)
    dual = ntk.dual_activation(square[:, None], x @ x.T, square, activation="tanh")
    kernel = dual.value + dual.derivative * (x @ x.T)
    lazy = ntk.ntk_gp(np.tile(kernel, (2, 2)), np.zeros((6, 6)), y, t=np.arange(steps + 1), learning_rate=rate).mean
    frozen = 0.5 * np.mean((lazy - y) ** 2, axis=1)
    t = np.arange(steps + 1)
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = [
        (theory(axes, t, limit, 0), r"$n \to \infty$"),
        (theory(axes, t, frozen, 1), "tangent kernel"),
    ]
    data = jnp.asarray(x), jnp.asarray(y), max(widths), rate, steps
    means, spreads = [], []
    for k, n in enumerate(widths):
        found = over_replicates(_losses, (run.keys(networks, f"{n}"), np.full(networks, n)), *data)
        means.append(found.mean(axis=0))
        spreads.append(found.std(axis=0))
        drawn = simulation(axes, t + 0.12 * (k - 1), means[-1], k + 2, error=spreads[-1])
        entries.append((drawn, f"$n = {n}$"))
    axes.set(xlabel="step $t$", ylabel="training loss")
    legend(axes, entries, loc="upper right")
    return Drawing(image, {"limit": limit, "frozen": frozen, "mean": np.stack(means), "spread": np.stack(spreads)})
