"""The path of training: two blocks move and nothing else, along a logistic curve where inputs are isotropic."""

from collections.abc import Callable, Sequence
from fractions import Fraction

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, ExactRational, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Exact, Steps, components
from paper_checks.papers.zhang2023.paper import (
    PAPER,
    PATH,
    SIGMA,
    Array,
    D,
    covariance,
    direction,
    population,
    suitable_start,
)
from paper_checks.rationals import recovered
from simulations.in_context import layer_training
from simulations.in_context import rational_prompts as wick
from simulations.in_context.layer_training import Population
from simulations.in_context.linear_layer import AVERAGED, LinearLayer, two_block_layer
from simulations.in_context.populations import enumerated_prompts
from theory import in_context

INTEGRATED = 1e-8  # 1e3 times the integrators' relative tolerance of 1e-11
ROOT = ((Fraction(1), Fraction(0)), (Fraction(1, 2), Fraction(3, 4)))


def _rows(matrix: Sequence[Sequence[object]]) -> list[object]:
    return [entry for row in matrix for entry in row]


@PAPER.claim(
    "moments",
    statement=r"""For the empirical covariance $S$ of $N$ Gaussian inputs $E[S^2] = \Gamma \Lambda$ and, for symmetric
    $B$, $E[S B S] = (1 + 1/N) \Lambda B \Lambda + \mathrm{tr}(B \Lambda) \Lambda / N$.""",
    source="lemma on moments of the empirical covariance",
    agreement=ExactRational(),
    controls=("without the trace", "1 for 1 + 1/N", "N + 1 for N"),
)
def moments(run: Run) -> Trial:
    """Expand products of inputs with a rational covariance in two dimensions, and average by Wick's theorem."""
    lengths = run.size("N", quick=(1, 2, 3), standard=(1, 2, 3, 5), full=(1, 2, 3, 5, 8))
    entries = [int(entry) for entry in run.rng().integers(1, 9, 4)]
    b = ((Fraction(entries[0]), Fraction(entries[1], 2)), (Fraction(entries[2], 3), Fraction(entries[3])))
    root = np.array(ROOT, dtype=float)
    lam, matrix = root @ root.T, np.array(b, dtype=float)

    def measure() -> Exact:
        found = []
        for n in lengths:
            prompt = wick.gaussian_prompt(n=n, dim=2, root=ROOT)
            gram = wick.gram(prompt)
            for middle in (((1, 0), (0, 1)), b):
                columns = [[wick.rational(entry) for entry in column] for column in zip(*middle, strict=True)]
                left = [[wick.dot(row, column) for column in columns] for row in gram]
                product = [[wick.dot(row, column) for column in zip(*gram, strict=True)] for row in left]
                found += [wick.mean(entry, prompt.variances) / n**2 for entry in _rows(product)]
        return Exact(tuple(found))

    def predict(trace: float = 1.0, pairs: float = 1.0, extra: int = 0) -> Exact:
        found = []
        for n in lengths:
            m = n + extra
            gamma = in_context.gamma_matrix(lam, n_train=m) + ((trace - 1) * np.trace(lam) * np.eye(2)) / m
            gamma += (pairs - 1) * lam / m
            sandwich = in_context.gram_sandwich(matrix, cov=lam, n_samples=m)
            sandwich += ((trace - 1) * np.trace(matrix @ lam) * lam + (pairs - 1) * lam @ matrix.T @ lam) / m
            found += [gamma @ lam, sandwich]
        return recovered(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "without the trace": lambda: predict(trace=0.0),
            "1 for 1 + 1/N": lambda: predict(pairs=0.0),
            "N + 1 for N": lambda: predict(extra=1),
        },
    )


@PAPER.claim(
    "reduced-loss",
    statement=r"""While the other entries vanish the loss is $L(U, u) = \frac12 [u^2 \mathrm{tr}(\Gamma \Lambda U
    \Lambda U^T) - 2 u \mathrm{tr}(\Lambda^2 U^T) + \mathrm{tr} \Lambda]$.""",
    source="lemma on the reduced loss",
    agreement=Identity(rtol=1e-12),
    controls=("Gamma without the trace", "N + 1 for N", "without the factor 1/2"),
)
def reduced_loss(run: Run) -> Trial:
    """Run the complete layer on all nodes of a Gauss rule for small prompts, on exact moments for longer ones."""
    sizes = run.size("N, d", quick=((1, 2), (2, 2), (8, 3)), standard=((1, 2), (2, 2), (8, 3)), full=((2, 2), (99, 4)))
    rng = run.rng()
    cases = [(n, covariance(rng, d), rng.standard_normal((d, d)), rng.uniform(0.3, 1.5)) for n, d in sizes]

    def prompts(n: int, cov: Array) -> Population:
        if n * len(cov) <= 4:
            return enumerated_prompts(n=n, cov_x=cov, cov_w=np.eye(len(cov)), attention=AVERAGED)
        return population(cov, n)

    def measure() -> Array:
        found = [layer_training.half_error(two_block_layer(jnp.asarray(u), s), prompts(n, c)) for n, c, u, s in cases]
        return np.array([float(loss) for loss in found])

    def predict(extra: float = 0) -> Array:
        return np.array([in_context.flow_loss(u, s, cov=cov, n_train=n + extra) for n, cov, u, s in cases])

    def without_trace() -> Array:
        wrong = []
        for n, cov, u, s in cases:
            power = s**2 * (1 + 1 / n) * np.trace(cov @ cov @ u @ cov @ u.T)
            wrong.append((power - 2 * s * np.sum(cov @ cov * u) + np.trace(cov)) / 2)
        return np.array(wrong)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "Gamma without the trace": without_trace,
            "N + 1 for N": lambda: predict(extra=1),
            "without the factor 1/2": lambda: 2 * predict(),
        },
    )


@PAPER.claim(
    "invariant-block",
    statement=r"""From a suitable start all entries but $u$ and $U$ stay at zero along the flow, and these two obey
    $\dot U = u \Lambda^2 - u^2 \Gamma \Lambda U \Lambda$, $\dot u = \mathrm{tr}(\Lambda^2 U^T) - u
    \mathrm{tr}(\Gamma \Lambda U \Lambda U^T)$.""",
    source="lemma on the dynamics of the two blocks",
    agreement=Identity(rtol=INTEGRATED),
    controls=("N to infinity", "N + 1 for N", "time twice as fast", "lower left entries not zero at the start"),
)
def invariant_block(run: Run) -> Trial:
    """All 2 (d + 1)^2 entries along the flow of all parameters, on exact populations."""
    lengths = run.size("N", quick=(8,), standard=(1, 4, 8, 30), full=(1, 4, 8, 30, 100))
    rng = run.rng()
    cases = [(n, covariance(rng), direction(rng)) for n in lengths]

    def follow(change: Callable[[LinearLayer], LinearLayer]) -> Array:
        found = []
        for n, cov, theta in cases:
            start = change(suitable_start(theta))
            path = layer_training.gradient_flow(start, population(cov, n), times=PATH)
            found.append(components(path.layer.value, path.layer.key_query))
        return np.concatenate(found)

    def lower_left(layer: LinearLayer) -> LinearLayer:
        return layer._replace(value=layer.value.at[D, 0].set(0.01), key_query=layer.key_query.at[D, 0].set(0.01))

    def predict(extra: float = 0, speed: float = 1.0) -> Array:
        found = []
        for n, cov, theta in cases:
            times = speed * np.array(PATH)
            path = in_context.gradient_flow(times, cov=cov, n_train=n + extra, init_scale=SIGMA, theta=theta)
            value, key_query = np.zeros((2, len(PATH), D + 1, D + 1))
            value[:, D, D], key_query[:, :D, :D] = path.u_scalar, path.u_matrix
            found.append(components(value, key_query))
        return np.concatenate(found)

    return Trial(
        predict=predict,
        measure=lambda: follow(lambda layer: layer),
        controls={
            "N to infinity": lambda: predict(extra=np.inf),
            "N + 1 for N": lambda: predict(extra=1),
            "time twice as fast": lambda: predict(speed=2.0),
        },
        counterexamples={"lower left entries not zero at the start": lambda: follow(lower_left)},
        scale="largest",
    )


@PAPER.claim(
    "isotropic-logistic",
    statement=r"""On inputs of covariance $v I$ from $\Theta \Theta^T = I / \sqrt d$ the layer's coefficient follows
    $c(t) = \gamma^{-1} / (1 + (1 / (\gamma c_0) - 1) e^{-2 \sqrt d v^2 t})$, and the loss $\frac d2 [v - 2 c v^2 +
    c^2 \gamma v^2]$. (Derived.)""",
    source="derived from the dynamics of the two blocks",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("rate without the root of d", "rate without the factor 2", "gamma = v"),
)
def isotropic_logistic(run: Run) -> Trial:
    """Gradient descent in all parameters at falling rates; coefficient read off the weights, and loss."""
    finest = run.size("finest learning rate", quick=2e-3, standard=5e-4, full=1e-4)
    n, rates, times = 6, finest * np.array([8, 4, 2, 1]), np.array([0.32, 0.64, 1.28])
    v, sigma = float(run.rng().uniform(0.8, 1.3)), 0.3
    theta = np.eye(D) / D**0.25

    def measure() -> Steps:
        prompts = population(v * np.eye(D), n)
        path = layer_training.gradient_descent(suitable_start(theta, sigma), prompts, rates=rates, times=times)
        coefficient = path.value[..., D, D] * jnp.trace(path.key_query[..., :D, :D], axis1=-2, axis2=-1) / D
        flat = LinearLayer(*(leaf.reshape(-1, D + 1, D + 1) for leaf in path))
        losses = [float(layer_training.half_error(LinearLayer(a, b), prompts)) for a, b in zip(*flat, strict=True)]
        return Steps(rates, components(coefficient, np.reshape(losses, coefficient.shape), leading=1))

    def predict(speed: float = 1.0, n_train: float = n) -> Array:
        path = in_context.isotropic_gradient_flow(speed * times, dim=D, variance=v, n_train=n_train, init_scale=sigma)
        return components(path.coefficient, path.loss)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "rate without the root of d": lambda: predict(speed=D**-0.5),
            "rate without the factor 2": lambda: predict(speed=0.5),
            "gamma = v": lambda: predict(n_train=np.inf),
        },
    )


@PAPER.claim(
    "wrong-sign-init",
    statement=r"""From $U(0) = -\sigma \Theta \Theta^T$ the flow runs into the saddle at zero, $|c|$ decaying as $e^{-2
    \sqrt d v^2 t}$ in the end, and learns nothing. (Derived.)""",
    source="derived; role of the sign in the assumption on initial weights",
    agreement=Identity(rtol=INTEGRATED),
    controls=("the right sign", "rate without the root of d", "pure exponential"),
)
def wrong_sign_init(run: Run) -> Trial:
    """Flow in all parameters; stops before rounding, about 35 time constants later, drives the layer off the saddle."""
    n, sigma, v = 6, 0.3, float(run.rng().uniform(0.8, 1.3))
    times = np.array([0.1, 0.5, 2.0, 10.0]) / (np.sqrt(D) * v**2)

    def measure() -> Array:
        start = suitable_start(np.eye(D) / D**0.25, sigma)
        path = layer_training.gradient_flow(
            start._replace(key_query=-start.key_query), population(v * np.eye(D), n), times=times
        )
        coefficient = path.layer.value[:, D, D] * path.layer.key_query[:, 0, 0]
        return components(coefficient, path.loss)

    def predict(sign: int = -1, speed: float = 1.0) -> Array:
        path = in_context.isotropic_gradient_flow(
            speed * times, dim=D, variance=v, n_train=n, init_scale=sigma, sign=sign
        )
        return components(path.coefficient, path.loss)

    def exponential() -> Array:
        right = predict()
        right[: times.size] = -(sigma**2) / np.sqrt(D) * np.exp(-2 * np.sqrt(D) * v**2 * times)
        return right

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "the right sign": lambda: predict(sign=1),
            "rate without the root of d": lambda: predict(speed=D**-0.5),
            "pure exponential": exponential,
        },
        scale=np.repeat([sigma**2 / np.sqrt(D), D * v / 2], times.size),
    )
