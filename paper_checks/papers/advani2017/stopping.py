"""When to stop: the time of least test error, its growth with the signal, and what training on costs."""

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import FiniteSize, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, Sizes
from paper_checks.papers.advani2017.paper import ALPHAS, PAPER, Array, draw, students
from simulations.deep_linear import high_dimensional as sim
from theory.deep_linear import high_dimensional as theory


@PAPER.claim(
    "optimal_stopping",
    statement=r"""The test error is least at the root of $\int_{\lambda > 0} \rho(\lambda) e^{-\lambda t} [1 -
    e^{-\lambda t} (1 + (S + I) \lambda)] d\lambda$, which the best times on drawn samples approach as $1/N$.""",
    source="optimal stopping time",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.03),
    controls=("one mode of eigenvalue 1", "one mode of mean eigenvalue", "S for S + I", "without lambda"),
)
def optimal_stopping(run: Run) -> Trial:
    """Find by bisection where the test error of gradient descent stops falling, from weights that are not zero."""
    sizes = run.size("features", quick=(4, 8, 16, 32), standard=(8, 16, 32, 64), full=(16, 32, 64, 128))
    replicates = run.size("designs", quick=500, standard=4000, full=40_000)
    digits = run.size("binary digits", quick=11, standard=14, full=18)
    powers = ((3.0, 1.0),)

    def measure() -> Sizes:
        rate = jnp.asarray(8.0 / 2**digits)
        times = [
            draw(run, sim.stop_early, sizes, ALPHAS, replicates, students(S, inr), rate, ..., digits).time
            for S, inr in powers
        ]
        return Sizes(sizes, np.stack(times, axis=3))

    def predict(noisy: bool = True) -> Array:
        return np.stack(
            [theory.optimal_stopping_time(alpha=ALPHAS, snr=S, inr=noisy * inr) for S, inr in powers],
            axis=1,
        )

    def one_mode(eigenvalue: Array) -> Array:
        return np.stack([theory.mode_stopping_time(eigenvalue, snr=S, inr=inr) for S, inr in powers], axis=1)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "one mode of eigenvalue 1": lambda: one_mode(np.ones(3)),
            "one mode of mean eigenvalue": lambda: one_mode(np.array(ALPHAS)),
            "S for S + I": lambda: predict(noisy=False),
            "without lambda": lambda: np.broadcast_to(np.log1p([S + inr for S, inr in powers]), (3, 1)),
        },
    )


@PAPER.claim(
    "stopping_scaling",
    statement=r"""With as many samples as features the best stopping time grows in proportion to the signal, as
    $\frac{1 + \sqrt 2}{4} S$.""",
    source="derived from the spectrum at alpha = 1",
    agreement=FiniteSize(exponent=0.5, second=1, of="limit", resolution=0.06),
    controls=("S / 2", "S / sqrt(2)", "S", "logarithmic"),
)
def stopping_scaling(run: Run) -> Trial:
    """Let the signal grow with the size, so that the discrete spectrum near zero is not yet felt."""
    sizes = run.size("features", quick=(6, 12, 24, 48), standard=(16, 32, 64, 128), full=(32, 64, 128, 256))
    replicates = run.size("designs", quick=1800, standard=4800, full=24_000)

    def measure() -> Sizes:
        found = []
        for N in sizes:
            S = float(N)
            rate = jnp.asarray(S / 2**11)
            stopped = draw(run, sim.stop_early, (N,), (1.0,), replicates, students(S), rate, ..., 11, name=f"{N}")
            found.append(stopped.time[0, :, 0] / S)
        return Sizes(sizes, np.stack(found))

    return Trial(
        predict=lambda: theory.CRITICAL_STOPPING,
        measure=measure,
        controls={
            "S / 2": lambda: 0.5,
            "S / sqrt(2)": lambda: np.sqrt(0.5),
            "S": lambda: 1.0,
            "logarithmic": lambda: 0.0,
        },
        scale=theory.CRITICAL_STOPPING,
    )


@PAPER.claim(
    "stopping_asymptote",
    statement=r"""With a large signal the best stopping time grows by $1/\lambda_- = (1 - \sqrt\alpha)^{-2}$ when the
    signal grows by a factor of e.""",
    source="optimal stopping time; limit derived",
    agreement=FiniteSize(exponent=2 / 3, second=1, of="limit", resolution=0.15),
    controls=("mean eigenvalue", "largest eigenvalue", "2 / (1 - sqrt(alpha))^2"),
)
def stopping_asymptote(run: Run) -> Trial:
    """Stop gradient descent at signals that leave nothing to learn but along the least eigenvalue's direction.

    With a given signal and ever more features the next eigenvalues would come in again: at 1e6 to 1e8 they take 2 % off
    the inverse slope of 100 features, at 1e40 to 1e60 0.03 %. Least eigenvalues approach the edge as N^(-2/3),
    and the edge of N features is off by a term of order 1/N.
    """
    sizes = run.size("features", quick=(6, 12, 24, 48), standard=(12, 24, 48, 96), full=(32, 64, 128, 256))
    replicates = run.size("designs", quick=900, standard=3000, full=24_000)
    # a step of eta makes rates larger by half of eta times them
    first = run.size("log2 of the learning rate", quick=-10, standard=-12, full=-14)
    alphas, powers = np.array([4.0]), (1e40, 1e60)

    def measure() -> Sizes:
        rate = jnp.asarray(2.0**first)
        found = []
        for N in sizes:
            low, high = (
                draw(
                    run,
                    sim.stop_early,
                    (N,),
                    tuple(alphas),
                    replicates,
                    students(S),
                    rate,
                    ...,
                    10 - first,
                    name=f"{N}",
                ).time
                for S in powers
            )
            found.append(np.log(powers[1] / powers[0]) / (high - low)[0])
        return Sizes(sizes, np.stack(found))

    return Trial(
        predict=lambda: 1 / theory.stopping_time_slope(alpha=alphas),
        measure=measure,
        controls={
            "mean eigenvalue": lambda: alphas,
            "largest eigenvalue": lambda: (1 + np.sqrt(alphas)) ** 2,
            "2 / (1 - sqrt(alpha))^2": lambda: (np.sqrt(alphas) - 1) ** 2 / 2,
        },
    )


@PAPER.claim(
    "overtraining_peak",
    statement=r"""Training on beyond the best time costs most where there are as many samples as features.""",
    source="overtraining and the number of samples",
    agreement=Ordering(side="above"),
    controls=("training that ends before the best time", "by twenty times the noise"),
)
def overtraining_peak(run: Run) -> Trial:
    """Compare what training for a long time adds to the least test error at five numbers of samples."""
    replicates = run.size("designs", quick=600, standard=6000, full=60_000)
    N = run.size("features", quick=24, standard=48, full=128)
    alphas = (0.5, 0.75, 1.0, 4 / 3, 2.0)
    S = 5.0

    def measure(power: float = S, digits: int = 13) -> Samples:
        stopped = draw(
            run, sim.stop_early, (N,), alphas, replicates, students(power), jnp.asarray(2.0**-6), ..., digits
        )
        cost = (stopped.late - stopped.test)[0]
        return Samples(np.delete(cost[:, [2]] - cost, 2, axis=1))

    return Trial(
        predict=lambda: np.zeros(4),
        measure=measure,
        controls={"by twenty times the noise": lambda: np.full(4, 20.0)},
        counterexamples={
            "training that ends before the best time": lambda: measure(power=200.0, digits=8),
        },
        scale=1.0,
    )
