"""MacKay et al. 2019: gates on hidden units, and where the penalty that they answer is best."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from figures.studio import Drawing, figure
from figures.style import canvas, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from paper_checks.problems import frame
from simulations.deep_linear import best_response as sim
from theory import deep_linear

Array = NDArray[np.float64]


@figure(
    "mackay2019.gates",
    caption=r"""Gates of a two-layer linear network with three hidden units against the logarithm lambda of the penalty
    on its Jacobian. Lines: sigmoid(2 ln d - lambda) for the three singular values d of the inputs. Markers: the gates
    of a network that was trained on 13 penalties at once from random weights, slopes and offsets, told nothing of the
    singular values (the best of 16 starts; no error bars, the objective is minimised to rounding). A unit is half
    closed where lambda = 2 ln d (grey).""",
)
def gates(run: Run) -> Drawing:
    """Train a gated network, and read its gates."""
    rng = run.rng()
    d = np.array([4.0, 1.3, 0.4])
    x = (frame(rng, 12, 3) * d) @ frame(rng, 3, 3).T
    targets = x @ (rng.choice([-1.0, 1.0], 3) * rng.uniform(0.7, 1.4, 3)) + 0.3 * rng.standard_normal(12)
    starts = run.size("starts", quick=16, standard=32, full=64)
    among, curve = np.linspace(-6, 6, 13), np.linspace(-6, 6, 241)

    def one(key: jax.Array) -> sim.Trained:
        start = sim.random_gated_network(key, inputs=3, hidden=3, log_penalties=among)
        return sim.train_gated(start, x, targets, among)

    trained = jax.vmap(one)(run.keys(starts))
    best = int(np.argmin(trained.objective))
    slope, offset = np.asarray(trained.network.slope[best]), np.asarray(trained.network.offset[best])
    order = np.argsort(-offset)
    marks = 1 / (1 + np.exp(-slope[order] * among[:, None] - offset[order]))
    lines = deep_linear.best_response_gates(d, curve[:, None])

    image, ((axes,),) = canvas(width=5.0)
    entries: list[tuple[Any, str]] = []
    for k, value in enumerate(d):
        handles = theory(axes, curve, lines[:, k], k), simulation(axes, among, marks[:, k], k)
        entries.append((handles, f"$d = {value:g}$"))
        reference(axes, 2 * [2 * np.log(value)], [0, 0.5])
    axes.set(xlabel=r"log penalty $\lambda$", ylabel="gate of the hidden unit", ylim=(-0.03, 1.03))
    legend(axes, entries, loc="lower left")
    return Drawing(image, {"penalty": curve, "gates": lines, "trained_penalty": among, "trained": marks, "d": d})


@figure(
    "mackay2019.validation",
    caption=r"""Mean squared error on training and validation examples along the best response. Lines: the closed form;
    circles and squares: networks trained from random weights, one for each penalty. Dotted: the local linear model of
    the gates around lambda = 0, which is tangent there. The triangle is where gradient descent on lambda ends that
    differentiates the validation error through trained networks; the grey line is the best penalty by the closed
    form. (One draw of the data; no error bars.)""",
)
def validation(run: Run) -> Drawing:
    """Train networks at several penalties, and descend in the penalty itself."""
    rng = run.rng()
    n, dim = run.size("examples and inputs", quick=(16, 6), standard=(20, 10), full=(40, 20))
    spread = np.exp(rng.uniform(-1, 1, dim))
    truth = rng.standard_normal(dim) / np.sqrt(dim)
    x, held = rng.standard_normal((n, dim)) * spread, rng.standard_normal((4 * n, dim)) * spread
    targets, held_targets = (rows @ truth + 1.5 * rng.standard_normal(len(rows)) for rows in (x, held))
    curve, among = np.linspace(-4, 7, 221), np.linspace(-4, 7, 12)

    def errors(weights: Array) -> Array:
        sets = ((x, targets), (held, held_targets))
        return np.stack([np.mean((weights @ rows.T - t) ** 2, axis=-1) for rows, t in sets])

    def weights(at: Array) -> Array:
        return np.einsum("...ki,k->...i", *deep_linear.jacobian_best_response(x, targets, at))

    def train(key: jax.Array, at: jax.Array) -> sim.Trained:
        return sim.train(sim.random_network(key, inputs=dim, hidden=dim), x, targets, at)

    def hypergradient(at: float) -> float:
        residual = held @ weights(np.asarray(at)) - held_targets
        return float(residual @ (held @ deep_linear.best_response_derivative(x, targets, at)))

    def descend(network: sim.Network, steps: int = 60) -> float:
        """Descend in lambda by the implicit derivative, the network following each step from where it was."""

        def step(state: tuple[sim.Network, jax.Array], _: None) -> tuple[tuple[sim.Network, jax.Array], None]:
            network, at = state
            network = sim.train(network, x, targets, at).network
            residual = held @ sim.input_weights(network) - held_targets
            slope = 2 * jnp.mean(residual * (held @ sim.response_derivative(network, x, targets, at)))
            return (network, at - 4.0 * slope), None

        return float(jax.lax.scan(step, (network, jnp.zeros(())), None, length=steps)[0][1])

    trained = jax.vmap(train)(run.keys(among.size), jnp.asarray(among))
    marks = errors(np.asarray(jax.vmap(sim.input_weights)(trained.network)))
    lines, tangent = errors(weights(curve)), deep_linear.local_best_response(x, targets, curve, around=0.0)
    best = (
        brentq(hypergradient, -4.0, 7.0) if hypergradient(-4.0) * hypergradient(7.0) < 0 else curve[lines[1].argmin()]
    )
    found = descend(jax.tree.map(lambda leaf: leaf[4], trained.network))
    bottom = float(errors(weights(np.asarray(found)))[1])

    image, ((axes,),) = canvas(width=5.0)
    entries: list[tuple[Any, str]] = []
    for k, label in enumerate(("training", "validation")):
        entries.append(((theory(axes, curve, lines[k], k), simulation(axes, among, marks[k], k)), label))
    near = np.abs(curve) < 2.5
    local = errors(tangent)[1]
    entries.append((theory(axes, curve[near], local[near], 3), "validation, local linear model"))
    entries.append((simulation(axes, found, bottom, 2, markersize=8), "descent in the penalty"))
    low, high = lines.min() * 0.9, lines.max() * 1.05
    reference(axes, 2 * [best], [low, high])
    note(axes, r"best $\lambda$", best + 0.15, low + 0.02 * (high - low))
    axes.set(xlabel=r"log penalty $\lambda$", ylabel="mean squared error", ylim=(low, high))
    legend(axes, entries, loc="upper right")
    numbers = {"penalty": curve, "errors": lines, "trained_penalty": among, "trained": marks, "local": local}
    return Drawing(image, numbers | {"best": best, "found": found, "bottom": bottom})
