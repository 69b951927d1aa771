"""Mixon, Parshall and Pi 2020: small features grow into collapse, and only then into a regular simplex."""

import jax
import jax.numpy as jnp
import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity, Ordering
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, Steps, components
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

PAPER = Paper(
    key="mixon2020",
    title="Neural collapse with unconstrained features",
    authors="Dustin G. Mixon, Hans Parshall, Jianzong Pi",
    year=2020,
    arxiv="2011.11619",
    wing="neural_collapse",
)

INTEGRATED = 1e-8  # 1e3 times the integrator's relative tolerance of 1e-11: what 1e2 to 1e3 steps may add up to


def _sizes(run: Run) -> tuple[int, int, int]:
    return run.size("classes, samples, dimension", quick=(4, 3, 5), standard=(6, 5, 10), full=(10, 100, 64))


def _model(k: int, n: int, d: int, decay: float = 0.0) -> sim.FeatureModel:
    """Squared error with a free bias; run at the rate K n, it is the sum over samples with decays ``decay``."""
    return sim.feature_model(
        [n] * k, dims=(d,), weight_decays=[decay / (k * n)], feature_decay=decay / (k * n), bias=True
    )


def _random_start(run: Run, k: int, n: int, d: int) -> tuple[Array, Array]:
    """Draw a head (K, d) and features (d, K n) with normal entries."""
    rng = run.rng()
    return rng.standard_normal((k, d)), rng.standard_normal((d, k * n))


def _everything(factors: sim.Factors, model: sim.FeatureModel) -> tuple[jax.Array, jax.Array]:
    return factors.weights[0], factors.features


@PAPER.claim(
    "linearised",
    statement=r"""Around $W = 0$, $H = 0$, with the bias at $1/K$, the gradient flow of
    $\frac12 \lVert W H + b 1^T - Y \rVert_F^2$ has the rates $\pm\sqrt n$, each $d (K - 1)$ times, and zero
    otherwise.""",
    source="linearisation at the origin",
    agreement=Identity(rtol=1e-11),
    controls=("n for sqrt(n)", "labels not centred", "one mode for each class", "loss averaged over samples"),
)
def linearised(run: Run) -> Trial:
    """Count the eigenvalues of the automatic Jacobian of the flow, in spaces with and without room for all classes."""
    k, n, d = _sizes(run)
    shapes = ((k, n, d), (k - 1, n + 1, 1))

    def measure() -> Array:
        found = []
        for classes, samples, dim in shapes:
            origin = sim.Factors(
                jnp.zeros((dim, classes * samples)), (jnp.zeros((classes, dim)),), jnp.full(classes, 1 / classes)
            )
            found.append(sim.growth_rates(_model(classes, samples, dim), origin, rate=float(classes * samples)))
        return components(*found)

    def wrong(moving: int | None = None, centred: bool = True, rate: float | None = None) -> Array:
        found = []
        for classes, samples, dim in shapes:
            size = dim * classes * (samples + 1)
            count = dim * (classes - centred) if moving is None else moving * (classes - 1)
            speed = np.sqrt(samples) if rate is None else samples**rate
            found.append(np.repeat([-speed, 0.0, speed], [count, size - 2 * count, count]))
        return components(*found)

    def averaged() -> Array:
        return components(*(nc.linearized_flow_spectrum(*shape) / (shape[0] * shape[1]) for shape in shapes))

    return Trial(
        predict=lambda: components(*(nc.linearized_flow_spectrum(*shape) for shape in shapes)),
        measure=measure,
        controls={
            "n for sqrt(n)": lambda: wrong(rate=1.0),
            "labels not centred": lambda: wrong(centred=False),
            "one mode for each class": lambda: wrong(moving=1),
            "loss averaged over samples": averaged,
        },
        scale="largest",
    )


@PAPER.claim(
    "linearised-flow",
    statement=r"""From $\epsilon W_0$, $\epsilon H_0$ and bias $1/K$ the flow divided by $\epsilon$ tends, at any fixed
    time, to the flow of $\dot W = Y_c H^T$, $\dot H = W^T Y_c$ with centred labels $Y_c$, with an error of
    $O(\epsilon^2)$.""",
    source="linearisation at the origin; solved here for any start",
    agreement=ConvergenceOrder(order=2, resolution=1e-5, accuracy=1e-10),
    controls=("labels not centred", "head grows alone", "rate n for sqrt(n)", "nothing stays"),
)
def linearised_flow(run: Run) -> Trial:
    """Integrate the full flow, bias included, from random starts of falling size.

    The terms left out are a hundredth of the rest at the largest start. The integrator's relative tolerance is 1e-11,
    and its absolute one 1e-13, for numbers of 1e-3 at the least.
    """
    k, n, d = _sizes(run)
    w0, h0 = _random_start(run, k, n, d)
    times = np.array([1.0, 2.0]) / np.sqrt(n)
    steps = 0.016 * 2.0 ** -np.arange(run.size("sizes of the start", quick=5, standard=6, full=6))

    def measure() -> Steps:
        rows = []
        for size in steps:
            start = sim.Factors(jnp.asarray(size * h0), (jnp.asarray(size * w0),), jnp.full(k, 1 / k))
            w, h = sim.gradient_flow(_model(k, n, d), start, times=times, rate=float(k * n), observe=_everything)
            rows.append(components(w / size, h / size))
        return Steps(steps, np.stack(rows))

    def predict(speed: float = 1.0) -> Array:
        return components(*nc.linearized_flow(w0, h0, speed * times))

    def uncentred() -> Array:
        sums = h0.reshape(d, k, n).sum(axis=2).T / np.sqrt(n)
        x = np.sqrt(n) * times[:, None, None]
        w = w0 * np.cosh(x) + sums * np.sinh(x)
        change = (sums * (np.cosh(x) - 1) + w0 * np.sinh(x)).swapaxes(1, 2) / np.sqrt(n)
        return components(w, h0 + np.repeat(change, n, axis=2))

    def partly(head: bool) -> Array:
        w, h = nc.linearized_flow(w0, h0, times)
        if head:
            return components(w, np.broadcast_to(h0, h.shape))
        return components(w - w0.mean(axis=0), h - h0 + np.repeat(h0.reshape(d, k, n).mean(axis=2), n, axis=1))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "labels not centred": uncentred,
            "head grows alone": lambda: partly(head=True),
            "rate n for sqrt(n)": lambda: predict(speed=np.sqrt(n)),
            "nothing stays": lambda: partly(head=False),
        },
        scale="largest",
    )


@PAPER.claim(
    "collapse-before-simplex",
    statement=r"""From a small start, features collapse onto their class means and align with the head (NC1, NC3) while
    they still grow, with the irregular geometry of the start; the simplex (NC2) comes at saturation. From a start that
    is not small, variability within classes stays.""",
    source="growing subspace, where NC1 and NC3 hold",
    agreement=Ordering(side="below"),
    controls=("a start of order one", "read off at the start"),
)
def collapse_before_simplex(run: Run) -> Trial:
    r"""Read the metrics off the flow at growth $e^7$, while all is still 1e-2 at most, and after saturation.

    Statistics: log10 of NC1 and NC3 in the middle, of NC1, NC2 and NC3 at the end, and minus that of NC2 in the middle.
    With growth g, NC1 is of the order of g^-2, some 1e-6, and NC3 of g^-1 = 1e-3; thresholds grant a factor of 30
    and more for the start. NC2 in the middle is that of a random (K - 1) x d matrix, below 0.03 only if its K(K - 1)/2
    - 1 free entries all are. Saturation ends at sqrt(n) t = ln(1e5) for modes that start at their typical size, and
    is given twice that.
    """
    k, n, d = _sizes(run)
    w0, h0 = _random_start(run, k, n, d)
    times = np.array([0.01, 7.0, 30.0]) / np.sqrt(n)
    thresholds = np.array([-4.0, -1.5, -4.0, -4.0, -4.0, 1.5])

    def measure(size: float = 1e-5, middle: int = 1) -> Array:
        model = _model(k, n, d)
        start = sim.Factors(jnp.asarray(size * h0), (jnp.asarray(size * w0),), jnp.full(k, 1 / k))
        w, h = sim.gradient_flow(model, start, times=times, rate=float(k * n), observe=_everything)
        metrics = sim.collapse_metrics(h, model.labels, w)
        nc1, nc2, nc3 = (np.log10(np.asarray(part)) for part in (metrics.nc1_trace, metrics.nc2_etf, metrics.nc3))
        return np.array([nc1[middle], nc3[middle], nc1[-1], nc2[-1], nc3[-1], -nc2[middle]])

    return Trial(
        predict=lambda: thresholds,
        measure=measure,
        counterexamples={
            "a start of order one": lambda: measure(size=1.0),
            "read off at the start": lambda: measure(middle=0),
        },
        scale=1.0,
    )


def _modes(factors: sim.Factors, model: sim.FeatureModel) -> tuple[jax.Array, jax.Array, jax.Array]:
    assert factors.bias is not None
    head = factors.weights[0]
    imbalance = head.T @ head - factors.features @ factors.features.T
    return sim.product_singular_values(factors, model), factors.bias, imbalance


@PAPER.claim(
    "mode-flow",
    statement=r"""With decay $\lambda$ on both factors and an aligned, balanced start, the $K - 1$ modes of $W H$ obey
    $\dot m = 2 m (\sqrt n - \lambda - m)$, logistic curves, algebraic decay at $\lambda = \sqrt n$ and exponential
    decay beyond, while the bias learns alone, $b(t) = (1 - e^{-N t}) / K$.""",
    source="flow beyond the linear regime; with decay derived here",
    agreement=Identity(rtol=INTEGRATED),
    controls=("rate s for 2s", "bias at the rate n", "decay halved", "decay of the bias"),
)
def mode_flow(run: Run) -> Trial:
    r"""Integrate head, features and bias, without decay, with some, at the critical one and beyond.

    In the target's singular vectors W = diag(sqrt m) and H = diag(sqrt m), so that W' = (s - m) H - lambda W gives
    (sqrt m)' = (s - lambda - m) sqrt m. Features stay orthogonal to the vector of ones, which leaves b' = 1 n - N b.
    """
    k, n, d = _sizes(run)
    s = np.sqrt(n)
    decays = s * np.array([0.0, 0.3, 1.0, 1.5])
    m0 = s * np.geomspace(0.5, 0.02, k - 1)
    times = np.array([0.05, 0.3, 1.0, 2.5])

    def measure() -> Array:
        found = []
        for index, decay in enumerate(decays):
            model = _model(k, n, d, decay)
            start = sim.aligned_start(model, run.key(f"decay {index}"), m0)
            modes, bias, _ = sim.gradient_flow(model, start, times=times, rate=float(k * n), observe=_modes)
            found += [modes[:, : k - 1], bias]
        return components(*found)

    def predict(speed: float = 1.0, samples: int = k * n, held: float = 1.0, bias_decay: float = 0.0) -> Array:
        found = []
        for decay in decays:
            rate = 1 + bias_decay * decay / (k * n)
            learned = nc.ufm_gradient_flow_bias(rate * times, num_classes=k, num_samples=samples) / rate
            modes = nc.ufm_gradient_flow_modes(m0, speed * times, target=s, decay=held * decay)
            found += [modes, np.tile(learned[:, None], k)]
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "rate s for 2s": lambda: predict(speed=0.5),
            "bias at the rate n": lambda: predict(samples=k),
            "decay halved": lambda: predict(held=0.5),
            "decay of the bias": lambda: predict(bias_decay=1.0),
        },
    )


@PAPER.claim(
    "conservation",
    statement=r"""For any start $W^T W - H H^T$ is conserved, and with decay $\lambda$ on both factors shrinks as
    $e^{-2 \lambda t}$.""",
    source="conserved quantity of the flow; with decay derived here",
    agreement=Identity(rtol=INTEGRATED),
    controls=("sum for difference", "rate lambda for 2 lambda", "decay left out"),
)
def conservation(run: Run) -> Trial:
    """Integrate from random heads and features of order one, with and without decay."""
    k, n, d = _sizes(run)
    w0, h0 = (0.5 * part for part in _random_start(run, k, n, d))
    decays, times = np.array([0.0, 0.4]), np.array([0.05, 0.3, 1.0, 2.5])

    def measure() -> Array:
        found = []
        for decay in decays:
            start = sim.Factors(jnp.asarray(h0), (jnp.asarray(w0),), jnp.zeros(k))
            found.append(
                sim.gradient_flow(_model(k, n, d, decay), start, times=times, rate=float(k * n), observe=_modes)[2]
            )
        return np.stack(found)

    def predict(sign: float = -1.0, rate: float = 2.0) -> Array:
        left = np.exp(-rate * decays[:, None] * times)
        return left[:, :, None, None] * (w0.T @ w0 + sign * h0 @ h0.T)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "sum for difference": lambda: predict(sign=1.0),
            "rate lambda for 2 lambda": lambda: predict(rate=1.0),
            "decay left out": lambda: predict(rate=0.0),
        },
        scale="largest",
    )
