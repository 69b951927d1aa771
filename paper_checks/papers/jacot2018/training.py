"""Training of wide networks: predictions, their spread over initialisations, and how little the kernel moves."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, FiniteSize, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Sizes, Steps, components
from paper_checks.papers.jacot2018.paper import PAPER
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk

Array = np.ndarray

N, M, D = 4, 2, 3
BIAS_STD = 0.2
ERF = sim.ACTIVATIONS["erf"]


def _data(run: Run) -> tuple[Array, Array]:
    """Draw four training inputs of norm sqrt(3), no two of them (or opposites) within 40 degrees, and targets.

    Each of the two test inputs lies at 45 degrees from a training input, so that what is learned there reaches it.
    """
    rng = run.rng()
    while True:
        train = rng.standard_normal((N, D))
        train /= np.linalg.norm(train, axis=1, keepdims=True)
        if np.max(np.abs(train @ train.T)[~np.eye(N, dtype=bool)]) < 0.77:
            break
    aside = rng.standard_normal((M, D))
    aside -= np.sum(aside * train[:M], axis=1, keepdims=True) * train[:M]
    test = (train[:M] + aside / np.linalg.norm(aside, axis=1, keepdims=True)) / np.sqrt(2)
    return np.sqrt(D) * np.concatenate([train, test]), rng.uniform(0.5, 1.5, N) * rng.choice([-1.0, 1.0], N)


class _Linearised:
    """A network of moderate width, expanded to first order in its parameters, as the problem to be solved."""

    def __init__(self, run: Run):
        self.x, self.y = _data(run)
        n = run.size("width", quick=24, standard=128, full=1024)
        widths = (D, n, n, 1)
        self.scales = sim.ntk_scales(widths, bias_std=BIAS_STD)
        self.network = sim.initialise(run.key("network"), widths, self.scales)
        self.theta = np.asarray(sim.tangent_kernel(self.network, jnp.asarray(self.x), self.scales, ERF))
        self.start = np.asarray(sim.outputs(self.network, jnp.asarray(self.x), self.scales, ERF)[:, 0])

    def descend(self, y: Array, learning_rate: float, stride: int, n_records: int) -> Array:
        """Predictions at all inputs, (n_records + 1, N + M)."""
        x = jnp.asarray(self.x)
        found = sim.linearised_descent(
            self.network, x[:N], jnp.asarray(y), x[N:],
            scales=self.scales, activation=ERF, learning_rate=learning_rate, stride=stride, n_records=n_records,
        )  # fmt: skip
        return np.asarray(found)

    def predict(self, t: Array, y: Array, **options) -> Array:
        """Theory for the same, at times or steps t: the mean of an ensemble without spread, training inputs twice."""
        both = np.r_[0:N, 0 : N + M]
        theta = self.theta[np.ix_(both, both)]
        gain = ntk.ntk_gp(theta, np.zeros_like(theta), y - self.start[:N], t=t, **options).mean
        return self.start + gain


TIMES = np.array([1.6, 3.2, 4.8])


@PAPER.claim(
    "gradient_flow",
    statement=r"""Gradient flow of $\frac{1}{2N} \sum_i (f(x_i) - y_i)^2$ under a constant kernel gives $f_t(x) =
    f_0(x) + \Theta(x, X) \Theta_{XX}^{-1} (1 - e^{-t \Theta_{XX} / N}) (y - f_0(X))$; gradient descent is $O(\eta)$
    away.""",
    source="section 5, least-squares regression",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("rate 1 for 1/N", "half the rate", "from zero output", "trained to the end"),
)
def gradient_flow(run: Run) -> Trial:
    """Gradient descent in the parameters of a linearised network, at falling learning rates."""
    problem = _Linearised(run)
    rates = [0.16, 0.08, 0.04, 0.02, 0.01]

    def measure() -> Steps:
        found = [problem.descend(problem.y, rate, round(TIMES[0] / rate), len(TIMES))[1:] for rate in rates]
        return Steps(rates, np.stack(found))

    return Trial(
        predict=lambda: problem.predict(TIMES, problem.y),
        measure=measure,
        controls={
            "rate 1 for 1/N": lambda: problem.predict(TIMES, problem.y, mean_loss=False),
            "half the rate": lambda: problem.predict(TIMES / 2, problem.y),
            "from zero output": lambda: problem.predict(TIMES, problem.y + problem.start[:N]),
            "trained to the end": lambda: problem.predict(np.full(TIMES.shape, np.inf), problem.y),
        },
        scale="largest",
    )


@PAPER.claim(
    "gradient_descent",
    statement=r"""Under a constant kernel k steps of gradient descent leave $(1 - \eta \Theta_{XX} / N)^k$ of the
    error.""",
    source="section 5, in discrete time",
    agreement=Identity(rtol=1e-10),
    controls=("gradient flow", "one step fewer", "rate 1 for 1/N"),
)
def gradient_descent(run: Run) -> Trial:
    """Gradient descent in the parameters of a linearised network."""
    problem = _Linearised(run)
    rate, stride = 0.16, 10
    steps = stride * np.arange(1, 4)

    def predict(steps: Array = steps, rate: float = rate) -> Array:
        return problem.predict(steps, problem.y, learning_rate=rate)

    return Trial(
        predict=predict,
        measure=lambda: problem.descend(problem.y, rate, stride, 3)[1:],
        controls={
            "gradient flow": lambda: problem.predict(rate * steps, problem.y),
            "one step fewer": lambda: predict(steps=steps - 1),
            "rate 1 for 1/N": lambda: predict(rate=N * rate),
        },
        scale="largest",
    )


@PAPER.claim(
    "kernel_pca",
    statement=r"""The component of $f_t - y$ along an eigenvector of $\Theta_{XX}$ with eigenvalue $\lambda_i$
    decays as $e^{-\lambda_i t / N}$.""",
    source="section 5, kernel principal components",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("exp(-lambda t)", "twice the rate", "rates in the opposite order"),
)
def kernel_pca(run: Run) -> Trial:
    """Linearised networks whose error starts along each eigenvector in turn."""
    problem = _Linearised(run)
    rates = [0.16, 0.08, 0.04, 0.02, 0.01]
    modes = np.linalg.eigh(problem.theta[:N, :N])[1][:, ::-1]

    def measure() -> Steps:
        found = []
        for rate in rates:
            for mode in modes.T:
                y = problem.start[:N] - mode
                path = problem.descend(y, rate, round(TIMES[0] / rate), len(TIMES))[1:, :N]
                found.append((path - y) @ mode)
        return Steps(rates, np.reshape(found, (len(rates), N, len(TIMES))))

    def predict(factor: float = 1.0, order: int = 1) -> Array:
        rates = ntk.kernel_pca_rates(problem.theta[:N, :N]).rates[::order]
        return np.exp(-factor * rates[:, None] * TIMES)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "exp(-lambda t)": lambda: predict(factor=N),
            "twice the rate": lambda: predict(factor=2.0),
            "rates in the opposite order": lambda: predict(order=-1),
        },
        scale="largest",
    )


RATE, STEPS = 0.4, 5


def _trained(key: jax.Array, x: jax.Array, y: jax.Array, n: int) -> jax.Array:
    """Test outputs of one trained erf network and their products."""
    widths = (D, n, 1)
    scales = sim.ntk_scales(widths, bias_std=BIAS_STD)
    network = sim.initialise(key, widths, scales)
    path = sim.gradient_descent(
        network, x[:N], y,
        scales=scales, activation=ERF, learning_rate=RATE, n_records=1, stride=STEPS,
        observe=lambda network: sim.outputs(network, x[N:], scales, ERF)[:, 0],
    )  # fmt: skip
    f = path[-1]
    return jnp.concatenate([f, jnp.outer(f, f)[jnp.triu_indices(M)]])


@PAPER.claim(
    "ntk_gp",
    statement=r"""Trained networks of infinite width are a Gaussian process of mean $B y$ and covariance $K_{**}
    + B K_{XX} B^T - B K_{X*} - K_{*X} B^T$, $B = \Theta_{*X} \Theta_{XX}^{-1} (1 - e^{-t \Theta_{XX} / N})$.""",
    source="Lee et al. 2019, section 2.3",
    agreement=FiniteSize(exponent=1, of="limit", resolution=0.15),
    controls=("rate 1 for 1/N", "posterior covariance", "one cross term", "NNGP for NTK"),
)
def ntk_gp(run: Run) -> Trial:
    """Mean and second moments of test outputs over ensembles of networks trained by gradient descent."""
    x, y = _data(run)
    widths = run.size("widths", quick=(24, 48, 96, 192), standard=(32, 64, 128, 256), full=(64, 128, 256, 512, 1024))
    networks = run.size("networks", quick=13_000, standard=40_000, full=100_000)
    kernels = ntk.nngp_ntk(x, n_hidden=1, activation="erf", bias_std=BIAS_STD)

    def measure() -> Sizes:
        arrays = jnp.asarray(x), jnp.asarray(y)
        found = [over_replicates(_trained, run.keys(networks, f"n {n}"), *arrays, n) for n in widths]
        return Sizes(widths, np.stack(found))

    def moments(mean: Array, cov: Array) -> Array:
        return components(mean, (cov + np.outer(mean, mean))[np.triu_indices(M)])

    def predict(theta: Array = kernels.ntk) -> Array:
        return moments(*ntk.ntk_gp(theta, kernels.nngp, y, t=STEPS, learning_rate=RATE))

    def with_covariance(cross_terms: int) -> Array:
        mean, cov = ntk.ntk_gp(kernels.ntk, kernels.nngp, y, t=RATE * STEPS)
        w, modes = np.linalg.eigh(kernels.ntk[:N, :N])
        b = kernels.ntk[N:, :N] @ (modes * (-np.expm1(-w * RATE * STEPS / N) / w)) @ modes.T
        k = kernels.nngp
        cross = b @ k[:N, N:]
        if cross_terms == 0:  # as if the data were the only thing that the prior is conditioned on
            return moments(mean, k[N:, N:] - (cross + cross.T) / 2)
        return moments(mean, cov + (cross + cross.T) / 2)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "rate 1 for 1/N": lambda: moments(
                *ntk.ntk_gp(kernels.ntk, kernels.nngp, y, t=RATE * STEPS, mean_loss=False)
            ),
            "posterior covariance": lambda: with_covariance(0),
            "one cross term": lambda: with_covariance(1),
            "NNGP for NTK": lambda: predict(theta=kernels.nngp),
        },
        scale="largest",
    )


def _movement(key: jax.Array, x: jax.Array, y: jax.Array, mean_field: jax.Array, n: int) -> jax.Array:
    """All entries of one network's empirical kernel at the start, and their change while it trains.

    In the mean-field parametrisation, 1/n in front of the last layer, the learning rate and the kernel grow with n.
    """
    widths = (D, n, 1)
    scales = sim.ntk_scales(widths, bias_std=BIAS_STD)
    start = sim.initialise(key, widths, scales)
    factor = jnp.where(mean_field, n, 1.0)
    weight = scales.weight.at[1].divide(jnp.sqrt(factor))
    scales = scales._replace(weight=weight, bias=scales.bias.at[1].multiply(1 - mean_field))

    def observe(network: sim.Network) -> jax.Array:
        return factor * sim.tangent_kernel(network, x, scales, ERF).ravel()

    path = sim.gradient_descent(
        start, x[:N], y,
        scales=scales, activation=ERF, learning_rate=factor * RATE, n_records=1, stride=STEPS, observe=observe,
    )  # fmt: skip
    return jnp.stack([path[0], path[1] - path[0]])


@PAPER.claim(
    "lazy_kernel",
    statement=r"""While a network trains for a fixed time its tangent kernel moves by $O(1/n)$, less than the
    $O(n^{-1/2})$ by which it differs from its limit at the start.""",
    source="theorem 2 (sharper exponent derived here)",
    agreement=FiniteSize(exponent=0.5, second=1.25, resolution=0.05),
    controls=("a kernel that moves by a hundredth", "fluctuation at the start", "mean-field parametrisation"),
)
def lazy_kernel(run: Run) -> Trial:
    """Compare the kernel before and after training at widths that double.

    What is judged is the mean square root of the size of its movement, which tends to zero as n^-1/2 when the size does
    as n^-1: of the size itself few networks make up most, and of its square even fewer. The movement is mostly a random
    factor times a fixed matrix; where that factor, of order 1/n, is near zero, the rest, of order n^-3/2, rounds the
    cusp of the square root off, which changes the mean by (n^-1/2)^(3/2) of itself. Hence the second power 1/2 + 3/4.
    """
    x, y = _data(run)
    sizes = (36, 108, 324, 972)
    widths = run.size("widths", quick=sizes, standard=sizes, full=(108, 324, 972, 2916))
    networks = run.size("networks", quick=1300, standard=4000, full=20_000)
    norm = np.linalg.norm(ntk.nngp_ntk(x, n_hidden=1, activation="erf", bias_std=BIAS_STD).ntk)

    @cache
    def simulate(mean_field: float) -> Array:
        """Kernels at the start and their changes, (2, widths, networks, entries)."""
        arrays = jnp.asarray(x), jnp.asarray(y)
        found = [
            over_replicates(_movement, run.keys(networks, f"n {n}"), *arrays, jnp.asarray(mean_field), n)
            for n in widths
        ]
        return np.moveaxis(np.asarray(found), 2, 0)

    def size(values: Array) -> Sizes:
        return Sizes(widths, np.sqrt(np.linalg.norm(values, axis=-1) / norm))

    def at_the_start() -> Sizes:
        start = simulate(0.0)[0]
        return size(start - start.mean(axis=1, keepdims=True))

    return Trial(
        predict=lambda: 0.0,
        measure=lambda: size(simulate(0.0)[1]),
        controls={"a kernel that moves by a hundredth": lambda: 0.1},
        counterexamples={
            "fluctuation at the start": at_the_start,
            "mean-field parametrisation": lambda: size(simulate(1.0)[1]),
        },
        scale=1.0,
    )
