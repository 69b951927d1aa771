"""Inputs, references and rivals for every numeric solver of theory.deep_linear."""

from functools import partial
from math import comb
from typing import Any

import mpmath as mp
import numpy as np
from numpy.typing import NDArray
from scipy.special import binom, expit

from benchmarks import _deep_linear_rivals as rivals
from benchmarks import _references as references
from benchmarks._errors import Case, Point, apart, together
from theory import deep_linear
from theory.deep_linear import noncontrastive

Array = NDArray[np.float64]
Draw = np.random.Generator

DEPTHS = (1, 2, 3, 5, 10, 50)


def deep_linear_cases(rng: Draw) -> list[Case]:
    """Return the cases, in the order of the wing's modules."""
    return [
        *_strengths(rng),
        *_times(rng),
        *_unbalanced(rng),
        *_predictors(rng),
        *_curvature(rng),
        *_matrices(rng),
        *_products(rng),
        *_tanh(rng),
    ]


def _strengths(rng: Draw) -> list[Case]:
    others = {
        2: {"s e^x / (e^x - 1 + s/u0)": together(rivals.printed_sigmoid)},
        3: {"hyp2f1 inverted by brentq": apart(partial(rivals.inverted_hypergeometric, depth=3))},
    }
    cases = [
        Case(
            f"mode_strength, depth {depth}",
            _moments(rng, 300 if depth < 3 else 100 if depth < 10 else 40, depth),
            together(partial(deep_linear.mode_strength, depth=depth)),
            partial(references.mode_strength, depth=depth),
            others.get(depth, {}),
        )
        for depth in DEPTHS
    ]
    drawn = _moments(rng, 120, 2, correlated=False)
    points = [{"t": p["t"], "input_eigenvalue": p["s"], "u0": p["u0"] / p["s"], "tau": p["tau"]} for p in drawn]
    pretraining = Case(
        "pretraining_strength",
        points,
        together(deep_linear.pretraining_strength),
        lambda t, input_eigenvalue, u0, tau: references.mode_strength(
            t, s=input_eigenvalue, u0=u0, depth=2, tau=tau, input_eigenvalue=input_eigenvalue
        ),
    )
    return [*cases, pretraining]


def _times(rng: Draw) -> list[Case]:
    cases = []
    for depth in DEPTHS:
        deep = partial(rivals.hypergeometric, depth=depth)
        rival = {1: rivals.printed_relaxation, 2: rivals.printed_logarithm}.get(depth, deep)
        cases.append(
            Case(
                f"mode_time, depth {depth}",
                _passages(rng, 200 if depth < 10 else 50),
                together(partial(deep_linear.mode_time, depth=depth)),
                partial(references.mode_time, depth=depth),
                {"formula as printed" if depth < 3 else "difference of two hyp2f1": together(rival)},
            )
        )
    cases.append(
        Case(
            "mode_time_infinite_depth",
            _passages(rng, 120),
            together(deep_linear.mode_time_infinite_depth),
            partial(references.mode_time, depth=mp.inf),
            {"formula as printed": together(rivals.printed_infinite_depth)},
        )
    )
    depths: tuple[float, ...] = (2, 4, np.inf)
    for limit in depths:
        points = [{**{k: v for k, v in p.items() if k != "tau"}, "rate_constant": p["tau"]} for p in _passages(rng, 60)]
        cases.append(
            Case(
                f"training_steps, depth {limit}",
                points,
                together(partial(deep_linear.training_steps, depth=limit)),
                partial(_exact_steps, depth=limit),
            )
        )
    return cases


def _unbalanced(rng: Draw) -> list[Case]:
    n = 150
    s, tau = _decades(rng, n, -3, 3), _decades(rng, n, -3, 3)
    layers = rng.choice([-1.0, 1.0], (2, n)) * np.sqrt(s) * _decades(rng, (2, n), -6, 2)
    t = tau / s * _decades(rng, n, -6, 2)
    points = _points(t=t, s=s, a0=layers[0], b0=layers[1], tau=tau)
    modes = Case(
        "unbalanced_modes",
        points,
        together(deep_linear.unbalanced_modes),
        references.unbalanced_modes,
        {"formula as printed": together(rivals.printed_hyperbola)},
    )
    passages = _passages(rng, n)
    points = [
        {
            **p,
            "u0": float(rng.choice([1.0, 1.0, -1.0])) * p["u0"],
            "invariant": float(rng.choice([-1.0, 1.0]) * p["s"] * _decades(rng, None, -8, 4)),
        }
        for p in passages
    ]
    times = Case(
        "hyperbolic_time",
        points,
        together(deep_linear.hyperbolic_time),
        references.hyperbolic_time,
        {"tanh(theta / 2) as printed": together(rivals.printed_angles)},
    )
    return [modes, times]


def _predictors(rng: Draw) -> list[Case]:
    n = 80
    aug_var, tau = _decades(rng, n, -3, 1), _decades(rng, n, -1, 1)
    eta = tau**2 / (4 * (1 + aug_var)) * _decades(rng, n, -8, -0.01)
    lower, upper = deep_linear.fixed_points(weight_decay=eta, aug_var=aug_var, tau=tau)
    p, p0 = lower + (upper - lower) * rng.uniform(1e-3, 0.999, (2, n))
    decaying = Case(
        "mode_time of a predictor, with decay",
        _points(p=p, p0=p0, weight_decay=eta, aug_var=aug_var, tau=tau),
        apart(noncontrastive.mode_time),
        references.predictor_time,
        {"sum of three logarithms": apart(rivals.printed_predictor_time)},
    )
    product = _decades(rng, n, -8, 1)
    p, p0 = tau / (1 + aug_var) * rng.uniform(-2, 0.999, (2, n))
    still = Case(
        "mode_time of a predictor, without decay",
        _points(p=p, p0=p0, product=product, aug_var=aug_var, tau=tau),
        apart(
            lambda p, p0, product, aug_var, tau: noncontrastive.mode_time(
                p, p0=p0, invariant=product, aug_var=aug_var, tau=tau
            )
        ),
        references.predictor_time,
    )
    return [decaying, still]


def _curvature(rng: Draw) -> list[Case]:
    cases = []
    for depth in (2, 5, 30):
        s = _decades(rng, 100, -3, 3)
        a = s ** (1 / depth) * np.where(
            rng.random(100) < 0.5, 1 + _decades(rng, 100, -12, 0), _decades(rng, 100, -2, 1)
        )
        cases.append(
            Case(
                f"hessian_eigenvalues, depth {depth}",
                _points(a=a, s=s),
                together(partial(deep_linear.hessian_eigenvalues, depth=depth)),
                partial(_exact_curvature, depth=depth),
                {"g - h, g + (D - 1) h": together(partial(rivals.printed_curvature, depth=depth))},
                entrywise=True,
            )
        )
    points = [
        {"s": float(s), "depth": int(d)}
        for s, d in zip(_decades(rng, 80, -3, 3), 10 ** rng.uniform(0, 4, 80), strict=True)
    ]
    rate = Case(
        "critical_learning_rate",
        points,
        apart(deep_linear.critical_learning_rate),
        lambda s, depth: 2 / (depth * mp.mpf(s) ** (2 - mp.mpf(2) / depth)),
    )
    points = [{"seed": seed, "depth": d} for seed in range(20) for d in (2, 7)]
    sharpness = Case(
        "top_hessian_eigenvalue",
        points,
        apart(lambda seed, depth: deep_linear.top_hessian_eigenvalue(_matrix(seed), depth=depth)),
        lambda seed, depth: depth * _spectral_norm(_matrix(seed)) ** (2 - mp.mpf(2) / depth),
        conditioned=False,
    )
    return [*cases, rate, sharpness]


def _matrices(rng: Draw) -> list[Case]:
    shapes = ((3, 3, 3, 0.0), (2, 4, 2, 0.0), (4, 3, 2, 0.0), (3, 5, 5, 0.0), (3, 2, 3, 0.7), (3, 2, 2, -0.6))
    reaches = 10 ** rng.uniform(-3, 2, 48)
    points = [{"shape": shapes[i % 6], "seed": i, "reach": float(reach)} for i, reach in enumerate(reaches)]
    flow = Case(
        "two_layer_flow",
        points,
        apart(_two_layer_gram),
        lambda shape, seed, reach: references.riccati(*_two_layers(shape, seed, reach), imbalance=shape[3]),
        {"Riccati with F^-1 as printed": apart(_riccati_by_inverse)},
        conditioned=False,
    )
    depths = (1, 2, 3, 10, 50, np.inf)
    points = [{"seed": seed, "depth": depths[seed % 6], "decades": float(rng.uniform(0, 8))} for seed in range(36)]
    velocity = Case(
        "end_to_end_velocity",
        points,
        apart(lambda seed, depth, decades: deep_linear.end_to_end_velocity(*_pair(seed, decades), depth=depth)),
        lambda seed, depth, decades: references.end_to_end_velocity(*_pair(seed, decades), depth=depth),
        {"sum of fractional powers": apart(_velocity_by_powers)},
        conditioned=False,
    )
    points = [
        {"seed": seed, "depth": d, "t": float(t)}
        for seed, (d, t) in enumerate((d, t) for d in (1, 2, 3, 6, np.inf) for t in (0.1, 1.0, 10.0))
    ]
    end_to_end = Case(
        "end_to_end_flow (an integrator, rtol 1e-11)",
        points,
        apart(lambda seed, depth, t: deep_linear.end_to_end_flow(*_aligned(seed)[:2], t, depth=depth)),
        _exact_aligned_flow,
        conditioned=False,
    )
    return [flow, velocity, end_to_end]


def _products(rng: Draw) -> list[Case]:
    orders = [{"k": int(k), "depth": int(d)} for k, d in rng.integers([0, 1], [60, 12], (80, 2))]
    depths = [{"depth": int(d)} for d in np.unique(np.geomspace(1, 1e6, 60).astype(int))]
    sizes = [{"n": int(n), "depth": int(d)} for n, d in 10 ** rng.uniform([0, 0], [4, 3], (60, 2))]
    sizes = [p for p in sizes if p["depth"] < 300 * p["n"]]
    widths = [{"n": n} for n in (1, 2, 3, 5, 8, 20, 50, 200, 1000)]
    return [
        Case(
            "fuss_catalan_moment",
            orders,
            apart(deep_linear.fuss_catalan_moment),
            lambda k, depth: mp.mpf(comb((depth + 1) * k, k)) / (depth * k + 1),
            {"scipy binom": apart(lambda k, depth: binom((depth + 1) * k, k) / (depth * k + 1))},
            conditioned=False,
        ),
        Case(
            "gaussian_product_edge",
            depths,
            apart(deep_linear.gaussian_product_edge),
            lambda depth: (depth + 1) * (1 + mp.mpf(1) / depth) ** depth,
            {"(D + 1)^(D + 1) / D^D": apart(lambda depth: (depth + 1.0) ** (depth + 1) / float(depth) ** depth)},
            conditioned=False,
        ),
        Case(
            "gaussian_product_second_moment",
            sizes,
            apart(deep_linear.gaussian_product_second_moment),
            references.gaussian_second_moment,
            conditioned=False,
        ),
        Case(
            "gaussian_product_fourth_norm",
            sizes,
            apart(deep_linear.gaussian_product_fourth_norm),
            lambda n, depth: (1 + mp.mpf(2) / n) ** depth,
            {"exp(D log1p(2 / n))": apart(lambda n, depth: np.exp(depth * np.log1p(2 / n)))},
            conditioned=False,
        ),
        Case(
            "gaussian_product_log_norm",
            sizes,
            apart(deep_linear.gaussian_product_log_norm),
            lambda n, depth: depth * (mp.digamma(mp.mpf(n) / 2) + mp.log(mp.mpf(2) / n)),
            conditioned=False,
        ),
        Case(
            "gaussian_lyapunov_exponents",
            widths,
            apart(deep_linear.gaussian_lyapunov_exponents),
            references.lyapunov_exponents,
            conditioned=False,
            entrywise=True,
        ),
    ]


def _tanh(rng: Draw) -> list[Case]:
    points = _points(q=_decades(rng, 24, -10, 8), gain=_decades(rng, 24, -2, 2))
    deep = [
        {"gain": float(g), "depth": 3, "q0": float(q)}
        for g, q in zip(rng.uniform(0.5, 3, 5), _decades(rng, 5, -3, 2), strict=True)
    ]
    above = [{"gain": 1 + float(e)} for e in 10 ** np.linspace(-8, 1.5, 7)]
    return [
        Case(
            "tanh_length_map",
            points,
            together(deep_linear.tanh_length_map),
            lambda q, gain: mp.mpf(gain) ** 2 * references.tanh_average(q, derivative=False),
            {"Gauss-Hermite, 100 nodes": together(partial(rivals.hermite, derivative=False))},
            digits=40,
        ),
        Case(
            "gradient_gain",
            points,
            together(deep_linear.gradient_gain),
            lambda q, gain: mp.mpf(gain) ** 2 * references.tanh_average(q, derivative=True),
            {"Gauss-Hermite, 100 nodes": together(partial(rivals.hermite, derivative=True))},
            digits=40,
        ),
        Case(
            "tanh_fixed_point",
            above,
            apart(deep_linear.tanh_fixed_point),
            references.tanh_fixed_point,
            {"q = g^2 Gauss-Hermite by brentq": apart(rivals.hermite_fixed_point)},
            digits=40,
        ),
        Case("jacobian_mean_square", deep, apart(deep_linear.jacobian_mean_square), _exact_jacobian, digits=40),
        Case(
            "edge_of_chaos (its two polynomials)",
            _points(gain=1 + _decades(rng, 60, -8, 2)),
            together(deep_linear.edge_of_chaos),
            lambda gain: [(e := mp.mpf(gain) - 1) + 4 * e**2 / 3, 1 + 4 * e**2 / 3],
            entrywise=True,
        ),
    ]


def _decades(rng: Draw, size: Any, low: float, high: float) -> Array:
    return 10 ** rng.uniform(low, high, size)


def _points(**arrays: Array) -> list[Point]:
    return [dict(zip(arrays, map(float, row), strict=True)) for row in zip(*arrays.values(), strict=True)]


def _moments(rng: Draw, n: int, depth: int, *, correlated: bool = True) -> list[Point]:
    """Draw modes from 1e-12 to 1 - 1e-12 of their end, half at times that carry them to a random level, half at any."""
    s, tau = _decades(rng, n, -3, 3), _decades(rng, n, -3, 3)
    eigenvalue = _decades(rng, n, -2, 2) if correlated else np.ones(n)
    start, goal = expit(np.sort(rng.uniform(-28, 28, (2, n)), axis=0))
    unit = deep_linear.mode_time(goal, s=1.0, u0=start, depth=depth)
    unit = np.where(rng.random(n) < 0.5, unit, _decades(rng, n, -8, 4))
    t = unit * tau / (eigenvalue * (s / eigenvalue) ** (2 - 2 / depth))
    points = _points(t=t, s=s, u0=start * s / eigenvalue, tau=tau, input_eigenvalue=eigenvalue)
    return [p for p in points if p["u0"] < p["s"] / p["input_eigenvalue"]]


def _passages(rng: Draw, n: int) -> list[Point]:
    """Draw pairs of strengths from 1e-12 to 1 - 1e-12 of the end, a quarter of them next to one another."""
    s, tau = _decades(rng, n, -3, 3), _decades(rng, n, -3, 3)
    start, end = expit(rng.uniform(-28, 28, (2, n)))
    end = np.where(rng.random(n) < 0.25, start + (1 - start) * _decades(rng, n, -12, -1), end)
    points = _points(u=end * s, s=s, u0=start * s, tau=tau)
    return [p for p in points if p["u"] < p["s"] and p["u0"] < p["s"] and p["u"] != p["u0"]]


def _matrix(seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((4, 3)) * 10.0 ** (seed % 5 - 2)


def _pair(seed: int, decades: float) -> tuple[Array, Array]:
    """Draw a product whose singular values span so many decades, and a gradient."""
    rng = np.random.default_rng(seed)
    u, v = np.linalg.qr(rng.standard_normal((4, 3)))[0], np.linalg.qr(rng.standard_normal((3, 3)))[0]
    return (u * 10 ** -np.linspace(0, decades, 3)) @ v.T, rng.standard_normal((4, 3))


def _two_layers(shape: tuple[int, int, int, float], seed: int, reach: float) -> tuple[Array, Array, Array, list[float]]:
    """Draw balanced (or imbalanced) weights in general position, a task, and the time reach / s_1."""
    n_in, hidden, n_out, imbalance = shape
    rng = np.random.default_rng(seed)
    ranks = min(n_in, hidden, n_out)
    right, left, middle = (np.linalg.qr(rng.standard_normal((k, k)))[0] for k in (n_in, n_out, hidden))
    weaker = rng.uniform(0.1, 0.8, ranks)
    stronger = np.sqrt(weaker**2 + abs(imbalance))
    first, second = (weaker, stronger) if imbalance >= 0 else (stronger, weaker)
    w1 = (middle[:, :ranks] * first) @ right[:, :ranks].T
    w2 = (left[:, :ranks] * second) @ middle[:, :ranks].T
    sigma = rng.standard_normal((n_out, n_in))
    return w1, w2, sigma, [reach / float(np.linalg.norm(sigma, 2))]


def _two_layer_gram(shape: tuple[int, int, int, float], seed: int, reach: float) -> Array:
    w1, w2, sigma, times = _two_layers(shape, seed, reach)
    return deep_linear.two_layer_flow(w1, w2, sigma, times, imbalance=shape[3]).gram


def _riccati_by_inverse(shape: tuple[int, int, int, float], seed: int, reach: float) -> Array:
    w1, w2, sigma, (t,) = _two_layers(shape, seed, reach)
    return rivals.printed_riccati(w1, w2, sigma, t, shape[3])


def _velocity_by_powers(seed: int, depth: float, decades: float) -> Array:
    return rivals.printed_velocity(*_pair(seed, decades), depth)


def _aligned(seed: int) -> tuple[Array, Array, Array, Array, Array, Array]:
    rng = np.random.default_rng(seed)
    u, v = np.linalg.qr(rng.standard_normal((4, 3)))[0], np.linalg.qr(rng.standard_normal((3, 3)))[0]
    s, u0 = rng.uniform(0.5, 2, 3), rng.uniform(0.05, 0.4, 3)
    return (u * u0) @ v.T, (u * s) @ v.T, u, v, s, u0


def _exact_aligned_flow(seed: int, depth: float, t: float) -> Any:
    _, _, u, v, s, u0 = _aligned(seed)
    modes = [references.mode_strength(t, s=si, u0=ui, depth=depth) for si, ui in zip(s, u0, strict=True)]
    return mp.matrix(u.tolist()) * mp.diag(modes) * mp.matrix(v.tolist()).T


def _exact_steps(u: Any, s: Any, u0: Any, rate_constant: Any, depth: float) -> Any:
    factor = mp.mpf(s) ** 2 if depth == np.inf else depth * mp.mpf(s) ** (2 - mp.mpf(2) / depth)
    return factor * references.mode_time(u, s=s, u0=u0, depth=depth) / rate_constant


def _exact_curvature(a: Any, s: Any, depth: int) -> list[Any]:
    a = mp.mpf(a)
    g, h = a ** (2 * depth - 2), 2 * a ** (2 * depth - 2) - s * a ** (depth - 2)
    return [g - h, g + (depth - 1) * h]


def _exact_jacobian(gain: Any, depth: int, q0: Any) -> Any:
    total, q = mp.mpf(1), mp.mpf(q0)
    for _ in range(depth):
        total *= mp.mpf(gain) ** 2 * references.tanh_average(q, derivative=True)
        q = mp.mpf(gain) ** 2 * references.tanh_average(q, derivative=False)
    return total


def _spectral_norm(matrix: Array) -> Any:
    return max(mp.svd_r(mp.matrix(matrix.tolist()), compute_uv=False))
