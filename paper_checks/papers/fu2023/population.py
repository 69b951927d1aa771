"""Random prompts: the limit of many dimensions, the best-matching gradient step, and ill-conditioned data."""

from collections.abc import Callable
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import FiniteSize, Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Samples, Sizes, components
from paper_checks.papers.fu2023.paper import PAPER, POWER, STARTS, prompt
from simulations.in_context import gram_samples, iterations, probes
from simulations.replicates import over_replicates
from theory import in_context

STEPS = (2, 4)
SCALE = 0.5  # at 0.8 a stray eigenvalue leaves the region of convergence often enough to skew the mean
ASPECT = 1 / 3


def _newton_errors(run: Run) -> Sizes:
    """Mean squared errors after a few iterations, on Gaussian prompts of four sizes and one aspect ratio."""
    sizes = run.size("dimensions", quick=(8, 12, 18, 27), standard=(8, 16, 32, 64), full=(16, 32, 64, 128))
    draws = run.size("draws", quick=8000, standard=10_000, full=100_000)
    found = []
    for d in sizes:
        n = round(d / ASPECT)
        edge = n * (1 + np.sqrt(ASPECT)) ** 2
        alphas = jnp.array([SCALE / edge ** POWER[start] for start in STARTS])
        errors, powers = over_replicates(_both_starts, run.keys(draws, f"d = {d}"), alphas, jnp.ones(d), n)
        found.append(gram_samples.with_known_moments(errors, powers, examples=n, dimension=d))
    return Sizes(sizes, np.stack(found))


def _both_starts(key: jax.Array, alphas: jax.Array, scales: jax.Array, examples: int) -> tuple[jax.Array, jax.Array]:
    gram = gram_samples.sample_gram(key, scales, examples)
    errors = [
        gram_samples.newton_error(gram, alpha, steps=STEPS[-1], start=start)[jnp.array(STEPS)]
        for alpha, start in zip(alphas, STARTS, strict=True)
    ]
    return jnp.concatenate(errors), gram_samples.traces(gram)


def _limits(shift: int = 0, aspect: float = ASPECT) -> np.ndarray:
    return np.array(
        [
            in_context.newton_mse_limit(aspect, step=k + shift, alpha_scale=SCALE, init=start)
            for start in STARTS
            for k in STEPS
        ]
    )


def _coefficients() -> np.ndarray:
    return np.array(
        [
            in_context.newton_mse_correction(ASPECT, step=k, alpha_scale=SCALE, init=start)
            for start in STARTS
            for k in STEPS
        ]
    )


@PAPER.claim(
    "mp-limit",
    statement=r"""On isotropic Gaussian prompts with $d / n = \gamma < 1$ and $\alpha = c\,(n b)^{-p}$, $b = (1 +
    \sqrt\gamma)^2$, the mean squared error of the weights tends to $\int (1 - c (x/b)^p)^{2^{k+1}} d\mu(x)$ over the
    Marchenko-Pastur law, as 1/d; prompts on which the iteration diverges, exponentially rare, count as unanswered.""",
    source="derived, for the data of the paper",
    agreement=FiniteSize(exponent=1, resolution=1e-2, of="limit", second=2),
    controls=("error for squared error", "one iteration more", "n/d for d/n"),
)
def mp_limit(run: Run) -> Trial:
    """Newton's iteration on sampled Gram matrices, averaged over task vectors by the trace of the squared residual."""

    def other_aspect() -> np.ndarray:
        """Average over the nonzero spectrum of gamma' = 1 / gamma, in units of the same edge."""
        return _limits(aspect=1 / (1 + 1 / ASPECT))

    return Trial(
        predict=_limits,
        measure=lambda: _newton_errors(run),
        controls={
            "error for squared error": lambda: _limits(shift=-1),
            "one iteration more": lambda: _limits(shift=1),
            "n/d for d/n": other_aspect,
        },
        scale=1.0,
    )


@PAPER.claim(
    "mp-correction",
    statement=r"""That limit is approached as $\frac1d \{ \frac{f(a) + f(b)}{4} - \frac{1}{2\pi} \int_0^\pi f(1 + \gamma
    + 2 \sqrt\gamma \cos\theta)\,d\theta \}$ for real Gaussian data, $f(x) = (1 - c (x/b)^p)^{2^{k+1}}$.""",
    source="derived from the theorem of Bai and Silverstein",
    agreement=FiniteSize(exponent=1, resolution=1e-2, of="limit", second=2),
    controls=("edges dropped", "complex data", "opposite sign"),
)
def mp_correction(run: Run) -> Trial:
    """Judge limit and coefficient together on prompts of its own."""

    def predict(change: Callable[[np.ndarray], np.ndarray] = lambda c: c) -> Limit:
        return Limit(_limits(), change(_coefficients()))

    def edges() -> np.ndarray:
        a, b = ((1 + sign * np.sqrt(ASPECT)) ** 2 for sign in (-1, 1))
        found = []
        for start in STARTS:
            z = SCALE * (np.array([a, b]) / b) ** POWER[start]
            found += [np.sum((1 - z) ** 2 ** (k + 1)) / 4 for k in STEPS]
        return np.array(found)

    return Trial(
        predict=predict,
        measure=lambda: _newton_errors(run),
        controls={
            "edges dropped": lambda: predict(lambda c: c - edges()),
            "complex data": lambda: predict(np.zeros_like),
            "opposite sign": lambda: predict(np.negative),
        },
        scale=1.0,
    )


@PAPER.claim(
    "best-match-exact",
    statement=r"""From $\alpha I$, the gradient step whose errors are most similar to those of iteration k is step $2^k$
    (rate $\alpha$), with similarity 1: where the number of steps is free, similarity of errors cannot tell Newton's
    method from gradient descent. Only how the matching number grows can.""",
    source="best-matching hyperparameters; exact case derived",
    agreement=Identity(rtol=1e-10),
    controls=("3^k", "2k", "similarity below one"),
)
def best_match_exact(run: Run) -> Trial:
    """Similarity of errors over the queries of sampled prompts, against every step up to 64."""
    d, n, asked, prompts, last = 4, 12, 5, run.size("prompts", quick=20, standard=200, full=2000), 5
    rng = run.rng()
    # a fixed spectrum keeps all errors far above rounding, and the two slowest directions apart
    drawn = [prompt(rng, [1.0, 0.6, 0.3, 0.15], examples=n) for _ in range(prompts)]
    x, task = np.stack([one.x for one in drawn]), np.stack([one.task for one in drawn])
    queries = rng.standard_normal((prompts, asked, d))
    y, targets = np.einsum("pnd,pd->pn", x, task), np.einsum("pqd,pd->pq", queries, task)
    alpha = np.full(prompts, 0.9)

    def measure() -> np.ndarray:
        def missed(weights: jax.Array) -> np.ndarray:
            return np.einsum("kpd,pqd->kpq", weights, queries) - targets

        newton = missed(iterations.newton_weights(x, y, alpha, steps=last, start="identity"))
        descent = missed(iterations.gradient_weights(x, y, alpha, steps=range(2**last + 1)))
        alike = np.array([probes.similarity(one[None], descent) for one in newton])
        best = np.argmax(np.round(alike, 12), axis=1)
        return components(best, best, alike.max(axis=1))

    def errors(residual: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Errors that a residual polynomial leaves on the queries, for all prompts."""
        left = residual(drawn[0].s)
        return np.stack(
            [-q @ one.basis @ (left * (one.basis.T @ one.task)) for one, q in zip(drawn, queries, strict=True)]
        )

    def right() -> np.ndarray:
        """Count by the formula, and by comparing the errors that theory expects of both methods."""
        gd, newton = in_context.gd_residual, in_context.newton_residual
        descended = np.stack([errors(partial(gd, step=t, learning_rate=0.9)) for t in range(2**last + 1)])
        pairs = [
            in_context.best_matching_step(errors(partial(newton, step=k, alpha=0.9, init="identity")), descended)
            for k in range(last + 1)
        ]
        counts = [
            in_context.gd_steps_matching_newton(0.15, step=k, alpha=0.9, learning_rate=0.9, init="identity")
            for k in range(last + 1)
        ]
        return components(counts, *np.transpose(pairs))

    def predict(count: Callable[[int], float] = lambda k: 2.0**k, similarity: float = 1.0) -> np.ndarray:
        counts = [count(k) for k in range(last + 1)]
        return components(counts, counts, np.full(last + 1, similarity))

    return Trial(
        predict=right,
        measure=measure,
        controls={
            "3^k": lambda: predict(lambda k: 3.0**k),
            "2k": lambda: predict(lambda k: 2.0 * k),
            "similarity below one": lambda: predict(similarity=0.99),
        },
        scale=1.0,
    )


DOUBLINGS, PARTS = 11, 4


def _residual_curves(key: jax.Array, scales: jax.Array, times: jax.Array, examples: int, steps: int) -> tuple:
    """Residuals of both methods on one sampled Gram matrix: alpha = 1 / ||S^2||_F and eta = 1 / s_1."""
    s = jnp.linalg.eigvalsh(gram_samples.sample_gram(key, scales, examples))
    newton = gram_samples.newton_residuals(s, 1 / jnp.linalg.norm(s**2), steps=steps)
    return newton, gram_samples.descent_residuals(s, 1 / s[-1], times)


def _sines(key: jax.Array, scales: jax.Array, times: jax.Array, examples: int, steps: int) -> jax.Array:
    return gram_samples.squared_sines(*_residual_curves(key, scales, times, examples, steps))


@PAPER.claim(
    "best-match-map",
    statement=r"""From $\alpha S$ on Gaussian prompts (d = 20, n = 41) the best-matching gradient step doubles with
    every iteration once the slowest direction dominates, and grows by a factor between $2^{0.4}$ and $2^{0.95}$
    before; its similarity stays above 0.95 throughout, however different the methods.""",
    source="best-matching hyperparameters and the heat map of similarities",
    agreement=Ordering(),
    controls=("matching step linear in k", "squares of residuals compared"),
)
def best_match_map(run: Run) -> Trial:
    """Take angles between residuals on sampled Gram matrices; slopes of log2 of the best step over two ranges of k."""
    draws = run.size("draws", quick=1500, standard=5000, full=40_000)
    d, n, steps = 20, 41, 12

    @cache
    def matched() -> tuple[np.ndarray, np.ndarray]:
        """log2 of the best step for each draw and iteration, and the squared sine that is left."""
        times = gram_samples.descent_times(DOUBLINGS, PARTS)
        sines = over_replicates(_sines, run.keys(draws), jnp.ones(d), times, n, steps)
        return np.log2(np.asarray(times)[np.argmin(sines, axis=2)]), sines.min(axis=2)

    def statistics(best: np.ndarray) -> Samples:
        bulk, late = (_slopes(best[:, first : last + 1]) for first, last in ((2, 6), (9, 12)))
        closest = -np.log(matched()[1].max(axis=1))
        return Samples(np.stack([bulk, -bulk, late, -late, closest], axis=1))

    def linear() -> Samples:
        best = matched()[0]
        return statistics(np.log2(np.arange(1, steps + 2)) + 0.1 * (best - best.mean(axis=0)))

    return Trial(
        predict=lambda: np.array([0.4, -0.95, 0.9, -1.1, -np.log(1 - 0.95**2)]),
        measure=lambda: statistics(matched()[0]),
        controls={"squares of residuals compared": lambda: np.array([0.4, -0.95, 1.9, -2.1, -np.log(1 - 0.95**2)])},
        counterexamples={"matching step linear in k": linear},
    )


def _slopes(values: np.ndarray) -> np.ndarray:
    """Least-squares slope along the last axis."""
    x = np.arange(values.shape[-1]) - (values.shape[-1] - 1) / 2
    return values @ x / (x @ x)


@PAPER.claim(
    "ill-conditioned",
    statement=r"""Half of the inputs' variances a hundred times the other half (d = 20, n = 40): Newton's method needs
    2 to 14 iterations more to a relative error of 1e-3, gradient descent over 16 times as many steps. The cost of
    conditioning is added to the one and multiplies the other.""",
    source="experiments on ill-conditioned data",
    agreement=Ordering(),
    controls=("cost multiplied for Newton too", "isotropic data twice"),
)
def ill_conditioned(run: Run) -> Trial:
    """Fractional counts on pairs of prompts, isotropic and not; the error is averaged over tasks and queries."""
    draws = run.size("draws", quick=2000, standard=4000, full=40_000)
    d, n, steps = 20, 40, 24
    lam = np.where(np.arange(d) < d // 2, 10.0, 1.0)
    spread = lam * np.sqrt(d / np.sum(lam**2))

    def counts(scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        times = gram_samples.descent_times(DOUBLINGS, PARTS)
        newton, descent = over_replicates(_residual_curves, run.keys(draws), jnp.asarray(scales), times, n, steps)
        error = [np.maximum(np.mean(residuals**2, axis=2), 1e-300) for residuals in (newton, descent)]
        iterations = [np.interp(-np.log(1e-3), -np.log(e), np.arange(steps + 1)) for e in error[0]]
        log_steps = [np.interp(-np.log(1e-3), -np.log(e), np.log2(times)) for e in error[1]]
        return np.array(iterations), np.array(log_steps)

    def statistics(of_scales: np.ndarray = spread) -> Samples:
        base, base_log = counts(np.ones(d))
        harder, harder_log = counts(of_scales)
        factor, added = harder_log - base_log, harder - base
        return Samples(np.stack([factor, added, -added, factor - np.log2(harder / base)], axis=1))

    return Trial(
        predict=lambda: np.array([4.0, 2.0, -14.0, 3.0]),
        measure=statistics,
        controls={"cost multiplied for Newton too": lambda: np.array([4.0, 40.0, -60.0, 3.0])},
        counterexamples={"isotropic data twice": lambda: statistics(np.ones(d) * 1.001)},
    )
