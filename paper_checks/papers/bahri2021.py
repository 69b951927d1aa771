"""Bahri, Dyer, Kaplan, Lee and Sharma 2021: four scaling laws, limited by variance or by resolution."""

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from paper_checks.agreement import ConvergenceOrder, FiniteSize, MonteCarlo
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Samples, Sizes, Steps
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as theory

PAPER = Paper(
    key="bahri2021",
    title="Explaining neural scaling laws",
    authors="Yasaman Bahri, Ethan Dyer, Jared Kaplan, Jaehoon Lee, Utkarsh Sharma",
    year=2021,
    arxiv="2102.06701",
    wing="kernel_regression",
)

Array = NDArray[np.float64]


def _levels(modes: int) -> Array:
    """Two levels of eigenvalues, the first holding a fifth of the modes."""
    return np.concatenate([np.full(modes // 5, 3 / modes), np.full(modes - modes // 5, 0.4 / modes)])


@PAPER.claim(
    "duality",
    statement=r"""Ridgeless regression on k random features of a random linear teacher has the loss $\gamma(m)
    \frac{nk}{|n-k|}$, $m = \min(n, k)$, $\sum_i \frac{\lambda_i}{\lambda_i + \gamma(m)} = m$: data and features may be
    exchanged. With all data, or all features, it is $m \gamma(m)$.""",
    source="teacher and student of random features (closed form derived)",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("n k / (n + k)", "gamma at the larger size", "equal coefficients", "variance left out"),
)
def duality(run: Run) -> Trial:
    """Fit designs with two sizes for data and features, either way, and with all of one."""
    sizes = run.size("sizes", quick=(5, 10, 20, 40), standard=(8, 16, 32, 64), full=(16, 32, 64, 128))
    designs = run.size("designs", quick=1500, standard=3000, full=20_000)
    few, many, modes = 1, 3, 5

    def measure() -> Sizes:
        found = []
        for c in sizes:
            keys, lam = run.keys(designs, f"{c}"), _levels(modes * c)
            shapes = ((few * c, many * c), (many * c, few * c), (few * c, None), (None, few * c))
            found.append(np.stack([over_replicates(sim.teacher_loss, keys, lam, *shape) for shape in shapes], axis=1))
        return Sizes(sizes, np.stack(found))

    c = 16
    lam = _levels(modes * c)
    n, k = c * np.array([few, many, few, np.inf]), c * np.array([many, few, np.inf, few])

    def gamma(m: float) -> float:
        return float(theory.teacher_student_loss(lam, n=m)) / m

    def both(gamma: float, size: float) -> Array:
        return np.array([gamma * size, gamma * size, gamma * few * c, gamma * few * c])

    product, gap, total = few * many * c, many - few, many + few
    return Trial(
        predict=lambda: theory.teacher_student_loss(lam, n=n, k=k),
        measure=measure,
        controls={
            "n k / (n + k)": lambda: both(gamma(few * c), product / total),
            "gamma at the larger size": lambda: both(gamma(many * c), product / gap),
            "equal coefficients": lambda: (
                theory.rf_risk(lam, np.full(lam.size, lam.mean()), n=few * c, k=many * c).test * np.ones(4)
            ),
            "variance left out": lambda: both(gamma(few * c), few * c),
        },
        scale="largest",
    )


@PAPER.claim(
    "variance-limited",
    statement=r"""At a fixed number of features the excess over the loss with all data is $k / n$ of it for large n; at
    a fixed number of samples the excess over the loss with all features is $n / k$ of it for large k.""",
    source="variance-limited scaling, exponent 1",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("exponent 1/2", "one more", "twice as much", "exponent of the spectrum"),
)
def variance_limited(run: Run) -> Trial:
    """Divide losses by those of the same design with all data, or all features; the larger size times the excess."""
    sizes = run.size("sizes", quick=(24, 48, 96, 192), standard=(32, 64, 128, 256), full=(64, 128, 256, 512))
    designs = run.size("designs", quick=6000, standard=10_000, full=40_000)
    fixed, excess = 6, 0.7
    lam = np.arange(1.0, 41) ** -(1 + excess)

    def measure() -> Sizes:
        found = []
        for size in sizes:
            keys = run.keys(designs, f"{size}")
            shapes = ((size, fixed), (None, fixed), (fixed, size), (fixed, None))
            more_data, all_data, more, everything = (
                over_replicates(sim.teacher_loss, keys, lam, *shape) for shape in shapes
            )
            found.append(size * (np.stack([more_data / all_data, more / everything], axis=1) - 1))
        return Sizes(sizes, np.stack(found))

    def predict(power: float = 1.0, m: int = fixed, factor: float = 1.0) -> Array:
        large = 1e9
        n, k = np.array([large, m]), np.array([m, large])
        alone = theory.teacher_student_loss(lam, n=m)
        return (
            factor * sizes[-1] * (large / sizes[-1]) ** power * (theory.teacher_student_loss(lam, n=n, k=k) / alone - 1)
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "exponent 1/2": lambda: predict(power=0.5),
            "one more": lambda: predict(m=fixed + 1),
            "twice as much": lambda: predict(factor=2.0),
            "exponent of the spectrum": lambda: predict(power=excess),
        },
    )


@PAPER.claim(
    "resolution-limited",
    statement=r"""For eigenvalues $i^{-a}$, $a = 1 + \alpha$, the loss with all features, or all data, tends to
    $[\frac{\pi/a}{\sin(\pi/a)}]^a n^{-\alpha}$, with relative corrections of order 1/n.""",
    source="resolution-limited scaling (amplitude derived)",
    agreement=ConvergenceOrder(order=1, resolution=1e-3, accuracy=1e-9),
    controls=("amplitude to the power one", "exponent a", "exponent of the variance", "sine left out"),
)
def resolution_limited(run: Run) -> Trial:
    """Solve for the loss by bisection on sums of infinitely many modes, at sizes that double; losses times n^alpha."""
    first = run.size("fewest samples", quick=25, standard=50, full=100)
    n = first * 2.0 ** np.arange(6)
    excesses = np.array([0.4, 0.7, 1.5])

    def measure() -> Steps:
        found = [[size**alpha * sim.interpolation_loss(1 + alpha, size) for alpha in excesses] for size in n]
        return Steps(1 / n, np.array(found))

    def predict(shift: float = 0.0) -> Array:
        return n[-1] ** (excesses + shift) * theory.resolution_limited_loss(n[-1], excess=excesses)

    a = 1 + excesses
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "amplitude to the power one": lambda: predict() ** (1 / a),
            "exponent a": lambda: predict(shift=-0.1),
            "exponent of the variance": lambda: n[-1] * theory.resolution_limited_loss(n[-1], excess=excesses),
            "sine left out": lambda: (np.pi / a) ** a,
        },
    )


@PAPER.claim(
    "nearest-neighbour",
    statement=r"""The squared distance to the nearest of D uniform points on the unit torus has the mean $V_d^{-2/d}
    \Gamma(1 + 2/d) \Gamma(D+1) / \Gamma(D+1+2/d)$.""",
    source="resolution-limited scaling in dimension d (exact mean derived)",
    agreement=MonteCarlo(resolution=0.05),
    controls=("D^(-2/d)", "D^(-1/d)", "volume of the cube", "one point more"),
)
def nearest_neighbour(run: Run) -> Trial:
    """Draw points and queries in one to four dimensions, few points and more."""
    replicates = run.size("replicates", quick=20_000, standard=50_000, full=1_000_000)
    shapes = [(points, dim) for dim in (1, 2, 3, 4) for points in (12, 150)]
    points, dims = (np.array(part, dtype=float) for part in zip(*shapes, strict=True))

    def measure() -> Samples:
        found = []
        for number, dim in shapes:
            keys = run.keys(replicates, f"{number} {dim}")
            found.append(over_replicates(sim.nearest_neighbour, keys, number, dim, 10).distance_sq)
        return Samples(np.stack(found, axis=1))

    predict = partial(theory.nearest_neighbor_mean_sq_distance, points, dims)
    ball = predict() / theory.nearest_neighbor_mean_sq_distance(1, dims) * 0.25
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "D^(-2/d)": lambda: predict() * np.exp(_log_rise(points, 2 / dims)) * points ** (-2 / dims),
            "D^(-1/d)": lambda: np.sqrt(predict()),
            "volume of the cube": lambda: ball,
            "one point more": lambda: theory.nearest_neighbor_mean_sq_distance(points + 1, dims),
        },
    )


def _log_rise(points: Array, b: Array) -> Array:
    """Log of Gamma(D + 1 + b) / Gamma(D + 1)."""
    return gammaln(points + 1 + b) - gammaln(points + 1)


@PAPER.claim(
    "piecewise-constant",
    statement=r"""Copying the value of the nearest point errs by $\frac{E |\nabla f|^2}{d} E r^2$ in the mean square,
    which falls as $D^{-2/d}$.""",
    source="resolution-limited scaling, piecewise constant fits",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.1),
    controls=("gradient not shared among dimensions", "half the gradient", "exponent 4/d"),
)
def piecewise_constant(run: Run) -> Trial:
    """Copy a sum of sines from nearest points in one and two dimensions; errors times D^(2/d)."""
    sizes = run.size("points", quick=(50, 100, 200, 400), standard=(100, 200, 400, 800), full=(500, 1000, 2000, 4000))
    replicates = run.size("replicates", quick=7000, standard=10_000, full=20_000)
    dims = np.array([1, 2])

    def measure() -> Sizes:
        found = []
        for size in sizes:
            errors = [
                over_replicates(
                    sim.nearest_neighbour, run.keys(replicates, f"{size} {dim}"), size, int(dim), 50
                ).error_sq
                for dim in dims
            ]
            found.append(np.stack(errors, axis=1) * size ** (2 / dims))
        return Sizes(sizes, np.stack(found))

    def predict(gradient: float | Array = 2 * np.pi**2, power: float = 2) -> Array:
        large = 1e9
        distance = theory.nearest_neighbor_mean_sq_distance(large, dims)
        return gradient * distance * large ** (2 / dims) * sizes[-1] ** ((2 - power) / dims)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "gradient not shared among dimensions": lambda: predict(2 * np.pi**2 * dims),
            "half the gradient": lambda: predict(np.pi**2),
            "exponent 4/d": lambda: predict(power=4),
        },
    )


@PAPER.claim(
    "piecewise-linear",
    statement=r"""Lines between D uniform points of [0, 1] and its ends miss a parabola of second derivative c by $c^2 /
    ((D+2)(D+3)(D+4)(D+5))$ in the mean square, which falls as $D^{-4}$.""",
    source="resolution-limited scaling, piecewise linear fits (exact mean derived)",
    agreement=MonteCarlo(resolution=0.05),
    controls=("exponent 2", "equal gaps", "c for its square", "no interior points"),
)
def piecewise_linear(run: Run) -> Trial:
    """Draw points and integrate the error in every gap."""
    replicates = run.size("replicates", quick=260_000, standard=400_000, full=2_000_000)
    numbers, c = np.array([1, 4, 12, 30]), 3.0

    def measure() -> Samples:
        found = [over_replicates(sim.piecewise_linear_error, run.keys(replicates, f"{n}"), int(n), c) for n in numbers]
        return Samples(np.stack(found, axis=1))

    predict = partial(theory.linear_interpolation_mse_1d, numbers, second_derivative=c)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "exponent 2": lambda: np.sqrt(predict()),
            "equal gaps": lambda: c**2 / 120 / (numbers + 1.0) ** 4,
            "c for its square": lambda: predict() / c,
            "no interior points": lambda: np.full(len(numbers), c**2 / 120),
        },
    )


@PAPER.claim(
    "multilinear-grid",
    statement=r"""Multilinear interpolation on a grid of $m^d$ cells errs by $\frac{m^{-4}}{4} [\frac1{30} \sum_j
    \langle f_{jj}^2 \rangle + \frac1{36} \sum_{j \ne l} \langle f_{jj} f_{ll} \rangle]$ in the mean square, that is as
    $D^{-4/d}$ in the number of points, with relative corrections of order $m^{-2}$.""",
    source="resolution-limited scaling, piecewise linear fits (amplitude derived)",
    agreement=ConvergenceOrder(order=2, resolution=5e-3, accuracy=1e-9),
    controls=("1/36 throughout", "no mixed terms", "exponent 2/d", "1/30 throughout"),
)
def multilinear_grid(run: Run) -> Trial:
    """Integrate the error for a product of sines in one to three dimensions; errors times m^4."""
    cells = run.size("cells a side", quick=(6, 12, 24, 48), standard=(8, 16, 32, 64), full=(8, 16, 32, 64))
    dims = np.array([1, 2, 3])

    def measure() -> Steps:
        found = [[m**4 * sim.multilinear_error(m, int(dim)) for dim in dims] for m in cells]
        return Steps(1 / np.array(cells), np.array(found))

    def predict(diag: float = 1.0, offdiag: float = 1.0) -> Array:
        # products of second derivatives have the mean (2 pi)^4 / 2^d, the same for all pairs
        each, m = (2 * np.pi) ** 4 / 2.0**dims, cells[-1]
        return np.array(
            [
                m**4
                * theory.multilinear_interpolation_mse(m, int(d), diag=diag * d * e, offdiag=offdiag * d * (d - 1) * e)
                for d, e in zip(dims, each, strict=True)
            ]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1/36 throughout": lambda: predict(diag=30 / 36),
            "no mixed terms": lambda: predict(offdiag=0.0),
            "exponent 2/d": lambda: predict() * cells[-1] ** 2,
            "1/30 throughout": lambda: predict(offdiag=36 / 30),
        },
    )
