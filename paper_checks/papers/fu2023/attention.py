"""Newton's iteration as attention layers: what the stack computes, how large it is, and what it could do at best."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import components
from paper_checks.papers.fu2023.paper import PAPER, POWER, Start
from paper_checks.problems import frame
from simulations.in_context import newton_attention as sim
from theory import in_context

Activation = Literal["linear", "relu"]
ACTIVATIONS: tuple[Activation, Activation] = ("linear", "relu")


class Variant(NamedTuple):
    """A prompt size, a start, an activation, and whether keys have rows of their own."""

    d: int
    n: int
    start: Start
    activation: Activation
    key_slot: bool = False


SHAPES = ((5, 12), (8, 6), (10, 40))


def _variants(run: Run) -> list[Variant]:
    few = [
        Variant(5, 12, "gram", "linear"),
        Variant(8, 6, "gram", "relu"),
        Variant(8, 6, "identity", "linear"),
        Variant(5, 12, "identity", "relu", key_slot=True),
    ]
    all_of_them = [
        Variant(d, n, start, activation, key_slot)
        for d, n in SHAPES
        for start in POWER
        for activation in ACTIVATIONS
        for key_slot in (False, True)
    ]
    return run.size("variants", quick=few, standard=all_of_them, full=all_of_them)


class Case(NamedTuple):
    """One variant with its prompt, constant, weights and tokens."""

    variant: Variant
    x: np.ndarray
    y: np.ndarray
    query: np.ndarray
    alpha: float
    layers: list
    tokens: np.ndarray


def _case(rng: np.random.Generator, variant: Variant, steps: int) -> Case:
    x, query = rng.standard_normal((variant.n, variant.d)), rng.standard_normal(variant.d)
    y = x @ rng.standard_normal(variant.d)
    alpha = float(rng.uniform(0.5, 1.5) / np.linalg.norm(x, 2) ** (2 * POWER[variant.start]))
    layers = in_context.newton_attention_layers(
        variant.d, n_steps=steps, alpha=alpha, init=variant.start, key_slot=variant.key_slot
    )
    if variant.activation == "relu":
        layers = in_context.relu_attention_layers(layers)
    embed = alpha if variant.start == "identity" else 0.0
    tokens = sim.prompt_tokens(x, y, query, scratch=variant.d, embed=embed)
    if variant.key_slot:
        tokens = sim.with_keys(tokens, dimension=variant.d)
    return Case(variant, x, y, query, alpha, layers, tokens)


def _mask(case: Case) -> np.ndarray:
    """With keys of their own, nothing needs to be hidden."""
    count = case.tokens.shape[1]
    return sim.see_all(count) if case.variant.key_slot else sim.hide_last(count)


@PAPER.claim(
    "transformer-construction",
    statement=r"""Linear attention with written-down weights, one layer and one head an iteration, computes Newton's
    iteration for every token at once: after j such layers the scratch rows hold $2^{-j} M_j x$, and after the read-out
    the query holds $x_q^T M_k X^T y$. ReLU attention does with two heads, keys of their own do for the mask.""",
    source="theorem on transformers that implement k iterations; this construction derived",
    agreement=Identity(rtol=1e-11),
    controls=("one iteration fewer", "factors 2^(j-1) dropped", "query among the keys", "causal mask"),
)
def transformer_construction(run: Run) -> Trial:
    """Run the built stacks on random prompts; read the scratch rows of all tokens at all layers."""
    steps = run.size("iterations", quick=6, standard=12, full=12)
    rng = run.rng()
    cases = [_case(rng, variant, steps) for variant in _variants(run)]

    def forward(
        mask: Callable[[Case], np.ndarray] = _mask, change: Callable[[list, int], list] = lambda layers, first: layers
    ) -> np.ndarray:
        found = []
        for case in cases:
            d, first = case.variant.d, int(case.variant.start == "gram")
            layers = change(case.layers, first)
            states = np.asarray(sim.run_layers(case.tokens, layers, mask(case), activation=case.variant.activation))
            iterates = states[first : first + steps + 1, -1 - d : -1] * 2.0 ** np.arange(steps + 1)[:, None, None]
            found.append(components(iterates, states[-1, -1, -1]))
        return np.concatenate(found)

    def predict(late: int = 0) -> np.ndarray:
        found = []
        for case in cases:
            tokens = np.column_stack([case.x.T, case.query])
            constants: dict[str, Any] = {"alpha": case.alpha, "init": case.variant.start}
            iterates = in_context.newton_schulz_iterates(case.x.T @ case.x, n_steps=steps, **constants)
            answer = in_context.newton_attention_predict(case.x, case.y, case.query, n_steps=steps - late, **constants)
            found.append(components(np.roll(iterates, late, axis=0) @ tokens, answer))
        return np.concatenate(found)

    def undamped(layers: list, first: int) -> list:
        """Let every Newton layer write -u / 2, as the first one does."""
        newton = layers[first : first + steps]
        same = [[(V / 2.0**j, K, Q) for V, K, Q in layer] for j, layer in enumerate(newton)]
        return [*layers[:first], *same, *layers[first + steps :]]

    def scale() -> np.ndarray:
        """Size of each state, the answer, and M at its largest, case by case."""
        sizes = []
        for case in cases:
            tokens = np.column_stack([case.x.T, case.query])
            iterates = in_context.newton_schulz_iterates(
                case.x.T @ case.x, n_steps=steps, alpha=case.alpha, init=case.variant.start
            )
            sizes.append(np.full(iterates[..., 0].size * tokens.shape[1], np.abs(iterates @ tokens).max()))
            sizes.append(np.full(1, np.abs(case.y).max()))
        return np.concatenate(sizes)

    return Trial(
        predict=predict,
        measure=forward,
        controls={"one iteration fewer": lambda: predict(late=1)},
        counterexamples={
            "factors 2^(j-1) dropped": lambda: forward(change=undamped),
            "query among the keys": lambda: forward(mask=lambda case: sim.see_all(case.tokens.shape[1])),
            "causal mask": lambda: forward(mask=lambda case: sim.see_the_past(case.tokens.shape[1])),
        },
        scale=scale(),
    )


@PAPER.claim(
    "construction-size",
    statement=r"""k iterations take $k + 2$ layers from $\alpha S$ and $k + 1$ from $\alpha I$, $2 d + 1$ numbers a
    token that are read or written ($3 d + 1$ from $\alpha S$ with keys of their own), one head a layer with linear
    attention and two with ReLU.""",
    source="theorem with k + O(1) layers and width O(d); the constants are those of this construction",
    agreement=Identity(rtol=1e-9),
    controls=("two layers an iteration", "3 d + 1 with a mask", "read-out not counted", "one head with ReLU"),
)
def construction_size(run: Run) -> Trial:
    """Count layers, heads and rows that are read or written in the built weights, and iterations in what they answer.

    The iterations are read off the forward pass on a prompt whose Gram matrix is a multiple of the identity, where the
    share of the answer that is missing is (1 - alpha s^p)^(2^k).
    """
    rng = run.rng()
    problems = [
        Variant(int(rng.integers(2, 8)), 0, start, activation, activation == "relu")._replace(n=int(rng.integers(1, 6)))
        for start in POWER
        for activation in ACTIVATIONS
    ]  # n counts iterations here
    bases = [frame(rng, v.d, v.d) for v in problems]

    def measure() -> np.ndarray:
        found = []
        for problem, basis in zip(problems, bases, strict=True):
            d, k, start, activation, key_slot = problem
            s, z = 2.0, 0.05
            x, query = np.sqrt(s) * basis, basis[0]
            alpha = z / s ** POWER[start]
            layers = in_context.newton_attention_layers(d, n_steps=k, alpha=alpha, init=start, key_slot=key_slot)
            layers = in_context.relu_attention_layers(layers) if activation == "relu" else layers
            tokens = sim.prompt_tokens(x, x @ query, query, scratch=d, embed=alpha if start == "identity" else 0.0)
            tokens = sim.with_keys(tokens, dimension=d) if key_slot else tokens
            mask = sim.see_all(d + 1) if key_slot else sim.hide_last(d + 1)
            answer = float(sim.run_layers(tokens, layers, mask, activation=activation)[-1, -1, -1])
            iterations = np.log2(np.log(1 - answer) / np.log(1 - z))
            found.append([len(layers), _rows_in_use(layers), len(layers[0]), iterations])
        return np.array(found)

    def predict(
        layers: Callable[[int, Start], int] = lambda k, start: k + POWER[start], wide: bool = False, relu_heads: int = 2
    ) -> np.ndarray:
        return np.array(
            [
                [
                    layers(k, start),
                    (3 if (key_slot and start == "gram") or wide else 2) * d + 1,
                    relu_heads if activation == "relu" else 1,
                    k,
                ]
                for d, k, start, activation, key_slot in problems
            ],
            dtype=float,
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "two layers an iteration": lambda: predict(layers=lambda k, start: 2 * k + POWER[start]),
            "3 d + 1 with a mask": lambda: predict(wide=True),
            "read-out not counted": lambda: predict(layers=lambda k, start: k + POWER[start] - 1),
            "one head with ReLU": lambda: predict(relu_heads=1),
        },
    )


def _rows_in_use(layers: Sequence) -> int:
    """Count the token rows that some head reads or writes."""
    used = sum(
        (V != 0).any(axis=0) + (V != 0).any(axis=1) + (K != 0).any(axis=0) + (Q != 0).any(axis=0)
        for layer in layers
        for V, K, Q in layer
    )
    return int(np.count_nonzero(used))


@PAPER.claim(
    "degree",
    statement=r"""What L layers of linear attention compute is a polynomial of degree at most $3^L$ in the prompt, and
    generic weights attain it; the Newton stack of $L = k + 1$ layers has $2^{k+1} + 1$. Since the best residual of
    degree m in $S$ contracts as that of $m^2$ gradient steps, trained layers may gain up to $2 \log_2 3 \approx 3.2$
    iterations each, and depth $\Omega(\log \kappa)$ is needed.""",
    source="derived; upper limit to what attention layers can do",
    agreement=Identity(rtol=1e-7),
    controls=("degree doubles", "degree grows by two", "Newton stack at the limit"),
)
def degree(run: Run) -> Trial:
    """Growth of the output when a prompt is scaled up, for random stacks of one to three layers and Newton's stacks.

    Doubling a large prompt multiplies the output by 2 to the degree, up to terms that are smaller by the square of the
    scale, since all layers are odd.
    """
    d, n, large = 3, 5, 1e6
    rng = run.rng()
    x, query, task = rng.standard_normal((n, d)), rng.standard_normal(d), rng.standard_normal(d)
    depths, newton = (1, 2, 3), (0, 1, 2)
    width = 2 * d + 1
    stacks = [
        [
            [(rng.standard_normal((width, width)), rng.standard_normal((d, width)), rng.standard_normal((d, width)))]
            for _ in range(depth)
        ]
        for depth in depths
    ]
    stacks += [in_context.newton_attention_layers(d, n_steps=k, alpha=0.3, init="identity") for k in newton]

    def measure() -> np.ndarray:
        found = []
        for stack in stacks:
            outputs = []
            for factor in (large, 2 * large):
                tokens = sim.prompt_tokens(factor * x, factor * x @ task, factor * query, scratch=d, embed=0.3)
                outputs.append(float(sim.run_layers(tokens, stack, sim.hide_last(n + 1))[-1, -1, -1]))
            found.append(np.log2(abs(outputs[1] / outputs[0])))
        return np.array(found)

    def predict(
        of_random: Callable[[int], int] = lambda depth: 3**depth,
        of_newton: Callable[[int], int] = lambda k: 2 ** (k + 1) + 1,
    ) -> np.ndarray:
        return np.array([*map(of_random, depths), *map(of_newton, newton)], dtype=float)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "degree doubles": lambda: predict(of_random=lambda depth: 2 ** (depth + 1) - 1),
            "degree grows by two": lambda: predict(of_random=lambda depth: 2 * depth + 1),
            "Newton stack at the limit": lambda: predict(of_newton=lambda k: 3 ** (k + 1)),
        },
    )


@PAPER.claim(
    "error-similarity",
    statement=r"""Over isotropic queries and tasks the errors of two methods on one Gram matrix have the cosine
    $\sum_i r_A(s_i) r_B(s_i) / \sqrt{\sum_i r_A(s_i)^2 \sum_i r_B(s_i)^2}$.""",
    source="similarity of errors, in the population; derived",
    agreement=Identity(rtol=1e-10),
    controls=("queries from the context", "correlation for cosine", "squared residuals"),
)
def error_similarity(run: Run) -> Trial:
    """Newton's iterates and gradient steps on the same inputs, for a frame of tasks and a frame of queries.

    Averages over random orthonormal frames equal those over isotropic vectors for anything bilinear in either.
    """
    from simulations.in_context import iterations

    d, n = run.size("dimension and examples", quick=(6, 10), standard=(12, 24), full=(20, 40))
    rng = run.rng()
    x, tasks, queries = rng.standard_normal((n, d)), frame(rng, d, d), frame(rng, d, d)
    s = np.linalg.eigvalsh(x.T @ x)
    alpha, rate, last, counts = 1 / s[-1] ** 2, 1 / s[-1], 6, [1, 2, 4, 8, 16]

    def measure() -> np.ndarray:
        inputs, answers = jnp.broadcast_to(x, (d, n, d)), jnp.asarray(tasks @ x.T)
        newton = iterations.newton_weights(inputs, answers, jnp.full(d, alpha), steps=last)
        descent = iterations.gradient_weights(inputs, answers, rate, steps=counts)
        errors = [np.asarray((weights - tasks) @ queries.T).reshape(len(weights), -1) for weights in (newton, descent)]
        a, b = (e / np.linalg.norm(e, axis=1, keepdims=True) for e in errors)
        return a @ b.T

    def predict(cosine: Callable[[np.ndarray, np.ndarray], float] = in_context.error_cosine) -> np.ndarray:
        newton = [in_context.newton_residual(s, step=k, alpha=alpha) for k in range(last + 1)]
        descent = [in_context.gd_residual(s, step=t, learning_rate=rate) for t in counts]
        return np.array([[cosine(a, b) for b in descent] for a in newton])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "queries from the context": lambda: predict(
                lambda a, b: in_context.error_cosine(np.sqrt(s) * a, np.sqrt(s) * b)
            ),
            "correlation for cosine": lambda: predict(
                lambda a, b: in_context.error_cosine(a - a.mean() + 1e-9, b - b.mean() + 1e-9)
            ),
            "squared residuals": lambda: predict(lambda a, b: in_context.error_cosine(a**2, b**2)),
        },
    )
