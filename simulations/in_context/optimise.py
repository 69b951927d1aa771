"""Training on fresh prompts at every step, in segments that end with a checkpoint, so that a long run can go on."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax  # type: ignore[import-untyped]
from jax import Array
from jaxtyping import Float, Key

from simulations import validation
from simulations.in_context.transformer import Prompts, Transformer, draw_prompts


@dataclass(frozen=True)
class Recipe:
    """How to train: Adam with global clipping, linear warm-up, and a cosine decay to a hundredth of the peak rate.

    Attributes
    ----------
    steps, warmup : int
        Gradient steps in all, and those of the warm-up among them.
    batch, examples, queries : int
        Prompts a step, and context examples and queries in each.
    scales : sequence of float
        Standard deviation of each input coordinate.
    sphere : bool
        Inputs of one length, see `draw_prompts`.
    learning_rate, clip : float
        Peak rate, and the largest norm that a gradient keeps.
    """

    steps: int
    batch: int
    examples: int
    queries: int
    scales: Sequence[float]
    sphere: bool = False
    learning_rate: float = 2e-3
    warmup: int = 300
    clip: float = 0.1

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "examples", "queries"):
            validation.integer(name, getattr(self, name), minimum=1)
        validation.integer("warmup", self.warmup, minimum=0)
        for name in ("learning_rate", "clip"):
            validation.positive(name, getattr(self, name), ndim=0)
        object.__setattr__(self, "scales", tuple(float(s) for s in validation.positive("scales", self.scales, ndim=1)))
        if self.warmup >= self.steps:
            raise ValueError(f"warmup must end before the {self.steps} steps do; got {self.warmup}")

    def optimiser(self) -> optax.GradientTransformation:
        """Return the optimiser, whose state counts the steps."""
        rate = optax.warmup_cosine_decay_schedule(
            0.0, self.learning_rate, self.warmup, self.steps, self.learning_rate / 100
        )
        return optax.chain(optax.clip_by_global_norm(self.clip), optax.adam(rate))


def prompt_loss(model: Transformer, prompts: Prompts) -> Float[Array, ""]:
    """Mean squared error of the answers to all queries."""
    answers = jax.vmap(model)(prompts.x, prompts.y, prompts.queries)
    return jnp.mean((answers - prompts.targets) ** 2)


def train_transformers(
    models: Transformer,
    keys: Key[Array, " networks"],
    recipe: Recipe,
    *,
    checkpoint: str | Path | None = None,
    segment: int | None = None,
    stop_after: int | None = None,
) -> Transformer:
    """Train several transformers at once, each on prompts of its own, all from one recipe.

    The prompts of a step are a function of the network's key and the step's number alone, so that a run that was cut
    off and one that was not end at the same weights.

    Parameters
    ----------
    models : Transformer
        Stacked along the first axis of every leaf, as `equinox.filter_vmap` makes them.
    keys : keys, shape (networks,)
        One for each network.
    recipe : Recipe
        How to train.
    checkpoint : path, optional
        File to which models, optimiser and step number are written after every segment. When it exists already the
        run goes on from there; it must stem from the same recipe and keys. The caller removes it in the end.
    segment : int, optional
        Steps between checkpoints; a tenth of all when left out.
    stop_after : int, optional
        Segments after which to return all the same.

    Returns
    -------
    Transformer
        The trained networks, stacked as they came.

    Raises
    ------
    ValueError
        If the checkpoint belongs to another run, or a number is below 1.
    """
    length = max(1, recipe.steps // 10) if segment is None else validation.integer("segment", segment, minimum=1)
    allowed = recipe.steps if stop_after is None else validation.integer("stop_after", stop_after, minimum=1)
    optimiser = recipe.optimiser()
    arrays = eqx.filter(models, eqx.is_array)
    state = (models, jax.vmap(optimiser.init)(arrays), jnp.zeros((), jnp.int64))
    label = json.dumps({"recipe": asdict(recipe), "keys": jax.random.key_data(keys).tolist()}, sort_keys=True)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and path.exists():
        state = _read(path, label, state)
    done = int(state[2])
    for _ in range(allowed):
        if done >= recipe.steps:
            break
        count = min(length, recipe.steps - done)
        state = _advance(*state, keys, jnp.asarray(count), recipe)
        done += count
        if path is not None:
            _write(path, label, state)
    return state[0]


@eqx.filter_jit
def _advance(models: Transformer, moments: Any, done: Array, keys: Array, count: Array, recipe: Recipe) -> Any:
    optimiser = recipe.optimiser()

    def one(model: Transformer, moments: Any, key: Array) -> tuple[Transformer, Any]:
        def step(i: Array, carry: tuple[Transformer, Any]) -> tuple[Transformer, Any]:
            weights, moments = carry
            prompts = draw_prompts(
                jax.random.fold_in(key, done + i),
                prompts=recipe.batch,
                examples=recipe.examples,
                queries=recipe.queries,
                scales=recipe.scales,
                sphere=recipe.sphere,
                dtype=model.read_out.dtype,
            )
            slope = jax.grad(lambda w: prompt_loss(eqx.combine(w, static), prompts))(weights)
            move, moments = optimiser.update(slope, moments, weights)
            return optax.apply_updates(weights, move), moments

        weights, static = eqx.partition(model, eqx.is_array)
        weights, moments = jax.lax.fori_loop(0, count, step, (weights, moments))
        return eqx.combine(weights, static), moments

    models, moments = eqx.filter_vmap(one)(models, moments, keys)
    return models, moments, done + count


def _write(path: Path, label: str, state: Any) -> None:
    """Write beside the file first, so that an interruption leaves the checkpoint before this one."""
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        file.write(label.encode() + b"\n")
        eqx.tree_serialise_leaves(file, state)
    os.replace(beside, path)


def _read(path: Path, label: str, like: Any) -> Any:
    with path.open("rb") as file:
        if file.readline().decode().rstrip("\n") != label:
            raise ValueError(f"checkpoint {path} belongs to another run: its recipe or its keys differ")
        return eqx.tree_deserialise_leaves(file, like)
