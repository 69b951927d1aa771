"""Infinitely large steps: iterates and losses become the perceptron's, exponentially fast."""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Equivalence, Identity
from paper_checks.claim import Run, Trial
from paper_checks.papers.tyurin2024.paper import PAPER
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]

ALONE = 1.7  # least ratio of successive margins on a path, so that one exponential outlives the others
ALIGNED = 0.2  # least cosine between the row that counts and the gradient of the loss
TOGETHER = 6.0  # largest ratio of margins of which either may be the one that counts
GAMMAS = np.geomspace(10, 6000, 68)  # ratio 1.1
FALLEN = (1e-7, 1e-12)  # relative errors between which a rate is read: later exponentials are gone, rounding is to come
CHUNK = 20_000


def _select(run: Run, sets: int, keep: Callable[[Array], NDArray[np.bool_]]) -> Array:
    """Draw data sets of 12 samples in 3 dimensions until as many as wanted meet a criterion."""
    rng, kept, found = run.rng(), [], 0
    for _ in range(10 + 200 * sets // CHUNK):
        rows = sim.random_separable(rng, n_sets=min(CHUNK, 40 * sets), n_samples=12, dimension=3)
        kept.append(rows[keep(rows)])
        found += len(kept[-1])
        if found >= sets:
            return np.concatenate(kept)[:sets]
    raise RuntimeError(f"only {found} data sets meet the criterion; {sets} are wanted")


def _margins(rows: Array, path: Array) -> Array:
    """Absolute margins of all rows at the iterates of a path after the start, smallest first."""
    return np.sort(np.abs(np.einsum("std,snd->stn", path[:, 1:], rows)).reshape(len(rows), -1), axis=1)


def _alignment(rows: Array, path: Array) -> Array:
    """Return the cosine of the row of smallest margin before the last iterate with the gradient of the loss there."""
    margins = np.abs(np.einsum("std,snd->snt", path[:, 1:-1], rows)).min(axis=2)
    closest = rows[np.arange(len(rows)), margins.argmin(axis=1)]
    wrong = np.einsum("sd,snd->sn", path[:, -1], rows) < 0
    gradient = np.einsum("sn,snd->sd", wrong, rows)
    sizes = np.linalg.norm(closest, axis=1) * np.linalg.norm(gradient, axis=1)
    return np.abs(np.sum(closest * gradient, axis=1)) / np.maximum(sizes, np.finfo(float).tiny)


@lru_cache(maxsize=4)
def _distinct_margins(run: Run, sets: int, steps: int, normalized: bool, loss: bool) -> Array:
    """Draw data whose margins on the perceptron's path are distinct, none below 0.01.

    The exponential of the smallest margin is then visible alone before rounding sets in. Normalised, a row that is
    alone in being misclassified does not count, one at each step: as many more of the smallest must be distinct. Its
    weight multiplies the error by 1 / (1 - exp(-gamma margin)), so that its margin must not be much smaller than the
    one that counts. Where the loss is asked for, the last iterate must leave some, and its own margins must not be the
    smallest; and the row whose margin is smallest must move it, which a row orthogonal to the loss's gradient does not.
    """

    def keep(rows: Array) -> NDArray[np.bool_]:
        path = sim.perceptron_path(rows, n_steps=steps, normalized=normalized)
        smallest = _margins(rows, path[:, :-1])[:, : steps + 1 if normalized else 2]
        good = (smallest[:, 0] > 0.01) & (smallest[:, 1:] > ALONE * smallest[:, :-1]).all(axis=1)
        if normalized:
            good &= smallest[:, steps - 1] < TOGETHER * smallest[:, 0]
            good &= sim.steps_to_separate(rows, normalized=True) >= steps
        if loss:
            last = np.einsum("sd,snd->sn", path[:, -1], rows)
            good &= (last < 0).any(axis=1) & (np.abs(last).min(axis=1) > ALONE * smallest[:, 0])
            good &= _alignment(rows, path) > ALIGNED
        return good

    return _select(run, sets, keep)


@lru_cache(maxsize=4)
def _away_from_ties(run: Run, sets: int, steps: int, gamma: float) -> Array:
    """Draw data with no margin below 45 / gamma on the path, where every sigmoid is a step to 1e-19."""
    return _select(run, sets, lambda rows: _margins(rows, sim.perceptron_path(rows, n_steps=steps))[:, 0] > 45 / gamma)


def _decay_rates(error: Callable[[float], Array]) -> Array:
    """Read the rate at which errors fall as the step size grows, where they are between the levels of `FALLEN`.

    An error that changes sign is small by chance at one step size: it has fallen where it stays below the level.
    """
    errors = np.stack([error(gamma) for gamma in GAMMAS])
    first = len(GAMMAS) - (errors >= FALLEN[0])[::-1].argmax(axis=0)
    last = len(GAMMAS) - 1 - (errors > FALLEN[1])[::-1].argmax(axis=0)
    sets = np.arange(errors.shape[1])
    if not (first < last).all():
        raise RuntimeError("the step sizes do not reach from one level of the error to the other")
    return np.log(errors[first, sets] / errors[last, sets]) / (GAMMAS[last] - GAMMAS[first])


def _limit_trial(run: Run, *, normalized: bool) -> Trial:
    sets = run.size("data sets", quick=300, standard=2000, full=50_000)
    steps = 3 if normalized else 4
    draw = partial(_distinct_margins, run, sets, steps, normalized, False)

    def measure() -> Array:
        rows = draw()
        limit = sim.perceptron_path(rows, n_steps=steps, normalized=normalized)[:, -1]
        size = np.linalg.norm(limit, axis=1)

        def error(gamma: float) -> Array:
            path = sim.descent_path(rows, step_size=gamma, n_steps=steps, normalized=normalized)
            return np.linalg.norm(path[:, -1] / gamma - limit, axis=1) / size

        return _decay_rates(error)

    def predict(steps: int = steps) -> Array:
        return np.array([optimization.perceptron_limit_rate(b, n_steps=steps, normalized=normalized) for b in draw()])

    def over_margins(reduce: Callable[[Array], float], steps: int = steps) -> Array:
        found = []
        for b in draw():
            path = optimization.batch_perceptron(b, n_steps=steps, normalized=normalized)
            found.append(reduce(np.abs(path[1:-1] @ b.T)))
        return np.array(found)

    controls = {
        "twice the margin": lambda: 2 * predict(),
        "mean margin": lambda: over_margins(np.mean),
        "smallest margin before the last": lambda: over_margins(lambda m: m[-1].min()),
        "largest margin": lambda: over_margins(np.max),
    }
    if normalized:
        controls["rows alone in being wrong count too"] = lambda: over_margins(np.min)
    else:
        controls["last iterate counts too"] = lambda: over_margins(np.min, steps + 1)
    return Trial(predict=predict, measure=measure, controls=controls)


@PAPER.claim(
    "perceptron-limit",
    statement=r"""As $\gamma \to \infty$, $\theta_t / \gamma$ tends to the batch perceptron's iterate at the rate
    $e^{-\gamma m}$, $m = \min_{1 \le s < t} \min_i |b_i \cdot u_s|$ over the perceptron's path.""",
    source="connection of gradient descent with the batch perceptron; the rate is derived",
    agreement=Equivalence(margin=0.02, resolution=0.05),
    controls=(
        "twice the margin",
        "mean margin",
        "smallest margin before the last",
        "largest margin",
        "last iterate counts too",
    ),
)
def perceptron_limit(run: Run) -> Trial:
    """Descend on many data sets at 68 step sizes, and read the slope of the log error where rounding allows.

    The margin of 2 % covers the next exponential: at least 1.7 times as fast, and read from an error of 1e-7 on, it is
    below the first by a factor of 1e4 times the ratio of their coefficients.
    """
    return _limit_trial(run, normalized=False)


@PAPER.claim(
    "normalized-limit",
    statement=r"""Normalised by its mean weight, gradient descent tends to the perceptron that moves by the mean of the
    misclassified rows, up to the first iterate that separates the data, at the rate $e^{-\gamma m}$ with $m$ over all
    rows but those that equal the mean of the rows misclassified with them.""",
    source="normalised gradient descent; the rate is derived",
    agreement=Equivalence(margin=0.02, resolution=0.05),
    controls=(
        "twice the margin",
        "mean margin",
        "smallest margin before the last",
        "largest margin",
        "rows alone in being wrong count too",
    ),
)
def normalized_limit(run: Run) -> Trial:
    r"""Measure the same for the normalised method.

    A row that alone is misclassified has weight 1 after normalisation, whatever its sigmoid: its margin, which may be
    the smallest, does not limit the convergence.
    """
    return _limit_trial(run, normalized=True)


def _perceptron_variant(rows: Array, n_steps: int, *, tie: float = 0.5, total: bool = False) -> Array:
    """Run a batch perceptron with another weight for ties, or with sums for means."""
    path = np.zeros((len(rows), n_steps + 1, rows.shape[2]))
    for t in range(n_steps):
        margins = np.einsum("snd,sd->sn", rows, path[:, t])
        weights = np.where(margins < 0, 1.0, np.where(margins == 0, tie, 0.0))
        update = np.einsum("sn,snd->sd", weights, rows)
        path[:, t + 1] = path[:, t] + (update if total else update / rows.shape[1])
    return path


@PAPER.claim(
    "perceptron-path",
    statement=r"""Where $\gamma$ times every margin on the path is large, the iterates $\theta_t / \gamma$ of gradient
    descent are those of the batch perceptron $u_{t+1} = u_t + \frac1n \sum_i h(b_i \cdot u_t) b_i$ with $h = 1,
    \frac12, 0$ for negative, zero and positive margins.""",
    source="connection of gradient descent with the batch perceptron",
    # ten additions of means over 12 rows: some 1e2 roundings
    agreement=Identity(rtol=1e-13),
    controls=("ties count in full", "sums for means", "normalised", "step ahead"),
)
def perceptron_path(run: Run) -> Trial:
    """Compare all iterates on data whose margins stay above 45 / gamma."""
    sets, steps, gamma = run.size("data sets", quick=1000, standard=10_000, full=1_000_000), 10, 1e5
    draw = partial(_away_from_ties, run, sets, steps, gamma)

    def predict(normalized: bool = False, ahead: int = 0) -> Array:
        paths = [optimization.batch_perceptron(b, n_steps=steps + ahead, normalized=normalized) for b in draw()]
        return np.stack(paths)[:, 1 + ahead :]

    return Trial(
        predict=predict,
        measure=lambda: sim.descent_path(draw(), step_size=gamma, n_steps=steps)[:, 1:] / gamma,
        controls={
            "ties count in full": lambda: _perceptron_variant(draw(), steps, tie=1.0)[:, 1:],
            "sums for means": lambda: _perceptron_variant(draw(), steps, total=True)[:, 1:],
            "normalised": lambda: predict(normalized=True),
            "step ahead": lambda: predict(ahead=1),
        },
        scale="largest",
    )


@PAPER.claim(
    "scaled-path",
    statement=r"""Divided by its step size, gradient descent on the mean logistic loss follows $u_{t+1} = u_t + \frac1n
    \sum_i b_i / (1 + e^{\gamma b_i \cdot u_t})$; normalised, by the mean of the rows with these weights.""",
    source="gradient descent, in units of its step size",
    # a step multiplies an error by up to 1 + gamma R^2 / 4: some 1e5 in all at gamma = 8
    agreement=Identity(rtol=1e-10),
    controls=("half the step size", "sums for means", "normalised and plain exchanged", "in units of the features"),
)
def scaled_path(run: Run) -> Trial:
    """Follow six steps from 0 at small and moderate step sizes, with and without normalisation."""
    sets, steps, gammas = run.size("data sets", quick=100, standard=1000, full=100_000), 6, (0.5, 2.0, 8.0)
    rows = sim.random_separable(run.rng(), n_sets=sets, n_samples=12, dimension=3)
    cases = [(gamma, normalized) for gamma in gammas for normalized in (False, True)]

    def predict(shrink: float = 1.0, exchange: bool = False, rows: Array = rows) -> Array:
        return np.stack(
            [
                [
                    optimization.logistic_gd_scaled(
                        b, step_size=shrink * gamma, n_steps=steps, normalized=normalized != exchange
                    )
                    for b in rows
                ]
                for gamma, normalized in cases
            ]
        )

    def measure() -> Array:
        paths = [sim.descent_path(rows, step_size=g, n_steps=steps, normalized=normal) / g for g, normal in cases]
        return np.stack(paths)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "half the step size": lambda: predict(shrink=0.5),
            "sums for means": lambda: 12 * predict(shrink=12.0),
            "normalised and plain exchanged": lambda: predict(exchange=True),
            "in units of the features": lambda: predict(rows=rows / np.linalg.norm(rows, axis=2, keepdims=True)),
        },
        scale="largest",
    )


@PAPER.claim(
    "loss-limit",
    statement=r"""$f(\theta_t) / \gamma$ tends to the perceptron loss $\frac1n \sum_i \max(0, -b_i \cdot u_t)$ of the
    perceptron's iterate: until the data are separated, the loss is proportional to the step size.""",
    source="loss of gradient descent with large steps",
    agreement=Identity(rtol=1e-12),
    controls=("loss over gamma squared", "hinge loss", "sum for mean", "ties count in full", "squared perceptron loss"),
)
def loss_limit(run: Run) -> Trial:
    """Losses along the paths at two large step sizes, over the step size."""
    sets, steps = run.size("data sets", quick=1000, standard=10_000, full=1_000_000), 4
    gammas = np.array([1e5, 1e6])
    draw = partial(_away_from_ties, run, sets, steps, float(gammas.min()))

    def measure() -> Array:
        rows = draw()
        return np.stack(
            [sim.logistic_losses(rows, sim.descent_path(rows, step_size=g, n_steps=steps)[:, 1:]) / g for g in gammas]
        )

    def predict() -> Array:
        paths = [(b, optimization.batch_perceptron(b, n_steps=steps)[1:]) for b in draw()]
        losses = np.stack([optimization.perceptron_loss(b, path) for b, path in paths])
        return np.stack([losses, losses])

    def of_path(loss: Callable[[Array], Array], tie: float = 0.5) -> Array:
        rows = draw()
        path = _perceptron_variant(rows, steps, tie=tie)[:, 1:]
        losses = loss(np.einsum("std,snd->stn", path, rows))
        return np.stack([losses, losses])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "loss over gamma squared": lambda: predict() * gammas[:, None, None],
            "hinge loss": lambda: of_path(lambda m: np.maximum(0, 1 - m).mean(axis=-1)),
            "sum for mean": lambda: of_path(lambda m: np.maximum(0, -m).sum(axis=-1)),
            "ties count in full": lambda: of_path(lambda m: np.maximum(0, -m).mean(axis=-1), tie=1.0),
            "squared perceptron loss": lambda: of_path(lambda m: (np.maximum(0, -m) ** 2).mean(axis=-1)),
        },
        scale="largest",
    )


@PAPER.claim(
    "loss-limit-rate",
    statement=r"""That limit, too, is approached as $e^{-\gamma m}$, with the smallest margin $m$ of the iterates before
    it, where those of the iterate itself are larger and it leaves some loss.""",
    source="derived",
    agreement=Equivalence(margin=0.02, resolution=0.05),
    controls=("twice the margin", "one iterate less", "margin over n"),
)
def loss_limit_rate(run: Run) -> Trial:
    """Read the slope of the log error of the loss over the step size."""
    sets, steps = run.size("data sets", quick=150, standard=1500, full=20_000), 3
    draw = partial(_distinct_margins, run, sets, steps, False, True)

    def measure() -> Array:
        rows = draw()
        end = sim.perceptron_path(rows, n_steps=steps)[:, -1]
        limit = np.maximum(0, -np.einsum("snd,sd->sn", rows, end)).mean(axis=1)

        def error(gamma: float) -> Array:
            path = sim.descent_path(rows, step_size=gamma, n_steps=steps)
            return np.abs(sim.logistic_losses(rows, path[:, -1:])[:, 0] / gamma - limit)

        return _decay_rates(error)

    def predict(steps: int = steps) -> Array:
        return np.array([optimization.perceptron_limit_rate(b, n_steps=steps) for b in draw()])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "twice the margin": lambda: 2 * predict(),
            "one iterate less": lambda: predict(steps - 1),
            "margin over n": lambda: predict() / 12,
        },
    )
