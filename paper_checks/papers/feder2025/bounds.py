"""Bounds on the regret of a mixture by the weight near the truth: sampled, searched, attained, and where they end."""

from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, components
from paper_checks.papers.feder2025.classes import Classes, divergences, draw_classes, over_classes, tilted_weight
from paper_checks.papers.feder2025.paper import PAPER
from simulations import generalization as sim
from theory import generalization


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
    random = [draw_classes(rng, number, size) for size in (2, 5, 20)]
    far = Classes(np.full(1, 0.01), np.array([[0.01, 0.99]]), np.array([[0.1, 0.9]]))

    @cache
    def problems() -> list[Classes]:
        return [*random, far, _hardest(run, 6, 3)]

    def measure() -> Array:
        parts = []
        for classes in problems():
            found = sim.predict_every_sequence(*classes, n)
            regret = found.regret.sum(axis=1) / n
            parts += [regret, regret, tilted_weight(classes, found.divergence) / n]
        return components(*parts)

    def predict(ball: Callable[[Array, Array, int], float], exponential: bool = True) -> Array:
        parts = []
        for classes in problems():
            of_ball = over_classes(classes, lambda d, w: ball(d, w, n))
            tilted = over_classes(classes, lambda d, w: generalization.exponential_weight_bound(d, w, n))
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
        ball = over_classes(problems, lambda d, w: n * generalization.kl_ball_bound(d, w[order], n).value)
        tilted = over_classes(problems, lambda d, w: n * generalization.exponential_weight_bound(d, w[order], n))
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
    problems = draw_classes(run.rng(), number, 7)

    def measure() -> Array:
        divergence = sim.predict_every_sequence(*problems, n).divergence
        balls = []
        for d, w in zip(divergence / n, problems.weights, strict=True):
            values = [eps - np.log(w[d <= eps].sum()) / n for eps in d]
            balls.append((min(values), d[int(np.argmin(values))]))
        return np.column_stack([tilted_weight(problems, divergence) / n, balls])

    def predict(once: bool = False, border: bool = True, largest: bool = False) -> Array:
        def terms(d: Array, w: Array) -> tuple[float, float, float]:
            tilted = generalization.exponential_weight_bound(d, w, 1 if once else n)
            ball = generalization.kl_ball_bound(d, w, n)
            value, radius = (d.max(), d.max()) if largest else ball
            if not border:
                inner = [eps - np.log(max(w[d < eps].sum(), 1e-300)) / n for eps in d]
                value = min(inner)
            return tilted, value, radius

        return np.array([terms(d, w) for d, w in zip(divergences(problems), problems.weights, strict=True)])

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
        bound = over_classes(problems, lambda d, w: generalization.kl_ball_bound(d, w, n).value)
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
