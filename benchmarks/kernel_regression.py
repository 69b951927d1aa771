"""Learning curves on large grids, and transforms of spectra, against what one would write oneself."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.optimize import brentq

from benchmarks.timing import CAVEAT, duration, interleave, once
from theory import kernel_regression as kr

Array = NDArray[np.float64]

RIDGE, NOISE = 1e-3, 0.1


def spectrum(modes: int) -> tuple[Array, Array]:
    """Eigenvalues and squared coefficients of a power law."""
    i = np.arange(1.0, modes + 1)
    return i**-1.3, i**-1.6


def grid(points: int) -> tuple[Array, Array]:
    """Return samples down and features across, from 10 to about 3000."""
    sizes = np.geomspace(10, 3000, points)
    return sizes[:, None], 1.1 * sizes


def point_by_point(lam: Array, v2: Array, n: Array, k: Array) -> Array:
    """Test risks by Brent's method in log gamma for one point after the other, with sums over all modes."""

    def risk(n: float, k: float) -> float:
        def degrees(t: float) -> float:
            return float(np.sum(lam / (lam + np.exp(t))))

        def excess(t: float) -> float:
            z = degrees(t)
            return n - z - RIDGE / (np.exp(t) * (1 - z / k))

        # left of this point more features, or samples, are used up than there are
        least = brentq(lambda t: min(n, k) - degrees(t), -80.0, 40.0, xtol=1e-12)
        gamma = np.exp(brentq(excess, least + 1e-9, 60.0, xtol=1e-13))
        kept = lam / (lam + gamma)
        z, q = np.sum(kept), np.sum(kept**2)
        kappa, x = gamma * (1 - z / k), (q * (k - 2 * z) + z**2) / (n * (k - q))
        missed = gamma / (lam + gamma) - kappa * lam / (lam + gamma) ** 2 * k / (k - q)
        return float((np.sum(missed * v2) + NOISE) / (1 - x))

    return np.array([[risk(float(a), float(b)) for b in k.ravel()] for a in n.ravel()])


def transform_points(number: int) -> Array:
    """Return points of the upper half plane across the spectrum of a power law, close to the axis."""
    return np.linspace(0.05, 3.0, number) + 1e-3j


def by_iteration(z: Array, lam: Array, ratio: float) -> Array:
    """Solve Silverstein's equation by its contraction, averaged with the last value, for all points at once."""
    v = -1 / z
    for _ in range(100_000):
        new = 0.5 * (v + 1 / (ratio * np.mean(lam / (1 + lam * v[:, None]), axis=1) - z))
        change = np.max(np.abs(new - v) / np.abs(new))
        v = new
        if change < 1e-12:
            break
    return v


def _both(modes: int, points: int) -> tuple[Callable[[], Array], Callable[[], Array]]:
    lam, v2 = spectrum(modes)
    n, k = grid(points)
    ours = partial(kr.rf_risk, lam, v2, n=n, k=k, ridge=RIDGE, noise_var=NOISE)
    return lambda: ours().test, partial(point_by_point, lam, v2, n, k)


def _curves(console: Console) -> None:
    """Print times of the test risk on grids of (n, k), and the ratio to a root finder where one would wait for it."""
    table = Table(title="Test risk of random-feature regression on grids of (n, k)", caption=CAVEAT)
    for column in ("modes", "grid", "closedform", "point by point", "times as long", "largest difference"):
        table.add_column(column, justify="right")
    for modes, points in ((10_000, 6), (100_000, 6)):
        ours, theirs = _both(modes, points)
        difference = np.max(np.abs(theirs() / ours() - 1))
        timed = interleave({"ours": ours, "theirs": theirs}, rounds=3, sample=0)
        table.add_row(
            f"{modes:,}",
            f"{points} x {points}",
            duration(timed["ours"].median),
            duration(timed["theirs"].median),
            str(timed["theirs"].over(timed["ours"])),
            f"{difference:.1e}",
        )
    for modes, points in ((100_000, 100), (1_000_000, 100)):
        ours, _ = _both(modes, points)
        table.add_row(f"{modes:,}", f"{points} x {points}", duration(once(ours)), "", "", "")
    console.print(table)


def _transforms(console: Console) -> None:
    """Print times of the companion transform close to the axis, and the ratio to an iteration."""
    table = Table(title="Companion transform of i^-1.3 at p/n = 1/2, a thousandth above the axis", caption=CAVEAT)
    for column in ("eigenvalues", "points", "closedform", "contraction", "times as long", "largest difference"):
        table.add_column(column, justify="right")
    for modes, points in ((30, 300), (300, 300)):
        lam, z = spectrum(modes)[0], transform_points(points)
        ours = partial(kr.companion_stieltjes, z, lam, np.full(modes, 1 / modes), ratio=0.5)
        theirs = partial(by_iteration, z, lam, 0.5)
        difference = np.max(np.abs(theirs() / ours() - 1))
        timed = interleave({"ours": ours, "theirs": theirs}, rounds=3, sample=0)
        table.add_row(
            f"{modes:,}",
            f"{points:,}",
            duration(timed["ours"].median),
            duration(timed["theirs"].median),
            str(timed["theirs"].over(timed["ours"])),
            f"{difference:.1e}",
        )
    lam, z = spectrum(3000)[0], transform_points(3000)
    seconds = once(partial(kr.companion_stieltjes, z, lam, np.full(3000, 1 / 3000), ratio=0.5))
    table.add_row("3,000", "3,000", duration(seconds), "", "", "")
    console.print(table)


def main() -> None:
    """Print both tables."""
    console = Console(width=None if Console().is_terminal else 120)
    _curves(console)
    _transforms(console)
