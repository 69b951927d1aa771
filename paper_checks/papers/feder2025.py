"""Feder, Urbanke, Fogel 2025: why large classes learn well, seen through universal prediction.

A mixture over a class of models pays for the weight near the truth, not for the number of models. Predictors are run
here on every sequence of coin tosses; theory sums over sufficient statistics instead.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Bound, ConvergenceOrder, Identity, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Steps, components
from simulations import generalization as sim
from theory import generalization

PAPER = Paper(
    key="feder2025",
    title="The universality lens: why even highly over-parametrized models learn well",
    authors="Meir Feder, Ruediger Urbanke, Yaniv Fogel",
    year=2025,
    arxiv="2506.07661",
    wing="generalization",
)

Array = NDArray[np.float64]


class Classes(NamedTuple):
    """Problems of one size: true coins (B,), coins of the class and their weights, both (B, M)."""

    truths: Array
    coins: Array
    weights: Array


def _draw(rng: np.random.Generator, number: int, size: int) -> Classes:
    """Draw classes with uneven weights, half of them with the truth in it."""
    coins = rng.uniform(0.01, 0.99, (number, size))
    truths = np.where(np.arange(number) % 2 == 0, coins[:, 0], rng.uniform(0.02, 0.98, number))
    return Classes(truths, coins, rng.dirichlet(np.full(size, 0.5), number))


def _divergences(problems: Classes) -> Array:
    return np.asarray(generalization.bernoulli_kl(problems.truths[:, None], problems.coins))


def _over(problems: Classes, bound: Callable[[Array, Array], float]) -> Array:
    rows = zip(_divergences(problems), problems.weights, strict=True)
    return np.array([bound(distance, weight) for distance, weight in rows])


def _tilted(problems: Classes, divergence: Array) -> Array:
    return -np.log(np.sum(problems.weights * np.exp(-divergence), axis=1))


@PAPER.claim(
    "finite-class",
    statement=r"""Tossing a coin $\theta_0$, a mixture of coins $\theta_j$ loses $n R_n = -\sum_k \binom nk \theta_0^k
    (1-\theta_0)^{n-k} \ln \sum_j w_j (\theta_j/\theta_0)^k ((1-\theta_j)/(1-\theta_0))^{n-k}$ nats more than the truth
    in $n$ tosses, and $r_n = n R_n - (n-1) R_{n-1}$ in the last of them.""",
    source="derived; regret of a mixture",
    # sums of 2^n terms of n factors
    agreement=Identity(rtol=1e-11),
    controls=("every model equally likely", "one toss more", "mean divergence of the models", "mean for last toss"),
)
def finite_class(run: Run) -> Trial:
    """Run Bayesian predictors on all sequences of tosses; on long ones, with equal posteriors merged."""
    few = run.size("tosses, listed", quick=9, standard=12, full=16)
    many = run.size("tosses, merged", quick=60, standard=200, full=1000)
    number = run.size("classes", quick=12, standard=20, full=40)
    rng = run.rng()
    listed, merged = _draw(rng, number, 6), _draw(rng, number, 40)

    def predict(steps: Callable[[float, Array, Array, int], Array]) -> Array:
        sets = ((listed, few), (merged, many))
        return components(*(steps(*problem, n) for problems, n in sets for problem in zip(*problems, strict=True)))

    def regrets(truth: float, coins: Array, weights: Array, n: int, more: int = 0) -> Array:
        sizes = np.arange(1, n + 1)
        return np.array(
            [m * generalization.mixture_regret_bernoulli(truth, coins, weights, int(m + more)) for m in sizes]
        )

    def steps(truth: float, coins: Array, weights: Array, n: int, more: int = 0) -> Array:
        return generalization.batch_regret(regrets(truth, coins, weights, n, more))

    def divergence(truth: float, coins: Array, weights: Array, n: int) -> Array:
        return np.full(n, weights @ generalization.bernoulli_kl(truth, coins))

    return Trial(
        predict=lambda: predict(steps),
        measure=lambda: components(
            sim.predict_every_sequence(*listed, few).regret, sim.predict_merged_sequences(*merged, many)
        ),
        controls={
            "every model equally likely": lambda: predict(
                lambda t, c, w, n: steps(t, c, np.full(w.size, 1 / w.size), n)
            ),
            "one toss more": lambda: predict(lambda t, c, w, n: steps(t, c, w, n, more=1)),
            "mean divergence of the models": lambda: predict(divergence),
            "mean for last toss": lambda: predict(lambda t, c, w, n: regrets(t, c, w, n) / np.arange(1, n + 1)),
        },
        scale=1.0,
    )


def _share_of_bound(instance: jax.Array, tosses: jax.Array) -> jax.Array:
    """Regret over its bound by exponential weights, for logits of (truth, coins, weights) and all sequences."""
    truth = jax.nn.sigmoid(instance[0])
    coins, weights = jnp.split(instance[1:], 2)
    heads = tosses.sum(axis=1)[:, None]

    def likelihood(coin: jax.Array) -> jax.Array:
        return heads * jax.nn.log_sigmoid(coin) + (tosses.shape[1] - heads) * jax.nn.log_sigmoid(-coin)

    ratios = likelihood(instance[:1]) - likelihood(coins)
    chance = (jnp.where(tosses == 1, truth, 1 - truth)).prod(axis=1)
    prior = jax.nn.log_softmax(weights)
    regret = -chance @ jax.nn.logsumexp(prior - ratios, axis=1)
    bound = -jax.nn.logsumexp(prior - chance @ ratios)
    # shares of next to nothing are shares of rounding errors
    return jnp.where(bound > 1e-3, regret / bound, -jnp.inf)


def _hardest(run: Run, n: int, size: int) -> Classes:
    climbers = run.size("climbers", quick=16, standard=64, full=512)
    steps = run.size("steps", quick=300, standard=1500, full=5000)
    starts = jnp.asarray(run.rng("starts").normal(0, 2, (climbers, 1 + 2 * size)))
    tosses = (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)
    found = sim.hardest_instances(run.key("climb"), _share_of_bound, starts, jnp.asarray(tosses), n_steps=steps)
    logits = np.clip(np.asarray(found.instances), -15, 15)
    coins = 1 / (1 + np.exp(-logits[:, : size + 1]))
    weights = np.exp(logits[:, size + 1 :])
    return Classes(coins[:, 0], coins[:, 1:], weights / weights.sum(axis=1, keepdims=True))


WRONG_CHAINS = {
    "weight outside of the ball": lambda d, w, n: _any_ball(d, w, n, outside=True),
    "no radius": lambda d, w, n: _any_ball(d, w, n, radius=False),
    "half the radius": lambda d, w, n: generalization.kl_ball_bound(d / 2, w, n).value,
    "smallest divergence": lambda d, w, n: d.min(),
}


def _any_ball(d: Array, w: Array, n: int, *, outside: bool = False, radius: bool = True) -> float:
    mass = np.array([w[d <= eps].sum() for eps in d])
    mass = np.clip(1 - mass if outside else mass, 1e-300, 1)
    return float(np.min(radius * d - np.log(mass) / n))


@PAPER.claim(
    "regret-chain",
    statement=r"""Whatever class, weights and truth, $R_n \le -\frac1n \ln \sum_\theta w(\theta) e^{-n d(\theta)} \le
    \min_\epsilon \{ \epsilon - \frac1n \ln w(B_\epsilon) \}$, with the divergence $d(\theta)$ of a model from the truth
    and the ball $B_\epsilon$ of the models within $\epsilon$.""",
    source="bound on the regret of a mixture",
    # sums of 2^n terms
    agreement=Bound(rounding=1e-11),
    controls=tuple(WRONG_CHAINS),
)
def regret_chain(run: Run) -> Trial:
    """Run predictors of random classes, of far coins, and of classes found by a search for the smallest slack."""
    number = run.size("classes", quick=300, standard=3000, full=30_000)
    n = run.size("tosses", quick=8, standard=10, full=12)
    rng = run.rng()
    random = [_draw(rng, number, size) for size in (2, 5, 20)]
    far = Classes(np.full(1, 0.01), np.array([[0.01, 0.99]]), np.array([[0.1, 0.9]]))

    @cache
    def problems() -> list[Classes]:
        return [*random, far, _hardest(run, 6, 3)]

    def measure() -> Array:
        parts = []
        for classes in problems():
            found = sim.predict_every_sequence(*classes, n)
            regret = found.regret.sum(axis=1) / n
            parts += [regret, regret, _tilted(classes, found.divergence) / n]
        return components(*parts)

    def predict(ball: Callable[[Array, Array, int], float], exponential: bool = True) -> Array:
        parts = []
        for classes in problems():
            of_ball = _over(classes, lambda d, w: ball(d, w, n))
            tilted = _over(classes, lambda d, w: generalization.exponential_weight_bound(d, w, n))
            parts += [tilted, of_ball, of_ball]
        return components(*parts)

    return Trial(
        predict=lambda: predict(lambda d, w, n: generalization.kl_ball_bound(d, w, n).value),
        measure=measure,
        controls={name: partial(predict, wrong) for name, wrong in WRONG_CHAINS.items()},
        scale=1.0,
    )


@PAPER.claim(
    "ball-attained",
    statement=r"""When all models but the truth are far away, the mixture pays $n R_n = -\ln w(\theta_0)$ nats, and both
    bounds are attained.""",
    source="derived; sharpness of the bound",
    agreement=Bound(tight=1e-5, rounding=1e-11),
    controls=("weight of all other models", "logarithm to base 2", "a tenth less"),
)
def ball_attained(run: Run) -> Trial:
    """Toss coins of which every other coin in the class says the opposite."""
    n = run.size("tosses", quick=12, standard=14, full=18)
    rng, number = run.rng(), 8
    truths = rng.uniform(0.005, 0.015, number)
    weights = rng.uniform(0.02, 0.4, number)
    problems = Classes(truths, np.column_stack([truths, 1 - truths]), np.column_stack([weights, 1 - weights]))

    def predict(factor: float = 1.0, other: bool = False) -> Array:
        order = [1, 0] if other else [0, 1]
        ball = _over(problems, lambda d, w: n * generalization.kl_ball_bound(d, w[order], n).value)
        tilted = _over(problems, lambda d, w: n * generalization.exponential_weight_bound(d, w[order], n))
        return factor * np.stack([tilted, ball])

    return Trial(
        predict=predict,
        measure=lambda: np.tile(sim.predict_every_sequence(*problems, n).regret.sum(axis=1), (2, 1)),
        controls={
            "weight of all other models": lambda: predict(other=True),
            "logarithm to base 2": lambda: predict(1 / np.log(2)),
            "a tenth less": lambda: predict(0.9),
        },
    )


@PAPER.claim(
    "chain-terms",
    statement=r"""The two bounds, $-\frac1n \ln \sum_\theta w(\theta) e^{-n d(\theta)}$ and the best ball with its
    radius, for divergences that are means over sequences.""",
    source="bound on the regret of a mixture",
    agreement=Identity(rtol=1e-10),
    controls=("weights tilted once", "ball without its border", "largest ball"),
)
def chain_terms(run: Run) -> Trial:
    """Average likelihood ratios over all sequences, and try every ball."""
    n = run.size("tosses", quick=8, standard=10, full=12)
    number = run.size("classes", quick=60, standard=300, full=1000)
    problems = _draw(run.rng(), number, 7)

    def measure() -> Array:
        divergence = sim.predict_every_sequence(*problems, n).divergence
        balls = []
        for d, w in zip(divergence / n, problems.weights, strict=True):
            values = [eps - np.log(w[d <= eps].sum()) / n for eps in d]
            balls.append((min(values), d[int(np.argmin(values))]))
        return np.column_stack([_tilted(problems, divergence) / n, balls])

    def predict(once: bool = False, border: bool = True, largest: bool = False) -> Array:
        def terms(d: Array, w: Array) -> tuple[float, float, float]:
            tilted = generalization.exponential_weight_bound(d, w, 1 if once else n)
            ball = generalization.kl_ball_bound(d, w, n)
            value, radius = (d.max(), d.max()) if largest else ball
            if not border:
                inner = [eps - np.log(max(w[d < eps].sum(), 1e-300)) / n for eps in d]
                value = min(inner)
            return tilted, value, radius

        return np.array([terms(d, w) for d, w in zip(_divergences(problems), problems.weights, strict=True)])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "weights tilted once": lambda: predict(once=True),
            "ball without its border": lambda: predict(border=False),
            "largest ball": lambda: predict(largest=True),
        },
        scale=1.0,
    )


@PAPER.claim(
    "class-size",
    statement=r"""With the weight of the truth fixed, $n R_n \le -\ln w(\theta_0)$ however many models share the rest,
    and its mean over classes does not grow with their number $M$: the slope in $\ln M$ is below 1/4 in size.""",
    source="the price is that of the weight, not of the number of models",
    agreement=Ordering(side="above"),
    controls=("half of that", "slope of at least 1/4", "equal weights on far coins"),
)
def class_size(run: Run) -> Trial:
    """Draw classes of 2 to 1000 coins and more that share 9/10 of the weight; then equal weights on coins far away."""
    sizes = run.size(
        "M", quick=[1, 10, 100, 1000], standard=[1, 10, 100, 1000, 3000], full=[1, 10, 10**2, 10**3, 10**4]
    )
    draws = run.size("draws", quick=100, standard=100, full=400)
    n, truth, weight = 50, 0.3, 0.1

    def measure(far: bool = False) -> Array:
        rng = run.rng()
        regrets = []
        for size in sizes:
            coins = rng.uniform(0.9 if far else 0.001, 0.999, (draws, size))
            mine = 1 / (size + 1) if far else weight
            weights = np.concatenate([[mine], np.full(size, (1 - mine) / size)])
            found = sim.predict_merged_sequences(
                np.full(draws, truth),
                np.column_stack([np.full(draws, truth), coins]),
                np.tile(weights, (draws, 1)),
                n,
            )
            regrets.append(found.sum(axis=1))
        # the dearest of all draws, and the slope of their mean
        slope = np.polyfit(np.log(sizes), np.mean(regrets, axis=1), 1)[0]
        return np.array([-np.max(regrets), slope, -slope])

    def predict(share: float = 1.0, slope: float = -0.25) -> Array:
        price = n * generalization.kl_ball_bound([0.0, np.inf], [weight, 1 - weight], n).value
        return np.array([-share * price, slope, -0.25])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "half of that": lambda: predict(share=0.5),
            "slope of at least 1/4": lambda: predict(slope=0.25),
        },
        counterexamples={"equal weights on far coins": lambda: measure(far=True)},
        scale=1.0,
    )


BETAS = ((0.3, 1.0, 1.0), (0.3, 0.5, 0.5), (0.5, 2.0, 1.5), (0.4, 0.7, 3.0))


@PAPER.claim(
    "beta-mixture",
    statement=r"""With a Beta$(a, b)$ prior on the coin, $n R_n = \sum_k \binom nk \theta_0^k (1-\theta_0)^{n-k}
    \ln [\theta_0^k (1-\theta_0)^{n-k} B(a, b) / B(k + a, n - k + b)]$.""",
    source="textbook; the rules of Laplace and of Krichevsky and Trofimov",
    # sums of 2^n terms, or of n differences of logarithms as large as n
    agreement=Identity(rtol=1e-10),
    controls=("flat prior", "a and b exchanged", "one toss less", "prior not normalised"),
)
def beta_mixture(run: Run) -> Trial:
    """Run the predictor on all sequences, and on many tosses, with quadrature points of the prior for a class."""
    few, many = run.size("tosses", quick=(9, 60), standard=(12, 200), full=(16, 1000))
    rng = run.rng()
    cases = [*BETAS, *zip(rng.uniform(0.05, 0.95, 4), rng.uniform(0.4, 4, 4), rng.uniform(0.4, 4, 4), strict=True)]

    def measure() -> Array:
        parts = []
        for truth, a, b in cases:
            coins, weights = sim.beta_coins(a, b, few)
            parts.append(sim.predict_every_sequence([truth], [coins], [weights], few).regret[0].cumsum())
            coins, weights = sim.beta_coins(a, b, many)
            parts.append(sim.predict_merged_sequences([truth], [coins], [weights], many)[0].cumsum())
        return components(*parts)

    def predict(regret: Callable[[float, int, float, float], float]) -> Array:
        return components(
            *([regret(*case[:1], m, *case[1:]) for m in range(1, n + 1)] for case in cases for n in (few, many))
        )

    def exact(truth: float, n: int, a: float, b: float) -> float:
        return n * generalization.beta_mixture_regret(truth, n, a=a, b=b)

    def unnormalised(truth: float, n: int, a: float, b: float) -> float:
        return exact(truth, n, a, b) + np.log(a + b)

    return Trial(
        predict=lambda: predict(exact),
        measure=measure,
        controls={
            "flat prior": lambda: predict(lambda t, n, a, b: exact(t, n, 1, 1)),
            "a and b exchanged": lambda: predict(lambda t, n, a, b: exact(t, n, b, a)),
            "one toss less": lambda: predict(lambda t, n, a, b: exact(t, n - 1, a, b) if n > 1 else 0.0),
            "prior not normalised": lambda: predict(unnormalised),
        },
        scale=1.0,
    )


@PAPER.claim(
    "beta-mixture-asymptotic",
    statement=r"""Under a Beta prior of density $w$, $n R_n = \frac12 \ln\frac{n}{2\pi e} - \frac12
    \ln(\theta_0 (1-\theta_0)) - \ln w(\theta_0) + O(1/n)$.""",
    source="Clarke and Barron (1990), for one parameter",
    agreement=ConvergenceOrder(order=1, resolution=1e-3, accuracy=1e-13),
    controls=("no e", "a logarithm a parameter", "no information", "no density"),
)
def beta_mixture_asymptotic(run: Run) -> Trial:
    """Run the predictor on more and more tosses, equal posteriors merged."""
    sizes = run.size(
        "tosses",
        quick=[32, 64, 128, 256, 512],
        standard=[64, 128, 256, 512, 1024],
        full=[64, 128, 256, 512, 1024, 2048],
    )
    cases = BETAS[:3]
    n = np.array(sizes)

    def measure() -> Steps:
        found = []
        for truth, a, b in cases:
            coins, weights = sim.beta_coins(a, b, sizes[-1])
            found.append(sim.predict_merged_sequences([truth], [coins], [weights], sizes[-1])[0].cumsum()[n - 1])
        return Steps(1 / n, np.transpose(found))

    def predict(excess: Callable[[float, float, float], NDArray | float] = lambda t, a, b: 0.0) -> Steps:
        values = [
            n * generalization.beta_mixture_regret_asymptotic(t, n, a=a, b=b) + excess(t, a, b) for t, a, b in cases
        ]
        return Steps(1 / n, np.transpose(values))

    def density(truth: float, a: float, b: float) -> float:
        return float(
            generalization.beta_mixture_regret_asymptotic(truth, 1, a=1, b=1)
            - generalization.beta_mixture_regret_asymptotic(truth, 1, a=a, b=b)
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no e": lambda: predict(lambda t, a, b: 0.5),
            "a logarithm a parameter": lambda: predict(lambda t, a, b: 0.5 * np.log(n)),
            "no information": lambda: predict(lambda t, a, b: 0.5 * np.log(t * (1 - t))),
            "no density": lambda: predict(density),
        },
        scale=1.0,
    )


@PAPER.claim(
    "gaussian",
    statement=r"""For $N(\theta_0, 1)$ and the prior $N(0, t^2)$ on its mean, $n R_n = \frac12 \ln(1 + n t^2) - \frac12
    \frac{n t^2}{1 + n t^2} + \frac12 \frac{n \theta_0^2}{1 + n t^2}$, and the bound by exponential weights is that
    without its second term.""",
    source="derived; the Gaussian location family",
    # linear systems of condition number 1 + n t^2, up to 2e3
    agreement=Identity(rtol=1e-11),
    controls=("bound for regret", "truth not shrunk", "no 1 in the logarithm", "standard deviation for variance"),
)
def gaussian(run: Run) -> Trial:
    """Compare two Gaussian vectors by dense linear algebra, and integrate the tilted prior."""
    number = run.size("problems", quick=40, standard=200, full=1000)
    largest = run.size("observations", quick=40, standard=100, full=400)
    rng = run.rng()
    means, variances = rng.uniform(-3, 3, number), 10 ** rng.uniform(-1.5, 1.5, number)
    n = rng.integers(1, largest + 1, number)
    cases = [(float(m), float(v), int(size)) for m, v, size in zip(means, variances, n, strict=True)]

    def measure() -> Array:
        divergence = [sim.gaussian_mixture_divergence(*case) for case in cases]
        return np.array([divergence, [sim.gaussian_tilted_weight(*case) for case in cases]])

    def predict(variances: Array = variances, excess: Array | float = 0.0, bound: bool = False) -> Array:
        tilted = n * generalization.gaussian_exponential_weight_bound(means, n, prior_var=variances)
        regret = n * generalization.gaussian_mixture_regret(means, n, prior_var=variances)
        return np.array([tilted if bound else regret, tilted]) + excess

    spread = n * variances
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "bound for regret": lambda: predict(bound=True),
            "truth not shrunk": lambda: predict(excess=0.5 * n * means**2 * spread / (1 + spread)),
            "no 1 in the logarithm": lambda: predict(excess=-0.5 * np.log1p(1 / spread)),
            "standard deviation for variance": lambda: predict(np.sqrt(variances)),
        },
        scale=1.0,
    )


@PAPER.claim(
    "batch-trap",
    statement=r"""The regret $r_n$ of the last toss alone obeys no such bound: where a run of heads makes a mixture
    believe in a coin that always lands heads, $r_n$ exceeds $\min_\epsilon \{\epsilon - \frac1n \ln w(B_\epsilon)\}$;
    and it may rise from one toss to the next, as it does under a flat prior. Only the mean of $r_1, \dots, r_n$ is
    bounded.""",
    source="derived; regret of batch learning against that of online prediction",
    agreement=Ordering(side="above"),
    controls=("four times the bound", "bound of the sum", "mean of the tosses"),
)
def batch_trap(run: Run) -> Trial:
    """Give a nearly sure coin a small weight beside the truth, run on all sequences, and look at one toss of each."""
    rng, number = run.rng(), run.size("classes", quick=10, standard=40, full=200)
    n, sure = 9, 0.9999
    truths, weights = rng.uniform(0.28, 0.32, number), 10 ** rng.uniform(-4.1, -3.9, number)
    problems = Classes(
        truths, np.column_stack([truths, np.full(number, sure)]), np.column_stack([1 - weights, weights])
    )
    flat = sim.beta_coins(1.0, 1.0, 2)

    def measure(mean: bool = False) -> Array:
        regret = sim.predict_every_sequence(*problems, n).regret
        first, second = sim.predict_every_sequence([0.3], [flat[0]], [flat[1]], 2).regret[0]
        if mean:
            return components(regret.mean(axis=1), (first + second) / 2)
        return components(regret[:, -1], second)

    def predict(factor: float = 1.0) -> Array:
        bound = _over(problems, lambda d, w: generalization.kl_ball_bound(d, w, n).value)
        totals = [m * generalization.beta_mixture_regret(0.3, m, a=1, b=1) for m in (1, 2)]
        return components(factor * bound, factor * generalization.batch_regret(totals)[0])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "four times the bound": lambda: predict(4.0),
            "bound of the sum": lambda: predict(float(n)),
        },
        counterexamples={"mean of the tosses": lambda: measure(mean=True)},
        scale=1.0,
    )
