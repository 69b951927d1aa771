"""Training without end: what samples leave open, at any size, and how many samples are best."""

import jax.numpy as jnp
import numpy as np
from scipy.linalg import null_space

from paper_checks.agreement import FiniteSize, Identity, MonteCarlo, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Samples, Sizes, components
from paper_checks.papers.advani2017.paper import PAPER, Array, draw, students
from simulations import deep_linear as networks
from simulations.deep_linear import high_dimensional as sim
from simulations.replicates import over_replicates
from theory.deep_linear import high_dimensional as theory

RATE, DOUBLINGS = 0.08, 20  # a time of 8e4, in units of the inverse of a design's eigenvalues


def _train_long(
    run: Run, N: int, alphas: tuple[float, ...], replicates: int, group: sim.Students, doublings: int = DOUBLINGS
) -> Array:
    """Test errors of gradient descent without end, (replicates, alphas, ...)."""
    schedule = (jnp.asarray(RATE), jnp.asarray(doublings))
    return draw(run, sim.descent_errors, (N,), alphas, replicates, group, *schedule, ..., 1).test[0, :, :, 0]


@PAPER.claim(
    "late_time",
    statement=r"""Trained without end, $N$ features on $P$ Gaussian samples have a mean test error of $1 + N / (P - N -
    1)$, with fewer samples than features $(1 - P/N)(S + I) + 1 + P / (N - P - 1)$, in units of the noise; exactly.""",
    source="late times; finite sizes derived",
    agreement=MonteCarlo(resolution=0.01),
    controls=("many features", "frozen weights forgotten", "S - I for S + I", "features and samples exchanged"),
)
def late_time(run: Run) -> Trial:
    """Gradient descent on a few features and samples, until nothing moves."""
    replicates = run.size("designs", quick=3000, standard=20_000, full=400_000)
    N = 24
    alphas = (1 / 4, 1 / 3, 3.0, 4.0)
    S, I = 2.0, 0.5  # noqa: E741

    def predict(inr: float = I) -> Array:
        return np.array(
            [
                theory.late_test_error_finite(n_features=N, n_samples=round(alpha * N), snr=S, inr=inr)
                for alpha in alphas
            ]
        )

    def swapped() -> Array:
        return np.array(
            [theory.late_test_error_finite(n_features=round(alpha * N), n_samples=N, snr=S, inr=I) for alpha in alphas]
        )

    return Trial(
        predict=predict,
        measure=lambda: Samples(_train_long(run, N, alphas, replicates, students(S, I))),
        controls={
            "many features": lambda: theory.late_test_error(alpha=alphas, snr=S, inr=I),
            "frozen weights forgotten": lambda: predict() - np.maximum(1 - np.array(alphas), 0) * (S + I),
            "S - I for S + I": lambda: predict() - 2 * I * np.maximum(1 - np.array(alphas), 0),
            "features and samples exchanged": swapped,
        },
    )


@PAPER.claim(
    "late_time_limit",
    statement=r"""Trained without end, the test error tends to $\frac{\alpha}{\alpha - 1}$ with more samples than
    features, and to $(1 - \alpha)(S + I) + \frac{1}{1 - \alpha}$ with fewer, in units of the noise.""",
    source="late times",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.03),
    controls=("1 / (alpha - 1)", "1 / (1 - alpha) alone"),
)
def late_time_limit(run: Run) -> Trial:
    """Fit with least norm or by least squares, where gradient descent ends; P is a third of N or twice as large."""
    sizes = run.size("features", quick=(12, 24, 48, 96), standard=(12, 24, 48, 96), full=(24, 48, 96, 192))
    replicates = run.size("designs", quick=1000, standard=4800, full=48_000)
    few, many, S = 1 / 3, 2.0, 2.0
    alphas = (few, many)

    def predict(change: str = "") -> Limit:
        value = theory.late_test_error(alpha=alphas, snr=S)
        a = np.array(alphas)
        coefficient = np.minimum(a, 1) / (a - 1) ** 2
        value = value - {"1": np.array([0.0, 1.0]), "frozen": np.maximum(1 - a, 0) * S}.get(change, 0.0)
        return Limit(value, coefficient)

    def measure() -> Sizes:
        least = draw(run, sim.least_norm_errors, sizes, (few,), replicates, students(np.array([S])), ...).test[..., 0]
        squares = draw(run, sim.ridge_errors, sizes, (many,), replicates, jnp.zeros(1), students(S), ..., name="many")
        return Sizes(sizes, np.concatenate([least, squares[..., 0]], axis=2))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 / (alpha - 1)": lambda: predict("1"),
            "1 / (1 - alpha) alone": lambda: predict("frozen"),
        },
    )


@PAPER.claim(
    "frozen_subspace",
    statement=r"""With fewer samples than features, gradient descent at any rate leaves the part of the weights
    outside of the span of the samples, of $N - P$ dimensions, where it was.""",
    source="frozen subspace",
    agreement=Identity(rtol=1e-11),  # a few hundred steps, each of some 1e-16
    controls=("learnt by a tenth", "one dimension more", "three layers"),
)
def frozen_subspace(run: Run) -> Trial:
    """Take steps of three sizes from random weights, and project; with three layers in a counterexample."""
    N, P = run.size("features, samples", quick=(12, 5), standard=(60, 25), full=(400, 150))
    rng = run.rng()
    X = rng.standard_normal((N, P)) / np.sqrt(N)
    y, w0 = rng.standard_normal(P), rng.standard_normal(N)
    outside, rates = null_space(X.T), (0.01, 0.1, 0.5)
    deep = networks.balanced(run.key(), (N, 3, 3, 1), strengths=[0.9])

    def answer(trained: list[Array]) -> Array:
        dimensions = np.sum(np.linalg.eigvalsh(X @ X.T) < 1e-9)
        return components(dimensions, *(w @ outside for w in trained))

    def measure() -> Array:
        return answer([np.asarray(sim.descend(jnp.asarray(w0), jnp.asarray(X), jnp.asarray(y), r, 300)) for r in rates])

    def three_layers() -> Array:
        task = networks.Task.from_samples(X, y[None], average=False)
        start = np.asarray(networks.product(deep))[0]
        ends = [
            np.asarray(networks.gradient_descent(deep, task, learning_rate=0.01, steps=[k], observe=networks.product))
            for k in (300, 600, 900)
        ]
        return answer([w0 + end[0, 0] - start for end in ends])

    def predict(kept: float = 1.0, more: int = 0) -> Array:
        return components(N - P + more, *(kept * w0 @ outside for _ in rates))

    return Trial(
        predict=predict,
        measure=measure,
        controls={"learnt by a tenth": lambda: predict(kept=0.9), "one dimension more": lambda: predict(more=1)},
        counterexamples={"three layers": three_layers},
        scale=1.0,
    )


@PAPER.claim(
    "init_scale",
    statement=r"""Initial weights of power $I$ cost $(1 - \alpha)_+ I$ in the end, on any samples, and nothing where
    there are more samples than features.""",
    source="size of initial weights",
    agreement=Identity(rtol=1e-9),  # errors of 1e-16 in frozen weights grow with the number of steps, 1e5
    controls=("I at any number of samples", "alpha I", "its square root"),
)
def init_scale(run: Run) -> Trial:
    """Gradient descent until nothing moves, from weights of three sizes, on a few designs."""
    N = run.size("features", quick=12, standard=48, full=240)
    alphas, inr = (1 / 4, 1 / 2, 3.0), np.array([0.0, 0.5, 4.0])
    designs = 5

    def measure() -> Array:
        error = _train_long(run, N, alphas, designs, students(2.0, inr), 17)
        return error[:, :, 1:] - error[:, :, :1]

    frozen = np.maximum(1 - np.array(alphas), 0.0)

    def predict(share: Array = frozen, power: float = 1.0) -> Array:
        return np.broadcast_to(share[:, None] * inr[1:] ** power, (designs, len(alphas), 2))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "I at any number of samples": lambda: predict(np.ones(len(alphas))),
            "alpha I": lambda: predict(np.minimum(np.array(alphas), 1.0)),
            "its square root": lambda: predict(power=0.5),
        },
        scale=1.0,
    )


@PAPER.claim(
    "init_order",
    statement=r"""At every time the test error is the larger, the larger the initial weights.""",
    source="size of initial weights",
    agreement=Ordering(side="above"),
    controls=("nothing to learn", "by as much as at the start"),
)
def init_order(run: Run) -> Trial:
    """Draw teachers, noise and initial weights of power 2, and none, on two designs; compare test errors."""
    N, draws = 12, run.size("draws", quick=4000, standard=40_000, full=400_000)
    rng = run.rng()
    designs = [rng.standard_normal((N, P)) / np.sqrt(N) for P in (N // 2, 2 * N)]
    kept = 5

    def train(X: Array, group: sim.Students, name: str) -> Array:
        keys = run.keys(draws, name)
        return over_replicates(sim.descend_with_draws, keys, jnp.asarray(X), group, jnp.asarray(2.0**-14), 13, kept)

    def compare(large: sim.Students, small: sim.Students) -> Samples:
        return Samples(
            np.stack([train(X, large, f"{j}") - train(X, small, f"{j}") for j, X in enumerate(designs)], axis=1)
        )

    def threshold(value: float) -> Array:
        return np.full((len(designs), kept), value)

    return Trial(
        predict=lambda: threshold(0.0),
        measure=lambda: compare(students(1.0, 2.0), students(1.0)),
        controls={"by as much as at the start": lambda: threshold(2.0)},
        counterexamples={"nothing to learn": lambda: compare(students(0.0), students(2.0))},
        scale=1.0,
    )


@PAPER.claim(
    "size_optimum",
    statement=r"""With fewer samples than features, trained without end from zero, the least test error is $2 \sqrt S$
    in units of the noise, at $\alpha = 1 - 1/\sqrt S$.""",
    source="derived from the error at late times",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.03),
    controls=("alpha = 1 - 1/S", "sqrt(S)", "2 S"),
)
def size_optimum(run: Run) -> Trial:
    """Fit with least norm, where gradient descent ends, at powers whose best numbers of samples are whole."""
    sizes = run.size("features", quick=(12, 24, 48, 96), standard=(12, 24, 48, 96), full=(24, 48, 96, 192))
    replicates = run.size("designs", quick=600, standard=6000, full=60_000)
    alphas, S = (1 / 4, 1 / 3), np.array([16 / 9, 9 / 4])

    def measure() -> Sizes:
        errors = draw(run, sim.least_norm_errors, sizes, alphas, replicates, students(S), ...).test
        return Sizes(sizes, np.stack([errors[:, :, 0, 0], errors[:, :, 1, 1]], axis=2))

    return Trial(
        predict=lambda: theory.optimal_size(snr=S)[1],
        measure=measure,
        controls={
            "alpha = 1 - 1/S": lambda: theory.late_test_error(alpha=1 - 1 / S, snr=S),
            "sqrt(S)": lambda: np.sqrt(S),
            "2 S": lambda: 2 * S,
        },
    )


@PAPER.claim(
    "size_optimum_place",
    statement=r"""Both fewer and more samples than $\alpha = 1 - 1/\sqrt S$ give a larger test error in the end.""",
    source="derived from the error at late times",
    agreement=Ordering(side="above"),
    controls=("a weaker teacher", "by three times the noise"),
)
def size_optimum_place(run: Run) -> Trial:
    """Compare least-norm fits half of the way from the best number of samples to none, and to all, at S = 4."""
    replicates = run.size("designs", quick=4000, standard=8000, full=80_000)
    N = 48

    def measure(snr: float = 4.0) -> Samples:
        alphas = (1 / 4, 1 / 2, 3 / 4)
        errors = draw(run, sim.least_norm_errors, (N,), alphas, replicates, students(snr), ...).test[0]
        return Samples(errors[:, [0, 2]] - errors[:, [1]])

    return Trial(
        predict=lambda: np.zeros(2),
        measure=measure,
        controls={"by three times the noise": lambda: np.full(2, 3.0)},
        counterexamples={"a weaker teacher": lambda: measure(1.5)},
        scale=1.0,
    )
