"""Variances of random features and distances to a Gaussian: against quadrature, and limits that are known."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.ntk import snnk_feature_variance, w1_width_coefficient

ANGLE = st.floats(-1.5, 1.5)


@given(st.tuples(ANGLE, ANGLE))
def test_variances_by_quadrature(pair):
    x, w = pair
    # after completion of the square the second moment is a Gaussian mean of an exponential
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    real = np.exp(nodes * (x + w) - (x * x + w * w) / 2)
    phase = np.exp(nodes * (1j * x + w) + (x * x - w * w) / 2)
    for feature, kind in ((real, "exp"), (phase, "phase")):
        mean = weights @ feature
        variance = weights @ np.abs(feature) ** 2 - np.abs(mean) ** 2
        assert snnk_feature_variance([x], [w], kind=kind) == pytest.approx(variance, rel=1e-9, abs=1e-12)
    assert weights @ real == pytest.approx(np.exp(x * w))
    assert weights @ phase == pytest.approx(np.exp(1j * x * w))


def test_variances_broadcast_and_depend_on_products_only():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 1, 3)), rng.normal(size=(5, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    for kind in ("exp", "phase"):
        found = snnk_feature_variance(x, w, kind=kind)
        assert found.shape == (4, 5)
        np.testing.assert_allclose(snnk_feature_variance(x @ turn, w @ turn, kind=kind), found, rtol=1e-11)


def test_opposite_inputs_have_no_variance_and_small_ones_keep_theirs():
    assert snnk_feature_variance([0.7, -0.2], [-0.7, 0.2], kind="exp") == 0
    assert snnk_feature_variance([1e-9], [0.0], kind="exp") == pytest.approx(1e-18, rel=1e-12)
    assert snnk_feature_variance([1e-9], [0.0], kind="phase") == pytest.approx(1e-18, rel=1e-12)


@pytest.mark.parametrize("kappa", [0.5, 6.0, 15.0])
def test_distance_is_the_area_of_the_first_correction(kappa):
    def area(z):
        return abs(z**3 - 3 * z) * mpmath.npdf(z)

    root = mpmath.sqrt(3)
    expected = mpmath.mpf(kappa) / 24 * 2 * mpmath.quad(area, [0, root, 2 * root, 20])
    assert w1_width_coefficient(kappa) == pytest.approx(float(expected), rel=1e-13)


def test_distance_of_a_scale_mixture():
    # f given its variance is Gaussian; by the formula for W1 of monotone quantiles, for a variance 1 +- s
    spread = 0.02
    z = np.linspace(-12, 12, 1201)
    cdf = np.vectorize(lambda t: 0.5 * (mpmath.ncdf(t / np.sqrt(1 + spread)) + mpmath.ncdf(t / np.sqrt(1 - spread))))
    gap = np.abs((cdf(z) - np.vectorize(mpmath.ncdf)(z)).astype(float))
    assert np.sum(gap) * (z[1] - z[0]) == pytest.approx(w1_width_coefficient(3 * spread**2), rel=2e-3)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: snnk_feature_variance([1.0, 2.0], [1.0], kind="exp"), "w must"),
        (lambda: snnk_feature_variance(1.0, [1.0], kind="exp"), "w must"),
        (lambda: snnk_feature_variance([np.nan], [1.0], kind="exp"), "x"),
        (lambda: snnk_feature_variance([1.0], [1.0], kind="cos"), "kind"),
        (lambda: w1_width_coefficient(-1.0), "excess_kurtosis_times_n"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
