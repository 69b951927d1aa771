"""Noisy layers: the share of a divergence that dropout, DropConnect and Gaussian noise let through."""

from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array
from paper_checks.papers.he2024.paper import PAPER
from simulations import generalization as sim
from theory import generalization as gen

RATES = (0.1, 0.4, 0.8)

_contractions = jax.jit(jax.vmap(sim.contraction_of_pair, in_axes=(0, None)))
_noise_contractions = jax.jit(jax.vmap(sim.contraction_of_noise, in_axes=(0, None, None)))


def _cube(d: int) -> Array:
    """Return the 2^d inputs of units that are 1 or 2, so that none is 0 already."""
    return np.asarray(1.0 + ((np.arange(2**d)[:, None] >> np.arange(d)) & 1), float)


def _hardest(run: Run, channel: Array, name: str, *, draws: int, steps: int) -> Array:
    """Contractions of random pairs of laws in front of a channel, and of pairs climbed to from some of them."""
    start = 2 * jax.random.normal(run.key(name), (draws, 2 * channel.shape[0]))
    reached = sim.hardest_instances(
        run.key(f"climb {name}"), sim.contraction_of_pair, start[:6], jnp.asarray(channel), n_steps=steps
    ).instances
    found = np.asarray(_contractions(jnp.concatenate([start, reached]), jnp.asarray(channel)))
    # laws closer than a hundredth of a nat are no evidence: nothing came through
    return np.nan_to_num(found, nan=0.0)


def _certain_pair(size: int, first: Array, second: Array) -> Array:
    """Return logits of two laws that put their weights on some inputs and none on the rest."""
    laws = np.full((2, size), -1e3)
    for row, weights in zip(laws, (first, second), strict=True):
        row[weights > 0] = np.log(weights[weights > 0])
    return laws.reshape(1, -1)


def _share(channel: Array, first: Array, second: Array) -> float:
    return float(_contractions(jnp.asarray(_certain_pair(len(first), first, second)), jnp.asarray(channel))[0])


def _sizes(run: Run) -> tuple[int, int]:
    draws = run.size("random pairs of laws", quick=500, standard=5000, full=100_000)
    steps = run.size("steps of the search", quick=400, standard=2000, full=20_000)
    return draws, steps


@PAPER.claim(
    "sdpi-dropout",
    statement=r"""Dropout of $d$ units at rate $\delta$ lets a share of at most $1 - \delta^d$ of a divergence through,
    and this much where every unit tells the laws apart as well as all do.""",
    source="strong data-processing inequality for dropout; constant derived here",
    agreement=Bound(tight=1e-9),
    controls=("1 - delta", "1 - d delta", "(1 - delta)^d", "one unit fewer"),
)
def sdpi_dropout(run: Run) -> Trial:
    """List all masks; try random pairs of laws, pairs that a search finds, and units that are copies of each other."""
    draws, steps = _sizes(run)
    cases = [(rate, d) for rate in RATES for d in (1, 2, 3)]

    def measure() -> Array:
        found = []
        for rate, d in cases:
            channel = sim.dropout_channel(_cube(d), rate)
            first, second = np.zeros((2, 2**d))
            first[[0, -1]], second[[0, -1]] = (0.8, 0.2), (0.3, 0.7)
            found.append(
                np.append(
                    _hardest(run, channel, f"{rate}, {d}", draws=draws, steps=steps), _share(channel, first, second)
                )
            )
        return np.array(found)

    rate, d = (np.array(part)[:, None] for part in zip(*cases, strict=True))
    shape = (1, draws + 7)

    def predict(more: int = 0) -> Array:
        return np.asarray(gen.dropout_contraction(rate, d + more)) * np.ones(shape)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 - delta": lambda: (1 - rate) * np.ones(shape),
            "1 - d delta": lambda: np.maximum(1 - d * rate, 0) * np.ones(shape),
            "(1 - delta)^d": lambda: (1 - rate) ** d * np.ones(shape),
            "one unit fewer": lambda: np.asarray(gen.dropout_contraction(rate, np.maximum(d - 1, 1))) * np.ones(shape),
        },
        scale=1.0,
    )


@PAPER.claim(
    "dropout-laws",
    statement=r"""Dropout lets exactly $1 - \delta^d$ through where units are copies of one another, $1 - \delta$ where
    they are independent, and $(1 - \delta)^d$ where the laws differ in the parity of $d$ bits alone.""",
    source="derived here; between which laws the constant of dropout lies",
    agreement=Identity(rtol=1e-12),  # of the whole: a small share is a difference of larger numbers
    controls=("independent units as copies", "parity as one unit", "copies as one unit", "rate for its complement"),
)
def dropout_laws(run: Run) -> Trial:
    """List all masks, and sum the divergence behind the layer."""
    rng = run.rng("laws")
    largest = run.size("largest number of units", quick=4, standard=6, full=8)
    cases = [(float(rng.uniform(0.05, 0.95)), d) for d in range(1, largest + 1) for _ in range(2)]
    rate, d = (np.array(part) for part in zip(*cases, strict=True))

    chances = [(rng.uniform(0.1, 0.4, d), rng.uniform(0.5, 0.9, d)) for _, d in cases]

    def measure() -> Array:
        found = []
        for (rate, d), (p, q) in zip(cases, chances, strict=True):
            channel = sim.dropout_channel(_cube(d), rate)
            bits = (_cube(d) - 1).astype(int)
            copies = [np.where(bits.all(axis=1), a, np.where(bits.any(axis=1), 0.0, 1 - a)) for a in (p[0], q[0])]
            product = [np.prod(np.where(bits == 1, a, 1 - a), axis=1) for a in (p, q)]
            odd = bits.sum(axis=1) % 2
            parity = [np.where(odd == 1, a, 1 - a) / 2 ** (d - 1) for a in (p[0], q[0])]
            found.append([_share(channel, *pair) for pair in (copies, product, parity)])
        return np.array(found)

    def predict(*columns: int) -> Array:
        one = np.asarray(gen.dropout_contraction(rate, 1))
        return np.stack([np.asarray(gen.dropout_contraction(rate, d)), one, one**d], axis=1)[:, columns or (0, 1, 2)]

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "independent units as copies": lambda: predict(0, 0, 2),
            "parity as one unit": lambda: predict(0, 1, 1),
            "copies as one unit": lambda: predict(1, 1, 2),
            "rate for its complement": lambda: np.stack([1 - (1 - rate) ** d, rate, rate**d], axis=1),
        },
        scale=1.0,
    )


@PAPER.claim(
    "sdpi-dropconnect",
    statement=r"""A layer whose $d_{in} d_{out}$ weights are dropped at rate $\delta$ lets a share of at most
    $1 - \delta^{d_{in} d_{out}}$ of a divergence through, and this much between two multiples of $(1, \dots, 1)$ in
    front of generic weights.""",
    source="strong data-processing inequality for DropConnect; constant derived here",
    agreement=Bound(tight=1e-9),
    controls=("1 - delta", "1 - delta^d_in", "one weight fewer", "(1 - delta)^(d_in d_out)"),
)
def sdpi_dropconnect(run: Run) -> Trial:
    """List all masks; try random pairs of laws, pairs that a search finds, and the pair that loses least."""
    draws, steps = _sizes(run)
    cases = [(rate, d_in, d_out) for rate in RATES for d_in, d_out in ((2, 1), (2, 2))]

    def measure() -> Array:
        found = []
        for rate, d_in, d_out in cases:
            W = run.rng(f"weights {d_in}, {d_out}").uniform(0.5, 2, (d_out, d_in))
            inputs = np.concatenate([_cube(d_in)[1:-1], [np.ones(d_in), np.sqrt(7) * np.ones(d_in)]])
            channel = sim.dropconnect_channel(inputs, W, rate)
            first, second = np.zeros((2, len(inputs)))
            first[-2:], second[-2:] = (0.8, 0.2), (0.3, 0.7)
            found.append(
                np.append(
                    _hardest(run, channel, f"{rate}, {d_in}, {d_out}", draws=draws, steps=steps),
                    _share(channel, first, second),
                )
            )
        return np.array(found)

    rate, d_in, d_out = (np.array(part)[:, None] for part in zip(*cases, strict=True))
    shape = (1, draws + 7)
    number = d_in * d_out

    return Trial(
        predict=lambda: np.asarray(gen.dropconnect_contraction(rate, d_in, d_out)) * np.ones(shape),
        measure=measure,
        controls={
            "1 - delta": lambda: (1 - rate) * np.ones(shape),
            "1 - delta^d_in": lambda: (1 - rate**d_in) * np.ones(shape),
            "one weight fewer": lambda: (1 - rate ** np.maximum(number - 1, 1)) * np.ones(shape),
            "(1 - delta)^(d_in d_out)": lambda: (1 - rate) ** number * np.ones(shape),
        },
        scale=1.0,
    )


@PAPER.claim(
    "sdpi-noise",
    statement=r"""Gaussian noise of deviation $s$ on activations in a set of diameter $D$ lets a share of at most
    $2 \Phi(D / (2 s)) - 1$ of a divergence through.""",
    source="Dobrushin 1956; Polyanskiy and Wu 2017; for activations with bounded range",
    agreement=Bound(),
    controls=("2 Phi(D / (4 s)) - 1", "share lost for share kept"),
)
def sdpi_noise(run: Run) -> Trial:
    """Sum densities on a grid for random laws on five places of an interval, and for laws that a search finds.

    Laws on a set act through their places alone; for two of them the interval between is what matters, so that one
    dimension is the hard case.
    """
    draws, steps = _sizes(run)
    diameters = np.array([0.5, 1.0, 2.0, 4.0])
    noise = 1.0

    def measure() -> Array:
        found = []
        for diameter in diameters:
            name = f"{diameter}"
            start = 2 * jax.random.normal(run.key(name), (draws // 4, 15))
            shared = (jnp.asarray(diameter), jnp.asarray(noise))
            reached = sim.hardest_instances(
                run.key(f"climb {name}"), sim.contraction_of_noise, start[:6], *shared, n_steps=steps
            ).instances
            shares = np.asarray(_noise_contractions(jnp.concatenate([start, reached]), *shared))
            found.append(np.nan_to_num(shares, nan=0.0))
        return np.array(found)

    shape = (1, draws // 4 + 6)

    def predict(factor: float = 1.0) -> Array:
        return np.asarray(gen.gaussian_noise_contraction(factor * diameters, noise))[:, None] * np.ones(shape)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "2 Phi(D / (4 s)) - 1": lambda: predict(0.5),
            "share lost for share kept": lambda: 1 - predict(),
        },
        scale=1.0,
    )


@PAPER.claim(
    "sdpi-chain",
    statement=r"""Shares multiply: behind two noisy layers at most $\eta_1 \eta_2$ of a divergence is left, whatever the
    second does to what the first let through.""",
    source="product form of the bound for noisy networks; derived here",
    agreement=Bound(tight=1e-9),
    controls=("square of the product", "the smaller share twice", "rate of one layer for both"),
)
def sdpi_chain(run: Run) -> Trial:
    """Send pairs of laws through dropout, and what it makes of them through dropout again at another rate."""
    draws, steps = _sizes(run)
    cases = [(0.3, 0.6, 2), (0.7, 0.2, 2), (0.5, 0.5, 1)]

    @lru_cache
    def shares() -> Array:
        found = []
        for first_rate, second_rate, d in cases:
            inputs = _cube(d)
            masks = (np.arange(2**d)[:, None] >> np.arange(d)) & 1
            # the layer between copies its unit: what is not lost by dropout is seen again by all units of the next
            kept = inputs[:, None] * masks
            weights = first_rate ** (d - masks.sum(axis=1)) * (1 - first_rate) ** masks.sum(axis=1)
            outcomes, place = np.unique(kept.reshape(-1, d), axis=0, return_inverse=True)
            first = np.zeros((len(inputs), len(outcomes)))
            np.add.at(
                first, (np.repeat(np.arange(len(inputs)), len(masks)), place.ravel()), np.tile(weights, len(inputs))
            )
            second = sim.dropout_channel(np.repeat(outcomes.sum(axis=1, keepdims=True) + 1, d, axis=1), second_rate)
            channel = first @ second
            p, q = np.zeros((2, 2**d))
            p[[0, -1]], q[[0, -1]] = (0.8, 0.2), (0.3, 0.7)
            found.append(
                np.append(
                    _hardest(run, channel, f"{first_rate}, {second_rate}", draws=draws, steps=steps),
                    _share(channel, p, q),
                )
            )
        return np.array(found)

    first, second, d = (np.array(part)[:, None] for part in zip(*cases, strict=True))
    one, two = (np.asarray(gen.dropout_contraction(rate, d)) for rate in (first, second))
    spread = partial(np.multiply, np.ones((1, draws + 7)))

    return Trial(
        predict=lambda: spread(one * two),
        measure=shares,
        controls={
            "square of the product": lambda: spread((one * two) ** 2),
            "the smaller share twice": lambda: spread(np.minimum(one, two) ** 2),
            "rate of one layer for both": lambda: spread(one**2),
        },
        scale=1.0,
    )
