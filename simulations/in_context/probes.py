"""What each layer of a transformer knows: linear read-outs of its residual stream, set beside iterative solvers."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Key

from simulations import validation
from simulations.in_context.gram_samples import descent_times
from simulations.in_context.iterations import gradient_weights, newton_weights
from simulations.in_context.newton_attention import descent_layers, hide_last, prompt_tokens, run_layers_batch
from simulations.in_context.transformer import Prompts, Transformer


class Solvers(NamedTuple):
    """Errors of Newton's iterates and of gradient descent on the queries of some prompts, and their mean squares.

    ``newton`` (iterations + 1, prompts, queries), ``descent`` (times, prompts, queries), ``times`` the step numbers.
    """

    newton: Float[Array, "iterates prompts queries"]
    newton_mse: Float[Array, " iterates"]
    descent: Float[Array, "times prompts queries"]
    descent_mse: Float[Array, " times"]
    times: Int[Array, " times"]


class LayerReport(NamedTuple):
    """Layers beside solvers; ``layers`` counts the read-in, with which ``mse`` and similarities begin.

    Attributes
    ----------
    mse : array, shape (layers,)
        Mean squared error of each layer's probe.
    newton_count, log2_descent_count : array, shape (layers - 1,)
        Iterations and log2 of the steps with the same mean squared error as each layer.
    newton_similarity : array, shape (layers, iterates)
        Similarity of errors of layer and iterate.
    descent_similarity : array, shape (layers, times)
        Similarity of errors of layer and gradient step.
    """

    mse: Float[Array, " layers"]
    newton_count: Float[Array, " trained"]
    log2_descent_count: Float[Array, " trained"]
    newton_similarity: Float[Array, "layers iterates"]
    descent_similarity: Float[Array, "layers times"]


def network_states(model: Transformer, prompts: Prompts) -> Float[Array, "layers prompts queries width"]:
    """Residual stream at the queries after the read-in and after each layer, in double precision."""
    return jnp.swapaxes(_network_states(model, prompts), 0, 1).astype(jnp.float64)


@eqx.filter_jit
def _network_states(model: Transformer, prompts: Prompts) -> Array:
    return jax.vmap(model.hidden_states)(prompts.x, prompts.y, prompts.queries)


def descent_stack_states(prompts: Prompts, *, layers: int, rate: float) -> Float[Array, "layers prompts queries width"]:
    """Return the same for a stack of linear attention that takes exactly one step of gradient descent a layer."""
    d, asked = prompts.x.shape[2], prompts.queries.shape[1]
    tokens = np.stack(
        [
            prompt_tokens(x, y, query, scratch=d)
            for x, y, queries in zip(*(np.asarray(part) for part in prompts[:3]), strict=True)
            for query in queries
        ]
    )
    stack = descent_layers(d, steps=layers, rate=rate)
    states = run_layers_batch(tokens, stack, hide_last(tokens.shape[2]))[..., -1]
    return jnp.swapaxes(states, 0, 1).reshape(layers + 1, -1, asked, states.shape[-1])


@jax.jit
def fit_probes(states: Float[Array, "layers prompts queries width"], targets: Array) -> Float[Array, "layers inputs"]:
    """Least-squares coefficients from each layer's states and a constant to the targets, the constant last."""
    return jax.vmap(lambda layer: jnp.linalg.lstsq(_design(layer), targets.reshape(-1), rcond=1e-6)[0])(states)


@jax.jit
def probe_errors(
    probes: Float[Array, "layers inputs"], states: Float[Array, "layers prompts queries width"], targets: Array
) -> Float[Array, "layers prompts queries"]:
    """Errors of the probes on other prompts."""
    return jax.vmap(lambda probe, layer: (_design(layer) @ probe).reshape(targets.shape) - targets)(probes, states)


@jax.jit
def similarity(
    first: Float[Array, "... prompts queries"], second: Float[Array, "... prompts queries"]
) -> Float[Array, "..."]:
    """Cosine over the queries of a prompt between two methods' errors, averaged over prompts."""
    norms = jnp.linalg.norm(first, axis=-1) * jnp.linalg.norm(second, axis=-1)
    products = jnp.sum(first * second, axis=-1)
    return jnp.mean(jnp.where(norms > 0, products / jnp.where(norms > 0, norms, 1.0), 0.0), axis=-1)


def solver_errors(prompts: Prompts, *, iterations: int, doublings: int, parts: int = 4) -> Solvers:
    """Run both solvers on the prompts: Newton from S / ||S^2||_F, gradient descent with one rate for all.

    The rate is one over the 99.9 % quantile of the largest eigenvalues. Descent is looked at after
    round(2^(i / parts)) steps, up to 2^doublings.
    """
    x, y, queries, targets = (jnp.asarray(part, jnp.float64) for part in prompts)
    gram = jnp.swapaxes(x, 1, 2) @ x
    newton = newton_weights(x, y, 1 / jnp.linalg.norm(gram @ gram, axis=(1, 2)), steps=iterations)
    times = jnp.unique(descent_times(doublings, parts))
    descent = gradient_weights(x, y, common_rate(prompts), steps=times.tolist())
    errors = [jnp.einsum("kpd,pqd->kpq", weights, queries) - targets for weights in (newton, descent)]
    means = [jnp.mean(e**2, axis=(1, 2)) for e in errors]
    return Solvers(errors[0], means[0], errors[1], means[1], times)


def common_rate(prompts: Prompts) -> float:
    """Return one over the 99.9 % quantile of the largest eigenvalues of the prompts' Gram matrices."""
    x = jnp.asarray(prompts.x, jnp.float64)
    return float(1 / jnp.quantile(jnp.linalg.eigvalsh(jnp.swapaxes(x, 1, 2) @ x)[:, -1], 0.999))


def matched_count(mse: Array, curve: Array, counts: Array) -> Float[Array, " layers"]:
    """Place where a falling curve of mean squared errors takes each value, linear in its logarithm between counts.

    Values outside the curve are placed at its ends.
    """
    heights = -jnp.log(jnp.minimum(jax.lax.cummin(jnp.asarray(curve)), curve[0]))
    return jnp.interp(-jnp.log(mse), heights, jnp.asarray(counts, jnp.float64))


def compare_layers(fit_states: Array, fit: Prompts, test_states: Array, test: Prompts, solvers: Solvers) -> LayerReport:
    """Fit probes on some prompts, and compare their errors on others with those of the solvers there."""
    probes = fit_probes(fit_states, jnp.asarray(fit.targets, jnp.float64))
    errors = probe_errors(probes, test_states, jnp.asarray(test.targets, jnp.float64))
    mse = jnp.mean(errors**2, axis=(1, 2))
    return LayerReport(
        mse=mse,
        newton_count=matched_count(mse[1:], solvers.newton_mse, jnp.arange(solvers.newton_mse.size)),
        log2_descent_count=matched_count(mse[1:], solvers.descent_mse, jnp.log2(solvers.times)),
        newton_similarity=jnp.stack([similarity(layer, solvers.newton) for layer in errors]),
        descent_similarity=jnp.stack([similarity(layer, solvers.descent) for layer in errors]),
    )


def depth_statistics(report: LayerReport) -> Float[Array, "3"]:
    """Slope of Newton's count over layers, slope of log2 of the descent count, and its total rise in log2."""
    layers = jnp.arange(float(report.newton_count.size))
    validation.integer("layers of the report", layers.size, minimum=2)
    slopes = [jnp.polyfit(layers, count, 1)[0] for count in (report.newton_count, report.log2_descent_count)]
    return jnp.stack([*slopes, report.log2_descent_count[-1] - report.log2_descent_count[0]])


def draw_test_prompts(key: Key[Array, ""], draw, *, fit: int, test: int, queries: int) -> tuple[Prompts, Prompts]:
    """Draw the prompts on which probes are fitted, and those on which they are judged."""
    first, second = jax.random.split(key)
    return draw(first, prompts=fit, queries=queries), draw(second, prompts=test, queries=queries)


def _design(layer: Array) -> Array:
    rows = layer.reshape(-1, layer.shape[-1])
    return jnp.concatenate([rows, jnp.ones((rows.shape[0], 1))], axis=1)
