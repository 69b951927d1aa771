"""Rank, positivity and depth: what the limiting kernels can and cannot tell apart."""

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, Equivalence, Identity
from paper_checks.claim import Run, Trial
from paper_checks.papers.jacot2018.paper import PAPER
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk

Array = np.ndarray

RELU = sim.ACTIVATIONS["relu"]
ZERO = 1e-9  # eigenvalues below this, relative to the largest, are rounding: the smallest others are above 1e-4


def _antipodal(run: Run, pairs: int) -> Array:
    """Draw pairs of opposite points on the unit sphere in three dimensions."""
    x = run.rng().standard_normal((pairs, 3))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.concatenate([x, -x])


def _kernel(key: jax.Array, x: jax.Array, widths: tuple[int, ...], scales: sim.Scales) -> jax.Array:
    return sim.tangent_kernel(sim.initialise(key, widths, scales), x, scales, RELU)


def _nullity(kernel: Array) -> int:
    w = np.linalg.eigvalsh(kernel)
    return int(np.sum(w < ZERO * w[-1]))


@PAPER.claim(
    "positive_definite",
    statement=r"""On the sphere the tangent kernel of a non-polynomial activation is positive definite when there
    are biases or two hidden layers. For relu with one hidden layer and no biases it is not: on $m > n_0$ antipodal
    pairs its Gram matrix has exactly $m - n_0$ vanishing eigenvalues.""",
    source="proposition 2, and its limits (counterexample derived here)",
    agreement=Identity(rtol=1e-12),
    controls=("positive definite without biases", "m zeros", "biases change nothing"),
)
def positive_definite(run: Run) -> Trial:
    """Count the vanishing eigenvalues of wide networks' empirical kernels, and of the limit."""
    pairs = 10
    x = _antipodal(run, pairs)
    n = run.size("width", quick=512, standard=2048, full=8192)
    cases = ((1, 0.0), (1, 0.3), (2, 0.0))

    def measure() -> Array:
        found = []
        for hidden, bias_std in cases:
            widths = (3, *(n,) * hidden, 1)
            scales = sim.ntk_scales(widths, bias_std=bias_std)
            keys = run.keys(1, f"{hidden} {bias_std}")
            found.append(_nullity(over_replicates(_kernel, keys, jnp.asarray(x), widths, scales)[0]))
        return np.array(found)

    def predict() -> Array:
        kernels = [ntk.nngp_ntk(x, n_hidden=hidden, bias_std=bias_std).ntk for hidden, bias_std in cases]
        return np.array([_nullity(kernel) for kernel in kernels])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "positive definite without biases": lambda: np.zeros(3),
            "m zeros": lambda: np.array([pairs, 0, 0]),
            "biases change nothing": lambda: np.array([pairs - 3, pairs - 3, 0]),
        },
        scale=1.0,
    )


def _gram(key: jax.Array, x: jax.Array, hidden: int, coefficients: jax.Array, n: int) -> jax.Array:
    widths = (x.shape[1], *(n,) * hidden, 1)
    scales = sim.ntk_scales(widths, bias_std=0.5)
    network = sim.initialise(key, widths, scales)
    return sim.tangent_kernel(network, x, scales, lambda z: jnp.polyval(coefficients, z))


@PAPER.claim(
    "polynomial_rank",
    statement=r"""With a polynomial activation of degree $p$ and $h$ hidden layers the kernel on the sphere has
    rank at most $\binom{n_0 + D - 1}{D} + \binom{n_0 + D - 2}{D - 1}$, $D = p^h$, and generic coefficients attain
    it.""",
    source="remark on polynomial activations (bound derived here)",
    agreement=Bound(side="upper", tight=1e-9),
    controls=("degree one lower", "without the lower parity", "degree p h"),
)
def polynomial_rank(run: Run) -> Trial:
    """Numerical rank of kernels averaged over networks of random polynomial activations."""
    rng = run.rng()
    all_cases = ((2, 2, 2), (3, 2, 1), (3, 2, 2), (2, 3, 1), (3, 3, 1))
    cases = run.size("(n_0, p, h)", quick=all_cases[:3], standard=all_cases, full=all_cases)
    n = run.size("width", quick=64, standard=256, full=1024)

    def measure() -> Array:
        found = []
        for d, degree, hidden in cases:
            x = rng.standard_normal((60, d))
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            coefficients = jnp.asarray(rng.uniform(0.5, 1.0, degree + 1))
            keys = run.keys(8, f"{d} {degree} {hidden}")
            grams = over_replicates(_gram, keys, jnp.asarray(x), hidden, coefficients, n)
            w = np.linalg.eigvalsh(grams.mean(axis=0))
            found.append(np.sum(w > 1e-12 * w[-1]))
        return np.array(found)

    def predict(shift: int = 0) -> Array:
        return np.array([ntk.polynomial_rank_bound(*case) for case in cases]) + shift

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "degree one lower": lambda: np.array([_sphere(d, p**h - 1) for d, p, h in cases]),
            "without the lower parity": lambda: np.array(
                [_sphere(d, p**h) - _sphere(d, p**h - 1) for d, p, h in cases]
            ),
            "degree p h": lambda: np.array([_sphere(d, 2 * p * h) for d, p, h in cases]),
        },
    )


def _sphere(d: int, degree: int) -> int:
    return ntk.polynomial_rank_bound(d, degree, 1)


def _pairs(run: Run) -> Array:
    """Draw correlations of pairs of inputs, at least 0.1 away from 1."""
    return run.rng().uniform(-0.9, 0.9, 3)


def _deep(rho: Array, n_hidden: int) -> Array:
    """Tangent kernels (n_hidden + 1, pairs, 3) of relu networks with weight_std = sqrt 2, by quadrature."""
    first = np.stack([np.ones_like(rho), rho, np.ones_like(rho)], axis=1)

    def one(first: jax.Array) -> jax.Array:
        return sim.deep_kernels(RELU, first, n_hidden=n_hidden, weight_std=2**0.5, bias_std=0.0)[:, 1]

    return np.asarray(jax.lax.map(one, first)).swapaxes(0, 1)


def _theory(rho: Array, n_hidden: int) -> Array:
    """Return the same by the theory, (pairs, 3): inputs (1, 0) and (rho, sqrt(1 - rho^2))."""
    found = []
    for r in rho:
        kernel = ntk.nngp_ntk([[1.0, 0.0], [r, np.sqrt(1 - r**2)]], n_hidden=n_hidden, weight_std=2**0.5, bias_std=0.0)
        found.append(kernel.ntk[np.triu_indices(2)])
    return np.array(found)


@PAPER.claim(
    "deep_relu_exact",
    statement=r"""For $\phi = \sqrt 2\, \mathrm{relu}$ without biases and $\Sigma_1(x, x) = 1$, $\Theta_L(x, x) =
    L$, and $\Theta_L(\rho)$ follows the recursion at every depth.""",
    source="limiting kernel at great depth (derived here)",
    agreement=Identity(rtol=1e-11),
    controls=("L + 1 on the diagonal", "one layer less", "NNGP kernel"),
)
def deep_relu_exact(run: Run) -> Trial:
    """Compare closed forms with layers of quadrature."""
    rho = _pairs(run)
    depths = run.size("hidden layers", quick=(1, 5, 20), standard=(1, 5, 20, 50), full=(1, 5, 20, 50, 100))

    def predict(shift: int = 0) -> Array:
        return np.stack([_theory(rho, hidden + shift) for hidden in depths])

    return Trial(
        predict=predict,
        measure=lambda: _deep(rho, max(depths))[list(depths)],
        controls={
            "L + 1 on the diagonal": lambda: predict() + np.array([1.0, 0.0, 1.0]),
            "one layer less": lambda: predict(-1),
            "NNGP kernel": lambda: predict() / (np.array(depths) + 1)[:, None, None],
        },
        scale="largest",
    )


@PAPER.claim(
    "deep_relu",
    statement=r"""For $\phi = \sqrt 2\, \mathrm{relu}$ without biases $\Theta_L(\rho) / L \to 1/4$ for every
    $\rho < 1$, with an error of order $\ln L / L$.""",
    source="limiting kernel at great depth (derived here)",
    agreement=Equivalence(margin=0.03, resolution=0.06),
    controls=("1/3, as for analytic activations", "1/2", "1/5"),
)
def deep_relu(run: Run) -> Trial:
    """Deep kernels by quadrature, less the leading correction that two depths reveal."""
    rho = _pairs(run)
    hidden = run.size("hidden layers", quick=160, standard=1280, full=10_240)

    def measure() -> Array:
        theta = _deep(rho, hidden)[:, :, 1] / np.arange(1, hidden + 2)[:, None]
        deep, half = hidden + 1, hidden // 2 + 1
        # theta_L / L = limit + c ln L / L + O(1 / L)
        a, b = np.log(deep) / deep, np.log(half) / half
        return (b * theta[deep - 1] - a * theta[half - 1]) / (b - a)

    return Trial(
        predict=lambda: _theory(rho, 30_000)[:, 1] / 30_001,  # within 4e-4 of the limit
        measure=measure,
        controls={
            "1/3, as for analytic activations": lambda: np.full(3, 1 / 3),
            "1/2": lambda: np.full(3, 1 / 2),
            "1/5": lambda: np.full(3, 1 / 5),
        },
    )
