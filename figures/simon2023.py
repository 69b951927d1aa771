"""Simon et al. 2023: double descent of random features, gains at the best ridge, and how much to overfit."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as krr

ALPHA, BETA = 1.2, 1.4


def _power_law(modes: int) -> tuple[np.ndarray, np.ndarray]:
    i = np.arange(1.0, modes + 1)
    signal = i**-BETA
    return i**-ALPHA, signal / signal.sum()


@figure(
    "simon2023.double_descent",
    caption=r"""Test risk of random-feature regression on eigenvalues i^-1.2 and a signal of power i^-1.4, without
    noise, at three ridges. Left: against the number of features, at a fixed number of samples (grey line). Right:
    against the number of samples, at as many features. Lines: the eigenframework. Markers: fits of independent normal
    modes and features, mean over designs with standard errors. The peak where they are equal is that of a small ridge;
    a larger one flattens it.""",
)
def double_descent(run: Run) -> Drawing:
    """Fit designs across the peak, with all of features and samples varied in turn."""
    fixed, modes, designs = run.size(
        "samples, modes, designs", quick=(32, 300, 100), standard=(64, 1000, 200), full=(256, 10_000, 100)
    )
    lam, v2 = _power_law(modes)
    ridges = np.array([1e-3, 1e-2, 1e-1])
    marked = np.unique(np.round(fixed * np.array([1 / 8, 1 / 4, 1 / 2, 3 / 4, 1, 3 / 2, 2, 4])).astype(int))
    fine = np.geomspace(marked[0], marked[-1], 200)
    image, (both,) = canvas(1, 2, share_y=True)
    numbers: dict[str, Any] = {"ridges": ridges, "marked": marked, "fine": fine}
    entries: list[tuple[Any, str]] = []
    for axes, over in zip(both, ("k", "n"), strict=True):
        reference(axes, [fixed, fixed], [1e-3, 1e3])
        shape = {"n": fine, "k": fixed} if over == "n" else {"n": fixed, "k": fine}
        lines = krr.rf_risk(
            lam, v2, n=np.asarray(shape["n"])[..., None], k=np.asarray(shape["k"])[..., None], ridge=ridges
        )
        found = []
        for size in marked:
            n, k = (int(size), fixed) if over == "n" else (fixed, int(size))
            keys = run.keys(designs, f"{over} {size}")
            found.append(np.asarray(over_replicates(sim.gaussian_ridge, keys, lam, v2, ridges, 0.0, n, k).test))
        mean = np.mean(found, axis=1)
        error = np.std(found, axis=1) / np.sqrt(designs)
        for j, ridge in enumerate(ridges):
            line = theory(axes, fine, lines.test[:, j], j)
            marks = simulation(axes, marked, mean[:, j], j, error=error[:, j])
            if over == "k":
                entries.append(((line, marks), rf"ridge {ridge:g}"))
        numbers |= {f"line_{over}": lines.test, f"mean_{over}": mean, f"error_{over}": error}
        axes.set(xscale="log", yscale="log", xlabel={"k": "random features $k$", "n": "samples $n$"}[over])
    both[0].set(ylabel="test risk", ylim=(0.5 * numbers["line_k"].min(), 2 * numbers["line_k"].max()))
    legend(both[0], entries, loc="upper right")
    return Drawing(image, numbers)


@figure(
    "simon2023.more_is_better",
    caption=r"""Least test risk over ridges on the spectrum of the double descent, with noise of variance 0.05, for
    numbers of samples and of random features from 10 to 1000: contours at equal steps of its logarithm. Every contour
    falls as one moves to the right, and so does every column upwards: at the best ridge neither more data nor more
    features ever hurt.""",
)
def more_is_better(run: Run) -> Drawing:
    """Solve for the best ridge on a grid of samples and features."""
    points, modes = run.size("grid, modes", quick=(14, 2000), standard=(24, 10_000), full=(40, 100_000))
    lam, v2 = _power_law(modes)
    sizes = np.geomspace(10, 1000, points)
    best = krr.optimal_ridge(lam, v2, n=sizes[:, None], k=sizes, noise_var=0.05)
    image, ((axes,),) = canvas(width=4.4, height=3.6)
    levels = np.geomspace(best.test.min(), best.test.max(), 12)
    shades = axes.contourf(sizes, sizes, best.test.T, levels=levels, cmap="viridis")
    axes.contour(sizes, sizes, best.test.T, levels=levels, colors="white", linewidths=0.5)
    axes.set(xscale="log", yscale="log", xlabel="samples $n$", ylabel="random features $k$")
    bar = image.colorbar(shades, ax=axes, format="%.2f")
    bar.set_label("test risk at the best ridge")
    return Drawing(image, {"sizes": sizes, "risk": best.test, "ridge": best.ridge})


@figure(
    "simon2023.optimal_fitting",
    caption=r"""How much to overfit. Left: the ratio of train to test risk at the best ridge against relative noise, for
    three pairs of exponents, and the critical noise (dotted) up to which interpolation is best. Markers: ridges
    tuned by brute force at n = 200. Right: test risk against that ratio, alpha = 1.5 and beta = 2; circles mark the
    least.""",
)
def optimal_fitting(run: Run) -> Drawing:
    """Tune ridges by brute force at several noises, and draw risks along ratios."""
    n = run.size("samples", quick=200, standard=200, full=5000)
    cases = ((1.3, 1.6), (1.5, 2.0), (2.0, 3.0))
    noises, marked = np.geomspace(0.05, 30, 200), np.geomspace(0.1, 30, 7)
    image, ((left, right),) = canvas(1, 2)
    numbers: dict[str, Any] = {"noises": noises, "marked": marked}
    entries: list[tuple[Any, str]] = []
    for j, (alpha, beta) in enumerate(cases):
        ratio = krr.powerlaw_fitting_ratio(alpha=alpha, beta=beta, noise_rel=noises)
        found = np.array([sim.tuned_power_law(alpha, beta, noise, n).fitting_ratio for noise in marked])
        critical = float(krr.powerlaw_critical_noise(alpha=alpha, beta=beta))
        reference(left, [critical, critical], [0, 1], linestyle=":")
        line = theory(left, noises, ratio, j)
        entries.append(((line, simulation(left, marked, found, j)), rf"$\alpha={alpha},\ \beta={beta}$"))
        numbers |= {f"line_{j}": ratio, f"marks_{j}": found, f"critical_{j}": critical}
    left.set(
        xscale="log", xlabel=r"relative noise $\nu$", ylabel="train / test risk at the best ridge", ylim=(-0.02, 1)
    )
    legend(left, entries, loc="upper left")
    ratios = np.linspace(0, 0.9, 200)
    for j, noise in enumerate((0.3, 1.0, 3.0)):
        risk = krr.powerlaw_relative_risk(ratios, alpha=1.5, beta=2.0, noise_rel=noise)
        best = float(krr.powerlaw_fitting_ratio(alpha=1.5, beta=2.0, noise_rel=noise))
        least = float(krr.powerlaw_relative_risk(best, alpha=1.5, beta=2.0, noise_rel=noise))
        theory(right, ratios, risk, j)
        right.plot([best], [least], "o", color="0.3", markersize=5, zorder=4)
        note(right, rf"$\nu = {noise:g}$", 0.03, risk[0] * (1.08 if j else 0.88))
        numbers |= {f"risk_{j}": risk, f"best_{j}": best, f"least_{j}": least}
    right.set(yscale="log", xlabel="train / test risk", ylabel="relative test risk")
    return Drawing(image, numbers | {"ratios": ratios})


@figure(
    "simon2023.learnabilities",
    caption=r"""Which modes are learnt from n corners of a cube of nine dimensions, by a kernel with weights 1, 1/4,
    1/16 and 1/64 on products of up to three coordinates. Lines: learnability of a mode with that many factors. Markers:
    share of each that kernel regression with a ridge of 1e-3 on Gaussian modes of the same spectrum learns, mean over
    designs. Low orders go first; the learnabilities of all modes never add up to more than n.""",
)
def learnabilities(run: Run) -> Drawing:
    """Fit designs with the spectrum of the cube, and average learnt shares over modes of an order."""
    designs = run.size("designs", quick=60, standard=300, full=3000)
    weights, ridge = 4.0 ** -np.arange(4), 1e-3
    spectrum = krr.cube_spectrum(weights, np.ones(4), dim=9)
    times = np.round(spectrum.multiplicities).astype(int)
    lam = np.repeat(spectrum.eigenvalues, times)
    marked, fine = np.array([4, 8, 16, 32, 64, 96]), np.geomspace(2, 110, 150)
    order = np.repeat(np.arange(4), times)
    lines = krr.learnability(lam, n=fine, ridge=ridge)[:, np.searchsorted(order, np.arange(4))]
    found = []
    for n in marked:
        keys = run.keys(designs, f"{n}")
        fit = over_replicates(sim.gaussian_ridge, keys, lam, np.ones_like(lam), np.array([ridge]), 0.0, int(n), None)
        shares = np.asarray(fit.learned)[:, 0]
        found.append([shares[:, order == k].mean(axis=1) for k in range(4)])
    mean, error = np.mean(found, axis=2), np.std(found, axis=2) / np.sqrt(designs)
    image, ((axes,),) = canvas()
    entries = [
        (
            (theory(axes, fine, lines[:, k], k), simulation(axes, marked, mean[:, k], k, error=error[:, k])),
            f"{k} factors",
        )
        for k in range(4)
    ]
    axes.set(xscale="log", xlabel="samples $n$", ylabel="learnability", ylim=(-0.02, 1.05))
    legend(axes, entries, loc="center left")
    return Drawing(
        image,
        {"fine": fine, "lines": lines, "marked": marked, "mean": mean, "error": error, "multiplicities": times},
    )
