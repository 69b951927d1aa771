"""Papyan, Han and Donoho 2020: the simplex frame, and the metrics of collapse."""

from collections.abc import Callable
from dataclasses import astuple, fields
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Bound, Identity, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, components
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

PAPER = Paper(
    key="papyan2020",
    title="Prevalence of neural collapse during the terminal phase of deep learning training",
    authors="Vardan Papyan, X. Y. Han, David L. Donoho",
    year=2020,
    arxiv="2008.08186",
    wing="neural_collapse",
)

REPELLED = 1e-9  # gradients below 1e-14 over curvatures of 1e-2 and more, times 1e3
SHARPNESS = 4.0


def _shapes(run: Run) -> list[tuple[int, int]]:
    """Numbers of vectors and dimensions: with room to spare, and with one dimension less than vectors."""
    return run.size("vectors, dimension", quick=[(5, 6), (4, 3)], standard=[(8, 10), (6, 5)], full=[(32, 64), (10, 9)])


def _starts(run: Run) -> int:
    return run.size("starts", quick=8, standard=32, full=64)


def _repelled(run: Run) -> list[Array]:
    """Let unit vectors push each other away from random starts; (R, d, K) for each shape."""
    found = []
    for k, d in _shapes(run):
        starts = sim.random_directions(run.key(f"{k} in {d}"), k, d, replicates=_starts(run))
        found.append(np.asarray(sim.repel(starts, sharpness=SHARPNESS).vectors))
    return found


@PAPER.claim(
    "etf",
    statement=r"""The simplex frame $\sqrt{K/(K-1)}\, Q (I - J)$ has unit columns with pairwise cosines $-1/(K-1)$ that
    sum to zero, and $E E^T$ is $K/(K-1)$ times a projector of rank $K - 1$; repelling vectors end there.""",
    source="definition of the simplex equiangular tight frame",
    agreement=Identity(rtol=REPELLED),
    controls=("orthonormal vectors", "evenly around a circle", "factor K/(K-1) left out", "factor (K-1)/K for K/(K-1)"),
)
def etf(run: Run) -> Trial:
    """Minimise a smooth maximum of the pairwise cosines, and compare what no rotation changes.

    By convexity of the exponential the energy is least where all cosines are equal and as low as their mean can be.
    """
    shapes = _shapes(run)

    def read(vectors: Array) -> list[Array]:
        """Cosines, eigenvalues of the frame operator and length of the sum of vectors (..., d, K)."""
        grams = np.swapaxes(vectors, -1, -2) @ vectors
        operator = vectors @ np.swapaxes(vectors, -1, -2)
        return [grams, np.linalg.eigvalsh(operator), np.linalg.norm(vectors.sum(axis=-1), axis=-1)]

    def measure() -> Array:
        return components(*(part for vectors in _repelled(run) for part in read(vectors)))

    def gather(frames: list[Array]) -> Array:
        stacked = [np.broadcast_to(frame, (_starts(run), *frame.shape)) for frame in frames]
        return components(*(part for vectors in stacked for part in read(vectors)))

    def predict(factor: Callable[[int], float] = lambda k: 1.0) -> Array:
        return gather([factor(k) * nc.simplex_etf(k, d, rng=run.rng(f"{k} in {d}")) for k, d in shapes])

    def isometry() -> Array:
        return gather([np.eye(d, k) for k, d in shapes])

    def plane(angle: float) -> Array:
        """Spread the vectors evenly over a circle, or the part of it that ``angle`` leaves between neighbours."""
        found = []
        for k, d in shapes:
            turns = angle * np.arange(k)
            found.append(np.concatenate([np.stack([np.cos(turns), np.sin(turns)]), np.zeros((d - 2, k))]))
        return gather(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "orthonormal vectors": isometry,
            "evenly around a circle": lambda: plane(2 * np.pi / shapes[0][0]),
            "factor K/(K-1) left out": lambda: predict(lambda k: np.sqrt((k - 1) / k)),
            "factor (K-1)/K for K/(K-1)": lambda: predict(lambda k: (k - 1) / k),
        },
        scale=1.0,
    )


@PAPER.claim(
    "packing-bound",
    statement=r"""Of $K$ unit vectors some two have a cosine of at least $-1/(K-1)$; repelling vectors attain it.""",
    source="maximal separation of the simplex frame",
    agreement=Bound(side="lower", tight=1e-9),
    controls=("-1/K", "-1/(K-2)", "orthogonality at best"),
)
def packing_bound(run: Run) -> Trial:
    """Take the largest cosine of random directions, and of those that have repelled each other.

    The squared length of the sum, K + sum of all cosines, is not negative: their mean is at least -1/(K-1).
    """
    shapes = _shapes(run)
    draws = run.size("draws", quick=1000, standard=10_000, full=100_000)

    def measure() -> Array:
        found = []
        for (k, d), repelled in zip(shapes, _repelled(run), strict=True):
            random = np.asarray(sim.random_directions(run.key(f"draws of {k} in {d}"), k, d, replicates=draws))
            for vectors in (random, repelled):
                grams = np.swapaxes(vectors, 1, 2) @ vectors
                found.append(np.max(grams[:, *np.triu_indices(k, 1)], axis=1))
        return components(*found)

    def predict(bound: Callable[[int], float]) -> Array:
        return np.concatenate([np.full(draws + _starts(run), bound(k)) for k, _ in shapes])

    return Trial(
        predict=lambda: predict(lambda k: float(nc.simplex_etf(k)[:, 0] @ nc.simplex_etf(k)[:, 1])),
        measure=measure,
        controls={
            "-1/K": lambda: predict(lambda k: -1 / k),
            "-1/(K-2)": lambda: predict(lambda k: -1 / (k - 2)),
            "orthogonality at best": lambda: predict(lambda k: 0.0),
        },
        scale=1.0,
    )


class _Labelled(NamedTuple):
    """Features (d, N) with labels (N,), under a head (K, d) with a bias (K,)."""

    features: Array
    labels: NDArray[np.int64]
    head: Array
    bias: Array


def _labelled(run: Run) -> list[_Labelled]:
    """Draw instances with classes of unequal size whose means differ in length, and a bias towards the shortest one.

    NC4 is a count, and a wrong one is right by chance in a few of a hundred instances, but not in all of these.
    """
    sizes, d = run.size(
        "class sizes, dimension",
        quick=((37, 14, 49, 25), 6),
        standard=((40, 25, 60, 31, 50), 12),
        full=((300,) * 10, 64),
    )
    rng = run.rng()
    k = len(sizes)
    labels = np.repeat(np.arange(k, dtype=np.int64), sizes)
    found = []
    for _ in range(run.size("instances", quick=10, standard=20, full=20)):
        means = rng.standard_normal((d, k)) * np.linspace(0.4, 2.0, k)
        features = means[:, labels] + 1.2 * rng.standard_normal((d, labels.size)) + 0.5
        head = means.T + 0.3 * rng.standard_normal((k, d))
        found.append(_Labelled(features, labels, head, rng.standard_normal(k) + 8.0 * np.eye(k)[0]))
    return found


@PAPER.claim(
    "metrics",
    statement=r"""With $\Sigma_W$, $\Sigma_B$ and the means centred at the mean of the class means, NC1 is
    $\mathrm{Tr}(\Sigma_W \Sigma_B^+) / K$ (or a ratio of traces), NC2 and NC3 are distances between normalised
    matrices, and NC4 is the share of samples where head and nearest class mean disagree.""",
    source="definitions of the four measures",
    agreement=Identity(rtol=1e-11),
    controls=(
        "centred at the mean of samples",
        "K left out of NC1",
        "Gram matrices not normalised",
        "no bias",
        "lengths of means forgotten",
    ),
)
def metrics(run: Run) -> Trial:
    """Compute them for random features of unequal classes, once by covariances, once in the singular basis of means.

    Sigma_B has a condition number of at most 1e3 or so on its range: rounding times that, times 1e2 operations.
    """
    instances = _labelled(run)

    def measure() -> Array:
        rows = [
            sim.collapse_metrics(*(jnp.asarray(part) for part in instance), centred=centred)
            for instance in instances
            for centred in (True, False)
        ]
        return np.array([[float(value) for value in row] for row in rows])

    def predict(biased: bool = True) -> Array:
        rows = [
            nc.nc_metrics(*instance[:3], instance.bias if biased else None, centred=centred)
            for instance in instances
            for centred in (True, False)
        ]
        return np.array([astuple(row) for row in rows])

    def replaced(column: str, wrong: Callable[[_Labelled, nc.ClassStatistics], float]) -> Array:
        values = predict()
        index = [field.name for field in fields(nc.NCMetrics)].index(column)
        values[:, index] = np.repeat([wrong(one, nc.class_statistics(*one[:2])) for one in instances], 2)
        return values

    def centred_at_samples(one: _Labelled, stats: nc.ClassStatistics) -> float:
        spokes = stats.means - one.features.mean(axis=1, keepdims=True)
        return float(np.trace(stats.sigma_w) / np.mean(np.sum(spokes**2, axis=0)))

    def not_divided(one: _Labelled, stats: nc.ClassStatistics) -> float:
        return float(np.trace(stats.sigma_w @ np.linalg.pinv(stats.sigma_b, rcond=1e-6)))

    def not_normalised(one: _Labelled, stats: nc.ClassStatistics) -> float:
        return float(np.linalg.norm(stats.means.T @ stats.means - np.eye(stats.means.shape[1])))

    def lengths_forgotten(one: _Labelled, stats: nc.ClassStatistics) -> float:
        offsets = one.features - stats.global_mean[:, None]
        nearest = np.argmax((stats.means - stats.global_mean[:, None]).T @ offsets, axis=0)
        return float(np.mean(np.argmax(one.head @ one.features + one.bias[:, None], axis=0) != nearest))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "centred at the mean of samples": lambda: replaced("nc1_trace", centred_at_samples),
            "K left out of NC1": lambda: replaced("nc1", not_divided),
            "Gram matrices not normalised": lambda: replaced("nc2_orthogonal", not_normalised),
            "no bias": lambda: predict(biased=False),
            "lengths of means forgotten": lambda: replaced("nc4", lengths_forgotten),
        },
        scale="largest",
    )


@PAPER.claim(
    "nearest-centre",
    statement=r"""A head that is proportional to centred class means of equal length, with its bias at the global mean,
    decides by the nearest class mean (NC4 follows from NC2 and NC3), whatever the spread within classes.""",
    source="equivalence of self-dual heads and nearest-centre decisions",
    agreement=Ordering(side="below"),
    controls=("means of unequal length", "head not aligned", "no bias"),
)
def nearest_centre(run: Run) -> Trial:
    """Count disagreements on noisy features around vectors that have repelled each other, off the origin."""
    (k, d), *_ = _shapes(run)
    n = run.size("samples of a class", quick=200, standard=1000, full=1000)
    rng = run.rng()
    noise = rng.standard_normal((d, k, n))
    noise = (noise - noise.mean(axis=2, keepdims=True)).reshape(d, k * n)
    offset, turned = rng.standard_normal((d, 1)), rng.standard_normal((k, d))
    labels = jnp.repeat(jnp.arange(k), n)

    def measure(lengths: Array | None = None, aligned: bool = True, biased: bool = True) -> Array:
        directions = _repelled(run)[0]
        directions = directions if lengths is None else directions * lengths
        found = []
        for spokes in directions:
            head = spokes.T if aligned else turned
            features = np.repeat(spokes, n, axis=1) + noise + offset
            bias = -(head @ offset)[:, 0] if biased else np.zeros(k)
            found.append(sim.collapse_metrics(jnp.asarray(features), labels, jnp.asarray(head), jnp.asarray(bias)).nc4)
        return np.array(found)

    return Trial(
        predict=lambda: np.full(_starts(run), 0.5 / (k * n)),
        measure=measure,
        counterexamples={
            "means of unequal length": lambda: measure(lengths=np.linspace(0.5, 2.0, k)),
            "head not aligned": lambda: measure(aligned=False),
            "no bias": lambda: measure(biased=False),
        },
        scale=1.0,
    )
