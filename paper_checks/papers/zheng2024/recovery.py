"""First tokens whose sequences the trained layer recovers, those on which it fails, and those without symmetry."""

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Limit, Steps, components
from paper_checks.papers.zheng2024._laws import AT_REST, Law, diagonals, draw_laws, draw_starts, train
from paper_checks.papers.zheng2024.paper import PAPER
from simulations.in_context import autoregressive as sim
from theory import in_context


def _best_products(law: Law, length: int) -> tuple[Array, Array]:
    """Search the product that fits the next token best at t - 1 = 8, 16, ..., length - 1; also both overlaps there."""
    averages = sim.position_moments(
        sim.scaled_identities(1.0, 1.0, law.dim), law.sequences(length + 2, relative=True), length
    )
    at = 2 ** np.arange(3, int(np.log2(length - 1)) + 1) - 1
    prediction, overlap, target = (np.asarray(average)[at] for average in averages)
    return overlap / prediction, overlap / target


@PAPER.claim(
    "recovery-condition",
    statement=r"""As $T, t \to \infty$ the best product leaves the relative error $1 - \kappa_1^2 / (\kappa_0
    \kappa_2)$, zero if and only if $|x_{1j}|$ takes no value but 0 and one constant; at position $t$ it
    exceeds the limit by $\kappa_1^2 \kappa_3 / (\kappa_0 \kappa_2^2 (t - 1))$ to leading order.""",
    source="Theorem 4.2 (equivalent form, derived)",
    agreement=ConvergenceOrder(order=1, resolution=1e-3, accuracy=1e-13),
    controls=(
        "every law is recovered",
        "ratio of fourth to sixth moment",
        "correction without kappa_3",
        "no correction for signs",
    ),
)
def recovery_condition(run: Run) -> Trial:
    """Search for the product that fits best at positions that double, for two laws that fail and one that recovers.

    The best product at one position has corrections in powers of 1 / (t - 1); those of a product trained on all
    positions up to T also have logarithms (see long-sequences), and the same limit.
    """
    length = 1 + run.size("longest prompt", quick=64, standard=128, full=512)
    laws = draw_laws(run, "rademacher", "gaussian", "uniform", dim=2)

    def measure() -> Steps:
        found = []
        for law in laws:
            best, overlap = _best_products(law, length)
            found.append(1 - best * overlap)
        return Steps(1 / 2.0 ** np.arange(3, int(np.log2(length - 1)) + 1), np.stack(found, axis=1))

    def predict(*, limit=None, slope=None) -> Limit:
        def asymptotic(m: in_context.TokenMoments) -> float:
            c = in_context.mesa_product(m, horizon=np.inf)
            return float(in_context.mesa_risk(c, m, dim=2, position=np.inf)) / (2 * m.kappa0)

        def correction(m: in_context.TokenMoments) -> float:
            return m.kappa1**2 * m.kappa3 / (m.kappa0 * m.kappa2**2)

        return Limit(
            [(limit or asymptotic)(law.moments) for law in laws], [(slope or correction)(law.moments) for law in laws]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "every law is recovered": lambda: predict(limit=lambda m: 0.0),
            "ratio of fourth to sixth moment": lambda: predict(limit=lambda m: 1 - m.kappa1 / (m.kappa0 * m.kappa2)),
            "correction without kappa_3": lambda: predict(slope=lambda m: m.kappa1**2 / (m.kappa0 * m.kappa2)),
            "no correction for signs": lambda: predict(slope=lambda m: 0.0),
        },
        scale=np.ones(len(laws)),
    )


@PAPER.claim(
    "one-hot-recovery",
    statement=r"""From one-hot first tokens $\pm s e_j$ training ends with $a b = 1 / s^2$, and the layer continues
    every sequence exactly, at every position and beyond the length of training.""",
    source="Theorem 4.2, example",
    agreement=Identity(rtol=AT_REST),
    controls=("product 1/(s^2 d)", "token repeated", "signs in all coordinates"),
)
def one_hot_recovery(run: Run) -> Trial:
    """Train all parameters, then continue sequences with new phases and more tokens.

    Random signs in all coordinates are recovered in the limit only: the counterexample.
    """
    horizon = run.size("horizon", quick=6, standard=8, full=10)
    length = run.size("length", quick=12, standard=100, full=1000)
    (law,) = draw_laws(run, "one_hot", dim=2)
    phases = np.exp(2j * np.pi * run.rng().random((2, 2)))
    firsts = law.scale * np.diag(run.rng("signs").choice([-1.0, 1.0], 2))

    def continued(kind: str, tokens: Array) -> Array:
        (blocks,) = train([law._replace(kind=kind)], horizon, *draw_starts(run))
        a, b = diagonals(blocks)
        found = [
            sim.predict(blocks, sim.sequence(jnp.asarray(first), jnp.asarray(lam), length))
            for first, lam in zip(tokens, phases, strict=True)
        ]
        return components(a * b * law.scale**2, np.real(found), np.imag(found))

    def predict(*, product: float = 1.0, ahead: int = 1) -> Array:
        power = np.arange(1, length)[:, None] + ahead
        tokens = [lam**power * first for first, lam in zip(firsts, phases, strict=True)]
        return components(np.full(2, product), product * np.real(tokens), product * np.imag(tokens))

    return Trial(
        predict=predict,
        measure=lambda: continued("one_hot", firsts),
        controls={
            "product 1/(s^2 d)": lambda: predict(product=0.5),
            "token repeated": lambda: predict(ahead=0),
        },
        counterexamples={
            "signs in all coordinates": lambda: continued("rademacher", firsts.sum(axis=0) * np.ones((2, 1)))
        },
        scale="largest",
    )


@PAPER.claim(
    "gaussian-failure",
    statement=r"""For $x_1 \sim N(0, v I)$, as $T, t \to \infty$: $a b \to 1 / (5 v)$, the descent matrix averages to
    $W / 5$, the prediction regresses on the next token with coefficient 3/5, and the relative error is 2/5; each is off
    by a multiple of $1 / (t - 1)$.""",
    source="Theorem 4.2, Gaussian example",
    agreement=ConvergenceOrder(order=1, resolution=1e-3, accuracy=1e-13),
    controls=("regression coefficient 1/5", "descent matrix 3/5 of W", "recovered", "ab = 1/(3v)"),
)
def gaussian_failure(run: Run) -> Trial:
    """Search for the best product at positions that double; average the descent matrix over first tokens.

    The matrix is taken by automatic differentiation at each node of the first token, for one draw of W.
    """
    longest = run.size("longest prompt", quick=64, standard=128, full=512)
    (law,) = draw_laws(run, "gaussian", dim=2)
    m = law.moments
    gaps = 2.0 ** np.arange(3, int(np.log2(longest)) + 1)
    eigenvalues = np.exp(2j * np.pi * run.rng().random(2))

    def measure() -> Steps:
        best, overlap = _best_products(law, longest + 1)
        atoms, weights = sim.first_tokens("gaussian", dim=2, scale=law.scale)
        paths = jax.vmap(lambda first: sim.sequence(first, jnp.asarray(eigenvalues), longest + 1))(jnp.asarray(atoms))
        matrices = jax.vmap(lambda x: sim.descent_matrix(x, 1 / longest))(paths)
        mean = np.tensordot(weights, np.asarray(matrices), axes=1) / eigenvalues[:, None]
        ratio = np.real(mean[0, 0])
        return Steps(1 / gaps, np.stack([best, best * ratio, best * overlap, 1 - best * overlap], axis=1))

    def predict(*, product: float | None = None, matrix: float = 1.0, regression: float = 1.0) -> Limit:
        c = in_context.mesa_product(m, horizon=np.inf) if product is None else product
        error = in_context.mesa_risk(c, m, dim=2, position=np.inf) / (2 * m.kappa0)
        slope = -c * m.kappa3 / m.kappa2
        return Limit(
            [c, matrix * c * m.kappa0, regression * c * m.kappa1 / m.kappa0, error],
            [slope, slope * m.kappa0, slope * m.kappa1 / m.kappa0, -slope * m.kappa1 / m.kappa0],
        )

    def recovered() -> Limit:
        limit = predict()
        return Limit([*limit.value[:3], 0.0], limit.coefficient)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "regression coefficient 1/5": lambda: predict(regression=1 / 3),
            "descent matrix 3/5 of W": lambda: predict(matrix=3.0),
            "recovered": recovered,
            "ab = 1/(3v)": lambda: predict(product=m.kappa0 / m.kappa1),
        },
    )


@PAPER.claim(
    "beyond-assumption",
    statement=r"""For first tokens without symmetric signs the gradient of the loss at two scaled identities has
    off-diagonal entries in those two blocks and in no other, so that training leaves plain gradient descent.""",
    source="necessity of the assumption (derived, all entries in closed form)",
    agreement=Identity(rtol=1e-11),
    controls=("diagonal blocks", "blocks transposed", "symmetric mixed moments", "T - 1 positions"),
)
def beyond_assumption(run: Run) -> Trial:
    """Differentiate the loss of the whole layer, averaged over sequences from a few given first tokens."""
    dim, horizon = run.size("dimension and horizon", quick=(3, 5), standard=(3, 6), full=(3, 10))
    rng = run.rng()
    tokens = np.concatenate([np.ones((1, dim)), rng.uniform(0.5, 1.5, (2, dim)) * rng.choice([-1.0, 1.0], (2, dim))])
    a, b = rng.uniform(0.2, 0.6, 2)

    def measure() -> Array:
        sequences = sim.enumerate_sequences(tokens, np.full(len(tokens), 1 / len(tokens)), order=3 * horizon)
        gradient = jax.grad(sim.population_loss)(sim.scaled_identities(a, b, dim), sequences, horizon)
        return components(*gradient)

    def predict(change=lambda block: block, *, horizon: int = horizon) -> Array:
        blocks = in_context.block_gradient(tokens, horizon=horizon, a=a, b=b)
        value, key_query = np.zeros((2, 3 * dim, 3 * dim))
        value[:dim, dim : 2 * dim] = change(blocks.value)
        key_query[2 * dim :, dim : 2 * dim] = change(blocks.key_query)
        return components(value, key_query)

    def symmetric_moments() -> Array:
        """Use x_k^4 x_j^2 on both diagonals, as if coordinates were exchangeable."""
        found = predict().reshape(2, 3 * dim, 3 * dim)
        shared = in_context.block_gradient(tokens, horizon=horizon, a=a, b=b).key_query
        k = np.arange(dim)
        found[0, k, dim + k] = np.diag(shared) * a / b
        return found.ravel()

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "diagonal blocks": lambda: predict(lambda block: np.diag(np.diag(block))),
            "blocks transposed": lambda: predict(np.transpose),
            "symmetric mixed moments": symmetric_moments,
            "T - 1 positions": lambda: predict(horizon=horizon + 1),
        },
        scale="largest",
    )
