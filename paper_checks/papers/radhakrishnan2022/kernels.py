"""Kernels of deep networks, the singular kernel of infinite depth, and the activations with the best pole."""

from collections.abc import Callable
from math import log

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Equivalence, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Samples, Steps
from paper_checks.papers.radhakrishnan2022.paper import PAPER, Array, deep_kernels, printed, singular, unit
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk
from theory.ntk.activations import resolve

LAYERS = 1e-10  # a thousand roundings in each of some hundred layers, each amplified by the slope there
QUADRATURE = 1e-12


def _network_entries(key: jax.Array, x: jax.Array, coeffs: jax.Array, n: int) -> jax.Array:
    widths = (x.shape[1], n, 1)
    scales = sim.ntk_scales(widths, bias_std=0.0)
    network = sim.initialise(key, widths, scales)
    return sim.tangent_kernel(network, x, scales, lambda z: sim.hermite_activation(z, coeffs))[jnp.triu_indices(3)]


@PAPER.claim(
    "network_kernel",
    statement=r"""On unit vectors the tangent kernel of a network with one hidden layer and $\phi = \sum_k c_k h_k$
    has the mean $s(\rho) + \rho s'(\rho)$, $s(\rho) = \sum_k c_k^2 \rho^k$, at every width.""",
    source="section 2, kernel of one hidden layer",
    agreement=MonteCarlo(resolution=0.05),
    controls=("coefficients for their squares", "one layer more", "slopes without the powers", "dual alone"),
)
def network_kernel(run: Run) -> Trial:
    """Empirical kernels of three unit vectors in networks with activations up to degree three."""
    rng = run.rng()
    angles = np.cumsum([0.0, *rng.uniform(0.3, 0.7, 2)])
    delta = 2 * np.sin((angles[:, None] - angles)[np.triu_indices(3)] / 2) ** 2
    coeffs = unit(rng.uniform([0.02, 0.5, 0.15, 0.05], [0.05, 0.7, 0.25, 0.1])) * rng.choice([-1.0, 1.0], 4)
    networks = run.size("networks", quick=16_000, standard=32_000, full=200_000)
    n = run.size("width", quick=256, standard=512, full=1024)

    def measure() -> Samples:
        x = jnp.asarray(np.sqrt(2) * np.stack([np.cos(angles), np.sin(angles)], axis=1))  # the layer divides by 2
        return Samples(over_replicates(_network_entries, run.keys(networks), x, jnp.asarray(coeffs), n))

    def predict(coeffs: Array = coeffs, depth: int = 1) -> Array:
        return np.exp(ntk.deep_ntk(delta, coeffs, depth=depth))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "coefficients for their squares": lambda: predict(unit(np.abs(coeffs))),
            "one layer more": lambda: predict(depth=2),
            "slopes without the powers": lambda: (2 - delta) * ntk.hermite_dual(1 - delta, coeffs),
            "dual alone": lambda: ntk.hermite_dual(1 - delta, coeffs),
        },
        scale="largest",
    )


@PAPER.claim(
    "deep_kernel",
    statement=r"""$T^{l+1} = S^{l+1} + T^l s'(S^l)$, $S^{l+1} = s(S^l)$ at every depth, for means of any kind and for
    inputs as close as $1 - \rho = 10^{-12}$.""",
    source="section 2, kernel of depth l",
    agreement=Identity(rtol=LAYERS),
    controls=("NNGP kernel", "one layer less", "without the mean", "inputs half as far"),
)
def deep_kernel(run: Run) -> Trial:
    """Compare the series, in logarithms, with layers of exact quadrature, for activations with and without a mean."""
    rng = run.rng()
    depths = run.size("depths", quick=(1, 4, 20, 60), standard=(1, 4, 20, 60, 200), full=(1, 4, 20, 60, 200, 1000))
    with_mean = unit(rng.uniform(0.2, 1.0, 5)) * rng.choice([-1.0, 1.0], 5)
    cases = (with_mean, singular(run, "singular"), np.append(unit(with_mean[:3] ** 2), [0, 0]))
    delta = np.concatenate([[0.0], 10 ** rng.uniform([-12, -9, -6, -3, -1, -0.5], [-9, -6, -3, -1, -0.5, 0])])

    def measure(which: int = 1) -> Array:
        return np.stack([deep_kernels(delta, c, max(depths))[which][list(depths)] for c in cases])

    def predict(cases: tuple[Array, ...] = cases, delta: Array = delta, shift: int = 0) -> Array:
        return np.stack([[ntk.deep_ntk(delta, c, depth=n + shift) for n in depths] for c in cases])

    def nngp() -> Array:
        """Undo the sum over layers: the kernel of depth l less what the one above takes over."""
        found = []
        for c in cases:
            s = 1 - delta
            rows = []
            for n in range(max(depths) + 1):
                if n in depths:
                    rows.append(np.log(s))
                s = np.minimum(ntk.hermite_dual(s, c), 1)
            found.append(rows)
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "NNGP kernel": nngp,
            "one layer less": lambda: predict(shift=-1),
            "without the mean": lambda: predict(tuple(unit(c**2 * (np.arange(5) > 0)) for c in cases)),
            "inputs half as far": lambda: predict(delta=delta / 2),
        },
        scale=1.0,
    )


@PAPER.claim(
    "singular_kernel",
    statement=r"""If $E \phi = 0$ and $0 < q = (E \phi')^2 < 1$ then $T^l(\rho) / [(l + 1) q^l] \to \kappa(\rho)$, the
    Koenigs function of the dual, with the error $D(\rho) \kappa(\rho) / (l + 1)$.""",
    source="theorem on infinite depth, first case (limit function and error derived here)",
    agreement=ConvergenceOrder(order=1, resolution=1e-8, accuracy=1e-11),
    controls=(
        "the correlation itself",
        "dual over q",
        "a pure power of the distance",
        "no error of order 1 / l",
        "error of the opposite sign",
        "squared coefficients",
    ),
)
def singular_kernel(run: Run) -> Trial:
    """Iterate quadrature to depths that double, and extrapolate."""
    coeffs = singular(run)
    q = coeffs[1] ** 2
    delta = run.rng("pairs").uniform(0.05, 0.9, run.size("pairs", quick=6, standard=24, full=100))
    layers = 64 * 2 ** np.arange(run.size("doublings", quick=4, standard=5, full=6))

    def measure() -> Steps:
        depths = layers - 1
        ntk_log = deep_kernels(delta, coeffs, int(depths[-1])).ntk[depths]
        return Steps(1 / layers, np.exp(ntk_log - depths[:, None] * np.log(q)) / layers[:, None])

    def predict(coeffs: Array = coeffs, sign: float = 1.0) -> Limit:
        limit = ntk.singular_limit(delta, coeffs)
        kernel = np.exp(limit.log_kernel)
        return Limit(kernel, sign * kernel * limit.correction)

    def instead(kernel: Array) -> Limit:
        return Limit(kernel, predict().coefficient)

    def power() -> Limit:
        """Fit the prefactor, so that the power alone is wrong."""
        shape = (2 * delta) ** (-ntk.singular_exponent(coeffs) / 2)
        return instead(shape * np.exp(np.mean(np.log(predict().value / shape))))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "the correlation itself": lambda: instead(1 - delta),
            "dual over q": lambda: instead(ntk.hermite_dual(1 - delta, coeffs) / q),
            "a pure power of the distance": power,
            "no error of order 1 / l": lambda: predict(sign=1e-3),
            "error of the opposite sign": lambda: predict(sign=-1.0),
            "squared coefficients": lambda: predict(unit(coeffs**4)),
        },
        scale="largest",
    )


@PAPER.claim(
    "koenigs_kernel",
    statement=r"""$\kappa(\rho) = \lim_l s^{(l)}(\rho) / q^l$ at all distances, from orthogonal inputs to $1 - \rho =
    10^{-12}$, for random activations and those of dimensions 1 to 4.""",
    source="theorem on infinite depth, first case (limit function)",
    agreement=Identity(rtol=LAYERS),
    controls=("q for s'", "inputs twice as far", "neighbouring activation", "power law fitted at the ends"),
)
def koenigs_kernel(run: Run) -> Trial:
    """Compare with deep correlations by quadrature, in logarithms."""
    cases = (*(printed(d) for d in (1, 2, 3, 4)), singular(run))
    pairs = run.size("pairs", quick=12, standard=100, full=1000)
    delta = 10 ** run.rng("pairs").uniform(-12, -0.01, pairs)
    depth = 300

    def measure() -> Array:
        return np.stack([deep_kernels(delta, c, depth).nngp[depth] - depth * np.log(c[1] ** 2) for c in cases])

    def predict(delta: Array = delta, shift: int = 0) -> Array:
        found = [np.log(ntk.koenigs_kernel(delta, c)) for c in cases]
        return np.stack(found[shift:] + found[:shift])

    def power() -> Array:
        ends = np.array([1e-6, 1e-12])
        found = []
        for c in cases:
            value = np.log(ntk.koenigs_kernel(ends, c))
            found.append(value[0] + (value[1] - value[0]) * np.log(delta / ends[0]) / np.log(ends[1] / ends[0]))
        return np.stack(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "q for s'": lambda: predict() + np.log([[c[1] ** 2] for c in cases]),
            "inputs twice as far": lambda: predict(np.minimum(2 * delta, 1 - 1e-9)),
            "neighbouring activation": lambda: predict(shift=1),
            "power law fitted at the ends": power,
        },
        scale=1.0,
    )


def _exponents(of: str, cases: tuple[Array, ...], depth: int, distances: tuple[float, float]) -> Array:
    """Slopes of a kernel of great depth against the distance, on logarithmic scales."""
    r = np.array(distances)
    values = np.stack([getattr(deep_kernels(r**2 / 2, c, depth), of)[depth] for c in cases])
    return -(values[:, 1] - values[:, 0]) / np.log(r[1] / r[0])


def _exponent_cases(run: Run) -> tuple[Array, ...]:
    number = run.size("random activations", quick=4, standard=16, full=64)
    return (*(printed(d) for d in (1, 2, 3, 4)), *(singular(run, f"activation {i}", high=0.6) for i in range(number)))


@PAPER.claim(
    "singular_exponent",
    statement=r"""As $x' \to x$ the kernel of infinite depth is $R / |x - x'|^\alpha$ with $\alpha = -2 \log q / \log
    B'$, $B' = E \phi'^2$, and R bounded.""",
    source="theorem on infinite depth, order of the singularity",
    agreement=Equivalence(margin=1e-3, resolution=3e-3),
    controls=("square root of q", "inverted", "second for first derivative at 1", "exponent of 1 - rho"),
)
def singular_exponent(run: Run) -> Trial:
    """Slope over six decades of the distance; what log R does in them is far below the margin."""
    cases = _exponent_cases(run)

    def predict(change: Callable[[float, float], float] | None = None) -> Array:
        if change is None:
            return np.array([ntk.singular_exponent(c) for c in cases])
        return np.array([change(c[1] ** 2, float(np.arange(c.size) @ c**2)) for c in cases])

    def second(q: float, c: Array) -> float:
        k = np.arange(c.size)
        return -2 * np.log(q) / np.log((k * (k - 1)) @ c**2)

    return Trial(
        predict=predict,
        measure=lambda: _exponents("nngp", cases, 400, (1e-9, 1e-3)),
        controls={
            "square root of q": lambda: predict(lambda q, b: -log(q) / log(b)),
            "inverted": lambda: predict(lambda q, b: -2 * log(b) / log(q)),
            "second for first derivative at 1": lambda: np.array([second(c[1] ** 2, c) for c in cases]),
            "exponent of 1 - rho": lambda: predict() / 2,
        },
    )


@PAPER.claim(
    "finite_depth",
    statement=r"""At a depth l and distances between $B'^{-l/2}$ and $l^{-1/2}$ the kernel is more singular than at
    infinite depth, by two powers: $T^l \approx R' / |x - x'|^{\alpha + 2}$.""",
    source="theorem on infinite depth: what a finite depth has instead (derived here)",
    agreement=Equivalence(margin=1e-3, resolution=3e-3),
    controls=("exponent of infinite depth", "one power more", "four powers more"),
)
def finite_depth(run: Run) -> Trial:
    """Slope of the tangent kernel itself over six decades of the distance, at a depth of 400."""
    cases = _exponent_cases(run)

    def predict(shift: int = 0) -> Array:
        return np.array([ntk.singular_exponent(c) for c in cases]) + 2 + shift

    return Trial(
        predict=predict,
        measure=lambda: _exponents("ntk", cases, 400, (1e-11, 1e-5)),
        controls={
            "exponent of infinite depth": lambda: predict(-2),
            "one power more": lambda: predict(-1),
            "four powers more": lambda: predict(2),
        },
    )


@PAPER.claim(
    "optimal_activation",
    statement=r"""$2^{-d/4} h_1 + \sqrt{1 - 2^{1 - d/2}}\, h_2 + 2^{-d/4} h_3$ for $d \ge 2$ and $(h_1 + h_7) / \sqrt 2$
    for $d = 1$ have $E \phi = 0$, $E \phi^2 = 1$, $(E \phi')^2 = 2^{-d/2}$ (1/2) and $E \phi'^2 = 2$ (4): $\alpha =
    d$.""",
    source="corollary on Bayes-optimal activations",
    agreement=Identity(rtol=QUADRATURE),
    controls=("next dimension", "d/2 for d/4", "h_1 and h_2 exchanged", "unnormalised polynomials"),
)
def optimal_activation(run: Run) -> Trial:
    """Values and quadratures of the printed polynomials against series of the solver's coefficients."""
    dimensions = range(1, 9)
    z = run.rng().uniform(-3, 3, 5)
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()

    def powers(d: int) -> Array:
        """Powers of z, lowest first."""
        if d == 1:
            seventh = np.array([0, -105, 0, 105, 0, -21, 0, 1]) / np.sqrt(5040)
            return (seventh + np.eye(8)[1]) / np.sqrt(2)
        a, b = 2 ** (-d / 4) / np.sqrt(6), np.sqrt((1 - 2 ** (1 - d / 2)) / 2)
        return np.array([-b, 2 ** (-d / 4) - 3 * a, b, a])

    def measure() -> Array:
        found = []
        for d in dimensions:
            phi = np.polynomial.Polynomial(powers(d))
            slope = phi.deriv()(nodes)
            means = [weights @ phi(nodes), weights @ phi(nodes) ** 2, (weights @ slope) ** 2, weights @ slope**2]
            found.append([*phi(z), *means, d])
        return np.array(found)

    def predict(of: Callable[[int], Array] = ntk.singular_activation) -> Array:
        found = []
        for d in dimensions:
            c = of(d)
            slopes = ntk.hermite_dual([0.0, 1.0], c, derivative=True)
            alpha = -2 * np.log(slopes[0]) / np.log(slopes[1])
            norm = ntk.hermite_dual(1.0, c)
            found.append([*resolve(("hermite", c)).value(z), c[0], norm, *slopes, alpha])
        return np.array(found)

    def halved(d: int) -> Array:
        outer = 2.0 ** (-d / 2)
        return np.array([0.0, outer, np.sqrt(1 - 2 * outer**2), outer]) if d > 1 else printed(1)

    def exchanged(d: int) -> Array:
        c = printed(d)
        return c[[0, 2, 1, 3]] if d > 2 else c

    def unnormalised(d: int) -> Array:
        c = printed(d)
        return c * np.sqrt([float(np.prod(np.arange(1, k + 1))) for k in range(c.size)])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "next dimension": lambda: predict(lambda d: ntk.singular_activation(d + 1)),
            "d/2 for d/4": lambda: predict(halved),
            "h_1 and h_2 exchanged": lambda: predict(exchanged),
            "unnormalised polynomials": lambda: predict(unnormalised),
        },
        scale=1.0,
    )
