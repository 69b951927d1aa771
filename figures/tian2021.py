"""Tian, Chen and Ganguli 2021: modes and their fixed points, alignment, and which ingredients prevent collapse."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, colour, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from paper_checks.problems import frame, readout
from simulations.deep_linear import noncontrastive as sim
from simulations.deep_linear.noncontrastive_training import descend_without_contrast, flow_without_contrast
from theory import deep_linear
from theory.deep_linear import noncontrastive as solve

Array = NDArray[np.float64]

AUG_VAR = 0.25
KAPPA = 1 + AUG_VAR


def _courses(run: Run, p0: Array, s0: Array, times: Array, **rule: Any) -> Array:
    """Eigenvalues p and s over time, (times, 2, modes), of matrices on their flow, from common random eigenvectors."""
    rng, n = run.rng(), len(p0)
    bases = frame(rng, n, n), frame(rng, n + 2, n)
    networks = sim.aligned_networks(*bases, p=p0, s=s0)
    learning = sim.isotropic(n + 2, aug_var=AUG_VAR, **rule)
    observe = readout(sim.modes_in, basis=bases[0])
    return np.asarray(flow_without_contrast(networks, learning, times=times, observe=observe))[:, :2]


@figure(
    "tian2021.phase_portrait",
    caption=r"""Paths of modes in the plane of the predictor's eigenvalue p and the representation's s, augmentation
    variance 0.25. Left, without decay: on curves of constant s - p^2, to the line p = 1/kappa or to collapse at s = 0.
    Right, with weight decay 0.12: onto the curve s = p^2 (grey), and there to the learned state (filled) or to
    collapse, with an unstable state (open) between them; grey dotted, where p or s stand still. Lines: equations for
    modes. Markers: matrices on their flow, at times 0, 1, 3 and 9.""",
)
def phase_portrait(run: Run) -> Drawing:
    """Follow modes from both sides of the invariant curve."""
    p0 = np.array([-0.9, -0.6, -0.3, 0.3, 0.05, 1.3, 1.15, 0.5])
    s0 = np.array([0.5, 1.2, 0.5, 1.3, 0.2, 0.5, 1.5, 0.08])
    fine, marked = np.concatenate([[0.0], np.geomspace(0.01, 60, 300)]), np.array([0.0, 1.0, 3.0, 9.0])
    image, panels = canvas(1, 2, share_y=True)
    numbers: dict[str, Any] = {"fine": fine, "marked": marked}
    curve = np.linspace(-1.15, 1.4, 200)
    for axes, eta, name in zip(panels[0], (0.0, 0.12), ("free", "decay"), strict=True):
        p, s, _ = solve.mode_flow(fine, p0=p0, s0=s0, aug_var=AUG_VAR, weight_decay=eta)
        found = _courses(run, p0, s0, marked[1:], weight_decay=eta)
        found = np.concatenate([np.stack([p0, s0])[None], found])
        reference(axes, curve, curve**2)
        if eta:
            _nullclines(axes, eta)
        else:
            reference(axes, [1 / KAPPA] * 2, [0, 1.7], linestyle=":")
        for j in range(len(p0)):
            theory(axes, p[:, j], s[:, j], j, linestyle="-")
            simulation(axes, found[:, 0, j], found[:, 1, j], j)
        numbers |= {f"{name}_p": p, f"{name}_s": s, f"{name}_found": found}
        axes.set(xlabel="predictor eigenvalue $p$", xlim=(-1.15, 1.4), ylim=(-0.05, 1.7))
    panels[0, 0].set_ylabel("representation eigenvalue $s$")
    return Drawing(image, numbers)


def _nullclines(axes: Axes, eta: float) -> None:
    """Draw where p and where s stand still, and the fixed points on the invariant curve."""
    lower, upper = (float(p) for p in deep_linear.fixed_points(weight_decay=eta, aug_var=AUG_VAR))
    p = np.linspace(0.0, 0.98 / KAPPA, 200)
    reference(axes, p, eta * p / (1 - KAPPA * p), linestyle=":")
    for root in (lower, upper):
        reference(axes, [root, root], [0, 1.7], linestyle=":")
    for root, face in ((0.0, "black"), (lower, "white"), (upper, "black")):
        axes.plot(root, root**2, "o", color="black", markerfacecolor=face, markersize=7, zorder=5)


@figure(
    "tian2021.saddle_node",
    caption=r"""Rate of change of the predictor's eigenvalue on the invariant curve, for weight decay of half, of all,
    and of one and a half times the critical value, augmentation variance 0.25. Below the critical decay there are an
    unstable and a stable state besides collapse at p = 0; they meet at it, and above only collapse is left. Lines: the
    equation for p. Markers: the predictor's velocity, from gradients of the loss.""",
)
def saddle_node(run: Run) -> Drawing:
    """Differentiate the loss at aligned networks on the curve."""
    fine, marked = np.linspace(-0.05, 0.85, 200), np.linspace(0.0, 0.8, 9)
    critical = float(deep_linear.critical_weight_decay(aug_var=AUG_VAR))
    rng = run.rng()
    bases = frame(rng, len(marked), len(marked)), frame(rng, len(marked) + 2, len(marked))
    networks = sim.aligned_networks(*bases, p=marked, s=marked**2)
    image, ((axes,),) = canvas()
    reference(axes, [-0.05, 0.85], [0, 0])
    entries, numbers = [], {"fine": fine, "marked": marked, "critical": critical}
    for j, share in enumerate((0.5, 1.0, 1.5)):
        eta = share * critical
        line = fine**2 * (1 - KAPPA * fine) - eta * fine
        learning = sim.isotropic(len(marked) + 2, aug_var=AUG_VAR, weight_decay=eta)
        found = np.asarray(sim.rate_of(partial(sim.modes_in, basis=bases[0]), networks, learning))[0]
        handles = (theory(axes, fine, line, j), simulation(axes, marked, found, j))
        entries.append((handles, rf"$\eta = {share:g}\,\eta_c$"))
        numbers |= {f"line_{j}": line, f"found_{j}": found}
    for root in deep_linear.fixed_points(weight_decay=0.5 * critical, aug_var=AUG_VAR):
        axes.plot(float(root), 0.0, "o", color=colour(0), markersize=7, zorder=4)
    axes.set(xlabel="predictor eigenvalue $p$", ylabel=r"velocity $\dot p$", xlim=(-0.05, 0.85), ylim=(-0.12, 0.06))
    legend(axes, entries, loc="lower left")
    return Drawing(image, numbers)


@figure(
    "tian2021.alignment",
    caption=r"""Commutator of representation F and predictor, relative to the product of their norms, against time, for
    two and for six outputs, from unaligned networks; augmentation variance 0.25, weight decay 0.1. Lines: the matrix
    equations. Dashed in the same colour: the bound by the least eigenvalue of K. Markers: gradient flow of the
    networks. Both come to share eigenvectors, faster than the bound says.""",
)
def alignment(run: Run) -> Drawing:
    """Follow unaligned networks of two sizes."""
    rng, rule = run.rng(), {"aug_var": AUG_VAR, "weight_decay": 0.1}
    fine, marked = np.linspace(0, 8, 100), np.arange(1.0, 8.0)
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"fine": fine, "marked": marked}
    for j, n in enumerate((2, 6)):
        u, v = frame(rng, n, n), frame(rng, n, n)
        online = (v * np.sqrt(np.linspace(0.3, 1.2, n))) @ frame(rng, n + 2, n).T
        predictor = (u * np.linspace(0.2, 0.9, n)) @ u.T
        flow = deep_linear.predictor_flow(fine, w_p0=predictor, f0=online @ online.T, **rule)
        sizes = np.linalg.norm(flow.f, axis=(1, 2)) * np.linalg.norm(flow.w_p, axis=(1, 2))
        moved = np.linalg.norm(flow.f @ flow.w_p - flow.w_p @ flow.f, axis=(1, 2))
        bound = moved[0] * np.exp(-2 * flow.least_rate)
        learning = sim.isotropic(n + 2, predictor="symmetric", **rule)
        networks = online, online, predictor
        found = np.asarray(flow_without_contrast(networks, learning, times=marked, observe=_relative_commutator))
        line = theory(axes, fine, moved / sizes, j, linestyle="-")
        dashed = theory(axes, fine, bound / sizes, j, linestyle="--", linewidth=1.0)
        entries += [((line, simulation(axes, marked, found, j)), f"{n} outputs"), (dashed, "bound")]
        numbers |= {f"line_{j}": moved / sizes, f"bound_{j}": bound / sizes, f"found_{j}": found}
    axes.set(xlabel="time $t$", ylabel=r"$|[F, W_p]|\ /\ |F| |W_p|$", yscale="log")
    legend(axes, entries, loc="lower left")
    return Drawing(image, numbers)


def _relative_commutator(networks: sim.Networks) -> jax.Array:
    f, w_p = sim.outputs_and_predictor(networks)
    return jnp.linalg.norm(sim.commutator(networks)) / (jnp.linalg.norm(f) * jnp.linalg.norm(w_p))


def _norm(networks: sim.Networks) -> jax.Array:
    return jnp.linalg.norm(networks.online)


@figure(
    "tian2021.ingredients",
    caption=r"""Norm of the online network against time, relative to its start, with and without predictor and
    stop-gradient, from the same weights; augmentation variance 0.25, weight decay 0.05. Only with both does a
    representation survive. Lines: theory, which without stop-gradient and with a predictor is a bound (dashed).
    Markers: gradient flow of the networks.""",
)
def ingredients(run: Run) -> Drawing:
    """Follow the four systems."""
    rng, n, eta = run.rng(), 4, 0.05
    fine, marked = np.linspace(0, 40, 200), np.linspace(5, 40, 8)
    u = frame(rng, n, n)
    online, predictor = rng.standard_normal((n, n + 2)) / np.sqrt(n), (u * np.linspace(0.4, 0.9, n)) @ u.T
    start = np.linalg.norm(online)
    rule = {"aug_var": AUG_VAR, "weight_decay": eta}
    survives = deep_linear.predictor_flow(fine, w_p0=predictor, f0=online @ online.T, **rule).f
    bare = deep_linear.weights_without_predictor(fine, w0=online, aug_cov=AUG_VAR * np.eye(n + 2), weight_decay=eta)
    rate = deep_linear.no_stop_gradient_rate(aug_var=AUG_VAR, weight_decay=eta)
    systems: list[tuple[str, Array, bool, dict[str, Any]]] = [
        ("both", np.sqrt(np.trace(survives, axis1=1, axis2=2)) / start, True, {"predictor": "symmetric"}),
        ("no predictor", np.linalg.norm(bare, axis=(1, 2)) / start, False, {}),
        ("no stop-gradient", np.exp(-rate * fine), True, {"stop_gradient": False}),
        ("neither", np.exp(-(2 * AUG_VAR + eta) * fine), False, {"stop_gradient": False}),
    ]
    image, ((axes,),) = canvas()
    entries, numbers = [], {"fine": fine, "marked": marked}
    for j, (label, line, trained, options) in enumerate(systems):
        fixed = {} if trained else {"alpha_p": 0.0, "predictor_decay": 0.0}
        learning = sim.isotropic(n + 2, **rule, **fixed, **options)
        networks = online, online, predictor if trained else np.eye(n)
        found = np.asarray(flow_without_contrast(networks, learning, times=marked, observe=_norm)) / start
        bound = label == "no stop-gradient"
        handles = (theory(axes, fine, line, j, linestyle="--" if bound else "-"), simulation(axes, marked, found, j))
        entries.append((handles, label))
        numbers |= {f"line_{j}": line, f"found_{j}": found}
    axes.set(xlabel="time $t$", ylabel="$|W(t)| / |W(0)|$", yscale="log", ylim=(1e-8, 3))
    legend(axes, entries, loc="lower left")
    return Drawing(image, numbers)


@figure(
    "tian2021.survival",
    caption=r"""Share of modes that survive weight decay, of modes that start on the invariant curve with p uniform
    between 0 and 1, against the decay, for three variances of augmentation. Lines: 1 - p_- up to the critical decay, 0
    above. Markers: gradient descent on matrices with 24 modes, to time 600, with p in regular steps.""",
)
def survival(run: Run) -> Drawing:
    """Count modes that are left under each decay."""
    steps = run.size("steps", quick=3000, standard=6000, full=20000)
    rng, modes, each = run.rng(), 24, 6
    bases = frame(rng, each, each), frame(rng, each + 1, each)
    p0 = ((np.arange(modes) + 0.5) / modes).reshape(-1, each)
    fine, marked = np.linspace(0, 0.3, 400), np.linspace(0.01, 0.29, 15)

    @jax.jit
    @partial(jax.vmap, in_axes=(None, None, 0))
    @partial(jax.vmap, in_axes=(None, 0, None))
    @partial(jax.vmap, in_axes=(0, None, None))
    def left(p: jax.Array, aug_var: jax.Array, eta: jax.Array) -> jax.Array:
        networks = sim.aligned_networks(*bases, p=p, s=p**2)
        learning = sim.isotropic(each + 1, aug_var=aug_var, weight_decay=eta)
        observe = partial(sim.modes_in, basis=bases[0])
        return descend_without_contrast(networks, learning, learning_rate=0.2, steps=[steps], observe=observe)[0, 1]

    variances = np.array([0.0, 0.25, 1.0])
    alive = (np.asarray(left(*(jnp.asarray(x) for x in (p0, variances, marked)))) > 1e-3).mean(axis=(2, 3))
    image, ((axes,),) = canvas()
    entries, numbers = [], {"fine": fine, "marked": marked, "alive": alive}
    for j, aug_var in enumerate(variances):
        lower, _ = deep_linear.fixed_points(weight_decay=fine, aug_var=aug_var)
        line = np.where(np.isnan(lower), 0.0, 1 - lower)
        handles = (theory(axes, fine, line, j), simulation(axes, marked, alive[:, j], j))
        entries.append((handles, rf"$\sigma^2 = {aug_var:g}$"))
        numbers[f"line_{j}"] = line
    axes.set(xlabel=r"weight decay $\eta$", ylabel="share of modes that survive", ylim=(-0.04, 1.04))
    legend(axes, entries, loc="upper right")
    return Drawing(image, numbers)


@figure(
    "tian2021.direct_pred",
    caption=r"""Eigenvalues of the representation after time 2000 under a predictor set from correlations, against its
    lift, from s = 0.5, 0.001 and 1e-8; augmentation variance 0.25, weight decay 0.05. Dotted: the lift above which
    modes that start at nothing escape collapse. Larger ones escape at smaller lifts. Lines: equations for modes.
    Markers: gradient descent on the online network.""",
)
def direct_pred(run: Run) -> Drawing:
    """Scan the lift."""
    s0, eta, horizon = np.array([0.5, 1e-3, 1e-8]), 0.05, 2000.0
    fine, marked = np.linspace(0.0, 0.4, 81), np.linspace(0.0, 0.4, 17)
    rng = run.rng()
    bases = frame(rng, 3, 3), frame(rng, 5, 3)
    line = np.stack(
        [deep_linear.direct_pred_flow([horizon], s0=s0, eps=eps, weight_decay=eta, aug_var=AUG_VAR)[0] for eps in fine]
    )

    @jax.jit
    @jax.vmap
    def ends(lift: jax.Array) -> jax.Array:
        networks = sim.aligned_networks(*bases, p=np.zeros(3), s=s0)
        learning = sim.isotropic(5, aug_var=AUG_VAR, weight_decay=eta, lift=lift, predictor="direct")
        observe = partial(sim.modes_in, basis=bases[0])
        steps = [round(horizon / 0.2)]
        return descend_without_contrast(networks, learning, learning_rate=0.2, steps=steps, observe=observe)[0, 1]

    found = np.asarray(ends(jnp.asarray(marked)))
    critical = float(deep_linear.critical_direct_pred_eps(weight_decay=eta, aug_var=AUG_VAR))
    image, ((axes,),) = canvas()
    reference(axes, [critical] * 2, [0, 0.6], linestyle=":", color="0.3")
    note(axes, r"$\epsilon_c$", critical + 0.008, 0.52)
    entries = [
        ((theory(axes, fine, line[:, j], j), simulation(axes, marked, found[:, j], j)), f"$s(0) = {label}$")
        for j, label in enumerate(("0.5", "10^{-3}", "10^{-8}"))
    ]
    axes.set(xlabel=r"lift $\epsilon$", ylabel="eigenvalue $s$ at the end", ylim=(-0.02, 0.6))
    legend(axes, entries, loc="upper right")
    return Drawing(image, {"fine": fine, "marked": marked, "line": line, "found": found, "critical": critical})
