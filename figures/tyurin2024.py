"""Tyurin 2024: high losses on the way to early separation, the perceptron at the end of large steps, and its n."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, colour, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]


@figure(
    "tyurin2024.loss_and_accuracy",
    caption=r"""Gradient descent on logistic regression of separable data, most rows of which agree while a few oppose
    them, at step sizes gamma over six decades: loss (left) and share of misclassified samples (right) against the
    number of steps. Markers: training as it is (no randomness enters after the data are drawn), on the right up to the
    step that separates the data. Lines on the left: gamma times the perceptron loss along the perceptron's own path,
    which the loss follows at large gamma until the data are separated and it collapses; grey: the loss at the start.
    The larger the step, the higher the loss in between, and the sooner no sample is misclassified.""",
)
def loss_and_accuracy(run: Run) -> Drawing:
    """Train one data set at several step sizes."""
    n = run.size("samples", quick=60, standard=200, full=2000)
    horizon = 4000
    rows = _opposed(run.rng(), n, opponents=n // 20)
    gammas = (0.1, 1.0, 10.0, 1e3, 1e5)
    path = optimization.batch_perceptron(rows[0], n_steps=horizon)
    separated = int((path @ rows[0].T > 0).all(axis=1).argmax())
    line = optimization.perceptron_loss(rows[0], path[1:separated])

    image, ((left, right),) = canvas(1, 2, width=4.3)
    shown = np.unique(np.geomspace(1, horizon, 28).astype(int))
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"gammas": gammas, "perceptron_loss": line, "separated": separated, "shown": shown}
    for k, gamma in enumerate(gammas):
        weights = sim.descent_path(rows, step_size=gamma, n_steps=horizon)
        loss = sim.logistic_losses(rows, weights)[0]
        wrong = (np.einsum("std,snd->stn", weights, rows) <= 0).mean(axis=-1)[0]
        last = int((wrong == 0).argmax())
        visible = shown[loss[shown] > 1e-8]
        marks = simulation(left, visible, loss[visible], k)
        lines = (theory(left, np.arange(1, separated), gamma * line, k),) if gamma >= 1e3 else ()
        entries.append(((*lines, marks), rf"$\gamma = 10^{{{int(np.log10(gamma))}}}$"))
        thinned = np.append(shown[shown < last], last)
        right.plot(np.arange(1, last + 1), wrong[1 : last + 1], color=colour(k), linewidth=0.8, zorder=2)
        simulation(right, thinned, wrong[thinned], k)
        numbers |= {f"loss_{k}": loss[shown], f"steps_{k}": last}
    reference(left, [1, horizon], [np.log(2)] * 2)
    for axes in (left, right):
        axes.set(xscale="log", xlabel="step", xlim=(0.8, 1.3 * horizon))
    left.set(yscale="log", ylim=(1e-3, 1e4), ylabel="loss")
    right.set(ylabel="misclassified")
    legend(left, entries, loc="upper right")
    return Drawing(image, numbers)


def _opposed(rng: np.random.Generator, n: int, *, opponents: int) -> Array:
    """Scatter rows about two directions that share only a small component, most of them about the first."""
    rows = optimization.hard_instance(n, np.pi / 8)
    rows[-opponents:] = rows[-1]
    return (rows + rng.uniform(-0.12, 0.12, size=rows.shape))[None]


@figure(
    "tyurin2024.perceptron_path",
    caption=r"""Weights over step size, theta / gamma, of gradient descent in two dimensions, at step sizes gamma that
    grow by a factor of 5 (markers), and the path of the batch perceptron (line), from the common first iterate
    (filled). Left: plain; right: normalised by the mean weight. Both end with the iterate at which the perceptron
    separates the data, in the shaded cone of weights that classify every sample; no randomness enters after the data
    are drawn. At the largest step size the paths are one.""",
)
def perceptron_path(run: Run) -> Drawing:
    """Follow one two-dimensional data set, by the plain and by the normalised method."""
    rows = _long_path(run.rng())
    gammas = (5.0, 25.0, 125.0, 625.0)

    image, axes = canvas(1, 2, width=4.2, height=3.8)
    numbers: dict[str, Any] = {"rows": rows[0], "gammas": gammas}
    for panel, normalized in zip(axes[0], (False, True), strict=True):
        steps = int(sim.steps_to_separate(rows, normalized=normalized)[0])
        exact = optimization.batch_perceptron(rows[0], n_steps=steps, normalized=normalized)[1:]
        line = theory(panel, exact[:, 0], exact[:, 1], 0)
        entries: list[tuple[Any, str]] = [(line, "perceptron")]
        panel.plot(exact[0, 0], exact[0, 1], "o", color=colour(0), markersize=7, zorder=4)
        name = "normalized" if normalized else "plain"
        numbers[f"{name}_perceptron"] = exact
        for k, gamma in enumerate(gammas, 1):
            path = sim.descent_path(rows, step_size=gamma, n_steps=steps, normalized=normalized)[0, 1:] / gamma
            entries.append((simulation(panel, path[:, 0], path[:, 1], k), rf"$\gamma = {gamma:g}$"))
            numbers[f"{name}_{k}"] = path
        _shade_separators(panel, rows[0])
        panel.set(xlabel=r"$\theta_1 / \gamma$", ylabel=r"$\theta_2 / \gamma$")
        note(panel, "normalised" if normalized else "plain", 0.5, 1.01, ha="center", transform=panel.transAxes)
    legend(axes[0, 0], entries, loc="upper right")
    return Drawing(image, numbers)


def _long_path(rng: np.random.Generator) -> Array:
    """Draw data for which both perceptrons take several updates, and stay away from ties on the way."""
    rows = sim.random_separable(rng, n_sets=50_000, n_samples=10, dimension=2)
    long = (sim.steps_to_separate(rows, max_steps=12) >= 6) & (sim.steps_to_separate(rows, normalized=True) >= 4)
    rows = rows[long]
    path = sim.perceptron_path(rows, n_steps=12)[:, 1:]
    nearest = np.abs(np.einsum("std,snd->stn", path, rows)).min(axis=(1, 2))
    return rows[[nearest.argmax()]]


def _shade_separators(axes: Any, rows: Array) -> None:
    """Fill the cone of weights with positive margins, without moving the axes."""
    angles = np.linspace(0, 2 * np.pi, 3601)
    inside = angles[(np.stack([np.cos(angles), np.sin(angles)], axis=1) @ rows.T > 0).all(axis=1)]
    limits = axes.axis()
    reach = 2 * np.abs(limits).max()
    ends = reach * np.array([[np.cos(a), np.sin(a)] for a in (inside.min(), inside.max())])
    axes.fill(*np.vstack([[0, 0], ends]).T, color="0.9", zorder=0)
    axes.axis(limits)


@figure(
    "tyurin2024.number_of_samples",
    caption=r"""Updates until the data are separated, against the number n of samples, on n - 1 rows (cos phi, sin phi)
    and one (-cos phi, sin phi), phi = pi/6. Markers: simulation (no randomness enters); lines: closed form, growing as
    n cos(2 phi) / 2 for the batch perceptron and 2 for the normalised one. Grey: the bounds n R^2 / mu^2 and R^2 /
    mu^2, and between them the sharper n^2 / (4 (n - 1)) R^2 / mu^2, which is four times the plain count for many
    samples. The margin is the same for all n.""",
)
def number_of_samples(run: Run) -> Drawing:
    """Count updates on the hard instance."""
    largest = run.size("largest n", quick=640, standard=2560, full=10_240)
    phi = np.pi / 6
    sizes = 10 * 2 ** np.arange(int(np.log2(largest / 10)) + 1)
    curve = np.unique(np.geomspace(10, largest, 200).astype(int))
    found = {
        normalized: [
            int(sim.steps_to_separate(optimization.hard_instance(int(n), phi)[None], normalized=normalized)[0])
            for n in sizes
        ]
        for normalized in (False, True)
    }
    exact = [optimization.hard_instance_iterations(int(n), phi) for n in curve]
    problem: dict[str, Any] = {"radius": 1.0, "margin": float(np.sin(phi))}

    image, ((axes,),) = canvas()
    plain = [optimization.perceptron_iteration_bound(int(n), **problem) for n in curve]
    sharper = [optimization.sharper_perceptron_bound(int(n), **problem) for n in curve]
    normal = [optimization.perceptron_iteration_bound(int(n), normalized=True, **problem) for n in curve]
    grey = [
        reference(axes, curve, bound, linestyle=dash) for bound, dash in ((plain, "-"), (sharper, "--"), (normal, ":"))
    ]
    entries: list[tuple[Any, str]] = [
        ((theory(axes, curve, exact, 0), simulation(axes, sizes, found[False], 0)), "batch perceptron"),
        ((theory(axes, curve, np.full(len(curve), 2.0), 1), simulation(axes, sizes, found[True], 1)), "normalised"),
        (grey[0], r"$n R^2 / \mu^2$"),
        (grey[1], r"$n^2 R^2 / (4 (n - 1) \mu^2)$"),
        (grey[2], r"$R^2 / \mu^2$"),
    ]
    axes.set(xscale="log", yscale="log", xlabel="number of samples $n$", ylabel="updates")
    legend(axes, entries, loc="upper left")
    numbers = {"n": sizes, "plain": found[False], "normalized": found[True], "curve": curve, "exact": exact}
    return Drawing(image, numbers | {"bound": plain, "sharper": sharper, "normalized_bound": normal})
