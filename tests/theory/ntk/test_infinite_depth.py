"""Kernels of infinite depth: series, limits, poles and classifiers, against exact arithmetic and long recursions."""

from math import factorial

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import ntk

units = (
    st.lists(st.floats(-1, 1), min_size=3, max_size=6)
    .filter(lambda c: np.linalg.norm(c) > 0.1)
    .map(lambda c: np.array(c) / np.linalg.norm(c))
)
singular = st.tuples(st.floats(0.3, 0.9), st.floats(0.05, 1), st.floats(0.05, 1)).map(
    lambda t: np.array([0, t[0], *(np.sqrt(1 - t[0] ** 2) * np.array(t[1:]) / np.hypot(*t[1:]))])
)


def exact_ntk(rho, coeffs, depth):
    with mp.workdps(60):
        weights = [mp.mpf(float(c)) ** 2 for c in coeffs]
        total = mp.fsum(weights)
        weights = [w / total for w in weights]
        s = t = rho
        for _ in range(depth):
            slope = mp.fsum(k * w * s ** (k - 1) for k, w in enumerate(weights) if k)
            s = mp.fsum(w * s**k for k, w in enumerate(weights))
            t = s + t * slope
        return t


@given(units, st.floats(-8, 0), st.integers(0, 25))
def test_logarithms_agree_with_sixty_digits(coeffs, log_delta, depth):
    delta = 10**log_delta
    with mp.workdps(60):
        exact = exact_ntk(1 - mp.mpf(delta), np.where(np.abs(coeffs) > 1e-14, coeffs, 0), depth)
    found = float(ntk.deep_ntk(delta, coeffs, depth=depth))
    if exact == 0:
        assert found == -np.inf
    else:
        with mp.workdps(60):
            assert found == pytest.approx(float(mp.log(exact)), abs=1e-9 + 1e-11 * abs(found))


@pytest.mark.parametrize("power", [2, 3])
def test_one_hermite_polynomial_in_closed_form(power):
    delta = np.array([0.0, 0.1, 0.6])
    for depth in (0, 1, 5):
        front = (power ** (depth + 1) - 1) / (power - 1)
        with np.errstate(divide="ignore"):
            wanted = np.log(front) + power**depth * np.log1p(-delta)
        np.testing.assert_allclose(ntk.deep_ntk(delta, np.eye(power + 1)[power], depth=depth), wanted, rtol=1e-12)


@given(units, st.floats(-1, 1))
def test_the_dual_is_a_mean_over_two_gaussians(coeffs, rho):
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()
    scale = np.sqrt([factorial(k) for k in range(len(coeffs))])
    phi = np.polynomial.hermite_e.HermiteE(coeffs / scale)
    u, v = nodes[:, None], rho * nodes[:, None] + np.sqrt(1 - rho**2) * nodes
    both = weights[:, None] * weights
    assert ntk.hermite_dual(rho, coeffs) == pytest.approx(np.sum(both * phi(u) * phi(v)), abs=1e-11)
    slope = phi.deriv()
    assert ntk.hermite_dual(rho, coeffs, derivative=True) == pytest.approx(
        np.sum(both * slope(u) * slope(v)), abs=1e-10
    )


@given(singular, st.floats(-6, -0.05))
def test_koenigs_equation_holds(coeffs, log_delta):
    delta = 10**log_delta
    q = coeffs[1] ** 2
    after = float(-np.sum(coeffs**2 * np.expm1(np.arange(4) * np.log1p(-delta))))
    one, two = (float(ntk.singular_limit(d, coeffs).log_kernel) for d in (delta, after))
    assert two == pytest.approx(one + np.log(q), abs=1e-9)


@given(singular, st.floats(0.05, 0.9))
def test_deep_kernels_tend_to_the_limit_with_its_correction(coeffs, delta):
    limit = ntk.singular_limit(delta, coeffs)
    depth = 400
    deep = float(ntk.deep_ntk(delta, coeffs, depth=depth)) - depth * np.log(coeffs[1] ** 2)
    assert deep == pytest.approx(float(limit.log_kernel + np.log(depth + 1 + limit.correction)), abs=1e-9)


@given(st.integers(1, 6))
def test_the_best_activation_has_the_pole_of_its_dimension(d):
    coeffs = ntk.singular_activation(d)
    assert np.sum(coeffs**2) == pytest.approx(1)
    assert ntk.singular_exponent(coeffs) == pytest.approx(d)
    assert ntk.limit_classifier(coeffs) == "singular_kernel"
    # the pole, read off over one period of its logarithm
    step = np.sum(np.arange(coeffs.size) * coeffs**2)
    far, near = ntk.koenigs_kernel([1e-6, 1e-6 / step], coeffs)
    assert np.log(near / far) / (0.5 * np.log(step)) == pytest.approx(d, rel=1e-5)


@given(units)
def test_every_activation_has_a_limit(coeffs):
    kind = ntk.limit_classifier(coeffs)
    assert kind in {"singular_kernel", "one_nn", "majority", "constant_kernel", "linear"}
    if kind == "majority" and np.sum(np.arange(len(coeffs)) * coeffs**2) > 1.05:
        limit = ntk.majority_limit(coeffs)
        assert ntk.hermite_dual(limit.fixed_point, coeffs) == pytest.approx(limit.fixed_point, abs=1e-12)
        assert 0 <= limit.slope < 1
        assert ntk.off_diagonal_ratio(coeffs) == 0


def test_majority_that_is_known():
    coeffs = np.sqrt([0.2, 0.4, 0.0, 0.4])
    np.testing.assert_allclose(ntk.majority_limit(coeffs), [0.366025, 0.56077, 0.833333], atol=1e-6)
    assert np.exp(ntk.deep_ntk(0.5, coeffs, depth=200)) == pytest.approx(5 / 6)
    assert ntk.off_diagonal_ratio(np.sqrt([0.5, 0.4, 0.1])) == 1
    assert ntk.off_diagonal_ratio([0.5, 0.5**0.5, 0.5]) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ntk.hermite_dual(1.1, [1.0]), "rho must be in"),
        (lambda: ntk.hermite_dual(0.5, []), "coeffs must hold"),
        (lambda: ntk.deep_ntk(-0.1, [0.0, 1.0], depth=1), "one_minus_rho must be in"),
        (lambda: ntk.deep_ntk(0.1, [0.5, 0.5], depth=1), "coeffs must have unit norm"),
        (lambda: ntk.deep_ntk(0.1, [0.0, 1.0], depth=-1), "depth must be at least 0"),
        (lambda: ntk.koenigs_kernel(0.1, [0.6, 0.8]), "c_0"),
        (lambda: ntk.singular_exponent([0.0, 1.0]), "c_1"),
        (lambda: ntk.singular_activation(0), "d must be at least 1"),
        (lambda: ntk.majority_limit([0.0, 0.6, 0.8]), "c_0 != 0"),
        (lambda: ntk.off_diagonal_ratio([0.0, 1.0]), "c_0 != 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
