import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.ntk import (
    Activation,
    QuadratureWarning,
    dual_activation,
    gauss_hermite_dual,
    gaussian_mean,
    hermite_coefficients,
)
from theory.ntk.activations import resolve
from theory.ntk.quadrature import hermite_series

SMOOTH = ("erf", "sin", "gelu", "tanh", "swish", "linear", ("hermite", [0.1, 0.2, 0.3, 0.4]))
variances = st.floats(0.05, 2.0)
correlations = st.floats(-0.99, 0.99)


@pytest.mark.parametrize("activation", SMOOTH, ids=str)
def test_duals_match_a_product_of_gauss_hermite_rules(activation):
    found = dual_activation([1.3, 0.4], [0.7, -0.3], [0.9, 0.5], activation=activation)
    rule = gauss_hermite_dual([1.3, 0.4], [0.7, -0.3], [0.9, 0.5], activation=activation, n_nodes=320)
    np.testing.assert_allclose(found.value, rule.value, atol=1e-12)
    np.testing.assert_allclose(found.derivative, rule.derivative, atol=1e-11)


def test_tanh_matches_reference_digits():
    found = dual_activation(1.3, 0.7, 0.9, activation="tanh")
    np.testing.assert_allclose(found, [0.25096515987457, 0.38036299697199], atol=2e-14)


@pytest.mark.parametrize(("k11", "k12", "k22"), [(1.3, 0.7, 0.9), (0.3, -0.25, 0.4), (2.0, 0.01, 0.5)])
def test_relu_matches_high_precision(k11, k12, k22):
    with mp.workdps(40):
        a, c, b = (mp.mpf(k) for k in (k11, k12, k22))
        theta = mp.acos(c / mp.sqrt(a * b))
        value = (mp.sqrt(a * b - c * c) + (mp.pi - theta) * c) / (2 * mp.pi)
        derivative = (mp.pi - theta) / (2 * mp.pi)
    np.testing.assert_allclose(
        dual_activation(k11, k12, k22, activation="relu"), [float(value), float(derivative)], rtol=1e-14
    )


@given(k11=variances, k22=variances, rho=correlations)
def test_leaky_relu_is_a_mixture_of_relu_and_linear(k11, k22, rho):
    k12 = rho * np.sqrt(k11 * k22)
    relu, mirrored = (dual_activation(k11, s * k12, k22, activation="relu") for s in (1, -1))
    leaky = dual_activation(k11, k12, k22, activation=("leaky_relu", 0.3))
    np.testing.assert_allclose(leaky.value, (1 + 0.3**2) * relu.value - 2 * 0.3 * mirrored.value, atol=1e-14)
    np.testing.assert_allclose(
        leaky.derivative, (1 + 0.3**2) * relu.derivative + 2 * 0.3 * mirrored.derivative, atol=1e-14
    )


@given(k11=variances, k22=variances, rho=correlations, name=st.sampled_from(["erf", "tanh", "sin"]))
def test_odd_activations_have_odd_duals_and_obey_cauchy_schwarz(k11, k22, rho, name):
    k12 = rho * np.sqrt(k11 * k22)
    there, back = (dual_activation(k11, s * k12, k22, activation=name) for s in (1, -1))
    np.testing.assert_allclose(there.value, -back.value, atol=1e-14)
    np.testing.assert_allclose(there.derivative, back.derivative, rtol=1e-12)
    own = [dual_activation(k, k, k, activation=name).value for k in (k11, k22)]
    assert there.value**2 <= own[0] * own[1] * (1 + 1e-12)


@pytest.mark.parametrize("activation", ["erf", "tanh", "gelu", "relu"])
def test_derivative_is_the_slope_in_the_covariance(activation):
    step = 1e-5
    above, below = (dual_activation(1.1, 0.4 + h, 0.8, activation=activation).value for h in (step, -step))
    slope = dual_activation(1.1, 0.4, 0.8, activation=activation).derivative
    np.testing.assert_allclose((above - below) / (2 * step), slope, rtol=1e-8)


def test_a_function_needs_no_derivative():
    named, function = (dual_activation(1.3, 0.7, 0.9, activation=a) for a in ("tanh", np.tanh))
    np.testing.assert_allclose(function, named, rtol=1e-13)


def test_a_kink_without_closed_form_is_reported():
    with pytest.warns(QuadratureWarning, match="lacks"):
        dual_activation(1.0, 0.5, 1.0, activation=lambda z: np.maximum(z, 0))


def test_gauss_hermite_fails_at_a_kink():
    exact, rule = (f(1.0, 0.6, 1.0, activation="relu") for f in (dual_activation, gauss_hermite_dual))
    assert abs(rule.value - exact.value) > 1e-6


def test_zero_variance():
    found = dual_activation(0.0, 0.0, 0.9, activation="tanh")
    assert found.value == 0
    np.testing.assert_allclose(found.derivative, gaussian_mean(lambda z: 1 - np.tanh(z) ** 2, 0.9), rtol=1e-13)
    with pytest.raises(ValueError, match="derivative where a variance vanishes"):
        dual_activation(0.0, 0.0, 0.9, activation=np.tanh)


@given(k=st.floats(0.01, 4.0))
def test_parseval(k):
    series = hermite_series(np.tanh, k)
    np.testing.assert_allclose((series.coefficients**2).sum(), gaussian_mean(lambda z: np.tanh(z) ** 2, k), rtol=1e-12)


def test_hermite_activation_has_its_own_coefficients():
    phi = resolve(("hermite", [0.5, -1.0, 0.0, 2.0]))
    np.testing.assert_allclose(hermite_coefficients(phi.value, 1.0, n_terms=6), [0.5, -1, 0, 2, 0, 0], atol=1e-13)
    step = 1e-6
    np.testing.assert_allclose(
        phi.derivative(0.3), (phi.value(0.3 + step) - phi.value(0.3 - step)) / (2 * step), rtol=1e-8
    )


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((1.0, 1.1, 1.0), {"activation": "relu"}, "k12 must be at most"),
        ((-1.0, 0.0, 1.0), {"activation": "relu"}, "k11 must be nonnegative"),
        ((1.0, 0.0, 1.0), {"activation": "reul"}, "activation must be one of"),
        ((1.0, 0.0, 1.0), {"activation": ("relu", 1.0)}, "activation must be one of"),
        ((1.0, 0.0, 1.0), {"activation": ("hermite", [])}, "coeffs must hold"),
        ((1.0, 0.0, 1.0), {"activation": "tanh", "n_nodes": 0}, "n_nodes must be at least 1"),
    ],
)
def test_bad_input(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        dual_activation(*arguments, **options)


def test_what_is_no_activation_is_refused():
    with pytest.raises(TypeError, match="activation must be"):
        dual_activation(1.0, 0.0, 1.0, activation=3)
    with pytest.raises(ValueError, match="with a derivative"):
        gauss_hermite_dual(1.0, 0.0, 1.0, activation=np.tanh)


def test_custom_activation_with_derivative():
    mine = Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    np.testing.assert_allclose(
        dual_activation(1.3, 0.7, 0.9, activation=mine), dual_activation(1.3, 0.7, 0.9, activation="tanh")
    )
