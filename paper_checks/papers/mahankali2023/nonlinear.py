"""Labels that are no linear function of the inputs: the trained layer still takes one step of linear regression."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from paper_checks.agreement import Equivalence, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples, components
from paper_checks.papers.mahankali2023.paper import PAPER, Array, search
from simulations.in_context import layer_training
from simulations.in_context.linear_layer import SUMMED, LinearLayer
from simulations.in_context.populations import Moments, sampled_prompts
from simulations.in_context.responses import enumerated_population, label_statistics, sampled_population
from simulations.replicates import over_replicates
from theory import in_context
from theory.in_context.responses import ResponseMoments

EXACT = ("unit_relu_network", "cubic", "sign", "erf")
SAMPLED = ("linear", "relu_network", "unit_relu_network", "sign", "erf")


def _moments(kind: str, *, dim: int, noise_var: float, width: int) -> ResponseMoments:
    hidden = width if kind.endswith("relu_network") else None
    return in_context.response_moments(kind, dim=dim, noise_var=noise_var, width=hidden)


Change = Callable[[ResponseMoments, int], tuple[ResponseMoments, int]]


def _unchanged(moments: ResponseMoments, n: int) -> tuple[ResponseMoments, int]:
    return moments, n


@PAPER.claim(
    "nonlinear-response",
    statement=r"""On labels $f(x) + \epsilon$ with a random $f$ of rotation-invariant and symmetric law the global
    minimiser over all parameters is $\hat y = \eta x_q \cdot X^T y$ with $\eta = U_2 / (Y_2X_2 + (n - 1) U_2)$ and
    loss $Y_2 - n \eta U_2$: one ReLU unit, a cubic, a sign and an error function.""",
    source="theorem on nonlinear target functions",
    agreement=Identity(rtol=1e-7),
    controls=("linear step 1 / (n + d + 1 + s2)", "n for n - 1", "label and input independent", "U2 twice as large"),
)
def nonlinear_response(run: Run) -> Trial:
    """Search all parameters in two dimensions, on enumerated functions and prompts.

    A control may be right for one kind of function (a sign is independent of the input's norm), but not for all.
    """
    n, s2, d = run.size("context", quick=12, standard=12, full=48), 0.3, 2
    identity = np.eye(d)
    asked = sampled_prompts(run.key("asked"), 6, n=n, cov_x=identity, cov_w=identity, attention=SUMMED)

    def measure() -> Array:
        found = []
        for kind in EXACT:
            best = layer_training.best(search(run, enumerated_population(kind, n=n, noise_var=s2), d, kind))
            found.append(components(np.asarray(asked.answers(best.layer)), best.error))
        return np.stack(found)

    def predict(change: Change = _unchanged, step: float | None = None) -> Array:
        found = []
        for kind in EXACT:
            moments = _moments(kind, dim=d, noise_var=s2, width=1)
            changed, length = change(moments, n)
            eta = in_context.nonlinear_optimal_step(n_context=length, **changed._asdict()).step_size
            eta = eta if step is None else step
            power = moments.label_norm_moment + (n - 1) * moments.linear_power
            loss = moments.label_second_moment - 2 * n * eta * moments.linear_power + n * eta**2 * power
            if step is None and change is _unchanged:
                loss = in_context.nonlinear_optimal_step(n_context=n, **moments._asdict()).risk
            answers = eta * np.einsum("Bi,Bni,Bn->B", asked.query, asked.x, asked.y)
            found.append(components(answers, loss))
        return np.stack(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "linear step 1 / (n + d + 1 + s2)": lambda: predict(step=1 / (n + d + 1 + s2)),
            "n for n - 1": lambda: predict(lambda m, length: (m, length + 1)),
            "label and input independent": lambda: predict(
                lambda m, length: (m._replace(label_norm_moment=d * m.label_second_moment), length)
            ),
            "U2 twice as large": lambda: predict(
                lambda m, length: (m._replace(linear_power=min(2 * m.linear_power, m.label_second_moment)), length)
            ),
        },
        scale="largest",
    )


@PAPER.claim(
    "nonlinear-trained",
    statement=r"""A layer that is trained in all of its parameters on sampled prompts of two-layer ReLU networks takes a
    step of the predicted size, in no direction of its own.""",
    source="theorem on nonlinear target functions, two-layer ReLU networks",
    agreement=Equivalence(margin=0.05, resolution=0.1),
    controls=("linear step 1 / (n + d + 1 + s2)", "without the factor 1/4 of U2", "label and input independent"),
)
def nonlinear_trained(run: Run) -> Trial:
    """Minimise the error on training sets of sampled functions; entries of the matrix that multiplies X^T y.

    A search from random starts on a set of its own finds the layer that all other sets then train further. A finite
    set shifts the minimiser by a part of order 1 / prompts, far inside the margin, which is that of sampling.
    """
    n, d, width, s2 = 12, 2, 4, 0.3
    replicates = run.size("training sets", quick=256, standard=512, full=2048)
    prompts = run.size("prompts in a set", quick=2048, standard=8192, full=65536)
    moments = _moments("unit_relu_network", dim=d, noise_var=s2, width=width)

    def measure() -> Samples:
        setting = (d, n, width, jnp.array(s2), prompts)
        pilot = layer_training.best(search(run, _sampled_networks(run.key("pilot"), *setting), d)).layer
        return Samples(over_replicates(_train_further, run.keys(replicates), pilot, *setting))

    def predict(change: Change = _unchanged) -> Array:
        changed, length = change(moments, n)
        return in_context.nonlinear_optimal_step(n_context=length, **changed._asdict()).step_size * np.eye(d)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "linear step 1 / (n + d + 1 + s2)": lambda: np.eye(d) / (n + d + 1 + s2),
            "without the factor 1/4 of U2": lambda: predict(
                lambda m, length: (m._replace(linear_power=min(4 * m.linear_power, m.label_second_moment)), length)
            ),
            "label and input independent": lambda: predict(
                lambda m, length: (m._replace(label_norm_moment=d * m.label_second_moment), length)
            ),
        },
        scale="largest",
    )


def _sampled_networks(key: jax.Array, d: int, n: int, width: int, noise_var: jax.Array, prompts: int) -> Moments:
    return sampled_population(key, "unit_relu_network", d, n, width, noise_var, prompts, 8)


def _train_further(
    key: jax.Array, layer: LinearLayer, d: int, n: int, width: int, noise_var: jax.Array, prompts: int
) -> jax.Array:
    starts = jax.tree.map(lambda leaf: leaf[None], layer)
    end = layer_training.best(layer_training.minimise(starts, _sampled_networks(key, d, n, width, noise_var, prompts)))
    value, key_query = end.layer
    return value[-1, -1] * key_query[:d, :d].T + jnp.outer(key_query[d, :d], value[-1, :d])


@PAPER.claim(
    "response-moments",
    statement=r"""The moments $U_2 = E\|E[x f(x)]\|^2$, $Y_2X_2 = E[y^2 \|x\|^2]$ and $Y_2 = E[y^2]$ of random linear
    functions, two-layer ReLU networks, signs and error functions have the closed forms of the table.""",
    source="theorem on nonlinear target functions, examples derived",
    agreement=MonteCarlo(resolution=0.05),
    controls=("U2 = k d / 2 for ReLU", "label and input independent", "noise once in Y2X2", "erf without arcsin"),
)
def response_moments(run: Run) -> Trial:
    """Sample functions, inputs and noise; the squared norm of a mean from two independent halves."""
    d, width, s2 = 3, 4, 0.3
    replicates = run.size("replicates", quick=1024, standard=2048, full=4096)
    functions = run.size("functions a replicate", quick=512, standard=1024, full=4096)

    def measure() -> Samples:
        keys = run.keys(replicates)
        return Samples(over_replicates(label_statistics, keys, SAMPLED, d, width, jnp.array(s2), functions, 4))

    def predict() -> Array:
        return np.array([_moments(kind, dim=d, noise_var=s2, width=width) for kind in SAMPLED])

    def altered(row: int | slice, column: int, values: ArrayLike) -> Array:
        table = predict()
        table[row, column] = values
        return table

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "U2 = k d / 2 for ReLU": lambda: altered(1, 0, width * d / 2),
            "label and input independent": lambda: altered(slice(None), 1, d * predict()[:, 2]),
            "noise once in Y2X2": lambda: altered(slice(None), 1, predict()[:, 1] - (d - 1) * s2),
            "erf without arcsin": lambda: altered(4, 2, 4 / (3 * np.pi) + s2),
        },
    )
