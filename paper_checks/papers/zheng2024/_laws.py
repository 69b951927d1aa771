"""Laws of the first token, and training under them."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.claim import Run
from paper_checks.evidence import Array
from simulations.in_context import autoregressive as sim
from theory import in_context

KINDS = ("rademacher", "one_hot", "gaussian", "uniform")
AT_REST = 1e-8  # a hundred times the gradient, relative to its start, at which training stops


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


def draw_laws(run: Run, *kinds: str, dim: int) -> list[Law]:
    rng = run.rng("scales")
    return [Law(kind, dim, float(rng.uniform(0.8, 1.25))) for kind in kinds]


def draw_starts(run: Run) -> tuple[float, float]:
    a0, b0 = run.rng("start").uniform(0.2, 0.6, 2)
    return float(a0), float(b0)


def train(laws: Sequence[Law], horizon: int, a0: float, b0: float) -> list[sim.Blocks]:
    """Train all 2 (3 d)^2 parameters, one network a law."""
    forms = [sim.quadratic_form(law.sequences(3 * horizon), horizon) for law in laws]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *forms)
    trained = jax.vmap(sim.train, in_axes=(None, 0))(sim.scaled_identities(a0, b0, laws[0].dim), stacked)
    return [jax.tree.map(lambda leaf, k=k: leaf[k], trained) for k in range(len(laws))]


def diagonals(blocks: sim.Blocks) -> tuple[Array, Array]:
    """Diagonals of block (3, 2) of W_KQ and of block (1, 2) of W_PV, the entries called a and b."""
    dim = blocks.value.shape[-1] // 3
    a = np.diagonal(np.asarray(blocks.key_query)[..., 2 * dim :, dim : 2 * dim], axis1=-2, axis2=-1)
    b = np.diagonal(np.asarray(blocks.value)[..., :dim, dim : 2 * dim], axis1=-2, axis2=-1)
    return a, b
