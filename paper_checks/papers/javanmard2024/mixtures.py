"""Risks of mixtures of the losses, as sizes grow."""

import numpy as np

from paper_checks.agreement import FiniteSize
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Sizes
from paper_checks.papers.javanmard2024.bags import NOISE, SIGNAL, learn
from paper_checks.papers.javanmard2024.paper import PAPER
from theory import kernel_regression as theory

SHAPES = ((4, 2), (8, 4))  # samples per feature, and in a bag
MIXED = np.array([0.1, 0.4])


@PAPER.claim(
    "interpolating-risk",
    statement=r"""As n and p grow, the risk at any $\rho$ tends to $(1 - c)^2 r^2 + \frac{m a^2 [(1 - c)^2 r^2 +
    \sigma^2] + (n - m) b^2 c^2 r^2}{p - m a^2 - (n - m) b^2}$, $c = m a / p$, with $a = \frac{s}{1+s}$, $b = \frac{\rho
    s}{1 + \rho s}$ and $p = m a + (n - m) b$; and the mean of the parameters to $c\,\theta$, at $1/n$.""",
    source="risk of mixtures of the losses; derived here",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("variance not amplified", "signal adds no variance", "rho on the scatter of all", "noise shared in bags"),
)
def interpolating_risk(run: Run) -> Trial:
    """Minimise mixtures of the losses at sizes that double, at two numbers of samples per feature and bag sizes."""
    sizes = run.size("n", quick=(16, 32, 64, 128), standard=(16, 32, 64, 128), full=(32, 64, 128, 256))
    designs = run.size("designs", quick=1200, standard=6000, full=50_000)

    def measure(shared_noise: bool = False) -> Sizes:
        found = []
        for n in sizes:
            fits = [learn(run, designs, (n, n // per, k), MIXED, shared_noise=shared_noise) for per, k in SHAPES]
            found.append(np.stack([[fit.risk[..., 0], fit.overlap[..., 0]] for fit in fits]).transpose(2, 0, 1, 3))
        return Sizes(np.array(sizes), np.array(found))

    def predict() -> Array:
        found = []
        for per, k in SHAPES:
            risk = theory.aggregate_risk(n=per, p=1, bag_size=k, rho=MIXED, signal=SIGNAL, noise_var=NOISE)
            found.append([risk.total, 1 - np.sqrt(risk.bias / SIGNAL)])
        return np.array(found)

    def wrong(change: str) -> Array:
        """Find s by bisection, and put its parts together with a mistake."""
        found = []
        for per, k in SHAPES:
            m, rows = per / k, per - per / k
            extra = per if change == "all" else rows
            s = np.geomspace(1e-3, 1e3, 200_001)[:, None]
            used = m * s / (1 + s) + extra * MIXED * s / (1 + MIXED * s)
            s = np.array([np.interp(1.0, column, s[:, 0]) for column in used.T])
            a, b = s / (1 + s), MIXED * s / (1 + MIXED * s)
            c = m * a
            bias = (1 - c) ** 2 * SIGNAL
            spread = m * a**2 * (bias + NOISE) + (change != "signal") * extra * b**2 * c**2 * SIGNAL
            left = 1.0 if change == "amplified" else 1 - m * a**2 - extra * b**2
            found.append([bias + spread / left, c])
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "variance not amplified": lambda: wrong("amplified"),
            "signal adds no variance": lambda: wrong("signal"),
            "rho on the scatter of all": lambda: wrong("all"),
        },
        counterexamples={"noise shared in bags": lambda: measure(shared_noise=True)},
        scale="largest",
    )
