"""Distribution shifts at test time: tasks and queries do no harm in the long run, context inputs do."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Steps, components
from paper_checks.papers.zhang2023.paper import PAPER, Array, D, covariance, trained_layer
from simulations.in_context.linear_layer import AVERAGED, LinearLayer, answer
from simulations.in_context.populations import gaussian_moments
from theory import in_context


@PAPER.claim(
    "task-shift",
    statement=r"""On one task of any direction and length, with label noise, the risk tends to the noise as training and
    test prompts grow together, as $[w^T \Lambda w + d (w^T \Lambda w + s_2)] / N$.""",
    source="section on task shift; coefficient derived",
    agreement=ConvergenceOrder(order=1, resolution=1e-2, accuracy=1e-9),
    controls=("no noise at the query", "noise left out of the coefficient", "d + 1 for d"),
)
def task_shift(run: Run) -> Trial:
    """Layers trained at lengths that double, their risk on a sparse and on a long task averaged exactly."""
    longest = run.size("longest N", quick=1024, standard=2048, full=8192)
    lengths = longest // 2 ** np.arange(5)
    rng = run.rng()
    cov, s2, dense = covariance(rng), 4.0, rng.standard_normal(D)
    tasks = np.stack([2 * np.eye(D)[0], 3 * dense / np.linalg.norm(dense)])

    def measure() -> Steps:
        found = []
        for n in lengths:
            layer = trained_layer(run, cov, int(n))
            prompts = [gaussian_moments(n=int(n), cov_x=cov, task=w, noise_var=s2, attention=AVERAGED) for w in tasks]
            found.append([float(p.squared_error(layer)) for p in prompts])
        return Steps(1 / lengths, found)

    def predict(extra: int = 0, floor: float = s2, noise: float = 1.0) -> Limit:
        n = 2**40
        risks = [in_context.in_context_risk(w, cov=cov, n_train=n, n_test=n, noise_var=s2) for w in tasks]
        power = np.einsum("ki,ij,kj->k", tasks, cov, tasks)
        coefficient = np.array([n * r.variance for r in risks]) + extra * (power + s2) + (noise - 1) * D * s2
        return Limit(np.array([r.irreducible for r in risks]) + floor - s2, coefficient)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no noise at the query": lambda: predict(floor=0.0),
            "noise left out of the coefficient": lambda: predict(noise=0.0),
            "d + 1 for d": lambda: predict(extra=1),
        },
        scale=s2,
    )


@PAPER.claim(
    "query-shift",
    statement=r"""A query of any covariance does no harm to a layer with infinitely long prompts, but one that is
    orthogonal to all context inputs (isotropic training, $M < d$) gets the answer 0.""",
    source="section on query shift",
    agreement=Identity(rtol=1e-7),
    controls=("answer of the task", "error of no prediction", "layer trained on other than isotropic inputs"),
)
def query_shift(run: Run) -> Trial:
    """Answers of a trained layer to orthogonal queries, and its exact risk on queries from another covariance."""
    rng = run.rng()
    n, m, s2, v = 10, D - 1, 0.4, 0.8
    x, w = rng.standard_normal((6, m, D)), rng.standard_normal((6, D))
    queries = np.cross(x[:, 0], x[:, 1])
    cov, other = covariance(rng), covariance(rng)

    def answers(training: Array) -> Array:
        layer = trained_layer(run, training, n)
        prompts = (jnp.asarray(part) for part in (x, np.einsum("kmd,kd->km", x, w), queries))
        return np.asarray(jax.vmap(partial(answer, layer, attention=AVERAGED))(*prompts))

    def measure(training: Array) -> Array:
        layer = trained_layer(run, cov, np.inf)
        prompts = gaussian_moments(n=np.inf, cov_x=cov, task=w[0], noise_var=s2, cov_query=other, attention=AVERAGED)
        return components(answers(training), prompts.squared_error(layer))

    def predict(answer: float = 0.0, error: float = 0.0) -> Array:
        risk = in_context.in_context_risk(
            w[0], cov=cov, n_train=np.inf, n_test=np.inf, noise_var=s2, cov_query=other
        ).total
        return components(answer * np.einsum("kd,kd->k", queries, w), risk + error * (w[0] @ other @ w[0]))

    return Trial(
        predict=predict,
        measure=lambda: measure(v * np.eye(D)),
        controls={
            "answer of the task": lambda: predict(answer=1.0),
            "error of no prediction": lambda: predict(error=1.0),
        },
        counterexamples={"layer trained on other than isotropic inputs": lambda: measure(cov)},
        scale=1.0,
    )


@PAPER.claim(
    "covariate-shift",
    statement=r"""Context inputs scaled by $c$ spoil the answers however long the prompts: the excess risk tends to
    $(c^2 - 1)^2 c^2 w^T \Lambda w$, and to $(c^2 - 1)^2 w^T \Lambda w$ for an unscaled query.""",
    source="section on covariate shift",
    agreement=Identity(rtol=1e-7),
    controls=("consistent, as least squares", "(c - 1)^2 for (c^2 - 1)^2", "without the factor c^2 of the query"),
)
def covariate_shift(run: Run) -> Trial:
    """Exact risks of a layer trained and tested on prompts of infinite length, without label noise."""
    rng = run.rng()
    cov, w = covariance(rng), rng.standard_normal(D)
    scales = np.array(run.size("c", quick=(0.5, 1, 1.5, 3), standard=(0.5, 1, 1.5, 3), full=(0.1, 0.5, 1, 1.5, 3, 9)))

    def measure() -> Array:
        layer: LinearLayer = trained_layer(run, cov, np.inf)
        found = []
        for c in scales:
            for query in (c**2 * cov, cov):
                prompts = gaussian_moments(n=np.inf, cov_x=c**2 * cov, task=w, cov_query=query, attention=AVERAGED)
                found.append(float(prompts.squared_error(layer)))
        return np.array(found)

    def predict() -> Array:
        found = []
        for c in scales:
            for query in (c**2 * cov, cov):
                risk = in_context.in_context_risk(
                    w, cov=cov, n_train=np.inf, n_test=np.inf, cov_context=c**2 * cov, cov_query=query
                )
                found.append(risk.total)
        return np.array(found)

    power = w @ cov @ w
    pairs = np.stack([scales**2, np.ones_like(scales)], axis=1)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "consistent, as least squares": lambda: np.zeros(2 * scales.size),
            "(c - 1)^2 for (c^2 - 1)^2": lambda: (power * (scales[:, None] - 1) ** 2 * pairs).ravel(),
            "without the factor c^2 of the query": lambda: np.repeat(power * (scales**2 - 1) ** 2, 2),
        },
        scale=power,
    )
