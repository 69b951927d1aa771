"""Tails of coin tosses: exact, bounded, and asymptotic."""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import betainc

from paper_checks.agreement import Bound, ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Steps
from paper_checks.papers.classic.paper import PAPER
from simulations import generalization as sim
from theory import generalization as gen


class Coins(NamedTuple):
    """Questions about coins: k or more heads among n of bias p, k > n p."""

    n: np.ndarray
    p: Array
    k: np.ndarray

    @property
    def t(self) -> Array:
        """How far the share of heads lies above the bias."""
        return self.k / self.n - self.p

    @property
    def variance(self) -> Array:
        """Of one coin."""
        return self.p * (1 - self.p)


def _closeness(point: jax.Array, n: jax.Array, by_variance: jax.Array) -> jax.Array:
    """Minus the exponent of a tail over n t^2, or over n t^2 / variance: what the quadratic bounds say is bounded."""
    p, fraction = jax.nn.sigmoid(point)
    k = jnp.clip(jnp.ceil(n * (p + (1 - p) * fraction)), 1.0, n)
    t = k / n - p
    tail = betainc(k, n - k + 1, p)
    scale = n * t**2 / jnp.where(by_variance, p * (1 - p), 1.0)
    return jnp.where((tail > 1e-280) & (t > 0) & (p > 1e-9), jnp.log(tail) / scale, -jnp.inf)


@lru_cache(maxsize=4)
def _coins(run: Run) -> Coins:
    """Random coins and thresholds, extreme ones, and those on which a search finds tails to be heaviest for their t."""
    draws = run.size("random instances", quick=1500, standard=10_000, full=200_000)
    largest = run.size("largest n", quick=120, standard=300, full=1000)
    steps = run.size("steps of the search", quick=200, standard=1000, full=5000)
    rng = run.rng()
    n = np.concatenate([rng.integers(1, largest, draws), np.repeat([1, 2, 3, 10, largest], 60)])
    p = 1 / (1 + np.exp(-rng.uniform(-9, 9, n.size)))
    p[-300::6] = 0.5
    k = np.minimum(np.floor(n * p).astype(int) + 1 + rng.integers(0, 1 + n), n)
    k[1::3] = np.minimum(np.floor(n[1::3] * p[1::3]).astype(int) + 1, n[1::3])
    k[-60:] = n[-60:]
    for climbers, (size, by_variance) in enumerate([(2, False), (largest, False), (7, True), (largest, True)]):
        start = jax.random.normal(run.key(f"search {climbers}"), (16, 2)) * 2
        shared = (jnp.asarray(float(size)), jnp.asarray(by_variance))
        found = sim.hardest_instances(run.key(f"climb {climbers}"), _closeness, start, *shared, n_steps=steps).instances
        bias, fraction = np.asarray(jax.nn.sigmoid(found)).T
        heads = np.clip(np.ceil(size * (bias + (1 - bias) * fraction)), 1, size).astype(int)
        n, p, k = np.append(n, np.full(16, size)), np.append(p, bias), np.append(k, heads)
    valid = (k / n > p) & (p > 1e-9)
    return Coins(n[valid], p[valid], k[valid])


@PAPER.claim(
    "tail-order",
    statement=r"""For $n$ coins of bias $p$, $P(\hat p \ge p + t) \le e^{-n\,\mathrm{kl}(p + t \| p)} \le$ Bennett's
    $\le$ Bernstein's bound, with range $1 - p$ or $1$, and $\le e^{-2 n t^2}$; the first is attained at $t = 1 -
    p$.""",
    source="Hoeffding 1963, theorem 1; Bennett 1962; Bernstein",
    agreement=Bound(tight=1e-10),
    controls=(
        "Hoeffding with 4 n t^2",
        "Bernstein with half the variance",
        "Bernstein without the range",
        "Bennett with half the range",
        "Chernoff with arguments exchanged",
        "Chernoff with one coin more",
    ),
)
def tail_order(run: Run) -> Trial:
    """Sum the exact law of the number of heads, and compare its tail with every bound, in relative size.

    Tails below 1e-280 are left out.
    """
    coins = _coins(run)
    tails = sim.coin_sum_tail(coins.n, coins.p, coins.k)
    seen = tails > 1e-280
    coins = Coins(*(part[seen] for part in coins))
    n, p, t, v = coins.n, coins.p, coins.t, coins.variance

    def predict(
        hoeffding: float = 2, variance: float = 1, cubic: float = 1, reach: float = 1, chernoff: Array | None = None
    ) -> Array:
        half = np.maximum(reach * (1 - p), 1e-12)
        return np.array(
            [
                gen.chernoff_tail(n, p, t) if chernoff is None else chernoff,
                gen.bennett_tail(n, t, variance=v, bound=half),
                gen.bennett_tail(n, t, variance=v),
                gen.bernstein_tail(n, t, variance=variance * v, bound=cubic * (1 - p)),
                gen.bernstein_tail(n, t, variance=v),
                gen.hoeffding_tail(n, t * np.sqrt(hoeffding / 2)),
            ]
        )

    exchanged = np.exp(-n * np.where(p + t < 1, gen.bernoulli_kl(p, np.minimum(p + t, 1 - 1e-16)), 800.0))
    return Trial(
        predict=predict,
        measure=lambda: np.tile(tails[seen], (6, 1)),
        controls={
            "Hoeffding with 4 n t^2": lambda: predict(hoeffding=4),
            "Bernstein with half the variance": lambda: predict(variance=0.5),
            "Bernstein without the range": lambda: predict(cubic=1e-9),
            "Bennett with half the range": lambda: predict(reach=0.5),
            "Chernoff with arguments exchanged": lambda: predict(chernoff=np.maximum(exchanged, 1e-300)),
            "Chernoff with one coin more": lambda: predict(chernoff=gen.chernoff_tail(n + 1, p, t)),
        },
    )


@PAPER.claim(
    "bounds-in-order",
    statement=r"""Among the bounds themselves: Chernoff's is the lowest, Bennett's is below Bernstein's of the same
    range, and a smaller range lowers both.""",
    source="classical comparison",
    agreement=Bound(tight=1e-3),
    controls=("Bernstein with half the variance", "Hoeffding with 4 n t^2", "Bennett with half the range"),
)
def bounds_in_order(run: Run) -> Trial:
    """Minimise the moment generating function of the coins by golden section, and compare with the wider bounds.

    The lowest bound from that function is what the others relax, so it is measured rather than quoted. For a Poisson
    law, of b = 1 and as p tends to 0, Bennett's is attained.
    """
    coins = _coins(run)
    keep = coins.t < 1 - coins.p - 1e-9
    coins = Coins(*(part[keep] for part in coins))
    n, p, t, v = coins.n, coins.p, coins.t, coins.variance

    def measure() -> Array:
        exponent = sim.smallest_cumulant(p, t)
        return np.tile(exponent, (5, 1))

    def predict(hoeffding: float = 2, variance: float = 1, reach: float = 1) -> Array:
        one = np.ones_like(n)
        with np.errstate(divide="ignore"):
            return np.log(
                [
                    gen.bennett_tail(one, t, variance=v, bound=reach * (1 - p)),
                    gen.bennett_tail(one, t, variance=v),
                    gen.bernstein_tail(one, t, variance=variance * v, bound=1 - p),
                    gen.bernstein_tail(one, t, variance=v),
                    gen.hoeffding_tail(one, t * np.sqrt(hoeffding / 2)),
                ]
            )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "Bernstein with half the variance": lambda: predict(variance=0.5),
            "Hoeffding with 4 n t^2": lambda: predict(hoeffding=4),
            "Bennett with half the range": lambda: predict(reach=0.5),
        },
        scale=lambda: np.tile(-sim.smallest_cumulant(p, t), (5, 1)),
    )


@PAPER.claim(
    "cramer",
    statement=r"""$\min_\lambda \ln E e^{\lambda (X - q)} = -\mathrm{kl}(q \| p)$ for a coin $X$ of bias $p < q$.""",
    source="Chernoff 1952; Hoeffding 1963",
    agreement=Identity(rtol=1e-11),  # the minimum loses roundings in proportion to 1 / t, 1 / 0.01 at most
    controls=("divergence of p from q", "2 t^2", "t^2 / (2 p (1 - p))", "one-sided term only"),
)
def cramer(run: Run) -> Trial:
    """Minimise the cumulant generating function of the coins, for deviations of 0.01 and more."""
    coins = _coins(run)
    keep = (coins.t < 1 - coins.p - 1e-9) & (coins.t > 0.01)
    p, t = coins.p[keep], coins.t[keep]
    q = p + t
    return Trial(
        predict=lambda: gen.bernoulli_kl(q, p),
        measure=lambda: -sim.smallest_cumulant(p, t),
        controls={
            "divergence of p from q": lambda: gen.bernoulli_kl(p, q),
            "2 t^2": lambda: 2 * t**2,
            "t^2 / (2 p (1 - p))": lambda: t**2 / (2 * p * (1 - p)),
            "one-sided term only": lambda: q * np.log(q / p),
        },
    )


@PAPER.claim(
    "exact-tail",
    statement=r"""$P(\hat p \ge p + t)$ is the regularised incomplete beta function at $\lceil n (p + t) \rceil$, with a
    threshold that is whole up to rounding taken as whole.""",
    source="definition",
    agreement=Identity(rtol=1e-11),  # some n roundings in the law of the sum
    controls=("strictly above", "one head fewer", "threshold rounded up blindly", "lower tail"),
)
def exact_tail(run: Run) -> Trial:
    """Add coins one at a time, and toss few coins in all 2^n ways; thresholds are whole numbers of heads.

    Tails are those from 1e-280 to 1 - 1e-9, where a head more or less shows.
    """
    coins = _coins(run)
    largest = run.size("coins tossed in all ways", quick=10, standard=14, full=22)
    tails = sim.coin_sum_tail(coins.n, coins.p, coins.k)
    seen = (tails > 1e-280) & (tails < 1 - 1e-9) & (coins.k < coins.n)
    coins = Coins(*(part[seen] for part in coins))
    tossed = [(n, p, k) for n in range(2, largest) for p in (0.1, 0.3, 0.7) for k in range(1, n + 1) if k > n * p]

    def measure() -> Array:
        return np.append(tails[seen], [sim.enumerate_coin_tail(n, p, k) for n, p, k in tossed])

    n, p, k = (np.append(part, few) for part, few in zip(coins, np.array(tossed).T, strict=True))
    n, k = n.astype(int), k.astype(int)

    def predict(shift: Array | float = 0.0) -> Array:
        return gen.binomial_tail(n, p, np.maximum((k + shift) / n - p, 0.0))

    def blind() -> Array:
        return gen.binomial_tail(n, p, (np.ceil(n * (p + (k / n - p))) + 0.0) / n - p)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "strictly above": lambda: predict(1.0),
            "one head fewer": lambda: predict(-1.0),
            "threshold rounded up blindly": blind,
            "lower tail": lambda: 1 - predict(),
        },
    )


@PAPER.claim(
    "bahadur-rao",
    statement=r"""For $n q$ whole, $q = p + t$, $P(\hat p \ge q) = \frac{e^{-n\,\mathrm{kl}(q \| p)}}{(1 - e^{-\lambda})
    \sqrt{2 \pi n q (1 - q)}} (1 + O(1/n))$, $\lambda = \ln\frac{q (1 - p)}{p (1 - q)}$.""",
    source="Bahadur and Ranga Rao 1960, lattice case",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-12),
    controls=("lambda for 1 - exp(-lambda)", "variance of p", "without the prefactor", "square root of n missing"),
)
def bahadur_rao(run: Run) -> Trial:
    """Compare logarithms of exact and asymptotic tails at doubling n: their difference must vanish as 1/n."""
    # with an eighth size tails would be smaller than the least number above zero
    doublings = run.size("doublings", quick=6, standard=7, full=7)
    sizes = 100 * 2 ** np.arange(doublings)
    biases, fractions = np.array([0.3, 0.1, 0.6]), np.array([0.5, 0.25, 0.7])
    n, p = np.repeat(sizes, 3), np.tile(biases, doublings)
    k = np.rint(n * np.tile(fractions, doublings)).astype(int)
    t = np.tile(fractions - biases, doublings)
    tilt = np.log(fractions * (1 - biases) / (biases * (1 - fractions)))

    def rated(values: Array) -> Steps:
        return Steps(1 / sizes, values.reshape(doublings, 3))

    def predict(factor: Array | float = 1.0) -> Steps:
        return rated(np.log(gen.bahadur_rao_tail(n, p, t)) + np.log(np.broadcast_to(factor, (doublings, 3))).ravel())

    root = np.sqrt(2 * np.pi * sizes[:, None] * fractions * (1 - fractions))
    return Trial(
        predict=predict,
        measure=lambda: rated(np.log(sim.coin_sum_tail(n, p, k))),
        controls={
            "lambda for 1 - exp(-lambda)": lambda: predict(-np.expm1(-tilt) / tilt),
            "variance of p": lambda: predict(np.sqrt(fractions * (1 - fractions) / (biases * (1 - biases)))),
            "without the prefactor": lambda: predict(root * -np.expm1(-tilt)),
            "square root of n missing": lambda: predict(np.sqrt(sizes[:, None])),
        },
        scale=1.0,
    )
