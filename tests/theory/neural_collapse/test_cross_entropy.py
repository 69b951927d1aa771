import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from theory.neural_collapse import ufm_ce_cross_polytope, ufm_ce_etf

# (K, n, M, decay of every factor, simplex value, cross-polytope value): the lower one was reached by direct
# minimisation when the formulas were derived.
DEEP = [
    (6, 2, 2, 5e-4, 0.02057157, 0.01933147),
    (6, 2, 2, 1e-4, 0.00460403, 0.00433591),
    (8, 2, 2, 1e-4, 0.00644561, 0.00582550),
    (10, 1, 2, 1e-4, 0.00667455, 0.00588914),
    (4, 2, 3, 3e-4, 0.00679162, 0.00628571),
    (6, 2, 3, 2e-4, 0.00770476, 0.00651838),
]


def etf_value(a, k, n, decays):
    factors = len(decays)
    price = np.exp(np.mean(np.log(decays)))
    return np.log1p((k - 1) * np.exp(-a)) + factors / 2 * price * (k - 1) * (a**2 * n) ** (1 / factors)


def polytope_value(t, k, n, decays):
    factors = len(decays)
    price = np.exp(np.mean(np.log(decays)))
    fit = np.log1p((k - 2) * np.exp(-t) + np.exp(-2 * t))
    return fit + factors / 2 * price * k / 2 * (4 * t**2 * n) ** (1 / factors)


@pytest.mark.parametrize(("k", "n", "depth", "lam", "etf", "polytope"), DEEP)
def test_deep_values(k, n, depth, lam, etf, polytope):
    assert ufm_ce_etf(k, n, weight_decays=[lam] * depth, feature_decay=lam).loss == pytest.approx(etf, abs=6e-9)
    cross = ufm_ce_cross_polytope(k, n, weight_decays=[lam] * depth, feature_decay=lam)
    assert cross.loss == pytest.approx(polytope, abs=6e-9)
    assert cross.rank == k // 2


def test_one_layer_values():
    first = ufm_ce_etf(4, 3, weight_decays=[0.01], feature_decay=0.01)
    assert first.margin == pytest.approx(4.00250385, abs=5e-9)
    assert first.loss == pytest.approx(0.26133639, abs=5e-9)
    second = ufm_ce_etf(4, 3, weight_decays=[0.01], feature_decay=0.02)
    assert (second.margin, second.loss) == pytest.approx((3.63296574, 0.34329208), abs=5e-9)
    assert second.singular_value == pytest.approx(second.margin * np.sqrt(3))


def test_one_layer_simplex_is_the_global_minimum():
    k, n, lam = 3, 2, (0.03, 0.05)
    labels = np.repeat(np.eye(k), n, axis=1)

    def value(x):
        h, w = x[: 3 * k * n].reshape(3, k * n), x[3 * k * n :].reshape(k, 3)
        z = w @ h
        top = z.max(axis=0)
        fit = np.mean(top + np.log(np.exp(z - top).sum(axis=0)) - np.sum(z * labels, axis=0))
        return fit + lam[0] / 2 * np.sum(h**2) + lam[1] / 2 * np.sum(w**2)

    rng = np.random.default_rng(0)
    found = [minimize(value, rng.normal(size=3 * k * n + 3 * k), method="BFGS", tol=1e-9).fun for _ in range(3)]
    assert min(found) == pytest.approx(ufm_ce_etf(k, n, weight_decays=[lam[1]], feature_decay=lam[0]).loss, abs=1e-9)


@given(
    k=st.integers(2, 12), n=st.integers(1, 20), lam=st.floats(1e-8, 0.5), depth=st.integers(1, 6), ratio=st.floats(1, 9)
)
@pytest.mark.parametrize("kind", ["etf", "polytope"])
def test_branches_are_minimised(kind, k, n, lam, depth, ratio):
    solver, value = (ufm_ce_etf, etf_value) if kind == "etf" else (ufm_ce_cross_polytope, polytope_value)
    k = 2 * k if kind == "polytope" else k
    decays = [lam, *[lam * ratio] * depth]
    got = solver(k, n, weight_decays=decays[1:], feature_decay=decays[0])
    assert got.loss == pytest.approx(value(got.margin, k, n, decays), rel=1e-12)
    grid = np.concatenate([[0.0], np.geomspace(1e-6, 80, 3000)])
    values = value(grid, k, n, decays)
    assert got.loss <= values.min() * (1 + 1e-12)
    if got.margin > 0:
        near = minimize_scalar(value, bounds=(got.margin * 0.99, got.margin * 1.01), args=(k, n, decays))
        assert got.loss <= near.fun * (1 + 1e-13)
        assert got.singular_value > 0
    else:
        assert (got.rank, got.singular_value, got.loss) == (0, 0.0, pytest.approx(np.log(k)))


@given(n=st.integers(1, 20), lam=st.floats(1e-8, 0.3), depth=st.integers(1, 6))
def test_two_classes_are_a_simplex_and_a_cross_polytope(n, lam, depth):
    a = ufm_ce_etf(2, n, weight_decays=[lam] * depth, feature_decay=lam)
    b = ufm_ce_cross_polytope(2, n, weight_decays=[lam] * depth, feature_decay=lam)
    assert a.loss == pytest.approx(b.loss, rel=1e-12)
    assert a.margin == pytest.approx(2 * b.margin, rel=1e-9)


@pytest.mark.parametrize("lam", [1e-120, 1e-12, 1e-3])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_margin_to_full_precision(lam, depth):
    k, n = 7, 3
    got = ufm_ce_etf(k, n, weight_decays=[lam] * depth, feature_decay=lam)
    with mpmath.workdps(40):
        power = mpmath.mpf(2) / (depth + 1)
        price = mpmath.mpf(lam) * mpmath.mpf(n) ** (power / 2)
        a = mpmath.findroot(
            lambda a: mpmath.log(mpmath.exp(a) + k - 1) + mpmath.log(price) + (power - 1) * mpmath.log(a), got.margin
        )
    assert got.margin == pytest.approx(float(a), rel=1e-14)


@pytest.mark.parametrize("k", [4, 6, 10])
@pytest.mark.parametrize("lam", [1e-6, 1e-4, 1e-2])
def test_cross_polytope_never_beats_the_simplex_of_one_layer(k, lam):
    etf = ufm_ce_etf(k, 2, weight_decays=[lam], feature_decay=lam)
    assert etf.loss < ufm_ce_cross_polytope(k, 2, weight_decays=[lam], feature_decay=lam).loss


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
@pytest.mark.parametrize("k", [4, 6, 8, 12])
def test_winner_at_vanishing_decay(k, depth):
    factors = depth + 1
    costs = k / 2 * 4 ** (1 / factors), k - 1
    problem = {"weight_decays": [1e-60] * depth, "feature_decay": 1e-60}
    etf, cross = ufm_ce_etf(k, 2, **problem), ufm_ce_cross_polytope(k, 2, **problem)
    if abs(costs[0] / costs[1] - 1) > 0.02:
        assert (cross.loss < etf.loss) == (costs[0] < costs[1])


def test_heavy_decay_leaves_nothing():
    got = ufm_ce_etf(4, 3, weight_decays=[2.0], feature_decay=2.0)
    assert got == (0.0, pytest.approx(np.log(4)), 0.0, 0)
    border = 1 / (16 * 3)
    assert ufm_ce_etf(4, 3, weight_decays=[1.0], feature_decay=border * 1.0001).margin == 0
    assert ufm_ce_etf(4, 3, weight_decays=[1.0], feature_decay=border * 0.9999).margin > 0


@pytest.mark.parametrize("solver", [ufm_ce_etf, ufm_ce_cross_polytope])
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"num_classes": 1}, "num_classes"),
        ({"samples_per_class": 0}, "samples_per_class"),
        ({"weight_decays": [0.0]}, "weight_decays"),
        ({"feature_decay": -1.0}, "feature_decay"),
    ],
)
def test_bad_input_names_the_argument(solver, change, name):
    arguments = {"num_classes": 4, "samples_per_class": 2, "weight_decays": [0.1], "feature_decay": 0.1} | change
    with pytest.raises(ValueError, match=rf"^{name}\b"):
        solver(**arguments)


def test_odd_classes_have_no_pairs():
    with pytest.raises(ValueError, match=r"^num_classes\b"):
        ufm_ce_cross_polytope(5, 2, weight_decays=[0.1], feature_decay=0.1)
