"""Singular values of the response, of classes to themselves and to others, and how decays change them."""

from functools import lru_cache
from itertools import permutations

import numpy as np

from paper_checks.agreement import ConvergenceOrder, Identity, Ordering
from paper_checks.claim import Run, Trial
from paper_checks.evidence import Array, Limit, Steps, components
from paper_checks.papers.tirer2022._settings import STATIONARY, Setting, draw_settings, perturbed, sizes, split
from paper_checks.papers.tirer2022.paper import PAPER
from simulations import neural_collapse as sim
from theory import neural_collapse as nc


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
    settings = draw_settings(run)

    def measure() -> Array:
        found = []
        for index, setting in enumerate(settings):
            _, point, problem, _ = perturbed(run, index, setting)
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
    settings = draw_settings(run)[:3]
    steps = 1 / (16.0 * 2.0 ** np.arange(run.size("strengths", quick=5, standard=6, full=6)))

    def measure() -> Steps:
        rows = []
        for step in steps:
            row = []
            for index, setting in enumerate(settings):
                _, point, problem, _ = perturbed(run, index, setting._replace(beta=1 / step))
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
    directions, point, problem, change = perturbed(run, 0, setting)
    matrix = np.asarray(sim.response_matrix(point, problem).features)
    within, _, _ = split(change, directions)
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
    k, n, d = sizes(run)
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
