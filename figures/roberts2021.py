"""Roberts, Yaida and Hanin 2022: fluctuations that grow with depth over width, signals that fade, critical lines."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk

HOMOGENEOUS = ("relu", "linear")


def _variances(key: Any, k1: Any, widths: tuple[int, ...], c_w: float, name: str) -> Any:
    return sim.sample_variances(key, k1, widths, c_w, 0.0, sim.ACTIVATIONS[name])


@figure(
    "roberts2021.vertex",
    caption=r"""Relative variance, over networks, of the variance that a neuron has, against depth over width, at
    criticality. Lines: V / (n K^2) to leading order in 1/n, of slope 5 for relu, 2 for linear layers and 2/3 for tanh;
    thin grey: the exact products of 1 + nu / n over layers, n = 64, for the first two. Markers: networks drawn at n =
    64 and n = 128, with standard errors. All widths fall on one curve for each activation: a relu network as deep as a
    fifth of its width is not Gaussian at all.""",
)
def vertex(run: Run) -> Drawing:
    """Draw networks of several depths as conditional Gaussians, and measure how their variances vary."""
    networks = run.size("networks", quick=4000, standard=40_000, full=400_000)
    depth = 17  # layers drawn at the larger width; at the smaller, 9 of them
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {}
    for series, name in enumerate((*HOMOGENEOUS, "tanh")):
        c_w = ntk.critical_point(name).c_w
        flow = ntk.representation_flow(1.0, activation=name, c_w=c_w, c_b=0.0, depth=depth)
        ratio = flow.vertex / flow.kernel**2
        layers = np.arange(depth)
        line = theory(axes, layers / 64, ratio / 64, series)
        numbers |= {f"{name}_shape": layers / 64, f"{name}_line": ratio / 64}
        if name in HOMOGENEOUS:
            exact = [ntk.kernel_moment_ratio([64] * int(layer), activation=name) - 1 for layer in layers]
            reference(axes, layers / 64, exact)
            numbers[f"{name}_exact"] = np.array(exact)
        for n in (64, 128):
            keys = run.keys(networks, f"{name} {n}")
            found = over_replicates(_variances, keys, jnp.asarray(1.0), (n,) * (depth - 1), c_w, name)
            shown = np.array([0, 2, 4, 6, 8]) if n == 64 else np.array([3, 7, 11, 15])
            relative = found[:, shown] / found[:, shown].mean(axis=0) - 1
            spread, error = (relative**2).mean(axis=0), (relative**2).std(axis=0) / np.sqrt(networks)
            marks = simulation(axes, (shown + 1) / n, spread, series, error=error)
            numbers |= {f"{name}_{n}_at": (shown + 1) / n, f"{name}_{n}": spread, f"{name}_{n}_error": error}
        entries.append(((line, marks), name))
    axes.set(
        xlabel=r"depth over width, $(\ell - 1)/n$", ylabel=r"$V / (n K^2)$", xlim=(-0.005, 0.15), ylim=(-0.03, 1.1)
    )
    legend(axes, entries, loc="upper left")
    return Drawing(image, numbers)


@figure(
    "roberts2021.kernel_decay",
    caption=r"""Variance K of preactivations against the layer, at the critical tuning of each activation and for a
    first layer of variance 1. Lines: the recursion of infinite width; markers: sampled networks of width 400, with
    standard errors over networks. The signal of tanh fades as 1/(2l), that of sin as 1/l, and that of relu keeps its
    strength; with one tenth more or less weight variance (thin lines, tanh) it stays finite or dies exponentially.""",
)
def kernel_decay(run: Run) -> Drawing:
    """Propagate variances to many layers, and sample networks."""
    networks = run.size("networks", quick=40, standard=400, full=4000)
    depth, width = 300, 400
    layers = np.arange(1, depth + 1)
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"layers": layers}
    shown = np.array([1, 2, 4, 8, 16, 30])
    for series, name in enumerate(("relu", "tanh", "sin")):
        c_w = ntk.critical_point(name).c_w
        kernel = ntk.representation_flow(1.0, activation=name, c_w=c_w, c_b=0.0, depth=depth).kernel
        found = over_replicates(_variances, run.keys(networks, name), jnp.asarray(1.0), (width,) * 30, c_w, name)
        sampled = found[:, shown - 1]
        mean, error = sampled.mean(axis=0), sampled.std(axis=0) / np.sqrt(networks)
        line = theory(axes, layers, kernel, series)
        entries.append(((line, simulation(axes, shown + 1, mean, series, error=error)), name))
        numbers |= {name: kernel, f"{name}_mean": mean, f"{name}_error": error}
    numbers["shown"] = shown + 1
    for factor in (0.9, 1.1):
        flow = ntk.representation_flow(1.0, activation="tanh", c_w=factor, c_b=0.0, depth=depth).kernel
        theory(axes, layers, flow, 1, linewidth=0.7)
        numbers[f"tanh_{factor:g}"] = flow
    axes.set(xlabel=r"layer $\ell$", ylabel=r"$K^\ell$", xscale="log", yscale="log", ylim=(1e-3, 3))
    legend(axes, entries, loc="lower left")
    return Drawing(image, numbers)


@figure(
    "roberts2021.critical_lines",
    caption=r"""Where a susceptibility is one at the fixed point of the signal, in the plane of the variances of
    biases and weights; full lines: differences in norm, broken lines: differences in angle. They meet in the critical
    point: without biases for tanh, where differences in norm always shrink otherwise, and with biases for gelu and
    swish. Markers: the same points found by Newton's method on kernels by another quadrature.""",
)
def critical_lines(run: Run) -> Drawing:
    """Trace the lines with the fixed point as parameter, and find critical points by simulation."""
    points = run.size("points a line", quick=120, standard=300, full=300)
    image, (panels,) = canvas(1, 3, width=3.6, height=3.2)
    numbers: dict[str, Any] = {}
    spans = {"tanh": (1e-3, 1.5), "gelu": (0.4, 12.0), "swish": (1.0, 40.0)}
    for axes, (name, (low, high)) in zip(panels, spans.items(), strict=True):
        k = np.geomspace(low, high, points)
        for series, direction in enumerate(("parallel", "perpendicular")):
            tuned = ntk.critical_line(k, activation=name, direction=direction)  # type: ignore[arg-type]
            kept = tuned.c_b >= 0
            theory(axes, tuned.c_b[kept], tuned.c_w[kept], series)
            numbers |= {f"{name}_{direction}_c_b": tuned.c_b[kept], f"{name}_{direction}_c_w": tuned.c_w[kept]}
        if name != "tanh":
            guess = np.asarray(ntk.critical_point(name))[[2, 0, 1]] * [1.05, 0.99, 1.1]
            _, c_w, c_b = sim.critical_tuning(jnp.asarray(guess), sim.ACTIVATIONS[name])
            found = np.array([float(c_b), float(c_w)])
            simulation(axes, found[:1], found[1:], 2)
            numbers[f"{name}_found"] = found
        axes.set(xlabel="$C_b$", ylabel="$C_W$")
        note(axes, name, 0.4, 0.92, transform=axes.transAxes)
    return Drawing(image, numbers)
