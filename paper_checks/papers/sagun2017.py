"""Sagun, Evci, Guney, Dauphin and Bottou 2017: where a Hessian's bulk and outliers come from."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from paper_checks.agreement import Bound, FiniteSize, Identity
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, Sizes, components
from simulations import kernel_regression as sim
from theory import kernel_regression as theory

PAPER = Paper(
    key="sagun2017",
    title="Empirical analysis of the Hessian of over-parametrized neural networks",
    authors="Levent Sagun, Utku Evci, V. Ugur Guney, Yann Dauphin, Léon Bottou",
    year=2017,
    arxiv="1706.04454",
    wing="kernel_regression",
)

LOSSES: tuple["Loss", ...] = ("mse", "cross_entropy")
NETWORK: dict[str, Any] = {"n_inputs": 4, "n_hidden": 7, "n_outputs": 3}
PARAMETERS = 7 * 4 + 7 + 3 * 7 + 3


Loss = Literal["mse", "cross_entropy"]


def _networks(run: Run, n_samples: int, loss: Loss, number: int, distinct: int | None = None) -> list[sim.HessianParts]:
    return [
        sim.differentiate_network(
            run.key(f"{loss} {n_samples} {k}"), n_samples=n_samples, loss=loss, distinct=distinct, **NETWORK
        )
        for k in range(number)
    ]


@PAPER.claim(
    "gauss-newton-split",
    statement=r"""The Hessian of a mean loss is $\frac1N \sum_i J_i^\top \ell''_i J_i + \frac1N \sum_{i, c}
    \frac{\partial \ell_i}{\partial f_c} \nabla^2 f_{ic}$; the first part is the Hessian of the loss of the
    tangent network.""",
    source="decomposition of the Hessian",
    agreement=Identity(rtol=1e-12),  # sums of some hundred terms of either sign
    controls=("Gauss-Newton alone", "residual of the wrong sign", "curvature of the loss left out", "sum for mean"),
)
def gauss_newton_split(run: Run) -> Trial:
    """Differentiate tanh networks twice, all at once, and that of their tangents, by reverse and forward passes."""
    number = run.size("networks of either loss", quick=3, standard=20, full=200)

    @lru_cache
    def parts() -> list[sim.HessianParts]:
        return [part for loss in LOSSES for part in _networks(run, 6, loss, number)]

    def predict(residual: float = 1.0, flat: bool = False, share: float = 1.0) -> Array:
        found = []
        for part in parts():
            curvature = np.broadcast_to(np.eye(3), part.loss_hessian.shape) if flat else part.loss_hessian
            split = theory.hessian_split(part.jacobian, curvature, part.loss_gradient, part.output_hessian)
            found.append(share * np.array([split.gauss_newton + residual * split.residual, split.gauss_newton]))
        return np.array(found)

    return Trial(
        predict=predict,
        measure=lambda: np.array([[part.hessian, part.linearised] for part in parts()]),
        controls={
            "Gauss-Newton alone": lambda: predict(residual=0.0),
            "residual of the wrong sign": lambda: predict(residual=-1.0),
            "curvature of the loss left out": lambda: predict(flat=True),
            "sum for mean": lambda: predict(share=6.0),
        },
        scale="largest",
    )


def _rank(matrix: Array) -> int:
    """Count singular values above rounding."""
    values = np.linalg.svd(matrix, compute_uv=False)
    return int(np.sum(values > 1e-11 * values[0]))


SIZES = (1, 6, 25, 40)
SHIFTS = 8  # weights and biases of the last layer, that raise all scores of a class alike


@PAPER.claim(
    "gauss-newton-rank",
    statement=r"""On generic data and weights the Gauss-Newton part has rank $\min(P, N C)$ for squared loss, and
    $\min(P - h - 1, N (C - 1))$ for softmax cross-entropy behind a last layer of $h$ units with biases, $h + 1$
    parameters of which raise all scores alike. With few samples most of the spectrum is a bulk at zero.""",
    source="rank of the decomposition's first part; the end at P - h - 1 derived here",
    agreement=Identity(rtol=1e-12),
    controls=("N C for softmax", "N for N C", "no end at P", "end at P for softmax", "whole Hessian"),
)
def gauss_newton_rank(run: Run) -> Trial:
    """Count singular values of the Hessians of tangent networks, of which each sees fewer, or more, samples."""
    number = run.size("networks", quick=1, standard=5, full=50)

    def measure(part: str = "linearised") -> Array:
        return np.array(
            [
                [[float(_rank(getattr(found, part))) for found in _networks(run, n, loss, number)] for n in SIZES]
                for loss in LOSSES
            ]
        )

    def predict(
        outputs: int = 3, params: int = PARAMETERS, shifts: int = SHIFTS, losses: tuple[Loss, ...] = LOSSES
    ) -> Array:
        found = [
            [
                float(
                    theory.gauss_newton_rank_bound(n_samples=n, n_outputs=outputs, n_params=params - removed, loss=loss)
                )
                for n in SIZES
            ]
            for loss, removed in zip(losses, (0, shifts), strict=True)
        ]
        return np.repeat(np.array(found)[..., None], number, axis=2)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "N C for softmax": lambda: predict(losses=("mse", "mse")),
            "N for N C": lambda: predict(outputs=1, losses=("mse", "mse")),
            "no end at P": lambda: predict(params=10**6),
            "end at P for softmax": lambda: predict(shifts=0),
        },
        counterexamples={"whole Hessian": lambda: measure("hessian")},
    )


@PAPER.claim(
    "gauss-newton-rank-bound",
    statement=r"""The rank of the Gauss-Newton part is at most $\min(P, D C)$, or $\min(P, D (C - 1))$ behind a softmax,
    with $D \le N$ the number of different inputs, whatever their labels; and attains it.""",
    source="rank of the decomposition's first part",
    agreement=Bound(tight=1e-12),
    controls=("C - 1 for either loss", "one input fewer", "half of P"),
)
def gauss_newton_rank_bound(run: Run) -> Trial:
    """Count singular values where inputs are all different, come in pairs, and are all the same."""
    number = run.size("networks", quick=1, standard=5, full=50)
    cases = [(n, distinct) for n in (6, 40) for distinct in (n, n // 2, 1)]

    def measure() -> Array:
        found = [
            [
                [float(_rank(part.linearised)) for part in _networks(run, n, loss, number, distinct)]
                for n, distinct in cases
            ]
            for loss in LOSSES
        ]
        return np.array(found)

    def predict(outputs: int = 3, params: int = PARAMETERS, fewer: int = 0) -> Array:
        found = [
            [
                float(
                    theory.gauss_newton_rank_bound(
                        n_samples=max(distinct - fewer, 1), n_outputs=outputs, n_params=params, loss=loss
                    )
                )
                for _, distinct in cases
            ]
            for loss in LOSSES
        ]
        return np.repeat(np.array(found)[..., None], number, axis=2)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "C - 1 for either loss": lambda: predict(outputs=2),
            "one input fewer": lambda: predict(fewer=1),
            "half of P": lambda: predict(params=PARAMETERS // 2),
        },
    )


CLUSTERS = ((2, 2), (3, 2), (5, 2), (3, 3), (2, 4))  # clusters, classes


def _count_above_gap(eigenvalues: Array, most: int = 40) -> int:
    """Return how many eigenvalues stand above the widest gap, in ratio, among the largest."""
    top = eigenvalues[:most]
    return int(np.argmax(top[:-1] / top[1:])) + 1


@PAPER.claim(
    "outliers-count-clusters",
    statement=r"""At zero weights the Hessian of logistic regression on $k$ clusters has $k$ outliers, that of softmax
    regression with $C$ classes $k (C - 1)$: the number of classes is not what is counted.""",
    source="what outliers count, in a model; derived here",
    agreement=Identity(rtol=1e-12),
    controls=("number of classes", "clusters alone", "k C"),
)
def outliers_count_clusters(run: Run) -> Trial:
    """Draw clustered data, differentiate the loss twice, and count eigenvalues above the widest gap."""
    d, N, draws = run.size("d, N, draws", quick=(30, 600, 4), standard=(60, 1200, 10), full=(400, 6000, 20))

    def measure() -> Array:
        return np.array(
            [
                [
                    _count_above_gap(spectrum)
                    for spectrum in sim.cluster_hessian_spectrum(
                        run.key(f"{k} {C}"),
                        n_clusters=k,
                        snr=6.0,
                        d=d,
                        n_samples=N - N % k,
                        n_classes=C,
                        n_replicates=draws,
                    )
                ]
                for k, C in CLUSTERS
            ],
            float,
        )

    def predict() -> Array:
        found = [
            theory.cluster_hessian_outliers(n_clusters=k, snr=6.0, ratio=d / N, n_classes=C).number for k, C in CLUSTERS
        ]
        return np.repeat(np.array(found, float)[:, None], draws, axis=1)

    k, C = (np.array(part, float)[:, None] * np.ones(draws) for part in zip(*CLUSTERS, strict=True))
    return Trial(
        predict=predict,
        measure=measure,
        controls={"number of classes": lambda: C, "clusters alone": lambda: k, "k C": lambda: k * C},
    )


@PAPER.claim(
    "outliers-location",
    statement=r"""These outliers lie at $c\, (1 + \mathrm{snr}) (1 + \gamma / \mathrm{snr})$, $c$ being 1/4 for logistic
    and $1/C$ for softmax regression, $\gamma = d/N$, as data grow.""",
    source="what outliers count, in a model; derived here",
    agreement=FiniteSize(exponent=1, of="limit", resolution=0.03),
    controls=("population variance alone", "1/4 for softmax", "snr for 1 + snr", "edge of the bulk"),
)
def outliers_location(run: Run) -> Trial:
    """Average the outliers of each draw, which their repulsion spreads evenly, at sizes that double."""
    sizes = run.size("d", quick=(8, 16, 32, 64), standard=(16, 32, 64, 128), full=(64, 128, 256, 512))
    draws = run.size("draws", quick=600, standard=1200, full=4000)
    k, snr, ratio, classes = 2, 4.0, 0.2, (2, 3)

    def measure() -> Sizes:
        found = []
        for d in sizes:
            means = []
            for C in classes:
                spectra = sim.cluster_hessian_spectrum(
                    run.key(f"{d} {C}"),
                    n_clusters=k,
                    snr=snr,
                    d=d,
                    n_samples=5 * d,
                    n_classes=C,
                    n_replicates=draws,
                )
                means.append(spectra[:, : k * (C - 1)].mean(axis=1))
            found.append(np.stack(means, axis=-1))
        return Sizes(np.array(sizes), np.array(found))

    def outliers() -> list[theory.ClusterOutliers]:
        return [theory.cluster_hessian_outliers(n_clusters=k, snr=snr, ratio=ratio, n_classes=C) for C in classes]

    curvature = np.array([1 / 4, 1 / 3])
    return Trial(
        predict=lambda: np.array([found.location for found in outliers()]),
        measure=measure,
        controls={
            "population variance alone": lambda: curvature * (1 + snr),
            "1/4 for softmax": lambda: np.full(2, outliers()[0].location),
            "snr for 1 + snr": lambda: curvature * snr * (1 + ratio / snr),
            "edge of the bulk": lambda: components([found.edge for found in outliers()]),
        },
    )


@PAPER.claim(
    "weak-clusters",
    statement=r"""Clusters nearer to each other than $\mathrm{snr} = \sqrt\gamma$ do not show: the largest eigenvalue
    tends to the edge of the bulk, $c\, (1 + \sqrt\gamma)^2$, which is also where no clusters leave it.""",
    source="what outliers count, in a model; derived here",
    agreement=FiniteSize(exponent=2 / 3, second=1, of="limit", resolution=0.1),
    controls=("formula of the outlier", "(1 + gamma)^2", "1/4 for softmax"),
)
def weak_clusters(run: Run) -> Trial:
    """Take the largest eigenvalue on data with weak clusters, and with none, at sizes that double."""
    sizes = run.size("d", quick=(8, 16, 32, 64), standard=(16, 32, 64, 128), full=(64, 128, 256, 512))
    draws = run.size("draws", quick=600, standard=1200, full=4000)
    k, ratio = 2, 0.2
    cases = [(snr, C) for snr in (0.0, 0.1) for C in (2, 3)]

    def measure() -> Sizes:
        found = []
        for d in sizes:
            tops = [
                sim.cluster_hessian_spectrum(
                    run.key(f"{d} {snr} {C}"),
                    n_clusters=k,
                    snr=snr,
                    d=d,
                    n_samples=5 * d,
                    n_classes=C,
                    n_replicates=draws,
                )[:, 0]
                for snr, C in cases
            ]
            found.append(np.stack(tops, axis=-1))
        return Sizes(np.array(sizes), np.array(found))

    def predict() -> Array:
        """Return the edge where there are no clusters, and the location where they are weak."""
        found = [theory.cluster_hessian_outliers(n_clusters=k, snr=snr, ratio=ratio, n_classes=C) for snr, C in cases]
        return components([part.location if snr else part.edge for part, (snr, _) in zip(found, cases, strict=True)])

    curvature = np.tile([1 / 4, 1 / 3], 2)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "formula of the outlier": lambda: np.where(
                [snr > 0 for snr, _ in cases], curvature * (1 + 0.1) * (1 + ratio / 0.1), predict()
            ),
            "(1 + gamma)^2": lambda: curvature * (1 + ratio) ** 2,
            "1/4 for softmax": lambda: np.full(len(cases), predict()[0]),
        },
    )


@PAPER.claim(
    "clusters-show",
    statement=r"""The $k$ outliers, or $k (C - 1)$, are there for $\mathrm{snr} > \sqrt\gamma$, and there are none
    below, though the clusters be farther apart than $\mathrm{snr} = \gamma$.""",
    source="what outliers count, in a model; derived here",
    agreement=Identity(rtol=1e-12),
    controls=("always", "from gamma on", "number of classes"),
)
def clusters_show(run: Run) -> Trial:
    """Count eigenvalues well above all that data without clusters have, with clusters on either side."""
    d, draws = run.size("d, draws", quick=(200, 4), standard=(300, 10), full=(600, 20))
    ratio = 0.2
    cases = [(k, snr, C) for k, C in ((3, 2), (2, 3)) for snr in (0.0, 0.3, 2.0)]

    def spectra(k: int, snr: float, C: int, which: str = "") -> Array:
        return sim.cluster_hessian_spectrum(
            run.key(f"{k} {snr} {C} {which}"),
            n_clusters=k,
            snr=snr,
            d=d,
            n_samples=6 * round(d / ratio / 6),
            n_classes=C,
            n_replicates=draws,
        )

    def measure() -> Array:
        # a tenth is far more than an edge fluctuates, and less than half the way to the outliers of snr = 2
        bulk = {C: 1.1 * spectra(k, 0.0, C, "bulk").max() for k, C in ((3, 2), (2, 3))}
        return np.array([(spectra(k, snr, C) > bulk[C]).sum(axis=1) for k, snr, C in cases], float)

    def predict(rule: Callable[[int, float, int], int] | None = None) -> Array:
        found = [
            theory.cluster_hessian_outliers(n_clusters=k, snr=snr, ratio=ratio, n_classes=C).number
            if rule is None
            else rule(k, snr, C)
            for k, snr, C in cases
        ]
        return np.repeat(np.array(found, float)[:, None], draws, axis=1)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "always": lambda: predict(lambda k, snr, C: k * (C - 1)),
            "from gamma on": lambda: predict(lambda k, snr, C: k * (C - 1) * (snr > ratio)),
            "number of classes": lambda: predict(lambda k, snr, C: C * (snr > ratio**0.5)),
        },
        scale=1.0,
    )
