"""What learners lose that do not fit items seen once, and private ones, which cannot."""

from collections.abc import Callable

import numpy as np

from paper_checks.agreement import Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples
from paper_checks.papers.feldman2019.multisets import random_parts
from paper_checks.papers.feldman2019.paper import PAPER
from simulations import generalization as sim
from theory import generalization


@PAPER.claim(
    "excess-error",
    statement=r"""A learner that mislabels items seen $\ell$ times with probability $q_\ell$ errs by $\mathrm{opt} +
    \sum_\ell q_\ell \tau_\ell E|S_\ell|$ on average, with $\mathrm{opt} = (1 - 1/k) \sum_j \alpha_j (1-\alpha_j)^n$
    for labels uniform on $k$ classes: a singleton left unfitted costs $\tau_1$, about $1/n$.""",
    source="main theorem; an equality for uniform labels",
    agreement=MonteCarlo(resolution=0.03),
    controls=(
        "chance level left out of opt",
        "1 / n for tau",
        "tau_1 for doubletons",
        "misfits corrected by chance",
    ),
)
def excess_error(run: Run) -> Trial:
    """Draw samples from Zipf's law, run the learner on each, and test it on the population."""
    items, n = run.size("items, sample", quick=(400, 300), standard=(400, 300), full=(50_000, 50_000))
    replicates = run.size("replicates", quick=4000, standard=60_000, full=20_000)
    alpha, k = generalization.zipf_frequencies(items), 5
    misfit = np.array([0.7, 0.25])

    def measure() -> Samples:
        found = sim.draw_errors(run.keys(replicates), 1 / np.arange(1, items + 1), n=n, num_labels=k, misfit=misfit)
        return Samples(np.stack([found.learner, found.learner - found.all, found.singletons, found.mass], axis=1))

    def predict(excess: float | None = None, opt: float | None = None) -> Array:
        cost = generalization.excess_error(alpha, n, misfit) if excess is None else excess
        best = generalization.optimal_error(alpha, n, num_labels=k) if opt is None else opt
        singletons = generalization.expected_count(alpha, n, 1)
        return np.array([best + cost, cost, singletons, generalization.excess_error(alpha, n, [1.0])])

    counts = [generalization.expected_count(alpha, n, ell) for ell in (1, 2)]
    tau = generalization.posterior_frequency(alpha, n, 1)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "chance level left out of opt": lambda: predict(opt=float(alpha @ (1 - alpha) ** n)),
            "1 / n for tau": lambda: predict(excess=float(misfit @ counts) / n),
            "tau_1 for doubletons": lambda: predict(excess=float(misfit @ counts) * tau),
            "misfits corrected by chance": lambda: predict(
                excess=generalization.excess_error(alpha, n, (1 - 1 / k) * misfit)
            ),
        },
    )


@PAPER.claim(
    "excess-error-exact",
    statement=r"""The same, and the optimum itself, without noise: over all samples and all labellings, whatever label a
    learner guesses for items that it has not seen.""",
    source="main theorem; an equality for uniform labels",
    # sums of up to 10^7 terms
    agreement=Identity(rtol=1e-11),
    controls=("one class too few", "1 / n for tau", "tau_1 for doubletons", "opt from n - 1 draws"),
)
def excess_error_exact(run: Run) -> Trial:
    """Enumerate samples and labellings for a learner that guesses the plurality label of its sample."""
    items, n, total, k = run.size(
        "items, sample, denominator, classes", quick=(4, 4, 17, 3), standard=(4, 6, 17, 3), full=(5, 7, 19, 3)
    )
    parts = random_parts(run, items, total)
    alpha = np.array(parts) / total
    misfits = np.vstack([np.zeros(3), run.rng("misfits").uniform(0.1, 1, (3, 3))])

    def measure() -> Array:
        return np.array([sim.enumerate_errors(parts, n=n, num_labels=k, fit=1 - q).error for q in misfits])

    def predict(size: int = n, classes: int = k, cost: Callable[[Array], float] | None = None) -> Array:
        def excess(q: Array) -> float:
            return generalization.excess_error(alpha, n, q)

        best = generalization.optimal_error(alpha, size, num_labels=classes)
        return best + np.array([(cost or excess)(q) for q in misfits])

    def counts() -> Array:
        return np.array([generalization.expected_count(alpha, n, ell) for ell in (1, 2, 3)])

    tau = generalization.posterior_frequency(alpha, n, 1)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "one class too few": lambda: predict(classes=k - 1),
            "1 / n for tau": lambda: predict(cost=lambda q: float(q @ counts()) / n),
            "tau_1 for doubletons": lambda: predict(cost=lambda q: float(q @ counts()) * tau),
            "opt from n - 1 draws": lambda: predict(size=n - 1),
        },
    )


@PAPER.claim(
    "memorization-identity",
    statement=r"""With $\mathrm{mem}_i$ how much likelier the label of example $i$ is predicted with it in the sample
    than without, $E\, \mathrm{errn}_1 = E \sum_{S_1} (1 - 1/k - \mathrm{mem}_i)$ for labels uniform on $k$ classes,
    whatever the learner guesses; one that memorises singletons by $m$ on average errs by $(1 - 1/k - m)\, \tau_1
    E|S_1|$ more than the best.""",
    source="memorisation and errors on singletons; the capped cost is derived",
    agreement=Identity(rtol=1e-11),
    controls=("no chance level", "chance level twice", "memorisation as probability of a fit", "cost without tau"),
)
def memorization_identity(run: Run) -> Trial:
    """Enumerate samples and labellings for learners that guess the plurality label and trust it on singletons."""
    items, n, total, k = run.size(
        "items, sample, denominator, classes", quick=(4, 4, 17, 3), standard=(4, 6, 17, 3), full=(5, 7, 19, 3)
    )
    parts = random_parts(run, items, total)
    alpha = np.array(parts) / total
    # probabilities of a fit, by whether the label agrees with the plurality of the others
    fits = np.sort(run.rng("fits").uniform(1 / k, 1, (4, 2)), axis=1)[:, ::-1]
    fits[0] = fits[0, 0]
    caps = fits[:, 0] / k + (1 - 1 / k) * fits[:, 1] - 1 / k
    best = generalization.optimal_error(alpha, n, num_labels=k)
    singletons = generalization.expected_count(alpha, n, 1)

    def measure() -> Array:
        found = [sim.enumerate_errors(parts, n=n, num_labels=k, fit=[fit], fit_rare=rare) for fit, rare in fits]
        return np.array([[e.misfits + e.memorization, e.misfits, e.error] for e in found])

    def predict(chance: float = 1 / k, cost: Callable[[float], float] | None = None) -> Array:
        def excess(m: float) -> float:
            return generalization.memorization_limited_excess(alpha, n, num_labels=k, max_memorization=m)

        return np.array(
            [[(1 - chance) * singletons, (1 - chance - m) * singletons, best + (cost or excess)(m)] for m in caps]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no chance level": lambda: predict(chance=0),
            "chance level twice": lambda: predict(chance=2 / k),
            "memorisation as probability of a fit": lambda: predict(
                cost=lambda m: generalization.excess_error(alpha, n, [1 - m])
            ),
            "cost without tau": lambda: predict(cost=lambda m: (1 - 1 / k - m) * singletons / n),
        },
    )


@PAPER.claim(
    "privacy-cap",
    statement=r"""A learner that is $\varepsilon$-differentially private under adding or removing an example memorises a
    label, uniform on $k$ classes, by at most $\min\{(e^\varepsilon - 1)/k, (1 - e^{-\varepsilon})(1 - 1/k)\}$ on
    average, and some such learner does.""",
    source="derived; the paper's consequence for differential privacy",
    # the linear programmes are solved to 1e-9
    agreement=Identity(rtol=1e-8),
    controls=("first term alone", "chance level for the second term", "randomised response", "no chance level"),
)
def privacy_cap(run: Run) -> Trial:
    """Maximise memorisation over all private mechanisms, as linear programmes."""
    classes = run.size("classes", quick=(2, 3, 5), standard=(2, 3, 5, 10), full=(2, 3, 5, 10, 20))
    epsilons = np.array([0.05, 0.3, 1.0, 2.0, 4.0])

    def predict(cap: Callable[[float, int], float]) -> Array:
        return np.array([[cap(float(e), k) for e in epsilons] for k in classes])

    def measure() -> Array:
        return np.array(
            [[sim.most_memorizing_private_learner(float(e), num_labels=k) for e in epsilons] for k in classes]
        )

    return Trial(
        predict=lambda: predict(lambda e, k: generalization.private_memorization_cap(e, num_labels=k)),
        measure=measure,
        controls={
            "first term alone": lambda: predict(lambda e, k: np.expm1(e) / k),
            "chance level for the second term": lambda: predict(lambda e, k: min(np.expm1(e) / k, 1 - 1 / k)),
            "randomised response": lambda: predict(lambda e, k: np.exp(e) / (np.exp(e) + k - 1) - 1 / k),
            "no chance level": lambda: predict(lambda e, k: min(np.exp(e) / k, 1 - 1 / k)),
        },
    )
