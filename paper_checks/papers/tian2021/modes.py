"""Common modes of predictor and representation: their courses, what they conserve, and how long they take."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Steps, components
from paper_checks.papers.tian2021.paper import INTEGRATED, PAPER, Array, Bases, draw_bases, sizes
from paper_checks.problems import readout
from simulations.deep_linear import noncontrastive as sim
from simulations.deep_linear.gradient_descent import steps_at
from simulations.deep_linear.noncontrastive_training import (
    descend_without_contrast,
    flow_without_contrast,
    passage_times,
)
from theory.deep_linear import noncontrastive as solve

RULE = {"alpha_p": 1.7, "weight_decay": 0.08, "aug_var": 0.3}
TAU = 0.9  # of passages


def _strengths(n: int) -> tuple[Array, Array]:
    """Eigenvalues of predictor and representation: of both signs, on both sides of the invariant curve."""
    share = np.linspace(0.0, 1.0, n)
    return np.linspace(-0.4, 1.1, n), 0.15 + 0.8 * (share - 0.4) ** 2


@PAPER.claim(
    "modes",
    statement=r"""In a common eigenbasis the eigenvalues of $W_p$ and $W W^T$ obey $\dot p = \alpha_p s (\tau - \kappa
    p) - \eta p$ and $\dot s = 2 p s (\tau - \kappa p) - 2 \eta s$; a target that follows by a moving average
    has a ratio for each mode, $\dot \tau = \beta (1 - \tau) - \tau \dot s / (2 s)$.""",
    source="decoupled dynamics of eigenvalues; a ratio for each mode is derived",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=(
        "one ratio for all modes",
        "p s for 2 p s",
        "decay multiplied by alpha_p",
        "scatter left out",
        "no decay",
    ),
)
def modes(run: Run) -> Trial:
    """Gradient descent on all matrices in random common eigenbases, with a tied and with a moving target."""
    n_inputs, n = sizes(run)
    finest = run.size("finest learning rate", quick=1e-3, standard=5e-4, full=5e-4)
    rates, times = [8 * finest, 4 * finest, 2 * finest, finest], np.array([0.48, 1.44, 3.84])
    bases, (p0, s0) = draw_bases(run.rng(), n_inputs, n), _strengths(n)
    tau0, beta = np.linspace(0.3, 1.2, n), 0.5

    def measure() -> Steps:
        found = []
        for rule in ({"target_ratio": 0.8}, {"ema_rate": beta}):
            networks = sim.aligned_networks(*bases, p=p0, s=s0, target_ratio=tau0)
            learning = sim.isotropic(n_inputs, **RULE, **rule)
            observe = readout(sim.modes_in, basis=bases.outputs)
            runs = [
                descend_without_contrast(
                    networks, learning, learning_rate=rate, steps=steps_at(times, rate), observe=observe
                )
                for rate in rates
            ]
            kept = slice(0, 2) if "target_ratio" in rule else slice(0, 3)
            found.append(np.stack(runs)[:, :, kept])
        return Steps(rates, components(*found, leading=1))

    def courses(tied: solve.PredictorModes, moving: solve.PredictorModes) -> Array:
        tied_pair = np.stack([tied.p, tied.s], axis=1)
        return components(tied_pair, np.stack([moving.p, moving.s, moving.tau * moving.s], axis=1))

    def predict(alpha_p: float = RULE["alpha_p"], **changed: float) -> Array:
        rule = RULE | {"alpha_p": alpha_p} | changed
        return courses(
            solve.mode_flow(times, p0=p0, s0=s0, tau0=0.8, **rule),
            solve.mode_flow(times, p0=p0, s0=s0, tau0=tau0, ema_rate=beta, **rule),
        )

    def variant(*, growth: float = 2.0, shared: bool = False, own_decay: float = 1.0) -> Array:
        """Integrate other equations for the modes; right with the arguments left out."""

        def one(start: Array, rate: float) -> solve.PredictorModes:
            def velocity(_: float, state: Array) -> Array:
                p, s, tau = state.reshape(3, -1)
                drive = tau - kappa * p
                s_dot = growth * p * s * drive - 2 * eta * s
                speed = s_dot.sum() / s.sum() if shared else s_dot / s
                tau_dot = rate * (1 - tau) - tau * speed / 2 if rate else 0 * tau
                return np.concatenate([alpha_p * s * drive - own_decay * eta * p, s_dot, tau_dot])

            alpha_p, eta, kappa = RULE["alpha_p"], RULE["weight_decay"], 1 + RULE["aug_var"]
            found = solve_ivp(
                velocity, (0, times[-1]), np.concatenate([p0, s0, start]), "DOP853", times, rtol=1e-10, atol=1e-12
            )
            return solve.PredictorModes(*np.moveaxis(found.y.reshape(3, n, -1), 2, 1))

        initial = np.full(n, np.sum(tau0 * s0) / s0.sum()) if shared else tau0
        return courses(one(np.full(n, 0.8), 0.0), one(initial, beta))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "one ratio for all modes": lambda: variant(shared=True),
            "p s for 2 p s": lambda: variant(growth=1.0),
            "decay multiplied by alpha_p": lambda: variant(own_decay=RULE["alpha_p"]),
            "scatter left out": lambda: predict(aug_var=0.0),
            "no decay": lambda: predict(weight_decay=0.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "mode_invariant",
    statement=r"""Every mode keeps to $s(t) = p(t)^2 / \alpha_p + e^{-2 \eta t} c$ with $c = s_0 - p_0^2 / \alpha_p$,
    whatever its target does.""",
    source="balance of eigenvalues",
    agreement=Identity(rtol=INTEGRATED),
    controls=("multiplied by alpha_p", "exp(-eta t)", "constant in spite of decay", "on the curve from the start"),
)
def mode_invariant(run: Run) -> Trial:
    """Integrate all matrices, with a target that moves, and set s against the p of the equations for modes."""
    n_inputs, n = sizes(run)
    bases, (p0, s0) = draw_bases(run.rng(), n_inputs, n), _strengths(n)
    alpha_p, eta, times, beta = RULE["alpha_p"], RULE["weight_decay"], np.array([1.0, 3.0, 8.0]), 0.3
    tau0 = np.linspace(0.3, 1.2, n)

    def measure() -> Array:
        networks = sim.aligned_networks(*bases, p=p0, s=s0, target_ratio=tau0)
        learning = sim.isotropic(n_inputs, ema_rate=beta, **RULE)
        observe = readout(sim.modes_in, basis=bases.outputs)
        return np.asarray(flow_without_contrast(networks, learning, times=times, observe=observe)[:, 1])

    def predict(weight: float = 1 / alpha_p, rate: float = 2.0, constant: float = 1.0) -> Array:
        p = solve.mode_flow(times, p0=p0, s0=s0, tau0=tau0, ema_rate=beta, **RULE).p
        return weight * p**2 + constant * np.exp(-rate * eta * times)[:, None] * (s0 - weight * p0**2)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "multiplied by alpha_p": lambda: predict(weight=alpha_p),
            "exp(-eta t)": lambda: predict(rate=1.0),
            "constant in spite of decay": lambda: predict(rate=0.0),
            "on the curve from the start": lambda: predict(constant=0.0),
        },
        scale="largest",
    )


class Passages(NamedTuple):
    """Passages of a mode through levels, (passages, levels), from starts with an invariant, under decay and scatter."""

    start: Array
    levels: Array
    invariant: Array
    weight_decay: Array
    aug_var: Array


def _passages(*rows: tuple[float, tuple[float, ...], float, float, float]) -> Passages:
    return Passages(*(np.array(column) for column in zip(*rows, strict=True)))


def _measured_passages(cases: Passages, bases: Bases, *, alpha_p: float, tau: float) -> Array:
    """Run the matrices' flow with the first mode's predictor as clock; two other modes go along."""

    def one(start: jax.Array, levels: jax.Array, invariant: jax.Array, decay: jax.Array, aug_var: jax.Array):
        p = jnp.array([0.0, 0.5, 0.3]).at[0].set(start)
        s = jnp.array([0.0, 0.4, 0.7]).at[0].set(invariant + start**2 / alpha_p)
        networks = sim.aligned_networks(*bases, p=p, s=s)
        learning = sim.isotropic(
            len(bases.inputs), alpha_p=alpha_p, weight_decay=decay, aug_var=aug_var, target_ratio=tau
        )
        return passage_times(networks, learning, observe=observe, levels=levels)

    observe = readout(sim.predictor_along, direction=bases.outputs[:, 0])
    return np.asarray(jax.jit(jax.vmap(one))(*(jnp.asarray(part) for part in cases)))


def _predicted_passages(
    cases: Passages,
    *,
    alpha_p: float,
    tau: float,
    invariant: float = 1.0,
    decay: float = 1.0,
    scatter: float = 1.0,
) -> Array:
    """Take times from the closed form, with parameters multiplied by other numbers than 1 where they are to be wrong.

    Where a wrong one has a fixed point on the way, and no time to offer, the right one stands in.
    """
    found = []
    for start, levels, c, eta, aug_var in zip(*cases, strict=True):
        right = {"invariant": c, "weight_decay": eta, "aug_var": aug_var, "tau": TAU}
        wrong = {"invariant": invariant * c, "weight_decay": decay * eta, "aug_var": scatter * aug_var, "tau": tau}
        try:
            passed = solve.mode_time(levels, p0=start, alpha_p=alpha_p, **wrong)
        except ValueError:
            passed = solve.mode_time(levels, p0=start, alpha_p=alpha_p, **right)
        found.append(passed)
    return np.stack(found)


def _bases(run: Run) -> Bases:
    drawn = draw_bases(run.rng(), run.size("inputs", quick=5, standard=12, full=64), 3)
    return Bases(drawn.outputs, drawn.inputs[:, :3])


@PAPER.claim(
    "mode_time",
    statement=r"""On the invariant curve, c = 0, a mode goes from $p_0$ to p in the time $-\frac{1}{\kappa} [G(p) -
    G(p_0)]$, G a sum of logarithms of p, $p - p_-$ and $p - p_+$; above the critical decay the roots are complex.""",
    source="derived from the equations for modes",
    agreement=Identity(rtol=INTEGRATED),
    controls=(
        "decay left out",
        "scatter left out",
        "target at full strength",
        "alpha_p in the rate",
        "root at 0 left out",
    ),
)
def mode_time(run: Run) -> Trial:
    """Passages to the learned state from both sides, to collapse, and to collapse above the critical decay."""
    bases, alpha_p, tau = _bases(run), 1.8, TAU
    cases = _passages(
        (0.25, (0.3, 0.4, 0.55), 0.0, 0.1, 0.2),
        (1.4, (1.1, 0.8, 0.66), 0.0, 0.1, 0.2),
        (0.11, (0.08, 0.05, 0.01), 0.0, 0.1, 0.2),
        (-0.7, (-0.5, -0.2, -0.02), 0.0, 0.1, 0.2),
        (1.2, (0.6, 0.3, 0.05), 0.0, 0.25, 0.2),
        (0.9, (0.5, 0.2, 0.1), 0.0, 0.15, 1.0),
    )

    predict = partial(_predicted_passages, cases, alpha_p=alpha_p, tau=tau)

    def rootless() -> Array:
        """Leave the term ln|p| / (p_- p_+) out of G, in the passages below the critical decay."""
        times = predict()
        for row in range(4):
            lower, upper = solve.fixed_points(weight_decay=0.1, aug_var=0.2, tau=tau)
            p, start = cases.levels[row], cases.start[row]
            times[row] += np.log(np.abs(p / start)) / (1.2 * lower * upper)
        return times

    return Trial(
        predict=predict,
        measure=lambda: _measured_passages(cases, bases, alpha_p=alpha_p, tau=tau),
        controls={
            "decay left out": lambda: predict(decay=0.0),
            "scatter left out": lambda: predict(scatter=0.0),
            "target at full strength": lambda: predict(tau=1.0),
            "alpha_p in the rate": lambda: predict() / alpha_p,
            "root at 0 left out": rootless,
        },
    )


@PAPER.claim(
    "mode_time_no_decay",
    statement=r"""Without decay a mode's invariant c stays, and it goes from $p_0$ to p in a time given by logarithms of
    $\tau - \kappa p$ and of $p^2 + M$, and by an arctangent or an artanh of p, for $M = \alpha_p c$ of either sign.""",
    source="derived from the equations for modes",
    agreement=Identity(rtol=INTEGRATED),
    controls=("on the invariant curve", "c for alpha_p c", "sign of c", "scatter left out", "target at full strength"),
)
def mode_time_no_decay(run: Run) -> Trial:
    """Passages with the invariant positive, negative and zero; from negative predictors, and to collapse."""
    bases, alpha_p, tau = _bases(run), 1.8, TAU
    cases = _passages(
        (-0.6, (-0.3, 0.2, 0.6), 0.2, 0.0, 0.3),
        (1.5, (1.2, 0.9, 0.75), 0.4, 0.0, 0.3),
        (0.4, (0.45, 0.55, 0.65), -0.05, 0.0, 0.3),
        (1.9, (1.6, 1.3, 1.2), -0.7, 0.0, 0.3),
        (-0.9, (-0.7, -0.5, -0.4), -0.05, 0.0, 0.3),
        (0.2, (0.3, 0.5, 0.65), 0.0, 0.0, 0.3),
    )

    predict = partial(_predicted_passages, cases, alpha_p=alpha_p, tau=tau)

    return Trial(
        predict=predict,
        measure=lambda: _measured_passages(cases, bases, alpha_p=alpha_p, tau=tau),
        controls={
            "on the invariant curve": lambda: predict(invariant=0.0),
            "c for alpha_p c": lambda: predict(invariant=1 / alpha_p),
            "sign of c": lambda: predict(invariant=-1.0),
            "scatter left out": lambda: predict(scatter=0.0),
            "target at full strength": lambda: predict(tau=1.0),
        },
    )
