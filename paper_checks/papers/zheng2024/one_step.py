"""The layer as one step of gradient descent: its prediction, the moments and the flow behind its size, its error."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, components
from paper_checks.papers.zheng2024._laws import KINDS, diagonals, draw_laws
from paper_checks.papers.zheng2024.paper import PAPER
from simulations.in_context import autoregressive as sim
from theory import in_context

INTEGRATED = 1e-9  # a thousand times the integrator's tolerance


@PAPER.claim(
    "ols-gd-equivalence",
    statement=r"""With the two blocks at $a I$ and $b I$ the layer predicts $\hat y_t = \hat W_t x_t$, $\hat W_t =
    \tfrac{ab}{t-1} \sum_{i<t} x_{i+1} x_i^*$: one step of gradient descent of size $ab / (t - 1)$ from zero on
    $\tfrac12 \sum_{i<t} |x_{i+1} - W x_i|^2$.""",
    source="Corollary of Theorem 4.1",
    agreement=Identity(rtol=1e-12),
    controls=("divided by t", "no conjugation", "outer product transposed", "twice the step"),
)
def ols_gd_equivalence(run: Run) -> Trial:
    """Run the layer over random sequences, and take the step of gradient descent by automatic differentiation."""
    shapes = run.size("length and dimension", quick=((9, 3), (14, 5)), standard=((20, 4), (60, 16)), full=((500, 64),))
    rng = run.rng()
    a, b = rng.uniform(0.3, 1.0, 2)
    pairs = [(rng.standard_normal(d), np.exp(2j * np.pi * rng.random(d)), t) for t, d in shapes]
    sequences = [eigenvalues ** np.arange(t)[:, None] * first for first, eigenvalues, t in pairs]

    def parts(*values) -> Array:
        return components(*(part for value in values for part in (np.real(value), np.imag(value))))

    def measure() -> Array:
        found = []
        for first, eigenvalues, length in pairs:
            x = sim.sequence(jnp.asarray(first), jnp.asarray(eigenvalues), length)
            matrix = sim.descent_matrix(x, a * b / (length - 1))
            found += [sim.predict(sim.scaled_identities(a, b, len(first)), x), matrix @ x[-1]]
        return parts(*found)

    def predict(change=lambda x, found: found, *, product: float = a * b) -> Array:
        found = [change(x, in_context.mesa_prediction(x, product=product)) for x in sequences]
        return parts(*(part for prediction in found for part in (prediction, prediction[-1])))

    def bilinear(x, left, right, *, conjugate: bool = True):
        keys = left.conj() if conjugate else left
        seen = np.cumsum(right[:, :, None] * keys[:, None, :], axis=0) * (a * b / np.arange(1, len(x)))[:, None, None]
        return np.einsum("tij,tj->ti", seen, x[1:])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "divided by t": lambda: predict(
                lambda x, found: found * (np.arange(1, len(x)) / np.arange(2, len(x) + 1))[:, None]
            ),
            "no conjugation": lambda: predict(lambda x, _: bilinear(x, x[:-1], x[1:], conjugate=False)),
            "outer product transposed": lambda: predict(lambda x, _: bilinear(x, x[1:], x[:-1])),
            "twice the step": lambda: predict(product=2 * a * b),
        },
        scale="largest",
    )


@PAPER.claim(
    "moments",
    statement=r"""For the covariance $S$ of the tokens before position $t$, $E[x_t^* S x_t] = d \kappa_1$ and $E[x_t^*
    S^2 x_t] = d (\kappa_2 + \kappa_3 / (t - 1))$.""",
    source="proof of Theorem 4.1",
    agreement=Identity(rtol=1e-11),
    controls=("1/t for 1/(t-1)", "kappa_3 dropped", "factor d dropped", "fourth moment squared"),
)
def moments(run: Run) -> Trial:
    """Average over roots of unity and over quadrature nodes of the first token, at every position."""
    dim, length = run.size("dimension and length", quick=(2, 9), standard=(3, 9), full=(3, 24))
    laws, t = draw_laws(run, *KINDS, dim=dim), np.arange(2, length + 1)

    def measure() -> Array:
        return np.stack([np.asarray(sim.covariance_averages(law.sequences(2 * length), length)) for law in laws])

    def predict() -> Array:
        return np.stack([np.stack(in_context.covariance_moments(law.moments, dim=dim, position=t)) for law in laws])

    def variant(second) -> Array:
        return np.stack([np.stack([np.full(t.size, dim * law.moments.kappa1), second(law.moments)]) for law in laws])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1/t for 1/(t-1)": lambda: variant(lambda m: dim * (m.kappa2 + m.kappa3 / t)),
            "kappa_3 dropped": lambda: variant(lambda m: np.full(t.size, dim * m.kappa2)),
            "factor d dropped": lambda: predict() / dim,
            "fourth moment squared": lambda: variant(lambda m: dim * (m.kappa1**2 + m.kappa3 / (t - 1))),
        },
    )


@PAPER.claim(
    "flow",
    statement=r"""With $K = \kappa_2 + \kappa_3 H_{T-2} / (T - 2)$ the gradient flow moves $\dot a = (T - 2) b
    (\kappa_1 - a b K)$, $\dot b = (T - 2) a (\kappa_1 - a b K)$: $a^2 - b^2$ is conserved and $a b$ known in closed
    form, a logistic curve where $a_0 = b_0$.""",
    source="dynamics of training (derived)",
    agreement=Identity(rtol=INTEGRATED),
    controls=("factor d in the rate", "T - 1 for T - 2", "logistic curve from unequal blocks", "K without kappa_3"),
)
def flow(run: Run) -> Trial:
    """Integrate the flow of all parameters from equal and from unequal blocks; read product, difference and loss."""
    horizon = run.size("horizon", quick=5, standard=6, full=8)
    laws = draw_laws(run, "gaussian", "uniform", dim=run.size("dimension", quick=2, standard=2, full=3))
    dim, rng = laws[0].dim, run.rng()
    equal = rng.uniform(0.2, 0.4)
    starts = [(equal, equal), (0.2 * rng.uniform(0.5, 1.0), rng.uniform(0.4, 0.6))]
    clocks = [np.array([0.2, 0.6, 1.2, 2.5]) / ((horizon - 2) * law.moments.kappa1) for law in laws]

    def measure() -> Array:
        found: list[ArrayLike] = []
        for law, clock in zip(laws, clocks, strict=True):
            form = sim.quadratic_form(law.sequences(3 * horizon), horizon)
            for a0, b0 in starts:
                path = sim.flow(sim.scaled_identities(a0, b0, dim), form, jnp.append(0.0, clock))
                a, b = diagonals(path)
                found += [a * b, a**2 - b**2 + 1, jax.vmap(sim.form_loss, in_axes=(0, None))(path, form)]
        return components(*found)

    def predict(*, rate: float = 1.0, equalise: bool = False, drop: bool = False) -> Array:
        found: list[ArrayLike] = []
        for law, clock in zip(laws, clocks, strict=True):
            t, m = np.append(0.0, clock), law.moments
            used = in_context.TokenMoments(m.kappa0, m.kappa1, m.kappa2, 0.0) if drop else m
            for a0, b0 in starts:
                first = (np.sqrt(a0 * b0),) * 2 if equalise else (a0, b0)
                c = in_context.mesa_flow(rate * t, used, horizon=horizon, a0=first[0], b0=first[1])
                found += [np.tile(c[:, None], dim), np.full((t.size, dim), a0**2 - b0**2 + 1)]
                found.append(in_context.mesa_loss(c, used, dim=dim, horizon=horizon))
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "factor d in the rate": lambda: predict(rate=dim),
            "T - 1 for T - 2": lambda: predict(rate=(horizon - 1) / (horizon - 2)),
            "logistic curve from unequal blocks": lambda: predict(equalise=True),
            "K without kappa_3": lambda: predict(drop=True),
        },
    )


@PAPER.claim(
    "prompt-risk",
    statement=r"""At position $t$ of a prompt the squared error of the next token is $d [\kappa_0 - 2 c \kappa_1 + c^2
    (\kappa_2 + \kappa_3 / (t - 1))]$ on average, $c = a b$.""",
    source="capability of the trained layer (derived)",
    agreement=Identity(rtol=1e-11),
    controls=("1/t for 1/(t-1)", "infinite prompt", "cross term without factor 2", "one coordinate for all"),
)
def prompt_risk(run: Run) -> Trial:
    """Pass all sequences through the layer and average its squared error at every position."""
    dim, length = run.size("dimension and length", quick=(2, 9), standard=(3, 9), full=(3, 24))
    laws, t = draw_laws(run, *KINDS, dim=dim), np.arange(2, length + 1)
    a, b = run.rng().uniform(0.3, 0.9, 2)

    def measure() -> Array:
        found = []
        for law in laws:
            averages = sim.position_moments(sim.scaled_identities(a, b, dim), law.sequences(2 * length), length)
            found.append(averages.prediction - 2 * averages.overlap + averages.target)
        return np.stack(found)

    def predict(*, position=t, coordinates: int = dim) -> Array:
        return np.stack(
            [
                np.broadcast_to(in_context.mesa_risk(a * b, law.moments, dim=coordinates, position=position), t.shape)
                for law in laws
            ]
        )

    def single_cross() -> Array:
        return predict() + np.array([[dim * a * b * law.moments.kappa1] for law in laws])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1/t for 1/(t-1)": lambda: predict(position=t + 1),
            "infinite prompt": lambda: predict(position=np.inf),
            "cross term without factor 2": single_cross,
            "one coordinate for all": lambda: predict(coordinates=1),
        },
        scale=np.array([[dim * law.moments.kappa0] for law in laws]) * np.ones(t.size),
    )
