"""He and Goldfeld 2024: bounds by information seen layer by layer, and what noise in a layer leaves of it."""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import generalization as sim
from simulations.replicates import over_replicates
from theory import generalization as gen

WIDTHS = (64, 32, 16, 8, 4)  # of the inputs and the fixed layers; one fitted unit follows


def _zero_one(score: jax.Array) -> jax.Array:
    return jnp.asarray(score < 0, float)


def _linear(score: jax.Array) -> jax.Array:
    return -score


def _mean_and_error(values: Any) -> tuple[Any, Any]:
    return values.mean(axis=0), values.std(axis=0) / np.sqrt(len(values))


@figure(
    "he2024.layers",
    caption=r"""A linear network of widths 64, 32, 16, 8, 4 whose last layer is the class mean of its features, on 100
    points of two Gaussian classes. Left: the bound by the divergence of training from fresh points, which falls with
    the rank, and the gap under 0-1 loss. Right: the bound by Wasserstein distance and operator norms, and the gap under
    the linear loss. Lines: closed forms. Open markers: divergence and distance by linear algebra for drawn samples.
    Grey: the gap, measured on fresh points; solid markers: the layer with the lowest bound, which is the last one.""",
)
def layers(run: Run) -> Drawing:
    """Draw one network, and samples; compute both bounds at every layer, and measure the gap."""
    replicates, fits = run.size("laws, fits", quick=(200, 1000), standard=(1000, 20_000), full=(10_000, 200_000))
    n, sigma, rng = 100, 1.0, run.rng("network")
    weights = [rng.standard_normal((b, a)) / np.sqrt(a) for a, b in pairwise(WIDTHS)]
    mean = rng.standard_normal(WIDTHS[0]) * 1.5 / np.sqrt(WIDTHS[0])
    products = [np.eye(WIDTHS[0])]
    for W in weights:
        products.append(W @ products[-1])
    features = products[-1]
    norm = np.sqrt(np.sum((features @ mean) ** 2) + sigma**2 * np.sum(features**2) / n)
    above = np.append(np.cumprod([np.linalg.norm(W, 2) for W in weights[::-1]])[::-1], 1.0)
    lines = (
        np.asarray(gen.mutual_information_bound(gen.gaussian_layer_kl(n, np.array(WIDTHS)), 1)),
        gen.wasserstein_layer_bounds(weights, n, sigma=sigma, lipschitz=float(norm)),
    )
    maps = tuple(jnp.asarray(A) for A in products)
    laws = over_replicates(
        sim.layer_laws, run.keys(replicates, "laws"), n, jnp.asarray(mean), jnp.asarray(sigma), maps, chunk_size=100
    )
    kl, kl_error = _mean_and_error(laws.kl)
    square, square_error = _mean_and_error(laws.wasserstein)
    marks = (np.sqrt(kl / 2), norm * above * np.sqrt(square))
    errors = (kl_error / kl / 2 * marks[0], square_error / square / 2 * marks[1])
    fitted = jnp.asarray(features)
    gaps, gap_errors = _mean_and_error(
        over_replicates(
            sim.network_gap,
            run.keys(fits, "fits"),
            n,
            jnp.asarray(mean),
            jnp.asarray(sigma),
            fitted,
            (_zero_one, _linear),
            100,
        )
    )
    image, ((left, right),) = canvas(1, 2)
    index = np.arange(len(WIDTHS))
    for k, (axes, line, mark, error) in enumerate(zip((left, right), lines, marks, errors, strict=True)):
        entry = (theory(axes, index, line, 2 * k), simulation(axes, index, mark, 2 * k, error=error))
        best = int(np.argmin(line))
        lowest = axes.plot(index[best], line[best], marker="o", color="black", linestyle="none", zorder=4)[0]
        gap = reference(axes, index, np.full(index.size, gaps[k]))
        axes.fill_between(index, gaps[k] - gap_errors[k], gaps[k] + gap_errors[k], color="0.85", zorder=0)
        axes.set_yscale("log")
        axes.set_xticks(index, [f"{ell}\n({width})" for ell, width in enumerate(WIDTHS)])
        axes.set_xlabel(r"layer $l$ (width)")
        name = ("divergence", "Wasserstein")[k]
        legend(axes, [(entry, f"bound by {name}"), (lowest, "lowest bound"), (gap, "gap")], loc="center left")
    left.set_ylabel("gap and bounds, 0-1 loss")
    right.set_ylabel("gap and bounds, linear loss")
    return Drawing(
        image,
        {"widths": np.array(WIDTHS), "gap": gaps, "gap_error": gap_errors}
        | {"line_kl": lines[0], "line_wasserstein": lines[1], "marks_kl": marks[0], "marks_wasserstein": marks[1]}
        | {"error_kl": errors[0], "error_wasserstein": errors[1]},
    )


@figure(
    "he2024.samples",
    caption=r"""Gap of the class-mean classifier under 0-1 loss, and the bound by the divergence of training from fresh
    points, against the number of points n, for dimensions 2 and 20 and classes two deviations apart. Thick lines: gap
    by quadrature; thin ones: the bound. Markers: errors counted on drawn samples and fresh points, with standard
    errors. In the end the gap falls as 1/n (dotted guide), the bound as the root of that (dashed guide).""",
)
def samples(run: Run) -> Drawing:
    """Count errors on samples of growing size."""
    replicates = run.size("replicates", quick=4000, standard=40_000, full=1_000_000)
    n = 2 ** np.arange(1, 8)
    image, ((axes,),) = canvas()
    numbers: dict[str, Any] = {"n": n}
    entries: list[tuple[Any, str]] = []
    for series, d in enumerate((2, 20)):
        gap = np.array([gen.class_mean_errors(int(m), d, mean_norm=1.0, sigma=1.0).gap for m in n])
        bound = np.asarray(gen.mutual_information_bound(gen.gaussian_layer_kl(n, d), 1))
        found = []
        for m in n:
            keys = run.keys(replicates, f"{m}, {d}")
            losses = over_replicates(sim.class_mean_losses, keys, int(m), d, jnp.asarray(1.0), jnp.asarray(1.0), int(m))
            found.append(_mean_and_error(losses[:, 1] - losses[:, 0]))
        mark, error = np.array(found).T
        entry = (theory(axes, n, gap, series), simulation(axes, n, mark, series, error=error))
        entries += [(entry, f"gap, d = {d}"), (theory(axes, n, bound, series, linewidth=0.9), f"bound, d = {d}")]
        numbers |= {f"gap_{d}": gap, f"bound_{d}": bound, f"marks_{d}": mark, f"error_{d}": error}
    reference(axes, n, 0.5 / n, linestyle=":")
    reference(axes, n, 1.2 / np.sqrt(n), linestyle="--")
    axes.set(xscale="log", yscale="log", xlabel="points $n$", ylabel="gap and bound")
    legend(axes, entries, loc="lower left", fontsize=8)
    return Drawing(image, numbers)


@figure(
    "he2024.contraction",
    caption=r"""Share of a divergence that dropout of three units lets through, against the rate. Lines: the least upper
    bound, which copies of one unit attain; independent units; laws that differ in the parity of three bits. Large
    markers: all masks enumerated. Grey dots: three hundred random pairs of laws at each rate, and the hardest that a
    search finds, which reaches the bound.""",
)
def contraction(run: Run) -> Drawing:
    """Enumerate masks, and search for the laws that lose least."""
    draws, steps = run.size("pairs, steps", quick=(300, 200), standard=(300, 1000), full=(1000, 5000))
    d, fine, marked = 3, np.linspace(0, 1, 101), np.linspace(0.1, 0.9, 9)
    bits = (np.arange(2**d)[:, None] >> np.arange(d)) & 1

    def independent(chance: float) -> Any:
        return np.prod(np.where(bits == 1, chance, 1 - chance), axis=1)

    odd = bits.sum(axis=1) % 2
    pairs = {
        "copies": [np.where(bits.all(axis=1), a, np.where(bits.any(axis=1), 1e-300, 1 - a)) for a in (0.2, 0.7)],
        "independent": [independent(a) for a in (0.2, 0.7)],
        "parity": [np.where(odd == 1, a, 1 - a) / 2 ** (d - 1) for a in (0.2, 0.7)],
    }
    lines = {
        "copies": gen.dropout_contraction(fine, d),
        "independent": gen.dropout_contraction(fine, 1),
        "parity": gen.dropout_contraction(fine, 1) ** d,
    }
    share = jax.jit(jax.vmap(sim.contraction_of_pair, in_axes=(0, None)))
    points = jnp.asarray([np.concatenate([np.log(p), np.log(q)]) for p, q in pairs.values()])
    start = 2 * jax.random.normal(run.key("laws"), (draws, 2 ** (d + 1)))
    found, cloud = [], []
    for rate in marked:
        channel = jnp.asarray(sim.dropout_channel(np.asarray(bits + 1.0, float), float(rate)))
        hardest = sim.hardest_instances(
            run.key(f"{rate}"), sim.contraction_of_pair, start[:4], channel, n_steps=steps
        ).instances
        found.append(share(points, channel))
        cloud.append(share(jnp.concatenate([start, hardest]), channel))
    marks, dots = np.array(found), np.array(cloud)
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    for series, (name, line) in enumerate(lines.items()):
        entry = (theory(axes, fine, line, series), simulation(axes, marked, marks[:, series], series))
        entries.append((entry, name))
    scattered = axes.plot(
        np.repeat(marked, dots.shape[1]), dots.ravel(), marker=".", color="0.75", linestyle="none", ms=2, zorder=0
    )[0]
    axes.set(xlabel=r"dropout rate $\delta$", ylabel="share of the divergence left", ylim=(0, 1.03))
    legend(axes, [*entries, (scattered, "random and hardest")], loc="lower left")
    return Drawing(
        image, {"fine": fine, "marked": marked, "marks": marks, "dots": dots, "lines": np.array([*lines.values()])}
    )
