"""Dai et al. 2022: attention to demonstrations as the dual form of gradient descent, and what momentum does to both.

The algebra only: what language models do on real text is outside this package.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Identity
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import components
from simulations.in_context import attention, dual
from theory import in_context

Array = NDArray[np.float64]

PAPER = Paper(
    key="dai2022",
    title="Why can GPT learn in-context? Language models implicitly perform gradient descent as meta-optimizers",
    authors="Damai Dai, Yutao Sun, Li Dong, Yaru Hao, Shuming Ma, Zhifang Sui, Furu Wei",
    year=2022,
    arxiv="2212.10559",
    wing="in_context",
)

ROUNDING = 1e-12  # sums of at most a few thousand terms of either sign, on the scale of the largest output


@PAPER.claim(
    "dual-form",
    statement=r"""A linear layer trained by gradient descent from $W_0$ outputs $W_0 x + \sum_i e_i (x_i \cdot x)$: the
    old output plus linear attention with its training inputs for keys and, for values, minus the rate times the
    gradients by the outputs, each at the step at which it was used.""",
    source="dual form of a linear layer",
    agreement=Identity(rtol=ROUNDING),
    controls=("all errors at the first weights", "sign of the errors", "without the old output", "inputs in reverse"),
)
def dual_form(run: Run) -> Trial:
    """Train a layer on a loss that is not quadratic; ask the layer, and attention over its history, for new outputs."""
    shapes = run.size(
        "steps, batch, inputs, outputs",
        quick=((4, 5, 6, 3), (9, 2, 3, 7)),
        standard=((20, 16, 32, 16),),
        full=((200, 64, 256, 128),),
    )
    rng = run.rng()
    problems = [
        (
            rng.standard_normal((d_out, d_in)) / np.sqrt(d_in),
            rng.standard_normal((steps, batch, d_in)),
            2 * rng.standard_normal((steps, batch, d_out)),
            rng.standard_normal(d_in),
            rng.uniform(0.05, 0.3) / d_in,
        )
        for steps, batch, d_in, d_out in shapes
    ]

    def trained() -> list[dual.TrainedLayer]:
        return [
            dual.train_linear_layer(jnp.asarray(w0), jnp.asarray(x), jnp.asarray(y), rate)
            for w0, x, y, _, rate in problems
        ]

    def measure() -> Array:
        found = []
        for (w0, x, _, query, _), layer in zip(problems, trained(), strict=True):
            uses = jnp.asarray(x.reshape(-1, x.shape[2]))
            attended = dual.attend_to_errors(jnp.asarray(w0), uses, layer.errors, jnp.asarray(query))
            found += [layer.weights @ query, attended]
        return components(*found)

    def signals() -> list[Array]:
        """Follow the same descent in NumPy: the gradient of log cosh is tanh."""
        found = []
        for w0, x, y, _, rate in problems:
            w, errors = w0, []
            for inputs, targets in zip(x, y, strict=True):
                errors.append(-rate * np.tanh(inputs @ w.T - targets))
                w = w + errors[-1].T @ inputs
            found.append(np.concatenate(errors))
        return found

    def predict(change=lambda w0, x, y, rate, errors: (w0, x, errors)) -> Array:
        found = []
        for (w0, x, y, query, rate), errors in zip(problems, signals(), strict=True):
            start, inputs, values = change(w0, x.reshape(-1, x.shape[2]), y.reshape(-1, y.shape[2]), rate, errors)
            found += [in_context.dual_form(start, inputs, values, query)] * 2
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "all errors at the first weights": lambda: predict(
                lambda w0, x, y, rate, errors: (w0, x, -rate * np.tanh(x @ w0.T - y))
            ),
            "sign of the errors": lambda: predict(lambda w0, x, y, rate, errors: (w0, x, -errors)),
            "without the old output": lambda: predict(lambda w0, x, y, rate, errors: (0 * w0, x, errors)),
            "inputs in reverse": lambda: predict(lambda w0, x, y, rate, errors: (w0, x[::-1], errors)),
        },
        scale="largest",
    )


@PAPER.claim(
    "icl-dual",
    statement=r"""Unnormalised linear attention over demonstrations $X'$ and text $X$ is a layer that has been updated:
    $W_V [X'; X] (W_K [X'; X])^T q = (W_{ZSL} + \Delta W_{ICL}) q$ with $W_{ZSL} = W_V X (W_K X)^T$ and $\Delta
    W_{ICL} = \sum_i (W_V x'_i)(W_K x'_i)^T$. With softmax it is not.""",
    source="in-context learning as implicit finetuning",
    agreement=Identity(rtol=ROUNDING),
    controls=("demonstrations ignored", "keys and values exchanged", "text ignored", "softmax attention"),
)
def icl_dual(run: Run) -> Trial:
    """Attend from the last token of the text to everything, in layers with random matrices."""
    shapes = run.size(
        "demonstrations, text, width, size",
        quick=((7, 4, 5, 3), (12, 1, 6, 6)),
        standard=((64, 16, 32, 16),),
        full=((2000, 200, 256, 64),),
    )
    rng = run.rng()
    problems = [
        (
            [rng.standard_normal((size, width)) / np.sqrt(width) for _ in range(3)],
            rng.standard_normal((shown, width)),
            rng.standard_normal((asked, width)),
        )
        for shown, asked, width, size in shapes
    ]

    def measure(*, softmax: bool = False) -> Array:
        found = []
        for (query, key, value), demonstrations, text in problems:
            size, width = value.shape
            layer = attention.make_layer(key, query, value, np.eye(width, size))
            tokens = jnp.asarray(np.concatenate([demonstrations, text]))
            found.append(attention.attention(layer, tokens, jnp.ones(len(tokens)), softmax=softmax)[-1, :size])
        return components(*found)

    def predict(*, shown: float = 1.0, asked: float = 1.0, exchange: bool = False) -> Array:
        found = []
        for (query, key, value), demonstrations, text in problems:
            zero_shot = asked * (text @ value.T).T @ (text @ key.T)
            left, right = (value, key) if exchange else (key, value)
            update = demonstrations @ left.T, shown * demonstrations @ right.T
            found.append(in_context.dual_form(zero_shot, *update, query @ text[-1]))
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "demonstrations ignored": lambda: predict(shown=0.0),
            "keys and values exchanged": lambda: predict(exchange=True),
            "text ignored": lambda: predict(asked=0.0),
        },
        counterexamples={"softmax attention": lambda: measure(softmax=True)},
        scale="largest",
    )


def _valley(theta: jax.Array, matrix: jax.Array, target: jax.Array) -> jax.Array:
    """Sum log cosh of the errors of a linear model: convex, not quadratic."""
    return dual.log_cosh_loss(matrix @ theta, target)


@PAPER.claim(
    "momentum-gd",
    statement=r"""$\Theta_t = \Theta_{t-1} - \gamma \sum_{i=1}^{t-1} m^{t-i} g_i$ is the heavy ball $\Theta_{t+1} =
    \Theta_t - \gamma m g_t + m (\Theta_t - \Theta_{t-1})$ with $\Theta_1 = \Theta_0$: its newest gradient already
    carries a factor $m$.""",
    source="momentum and attention",
    agreement=Identity(rtol=1e-11),
    controls=("standard momentum", "first step not idle", "gradient one step older", "no momentum"),
)
def momentum_gd(run: Run) -> Trial:
    """Descend a loss that is not quadratic with the sum written out; errors of rounding are damped, not amplified."""
    shapes = run.size(
        "parameters, rows, steps", quick=((3, 6, 25), (8, 5, 40)), standard=((40, 80, 200),), full=((400, 800, 1000),)
    )
    rng = run.rng()
    problems = [
        (rng.standard_normal((rows, d)) / np.sqrt(rows), rng.standard_normal(rows), rng.standard_normal(d), steps)
        for d, rows, steps in shapes
    ]
    gamma, m = rng.uniform(0.1, 0.3), rng.uniform(0.5, 0.9)

    def measure() -> Array:
        return components(
            *(
                dual.momentum_descent(
                    _valley,
                    jnp.asarray(start),
                    jnp.asarray(matrix),
                    jnp.asarray(target),
                    step_size=gamma,
                    momentum=m,
                    n_steps=steps,
                )
                for matrix, target, start, steps in problems
            )
        )

    def predict(solve=in_context.momentum_gd, *, momentum: float = m) -> Array:
        found = []
        for matrix, target, start, steps in problems:

            def gradient(theta: Array, matrix=matrix, target=target) -> Array:
                return matrix.T @ np.tanh(matrix @ theta - target)

            found.append(solve(gradient, start, step_size=gamma, momentum=momentum, n_steps=steps))
        return components(*found)

    def variant(*, newest: float = m, idle: int = 1, delay: int = 0):
        """Heavy ball whose newest gradient has the weight ``newest``, after some idle steps, with old gradients."""

        def solve(gradient: Any, start: Array, *, step_size: float, momentum: float, n_steps: int) -> Array:
            path = [start] * (1 + idle)
            velocity = np.zeros_like(start)
            while len(path) < n_steps + 1:
                velocity = momentum * velocity + newest * gradient(path[max(0, len(path) - 1 - delay)])
                path.append(path[-1] - step_size * velocity)
            return np.stack(path)

        return solve

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "standard momentum": lambda: predict(variant(newest=1.0)),
            "first step not idle": lambda: predict(variant(idle=0)),
            "gradient one step older": lambda: predict(variant(delay=1)),
            "no momentum": lambda: predict(variant(newest=1.0), momentum=0.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "momentum-attention",
    statement=r"""Momentum adds to attention the sum $\sum_{i<t} m^{t-i} v_i$, which obeys $\mathrm{ema}_t = m
    (\mathrm{ema}_{t-1} + v_{t-1})$; in linear attention it is one more channel, $m^{-i}$ in the keys and $m^t$ in the
    queries.""",
    source="momentum-based attention (the channel is derived)",
    agreement=Identity(rtol=ROUNDING),
    controls=("newest value undamped", "normalised average", "attention alone", "current token included"),
)
def momentum_attention(run: Run) -> Trial:
    """Run causal attention with the sum written out, and plain causal attention with the channel."""
    shapes = run.size("tokens and width", quick=((9, 4), (20, 6)), standard=((40, 32),), full=((60, 512),))
    rng = run.rng()
    m = float(rng.uniform(0.6, 0.95))
    problems = [
        ([rng.standard_normal((width, width)) / width**0.75 for _ in range(4)], rng.standard_normal((length, width)))
        for length, width in shapes
    ]

    def measure() -> Array:
        found = []
        for (key, query, value, projection), tokens in problems:
            layer = attention.make_layer(key, query, value, projection)
            readings = (dual.momentum_attention, dual.channel_attention)
            found += [simulate(layer, jnp.asarray(tokens), m) for simulate in readings]
        return components(*found)

    def predict(ema=in_context.value_ema, *, own: int = 0) -> Array:
        found = []
        for (key, query, value, projection), tokens in problems:
            keys, values = tokens @ key.T, tokens @ value.T
            moving, zero = ema(values, momentum=m), np.zeros((len(value), len(key)))
            read = [
                in_context.dual_form(zero, keys[: t + own], values[: t + own], query @ tokens[t])
                for t in range(len(tokens))
            ]
            found += [(np.stack(read) + moving) @ projection.T] * 2
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "newest value undamped": lambda: predict(lambda v, *, momentum: in_context.value_ema(v, momentum=m) / m),
            "normalised average": lambda: predict(lambda v, *, momentum: (1 - m) * in_context.value_ema(v, momentum=m)),
            "attention alone": lambda: predict(lambda v, *, momentum: np.zeros_like(v)),
            "current token included": lambda: predict(own=1),
        },
        scale="largest",
    )
