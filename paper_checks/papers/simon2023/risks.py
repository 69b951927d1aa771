"""Test and train risks of ridge regression, with random features and with all of them."""

from collections.abc import Callable

import numpy as np

from paper_checks.agreement import FiniteSize
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Sizes
from paper_checks.papers.simon2023.designs import NOISE, SHAPE, fit_designs, levels, sizes_and_designs
from paper_checks.papers.simon2023.paper import PAPER
from theory import kernel_regression as theory


def _trial(
    run: Run,
    ridges: Array,
    shape: tuple[int, int | None],
    predict: Callable[..., Array],
    wrong: dict[str, Callable[[], Array]],
) -> Trial:
    """Compare test and train risks at sizes that double with their common limit."""
    sizes, designs = sizes_and_designs(run)

    def measure() -> Sizes:
        found = [fit_designs(run, c, designs, ridges, shape) for c in sizes]
        return Sizes(sizes, np.stack([np.stack([f.test, f.train], axis=2) for f in found]))

    return Trial(predict=predict, measure=measure, controls=wrong, scale="largest")


def _risks(ridges: Array, shape: tuple[int, float], *, k: float | None = None) -> Array:
    """Test and train risks, (ridges, 2); sizes of one proportion share them."""
    c = 16
    lam, v2 = levels(SHAPE[2] * c)
    features = shape[1] * c if k is None else k
    result = theory.rf_risk(lam, v2, n=shape[0] * c, k=features, ridge=ridges, noise_var=NOISE)
    return np.stack([result.test, result.train], axis=1)


def _variant(ridges: Array, shape: tuple[int, float], change: str) -> Array:
    """Evaluate the risks with one mistake, at the right effective ridges."""
    c = 16
    n, k = shape[0] * c, shape[1] * c
    lam, v2 = levels(SHAPE[2] * c)
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
    lam, v2 = levels(SHAPE[2] * 16)
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
