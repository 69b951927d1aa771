"""Tirer, Huang and Niles-Weed 2022: how features near collapse respond, and how they get there layer by layer."""

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import neural_collapse as sim
from simulations.replicates import over_replicates
from theory import neural_collapse as nc

Array = NDArray[np.float64]


@figure(
    "tirer2022.response_spectrum",
    caption=r"""Singular values, in order, of the response of a class's features to a change of what they are tied to,
    near collapse. Lines are the closed form, markers the implicit derivative of the minimiser from the Hessian of the
    objective at a minimum found from a random start (no error bars: nothing is random but the start). Four classes
    in ten dimensions, weight decay sqrt(2), tie of strength 100. Undamped are turns of the class mean out of the
    frame's span. The two long plateaus are deviations within the class, outside of the span (the higher one) and in it;
    the short ones are changes of the frame. More decay of the features damps deviations more.""",
)
def response_spectrum(run: Run) -> Drawing:
    """Differentiate the minimiser for several decays of the features."""
    k, n, d = run.size("classes, samples, dimension", quick=(4, 5, 10), standard=(4, 10, 10), full=(4, 10, 10))
    decays, weight_decay, beta = (0.1, 0.3, 0.6), float(np.sqrt(2)), 100.0
    image, ((axes,),) = canvas()
    index = np.arange(1, d * n + 1)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"index": index, "decays": decays}
    for series, decay in enumerate(decays):
        line = nc.response_block_singular_values(
            k, n, d, weight_decay=weight_decay, feature_decay=decay, beta=beta
        ).intra
        problem = sim.tied_problem(k, weight_decay=weight_decay, feature_decay=decay, beta=beta)
        point = sim.collapsed_point(run.key(f"decay {decay}"), n, d, problem)
        own = np.asarray(sim.response_matrix(point, problem).features)[: d * n, : d * n]
        found = np.linalg.svd(own, compute_uv=False)
        jumps = np.flatnonzero(np.abs(np.diff(found)) > 1e-9)
        shown = np.unique(np.concatenate([np.arange(0, d * n, 4), jumps, jumps + 1]))
        drawn = theory(axes, index, line, series, drawstyle="steps-mid")
        marks = simulation(axes, index[shown], found[shown], series)
        entries.append(((drawn, marks), rf"$\lambda_H = {decay:g}$"))
        numbers |= {f"theory_{series}": line, f"shown_{series}": index[shown], f"simulation_{series}": found[shown]}
    axes.set(xlabel="index", ylabel="singular value")
    legend(axes, entries, loc="upper right")
    return Drawing(image, numbers)


@figure(
    "tirer2022.layers",
    caption=r"""Variability within classes, relative to that between them, from layer to layer: each layer's features
    minimise the objective while tied to those of the layer before. Markers and bars: geometric mean and spread (one
    standard deviation of the logarithm) over random features at the start; lines: the central path, averaged likewise,
    of which a layer is an implicit step of length 1 / beta. Left: three strengths of the tie, one decay of features.
    Right: three decays of features, one strength. Collapse proceeds at every layer, and the stronger the tie the closer
    to the path.""",
)
def layers(run: Run) -> Drawing:
    """Minimise layer after layer, and integrate the central path beside it."""
    k, n, d = run.size("classes, samples, dimension", quick=(3, 4, 5), standard=(4, 10, 12), full=(10, 50, 32))
    draws = run.size("draws", quick=6, standard=32, full=128)
    depth = run.size("layers", quick=24, standard=48, full=64)
    starts = run.rng().standard_normal((draws, d, k * n))
    weight_decay = 0.2
    image, (panels,) = canvas(1, 2, share_y=True)
    numbers: dict[str, Any] = {}
    cases = [[(beta, 0.1) for beta in (2.0, 5.0, 20.0)], [(5.0, lam) for lam in (0.0, 0.1, 0.3)]]
    for axes, name, pairs in zip(panels, ("tie", "decay"), cases, strict=True):
        entries: list[tuple[Any, str]] = []
        for series, (beta, decay) in enumerate(pairs):
            problem = sim.tied_problem(k, weight_decay=weight_decay, feature_decay=decay, beta=beta)
            found = np.log(over_replicates(_deeper, starts, problem, depth))
            at = np.arange(depth + 1) / beta
            t = np.linspace(0, at[-1], 33)
            paths = [
                nc.central_path_flow(h, t, num_classes=k, weight_decay=weight_decay, feature_decay=decay)
                for h in starts
            ]
            line = np.mean(np.log(_nc1(np.stack(paths), k)), axis=0)
            mean, spread = found.mean(axis=0), found.std(axis=0, ddof=1)
            shown = slice(0, None, max(1, depth // 12))
            middle = np.exp(mean)
            bars = np.stack([middle - np.exp(mean - spread), np.exp(mean + spread) - middle])
            drawn = theory(axes, beta * t, np.exp(line), series)
            marks = simulation(axes, np.arange(depth + 1)[shown], middle[shown], series, error=bars[:, shown])
            label = rf"$\beta = {beta:g}$" if name == "tie" else rf"$\lambda_H = {decay:g}$"
            entries.append(((drawn, marks), label))
            key = f"{name}_{series}"
            numbers |= {f"{key}_layer": beta * t, f"{key}_theory": line, f"{key}_mean": mean, f"{key}_std": spread}
        axes.set(yscale="log", xlabel="layer")
        legend(axes, entries, loc="lower left")
    panels[0].set_ylabel(r"$\mathrm{Tr}\,\Sigma_W\,/\,\mathrm{Tr}\,\Sigma_B$")
    return Drawing(image, numbers)


def _nc1(features: Array, k: int) -> Array:
    """Ratio of the traces of both covariances, for features (..., d, K n)."""
    grouped = features.reshape(*features.shape[:-1], k, -1)
    means = grouped.mean(axis=-1)
    within = np.sum((grouped - means[..., None]) ** 2, axis=(-3, -2, -1)) / features.shape[-1]
    return within / (np.sum((means - means.mean(axis=-1, keepdims=True)) ** 2, axis=(-2, -1)) / k)


def _deeper(start: jax.Array, problem: sim.TiedProblem, depth: int) -> jax.Array:
    k = problem.num_classes

    def ratio(h: jax.Array) -> jax.Array:
        parts = sim.variability(h, k)
        return parts.within / parts.between

    def layer(h: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        found = sim.minimise_tied(h, jnp.zeros((k, h.shape[0])), h, problem).features
        return found, ratio(found)

    rest = jax.lax.scan(layer, start, None, length=depth)[1]
    return jnp.concatenate([ratio(start)[None], rest])


VARIANTS = (
    ("as it is", 1.0, 1.0),
    ("last layer doubled", 2.0, 1.0),
    ("last layer zero", 0.0, 1.0),
    ("backbone doubled", 1.0, 2.0),
    ("backbone zero", 1.0, 0.0),
)


@figure(
    "tirer2022.network_decay",
    caption=r"""Collapse of perceptrons on handwritten digits, with weight decay doubled or left out on the last layer
    or on the layers below it. Left: variability within classes relative to that between them. Right: distance of the
    centred class means' Gram matrix from a simplex frame's. Full batch, squared loss, Adam with a cosine schedule;
    markers and bars are mean and standard deviation over initial weights, of logarithms on the left. An experiment
    without a closed form: near collapse the theory has the decay of features act on all deviations, that of the last
    layer on those in the span of the frame only and in the opposite direction, so that the layers below should matter
    more.""",
)
def network_decay(run: Run) -> Drawing:
    """Train the same networks under five settings of weight decay."""
    steps, nc1, nc2 = _trained(run.scale, run.seed)
    image, ((left, right),) = canvas(1, 2)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"steps": steps}
    for series, (name, *_) in enumerate(VARIANTS):
        logs = np.log(nc1[series])
        mean, spread = logs.mean(axis=0), logs.std(axis=0, ddof=1)
        middle = np.exp(mean)
        bars = np.stack([middle - np.exp(mean - spread), np.exp(mean + spread) - middle])
        options: dict[str, Any] = {"linestyle": "-", "linewidth": 0.6}
        marks = simulation(left, steps, middle, series, error=bars, **options)
        average, std = nc2[series].mean(axis=0), nc2[series].std(axis=0, ddof=1)
        simulation(right, steps, average, series, error=std, **options)
        entries.append((marks, name))
        numbers |= {
            f"nc1_{series}": mean,
            f"nc1_std_{series}": spread,
            f"nc2_{series}": average,
            f"nc2_std_{series}": std,
        }
    reference(right, steps[[0, -1]], [0, 0])
    left.set(xscale="log", yscale="log", xlabel="step", ylabel=r"$\mathrm{Tr}\,\Sigma_W\,/\,\mathrm{Tr}\,\Sigma_B$")
    right.set(xscale="log", xlabel="step", ylabel="distance from a simplex frame")
    legend(left, entries, loc="lower left")
    return Drawing(image, numbers)


@lru_cache(maxsize=1)
def _trained(scale: str, seed: int) -> tuple[Array, Array, Array]:
    """Train all variants from the same initial weights; steps (T,), and both statistics (variant, draw, T)."""
    run = Run("figure:tirer2022.networks", scale, seed)
    per_class = run.size("images of a class", quick=10, standard=40, full=100)
    widths = run.size("widths", quick=(64, 48, 24), standard=(64, 128, 128, 24), full=(64, 512, 512, 64))
    draws = run.size("draws", quick=3, standard=6, full=16)
    last = run.size("steps", quick=1500, standard=6000, full=20000)
    steps = np.unique(np.geomspace(30, last, 11).astype(int))
    data = sim.digits([per_class] * 10, rng=run.rng("digits"))
    rng = run.rng("weights")
    networks = [
        sim.with_head(sim.perceptron(widths, rng=rng), (widths[-1],), 10, rng=rng, bias=True) for _ in range(draws)
    ]
    base = 1e-3
    pairs = [
        (network, sim.network_decays(head=[head * base], backbone=backbone * base))
        for _, head, backbone in VARIANTS
        for network in networks
    ]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *pairs)
    nc1, nc2 = over_replicates(_train, stacked, data.images, data.labels, tuple(int(step) for step in steps))
    shape = (len(VARIANTS), draws, steps.size)
    return steps, nc1.reshape(shape), nc2.reshape(shape)


def _train(
    pair: tuple[sim.Network, sim.NetworkDecays], images: jax.Array, labels: jax.Array, steps: tuple[int, ...]
) -> tuple[jax.Array, jax.Array]:
    network, decays = pair
    metrics = sim.train_adam(network, images, labels, decays, steps=steps, learning_rate=3e-3).snapshots.metrics
    return metrics.nc1_trace, metrics.nc2_etf
