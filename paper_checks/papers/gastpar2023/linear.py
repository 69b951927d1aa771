"""Linear functions over finite fields, and a learner that prefers a subspace: learning against estimating."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Bound, Identity, MonteCarlo, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, components
from paper_checks.papers.gastpar2023.paper import PAPER
from simulations import generalization as sim
from theory import generalization

Array = NDArray[np.float64]
Shape = tuple[int, int, int]


@PAPER.claim(
    "rank-law",
    statement=r"""A uniform $n \times k$ matrix over a field of $q$ elements has rank $r$ with probability
    $q^{-nk} \prod_{i<r} (q^n - q^i)(q^k - q^i)/(q^r - q^i)$.""",
    source="classical; how much a sample tells about a subspace",
    agreement=Identity(rtol=1e-12),
    controls=("no division by the changes of basis", "one row more", "full rank surely", "q + 1 elements"),
)
def rank_law(run: Run) -> Trial:
    """Reduce all matrices of small shapes over fields of 2 to 7 elements."""
    most = run.size("largest number of matrices", quick=70_000, standard=600_000, full=2**22)
    shapes = [(n, k, q) for q in (2, 3, 4, 5, 7) for n in range(1, 5) for k in range(1, 5) if q ** (n * k) <= most]

    def predict(law: Callable[[int, int, int], Array] = generalization.rank_distribution) -> Array:
        return components(*(law(n, k, q)[: min(n, k) + 1] for n, k, q in shapes))

    def undivided(n: int, k: int, q: int) -> Array:
        i = np.arange(min(n, k))
        steps = np.cumprod((q**n - q**i) * (q**k - q**i) / (q * 1.0) ** i)
        return np.append(1.0, steps) / float(q) ** (n * k)

    def full(n: int, k: int, q: int) -> Array:
        return np.eye(min(n, k) + 1)[-1]

    return Trial(
        predict=predict,
        measure=lambda: components(*(sim.count_ranks(n, k, q=q) for n, k, q in shapes)),
        controls={
            "no division by the changes of basis": lambda: predict(undivided),
            "one row more": lambda: predict(lambda n, k, q: generalization.rank_distribution(n + 1, k, q)),
            "full rank surely": lambda: predict(full),
            "q + 1 elements": lambda: predict(
                lambda n, k, q: generalization.rank_distribution(n, k, {2: 3, 3: 4, 4: 5, 5: 7, 7: 8}[q])
            ),
        },
        scale=1.0,
    )


def _bias(d: int, k: int, n: int, q: int = 2) -> Array:
    return np.array(generalization.linear_bias_tradeoff(d, k, n, q=q))


def _undisguised(d: int, k: int, n: int, q: int = 2) -> Array:
    """Predict as if no function outside V could look like one inside."""
    return _seen_through(d, k, n, q, disguise=0.0)


def _all_disguised(d: int, k: int, n: int, q: int = 2) -> Array:
    """Predict as if functions outside V always looked like those inside."""
    return _seen_through(d, k, n, q, disguise=1.0)


def _seen_through(d: int, k: int, n: int, q: int, *, disguise: float) -> Array:
    r = np.arange(min(n, k) + 1)
    law, hit = generalization.rank_distribution(n, k, q), float(q) ** (r - k)
    rest = (1 - disguise) / 2 * min(float(q) ** (n - d), 0.5)
    failure = law @ (np.minimum(hit, 1 - hit + disguise) / 2 + rest)
    return np.array([failure, law @ hit])


WRONG_BIASES: dict[str, Callable[..., Array]] = {
    "one dimension more in V": lambda d, k, n, q=2: _bias(d + 1, k + 1, n, q),
    "one dimension less outside V": lambda d, k, n, q=2: _bias(max(d - 1, k + 1), k, n, q) * (d > k + 1),
    "functions outside V never look like those inside": _undisguised,
    "functions outside V always look like those inside": _all_disguised,
    "one point more": lambda d, k, n, q=2: _bias(d, k, n + 1, q),
    "failure without the prior": lambda d, k, n, q=2: _bias(d, k, n, q) * [2, 1],
}


@PAPER.claim(
    "linear-bias",
    statement=r"""A learner of linear functions on $F_q^d$ prefers those in a subspace $V$ of dimension $k$, from which
    nature draws with probability 1/2. An estimator that knows the learner, and sees the sample and the hypothesis,
    fails to tell its error with probability $\sum_r P_{n,k}(r) \sum_t P_{n-r,d-k}(t) [\min(m_0, m_1) + \frac{1-p}{2}
    \min(b, 1-b)]$ at least, with $m_0 = q^{r-k}/2$, $m_1 = (1 - q^{r-k} + p)/2$, $b = q^{r+t-d}$ and $p = (q^{-t} -
    q^{k-d})/(1 - q^{k-d})$; the learner finds a function of $V$ with probability $\sum_r P_{n,k}(r) q^{r-k}$.""",
    source="derived; exact form of the example of linear functions",
    # sums of up to 10^7 terms
    agreement=Identity(rtol=1e-11),
    controls=tuple(WRONG_BIASES),
)
def linear_bias(run: Run) -> Trial:
    """List all samples, all functions and all answers of the learner, over fields of 2, 3, 4 and 5 elements."""
    shapes: list[Shape] = [
        (3, 1, 2),
        (4, 2, 2),
        (5, 2, 2),
        (4, 3, 2),
        (2, 1, 3),
        (3, 2, 3),
        (3, 1, 4),
        (2, 2, 4),
        (2, 2, 5),
    ]
    shapes += run.size(
        "larger d, n, q", quick=[], standard=[(5, 3, 2), (4, 2, 3)], full=[(5, 4, 2), (6, 3, 2), (4, 3, 3), (3, 3, 4)]
    )

    def measure() -> Array:
        found = []
        for d, n, q in shapes:
            game = sim.learning_game(sim.every_sample(d, n, q=q), np.arange(d), n=n, q=q)
            found += [game.failure.mean(axis=0), game.accuracy.mean(axis=0)]
        return components(*found)

    def predict(bias: Callable[..., Array] = _bias) -> Array:
        return components(*(np.transpose([bias(d, k, n, q) for k in range(d)]) for d, n, q in shapes))

    return Trial(
        predict=predict,
        measure=measure,
        controls={name: partial(predict, wrong) for name, wrong in WRONG_BIASES.items()},
        scale=1.0,
    )


@PAPER.claim(
    "linear-bias-sampled",
    statement=r"""The same for parities in many more dimensions than there are points, with drawn samples.""",
    source="derived; exact form of the example of linear functions",
    agreement=MonteCarlo(resolution=0.03),
    controls=(
        "functions outside V never look like those inside",
        "functions outside V always look like those inside",
        "V of one dimension more",
        "one point more",
        "error estimable at k = n",
    ),
)
def linear_bias_sampled(run: Run) -> Trial:
    """Draw samples, and list all functions for each."""
    d, n = run.size("dimension, sample", quick=(12, 4), standard=(14, 5), full=(18, 8))
    replicates = run.size("replicates", quick=20_000, standard=40_000, full=40_000)
    dimensions = np.arange(n - 2, n + 3)

    def measure() -> Samples:
        columns = run.rng("samples").integers(0, 2**n, (replicates, d))
        return Samples(np.stack(sim.learning_game(columns, dimensions, n=n, q=2), axis=1))

    def predict(bias: Callable[..., Array] = _bias) -> Array:
        return np.transpose([bias(d, int(k), n) for k in dimensions])

    def estimable(d: int, k: int, n: int) -> Array:
        return _bias(d, k, n) * [k != n, 1]

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "functions outside V never look like those inside": lambda: predict(_undisguised),
            "functions outside V always look like those inside": lambda: predict(_all_disguised),
            "V of one dimension more": lambda: predict(lambda d, k, n: _bias(d, k + 1, n)),
            "one point more": lambda: predict(lambda d, k, n: _bias(d, k, n + 1)),
            "error estimable at k = n": lambda: predict(estimable),
        },
    )


@PAPER.claim(
    "trade-off",
    statement=r"""In many more dimensions than points, an error is hardest to estimate when the preferred subspace has
    as many dimensions as the sample has points, $k = n$. Up to there a function in it is learned more often than not;
    beyond, it is not.""",
    source="the trade-off between learning and estimating, in its exact finite form",
    agreement=Ordering(side="above"),
    controls=("learner that prefers no function", "hardest by 1/4"),
)
def trade_off(run: Run) -> Trial:
    """List all samples and all functions; then those of a learner without preference."""
    shapes: list[Shape] = run.size(
        "d, n, q",
        quick=[(6, 1, 2), (8, 2, 2), (5, 2, 3)],
        standard=[(8, 1, 2), (9, 2, 2), (5, 2, 3)],
        full=[(8, 1, 2), (10, 2, 2), (7, 3, 2), (6, 2, 3)],
    )

    def measure(biased: bool = True) -> Array:
        found = []
        for d, n, q in shapes:
            k = np.arange(d)
            game = sim.learning_game(sim.every_sample(d, n, q=q), k, n=n, q=q, biased=biased)
            failure, accuracy = game.failure.mean(axis=0), game.accuracy.mean(axis=0)
            learned = np.where(k <= n, accuracy - 0.5, 0.5 - accuracy)
            found += [np.delete(failure[n] - failure, n), learned]
        return components(*found)

    def threshold(gap: float) -> Array:
        return components(*(part for d, _, _ in shapes for part in (np.full(d - 1, gap), np.zeros(d))))

    return Trial(
        predict=lambda: threshold(0.0),
        measure=measure,
        controls={"hardest by 1/4": lambda: threshold(0.25)},
        counterexamples={"learner that prefers no function": lambda: measure(biased=False)},
        scale=1.0,
    )


@PAPER.claim(
    "floor",
    statement=r"""At $k = n$ no estimator fails less often than $\frac12 \prod_{i=1}^n (1 - q^{-i})$, which is 0.144 for
    parities and many points, and near 1/2 over large fields, in whatever dimension.""",
    source="derived; limit of the trade-off",
    agreement=Bound(side="lower", rounding=1e-12),
    controls=("no factor 1/2", "product from i = 2", "0.49 for every q > 3", "one point less"),
)
def floor(run: Run) -> Trial:
    """List all samples and all functions."""
    shapes: list[Shape] = [(2, 1, 2), (5, 1, 2), (3, 2, 2), (5, 2, 2), (7, 2, 2), (4, 3, 2), (5, 3, 2), (2, 1, 3)]
    shapes += [(4, 1, 3), (3, 2, 3), (2, 1, 4), (3, 1, 5), (2, 1, 7), (2, 1, 31)]
    shapes += run.size(
        "larger d, n, q", quick=[], standard=[(6, 3, 2), (4, 2, 3)], full=[(7, 3, 2), (5, 4, 2), (5, 2, 3)]
    )

    def measure() -> Array:
        games = [sim.learning_game(sim.every_sample(d, n, q=q), np.array([n]), n=n, q=q) for d, n, q in shapes]
        return np.array([game.failure.mean() for game in games])

    def predict(bound: Callable[[int, int], float]) -> Array:
        return np.array([bound(n, q) for _, n, q in shapes])

    def regular(n: int, q: int) -> float:
        return float(generalization.rank_distribution(n, n, q)[n])

    return Trial(
        predict=lambda: predict(lambda n, q: regular(n, q) / 2),
        measure=measure,
        controls={
            "no factor 1/2": lambda: predict(regular),
            "product from i = 2": lambda: predict(lambda n, q: regular(n, q) / (1 - 1 / q) / 2),
            "0.49 for every q > 3": lambda: predict(lambda n, q: 0.49 if q > 3 else 0.0),
            "one point less": lambda: predict(lambda n, q: regular(n - 1, q) / 2),
        },
    )
