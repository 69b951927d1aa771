"""Wang, Nichani and Lee 2023: what kernels of inner products learn of products of many coordinates, degree by degree.

The paper sets this against networks of three layers, which are not tried here. Corners of the cube take the place of
its inputs on the sphere, and products of coordinates that of its polynomials.
"""

from collections.abc import Callable
from math import comb, factorial

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Equivalence, Identity, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Samples, components
from simulations import kernel_regression as sim
from theory import kernel_regression as theory
from theory import ntk

Array = NDArray[np.float64]

PAPER = Paper(
    key="wang2023",
    title="Learning hierarchical polynomials with three-layer neural networks",
    authors="Zihao Wang, Eshaan Nichani, Jason D. Lee",
    year=2023,
    arxiv="2311.13774",
    wing="kernel_regression",
)

WEIGHTS = np.array([0.0, 0.4, 0.3, 0.2, 0.1])  # of the degrees 0 to 4
DEGREES = np.arange(1, 5)


def _learnability(dim: int, n: float, *, eigenvalues: Array | None = None, modes: Array | None = None) -> Array:
    """Return the shares of degrees 1 to 4, for changed eigenvalues or numbers of modes where given."""
    spectrum = theory.cube_spectrum(WEIGHTS, np.zeros(5), dim=dim)
    lam = spectrum.eigenvalues if eigenvalues is None else eigenvalues
    many = spectrum.multiplicities if modes is None else modes
    return theory.learnability(lam, n=n, multiplicities=many)[1:]


def _power(dim: int, exponent: float) -> int:
    return round(dim**exponent)


def _learned(run: Run, keys: int, dim: int, sizes: tuple[int, ...]) -> Array:
    """Measure the shares of degrees 1 to 4, (keys, sizes, 4)."""
    streams = run.keys(keys, f"{dim} {sizes}")
    return sim.learned_degrees(streams, WEIGHTS, dim=dim, sizes=sizes)[..., 1:]


@PAPER.claim(
    "kernel-staircase",
    statement=r"""On n corners of the cube in d dimensions a kernel whose degree l has the weight $c_l$ finds of every
    product of l coordinates the share $L_l = c_l / (c_l + \kappa \binom{d}{l})$, $\sum_l \binom{d}{l} L_l = n$, up to
    corrections of order 1/n.""",
    source="kernel methods need d^l samples for degree l",
    agreement=Equivalence(margin=0.02, resolution=0.05),
    controls=(
        "weights for eigenvalues",
        "d^l modes",
        "d^l / l! modes",
        "higher degrees left out",
        "every sample counts twice",
    ),
)
def kernel_staircase(run: Run) -> Trial:
    """Regress on all products of one to four coordinates, between degrees 1 and 2 and between 2 and 3."""
    designs = run.size("designs", quick=600, standard=800, full=2000)
    cases = run.size(
        "dimension and power of it",
        quick=((28, 1.5), (36, 1.5), (14, 2.2)),
        standard=((36, 1.5), (49, 1.5), (16, 2.2)),
        full=((36, 1.5), (144, 1.5), (16, 2.5)),
    )

    def measure() -> Samples:
        found = [_learned(run, designs, dim, (_power(dim, power),))[:, 0] for dim, power in cases]
        return Samples(np.concatenate(found, axis=1))

    def predict(change: Callable[[int], dict[str, Array]] = lambda d: {}, samples: float = 1.0) -> Array:
        return components(*(_learnability(d, samples * _power(d, a), **change(d)) for d, a in cases))

    def counts(d: int) -> Array:
        return np.array([float(comb(d, degree)) for degree in range(5)])

    powers, factorials = np.arange(5), np.array([factorial(k) for k in range(5)])
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "weights for eigenvalues": lambda: predict(lambda d: {"eigenvalues": WEIGHTS}),
            "d^l modes": lambda: predict(
                lambda d: {"eigenvalues": WEIGHTS / d**powers, "modes": np.array(d**powers, dtype=float)}
            ),
            "d^l / l! modes": lambda: predict(
                lambda d: {"eigenvalues": WEIGHTS * factorials / d**powers, "modes": d**powers / factorials}
            ),
            "higher degrees left out": lambda: predict(
                lambda d: {"modes": counts(d) * [1, 1, 1, 1, 1e-9]},
            ),
            "every sample counts twice": lambda: predict(samples=2.0),
        },
    )


@PAPER.claim(
    "degrees-in-turn",
    statement=r"""With $n = d^{3/2}$ samples, the larger d, the more is learned of degree 1 and the less of degrees 2, 3
    and 4: logarithms of $1 - L_1$ and of the other $L_l$ fall by nine tenths of what theory says, at least.""",
    source="staircase of kernel methods",
    agreement=Ordering(side="above"),
    controls=("a tenth more than predicted", "powers |l - a| of the limit", "samples in proportion to d"),
)
def degrees_in_turn(run: Run) -> Trial:
    """Regress in two dimensions, and compare logarithms of what vanishes as the dimension grows."""
    designs = run.size("designs", quick=600, standard=800, full=2000)
    small, large = run.size("dimensions", quick=(14, 28), standard=(16, 49), full=(16, 144))

    def fall(shares: Callable[[int], Array]) -> Array:
        lost = [np.log(np.where(DEGREES == 1, 1 - shares(d), shares(d))) for d in (small, large)]
        return lost[0] - lost[1]

    def measure(samples: Callable[[int], int] = lambda d: _power(d, 1.5)) -> Samples:
        return Samples(fall(lambda d: _learned(run, designs, d, (samples(d),))[:, 0]))

    def predict(share: float) -> Array:
        return share * fall(lambda d: _learnability(d, _power(d, 1.5)))

    return Trial(
        predict=lambda: predict(0.9),
        measure=measure,
        controls={
            "a tenth more than predicted": lambda: predict(1.1),
            "powers |l - a| of the limit": lambda: np.abs(DEGREES - 1.5) * np.log(large / small),
        },
        counterexamples={"samples in proportion to d": lambda: measure(lambda d: 4 * d)},
        scale=np.ones(4),
    )


@PAPER.claim(
    "samples-needed",
    statement=r"""Half of degree l is learned from $n = \sum_j \binom{d}{j} c_j \big/ \big(c_j + c_l \binom{d}{j} /
    \binom{d}{l}\big)$ samples, of the order of $d^l$; logarithms agree within 0.04.""",
    source="kernel methods need d^l samples for degree l",
    agreement=Equivalence(margin=0.04, resolution=0.1),
    controls=("half of the products of degree l", "all up to degree l", "d^l / l! modes", "one power of d less"),
)
def samples_needed(run: Run) -> Trial:
    """Regress on nested samples, and interpolate where the share of a degree passes one half."""
    designs = run.size("designs", quick=400, standard=600, full=2000)
    cases = run.size(
        "degree and dimension",
        quick=((1, 12), (1, 48), (2, 10), (2, 14)),
        standard=((1, 16), (1, 64), (2, 12), (2, 20)),
        full=((1, 64), (1, 256), (2, 16), (2, 48), (3, 14), (3, 18)),
    )

    def sizes(degree: int, dim: int) -> tuple[int, ...]:
        return tuple(round(comb(dim, degree) * factor) for factor in (1.2, 1.6, 2.1))

    def measure() -> Samples:
        found = []
        for degree, dim in cases:
            shares = _learned(run, designs, dim, sizes(degree, dim))[..., degree - 1]
            odds, logs = np.log(shares / (1 - shares)), np.log(sizes(degree, dim))
            found.append([np.interp(0.0, row, logs) for row in odds])
        return Samples(np.stack(found, axis=1))

    def predict(
        modes: Callable[[int, list[int]], Array] = lambda d, j: np.array([float(comb(d, k)) for k in j]),
    ) -> Array:
        found = []
        for degree, dim in cases:
            many = modes(dim, list(range(5)))
            lam = WEIGHTS / many
            # samples at which the effective ridge is the eigenvalue, by halving intervals of their logarithm
            low, high = 0.0, np.log(many.sum() - 1)
            for _ in range(50):
                middle = 0.5 * (low + high)
                kappa, _ = theory.solve_kappa_gamma(lam, n=np.exp(middle), multiplicities=many)
                low, high = (middle, high) if kappa > lam[degree] else (low, middle)
            found.append(low)
        return np.array(found)

    def own(upto: bool) -> Array:
        below = [sum(comb(d, j) for j in range(1, degree)) * upto for degree, d in cases]
        return np.log(np.array(below) + [comb(d, degree) / (1 if upto else 2) for degree, d in cases])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "half of the products of degree l": lambda: own(False),
            "all up to degree l": lambda: own(True),
            "d^l / l! modes": lambda: predict(lambda d, j: np.array([d**k / factorial(k) for k in j])),
            "one power of d less": lambda: predict() - np.log([d for _, d in cases]),
        },
        scale=np.ones(len(cases)),
    )


@PAPER.claim(
    "hermite-kernel-identity",
    statement=r"""Orthonormal Hermite polynomials of a normal input's projections on two unit vectors satisfy $E\, h_k(w
    \cdot x) h_l(w' \cdot x) = (w \cdot w')^k 1_{k = l}$: degree by degree the kernel of such features is a power of the
    inner product.""",
    source="Hermite features (identity)",
    agreement=Identity(rtol=1e-12),
    controls=("without 1 / sqrt(k!)", "power k + 1", "power of |w.w'|", "degrees not orthogonal"),
)
def hermite_kernel_identity(run: Run) -> Trial:
    """Average features of random unit vectors over inputs, by quadrature that is exact for polynomials."""
    degree = run.size("degree", quick=7, standard=9, full=12)
    w = run.rng().standard_normal((4, 3))
    w[3] = -w[0] + 0.2 * w[1]
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    rho = np.clip(w @ w.T, -1, 1)

    def predict(change: Callable[[int, Array], Array] = lambda k, kernel: kernel, mixed: float = 0.0) -> Array:
        found = np.full((4, 4, degree + 1, degree + 1), mixed)
        for k in range(degree + 1):
            found[:, :, k, k] = change(k, ntk.hermite_dual(rho, np.eye(degree + 1)[k]))
        return found

    return Trial(
        predict=predict,
        measure=lambda: np.asarray(sim.hermite_gram(w, degree=degree)),
        controls={
            "without 1 / sqrt(k!)": lambda: predict(lambda k, kernel: factorial(k) * kernel),
            "power k + 1": lambda: predict(lambda k, kernel: kernel * rho),
            "power of |w.w'|": lambda: predict(lambda k, kernel: np.abs(kernel)),
            "degrees not orthogonal": lambda: predict(mixed=0.01),
        },
        scale=np.ones((4, 4, degree + 1, degree + 1)),
    )
