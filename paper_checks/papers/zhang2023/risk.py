"""Risk of trained layers on new prompts: any labels, any length, any Gaussian inputs."""

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, FiniteSize, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Limit, Samples, Sizes, Steps
from paper_checks.papers.zhang2023.paper import PAPER, Array, D, covariance, task, trained_layer
from simulations.in_context.linear_layer import AVERAGED, LinearLayer
from simulations.in_context.populations import gaussian_moments
from simulations.in_context.prompt_risks import layer_risk
from simulations.replicates import over_replicates
from theory import in_context
from theory.in_context.prompt_risk import RiskDecomposition


def _sampled(
    run: Run,
    layer: LinearLayer,
    context: Array,
    query: Array,
    w: Array,
    noise_var: float,
    length: int,
    prompts: int,
    response: str = "linear",
) -> Array:
    """Risks of a layer, a replicate each, on prompts of one task and of given covariances."""
    roots = (jnp.asarray(np.linalg.cholesky(context)), jnp.asarray(np.linalg.cholesky(query)))
    replicates = run.size("replicates", quick=512, standard=1024, full=4096)
    keys = run.keys(replicates, f"prompts {length} {response}")
    setting = (roots, jnp.asarray(w), jnp.asarray(noise_var), length, prompts, 4, AVERAGED, response)
    return over_replicates(layer_risk, keys, layer, *setting)


def _relu_teacher(w: Array, cov: Array, noise_var: float) -> tuple[Array, Array, float]:
    """Best linear coefficients of y = max(w.x, 0) + noise, covariance of x y, and the error of the former.

    By the symmetry x -> -x half of each even moment of w.x falls on the positive side, and E[x y] is half of that of
    the linear teacher.
    """
    power = w @ cov @ w
    label_cov = (power * cov + 2 * cov @ np.outer(w, w) @ cov) / 2 + noise_var * cov
    label_cov -= cov @ np.outer(w, w) @ cov / 4
    return w / 2, label_cov, float(power / 4 + noise_var)


@PAPER.claim(
    "test-risk",
    statement=r"""On prompts of any joint law with Gaussian inputs the trained layer's risk is that of the best linear
    predictor, plus $\mathrm{tr}(\Sigma \Gamma^{-2} \Lambda) / M$, plus a term of order $1/N^2$: an equality.""",
    source="theorem 4.2",
    agreement=MonteCarlo(resolution=0.05),
    controls=("1/N for 1/M", "without the term of order 1/N^2", "Gamma of the test length", "label noise forgotten"),
)
def test_risk(run: Run) -> Trial:
    """Train on linear tasks, test on a linear and on a rectified one, both noisy, at two lengths other than N."""
    n, s2 = 12, 0.5
    prompts = run.size("prompts a replicate", quick=256, standard=512, full=16384)
    lengths = run.size("M", quick=(8, 24), standard=(8, 24), full=(8, 40, 400))
    rng = run.rng()
    cov, w = covariance(rng), task(rng)

    def measure() -> Samples:
        layer = trained_layer(run, cov, n)
        found = [_sampled(run, layer, cov, cov, w, s2, m, prompts, r) for m in lengths for r in ("linear", "relu")]
        return Samples(np.stack(found, axis=1))

    def risks(n_train: float, m: int, noise_var: float = s2) -> list[RiskDecomposition]:
        a, sigma, floor = _relu_teacher(w, cov, noise_var)
        line = (w @ cov @ w + noise_var) * cov + cov @ np.outer(w, w) @ cov
        return [
            in_context.misspecified_risk(a, sigma, irreducible=floor, cov=cov, n_train=n_train, n_test=m)
            for a, sigma, floor in ((w, line, noise_var), (a, sigma, floor))
        ]

    def table(n_train: float | None = n, **options: float) -> list[RiskDecomposition]:
        return [risk for m in lengths for risk in risks(m if n_train is None else n_train, m, **options)]

    def parts(risk: RiskDecomposition, *, bias: float = 1.0, variance: float = 1.0) -> float:
        return risk.irreducible + bias * risk.bias + variance * risk.variance

    return Trial(
        predict=lambda: np.array([risk.total for risk in table()]),
        measure=measure,
        controls={
            "1/N for 1/M": lambda: np.array(
                [parts(r, variance=m / n) for r, m in zip(table(), np.repeat(lengths, 2), strict=True)]
            ),
            "without the term of order 1/N^2": lambda: np.array([parts(risk, bias=0.0) for risk in table()]),
            "Gamma of the test length": lambda: np.array([risk.total for risk in table(n_train=None)]),
            "label noise forgotten": lambda: np.array([risk.total for risk in table(noise_var=0.0)]),
        },
    )


@PAPER.claim(
    "shifted-risk",
    statement=r"""With context inputs from $N(0, C)$ and a query from $N(0, Q)$ the risk on the task $w$ is $s_2 + w^T
    (I - C \Gamma^{-1}) Q (I - \Gamma^{-1} C) w + \frac1M [w^T C B C w + \mathrm{tr}(B C) (w^T C w + s_2)]$, $B =
    \Gamma^{-1} Q \Gamma^{-1}$. (Derived.)""",
    source="derived; generalises theorem 4.2",
    agreement=MonteCarlo(resolution=0.05),
    controls=(
        "1/N for 1/M",
        "1 for 1 + 1/M",
        "no label noise in the prompt",
        "Gamma of the test length",
        "unshifted",
    ),
)
def shifted_risk(run: Run) -> Trial:
    """Trained layers on sampled prompts, with context, query, or both drawn from other covariances."""
    n, m, s2 = 12, 8, 1.0
    prompts = run.size("prompts a replicate", quick=256, standard=1024, full=16384)
    rng = run.rng()
    cov, other, third, w = covariance(rng), covariance(rng), covariance(rng), task(rng)
    cases = ((cov, cov), (other, cov), (cov, third), (other, third))

    def measure() -> Samples:
        layer = trained_layer(run, cov, n)
        return Samples(np.stack([_sampled(run, layer, c, q, w, s2, m, prompts) for c, q in cases], axis=1))

    def risks(n_train: int = n) -> list[RiskDecomposition]:
        return [
            in_context.in_context_risk(w, cov=cov, n_train=n_train, n_test=m, noise_var=s2, cov_context=c, cov_query=q)
            for c, q in cases
        ]

    def totals(n_train: int = n) -> Array:
        return np.array([risk.total for risk in risks(n_train)])

    def sandwich(context: Array, query: Array) -> Array:
        inverse = np.linalg.inv(in_context.gamma_matrix(cov, n_train=n))
        return inverse @ query @ inverse

    return Trial(
        predict=totals,
        measure=measure,
        controls={
            "1/N for 1/M": lambda: np.array([r.irreducible + r.bias + r.variance * m / n for r in risks()]),
            "1 for 1 + 1/M": lambda: totals() - [w @ c @ sandwich(c, q) @ c @ w / m for c, q in cases],
            "no label noise in the prompt": lambda: (
                totals() - [s2 * np.trace(sandwich(c, q) @ c) / m for c, q in cases]
            ),
            "Gamma of the test length": lambda: totals(m),
            "unshifted": lambda: np.full(len(cases), totals()[0]),
        },
    )


@PAPER.claim(
    "variance-rate",
    statement=r"""As the test prompt grows the risk falls to noise and bias as $1/M$, with the coefficient of the
    variance.""",
    source="theorem 4.2, rate in the length of the test prompt",
    agreement=FiniteSize(exponent=1, resolution=0.05),
    controls=("no bias left", "variance without the task", "Gamma of infinite N"),
)
def variance_rate(run: Run) -> Trial:
    """One trained layer on sampled prompts of lengths that double, starting short, where the variance is large."""
    n, s2 = 10, 1.0
    prompts = run.size("prompts a replicate", quick=384, standard=512, full=8192)
    lengths = run.size("M", quick=(2, 4, 8, 16), standard=(2, 4, 8, 16, 32), full=(2, 8, 32, 128, 512))
    rng = run.rng()
    cov = covariance(rng)
    w = task(rng)

    def measure() -> Sizes:
        layer = trained_layer(run, cov, n)
        return Sizes(lengths, np.stack([_sampled(run, layer, cov, cov, w, s2, m, prompts) for m in lengths])[..., None])

    def predict(n_train: float = n) -> Limit:
        risk = in_context.in_context_risk(w, cov=cov, n_train=n_train, n_test=1, noise_var=s2)
        return Limit([risk.irreducible + risk.bias], [risk.variance])

    def noise_only() -> Limit:
        risk = in_context.in_context_risk(0 * w, cov=cov, n_train=n, n_test=1, noise_var=s2)
        return predict()._replace(coefficient=[risk.variance])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no bias left": lambda: predict()._replace(value=[s2]),
            "variance without the task": noise_only,
            "Gamma of infinite N": lambda: predict(np.inf),
        },
    )


@PAPER.claim(
    "bias-rate",
    statement=r"""As training prompts grow the bias falls as $w^T (\Lambda + \mathrm{tr}(\Lambda) I)^2 \Lambda^{-1} w /
    N^2$. (Derived.)""",
    source="theorem 4.2, rate in the length of the training prompts",
    agreement=ConvergenceOrder(order=1, resolution=2e-2, accuracy=1e-9),
    controls=("without the trace", "Lambda for its inverse", "half of it"),
)
def bias_rate(run: Run) -> Trial:
    """Layers trained at lengths that double, on one noiseless task in a prompt of infinite length."""
    longest = run.size("longest N", quick=512, standard=1024, full=8192)
    lengths = longest // 2 ** np.arange(5)
    rng = run.rng()
    cov, w = covariance(rng), rng.standard_normal(D)

    def measure() -> Steps:
        infinite = gaussian_moments(n=np.inf, cov_x=cov, task=w, attention=AVERAGED)
        found = [[n**2 * float(infinite.squared_error(trained_layer(run, cov, int(n))))] for n in lengths]
        return Steps(1 / lengths, found)

    def predict() -> Array:
        n = 2**40
        return np.array([float(n) ** 2 * in_context.in_context_risk(w, cov=cov, n_train=n, n_test=np.inf).bias])

    def limit(trace: float = 1.0, power: float = -1.0) -> Array:
        values, basis = np.linalg.eigh(cov)
        weights = (values + trace * values.sum()) ** 2 * values**power
        return np.array([np.sum(weights * (basis.T @ w) ** 2)])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "without the trace": lambda: limit(trace=0.0),
            "Lambda for its inverse": lambda: limit(power=1.0),
            "half of it": lambda: predict() / 2,
        },
    )
