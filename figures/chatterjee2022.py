"""Chatterjee & Zielinski 2022: the coherence that m gradients show, for several true coherences."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, simulation, theory
from paper_checks.claim import Run
from simulations import generalization as sim
from theory import generalization


@figure(
    "chatterjee2022.samples",
    caption=r"""Coherence that a sample of m gradients shows, left, and m times it, the number of examples that one
    example helps, right, for several coherences of the population. Lines: 1/m + (1 - 1/m) alpha, which is near alpha
    only for m above 1 / alpha; orthogonal gradients show 1/m. Markers: Gaussian gradients in 20 dimensions, the ratio
    of the means of the squares over drawn samples, with standard errors.""",
)
def samples(run: Run) -> Drawing:
    """Draw samples of several sizes."""
    replicates = run.size("samples", quick=400, standard=4000, full=40_000)
    dimensions, marked = 20, np.array([2, 4, 8, 16, 32, 64])
    fine = np.arange(1, 129)
    image, (panels,) = canvas(1, 2)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"fine": fine, "marked": marked}
    for series, alpha in enumerate((0.0, 0.01, 0.1, 0.5)):
        mean = np.zeros(dimensions)
        mean[0] = np.sqrt(alpha)
        variance = (1 - alpha) / dimensions
        line = generalization.expected_sample_coherence(alpha, fine)
        found = [sim.gaussian_samples(run.keys(replicates, f"{alpha} {m}"), mean, variance, int(m)) for m in marked]
        ratio = np.array([s.of_mean.mean() / s.square.mean() for s in found])
        spread = [(s.of_mean - r * s.square).std() / s.square.mean() for s, r in zip(found, ratio, strict=True)]
        error = np.array(spread) / np.sqrt(replicates)
        for axes, power in zip(panels, (0, 1), strict=True):
            scale = marked.astype(float) ** power
            handles = (
                theory(axes, fine, line * fine.astype(float) ** power, series),
                simulation(axes, marked, ratio * scale, series, error=error * scale),
            )
        entries.append((handles, rf"$\alpha$ = {alpha:g}"))
        numbers |= {f"line_{series}": line, f"marks_{series}": ratio, f"error_{series}": error}
    for axes in panels:
        axes.set(xscale="log", yscale="log", xlabel="gradients $m$")
    panels[0].set(ylabel=r"coherence of the sample $\alpha_m$")
    panels[1].set(ylabel=r"$m\, \alpha_m$")
    legend(panels[1], entries, loc="upper left")
    return Drawing(image, numbers)
