import numpy as np
import pytest

from theory.ntk import (
    nngp_bias_coefficient,
    ntk_variance_coefficient,
    output_kurtosis_coefficient,
    polynomial_rank_bound,
)
from theory.ntk.finite_width import pair_rule

X = [[1.0, 0.3, -0.5], [0.2, -1.1, 0.7]]


def test_reference_values():
    variance = ntk_variance_coefficient(X, activation="erf", bias_std=0.3)
    np.testing.assert_allclose(np.sqrt([variance[0, 0], variance[0, 1]]), [0.6422, 0.3699], atol=1e-4)
    bias = nngp_bias_coefficient(X, activation="erf", bias_std=0.3)
    np.testing.assert_allclose([bias[0, 0], bias[0, 1]], [-0.034174, 0.014136], atol=1e-6)


def test_relu_on_the_diagonal():
    s = np.diag(np.array(X) @ np.transpose(X)) / 3 + 0.3**2
    np.testing.assert_allclose(
        np.diag(ntk_variance_coefficient(X, activation="relu", bias_std=0.3)), 3 * s**2, rtol=1e-12
    )
    np.testing.assert_allclose(np.diag(nngp_bias_coefficient(X, activation="relu", bias_std=0.3)), 0, atol=1e-12)


def test_kinks_and_grids_agree_on_a_linear_layer():
    for function in (ntk_variance_coefficient, nngp_bias_coefficient):
        homogeneous, smooth = (function(X, activation=a) for a in ("linear", ("hermite", [0.0, 1.0])))
        np.testing.assert_allclose(homogeneous, smooth, atol=1e-12)


def test_equal_inputs_have_the_coefficient_of_the_diagonal():
    found = nngp_bias_coefficient([X[0], X[0]], activation="tanh")
    np.testing.assert_allclose(found, found[0, 0], rtol=1e-12)


@pytest.mark.parametrize("homogeneous", [True, False])
def test_pair_rule_has_gaussian_moments(homogeneous):
    rule = pair_rule(1.3, -0.6, 0.7, homogeneous=homogeneous)
    u, v = rule.u, rule.v
    found = [rule.mean(p) for p in (np.ones_like(u), u * u, u * v, v * v, u**2 * v**2, u**4)]
    np.testing.assert_allclose(found, [1, 1.3, -0.6, 0.7, 1.3 * 0.7 + 2 * 0.36, 3 * 1.69], rtol=1e-12)


def test_kurtosis():
    np.testing.assert_allclose(output_kurtosis_coefficient([0.5, 2.0], activation="relu"), 15)
    np.testing.assert_allclose(output_kurtosis_coefficient(1.0, activation="linear"), 6)


def test_rank_bounds():
    found = [
        polynomial_rank_bound(*case) for case in [(2, 3, 1), (2, 3, 2), (3, 2, 1), (3, 2, 2), (3, 3, 1), (3, 3, 2)]
    ]
    assert found == [7, 19, 9, 25, 16, 100]


def test_bad_input():
    with pytest.raises(ValueError, match="nearly parallel"):
        nngp_bias_coefficient([[1.0, 0.0], [1.0, 1e-5]], activation="erf", bias_std=0.0)
    with pytest.raises(ValueError, match="with a derivative"):
        ntk_variance_coefficient(X, activation=np.tanh)
    with pytest.raises(ValueError, match="input_dim must be at least 2"):
        polynomial_rank_bound(1, 2, 1)
    with pytest.raises(ValueError, match="k must be positive"):
        output_kurtosis_coefficient(0.0, activation="relu")
