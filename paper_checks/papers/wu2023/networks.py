"""Trained networks: how displacements from their minima grow, and the step sizes at which they leave."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from paper_checks.agreement import Equivalence, Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Samples
from paper_checks.papers.wu2023.paper import PAPER
from simulations import optimization as sim
from theory import optimization

Array = NDArray[np.float64]


class Trained(NamedTuple):
    """A network at zero loss, with the gradients of its outputs and their coordinates in the space they span."""

    network: sim.TanhNetwork
    gradients: Array
    coordinates: Array
    basis: Array

    @property
    def sharpness(self) -> float:
        """Top eigenvalue of the Hessian of the mean of r^2 / 2, up to terms that vanish with the residuals."""
        return float(np.linalg.norm(self.gradients, ord=2) ** 2 / len(self.gradients))


@lru_cache(maxsize=4)
def _trained(run: Run, count: int) -> list[Trained]:
    """Train networks until as many as wanted have nonzero curvatures within a factor of 30.

    The smallest curvature sets the time after which the fastest-growing direction dominates, in the population as in
    gradient descent: that criterion bounds it.
    """
    found = []
    for key in run.keys(200, "networks"):
        try:
            network = sim.train_network(key, n_samples=3, dimension=2, width=4)
        except RuntimeError:
            continue
        gradients = np.asarray(sim.sample_gradients(network))
        left, sizes, right = np.linalg.svd(gradients, full_matrices=False)
        if sizes[0] ** 2 < 30 * sizes[-1] ** 2:
            found.append(Trained(network, gradients, left * sizes, right.T))
        if len(found) == count:
            return found
    raise RuntimeError(f"only {len(found)} of 200 networks are well conditioned; {count} are wanted")


@PAPER.claim(
    "gd-threshold",
    statement=r"""Gradient descent is stable at a minimum exactly when $\lambda_{\max} \le 2 / \eta$; heavy-ball
    momentum $\beta$ raises the limit to $2 (1 + \beta) / \lambda_{\max}$.""",
    source="linear stability of gradient descent",
    # displacements of 3e-8 are quadratic to 1e-8, and known to some 1e-8 where residuals are sums of larger numbers
    agreement=Identity(rtol=1e-6, resolution=1e-5),
    controls=("trace", "Frobenius norm", "momentum forgotten", "1 / (1 - beta) for 1 + beta"),
)
def gd_threshold(run: Run) -> Trial:
    """Bisect, on trained networks, for the step size at which gradient descent stops returning to its minimum."""
    count = run.size("networks", quick=3, standard=20, full=500)
    momenta = (0.0, 0.5)

    def measure() -> Array:
        found = []
        for k, (network, gradients, *_) in enumerate(_trained(run, count)):
            sharpness = float(np.linalg.norm(gradients @ gradients.T, ord=2)) / len(gradients)
            bracket = (0.2 / sharpness, 8 / sharpness)
            found.append(
                [sim.descent_threshold(run.key(f"{k}"), network, bracket=bracket, momentum=b) for b in momenta]
            )
        return np.array(found, dtype=float)

    def predict(
        curvature: Callable[[Trained], float] = lambda net: net.sharpness, momenta: tuple[float, ...] = momenta
    ) -> Array:
        return np.array(
            [
                [optimization.gradient_descent_threshold(curvature(net), momentum=b) for b in momenta]
                for net in _trained(run, count)
            ]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "trace": lambda: predict(lambda net: float(np.sum(net.gradients**2)) / 3),
            "Frobenius norm": lambda: predict(lambda net: float(np.linalg.norm(net.gradients @ net.gradients.T)) / 3),
            "momentum forgotten": lambda: predict(momenta=(0.0, 0.0)),
            "1 / (1 - beta) for 1 + beta": lambda: predict(momenta=(0.0, 0.0)) / (1 - np.array(momenta)),
        },
    )


def _rates(net: Trained) -> tuple[float, float]:
    """Return step sizes for batches of one and of two, not far from the threshold in most networks."""
    trace = float(np.sum(net.gradients**2)) / len(net.gradients)
    return 1.0 / trace, 1.6 / trace


@PAPER.claim(
    "mean-square",
    statement=r"""Near a minimum of zero loss, $E[\delta\delta^\top]$ of a network trained by SGD is advanced by $T(A) =
    (I - \eta H) A (I - \eta H) + \frac{\eta^2}{B} (\frac1n \sum_i x_i x_i^\top A x_i x_i^\top - H A H)$, $x_i$ the
    gradients of its outputs.""",
    source="second-moment dynamics of SGD",
    agreement=MonteCarlo(resolution=0.1),
    controls=("gradient descent", "H A H kept", "B forgotten", "one step less"),
)
def mean_square(run: Run) -> Trial:
    """Mean-square residuals of a trained network over twelve steps of SGD.

    Growth is carried by rare runs, so populations are resampled at every step; their product of growth factors has no
    bias, whatever the number of particles, and that product is what is compared.
    """
    populations = run.size("populations", quick=600, standard=4000, full=20_000)
    particles = run.size("particles", quick=256, standard=256, full=1024)
    steps, read = 12, np.array([1, 3, 7, 11])

    def problem() -> tuple[Trained, Array]:
        net = _trained(run, 1)[0]
        return net, net.basis @ run.rng("start").normal(size=3)

    def measure() -> Samples:
        net, start = problem()
        found = [
            sim.resampled_mean_squares(
                run.key(f"B {B}"),
                net.network,
                start,
                learning_rate=rate,
                batch_size=B,
                n_particles=particles,
                n_steps=steps,
                n_replicates=populations,
            )[:, read]
            for B, rate in zip((1, 2), _rates(net), strict=True)
        ]
        return Samples(np.stack(found, axis=1))

    def predict(
        operator: Callable[[Array, float, int], Array] = lambda x, rate, B: optimization.second_moment_operator(
            x, learning_rate=rate, batch_size=B
        ),
        delay: int = 1,
    ) -> Array:
        net, start = problem()
        x = net.coordinates
        displacement, hessian = net.basis.T @ start, (x.T @ x / len(x)).ravel()
        moment = np.outer(displacement, displacement).ravel()
        found = []
        for B, rate in zip((1, 2), _rates(net), strict=True):
            T = operator(x, rate, B)
            advanced = [hessian @ np.linalg.matrix_power(T, int(k) + delay) @ moment for k in read]
            found.append(np.array(advanced) / (hessian @ moment))
        return np.array(found)

    def descent(x: Array, rate: float, B: int) -> Array:
        contraction = np.eye(x.shape[1]) - rate * x.T @ x / len(x)
        return np.asarray(np.kron(contraction, contraction), dtype=float)

    def kept(x: Array, rate: float, B: int) -> Array:
        H = x.T @ x / len(x)
        T = optimization.second_moment_operator(x, learning_rate=rate, batch_size=B)
        return np.asarray(T + rate**2 / B * np.kron(H, H))

    def of_one(x: Array, rate: float, B: int) -> Array:
        return optimization.second_moment_operator(x, learning_rate=rate)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "gradient descent": lambda: predict(descent),
            "H A H kept": lambda: predict(kept),
            "B forgotten": lambda: predict(of_one),
            "one step less": lambda: predict(delay=0),
        },
    )


@PAPER.claim(
    "sgd-threshold",
    statement=r"""A trained network leaves its minimum under SGD, in mean square, at the step size $\eta_c$ computed
    from the gradients of its outputs, far below gradient descent's $2 / \lambda_{\max}$.""",
    source="stability of SGD at a minimum of a network",
    agreement=Equivalence(margin=0.03, resolution=0.2),
    controls=("gradient descent", "batches of one for two", "half the trace bound"),
)
def sgd_threshold(run: Run) -> Trial:
    """Bisect for the step size at which the mean square of a resampled population stops shrinking.

    The margin covers noise and bias of one large population. A growth rate read from N particles is too low by up to
    about 0.6 / N in the networks tried, which at N = 1024 raises a threshold by less than half a percent; the noise is
    of the same size.
    """
    count = run.size("networks", quick=2, standard=8, full=100)
    particles = run.size("particles", quick=1024, standard=4096, full=65_536)
    n_steps = run.size("steps", quick=200, standard=400, full=1000)
    batch_sizes = (1, 2)

    def measure() -> Array:
        found = np.empty((count, len(batch_sizes)))
        for k, net in enumerate(_trained(run, count)):
            trace = float(np.sum(net.gradients**2)) / len(net.gradients)
            for j, B in enumerate(batch_sizes):
                found[k, j] = sim.mean_square_threshold(
                    run.key(f"{k} {B}"),
                    net.network,
                    batch_size=B,
                    bracket=(0.4 / trace, 2.2 * B / trace),
                    n_particles=particles,
                    n_steps=n_steps,
                    burn_in=60,
                    n_replicates=1,
                    n_bisections=10,
                )[0]
        return found

    def predict(batch_sizes: tuple[int, ...] = batch_sizes) -> Array:
        return np.array(
            [
                [optimization.critical_learning_rate(net.gradients, batch_size=B) for B in batch_sizes]
                for net in _trained(run, count)
            ]
        )

    def descent() -> Array:
        rates = [optimization.gradient_descent_threshold(net.sharpness) for net in _trained(run, count)]
        return np.stack([rates, rates], axis=1)

    def half_bound() -> Array:
        return np.array(
            [
                [optimization.trace_bound(net.gradients, batch_size=B) / 2 for B in batch_sizes]
                for net in _trained(run, count)
            ]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "gradient descent": descent,
            "batches of one for two": lambda: predict((1, 1)),
            "half the trace bound": half_bound,
        },
    )
