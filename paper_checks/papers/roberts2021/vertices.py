"""Fluctuations of finite networks: the four-point vertex, its growth with depth, and exact moments."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, FiniteSize, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, Sizes, Steps
from paper_checks.papers.roberts2021.criticality import HOMOGENEOUS
from paper_checks.papers.roberts2021.half_stable import tuned
from paper_checks.papers.roberts2021.paper import FADING, PAPER, SIMULATED, SOLVED, unit_gain
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk
from theory.ntk.activations import resolve
from theory.ntk.criticality import mean_square_slope, moments

Array = np.ndarray
Function = Callable[[jax.Array], jax.Array]

SHAPE = (1, 2, 1)  # widths of layers 1, 2, 3 in units of n
TUNED = {"tanh": (1.8, 0.1), "gelu": (2.2, 0.1)}  # C_W and C_b
GROUP = 16


def _spreads(keys: jax.Array, k1: jax.Array, n: int) -> jax.Array:
    """Width times the unbiased variance, over a group of networks, of the variances that layers 2 to 4 have."""
    widths = tuple(n * m for m in SHAPE)
    found = []
    for name, (c_w, c_b) in TUNED.items():
        draw = partial(sim.sample_variances, widths=widths, c_w=c_w, c_b=c_b, activation=SIMULATED[name])
        found.append(jnp.var(jax.vmap(lambda key, draw=draw: draw(key, k1))(keys), axis=0, ddof=1))
    return jnp.stack(found) * jnp.asarray(widths)


@PAPER.claim(
    "vertex",
    statement=r"""Neurons of a layer are connected by $E[z_i^2 z_j^2]_c = V^l / n_{l-1} + O(n^{-2})$, $V^{l+1} =
    \frac{n_l}{n_{l-1}} \chi_\parallel^2 V^l + C_W^2 (\langle \phi^4 \rangle - \langle \phi^2 \rangle^2)$, $V^1 =
    0$.""",
    source="chapter 4, recursion of the four-point vertex",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.15),
    controls=(
        "chi for chi squared",
        "equal widths",
        "fourth moment alone",
        "perpendicular susceptibility",
        "V^1 = K^2",
    ),
)
def vertex(run: Run) -> Trial:
    """Variance over networks of what a layer passes on, at widths that double, every second layer twice as wide."""
    widths = run.size("widths", quick=(24, 48, 96, 192), standard=(24, 48, 96, 192), full=(32, 64, 128, 256))
    groups = run.size("groups of 16", quick=5000, standard=20_000, full=500_000)
    k1, depth = run.rng().uniform(0.8, 1.6), len(SHAPE) + 1

    def measure() -> Sizes:
        found = []
        for n in widths:
            keys = run.keys(groups * GROUP, f"n {n}").reshape(groups, GROUP)
            found.append(over_replicates(_spreads, keys, jnp.asarray(k1), n))
        return Sizes(widths, np.stack(found))

    def predict(shape: tuple[int, ...] = SHAPE) -> Array:
        flows = [
            ntk.representation_flow(k1, activation=a, c_w=c_w, c_b=c_b, depth=depth, widths=shape)
            for a, (c_w, c_b) in TUNED.items()
        ]
        return np.stack([flow.vertex[1:] for flow in flows])

    def recursion(*, power: int = 2, across: bool = False, mean: float = 1.0, first: float = 0.0) -> Array:
        """Evaluate the recursion with a choice of mistakes; right as it stands."""
        found = np.empty((len(TUNED), depth - 1))
        for i, (name, (c_w, c_b)) in enumerate(TUNED.items()):
            phi, k, v = resolve(name), np.asarray(k1), np.asarray(first * k1**2)
            for layer in range(depth - 1):
                square, slope, fourth = moments(phi, k)
                chi = c_w * (mean_square_slope(phi, k) if across else slope)
                ratio = SHAPE[layer] / SHAPE[layer - 1] if layer else 1.0
                v = ratio * chi**power * v + c_w**2 * (fourth - mean * square**2)
                k = c_b + c_w * square
                found[i, layer] = v
        return found

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "chi for chi squared": lambda: recursion(power=1),
            "equal widths": lambda: predict((1, 1, 1)),
            "fourth moment alone": lambda: recursion(mean=0.0),
            "perpendicular susceptibility": lambda: recursion(across=True),
            "V^1 = K^2": lambda: recursion(first=1.0),
        },
    )


def _connected(keys: jax.Array, x: jax.Array, n: int, c_w: float, c_b: float) -> jax.Array:
    """Correlations in the second layer, four times as wide as the first, over a group of networks."""
    found = []
    for name in ("tanh", "relu", "gelu"):

        def second(key: jax.Array, phi: Function = SIMULATED[name]) -> jax.Array:
            return sim.sample_network(key, x, (n, 4 * n), c_w, c_b, phi)[1][:, 0]

        found.append(sim.connected_correlations(jax.vmap(second)(keys)))
    return jnp.stack(found)


@PAPER.claim(
    "four_point",
    statement=r"""In the second layer $E[z_i^2 z_j^2]_c = V^2 / n_1$ and $E[z_i^4]_c = 3 V^2 / n_1$, $V^2 = C_W^2
    (\langle \phi^4 \rangle - \langle \phi^2 \rangle^2)$, exactly at every width.""",
    source="chapter 4, four-point correlators of the second layer",
    agreement=MonteCarlo(resolution=0.25),
    controls=("independent neurons", "1 for 3", "1 / n^2", "fourth moment alone", "without biases"),
)
def four_point(run: Run) -> Trial:
    """Draw groups of networks with weights and biases."""
    groups = run.size("groups of 16", quick=10_000, standard=30_000, full=300_000)
    rng, d, n, c_w, c_b = run.rng(), 3, 12, 1.6, 0.3
    direction = rng.standard_normal((d, 1))
    x = direction * np.sqrt(rng.uniform(0.2, 0.5) / np.mean(direction**2))
    k1 = c_b + c_w * float(np.mean(x**2))

    def predict(pair: float = 1.0, single: float = 3.0, mean: float = 1.0, k: float = k1) -> Array:
        found = []
        for name in ("tanh", "relu", "gelu"):
            flow = ntk.representation_flow(k, activation=name, c_w=c_w, c_b=c_b, depth=2)
            square = (flow.kernel[1] - c_b) ** 2
            v = (flow.vertex[1] + (1 - mean) * square) / n
            found.append([flow.kernel[1], pair * v, single * v])
        return np.array(found)

    def measure() -> Samples:
        keys = run.keys(groups * GROUP).reshape(groups, GROUP)
        return Samples(over_replicates(_connected, keys, jnp.asarray(x), n, c_w, c_b))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "independent neurons": lambda: predict(pair=0.0),
            "1 for 3": lambda: predict(single=1.0),
            "1 / n^2": lambda: predict(1 / n, 3 / n),
            "fourth moment alone": lambda: predict(mean=0.0),
            "without biases": lambda: predict(k=k1 - c_b),
        },
    )


@PAPER.claim(
    "vertex_growth",
    statement=r"""At criticality $V^l / K^2$ grows as $\nu l$: $\nu = 3 A_4 / A_2^2 - 1$ for slopes $a_\pm$, $A_p =
    (a_+^p + a_-^p) / 2$ (relu 5, linear 2), $\nu = \frac23$ where $K^* = 0$, and one layer's share, $C_W^2 (\langle
    \phi^4 \rangle - \langle \phi^2 \rangle^2) / K^{*2}$, for gelu and swish.""",
    source="chapter 5, fluctuations at criticality",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-10),
    controls=("1/3 for 2/3", "relu 6", "1 for 2/3", "gelu as relu", "A_2 for A_2 squared"),
)
def vertex_growth(run: Run) -> Trial:
    """Propagate sampling noise of every layer by reverse differentiation; growth from layer l to 2 l, over l."""
    layers = 2 ** np.arange(5, run.size("log2 of the last layer", quick=10, standard=12, full=14))
    starts = run.rng().uniform(0.5, 2.0, len(FADING))
    homogeneous = HOMOGENEOUS[1:]

    def measure() -> Steps:
        # without biases V / K^2 of a piecewise linear network does not depend on C_W; near criticality none overflows
        gains = {"relu": 1.99, "leaky 0.5": 1.61, "leaky -0.7": 1.35}
        cases = [(name, k1, unit_gain(SIMULATED[name]), 0.0) for name, k1 in zip(FADING, starts, strict=True)]
        cases += [(name, 1.3, gains[name], 0.0) for name in homogeneous]
        cases += [(name, *tuned(run, name)) for name in ("gelu", "swish")]
        doubled = (*layers.tolist(), int(2 * layers[-1]))
        ratios = [sim.response_variance(*rest, activation=SIMULATED[name], layers=doubled) for name, *rest in cases]
        return Steps(1 / layers, np.diff(np.array(ratios).T, axis=0) / layers[:, None])

    def predict(change: dict[str, float] | None = None) -> Array:
        names = (*FADING, *homogeneous, "gelu", "swish")
        return np.array([(change or {}).get(name, ntk.vertex_slope(SOLVED[name])) for name in names])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1/3 for 2/3": lambda: predict(dict.fromkeys(FADING, 1 / 3)),
            "relu 6": lambda: predict({"relu": 6.0}),
            "1 for 2/3": lambda: predict(dict.fromkeys(FADING, 1.0)),
            "gelu as relu": lambda: predict({"gelu": 5.0}),
            "A_2 for A_2 squared": lambda: predict({"leaky 0.5": 3 * 0.53125 / 0.625 - 1}),
        },
    )


def _moments(key: jax.Array, k1: jax.Array, widths: tuple[int, ...], c_w: float) -> jax.Array:
    """Mean, and mean square, of what each layer passes on, and the fourth power of the neurons behind the last."""
    found = []
    for_layers, for_neurons = jax.random.split(key)
    for name in HOMOGENEOUS:
        k = sim.sample_variances(for_layers, k1, widths, c_w, 0.0, SIMULATED[name])
        z = jnp.sqrt(k[-1]) * jax.random.normal(for_neurons, (8,))
        found.append(jnp.concatenate([k, k**2, jnp.mean(z**4)[None]]))
    return jnp.stack(found)


@PAPER.claim(
    "exact_moments",
    statement=r"""For piecewise linear activations without biases $E[\hat K^2] / E[\hat K]^2 = \prod_j (1 + \nu /
    n_j)$ at all finite widths, and a neuron's kurtosis is three times that.""",
    source="chapters 4 and 5, all orders in 1/n (derived here)",
    agreement=MonteCarlo(resolution=0.05),
    controls=("nu one too large", "linearised", "last layer only", "kurtosis 3", "widths in geometric mean"),
)
def exact_moments(run: Run) -> Trial:
    """Draw networks of three unequal layers as conditional Gaussians."""
    networks = run.size("networks", quick=300_000, standard=1_000_000, full=20_000_000)
    widths, c_w = (36, 90, 54), 1.5
    k1 = run.rng().uniform(0.5, 2.0)

    def predict(ratios: Array | None = None, kurtosis: float | None = None) -> Array:
        if ratios is None:
            ratios = np.array(
                [
                    [ntk.kernel_moment_ratio(widths[: i + 1], activation=SOLVED[name]) for i in range(3)]
                    for name in HOMOGENEOUS
                ]
            )
        flows = [ntk.representation_flow(k1, activation=SOLVED[a], c_w=c_w, c_b=0.0, depth=4) for a in HOMOGENEOUS]
        means = np.stack([flow.kernel[1:] for flow in flows])
        fourth = (3 * ratios[:, -1:] if kurtosis is None else kurtosis) * means[:, -1:] ** 2
        return np.concatenate([means, ratios * means**2, fourth], axis=1)

    nu = np.array([[ntk.vertex_slope(SOLVED[name])] for name in HOMOGENEOUS])
    n = np.array(widths, dtype=float)
    return Trial(
        predict=predict,
        measure=lambda: Samples(over_replicates(_moments, run.keys(networks), jnp.asarray(k1), widths, c_w)),
        controls={
            "nu one too large": lambda: predict(np.cumprod(1 + (nu + 1) / n, axis=1)),
            "linearised": lambda: predict(1 + np.cumsum(nu / n, axis=1)),
            "last layer only": lambda: predict(1 + nu / n),
            "kurtosis 3": lambda: predict(kurtosis=3.0),
            "widths in geometric mean": lambda: predict((1 + nu / np.exp(np.mean(np.log(n)))) ** np.arange(1, 4)),
        },
    )
