"""Zheng et al. 2024: linear attention trained on linear sequences learns one step of gradient descent on its prompt.

The paper's loss has a factor 1/2 and T - 2 terms; its attention is divided by t - 1. Averages over the phases of W are
taken over roots of unity and those over the first token over quadrature nodes, both exact for these polynomials.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Limit, Steps, components
from simulations.in_context import autoregressive as sim
from theory import in_context

Array = NDArray[np.float64]

PAPER = Paper(
    key="zheng2024",
    title="On mesa-optimization in autoregressively trained transformers: emergence and capability",
    authors="Chenyu Zheng, Wei Huang, Rongzhen Wang, Guoqiang Wu, Jun Zhu, Chongxuan Li",
    year=2024,
    arxiv="2405.16845",
    wing="in_context",
)

KINDS = ("rademacher", "one_hot", "gaussian", "uniform")
AT_REST = 1e-8  # a hundred times the gradient, relative to its start, at which training stops
INTEGRATED = 1e-9  # a thousand times the integrator's tolerance


class Law(NamedTuple):
    """A law of the first token, as both floors know it."""

    kind: str
    dim: int
    scale: float

    @property
    def moments(self) -> in_context.TokenMoments:
        """The four moments, as the theory states them."""
        return in_context.initial_token_moments(self.kind, dim=self.dim, scale=self.scale)

    def sequences(self, order: int, *, relative: bool = False) -> sim.Sequences:
        """Enumerate sequences that average the squared error of a layer exactly."""
        atoms, weights = sim.first_tokens(self.kind, dim=self.dim, scale=self.scale)
        return sim.enumerate_sequences(atoms, weights, order=order, relative=relative)


def _laws(run: Run, *kinds: str, dim: int) -> list[Law]:
    rng = run.rng("scales")
    return [Law(kind, dim, float(rng.uniform(0.8, 1.25))) for kind in kinds]


def _starts(run: Run) -> tuple[float, float]:
    a0, b0 = run.rng("start").uniform(0.2, 0.6, 2)
    return float(a0), float(b0)


def _train(laws: Sequence[Law], horizon: int, a0: float, b0: float) -> list[sim.Blocks]:
    """Train all 2 (3 d)^2 parameters, one network a law."""
    forms = [sim.quadratic_form(law.sequences(3 * horizon), horizon) for law in laws]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *forms)
    trained = jax.vmap(sim.train, in_axes=(None, 0))(sim.scaled_identities(a0, b0, laws[0].dim), stacked)
    return [jax.tree.map(lambda leaf, k=k: leaf[k], trained) for k in range(len(laws))]


def _diagonals(blocks: sim.Blocks) -> tuple[Array, Array]:
    """Diagonals of block (3, 2) of W_KQ and of block (1, 2) of W_PV, the entries called a and b."""
    dim = blocks.value.shape[-1] // 3
    a = np.diagonal(np.asarray(blocks.key_query)[..., 2 * dim :, dim : 2 * dim], axis1=-2, axis2=-1)
    b = np.diagonal(np.asarray(blocks.value)[..., :dim, dim : 2 * dim], axis1=-2, axis2=-1)
    return a, b


@PAPER.claim(
    "block-structure",
    statement=r"""From $a_0 I$ in block (3, 2) of $W_{KQ}$ and $b_0 I$ in block (1, 2) of $W_{PV}$, all else zero,
    training leaves all other entries at zero, both blocks multiples of $I$, and $a^2 - b^2$ as it was, when $x_1$ has
    symmetric signs.""",
    source="Theorem 4.1, structure of the limit",
    agreement=Identity(rtol=AT_REST),
    controls=("equal blocks", "key and query exchanged", "start left as it is", "first token of ones"),
)
def block_structure(run: Run) -> Trial:
    """Train all parameters from two scaled identities, for four laws of the first token and for one that is none.

    That one, a first token of ones, has the moments of random signs but none of their symmetry.
    """
    horizon = run.size("horizon", quick=6, standard=8, full=10)
    laws, (a0, b0) = _laws(run, *KINDS, dim=run.size("dimension", quick=2, standard=2, full=3)), _starts(run)
    dim = laws[0].dim

    def flat(trained: Sequence[sim.Blocks]) -> Array:
        return components(*(np.stack(blocks) for blocks in trained))

    def measure() -> Array:
        return flat(_train(laws, horizon, a0, b0))

    def train_on_ones() -> Array:
        """Train on sequences that start at +1 everywhere, in the place of all four laws."""
        sequences = sim.enumerate_sequences(np.ones((1, dim)), np.ones(1), order=3 * horizon)
        form = sim.quadratic_form(sequences, horizon)
        return flat([sim.train(sim.scaled_identities(a0, b0, dim), form)] * len(laws))

    def predict(*, start: tuple[float, float] = (a0, b0), exchange: bool = False, move: bool = True) -> Array:
        found = []
        for law in laws:
            product = in_context.mesa_product(law.moments, horizon=horizon)
            gap = start[0] ** 2 - start[1] ** 2
            a = np.sqrt((gap + np.hypot(gap, 2 * product)) / 2)
            a, b = (a, product / a) if move else start
            value, key_query = np.zeros((2, 3 * dim, 3 * dim))
            value[:dim, dim : 2 * dim] = b * np.eye(dim)
            row, column = (1, 2) if exchange else (2, 1)
            key_query[row * dim : (row + 1) * dim, column * dim : (column + 1) * dim] = a * np.eye(dim)
            found.append(np.stack([value, key_query]))
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "equal blocks": lambda: predict(start=(1.0, 1.0)),
            "key and query exchanged": lambda: predict(exchange=True),
            "start left as it is": lambda: predict(move=False),
        },
        counterexamples={"first token of ones": train_on_ones},
        scale="largest",
    )


@PAPER.claim(
    "limit-product",
    statement=r"""Training on sequences of $T$ tokens ends with $a b = \kappa_1 / (\kappa_2 + \kappa_3 H_{T-2} / (T -
    2))$ and the loss $\tfrac{d (T - 2)}{2} (\kappa_0 - a b \kappa_1)$, $H_n$ the harmonic numbers.""",
    source="Theorem 4.1",
    agreement=Identity(rtol=AT_REST),
    controls=(
        "sum of 1/t for 1/(t-1)",
        "divided by T for T - 2",
        "kappa_3 without the other coordinates",
        "kappa_1 / kappa_2 at finite T",
        "fourth moment over sixth without kappa_3's share of the loss",
    ),
)
def limit_product(run: Run) -> Trial:
    """Train all parameters, read every diagonal product, and pass all sequences through the trained layer once more."""
    horizon = run.size("horizon", quick=6, standard=8, full=10)
    laws = _laws(run, *KINDS, dim=run.size("dimension", quick=2, standard=2, full=3))
    dim = laws[0].dim

    def measure() -> Array:
        found = []
        for law, blocks in zip(laws, _train(laws, horizon, *_starts(run)), strict=True):
            a, b = _diagonals(blocks)
            found += [np.outer(a, b), sim.population_loss(blocks, law.sequences(3 * horizon), horizon)]
        return components(*found)

    def predict(product=in_context.mesa_product, loss=in_context.mesa_loss) -> Array:
        found = []
        for law in laws:
            c = product(law.moments, horizon=horizon)
            found += [np.full((dim, dim), c), loss(c, law.moments, dim=dim, horizon=horizon)]
        return components(*found)

    def variant(harmonic: float, *, others: bool = True):
        def product(moments: in_context.TokenMoments, *, horizon: int) -> float:
            kappa3 = moments.kappa3 if others else moments.kappa1 * moments.kappa0
            return moments.kappa1 / (moments.kappa2 + kappa3 * harmonic)

        return product

    t = np.arange(2, horizon)
    mean = float(np.mean(1 / (t - 1)))
    initial = [dim * (horizon - 2) / 2 * law.moments.kappa0 for law in laws]
    scales = [
        part
        for law, first in zip(laws, initial, strict=True)
        for part in (np.full((dim, dim), in_context.mesa_product(law.moments, horizon=horizon)), first)
    ]
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "sum of 1/t for 1/(t-1)": lambda: predict(variant(float(np.mean(1 / t)))),
            "divided by T for T - 2": lambda: predict(variant(mean * (horizon - 2) / horizon)),
            "kappa_3 without the other coordinates": lambda: predict(variant(mean, others=False)),
            "kappa_1 / kappa_2 at finite T": lambda: predict(variant(0.0)),
            "fourth moment over sixth without kappa_3's share of the loss": lambda: predict(
                loss=lambda c, m, *, dim, horizon: (
                    dim * (horizon - 2) / 2 * (m.kappa0 - 2 * c * m.kappa1 + c**2 * m.kappa2)
                )
            ),
        },
        scale=components(*scales),
    )


@PAPER.claim(
    "long-sequences",
    statement=r"""The product tends to $\kappa_1 / \kappa_2$ with an error of order $\log T / T$: with $D(n) = n / (a
    b)$ after training on $T = n + 2$ tokens, $D(4n) - 3 D(2n) + 2 D(n) \to -(\kappa_3 / \kappa_1) \log 2$, and differs
    from it by $3 \kappa_3 / (8 \kappa_1 n)$ to leading order.""",
    source="Theorem 4.1, long sequences (derived)",
    agreement=ConvergenceOrder(order=1, resolution=1e-2, accuracy=1e-7),
    controls=("a pure power 1/T", "kappa_3 / kappa_2", "logarithm to base 2", "correction 1/(2n)"),
)
def long_sequences(run: Run) -> Trial:
    """Train all entries of the two blocks at horizons that double.

    Any power T^-1 drops out of the combination of three horizons, a logarithm does not. n / ab is accurate to 1e-8 of
    its largest value, some ten times the limit.
    """
    doublings = run.size("doublings", quick=6, standard=7, full=8)
    laws = _laws(run, "rademacher", "uniform", dim=2)
    sizes = 2 ** np.arange(1, doublings + 1)

    def measure() -> Steps:
        found = []
        for law in laws:
            forms = sim.quadratic_forms(
                law.sequences(int(sizes[-1]) + 3, relative=True), int(sizes[-1]) + 2, two_blocks=True
            )
            chosen = jax.tree.map(lambda leaf: leaf[sizes - 1], forms)
            a, b = _diagonals(jax.vmap(sim.train, in_axes=(None, 0))(sim.scaled_identities(*_starts(run), 2), chosen))
            scaled = sizes / (a[:, 0] * b[:, 0])
            found.append(scaled[2:] - 3 * scaled[1:-1] + 2 * scaled[:-2])
        return Steps(1 / sizes[:-2], np.stack(found, axis=1))

    def predict(*, limit: float = -np.log(2), slope: float = 3 / 8, over: str = "kappa1") -> Limit:
        ratio = np.array([law.moments.kappa3 / getattr(law.moments, over) for law in laws])
        return Limit(limit * ratio, slope * ratio)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "a pure power 1/T": lambda: predict(limit=0.0),
            "kappa_3 / kappa_2": lambda: predict(over="kappa2"),
            "logarithm to base 2": lambda: predict(limit=-1.0),
            "correction 1/(2n)": lambda: predict(slope=0.5),
        },
    )


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
    laws, t = _laws(run, *KINDS, dim=dim), np.arange(2, length + 1)

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
    laws = _laws(run, "gaussian", "uniform", dim=run.size("dimension", quick=2, standard=2, full=3))
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
                a, b = _diagonals(path)
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
    laws, t = _laws(run, *KINDS, dim=dim), np.arange(2, length + 1)
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
    laws = _laws(run, "rademacher", "gaussian", "uniform", dim=2)

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
    (law,) = _laws(run, "one_hot", dim=2)
    phases = np.exp(2j * np.pi * run.rng().random((2, 2)))
    firsts = law.scale * np.diag(run.rng("signs").choice([-1.0, 1.0], 2))

    def continued(kind: str, tokens: Array) -> Array:
        (blocks,) = _train([law._replace(kind=kind)], horizon, *_starts(run))
        a, b = _diagonals(blocks)
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
    (law,) = _laws(run, "gaussian", dim=2)
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
