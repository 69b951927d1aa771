"""Finite networks with two hidden layers in abc parametrisations: how much their features and kernels move."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Equivalence, FiniteSize, Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Samples, Sizes, components
from paper_checks.papers.yang2020.paper import PAPER
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk

Array = np.ndarray

X = ((1.0, 0.5), (-0.6, 1.1))
Y = (1.0, -0.7)
RATE, STEPS = 0.5, 3
TANH, LINEAR = sim.ACTIVATIONS["tanh"], sim.ACTIVATIONS["linear"]

# a, b and c of networks with two hidden layers
PARAMETRISATIONS = {
    "standard, rate over width": ((0, 0, 0), (0, 0.5, 0.5), 1),
    "tangent": ((0, 0.5, 0.5), (0, 0, 0), 0),
    "maximal update": ((-0.5, 0, 0.5), (0.5, 0.5, 0.5), 0),
    "in between": ((-0.5, 0, 0.25), (0.5, 0.5, 0.5), 0.5),
    "slow": ((0, 0, 0), (0, 0.5, 0.5), 1.5),
    "second layer": ((0, 0, 0.5), (0, 0.5, 0.5), 0),
    "first layer": ((-0.5, 1, 1), (0.5, -0.5, 0), 0),
    "last layer": ((0.5, 1, 0.5), (-0.5, -0.5, 0), 0),
}


def _arrays() -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return a and b (P, L + 1) and c (P,) of all of them."""
    return tuple(jnp.asarray(part, dtype=float) for part in zip(*PARAMETRISATIONS.values(), strict=True))  # type: ignore


def _movements(key: jax.Array, x: jax.Array, y: jax.Array, n: int, activation: Any) -> jax.Array:
    """Mean squares of what training has moved, for every parametrisation (P, 6), from the same draws.

    Preactivations and activities of both layers in turn, outputs, and the tangent kernel.
    """
    draws = sim.draw_matrices(key, (x.shape[1], n, n, 1))

    def of(a: jax.Array, b: jax.Array, c: jax.Array) -> jax.Array:
        path = sim.abc_descent(
            draws, x, y,
            a=a, b=b, c=c, learning_rate=RATE, n_steps=STEPS, activation=activation, centred=True,
        )  # fmt: skip
        kernel = jnp.mean((path.kernel[-1] - path.kernel[0]) ** 2)
        return jnp.append(sim.mean_square_changes(path, activation)[-1], kernel)

    return jax.vmap(of)(*_arrays())


def _slopes(run: Run, activation: Any = TANH) -> Array:
    """Powers of n by which typical movements, exponentials of mean logarithms, grow: (networks, P, 6)."""
    widths = run.size("widths", quick=(32, 128), standard=(64, 256), full=(512, 4096))
    networks = run.size("networks", quick=1000, standard=1500, full=2000)
    data = jnp.asarray(X), jnp.asarray(Y)
    narrow, wide = (
        0.5 * np.log(over_replicates(_movements, run.keys(networks, f"n {n}"), *data, n, activation)) for n in widths
    )
    return (wide - narrow) / np.log(widths[1] / widths[0])


@PAPER.claim(
    "feature_update",
    statement=r"""After a few steps at width n coordinates of the hidden layers have moved as $n^{-r}$, with the r of
    each layer, and the output as $n^{1 - \min(a_{L+1} + b_{L+1} + r, 2 a_{L+1} + c)}$.""",
    source="section 3, the exponent r; sizes of updates",
    agreement=Equivalence(margin=0.1, resolution=0.3),
    controls=("an input layer like the others", "one r for all layers", "r + 1/2", "the larger gradient"),
)
def feature_update(run: Run) -> Trial:
    """Slopes between two widths of typical movements, for eight parametrisations of tanh networks.

    A slope still differs from the limit's by terms of relative order n^-1/2; hence a margin, in exponents. Outputs are
    centred: those of some start at order one, which would blur the slopes.
    """

    def predict(change=lambda a, b, c: ntk.abc_exponents(a, b, c)) -> Array:
        rows = []
        for exponents in PARAMETRISATIONS.values():
            of = change(*exponents)
            rows.append([-of.layer_r[0], of.feature_exponent, of.feature_exponent, of.output_exponent])
        return np.array(rows)

    def altered(first: float = 0.0, half: float = 0.0, signal: Any = min) -> Array:
        rows = []
        for a, b, c in PARAMETRISATIONS.values():
            start, readout = a[-1] + b[-1], 2 * a[-1] + c
            moves = 2 * np.array(a[:-1]) + (1 - first) * np.array([1, 0])
            layer = signal(start, readout) + c - 1 + np.minimum.accumulate(moves) + half
            rows.append([*-layer[[0, 1, 1]], 1 - min(start + layer[-1], readout)])
        return np.array(rows)

    def shared() -> Array:
        wrong = predict()
        wrong[:, 0] = wrong[:, 1]
        return wrong

    return Trial(
        predict=predict,
        measure=lambda: Samples(_slopes(run)[..., [0, 2, 3, 4]]),
        controls={
            "an input layer like the others": lambda: altered(first=1.0),
            "one r for all layers": shared,
            "r + 1/2": lambda: altered(half=0.5),
            "the larger gradient": lambda: altered(signal=max),
        },
        scale=1.0,
    )


@PAPER.claim(
    "dichotomy",
    statement=r"""Where the output moves at order one, for $r = 0$ features and the tangent kernel move at order one
    too, and for $r > 0$ both stay as they are when the width grows.""",
    source="section 3, dynamical dichotomy",
    agreement=Ordering("above"),
    controls=("all kernels", "all features", "linear layers"),
)
def dichotomy(run: Run) -> Trial:
    """Slopes between two widths of movements of features and of the tangent kernel, against borders.

    Half of what the smallest positive r among them, 1/4, gives is the border: -1/8 for features, which move as n^-r,
    and -1/4 for kernels, which are quadratic in what moves. Slopes of feature learning lie above, and below 1/4. Linear
    layers of which only the first learns are the counterexample: their features move, and their kernel does not.
    """
    nontrivial = [i for i, name in enumerate(PARAMETRISATIONS) if name != "slow"]

    simulate = cache(lambda activation: _slopes(run, activation))

    def measure(first: Any = TANH) -> Samples:
        slopes = np.array(simulate(TANH))
        alone = list(PARAMETRISATIONS).index("first layer")
        slopes[:, alone] = simulate(first)[:, alone]
        slopes = slopes[:, nontrivial][..., [3, 5]]
        return Samples(np.stack([slopes, -slopes], axis=-1))

    def borders(regimes: Sequence[str]) -> Array:
        """Return what slopes, and negative slopes, must exceed: (parametrisations, features and kernel, 2)."""
        of = {"feature": ((-0.125, -0.25), (-0.25, -0.25)), "kernel": ((-10.0, 0.125), (-10.0, 0.25))}
        return np.array([of[regime] for regime in regimes])

    def regimes() -> list[str]:
        return [ntk.abc_exponents(*list(PARAMETRISATIONS.values())[i]).regime for i in nontrivial]

    return Trial(
        predict=lambda: borders(regimes()),
        measure=measure,
        controls={
            "all kernels": lambda: borders(["kernel"] * len(nontrivial)),
            "all features": lambda: borders(["feature"] * len(nontrivial)),
        },
        counterexamples={"linear layers": lambda: measure(LINEAR)},
        scale=1.0,
    )


def _path(run: Run, exponents: Sequence[Any], depth: int) -> Array:
    """Train one uncentred network by automatic gradients; outputs and preactivations at all steps."""
    n = run.size("width", quick=32, standard=128, full=1024)
    widths = (2, *[n] * depth, 1)
    a, b, c = (jnp.asarray(part, dtype=float) for part in exponents)
    scales = sim.abc_scales(n, a, b)
    x = jnp.asarray(X)
    path = sim.gradient_descent(
        sim.initialise(run.key("network"), widths, scales), x, jnp.asarray(Y),
        scales=scales, activation=TANH, learning_rate=0.3 * n**-c, n_records=5,
        observe=lambda network: [sim.outputs(network[:k], x, scales, TANH) for k in range(1, depth + 2)],
    )  # fmt: skip
    return components(*path)


@PAPER.claim(
    "symmetry",
    statement=r"""With $a_l + \theta$, $b_l - \theta$ and $c - 2 \theta$ for all layers, the same draws give the same
    outputs and activities at every step.""",
    source="section 3, redundancy of abc parametrisations",
    agreement=Identity(rtol=1e-11),
    controls=("c - theta", "c + 2 theta", "b as it was"),
)
def symmetry(run: Run) -> Trial:
    """Train one network with two hidden layers in a random stable parametrisation, and shifted.

    Five steps of some hundred operations a coordinate, at learning rates at which errors hardly grow.
    """
    rng = run.rng()
    theta = float(rng.choice([-1, 1]) * rng.uniform(0.2, 0.8))
    a = rng.uniform(-0.2, 0.2, 3) + np.array([-0.3, 0.1, 0.5])
    b = np.array([0.0, 0.5, 0.8]) - a
    base = (tuple(a), tuple(b), float(rng.uniform(0.0, 0.4)))

    def predict(rate: float = 0.0, start: float = 0.0) -> Array:
        moved = ntk.abc_shift(*base, theta=theta)
        return _path(run, (moved.a, np.asarray(moved.b) + start, moved.c + rate), 2)

    return Trial(
        predict=predict,
        measure=lambda: _path(run, base, 2),
        controls={
            "c - theta": lambda: predict(rate=theta),
            "c + 2 theta": lambda: predict(rate=4 * theta),
            "b as it was": lambda: predict(start=theta),
        },
        scale="largest",
    )


@PAPER.claim(
    "mean_field",
    statement=r"""With one hidden layer the maximal update parametrisation is the mean-field one, $\frac1n \sum_i v_i
    \phi(u_i \cdot x)$ trained at learning rate n.""",
    source="section 3, maximal update parametrisation",
    agreement=Identity(rtol=1e-12),
    controls=("tangent", "standard, rate over width", "another rate"),
)
def mean_field(run: Run) -> Trial:
    """Train one network with 1/n and n written out, and in both parametrisations by name, from the same draws."""

    def predict(*names: str, **changes: Any) -> Array:
        return np.stack([_path(run, ntk.abc_preset(name, n_hidden=1)._replace(**changes), 1) for name in names])

    return Trial(
        predict=lambda: predict("mup", "mfp"),
        measure=lambda: np.stack([_path(run, ((0, 1), (0, 0), -1), 1)] * 2),
        controls={
            "tangent": lambda: predict("ntp", "mfp"),
            "standard, rate over width": lambda: predict("sp_lr_over_width", "mfp"),
            "another rate": lambda: predict("mup", "mfp", c=0.5),
        },
        scale="largest",
    )


def _start(replicate: Any, x: jax.Array, size: int, a: jax.Array, b: jax.Array) -> jax.Array:
    """Output of a new tanh network with one hidden layer of n units, the first out of ``size``."""
    key, n = replicate
    widths = (x.shape[1], size, 1)
    scales = sim.abc_scales(n, a, b)
    first, last = sim.initialise(key, widths, scales)
    kept = last._replace(weight=last.weight * (jnp.arange(size) < n))
    return sim.outputs((first, kept), x, scales, TANH)[0, 0]


@PAPER.claim(
    "init_logit",
    statement=r"""In the maximal update parametrisation outputs start at $\sqrt{E \phi(h^L)^2 / n}$ and vanish with
    width; in the standard and tangent ones they start at order one.""",
    source="section 3, maximal update parametrisation",
    agreement=FiniteSize(exponent=0.5, of="fluctuation", resolution=0.3),
    controls=("variance 1 / n", "variance of h", "standard", "tangent"),
)
def init_logit(run: Run) -> Trial:
    """Spread of outputs of networks with one hidden layer that have not been trained, at widths that double."""
    widths = run.size("widths", quick=(16, 32, 64, 128), standard=(32, 64, 128, 256), full=(64, 128, 256, 512))
    networks = run.size("networks", quick=8000, standard=20_000, full=100_000)
    x = jnp.asarray(X[:1])
    variance = float(np.sum(np.square(X[0])))

    def measure(a: Sequence[float], b: Sequence[float]) -> Sizes:
        shared = max(widths), jnp.asarray(a), jnp.asarray(b)
        replicates = [(run.keys(networks, f"n {n}"), np.full(networks, n)) for n in widths]
        return Sizes(widths, [over_replicates(_start, of_width, x, *shared) for of_width in replicates])

    def predict() -> Limit:
        return Limit(0.0, np.sqrt(ntk.dual_activation(variance, variance, variance, activation="tanh").value))

    return Trial(
        predict=predict,
        measure=lambda: measure((-0.5, 0.5), (0.5, 0.5)),
        controls={
            "variance 1 / n": lambda: Limit(0.0, 1.0),
            "variance of h": lambda: Limit(0.0, np.sqrt(variance)),
        },
        counterexamples={
            "standard": lambda: measure((0.0, 0.0), (0.0, 0.5)),
            "tangent": lambda: measure((0.0, 0.5), (0.0, 0.0)),
        },
        scale=1.0,
    )
