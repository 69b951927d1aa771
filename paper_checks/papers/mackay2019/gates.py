"""The best response itself: trained, gated, and solved as ridge regression."""

import jax
import numpy as np
from scipy.special import logit

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.mackay2019.paper import (
    PAPER,
    TRAINED,
    Array,
    draw_problem,
    lengths,
    modes_of,
    predicted_weights,
    train_networks,
    weights_of,
)
from simulations.deep_linear import best_response as sim
from theory import deep_linear


@PAPER.claim(
    "best_response",
    statement=r"""$Q = \mathrm{diag}(g) V^T$ with gates $g_i = \mathrm{sigmoid}(2 \ln d_i - \lambda)$ and $s =
    \mathrm{diag}(1/d) U^T t$, for $X = U \mathrm{diag}(d) V^T$, minimise $\sum_i (f(x_i) - t_i)^2 +
    \tfrac{e^\lambda}{n} \sum_i |\nabla f(x_i)|^2$ over all networks $f(x) = s^T Q x$; the minimum is $|t|^2 - \sum_i
    g_i (u_i^T t)^2$.""",
    source="Theorem on the best response of a two-layer linear network",
    agreement=Identity(rtol=TRAINED),
    controls=(
        "ln d for 2 ln d",
        "strength n e^lambda",
        "columns gated for rows",
        "output weights gated as well",
        "s with d for 1/d",
        "weights penalised for the Jacobian",
    ),
)
def best_response(run: Run) -> Trial:
    """Train both layers at several penalties; compare the function's weights and the objective that is left."""
    problem = draw_problem(run)
    penalties = np.linspace(-4, 4, run.size("penalties", quick=9, standard=17, full=33))
    v, d, s = modes_of(problem)

    def measure(penalty: str = "jacobian") -> Array:
        trained = train_networks(run, problem, penalties, penalty=penalty)
        return components(weights_of(trained), trained.objective)

    def predict() -> Array:
        return components(
            predicted_weights(problem, penalties),
            deep_linear.best_response_objective(problem.x, problem.targets, penalties),
        )

    def wrong(weights: Array) -> Array:
        errors = weights @ problem.x.T - problem.targets
        left = np.sum(errors**2, axis=-1) + np.exp(penalties) * np.sum(weights**2, axis=-1)
        return components(weights, left)

    def gates(*, power: float = 2.0, shift: float = 0.0) -> Array:
        return 1 / (1 + np.exp(penalties[:, None] + shift) / d**power)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "ln d for 2 ln d": lambda: wrong((gates(power=1.0) * s) @ v.T),
            "strength n e^lambda": lambda: wrong((gates(shift=np.log(len(problem.x))) * s) @ v.T),
            "columns gated for rows": lambda: wrong(gates() * (v @ s)),
            "output weights gated as well": lambda: wrong((gates() ** 2 * s) @ v.T),
            "s with d for 1/d": lambda: wrong((gates() * s * d**2) @ v.T),
        },
        counterexamples={"weights penalised for the Jacobian": lambda: measure("weights")},
        scale=lambda: components(
            lengths(predicted_weights(problem, penalties)),
            deep_linear.best_response_objective(problem.x, problem.targets, penalties),
        ),
    )


@PAPER.claim(
    "trained_gates",
    statement=r"""A network whose D hidden units are multiplied by $\mathrm{sigmoid}(v_k \lambda + c_k)$, trained on
    many penalties at once, ends with $v_k = -1$ and $c_k = 2 \ln d_k$, and is then the best response at each of
    them.""",
    source="Theorem on the best response, structure of the gated network",
    agreement=Identity(rtol=1e-7, resolution=1e-5),
    controls=(
        "ln d for 2 ln d",
        "slope 1/2",
        "singular values of the mean",
        "lengths of the inputs' columns",
        "weights penalised for the Jacobian",
    ),
)
def trained_gates(run: Run) -> Trial:
    """Train gates and weights from several random starts, and read the gates of the best.

    Nothing tells them the singular values. Sums of sigmoids are ill-conditioned: the objective determines gates some
    1e6 times less well than it is itself known, which with a gradient of 1e-14 leaves 1e-8.
    """
    problem = draw_problem(run)
    reach = 2 * np.log(problem.d[0]) + 3
    among = np.linspace(-reach, reach, run.size("penalties", quick=13, standard=17, full=33))
    starts = run.size("starts", quick=16, standard=16, full=64)
    dim = problem.x.shape[1]

    def measure(penalty: str = "jacobian") -> Array:
        def one(key: jax.Array) -> sim.Trained:
            start = sim.random_gated_network(key, inputs=dim, hidden=dim, log_penalties=among)
            return sim.train_gated(start, problem.x, problem.targets, among, penalty=penalty)

        trained = jax.vmap(one)(run.keys(starts, "weights"))
        best = int(np.argmin(trained.objective))
        slope, offset = np.asarray(trained.network.slope[best]), np.asarray(trained.network.offset[best])
        order = np.argsort(offset)
        return components(offset[order], slope[order], trained.objective[best])

    d = np.sort(problem.d)

    def gathered(offset: Array, slope: Array) -> Array:
        left = deep_linear.best_response_objective(problem.x, problem.targets, among)
        return components(offset, slope, left.sum())

    def predict() -> Array:
        """Read offsets and slopes off the gates, which are sigmoids of straight lines."""
        at = logit(deep_linear.best_response_gates(d, [[-1.0], [0.0], [1.0]]))
        return gathered(at[1], (at[2] - at[0]) / 2)

    def wrong(offset: Array, slope: float = -1.0) -> Array:
        return gathered(offset, np.full(dim, slope))

    norms = np.linalg.norm(problem.x, axis=0)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "ln d for 2 ln d": lambda: wrong(np.log(d)),
            "slope 1/2": lambda: wrong(2 * np.log(d), slope=-0.5),
            "singular values of the mean": lambda: wrong(2 * np.log(d) - np.log(len(problem.x))),
            "lengths of the inputs' columns": lambda: wrong(np.sort(2 * np.log(norms))),
        },
        counterexamples={"weights penalised for the Jacobian": lambda: measure("weights")},
        scale=lambda: components(
            np.ones(2 * dim), deep_linear.best_response_objective(problem.x, problem.targets, among).sum()
        ),
    )


@PAPER.claim(
    "ridge_equivalence",
    statement=r"""The best response computes $Q^T s = (X^T X + e^\lambda I)^{-1} X^T t$, whatever $\lambda$.""",
    source="proof of the theorem on the best response",
    agreement=Identity(rtol=1e-11),
    controls=("ln d for 2 ln d", "ridge n e^lambda", "ridge e^(2 lambda)", "Q for its transpose", "centred data"),
)
def ridge_equivalence(run: Run) -> Trial:
    """Solve the normal equations, of condition up to 1e4, from open to closed gates."""
    problem = draw_problem(run)
    penalties = np.linspace(-20, 20, 21)
    v, d, s = modes_of(problem)

    def measure(*, centred: bool = False) -> Array:
        return np.stack([sim.ridge(problem.x, problem.targets, at, centred=centred) for at in penalties])

    def gated(power: float, at: Array) -> Array:
        return (s / (1 + np.exp(at[:, None]) / d**power)) @ v.T

    def transposed() -> Array:
        q, outputs = deep_linear.jacobian_best_response(problem.x, problem.targets, penalties)
        return q @ outputs

    return Trial(
        predict=lambda: predicted_weights(problem, penalties),
        measure=measure,
        controls={
            "ln d for 2 ln d": lambda: gated(1.0, penalties),
            "ridge n e^lambda": lambda: gated(2.0, penalties + np.log(len(problem.x))),
            "ridge e^(2 lambda)": lambda: gated(2.0, 2 * penalties),
            "Q for its transpose": transposed,
        },
        counterexamples={"centred data": lambda: measure(centred=True)},
        scale=lambda: lengths(predicted_weights(problem, penalties)),
    )
