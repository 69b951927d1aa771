"""Fu, Chen, Jia and Sharan 2023: layers beside Newton's iterations, and what iterations cost."""

from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from matplotlib.patches import Rectangle

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from paper_checks.papers.fu2023.population import SCALE
from paper_checks.papers.fu2023.trained import report
from simulations.in_context import gram_samples, iterations, online
from simulations.replicates import over_replicates
from theory import in_context

Method = Literal["descent", "gram", "identity"]
METHODS: dict[Method, str] = {
    "descent": "gradient descent",
    "gram": r"Newton from $\alpha S$",
    "identity": r"Newton from $\alpha I$",
}


@figure(
    "fu2023.layers",
    caption=r"""Mean squared error, over that of the answer zero, of linear probes on the layers of a trained
    transformer (triangles) and of a stack with one exact gradient step a layer (diamonds), beside Newton's iteration
    (black) and gradient descent (red, dashed). Left: layers placed at the number of Newton iterations with the same
    error. Right: the same against the number of gradient steps, on a logarithmic axis. Trained layers are nearly
    equidistant on both, those of the gradient-descent stack crowd: that is what distinguishes them, and all that it
    shows. Curves are means over the test prompts of the probes, without error bars.""",
)
def layers(run: Run) -> Drawing:
    """Place the layers of both stacks on the curves of the solvers."""
    found, solvers = report(run.scale, run.seed)
    stack, _ = report(run.scale, run.seed, descent_stack=True)
    zero = float(found.mse[0])
    newton, descent = np.asarray(solvers.newton_mse) / zero, np.asarray(solvers.descent_mse) / zero
    times = np.asarray(solvers.times)
    image, ((left, right),) = canvas(1, 2, width=3.9, share_y=True)
    lines = theory(left, np.arange(newton.size), newton, 0), theory(right, times, descent, 1)
    entries: list[tuple[Any, str]] = [(lines[0], "Newton"), (lines[1], "gradient descent")]
    numbers: dict[str, Any] = {"newton": newton, "descent": descent, "times": times}
    for series, (name, one) in enumerate({"trained layers": found, "one step a layer": stack}.items(), 2):
        mse = np.asarray(one.mse[1:]) / zero
        marks = simulation(left, one.newton_count, mse, series)
        simulation(right, 2 ** np.asarray(one.log2_descent_count), mse, series)
        entries.append((marks, name))
        key = name.replace(" ", "_")
        numbers |= {f"{key}_mse": mse, f"{key}_newton": one.newton_count, f"{key}_log2_t": one.log2_descent_count}
    bottom = float(np.min(found.mse)) / zero / 10
    left.set(
        yscale="log", ylim=(bottom, 2), xlim=(-0.5, np.max(found.newton_count) + 2), xlabel="Newton iterations $k$"
    )
    left.set_ylabel("mean squared error")
    right.set(xscale="log", xlabel="gradient steps $t$", xlim=(0.8, 2 ** (np.max(found.log2_descent_count) + 1.5)))
    legend(left, entries, loc="lower left")
    return Drawing(image, numbers)


@figure(
    "fu2023.similarity",
    caption=r"""Similarity of errors (mean over prompts of the cosine over queries) between linear probes on the layers
    of a trained transformer and, left, Newton's iterates, right, gradient descent after t steps. The best match of each
    layer is outlined. It moves right by a few iterations a layer, or by a factor; its height is the same on both sides
    and falls with depth, so that the similarity itself names no algorithm.""",
)
def similarity(run: Run) -> Drawing:
    """Draw both heat maps on one colour scale."""
    found, solvers = report(run.scale, run.seed)
    times = np.asarray(solvers.times)
    shown = min(solvers.newton_mse.size, 17)
    maps = np.asarray(found.newton_similarity)[1:, :shown], np.asarray(found.descent_similarity)[1:]
    labels = [f"{k}" for k in range(shown)], [f"{t}" for t in times]
    image, axes = canvas(1, 2, width=4.6, height=2.6)
    for ax, values, names, title in zip(
        axes[0], maps, labels, ("Newton iterations $k$", "gradient steps $t$"), strict=True
    ):
        drawn = ax.imshow(values, aspect="auto", origin="lower", vmin=0, vmax=1, cmap="cividis")
        for layer, best in enumerate(values.argmax(axis=1)):
            ax.add_patch(Rectangle((best - 0.5, layer - 0.5), 1, 1, fill=False, edgecolor="#D55E00", linewidth=1.8))
        stride = max(1, len(names) // 8)
        ax.set_xticks(range(0, len(names), stride), names[::stride])
        ax.set_yticks(range(len(values)), [f"{layer + 1}" for layer in range(len(values))])
        ax.set(xlabel=title, ylabel="layer")
        ax.grid(False)
    bar = image.colorbar(drawn, ax=list(axes[0]), label="similarity of errors")
    bar.ax.set_xlabel(" ")
    return Drawing(image, {"newton": maps[0], "descent": maps[1], "times": times})


@figure(
    "fu2023.iterations",
    caption=r"""Steps until every eigen-direction is below 1e-8 of its error, against the condition number of S, alpha
    and the learning rate at one over the largest eigenvalue (squared for the Gram start). Lines: closed form; markers:
    counted on scalar recursions (no randomness enters). Newton's method pays for conditioning by addition, gradient
    descent by multiplication; grey: kappa ln(1/tol).""",
)
def iteration_counts(run: Run) -> Drawing:
    """Count the recursions at condition numbers up to a thousand."""
    tol = 1e-8
    curve = np.geomspace(1.2, 3000, 200)
    kappas = np.geomspace(2, 1000, run.size("condition numbers", quick=8, standard=12, full=24))
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"kappa": kappas}
    for series, method in enumerate(METHODS):
        predicted, found = ([_predicted(method, kappa, tol) for kappa in points] for points in (curve, kappas))
        counted = [
            int(iterations.count_until(jnp.array([1 / kappa, 1.0]), jnp.asarray(1.0), jnp.asarray(tol), method=method))
            for kappa in kappas
        ]
        entries.append(
            ((theory(axes, curve, predicted, series), simulation(axes, kappas, counted, series)), METHODS[method])
        )
        numbers |= {f"{method}_predicted": found, f"{method}_counted": counted}
    reference(axes, curve, curve * np.log(1 / tol))
    axes.set(xscale="log", yscale="log", xlabel=r"condition number $\kappa$", ylabel="iterations to $10^{-8}$")
    legend(axes, entries, loc="upper left")
    return Drawing(image, numbers)


def _predicted(method: Method, kappa: float, tol: float) -> int:
    if method == "descent":
        return in_context.gd_steps_to_tolerance(kappa, tol=tol)
    return in_context.newton_steps_to_tolerance(kappa, tol=tol, init=method)


@figure(
    "fu2023.recall",
    caption=r"""Squared error on an example seen a number of steps ago, relative to the initial error, d = 8, seen at
    step 5. Line: closed form for online learning that fits each example exactly (Kaczmarz); circles: streams, mean
    and standard error. The grey line is the error on a direction never seen. Squares: recursive least squares with a
    ridge of 1e-6 on one of those streams, which forgets nothing.""",
)
def recall(run: Run) -> Drawing:
    """Average streams; follow least squares along one."""
    d, seen, ages = 8, 5, 40
    draws = run.size("streams", quick=20_000, standard=100_000, full=1_000_000)
    m = np.arange(ages + 1)
    line = [in_context.kaczmarz_recall_error(d, age=int(age), prior_steps=seen) for age in m]
    found = over_replicates(_stream, run.keys(draws), d, seen + ages, seen)
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / draws**0.5
    rng = run.rng()
    x, task = rng.standard_normal((seen + ages, d)), rng.standard_normal(d)
    weights = np.asarray(online.recursive_least_squares(x, x @ task, ridge=1e-6))
    kept = ((weights[seen:] - task) @ (x[seen - 1] / np.linalg.norm(x[seen - 1]))) ** 2 / (task @ task)
    image, ((axes,),) = canvas()
    reference(axes, m, (1 - 1 / d) ** (seen + m) / d)
    marks = simulation(axes, m, mean, 0, error=error)
    entries: list[tuple[Any, str]] = [((theory(axes, m, line, 0), marks), "online (Kaczmarz)")]
    entries.append((simulation(axes, m[::2], kept[::2], 1), "recursive least squares"))
    note(axes, "never seen", 3.2, 0.047)
    axes.set(xlabel="steps since the example was seen", ylabel="squared error on it")
    legend(axes, entries, loc="upper right")
    return Drawing(image, {"age": m, "theory": line, "mean": mean, "error": error, "least_squares": kept})


def _stream(key, dimension: int, steps: int, seen: int):
    return online.stream_recall(key, dimension=dimension, steps=steps, seen=seen)


@figure(
    "fu2023.conditioning",
    caption=r"""Mean squared error of the weights on Gaussian prompts, d = 20, n = 40: isotropic (black), and with half
    of the variances a hundred times the other half (red). Left: Newton's method; right: gradient descent. Markers: mean
    and standard error over prompts, alpha = 1 / ||S^2||_F and eta = 1 / s_1 of each. Grey: the limit of many dimensions
    for a constant alpha at half of 1 / edge^2, isotropic. The ill-conditioned curve is shifted on the left, and on the
    right, on a logarithmic axis, by a factor of tens.""",
)
def conditioning(run: Run) -> Drawing:
    """Average residuals over sampled Gram matrices."""
    d, n, steps = 20, 40, 22
    draws = run.size("draws", quick=300, standard=2000, full=20_000)
    times = gram_samples.descent_times(12, 2)
    lam = np.where(np.arange(d) < d // 2, 10.0, 1.0)
    image, ((left, right),) = canvas(1, 2, width=3.9, share_y=True)
    numbers: dict[str, Any] = {"times": np.asarray(times)}
    entries: list[tuple[Any, str]] = []
    spreads = {"isotropic": np.ones(d), "ill-conditioned": lam * np.sqrt(d / np.sum(lam**2))}
    for series, (name, scales) in enumerate(spreads.items()):
        curves = over_replicates(_curves, run.keys(draws), jnp.asarray(scales), times, n, steps)
        shown: tuple = (np.arange(steps + 1), np.asarray(times))
        for axes, x, values, method in zip((left, right), shown, curves, ("newton", "descent"), strict=True):
            mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / draws**0.5
            marks = simulation(axes, x, mean, series, error=error)
            numbers[f"{name}_{method}"] = mean
        entries.append((marks, name))
    limit = [in_context.newton_mse_limit(d / n, step=k, alpha_scale=SCALE) for k in range(steps + 1)]
    reference(left, np.arange(steps + 1), limit)
    left.set(yscale="log", ylim=(1e-8, 2), xlabel="Newton iterations $k$", ylabel="mean squared error of the weights")
    right.set(xscale="log", xlabel="gradient steps $t$")
    legend(left, entries, loc="lower left")
    return Drawing(image, numbers | {"limit": limit})


def _curves(key, scales, times, examples: int, steps: int):
    s = jnp.linalg.eigvalsh(gram_samples.sample_gram(key, scales, examples))
    newton = gram_samples.newton_residuals(s, 1 / jnp.linalg.norm(s**2), steps=steps)
    descent = gram_samples.descent_residuals(s, 1 / s[-1], times)
    return tuple(jnp.mean(residuals**2, axis=1) for residuals in (newton, descent))
