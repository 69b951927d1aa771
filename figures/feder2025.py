"""Feder, Urbanke & Fogel 2025: what a mixture over a class pays, and what it does not pay for."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import generalization as sim
from theory import generalization

TRUTH = 0.3


@figure(
    "feder2025.class_size",
    caption=r"""Regret of 50 tosses of a coin (0.3) against the number M of other coins in the class, drawn at random.
    The truth has weight 1/10, and the others share the rest. Line: sum over the number of heads, for one draw. Markers:
    Bayesian predictors run toss by toss, mean over draws with standard deviations, over draws, as bars. Dotted: the
    weight of the truth, ln 10, which bounds every draw. Dashed: ln(M + 1), the bound for equal weights.""",
)
def class_size(run: Run) -> Drawing:
    """Run predictors of classes of several sizes."""
    draws = run.size("draws", quick=20, standard=100, full=400)
    sizes = np.array(
        run.size("M", quick=[1, 3, 10, 30, 100, 300], standard=[1, 10, 100, 1000], full=[1, 10, 100, 10**4])
    )
    n, rng = 50, run.rng()
    line, found = [], []
    for size in sizes:
        coins = np.column_stack([np.full(draws, TRUTH), rng.uniform(0.001, 0.999, (draws, size))])
        weights = np.concatenate([[0.1], np.full(size, 0.9 / size)])
        line.append(n * generalization.mixture_regret_bernoulli(TRUTH, coins[0], weights, n))
        found.append(
            sim.predict_merged_sequences(np.full(draws, TRUTH), coins, np.tile(weights, (draws, 1)), n).sum(axis=1)
        )
    mean, spread = np.mean(found, axis=1), np.std(found, axis=1)
    image, ((axes,),) = canvas()
    handles = (theory(axes, sizes, line), simulation(axes, sizes, mean, error=spread))
    weight = reference(axes, sizes[[0, -1]], np.full(2, np.log(10)), linestyle=":")
    uniform = reference(axes, sizes, np.log(sizes + 1), linestyle="--")
    axes.set(xscale="log", xlabel="number of other models $M$", ylabel="regret $n R_n$ (nats)", ylim=(0, 6))
    entries: list[tuple[Any, str]] = [(handles[0], "one draw"), (handles[1], "all draws, run")]
    legend(axes, [*entries, (weight, "weight of the truth"), (uniform, "ln(M + 1)")], loc="upper left")
    return Drawing(
        image,
        {"sizes": sizes, "line": np.array(line), "first": np.array(found)[:, 0], "all": np.array(found), "mean": mean},
    )


@figure(
    "feder2025.one_parameter",
    caption=r"""Regret of n tosses of a coin (0.3) under three Beta priors. Lines: the sum over the number of heads.
    Markers: the predictor run on all sequences, quadrature points of the prior for a class. Dotted: half a logarithm
    of n, with its constant, to which each tends.""",
)
def one_parameter(run: Run) -> Drawing:
    """Run predictors of all coins toss by toss."""
    most = run.size("tosses", quick=128, standard=512, full=1024)
    marks = 2 ** np.arange(int(np.log2(most)) + 1)
    sizes = np.unique(np.geomspace(1, most, 60).astype(int))
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"sizes": sizes, "marks": marks}
    for series, (a, b) in enumerate(((1.0, 1.0), (0.5, 0.5), (4.0, 2.0))):
        line = np.array([m * generalization.beta_mixture_regret(TRUTH, int(m), a=a, b=b) for m in sizes])
        on_marks = np.array([m * generalization.beta_mixture_regret(TRUTH, int(m), a=a, b=b) for m in marks])
        coins, weights = sim.beta_coins(a, b, most)
        found = sim.predict_merged_sequences([TRUTH], [coins], [weights], most)[0].cumsum()[marks - 1]
        tail = sizes[sizes >= 4]
        limit = tail * generalization.beta_mixture_regret_asymptotic(TRUTH, tail, a=a, b=b)
        guide = reference(axes, tail, limit, linestyle=":")
        entries.append(
            ((theory(axes, sizes, line, series), simulation(axes, marks, found, series)), f"Beta({a:g}, {b:g})")
        )
        numbers |= {f"line_{series}": line, f"on_marks_{series}": on_marks, f"found_{series}": found}
    axes.set(xscale="log", xlabel="tosses $n$", ylabel="regret $n R_n$ (nats)")
    legend(axes, [*entries, (guide, "slope 1/2 in ln n")], loc="upper left")
    return Drawing(image, numbers)


@figure(
    "feder2025.ball",
    caption=r"""Bound on the regret a toss by balls of growing radius around the truth, a coin of 0.3, for 101 coins
    with equal weights. Lines: radius less the logarithm of the ball's weight over n, at the radius of every coin.
    Circles: the minimum. Dotted, in the same order: the regret of the predictor, run toss by toss.""",
)
def ball(run: Run) -> Drawing:
    """Compare the bound at every radius with the regret."""
    coins = np.linspace(0.005, 0.995, 101)
    weights = np.full(coins.size, 1 / coins.size)
    distance = np.asarray(generalization.bernoulli_kl(TRUTH, coins))
    radii = np.sort(distance)
    mass = np.arange(1, coins.size + 1) / coins.size
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {"radii": radii}
    for series, n in enumerate((10, 100, 1000)[: run.size("curves", quick=2, standard=3, full=3)]):
        values = radii - np.log(mass) / n
        least = generalization.kl_ball_bound(distance, weights, n)
        regret = sim.predict_merged_sequences([TRUTH], [coins], [weights], n).mean()
        line = theory(axes, radii, values, series)
        mark = theory(axes, [least.radius], [least.value], series, marker="o", linestyle="none", markersize=6)
        reference(axes, radii[[1, -1]], [regret, regret], color=line.get_color(), linestyle=":")
        entries.append(((line, mark), f"n = {n}"))
        numbers |= {f"values_{n}": values, f"least_{n}": np.array(least), f"regret_{n}": regret}
    axes.set(xscale="log", yscale="log", xlim=(radii[1], 1.2), xlabel=r"radius $\epsilon$ (nats)", ylabel="nats a toss")
    legend(axes, entries, loc="upper left")
    return Drawing(image, numbers)
