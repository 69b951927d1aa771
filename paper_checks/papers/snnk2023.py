"""Sehanobish et al. 2024: networks whose inputs and weights meet only in a product of two random feature maps."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import MonteCarlo
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Samples, components
from simulations import ntk as sim
from theory import ntk

Array = NDArray[np.float64]
Kind = Literal["exp", "phase", "cosine"]

PAPER = Paper(
    key="snnk2023",
    title="Scalable neural network kernels",
    authors="Arijit Sehanobish, Krzysztof Choromanski, Yunfan Zhao, Avinava Dubey, Valerii Likhosherstov",
    year=2023,
    arxiv="2310.13225",
    wing="ntk",
)

FEATURES = 1024  # averaged within one replicate


class Layer(NamedTuple):
    """Inputs (N, d) and weights (M, d); their products, and their squared lengths as (N, 1) and (M,)."""

    x: Array
    w: Array

    @property
    def product(self) -> Array:
        """Arguments of the units."""
        return self.x @ self.w.T

    @property
    def squares(self) -> tuple[Array, Array]:
        """Squared lengths."""
        return np.sum(self.x**2, axis=1, keepdims=True), np.sum(self.w**2, axis=1)

    def variance(self, kind: Kind) -> Array:
        """Return what the theory says of one feature."""
        return ntk.snnk_feature_variance(self.x[:, None], self.w, kind=kind)


def _layer(run: Run, *, inputs: float, weights: float) -> Layer:
    """Draw directions of inputs and weights, of given lengths."""
    rng, dim = run.rng(), run.size("dimension", quick=4, standard=8, full=32)
    x, w = rng.standard_normal((2, 3, dim))
    return Layer(*(v * length / np.linalg.norm(v, axis=1, keepdims=True) for v, length in ((x, inputs), (w, weights))))


@PAPER.claim(
    "unbiased",
    statement=r"""$e^{g \cdot z - z \cdot z / 2} e^{g \cdot w - |w|^2 / 2}$ with $g \sim N(0, I)$, a function of z times
    a function of w, has the mean $e^{z \cdot w}$, at $z = x$ and at $z = i x$.""",
    source="random features of inputs and of parameters",
    agreement=MonteCarlo(resolution=0.02),
    controls=(
        "without -|w|^2 / 2",
        "without z.z / 2",
        "-|x|^2 / 2 for z = ix too",
        "random signs for normal numbers",
        "other directions for weights",
    ),
)
def unbiased(run: Run) -> Trial:
    """Average products of features for all pairs of three inputs and three weights."""
    replicates = run.size("thousands of features", quick=400, standard=4000, full=40_000)
    layer = _layer(run, inputs=0.6, weights=0.5)

    def measure(law: str = "normal") -> Samples:
        keys = run.keys(replicates, law)
        found = sim.feature_moments(keys, *layer, features=FEATURES, law=law)
        return Samples(components(found.exponential, found.real, found.imaginary, leading=1))

    def predict(real: Array | float = 1.0, phase: Array | float = 1.0) -> Array:
        u = layer.product
        return components(real * np.exp(u), phase * np.cos(u), phase * np.sin(u))

    xx, ww = layer.squares
    half = np.exp(ww / 2)
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "without -|w|^2 / 2": lambda: predict(half, half),
            "without z.z / 2": lambda: predict(np.exp(xx / 2), np.exp(-xx / 2)),
            "-|x|^2 / 2 for z = ix too": lambda: predict(1.0, np.exp(-xx)),
        },
        counterexamples={
            "random signs for normal numbers": lambda: measure("signs"),
            "other directions for weights": lambda: measure("apart"),
        },
        scale=np.ones(27),
    )


@PAPER.claim(
    "mean-squares",
    statement=r"""One feature has the mean square $e^{2 x \cdot w} e^{|x + w|^2}$ at $z = x$; at $z = i x$ that of its
    modulus is $e^{|x|^2 + |w|^2}$ and that of its real part $\tfrac12 e^{|w|^2} (e^{|x|^2} + e^{-|x|^2} \cos 4 x \cdot
    w)$.""",
    source="variance of the estimates (derived)",
    agreement=MonteCarlo(resolution=0.05),
    controls=(
        "variance for the mean square",
        "|x|^2 + |w|^2 for |x + w|^2",
        "real part as half of the modulus",
        "cos 2 x.w for cos 4 x.w",
        "weights not normalised",
        "random signs for normal numbers",
    ),
)
def mean_squares(run: Run) -> Trial:
    """Average squares of products of features."""
    replicates = run.size("thousands of features", quick=1500, standard=10_000, full=100_000)
    layer = _layer(run, inputs=0.45, weights=0.25)
    u, (xx, ww) = layer.product, layer.squares

    def measure(law: str = "normal") -> Samples:
        keys = run.keys(replicates, law)
        found = sim.feature_moments(keys, *layer, features=FEATURES, law=law)
        return Samples(components(found.exponential_sq, found.modulus_sq, found.real_sq, leading=1))

    def predict(**changed: Array) -> Array:
        right = {
            "exp": layer.variance("exp") + np.exp(2 * u),
            "phase": layer.variance("phase") + 1,
            "cosine": layer.variance("cosine") + np.cos(u) ** 2,
        }
        return components(*(right | changed).values())

    def real_part(angle: float) -> Array:
        return 0.5 * np.exp(ww) * (np.exp(xx) + np.exp(-xx) * np.cos(angle * u))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "variance for the mean square": lambda: components(
                *(layer.variance(kind) for kind in ("exp", "phase", "cosine"))
            ),
            "|x|^2 + |w|^2 for |x + w|^2": lambda: predict(exp=np.exp(2 * u + xx + ww)),
            "real part as half of the modulus": lambda: predict(cosine=np.exp(xx + ww) / 2),
            "cos 2 x.w for cos 4 x.w": lambda: predict(cosine=real_part(2.0)),
            "weights not normalised": lambda: predict(phase=np.exp(xx + 2 * ww)),
        },
        counterexamples={"random signs for normal numbers": lambda: measure("signs")},
    )


@PAPER.claim(
    "feature-count",
    statement=r"""Layers of exponentials and of cosines, computed as a product of two matrices with m columns, have the
    mean square error $V / m$, V the variance of one feature.""",
    source="averages over m features (variance derived)",
    agreement=MonteCarlo(resolution=0.1),
    controls=(
        "error falls as 1 / sqrt(m)",
        "mean square for variance",
        "|x|^2 + |w|^2 for |x + w|^2",
        "modulus for the real part",
        "every direction used twice",
    ),
)
def feature_count(run: Run) -> Trial:
    """Compute layers from few features, average them over disjoint groups, and take variances over groups.

    The mean over k layers of m features each is a layer of k m features. Variances are averaged over inputs and units.
    """
    replicates = run.size("replicates", quick=640, standard=2000, full=20_000)
    sizes = run.size("features", quick=(8, 32, 128), standard=(8, 32, 128), full=(16, 128, 1024))
    layers = 64 * sizes[-1] // sizes[0]
    layer = _layer(run, inputs=0.35, weights=0.2)
    u, (xx, ww) = layer.product, layer.squares

    def measure(law: str = "normal") -> Samples:
        found = sim.decoupled_layers(run.keys(replicates, law), *layer, features=sizes[0], layers=layers, law=law)
        variances = []
        for size in sizes:
            joined = found.reshape(replicates, -1, size // sizes[0], *found.shape[2:]).mean(axis=2)
            variances.append(np.var(joined, axis=1, ddof=1).mean(axis=(-2, -1)))
        return Samples(np.stack(variances, axis=1))

    def predict(power: float = 1.0, exp: Array | None = None, cosine: Array | None = None) -> Array:
        variances = (
            layer.variance("exp") if exp is None else exp,
            layer.variance("cosine") if cosine is None else cosine,
        )
        return np.array(sizes)[:, None] ** -power * [v.mean() for v in variances]

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "error falls as 1 / sqrt(m)": lambda: predict(power=0.5),
            "mean square for variance": lambda: predict(exp=layer.variance("exp") + np.exp(2 * u)),
            "|x|^2 + |w|^2 for |x + w|^2": lambda: predict(exp=np.exp(2 * u) * np.expm1(xx + ww)),
            "modulus for the real part": lambda: predict(cosine=layer.variance("phase") / 2),
        },
        counterexamples={"every direction used twice": lambda: measure("twice")},
    )


@PAPER.claim(
    "activation",
    statement=r"""Units $\phi(w \cdot x + b)$ with $\phi(u) = \int \hat\phi(\tau) e^{2 \pi i \tau u} d\tau$ Gaussian of
    width s are the means of such features at frequencies drawn from $\hat\phi$; their mean square is $\tfrac12
    e^{|w|^2} [(1 - a)^{-1/2} + (1 + a)^{-1/2} e^{-2 (2 x \cdot w + b)^2 / (s^2 + 2 |x|^2)}]$, $a = 2 |x|^2 / s^2$.""",
    source="activations by their Fourier transforms (mean square derived)",
    agreement=MonteCarlo(resolution=0.03),
    controls=(
        "tau taken for 2 pi tau",
        "inputs not normalised",
        "phase of the bias dropped",
        "bias as an argument of the weights' feature",
        "twice the width",
        "frequencies fixed at 1 / s",
    ),
)
def activation(run: Run) -> Trial:
    """Draw frequencies and directions for a layer of Gaussian units with biases."""
    replicates = run.size("thousands of features", quick=600, standard=4000, full=40_000)
    width = 0.8
    layer = _layer(run, inputs=0.25 * width, weights=0.4)
    bias = run.rng("biases").uniform(-0.6, 0.6, 3)
    u, (xx, _) = layer.product, layer.squares

    def measure() -> Samples:
        found = sim.gaussian_unit_moments(run.keys(replicates), *layer, bias, width=width, features=FEATURES)
        return Samples(components(*found, leading=1))

    def predict(s: float = width, b: Array | float = bias, mean: Array | None = None) -> Array:
        found = ntk.snnk_gaussian_unit(layer.x[:, None], layer.w, bias=b, width=s)
        return components(found.mean if mean is None else mean, found.variance + found.mean**2)

    spread = width**2 + xx
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "tau taken for 2 pi tau": lambda: predict(mean=np.exp(-0.5 * ((u + bias) / (2 * np.pi * width)) ** 2)),
            "inputs not normalised": lambda: predict(
                mean=width / np.sqrt(spread) * np.exp(-0.5 * (u + bias) ** 2 / spread)
            ),
            "phase of the bias dropped": lambda: predict(b=0.0),
            "bias as an argument of the weights' feature": lambda: predict(
                mean=np.exp(bias - bias**2 / 2) * np.exp(-0.5 * (u / width) ** 2)
            ),
            "twice the width": lambda: predict(s=2 * width),
            "frequencies fixed at 1 / s": lambda: components(
                np.cos((u + bias) / width),
                layer_at_one_frequency(layer, bias, width),
            ),
        },
        scale=np.ones(18),
    )


def layer_at_one_frequency(layer: Layer, bias: Array, width: float) -> Array:
    """Mean squares if all features had the frequency 1 / s."""
    u, (xx, ww) = layer.product, layer.squares
    turned = np.exp(-xx / width**2) * np.cos((4 * u + 2 * bias) / width)
    return 0.5 * np.exp(ww) * (np.exp(xx / width**2) + turned)
