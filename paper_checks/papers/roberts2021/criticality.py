"""Susceptibilities, and the points at which they are one."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity, MonteCarlo, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Samples, Steps
from paper_checks.papers.roberts2021.paper import FADING, PAPER, SIMULATED, SOLVED, unit_gain
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk
from theory.ntk.activations import resolve
from theory.ntk.criticality import taylor

Array = np.ndarray
Function = Callable[[jax.Array], jax.Array]

SUM_OF_400 = 1e-12  # roundings of sums over 432 nodes, and of derivatives of them


@PAPER.claim(
    "susceptibilities",
    statement=r"""A layer multiplies small differences of the variances of two inputs by $\chi_\parallel =
    \frac{C_W}{2 K^2} \langle \phi^2 (z^2 - K) \rangle_K$, and the variance of small differences at equal norms by
    $\chi_\perp = C_W \langle \phi'^2 \rangle_K$.""",
    source="chapter 3, susceptibilities",
    agreement=Identity(rtol=SUM_OF_400),
    controls=("K for K^2", "without the 2", "exchanged", "square of the mean slope"),
)
def susceptibilities(run: Run) -> Trial:
    """Formulas against automatic derivatives of what two inputs become, for seven activations and K up to 15."""
    names = ("tanh", "sin", "erf", "gelu", "swish", "relu", "leaky -0.7")
    number = run.size("variances", quick=8, standard=32, full=256)
    k = np.exp(run.rng().uniform(np.log(0.01), np.log(15.0), (len(names), number)))
    c_w = run.rng("weights").uniform(0.5, 2.0, (len(names), number))

    def measure() -> Array:
        grown = [
            jax.vmap(partial(sim.growth, activation=SIMULATED[name]), in_axes=(0, 0, None))(k[i], c_w[i], 0.1)
            for i, name in enumerate(names)
        ]
        return np.stack([np.asarray(g) for g in grown])

    def predict() -> Array:
        found = [ntk.susceptibilities(k[i], activation=SOLVED[a], c_w=c_w[i]) for i, a in enumerate(names)]
        return np.stack([np.stack(chi, axis=-1) for chi in found])

    def mean_slope() -> Array:
        wrong = predict()
        for i, name in enumerate(names):
            slope = resolve(SOLVED[name]).derivative
            assert slope is not None, f"{name} has a derivative"
            wrong[i, :, 1] = c_w[i] * ntk.gaussian_mean(slope, k[i]) ** 2
        return wrong

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "K for K^2": lambda: predict() * np.stack([k, np.ones_like(k)], axis=-1),
            "without the 2": lambda: predict() * [2.0, 1.0],
            "exchanged": lambda: predict()[..., ::-1],
            "square of the mean slope": mean_slope,
        },
        scale=np.maximum(np.abs(predict()), 0.01),  # that of sin all but vanishes at K = 15
    )


def _tangents(key: jax.Array, x: jax.Array, directions: jax.Array, c_w: float, c_b: float, n: int) -> jax.Array:
    """Growth of the mean square of the second layer, and the mean square of its change, along two directions of x."""
    found = []
    for name in ("tanh", "relu", "swish"):

        def second(x: jax.Array, phi: Function = SIMULATED[name]) -> jax.Array:
            return sim.sample_network(key, x[:, None], (n, n), c_w, c_b, phi)[1][:, 0]

        z, along = jax.jvp(second, (x,), (directions[0],))
        across = jax.jvp(second, (x,), (directions[1],))[1]
        found.append(jnp.stack([jnp.mean(2 * z * along), jnp.mean(across**2)]))
    return jnp.stack(found)


@PAPER.claim(
    "susceptibility_networks",
    statement=r"""In networks of any width, stretching the input changes the mean variance of the second layer by
    $\chi_\parallel$ times that of the first, and turning it changes its neurons by $\chi_\perp$ times as much, in mean
    square.""",
    source="chapter 3, susceptibilities, in sampled networks",
    agreement=MonteCarlo(resolution=0.06),
    controls=("exchanged", "variance without biases", "square of the mean slope"),
)
def susceptibility_networks(run: Run) -> Trial:
    """Differentiate sampled networks with real weights along their input and across it; exact at every width."""
    rng = run.rng()
    networks = run.size("networks", quick=40_000, standard=200_000, full=4_000_000)
    d, n, c_w, c_b = 4, 8, 1.4, 0.5
    frame = np.linalg.qr(rng.standard_normal((d, 2)))[0].T
    x = rng.uniform(1.5, 2.5) * frame[0]
    directions = np.stack([x, frame[1]])
    first = c_w * x @ x / d

    def predict(k: float = first + c_b, order: int = 1) -> Array:
        sizes = np.array([2 * first, c_w / d])  # derivative of the first layer's variance, variance of its change
        chi = [ntk.susceptibilities(k, activation=a, c_w=c_w)[::order] for a in ("tanh", "relu", "swish")]
        return np.stack([np.stack(pair) for pair in chi]) * sizes

    def mean_slope() -> Array:
        wrong = predict()
        for i, name in enumerate(("tanh", "relu", "swish")):
            slope = resolve(name).derivative
            assert slope is not None, f"{name} has a derivative"
            wrong[i, 1] = c_w / d * c_w * ntk.gaussian_mean(slope, first + c_b) ** 2
        return wrong

    def measure() -> Samples:
        arrays = jnp.asarray(x), jnp.asarray(directions)
        return Samples(over_replicates(_tangents, run.keys(networks), *arrays, c_w, c_b, n))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "exchanged": lambda: predict(order=-1),
            "variance without biases": lambda: predict(first),
            "square of the mean slope": mean_slope,
        },
    )


def _small_signals(name: str, k: Array) -> Array:
    """Deviations from 1 of what a layer of unit gain does to variances, and of both growths, over K; (K, 3)."""
    phi = SIMULATED[name]
    c_w = unit_gain(phi)

    def one(k: jax.Array) -> jax.Array:
        passed = sim.kernel_map(k, c_w, 0.0, phi) / k
        return (jnp.append(passed, sim.growth(k, c_w, 0.0, phi)) - 1) / k

    return np.asarray(jax.vmap(one)(jnp.asarray(k)))


@PAPER.claim(
    "small_variance",
    statement=r"""At $C_W = 1 / \phi_1^2$ and small $K$: $C_W \langle \phi^2 \rangle = K + a_1 K^2 + a_2 K^3$,
    $\chi_\parallel = 1 + 2 a_1 K$, $\chi_\perp = 1 + b_1 K$, where $a_1 = \phi_3 / \phi_1 + \frac34 (\phi_2 /
    \phi_1)^2$ and $b_1 = \phi_3 / \phi_1 + (\phi_2 / \phi_1)^2$.""",
    source="chapter 5, susceptibilities near K = 0 (next order derived here)",
    agreement=ConvergenceOrder(order=1, resolution=1e-6, accuracy=1e-12),
    controls=("without the curvature", "1 for 3/4", "3/4 for 1", "coefficients without the 4th and 5th derivative"),
)
def small_variance(run: Run) -> Trial:
    """Expansions in K, with their next coefficients, for six activations."""
    names = (*FADING, "gelu", "swish")
    steps = 2.0 ** -np.arange(6, run.size("smallest variance, 2^-", quick=13, standard=13, full=13))

    def predict(curvature: tuple[float, float] = (0.75, 1.0), high: float = 1.0) -> Limit:
        values, coefficients = [], []
        for name in names:
            f = taylor(resolve(SOLVED[name]))
            r = f / f[1]
            series = ntk.small_variance_series(SOLVED[name])
            a1 = series.a1 + (curvature[0] - 0.75) * r[2] ** 2
            b1 = series.b1 + (curvature[1] - 1.0) * r[2] ** 2
            lost_a = (1 - high) * 15 * (r[5] / 60 + r[2] * r[4] / 24)
            lost_b = (1 - high) * 3 * (r[5] / 12 + r[2] * r[4] / 3)
            values.append([a1, 2 * a1, b1])
            coefficients.append([series.a2 - lost_a, 3 * (series.a2 - lost_a), series.b2 - lost_b])
        return Limit(np.array(values), np.array(coefficients))

    return Trial(
        predict=predict,
        measure=lambda: Steps(steps, np.stack([_small_signals(name, steps) for name in names], axis=1)),
        controls={
            "without the curvature": lambda: predict((0.0, 0.0)),
            "1 for 3/4": lambda: predict((1.0, 1.0)),
            "3/4 for 1": lambda: predict((0.75, 0.75)),
            "coefficients without the 4th and 5th derivative": lambda: predict(high=0.0),
        },
        scale="largest",
    )


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


HALF_STABLE = ("gelu", "swish")
GUESSES = {"gelu": (3.0, 2.0, 0.2), "swish": (12.0, 2.0, 0.5)}


def _tuned(run: Run, name: str) -> Array:
    """Return (K, C_W, C_b) where the simulated layer is critical, from a rough guess."""
    guess = jnp.asarray(GUESSES[name]) * run.rng(name).uniform(0.97, 1.03, 3)
    return np.asarray(jax.jit(partial(sim.critical_tuning, activation=SIMULATED[name]))(guess))


@PAPER.claim(
    "criticality",
    statement=r"""gelu is critical at $K^* = (3 + \sqrt{17}) / 2$, $C_W = 1.9830583$, $C_b = 0.1729224$, swish at $K^* =
    14.320174$, $C_W = 1.9880047$, $C_b = 0.5551432$: there $K^* = C_b + C_W \langle \phi^2 \rangle_{K^*}$ and
    $\chi_\parallel = \chi_\perp = 1$.""",
    source="chapter 5, half-stable universality class",
    agreement=Identity(rtol=1e-10),  # K* is the root of a function of slope 1e-4
    controls=("swish by 200 Gauss-Hermite nodes", "no biases", "C_W = 2", "(3 + sqrt 18) / 2 for gelu"),
)
def criticality(run: Run) -> Trial:
    """Newton steps on the layers' map with automatic derivatives, from a rough guess."""

    def predict(changed: dict[tuple[int, int], float] | None = None) -> Array:
        found = np.array([ntk.critical_point(name) for name in HALF_STABLE])[:, [2, 0, 1]]
        for where, value in (changed or {}).items():
            found[where] = value
        return found

    return Trial(
        predict=predict,
        measure=lambda: np.stack([_tuned(run, name) for name in HALF_STABLE]),
        controls={
            "swish by 200 Gauss-Hermite nodes": lambda: predict({(1, 0): 14.32009}),
            "no biases": lambda: predict({(0, 2): 0.0, (1, 2): 0.0}),
            "C_W = 2": lambda: predict({(0, 1): 2.0, (1, 1): 2.0}),
            "(3 + sqrt 18) / 2 for gelu": lambda: predict({(0, 0): (3 + np.sqrt(18)) / 2}),
        },
    )


@PAPER.claim(
    "half_stable_curvature",
    statement=r"""The critical point of gelu and swish is a double fixed point of the kernel's map: $F(K) - K = \frac12
    F''(K^*) (K - K^*)^2$, $F'' = \frac{C_W}{4 K^4} \langle \phi^2 (z^4 - 6 K z^2 + 3 K^2) \rangle_K$.""",
    source="chapter 5, half-stable universality class (curvature derived here)",
    agreement=Identity(rtol=1e-7),  # F'' of swish is 1e-5 of the terms that make it up, and K* adds its own error
    controls=("opposite sign", "2 for 4", "gelu and swish exchanged"),
)
def half_stable_curvature(run: Run) -> Trial:
    """Differentiate the map twice where Newton's method found it critical."""

    def measure() -> Array:
        found = []
        for name in HALF_STABLE:
            twice = jax.grad(jax.grad(partial(sim.kernel_map, activation=SIMULATED[name])))
            found.append(float(twice(*jnp.asarray(_tuned(run, name)))))
        return np.array(found)

    def predict() -> Array:
        return np.array([ntk.critical_curvature(name) for name in HALF_STABLE])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "opposite sign": lambda: -predict(),
            "2 for 4": lambda: 2 * predict(),
            "gelu and swish exchanged": lambda: predict()[::-1],
        },
    )


def _gains(tuning: Array, activation: Function, *, sides: Array, depth: int) -> Array:
    """By how much a start at ``sides`` of the fixed point comes nearer to it within ``depth`` layers, relative."""
    k, c_w, c_b = tuning
    ends = [
        float(sim.kernel_path(k * (1 + side), c_w, c_b, activation=activation, depth=depth)[-1, 0]) for side in sides
    ]
    return 1 - np.abs(np.array(ends) / k - 1) / np.abs(sides)


@PAPER.claim(
    "half_stable",
    statement=r"""Near it the critical $K^*$ attracts signals from the side on which $F'' (K - K^*) < 0$, for gelu
    from above and for swish from below, and repels those on the other.""",
    source="chapter 5, half-stable universality class",
    agreement=Ordering("above"),
    controls=("tanh with biases, stable on both sides", "linear without biases, neutral"),
)
def half_stable(run: Run) -> Trial:
    """Follow signals that start 0.5 % away from the fixed point; the sign of each way of going is made positive.

    No further away: swish has another fixed point 2 % above K*, and gelu one below.
    """
    depth = run.size("depth", quick=2000, standard=4000, full=20_000)
    sides = np.array([0.005, -0.005])
    away = np.array([[1, -1], [-1, 1]])  # towards the fixed point, for gelu and for swish from each side

    def measure() -> Array:
        return away * [_gains(_tuned(run, a), SIMULATED[a], sides=sides, depth=depth) for a in HALF_STABLE]

    def of_another(name: str, c_w: float, c_b: float) -> Array:
        path = sim.kernel_path(1.0, c_w, c_b, activation=SIMULATED[name], depth=2000)
        tuning = np.array([float(path[-1, 0]), c_w, c_b])
        return away * _gains(tuning, SIMULATED[name], sides=sides, depth=depth)

    return Trial(
        predict=lambda: np.full((2, 2), 1e-6),
        measure=measure,
        counterexamples={
            "tanh with biases, stable on both sides": lambda: of_another("tanh", 1.2, 0.1),
            "linear without biases, neutral": lambda: of_another("linear", 1.0, 0.0),
        },
        scale=1.0,
    )


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


SIDES: tuple[Literal["parallel"], Literal["perpendicular"]] = ("parallel", "perpendicular")
