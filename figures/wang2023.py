"""Wang, Nichani and Lee 2023: the staircase of kernel regression in many dimensions."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from theory import kernel_regression as kr

WEIGHTS = np.array([0.0, 0.4, 0.3, 0.2, 0.1])


@figure(
    "wang2023.staircase",
    caption=r"""Share of products of l coordinates that regression on n = d^a corners of the cube finds, by a kernel of
    degrees 1 to 4. Left: by a, in 14 dimensions; a degree is learned as a passes it. Right: by the dimension at a = 3/2
    (dotted: the powers of the limit); degree 1 is learned ever better, the others ever worse. Lines: learnabilities
    from eigenvalues and their multiplicities. Markers: regression on drawn corners, with standard errors.""",
)
def staircase(run: Run) -> Drawing:
    """Regress on drawn corners, at several powers and in several dimensions."""
    designs = run.size("designs", quick=12, standard=60, full=400)
    powers = np.array(
        run.size("powers", quick=(0.8, 1.2, 1.6, 2.0), standard=(0.8, 1.2, 1.6, 2.0, 2.4), full=(1.2, 2.4))
    )
    dims = np.array(run.size("dimensions", quick=(8, 12, 16, 24, 36), standard=(8, 16, 36, 64), full=(16, 64, 144)))
    image, (panels,) = canvas(1, 2)
    fine, curve = np.linspace(0.4, 2.7, 120), np.geomspace(7, 70, 60)
    sizes = tuple(round(14**power) for power in powers)
    by_power = sim.learned_degrees(run.keys(designs, "powers"), WEIGHTS, dim=14, sizes=sizes)
    by_dim = np.stack(
        [
            sim.learned_degrees(run.keys(designs, f"{d}"), WEIGHTS, dim=int(d), sizes=(round(d**1.5),))[:, 0]
            for d in dims
        ],
        axis=1,
    )
    lines = _learnability(14, 14**fine)
    rise = np.array([_learnability(d, d**1.5) for d in curve])
    entries: list[tuple[Any, str]] = []
    for degree in range(1, 5):
        line = theory(panels[0], fine, lines[:, degree], degree - 1)
        theory(panels[1], curve, _vanishing(rise, degree), degree - 1)
        marks = _vanishing(by_dim, degree)
        for axes, x, values in (
            (panels[0], np.log(sizes) / np.log(14), by_power[..., degree]),
            (panels[1], dims, marks),
        ):
            error = values.std(axis=0) / np.sqrt(designs)
            marker = simulation(axes, x, values.mean(axis=0), degree - 1, error=error)
        entries.append(((line, marker), f"l = {degree}"))
        end = _vanishing(rise, degree)[-1]
        reference(panels[1], curve, end * (curve / curve[-1]) ** -abs(degree - 1.5), linestyle=":")
    panels[0].set(xlabel=r"$a = \log n / \log d$", ylabel="share learned $L_l$")
    panels[1].set_xscale("log", base=2)
    panels[1].set(yscale="log", xlabel="dimension d", ylabel="$1 - L_1$, and $L_2$, $L_3$, $L_4$")
    legend(panels[0], entries, loc="upper left")
    numbers = {
        "by_power": by_power.mean(axis=0)[:, 1:],
        "by_power_lines": _learnability(14, np.array(sizes))[:, 1:],
        "by_dim": by_dim.mean(axis=0)[:, 1:],
        "by_dim_lines": np.array([_learnability(d, round(d**1.5)) for d in dims])[:, 1:],
    }
    return Drawing(image, numbers)


def _learnability(dim: float, n: Any) -> np.ndarray:
    """Return learnabilities of degrees 0 to 4; dimensions between whole ones are interpolated by gamma functions."""
    modes = np.array([1, dim, dim * (dim - 1) / 2, dim * (dim - 1) * (dim - 2) / 6, 0.0])
    modes[4] = modes[3] * (dim - 3) / 4
    return kr.learnability(WEIGHTS / modes, n=n, multiplicities=modes)


def _vanishing(shares: np.ndarray, degree: int) -> np.ndarray:
    """Return what vanishes as the dimension grows at a = 3/2."""
    return 1 - shares[..., degree] if degree == 1 else shares[..., degree]
