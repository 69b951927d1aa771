"""Variances of random features and distances to a Gaussian: against quadrature, and limits that are known."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from theory.ntk import snnk_feature_variance, snnk_gaussian_unit, w1_width_coefficient, w1_width_correction

ANGLE = st.floats(-1.5, 1.5)


@given(st.tuples(ANGLE, ANGLE))
def test_variances_by_quadrature(pair):
    x, w = pair
    # after completion of the square the second moment is a Gaussian mean of an exponential
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    real = np.exp(nodes * (x + w) - (x * x + w * w) / 2)
    phase = np.exp(nodes * (1j * x + w) + (x * x - w * w) / 2)
    for feature, kind in ((real, "exp"), (phase, "phase"), (phase.real, "cosine")):
        mean = weights @ feature
        variance = weights @ np.abs(feature) ** 2 - np.abs(mean) ** 2
        assert snnk_feature_variance([x], [w], kind=kind) == pytest.approx(variance, rel=1e-9, abs=1e-12)
    assert weights @ real == pytest.approx(np.exp(x * w))
    assert weights @ phase == pytest.approx(np.exp(1j * x * w))


def test_variances_broadcast_and_depend_on_products_only():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(4, 1, 3)), rng.normal(size=(5, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    for kind in ("exp", "phase", "cosine"):
        found = snnk_feature_variance(x, w, kind=kind)
        assert found.shape == (4, 5)
        np.testing.assert_allclose(snnk_feature_variance(x @ turn, w @ turn, kind=kind), found, rtol=1e-11)


def test_opposite_inputs_have_no_variance_and_small_ones_keep_theirs():
    assert snnk_feature_variance([0.7, -0.2], [-0.7, 0.2], kind="exp") == 0
    assert snnk_feature_variance([1e-9], [0.0], kind="exp") == pytest.approx(1e-18, rel=1e-12)
    assert snnk_feature_variance([1e-9], [0.0], kind="phase") == pytest.approx(1e-18, rel=1e-12)
    assert snnk_feature_variance([0.0], [1e-9], kind="cosine") == pytest.approx(1e-18, rel=1e-12)
    # the cosine of a small angle varies by its square: x^4 / 2
    assert snnk_feature_variance([1e-3], [0.0], kind="cosine") == pytest.approx(0.5e-12, rel=1e-3)


@given(st.floats(-0.45, 0.45), ANGLE, ANGLE, st.floats(0.7, 2.0))
def test_gaussian_units_by_quadrature(x, w, bias, width):
    x = x * width  # the mean square grows as exp((omega x)^2), against a density exp(-(width omega)^2 / 2)
    omega = np.linspace(-24, 24, 801) / width
    step = omega[1] - omega[0]
    density = np.exp(-0.5 * (width * omega) ** 2) * width / np.sqrt(2 * np.pi) * step
    found = snnk_gaussian_unit([x], [w], bias=bias, width=width)
    assert found.mean == pytest.approx(density @ np.cos(omega * (w * x + bias)), rel=1e-9, abs=1e-13)
    # given the frequency, the direction is averaged as above
    g, weights = np.polynomial.hermite_e.hermegauss(160)
    weights = weights / weights.sum()
    near = np.abs(omega * width) < 14
    real = np.cos(omega[near, None] * (g * x + bias)) * np.exp(g * w - w * w / 2)
    second = (real**2 @ weights) @ (density * np.exp((omega * x) ** 2))[near]
    assert found.variance == pytest.approx(second - found.mean**2, rel=1e-6)


def test_gaussian_units_scatter_without_bound_for_long_inputs():
    reach = 3 / np.sqrt(2)
    below, beyond = (snnk_gaussian_unit([factor * reach], [0.0], width=3.0).variance for factor in (0.99999, 1.00001))
    assert 50 < below < np.inf
    assert beyond == np.inf
    for factor in (0.1, 0.01):
        assert snnk_gaussian_unit([factor], [0.0], width=1.0).variance < factor**4 * 2


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


@pytest.mark.parametrize(("fourth", "sixth"), [(6.0, 120.0), (15.0, 660.0)])
def test_correction_is_the_area_of_the_next_terms_signed(fourth, sixth):
    def term(z):
        square = z * z
        fifth = z * (square**2 - 10 * square + 15)
        seventh = z * (square**3 - 21 * square**2 + 105 * square - 105)
        return (sixth / 720 * fifth + fourth**2 / 1152 * seventh) * mpmath.npdf(z)

    root = mpmath.sqrt(3)
    expected = 2 * (mpmath.quad(term, [root, 2 * root, 20]) - mpmath.quad(term, [0, root]))
    assert w1_width_correction(fourth, sixth) == pytest.approx(float(expected), rel=1e-12)


def test_two_terms_give_the_distance_of_linear_layers():
    # the output of n linear units is a Gaussian of variance chi^2_n / n, by the area between distribution functions
    n = 200
    quantiles = (np.arange(4000) + 0.5) / 4000
    sigma = np.sqrt(stats.chi2(n).ppf(quantiles) / n)
    z = np.linspace(0, 8, 801)
    gap = np.abs(stats.norm.cdf(z[:, None] / sigma).mean(axis=1) - stats.norm.cdf(z))
    two_terms = w1_width_coefficient(6.0) / n + w1_width_correction(6.0, 120.0) / n**2
    assert 2 * np.sum(gap) * (z[1] - z[0]) == pytest.approx(two_terms, rel=5e-4)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: snnk_feature_variance([1.0, 2.0], [1.0], kind="exp"), "w must"),
        (lambda: snnk_feature_variance(1.0, [1.0], kind="exp"), "w must"),
        (lambda: snnk_feature_variance([np.nan], [1.0], kind="exp"), "x"),
        (lambda: snnk_feature_variance([1.0], [1.0], kind="cos"), "kind"),
        (lambda: snnk_gaussian_unit([1.0], [1.0, 2.0]), "w must"),
        (lambda: snnk_gaussian_unit([1.0], [1.0], width=0.0), "width"),
        (lambda: snnk_gaussian_unit([1.0], [1.0], bias=np.inf), "bias"),
        (lambda: w1_width_coefficient(-1.0), "excess_kurtosis_times_n"),
        (lambda: w1_width_correction(-1.0, 0.0), "excess_kurtosis_times_n"),
        (lambda: w1_width_correction(1.0, np.nan), "sixth_cumulant_times_n2"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
