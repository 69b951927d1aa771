"""What the gradients of drawn views are on average, and what any training of the three networks conserves."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, components
from paper_checks.papers.tian2021.paper import INTEGRATED, PAPER, draw_start, sizes
from simulations.deep_linear import noncontrastive as sim
from simulations.deep_linear.noncontrastive_training import flow_without_contrast
from simulations.replicates import over_replicates
from theory import deep_linear


@PAPER.claim(
    "flow",
    statement=r"""With R = W_a X - W_p W (X + X') the gradients of $J = \frac12 E|W_p W x_1 - SG(W_a x_2)|^2$ give, on
    average over views, $\dot W = W_p^T R - \eta W$ and $\dot W_p = \alpha_p R W^T - \eta W_p$, for any views with
    these covariances.""",
    source="lemma on the dynamics of linear networks",
    agreement=MonteCarlo(resolution=0.1),
    controls=("correlated views", "scatter shared by the views", "scatter left out", "decay multiplied by alpha_p"),
)
def flow(run: Run) -> Trial:
    """Differentiate the loss on drawn views of unequal scatter, batch by batch."""
    n_inputs, n_outputs = sizes(run)
    batches, samples = run.size("batches, samples", quick=(400, 4096), standard=(1000, 16384), full=(4000, 65536))
    start = draw_start(run.rng(), n_inputs, n_outputs)
    alpha_p, eta = 1.6, 0.3

    def measure(correlation: float = 0.0) -> Samples:
        learning = sim.Learning.of(start.x_cov, start.aug_cov, ema_rate=0.5, alpha_p=alpha_p, weight_decay=eta)
        networks = sim.check_networks(start[:3], learning)
        correlations = jnp.asarray(correlation)
        found = over_replicates(sim.sampled_velocity, run.keys(batches), networks, learning, samples, correlations)
        return Samples(components(found.online, found.predictor, leading=1))

    def predict(aug_cov: np.ndarray = start.aug_cov, x_cov: np.ndarray = start.x_cov, decay: float = 1.0) -> np.ndarray:
        found = deep_linear.network_velocity(
            *start[:3], x_cov=x_cov, aug_cov=aug_cov, alpha_p=alpha_p, weight_decay=eta
        )
        return components(found.online, found.predictor - (decay - 1) * eta * start.predictor)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "scatter shared by the views": lambda: predict(0 * start.aug_cov, start.x_cov + start.aug_cov),
            "scatter left out": lambda: predict(0 * start.aug_cov),
            "decay multiplied by alpha_p": lambda: predict(decay=alpha_p),
        },
        counterexamples={"correlated views": lambda: measure(correlation=0.5)},
        scale="largest",
    )


@PAPER.claim(
    "balance",
    statement=r"""Whatever the target does and whatever the covariances are, $W W^T - W_p^T W_p / \alpha_p$ decays as
    $e^{-2 \eta t}$.""",
    source="theorem on the balance of online network and predictor",
    agreement=Identity(rtol=INTEGRATED),
    controls=(
        "exp(-eta t)",
        "conserved in spite of decay",
        "W_p W_p^T for W_p^T W_p",
        "multiplied by alpha_p",
        "predictor's decay multiplied too",
    ),
)
def balance(run: Run) -> Trial:
    """Integrate the flow of three unaligned networks on anisotropic views, with a target that moves."""
    n_inputs, n_outputs = sizes(run)
    start = draw_start(run.rng(), n_inputs, n_outputs)
    alpha_p, eta, times = 1.7, 0.15, np.array([0.5, 1.5, 4.0])

    def measure(predictor_decay: float = eta, weight: float = 1 / alpha_p, *, transposed: bool = False) -> np.ndarray:
        learning = sim.Learning.of(
            start.x_cov,
            start.aug_cov,
            alpha_p=alpha_p,
            weight_decay=eta,
            predictor_decay=predictor_decay,
            ema_rate=0.4,
        )
        found = flow_without_contrast(start[:3], learning, times=times, observe=grams)
        outputs, predictor, other = (np.asarray(gram) for gram in found)
        return outputs - weight * (other if transposed else predictor)

    def predict(rate: float = 2.0) -> np.ndarray:
        initial = start.online @ start.online.T - start.predictor.T @ start.predictor / alpha_p
        return np.exp(-rate * eta * times)[:, None, None] * initial

    return Trial(
        predict=predict,
        measure=measure,
        controls={"exp(-eta t)": lambda: predict(1.0), "conserved in spite of decay": lambda: predict(0.0)},
        counterexamples={
            "W_p W_p^T for W_p^T W_p": partial(measure, transposed=True),
            "multiplied by alpha_p": partial(measure, weight=alpha_p),
            "predictor's decay multiplied too": partial(measure, predictor_decay=alpha_p * eta),
        },
        scale="largest",
    )


def grams(networks: sim.Networks) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return products of the online network and the predictor with their transposes."""
    w, w_p = networks.online, networks.predictor
    return w @ w.T, jnp.matmul(w_p.T, w_p), w_p @ w_p.T
