"""Bahri et al. 2021: losses against data and features, and errors of fits between points."""

from typing import Any

import numpy as np
from matplotlib.ticker import NullFormatter

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as kr

EXCESS = 0.7


@figure(
    "bahri2021.four_regimes",
    caption=r"""Loss of ridgeless regression on random features of a linear teacher, eigenvalues i^-1.7. Left: against
    samples D, for three numbers of features P (one curve each, with its peak at D = P) and for all features. Right: the
    excess over the loss with all data, for D above P. Lines: gamma(m) n k / |n - k|; markers: designs drawn, mean
    with standard errors. Resolution limits the curve on the left, with exponent 0.7 (grey), variance those on the
    right, with exponent 1 (grey).""",
)
def four_regimes(run: Run) -> Drawing:
    """Fit designs of several sizes, at several numbers of features."""
    modes, designs = run.size("modes, designs", quick=(400, 100), standard=(400, 1000), full=(2000, 1000))
    lam = np.arange(1.0, modes + 1) ** -(1 + EXCESS)
    features = (4, 12, 36)
    image, ((left, right),) = canvas(1, 2)
    fine = np.geomspace(2, 110, 300)
    marked = np.array([2, 6, 8, 18, 24, 54, 100])
    whole = kr.teacher_student_loss(lam, n=fine)
    numbers: dict[str, Any] = {"fine": fine, "marked": marked, "whole": whole}
    entries: list[tuple[Any, str]] = []
    for j, k in enumerate(features):
        seen = marked[np.abs(np.log(marked / k)) > 0.35]
        line = np.minimum(kr.teacher_student_loss(lam, n=fine, k=k), 1e3)
        draws = np.array(
            [over_replicates(sim.teacher_loss, run.keys(designs, f"{n} {k}"), lam, int(n), k) for n in seen]
        )
        mean, error = draws.mean(axis=1), draws.std(axis=1) / np.sqrt(designs)
        marks = simulation(left, seen, mean, j, error=error)
        entries.append(((theory(left, fine, line, j), marks), f"P = {k}"))
        floor = float(kr.teacher_student_loss(lam, k=k))
        theory(right, fine[fine > 1.4 * k] / k, (line[fine > 1.4 * k] - floor) / floor, j)
        numbers |= {f"line_{j}": line, f"seen_{j}": seen, f"mean_{j}": mean, f"error_{j}": error, f"floor_{j}": floor}
    entries.append((theory(left, fine, whole, 3), "all features"))
    reference(left, fine[fine > 10], 0.5 * kr.resolution_limited_loss(fine[fine > 10], excess=EXCESS))
    reference(right, [2, 25], 0.5 / np.array([2, 25]))
    left.set(xscale="log", yscale="log", xlabel="samples $D$", ylabel="loss", ylim=(0.03, 30))
    right.set(xscale="log", yscale="log", xlabel="$D / P$", ylabel="relative excess over all data")
    right.xaxis.set_minor_formatter(NullFormatter())
    legend(left, entries, loc="upper right")
    return Drawing(image, numbers)


@figure(
    "bahri2021.fits_between_points",
    caption=r"""Mean squared error against the number D of data points. Left: a sum of sines copied from the nearest
    of D uniform points of a torus, in one to four dimensions: exponent 2/d. Right: a product of sines interpolated on a
    grid, in one to three: exponent 4/d. Lines: theory at leading order; markers: simulation.""",
)
def fits_between_points(run: Run) -> Drawing:
    """Draw points and queries, and integrate the errors of grids."""
    replicates = run.size("replicates", quick=200, standard=2000, full=20_000)
    points = np.array([30, 100, 300, 1000])
    image, ((left, right),) = canvas(1, 2)
    numbers: dict[str, Any] = {"points": points}
    entries: list[tuple[Any, str]] = []
    for j, dim in enumerate((1, 2, 3, 4)):
        found = np.array(
            [
                over_replicates(sim.nearest_neighbour, run.keys(replicates, f"{n} {dim}"), int(n), dim, 20).error_sq
                for n in points
            ]
        )
        mean, error = found.mean(axis=1), found.std(axis=1) / np.sqrt(replicates)
        line = 2 * np.pi**2 * kr.nearest_neighbor_mean_sq_distance(points, dim)
        entries.append(((theory(left, points, line, j), simulation(left, points, mean, j, error=error)), f"d = {dim}"))
        numbers |= {f"copy_line_{dim}": line, f"copy_{dim}": mean, f"copy_error_{dim}": error}
    for j, dim in enumerate((1, 2, 3)):
        cells = np.array([4, 8, 16, 32])
        each = (2 * np.pi) ** 4 / 2**dim
        line = kr.multilinear_interpolation_mse(cells, dim, diag=dim * each, offdiag=dim * (dim - 1) * each)
        grid = np.array([sim.multilinear_error(int(m), dim) for m in cells])
        theory(right, cells**dim, line, j)
        simulation(right, cells**dim, grid, j)
        numbers |= {f"grid_line_{dim}": line, f"grid_{dim}": grid}
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="points $D$")
    left.set(ylabel="mean squared error")
    right.set(ylabel="mean squared error")
    legend(left, entries, loc="lower left")
    return Drawing(image, numbers)
