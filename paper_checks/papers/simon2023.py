"""Simon, Karkada, Ghosh and Belkin 2023, after the eigenlearning framework of 2021: curves of ridge regression."""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from paper_checks.agreement import ConvergenceOrder, Equivalence, FiniteSize, Identity, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Samples, Sizes, Steps, components
from simulations import kernel_regression as sim
from simulations.replicates import over_replicates
from theory import kernel_regression as theory
from theory import ntk

PAPER = Paper(
    key="simon2023",
    title="More is better in modern machine learning: when infinite overparameterization is optimal and overfitting is "
    "obligatory",
    authors="James B. Simon, Dhruva Karkada, Nikhil Ghosh, Mikhail Belkin",
    year=2023,
    arxiv="2311.14646",
    wing="kernel_regression",
)

Array = NDArray[np.float64]
Parts = tuple[Array, Array, Array, Array]  # eigenvalues, squared coefficients, multiplicities, and their levels

NOISE = 0.2
SHAPE = (2, 3, 5)  # samples, features and modes, in units of the size


def _levels(modes: int) -> tuple[Array, Array]:
    """Two levels of eigenvalues and coefficients, the first holding a fifth of the modes."""
    first = modes // 5
    rest = modes - first
    return (
        np.concatenate([np.full(first, 4 / modes), np.full(rest, 0.5 / modes)]),
        np.concatenate([np.full(first, 3 / modes), np.full(rest, 0.5 / modes)]),
    )


def _sizes(run: Run) -> tuple[tuple[int, ...], int]:
    sizes = run.size("sizes", quick=(4, 8, 16, 32), standard=(8, 16, 32, 64), full=(16, 32, 64, 128))
    return sizes, run.size("designs", quick=1200, standard=3000, full=20_000)


def _fit(run: Run, c: int, designs: int, ridges: Array, shape: tuple[int, int | None]) -> sim.RidgeFit:
    """Fit drawn designs of size c; ``shape`` is samples and features in units of it."""
    n, k = shape
    spectrum = _levels(SHAPE[2] * c)
    keys = run.keys(designs, f"{c} {shape}")
    return over_replicates(sim.gaussian_ridge, keys, *spectrum, ridges, NOISE, n * c, k and k * c)


def _trial(
    run: Run,
    ridges: Array,
    shape: tuple[int, int | None],
    predict: Callable[..., Array],
    wrong: dict[str, Callable[[], Array]],
) -> Trial:
    """Compare test and train risks at sizes that double with their common limit."""
    sizes, designs = _sizes(run)

    def measure() -> Sizes:
        found = [_fit(run, c, designs, ridges, shape) for c in sizes]
        return Sizes(sizes, np.stack([np.stack([f.test, f.train], axis=2) for f in found]))

    return Trial(predict=predict, measure=measure, controls=wrong, scale="largest")


def _risks(ridges: Array, shape: tuple[int, float], *, k: float | None = None) -> Array:
    """Test and train risks, (ridges, 2); sizes of one proportion share them."""
    c = 16
    lam, v2 = _levels(SHAPE[2] * c)
    features = shape[1] * c if k is None else k
    result = theory.rf_risk(lam, v2, n=shape[0] * c, k=features, ridge=ridges, noise_var=NOISE)
    return np.stack([result.test, result.train], axis=1)


def _variant(ridges: Array, shape: tuple[int, float], change: str) -> Array:
    """Evaluate the risks with one mistake, at the right effective ridges."""
    c = 16
    n, k = shape[0] * c, shape[1] * c
    lam, v2 = _levels(SHAPE[2] * c)
    found = []
    for ridge in ridges:
        kappa, gamma = theory.solve_kappa_gamma(lam, n=n, k=k, ridge=ridge)
        L = lam / (lam + gamma)
        z, q = L.sum(), np.sum(L**2)
        share = 1.0 if change == "k / (k - q)" else k / (k - q)
        x = {"q (k - z)": q * (k - z) + z**2, "q / n": q * (k - q)}.get(change, q * (k - 2 * z) + z**2) / (n * (k - q))
        bias = np.sum((1 - L - kappa * lam / (lam + gamma) ** 2 * share) * v2)
        test = (bias + NOISE) / (1 - x)
        found.append([test, (1 - z / n) ** (1 if change == "unsquared" else 2) * test])
    return np.array(found)


@PAPER.claim(
    "rf-eigenframework",
    statement=r"""With random features the risks tend to $\frac{1}{1-x} [\sum_i (\frac{\gamma}{\lambda_i + \gamma} -
    \frac{\kappa \lambda_i}{(\lambda_i + \gamma)^2} \frac{k}{k - q}) v_i^2 + \sigma^2]$, $x = \frac{q (k - 2 z) + z^2}{n
    (k - q)}$, and $(1 - z/n)^2$ times that in training, with corrections of order $1/n$.""",
    source="random-feature eigenframework",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=(
        "without k / (k - q)",
        "q (k - z) for q (k - 2 z)",
        "q / n for x",
        "n delta for delta",
        "1 - z / n unsquared",
    ),
)
def rf_eigenframework(run: Run) -> Trial:
    """Fit designs of independent normal modes and features, at two ridges, with fewer and with more features."""
    ridges, shape = np.array([0.05, 1.0]), (SHAPE[0], SHAPE[1])
    return _trial(
        run,
        ridges,
        shape,
        lambda: _risks(ridges, shape),
        {
            "without k / (k - q)": lambda: _variant(ridges, shape, "k / (k - q)"),
            "q (k - z) for q (k - 2 z)": lambda: _variant(ridges, shape, "q (k - z)"),
            "q / n for x": lambda: _variant(ridges, shape, "q / n"),
            "n delta for delta": lambda: _risks(8 * ridges, shape),
            "1 - z / n unsquared": lambda: _variant(ridges, shape, "unsquared"),
        },
    )


@PAPER.claim(
    "fewer-features",
    statement=r"""The same with fewer features than samples, with and without a ridge; without, $z = k$, $\kappa = 0$,
    and the fit keeps a training risk of $(1 - k/n)^2$ times the test risk.""",
    source="random-feature eigenframework (ridgeless limits derived)",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("samples and features exchanged", "interpolation", "q / n for x", "as many features as one likes"),
)
def fewer_features(run: Run) -> Trial:
    """Fit designs with two samples a feature."""
    ridges, shape = np.array([0.0, 0.1]), (4, 2)

    def interpolating() -> Array:
        found = _risks(ridges, shape)
        found[0, 1] = 0.0
        return found

    return _trial(
        run,
        ridges,
        shape,
        lambda: _risks(ridges, shape),
        {
            "samples and features exchanged": lambda: _risks(ridges, (2, 4)),
            "interpolation": interpolating,
            "q / n for x": lambda: _variant(ridges[1:], shape, "q / n").repeat(2, axis=0),
            "as many features as one likes": lambda: _risks(ridges, shape, k=np.inf),
        },
    )


@PAPER.claim(
    "krr-omniscient-risk",
    statement=r"""Kernel regression has the test risk $\frac{n}{n - \sum_i L_i^2} [\sum_i (1 - L_i)^2 v_i^2 + \sigma^2]$
    with $L_i = \lambda_i / (\lambda_i + \kappa)$, and the training risk $(\delta / n \kappa)^2$ times that, with and
    without a ridge.""",
    source="eigenlearning framework (Simon et al. 2021)",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("bias and noise not amplified", "sum of L for that of its squares", "n delta for delta"),
)
def krr_omniscient_risk(run: Run) -> Trial:
    """Fit designs of independent normal modes by their kernel."""
    ridges, shape = np.array([0.0, 0.05, 1.0]), (SHAPE[0], None)
    lam, v2 = _levels(SHAPE[2] * 16)
    n = SHAPE[0] * 16

    def predict(ridges: Array = ridges) -> Array:
        result = theory.krr_risk(lam, v2, n=n, ridge=ridges, noise_var=NOISE)
        return np.stack([result.test, result.train], axis=1)

    def amplified(power: int) -> Array:
        L = theory.learnability(lam, n=n, ridge=ridges)
        test = ((1 - L) ** 2 @ v2 + NOISE) * (n / (n - np.sum(L**power, axis=1)) if power == 1 else 1.0)
        kept = 1 - L.sum(axis=1) / n
        return np.stack([np.minimum(test, 1e9), kept**2 * np.minimum(test, 1e9)], axis=1)

    return _trial(
        run,
        ridges,
        shape,
        predict,
        {
            "bias and noise not amplified": lambda: amplified(0),
            "sum of L for that of its squares": lambda: amplified(1),
            "n delta for delta": lambda: predict(8 * ridges),
        },
    )


@PAPER.claim(
    "learnability",
    statement=r"""The predicted coefficient of a mode has the mean $L_i v_i$ and the variance $\frac{\mathrm{test}}{n}
    L_i^2$.""",
    source="eigenlearning framework (Simon et al. 2021)",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("variance without 1 / n", "no variance", "equal learnabilities", "L squared"),
)
def learnabilities(run: Run) -> Trial:
    """Average predicted coefficients over the modes of a level; mean squares in units of 1/M."""
    sizes, designs = _sizes(run)
    ridges = np.array([0.0, 0.3])

    def measure() -> Sizes:
        found = []
        for c in sizes:
            fit, modes = _fit(run, c, designs, ridges, (SHAPE[0], None)), SHAPE[2] * c
            halves = [(part[..., : modes // 5], part[..., modes // 5 :]) for part in (fit.learned, modes * fit.second)]
            found.append(np.stack([np.stack([h.mean(axis=2) for h in half], axis=2) for half in halves], axis=3))
        return Sizes(sizes, np.stack(found))

    def predict(spread: float = 1.0, power: float = 1.0, level: bool = False) -> Array:
        modes, n = SHAPE[2] * 16, SHAPE[0] * 16
        lam, v2 = _levels(modes)
        L = theory.learnability(lam, n=n, ridge=ridges)[:, [0, -1]]
        if level:
            L = np.broadcast_to(L.mean(axis=1, keepdims=True), L.shape)
        test = theory.krr_risk(lam, v2, n=n, ridge=ridges, noise_var=NOISE).test[:, None]
        second = modes * L**2 * (v2[[0, -1]] + spread * test / n)
        return np.stack([L**power, second], axis=2)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "variance without 1 / n": lambda: predict(spread=SHAPE[0] * 16),
            "no variance": lambda: predict(spread=0.0),
            "equal learnabilities": lambda: predict(level=True),
            "L squared": lambda: predict(power=2.0),
        },
        scale="largest",
    )


@PAPER.claim(
    "conservation-law",
    statement=r"""On any sample of a finite population the learnabilities of all modes add up to $\mathrm{tr}\, K (K +
    \delta)^{-1}$, which is n without a ridge, and each lies in [0, 1].""",
    source="conservation of learnability (Simon et al. 2021)",
    agreement=Identity(rtol=1e-10),  # condition numbers of kernels on the cube reach 1e4
    controls=("n at every ridge", "one sample less", "half the ridge", "inner products over the sample"),
)
def conservation_law(run: Run) -> Trial:
    """Fit all products of coordinates on random corners of the cube, one after the other, with a random kernel."""
    dim = run.size("dimension of the cube", quick=6, standard=8, full=10)
    n = run.size("samples", quick=25, standard=100, full=400)
    rng = run.rng()
    modes, factors = (np.asarray(part) for part in sim.cube_modes(dim))
    weights = rng.uniform(0.3, 1.0, dim + 1)
    lam = weights[factors] / 2.0**dim
    kernel = (modes * lam) @ modes.T
    chosen = rng.choice(2**dim, n, replace=False)
    gram = kernel[np.ix_(chosen, chosen)]
    ridges = (0.0, 0.02, 0.3)

    def measure() -> Array:
        found = [np.asarray(sim.learn_every_mode(kernel, modes, chosen, ridge)) for ridge in ridges]
        outside = [np.sum(np.maximum(-f, 0) + np.maximum(f - 1, 0)) for f in found]
        return components([f.sum() for f in found], np.round(outside, 9))

    def predict(ridges: tuple[float, ...] = ridges, samples: int = n, share: float = 1.0) -> Array:
        values = np.linalg.eigvalsh(gram)
        total = [samples if ridge == 0 else np.sum(values / (values + ridge)) for ridge in ridges]
        return components(share * np.array(total), np.zeros(len(ridges)))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "n at every ridge": lambda: predict((0.0, 0.0, 0.0)),
            "one sample less": lambda: predict(samples=n - 1),
            "half the ridge": lambda: predict(tuple(r / 2 for r in ridges)),
            "inner products over the sample": lambda: predict(share=n / 2**dim),
        },
        scale=float(n),
    )


@PAPER.claim(
    "gcv",
    statement=r"""$1 / \mathrm{tr} (K + \delta)^{-1}$ tends to $\kappa$, and the training risk over $(\delta / n \hat
    \kappa)^2$ to the test risk, for kernels and for random features.""",
    source="generalised cross-validation, section on the effective ridge",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.05),
    controls=("normalised trace", "gamma for kappa", "training risk itself", "ridge for kappa"),
)
def gcv(run: Run) -> Trial:
    """Read effective ridges, times the size, and risks off training alone."""
    sizes, designs = _sizes(run)
    ridges = np.array([0.05, 1.0])
    shapes = ((SHAPE[0], None), (SHAPE[0], SHAPE[1]))

    def measure() -> Sizes:
        found = []
        for c in sizes:
            fits = [_fit(run, c, designs, ridges, shape) for shape in shapes]
            kept = [ridges / (SHAPE[0] * c * fit.kappa) for fit in fits]
            found.append(
                np.stack([[c * f.kappa, f.train / share**2] for f, share in zip(fits, kept, strict=True)]).transpose(
                    2, 0, 1, 3
                )
            )
        return Sizes(sizes, np.stack(found))

    def predict(change: str = "") -> Array:
        lam, v2 = _levels(SHAPE[2] * 16)
        n = SHAPE[0] * 16
        found = []
        for k in (np.inf, SHAPE[1] * 16):
            result = theory.rf_risk(lam, v2, n=n, k=k, ridge=ridges, noise_var=NOISE)
            kappa = {"gamma": result.gamma, "ridge": ridges, "normalised": n * result.kappa}.get(change, result.kappa)
            found.append([16 * kappa, result.train if change == "train" else result.test])
        return np.array(found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "normalised trace": lambda: predict("normalised"),
            "gamma for kappa": lambda: predict("gamma"),
            "training risk itself": lambda: predict("train"),
            "ridge for kappa": lambda: predict("ridge"),
        },
        scale="largest",
    )


@PAPER.claim(
    "more-is-better",
    statement=r"""At the best ridge the test risk falls with samples and with features; at a fixed small ridge it does
    not: it peaks where there are as many features as samples.""",
    source="theorem 1",
    agreement=Ordering(side="above"),
    controls=("fixed ridge of 0.01", "half as large"),
)
def more_is_better(run: Run) -> Trial:
    """Choose ridges by risks on some designs, compare logarithms of risks on others, with half as much or more data."""
    designs = run.size("designs", quick=300, standard=2000, full=20_000)
    c = run.size("size", quick=8, standard=16, full=32)
    modes = SHAPE[2] * c
    lam, v2 = _levels(modes)
    grid = np.geomspace(0.01, 30, 12)
    sizes = tuple(round(c * factor) for factor in (2, 3, 4))
    keep = (sizes[0], sizes[2], None)

    @cache
    def risks(n: int, k: int | None, name: str) -> Array:
        keys = run.keys(designs, f"{name} {n} {k}")
        return np.asarray(over_replicates(sim.gaussian_ridge, keys, lam, v2, grid, NOISE, n, k).test)

    def log_risk(n: int, k: int | None, tuned: bool) -> Array:
        best = int(np.argmin(risks(n, k, "pilot").mean(axis=0))) if tuned else 0
        return np.log(risks(n, k, "main")[:, best])

    def measure(tuned: bool = True) -> Samples:
        found = []
        for k in keep:
            found += [log_risk(a, k, tuned) - log_risk(b, k, tuned) for a, b in pairwise(sizes)]
        for n in sizes:
            found += [log_risk(n, a, tuned) - log_risk(n, b, tuned) for a, b in pairwise(keep)]
        return Samples(np.stack(found, axis=1))

    many = len(keep) * (len(sizes) - 1) + len(sizes) * (len(keep) - 1)
    return Trial(
        predict=lambda: np.zeros(many),
        measure=measure,
        controls={"half as large": lambda: np.full(many, np.log(2))},
        counterexamples={"fixed ridge of 0.01": lambda: measure(tuned=False)},
        scale=np.ones(many),
    )


@PAPER.claim(
    "powerlaw-fitting-ratio",
    statement=r"""For $\lambda_i = i^{-\alpha}$ and $v_i^2 = i^{-\beta}$ the ratio of train to test risk at the best
    ridge tends to $r^2$ with $\alpha - \beta - (\alpha - 1) \beta r + \alpha (\alpha - 1) \nu (1 - r)^\beta = 0$, with
    corrections of order $1/n$; interpolation is best up to the noise $\nu = \frac{\beta - \alpha}{\alpha (\alpha -
    1)}$.""",
    source="theorem 2 and its corollary",
    agreement=ConvergenceOrder(order=1, resolution=1e-3, accuracy=1e-6),
    controls=("power beta - 1", "ratio for its square", "alpha for alpha - 1", "never interpolate"),
)
def powerlaw_fitting_ratio(run: Run) -> Trial:
    """Tune ridges by brute force at numbers of samples that double."""
    first = run.size("fewest samples", quick=50, standard=100, full=400)
    n = first * 2.0 ** np.arange(5)
    cases = ((1.6, 1.3, 0.0), (1.6, 1.3, 1.5), (1.5, 2.0, 1.5), (2.5, 2.0, 0.3))

    def measure() -> Steps:
        return Steps(
            1 / n,
            np.array([[sim.tuned_power_law(a, b, noise, size).fitting_ratio for a, b, noise in cases] for size in n]),
        )

    def predict(power: int = 2) -> Array:
        squared = [float(theory.powerlaw_fitting_ratio(alpha=a, beta=b, noise_rel=noise)) for a, b, noise in cases]
        return np.array(squared) ** (power / 2)

    def wrong(shift: float = 0.0, front: float = 0.0) -> Array:
        """Find the root on a grid, with another power, or another factor of the linear term."""
        r = np.linspace(0, 1, 400_000, endpoint=False)
        roots = []
        for a, b, noise in cases:
            rising = b - a + (a - 1 + front) * b * r - a * (a - 1) * noise * (1 - r) ** (b + shift)
            roots.append(np.interp(0.0, rising, r))
        return np.array(roots) ** 2

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "power beta - 1": lambda: wrong(shift=-1.0),
            "ratio for its square": lambda: predict(power=1),
            "alpha for alpha - 1": lambda: wrong(front=1.0),
            "never interpolate": lambda: np.maximum(predict(), 0.5),
        },
    )


@PAPER.claim(
    "obligatory-overfitting",
    statement=r"""Below the critical noise the best ridge at finite n is none or nearly so: train over test risk is
    below 1e-3; a fifth above it, it is not.""",
    source="corollary of theorem 2",
    agreement=Ordering(side="below"),
    controls=("a fifth above the critical noise", "threshold without alpha"),
)
def obligatory_overfitting(run: Run) -> Trial:
    """Tune ridges by brute force at four fifths of the critical noise."""
    n = run.size("samples", quick=800, standard=3200, full=12_800)
    cases = ((1.5, 2.5), (2.0, 3.5), (1.3, 2.0))

    def measure(factor: float = 0.8, critical: Callable[..., Any] = theory.powerlaw_critical_noise) -> Array:
        return np.array(
            [sim.tuned_power_law(a, b, factor * float(critical(alpha=a, beta=b)), n).fitting_ratio for a, b in cases]
        )

    def without_alpha(*, alpha: float, beta: float) -> float:
        return (beta - alpha) / (alpha - 1)

    return Trial(
        predict=lambda: np.full(len(cases), 1e-3),
        measure=measure,
        counterexamples={
            "a fifth above the critical noise": lambda: measure(1.2),
            "threshold without alpha": lambda: measure(0.8, without_alpha),
        },
        scale=np.ones(len(cases)),
    )


@PAPER.claim(
    "real-kernel",
    statement=r"""Learning curves of a deep network's tangent kernel on images of digits follow from the spectrum of
    the kernel and the power of the labels in its modes, within a twentieth.""",
    source="experiments",
    agreement=Equivalence(margin=0.05, resolution=0.1),
    controls=("labels of equal power", "one eigenvalue for all", "risk not amplified"),
)
def real_kernel(run: Run) -> Trial:
    """Fit kernel regression to digits that are drawn, and try it on all of them."""
    fits = run.size("samples drawn", quick=1000, standard=1000, full=4000)
    sizes = (60, 100, 160)
    points = run.size("digits", quick=900, standard=1797, full=1797)
    images, digits = load_digits(return_X_y=True)
    order = run.rng().permutation(len(images))[:points]
    x = images[order] / 16 - 0.3
    labels = np.eye(10)[digits[order]] - 0.1
    kernel = ntk.nngp_ntk(x, n_hidden=2, activation="relu", weight_std=2**0.5, bias_std=0.1).ntk
    kernel /= np.mean(np.diag(kernel))
    ridges, noise = np.array([0.02, 1.0]), 0.05
    spectrum = theory.kernel_spectrum(kernel, labels)

    def measure() -> Samples:
        found = []
        for n in sizes:
            fit = over_replicates(
                sim.population_ridge, run.keys(fits, f"{n}"), jnp.asarray(kernel), jnp.asarray(labels), ridges, noise, n
            )
            found.append(fit.test)
        return Samples(np.stack(found, axis=1))

    def predict(
        lam: Array = spectrum.eigenvalues, v2: Array = spectrum.coefficients_sq, amplified: bool = True
    ) -> Array:
        n = np.array(sizes)[:, None]
        result = theory.krr_risk(lam, v2, n=n, ridge=ridges, noise_var=10 * noise)
        return result.test / (1 if amplified else result.noise_amplification)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "labels of equal power": lambda: predict(v2=np.full(points, spectrum.coefficients_sq.mean())),
            "one eigenvalue for all": lambda: predict(lam=np.full(points, spectrum.eigenvalues.mean())),
            "risk not amplified": lambda: predict(amplified=False),
        },
    )
