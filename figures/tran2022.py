"""Tran et al. 2022, a companion: the distance between outputs of wide networks and a Gaussian."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import ntk as sim
from theory import ntk

UNIT_POWER: dict[str, Any] = {
    "relu": lambda z: 2**0.5 * sim.ACTIVATIONS["relu"](z),
    "linear": sim.ACTIVATIONS["linear"],
}
KINDS = (("relu", 15.0, 660.0), ("linear", 6.0, 120.0))


@figure(
    "tran2022.distance",
    caption=r"""How an output of one hidden layer of width n differs from a Gaussian of the same variance. Left: the
    difference of distribution functions times n, for ReLU; markers from exact laws of networks, by their characteristic
    functions, the line its limit, of the shape of the third Hermite polynomial. Right: n times the Wasserstein-1
    distance over its limit, for ReLU and for linear units. Filled markers: exact laws; open ones: drawn networks,
    with standard errors. Lines: two terms of the expansion in 1 / n, dotted the first alone.""",
)
def distance(run: Run) -> Drawing:
    """Compute laws of outputs, and draw networks."""
    networks = run.size("networks", quick=20_000, standard=200_000, full=2_000_000)
    image, (panels,) = canvas(1, 2)
    numbers: dict[str, Any] = {}
    fine = np.linspace(0, 5, 201)
    limit = -15 / 24 * (fine**3 - 3 * fine) * np.exp(-0.5 * fine**2) / np.sqrt(2 * np.pi)
    entries: list[list[tuple[Any, str]]] = [[(theory(panels[0], fine, limit, 0), "limit")], []]
    for series, n in enumerate((24, 96, 384), start=1):
        law = sim.output_law(sim.ACTIVATIONS["relu"], width=n)
        x, gap = np.asarray(law.at)[:251:10], n * np.asarray(law.difference)[:251:10]
        entries[0].append((simulation(panels[0], x, gap, series), f"n = {n}"))
        numbers |= {"x": x, f"gap_{n}": gap}
    numbers["limit"] = np.interp(numbers["x"], fine, limit)
    widths, curve = np.array([24, 48, 96, 192, 384]), np.geomspace(20, 450, 100)
    for series, (kind, kurtosis, sixth) in enumerate(KINDS):
        first = float(ntk.w1_width_coefficient(kurtosis))
        second = float(ntk.w1_width_correction(kurtosis, sixth))
        activation = sim.ACTIVATIONS[kind]
        exact = np.array([n * float(sim.output_law(activation, width=int(n)).distance) for n in widths])
        drawn = widths[:, None] * sim.sampled_distance(
            run.keys(networks, kind),
            run.keys(4000, f"pilot {kind}"),
            UNIT_POWER[kind],
            widths=tuple(int(n) for n in widths),
            depth=1,
        )
        mean, error = drawn.mean(axis=1), drawn.std(axis=1) / np.sqrt(networks)
        handles = (
            theory(panels[1], curve, 1 + second / first / curve, series),
            simulation(panels[1], widths, mean / first, series, error=error / first, markersize=7),
            simulation(panels[1], widths, exact / first, series, markerfacecolor="auto"),
        )
        entries[1].append((handles[:2], kind))
        numbers |= {f"exact_{kind}": exact, f"drawn_{kind}": mean, f"error_{kind}": error}
        numbers[f"lines_{kind}"] = first + second / widths
    reference(panels[1], curve[[0, -1]], [1, 1], linestyle=":")
    panels[0].set(xlabel="output", ylabel=r"$n\,(F_n - \Phi)$")
    panels[1].set_xscale("log", base=2)
    panels[1].set(xlabel="width n", ylabel=r"$n\,W_1$ over its limit")
    legend(panels[0], entries[0])
    legend(panels[1], entries[1], loc="lower right")
    return Drawing(image, numbers)
