"""Trained transformers, layer by layer, beside Newton's method and gradient descent."""

from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
import numpy as np
import platformdirs

from paper_checks.agreement import Ordering
from paper_checks.claim import Run, Trial
from paper_checks.papers.fu2023.paper import PAPER
from simulations.in_context import probes
from simulations.in_context.optimise import Recipe, prompt_loss, train_transformers
from simulations.in_context.transformer import Prompts, Transformer, draw_prompts, init_transformer


@dataclass(frozen=True)
class Study:
    """What is trained, how, and on how many prompts it is read out."""

    attention: Literal["linear", "softmax"]
    dimension: int
    examples: int
    layers: int
    width: int
    heads: int
    recipe: Recipe
    networks: int
    fit: int
    test: int
    doublings: int
    iterations: int = 24
    queries: int = 6


def _recipe(d: int, n: int, **options) -> Recipe:
    return Recipe(examples=n, scales=(1.0,) * d, **options)


STUDIES = {
    "quick": Study(
        "linear",
        3,
        9,
        3,
        16,
        2,
        _recipe(3, 9, steps=400, batch=64, queries=4, sphere=True, learning_rate=1e-2, warmup=60, clip=0.3),
        networks=3,
        fit=2048,
        test=1024,
        doublings=9,
    ),
    "standard": Study(
        "linear",
        5,
        15,
        4,
        32,
        4,
        _recipe(5, 15, steps=1500, batch=64, queries=4, sphere=True, learning_rate=5e-3, warmup=200, clip=0.2),
        networks=2,
        fit=4096,
        test=2048,
        doublings=11,
    ),
    "full": Study(
        "softmax",
        20,
        40,
        12,
        256,
        8,
        _recipe(20, 40, steps=100_000, batch=256, queries=16, learning_rate=3e-4, warmup=3000, clip=1.0),
        networks=1,
        fit=16384,
        test=4096,
        doublings=12,
    ),
}


@lru_cache(maxsize=2)
def trained(scale: str, seed: int) -> tuple[Transformer, Prompts, Prompts]:
    """Train the networks of a scale, and return the one that answers fresh prompts best, with prompts for its probes.

    A run of many segments leaves checkpoints in the user's cache, from which the same call goes on; they are removed
    in the end.
    """
    study, run = STUDIES[scale], Run("fu2023.trained", scale, seed)
    init = partial(
        init_transformer,
        dimension=study.dimension,
        layers=study.layers,
        width=study.width,
        heads=study.heads,
        attention=study.attention,
    )
    models = eqx.filter_vmap(lambda key: init(key))(run.keys(study.networks, "weights"))
    checkpoint = _checkpoint(study, seed) if scale == "full" else None
    models = train_transformers(models, run.keys(study.networks, "prompts"), study.recipe, checkpoint=checkpoint)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    draw = partial(draw_prompts, examples=study.examples, scales=study.recipe.scales, sphere=study.recipe.sphere)
    fit, test = probes.draw_test_prompts(run.key("probes"), draw, fit=study.fit, test=study.test, queries=study.queries)
    held_out = draw(run.key("held out"), prompts=study.test, queries=study.queries)
    losses = eqx.filter_jit(eqx.filter_vmap(prompt_loss, in_axes=(eqx.if_array(0), None)))(models, held_out)
    best = int(np.argmin(np.nan_to_num(np.asarray(losses), nan=np.inf)))
    return jax.tree.map(lambda leaf: leaf[best] if eqx.is_array(leaf) else leaf, models), fit, test


def _checkpoint(study: Study, seed: int) -> Path:
    name = sha256(f"{asdict(study)} {seed}".encode()).hexdigest()[:16]
    folder = platformdirs.user_cache_path("closedform") / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"fu2023-{name}.eqx"


def report(scale: str, seed: int, *, descent_stack: bool = False) -> tuple[probes.LayerReport, probes.Solvers]:
    """Compare the layers of the trained network, or of an exact gradient-descent stack, with the solvers."""
    model, fit, test = trained(scale, seed)
    study = STUDIES[scale]
    solvers = probes.solver_errors(test, iterations=study.iterations, doublings=study.doublings)
    if descent_stack:
        states = partial(probes.descent_stack_states, layers=study.layers, rate=probes.common_rate(test))
    else:
        states = partial(probes.network_states, model)
    return probes.compare_layers(states(fit), fit, states(test), test, solvers), solvers


@PAPER.claim(
    "trained-depth",
    statement=r"""Read out by linear probes, the layers of a transformer trained on in-context regression improve as
    Newton's iterations do: at equal mean squared error the number of iterations grows by more than 2 and fewer than 5 a
    layer, the number of gradient steps by more than $2^{1.2}$ a layer and in all by more than $2^{1.2 (L - 1)}$, where
    a stack with one gradient step a layer gains less than one iteration a layer in the end. The statistic shows how
    fast layers converge, not what they compute: the largest similarity of errors with iterates is no higher than that
    with gradient steps, and falls with depth.""",
    source="figures on layers against iterations; probes and statistics as described here",
    agreement=Ordering(),
    controls=("exact gradient-descent stack", "one iteration a layer", "ten iterations a layer"),
)
def trained_depth(run: Run) -> Trial:
    """Slopes over the layers of the best of a few trained networks; those of a GD stack from the same probes.

    Quick and standard train attention-only linear transformers on inputs of one length, full a softmax transformer
    with MLPs and layer norm on Gaussian inputs; a prompt has several queries, over which similarity is taken.
    """
    study = STUDIES[run.scale]
    run.size("study", **{scale: str(asdict(one)) for scale, one in STUDIES.items()})

    def statistics(descent_stack: bool = False) -> np.ndarray:
        found, _ = report(run.scale, run.seed, descent_stack=descent_stack)
        newton, descent, rise = np.asarray(probes.depth_statistics(found))
        return np.array([newton, -newton, descent, rise])

    def thresholds(least: float = 2.0, most: float = 5.0) -> np.ndarray:
        return np.array([least, -most, 1.2, 1.2 * (study.layers - 1)])

    return Trial(
        predict=thresholds,
        measure=statistics,
        controls={
            "one iteration a layer": lambda: thresholds(0.5, 1.5),
            "ten iterations a layer": lambda: thresholds(9.5, 10.5),
        },
        counterexamples={"exact gradient-descent stack": lambda: statistics(descent_stack=True)},
    )
