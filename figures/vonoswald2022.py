"""von Oswald et al. 2022: what training finds, how it fares elsewhere, and what contracting the inputs is worth."""

from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations.in_context import attention, prompts, training
from theory import in_context

Array = NDArray[np.float64]

UNIFORM: dict[str, Any] = {"second_moment": 1 / 3, "fourth_moment": 1 / 5}  # U(-1, 1)


@figure(
    "vonoswald2022.training",
    caption=r"""One layer of linear attention, all four matrices trained by Adam on fresh prompts of U(-1, 1)
    inputs from random weights. Left: risk on prompts not trained on (markers), and the exact risk of one step of
    gradient descent with the best step (line). Right: agreement with that step on 500 prompts: mean cosine and mean
    distance of the sensitivities to the query, and mean absolute difference of predictions, the latter two over the
    root of the prediction's mean square. One training run, no error bars.""",
)
def training_curve(run: Run) -> Drawing:
    """Train one layer, and compare it with gradient descent at every record."""
    n, d = _shape(run)
    best = in_context.optimal_step(n_context=n, dim=d, **UNIFORM)
    steps, found = _trained(run.scale, run.seed)
    tests = prompts.sample_prompts(run.key("tests"), n_prompts=500, n_context=n, dim=d, law="uniform")
    descent = attention.stack(training.descent_layer(d, 1, step=best.step_size))
    of_step, predicted = training.query_sensitivity(descent, tests), training.predict(descent, tests)

    def metrics(layers: attention.Layer) -> jax.Array:
        of_layer = training.query_sensitivity(layers, tests)
        norms = jnp.linalg.norm(of_layer, axis=1) * jnp.linalg.norm(of_step, axis=1)
        return jnp.stack(
            [
                jnp.mean(jnp.sum(of_layer * of_step, axis=1) / norms),
                jnp.mean(jnp.linalg.norm(of_layer - of_step, axis=1)) / jnp.sqrt(jnp.mean(jnp.sum(of_step**2, axis=1))),
                jnp.mean(jnp.abs(training.predict(layers, tests) - predicted)) / jnp.sqrt(jnp.mean(predicted**2)),
            ]
        )

    agreement = np.asarray(jax.vmap(metrics)(found.layers))

    image, ((left, right),) = canvas(1, 2, width=4.0)
    line = theory(left, steps[[0, -1]], [best.risk] * 2, 1)
    marks = simulation(left, steps, found.loss, 0)
    left.set(xlabel="training step", ylabel="risk", ylim=(0, None))
    legend(left, [(line, "gradient descent, best step"), (marks, "trained layer")], loc="upper right")
    entries = []
    for k, label in enumerate(("cosine of sensitivities", "distance of sensitivities", "difference of predictions")):
        entries.append((simulation(right, steps, agreement[:, k], k + 1), label))
    reference(right, steps[[0, -1]], [1, 1])
    right.set(xlabel="training step", ylabel="agreement with gradient descent", ylim=(-0.2, 1.6))
    legend(right, entries, loc="center right")
    return Drawing(
        image, {"step": steps, "risk": found.loss, "gd_risk": best.risk, "eta": best.step_size, "agreement": agreement}
    )


@figure(
    "vonoswald2022.test_scale",
    caption=r"""Risk on inputs from U(-alpha, alpha) of layers that learned at alpha = 1, over the risk of
    predicting zero. Solid line: one step of gradient descent with the step that is best at alpha = 1, in closed
    form; circles with error bars (one standard error): the trained layer on sampled prompts. Dashed line: with the
    best step at each alpha. A fixed step fails on larger inputs, since it no longer shrinks.""",
)
def test_scale(run: Run) -> Drawing:
    """Try the trained layer on larger and smaller inputs."""
    n, d = _shape(run)
    draws = run.size("prompts", quick=20_000, standard=50_000, full=1_000_000)
    best = in_context.optimal_step(n_context=n, dim=d, **UNIFORM)
    _, found = _trained(run.scale, run.seed)
    layers = jax.tree.map(lambda matrix: matrix[-1], found.layers)
    curve, factors = np.geomspace(0.5, 5, 81), np.geomspace(0.5, 5, 9)
    fixed = in_context.one_step_risk(best.step_size, n_context=n, dim=d, test_scale=curve, **UNIFORM)
    tuned = [
        in_context.optimal_step(n_context=n, dim=d, second_moment=a**2 / 3, fourth_moment=a**4 / 5).risk for a in curve
    ]

    @jax.jit
    def errors(scale: jax.Array) -> jax.Array:
        tests = prompts.sample_prompts(
            run.key("tests"), n_prompts=draws, n_context=n, dim=d, law="uniform", scale=scale
        )
        return (training.predict(layers, tests) - tests.y_query) ** 2

    values = np.stack([np.asarray(errors(jnp.asarray(a))) for a in factors])
    mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(draws)

    image, ((axes,),) = canvas()
    nothing, sampled = d * curve**2 / 3, d * factors**2 / 3
    line, marks = (
        theory(axes, curve, fixed / nothing, 0),
        simulation(axes, factors, mean / sampled, 0, error=error / sampled),
    )
    retuned = theory(axes, curve, np.array(tuned) / nothing, 1)
    reference(axes, curve[[0, -1]], [1, 1])
    axes.set(xscale="log", yscale="log", xlabel=r"scale of the inputs $\alpha$", ylabel="risk over that of zero")
    axes.set_xticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
    axes.minorticks_off()
    legend(
        axes, [((line, marks), r"learned at $\alpha = 1$"), (retuned, r"best step at each $\alpha$")], loc="upper left"
    )
    return Drawing(
        image,
        {"alpha": curve, "fixed": fixed, "tuned": tuned, "measured_alpha": factors, "mean": mean, "error": error},
    )


@figure(
    "vonoswald2022.layers",
    caption=r"""Risk against the number of layers, inputs from U(-1, 1). Lines: the least risk of gradient descent
    and of GD++ with scalars shared by all layers, minimised over the spectra of sampled Gram matrices; open markers
    without bars: the same scalars trained through the layers. Diamonds: layers that share four full matrices,
    trained by Adam on fresh prompts, the best of several runs, on prompts not trained on. They do slightly better
    than GD++.""",
)
def layers(run: Run) -> Drawing:
    """Minimise over two scalars, in closed form and through the layers, and train full matrices."""
    n, d = _shape(run)
    depths = np.arange(1, 1 + run.size("layers", quick=3, standard=5, full=6))
    count = run.size("prompts", quick=500, standard=2000, full=10_000)
    x = run.rng().uniform(-1, 1, (count, n, d))
    eigenvalues = np.maximum(np.linalg.eigvalsh(x.transpose(0, 2, 1) @ x), 0.0)
    starts = {"gd": np.array([1.5 / (n + d)]), "gd++": np.array([2.0 / (n + d), 0.4 / (n + d)])}

    def least(depth: int, start: Array) -> float:
        def error(scaled: Array) -> float:
            eta, gamma = np.append(scaled * start, 0.0)[:2]
            path = in_context.gdpp_spectrum(
                eigenvalues.ravel(), normalized_step_size=eta, n_context=1, input_decay=gamma, n_layers=depth
            )
            return float(np.sum(path.residual[-1] ** 2)) / count / 3

        return minimize(error, np.ones_like(start), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10}).fun

    def search(depth: int, name: str) -> float:
        found = training.minimise_channel_risk(jnp.asarray(starts[name]), jnp.asarray(x), scheme=name, n_layers=depth)
        return float(found.value[0]) / 3

    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"depth": depths}
    for k, (name, label) in enumerate((("gd", "gradient descent"), ("gd++", "GD++"))):
        line, marks = (
            [least(int(depth), starts[name]) for depth in depths],
            [search(int(depth), name) for depth in depths],
        )
        entries.append(((theory(axes, depths, line, k), simulation(axes, depths, marks, k)), label))
        numbers |= {f"{name}_theory": line, f"{name}_trained": marks}
    full = [_best_stack(run, int(depth)) for depth in depths]
    entries.append((simulation(axes, depths, full, 3), "all matrices trained"))
    axes.set(xlabel="layers", ylabel="risk", yscale="log", xticks=depths)
    legend(axes, entries, loc="upper right")
    return Drawing(image, numbers | {"full": full})


@figure(
    "vonoswald2022.spectrum",
    caption=r"""What one layer of GD++ does to the inputs of prompts from U(-1, 1). Left: eigenvalues of the Gram
    matrix after the layer against those before, over the largest fixed scale 1/gamma: the map lambda (1 - gamma
    lambda)^2 (line) and Gram matrices of the tokens of one forward pass (circles). Right: distribution of the
    condition number over prompts before (black), after one (orange) and after two layers (blue), as the theory maps
    the spectra (lines) and in the tokens (markers at every tenth per cent).""",
)
def spectrum(run: Run) -> Drawing:
    """Pass prompts through layers and look at the Gram matrices of their inputs."""
    d, n = run.size("dimension and examples", quick=(5, 15), standard=(10, 30), full=(10, 30))
    count = run.size("prompts", quick=400, standard=2000, full=20_000)
    x = run.rng().uniform(-1, 1, (count, n, d))
    before = np.linalg.eigvalsh(x.transpose(0, 2, 1) @ x)
    gamma = 0.3 / float(np.quantile(before, 0.999))
    layer = training.descent_layer(d, 1, step=0.0, input_decay=gamma)
    tokens = jnp.asarray(np.concatenate([x, np.zeros((count, n, 1))], axis=2))

    def grams(n_layers: int) -> Array:
        inputs = np.asarray(attention.forward_prompts(attention.repeat(layer, n_layers), tokens, jnp.ones(n)))[..., :d]
        return np.linalg.eigvalsh(inputs.transpose(0, 2, 1) @ inputs)

    measured = [before, grams(1), grams(2)]
    options: dict[str, Any] = {"normalized_step_size": 0.0, "n_context": 1, "input_decay": gamma}
    mapped = in_context.gdpp_spectrum(before.ravel(), n_layers=2, **options).eigenvalues.reshape(3, count, d)
    curve = np.linspace(0, 1.2, 200)
    image, ((left, right),) = canvas(1, 2, width=4.0)
    theory(left, curve, in_context.gdpp_spectrum(curve / gamma, n_layers=1, **options).eigenvalues[1] * gamma, 0)
    shown = np.arange(0, count, max(1, count // 40))
    simulation(left, gamma * before[shown].ravel(), gamma * measured[1][shown].ravel(), 0, markersize=3)
    reference(left, [0, 0.5], [0, 0.5])
    note(left, r"$\lambda$", 0.42, 0.45)
    left.set(
        xlabel=r"eigenvalue before, $\gamma \lambda$",
        ylabel=r"eigenvalue after, $\gamma \lambda$",
        ylim=(0, 0.5),
        xlim=(0, 0.6),
    )
    levels = np.linspace(0, 1, 201)[1:-1]
    numbers: dict[str, Any] = {"gamma": gamma, "before": before[shown], "after": measured[1][shown], "level": levels}
    entries: list[tuple[Any, str]] = []
    for k, label in enumerate(("prompt", "after one layer", "after two layers")):
        spread = np.sort(mapped[k], axis=1)
        line = np.quantile(spread[:, -1] / spread[:, 0], levels)
        marks = np.quantile(measured[k][:, -1] / measured[k][:, 0], levels[9::20])
        entries.append(((theory(right, line, levels, k), simulation(right, marks, levels[9::20], k)), label))
        numbers |= {f"line_{k}": line, f"marks_{k}": marks}
    right.set(xscale="log", xlabel="condition number", ylabel="fraction of prompts below")
    right.set_xticks([2, 5, 10, 20], ["2", "5", "10", "20"])
    right.minorticks_off()
    legend(right, entries, loc="lower right")
    return Drawing(image, numbers)


def _shape(run: Run) -> tuple[int, int]:
    return run.size("examples and dimension", quick=(6, 3), standard=(10, 5), full=(10, 10))


@lru_cache(maxsize=1)
def _trained(scale: str, seed: int) -> tuple[Array, training.Training]:
    """Train one layer once for two figures; steps at which it was recorded, and the layers."""
    run = Run("figure:vonoswald2022.trained", scale, seed)
    n, d = _shape(run)
    per_record = run.size("steps per record", quick=50, standard=200, full=250)
    records = run.size("records", quick=24, standard=24, full=24)
    batch = run.size("batch", quick=256, standard=512, full=2048)
    draw = partial(prompts.sample_prompts, n_context=n, dim=d, law="uniform")
    found = training.train_attention(
        run.key(), draw, width=d + 1, records=records, steps_per_record=per_record, batch=batch, learning_rate=1e-2
    )
    return per_record * np.arange(records + 1.0), found


def _best_stack(run: Run, depth: int) -> float:
    """Train shared matrices from several starts and return the least risk at the end."""
    n, d = _shape(run)
    steps = run.size("training steps", quick=1200, standard=5000, full=20_000)
    batch = run.size("training batch", quick=128, standard=512, full=2048)
    starts = run.size("starts", quick=3, standard=6, full=16)
    draw = partial(prompts.sample_prompts, n_context=n, dim=d, law="uniform")
    train = partial(
        training.train_attention,
        draw=draw,
        width=d + 1,
        n_layers=depth,
        shared=True,
        records=1,
        steps_per_record=steps,
        batch=batch,
        learning_rate=1e-2,
    )
    found = jax.vmap(train)(run.keys(starts, f"{depth} layers"))
    return float(jnp.nanmin(found.loss[:, -1]))
