"""Nakkiran, Venkat, Kakade and Ma: more data at a fixed ridge, and at the best one."""

import numpy as np
from matplotlib.ticker import NullLocator

from figures.studio import Drawing, figure
from figures.style import canvas, legend, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as kr


@figure(
    "nakkiran2020.more_data",
    caption=r"""Risk (left) and best ridge (right) against the number of samples per feature, features uncorrelated,
    signal 1, noise 0.3. Left: with a ridge of 1e-3 more data hurt on the way to as many samples as features; at the
    best ridge they never do. Right: the best ridge is the noise over signal and samples per feature. Lines: limits;
    markers: means over drawn designs of 48 features, on the first rows of each, with standard errors.""",
)
def more_data(run: Run) -> Drawing:
    """Tune ridges on nested designs."""
    p, draws = run.size("features, designs", quick=(48, 100), standard=(96, 400), full=(300, 1000))
    labels = sim.Labels(1.0, 0.3, np.array([1e-3]))
    marked, fine = np.array([0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0]), np.geomspace(0.2, 4, 300)
    found = over_replicates(sim.tuned_ridge, run.keys(draws), marked, np.array(p), labels, (3 * p, p))
    best = kr.optimal_ridge_isotropic(ratio=1 / fine, signal=1.0, noise_var=0.3)
    fixed = kr.ridge_risk_isotropic(ratio=1 / fine, ridge=1e-3, signal=1.0, noise_var=0.3).total
    image, ((left, right),) = canvas(1, 2)
    entries = []
    for series, (name, line, drawn) in enumerate(
        ((r"$\lambda = 10^{-3}$", fixed, found.fixed[..., 0]), (r"best $\lambda$", best.risk, found.risk))
    ):
        error = drawn.std(axis=0) / np.sqrt(draws)
        entries.append(
            (
                (theory(left, fine, line, series), simulation(left, marked, drawn.mean(axis=0), series, error=error)),
                name,
            )
        )
    theory(right, fine, best.ridge, 1)
    simulation(right, marked, found.ridge.mean(axis=0), 1)
    for axes, label in ((left, "risk"), (right, "best ridge")):
        axes.set(xscale="log", yscale="log", xlabel="samples per feature $n/p$", ylabel=label)
        axes.set_xticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
        axes.xaxis.set_minor_locator(NullLocator())
    legend(left, entries, loc="upper right")
    return Drawing(
        image,
        {"fine": fine, "marked": marked, "fixed_line": fixed, "best_line": best.risk, "ridge_line": best.ridge}
        | {
            "fixed": found.fixed[..., 0].mean(axis=0),
            "best": found.risk.mean(axis=0),
            "ridge": found.ridge.mean(axis=0),
        },
    )
