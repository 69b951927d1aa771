"""Han, Razaviyayn and Xu 2024: two losses of score estimation that differ by a constant."""

from functools import partial
from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from theory import kernel_regression as kr

NOISE = 0.5
POINTS, SHARES = np.array([-1.0, 1.0]), np.array([0.5, 0.5])


@figure(
    "han2024.losses",
    caption=r"""Left: loss of random guesses at the score (small networks) against the added noise, by their
    loss against the score itself, for Gaussian data and for data of two values, of unit variance. The theory's lines
    have slope one and start at the constant that no guess can go below. Right: that constant by the noise s, with
    a^2 + s^2 = 1, and losses of fitted polynomials of degree 1 (Gaussian data) and 15 (two values, for which at
    little noise no polynomial will do). Dotted: 1 / s^2, the loss of the guess zero.""",
)
def losses(run: Run) -> Drawing:
    """Try guesses, and fit polynomials."""
    guesses = run.size("guesses", quick=12, standard=24, full=48)
    rng = run.rng()
    image, (panels,) = canvas(1, 2)
    numbers: dict[str, Any] = {}
    entries: list[tuple[Any, str]] = []
    fine, marked = np.linspace(0.25, 0.98, 100), np.array([0.3, 0.45, 0.6, 0.75, 0.9])
    laws = {"Gaussian": sim.gaussian_points(1.0), "two values": (POINTS, SHARES)}
    for series, (name, law) in enumerate(laws.items()):
        data = sim.noisy_data(*law, signal=np.sqrt(1 - NOISE**2), noise=NOISE)
        pairs = []
        for _ in range(guesses):
            w, b, readout = rng.normal(size=(3, 4))
            found = sim.score_losses(partial(_network, w=w, b=b, readout=readout), data)
            pairs.append((found.score, found.denoising))
        score, denoising = np.array(pairs).T
        gap = _gap(name, NOISE)
        span = np.array([0, 1.1 * score.max()])
        handles = (theory(panels[0], span, gap + span, series), simulation(panels[0], score, denoising, series))
        entries.append((handles, name))
        least = []
        for s in marked:
            part = sim.noisy_data(*law, signal=np.sqrt(1 - s**2), noise=s)
            fit = sim.fit_polynomial(part, 1 if name == "Gaussian" else 15)
            least.append(sim.score_losses(fit, part).denoising)
        theory(panels[1], fine, [_gap(name, s) for s in fine], series)
        simulation(panels[1], marked, least, series)
        numbers |= {f"differences_{name}": denoising - score, f"gap_{name}": gap}
        numbers |= {f"least_{name}": np.array(least), f"least_lines_{name}": np.array([_gap(name, s) for s in marked])}
    reference(panels[1], fine, 1 / fine**2, linestyle=":")
    panels[0].set(xlabel="loss against the score", ylabel="loss against the noise")
    panels[1].set(xlabel="noise s", ylabel="least loss", yscale="log")
    legend(panels[0], entries)
    return Drawing(image, numbers)


def _network(x: np.ndarray, *, w: np.ndarray, b: np.ndarray, readout: np.ndarray) -> np.ndarray:
    return -x + 0.4 * np.tanh(x[..., None] * w + b) @ readout


def _gap(name: str, noise: float) -> float:
    signal = float(np.sqrt(1 - noise**2))
    if name == "Gaussian":
        return float(kr.denoising_gap([1.0], signal=signal, noise=noise))
    return kr.denoising_gap_discrete(POINTS, SHARES, signal=signal, noise=noise)
