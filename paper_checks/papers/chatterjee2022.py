"""Chatterjee and Zielinski 2022: coherence of gradients, what a sample shows of it, and what it says of the gap.

Samples of few gradients are all listed; those of many are drawn. The stability bound takes weights that do not depend
on the examples that are exchanged, so that it is tried where it is a theorem, on the squared distance.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from paper_checks.agreement import Bound, ExactRational, Identity, MonteCarlo
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Exact, Samples, components
from paper_checks.rationals import recovered
from simulations import generalization as sim
from theory import generalization

PAPER = Paper(
    key="chatterjee2022",
    title="On the generalization mystery in deep learning",
    authors="Satrajit Chatterjee, Piotr Zielinski",
    year=2022,
    arxiv="2203.10036",
    wing="generalization",
)

Array = NDArray[np.float64]
Bias = Callable[[Array, Array], Array]  # of a coherence, and a number of examples


@PAPER.claim(
    "coherence",
    statement=r"""The mean product of gradients over their mean square, $\alpha$, is $|\bar g|^2 / \overline{|g|^2}$
    at any scale: $\sum_j f_j^2$ for groups with one gradient each, orthogonal and of one size; so $1/m$ for $m$
    different ones, 1 for the same, and 0 where they cancel. Over pairs of different examples the mean product is
    $(m \alpha - 1) / (m - 1)$ of the mean square.""",
    source="definition of coherence, and its extremes",
    agreement=Identity(rtol=1e-13),
    controls=(
        "largest group",
        "one over the number of groups",
        "pairs of different examples",
        "root",
        "equal sizes only",
    ),
)
def coherence(run: Run) -> Trial:
    """Average products over all pairs of gradients: groups in random orthogonal directions, and random gradients."""
    examples, parameters = 20, run.size("parameters", quick=30, standard=100, full=1000)
    groups = [[10, 6, 4], [20], [1] * 20, [5] * 4, [13, 1, 1, 5]]
    fractions = [np.array(group) / examples for group in groups]

    @cache
    def gradients() -> list[Array]:
        rng = run.rng("gradients")
        frame = np.linalg.qr(rng.standard_normal((parameters, examples)))[0].T
        grouped = [10 ** rng.uniform(-3, 3) * np.repeat(frame[: len(group)], group, axis=0) for group in groups]
        return [*grouped, *(rng.standard_normal((examples, parameters)) + shift for shift in (0.0, 0.3, 3.0))]

    def cancelling() -> Array:
        half = gradients()[-1][: examples // 2]
        return np.concatenate([half, -half])

    def uneven() -> list[Array]:
        rng = run.rng("sizes")
        return [g * rng.uniform(0.3, 3, (examples, 1)) for g in gradients()]

    def predict(of_groups: Callable[[Array], Any] = generalization.coherence_of_groups, power: float = 1.0) -> Array:
        drawn = [generalization.coherence(g) ** power for g in gradients()]
        pairs = [generalization.unbiased_coherence(g) for g in gradients()[-3:]]
        return components([of_groups(f) for f in fractions], drawn, pairs, 0.0)

    def measure(of: Callable[[], list[Array]] = gradients) -> Array:
        found = [sim.pairwise_coherence(g) for g in of()]
        pairs = [sim.pairwise_coherence(g, distinct=True) for g in of()[-3:]]
        return components(found[: len(groups)], found, pairs, sim.pairwise_coherence(cancelling()))

    def different() -> Array:
        return components(
            [(f @ f * examples - 1) / (examples - 1) for f in fractions],
            [generalization.unbiased_coherence(g) for g in gradients()],
            [generalization.coherence(g) for g in gradients()[-3:]],
            0.0,
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "largest group": lambda: predict(np.max),
            "one over the number of groups": lambda: predict(lambda f: 1 / f.size),
            "pairs of different examples": different,
            "root": lambda: predict(power=0.5),
        },
        counterexamples={"equal sizes only": lambda: measure(uneven)},
        scale=1.0,
    )


def _expected(alpha: Array, m: Array) -> Array:
    return np.asarray(generalization.expected_sample_coherence(alpha, m))


WRONG_BIASES: dict[str, Bias] = {
    "no bias": lambda alpha, m: alpha + 0 * m,
    "1 / (m - 1)": lambda alpha, m: 1 / (m - 1) + (1 - 1 / (m - 1)) * alpha,
    "different draws, not rescaled": lambda alpha, m: (1 - 1 / m) * alpha,
    "1 / m added": lambda alpha, m: alpha + 1 / m,
}


@PAPER.claim(
    "sample-bias",
    statement=r"""Over samples of $m$ gradients, $E |\bar g|^2 / E |g|^2 = \frac1m + (1 - \frac1m) \alpha$; without
    the products of gradients with themselves, $E \frac{|\sum g|^2 - \sum |g|^2}{m (m - 1)} / E |g|^2 = \alpha$.""",
    source="coherence of a sample",
    agreement=ExactRational(),
    controls=tuple(WRONG_BIASES),
)
def sample_bias(run: Run) -> Trial:
    """List all samples with replacement from populations of whole gradients, in exact arithmetic."""
    shapes = run.size(
        "gradients, draws",
        quick=[(2, 2), (3, 3), (3, 5), (4, 4)],
        standard=[(2, 2), (3, 3), (3, 5), (4, 4), (5, 5), (3, 7)],
        full=[(2, 2), (3, 3), (3, 5), (4, 4), (5, 5), (3, 7), (6, 6)],
    )

    @cache
    def populations() -> list[NDArray[np.int64]]:
        rng = run.rng("gradients")
        # the first entries keep the mean off zero, and gradients apart
        return [np.column_stack([np.arange(1, k + 1), rng.integers(-3, 4, (k, 2))]) for k, _ in shapes]

    def predict(bias: Bias = _expected) -> Exact:
        alpha = np.array([generalization.coherence(g) for g in populations()])
        return recovered(bias(alpha, np.array([m for _, m in shapes])), alpha)

    def measure() -> Exact:
        counted = [sim.count_samples(g, m) for g, (_, m) in zip(populations(), shapes, strict=True)]
        return Exact(tuple(c.of_mean for c in counted) + tuple(c.of_pairs for c in counted))

    return Trial(
        predict=predict,
        measure=measure,
        controls={name: partial(predict, wrong) for name, wrong in WRONG_BIASES.items()},
    )


@PAPER.claim(
    "sample-bias-gaussian",
    statement=r"""Gaussian gradients of mean $\mu$ and variance $\sigma^2$ in $d$ dimensions have $\alpha = |\mu|^2 /
    (|\mu|^2 + d \sigma^2)$, and samples of $m$ show $\frac1m + (1 - \frac1m) \alpha$, as a ratio of means.""",
    source="coherence of a sample, for one law of gradients",
    agreement=MonteCarlo(resolution=0.05),
    controls=(*WRONG_BIASES, "one dimension", "batches with noise in common"),
)
def sample_bias_gaussian(run: Run) -> Trial:
    """Draw samples; then samples whose gradients share a tenth of their noise."""
    replicates = run.size("samples", quick=30_000, standard=200_000, full=2_000_000)
    d, variance, sizes = 6, 0.8, np.array([3, 12])
    mean = np.array([0.9, -0.4, 0.0, 0.3, 0.1, 0.2])
    square = float(mean @ mean + d * variance)

    def predict(bias: Bias = _expected, dimensions: int = d) -> Array:
        alpha = float(generalization.coherence_gaussian(mean, variance=variance * dimensions / d))
        return components(bias(np.full(2, alpha), sizes), np.full(2, alpha), 1.0)

    def measure(shared: float = 0.0) -> Samples:
        drawn = [
            sim.gaussian_samples(run.keys(replicates, f"{m}"), mean, variance, int(m), shared=shared) for m in sizes
        ]
        means = np.column_stack([s.of_mean for s in drawn] + [s.of_pairs for s in drawn] + [drawn[0].square])
        return Samples(means / square)

    return Trial(
        predict=predict,
        measure=measure,
        controls={name: partial(predict, wrong) for name, wrong in WRONG_BIASES.items()}
        | {"one dimension": lambda: predict(dimensions=1)},
        counterexamples={"batches with noise in common": lambda: measure(shared=0.1)},
    )


@PAPER.claim(
    "sample-bias-network",
    statement=r"""The same for a network's gradients at fixed weights, before and after five steps, with a finite
    data set for a population from which samples are drawn with replacement.""",
    source="coherence of a sample, in a network",
    agreement=MonteCarlo(resolution=0.05),
    controls=(*WRONG_BIASES, "drawn without replacement"),
)
def sample_bias_network(run: Run) -> Trial:
    """Take gradients on handwritten zeros and ones, and average over drawn samples of them."""
    replicates = run.size("samples", quick=20_000, standard=60_000, full=1_000_000)
    examples, width = run.size("examples, width", quick=(48, 4), standard=(60, 8), full=(100, 32))
    sizes, stages = np.array([8, 36]), (0, 5)

    @cache
    def gradients() -> list[Array]:
        digits = load_digits()
        # two digits: with ten, gradients agree so little that some controls would be hard to tell
        chosen = run.rng("examples").permutation(np.flatnonzero(digits.target < 2))[:examples]
        inputs, labels = digits.data[chosen] / 16, digits.target[chosen]
        return [sim.network_gradients(run.key("network"), inputs, labels, width=width, n_steps=n) for n in stages]

    def predict(bias: Bias = _expected) -> Array:
        alphas = [float(generalization.coherence(g)) for g in gradients()]
        return components(*(part for a in alphas for part in (bias(np.full(2, a), sizes), np.full(2, a))))

    def measure(replace: bool = True) -> Samples:
        found = []
        for stage, g in zip(stages, gradients(), strict=True):
            square = (g**2).sum(axis=1).mean()
            drawn = [
                sim.resampled_means(run.keys(replicates, f"{stage} {m}"), g, int(m), replace=replace) for m in sizes
            ]
            found += [s.of_mean / square for s in drawn] + [s.of_pairs / square for s in drawn]
        return Samples(np.column_stack(found))

    return Trial(
        predict=predict,
        measure=measure,
        controls={name: partial(predict, wrong) for name, wrong in WRONG_BIASES.items()},
        counterexamples={"drawn without replacement": lambda: measure(replace=False)},
        scale="largest",
    )


def _covariance_trace(atoms: Array) -> float:
    return float(((atoms - atoms.mean(axis=0)) ** 2).sum(axis=1).mean())


def _padded(step_sizes: Array, steps: int = 30) -> Array:
    """Append steps of size zero, which do nothing, so that schedules have one length."""
    return np.append(step_sizes, np.zeros(steps - step_sizes.size))


@PAPER.claim(
    "quadratic-gap",
    statement=r"""Gradient descent on $|w - z|^2 / 2$, $T$ steps of size $\eta$ on $m$ examples, has a mean gap of
    $(1 - (1 - \eta)^T) \operatorname{tr} \operatorname{Cov}(z) / m$, from any start.""",
    source="derived; exact instance of the stability bound",
    # hundreds of steps and sets
    agreement=Identity(rtol=1e-11),
    controls=("m - 1 for m", "continuous time", "squared distance", "at the minimum", "examples all different"),
)
def quadratic_gap(run: Run) -> Trial:
    """Train on every set of m of k atoms, with replacement; then on those of different atoms."""
    shapes = run.size("atoms, draws", quick=[(3, 3), (5, 4)], standard=[(3, 3), (5, 4), (6, 4)], full=[(5, 5), (6, 6)])
    schedules = [(1, 0.3), (5, 0.05), (12, 0.1), (30, 1.4)]

    @cache
    def problems() -> list[tuple[Array, Array]]:
        rng = run.rng("atoms")
        return [(rng.standard_normal((k, 3)), rng.standard_normal(3)) for k, _ in shapes]

    def predict(
        gap: Callable[[float, int, int, float], Array] = generalization.quadratic_gd_gap, fewer: int = 0
    ) -> Array:
        return np.array(
            [
                [gap(_covariance_trace(atoms), m - fewer, steps, eta) for steps, eta in schedules]
                for (atoms, _), (_, m) in zip(problems(), shapes, strict=True)
            ]
        )

    def measure(replace: bool = True) -> Array:
        return np.array(
            [
                [
                    sim.descent_gap(atoms, sim.every_set(k, m, replace=replace), _padded(np.full(steps, eta)), start)
                    for steps, eta in schedules
                ]
                for (atoms, start), (k, m) in zip(problems(), shapes, strict=True)
            ]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "m - 1 for m": lambda: predict(fewer=1),
            "continuous time": lambda: predict(lambda trace, m, steps, eta: -np.expm1(-eta * steps) * trace / m),
            "squared distance": lambda: predict(
                lambda trace, m, steps, eta: 2 * generalization.quadratic_gd_gap(trace, m, steps, eta)
            ),
            "at the minimum": lambda: predict(lambda trace, m, steps, eta: np.asarray(trace / m)),
        },
        counterexamples={"examples all different": lambda: measure(replace=False)},
    )


@PAPER.claim(
    "stability-bound",
    statement=r"""Of full-batch gradient descent on $|w - z|^2 / 2$, with gradients of at most $L$ and curvature
    $\beta$, the gap is at most $\frac{L^2}{m} \sum_t [\prod_{k > t} (1 + \eta_k \beta)] \eta_t E \sqrt{2 (1 -
    \alpha_{t-1})}$.""",
    source="stability bound by coherence; rigorous where differences of gradients do not depend on the weights",
    agreement=Bound(side="upper", rounding=1e-12),
    controls=("half the root", "alpha for 1 - alpha", "mean over steps", "m squared", "curvature of four"),
)
def stability_bound(run: Run) -> Trial:
    """Search for atoms on the unit circle that overfit most, draw others, and train on every set of them."""
    k, m = 3, 4
    drawn = run.size("atom sets drawn", quick=4, standard=30, full=300)
    chains, n_steps = run.size("search", quick=(4, 60), standard=(8, 300), full=(32, 1000))
    schedules = [np.full(1, 0.05), np.full(8, 0.02), np.linspace(0.2, 0.05, 8), np.full(15, 0.1)]
    schedules = [_padded(eta, 15) for eta in schedules]
    sets = sim.every_set(k, m)

    @cache
    def atom_sets() -> list[tuple[Array, Array]]:
        angles = run.rng("atoms").uniform(0, 2 * np.pi, (drawn, k))
        circles = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        found = []
        for number, eta in enumerate(schedules):
            hardest = sim.hardest_atoms(run.key(f"search {number}"), sets, eta, chains=chains, n_steps=n_steps)[1]
            found += [(atoms, eta) for atoms in [*circles, *hardest]]
        return found

    def predict(alpha: Callable[[Array], Array] = lambda a: a, factor: Callable[[int], float] = lambda T: 1.0) -> Array:
        bounds = []
        for atoms, eta in atom_sets():
            # where training from zero is before each step: that far on the way to the mean
            way = 1 - np.append(1.0, np.cumprod(1 - eta))
            weights = way[:-1, None] * atoms[sets].mean(axis=1)[:, None, :]
            alphas = generalization.coherence(weights[..., None, :] - atoms)
            bound = generalization.coherence_stability_bound(
                alpha(alphas), eta, lipschitz=1 + way[-1], smoothness=1.0, num_examples=m
            )
            bounds.append(factor(int(np.count_nonzero(eta))) * np.mean(bound))
        return np.array(bounds)

    def measure(curvature: float = 1.0) -> Array:
        return np.array(
            [sim.descent_gap(atoms, sets, eta, np.zeros(2), curvature=curvature) for atoms, eta in atom_sets()]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "half the root": lambda: predict(factor=lambda T: 0.5),
            "alpha for 1 - alpha": lambda: predict(lambda a: 1 - a),
            "mean over steps": lambda: predict(factor=lambda T: 1 / T),
            "m squared": lambda: predict(factor=lambda T: 1 / m),
        },
        counterexamples={"curvature of four": lambda: measure(curvature=4.0)},
        scale=1.0,
    )
