"""What is exact at finite size: the losses, the risk of either alone, and one feature."""

from collections.abc import Callable

import jax
import numpy as np

from paper_checks.agreement import Identity, MonteCarlo
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Samples
from paper_checks.papers.javanmard2024.bags import (
    BAGS,
    BUDGETS,
    NOISE,
    SIGNAL,
    instance_risks,
    label_noise,
    learn,
    unshrunk_noise,
)
from paper_checks.papers.javanmard2024.paper import PAPER
from simulations import kernel_regression as sim
from theory import kernel_regression as theory


@PAPER.claim(
    "instance-is-regularised-bag",
    statement=r"""The instance loss is the bag loss and $\frac1n \sum_i [(x_i - \bar x_{a(i)})^\top \theta]^2$, so that
    its mixture with the bag loss is least at $(Z^\top Z + \rho W)^{-1} Z^\top \tilde y$: a bag loss with a ridge from
    the scatter W within bags.""",
    source="relation of the losses",
    agreement=Identity(rtol=1e-11),  # scatter matrices of condition number up to 1e3
    controls=("scatter of all samples", "its mean for the scatter", "mixture of the bag loss too", "labels of samples"),
)
def instance_is_regularised_bag(run: Run) -> Trial:
    """Evaluate losses at random parameters, and minimise their mixtures, on random bags."""
    n, p, k = run.size("n, p, bag size", quick=(36, 5, 3), standard=(120, 15, 4), full=(1200, 60, 5))
    rng = run.rng()
    x, y, parameters = rng.normal(size=(n, p)), rng.normal(size=n), rng.normal(size=p)
    labels = y.reshape(-1, k).mean(axis=1)
    weights = np.array([0.0, 0.1, 0.5, 1.0])

    def measure(split: bool = False) -> Array:
        losses = sim.bag_losses(parameters, x, labels)
        if split:  # every sample is its own bag, but the bag loss stays
            losses = sim.BagLosses(losses.bag, sim.bag_losses(parameters, x, y).instance)
        fits = jax.vmap(sim.fit_bags, in_axes=(None, None, 0))(x, labels, weights)
        return np.concatenate([[losses.bag, losses.instance], np.ravel(fits)])

    def predict() -> Array:
        losses = [theory.aggregate_loss(parameters, x, labels, rho=rho) for rho in (0.0, 1.0)]
        return np.concatenate([losses, *(theory.aggregate_fit(x, labels, rho=rho) for rho in weights)])

    def wrong(scatter: Callable[[Array], Array], of_bags: Callable[[float], float] = lambda rho: 1.0) -> Array:
        means = x.reshape(-1, k, p).mean(axis=1)
        inside = scatter(x - np.repeat(means, k, axis=0))
        bag = np.mean((labels - means @ parameters) ** 2)
        fits = [
            np.linalg.solve(of_bags(rho) * k * means.T @ means + rho * inside, of_bags(rho) * k * means.T @ labels)
            for rho in np.maximum(weights, 1e-12)
        ]
        return np.concatenate([[bag, bag + parameters @ inside @ parameters / n], *fits])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "scatter of all samples": lambda: wrong(lambda off: x.T @ x),
            "its mean for the scatter": lambda: wrong(lambda off: (n - n / k) * np.eye(p)),
            "mixture of the bag loss too": lambda: wrong(lambda off: off.T @ off, lambda rho: 1 - 0.9 * rho),
        },
        counterexamples={"labels of samples": lambda: measure(split=True)},
        scale="largest",
    )


@PAPER.claim(
    "bag-risk",
    statement=r"""At any n and p the bag loss alone learns with the risk $\sigma^2 \frac{p}{m - p - 1}$, m bags: labels
    are as good as m single ones.""",
    source="risk of the bag loss; exact at finite size, derived here",
    agreement=MonteCarlo(resolution=0.05),
    controls=("limit of large n and p", "noise of a mean", "bags of one", "noise shared in bags"),
)
def bag_risk(run: Run) -> Trial:
    """Minimise the bag loss on many designs of one size, in bags of two and of four."""
    n, p = 64, 4
    sizes = (2, 4)
    designs = run.size("designs", quick=3000, standard=20_000, full=500_000)

    def measure(shared_noise: bool = False) -> Samples:
        fits = [learn(run, designs, (n, p, k), np.zeros(1), shared_noise=shared_noise) for k in sizes]
        return Samples(np.column_stack([fit.risk[:, 0, 0] for fit in fits]))

    def predict(noise: Callable[[int], float] = lambda k: NOISE, per_bag: Callable[[int], int] = lambda k: k) -> Array:
        return np.array(
            [
                theory.aggregate_risk_finite(n=n, p=p, bag_size=per_bag(k), rho=0.0, noise_var=noise(k)).total
                for k in sizes
            ]
        )

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "limit of large n and p": lambda: np.array([NOISE * p / (n / k - p) for k in sizes]),
            "noise of a mean": lambda: predict(noise=lambda k: NOISE / k),
            "bags of one": lambda: predict(per_bag=lambda k: 1),
        },
        counterexamples={"noise shared in bags": lambda: measure(shared_noise=True)},
    )


@PAPER.claim(
    "instance-risk",
    statement=r"""At any n and p the instance loss learns $\theta / k$ on average, with a risk that follows from moments
    of a matrix beta variable and tends to $(1 - \frac1k)^2 r^2 + \frac{p}{n - p} [\frac{\sigma^2}{k} + \frac{k -
    1}{k^2} r^2]$; Laplace noise on mean labels, of scale $R / (k \epsilon)$, adds $\frac{2 R^2}{k \epsilon^2}$ to
    $\sigma^2$.""",
    source="risk of the instance loss; exact at finite size, derived here",
    agreement=MonteCarlo(resolution=0.05),
    controls=(
        "limit of large n and p",
        "bias not squared",
        "signal adds no variance",
        "noise of single labels",
        "noise that does not shrink with k",
        "bags of similar labels",
    ),
)
def instance_risk(run: Run) -> Trial:
    """Minimise the instance loss on many designs of one size, with and without privacy, in bags of several sizes."""
    n, p = 16, 4
    designs = run.size("designs", quick=20_000, standard=60_000, full=10**6)

    def measure(alike: bool = False) -> Samples:
        fits = [learn(run, designs, (n, p, k), np.ones(1), 1 / (BUDGETS * k), alike=alike) for k in BAGS]
        return Samples(np.stack([[fit.risk[:, 0], fit.overlap[:, 0]] for fit in fits], axis=2).transpose(1, 0, 2, 3))

    def predict(risks: Array | None = None) -> Array:
        found = instance_risks(n, p, label_noise(BUDGETS)) if risks is None else risks
        return np.array([found, np.broadcast_to(1 / np.array(BAGS, dtype=float)[:, None], found.shape)])

    k = np.array(BAGS, dtype=float)[:, None]

    def limit() -> Array:
        found = theory.aggregate_risk(n=n, p=p, bag_size=k, rho=1.0, signal=SIGNAL, noise_var=label_noise(BUDGETS))
        return predict(found.total)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "limit of large n and p": limit,
            "bias not squared": lambda: predict(predict()[0] + SIGNAL * (1 - 1 / k) / k),
            "signal adds no variance": lambda: predict(predict()[0] - SIGNAL * p / (n - p) * (k - 1) / k**2),
            "noise of single labels": lambda: predict(instance_risks(n, p, k * label_noise(BUDGETS))),
            "noise that does not shrink with k": lambda: predict(instance_risks(n, p, unshrunk_noise(BUDGETS))),
        },
        counterexamples={"bags of similar labels": lambda: measure(alike=True)},
        scale=lambda: np.array([predict()[0], np.ones((len(BAGS), len(BUDGETS)))]),  # shares of theta are of one theta
    )


@PAPER.claim(
    "one-feature",
    statement=r"""With one feature the parameter is $\frac{B}{B + \rho (1 - B)} \theta$ and noise, B beta distributed
    with parameters m/2 and (n - m)/2, at any n and any $\rho$: scatter between and within bags are independent.""",
    source="law of the minimiser; derived here",
    agreement=MonteCarlo(resolution=0.03),
    controls=("limit of large n and p", "n degrees of freedom within bags", "noise of a mean", "noise shared in bags"),
)
def one_feature(run: Run) -> Trial:
    """Learn one parameter from few samples many times, in bags of two and of three."""
    n, sizes, weights = 12, (2, 3), np.array([0.1, 0.4, 0.8])
    designs = run.size("designs", quick=40_000, standard=200_000, full=10**6)

    def measure(shared_noise: bool = False) -> Samples:
        fits = [learn(run, designs, (n, 1, k), weights, shared_noise=shared_noise) for k in sizes]
        return Samples(
            np.stack([[fit.risk[..., 0], fit.overlap[..., 0]] for fit in fits], axis=2).transpose(1, 0, 2, 3)
        )

    def predict(noise: Callable[[int], float] = lambda k: NOISE, more: int = 0) -> Array:
        found = [
            [
                theory.aggregate_risk_finite(
                    n=n + more * n // k, p=1, bag_size=k + more, rho=r, signal=SIGNAL, noise_var=noise(k)
                )
                for r in weights
            ]
            for k in sizes
        ]
        risk, bias = (np.array([[getattr(each, part) for each in row] for row in found]) for part in ("total", "bias"))
        return np.array([risk, 1 - np.sqrt(bias / SIGNAL)])

    def limit() -> Array:
        k = np.array(sizes)[:, None]
        found = theory.aggregate_risk(n=n, p=1, bag_size=k, rho=weights, signal=SIGNAL, noise_var=NOISE)
        return np.array([found.total, 1 - np.sqrt(found.bias / SIGNAL)])

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "limit of large n and p": limit,
            "n degrees of freedom within bags": lambda: predict(more=1),
            "noise of a mean": lambda: predict(noise=lambda k: NOISE / k),
        },
        counterexamples={"noise shared in bags": lambda: measure(shared_noise=True)},
    )
