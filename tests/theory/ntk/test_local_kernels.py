"""Kernels of local networks, their spectra and rates: against mpmath, quadrature, and limits that are known."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.ntk import (
    circle_eigenvalues,
    cusp_error_coefficient,
    hierarchical_decay_exponents,
    learning_curve_exponent,
    local_kernel,
    nngp_ntk,
)


def patches(seed, *shape):
    x = np.random.default_rng(seed).normal(size=shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def on_circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


@pytest.mark.parametrize("n_hidden", [1, 2, 3])
def test_one_patch_is_a_dense_network(n_hidden):
    x = patches(0, 5, 1, 4)
    dense = nngp_ntk(2**0.5 * x[:, 0], n_hidden=n_hidden, activation="relu", weight_std=2**0.5, bias_std=0.0)
    groups = (1,) * (n_hidden - 1)
    np.testing.assert_allclose(local_kernel(x, kernel="rfk", groups=groups), dense.nngp, rtol=1e-12)
    np.testing.assert_allclose(local_kernel(x, kernel="ntk", groups=groups), dense.ntk, rtol=1e-12)


def test_one_layer_averages_patches():
    x = patches(1, 4, 6, 3)
    for kind in ("rfk", "ntk"):
        each = [local_kernel(x[:, [i]], kernel=kind) for i in range(6)]
        np.testing.assert_allclose(local_kernel(x, kernel=kind), np.mean(each, axis=0), rtol=1e-13)


@given(st.integers(0, 1000), st.sampled_from(["rfk", "ntk"]), st.sampled_from([(), (2,), (3,), (2, 3), (6,)]))
def test_kernels_are_positive_and_constant_on_the_diagonal(seed, kind, groups):
    gram = local_kernel(patches(seed, 6, 6, 3), kernel=kind, groups=groups)
    np.testing.assert_allclose(gram, gram.T, atol=1e-14)
    np.testing.assert_allclose(np.diag(gram), 1 if kind == "rfk" else 2 + len(groups), rtol=1e-12)
    assert np.linalg.eigvalsh(gram).min() > -1e-12


def test_order_within_a_group_does_not_matter():
    x = patches(2, 4, 4, 3)
    found = local_kernel(x, kernel="ntk", groups=(2,))
    np.testing.assert_allclose(local_kernel(x[:, [1, 0, 3, 2]], kernel="ntk", groups=(2,)), found, rtol=1e-13)
    assert np.abs(local_kernel(x[:, [0, 2, 1, 3]], kernel="ntk", groups=(2,)) - found).max() > 1e-3


@pytest.mark.parametrize("angle", [1e-8, 1e-3, 1.0, np.pi - 1e-6, np.pi])
def test_two_layers_keep_small_angles(angle):
    x = on_circle(np.array([[0.0, 0.0], [angle, 0.0]]))
    with mpmath.workdps(40):
        # the angle between the inputs as they were rounded
        y = [mpmath.mpf(float(v)) for v in x[1, 0]]
        t = mpmath.atan2(y[1], y[0])

        def k1(t):
            return (mpmath.sin(t) + (mpmath.pi - t) * mpmath.cos(t)) / mpmath.pi

        def k0(t):
            return 1 - t / mpmath.pi

        deep = mpmath.acos((1 + k1(t)) / 2)
        expected = k1(deep) + k0(deep) * (2 + k1(t) + k0(t) * mpmath.cos(t)) / 2
        assert local_kernel(x, kernel="ntk", groups=(2,))[0, 1] == pytest.approx(float(expected), rel=1e-14)
        assert local_kernel(x, kernel="rfk", groups=(2,))[0, 1] == pytest.approx(float(k1(deep)), rel=1e-14)


@pytest.mark.parametrize("kind", ["rfk", "ntk"])
def test_eigenvalues_by_quadrature(kind):
    nodes, weights = np.polynomial.legendre.leggauss(60)
    t = (nodes + 1) * np.pi / 2
    kappa = local_kernel(on_circle(np.zeros((1, 1))), on_circle(t[:, None]), kernel=kind)[0]
    k = np.arange(20)
    expected = (weights * kappa) @ np.cos(np.outer(t, k)) / 2
    np.testing.assert_allclose(circle_eigenvalues(k, kernel=kind), expected, atol=1e-14)


@pytest.mark.parametrize("kind", ["rfk", "ntk"])
def test_eigenvalues_sum_to_the_diagonal(kind):
    k = np.arange(200_000)
    total = 2 * circle_eigenvalues(k, kernel=kind).sum() - circle_eigenvalues(0, kernel=kind)
    assert total == pytest.approx(1 if kind == "rfk" else 2, abs=1e-5)


def test_decay_of_the_circle_is_that_of_one_level():
    for kind, nu in (("rfk", 1.5), ("ntk", 0.5)):
        near, far = circle_eigenvalues([1000, 2000], kernel=kind)
        assert np.log2(near / far) == pytest.approx(hierarchical_decay_exponents([2], nu=nu)[0], abs=1e-4)


def test_exponents_of_levels():
    np.testing.assert_allclose(hierarchical_decay_exponents([3, 2, 2], nu=0.5), [3, 5, 9])


@given(st.floats(0.5, 6), st.floats(0.1, 5), st.floats(0.1, 5))
def test_rates_rise_with_smoothness_and_saturate(dim, teacher, student):
    rate = learning_curve_exponent(dim=dim, nu_teacher=teacher, nu_student=student)
    assert rate <= learning_curve_exponent(dim=dim, nu_teacher=2 * teacher, nu_student=student)
    assert rate <= learning_curve_exponent(dim=dim, nu_teacher=np.inf, nu_student=student)
    assert rate * dim <= 2 * teacher + 1e-12
    own = learning_curve_exponent(dim=dim, nu_teacher=teacher, nu_student=teacher)
    assert own == pytest.approx(2 * teacher / dim)


def test_brownian_bridge_between_random_neighbours():
    rng = np.random.default_rng(0)
    gaps = rng.exponential(size=200_000)  # density one: twice the slope, a sixth, a gap chosen by its length
    expected = 2 * 0.3 / 6 * np.sum(gaps**2) / np.sum(gaps)
    assert cusp_error_coefficient(cusp=0.3, period=1.0) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: local_kernel(np.ones((2, 2)), kernel="rfk"), "x1"),
        (lambda: local_kernel(np.ones((2, 2, 2)), kernel="rfk"), "x1"),
        (lambda: local_kernel(patches(0, 2, 2, 2), patches(0, 2, 3, 2), kernel="rfk"), "x2"),
        (lambda: local_kernel(patches(0, 2, 2, 2), kernel="nngp"), "kernel"),
        (lambda: local_kernel(patches(0, 2, 4, 2), kernel="ntk", groups=(3,)), "groups"),
        (lambda: local_kernel(patches(0, 2, 4, 2), kernel="ntk", groups=(0,)), "groups"),
        (lambda: circle_eigenvalues([-1], kernel="rfk"), "k must"),
        (lambda: circle_eigenvalues([0.5], kernel="rfk"), "k must"),
        (lambda: circle_eigenvalues([1], kernel="ck"), "kernel"),
        (lambda: hierarchical_decay_exponents([], nu=0.5), "level_dims"),
        (lambda: hierarchical_decay_exponents([1], nu=0.5), "level_dims"),
        (lambda: hierarchical_decay_exponents([2], nu=0.0), "nu"),
        (lambda: learning_curve_exponent(dim=0, nu_teacher=1, nu_student=1), "dim"),
        (lambda: learning_curve_exponent(dim=1, nu_teacher=-1, nu_student=1), "nu_teacher"),
        (lambda: learning_curve_exponent(dim=1, nu_teacher=1, nu_student=0), "nu_student"),
        (lambda: cusp_error_coefficient(cusp=0, period=1), "cusp"),
        (lambda: cusp_error_coefficient(cusp=1, period=-1), "period"),
    ],
)
def test_bad_input_is_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
