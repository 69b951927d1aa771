"""The optimal step, its risk, and the exact loss of a layer."""

from fractions import Fraction
from typing import Any

import numpy as np
import sympy

from paper_checks.agreement import ConvergenceOrder, ExactRational, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Exact, Limit, Samples, Steps
from paper_checks.papers.mahankali2023.paper import PAPER, Array, search
from paper_checks.rationals import recovered
from simulations.in_context import layer_training
from simulations.in_context import rational_prompts as wick
from simulations.in_context.linear_layer import SUMMED, random_linear_layer
from simulations.in_context.populations import gaussian_moments
from simulations.in_context.prompt_risks import layer_risk
from simulations.replicates import over_replicates
from theory import in_context

SMALL = ((1, 1), (2, 1), (1, 2), (2, 2), (3, 1), (3, 2))
NOISE = Fraction(7, 10)


def _step_layer(dim: int, step: Fraction | int) -> tuple[list[Fraction], list[list[Fraction]]]:
    """Weights of the layer that takes one step of gradient descent."""
    identity = [[Fraction(step) * (i == j < dim) for j in range(dim + 1)] for i in range(dim + 1)]
    return [Fraction(0)] * dim + [Fraction(1)], identity


@PAPER.claim(
    "gaussian-moments",
    statement=r"""For $n$ standard normal inputs with Gram matrix $H$ and $y = Xw + \epsilon$: $E\,\mathrm{tr} H^2 = n d
    (n + d + 1)$, $E\|X^T y\|^2 = n d (n + d + 1 + s_2)$, $E[w^T X^T y] = n d$, $E(y^T y)^2 = n (n + 2) [d (d + 2) +
    2 d s_2 + s_2^2]$.""",
    source="derived; moments behind the main theorem",
    agreement=ExactRational(),
    controls=("without the pairing of an example with itself", "n (n + 1) for n (n + 2)", "noise times d"),
)
def gaussian_moments_kit(run: Run) -> Trial:
    """Every moment as a polynomial, averaged by Wick's theorem; the theory's from the Gram moments and the loss."""
    sizes = run.size("n, d", quick=SMALL, standard=SMALL, full=(*SMALL, (2, 3), (3, 3)))

    def measure() -> Exact:
        found = []
        for n, d in sizes:
            p = wick.gaussian_prompt(n=n, dim=d, noise_var=NOISE)
            gram, labels = wick.gram(p), p.labels
            gradient = [wick.dot([row[i] for row in p.x], labels) for i in range(d)]
            flat = [entry for row in gram for entry in row]
            quantities = (
                wick.dot(flat, flat),
                wick.dot(gradient, gradient),
                wick.dot(p.w, gradient),
                wick.dot(labels, labels) ** 2,
            )
            found += [wick.mean(quantity, p.variances) for quantity in quantities]
        return Exact(tuple(found))

    def predict(own: float = 0.0, pair: float = 0.0, noise: float = 0.0) -> Exact:
        s2, found = float(NOISE), []
        for n, d in sizes:
            trace, square = in_context.gram_moments(n_context=n, dim=d)
            # a layer that sees only the labels: its squared answer at a unit query is (y.y)^2
            value, key_query = np.eye(d + 1)[d], np.zeros((d + 1, d + 1))
            key_query[d, 0] = 1.0
            labels = in_context.lsa_population_loss(value, key_query, n_context=n, noise_var=s2) - s2 - d
            square += own * trace
            found += [square, square + s2 * trace * (1 + noise * (d + 1)), trace, labels * (1 + pair / (n + 2))]
        return recovered(np.array(found))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "without the pairing of an example with itself": lambda: predict(own=-1.0),
            "n (n + 1) for n (n + 2)": lambda: predict(pair=-1.0),
            "noise times d": lambda: predict(noise=1.0),
        },
    )


@PAPER.claim(
    "optimal-step",
    statement=r"""On isotropic prompts the best step of gradient descent is $\eta = E[w^T X^T y] / E\|X^T y\|^2 = 1 / (n
    + d + 1 + s_2)$, with risk $s_2 + d (d + 1 + s_2) / (n + d + 1 + s_2)$.""",
    source="main theorem, step size in closed form",
    agreement=ExactRational(),
    controls=("1 / (n + d + s2)", "1 / n", "noise times d", "s2 squared"),
)
def optimal_step(run: Run) -> Trial:
    """Vertex of the exact loss parabola of a layer, from its values at steps -1, 0 and 1."""
    sizes = run.size("n, d", quick=SMALL, standard=SMALL, full=(*SMALL, (2, 3), (3, 3)))

    def measure() -> Exact:
        found: list[Any] = []
        for n, d in sizes:
            prompt = wick.gaussian_prompt(n=n, dim=d, noise_var=NOISE)
            left, middle, right = (wick.squared_error(*_step_layer(d, t), prompt, SUMMED) for t in (-1, 0, 1))
            slope, curve = (right - left) / 2, (right + left) / 2 - middle
            found += [-slope / (2 * curve), middle - slope**2 / (4 * curve)]
        return Exact(tuple(found))

    def predict() -> Exact:
        optima = [in_context.optimal_step(n_context=n, dim=d, noise_var=float(NOISE)) for n, d in sizes]
        return recovered(np.array([[o.step_size, o.risk] for o in optima]))

    def at_step(step: Any) -> Exact:
        """Wrong steps, with the risk that they have."""
        found = []
        for n, d in sizes:
            eta = step(n, d, float(NOISE))
            found += [eta, in_context.one_step_risk(eta, n_context=n, dim=d, noise_var=float(NOISE))]
        return recovered(np.array(found))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 / (n + d + s2)": lambda: at_step(lambda n, d, s2: 1 / (n + d + s2)),
            "1 / n": lambda: at_step(lambda n, d, s2: 1 / n),
            "noise times d": lambda: at_step(lambda n, d, s2: 1 / (n + d + 1 + s2 * d)),
            "s2 squared": lambda: at_step(lambda n, d, s2: 1 / (n + d + 1 + s2**2)),
        },
    )


def _random_weights(rng: np.random.Generator, dim: int) -> tuple[list[Fraction], list[list[Fraction]]]:
    """Weights in sevenths, none of them zero."""
    entries = rng.integers(1, 9, (dim + 2, dim + 1)) * rng.choice([-1, 1], (dim + 2, dim + 1))
    rows = [[Fraction(int(entry), 7) for entry in row] for row in entries]
    return rows[0], rows[1:]


def _wrong_loss(
    value: Array, key_query: Array, n: int, s2: float, *, cross: float, pairs: float, labels: float
) -> float:
    """Loss with one of its terms changed; right for cross = 1, pairs = n + 1, labels = n + 2."""
    d = value.size - 1
    a, c, p, q = value[:d], value[d], key_query[:d, :d], key_query[d, :d]
    mean = n + d + 1 + s2 + n * (d + s2) + 2
    power = d * (d + 2) + 2 * d * s2 + s2**2
    change = (pairs - n - 1) * np.sum((a @ p) ** 2) + (labels - n - 2) * c**2 * power * (q @ q)
    change += 2 * c * (cross - 1) * mean * (a @ p @ q)
    return in_context.lsa_population_loss(value, key_query, n_context=n, noise_var=s2) + n * change


@PAPER.claim(
    "population-loss",
    statement=r"""The population loss of a layer is the polynomial $L(a, c, P, q)$ of degree four in all of its
    parameters. (Derived.)""",
    source="derived for the paper's layer",
    agreement=ExactRational(),
    controls=("without the cross term", "n squared for n (n + 1)", "n (n + 1) for n (n + 2)"),
)
def population_loss(run: Run) -> Trial:
    """Random rational weights, the complete layer expanded and averaged exactly."""
    sizes = run.size("n, d", quick=SMALL, standard=SMALL, full=(*SMALL, (2, 3), (3, 3)))
    rng = run.rng()
    weights = [_random_weights(rng, d) for _, d in sizes]

    def measure() -> Exact:
        found = []
        for (n, d), (value, key_query) in zip(sizes, weights, strict=True):
            prompt = wick.gaussian_prompt(n=n, dim=d, noise_var=NOISE)
            found.append(wick.squared_error(value, key_query, prompt, SUMMED))
        return Exact(tuple(found))

    def evaluate(loss: Any) -> Exact:
        found = []
        for (n, _), (value, key_query) in zip(sizes, weights, strict=True):
            # weights in sevenths and noise in tenths: the loss is a multiple of 1 / (7^4 100), which rounds exactly
            exact = loss(np.array(value, dtype=float), np.array(key_query, dtype=float), n, float(NOISE))
            found.append(sympy.Rational(round(exact * 7**4 * 100), 7**4 * 100))
        return Exact(tuple(found))

    def wrong(**terms: Any) -> Exact:
        def loss(value: Array, key_query: Array, n: int, s2: float) -> float:
            right = {"cross": 1, "pairs": n + 1, "labels": n + 2}
            return _wrong_loss(value, key_query, n, s2, **(right | {k: v(n) for k, v in terms.items()}))

        return evaluate(loss)

    return Trial(
        predict=lambda: evaluate(
            lambda value, key_query, n, s2: in_context.lsa_population_loss(value, key_query, n_context=n, noise_var=s2)
        ),
        measure=measure,
        controls={
            "without the cross term": lambda: wrong(cross=lambda n: 0),
            "n squared for n (n + 1)": lambda: wrong(pairs=lambda n: n),
            "n (n + 1) for n (n + 2)": lambda: wrong(labels=lambda n: n + 1),
        },
    )


@PAPER.claim(
    "population-loss-long",
    statement=r"""The same polynomial gives the loss of any layer at contexts of any length. (Derived.)""",
    source="derived for the paper's layer",
    agreement=Identity(rtol=1e-12),
    controls=("without the cross term", "n squared for n (n + 1)", "n (n + 1) for n (n + 2)"),
)
def population_loss_long(run: Run) -> Trial:
    """Random layers on exact populations; sums of a few thousand terms, so that 1e-12 leaves room for rounding."""
    sizes = run.size("n, d", quick=((7, 3), (40, 3)), standard=((7, 3), (40, 3), (12, 4)), full=((40, 3), (100, 5)))
    s2 = 0.4
    layers = [random_linear_layer(run.key(f"{n} {d}"), d) for n, d in sizes]

    def measure() -> Array:
        found = []
        for (n, d), layer in zip(sizes, layers, strict=True):
            moments = gaussian_moments(n=n, cov_x=np.eye(d), cov_w=np.eye(d), noise_var=s2, attention=SUMMED)
            found.append(float(moments.squared_error(layer)))
        return np.array(found)

    def predict(**terms: Any) -> Array:
        found = []
        for (n, _), layer in zip(sizes, layers, strict=True):
            right = {"cross": 1, "pairs": n + 1, "labels": n + 2}
            changed = right | {k: v(n) for k, v in terms.items()}
            found.append(_wrong_loss(np.asarray(layer.value[0]), np.asarray(layer.key_query), n, s2, **changed))
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "without the cross term": lambda: predict(cross=lambda n: 0),
            "n squared for n (n + 1)": lambda: predict(pairs=lambda n: n),
            "n (n + 1) for n (n + 2)": lambda: predict(labels=lambda n: n + 1),
        },
    )


@PAPER.claim(
    "optimal-risk",
    statement=r"""The trained layer has the risk $s_2 + d (d + 1 + s_2) / (n + d + 1 + s_2)$ on new prompts, and a layer
    whose step is off by a factor the risk $s_2 + d - 2 \eta n d + \eta^2 n d (n + d + 1 + s_2)$.""",
    source="main theorem, risk derived",
    agreement=MonteCarlo(resolution=0.05),
    controls=("1 / (n + d + s2) in the risk", "without the noise of the query", "Bayes at large n"),
)
def optimal_risk(run: Run) -> Trial:
    """Train all parameters on the exact population, then run the layer on sampled prompts."""
    n, d, s2 = 12, 3, 0.7
    replicates = run.size("replicates", quick=512, standard=1024, full=4096)
    prompts = run.size("prompts a replicate", quick=256, standard=1024, full=16384)
    factors = np.array([0.5, 1.0, 1.5])

    def measure() -> Samples:
        population = gaussian_moments(n=n, cov_x=np.eye(d), cov_w=np.eye(d), noise_var=s2, attention=SUMMED)
        layer = layer_training.best(search(run, population, d)).layer
        roots, keys = (np.eye(d), np.eye(d)), run.keys(replicates)
        found = [
            over_replicates(
                layer_risk,
                keys,
                layer._replace(value=f * layer.value),
                roots,
                None,
                np.array(s2),
                n,
                prompts,
                4,
                SUMMED,
            )
            for f in factors
        ]
        return Samples(np.stack(found, axis=1))

    best = in_context.optimal_step(n_context=n, dim=d, noise_var=s2)

    def predict() -> Array:
        return np.asarray(in_context.one_step_risk(factors * best.step_size, n_context=n, dim=d, noise_var=s2))

    kappa = n + d + s2
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 / (n + d + s2) in the risk": lambda: s2 + d - 2 * factors * n * d / kappa + factors**2 * n * d / kappa,
            "without the noise of the query": lambda: predict() - s2,
            "Bayes at large n": lambda: np.full(3, s2 * (1 + d / n)),
        },
    )


@PAPER.claim(
    "excess-rate",
    statement=r"""The excess risk of the optimal layer falls as $d (d + 1 + s_2) / n$, slower by the factor $(d + 1 +
    s_2) / s_2$ than that of the Bayes estimator. (Derived.)""",
    source="derived from the main theorem",
    agreement=ConvergenceOrder(order=1, resolution=1e-3, accuracy=1e-12),
    controls=("Bayes rate d s2 / n", "d (d + s2) / n", "coefficient of the second order doubled"),
)
def excess_rate(run: Run) -> Trial:
    """Minimise over all parameters at context lengths that double; n times the excess at step 1 / n."""
    d, s2 = 3, 0.5
    longest = run.size("longest context", quick=512, standard=1024, full=4096)
    lengths = longest // 2 ** np.arange(5)

    def measure() -> Steps:
        found = []
        for n in lengths:
            population = gaussian_moments(n=int(n), cov_x=np.eye(d), cov_w=np.eye(d), noise_var=s2, attention=SUMMED)
            found.append([n * (float(search(run, population, d, f"{n}").error.min()) - s2)])
        return Steps(1 / lengths, found)

    def predict(rate: float | None = None, second: float = 1.0) -> Limit:
        """Read rate and coefficient off the closed form at two very long contexts unless told otherwise."""
        n = 1e6
        scaled = [k * (in_context.optimal_step(n_context=int(k), dim=d, noise_var=s2).risk - s2) for k in (n, 2 * n)]
        limit = 2 * scaled[1] - scaled[0]
        coefficient = 2 * n * (scaled[0] - scaled[1])
        return Limit([limit if rate is None else rate], [second * coefficient])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "Bayes rate d s2 / n": lambda: predict(rate=d * s2),
            "d (d + s2) / n": lambda: predict(rate=d * (d + s2)),
            "coefficient of the second order doubled": lambda: predict(second=2.0),
        },
    )
