"""Classical bounds beside what they bound: tails of coins, risks of posteriors, gaps of means, counts of labellings."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import generalization as sim
from simulations.replicates import over_replicates
from theory import generalization


@figure(
    "classic.tails",
    caption=r"""Probability that the share of heads among n coins of bias p = 0.3 exceeds it by t = 0.2 or more.
    Lines: exact; Chernoff's, Bennett's (range 1 - p), Bernstein's (range 1) and Hoeffding's bound. Markers: coins
    tossed, with standard errors, as far as that sees the tail. All exponents are rates in n; Chernoff's alone is the
    true one, and misses a factor of order 1 / sqrt(n).""",
)
def tails(run: Run) -> Drawing:
    """Toss coins, and bound what is seen."""
    tosses = run.size("tosses", quick=200_000, standard=2_000_000, full=50_000_000)
    p, t = 0.3, 0.2
    n = np.arange(10, 201, 10)
    exact = generalization.binomial_tail(n, p, t)
    bounds = {
        "Chernoff": generalization.chernoff_tail(n, p, t),
        "Bennett": generalization.bennett_tail(n, t, variance=p * (1 - p), bound=1 - p),
        "Bernstein": generalization.bernstein_tail(n, t, variance=p * (1 - p)),
        "Hoeffding": generalization.hoeffding_tail(n, t),
    }
    tossed = n[n <= 80]
    heads = run.rng("tosses").binomial(tossed, p, (tosses, tossed.size))
    share = np.mean(heads >= np.round(tossed * (p + t)), axis=0)
    error = np.sqrt(share * (1 - share) / tosses)
    image, ((axes,),) = canvas()
    line = theory(axes, n, exact, 0)
    entries: list[tuple[Any, str]] = [((line, simulation(axes, tossed, share, 0, error=error)), "exact, tossed")]
    numbers: dict[str, Any] = {"n": n, "exact": exact, "tossed": tossed, "share": share, "error": error}
    for k, (name, bound) in enumerate(bounds.items(), start=1):
        entries.append((theory(axes, n, bound, k), name))
        numbers[name.lower()] = bound
    axes.set(xlabel="coins $n$", ylabel=r"$P(\hat p \geq p + t)$", yscale="log")
    legend(axes, entries, loc="lower left")
    return Drawing(image, numbers)


@figure(
    "classic.pac_bayes",
    caption=r"""Risk against training risk for n examples, at the training set, posterior and level on which each
    bound is closest to failing. Left: the bounds by Seeger, McAllester and Catoni (C = 2) at n = 1000, KL = 5 nats and
    delta = 0.05. Right: markers are problems of n = 4 examples with four points and three hypotheses, all training sets
    enumerated; the vertical axis is what Seeger's bound says there. All lie above the diagonal: no risk exceeds its
    bound.""",
)
def pac_bayes(run: Run) -> Drawing:
    """Evaluate bounds on a grid, and try one on random small problems."""
    draws = run.size("problems", quick=60, standard=300, full=3000)
    risk = np.linspace(0, 0.6, 121)
    seeger = generalization.pac_bayes_seeger(risk, 5.0, 1000, delta=0.05)
    mcallester = generalization.pac_bayes_mcallester(risk, 5.0, 1000, delta=0.05)
    catoni = generalization.pac_bayes_catoni(risk, 5.0, 1000, delta=0.05, c=2.0)
    image, ((left, right),) = canvas(1, 2)
    entries = [
        (theory(left, risk, curve, k), name)
        for k, (name, curve) in enumerate((("Seeger", seeger), ("McAllester", mcallester), ("Catoni, $C=2$", catoni)))
    ]
    entries.append((reference(left, risk, risk), "training risk"))
    left.set(xlabel=r"training risk $\hat L_Q$", ylabel=r"bound on $L_Q$")
    legend(left, entries, loc="upper left")
    rng = run.rng("problems")
    measured, bounded = [], []
    for _ in range(draws):
        problem = sim.FiniteProblem(
            jnp.asarray(rng.dirichlet(np.ones(4))),
            jnp.asarray((rng.uniform(size=(3, 4)) < 0.4).astype(float)),
            jnp.asarray(rng.dirichlet(np.ones(3))),
            jnp.asarray(0.0),
        )
        worst = sim.worst_posterior(problem, 4, criterion="seeger", max_level=0.5)
        if not np.isfinite(worst.excess):
            continue
        training, kl, delta = (float(part) for part in (worst.training_risk, worst.kl, worst.delta))
        measured.append(float(worst.risk))
        bounded.append(float(generalization.pac_bayes_seeger(training, kl, 4, delta=delta)))
    simulation(right, measured, bounded, 0)
    reference(right, [0, 1], [0, 1])
    right.set(xlabel="risk $L_Q$ of the hardest posterior", ylabel="Seeger's bound", xlim=(0, 1.02), ylim=(0, 1.02))
    return Drawing(
        image,
        {
            "risk": risk,
            "seeger": seeger,
            "mcallester": mcallester,
            "catoni": catoni,
            "measured": np.array(measured),
            "bounded": np.array(bounded),
        },
    )


@figure(
    "classic.location",
    caption=r"""Gap between population and training loss when the mean of n Gaussian points in four dimensions (standard
    deviation 0.7) is released, against n. Black line: 2 sigma^2 d / n; markers: losses measured, with standard errors.
    Above it the two bounds by the information on one point. They fall as n^(-1/2), the gap as 1/n: what they lose grows
    with the square root of the sample. The information on the whole sample is infinite, and its bound with it.""",
)
def location(run: Run) -> Drawing:
    """Release means of drawn samples, and measure losses in training and on fresh points."""
    replicates = run.size("replicates", quick=4000, standard=100_000, full=1_000_000)
    d, sigma = 4, 0.7
    n = np.unique(np.round(np.geomspace(2, 400, 40)).astype(int))
    marked = (2, 5, 12, 30, 80)
    gap = generalization.gaussian_location_gap(n, d, sigma=sigma)
    exact, quadratic = (
        generalization.gaussian_location_bound(n, d, sigma=sigma, form=form) for form in ("cgf", "quadratic")
    )
    means, errors = [], []
    for size in marked:
        losses = over_replicates(
            sim.location_losses, run.keys(replicates, f"{size}"), size, d, jnp.asarray(sigma), jnp.asarray(0.0)
        )
        found = losses[:, 1] - losses[:, 0]
        means.append(found.mean())
        errors.append(found.std() / np.sqrt(replicates))
    image, ((axes,),) = canvas()
    line = theory(axes, n, gap, 0)
    entries: list[tuple[Any, str]] = [((line, simulation(axes, marked, means, 0, error=errors)), "gap, measured")]
    entries += [
        (theory(axes, n, exact, 1), "bound, exact cumulants"),
        (theory(axes, n, quadratic, 2), "bound, quadratic"),
    ]
    axes.set(xlabel="points $n$", ylabel="gap", xscale="log", yscale="log")
    legend(axes, entries, loc="lower left")
    return Drawing(
        image,
        {
            "n": n,
            "gap": gap,
            "cgf": exact,
            "quadratic": quadratic,
            "marked": np.array(marked),
            "mean": np.array(means),
            "error": np.array(errors),
        },
    )


@figure(
    "classic.cover",
    caption=r"""Share of the 2^N labellings of N points in general position in R^d that a hyperplane through the origin
    realises, against N / d. Lines: Cover's count. Markers: labellings found by turning hyperplanes through every d - 1
    of the points, for d = 3 (circles) and d = 5 (squares). At N = 2d the share is one half in every dimension, and the
    step there sharpens as d grows.""",
)
def cover(run: Run) -> Drawing:
    """Count labellings by formula and by hyperplanes."""
    largest = run.size("points", quick=14, standard=18, full=22)
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = []
    numbers: dict[str, Any] = {}
    for k, d in enumerate((3, 5, 20, 100)):
        N = np.unique(np.round(np.linspace(0.5, 4, 141) * d).astype(int))
        N = N[N > 0]
        share = np.array([generalization.cover_count(int(m), d) / 2 ** int(m) for m in N])
        line = theory(axes, N / d, share, k)
        numbers |= {f"ratio_{d}": N / d, f"share_{d}": share}
        if d <= 5:
            counted = np.arange(d, min(4 * d, largest) + 1)
            points = run.rng(f"points {d}").standard_normal((largest + 1, d))
            found = np.array([sim.count_dichotomies(points[:m]) / 2 ** int(m) for m in counted])
            entries.append(((line, simulation(axes, counted / d, found, k)), f"$d={d}$, counted"))
            numbers |= {f"counted_{d}": counted / d, f"found_{d}": found}
        else:
            entries.append((line, f"$d={d}$"))
    axes.set(xlabel="$N/d$", ylabel="share of labellings")
    legend(axes, entries, loc="upper right")
    return Drawing(image, numbers)
