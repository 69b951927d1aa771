"""Dang et al. 2023: how modes vanish under decay, how features collapse, and how long those of small classes are."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, colour, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

Array = NDArray[np.float64]


@figure(
    "dang2023.phase_transition",
    caption=r"""Strength sigma/s of a mode against its relative decay b, under heads of M linear layers. Solid
    lines: the global minimum, which falls to zero continuously for M = 1, and jumps from (M - 1)/M (thin vertical
    lines) for M >= 2. Dashed: the nonzero branch beyond the threshold, a local minimum only, down to its fold
    (crosses). Filled markers: the lowest of many direct minimisations from random starts at three scales; open
    markers: the minimum followed upwards in decay (no randomness is left in either, so no error bars).""",
)
def phase_transition(run: Run) -> Drawing:
    """Minimise feature models with one mode, and follow their nonzero minimum through rising decay."""
    depths = run.size("depths", quick=(1, 2, 3), standard=(1, 2, 3, 4), full=(1, 2, 3, 4))
    starts = run.size("starts a scale", quick=8, standard=32, full=128)
    class_sizes, size = (3, 3), 3.0
    relative = np.array([0.04, 0.1, 0.2, 0.3, 0.4, 0.47, 0.54, 0.61, 0.68, 0.75, 0.82, 0.9, 1.0, 1.1])
    b = np.linspace(1e-4, 1.15, 1200)

    def decays(b: Array, depth: int) -> Array:
        return (b * size / depth) ** (depth / (depth + 1)) / sum(class_sizes)

    image, ((axes,),) = canvas(width=6.0, height=3.8)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"b": b, "simulated_b": relative, "depths": depths}
    for series, depth in enumerate(depths):
        table = np.repeat(decays(relative, depth)[:, None], depth + 1, axis=1)
        model = sim.feature_model(
            class_sizes, dims=(3,) * (depth - 1) + (1,), weight_decays=table[0, 1:], feature_decay=table[0, 0]
        )
        ends = sim.minimise(model, run.key(f"depth {depth}"), starts=starts, decays=table).best()
        highest = sim.Factors(*(_first(part) for part in ends.factors))
        path = sim.follow_minimum(model, highest, decays=table)
        lowest, followed = (
            np.asarray(sim.product_singular_values(found.factors, model))[:, 0] / np.sqrt(size)
            for found in (ends, path)
        )
        diagram = nc.phase_diagram(decays(b, depth), depth, class_sizes=class_sizes)
        strength, branch = diagram.strength[:, 0], diagram.stationary_strength[:, 0]
        critical, fold = nc.collapse_threshold(depth), nc.fold_threshold(depth)
        alive, beyond = b < critical, (b >= critical) & (b < fold)
        line = theory(axes, b[alive], strength[alive], series, linestyle="-")
        theory(axes, b[~alive], strength[~alive], series, linestyle="-")
        theory(axes, b[beyond], branch[beyond], series, linestyle="--")
        if depth > 1:
            axes.plot([critical] * 2, [0, (depth - 1) / depth], color=colour(series), linewidth=0.8)
            axes.plot(fold, (depth - 1) / (2 * depth), "x", color=colour(series), markersize=6)
        marks = simulation(axes, relative, lowest, series, markerfacecolor=colour(series), markersize=5)
        simulation(axes, relative[beyond_at := followed > lowest + 1e-3], followed[beyond_at], series, markersize=5)
        entries.append(((line, marks), f"$M = {depth}$"))
        numbers |= {f"strength_{depth}": strength, f"branch_{depth}": branch}
        numbers |= {f"lowest_{depth}": lowest, f"followed_{depth}": followed}
    axes.set(xlabel=r"relative decay $b$", ylabel=r"mode strength $\sigma / s$", xlim=(0, 1.15), ylim=(-0.03, 1.03))
    legend(axes, entries, loc="upper right")
    return Drawing(image, numbers)


@figure(
    "dang2023.collapse",
    caption=r"""Gradient descent on free features under a linear head collapses to the predicted minimum. Upper
    left: loss over the closed-form minimum, less one. The other panels: spread within classes over that of class
    means (NC1), distance of the Gram matrix of class means from an orthogonal frame without bias and from a simplex
    with one (NC2), and of head from class means, all matrices normalised (NC3). Markers, joined for the eye: M
    layers without (open) and with (filled) a free bias; the theory says zero in every panel. One random start each,
    so no error bars.""",
)
def collapse(run: Run) -> Drawing:
    """Descend from random factors of moderate size."""
    depths = run.size("depths", quick=(1, 3), standard=(1, 3, 6), full=(1, 3, 6, 9))
    n, dim = run.size("samples and dimension", quick=(10, 16), standard=(20, 32), full=(100, 64))
    last = run.size("steps", quick=20_000, standard=30_000, full=100_000)
    decay, steps = 2e-3, np.unique(np.geomspace(10, last, 14).astype(int))
    class_sizes = (n,) * 4
    image, axes = canvas(2, 2, width=4.0, height=2.7)
    panels = axes.ravel()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"steps": steps, "depths": depths}
    for series, depth in enumerate(depths):
        for bias in (False, True):
            problem: dict[str, Any] = {"weight_decays": [decay] * depth, "feature_decay": decay / 4}
            model = sim.feature_model(class_sizes, dims=(dim,) * depth, bias=bias, **problem)
            start = sim.random_factors(run.key(f"{depth} {bias}"), model, scale=0.3)
            found = sim.gradient_descent(model, start, learning_rate=0.5, steps=steps.tolist(), observe=_statistics)
            loss, nc1, etf, frame, nc3, nc3_plain = (np.asarray(value) for value in found)
            minimum = nc.ufm_mse_minimizer(class_sizes, dims=(dim,) * depth, bias=bias, **problem).loss
            drawn = loss / minimum - 1, nc1, etf if bias else frame, nc3 if bias else nc3_plain
            face = colour(series) if bias else "white"
            style: dict[str, Any] = {"markerfacecolor": face, "linestyle": "-", "linewidth": 0.6}
            for panel, values in zip(panels, drawn, strict=True):
                marks = simulation(panel, steps, values, series, **style)
            entries.append((marks, f"$M = {depth}$" + (", bias" if bias else "")))
            numbers[f"metrics_{depth}_{'bias' if bias else 'plain'}"] = np.stack(drawn)
    for panel, label in zip(panels, ("loss / minimum − 1", "NC1", "NC2", "NC3"), strict=True):
        panel.set(xscale="log", yscale="log", xlabel="gradient steps", ylabel=label)
    legend(panels[0], entries, loc="lower left")
    return Drawing(image, numbers)


@figure(
    "dang2023.imbalanced_lengths",
    caption=r"""Imbalanced classes without bias. Left: lengths of head vectors (solid, filled markers) and of
    class means (dashed, open markers) against class size, for M layers: lines are the closed form at any class
    size, markers the lowest of many direct minimisations. A class collapses at the size where the lines reach zero:
    continuously for M = 1, by a jump for M >= 2; the features of small surviving classes can be the longest. Right:
    distance of the normalised Gram matrices of class means (open) and head (filled) from the predicted orthogonal
    frame of unequal lengths, during gradient descent from one random start each. No error bars: minima are free of
    noise.""",
)
def imbalanced_lengths(run: Run) -> Drawing:
    """Minimise directly for lengths, descend for the approach to them."""
    depths = run.size("depths", quick=(1, 2), standard=(1, 2, 3), full=(1, 2, 3))
    class_sizes = run.size("class sizes", quick=(12, 8, 5, 3, 2), standard=(24, 16, 10, 6, 4), full=(60, 40, 24, 14, 8))
    starts = run.size("starts a scale", quick=32, standard=64, full=256)
    last = run.size("steps", quick=10_000, standard=30_000, full=100_000)
    k, total = len(class_sizes), sum(class_sizes)
    n = np.linspace(0.2, 1.05 * class_sizes[0], 800)
    steps = np.unique(np.geomspace(10, last, 14).astype(int))
    image, ((left, right),) = canvas(1, 2, width=4.4, height=3.5)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"class_sizes": class_sizes, "n": n, "steps": steps, "depths": depths}
    for series, depth in enumerate(depths):
        share = 0.45 if depth == 1 else 0.2
        decay = (share * total / k / depth) ** (depth / (depth + 1)) / total
        problem: dict[str, Any] = {"weight_decays": [2 * decay] * depth, "feature_decay": decay / 2**depth}
        sigma = nc.mode_singular_value(
            np.sqrt(n), num_samples=total, decays=[problem["feature_decay"], *problem["weight_decays"]]
        )
        head_price = (2 * decay) ** depth
        q = (np.asarray(sigma) ** 2 * problem["feature_decay"] * head_price) ** (1 / (depth + 1))
        lines = np.sqrt(q**depth / head_price), np.sqrt(q / (problem["feature_decay"] * n))
        dims = (k + 1,) * depth
        model = sim.feature_model(class_sizes, dims=dims, **problem)
        best = sim.minimise(model, run.key(f"depth {depth}"), starts=starts).best().factors
        shape = sim.geometry(best.features, model.labels, sim.head_product(best.weights))
        found = [np.sqrt(np.diagonal(gram)) for gram in (shape.classifier_gram, shape.feature_gram)]
        whole = theory(left, n, lines[0], series, linestyle="-")
        theory(left, n, lines[1], series, linestyle="--")
        marks = simulation(left, class_sizes, found[0], series, markerfacecolor=colour(series))
        simulation(left, class_sizes, found[1], series)
        entries.append(((whole, marks), f"$M = {depth}$"))

        solution = nc.ufm_mse_minimizer(class_sizes, dims=dims, **problem)
        start = sim.random_factors(run.key(f"descent {depth}"), model, scale=0.5)
        path = sim.gradient_descent(model, start, learning_rate=0.1, steps=steps.tolist(), observe=_grams)
        style: dict[str, Any] = {"linestyle": "-", "linewidth": 0.6}
        for gram, target, face in (
            (path[0], solution.feature_gram, "white"),
            (path[1], solution.classifier_gram, colour(series)),
        ):
            distances = np.asarray(sim.angle_distance(jnp.asarray(gram), jnp.asarray(target)))
            simulation(right, steps, distances, series, markerfacecolor=face, **style)
            numbers[f"distance_{depth}_{'means' if face == 'white' else 'head'}"] = distances
        numbers |= {f"lines_{depth}": np.stack(lines), f"lengths_{depth}": np.stack(found)}
    reference(left, n, np.zeros_like(n))
    left.set(xlabel="class size $n_k$", ylabel="length", xlim=(0, n[-1]), ylim=(-0.05, None))
    note(left, r"solid: head $|w_k|$, dashed: means $|\bar h_k|$", 0.98, 0.14, transform=left.transAxes, ha="right")
    right.set(xscale="log", yscale="log", xlabel="gradient steps", ylabel="distance from the predicted frame")
    legend(left, entries, loc="lower right", bbox_to_anchor=(1.0, 0.2))
    return Drawing(image, numbers)


def _first(part: Any) -> Any:
    if part is None:
        return None
    return tuple(weight[0] for weight in part) if isinstance(part, tuple) else part[0]


def _statistics(factors: sim.Factors, model: sim.FeatureModel) -> Any:
    """Loss, and metrics with centred means as with plain ones."""
    head = sim.head_product(factors.weights)
    centred = sim.collapse_metrics(factors.features, model.labels, head, factors.bias)
    plain = sim.collapse_metrics(factors.features, model.labels, head, factors.bias, centred=False)
    loss = sim.objective(factors, model)
    return loss, centred.nc1_trace, centred.nc2_etf, centred.nc2_orthogonal, centred.nc3, plain.nc3


def _grams(factors: sim.Factors, model: sim.FeatureModel) -> Any:
    shape = sim.geometry(factors.features, model.labels, sim.head_product(factors.weights))
    return shape.feature_gram, shape.classifier_gram
