"""Where susceptibilities are one: scale-invariant activations, those whose signal fades, and lines for all others."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Samples, Steps
from paper_checks.papers.roberts2021.paper import FADING, PAPER, SIMULATED, SOLVED
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk

Array = np.ndarray
Function = Callable[[jax.Array], jax.Array]

HOMOGENEOUS = ("linear", "relu", "leaky 0.5", "leaky -0.7")


def _last_square(key: jax.Array, x: jax.Array, widths: tuple[int, ...]) -> jax.Array:
    """Mean square of the last layer, of unit weight variance times width, for the piecewise linear activations."""
    signals = [sim.sample_network(key, x, widths, 1.0, 0.0, SIMULATED[name])[-1] for name in HOMOGENEOUS]
    return jnp.stack([jnp.mean(z**2) for z in signals])


@PAPER.claim(
    "criticality_scale_invariant",
    statement=r"""With slopes $a_\pm$ and without biases a layer of any width multiplies the mean variance by $C_W /
    C_W^*$, $C_W^* = 2 / (a_+^2 + a_-^2)$: at $C_W^*$ every $K$ is a fixed point.""",
    source="chapter 5, scale-invariant universality class",
    agreement=MonteCarlo(resolution=0.05),
    controls=("C_W = 1", "C_W = 2 for all", "slope above zero alone"),
)
def criticality_scale_invariant(run: Run) -> Trial:
    """Sample networks with two hidden layers at C_W = 1, whose signal shrinks by a power of the critical one."""
    networks = run.size("networks", quick=40_000, standard=200_000, full=4_000_000)
    x, n = run.rng().standard_normal((3, 1)), 16

    def predict(c_w: list[float]) -> Array:
        return np.mean(x**2) * np.array(c_w) ** -2.0

    return Trial(
        predict=lambda: predict([ntk.critical_point(SOLVED[name]).c_w for name in HOMOGENEOUS]),
        measure=lambda: Samples(over_replicates(_last_square, run.keys(networks), jnp.asarray(x), (n, n, n))),
        controls={
            "C_W = 1": lambda: predict([1.0] * 4),
            "C_W = 2 for all": lambda: predict([2.0] * 4),
            "slope above zero alone": lambda: predict([1.0, 2.0, 2.0, 2.0]),
        },
    )


@PAPER.claim(
    "criticality_at_zero",
    statement=r"""If $\phi(0) = 0$ and $a_1 < 0$, then $K^* = 0$, $C_b = 0$ and $C_W = 1 / \phi_1^2$: the $C_W$ that
    keeps a variance $K$, and the one that keeps small differences, both tend there as $K \to 0$.""",
    source="chapter 5, K* = 0 universality class",
    agreement=ConvergenceOrder(order=1, resolution=1e-6, accuracy=1e-14),
    controls=("C_W = 2", "1 / phi_1", "C_W = 1", "coefficients of small differences exchanged"),
)
def criticality_at_zero(run: Run) -> Trial:
    """Solve for both C_W at variances that halve."""
    steps = 2.0 ** -np.arange(6, run.size("smallest variance, 2^-", quick=13, standard=13, full=13))

    def keeping(k: jax.Array, phi: Function) -> jax.Array:
        return jnp.stack([k / sim.kernel_map(k, 1.0, 0.0, phi), 1 / sim.growth(k, 1.0, 0.0, phi)[1]])

    def measure() -> Steps:
        found = [jax.vmap(partial(keeping, phi=SIMULATED[name]))(jnp.asarray(steps)) for name in FADING]
        return Steps(steps, np.stack([np.asarray(f) for f in found], axis=1))

    def predict(power: float = 1.0, order: int = 1) -> Limit:
        c_w = np.array([ntk.critical_point(SOLVED[name]).c_w for name in FADING])
        series = [ntk.small_variance_series(SOLVED[name]) for name in FADING]
        slopes = np.array([(s.a1, s.b1)[::order] for s in series])
        return Limit(np.stack([c_w**power] * 2, axis=1), -c_w[:, None] * slopes)

    def constant(c_w: float) -> Limit:
        return predict()._replace(value=np.full((len(FADING), 2), c_w))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "C_W = 2": lambda: constant(2.0),
            "1 / phi_1": lambda: predict(power=0.5),
            "C_W = 1": lambda: constant(1.0),
            "coefficients of small differences exchanged": lambda: predict(order=-1),
        },
    )


SIDES: tuple[Literal["parallel"], Literal["perpendicular"]] = ("parallel", "perpendicular")


@PAPER.claim(
    "critical_lines",
    statement=r"""In the plane of $(C_b, C_W)$ a susceptibility is 1 at the fixed point $K$ along $C_W = 1 /
    \bar\chi(K)$, $C_b = K - C_W \langle \phi^2 \rangle_K$, $\bar\chi$ its value at $C_W = 1$.""",
    source="chapter 5, phase diagrams",
    agreement=Identity(rtol=1e-9),  # Newton steps on a two by two system
    controls=("lines exchanged", "no biases", "bias of the other line"),
)
def critical_lines(run: Run) -> Trial:
    """Solve for (K, C_W) at which the simulated layer keeps K and one kind of difference, given C_b."""
    names = ("tanh", "gelu", "swish")
    number = run.size("points", quick=4, standard=16, full=64)
    k = np.exp(run.rng().uniform(np.log(0.3), np.log(3.0), (len(names), number)))

    def tuned(k: jax.Array, phi: Function, which: int) -> jax.Array:
        def residual(point: jax.Array) -> jax.Array:
            c_w, c_b = point
            grown = sim.growth(k, c_w, c_b, phi)[which]
            return jnp.stack([grown - 1, sim.kernel_map(k, c_w, c_b, phi) - k])

        def step(_: int, point: jax.Array) -> jax.Array:
            return point - jnp.linalg.solve(jax.jacfwd(residual)(point), residual(point))

        return jax.lax.fori_loop(0, 4, step, jnp.ones(2))

    def measure() -> Array:
        found = [
            [jax.vmap(partial(tuned, phi=SIMULATED[name], which=which))(jnp.asarray(k[i])) for which in (0, 1)]
            for i, name in enumerate(names)
        ]
        return np.asarray(found)

    def predict(order: int = 1) -> Array:
        found = [
            [np.stack(ntk.critical_line(k[i], activation=name, direction=side), axis=-1) for side in SIDES[::order]]
            for i, name in enumerate(names)
        ]
        return np.array(found)

    def other_bias() -> Array:
        wrong = predict()
        wrong[..., 1] = predict(-1)[..., 1]
        return wrong

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "lines exchanged": lambda: predict(-1),
            "no biases": lambda: predict() * [1.0, 0.0],
            "bias of the other line": other_bias,
        },
        scale="largest",
    )
