"""Baik, Ben Arous and Péché 2005: a signal in a random matrix shows once it is strong enough."""

from collections.abc import Callable
from typing import Any

import numpy as np

from paper_checks.agreement import Equivalence, FiniteSize
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, Samples, Sizes
from simulations import kernel_regression as sim
from theory import kernel_regression as theory

PAPER = Paper(
    key="bbp",
    title="Phase transition of the largest eigenvalue for nonnull complex sample covariance matrices",
    authors="Jinho Baik, Gérard Ben Arous, Sandrine Péché",
    year=2005,
    arxiv="math/0403022",
    wing="kernel_regression",
)

Formula = Callable[..., Any]

SIGMA = 1.3
SPIKES = (1.8, 3.0)  # in units of sigma: above the transition by 30 % and more
COVARIANCES = ((4.0, 0.5), (4.5, 2.0), (3.0, 0.5))  # spike, features over samples
ROWS = 48  # a top vector has fallen off by 1.8^-96 there


def _sizes(run: Run) -> tuple[int, ...]:
    return run.size("n", quick=(128, 256, 512, 1024), standard=(128, 256, 512, 1024), full=(256, 512, 1024, 2048))


def _wigner(run: Run) -> Sizes:
    """Locations, then overlaps, of all spikes: (sizes, replicates, 2, spikes)."""
    sizes = _sizes(run)
    matrices = run.size("matrices", quick=4000, standard=20_000, full=100_000)
    found = []
    for n in sizes:
        tops = [
            sim.spiked_wigner_band(
                run.key(f"{n} {spike}"), spike=spike * SIGMA, sigma=SIGMA, n=n, n_replicates=matrices, rows=ROWS
            )
            for spike in SPIKES
        ]
        found.append(np.stack([[top.eigenvalue, top.overlap] for top in tops], axis=-1).transpose(1, 0, 2))
    return Sizes(np.array(sizes), np.array(found))


def _covariance(run: Run) -> Sizes:
    sizes = _sizes(run)
    matrices = run.size("matrices", quick=2500, standard=20_000, full=100_000)
    found = []
    for n in sizes:
        tops = [
            sim.spiked_covariance_band(
                run.key(f"{n} {spike} {ratio}"),
                spike=spike,
                n=n,
                p=int(ratio * n),
                n_replicates=matrices,
                rows=ROWS,
            )
            for spike, ratio in COVARIANCES
        ]
        found.append(np.stack([[top.eigenvalue, top.overlap] for top in tops], axis=-1).transpose(1, 0, 2))
    return Sizes(np.array(sizes), np.array(found))


@PAPER.claim(
    "spiked-wigner",
    statement=r"""A signal $\theta v v^\top$ in a Wigner matrix of off-diagonal variance $\sigma^2 / n$ shows at $\theta
    + \sigma^2 / \theta$ for $\theta > \sigma$, and the top vector has the squared overlap $1 - \sigma^2 /
    \theta^2$ with $v$, as $n \to \infty$.""",
    source="deformed Wigner matrices: Péché 2006; Benaych-Georges and Nadakuditi 2011",
    agreement=FiniteSize(exponent=1, of="limit", resolution=0.02),
    controls=("sigma for sigma^2", "1 - sigma / theta", "signal unmoved", "square of the overlap"),
)
def spiked_wigner(run: Run) -> Trial:
    """Draw matrices in their tridiagonal form, at sizes that double."""
    theta = SIGMA * np.array(SPIKES)

    def predict(location: Formula | None = None, overlap: Formula | None = None) -> Array:
        right = theory.wigner_outlier(theta, sigma=SIGMA)
        return np.array(
            [
                right.location if location is None else location(theta),
                right.overlap_sq if overlap is None else overlap(theta),
            ]
        )

    return Trial(
        predict=predict,
        measure=lambda: _wigner(run),
        controls={
            "sigma for sigma^2": lambda: predict(location=lambda t: t + SIGMA / t),
            "1 - sigma / theta": lambda: predict(overlap=lambda t: 1 - SIGMA / t),
            "signal unmoved": lambda: predict(location=lambda t: t),
            "square of the overlap": lambda: predict(overlap=lambda t: (1 - (SIGMA / t) ** 2) ** 2),
        },
    )


@PAPER.claim(
    "spiked-covariance",
    statement=r"""A population eigenvalue $l > 1 + \sqrt\gamma$ among ones shows in the covariance of $n = p / \gamma$
    samples at $l (1 + \frac{\gamma}{l - 1})$, and the squared overlap of the vectors is $(1 -
    \frac{\gamma}{(l-1)^2}) / (1 + \frac{\gamma}{l-1})$, as $n \to \infty$.""",
    source="theorem 1.1, for real data; overlap of Paul 2007",
    agreement=FiniteSize(exponent=1, of="limit", resolution=0.03),
    controls=("without the factor l", "numerator of the overlap alone", "n / p for p / n", "signal unmoved"),
)
def spiked_covariance(run: Run) -> Trial:
    """Draw data in their bidiagonal form, with fewer and with more features than samples, at sizes that double."""
    spike, ratio = np.array(COVARIANCES).T

    def predict(location: Formula | None = None, overlap: Formula | None = None, g: Array = ratio) -> Array:
        right = theory.spiked_covariance_outlier(spike, ratio=g)
        return np.array(
            [
                right.location if location is None else location(spike, ratio),
                right.overlap_sq if overlap is None else overlap(spike, ratio),
            ]
        )

    return Trial(
        predict=predict,
        measure=lambda: _covariance(run),
        controls={
            "without the factor l": lambda: predict(location=lambda top, g: top + g / (top - 1)),
            "numerator of the overlap alone": lambda: predict(overlap=lambda top, g: 1 - g / (top - 1) ** 2),
            "n / p for p / n": lambda: predict(g=1 / ratio),
            "signal unmoved": lambda: predict(location=lambda top, g: top),
        },
    )


@PAPER.claim(
    "below-transition",
    statement=r"""A weaker signal does not show: the top of the spectrum is the edge, $2 \sigma$ and $(1 +
    \sqrt\gamma)^2$, up to $O(n^{-2/3})$.""",
    source="theorem 1.1, below the transition",
    agreement=FiniteSize(exponent=2 / 3, second=1, of="limit", resolution=0.1),
    controls=("formula of the outlier", "half the edge", "1 + gamma"),
)
def below_transition(run: Run) -> Trial:
    """Draw matrices whole, in their banded forms, with signals well below the transition."""
    sizes = run.size("n", quick=(16, 32, 64, 128), standard=(24, 48, 96, 192), full=(64, 128, 256, 512))
    matrices = run.size("matrices", quick=1000, standard=4000, full=20_000)
    # ten times n^(1/3) rows hold what there is of a vector at the edge
    rows = run.size("rows", quick=48, standard=64, full=96)
    weak, (spike, ratio) = 0.3, (1.2, 0.5)

    def measure() -> Sizes:
        found = []
        for n in sizes:
            tops = (
                sim.spiked_wigner_band(
                    run.key(f"wigner {n}"), spike=weak * SIGMA, sigma=SIGMA, n=n, n_replicates=matrices, rows=rows
                ),
                sim.spiked_covariance_band(
                    run.key(f"covariance {n}"), spike=spike, n=n, p=int(ratio * n), n_replicates=matrices, rows=rows
                ),
            )
            found.append(np.stack([top.eigenvalue for top in tops], axis=-1))
        return Sizes(np.array(sizes), np.array(found))

    def predict() -> Array:
        return np.array(
            [
                theory.wigner_outlier(weak * SIGMA, sigma=SIGMA).location,
                theory.spiked_covariance_outlier(spike, ratio=ratio).location,
            ]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "formula of the outlier": lambda: np.array([SIGMA * (weak + 1 / weak), spike * (1 + ratio / (spike - 1))]),
            "half the edge": lambda: predict() / 2,
            "1 + gamma": lambda: np.array([2 * SIGMA, 1 + ratio]),
        },
    )


@PAPER.claim(
    "no-overlap",
    statement=r"""Below the transition the top vector says nothing of the signal: the squared overlap tends to zero.""",
    source="Paul 2007; Benaych-Georges and Nadakuditi 2011",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("a tenth", "1 - theta / sigma"),
)
def no_overlap(run: Run) -> Trial:
    """Draw matrices whole, in their banded forms, with signals well below the transition; errors are absolute."""
    sizes = run.size("n", quick=(16, 32, 64, 128), standard=(24, 48, 96, 192), full=(64, 128, 256, 512))
    matrices = run.size("matrices", quick=1000, standard=4000, full=20_000)
    # ten times n^(1/3) rows hold what there is of a vector at the edge
    rows = run.size("rows", quick=48, standard=64, full=96)
    weak, (spike, ratio) = 0.3, (1.2, 0.5)

    def measure() -> Sizes:
        found = []
        for n in sizes:
            tops = (
                sim.spiked_wigner_band(run.key(f"wigner {n}"), spike=weak, n=n, n_replicates=matrices, rows=rows),
                sim.spiked_covariance_band(
                    run.key(f"covariance {n}"), spike=spike, n=n, p=int(ratio * n), n_replicates=matrices, rows=rows
                ),
            )
            found.append(np.stack([top.overlap for top in tops], axis=-1))
        return Sizes(np.array(sizes), np.array(found))

    def predict() -> Array:
        return np.array(
            [theory.wigner_outlier(weak).overlap_sq, theory.spiked_covariance_outlier(spike, ratio=ratio).overlap_sq]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "a tenth": lambda: predict() + 0.1,
            "1 - theta / sigma": lambda: np.array([1 - weak, 1 - (spike - 1) / ratio**0.5]),
        },
        scale=1.0,
    )


NEAR = 1.2  # in units of sigma
NEAR_COVARIANCES = ((1.85, 0.5), (2.7, 2.0))  # signals l - 1 a fifth above sqrt(gamma), one of them below gamma


@PAPER.claim(
    "transition",
    statement=r"""Vectors turn towards the signal from $\theta = \sigma$ on, and from $l = 1 + \sqrt\gamma$ on: a fifth
    above that, and though $l$ be less than $1 + \gamma$, the overlap is there.""",
    source="theorem 1.1; overlap of Paul 2007",
    agreement=Equivalence(margin=0.03, resolution=0.2),
    controls=("transition at 1.3 sigma", "transition at 1 + gamma"),
)
def transition(run: Run) -> Trial:
    """Draw large matrices in their banded forms, with signals just above the transition; errors are absolute."""
    n = run.size("n", quick=4096, standard=8192, full=32_768)
    matrices = run.size("matrices", quick=1600, standard=4000, full=10_000)
    rows = ROWS  # a top vector has fallen off by 0.7^48 there

    def measure() -> Samples:
        tops = [
            sim.spiked_wigner_band(
                run.key("wigner"), spike=NEAR * SIGMA, sigma=SIGMA, n=n, n_replicates=matrices, rows=rows
            ),
            *(
                sim.spiked_covariance_band(
                    run.key(f"{spike} {ratio}"), spike=spike, n=n, p=int(ratio * n), n_replicates=matrices, rows=rows
                )
                for spike, ratio in NEAR_COVARIANCES
            ),
        ]
        return Samples(np.stack([top.overlap for top in tops], axis=-1))

    spike, ratio = np.array(NEAR_COVARIANCES).T

    def predict(sees_wigner: bool = True, sees_covariance: Array | bool = True) -> Array:
        return np.append(
            np.where(sees_wigner, theory.wigner_outlier(NEAR * SIGMA, sigma=SIGMA).overlap_sq, 0.0),
            np.where(sees_covariance, theory.spiked_covariance_outlier(spike, ratio=ratio).overlap_sq, 0.0),
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "transition at 1.3 sigma": lambda: predict(sees_wigner=NEAR > 1.3),
            "transition at 1 + gamma": lambda: predict(sees_covariance=spike > 1 + ratio),
        },
        scale=1.0,
    )
