"""Radhakrishnan, Belkin and Uhler 2023: what deep kernels tend to, and how well the limits classify."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import ntk as sim
from theory import ntk

ARC, WAVES, NOISE = 1, 8.0, 0.2


@figure(
    "radhakrishnan2022.singular_kernel",
    caption=r"""Kernel of infinite depth, over its scale, against the distance of two unit vectors, for the activations
    that are best on spheres of dimension 1, 2 and 3. Lines: the Koenigs function of the dual; its slopes at small
    distances are -1, -2 and -3. Markers: kernels of 200 layers by quadrature over activations, divided by their
    leading order and corrected for the finite depth. Grey: the same 200 layers uncorrected for dimension 2: closer
    than the inverse of the depth, 1 - rho < 1/200, a finite network is more singular by two powers.""",
)
def singular_kernel(run: Run) -> Drawing:
    """Pass pairs of inputs through many layers, and compare with the limit."""
    depth = run.size("layers", quick=200, standard=200, full=200)
    fine, marked = np.geomspace(1e-3, 1.4, 200), np.geomspace(4e-3, 1.3, 9)
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"distance": fine, "marked": marked}
    for series, d in enumerate((1, 2, 3)):
        coeffs = ntk.singular_activation(d)
        limit = ntk.singular_limit(marked**2 / 2, coeffs)
        deep = np.asarray(sim.polynomial_kernels(jnp.asarray(marked**2 / 2), jnp.asarray(coeffs), depth=depth).ntk[-1])
        scaled = deep - depth * np.log(coeffs[1] ** 2)
        curve = ntk.koenigs_kernel(fine**2 / 2, coeffs)
        line = theory(axes, fine, curve, series)
        found = np.exp(scaled - np.log(depth + 1 + limit.correction))
        marks = simulation(axes, marked, found, series)
        entries.append(((line, marks), f"$d = {d}$"))
        numbers |= {f"limit_{d}": curve, f"deep_{d}": found}
        if d == 2:
            plain = np.exp(np.asarray(ntk.deep_ntk(fine**2 / 2, coeffs, depth=depth)) - depth * np.log(coeffs[1] ** 2))
            reference(axes, fine, plain / (depth + 1))
            numbers["finite_2"] = plain / (depth + 1)
    axes.set(xlabel="distance $|x - x'|$", ylabel=r"$\kappa$", xscale="log", yscale="log", ylim=(0.05, 1e11))
    legend(axes, entries, loc="upper right")
    return Drawing(image, numbers)


@figure(
    "radhakrishnan2022.classifiers",
    caption=r"""Share of test points on a quarter of the circle that are given the likelier label, against the number of
    inputs; labels are right with probability 0.8 and change sign four times along the arc. Markers: means over draws,
    with standard errors, of the vote with the singular kernel of the best activation, of a vote with a pole one power
    too strong, of the nearest input, and of the majority. Only the first tends to one; the nearest input
    repeats the noise and stays at 0.8 (grey line), the majority at one half.""",
)
def classifiers(run: Run) -> Drawing:
    """Draw noisy labels on an arc, and let four limits of deep networks vote."""
    draws = run.size("draws", quick=8, standard=60, full=400)
    sizes = run.size("inputs", quick=(50, 200, 800), standard=(50, 200, 800, 3200), full=(50, 200, 800, 3200, 12_800))
    kinds = ("singular, $\\alpha = 1$", "singular, $\\alpha = 2$", "nearest input", "majority")
    poles = [ntk.singular_activation(d) for d in (1, 2)]
    shares = np.empty((len(sizes), draws, len(kinds)))
    for i, n in enumerate(sizes):
        for draw, key in enumerate(run.keys(draws, f"{n}")):
            arc = sim.labelled_arc(key, n=n, n_test=100, draws=1, waves=WAVES, noise=NOISE)
            apart, labels = sim.separation(arc.test_angles, arc.angles), arc.labels[0]
            votes = [
                sim.weighted_vote(jnp.asarray(ntk.singular_limit(np.asarray(apart), c).log_kernel), labels)
                for c in poles
            ]
            votes += [sim.nearest_label(apart, labels), jnp.full(arc.better.shape, jnp.sum(labels))]
            shares[i, draw] = [float(jnp.mean(jnp.sign(vote) == arc.better)) for vote in votes]
    mean, error = shares.mean(axis=1), shares.std(axis=1) / np.sqrt(draws)
    image, ((axes,),) = canvas()
    entries = [
        (simulation(axes, sizes, mean[:, k], k, error=error[:, k], linestyle="-"), kind) for k, kind in enumerate(kinds)
    ]
    reference(axes, [min(sizes), max(sizes)], [1 - NOISE, 1 - NOISE])
    axes.set(xlabel="inputs $n$", ylabel="agreement with the better label", xscale="log", ylim=(0.4, 1.0))
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    legend(axes, entries, loc="lower right", bbox_to_anchor=(1.0, 0.12))
    return Drawing(image, {"n": np.array(sizes), "mean": mean, "error": error})


@figure(
    "radhakrishnan2022.decisions",
    caption=r"""Where on a quarter of the circle kernel regression says "plus" (bars), from twelve inputs labelled plus
    (crosses above) or minus (below), for networks of the depth at the left, and for the limit that theory names (grey
    bars on top). Left: an activation without mean or mean slope becomes the nearest input; middle: one without mean
    the vote with a singular kernel; right: one with a mean the majority, which is plus.""",
)
def decisions(run: Run) -> Drawing:
    """Run kernel regression at increasing depth for three activations."""
    points = run.size("points", quick=400, standard=400, full=400)
    number = 12
    places = np.asarray(jax.random.uniform(run.key("arc"), (number,), minval=0.2, maxval=0.8))
    angles = (np.arange(number) + places) * np.pi / 2 / number
    labels = np.where(np.arange(number) % 3 == 0, -1.0, 1.0)
    grid = np.linspace(0, np.pi / 2, points)
    apart, own = (np.asarray(sim.separation(jnp.asarray(a), jnp.asarray(angles))) for a in (grid, angles))
    singular = ntk.singular_activation(1)
    weights = jnp.asarray(ntk.singular_limit(apart, singular).log_kernel)
    cases = (
        ("nearest input", np.array([0.0, 0.0, 1.0]), (6, 9, 12), labels[np.argmin(apart, axis=1)]),
        ("singular kernel", singular, (3, 6, 40), np.asarray(sim.weighted_vote(weights, jnp.asarray(labels)))),
        ("majority", np.sqrt([0.2, 0.4, 0.0, 0.4]), (10, 20, 60), np.full(points, labels.sum())),
    )
    image, (panels,) = canvas(1, 3, width=3.6, height=2.6)
    image.set_layout_engine("constrained", w_pad=0.08)
    numbers: dict[str, Any] = {"grid": grid, "angles": angles, "labels": labels}
    for axes, (name, coeffs, depths, limit) in zip(panels, cases, strict=True):
        votes = []
        for depth in depths:
            test, train = (jnp.asarray(ntk.deep_ntk(a, coeffs, depth=depth)) for a in (apart, own))
            votes.append(np.asarray(sim.regression_vote(test, train, jnp.asarray(labels))))
        for level, vote in enumerate([*votes, limit]):
            bar = np.where(vote > 0, float(level), np.nan)
            if level < len(depths):
                theory(axes, grid, bar, level, linewidth=7, linestyle="-", solid_capstyle="butt")
            else:
                reference(axes, grid, bar, linewidth=7, solid_capstyle="butt")
        axes.plot(angles, np.where(labels > 0, 3.7, -0.7), "kx", markersize=4)
        axes.set_yticks(range(4), [*(f"{depth} layers" for depth in depths), name], fontsize=7)
        axes.set(xlabel=r"angle $\theta$", ylabel="depth", ylim=(-1.1, 4.1))
        numbers |= {f"{name} votes": np.array(votes), f"{name} limit": limit}
    return Drawing(image, numbers)
