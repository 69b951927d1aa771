"""Layers whose forward pass is gradient descent: the construction of the paper, built and run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.vonoswald2022.paper import PAPER
from simulations.in_context import attention
from theory import in_context

Array = NDArray[np.float64]

ROUNDING = 1e-12  # a few thousand roundings of either sign, on the scale of the largest entry


class Regression(NamedTuple):
    """A prompt with vector labels, where the descent starts, and a step of each layer that makes it contract."""

    x: Array
    y: Array
    x_query: Array
    w_init: Array
    steps: Array

    @property
    def size(self) -> int:
        """Number of examples."""
        return len(self.x)

    def tokens(self) -> Array:
        """Stack tokens (x, y), the query's token last with minus its first prediction for a label."""
        query = np.concatenate([self.x_query, -self.w_init @ self.x_query])
        return np.concatenate([np.concatenate([self.x, self.y], axis=1), query[None]])


def regressions(run: Run, *, n_layers: int, from_zero: bool = False) -> list[Regression]:
    """Draw prompts of random sizes, and steps on the mean of 0.3 to 0.9 over the largest eigenvalue of X^T X / N."""
    count = run.size("prompts", quick=3, standard=4, full=6)
    most = run.size("largest size", quick=8, standard=24, full=512)
    rng = run.rng()
    found = []
    for _ in range(count):
        n, d_in, d_out = (int(rng.integers(low, most + 1)) for low in (3, 2, 1))
        x, y = rng.standard_normal((n, d_in)), rng.standard_normal((n, d_out))
        start = np.zeros((d_out, d_in)) if from_zero else rng.standard_normal((d_out, d_in))
        top = np.linalg.eigvalsh(x.T @ x / n)[-1]
        found.append(Regression(x, y, rng.standard_normal(d_in), start, rng.uniform(0.3, 0.9, n_layers) / top))
    return found


def layer(weights: in_context.AttentionWeights) -> attention.Layer:
    """Hand the weights of the theory over to the simulation, as plain arrays."""
    return attention.make_layer(weights.w_k, weights.w_q, weights.w_v, weights.p)


def weights(problem: Regression, step: float, **options: Any) -> in_context.AttentionWeights:
    """Build the paper's layer for a prompt."""
    return in_context.gd_attention_weights(problem.w_init, normalized_step_size=step, n_context=problem.size, **options)


def run_layers(layers: attention.Layer, problem: Regression, *, see_query: bool = False) -> Array:
    """Pass the prompt through the layers; keys and values come from the examples, unless the query is let in."""
    tokens = problem.tokens()
    mask = attention.context_mask(len(tokens), len(tokens) if see_query else problem.size)
    return np.asarray(attention.forward(layers, jnp.asarray(tokens), mask))


def descended_tokens(problem: Regression, path: Array) -> Array:
    """Tokens that a path of descent stands for: residual labels, and minus the query's predictions."""
    tokens = np.tile(problem.tokens(), (len(path), 1, 1))
    d_in = problem.x.shape[1]
    tokens[:, :-1, d_in:] -= np.einsum("nd,kod->kno", problem.x, path - path[0])
    tokens[:, -1, d_in:] = -path @ problem.x_query
    return tokens


@PAPER.claim(
    "token-update",
    statement=r"""With $W_K = W_Q = \mathrm{diag}(I, 0)$, $W_V = \bigl(\begin{smallmatrix} 0 & 0 \\ W_0 & -I
    \end{smallmatrix}\bigr)$ and $P = \tfrac{\eta_N}{N} I$ a linear attention layer takes one step of gradient
    descent: $x_j$ stays, $y_j \to y_j - \Delta W x_j$, and the query's slot $-W_0 x_q \to -(W_0 + \Delta W) x_q$.""",
    source="Proposition 1",
    agreement=Identity(rtol=ROUNDING),
    controls=(
        "step of the sum for the mean",
        "context left alone",
        "identity not negated",
        "step not divided by N",
        "query among the keys",
    ),
)
def token_update(run: Run) -> Trial:
    """Run one layer on prompts of random sizes, from random weights, and compare every entry of every token."""
    problems = regressions(run, n_layers=1)

    def measure(change: Callable[[Any], Any] = lambda w: w, *, see_query: bool = False) -> Array:
        found = []
        for problem in problems:
            built = layer(change(weights(problem, problem.steps[0])))
            found.append(run_layers(attention.stack(built), problem, see_query=see_query)[-1])
        return components(*found)

    def predict(*, by_size: bool = False, context: bool = True) -> Array:
        found = []
        for problem in problems:
            step = problem.steps[0] * (problem.size if by_size else 1)
            path = in_context.gd_weights(
                problem.x, problem.y, normalized_step_size=step, n_steps=1, w_init=problem.w_init
            )
            tokens = descended_tokens(problem, path)[-1]
            found.append(tokens if context else np.concatenate([problem.tokens()[:-1], tokens[-1:]]))
        return components(*found)

    def not_negated(w: in_context.AttentionWeights) -> in_context.AttentionWeights:
        signs = np.sign(np.diag(w.w_v))
        return replace(w, w_v=w.w_v - 2 * np.diag(signs))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "step of the sum for the mean": lambda: predict(by_size=True),
            "context left alone": lambda: predict(context=False),
        },
        counterexamples={
            "identity not negated": lambda: measure(not_negated),
            "step not divided by N": lambda: components(
                *(run_layers(attention.stack(layer(weights(p, p.steps[0] * p.size))), p)[-1] for p in problems)
            ),
            "query among the keys": lambda: measure(see_query=True),
        },
        scale="largest",
    )


@PAPER.claim(
    "query-among-keys",
    statement=r"""Letting the query's token in among keys and values shifts the prediction of one layer by exactly
    $-\tfrac{2 \eta_N}{N} |x_q|^2 \, W_0 x_q$, which vanishes only if $W_0 x_q = 0$.""",
    source="remark on Proposition 1 (derived)",
    agreement=Identity(rtol=ROUNDING),
    controls=("no shift", "factor 1 for 2", "sign", "|x_q| for its square"),
)
def query_among_keys(run: Run) -> Trial:
    """Run one layer whose keys and values come from all tokens."""
    problems = regressions(run, n_layers=1)

    def measure() -> Array:
        found = []
        for problem in problems:
            built = attention.stack(layer(weights(problem, problem.steps[0])))
            found.append(-run_layers(built, problem, see_query=True)[-1, -1, problem.x.shape[1] :])
        return components(*found)

    def predict(*, factor: float = 2.0, power: float = 1.0) -> Array:
        found = []
        for problem in problems:
            step, query = problem.steps[0], problem.x_query
            path = in_context.gd_weights(
                problem.x, problem.y, normalized_step_size=step, n_steps=1, w_init=problem.w_init
            )
            shift = factor * step / problem.size * (query @ query) ** power * problem.w_init @ query
            found.append(path[-1] @ query - shift)
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no shift": lambda: predict(factor=0.0),
            "factor 1 for 2": lambda: predict(factor=1.0),
            "sign": lambda: predict(factor=-2.0),
            "|x_q| for its square": lambda: predict(power=0.5),
        },
        scale="largest",
    )


@PAPER.claim(
    "multi-layer",
    statement=r"""$L$ such layers, their steps equal or not, take $L$ steps of gradient descent: after layer $l$
    the context holds the residuals $y_j - (W_l - W_0) x_j$ and the query's slot $-W_l x_q$. The query must not be
    among the keys, where its slot is no longer zero.""",
    source="section on multiple layers",
    agreement=Identity(rtol=ROUNDING),
    controls=("one step ahead", "equal steps", "query among the keys from the second layer"),
)
def multi_layer(run: Run) -> Trial:
    """Run stacks of layers, each with a step of its own, from zero and from random weights, and compare every layer."""
    depth = run.size("layers", quick=12, standard=48, full=200)
    problems = regressions(run, n_layers=depth)
    problems[0] = problems[0]._replace(w_init=0 * problems[0].w_init)

    def measure(*, see_query: bool = False) -> Array:
        found = []
        for problem in problems:
            first, *rest = (layer(weights(problem, step)) for step in problem.steps)
            tokens = run_layers(attention.stack(first), problem)
            if see_query:
                everything = attention.context_mask(len(tokens[-1]), len(tokens[-1]))
                later = attention.forward(attention.stack(*rest), jnp.asarray(tokens[-1]), everything)
                found.append(np.concatenate([tokens, later[1:]]))
            else:
                found.append(run_layers(attention.stack(first, *rest), problem))
        return components(*found)

    def predict(*, ahead: int = 0, equal: bool = False) -> Array:
        found = []
        for problem in problems:
            steps = np.full(depth, problem.steps.mean()) if equal else problem.steps
            path = [problem.w_init]
            for step in [*steps, *steps[:ahead]]:
                (_, after) = in_context.gd_weights(
                    problem.x, problem.y, normalized_step_size=step, n_steps=1, w_init=path[-1]
                )
                path.append(after)
            tokens = descended_tokens(problem, np.stack(path))[ahead:]
            found.append(tokens)
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "one step ahead": lambda: predict(ahead=1),
            "equal steps": lambda: predict(equal=True),
        },
        counterexamples={"query among the keys from the second layer": lambda: measure(see_query=True)},
        scale="largest",
    )
