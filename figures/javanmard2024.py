"""Javanmard et al. 2024: how much to trust single samples, and how large bags should be."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as kr

NOISE = 0.5
BAGS = (1, 2, 4, 8)
BUDGETS = (np.inf, 1.0, 0.5, 0.3)


@figure(
    "javanmard2024.aggregates",
    caption=r"""Risk of linear regression from mean labels of bags, with an eighth as many features as samples, signal
    1 and noise of variance 0.5. Left: against the weight rho of the instance loss, for bags of 1, 2, 4 and 8; circles
    mark the best weight. Right: against the bag size at the best weight, with Laplace noise on mean labels of range 1
    that keeps each label private within a budget epsilon; grey, the risk of the parameters zero. Lines: theory for
    large n; markers: losses minimised on drawn bags, mean with standard errors. Without privacy the smallest bags are
    best; small budgets make larger ones so.""",
)
def aggregates(run: Run) -> Drawing:
    """Draw samples and bags, and minimise losses for all weights and budgets; weights of the right panel are tuned."""
    n, designs = run.size("n, designs", quick=(96, 300), standard=(192, 1000), full=(800, 5000))
    p = n // 8
    marked, fine = np.array([0.01, 0.03, 0.1, 0.3, 1.0]), np.geomspace(0.005, 1, 200)
    image, ((left, right),) = canvas(1, 2)
    numbers: dict[str, Any] = {"marked": marked, "fine": fine, "bags": np.array(BAGS)}
    entries: list[tuple[Any, str]] = []
    tuned = []
    for j, k in enumerate(BAGS):
        scales = 1 / (k * np.array(BUDGETS))
        keys = run.keys(designs, f"{k}")
        risk = over_replicates(sim.learn_from_bags, keys, marked, scales, 1.0, NOISE, False, False, n, p, k, 4).risk
        mean, error = risk.mean(axis=0), risk.std(axis=0) / np.sqrt(designs)
        line = kr.aggregate_risk(n=n, p=p, bag_size=k, rho=fine, noise_var=NOISE).total
        handles = theory(left, fine, line, j), simulation(left, marked, mean[:, 0], j, error=error[:, 0])
        entries.append((handles, f"$k = {k}$"))
        best = kr.optimal_instance_weight(n=n, p=p, bag_size=k, noise_var=NOISE)
        if k > 1:
            left.plot([best.rho], [best.risk], "o", color="0.3", markersize=5, zorder=4)
        at = np.argmin(mean, axis=0), np.arange(len(BUDGETS))
        tuned.append([mean[at], error[at]])
        numbers |= {f"line_{k}": line, f"mean_{k}": mean[:, 0], f"error_{k}": error[:, 0], f"best_{k}": best.risk}
    left.set(xscale="log", yscale="log", xlabel=r"weight $\rho$ of the instance loss", ylabel="risk", ylim=(0.05, 4))
    legend(left, entries, loc="upper right")

    entries = []
    sizes = np.geomspace(1, 12, 60)
    for j, budget in enumerate(BUDGETS):
        noise = kr.private_noise_var(bag_size=sizes, epsilon=budget, noise_var=NOISE)
        line = kr.optimal_instance_weight(n=n, p=p, bag_size=sizes, noise_var=noise).risk
        found = np.array([[part[j] for part in parts] for parts in tuned])
        handles = theory(right, sizes, line, j), simulation(right, BAGS, found[:, 0], j, error=found[:, 1])
        entries.append((handles, "no privacy" if np.isinf(budget) else rf"$\epsilon = {budget:g}$"))
        numbers |= {f"private_{j}": line, f"found_{j}": found[:, 0], f"found_error_{j}": found[:, 1]}
    reference(right, sizes, np.ones_like(sizes))
    right.set(xscale="log", yscale="log", xlabel="bag size $k$", ylabel="risk at the best weight")
    right.set_xticks(BAGS, [str(k) for k in BAGS])
    right.minorticks_off()
    legend(right, entries, loc="upper right")
    return Drawing(image, numbers | {"sizes": sizes})
