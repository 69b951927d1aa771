"""Continuous priors: coins under a Beta prior, exactly and for many tosses, and the mean of a Gaussian."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Steps, components
from paper_checks.papers.feder2025.paper import PAPER
from simulations import generalization as sim
from theory import generalization

BETAS = ((0.3, 1.0, 1.0), (0.3, 0.5, 0.5), (0.5, 2.0, 1.5), (0.4, 0.7, 3.0))


@PAPER.claim(
    "beta-mixture",
    statement=r"""With a Beta$(a, b)$ prior on the coin, $n R_n = \sum_k \binom nk \theta_0^k (1-\theta_0)^{n-k}
    \ln [\theta_0^k (1-\theta_0)^{n-k} B(a, b) / B(k + a, n - k + b)]$.""",
    source="textbook; the rules of Laplace and of Krichevsky and Trofimov",
    # sums of 2^n terms, or of n differences of logarithms as large as n
    agreement=Identity(rtol=1e-10),
    controls=("flat prior", "a and b exchanged", "one toss less", "prior not normalised"),
)
def beta_mixture(run: Run) -> Trial:
    """Run the predictor on all sequences, and on many tosses, with quadrature points of the prior for a class."""
    few, many = run.size("tosses", quick=(9, 60), standard=(12, 200), full=(16, 1000))
    rng = run.rng()
    cases = [*BETAS, *zip(rng.uniform(0.05, 0.95, 4), rng.uniform(0.4, 4, 4), rng.uniform(0.4, 4, 4), strict=True)]

    def measure() -> Array:
        parts = []
        for truth, a, b in cases:
            coins, weights = sim.beta_coins(a, b, few)
            parts.append(sim.predict_every_sequence([truth], [coins], [weights], few).regret[0].cumsum())
            coins, weights = sim.beta_coins(a, b, many)
            parts.append(sim.predict_merged_sequences([truth], [coins], [weights], many)[0].cumsum())
        return components(*parts)

    def predict(regret: Callable[[float, int, float, float], float]) -> Array:
        return components(
            *([regret(*case[:1], m, *case[1:]) for m in range(1, n + 1)] for case in cases for n in (few, many))
        )

    def exact(truth: float, n: int, a: float, b: float) -> float:
        return n * generalization.beta_mixture_regret(truth, n, a=a, b=b)

    def unnormalised(truth: float, n: int, a: float, b: float) -> float:
        return exact(truth, n, a, b) + np.log(a + b)

    return Trial(
        predict=lambda: predict(exact),
        measure=measure,
        controls={
            "flat prior": lambda: predict(lambda t, n, a, b: exact(t, n, 1, 1)),
            "a and b exchanged": lambda: predict(lambda t, n, a, b: exact(t, n, b, a)),
            "one toss less": lambda: predict(lambda t, n, a, b: exact(t, n - 1, a, b) if n > 1 else 0.0),
            "prior not normalised": lambda: predict(unnormalised),
        },
        scale=1.0,
    )


@PAPER.claim(
    "beta-mixture-asymptotic",
    statement=r"""Under a Beta prior of density $w$, $n R_n = \frac12 \ln\frac{n}{2\pi e} - \frac12
    \ln(\theta_0 (1-\theta_0)) - \ln w(\theta_0) + O(1/n)$.""",
    source="Clarke and Barron (1990), for one parameter",
    agreement=ConvergenceOrder(order=1, resolution=1e-3, accuracy=1e-13),
    controls=("no e", "a logarithm a parameter", "no information", "no density"),
)
def beta_mixture_asymptotic(run: Run) -> Trial:
    """Run the predictor on more and more tosses, equal posteriors merged."""
    sizes = run.size(
        "tosses",
        quick=[32, 64, 128, 256, 512],
        standard=[64, 128, 256, 512, 1024],
        full=[64, 128, 256, 512, 1024, 2048],
    )
    cases = BETAS[:3]
    n = np.array(sizes)

    def measure() -> Steps:
        found = []
        for truth, a, b in cases:
            coins, weights = sim.beta_coins(a, b, sizes[-1])
            found.append(sim.predict_merged_sequences([truth], [coins], [weights], sizes[-1])[0].cumsum()[n - 1])
        return Steps(1 / n, np.transpose(found))

    def predict(excess: Callable[[float, float, float], NDArray | float] = lambda t, a, b: 0.0) -> Steps:
        values = [
            n * generalization.beta_mixture_regret_asymptotic(t, n, a=a, b=b) + excess(t, a, b) for t, a, b in cases
        ]
        return Steps(1 / n, np.transpose(values))

    def density(truth: float, a: float, b: float) -> float:
        return float(
            generalization.beta_mixture_regret_asymptotic(truth, 1, a=1, b=1)
            - generalization.beta_mixture_regret_asymptotic(truth, 1, a=a, b=b)
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no e": lambda: predict(lambda t, a, b: 0.5),
            "a logarithm a parameter": lambda: predict(lambda t, a, b: 0.5 * np.log(n)),
            "no information": lambda: predict(lambda t, a, b: 0.5 * np.log(t * (1 - t))),
            "no density": lambda: predict(density),
        },
        scale=1.0,
    )


@PAPER.claim(
    "gaussian",
    statement=r"""For $N(\theta_0, 1)$ and the prior $N(0, t^2)$ on its mean, $n R_n = \frac12 \ln(1 + n t^2) - \frac12
    \frac{n t^2}{1 + n t^2} + \frac12 \frac{n \theta_0^2}{1 + n t^2}$, and the bound by exponential weights is that
    without its second term.""",
    source="derived; the Gaussian location family",
    # linear systems of condition number 1 + n t^2, up to 2e3
    agreement=Identity(rtol=1e-11),
    controls=("bound for regret", "truth not shrunk", "no 1 in the logarithm", "standard deviation for variance"),
)
def gaussian(run: Run) -> Trial:
    """Compare two Gaussian vectors by dense linear algebra, and integrate the tilted prior."""
    number = run.size("problems", quick=40, standard=200, full=1000)
    largest = run.size("observations", quick=40, standard=100, full=400)
    rng = run.rng()
    means, variances = rng.uniform(-3, 3, number), 10 ** rng.uniform(-1.5, 1.5, number)
    n = rng.integers(1, largest + 1, number)
    cases = [(float(m), float(v), int(size)) for m, v, size in zip(means, variances, n, strict=True)]

    def measure() -> Array:
        divergence = [sim.gaussian_mixture_divergence(*case) for case in cases]
        return np.array([divergence, [sim.gaussian_tilted_weight(*case) for case in cases]])

    def predict(variances: Array = variances, excess: Array | float = 0.0, bound: bool = False) -> Array:
        tilted = n * generalization.gaussian_exponential_weight_bound(means, n, prior_var=variances)
        regret = n * generalization.gaussian_mixture_regret(means, n, prior_var=variances)
        return np.array([tilted if bound else regret, tilted]) + excess

    spread = n * variances
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "bound for regret": lambda: predict(bound=True),
            "truth not shrunk": lambda: predict(excess=0.5 * n * means**2 * spread / (1 + spread)),
            "no 1 in the logarithm": lambda: predict(excess=-0.5 * np.log1p(1 / spread)),
            "standard deviation for variance": lambda: predict(np.sqrt(variances)),
        },
        scale=1.0,
    )
