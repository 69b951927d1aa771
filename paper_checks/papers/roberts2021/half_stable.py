"""Half-stable criticality: gelu and swish, critical at one variance that attracts from one side alone."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.papers.roberts2021.paper import PAPER, SIMULATED
from simulations import ntk as sim
from theory import ntk

Array = np.ndarray
Function = Callable[[jax.Array], jax.Array]

HALF_STABLE = ("gelu", "swish")
GUESSES = {"gelu": (3.0, 2.0, 0.2), "swish": (12.0, 2.0, 0.5)}


def tuned(run: Run, name: str) -> Array:
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
        measure=lambda: np.stack([tuned(run, name) for name in HALF_STABLE]),
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
            found.append(float(twice(*jnp.asarray(tuned(run, name)))))
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
        return away * [_gains(tuned(run, a), SIMULATED[a], sides=sides, depth=depth) for a in HALF_STABLE]

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
