"""The top of a batch Hessian's spectrum: the variance of the noise, outliers above its edge, and the edge itself."""

from collections.abc import Callable

import numpy as np

from paper_checks.agreement import FiniteSize, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples, Sizes
from paper_checks.papers.granziol2022._samples import NOISE, outlier, problem, sample, sizes, without_noise
from paper_checks.papers.granziol2022.paper import PAPER
from simulations import optimization as sim
from theory import optimization

SPIKES = (2.0, 3.0)  # in units of s: well above the transition; next to it the corrections in 1/P have no end


@PAPER.claim(
    "effective-batch",
    statement=r"""A batch of $B$ out of $N$ samples differs from the mean of all by noise of variance $\sigma^2
    (\frac1B - \frac1N)$.""",
    source="fluctuations of the batch Hessian",
    agreement=MonteCarlo(resolution=0.02),
    controls=("unlimited samples", "drawn with replacement", "N - 1 for N"),
)
def effective_batch(run: Run) -> Trial:
    """Mean squares of the off-diagonal entries of batch minus full-data Hessians."""
    hessians = run.size("Hessians", quick=1000, standard=10_000, full=100_000)
    pairs, variance = ((2, 3), (2, 6), (5, 12)), 0.7

    def measure() -> Samples:
        found = [
            sim.sample_batch_hessians(
                run.key(f"{B} of {N}"),
                eigenvalue=1.0,
                n_parameters=20,
                noise_variance=variance,
                batch_size=B,
                n_samples=N,
                n_replicates=hessians,
                lanczos_steps=2,
            ).noise_variance
            for B, N in pairs
        ]
        return Samples(np.stack(found, axis=1))

    def predict(size: Callable[[int, int], float] = optimization.effective_batch_size) -> Array:
        return np.array([variance / size(B, N) for B, N in pairs])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "unlimited samples": lambda: predict(lambda B, N: B),
            "drawn with replacement": lambda: predict(lambda B, N: 1 / ((1 - 1 / N) / B)),
            "N - 1 for N": lambda: predict(lambda B, N: 1 / (1 / B - 1 / (N - 1)) if N - 1 > B else 1e9),
        },
    )


@PAPER.claim(
    "spike",
    statement=r"""An outlier $\lambda$ of the full-data Hessian, above $s = \sqrt{P/b} \sigma$, appears in a batch at
    $\lambda + s^2 / \lambda$ as $P \to \infty$.""",
    source="outliers of the batch Hessian",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.02),
    controls=("s for s^2 / lambda", "not shifted", "twice the shift", "edge", "no 1 / N"),
)
def spike(run: Run) -> Trial:
    """Top eigenvalues of sampled batch Hessians at sizes that double.

    What is claimed is the limit: corrections are in powers of 1/P, with coefficients that diverge at the
    transition, so that no claim is made about outliers next to it.
    """
    parameters, hessians = sizes(run)

    def measure() -> Sizes:
        def top(lam: float, P: int) -> Array:
            return NOISE * without_noise(sample(run, lam, P, hessians))[0]

        return Sizes(parameters, np.array([[top(lam, P) for lam in SPIKES] for P in parameters]).swapaxes(1, 2))

    def predict(place: Callable[[float], float] = lambda lam: outlier(lam).eigenvalue) -> Array:
        return np.array([place(lam) for lam in SPIKES])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "s for s^2 / lambda": lambda: predict(lambda lam: NOISE * (lam + 1)),
            "not shifted": lambda: predict(lambda lam: NOISE * lam),
            "twice the shift": lambda: predict(lambda lam: NOISE * (lam + 2 / lam)),
            "edge": lambda: predict(lambda lam: 2 * NOISE),
            "no 1 / N": lambda: predict(lambda lam: outlier(lam, n_samples=np.inf).eigenvalue),
        },
    )


@PAPER.claim(
    "spike-overlap",
    statement=r"""The squared overlap of the batch's outlying eigenvector with the full-data one tends to $1 - s^2 /
    \lambda^2$.""",
    source="outliers of the batch Hessian",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.02),
    controls=("s / lambda for its square", "square of the overlap", "1 / (1 + s^2 / lambda^2)", "no 1 / N"),
)
def spike_overlap(run: Run) -> Trial:
    """Top eigenvectors of sampled batch Hessians at sizes that double."""
    parameters, hessians = sizes(run)
    spikes, hessians = (4.0, 6.0), 2 * hessians  # nearer to the transition overlaps are skewed

    def measure() -> Sizes:
        def overlap(lam: float, P: int) -> Array:
            return without_noise(sample(run, lam, P, hessians))[1]

        return Sizes(parameters, np.array([[overlap(lam, P) for lam in spikes] for P in parameters]).swapaxes(1, 2))

    def predict(overlap: Callable[[float], float] = lambda lam: outlier(lam).overlap) -> Array:
        return np.array([overlap(lam) for lam in spikes])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "s / lambda for its square": lambda: predict(lambda lam: 1 - 1 / lam),
            "square of the overlap": lambda: predict(lambda lam: (1 - lam**-2) ** 2),
            "1 / (1 + s^2 / lambda^2)": lambda: predict(lambda lam: 1 / (1 + lam**-2)),
            "no 1 / N": lambda: predict(lambda lam: outlier(lam, n_samples=np.inf).overlap),
        },
    )


@PAPER.claim(
    "spike-shift",
    statement=r"""With Gaussian noise the mean outlier is off its limit by $\frac{s^2}{P}
    \frac{2 s^2 - \lambda^2}{\lambda (\lambda^2 - s^2)}$, and the mean overlap by $\frac{s^2}{P} \frac{\lambda^4 - 5 s^2
    \lambda^2 + 2 s^4}{\lambda^2 (\lambda^2 - s^2)^2}$, up to $O(P^{-2})$. (Derived.)""",
    source="derived from the resolvent of the noise to second order",
    agreement=FiniteSize(exponent=1, of="limit", resolution=0.8),
    controls=(
        "opposite sign",
        "none",
        "half the outlier's",
        "4 for 2 in the outlier's",
        "plus for minus in the overlap's",
    ),
)
def spike_shift(run: Run) -> Trial:
    """Distances of outliers and overlaps from their limits, times P.

    Closer to the transition the terms beyond 1/P are larger, and the overlap is skewed. The overlap is the derivative
    of the outlier by lambda, and so are their shifts, which the tests check.
    """
    parameters = run.size("parameters", quick=(20, 32, 50, 80), standard=(32, 50, 80, 128), full=(64, 100, 160, 256))
    hessians = run.size("Hessians", quick=1500, standard=3000, full=40_000)
    spikes = (3.5, 4.5)

    def measure() -> Sizes:
        def scaled(lam: float, P: int) -> Array:
            found, limits = without_noise(sample(run, lam, P, hessians)), outlier(lam)
            return P * (found.T - np.array([limits.eigenvalue / NOISE, limits.overlap]))

        return Sizes(parameters, np.stack([np.stack([scaled(lam, P) for lam in spikes], axis=1) for P in parameters]))

    def predict(eigenvalue: float = 1.0, overlap: float = 1.0) -> Array:
        P = parameters[-1]
        shifts = [optimization.batch_hessian_outlier_shift(lam * NOISE, **problem(P)) for lam in spikes]
        return P * np.array([[eigenvalue * shift.eigenvalue / NOISE, overlap * shift.overlap] for shift in shifts])

    def altered(eigenvalue: Callable[[float], float], overlap: Callable[[float], float]) -> Array:
        """Shifts with other polynomials of x = lambda^2 / s^2 in the numerators."""
        return np.array(
            [[eigenvalue(x) / (x - 1) / x**0.5, overlap(x) / (x * (x - 1) ** 2)] for x in np.square(spikes)]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "opposite sign": lambda: predict(-1.0, -1.0),
            "none": lambda: predict(0.0, 0.0),
            "half the outlier's": lambda: predict(0.5),
            "4 for 2 in the outlier's": lambda: altered(lambda x: 4 - x, lambda x: x**2 - 5 * x + 2),
            "plus for minus in the overlap's": lambda: altered(lambda x: 2 - x, lambda x: x**2 + 5 * x + 2),
        },
    )


WEAK = (0.05, 0.3)  # outliers in units of s


def _tops(run: Run) -> tuple[tuple[int, ...], Array]:
    """Sample top eigenvalues of batch Hessians with weak outliers: sizes, and (sizes, replicates, outliers)."""
    parameters, hessians = sizes(run)
    found = [[np.asarray(sample(run, lam, P, hessians).eigenvalue) for lam in WEAK] for P in parameters]
    return parameters, np.array(found).swapaxes(1, 2)


@PAPER.claim(
    "edge",
    statement=r"""Below the transition the top of the batch Hessian's spectrum is the edge $2 s$ of the noise, up to
    $O(P^{-2/3})$, whatever the outlier.""",
    source="outliers of the batch Hessian, below the transition",
    agreement=FiniteSize(exponent=2 / 3, second=1, of="limit", resolution=0.05),
    controls=("formula of the outlier", "2 s^2 for 2 s", "no 1 / N"),
)
def edge(run: Run) -> Trial:
    """Top eigenvalues of sampled batch Hessians without and with a weak outlier, at sizes that double."""
    return Trial(
        predict=lambda: np.array([outlier(lam).eigenvalue for lam in WEAK]),
        measure=lambda: Sizes(*_tops(run)),
        controls={
            "formula of the outlier": lambda: np.array([NOISE * (lam + 1 / lam) for lam in WEAK]),
            "2 s^2 for 2 s": lambda: np.full(2, 2 * NOISE**2),
            "no 1 / N": lambda: np.array([outlier(lam, n_samples=np.inf).eigenvalue for lam in WEAK]),
        },
    )


@PAPER.claim(
    "edge-mean",
    statement=r"""It is approached from below: $P^{2/3} (E \lambda_1 - 2 s) / s$ tends to the mean $-1.2065$ of the
    Tracy-Widom law of real symmetric matrices, up to $O(P^{-1/3})$.""",
    source="fluctuations at the edge of the noise",
    agreement=FiniteSize(exponent=1 / 3, of="limit", resolution=0.7),
    controls=("opposite sign", "twice as far", "on the edge"),
)
def edge_mean(run: Run) -> Trial:
    """Scaled distances of the top eigenvalues from the edge, at sizes that double."""
    P = sizes(run)[0][-1]

    def measure() -> Sizes:
        parameters, tops = _tops(run)
        return Sizes(parameters, (tops - 2 * NOISE) / NOISE * np.array(parameters)[:, None, None] ** (2 / 3))

    def predict() -> Array:
        return np.full(2, P ** (2 / 3) * optimization.batch_hessian_edge_shift(**problem(P)) / NOISE)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "opposite sign": lambda: -predict(),
            "twice as far": lambda: 2 * predict(),
            "on the edge": lambda: np.zeros(2),
        },
    )
