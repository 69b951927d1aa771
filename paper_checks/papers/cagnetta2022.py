"""Cagnetta, Favero and Wyart 2023, after Favero et al. 2021: convolutional kernels, their spectra, and what they learn.

Inputs are patches of unit length that do not overlap. Kernels are tried against sampled networks that are
differentiated; their spectra against what units compute; rates of learning against regression on random and on regular
training sets, its error averaged over targets exactly. At sizes within reach the slopes still drift towards the rates,
so these are judged within stated margins, not by fits of a pure power.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Equivalence, Identity, MonteCarlo, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Samples
from simulations import ntk as sim
from simulations.replicates import over_replicates
from theory import ntk

PAPER = Paper(
    key="cagnetta2022",
    title="What can be learnt with wide convolutional neural networks?",
    authors="Francesco Cagnetta, Alessandro Favero, Matthieu Wyart",
    year=2023,
    arxiv="2208.01003",
    wing="ntk",
)

Array = NDArray[np.float64]
KINDS: tuple[Literal["rfk", "ntk"], ...] = ("rfk", "ntk")
SMOOTHNESS = {"rfk": 1.5, "ntk": 0.5}


def _inputs(run: Run, *, patches: int, size: int) -> Array:
    x = run.rng().normal(size=(3, patches, size)) + 0.4
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _kernels(x: Array, groups: tuple[int, ...] = ()) -> Array:
    return np.stack([ntk.local_kernel(x, kernel=kind, groups=groups) for kind in KINDS])


def _ungated(x: Array) -> Array:
    """Forget that a filter's gradient passes half of the units only."""
    rfk = _kernels(x)[0]
    return np.stack([rfk, rfk + np.mean(np.sum(x[:, None] * x, axis=-1), axis=-1)])


@PAPER.claim(
    "network_kernels",
    statement=r"""Kernels of the last layer and of all parameters of a ReLU network that looks at patches have, at any
    width, the means $\frac1p \sum_i k_1(u_i)$ and $\frac1p \sum_i [k_1(u_i) + u_i k_0(u_i)]$.""",
    source="one hidden layer",
    agreement=MonteCarlo(resolution=0.05),
    controls=("all patches as one", "no gate in the tangent kernel", "tangent kernel without the last layer"),
)
def network_kernels(run: Run) -> Trial:
    """Differentiate sampled networks of one width at three inputs."""
    networks = run.size("networks", quick=1000, standard=10_000, full=200_000)
    n = run.size("width", quick=64, standard=64, full=256)
    x = _inputs(run, patches=4, size=3)
    whole = x.reshape(3, 1, -1) / 2
    return Trial(
        predict=lambda: _kernels(x),
        measure=lambda: Samples(over_replicates(sim.local_kernels, run.keys(networks), x, n, ())),
        controls={
            "all patches as one": lambda: _kernels(whole),
            "no gate in the tangent kernel": lambda: _ungated(x),
            "tangent kernel without the last layer": lambda: (
                _kernels(x) - _kernels(x)[0] * np.array([[[0.0]], [[1.0]]])
            ),
        },
        scale="largest",
    )


@PAPER.claim(
    "hierarchical_kernels",
    statement=r"""With a second layer on groups of patches, kernels tend to $k_1(m)$ and $k_1(m) + k_0(m) \mu$, averaged
    over groups, m and $\mu$ the group means of the first layer's kernels: at width 128 within a twentieth.""",
    source="kernels of hierarchical networks",
    agreement=Equivalence(margin=0.05, resolution=0.1),
    controls=("no second layer", "one group of all", "groups without averaging", "random features for tangent"),
)
def hierarchical_kernels(run: Run) -> Trial:
    """Differentiate sampled networks of two hidden layers.

    Inputs have the same patches but for signs, so that groups of some pairs agree within, and those of others do not.
    """
    networks = run.size("networks", quick=1500, standard=3000, full=100_000)
    n = run.size("width", quick=128, standard=128, full=512)
    signs = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1]])
    x = signs[..., None] * _inputs(run, patches=4, size=3)[0]
    return Trial(
        predict=lambda: _kernels(x, (2,)),
        measure=lambda: Samples(over_replicates(sim.local_kernels, run.keys(networks), x, n, (2,))),
        controls={
            "no second layer": lambda: _kernels(x),
            "one group of all": lambda: _kernels(x, (4,)),
            "groups without averaging": lambda: _kernels(x, (1,)),
            "random features for tangent": lambda: _kernels(x, (2,))[[0, 0]],
        },
        scale="largest",
    )


@PAPER.claim(
    "circle_spectrum",
    statement=r"""On the circle $k_1$ has the eigenvalues $4 / [\pi^2 (k^2 - 1)^2]$ at even k, and $k_1 + u k_0$ has
    $(2 k^2 + 6) / [\pi^2 (k^2 - 1)^2]$; $1/4$ and $1/2$ at k = 1, and none at odd $k \ge 3$.""",
    source="spectra for patches in two dimensions",
    agreement=Identity(
        rtol=1e-10
    ),  # an amplitude of order k^-2 is known to a few roundings, its square relative to k^2
    controls=("k^2 for k^2 - 1", "odd frequencies like even ones", "kernels exchanged", "first frequency lost"),
)
def circle_spectrum(run: Run) -> Trial:
    """Sum the power of what units and their gradients compute, direction by direction."""
    k = np.arange(run.size("frequencies", quick=40, standard=80, full=160))
    envelope = np.stack([1 / (1 + k**4.0), 1 / (1 + k**2.0)])

    def predict(change: str = "") -> Array:
        found = np.stack([ntk.circle_eigenvalues(k, kernel=kind) for kind in KINDS])
        if change == "shift":
            found[:, 2::2] *= (1 - 1.0 / k[2::2] ** 2) ** 2
        if change == "odd":
            found[:, 3::2] = np.array([[4 / np.pi**2], [2 / np.pi**2]]) * envelope[:, 3::2]
        if change == "first":
            found[:, 1] = 0
        return found

    return Trial(
        predict=predict,
        measure=lambda: np.stack([sim.unit_power(k, kernel=kind) for kind in KINDS]),
        controls={
            "k^2 for k^2 - 1": lambda: predict("shift"),
            "odd frequencies like even ones": lambda: predict("odd"),
            "kernels exchanged": lambda: predict()[::-1],
            "first frequency lost": lambda: predict("first"),
        },
        scale=envelope,
    )


@PAPER.claim(
    "hierarchical_spectrum",
    statement=r"""Eigenvalues of two hidden layers over two patches on circles fall as $|k|^{-2 \nu - 1}$ for modes of
    one patch and $|k|^{-2 \nu - 2}$ for modes of both: slopes at frequencies 32 to 64 are within a thirtieth.""",
    source="spectra of hierarchical kernels",
    agreement=Equivalence(margin=0.03, resolution=0.1),
    controls=("one dimension for all modes", "nu for 2 nu", "smoothness exchanged", "whole dimension for all modes"),
)
def hierarchical_spectrum(run: Run) -> Trial:
    """Transform both kernels on a grid of the torus."""
    n = run.size("grid", quick=2048, standard=2048, full=8192)
    k = 64 if n < 4096 else 256

    def measure() -> Array:
        spectra = [np.asarray(sim.torus_spectrum(n=n, kernel=kind)) for kind in KINDS]
        return np.array([[np.log2(s[k // 2, j // 2] / s[k, j]) for j in (0, k)] for s in spectra])

    def predict(factor: float = 1.0, kinds: tuple[str, ...] = KINDS) -> Array:
        return np.stack([ntk.hierarchical_decay_exponents([2, 2], nu=factor * SMOOTHNESS[kind]) for kind in kinds])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "one dimension for all modes": lambda: predict()[:, [0, 0]],
            "nu for 2 nu": lambda: predict(0.5),
            "smoothness exchanged": lambda: predict(kinds=KINDS[::-1]),
            "whole dimension for all modes": lambda: predict()[:, [1, 1]],
        },
    )


LOCAL: tuple[tuple[str, int], ...] = (("ntk", 1), ("ntk", 2), ("rfk", 2))


@PAPER.claim(
    "learning_curve",
    statement=r"""A local kernel learns a local random function of p patches at the rate $P^{-2 \nu / (s - 1)}$, for
    one and two patches alike: over a factor of four in the number of random examples, the slope is within a fifth.""",
    source="learning curves of local kernels",
    agreement=Equivalence(margin=0.2, resolution=0.4),
    controls=("whole dimension", "nu for 2 nu", "dimension of the space, s, for s - 1"),
)
def learning_curve(run: Run) -> Trial:
    """Interpolate at random examples, nested sets of two sizes, for patches on the circle."""
    sets = run.size("training sets", quick=800, standard=800, full=800)
    sizes = run.size("examples", quick=(32, 128), standard=(64, 256), full=(256, 1024))

    def measure() -> Samples:
        slopes = []
        for kind, p in LOCAL:
            errors = sim.random_design_errors(
                run.keys(sets, f"{kind} {p}"),
                sizes=sizes,
                kernel=kind,
                patches=p,
                padded=2,
                n_test=100,
            )
            slopes.append(-np.diff(np.log(errors), axis=1)[:, 0] / np.log(sizes[1] / sizes[0]))
        return Samples(np.stack(slopes, axis=1))

    def predict(dim: Callable[[int], float] = lambda p: 1.0) -> Array:
        return np.array(
            [
                ntk.learning_curve_exponent(dim=dim(p), nu_teacher=SMOOTHNESS[kind], nu_student=SMOOTHNESS[kind])
                for kind, p in LOCAL
            ]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "whole dimension": lambda: predict(float),
            "nu for 2 nu": lambda: predict() / 2,
            "dimension of the space, s, for s - 1": lambda: predict(lambda p: 2.0),
        },
    )


@PAPER.claim(
    "no_curse",
    statement=r"""A local kernel learns local functions of two and of four patches faster than half-way between the
    rate $P^{-2 \nu / (s - 1)}$ of one patch and the rate $P^{-2 \nu / p (s - 1)}$ of the whole input.""",
    source="learning curves of local kernels: no curse of dimension",
    agreement=Ordering(side="above"),
    controls=("half as fast again as one patch", "functions and kernels that are not local"),
)
def no_curse(run: Run) -> Trial:
    """Interpolate at random examples, nested sets of two sizes, for patches on the circle and for whole tori."""
    sets = run.size("training sets", quick=1600, standard=1600, full=2000)
    sizes = run.size("examples", quick=(16, 64), standard=(32, 128), full=(64, 256))
    counts = (2, 4)

    def measure(kinds: Sequence[str] = KINDS) -> Samples:
        slopes = []
        for kind in kinds:
            for p in counts:
                errors = sim.random_design_errors(
                    run.keys(sets, f"{kind} {p}"), sizes=sizes, kernel=kind, patches=p, padded=max(counts), n_test=50
                )
                slopes.append(-np.diff(np.log(errors), axis=1)[:, 0] / np.log(sizes[1] / sizes[0]))
        return Samples(np.stack(slopes, axis=1))

    def not_local() -> Samples:
        return Samples(np.tile(measure(("exponential",)).values, (1, len(KINDS))))

    def rate(kind: str, dim: float) -> float:
        return ntk.learning_curve_exponent(dim=dim, nu_teacher=SMOOTHNESS[kind], nu_student=SMOOTHNESS[kind])

    return Trial(
        predict=lambda: np.array([(rate(kind, 1) + rate(kind, p)) / 2 for kind in KINDS for p in counts]),
        measure=measure,
        controls={
            "half as fast again as one patch": lambda: np.array([1.5 * rate(kind, 1) for kind in KINDS for _ in counts])
        },
        counterexamples={"functions and kernels that are not local": not_local},
    )


@PAPER.claim(
    "learning_curve_coefficient",
    statement=r"""For one patch in two dimensions P times the test error of tangent kernels tends to 2/3: between random
    neighbours the target is a Brownian bridge. With 128 examples and more it is there within a tenth.""",
    source="companion to the learning curves, derived here",
    agreement=Equivalence(margin=0.1, resolution=0.5),  # of the logarithm of 2/3
    controls=("period of the whole circle", "gaps not chosen by length", "slope of one branch of the cusp"),
)
def learning_curve_coefficient(run: Run) -> Trial:
    """Interpolate at random examples on the circle, and compare logarithms."""
    sets = run.size("training sets", quick=200, standard=400, full=1000)
    examples = run.size("examples", quick=128, standard=256, full=1024)

    def measure() -> Samples:
        found = sim.random_design_errors(
            run.keys(sets), sizes=(examples,), kernel="ntk", patches=1, padded=1, n_test=600
        )
        return Samples(np.log(examples * found))

    def predict(cusp: float = 1 / np.pi, period: float = np.pi) -> Array:
        return np.log([ntk.cusp_error_coefficient(cusp=cusp, period=period)])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "period of the whole circle": lambda: predict(period=2 * np.pi),
            "gaps not chosen by length": lambda: predict() - np.log(2),
            "slope of one branch of the cusp": lambda: predict(cusp=1 / (2 * np.pi)),
        },
        scale=np.ones(1),
    )


# teacher, student, their smoothness, dimension, and points along an axis
PAIRS: tuple[tuple[str, str, float, float, int, int], ...] = (
    ("ntk", "exponential", 0.5, 0.5, 1, 64),
    ("ntk", "exponential", 0.5, 0.5, 2, 64),
    ("ntk", "exponential", 0.5, 0.5, 3, 16),
    ("ntk", "matern3", 0.5, 1.5, 1, 64),
    ("rfk", "matern3", 1.5, 1.5, 1, 64),
    ("matern3", "exponential", 1.5, 0.5, 2, 64),
    ("matern5", "exponential", 2.5, 0.5, 1, 64),
    ("gaussian", "exponential", np.inf, 0.5, 1, 64),
    ("gaussian", "exponential", np.inf, 0.5, 2, 64),
)


@PAPER.claim(
    "teacher_student",
    statement=r"""Kernels that are not local learn at the rate $P^{-\beta}$,
    $\beta = \min\{2 \nu_T, 2 (2 \nu_S + d)\} / d$, d the whole dimension, also where the target is local: on regular
    grids slopes are within a twentieth.""",
    source="learning curves of kernels that are not local; Spigler et al. 2020",
    agreement=Equivalence(margin=0.05, resolution=0.15),
    controls=("dimension of a patch", "smoothness of the target alone", "2 nu of the student, without d", "d for 2 d"),
)
def teacher_student(run: Run) -> Trial:
    """Interpolate on grids of the torus whose spacing halves."""
    finer = run.size("refinement", quick=1, standard=1, full=4)

    def slope(teacher: str, student: str, dim: int, side: int) -> float:
        coarse, fine = (
            sim.lattice_error(teacher=teacher, student=student, side=s, dim=dim, n_test=2 if dim == 3 else 4)
            for s in (side, 2 * side)
        )
        return float(np.log2(coarse / fine) / dim)

    def exponents(rule: Callable[[float, float, int], float]) -> Array:
        return np.array([rule(nu_t, nu_s, dim) for _, _, nu_t, nu_s, dim, _ in PAIRS])

    return Trial(
        predict=lambda: exponents(lambda t, s, dim: ntk.learning_curve_exponent(dim=dim, nu_teacher=t, nu_student=s)),
        measure=lambda: np.array(
            [slope(teacher, student, dim, side * finer) for teacher, student, _, _, dim, side in PAIRS]
        ),
        controls={
            "dimension of a patch": lambda: exponents(lambda t, s, dim: min(2 * t, 2 * (2 * s + 1))),
            "smoothness of the target alone": lambda: exponents(lambda t, s, dim: min(2 * t, 1e3) / dim),
            "2 nu of the student, without d": lambda: exponents(lambda t, s, dim: min(2 * t, 4 * s) / dim),
            "d for 2 d": lambda: exponents(lambda t, s, dim: min(2 * t, 4 * s + dim) / dim),
        },
    )
