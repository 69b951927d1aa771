"""Chidambaram and Ge 2023: what the best temperature leaves, against the number of classes."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import generalization as sim
from theory import generalization


@figure(
    "chidambaram2023.classes",
    caption=r"""Divergence from the truth that a classifier which interpolates overlapping classes keeps at its best
    temperature, against the number of classes, for three shares of overlap. Lines: limit of many points, which grows
    like (a/2) ln k. Markers: nearest neighbours fitted to 100 points a class, the temperature found by search; mean and
    standard deviation over training sets. Grey: the prediction that says nothing, at the largest overlap.""",
)
def classes(run: Run) -> Drawing:
    """Fit nearest neighbours to growing numbers of classes."""
    replicates = run.size("training sets", quick=20, standard=200, full=1000)
    fine = 2 * np.unique(np.geomspace(1, 64, 40).astype(int))
    marked = np.array(run.size("classes", quick=(2, 4, 8), standard=(2, 4, 8, 16), full=(2, 4, 8, 16, 32)))
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"fine": fine, "marked": marked}
    for series, overlap in enumerate((0.125, 0.375, 0.75)):
        line = generalization.temperature_scaled_kl(overlap, fine)
        fits = [
            sim.tune_nearest_neighbour(
                run.keys(replicates, f"{overlap} {k}"), n=100 * int(k), overlap=overlap, num_classes=int(k), cells=64
            ).divergence
            for k in marked
        ]
        mean, spread = np.mean(fits, axis=1), np.std(fits, axis=1)
        entry = (theory(axes, fine, line, series), simulation(axes, marked, mean, series, error=spread))
        entries.append((entry, f"a = {overlap:g}"))
        numbers |= {f"line_{series}": line, f"marks_{series}": mean, f"spread_{series}": spread}
    nothing = generalization.uniform_prediction_kl(0.75, fine)
    entries.append((reference(axes, fine, nothing), "says nothing"))
    axes.set(xscale="log", xlabel="classes $k$", ylabel="divergence (nats)", ylim=(0, 3))
    axes.set_xticks([2, 4, 8, 16, 32, 64, 128], ["2", "4", "8", "16", "32", "64", "128"])
    axes.minorticks_off()
    legend(axes, entries, loc="upper left")
    return Drawing(image, numbers | {"nothing": nothing})
