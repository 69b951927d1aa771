"""Gradient descent with one hidden unit: steps below and beyond the one at which the outlier's weight grows."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.rosenfeld2023.paper import PAPER, Array, Law, draw_law, draw_layers
from simulations import deep_linear as networks
from simulations.deep_linear import opposing_signals as sim
from theory import deep_linear

_LARGEST = 10.0  # several times what a right recursion reaches


class Descents(NamedTuple):
    """Networks of one hidden unit, with laws, starts and learning rates of their own, one an entry."""

    laws: list[Law]
    v0: Array
    a0: Array
    b0: Array
    rates: Array

    @property
    def lengths(self) -> Array:
        """|beta| of each."""
        return np.array([float(np.linalg.norm(law.beta)) for law in self.laws])

    @property
    def powers(self) -> Array:
        """Alpha of each."""
        return np.array([law.power for law in self.laws])

    @property
    def weights(self) -> networks.Weights:
        """All starts, stacked, as the simulation takes them."""
        first = np.stack([self.a0 * np.sign([law.beta[0] for law in self.laws]), self.b0], axis=-1)
        return jnp.asarray(first[:, None, :]), jnp.asarray(self.v0[:, None, None])

    def tasks(self, signal: str = "opposing") -> networks.Task:
        """All populations, stacked."""
        each = [sim.population(law.data(signal)) for law in self.laws]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *each)


def _descents(
    run: Run,
    ratios: Array,
    *,
    outlier: float,
    powers: tuple[float, float] = (10.0, 40.0),
    starts: tuple[float, float] = (0.05, 0.3),
) -> Descents:
    """Draw networks from small balanced starts, and learning rates that are ``ratios`` of 2 / (alpha |beta|).

    ``powers`` are the bounds of alpha, and ``starts`` those of v over its value at the minimum.
    """
    rng = run.rng()
    laws = [draw_law(rng, 1, power=float(rng.uniform(*powers)), length=float(x)) for x in _spread(rng, ratios.size)]
    sizes = np.array([float(np.linalg.norm(law.beta)) for law in laws])
    v0 = np.sqrt(sizes) * rng.uniform(*starts, ratios.size)
    b0 = outlier * rng.uniform(0.5, 1.0, ratios.size)
    return Descents(laws, v0, v0, b0, ratios * 2 / (sizes * np.array([law.power for law in laws])))


def _spread(rng: np.random.Generator, count: int) -> Array:
    """Lengths of beta from 0.7 to 1.5, one in each part of that range, in random order."""
    return rng.permutation(0.7 + 0.8 * (np.arange(count) + rng.random(count)) / count)


def _watch(descents: Descents, n_steps: int, signal: str = "opposing") -> sim.Growth:
    def one(weights: networks.Weights, task: networks.Task, rate: jax.Array) -> sim.Growth:
        return sim.watch_descent(weights, task, learning_rate=rate, n_steps=n_steps)

    return jax.vmap(one)(descents.weights, descents.tasks(signal), jnp.asarray(descents.rates))


def _iterate(descents: Descents, steps: int, factor: Callable[[Array, Array], Array], push: float = 1.0) -> Array:
    """Iterate the recursion with b multiplied by ``factor(eta alpha, v)`` and v pushed ``push`` times as hard.

    A source of wrong predictions only, which are kept from overflowing.
    """
    eta, power, beta = descents.rates, descents.powers, descents.lengths
    v, a, b = descents.v0, descents.a0, descents.b0
    found = []
    for _ in range(steps + 1):
        found.append([v, a, b / descents.b0])
        error = v * a - beta
        kick = a * error + push * power * b**2 * v
        moved = v - eta * kick, a - eta * v * error, b * factor(eta * power, v)
        v, a, b = np.clip(moved, -_LARGEST, _LARGEST)
    return np.moveaxis(np.array(found), 0, -1)


@PAPER.claim(
    "scalar_gd",
    statement=r"""With one hidden unit gradient descent multiplies the outlier's weight by $1 - \eta \alpha v^2$, while
    $a \leftarrow a - \eta v (v a - \beta)$ and $v \leftarrow v - \eta [a (v a - \beta) + \alpha b^2 v]$.""",
    source="gradient descent in the two-layer linear model (derived)",
    agreement=Identity(rtol=1e-9),
    controls=(
        "alpha |v| for alpha v^2",
        "eta / 2 for eta",
        "flow's exponential",
        "v not pushed down",
        "target gamma o",
    ),
)
def scalar_gd(run: Run) -> Trial:
    """Descend the population loss by automatic gradients, step by step, below and beyond the critical step.

    The starts are near the end of training, so that where the outlier's weight spikes it does so at once: after a long
    decline it would be comparable to the rounding of the two signals, 1e-16, which the spike then amplifies.
    """
    count, steps = run.size("networks and steps", quick=(8, 60), standard=(16, 60), full=(64, 60))
    descents = _descents(run, np.linspace(0.4, 1.5, count), outlier=1e-2)
    near = np.sqrt(descents.lengths) * run.rng("start").uniform(0.85, 0.95, count)
    mild = [law._replace(gamma=0.05) for law in descents.laws]
    descents = descents._replace(v0=near, a0=0.9 * near, laws=mild)
    sign = np.array([np.sign(law.beta[0]) for law in descents.laws])

    def measure(signal: str = "opposing") -> Array:
        def one(weights: networks.Weights, task: networks.Task, rate: jax.Array) -> networks.Weights:
            return networks.gradient_descent(weights, task, learning_rate=rate, steps=np.arange(steps + 1))

        first, second = jax.vmap(one)(descents.weights, descents.tasks(signal), jnp.asarray(descents.rates))
        v, a, b = np.asarray(second)[..., 0, 0], np.asarray(first)[..., 0, 0], np.asarray(first)[..., 0, 1]
        return np.stack([v, a * sign[:, None], b / descents.b0[:, None]])

    def predict() -> Array:
        paths = [
            deep_linear.scalar_descent(
                v0=v, a0=a, b0=b, beta=beta, outlier_power=power, learning_rate=rate, n_steps=steps
            )
            for v, a, b, beta, power, rate in zip(
                *descents[1:4], descents.lengths, descents.powers, descents.rates, strict=True
            )
        ]
        return np.swapaxes([[path.v, path.a, path.b / path.b[0]] for path in paths], 0, 1)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "alpha |v| for alpha v^2": lambda: _iterate(descents, steps, lambda x, v: 1 - x * np.abs(v)),
            "eta / 2 for eta": lambda: _iterate(descents, steps, lambda x, v: 1 - x * v**2 / 2),
            "flow's exponential": lambda: _iterate(descents, steps, lambda x, v: np.exp(-x * v**2)),
            "v not pushed down": lambda: _iterate(descents, steps, lambda x, v: 1 - x * v**2, push=0.0),
        },
        counterexamples={"target gamma o": lambda: measure("consistent")},
        scale=1.0,
    )


@PAPER.claim(
    "outlier_growth",
    statement=r"""One step of size $\eta$ enlarges an outlier's column along $v$ exactly when $\alpha |v|^2 > 2 / \eta$,
    whatever the other weights are, and wherever they stand.""",
    source="instability in the direction of the outlier (derived)",
    agreement=Identity(rtol=1e-11),
    controls=("alpha |v|^2 > 1 / eta", "alpha |v| > 2 / eta", "A^2 |v|^2 > 2 / eta", "target gamma o"),
)
def outlier_growth(run: Run) -> Trial:
    """Bisect, at random weights, for the step that leaves the size of the column as it is."""
    count, hidden, dim = run.size("networks, units, inputs", quick=(12, 4, 3), standard=(48, 8, 6), full=(200, 32, 16))
    rng = run.rng()
    cases = []
    for _ in range(count):
        layers = draw_layers(rng, hidden, dim)
        layers.w[:, -1] = rng.uniform(-1, 1) * layers.v
        cases.append((draw_law(rng, dim, power=float(rng.uniform(1, 40))), layers))

    def measure(signal: str = "opposing") -> Array:
        tasks = [sim.population(law.data(signal)) for law, _ in cases]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *tasks)
        weights = tuple(jnp.stack([layers.stacked[k] for _, layers in cases]) for k in (0, 1))

        def one(weights: networks.Weights, task: networks.Task) -> jax.Array:
            return sim.neutral_rate(weights, task, low=1e-4, high=1e3)

        return np.asarray(jax.vmap(one)(weights, stacked))

    def sharpness() -> Array:
        return np.array([deep_linear.outlier_sharpness(layers.v, outlier_power=law.power) for law, layers in cases])

    lengths = np.array([np.linalg.norm(layers.v) for _, layers in cases])
    return Trial(
        predict=lambda: 2 / sharpness(),
        measure=measure,
        controls={
            "alpha |v|^2 > 1 / eta": lambda: 1 / sharpness(),
            "alpha |v| > 2 / eta": lambda: 2 * lengths / sharpness(),
            "A^2 |v|^2 > 2 / eta": lambda: 2 / sharpness() * [law.probability for law, _ in cases],
        },
        counterexamples={"target gamma o": lambda: measure("consistent")},
    )


@PAPER.claim(
    "critical_step",
    statement=r"""From balanced weights with next to no outlier's weight, descent turns unstable towards the outlier at
    $\eta_c = 2 / (\alpha |\beta|)$.""",
    source="edge of stability in the two-layer linear model (derived)",
    agreement=Identity(rtol=1e-8),
    controls=("1 / (alpha |beta|)", "alpha |v| for alpha v^2", "2 / |beta|", "unbalanced start"),
)
def critical_step(run: Run) -> Trial:
    """Bisect for the step beyond which the outlier's weight grows late in training, where all else has converged.

    That weight b is kept at a few 1e-7: it pushes v down by eta alpha b^2 a step, over all steps some 1e-10, and
    rounding of the two signals moves its growth by 1e-16 / b, which is as much.
    """
    count, steps = run.size("networks and steps", quick=(8, 600), standard=(24, 1500), full=(100, 3000))
    descents = _descents(run, np.ones(count), outlier=3e-7)

    def measure(stretch: float = 1.0) -> Array:
        first, second = descents.weights

        def one(weights: networks.Weights, task: networks.Task) -> jax.Array:
            return sim.critical_rate(weights, task, low=1e-3, high=0.4, n_steps=steps)

        return np.asarray(jax.vmap(one)((first, second * stretch), descents.tasks()))

    def predict() -> Array:
        return np.array([deep_linear.critical_outlier_rate(law.beta, outlier_power=law.power) for law in descents.laws])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 / (alpha |beta|)": lambda: predict() / 2,
            "alpha |v| for alpha v^2": lambda: predict() * np.sqrt(descents.lengths),
            "2 / |beta|": lambda: predict() * descents.powers,
        },
        counterexamples={"unbalanced start": lambda: measure(stretch=2.0)},
    )


@PAPER.claim(
    "stable_side",
    statement=r"""For $\eta$ below $2 / (\alpha |\beta|)$, here by 5 % to 50 %, descent from small balanced weights ends
    at $\alpha v^2 = \alpha |\beta|$, and the outlier's weight is never larger than at the start.""",
    source="self-stabilisation in the two-layer linear model, small steps",
    agreement=Identity(rtol=1e-9),
    controls=("ends at 2 / eta", "v = |beta|", "steps beyond the critical one", "target gamma o"),
)
def stable_side(run: Run) -> Trial:
    """Descend, and keep the last v^2 and the largest outlier's weight.

    It starts at 1e-6 or less, which moves the end by its square.
    """
    count, steps = run.size("networks and steps", quick=(12, 2000), standard=(48, 4000), full=(500, 4000))
    ratios = np.linspace(0.5, 0.95, count)
    descents = _descents(run, ratios, outlier=1e-6)

    def measure(descents: Descents = descents, signal: str = "opposing") -> Array:
        seen = _watch(descents, steps, signal)
        return np.stack([np.asarray(seen.weights[1])[:, 0, 0] ** 2, np.asarray(seen.outlier) / descents.b0])

    def predict() -> Array:
        ends = [deep_linear.converged_sharpness(law.beta, outlier_power=law.power) / law.power for law in descents.laws]
        return np.stack([np.array(ends), np.ones(count)])

    def wrong(end: Array) -> Array:
        return np.stack([end, np.ones(count)])

    mild = [law._replace(gamma=0.2) for law in descents.laws]
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "ends at 2 / eta": lambda: wrong(2 / (descents.rates * descents.powers)),
            "v = |beta|": lambda: wrong(descents.lengths**2),
        },
        counterexamples={
            "steps beyond the critical one": lambda: measure(descents._replace(rates=1.2 * descents.rates / ratios)),
            "target gamma o": lambda: measure(descents._replace(laws=mild, rates=descents.rates / 2), "consistent"),
        },
    )


@PAPER.claim(
    "self_stabilisation",
    statement=r"""For $\eta$ above $2 / (\alpha |\beta|)$, here by 10 % to 50 %, $\alpha v^2$ overshoots $2 / \eta$, the
    outlier's weight outgrows its start, and pushes $v$ down until the run ends with a sharpness $\alpha v^2 < 2 /
    \eta$.""",
    source="self-stabilisation in the two-layer linear model",
    agreement=Ordering(side="above"),
    controls=("1 / eta for 2 / eta", "alpha |v| for alpha v^2", "overshoot of twice the border", "no outlier's weight"),
)
def self_stabilisation(run: Run) -> Trial:
    """Descend, and keep the largest and the last v^2, the largest outlier's weight, and the last sharpness.

    Starts are not too small and alpha not too large, so that the outlier's weight has not declined below 1e-16 when its
    growth begins: floating point would have lost it, next to gamma, and nothing would push v down.
    """
    draws, steps = run.size("draws and steps", quick=(6, 4000), standard=(40, 8000), full=(400, 8000))
    ratios = np.repeat([1.1, 1.2, 1.3, 1.4, 1.5], draws)
    descents = _descents(run, ratios, outlier=1e-2, powers=(8.0, 20.0), starts=(0.2, 0.4))

    def measure(descents: Descents = descents) -> Array:
        seen = _watch(descents, steps)
        last = np.asarray(jax.vmap(sim.sharpness)(seen.weights, descents.tasks()))
        ended = np.asarray(seen.weights[1])[:, 0, 0] ** 2
        return components(np.asarray(seen.output) ** 2, np.asarray(seen.outlier) - descents.b0, -ended, -last)

    def borders(factor: float = 1.0, power: float = 1.0) -> Array:
        border = factor * 2 / descents.rates
        return components(
            (border / descents.powers) ** power,
            np.zeros(border.size),
            -((border / descents.powers) ** power),
            -border,
        )

    return Trial(
        predict=borders,
        measure=measure,
        controls={
            "1 / eta for 2 / eta": lambda: borders(factor=0.5),
            "alpha |v| for alpha v^2": lambda: borders(power=2.0),
            "overshoot of twice the border": lambda: borders(factor=2.0),
        },
        counterexamples={"no outlier's weight": lambda: measure(descents._replace(b0=np.zeros_like(descents.b0)))},
        scale=1.0,
    )
