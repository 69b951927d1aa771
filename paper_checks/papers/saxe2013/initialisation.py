"""Random initial weights: what products of Gaussian and of orthogonal matrices do to signals and gradients."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import psi

from paper_checks.agreement import FiniteSize, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, Sizes
from paper_checks.papers.saxe2013.paper import PAPER
from simulations import deep_linear as sim
from simulations.replicates import over_replicates
from theory import deep_linear


@PAPER.claim(
    "orthogonal_isometry",
    statement=r"""Orthogonal factors, each times $g$, have a product with all singular values equal to $g^D$.""",
    source="random orthogonal initial weights",
    agreement=Identity(rtol=1e-11),
    controls=("one gain for all layers", "gain squared", "Gaussian factors"),
)
def orthogonal_isometry(run: Run) -> Trial:
    """Singular values of products of Haar matrices, at a random gain."""
    n = run.size("width", quick=20, standard=100, full=1000)
    depths = run.size("depths", quick=(1, 4, 20), standard=(1, 10, 100), full=(1, 10, 100))
    gain = float(run.rng().uniform(0.9, 1.15))

    def measure(ensemble: str = "orthogonal") -> np.ndarray:
        products = [
            sim.random_product(key, n=n, depth=depth, ensemble=ensemble, gain=gain)
            for key, depth in zip(run.keys(len(depths)), depths, strict=True)
        ]
        return np.stack([np.asarray(sim.singular_values((product,))) for product in products])

    def predict(powers: Sequence[float]) -> np.ndarray:
        return np.repeat([[gain**p] for p in powers], n, axis=1)

    return Trial(
        predict=lambda: predict(depths),
        measure=measure,
        controls={
            "one gain for all layers": lambda: predict([1] * len(depths)),
            "gain squared": lambda: predict([2 * d for d in depths]),
        },
        counterexamples={"Gaussian factors": lambda: measure("gaussian")},
    )


@PAPER.claim(
    "gaussian_norm",
    statement=r"""For independent $W_l$ with $N(0, 1/n)$ entries and a unit vector $v$: $E |W_D \cdots W_1 v|^2 = 1$, $E
    |\cdot|^4 = (1 + 2/n)^D$ and $E \ln |\cdot|^2 = D [\psi(n/2) + \ln(2/n)]$, at every width.""",
    source="random Gaussian initial weights, norms of propagated vectors",
    agreement=MonteCarlo(resolution=0.2),
    controls=("infinite width", "1/n for 2/n", "digamma of n"),
)
def gaussian_norm(run: Run) -> Trial:
    """Propagate random vectors through independent products."""
    n, depth = run.size("width and depth", quick=(24, 3), standard=(40, 4), full=(40, 8))
    replicates = run.size("replicates", quick=40_000, standard=80_000, full=2_000_000)

    def growth(key: jax.Array) -> jax.Array:
        log_norm = sim.vector_log_growth(key, n=n, depth=depth)
        return jnp.stack([jnp.exp(log_norm), jnp.exp(2 * log_norm), log_norm])

    def predict(fourth: float | None = None, log_norm: float | None = None) -> np.ndarray:
        return np.array(
            [
                1.0,
                deep_linear.gaussian_product_fourth_norm(n=n, depth=depth) if fourth is None else fourth,
                deep_linear.gaussian_product_log_norm(n=n, depth=depth) if log_norm is None else log_norm,
            ]
        )

    return Trial(
        predict=predict,
        measure=lambda: Samples(over_replicates(growth, run.keys(replicates))),
        controls={
            "infinite width": lambda: predict(1.0, 0.0),
            "1/n for 2/n": lambda: predict(fourth=(1 + 1 / n) ** depth),
            "digamma of n": lambda: predict(log_norm=predict()[2] / 2),
        },
    )


@PAPER.claim(
    "gaussian_spectrum",
    statement=r"""The squared singular values of a product of $D$ Gaussian $n \times n$ matrices have mean 1 and, at
    every $n$, the second moment $y_D$ of the recursion $x \leftarrow x + 2 y / n^2$, $y \leftarrow x + (1 + 1/n) y$
    from $x = y = 1$.""",
    source="random Gaussian initial weights, spectrum of the product",
    agreement=MonteCarlo(resolution=0.1),
    controls=("infinite width", "Marchenko-Pastur", "1/n dropped from the recursion"),
)
def gaussian_spectrum(run: Run) -> Trial:
    """First two moments of the squared singular values of random products."""
    n, depth = run.size("width and depth", quick=(16, 4), standard=(20, 6), full=(100, 8))
    replicates = run.size("replicates", quick=16_000, standard=60_000, full=400_000)

    def moments(key: jax.Array) -> jax.Array:
        return sim.spectral_moments(sim.random_product(key, n=n, depth=depth), order=2)

    def without_1_over_n() -> float:
        x = y = 1.0
        for _ in range(depth):
            x, y = x + 2 * y / n**2, x + y
        return y

    return Trial(
        predict=lambda: np.array([1.0, deep_linear.gaussian_product_second_moment(n=n, depth=depth)]),
        measure=lambda: Samples(over_replicates(moments, run.keys(replicates))),
        controls={
            "infinite width": lambda: np.array([1.0, deep_linear.fuss_catalan_moment(2, depth=depth)]),
            "Marchenko-Pastur": lambda: np.array([1.0, 2.0]),
            "1/n dropped from the recursion": lambda: np.array([1.0, without_1_over_n()]),
        },
    )


@PAPER.claim(
    "gaussian_spectrum_limit",
    statement=r"""As $n \to \infty$ the moments of the squared singular values tend to the Fuss-Catalan numbers
    $\frac{1}{Dk + 1} \binom{(D + 1) k}{k}$, with corrections in powers of $1/n$.""",
    source="random Gaussian initial weights, spectrum of the product at large width",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.1),
    controls=("Marchenko-Pastur", "one factor more", "narrowest width"),
)
def gaussian_spectrum_limit(run: Run) -> Trial:
    """Second and third moments at widths that double."""
    depth = 2
    widths = run.size("widths", quick=(8, 16, 32, 64), standard=(12, 24, 48, 96), full=(32, 64, 128, 256, 512))
    replicates = run.size("replicates", quick=4000, standard=20_000, full=40_000)

    def moments(key: jax.Array, n: int) -> jax.Array:
        return sim.spectral_moments(sim.random_product(key, n=n, depth=depth), order=3)[1:]

    def measure() -> Sizes:
        return Sizes(widths, np.stack([over_replicates(moments, run.keys(replicates, f"n {n}"), n) for n in widths]))

    def predict(depth: int = depth) -> np.ndarray:
        return np.array([deep_linear.fuss_catalan_moment(k, depth=depth) for k in (2, 3)])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "Marchenko-Pastur": lambda: predict(depth=1),
            "one factor more": lambda: predict(depth=depth + 1),
            "narrowest width": lambda: np.array(
                [deep_linear.gaussian_product_second_moment(n=widths[0], depth=depth), predict()[1]]
            ),
        },
    )


@PAPER.claim(
    "gaussian_spectrum_edge",
    statement=r"""The largest squared singular value tends to $(D + 1)^{D + 1} / D^D$ as $n \to \infty$, with
    corrections of order $n^{-2/3}$.""",
    source="random Gaussian initial weights, edge of the spectrum",
    agreement=FiniteSize(exponent=2 / 3, second=4 / 3, of="limit", resolution=0.1),
    controls=("Marchenko-Pastur edge", "one factor more", "second moment for the edge"),
)
def gaussian_spectrum_edge(run: Run) -> Trial:
    """Largest singular values of random products at widths that double."""
    depth = 2
    widths = run.size("widths", quick=(8, 16, 32, 64), standard=(12, 24, 48, 96), full=(64, 128, 256, 512))
    replicates = run.size("replicates", quick=1200, standard=4000, full=10_000)

    def edge(key: jax.Array, n: int) -> jax.Array:
        return sim.squared_singular_values(sim.random_product(key, n=n, depth=depth))[0]

    def measure() -> Sizes:
        return Sizes(widths, np.stack([over_replicates(edge, run.keys(replicates, f"n {n}"), n) for n in widths]))

    return Trial(
        predict=lambda: deep_linear.gaussian_product_edge(depth=depth),
        measure=measure,
        controls={
            "Marchenko-Pastur edge": lambda: deep_linear.gaussian_product_edge(depth=1),
            "one factor more": lambda: deep_linear.gaussian_product_edge(depth=depth + 1),
            "second moment for the edge": lambda: float(deep_linear.fuss_catalan_moment(2, depth=depth)),
        },
    )


@PAPER.claim(
    "gaussian_lyapunov",
    statement=r"""The singular values of a long product of Gaussian $n \times n$ matrices grow as $e^{D \mu_i}$ with
    $\mu_i = \frac12 [\ln \frac2n + \psi(\frac{n - i + 1}{2})]$; those of orthogonal matrices stay at 1.""",
    source="random Gaussian initial weights, depth to infinity at fixed width",
    agreement=MonteCarlo(resolution=0.1),
    controls=("(n + i - 1) / 2 for (n - i + 1) / 2", "without ln(2/n)", "Orthogonal factors"),
)
def gaussian_lyapunov(run: Run) -> Trial:
    """Growth rates by repeated QR decomposition along random products."""
    n = run.size("width", quick=6, standard=6, full=20)
    depth = run.size("depth", quick=100, standard=400, full=1000)
    replicates = run.size("replicates", quick=1024, standard=4096, full=16_384)

    def exponents(key: jax.Array, ensemble: str = "gaussian") -> jax.Array:
        return sim.random_lyapunov_exponents(key, n=n, depth=depth, ensemble=ensemble)

    def digamma(argument: np.ndarray) -> np.ndarray:
        return 0.5 * (np.log(2 / n) + psi(argument))

    i = np.arange(1, n + 1)
    return Trial(
        predict=lambda: deep_linear.gaussian_lyapunov_exponents(n),
        measure=lambda: Samples(over_replicates(exponents, run.keys(replicates))),
        controls={
            "(n + i - 1) / 2 for (n - i + 1) / 2": lambda: digamma((n + i - 1) / 2),
            "without ln(2/n)": lambda: deep_linear.gaussian_lyapunov_exponents(n) - 0.5 * np.log(2 / n),
        },
        counterexamples={
            "Orthogonal factors": lambda: Samples(over_replicates(exponents, run.keys(replicates), "orthogonal"))
        },
        scale=1.0,
    )
