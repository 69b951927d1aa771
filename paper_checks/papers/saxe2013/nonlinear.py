"""Tanh networks at initialisation: where gradients neither vanish nor explode."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import integrate

from paper_checks.agreement import ConvergenceOrder, Equivalence, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, Steps
from paper_checks.papers.saxe2013.paper import PAPER
from simulations import deep_linear as sim
from simulations.replicates import over_replicates
from theory import deep_linear

GAINS = (0.9, 1.05, 1.2)
Q0 = 0.6


def _predict(depth: int, *, lengths: bool = True) -> np.ndarray:
    """Return the length after ``depth`` layers and the mean squared singular value, for each gain."""
    found = []
    for gain in GAINS:
        q = Q0
        for _ in range(depth):
            q = float(deep_linear.tanh_length_map(q, gain=gain))
        found.append([q, deep_linear.jacobian_mean_square(gain=gain, depth=depth, q0=Q0)])
    return np.array(found)


def _wrong_slopes(depth: int, slope_power: int) -> np.ndarray:
    """Return the same with E sech^power for E sech^4 in the slope, by quadrature."""
    right = _predict(depth)
    for row, gain in zip(right, GAINS, strict=True):
        q, product = Q0, 1.0
        for _ in range(depth):
            product *= gain**2 * _average(lambda h: np.cosh(h) ** -slope_power, q)
            q = float(deep_linear.tanh_length_map(q, gain=gain))
        row[1] = product
    return right


def _average(f, q: float) -> float:
    density = lambda z: f(np.sqrt(q) * z) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)  # noqa: E731
    return integrate.quad(density, -12, 12)[0]


@PAPER.claim(
    "edge_of_chaos",
    statement=r"""In a tanh network $h_{l+1} = g W_l \tanh h_l$ of orthogonal weights, $q_{l+1} = g^2 E
    \tanh^2(\sqrt{q_l} z)$ and the mean squared singular value of $dh_D / dh_0$ is $\prod_l g^2
    E\,\mathrm{sech}^4(\sqrt{q_l} z)$, up to $O(1/n)$.""",
    source="nonlinear networks, dynamic criticality",
    agreement=Equivalence(margin=0.05, resolution=0.2),
    controls=("sech^2 for sech^4", "linear network", "depth one less"),
)
def edge_of_chaos(run: Run) -> Trial:
    """Forward passes and Jacobians of tanh networks with orthogonal weights."""
    n, depth = run.size("width and depth", quick=(64, 4), standard=(96, 6), full=(1024, 20))
    replicates = run.size("replicates", quick=600, standard=800, full=2000)

    def passes(key: jax.Array, gain: jax.Array) -> jax.Array:
        found = sim.tanh_pass(key, n=n, depth=depth, gain=gain, q0=Q0, ensemble="orthogonal")
        return jnp.stack([found.lengths[-1], sim.spectral_moments(found.jacobian, order=1)[0]])

    def measure() -> Samples:
        return Samples(np.stack([over_replicates(passes, run.keys(replicates), jnp.asarray(g)) for g in GAINS], axis=1))

    linear = np.array([[g ** (2 * depth) * Q0, g ** (2 * depth)] for g in GAINS])
    return Trial(
        predict=lambda: _predict(depth),
        measure=measure,
        controls={
            "sech^2 for sech^4": lambda: _wrong_slopes(depth, 2),
            "linear network": lambda: linear,
            "depth one less": lambda: _predict(depth - 1),
        },
    )


@PAPER.claim(
    "edge_of_chaos_wide",
    statement=r"""The same holds for Gaussian weights, sharply at widths where $O(1/n)$ is below the noise: lengths and
    gradient norms average to the mean-field values.""",
    source="nonlinear networks, dynamic criticality",
    agreement=MonteCarlo(resolution=0.02),
    controls=("sech^2 for sech^4", "depth one less"),
)
def edge_of_chaos_wide(run: Run) -> Trial:
    """Activations and a tangent vector of Gaussian tanh networks, drawn from their exact joint law layer by layer."""
    n = run.size("width", quick=10_000, standard=50_000, full=1_000_000)
    depth = run.size("depth", quick=8, standard=12, full=30)
    replicates = run.size("replicates", quick=256, standard=384, full=1024)

    def growth(key: jax.Array, gain: jax.Array) -> jax.Array:
        found = sim.tanh_tangent(key, n=n, depth=depth, gain=gain, q0=Q0)
        return jnp.stack([found.lengths[-1], found.growth[-1]])

    def measure() -> Samples:
        return Samples(np.stack([over_replicates(growth, run.keys(replicates), jnp.asarray(g)) for g in GAINS], axis=1))

    return Trial(
        predict=lambda: _predict(depth),
        measure=measure,
        controls={
            "sech^2 for sech^4": lambda: _wrong_slopes(depth, 2),
            "depth one less": lambda: _predict(depth - 1),
        },
    )


@PAPER.claim(
    "edge_expansion",
    statement=r"""Just above the critical gain, with $\epsilon = g - 1$, the length settles at $q^* = \epsilon + \frac43
    \epsilon^2 + O(\epsilon^3)$, where the mean squared slope is $1 + \frac43 \epsilon^2 + O(\epsilon^3)$: gradients
    are preserved to first order. (Derived.)""",
    source="derived from the tanh network of the section on nonlinear networks",
    agreement=ConvergenceOrder(order=3, resolution=1e-2, accuracy=1e-12),
    controls=("q* = 2 (g - 1)", "4/3 taken as 2/3 in the slope", "q* to leading order"),
)
def edge_expansion(run: Run) -> Trial:
    """Iterate the infinitely wide network to rest at gains that approach one."""
    finest = run.size("finest excess gain", quick=0.0025, standard=0.00125, full=0.001)
    excess = finest * np.array([8.0, 4.0, 2.0, 1.0])
    depth = int(20 / finest)

    def measure() -> Steps:
        settled = [sim.wide_tanh(depth=depth, gain=1 + e, q0=0.5 * finest) for e in excess]
        return Steps(excess, [[float(s.length[-1]), float(s.slope[-1]) - 1] for s in settled])

    def predict(length: float = 1.0, slope: float = 1.0, second: float = 0.0) -> Steps:
        expansion = deep_linear.edge_of_chaos(gain=1 + excess)
        q = length * expansion.fixed_point - second * excess**2
        return Steps(excess, np.stack([q, slope * (expansion.gradient_gain - 1)], axis=1))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "q* = 2 (g - 1)": lambda: predict(length=2.0),
            "4/3 taken as 2/3 in the slope": lambda: predict(slope=0.5),
            "q* to leading order": lambda: predict(second=4 / 3),
        },
    )


@PAPER.claim(
    "edge_decay",
    statement=r"""At the critical gain $g = 1$ the length decays as $q_l \sim 1 / (2 l)$; below it, it vanishes and the
    mean squared slope tends to $g^2$. (Derived.)""",
    source="derived from the tanh network of the section on nonlinear networks",
    agreement=Equivalence(margin=0.02, resolution=0.1),
    controls=("1 / l", "slope g"),
)
def edge_decay(run: Run) -> Trial:
    """Run the infinitely wide network deep, at and below the critical gain."""
    depth = run.size("depth", quick=4000, standard=20_000, full=100_000)
    gain, q0 = 0.9, float(run.rng().uniform(0.3, 1.5))

    def measure() -> np.ndarray:
        critical = sim.wide_tanh(depth=depth, gain=1.0, q0=q0)
        below = sim.wide_tanh(depth=depth, gain=gain, q0=q0)
        return np.array([depth * float(critical.length[-1]), float(below.slope[-1])])

    return Trial(
        predict=lambda: np.array([0.5, gain**2]),
        measure=measure,
        controls={"1 / l": lambda: np.array([1.0, gain**2]), "slope g": lambda: np.array([0.5, gain])},
    )
