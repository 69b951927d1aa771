"""Han, Papyan and Donoho 2021: signals of all strengths become one along the renormalised central path."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import neural_collapse as sim
from theory import neural_collapse as nc


@figure(
    "han2021.central_path",
    caption=r"""Singular values of the class means, in units of the spread within classes, along the renormalised
    central path of squared error. Lines are the closed form, markers the projected gradient flow of all features,
    integrated as a matrix (no error bars: only the start is random). Left: each grows by itself, and in the end as
    (4t)^(1/4), the grey line. Right: how much the others fall behind the largest; grey lines are the limits
    (a_1 - a_j) / (4t). Equal singular values make a simplex frame.""",
)
def central_path(run: Run) -> Drawing:
    """Integrate the flow of features and evaluate the implicit solution."""
    k, n, d = run.size("classes, samples, dimension", quick=(4, 5, 6), standard=(4, 20, 12), full=(4, 100, 64))
    omega = np.array([2.0, 0.6, 0.15])
    times, t = np.geomspace(0.1, 1e5, 13), np.geomspace(0.05, 2e5, 161)
    features = sim.whitened_features(run.key(), k, n, d, signal=omega)
    found = np.asarray(sim.renormalised_path(features, num_classes=k, times=n * times).signal)[:, : k - 1]
    line = nc.renormalized_central_path(omega, t, num_classes=k)
    constants = k**2 * np.log(omega) + k * omega**2 + omega**4 / 4
    image, ((left, right),) = canvas(1, 2)
    entries: list[tuple[Any, str]] = []
    reference(left, t, (4 * t) ** 0.25)
    for j in range(k - 1):
        drawn, marks = theory(left, t, line[:, j], j), simulation(left, times, found[:, j], j)
        entries.append(((drawn, marks), rf"$\omega(0) = {omega[j]:g}$"))
        if j:
            theory(right, t, line[:, 0] / line[:, j] - 1, j)
            simulation(right, times, found[:, 0] / found[:, j] - 1, j)
            late = t > 10
            reference(right, t[late], (constants[0] - constants[j]) / (4 * t[late]))
    left.set(xscale="log", yscale="log", xlabel="time $t$", ylabel=r"singular value $\omega_j$")
    right.set(xscale="log", yscale="log", xlabel="time $t$", ylabel=r"$\omega_1 / \omega_j - 1$")
    legend(left, entries, loc="upper left")
    return Drawing(
        image, {"t": t, "theory": line, "times": times, "simulation": found, "omega": omega, "constants": constants}
    )
