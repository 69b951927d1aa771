"""Sagun et al. 2017: a Hessian's spectrum, most of it at zero, and the outliers of clustered data."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from theory import kernel_regression as kr


@figure(
    "sagun2017.split",
    caption=r"""Eigenvalues of the Hessian of a tanh network with 59 parameters and three outputs on six samples,
    softmax cross-entropy, in falling order, and of its Gauss-Newton part. That part has rank 6 (3 - 1) = 12 (dotted):
    everything to the right comes from the curvature of the network itself, and much of it is negative.""",
)
def split(run: Run) -> Drawing:
    """Differentiate one network twice."""
    parts = sim.differentiate_network(
        run.key("network"), n_samples=6, n_inputs=4, n_hidden=7, n_outputs=3, loss="cross_entropy", distinct=None
    )
    found = kr.hessian_split(parts.jacobian, parts.loss_hessian, parts.loss_gradient, parts.output_hessian)
    whole = np.linalg.eigvalsh(parts.hessian)[::-1]
    gauss_newton = np.linalg.eigvalsh(found.gauss_newton)[::-1]
    rank = kr.gauss_newton_rank_bound(n_samples=6, n_outputs=3, n_params=whole.size, loss="cross_entropy")
    index = np.arange(1, whole.size + 1)
    image, ((axes,),) = canvas()
    first = simulation(axes, index, whole, 0)
    second = simulation(axes, index, np.where(np.abs(gauss_newton) > 1e-13, gauss_newton, 0), 2)
    axes.set_yscale("symlog", linthresh=1e-3)
    reference(axes, [rank + 0.5] * 2, [whole.min(), whole.max()], linestyle=":")
    axes.set(xlabel="index", ylabel="eigenvalue")
    legend(axes, [(first, "Hessian"), (second, "Gauss-Newton part")], loc="upper right")
    return Drawing(image, {"whole": whole, "gauss_newton": gauss_newton, "rank": np.array(rank)})


@figure(
    "sagun2017.clusters",
    caption=r"""Largest eigenvalues of the Hessian at zero weights on three clusters, in units of the loss's curvature
    c: logistic regression (left) and softmax regression with three classes (right), at signal to noise 6. Markers: one
    data set of 40 dimensions and 600 samples each. Solid: where outliers should lie; dashed: the edge of the bulk.
    There are three outliers on the left, and not three but six on the right.""",
)
def clusters(run: Run) -> Drawing:
    """Draw one data set for either loss."""
    d, N = run.size("d, N", quick=(40, 600), standard=(100, 1500), full=(400, 6000))
    image, grid = canvas(1, 2, share_y=True)
    shown = np.arange(1, 16)
    numbers: dict[str, Any] = {"shown": shown}
    for axes, C in zip(grid[0], (2, 3), strict=True):
        curvature = 1 / 4 if C == 2 else 1 / C
        spectrum = sim.cluster_hessian_spectrum(
            run.key(f"{C}"), n_clusters=3, snr=6.0, d=d, n_samples=N, n_classes=C, n_replicates=1
        )[0, : shown.size]
        found = kr.cluster_hessian_outliers(n_clusters=3, snr=6.0, ratio=d / N, n_classes=C)
        line = theory(axes, [1, found.number], [found.location / curvature] * 2)
        edge = theory(axes, [found.number + 1, shown[-1]], [found.edge / curvature] * 2, 1)
        drawn = simulation(axes, shown, spectrum / curvature)
        note(axes, "logistic" if C == 2 else "softmax, C = 3", 0.55, 0.45, transform=axes.transAxes)
        axes.set_xlabel("index")
        legend(axes, [(drawn, "eigenvalues"), (line, "outliers"), (edge, "edge")], loc="upper right")
        numbers |= {f"spectrum_{C}": spectrum, f"outliers_{C}": np.array([found.number, found.location, found.edge])}
    grid[0, 0].set_ylabel("eigenvalue / $c$")
    return Drawing(image, numbers)
