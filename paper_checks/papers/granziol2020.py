"""Granziol, Zohren and Roberts 2020: a batch lifts the outliers of its Hessian; several of them, and a full batch.

The same work as granziol2022, whose claims look closely at a single outlier. Here a Hessian has several, and the
question is the largest stable step size.
"""

from collections.abc import Callable

import numpy as np

from paper_checks.agreement import FiniteSize, Identity, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, Samples, Sizes
from simulations import kernel_regression as sim
from theory import kernel_regression as theory

PAPER = Paper(
    key="granziol2020",
    title="Learning rates as a function of batch size: a random matrix theory approach to neural network training",
    authors="Diego Granziol, Stefan Zohren, Stephen Roberts",
    year=2020,
    arxiv="2006.09092",
    wing="kernel_regression",
)

SIGNAL = np.array([3.0, 2.0])  # outliers of the full-data Hessian, in units of the noise's sigma at the smaller batch
BATCHES = ((2, 5), (3, 5))  # batch and number of samples


def _noise(P: int) -> float:
    """Return s: at 2 samples of 5 the noise of the batch then has a spectrum with the edge 2."""
    return float(np.sqrt(10 / 3 / P))


def _tops(run: Run, P: int, batch: tuple[int, int], draws: int) -> Array:
    return sim.batch_hessian_tops(
        run.key(f"{P} {batch}"),
        eigenvalues=SIGNAL,
        n_params=P,
        noise_std=_noise(P),
        batch_size=batch[0],
        n_samples=batch[1],
        n_replicates=draws,
    )


Rule = Callable[[float, int, int, int, float], float]


def _right(eigenvalue: float, P: int, B: int, N: int, s: float) -> float:
    return float(theory.batch_hessian_outlier(eigenvalue, n_params=P, batch_size=B, n_samples=N, noise_std=s))


@PAPER.claim(
    "batch-hessian",
    statement=r"""An eigenvalue $\lambda$ of the full-data Hessian shows in a batch at $\lambda + \frac{P s^2}{b_e
    \lambda}$, each for itself, with $1/b_e = 1/B - 1/N$, and whatever lies below $s \sqrt{P / b_e}$ adds nothing to the
    edge $2 s \sqrt{P / b_e}$.""",
    source="main theorem",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.06),
    controls=("unlimited samples", "drawn with replacement", "sigma for sigma^2 / lambda", "not lifted"),
)
def batch_hessian(run: Run) -> Trial:
    """Draw a Hessian for each sample, average a batch, and take its two largest eigenvalues, at sizes that double."""
    sizes = run.size("parameters", quick=(10, 20, 40, 80), standard=(24, 48, 96, 192), full=(128, 256, 512, 1024))
    draws = run.size("batches drawn", quick=500, standard=2000, full=4000)

    def measure() -> Sizes:
        found = [np.stack([_tops(run, P, batch, draws)[:, :2] for batch in BATCHES], axis=1) for P in sizes]
        return Sizes(np.array(sizes), np.array(found))

    def predict(rule: Rule = _right) -> Array:
        P = sizes[-1]
        return np.array([[rule(float(lam), P, B, N, _noise(P)) for lam in SIGNAL] for B, N in BATCHES])

    def lifted(size: Callable[[int, int], float], power: int = 2) -> Rule:
        def rule(eigenvalue: float, P: int, B: int, N: int, s: float) -> float:
            return eigenvalue + (s * np.sqrt(P / size(B, N))) ** power / eigenvalue

        return rule

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "unlimited samples": lambda: predict(lifted(lambda B, N: B)),
            "drawn with replacement": lambda: predict(lifted(lambda B, N: B / (1 - 1 / N))),
            "sigma for sigma^2 / lambda": lambda: predict(
                lambda lam, P, B, N, s: lam + s * np.sqrt(P * (1 / B - 1 / N))
            ),
            "not lifted": lambda: predict(lambda lam, *_: lam),
        },
    )


@PAPER.claim(
    "full-batch",
    statement=r"""A batch of all samples has the eigenvalues of the full-data Hessian: $b_e = \infty$.""",
    source="sampling without replacement",
    agreement=Identity(rtol=1e-10),  # eigenvalues next to noise that cancels from thousands of numbers
    controls=("drawn with replacement", "B for b_e"),
)
def full_batch(run: Run) -> Trial:
    """Average the Hessians of all samples."""
    P, N = run.size("parameters, samples", quick=(40, 5), standard=(200, 20), full=(1000, 100))

    def measure() -> Array:
        tops = sim.batch_hessian_tops(
            run.key(), eigenvalues=SIGNAL, n_params=P, noise_std=1.0, batch_size=N, n_samples=N, n_replicates=3
        )
        return tops[:, :2]

    def predict(size: float | None = None) -> Array:
        if size is None:
            found = theory.batch_hessian_outlier(SIGNAL, n_params=P, batch_size=N, noise_std=1.0, n_samples=N)
        else:
            found = theory.wigner_outlier(SIGNAL, sigma=np.sqrt(P / size)).location
        return np.tile(found, (3, 1))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "drawn with replacement": lambda: predict(N / (1 - 1 / N)),
            "B for b_e": lambda: predict(float(N)),
        },
    )


@PAPER.claim(
    "stable-step",
    statement=r"""The largest stable step, 2 over the top eigenvalue, grows with the batch, by less than its effective
    size does, and ends at $2 / \lambda$ when the batch holds all samples.""",
    source="learning rates against batch size",
    agreement=Ordering(side="above"),
    controls=("nearly linear in the effective size", "no faster than not at all"),
)
def stable_step(run: Run) -> Trial:
    """Compare mean logarithms of steps at growing batches with those of effective sizes."""
    P, draws = run.size("parameters, batches drawn", quick=(64, 400), standard=(128, 2000), full=(512, 4000))
    N = 6
    batches = (1, 2, 3, 5)

    def measure() -> Samples:
        steps = []
        for B in batches:
            tops = sim.batch_hessian_tops(
                run.key(f"{B}"),
                eigenvalues=SIGNAL,
                n_params=P,
                noise_std=1.5 / np.sqrt(P),
                batch_size=B,
                n_samples=N,
                n_replicates=draws,
            )
            steps.append(np.log(2 / tops[:, 0]))
        growth = np.diff(np.array(steps), axis=0)
        return Samples(np.concatenate([growth, -growth]).T)

    def predict(least: float = 0.0, most: float = 1.0) -> Array:
        sizes = np.diff(np.log([theory.effective_batch_size(B, n_samples=N) for B in batches]))
        return np.concatenate([least * sizes, -most * sizes])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "nearly linear in the effective size": lambda: predict(least=0.9),
            "no faster than not at all": lambda: predict(most=0.0),
        },
        scale=1.0,
    )
