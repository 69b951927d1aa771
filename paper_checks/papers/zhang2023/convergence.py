"""How fast the flow converges: the Polyak-Lojasiewicz inequality along it, with its constants."""

from collections.abc import Callable

import numpy as np

from paper_checks.agreement import Bound
from paper_checks.claim import Run, Trial
from paper_checks.papers.zhang2023.paper import PAPER, Array, D, covariance, direction, population, train
from simulations.in_context import layer_training
from theory import in_context

EARLY = (1e-3, 0.1, 0.6, 3.0, 500.0)
LENGTH = 5


def _slow_paths(run: Run) -> list[tuple[float, Array, Array]]:
    """Draw initial scale, covariance and Theta of flows that start small, in one and in three dimensions."""
    rng = run.rng()
    return [(s, covariance(rng, d), direction(rng, d)) for s in (0.2, 0.4) for d in (1, 1, D, D)]


def _paths(run: Run, read: Callable[..., Array]) -> Array:
    found = []
    for scale, cov, theta in _slow_paths(run):
        found.append(read(train(population(cov, LENGTH), theta, times=EARLY, scale=scale)))
    return np.stack(found)


@PAPER.claim(
    "pl-bound",
    statement=r"""Along the flow $\|\nabla L\|^2 \geq \mu (L - L^*)$ with the constant $\mu$ of the paper.""",
    source="Polyak-Lojasiewicz inequality in the proof of theorem 4.1",
    agreement=Bound(side="lower"),
    controls=("without sigma squared", "rate near the minimum", "four times the constant"),
)
def pl_bound(run: Run) -> Trial:
    """Squared gradient over excess loss, both of all parameters, with the minimum taken from the end of the flow.

    In one dimension the ratio starts at 4 sigma^2 gamma lambda^2, at most four times the constant while sigma is small.
    """
    cases = _slow_paths(run)

    def constants() -> Array:
        return np.array(
            [in_context.pl_constant(cov, n_train=LENGTH, init_scale=s, theta=theta) for s, cov, theta in cases]
        )

    def ratios(path: layer_training.Path) -> Array:
        return np.asarray(path.slope[:-1] / (path.loss[:-1] - path.loss[-1]))

    def table(values: Array) -> Array:
        return np.repeat(values[:, None], len(EARLY) - 1, axis=1)

    return Trial(
        predict=lambda: table(constants()),
        measure=lambda: _paths(run, ratios),
        controls={
            "without sigma squared": lambda: table(constants() / np.array([s**2 for s, *_ in cases])),
            "rate near the minimum": lambda: table(np.array([4 * np.linalg.eigvalsh(c)[0] ** 2 for _, c, _ in cases])),
            "four times the constant": lambda: table(4 * constants()),
        },
    )


@PAPER.claim(
    "scalar-bound",
    statement=r"""Along the flow $u(t)^2 \geq \sigma^2 \|\Lambda \Theta\|_F^2 (2 - \sqrt d \sigma^2 \|\Gamma\|) / (2
    \sqrt d \|\Lambda\|^2)$: the layer keeps away from the saddle at zero.""",
    source="lemma in the proof of theorem 4.1",
    agreement=Bound(side="lower"),
    controls=("without the factor 2 in the denominator", "limit of u"),
)
def scalar_bound(run: Run) -> Trial:
    """Last value entry along the flows."""
    cases = _slow_paths(run)

    def table(values: list[float]) -> Array:
        return np.repeat(np.array(values)[:, None], len(EARLY), axis=1)

    def bounds() -> list[float]:
        found = [in_context.scalar_lower_bound(c, n_train=LENGTH, init_scale=s, theta=t) for s, c, t in cases]
        return [value**2 for value in found]

    def limits() -> list[float]:
        return [in_context.gradient_flow_limit(c, n_train=LENGTH).pv_scalar ** 2 for _, c, _ in cases]

    return Trial(
        predict=lambda: table(bounds()),
        measure=lambda: _paths(run, lambda path: np.asarray(path.layer.value[:, -1, -1] ** 2)),
        controls={
            "without the factor 2 in the denominator": lambda: 2 * table(bounds()),
            "limit of u": lambda: table(limits()),
        },
    )


@PAPER.claim(
    "pl-decay",
    statement=r"""Hence the excess loss decays exponentially, $L(t) - L^* \leq (L(0) - L^*) e^{-\mu t}$.""",
    source="linear convergence in the proof of theorem 4.1",
    agreement=Bound(side="upper"),
    controls=("rate near the minimum", "without sigma squared"),
)
def pl_decay(run: Run) -> Trial:
    """Excess loss over the excess at the first time, next to zero."""
    cases, times = _slow_paths(run), np.array(EARLY[1:-1]) - EARLY[0]

    def decay(rates: list[float]) -> Array:
        return np.exp(-np.outer(rates, times))

    def constants() -> list[float]:
        return [in_context.pl_constant(cov, n_train=LENGTH, init_scale=s, theta=theta) for s, cov, theta in cases]

    def measured(path: layer_training.Path) -> Array:
        return np.asarray((path.loss[1:-1] - path.loss[-1]) / (path.loss[0] - path.loss[-1]))

    return Trial(
        predict=lambda: decay(constants()),
        measure=lambda: _paths(run, measured),
        controls={
            "rate near the minimum": lambda: decay([4 * float(np.linalg.eigvalsh(c)[0]) ** 2 for _, c, _ in cases]),
            "without sigma squared": lambda: decay(
                [8 * mu / s**2 for mu, (s, *_) in zip(constants(), cases, strict=True)]
            ),
        },
    )
