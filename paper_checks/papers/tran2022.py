"""Tran et al. 2022, a companion: how far outputs of wide Bayesian networks are from the Gaussian prior they tend to.

The paper matches priors of networks and of Gaussian processes in the Wasserstein distance. What is tried here is
that distance at large width before any matching; it is derived, not quoted.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import ConvergenceOrder, FiniteSize
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Limit, Sizes, Steps
from simulations import ntk as sim
from theory import ntk

Array = NDArray[np.float64]

PAPER = Paper(
    key="tran2022",
    title="All you need is a good functional prior for Bayesian deep learning",
    authors="Ba-Hien Tran, Simone Rossi, Dimitrios Milios, Maurizio Filippone",
    year=2022,
    arxiv="2011.12829",
    wing="ntk",
)

DENSITY_AT_0 = 1 / np.sqrt(2 * np.pi)
FOURTH_MOMENTS = {"normal": 3.0, "uniform": 9 / 5, "signs": 1.0}
SIXTH_MOMENTS = {"normal": 15.0, "uniform": 27 / 7, "signs": 1.0}


class Units(NamedTuple):
    """Hidden units as both floors know them, the variance of their arguments, and the law of output weights."""

    activation: Any
    function: Callable
    variance: float
    weights: str = "normal"

    def moment(self, power: int) -> float:
        """Return E phi^power / (E phi^2)^(power / 2)."""
        phi = ntk.activations.resolve(self.activation).value
        second = float(ntk.gaussian_mean(lambda z: phi(z) ** 2, self.variance))
        return float(ntk.gaussian_mean(lambda z: phi(z) ** power, self.variance)) / second ** (power / 2)

    @property
    def kurtosis(self) -> float:
        """Excess kurtosis of the output, times the width."""
        gaussian = float(ntk.output_kurtosis_coefficient(self.variance, activation=self.activation))
        return FOURTH_MOMENTS[self.weights] * (gaussian / 3 + 1) - 3

    @property
    def sixth(self) -> float:
        """Sixth cumulant of the output, times the square of the width."""
        return SIXTH_MOMENTS[self.weights] * self.moment(6) - 15 * (self.kurtosis + 3) + 30

    @property
    def scaled_distance(self) -> Limit:
        """What the theory says of the distance times the width."""
        return Limit(ntk.w1_width_coefficient(self.kurtosis), ntk.w1_width_correction(self.kurtosis, self.sixth))


RELU = Units("relu", sim.ACTIVATIONS["relu"], 1.0)
LEAKY = Units(("leaky_relu", -0.3), lambda z: jnp.where(z > 0, z, -0.3 * z), 1.0)
NORMAL = (
    RELU,
    LEAKY,
    Units("linear", sim.ACTIVATIONS["linear"], 1.0),
    Units("erf", sim.ACTIVATIONS["erf"], 2.0),
    Units("tanh", sim.ACTIVATIONS["tanh"], 0.5),
)
OTHER = (
    RELU._replace(weights="uniform"),
    RELU._replace(weights="signs"),
    LEAKY._replace(weights="uniform"),
    Units("linear", sim.ACTIVATIONS["linear"], 1.0, "uniform"),
)


def _widths(run: Run) -> Array:
    return np.asarray(run.size("widths", quick=32, standard=32, full=64) * 2.0 ** np.arange(5), dtype=float)


def _measure(units: tuple[Units, ...], widths: Array) -> Steps:
    """Return n times the distance for each width and kind of unit."""
    found = [
        [
            n * float(sim.output_law(u.function, width=int(n), variance=u.variance, weights=u.weights).distance)
            for u in units
        ]
        for n in widths
    ]
    return Steps(1 / widths, np.array(found))


def _predict(units: tuple[Units, ...], kurtosis: Callable[[Units], float] = lambda u: u.kurtosis) -> Limit:
    """Return the limits and their corrections, where a wrong kurtosis may enter the limits."""
    corrections = np.array([u.scaled_distance.coefficient for u in units])
    return Limit(np.array([ntk.w1_width_coefficient(kurtosis(u)) for u in units]), corrections)


@PAPER.claim(
    "w1-width",
    statement=r"""The Wasserstein distance between an output of one wide hidden layer, scaled to unit variance, and N(0,
    1) is $\frac{\kappa}{24 n} \frac{2 + 8 e^{-3/2}}{\sqrt{2 \pi}} + O(n^{-2})$, $\kappa / n$ the excess kurtosis. For
    ReLU that is 0.944 / n.""",
    source="functional priors in the limit of wide layers (derived)",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-8),
    controls=(
        "areas of either sign cancel",
        "Wasserstein-2",
        "distance of densities",
        "kurtosis for its excess",
        "kurtosis of a linear layer",
        "random signs as output weights",
    ),
)
def w1_width(run: Run) -> Trial:
    """Compute distances from exact laws at widths that double, for five kinds of units."""
    widths = _widths(run)

    def areas(size: float) -> Limit:
        return Limit(np.array([u.kurtosis * size for u in NORMAL]), _predict(NORMAL).coefficient)

    return Trial(
        predict=lambda: _predict(NORMAL),
        measure=lambda: _measure(NORMAL, widths),
        controls={
            "areas of either sign cancel": lambda: areas(2 * DENSITY_AT_0 / 24),
            "Wasserstein-2": lambda: areas(np.sqrt(6) / 24),
            "distance of densities": lambda: areas(_fourth_hermite_area() / 24),
            "kurtosis for its excess": lambda: _predict(NORMAL, lambda u: u.kurtosis + 3),
            "kurtosis of a linear layer": lambda: _predict(NORMAL, lambda u: 6.0),
        },
        counterexamples={
            "random signs as output weights": lambda: _measure(
                tuple(u._replace(weights="signs") for u in NORMAL), widths
            )
        },
    )


def _fourth_hermite_area() -> float:
    """Half of the area under |He_4| times the normal density: the change of the density in total variation."""
    z = np.linspace(-12, 12, 240_001)
    return float(0.5 * np.mean(np.abs(z**4 - 6 * z**2 + 3) * np.exp(-0.5 * z**2)) * 24 * DENSITY_AT_0)


@PAPER.claim(
    "second-order",
    statement=r"""The remainder is $\big[ \frac{\kappa_6}{720} (-6 \varphi(0) - 24 \varphi(\sqrt 3)) +
    \frac{\kappa^2}{1152} (30 \varphi(0) + 48 \varphi(\sqrt 3)) \big] n^{-2}$; $\kappa_6 / n^2$ is the sixth cumulant.
    For ReLU that is -0.980 / n^2.""",
    source="functional priors in the limit of wide layers (derived)",
    agreement=ConvergenceOrder(order=1, resolution=1e-2, accuracy=1e-5),
    controls=(
        "no sixth cumulant",
        "no square of the kurtosis",
        "sixth moment for its cumulant",
        "sign of He_3 ignored",
    ),
)
def second_order(run: Run) -> Trial:
    """Take twice the value at width 2n from that at n, so that the limit drops out and the correction is left.

    With A(n) the distance times n, 2 n (A(n) - A(2n)) tends to the correction.
    """
    widths = _widths(run) // 2

    def measure() -> Steps:
        found = _measure(NORMAL, np.append(widths, 2 * widths[-1]))
        values = np.asarray(found.values)
        return Steps(1 / widths, 2 * widths[:, None] * (values[:-1] - values[1:]))

    def predict(change: Callable[[float, float], tuple[float, float]] = lambda k, s: (k, s)) -> Array:
        return np.array([ntk.w1_width_correction(*change(u.kurtosis, u.sixth)) for u in NORMAL])

    def unsigned() -> Array:
        z = np.linspace(-12, 12, 240_001)
        density = np.exp(-0.5 * z**2) * DENSITY_AT_0 * (z[1] - z[0])
        he = [np.polynomial.hermite_e.hermeval(z, np.eye(8)[k]) for k in range(8)]
        return np.array(
            [np.sum(np.abs(u.sixth / 720 * he[5] + u.kurtosis**2 / 1152 * he[7]) * density) for u in NORMAL]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "no sixth cumulant": lambda: predict(lambda k, s: (k, 0.0)),
            "no square of the kurtosis": lambda: predict(lambda k, s: (0.0, s)),
            "sixth moment for its cumulant": lambda: predict(lambda k, s: (k, s + 15 * (k + 3) - 30)),
            "sign of He_3 ignored": unsigned,
        },
        scale="largest",
    )


@PAPER.claim(
    "output-weights",
    statement=r"""The same holds for other laws of the output weights a, through their kurtosis: $\kappa = \frac{E
    a^4}{(E a^2)^2} \frac{E \phi^4}{(E \phi^2)^2} - 3$.""",
    source="functional priors in the limit of wide layers (derived)",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-8),
    controls=("normal output weights", "excess kurtoses added", "excess kurtoses multiplied", "weights alone"),
)
def output_weights(run: Run) -> Trial:
    """Compute distances from exact laws for uniform output weights and for random signs."""
    widths = _widths(run)

    def excesses(u: Units) -> tuple[float, float]:
        return FOURTH_MOMENTS[u.weights] - 3, (u.kurtosis + 3) / FOURTH_MOMENTS[u.weights] - 3

    return Trial(
        predict=lambda: _predict(OTHER),
        measure=lambda: _measure(OTHER, widths),
        controls={
            "normal output weights": lambda: _predict(OTHER, lambda u: u._replace(weights="normal").kurtosis),
            "excess kurtoses added": lambda: _predict(OTHER, lambda u: abs(sum(excesses(u)))),
            "excess kurtoses multiplied": lambda: _predict(OTHER, lambda u: abs(float(np.prod(excesses(u))))),
            "weights alone": lambda: _predict(OTHER, lambda u: abs(excesses(u)[0])),
        },
    )


@PAPER.claim(
    "drawn-networks",
    statement=r"""Drawn ReLU networks of one and of two hidden layers of width n, of unit power, are to first order at
    the distance $\frac{15 L}{24 n} \frac{2 + 8 e^{-3/2}}{\sqrt{2 \pi}}$ from N(0, 1), for L hidden layers.""",
    source="functional priors in the limit of wide layers (derived)",
    agreement=FiniteSize(exponent=1, second=2, of="limit", resolution=0.15),
    controls=("one layer at every depth", "kurtosis for its excess", "half of the area", "linear units"),
)
def drawn_networks(run: Run) -> Trial:
    """Draw networks layer by layer, and find a function of slope one that tells their outputs from a Gaussian."""
    networks = run.size("networks", quick=60_000, standard=400_000, full=4_000_000)
    widths = run.size("widths", quick=(16, 32, 64, 128), standard=(16, 32, 64, 128), full=(32, 64, 128, 256))
    depths = (1, 2)

    @cache
    def scaled(kind: str) -> Callable:
        return {"relu": lambda z: np.sqrt(2) * jnp.maximum(z, 0.0), "linear": lambda z: z}[kind]

    def measure(kind: str = "relu") -> Sizes:
        found = [
            sim.sampled_distance(
                run.keys(networks, f"{kind} {depth}"),
                run.keys(4000, f"pilot {kind} {depth}"),
                scaled(kind),
                widths=widths,
                depth=depth,
            )
            for depth in depths
        ]
        return Sizes(widths, np.array(widths)[:, None, None] * np.stack(found, axis=-1))

    def predict(factor: float = 1.0, *, excess: float = 0.0, deep: bool = True) -> Array:
        slope = 3 * ntk.vertex_slope("relu")
        return factor * ntk.w1_width_coefficient([slope * (depth if deep else 1) + excess for depth in depths])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "one layer at every depth": lambda: predict(deep=False),
            "kurtosis for its excess": lambda: predict(excess=3.0),
            "half of the area": lambda: predict(0.5),
        },
        counterexamples={"linear units": lambda: measure("linear")},
    )
