"""Where training ends: two multiples of the identity, their product, and its limit for long sequences."""

from collections.abc import Sequence

import jax
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Limit, Steps, components
from paper_checks.papers.zheng2024._laws import AT_REST, KINDS, diagonals, draw_laws, draw_starts, train
from paper_checks.papers.zheng2024.paper import PAPER
from simulations.in_context import autoregressive as sim
from theory import in_context


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
    laws, (a0, b0) = draw_laws(run, *KINDS, dim=run.size("dimension", quick=2, standard=2, full=3)), draw_starts(run)
    dim = laws[0].dim

    def flat(trained: Sequence[sim.Blocks]) -> Array:
        return components(*(np.stack(blocks) for blocks in trained))

    def measure() -> Array:
        return flat(train(laws, horizon, a0, b0))

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
    laws = draw_laws(run, *KINDS, dim=run.size("dimension", quick=2, standard=2, full=3))
    dim = laws[0].dim

    def measure() -> Array:
        found = []
        for law, blocks in zip(laws, train(laws, horizon, *draw_starts(run)), strict=True):
            a, b = diagonals(blocks)
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
    laws = draw_laws(run, "rademacher", "uniform", dim=2)
    sizes = 2 ** np.arange(1, doublings + 1)

    def measure() -> Steps:
        found = []
        for law in laws:
            forms = sim.quadratic_forms(
                law.sequences(int(sizes[-1]) + 3, relative=True), int(sizes[-1]) + 2, two_blocks=True
            )
            chosen = jax.tree.map(lambda leaf: leaf[sizes - 1], forms)
            a, b = diagonals(
                jax.vmap(sim.train, in_axes=(None, 0))(sim.scaled_identities(*draw_starts(run), 2), chosen)
            )
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
