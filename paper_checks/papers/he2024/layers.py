"""Fixed linear layers under a mean of features: divergences and distances behind every layer, gaps, and bounds."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples
from paper_checks.papers.he2024.gaussian import CLASSES, TEST_POINTS, class_losses
from paper_checks.papers.he2024.paper import PAPER
from simulations import generalization as sim
from simulations.replicates import over_replicates
from theory import generalization as gen

Loss = Callable[[jax.Array], jax.Array]

REPLICATES = {"quick": 25_000, "standard": 200_000, "full": 2_000_000}


class Network(NamedTuple):
    """A sample of n points, the mean and noise of a class, and fixed linear layers."""

    n: int
    mean: Array
    sigma: float
    weights: tuple[Array, ...]

    @property
    def products(self) -> list[Array]:
        """What inputs, A_0 = 1, and layers up to each see of the input."""
        found = [np.eye(self.mean.size)]
        for W in self.weights:
            found.append(W @ found[-1])
        return found


def _two_networks(run: Run) -> list[Network]:
    """Draw networks; the products of the first have ranks 5, 3, 2 and 1, those of the second rank 4 throughout."""
    rng = run.rng("layers")
    found = []
    for n, sigma, widths in ((6, 0.8, (5, 3, 2, 1)), (3, 1.5, (4, 4, 6))):
        weights = tuple(rng.standard_normal((b, a)) / np.sqrt(a) for a, b in pairwise(widths))
        mean = rng.standard_normal(widths[0])
        found.append(Network(n, sigma * mean / np.linalg.norm(mean), sigma, weights))
    return found


def _simulated(
    simulate: Callable[..., Any],
    run: Run,
    networks: Sequence[Network],
    replicates: int,
    arguments: Callable[[Network], tuple[Any, ...]],
) -> list[Any]:
    """Draw samples for every network, and call ``simulate`` with size, mean, noise, and what else it needs."""
    return [
        over_replicates(
            simulate,
            run.keys(replicates, f"network {k}"),
            network.n,
            jnp.asarray(network.mean),
            jnp.asarray(network.sigma),
            *arguments(network),
        )
        for k, network in enumerate(networks)
    ]


def _laws(run: Run, networks: Sequence[Network], replicates: int) -> list[sim.LayerLaws]:
    """Compare the law of training points with that of fresh ones behind every layer."""
    return _simulated(
        sim.layer_laws, run, networks, replicates, lambda network: (tuple(map(jnp.asarray, network.products)),)
    )


def _gaps(run: Run, networks: Sequence[Network], losses: tuple[Loss, ...], replicates: int) -> list[Array]:
    """Fit a last layer, and compare losses on the sample with those on fresh points, (replicates, losses)."""
    return _simulated(
        sim.network_gap,
        run,
        networks,
        replicates,
        lambda network: (jnp.asarray(network.products[-1]), losses, TEST_POINTS),
    )


@PAPER.claim(
    "gaussian-kl",
    statement=r"""On two Gaussian classes, with the mean $M$ of $Y_i X_i$ for a statistic and fixed linear layers, the
    divergence of training from fresh points given $M$ is $\frac{r_l}{2} \ln\frac{n}{n-1}$ on average at layer $l$,
    whose product of weights has rank $r_l$; the classes and the weights do not matter.""",
    source="example of binary Gaussian classification; constants derived here",
    agreement=MonteCarlo(resolution=0.05),
    controls=("dimension for rank", "log((n + 1) / n)", "without the 1/2", "dimension of the layer for rank"),
)
def gaussian_kl(run: Run) -> Trial:
    """Draw M, condition the joint Gaussian law on it by linear algebra, and compute divergences on ranges of maps."""
    cases, replicates = _two_networks(run), run.size("replicates", **REPLICATES)
    n = np.concatenate([np.full(len(case.products), case.n) for case in cases])
    ranks = np.concatenate([[np.linalg.matrix_rank(A) for A in case.products] for case in cases])

    def predict(rank: Array = ranks) -> Array:
        return np.asarray(gen.gaussian_layer_kl(n, rank))

    return Trial(
        predict=predict,
        measure=lambda: Samples(np.concatenate([laws.kl for laws in _laws(run, cases, replicates)], axis=1)),
        controls={
            "dimension for rank": lambda: predict(
                np.concatenate([np.full(len(c.products), c.mean.size) for c in cases])
            ),
            "log((n + 1) / n)": lambda: ranks / 2 * np.log1p(1 / n),
            "without the 1/2": lambda: 2 * predict(),
            "dimension of the layer for rank": lambda: predict(
                np.concatenate([[A.shape[0] for A in case.products] for case in cases])
            ),
        },
    )


@PAPER.claim(
    "layer-distance",
    statement=r"""In the same networks the squared distance $W_2^2$ of training from fresh points at layer $l$, given
    $M$ and the label, is $2 \sigma^2 |A_l|_F^2 (1 - \sqrt{1 - 1/n})$ on average.""",
    source="example of binary Gaussian classification; derived here, with W_2 for W_1",
    agreement=MonteCarlo(resolution=0.05),
    controls=("only the mean moves", "without the 2", "operator for Frobenius norm", "log(n / (n - 1))"),
)
def layer_distance(run: Run) -> Trial:
    """Draw M, condition on it by linear algebra, and compute distances of Gaussian laws with matrix square roots."""
    cases, replicates = _two_networks(run), run.size("replicates", **REPLICATES)

    def predict(matrix: Callable[[Array], Array] = np.asarray) -> Array:
        return np.array(
            [
                gen.gaussian_layer_wasserstein(case.n, matrix(A), sigma=case.sigma) ** 2
                for case in cases
                for A in case.products
            ]
        )

    def at_rate(rate: Callable[[int], float]) -> Array:
        return np.array([case.sigma**2 * np.sum(A**2) * rate(case.n) for case in cases for A in case.products])

    return Trial(
        predict=predict,
        measure=lambda: Samples(np.concatenate([laws.wasserstein for laws in _laws(run, cases, replicates)], axis=1)),
        controls={
            "only the mean moves": lambda: at_rate(lambda n: 1 / n),
            "without the 2": lambda: predict() / 2,
            "operator for Frobenius norm": lambda: predict(lambda A: np.atleast_2d(np.linalg.norm(A, 2))),
            "log(n / (n - 1))": lambda: at_rate(lambda n: -np.log1p(-1 / n)),
        },
    )


def _linear(score: jax.Array) -> jax.Array:
    return -score


def _hinge(score: jax.Array) -> jax.Array:
    return jax.nn.relu(1 - score)


def _absolute(score: jax.Array) -> jax.Array:
    return jnp.abs(1 - score)


@PAPER.claim(
    "linear-gap",
    statement=r"""Under the linear loss $-Y M \cdot X$ the gap is $d \sigma^2 / n$; with fixed linear features $F$ in
    front of the mean, $\sigma^2 |F|_F^2 / n$.""",
    source="example of binary Gaussian classification; derived here",
    agreement=MonteCarlo(resolution=0.1),
    controls=("2 d sigma^2 / n", "d sigma^2 / (n + 1)", "sigma^2 / n", "with the means"),
)
def linear_gap(run: Run) -> Trial:
    """Draw samples, fit the class mean of inputs and of features, and compare losses with those of fresh points."""
    replicates = run.size("replicates", quick=30_000, standard=300_000, full=10_000_000)
    layers = [network._replace(weights=network.weights[:1]) for network in _two_networks(run)]

    def measure() -> Samples:
        plain = class_losses(run, replicates)
        return Samples(
            np.concatenate([plain[..., 3] - plain[..., 2], *_gaps(run, layers, (_linear,), replicates)], axis=1)
        )

    def predict(rate: Callable[[float, float, int, float], float] = lambda s2, size, n, m2: s2 * size / n) -> Array:
        plain = [rate(c.sigma**2, c.d, c.n, c.mean_norm**2) for c in CLASSES]
        F = [network.products[1] for network in layers]
        deep = [
            rate(c.sigma**2, float(np.sum(A**2)), c.n, float(np.sum((A @ c.mean) ** 2)))
            for c, A in zip(layers, F, strict=True)
        ]
        return np.array(plain + deep)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "2 d sigma^2 / n": lambda: 2 * predict(),
            "d sigma^2 / (n + 1)": lambda: predict(lambda s2, size, n, m2: s2 * size / (n + 1)),
            "sigma^2 / n": lambda: predict(lambda s2, size, n, m2: s2 / n),
            "with the means": lambda: predict(lambda s2, size, n, m2: (s2 * size + m2) / n),
        },
    )


LOSSES = (_linear, _hinge, _absolute)  # of the signed score; Lipschitz in the output with constant 1


def _networks(run: Run) -> list[Network]:
    """Draw narrowing networks of large and of small weights, with and without a mean, and one of rotations."""
    rng = run.rng("networks")

    def drawn(*widths: int, gain: float) -> tuple[Array, ...]:
        return tuple(gain * rng.standard_normal((b, a)) / np.sqrt(a) for a, b in pairwise(widths))

    rotations = tuple(np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(2))
    return [
        Network(8, np.zeros(6), 1.0, drawn(6, 5, 3, 2, gain=2.0)),
        Network(20, rng.standard_normal(6) / 2, 0.7, drawn(6, 5, 3, gain=0.5)),
        Network(12, np.zeros(4), 1.2, rotations),
        Network(12, rng.standard_normal(4), 3.0, rotations),
    ]


def _norm_of_last_layer(network: Network, noise: bool = True) -> float:
    """Root mean square of the mean of Y_i F X_i."""
    F = network.products[-1]
    spread = network.sigma**2 * np.sum(F**2) / network.n if noise else 0.0
    return float(np.sqrt(np.sum((F @ network.mean) ** 2) + spread))


@PAPER.claim(
    "wasserstein-funnel",
    statement=r"""In a linear network whose last layer is the class mean of its features, and under a loss with
    Lipschitz constant 1, the gap is at most $\sqrt{E |W_L|^2}\, |W_{L-1}|_{op} \cdots |W_{l+1}|_{op}\,
    \sqrt{E\, W_2(l)^2}$ for every layer $l < L$. The linear loss comes within 10 % where the means vanish.""",
    source="bounds by Wasserstein distance; derived here, with W_2 for W_1",
    agreement=Bound(tight=0.1),
    controls=(
        "without the norm of the last layer",
        "last layer of the mean alone",
        "without operator norms",
        "without the 2",
    ),
)
def wasserstein_funnel(run: Run) -> Trial:
    """Draw samples, fit the last layer, and compare losses on the sample and on fresh points."""
    replicates = run.size("replicates", quick=30_000, standard=200_000, full=5_000_000)
    networks = _networks(run)

    def measure() -> Samples:
        gaps = _gaps(run, networks, LOSSES, replicates)
        return Samples(
            np.concatenate(
                [np.repeat(g, 2 * len(w.products), axis=1) for g, w in zip(gaps, networks, strict=True)], axis=1
            )
        )

    def predict(norm: Callable[[Network], float] = _norm_of_last_layer) -> Array:
        found = []
        for network in networks:
            # for each loss both kinds of Lipschitz constant, at each layer
            bounds = [
                gen.wasserstein_layer_bounds(
                    network.weights, network.n, sigma=network.sigma, lipschitz=norm(network), clip=clip
                )
                for clip in (False, True)
            ]
            found += [np.concatenate(bounds)] * len(LOSSES)
        return np.concatenate(found)

    def without_operator_norms() -> Array:
        found = []
        for network in networks:
            distances = [gen.gaussian_layer_wasserstein(network.n, A, sigma=network.sigma) for A in network.products]
            found.append(np.tile(distances, 2 * len(LOSSES)) * _norm_of_last_layer(network))
        return np.concatenate(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "without the norm of the last layer": lambda: predict(lambda network: 1.0),
            "last layer of the mean alone": lambda: predict(lambda network: _norm_of_last_layer(network, False) + 1e-9),
            "without the 2": lambda: predict() / np.sqrt(2),
            "without operator norms": without_operator_norms,
        },
        scale=predict,
    )


@PAPER.claim(
    "wasserstein-order",
    statement=r"""With operator norms of the layers above for factors, the bounds by Wasserstein distance never rise
    from a layer to the next, so that the last fixed layer has the lowest; rotations leave them as they are.""",
    source="derived here; narrows where a funnel can show",
    agreement=Bound(tight=0.1),
    controls=("a fifth lost at each layer", "distances alone"),
)
def wasserstein_order(run: Run) -> Trial:
    """Draw M, and compute the distance behind every layer by linear algebra; compare with the layer before."""
    replicates = run.size("replicates", quick=20_000, standard=100_000, full=1_000_000)
    networks = _networks(run)

    def above(weights: Sequence[Array]) -> Array:
        norms = [np.linalg.norm(W, 2) for W in weights]
        return np.append(np.cumprod(norms[::-1])[::-1], 1.0)

    def measure() -> Samples:
        laws = _laws(run, networks, replicates)
        squares = [law.wasserstein[:, 1:] * above(w.weights)[1:] ** 2 for law, w in zip(laws, networks, strict=True)]
        return Samples(np.concatenate(squares, axis=1))

    def predict(kept: float = 1.0, normed: bool = True) -> Array:
        found = []
        for network in networks:
            bounds = gen.wasserstein_layer_bounds(network.weights, network.n, sigma=network.sigma)
            found.append(kept * bounds[:-1] ** 2 / (1.0 if normed else above(network.weights)[:-1] ** 2))
        return np.concatenate(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "a fifth lost at each layer": lambda: predict(kept=0.8),
            "distances alone": lambda: predict(normed=False),
        },
        scale=predict,
    )
