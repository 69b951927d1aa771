"""The step that a trained layer should take, and its error on inputs of another size."""

from fractions import Fraction
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
import sympy
from numpy.typing import NDArray

from paper_checks.agreement import ExactRational, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Exact, Samples, components
from paper_checks.papers.vonoswald2022.paper import PAPER
from simulations.in_context import prompts, training, wick
from simulations.replicates import over_replicates
from theory import in_context

Array = NDArray[np.float64]

LARGEST_DENOMINATOR = 10**7


def moments(law: str, scale: float) -> dict[str, Any]:
    """Second and fourth moment of an input coordinate."""
    second, fourth = {"gaussian": (1.0, 3.0), "uniform": (1 / 3, 1 / 5), "rademacher": (1.0, 1.0)}[law]
    return {"second_moment": second * scale**2, "fourth_moment": fourth * scale**4}


@PAPER.claim(
    "optimal-step",
    statement=r"""For independent symmetric input coordinates with moments $m_2$, $m_4$ and noise $s_2$ the risk
    of one step is least at $\eta^* = 1 / [m_4 / m_2 + (n + d - 2) m_2 + s_2]$, where it is $s_2 + m_2 d (1 - n m_2
    \eta^*)$.""",
    source="line search for the step (closed form derived)",
    agreement=Identity(rtol=1e-11),
    controls=(
        "n + d - 1 for n + d - 2",
        "Gaussian fourth moment for every law",
        "half of every half-width",
        "inverse of the mean Gram matrix",
        "noise deviation for variance",
    ),
)
def optimal_step(run: Run) -> Trial:
    """Search the step along which the risk of the attention layer, summed exactly over all prompts, is least."""
    cases = run.size(
        "law, n, d, noisy",
        quick=(
            ("uniform", 2, 2, True),
            ("gaussian", 1, 3, False),
            ("uniform", 3, 2, False),
            ("rademacher", 3, 2, False),
        ),
        standard=(
            ("uniform", 2, 2, True),
            ("gaussian", 3, 2, False),
            ("uniform", 2, 3, False),
            ("gaussian", 5, 1, True),
        ),
        full=(("uniform", 3, 2, True), ("gaussian", 2, 3, True), ("uniform", 6, 1, True), ("rademacher", 2, 3, True)),
    )
    rng = run.rng()
    problems = [
        (law, n, d, float(rng.uniform(0.6, 1.6)), float(rng.uniform(0.3, 0.8)) if noisy else 0.0)
        for law, n, d, noisy in cases
    ]

    def measure() -> Array:
        found = []
        for law, n, d, scale, noise in problems:
            grid = prompts.enumerate_prompts(
                n_context=n, dim=d, law=law, scale=scale, noise_std=noise, task_nodes=2, noise_nodes=2
            )
            minimum = training.line_search(grid)
            found += [minimum.parameters, minimum.value, minimum.value]
        return components(*found)

    def predict(*, extra: int = 0, gaussian: bool = False, shrink: float = 1.0, mean: bool = False, deviation=False):
        found = []
        for law, n, d, scale, noise in problems:
            m = moments(law, scale * shrink)
            shape: dict[str, Any] = {"n_context": n, "dim": d, "noise_var": noise if deviation else noise**2}
            if gaussian:
                m["fourth_moment"] = 3 * m["second_moment"] ** 2
            best = in_context.optimal_step(**shape, **m)
            step = 1 / (n * m["second_moment"]) if mean else 1 / (1 / best.step_size + extra * m["second_moment"])
            found += [step, best.risk, in_context.one_step_risk(step, **shape, **m)]
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "n + d - 1 for n + d - 2": lambda: predict(extra=1),
            "Gaussian fourth moment for every law": lambda: predict(gaussian=True),
            "half of every half-width": lambda: predict(shrink=0.5),
            "inverse of the mean Gram matrix": lambda: predict(mean=True),
            "noise deviation for variance": lambda: predict(deviation=True),
        },
    )


@PAPER.claim(
    "optimal-step-exact",
    statement=r"""At small $n$ and $d$ the best step, the least risk, $E\,\mathrm{tr} H = n d m_2$ and
    $E\,\mathrm{tr} H^2 = n d [m_4 + (n + d - 2) m_2^2]$ are exactly these rational numbers.""",
    source="line search for the step (closed form derived)",
    agreement=ExactRational(),
    controls=("n + d - 1 for n + d - 2", "d for n", "Gaussian fourth moment", "noise forgotten"),
)
def optimal_step_exact(run: Run) -> Trial:
    """Expand the squared error into monomials, average each, and solve for the step in rational arithmetic.

    A float determines the fraction of moderate denominator next to it: the solvers' results are rounded to fractions
    with denominators up to 1e7, a thousand times what occurs.
    """
    sizes = run.size(
        "n, d",
        quick=((1, 1), (1, 2), (2, 1), (2, 2)),
        standard=((1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (2, 3), (3, 3)),
        full=((1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (1, 3), (3, 2), (2, 3), (3, 3)),
    )
    rng = run.rng()
    laws = [(Fraction(1, 3), Fraction(1, 5), Fraction(0)), (Fraction(1), Fraction(3), Fraction(1, 2))]
    second = Fraction(int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    laws.append(
        (second, second**2 * int(rng.integers(2, 5)), Fraction(int(rng.integers(1, 4)), int(rng.integers(1, 4))))
    )

    def measure() -> Exact:
        found: list[Any] = []
        for n, d in sizes:
            for m2, m4, s2 in laws:
                law = {"second_moment": m2, "fourth_moment": m4}
                best = wick.best_step(n_context=n, dim=d, noise_var=s2, **law)
                found += [best.step_size, best.risk, best.risk]
                found += wick.gram_traces(n_context=n, dim=d, **law)
        return Exact(tuple(found))

    def predict(change=lambda n, d, law: (n, d, law), *, extra: int = 0) -> Exact:
        found: list[Any] = []
        for size in sizes:
            for m2, m4, s2 in laws:
                law = {"second_moment": float(m2), "fourth_moment": float(m4), "noise_var": float(s2)}
                n, d, law = change(*size, law)
                noise = law.pop("noise_var")
                best = in_context.optimal_step(n_context=n, dim=d, noise_var=noise, **law)
                step = 1 / (1 / best.step_size + extra * law["second_moment"])
                found += [step, best.risk]
                found.append(in_context.one_step_risk(step, n_context=n, dim=d, noise_var=noise, **law))
                found += in_context.gram_moments(n_context=n, dim=d, **law)
        fractions = (Fraction(value).limit_denominator(LARGEST_DENOMINATOR) for value in found)
        return Exact(tuple(sympy.Rational(value.numerator, value.denominator) for value in fractions))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "n + d - 1 for n + d - 2": lambda: predict(extra=1),
            "d for n": lambda: predict(lambda n, d, law: (d, n, law)),
            "Gaussian fourth moment": lambda: predict(
                lambda n, d, law: (n, d, law | {"fourth_moment": 3 * law["second_moment"] ** 2})
            ),
            "noise forgotten": lambda: predict(lambda n, d, law: (n, d, law | {"noise_var": 0.0})),
        },
    )


@PAPER.claim(
    "test-scale",
    statement=r"""On inputs scaled by $\alpha$ at test a fixed step has the risk $s_2 + \alpha^2 m_2 [d - 2 \eta
    \alpha^2 E_1 + \eta^2 \alpha^4 E_2 + \eta^2 \alpha^2 s_2 E_1]$, $E_1 = n d m_2$, $E_2 = E\,\mathrm{tr} H^2$.""",
    source="out-of-distribution curves (closed form derived)",
    agreement=MonteCarlo(resolution=0.05),
    controls=("n + d - 1 in E_2", "query not scaled", "step tuned to the scale", "noise scaled along", "U(-1/2, 1/2)"),
)
def test_scale(run: Run) -> Trial:
    """Run the layer of the paper's size on scaled prompts; every draw of inputs gives two estimates.

    One averages exactly over tasks, noises and queries, and sets the resolution; the other is the error of a few draws
    of them, and shows that the average is the right one.
    """
    n, d = run.size("examples and dimension", quick=(10, 10), standard=(10, 10), full=(20, 20))
    draws = run.size("draws", quick=4000, standard=100_000, full=5_000_000)
    noise = float(run.rng().uniform(0.8, 1.2))
    shape: dict[str, Any] = {"n_context": n, "dim": d, "noise_var": noise**2}
    law = moments("uniform", 1.0)
    eta = in_context.optimal_step(**shape, **law).step_size
    factors = np.array([0.5, 0.9, 1.3])

    def measure() -> Samples:
        simulate = partial(training.scaled_errors, n_context=n, dim=d, law="uniform", scale=1.0, noise_std=noise)
        return Samples(over_replicates(simulate, run.keys(draws), jnp.asarray(eta), jnp.asarray(factors)))

    def twice(risk: Any) -> Array:
        return np.stack([risk, risk])

    def predict(step: float | Array = eta, *, law: dict[str, Any] = law) -> Array:
        return twice(in_context.one_step_risk(step, test_scale=factors, **shape, **law))

    def gram_off_by_one() -> Array:
        fourth = law["fourth_moment"] + law["second_moment"] ** 2
        return predict(law=law | {"fourth_moment": fourth})

    def query_unscaled() -> Array:
        return noise**2 + (predict() - noise**2) / factors**2

    def noise_scaled() -> Array:
        return np.stack(
            [
                in_context.one_step_risk(eta, test_scale=a, n_context=n, dim=d, noise_var=(a * noise) ** 2, **law)
                for a in factors
            ]
        ) * np.ones((2, 1))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "n + d - 1 in E_2": gram_off_by_one,
            "query not scaled": query_unscaled,
            "step tuned to the scale": lambda: predict(eta / factors**2),
            "noise scaled along": noise_scaled,
            "U(-1/2, 1/2)": lambda: predict(law=moments("uniform", 0.5)),
        },
    )
