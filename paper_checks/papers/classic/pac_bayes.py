"""PAC-Bayes bounds, tried on every training set that small problems have, against posteriors that know the risks."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array
from paper_checks.papers.classic.paper import PAPER
from simulations import generalization as sim
from theory import generalization as gen

POINTS, HYPOTHESES = 4, 3


def _problem(point: jax.Array, zero_one: jax.Array) -> sim.FiniteProblem:
    """Read a population, a prior and losses off an unconstrained vector; 0-1 losses are its signs."""
    z, h, raw = jnp.split(point, [POINTS, POINTS + HYPOTHESES])
    raw = raw.reshape(HYPOTHESES, POINTS)
    loss = jnp.where(zero_one, (raw > 0).astype(float), jax.nn.sigmoid(3 * raw))
    return sim.FiniteProblem(jax.nn.softmax(2 * z), loss, jax.nn.softmax(h), jnp.asarray(0.0))


def _worst(
    point: jax.Array, zero_one: jax.Array, n: int, criterion: str, max_level: float, **options: tuple[float, ...]
) -> sim.WorstPosterior:
    return sim.worst_posterior(_problem(point, zero_one), n, criterion=criterion, max_level=max_level, **options)


@lru_cache
def _objective(n: int, criterion: str, max_level: float) -> Callable[..., jax.Array]:
    return lambda point, zero_one: _worst(point, zero_one, n, criterion, max_level).excess


@lru_cache
def _evaluate(n: int, criterion: str, max_level: float, *, masses: bool = False) -> Callable[..., sim.WorstPosterior]:
    options = {"tilts": ()} if masses else {}

    def evaluate(point: jax.Array, zero_one: jax.Array) -> sim.WorstPosterior:
        return _worst(point, zero_one, n, criterion, max_level, **options)

    return jax.jit(jax.vmap(evaluate, in_axes=(0, None)))


class Hardest(NamedTuple):
    """The hardest levels and posteriors of many problems of n examples."""

    n: int
    found: sim.WorstPosterior


@lru_cache(maxsize=16)
def _hardest(run: Run, criterion: str, max_level: float = 1.0) -> list[Hardest]:
    """Problems at random, those that a search ends on, and coins that are fair, or nearly sure, for one hypothesis.

    Training sets are enumerated, 4^n of them, for every problem that the search tries.
    """
    sizes = run.size("training points", quick=(1, 4), standard=(1, 2, 4, 5), full=(1, 2, 4, 6, 8))
    draws = run.size("random problems", quick=30, standard=200, full=2000)
    steps = run.size("steps of the search", quick=100, standard=500, full=3000)
    dimensions = POINTS + HYPOTHESES + POINTS * HYPOTHESES
    found = []
    for n in sizes:
        for zero_one in (True, False):
            name = f"{criterion} {n} {zero_one}"
            start = jax.random.normal(run.key(name), (draws, dimensions))
            flag = jnp.asarray(zero_one)
            objective = _objective(n, criterion, max_level)
            reached = sim.hardest_instances(
                run.key(f"climb {name}"), objective, start[:12], flag, n_steps=steps
            ).instances
            # one hypothesis matters, and errs on the first point only: a coin
            coin = np.full((4, dimensions), -20.0)
            coin[:, POINTS + HYPOTHESES :] = -1.0
            coin[:, POINTS] = 20.0
            coin[:, POINTS + HYPOTHESES :: POINTS] = 1.0
            coin[:, 0], coin[:, 1] = [0.0, 0.4, -0.6, 1.5], 0.0
            # each hypothesis is right on a point of its own: some one always deceives, and pays for it by its KL
            decoys = np.concatenate([0.5 * np.log([1 / 6, 1 / 6, 1 / 6, 1 / 2]), np.zeros(HYPOTHESES)])
            decoys = np.append(decoys, (1 - 2 * np.eye(HYPOTHESES, POINTS)).ravel())
            points = jnp.concatenate([start, reached, jnp.asarray(coin)])
            worst = (
                _evaluate(n, criterion, max_level)(points, flag),
                _evaluate(n, criterion, max_level, masses=True)(jnp.asarray(decoys[None]), flag),
            )
            found.append(Hardest(n, _finite(jax.tree.map(lambda *parts: np.concatenate(parts), *worst))))
    return found


def _finite(found: sim.WorstPosterior) -> sim.WorstPosterior:
    """Keep the problems in which some level is admitted."""
    kept = np.isfinite(found.excess)
    return jax.tree.map(lambda part: part[kept], found)


def _gather(hardest: Callable[[], list[Hardest]], answer: Callable[[int, sim.WorstPosterior], ArrayLike]) -> Array:
    return np.concatenate([np.broadcast_to(answer(n, found), np.shape(found.excess)) for n, found in hardest()])


@PAPER.claim(
    "pac-bayes-constant",
    statement=r"""With probability $1 - \delta$, for all posteriors, $n\,\mathrm{kl}(\hat L_Q \| L_Q) \le \mathrm{KL}(Q
    \| P) + \ln(\xi(n) / \delta)$, for all $\delta$; at $n = 1$ this is attained.""",
    source="Maurer 2004, theorem 5; Seeger 2002",
    # a training loss of 1 to rounding, at a risk of less, costs 1e-16 times n log(1 / risk)
    agreement=Bound(tight=1e-9),
    controls=("without xi(n)", "sqrt(n) / 2", "delta for both sides"),
)
def pac_bayes_constant(run: Run) -> Trial:
    r"""Find, over all training sets, the level v at which v + ln P(V >= v) is largest.

    V is the largest of n kl - KL over posteriors. The bound holds for all delta if and only if that is ln xi(n) at
    most; by convexity of kl no posterior does worse than exp V averaged over hypotheses, and the family tried has all
    point masses.
    """
    hardest = partial(_hardest, run, "two-sided")

    def predict(constant: Callable[[int], ArrayLike] = gen.maurer_constant) -> Array:
        return _gather(hardest, lambda n, found: np.log(constant(n)))

    return Trial(
        predict=predict,
        measure=lambda: _gather(hardest, lambda n, found: found.excess),
        controls={
            "without xi(n)": lambda: predict(lambda n: 1.0),
            "sqrt(n) / 2": lambda: predict(lambda n: np.sqrt(n) / 2),
            "delta for both sides": lambda: predict(lambda n: 0.5),
        },
        scale=1.0,
    )


def _bound_trial(
    run: Run,
    criterion: str,
    bound: Callable[..., Array],
    wrong: dict[str, Callable[..., Array]],
) -> Trial:
    """Compare the risk of the hardest posterior with its bound, at a delta just below the probability of its level."""
    hardest = partial(_hardest, run, criterion, 0.5)

    def predict(formula: Callable[..., Array] = bound) -> Array:
        return _gather(
            hardest,
            lambda n, found: formula(
                np.asarray(found.training_risk), np.asarray(found.kl), n, np.asarray(found.delta) * (1 - 1e-9)
            ),
        )

    return Trial(
        predict=predict,
        measure=lambda: _gather(hardest, lambda n, found: found.risk),
        controls={name: partial(predict, formula) for name, formula in wrong.items()},
        scale=1.0,
    )


_HARDEST = """With probability $1 - \\delta$, for all posteriors at once, """


@PAPER.claim(
    "pac-bayes-seeger",
    statement=_HARDEST
    + r"""$L_Q \le \mathrm{kl}^{-1}_+\bigl(\hat L_Q, (\mathrm{KL}(Q \| P) + \ln(2 \sqrt n / \delta)) / n\bigr)$.""",
    source="Seeger 2002; Maurer 2004",
    agreement=Bound(),
    controls=("without KL", "without delta", "n + n for n", "ln(1 / (2 sqrt(n) delta))"),
)
def pac_bayes_seeger(run: Run) -> Trial:
    """Try the bound at the training set, posterior and delta where it is closest to failing."""
    inverse = gen.kl_inverse
    return _bound_trial(
        run,
        "seeger",
        lambda r, kl, n, delta: gen.pac_bayes_seeger(r, kl, n, delta=delta),
        {
            "without KL": lambda r, kl, n, delta: gen.pac_bayes_seeger(r, 0 * kl, n, delta=delta),
            "without delta": lambda r, kl, n, delta: inverse(r, (kl + np.log(2 * np.sqrt(n))) / n),
            "n + n for n": lambda r, kl, n, delta: inverse(r, (kl + np.log(2 * np.sqrt(n) / delta)) / (2 * n)),
            "ln(1 / (2 sqrt(n) delta))": lambda r, kl, n, delta: inverse(
                r, np.maximum(kl - np.log(2 * np.sqrt(n) * delta), 0) / n
            ),
        },
    )


@PAPER.claim(
    "pac-bayes-mcallester",
    statement=_HARDEST + r"""$L_Q \le \hat L_Q + \sqrt{(\mathrm{KL}(Q \| P) + \ln(2 \sqrt n / \delta)) / (2 n)}$.""",
    source="McAllester 1999; Maurer 2004",
    agreement=Bound(),
    controls=("without KL", "without delta", "4 n for 2 n", "2 n^2 for 2 n"),
)
def pac_bayes_mcallester(run: Run) -> Trial:
    """Try the bound at the training set, posterior and delta where it is closest to failing."""
    budget = lambda kl, n, delta: kl + np.log(2 * np.sqrt(n) / delta)  # noqa: E731
    return _bound_trial(
        run,
        "mcallester",
        lambda r, kl, n, delta: gen.pac_bayes_mcallester(r, kl, n, delta=delta),
        {
            "without KL": lambda r, kl, n, delta: gen.pac_bayes_mcallester(r, 0 * kl, n, delta=delta),
            "without delta": lambda r, kl, n, delta: r + np.sqrt((kl + np.log(2 * np.sqrt(n))) / (2 * n)),
            "4 n for 2 n": lambda r, kl, n, delta: r + np.sqrt(budget(kl, n, delta) / (4 * n)),
            "2 n^2 for 2 n": lambda r, kl, n, delta: r + np.sqrt(budget(kl, n, delta) / (2 * n**2)),
        },
    )


@PAPER.claim(
    "pac-bayes-catoni",
    statement=_HARDEST
    + r"""$L_Q \le \frac{1 - \exp(-C \hat L_Q - (\mathrm{KL}(Q \| P) + \ln(1 / \delta)) / n)}{1 - e^{-C}}$ for one $C$
    fixed in advance.""",
    source="Catoni 2007, theorem 1.2.1",
    agreement=Bound(),
    controls=("without KL", "without delta", "C for 1 - exp(-C)", "half of ln(1 / delta)"),
)
def pac_bayes_catoni(run: Run) -> Trial:
    """Try the bound at the training set, posterior and delta where it is closest to failing, with C = 2."""
    C = 2.0

    def exponent(r: Array, kl: Array, n: int, delta: Array, share: float = 1.0) -> Array:
        return -np.expm1(-C * r - (kl + share * np.log(1 / delta)) / n)

    return _bound_trial(
        run,
        "catoni 2",
        lambda r, kl, n, delta: gen.pac_bayes_catoni(r, kl, n, delta=delta, c=C),
        {
            "without KL": lambda r, kl, n, delta: gen.pac_bayes_catoni(r, 0 * kl, n, delta=delta, c=C),
            "without delta": lambda r, kl, n, delta: exponent(r, kl, n, 1.0 + 0 * delta) / -np.expm1(-C),
            "C for 1 - exp(-C)": lambda r, kl, n, delta: exponent(r, kl, n, delta) / C,
            "half of ln(1 / delta)": lambda r, kl, n, delta: exponent(r, kl, n, delta, 0.5) / -np.expm1(-C),
        },
    )


@PAPER.claim(
    "gibbs-posterior",
    statement=r"""Catoni's bound is least for the Gibbs posterior $Q \propto P e^{-C n \hat L}$.""",
    source="Catoni 2007; Donsker and Varadhan",
    agreement=Identity(rtol=1e-6, resolution=1e-5),  # the bound is flat at its minimum, and its value is good to 1e-14
    controls=("inverse temperature C", "without the prior", "half the temperature", "best hypothesis alone"),
)
def gibbs_posterior(run: Run) -> Trial:
    """Minimise the bound over the simplex by mirror descent from the uniform law."""
    number = run.size("problems", quick=40, standard=400, full=10_000)
    rng = run.rng()
    risks, prior = rng.uniform(0, 1, (number, 5)), rng.dirichlet(np.ones(5), number)
    C, n = rng.uniform(0.3, 3, number), rng.integers(5, 40, number)

    def gibbs(gamma: Array, weights: Array = prior) -> Array:
        return np.array(
            [
                gen.gibbs_posterior(r, inverse_temperature=g, prior=p)
                for r, g, p in zip(risks, gamma, weights, strict=True)
            ]
        )

    return Trial(
        predict=lambda: gibbs(C * n),
        measure=lambda: np.asarray(sim.minimise_catoni(risks, prior, C, n)),
        controls={
            "inverse temperature C": lambda: gibbs(C),
            "without the prior": lambda: gibbs(C * n, np.full((number, 5), 0.2)),
            "half the temperature": lambda: gibbs(2 * C * n),
            "best hypothesis alone": lambda: np.eye(5)[risks.argmin(axis=1)],
        },
        scale=1.0,
    )
