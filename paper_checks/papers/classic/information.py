"""Information bounds where everything is known: the mean of a Gaussian sample, and learners on finite data."""

from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, ConvergenceOrder, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Limit, Samples, Steps
from paper_checks.papers.classic.paper import PAPER
from simulations import generalization as sim
from simulations.replicates import over_replicates
from theory import generalization as gen


class Location(NamedTuple):
    """Sample size, dimension, and standard deviations of data and of added noise."""

    n: int
    d: int
    sigma: float
    noise_std: float


CASES = (Location(5, 2, 1.3, 0.0), Location(20, 4, 0.7, 0.0), Location(6, 4, 0.9, 0.4), Location(2, 1, 1.0, 0.0))


@PAPER.claim(
    "gaussian-location",
    statement=r"""The mean of $n$ Gaussian points in $\mathbb R^d$, with or without noise added, has a gap of $2
    \sigma^2 d / n$ under squared loss.""",
    source="Bu, Zou and Veeravalli 2020, example",
    agreement=MonteCarlo(resolution=0.1),
    controls=("sigma^2 d / n", "2 sigma^2 d / (n + 1)", "noise counted", "2 sigma d / n"),
)
def gaussian_location(run: Run) -> Trial:
    """Release means of random samples, and compare losses on the sample and on as many fresh points."""
    replicates = run.size("replicates", quick=40_000, standard=400_000, full=10_000_000)

    def measure() -> Samples:
        found = []
        for case in CASES:
            losses = over_replicates(
                sim.location_losses,
                run.keys(replicates, str(case)),
                case.n,
                case.d,
                jnp.asarray(case.sigma),
                jnp.asarray(case.noise_std),
            )
            found.append(losses[:, 1] - losses[:, 0])
        return Samples(np.stack(found, axis=1))

    n, d, sigma, nu = (np.array(part) for part in zip(*CASES, strict=True))
    return Trial(
        predict=lambda: gen.gaussian_location_gap(n, d, sigma=sigma),
        measure=measure,
        controls={
            "sigma^2 d / n": lambda: sigma**2 * d / n,
            "2 sigma^2 d / (n + 1)": lambda: 2 * sigma**2 * d / (n + 1),
            "noise counted": lambda: 2 * (sigma**2 + nu**2) * d / n,
            "2 sigma d / n": lambda: 2 * sigma * d / n,
        },
    )


def _cases(run: Run) -> tuple[np.ndarray, Array, Array]:
    number = run.size("cases", quick=3, standard=12, full=40)
    rng = run.rng()
    n = np.array([2, 5, 9, 14, 20, 33, 50, 64])[np.arange(number) % 8]
    return n, rng.uniform(0.3, 2, number), rng.uniform(0.05, 1, number)


@PAPER.claim(
    "location-information",
    statement=r"""With noise of variance $\nu^2$, $I(W; S) = \frac d2 \ln(1 + \frac{\sigma^2}{n \nu^2})$ and $I(W; Z_i)
    = \frac d2 \ln\frac{\sigma^2 / n + \nu^2}{(n - 1) \sigma^2 / n^2 + \nu^2}$.""",
    source="Bu, Zou and Veeravalli 2020, example",
    agreement=Identity(rtol=1e-9),  # differences of log-determinants of order 1, down to 1e-4
    controls=("I(W; S) / n", "without noise", "log(n / (n - 1)) / 2", "n for n^2"),
)
def location_information(run: Run) -> Trial:
    """Compute log-determinants of the covariance that the learner itself gives sample and released mean."""
    n, sigma, nu = _cases(run)

    def measure() -> Array:
        numbers = [
            sim.location_information(int(size), float(s), float(v)) for size, s, v in zip(n, sigma, nu, strict=True)
        ]
        return np.array([[found.full, found.individual] for found in numbers]).T

    def predict(full: Array | None = None, individual: Array | None = None) -> Array:
        right = gen.gaussian_location_information(n, 1, sigma=sigma, noise_std=nu)
        return np.array([right.full if full is None else full, right.individual if individual is None else individual])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "I(W; S) / n": lambda: predict(individual=predict()[0] / n),
            "without noise": lambda: predict(individual=0.5 * np.log(n / (n - 1))),
            "log(n / (n - 1)) / 2": lambda: predict(full=0.5 * np.log(n / (n - 1))),
            "n for n^2": lambda: predict(full=0.5 * np.log1p(sigma**2 / nu**2)),
        },
    )


@PAPER.claim(
    "location-bound",
    statement=r"""The gap of a Gaussian mean is at most $\inf_u s^2 (I + d(u - \frac12 \ln(1 + 2u))) / u \le 2 s^2
    \sqrt{d I}$, with $s^2 = \sigma^2 (1 + 1/n) + \nu^2$ and $I = I(W; Z_i)$.""",
    source="Bu, Zou and Veeravalli 2020, theorem 2",
    agreement=Bound(),
    controls=("without the 2", "half the information", "cgf with the full logarithm", "sigma^2 / n for s^2"),
)
def location_bound(run: Run) -> Trial:
    """Compare with the gap from the covariance that the learner gives, in one dimension, from n = 2 on.

    That the quadratic form is above the other is checked as well, with the minimum over u taken on a grid.
    """
    n, sigma, nu = _cases(run)
    n, sigma, nu = np.append(n, [2, 2, 3]), np.append(sigma, [1.0, 1.0, 0.5]), np.append(nu, [0.0, 1.0, 0.0])
    u = np.exp(np.linspace(-8, 12, 4001))[:, None]

    def spread_and_information() -> tuple[Array, Array]:
        return sigma**2 * (1 + 1 / n) + nu**2, gen.gaussian_location_information(
            n, 1, sigma=sigma, noise_std=nu
        ).individual

    @lru_cache
    def numbers() -> list[sim.LocationNumbers]:
        return [
            sim.location_information(int(size), float(s), float(v)) for size, s, v in zip(n, sigma, nu, strict=True)
        ]

    def measure() -> Array:
        gap = np.array([float(found.gap) for found in numbers()])
        spread = np.array([float(found.spread) for found in numbers()])
        kept = np.array([float(found.individual) for found in numbers()])
        return np.array([gap, gap, (spread * np.min((kept + u - np.log1p(2 * u) / 2) / u, axis=0)) * (1 - 1e-5)])

    def predict(quadratic: Array | None = None, cgf: Array | None = None) -> Array:
        bound = partial(gen.gaussian_location_bound, n, 1, sigma=sigma, noise_std=nu)
        first = bound() if quadratic is None else quadratic
        return np.array([first, bound(form="cgf") if cgf is None else cgf, first])

    def with_full_logarithm() -> Array:
        spread, kept = spread_and_information()
        return predict(cgf=np.minimum.reduce(spread * (kept + np.maximum(u - np.log1p(2 * u), 0)) / u))

    def narrow() -> Array:
        _, kept = spread_and_information()
        return predict(quadratic=2 * (sigma**2 / n + nu**2) * np.sqrt(kept))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "without the 2": lambda: predict(quadratic=predict()[0] / 2),
            "half the information": lambda: predict(quadratic=predict()[0] / 2**0.5),
            "cgf with the full logarithm": with_full_logarithm,
            "sigma^2 / n for s^2": narrow,
        },
    )


@PAPER.claim(
    "location-spread",
    statement=r"""The minimum over $u$ of $s^2 (I + d (u - \frac12 \ln(1 + 2u))) / u$ is $s^2 d\, v$ with $-\ln(1 - v) -
    v = 2 I / d$, and $s^2$ is the variance of $W - Z$ for a fresh $Z$.""",
    source="derived here from Bu, Zou and Veeravalli 2020",
    agreement=Identity(rtol=1e-5, resolution=1e-4),  # the minimum on a grid of spacing 0.5 %
    controls=("quadratic form", "sigma^2 for s^2", "2 I for I"),
)
def location_spread(run: Run) -> Trial:
    """Minimise on a grid, with spread and information from the learner's covariance."""
    n, sigma, nu = _cases(run)
    u = np.exp(np.linspace(-8, 12, 4001))

    def measure() -> Array:
        found = []
        for size, s, v in zip(n, sigma, nu, strict=True):
            numbers = sim.location_information(int(size), float(s), float(v))
            found.append(float(numbers.spread) * np.min((float(numbers.individual) + u - np.log1p(2 * u) / 2) / u))
        return np.array(found)

    def predict(form: str = "cgf") -> Array:
        return gen.gaussian_location_bound(n, 1, sigma=sigma, noise_std=nu, form=form)  # type: ignore[arg-type]

    def doubled() -> Array:
        kept = gen.gaussian_location_information(n, 1, sigma=sigma, noise_std=nu).individual
        spread = sigma**2 * (1 + 1 / n) + nu**2
        return spread * np.min((2 * kept + u[:, None] - np.log1p(2 * u[:, None]) / 2) / u[:, None], axis=0)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "quadratic form": lambda: predict("quadratic"),
            "sigma^2 for s^2": lambda: predict() * sigma**2 / (sigma**2 * (1 + 1 / n) + nu**2),
            "2 I for I": doubled,
        },
    )


@PAPER.claim(
    "location-rate",
    statement=r"""Without noise the gap falls as $1/n$, both bounds as $n^{-1/2}$, so that gap over bound falls as
    $\sqrt{2 / n}$.""",
    source="Bu, Zou and Veeravalli 2020, example",
    agreement=ConvergenceOrder(order=0.5, resolution=1e-3, accuracy=1e-12),
    controls=("sqrt(1 / n)", "2 / sqrt(n)", "limit one tenth"),
)
def location_rate(run: Run) -> Trial:
    """Divide the gap by the quadratic bound, both from the learner's covariance, at doubling n."""
    doublings = run.size("doublings", quick=5, standard=6, full=7)
    sizes = 8 * 2 ** np.arange(doublings)

    def measure() -> Steps:
        numbers = [sim.location_information(int(n), 1.3, 0.0) for n in sizes]
        return Steps(1 / sizes, np.array([float(q.gap / (2 * q.spread * jnp.sqrt(q.individual))) for q in numbers]))

    n = 10**8
    ratio = gen.gaussian_location_gap(n, 1, sigma=1.3) / gen.gaussian_location_bound(n, 1, sigma=1.3)
    coefficient = float(ratio * np.sqrt(n))
    return Trial(
        predict=lambda: Limit(np.array(0.0), np.array(coefficient)),
        measure=measure,
        controls={
            "sqrt(1 / n)": lambda: Limit(np.array(0.0), np.array(1.0)),
            "2 / sqrt(n)": lambda: Limit(np.array(0.0), np.array(2.0)),
            "limit one tenth": lambda: Limit(np.array(0.1), np.array(coefficient)),
        },
        scale=1.0,
    )


POINTS, HYPOTHESES, TRAIN = 3, 4, 2


def _problem(point: jax.Array) -> sim.FiniteProblem:
    """Read population, 0-1 losses (nearly), prior and temperature off an unconstrained vector."""
    z, h, t, raw = jnp.split(point, [POINTS, POINTS + HYPOTHESES, POINTS + HYPOTHESES + 1])
    loss = jax.nn.sigmoid(4 * raw).reshape(HYPOTHESES, POINTS)
    return sim.FiniteProblem(jax.nn.softmax(2 * z), loss, jax.nn.softmax(h), jnp.exp(1 + t[0]))


def _numbers(point: jax.Array) -> jax.Array:
    problem = _problem(point)
    laws = sim.learner_laws(problem, TRAIN)
    conditional = sim.conditional_information(problem, TRAIN)
    return jnp.stack([laws.gap, laws.mutual_information, conditional, laws.individual_information])


def _ratio(point: jax.Array, which: jax.Array) -> jax.Array:
    """Squared gap over one of the informations; below 1e-4 nats rounding would show."""
    numbers = _numbers(point)
    return jnp.where(numbers[which] > 1e-4, numbers[0] ** 2 / numbers[which], -jnp.inf)


_evaluate = jax.jit(jax.vmap(_numbers))


@PAPER.claim(
    "cmi",
    statement=r"""For losses in $[0, 1]$ the expected gap is at most $\sqrt{2\,\mathrm{CMI} / n}$, $\sqrt{I(W; S) /
    (2n)}$ and $\frac1n \sum_i \sqrt{I(W; Z_i) / 2}$; $\mathrm{CMI} \le \min(I(W; S), n \ln 2)$, and $n I(W; Z_i) \le
    I(W; S)$.""",
    source="Steinke and Zakynthinou 2020; Xu and Raginsky 2017; Bu, Zou and Veeravalli 2020",
    agreement=Bound(rounding=1e-10),
    controls=("CMI / (2 n)", "I(W; S) / (8 n)", "individual informations over 8", "I(W; S) for n I(W; Z_i), reversed"),
)
def cmi(run: Run) -> Trial:
    """Enumerate training sets and supersamples of Gibbs learners, at random and where a search comes closest."""
    draws = run.size("random problems", quick=200, standard=2000, full=50_000)
    steps = run.size("steps of the search", quick=150, standard=1000, full=5000)
    dimensions = POINTS + HYPOTHESES + 1 + POINTS * HYPOTHESES

    @lru_cache
    def numbers() -> Array:
        start = 1.5 * jax.random.normal(run.key(), (draws, dimensions))
        reached = [
            sim.hardest_instances(
                run.key(f"climb {which}"), _ratio, start[:8], jnp.asarray(which), n_steps=steps
            ).instances
            for which in (1, 2, 3)
        ]
        return np.asarray(_evaluate(jnp.concatenate([start, *reached]))).T

    def measure() -> Array:
        gap, _, conditional, individual = numbers()
        return np.array([gap, gap, gap, conditional, conditional, TRAIN * individual])

    def predict(cond: float = 1.0, full_share: float = 1.0, single: float = 1.0, chain: float = 1.0) -> Array:
        _, full, conditional, individual = numbers()
        # CMI has the constant of s = 1: differences of two losses lie in [-1, 1]
        return np.array(
            [
                gen.mutual_information_bound(cond * conditional, TRAIN, sub_gaussian=1.0),
                gen.mutual_information_bound(full_share * full, TRAIN),
                [gen.individual_sample_bound(single * value) for value in individual],
                full,
                np.full_like(full, TRAIN * np.log(2)),
                chain * full,
            ]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "CMI / (2 n)": lambda: predict(cond=0.25),
            "I(W; S) / (8 n)": lambda: predict(full_share=0.25),
            "individual informations over 8": lambda: predict(single=0.25),
            "I(W; S) for n I(W; Z_i), reversed": lambda: predict(chain=0.5),
        },
        scale=lambda: np.maximum(predict(), 1e-3),
    )
