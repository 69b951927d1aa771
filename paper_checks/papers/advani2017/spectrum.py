"""The spectrum of the correlations of random inputs, from which all else follows."""

from collections.abc import Callable

import numpy as np

from paper_checks.agreement import FiniteSize
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Sizes
from paper_checks.papers.advani2017.paper import ALPHAS, PAPER, Array, draw
from simulations.deep_linear import high_dimensional as sim
from theory.deep_linear import high_dimensional as theory


def _functions(x: Array) -> Array:
    return np.stack([x**2, np.exp(-x), 1 / (1 + x)])


@PAPER.claim(
    "mp_spectrum",
    statement=r"""Eigenvalues of $X X^T$ have the density $\frac{\sqrt{(\lambda_+ - \lambda)(\lambda -
    \lambda_-)}}{2 \pi \lambda}$ between $\lambda_\pm = (\sqrt\alpha \pm 1)^2$, and a mass $(1 - \alpha)_+$ at zero;
    means over them differ by $\frac1N \{\frac14 [f(\lambda_-) + f(\lambda_+)] - \frac12 \langle f \rangle\}$ at finite
    $N$, with $\langle f \rangle$ over the arcsine law.""",
    source="Marchenko-Pastur law; correction by Bai and Silverstein",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.02),
    controls=("edges of the correlations over P", "without the atom", "correction of complex inputs"),
)
def mp_spectrum(run: Run) -> Trial:
    """Diagonalise drawn correlations; means of powers, of an exponential and of a resolvent."""
    sizes = run.size("features", quick=(4, 8, 16, 32), standard=(8, 16, 32, 64), full=(16, 32, 64, 128))
    replicates = run.size("designs", quick=3000, standard=20_000, full=200_000)

    def measure() -> Sizes:
        return Sizes(sizes, draw(run, sim.spectral_means, sizes, ALPHAS, replicates, ...))

    def law(alpha: float, atom: bool = True, stretch: float = 1.0) -> Array:
        nodes, weights, mass = theory.mp_quadrature(alpha)
        return _functions(nodes / stretch) @ weights + atom * mass * np.array([0.0, 1.0, 1.0])

    def predict(change: Callable[[float], Array] = law, correction: float = 1.0) -> Limit:
        shift = [theory.mp_finite_size(_functions, alpha=alpha) for alpha in ALPHAS]
        return Limit(np.stack([change(alpha) for alpha in ALPHAS]), correction * np.stack(shift))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "edges of the correlations over P": lambda: predict(lambda alpha: law(alpha, stretch=alpha)),
            "without the atom": lambda: predict(lambda alpha: law(alpha, atom=False)),
            "correction of complex inputs": lambda: predict(correction=2.0),
        },
    )
