"""The maximal update limit against populations of neurons: finite ones at widths that double, and weighted ones."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import FiniteSize, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Sizes
from paper_checks.papers.yang2020.limits import in_turn, lazy
from paper_checks.papers.yang2020.paper import PAPER
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk

Array = np.ndarray


class _Problem(NamedTuple):
    """Training data (N, d) and (N,), learning rate and steps; what is looked at is the output at the first input."""

    x: Array
    y: Array
    rate: float
    steps: int
    activation: str

    def limit(self, **changes: Any) -> float:
        """Theory for infinite width."""
        new = self._replace(**changes)
        data: dict[str, Any] = {"lr": new.rate, "n_steps": new.steps, "x_test": self.x[:1]}
        if new.activation == "linear":
            return float(ntk.mup_linear_limit(self.x, self.y, **data).f[-1, 0])
        return float(ntk.mup_two_layer_limit(self.x, self.y, activation=new.activation, n_nodes=40, **data)[-1, 0])

    def trained(self, keys: Sequence[jax.Array], widths: tuple[int, ...]) -> tuple[Array, Array]:
        """Simulate one population for every key and width: outputs (K, R), and moments less the mean (K, R, m)."""
        arguments = (jnp.asarray(self.x), jnp.asarray(self.y), max(widths), self.rate, self.steps, self.activation)
        found = [
            over_replicates(_train, (k, np.full(len(k), n)), *arguments) for k, n in zip(keys, widths, strict=True)
        ]
        return np.stack([f for f, _ in found]), np.stack([moments for _, moments in found])


def _train(replicate: Any, x: Any, y: Any, size: int, rate: float, steps: int, activation: str) -> Any:
    """Train n neurons, the first of as many as the widest has, so that one compilation serves all widths."""
    key, n = replicate
    dimension = x.shape[1] + 1
    neurons = jax.random.normal(key, (size, dimension))
    masses = (jnp.arange(size) < n) / n
    path = sim.population_descent(
        neurons, masses, x, y,
        learning_rate=rate, n_steps=steps, activation=sim.ACTIVATIONS[activation], x_test=x[:1],
    )  # fmt: skip
    moments = sim.moments_of(neurons, masses) - jnp.eye(dimension)
    return path[-1, 0], moments[jnp.triu_indices(dimension)]


LINEAR = _Problem(
    x=np.array([[1.0, 0.2, -0.3], [-0.4, 0.9, 0.5], [0.3, -0.6, 1.0], [-0.2, -0.5, -0.8]]),
    y=np.array([1.0, -0.5, 0.8, -1.2]),
    rate=0.3,
    steps=6,
    activation="linear",
)
TANH = _Problem(
    x=np.array([[1.0, 0.3], [-0.5, 0.9], [0.2, -1.0]]),
    y=np.array([1.0, -0.6, 0.8]),
    rate=0.8,
    steps=5,
    activation="tanh",
)


def _means(run: Run, problem: _Problem, *, quick: int, standard: int, full: int) -> Callable[[], Sizes]:
    """Return what measures outputs at widths that double, less what is linear in the moments at the start."""
    widths = run.size("widths", quick=(20, 40, 80, 160), standard=(32, 64, 128, 256), full=(64, 128, 256, 512))
    networks = run.size("networks", quick=quick, standard=standard, full=full)

    def measure() -> Sizes:
        f, moments = problem.trained([run.keys(networks, f"n {n}") for n in widths], widths)
        left = [sim.without_linear_part(f[k, :, None], moments[k])[:, 0] for k in range(len(widths))]
        return Sizes(widths, np.stack(left))

    return measure


def _single(run: Run, problem: _Problem) -> Callable[[], Sizes]:
    """Return what measures outputs of single networks, at widths large enough for higher powers not to matter.

    Spreads differ from n^-1/2 by a relative O(1/n), about one per cent from n = 60 on.
    """
    widths = run.size("widths", quick=(60, 90, 135, 200), standard=(80, 130, 210, 340), full=(100, 200, 400, 800))
    networks = run.size("networks", quick=7000, standard=12_000, full=40_000)
    return lambda: Sizes(widths, problem.trained([run.keys(networks, f"n {n}") for n in widths], widths)[0])


def _in_turn(problem: _Problem) -> float:
    f, _ = in_turn(problem.x, problem.y, problem.x[:1], rate=problem.rate, steps=problem.steps)
    return float(f[-1, 0])


def _lazy(problem: _Problem) -> float:
    return float(lazy(problem.x, problem.y, problem.x[:1], rate=problem.rate, steps=problem.steps)[-1, 0])


@PAPER.claim(
    "mup_linear_bias",
    statement=r"""Mean outputs of linear networks trained in the maximal update parametrisation differ from the limit by
    $O(1/n)$.""",
    source="the maximal update limit of linear one-hidden-layer networks; rate derived here",
    agreement=FiniteSize(exponent=1, resolution=0.01),
    controls=("one layer after the other", "one step fewer", "tangent kernel", "1 for 1/N"),
)
def mup_linear_bias(run: Run) -> Trial:
    """Train populations of n neurons and average their outputs."""
    return Trial(
        predict=LINEAR.limit,
        measure=_means(run, LINEAR, quick=6000, standard=12_000, full=60_000),
        controls={
            "one layer after the other": lambda: _in_turn(LINEAR),
            "one step fewer": lambda: LINEAR.limit(steps=LINEAR.steps - 1),
            "tangent kernel": lambda: _lazy(LINEAR),
            "1 for 1/N": lambda: LINEAR.limit(rate=LINEAR.rate * LINEAR.y.size),
        },
    )


BRIEF = LINEAR._replace(steps=2)


@PAPER.claim(
    "mup_linear_fluctuation",
    statement=r"""The output of one linear network trained in the maximal update parametrisation is $O(n^{-1/2})$ away
    from the limit.""",
    source="the maximal update limit of linear one-hidden-layer networks; rate derived here",
    agreement=FiniteSize(exponent=0.5, of="fluctuation", resolution=0.2),
    controls=("one step fewer", "1 for 1/N", "untrained"),
)
def mup_linear_fluctuation(run: Run) -> Trial:
    """Train populations of n neurons for two steps, after which the bias, squared, is no part of the spread yet."""
    return Trial(
        predict=BRIEF.limit,
        measure=_single(run, BRIEF),
        controls={
            "one step fewer": lambda: BRIEF.limit(steps=1),
            "1 for 1/N": lambda: BRIEF.limit(rate=BRIEF.rate * BRIEF.y.size),
            "untrained": lambda: BRIEF.limit(steps=0),
        },
    )


@PAPER.claim(
    "mup_nonlinear",
    statement=r"""In the maximal update limit of a network with one hidden layer neurons are independent and move by $U'
    = U - \eta V \sum_i \chi_i \phi'(U \cdot x_i) x_i$, $V' = V - \eta \sum_i \chi_i \phi(U \cdot x_i)$, $\chi_i =
    (f(x_i) - y_i)/N$, $f(\xi) = E[V \phi(U \cdot \xi)]$, from $N(0, I)$; outputs tend to it as $1/n$ on average.""",
    source="the maximal update limit of one-hidden-layer networks",
    agreement=FiniteSize(exponent=1, of="limit", resolution=0.03),
    controls=("1 for 1/N", "only the readout learns", "linear", "one step fewer"),
)
def mup_nonlinear(run: Run) -> Trial:
    """Train populations of n tanh neurons; that the leading correction has the power -1 is not judged here."""
    fixed = TANH

    def readout() -> float:
        """Return the output if U stayed as it is: descent under the kernel E phi phi."""
        k = ntk.dual_activation(
            np.sum(fixed.x**2, axis=1)[:, None], fixed.x @ fixed.x.T, np.sum(fixed.x**2, axis=1), activation="tanh"
        ).value
        f = np.zeros(fixed.y.size)
        for _ in range(fixed.steps):
            f = f - fixed.rate * k @ (f - fixed.y) / fixed.y.size
        return float(f[0])

    return Trial(
        predict=fixed.limit,
        measure=_means(run, fixed, quick=3000, standard=12_000, full=60_000),
        controls={
            "1 for 1/N": lambda: fixed.limit(rate=fixed.rate * fixed.y.size),
            "only the readout learns": readout,
            "linear": lambda: fixed.limit(activation="linear"),
            "one step fewer": lambda: fixed.limit(steps=fixed.steps - 1),
        },
    )


@PAPER.claim(
    "mup_nonlinear_fluctuation",
    statement=r"""The output of one tanh network trained in the maximal update parametrisation is $O(n^{-1/2})$ away
    from the limit.""",
    source="the maximal update limit of one-hidden-layer networks; rate derived here",
    agreement=FiniteSize(exponent=0.5, of="fluctuation", resolution=0.2),
    controls=("1 for 1/N", "linear", "one step fewer"),
)
def mup_nonlinear_fluctuation(run: Run) -> Trial:
    """Train populations of n tanh neurons."""
    return Trial(
        predict=TANH.limit,
        measure=_single(run, TANH),
        controls={
            "1 for 1/N": lambda: TANH.limit(rate=TANH.rate * TANH.y.size),
            "linear": lambda: TANH.limit(activation="linear"),
            "one step fewer": lambda: TANH.limit(steps=TANH.steps - 1),
        },
    )


SMOOTH = ("tanh", "sin")
PARTICLES = 5  # steps


@PAPER.claim(
    "mup_particles",
    statement=r"""The mean over neurons in the maximal update limit is a quadrature over their initial values whose
    nodes are carried along by gradient descent.""",
    source="the maximal update limit of one-hidden-layer networks; method derived here",
    agreement=Identity(rtol=1e-6, resolution=1e-5),
    controls=("one layer after the other", "1 for 1/N", "five nodes", "one step late"),
)
def mup_particles(run: Run) -> Trial:
    """Train populations at Gauss-Hermite nodes, for scalar inputs; 300 nodes an axis are good for about 1e-7."""
    rng = run.rng()
    x = rng.uniform(0.4, 1.0, (2, 1)) * np.array([[1.0], [-1.0]])
    y = rng.uniform(0.4, 0.8, 2) * rng.choice([-1.0, 1.0], 2)
    x_test = np.array([[0.3], [0.9]])
    rate = 0.8

    def measure() -> Array:
        neurons, masses = sim.quadrature_neurons(2, 300)
        arrays = (jnp.asarray(part) for part in (x, y))
        descend = jax.jit(sim.population_descent, static_argnames=("n_steps", "activation"))
        data = (neurons, masses, *arrays)
        options = {"learning_rate": rate, "n_steps": PARTICLES, "x_test": jnp.asarray(x_test)}
        return np.stack([descend(*data, activation=sim.ACTIVATIONS[name], **options) for name in SMOOTH])

    def predict(rate: float = rate, steps: int = PARTICLES, n_nodes: int = 200) -> Array:
        data: dict[str, Any] = {"lr": rate, "n_steps": steps, "x_test": x_test, "n_nodes": n_nodes}
        return np.stack([ntk.mup_two_layer_limit(x, y, activation=name, **data) for name in SMOOTH])

    def sequential() -> Array:
        """Move V after U in every step, by another rule of the same accuracy."""
        found = []
        z = np.linspace(-7, 7, 141)
        u0, v0 = np.meshgrid(z, z)
        weights = np.exp(-(u0**2 + v0**2) / 2)
        weights /= weights.sum()
        for phi, slope in ((np.tanh, lambda z: 1 - np.tanh(z) ** 2), (np.sin, np.cos)):
            u, v, path = u0, v0, []
            for step in range(PARTICLES + 1):
                path.append([np.sum(weights * v * phi(u * at)) for at in x_test[:, 0]])
                if step == PARTICLES:
                    break
                for layer in (0, 1):
                    pulls = [(np.sum(weights * v * phi(u * a)) - b) / y.size for a, b in zip(x[:, 0], y, strict=True)]
                    if layer == 0:
                        u = u - rate * v * sum(p * slope(u * a) * a for p, a in zip(pulls, x[:, 0], strict=True))
                    else:
                        v = v - rate * sum(p * phi(u * a) for p, a in zip(pulls, x[:, 0], strict=True))
            found.append(path)
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "one layer after the other": sequential,
            "1 for 1/N": lambda: predict(rate=2 * rate),
            "five nodes": lambda: predict(n_nodes=5),
            "one step late": lambda: np.concatenate([np.zeros((2, 1, 2)), predict()[:, :-1]], axis=1),
        },
        scale="largest",
    )
