"""Han, Papyan and Donoho 2021: the central path in units of the spread within classes, mode by mode."""

from collections.abc import Callable

import numpy as np
from scipy.integrate import solve_ivp

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Paper, Run, Trial
from paper_checks.evidence import Array, Limit, Steps, components
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

PAPER = Paper(
    key="han2021",
    title="Neural Collapse Under MSE Loss: Proximity to and Dynamics on the Central Path",
    authors="X. Y. Han, Vardan Papyan, David L. Donoho",
    year=2021,
    arxiv="2106.02073",
    wing="neural_collapse",
)

INTEGRATED = 1e-8  # 1e3 times the integrator's relative tolerance of 1e-11: what 1e2 to 1e3 steps may add up to
LATE = 6  # times that the asymptotics are extrapolated from


class _Problem:
    """Features (d, K n), white within classes, with drawn singular values of their centred means."""

    def __init__(self, run: Run) -> None:
        self.k, self.n, d = run.size(
            "classes, samples, dimension", quick=(4, 5, 6), standard=(6, 8, 10), full=(10, 50, 64)
        )
        draws = run.rng().uniform(-0.2, 0.2, self.k - 1)
        self.omega = np.geomspace(2.0, 0.4, self.k - 1) * np.exp(draws * np.log(5) / (self.k - 1))
        self.features = np.asarray(sim.whitened_features(run.key(), self.k, self.n, d, signal=self.omega))

    @property
    def times(self) -> Array:
        """Times (11,) of the flow of the means; with omega^2 in units of K, its clock runs in units of K^2."""
        return np.asarray(self.k**2 * 1e5 / 4.0 ** np.arange(10, -1, -1))

    def path(self) -> sim.RenormalisedPath:
        """Integrate all features; the means have an n-th of the gradient of the samples' average each."""
        return sim.renormalised_path(self.features, num_classes=self.k, times=self.n * self.times)

    def predicted(self, delay: float = 1.0) -> Array:
        """Singular values along the path."""
        return nc.renormalized_central_path(self.omega, delay * self.times, num_classes=self.k)

    def wrong_path(self, velocity: Callable[[Array], Array]) -> Array:
        """Follow the singular values with another velocity."""
        solution = solve_ivp(
            lambda _, w: velocity(w), (0, self.times[-1]), self.omega, "DOP853", self.times, rtol=1e-10, atol=1e-12
        )
        return solution.y.T


@PAPER.claim(
    "central-path",
    statement=r"""Under gradient flow of the least-squares loss with $\Sigma_W$ held at the identity, singular values of
    the centred class means obey $K^2 \log \omega + K \omega^2 + \omega^4 / 4 = t + a$, each by itself; the flow of all
    $K n$ features is $n$ times slower than that of the $K$ means.""",
    source="dynamics on the central path, closed form of the singular values",
    agreement=Identity(rtol=INTEGRATED),
    controls=("K/2 for K", "K for K^2 before the logarithm", "fourth power not divided", "time of the features"),
)
def central_path(run: Run) -> Trial:
    """Integrate the projected gradient flow of all features, a matrix, by automatic differentiation."""
    problem = _Problem(run)
    k = problem.k
    return Trial(
        predict=problem.predicted,
        measure=lambda: problem.path().signal[:, : k - 1],
        controls={
            "K/2 for K": lambda: problem.wrong_path(lambda w: 1 / (k**2 / w + k * w + w**3)),
            "K for K^2 before the logarithm": lambda: problem.wrong_path(lambda w: 1 / (k / w + 2 * k * w + w**3)),
            "fourth power not divided": lambda: problem.wrong_path(lambda w: 1 / (k**2 / w + 2 * k * w + 4 * w**3)),
            "time of the features": lambda: problem.predicted(delay=problem.n),
        },
    )


@PAPER.claim(
    "loss",
    statement=r"""The least-squares loss of the best affine head is $\frac12 \sum_{j=1}^{K-1} 1 / (K + \omega_j^2)$,
    $\omega_j$ the singular values of the class means in units of the spread within classes.""",
    source="loss on the central path",
    agreement=Identity(rtol=INTEGRATED),
    controls=("1 for K", "a K-th mode", "loss not halved", "omega for omega^2"),
)
def loss(run: Run) -> Trial:
    """Fit an affine head to the samples along the path, in a space with room for all modes and in a line.

    In units of the spread, the covariance of all samples is I + X X^T / K, that of labels and samples X^T / K; so the
    residual (K - 1) / K - Tr[X^T (I + X X^T / K)^-1 X] / K^2 falls into 1 / (K + omega^2) for each mode.
    """
    problem = _Problem(run)
    k, n = problem.k, problem.n
    line = np.array([0.7])

    def measure() -> Array:
        flat = sim.whitened_features(run.key("line"), k, n, 1, signal=line)
        on_line = sim.renormalised_path(flat, num_classes=k, times=[0.0, 1.0])
        return components(problem.path().loss, on_line.loss[:1])

    def paths() -> list[Array]:
        return [problem.predicted(), line[None]]

    def predict() -> Array:
        return components(*(nc.central_path_loss(omega, num_classes=k) for omega in paths()))

    def wrong(constant: float, power: float) -> Array:
        found = []
        for omega in paths():
            missing = k - 1 - omega.shape[1]
            found.append((np.sum(1 / (constant + omega**power), axis=1) + missing / constant) / 2)
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "1 for K": lambda: wrong(constant=1.0, power=2.0),
            "a K-th mode": lambda: predict() + 1 / (2 * k),
            "loss not halved": lambda: 2 * predict(),
            "omega for omega^2": lambda: wrong(constant=float(k), power=1.0),
        },
    )


@PAPER.claim(
    "singular-vectors",
    statement=r"""Singular vectors of the normalised class means stay what they are at the start: $X(t) = U
    \mathrm{diag}(\omega(t)) V^T$.""",
    source="dynamics on the central path, frozen singular vectors",
    agreement=Identity(rtol=INTEGRATED),
    controls=("all modes grow by one factor", "fully equal from the start", "signals exchanged"),
)
def singular_vectors(run: Run) -> Trial:
    """Compare whole matrices of class means along the path with what the singular vectors of the start imply."""
    problem = _Problem(run)
    k, n = problem.k, problem.n

    def predict(change: Callable[[Array], Array] | None = None) -> Array:
        # white within classes: the class means are normalised as they stand
        means = problem.features.reshape(-1, k, n).mean(axis=2)
        left, start, right = np.linalg.svd(means - means.mean(axis=1, keepdims=True), full_matrices=False)
        omega = nc.renormalized_central_path(start[: k - 1], problem.times, num_classes=k)
        omega = omega if change is None else change(omega)
        return (left[:, : k - 1] * omega[:, None]) @ right[: k - 1]

    def together(omega: Array) -> Array:
        return np.linalg.norm(omega, axis=1, keepdims=True) * problem.omega / np.linalg.norm(problem.omega)

    def equal(omega: Array) -> Array:
        return np.repeat(np.sqrt(np.mean(omega**2, axis=1, keepdims=True)), k - 1, axis=1)

    return Trial(
        predict=predict,
        measure=lambda: problem.path().means,
        controls={
            "all modes grow by one factor": lambda: predict(together),
            "fully equal from the start": lambda: predict(equal),
            "signals exchanged": lambda: predict(lambda omega: omega[:, ::-1]),
        },
        scale="largest",
    )


@PAPER.claim(
    "equalisation",
    statement=r"""All singular values grow as $(4 t)^{1/4}$, with the relative correction $-\frac{K}{2} t^{-1/2}$, and
    $4 t\,(\omega_i / \omega_j - 1)$ tends to $a_i - a_j$, with the relative correction $K t^{-1/2}$: the means become
    a simplex frame.""",
    source="asymptotics on the central path; corrections derived here",
    agreement=ConvergenceOrder(order=1, resolution=1e-2, accuracy=1e-6),
    controls=("t^(1/4) for (4 t)^(1/4)", "K omega^2 / 2 in the constants", "corrections of twice the size"),
)
def equalisation(run: Run) -> Trial:
    r"""Integrate the matrix flow to t = 1e5 K^2 and extrapolate in 1 / sqrt(t), from t = 100 K^2 on.

    From omega^4 / 4 + K omega^2 + K^2 log omega = t + a follow omega^2 = 2 sqrt(t) - 2K + ..., and, as the left side
    has the derivative (K + omega^2)^2 in log omega, log(omega_i / omega_j) = (a_i - a_j) / (4 t) (1 + K / sqrt(t) +
    ...). The next terms are of relative order log(t) / t: at late enough times no matter, as in 1 / sqrt(t) they are
    not the powers that the extrapolation assumes. The ratio differs from one by 1e-6 at the end, and the integrator's
    errors there, 1e-12, are 1e-6 of that.
    """
    problem = _Problem(run)
    k, times = problem.k, problem.times[-LATE:]

    def measure() -> Steps:
        signal = problem.path().signal[-LATE:, : k - 1]
        ratios = signal[:, :1] / signal[:, 1:] - 1
        return Steps(
            times**-0.5,
            components(signal / (4 * times[:, None]) ** 0.25, 4 * times[:, None] * ratios, leading=1),
        )

    def predict(growth: float = 1.0, square: float = 1.0, correction: float = 1.0) -> Limit:
        w = problem.omega
        a = k**2 * np.log(w) + square * k * w**2 + w**4 / 4
        gaps = a[0] - a[1:]
        value = components(np.full(k - 1, growth), gaps)
        slopes = components(np.full(k - 1, -growth * k / 2), k * gaps)
        return Limit(value, correction * slopes)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "t^(1/4) for (4 t)^(1/4)": lambda: predict(growth=2**-0.5),
            "K omega^2 / 2 in the constants": lambda: predict(square=0.5),
            "corrections of twice the size": lambda: predict(correction=2.0),
        },
    )
