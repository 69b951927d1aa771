"""False alarms at the suite's own level, 1e-6, where the theory is right and the replicates are skewed.

Counting such alarms would take 1e8 experiments. Replicates are drawn instead from a distribution that is tilted towards
the alarm and every experiment carries its likelihood ratio, in the way of Shao (1997): the tilt that makes a large
value of Student's t typical is exponential in the replicate and in its square.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import optimize, stats
from scipy.special import logsumexp

from paper_checks.agreement.policy import LEVEL, MAX_SKEW_EFFECT

Array = NDArray[np.float64]

SEED = 20
EXPERIMENTS = 8_000
CHUNK = 2_000
GRID = 200_001


class Alarms(NamedTuple):
    """Rate of false alarms over the level: of the bare t-test, and with the guard against skewness; standard errors."""

    bare: float
    guarded: float
    bare_error: float
    guarded_error: float


class Tilted:
    """A density on a grid, about its mean, times exp(t (2 b x - r (x^2 + b^2))), with its logarithmic normalisation."""

    def __init__(self, x: Array, log_density: Array, ratio: float, side: int):
        self.x, self._ratio = x, ratio
        self._log_density = log_density - logsumexp(log_density)
        # the cheapest way to the alarm: the best scale b, and the tilt t that the bound takes there
        best = optimize.minimize_scalar(lambda u: -self._least(side * np.exp(u))[0], bounds=(-4, 2), method="bounded")
        self.b = side * float(np.exp(best.x))
        self.log_mass, self.t = self._least(self.b)
        weights = np.exp(self._log_density + self.exponent(x) - self.log_mass)
        self._cumulative = np.cumsum(weights) / weights.sum()

    def exponent(self, x: Array) -> Array:
        """Return the logarithm of the tilt."""
        return self.t * (2 * self.b * x - self._ratio * (x**2 + self.b**2))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """Draw from the tilted density."""
        return np.interp(rng.random(shape), self._cumulative, self.x)

    def _least(self, b: float) -> tuple[float, float]:
        inner = 2 * b * self.x - self._ratio * (self.x**2 + b**2)
        found = optimize.minimize_scalar(
            lambda u: logsumexp(self._log_density + np.exp(u) * inner), bounds=(-8, 5), method="bounded"
        )
        return float(found.fun), float(np.exp(found.x))


def alarms(skewness: float, replicates: int, experiments: int = EXPERIMENTS) -> Alarms:
    """Estimate the rates for gamma replicates."""
    rng = np.random.default_rng(SEED)
    a = 4 / skewness**2
    gamma = stats.gamma(a, loc=-a)
    x = np.linspace(gamma.ppf(1e-16), gamma.isf(1e-16), GRID)
    q, z = stats.t.isf(LEVEL / 2, replicates - 1), stats.norm.isf(LEVEL / 2)
    ratio = float(q / np.sqrt(replicates + q**2 - 1))
    rates, errors = np.zeros(2), np.zeros(2)
    for side in (-1, 1):
        tilted = Tilted(x, gamma.logpdf(x), ratio, side)
        weights = []
        for _ in range(experiments // CHUNK):
            drawn = tilted.draw(rng, (CHUNK, replicates))
            likelihood = np.exp(replicates * tilted.log_mass - tilted.exponent(drawn).sum(axis=1))
            mean = drawn.mean(axis=1)
            centred = drawn - mean[:, None]
            variance = np.mean(centred**2, axis=1)
            effect = np.abs(np.mean(centred**3, axis=1)) / variance**1.5 * z**3 / (6 * np.sqrt(replicates))
            alarm = side * mean > q * np.sqrt(variance / (replicates - 1))
            weights.append(likelihood * np.stack([alarm, alarm & (effect <= MAX_SKEW_EFFECT)]))
        all_weights = np.concatenate(weights, axis=1) / LEVEL
        rates += all_weights.mean(axis=1)
        errors += all_weights.var(axis=1) / all_weights.shape[1]
    return Alarms(*rates, *np.sqrt(errors))


def main() -> None:
    """Print how far skewness bends the level of a mean over replicates, with and without the guard."""
    console = Console(width=None if Console().is_terminal else 120)
    table = Table(title=f"False alarms of a mean over gamma replicates, in units of the level {LEVEL:g}")
    for column in ("skewness", "replicates", "tail effect", "t-test alone", "with the guard"):
        table.add_column(column, justify="right")
    for skewness in (0.25, 0.5, 1.0, 2.0):
        for replicates in (128, 256, 512, 1024, 2048):
            effect = skewness * stats.norm.isf(LEVEL / 2) ** 3 / (6 * np.sqrt(replicates))
            if not 0.2 < effect < 2:
                continue
            found = alarms(skewness, replicates)
            table.add_row(
                f"{skewness:g}",
                str(replicates),
                f"{effect:.2f}",
                f"{found.bare:.2f} ± {found.bare_error:.2f}",
                f"{found.guarded:.2f} ± {found.guarded_error:.2f}",
            )
    console.print(table)
