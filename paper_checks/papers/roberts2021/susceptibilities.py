"""Susceptibilities: how a layer changes small differences of its inputs."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity, MonteCarlo
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
