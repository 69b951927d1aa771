"""What happens without stop-gradient, and without a predictor: collapse, at rates that are known."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Run, Trial
from paper_checks.papers.tian2021.paper import INTEGRATED, PAPER, Array, covariance, draw_start, sizes
from paper_checks.problems import frame
from simulations.deep_linear import noncontrastive as sim
from simulations.deep_linear.noncontrastive_training import flow_without_contrast
from theory import deep_linear


class Instances(NamedTuple):
    """Networks, covariances and decays that are tried side by side."""

    online: Array
    predictor: Array
    x_cov: Array
    aug_cov: Array
    weight_decay: Array


@PAPER.claim(
    "no_stop_gradient",
    statement=r"""Without stop-gradient, and with the online network for its own target, the columns of W obey $d\,
    \mathrm{vec} W / dt = -H\, \mathrm{vec} W$, $H = X' \otimes (W_p^T W_p + I) + X \otimes (W_p - I)^T (W_p - I) + \eta
    I$.""",
    source="theorem on the need of stop-gradient",
    agreement=Identity(rtol=1e-12),
    controls=(
        "with stop-gradient",
        "Kronecker factors exchanged",
        "scatter of one branch only",
        "(W_p - I)(W_p - I)^T",
        "no decay",
    ),
)
def no_stop_gradient(run: Run) -> Trial:
    """Differentiate the loss through both branches, at unaligned networks of three shapes."""
    n_inputs, n_outputs = sizes(run)
    rng, eta = run.rng(), 0.2
    starts = [draw_start(rng, d, n) for d, n in ((n_inputs, n_outputs), (n_outputs, n_inputs), (3, 3))]

    def measure(stop_gradient: bool = False) -> Array:
        found = []
        for start in starts:
            learning = sim.Learning.of(start.x_cov, start.aug_cov, weight_decay=eta, stop_gradient=stop_gradient)
            velocity = jax.jit(sim.velocity)(sim.check_networks(start[:3], learning), learning)
            found.append(np.asarray(velocity.online).flatten("F"))
        return np.concatenate(found)

    def predict(
        hessian: Callable[..., Array] = deep_linear.no_stop_gradient_hessian, weight_decay: float = eta
    ) -> Array:
        found = []
        for online, _, predictor, x_cov, aug_cov in starts:
            found.append(-hessian(predictor, x_cov, aug_cov, weight_decay=weight_decay) @ online.flatten("F"))
        return np.concatenate(found)

    def exchanged(w_p: Array, x_cov: Array, aug_cov: Array, *, weight_decay: float) -> Array:
        one = np.eye(len(w_p))
        gap = w_p - one
        parts = np.kron(w_p.T @ w_p + one, aug_cov) + np.kron(gap.T @ gap, x_cov)
        return parts + weight_decay * np.eye(len(parts))

    def one_branch(w_p: Array, x_cov: Array, aug_cov: Array, *, weight_decay: float) -> Array:
        right = deep_linear.no_stop_gradient_hessian(w_p, x_cov, aug_cov, weight_decay=weight_decay)
        return right - np.kron(aug_cov, np.eye(len(w_p)))

    def transposed(w_p: Array, x_cov: Array, aug_cov: Array, *, weight_decay: float) -> Array:
        right = deep_linear.no_stop_gradient_hessian(w_p, x_cov, aug_cov, weight_decay=weight_decay)
        gap = w_p - np.eye(len(w_p))
        return right + np.kron(x_cov, gap @ gap.T - gap.T @ gap)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "Kronecker factors exchanged": lambda: predict(exchanged),
            "scatter of one branch only": lambda: predict(one_branch),
            "(W_p - I)(W_p - I)^T": lambda: predict(transposed),
            "no decay": lambda: predict(weight_decay=0.0),
        },
        counterexamples={"with stop-gradient": lambda: measure(stop_gradient=True)},
        scale="largest",
    )


def _shrinking_rates(instances: Instances, times: Array, *, stop_gradient: bool = False) -> Array:
    """Return mean rates -ln(|W(t)| / |W(0)|) / t of each instance up to each time."""
    found = _norms(*(jnp.asarray(part) for part in instances), jnp.asarray(times), stop_gradient)
    start = np.linalg.norm(instances.online, axis=(1, 2))
    return np.asarray(-np.log(np.asarray(found) / start[:, None]) / times)


@partial(jax.jit, static_argnums=6)
@partial(jax.vmap, in_axes=(0, 0, 0, 0, 0, None, None))
def _norms(
    online: jax.Array,
    predictor: jax.Array,
    x_cov: jax.Array,
    aug_cov: jax.Array,
    decay: jax.Array,
    times: jax.Array,
    stop_gradient: bool,
) -> jax.Array:
    learning = sim.Learning.of(x_cov, aug_cov, weight_decay=decay, stop_gradient=stop_gradient)
    networks = online, online, predictor
    return flow_without_contrast(networks, learning, times=times, observe=_norm)


def _norm(networks: sim.Networks) -> jax.Array:
    return jnp.linalg.norm(networks.online)


@PAPER.claim(
    "no_stop_gradient_bound",
    statement=r"""Without stop-gradient $|W(t)| \le e^{-(\lambda_{\min}(X') + \eta) t} |W(0)|$ whatever the predictor
    does. It is attained where the predictor ignores a direction of outputs that answers to inputs without a mean
    part.""",
    source="theorem on the need of stop-gradient; attainment derived",
    agreement=Bound(side="lower", tight=1e-6, rounding=1e-8),
    controls=(
        "with stop-gradient",
        "largest eigenvalue of X'",
        "twice the scatter",
        "decay counted twice",
        "decay only",
    ),
)
def no_stop_gradient_bound(run: Run) -> Trial:
    """Integrate random networks, and ones whose only output is ignored by predictor and means."""
    n_inputs, n_outputs = sizes(run)
    number = run.size("instances", quick=24, standard=64, full=256)
    rng, times = run.rng(), np.array([0.5, 2.0, 4.0])
    scatter = np.linspace(0.1, 0.4, number)

    def instance(index: int) -> tuple[Array, ...]:
        start = draw_start(rng, n_inputs, n_outputs)
        eta, aug_cov = rng.uniform(0.05, 0.3), covariance(rng, n_inputs, scatter[index], 0.6)
        if index % 4:
            return start.online, start.predictor, start.x_cov, aug_cov, np.array(eta)
        blind = np.linalg.eigh(aug_cov)[1][:, 0]
        ignored = frame(rng, n_outputs, 1)[:, 0]
        without_input, without_output = (np.eye(len(u)) - np.outer(u, u) for u in (blind, ignored))
        x_cov = without_input @ start.x_cov @ without_input
        return np.outer(ignored, blind), start.predictor @ without_output, x_cov, aug_cov, np.array(eta)

    instances = Instances(*(np.stack(parts) for parts in zip(*(instance(i) for i in range(number)), strict=True)))

    def predict(scattered: float = 1.0, decayed: float = 1.0, which: int = 0) -> Array:
        least = np.linalg.eigvalsh(instances.aug_cov)[:, which]
        rate = scattered * least + decayed * instances.weight_decay
        return np.repeat(rate[:, None], len(times), axis=1)

    return Trial(
        predict=predict,
        measure=lambda: _shrinking_rates(instances, times),
        controls={
            "largest eigenvalue of X'": lambda: predict(which=-1),
            "twice the scatter": lambda: predict(scattered=2.0),
            "decay counted twice": lambda: predict(decayed=2.0),
            "decay only": lambda: predict(scattered=0.0),
        },
        counterexamples={"with stop-gradient": lambda: _shrinking_rates(instances, times, stop_gradient=True)},
    )


@PAPER.claim(
    "no_stop_gradient_rate",
    statement=r"""Without stop-gradient, on inputs of unit covariance, $|W(t)| \le e^{-(\kappa - 1/\kappa + \eta) t}
    |W(0)|$, $\kappa = 1 + \sigma^2$, for any predictor; equality at all times from $W_p(0) = I / \kappa$ without
    decay.""",
    source="derived from the theorem on the need of stop-gradient",
    agreement=Bound(side="lower", tight=1e-6, rounding=1e-8),
    controls=("no scatter in one direction", "rate kappa", "rate sigma^2", "rate 2 sigma^2", "decay counted twice"),
)
def no_stop_gradient_rate(run: Run) -> Trial:
    """Integrate from random predictors, from I / kappa, and from its neighbourhood with decay."""
    n_inputs, n_outputs = sizes(run)
    number = run.size("instances", quick=24, standard=64, full=256)
    rng, times = run.rng(), np.array([0.05, 0.5, 3.0])
    aug_var = np.linspace(0.15, 1.2, number)

    def instance(index: int) -> tuple[Array, ...]:
        start = draw_start(rng, n_inputs, n_outputs)
        kind = index % 4
        spread = (1.0, 1.0, 0.0, 0.0)[kind]
        predictor = (1 - spread) * np.eye(n_outputs) / (1 + aug_var[index]) + spread * 2 * start.predictor
        eta = np.array((0.2, 0.05, 0.1, 0.0)[kind])
        return start.online, predictor, np.eye(n_inputs), aug_var[index] * np.eye(n_inputs), eta

    instances = Instances(*(np.stack(parts) for parts in zip(*(instance(i) for i in range(number)), strict=True)))
    eta = instances.weight_decay
    narrow = instances._replace(aug_cov=instances.aug_cov * (np.arange(n_inputs) > 0)[:, None])

    def every(rate: Array) -> Array:
        return np.repeat(rate[:, None], len(times), axis=1)

    return Trial(
        predict=lambda: every(deep_linear.no_stop_gradient_rate(aug_var=aug_var, weight_decay=eta)),
        measure=lambda: _shrinking_rates(instances, times),
        controls={
            "rate kappa": lambda: every(1 + aug_var + eta),
            "rate sigma^2": lambda: every(aug_var + eta),
            "rate 2 sigma^2": lambda: every(2 * aug_var + eta),
            "decay counted twice": lambda: every(
                deep_linear.no_stop_gradient_rate(aug_var=aug_var, weight_decay=2 * eta)
            ),
        },
        counterexamples={"no scatter in one direction": lambda: _shrinking_rates(narrow, times)},
    )


@PAPER.claim(
    "no_predictor",
    statement=r"""With the identity for a predictor, stop-gradient, and the online network for its target, $W(t) = W(0)
    e^{-(X' + \eta) t}$: what views share does not act, and their scatter makes W collapse.""",
    source="theorem on the need of a predictor",
    agreement=Identity(rtol=INTEGRATED),
    controls=("trained predictor", "X + X' for X'", "twice the rate", "no decay"),
)
def no_predictor(run: Run) -> Trial:
    """Integrate the flow with a predictor that stays the identity."""
    n_inputs, n_outputs = sizes(run)
    start, eta, times = draw_start(run.rng(), n_inputs, n_outputs), 0.12, np.array([0.5, 2.0, 6.0])

    def measure(alpha_p: float = 0.0) -> Array:
        learning = sim.Learning.of(
            start.x_cov, start.aug_cov, alpha_p=alpha_p, weight_decay=eta, predictor_decay=alpha_p * eta
        )
        networks = start.online, start.online, np.eye(n_outputs)
        return np.asarray(flow_without_contrast(networks, learning, times=times).online)

    def predict(scatter: Array = start.aug_cov, weight_decay: float = eta) -> Array:
        return deep_linear.weights_without_predictor(times, w0=start.online, aug_cov=scatter, weight_decay=weight_decay)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "X + X' for X'": lambda: predict(start.x_cov + start.aug_cov),
            "twice the rate": lambda: predict(2 * start.aug_cov, 2 * eta),
            "no decay": lambda: predict(weight_decay=0.0),
        },
        counterexamples={"trained predictor": lambda: measure(alpha_p=1.0)},
        scale="largest",
    )
