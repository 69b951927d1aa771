"""Kernels of finite networks at initialisation: their means, their fluctuations, and the distribution of outputs."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import FiniteSize, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Samples, Sizes, components
from paper_checks.papers.jacot2018.paper import PAPER
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk
from theory.ntk.activations import resolve
from theory.ntk.finite_width import pair_rule

Array = np.ndarray
Activation = Callable[[jax.Array], jax.Array]

UPPER = np.triu_indices(2)
NAMES = ("relu", "erf")


def _inputs(run: Run, angles: tuple[float, float] = (0.8, 1.6)) -> Array:
    """Draw two inputs in three dimensions at an angle from a range, of norms near sqrt(3)."""
    rng = run.rng()
    basis = np.linalg.qr(rng.standard_normal((3, 2)))[0]
    angle = rng.uniform(*angles)
    directions = np.stack([basis[:, 0], np.cos(angle) * basis[:, 0] + np.sin(angle) * basis[:, 1]])
    return np.sqrt(3) * rng.uniform(0.9, 1.1, (2, 1)) * directions


def _entries(key: jax.Array, x: jax.Array, n: jax.Array, widest: int, hidden: int, bias_std: float) -> jax.Array:
    """Entries of the empirical tangent kernels of one network with relu, and of the same with erf."""
    widths = (x.shape[1], *(widest,) * hidden, 1)
    scales = sim.ntk_scales(widths, bias_std=bias_std)
    network, scales = sim.narrow(sim.initialise(key, widths, scales), scales, n)
    kernels = [sim.tangent_kernel(network, x, scales, sim.ACTIVATIONS[name]) for name in NAMES]
    return jnp.concatenate([kernel[UPPER] for kernel in kernels])


def _sampled(run: Run, x: Array, widths: Sequence[int], hidden: int, bias_std: float, networks: int) -> Array:
    """Entries at all widths, (widths, networks, 6)."""
    options = max(widths), hidden, bias_std
    found = [
        over_replicates(_entries, run.keys(networks, f"{hidden}, {n}"), jnp.asarray(x), jnp.asarray(n), *options)
        for n in widths
    ]
    return np.stack(found)


def _limit(x: Array, **options: Any) -> Array:
    return np.concatenate([ntk.nngp_ntk(x, activation=name, **options).ntk[UPPER] for name in NAMES])


def _recursion(
    x: Array, hidden: int, bias_std: float, *, bias: float = 1.0, normalised: bool = False, last: bool = True
) -> Array:
    """Evaluate the recursion with a choice of mistakes; right as it stands."""
    found = []
    for name in NAMES:
        s = x @ x.T / x.shape[1] + bias_std**2
        t = s.copy()
        for layer in range(hidden):
            k = np.diag(s)
            value, derivative = ntk.dual_activation(k[:, None], s, k[None, :], activation=name)
            if normalised:
                rho = s / np.sqrt(np.outer(k, k))
                derivative = ntk.dual_activation(1.0, np.clip(rho, -1, 1), 1.0, activation=name).derivative
            s = value + bias * bias_std**2
            own = s if last or layer < hidden - 1 else s - bias_std**2
            t = own + derivative * t
        found.append(t[UPPER])
    return np.concatenate(found)


@PAPER.claim(
    "recursion",
    statement=r"""As the hidden layers widen, the tangent kernel tends to $\Theta_{l+1} = \Sigma_{l+1} +
    \sigma_w^2 E[\phi' \phi'] \Theta_l$ with $\Sigma_{l+1} = \sigma_w^2 E[\phi \phi] + \sigma_b^2$ and $\Theta_1 =
    \Sigma_1$.""",
    source="proposition 1 and theorem 1",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.1),
    controls=("biases of the first layer only", "slopes at the correlation", "last bias not trained"),
)
def recursion(run: Run) -> Trial:
    """Empirical kernels of networks with two hidden layers, relu and erf, at widths that double."""
    x, bias_std = 1.6 * _inputs(run), 0.6  # variances far from 1, where slopes at the correlation would be right
    widths = run.size("widths", quick=(8, 16, 32, 64), standard=(16, 32, 64, 128), full=(64, 128, 256, 512))
    networks = run.size("networks", quick=3000, standard=12_000, full=40_000)
    return Trial(
        predict=lambda: _limit(x, n_hidden=2, bias_std=bias_std),
        measure=lambda: Sizes(widths, _sampled(run, x, widths, 2, bias_std, networks)),
        controls={
            "biases of the first layer only": lambda: _recursion(x, 2, bias_std, bias=0.0),
            "slopes at the correlation": lambda: _recursion(x, 2, bias_std, normalised=True),
            "last bias not trained": lambda: _recursion(x, 2, bias_std, last=False),
        },
        scale="largest",
    )


@PAPER.claim(
    "recursion_exact",
    statement=r"""Both kernels follow $\Sigma_{l+1} = \sigma_w^2 E[\phi \phi] + \sigma_b^2$ and $\Theta_{l+1} =
    \Sigma_{l+1} + \sigma_w^2 E[\phi' \phi'] \Theta_l$ from layer to layer, for inputs of any norms.""",
    source="proposition 1 and theorem 1, the recursion itself",
    agreement=Identity(rtol=1e-12),
    controls=("biases of the first layer only", "one layer less", "kernels exchanged", "equal norms"),
)
def recursion_exact(run: Run) -> Trial:
    """Compare kernels of inputs of different norms with layers of quadrature, for three activations."""
    names, hidden, weight_std, bias_std = ("relu", "erf", "tanh"), 2, 1.3, 0.6
    x = np.array([[0.5], [1.5]]) * _inputs(run)
    first = weight_std**2 * (x @ x.T)[UPPER] / x.shape[1] + bias_std**2

    def measure() -> Array:
        def layers(name: str) -> Array:
            activation = sim.ACTIVATIONS[name]
            found = sim.deep_kernels(activation, first, n_hidden=hidden, weight_std=weight_std, bias_std=bias_std)
            return np.asarray(found)

        return np.stack([layers(name) for name in names])

    def predict(x: Array = x, less: int = 0, order: int = 1) -> Array:
        found = np.empty((len(names), hidden + 1, 2, 3))
        for i, name in enumerate(names):
            for n in range(hidden + 1):
                kernels = ntk.nngp_ntk(
                    x, n_hidden=max(n - less, 0), activation=name, weight_std=weight_std, bias_std=bias_std
                )
                found[i, n] = [kernel[UPPER] for kernel in kernels[::order]]
        return found

    def without_later_biases() -> Array:
        return predict() - bias_std**2 * (np.arange(hidden + 1) > 0)[:, None, None]

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "biases of the first layer only": without_later_biases,
            "one layer less": lambda: predict(less=1),
            "kernels exchanged": lambda: predict(order=-1),
            "equal norms": lambda: predict(x=x * np.sqrt([[1.1], [1 / 1.1]])),
        },
        scale="largest",
    )


@PAPER.claim(
    "ntk_bias",
    statement=r"""With one hidden layer $E \Theta_n = \Theta_\infty$ at every width, whatever the activation; for
    relu also $E \Theta_n(x, x) = \Theta_\infty(x, x)$ at every depth.""",
    source="theorem 1 (exact means, derived here)",
    agreement=MonteCarlo(resolution=0.05),
    controls=("bias of order 1/n", "relu off the diagonal at depth two", "one layer more"),
)
def ntk_bias(run: Run) -> Trial:
    """Empirical kernels of the narrowest networks: one hidden layer, and the diagonal of relu with two."""
    x, bias_std, n = _inputs(run), 0.3, 1
    networks = run.size("networks", quick=200_000, standard=800_000, full=4_000_000)

    def measure() -> Samples:
        one, two = (_sampled(run, x, [n], hidden, bias_std, networks)[0] for hidden in (1, 2))
        return Samples(np.concatenate([one, two[:, [0, 2]]], axis=1))

    def predict(shift: Array | float = 0.0, deep: int = 2, pick: tuple[int, int] = (0, 2)) -> Array:
        two = ntk.nngp_ntk(x, n_hidden=deep, activation="relu", bias_std=bias_std).ntk[UPPER]
        return components(_limit(x, n_hidden=1, bias_std=bias_std) + shift, two[list(pick)])

    def biased() -> Array:
        c = [ntk.nngp_bias_coefficient(x, activation=name, bias_std=bias_std)[UPPER] for name in NAMES]
        return predict(shift=np.concatenate(c) / n)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "bias of order 1/n": biased,
            "relu off the diagonal at depth two": lambda: predict(pick=(1, 1)),
            "one layer more": lambda: predict(deep=3),
        },
        scale="largest",
    )


@PAPER.claim(
    "ntk_fluctuation",
    statement=r"""With one hidden layer $\Theta_n - \Theta_\infty$ has variance exactly $\frac{\sigma_w^4}{n}
    \{\mathrm{Var} h + 2 s\, \mathrm{Cov}(h, g) + s^2 (3 E g^2 - (E g)^2)\}$, $h = \phi(u) \phi(v)$, $g = \phi'(u)
    \phi'(v)$.""",
    source="theorem 1, speed of convergence (derived here)",
    agreement=FiniteSize(exponent=0.5, of="fluctuation", resolution=0.5),
    controls=("1 for 3", "without the covariance", "infinite width of another activation"),
)
def ntk_fluctuation(run: Run) -> Trial:
    """Empirical kernels of networks with one hidden layer around their limit."""
    x, bias_std = _inputs(run), 0.3
    widths = run.size("widths", quick=(24, 36, 54, 81), standard=(32, 64, 128, 256), full=(64, 256, 1024, 4096))
    networks = run.size("networks", quick=34_000, standard=60_000, full=200_000)

    def predict(names: tuple[str, str] = NAMES, change: Callable[[str], Array] = lambda name: np.zeros(3)) -> Limit:
        spread = [
            ntk.ntk_variance_coefficient(x, activation=name, bias_std=bias_std)[UPPER] + change(name) for name in names
        ]
        return Limit(_limit(x, n_hidden=1, bias_std=bias_std), np.sqrt(np.concatenate(spread)))

    def parts(name: str) -> tuple[Array, Array]:
        """Return s^2 E[g^2] and 2 s Cov(h, g), by a plain sum over a grid."""
        s = x @ x.T / x.shape[1] + bias_std**2
        phi = resolve(name)
        slope = phi.derivative
        assert slope is not None, f"{name} has a derivative"
        square, cross = [], []
        for i, j in zip(*UPPER, strict=True):
            rule = pair_rule(s[i, i], s[i, j], s[j, j], homogeneous=phi.homogeneous)
            h, g = phi.value(rule.u) * phi.value(rule.v), slope(rule.u) * slope(rule.v)
            square.append(s[i, j] ** 2 * rule.mean(g * g))
            cross.append(2 * s[i, j] * (rule.mean(h * g) - rule.mean(h) * rule.mean(g)))
        return np.array(square), np.array(cross)

    return Trial(
        predict=predict,
        measure=lambda: Sizes(widths, _sampled(run, x, widths, 1, bias_std, networks)),
        controls={
            "1 for 3": lambda: predict(change=lambda name: -2 * parts(name)[0]),
            "without the covariance": lambda: predict(change=lambda name: -parts(name)[1]),
            "infinite width of another activation": lambda: predict(names=NAMES[::-1]),
        },
        scale="largest",
    )


def _second_layer(key: jax.Array, s: jax.Array, expected: jax.Array, n: int, bias_std: float) -> jax.Array:
    """NNGP kernel of two hidden erf layers given a sampled first one, less its linear part in the first one's means.

    The mean over the second layer is taken by quadrature. The linear part, whose mean is zero, is a control variate: it
    comes from derivatives of the same quadrature at the ``expected`` means of the first layer, whose kernel is ``s``.
    """
    phi = sim.ACTIVATIONS["erf"]
    z = jnp.linalg.cholesky(s) @ jax.random.normal(key, (2, n))
    q = (phi(z) @ phi(z).T / n)[UPPER]

    def output(q: jax.Array) -> jax.Array:
        return _gauss_hermite(phi, q + bias_std**2) + bias_std**2

    value = output(q)
    _, slope = jax.jvp(output, (expected,), (q - expected,))
    return value - slope


_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(24)


def _gauss_hermite(phi: Activation, k: jax.Array) -> jax.Array:
    """Second moments of erf under the covariances that two inputs make, to 1e-9 at variances below 0.7."""
    w = jnp.asarray(_WEIGHTS / _WEIGHTS.sum())
    low = k[1] / jnp.sqrt(k[0])
    u = jnp.sqrt(k[0]) * _NODES
    v = low * jnp.asarray(_NODES)[:, None] + jnp.sqrt(k[2] - low**2) * _NODES
    first, second = phi(u), phi(v)
    return jnp.stack(
        [w @ first**2, jnp.einsum("i,j,i,ij->", w, w, first, second), w @ phi(jnp.sqrt(k[2]) * _NODES) ** 2]
    )


@PAPER.claim(
    "nngp_bias",
    statement=r"""With two hidden layers of width $n$, $E K_n = K_\infty + c / n + O(n^{-2})$ where $c = \frac12
    \sum_{ij} \partial_i \partial_j F\, C_{ij}$ over the three means that the second layer sees.""",
    source="convergence of the output kernel (coefficient derived here)",
    agreement=FiniteSize(exponent=1, second=2, resolution=0.01),
    controls=("without the 1/2", "opposite sign", "independent means"),
)
def nngp_bias(run: Run) -> Trial:
    """Sample networks of erf whose second layer is averaged by quadrature, with the linear part subtracted.

    The coefficient of the entry off the diagonal changes sign at an angle of about 1.35; at 2.2 to 2.5 it is nearly as
    large as those on the diagonal, and its power law as well resolved.
    """
    x, bias_std = _inputs(run, angles=(2.2, 2.5)), 0.3
    widths = run.size("widths", quick=(8, 40, 200, 1000), standard=(8, 40, 200, 1000), full=(8, 40, 200, 1000))
    networks = run.size("networks", quick=26_000, standard=80_000, full=1_000_000)

    def measure() -> Sizes:
        s = jnp.asarray(x @ x.T / x.shape[1] + bias_std**2)
        pairs = ((s[0, 0],) * 3, s[UPPER], (s[1, 1],) * 3)
        expected = jnp.stack([sim.moments(sim.ACTIVATIONS["erf"], *pair)[0] for pair in pairs])
        found = [over_replicates(_second_layer, run.keys(networks, f"n {n}"), s, expected, n, bias_std) for n in widths]
        return Sizes(widths, np.stack(found))

    def predict(factor: float = 1.0) -> Limit:
        k = ntk.nngp_ntk(x, n_hidden=2, activation="erf", bias_std=bias_std).nngp[UPPER]
        return Limit(k, factor * ntk.nngp_bias_coefficient(x, activation="erf", bias_std=bias_std)[UPPER])

    def independent() -> Limit:
        """Drop the covariances of different means, off the diagonal of the kernel, with a difference quotient for F."""
        value, c = predict()
        s = x @ x.T / x.shape[1] + bias_std**2
        rule = pair_rule(*s[UPPER], homogeneous=False)
        u, v = (resolve("erf").value(z) for z in (rule.u, rule.v))
        squares = np.stack([u * u, u * v, v * v])
        q, step = rule.mean(squares), 1e-3 * np.eye(3)
        variances = rule.mean((squares - q[:, None]) ** 2)

        def f(q: Array) -> Array:
            return ntk.dual_activation(*(q + bias_std**2), activation="erf").value

        second = [(f(q + h) - 2 * f(q) + f(q - h)) / 1e-6 for h in step]
        return Limit(value, np.array([c[0], 0.5 * np.sum(second * variances), c[2]]))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "without the 1/2": lambda: predict(2.0),
            "opposite sign": lambda: predict(-1.0),
            "independent means": independent,
        },
        scale="largest",
    )


def _output_moments(key: jax.Array, x: jax.Array, n: int, weight_std: float, activation: Activation) -> jax.Array:
    """Products of two outputs, and three times the squared variance of the first given the hidden layer."""
    widths = (x.shape[1], n, 1)
    scales = sim.ntk_scales(widths, weight_std=weight_std, bias_std=0.0)
    network = sim.initialise(key, widths, scales)
    f = sim.outputs(network, x, scales, activation)[:, 0]
    hidden = activation(scales.weight[0] * x @ network[0].weight.T)
    variance = scales.weight[1] ** 2 * jnp.sum(hidden[0] ** 2)
    return jnp.concatenate([f, jnp.outer(f, f)[UPPER], 3 * variance[None] ** 2])


@PAPER.claim(
    "output_gp",
    statement=r"""At initialisation outputs have mean 0 and covariance $\Sigma_L$, with one hidden layer at every
    width; without biases their excess kurtosis is $\frac3n (E \phi^4 / (E \phi^2)^2 - 1)$: $15/n$ for relu.""",
    source="proposition 1 (kurtosis derived here)",
    agreement=MonteCarlo(resolution=0.1),
    controls=("Gaussian outputs", "15 / n^2", "5 / n", "tangent kernel for covariance"),
)
def output_gp(run: Run) -> Trial:
    """Sample outputs of narrow relu networks; the fourth moment from the variance that the hidden layer leaves."""
    x, n, weight_std = _inputs(run), 12, 1.3
    networks = run.size("networks", quick=100_000, standard=400_000, full=4_000_000)
    kernels = ntk.nngp_ntk(x, n_hidden=1, activation="relu", weight_std=weight_std, bias_std=0.0)
    kappa = float(ntk.output_kurtosis_coefficient(weight_std**2 * x[0] @ x[0] / 3, activation="relu"))

    def predict(excess: float = kappa / n, covariance: Array = kernels.nngp) -> Array:
        return components(np.zeros(2), covariance[UPPER], (3 + excess) * kernels.nngp[0, 0] ** 2)

    def measure() -> Samples:
        relu = sim.ACTIVATIONS["relu"]
        return Samples(over_replicates(_output_moments, run.keys(networks), jnp.asarray(x), n, weight_std, relu))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "Gaussian outputs": lambda: predict(0.0),
            "15 / n^2": lambda: predict(kappa / n**2),
            "5 / n": lambda: predict(kappa / 3 / n),
            "tangent kernel for covariance": lambda: predict(covariance=kernels.ntk),
        },
        scale="largest",
    )
