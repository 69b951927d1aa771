"""Advani, Saxe and Sompolinsky 2017: errors over time, the best time to stop, initial weights, and the spectrum."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations.deep_linear import high_dimensional as sim
from simulations.replicates import over_replicates
from theory.deep_linear import high_dimensional as solve

Array = NDArray[np.float64]

SNR = 5.0
MARKED = 2.0 ** np.arange(-3, 9)


def _train(run: Run, alpha: float, group: sim.Students, *, name: str = "") -> sim.Errors:
    """Errors at the marked times, (designs, times, ...)."""
    N, designs = run.size("features, designs", quick=(32, 60), standard=(64, 400), full=(256, 2000))
    P = round(alpha * N)
    keys = run.keys(designs, f"{alpha} {name}")
    sample = sim.Sample(keys, jnp.full(designs, float(N)), jnp.full(designs, float(P)))
    powers = sim.Students(*(jnp.asarray(power, dtype=float) for power in group))
    schedule = (jnp.asarray(2.0**-11), jnp.asarray(19))
    return over_replicates(sim.descent_errors, sample, powers, *schedule, (N, 2 * N), len(MARKED))


def _mean(samples: Array) -> tuple[Array, Array]:
    return samples.mean(axis=0), samples.std(axis=0) / np.sqrt(len(samples))


@figure(
    "advani2017.error_dynamics",
    caption=r"""Test error (left) and training error (right) of a linear student against time, S = 5, from zero weights,
    in units of the noise. Lines: many features, with half as many samples, as many, and twice as many. Markers:
    gradient descent on 32 features, mean over designs with standard errors. The test error is least at a finite time;
    with as many samples as features it then grows without bound.""",
)
def error_dynamics(run: Run) -> Drawing:
    """Train on designs of three proportions."""
    fine = np.geomspace(0.1, 300, 200)
    image, ((left, right),) = canvas(1, 2)
    numbers: dict[str, Any] = {"fine": fine, "marked": MARKED}
    entries: list[tuple[Any, str]] = []
    for j, alpha in enumerate((0.5, 1.0, 2.0)):
        errors = _train(run, alpha, sim.Students(SNR, 0.0, 1.0))
        for axes, name, line in (
            (left, "test", solve.test_error(fine, alpha=alpha, snr=SNR)),
            (right, "train", solve.train_error(fine, alpha=alpha, snr=SNR)),
        ):
            mean, error = _mean(getattr(errors, name))
            handles = (theory(axes, fine, line, j), simulation(axes, MARKED, mean, j, error=error))
            numbers |= {f"{name}_{j}": line, f"{name}_mean_{j}": mean, f"{name}_error_{j}": error}
            if name == "test":
                entries.append((handles, rf"$\alpha = {alpha:g}$"))
    left.set(xscale="log", xlabel=r"time $t / \tau$", ylabel="test error", ylim=(0, 12))
    right.set(xscale="log", xlabel=r"time $t / \tau$", ylabel="training error")
    legend(left, entries, loc="upper left")
    return Drawing(image, numbers)


@figure(
    "advani2017.heat_map",
    caption=r"""Test error of many features against samples per feature and time, S = 5, in units of the noise, on a
    logarithmic scale of colours. White: the best time to stop. Late in training the error has a ridge at as many
    samples as features, which training that stops in time avoids.""",
)
def heat_map(run: Run) -> Drawing:
    """Evaluate the error on a grid of times and proportions."""
    points = run.size("grid", quick=60, standard=120, full=300)
    alphas, times = np.geomspace(0.1, 10, points + 1), np.geomspace(0.05, 1000, points)
    error = solve.test_error(times[:, None], alpha=alphas, snr=SNR)
    best = solve.optimal_stopping_time(alpha=alphas, snr=SNR)
    image, ((axes,),) = canvas(width=4.6, height=3.6)
    levels = np.geomspace(error.min(), error.max(), 20)
    shades = axes.contourf(alphas, times, error, levels=levels, cmap="viridis")
    axes.plot(alphas, best, color="white", linestyle="--")
    axes.set(xscale="log", yscale="log", xlabel=r"samples per feature $\alpha$", ylabel=r"time $t / \tau$")
    image.colorbar(shades, ax=axes, format="%.1f").set_label("test error")
    return Drawing(image, {"alphas": alphas, "times": times, "error": error, "best": best})


@figure(
    "advani2017.double_descent",
    caption=r"""Test error against samples per feature at S = 5, in units of the noise: trained without end (peak at as
    many samples as features), stopped at the best time, and ridge regression at the best ridge. Lines: many features.
    Markers: gradient descent and ridge fits on 32 features, mean over designs with standard errors. Early stopping is
    hardly worse than ridge regression.""",
)
def double_descent(run: Run) -> Drawing:
    """Train, stop and solve on designs of several proportions."""
    N, designs = run.size("features, designs", quick=(32, 100), standard=(64, 400), full=(256, 2000))
    fine, marked = np.geomspace(0.1, 8, 300), np.array([0.25, 0.5, 0.75, 1.25, 2.0, 4.0])
    stopped = solve.test_error(solve.optimal_stopping_time(alpha=fine, snr=SNR), alpha=fine, snr=SNR)
    lines = (
        np.minimum(solve.late_test_error(alpha=fine, snr=SNR), 1e3),
        stopped,
        solve.ridge_test_error(1 / SNR, alpha=fine, snr=SNR),
    )
    group = sim.Students(*(jnp.asarray(power) for power in (SNR, 0.0, 1.0)))
    each = jnp.asarray(np.repeat(np.round(marked * N), designs))
    sample = sim.Sample(run.keys(len(each)), jnp.full(len(each), float(N)), each)
    shape = (N, round(N * marked[-1]))
    trained = over_replicates(sim.stop_early, sample, group, jnp.asarray(2.0**-6), shape, 16)
    ridged = over_replicates(sim.ridge_errors, sample, jnp.asarray([1 / SNR]), group, shape)[:, 0]
    found = [_mean(x.reshape(len(marked), designs).T) for x in (trained.late, trained.test, ridged)]
    image, ((axes,),) = canvas()
    reference(axes, [1, 1], [0, 100])
    entries = [
        ((theory(axes, fine, lines[j], j), simulation(axes, marked, found[j][0], j, error=found[j][1])), label)
        for j, label in enumerate(("without end", "stopped at the best time", "best ridge"))
    ]
    axes.set(xscale="log", xlabel=r"samples per feature $\alpha$", ylabel="test error", ylim=(0, 10))
    legend(axes, entries, loc="upper left")
    means, errors = (np.array([pair[k] for pair in found]) for k in (0, 1))
    return Drawing(image, {"fine": fine, "lines": np.array(lines), "marked": marked, "means": means, "errors": errors})


@figure(
    "advani2017.stopping_time",
    caption=r"""Best time to stop against the power S of the teacher over that of the noise. Lines: many features, at
    four numbers of samples per feature. Markers: best times on 32 features, mean over designs with standard errors. The
    time grows as ln S, but with as many samples as features in proportion to S (grey: (1 + sqrt 2) S / 4).""",
)
def stopping_time(run: Run) -> Drawing:
    """Stop gradient descent on designs at its best."""
    N, designs = run.size("features, designs", quick=(32, 60), standard=(64, 400), full=(256, 2000))
    fine, marked = np.geomspace(0.3, 1000, 100), np.geomspace(1, 30, 4)
    alphas = (0.25, 1.0, 2.0, 4.0)
    lines = np.array([solve.optimal_stopping_time(alpha=alpha, snr=fine) for alpha in alphas])
    each = jnp.asarray(np.repeat([round(alpha * N) for alpha in alphas], designs), dtype=float)
    sample = sim.Sample(run.keys(len(each)), jnp.full(len(each), float(N)), each)
    image, ((axes,),) = canvas()
    reference(axes, fine, solve.CRITICAL_STOPPING * fine)
    found = []
    for S in marked:
        group = sim.Students(*(jnp.asarray(float(power)) for power in (S, 0.0, 1.0)))
        times = over_replicates(sim.stop_early, sample, group, jnp.asarray(2.0**-6), (N, 4 * N), 12).time
        found.append(_mean(times.reshape(len(alphas), designs).T))
    mean, error = (np.array([pair[k] for pair in found]).T for k in (0, 1))
    entries = [
        (
            (theory(axes, fine, lines[j], j), simulation(axes, marked, mean[j], j, error=error[j])),
            rf"$\alpha = {alpha:g}$",
        )
        for j, alpha in enumerate(alphas)
    ]
    axes.set(xscale="log", yscale="log", xlabel="signal to noise $S$", ylabel=r"best time $t / \tau$")
    legend(axes, entries, loc="upper left")
    return Drawing(image, {"fine": fine, "lines": lines, "marked": marked, "mean": mean, "error": error})


@figure(
    "advani2017.initial_weights",
    caption=r"""Test error against time for initial weights of four powers I, with half as many samples as features, S
    = 5, in units of the noise. Lines: many features. Markers: gradient descent on 32 features, mean over designs with
    standard errors. What lies outside of the span of the samples is never forgotten: the cost in the end is I/2.""",
)
def initial_weights(run: Run) -> Drawing:
    """Train from weights of four sizes on the same designs."""
    fine, powers = np.geomspace(0.1, 300, 200), np.array([0.0, 1.0, 3.0, 9.0])
    lines = solve.test_error(fine[:, None], alpha=0.5, snr=SNR, inr=powers)
    mean, error = _mean(np.asarray(_train(run, 0.5, sim.Students(SNR, powers, 1.0), name="weights").test))
    image, ((axes,),) = canvas()
    entries = [
        (
            (theory(axes, fine, lines[:, j], j), simulation(axes, MARKED, mean[:, j], j, error=error[:, j])),
            f"$I = {p:g}$",
        )
        for j, p in enumerate(powers)
    ]
    axes.set(xscale="log", xlabel=r"time $t / \tau$", ylabel="test error", ylim=(0, 19))
    legend(axes, entries, loc="upper right", ncols=2)
    return Drawing(image, {"fine": fine, "lines": lines, "mean": mean, "error": error})


@figure(
    "advani2017.spectrum",
    caption=r"""Density of nonzero eigenvalues of the correlations of random inputs, per feature, for half as many
    samples as features, as many, and twice as many. Lines: the Marchenko-Pastur law. Markers: histograms over designs
    of 64 features. With as many samples as features the density diverges at zero, and learning never ends.""",
)
def spectrum(run: Run) -> Drawing:
    """Diagonalise designs and count."""
    N, designs = run.size("features, designs", quick=(64, 100), standard=(128, 400), full=(512, 2000))
    rng = run.rng()
    image, ((axes,),) = canvas()
    numbers: dict[str, Any] = {}
    entries = []
    for j, alpha in enumerate((0.5, 1.0, 2.0)):
        P = round(alpha * N)
        inputs = rng.standard_normal((designs, N, P)) / np.sqrt(N)
        values = np.linalg.svd(inputs, compute_uv=False) ** 2
        edges = np.linspace(0.02, (1 + np.sqrt(alpha)) ** 2, 21)
        counts, _ = np.histogram(values, edges)
        middle = (edges[1:] + edges[:-1]) / 2
        density = counts / (designs * N * np.diff(edges))
        fine = np.linspace(0.01, 6, 600)
        line = solve.mp_density(fine, alpha=alpha)
        entries.append(((theory(axes, fine, line, j), simulation(axes, middle, density, j)), rf"$\alpha = {alpha:g}$"))
        numbers |= {f"line_{j}": line, f"middle_{j}": middle, f"density_{j}": density, "fine": fine}
    axes.set(xlabel=r"eigenvalue $\lambda$", ylabel=r"density $\rho(\lambda)$", ylim=(0, 1.2))
    legend(axes, entries, loc="upper right")
    return Drawing(image, numbers)
