"""Tarzanagh, Li, Thrampoulidis and Oymak 2023: where trained attention points, and how slowly it gets there."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, colour, legend, note, reference, simulation, theory
from paper_checks.claim import Run
from paper_checks.papers.tarzanagh2023.instances import Inputs, draw, stack, start_with_margins
from paper_checks.papers.tarzanagh2023.machines import nuclear_inputs
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]

SHAPE = (3, 3, 5)
STEP = 0.01


@figure(
    "tarzanagh2023.directions",
    caption=r"""Distance in direction, 1 - cos, from the support vector machine of least Frobenius norm (black) and from
    that of least nuclear norm (orange), along normalised gradient descent on W (left) and on its factors K and Q
    (right), which are the same problem. Markers and bars: geometric mean and standard deviation over starts. Each finds
    its own machine and stays away from the other's by the distance of the two (grey). On W the approach is predicted,
    C over the squared length of the path (line).""",
)
def directions(run: Run) -> Drawing:
    """Train W and its factors from several small starts."""
    n_starts = run.size("starts", quick=8, standard=16, full=64)
    inputs = nuclear_inputs(run, SHAPE, 1, rank_one=True)
    x, z, scores, optimal = (part[0] for part in inputs)
    d = SHAPE[2]
    steps = np.unique(np.geomspace(20, 40_000, 18).astype(int))
    task = sim.repeated_task(sim.SelectionTask(x, z, scores), n_starts)
    features, _ = optimization.attention_svm_features(x, z, optimal)
    machines = [optimization.solve_attention_svm(x, z, optimal, norm=norm) for norm in ("fro", "nuc")]
    apart = 1 - optimization.direction_cosine(machines[0].W, machines[1].W)
    offsets = optimization.margin_offsets(scores, optimal, machines[0].duals, machines[0].pairs)
    key, query = 0.02 * run.rng("starts").standard_normal((2, n_starts, d, d))
    starts: dict[str, Any] = {"W": jnp.asarray(key), "KQ": sim.Factors(jnp.asarray(key), jnp.asarray(query))}
    constants = [optimization.direction_constant(features, offsets, initial_weights=start) for start in key]
    constant = np.exp(np.mean(np.log(constants)))

    image, panels = canvas(1, 2, width=4.0, share_y=True)
    numbers: dict[str, Any] = {"steps": steps, "apart": apart}
    entries: list[tuple[Any, str]] = []
    for axes, (name, start) in zip(panels[0], starts.items(), strict=True):
        # after as many steps of the factors, the product is about as long as W where the steps are one tenth
        kept = steps if name == "W" else np.unique(np.maximum(1, np.sqrt(STEP * steps) / STEP).astype(int))
        weights = np.asarray(sim.attention_matrix(sim.attention_descent(start, task, learning_rate=STEP, steps=kept)))
        for k, svm in enumerate(machines):
            gaps = np.log([[_gap(w, svm.W) for w in row] for row in weights])
            mean = np.exp(gaps.mean(axis=1))
            bars = mean * np.abs(np.expm1(np.outer([-1, 1], gaps.std(axis=1, ddof=1))))
            marks = simulation(axes, kept, mean, k, error=bars)
            numbers |= {f"{name}_{k}": mean, f"{name}_steps": kept}
            if name == "W":
                entries.append((marks, ("least Frobenius norm", "least nuclear norm")[k]))
        reference(axes, kept[[0, -1]], [apart, apart])
        axes.set(xscale="log", yscale="log", xlabel=f"steps of {STEP:g} on " + ("$W$" if name == "W" else "$K, Q$"))
    late = steps[steps * STEP > 10 * np.sqrt(constant)]
    line = theory(panels[0, 0], late, constant / (STEP * late) ** 2, 0)
    panels[0, 0].set_ylabel(r"$1 - \cos$ to the machine's direction")
    entries[0] = ((entries[0][0], line), entries[0][1])
    legend(panels[0, 0], entries, loc="lower left")
    return Drawing(image, numbers | {"late": late, "predicted": constant / (STEP * late) ** 2})


def _gap(a: Array, b: Array) -> float:
    return float(np.sum((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2) / 2)


@figure(
    "tarzanagh2023.tokens",
    caption=r"""Tokens of one input in the plane (dots, their scores beside them) and where attention looks, from two
    starts. Arrows: direction of W z for the support vector machine of the selected token (filled), whose margin lines
    pass through that token (full) and through its support tokens (dashed). Small open markers: direction of W z during
    normalised gradient descent, drawn from the centre of the tokens to a growing length. Left the run that finds the
    best token, right one that stays with a worse token: every token that scores more lies beyond its margin.""",
)
def tokens(run: Run) -> Drawing:
    """Train one input in two dimensions until two selections have been found."""
    n_tokens = run.size("tokens", quick=7, standard=7, full=7)
    x, scores, machines = _plane(run, n_tokens)
    z = np.array([[1.0, 0.0]])
    steps = np.array([0, 5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560])
    task = sim.repeated_task(sim.SelectionTask(x, z, scores), len(machines))
    starts = np.stack([_lead(run.rng(f"start {token}"), x[0], token) for token in machines])
    weights = np.asarray(sim.attention_descent(jnp.asarray(starts), task, learning_rate=0.05, steps=steps))
    looks = weights[..., 0] / np.linalg.norm(weights[..., 0], axis=2, keepdims=True)  # W z for z = e_1

    image, panels = canvas(1, 2, width=4.0, height=3.8, share_y=True)
    centre, reach = x[0].mean(axis=0), float(np.ptp(x[0], axis=0).max())
    directions = np.stack([svm.W[:, 0] / np.linalg.norm(svm.W[:, 0]) for svm in machines.values()])
    for k, (axes, (token, svm)) in enumerate(zip(panels[0], machines.items(), strict=True)):
        direction = directions[k]
        across = np.array([-direction[1], direction[0]])
        line = np.outer([-2, 2], reach * across)
        margin = direction / np.linalg.norm(svm.W[:, 0])
        for edge, dash in ((x[0, token] + line, "-"), (x[0, token] - margin + line, "--")):
            theory(axes, edge[:, 0], edge[:, 1], 1, linestyle=dash, linewidth=1.0)
        tip = 0.6 * reach * direction
        axes.annotate("", centre + tip, centre, arrowprops={"arrowstyle": "-|>", "color": colour(1), "linewidth": 1.6})
        along = centre + np.linspace(0.1, 0.52, len(steps))[:, None] * reach * looks[:, k]
        simulation(axes, along[:, 0], along[:, 1], 2, markersize=3.5)
        axes.plot(*x[0].T, "o", color=colour(0), markersize=5, zorder=3)
        axes.plot(*x[0, token], "o", color=colour(1), markersize=8, zorder=3)
        for place, score in zip(x[0], scores[0], strict=True):
            note(axes, f"{score:.1f}", place[0] + 0.03 * reach, place[1] + 0.03 * reach)
        left, bottom = centre - 0.75 * reach
        right, top = centre + 0.75 * reach
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xlabel="first coordinate")
    panels[0, 0].set_ylabel("second coordinate")
    numbers = {
        "tokens": x[0],
        "scores": scores[0],
        "selected": list(machines),
        "looks": looks,
        "directions": directions,
    }
    return Drawing(image, numbers)


def _plane(run: Run, n_tokens: int) -> tuple[Array, Array, dict[int, optimization.AttentionSVM]]:
    """Draw tokens in the plane of which the best and one other are locally optimal, with room around their margins."""
    rng, z = run.rng(), np.array([[1.0, 0.0]])
    while True:
        x, scores = rng.standard_normal((1, n_tokens, 2)), np.round(rng.uniform(-1, 1, (1, n_tokens)), 1)
        if np.diff(np.sort(scores[0])).min() < 0.1:
            continue
        found = optimization.locally_optimal_selections(x, z, scores)
        stable = {int(selected[0]): svm for selected, svm in found if svm.value < 3 and svm.support.sum() == 2}
        best = int(scores.argmax())
        if best in stable and len(stable) >= 2:
            other = next(token for token in stable if token != best)
            return x, scores, {best: stable[best], other: stable[other]}


def _lead(rng: np.random.Generator, x: Array, token: int) -> Array:
    """Draw directions of W e_1, of length 4, until one selects this token."""
    while True:
        look = rng.standard_normal(2)
        if (x @ look).argmax() == token:
            return np.outer(4 * look / np.linalg.norm(look), [1.0, 0.0])


@figure(
    "tarzanagh2023.feasibility",
    caption=r"""Probability that some W selects prescribed tokens, for n inputs of two Gaussian tokens in d dimensions,
    against n over the squared dimension. Lines: Cover's count in d^2 dimensions; markers: share of random inputs that
    an exact test finds separable, with bars of one standard error (below the markers' size). It is one half at n = 2
    d^2 in every dimension (grey) as long as queries are independent of tokens; self-attention, whose queries are the
    selected tokens (crosses, d = 2, no theory), is feasible far beyond.""",
)
def feasibility(run: Run) -> Drawing:
    """Test random inputs of growing number for separability."""
    count = run.size("replicates", quick=2000, standard=20_000, full=1_000_000)
    rng = run.rng()
    image, ((axes,),) = canvas(width=4.8)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {}
    for k, d in enumerate((2, 3, 4)):
        n = np.unique(np.round(np.linspace(1.0, 3.5, 11) * d * d).astype(int))
        curve = np.array([optimization.separability_probability(int(m), d) for m in n])
        found = np.array([_share(rng, count, int(m), d) for m in n])
        error = np.sqrt(found * (1 - found) / count)
        marks = simulation(axes, n / d**2, found, k, error=error)
        entries.append(((theory(axes, n / d**2, curve, k), marks), f"$d = {d}$"))
        numbers |= {f"n_{d}": n, f"cover_{d}": curve, f"found_{d}": found, f"error_{d}": error}
    n = np.unique(np.round(np.linspace(1.0, 3.5, 11) * 4).astype(int))
    own = np.array([_share(rng, count, int(m), 2, own_queries=True) for m in n])
    marks = simulation(axes, n / 4, own, 3, marker="x", error=np.sqrt(own * (1 - own) / count))
    entries.append((marks, "$d = 2$, self-attention"))
    reference(axes, [2, 2], [0, 1])
    axes.set(xlabel="$n / d^2$", ylabel="probability of margins")
    legend(axes, entries, loc="lower left")
    return Drawing(image, numbers | {"self_attention": own})


def _share(rng: np.random.Generator, count: int, n: int, d: int, own_queries: bool = False) -> float:
    x = rng.standard_normal((count, n, 2, d))
    z = x[:, :, 0] if own_queries else rng.standard_normal((count, n, d))
    return float(sim.attention_separable(x, z, np.zeros((count, n), dtype=int)).mean())


@figure(
    "tarzanagh2023.log_rate",
    caption=r"""Distance in direction from W_mm against the norm of W: along the gradient flow for times from 1 to e^640
    (left, two starts of each of two inputs all of whose tokens support) and along the regularisation path (right, the
    same inputs). Lines: C over the squared norm with the predicted constants, which depend on the start for the flow
    and not for the path; markers: simulation (no randomness enters). The norm itself grows like log t, so that a
    distance of 1e-4 takes times beyond e^100.""",
)
def log_rate(run: Run) -> Drawing:
    """Integrate the flow in log time, and follow the path of minimisers."""
    shape = run.size("inputs, tokens, dimension", quick=SHAPE, standard=SHAPE, full=(6, 4, 12))
    rng = run.rng()
    inputs = stack([draw(rng, shape) for _ in range(2)])
    doubled = stack([Inputs(*(part[k // 2] for part in inputs)) for k in range(4)])
    m = shape[0] * (shape[1] - 1)
    starts = np.stack(
        [
            (1.0, 0.3)[k % 2] * start_with_margins(rng, Inputs(*one), rng.uniform(1, 6, m))
            for k, one in enumerate(zip(*doubled, strict=True))
        ]
    )
    log_times = np.geomspace(5.0, 640.0, 8)
    radii = np.geomspace(7.0, 448.0, 7)
    task = sim.SelectionTask(doubled.tokens, doubled.queries, doubled.scores)
    flow = np.asarray(sim.attention_flow(jnp.asarray(starts), task, times=np.exp(log_times)))
    path = np.asarray(sim.regularization_path(jnp.asarray(starts), task, radii=radii).weights)

    image, panels = canvas(1, 2, width=4.0, share_y=True)
    numbers: dict[str, Any] = {}
    for k, (x, z, scores, optimal) in enumerate(zip(*doubled, strict=True)):
        svm = optimization.solve_attention_svm(x, z, optimal)
        features, pairs = optimization.attention_svm_features(x, z, optimal)
        offsets = optimization.margin_offsets(scores, optimal, svm.duals, pairs)
        for axes, name, weights, start in ((panels[0, 0], "flow", flow, starts[k]), (panels[0, 1], "path", path, None)):
            if name == "path" and k % 2:
                continue
            constant = optimization.direction_constant(features, offsets, initial_weights=start)
            norms = np.linalg.norm(weights[:, k], axis=(1, 2))
            found = np.array([_gap(w, svm.W) for w in weights[:, k]])
            curve = np.geomspace(norms[0], norms[-1], 50)
            theory(axes, curve, constant / curve**2, k)
            simulation(axes, norms, found, k)
            numbers |= {f"{name}_norm_{k}": norms, f"{name}_gap_{k}": found, f"{name}_constant_{k}": constant}
    for axes, text in ((panels[0, 0], "gradient flow"), (panels[0, 1], "regularisation path")):
        axes.set(xscale="log", yscale="log", xlabel=r"$\|W\|_F$")
        note(axes, text, 0.95, 0.92, ha="right", transform=axes.transAxes)
    panels[0, 0].set_ylabel(r"$1 - \cos(W, W_{mm})$")
    return Drawing(image, numbers)
