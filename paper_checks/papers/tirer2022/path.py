"""The central path: features that flow downhill while the head is always the best one, and how fast they collapse."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, components
from paper_checks.papers.tirer2022.paper import PAPER
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

INTEGRATED = 1e-8  # 1e3 times the integrator's relative tolerance of 1e-11: what 1e2 to 1e3 steps may add up to
DIFFERENTIATED = (
    1e-11  # condition number of H H^T + n lambda_W I, at most 1e3 here, times 1e2 operations, times rounding
)
WEIGHT_DECAY = 0.2
FEATURE_DECAYS = (0.0, 0.1, 1.0)


def _instances(run: Run) -> list[tuple[int, Array]]:
    """Draw features (R, d, K n) of several instances, in a space with room for all classes and in one without.

    Lengths of order one: W* then has order one as well, and the flow does something on the time scale of the claims.
    """
    shapes = run.size(
        "classes, samples, dimension",
        quick=((3, 4, 5), (4, 3, 2)),
        standard=((5, 8, 12), (6, 6, 4)),
        full=((10, 50, 64), (20, 20, 10)),
    )
    count = run.size("instances", quick=8, standard=16, full=64)
    rng = run.rng()
    return [(k, rng.standard_normal((count, d, k * n))) for k, n, d in shapes]


def _times(run: Run) -> Array:
    return np.linspace(0.0, 4.0, run.size("times", quick=33, standard=129, full=257))


def _traces(features: Array, k: int) -> tuple[Array, Array]:
    """Tr Sigma_W and Tr Sigma_B of features (..., d, K n)."""
    grouped = features.reshape(*features.shape[:-1], k, -1)
    means = grouped.mean(axis=-1)
    within = np.sum((grouped - means[..., None]) ** 2, axis=(-3, -2, -1)) / features.shape[-1]
    return within, np.sum((means - means.mean(axis=-1, keepdims=True)) ** 2, axis=(-2, -1)) / k


@PAPER.claim(
    "central-path",
    statement=r"""With the head eliminated, the features flow by
    $\dot H = -W^{*T} (W^* H - Y) - \lambda_H H$, $W^* = Y H^T (H H^T + n \lambda_W I)^{-1}$: the head that is best at
    each moment may be treated as if it did not depend on $H$.""",
    source="section 3, flow along the central path (envelope theorem)",
    agreement=Identity(rtol=INTEGRATED),
    controls=("ridge averaged over samples", "no decay of features", "time in units of K n", "loss not halved"),
)
def central_path(run: Run) -> Trial:
    """Integrate the automatic gradient of the eliminated loss, and compare the variability along both flows."""
    instances, times, feature_decay = _instances(run), _times(run), 0.1
    shown = np.linspace(0, times.size - 1, 5).astype(int)[1:]

    def measure() -> Array:
        found = []
        for k, features in instances:
            path = sim.central_path(
                features, num_classes=k, weight_decay=WEIGHT_DECAY, feature_decay=feature_decay, times=times
            )
            found += [part[:2, shown] for part in path.variability]
        return components(*found)

    def predict(*, ridge: float = WEIGHT_DECAY, decay: float = feature_decay, speed: float = 1.0) -> Array:
        parts: list[Array] = []
        for k, features in instances:
            paths = [
                nc.central_path_flow(h, speed * times[shown], num_classes=k, weight_decay=ridge, feature_decay=decay)
                for h in features[:2]
            ]
            parts += _traces(np.stack(paths), k)
        return components(*parts)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "ridge averaged over samples": lambda: predict(ridge=WEIGHT_DECAY / instances[0][1].shape[-1]),
            "no decay of features": lambda: predict(decay=0.0),
            "time in units of K n": lambda: predict(speed=1 / instances[0][1].shape[-1]),
            "loss not halved": lambda: predict(speed=2.0),
        },
    )


def _largest_rate(log_values: Array, times: Array) -> float:
    """Return the largest rate of change between neighbouring times, over all instances."""
    return float(np.max(np.diff(log_values, axis=-1) / np.diff(times)))


def _slopes(within: Array, between: Array, times: Array, compensated: float) -> list[float]:
    shift = 2 * compensated * times
    return [
        _largest_rate(np.log(within) - np.log(between), times),
        _largest_rate(np.log(within) + shift, times),
        _largest_rate(-np.log(between) - shift, times),
    ]


@PAPER.claim(
    "nc1-monotone",
    statement=r"""Along the central path $\mathrm{Tr}\,\Sigma_W / \mathrm{Tr}\,\Sigma_B$ falls strictly, and so does
    $e^{2 \lambda_H t}\,\mathrm{Tr}\,\Sigma_W$, while $e^{2 \lambda_H t}\,\mathrm{Tr}\,\Sigma_B$ rises strictly; for
    any features at the start, $\lambda_W > 0$ and $\lambda_H \ge 0$.""",
    source="theorem 3.1",
    agreement=Ordering(side="below"),
    controls=("decay of features not compensated", "a head that is not the best one"),
)
def nc1_monotone(run: Run) -> Trial:
    """Find the largest logarithmic rate of each quantity, signed so that it must be negative, over times and instances.

    Between-class variability alone does fall where the decay of features is strong. A head that starts out wrong and
    learns at the speed of the features drives class means together before it separates them.
    """
    instances, times = _instances(run), _times(run)

    def measure(compensated: bool = True) -> Array:
        found = []
        for k, features in instances:
            for decay in FEATURE_DECAYS:
                path = sim.central_path(
                    features, num_classes=k, weight_decay=WEIGHT_DECAY, feature_decay=decay, times=times
                )
                within, between = (np.asarray(part) for part in path.variability)
                found.append(_slopes(within, between, times, decay if compensated else 0.0))
        return np.array(found)

    def wrong_head() -> Array:
        k, features = instances[0]
        h = jnp.asarray(features[0])
        dim, samples = h.shape
        model = sim.feature_model(
            [samples // k] * k, dims=(dim,), weight_decays=[WEIGHT_DECAY / k], feature_decay=0.0, bias=False
        )
        start = sim.Factors(h, (-0.5 * h.reshape(dim, k, -1).mean(axis=2).T,), None)
        soon = 0.01 * times  # the head does not stay wrong for long
        within, between = sim.gradient_flow(
            model, start, times=soon, rate=float(samples), observe=_variability_of_factors
        )
        slopes = _slopes(np.asarray(within), np.asarray(between), soon, 0.0)
        return np.broadcast_to(slopes, (len(instances) * len(FEATURE_DECAYS), 3))

    return Trial(
        predict=lambda: np.zeros((len(instances) * len(FEATURE_DECAYS), 3)),
        measure=measure,
        counterexamples={
            "decay of features not compensated": lambda: measure(compensated=False),
            "a head that is not the best one": wrong_head,
        },
        scale=1.0,
    )


def _variability_of_factors(factors: sim.Factors, model: sim.FeatureModel) -> sim.Variability:
    return sim.variability(factors.features, model.num_classes)


def _rates(
    h: Array, k: int, feature_decay: float, *, sums: float = 1.0, centre: bool = True, share: float = 1.0
) -> list[float]:
    """Write out the rates of both traces; right for ``sums`` and ``share`` equal to one and ``centre``."""
    d, samples = h.shape
    n = samples // k
    means = h.reshape(d, k, n).mean(axis=2)
    inverse = np.linalg.inv(h @ h.T + n * WEIGHT_DECAY * np.eye(d))
    p = sums * n * means.T @ inverse @ means
    deviations = h - np.repeat(means, n, axis=1)
    within, between = _traces(h, k)
    head = n * means.T @ inverse
    centring = np.eye(k) - (1 / k if centre else 0.0)
    return [
        float(-2 * feature_decay * within - 2 * np.sum((head @ deviations) ** 2) / samples),
        float(-2 * feature_decay * between + share * 2 / k * np.trace(centring @ p @ (np.eye(k) - p))),
    ]


@PAPER.claim(
    "nc1-rates",
    statement=r"""On the central path $\frac{d}{dt} \mathrm{Tr}\,\Sigma_W = -2\lambda_H \mathrm{Tr}\,\Sigma_W -
    2\,\mathrm{Tr}(W^{*T} W^* \Sigma_W)$ and $\frac{d}{dt} \mathrm{Tr}\,\Sigma_B = -2\lambda_H \mathrm{Tr}\,\Sigma_B +
    \frac2K \mathrm{Tr}[(I - J) P (I - P)]$ with $P = W^* \bar H$.""",
    source="derived here; behind theorem 3.1",
    agreement=Identity(rtol=DIFFERENTIATED),
    controls=("n missing from P", "means not centred", "2 for 2/K", "half the decay of features"),
)
def nc1_rates(run: Run) -> Trial:
    """Differentiate both traces along the automatic gradient of the eliminated loss.

    With D the deviations from class means, the flow gives dD/dt = -(W^T W + lambda_H) D, and for the means
    d(Hbar)/dt = -W^T (W Hbar - I) - lambda_H Hbar, W = n Hbar^T (H H^T + n lambda_W I)^-1. So P = W Hbar is symmetric,
    and as H H^T is at least n Hbar Hbar^T its eigenvalues lie in [0, 1): the second trace is never negative.
    """
    instances = _instances(run)

    def measure() -> Array:
        rates = [
            sim.variability_rates(features, num_classes=k, weight_decay=WEIGHT_DECAY, feature_decay=decay)
            for k, features in instances
            for decay in FEATURE_DECAYS
        ]
        return components(*(np.stack(pair, axis=-1) for pair in rates))

    def each(rates: Callable[[Array, int, float], Sequence[float]]) -> Array:
        pairs = [rates(h, k, decay) for k, features in instances for decay in FEATURE_DECAYS for h in features]
        return components(*pairs)

    def exact(h: Array, k: int, decay: float) -> nc.NC1Rates:
        return nc.nc1_rates(h, num_classes=k, weight_decay=WEIGHT_DECAY, feature_decay=decay)

    return Trial(
        predict=lambda: each(exact),
        measure=measure,
        controls={
            "n missing from P": lambda: each(lambda h, k, decay: _rates(h, k, decay, sums=k / h.shape[1])),
            "means not centred": lambda: each(lambda h, k, decay: _rates(h, k, decay, centre=False)),
            "2 for 2/K": lambda: each(lambda h, k, decay: _rates(h, k, decay, share=float(k))),
            "half the decay of features": lambda: each(lambda h, k, decay: _rates(h, k, decay / 2)),
        },
        scale="largest",
    )
