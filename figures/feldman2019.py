"""Feldman 2020: what a singleton is worth, and what it costs not to fit it."""

from typing import Any

import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, reference, simulation, theory
from paper_checks.claim import Run
from simulations import generalization as sim
from theory import generalization


@figure(
    "feldman2019.posterior_frequency",
    caption=r"""Mean frequency of an item seen l times, for Zipf's law, equal frequencies, and ten frequent items
    beside a tail of frequency 1/n. Lines: the ratio of moments tau_l. Markers: total frequency of such items over their
    number, each averaged over samples that were drawn. The grey line is l, what a frequency would be if it
    were that of the sample. Singletons of the two long tails stand for a frequency of order 1/n, and so are worth
    fitting.""",
)
def posterior_frequency(run: Run) -> Drawing:
    """Draw samples from three priors, and weigh items by how often they were seen."""
    n, replicates = run.size("sample, replicates", quick=(300, 2000), standard=(300, 20_000), full=(5000, 20_000))
    tail = int(0.3 * n)
    priors = (
        ("Zipf", generalization.zipf_frequencies(n)),
        ("equal", np.full(n, 1 / n)),
        ("two levels", np.concatenate([np.full(10, (1 - tail / n) / 10), np.full(tail, 1 / n)])),
    )
    seen = np.arange(6)
    image, ((axes,),) = canvas()
    entries: list[tuple[Any, str]] = [(reference(axes, seen, seen), "frequency in the sample")]
    numbers: dict[str, Any] = {"seen": seen}
    for k, (name, alpha) in enumerate(priors):
        rng = run.rng(name)
        counts = rng.multinomial(n, alpha, size=replicates)
        hit = counts[:, None] == seen[:, None]
        mass, number = hit @ alpha, hit.sum(axis=-1)
        ratio = mass.mean(axis=0) / number.mean(axis=0)
        error = (mass - ratio * number).std(axis=0) / np.sqrt(replicates) / number.mean(axis=0)
        predicted = np.array([generalization.posterior_frequency(alpha, n, int(ell)) for ell in seen])
        line = theory(axes, seen, n * predicted, k)
        entries.append(((line, simulation(axes, seen, n * ratio, k, error=n * error)), name))
        numbers |= {f"line_{k}": n * predicted, f"marks_{k}": n * ratio, f"error_{k}": n * error}
    axes.set(xlabel=r"occurrences $\ell$", ylabel=r"$n\,\tau_\ell$", ylim=(-0.2, 8))
    legend(axes, entries, loc="upper left")
    return Drawing(image, numbers)


@figure(
    "feldman2019.excess_error",
    caption=r"""Error above the optimum of learners that leave singletons unfitted, N = 400 items under Zipf's law and n
    = 300 draws with five labels. Left: against the probability q_1 of mislabelling a singleton. Right: against the most
    that singletons are memorised; the cost ends where each is fitted, at memorisation 1 - 1/k. Lines: q_1 tau_1 E|S_1|;
    markers: learners run on drawn samples, with standard errors.""",
)
def excess_error(run: Run) -> Drawing:
    """Run learners with different misfits on drawn samples."""
    replicates = run.size("replicates", quick=1000, standard=10_000, full=100_000)
    items, n, k = 400, 300, 5
    alpha = generalization.zipf_frequencies(items)
    misfits, caps = np.linspace(0, 1, 6), np.linspace(0, 1 - 1 / k, 5)
    image, ((left, right),) = canvas(1, 2, share_y=True)

    def run_learner(misfit: float, name: str) -> tuple[float, float]:
        found = sim.draw_errors(run.keys(replicates, name), alpha, n=n, num_labels=k, misfit=[misfit])
        excess = np.asarray(found.learner - found.all)
        return float(excess.mean()), float(excess.std() / np.sqrt(replicates))

    by_misfit = np.array([run_learner(float(q), f"misfit {q:.3f}") for q in misfits])
    by_cap = np.array([run_learner(float(max(0, 1 - 1 / k - m)), f"cap {m:.3f}") for m in caps])
    lines = (
        np.array([generalization.excess_error(alpha, n, [q]) for q in misfits]),
        np.array(
            [generalization.memorization_limited_excess(alpha, n, num_labels=k, max_memorization=m) for m in caps]
        ),
    )
    for axes, x, y, marks, series in ((left, misfits, lines[0], by_misfit, 0), (right, caps, lines[1], by_cap, 2)):
        line = theory(axes, x, y, series)
        entry = (line, simulation(axes, x, marks[:, 0], series, error=marks[:, 1]))
        legend(axes, [(entry, "theory, learners run")], loc="upper left" if axes is left else "upper right")
    left.set(xlabel="misfit of singletons $q_1$", ylabel="error above the optimum")
    right.set(xlabel="memorisation $m$")
    return Drawing(
        image,
        {"misfits": misfits, "line_misfit": lines[0], "marks_misfit": by_misfit}
        | {"caps": caps, "line_cap": lines[1], "marks_cap": by_cap},
    )


@figure(
    "feldman2019.zipf_cost",
    caption=r"""Error caused by fitting no singleton, against the number of items N = n under Zipf's law. Black: the
    limit (exp(-1/H_N) - exp(-n/H_N)) / H_N. Markers: samples drawn, with standard errors. The cost falls like 1 / log N
    only, and is still 8 % at fifty thousand items; the grey line is 1 / H_N.""",
)
def zipf_cost(run: Run) -> Drawing:
    """Draw samples of growing size, and weigh their singletons."""
    largest, replicates = run.size("log2 N, replicates", quick=(13, 100), standard=(16, 200), full=(20, 400))
    fine = np.unique(np.geomspace(16, 2**largest, 60).astype(int))
    limit = np.array([generalization.zipf_singleton_limit(int(N), int(N)).cost for N in fine])
    harmonic = np.array([np.sum(1 / np.arange(1, N + 1)) for N in fine])
    marked, found = 2 ** np.arange(4, largest + 1, 3), []
    for N in marked:
        draws = sim.draw_errors(
            run.keys(replicates, f"{N}"), 1 / np.arange(1, N + 1), n=int(N), num_labels=2, misfit=[1.0]
        )
        mass = np.asarray(draws.mass)
        found.append([mass.mean(), mass.std() / np.sqrt(replicates)])
    marks = np.array(found)
    image, ((axes,),) = canvas()
    guide = reference(axes, fine, 1 / harmonic)
    line = theory(axes, fine, limit)
    drawn = simulation(axes, marked, marks[:, 0], error=marks[:, 1])
    axes.set(xscale="log", xlabel="items $N$ = draws $n$", ylabel="cost of fitting no singleton", ylim=(0, None))
    legend(axes, [((line, drawn), "limit, samples"), (guide, "$1 / H_N$")])
    return Drawing(image, {"fine": fine, "limit": limit, "marked": marked, "marks": marks, "guide": 1 / harmonic})
