"""Papyan, Han and Donoho 2020: the simplex frame, and the metrics of collapse."""

from collections.abc import Callable
from dataclasses import astuple, replace

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


def _labelled(run: Run) -> tuple[Array, NDArray[np.int64], Array, Array]:
    """Draw features (d, N) of classes of unequal size, their labels, a head (K, d) and its bias.

    The head mostly agrees with the nearest class mean, but for the bias, which sends many samples to the first class:
    counts of disagreements with and without it are not the same by chance.
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
    means = rng.standard_normal((d, k))
    features = means[:, labels] + 0.8 * rng.standard_normal((d, labels.size)) + 0.5
    head = means.T + 0.3 * rng.standard_normal((k, d))
    return features, labels, head, rng.standard_normal(k) + 8.0 * np.eye(k)[0]


@PAPER.claim(
    "metrics",
    statement=r"""With $\Sigma_W$, $\Sigma_B$ and the means centred at the mean of the class means, NC1 is
    $\mathrm{Tr}(\Sigma_W \Sigma_B^+) / K$ (or a ratio of traces), NC2 and NC3 are distances between normalised
    matrices, and NC4 is the share of samples where head and nearest class mean disagree.""",
    source="definitions of the four measures",
    agreement=Identity(rtol=1e-11),
    controls=("centred at the mean of samples", "K left out of NC1", "Gram matrices not normalised", "no bias"),
)
def metrics(run: Run) -> Trial:
    """Compute them for random features of unequal classes, once by covariances, once in the singular basis of means.

    Sigma_B has a condition number of at most 1e3 or so on its range: rounding times that, times 1e2 operations.
    """
    features, labels, head, bias = _labelled(run)

    def measure() -> Array:
        found = []
        for centred in (True, False):
            values = sim.collapse_metrics(
                jnp.asarray(features), jnp.asarray(labels), jnp.asarray(head), jnp.asarray(bias), centred=centred
            )
            found.append(np.array([float(value) for value in values]))
        return np.stack(found)

    def predict(bias: Array | None = bias) -> Array:
        rows = [nc.nc_metrics(features, labels, head, bias, centred=centred) for centred in (True, False)]
        return np.array([astuple(row) for row in rows])

    def replaced(**changes: float) -> Array:
        rows = [nc.nc_metrics(features, labels, head, bias, centred=centred) for centred in (True, False)]
        return np.array([astuple(replace(row, **{n: f * getattr(row, n) for n, f in changes.items()})) for row in rows])

    def sample_mean() -> Array:
        stats = nc.class_statistics(features, labels)
        spokes = stats.means - features.mean(axis=1, keepdims=True)
        correct = predict()
        correct[:, 1] = np.trace(stats.sigma_w) / (np.sum(spokes**2) / spokes.shape[1])
        return correct

    def unnormalised() -> Array:
        means = nc.class_statistics(features, labels).means
        k = means.shape[1]
        correct = predict()
        correct[:, 3] = np.linalg.norm(means.T @ means - np.eye(k))
        return correct

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "centred at the mean of samples": sample_mean,
            "K left out of NC1": lambda: replaced(nc1=float(head.shape[0])),
            "Gram matrices not normalised": unnormalised,
            "no bias": lambda: predict(None),
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
