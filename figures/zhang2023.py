"""Zhang, Frei and Bartlett 2024: training of linear attention, and its risk on prompts unlike those of training."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations.in_context import layer_training
from simulations.in_context.layer_training import Population
from simulations.in_context.linear_layer import AVERAGED, LinearLayer, two_block_layer
from simulations.in_context.populations import gaussian_moments, random_covariance_moments
from simulations.in_context.prompt_risks import layer_risk, ridge_risk
from simulations.replicates import over_replicates
from theory import in_context

Array = NDArray[np.float64]

D = 3
SIGMA = 0.4
THETA = np.eye(D) / D**0.25


def _train(prompts: Population, times: Array) -> layer_training.Path:
    start = two_block_layer(jnp.asarray(SIGMA * THETA @ THETA.T), SIGMA)
    return layer_training.gradient_flow(start, prompts, times=times)


def _trained(prompts: Population) -> LinearLayer:
    path = _train(prompts, np.array([1.0, 500.0]))
    return LinearLayer(path.layer.value[-1], path.layer.key_query[-1])


def _population(cov: Array, n: float) -> Population:
    return gaussian_moments(n=n, cov_x=cov, cov_w=np.eye(len(cov)), attention=AVERAGED)


@figure(
    "zhang2023.training_curve",
    caption=r"""Training of linear attention on prompts of N examples, isotropic inputs, d = 3. Left: loss; right: the
    coefficient c of the learner c x_q.X^T y / N. Lines: logistic closed form; markers: gradient descent in all
    parameters at rate 0.05 on the exact population loss (no randomness enters). Horizontal grey lines: limits. From
    the wrong sign of the first weights (last series, N = 10) the layer falls into the saddle at zero and learns
    nothing.""",
)
def training_curve(run: Run) -> Drawing:
    """Descend from suitable starts, and from one of the wrong sign."""
    rate = run.size("learning rate", quick=0.05, standard=0.02, full=0.005)
    t, times = np.linspace(0, 5, 201), np.arange(0.0, 5.1, 0.5)
    image, ((left, right),) = canvas(1, 2, width=4.0)
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"t": t, "times": times}
    for k, (n, sign) in enumerate(((2, 1), (10, 1), (50, 1), (10, -1))):
        flow = in_context.isotropic_gradient_flow(t, dim=D, variance=1.0, n_train=n, init_scale=SIGMA, sign=sign)
        prompts = _population(np.eye(D), n)
        start = two_block_layer(jnp.asarray(sign * SIGMA * THETA @ THETA.T), SIGMA)
        path = layer_training.gradient_descent(start, prompts, rates=[rate], times=times)
        layers = [LinearLayer(path.value[0, i], path.key_query[0, i]) for i in range(times.size)]
        loss = [float(layer_training.half_error(layer, prompts)) for layer in layers]
        coefficient = np.asarray(path.value[0, :, D, D] * path.key_query[0, :, 0, 0])
        limit = in_context.gradient_flow_limit(np.eye(D), n_train=n)
        if sign == 1:
            reference(left, [0, 5], [limit.loss] * 2)
            reference(right, [0, 5], [limit.preconditioner[0, 0]] * 2)
        label = f"$N = {n}$" + (", wrong sign" if sign < 0 else "")
        entries.append(((theory(left, t, flow.loss, k), simulation(left, times, loss, k)), label))
        theory(right, t, flow.coefficient, k)
        simulation(right, times, coefficient, k)
        tag = f"{n}_{'plus' if sign == 1 else 'minus'}"
        numbers |= {f"loss_theory_{tag}": flow.loss, f"loss_{tag}": loss}
        numbers |= {f"coefficient_theory_{tag}": flow.coefficient, f"coefficient_{tag}": coefficient}
    left.set(xlabel="time $t$", ylabel="loss $L$", ylim=(0, 1.9))
    right.set(xlabel="time $t$", ylabel="coefficient $c$")
    legend(right, entries, loc="lower right", bbox_to_anchor=(1.0, 0.19), ncols=2)
    return Drawing(image, numbers)


@figure(
    "zhang2023.test_length",
    caption=r"""Risk above the label noise s2 = 0.5 on prompts of M examples, for layers trained on noiseless prompts of
    N, d = 3, tasks and inputs standard normal. Lines: closed form, averaged over tasks; markers: trained layers on
    sampled prompts, bars are standard errors. The risk falls as 1/M to a plateau, the bias of order 1/N^2 (dotted
    grey). Diamonds: the Bayes estimator, ridge regression with penalty s2.""",
)
def test_length(run: Run) -> Drawing:
    """Sample prompts of several lengths for layers trained at three."""
    s2 = 0.5
    lengths = np.array(
        run.size("M", quick=(2, 8, 32, 128), standard=(2, 4, 8, 16, 32, 64, 128), full=2 ** np.arange(11))
    )
    replicates = run.size("replicates", quick=48, standard=128, full=512)
    prompts = run.size("prompts a replicate", quick=512, standard=2048, full=8192)
    m = np.unique(np.geomspace(1, 1.5 * lengths[-1], 60).astype(int))
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"M": m, "measured_M": lengths}

    def averaged(n: int, length: float) -> float:
        """Risk averaged over tasks: a quadratic form of the task, so that unit tasks do."""
        parts = [
            in_context.in_context_risk(w, cov=np.eye(D), n_train=n, n_test=length, noise_var=s2) for w in np.eye(D)
        ]
        still = in_context.in_context_risk(np.zeros(D), cov=np.eye(D), n_train=n, n_test=length, noise_var=s2).total
        return still + sum(part.total - still for part in parts) - s2

    def measured(function: Any, *options: Any) -> tuple[Array, Array]:
        found = np.stack([function(int(length), *options) for length in lengths]) - s2
        return found.mean(axis=1), found.std(axis=1, ddof=1) / np.sqrt(replicates)

    def of_layer(length: int, layer: LinearLayer) -> Array:
        roots, keys = (jnp.eye(D), jnp.eye(D)), run.keys(replicates, f"{length}")
        return over_replicates(layer_risk, keys, layer, roots, None, jnp.array(s2), length, prompts, 2, AVERAGED)

    def of_bayes(length: int) -> Array:
        keys = run.keys(replicates, f"bayes {length}")
        return over_replicates(ridge_risk, keys, jnp.array(s2), jnp.array(s2), length, D, prompts)

    for k, n in enumerate((5, 20, 100)):
        line = [averaged(n, int(length)) for length in m]
        mean, error = measured(of_layer, _trained(_population(np.eye(D), n)))
        reference(axes, [lengths[-1] / 8, m[-1]], [averaged(n, np.inf)] * 2, linestyle=":")
        marks = simulation(axes, lengths, mean, k, error=error)
        entries.append(((theory(axes, m, line, k), marks), f"trained at $N = {n}$"))
        numbers |= {f"theory_{n}": line, f"mean_{n}": mean, f"error_{n}": error, f"plateau_{n}": averaged(n, np.inf)}
    mean, error = measured(of_bayes)
    entries.append((simulation(axes, lengths, mean, 3, error=error), "Bayes"))
    numbers |= {"bayes_mean": mean, "bayes_error": error}
    axes.set(xscale="log", yscale="log", xlabel="examples in the test prompt $M$", ylabel="risk above $s_2$")
    legend(axes, entries, loc="lower left")
    return Drawing(image, numbers)


@figure(
    "zhang2023.covariate_shift",
    caption=r"""Excess risk, over the signal, when the inputs of the prompt are scaled by c at test time, N = M. Lines:
    closed form; solid for prompts of infinite length, dashed for N = M = 20, dash-dotted for infinite length with
    an unscaled query. Markers: trained layers on sampled prompts at N = M = 20 and on exact averages at infinite
    length; bars are standard errors. No length cures the shift, except at c = 1.""",
)
def covariate_shift(run: Run) -> Drawing:
    """Scale the inputs of prompts for layers trained at a finite and at infinite length."""
    replicates = run.size("replicates", quick=64, standard=256, full=1024)
    prompts = run.size("prompts a replicate", quick=512, standard=2048, full=8192)
    cov, w = np.diag([1.4, 1.0, 0.6]), np.array([1.0, -1.0, 0.5])
    power, length = w @ cov @ w, 20
    c, scales = np.linspace(0.05, 1.6, 120), np.array([0.25, 0.5, 0.75, 1.0, 1.25, 1.5])

    def predict(scale: float, n: float, scaled_query: bool = True) -> float:
        query = scale**2 * cov if scaled_query else cov
        risk = in_context.in_context_risk(w, cov=cov, n_train=n, n_test=n, cov_context=scale**2 * cov, cov_query=query)
        return risk.total / power

    infinite, finite = _trained(_population(cov, np.inf)), _trained(_population(cov, length))

    def exact(scale: float, scaled_query: bool) -> float:
        query = scale**2 * cov if scaled_query else cov
        moments = gaussian_moments(n=np.inf, cov_x=scale**2 * cov, task=w, cov_query=query, attention=AVERAGED)
        return float(moments.squared_error(infinite)) / power

    def sampled(scale: float) -> Array:
        root = jnp.asarray(scale * np.sqrt(cov))
        keys = run.keys(replicates, f"{scale}")
        return over_replicates(
            layer_risk, keys, finite, (root, root), jnp.asarray(w), jnp.array(0.0), length, prompts, 4, AVERAGED
        )

    found = np.stack([sampled(s) for s in scales]) / power
    mean, error = found.mean(axis=1), found.std(axis=1, ddof=1) / np.sqrt(replicates)
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"c": c, "scales": scales, "finite_mean": mean, "finite_error": error}
    series = (
        (r"$N, M \to \infty$", np.inf, True, [exact(s, True) for s in scales], None),
        ("$N = M = 20$", length, True, mean, error),
        (r"$N, M \to \infty$, query not scaled", np.inf, False, [exact(s, False) for s in scales], None),
    )
    for k, (label, n, scaled, marks, bars) in enumerate(series):
        line = [predict(s, n, scaled) for s in c]
        entries.append(((theory(axes, c, line, k), simulation(axes, scales, marks, k, error=bars)), label))
        numbers |= {f"theory_{k}": line, f"marks_{k}": marks}
    axes.set(xlabel="scale of the inputs $c$", ylabel=r"excess risk over $w^T \Lambda w$", ylim=(-0.1, 4))
    legend(axes, entries, loc="upper center")
    return Drawing(image, numbers)


@figure(
    "zhang2023.random_covariance",
    caption=r"""Loss of the trained layer over that of no prediction, against the length N of training prompts, d = 2.
    Black: one covariance for all prompts; the loss vanishes as 1/N. Others: every prompt has a diagonal covariance
    of its own with independent entries, exponential or uniform on (1/2, 3/2); the loss stays at a plateau (dotted
    grey). Lines: closed form; markers: gradient flow in all parameters on exact averages (no randomness enters).""",
)
def random_covariance(run: Run) -> Drawing:
    """Train on one covariance and on two random ones, at several prompt lengths."""
    d = 2
    lengths = np.array(
        run.size("N", quick=(2, 8, 32, 128), standard=(2, 4, 8, 16, 32, 64, 128), full=2 ** np.arange(1, 11))
    )
    n = np.unique(np.geomspace(1, 1.5 * lengths[-1], 60).astype(int))
    theta = np.eye(d) / d**0.25
    start = two_block_layer(jnp.asarray(SIGMA * theta @ theta.T), SIGMA)
    legendre = np.polynomial.legendre.leggauss(4)
    laws = (
        ("one covariance", (np.ones(1), np.ones(1)), (1.0, 1.0, 1.0)),
        ("exponential", np.polynomial.laguerre.laggauss(4), (1.0, 2.0, 6.0)),
        ("uniform", (1 + legendre[0] / 2, legendre[1] / 2), (1.0, 13 / 12, 5 / 4)),
    )
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"N": n, "trained_N": lengths}
    for k, (name, (nodes, weights), moments) in enumerate(laws):
        zero = d / 2 * moments[0]
        line = [in_context.random_covariance_limit(*moments, dim=d, n_train=int(m)).loss / zero for m in n]
        plateau = in_context.random_covariance_limit(*moments, dim=d, n_train=np.inf).loss / zero
        found = []
        for m in lengths:
            prompts = random_covariance_moments(n=int(m), dim=d, nodes=nodes, weights=weights)
            path = layer_training.gradient_flow(start, prompts, times=[1.0, 500.0])
            found.append(float(path.loss[-1]) / zero)
        if k:
            reference(axes, n[[0, -1]], [plateau, plateau], linestyle=":")
        entries.append(((theory(axes, n, line, k), simulation(axes, lengths, found, k)), name))
        numbers |= {f"theory_{k}": line, f"trained_{k}": found, f"plateau_{k}": plateau}
    axes.set(xscale="log", yscale="log", xlabel="examples in a training prompt $N$", ylabel="loss over that of zero")
    legend(axes, entries, loc="lower left")
    return Drawing(image, numbers)
