"""The collapsed minimiser, and the linear response of what is tied to it: from the Hessian of the objective itself."""

from typing import Any

import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Steps, components
from paper_checks.papers.tirer2022._settings import STATIONARY, Setting, draw, draw_settings, perturbed, split
from paper_checks.papers.tirer2022.paper import PAPER
from simulations import neural_collapse as sim
from theory import neural_collapse as nc


@PAPER.claim(
    "collapsed-minimiser",
    statement=r"""For $c = \sqrt{\lambda_W \lambda_H} < 1$, $H^* = \sqrt\rho\, R \otimes 1_n^T$ and
    $W^* = \sqrt{\lambda_H / \lambda_W} \sqrt\rho\, R^T$ with $\rho = (1 - c) \sqrt{\lambda_W / \lambda_H}$ minimise the
    objective without a tie, at $c (2 - c) / 2$, and with any tie to $H^*$ itself.""",
    source="theorem 2.1 and corollary 2.2",
    agreement=Identity(rtol=STATIONARY),
    controls=("lengths exchanged", "feature decay not divided by n", "rho without the root", "1 - c^2 for 1 - c"),
)
def collapsed_minimiser(run: Run) -> Trial:
    """Minimise from a random start; then, tied to what was found, again from another one."""
    settings = draw_settings(run)

    def measure() -> Array:
        found: list[Any] = []
        for index, setting in enumerate(settings):
            _, point, problem, change = perturbed(run, index, setting)
            tied = sim.minimise_tied(point.features, point.weights, point.features + 0.3 * change, problem)
            for w, h in ((point.weights, point.features), (tied.weights, tied.features)):
                value = sim.tied_objective(w, h, point.features, problem)
                found += [w, h, np.asarray(value)]
        return components(*found)

    def predict(
        length: float = 1.0, weights: float = 1.0, samples: bool = True, c_power: float = 1.0, swap: bool = False
    ) -> Array:
        found: list[Any] = []
        for index, setting in enumerate(settings):
            k, n, d = setting.sizes
            directions, _ = draw(run, index, setting)
            w, h = nc.near_collapse_minimizer(k, n, d, **setting.decays, frame=directions)
            c = setting.c
            shrunk = np.sqrt((1 - c**c_power) / (1 - c))
            w, h = shrunk * w, shrunk * h
            if not samples:
                w, h = w * n**0.25, h / n**0.25
            if swap:
                w, h = np.linalg.norm(h[:, 0]) * directions.T, np.linalg.norm(w[0]) * np.repeat(directions, n, axis=1)
            found += 2 * [weights * w, length * h, np.asarray(c * (2 - c) / 2)]
        return components(*found)

    ratios = [np.sqrt(s.weight_decay / s.feature_decay) for s in settings]
    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "lengths exchanged": lambda: predict(swap=True),
            "feature decay not divided by n": lambda: predict(samples=False),
            "rho without the root": lambda: predict(length=float(np.max(ratios)) ** 0.5),
            "1 - c^2 for 1 - c": lambda: predict(c_power=2.0),
        },
        scale="largest",
    )


def _response(
    setting: Setting,
    directions: Array,
    change: Array,
    *,
    tau: float = 1.0,
    four: float = 4.0,
    antisymmetric: bool = True,
    mixed: bool = True,
) -> tuple[Array, Array]:
    """Write out the response of features and weights; right with the numbers left alone."""
    _, _, _, lam_w, lam_h, beta = setting
    within, inside, outside = split(change, directions)
    n = setting.samples_per_class
    g = beta / (beta + four * lam_h * (1 - setting.c))
    in_frame = directions @ (directions.T @ within)
    tau *= np.sqrt(lam_h / lam_w)
    within = beta / (beta + tau) * in_frame + beta / (beta + lam_h) * (within - in_frame)
    a = (1 + g) / 2 * inside - (1 - g) / 2 * inside.T if antisymmetric else g * inside
    features = within + np.repeat(outside + directions @ a, n, axis=1)
    c, root = setting.c, np.sqrt(lam_h / lam_w)
    weights = root * ((c * a.T if mixed else 0.0) - (1 - c) * a) @ directions.T + c / lam_w * outside.T
    return features, weights


@PAPER.claim(
    "linear-response",
    statement=r"""Tied to $H^* + \delta H_0$, the minimiser moves to first order by $\delta H$: deviations shrink by
    $\beta/(\beta+\tau)$ in the span of $R$ and by $\beta/(\beta+\lambda_H)$ outside, means follow in full but for
    symmetric changes of the frame, which shrink by $g = \beta/(\beta + 4\lambda_H(1-c))$; $\tau =
    \sqrt{\lambda_H/\lambda_W}$. Exact in $\beta$.""",
    source="theorems 4.1 and 4.2, there for large beta; exact form derived here",
    agreement=Identity(rtol=STATIONARY),
    controls=("tau inverted", "lambda_H for tau", "2 for 4 in g", "all changes of the frame shrink", "weights unmixed"),
)
def linear_response(run: Run) -> Trial:
    r"""Differentiate the minimiser implicitly, with the Hessian of the objective by automatic differentiation.

    Kn times the second-order part of the objective at (W* + dW, H* + dH), tied to H* + dH0, is stationary when
    (1) dR H*^T + (W* H* - Y) dH^T + n lambda_W dW = 0 and (2) W*^T dR + dW^T (W* H* - Y) + (lambda_H + beta) dH =
    beta dH0, with dR = dW H* + W* dH. As W* H* - Y = -c Y and W*^T W* = tau (1 - c) R R^T, deviations (dH Y^T = 0) see
    only (2): tau (1 - c) + c tau = tau inside the span, since c tau = lambda_H, and lambda_H outside. For means outside
    of the span (1) gives dW = (c / lambda_W) dHbar^T, and in (2) -c dW^T cancels lambda_H dH. Inside, with dW = P R^T
    and dHbar = R A, (1) reads P = tau (c A^T - (1 - c) A); then (2) leaves beta (A - A0) + 2 lambda_H (1 - c) (A + A^T)
    = 0: nothing for antisymmetric A, and a factor beta / (beta + 4 lambda_H (1 - c)) for symmetric A.
    """
    settings = draw_settings(run)

    def measure() -> Array:
        found = []
        for index, setting in enumerate(settings):
            _, point, problem, change = perturbed(run, index, setting)
            matrix = sim.response_matrix(point, problem)
            k, n, d = setting.sizes
            column = change.T.ravel()
            found += [(matrix.features @ column).reshape(k * n, d).T, (matrix.weights @ column).reshape(d, k).T]
        return components(*found)

    def predict() -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            directions, change = draw(run, index, setting)
            found += nc.near_collapse_response(
                change, directions, samples_per_class=setting.samples_per_class, **setting.numbers
            )
        return components(*found)

    def wrong(tau_power: float | None = None, **options: float) -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            if tau_power is not None:  # tau (lambda_W / lambda_H)^power
                options["tau"] = (setting.weight_decay / setting.feature_decay) ** tau_power
            found += _response(setting, *draw(run, index, setting), **options)  # type: ignore[arg-type]
        return components(*found)

    def feature_decay_for_tau() -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            found += _response(setting, *draw(run, index, setting), tau=setting.c)
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "tau inverted": lambda: wrong(tau_power=1.0),
            "lambda_H for tau": feature_decay_for_tau,
            "2 for 4 in g": lambda: wrong(four=2.0),
            "all changes of the frame shrink": lambda: wrong(antisymmetric=False),
            "weights unmixed": lambda: wrong(mixed=False),
        },
        scale="largest",
    )


@PAPER.claim(
    "nonlinear-remainder",
    statement=r"""The response is linear up to a remainder of second order: tied to $H^* + \epsilon \Delta$, the
    minimiser's change divided by $\epsilon$ tends to the linear response to $\Delta$ with an error of
    $O(\epsilon)$.""",
    source="theorem 4.1, first-order expansion",
    agreement=ConvergenceOrder(order=1, resolution=1e-6, accuracy=1e-11),
    controls=("tau inverted", "2 for 4 in g", "all changes of the frame shrink", "features follow in full"),
)
def nonlinear_remainder(run: Run) -> Trial:
    """Minimise again, head and features, at falling sizes of the change.

    The change of the minimiser is divided by its size, 1e-3 at the least, so that rounding counts a thousand times and
    more: 1e-12 for values of order one, and ten times that where the tie is weak.
    """
    settings = draw_settings(run)[:3]
    count = run.size("sizes of the change", quick=6, standard=7, full=7)
    steps = 0.064 * 2.0 ** -np.arange(count)

    def measure() -> Steps:
        found = []
        for index, setting in enumerate(settings):
            _, point, problem, change = perturbed(run, index, setting)
            ties = point.features + steps[:, None, None] * _unit(change)
            moved = sim.minimise_tied(ties, point.weights, point.features, problem)
            for new, old in ((moved.features, point.features), (moved.weights, point.weights)):
                found.append((new - old) / steps[:, None, None])
        return Steps(steps, components(*found, leading=1))

    def predict(**options: float) -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            directions, change = draw(run, index, setting)
            found += nc.near_collapse_response(
                _unit(change), directions, samples_per_class=setting.samples_per_class, **setting.numbers
            )
        return components(*found)

    def wrong(inverted: bool = False, **options: float) -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            directions, change = draw(run, index, setting)
            tau = setting.weight_decay / setting.feature_decay if inverted else 1.0
            found += _response(setting, directions, _unit(change), tau=tau, **options)  # type: ignore[arg-type]
        return components(*found)

    def rigid() -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            directions, change = draw(run, index, setting)
            _, weights = _response(setting, directions, _unit(change))
            found += [_unit(change), weights]
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "tau inverted": lambda: wrong(inverted=True),
            "2 for 4 in g": lambda: wrong(four=2.0),
            "all changes of the frame shrink": lambda: wrong(antisymmetric=False),
            "features follow in full": rigid,
        },
        scale="largest",
    )


def _unit(change: Array) -> Array:
    """Scale a change to entries of root mean square 1 / sqrt(d), so that samples move by about one unit."""
    return change / np.sqrt(change.shape[0])
