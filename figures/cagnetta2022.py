"""Cagnetta, Favero and Wyart 2023: what local kernels learn from P examples, and the spectra that say why."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, simulation, theory
from paper_checks.claim import Run
from simulations import ntk as sim
from theory import ntk


@figure(
    "cagnetta2022.learning_curves",
    caption=r"""Test error of interpolation from P examples on p circles, of a random function that is a sum over
    circles. Left: by the local tangent kernel that made the function, from random examples; means over training sets
    with standard errors. Right: by a kernel that is not local, exp(-|x - x'|), from examples on a grid. Lines: the
    predicted powers, with slope -1 for every p on the left and -1/p on the right, drawn through the last marker.""",
)
def learning_curves(run: Run) -> Drawing:
    """Interpolate random functions by a local kernel and by one that is not local."""
    sets = run.size("training sets", quick=24, standard=100, full=400)
    sizes = run.size("examples", quick=(16, 32, 64, 128), standard=(16, 64, 256, 512), full=(64, 256, 1024, 4096))
    image, (panels,) = canvas(1, 2, share_y=True)
    numbers: dict[str, Any] = {"sizes": np.array(sizes)}
    entries: list[list[tuple[Any, str]]] = [[], []]
    rate = ntk.learning_curve_exponent(dim=1, nu_teacher=0.5, nu_student=0.5)
    for series, p in enumerate((1, 2, 4)):
        errors = sim.random_design_errors(
            run.keys(sets, f"{p}"), sizes=sizes, kernel="ntk", patches=p, padded=4, n_test=200
        )
        mean, error = errors.mean(axis=0), errors.std(axis=0) / np.sqrt(sets)
        line = mean[-1] * (numbers["sizes"] / sizes[-1]) ** -rate
        handles = (
            theory(panels[0], sizes, line, series),
            simulation(panels[0], sizes, mean, series, error=error),
        )
        entries[0].append((handles, f"p = {p}"))
        numbers |= {f"local_{p}": mean, f"local_error_{p}": error}
    for series, (p, sides) in enumerate(((1, (16, 64, 256)), (2, (4, 8, 16, 32)), (3, (4, 8, 16)))):
        points = np.array(sides) ** p
        found = np.array(
            [sim.lattice_error(teacher="ntk", student="exponential", side=side, dim=p, n_test=2) for side in sides]
        )
        power = ntk.learning_curve_exponent(dim=p, nu_teacher=0.5, nu_student=0.5)
        line = found[-1] * (points / points[-1]) ** -power
        handles = (theory(panels[1], points, line, series), simulation(panels[1], points, found, series))
        entries[1].append((handles, f"p = {p}"))
        numbers |= {f"points_{p}": points, f"whole_{p}": found}
    for axes, given, title in zip(panels, entries, ("local kernel", "not local"), strict=True):
        axes.set_xscale("log", base=2)
        axes.set(yscale="log", xlabel="examples P")
        legend(axes, given, loc="lower left", title=title)
    panels[0].set(ylabel=r"test error $\epsilon$")
    return Drawing(image, numbers)


@figure(
    "cagnetta2022.spectrum",
    caption=r"""Eigenvalues of kernels of two hidden layers on two circles, by frequency. Markers: modes of one patch,
    (k, 0), and of both, (k, k), for even k, by Fourier transform on a grid. Lines: the predicted powers, 2 nu + 1 and
    2 nu + 2, drawn through the last marker. Left random features (nu = 3/2), right tangent kernel (nu = 1/2). Modes
    that vary in both patches are cut off by one more power.""",
)
def spectrum(run: Run) -> Drawing:
    """Transform kernels of two hidden layers."""
    n = run.size("grid", quick=1024, standard=2048, full=4096)
    k = 2 ** np.arange(2, 7)
    image, (panels,) = canvas(1, 2)
    numbers: dict[str, Any] = {"k": k}
    for axes, kernel, nu in zip(panels, ("rfk", "ntk"), (1.5, 0.5), strict=True):
        found = np.asarray(sim.torus_spectrum(n=n, kernel=kernel))
        powers = ntk.hierarchical_decay_exponents([2, 2], nu=nu)
        entries: list[tuple[Any, str]] = []
        for series, (label, values) in enumerate((("(k, 0)", found[k, 0]), ("(k, k)", found[k, k]))):
            line = values[-1] * (k / k[-1]) ** -powers[series]
            handles = (theory(axes, k, line, series), simulation(axes, k, values, series))
            entries.append((handles, f"{label}, slope {-powers[series]:.0f}"))
            numbers |= {f"{kernel}_{series}": values, f"{kernel}_line_{series}": line}
        axes.set_xscale("log", base=2)
        axes.set(yscale="log", xlabel="frequency k", ylabel=f"eigenvalue, {kernel}")
        legend(axes, entries, loc="lower left")
    return Drawing(image, numbers)
