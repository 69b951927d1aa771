"""Sehanobish et al. 2024: how much layers scatter that are products of two random feature maps."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, simulation, theory
from paper_checks.claim import Run
from simulations import ntk as sim
from theory import ntk


@figure(
    "snnk2023.error",
    caption=r"""Error of units whose inputs and weights meet only in a product of random features. Left: by the number
    of features, for the exponential (circles, relative to exp(x.w)) and the cosine (squares, absolute), for three
    lengths of the input and weights of length 1/2 at 60 degrees. Right: of the exponential with one feature, by the
    length of an input that is parallel, orthogonal or opposite to the weights; it vanishes where x = -w. Lines: square
    roots of variances in closed form. Markers: standard deviations of drawn layers.""",
)
def error(run: Run) -> Drawing:
    """Draw layers of ever more features, and of ever longer inputs."""
    draws = run.size("thousands of layers", quick=120, standard=400, full=4000)
    image, (panels,) = canvas(1, 2)
    numbers: dict[str, Any] = {}
    entries: list[list[tuple[Any, str]]] = [[], []]
    sizes = np.array([1, 4, 16, 64])
    w = np.array([[0.5, 0.0]])
    for series, length in enumerate((0.25, 0.5, 0.75)):
        x = length * np.array([[0.5, 0.75**0.5]])
        drawn = sim.decoupled_layers(run.keys(draws, f"{length}"), x, w, features=1, layers=1024)
        drawn = drawn[..., 0, 0] / [np.exp(x @ w.T).item(), 1.0]
        grouped = [drawn.reshape(draws, -1, m, 2).mean(axis=2) for m in sizes]
        marks = np.array([g.std(axis=(0, 1)) for g in grouped])
        line = np.sqrt(
            [
                ntk.snnk_feature_variance(x[0], w[0], kind="exp") / np.exp(2 * x[0] @ w[0]) / sizes,
                ntk.snnk_feature_variance(x[0], w[0], kind="cosine") / sizes,
            ]
        ).T
        for kind in (0, 1):
            handle = theory(panels[0], sizes, line[:, kind], series, linestyle=("-", ":")[kind])
            marker = simulation(panels[0], sizes, marks[:, kind], series, marker="os"[kind])
            entries[0].append(((handle, marker), f"{('exp', 'cos')[kind]}, |x| = {length:g}"))
        numbers |= {f"count_marks_{length}": marks, f"count_lines_{length}": line}
    lengths, fine = np.array([0.1, 0.2, 0.3, 0.4, 0.5]), np.linspace(0.02, 0.55, 120)
    for series, (label, angle) in enumerate((("parallel", 0.0), ("orthogonal", np.pi / 2), ("opposite", np.pi))):
        unit = np.array([np.cos(angle), np.sin(angle)])
        curve = _relative(fine[:, None] * unit, w[0] * 0.8)
        found = sim.decoupled_layers(run.keys(draws, label), lengths[:, None] * unit, 0.8 * w, features=1, layers=1024)[
            :, :, 0, :, 0
        ]
        marks = found.std(axis=(0, 1)) / np.exp(lengths * unit[0] * 0.4)
        handles = (theory(panels[1], fine, curve, series), simulation(panels[1], lengths, marks, series))
        entries[1].append((handles, label))
        numbers |= {
            f"angle_marks_{label}": marks,
            f"angle_lines_{label}": _relative(lengths[:, None] * unit, 0.8 * w[0]),
        }
    panels[0].set_xscale("log", base=2)
    panels[0].set(yscale="log", xlabel="features m", ylabel="standard deviation")
    panels[1].set(xlabel="length of the input (weights 0.4)", ylabel="relative standard deviation")
    for axes, given in zip(panels, entries, strict=True):
        legend(axes, given)
    return Drawing(image, numbers)


def _relative(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the standard deviation of one exponential feature, relative to its mean."""
    return np.sqrt(ntk.snnk_feature_variance(x, w, kind="exp")) / np.exp(x @ w)
