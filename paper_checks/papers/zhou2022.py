"""Zhou et al. 2022: squared error with a decayed bias, between the simplex and the orthogonal frame."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, components
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

PAPER = Paper(
    key="zhou2022",
    title="On the Optimization Landscape of Neural Collapse under MSE Loss: "
    "Global Optimality with Unconstrained Features",
    authors="Jinxin Zhou, Xiao Li, Tianyu Ding, Chong You, Qing Qu, Zhihui Zhu",
    year=2022,
    arxiv="2203.01238",
    wing="neural_collapse",
)

STATIONARY = 1e-8  # gradients of 1e-15 over curvatures of 1e-4 of the largest, near the transition, times 1e3


class _Problem(NamedTuple):
    """Sizes, decays, and what they say of the strength of decay, K sqrt(n lam_W lam_H)."""

    num_classes: int
    samples_per_class: int
    dim: int
    weight_decay: float
    feature_decay: float

    @property
    def strength(self) -> float:
        return self.num_classes * float(np.sqrt(self.samples_per_class * self.weight_decay * self.feature_decay))

    def model(self, bias_decay: float) -> sim.FeatureModel:
        return sim.feature_model(
            [self.samples_per_class] * self.num_classes,
            dims=(self.dim,),
            weight_decays=[self.weight_decay],
            feature_decay=self.feature_decay,
            bias=True,
            bias_decay=bias_decay,
        )


def _problems(run: Run) -> list[_Problem]:
    """Draw decays of which modes keep between a quarter and nine tenths of their singular value."""
    k, n, d = run.size("classes, samples, dimension", quick=(3, 4, 4), standard=(5, 6, 7), full=(10, 10, 12))
    rng = run.rng()
    found = []
    for _ in range(run.size("decays", quick=2, standard=3, full=3)):
        strength, ratio = rng.uniform(0.1, 0.75), np.exp(rng.uniform(-1, 1))
        root = strength / (k * np.sqrt(n))
        found.append(_Problem(k, n, d, root * ratio, root / ratio))
    return found


def _bias_decays(problem: _Problem) -> list[float]:
    """Decays of the bias at which kappa is a given part of the way to one, before, about and after the transition."""
    kappas = [0.0, 0.5 * problem.strength, 0.99 * problem.strength]
    kappas += [1 - (1 - problem.strength) * left for left in (0.98, 0.5, 0.01)]
    return [kappa / (1 - kappa) for kappa in kappas]


@PAPER.claim(
    "bias-decay",
    statement=r"""With the bias decayed by $\lambda_b$, $K - 1$ modes have $\sigma = (\sqrt n - N c)_+$ and the constant
    one $\sigma_0 = (\sqrt n - N c / \kappa)_+$, $\kappa = \lambda_b / (1 + \lambda_b)$, $c = \sqrt{\lambda_W
    \lambda_H}$; entries of the bias are $(\sqrt n - \sigma_0) / ((1 + \lambda_b) \sqrt{K N})$.""",
    source="global minimisers, squared loss with a decayed bias; derived here",
    agreement=Identity(rtol=STATIONARY),
    controls=("decay itself for kappa", "no decay of the bias", "bias not shrunk", "constant mode like the others"),
)
def bias_decay(run: Run) -> Trial:
    r"""Minimise from random starts, and compare loss, singular values of W H and bias.

    Along the normalised vector of ones the best bias for a residual r is r / ((1 + lambda_b) sqrt(N)), in entries
    1 / ((1 + lambda_b) sqrt(K N)) of it, and leaves the squared error kappa r^2 / (2 N). For each mode then
    kappa (sigma - sqrt(n))^2 / (2 N) + c sigma is least where sigma is said to be.
    """
    problems = _problems(run)
    starts = run.size("starts at each scale", quick=2, standard=4, full=4)

    def measure() -> Array:
        found = []
        for index, problem in enumerate(problems):
            for decay in _bias_decays(problem):
                model = problem.model(decay)
                best = sim.minimise(model, run.key(f"problem {index}"), starts=starts).best()
                singular = sim.product_singular_values(best.factors, model)
                found += [np.asarray(best.losses), np.asarray(singular), np.asarray(best.factors.bias)]
        return components(*found)

    def gather(answer: Callable[[_Problem, float], nc.BiasDecayMinimizer]) -> Array:
        found = []
        for problem in problems:
            for decay in _bias_decays(problem):
                value = answer(problem, decay)
                k = problem.num_classes
                modes = [value.singular_value] * (k - 1) + [value.constant_singular_value]
                found += [np.array(value.loss), np.array(modes), np.full(k, value.bias)]
        return components(*found)

    def exact(problem: _Problem, decay: float) -> nc.BiasDecayMinimizer:
        return nc.ufm_mse_bias_decay_minimizer(
            problem.num_classes,
            problem.samples_per_class,
            weight_decay=problem.weight_decay,
            feature_decay=problem.feature_decay,
            bias_decay=decay,
        )

    def plain(problem: _Problem, decay: float) -> nc.BiasDecayMinimizer:
        value = exact(problem, decay)
        return value._replace(constant_singular_value=value.singular_value)

    def unshrunk(problem: _Problem, decay: float) -> nc.BiasDecayMinimizer:
        value = exact(problem, decay)
        return value._replace(bias=value.bias * (1 + decay))

    def confused(problem: _Problem, decay: float) -> nc.BiasDecayMinimizer:
        # lambda_b < 1 for kappa is the answer to the decay lambda_b / (1 - lambda_b)
        return exact(problem, decay / (1 - decay) if decay < 1 else 1e9)

    k, n = problems[0].num_classes, problems[0].samples_per_class
    sizes = [1.0] + k * [np.sqrt(n)] + k * [1 / k]  # of loss, singular values and entries of the bias
    return Trial(
        predict=lambda: gather(exact),
        measure=measure,
        controls={
            "decay itself for kappa": lambda: gather(confused),
            "no decay of the bias": lambda: gather(lambda problem, decay: exact(problem, 0.0)),
            "bias not shrunk": lambda: gather(unshrunk),
            "constant mode like the others": lambda: gather(plain),
        },
        scale=np.tile(sizes, sum(len(_bias_decays(problem)) for problem in problems)),
    )


@PAPER.claim(
    "simplex-threshold",
    statement=r"""The simplex minimiser turns into a saddle at $\lambda_b / (1 + \lambda_b) = K \sqrt{n \lambda_W
    \lambda_H}$.""",
    source="derived here: where the constant mode appears",
    agreement=Identity(rtol=1e-7),
    controls=("decay itself for kappa", "n missing", "N for K sqrt(n)", "2 for K"),
)
def simplex_threshold(run: Run) -> Trial:
    """Keep the minimiser that a free bias has, and find by bisection where its Hessian first curves down.

    The lowest curvature is zero up to rounding before the transition, from rotations of the factors, and grows in
    proportion to the distance beyond; taking 1e-11 for the first of it puts the decay off by 1e-8 at most,
    as decays are 1e-3 and more.
    """
    problems = _problems(run)

    def measure() -> Array:
        keys = [run.key(f"problem {index}") for index in range(len(problems))]
        pairs = zip(problems, keys, strict=True)
        return np.array([sim.critical_bias_decay(problem.model(0.0), key) for problem, key in pairs])

    def predict() -> Array:
        return np.array(
            [
                nc.critical_bias_decay(
                    p.num_classes, p.samples_per_class, weight_decay=p.weight_decay, feature_decay=p.feature_decay
                )
                for p in problems
            ]
        )

    strengths = np.array([problem.strength for problem in problems])
    k, n = problems[0].num_classes, problems[0].samples_per_class

    def at(kappa: Array) -> Array:
        return kappa / (1 - kappa)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "decay itself for kappa": lambda: strengths,
            "n missing": lambda: at(strengths / np.sqrt(n)),
            "N for K sqrt(n)": lambda: at(strengths * np.sqrt(n)),
            "2 for K": lambda: at(strengths * 2 / k),
        },
    )


@PAPER.claim(
    "between-frames",
    statement=r"""As the decay of the bias grows, the minimiser's class means go from a simplex, where they stay up to
    the threshold, to an orthogonal frame.""",
    source="discussion of the decayed bias",
    agreement=Ordering(side="below"),
    controls=("decays in the opposite order", "features decayed instead"),
)
def between_frames(run: Run) -> Trial:
    """Measure how far the minimiser's class means are from an orthogonal frame, from no decay to nearly infinite.

    Statistics: how far the distance before the threshold is from that without decay, less 1e-6; its changes beyond,
    and its last value, less 1e-3. The last decay is 1e6, where the constant mode lacks a millionth of N c. In the
    second counterexample the decay that grows is that of the features.
    """
    problem = _problems(run)[0]
    decays = [*_bias_decays(problem), 1e6]
    starts = run.size("starts at each scale", quick=2, standard=4, full=4)

    def distance(model: sim.FeatureModel) -> float:
        factors = sim.minimise(model, run.key(), starts=starts).best().factors
        return float(sim.collapse_metrics(factors.features, model.labels, factors.weights[0]).nc2_orthogonal)

    def measure(models: list[sim.FeatureModel]) -> Array:
        found = np.array([distance(model) for model in models])
        return np.array([*np.abs(found[1:3] - found[0]) - 1e-6, *np.diff(found[2:]), found[-1] - 1e-3])

    def featured() -> list[sim.FeatureModel]:
        factors = np.linspace(1, 1.2, len(decays))
        return [problem._replace(feature_decay=f * problem.feature_decay).model(decays[1]) for f in factors]

    return Trial(
        predict=lambda: np.zeros(len(decays)),
        measure=lambda: measure([problem.model(decay) for decay in decays]),
        counterexamples={
            "decays in the opposite order": lambda: measure([problem.model(decay) for decay in decays[::-1]]),
            "features decayed instead": lambda: measure(featured()),
        },
        scale=1.0,
    )
