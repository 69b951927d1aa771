"""Where modes come to rest: fixed points under weight decay, the decay that leaves none, and basins without decay."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from paper_checks.agreement import Equivalence, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.tian2021.paper import PAPER, Array, Bases, draw_bases
from paper_checks.problems import readout
from simulations.deep_linear import noncontrastive as sim
from simulations.deep_linear.noncontrastive_training import (
    descend_without_contrast,
    flow_without_contrast,
    largest_surviving_decay,
)
from theory import deep_linear

AUG_VAR, DECAY = 0.25, 0.15  # whose fixed points are 0.2 and 0.6
STARTS = np.array([0.198, 0.202, 0.4, 1.2])


@PAPER.claim(
    "fixed_points",
    statement=r"""Under weight decay modes tend to $s = p^2 / \alpha_p$ at the rate $2 \eta$, and there to p = 0 or to
    $p_+$, $p_\pm = [\tau \pm \sqrt{\tau^2 - 4 \eta \kappa}] / (2 \kappa)$, with $p_-$ between their basins. Rates there
    are $2 \eta - \tau p_\pm$, and $-\eta$ at 0. With a target that moves, $\tau$ ends at 1.""",
    source="fixed points under weight decay; rates derived",
    agreement=Identity(rtol=1e-9),
    controls=("scatter left out", "p_- learned", "s = p^2", "all modes learned", "target 5 % weaker", "no decay"),
)
def fixed_points(run: Run) -> Trial:
    """Gradient descent to rest from both sides of the unstable point, for three alpha_p and for a moving target."""
    n_inputs = run.size("inputs", quick=6, standard=12, full=64)
    bases, multipliers, shift = draw_bases(run.rng(), n_inputs, len(STARTS)), np.array([0.5, 1.0, 3.0]), 0.1
    steps = run.size("steps", quick=4000, standard=8000, full=20000)

    def rest(alpha_p: jax.Array, **rule) -> jax.Array:
        networks = sim.aligned_networks(*_first(bases), p=STARTS, s=STARTS**2 / alpha_p)
        learning = sim.isotropic(n_inputs, alpha_p=alpha_p, aug_var=AUG_VAR, weight_decay=DECAY, **rule)
        observe = readout(sim.modes_in, basis=bases.outputs)
        return descend_without_contrast(networks, learning, learning_rate=0.1, steps=[steps], observe=observe)[0]

    def slopes() -> Array:
        """Return eigenvalues of the velocity's derivative for one mode, from differences that are exact for cubics."""
        learning = sim.isotropic(1, aug_var=AUG_VAR, weight_decay=DECAY)
        found = []
        for p in (0.0, 0.2, 0.6):
            columns = []
            for direction in np.eye(2):
                moved = [_mode_velocity(np.array([p, p]) + k * shift * direction, learning) for k in (-2, -1, 1, 2)]
                columns.append((moved[0] - 8 * moved[1] + 8 * moved[2] - moved[3]) / (12 * shift))
            found.append(np.sort(np.linalg.eigvals(np.stack(columns, axis=1)).real))
        return np.stack(found)

    def edge() -> float:
        """Find where a mode on the invariant curve stands still between the ends of its neighbours."""
        learning = sim.isotropic(1, aug_var=AUG_VAR, weight_decay=DECAY)
        return brentq(lambda p: _mode_velocity(np.array([p, p]), learning)[1], 0.1, 0.4, xtol=1e-14)

    def measure() -> Array:
        tied = jax.jit(jax.vmap(rest))(jnp.asarray(multipliers))
        moving = np.asarray(rest(jnp.asarray(1.0), ema_rate=0.3))[:, -1:]
        return components(np.asarray(tied)[:, :2], moving, edge(), slopes())

    def predict(
        p: Callable[[], Array] | None = None,
        multipliers: Array = multipliers,
        tau: float = 1.0,
        decay: float = DECAY,
        aug_var: float = AUG_VAR,
    ) -> Array:
        lower, upper = deep_linear.fixed_points(weight_decay=decay, aug_var=aug_var, tau=tau)
        learned = p() if p else np.where(lower < STARTS, upper, 0.0)
        ends = [np.stack([learned, learned**2 / alpha_p]) for alpha_p in multipliers]
        last = learned[-1:]
        rates = [np.sort([-2 * decay, 2 * decay - tau * root]) for root in (lower, upper)]
        return components(ends, last, last**2, last**2, lower, [-decay, -decay], *rates)

    lower, upper = deep_linear.fixed_points(weight_decay=DECAY, aug_var=AUG_VAR)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "scatter left out": lambda: predict(aug_var=0.0),
            "p_- learned": lambda: predict(lambda: np.where(lower < STARTS, lower, 0.0)),
            "s = p^2": lambda: predict(multipliers=np.ones(3)),
            "all modes learned": lambda: predict(lambda: np.full(len(STARTS), upper)),
            "target 5 % weaker": lambda: predict(tau=0.95),
            "no decay": lambda: predict(decay=0.0),
        },
        scale=1.0,
    )


def _first(bases: Bases) -> Bases:
    """Take as many inputs as there are outputs."""
    return Bases(bases.outputs, bases.inputs[:, : len(bases.outputs)])


_velocity = jax.jit(sim.velocity)


def _mode_velocity(state: Array, learning: sim.Learning) -> Array:
    """Velocity of the one weight of each network of one mode."""
    online, predictor = (jnp.reshape(jnp.asarray(value), (1, 1)) for value in state)
    found = _velocity(sim.Networks(online, online, predictor), learning)
    return np.array([found.online[0, 0], found.predictor[0, 0]])


@PAPER.claim(
    "critical_weight_decay",
    statement=r"""Representations survive weight decay up to $\eta_c = \tau^2 / (4 \kappa)$ and collapse above, whatever
    alpha_p is.""",
    source="condition for a fixed point other than collapse",
    agreement=Equivalence(margin=2e-3, resolution=5e-3),
    controls=("tau^2 / (2 kappa)", "scatter left out", "tau for tau^2", "alpha_p in the threshold"),
)
def critical_weight_decay(run: Run) -> Trial:
    """Bisect for the largest decay under which descent from a strong start on the invariant curve survives.

    Above the threshold a mode lingers for a time of order (eta / eta_c - 1)^(-1/2): after t the threshold found is too
    large by a share (4 pi kappa / (tau^2 t))^2, here 6e-4 at most.
    """
    n_inputs = run.size("inputs", quick=3, standard=6, full=32)
    steps = run.size("steps", quick=4000, standard=16000, full=64000)
    aug_var, tau = np.array([0.0, 0.25, 1.0, 0.25, 0.5]), np.array([1.0, 1.0, 1.0, 0.8, 1.2])
    alpha_p = np.array([1.0, 0.5, 1.0, 2.0, 3.0])
    bases = _first(draw_bases(run.rng(), n_inputs, 2))

    def one(aug_var: jax.Array, tau: jax.Array, alpha_p: jax.Array) -> jax.Array:
        networks = sim.aligned_networks(*bases, p=jnp.array([1.5, 1.0]), s=jnp.array([1.5, 1.0]) ** 2 / alpha_p)
        learning = sim.isotropic(n_inputs, aug_var=aug_var, target_ratio=tau, alpha_p=alpha_p)
        return largest_surviving_decay(networks, learning, highest=1.0, learning_rate=0.25, steps=steps, halvings=14)

    return Trial(
        predict=lambda: deep_linear.critical_weight_decay(aug_var=aug_var, tau=tau),
        measure=lambda: np.asarray(jax.jit(jax.vmap(one))(*map(jnp.asarray, (aug_var, tau, alpha_p)))),
        controls={
            "tau^2 / (2 kappa)": lambda: tau**2 / (2 * (1 + aug_var)),
            "scatter left out": lambda: deep_linear.critical_weight_decay(aug_var=0.0 * aug_var, tau=tau),
            "tau for tau^2": lambda: tau / (4 * (1 + aug_var)),
            "alpha_p in the threshold": lambda: alpha_p * tau**2 / (4 * (1 + aug_var)),
        },
    )


ALIVE = 5e-3  # least power of a mode, times alpha_p, that has not collapsed


@PAPER.claim(
    "collapse_basin",
    statement=r"""Without decay a mode collapses just when $c = s_0 - p_0^2 / \alpha_p < 0$ and either $p_0 < 0$ or $m =
    \sqrt{\alpha_p |c|} \ge \tau / \kappa$, or when c = 0 and $p_0 \le 0$. In particular none does that starts with
    $p_0 \ge 0$, $s_0 > 0$ and $m < \tau / \kappa$.""",
    source="derived from the equations for modes",
    agreement=Identity(rtol=1e-12),
    controls=(
        "weight decay",
        "sign of p0 alone",
        "sign of c alone",
        "threshold 1 for tau / kappa",
        "alpha_p left out of c",
        "c = 0 never collapses",
    ),
)
def collapse_basin(run: Run) -> Trial:
    """Integrate modes on both sides of every border, as close as 5 % in m, and count which are left."""
    n_inputs = run.size("inputs", quick=5, standard=8, full=16)
    bases = _first(draw_bases(run.rng(), n_inputs, 4))
    number = run.size("starts on a curve", quick=3, standard=10, full=40)
    alpha_p, aug_var, tau, horizon = 1.6, 0.5, 0.9, 200.0
    p0, invariant = _border_starts(number, alpha_p, tau / (1 + aug_var))
    s0 = np.maximum(invariant + p0**2 / alpha_p, 0.0)

    @jax.jit
    @partial(jax.vmap, in_axes=(0, 0, None))
    def every(p: jax.Array, s: jax.Array, decay: jax.Array) -> jax.Array:
        networks = sim.aligned_networks(*bases, p=p, s=s)
        learning = sim.isotropic(n_inputs, alpha_p=alpha_p, aug_var=aug_var, target_ratio=tau, weight_decay=decay)
        observe = readout(sim.modes_in, basis=bases.outputs)
        return flow_without_contrast(networks, learning, times=[horizon], observe=observe, rtol=1e-9)[0, 1]

    def measure(decay: float = 0.0) -> Array:
        left = every(*(jnp.asarray(x).reshape(-1, 4) for x in (p0, s0)), jnp.asarray(decay))
        return (alpha_p * np.asarray(left).ravel() < ALIVE).astype(float)

    def predict(alpha: float = alpha_p, aug_var: float = aug_var, tau: float = tau) -> Array:
        return deep_linear.collapses(p0, s0, alpha_p=alpha, aug_var=aug_var, tau=tau).astype(float)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "sign of p0 alone": lambda: (p0 < 0) * 1.0,
            "sign of c alone": lambda: (invariant < 0) * 1.0,
            "threshold 1 for tau / kappa": lambda: predict(aug_var=0.0, tau=1.0),
            "alpha_p left out of c": lambda: predict(alpha=1.0),
            "c = 0 never collapses": lambda: np.where(invariant == 0, 0.0, predict()),
        },
        counterexamples={"weight decay": lambda: measure(decay=0.1)},
        scale=1.0,
    )


def _border_starts(number: int, alpha_p: float, unit: float) -> tuple[Array, Array]:
    """Return predictors and invariants of starts, a multiple of four in number; m is in shares of ``unit``."""
    shares = np.geomspace(1.02, 3.0, number)
    rows = []
    for m in (0.1, 0.5, 0.95, 1.05, 1.5):
        rows += [(sign * m * unit * share, -((m * unit) ** 2) / alpha_p) for sign in (1, -1) for share in shares]
    for m in (0.1, 1.0):
        rows += [(sign * unit * share, (m * unit) ** 2 / alpha_p) for sign in (1, -1) for share in shares]
    rows += [(sign * unit * share, 0.0) for sign in (1, -1) for share in shares]
    rows += [(unit, 0.0)] * (-len(rows) % 4)
    p0, invariant = np.array(rows).T
    return p0, invariant
