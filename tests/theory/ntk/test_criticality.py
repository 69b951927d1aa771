"""Signal propagation and criticality: closed forms, fixed points, series, decay, vertices, and bad input."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory import ntk
from theory.ntk.activations import Activation
from theory.ntk.criticality import moments, taylor

SMOOTH = ("tanh", "sin", "erf", "gelu", "swish")
PHI = {
    "tanh": mp.tanh,
    "sin": mp.sin,
    "gelu": lambda z: z * mp.ncdf(z),
    "swish": lambda z: z / (1 + mp.exp(-z)),
}


def gaussian(f, k):
    with mp.workdps(25):
        root = mp.sqrt(mp.mpf(k))
        edges = [-12, -6, -3, -1, 0, 1, 3, 6, 12]
        return mp.quad(lambda x: f(root * x) * mp.npdf(x), edges)


@pytest.mark.parametrize("name", PHI)
@pytest.mark.parametrize("k", [0.05, 2.0, 20.0])
def test_susceptibilities_by_adaptive_quadrature(name, k):
    phi = PHI[name]
    parallel = gaussian(lambda z: phi(z) ** 2 * (z * z - k), k) / (2 * mp.mpf(k) ** 2)
    perpendicular = gaussian(lambda z: mp.diff(phi, z) ** 2, k)
    found = ntk.susceptibilities(k, activation=name, c_w=1.0)
    assert found.parallel == pytest.approx(float(parallel), rel=1e-11)
    assert found.perpendicular == pytest.approx(float(perpendicular), rel=1e-9)


@given(st.sampled_from(SMOOTH), st.floats(0.05, 30), st.floats(0.2, 3))
def test_parallel_susceptibility_is_the_slope_of_the_kernel_map(name, k, c_w):
    step = 1e-4 * k
    path = [
        ntk.representation_flow(v, activation=name, c_w=c_w, c_b=0.1, depth=2).kernel[1] for v in (k - step, k + step)
    ]
    found = ntk.susceptibilities(k, activation=name, c_w=c_w).parallel
    assert found == pytest.approx((path[1] - path[0]) / (2 * step), rel=1e-6)


@given(st.floats(-2, 2), st.floats(0.01, 50))
def test_piecewise_linear_layers_do_not_care_about_the_variance(slope, k):
    found = ntk.susceptibilities(k, activation=("leaky_relu", slope), c_w=1.4)
    assert found.parallel == found.perpendicular == pytest.approx(0.7 * (1 + slope**2))


@pytest.mark.parametrize("name", ["tanh", "sin", "erf", "gelu", "swish"])
def test_critical_points_are_critical(name):
    c_w, c_b, k_star = ntk.critical_point(name)
    if k_star == 0:
        assert c_b == 0
        chi = ntk.susceptibilities(1e-7, activation=name, c_w=c_w)
        np.testing.assert_allclose(chi, 1, atol=1e-6)
    else:
        np.testing.assert_allclose(ntk.susceptibilities(k_star, activation=name, c_w=c_w), 1, rtol=1e-10)
        assert c_b + c_w * moments(ntk.activations.resolve(name), k_star).square == pytest.approx(k_star, rel=1e-11)


def test_critical_points_that_are_known():
    gelu = ntk.critical_point("gelu")
    assert gelu.k_star == pytest.approx((3 + np.sqrt(17)) / 2, rel=1e-11)
    assert gelu.c_w == pytest.approx(1.983058257, abs=1e-9)
    assert gelu.c_b == pytest.approx(0.172922391, abs=1e-9)
    swish = ntk.critical_point("swish")
    assert swish.k_star == pytest.approx(14.32017362, abs=1e-8)
    assert swish.c_w == pytest.approx(1.98800467827, abs=1e-10)
    assert ntk.critical_point("relu")[:2] == (2.0, 0.0)
    assert ntk.critical_point("linear").c_w == 1
    assert np.isnan(ntk.critical_point("relu").k_star)


def test_the_two_critical_lines_meet_in_the_critical_point():
    point = ntk.critical_point("swish")
    for direction in ("parallel", "perpendicular"):
        tuned = ntk.critical_line(point.k_star, activation="swish", direction=direction)
        np.testing.assert_allclose(tuned, point[:2], rtol=1e-9)


@pytest.mark.parametrize("name", ["tanh", "sin", "erf"])
def test_series_of_small_variances(name):
    series = ntk.small_variance_series(name)
    k = np.array([1e-2, 2e-2])
    square = moments(ntk.activations.resolve(name), k).square * series.c_w
    rest = square / k - 1 - series.a1 * k - series.a2 * k**2
    assert rest[1] / rest[0] == pytest.approx(8, rel=0.25)  # the next term is of third order
    chi = ntk.susceptibilities(k, activation=name, c_w=series.c_w)
    for found, one, two in ((chi.parallel, 2 * series.a1, 3 * series.a2), (chi.perpendicular, series.b1, series.b2)):
        rest = found - 1 - one * k - two * k**2
        assert rest[1] / rest[0] == pytest.approx(8, rel=0.3)


def test_derivatives_of_a_function_come_from_a_polynomial():
    bent = Activation(lambda z: np.sin(z) + 0.5 * (1 - np.cos(z)), lambda z: np.cos(z) + 0.5 * np.sin(z), "bent")
    np.testing.assert_allclose(taylor(bent), [0, 1, 0.5, -1, -0.5, 1], atol=1e-7)


@given(st.sampled_from(("tanh", "sin", "erf")), st.floats(0.1, 3))
def test_critical_signals_fade_as_one_over_depth(name, k1):
    decay = ntk.critical_decay(name)
    kernel = ntk.representation_flow(k1, activation=name, c_w=ntk.critical_point(name).c_w, c_b=0.0, depth=800).kernel
    change = (1 / kernel[799] - 1 / kernel[399]) / 400
    assert change == pytest.approx(decay.rate + decay.log * np.log(2) / 400, rel=2e-3)
    assert np.all(np.diff(kernel) < 0)


def test_vertices_grow_as_the_slopes_say():
    for name, nu in (("relu", 5.0), ("linear", 2.0), (("leaky_relu", 0.5), 3.08)):
        assert ntk.vertex_slope(name) == pytest.approx(nu)
        flow = ntk.representation_flow(1.3, activation=name, c_w=ntk.critical_point(name).c_w, c_b=0.0, depth=6)
        np.testing.assert_allclose(flow.vertex / 1.3**2, nu * np.arange(6), rtol=1e-12)
    for name, known in (("tanh", 0.6641), ("sin", 0.66669)):
        flow = ntk.representation_flow(1.0, activation=name, c_w=1.0, c_b=0.0, depth=1000)
        assert flow.vertex[-1] / flow.kernel[-1] ** 2 / 1000 == pytest.approx(known, abs=1e-3)
        assert ntk.vertex_slope(name) == pytest.approx(2 / 3)


@given(st.lists(st.integers(2, 60), min_size=1, max_size=6))
def test_moment_ratios_factorise_over_layers(widths):
    parts = [ntk.kernel_moment_ratio([n], activation="relu") for n in widths]
    assert ntk.kernel_moment_ratio(widths, activation="relu") == pytest.approx(np.prod(parts))
    assert ntk.kernel_moment_ratio([10**9], activation="relu") == pytest.approx(1, abs=1e-8)


@given(st.integers(1, 40), st.integers(1, 40))
def test_information_is_the_entropy_that_the_whole_lacks_more_than_its_parts(m1, m2):
    whole, one, two = (ntk.entropy_expansion(m) for m in (m1 + m2, m1, m2))
    found = ntk.information_expansion(m1, m2)
    assert found.quadratic == pytest.approx(whole.quadratic - one.quadratic - two.quadratic)
    assert found.cubic == pytest.approx(whole.cubic - one.cubic - two.cubic)


@given(st.integers(2, 100), st.floats(0.1, 10))
def test_the_best_aspect_ratio_is_a_maximum(n_out, nu):
    best = float(ntk.optimal_aspect_ratio(n_out, nu=nu))
    found = ntk.information_expansion(n_out / 2, n_out / 2)

    def information(r):
        return found.quadratic * (nu * r) ** 2 + found.cubic * (nu * r) ** 3

    assert information(best) >= max(information(0.99 * best), information(1.01 * best)) > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ntk.susceptibilities(0.0, activation="tanh", c_w=1.0), "k must be positive"),
        (lambda: ntk.susceptibilities(1.0, activation="tanh", c_w=-1.0), "c_w must be nonnegative"),
        (lambda: ntk.susceptibilities(1.0, activation=np.tanh, c_w=1.0), "derivative"),
        (lambda: ntk.small_variance_series(np.cos), "activation must vanish at 0"),
        (lambda: ntk.small_variance_series("relu"), "smooth at 0"),
        (lambda: ntk.critical_point(("leaky_relu", 0.0))._replace() and ntk.critical_decay("gelu"), "a_1"),
        (lambda: ntk.critical_line(1.0, activation="tanh", direction="across"), "direction must be"),
        (
            lambda: ntk.representation_flow(1.0, activation="relu", c_w=2.0, c_b=0.0, depth=0),
            "depth must be at least 1",
        ),
        (lambda: ntk.representation_flow(1.0, activation="relu", c_w=1e9, c_b=0.0, depth=90), "overflow"),
        (
            lambda: ntk.representation_flow(1.0, activation="relu", c_w=2.0, c_b=0.0, depth=3, widths=[4]),
            "widths must hold",
        ),
        (lambda: ntk.kernel_moment_ratio([4], activation="tanh"), "piecewise linear"),
        (lambda: ntk.kernel_moment_ratio([0], activation="relu"), "widths must be at least 1"),
        (lambda: ntk.optimal_aspect_ratio(1, nu=5.0), "n_out must be at least 2"),
        (lambda: ntk.optimal_aspect_ratio(10, nu=0.0), "nu must be positive"),
        (lambda: ntk.entropy_expansion(-1), "m must be nonnegative"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
