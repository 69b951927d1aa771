"""The collapsed minimiser, and the linear response of what is tied to it: from the Hessian of the objective itself."""

from functools import lru_cache
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Limit, Steps, components
from paper_checks.papers.tirer2022.paper import PAPER
from paper_checks.problems import frame
from simulations import neural_collapse as sim
from theory import neural_collapse as nc

STATIONARY = 1e-10  # gradients below 1e-15 and curvatures above 1e-3 of the largest, times 1e2 for the linear solve


class Setting(NamedTuple):
    """Sizes K, n, d, decays and strength of the tie."""

    num_classes: int
    samples_per_class: int
    dim: int
    weight_decay: float
    feature_decay: float
    beta: float

    @property
    def sizes(self) -> tuple[int, int, int]:
        """K, n and d, the positional arguments of the solvers."""
        return self[:3]

    @property
    def numbers(self) -> dict[str, float]:
        """Decays and strength of the tie, the keyword arguments of the solvers."""
        return {name: getattr(self, name) for name in ("weight_decay", "feature_decay", "beta")}

    @property
    def decays(self) -> dict[str, float]:
        """Decays alone."""
        return {name: getattr(self, name) for name in ("weight_decay", "feature_decay")}

    @property
    def c(self) -> float:
        """Geometric mean of the decays."""
        return float(np.sqrt(self.weight_decay * self.feature_decay))


def _settings(run: Run) -> list[Setting]:
    """Draw decays with c from 0.1 to 0.8, ratios from 1/3 to 3 and ties from 0.3 to 30, after one setting with c = 1/2.

    There the two damped factors of the frame's own space coincide, tau = 4 lambda_H (1 - c).
    """
    k, n, d = _sizes(run)
    settings = [Setting(k, n, d, 1.0, 0.25, 0.3)]
    rng = run.rng("settings")
    for _ in range(run.size("settings", quick=3, standard=5, full=3)):
        c, ratio = rng.uniform(0.1, 0.8), np.exp(rng.uniform(-np.log(3), np.log(3)))
        settings.append(Setting(k, n, d, c * ratio, c / ratio, float(np.exp(rng.uniform(np.log(0.3), np.log(30))))))
    return settings


def _sizes(run: Run) -> tuple[int, int, int]:
    return run.size("classes, samples, dimension", quick=(3, 4, 5), standard=(4, 6, 9), full=(8, 16, 24))


class Perturbed(NamedTuple):
    """A collapsed point with frame, and a perturbation of what its features are tied to."""

    frame: Array
    point: sim.TiedPoint
    problem: sim.TiedProblem
    change: Array


def _draw(run: Run, index: int, setting: Setting) -> tuple[Array, Array]:
    """Draw a frame (d, K) and a change (d, K n) for a setting."""
    rng = run.rng(f"setting {index}")
    k, n, d = setting.sizes
    return frame(rng, d, k), rng.standard_normal((d, k * n))


def _perturbed(run: Run, index: int, setting: Setting) -> Perturbed:
    k, n, d = setting.sizes
    problem = sim.tied_problem(k, **setting.numbers)
    directions, change = _draw(run, index, setting)
    point = sim.collapsed_point(run.key(f"setting {index}"), n, d, problem, frame=directions)
    return Perturbed(directions, point, problem, change)


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
    settings = _settings(run)

    def measure() -> Array:
        found: list[Any] = []
        for index, setting in enumerate(settings):
            _, point, problem, change = _perturbed(run, index, setting)
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
            directions, _ = _draw(run, index, setting)
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


def _split(change: Array, directions: Array) -> tuple[Array, Array, Array]:
    """Split a change (d, K n) into within-class part, and class means inside (K, K) and outside (d, K) of the frame."""
    d, k = directions.shape
    means = change.reshape(d, k, -1).mean(axis=2)
    within = change - np.repeat(means, change.shape[1] // k, axis=1)
    inside = directions.T @ means
    return within, inside, means - directions @ inside


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
    within, inside, outside = _split(change, directions)
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
    settings = _settings(run)

    def measure() -> Array:
        found = []
        for index, setting in enumerate(settings):
            _, point, problem, change = _perturbed(run, index, setting)
            matrix = sim.response_matrix(point, problem)
            k, n, d = setting.sizes
            column = change.T.ravel()
            found += [(matrix.features @ column).reshape(k * n, d).T, (matrix.weights @ column).reshape(d, k).T]
        return components(*found)

    def predict() -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            directions, change = _draw(run, index, setting)
            found += nc.near_collapse_response(
                change, directions, samples_per_class=setting.samples_per_class, **setting.numbers
            )
        return components(*found)

    def wrong(tau_power: float | None = None, **options: float) -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            if tau_power is not None:  # tau (lambda_W / lambda_H)^power
                options["tau"] = (setting.weight_decay / setting.feature_decay) ** tau_power
            found += _response(setting, *_draw(run, index, setting), **options)  # type: ignore[arg-type]
        return components(*found)

    def feature_decay_for_tau() -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            found += _response(setting, *_draw(run, index, setting), tau=setting.c)
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
    settings = _settings(run)[:3]
    count = run.size("sizes of the change", quick=6, standard=7, full=7)
    steps = 0.064 * 2.0 ** -np.arange(count)

    def measure() -> Steps:
        found = []
        for index, setting in enumerate(settings):
            _, point, problem, change = _perturbed(run, index, setting)
            ties = point.features + steps[:, None, None] * _unit(change)
            moved = sim.minimise_tied(ties, point.weights, point.features, problem)
            for new, old in ((moved.features, point.features), (moved.weights, point.weights)):
                found.append((new - old) / steps[:, None, None])
        return Steps(steps, components(*found, leading=1))

    def predict(**options: float) -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            directions, change = _draw(run, index, setting)
            found += nc.near_collapse_response(
                _unit(change), directions, samples_per_class=setting.samples_per_class, **setting.numbers
            )
        return components(*found)

    def wrong(inverted: bool = False, **options: float) -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            directions, change = _draw(run, index, setting)
            tau = setting.weight_decay / setting.feature_decay if inverted else 1.0
            found += _response(setting, directions, _unit(change), tau=tau, **options)  # type: ignore[arg-type]
        return components(*found)

    def rigid() -> Array:
        found: list[Array] = []
        for index, setting in enumerate(settings):
            directions, change = _draw(run, index, setting)
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


def _blocks(matrix: Array, k: int) -> tuple[list[Array], list[Array]]:
    """Responses of each class to itself, and of each class to each other one."""
    size = matrix.shape[0] // k
    blocks = matrix.reshape(k, size, k, size).swapaxes(1, 2)
    return [blocks[i, i] for i in range(k)], [blocks[i, j] for i, j in permutations(range(k), 2)]


def _spectrum(setting: Setting, tau: float, g: float) -> list[Array]:
    """Spectra in the order in which they are measured, from the numbers tau and g."""
    k, n, d = setting.sizes
    inside, outside = setting.beta / (setting.beta + tau), setting.beta / (setting.beta + setting.feature_decay)
    within = np.repeat([inside, outside], [(n - 1) * k, (n - 1) * (d - k)])
    own = np.sort([*within, *[1.0] * (d - k), *[(1 + g) / 2] * (k - 1), g])[::-1]
    whole = np.sort([*np.tile(within, k), *[1.0] * (k * (d - k) + k * (k - 1) // 2), *[g] * (k * (k + 1) // 2)])
    return [whole, np.tile(own, k), np.full(k * (k - 1), (1 - g) / 2), np.zeros(k * (k - 1))]


@PAPER.claim(
    "block-spectrum",
    statement=r"""A class responds to itself with singular values $\beta/(\beta+\tau)$ (times $(n-1)K$),
    $\beta/(\beta+\lambda_H)$ (times $(n-1)(d-K)$), 1 (times $d-K$), $(1+g)/2$ (times $K-1$) and $g$, and to another
    class with rank one and $(1-g)/2$; the whole response is symmetric with $g$ of multiplicity $K(K+1)/2$.""",
    source="theorem 4.2, there for large beta; exact form derived here",
    agreement=Identity(rtol=STATIONARY),
    controls=("tau inverted", "lambda_H for tau", "2 for 4 in g", "first order in 1/beta", "1 - g across classes"),
)
def block_spectrum(run: Run) -> Trial:
    """Decompose the implicit derivative of the minimiser, whole and block by block."""
    settings = _settings(run)

    def measure() -> Array:
        found = []
        for index, setting in enumerate(settings):
            _, point, problem, _ = _perturbed(run, index, setting)
            matrix = np.asarray(sim.response_matrix(point, problem).features)
            own, across = _blocks(matrix, setting.num_classes)
            pairs = np.linalg.svd(np.array(across), compute_uv=False)
            found += [np.linalg.eigvalsh(matrix), np.linalg.svd(np.array(own), compute_uv=False)]
            found += [pairs[:, 0], pairs[:, 1], np.array([np.max(np.abs(matrix - matrix.T))])]
        return components(*found)

    def predict(across: float = 1.0) -> Array:
        found: list[Array] = []
        for setting in settings:
            k, n, d = setting.sizes
            spectrum = nc.response_block_singular_values(k, n, d, **setting.numbers)
            pairs = k * (k - 1)
            found += [spectrum.full, np.tile(spectrum.intra, k), np.full(pairs, across * spectrum.inter)]
            found += [np.zeros(pairs), np.zeros(1)]
        return components(*found)

    def wrong(inverted: bool = False, confused: bool = False, four: float = 4.0, linear: bool = False) -> Array:
        found: list[Array] = []
        for setting in settings:
            tau = np.sqrt(setting.feature_decay / setting.weight_decay)
            slow = four * setting.feature_decay * (1 - setting.c)
            tau = setting.feature_decay if confused else 1 / tau if inverted else tau
            if linear:  # beta / (beta + x) becomes 1 - x / beta
                tau, slow = (x / (1 - x / setting.beta) if x < setting.beta else 1e9 * x for x in (tau, slow))
            found += [*_spectrum(setting, tau, setting.beta / (setting.beta + slow)), np.zeros(1)]
        return components(*found)

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "tau inverted": lambda: wrong(inverted=True),
            "lambda_H for tau": lambda: wrong(confused=True),
            "2 for 4 in g": lambda: wrong(four=2.0),
            "first order in 1/beta": lambda: wrong(linear=True),
            "1 - g across classes": lambda: predict(across=2.0),
        },
        scale=1.0,
    )


@PAPER.claim(
    "strong-tie-spectrum",
    statement=r"""For a strong tie the least singular value of a class's response to itself is $1 - \tau/\beta$ and the
    only one of its response to another class $2\lambda_H(1-c)/\beta$, up to $O(1/\beta^2)$, the terms there being
    $\tau^2/\beta^2$ and $-8\lambda_H^2(1-c)^2/\beta^2$.""",
    source="theorem 4.2, as stated; next order derived here",
    agreement=ConvergenceOrder(order=1, resolution=1e-4, accuracy=1e-11),
    controls=("tau inverted", "4 for 2 across classes", "1 + c for 1 - c", "next order of the other sign"),
)
def strong_tie_spectrum(run: Run) -> Trial:
    """Take the spectrum of the implicit derivative at rising strengths, as beta (1 - s_min) and beta s_across."""
    settings = _settings(run)[:3]
    steps = 1 / (16.0 * 2.0 ** np.arange(run.size("strengths", quick=5, standard=6, full=6)))

    def measure() -> Steps:
        rows = []
        for step in steps:
            row = []
            for index, setting in enumerate(settings):
                _, point, problem, _ = _perturbed(run, index, setting._replace(beta=1 / step))
                own, across = _blocks(np.asarray(sim.response_matrix(point, problem).features), setting.num_classes)
                row += [(1 - np.linalg.norm(own[0], -2)) / step, np.linalg.norm(across[0], 2) / step]
            rows.append(row)
        return Steps(steps, np.array(rows))

    def predict(inverted: bool = False, two: float = 2.0, sign: float = -1.0, next_order: float = 1.0) -> Limit:
        values, coefficients = [], []
        for setting in settings:
            lam_w, lam_h, c = setting.weight_decay, setting.feature_decay, setting.c
            tau = np.sqrt(lam_w / lam_h) if inverted else np.sqrt(lam_h / lam_w)
            across = two * lam_h * (1 + sign * c)
            values += [tau, across]
            coefficients += [-next_order * tau**2, -next_order * 2 * across**2]
        return Limit(np.array(values), np.array(coefficients))

    return Trial(
        predict=predict,
        measure=measure,
        controls={
            "tau inverted": lambda: predict(inverted=True),
            "4 for 2 across classes": lambda: predict(two=4.0),
            "1 + c for 1 - c": lambda: predict(sign=1.0),
            "next order of the other sign": lambda: predict(next_order=-1.0),
        },
        scale="largest",
    )


@lru_cache(maxsize=32)
def _strengths(run: Run, setting: Setting) -> Array:
    """How much of a deviation inside and outside the span of the frame is left, and what passes between classes."""
    directions, point, problem, change = _perturbed(run, 0, setting)
    matrix = np.asarray(sim.response_matrix(point, problem).features)
    within, _, _ = _split(change, directions)
    inside = directions @ (directions.T @ within)
    left = [np.linalg.norm(matrix @ part.T.ravel()) / np.linalg.norm(part) for part in (inside, within - inside)]
    _, across = _blocks(matrix, setting.num_classes)
    return np.array([*left, np.linalg.norm(across[0], 2)])


@PAPER.claim(
    "lambda-effect",
    statement=r"""More decay of the features damps deviations more, inside the span of the frame and outside of it; more
    decay of the head damps those inside less, leaves those outside alone, and weakens the response of a class to
    others.""",
    source="discussion of theorem 4.2",
    agreement=Ordering(side="above"),
    controls=("decays exchanged", "decays lowered"),
)
def lambda_effect(run: Run) -> Trial:
    """Compare the implicit derivatives at three pairs of decays, a factor 1.5 apart."""
    k, n, d = _sizes(run)
    rng = run.rng("decays")
    base = Setting(k, n, d, float(rng.uniform(0.3, 0.5)), float(rng.uniform(0.2, 0.4)), float(rng.uniform(1.0, 4.0)))

    def measure(features: float = 1.5, head: float = 1.5, exchanged: bool = False) -> Array:
        more_features = base._replace(feature_decay=features * base.feature_decay)
        more_head = base._replace(weight_decay=head * base.weight_decay)
        if exchanged:
            more_features, more_head = more_head, more_features
        start, tighter, looser = (_strengths(run, s) for s in (base, more_features, more_head))
        return np.array(
            [
                start[0] - tighter[0],
                start[1] - tighter[1],
                looser[0] - start[0],
                1e-10 - abs(looser[1] - start[1]),
                start[2] - looser[2],
            ]
        )

    return Trial(
        predict=lambda: np.zeros(5),
        measure=measure,
        counterexamples={
            "decays exchanged": lambda: measure(exchanged=True),
            "decays lowered": lambda: measure(features=1 / 1.5, head=1 / 1.5),
        },
        scale=1.0,
    )
