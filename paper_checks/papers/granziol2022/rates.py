"""How the largest step size grows with the batch."""

from collections.abc import Callable
from functools import partial

import numpy as np

from paper_checks.agreement import Equivalence
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples
from paper_checks.papers.granziol2022._samples import EFFECTIVE, lanczos
from paper_checks.papers.granziol2022.paper import PAPER
from simulations import optimization as sim
from theory import optimization

BATCHES = ((1, 3), (2, 3))  # effective sizes 3/2 and 6: s falls by a factor of 2
REGIMES = (0.3, 3.2)  # outliers, in units of s at the larger batch: below the transition throughout, above it


def _exponent_trial(run: Run, predict: Callable[[], Array], controls: dict[str, Callable[[], Array]]) -> Trial:
    P = run.size("parameters", quick=80, standard=192, full=512)
    hessians = run.size("Hessians", quick=1000, standard=3000, full=20_000)

    def measure() -> Samples:
        def log_tops(lam: float, B: int, N: int) -> Array:
            found = sim.sample_batch_hessians(
                run.key(f"{lam} {B}"),
                eigenvalue=lam,
                n_parameters=P,
                noise_variance=EFFECTIVE / P,
                batch_size=B,
                n_samples=N,
                n_replicates=hessians,
                lanczos_steps=lanczos(P),
            )
            return np.log(np.asarray(found.eigenvalue))

        small, large = (np.stack([log_tops(lam, *batch) for lam in REGIMES], axis=1) for batch in BATCHES)
        return Samples((small - large) / np.log(4))

    return Trial(predict=predict, measure=measure, controls=controls, scale=1.0)


def _mean_exponents(exponent: Callable[[float], float]) -> Array:
    """Average an exponent, a function of lambda / s, over the logarithm of the effective batch size."""
    positions, weights = np.polynomial.legendre.leggauss(40)
    radii = 2 ** (-(1 + positions) / 2)  # 1 / s from 1/2 to 1
    return np.array(
        [np.sum([w / 2 * exponent(lam * r) for w, r in zip(weights, radii[::-1], strict=True)]) for lam in REGIMES]
    )


def _local_exponent(ratio: float) -> float:
    return optimization.learning_rate_exponent(ratio, n_parameters=1, noise_variance=1.0, batch_size=1)


@PAPER.claim(
    "rate-exponent",
    statement=r"""The largest stable step size $2 / \lambda_1$ of a batch grows with its effective size $b$ as
    $b^{1/2}$ while noise dominates, and as $b$ to the power $1 / (1 + \lambda^2 / s^2) < \frac12$ once an outlier
    stands above it. (Derived.)""",
    source="derived from the outlier of the batch Hessian",
    agreement=Equivalence(margin=0.04, resolution=0.5),
    controls=("linear scaling", "square root throughout", "no scaling", "s / lambda for its square"),
)
def rate_exponent(run: Run) -> Trial:
    """Compare the tops of batches of one and of two out of three.

    The margin covers corrections of order 1/P to an outlier and the noise; those of the edge are the same for both.
    """
    return _exponent_trial(
        run,
        lambda: _mean_exponents(_local_exponent),
        {
            "linear scaling": lambda: np.ones(len(REGIMES)),
            "square root throughout": lambda: np.full(len(REGIMES), 0.5),
            "no scaling": lambda: np.zeros(len(REGIMES)),
            "s / lambda for its square": lambda: _mean_exponents(lambda ratio: 1 / (1 + max(ratio, 1.0))),
        },
    )


@PAPER.claim(
    "linear-scaling",
    statement=r"""In the same model, the largest stable step size $2 / \lambda_1$ grows linearly in the batch size as
    long as noise dominates.""",
    source="scaling of the learning rate of SGD, as usually summarised",
    agreement=Equivalence(margin=0.04, resolution=0.5),
    controls=("no scaling", "quadratic scaling"),
    expected="refuted",
)
def linear_scaling(run: Run) -> Trial:
    r"""Try the exponent one where noise dominates, and the outlier's own exponent elsewhere.

    The noise's part of an outlier, :math:`s^2 / \lambda`, is proportional to 1 / b, and would give linear scaling if it
    could be the larger part. It cannot: the outlier exists for :math:`\lambda > s` only, where :math:`s^2 / \lambda <
    \lambda`; below, the top is the edge 2 s, proportional to :math:`b^{-1/2}`.
    """
    exponents = partial(_mean_exponents, _local_exponent)
    return _exponent_trial(
        run,
        lambda: np.concatenate([[1.0], exponents()[1:]]),
        {
            "no scaling": lambda: np.zeros(len(REGIMES)),
            "quadratic scaling": lambda: np.concatenate([[2.0], exponents()[1:]]),
        },
    )
