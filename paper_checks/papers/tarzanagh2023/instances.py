r"""Random inputs on which attention is trained, drawn until the limits of training are well conditioned.

How fast training approaches its limits depends on the inputs, and on plain Gaussian inputs it can be as slow as
:math:`t^{-0.02}`. What is needed is judged on the support vector machine of the inputs, solved here by nonnegative
least squares and so by neither side of a claim:

- every multiplier of a support token is at least a tenth of the largest,
- every other token keeps at least 3/2 of the margin,
- the rates at which deviations of the support margins decay in log time (eigenvalues of their Gram matrix times the
  multipliers, one of which is 1) lie between 0.5 and 20.

To be accepted often, queries are drawn around orthonormal ones, and so are the differences of each input's tokens.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from paper_checks.problems import frame

Array = NDArray[np.float64]

SMALLEST_MULTIPLIER = 0.1
SMALLEST_SLACK = 0.5
RATES = (0.5, 20.0)
_SPREAD = 0.6
_TRIES = 200_000


class Inputs(NamedTuple):
    """Inputs of one instance or, with a leading axis, of several."""

    tokens: Array
    queries: Array
    scores: Array
    optimal: NDArray[np.int_]


class MaxMargin(NamedTuple):
    """Least-norm vector whose products with all rows reach 1, its multipliers and those products."""

    w: Array
    multipliers: Array
    margins: Array

    @property
    def support(self) -> NDArray[np.bool_]:
        """Which rows have a multiplier."""
        return self.multipliers > 1e-9 * self.multipliers.max()


def lead_features(inputs: Inputs) -> Array:
    """Flattened (x_o - x_t) z^T of every token t other than the optimal one o, inputs in order, (n (T - 1), d^2)."""
    x, z, _, o = inputs
    kept = np.arange(x.shape[1]) != o[:, None]
    leads = (x[np.arange(len(x)), o][:, None] - x)[kept]
    return np.einsum("sd,se->sde", leads, np.repeat(z, x.shape[1] - 1, axis=0)).reshape(len(leads), -1)


def max_margin(features: Array) -> MaxMargin | None:
    """Solve the hard-margin problem as least-distance programming, or return None where it has no solution."""
    rows = np.vstack([features.T, np.ones(len(features))])
    target = np.append(np.zeros(features.shape[1]), 1.0)
    weights = np.maximum(lsq_linear(rows, target, bounds=(0, np.inf), method="bvls", tol=1e-15).x, 0.0)
    residual = target - rows @ weights
    if residual[-1] <= 1e-9:
        return None
    w = -residual[:-1] / residual[-1]
    return MaxMargin(w, weights / residual[-1], features @ w)


def decay_rates(features: Array, found: MaxMargin) -> Array:
    """Rates at which support margins settle in log time, ascending."""
    root = np.sqrt(found.multipliers[found.support])
    rows = root[:, None] * features[found.support]
    return np.asarray(np.linalg.eigvalsh(rows @ rows.T), dtype=float)


def max_margins(inputs: Inputs) -> list[MaxMargin]:
    """Solve the hard-margin problem of every instance that has a solution."""
    found = [max_margin(lead_features(Inputs(*one))) for one in zip(*inputs, strict=True)]
    return [one for one in found if one is not None]


def is_well_conditioned(features: Array, found: MaxMargin) -> bool:
    """Whether the three criteria of this module hold."""
    rates = decay_rates(features, found)
    return bool(
        found.multipliers[found.support].min() >= SMALLEST_MULTIPLIER * found.multipliers.max()
        and found.margins[~found.support].min(initial=np.inf) >= 1 + SMALLEST_SLACK
        and RATES[0] <= rates[0]
        and rates[-1] <= RATES[1]
    )


Accept = Callable[[Array, MaxMargin], bool]


def draw(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    *,
    screen: Callable[[Inputs], bool] | None = None,
    accept: Accept = is_well_conditioned,
    **options: bool,
) -> Inputs:
    """Draw inputs of shape (n, T, d) until they are acceptable; ``options`` are those of `propose`.

    ``screen`` judges the inputs before their support vector machine is solved, ``accept`` after that.
    All tokens support the margin, unless some are to be ``hidden``. The scale is set such that the least norm is
    uniform in [0.7, 1.4].
    """
    for _ in range(_TRIES):
        inputs = propose(rng, shape, **options)
        if screen is not None and not screen(inputs):
            continue
        features = lead_features(inputs)
        found = max_margin(features)
        if found is None or found.support.all() == options.get("hidden", False) or not accept(features, found):
            continue
        if options.get("opposed") and not _lets_go_of_second(features, shape[1] - 1):
            continue
        norm = np.linalg.norm(found.w) / rng.uniform(0.7, 1.4)
        return inputs._replace(queries=norm * inputs.queries)
    raise RuntimeError(f"no acceptable inputs of shape {shape} with {options} in {_TRIES} draws")


def _lets_go_of_second(features: Array, others: int) -> bool:
    """Whether the support vector machine of the other inputs gives the second margins below -5/4.

    Trained on the others, W then drives these margins down faster than -log t, and their own gradient is summable.
    """
    second = np.arange(len(features)) // others == 1
    found = max_margin(features[~second])
    return found is not None and bool((features[second] @ found.w).max() <= -1.25)


def propose(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    *,
    hidden: bool = False,
    aligned: bool = False,
    opposed: bool = False,
    equal_scores: bool = False,
) -> Inputs:
    """Draw inputs around orthonormal queries and token differences.

    ``hidden`` puts the last token of every input behind its first other one, seen from the optimal token, so that it
    supports nothing. ``aligned`` makes all features have nonnegative products. ``opposed`` makes the second input
    resemble the first with a larger, reversed query, such that learning the others unlearns it. ``equal_scores`` gives
    all tokens but the optimal one of an input the same score.
    """
    n, T, d = shape
    noise = np.abs if aligned else np.asarray
    spread = (_SPREAD / n if aligned else _SPREAD) / np.sqrt(d)
    z = np.eye(n, d) + spread * noise(rng.standard_normal((n, d)))
    leads = np.eye(T - 1, d) + spread * noise(rng.standard_normal((n, T - 1, d)))
    if hidden:
        leads[:, -1] = 2 * leads[:, 0] + spread * noise(rng.standard_normal((n, d)))
    if opposed:
        z[1] = 1.2 * z[1] - 1.5 * z[0]
        leads[1] = leads[0] + 0.2 * (leads[1] - leads[0])
    z, leads = z @ frame(rng, d, d), leads @ frame(rng, d, d)
    best = rng.standard_normal((n, d))
    optimal = rng.integers(0, T, n)
    x = np.empty((n, T, d))
    x[np.arange(n), optimal] = best
    others = np.arange(T) != optimal[:, None]
    x[others] = (best[:, None] - leads).reshape(-1, d)
    scores = rng.standard_normal((n, 1)) * np.ones(T) if equal_scores else rng.standard_normal((n, T))
    scores[np.arange(n), optimal] = scores.max(axis=1) + rng.uniform(0.5, 2.0, n)
    return Inputs(x, z, scores, optimal)


def stack(instances: list[Inputs]) -> Inputs:
    """Put instances of one shape side by side."""
    return Inputs(*(np.stack(parts) for parts in zip(*instances, strict=True)))


def start_with_margins(rng: np.random.Generator, inputs: Inputs, margins: Array) -> Array:
    """Draw attention weights with Gaussian entries, then move them as little as gives the prescribed ``margins``."""
    features = lead_features(inputs)
    noise = rng.standard_normal(features.shape[1])
    moved = noise + np.linalg.lstsq(features, margins - features @ noise, rcond=None)[0]
    return np.asarray(moved.reshape(inputs.queries.shape[1], -1), dtype=float)
