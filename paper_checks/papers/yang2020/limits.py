"""The maximal update limit of linear networks, which some finite networks follow exactly."""

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.yang2020.paper import PAPER
from simulations import ntk as sim
from theory import ntk

Array = np.ndarray

D, N, RATE, STEPS = 3, 4, 0.3, 12
LINEAR = sim.ACTIVATIONS["linear"]


def _data(run: Run) -> tuple[Array, Array, Array]:
    """Draw training inputs of norm one, targets of size 1 to 2, and two test inputs.

    Targets are positive on the first input's side: with signs of their own the first gradient can all but vanish.
    """
    rng = run.rng()
    x = rng.standard_normal((N + 2, D))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x[:N], rng.uniform(1.0, 2.0, N) * np.sign(x[:N] @ x[0]), x[N:]


def _whitened(run: Run) -> jax.Array:
    """Draw neurons whose second moments are exactly the identity, (n, D + 1)."""
    n = run.size("width", quick=16, standard=64, full=512)
    frame = np.linalg.qr(run.rng("neurons").standard_normal((n, D + 1)))[0]
    return jnp.asarray(np.sqrt(n) * frame)


def _descend(neurons: jax.Array, x: Array, y: Array, x_test: Array) -> tuple[Array, Array]:
    """Train the linear network of the given neurons: test outputs, and second moments of its neurons, at every step."""
    network, scales = sim.network_of(neurons)
    masses = jnp.full(neurons.shape[0], 1 / neurons.shape[0])

    def observe(network: sim.Network) -> tuple[jax.Array, jax.Array]:
        outputs = sim.outputs(network, jnp.asarray(x_test), scales, LINEAR)[:, 0]
        return outputs, sim.moments_of(sim.neurons_of(network, scales), masses)

    f, moments = sim.gradient_descent(
        network, jnp.asarray(x), jnp.asarray(y),
        scales=scales, activation=LINEAR, learning_rate=RATE, n_records=STEPS, observe=observe,
    )  # fmt: skip
    return np.asarray(f), np.asarray(moments)


def in_turn(x: Array, y: Array, x_test: Array, *, rate: float, steps: int) -> tuple[Array, Array]:
    """Return outputs and moments if V were moved by gradients taken after U has moved."""
    d = x.shape[1]
    moments = [np.eye(d + 1)]
    for _ in range(steps):
        m = moments[-1]
        for rows, columns in ((slice(0, d), slice(d, d + 1)), (slice(d, d + 1), slice(0, d))):
            pull = x.T @ (x @ m[:d, d] - y) / y.size
            step = np.eye(d + 1)
            step[rows, columns] = -rate * pull.reshape(step[rows, columns].shape)
            m = step @ m @ step.T
        moments.append(m)
    return np.stack(moments)[:, :d, d] @ x_test.T, np.stack(moments)


def lazy(x: Array, y: Array, x_test: Array, *, rate: float, steps: int) -> Array:
    """Return outputs under the tangent kernel of the start, 2 x x', for good."""
    both = np.concatenate([x_test, x])
    f = [np.zeros(len(both))]
    for _ in range(steps):
        f.append(f[-1] - rate * 2 * both @ x.T @ (f[-1][len(x_test) :] - y) / y.size)
    return np.stack(f)[:, : len(x_test)]


@PAPER.claim(
    "mup_linear",
    statement=r"""In the maximal update limit of a linear network with one hidden layer neurons $(U, V)$ are Gaussian
    with second moments $M_{t+1} = Q_t M_t Q_t^T$ from $M_0 = I$, $Q_t = I - \eta \begin{pmatrix} 0 & s_t \\ s_t^T & 0
    \end{pmatrix}$, $s_t = \frac1N \sum_i (f_t(x_i) - y_i) x_i$, and outputs are $f_t(\xi) = M_{UV} \cdot \xi$.""",
    source="the maximal update limit of linear one-hidden-layer networks",
    agreement=Identity(rtol=1e-12),
    controls=("one layer after the other", "1/(N - 1) for 1/N", "moments as at the start", "the rate of one layer"),
)
def mup_linear(run: Run) -> Trial:
    """Train a finite network whose neurons start with the moments of the limit exactly: it follows it to rounding."""
    x, y, x_test = _data(run)

    def predict(rate: float = RATE) -> Array:
        path = ntk.mup_linear_limit(x, y, lr=rate, n_steps=STEPS, x_test=x_test)
        return components(path.f, path.moments)

    def frozen() -> Array:
        f = lazy(x, y, x_test, rate=RATE, steps=STEPS)
        return components(f, np.tile(np.eye(D + 1), (STEPS + 1, 1, 1)))

    return Trial(
        predict=predict,
        measure=lambda: components(*_descend(_whitened(run), x, y, x_test)),
        controls={
            "one layer after the other": lambda: components(*in_turn(x, y, x_test, rate=RATE, steps=STEPS)),
            "1/(N - 1) for 1/N": lambda: predict(rate=N / (N - 1) * RATE),
            "moments as at the start": frozen,
            "the rate of one layer": lambda: predict(rate=RATE / 2),
        },
        scale="largest",
    )


@PAPER.claim(
    "mup_balance",
    statement=r"""The imbalance $\mathrm{tr} M_{UU} - M_{VV}$ of a linear network changes in a step of gradient descent
    by $\eta^2 (|s_t|^2 M_{VV} - s_t^T M_{UU} s_t)$, and by nothing to first order in $\eta$.""",
    source="derived here; conserved by gradient flow",
    agreement=Identity(rtol=1e-12),
    controls=("conserved", "opposite sign", "eta for its square", "moments as at the start"),
)
def mup_balance(run: Run) -> Trial:
    """Moments of a finite network's neurons, at every step."""
    x, y, x_test = _data(run)

    def measure() -> Array:
        moments = _descend(_whitened(run), x, y, x_test)[1]
        return np.diff(np.trace(moments, axis1=1, axis2=2) - 2 * moments[:, D, D])

    def predict(factor: float = RATE**2, start: bool = False) -> Array:
        moments = ntk.mup_linear_limit(x, y, lr=RATE, n_steps=STEPS).moments[:-1]
        pull = (moments[:, :D, D] @ x.T - y) @ x / N
        of = np.broadcast_to(np.eye(D + 1), moments.shape) if start else moments
        stretched = np.einsum("ti,tij,tj->t", pull, of[:, :D, :D], pull)
        return factor * (np.sum(pull**2, axis=1) * of[:, D, D] - stretched)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "conserved": lambda: np.zeros(STEPS),
            "opposite sign": lambda: predict(factor=-(RATE**2)),
            "eta for its square": lambda: predict(factor=RATE),
            "moments as at the start": lambda: predict(start=True),
        },
        scale=1.0,
    )
