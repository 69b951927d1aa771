"""Ridge regression on the same samples: its error, its best ridge, and how little it gains over early stopping."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, FiniteSize, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Samples, Sizes
from paper_checks.papers.advani2017.paper import ALPHAS, PAPER, Array, draw, students
from simulations.deep_linear import high_dimensional as sim
from theory import deep_linear
from theory.deep_linear import high_dimensional as theory

SNR = 3.0
RIDGES = np.array([0.1, 1 / SNR, 2.0])


def _coefficient() -> Array:
    """Coefficients of 1/N in the error of ridge regression: what each nonzero eigenvalue adds to it."""
    g = RIDGES[:, None]
    return np.stack([theory.mp_finite_size(lambda x: (SNR * g**2 + x) / (x + g) ** 2, alpha=alpha) for alpha in ALPHAS])


def _solve(run: Run, ridges: Array, group: sim.Students) -> Sizes:
    sizes = run.size("features", quick=(4, 8, 16, 32), standard=(8, 16, 32, 64), full=(16, 32, 64, 128))
    replicates = run.size("designs", quick=600, standard=9000, full=100_000)
    return Sizes(sizes, draw(run, sim.ridge_errors, sizes, ALPHAS, replicates, jnp.asarray(ridges), group, ...))


@PAPER.claim(
    "ridge",
    statement=r"""Ridge regression $w = (X X^T + g)^{-1} X y$ has the test error $\sigma_\epsilon^2 \{1 + m + g (S g -
    1) \frac{m^2 + m}{2 g m + g + \alpha - 1}\}$, $m$ the mean of $1/(\lambda + g)$, with corrections of order
    $1/N$.""",
    source="regularisation; closed form and correction derived",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.02),
    controls=("ridge P g", "bias left out", "at its best everywhere"),
)
def ridge(run: Run) -> Trial:
    """Solve for the weights at three ridges, at sizes that double."""

    def predict(ridges: Array = RIDGES, snr: float = SNR) -> Limit:
        value = theory.ridge_test_error(ridges, alpha=np.array(ALPHAS)[:, None], snr=snr)
        return Limit(value, _coefficient())

    def best() -> Limit:
        m = theory.mp_resolvent(RIDGES, alpha=np.array(ALPHAS)[:, None])
        return Limit(1 + m, _coefficient())

    return Trial(
        predict=predict,
        measure=lambda: _solve(run, RIDGES, students(SNR)),
        controls={
            "ridge P g": lambda: predict(8 * RIDGES),
            "bias left out": lambda: predict(snr=0.0),
            "at its best everywhere": best,
        },
    )


@PAPER.claim(
    "optimal_ridge",
    statement=r"""On any samples the mean test error over teachers and noise is least at the ridge $1/S$, the power of
    the noise over that of a teacher's weight.""",
    source="optimal regularisation",
    # bisection of a derivative: the root is known to rounding over curvature, some 1e-13
    agreement=Identity(rtol=1e-9),
    controls=("over P", "over the root of S", "S"),
)
def optimal_ridge(run: Run) -> Trial:
    """Bisect on the sign of the derivative of the test error, on a few designs of every proportion."""
    N = run.size("features", quick=12, standard=24, full=100)
    powers, designs = (0.5, 3.0, 20.0), 10

    def measure() -> Array:
        shared = (jnp.asarray([1e-4, 1e4]), ...)
        found = [draw(run, sim.best_ridge, (N,), ALPHAS, designs, students(S), *shared)[0] for S in powers]
        return np.stack(found, axis=2)

    def predict(change: Callable[[Array], Array] = lambda ridge: ridge) -> Array:
        return np.broadcast_to(change(1 / np.array(powers)), (designs, len(ALPHAS), len(powers)))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "over P": lambda: predict(lambda ridge: ridge / N),
            "over the root of S": lambda: predict(np.sqrt),
            "S": lambda: predict(lambda ridge: 1 / ridge),
        },
    )


@PAPER.claim(
    "optimal_ridge_error",
    statement=r"""At its best ridge, ridge regression has the test error $\sigma_\epsilon^2 [1 + m(1/S)]$.""",
    source="optimal regularisation",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.02),
    controls=("m(S)", "m(1/S) alone", "late times"),
)
def optimal_ridge_error(run: Run) -> Trial:
    """Solve for the weights at the best ridge for three powers, at sizes that double."""
    powers = np.array([0.5, 3.0, 20.0])
    alphas = np.array(ALPHAS)[:, None]

    def measure() -> Sizes:
        sizes = run.size("features", quick=(4, 8, 16, 32), standard=(8, 16, 32, 64), full=(16, 32, 64, 128))
        replicates = run.size("designs", quick=2500, standard=10_000, full=100_000)
        found = [
            draw(run, sim.ridge_errors, sizes, ALPHAS, replicates, jnp.asarray([1 / S]), students(S), ...)
            for S in powers
        ]
        return Sizes(sizes, np.concatenate(found, axis=3))

    def predict(ridges: Array = 1 / powers, noise: float = 1.0) -> Array:
        return noise + theory.mp_resolvent(ridges, alpha=alphas)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "m(S)": lambda: predict(powers),
            "m(1/S) alone": lambda: predict(noise=0.0),
            "late times": lambda: theory.ridge_test_error(1e-3, alpha=alphas, snr=powers),
        },
    )


def _ratios(run: Run, N: int, alphas: tuple[float, ...], powers: tuple[float, ...], designs: int) -> Array:
    """Test errors of gradient descent, stopped at its best, over those of the best ridge, a design each."""
    # at a step of 2^-10 ratios are off by 0.4 % of what they exceed one by, at a smaller one by as much less
    digits = run.size("binary digits", quick=17, standard=19, full=21)
    found = []
    for S in powers:
        group, rate = students(S), jnp.asarray(2.0 ** (4 - digits) * min(max(1.0, S), 60.0))
        stopped = draw(run, sim.stop_early, (N,), alphas, designs, group, rate, ..., digits)
        best = draw(run, sim.ridge_errors, (N,), alphas, designs, jnp.asarray([1 / S]), group, ...)[..., 0]
        found.append(stopped.test[0] / best[0])
    return np.stack(found, axis=2)


@PAPER.claim(
    "stopping_vs_ridge",
    statement=r"""On any samples early stopping from zero has no smaller mean test error than the best ridge; with
    little signal it comes as close as one likes.""",
    source="early stopping and ridge regression; derived",
    agreement=Bound(side="lower", tight=1e-3, rounding=1e-10),
    controls=("a tenth better", "1.01", "exchanged"),
)
def stopping_vs_ridge(run: Run) -> Trial:
    """Stop gradient descent at its best and solve at the best ridge, on the same designs."""
    N, designs = run.size("features, designs", quick=(12, 30), standard=(24, 200), full=(64, 2000))
    alphas, powers = (0.25, 0.5, 1.0, 1.25, 4.0), (0.1, 1.0, 10.0, 100.0)

    def swapped() -> Array:
        return 1 / _ratios(run, N, alphas, powers, designs)

    return Trial(
        predict=lambda: np.ones((designs, len(alphas), len(powers))),
        measure=lambda: _ratios(run, N, alphas, powers, designs),
        controls={
            "a tenth better": lambda: np.full((designs, len(alphas), len(powers)), 0.9),
            "1.01": lambda: np.full((designs, len(alphas), len(powers)), 1.01),
        },
        counterexamples={"exchanged": swapped},
    )


@PAPER.claim(
    "stopping_excess",
    statement=r"""The test error of early stopping over that of the best ridge, in the limit of many features, is the
    ratio of the integral over the spectrum at its best time to $1 + m(1/S)$.""",
    source="early stopping and ridge regression",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.1),
    controls=("no excess", "stopped as the mean eigenvalue wants", "a ridge of S"),
)
def stopping_excess(run: Run) -> Trial:
    """Average ratios over designs of three proportions and two powers, at sizes that double."""
    sizes = run.size("features", quick=(8, 16, 32, 64), standard=(8, 16, 32, 64), full=(16, 32, 64, 128))
    designs = run.size("designs", quick=360, standard=5000, full=50_000)
    powers = (1.0, 3.0)  # features must outnumber sqrt(S) by far for powers of 1/N to tell
    alphas, S = np.array(ALPHAS)[:, None], np.array(powers)

    def over_best_ridge(times: Array) -> Array:
        return theory.test_error(times, alpha=alphas, snr=S) / theory.ridge_test_error(1 / S, alpha=alphas, snr=S) - 1

    return Trial(
        predict=lambda: deep_linear.early_stopping_ratio(alpha=alphas, snr=S) - 1,
        measure=lambda: Sizes(sizes, np.stack([_ratios(run, N, ALPHAS, powers, designs) - 1 for N in sizes])),
        controls={
            "no excess": lambda: np.zeros((len(ALPHAS), len(powers))),
            "stopped as the mean eigenvalue wants": lambda: over_best_ridge(theory.mode_stopping_time(alphas, snr=S)),
            "a ridge of S": lambda: (
                theory.test_error(theory.optimal_stopping_time(alpha=alphas, snr=S), alpha=alphas, snr=S)
                / theory.ridge_test_error(S, alpha=alphas, snr=S)
                - 1
            ),
        },
        scale="largest",
    )


@PAPER.claim(
    "stopping_ratio",
    statement=r"""Early stopping has at most 1.0352 times the test error of the best ridge, for any number of samples
    and any signal: approached where $S$ grows and $\sqrt S (\sqrt\alpha - 1)$ is 0.56.""",
    source="early stopping and ridge regression; limit derived, its being the supremum found numerically",
    agreement=Bound(side="upper", tight=0.008, rounding=1e-10),
    controls=("1.02", "1.1", "as many samples as features"),
)
def stopping_ratio(run: Run) -> Trial:
    """Average ratios over designs of a grid of proportions and powers."""
    N, designs = run.size("features, designs", quick=(48, 800), standard=(64, 4000), full=(128, 20_000))
    alphas, powers = (0.75, 1.125, 1.5), (128.0,)

    def predict(ratio: Callable[[], float] = lambda: deep_linear.worst_stopping_ratio().ratio) -> Array:
        return np.full((len(alphas), len(powers)), ratio())

    return Trial(
        predict=predict,
        measure=lambda: Samples(_ratios(run, N, alphas, powers, designs)),
        controls={
            "1.02": lambda: predict(lambda: 1.02),
            "1.1": lambda: predict(lambda: 1.1),
            "as many samples as features": lambda: predict(lambda: float(deep_linear.critical_stopping_ratio(0.0))),
        },
    )
