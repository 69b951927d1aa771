"""Jacot, Gabriel and Hongler 2018: kernels on the circle, trained networks, and the modes that they learn."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, simulation, theory
from paper_checks.claim import Run
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk

Array = NDArray[np.float64]

BIAS_STD = 0.3
WEIGHT_STD = 2**0.5
RATE = 0.5
RELU = sim.ACTIVATIONS["relu"]


def _circle(angles: Array) -> Array:
    """Points on the circle of radius sqrt(2), where the first layer's variance is weight_std^2 + bias_std^2."""
    return np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def _kernel_row(key: jax.Array, x: jax.Array, y: jax.Array, train: jax.Array, n: int, steps: int) -> jax.Array:
    """Tangent kernel of the first point with all others, before and after training."""
    widths = (2, n, 1)
    scales = sim.ntk_scales(widths, weight_std=WEIGHT_STD, bias_std=BIAS_STD)
    return sim.gradient_descent(
        sim.initialise(key, widths, scales),
        train,
        y,
        scales=scales,
        activation=RELU,
        learning_rate=RATE,
        n_records=1,
        stride=steps,
        observe=lambda network: sim.tangent_kernel(network, x, scales, RELU)[0],
    )


@figure(
    "jacot2018.kernel_on_circle",
    caption=r"""Tangent kernel of relu networks with one hidden layer, between the point at angle 0 of the circle and
    the point at angle gamma. Black line: infinite width. Markers and bars: mean and standard deviation of ten networks
    at two widths, at the start (left) and after training by gradient descent on four points (right). The spread falls
    as the square root of the width, the movement in training as the width itself.""",
)
def kernel_on_circle(run: Run) -> Drawing:
    """Draw kernels of ten networks a width."""
    widths = run.size("widths", quick=(50, 500), standard=(500, 10_000), full=(500, 10_000))
    steps = run.size("steps", quick=100, standard=400, full=400)
    angles, fine = np.linspace(-np.pi, np.pi, 17), np.linspace(-np.pi, np.pi, 241)
    train = _circle(np.array([-2.0, -0.6, 0.7, 2.2]))
    y = np.array([0.5, -0.8, 0.9, -0.4])
    x = _circle(np.append(0.0, angles))
    options: dict[str, Any] = {"n_hidden": 1, "weight_std": WEIGHT_STD, "bias_std": BIAS_STD}
    limit = ntk.nngp_ntk(_circle(np.zeros(1)), _circle(fine), **options).ntk[0]
    arrays = (jnp.asarray(x), jnp.asarray(y), jnp.asarray(train))
    found = np.stack([over_replicates(_kernel_row, run.keys(10, f"{n}"), *arrays, n, steps)[..., 1:] for n in widths])
    mean, spread = found.mean(axis=1), found.std(axis=1, ddof=1)

    image, (panels,) = canvas(1, 2, width=4.0, share_y=True)
    for panel, axes in enumerate(panels):
        entries: list[tuple[Any, str]] = [(theory(axes, fine, limit), r"$n \to \infty$")]
        for k, n in enumerate(widths):
            shift = 0.06 * (k - 0.5)
            drawn = simulation(axes, angles + shift, mean[k, panel], k + 1, error=spread[k, panel])
            entries.append((drawn, f"$n = {n}$"))
        axes.set(xlabel=r"angle $\gamma$")
        if panel == 0:
            axes.set(ylabel=r"kernel $\Theta(x_0, x(\gamma))$")
            legend(axes, entries, loc="upper left")
        note(axes, ("at the start", "trained")[panel], 0.97, 0.95, transform=axes.transAxes, ha="right", va="top")
    numbers = {"angles": angles, "mean": mean, "std": spread, "fine": fine, "limit": limit, "widths": widths}
    return Drawing(image, numbers)


def _function(key: jax.Array, x: jax.Array, y: jax.Array, train: jax.Array, n: int, steps: int) -> jax.Array:
    widths = (2, n, n, 1)
    scales = sim.ntk_scales(widths, weight_std=WEIGHT_STD, bias_std=BIAS_STD)
    path = sim.gradient_descent(
        sim.initialise(key, widths, scales),
        train,
        y,
        scales=scales,
        activation=RELU,
        learning_rate=RATE,
        n_records=1,
        stride=steps,
        observe=lambda network: sim.outputs(network, x, scales, RELU)[:, 0],
    )
    return path[1]


@figure(
    "jacot2018.trained_functions",
    caption=r"""Functions on the circle that relu networks with two hidden layers have learned from four points
    (crosses). Lines: mean, and the 10th and 90th percentiles, of the Gaussian process of infinite width after the same
    number of steps. Markers: median of networks of two widths, bars from their 10th to their 90th percentile.""",
)
def trained_functions(run: Run) -> Drawing:
    """Train networks of two widths and compare percentiles."""
    widths = run.size("widths", quick=(25, 100), standard=(50, 1000), full=(50, 1000))
    networks = run.size("networks", quick=40, standard=100, full=1000)
    steps = run.size("steps", quick=100, standard=1000, full=1000)
    angles, fine = np.linspace(-np.pi, np.pi, 17), np.linspace(-np.pi, np.pi, 161)
    at = np.array([-2.0, -0.6, 0.7, 2.2])
    train, y = _circle(at), np.array([0.5, -0.8, 0.9, -0.4])
    inputs = np.concatenate([train, _circle(fine)])
    kernels = ntk.nngp_ntk(inputs, n_hidden=2, weight_std=WEIGHT_STD, bias_std=BIAS_STD)
    gp = ntk.ntk_gp(kernels.ntk, kernels.nngp, y, t=steps, learning_rate=RATE)
    band = 1.2816 * np.sqrt(np.maximum(np.diag(gp.cov), 0))
    arrays = (jnp.asarray(_circle(angles)), jnp.asarray(y), jnp.asarray(train))
    found = [over_replicates(_function, run.keys(networks, f"{n}"), *arrays, n, steps) for n in widths]
    low, middle, high = np.percentile(found, [10, 50, 90], axis=1)

    image, ((axes,),) = canvas(width=5.4, height=3.6)
    lines = (theory(axes, fine, gp.mean), theory(axes, fine, gp.mean + band, linestyle="--", linewidth=1.0))
    theory(axes, fine, gp.mean - band, linestyle="--", linewidth=1.0)
    entries: list[tuple[Any, str]] = [(lines[0], r"$n \to \infty$, mean"), (lines[1], "10 % and 90 %")]
    for k, n in enumerate(widths):
        bars = [middle[k] - low[k], high[k] - middle[k]]
        entries.append((simulation(axes, angles + 0.08 * (k - 0.5), middle[k], k + 1, error=bars), f"$n = {n}$"))
    axes.plot(at, y, "x", color="black", markersize=8, markeredgewidth=2, zorder=5)
    axes.set(xlabel=r"angle $\gamma$", ylabel=r"output $f(x(\gamma))$")
    legend(axes, entries, loc="upper left", ncols=2)
    axes.set_ylim(top=axes.get_ylim()[1] + 0.8)
    numbers = {
        "fine": fine,
        "mean": gp.mean,
        "band": band,
        "angles": angles,
        "low": low,
        "middle": middle,
        "high": high,
    }
    return Drawing(image, numbers)


def _error_along(
    key: jax.Array, x: jax.Array, mode: jax.Array, rate: jax.Array, n: int, records: int, stride: int
) -> jax.Array:
    """Error along a mode of a network that is to learn its own start plus that mode."""
    widths = (2, n, 1)
    scales = sim.ntk_scales(widths, weight_std=WEIGHT_STD, bias_std=BIAS_STD)
    start = sim.initialise(key, widths, scales)
    y = sim.outputs(start, x, scales, RELU)[:, 0] + mode
    return sim.gradient_descent(
        start,
        x,
        y,
        scales=scales,
        activation=RELU,
        learning_rate=rate,
        n_records=records,
        stride=stride,
        observe=lambda network: mode @ (y - sim.outputs(network, x, scales, RELU)[:, 0]),
    )


@figure(
    "jacot2018.kernel_pca",
    caption=r"""Error along the second principal component of the tangent kernel on sixteen points of the circle, for
    relu networks with one hidden layer that are to learn exactly that component. Line: exp(-lambda t / N) at infinite
    width. Markers: mean and standard deviation of ten networks at three widths.""",
)
def kernel_pca(run: Run) -> Drawing:
    """Train networks of three widths on one mode."""
    widths = run.size("widths", quick=(30, 100, 1000), standard=(100, 1000, 10_000), full=(100, 1000, 10_000))
    records, stride, rate = 8, 10, 0.05
    x = _circle(2 * np.pi * np.arange(16) / 16 + 0.1 * run.rng().standard_normal(16))
    kernel = ntk.nngp_ntk(x, n_hidden=1, weight_std=WEIGHT_STD, bias_std=BIAS_STD).ntk
    rates, modes = ntk.kernel_pca_rates(kernel)
    times = rate * stride * np.arange(records + 1)
    t = np.linspace(0, times[-1], 121)
    curve = np.exp(-rates[1] * t)
    measure = partial(over_replicates, _error_along)
    arrays = (jnp.asarray(x), jnp.asarray(modes[:, 1]), jnp.asarray(rate))
    found = np.stack([measure(run.keys(10, f"{n}"), *arrays, n, records, stride) for n in widths])
    mean, spread = found.mean(axis=1), found.std(axis=1, ddof=1)

    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = [(theory(axes, t, curve), r"$e^{-\lambda_2 t / N}$")]
    for k, n in enumerate(widths):
        drawn = simulation(axes, times + 0.06 * (k - 1), mean[k], k + 1, error=spread[k])
        entries.append((drawn, f"$n = {n}$"))
    axes.set(xlabel="time $t$", ylabel="error along mode 2")
    legend(axes, entries, loc="upper right")
    return Drawing(image, {"t": t, "curve": curve, "times": times, "mean": mean, "std": spread})
