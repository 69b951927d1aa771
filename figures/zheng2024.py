"""Zheng et al. 2024: the descent that linear attention learns from linear sequences, and where it fails."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations.in_context import autoregressive as sim
from simulations.replicates import over_replicates
from theory import in_context

LAWS = {"rademacher": "signs", "gaussian": "Gaussian", "uniform": "uniform"}


@figure(
    "zheng2024.product",
    caption=r"""Product of the two blocks of a linear attention layer while it learns to continue linear sequences
    of T tokens, over its limit kappa_1/kappa_2 for T to infinity. Lines: the closed form of the flow; markers: the
    flow of all entries of both blocks on the loss summed over roots of unity (no randomness enters), from unequal
    blocks; grey: the limits. Time is in units of 1/[(T - 2) kappa_1]. Short sequences leave the product too small.""",
)
def product(run: Run) -> Drawing:
    """Follow the flow of both blocks for short and for long sequences."""
    horizons = run.size("horizons", quick=(10, 50), standard=(10, 100), full=(10, 200))
    curve, times = np.linspace(0, 4, 161), np.append(0.0, np.arange(0.25, 4.1, 0.5))
    image, (panels,) = canvas(1, 2, width=4.0, share_y=True)
    numbers: dict[str, Any] = {"time": curve, "measured_time": times}
    entries: list[tuple[Any, str]] = []
    for axes, horizon in zip(panels, horizons, strict=True):
        for k, (law, label) in enumerate(LAWS.items()):
            moments = in_context.initial_token_moments(law, dim=2)
            unit, rate = in_context.mesa_product(moments, horizon=np.inf), (horizon - 2) * moments.kappa1
            a0, b0 = 0.3 * np.sqrt(unit), 0.6 * np.sqrt(unit)
            line = in_context.mesa_flow(curve / rate, moments, horizon=horizon, a0=a0, b0=b0) / unit
            sequences = sim.enumerate_sequences(*_atoms(law), order=horizon + 1, relative=True)
            form = sim.quadratic_form(sequences, horizon, two_blocks=True)
            path = sim.flow(sim.scaled_identities(a0, b0, 2), form, jnp.asarray(times / rate))
            marks = np.asarray(path.value[:, 0, 2] * path.key_query[:, 4, 2]) / unit
            handles = theory(axes, curve, line, k), simulation(axes, times, marks, k)
            limit = in_context.mesa_product(moments, horizon=horizon) / unit
            reference(axes, curve[[0, -1]], [limit, limit])
            numbers |= {f"line_{horizon}_{law}": line, f"marks_{horizon}_{law}": marks}
            if axes is panels[0]:
                entries.append((handles, label))
        note(axes, f"T = {horizon}", 0.1, 1.03)
        axes.set(xlabel=r"time $(T - 2) \kappa_1 t$", ylim=(0, 1.12))
    panels[0].set(ylabel=r"product $a b \, \kappa_2 / \kappa_1$")
    legend(panels[1], entries, loc="lower right")
    return Drawing(image, numbers)


@figure(
    "zheng2024.prompt_risk",
    caption=r"""Squared error of the next token over its mean square, against the position t in the prompt, at the
    product that infinitely long sequences teach, in three dimensions. Lines: the closed form; markers and bars:
    mean and standard error over prompts with random first tokens and phases. Only signs (and one-hot vectors, which
    are exact at every t) are recovered; the others level off at 1 - kappa_1^2 / (kappa_0 kappa_2) (grey).""",
)
def prompt_risk(run: Run) -> Drawing:
    """Run the layer over random sequences."""
    length = run.size("longest prompt", quick=64, standard=256, full=1024)
    count = run.size("prompts", quick=5000, standard=20_000, full=100_000)
    curve = np.arange(2, length + 1)
    positions = np.unique(np.geomspace(2, length, 9).astype(int))
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"position": curve, "measured_position": positions}
    for k, (law, label) in enumerate(LAWS.items()):
        moments = in_context.initial_token_moments(law, dim=3)
        c = in_context.mesa_product(moments, horizon=np.inf)
        line = in_context.mesa_risk(c, moments, dim=3, position=curve) / (3 * moments.kappa0)
        simulate = partial(_errors, law=law, length=length, positions=tuple(int(t) for t in positions))
        errors = over_replicates(simulate, run.keys(count, law), jnp.asarray(c))
        mean, error = errors.mean(axis=0), errors.std(axis=0, ddof=1) / np.sqrt(count)
        scale = 3 * moments.kappa0
        marks = simulation(axes, positions, mean / scale, k, error=error / scale)
        entries.append(((theory(axes, curve, line, k), marks), label))
        limit = float(in_context.mesa_risk(c, moments, dim=3, position=np.inf)) / scale
        reference(axes, curve[[0, -1]], [limit, limit])
        numbers |= {f"line_{law}": line, f"mean_{law}": mean / scale, f"error_{law}": error / scale}
    axes.set(xscale="log", xlabel="position in the prompt $t$", ylabel="relative squared error", ylim=(-0.03, None))
    axes.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
    axes.minorticks_off()
    legend(axes, entries, loc="upper right")
    return Drawing(image, numbers)


@figure(
    "zheng2024.recovery",
    caption=r"""Prediction of each coordinate over its next value (real part) at the end of a long prompt, against
    the square of the first token's coordinate, for Gaussian first tokens in two dimensions. Markers: one a
    coordinate and prompt; line: the limit (kappa_1 / kappa_2) x_1j^2 of long prompts. The layer predicts well
    (grey: ratio one) only where the square happens to be kappa_2 / kappa_1 = 5.""",
)
def recovery(run: Run) -> Drawing:
    """Run the layer over random sequences from Gaussian first tokens."""
    length = run.size("prompt", quick=300, standard=1000, full=3000)
    count = run.size("prompts", quick=60, standard=80, full=100)
    moments = in_context.initial_token_moments("gaussian", dim=2)
    c = in_context.mesa_product(moments, horizon=np.inf)
    found = over_replicates(partial(_ratios, length=length), run.keys(count), jnp.asarray(c))
    squares, ratios = found[:, 0].ravel(), found[:, 1].ravel()
    image, ((axes,),) = canvas()
    curve = np.array([0.0, 8.0])
    line = theory(axes, curve, c * curve, 1)
    marks = simulation(axes, squares, ratios, 0, markersize=3.5)
    reference(axes, curve, [1, 1])
    axes.set(xlabel=r"$x_{1j}^2$", ylabel=r"$\hat y_{t,j} / x_{t+1,j}$", xlim=(0, 8), ylim=(-0.1, 1.7))
    legend(axes, [(line, "limit of long prompts"), (marks, "layer")], loc="upper left")
    return Drawing(image, {"square": squares, "ratio": ratios, "slope": c})


def _atoms(law: str) -> tuple[np.ndarray, np.ndarray]:
    return sim.first_tokens(law, dim=2)


def _draw(key: jax.Array, law: str, dim: int, length: int) -> jax.Array:
    first, phases = jax.random.split(key)
    tokens = {
        "gaussian": lambda: jax.random.normal(first, (dim,)),
        "rademacher": lambda: jax.random.rademacher(first, (dim,), dtype=float),
        "uniform": lambda: jax.random.uniform(first, (dim,), minval=-1.0, maxval=1.0),
    }[law]()
    return sim.sequence(tokens, sim.sample_eigenvalues(phases, (dim,)), length)


def _errors(key: jax.Array, product: jax.Array, *, law: str, length: int, positions: tuple[int, ...]) -> jax.Array:
    x = _draw(key, law, 3, length + 1)
    found = sim.predict(sim.scaled_identities(product, 1.0, 3), x[:-1])
    return jnp.sum(jnp.abs(found - x[2:]) ** 2, axis=1)[jnp.array(positions) - 2]


def _ratios(key: jax.Array, product: jax.Array, *, length: int) -> jax.Array:
    x = _draw(key, "gaussian", 2, length + 1)
    found = sim.predict(sim.scaled_identities(product, 1.0, 2), x[:-1])[-1]
    return jnp.stack([jnp.abs(x[0]) ** 2, jnp.real(found / x[-1])])
