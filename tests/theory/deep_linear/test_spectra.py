from fractions import Fraction
from itertools import product as choices

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.deep_linear.spectra import (
    edge_of_chaos,
    fuss_catalan_moment,
    gaussian_lyapunov_exponents,
    gaussian_product_edge,
    gaussian_product_fourth_norm,
    gaussian_product_log_norm,
    gaussian_product_second_moment,
    gradient_gain,
    jacobian_mean_square,
    tanh_fixed_point,
    tanh_length_map,
)


def average(f, q):
    """E f(sqrt(q) z) in 25 digits, with break points where f bends."""
    with mpmath.workdps(25):
        q = mpmath.mpf(q)
        bends = [min(mpmath.mpf(k), mpmath.mpf(12)) for k in (1 / mpmath.sqrt(q), 4 / mpmath.sqrt(q))]
        points = sorted({mpmath.mpf(0), *bends, mpmath.mpf(3), mpmath.mpf(7), mpmath.mpf(16)})
        return 2 * mpmath.quad(lambda z: f(mpmath.sqrt(q) * z) * mpmath.npdf(z), points)


@given(depth=st.integers(1, 8), order=st.integers(0, 9))
def test_moments_solve_the_functional_equation(depth, order):
    # the generating function of the Fuss-Catalan numbers obeys B = 1 + z B^(D+1)
    moments = [int(fuss_catalan_moment(k, depth=depth)) for k in range(order + 2)]
    power = [1] + [0] * (order + 1)
    for _ in range(depth + 1):
        power = [sum(power[i] * moments[k - i] for i in range(k + 1)) for k in range(order + 2)]
    assert moments[0] == 1
    assert moments[order + 1] == power[order]


def test_moments_of_known_cases():
    assert fuss_catalan_moment([0, 1, 2, 3, 4], depth=1) == pytest.approx([1, 1, 2, 5, 14])
    assert fuss_catalan_moment(2, depth=9) == 10.0
    assert isinstance(fuss_catalan_moment(2, depth=9), float)


@pytest.mark.parametrize("depth", [1, 2, 3, 64, 65, 1000])
def test_edge_is_the_growth_rate_of_the_moments(depth):
    exact = mpmath.mpf(depth + 1) ** (depth + 1) / mpmath.mpf(depth) ** depth
    assert gaussian_product_edge(depth=depth) == pytest.approx(float(exact), rel=1e-14)
    if depth <= 3:
        # m_(k+1) / m_k = edge (1 - 3/(2k) + O(1/k^2)), so that one Richardson step leaves O(1/k^2)
        r100, r200 = (fuss_catalan_moment(k + 1, depth=depth) / fuss_catalan_moment(k, depth=depth) for k in (50, 100))
        assert 2 * r200 - r100 == pytest.approx(gaussian_product_edge(depth=depth), rel=2e-3)


def second_moment_by_pairing(n):
    """E tr (W^T W)^2 / n for one factor, from the moments E g^2 = 1, E g^4 = 3 summed over all index choices."""
    total = 0
    for i, j, k, m in choices(range(n), repeat=4):
        entries = [(i, j), (k, j), (k, m), (i, m)]
        counts = {entry: entries.count(entry) for entry in entries}
        total += np.prod([{1: 0, 2: 1, 3: 0, 4: 3}[c] for c in counts.values()])
    return total / n**3


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_second_moment_of_one_factor(n):
    assert gaussian_product_second_moment(n=n, depth=1) == pytest.approx(second_moment_by_pairing(n), rel=1e-14)


@given(n=st.integers(1, 200), depth=st.integers(0, 30))
def test_second_moment_obeys_its_recursion_and_limits(n, depth):
    x = y = Fraction(1)
    for _ in range(depth):
        x, y = x + 2 * y / n**2, x + (1 + Fraction(1, n)) * y
    assert gaussian_product_second_moment(n=n, depth=depth) == pytest.approx(float(y), rel=1e-13)
    assert gaussian_product_second_moment(n=10**9, depth=depth) == pytest.approx(depth + 1, rel=1e-6)
    # a scalar product has E g^4 = 3 per factor
    assert gaussian_product_second_moment(n=1, depth=depth) == pytest.approx(3.0**depth, rel=1e-13)


def test_moments_agree_with_sampled_products():
    rng = np.random.default_rng(0)
    n, depth, draws = 6, 3, 20_000
    product = np.broadcast_to(np.eye(n), (draws, n, n))
    for _ in range(depth):
        product = rng.normal(size=(draws, n, n)) / np.sqrt(n) @ product
    norms = np.sum(product[:, :, 0] ** 2, axis=1)
    gram = product @ product.transpose(0, 2, 1)
    samples = {
        gaussian_product_second_moment(n=n, depth=depth): np.einsum("dij,dij->d", gram, gram) / n,
        gaussian_product_fourth_norm(n=n, depth=depth): norms**2,
        gaussian_product_log_norm(n=n, depth=depth): np.log(norms),
    }
    for expected, values in samples.items():
        assert values.mean() == pytest.approx(expected, abs=5 * values.std() / np.sqrt(draws))


@given(n=st.integers(1, 300), depth=st.integers(1, 20))
def test_exponents_and_the_typical_norm(n, depth):
    exponents = gaussian_lyapunov_exponents(n)
    assert exponents.shape == (n,)
    assert np.all(np.diff(exponents) < 0)
    # a random vector grows at the top exponent, and the volume at the sum: E ln det(W^T W)
    assert gaussian_product_log_norm(n=n, depth=depth) == pytest.approx(2 * depth * exponents[0], rel=1e-13)
    volume = sum(mpmath.digamma(mpmath.mpf(k) / 2) for k in range(1, n + 1)) + n * mpmath.log(mpmath.mpf(2) / n)
    assert 2 * exponents.sum() == pytest.approx(float(volume), rel=1e-11, abs=1e-12)
    # Jensen: the typical vector shrinks
    assert gaussian_product_log_norm(n=n, depth=depth) < 0 < np.log(gaussian_product_fourth_norm(n=n, depth=depth))


@pytest.mark.parametrize("q", [1e-6, 0.01, 0.3, 0.999, 1.0, 1.001, 3.0, 40.0, 1e4])
def test_length_map_and_gain_match_quadrature(q):
    length = average(lambda y: mpmath.tanh(y) ** 2, q)
    stretch = average(lambda y: mpmath.sech(y) ** 4, q)
    assert float(tanh_length_map(q, gain=1.3)) == pytest.approx(1.69 * float(length), rel=2e-15, abs=0)
    assert float(gradient_gain(q, gain=1.3)) == pytest.approx(1.69 * float(stretch), rel=2e-15, abs=0)


def test_length_map_and_gain_at_the_ends():
    assert float(tanh_length_map(0.0, gain=2.0)) == 0
    assert float(gradient_gain(0.0, gain=2.0)) == pytest.approx(4, rel=1e-15)
    assert float(tanh_length_map(1e-30, gain=1.0)) == pytest.approx(1e-30, rel=1e-14, abs=0)
    # far out tanh is a sign: 1 - E sech^2 with int sech^2 = 2, and int sech^4 = 4/3
    density = np.sqrt(1 / (2 * np.pi * 1e12))
    assert float(tanh_length_map(1e12, gain=1.0)) == pytest.approx(1 - 2 * density, rel=1e-13)
    assert float(gradient_gain(1e12, gain=1.0)) == pytest.approx(4 / 3 * density, rel=1e-10, abs=0)


@given(q=st.floats(1e-8, 1e4), gain=st.floats(0.1, 5))
def test_gain_is_bounded_by_the_slope_of_the_length_map(q, gain):
    assert gradient_gain(q, gain=gain) == pytest.approx(gain**2 * gradient_gain(q, gain=1.0), rel=1e-14)
    assert 0 < gradient_gain(q, gain=gain) <= gain**2 * (1 + 1e-15)
    assert tanh_length_map(q, gain=gain) <= gain**2 * min(q, 1.0) * (1 + 1e-15)
    assert tanh_length_map(1.01 * q, gain=gain) > tanh_length_map(q, gain=gain)


def test_lengths_broadcast():
    table = tanh_length_map([[0.1], [2.0]], gain=[0.5, 1.0, 2.0])
    assert table.shape == (2, 3)
    assert table[1, 2] == pytest.approx(float(tanh_length_map(2.0, gain=2.0)))
    assert gradient_gain([], gain=1.0).shape == (0,)


@pytest.mark.parametrize("gain", [0.01, 0.5, 1.0])
def test_no_length_survives_up_to_gain_one(gain):
    assert tanh_fixed_point(gain=gain) == 0
    assert jacobian_mean_square(gain=gain, depth=3) == pytest.approx(gain**6, rel=1e-14)


@given(gain=st.floats(1.001, 1e3))
def test_fixed_point_solves_its_equation_and_attracts(gain):
    q = tanh_fixed_point(gain=gain)
    assert float(tanh_length_map(q, gain=gain)) == pytest.approx(q, rel=1e-13, abs=0)
    below, above = tanh_length_map(0.9 * q, gain=gain), tanh_length_map(1.1 * q, gain=gain)
    assert 0.9 * q < below < q < above < 1.1 * q


def test_expansion_at_the_edge_of_chaos():
    excess = np.array([1e-2, 5e-3, 2.5e-3])
    fixed, stretch = edge_of_chaos(gain=1 + excess)
    q = np.array([tanh_fixed_point(gain=1 + e) for e in excess])
    for error in (q - fixed, gradient_gain(q, gain=1 + excess) - stretch):
        assert np.log2(np.abs(error[:-1] / error[1:])) == pytest.approx(3, abs=0.05)
    # relative accuracy of the fixed point survives where g^2 E tanh^2 - q has cancelled away
    tiny = 1e-12
    assert tanh_fixed_point(gain=1 + tiny) == pytest.approx((1 + tiny) - 1, rel=1e-11, abs=0)


def test_length_at_gain_one_decays_as_one_over_twice_the_layer():
    q = 1.0
    for _ in range(2000):
        q = float(tanh_length_map(q, gain=1.0))
    assert 2 * 2000 * q == pytest.approx(1, abs=0.005)


@given(gain=st.floats(0.5, 3), q0=st.floats(0, 5), depth=st.integers(0, 6), more=st.integers(0, 6))
def test_jacobian_gains_compose(gain, q0, depth, more):
    q = q0
    for _ in range(depth):
        q = float(tanh_length_map(q, gain=gain))
    first = jacobian_mean_square(gain=gain, depth=depth, q0=q0)
    assert jacobian_mean_square(gain=gain, depth=depth + more, q0=q0) == pytest.approx(
        first * jacobian_mean_square(gain=gain, depth=more, q0=q), rel=1e-12
    )


def test_jacobian_from_the_fixed_point_is_a_power():
    q = tanh_fixed_point(gain=1.2)
    assert jacobian_mean_square(gain=1.2, depth=20) == pytest.approx(float(gradient_gain(q, gain=1.2)) ** 20)
    assert jacobian_mean_square(gain=1.2, depth=20, q0=q) == pytest.approx(jacobian_mean_square(gain=1.2, depth=20))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fuss_catalan_moment(-1, depth=2), "k must hold whole numbers"),
        (lambda: fuss_catalan_moment([1, 1.5], depth=2), "k must hold whole numbers"),
        (lambda: fuss_catalan_moment(1000, depth=3), "k must be so small"),
        (lambda: fuss_catalan_moment(1, depth=0), "depth must be at least 1"),
        (lambda: gaussian_product_edge(depth=0), "depth must be at least 1"),
        (lambda: gaussian_product_second_moment(n=0, depth=1), "n must be at least 1"),
        (lambda: gaussian_product_second_moment(n=1, depth=10**4), "depth must be so small"),
        (lambda: gaussian_product_fourth_norm(n=3, depth=-1), "depth must be at least 0"),
        (lambda: gaussian_product_fourth_norm(n=1, depth=10**4), "depth must be so small"),
        (lambda: gaussian_product_log_norm(n=0, depth=1), "n must be at least 1"),
        (lambda: gaussian_lyapunov_exponents(0), "n must be at least 1"),
        (lambda: tanh_length_map(-0.1, gain=1.0), "q must be nonnegative"),
        (lambda: tanh_length_map([0.1, 0.2], gain=[1.0, 1.0, 1.0]), "q and gain must have shapes that broadcast"),
        (lambda: gradient_gain(0.1, gain=0.0), "gain must be positive"),
        (lambda: gradient_gain(np.nan, gain=1.0), "q must be finite"),
        (lambda: tanh_fixed_point(gain=-1.0), "gain must be positive"),
        (lambda: tanh_fixed_point(gain=np.inf), "gain must be finite"),
        (lambda: jacobian_mean_square(gain=1.0, depth=-1), "depth must be at least 0"),
        (lambda: jacobian_mean_square(gain=1.0, depth=1, q0=-1.0), "q0 must be nonnegative"),
        (lambda: edge_of_chaos(gain=0.9), "gain must be at least 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call", [lambda: gaussian_lyapunov_exponents(2.0), lambda: gaussian_product_edge(depth=1.5)])
def test_counts_must_be_integers(call):
    with pytest.raises(TypeError, match="must be an integer"):
        call()
