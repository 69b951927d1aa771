"""How predictor and representation come to share eigenvectors, on inputs of unit covariance."""

from functools import cache, partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Steps, components
from paper_checks.papers.tian2021.paper import INTEGRATED, PAPER, Array, sizes
from paper_checks.problems import frame
from simulations.deep_linear import noncontrastive as sim
from simulations.deep_linear.gradient_descent import steps_at
from simulations.deep_linear.noncontrastive_training import descend_without_contrast, flow_without_contrast
from theory import deep_linear

RULE = {"alpha_p": 1.4, "weight_decay": 0.1, "aug_var": 0.3}
TAU = 0.9


class Unaligned(NamedTuple):
    """Online network and symmetric predictor without common eigenvectors."""

    online: Array
    predictor: Array

    @property
    def f(self) -> Array:
        """Representation W W^T."""
        return self.online @ self.online.swapaxes(-1, -2)

    @property
    def initial_commutator(self) -> Array:
        """Commutator of representation and predictor."""
        return self.f @ self.predictor - self.predictor @ self.f


def _unaligned(rng: np.random.Generator, n_inputs: int, n_outputs: int, *, spread: float = 1.0) -> Unaligned:
    """Draw both with eigenvalues between 0.3 and 0.9, or in a share ``spread`` of that range."""
    p, root = 0.6 + spread * rng.uniform(-0.3, 0.3, (2, n_outputs))
    u, w = frame(rng, n_outputs, n_outputs), frame(rng, n_outputs, n_outputs)
    return Unaligned((w * root) @ frame(rng, n_inputs, n_outputs).T, (u * p) @ u.T)


def _turned(rng: np.random.Generator, n_inputs: int) -> Unaligned:
    """Draw networks with two outputs whose eigenvectors are 0.3 to 1.2 radians apart, and whose eigenvalues differ."""

    def matrix(angle: float) -> Array:
        u = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return u * (0.6 + rng.uniform(0.1, 0.3) * np.array([1.0, -1.0]))

    first, apart = rng.uniform(0.0, np.pi), rng.uniform(0.3, 1.2)
    w, w_p = matrix(first), matrix(first + apart)
    return Unaligned(w @ frame(rng, n_inputs, 2).T, w_p @ (w_p / np.linalg.norm(w_p, axis=0)).T)


def _learning(n_inputs: int, predictor: sim.Predictor = "symmetric", **rule) -> sim.Learning:
    return sim.isotropic(n_inputs, target_ratio=TAU, predictor=predictor, **(RULE | rule))


@jax.jit
@partial(jax.vmap, in_axes=(0, 0, None, None))
def _norms(online: jax.Array, predictor: jax.Array, learning: sim.Learning, times: jax.Array) -> jax.Array:
    """Norms of the commutators over time, (starts, times)."""
    networks = online, online, predictor
    return flow_without_contrast(networks, learning, times=times, observe=_commutator_norm)


def _commutator_norm(networks: sim.Networks) -> jax.Array:
    return jnp.linalg.norm(sim.commutator(networks))


def _stack(starts: list[Unaligned]) -> Unaligned:
    return Unaligned(*(np.stack(parts) for parts in zip(*starts, strict=True)))


def _initial_norms(starts: Unaligned) -> Array:
    return np.linalg.norm(starts.initial_commutator, axis=(-2, -1))


def _flows(starts: Unaligned, times: Array, **changed: float) -> tuple[Array, Array]:
    """Integrals of the least eigenvalue and of the trace of K, (starts, times) each."""
    flows = [
        deep_linear.predictor_flow(times, w_p0=predictor, f0=online @ online.T, tau=TAU, **(RULE | changed))
        for online, predictor in zip(*starts, strict=True)
    ]
    return np.stack([flow.least_rate for flow in flows]), np.stack([flow.total_rate for flow in flows])


@PAPER.claim(
    "isotropic_ode",
    statement=r"""With a predictor kept symmetric, $\dot W_p = -\frac12 \alpha_p \kappa \{W_p, F\} + \alpha_p \tau F -
    \eta W_p$ and $\dot F = -\kappa \{W_p^2, F\} + \tau \{W_p, F\} - 2 \eta F$, $F = W W^T$.""",
    source="isotropic dynamics of predictor and representation",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-13),
    controls=("predictor not kept symmetric", "scatter left out", "target at full strength", "no decay", "alpha_p = 1"),
)
def isotropic_ode(run: Run) -> Trial:
    """Gradient descent on unaligned networks at falling learning rates, predictor gradients made symmetric."""
    n_inputs, n_outputs = sizes(run)
    finest = run.size("finest learning rate", quick=1e-3, standard=5e-4, full=5e-4)
    rates, times = [8 * finest, 4 * finest, 2 * finest, finest], np.array([0.48, 1.44, 3.84])
    start = _unaligned(run.rng(), n_inputs, n_outputs)

    def measure(predictor: sim.Predictor = "symmetric") -> Steps:
        learning = _learning(n_inputs, predictor)
        networks = start.online, start.online, start.predictor
        found = [
            descend_without_contrast(
                networks,
                learning,
                learning_rate=rate,
                steps=steps_at(times, rate),
                observe=sim.outputs_and_predictor,
            )
            for rate in rates
        ]
        return Steps(rates, np.stack([components(*pair) for pair in found]))

    def predict(tau: float = TAU, **changed: float) -> Array:
        flow = deep_linear.predictor_flow(times, w_p0=start.predictor, f0=start.f, tau=tau, **(RULE | changed))
        return components(flow.f, flow.w_p)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "scatter left out": lambda: predict(aug_var=0.0),
            "target at full strength": lambda: predict(tau=1.0),
            "no decay": lambda: predict(weight_decay=0.0),
            "alpha_p = 1": lambda: predict(alpha_p=1.0),
        },
        counterexamples={"predictor not kept symmetric": lambda: measure("trained")},
        scale="largest",
    )


@PAPER.claim(
    "commutator",
    statement=r"""The commutator $L = [F, W_p]$ obeys $\dot L = -\{K, L\}$ with $K = \kappa (W_p^2 + \frac12 \alpha_p F)
    - \tau W_p + \frac32 \eta I$.""",
    source="theorem on eigenspace alignment, its proof",
    agreement=Identity(rtol=1e-12),
    controls=("predictor not kept symmetric", "eta for 3/2 eta", "alpha_p for alpha_p / 2", "scatter left out", "K L"),
)
def commutator(run: Run) -> Trial:
    """Differentiate the commutator along the velocity of the networks, at unaligned networks of three sizes."""
    n_inputs, n_outputs = sizes(run)
    rng = run.rng()
    starts = [_unaligned(rng, d, n) for d, n in ((n_inputs, n_outputs), (5, 2), (7, 5))]

    def measure(predictor: sim.Predictor = "symmetric") -> Array:
        found = [
            jax.jit(partial(sim.rate_of, sim.commutator))(
                sim.Networks(*(jnp.asarray(part) for part in (start.online, start.online, start.predictor))),
                _learning(start.online.shape[1], predictor),
            )
            for start in starts
        ]
        return components(*found)

    def predict(decay: float = 1.0, both: bool = True, own: float = 1.0, **changed: float) -> Array:
        found = []
        rule = RULE | changed | {"weight_decay": decay * RULE["weight_decay"], "alpha_p": own * RULE["alpha_p"]}
        for start in starts:
            k = deep_linear.alignment_rate_matrix(start.predictor, start.f, tau=TAU, **rule)
            moved = start.initial_commutator
            found.append(-(k @ moved + moved @ k) if both else -2 * k @ moved)
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "eta for 3/2 eta": lambda: predict(decay=2 / 3),
            "alpha_p for alpha_p / 2": lambda: predict(own=2.0),
            "scatter left out": lambda: predict(aug_var=0.0),
            "K L": lambda: predict(both=False),
        },
        counterexamples={"predictor not kept symmetric": lambda: measure("trained")},
        scale="largest",
    )


@PAPER.claim(
    "alignment",
    statement=r"""$|L(t)|_F \le |L(0)|_F\, e^{-2 \int_0^t \lambda_{\min}(K)}$. The bound is loose in general, and close
    where all eigenvalues of K are.""",
    source="theorem on eigenspace alignment",
    agreement=Bound(tight=0.02, rounding=1e-8),
    controls=("mean eigenvalue of K", "twice the rate", "eta for 3/2 eta", "scatter left out"),
)
def alignment(run: Run) -> Trial:
    """Integrate unaligned networks, of which some are close to multiples of the identity."""
    n_inputs, n_outputs = sizes(run)
    number = run.size("instances", quick=12, standard=32, full=64)
    rng, times = run.rng(), np.array([0.5, 1.0, 2.0])
    starts = _stack([_unaligned(rng, n_inputs, n_outputs, spread=(1.0, 0.3, 0.01)[i % 3]) for i in range(number)])

    flows = cache(partial(_flows, starts, times))

    def predict(factor: float = 2.0, mean: bool = False, decay: float = 1.5, **changed: float) -> Array:
        least, total = flows(**changed)
        rate = total / n_outputs if mean else least
        return -factor * (rate + (decay - 1.5) * RULE["weight_decay"] * times)

    def measure() -> Array:
        norms = np.asarray(_norms(*map(jnp.asarray, starts), _learning(n_inputs), jnp.asarray(times)))
        return np.log(norms / _initial_norms(starts)[:, None])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "mean eigenvalue of K": lambda: predict(mean=True),
            "twice the rate": lambda: predict(factor=4.0),
            "eta for 3/2 eta": lambda: predict(decay=1.0),
            "scatter left out": lambda: predict(aug_var=0.0),
        },
        scale=1.0,
    )


@PAPER.claim(
    "commutator_2d",
    statement=r"""With two outputs every commutator is a multiple of one matrix, and $|L(t)|_F = |L(0)|_F\, e^{-\int_0^t
    \mathrm{tr} K}$: the bound of the alignment theorem is loose by $e^{-\int (\lambda_{\max} - \lambda_{\min})}$.""",
    source="derived from the theorem on eigenspace alignment",
    agreement=Identity(rtol=INTEGRATED),
    controls=("anisotropic scatter", "bound for equality", "eta for 3/2 eta", "scatter left out"),
)
def commutator_2d(run: Run) -> Trial:
    """Integrate unaligned networks with two outputs."""
    number = run.size("instances", quick=8, standard=32, full=256)
    rng, times = run.rng(), np.array([0.5, 1.0, 2.0, 3.0])
    starts = _stack([_turned(rng, 5) for _ in range(number)])

    flows = cache(partial(_flows, starts, times))

    def predict(bound: bool = False, decay: float = 1.5, **changed: float) -> Array:
        least, total = flows(**changed)
        return np.exp(-(2 * least if bound else total) - 2 * (decay - 1.5) * RULE["weight_decay"] * times)

    def measure(skew: float = 0.0) -> Array:
        learning = _learning(5)
        learning = eqx.tree_at(lambda rule: rule.aug_cov, learning, learning.aug_cov + skew * np.diag(np.arange(5.0)))
        norms = np.asarray(_norms(*map(jnp.asarray, starts), learning, jnp.asarray(times)))
        return norms / _initial_norms(starts)[:, None]

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "bound for equality": lambda: predict(bound=True),
            "eta for 3/2 eta": lambda: predict(decay=1.0),
            "scatter left out": lambda: predict(aug_var=0.0),
        },
        counterexamples={"anisotropic scatter": lambda: measure(skew=0.02)},
    )
