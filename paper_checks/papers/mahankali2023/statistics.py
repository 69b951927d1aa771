"""What the layer is up against: the Bayes estimator, which it never beats, and least squares."""

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Bound, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples
from paper_checks.papers.mahankali2023.paper import PAPER, Array
from simulations.in_context.prompt_risks import ridge_risk
from simulations.replicates import over_replicates
from theory import in_context


def _ridge(run: Run, cases: tuple[tuple[int, int, float], ...], penalties: list[float], prompts: int) -> Samples:
    """Risks of ridge regression in context at several (n, d, s2)."""
    replicates = run.size("replicates", quick=512, standard=1024, full=4096)
    found = [
        over_replicates(ridge_risk, run.keys(replicates, f"{n} {d}"), jnp.array(s2), jnp.array(p), n, d, prompts)
        for (n, d, s2), p in zip(cases, penalties, strict=True)
    ]
    return Samples(np.stack(found, axis=1))


@PAPER.claim(
    "bayes-gap",
    statement=r"""The optimal layer's risk is never below that of the Bayes estimator, ridge regression with penalty
    $s_2$, and comes close to it where the prompt says little.""",
    source="derived; comparison of one step with the posterior mean",
    agreement=Bound(side="upper", tight=0.05),
    controls=("noise floor", "eightfold context", "d for d + 1 + s2"),
)
def bayes_gap(run: Run) -> Trial:
    """Ridge regression on sampled prompts, at several context lengths, dimensions and noise levels."""
    cases = ((10, 4, 0.5), (7, 1, 0.3), (2, 4, 20.0), (1, 6, 4.0))
    prompts = run.size("prompts a replicate", quick=128, standard=512, full=4096)

    def predict(factor: int = 1) -> Array:
        risks = [in_context.optimal_step(n_context=factor * n, dim=d, noise_var=s2).risk for n, d, s2 in cases]
        return np.array(risks)

    return Trial(
        predict=predict,
        measure=lambda: _ridge(run, cases, [s2 for *_, s2 in cases], prompts),
        controls={
            "noise floor": lambda: np.array([s2 for *_, s2 in cases]),
            "eightfold context": lambda: predict(factor=8),
            "d for d + 1 + s2": lambda: np.array([s2 + d * d / (n + d + 1 + s2) for n, d, s2 in cases]),
        },
    )


@PAPER.claim(
    "baseline-risks",
    statement=r"""In one dimension the Bayes risk is $s_2 + \frac{s_2}{2} e^{s_2/2} E_{n/2}(s_2/2)$; least squares has
    the risk $s_2 (1 + d / (n - d - 1))$. (Derived.)""",
    source="derived, textbook",
    agreement=MonteCarlo(resolution=0.05),
    controls=("classical s2 (1 + d / n)", "prior mean n of chi squared", "risk of the layer"),
)
def baseline_risks(run: Run) -> Trial:
    """Ridge regression and least squares on sampled prompts long enough for the fourth moment of their errors."""
    bayes, ols = ((7, 1, 0.3), (2, 1, 2.0)), ((11, 3, 0.5), (14, 5, 1.0))
    prompts = run.size("prompts a replicate", quick=512, standard=1024, full=16384)
    cases = (*bayes, *ols)

    def predict() -> Array:
        first = [in_context.scalar_bayes_risk(n_context=n, noise_var=s2) for n, _, s2 in bayes]
        return np.array([*first, *(in_context.ols_risk(n_context=n, dim=d, noise_var=s2) for n, d, s2 in ols)])

    return Trial(
        predict=predict,
        measure=lambda: _ridge(run, cases, [s2 for *_, s2 in bayes] + [0.0] * len(ols), prompts),
        controls={
            "classical s2 (1 + d / n)": lambda: np.array([s2 * (1 + d / n) for n, d, s2 in cases]),
            "prior mean n of chi squared": lambda: np.array(
                [*(s2 + s2 / (n + s2) for n, _, s2 in bayes), *predict()[len(bayes) :]]
            ),
            "risk of the layer": lambda: np.array(
                [in_context.optimal_step(n_context=n, dim=d, noise_var=s2).risk for n, d, s2 in cases]
            ),
        },
    )
