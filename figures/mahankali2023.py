"""Mahankali, Hashimoto and Ma 2023: the step that attention learns, and what it costs against the Bayes estimator."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations.in_context import layer_training
from simulations.in_context.layer_training import Population
from simulations.in_context.linear_layer import SUMMED, LinearLayer, random_starts
from simulations.in_context.populations import gaussian_moments
from simulations.in_context.prompt_risks import layer_risk, ridge_risk
from simulations.in_context.responses import sampled_population
from simulations.replicates import over_replicates
from theory import in_context

Array = NDArray[np.float64]


def _trained(run: Run, prompts: Population, dim: int, name: str) -> tuple[LinearLayer, Array]:
    """Best end of a search over all parameters, and the matrix between x_q and X^T y that it learned."""
    layer = layer_training.best(
        layer_training.minimise(random_starts(run.key(name), 32, dim, scale=0.01), prompts)
    ).layer
    value, key_query = layer.value[-1], layer.key_query
    return layer, np.asarray(value[dim] * key_query[:dim, :dim].T + jnp.outer(key_query[dim, :dim], value[:dim]))


@figure(
    "mahankali2023.step_size",
    caption=r"""Step size that one layer of linear attention learns, against the number n of examples, for three levels
    s2 of label noise; inputs and tasks are standard normal, d = 3. Lines: 1 / (n + d + 1 + s2). Markers: all
    parameters of the layer trained from small random values on the exact population loss; the step is the mean of
    the diagonal of the matrix that it puts between the query and X^T y (no randomness but the start, so no error
    bars). Grey: 1 / n.""",
)
def step_size(run: Run) -> Drawing:
    """Train a layer at every context length and noise level."""
    d = 3
    lengths = np.array(run.size("n", quick=(1, 2, 4, 8, 16, 32), standard=(1, 2, 4, 8, 16, 32), full=2 ** np.arange(8)))
    n = np.union1d(np.geomspace(1, lengths[-1], 40).astype(int), lengths)
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"n": n, "trained_n": lengths}
    for k, s2 in enumerate((0.0, 1.0, 4.0)):
        line = [in_context.optimal_step(n_context=int(m), dim=d, noise_var=s2).step_size for m in n]
        found = []
        for m in lengths:
            prompts = gaussian_moments(n=int(m), cov_x=np.eye(d), cov_w=np.eye(d), noise_var=s2, attention=SUMMED)
            found.append(float(np.trace(_trained(run, prompts, d, f"{m} {s2}")[1])) / d)
        entries.append(((theory(axes, n, line, k), simulation(axes, lengths, found, k)), f"$s_2 = {s2:g}$"))
        numbers |= {f"theory_{s2:g}": line, f"trained_{s2:g}": found}
    guide = reference(axes, n[n >= 3], 1 / n[n >= 3])
    axes.set(xscale="log", yscale="log", xlabel="examples in the prompt $n$", ylabel=r"learned step $\eta$")
    legend(axes, [*entries, (guide, "$1/n$")], loc="lower left")
    return Drawing(image, numbers)


@figure(
    "mahankali2023.risk",
    caption=r"""Risk in excess of the label noise s2 = 0.5, against the number n of examples, d = 3. Black line and
    circles: the best layer of linear attention, closed form and trained layer on fresh prompts. Triangles: the
    Bayes estimator, ridge regression with penalty s2, on sampled prompts; dash-dotted: its asymptote d s2 / n.
    Dashed: least squares, closed form, infinite up to n = d + 1. Bars are standard errors, mostly smaller than the
    markers. One gradient step loses a factor (d + 1 + s2) / s2 in the long run.""",
)
def risk(run: Run) -> Drawing:
    """Sample prompts for the trained layer and for ridge regression."""
    d, s2 = 3, 0.5
    lengths = np.array(run.size("n", quick=(2, 6, 16, 48), standard=(2, 4, 8, 16, 32, 64), full=(2, 4, 8, 16, 32, 64)))
    replicates = run.size("replicates", quick=64, standard=256, full=1024)
    prompts = run.size("prompts a replicate", quick=512, standard=4096, full=16384)
    n = np.unique(np.geomspace(1, 1.3 * lengths[-1], 60).astype(int))
    layer_line = np.array([in_context.optimal_step(n_context=int(m), dim=d, noise_var=s2).risk for m in n]) - s2
    long = n[n > d + 1]
    ols = np.array([in_context.ols_risk(n_context=int(m), dim=d, noise_var=s2) for m in long]) - s2
    found: dict[str, list[Array]] = {"layer": [], "bayes": []}
    for m in lengths:
        population = gaussian_moments(n=int(m), cov_x=np.eye(d), cov_w=np.eye(d), noise_var=s2, attention=SUMMED)
        layer = _trained(run, population, d, f"{m}")[0]
        roots, keys = (jnp.eye(d), jnp.eye(d)), run.keys(replicates, f"prompts {m}")
        noise = jnp.array(s2)
        found["layer"].append(over_replicates(layer_risk, keys, layer, roots, None, noise, int(m), prompts, 2, SUMMED))
        found["bayes"].append(over_replicates(ridge_risk, keys, noise, noise, int(m), d, prompts))
    image, ((axes,),) = canvas()
    numbers: dict[str, Any] = {"n": n, "layer_theory": layer_line, "ols_n": long, "ols": ols, "measured_n": lengths}
    marks = {}
    for k, name in ((0, "layer"), (2, "bayes")):
        excess = np.stack(found[name]) - s2
        mean, error = excess.mean(axis=1), excess.std(axis=1, ddof=1) / np.sqrt(replicates)
        marks[name] = simulation(axes, lengths, mean, k, error=error)
        numbers |= {f"{name}_mean": mean, f"{name}_error": error}
    entries: list[tuple[Any, str]] = [
        ((theory(axes, n, layer_line, 0), marks["layer"]), "linear attention"),
        (theory(axes, long, ols, 1), "least squares"),
        (marks["bayes"], "Bayes"),
        (theory(axes, long, d * s2 / long, 2), "$d s_2 / n$"),
    ]
    axes.set(xscale="log", yscale="log", ylim=(0.015, 5))
    axes.set(xlabel="examples in the prompt $n$", ylabel="risk above $s_2$")
    legend(axes, entries, loc="lower left")
    return Drawing(image, numbers)


@figure(
    "mahankali2023.preconditioner",
    caption=r"""The matrix between query and X^T y that the layer learns on inputs of covariance diag(2, 1, 0.5) in a
    rotated basis, n = 10, s2 = 0.2, for two covariances of the tasks. Left of each pair: closed form; right: all
    parameters of the layer trained from small random values. With tasks from the inverse covariance it is the
    inverse covariance times the step of the isotropic case; with isotropic tasks it is closer to a multiple of the
    identity. Numbers are entries times 1000, one colour scale a pair.""",
)
def preconditioner(run: Run) -> Drawing:
    """Train a layer for each law of the tasks."""
    d, n, s2 = 3, 10, 0.2
    basis = np.linalg.qr(run.rng().standard_normal((d, d)))[0]
    cov = (basis * np.array([2.0, 1.0, 0.5])) @ basis.T
    image, ((one, two, three, four),) = canvas(1, 4, width=2.1, height=2.9)
    numbers: dict[str, Any] = {"cov": cov}
    for (left, right), (name, label, tasks) in zip(
        ((one, two), (three, four)),
        (("inverse", r"$w \sim N(0, \Sigma^{-1})$", np.linalg.inv(cov)), ("isotropic", r"$w \sim N(0, I)$", np.eye(d))),
        strict=True,
    ):
        predicted = in_context.preconditioned_optimum(cov, tasks, n_context=n, noise_var=s2).matrix
        prompts = gaussian_moments(n=n, cov_x=cov, cov_w=tasks, noise_var=s2, attention=SUMMED)
        learned = _trained(run, prompts, d, name)[1]
        size = np.abs(predicted).max()
        for axes, matrix, kind in ((left, predicted, "theory"), (right, learned, "trained")):
            axes.imshow(matrix, cmap="RdBu_r", vmin=-size, vmax=size, aspect="auto")
            for (i, j), entry in np.ndenumerate(matrix):
                shade = "white" if abs(entry) > 0.65 * size else "0.1"
                note(axes, f"{1000 * entry:.0f}", j, i, ha="center", va="center", fontsize=8, color=shade)
            axes.set(xticks=range(d), yticks=range(d), xticklabels=[1, 2, 3], yticklabels=[1, 2, 3])
            axes.set(xlabel=f"{label}\n{kind}")
            axes.grid(False)
        numbers |= {f"{name}_theory": predicted, f"{name}_trained": learned}
    one.set_ylabel("query coordinate")
    for axes in (two, three, four):
        axes.sharey(one)
    return Drawing(image, numbers)


@figure(
    "mahankali2023.relu_width",
    caption=r"""Step that the layer learns on labels of random two-layer ReLU networks of k hidden units (unit input
    weights, signs for output weights), against k; d = 2, n = 12, noise s2 = 0.3. Lines: closed form, and the step 1
    / (n + d + 1 + s2) of linear labels in grey. Markers with bars: mean and standard deviation over training sets
    of all-parameter training on sampled prompts. Noise counts less and less as the labels grow with k.""",
)
def relu_width(run: Run) -> Drawing:
    """Train on sampled networks of several widths."""
    d, n, s2 = 2, 12, 0.3
    widths = np.array(run.size("k", quick=(1, 4, 16), standard=(1, 2, 4, 8, 16, 32), full=2 ** np.arange(8)))
    sets = run.size("training sets", quick=6, standard=12, full=32)
    prompts = run.size("prompts in a set", quick=16384, standard=65536, full=262144)
    k = np.arange(1, widths[-1] + 1)

    def step(width: int) -> float:
        moments = in_context.response_moments("unit_relu_network", dim=d, noise_var=s2, width=width)
        return in_context.nonlinear_optimal_step(n_context=n, **moments._asdict()).step_size

    line = [step(int(width)) for width in k]
    found = []
    for width in widths:
        for key in run.keys(sets, f"sets {width}"):
            population = sampled_population(key, "unit_relu_network", d, n, int(width), jnp.array(s2), prompts, 8)
            found.append(np.trace(_trained(run, population, d, "start")[1]) / d)
    steps = np.reshape(found, (widths.size, sets))
    mean, spread = steps.mean(axis=1), steps.std(axis=1, ddof=1)
    image, ((axes,),) = canvas()
    linear = in_context.optimal_step(n_context=n, dim=d, noise_var=s2).step_size
    guide = reference(axes, [1, k[-1]], [linear, linear])
    marks = simulation(axes, widths, mean, 0, error=spread)
    axes.set_xscale("log", base=2)
    axes.set_xticks(widths, [f"{width}" for width in widths])
    axes.set(xlabel="hidden units $k$", ylabel=r"learned step $\eta$")
    legend(axes, [((theory(axes, k, line, 0), marks), "ReLU networks"), (guide, "linear labels")], loc="center right")
    return Drawing(image, {"k": k, "theory": line, "trained_k": widths, "mean": mean, "std": spread, "linear": linear})
