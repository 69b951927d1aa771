"""A predictor that is set from correlations of the outputs instead of trained: what it is, and which modes it saves."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.papers.tian2021.paper import INTEGRATED, PAPER, Array, Bases, draw_bases
from paper_checks.problems import frame, readout
from simulations.deep_linear import noncontrastive as sim
from simulations.deep_linear.noncontrastive_training import descend_without_contrast, flow_without_contrast
from theory import deep_linear


@PAPER.claim(
    "direct_pred",
    statement=r"""From the moving average $F \leftarrow \rho F + (1 - \rho) E_{batch}[f f^T] = U \mathrm{diag}(s) U^T$
    the predictor is set to $U \mathrm{diag}(\sqrt{s_j} + \epsilon \max_k s_k) U^T$, the lifted root of F.""",
    source="DirectPred; released code divides by the largest eigenvalue first, which is a convention",
    agreement=Identity(rtol=1e-9),
    controls=("s for sqrt(s)", "lift not relative", "divided by the largest", "weights exchanged", "last batch alone"),
)
def direct_pred(run: Run) -> Trial:
    """Average over batches of outputs in turn, and take root and norm by iterations without eigenvectors."""
    n = run.size("outputs", quick=5, standard=16, full=64)
    batches, samples = run.size("batches, samples", quick=(60, 32), standard=(200, 128), full=(500, 256))
    rng, eps, memory = run.rng(), 0.3, 0.9
    mixing = frame(rng, n, n) * np.geomspace(1.5, 0.3, n)
    outputs = mixing @ rng.standard_normal((batches, n, samples))
    start = 0.5 * np.eye(n)

    def measure() -> Array:
        return np.asarray(sim.iterated_predictor(sim.track_correlations(start, outputs, memory), eps))

    def average(memory: float = memory) -> Array:
        each = outputs @ outputs.swapaxes(1, 2) / samples
        weights = (1 - memory) * memory ** np.arange(batches - 1, -1, -1)
        return memory**batches * start + np.tensordot(weights, each, axes=1)

    def predict(memory: float = memory) -> Array:
        return deep_linear.direct_pred(average(memory), eps=eps)

    def spectral(function) -> Array:
        s, u = np.linalg.eigh(average())
        return (u * function(s)) @ u.T

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "s for sqrt(s)": lambda: spectral(lambda s: s + eps * s.max()),
            "lift not relative": lambda: spectral(lambda s: np.sqrt(s) + eps),
            "divided by the largest": lambda: spectral(lambda s: np.sqrt(s / s.max()) + eps),
            "weights exchanged": lambda: predict(1 - memory),
            "last batch alone": lambda: predict(0.0),
        },
        scale="largest",
    )


def _bases(run: Run, modes: int) -> Bases:
    drawn = draw_bases(run.rng(), run.size("inputs", quick=5, standard=12, full=64), modes)
    return Bases(drawn.outputs, drawn.inputs[:, :modes])


@PAPER.claim(
    "direct_pred_flow",
    statement=r"""With such a predictor, and F exact, $\dot s_j = 2 s_j [p_j (\tau - \kappa p_j) - \eta]$ for $p_j =
    \sqrt{s_j} + \epsilon \max_k s_k$. Without $\epsilon$ that is what a trained predictor does with $\alpha_p = 1$ from
    $s_j = p_j^2$.""",
    source="derived from DirectPred and the equations for modes",
    agreement=Identity(rtol=INTEGRATED),
    controls=("trained from p = 0", "s for sqrt(s)", "no lift", "lift not relative", "no decay", "scatter left out"),
)
def direct_pred_flow(run: Run) -> Trial:
    """Integrate the online network under lifts of three sizes, and both networks of a trained predictor."""
    bases, s0, times = _bases(run, 3), np.array([0.9, 0.1, 1e-3]), np.array([1.0, 4.0, 10.0])
    lifts, tau, rule = np.array([0.0, 0.15, 0.4]), 0.95, {"aug_var": 0.3, "weight_decay": 0.06}

    def course(lift: jax.Array, predictor: sim.Predictor, share: float = 1.0) -> jax.Array:
        networks = sim.aligned_networks(*bases, p=share * np.sqrt(s0), s=s0)
        learning = sim.isotropic(len(bases.inputs), lift=lift, target_ratio=tau, predictor=predictor, **rule)
        observe = readout(sim.modes_in, basis=bases.outputs)
        return flow_without_contrast(networks, learning, times=times, observe=observe)[:, 1]

    direct = jax.jit(jax.vmap(partial(course, predictor="direct")))

    def measure(share: float = 1.0) -> Array:
        trained = course(jnp.zeros(()), "trained", share)
        return np.concatenate([np.asarray(direct(jnp.asarray(lifts))), np.asarray(trained)[None]])

    def predict(lifts: Array = lifts, **changed: float) -> Array:
        each = [
            deep_linear.direct_pred_flow(times, s0=s0, eps=eps, **({"tau": tau} | rule | changed))
            for eps in (*lifts, 0.0)
        ]
        return np.stack(each)

    def variant(root: float, relative: bool) -> Array:
        """Integrate p = s^root + lift by small steps of the logarithm; right for 1/2 and a relative lift."""
        found = []
        for eps in (*lifts, 0.0):
            log_s, course, steps = np.log(s0), [], 1000
            for _ in range(steps):
                s = np.exp(log_s)
                p = s**root + eps * (s.max() if relative else 1.0)
                log_s = log_s + 2 * times[-1] / steps * (p * (tau - (1 + rule["aug_var"]) * p) - rule["weight_decay"])
                course.append(np.exp(log_s))
            found.append(np.array(course)[np.rint(times / times[-1] * steps).astype(int) - 1])
        return np.stack(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "s for sqrt(s)": lambda: variant(1.0, True),
            "lift not relative": lambda: variant(0.5, False),
            "no lift": lambda: predict(0 * lifts),
            "no decay": lambda: predict(weight_decay=0.0),
            "scatter left out": lambda: predict(aug_var=0.0),
        },
        counterexamples={"trained from p = 0": lambda: measure(share=0.0)},
    )


@PAPER.claim(
    "direct_pred_escape",
    statement=r"""A mode of vanishing s grows under such a predictor just when $q (\tau - \kappa q) > \eta$ for $q =
    \epsilon \max_k s_k$. With the largest mode at rest that is so for $\epsilon > p_- / (p_+ - p_-)^2$.""",
    source="derived from DirectPred and the equations for modes",
    agreement=Identity(rtol=3e-7),
    controls=("largest mode at p_+^2", "eta for p_-", "scatter left out", "exponent 1", "p_+ for p_-"),
)
def direct_pred_escape(run: Run) -> Trial:
    """Let the largest mode come to rest by gradient descent, and find the lift at which a tiny one stays what it is.

    The tiny one starts with the root 1e-9, which adds to q, 0.03 or more: the lift found is off by 3e-8 or less.
    """
    bases = _bases(run, 2)
    decay, aug_var, tau = np.array([0.05, 0.05, 0.03]), np.array([0.25, 1.0, 0.5]), np.array([1.0, 1.0, 0.8])
    steps = run.size("steps", quick=600, standard=1200, full=4000)

    @jax.jit
    def growth(lift: jax.Array, decay: jax.Array, aug_var: jax.Array, tau: jax.Array) -> jax.Array:
        learning = sim.isotropic(
            len(bases.inputs), lift=lift, weight_decay=decay, aug_var=aug_var, target_ratio=tau, predictor="direct"
        )
        networks = sim.aligned_networks(*bases, p=jnp.zeros(2), s=jnp.array([0.5, 1e-18]))
        end = descend_without_contrast(networks, learning, learning_rate=0.2, steps=[steps])
        return sim.rate_of(small, jax.tree.map(lambda leaf: leaf[0], end), learning)

    def small(networks: sim.Networks) -> jax.Array:
        return jnp.log(sim.modes_in(networks, bases.outputs)[1, 1])

    def measure() -> Array:
        return np.array(
            [
                brentq(lambda lift, case=case: float(growth(lift, *case)), 0.02, 1.0, xtol=1e-13, rtol=1e-12)
                for case in zip(decay, aug_var, tau, strict=True)
            ]
        )

    lower, upper = deep_linear.fixed_points(weight_decay=decay, aug_var=aug_var, tau=tau)
    return Trial(
        predict=lambda: deep_linear.critical_direct_pred_eps(weight_decay=decay, aug_var=aug_var, tau=tau),
        measure=measure,
        controls={
            "largest mode at p_+^2": lambda: lower / upper**2,
            "eta for p_-": lambda: decay / (upper - decay) ** 2,
            "scatter left out": lambda: deep_linear.critical_direct_pred_eps(weight_decay=decay, tau=tau),
            "exponent 1": lambda: lower / (upper - lower),
            "p_+ for p_-": lambda: upper / (upper - lower) ** 2,
        },
    )
