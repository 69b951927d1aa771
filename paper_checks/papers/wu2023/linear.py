"""Linear models: thresholds of SGD from its exact second moment, every batch enumerated."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Bound, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples
from paper_checks.papers.wu2023.paper import PAPER
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]

# 48 halvings of a bracket that is wider than the threshold by less than the number of samples
BISECTED = 1e-10


def _features(run: Run) -> Array:
    """Draw sets of six features in three dimensions: Gaussian, of random covariance, and orthogonal of one norm."""
    sets = run.size("sets of features", quick=100, standard=1000, full=50_000)
    rng = run.rng()
    scales = np.exp(rng.normal(size=(sets, 1, 3)) / 2)
    gaussian = rng.normal(size=(sets, 6, 3)) * scales
    return np.concatenate([gaussian, _orthogonal(rng, 4, equal=True)])


def _orthogonal(rng: np.random.Generator, sets: int, *, equal: bool) -> Array:
    """Draw two features along each of three orthogonal directions, of two norms that are the same in all of them."""
    turns = np.linalg.qr(rng.normal(size=(sets, 3, 3)))[0]
    first, second = rng.uniform(0.5, 2, size=(2, sets, 1, 1))
    return np.concatenate([first * turns, -(first if equal else second) * turns], axis=1)


def _hessians(features: Array) -> Array:
    return features.swapaxes(1, 2) @ features / features.shape[1]


def _trace(features: Array) -> Array:
    return np.sum(features**2, axis=(1, 2)) / features.shape[1]


def _exact(features: Array, batch_sizes: tuple[int, ...]) -> Array:
    return np.stack([sim.exact_mean_square_threshold(features, batch_size=B) for B in batch_sizes])


@PAPER.claim(
    "trace-bound",
    statement=r"""SGD with batches of one is stable in mean square at a minimum of zero loss only if $\mathrm{tr} H \le
    2 / \eta$; orthogonal features of one norm attain it.""",
    source="stability of SGD with batch size one",
    # the bisected threshold is no finer
    agreement=Bound(rounding=BISECTED, tight=BISECTED),
    controls=("1 / tr H", "Frobenius norm for trace", "largest eigenvalue for trace", "batches of two"),
)
def trace_bound(run: Run) -> Trial:
    """Thresholds from the exact second moment, all batches enumerated, on random and on orthogonal features.

    Batches of two violate it: 2 B / tr H is what holds for them, and more than that is claimed below.
    """
    features = _features(run)

    return Trial(
        predict=lambda: np.array([optimization.trace_bound(x) for x in features]),
        measure=lambda: _exact(features, (1,))[0],
        controls={
            "1 / tr H": lambda: 1 / _trace(features),
            "Frobenius norm for trace": lambda: 2 / np.linalg.norm(_hessians(features), axis=(1, 2)),
            "largest eigenvalue for trace": lambda: 2 / np.linalg.norm(_hessians(features), ord=2, axis=(1, 2)),
        },
        counterexamples={"batches of two": lambda: _exact(features, (2,))[0]},
    )


BATCHES = (2, 3)


@PAPER.claim(
    "refined-trace-bound",
    statement=r"""SGD with batches of $B$ is stable only if $(1 - \frac1B) \mathrm{tr} H^2 + \frac1B \mathrm{mean}_i
    \|x_i\|^4 \le \frac2\eta \mathrm{tr} H$, which implies $\mathrm{tr} H \le 2 B / \eta$ and is sharper. (Derived.)""",
    source="derived by testing stability on the identity",
    agreement=Bound(rounding=BISECTED, tight=BISECTED),
    controls=(
        "2 / tr H",
        "fourth moment dropped",
        "2 B / tr H: nowhere attained",
        "B forgotten",
    ),
)
def refined_trace_bound(run: Run) -> Trial:
    """Thresholds from the exact second moment for batches of two and three."""
    features = _features(run)

    def per_batch(bound: Callable[[int], Array]) -> Array:
        return np.stack([bound(B) for B in BATCHES])

    def predict(batch_size: int | None = None) -> Array:
        return per_batch(
            lambda B: np.array([optimization.trace_bound(x, batch_size=batch_size or B) for x in features])
        )

    def without_fourth_moment(B: int) -> Array:
        squares = np.sum(_hessians(features) ** 2, axis=(1, 2))
        return 2 * _trace(features) / ((1 - 1 / B) * squares)

    return Trial(
        predict=predict,
        measure=lambda: _exact(features, BATCHES),
        controls={
            "2 / tr H": lambda: per_batch(lambda B: 2 / _trace(features)),
            "fourth moment dropped": lambda: per_batch(without_fourth_moment),
            "2 B / tr H: nowhere attained": lambda: per_batch(lambda B: 2 * B / _trace(features)),
            "B forgotten": lambda: predict(batch_size=1),
        },
    )


@PAPER.claim(
    "trace-bound-attained",
    statement=r"""The bound from traces is the threshold itself, for every batch size, where $H$ and $\mathrm{mean}_i
    \|x_i\|^2 x_i x_i^T$ are multiples of the identity: orthogonal directions with the same norms in each.
    (Derived.)""",
    source="derived by testing stability on the identity",
    agreement=Identity(rtol=BISECTED),
    controls=("square of the second moment for the fourth", "2 B / tr H", "B + 1 for B"),
)
def trace_bound_attained(run: Run) -> Trial:
    """Thresholds from the exact second moment on features of two norms in three orthogonal directions."""
    sets = run.size("sets of features", quick=50, standard=500, full=20_000)
    features = _orthogonal(run.rng(), sets, equal=False)
    batch_sizes = (1, *BATCHES)

    def predict(extra: int = 0) -> Array:
        return np.array([[optimization.trace_bound(x, batch_size=B + extra) for x in features] for B in batch_sizes])

    def with_square(B: int) -> Array:
        squares = np.sum(_hessians(features) ** 2, axis=(1, 2))
        return 2 * _trace(features) / ((1 - 1 / B) * squares + _trace(features) ** 2 / B)

    return Trial(
        predict=predict,
        measure=lambda: _exact(features, batch_sizes),
        controls={
            "square of the second moment for the fourth": lambda: np.stack([with_square(B) for B in batch_sizes]),
            "2 B / tr H": lambda: np.stack([2 * B / _trace(features) for B in batch_sizes]),
            "B + 1 for B": lambda: predict(extra=1),
        },
    )


@PAPER.claim(
    "critical-rate",
    statement=r"""The second moment of SGD on a linear model passes from shrinking to growing at $\eta_c = 1 /
    \lambda_{\max}(\mathcal{M}, \mathcal{L})$, with $\mathcal{L}(A) = HA + AH$ and $\mathcal{M}(A) = E[H_B A H_B]$.
    (Derived.)""",
    source="derived from the second-moment operator",
    agreement=Identity(rtol=BISECTED),
    controls=("gradient descent", "trace bound", "B for B + 1", "twice as large"),
)
def critical_rate(run: Run) -> Trial:
    """Bisected thresholds, all batches enumerated, for batches of one to three."""
    features, batch_sizes = _features(run), (1, 2, 3)

    def predict(solve: Callable[..., float] = optimization.critical_learning_rate, extra: int = 0) -> Array:
        return np.array([[solve(x, batch_size=B + extra) for x in features] for B in batch_sizes])

    def descent(x: Array, batch_size: int) -> float:
        return optimization.gradient_descent_threshold(float(np.linalg.norm(x, ord=2) ** 2 / len(x)))

    return Trial(
        predict=predict,
        measure=lambda: _exact(features, batch_sizes),
        controls={
            "gradient descent": lambda: predict(descent),
            "trace bound": lambda: predict(optimization.trace_bound),
            "B for B + 1": lambda: predict(extra=1),
            "twice as large": lambda: 2 * predict(),
        },
    )


@PAPER.claim(
    "gaussian",
    statement=r"""On fresh Gaussian inputs of covariance eigenvalues $\lambda$, SGD with batches of $B$ loses stability
    where $\sum_i \eta \lambda_i / (2 - \eta \lambda_i (1 + \frac1B)) = B$; for $B = 1$ that is $\sum_i \frac{\eta
    \lambda_i}{2 (1 - \eta \lambda_i)} = 1$. (Derived.)""",
    source="derived from the fourth moments of a Gaussian",
    agreement=Identity(rtol=BISECTED),
    controls=("trace bound", "gradient descent", "fourth moment of independent entries", "B forgotten"),
)
def gaussian(run: Run) -> Trial:
    """Bisected thresholds of the exact second moment, with weighted samples that have a Gaussian's fourth moments."""
    sets = run.size("covariances", quick=24, standard=200, full=2000)
    eigenvalues = np.exp(run.rng().normal(size=(sets, 2)))
    batch_sizes = (1, 2)

    def measure() -> Array:
        nodes = [sim.gaussian_nodes(lam) for lam in eigenvalues]
        features = np.stack([np.asarray(x) for x, _ in nodes])
        thresholds = [
            sim.exact_mean_square_threshold(features, weights=nodes[0].weights, batch_size=B) for B in batch_sizes
        ]
        return np.stack(thresholds)

    def predict(batch_size: int | None = None) -> Array:
        solve = optimization.gaussian_critical_learning_rate
        return np.array([[solve(lam, batch_size=batch_size or B) for lam in eigenvalues] for B in batch_sizes])

    def independent_entries() -> Array:
        """Take E x_i^4 = lambda_i^2, as if the entries had no kurtosis: sum eta lambda / (2 - eta lambda) = B."""
        lam, scale = np.tile(eigenvalues, (2, 1)), np.repeat(batch_sizes, sets)
        low, high = np.zeros(2 * sets), 2 / lam.max(axis=1)
        for _ in range(80):
            middle = (low + high) / 2
            x = middle[:, None] * lam
            over = np.sum(x / (2 - x), axis=1) > scale
            low, high = np.where(over, low, middle), np.where(over, middle, high)
        return low.reshape(2, sets)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "trace bound": lambda: np.outer(batch_sizes, 2 / eigenvalues.sum(axis=1)),
            "gradient descent": lambda: np.tile(2 / eigenvalues.max(axis=1), (2, 1)),
            "fourth moment of independent entries": independent_entries,
            "B forgotten": lambda: predict(batch_size=1),
        },
    )


@PAPER.claim(
    "gaussian-moments",
    statement=r"""One step of SGD on fresh Gaussian inputs takes $E[\delta_i^2]$ to $(1 - \eta\lambda_i)^2 E[\delta_i^2]
    + \frac{\eta^2}{B} (\lambda_i^2 E[\delta_i^2] + \lambda_i \sum_j \lambda_j E[\delta_j^2])$. (Derived.)""",
    source="derived from the fourth moments of a Gaussian",
    agreement=MonteCarlo(resolution=0.05),
    controls=("without noise", "no kurtosis", "one step less", "B forgotten"),
)
def gaussian_moments(run: Run) -> Trial:
    """Displacements after three steps on Gaussian inputs, drawn as they are."""
    runs, steps, rate = run.size("runs", quick=100_000, standard=400_000, full=10_000_000), 3, 0.25
    lam, start = np.array([1.0, 0.6, 0.3]), np.array([0.5, 1.0, -0.8])
    batch_sizes = (2, 4)

    def measure() -> Samples:
        found = [
            sim.gaussian_displacements(
                run.key(f"B {B}"), lam, start, learning_rate=rate, batch_size=B, n_steps=steps, n_replicates=runs
            )
            for B in batch_sizes
        ]
        return Samples(np.stack(found, axis=1) ** 2)

    def predict(steps: int = steps, batch_size: int | None = None) -> Array:
        found = []
        for B in batch_sizes:
            D = optimization.gaussian_second_moment_operator(lam, learning_rate=rate, batch_size=batch_size or B)
            found.append(np.linalg.matrix_power(D, steps) @ start**2)
        return np.array(found)

    def no_kurtosis() -> Array:
        found = []
        for B in batch_sizes:
            D = np.diag((1 - rate * lam) ** 2) + rate**2 / B * np.outer(lam, lam)
            found.append(np.linalg.matrix_power(D, steps) @ start**2)
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "without noise": lambda: np.tile((1 - rate * lam) ** (2 * steps) * start**2, (2, 1)),
            "no kurtosis": no_kurtosis,
            "one step less": lambda: predict(steps=steps - 1),
            "B forgotten": lambda: predict(batch_size=1),
        },
    )
