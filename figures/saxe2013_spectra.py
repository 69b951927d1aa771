"""Saxe, McClelland and Ganguli 2013: singular values of deep networks at their random initial weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, depth_axis, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import deep_linear as sim
from simulations.replicates import over_replicates
from theory import deep_linear

Array = NDArray[np.float64]

GAINS = (0.9, 1.0, 1.05, 1.2)
Q0 = 0.6


@figure(
    "saxe2013.random_products",
    caption=r"""Singular values of products of D random n x n matrices, n as in the legend. Left: fraction above sigma,
    for Gaussian factors of variance 1/n and for orthogonal ones (markers and bars: mean and standard deviation over
    draws). Lines at D = 10 and 100 are the Lyapunov exponents, the law of a Gaussian product as D grows at fixed n.
    Right: second moment of the squared singular values (mean and standard error over draws); lines are exact at this n,
    grey is the limit D + 1 of infinite width. Their mean is 1 throughout: depth spreads Gaussian spectra over ever more
    decades and leaves orthogonal ones alone.""",
)
def random_products(run: Run) -> Drawing:
    """Draw products and decompose them."""
    n = run.size("width", quick=64, standard=100, full=1000)
    draws = run.size("draws", quick=100, standard=1000, full=1000)
    depths, shown, isometric_draws = (1, 3, 10, 30), (1, 10, 100), 4
    # double precision resolves singular values down to 1e-16 of the largest
    levels = np.geomspace(1e-10, 10, 23)
    curve = np.arange(1, depths[-1] + 1)

    spectra = {d: over_replicates(_singular_values, run.keys(draws, f"{d}"), n, d) for d in sorted({*depths, *shown})}
    orthogonal = over_replicates(_singular_values, run.keys(isometric_draws, "orthogonal"), n, shown[-1], "orthogonal")
    moments = np.stack([(spectra[d] ** 4).mean(axis=1) for d in depths])
    mean, error = moments.mean(axis=1), moments.std(axis=1, ddof=1) / np.sqrt(draws)
    exact = [deep_linear.gaussian_product_second_moment(n=n, depth=int(d)) for d in curve]
    limit = [float(deep_linear.fuss_catalan_moment(2, depth=int(d))) for d in curve]
    exponents, rank = deep_linear.gaussian_lyapunov_exponents(n), np.arange(1, n + 1) / n

    image, ((left, right),) = canvas(1, 2, width=4.2)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"levels": levels, "rank": rank, "exponents": exponents}
    for k, depth in enumerate(shown):
        fraction, spread = _fraction_above(levels, spectra[depth])
        some = _interior(fraction)
        marks = simulation(left, levels[some], fraction[some], k, error=spread[some])
        lines = (theory(left, np.exp(depth * exponents), rank, k),) if depth > 1 else ()
        entries.append(((*lines, marks), f"Gaussian, $D = {depth}$"))
        numbers |= {f"above_{depth}_mean": fraction, f"above_{depth}_std": spread}
    fraction, _ = _fraction_above(levels, orthogonal)
    line = theory(left, [levels[0], 1, 1, levels[-1]], [1, 1, 0, 0], 3, linestyle="-")
    marks = simulation(left, levels[1::4], fraction[1::4], 3)
    entries.append(((line, marks), f"orthogonal, $D = {shown[-1]}$"))
    left.set(xscale="log", xlim=(5e-11, 20), xlabel=r"singular value $\sigma$", ylabel=r"fraction above $\sigma$")
    legend(left, entries, loc="center left", bbox_to_anchor=(0, 0.62))

    reference(right, curve, limit)
    both = theory(right, curve, exact, 0), simulation(right, depths, mean, 0, error=error)
    flat = theory(right, curve, np.ones(curve.size), 3, linestyle="-")
    right.set(yscale="log", ylabel=r"second moment $\langle \sigma^4 \rangle$")
    depth_axis(right, depths)
    legend(right, [(both, f"Gaussian, $n = {n}$"), (flat, "orthogonal")], loc="upper left")
    numbers |= {"depth": curve, "exact": exact, "limit": limit, "measured_depth": depths, "mean": mean, "error": error}
    return Drawing(image, numbers | {"orthogonal": orthogonal.mean(axis=0)})


@figure(
    "saxe2013.tanh_jacobian",
    caption=r"""Singular values of the end-to-end Jacobian of tanh networks h' = g W tanh(h), W orthogonal, from a mean
    square activation of 0.6. Left: fraction above sigma at the largest depth (markers and bars: mean and standard
    deviation over networks); the short lines on the axis are the root mean squares that the theory predicts. Right:
    mean squared singular value against depth (mean and standard error over networks); lines are the theory at infinite
    width. Near g = 1 gradients survive depth; above it a few directions grow while the others die.""",
)
def tanh_jacobian(run: Run) -> Drawing:
    """Differentiate networks of several depths and gains."""
    n = run.size("width", quick=64, standard=200, full=1000)
    draws = run.size("draws", quick=12, standard=40, full=100)
    depths = np.array(run.size("depths", quick=(5, 10, 20), standard=(5, 10, 20, 40), full=(5, 10, 20, 40)))
    curve, levels = np.arange(depths[-1] + 1), np.geomspace(1e-4, 8, 26)

    def singular_values(gain: float, depth: int) -> Array:
        return over_replicates(_jacobian, run.keys(draws, f"{depth}"), jnp.asarray(gain), n, depth)

    image, ((left, right),) = canvas(1, 2, width=4.2)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"levels": levels, "depth": curve, "measured_depth": depths, "gains": GAINS}
    for k, gain in enumerate(GAINS):
        found = [singular_values(gain, int(depth)) for depth in depths]
        fraction, spread = _fraction_above(levels, found[-1])
        some = _interior(fraction)
        squares = np.stack([(values**2).mean(axis=1) for values in found])
        mean, error = squares.mean(axis=1), squares.std(axis=1, ddof=1) / np.sqrt(draws)
        predicted = [deep_linear.jacobian_mean_square(gain=gain, depth=int(d), q0=Q0) for d in curve]
        marks = simulation(left, levels[some], fraction[some], k, error=spread[some])
        line = theory(right, curve, predicted, k)
        entries.append(((line, marks), f"$g = {gain:g}$"))
        theory(left, np.sqrt([predicted[-1], predicted[-1]]), [0, 0.1], k, linestyle="-")
        simulation(right, depths, mean, k, error=error)
        numbers |= {f"above_{gain:g}_mean": fraction, f"above_{gain:g}_std": spread}
        numbers |= {f"predicted_{gain:g}": predicted, f"mean_{gain:g}": mean, f"error_{gain:g}": error}
    left.set(xscale="log", xlabel=r"singular value $\sigma$", ylabel=r"fraction above $\sigma$", ylim=(-0.02, 1.05))
    right.set(yscale="log", xlabel="depth $D$ (layers)", ylabel=r"mean square $\langle \sigma^2 \rangle$")
    right.set_xticks([0, *depths])
    legend(right, entries, loc="lower left")
    return Drawing(image, numbers)


def _singular_values(key: jax.Array, n: int, depth: int, ensemble: str = "gaussian") -> jax.Array:
    return jnp.sqrt(sim.squared_singular_values(sim.random_product(key, n=n, depth=depth, ensemble=ensemble)))


def _jacobian(key: jax.Array, gain: jax.Array, n: int, depth: int) -> jax.Array:
    found = sim.tanh_pass(key, n=n, depth=depth, gain=gain, q0=Q0, ensemble="orthogonal")
    return jnp.sqrt(sim.squared_singular_values(found.jacobian))


def _fraction_above(levels: Array, values: Array) -> tuple[Array, Array]:
    """Mean and standard deviation, over draws, of the fraction of ``values`` (draw, value) above each level."""
    fractions = (values[..., None] > levels).mean(axis=1)
    return fractions.mean(axis=0), fractions.std(axis=0, ddof=1)


def _interior(fraction: Array) -> Array:
    """Which levels to mark: those that part the values, and one more at each end."""
    inside = np.flatnonzero((fraction > 0) & (fraction < 1))
    return np.arange(max(inside[0] - 1, 0), min(inside[-1] + 2, fraction.size))
