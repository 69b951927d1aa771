"""Mixon, Parshall and Pi 2020: collapse onto class means comes first, the simplex last."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from figures.studio import Drawing, figure
from figures.style import canvas, legend, simulation, theory
from paper_checks.claim import Run
from simulations import neural_collapse as sim
from theory import neural_collapse as nc


@figure(
    "mixon2020.metrics",
    caption=r"""Collapse of free features under a linear head, from a small random start of size 1e-4. Left: singular
    values of the outputs; lines are the linearised flow, markers the full gradient flow of head, features and bias (no
    error bars: only the start is random). Right: the metrics NC1 (variability within classes over that between them),
    NC2 (distance of the class means from a simplex) and NC3 (distance of the head from the class means), likewise.
    While all grows as in the linearised flow, spread and misalignment vanish and the geometry is that of the start; the
    simplex comes when the modes saturate at sqrt(n), which the linearised flow knows nothing of, and then what is left
    of the start keeps NC1 and NC3 from falling further.""",
)
def metrics(run: Run) -> Drawing:
    """Integrate the flow, and take singular values and metrics of both flows."""
    k, n, d = run.size("classes, samples, dimension", quick=(4, 5, 6), standard=(6, 10, 12), full=(10, 50, 64))
    size, rng = 1e-4, run.rng()
    w0, h0 = size * rng.standard_normal((k, d)), size * rng.standard_normal((d, k * n))
    model = sim.feature_model([n] * k, dims=(d,), weight_decays=[0.0], feature_decay=0.0, bias=True)
    start = sim.Factors(jnp.asarray(h0), (jnp.asarray(w0),), jnp.full(k, 1 / k))
    growth = np.linspace(0.5, 18, 15)  # sqrt(n) t
    found = sim.gradient_flow(model, start, times=growth / np.sqrt(n), rate=float(k * n), observe=_observe)
    modes, *values = (np.asarray(part) for part in found)

    x = np.linspace(0.0, 18, 91)
    flow = nc.linearized_flow(w0, h0, x / np.sqrt(n))
    labels = np.repeat(np.arange(k), n)
    rows = [nc.nc_metrics(h, labels, w) for w, h in zip(flow.weights, flow.features, strict=True)]
    lines = [np.array([getattr(row, name) for row in rows]) for name in ("nc1_trace", "nc2_etf", "nc3")]
    strengths = np.linalg.svd(flow.weights @ flow.features, compute_uv=False)[:, : k - 1]

    image, ((left, right),) = canvas(1, 2)
    numbers: dict[str, Any] = {"x": x, "times": growth, "linear_modes": strengths, "modes": modes, "n": n}
    small = strengths < np.sqrt(n)
    for j in range(k - 1):
        theory(left, x[small[:, j]], strengths[small[:, j], j], j)
        simulation(left, growth, modes[:, j], j)
    entries: list[tuple[Any, str]] = []
    for series, (name, line, value) in enumerate(zip(("NC1", "NC2", "NC3"), lines, values, strict=True)):
        drawn, marks = theory(right, x, line, series), simulation(right, growth, value, series)
        entries.append(((drawn, marks), name))
        numbers |= {f"linear_{name}": line, name: value}
    left.set(yscale="log", xlabel=r"$\sqrt{n}\,t$", ylabel="singular value of the outputs")
    right.set(yscale="log", xlabel=r"$\sqrt{n}\,t$", ylabel="metric")
    legend(right, entries, loc="lower left")
    return Drawing(image, numbers)


def _observe(factors: sim.Factors, model: sim.FeatureModel) -> tuple[jax.Array, ...]:
    found = sim.collapse_metrics(factors.features, model.labels, factors.weights[0])
    singular = sim.product_singular_values(factors, model)[: model.num_classes - 1]
    return singular, found.nc1_trace, found.nc2_etf, found.nc3
